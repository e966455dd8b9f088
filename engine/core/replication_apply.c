/* SPDX-License-Identifier: MIT
 *
 * core/replication_apply.c - the stream of a master is carried out, command by command, in its
 * order, and put into this node's own log as it came: so the end of the log is how far this node
 * is, and its replicas get the same bytes. What belongs to a transaction goes in when that is over.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/apply.h"
#include "command/replica.h"
#include "store/moment.h"
#include "store/snapshot.h"
#include "wire/resp.h"

/* Commands that are looked up together, and that a step carries out at most. */
#define BATCH 32u
#define STEP_COMMANDS 4096u

/* One stream. */
struct shoal_stream {
    shoal_applier *applier;
    shoal_buffer input; /* what has not gone into the log */
    shoal_buffer late;  /* what came while commands of `input` were parsed */
    bool void_rest;     /* what follows the command that is pending is void; it is in the log */
    size_t done;        /* of input: carried out, but in a transaction that is not over */
    uint32_t db;        /* that what comes next in the log is about */
    bool pending;       /* a command is under way elsewhere */
    bool asked;         /* the master wants an acknowledgement */
    bool swaps;         /* databases are exchanged in what is parsed, or in its transaction */
    shoal_request requests[BATCH];
    size_t ends[BATCH]; /* of input: behind each */
    uint32_t count;     /* parsed */
    uint32_t used;      /* given to the applier */
};

/* What was pending is over. Any thread. */
static void over(void *context)
{
    const shoal_node *node = context;
    SHOAL_DEBUG_ASSERT(node->host.nudge != NULL);
    node->host.nudge(node->host.context, SHOAL_ACTOR_CONTROL);
}

static struct shoal_stream *make_stream(shoal_node *node)
{
    struct shoal_stream *stream =
        shoal_memory_take_zeroed(&node->allocator, sizeof *stream, SHOAL_ALIGN_PLAIN);
    if (stream == NULL) return NULL;
    shoal_applier_options options = {
        .env = &node->env, .thread = node->thread, .counts = true, .over = over, .context = node};
    if (shoal_applier_open(&options, &stream->applier) != SHOAL_ERR_OK) {
        shoal_memory_give(&node->allocator, stream, sizeof *stream, SHOAL_ALIGN_PLAIN);
        return NULL;
    }
    stream->input = shoal_buffer_make(&node->allocator);
    stream->late = shoal_buffer_make(&node->allocator);
    for (uint32_t i = 0; i < BATCH; i++) {
        stream->requests[i].allocator = &node->allocator;
        stream->requests[i].limits = shoal_request_limits_default();
    }
    SHOAL_ASSERT(stream->count == 0);
    stream->db = node->replication.stream_db;
    shoal_applier_select(stream->applier, stream->db);
    return stream;
}

bool shoal_node__apply_pending(const shoal_node *node)
{
    const struct shoal_stream *stream = node->replication.stream;
    SHOAL_DEBUG_ASSERT(node->thread != NULL);
    /* A batch that is carried out and not settled yet, too: DEBUG SLEEP, or another's moment. */
    return stream != NULL && (stream->pending || stream->used > 0);
}

uint32_t shoal_node__apply_db(const shoal_node *node)
{
    const struct shoal_stream *stream = node->replication.stream;
    SHOAL_DEBUG_ASSERT(node->thread != NULL);
    return stream != NULL ? stream->db : node->replication.stream_db;
}

void shoal_node__apply_select(shoal_node *node, uint32_t db)
{
    struct shoal_stream *stream = node->replication.stream;
    SHOAL_DEBUG_ASSERT(node->thread != NULL);
    node->replication.stream_db = db;
    if (stream == NULL) return;
    SHOAL_ASSERT(!stream->pending && stream->count == 0);
    stream->db = db;
    shoal_applier_select(stream->applier, db);
}

void shoal_node__apply_close(shoal_node *node)
{
    struct shoal_stream *stream = node->replication.stream;
    if (stream == NULL) return;
    SHOAL_ASSERT(stream->applier != NULL);
    node->replication.stream = NULL;
    for (uint32_t i = 0; i < BATCH; i++) shoal_request_free(&stream->requests[i]);
    shoal_buffer_free(&stream->input);
    shoal_buffer_free(&stream->late);
    shoal_applier_close(stream->applier);
    shoal_memory_give(&node->allocator, stream, sizeof *stream, SHOAL_ALIGN_PLAIN);
}

