/* SPDX-License-Identifier: MIT
 *
 * command/purge.h - empties slots that this node serves no longer: other nodes have them, with
 * newer data. One slot after the other is emptied under its gate, on a worker's thread.
 */
#ifndef SHOAL_COMMAND_PURGE_H
#define SHOAL_COMMAND_PURGE_H

#include "command/command.h"
#include "wire/bus.h"

/* Begins to empty the slots (of database 0). A slot that is this node's again when its turn comes
 * stays as it is, and the rest stays as soon as this node is a replica: its data are its master's
 * then. False without memory: nothing is done. Control actor. */
SHOAL_MUST_USE bool shoal_slots_purge(shoal_env *env, const shoal_slotmap *slots);
/* Frees what is on its way to a worker that runs no more; what else is in its inbox is lost. */
void shoal_slots_purge_drop(struct shoal_worker *worker);

#endif
