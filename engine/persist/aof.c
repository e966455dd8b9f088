/* SPDX-License-Identifier: MIT
 *
 * persist/aof.h: the life of an append-only file, sequences of file operations, and the manifest
 * on its way to disk.
 */
#include "persist/aof_state.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/hold.h"

#define US_PER_S 1000000
/* How soon a rewrite is tried again that waits for the end of a sync. Chosen: some of them. */
#define SETTLE_US 10000

_Static_assert(SHOAL_AOF__MANIFEST >= SHOAL_FILE_NAMED, "its files have names");
_Static_assert(SHOAL_AOF__FILES_END <= SHOAL_FILE_LIMIT, "and numbers");

/* ---- invariants ---- */

/* What the phase of the rewrite says of its fields. */
static void check_rewrite(const shoal_aof *aof)
{
    const shoal_aof__rewrite *rewrite = &aof->rewrite;
    shoal_rewrite_phase phase = rewrite->phase;
    bool named = phase == SHOAL_REWRITE__INCR || phase == SHOAL_REWRITE__PLACING;
    SHOAL_ASSERT(phase <= SHOAL_REWRITE__PLACING);
    SHOAL_ASSERT(!named || aof->sequence.then != NULL);
    SHOAL_ASSERT(!rewrite->prepared || phase == SHOAL_REWRITE__MOMENT);
    SHOAL_ASSERT(!rewrite->wished || rewrite->prepared);
    SHOAL_ASSERT(rewrite->writer == NULL || phase == SHOAL_REWRITE__BASE);
    SHOAL_ASSERT(!aof->sync.switched || phase == SHOAL_REWRITE__MOMENT);
    SHOAL_ASSERT(phase != SHOAL_REWRITE__NONE || rewrite->in_flight == 0);
    SHOAL_ASSERT(phase != SHOAL_REWRITE__PLACING || rewrite->in_flight == 0);
}

/* What holds between two steps. */
static void check(const shoal_aof *aof)
{
    shoal_aof_state state = aof->state;
    bool on = state == SHOAL_AOF_ON || state == SHOAL_AOF_REWRITING_ON;
    SHOAL_ASSERT(state <= SHOAL_AOF_FAILED);
    SHOAL_ASSERT(!aof->wants || on);
    SHOAL_ASSERT(!aof->suspended || !on);
    SHOAL_ASSERT(aof->incr == SHOAL_AOF__INCR || aof->incr == SHOAL_AOF__INCR_2);
    /* A sequence is under way exactly while operations of it are. */
    SHOAL_ASSERT((aof->sequence.waiting > 0) == (aof->sequence.then != NULL));
    SHOAL_ASSERT(aof->manifest_then == NULL || aof->sequence.then != NULL);
    SHOAL_ASSERT(state != SHOAL_AOF_STARTING || aof->rewrite.phase == SHOAL_REWRITE__NONE);
    SHOAL_ASSERT(!aof->promised || state != SHOAL_AOF_ON);
    check_rewrite(aof);
}

/* ---- life ---- */

static bool copy_names(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->options.file_name.size > 0);
    SHOAL_ASSERT(aof->options.dir_name.size > 0);
    shoal_buffer_append(&aof->file_name, aof->options.file_name);
    shoal_buffer_append(&aof->dir_name, aof->options.dir_name);
    aof->options.file_name = shoal_buffer_slice(&aof->file_name);
    aof->options.dir_name = shoal_buffer_slice(&aof->dir_name);
    return !aof->file_name.failed && !aof->dir_name.failed;
}

