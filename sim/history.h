/* SPDX-License-Identifier: MIT
 *
 * sim/history.h - what clients wrote and what they were told: the memory of the judges of data.
 * Every write has a serial number, which is its value; keys are numbers below a limit. A read is
 * judged by the rule of a register: it must not miss a write that was acknowledged before the
 * read began, unless a later one may have come over it.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_HISTORY_H
#define SHOAL_SIM_HISTORY_H

#include <shoal/types.h>

#include "sim/schedule.h"

typedef struct shoal_world shoal_world;

/* What the client knows of its write. */
typedef enum shoal_write_state {
    SHOAL_WRITE_OPEN = 0, /* no answer yet, or never: may take effect at any time */
    SHOAL_WRITE_ACKNOWLEDGED,
    SHOAL_WRITE_REFUSED /* the answer says that it did not happen */
} shoal_write_state;

/* One write, as its client saw it. */
typedef struct shoal_write {
    int64_t began_us;
    int64_t ended_us; /* INT64_MAX while open */
    uint64_t before;  /* serial of the write to the same key before it, 0: none */
    uint32_t key;
    uint32_t node;        /* that acknowledged */
    uint32_t incarnation; /* of that node */
    uint8_t state;
    bool lost; /* counted already */
} shoal_write;

/* All writes of a run, by serial number and by key. */
typedef struct shoal_history {
    shoal_write *writes; /* [serial - 1] */
    uint32_t write_count, write_capacity;
    uint64_t *heads; /* per key: serial of its newest write, 0: none */
    uint32_t key_count;
} shoal_history;

/* Makes an empty history of so many keys; gives back what one took. */
void shoal_history__make(shoal_history *history, uint32_t keys);
void shoal_history__free(shoal_history *history);

/* A write begins; its serial number, from 1. */
uint64_t shoal_history__begin(shoal_history *history, uint32_t key, int64_t now_us);
/* It ended: refused, or acknowledged by a node at `served_us`; the client learns of it now. An open
 * one stays open. */
void shoal_history__end(shoal_world *world, uint64_t serial, shoal_write_state state, uint32_t node,
                        int64_t served_us);

/* What a read that began at `began_us` and found the value `serial` (0: none) means. */
typedef enum shoal_read_verdict {
    SHOAL_READ_FRESH = 0,
    SHOAL_READ_STALE,  /* it missed a write that was acknowledged before it began */
    SHOAL_READ_PHANTOM /* nobody wrote that */
} shoal_read_verdict;
/* `*cause` is filled where it is STALE. */
shoal_read_verdict shoal_history__read(const shoal_world *world, uint32_t key, uint64_t serial,
                                       int64_t began_us, shoal_cause *cause);

/* Counts the acknowledged writes that such a read proves lost, each once in a run. */
void shoal_history__audit(shoal_world *world, uint32_t key, uint64_t serial, int64_t began_us);

#endif
