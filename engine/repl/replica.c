/* SPDX-License-Identifier: MIT
 *
 * repl/replica.c - the link to a master. A snapshot is kept in a file until all of it is there, so
 * that the data that this node has stay as they are until then; behind it comes the stream.
 *
 *   RETRY -> CONNECTING -> PING ... PSYNC -> TRANSFER -> LOADING -> ONLINE
 *                                   PSYNC -----------------------> ONLINE
 *   any -> RETRY (the link is lost), NONE (nobody is followed)
 */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/text.h"
#include "repl/internal.h"

/* Bytes of an answer without a line's end that are looked at. */
#define LINE_MAX_SIZE 4096u

/* ---- states ---- */

/* Tells of a link that is in sync under this name. */
static void show_online(const shoal_repl *repl, shoal_slice name)
{
    shoal_env *env = repl->env;
    uint64_t words[SHOAL_MASTER_WORDS] = {0};
    SHOAL_ASSERT(repl->master.state == REPL_LINK_ONLINE);
    SHOAL_ASSERT(name.size > 0);
    if (name.size >= sizeof(words)) return;
    memcpy(words, name.data, name.size);
    for (uint32_t i = 0; i < SHOAL_MASTER_WORDS; i++)
        shoal_store_relaxed(&env->master_text[i], words[i]);
    uint64_t id = shoal_add_relaxed(&env->client_id_next, 1u);
    shoal_store_relaxed(&env->master_id, id);
    shoal_store_relaxed(&env->master_since_us, repl->now.mono_us);
    shoal_store_relaxed(&env->master_heard_us, repl->now.mono_us);
}

/* For CLIENT KILL and CLIENT LIST: who the link is to, while there is one. */
void shoal_repl__show_link(const shoal_repl *repl)
{
    const repl_master *master = &repl->master;
    uint64_t shown = 0;
    shoal_store_relaxed(&repl->env->master_text[0], 0u);
    if (master->link != 0 && master->state >= REPL_LINK_TRANSFER) {
        shoal_buffer name = shoal_buffer_make(&repl->allocator);
        const char *ip = master->address.ip;
        bool v6 = shoal_text_find(shoal_text(ip), shoal_text(":")) != SHOAL_TEXT_NONE;
        shoal_text_appendf(&name, v6 ? "[%s]:%u" : "%s:%u", ip, (unsigned)master->address.port);
        if (!name.failed) shown = shoal_hash(shoal_buffer_slice(&name), 0) | 1;
        if (!name.failed && master->state == REPL_LINK_ONLINE)
            show_online(repl, shoal_buffer_slice(&name));
        shoal_buffer_free(&name);
    }
    SHOAL_ASSERT(master->state <= REPL_LINK_ONLINE);
    SHOAL_ASSERT(shown == 0 || shoal_repl__is_replica(repl));
    shoal_store_relaxed(&repl->env->master_link, shown);
}

void shoal_repl__link_enter(shoal_repl *repl, repl_link_state state)
{
    repl_master *master = &repl->master;
    bool was_online = master->state == REPL_LINK_ONLINE;
    SHOAL_ASSERT(shoal_repl__link_may(master->state, state));
    master->state = state;
    master->since_us = repl->now.mono_us;
    if (state == REPL_LINK_ONLINE) {
        master->down_us = 0;
        repl->fresh = true;
        master->heard_us = repl->now.mono_us;
        master->acked = 0;
        shoal_repl__send_ack(repl);
    }
    if (state == REPL_LINK_TRANSFER) {
        master->announced = master->marked = master->whole = false;
        master->size = master->received = 0;
        master->error = SHOAL_ERR_OK;
        master->tag++;
        SHOAL_ASSERT(master->writing == 0);
        master->writing = 1;
        repl->host->file_remove(repl->host->context, repl->sync_file, master->tag);
    }
    shoal_repl__check_link(repl);
    shoal_repl__show_link(repl);
    /* Who leaves a master may be about to follow another, or has a history to begin before workers
     * hear that what they do is told: the caller says what this node is then. */
    if (state == REPL_LINK_NONE) return;
    if (was_online != (state == REPL_LINK_ONLINE)) repl->face.changed(repl->face.context);
}

/* Has more come than can be used now? One that is held goes on at half of that. */
static bool is_crowded(const repl_master *master)
{
    bool waits = master->state == REPL_LINK_LOADING ||
                 (master->state == REPL_LINK_TRANSFER && master->whole);
    size_t size = waits ? shoal_buffer_size(&master->input) : master->waiting;
    uint32_t halves = master->held ? 1 : 2;
    SHOAL_ASSERT(master->link != 0);
    SHOAL_ASSERT(master->state >= REPL_LINK_CONNECTING);
    return size >= REPL_HELD_MAX / 2 * halves || master->writing >= REPL_WRITING_MAX / 2 * halves;
}

