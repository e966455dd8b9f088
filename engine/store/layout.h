/* SPDX-License-Identifier: MIT
 *
 * store/layout.h - the store's memory to the byte: slot words, hot lines, buckets, directories and
 * items, and the look-up that every read takes. Inside the store only.
 *
 *   words[slot] --> bucket array                        up to 256 buckets: a leaf
 *              \--> directory --> 16 words like this    the next 4 bits of the hash choose
 *
 * A word that leads to a leaf or a directory, and a slot's word above it:
 *   63 FOREIGN   ownership is not what the store started with        (slot words only)
 *   62 SLOW      several keys change together: read under the gate    (slot words only)
 *   61 DIRECTORY the pointer leads to a directory, not to buckets
 *   55..48       buckets - 1 of a leaf
 *   47..0        pointer, aligned to a line; 0: nothing there
 *
 * An entry of a bucket:
 *   63..46 tag   the 18 bits of the hash behind those that chose the leaf. They place the entry
 *                (bucket = tag * buckets >> 18, so order by hash survives any rebuild) and tell
 *                it from its neighbours: with 256 buckets ten bits are left for that, so one look
 *                in 150 or so touches an item for nothing
 *   45    CHAIN  the pointer leads to another bucket of the same chain, and the tag is 0
 *   44..0        pointer >> 2; 0 in a free entry
 */
#ifndef SHOAL_STORE_LAYOUT_H
#define SHOAL_STORE_LAYOUT_H

#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "store/change.h"
#include "store/store.h"

/* What the compiler should expect of a branch. */
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* ---- words ---- */

/* The parts of a word, as drawn above. */
#define WORD_FOREIGN ((uint64_t)1 << 63)
#define WORD_SLOW ((uint64_t)1 << 62)
#define WORD_DIRECTORY ((uint64_t)1 << 61)
#define WORD_FLAGS (WORD_FOREIGN | WORD_SLOW)
#define WORD_POINTER (((uint64_t)1 << 48) - 1)

/* Most buckets of a leaf: 16 KiB, rebuilt in some 10 us. */
#define LEAF_BUCKETS_MAX 256u
/* Bits of the hash that one directory consumes. 16 leaves made of one full leaf have some 100
 * keys each, so one split touches each item once for four doublings. */
#define DIRECTORY_BITS 4u
#define DIRECTORY_SIZE (1u << DIRECTORY_BITS)
/* Directories on top of each other. With the tag they use 46 bits of the hash. */
#define DEPTH_MAX 7u
#define TAG_BITS 18u
/* Bits of a hash that say where a key stands in its slot: the cursor of a walk. */
#define POSITION_BITS (DEPTH_MAX * DIRECTORY_BITS + TAG_BITS)

_Static_assert(POSITION_BITS == 46, "a walk's cursor has 46 bits for the position");

/* A word that leads to a leaf of so many buckets, or (with WORD_DIRECTORY added) a directory. */
static inline uint64_t shoal_word__make(const void *pointer, uint32_t buckets)
{
    uint64_t address = (uint64_t)(uintptr_t)pointer;
    SHOAL_ASSERT((address & ~(WORD_POINTER & ~(uint64_t)63)) == 0);
    SHOAL_ASSERT(buckets - 1u < LEAF_BUCKETS_MAX);
    return address | (uint64_t)(buckets - 1u) << 48;
}

/* What a word leads to; NULL when to nothing. */
static inline void *shoal_word__pointer(uint64_t word)
{
    return (void *)(uintptr_t)(word & WORD_POINTER);
}

/* The buckets of a leaf. */
static inline uint32_t shoal_word__buckets(uint64_t word)
{
    return (uint32_t)(word >> 48 & 0xff) + 1u;
}

/* ---- buckets ---- */

/* The parts of an entry, as drawn above. */
#define BUCKET_ENTRIES 7u
#define ENTRY_CHAIN ((uint64_t)1 << 45)
#define ENTRY_POINTER (ENTRY_CHAIN - 1)
#define ENTRY_TAG_SHIFT 46u
/* Bits that pointers have for nothing: what they lead to is aligned to 4. */
#define ENTRY_POINTER_SHIFT 2u

/* One line: readers touch this and the item. */
typedef struct shoal_bucket {
    /* writer: the gate's holder, release. readers: any, acquire. pair: bucket.entry */
    _Alignas(64) _Atomic uint64_t entries[BUCKET_ENTRIES];
    _Atomic uint8_t ages[BUCKET_ENTRIES]; /* any thread, relaxed: one byte a key, see policy.h */
    uint8_t hint; /* holder: earliest expiry in this home bucket's chain; see expire.c */
} shoal_bucket;

