/* SPDX-License-Identifier: MIT
 *
 * core/life.c - the phases of a node, from a fresh configuration to the wish to end:
 *
 *   NEW -> BUILT -> LOADING -> READY                          standalone
 *                   LOADING -> READING -> SAVING -> READY     in a cluster
 *   READY -> LEAVING -> LEFT                       after SHUTDOWN
 *   any of them -> FAILED
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/text.h"
#include "command/effect.h"

/* Tag of the one read of nodes.conf that is ours; the cluster room has its own operations. */
#define TAG_NODES_READ 1

/* ---- the table of phases ---- */

static uint32_t successors(shoal_phase phase)
{
    SHOAL_ASSERT(phase < SHOAL_PHASE_COUNT);
    switch (phase) {
    case SHOAL_PHASE_NEW: return 1u << SHOAL_PHASE_BUILT;
    case SHOAL_PHASE_BUILT: return 1u << SHOAL_PHASE_LOADING;
    case SHOAL_PHASE_LOADING: return 1u << SHOAL_PHASE_READING | 1u << SHOAL_PHASE_READY;
    case SHOAL_PHASE_READING: return 1u << SHOAL_PHASE_SAVING;
    case SHOAL_PHASE_SAVING: return 1u << SHOAL_PHASE_READY | 1u << SHOAL_PHASE_LEAVING;
    case SHOAL_PHASE_READY: return 1u << SHOAL_PHASE_LEAVING;
    case SHOAL_PHASE_LEAVING: return 1u << SHOAL_PHASE_LEFT | 1u << SHOAL_PHASE_READY;
    default: return 0;
    }
}

/* What holds in every phase. */
static void check(const shoal_node *node)
{
    SHOAL_ASSERT(node->phase < SHOAL_PHASE_COUNT);
    bool built = node->phase != SHOAL_PHASE_NEW && node->phase != SHOAL_PHASE_FAILED;

    SHOAL_ASSERT(!built || (node->store != NULL && node->workers != NULL));
    SHOAL_ASSERT((node->wish == SHOAL_WISH_EXIT) == (node->phase == SHOAL_PHASE_LEFT));
    SHOAL_ASSERT((node->wish == SHOAL_WISH_FATAL) == (node->phase == SHOAL_PHASE_FAILED));
}

void shoal_node__enter_phase(shoal_node *node, shoal_phase next)
{
    SHOAL_ASSERT(next < SHOAL_PHASE_COUNT);
    SHOAL_ASSERT(next == SHOAL_PHASE_FAILED || (successors(node->phase) >> next & 1) != 0);
    node->phase = next;
    if (next == SHOAL_PHASE_LEFT) node->wish = SHOAL_WISH_EXIT;
    if (next == SHOAL_PHASE_FAILED) node->wish = SHOAL_WISH_FATAL;
    check(node);
}

void shoal_node__log(const shoal_node *node, int level, const char *format, ...)
{
    SHOAL_ASSERT(level >= SHOAL_LEVEL_DEBUG);
    SHOAL_ASSERT(level <= SHOAL_LEVEL_WARNING);
    shoal_buffer text = shoal_buffer_make(&node->allocator);
    va_list arguments;

    va_start(arguments, format);
    shoal_text_vappendf(&text, format, arguments);
    va_end(arguments);
    shoal_trace_record record = {.kind = SHOAL_TRACE_LOG,
                                 .a = (uint64_t)level,
                                 .text = shoal_buffer_slice(&text)};
    shoal_tape_note(node->tape, &record);
    node->host.trace(node->host.context, &record);
    shoal_buffer_free(&text);
}

void shoal_node__fail(shoal_node *node, const char *why, shoal_slice detail)
{
    SHOAL_ASSERT(why[0] != '\0');
    SHOAL_ASSERT(detail.data != NULL || detail.size == 0);
    while (detail.size > 0 && detail.data[detail.size - 1] == '\n') detail.size--;
    shoal_node__log(node, SHOAL_LEVEL_WARNING, "%s%s%.*s", why, detail.size > 0 ? ": " : "",
                    (int)detail.size, detail.data != NULL ? detail.data : "");
    shoal_node__enter_phase(node, SHOAL_PHASE_FAILED);
}

/* ---- building ---- */

static bool clustered(const shoal_node *node)
{
    return shoal_config__number(&node->config, SHOAL_DIRECTIVE_CLUSTER_ENABLED) != 0;
}

static shoal_err build_store(shoal_node *node)
{
    SHOAL_ASSERT(node->store == NULL);
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_NEW);
    shoal_prng stream = shoal_prng_make(node->seed, 0, SHOAL_PURPOSE_STORE);
    int64_t databases = shoal_config__number(&node->config, SHOAL_DIRECTIVE_DATABASES);
    shoal_store_options options = {.allocator = node->allocator,
                                   .threads = node->worker_count + 1,
                                   .databases = clustered(node) ? 1 : (uint32_t)databases,
                                   .seed = shoal_prng_next(&stream),
                                   .owned = !clustered(node),
                                   .edits = true};
    shoal_err error = shoal_store_create(&options, &node->store);

    if (error == SHOAL_ERR_OK) node->thread = shoal_store_thread(node->store, node->worker_count);
    return error;
}

