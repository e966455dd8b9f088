/* SPDX-License-Identifier: MIT
 *
 * persist/aof_state.h: when what was appended is synced, up to where replies may go, and what
 * becomes of a failure. docs/decisions/fsync.md has the reasons.
 *
 * `safe` is the last place of which it is known that everything before it has arrived: behind a
 * sync, or with appendfsync no behind a mark. The log keeps what follows it. When an append or a
 * sync fails the appender stops, the file is cut at `safe`, and what follows is appended again,
 * once a second until it works.
 */
#include "persist/aof_state.h"

#include "base/assert.h"
#include "command/hold.h"

/* Between two syncs, and two marks. */
#define SYNC_INTERVAL_US 1000000
/* A sync that takes longer is counted. */
#define SYNC_SLOW_US 2000000
/* With appendfsync always, who is released by a sync comes back with something new, while others
 * have come meanwhile: the next sync waits for most of both, so that it covers all of them, but for
 * half of the time that the last one took at most, and no longer than this. Measured: without it
 * clients fall into two groups, each of which waits for the syncs of both. */
#define GATHER_US 1000
/* With appendfsync everysec a sync does not wait for its second when so much is to be synced.
 * Measured: the log keeps what is not safe, and so much of it stays in a processor's cache, where a
 * second of it would be fresh memory for each byte; and no sync is long. */
#define GROUP_BYTES ((uint64_t)8 << 20)
/* Between two attempts to repair. */
#define RETRY_INTERVAL_US 1000000

#define TAG(purpose) ((uint64_t)(purpose) << 32)

/* What holds between two steps while the log is wanted: what is safe lies before what is being
 * synced, that before what is written, and that in the log, which keeps all that is not safe. */
static void check(const shoal_aof *aof)
{
    const shoal_aof__sync *sync = &aof->sync;
    uint64_t written = shoal_appender_written(&aof->appender);
    SHOAL_ASSERT(sync->safe.at <= sync->target.at);
    SHOAL_ASSERT(sync->safe.at == shoal_log_at(&aof->keeper));
    SHOAL_ASSERT(sync->safe.at <= shoal_log_at(&aof->reader));
    SHOAL_ASSERT(sync->target.at <= written || !shoal_appender_idle(&aof->appender));
    SHOAL_ASSERT(written <= shoal_log_end(aof->log) || !shoal_appender_idle(&aof->appender));
    SHOAL_ASSERT(shoal_aof_owns(sync->safe.file));
    SHOAL_ASSERT(!shoal_aof__has_left(aof) || sync->safe.at <= sync->incr_at);
    /* One thing at a time, each while its flag says so. */
    SHOAL_ASSERT(!sync->marking || sync->waiting == 0);
    SHOAL_ASSERT(!sync->armed || (sync->waiting == 0 && !sync->marking && !sync->broken));
    SHOAL_ASSERT(sync->waiting <= 2);
    SHOAL_ASSERT(sync->repairs <= 2);
    SHOAL_ASSERT(!sync->repairing || sync->broken);
    SHOAL_ASSERT(!sync->repairing || sync->repairs > 0);
    SHOAL_ASSERT(!sync->broken || sync->why != SHOAL_ERR_OK);
    SHOAL_ASSERT(!sync->switched || !shoal_appender_idle(&aof->appender));
    SHOAL_ASSERT(!sync->noting || !shoal_appender_idle(&aof->appender));
}

/* The policy that holds now: a rewrite may silence syncs. */
static shoal_aof_policy policy(const shoal_aof *aof)
{
    if (aof->forced) return SHOAL_AOF_ALWAYS;
    SHOAL_DEBUG_ASSERT(aof->settings.policy <= SHOAL_AOF_NO);
    bool quiet = aof->settings.quiet_rewrite && aof->rewrite.phase >= SHOAL_REWRITE__BASE;
    return quiet ? SHOAL_AOF_NO : aof->settings.policy;
}

/* ---- how far replies may go ---- */