_Static_assert(sizeof(shoal_bucket) == 64, "a bucket is one line");

/* An entry with a tag that leads to an item (or, with tag 0 and ENTRY_CHAIN added, a bucket). */
static inline uint64_t shoal_entry__make(uint64_t tag, const void *pointer)
{
    uint64_t address = (uint64_t)(uintptr_t)pointer;
    SHOAL_ASSERT((address & 3) == 0 && address >> 47 == 0);
    return tag << ENTRY_TAG_SHIFT | address >> ENTRY_POINTER_SHIFT;
}

/* What an entry leads to; NULL for a free one. */
static inline void *shoal_entry__pointer(uint64_t entry)
{
    return (void *)(uintptr_t)((entry & ENTRY_POINTER) << ENTRY_POINTER_SHIFT);
}

/* The tag of an entry. */
static inline uint64_t shoal_entry__tag(uint64_t entry)
{
    return entry >> ENTRY_TAG_SHIFT;
}

/* True for a chain, false for an item and a free entry. */
static inline bool shoal_entry__is_chain(uint64_t entry)
{
    return (entry & ENTRY_CHAIN) != 0;
}

/* An entry of an item, as opposed to a free one or a chain. */
static inline bool shoal_entry__is_item(uint64_t entry)
{
    return entry != 0 && (entry & ENTRY_CHAIN) == 0;
}

/* The bucket of a tag in a leaf of so many. */
static inline uint32_t shoal_tag__bucket(uint64_t tag, uint32_t buckets)
{
    return (uint32_t)(tag * buckets >> TAG_BITS);
}

/* ---- directories ---- */

/* Sixteen words, and what each leaf below holds. */
typedef struct shoal_directory {
    /* writer: the gate's holder, release. readers: any, acquire. pair: leaf.publish */
    _Alignas(64) _Atomic uint64_t words[DIRECTORY_SIZE];
    uint32_t keys[DIRECTORY_SIZE]; /* holder: entries of a leaf; 0 over a directory */
} shoal_directory;

_Static_assert(sizeof(shoal_directory) == 192, "a directory is three lines");

/* ---- slots ---- */

/* What a gate's holder keeps about its slot. Readers of items never touch it. */
typedef struct shoal_hot {
    /* 0 idle, 1 held, else the newest operation handed over. See gate.c. pair: slot.gate */
    _Alignas(64) _Atomic(uintptr_t) gate;
    shoal_gate_op *waiting;         /* holder: taken off the gate, oldest first */
    _Atomic uint64_t bytes;         /* holder writes, any reads, relaxed: allocator bytes */
    _Atomic int64_t expires_min_ms; /* holder writes, any reads, relaxed: none expires before */
    _Atomic uint32_t keys;          /* holder writes, release; any reads. pair: cut.emptied */
    _Atomic uint32_t keys_volatile; /* holder writes, any reads, relaxed: those with a TTL */
    uint32_t leaf_keys;             /* holder: entries of the leaf that the slot's word is */
    uint32_t held_before;           /* holder: place + 1 of the gate its operation took before */
    _Atomic uint64_t changes;       /* holder writes, any reads, relaxed: changes of keys so far */
    shoal_interest *interests;      /* holder: who watches keys of the slot, oldest first */
} shoal_hot;

_Static_assert(sizeof(shoal_hot) == 64, "a hot line is one line");

/* Words of a bit map of slots. */
#define MAP_WORDS (SHOAL_SLOTS / 64u)

/* One database: 1.1 MiB of addresses that cost memory only where they are touched. */
typedef struct shoal_db {
    _Alignas(64) shoal_hot hots[SHOAL_SLOTS];
    /* writers: the gate's holder, release; the control actor its FOREIGN bit, acq_rel. readers:
     * any, acquire. pair: leaf.publish, pair: slot.slow */
    _Atomic uint64_t words[SHOAL_SLOTS];
    /* Slots with keys, and with keys that expire. Set and cleared by the gate's holder, relaxed;
     * hints for walks, which check the slot itself. */
    _Atomic uint64_t used[MAP_WORDS];
    _Atomic uint64_t expiring[MAP_WORDS];
    /* The same for hashes whose fields expire. Set by the gate's holder, cleared by the hand. */
    _Atomic uint64_t dated[MAP_WORDS];
} shoal_db;

/* ---- items ---- */

