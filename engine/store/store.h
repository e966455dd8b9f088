/* SPDX-License-Identifier: MIT
 *
 * store/store.h - the store's face to the rooms above: keys, reads, writes under gates, scan,
 * expiry, ownership and memory of up to 16 databases of 16,384 slots. It knows nothing of
 * commands, sockets or clusters; the route table at the end is data that it only keeps.
 *
 * Two ways in:
 *   - a read of one key is wait-free: shoal_store_get, between shoal_thread_enter and
 *     shoal_thread_leave. The item it returns stays readable until the leave.
 *   - everything else runs as an operation under the gates of its places: shoal_gate_try, and
 *     when that says no, shoal_gate_push. Functions named _locked demand that gate.
 *
 * A place is a slot of a database: `db << 14 | slot`.
 */
#ifndef SHOAL_STORE_STORE_H
#define SHOAL_STORE_STORE_H

#include <shoal/host.h>
#include <shoal/types.h>

#include "base/inbox.h"
#include "base/slab.h"
#include "base/prng.h"
#include "store/key.h"
#include "value/value.h"

typedef struct shoal_store shoal_store;
/* A thread registered with a store: its epoch, retired memory, counters, random stream. Used by
 * one thread at a time. */
typedef struct shoal_thread shoal_thread;
/* What decides which keys go; store/policy.h. */
typedef struct shoal_policy shoal_policy;
/* One stored key with its value. Immutable once published. */
typedef struct shoal_item shoal_item;

/* A place from its database and slot, and back. */
#define SHOAL_PLACE(db, slot) (((uint32_t)(db) << 14) | (uint32_t)(slot))
#define SHOAL_PLACE_SLOT(place) ((place) & (SHOAL_SLOTS - 1u))
#define SHOAL_PLACE_DB(place) ((place) >> 14)

/* Longest key and string value in bytes (512 MiB, as Redis). */
#define SHOAL_KEY_SIZE_MAX (512u << 20)
#define SHOAL_VALUE_SIZE_MAX (512u << 20)
/* Latest expiry in wall-clock milliseconds, in the year 10889; later ones are kept as this. */
#define SHOAL_EXPIRES_MS_MAX (((int64_t)1 << 48) - 1)

/* How to make a store. */
typedef struct shoal_store_options {
    shoal_allocator allocator; /* copied */
    uint32_t threads;          /* most threads that will register, 1..130 */
    uint32_t databases;        /* 1..16 */
    uint64_t seed;             /* of the hash and the jitter */
    bool owned;                /* every slot starts owned (standalone), or none (cluster) */
    bool edits; /* long strings are edited in place: they are objects then, read under the gate */
} shoal_store_options;

/* Makes an empty store and its threads. 0, SHOAL_ERR_INVALID or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_store_create(const shoal_store_options *options, shoal_store **out);
/* Every thread must have left. Frees every item. */
void shoal_store_destroy(shoal_store *store);

/* Thread `index` (< options.threads), made at creation. */
shoal_thread *shoal_store_thread(shoal_store *store, uint32_t index);
shoal_store *shoal_thread_store(const shoal_thread *thread);

/* A batch begins: what is read from now on stays readable until the leave. Not nested. */
void shoal_thread_enter(shoal_thread *thread, shoal_time now);
/* The batch ends. Frees what no thread can see any more, a bounded amount; with several threads a
 * little may stay, for shoal_store_maintain. */
void shoal_thread_leave(shoal_thread *thread);
/* Between two pieces of work of one batch, when nothing that was read before is needed any more: a
 * leave and an enter at the same time, if so much was retired that memory is worth having back. */
void shoal_thread_refresh(shoal_thread *thread);
/* True when operations that were handed over to the thread are left for its next batch, which must
 * then come soon: nobody else runs them. */
bool shoal_thread_busy(const shoal_thread *thread);
/* The time given to the last enter. */
shoal_time shoal_thread_now(const shoal_thread *thread);
/* The thread's random stream, for choices that clients ask for and seeds of new objects. */
shoal_prng *shoal_thread_prng(shoal_thread *thread);

/* ---- values ---- */

/* Room for the decimal text of an int64 with its sign, and a zero. */
#define SHOAL_INT_TEXT_SIZE 21

/* The type of the value. */
shoal_value_type shoal_item_type(const shoal_item *item);
/* The key, borrowed like the item. */
shoal_slice shoal_item_name(const shoal_item *item);
/* The value's bytes: inside the item, written to `scratch` when it is kept as an integer, or those
 * of an object: then under the gate only, and until the next edit. */