bool shoal_aof__withholds(const shoal_aof *aof)
{
    SHOAL_DEBUG_ASSERT(aof->promised || aof->promised_why == SHOAL_ERR_OK);
    return aof->promised && policy(aof) == SHOAL_AOF_ALWAYS;
}

void shoal_aof__release(shoal_aof *aof, uint64_t at)
{
    SHOAL_ASSERT(aof->env != NULL);
    /* What is synced of an increment that no manifest names is not safe. */
    if (shoal_aof__withholds(aof) && at > aof->promised_from) at = aof->promised_from;
    shoal_hold_release(aof->env, at);
}

void shoal_aof__want(shoal_aof *aof)
{
    SHOAL_ASSERT(!aof->wants);
    if (!aof->expects) shoal_log_want(aof->log, 1);
    aof->expects = false;
    SHOAL_ASSERT(shoal_log_wanted(aof->log));
}

void shoal_aof__unwant(shoal_aof *aof)
{
    SHOAL_ASSERT(shoal_log_wanted(aof->log));
    SHOAL_ASSERT(!aof->expects);
    aof->expects = aof->promised;
    if (!aof->expects) shoal_log_want(aof->log, -1);
}

void shoal_aof__end_promise(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->state != SHOAL_AOF_FAILED);
    bool withheld = shoal_aof__withholds(aof);
    aof->promised = false;
    aof->promised_why = SHOAL_ERR_OK;
    SHOAL_ASSERT(!shoal_aof__withholds(aof));
    if (aof->expects) shoal_log_want(aof->log, -1);
    aof->expects = false;
    if (withheld) shoal_hold_release(aof->env, aof->wants ? aof->sync.safe.at : SHOAL_RELEASED_ALL);
}

static void ask(shoal_aof *aof, shoal_appender_request request)
{
    SHOAL_ASSERT(aof->wants);
    shoal_appender_ask(&aof->appender, &request, aof->now);
}

/* ---- syncs that the appender asks for ---- */

void shoal_aof__disarm(shoal_aof *aof)
{
    shoal_aof__sync *sync = &aof->sync;
    if (!sync->armed) return;
    SHOAL_ASSERT(sync->waiting == 0);
    SHOAL_ASSERT(!sync->marking);
    sync->armed = false;
    if (shoal_appender_disarm(&aof->appender, &sync->target, &sync->began_us)) return;
    sync->waiting = 1;
    sync->delayed = false;
    sync->error = SHOAL_ERR_OK;
}

/* One that it has asked for is under way like any other. */
static void notice_group(shoal_aof *aof)
{
    SHOAL_DEBUG_ASSERT(!aof->sync.armed || aof->wants);
    if (aof->sync.armed && shoal_appender_has_grouped(&aof->appender)) shoal_aof__disarm(aof);
    SHOAL_DEBUG_ASSERT(aof->sync.waiting <= 2);
}

/* The place from which on a group is worth a sync: with `always` that of most of those who were
 * released, and most of who have come meanwhile. */
static uint64_t group_from(const shoal_aof *aof)
{
    const shoal_aof__sync *sync = &aof->sync;
    SHOAL_DEBUG_ASSERT(policy(aof) != SHOAL_AOF_NO);
    if (policy(aof) == SHOAL_AOF_EVERYSEC) return sync->safe.at + GROUP_BYTES;
    uint64_t most = sync->gather_bytes - sync->gather_bytes / 8;
    SHOAL_DEBUG_ASSERT(most <= sync->gather_bytes);
    return sync->safe.at + (most > 0 ? most : 1);
}

/* While nothing else is to be done with files. */
static bool may_arm(const shoal_aof *aof)
{
    const shoal_aof__sync *sync = &aof->sync;
    bool busy = sync->waiting > 0 || sync->marking || sync->noting || sync->switched;
    bool trouble = sync->broken || sync->repairing || sync->repairs > 0;
    SHOAL_ASSERT(aof->wants);
    if (sync->armed || busy || trouble || sync->left_file != 0) return false;
    if (aof->forced || aof->finishing || aof->signing || aof->rewrite.mends) return false;
    return policy(aof) != SHOAL_AOF_NO && shoal_appender_idle(&aof->appender) &&
           !shoal_aof__has_left(aof);
}