/* Lets the link rest, or go on, as what has come of it wants it. Its time-out rests with it. */
static void hold_link(shoal_repl *repl)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(!master->held || master->link != 0);
    if (master->link == 0 || repl->host->link_pause == NULL) return;
    bool held = is_crowded(master);
    if (held == master->held) return;
    master->held = held;
    if (!held) master->heard_us = repl->now.mono_us;
    repl->host->link_pause(repl->host->context, master->link, held);
    SHOAL_ASSERT(!held || master->state >= REPL_LINK_TRANSFER);
}

/* Closes the link; what it was in the middle of is void. */
static void drop_link(shoal_repl *repl)
{
    repl_master *master = &repl->master;
    if (master->link != 0) repl->host->link_close(repl->host->context, master->link);
    master->link = 0;
    master->held = false;
    master->waiting = 0;
    shoal_buffer_free(&master->input);
    master->input = shoal_buffer_make(&repl->allocator);
    if (master->state == REPL_LINK_ONLINE) master->down_us = repl->now.mono_us;
    SHOAL_ASSERT(shoal_buffer_size(&master->input) == 0 && !master->input.failed);
    SHOAL_ASSERT(master->down_us <= repl->now.mono_us);
}

void shoal_repl__unlink(shoal_repl *repl)
{
    SHOAL_ASSERT(shoal_repl__is_replica(repl));
    drop_link(repl);
    shoal_repl__link_enter(repl, REPL_LINK_NONE);
    (void)repl->face.apply_reset(repl->face.context);
    SHOAL_ASSERT(repl->master.link == 0);
}

/* Closes the link; it is tried again. */
static void give_up(shoal_repl *repl, const char *why)
{
    SHOAL_ASSERT(repl->master.state > REPL_LINK_RETRY);
    SHOAL_ASSERT(why != NULL);
    shoal_repl__log(repl, REPL_NOTICE, "Link to the master given up: %s", why);
    drop_link(repl);
    shoal_repl__link_enter(repl, REPL_LINK_RETRY);
}

void shoal_repl__retry(shoal_repl *repl, const char *why)
{
    bool was_online = repl->master.state == REPL_LINK_ONLINE;
    SHOAL_ASSERT(repl->master.state > REPL_LINK_RETRY);
    if (repl->master.state == REPL_LINK_LOADING) return;
    give_up(repl, why);
    if (!was_online) return;
    /* What worked a moment ago is tried at once. */
    repl->master.since_us = 0;
    repl->cron_us = repl->now.mono_us;
}

void shoal_repl__break_link(shoal_repl *repl)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(master->link != 0);
    shoal_repl__retry(repl, "a client has closed it");
    if (master->state != REPL_LINK_RETRY) return;
    /* Who closes it may want it closed for longer, and says that next. */
    master->since_us = repl->now.mono_us - REPL_RETRY_US + REPL_CRON_US;
    if (master->since_us < 1) master->since_us = 1;
    SHOAL_ASSERT(master->since_us <= repl->now.mono_us);
}

/* ---- timers ---- */

static void send_text(shoal_repl *repl, shoal_slice text)
{
    SHOAL_ASSERT(text.size > 0);
    SHOAL_ASSERT(repl->master.state >= REPL_LINK_TRANSFER);
    if (repl->master.link == 0) return;
    repl->host->link_send(repl->host->context, repl->master.link, text);
}

void shoal_repl__send_ack(shoal_repl *repl)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE], text[96];
    uint64_t offset = shoal_log_end(repl->log);
    SHOAL_ASSERT(repl->master.state == REPL_LINK_ONLINE && repl->synced);
    SHOAL_ASSERT(offset >= repl->master.acked);
    size_t count = shoal_text_from_u64(digits, offset);
    static const char head[] = "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$";
    size_t size = sizeof head - 1;
    memcpy(text, head, size);
    size += shoal_text_from_u64(text + size, count);
    memcpy(text + size, "\r\n", 2);
    memcpy(text + size + 2, digits, count);
    memcpy(text + size + 2 + count, "\r\n", 2);
    SHOAL_ASSERT(size + count + 4 <= sizeof text);
    send_text(repl, (shoal_slice){text, size + count + 4});
    repl->master.acked = offset;
    repl->master.ack_us = repl->now.mono_us;
}

