/* SPDX-License-Identifier: MIT
 *
 * persist/aof_append.h. Claims:
 *   A1  One at a time appends. `comers` is raised by each who comes; only who found 0 has the turn,
 *       and it is 0 again only by him, with an exchange that finds what he has last seen.
 *   A2  Nothing stays behind. Who comes and finds the turn taken has raised `comers`: its holder
 *       looks at the log and at the request again before his exchange can succeed, and sees what
 *       the comer had committed before.
 *   A3  Replies follow the bytes: `released` moves on behind the append.
 *   A4  One sync is asked for each time it is armed: who exchanges `group` for GROUPED asks, and
 *       only the control actor takes that back. It covers what `grouped` says, because that was
 *       handed to the host before, under the same turn.
 *   A5  No group is forgotten. Who appends and finds GROUPED does not nudge: the control actor
 *       hears of the sync's end, arms anew, and then looks at what is written. All of them change
 *       the one word `group`: who came before the arming is seen by that look, who came behind it
 *       finds the appender armed.
 */
#include "persist/aof_append.h"

#include "base/assert.h"
#include "base/text.h"
#include "command/hold.h"
#include "persist/aof_reader.h"

enum { ASKED_NOTHING, ASKED, ANSWERED };

void shoal_appender_make(shoal_appender *appender, shoal_env *env, shoal_log *log,
                         shoal_log_reader *reader)
{
    SHOAL_ASSERT(env->host != NULL);
    SHOAL_ASSERT(log != NULL);
    SHOAL_ASSERT(reader != NULL);
    SHOAL_ASSERT(appender->log == NULL);
    appender->host = env->host;
    appender->env = env;
    appender->log = log;
    appender->reader = reader;
    appender->stamp = shoal_buffer_make(&env->allocator);
    shoal_store_relaxed(&appender->group, SHOAL_APPENDER__UNGROUPED);
}

void shoal_appender_free(shoal_appender *appender)
{
    SHOAL_ASSERT(shoal_load_relaxed(&appender->comers) == 0);
    SHOAL_ASSERT(!appender->on);
    SHOAL_ASSERT(shoal_appender_idle(appender));
    shoal_buffer_free(&appender->stamp);
}

uint64_t shoal_appender_written(const shoal_appender *appender)
{
    SHOAL_DEBUG_ASSERT(appender->log != NULL);
    return shoal_load_acquire(&appender->written); /* pair: appender.written */
}

/* ---- with the turn ---- */

/* What holds before and behind each turn of an appender that is on: the place is where the reader
 * stands, everything before it has been handed to the host, and nothing of it was made up. */
static void check_place(const shoal_appender *appender)
{
    const shoal_appender_note *place = &appender->place;
    SHOAL_ASSERT(appender->on);
    SHOAL_ASSERT(shoal_load_relaxed(&appender->running));
    SHOAL_ASSERT(place->at == shoal_log_at(appender->reader));
    SHOAL_ASSERT(place->at == shoal_load_relaxed(&appender->written));
    SHOAL_ASSERT(place->at <= shoal_log_end(appender->log));
    SHOAL_ASSERT(place->file >= SHOAL_FILE_NAMED);
    SHOAL_ASSERT(place->file < SHOAL_FILE_LIMIT);
    SHOAL_ASSERT(place->old_file != place->file);
    SHOAL_ASSERT(place->old_file != 0 || place->old_size == 0);
}

/* Replies may go as far as the policy lets them. With `always` the control actor says how far. */
static void release(shoal_appender *appender)
{
    SHOAL_DEBUG_ASSERT(appender->on);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&appender->written) == appender->place.at);
    uint64_t at = appender->place.at;
    if (shoal_load_relaxed(&appender->always)) return;
    if (shoal_load_relaxed(&appender->lenient)) at = SHOAL_RELEASED_ALL;
    shoal_hold_release(appender->env, at);
}

static void put(shoal_appender *appender, shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(appender->on);
    SHOAL_DEBUG_ASSERT(bytes.size > 0);
    appender->host->file_append(appender->host->context, appender->place.file, bytes, 0);
    appender->place.size += bytes.size;
}

/* Begins an empty file by saying how many bytes the one before it has. */
static void put_behind(shoal_appender *appender, uint64_t size)
{
    SHOAL_ASSERT(appender->on);
    SHOAL_ASSERT(appender->place.size == 0);
    shoal_buffer_consume(&appender->stamp, shoal_buffer_size(&appender->stamp));
    shoal_aof_write_behind(&appender->stamp, size);
    if (!appender->stamp.failed) put(appender, shoal_buffer_slice(&appender->stamp));
}

/* Begins a file in the middle of a stream whose database was named before it. */
static void put_select(shoal_appender *appender, uint32_t db)
{
    char text[64] = "*2\r\n$6\r\nSELECT\r\n$", digits[SHOAL_TEXT_INTEGER_SIZE];
    size_t size = strlen(text), count = shoal_text_from_u64(digits, db);
    SHOAL_ASSERT(appender->on);
    SHOAL_ASSERT(count < 10);
    text[size] = (char)('0' + count);
    memcpy(text + size + 1, "\r\n", 2);
    memcpy(text + size + 3, digits, count);
    memcpy(text + size + 3 + count, "\r\n", 2);
    put(appender, (shoal_slice){text, size + count + 5});
}