static void arm(shoal_aof *aof)
{
    shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(may_arm(aof));
    sync->armed = true;
    int64_t until = policy(aof) == SHOAL_AOF_ALWAYS ? sync->gather_until_us : SHOAL_NEVER;
    shoal_appender_arm(&aof->appender, group_from(aof), until);
}

void shoal_aof__apply_policy(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->appender.log != NULL);
    shoal_aof__disarm(aof);
    shoal_appender *appender = &aof->appender;
    bool always = policy(aof) == SHOAL_AOF_ALWAYS;
    bool lenient = aof->sync.broken && !always;
    bool changed = always != shoal_load_relaxed(&appender->always) ||
                   lenient != shoal_load_relaxed(&appender->lenient);

    shoal_store_relaxed(&appender->timestamps, aof->settings.timestamps);
    if (!changed) return;
    shoal_store_relaxed(&appender->always, always);
    shoal_store_relaxed(&appender->lenient, lenient);
    if (!aof->wants) {
        shoal_aof__release(aof, SHOAL_RELEASED_ALL);
        return;
    }
    if (always) shoal_aof__release(aof, aof->sync.safe.at);
    if (!always && !shoal_load_relaxed(&appender->running))
        shoal_aof__release(aof, SHOAL_RELEASED_ALL);
    /* Whoever has the turn then says how far replies may go. */
    if (shoal_appender_idle(appender)) {
        aof->sync.noting = true;
        ask(aof, (shoal_appender_request){.wish = SHOAL_APPENDER_NOTE});
    }
}

/* ---- beginning and end ---- */

/* A file that has `size` bytes begins, or goes on, where the log ends: an empty one says the
 * database if what follows does not, and so it does whenever it is begun again. */
static shoal_appender_request begin_file(shoal_aof *aof, shoal_appender_wish wish, shoal_file file,
                                         uint64_t size)
{
    shoal_aof__sync *sync = &aof->sync;
    uint32_t db = SHOAL_LOG_DB_ANY;
    SHOAL_ASSERT(shoal_aof_owns(file));
    if (aof->options.database != NULL) db = aof->options.database(aof->options.context);
    _Static_assert(SHOAL_LOG_DB_ANY == UINT32_MAX, "it is none of the databases");
    /* A file that says nothing is about database 0. */
    sync->incr_selects = size == 0 && db != 0 && db < aof->options.databases;
    sync->incr_db = db;
    sync->incr_at = shoal_log_end(aof->log);
    return (shoal_appender_request){
        .wish = wish, .file = file, .size = size, .selects = sync->incr_selects, .db = db};
}

bool shoal_aof__go_on(shoal_aof *aof, uint64_t from, uint64_t size)
{
    SHOAL_ASSERT(!aof->wants);
    SHOAL_ASSERT(aof->sync.waiting == 0);
    SHOAL_ASSERT(aof->sync.repairs == 0);
    if (!shoal_log_reader_open(aof->log, &aof->reader, from)) return false;
    if (!shoal_log_reader_open(aof->log, &aof->keeper, from)) {
        shoal_log_reader_close(aof->log, &aof->reader);
        return false;
    }
    aof->wants = true;
    aof->sync = (shoal_aof__sync){.delayed_count = aof->sync.delayed_count};
    aof->sync.safe = aof->sync.target =
        (shoal_appender_note){.at = from, .file = aof->incr, .size = size};
    aof->sync.began_us = aof->now.mono_us;
    aof->sync.synced = from;
    shoal_store_relaxed(&aof->appender.always, policy(aof) == SHOAL_AOF_ALWAYS);
    shoal_store_relaxed(&aof->appender.lenient, false);
    shoal_store_relaxed(&aof->appender.timestamps, aof->settings.timestamps);
    shoal_aof__release(aof, from);
    ask(aof, begin_file(aof, SHOAL_APPENDER_START, aof->incr, size));
    SHOAL_ASSERT(aof->sync.incr_at >= from);
    return true;
}