static void connect(shoal_repl *repl)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(master->link == 0 && master->state == REPL_LINK_RETRY);
    SHOAL_ASSERT(master->writing == 0);
    shoal_repl__log(repl, REPL_NOTICE, "Connecting to MASTER %s:%u", master->address.ip,
                    (unsigned)master->address.port);
    master->link = repl->host->link_open(repl->host->context, &master->address);
    shoal_repl__link_enter(repl, REPL_LINK_CONNECTING);
}

void shoal_repl__link_cron(shoal_repl *repl)
{
    repl_master *master = &repl->master;
    int64_t now = repl->now.mono_us;
    SHOAL_ASSERT(master->state != REPL_LINK_NONE);
    SHOAL_ASSERT(master->since_us <= now && master->heard_us <= now && master->ack_us <= now);
    if (now < shoal_load_relaxed(&repl->env->sleep_until_us)) return;
    switch (master->state) {
    case REPL_LINK_RETRY:
        /* A new transfer waits for the one before, whose file may still be written or read. */
        if (master->writing > 0 || shoal_load_relaxed(&repl->env->loading)) return;
        if (master->lost) return;
        if (master->since_us != 0 && now - master->since_us < REPL_RETRY_US) return;
        /* Where the next stream begins is told once nothing of the last one enters the log. */
        if (repl->face.apply_reset(repl->face.context)) connect(repl);
        return;
    case REPL_LINK_ONLINE:
        if (!master->held && now - master->heard_us > repl->settings.timeout_us) {
            shoal_repl__retry(repl, "MASTER timeout: no data nor PING received...");
        } else if (now - master->ack_us >= 1000000) {
            shoal_repl__send_ack(repl);
        }
        return;
    case REPL_LINK_TRANSFER:
    case REPL_LINK_LOADING:
        if (now - master->ack_us >= 1000000) {
            send_text(repl, (shoal_slice){"\n", 1});
            master->ack_us = now;
        }
        if (master->state == REPL_LINK_TRANSFER && !master->held &&
            now - master->heard_us > repl->settings.timeout_us)
            shoal_repl__retry(repl, "Timeout receiving bulk data from MASTER...");
        return;
    default:
        if (now - master->since_us > repl->settings.timeout_us)
            shoal_repl__retry(repl, "Timeout connecting to the MASTER...");
        return;
    }
}

/* ---- the transfer ---- */

/* Adds bytes to the file. */
static void keep(shoal_repl *repl, shoal_slice bytes)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(master->state == REPL_LINK_TRANSFER && master->announced);
    if (bytes.size == 0) return;
    master->received += bytes.size;
    SHOAL_ASSERT(master->marked || master->received <= master->size);
    master->writing++;
    repl->host->file_append(repl->host->context, repl->sync_file, bytes, master->tag);
}

/* "$EOF:<mark>" or "$<size>". False when it is neither. */
static bool hear_announcement(shoal_repl *repl, shoal_slice line)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(!master->announced && !master->marked);
    SHOAL_ASSERT(line.size > 0 && master->received == 0);
    if (line.size == 5 + REPL_MARK_LEN && memcmp(line.data, "$EOF:", 5) == 0) {
        memcpy(master->mark, line.data + 5, REPL_MARK_LEN);
        master->marked = true;
    } else if (line.size < 2 || line.data[0] != '$' ||
               !shoal_text_to_u64((shoal_slice){line.data + 1, line.size - 1}, &master->size)) {
        return false;
    }
    master->announced = true;
    shoal_repl__log(repl, REPL_NOTICE, "MASTER <-> REPLICA sync: receiving %s from master",
                    master->marked ? "streamed RDB with EOF" : "bytes");
    return true;
}

/* Once all of the snapshot has come and is in the file. */
static void load_if_whole(shoal_repl *repl)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(master->state == REPL_LINK_TRANSFER);
    if (!master->whole || master->writing > 0) return;
    SHOAL_ASSERT(master->received == master->size && master->error == SHOAL_ERR_OK);
    /* Sub-replicas have the data that go away now, or wait for a snapshot of them. */
    shoal_repl__dismiss_all(repl, "all data are replaced");
    shoal_repl__turn_away(repl, SHOAL_REPL_NO_MASTER_LINK);
    repl->synced = false;
    shoal_repl__link_enter(repl, REPL_LINK_LOADING);
    repl->face.load(repl->face.context, repl->sync_file, master->size);
}

