/* SPDX-License-Identifier: MIT
 *
 * core/node.c - one node as its host sees it: made, configured, stepped through events, ended.
 * Each step runs inside one batch of the store, so that nothing the control actor looks at goes
 * away under it.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/text.h"
#include "command/effect.h"

/* What shoal_node_options_default puts into `cookie`. */
#define OPTIONS_COOKIE 0x5E0A1D0Eu
/* Most workers of a node. */
#define WORKERS_MAX 128
/* Time for freeing what its own store thread retired, a step. Chosen: as workers. */
#define RECLAIM_BUDGET_US 50

shoal_node_options shoal_node_options_default(void)
{
    return (shoal_node_options){.cookie = OPTIONS_COOKIE, .workers = 1, .process_id = 1};
}

/* Forty hexadecimal characters and a zero from the stream of `purpose`. */
static void draw_id(const shoal_node *node, uint32_t purpose, char out[SHOAL_NODE_NAME_LEN + 1])
{
    SHOAL_ASSERT(purpose >= SHOAL_PURPOSE_RUN_ID);
    static const char digits[] = "0123456789abcdef";
    shoal_prng stream = shoal_prng_make(node->seed, 0, purpose);
    unsigned char bytes[SHOAL_NODE_NAME_LEN / 2];

    shoal_prng_fill(&stream, bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[SHOAL_NODE_NAME_LEN] = '\0';
}

static bool usable(const shoal_node_options *options)
{
    return options->cookie == OPTIONS_COOKIE && options->allocator.allocate != NULL &&
           options->host.nudge != NULL && options->host.trace != NULL && options->workers >= 1 &&
           options->workers <= WORKERS_MAX;
}

shoal_err shoal_node_create(const shoal_node_options *options, shoal_node **out)
{
    SHOAL_ASSERT(options != NULL);
    SHOAL_ASSERT(out != NULL);
    shoal_node *node;
    shoal_err error;

    if (!usable(options)) return SHOAL_ERR_INVALID;
    node = shoal_memory_take_zeroed(&options->allocator, sizeof(*node), SHOAL_SHARING_SIZE);
    if (node == NULL) return SHOAL_ERR_NO_MEMORY;
    node->allocator = options->allocator;
    node->host = options->host;
    node->seed[0] = options->seed[0];
    node->seed[1] = options->seed[1];
    node->worker_count = options->workers;
    node->created = node->now = options->now;
    node->rates.due_us = SHOAL_NEVER;
    node->saving.saved_s = options->now.wall_us / 1000000;
    node->saving.took_s = -1;
    draw_id(node, SHOAL_PURPOSE_RUN_ID, node->run_id);
    draw_id(node, SHOAL_PURPOSE_REPLICATION_ID, node->replication_id);
    node->env.process_id = options->process_id;
    error = shoal_config__init(&node->config, &node->allocator);
    if (error != SHOAL_ERR_OK) {
        shoal_memory_give(&options->allocator, node, sizeof(*node), SHOAL_SHARING_SIZE);
        return error;
    }
    *out = node;
    return SHOAL_ERR_OK;
}

/* Sends home what is still under way, so that closed sessions that wait for it are freed. */
static void send_everything_home(shoal_node *node)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    SHOAL_ASSERT(node->workers != NULL);
    shoal_op *op = shoal_inbox_take(&node->control);

    shoal_node__config_abandon(node);
    shoal_node__saving_abandon(node);
    shoal_node__farewell_abandon(node);
    shoal_node__keeping_abandon(node);
    shoal_node__spread(node);
    shoal_node__reload_abandon(node);
    shoal_repl_abandon(node->replication.repl);
    shoal_node__trips_abandon(node);
    while (op != NULL) {
        shoal_errand *errand = (shoal_errand *)op;
        op = op->next;
        if (errand->gate.op.run != NULL) {
            errand->gate.op.run(&errand->gate.op, node);
        } else {
            shoal_errand_finish(errand);
        }
    }
    /* Twice: the job of a command whose trip was abandoned takes its last step in the first. */
    for (uint32_t i = 0; i < 2 * node->worker_count; i++) {
        struct shoal_worker *worker = node->workers[i % node->worker_count];
        shoal_worker_begin(worker, node->now);
        while (shoal_worker_ready(worker) != NULL) {
        }
        (void)shoal_worker_end(worker);
    }
}