/* Waits for the turn's holder: it is a matter of one append. Returns when nothing is asked. */
static void settle_request(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->wants);
    while (!shoal_appender_idle(&aof->appender)) (void)shoal_appender_answer(&aof->appender);
    SHOAL_ASSERT(shoal_appender_idle(&aof->appender));
    aof->sync.noting = aof->sync.switched = false;
}

void shoal_aof__stop(shoal_aof *aof)
{
    if (!aof->wants) return;
    shoal_aof__disarm(aof);
    settle_request(aof);
    ask(aof, (shoal_appender_request){.wish = SHOAL_APPENDER_STOP});
    settle_request(aof);
    SHOAL_ASSERT(!shoal_load_relaxed(&aof->appender.running));
    /* A last sync, which nobody waits for. */
    if (!aof->sync.broken) {
        aof->sync.waiting++;
        aof->host->file_sync(aof->host->context, aof->incr, TAG(SHOAL_AOF__FOR_SYNC));
    }
    shoal_log_reader_close(aof->log, &aof->reader);
    shoal_log_reader_close(aof->log, &aof->keeper);
    shoal_aof__unwant(aof);
    aof->wants = false;
    aof->sync.broken = aof->sync.repairing = false;
    aof->sync.marking = false;
    shoal_aof__release(aof, SHOAL_RELEASED_ALL);
}

/* ---- syncs ---- */

/* Everything up to the note has arrived. */
static void become_safe(shoal_aof *aof, const shoal_appender_note *note)
{
    SHOAL_ASSERT(aof->wants);
    SHOAL_ASSERT(!aof->sync.broken);
    SHOAL_ASSERT(note->at >= aof->sync.safe.at);
    SHOAL_ASSERT(note->at <= shoal_log_at(&aof->reader));
    int64_t patience_us = (aof->now.mono_us - aof->sync.began_us) / 2;
    aof->sync.gather_bytes = shoal_appender_written(&aof->appender) - aof->sync.safe.at;
    aof->sync.gather_until_us =
        aof->now.mono_us + (patience_us < GATHER_US ? patience_us : GATHER_US);
    aof->sync.safe = *note;
    /* Who waits is told first. */
    if (policy(aof) == SHOAL_AOF_ALWAYS) shoal_aof__release(aof, note->at);
    shoal_log_skip(&aof->keeper, note->at - shoal_log_at(&aof->keeper));
    (void)shoal_log_trim(aof->log, aof->settings.backlog);
}

/* The appender has said how far it is. */
static void noted(shoal_aof *aof, const shoal_appender_note *note)
{
    shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(note->at >= sync->target.at);
    SHOAL_ASSERT(sync->waiting == 0);
    SHOAL_ASSERT(!sync->marking);
    SHOAL_ASSERT(!sync->broken);
    bool left = sync->left_file != 0;

    if (left && !aof->left_skipped) aof->size_before += sync->left_size;
    if (left) aof->left_seen = true;
    sync->target = *note;
    bool unsynced = aof->forced && sync->synced < note->at;
    if (note->at == sync->safe.at && !left && !unsynced) return;
    if (policy(aof) == SHOAL_AOF_NO && !left) {
        sync->marking = true;
        aof->host->file_append(aof->host->context, note->file, (shoal_slice){0},
                               TAG(SHOAL_AOF__FOR_MARK));
        return;
    }
    sync->began_us = aof->now.mono_us;
    sync->delayed = false;
    sync->error = SHOAL_ERR_OK;
    sync->waiting = 1u + left;
    if (left) aof->host->file_sync(aof->host->context, sync->left_file, TAG(SHOAL_AOF__FOR_SYNC));
    sync->left_file = 0;
    aof->host->file_sync(aof->host->context, note->file, TAG(SHOAL_AOF__FOR_SYNC));
}