shoal_slice shoal_item_string(const shoal_item *item, char scratch[SHOAL_INT_TEXT_SIZE]);
/* Bytes of shoal_item_string without producing them; under the gate if it is an object. */
size_t shoal_item_string_size(const shoal_item *item);
/* True and `*value` when the string is kept as an integer. */
bool shoal_item_integer(const shoal_item *item, int64_t *value);
/* Wall-clock milliseconds at which it expires, or -1 without a TTL. */
int64_t shoal_item_expires_ms(const shoal_item *item);
/* Of a string, "int", "embstr" or "raw": Redis's words for how the value is kept. */
const char *shoal_item_encoding(const shoal_item *item);
/* Bytes that the item takes from the allocator: of a string or pack with its value, of an object
 * without. */
size_t shoal_item_memory(const shoal_store *store, const shoal_item *item);
/* True when the item's value is an object: to be looked at under the gate only. */
bool shoal_item_is_object(const shoal_item *item);
/* The value of an item that is of a compound type or an object. The object in it may be touched
 * under the gate only; the pack is borrowed like the item. */
shoal_compound shoal_item_compound(const shoal_item *item);

/* ---- reads: inside enter and leave, no gate ---- */

/* True when the place must be read under its gate at this moment (a write of several keys is
 * under way there). Check it BEFORE shoal_store_get. */
bool shoal_store_place_slow(const shoal_store *store, uint32_t place);
/* The live item of `key`, or NULL when absent or expired at the batch's time. Counts as a use of
 * the key for eviction. Wait-free. */
const shoal_item *shoal_store_get(shoal_thread *thread, const shoal_key *key);
/* The live item of `key`, if it can be told at one look that whoever reads gets it: its place is
 * this node's and not slow, and its value is a string and no object. NULL: that is to be found out,
 * and nothing has happened. Counts as a use. Wait-free. */
const shoal_item *shoal_store_get_plain(shoal_thread *thread, const shoal_key *key);
/* The same as shoal_store_get for some keys (at most SHOAL_KEYS_TOGETHER) whose names stand in
 * them; it makes them ready. Item by item, in no order among them. */
void shoal_store_get_many(shoal_thread *thread, uint32_t db, shoal_key *keys, uint32_t count,
                          const shoal_item **items);
/* Behind a get that returned NULL, outside of any operation: removes the item if it was there, but
 * expired, and its gate is free. Else the sweep will. */
void shoal_store_reap(shoal_thread *thread, const shoal_key *key);
/* The same, and leaves no trace. */
const shoal_item *shoal_store_peek(shoal_thread *thread, const shoal_key *key);
/* True and how long ago a live key was used, in milliseconds; up to a hundredth of the time in
 * which keys come and go too little. False when it is absent, or the policy does not keep that. */
bool shoal_store_idle_ms(shoal_thread *thread, const shoal_key *key, int64_t *idle_ms);
/* True and how often a live key is used, in Redis's logarithmic scale of 0 to 255. False when it is
 * absent, or the policy does not keep that. */
bool shoal_store_frequency(shoal_thread *thread, const shoal_key *key, uint32_t *frequency);
/* Says of a live key, under its gate, when it was last used, or how often it is used: as far as the
 * policy keeps that, and to the nearest that it can tell (idle times to some hundredths). */
void shoal_store_set_idle_locked(shoal_thread *thread, const shoal_key *key, int64_t idle_ms);
void shoal_store_set_frequency_locked(shoal_thread *thread, const shoal_key *key,
                                      uint32_t frequency);
/* While quiet, nothing that the thread reads or writes counts as a use (CLIENT NO-TOUCH). */
void shoal_thread_set_quiet(shoal_thread *thread, bool quiet);

/* ---- gates ---- */

/* An operation on the slots of `places`, ascending and distinct, `count` >= 1. `op.run` is
 * called with a shoal_thread as runner, all gates held, and after it the gates are let go; it
 * owns the memory of the operation from then on (the gate code has copied what it still needs).
 * `multi` asks that readers queue too while it runs (several keys change together). */
typedef struct shoal_gate_op {
    shoal_op op;            /* first */
    const uint32_t *places; /* borrowed until run is called */
    uint32_t count;
    uint32_t held; /* the gate code's own; 0 at the start */
    bool multi;
} shoal_gate_op;

/* Takes all gates and runs the operation now: true. Or takes none and returns false because one
 * is held. The operation may live on the stack. */
