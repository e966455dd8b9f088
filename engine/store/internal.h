/* SPDX-License-Identifier: MIT
 *
 * store/internal.h - the store and its threads, and what the files of this room do for each other.
 *
 *   item.c    making and reading items            table.c   entries of a leaf: add, replace, remove
 *   gate.c    gates                               grow.c    rebuilding, splitting, merging leaves
 *   limbo.c   memory that readers may still see   expire.c  TTL hints and the sweeping hand
 *   walk.c    scan, random, digest                route.c   ownership and routes
 *   store.c   creation, threads, batches          read.c   keys, looking ahead, reads
 *   write.c   changes of single keys          write_many.c  of several at once
 *   defrag.c  moving what lies in sparse memory
 *   swap.c    exchanging what two places hold
 *   change.c  counting changes of keys and telling who watches them
 *   pin.c     items that stay beyond the batch
 *   snapshot.c  handing out what a slot holds while it is written; cut.c the same as of one moment
 *   quick.h   what every write does in a few instructions, so that it needs no call
 *   limits.c  how much there may be         evict.c   the hand that makes room
 *   policy.c  which keys go                 clock.c   what makes a key old
 *   ghost.c   keys that have gone lately  dated.c  fields of hashes whose time has come
 */
#ifndef SHOAL_STORE_INTERNAL_H
#define SHOAL_STORE_INTERNAL_H

#include "base/epoch.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/slab.h"
#include "store/evict.h"
#include "store/expire.h"
#include "store/own.h"
#include "store/layout.h"
#include "store/limbo.h"
#include "store/limits.h"
#include "store/table.h"
#include "store/pin.h"
#include "store/places.h"
#include "store/route.h"
#include "store/snapshot.h"

/* Limits of shoal_store_options. */
#define SHOAL_DATABASES_MAX 16u
#define SHOAL_THREADS_MAX 130u

/* ---- threads ---- */

/* Counters of one thread: it writes, any thread reads, relaxed. The sum over the threads counts;
 * one alone may be negative. */
typedef struct shoal_counters {
    _Atomic int64_t bytes;         /* allocated less released */
    _Atomic int64_t bytes_tables;  /* of those, directories and buckets */
    _Atomic int64_t bytes_limbo;   /* retired less released */
    _Atomic int64_t bytes_beside;  /* of bytes: routes and cuts, beside the slabs */
    _Atomic int64_t bytes_queues;  /* of the blocks that limbo queues are made of; not in bytes */
    _Atomic int64_t bytes_charged; /* of others, which count against the limit; not in bytes */
    _Atomic int64_t keys_part;     /* those in part 1 of the policy */
    _Atomic int64_t hits, misses, expired, evicted, handed_over;
    _Atomic int64_t changes; /* of keys */
    _Atomic int64_t defrag_hits, defrag_misses, defrag_key_hits, defrag_key_misses, defrag_scanned;
    _Atomic int64_t limbo_queued, limbo_freed; /* pieces of the limbo, so far */
    _Atomic int64_t lazy_pending, lazy_freed;  /* see shoal_store_stats */
    _Atomic int64_t keys[SHOAL_DATABASES_MAX];
    _Atomic int64_t keys_volatile[SHOAL_DATABASES_MAX];
} shoal_counters;

/* How far a thread is with its chunk of the sweep (expire.c). */
typedef struct shoal_sweep {
    uint64_t pending;    /* slots of the chunk still to be looked at */
    uint64_t position;   /* where in the lowest of them the sweep goes on */
    int64_t due_ms;      /* before when nothing in that slot expires, as the sweep found it */
    int64_t earliest_ms; /* of what the sweep has seen in that slot */
    uint32_t chunk;      /* db * MAP_WORDS + word */
    bool stays;          /* where it is, a hash has more fields to lose */
} shoal_sweep;