static void collect_answer(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->wants);
    SHOAL_ASSERT(!aof->sync.noting || !aof->sync.switched);
    if (aof->sync.switched) return; /* it is shoal_aof__switch's */
    const shoal_appender_request *answer = shoal_appender_answer(&aof->appender);

    if (answer == NULL) return;
    SHOAL_ASSERT(!aof->sync.armed);
    if (answer->wish == SHOAL_APPENDER_STOP) aof->sync.stopped = true;
    if (!aof->sync.noting) return;
    aof->sync.noting = false;
    /* That a file has been left is told once, perhaps while a sync is under way that cannot see to
     * it: the next one does. */
    if (answer->wish == SHOAL_APPENDER_NOTE && answer->note.old_file != 0) {
        aof->sync.left_file = answer->note.old_file;
        aof->sync.left_size = answer->note.old_size;
    }
    if (answer->wish == SHOAL_APPENDER_NOTE && !aof->sync.broken && aof->sync.waiting == 0 &&
        !aof->sync.marking)
        noted(aof, &answer->note);
}

bool shoal_aof__switch(shoal_aof *aof, shoal_file file)
{
    shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(shoal_aof_owns(file));
    SHOAL_ASSERT(file != aof->incr);
    collect_answer(aof);
    if (!sync->switched) {
        if (!shoal_appender_idle(&aof->appender)) return false;
        shoal_aof__disarm(aof);
        sync->switched = true;
        ask(aof, begin_file(aof, SHOAL_APPENDER_SWITCH, file, 0));
    }
    const shoal_appender_request *answer = shoal_appender_answer(&aof->appender);
    if (answer == NULL) return false;
    SHOAL_ASSERT(answer->wish == SHOAL_APPENDER_SWITCH);
    sync->switched = false;
    return true;
}

bool shoal_aof__has_left(const shoal_aof *aof)
{
    SHOAL_ASSERT(aof->sync.safe.file != 0 || !aof->wants);
    return aof->wants && !aof->sync.switched && aof->sync.safe.file != aof->incr;
}

/* Is there something to sync, or to mark, and is it time? */
static bool is_due(const shoal_aof *aof)
{
    const shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(aof->wants);
    if (sync->waiting > 0 || sync->marking || sync->noting || sync->broken) return false;
    if (shoal_aof__has_left(aof)) return true;
    if (aof->forced && shoal_appender_written(&aof->appender) > sync->synced) return true;
    if (shoal_appender_written(&aof->appender) <= sync->safe.at) return false;
    if (aof->finishing || aof->rewrite.mends) return true;
    if (policy(aof) == SHOAL_AOF_ALWAYS)
        return shoal_appender_written(&aof->appender) >= group_from(aof) ||
               aof->now.mono_us >= sync->gather_until_us;
    return aof->now.mono_us - sync->began_us >= SYNC_INTERVAL_US;
}

/* ---- trouble ---- */

void shoal_aof__break(shoal_aof *aof, shoal_err why, bool lost_sync)
{
    shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(why != SHOAL_ERR_OK);
    if (!aof->wants) return;
    shoal_aof__disarm(aof);
    if (!sync->broken)
        shoal_aof__log(aof, SHOAL_AOF__WARNING,
                       lost_sync ? "Fail to fsync the AOF file: %s"
                                 : "Error writing to the AOF file: %s",
                       shoal_err_text(why));
    sync->why = why;
    sync->repairing = false;
    sync->marking = false;
    sync->retry_us = aof->now.mono_us + (sync->broken ? RETRY_INTERVAL_US : 0);
    sync->broken = true;
    sync->stopped = false;
    shoal_aof__apply_policy(aof);
}

/* Cuts a file, as a part of a repair. */
static void cut(shoal_aof *aof, shoal_file file, uint64_t size)
{
    SHOAL_ASSERT(aof->sync.repairing);
    SHOAL_ASSERT(aof->sync.repairs == 0);
    aof->sync.repairs++;
    aof->host->file_truncate(aof->host->context, file, size, TAG(SHOAL_AOF__FOR_REPAIR));
}