bool shoal_gate_try(shoal_thread *thread, shoal_gate_op *op);
/* Runs the operation now or hands it over to whoever holds a gate of it: it will run, on some
 * thread, in the order of arrival at the gate. The operation lives until run. True if it
 * ran in this call; after false it may have run already, elsewhere. Never waits. */
bool shoal_gate_push(shoal_thread *thread, shoal_gate_op *op);

/* ---- under the gate of key->place ---- */

/* As shoal_store_get. An expired item is removed (counted as expired). */
const shoal_item *shoal_store_get_locked(shoal_thread *thread, const shoal_key *key);
/* Replaces or creates. `expires_ms` < 0: no TTL. A value that is the shortest decimal form of an
 * int64 is kept as an integer. 0 or SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_store_put_locked(shoal_thread *thread, const shoal_key *key,
                                                shoal_slice value, int64_t expires_ms);
/* The same for an integer. */
SHOAL_MUST_USE shoal_err shoal_store_put_integer_locked(shoal_thread *thread, const shoal_key *key,
                                                        int64_t value, int64_t expires_ms);
/* As shoal_store_put_locked, for text that stays text where it could be an integer (INCRBYFLOAT):
 * its encoding is "embstr", or "raw" when it is long. */
SHOAL_MUST_USE shoal_err shoal_store_put_text_locked(shoal_thread *thread, const shoal_key *key,
                                                     shoal_slice value, int64_t expires_ms);
/* As shoal_store_put_locked, for a string edited in place as far as clients know (APPEND, SETRANGE,
 * SETBIT): kept as bytes, and its encoding is "raw". */
SHOAL_MUST_USE shoal_err shoal_store_put_raw_locked(shoal_thread *thread, const shoal_key *key,
                                                    shoal_slice value, int64_t expires_ms);

/* Slices that together are one value. */
typedef struct shoal_gather {
    const shoal_slice *parts;
    uint32_t count; /* at most 16 */
} shoal_gather;

/* The same for a string made of `parts` one behind the other, which may point into the item that is
 * replaced. */
SHOAL_MUST_USE shoal_err shoal_store_put_raw_parts_locked(shoal_thread *thread,
                                                          const shoal_key *key, shoal_gather parts,
                                                          int64_t expires_ms);

/* An edit of a string: `part` over what there is from `offset` on, with zeros before it where the
 * string ends earlier. The part lies outside of the string. */
typedef struct shoal_patch {
    size_t offset;
    shoal_slice part;
} shoal_patch;

/* Edits the string at the key, or creates one. `item` is what shoal_store_get_locked has just said
 * stands there, a string or NULL; it is no longer to be read behind this. The TTL stays, the
 * encoding becomes "raw". What comes of it has at most SHOAL_VALUE_SIZE_MAX bytes. 0 or
 * SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_store_patch_locked(shoal_thread *thread, const shoal_key *key,
                                                  const shoal_item *item, const shoal_patch *patch);

/* Replaces or creates with a pack of a compound type, made of `parts` one behind the other, which
 * may point into the item that is replaced. At most SHOAL_PACK_INLINE_MAX bytes, at least one.
 * 0 or SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_store_put_pack_locked(shoal_thread *thread, const shoal_key *key,
                                                     shoal_value_type type, shoal_gather parts,
                                                     int64_t expires_ms);
/* The account for objects that the thread makes and changes. Between operations of the store it is
 * settled: its bytes are 0. What is taken and given must be settled (by put_object, or by changed)
 * for one object before the next is touched; what was made and freed again settles itself. */
shoal_account *shoal_thread_account(shoal_thread *thread);
/* Makes sure that a few keys can be changed and removed, whatever memory there is meanwhile: a
 * removal that comes behind what cannot be taken back must not fail. False without memory. */
bool shoal_thread_reserve(shoal_thread *thread);
/* The thread's own allocator, uncounted: what was taken from one may be given to another's. */
const shoal_allocator *shoal_thread_allocator(const shoal_thread *thread);
/* Replaces or creates with an object that was made with the thread's account, which is settled; the
 * store owns it from then on. 0 or SHOAL_ERR_NO_MEMORY; then nothing has changed, and the object
 * and the account are still the caller's. */
SHOAL_MUST_USE shoal_err shoal_store_put_object_locked(shoal_thread *thread, const shoal_key *key,
                                                       shoal_object *object, int64_t expires_ms);
/* An object of the store was changed in place: settles the account and tells who watches. */
void shoal_store_changed_locked(shoal_thread *thread, const shoal_key *key, shoal_object *object);

/* A write left the value of a key that is there as it was; who watches it is told all the same. */
void shoal_store_touched_locked(shoal_thread *thread, const shoal_key *key);

