/* SPDX-License-Identifier: MIT
 *
 * shoal/policy.h - which keys go when room is needed. Every key has one byte, next to its entry in
 * the table; a policy is a small table of pure functions that say what becomes of that byte when
 * the key arrives, when it is used, and when the hand passes it. The hand goes through the keys in
 * the order of memory, over and over, and takes those that are ripe. Nothing else is kept for a
 * key: no lists, no second table.
 *
 * To try a policy of your own, fill a table and put it into shoal_cache_limits (shoal/cache.h). The
 * least there can be is first in, first out; examples/policy.c is a program around it:
 *
 *     static uint8_t arrive(shoal_policy_view *view, shoal_arrival arrival)
 *     {
 *         view->events[0]++;
 *         return (uint8_t)(view->ticks[0] % view->codes);
 *     }
 *     static uint8_t use(shoal_policy_view *view, uint8_t byte)
 *     {
 *         return byte;
 *     }
 *     static shoal_verdict judge(shoal_policy_view *view, uint8_t byte)
 *     {
 *         uint32_t age = (view->ticks[0] - byte) % view->codes;
 *         uint32_t rank = age < SHOAL_RANK_MAX ? age + 1 : SHOAL_RANK_MAX;
 *         return (shoal_verdict){.rank = (uint8_t)rank, .byte = byte};
 *     }
 *     static shoal_pace pace(const shoal_policy_view *view, uint32_t clock)
 *     {
 *         return (shoal_pace){.events = view->capacity / 100 + 1, .pass = 50};
 *     }
 *     const shoal_policy fifo = {.name = "fifo", .evicts = true, .arrive = arrive, .use = use,
 *                                .judge = judge, .pace = pace};
 *
 * Threads: the functions are called by many threads at once, each with a view of its own. They keep
 * nothing but what is in the view and in the bytes.
 */
#ifndef SHOAL_POLICY_H
#define SHOAL_POLICY_H

#include <shoal/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A stream of random numbers; the store's own. */
struct shoal_prng;
/* What the store's threads share of eviction; the store's own. */
struct shoal_evict_shared;

/* Parts of the keys, each with a threshold of its own. */
#define SHOAL_POLICY_PARTS 2u
/* Clocks of a policy. They count what the policy counts, most often arrivals. */
#define SHOAL_POLICY_CLOCKS 2u
/* Of a policy that takes keys with a TTL only, the bit of the bytes of all other keys; then the
 * policy's own bytes have seven bits. */
#define SHOAL_POLICY_EXEMPT 0x80u
/* The highest rank. */
#define SHOAL_RANK_MAX 255u

/* What a policy sees of the store, through the eyes of one thread. */
typedef struct shoal_policy_view {
    uint32_t codes;     /* bytes are 0 .. codes - 1; 256 or 128 */
    uint32_t capacity;  /* keys that fit, as far as one can tell; at least 1 */
    uint32_t keys;      /* that are there now, roughly; of those that the policy takes */
    uint32_t part_keys; /* of those, the ones in part 1 */
    bool full;          /* something has been evicted already */
    uint32_t ticks[SHOAL_POLICY_CLOCKS];     /* what the clocks show */
    uint32_t interval[SHOAL_POLICY_CLOCKS];  /* events from one tick to the next, at least 1 */
    uint32_t events[SHOAL_POLICY_CLOCKS];    /* the policy adds what it counts */
    uint32_t thresholds[SHOAL_POLICY_PARTS]; /* ranks from which on the hand takes their keys */
    int64_t now_ms;                          /* wall clock */
    uint32_t lfu_log_factor, lfu_decay_minutes;
    struct shoal_prng *prng;                 /* the thread's own stream: shoal_policy_random */
    const struct shoal_evict_shared *shared; /* the store's own */
} shoal_policy_view;

