/* SPDX-License-Identifier: MIT
 *
 * core/control.c - commands that the control actor runs: they arrive as errands in its inbox and
 * go home with a reply. Rows of commands.def with the executor CONTROL have their handler here.
 */
#include "core/memory.h"
#include "core/node.h"

#include "base/assert.h"
#include "base/text.h"
#include "command/timing.h"

/* ---- SHUTDOWN ---- */

/* What the words behind SHUTDOWN ask for. */
typedef struct farewell {
    bool save, nosave, now, force, abort;
} farewell;

/* False when the words do not go together. */
static bool read_farewell(const shoal_errand *errand, farewell *out)
{
    SHOAL_ASSERT(errand->argc >= 1);
    *out = (farewell){0};
    for (uint32_t i = 1; i < errand->argc; i++) {
        shoal_slice word = errand->argv[i];
        if (shoal_text_is(word, "save"))
            out->save = true;
        else if (shoal_text_is(word, "nosave"))
            out->nosave = true;
        else if (shoal_text_is(word, "now"))
            out->now = true;
        else if (shoal_text_is(word, "force"))
            out->force = true;
        else if (shoal_text_is(word, "abort"))
            out->abort = true;
        else
            return false;
    }
    bool others = out->save || out->nosave || out->now || out->force;
    return !(out->abort && others) && !(out->save && out->nosave);
}

static void abort_shutdown(shoal_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_LEFT);
    bool saving = shoal_node__farewell_abort(node) || shoal_node__stay(node);
    if (node->phase != SHOAL_PHASE_LEAVING && !saving) {
        shoal_reply_error(reply, "ERR No shutdown in progress.");
        return;
    }
    if (!saving) shoal_node__enter_phase(node, SHOAL_PHASE_READY);
    shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Shutdown manually aborted.");
    shoal_reply_ok(reply);
}

/* Leaves, with a snapshot before that if there shall be one. True when the errand waits for it. */
static bool leave(shoal_node *node, shoal_errand *errand, const farewell *asked)
{
    SHOAL_ASSERT(!errand->close_after);
    bool save = asked->save || (!asked->nosave && shoal_node__has_save_points(node));
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_READY || node->phase == SHOAL_PHASE_SAVING);
    shoal_node__log(node, SHOAL_LEVEL_WARNING, "User requested shutdown...");
    return shoal_node__farewell(node, errand, save, asked->now);
}

/* A shutdown that is granted sends no reply: the connection closes with the server. True when the
 * errand waits. */
static bool run_shutdown(shoal_node *node, shoal_errand *errand, shoal_reply *reply)
{
    SHOAL_ASSERT(errand->command->id == SHOAL_COMMAND_SHUTDOWN);
    SHOAL_ASSERT(!errand->close_after);
    farewell asked;

    if (!read_farewell(errand, &asked)) {
        shoal_reply_error(reply, "ERR syntax error");
    } else if (asked.abort) {
        abort_shutdown(node, reply);
    } else if (node->phase == SHOAL_PHASE_LEAVING) {
        errand->close_after = true;
    } else if (node->phase != SHOAL_PHASE_READY && node->phase != SHOAL_PHASE_SAVING) {
        shoal_reply_error(reply, "ERR Errors trying to SHUTDOWN. Check logs.");
    } else {
        return leave(node, errand, &asked);
    }
    return false;
}

/* ---- CLUSTER ---- */

static uint64_t keys_in_slot(const shoal_node *node, int64_t slot)
{
    SHOAL_ASSERT(slot >= 0 && slot < SHOAL_SLOTS);
    return shoal_store_count_slot(node->store, SHOAL_PLACE(0, (uint32_t)slot));
}

/* True when the errand waits until what it has changed is durable. */
static bool run_cluster(shoal_node *node, shoal_errand *errand, shoal_reply *reply)
{
    SHOAL_ASSERT(errand->argc >= 2);
    SHOAL_ASSERT(errand->command->parent == SHOAL_COMMAND_CLUSTER);
    if (shoal_config__number(&node->config, SHOAL_DIRECTIVE_CLUSTER_ENABLED) == 0) {
        shoal_reply_error(reply, "ERR This instance has cluster support disabled");
        return false;
    }
    if (node->phase < SHOAL_PHASE_SAVING) {
        shoal_reply_error(reply, "LOADING Redis is loading the dataset in memory");
        return false;
    }
    int64_t slot = -1;
    bool names_slot = errand->argc > 2 && shoal_text_to_i64(errand->argv[2], &slot) && slot >= 0 &&
                      slot < SHOAL_SLOTS;
    shoal_cluster_call call = {.argc = errand->argc,
                               .argv = errand->argv,
                               .local = errand->local,
                               .keys = shoal_store_count(node->store, 0),
                               .keys_in_slot = names_slot ? keys_in_slot(node, slot) : 0,
                               .now = node->now,
                               .reply = *reply};
    shoal_tape_command(node->tape, node->cluster, &call);
    if (call.change == 0) return false;
    shoal_node__keeping_hold(node, errand, call.change);
    return true;
}

