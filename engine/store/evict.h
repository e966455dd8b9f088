/* SPDX-License-Identifier: MIT
 *
 * store/evict.h - what limits.c, evict.c and clock.c keep in a store and in each of its threads,
 * and what they do for the other files. Inside the store only; part of internal.h, which has the
 * store and the threads.
 */
#ifndef SHOAL_STORE_EVICT_H
#define SHOAL_STORE_EVICT_H

#include "base/atomic.h"
#include "store/ghost.h"
#include "store/policy.h"
#include "store/store.h"

/* What can be limited. */
typedef enum shoal_measure { MEASURE_BYTES, MEASURE_KEYS, MEASURES } shoal_measure;

/* Amounts, one for each measure. */
typedef struct shoal_amounts {
    int64_t of[MEASURES];
} shoal_amounts;

/* Ticks of clock 0 whose beginning is remembered. */
#define TICK_RING 256u

/* What all threads share. Relaxed, where nothing else is said. */
typedef struct shoal_evict_shared {
    /* writer: who sets limits, release. readers: threads, acquire. pair: evict.limits */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic uint32_t version;
    /* Raised when a clock has moved. writers: who moves it, acq_rel. readers: threads, acquire.
     * pair: evict.beat */
    _Atomic uint32_t beat;
    _Atomic(const shoal_policy *) policy;
    _Atomic int64_t limits[MEASURES];
    _Atomic uint32_t lfu_log_factor, lfu_decay_minutes, effort, step_us;
    _Atomic uint32_t ticks[SHOAL_POLICY_CLOCKS];
    _Atomic uint32_t interval[SHOAL_POLICY_CLOCKS];
    _Atomic int64_t tick_due_us; /* monotonic: clock 0 ticks then at the latest */
    _Atomic bool full;           /* something has been evicted */
    /* What the threads have been promised of the limits, added up. */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic int64_t promised[MEASURES];
    _Atomic uint64_t counted[SHOAL_POLICY_CLOCKS]; /* events so far */
    _Atomic uint64_t due[SHOAL_POLICY_CLOCKS];     /* events at which a clock ticks */
    _Atomic uint32_t chunk_next;                   /* that the hand takes, modulo all */
    _Atomic uint32_t chunks_foreign; /* to be taken whose bytes another policy has written */
    /* writer: who evicts, acq_rel. readers: any, acquire. pair: evict.ghost */
    _Atomic(shoal_ghost *) ghost;
    /* Keys of a table of those that have gone for which room has been claimed, and is promised to
     * whoever makes it; 0: none. */
    _Atomic uint32_t ghost_claim;
    _Atomic int64_t exceeded_since_us, exceeded_us; /* since: 0 while nothing is above its limit */
    /* Of the last ticks of clock 0, when they began: in tenths of a second, monotonic, and in
     * events modulo 2^32. */
    _Atomic uint32_t tick_began_ds[TICK_RING];
    _Atomic uint32_t tick_began_at[TICK_RING];
} shoal_evict_shared;

/* A thread's part of the hand, which goes through chunks of 64 slots. */
typedef struct shoal_hand {
    uint64_t pending;  /* slots of the chunk still to be passed */
    uint64_t position; /* where in the lowest of them it goes on */
    uint64_t unasked;  /* those of them whose lines have not been asked for */
    uint32_t asked;    /* lines of the lowest of `unasked` that have been */
    uint32_t chunk;    /* db * MAP_WORDS + word */
    bool foreign;      /* the bytes in the chunk are those of another policy */
} shoal_hand;

/* A key that was ripe when the hand passed it. */
typedef struct shoal_ripe {
    uint64_t position; /* in its slot, as far as its entry tells */
    uint32_t place;
    uint8_t byte; /* as it was then */
    uint8_t rank;
    bool spare, remember; /* as in its verdict */
} shoal_ripe;

/* Ripe keys of one part, oldest first. */
#define POOL_MAX 32u
typedef struct shoal_pool {
    uint32_t first, count;
    shoal_ripe list[POOL_MAX];
} shoal_pool;

/* Hashes of keys that have gone whose lines of the ghost are being fetched. */
#define GONE_MAX 8u

/* What one thread keeps. */
typedef struct shoal_evictor {
    const shoal_policy *policy;
    uint32_t version; /* of the limits as they are known here */
    uint32_t beat;    /* of the clocks as they are known here */
    int64_t tick_due_us;
    uint8_t exempt; /* SHOAL_POLICY_EXEMPT, or 0 where the policy takes all keys */
    bool pressed;   /* something was above its limit when the thread last looked */
    bool quiet;     /* reads leave no trace */
    bool marks;     /* every key that is used gets the byte `mark`; see shoal_clock__mark */
    uint8_t mark;
    bool careful;  /* a gate was found held: the hand looks out for others */
    uint64_t used; /* hash of the key whose use a look-up under its gate has counted; 0: none */
    uint32_t unsurveyed;                    /* evictions since keys were counted */
    int64_t keys;                           /* added less removed by this thread */
    shoal_amounts allowance;                /* up to here it goes without asking */
    uint32_t flush_at[SHOAL_POLICY_CLOCKS]; /* so many events are told to all together */
    int32_t thresholds[SHOAL_POLICY_PARTS]; /* of ranks, times THRESHOLD_ONE */
    int64_t owed;                           /* keys to be passed so that no byte comes round */
    uint32_t lines_a_victim;                /* that the hand passes, about */
    shoal_hand hand;
    shoal_pool pools[SHOAL_POLICY_PARTS];
    uint64_t gone[GONE_MAX]; /* in a circle; 0: none */
    uint32_t gone_next;
    shoal_policy_view view;
    uint32_t judged_left; /* searches for which `judged` holds; 0: it does not */
    /* What a steady policy says of each byte: its rank in the part that it is of, and 0 in the
     * other one; the highest where the hand is to write it. */
    uint8_t judged[SHOAL_POLICY_PARTS][256];
} shoal_evictor;

