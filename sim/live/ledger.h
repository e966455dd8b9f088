/* SPDX-License-Identifier: MIT
 *
 * sim/live/ledger.h - what the clients of a live run wrote and were told, by the rule of
 * sim/history.h: a read must not miss a write that was acknowledged before the read began, unless a
 * later one may have come over it.
 *
 * Plain data.
 */
#ifndef SHOAL_SIM_LIVE_LEDGER_H
#define SHOAL_SIM_LIVE_LEDGER_H

#include "sim/schedule.h"

/* One write; its serial number is its place in the ledger, from 1. */
typedef struct shoal_entry {
    int64_t began_us, ended_us; /* INT64_MAX: not acknowledged */
    uint64_t before;            /* serial of the write to the same key before it; 0: none */
    uint32_t key, node, life;   /* who acknowledged, and in which life of its process */
    bool lost;
} shoal_entry;

/* All writes of a run. */
typedef struct shoal_ledger {
    shoal_entry *entries;
    uint32_t count, capacity;
    uint64_t *heads; /* per key: the serial of its newest write; 0: none */
    uint32_t keys;
    uint64_t lost[SHOAL_CAUSE_COUNT];
    int64_t lost_from_us[SHOAL_CAUSE_COUNT], lost_until_us[SHOAL_CAUSE_COUNT];
    /* Why a write is gone. */
    shoal_cause (*why)(void *context, const shoal_entry *entry);
    void *context;
} shoal_ledger;

/* Makes and ends one for keys 0 to `keys` - 1. */
void shoal_ledger__make(shoal_ledger *ledger, uint32_t keys);
void shoal_ledger__free(shoal_ledger *ledger);
/* A write begins; its serial number. */
uint64_t shoal_ledger__begin(shoal_ledger *ledger, uint32_t key, int64_t now_us);
/* It was acknowledged by a node in one of its lives. */
void shoal_ledger__acknowledge(shoal_ledger *ledger, uint64_t serial, int64_t now_us, uint32_t node,
                               uint32_t life);
/* An audit that began at `began_us` found this write, 0 for none: counts what is lost. */
void shoal_ledger__audit(shoal_ledger *ledger, uint32_t key, uint64_t serial, int64_t began_us);

#endif
