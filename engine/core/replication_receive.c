/* SPDX-License-Identifier: MIT
 *
 * core/replication_receive.c - a master's snapshot takes the place of all that this node has.
 * Clients are answered -LOADING meanwhile; operations of theirs that are under way end first.
 *
 *   IDLE -> MOMENT -> CLEARING -> LOADING -> IDLE
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"

/* Bytes that a step loads at once. */
#define PART_SIZE ((size_t)256 << 10)

static void nudge(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->host.nudge != NULL);
    node->host.nudge(node->host.context, SHOAL_ACTOR_CONTROL);
}

static void end(shoal_node *node, shoal_err error)
{
    shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(replication->receiving != SHOAL_RECEIVING_IDLE && !replication->reading);
    if (replication->load != NULL) {
        shoal_rdb_load_close(replication->load);
        shoal_memory_give(&node->allocator, replication->load, sizeof *replication->load,
                          SHOAL_ALIGN_PLAIN);
    }
    replication->load = NULL;
    replication->receiving = SHOAL_RECEIVING_IDLE;
    shoal_repl_loaded(replication->repl, error);
    /* What a failed one has left is worth no file, unless this node becomes a master with it. */
    if (error == SHOAL_ERR_OK) shoal_node__appending_hold(node, false);
    shoal_store_relaxed(&node->env.loading, false);
    node->host.file_remove(node->host.context, SHOAL_REPL_FILE_SYNC, 0);
    replication->removing++;
}

/* ---- loading ---- */

static void read_on(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(!replication->reading && replication->at < replication->size);
    uint64_t left = replication->size - replication->at;
    replication->reading = true;
    node->host.file_read_part(node->host.context, SHOAL_REPL_FILE_SYNC, replication->at,
                              left < PART_SIZE ? (size_t)left : PART_SIZE, 0);
}

static void begin_loading(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    replication->load =
        shoal_memory_take(&node->allocator, sizeof *replication->load, SHOAL_ALIGN_PLAIN);
    replication->receiving = SHOAL_RECEIVING_LOADING;
    SHOAL_ASSERT(replication->at == 0);
    if (replication->load == NULL || replication->size == 0) {
        end(node, replication->load == NULL ? SHOAL_ERR_NO_MEMORY : SHOAL_ERR_MALFORMED);
        return;
    }
    shoal_rdb_load_options options = shoal_node__load_options(node);
    options.keeps_expired = true;
    shoal_rdb_load_open(replication->load, &options);
    read_on(node);
}

void shoal_node__receive_file_done(shoal_node *node, const shoal_event *event)
{
    shoal_replication *replication = &node->replication;
    if (event->op == SHOAL_FILE_REMOVE && replication->removing > 0) {
        replication->removing--;
        return;
    }
    if (event->op != SHOAL_FILE_READ || !replication->reading) {
        (void)shoal_repl_event(replication->repl, event);
        return;
    }
    replication->reading = false;
    SHOAL_ASSERT(replication->receiving == SHOAL_RECEIVING_LOADING);
    if (event->error != SHOAL_ERR_OK || event->data.size == 0) {
        end(node, event->error != SHOAL_ERR_OK ? event->error : SHOAL_ERR_MALFORMED);
        return;
    }
    replication->at += event->data.size;
    shoal_rdb_load_state state = shoal_rdb_load_feed(replication->load, event->data);
    if (state == SHOAL_RDB_LOAD_MORE && replication->at < replication->size) {
        read_on(node);
        return;
    }
    if (state == SHOAL_RDB_LOAD_DONE) {
        end(node, SHOAL_ERR_OK);
        return;
    }
    const char *reason = replication->load->reason;
    shoal_node__log(node, SHOAL_LEVEL_WARNING,
                    "The master's snapshot cannot be loaded: %s, at byte %llu",
                    reason != NULL ? reason : "it ends too early",
                    (unsigned long long)replication->load->offset);
    end(node, state == SHOAL_RDB_LOAD_NO_MEMORY ? SHOAL_ERR_NO_MEMORY : SHOAL_ERR_MALFORMED);
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
    if (replication->receiving != SHOAL_RECEIVING_CLEARING) return;
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&node->env.loading));
    if (shoal_node__clear_some(node, &replication->place)) {
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
    replication->size = size;
    replication->at = replication->place = 0;
    nudge(node);
}
