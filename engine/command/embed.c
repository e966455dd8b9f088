/* SPDX-License-Identifier: MIT
 *
 * command/embed.c - shoal/command.h: commands without a session. What a session does for a command
 * is done here in its simplest form: the keys are found, the gates are tried and not waited for,
 * what a handler leaves to be done later is done at once. There is nobody to wait for a key, so
 * blocking commands run as inside a transaction.
 *
 * Threads: a shoal_commands is constant once made.
 */
#include <shoal/command.h>

#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "base/sort.h"
#include "base/text.h"
#include "command/effect.h"
#include "command/embed.h"
#include "command/handlers.h"
#include "command/job.h"
#include "command/keys.h"
#include "command/lookup.h"

/* What a cookie is: options that did not come from the default function stop the program. */
#define COOKIE 0x53484f43u
/* Keys of a call that need no memory of their own. Chosen. */
#define KEYS_SMALL 8u
/* Words of a line. */
#define WORDS_MAX 1024
/* Bytes of unknown names that an error repeats, as Redis. */
#define QUOTED_MAX 128u
/* Shown by what asks for it: 40 characters, as a node's would be. */
#define RUN_ID "0000000000000000000000000000000000000000"

struct shoal_commands {
    shoal_env env;
    shoal_settings settings;
    shoal_lookup lookup;
    const shoal_journal *journal; /* of a cache that is kept on disk, or NULL */
    int protocol;
};

/* ---- life ---- */

shoal_commands_options shoal_commands_options_default(void)
{
    return (shoal_commands_options){
        .cookie = COOKIE,
        .protocol = 3,
        .hash_max_listpack_entries = 512,
        .hash_max_listpack_value = 64,
        .set_max_intset_entries = 512,
        .zset_max_listpack_entries = 128,
        .zset_max_listpack_value = 64,
        .list_max_listpack_size = -2,
    };
}

shoal_settings shoal_embed_settings(const shoal_commands_options *options)
{
    SHOAL_ASSERT(options->protocol == 2 || options->protocol == 3);
    return (shoal_settings){
        .bulk_size_max = SHOAL_VALUE_SIZE_MAX,
        .query_size_max = UINT64_MAX,
        .hash_entries_max = options->hash_max_listpack_entries,
        .hash_value_size_max = options->hash_max_listpack_value,
        .set_entries_max = options->set_max_intset_entries,
        .zset_entries_max = options->zset_max_listpack_entries,
        .zset_member_size_max = options->zset_max_listpack_value,
        .list_node_max = options->list_max_listpack_size,
        .clients_max = 1,
        .databases = 1,
        /* Nobody waits for memory that is being freed. */
        .lazy_user_del = true,
        .lazy_user_flush = true,
    };
}

/* The effects of commands on a cache that is kept on disk stand with those of its other writes. */
static void join_journal(shoal_commands *made, const shoal_thread *thread)
{
    made->journal = shoal_thread_journal(thread);
    SHOAL_ASSERT(made->env.log == NULL);
    if (made->journal == NULL) return;
    const shoal_env *kept = ((const shoal_scribe *)made->journal)->env;
    made->env.log = kept->log;
    made->env.desks = kept->desks;
}

shoal_err shoal_commands_open(shoal_cache *cache, const shoal_commands_options *options,
                              shoal_commands **out)
{
    SHOAL_ASSERT(cache != NULL && out != NULL);
    SHOAL_ASSERT(options->cookie == COOKIE);
    if (options->allocator.allocate == NULL) return SHOAL_ERR_INVALID;
    if (options->protocol != 2 && options->protocol != 3) return SHOAL_ERR_INVALID;
    shoal_commands *made =
        shoal_memory_take_zeroed(&options->allocator, sizeof *made, SHOAL_ALIGN_PLAIN);
    if (made == NULL) return SHOAL_ERR_NO_MEMORY;
    made->protocol = (int)options->protocol;
    made->settings = shoal_embed_settings(options);
    made->env.allocator = options->allocator;
    made->env.store = shoal_thread_store(shoal_cache_thread_at(cache, 0));
    made->env.run_id = RUN_ID;
    join_journal(made, shoal_cache_thread_at(cache, 0));
    shoal_store_release(&made->env.settings, &made->settings); /* pair: env.settings */
    shoal_lookup__make(&made->lookup);
    *out = made;
    return SHOAL_ERR_OK;
}

