/* SPDX-License-Identifier: MIT
 *
 * command/client_block.c - CLIENT UNBLOCK: a tour, which looks for the client at every worker.
 */
#include "base/assert.h"
#include "command/block.h"
#include "command/handlers.h"
#include "command/worker.h"

/* The id of the client, and how it is to be answered. False after writing an error to `reply`. */
static bool parse(const shoal_call *call, int64_t *id, shoal_unblock *why, shoal_reply *reply)
{
    SHOAL_ASSERT(call->argc >= 3);
    *why = SHOAL_UNBLOCK__TIMEOUT;
    if (call->argc > 4) {
        shoal_reply__arity(reply, call->command);
        return false;
    }
    if (call->argc == 4 && shoal_call__word(call, 3, "error")) {
        *why = SHOAL_UNBLOCK__ERROR;
    } else if (call->argc == 4 && !shoal_call__word(call, 3, "timeout")) {
        shoal_reply_error(reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return false;
    }
    if (shoal_text_to_i64(call->argv[2], id)) return true;
    shoal_reply_error(reply, SHOAL_ERROR__INTEGER);
    return false;
}

void shoal_command__client_unblock(shoal_call *call)
{
    shoal_tour *tour = call->tour;
    SHOAL_ASSERT(call->worker != NULL && !tour->last == (call->session == NULL));
    /* What is wrong is said once, behind the last worker. */
    shoal_buffer unheard = shoal_buffer_make(&call->env->allocator);
    shoal_reply muted = {.out = &unheard, .protocol = 2};
    int64_t id = 0;
    shoal_unblock why;
    bool valid = parse(call, &id, &why, tour->last ? &call->reply : &muted);
    shoal_buffer_free(&unheard);
    if (!valid) return;
    if (tour->last) {
        shoal_reply_integer(&call->reply, (int64_t)tour->count);
        return;
    }
    shoal_session *session = call->worker->sessions.first;
    for (; session != NULL; session = session->all.next) {
        if ((uint64_t)id != session->id || session->errand == NULL) continue;
        if (shoal_block__waits(session->errand) && shoal_block__cancel(session->errand, why))
            tour->count++;
    }
}