/* True when a live item was removed. */
bool shoal_store_remove_locked(shoal_thread *thread, const shoal_key *key);
/* Gives an existing live item another TTL (< 0: none). 0, SHOAL_ERR_NOT_FOUND, NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_store_expire_locked(shoal_thread *thread, const shoal_key *key,
                                                   int64_t expires_ms);
/* Puts a copy of `item`, whatever its type, under `to`. 0 or SHOAL_ERR_NO_MEMORY; then nothing has
 * changed. Under the gate of `to`, and that of `item` if it has an object. */
SHOAL_MUST_USE shoal_err shoal_store_copy_locked(shoal_thread *thread, const shoal_item *item,
                                                 const shoal_key *to, int64_t expires_ms);
/* Moves a live item with its TTL from one name to another, whatever was there; an object is passed
 * on, not copied. The names differ. 0, SHOAL_ERR_NOT_FOUND, or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_store_rename_locked(shoal_thread *thread, const shoal_key *from,
                                                   const shoal_key *to);
/* Removes every key of the place; the memory goes in the background. Returns how many. */
uint64_t shoal_store_clear_locked(shoal_thread *thread, uint32_t place);

/* ---- walking ---- */

/* Called with one item of a walk. */
typedef void (*shoal_visit)(void *context, const shoal_item *item);

/* What a walk covers. */
typedef struct shoal_scan {
    uint32_t db;
    uint32_t slot_first, slot_last; /* slots outside are skipped; all: 0, SHOAL_SLOTS - 1 */
    uint32_t count;                 /* stop after so many buckets, of some 5 items each */
} shoal_scan;

/* Visits live items from `*cursor` on (0 begins) until scan->count buckets have been seen or the
 * walk is over (then `*cursor` is 0). Inside enter and leave; no gate; stateless. Every key
 * present for the whole walk is visited exactly once, others at most once each time they
 * are put. Cursors survive growth and shrinking; as numbers they stay below 2^53 for less than
 * some 60 million keys a slot (values that never came from a walk are harmless). The items stay
 * readable until the leave. */
void shoal_store_scan(shoal_thread *thread, const shoal_scan *scan, uint64_t *cursor,
                      shoal_visit visit, void *context);
/* A live item of the database chosen at random (thread's stream), or NULL when empty. */
const shoal_item *shoal_store_random(shoal_thread *thread, uint32_t db);

/* ---- counts and memory ---- */

/* Objects of more elements are counted as lazily freed, as Redis has it. */
#define SHOAL_LAZY_ELEMENTS 64u

/* Keys of a database, expired ones that nobody has met yet included; of those, the ones with a
 * TTL; and keys of one place. Any thread. */
uint64_t shoal_store_count(const shoal_store *store, uint32_t db);
uint64_t shoal_store_count_volatile(const shoal_store *store, uint32_t db);
uint64_t shoal_store_count_slot(const shoal_store *store, uint32_t place);
/* Bytes of the allocator that the keys of a place and their tables take. */
uint64_t shoal_store_bytes_slot(const shoal_store *store, uint32_t place);

/* Sums over all threads. Bytes are of pieces in use, each as large as its size class; what is free
 * around them is told apart. At rest the allocator has given, besides the arrays of an empty store,
 * exactly bytes + bytes_queues + bytes_slabs_free. */
