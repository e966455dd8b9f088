/* SPDX-License-Identifier: MIT
 *
 * base/inbox.h - a queue that any thread may push to and one thread empties: how operations
 * travel between workers, gates and the control actor. Intrusive: the operation is the node.
 *
 * Claims:
 *   1  push is one compare-and-swap loop on the head; it never waits for the taker.
 *   2  take is one exchange; it returns every operation pushed before it, oldest first.
 *   3  push returns true exactly when the inbox was empty, so that one nudge wakes the taker
 *      for any number of operations.
 */
#ifndef SHOAL_BASE_INBOX_H
#define SHOAL_BASE_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

typedef struct shoal_op shoal_op;

/* Something to be done later or elsewhere. Embedded at the start of larger structs; whoever
 * runs it owns it. `runner` is what the place that runs it documents (the thread, the node). */
struct shoal_op {
    shoal_op *next;
    void (*run)(shoal_op *op, void *runner);
};

/* Zero is an empty inbox. */
typedef struct shoal_inbox {
    _Atomic(shoal_op *) head; /* writers: any, release. taker: one, acquire. pair: inbox.push */
} shoal_inbox;

/* Adds `op`, whose contents become visible to the taker. True when the inbox was empty. */
bool shoal_inbox_push(shoal_inbox *inbox, shoal_op *op);

/* Takes everything, linked by `next`, oldest first; NULL when empty. One thread only. */
shoal_op *shoal_inbox_take(shoal_inbox *inbox);

#endif