/* A log that nobody wants yet, and what feeds it. */
static shoal_err build_log(shoal_node *node)
{
    SHOAL_ASSERT(node->store != NULL && node->env.desks == NULL);
    shoal_log_options options = {.allocator = node->allocator, .writers = node->worker_count + 1};
    shoal_err error = shoal_log_create(&options, &node->log);

    if (error != SHOAL_ERR_OK) return error;
    node->env.log = node->log;
    error = shoal_effects_open(&node->env, options.writers);
    if (error == SHOAL_ERR_OK) return error;
    shoal_log_destroy(node->log);
    node->log = node->env.log = NULL;
    return error;
}

static void fill_env(shoal_node *node)
{
    SHOAL_ASSERT(node->store != NULL);
    SHOAL_ASSERT(node->workers != NULL);
    node->env.allocator = node->allocator;
    node->env.store = node->store;
    node->env.host = &node->host;
    node->env.control = &node->control;
    node->env.carry = shoal_node__trips_carry;
    node->env.workers = node->workers;
    node->env.worker_count = node->worker_count;
    node->env.run_id = node->run_id;
    shoal_store_relaxed(&node->env.client_id_next, 1);
    shoal_store_relaxed(&node->env.loading, true);
}

shoal_err shoal_node__build(shoal_node *node)
{
    size_t size = node->worker_count * sizeof(struct shoal_worker *);
    shoal_err error;

    if (node->phase != SHOAL_PHASE_NEW) return SHOAL_ERR_OK;
    if (node->workers == NULL)
        node->workers = shoal_memory_take_zeroed(&node->allocator, size, SHOAL_ALIGN_PLAIN);
    if (node->workers == NULL) return SHOAL_ERR_NO_MEMORY;
    error = node->store == NULL ? build_store(node) : SHOAL_ERR_OK;
    if (error != SHOAL_ERR_OK) return error;
    fill_env(node);
    if (node->log == NULL) error = build_log(node);
    if (error != SHOAL_ERR_OK) return error;
    if (node->replication.repl == NULL) error = shoal_node__replication_open(node);
    if (error != SHOAL_ERR_OK) return error;
    error = shoal_node__apply(node);
    for (uint32_t i = 0; i < node->worker_count && error == SHOAL_ERR_OK; i++) {
        if (node->workers[i] == NULL) error = shoal_worker_make(&node->env, i, &node->workers[i]);
    }
    if (error == SHOAL_ERR_OK && node->appending.aof == NULL)
        error = shoal_node__appending_build(node);
    if (error == SHOAL_ERR_OK) shoal_node__enter_phase(node, SHOAL_PHASE_BUILT);
    return error;
}

/* ---- starting ---- */

/* Says which directives were given that have no effect in this version. */
static void warn_of_recorded(const shoal_node *node)
{
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_BUILT);
    shoal_buffer names = shoal_buffer_make(&node->allocator);

    for (uint32_t id = 0; id < SHOAL_DIRECTIVE_COUNT; id++) {
        const shoal_directive *row = shoal_config__row(id);
        if (!row->active && !shoal_config__is_default(&node->config, id))
            shoal_text_appendf(&names, " %s", row->name);
    }
    shoal_slice text = shoal_buffer_slice(&names);
    if (text.size > 0)
        shoal_node__log(node, SHOAL_LEVEL_NOTICE,
                        "Directives that have no effect in this version:%.*s", (int)text.size,
                        text.data);
    shoal_buffer_free(&names);
}

static void become_ready(shoal_node *node)
{
    SHOAL_ASSERT(!shoal_load_relaxed(&node->ready));
    SHOAL_ASSERT(node->cluster == NULL || !shoal_cluster_saving(node->cluster));
    shoal_trace_record record = {.kind = SHOAL_TRACE_READY};
    shoal_store_stats stats;

    shoal_node__publish_route(node);
    shoal_store_stats_get(node->store, &stats);
    node->memory_startup = stats.bytes + stats.bytes_queues;
    node->rates.due_us = node->now.mono_us;
    shoal_node__enter_phase(node, SHOAL_PHASE_READY);
    shoal_store_relaxed(&node->env.loading, false);
    shoal_store_release(&node->ready, true); /* pair: node.ready */
    shoal_node__replication_start(node);
    record.text = shoal_text(shoal_node_name(node));
    shoal_tape_note(node->tape, &record);
    node->host.trace(node->host.context, &record);
    shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Ready to accept connections");
}

