/* SPDX-License-Identifier: MIT
 *
 * sim/draw_faults.h - what the files that draw faults share: one kind after the other is drawn,
 * each from a stream of its own, within the budget that leaves one good copy of each slot; and what
 * a kind leaves behind that only an operator can mend is noted for the end of the run.
 *
 * Included by the files of draw only; one thread.
 */
#ifndef SHOAL_SIM_DRAW_FAULTS_H
#define SHOAL_SIM_DRAW_FAULTS_H

#include "sim/draw.h"
#include "sim/world.h"

/* Units of times in microseconds. */
#define SHOAL_MS INT64_C(1000)
/* One second. */
#define SHOAL_SECOND INT64_C(1000000)

/* A side of a cut names at most so many nodes one by one. */
#define SHOAL_SIDE_MAX 16u

/* A copy that is gone for a while. */
typedef struct shoal_gap {
    uint32_t column; /* a master and its replicas, by the number of the master */
    int64_t from_us, until_us;
} shoal_gap;

/* Drawing the faults of one kind. */
typedef struct shoal_faults {
    shoal_drawing *drawing;
    shoal_prng stream;
    shoal_gap *gaps;
    uint32_t gap_count, gap_capacity;
    bool *taken; /* per slot: it is not to be moved, or is already; NULL: not yet known */
} shoal_faults;

/* When a fault begins and ends. */
typedef struct shoal_span {
    int64_t from_us, until_us;
} shoal_span;

/* ---- the budget ---- */

/* The column that a node is in, or UINT32_MAX. */
uint32_t shoal_faults__column(const shoal_drawing *drawing, uint32_t node);
/* May this node lose its copy in that time? Notes that it does. */
bool shoal_faults__take_copy(shoal_faults *all, uint32_t node, int64_t from_us, int64_t until_us);

/* ---- when and whom ---- */

/* A time between two, mostly of a few digits. */
int64_t shoal_faults__between(shoal_faults *all, int64_t low_us, int64_t high_us);
/* Faults are as long as what they can set off: parts and multiples of the node timeout. */
shoal_span shoal_faults__span(shoal_faults *all);
uint32_t shoal_faults__any_node(shoal_faults *all);
/* A node that begins as a replica. The cluster has some. */
uint32_t shoal_faults__any_replica(shoal_faults *all);
/* Gives a line two sides: two nodes, one against all, or halves. */
void shoal_faults__sides(shoal_faults *all, shoal_line *line);

/* ---- lines ---- */

/* Adds a line about one node; valid until the next is added. */
shoal_line *shoal_faults__on(shoal_faults *all, shoal_line_kind kind, int64_t at_us, uint32_t node);
/* Lets the operator send a command to a node. */
void shoal_faults__operate(shoal_faults *all, uint32_t node, int64_t at_us, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- what an operator mends at the end ---- */

/* Lets the operator send a command to a node when all faults are over, so long behind the first of
 * such commands. */
void shoal_faults__mend(shoal_faults *all, uint32_t node, int64_t offset_us, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));
/* Mending does not begin before `from_us`. */
void shoal_faults__mend_from(shoal_faults *all, int64_t from_us);
/* Has a node that nobody knows any more taken in again: met, and made a replica if it began in a
 * column. */
void shoal_faults__take_in(shoal_faults *all, uint32_t node);

/* ---- kinds; each draws one fault ---- */

/* Of the network, in sim/draw_net.c. */
void shoal_faults__cut(shoal_faults *all);
void shoal_faults__one_way(shoal_faults *all);
void shoal_faults__stall(shoal_faults *all);
void shoal_faults__reset(shoal_faults *all);
void shoal_faults__slow_net(shoal_faults *all);
void shoal_faults__half_open(shoal_faults *all);
void shoal_faults__strand(shoal_faults *all);
void shoal_faults__refuse(shoal_faults *all);
void shoal_faults__drop(shoal_faults *all);
void shoal_faults__swizzle(shoal_faults *all);
void shoal_faults__readdress(shoal_faults *all);
void shoal_faults__flood(shoal_faults *all);

/* Of hosts, in sim/draw_hosts.c. */
void shoal_faults__crash(shoal_faults *all);
void shoal_faults__power(shoal_faults *all);
void shoal_faults__rolling(shoal_faults *all);
void shoal_faults__pause(shoal_faults *all);
void shoal_faults__clock(shoal_faults *all);
void shoal_faults__disk(shoal_faults *all);
void shoal_faults__busy(shoal_faults *all);
void shoal_faults__slow(shoal_faults *all);
void shoal_faults__crash_at(shoal_faults *all);
void shoal_faults__clock_apart(shoal_faults *all);
void shoal_faults__reordered(shoal_faults *all);
void shoal_faults__scattered(shoal_faults *all);
void shoal_faults__unreadable(shoal_faults *all);
void shoal_faults__lying(shoal_faults *all);
void shoal_faults__wiped(shoal_faults *all);
void shoal_faults__slow_disk(shoal_faults *all);
void shoal_faults__starve(shoal_faults *all);
void shoal_faults__orphan(shoal_faults *all);

/* Of people, in sim/draw_people.c. */
void shoal_faults__failover(shoal_faults *all);
void shoal_faults__takeover(shoal_faults *all);
void shoal_faults__replicate(shoal_faults *all);
void shoal_faults__chore(shoal_faults *all);
void shoal_faults__meet(shoal_faults *all);
void shoal_faults__shutdown(shoal_faults *all);
void shoal_faults__client(shoal_faults *all);
void shoal_faults__handover(shoal_faults *all);
void shoal_faults__takeovers(shoal_faults *all);
void shoal_faults__move_slot(shoal_faults *all);
void shoal_faults__drop_slot(shoal_faults *all);
void shoal_faults__forget(shoal_faults *all);
void shoal_faults__start_over(shoal_faults *all);

#endif
