/* SPDX-License-Identifier: MIT
 *
 * persist/keeper.c - see persist/keeper.h. The workers that load use the threads of the store that
 * are the embedder's afterwards; when all is loaded they never run again. The control actor has the
 * last thread, which the embedder does not know of.
 */
#include "persist/keeper.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/apply.h"
#include "command/effect.h"
#include "command/embed.h"
#include "store/change.h"

/* Background work of the store in one step. Chosen. */
#define RECLAIM_BUDGET_US 100
/* Between two attempts to write a base that has what was lost. Chosen. */
#define MEND_RETRY_US 1000000

struct shoal_keeper {
    shoal_env env;
    shoal_scribe scribe;
    shoal_host host;
    shoal_settings settings;
    shoal_allocator allocator;
    shoal_cache *cache;
    shoal_thread *thread;      /* of the control actor */
    uint32_t threads;          /* of the store */
    shoal_cache_limits limits; /* from OPEN on: all that is in the files is loaded */
    shoal_inbox control;       /* batches that come home from the workers */
    shoal_departures shown, told;
    shoal_aof *aof;
    void (*yield)(void *context);
    void *context;
    shoal_applier *applier; /* while it is loading */
    shoal_aof_settings aof_settings;
    shoal_keeper_state state;
    bool hurries;    /* somebody waits for a sync */
    bool mending;    /* something is only in a base that is still being written */
    bool mend_wrote; /* that base has begun */
    int64_t mend_us; /* monotonic: when it is tried again */
    /* writer: control, release; readers: any, acquire. pair: keeper.durable */
    _Atomic uint64_t durable;
};

/* ---- what the append-only file asks for ---- */

/* A cache has one database. */
static bool selects_another(const shoal_slice *argv, uint32_t argc)
{
    int64_t db;
    SHOAL_DEBUG_ASSERT(argc > 0);
    return argc == 2 && shoal_text_is(argv[0], "select") &&
           !(shoal_text_to_i64(argv[1], &db) && db == 0);
}

static const char *apply(void *context, const shoal_slice *argv, uint32_t argc)
{
    shoal_keeper *keeper = context;
    SHOAL_ASSERT(keeper->applier != NULL);
    if (selects_another(argv, argc)) return "keys of a database other than 0: a cache has one only";
    const shoal_apply_command command = {.argv = argv, .argc = argc};
    shoal_applied applied = shoal_apply(keeper->applier, &command);
    while (applied == SHOAL_APPLY_PENDING) applied = shoal_apply_poll(keeper->applier);
    if (applied == SHOAL_APPLY_DONE) return NULL;
    /* What failed when it was written fails again; only what is not known at all is damage. */
    static const char unknown[] = "ERR unknown command";
    shoal_slice error = shoal_applier_error(keeper->applier);
    bool is_unknown =
        error.size >= sizeof unknown - 1 && memcmp(error.data, unknown, sizeof unknown - 1) == 0;
    return is_unknown ? "unknown command" : NULL;
}

static void apply_begin(void *context)
{
    shoal_keeper *keeper = context;
    SHOAL_ASSERT(keeper->applier != NULL);
    shoal_applier_select(keeper->applier, 0);
}

static bool may_mend(void *context)
{
    const shoal_keeper *keeper = context;
    SHOAL_ASSERT(keeper->env.log != NULL);
    return true;
}

static void mend(void *context)
{
    shoal_keeper *keeper = context;
    SHOAL_ASSERT(shoal_log_torn(keeper->env.log));
    SHOAL_ASSERT(shoal_log_committed(keeper->env.log) == shoal_log_end(keeper->env.log));
    shoal_log_restart(keeper->env.log, shoal_log_end(keeper->env.log), false);
}

/* The end of a batch: what it has told goes to the file before its thread goes on. One thread
 * appends for all; the others wait for it, which bounds what waits to be appended too. */
