/* SPDX-License-Identifier: MIT
 *
 * persist/aof_state.h: the rewrite. A new increment is made and named; in a moment of the store a
 * cut begins and the appender goes over to the new increment; what the cut hands out is written as
 * the next base; then the manifest says that base and increment are all there is. When anything
 * fails the files that were are still whole, with one increment more.
 */
#include "persist/aof_state.h"

#include "base/assert.h"
#include "base/text.h"
#include "store/moment.h"

/* Keys of one step. Chosen: some hundred microseconds. */
#define STEP_KEYS 512u
/* Appends that may be under way: a few MB. */
#define IN_FLIGHT_MAX 48u
/* How soon a moment is asked for again. */
#define MOMENT_POLL_US 50
/* Failures from which on automatic rewrites wait longer and longer, as in Redis. */
#define FAILURES_MAX 3u
#define DELAY_MINUTES_MAX 60u

#define US_PER_S 1000000

static void placed(shoal_aof *aof, shoal_err error);

/* ---- ends ---- */

static void unprepare(shoal_aof *aof)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(!rewrite->wished || rewrite->prepared);
    SHOAL_ASSERT(!aof->sync.switched);
    if (rewrite->wished) shoal_moment_end(aof->options.thread);
    if (rewrite->prepared) shoal_moment_prepare(aof->options.thread, -1);
    rewrite->wished = rewrite->prepared = false;
}

static void finish(shoal_aof *aof)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->phase != SHOAL_REWRITE__NONE);
    SHOAL_ASSERT(rewrite->writer == NULL);
    SHOAL_ASSERT(rewrite->in_flight == 0);
    SHOAL_ASSERT(rewrite->began_us <= aof->now.mono_us);
    unprepare(aof);
    rewrite->phase = SHOAL_REWRITE__NONE;
    aof->rewrite_time_s = (aof->now.mono_us - rewrite->began_us) / US_PER_S;
    shoal_aof__apply_policy(aof);
}

/* The next automatic one waits, the longer the more have failed. */
static void put_off(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->failures > 0);
    SHOAL_ASSERT(!aof->rewrite_ok);
    aof->retry_rewrite_us = aof->now.mono_us + US_PER_S;
    /* Nor does it where writes are refused until it succeeds. */
    if (aof->failures < FAILURES_MAX || shoal_aof__withholds(aof)) return;
    uint64_t doublings = aof->failures - FAILURES_MAX;
    uint32_t minutes = doublings > 5 ? DELAY_MINUTES_MAX : 1u << doublings;
    aof->retry_rewrite_us = aof->now.mono_us + (int64_t)minutes * 60 * US_PER_S;
    shoal_aof__log(aof, SHOAL_AOF__WARNING,
                   "Background AOF rewrite has repeatedly failed and triggered the limit, will "
                   "retry in %d minutes",
                   (int)minutes);
}

static void base_removed(shoal_aof *aof, shoal_err error)
{
    (void)error;
    SHOAL_ASSERT(aof->rewrite.phase != SHOAL_REWRITE__NONE);
    finish(aof);
    shoal_aof__collect(aof);
}

static void fail(shoal_aof *aof, shoal_err error)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(error != SHOAL_ERR_OK);
    SHOAL_ASSERT(rewrite->phase != SHOAL_REWRITE__NONE);
    SHOAL_ASSERT(rewrite->writer == NULL);
    bool killed = error == SHOAL_ERR_CLOSED;

    unprepare(aof);
    aof->rewrite_ok = killed ? aof->rewrite_ok : false;
    if (!killed) {
        shoal_aof__log(aof, SHOAL_AOF__WARNING, "Background AOF rewrite terminated with error");
        shoal_aof__log(aof, SHOAL_AOF__WARNING, "Write error writing append only file on disk: %s",
                       shoal_err_text(error));
        aof->failures++;
        if (aof->promised) aof->promised_why = error;
        put_off(aof);
    }
    if (rewrite->enables) {
        shoal_aof__log(aof, SHOAL_AOF__NOTICE,
                       "Removing the temp incr aof file %.*s in the background",
                       (int)aof->file_name.end, aof->file_name.data);
        shoal_aof__stop(aof);
    }
    shoal_aof__begin(aof, base_removed);
    shoal_aof__remove(aof, SHOAL_AOF__BASE_NEW);
}

