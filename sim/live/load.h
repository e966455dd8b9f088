/* SPDX-License-Identifier: MIT
 *
 * sim/live/load.h - a client of a live run as sim/live/load.c keeps it. Nobody else includes it.
 */
#ifndef SHOAL_SIM_LIVE_LOAD_H
#define SHOAL_SIM_LIVE_LOAD_H

#include "base/prng.h"
#include "sim/live/live_room.h"
#include "sim/random.h"
#include "wire/resp.h"

/* Where an operation is. */
typedef enum shoal_attempt_state {
    SHOAL_ATTEMPT_FREE = 0,
    SHOAL_ATTEMPT_WAITING, /* for another try */
    SHOAL_ATTEMPT_SENT
} shoal_attempt_state;

/* One operation, from its first try to its end. */
typedef struct shoal_attempted {
    uint8_t state, trouble; /* trouble: shoal_outcome of the last refusal */
    bool write, asking;
    uint32_t generation, key, node, redirections;
    uint64_t serial;  /* of a write */
    int64_t began_us; /* in the schedule's time */
    int64_t again_us; /* WAITING: in the loop's */
} shoal_attempted;

/* What the next reply on a connection answers. */
typedef enum shoal_due_kind {
    SHOAL_DUE_ATTEMPT = 1,
    SHOAL_DUE_SLOTS,
    SHOAL_DUE_IGNORED
} shoal_due_kind;

/* One of them. */
typedef struct shoal_due {
    shoal_due_kind kind;
    uint32_t index, generation;
} shoal_due;

/* A client's connection to one node. */
typedef struct shoal_load_link {
    struct shoal_load_player *player;
    shoal_talk talk;
    shoal_due *due;
    uint32_t due_count, due_capacity;
} shoal_load_link;

/* One client; the last is the auditor. */
struct shoal_load_player {
    shoal_live *live;
    uint32_t index;
    bool active;
    shoal_load load;
    shoal_zipf zipf;
    shoal_prng keys, mix, gaps, ways;
    uint16_t *map, *readers; /* slot -> node + 1; 0: none */
    bool map_wanted, map_asked;
    shoal_load_link *links; /* per node */
    shoal_attempted *attempts;
    uint32_t attempt_count, attempt_capacity;
    uint32_t open; /* operations that are not over */
    uint32_t audit_next;
    int64_t issue_us; /* of the last operation, on the loop's clock */
    int64_t tick_us;  /* of the next tick */
    shoal_timer issues, ticks, retries;
};

#endif
