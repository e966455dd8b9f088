/* SPDX-License-Identifier: MIT
 *
 * sim/history.h - what clients wrote and what they were told: the memory of the judges of data.
 * Every write has a serial number, which is its value; keys are numbers below a limit, counters are
 * keys of their own. A read is judged by the rule of a register: it must not miss a write that was
 * acknowledged before the read began, unless a later one may have come over it. A key may also be
 * gone: because it was never written, deleted, or because its time to live may have been over.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_HISTORY_H
#define SHOAL_SIM_HISTORY_H

#include <shoal/types.h>

#include "sim/schedule.h"

typedef struct shoal_world shoal_world;

/* Marks the number of a counter: ctr:N, not key:N. */
#define SHOAL_KEY_COUNTER UINT32_C(0x80000000)

/* What the client knows of its write. */
typedef enum shoal_write_state {
    SHOAL_WRITE_OPEN = 0, /* no answer yet, or never: may take effect at any time */
    SHOAL_WRITE_ACKNOWLEDGED,
    SHOAL_WRITE_REFUSED /* the answer says that it did not happen */
} shoal_write_state;

/* One write, as its client saw it. */
typedef struct shoal_write {
    int64_t began_us;
    int64_t ended_us;  /* INT64_MAX while open */
    int64_t synced_us; /* when the disk of the node that was asked had it; 0: not yet */
    uint32_t before;   /* serial of the write to the same key before it, 0: none */
    uint32_t after;    /* what its client had found last of the key when it began; 0: nothing */
    uint32_t key;
    uint32_t size;        /* bytes of the value */
    uint32_t incarnation; /* of the node */
    uint32_t deadline;    /* of a value with a time to live: which, plus 1; 0: none */
    uint16_t node;        /* that was asked last, and acknowledged */
    uint16_t client;
    uint8_t state;  /* shoal_write_state */
    uint8_t action; /* shoal_action, not GET */
    bool lost;      /* counted already */
} shoal_write;

/* When a value expires, on the wall clock of the node that took it: between these two, in
 * microseconds. INT64_MIN and INT64_MAX are unknown. */
typedef struct shoal_deadline {
    int64_t from_us, until_us;
} shoal_deadline;

/* What reads have found of a key, those that missed nothing. */
typedef struct shoal_seen {
    uint32_t serial;              /* of what they found, the write that began last; 0: none */
    int64_t at_us;                /* when the first read was over that found it */
    int64_t gone_us, gone_end_us; /* the last read that found nothing: when it began and ended */
} shoal_seen;

/* A counter: how often it was added to. */
typedef struct shoal_counter {
    uint64_t begun, acknowledged, refused;
    uint64_t top;        /* the highest value that an answer told, since it last fell */
    int64_t top_us;      /* when the first one did */
    uint32_t top_serial; /* and to which INCR */
} shoal_counter;

/* A read that came back, for expectations of linearizable histories. */
typedef struct shoal_read {
    int64_t began_us, ended_us;
    uint32_t key;
    uint32_t serial; /* what it found, 0: nothing. Of a counter: its value */
} shoal_read;

/* All writes of a run, by serial number and by key. */
typedef struct shoal_history {
    shoal_write *writes; /* [serial - 1] */
    uint32_t write_count, write_capacity;
    uint32_t *heads;  /* per place of a key: serial of its newest write, 0: none */
    shoal_seen *seen; /* per key, once one was read */
    shoal_counter *counters;
    shoal_deadline *deadlines;
    uint32_t deadline_count, deadline_capacity;
    shoal_read *reads; /* kept only where `keeps_reads` says so */
    uint32_t read_count, read_capacity;
    uint32_t key_count; /* and so many counters where there are any */
    bool counts;        /* there are */
    bool vanishes;      /* keys are deleted, or expire */
    bool keeps_reads;
} shoal_history;

/* Makes an empty history of so many keys; gives back what one took. */
void shoal_history__make(shoal_history *history, const shoal_schedule *schedule);
void shoal_history__free(shoal_history *history);

/* How many places of keys there are, and the key at one of them. */
uint32_t shoal_history__places(const shoal_history *history);
uint32_t shoal_history__key_at(const shoal_history *history, uint32_t place);
/* The newest write to a key, 0: none. */
uint64_t shoal_history__newest(const shoal_history *history, uint32_t key);