/* How far a thread is with its chunk of the pass over sparse memory (defrag.c). */
typedef struct shoal_defrag_hand {
    uint64_t pending;       /* slots of the chunk still to be looked at */
    uint64_t position;      /* where in the lowest of them the hand goes on */
    shoal_object *object;   /* in which it has stopped there, or NULL: compared, never followed */
    uint64_t object_cursor; /* where in that */
    int64_t object_hits;    /* pieces of that moved so far */
    int64_t leaves;         /* moved and not yet counted */
    uint32_t chunk;         /* db * MAP_WORDS + word */
    bool last;              /* of the pass */
} shoal_defrag_hand;

/* One thread of a store. */
struct shoal_thread {
    _Alignas(SHOAL_SHARING_SIZE) shoal_store *store;
    shoal_time now;
    int64_t now_ms;    /* of the wall clock */
    int64_t judged_ms; /* by which an item's time has come: now_ms, or while it follows never */
    uint64_t stamp;    /* of what is retired now; 0 while outside */
    uint64_t batches;  /* entered so far */
    uint32_t index;
    bool alone;       /* the only thread of the store: no locked instructions */
    bool draining;    /* a frame below runs granted operations */
    bool follows;     /* see shoal_thread_follow */
    bool met_expired; /* a read has found an item whose time had come; see shoal_store_reap */
    shoal_gate_op *granted_first, *granted_last; /* were given a gate, wait to go on */
    uint32_t grants_left;                        /* of them, how many this batch may still run */
    shoal_limbo_block *limbo_first, *limbo_last;
    shoal_limbo_block *limbo_spare; /* blocks ready to be appended */
    uint32_t limbo_spares;          /* how many */
    uint64_t dissolving;            /* word of a tree that is being freed, 0 for none */
    uint64_t dissolved;             /* position up to which it has been */
    shoal_object *crumbling;        /* an object that is being freed, NULL for none */
    bool crumbling_large;           /* it is counted */
    shoal_allocator heap;           /* the slab, as objects see it */
    shoal_account account;          /* of objects that are made and changed */
    uint32_t retired;               /* since the last leave: what freeing it takes */
    shoal_sweep sweep;
    shoal_defrag_hand hand;
    shoal_cut *cut;       /* that the operation which runs must heed, or NULL; see cut.c */
    shoal_cut *cut_outer; /* the same of the operation that background work interrupts */
    uint32_t taken;       /* gates that background work holds */
    struct shoal_observer *observer; /* of the operation that runs, or NULL */
    bool creates;        /* where somebody observes: what is put next has not been there */
    bool tells;          /* in this batch it says when it runs an operation; see moment.c */
    uint32_t operations; /* that it runs now, one within the other; only where it tells */
    /* writer: the thread; moments add zero; acq_rel. pair: moment.operating */
    _Atomic uint32_t operating;
    shoal_evictor evictor;
    shoal_prng prng;
    shoal_prng prng_evict; /* of eviction, so that it shifts no other draw */
    shoal_counters counters;
    shoal_limbo_block limbo_own; /* so that a little can always be retired */
    shoal_slab slab;             /* memory of items, objects and tables */
};

/* ---- the store ---- */

/* Items that may not be freed yet (pin.c). */
typedef struct shoal_pins {
    _Atomic uint32_t count; /* of them and of attempts, relaxed: 0 where nobody pins */
    /* An item, and in bit 0 whether its freeing is owed. writers: who pins and unpins, and who
     * frees, acq_rel. pair: pin.item */
    _Atomic(uintptr_t) items[SHOAL_PINS_MAX];
} shoal_pins;

/* Moments between operations (moment.c). */
typedef struct shoal_moment {
    /* Who may want moments. writer: control, release. readers: threads that begin a batch, acquire.
     * pair: moment.prepare */
    _Atomic uint32_t preparations;
    /* No operation may begin. writer: control, acq_rel. readers: who begins an operation, acquire.
     * pair: moment.wish */
    _Atomic bool wished;
    /* Operations with all their gates that wait for the end; the newest first. writers: who parks
     * one, and who takes all, acq_rel. pair: moment.parked */
    _Atomic(shoal_op *) parked;
    uint64_t stamp; /* of the batch in which the first preparation was made; control's */
} shoal_moment;