typedef struct shoal_store_stats {
    uint64_t bytes;        /* items, objects, tables, routes; not the fixed arrays */
    uint64_t bytes_limbo;  /* retired, not yet freed; part of bytes */
    uint64_t bytes_tables; /* directories and buckets; part of bytes */
    uint64_t bytes_queues; /* of the queues in which retired pieces wait; not in bytes */
    uint64_t bytes_arrays; /* fixed, of the databases: cost memory where touched; not in bytes */
    uint64_t bytes_slabs;  /* that slabs have taken from the allocator, to divide them */
    uint64_t bytes_slabs_free; /* of those, not in use: heads, and places between pieces */
    uint64_t keys, keys_volatile;
    uint64_t hits, misses;  /* of reads that asked to be counted */
    uint64_t expired;       /* removed because their time had come */
    uint64_t evicted;       /* removed to make room */
    uint64_t bytes_charged; /* of others, by shoal_thread_charge; not part of bytes */
    /* Monotonic time since which a limit has been exceeded, or 0; and for how long it was
     * before. */
    int64_t exceeded_since_us, exceeded_us;
    uint64_t handed_over; /* operations that found a gate taken */
    uint64_t changes;     /* of keys, since the store was made */
    /* Values that were worth freeing in the background: objects of more than SHOAL_LAZY_ELEMENTS,
     * and all keys of cleared places. Those that still wait, and those that are gone. */
    uint64_t lazy_pending, lazy_freed;
    /* Of moving things out of sparse memory: the share of a processor that it takes now in percent
     * (0 between passes); pieces and keys moved, and looked at but not moved; and keys looked
     * at. */
    uint32_t defrag_running;
    uint64_t defrag_hits, defrag_misses, defrag_key_hits, defrag_key_misses, defrag_scanned;
    int64_t defrag_us;       /* monotonic: that passes have lasted, those that are over */
    int64_t defrag_since_us; /* when the one that is under way began; 0: none */
} shoal_store_stats;
void shoal_store_stats_get(const shoal_store *store, shoal_store_stats *out);
/* Of these the changes alone, for who asks at each step. */
uint64_t shoal_store_changes(const shoal_store *store);
/* One class of sizes of the slabs, summed over the threads. */
typedef struct shoal_slab_class {
    uint32_t size;   /* bytes of a place */
    uint64_t places; /* that there are */
    uint64_t taken;  /* of them; those that threads have at hand included */
} shoal_slab_class;
shoal_slab_class shoal_store_slab_class(const shoal_store *store, uint32_t class);
/* Counts one lookup of a client for keyspace_hits and keyspace_misses. */
void shoal_thread_count_lookup(shoal_thread *thread, bool hit);
/* The same for `count` that have found something. */
void shoal_thread_count_hits(shoal_thread *thread, uint32_t count);
/* Sets hits, misses, expired, evicted, exceeded_us and handed_over to zero (CONFIG RESETSTAT). */
void shoal_store_stats_reset(shoal_store *store);

/* Background work of one thread: expires items of its share of the slots, frees retired memory,
 * within `budget_us` as estimated by work done (never reads a clock). Inside enter and leave.
 * Returns how long until it wants to run again, in microseconds, or SHOAL_NEVER (INT64_MAX) when
 * nothing with a TTL and nothing retired is left. */
int64_t shoal_store_maintain(shoal_thread *thread, uint32_t budget_us);
/* When and how fast keys are moved out of sparse memory, so that memory goes back to the allocator:
 * the directives activedefrag and active-defrag-*. */
typedef struct shoal_defrag_settings {
    bool on;
    uint64_t ignore_bytes;      /* with no more free inside of slabs nothing is moved */
    uint32_t lower_percent;     /* nor with no more than this share of what is used */
    uint32_t upper_percent;     /* from this share on with all effort */
    uint32_t cycle_min_percent; /* effort: share of a processor, 1..100 */
    uint32_t cycle_max_percent;
    uint32_t scan_max; /* pieces of one value looked at in a row, >= 1 */
} shoal_defrag_settings;
/* Off; all else as Redis has it. */
shoal_defrag_settings shoal_defrag_settings_default(void);
/* From now on. Any thread; takes effect with the next shoal_store_maintain of each thread. */
void shoal_store_set_defrag(shoal_store *store, const shoal_defrag_settings *settings);
/* Tells how much memory the allocator below wastes on large pieces, where the host knows. */
void shoal_store_set_outer_waste(shoal_store *store, uint64_t bytes);
/* True when other threads may have memory of this one, which comes back only when the thread looks
 * for it: with shoal_store_maintain, every few seconds even where that wants nothing. */
bool shoal_thread_lends(const shoal_thread *thread);
/* The stamp of what the thread unlinks now, of memory that is not the store's own but is read by
 * threads of the store. Inside a batch. */
uint64_t shoal_thread_stamp(const shoal_thread *thread);
/* True when nobody sees any more what was unlinked under `stamp`; looks at the other threads. */
bool shoal_thread_passed(shoal_thread *thread, uint64_t stamp);
/* Gives back the memory that the thread has at hand, and takes in what others have given. */
void shoal_thread_tidy(shoal_thread *thread);
/* Frees retired memory only, a bounded amount: for a thread that cannot promise to come back soon,
 * and so must not begin with slots that others then leave to it. Inside enter and leave. */
void shoal_store_reclaim(shoal_thread *thread, uint32_t budget_us);
/* False stops active expiry (DEBUG SET-ACTIVE-EXPIRE 0). */
void shoal_store_set_active_expire(shoal_store *store, bool on);
/* Is active expiry on? Any thread. */
bool shoal_store_active_expire(const shoal_store *store);

/* Order-independent digest of all live data; only while no thread is inside a batch. */
uint64_t shoal_store_digest(const shoal_store *store);

#endif
