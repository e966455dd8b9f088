/* SPDX-License-Identifier: MIT
 *
 * core/replication_receive.c - a master's snapshot takes the place of all that this node has.
 * Clients are answered -LOADING meanwhile; operations of theirs that are under way end first.
 *
 *   IDLE -> MOMENT -> CLEARING -> LOADING -> IDLE
 *
 * LOADING reads parts of the file ahead of the parser, and a crew of all workers puts the values.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "base/memory.h"
#include "base/text.h"

/* Bytes that a step loads at once. */
#define PART_SIZE ((size_t)256 << 10)
/* How many are on their way, so that the disk and the parser work at the same time. */
#define PARTS_AHEAD 3u

static void nudge(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->host.nudge != NULL);
    node->host.nudge(node->host.context, SHOAL_ACTOR_CONTROL);
}

void shoal_node__receive_drop(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    SHOAL_DEBUG_ASSERT(node->allocator.release != NULL);
    if (replication->load != NULL) {
        shoal_rdb_load_close(replication->load);
        shoal_memory_give(&node->allocator, replication->load, sizeof *replication->load,
                          SHOAL_ALIGN_PLAIN);
    }
    replication->load = NULL;
    shoal_crew_close(replication->crew);
    replication->crew = NULL;
}

static void end(shoal_node *node, shoal_err error)
{
    shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(replication->receiving != SHOAL_RECEIVING_IDLE && replication->reads == 0);
    shoal_node__receive_drop(node);
    replication->receiving = SHOAL_RECEIVING_IDLE;
    replication->parsed = false;
    shoal_repl_loaded(replication->repl, error);
    /* What a failed one has left is worth no file, unless this node becomes a master with it. */
    if (error == SHOAL_ERR_OK) shoal_node__appending_hold(node, false);
    shoal_store_relaxed(&node->env.loading, false);
    node->host.file_remove(node->host.context, SHOAL_REPL_FILE_SYNC, 0);
    replication->removing++;
}

/* ---- loading ---- */

/* key-load-delay: for tests that want to see a replica load. */
static int64_t key_delay_us(const shoal_node *node)
{
    int64_t us = shoal_config__number(&node->config, SHOAL_DIRECTIVE_KEY_LOAD_DELAY);
    SHOAL_DEBUG_ASSERT(node->replication.receiving == SHOAL_RECEIVING_LOADING);
    return us > 0 ? us : 0;
}

/* Bytes of a part, and how many may be on their way; with a delay, events are looked at as often
 * as in Redis. */
static size_t part_size(const shoal_node *node, uint32_t *ahead)
{
    int64_t interval =
        shoal_config__number(&node->config, SHOAL_DIRECTIVE_LOADING_PROCESS_EVENTS_INTERVAL_BYTES);
    bool slow = key_delay_us(node) > 0;
    SHOAL_DEBUG_ASSERT(interval > 0);
    *ahead = slow ? 1 : PARTS_AHEAD;
    return slow && (uint64_t)interval < PART_SIZE ? (size_t)interval : PART_SIZE;
}

/* Asks for the next parts, as long as the crew is not behind. */
static void read_on(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    uint32_t ahead;
    size_t most = part_size(node, &ahead);
    SHOAL_ASSERT(replication->receiving == SHOAL_RECEIVING_LOADING && !replication->parsed);
    if (node->now.mono_us < replication->load_due_us) return;
    while (replication->reads < ahead && replication->at < replication->size &&
           !shoal_crew_is_full(replication->crew)) {
        uint64_t left = replication->size - replication->at;
        size_t size = left < most ? (size_t)left : most;
        node->host.file_read_part(node->host.context, SHOAL_REPL_FILE_SYNC, replication->at, size,
                                  0);
        replication->at += size;
        replication->reads++;
    }
}

/* A fact of the copy's head: a master that is a replica passes a stream on that may have named its
 * database before. */
static void take_fact(void *context, shoal_slice name, shoal_slice value)
{
    shoal_node *node = context;
    int64_t db;
    SHOAL_ASSERT(node->replication.load != NULL);
    if (shoal_text_is(name, "repl-stream-db") && shoal_text_to_i64(value, &db) && db >= 0 &&
        db < shoal_config__number(&node->config, SHOAL_DIRECTIVE_DATABASES))
        shoal_node__apply_select(node, (uint32_t)db);
}

static void begin_loading(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(replication->at == 0 && replication->load == NULL);
    replication->receiving = SHOAL_RECEIVING_LOADING;
    replication->load_due_us = 0;
    if (replication->size == 0) {
        end(node, SHOAL_ERR_MALFORMED);
        return;
    }
    void *load = shoal_memory_take(&node->allocator, sizeof *replication->load, SHOAL_ALIGN_PLAIN);
    if (load == NULL || shoal_node__crew_open(node, &replication->crew) != SHOAL_ERR_OK) {
        shoal_memory_give(&node->allocator, load, sizeof *replication->load, SHOAL_ALIGN_PLAIN);
        end(node, SHOAL_ERR_NO_MEMORY);
        return;
    }
    replication->load = load;
    shoal_rdb_load_options options = shoal_node__load_options(node);
    options.keeps_expired = true;
    options.crew = replication->crew;
    options.fact = take_fact;
    options.context = node;
    shoal_node__apply_select(node, 0);
    shoal_rdb_load_open(replication->load, &options);
    read_on(node);
}