/* What all threads share of the hand that moves things; all relaxed, see defrag.c. */
typedef struct shoal_defrag {
    _Atomic bool on;
    _Atomic uint64_t ignore_bytes;
    _Atomic uint32_t lower_percent, upper_percent, cycle_min_percent, cycle_max_percent, scan_max;
    _Atomic uint64_t outer_bytes; /* wasted below the slabs, as the host says */
    _Atomic bool tables;          /* the pass looks at leaves only */
    _Atomic uint32_t running;     /* percent of a processor; 0 between passes */
    _Atomic uint32_t next;        /* chunk to be taken next, 0 between passes */
    _Atomic int64_t began_us;     /* monotonic: the pass */
    _Atomic int64_t total_us;     /* of passes that are over */
    _Atomic int64_t pause_us;     /* monotonic: the next pass begins no earlier */
    _Atomic int64_t hits_before;  /* when the pass began */
    _Atomic int64_t leaves;       /* moved in passes over leaves only, so far */
    _Atomic uint64_t waste_left;  /* what a pass that moved little has left, or 0 */
} shoal_defrag;

/* The store: what all threads share. */
struct shoal_store {
    shoal_allocator allocator;
    shoal_thread *threads;
    uint64_t seed;
    uint32_t thread_count;
    uint32_t database_count;
    bool owned; /* what FOREIGN is the opposite of */
    bool edits; /* long strings are edited in place; see edit.c */
    bool folds; /* the processor multiplies without carries; see base/fold.h */
    shoal_db *databases[SHOAL_DATABASES_MAX];
    void *database_blocks[SHOAL_DATABASES_MAX]; /* as allocated, before alignment */
    /* writer: control actor, acq_rel. readers: any, acquire. pair: route.publish */
    _Atomic(const shoal_route *) route;
    _Atomic bool active_expire; /* any thread, relaxed */
    _Atomic bool keeps_expired; /* any thread, relaxed: see shoal_store_keep_expired */
    _Atomic uint32_t expected;  /* keys a slot, any thread, relaxed: see shoal_store_expect */
    shoal_epoch epoch;
    shoal_departures departures;         /* constant while threads run */
    const struct shoal_journal *journal; /* the same; NULL: nobody writes anything down */
    /* The cut that is being taken, or NULL. writer: who takes it, acq_rel. readers: who runs an
     * operation, acquire. pair: cut.publish */
    _Atomic(shoal_cut *) cut;
    shoal_moment moment;
    shoal_pins pins;
    shoal_own own;
    /* Sums at the last reset of the statistics, relaxed. */
    _Atomic int64_t hits_before, misses_before, expired_before, evicted_before, handed_over_before,
        lazy_freed_before;
    /* The sweep's hand, shared by all threads; all relaxed, see expire.c. */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic uint32_t sweep_next; /* chunk to be taken next */
    _Atomic int64_t sweep_due_ms;                             /* nothing expires before */
    _Atomic int64_t sweep_pause_us; /* monotonic: the next round begins no earlier */
    shoal_defrag defrag;
    shoal_evict_shared evict;
};

/* What the arrays of one database take from the allocator. */
uint64_t shoal_store__array_bytes(const shoal_store *store);

/* The database of a place. */
static inline shoal_db *shoal_store__db(const shoal_store *store, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    return store->databases[SHOAL_PLACE_DB(place)];
}

/* The hot line of a place. */
static inline shoal_hot *shoal_store__hot(const shoal_store *store, uint32_t place)
{
    return &shoal_store__db(store, place)->hots[SHOAL_PLACE_SLOT(place)];
}

/* The word of a place. */
static inline _Atomic uint64_t *shoal_store__word(const shoal_store *store, uint32_t place)
{
    return &shoal_store__db(store, place)->words[SHOAL_PLACE_SLOT(place)];
}

