/* SPDX-License-Identifier: MIT
 *
 * base/epoch.h - when may unlinked memory be freed? Quiescent-state reclamation: a global epoch
 * and one announced epoch per thread, written once per batch of work, not per access.
 *
 * A thread is online between shoal_epoch_enter and shoal_epoch_leave, and only then may hold
 * pointers to shared memory. Enter announces the global epoch as read before, and returns it as
 * read after the announcement: the thread's stamp. What the thread unlinks bears the stamp, and
 * may be freed once shoal_epoch_passed says so.
 *
 * Claims:
 *   E1  While a thread with stamp s is online, the global epoch is s or s+1. A scan that met the
 *       thread before it announced had read some epoch n; the scan writes (adds zero to) the
 *       announcement and the announcement is an exchange, so the thread reads n or later as
 *       its stamp, and that scan's step leads to s+1 at most. A scan that meets it later goes on
 *       only where its epoch is what was announced, which is s or older: again s+1 at most.
 *   E2  So the step to s+2 is made by a scan that has met the thread offline again, and thereby
 *       acquired all that it did. Who has a stamp of s+2 or more sees its unlinkings.
 *   E3  Who can still reach what bears stamp s has a stamp of s+1 at most (E2).
 *   E4  While he is online, the global epoch is s+2 at most (E1); at s+3 all such have left, and
 *       what they read happened before. So freeing at s+3 is safe. (At s+2 it is not: tests/
 *       interleave has the counterexample.) What one stalled online thread holds up is memory,
 *       never another thread.
 *   E5  Enter and leave are wait-free. Advancing is one bounded scan that gives up at the first
 *       thread that lags.
 */
#ifndef SHOAL_BASE_EPOCH_H
#define SHOAL_BASE_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include <shoal/types.h>

#include "base/atomic.h"

/* What an offline thread announces. */
#define SHOAL_EPOCH_OFFLINE 0u

/* One thread's announcement, alone on its lines. */
typedef struct shoal_epoch_record {
    /* writer: its thread, exchange acq_rel at enter, release at leave; scans add zero, acq_rel.
     * readers: scans, acquire. pair: epoch.announce */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic uint64_t announced;
} shoal_epoch_record;

/* A domain: the threads that share memory. */
typedef struct shoal_epoch {
    /* writers: whoever advances, acq_rel. readers: any, acquire. pair: epoch.global */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic uint64_t global;
    shoal_epoch_record *records;
    uint32_t count;
} shoal_epoch;

/* Makes a domain of `count` threads, all offline. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_epoch_make(shoal_epoch *epoch, uint32_t count,
                                          const shoal_allocator *allocator);
/* Ends a domain; every thread is offline. */
void shoal_epoch_free(shoal_epoch *epoch, const shoal_allocator *allocator);

/* Thread `index` goes online. Returns its stamp. */
uint64_t shoal_epoch_enter(shoal_epoch *epoch, uint32_t index);
/* Thread `index` goes offline: it holds no pointer any more. */
void shoal_epoch_leave(shoal_epoch *epoch, uint32_t index);

/* Tries to take the global epoch one step further; any thread, online or not. */
void shoal_epoch_advance(shoal_epoch *epoch);

/* True when nobody can reach what was unlinked under `stamp` any more. */
static inline bool shoal_epoch_passed(shoal_epoch *epoch, uint64_t stamp)
{
    /* pair: epoch.global */
    return shoal_load_acquire(&epoch->global) >= stamp + 3;
}

#endif
