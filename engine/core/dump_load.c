/* SPDX-License-Identifier: MIT
 *
 * core/dump_load.c - the dump that a node begins with: read part by part, two ahead of the loader,
 * so that the disk and the parser work at the same time, and its values by all workers. A dump that
 * cannot be read to its end stops the node, with its name, the byte and what can be done; nothing
 * is written over it.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/dump.h"

#include <string.h>

#define US_PER_S 1000000
/* Keys without content that are named in the log. */
#define EMPTY_NAMED 10
/* Bytes of a part, and how many are read ahead. Chosen: a step of some milliseconds. */
#define PART_BYTES ((size_t)1 << 20)
#define PARTS_AHEAD 3
/* Tag of the reads. */
#define TAG 1

shoal_rdb_load_options shoal_node__load_options(shoal_node *node)
{
    /* They are the control actor's, who is the caller. */
    const shoal_settings *settings = shoal_load_relaxed(&node->env.settings);
    SHOAL_ASSERT(node->thread != NULL);
    SHOAL_ASSERT(settings->databases > 0);
    return (shoal_rdb_load_options){.allocator = &node->allocator,
                                    .thread = node->thread,
                                    .limits = shoal_dump_limits(settings),
                                    .databases = settings->databases,
                                    .checksum =
                                        shoal_config__number(&node->config,
                                                             SHOAL_DIRECTIVE_RDBCHECKSUM) != 0,
                                    .now_ms = shoal_time_wall_ms(node->now)};
}

/* key-load-delay: for tests that want to see a node load. */
static int64_t delay_us(const shoal_node *node)
{
    int64_t delay = shoal_config__number(&node->config, SHOAL_DIRECTIVE_KEY_LOAD_DELAY);
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_LOADING);
    return delay > 0 ? delay : 0;
}

/* Bytes of a part. With a delay events are looked at as often as in Redis. */
static size_t part_size(const shoal_node *node)
{
    int64_t interval =
        shoal_config__number(&node->config, SHOAL_DIRECTIVE_LOADING_PROCESS_EVENTS_INTERVAL_BYTES);
    SHOAL_ASSERT(interval > 0);
    return delay_us(node) > 0 && (uint64_t)interval < PART_BYTES ? (size_t)interval : PART_BYTES;
}

static void read_next(shoal_node *node)
{
    const shoal_host *host = &node->host;
    size_t size = part_size(node);
    SHOAL_ASSERT(node->saving.load != NULL);
    node->saving.load_due_us = SHOAL_NEVER;
    host->file_read_part(host->context, SHOAL_RDB_FILE, node->saving.load_at, size, TAG);
    node->saving.load_at += size;
    node->saving.load_reads++;
}

shoal_err shoal_node__crew_open(shoal_node *node, shoal_crew **out)
{
    const shoal_crew_options options = {.env = &node->env,
                                        .limits = shoal_node__load_options(node).limits};
    SHOAL_ASSERT(*out == NULL);
    return shoal_crew_open(&options, out);
}

/* ---- a history that goes on ---- */

bool shoal_node__may_follow(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->phase == SHOAL_PHASE_LOADING);
    return shoal_config__number(&node->config, SHOAL_DIRECTIVE_CLUSTER_ENABLED) != 0 ||
           shoal_config__text(&node->config, SHOAL_DIRECTIVE_REPLICAOF).size != 0;
}

/* A fact of the dump's head. The offset stands behind the id. */
static void take_fact(void *context, shoal_slice name, shoal_slice value)
{
    shoal_node *node = context;
    shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(saving->load != NULL);
    int64_t db;
    if (shoal_text_is(name, "repl-stream-db") && shoal_text_to_i64(value, &db) && db >= 0 &&
        db < shoal_config__number(&node->config, SHOAL_DIRECTIVE_DATABASES)) {
        node->replication.stream_db = (uint32_t)db;
    } else if (shoal_text_is(name, "repl-id") && value.size == sizeof saving->history - 1) {
        memcpy(saving->history, value.data, value.size);
    } else if (shoal_text_is(name, "repl-offset") && saving->history[0] != '\0') {
        uint64_t offset;
        if (!shoal_text_to_u64(value, &offset)) return;
        bool follows = shoal_node__may_follow(node);
        shoal_repl_restore(node->replication.repl, shoal_text(saving->history), offset, follows);
        /* Keys of a replica go when its master says so. */
        saving->load->options.keeps_expired = follows;
    }
}