void shoal_node_destroy(shoal_node *node)
{
    SHOAL_ASSERT(node != NULL);
    shoal_allocator allocator = node->allocator;
    size_t workers_size = node->worker_count * sizeof(struct shoal_worker *);

    if (node->phase != SHOAL_PHASE_NEW) send_everything_home(node);
    for (uint32_t i = 0; node->workers != NULL && i < node->worker_count; i++) {
        if (node->workers[i] != NULL) shoal_worker_free(node->workers[i]);
    }
    shoal_memory_give(&allocator, node->workers, workers_size, SHOAL_ALIGN_PLAIN);
    shoal_node__dump_close(node);
    shoal_node__replication_close(node);
    if (node->cluster != NULL) shoal_cluster_destroy(node->cluster);
    shoal_tape_free(node->tape);
    shoal_node__appending_drop(node);
    shoal_effects_close(&node->env);
    if (node->log != NULL) shoal_log_destroy(node->log);
    if (node->store != NULL) shoal_store_destroy(node->store);
    shoal_node__drop_snapshots(node);
    shoal_config__free(&node->config);
    shoal_memory_give(&allocator, node, sizeof(*node), SHOAL_SHARING_SIZE);
}

/* ---- configuration ---- */

shoal_err shoal_node_configure(shoal_node *node, shoal_slice text, const char *origin,
                               shoal_buffer *complaint)
{
    SHOAL_ASSERT(origin != NULL);
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    if (node->phase != SHOAL_PHASE_NEW) return SHOAL_ERR_INVALID;
    return shoal_config__read(&node->config, text, origin, complaint);
}

shoal_err shoal_node_config_get(const shoal_node *node, const char *directive, shoal_buffer *out)
{
    SHOAL_ASSERT(directive != NULL);
    shoal_directive_id id = shoal_config__find(shoal_text(directive));

    if (id == SHOAL_DIRECTIVE_COUNT) return SHOAL_ERR_NOT_FOUND;
    shoal_config__show(id, &node->config.values[id], out);
    return SHOAL_ERR_OK;
}

uint64_t shoal_node_config_version(const shoal_node *node)
{
    return node->config.version;
}

void shoal_node_directives(shoal_buffer *out)
{
    for (uint32_t id = 0; id < SHOAL_DIRECTIVE_COUNT; id++) {
        const shoal_directive *row = shoal_config__row(id);
        shoal_text_appendf(out, "%s\t%s\t%s\t\"%s\"\t%s\n", row->name,
                           row->alias[0] != '\0' ? row->alias : "-",
                           row->active ? "active" : "recorded", row->fallback, row->doc);
    }
}

void shoal_node_set_vitals(shoal_node *node, const shoal_vitals *vitals)
{
    SHOAL_ASSERT(vitals != NULL);
    node->vitals = *vitals;
}

void shoal_node__measure(shoal_node *node)
{
    shoal_vitals *vitals = &node->vitals;
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    if (vitals->measure != NULL) vitals->measure(vitals->context, vitals, node->now.mono_us);
}

/* ---- steps ---- */

/* Files that the node has named itself. */
static void named_done(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(event->file >= SHOAL_FILE_NAMED);
    if (shoal_node__replication_event(node, event)) return;
    if (shoal_aof_owns(event->file)) {
        shoal_node__appending_file_done(node, event);
    } else if (node->phase == SHOAL_PHASE_LOADING) {
        shoal_node__load_file_done(node, event);
    } else if (event->file == SHOAL_RDB_FILE || event->file == SHOAL_RDB_FILE_NEW) {
        shoal_node__saving_file_done(node, event);
    }
}