/* Takes what has come of the snapshot. The file need not outlive this process: it is not synced. */
static void take_snapshot(shoal_repl *repl)
{
    repl_master *master = &repl->master;
    shoal_slice input = shoal_buffer_slice(&master->input);
    SHOAL_ASSERT(master->announced && !master->whole);
    size_t used;
    SHOAL_ASSERT(master->marked || master->received <= master->size);
    if (!master->marked) {
        uint64_t left = master->size - master->received;
        used = left < input.size ? (size_t)left : input.size;
        keep(repl, (shoal_slice){input.data, used});
        master->whole = master->received == master->size;
    } else {
        /* The mark is the last that comes before this side says something again. */
        if (input.size < REPL_MARK_LEN) return;
        used = input.size - REPL_MARK_LEN;
        master->whole = memcmp(input.data + used, master->mark, REPL_MARK_LEN) == 0;
        keep(repl, (shoal_slice){input.data, used});
        if (master->whole) used += REPL_MARK_LEN;
    }
    SHOAL_ASSERT(used <= input.size);
    shoal_buffer_consume(&master->input, used);
    if (!master->whole) return;
    master->size = master->received;
    load_if_whole(repl);
}

void shoal_repl__sync_file_done(shoal_repl *repl, const shoal_event *event)
{
    repl_master *master = &repl->master;
    if (event->op == SHOAL_FILE_READ) return;
    SHOAL_ASSERT(master->writing > 0);
    master->writing--;
    bool missing = event->op == SHOAL_FILE_REMOVE && event->error == SHOAL_ERR_NOT_FOUND;
    if (event->error != SHOAL_ERR_OK && !missing && master->error == SHOAL_ERR_OK)
        master->error = event->error;
    if (master->state != REPL_LINK_TRANSFER || event->tag != master->tag) return;
    if (master->error != SHOAL_ERR_OK) {
        shoal_repl__log(repl, REPL_WARNING,
                        "Write error or short write writing to the DB dump file needed for "
                        "MASTER <-> REPLICA synchronization: %s",
                        shoal_err_text(master->error));
        shoal_repl__retry(repl, "the snapshot cannot be kept");
        return;
    }
    load_if_whole(repl);
    hold_link(repl);
}

/* The stream that came before this node was ready for it. */
static void apply_input(shoal_repl *repl)
{
    shoal_buffer waited = repl->master.input;
    SHOAL_ASSERT(repl->master.state == REPL_LINK_ONLINE);
    if (shoal_buffer_size(&waited) == 0) return;
    repl->master.input = shoal_buffer_make(&repl->allocator);
    repl->face.apply(repl->face.context, shoal_buffer_slice(&waited));
    shoal_buffer_free(&waited);
    SHOAL_ASSERT(shoal_buffer_size(&repl->master.input) == 0);
}

void shoal_repl_loaded(shoal_repl *repl, shoal_err error)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(master->state != REPL_LINK_LOADING || master->writing == 0);
    if (master->state != REPL_LINK_LOADING) return;
    if (error != SHOAL_ERR_OK) {
        give_up(repl, "the master's snapshot could not be loaded");
        return;
    }
    SHOAL_ASSERT(master->whole && shoal_repl_is_alone(repl));
    memcpy(repl->id, master->id, sizeof repl->id);
    memset(repl->id2, '0', SHOAL_REPL_ID_LEN);
    repl->second_offset = 0;
    repl->synced = true;
    shoal_log_restart(repl->log, master->offset, false);
    bool forgotten = repl->face.apply_reset(repl->face.context);
    SHOAL_ASSERT(forgotten);
    shoal_repl__log(repl, REPL_NOTICE, "MASTER <-> REPLICA sync: Finished with success");
    SHOAL_ASSERT(shoal_log_end(repl->log) == master->offset);
    if (master->link == 0) {
        give_up(repl, "it was lost while the snapshot was loaded");
        return;
    }
    shoal_repl__link_enter(repl, REPL_LINK_ONLINE);
    apply_input(repl);
    hold_link(repl);
}

void shoal_repl_applied(shoal_repl *repl, uint64_t offset)
{
    SHOAL_ASSERT(offset <= shoal_log_end(repl->log));
    if (shoal_log_torn(repl->log) && repl->master.state == REPL_LINK_ONLINE) {
        repl->synced = false;
        shoal_repl__retry(repl, "the log has lost effects for want of memory");
    }
}

void shoal_repl_waiting(shoal_repl *repl, size_t bytes)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(master->waiting == 0 || master->state == REPL_LINK_ONLINE);
    if (master->state != REPL_LINK_ONLINE) return;
    master->waiting = bytes;
    hold_link(repl);
    SHOAL_ASSERT(master->link != 0);
}

