/* SPDX-License-Identifier: MIT
 *
 * node/busy.h - a node that does nothing for a while (DEBUG SLEEP): its threads stop between two
 * turns until a moment, as if one command took so long. What comes waits where it is: bytes in
 * their sockets, frames of the bus too, so that other nodes find this one dead. The file thread
 * goes on with what it has been given.
 *
 * Threads: any, but for open and close.
 */
#ifndef SHOAL_NODE_BUSY_H
#define SHOAL_NODE_BUSY_H

#include <shoal/types.h>

#include "base/atomic.h"

/* What the threads of a node share. */
typedef struct shoal_busy {
    _Atomic int64_t until_us; /* monotonic. writers: any, relaxed: looked at again and again */
    int over;                 /* eventfd, to be read by nobody: it is readable once all is over */
} shoal_busy;

/* Makes one that holds up nobody. 0 or SHOAL_ERR_IO. */
SHOAL_MUST_USE shoal_err shoal_busy__open(shoal_busy *busy);
/* Gives it back; nobody uses it any more. */
void shoal_busy__close(shoal_busy *busy);
/* The node is busy until then, or for as long as it was already. */
void shoal_busy__begin(shoal_busy *busy, int64_t until_us);
/* It holds up nobody any more, whatever is begun later: the node is to leave. */
void shoal_busy__end(shoal_busy *busy);
/* May the thread have to stand still, whose last look at the clock was at `mono_us`? */
static inline bool shoal_busy__is(const shoal_busy *busy, int64_t mono_us)
{
    return shoal_load_relaxed(&busy->until_us) > mono_us;
}
/* Stands still until the moment has come or all is over; or, when `hurry` is a descriptor and not
 * -1, until that is readable: true then. */
bool shoal_busy__wait(shoal_busy *busy, int hurry);

#endif