void shoal_aof__rewrite_drop(shoal_aof *aof)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->writer == NULL || rewrite->phase == SHOAL_REWRITE__BASE);
    if (rewrite->writer != NULL) shoal_snapshot_drop(rewrite->writer);
    rewrite->writer = NULL;
    SHOAL_ASSERT(rewrite->writer == NULL);
}

/* ---- beginning ---- */

static void name_temp_base(shoal_aof *aof)
{
    shoal_buffer name = shoal_buffer_make(&aof->allocator);
    SHOAL_ASSERT(aof->rewrite.in_flight == 0);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    shoal_text_appendf(&name, "temp-rewriteaof-bg-%llu.aof",
                       (unsigned long long)aof->env->process_id);
    shoal_aof__bind_above(aof, SHOAL_AOF__BASE_NEW, shoal_buffer_slice(&name));
    shoal_buffer_free(&name);
}

static void want_moment(shoal_aof *aof, shoal_err error)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->phase == SHOAL_REWRITE__INCR);
    SHOAL_ASSERT(!rewrite->prepared && !rewrite->wished);
    if (error != SHOAL_ERR_OK) {
        fail(aof, error);
        return;
    }
    rewrite->phase = SHOAL_REWRITE__MOMENT;
    shoal_moment_prepare(aof->options.thread, 1);
    rewrite->prepared = true;
}

static void incr_made(shoal_aof *aof, shoal_err error)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->phase == SHOAL_REWRITE__INCR);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    bool named = rewrite->switches && !rewrite->enables;
    if (error == SHOAL_ERR_OK && named)
        shoal_aof__write_manifest(aof, &rewrite->next, want_moment);
    else
        want_moment(aof, error);
}

bool shoal_aof__rewrite_begin(shoal_aof *aof, bool enables)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->phase == SHOAL_REWRITE__NONE && rewrite->writer == NULL);
    SHOAL_ASSERT(rewrite->in_flight == 0);
    SHOAL_ASSERT(!rewrite->prepared);
    SHOAL_ASSERT(!aof->suspended);
    shoal_aof__disarm(aof);
    bool settled = aof->sync.waiting == 0 && aof->sync.repairs == 0 &&
                   (!aof->wants || (aof->left_seen && !aof->sync.marking && !aof->sync.broken));
    if (!settled || !shoal_manifest_copy(&aof->manifest, &rewrite->next)) {
        aof->scheduled = !enables;
        return false;
    }
    SHOAL_ASSERT(!enables || !aof->wants);
    rewrite->phase = SHOAL_REWRITE__INCR;
    rewrite->enables = enables;
    rewrite->switches = enables || aof->wants;
    rewrite->error = SHOAL_ERR_OK;
    rewrite->began_us = aof->now.mono_us;
    rewrite->base_bytes = 0;
    rewrite->over = false;
    rewrite->rdb = aof->settings.rdb_base;
    rewrite->mends = aof->wants && shoal_log_torn(aof->log);
    name_temp_base(aof);
    shoal_aof__log(aof, SHOAL_AOF__NOTICE,
                   "Background append only file rewriting started by pid %lld",
                   (long long)aof->env->process_id);
    shoal_aof__begin(aof, incr_made);
    shoal_aof__remove(aof, SHOAL_AOF__BASE_NEW);
    if (!rewrite->switches) return true;
    if (!shoal_manifest_add_incr(&rewrite->next, aof->options.file_name)) {
        rewrite->error = aof->sequence.error = SHOAL_ERR_NO_MEMORY;
        return true;
    }
    shoal_slice name = shoal_aof__incr_name(&rewrite->next);
    shoal_file file = aof->incr == SHOAL_AOF__INCR ? SHOAL_AOF__INCR_2 : SHOAL_AOF__INCR;
    if (enables) file = aof->incr;
    shoal_aof__log(aof, SHOAL_AOF__NOTICE, "Creating AOF incr file %.*s on background rewrite",
                   (int)name.size, name.data);
    shoal_aof__bind(aof, file, name);
    shoal_aof__remove(aof, file);
    shoal_aof__append(aof, file, (shoal_slice){0});
    shoal_aof__sync_file(aof, file);
    return true;
}

/* ---- the moment ---- */