/* Cuts the file where all is well, and appends what follows once more. When that is the file before
 * the present one, the present one is emptied first. Then each takes what was its own: what stands
 * in the file before may lean on a database that was named there, and a base has all of it. */
static void repair(shoal_aof *aof)
{
    shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(sync->broken);
    SHOAL_ASSERT(sync->stopped && !sync->repairing);
    SHOAL_ASSERT(!shoal_load_relaxed(&aof->appender.running));
    sync->repairing = true;
    sync->emptying = shoal_aof__has_left(aof);
    if (!sync->emptying) {
        cut(aof, sync->safe.file, sync->safe.size);
        return;
    }
    cut(aof, aof->incr, 0);
}

/* The appender leaves the file before the present one once more, and tells of it. */
static void unsee_left(shoal_aof *aof)
{
    SHOAL_ASSERT(shoal_aof__has_left(aof));
    SHOAL_ASSERT(!aof->left_skipped);
    if (!aof->left_seen) return;
    SHOAL_ASSERT(aof->size_before >= aof->sync.left_size);
    aof->size_before -= aof->sync.left_size;
    aof->left_seen = false;
}

static void repair_cut(shoal_aof *aof, shoal_err error)
{
    shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(sync->repairing);
    SHOAL_ASSERT(sync->stopped);
    if (error != SHOAL_ERR_OK) {
        shoal_aof__break(aof, error, false);
        return;
    }
    if (sync->emptying) {
        sync->emptying = false;
        cut(aof, sync->safe.file, sync->safe.size);
        return;
    }
    SHOAL_ASSERT(shoal_log_at(&aof->keeper) == sync->safe.at);
    shoal_log_reader_close(aof->log, &aof->reader);
    bool opened = shoal_log_reader_open(aof->log, &aof->reader, sync->safe.at);
    SHOAL_ASSERT(opened);
    sync->stopped = false;
    sync->left_file = 0;
    bool left = shoal_aof__has_left(aof);
    if (left) unsee_left(aof);
    shoal_appender_request request = {.wish = SHOAL_APPENDER_START,
                                      .file = aof->incr,
                                      .size = left ? 0 : sync->safe.size,
                                      .first = left ? sync->safe.file : 0,
                                      .first_size = sync->safe.size,
                                      .until = sync->incr_at,
                                      .selects = sync->incr_selects,
                                      .db = sync->incr_db};
    request.selects = request.selects && request.size == 0;
    sync->target = sync->safe;
    ask(aof, request);
    /* The syncs say whether the bytes have arrived; errors of appends come before them. */
    sync->repairs = 1u + left;
    if (left) aof->host->file_sync(aof->host->context, sync->safe.file, TAG(SHOAL_AOF__FOR_REPAIR));
    aof->host->file_sync(aof->host->context, aof->incr, TAG(SHOAL_AOF__FOR_REPAIR));
}

static void repaired(shoal_aof *aof, shoal_err error)
{
    shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(sync->repairing);
    SHOAL_ASSERT(!sync->emptying);
    if (error != SHOAL_ERR_OK) {
        shoal_aof__break(aof, error, true);
        return;
    }
    if (sync->repairs > 0) return;
    sync->broken = sync->repairing = false;
    if (sync->synced < sync->safe.at) sync->synced = sync->safe.at;
    sync->began_us = 0;
    shoal_aof__log(aof, SHOAL_AOF__WARNING, "AOF write error looks solved, Redis can write again.");
    shoal_aof__apply_policy(aof);
}

/* An operation of a repair has ended, which may have been given up meanwhile. */
static void repair_done(shoal_aof *aof, const shoal_event *event)
{
    shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(event->op == SHOAL_FILE_SYNC || event->op == SHOAL_FILE_TRUNCATE);
    SHOAL_ASSERT(sync->repairs > 0);
    sync->repairs--;
    if (!aof->wants || !sync->repairing) return;
    if (event->op == SHOAL_FILE_SYNC)
        repaired(aof, event->error);
    else
        repair_cut(aof, event->error);
}

