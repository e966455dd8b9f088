/* SPDX-License-Identifier: MIT
 *
 * store/limits.h - how much a store may hold, and what goes when that is not enough. Part of the
 * store's face.
 */
#ifndef SHOAL_STORE_LIMITS_H
#define SHOAL_STORE_LIMITS_H

#include "store/store.h"

/* How much a store may hold, and what goes when it is full. */
typedef struct shoal_limits {
    uint64_t bytes;             /* resident ones: allocated, and not in limbo; 0 is no limit */
    uint64_t keys;              /* 0 is no limit */
    const shoal_policy *policy; /* see store/policy.h; borrowed for as long as the store lives */
    uint32_t effort;            /* maxmemory-samples: keys looked at for one that goes, over four */
    uint32_t step_us;           /* what a write may do at once to make room, as estimated by work */
    uint32_t lfu_log_factor;    /* as the directives of these names */
    uint32_t lfu_decay_minutes;
} shoal_limits;

/* No limits, and nothing goes. */
shoal_limits shoal_limits_default(void);
/* Sets limits, at any time, one caller at a time. They hold for each thread from its next batch on;
 * what is above a limit goes by and by, with writes and with shoal_store_maintain. Keys are
 * remembered as used before when the policy stays. */
void shoal_store_set_limits(shoal_store *store, const shoal_limits *limits);
/* Asked before a command that may add data, outside of operations: makes room by a bounded step if
 * a limit is reached. False: it is, and nothing can go. Inside enter and leave. */
bool shoal_store_admit(shoal_thread *thread);
/* Bytes that the thread's user has taken (or given back: negative) elsewhere and that count against
 * the limit as well. */
void shoal_thread_charge(shoal_thread *thread, int64_t bytes);

#endif