static void take_bytes(void *context, shoal_slice bytes)
{
    shoal_aof *aof = context;
    SHOAL_DEBUG_ASSERT(bytes.size > 0);
    SHOAL_ASSERT(aof->rewrite.phase == SHOAL_REWRITE__MOMENT ||
                 aof->rewrite.phase == SHOAL_REWRITE__BASE);
    uint32_t told = bytes.size < UINT32_MAX ? (uint32_t)bytes.size : UINT32_MAX;
    aof->rewrite.in_flight++;
    aof->rewrite.in_flight_bytes += told;
    aof->rewrite.base_bytes += bytes.size;
    aof->host->file_append(aof->host->context, SHOAL_AOF__BASE_NEW, bytes,
                           (uint64_t)SHOAL_AOF__FOR_BASE << 32 | told);
}

/* A base of commands has no bytes where there is no key; it is a file all the same. */
static void create_base(shoal_aof *aof)
{
    SHOAL_ASSERT(!aof->rewrite.rdb);
    SHOAL_ASSERT(aof->rewrite.base_bytes == 0);
    aof->rewrite.in_flight++;
    aof->host->file_append(aof->host->context, SHOAL_AOF__BASE_NEW, (shoal_slice){0},
                           (uint64_t)SHOAL_AOF__FOR_BASE << 32);
}

/* A base of commands begins by saying when it was written. */
static void stamp_base(shoal_aof *aof)
{
    shoal_buffer stamp = shoal_buffer_make(&aof->allocator);
    SHOAL_ASSERT(!aof->rewrite.rdb);
    SHOAL_ASSERT(aof->rewrite.base_bytes == 0);
    shoal_aof_write_timestamp(&stamp, aof->now.wall_us / US_PER_S);
    if (stamp.failed)
        aof->rewrite.error = SHOAL_ERR_NO_MEMORY;
    else
        take_bytes(aof, shoal_buffer_slice(&stamp));
    shoal_buffer_free(&stamp);
}

/* Begins to write the base. */
static shoal_err begin_base(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->rewrite.writer == NULL);
    SHOAL_ASSERT(aof->rewrite.wished);
    SHOAL_ASSERT(aof->rewrite.base_bytes == 0);
    const shoal_snapshot_fact facts[] = {
        {{"redis-ver", 9}, shoal_text(SHOAL_REDIS_VERSION)},
        {{"redis-bits", 10}, {"64", 2}},
        {{"aof-base", 8}, {"1", 1}},
    };
    if (!aof->rewrite.rdb) create_base(aof);
    if (!aof->rewrite.rdb && aof->settings.timestamps) stamp_base(aof);
    shoal_snapshot_options options = {.allocator = aof->allocator,
                                      .plain = !aof->rewrite.rdb,
                                      .databases = aof->options.databases,
                                      .threads = aof->options.threads,
                                      .style = {.compress = aof->settings.compress,
                                                .list = aof->settings.limits.list,
                                                .now_ms = shoal_time_wall_ms(aof->now)},
                                      .checksum = aof->settings.checksum,
                                      .facts = facts,
                                      .fact_count = sizeof facts / sizeof facts[0],
                                      .taker = {.take = take_bytes, .context = aof}};
    return shoal_snapshot_begin(aof->options.thread, &options, &aof->rewrite.writer);
}

/* A log that has lost something is whole again from the moment on in which a base begins. All that
 * it has must be safe first; nothing more comes meanwhile. */
static bool may_mend(const shoal_aof *aof)
{
    SHOAL_DEBUG_ASSERT(aof->rewrite.phase == SHOAL_REWRITE__MOMENT);
    SHOAL_ASSERT(!aof->rewrite.mends || aof->wants);
    if (!aof->rewrite.mends) return true;
    return aof->sync.safe.at == shoal_log_end(aof->log) &&
           aof->options.may_mend(aof->options.context);
}

/* In the moment, when the appender writes to the new increment. */
static void begin_cut(shoal_aof *aof)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->phase == SHOAL_REWRITE__MOMENT);
    SHOAL_ASSERT(!rewrite->mends);
    SHOAL_ASSERT(rewrite->switches == aof->wants);
    shoal_err error = begin_base(aof);

    unprepare(aof);
    if (error != SHOAL_ERR_OK) {
        fail(aof, error);
        return;
    }
    rewrite->phase = SHOAL_REWRITE__BASE;
    shoal_aof__apply_policy(aof);
}