/* A key that arrives, or that comes to have another TTL. */
typedef struct shoal_arrival {
    bool remembered;    /* it was here not long ago, and was evicted with `remember` */
    int64_t expires_ms; /* < 0: never */
} shoal_arrival;

/* What the hand is told about a key that it passes. */
typedef struct shoal_verdict {
    uint8_t rank;  /* how ripe the key is; 0: not at all, others go first */
    uint8_t byte;  /* what its byte becomes when it stays */
    bool spare;    /* when its turn comes it does not go, but begins anew by `spare` */
    bool remember; /* when it goes, it is to be recognised if it comes back soon */
} shoal_verdict;

/* How a clock moves. */
typedef struct shoal_pace {
    uint32_t events; /* from one tick to the next */
    uint32_t pass;   /* ticks within which the hand must pass every key, so that no byte is read
                        when it has come round; 0: the clock does not ask for that */
} shoal_pace;

/* One policy. */
typedef struct shoal_policy {
    const char *name;
    bool evicts;        /* false: keys stay, whatever the limits are */
    bool volatile_only; /* takes keys with a TTL only */
    bool remembers;     /* verdicts may say `remember` */
    bool expiring;      /* the byte depends on the TTL: a new one is an arrival */
    bool steady;        /* what `judge` says of a byte depends on the view only, and not on its
                           stream and time: it is asked once for many keys */
    uint8_t looks;      /* keys passed for one that goes, for each unit of `effort`; 0: 4. With
                           parts, when the key's has a tenth of all; down to 3 where it has more */
    bool timed;         /* clock 0 also ticks when a while has passed, for `age` */
    bool blind;         /* what `use` says is the same for all bytes, depends on `ticks` and `codes`
                           only, and nothing is counted: it is asked once for many keys */
    /* The byte of a key that arrives. */
    uint8_t (*arrive)(shoal_policy_view *view, shoal_arrival arrival);
    /* The byte of a key that is read or replaced. Called for every read: the shorter the better. */
    uint8_t (*use)(shoal_policy_view *view, uint8_t byte);
    /* What the hand makes of a key. */
    shoal_verdict (*judge)(shoal_policy_view *view, uint8_t byte);
    /* The byte of a key whose turn came and whose verdict said `spare`. NULL where none does. */
    uint8_t (*spare)(shoal_policy_view *view, uint8_t byte);
    /* How clock `clock` moves on from here. */
    shoal_pace (*pace)(const shoal_policy_view *view, uint32_t clock);
    /* The part from which a key is to go next, or NULL where all are in one. */
    uint32_t (*next)(const shoal_policy_view *view);
    /* The part of a key, 0 or 1, or NULL. */
    uint32_t (*part)(const shoal_policy_view *view, uint8_t byte);
    /* Ticks of clock 0 since the key was used, or NULL where that is not kept. */
    uint32_t (*age)(const shoal_policy_view *view, uint8_t byte);
    /* How often it is used, 0 to 255 in Redis's scale, or NULL where that is not kept. */
    uint32_t (*frequency)(const shoal_policy_view *view, uint8_t byte);
    /* The byte of a key that is used about so often; where `frequency` is not NULL. */
    uint8_t (*as_frequent)(const shoal_policy_view *view, uint32_t frequency);
} shoal_policy;

/* Events of clock 0 since the beginning of the tick that lies `age` ticks back, 0 .. 255. Inside of
 * a policy's functions. */
SHOAL_API uint32_t shoal_policy_events_since(const shoal_policy_view *view, uint32_t age);
/* A random number in 0 .. n-1; n > 0. Inside of a policy's functions. */
SHOAL_API uint32_t shoal_policy_random(shoal_policy_view *view, uint32_t n);
/* The policy of a name as `maxmemory-policy` has them: "noeviction", "allkeys-lru", ... NULL when
 * there is none. Any thread. */
SHOAL_API const shoal_policy *shoal_policy_named(shoal_slice name);

#ifdef __cplusplus
}
#endif

#endif