/* ---- limits.c ---- */

/* Starts without limits. */
void shoal_limits__init(shoal_store *store);
/* Takes over what has been set since the thread last looked. */
void shoal_limits__adopt(shoal_thread *thread);
/* Sees to it that `need` more fits, by bounded work: other keys go, where the policy lets them. A
 * little more than the limits is granted where that is too slow. False: there is no room. Under any
 * gates or none, and with nothing unsettled in the thread's account. */
bool shoal_limits__room(shoal_thread *thread, shoal_amounts need);
/* True when it fits without further ado. */
bool shoal_limits__fit(const shoal_thread *thread, const shoal_amounts *need);
/* Work of the background towards the limits; true when there is more to do. */
bool shoal_limits__maintain(shoal_thread *thread, int64_t units);
/* Claims room for a table of so many keys that have gone, unless that is being done. */
void shoal_limits__claim(shoal_store *store, uint32_t keys);
/* The keys for which room was claimed, when there is room now: the thread makes the table. Else
 * 0. */
uint32_t shoal_limits__redeem(shoal_thread *thread);
/* True when so much of the thread's waits to be freed that it shows beside a limit. */
bool shoal_limits__is_tight(const shoal_thread *thread);
/* What the thread has added of a measure, less what it has removed. */
int64_t shoal_limits__measure(const shoal_thread *thread, shoal_measure measure);

/* ---- evict.c ---- */

/* Work units, about 5 ns each. */
#define EVICT_UNITS_PER_US 200u
/* The threshold in these fractions of a rank. */
#define THRESHOLD_ONE 4096

/* Passes keys until one has been evicted: true. It takes what that costs from `*units`, and gives
 * up when they are spent. */
bool shoal_evict__one(shoal_thread *thread, int64_t *units);
/* Passes keys only to look after their bytes, for at most `units`; returns what is left. */
int64_t shoal_evict__pass(shoal_thread *thread, int64_t units);
/* Frees what eviction has allocated; all threads are outside. */
void shoal_evict__clear(shoal_store *store);
/* A key with this byte has come (1) or goes (-1). */
void shoal_evict__count(shoal_thread *thread, uint8_t byte, int64_t change);
/* A key may arrive soon. Inside enter and leave. */
void shoal_evict__foresee(const shoal_store *store, const shoal_key *key);
/* The byte of a key that arrives. */
uint8_t shoal_evict__arrive(shoal_thread *thread, const shoal_key *key, int64_t expires_ms);
/* The byte of a key at `age` whose item is replaced by `after`. */
void shoal_evict__replace(shoal_thread *thread, const shoal_key *key, _Atomic uint8_t *age,
                          const shoal_item *before, const shoal_item *after);

/* ---- scout.c ---- */

/* Lines of the table that are under way while one is looked at: those of a leaf of a hundred keys.
 */
#define LINES_AHEAD 16u

/* Asks for what the hand comes to in the slot after its present one. */
void shoal_scout__next(const shoal_thread *thread);
/* A key goes: asks for some of the lines that the next search will pass. */
void shoal_scout__on(shoal_thread *thread);

/* ---- clock.c ---- */

/* At the beginning of a batch: what the clocks show. `before` is the time of the batch before. */
void shoal_clock__enter(shoal_thread *thread, shoal_time before);
/* Tells the shared clocks what the thread's policy has counted, and moves them on when it is
 * time. */
void shoal_clock__flush(shoal_thread *thread);
/* Milliseconds since the end of the tick of clock 0 that lies `age` ticks back. */
int64_t shoal_clock__since_ms(const shoal_thread *thread, uint32_t age);
/* Looks again at how many keys there are and fit. */
void shoal_clock__survey(shoal_thread *thread);

/* True when the policy has counted enough for a flush. */
static inline bool shoal_clock__is_due(const shoal_evictor *evictor)
{
    return evictor->view.events[0] >= evictor->flush_at[0] ||
           evictor->view.events[1] >= evictor->flush_at[1];
}

/* Asks the policy what it makes of keys that are used, if that is the same for all of them. After
 * each change of what it may depend on. */
void shoal_clock__mark(shoal_evictor *evictor);

/* A key is used whose byte is at `age`. */
static inline void shoal_evict__use(shoal_evictor *evictor, _Atomic uint8_t *age)
{
    uint8_t before = shoal_load_relaxed(age);
    if (__builtin_expect(evictor->marks, 1)) {
        if (before != evictor->mark) shoal_store_relaxed(age, evictor->mark);
        return;
    }
    if ((before & evictor->exempt) != 0 || evictor->quiet) return;
    uint8_t after = evictor->policy->use(&evictor->view, before);
    if (after != before) shoal_store_relaxed(age, after);
}

#endif