/* The bits of an item's head. */
#define ITEM_TYPE_MASK 0x07u
#define ITEM_INTEGER 0x08u /* of a string: the value is an int64, eight bytes in machine order */
#define ITEM_RAW 0x10u     /* of a string: edited in place as clients see it, never "embstr" */
#define ITEM_OBJECT 0x20u  /* the value is the pointer to a shoal_object */
#define ITEM_VOLATILE 0x40u
#define ITEM_LONG 0x80u
/* The bits that say how a value is kept. */
#define ITEM_KEPT_MASK (ITEM_INTEGER | ITEM_RAW | ITEM_OBJECT)
/* Bytes of an item beside its key and value, at most, with what rounding adds to small ones. */
#define ITEM_OVERHEAD_MAX 32u
/* Bytes of an expiry, which follows the header. */
#define ITEM_EXPIRY_SIZE 6u
/* Items are aligned so, and no more: that is what their sizes are rounded to. */
#define ITEM_ALIGNMENT 4u

/* The short form: | head | key size | value size | [6: expiry ms] | key | value |. Bits 3..5 of
 * the head say how the value is kept. */
struct shoal_item {
    uint8_t head;
    uint8_t key_size;
    uint16_t value_size;
    char bytes[];
};

/* The long form, for keys over 255 bytes or values over 65,535. */
typedef struct shoal_item_long {
    uint8_t head;
    uint8_t zero[3];
    uint32_t key_size;
    uint32_t value_size;
    char bytes[];
} shoal_item_long;

_Static_assert(sizeof(struct shoal_item) == 4, "short item header");
_Static_assert(sizeof(shoal_item_long) == 12, "long item header");

/* Where the parts of an item are. */
typedef struct shoal_item_parts {
    const char *key;
    size_t key_size;
    const char *value;
    size_t value_size;
    int64_t expires_ms; /* -1: never */
} shoal_item_parts;

/* The expiry that stands at `at`, in milliseconds. */
static inline int64_t shoal_item__read_expiry(const char *at)
{
    uint32_t low;
    uint16_t high;
    memcpy(&low, at, sizeof low);
    memcpy(&high, at + sizeof low, sizeof high);
    return (int64_t)((uint64_t)high << 32 | low);
}

/* Takes an item apart. */
static inline shoal_item_parts shoal_item__parts(const shoal_item *item)
{
    shoal_item_parts parts = {.expires_ms = -1};
    const char *at = item->bytes;
    parts.key_size = item->key_size;
    parts.value_size = item->value_size;
    if (UNLIKELY(item->head & ITEM_LONG)) {
        const shoal_item_long *lengthy = (const shoal_item_long *)(const void *)item;
        at = lengthy->bytes;
        parts.key_size = lengthy->key_size;
        parts.value_size = lengthy->value_size;
    }
    if (item->head & ITEM_VOLATILE) {
        parts.expires_ms = shoal_item__read_expiry(at);
        at += ITEM_EXPIRY_SIZE;
    }
    parts.key = at;
    parts.value = at + parts.key_size;
    return parts;
}

/* Bytes of the allocation that holds an item. */
static inline size_t shoal_item__size(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    shoal_item_parts parts = shoal_item__parts(item);
    return (size_t)(parts.value - (const char *)item) + parts.value_size;
}

/* The object of an item that has one, else NULL. */
static inline shoal_object *shoal_item__object(const shoal_item *item)
{
    if (!(item->head & ITEM_OBJECT)) return NULL;
    shoal_object *object;
    memcpy(&object, shoal_item__parts(item).value, sizeof(void *));
    return object;
}

/* True when the item has a TTL that is over at `now_ms`. */
static inline bool shoal_item__is_expired(const shoal_item *item, int64_t now_ms)
{
    if (LIKELY(!(item->head & ITEM_VOLATILE))) return false;
    size_t header = item->head & ITEM_LONG ? sizeof(shoal_item_long) : sizeof(shoal_item);
    return shoal_item__read_expiry((const char *)item + header) <= now_ms;
}

/* True for the same `size` bytes. Names are short: two overlapping words cover most of them, and a
 * call costs more than comparing them. */