static void file_done(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_FILE_DONE);
    SHOAL_ASSERT(event->file > 0 && event->file < SHOAL_FILE_LIMIT);
    if (event->file >= SHOAL_FILE_NAMED) {
        named_done(node, event);
        return;
    }
    switch (event->file) {
    case SHOAL_FILE_NODES:
        if (node->phase == SHOAL_PHASE_READING && event->op == SHOAL_FILE_READ) {
            shoal_node__nodes_read(node, event);
            return;
        }
        if (node->cluster != NULL) shoal_tape_event(node->tape, node->cluster, event);
        return;
    case SHOAL_FILE_NODES_NEW:
        if (node->cluster != NULL) shoal_tape_event(node->tape, node->cluster, event);
        return;
    default: shoal_node__config_file_done(node, event); return;
    }
}

static void dispatch(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(event->kind >= SHOAL_EVENT_START);
    switch (event->kind) {
    case SHOAL_EVENT_START: shoal_node__start(node); return;
    case SHOAL_EVENT_LINK_UP:
        if (shoal_node__replication_event(node, event)) return;
        if (shoal_node__trips_event(node, event)) return;
        /* It loads yet, and has nothing to say to anybody. */
        if (node->cluster == NULL) node->host.link_close(node->host.context, event->link);
        /* fall through */
    case SHOAL_EVENT_LINK_DATA:
    case SHOAL_EVENT_LINK_FULL:
    case SHOAL_EVENT_LINK_ROOM:
    case SHOAL_EVENT_LINK_DOWN:
        if (shoal_node__replication_event(node, event)) return;
        if (shoal_node__trips_event(node, event)) return;
        if (node->cluster != NULL) shoal_tape_event(node->tape, node->cluster, event);
        return;
    case SHOAL_EVENT_FILE_DONE: file_done(node, event); return;
    case SHOAL_EVENT_TICK:
    case SHOAL_EVENT_NUDGED: return;
    }
    SHOAL_UNREACHABLE();
}

/* What every step does, whatever its event was. */
static void settle(shoal_node *node)
{
    SHOAL_ASSERT(node->thread != NULL);
    SHOAL_ASSERT(node->phase > SHOAL_PHASE_BUILT);
    shoal_repl_begin_step(node->replication.repl, node->now);
    shoal_node__run_errands(node);
    shoal_node__spread(node);
    if (node->cluster != NULL && node->phase >= SHOAL_PHASE_SAVING &&
        shoal_cluster_deadline(node->cluster) <= node->now.mono_us)
        shoal_tape_tick(node->tape, node->cluster, node->now);
    shoal_node__keeping_step(node);
    if (node->phase >= SHOAL_PHASE_READY) shoal_node__replication_step(node);
    shoal_node__trips_step(node);
    shoal_node__saving_step(node);
    shoal_node__appending_step(node);
    shoal_node__why_step(node);
    shoal_node__restrain(node);
    shoal_node__reload_step(node);
    shoal_node__advance(node);
    shoal_node__publish_route(node);
    shoal_node__look(node);
}

/* The earliest deadline of all but the cluster. */
static int64_t deadline_of_others(const shoal_node *node)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_FAILED);
    int64_t earliest = node->rates.due_us;
    int64_t saving = shoal_node__saving_deadline(node);

    if (saving < earliest) earliest = saving;
    int64_t trips = shoal_node__trips_deadline(node);
    if (trips < earliest) earliest = trips;
    int64_t appending = shoal_node__appending_deadline(node);
    if (appending < earliest) earliest = appending;
    int64_t reloading = shoal_node__reload_deadline(node);
    if (reloading < earliest) earliest = reloading;
    if (node->phase >= SHOAL_PHASE_READY) {
        int64_t replication = shoal_node__replication_deadline(node);
        if (replication < earliest) earliest = replication;
    }
    return earliest;
}

/* The end of a step that has looked at everything: its deadline. */
static int64_t conclude(shoal_node *node)
{
    SHOAL_ASSERT(node->thread != NULL);
    int64_t earliest = node->phase == SHOAL_PHASE_FAILED ? SHOAL_NEVER : deadline_of_others(node);
    shoal_node__calm_note(node, earliest);
    if (node->phase == SHOAL_PHASE_FAILED) return SHOAL_NEVER;
    if (node->cluster == NULL || node->phase < SHOAL_PHASE_SAVING) return earliest;
    int64_t cluster = shoal_cluster_deadline(node->cluster);
    return cluster < earliest ? cluster : earliest;
}