shoal_err shoal_aof_create(const shoal_aof_options *options, const shoal_aof_settings *settings,
                           shoal_aof **out)
{
    SHOAL_ASSERT(options->env->log != NULL);
    SHOAL_ASSERT(options->env->host != NULL);
    SHOAL_ASSERT(options->thread != NULL);
    SHOAL_ASSERT(options->databases > 0);
    SHOAL_ASSERT(options->apply != NULL && options->apply_begin != NULL);
    SHOAL_ASSERT(options->may_mend != NULL && options->mend != NULL);
    const shoal_allocator *allocator = &options->env->allocator;
    shoal_aof *aof = shoal_memory_take_zeroed(allocator, sizeof *aof, SHOAL_SHARING_SIZE);

    if (aof == NULL) return SHOAL_ERR_NO_MEMORY;
    aof->options = *options;
    aof->settings = *settings;
    aof->allocator = *allocator;
    aof->env = options->env;
    aof->host = options->env->host;
    aof->log = options->env->log;
    aof->file_name = shoal_buffer_make(&aof->allocator);
    aof->dir_name = shoal_buffer_make(&aof->allocator);
    aof->manifest = shoal_manifest_make(&aof->allocator);
    aof->rewrite.next = shoal_manifest_make(&aof->allocator);
    aof->incr = SHOAL_AOF__INCR;
    aof->rewrite_ok = true;
    aof->rewrite_time_s = -1;
    shoal_appender_make(&aof->appender, aof->env, aof->log, &aof->reader);
    aof->appender.sync_tag = (uint64_t)SHOAL_AOF__FOR_SYNC << 32;
    shoal_hold_release(aof->env, SHOAL_RELEASED_ALL);
    if (!copy_names(aof)) {
        shoal_aof_destroy(aof);
        return SHOAL_ERR_NO_MEMORY;
    }
    *out = aof;
    return SHOAL_ERR_OK;
}

void shoal_aof_destroy(shoal_aof *aof)
{
    SHOAL_ASSERT(aof != NULL);
    shoal_allocator allocator = aof->allocator;

    shoal_aof__rewrite_drop(aof);
    shoal_aof__load_drop(aof);
    shoal_aof__load_close(aof);
    aof->promised = false;
    aof->promised_why = SHOAL_ERR_OK;
    shoal_aof__stop(aof);
    if (aof->expects) shoal_log_want(aof->log, -1);
    SHOAL_ASSERT(!aof->wants);
    SHOAL_ASSERT(aof->rewrite.writer == NULL);
    shoal_appender_free(&aof->appender);
    shoal_manifest_free(&aof->manifest);
    shoal_manifest_free(&aof->rewrite.next);
    shoal_buffer_free(&aof->file_name);
    shoal_buffer_free(&aof->dir_name);
    shoal_memory_give(&allocator, aof, sizeof *aof, SHOAL_SHARING_SIZE);
}

void shoal_aof_start(shoal_aof *aof, shoal_time now)
{
    SHOAL_ASSERT(aof->state == SHOAL_AOF_OFF && !aof->wants);
    SHOAL_ASSERT(aof->settings.on || aof->suspended);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    SHOAL_ASSERT(!shoal_aof_is_rewriting(aof));
    SHOAL_ASSERT(aof->sync.waiting == 0);
    SHOAL_ASSERT(aof->sync.repairs == 0);
    aof->now = now;
    aof->state = SHOAL_AOF_STARTING;
    shoal_manifest_free(&aof->manifest);
    shoal_aof__load_begin(aof);
}

void shoal_aof_give_up(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->state != SHOAL_AOF_STARTING);
    if (aof->rewrite.phase == SHOAL_REWRITE__NONE || aof->rewrite.error != SHOAL_ERR_OK) return;
    aof->rewrite.error = SHOAL_ERR_CLOSED;
}

bool shoal_aof_suspend(shoal_aof *aof, shoal_time now)
{
    SHOAL_ASSERT(aof->state != SHOAL_AOF_STARTING && aof->state != SHOAL_AOF_FAILED);
    SHOAL_ASSERT(!aof->suspended);
    aof->now = now;
    if (shoal_aof_is_rewriting(aof) || shoal_aof__is_busy(aof)) return false;
    if (!shoal_aof_finish(aof, now)) return false;
    aof->finishing = false;
    shoal_aof__stop(aof);
    /* Its last sync, and what is left of a repair, before which names must not change. */
    if (aof->sync.waiting > 0 || aof->sync.repairs > 0) return false;
    aof->suspended = true;
    aof->resumes = aof->state;
    aof->state = SHOAL_AOF_OFF;
    return true;
}