static inline bool shoal_name__equal(const char *a, const char *b, size_t size)
{
    if (UNLIKELY(size < 8 || size > 32)) return size == 0 || memcmp(a, b, size) == 0;
    uint64_t of_a, of_b;
    memcpy(&of_a, a, sizeof of_a);
    memcpy(&of_b, b, sizeof of_b);
    uint64_t differ = of_a ^ of_b;
    for (size_t at = 8; UNLIKELY(at + 8 < size); at += 8) {
        memcpy(&of_a, a + at, sizeof of_a);
        memcpy(&of_b, b + at, sizeof of_b);
        differ |= of_a ^ of_b;
    }
    memcpy(&of_a, a + size - 8, sizeof of_a);
    memcpy(&of_b, b + size - 8, sizeof of_b);
    return (differ | (of_a ^ of_b)) == 0;
}

/* True when the item is called `name`. */
static inline bool shoal_item__has_name(const shoal_item *item, shoal_slice name)
{
    shoal_item_parts parts = shoal_item__parts(item);
    return parts.key_size == name.size && shoal_name__equal(parts.key, name.data, name.size);
}

/* ---- the look-up ---- */

/* Follows directories from `word` to the leaf of `*hash`, whose consumed bits are shifted out.
 * 0 when there is no leaf. */
static inline uint64_t shoal_table__descend(uint64_t word, uint64_t *hash)
{
    while (UNLIKELY(word & WORD_DIRECTORY)) {
        const shoal_directory *directory = shoal_word__pointer(word);
        /* pair: leaf.publish */
        word = shoal_load_acquire(&directory->words[*hash >> (64 - DIRECTORY_BITS)]);
        *hash <<= DIRECTORY_BITS;
    }
    return word;
}

/* The home bucket of `*hash` below `word`, and its tag; NULL when there is no leaf. */
static inline shoal_bucket *shoal_table__home(uint64_t word, uint64_t hash, uint64_t *tag)
{
    word = shoal_table__descend(word, &hash);
    shoal_bucket *leaf = shoal_word__pointer(word);
    if (leaf == NULL) return NULL;
    *tag = hash >> (64 - TAG_BITS);
    return leaf + shoal_tag__bucket(*tag, shoal_word__buckets(word));
}

/* True for the entry of an item with this tag (a free entry has tag 0 and no pointer). */
static inline bool shoal_entry__matches(uint64_t entry, uint64_t tag)
{
    return entry >> (ENTRY_TAG_SHIFT - 1) == tag << 1 && (entry & ENTRY_POINTER) != 0;
}

/* A bucket as it was when each of its entries was read, once. */
typedef struct shoal_bucket_view {
    uint64_t entries[BUCKET_ENTRIES];
} shoal_bucket_view;

/* Reads a bucket, and returns a bit for each entry that may be that of an item with this tag: no
 * branch depends on where it is, which nobody could predict. With tag 0 free entries are among
 * them, whose pointer is NULL. */
static inline uint32_t shoal_bucket__scan(const shoal_bucket *bucket, uint64_t tag,
                                          shoal_bucket_view *view)
{
    uint32_t matches = 0;
#pragma GCC unroll 7
    for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
        /* pair: bucket.entry */
        uint64_t entry = shoal_load_acquire(&bucket->entries[i]);
        view->entries[i] = entry;
        matches |= (uint32_t)(entry >> (ENTRY_TAG_SHIFT - 1) == tag << 1) << i;
    }
    return matches;
}

/* The item of `name` in the chain that starts at `bucket`, or NULL, and `*age`, the byte that
 * eviction keeps of it. Reads each entry of the chain once: wait-free. Once also for correctness:
 * the last entry may turn from a chain into the only item behind it, and a second look would miss
 * that item. */
static inline const shoal_item *shoal_table__find(shoal_bucket *bucket, uint64_t tag,
                                                  shoal_slice name, _Atomic uint8_t **age)
{
    for (;;) {
        shoal_bucket_view view;
        uint32_t matches = shoal_bucket__scan(bucket, tag, &view);
        for (; LIKELY(matches != 0); matches &= matches - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(matches);
            const shoal_item *item = shoal_entry__pointer(view.entries[i]);
            /* The value's lines with the key's, which says where it stands only once it is here. */
            __builtin_prefetch((const char *)item + SHOAL_ALIGN_LINE);
            __builtin_prefetch((const char *)item + SHOAL_ALIGN_LINE + SHOAL_ALIGN_LINE / 2);
            if (UNLIKELY(item == NULL || !shoal_item__has_name(item, name))) continue;
            *age = &bucket->ages[i];
            return item;
        }
        uint64_t last = view.entries[BUCKET_ENTRIES - 1];
        if (LIKELY(!shoal_entry__is_chain(last))) return NULL;
        bucket = shoal_entry__pointer(last);
    }
}

#endif