/* What a request takes from the slab of a thread. */
static inline size_t shoal_store__usable(const shoal_store *store, size_t size, size_t alignment)
{
    return shoal_slab_usable(&store->allocator, size, alignment);
}

/* Allocates and frees table memory (aligned to a line, zeroed), and counts it for the thread. */
void *shoal_table__take(shoal_thread *thread, size_t size);
void shoal_table__give(shoal_thread *thread, void *memory, size_t size);

/* ---- item.c ---- */

/* What an item is to be made of. */
typedef struct shoal_item_plan {
    shoal_slice name;
    shoal_value_type type;
    uint8_t kept;        /* ITEM_INTEGER, ITEM_RAW, ITEM_OBJECT or 0 */
    shoal_gather value;  /* the bytes; of ITEM_INTEGER and ITEM_OBJECT those of number or pointer */
    int64_t expires_ms;  /* < 0: never */
    shoal_change change; /* what watchers are told */
    bool moves;          /* as much goes as comes: no room is asked for */
    size_t bytes;        /* set by make: what the item takes from the allocator */
} shoal_item_plan;

/* Allocates and fills an item, counted for the thread. NULL without memory. */
shoal_item *shoal_item__make(shoal_thread *thread, shoal_item_plan *plan);
/* Gives an item of `size` bytes (shoal_item__size) back at once; returns what the allocator got. */
size_t shoal_item__free(shoal_thread *thread, shoal_item *item, size_t size);

/* ---- defrag.c and stats.c ---- */

/* Moves things for a while, if that is asked for. Returns how long until it wants to go on. */
int64_t shoal_defrag__step(shoal_thread *thread);

/* Bytes as a hand wants to know them. */
typedef struct shoal_store_bytes {
    uint64_t used;       /* of pieces, and of queues */
    uint64_t slabs_free; /* as in shoal_store_stats */
} shoal_store_bytes;
shoal_store_bytes shoal_stats__bytes(const shoal_store *store);

/* ---- store.c ---- */

/* Where an entry is. */
typedef struct shoal_found {
    shoal_leaf leaf;
    shoal_spot spot;
} shoal_found;

/* Takes the item at `found` out of the slot and retires it, with its object. Under the gate. */
void shoal_store__drop(shoal_thread *thread, const shoal_key *key, const shoal_found *found,
                       shoal_change change);

/* ---- write.c: under the gate of the place ---- */

/* An item that is to be read under a key from now on. */
typedef struct shoal_newcomer {
    shoal_item *item;
    size_t bytes;  /* shoal_item_memory of it */
    bool replaces; /* the item at the spot, else it has just been added there */
} shoal_newcomer;

/* Drops the key if its time has come, whoever is to say so. Returns when it is to be asked again,
 * in wall-clock milliseconds, or -1: there is none, or none with a TTL. Under the gate. */
int64_t shoal_write__expire(shoal_thread *thread, const shoal_key *key);
/* Puts a newcomer in its place in the table and in all accounts, which cannot fail. Nobody is told:
 * that is left to shoal_change__note. */
void shoal_write__enter(shoal_thread *thread, const shoal_key *key, const shoal_spot *spot,
                        const shoal_newcomer *newcomer);
/* Puts text that is no integer and never expires, if that is the short work of write_plain.c; else
 * false, and nothing has happened. Under the gate. */
bool shoal_write__plain(shoal_thread *thread, const shoal_key *key, shoal_slice value);
/* True and `*integer` when a string is to be kept as one. */
bool shoal_write__is_integer(shoal_slice value, int64_t *integer);

/* Asked before an item of SHOAL_PIN_SIZE_MIN or more is freed: true when it is pinned; then who
 * lets go of it last will free it. */
bool shoal_pin__owes(shoal_thread *thread, const shoal_item *item);

/* ---- snapshot.c ---- */