void shoal_aof__fail(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->state == SHOAL_AOF_STARTING);
    SHOAL_ASSERT(!aof->wants);
    aof->state = SHOAL_AOF_FAILED;
}

shoal_aof_state shoal_aof_state_get(const shoal_aof *aof)
{
    SHOAL_ASSERT(aof->state <= SHOAL_AOF_FAILED);
    return aof->state;
}

void shoal_aof_commit(shoal_aof *aof, shoal_time now)
{
    SHOAL_DEBUG_ASSERT(now.mono_us >= 0);
    shoal_appender_turn(&aof->appender, now);
}

/* All data are about to be replaced, and so is what no file has yet of them. What was promised of
 * them holds for those that come: replies wait, until the files of these are there. */
static void begin_promise(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->settings.replacing);
    SHOAL_ASSERT(aof->state == SHOAL_AOF_ON || aof->state == SHOAL_AOF_REWRITING_ON);
    if (aof->state == SHOAL_AOF_ON) aof->promised = true;
    aof->promised_from = shoal_log_end(aof->log);
    if (shoal_aof__withholds(aof)) shoal_hold_void(aof->env);
}

static void turn_off(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->state == SHOAL_AOF_ON || aof->state == SHOAL_AOF_REWRITING_ON);
    SHOAL_ASSERT(!aof->settings.on);
    if (aof->settings.replacing) begin_promise(aof);
    aof->state = SHOAL_AOF_OFF;
    aof->scheduled = false;
    if (aof->rewrite.phase != SHOAL_REWRITE__NONE) {
        shoal_aof__log(aof, SHOAL_AOF__NOTICE, "Killing running AOF rewrite child: %d", 0);
        aof->rewrite.error = SHOAL_ERR_CLOSED;
    }
    shoal_aof__stop(aof);
}

void shoal_aof_set(shoal_aof *aof, const shoal_aof_settings *settings, shoal_time now)
{
    SHOAL_ASSERT(settings->policy <= SHOAL_AOF_NO);
    SHOAL_ASSERT(settings->delay_us >= 0);
    SHOAL_ASSERT(now.mono_us >= aof->now.mono_us);
    bool was_on = aof->settings.on;

    aof->now = now;
    aof->settings = *settings;
    SHOAL_ASSERT(!settings->on || !settings->replacing);
    shoal_aof__apply_policy(aof);
    if (aof->promised && !settings->on && !settings->replacing) shoal_aof__end_promise(aof);
    if (aof->state == SHOAL_AOF_STARTING || aof->state == SHOAL_AOF_FAILED || aof->suspended)
        return;
    if (was_on && !settings->on && aof->state != SHOAL_AOF_OFF) turn_off(aof);
    if (!was_on && settings->on) {
        aof->state = SHOAL_AOF_REWRITING_ON;
        aof->retry_rewrite_us = now.mono_us;
        if (!aof->promised) return;
        aof->promised_from = shoal_log_end(aof->log);
        shoal_aof__release(aof, SHOAL_RELEASED_ALL);
    }
}

/* ---- log lines ---- */

void shoal_aof__log(const shoal_aof *aof, int level, const char *format, ...)
{
    SHOAL_ASSERT(level >= SHOAL_AOF__DEBUG && level <= SHOAL_AOF__WARNING);
    SHOAL_DEBUG_ASSERT(format != NULL);
    shoal_buffer text = shoal_buffer_make(&aof->allocator);
    va_list arguments;

    va_start(arguments, format);
    shoal_text_vappendf(&text, format, arguments);
    va_end(arguments);
    shoal_trace_record record = {.kind = SHOAL_TRACE_LOG,
                                 .a = (uint64_t)level,
                                 .text = shoal_buffer_slice(&text)};
    aof->host->trace(aof->host->context, &record);
    shoal_buffer_free(&text);
}

