/* SPDX-License-Identifier: MIT
 *
 * base/epoch.h - when may unlinked memory be freed? Quiescent-state reclamation: a global epoch
 * and one announced epoch per thread, written once per batch of work, not per access.
 *
 * A thread is online between shoal_epoch_enter and shoal_epoch_leave, and only then may hold
 * pointers to shared memory. Who unlinks something while online stamps it with its own announced
 * epoch r (shoal_epoch_stamp); the memory may be freed once shoal_epoch_passed says so.
 *
 * Claims:
 *   E1  The global epoch goes from e to e+1 only when every online thread has announced e. So
 *       while a thread that announced r is online, the global epoch is r or r+1.
 *   E2  Memory stamped r is unlinked while its thread is online, hence before the step from r+1
 *       to r+2 (E1). That step happens after the unlinking: its maker has acquired the leave of
 *       the unlinking thread (or its next enter).
 *   E3  A thread that can still reach memory stamped r announced at most r+1: one that announces
 *       r+2 or later has read the global epoch after the step of E2 and so sees the unlinking;
 *       one that read an older global epoch but announced after the scan of that step sees it
 *       too, because the scan writes (adds zero to) each announcement and the announcement is
 *       an exchange, so the later of the two acquires the earlier.
 *   E4  Hence the global epoch can reach r+3 only after all of them have left: freeing at r+3 is
 *       safe. What one stalled online thread holds up is memory, never another thread.
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

/* Thread `index` goes online. Returns its stamp for what it unlinks until it leaves. */
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