static void left(const shoal_scribe *scribe, const shoal_thread *thread, shoal_time now)
{
    const shoal_keeper *keeper = scribe->context;
    uint64_t logged = shoal_effects_logged(&keeper->env, thread);
    SHOAL_DEBUG_ASSERT(logged <= shoal_log_end(keeper->env.log));
    /* The control actor sees to what has been lost. */
    if (__builtin_expect(shoal_log_torn(keeper->env.log), 0))
        keeper->host.nudge(keeper->host.context, SHOAL_ACTOR_CONTROL);
    if (shoal_aof_has(keeper->aof, logged)) return;
    shoal_aof_commit(keeper->aof, now);
    while (!shoal_aof_has(keeper->aof, logged)) {
        keeper->yield(keeper->context);
        shoal_aof_commit(keeper->aof, now);
    }
}

/* ---- keys that go by themselves ---- */

static void gone(void *context, shoal_thread *thread, const shoal_departure *departure)
{
    const shoal_keeper *keeper = context;
    SHOAL_DEBUG_ASSERT(keeper->told.gone != NULL);
    keeper->told.gone(keeper->told.context, thread, departure);
    if (keeper->shown.gone != NULL) keeper->shown.gone(keeper->shown.context, thread, departure);
}

/* ---- building ---- */

static shoal_err build_cache(shoal_keeper *keeper, const shoal_cache_options *options)
{
    shoal_cache_options more = *options;
    SHOAL_ASSERT(keeper->cache == NULL);
    keeper->threads = more.threads = options->threads + 1;
    keeper->limits = options->limits;
    more.limits = shoal_cache_limits_default();
    shoal_err error = shoal_cache_open(&more, &keeper->cache);
    if (error != SHOAL_ERR_OK) return error;
    keeper->thread = shoal_cache_thread_at(keeper->cache, options->threads);
    keeper->env.store = shoal_thread_store(keeper->thread);
    SHOAL_ASSERT(keeper->env.store != NULL);
    return SHOAL_ERR_OK;
}

/* A log that nobody wants yet, and what feeds it. */
static shoal_err build_log(shoal_keeper *keeper)
{
    const shoal_log_options options = {.allocator = keeper->allocator, .writers = keeper->threads};
    SHOAL_ASSERT(keeper->env.log == NULL);
    shoal_err error = shoal_log_create(&options, &keeper->env.log);
    if (error != SHOAL_ERR_OK) return error;
    keeper->shown = shoal_store_departures(keeper->env.store);
    error = shoal_effects_open(&keeper->env, keeper->threads);
    if (error != SHOAL_ERR_OK) return error;
    keeper->told = shoal_store_departures(keeper->env.store);
    SHOAL_ASSERT(keeper->told.gone != NULL);
    shoal_store_set_departures(keeper->env.store, &(shoal_departures){gone, keeper});
    return SHOAL_ERR_OK;
}

static shoal_err build_workers(shoal_keeper *keeper, uint32_t count)
{
    shoal_env *env = &keeper->env;
    SHOAL_ASSERT(count > 0 && count < keeper->threads);
    size_t size = count * sizeof(struct shoal_worker *);
    env->workers = shoal_memory_take_zeroed(&keeper->allocator, size, SHOAL_ALIGN_PLAIN);
    if (env->workers == NULL) return SHOAL_ERR_NO_MEMORY;
    env->worker_count = count;
    for (uint32_t i = 0; i < count; i++) {
        shoal_err error = shoal_worker_make(env, i, &env->workers[i]);
        if (error != SHOAL_ERR_OK) return error;
    }
    return SHOAL_ERR_OK;
}

static shoal_rdb_limits limits_of(const shoal_settings *settings)
{
    SHOAL_ASSERT(settings->databases == 1);
    return (shoal_rdb_limits){
        .set = {.entries = settings->set_entries_max},
        .hash = {.entries = settings->hash_entries_max,
                 .value_size = settings->hash_value_size_max},
        .zset = {.entries = settings->zset_entries_max,
                 .member_size = settings->zset_member_size_max},
        .list = shoal_list_limits_of(settings->list_node_max),
    };
}