static void start_cluster(shoal_node *node)
{
    SHOAL_ASSERT(node->cluster == NULL);
    SHOAL_ASSERT(clustered(node));
    shoal_cluster_options options = {.allocator = node->allocator,
                                     .host = &node->host,
                                     .seed = {node->seed[0], node->seed[1]},
                                     .settings = shoal_node__cluster_settings(node),
                                     .now = node->now};

    if (shoal_tape_create(node->tape, &options, &node->cluster) != SHOAL_ERR_OK) {
        shoal_node__fail(node, "No memory for the cluster", (shoal_slice){0});
        return;
    }
    shoal_node__listen(node);
    shoal_node__enter_phase(node, SHOAL_PHASE_READING);
    node->host.file_read(node->host.context, SHOAL_FILE_NODES, TAG_NODES_READ);
}

void shoal_node__start(shoal_node *node)
{
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_BUILT);
    shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Running mode=%s, port=%lld.",
                    clustered(node) ? "cluster" : "standalone",
                    (long long)shoal_config__number(&node->config, SHOAL_DIRECTIVE_PORT));
    warn_of_recorded(node);
    shoal_node__enter_phase(node, SHOAL_PHASE_LOADING);
    if (shoal_node__appending_start(node)) return;
    if (!shoal_node__dump_begin(node))
        shoal_node__fail(node, "No memory to load the data set", (shoal_slice){0});
}

/* The data set is there. */
static void loaded(shoal_node *node)
{
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_LOADING);
    shoal_store_stats stats;
    shoal_store_stats_get(node->store, &stats);
    /* What was loaded is no change. */
    node->saving.changes_saved = stats.changes;
    if (clustered(node))
        start_cluster(node);
    else
        become_ready(node);
}

void shoal_node__load_file_done(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_LOADING);
    shoal_node__dump_file_done(node, event);
}

void shoal_node__load_step(shoal_node *node)
{
    if (node->phase != SHOAL_PHASE_LOADING || node->saving.load == NULL) return;
    SHOAL_ASSERT(node->appending.aof != NULL);
    if (shoal_node__dump_step(node) == SHOAL_DUMP_LOADED) loaded(node);
}

static void begin_new(shoal_node *node)
{
    SHOAL_ASSERT(node->cluster != NULL);
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_READING);
    shoal_tape_init_new(node->tape, node->cluster, node->now);
    shoal_node__log(node, SHOAL_LEVEL_NOTICE, "No cluster configuration found, I'm %s",
                    shoal_cluster_name(node->cluster));
    shoal_node__enter_phase(node, SHOAL_PHASE_SAVING);
}

static void load_nodes(shoal_node *node, shoal_slice text)
{
    SHOAL_ASSERT(node->cluster != NULL);
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    shoal_buffer complaint = shoal_buffer_make(&node->allocator);
    shoal_err error = shoal_tape_load(node->tape, node->cluster, text, &complaint);

    if (error == SHOAL_ERR_OK) {
        shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Node configuration loaded, I'm %s",
                        shoal_cluster_name(node->cluster));
        shoal_node__enter_phase(node, SHOAL_PHASE_SAVING);
    } else if (error == SHOAL_ERR_NOT_FOUND) {
        begin_new(node);
    } else {
        shoal_node__fail(node, "Unrecoverable error: corrupted cluster config file",
                         shoal_buffer_slice(&complaint));
    }
    shoal_buffer_free(&complaint);
}

void shoal_node__nodes_read(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(event->tag == TAG_NODES_READ);
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_READING);
    if (event->error == SHOAL_ERR_OK) {
        load_nodes(node, event->data);
    } else if (event->error == SHOAL_ERR_NOT_FOUND) {
        begin_new(node);
    } else {
        shoal_node__fail(node, "Loading the cluster node config failed",
                         shoal_text(shoal_err_text(event->error)));
    }
}

/* The append-only file is being read: is it over? */
static void look_at_appending(shoal_node *node)
{
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_LOADING);
    int open = shoal_node__appending_is_open(node);
    if (open > 0) loaded(node);
    /* It has said why. */
    if (open < 0) shoal_node__enter_phase(node, SHOAL_PHASE_FAILED);
}

void shoal_node__advance(shoal_node *node)
{
    SHOAL_ASSERT(node->phase > SHOAL_PHASE_BUILT);
    if (node->phase == SHOAL_PHASE_LOADING && node->appending.applier != NULL)
        look_at_appending(node);
    bool durable = node->cluster == NULL || !shoal_cluster_saving(node->cluster);

    if (node->phase == SHOAL_PHASE_SAVING && durable) become_ready(node);
    if (node->phase == SHOAL_PHASE_LEAVING && durable && shoal_node__appending_finish(node))
        shoal_node__enter_phase(node, SHOAL_PHASE_LEFT);
}