int64_t shoal_node_step(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(event->now.mono_us >= node->now.mono_us);
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_START || node->phase != SHOAL_PHASE_NEW);
    node->now = event->now;
    if (node->phase == SHOAL_PHASE_FAILED || node->phase == SHOAL_PHASE_LEFT) return SHOAL_NEVER;
    if (shoal_node__build(node) != SHOAL_ERR_OK) {
        shoal_node__fail(node, "No memory for the store and the workers", (shoal_slice){0});
        return SHOAL_NEVER;
    }
    bool calm = shoal_node__calm_takes(node, event);
    if (calm) {
        shoal_cluster_event(node->cluster, event);
        if (shoal_node__calm_stays(node)) return shoal_node__calm_deadline(node);
    }
    shoal_tape_step(node->tape, event);
    shoal_thread_enter(node->thread, event->now);
    if (!calm) dispatch(node, event);
    if (node->phase != SHOAL_PHASE_FAILED) settle(node);
    /* Expiry is the workers': the next step may be a second away. */
    shoal_store_reclaim(node->thread, RECLAIM_BUDGET_US);
    /* What was handed over to it while it held a gate must go on soon. */
    if (shoal_thread_busy(node->thread)) node->host.nudge(node->host.context, SHOAL_ACTOR_CONTROL);
    shoal_thread_leave(node->thread);
    shoal_tape_step_end(node->tape, node->cluster);
    return conclude(node);
}

/* ---- what a host asks ---- */

shoal_node_wish shoal_node_wanted(const shoal_node *node)
{
    return node->wish;
}

bool shoal_node_ready(const shoal_node *node)
{
    return shoal_load_acquire(&node->ready); /* pair: node.ready */
}

const char *shoal_node_name(const shoal_node *node)
{
    SHOAL_ASSERT(node != NULL);
    if (!shoal_node_ready(node)) return "";
    return node->cluster != NULL ? shoal_cluster_name(node->cluster) : node->run_id;
}

uint64_t shoal_node_digest(const shoal_node *node)
{
    uint64_t digest = node->store != NULL ? shoal_store_digest(node->store) : 0;
    shoal_buffer text = shoal_buffer_make(&node->allocator);

    if (node->cluster != NULL)
        digest = shoal_prng_mix(digest ^ shoal_cluster_digest(node->cluster));
    for (uint32_t id = 0; id < SHOAL_DIRECTIVE_COUNT; id++) {
        shoal_config__show(id, &node->config.values[id], &text);
        shoal_buffer_append(&text, (shoal_slice){"", 1});
    }
    SHOAL_ASSERT(!text.failed);
    digest = shoal_prng_mix(digest ^ shoal_hash(shoal_buffer_slice(&text), node->phase));
    shoal_buffer_free(&text);
    return digest;
}

void shoal_node_copy_get(const shoal_node *node, shoal_node_copy *out)
{
    shoal_repl_facts facts;
    *out = (shoal_node_copy){.replica = false};
    SHOAL_ASSERT(out != NULL && node->replication.repl != NULL);
    shoal_repl_facts_get(node->replication.repl, &facts);
    out->replica = facts.is_replica;
    out->in_step = facts.link_up;
    out->offset = facts.offset;
    memcpy(out->history, facts.id, sizeof out->history);
    if (facts.has_second) memcpy(out->history_before, facts.id2, sizeof out->history_before);
}

uint64_t shoal_node_data_digest(const shoal_node *node)
{
    SHOAL_ASSERT(node->store != NULL);
    return shoal_store_digest(node->store);
}

shoal_worker *shoal_node_worker(shoal_node *node, uint32_t index)
{
    SHOAL_ASSERT(index < node->worker_count);
    if (shoal_node__build(node) != SHOAL_ERR_OK) return NULL;
    return node->workers[index];
}