static shoal_err build_aof(shoal_keeper *keeper, const shoal_keeper_options *options)
{
    const shoal_aof_options wanted = {.env = &keeper->env,
                                      .thread = keeper->thread,
                                      .threads = keeper->threads,
                                      .databases = 1,
                                      .file_name = options->file_name,
                                      .dir_name = options->dir_name,
                                      .apply = apply,
                                      .apply_begin = apply_begin,
                                      .may_mend = may_mend,
                                      .mend = mend,
                                      .context = keeper};
    SHOAL_ASSERT(keeper->aof == NULL);
    keeper->aof_settings = options->aof;
    keeper->aof_settings.on = true;
    keeper->aof_settings.limits = limits_of(&keeper->settings);
    shoal_err error = shoal_aof_create(&wanted, &keeper->aof_settings, &keeper->aof);
    if (error != SHOAL_ERR_OK) return error;
    return SHOAL_ERR_OK;
}

static void fill_env(shoal_keeper *keeper, const shoal_keeper_options *options)
{
    const shoal_commands_options commands = shoal_commands_options_default();
    shoal_env *env = &keeper->env;
    SHOAL_ASSERT(env->store == NULL && env->log == NULL);
    keeper->host = *options->host;
    keeper->settings = shoal_embed_settings(&commands);
    env->allocator = keeper->allocator;
    env->host = &keeper->host;
    env->control = &keeper->control;
    env->process_id = options->process_id;
    env->run_id = "0000000000000000000000000000000000000000";
    shoal_store_release(&env->settings, &keeper->settings); /* pair: env.settings */
}

shoal_err shoal_keeper_create(const shoal_keeper_options *options, shoal_keeper **out)
{
    const shoal_allocator *allocator = &options->cache->allocator;
    SHOAL_ASSERT(options->workers > 0 && options->workers <= options->cache->threads);
    if (allocator->allocate == NULL) return SHOAL_ERR_INVALID;
    shoal_keeper *keeper = shoal_memory_take_zeroed(allocator, sizeof *keeper, SHOAL_SHARING_SIZE);
    if (keeper == NULL) return SHOAL_ERR_NO_MEMORY;
    keeper->allocator = *allocator;
    keeper->scribe.env = &keeper->env;
    keeper->scribe.left = left;
    keeper->scribe.context = keeper;
    keeper->yield = options->yield;
    keeper->context = options->context;
    fill_env(keeper, options);
    shoal_err error = build_cache(keeper, options->cache);
    if (error == SHOAL_ERR_OK) error = build_log(keeper);
    if (error == SHOAL_ERR_OK) error = build_workers(keeper, options->workers);
    if (error == SHOAL_ERR_OK) error = build_aof(keeper, options);
    if (error != SHOAL_ERR_OK) {
        shoal_keeper_destroy(keeper);
        return error;
    }
    shoal_scribe_open(&keeper->scribe, keeper->env.store);
    *out = keeper;
    return SHOAL_ERR_OK;
}

static void free_workers(shoal_keeper *keeper)
{
    shoal_env *env = &keeper->env;
    if (env->workers == NULL) return;
    SHOAL_ASSERT(env->worker_count > 0);
    for (uint32_t i = 0; i < env->worker_count; i++) {
        if (env->workers[i] != NULL) shoal_worker_free(env->workers[i]);
    }
    shoal_memory_give(&keeper->allocator, env->workers,
                      env->worker_count * sizeof(struct shoal_worker *), SHOAL_ALIGN_PLAIN);
}

void shoal_keeper_destroy(shoal_keeper *keeper)
{
    SHOAL_ASSERT(keeper != NULL);
    shoal_allocator allocator = keeper->allocator;
    if (keeper->applier != NULL) shoal_applier_close(keeper->applier);
    if (keeper->aof != NULL) shoal_aof_destroy(keeper->aof);
    free_workers(keeper);
    shoal_effects_close(&keeper->env);
    if (keeper->env.log != NULL) shoal_log_destroy(keeper->env.log);
    shoal_cache_close(keeper->cache);
    SHOAL_ASSERT(allocator.release != NULL);
    shoal_memory_give(&allocator, keeper, sizeof *keeper, SHOAL_SHARING_SIZE);
}

/* ---- loading ---- */