/* ---- every row ---- */

/* What becomes of an errand that a handler has seen. One that is HELD has been run, and waits for
 * a file; KEPT may be dead already. */
typedef enum verdict { UNKNOWN, FINISHED, HELD, KEPT } verdict;

/* A switch over ids; longer than a screen it would still be one line each. With a NULL node it
 * only says whether there is a handler. */
static verdict run(shoal_node *node, shoal_errand *errand, shoal_reply *reply)
{
    SHOAL_ASSERT(node == NULL || reply != NULL);
    const shoal_command *command = errand->command;

    if (command->parent == SHOAL_COMMAND_CLUSTER)
        return node != NULL && run_cluster(node, errand, reply) ? HELD : FINISHED;
    if (shoal_node__replication_command(node, errand)) return KEPT;
    switch (command->id) {
    case SHOAL_COMMAND_INFO:
        if (node != NULL) shoal_node__info(node, errand, reply);
        return FINISHED;
    case SHOAL_COMMAND_CONFIG_GET:
        if (node != NULL) shoal_node__config_get(node, errand, reply);
        return FINISHED;
    case SHOAL_COMMAND_CONFIG_SET:
        if (node != NULL) shoal_node__config_set(node, errand, reply);
        return FINISHED;
    case SHOAL_COMMAND_CONFIG_RESETSTAT:
        if (node != NULL) shoal_node__config_resetstat(node, reply);
        return FINISHED;
    case SHOAL_COMMAND_CONFIG_REWRITE:
        if (node != NULL) shoal_node__config_rewrite(node, errand);
        return KEPT;
    case SHOAL_COMMAND_MEMORY_STATS:
        if (node != NULL) shoal_node__memory_stats(node, reply);
        return FINISHED;
    case SHOAL_COMMAND_MEMORY_DOCTOR:
        if (node != NULL) shoal_node__memory_doctor(node, reply);
        return FINISHED;
    case SHOAL_COMMAND_MEMORY_PURGE:
        if (node != NULL) shoal_node__memory_purge(node, reply);
        return FINISHED;
    case SHOAL_COMMAND_MEMORY_MALLOC_STATS:
        if (node != NULL) shoal_node__memory_malloc_stats(node, reply);
        return FINISHED;
    case SHOAL_COMMAND_SAVE:
        return node != NULL && shoal_node__save(node, errand, reply) ? KEPT : FINISHED;
    case SHOAL_COMMAND_BGSAVE:
        if (node != NULL) shoal_node__bgsave(node, errand, reply);
        return FINISHED;
    case SHOAL_COMMAND_BGREWRITEAOF:
        /* With an argument, which clients cannot give: DEBUG LOADAOF. */
        if (node != NULL && errand->argc > 1)
            return shoal_node__reload(node, errand, reply) ? KEPT : FINISHED;
        if (node != NULL) shoal_node__bgrewriteaof(node, errand, reply);
        return FINISHED;
    case SHOAL_COMMAND_LASTSAVE:
        if (node != NULL) shoal_node__lastsave(node, reply);
        return FINISHED;
    case SHOAL_COMMAND_SHUTDOWN:
        return node != NULL && run_shutdown(node, errand, reply) ? KEPT : FINISHED;
    default: return UNKNOWN;
    }
}

bool shoal_node__handles(shoal_command_id id)
{
    shoal_errand errand = {.command = shoal_command_row(id)};

    return run(NULL, &errand, NULL) != UNKNOWN;
}

void shoal_node__run_errands(shoal_node *node)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    shoal_op *op = shoal_inbox_take(&node->control);
    bool measured = false;

    while (op != NULL) {
        shoal_op *first = op;

        op = op->next;
        if (first->run != NULL) {
            /* No errand: what a worker has to say. */
            first->run(first, node);
            continue;
        }
        /* An errand begins with its operation, which has nothing to run. It may be about the
         * process. */
        if (!measured) shoal_node__measure(node);
        measured = true;
        shoal_errand *errand = (shoal_errand *)first;
        shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};

        SHOAL_ASSERT(errand->command->executor == SHOAL_RUN_CONTROL);
        int64_t started_ns = shoal_timing_clock(&node->env);
        verdict end = run(node, errand, &reply);
        if (end == FINISHED || end == HELD)
            errand->took_ns = shoal_timing_since(&node->env, started_ns);
        SHOAL_ASSERT(end != UNKNOWN);
        if (end == FINISHED) shoal_errand_finish(errand);
    }
}