static void trouble_step(shoal_aof *aof)
{
    shoal_aof__sync *sync = &aof->sync;
    SHOAL_ASSERT(sync->broken);
    if (sync->repairing || sync->waiting > 0 || sync->repairs > 0) return;
    if (!sync->stopped) {
        if (shoal_appender_idle(&aof->appender)) {
            ask(aof, (shoal_appender_request){.wish = SHOAL_APPENDER_STOP});
            collect_answer(aof);
        }
        if (!sync->stopped) return;
    }
    if (aof->now.mono_us >= sync->retry_us) repair(aof);
}

shoal_err shoal_aof_trouble(const shoal_aof *aof)
{
    SHOAL_ASSERT(!aof->sync.broken || aof->sync.why != SHOAL_ERR_OK);
    if (aof->sync.broken) return aof->sync.why;
    if (shoal_aof__withholds(aof) && aof->promised_why != SHOAL_ERR_OK) return aof->promised_why;
    return aof->wants && shoal_log_torn(aof->log) ? SHOAL_ERR_NO_MEMORY : SHOAL_ERR_OK;
}

/* ---- events and steps ---- */

void shoal_aof__sync_done(shoal_aof *aof, const shoal_event *event)
{
    shoal_aof__sync *sync = &aof->sync;
    uint64_t purpose = event->tag >> 32;
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_FILE_DONE);

    notice_group(aof);
    if (purpose == SHOAL_AOF__FOR_SYNC) {
        if (sync->waiting == 0) return;
        if (sync->error == SHOAL_ERR_OK) sync->error = event->error;
        if (--sync->waiting > 0 || !aof->wants || sync->broken) return;
        if (sync->error == SHOAL_ERR_OK) {
            become_safe(aof, &sync->target);
            sync->synced = sync->target.at;
        } else {
            shoal_aof__break(aof, sync->error, true);
        }
        return;
    }
    if (purpose == SHOAL_AOF__FOR_MARK) {
        if (!aof->wants || !sync->marking) return;
        sync->marking = false;
        sync->began_us = aof->now.mono_us;
        if (event->error == SHOAL_ERR_OK)
            become_safe(aof, &sync->target);
        else
            shoal_aof__break(aof, event->error, false);
        return;
    }
    SHOAL_ASSERT(purpose == SHOAL_AOF__FOR_REPAIR);
    repair_done(aof, event);
}

void shoal_aof__sync_step(shoal_aof *aof)
{
    shoal_aof__sync *sync = &aof->sync;

    if (aof->expects) (void)shoal_log_trim(aof->log, aof->settings.backlog);
    if (!aof->wants) return;
    shoal_appender_turn(&aof->appender, aof->now);
    notice_group(aof);
    collect_answer(aof);
    if (sync->waiting > 0 && !sync->delayed && aof->now.mono_us - sync->began_us >= SYNC_SLOW_US) {
        sync->delayed = true;
        sync->delayed_count++;
        shoal_aof__log(aof, SHOAL_AOF__NOTICE,
                       "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF "
                       "buffer without waiting for fsync to complete, this may slow down Redis.");
    }
    if (sync->broken) trouble_step(aof);
    check(aof);
    /* What is due is looked for behind the arming: see claim A5 of persist/aof_append.c. */
    if (may_arm(aof)) arm(aof);
    if (!is_due(aof) || !shoal_appender_idle(&aof->appender)) return;
    shoal_aof__disarm(aof);
    if (sync->waiting > 0) return;
    sync->noting = true;
    ask(aof, (shoal_appender_request){.wish = SHOAL_APPENDER_NOTE});
    collect_answer(aof);
    check(aof);
}