void shoal_commands_close(shoal_commands *commands)
{
    if (commands == NULL) return;
    shoal_allocator allocator = commands->env.allocator;
    SHOAL_ASSERT(allocator.release != NULL);
    shoal_memory_give(&allocator, commands, sizeof *commands, SHOAL_ALIGN_PLAIN);
}

/* ---- which command ---- */

static void refuse_unknown(shoal_call *call)
{
    shoal_slice name = call->argv[0];
    SHOAL_ASSERT(call->argc > 0);
    int shown = name.size < QUOTED_MAX ? (int)name.size : (int)QUOTED_MAX;
    shoal_reply_errorf(&call->reply, "ERR unknown command '%.*s'", shown, name.data);
}

/* Finds the row of a call and checks the number of its arguments. False after writing an error. */
static bool find(const shoal_commands *commands, shoal_call *call)
{
    SHOAL_ASSERT(call->argc > 0);
    call->command = shoal_lookup__find(&commands->lookup, call->argv[0]);
    if (call->command == NULL) {
        refuse_unknown(call);
        return false;
    }
    if (call->argc > 1 && shoal_lookup__is_container(call->command->id)) {
        const shoal_command *sub = shoal_lookup__sub(call->command->id, call->argv[1]);
        if (sub == NULL) {
            shoal_slice name = call->argv[1];
            int shown = name.size < QUOTED_MAX ? (int)name.size : (int)QUOTED_MAX;
            shoal_reply_errorf(&call->reply, "ERR unknown subcommand '%.*s'.", shown, name.data);
            return false;
        }
        call->command = sub;
    }
    int64_t arity = call->command->arity, argc = call->argc;
    if (arity > 0 ? argc == arity : argc >= -arity) return true;
    shoal_reply__arity(&call->reply, call->command);
    return false;
}

/* True for the LOCAL commands that need no session. */
static bool needs_no_session(const shoal_command *command)
{
    SHOAL_ASSERT(command->executor == SHOAL_RUN_LOCAL);
    if (command->run == shoal_command__help || command->parent == SHOAL_COMMAND_COMMAND)
        return true;
    switch (command->id) {
    case SHOAL_COMMAND_PING:
    case SHOAL_COMMAND_ECHO:
    case SHOAL_COMMAND_TIME:
    case SHOAL_COMMAND_COMMAND: return true;
    default: return false;
    }
}

/* ---- keys and places ---- */

/* What a call needs besides its arguments. */
typedef struct room {
    shoal_key *keys;
    uint32_t *places;
    uint32_t count; /* of each */
    shoal_key small_keys[KEYS_SMALL];
    uint32_t small_places[KEYS_SMALL];
} room;

/* Makes room for `count` keys. False without memory. */
static bool room_make(const shoal_allocator *allocator, room *made, uint32_t count)
{
    made->keys = made->small_keys;
    made->places = made->small_places;
    made->count = count;
    SHOAL_DEBUG_ASSERT(allocator != NULL);
    if (count <= KEYS_SMALL) return true;
    size_t size = count * (sizeof(shoal_key) + sizeof(uint32_t));
    made->keys = shoal_memory_take(allocator, size, SHOAL_ALIGN_PLAIN);
    made->places = (uint32_t *)(void *)(made->keys + count);
    return made->keys != NULL;
}

static void room_free(const shoal_allocator *allocator, room *made)
{
    SHOAL_DEBUG_ASSERT(allocator != NULL);
    if (made->count <= KEYS_SMALL) return;
    size_t size = made->count * (sizeof(shoal_key) + sizeof(uint32_t));
    shoal_memory_give(allocator, made->keys, size, SHOAL_ALIGN_PLAIN);
}