/* ---- names ---- */

void shoal_aof__bind_above(shoal_aof *aof, shoal_file file, shoal_slice name)
{
    SHOAL_ASSERT(shoal_aof_owns(file));
    SHOAL_ASSERT(name.data != NULL);
    SHOAL_ASSERT(name.size > 0);
    aof->host->file_name(aof->host->context, file, name);
}

void shoal_aof__bind(shoal_aof *aof, shoal_file file, shoal_slice name)
{
    SHOAL_ASSERT(name.size > 0);
    shoal_buffer path = shoal_buffer_make(&aof->allocator);

    shoal_buffer_append(&path, aof->options.dir_name);
    shoal_buffer_append(&path, (shoal_slice){"/", 1});
    shoal_buffer_append(&path, name);
    shoal_aof__bind_above(aof, file, shoal_buffer_slice(&path));
    shoal_buffer_free(&path);
}

bool shoal_aof_owns(shoal_file file)
{
    SHOAL_DEBUG_ASSERT(file < SHOAL_FILE_LIMIT);
    return file >= SHOAL_AOF__MANIFEST && file < SHOAL_AOF__FILES_END;
}

shoal_slice shoal_aof__incr_name(const shoal_manifest *manifest)
{
    uint32_t count = shoal_manifest_count_of(manifest, SHOAL_AOF_INCR);
    SHOAL_ASSERT(count > 0);
    return shoal_manifest_name(manifest, shoal_manifest_find(manifest, SHOAL_AOF_INCR, count - 1));
}

/* ---- sequences ---- */

#define SEQUENCE_TAG ((uint64_t)SHOAL_AOF__FOR_SEQUENCE << 32)

bool shoal_aof__is_busy(const shoal_aof *aof)
{
    SHOAL_ASSERT(aof->sequence.waiting == 0 || aof->sequence.then != NULL);
    return aof->sequence.then != NULL;
}

void shoal_aof__begin(shoal_aof *aof, shoal_aof__then then)
{
    SHOAL_ASSERT(aof->sequence.waiting == 0);
    SHOAL_ASSERT(aof->sequence.then == NULL);
    SHOAL_ASSERT(aof->state != SHOAL_AOF_FAILED);
    SHOAL_ASSERT(then != NULL);
    aof->sequence = (shoal_aof__sequence){.then = then};
}

void shoal_aof__append(shoal_aof *aof, shoal_file file, shoal_slice bytes)
{
    SHOAL_ASSERT(aof->sequence.then != NULL);
    SHOAL_ASSERT(shoal_aof_owns(file));
    aof->sequence.waiting++;
    aof->host->file_append(aof->host->context, file, bytes, SEQUENCE_TAG);
}

void shoal_aof__sync_file(shoal_aof *aof, shoal_file file)
{
    SHOAL_ASSERT(aof->sequence.then != NULL);
    SHOAL_ASSERT(shoal_aof_owns(file));
    aof->sequence.waiting++;
    aof->host->file_sync(aof->host->context, file, SEQUENCE_TAG);
}

void shoal_aof__rename(shoal_aof *aof, shoal_file from, shoal_file to)
{
    SHOAL_ASSERT(aof->sequence.then != NULL);
    SHOAL_ASSERT(shoal_aof_owns(from) && shoal_aof_owns(to));
    SHOAL_ASSERT(from != to);
    aof->sequence.waiting++;
    aof->host->file_rename(aof->host->context, from, to, SEQUENCE_TAG);
}