void shoal_repl_spoiled(shoal_repl *repl)
{
    if (repl->master.state != REPL_LINK_ONLINE) return;
    SHOAL_ASSERT(repl->master.link != 0 && repl->synced);
    repl->synced = false;
    shoal_repl__retry(repl, "its stream cannot be carried out");
}

void shoal_repl_acknowledge(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->log != NULL);
    if (repl->master.state == REPL_LINK_ONLINE) shoal_repl__send_ack(repl);
}

/* ---- bytes ---- */

/* Takes one line off the input. False when none is whole. */
static bool take_line(repl_master *master, shoal_slice *line, size_t *used)
{
    shoal_slice input = shoal_buffer_slice(&master->input);
    size_t size = shoal_text_find(input, (shoal_slice){"\n", 1});
    if (size == SHOAL_TEXT_NONE) return false;
    *used = size + 1;
    if (size > 0 && input.data[size - 1] == '\r') size--;
    *line = (shoal_slice){input.data, size};
    SHOAL_ASSERT(line->size < *used && *used <= input.size);
    return true;
}

/* Lines of the handshake and the one before the snapshot. */
static void take_lines(shoal_repl *repl)
{
    repl_master *master = &repl->master;
    for (;;) {
        bool handshake = master->state >= REPL_LINK_PING && master->state <= REPL_LINK_PSYNC;
        bool transfer = master->state == REPL_LINK_TRANSFER && !master->announced;
        shoal_slice line;
        size_t used;
        if (!handshake && !transfer) return;
        if (!take_line(master, &line, &used)) break;
        /* An empty line says that the master is still there. */
        if (line.size != 0 && transfer && !hear_announcement(repl, line)) {
            shoal_repl__retry(repl, "the master's announcement of a snapshot makes no sense");
            return;
        }
        if (line.size != 0 && handshake) shoal_repl__hear(repl, line);
        if (master->link == 0) return;
        SHOAL_ASSERT(used <= shoal_buffer_size(&master->input));
        shoal_buffer_consume(&master->input, used);
    }
    if (shoal_buffer_size(&master->input) > LINE_MAX_SIZE)
        shoal_repl__retry(repl, "the master's answer has no end");
    SHOAL_ASSERT(master->state != REPL_LINK_NONE);
}

static void take_bytes(shoal_repl *repl, shoal_slice bytes)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(master->link != 0);
    SHOAL_ASSERT(master->state >= REPL_LINK_PING);
    master->heard_us = repl->now.mono_us;
    shoal_store_relaxed(&repl->env->master_heard_us, master->heard_us);
    if (master->state == REPL_LINK_ONLINE) {
        repl->face.apply(repl->face.context, bytes);
        return;
    }
    shoal_buffer_append(&master->input, bytes);
    if (master->input.failed) {
        shoal_repl__retry(repl, "no memory for what the master sends");
        return;
    }
    take_lines(repl);
    if (master->state == REPL_LINK_TRANSFER && master->announced && !master->whole)
        take_snapshot(repl);
    if (master->state == REPL_LINK_ONLINE) apply_input(repl);
    hold_link(repl);
}

void shoal_repl__link_event(shoal_repl *repl, const shoal_event *event)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(event->link == master->link && event->link != 0);
    switch (event->kind) {
    case SHOAL_EVENT_LINK_UP:
        SHOAL_ASSERT(master->state == REPL_LINK_CONNECTING);
        master->heard_us = repl->now.mono_us;
        shoal_repl__log(repl, REPL_NOTICE, "Non blocking connect for SYNC fired the event.");
        shoal_repl__link_enter(repl, REPL_LINK_PING);
        shoal_repl__say(repl);
        return;
    case SHOAL_EVENT_LINK_DATA: take_bytes(repl, event->data); return;
    case SHOAL_EVENT_LINK_DOWN:
        master->link = 0;
        master->held = false;
        if (master->state == REPL_LINK_LOADING) return;
        shoal_repl__retry(repl, master->state == REPL_LINK_CONNECTING
                                    ? "no connection"
                                    : "Connection with master lost.");
        return;
    case SHOAL_EVENT_LINK_FULL:
    case SHOAL_EVENT_LINK_ROOM: return;
    case SHOAL_EVENT_START:
    case SHOAL_EVENT_TICK:
    case SHOAL_EVENT_NUDGED:
    case SHOAL_EVENT_FILE_DONE: break;
    }
    SHOAL_UNREACHABLE();
}