/* The moment is there. */
static void use_moment(shoal_aof *aof)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->wished);
    SHOAL_ASSERT(shoal_log_committed(aof->log) == shoal_log_end(aof->log));
    if (rewrite->enables && !aof->wants) {
        /* From here on effects are wanted, and there is nothing before. */
        shoal_aof__want(aof);
        shoal_log_forget_database(aof->log);
        aof->left_seen = true;
        if (!shoal_aof__go_on(aof, shoal_log_end(aof->log), 0)) {
            shoal_aof__unwant(aof);
            fail(aof, SHOAL_ERR_NO_MEMORY);
            return;
        }
    } else if (rewrite->switches && !rewrite->enables) {
        shoal_file file = aof->incr == SHOAL_AOF__INCR ? SHOAL_AOF__INCR_2 : SHOAL_AOF__INCR;
        SHOAL_ASSERT(aof->left_seen);
        if (!shoal_aof__switch(aof, file)) return;
        if (rewrite->mends) aof->options.mend(aof->options.context);
        rewrite->mends = false;
        shoal_log_forget_database(aof->log);
        aof->incr = file;
        aof->left_seen = aof->left_skipped = false;
    }
    begin_cut(aof);
}

static void moment_step(shoal_aof *aof)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    shoal_thread *thread = aof->options.thread;
    SHOAL_ASSERT(rewrite->prepared);
    SHOAL_ASSERT(rewrite->writer == NULL);
    bool stuck = rewrite->error != SHOAL_ERR_OK || (rewrite->switches && aof->sync.broken);
    /* An appender that was asked to go over does so, whatever comes in between. */
    if (stuck && !aof->sync.switched) {
        fail(aof, rewrite->error != SHOAL_ERR_OK ? rewrite->error : SHOAL_ERR_IO);
        return;
    }
    if (!may_mend(aof)) return;
    /* Another's moment comes first, and what others have still to tell. */
    bool free = !shoal_moment_wished(aof->env->store) &&
                (aof->options.may_begin == NULL || aof->options.may_begin(aof->options.context));
    if (!rewrite->wished && free) rewrite->wished = shoal_moment_wish(thread);
    if (rewrite->wished && shoal_moment_has_come(thread)) use_moment(aof);
}

/* ---- the base ---- */

void shoal_aof__base_done(shoal_aof *aof, const shoal_event *event)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(event->op == SHOAL_FILE_APPEND);
    SHOAL_ASSERT(event->file == SHOAL_AOF__BASE_NEW);
    SHOAL_ASSERT(rewrite->in_flight > 0);
    rewrite->in_flight--;
    SHOAL_ASSERT((uint32_t)event->tag <= rewrite->in_flight_bytes);
    rewrite->in_flight_bytes -= (uint32_t)event->tag;
    if (rewrite->error == SHOAL_ERR_OK) rewrite->error = event->error;
}

/* The base is whole and durable: it gets its name, then the manifest names it. */
static void base_named(shoal_aof *aof, shoal_err error)
{
    SHOAL_ASSERT(aof->rewrite.phase == SHOAL_REWRITE__PLACING);
    SHOAL_ASSERT(shoal_manifest_count_of(&aof->rewrite.next, SHOAL_AOF_BASE) == 1);
    if (error != SHOAL_ERR_OK)
        fail(aof, error);
    else
        shoal_aof__write_manifest(aof, &aof->rewrite.next, placed);
}

static void base_synced(shoal_aof *aof, shoal_err error)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->phase == SHOAL_REWRITE__PLACING);
    SHOAL_ASSERT(rewrite->over);
    SHOAL_ASSERT(rewrite->in_flight == 0);
    if (error == SHOAL_ERR_OK) error = rewrite->error;
    bool made =
        shoal_manifest_copy(&aof->manifest, &rewrite->next) &&
        (!rewrite->enables || shoal_manifest_add_incr(&rewrite->next, aof->options.file_name)) &&
        shoal_manifest_add_base(&rewrite->next, aof->options.file_name, rewrite->rdb);
    if (error == SHOAL_ERR_OK && !made) error = SHOAL_ERR_NO_MEMORY;
    if (error != SHOAL_ERR_OK) {
        fail(aof, error);
        return;
    }
    shoal_manifest_retire_incrs(&rewrite->next, rewrite->switches ? 1 : 0);
    const shoal_aof_entry *base = shoal_manifest_find(&rewrite->next, SHOAL_AOF_BASE, 0);
    SHOAL_ASSERT(base != NULL);
    shoal_aof__bind(aof, SHOAL_AOF__BASE, shoal_manifest_name(&rewrite->next, base));
    shoal_aof__begin(aof, base_named);
    /* The folder may not be there yet. */
    shoal_aof__append(aof, SHOAL_AOF__BASE, (shoal_slice){0});
    shoal_aof__rename(aof, SHOAL_AOF__BASE_NEW, SHOAL_AOF__BASE);
}