/* A master's replicas may still have the key, and go on from where the dump was taken. */
static void tell_expired(void *context, uint32_t db, shoal_slice name)
{
    shoal_node *node = context;
    SHOAL_DEBUG_ASSERT(node->log != NULL);
    if (!shoal_log_wanted(node->log)) return;
    shoal_buffer text = shoal_buffer_make(&node->allocator);
    shoal_text_appendf(&text, "*2\r\n$3\r\nDEL\r\n$%zu\r\n", name.size);
    shoal_buffer_append(&text, name);
    shoal_buffer_append(&text, (shoal_slice){"\r\n", 2});
    shoal_slice piece = shoal_buffer_slice(&text);
    if (text.failed) {
        shoal_log_tear(node->log);
    } else {
        (void)shoal_log_append(node->log, node->worker_count, db, &piece, 1);
    }
    shoal_buffer_free(&text);
}

/* Some versions of Redis wrote keys that hold nothing. Ten of them are named, as there. */
static void tell_empty(void *context, uint32_t db, shoal_slice name)
{
    shoal_node *node = context;
    (void)db;
    SHOAL_ASSERT(node->saving.load != NULL);
    SHOAL_ASSERT(node->saving.load->keys_empty > 0);
    if (node->saving.load->keys_empty > EMPTY_NAMED) return;
    shoal_node__log(node, SHOAL_LEVEL_NOTICE, "rdbLoadObject skipping empty key: %.*s",
                    (int)name.size, name.data);
}

bool shoal_node__dump_begin(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(saving->load == NULL);
    /* Who slows loading down wants to see one key after the other. */
    if (delay_us(node) == 0 && shoal_node__crew_open(node, &saving->crew) != SHOAL_ERR_OK)
        return false;
    saving->load = shoal_memory_take(&node->allocator, sizeof(*saving->load), SHOAL_ALIGN_PLAIN);
    if (saving->load == NULL) return false;
    shoal_rdb_load_options options = shoal_node__load_options(node);
    options.crew = saving->crew;
    options.fact = take_fact;
    options.expired = tell_expired;
    options.empty = tell_empty;
    options.context = node;
    shoal_rdb_load_open(saving->load, &options);
    saving->load_began_us = node->now.mono_us;
    saving->load_state = SHOAL_DUMP_LOADING;
    node->host.file_name(node->host.context, SHOAL_RDB_FILE,
                         shoal_config__text(&node->config, SHOAL_DIRECTIVE_DBFILENAME));
    saving->load_due_us = SHOAL_NEVER;
    for (int i = 0; i < (delay_us(node) > 0 ? 1 : PARTS_AHEAD); i++) read_next(node);
    return true;
}

void shoal_node__dump_drop(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(saving->load != NULL);
    shoal_rdb_load_close(saving->load);
    shoal_memory_give(&node->allocator, saving->load, sizeof(*saving->load), SHOAL_ALIGN_PLAIN);
    saving->load = NULL;
}

void shoal_node__dump_close(shoal_node *node)
{
    SHOAL_ASSERT(node->saving.load == NULL);
    shoal_crew_close(node->saving.crew);
    node->saving.crew = NULL;
}