/* Says when the next piece was written, if the last one that says so is older. */
static void put_stamp(shoal_appender *appender, shoal_time now)
{
    SHOAL_DEBUG_ASSERT(appender->on);
    SHOAL_DEBUG_ASSERT(now.wall_us >= 0);
    int64_t second = now.wall_us / 1000000;
    if (!shoal_load_relaxed(&appender->timestamps) || second <= appender->stamped_s) return;
    appender->stamped_s = second;
    shoal_buffer_consume(&appender->stamp, shoal_buffer_size(&appender->stamp));
    shoal_aof_write_timestamp(&appender->stamp, second);
    if (!appender->stamp.failed) put(appender, shoal_buffer_slice(&appender->stamp));
}

/* Asks for a sync of what is written, if it is worth one (claim A4). True when that has been done,
 * now or since the control actor was last told of one: it need not be nudged (claim A5). */
static bool sync_group(shoal_appender *appender, shoal_time now)
{
    const shoal_appender_note *place = &appender->place;
    uint64_t from = shoal_add_acq_rel(&appender->group, (uint64_t)0); /* pair: appender.group */
    SHOAL_DEBUG_ASSERT(appender->on);
    SHOAL_DEBUG_ASSERT(place->old_file == 0 || from >= SHOAL_APPENDER__GROUPED);
    if (from >= SHOAL_APPENDER__GROUPED) return from == SHOAL_APPENDER__GROUPED;
    bool late = now.mono_us >= shoal_load_relaxed(&appender->group_until_us);
    if (place->at < from && !late) return false;
    appender->grouped = *place;
    appender->grouped_us = now.mono_us;
    /* pair: appender.group */
    if (!shoal_cas_acq_rel(&appender->group, &from, SHOAL_APPENDER__GROUPED)) return false;
    appender->host->file_sync(appender->host->context, place->file, appender->sync_tag);
    return true;
}

/* Appends what stands before `end`. False: that was nothing. */
static bool append_until(shoal_appender *appender, uint64_t end, shoal_time now)
{
    SHOAL_DEBUG_ASSERT(appender->on);
    shoal_appender_note *place = &appender->place;
    uint64_t began = place->at;
    while (place->at < end) {
        if (place->at == began) put_stamp(appender, now);
        shoal_slice bytes = shoal_log_peek(appender->log, appender->reader, end);
        SHOAL_ASSERT(bytes.size > 0);
        SHOAL_ASSERT(bytes.size <= end - place->at);
        put(appender, bytes);
        shoal_log_skip(appender->reader, bytes.size);
        place->at += bytes.size;
    }
    if (place->at == began) return false;
    shoal_store_release(&appender->written, place->at); /* pair: appender.written */
    return true;
}

/* Appends everything that is committed now. */
static void append(shoal_appender *appender, shoal_time now)
{
    SHOAL_DEBUG_ASSERT(appender->on);
    if (!append_until(appender, shoal_log_committed(appender->log), now)) return;
    release(appender);
    if (!sync_group(appender, now) && shoal_load_relaxed(&appender->always))
        appender->host->nudge(appender->host->context, SHOAL_ACTOR_CONTROL);
}

/* What follows goes to the file of the request, which is empty. */
static void go_over(shoal_appender *appender)
{
    shoal_appender_note *place = &appender->place;
    SHOAL_ASSERT(appender->request.file != place->file);
    /* What was left before that has been told of. */
    SHOAL_ASSERT(place->old_file == 0);
    place->old_file = place->file;
    place->old_size = place->size;
    place->file = appender->request.file;
    place->size = 0;
    appender->stamped_s = 0;
    put_behind(appender, place->old_size);
}

static void start(shoal_appender *appender, shoal_time now)
{
    SHOAL_ASSERT(!appender->on);
    SHOAL_ASSERT(!shoal_load_relaxed(&appender->running));
    const shoal_appender_request *request = &appender->request;
    bool two = request->first != 0;
    SHOAL_ASSERT(request->wish == SHOAL_APPENDER_START);
    SHOAL_ASSERT(!(two || request->selects) || request->size == 0);
    appender->place = (shoal_appender_note){.at = shoal_log_at(appender->reader),
                                            .file = two ? request->first : request->file,
                                            .size = two ? request->first_size : request->size};
    appender->on = true;
    appender->stamped_s = 0;
    shoal_store_release(&appender->written, appender->place.at); /* pair: appender.written */
    shoal_store_relaxed(&appender->running, true);
    if (two) {
        SHOAL_ASSERT(appender->place.at <= request->until);
        (void)append_until(appender, request->until, now);
        go_over(appender);
    }
    if (request->selects) put_select(appender, request->db);
}

/* The file changes here. */
static void change_file(shoal_appender *appender, shoal_time now)
{
    SHOAL_ASSERT(appender->request.wish == SHOAL_APPENDER_SWITCH);
    if (!appender->on) return;
    append(appender, now);
    SHOAL_ASSERT(appender->place.at == shoal_log_end(appender->log));
    go_over(appender);
    if (appender->request.selects) put_select(appender, appender->request.db);
}