static void fail(shoal_keeper *keeper, const char *why)
{
    SHOAL_ASSERT(keeper->state == SHOAL_KEEPER_LOADING);
    const shoal_trace_record record = {.kind = SHOAL_TRACE_LOG, .a = 3, .text = shoal_text(why)};
    if (why[0] != '\0') keeper->host.trace(keeper->host.context, &record);
    keeper->state = SHOAL_KEEPER_FAILED;
}

void shoal_keeper_start(shoal_keeper *keeper, shoal_time now)
{
    const shoal_applier_options options = {.env = &keeper->env, .thread = keeper->thread};
    SHOAL_ASSERT(keeper->state == SHOAL_KEEPER_LOADING && keeper->applier == NULL);
    if (shoal_applier_open(&options, &keeper->applier) != SHOAL_ERR_OK) {
        fail(keeper, "No memory to load the data set");
        return;
    }
    shoal_thread_enter(keeper->thread, now);
    shoal_aof_start(keeper->aof, now);
    shoal_thread_leave(keeper->thread);
}

void shoal_keeper_work(shoal_keeper *keeper, uint32_t index, shoal_time now)
{
    SHOAL_ASSERT(index < keeper->env.worker_count);
    SHOAL_ASSERT(keeper->env.workers[index] != NULL);
    struct shoal_worker *worker = keeper->env.workers[index];
    shoal_worker_begin(worker, now);
    (void)shoal_worker_end(worker);
}

/* Batches that the workers have done. */
static void take_home(shoal_keeper *keeper)
{
    shoal_op *op = shoal_inbox_take(&keeper->control);
    SHOAL_ASSERT(op == NULL || keeper->state == SHOAL_KEEPER_LOADING);
    while (op != NULL) {
        shoal_op *next = op->next;
        SHOAL_ASSERT(op->run != NULL);
        op->run(op, keeper);
        op = next;
    }
}

static void look_at_loading(shoal_keeper *keeper)
{
    SHOAL_ASSERT(keeper->state == SHOAL_KEEPER_LOADING);
    shoal_aof_state state = shoal_aof_state_get(keeper->aof);
    if (state == SHOAL_AOF_STARTING) return;
    if (state == SHOAL_AOF_FAILED) {
        fail(keeper, "");
        return;
    }
    SHOAL_ASSERT(state == SHOAL_AOF_ON);
    shoal_applier_close(keeper->applier);
    keeper->applier = NULL;
    shoal_cache_set_limits(keeper->cache, &keeper->limits);
    keeper->state = SHOAL_KEEPER_OPEN;
}

/* ---- steps ---- */

/* What was lost for want of memory is in the next base: until that is there nothing counts as
 * durable that was not before. */
static void look_at_log(shoal_keeper *keeper, shoal_time now)
{
    shoal_aof_stats stats = shoal_aof_stats_get(keeper->aof, now);
    SHOAL_ASSERT(keeper->state == SHOAL_KEEPER_OPEN);
    if (shoal_log_torn(keeper->env.log)) {
        keeper->mending = true;
        keeper->mend_wrote = false;
    } else if (keeper->mending && stats.rewriting) {
        keeper->mend_wrote = true;
    } else if (keeper->mending && keeper->mend_wrote && stats.rewrite_ok) {
        keeper->mending = false;
    } else if (keeper->mending && !stats.scheduled && now.mono_us >= keeper->mend_us) {
        keeper->mend_us = now.mono_us + MEND_RETRY_US;
        (void)shoal_aof_rewrite(keeper->aof, false, now);
    }
}

/* Lets the others see how far it is. */
static void publish(shoal_keeper *keeper)
{
    shoal_err why = shoal_aof_trouble(keeper->aof);
    uint64_t synced = shoal_aof_synced(keeper->aof);
    SHOAL_ASSERT(synced >= shoal_load_relaxed(&keeper->durable));
    if (shoal_load_relaxed(&keeper->scribe.trouble) != why)
        shoal_store_relaxed(&keeper->scribe.trouble, why);
    if (!keeper->mending) shoal_store_release(&keeper->durable, synced); /* pair: keeper.durable */
}