/* What a client is about to write. */
typedef struct shoal_intent {
    uint32_t key;
    uint32_t client;
    uint32_t action; /* shoal_action */
    uint32_t size;   /* bytes of the value */
    uint32_t after;  /* serial of what it found last of the key */
    int64_t now_us;
} shoal_intent;
/* A write begins; its serial number, from 1. */
uint64_t shoal_history__begin(shoal_history *history, const shoal_intent *intent);
/* It is sent to a node, perhaps not for the first time; `ttl_us` of SHOAL_ACTION_PX. */
void shoal_history__sent(shoal_world *world, uint64_t serial, uint32_t node, int64_t ttl_us);
/* It ended: refused, or acknowledged by a node at `served_us`; the client learns of it now. An open
 * one stays open. */
void shoal_history__end(shoal_world *world, uint64_t serial, shoal_write_state state, uint32_t node,
                        int64_t served_us);
/* The answer to an INCR, which its node gave at `served_us`: what the counter was then. */
void shoal_history__counted(shoal_world *world, uint64_t serial, uint64_t value, int64_t served_us);

/* A read that came back. */
typedef struct shoal_reading {
    uint32_t node;
    uint32_t key;
    uint64_t serial; /* what it found, 0: nothing. Of a counter: its value */
    int64_t began_us, served_us;
} shoal_reading;

/* What a read means. */
typedef enum shoal_read_verdict {
    SHOAL_READ_FRESH = 0,
    SHOAL_READ_STALE,  /* it missed a write that was acknowledged before it began */
    SHOAL_READ_PHANTOM /* nobody wrote that */
} shoal_read_verdict;
/* `*cause` is filled where it is STALE. */
shoal_read_verdict shoal_history__read(const shoal_world *world, const shoal_reading *reading,
                                       shoal_cause *cause);

/* When what a read found was there at the latest without anything behind it: the end of the write,
 * -1 for what was never there, INT64_MAX where that cannot be known. */
int64_t shoal_history__end_of(const shoal_world *world, const shoal_reading *reading);

/* Counts the acknowledged writes that such a read proves lost, each once in a run. */
void shoal_history__audit(shoal_world *world, const shoal_reading *reading);

/* ---- expiry; sim/deadlines.c ---- */

/* The latest moment at which a value may have expired by the time of a read: -1 when it cannot
 * have, INT64_MAX when that is unknown. */
int64_t shoal_deadline__passed(const shoal_world *world, const shoal_write *write,
                               const shoal_reading *reading);
/* Judges a read at a master against the deadline of what it found or did not find. */
void shoal_deadline__judge(shoal_world *world, const shoal_reading *reading,
                           shoal_read_verdict verdict, shoal_cause cause);
/* A write with a deadline is sent to a node, or was served by it. */
void shoal_deadline__begin(shoal_world *world, shoal_write *write, uint32_t node, int64_t ttl_us);
void shoal_deadline__end(shoal_world *world, const shoal_write *write, int64_t served_us);

/* ---- readings; sim/readings.c ---- */

typedef struct shoal_client shoal_client;

/* All that is judged of a read of a client. */
void shoal_reading__judge(shoal_world *world, const shoal_client *client,
                          const shoal_reading *reading);
/* Keeps it, where linearizable histories are asked for. */
void shoal_reading__keep(shoal_world *world, const shoal_reading *reading);
/* Counts an anomaly now. */
void shoal_anomaly__count(shoal_world *world, shoal_anomaly anomaly, shoal_cause cause);

/* ---- sessions; sim/sessions.c ---- */

/* What a client knows of a key from its own operations that are over. */
typedef struct shoal_memory_of {
    uint64_t name;    /* client + 1 and key; 0: a free place */
    uint32_t wrote;   /* serial of its acknowledged write that began last */
    uint32_t found;   /* and of what its reads have found, the write that began last */
    int64_t found_us; /* when the first read was over that found it */
} shoal_memory_of;

/* What all clients know. */
typedef struct shoal_sessions {
    shoal_memory_of *table;
    uint32_t size, count; /* a power of two; in use */
} shoal_sessions;

/* What a client has found last of a key; 0: nothing. */
uint32_t shoal_sessions__found(const shoal_world *world, uint32_t client, uint32_t key);
/* A write of a client was acknowledged. */
void shoal_sessions__wrote(shoal_world *world, uint32_t client, uint64_t serial);
/* Judges a read by what its client knows, and keeps what it found. */
void shoal_sessions__read(shoal_world *world, uint32_t client, const shoal_reading *reading,
                          shoal_cause cause);
void shoal_sessions__free(shoal_world *world);

#endif