/* Parses up to BATCH commands behind `from`. False when the stream is damaged. */
static bool parse(struct shoal_stream *stream, size_t from)
{
    shoal_slice input = shoal_buffer_slice(&stream->input);
    stream->count = stream->used = 0;
    SHOAL_DEBUG_ASSERT(from <= input.size);
    while (stream->count < BATCH && from < input.size) {
        shoal_request *request = &stream->requests[stream->count];
        shoal_request_reset(request);
        shoal_parse found =
            shoal_request_parse(request, (shoal_slice){input.data + from, input.size - from});
        if (found == SHOAL_PARSE_ERROR) return false;
        if (found == SHOAL_PARSE_MORE) return true;
        /* A batch lies in one transaction, or in none: what is carried out goes into the log. */
        bool begins = request->argc > 0 && shoal_text_is(request->argv[0], "multi");
        /* One that may have to wait has nothing in front of it that is carried out. */
        bool swaps = request->argc > 0 && shoal_text_is(request->argv[0], "swapdb");
        if ((begins || swaps) && stream->count > 0) return true;
        stream->swaps = stream->swaps || swaps;
        from += request->size;
        /* An empty line is no command, but a part of the stream. */
        if (request->argc == 0 && stream->count > 0) {
            stream->ends[stream->count - 1] = from;
            continue;
        }
        stream->ends[stream->count++] = from;
        if (swaps || (request->argc > 0 && shoal_text_is(request->argv[0], "exec"))) return true;
    }
    return true;
}

/* What has been carried out up to `end` of the input goes into the log. */
static void enter(shoal_node *node, struct shoal_stream *stream, size_t end)
{
    SHOAL_ASSERT(end >= stream->done && end <= shoal_buffer_size(&stream->input));
    stream->done = end;
    if (end == 0 || shoal_applier_in_transaction(stream->applier)) return;
    shoal_slice bytes = {shoal_buffer_slice(&stream->input).data, end};
    (void)shoal_log_append_raw(node->log, node->worker_count, bytes);
    stream->db = shoal_applier_db(stream->applier);
}

bool shoal_node__apply_reset(void *context)
{
    shoal_node *node = context;
    struct shoal_stream *stream = node->replication.stream;
    SHOAL_DEBUG_ASSERT(node->replication.repl != NULL);
    /* What clients wrote before this node was a replica may not be in the log yet. */
    bool turned = node->replication.turning == SHOAL_TURNING_NONE;
    if (stream == NULL) return turned;
    if (stream->pending) {
        /* It will be carried out, so it is part of what this node has, and stands in the log before
         * anything that a client writes here as soon as this node is a master. */
        if (!stream->void_rest) enter(node, stream, stream->ends[stream->used - 1]);
        stream->void_rest = true;
        return false;
    }
    /* What has been carried out of a batch is part of what this node has. */
    if (!stream->void_rest && stream->used > 0) enter(node, stream, stream->ends[stream->used - 1]);
    /* A stream that goes on where it was does not say again which database it is about. */
    node->replication.stream_db = stream->db;
    shoal_node__apply_close(node);
    node->replication.stream = make_stream(node);
    return turned;
}

/* The last command that was given to the applier failed. */
static void say_failure(const shoal_node *node, const struct shoal_stream *stream)
{
    shoal_slice error = shoal_applier_error(stream->applier);
    const shoal_request *request = &stream->requests[stream->used - 1];
    SHOAL_DEBUG_ASSERT(error.data != NULL || error.size == 0);
    SHOAL_ASSERT(stream->used > 0 && request->argc > 0);
    shoal_slice name = request->argv[0];
    shoal_node__log(node, SHOAL_LEVEL_WARNING,
                    "== CRITICAL == This replica is sending an error to its master: '%.*s' after "
                    "processing the command '%.*s'",
                    (int)error.size, error.data, (int)name.size, name.data);
}

static bool asks(const shoal_request *request)
{
    SHOAL_DEBUG_ASSERT(request->argv != NULL || request->argc == 0);
    return request->argc == 3 && shoal_text_is(request->argv[0], "replconf") &&
           shoal_text_is(request->argv[1], "getack");
}

/* Gives the parsed commands that are left to the applier. */
static void run(shoal_node *node, struct shoal_stream *stream)
{
    while (stream->used < stream->count && !stream->pending) {
        shoal_apply_command commands[BATCH];
        uint32_t count = 0, used = 0;
        for (uint32_t i = stream->used; i < stream->count; i++) {
            const shoal_request *request = &stream->requests[i];
            if (request->argc == 0 || (SHOAL_MUTANT(APPLY_SKIPS) && i % 8 == 7)) break;
            stream->asked = stream->asked || asks(request);
            commands[count++] = (shoal_apply_command){request->argv, request->argc};
        }
        if (count == 0) {
            /* An empty line at the front. */
            stream->used++;
            continue;
        }
        shoal_applied applied = shoal_apply_batch(stream->applier, commands, count, &used);
        SHOAL_ASSERT(used > 0 && used <= count);
        stream->used += used;
        stream->pending = applied == SHOAL_APPLY_PENDING;
        if (applied == SHOAL_APPLY_FAILED) say_failure(node, stream);
    }
}