int64_t shoal_keeper_step(shoal_keeper *keeper, const shoal_event *event, shoal_time now)
{
    SHOAL_ASSERT(event == NULL || event->kind == SHOAL_EVENT_FILE_DONE);
    if (keeper->state == SHOAL_KEEPER_FAILED) return INT64_MAX;
    shoal_thread_enter(keeper->thread, now);
    take_home(keeper);
    if (event != NULL && shoal_aof_owns(event->file)) shoal_aof_file_done(keeper->aof, event);
    shoal_aof_step(keeper->aof, now);
    if (keeper->state == SHOAL_KEEPER_LOADING) look_at_loading(keeper);
    if (keeper->state == SHOAL_KEEPER_OPEN) {
        look_at_log(keeper, now);
        publish(keeper);
    }
    shoal_store_reclaim(keeper->thread, RECLAIM_BUDGET_US);
    /* What was handed over to it while it held a gate must go on soon. */
    bool busy = shoal_thread_busy(keeper->thread);
    shoal_thread_leave(keeper->thread);
    if (keeper->state == SHOAL_KEEPER_FAILED) return INT64_MAX;
    return busy ? now.mono_us : shoal_aof_deadline(keeper->aof);
}

shoal_keeper_state shoal_keeper_state_get(const shoal_keeper *keeper)
{
    SHOAL_ASSERT(keeper->state <= SHOAL_KEEPER_FAILED);
    return keeper->state;
}

shoal_cache *shoal_keeper_cache(const shoal_keeper *keeper)
{
    SHOAL_ASSERT(keeper->cache != NULL);
    return keeper->cache;
}

/* ---- what is durable ---- */

uint64_t shoal_keeper_place(const shoal_keeper *keeper)
{
    SHOAL_DEBUG_ASSERT(keeper->env.log != NULL);
    return shoal_log_end(keeper->env.log);
}

uint64_t shoal_keeper_durable(const shoal_keeper *keeper)
{
    SHOAL_DEBUG_ASSERT(keeper->env.log != NULL);
    return shoal_load_acquire(&keeper->durable); /* pair: keeper.durable */
}

shoal_err shoal_keeper_trouble(const shoal_keeper *keeper)
{
    SHOAL_DEBUG_ASSERT(keeper->env.log != NULL);
    return keeper->scribe.journal.refuses(&keeper->scribe.journal);
}

void shoal_keeper_hurry(shoal_keeper *keeper, bool hurry, shoal_time now)
{
    SHOAL_ASSERT(keeper->state == SHOAL_KEEPER_OPEN);
    /* With `always` everybody hurries, and waits a little for the others. */
    if (keeper->aof_settings.policy == SHOAL_AOF_ALWAYS || keeper->hurries == hurry) return;
    keeper->hurries = hurry;
    shoal_thread_enter(keeper->thread, now);
    shoal_aof_force(keeper->aof, hurry, now);
    shoal_thread_leave(keeper->thread);
}

void shoal_keeper_rewrite(shoal_keeper *keeper, shoal_time now)
{
    SHOAL_ASSERT(keeper->state == SHOAL_KEEPER_OPEN);
    shoal_thread_enter(keeper->thread, now);
    (void)shoal_aof_rewrite(keeper->aof, false, now);
    shoal_thread_leave(keeper->thread);
}

shoal_aof_stats shoal_keeper_stats(const shoal_keeper *keeper, shoal_time now)
{
    SHOAL_ASSERT(keeper->aof != NULL);
    return shoal_aof_stats_get(keeper->aof, now);
}

bool shoal_keeper_finish(shoal_keeper *keeper, shoal_time now)
{
    if (keeper->state != SHOAL_KEEPER_OPEN) return true;
    SHOAL_ASSERT(keeper->applier == NULL);
    shoal_keeper_hurry(keeper, true, now);
    if (keeper->mending && shoal_aof_trouble(keeper->aof) == SHOAL_ERR_OK) return false;
    shoal_thread_enter(keeper->thread, now);
    bool done = shoal_aof_finish(keeper->aof, now);
    publish(keeper);
    shoal_thread_leave(keeper->thread);
    return done && (shoal_aof_trouble(keeper->aof) != SHOAL_ERR_OK ||
                    shoal_aof_synced(keeper->aof) == shoal_log_end(keeper->env.log));
}