void shoal_aof__remove(shoal_aof *aof, shoal_file file)
{
    SHOAL_ASSERT(aof->sequence.then != NULL);
    SHOAL_ASSERT(shoal_aof_owns(file));
    /* What is appended to is not removed. */
    SHOAL_ASSERT(!aof->wants || file != aof->incr);
    aof->sequence.waiting++;
    aof->host->file_remove(aof->host->context, file, SEQUENCE_TAG);
}

void shoal_aof__truncate(shoal_aof *aof, shoal_file file, uint64_t size)
{
    SHOAL_ASSERT(aof->sequence.then != NULL);
    SHOAL_ASSERT(shoal_aof_owns(file));
    SHOAL_ASSERT(!aof->wants);
    aof->sequence.waiting++;
    aof->host->file_truncate(aof->host->context, file, size, SEQUENCE_TAG);
}

static void sequence_done(shoal_aof *aof, const shoal_event *event)
{
    shoal_aof__sequence *sequence = &aof->sequence;
    SHOAL_ASSERT(sequence->waiting > 0);
    SHOAL_ASSERT(sequence->then != NULL);
    bool missing = event->op == SHOAL_FILE_REMOVE && event->error == SHOAL_ERR_NOT_FOUND;

    if (sequence->error == SHOAL_ERR_OK && !missing) sequence->error = event->error;
    if (--sequence->waiting > 0) return;
    shoal_aof__then then = sequence->then;
    sequence->then = NULL;
    then(aof, sequence->error);
}

void shoal_aof_file_done(shoal_aof *aof, const shoal_event *event)
{
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_FILE_DONE);
    SHOAL_ASSERT(shoal_aof_owns(event->file));
    SHOAL_ASSERT(event->now.mono_us >= aof->now.mono_us);
    aof->now = event->now;
    switch (event->tag >> 32) {
    case SHOAL_AOF__FOR_SEQUENCE: sequence_done(aof, event); break;
    case SHOAL_AOF__FOR_READ: shoal_aof__load_read(aof, event); break;
    case SHOAL_AOF__FOR_BASE: shoal_aof__base_done(aof, event); break;
    case 0:
        /* Only failures of the appender are told. */
        if (event->error != SHOAL_ERR_OK) shoal_aof__break(aof, event->error, false);
        break;
    default: shoal_aof__sync_done(aof, event); break;
    }
}

/* ---- the manifest ---- */

static void manifest_placed(shoal_aof *aof, shoal_err error)
{
    SHOAL_ASSERT(aof->manifest_then != NULL);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    shoal_aof__then then = aof->manifest_then;

    aof->manifest_then = NULL;
    if (error == SHOAL_ERR_OK && !shoal_manifest_copy(&aof->rewrite.next, &aof->manifest))
        error = SHOAL_ERR_NO_MEMORY;
    then(aof, error);
}

static void manifest_written(shoal_aof *aof, shoal_err error)
{
    SHOAL_ASSERT(aof->manifest_then != NULL);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    if (error != SHOAL_ERR_OK) {
        manifest_placed(aof, error);
        return;
    }
    shoal_aof__begin(aof, manifest_placed);
    shoal_aof__rename(aof, SHOAL_AOF__MANIFEST_NEW, SHOAL_AOF__MANIFEST);
}

void shoal_aof__write_manifest(shoal_aof *aof, shoal_manifest *next, shoal_aof__then then)
{
    SHOAL_ASSERT(aof->manifest_then == NULL);
    SHOAL_ASSERT(next == &aof->rewrite.next);
    SHOAL_ASSERT(then != NULL);
    shoal_buffer text = shoal_buffer_make(&aof->allocator);
    shoal_buffer name = shoal_buffer_make(&aof->allocator);

    shoal_text_appendf(&name, "%.*s.manifest", (int)aof->file_name.end, aof->file_name.data);
    shoal_aof__bind(aof, SHOAL_AOF__MANIFEST, shoal_buffer_slice(&name));
    shoal_buffer_consume(&name, shoal_buffer_size(&name));
    shoal_text_appendf(&name, "temp-%.*s.manifest", (int)aof->file_name.end, aof->file_name.data);
    shoal_aof__bind(aof, SHOAL_AOF__MANIFEST_NEW, shoal_buffer_slice(&name));
    shoal_manifest_write(next, &text);
    aof->manifest_then = then;
    shoal_aof__begin(aof, manifest_written);
    shoal_aof__remove(aof, SHOAL_AOF__MANIFEST_NEW);
    shoal_aof__append(aof, SHOAL_AOF__MANIFEST_NEW, shoal_buffer_slice(&text));
    shoal_aof__sync_file(aof, SHOAL_AOF__MANIFEST_NEW);
    if (text.failed || name.failed) aof->sequence.error = SHOAL_ERR_NO_MEMORY;
    shoal_buffer_free(&text);
    shoal_buffer_free(&name);
}