/* Nothing more is fed. */
static void parsed(shoal_node *node, shoal_err error)
{
    SHOAL_ASSERT(!node->replication.parsed);
    node->replication.parsed = true;
    node->replication.load_error = error;
    nudge(node);
}

static void complain(shoal_node *node, const char *reason, uint64_t offset)
{
    SHOAL_ASSERT(reason != NULL);
    shoal_node__log(node, SHOAL_LEVEL_WARNING,
                    "The master's snapshot cannot be loaded: %s, at byte %llu", reason,
                    (unsigned long long)offset);
}

/* Looks at what the crew has done: once it has done all, the loading ends. */
static void follow_crew(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    uint64_t offset = 0;
    SHOAL_ASSERT(replication->load != NULL && replication->crew != NULL);
    const char *wrong = shoal_crew_trouble(replication->crew, &offset);
    if (wrong != NULL && replication->load_error == SHOAL_ERR_OK) {
        complain(node, wrong, offset);
        if (!replication->parsed) parsed(node, SHOAL_ERR_MALFORMED);
        replication->load_error = SHOAL_ERR_MALFORMED;
    }
    if (!replication->parsed) {
        read_on(node);
    } else if (replication->reads == 0 && shoal_crew_is_idle(replication->crew)) {
        end(node, replication->load_error);
    }
}

/* Takes a part of the snapshot. */
static void feed(shoal_node *node, const shoal_event *event)
{
    shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(!replication->parsed);
    if (event->error != SHOAL_ERR_OK || event->data.size == 0) {
        parsed(node, event->error != SHOAL_ERR_OK ? event->error : SHOAL_ERR_MALFORMED);
        return;
    }
    uint64_t before = replication->load->keys_loaded;
    shoal_rdb_load_state state = shoal_rdb_load_feed(replication->load, event->data);
    int64_t keys = (int64_t)(replication->load->keys_loaded - before);
    replication->load_due_us = node->now.mono_us + keys * key_delay_us(node);
    bool more = replication->at < replication->size || replication->reads > 0;
    if (state == SHOAL_RDB_LOAD_DONE) {
        parsed(node, SHOAL_ERR_OK);
    } else if (state != SHOAL_RDB_LOAD_MORE || !more) {
        const char *reason = replication->load->reason;
        complain(node, reason != NULL ? reason : "it ends too early", replication->load->offset);
        parsed(node, state == SHOAL_RDB_LOAD_NO_MEMORY ? SHOAL_ERR_NO_MEMORY : SHOAL_ERR_MALFORMED);
    }
}

void shoal_node__receive_file_done(shoal_node *node, const shoal_event *event)
{
    shoal_replication *replication = &node->replication;
    if (event->op == SHOAL_FILE_REMOVE && replication->removing > 0) {
        replication->removing--;
        return;
    }
    if (event->op != SHOAL_FILE_READ || replication->reads == 0) {
        (void)shoal_repl_event(replication->repl, event);
        return;
    }
    replication->reads--;
    SHOAL_ASSERT(replication->receiving == SHOAL_RECEIVING_LOADING);
    /* What was read ahead behind the end is nobody's. */
    if (!replication->parsed) feed(node, event);
    follow_crew(node);
}

int64_t shoal_node__receive_deadline(const shoal_node *node)
{
    const shoal_replication *replication = &node->replication;
    bool waits = replication->receiving == SHOAL_RECEIVING_LOADING && replication->reads == 0 &&
                 !replication->parsed && node->now.mono_us < replication->load_due_us;
    SHOAL_DEBUG_ASSERT(replication->load_due_us >= 0);
    return waits ? replication->load_due_us : SHOAL_NEVER;
}

void shoal_node__receive_step(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    if (replication->receiving == SHOAL_RECEIVING_MOMENT) {
        /* Its own replicas have been sent away; they read the log that begins again. */
        if (!shoal_repl_is_alone(replication->repl)) return;
        /* Another snapshot of this node's has its moment first. */
        if (replication->sending == SHOAL_SENDING_MOMENT ||
            replication->pause == SHOAL_PAUSE_MOMENT || !shoal_node__moment_wish(node))
            return;
        shoal_node__appending_hold(node, true);
        shoal_node__moment_end(node);
        replication->receiving = SHOAL_RECEIVING_CLEARING;
    }
    if (replication->receiving == SHOAL_RECEIVING_LOADING) follow_crew(node);
    if (replication->receiving != SHOAL_RECEIVING_CLEARING) return;
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&node->env.loading));
    if (SHOAL_MUTANT(SYNC_UNCLEARED) || shoal_node__clear_some(node, &replication->place)) {
        begin_loading(node);
    } else {
        nudge(node);
    }
}

void shoal_node__receive_start(void *context, shoal_file file, uint64_t size)
{
    shoal_node *node = context;
    shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(file == SHOAL_REPL_FILE_SYNC && replication->receiving == SHOAL_RECEIVING_IDLE);
    shoal_store_relaxed(&node->env.loading, true);
    replication->receiving = SHOAL_RECEIVING_MOMENT;
    shoal_store_note_own(node->store, false);
    shoal_store_forget_own(node->store);
    replication->size = size;
    replication->at = replication->place = 0;
    replication->load_error = SHOAL_ERR_OK;
    SHOAL_ASSERT(!replication->parsed && replication->reads == 0);
    nudge(node);
}