/* The dump cannot be read: the node does not start. */
static void fail(shoal_node *node, const char *reason, uint64_t offset)
{
    shoal_slice name = shoal_config__text(&node->config, SHOAL_DIRECTIVE_DBFILENAME);
    shoal_buffer text = shoal_buffer_make(&node->allocator);
    SHOAL_ASSERT(reason != NULL);
    shoal_text_appendf(&text,
                       "%.*s, byte %llu: %s. The file is left as it is: look at it with "
                       "redis-check-rdb, or put it out of the way to start without it",
                       (int)name.size, name.data, (unsigned long long)offset, reason);
    node->saving.load_state = SHOAL_DUMP_FAILED;
    shoal_node__log(node, SHOAL_LEVEL_WARNING, "Error reading the RDB file at offset %llu: %s",
                    (unsigned long long)offset, reason);
    shoal_node__log(node, SHOAL_LEVEL_WARNING,
                    "Terminating server after rdb file reading failure.");
    shoal_node__fail(node, "Fatal error loading the DB, check server logs. Exiting",
                     shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
}

static void succeed(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    const shoal_rdb_load *load = saving->load;
    int64_t took_us = node->now.mono_us - saving->load_began_us;
    SHOAL_ASSERT(load->state == SHOAL_RDB_LOAD_DONE);
    saving->keys_loaded = load->keys_loaded;
    saving->keys_expired = load->keys_expired;
    saving->load_state = SHOAL_DUMP_LOADED;
    if (load->keys_empty > 0) {
        shoal_node__log(
            node, SHOAL_LEVEL_NOTICE,
            "Done loading RDB, keys loaded: %llu, keys expired: %llu, empty keys skipped: %llu.",
            (unsigned long long)load->keys_loaded, (unsigned long long)load->keys_expired,
            (unsigned long long)load->keys_empty);
    } else {
        shoal_node__log(node, SHOAL_LEVEL_NOTICE,
                        "Done loading RDB, keys loaded: %llu, keys expired: %llu.",
                        (unsigned long long)load->keys_loaded,
                        (unsigned long long)load->keys_expired);
    }
    shoal_node__log(node, SHOAL_LEVEL_NOTICE, "DB loaded from disk: %lld.%03lld seconds",
                    (long long)(took_us / US_PER_S), (long long)(took_us / 1000 % 1000));
}

/* Feeds a part, and asks for the next one. */
static void take_part(shoal_node *node, const shoal_event *event)
{
    shoal_saving *saving = &node->saving;
    shoal_rdb_load *load = saving->load;
    SHOAL_ASSERT(event->error == SHOAL_ERR_OK);
    saving->load_size = event->file_size;
    saving->load_fed += event->data.size;
    uint64_t before = load->keys_loaded + load->keys_expired;
    shoal_rdb_load_state state = shoal_rdb_load_feed(load, event->data);
    switch (state) {
    case SHOAL_RDB_LOAD_DONE: saving->load_parsed = true; return;
    case SHOAL_RDB_LOAD_BAD: fail(node, load->reason, load->offset); return;
    case SHOAL_RDB_LOAD_NO_MEMORY: fail(node, "out of memory", load->offset); return;
    case SHOAL_RDB_LOAD_MORE: break;
    }
    if (saving->load_fed >= saving->load_size) {
        fail(node, "Short read or OOM loading DB. Unrecoverable error: the file ends too early",
             load->offset);
    } else if (saving->crew != NULL && shoal_crew_is_full(saving->crew)) {
        saving->load_held++;
    } else if (delay_us(node) > 0) {
        uint64_t keys = load->keys_loaded + load->keys_expired - before;
        saving->load_due_us = node->now.mono_us + (int64_t)keys * delay_us(node);
    } else {
        read_next(node);
    }
}

/* Looks at what the crew has done. */
static void follow_crew(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    uint64_t offset;
    SHOAL_ASSERT(saving->load_state == SHOAL_DUMP_LOADING);
    const char *wrong = saving->crew != NULL ? shoal_crew_trouble(saving->crew, &offset) : NULL;
    if (wrong != NULL) {
        fail(node, wrong, offset);
        return;
    }
    bool idle = saving->crew == NULL || shoal_crew_is_idle(saving->crew);
    if (saving->load_parsed && idle) succeed(node);
    while (saving->load_held > 0 && !shoal_crew_is_full(saving->crew)) {
        saving->load_held--;
        read_next(node);
        if (saving->load_reads >= PARTS_AHEAD) break;
    }
}

shoal_dump_state shoal_node__dump_step(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(saving->load != NULL);
    if (saving->load_due_us <= node->now.mono_us) read_next(node);
    if (saving->load_state == SHOAL_DUMP_LOADING) follow_crew(node);
    if (saving->load_state == SHOAL_DUMP_FAILED) return SHOAL_DUMP_FAILED;
    if (saving->load_state == SHOAL_DUMP_LOADING || saving->load_reads > 0)
        return SHOAL_DUMP_LOADING;
    shoal_node__dump_drop(node);
    shoal_node__dump_close(node);
    return SHOAL_DUMP_LOADED;
}

void shoal_node__dump_file_done(shoal_node *node, const shoal_event *event)
{
    shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(event->file == SHOAL_RDB_FILE && event->op == SHOAL_FILE_READ);
    SHOAL_ASSERT(saving->load_reads > 0);
    saving->load_reads--;
    /* What was read ahead behind the end. */
    if (saving->load_state != SHOAL_DUMP_LOADING || saving->load_parsed) return;
    if (event->error == SHOAL_ERR_OK) {
        take_part(node, event);
    } else if (event->error == SHOAL_ERR_NOT_FOUND && saving->load->offset == 0) {
        saving->load_state = SHOAL_DUMP_LOADED;
    } else {
        fail(node, shoal_err_text(event->error), saving->load->offset);
    }
}