/* ---- steps ---- */

/* An effect has been lost, so the files lack a write: a new base has it. Writes are refused until
 * the log goes on. */
static void mend(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->rewrite.phase == SHOAL_REWRITE__NONE);
    SHOAL_ASSERT(aof->state == SHOAL_AOF_ON && aof->wants);
    if (!aof->torn_told)
        shoal_aof__log(aof, SHOAL_AOF__WARNING,
                       "The append-only file lacks a write that there was no memory to tell: it is "
                       "rewritten now");
    aof->torn_told = true;
    if (aof->now.mono_us < aof->retry_rewrite_us) return;
    bool begun = shoal_aof__rewrite_begin(aof, false);
    aof->retry_rewrite_us = aof->now.mono_us + (begun ? US_PER_S : SETTLE_US);
    if (begun) aof->torn_told = false;
}

/* Begins a rewrite that is due: asked for, or because the files have grown. */
static void begin_due_rewrite(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->rewrite.phase == SHOAL_REWRITE__NONE);
    const shoal_aof_settings *settings = &aof->settings;
    bool enables = aof->state == SHOAL_AOF_REWRITING_ON;

    if (aof->state == SHOAL_AOF_STARTING || aof->suspended) return;
    if (aof->blocked || shoal_aof__is_busy(aof)) return;
    if (aof->scheduled || (enables && aof->now.mono_us >= aof->retry_rewrite_us)) {
        aof->scheduled = false;
        bool begun = shoal_aof__rewrite_begin(aof, enables);
        aof->retry_rewrite_us = aof->now.mono_us + (begun ? US_PER_S : SETTLE_US);
        return;
    }
    if (aof->state == SHOAL_AOF_ON && aof->wants && shoal_log_torn(aof->log)) {
        mend(aof);
        return;
    }
    if (aof->state != SHOAL_AOF_ON || settings->growth_percent == 0) return;
    uint64_t size = aof->size_before + aof->sync.target.size;
    uint64_t base = aof->base_size > 0 ? aof->base_size : 1;
    if (size <= settings->size_min || aof->now.mono_us < aof->retry_rewrite_us) return;
    uint64_t growth = size * 100 / base;
    if (growth < 100 + (uint64_t)settings->growth_percent) return;
    shoal_aof__log(aof, SHOAL_AOF__NOTICE, "Starting automatic rewriting of AOF on %llu%% growth",
                   (unsigned long long)growth - 100);
    (void)shoal_aof__rewrite_begin(aof, false);
}

void shoal_aof_step(shoal_aof *aof, shoal_time now)
{
    SHOAL_ASSERT(now.mono_us >= aof->now.mono_us);
    aof->now = now;
    if (aof->state == SHOAL_AOF_STARTING) shoal_aof__load_step(aof);
    if (aof->state == SHOAL_AOF_FAILED) return;
    shoal_aof__sync_step(aof);
    if (aof->rewrite.phase != SHOAL_REWRITE__NONE)
        shoal_aof__rewrite_step(aof);
    else
        begin_due_rewrite(aof);
    check(aof);
}

