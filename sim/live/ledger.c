/* SPDX-License-Identifier: MIT
 *
 * sim/live/ledger.h.
 */
#include "sim/live/ledger.h"

#include "base/assert.h"
#include "sim/memory.h"

void shoal_ledger__make(shoal_ledger *ledger, uint32_t keys)
{
    *ledger = (shoal_ledger){.keys = keys};
    ledger->heads = shoal_sim__allocate(keys * sizeof(*ledger->heads));
}

void shoal_ledger__free(shoal_ledger *ledger)
{
    shoal_sim__free(ledger->entries);
    shoal_sim__free(ledger->heads);
    *ledger = (shoal_ledger){0};
}

uint64_t shoal_ledger__begin(shoal_ledger *ledger, uint32_t key, int64_t now_us)
{
    SHOAL_ASSERT(key < ledger->keys);
    ledger->entries = shoal_sim__grow(ledger->entries, &ledger->capacity, ledger->count + 1,
                                      sizeof(*ledger->entries));
    ledger->entries[ledger->count++] = (shoal_entry){.began_us = now_us,
                                                     .ended_us = INT64_MAX,
                                                     .before = ledger->heads[key],
                                                     .key = key};
    ledger->heads[key] = ledger->count;
    return ledger->count;
}

void shoal_ledger__acknowledge(shoal_ledger *ledger, uint64_t serial, int64_t now_us, uint32_t node,
                               uint32_t life)
{
    SHOAL_ASSERT(serial > 0 && serial <= ledger->count);
    shoal_entry *entry = &ledger->entries[serial - 1];
    entry->ended_us = now_us;
    entry->node = node;
    entry->life = life;
}

static void count_lost(shoal_ledger *ledger, shoal_entry *entry)
{
    shoal_cause cause = ledger->why(ledger->context, entry);
    bool first = ledger->lost[cause]++ == 0;
    entry->lost = true;
    if (first || entry->ended_us < ledger->lost_from_us[cause])
        ledger->lost_from_us[cause] = entry->ended_us;
    if (first || entry->ended_us > ledger->lost_until_us[cause])
        ledger->lost_until_us[cause] = entry->ended_us;
}

void shoal_ledger__audit(shoal_ledger *ledger, uint32_t key, uint64_t serial, int64_t began_us)
{
    bool known = serial > 0 && serial <= ledger->count;
    int64_t end = known ? ledger->entries[serial - 1].ended_us : -1;
    for (uint64_t at = ledger->heads[key]; at != 0; at = ledger->entries[at - 1].before) {
        shoal_entry *entry = &ledger->entries[at - 1];
        if (entry->began_us <= end) break;
        if (entry->ended_us >= began_us || entry->lost) continue;
        count_lost(ledger, entry);
    }
}