/* The batch is over: its bytes go into the log. */
static void settle(shoal_node *node, struct shoal_stream *stream)
{
    SHOAL_ASSERT(!stream->pending && stream->used == stream->count);
    if (stream->count == 0) return;
    enter(node, stream, stream->ends[stream->count - 1]);
    stream->count = stream->used = 0;
    if (shoal_buffer_size(&stream->late) > 0) {
        shoal_buffer_append(&stream->input, shoal_buffer_slice(&stream->late));
        shoal_buffer_consume(&stream->late, shoal_buffer_size(&stream->late));
    }
    if (shoal_applier_in_transaction(stream->applier)) return;
    shoal_buffer_consume(&stream->input, stream->done);
    stream->done = 0;
    stream->swaps = false;
    shoal_repl_applied(node->replication.repl, shoal_log_end(node->log));
    if (stream->asked) shoal_repl_acknowledge(node->replication.repl);
    stream->asked = false;
}

/* The command that was pending elsewhere. True when it is over. */
static bool poll(shoal_node *node, struct shoal_stream *stream)
{
    if (!stream->pending) return true;
    shoal_applied applied = shoal_apply_poll(stream->applier);
    SHOAL_DEBUG_ASSERT(stream->used > 0);
    if (applied == SHOAL_APPLY_PENDING) return false;
    stream->pending = false;
    if (applied == SHOAL_APPLY_FAILED) say_failure(node, stream);
    if (!stream->void_rest) return true;
    (void)shoal_node__apply_reset(node);
    return false;
}

bool shoal_node__apply_idle(const shoal_node *node)
{
    const struct shoal_stream *stream = node->replication.stream;
    if (stream == NULL) return true;
    SHOAL_DEBUG_ASSERT(stream->used <= stream->count);
    return !stream->pending && stream->count == 0 && !stream->asked &&
           shoal_buffer_size(&stream->input) == 0 && shoal_buffer_size(&stream->late) == 0;
}

/* Carries out what can be carried out in a step. False when the rest has to wait. The stream may be
 * another one behind it. */
static bool carry_on(shoal_node *node, struct shoal_stream *stream)
{
    if (!poll(node, stream)) return false;
    if (node->now.mono_us < shoal_load_relaxed(&node->env.sleep_until_us)) return false;
    /* What a moment shows is what the log has: nothing is handed over until it is over. */
    if (shoal_moment_wished(node->store)) {
        over(node);
        return false;
    }
    const shoal_address *master = shoal_repl_following(node->replication.repl);
    if (master != NULL) shoal_applier_set_origin(stream->applier, master);
    uint64_t before = shoal_log_end(node->log);
    bool held = false;
    for (uint32_t i = 0; i < STEP_COMMANDS / BATCH && !stream->pending; i++) {
        /* No databases are exchanged while they are handed out. That ends by itself, and this
         * node's timer looks whether it has. */
        held = stream->swaps && stream->used == 0 && shoal_cut_taken(node->store);
        if (held) break;
        run(node, stream);
        if (stream->pending) break;
        settle(node, stream);
        if (node->replication.stream != stream) return false;
        if (!parse(stream, stream->done)) {
            shoal_node__log(node, SHOAL_LEVEL_WARNING,
                            "The master's stream is damaged: all is copied anew.");
            shoal_repl_spoiled(node->replication.repl);
            return false;
        }
        if (stream->count == 0) break;
    }
    SHOAL_DEBUG_ASSERT(stream->done <= shoal_buffer_size(&stream->input));
    if (stream->count > 0 && !stream->pending && !held) over(node);
    if (shoal_log_end(node->log) != before) shoal_replica_rouse(&node->env, NULL);
    return stream->count == 0;
}

void shoal_node__apply_step(shoal_node *node)
{
    struct shoal_stream *stream = node->replication.stream;
    if (stream == NULL) return;
    bool rests = carry_on(node, stream);
    if (node->replication.stream != stream) return;
    /* What is whole has been carried out where more bytes are all that is missing: a command, or a
     * transaction, may be as large as it likes. */
    size_t size = shoal_buffer_size(&stream->input) - stream->done;
    SHOAL_DEBUG_ASSERT(rests || stream->count > 0 || shoal_buffer_size(&stream->late) == 0);
    shoal_repl_waiting(node->replication.repl, rests ? 0 : size + shoal_buffer_size(&stream->late));
}

void shoal_node__apply_bytes(void *context, shoal_slice bytes)
{
    shoal_node *node = context;
    if (node->replication.stream == NULL) node->replication.stream = make_stream(node);
    struct shoal_stream *stream = node->replication.stream;
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    SHOAL_ASSERT(stream == NULL || !stream->void_rest);
    /* Bytes that are parsed stay where they are until they are carried out. */
    if (stream != NULL && stream->count == 0) {
        shoal_buffer_append(&stream->input, bytes);
    } else if (stream != NULL) {
        shoal_buffer_append(&stream->late, bytes);
    }
    if (stream == NULL || stream->input.failed || stream->late.failed) {
        shoal_repl_spoiled(node->replication.repl);
        return;
    }
    shoal_node__apply_step(node);
}