static int compare_places(const void *a, const void *b, void *context)
{
    (void)context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The distinct places of the keys, ascending. Returns how many. */
static uint32_t sort_places(const shoal_call *call, uint32_t *places)
{
    SHOAL_ASSERT(call->key_count > 0);
    for (uint32_t i = 0; i < call->key_count; i++) places[i] = call->keys[i].place;
    shoal_sort((shoal_sort_array){places, call->key_count, sizeof *places}, compare_places, NULL);
    uint32_t count = 1;
    for (uint32_t i = 1; i < call->key_count; i++) {
        if (places[i] != places[count - 1]) places[count++] = places[i];
    }
    return count;
}

/* ---- running ---- */

/* A command, or a step of its job, under gates. */
typedef struct direct {
    shoal_gate_op gate; /* first */
    shoal_call *call;
    shoal_job *job; /* NULL: the command itself */
    shoal_job_turn turn;
} direct;

static void take_step(void *context, shoal_call *call)
{
    direct *now = context;
    SHOAL_DEBUG_ASSERT(call->gated && now->job != NULL);
    now->turn = now->job->step(now->job, call);
}

static void run_direct(shoal_op *op, void *runner)
{
    direct *now = (direct *)op;
    SHOAL_DEBUG_ASSERT(runner == now->call->thread);
    (void)runner;
    now->call->gated = true;
    if (now->job == NULL) {
        if (shoal_call__ready(now->call)) shoal_effect__run(now->call);
    } else {
        shoal_effect__run_step(now->call, take_step, now);
    }
    now->call->gated = false;
}

static bool try_gates(direct *now, const uint32_t *places, uint32_t count, bool multi)
{
    SHOAL_ASSERT(count > 0);
    now->gate = (shoal_gate_op){.op = {.run = run_direct},
                                .places = places,
                                .count = count,
                                .multi = multi};
    return shoal_gate_try(now->call->thread, &now->gate);
}

static shoal_err run_gated(shoal_call *call, uint32_t *places)
{
    direct now = {.call = call};
    bool writes = (call->command->flags & SHOAL_FLAG_WRITE) != 0;
    SHOAL_ASSERT(call->key_count > 0);
    uint32_t count = sort_places(call, places);
    call->wants_gates = false;
    bool ran = try_gates(&now, places, count, writes && call->key_count > 1);
    return ran ? SHOAL_ERR_OK : SHOAL_ERR_BUSY;
}

/* Takes all steps of what the handler has left to be done. */
static shoal_err run_job(shoal_call *call)
{
    shoal_job *job = call->job;
    shoal_err error = SHOAL_ERR_OK;
    shoal_job_turn turn = SHOAL_JOB_AGAIN;
    SHOAL_ASSERT(job != NULL);
    call->job = NULL;
    while (turn != SHOAL_JOB_DONE && error == SHOAL_ERR_OK) {
        direct now = {.call = call, .job = job};
        if (turn == SHOAL_JOB_AGAIN) {
            turn = job->step(job, call);
        } else if (turn == SHOAL_JOB_GATES &&
                   try_gates(&now, job->places, job->place_count, job->multi)) {
            turn = now.turn;
        } else {
            error = SHOAL_ERR_BUSY;
        }
    }
    job->drop(job, &call->env->allocator);
    return error;
}

static shoal_err run_keys(shoal_call *call, uint32_t *places)
{
    bool reads = call->command->executor == SHOAL_RUN_READ;
    shoal_err error = SHOAL_ERR_OK;
    SHOAL_DEBUG_ASSERT(call->command->run != NULL);
    /* What may wait for a key is told that it may not. */
    call->whole = (call->command->flags & SHOAL_FLAG_BLOCKING) != 0;
    bool at_once =
        reads && call->key_count == 1 && !shoal_store_place_slow(call->store, call->keys[0].place);
    if (call->key_count == 0 || at_once) {
        call->command->run(call);
        if (call->wants_gates) error = run_gated(call, places);
    } else {
        error = run_gated(call, places);
    }
    return error == SHOAL_ERR_OK && call->job != NULL ? run_job(call) : error;
}

/* Finds the keys of a call and runs it. */
static shoal_err run_data(const shoal_commands *commands, shoal_call *call)
{
    const shoal_command *command = call->command;
    uint8_t rule = commands->lookup.key_rules[command->id];
    bool keyed = command->key_first != 0 || rule != 0;
    room made;
    SHOAL_ASSERT(command->id != SHOAL_COMMAND_MOVE);
    call->key_count = keyed ? shoal_keys__count(command, rule, call->argc, call->argv) : 0;
    if (!room_make(&call->env->allocator, &made, call->key_count)) return SHOAL_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < call->key_count; i++) {
        uint32_t at = shoal_keys__argument(command, rule, call->argc, call->argv, i);
        made.keys[i] = shoal_key_make(call->store, 0, call->argv[at]);
    }
    call->keys = made.keys;
    shoal_err error = run_keys(call, made.places);
    room_free(&call->env->allocator, &made);
    return error;
}

