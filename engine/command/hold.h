/* SPDX-License-Identifier: MIT
 *
 * command/hold.h - replies that must not leave before what they acknowledge is safe: the sessions
 * of a worker that wait, the word that says up to which offset of the log (log/log.h) replies may
 * go, and how the two find each other without anybody waiting.
 *
 * Who writes to files moves `released` on and then asks for the set of workers that have sessions
 * on hold. A worker that holds a session puts itself into that set, and then looks at `released`
 * once more. Both change the set in one step: either the worker sees the new offset, or it is
 * found and nudged.
 */
#ifndef SHOAL_COMMAND_HOLD_H
#define SHOAL_COMMAND_HOLD_H

#include "command/command.h"

/* Everything may go: no file is written. */
#define SHOAL_RELEASED_ALL UINT64_MAX

/* Replies may go up to `offset`, or no further than that where it is less than before; workers
 * that hold sessions are nudged. One thread at a time. */
void shoal_hold_release(shoal_env *env, uint64_t offset);
/* What is on hold now acknowledges data that are about to be replaced, and that no file will ever
 * have: the connections close without it, for nobody knows whether others have these data. Behind
 * it comes shoal_hold_release. Control. */
void shoal_hold_void(shoal_env *env);
/* Up to where. Any thread. */
uint64_t shoal_hold_released(const shoal_env *env);

/* Wakes the sessions of the worker that may go now. Inside a round. */
void shoal_hold__look(struct shoal_worker *worker);
/* Takes the session out of those on hold, if it is one. */
void shoal_hold__forget(shoal_session *session);
/* Gives the bytes that a session holds to `out`. */
void shoal_hold__deliver(shoal_session *session, shoal_buffer *out);

#endif