/* The increment before is safe and named no more, and nothing is appended to it. What the host has
 * open of it is closed, so that the disk has its blocks back when it is removed. */
static void leave_increment(shoal_aof *aof)
{
    const shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->phase == SHOAL_REWRITE__PLACING);
    SHOAL_ASSERT(!shoal_aof__has_left(aof));
    bool idle = aof->left_seen && aof->sync.repairs == 0 && !aof->sync.broken;
    if (!idle || !rewrite->switches || rewrite->enables) return;
    shoal_file file = aof->incr == SHOAL_AOF__INCR ? SHOAL_AOF__INCR_2 : SHOAL_AOF__INCR;
    aof->host->file_name(aof->host->context, file, (shoal_slice){0});
}

static void placed(shoal_aof *aof, shoal_err error)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_ASSERT(rewrite->phase == SHOAL_REWRITE__PLACING);
    if (error == SHOAL_ERR_OK) error = rewrite->error;
    if (error != SHOAL_ERR_OK) {
        fail(aof, error);
        return;
    }
    SHOAL_ASSERT(shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_BASE) == 1);
    leave_increment(aof);
    aof->left_skipped = !aof->left_seen;
    aof->size_before = rewrite->base_bytes;
    aof->base_size = rewrite->base_bytes + (aof->wants ? aof->sync.target.size : 0);
    aof->rewrites++;
    aof->failures = 0;
    aof->rewrite_ok = true;
    if (rewrite->enables && aof->state == SHOAL_AOF_REWRITING_ON) {
        aof->state = SHOAL_AOF_ON;
        shoal_aof__end_promise(aof);
    }
    shoal_aof__log(aof, SHOAL_AOF__NOTICE, "Background AOF rewrite terminated with success");
    shoal_aof__log(aof, SHOAL_AOF__NOTICE, "Background AOF rewrite finished successfully");
    finish(aof);
    shoal_aof__collect(aof);
}

/* When the next key may be written, where rdb-key-save-delay slows it down. */
static int64_t next_key_us(const shoal_aof *aof)
{
    const shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_DEBUG_ASSERT(rewrite->writer != NULL);
    SHOAL_DEBUG_ASSERT(aof->settings.delay_us > 0);
    uint64_t keys = shoal_snapshot_keys(rewrite->writer);
    return rewrite->began_us + (int64_t)(keys + 1) * aof->settings.delay_us;
}

/* Keys that may be written now. */
static uint32_t allowance(const shoal_aof *aof)
{
    SHOAL_DEBUG_ASSERT(aof->settings.delay_us >= 0);
    if (aof->settings.delay_us == 0 || aof->rewrite.error != SHOAL_ERR_OK) return STEP_KEYS;
    return next_key_us(aof) <= aof->now.mono_us ? 1 : 0;
}

static void base_step(shoal_aof *aof)
{
    shoal_aof__rewrite *rewrite = &aof->rewrite;
    shoal_thread *thread = aof->options.thread;
    SHOAL_ASSERT(rewrite->phase == SHOAL_REWRITE__BASE);
    SHOAL_ASSERT(rewrite->writer != NULL || rewrite->over);
    if (rewrite->writer != NULL) {
        if (rewrite->error != SHOAL_ERR_OK && !rewrite->over) shoal_snapshot_abort(rewrite->writer);
        if (!rewrite->over) {
            uint32_t budget = rewrite->in_flight < IN_FLIGHT_MAX ? allowance(aof) : 0;
            shoal_snapshot_state state = shoal_snapshot_step(rewrite->writer, thread, budget);
            if (state == SHOAL_SNAPSHOT_MORE) return;
            rewrite->over = true;
            if (state == SHOAL_SNAPSHOT_FAILED && rewrite->error == SHOAL_ERR_OK)
                rewrite->error = SHOAL_ERR_NO_MEMORY;
        }
        if (!shoal_snapshot_end(rewrite->writer, thread)) return;
        rewrite->writer = NULL;
    }
    if (rewrite->in_flight > 0) return;
    if (rewrite->error != SHOAL_ERR_OK) {
        fail(aof, rewrite->error);
        return;
    }
    /* When the increments before it are not named any more, nobody needs to repair them. */
    if (rewrite->switches && shoal_aof__has_left(aof)) return;
    rewrite->phase = SHOAL_REWRITE__PLACING;
    shoal_aof__begin(aof, base_synced);
    shoal_aof__sync_file(aof, SHOAL_AOF__BASE_NEW);
}