static shoal_err run_flush(shoal_call *call)
{
    bool known = call->argc == 1 || (call->argc == 2 && (shoal_call__word(call, 1, "async") ||
                                                         shoal_call__word(call, 1, "sync")));
    SHOAL_DEBUG_ASSERT(call->command->id == SHOAL_COMMAND_FLUSHALL ||
                       call->command->id == SHOAL_COMMAND_FLUSHDB);
    if (!known) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return SHOAL_ERR_OK;
    }
    shoal_err error = shoal_cache_clear(call->thread);
    if (error == SHOAL_ERR_OK) shoal_reply_ok(&call->reply);
    return error;
}

/* Is it a write, while what is written cannot be made safe? Then it is refused, as in a server. */
static bool refuse(const shoal_commands *commands, shoal_call *call)
{
    const shoal_journal *journal = commands->journal;
    SHOAL_DEBUG_ASSERT(call->command != NULL);
    if (journal == NULL || (call->command->flags & SHOAL_FLAG_WRITE) == 0) return false;
    shoal_err why = journal->refuses(journal);
    if (why == SHOAL_ERR_OK) return false;
    shoal_reply_errorf(&call->reply, "MISCONF Errors writing to the AOF file: %s",
                       why == SHOAL_ERR_NO_SPACE ? "No space left on device"
                                                 : "Input/output error");
    return true;
}

static shoal_err run(const shoal_commands *commands, shoal_call *call)
{
    const shoal_command *command = call->command;
    SHOAL_DEBUG_ASSERT(command != NULL);
    if (refuse(commands, call)) return SHOAL_ERR_OK;
    if (command->id == SHOAL_COMMAND_FLUSHALL || command->id == SHOAL_COMMAND_FLUSHDB)
        return run_flush(call);
    switch (command->executor) {
    case SHOAL_RUN_READ:
    case SHOAL_RUN_GATED:
        /* The only other database is none. */
        if (command->id == SHOAL_COMMAND_MOVE) break;
        return run_data(commands, call);
    case SHOAL_RUN_LOCAL:
        if (!needs_no_session(command)) break;
        command->run(call);
        return SHOAL_ERR_OK;
    case SHOAL_RUN_CONTROL:
    case SHOAL_RUN_TOUR: break;
    }
    char name[64];
    shoal_command__full_name(command, name, sizeof name);
    shoal_reply_errorf(&call->reply, "ERR '%s' needs a node, and there is none here", name);
    return SHOAL_ERR_OK;
}

shoal_err shoal_command_run(shoal_commands *commands, shoal_cache_thread *thread, size_t argc,
                            const shoal_slice *argv, shoal_buffer *reply)
{
    SHOAL_ASSERT(commands != NULL && thread != NULL && reply != NULL);
    SHOAL_ASSERT(shoal_thread_store(thread) == commands->env.store);
    if (argc == 0 || argc > UINT32_MAX) return SHOAL_ERR_INVALID;
    size_t before = shoal_buffer_size(reply);
    shoal_call call = {
        .argc = (uint32_t)argc,
        .argv = argv,
        .thread = thread,
        .store = commands->env.store,
        .env = &commands->env,
        .now = shoal_thread_now(thread),
        .reply = {.out = reply, .protocol = commands->protocol},
    };
    shoal_err error = SHOAL_ERR_OK;
    if (find(commands, &call)) error = run(commands, &call);
    if (reply->failed) error = SHOAL_ERR_NO_MEMORY;
    if (error != SHOAL_ERR_OK && !reply->failed) reply->end = reply->start + before;
    return error;
}

shoal_err shoal_command_line(shoal_commands *commands, shoal_cache_thread *thread, const char *line,
                             shoal_buffer *reply)
{
    SHOAL_ASSERT(line != NULL);
    shoal_slice argv[WORDS_MAX];
    shoal_buffer words = shoal_buffer_make(&commands->env.allocator);
    int argc = shoal_line_split(shoal_text(line), &words, argv, WORDS_MAX);
    shoal_err error = SHOAL_ERR_MALFORMED;
    if (argc == -2) error = words.failed ? SHOAL_ERR_NO_MEMORY : SHOAL_ERR_TOO_LARGE;
    if (argc >= 0) error = shoal_command_run(commands, thread, (size_t)argc, argv, reply);
    shoal_buffer_free(&words);
    return error;
}