int64_t shoal_aof__sync_deadline(const shoal_aof *aof)
{
    const shoal_aof__sync *sync = &aof->sync;

    if (!aof->wants) return SHOAL_NEVER;
    /* What is under way ends with an event, and the appender's answer with a nudge. */
    bool waits = !sync->stopped || sync->repairing || sync->waiting > 0 || sync->repairs > 0;
    if (sync->broken) return waits ? SHOAL_NEVER : sync->retry_us;
    if (sync->waiting > 0) return sync->delayed ? SHOAL_NEVER : sync->began_us + SYNC_SLOW_US;
    /* A mark that was made while syncs were to wait may still be under way when they are not. */
    if (sync->marking) return SHOAL_NEVER;
    if (policy(aof) == SHOAL_AOF_ALWAYS && shoal_appender_written(&aof->appender) > sync->safe.at)
        return sync->gather_until_us;
    /* Whoever appends does not tell, so it is looked at once a second. */
    int64_t due = sync->began_us + SYNC_INTERVAL_US;
    SHOAL_ASSERT(sync->began_us <= aof->now.mono_us);
    return due > aof->now.mono_us ? due : aof->now.mono_us + SYNC_INTERVAL_US;
}

static void signed_now(shoal_aof *aof, shoal_err error)
{
    SHOAL_ASSERT(aof->signing);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    if (error != SHOAL_ERR_OK)
        shoal_aof__log(aof, SHOAL_AOF__WARNING, "The end of the AOF could not be signed: %s",
                       shoal_err_text(error));
}

bool shoal_aof_sign(shoal_aof *aof, shoal_slice id, uint32_t db, shoal_time now)
{
    SHOAL_ASSERT(now.mono_us >= aof->now.mono_us);
    if (aof->signing || shoal_aof__is_busy(aof)) return aof->signing && !shoal_aof__is_busy(aof);
    if (!aof->wants || aof->sync.broken || aof->state != SHOAL_AOF_ON) return true;
    if (shoal_log_torn(aof->log)) return true;
    aof->now = now;
    aof->signing = true;
    shoal_aof__disarm(aof);
    settle_request(aof);
    ask(aof, (shoal_appender_request){.wish = SHOAL_APPENDER_STOP});
    settle_request(aof);
    /* What the files have, and nothing is added to that. */
    uint64_t at = shoal_appender_written(&aof->appender);
    shoal_buffer line = shoal_buffer_make(&aof->allocator);
    shoal_aof_write_history(&line, id, at, db);
    shoal_aof__begin(aof, signed_now);
    shoal_aof__append(aof, aof->incr, shoal_buffer_slice(&line));
    shoal_aof__sync_file(aof, aof->incr);
    shoal_buffer_free(&line);
    return false;
}

void shoal_aof_force(shoal_aof *aof, bool force, shoal_time now)
{
    SHOAL_ASSERT(now.mono_us >= aof->now.mono_us);
    SHOAL_ASSERT(aof->appender.log != NULL);
    aof->now = now;
    if (aof->forced == force) return;
    aof->forced = force;
    shoal_aof__apply_policy(aof);
}

bool shoal_aof_has(const shoal_aof *aof, uint64_t offset)
{
    SHOAL_DEBUG_ASSERT(offset <= shoal_log_end(aof->log));
    if (shoal_appender_written(&aof->appender) >= offset) return true;
    SHOAL_DEBUG_ASSERT(offset > 0);
    return !shoal_load_relaxed(&aof->appender.running);
}

uint64_t shoal_aof_synced(const shoal_aof *aof)
{
    SHOAL_ASSERT(aof->sync.synced <= shoal_log_end(aof->log));
    SHOAL_ASSERT(aof->state != SHOAL_AOF_FAILED);
    return aof->sync.synced;
}

bool shoal_aof_finish(shoal_aof *aof, shoal_time now)
{
    SHOAL_ASSERT(now.mono_us >= aof->now.mono_us);
    aof->now = now;
    if (!aof->wants || aof->sync.broken || aof->signing) return true;
    if (!aof->finishing) shoal_aof__log(aof, SHOAL_AOF__NOTICE, "Calling fsync() on the AOF file.");
    aof->finishing = true;
    shoal_aof__disarm(aof);
    shoal_aof__sync_step(aof);
    if (aof->sync.waiting > 0 || aof->sync.marking || aof->sync.noting) return false;
    return shoal_appender_written(&aof->appender) <= aof->sync.safe.at && !shoal_aof__has_left(aof);
}
