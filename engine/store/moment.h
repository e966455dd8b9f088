/* SPDX-License-Identifier: MIT
 *
 * store/moment.h - a moment between two operations, of all slots at once: nobody is in the middle
 * of a write, and nobody begins one until the moment is over. What is done in it, a cut that
 * begins, the offset of the log that is read, is before all later operations and behind all
 * earlier ones. Nobody waits for it: operations that come meanwhile are parked, as at a gate, and
 * are carried on when it ends. Reads do not notice. Part of the store's face.
 *
 *   shoal_moment_prepare     once, when somebody may want moments: from their next batch on all
 *                            threads say when they run an operation
 *   shoal_moment_wish        no further operation begins
 *   shoal_moment_has_come    true when none is under way: now do what is to be done
 *   shoal_moment_end         the parked ones are carried on
 *
 * Threads: one thread at a time (the control actor), inside a batch of its own thread of the store,
 * not under a gate. It may leave its batch between wish and end; the moment should take no longer
 * than some hundred microseconds.
 */
#ifndef SHOAL_STORE_MOMENT_H
#define SHOAL_STORE_MOMENT_H

#include "store/store.h"

/* Counts those who may want moments: `change` is +1 or -1. */
void shoal_moment_prepare(shoal_thread *thread, int change);
/* Asks for one. False when threads are not ready yet: they have not all begun a batch since
 * shoal_moment_prepare; ask again later. */
SHOAL_MUST_USE bool shoal_moment_wish(shoal_thread *thread);
/* Whether it is there. Ask until it is: each operation that is under way is over within its
 * step. */
bool shoal_moment_has_come(shoal_thread *thread);
/* Ends it, or gives the wish up. What was parked is carried on by this thread, in this batch and
 * the next ones. */
void shoal_moment_end(shoal_thread *thread);
/* Operations wait for the end of a moment. Any thread. */
bool shoal_moment_wished(const shoal_store *store);

#endif
