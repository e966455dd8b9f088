/* SPDX-License-Identifier: MIT
 *
 * command/pause.h - CLIENT PAUSE: for a while clients run no commands, or none that write. A
 * command that may not run yet stays in its session's input, and is looked at again when the pause
 * is over; nothing of it has happened until then. Keys do not expire meanwhile.
 *
 * Until when stands in the environment, as two times: of all commands, and of writes. They are
 * hints as far as other workers are concerned: a command that runs at the same moment on another
 * thread came before the pause.
 */
#ifndef SHOAL_COMMAND_PAUSE_H
#define SHOAL_COMMAND_PAUSE_H

#include "command/worker.h"

/* Must a command of `session` that could run now wait? Then it has been noted. */
bool shoal_pause__holds(shoal_session *session, const shoal_command *command);
/* The session waits no longer: it is looked at again, or ends. */
void shoal_pause__leave(shoal_session *session);
/* Do writes wait at this monotonic time? For a command that began before, and would change keys
 * now. Any thread. */
bool shoal_pause__stops(const shoal_env *env, int64_t now_us);
/* At the start of a round: sessions go on whose pause is over. */
void shoal_pause__tick(shoal_worker *worker);
/* When a worker wants a round because of a pause, or SHOAL_NEVER. */
int64_t shoal_pause__deadline(const shoal_worker *worker);
/* Says until when writes wait for a failover, monotonic; 0: no longer. Control. */
void shoal_pause_failover(shoal_env *env, int64_t until_us);
/* Says whether keys may go by themselves as far as the node's role is concerned: those of a replica
 * go when its master says so. Control. */
void shoal_pause_role_expiry(shoal_env *env, bool on);
/* Says whether keys may expire by themselves, as far as DEBUG is concerned. */
void shoal_pause__set_expiry(shoal_env *env, bool on);

#endif