int64_t shoal_aof_deadline(const shoal_aof *aof)
{
    int64_t sync = shoal_aof__sync_deadline(aof);
    int64_t rewrite = shoal_aof__rewrite_deadline(aof);

    SHOAL_ASSERT(sync >= 0 && rewrite >= 0);
    if (aof->state == SHOAL_AOF_FAILED) return SHOAL_NEVER;
    return sync < rewrite ? sync : rewrite;
}

shoal_aof_answer shoal_aof_rewrite(shoal_aof *aof, bool blocked, shoal_time now)
{
    SHOAL_ASSERT(aof->state != SHOAL_AOF_FAILED);
    SHOAL_ASSERT(now.mono_us >= aof->now.mono_us);
    aof->now = now;
    aof->blocked = blocked;
    bool under_way = aof->rewrite.phase != SHOAL_REWRITE__NONE;
    /* One that has been given up only tidies up. */
    if (under_way && aof->rewrite.error != SHOAL_ERR_CLOSED) return SHOAL_AOF_BUSY;
    aof->failures = 0;
    aof->scheduled = true;
    if (!blocked && !under_way) begin_due_rewrite(aof);
    return aof->rewrite.phase != SHOAL_REWRITE__NONE ? SHOAL_AOF_STARTED : SHOAL_AOF_SCHEDULED;
}

void shoal_aof_unblock(shoal_aof *aof, bool blocked)
{
    SHOAL_DEBUG_ASSERT(aof->state <= SHOAL_AOF_FAILED);
    aof->blocked = blocked;
}

bool shoal_aof_is_rewriting(const shoal_aof *aof)
{
    SHOAL_ASSERT(aof->rewrite.phase <= SHOAL_REWRITE__PLACING);
    SHOAL_ASSERT(aof->rewrite.phase != SHOAL_REWRITE__NONE || aof->rewrite.writer == NULL);
    return aof->rewrite.phase != SHOAL_REWRITE__NONE;
}

/* ---- figures ---- */

shoal_aof_stats shoal_aof_stats_get(const shoal_aof *aof, shoal_time now)
{
    SHOAL_ASSERT(now.mono_us >= aof->now.mono_us);
    uint64_t written = shoal_appender_written(&aof->appender), end = shoal_log_end(aof->log);
    /* Who waits for the end of a rewrite looks at the files then: they have gone by that time. */
    bool collecting = aof->state == SHOAL_AOF_ON && shoal_aof__is_busy(aof) &&
                      !aof->settings.keeps_history &&
                      shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_HISTORY) > 0;
    bool rewriting = shoal_aof_is_rewriting(aof) || collecting, on = aof->wants;
    SHOAL_ASSERT(written <= end || !on || !shoal_appender_idle(&aof->appender));
    uint64_t since = on && written > aof->sync.target.at ? written - aof->sync.target.at : 0;

    return (shoal_aof_stats){.state = aof->state,
                             .rewriting = rewriting,
                             .scheduled = aof->scheduled ||
                                          (aof->state == SHOAL_AOF_REWRITING_ON && !rewriting),
                             .rewrite_ok = aof->rewrite_ok,
                             .write_ok = !aof->sync.broken,
                             .rewrite_time_s = aof->rewrite_time_s,
                             .rewrite_now_s =
                                 rewriting ? (now.mono_us - aof->rewrite.began_us) / US_PER_S : -1,
                             .rewrites = aof->rewrites,
                             .failures = aof->failures,
                             .size = aof->size_before + aof->sync.target.size + since,
                             .base_size = aof->base_size,
                             .rewrite_pending = aof->scheduled,
                             .buffered = on && end > written ? end - written : 0,
                             .sync_pending = aof->sync.waiting > 0,
                             .delayed_syncs = aof->sync.delayed_count,
                             .load_total = aof->load.total,
                             .load_done = aof->load.done,
                             .load_began_s = aof->load.began_wall_s,
                             .load_keys = aof->load.keys,
                             .load_expired = aof->load.expired};
}
