/* SPDX-License-Identifier: MIT
 *
 * base/inbox.c - the queue of base/inbox.h: a stack that pushers build with compare-and-swap
 * and that the taker carries off whole and turns around. Nothing is ever popped singly, so a
 * pushed operation cannot come back under a pusher's feet (no ABA).
 */
#include "base/inbox.h"

#include <stddef.h>

#include "base/assert.h"

bool shoal_inbox_push(shoal_inbox *inbox, shoal_op *op)
{
    SHOAL_ASSERT(op != NULL);
    shoal_op *head = shoal_load_relaxed(&inbox->head);
    do {
        SHOAL_ASSERT(head != op);
        op->next = head;
        /* pair: inbox.push */
    } while (!shoal_cas_release(&inbox->head, &head, op));
    return head == NULL;
}

shoal_op *shoal_inbox_take(shoal_inbox *inbox)
{
    /* A look first: an exchange would take the line away from the pushers for nothing. */
    if (shoal_load_relaxed(&inbox->head) == NULL) return NULL;
    /* pair: inbox.push */
    shoal_op *newest = shoal_exchange_acquire(&inbox->head, (shoal_op *)NULL);
    shoal_op *oldest = NULL;
    while (newest != NULL) {
        shoal_op *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
