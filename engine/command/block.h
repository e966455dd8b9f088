/* SPDX-License-Identifier: MIT
 *
 * command/block.h - commands that wait until a key has something to give (BLPOP and its like).
 *
 * For handlers. A blocking command is a GATED row; its handler looks at its keys under the gates
 * and asks to wait when none of them has anything:
 *
 *     int64_t deadline_us;
 *     if (!shoal_call__timeout(call, call->argc - 1, &deadline_us)) return;
 *     uint32_t turn = 0, key;
 *     while (shoal_call__next_key(call, &turn, &key)) {
 *         ... shoal_call__find_compound(call, key, SHOAL_TYPE_LIST, &item, &value) ...
 *         take, reply, return; or an error: return; or an empty key: go on
 *     }
 *     shoal_call__block(call, (shoal_wish){SHOAL_TYPE_LIST, call->key_count, deadline_us});
 *
 * It runs again, as a whole, when one of the keys has got a value of that type. Nothing may have
 * been written to the reply when it asks to wait.
 *
 * The rest is for dispatch, sessions and workers. Threads: stated at each function.
 */
#ifndef SHOAL_COMMAND_BLOCK_H
#define SHOAL_COMMAND_BLOCK_H

#include "command/command.h"

/* ---- for handlers, under the gates ---- */

/* Reads argument `index` as seconds with a fraction: `*deadline_us` is the monotonic time until
 * which to wait, SHOAL_NEVER for 0. False after writing an error. */
bool shoal_call__timeout(shoal_call *call, uint32_t index, int64_t *deadline_us);

/* The next key to look at, by its index in call->keys; `*turn` is 0 before the first. The first
 * time that the command runs these are all keys in order, at the first of which to have something
 * it ends. When it runs again: those that have a value of the type it waits for and where nobody
 * who has waited for longer is to be served first, the one that woke it before the others. So
 * keys of another type are errors only the first time. False when there is none left. */
bool shoal_call__next_key(const shoal_call *call, uint32_t *turn, uint32_t *key);

/* False inside a transaction or script: the command answers at once, whatever there is. */
static inline bool shoal_call__may_block(const shoal_call *call)
{
    return !call->whole;
}

/* Nothing to give: waits, or answers a null array where it may not. The handler returns then. The
 * deadline of the first time holds. */
void shoal_call__block(shoal_call *call, shoal_wish wish);

/* ---- for dispatch and errands ---- */

/* What an errand that waits is in the meantime; block.c's own. */
typedef struct shoal_block shoal_block;

/* Why waiting ends without having been served. */
typedef enum shoal_unblock {
    SHOAL_UNBLOCK__NONE = 0,
    SHOAL_UNBLOCK__TIMEOUT, /* answers a null array */
    SHOAL_UNBLOCK__ERROR,   /* answers -UNBLOCKED */
    SHOAL_UNBLOCK__ROLE,    /* the same: this node is a replica now */
    SHOAL_UNBLOCK__GONE     /* the session is closed: no answer */
} shoal_unblock;

/* An errand begins to run under its gates: false when it has been told not to wait any longer; then
 * its reply is written. `call` learns what it must of the time that it waited. */
bool shoal_block__resume(shoal_errand *errand, shoal_call *call);

/* The handler of an errand asked to wait, call->wish: true when it does, and then the errand may be
 * running again on another thread. False when it must be answered now, which is written. `here`:
 * the session's own thread is just running the command for the first time. Under the gates. */
bool shoal_block__wait(shoal_errand *errand, shoal_call *call, bool here);

/* An errand that may have waited is about to go home. Under its gates. */
void shoal_block__leave(shoal_errand *errand, shoal_thread *thread);

/* The errand has come home to its worker, or goes nowhere: frees what is left. Its worker. */
void shoal_block__end(shoal_errand *errand);

/* Lets an errand that waits, or is about to, wait no longer. False when it does not wait, or has
 * been told before. Its worker, inside a round. */
bool shoal_block__cancel(shoal_errand *errand, shoal_unblock why);

/* True while the errand waits for a key. Its worker. */
bool shoal_block__waits(const shoal_errand *errand);

/* Ends the waiting of those whose time has come. Inside a round. */
void shoal_block__tick(struct shoal_worker *worker);

/* ---- for the rooms above ---- */

/* Slots have left this node, or the cluster is down: who waits for keys runs again, and is sent to
 * the new owner or told so. Control, behind the route that says it. */
void shoal_block_look_again(shoal_env *env);

#endif