static void obey(shoal_appender *appender, shoal_time now)
{
    SHOAL_ASSERT(shoal_load_relaxed(&appender->asked) == ASKED);
    shoal_appender_request *request = &appender->request;
    switch (request->wish) {
    case SHOAL_APPENDER_START: start(appender, now); break;
    case SHOAL_APPENDER_STOP:
        appender->on = false;
        shoal_store_relaxed(&appender->running, false);
        break;
    case SHOAL_APPENDER_SWITCH: change_file(appender, now); break;
    case SHOAL_APPENDER_NOTE: break;
    }
    SHOAL_ASSERT(appender->on == shoal_load_relaxed(&appender->running));
    if (appender->on) release(appender);
    request->note = appender->place;
    if (request->wish == SHOAL_APPENDER_NOTE) {
        appender->place.old_file = 0;
        appender->place.old_size = 0;
    }
    shoal_store_release(&appender->asked, ANSWERED); /* pair: appender.request */
    appender->host->nudge(appender->host->context, SHOAL_ACTOR_CONTROL);
}

static void take_turn(shoal_appender *appender, shoal_time now)
{
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&appender->comers) > 0);
    /* pair: appender.request */
    if (shoal_load_acquire(&appender->asked) == ASKED) obey(appender, now);
    if (!appender->on) return;
    check_place(appender);
    append(appender, now);
    check_place(appender);
}

void shoal_appender_turn(shoal_appender *appender, shoal_time now)
{
    SHOAL_DEBUG_ASSERT(appender->log != NULL);
    SHOAL_DEBUG_ASSERT(now.mono_us >= 0);
    bool asked = shoal_load_relaxed(&appender->asked) == ASKED;
    if (!asked && (!shoal_load_relaxed(&appender->running) ||
                   shoal_log_committed(appender->log) <= shoal_appender_written(appender)))
        return;
    /* pair: appender.turn */
    uint32_t seen = shoal_add_acq_rel(&appender->comers, 1u);
    if (seen != 0) return;
    seen = 1;
    do {
        take_turn(appender, now);
        /* pair: appender.turn */
    } while (!shoal_cas_acq_rel(&appender->comers, &seen, 0u));
}

/* ---- the control actor ---- */

void shoal_appender_arm(shoal_appender *appender, uint64_t at, int64_t until_us)
{
    SHOAL_ASSERT(at < SHOAL_APPENDER__GROUPED);
    SHOAL_ASSERT(shoal_appender_idle(appender));
    shoal_store_relaxed(&appender->group_until_us, until_us);
    uint64_t was = shoal_exchange_acq_rel(&appender->group, at); /* pair: appender.group */
    SHOAL_ASSERT(was == SHOAL_APPENDER__UNGROUPED);
}

bool shoal_appender_disarm(shoal_appender *appender, shoal_appender_note *note, int64_t *began_us)
{
    /* pair: appender.group */
    uint64_t was = shoal_exchange_acq_rel(&appender->group, SHOAL_APPENDER__UNGROUPED);
    SHOAL_ASSERT(was != SHOAL_APPENDER__UNGROUPED);
    if (was != SHOAL_APPENDER__GROUPED) return true;
    *note = appender->grouped;
    *began_us = appender->grouped_us;
    SHOAL_ASSERT(note->at <= shoal_appender_written(appender));
    return false;
}

bool shoal_appender_has_grouped(const shoal_appender *appender)
{
    SHOAL_DEBUG_ASSERT(appender->log != NULL);
    return shoal_load_relaxed(&appender->group) == SHOAL_APPENDER__GROUPED;
}

bool shoal_appender_idle(const shoal_appender *appender)
{
    SHOAL_DEBUG_ASSERT(appender->log != NULL);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&appender->asked) <= ANSWERED);
    return shoal_load_relaxed(&appender->asked) == ASKED_NOTHING;
}

void shoal_appender_ask(shoal_appender *appender, const shoal_appender_request *request,
                        shoal_time now)
{
    bool names = request->wish == SHOAL_APPENDER_START || request->wish == SHOAL_APPENDER_SWITCH;
    SHOAL_ASSERT(shoal_appender_idle(appender));
    SHOAL_ASSERT(request->wish <= SHOAL_APPENDER_NOTE);
    SHOAL_ASSERT(names == (request->file != 0));
    appender->request = *request;
    shoal_store_release(&appender->asked, ASKED); /* pair: appender.request */
    shoal_appender_turn(appender, now);
}

const shoal_appender_request *shoal_appender_answer(shoal_appender *appender)
{
    SHOAL_DEBUG_ASSERT(appender->log != NULL);
    /* pair: appender.request */
    if (shoal_load_acquire(&appender->asked) != ANSWERED) return NULL;
    shoal_store_relaxed(&appender->asked, ASKED_NOTHING);
    SHOAL_ASSERT(appender->request.note.at <= shoal_log_end(appender->log));
    return &appender->request;
}
