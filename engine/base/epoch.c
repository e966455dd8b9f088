/* SPDX-License-Identifier: MIT
 *
 * base/epoch.c - announcements and the advancing scan of base/epoch.h.
 */
#include "base/epoch.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

shoal_err shoal_epoch_make(shoal_epoch *epoch, uint32_t count, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(count > 0);
    size_t size = sizeof(shoal_epoch_record) * count;
    epoch->records = shoal_memory_take_zeroed(allocator, size, SHOAL_SHARING_SIZE);
    if (epoch->records == NULL) return SHOAL_ERR_NO_MEMORY;
    epoch->count = count;
    shoal_store_relaxed(&epoch->global, (uint64_t)1);
    return SHOAL_ERR_OK;
}

void shoal_epoch_free(shoal_epoch *epoch, const shoal_allocator *allocator)
{
    for (uint32_t i = 0; i < epoch->count; i++) {
        SHOAL_ASSERT(shoal_load_relaxed(&epoch->records[i].announced) == SHOAL_EPOCH_OFFLINE);
    }
    shoal_memory_give(allocator, epoch->records, sizeof(shoal_epoch_record) * epoch->count,
                      SHOAL_SHARING_SIZE);
    epoch->records = NULL;
    epoch->count = 0;
}

uint64_t shoal_epoch_enter(shoal_epoch *epoch, uint32_t index)
{
    SHOAL_ASSERT(index < epoch->count);
    /* pair: epoch.global */
    uint64_t now = shoal_load_acquire(&epoch->global);
    /* pair: epoch.announce */
    uint64_t before = shoal_exchange_acq_rel(&epoch->records[index].announced, now);
    SHOAL_ASSERT(before == SHOAL_EPOCH_OFFLINE);
    /* Not what was announced: that may be older by now (claim E1). pair: epoch.global */
    return shoal_load_acquire(&epoch->global);
}

void shoal_epoch_leave(shoal_epoch *epoch, uint32_t index)
{
    SHOAL_ASSERT(index < epoch->count);
    shoal_epoch_record *record = &epoch->records[index];
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&record->announced) != SHOAL_EPOCH_OFFLINE);
    /* pair: epoch.announce */
    shoal_store_release(&record->announced, (uint64_t)SHOAL_EPOCH_OFFLINE);
}

/* Neither offline nor at epoch `now`. */
static bool lags(uint64_t announced, uint64_t now)
{
    return announced != SHOAL_EPOCH_OFFLINE && announced != now;
}

void shoal_epoch_advance(shoal_epoch *epoch)
{
    /* pair: epoch.global */
    uint64_t now = shoal_load_acquire(&epoch->global);
    /* A look first, so that a hopeless scan takes no line away from its thread. */
    for (uint32_t i = 0; i < epoch->count; i++) {
        if (lags(shoal_load_relaxed(&epoch->records[i].announced), now)) return;
    }
    for (uint32_t i = 0; i < epoch->count; i++) {
        /* pair: epoch.announce (claim E1) */
        uint64_t announced = shoal_add_acq_rel(&epoch->records[i].announced, (uint64_t)0);
        if (lags(announced, now)) return;
    }
    /* pair: epoch.global */
    (void)shoal_cas_acq_rel(&epoch->global, &now, now + 1);
}