/* Hands an item out that is no object. */
void shoal_snapshot__item(shoal_thread *thread, const shoal_snapshot_sink *sink, uint32_t place,
                          const shoal_item *item);

/* ---- cut.c: under the gate of the place, and only while thread->cut is set ---- */

/* The key is about to be changed, added or removed: what the cut needs of it is handed out. */
void shoal_cut__before(shoal_thread *thread, const shoal_key *key);
/* The object at the key is about to be changed in place. */
void shoal_cut__before_object(shoal_thread *thread, uint32_t place, shoal_object *object);
/* The object at the key is about to go to another one, maybe elsewhere. */
void shoal_cut__before_move(shoal_thread *thread, uint32_t place, shoal_object *object);
/* It has gone, under the gates of both places. */
void shoal_cut__moved(shoal_thread *thread, uint32_t from, uint32_t to, shoal_object *object);
/* An object is about to be retired: true when the cut keeps it, and retires it later. */
bool shoal_cut__keeps(shoal_thread *thread, uint32_t place, shoal_object *object);
/* The same for all that the word of a place leads to. */
bool shoal_cut__keeps_tree(shoal_thread *thread, uint32_t place, uint64_t word);
/* Frees a cut that is over. */
void shoal_cut__free(shoal_thread *thread, shoal_cut *cut);

/* ---- change.c: under the gate of the place ---- */

/* Shows an item that goes by itself to who wants to see it. */
void shoal_change__gone(shoal_thread *thread, shoal_departure departure);
/* Tells who watches a key, if anybody does, that it has changed; `hot` is its place's. */
void shoal_change__tell(shoal_thread *thread, shoal_hot *hot, const shoal_key *key,
                        shoal_change change);
/* Counts a change of a key, and tells who watches it. */
void shoal_change__note(shoal_thread *thread, const shoal_key *key, shoal_change change);
/* The same for all keys of a place at once. */
void shoal_change__note_all(shoal_thread *thread, uint32_t place);

/* ---- route.c ---- */

/* Starts without a route table. */
void shoal_route__init(shoal_store *store);
/* Frees the present route table; all threads are outside. */
void shoal_route__clear(shoal_store *store);
/* What a published route takes from the allocator. */
uint64_t shoal_route__bytes(const shoal_store *store, const shoal_route *route);
/* Frees a route that was published. */
void shoal_route__free(shoal_thread *thread, const shoal_route *route);

/* ---- moment.c ---- */

/* At the beginning of a batch. */
void shoal_moment__begin(shoal_thread *thread);
/* An operation wants to begin: false when it must not, because a moment is wished for. Each call
 * that returns true is followed by shoal_moment__leave. */
bool shoal_moment__enter_slow(shoal_thread *thread);
static inline bool shoal_moment__enter(shoal_thread *thread)
{
    return LIKELY(!thread->tells) || shoal_moment__enter_slow(thread);
}
/* It is over. */
static inline void shoal_moment__leave(shoal_thread *thread)
{
    if (LIKELY(!thread->tells) || --thread->operations > 0) return;
    shoal_store_release(&thread->operating, 0u); /* pair: moment.operating */
}
/* Parks an operation that has all its gates and must not begin. */
void shoal_moment__park(shoal_thread *thread, shoal_op *op);

/* ---- gate.c ---- */

/* At the beginning of a batch: runs what the one before was given and left. */
void shoal_gate__begin(shoal_thread *thread);

/* Carries on operations that hold all their gates, linked through `next`, the first one first. */
void shoal_gate__carry_on(shoal_thread *thread, shoal_op *first);
/* Runs what was handed over while the thread was not to be interrupted. */
void shoal_gate__resume(shoal_thread *thread);
/* Takes the gate of one place for background work, if it is free. */
bool shoal_gate__take(shoal_thread *thread, uint32_t place);
/* Lets it go, and runs what was handed over meanwhile. */
void shoal_gate__release(shoal_thread *thread, uint32_t place);

#endif
