/* SPDX-License-Identifier: MIT
 *
 * value/deadlines.h - the deadlines of a table's entries in order, so that what has expired is
 * found without looking at the rest: sorted chunks of at most 256, in a sorted array. Equal ones
 * may stand in it several times.
 *
 * Threads: as the object that they belong to.
 */
#ifndef SHOAL_VALUE_DEADLINES_H
#define SHOAL_VALUE_DEADLINES_H

#include "value/value.h"

/* One deadline, and the hash of the name that it belongs to. */
typedef struct shoal_deadline {
    int64_t at_ms;
    uint64_t hash;
} shoal_deadline;

typedef struct shoal_deadlines shoal_deadlines;

/* An empty order, or NULL without memory. */
shoal_deadlines *shoal_deadlines_make(shoal_account *account);
/* Adds one. False without memory; then nothing has changed. */
bool shoal_deadlines_add(shoal_deadlines *deadlines, shoal_account *account,
                         shoal_deadline deadline);
/* Takes one out that is there. Never fails for memory. */
void shoal_deadlines_remove(shoal_deadlines *deadlines, shoal_account *account,
                            shoal_deadline deadline);
/* True and the earliest, unless there is none. */
bool shoal_deadlines_first(const shoal_deadlines *deadlines, shoal_deadline *out);
/* How many there are up to `now_ms`. Takes a step for each 256 of them. */
uint64_t shoal_deadlines_due(const shoal_deadlines *deadlines, int64_t now_ms);
/* An independent copy, or NULL without memory. */
shoal_deadlines *shoal_deadlines_copy(const shoal_deadlines *deadlines, shoal_account *account);
/* As free_some of shoal_value_ops. */
bool shoal_deadlines_free_some(shoal_deadlines *deadlines, shoal_account *account,
                               uint32_t *budget);

#endif
