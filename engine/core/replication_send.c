/* SPDX-License-Identifier: MIT
 *
 * core/replication_send.c - snapshots for replicas: taken in a moment of the store, so that the
 * place in the log where the stream goes on is exact, and written to a file that replicas are read
 * from while it grows.
 *
 *   IDLE -> MOMENT -> WRITING -> KEPT -> CLEARING -> IDLE
 *           WRITING -> CLEARING                              nobody needs it any more, or it failed
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/text.h"
#include "store/moment.h"

/* Bytes that the host may have to write before more keys are handed out. */
#define WINDOW ((uint64_t)2 << 20)
/* Keys that a step hands out: some hundred microseconds. */
#define STEP_KEYS 512u
/* Most that a string counts for which is held because it is about to go: a quarter of what may wait
 * here without anybody being restrained (core/restraint.c). */
#define HELD_MAX ((uint64_t)1 << 20)

static void nudge(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->host.nudge != NULL);
    node->host.nudge(node->host.context, SHOAL_ACTOR_CONTROL);
}

/* ---- the moment ---- */

bool shoal_node__moment_is_free(const shoal_node *node)
{
    const shoal_replication *replication = &node->replication;
    SHOAL_DEBUG_ASSERT(node->thread != NULL);
    return replication->sending != SHOAL_SENDING_MOMENT &&
           replication->receiving != SHOAL_RECEIVING_MOMENT &&
           replication->pause != SHOAL_PAUSE_MOMENT && replication->turning != SHOAL_TURNING_MOMENT;
}

bool shoal_node__moment_wish(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    SHOAL_DEBUG_ASSERT(node->thread != NULL);
    /* Whoever ends it nudges. Behind the wish no further command is handed over. */
    if (!replication->wished && shoal_node__apply_pending(node)) return false;
    if (!replication->prepared) shoal_moment_prepare(node->thread, 1);
    replication->prepared = true;
    /* The append-only file has moments of its own: they come one after the other. */
    bool free = !shoal_moment_wished(node->store);
    if (!replication->wished && free) replication->wished = shoal_moment_wish(node->thread);
    bool come = replication->wished && shoal_moment_has_come(node->thread);
    /* Threads that are under way, or have not begun a batch, are waited for. */
    if (!come) nudge(node);
    return come;
}

void shoal_node__moment_end(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    SHOAL_DEBUG_ASSERT(node->thread != NULL);
    if (replication->wished) shoal_moment_end(node->thread);
    if (replication->prepared) shoal_moment_prepare(node->thread, -1);
    replication->wished = replication->prepared = false;
}

/* ---- writing ---- */

/* The snapshot's taker. */
static void take(void *context, shoal_slice bytes)
{
    shoal_node *node = context;
    shoal_replication *replication = &node->replication;
    if (replication->sending != SHOAL_SENDING_WRITING || replication->error != SHOAL_ERR_OK) return;
    SHOAL_DEBUG_ASSERT(bytes.size > 0);
    replication->submitted += bytes.size;
    replication->operations++;
    /* The tag is how much the file has behind it. */
    node->host.file_append(node->host.context, SHOAL_REPL_FILE_SEND, bytes, replication->submitted);
}

static void begin(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    shoal_snapshot_head head;
    shoal_snapshot_options options = shoal_node__snapshot_open(node, &head);
    SHOAL_ASSERT(replication->writer == NULL && replication->operations == 0);
    options.held_max = HELD_MAX;
    options.taker.take = take;
    options.taker.context = node;
    replication->submitted = replication->written = 0;
    replication->writer_done = false;
    replication->began_us = node->now.mono_us;
    replication->error = SHOAL_ERR_OK;
    replication->sending = SHOAL_SENDING_WRITING;
    replication->operations++;
    node->host.file_remove(node->host.context, SHOAL_REPL_FILE_SEND, 0);
    shoal_err error = shoal_snapshot_begin(node->thread, &options, &replication->writer);
    shoal_buffer_free(&head.text);
    if (error == SHOAL_ERR_OK)
        shoal_repl_snapshot_begun(replication->repl, shoal_log_end(node->log));
    shoal_node__moment_end(node);
    if (error == SHOAL_ERR_OK) return;
    replication->writer = NULL;
    replication->sending = SHOAL_SENDING_CLEARING;
    shoal_repl_snapshot_ended(replication->repl, error);
}

/* Nothing of it is needed any more. */
static void clear(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(replication->sending == SHOAL_SENDING_WRITING ||
                 replication->sending == SHOAL_SENDING_KEPT);
    if (replication->writer != NULL) shoal_snapshot_abort(replication->writer);
    replication->sending = SHOAL_SENDING_CLEARING;
    replication->operations++;
    node->host.file_remove(node->host.context, SHOAL_REPL_FILE_SEND, 0);
    nudge(node);
}

static void fail(shoal_node *node, shoal_err error)
{
    SHOAL_ASSERT(error != SHOAL_ERR_OK);
    clear(node);
    shoal_repl_snapshot_ended(node->replication.repl, error);
}

/* rdb-key-save-delay slows it down, as it does all snapshots. */
static int64_t key_delay_us(const shoal_node *node)
{
    int64_t us = shoal_config__number(&node->config, SHOAL_DIRECTIVE_RDB_KEY_SAVE_DELAY);
    SHOAL_DEBUG_ASSERT(node->replication.began_us >= 0);
    return us > 0 ? us : 0;
}