uint64_t shoal_aof_rewrite_waiting(const shoal_aof *aof)
{
    const shoal_aof__rewrite *rewrite = &aof->rewrite;
    SHOAL_DEBUG_ASSERT(rewrite->in_flight > 0 || rewrite->in_flight_bytes == 0);
    uint64_t pending = rewrite->writer != NULL ? shoal_snapshot_pending(rewrite->writer) : 0;
    SHOAL_DEBUG_ASSERT(rewrite->phase != SHOAL_REWRITE__NONE || pending == 0);
    return rewrite->in_flight_bytes + pending;
}

void shoal_aof__rewrite_step(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->rewrite.phase != SHOAL_REWRITE__NONE);
    if (shoal_aof__is_busy(aof)) return;
    if (aof->rewrite.phase == SHOAL_REWRITE__MOMENT)
        moment_step(aof);
    else if (aof->rewrite.phase == SHOAL_REWRITE__BASE)
        base_step(aof);
}

int64_t shoal_aof__rewrite_deadline(const shoal_aof *aof)
{
    const shoal_aof__rewrite *rewrite = &aof->rewrite;
    int64_t now = aof->now.mono_us;
    SHOAL_DEBUG_ASSERT(now >= 0);

    if (rewrite->phase == SHOAL_REWRITE__MOMENT) return now + MOMENT_POLL_US;
    bool hands_out = rewrite->writer != NULL && !rewrite->over && rewrite->error == SHOAL_ERR_OK;
    bool slow = hands_out && aof->settings.delay_us > 0 && rewrite->in_flight < IN_FLIGHT_MAX;
    if (rewrite->phase == SHOAL_REWRITE__BASE && slow) return next_key_us(aof);
    if (rewrite->phase == SHOAL_REWRITE__BASE && !shoal_aof__is_busy(aof))
        return rewrite->in_flight < IN_FLIGHT_MAX && rewrite->writer != NULL ? now : now + 1000;
    if (rewrite->phase != SHOAL_REWRITE__NONE) return SHOAL_NEVER;
    if (aof->state == SHOAL_AOF_REWRITING_ON)
        return aof->retry_rewrite_us > now ? aof->retry_rewrite_us : now + 1000;
    return aof->scheduled ? now + 10000 : SHOAL_NEVER;
}

/* ---- history ---- */

static void collected(shoal_aof *aof, shoal_err error)
{
    (void)error;
    SHOAL_ASSERT(aof->manifest_then == NULL);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
}

static void file_gone(shoal_aof *aof, shoal_err error)
{
    uint32_t index = 0;
    SHOAL_ASSERT(aof->rewrite.phase == SHOAL_REWRITE__NONE);
    SHOAL_ASSERT(shoal_manifest_count_of(&aof->rewrite.next, SHOAL_AOF_HISTORY) > 0);
    while (shoal_manifest_at(&aof->rewrite.next, index)->kind != SHOAL_AOF_HISTORY) index++;
    if (error == SHOAL_ERR_OK) shoal_manifest_forget(&aof->rewrite.next, index);
    const shoal_aof_entry *entry = shoal_manifest_find(&aof->rewrite.next, SHOAL_AOF_HISTORY, 0);
    if (error != SHOAL_ERR_OK || entry == NULL) {
        shoal_aof__write_manifest(aof, &aof->rewrite.next, collected);
        return;
    }
    shoal_aof__bind(aof, SHOAL_AOF__GONE, shoal_manifest_name(&aof->rewrite.next, entry));
    shoal_aof__begin(aof, file_gone);
    shoal_aof__remove(aof, SHOAL_AOF__GONE);
}

void shoal_aof__collect(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->rewrite.phase == SHOAL_REWRITE__NONE);
    const shoal_aof_entry *entry = shoal_manifest_find(&aof->manifest, SHOAL_AOF_HISTORY, 0);
    bool may = entry != NULL && !aof->settings.keeps_history && !shoal_aof__is_busy(aof);
    if (!may || !shoal_manifest_copy(&aof->manifest, &aof->rewrite.next)) return;
    shoal_aof__bind(aof, SHOAL_AOF__GONE, shoal_manifest_name(&aof->manifest, entry));
    shoal_aof__begin(aof, file_gone);
    shoal_aof__remove(aof, SHOAL_AOF__GONE);
}