uint64_t shoal_node__send_waiting(const shoal_node *node)
{
    const shoal_replication *replication = &node->replication;
    SHOAL_DEBUG_ASSERT(replication->written <= replication->submitted);
    SHOAL_DEBUG_ASSERT(replication->sending <= SHOAL_SENDING_CLEARING);
    if (replication->writer == NULL) return 0;
    return replication->submitted - replication->written +
           shoal_snapshot_pending(replication->writer);
}

/* Keys that may be handed out now. */
static uint32_t allowance(const shoal_node *node)
{
    const shoal_replication *replication = &node->replication;
    uint64_t waits = replication->submitted - replication->written;
    int64_t delay_us = key_delay_us(node);
    SHOAL_ASSERT(replication->writer != NULL);
    if (replication->sending == SHOAL_SENDING_CLEARING) return STEP_KEYS;
    if (waits >= WINDOW) return 0;
    if (delay_us == 0) return STEP_KEYS;
    int64_t due = (node->now.mono_us - replication->began_us) / delay_us -
                  (int64_t)shoal_snapshot_keys(replication->writer);
    if (due <= 0) return 0;
    return due < STEP_KEYS ? (uint32_t)due : STEP_KEYS;
}

int64_t shoal_node__send_deadline(const shoal_node *node)
{
    const shoal_replication *replication = &node->replication;
    int64_t delay_us = key_delay_us(node);
    SHOAL_DEBUG_ASSERT(replication->sending <= SHOAL_SENDING_CLEARING);
    if (replication->writer == NULL || replication->writer_done || delay_us == 0)
        return SHOAL_NEVER;
    /* What is under way ends with an event. */
    if (replication->submitted - replication->written >= WINDOW) return SHOAL_NEVER;
    int64_t next = (int64_t)shoal_snapshot_keys(replication->writer) + 1;
    if (next > (SHOAL_NEVER - replication->began_us) / delay_us) return SHOAL_NEVER;
    return replication->began_us + next * delay_us;
}

/* Hands out some keys. */
static void write_on(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    if (replication->writer == NULL) return;
    bool clearing = replication->sending == SHOAL_SENDING_CLEARING;
    uint32_t budget = allowance(node);
    if (!replication->writer_done) {
        shoal_snapshot_state state = shoal_snapshot_step(replication->writer, node->thread, budget);
        if (state == SHOAL_SNAPSHOT_FAILED && !clearing) fail(node, SHOAL_ERR_NO_MEMORY);
        replication->writer_done = state != SHOAL_SNAPSHOT_MORE;
        if (budget > 0) nudge(node);
    }
    if (!replication->writer_done) return;
    if (!shoal_snapshot_end(replication->writer, node->thread)) {
        nudge(node);
        return;
    }
    replication->writer = NULL;
    SHOAL_DEBUG_ASSERT(replication->written <= replication->submitted);
}

void shoal_node__send_step(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    if (replication->sending == SHOAL_SENDING_MOMENT && replication->pause != SHOAL_PAUSE_MOMENT &&
        shoal_node__moment_wish(node))
        begin(node);
    write_on(node);
    if (replication->sending == SHOAL_SENDING_WRITING && replication->writer == NULL &&
        replication->written == replication->submitted) {
        SHOAL_ASSERT(replication->error == SHOAL_ERR_OK);
        replication->sending = SHOAL_SENDING_KEPT;
        shoal_repl_snapshot_ended(replication->repl, SHOAL_ERR_OK);
    }
    if (replication->sending == SHOAL_SENDING_CLEARING && replication->writer == NULL &&
        replication->operations == 0)
        replication->sending = SHOAL_SENDING_IDLE;
}

void shoal_node__send_file_done(shoal_node *node, const shoal_event *event)
{
    shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(event->file == SHOAL_REPL_FILE_SEND && replication->operations > 0);
    replication->operations--;
    if (event->op != SHOAL_FILE_APPEND || replication->sending != SHOAL_SENDING_WRITING) return;
    if (event->error != SHOAL_ERR_OK) {
        fail(node, event->error);
        return;
    }
    replication->written = event->tag;
    shoal_repl_snapshot_grown(replication->repl, replication->written);
}

/* ---- what replication asks for ---- */

bool shoal_node__send_start(void *context)
{
    shoal_node *node = context;
    shoal_replication *replication = &node->replication;
    if (replication->sending != SHOAL_SENDING_IDLE || shoal_node__is_saving(node) ||
        shoal_node__replication_busy(node))
        return false;
    SHOAL_ASSERT(!replication->wished);
    shoal_slice path = shoal_text("temp-repl-send.rdb");
    node->host.file_name(node->host.context, SHOAL_REPL_FILE_SEND, path);
    replication->sending = SHOAL_SENDING_MOMENT;
    nudge(node);
    return true;
}

void shoal_node__send_stop(void *context)
{
    shoal_node *node = context;
    shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(replication->sending != SHOAL_SENDING_IDLE);
    if (replication->sending == SHOAL_SENDING_WRITING || replication->sending == SHOAL_SENDING_KEPT)
        clear(node);
}
