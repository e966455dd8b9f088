/* SPDX-License-Identifier: MIT
 *
 * store/grow.c - how a slot's tables follow its number of keys. A leaf is rebuilt aside with an
 * eighth more buckets, or fewer; a leaf that has reached 256 buckets is split into sixteen, and
 * sixteen that have become small are merged. Rebuilding and merging move entries by their tags
 * alone; only a split reads items (some 1,500, prefetched). Nothing here has two tables at once.
 *
 * The load at which leaves grow differs from slot to slot, so that slots that fill alike do not
 * all grow in the same second. Nothing here can fail for the caller: without memory the leaf
 * stays as it is, and its chains become longer or shorter.
 */
#include "store/internal.h"

#include "base/hash.h"

/* Loads in 1/128 of the entries of the home buckets. Growth between 92 and 101, by slot, by an
 * eighth: 14.7 bytes a key over the cycle. What fuller tables save, batches pay for: a key behind
 * its first bucket is a third wait for all of its batch (docs/decisions/slab.md). */
#define GROW_LOAD 92u
#define GROW_JITTER 10u
#define GROW_SHARE 8u
/* After a split and after shrinking: room to grow, and to shrink again. */
#define FRESH_LOAD 84u
#define SHRINK_LOAD 45u
#define LOAD_UNIT 128u
/* Sixteen leaves with no more keys than this become one: less than half of what splits it. */
#define MERGE_KEYS 512u

/* Entries that so many buckets hold at a load. */
static uint32_t entries_at(uint32_t buckets, uint32_t load)
{
    SHOAL_DEBUG_ASSERT(buckets - 1u < LEAF_BUCKETS_MAX);
    SHOAL_DEBUG_ASSERT(load <= LOAD_UNIT);
    return buckets * BUCKET_ENTRIES * load / LOAD_UNIT;
}

/* Buckets that hold so many entries at a load, at least 1. */
static uint32_t buckets_for(uint32_t keys, uint32_t load)
{
    SHOAL_DEBUG_ASSERT(keys <= UINT32_MAX / LOAD_UNIT);
    SHOAL_DEBUG_ASSERT(load <= LOAD_UNIT);
    uint32_t buckets = keys * LOAD_UNIT / (BUCKET_ENTRIES * load) + 1;
    return buckets < LEAF_BUCKETS_MAX ? buckets : LEAF_BUCKETS_MAX;
}

/* Buckets that a leaf should grow to, which has that many. Only a leaf that has entries for a whole
 * bucket is believed to get what is expected, so that what is made in vain is bounded. */
static uint32_t grown(const shoal_store *store, const shoal_leaf *leaf, uint32_t buckets)
{
    SHOAL_DEBUG_ASSERT(buckets - 1u < LEAF_BUCKETS_MAX);
    SHOAL_DEBUG_ASSERT(*leaf->keys >= BUCKET_ENTRIES);
    uint32_t more = buckets + (buckets + GROW_SHARE - 1) / GROW_SHARE;
    uint32_t expected = leaf->depth == 0 ? shoal_load_relaxed(&store->expected) : 0;
    if (expected > *leaf->keys && buckets_for(expected, FRESH_LOAD) > more)
        return buckets_for(expected, FRESH_LOAD);
    return more < LEAF_BUCKETS_MAX ? more : LEAF_BUCKETS_MAX;
}

/* Most entries of a leaf of so many buckets before it grows. One bucket is filled to the brim:
 * it has no neighbour to be unequal with. */
static uint32_t limit(const shoal_store *store, uint32_t place, uint32_t buckets)
{
    SHOAL_DEBUG_ASSERT(buckets - 1u < LEAF_BUCKETS_MAX);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    if (buckets == 1) return BUCKET_ENTRIES;
    uint32_t jitter = (uint32_t)shoal_prng_mix(store->seed ^ place) % GROW_JITTER;
    return entries_at(buckets, GROW_LOAD + jitter);
}

/* As many buckets as fit into the memory that the allocator gives for `buckets` anyway. */
static uint32_t round_up(const shoal_store *store, uint32_t buckets)
{
    SHOAL_DEBUG_ASSERT(buckets - 1u < LEAF_BUCKETS_MAX);
    size_t usable = shoal_store__usable(store, buckets * sizeof(shoal_bucket), SHOAL_ALIGN_LINE);
    size_t fitting = usable / sizeof(shoal_bucket);
    SHOAL_ASSERT(fitting >= buckets);
    return fitting < LEAF_BUCKETS_MAX ? (uint32_t)fitting : LEAF_BUCKETS_MAX;
}

/* ---- a leaf being built ---- */

/* A leaf that nobody sees yet. */
typedef struct leaf_builder {
    shoal_bucket *leaf; /* NULL: none */
    uint32_t buckets;
    uint32_t keys;
    uint64_t bytes; /* of the allocator, chains included */
    bool failed;    /* an entry found no memory */
} leaf_builder;

static leaf_builder builder_make(shoal_thread *thread, uint32_t buckets)
{
    SHOAL_DEBUG_ASSERT(buckets - 1u < LEAF_BUCKETS_MAX);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    leaf_builder builder = {.buckets = round_up(thread->store, buckets)};
    size_t size = sizeof(shoal_bucket) * builder.buckets;
    builder.leaf = shoal_table__take(thread, size);
    builder.failed = builder.leaf == NULL;
    builder.bytes = shoal_store__usable(thread->store, size, SHOAL_ALIGN_LINE);
    return builder;
}

/* Adds an entry under a tag that may differ from the one it carries. */
static void builder_add(shoal_thread *thread, leaf_builder *builder, uint64_t tag,
                        shoal_fresh_entry entry)
{
    SHOAL_DEBUG_ASSERT(shoal_entry__is_item(entry.word));
    SHOAL_DEBUG_ASSERT(tag >> TAG_BITS == 0);
    if (builder->failed) return;
    shoal_bucket *home = builder->leaf + shoal_tag__bucket(tag, builder->buckets);
    entry.word = shoal_entry__make(tag, shoal_entry__pointer(entry.word));
    if (shoal_bucket__put(thread, home, entry, &builder->bytes) != SHOAL_ERR_OK) {
        builder->failed = true;
        return;
    }
    builder->keys++;
}

/* Lets the bucket of `tag` have the hint of another that it takes entries from. */
static void builder_hint(shoal_thread *thread, leaf_builder *builder, uint64_t tag, uint8_t hint)
{
    SHOAL_DEBUG_ASSERT(tag >> TAG_BITS == 0);
    SHOAL_DEBUG_ASSERT(thread->now_ms >= 0);
    if (builder->failed || hint == 0) return;
    shoal_bucket *home = builder->leaf + shoal_tag__bucket(tag, builder->buckets);
    home->hint = shoal_expire__hint_min(home->hint, hint, thread->now_ms);
}

/* Gives a leaf back that was never published. */
static void builder_drop(shoal_thread *thread, leaf_builder *builder)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(builder->leaf == NULL || builder->buckets - 1u < LEAF_BUCKETS_MAX);
    if (builder->leaf == NULL) return;
    for (uint32_t i = 0; i < builder->buckets; i++) {
        uint64_t entry = shoal_load_relaxed(&builder->leaf[i].entries[BUCKET_ENTRIES - 1]);
        while (shoal_entry__is_chain(entry)) {
            shoal_bucket *overflow = shoal_entry__pointer(entry);
            entry = shoal_load_relaxed(&overflow->entries[BUCKET_ENTRIES - 1]);
            shoal_table__give(thread, overflow, sizeof *overflow);
        }
    }
    shoal_table__give(thread, builder->leaf, sizeof(shoal_bucket) * builder->buckets);
    builder->leaf = NULL;
}

static uint64_t builder_word(const leaf_builder *builder)
{
    SHOAL_DEBUG_ASSERT(!builder->failed);
    SHOAL_DEBUG_ASSERT(builder->leaf != NULL || builder->keys == 0);
    return builder->leaf == NULL ? 0 : shoal_word__make(builder->leaf, builder->buckets);
}

/* ---- reading a leaf that is to be replaced ---- */

/* Does something with one entry; `tag` is its tag, `home` its home bucket. */
typedef void (*entry_visit)(void *context, shoal_fresh_entry entry, const shoal_bucket *home);

/* Visits all entries of a leaf. Returns the bytes of its memory. */
static uint64_t visit_leaf(shoal_thread *thread, uint64_t word, entry_visit visit, void *context)
{
    SHOAL_DEBUG_ASSERT((word & (WORD_FLAGS | WORD_DIRECTORY)) == 0);
    SHOAL_DEBUG_ASSERT(shoal_word__pointer(word) != NULL);
    shoal_bucket *leaf = shoal_word__pointer(word);
    uint32_t buckets = shoal_word__buckets(word);
    uint64_t overflows = 0;
    for (uint32_t i = 0; i < buckets; i++) {
        for (const shoal_bucket *bucket = &leaf[i]; bucket != NULL;) {
            uint64_t entry = 0;
            for (uint32_t e = 0; e < BUCKET_ENTRIES; e++) {
                entry = shoal_load_relaxed(&bucket->entries[e]);
                uint8_t age = shoal_load_relaxed(&bucket->ages[e]);
                if (!shoal_entry__is_item(entry)) continue;
                visit(context, (shoal_fresh_entry){entry, age}, &leaf[i]);
            }
            bucket = shoal_entry__is_chain(entry) ? shoal_entry__pointer(entry) : NULL;
            overflows += bucket != NULL;
        }
    }
    const shoal_store *store = thread->store;
    return shoal_store__usable(store, sizeof *leaf * buckets, SHOAL_ALIGN_LINE) +
           overflows * shoal_store__usable(store, sizeof *leaf, SHOAL_ALIGN_LINE);
}

/* Makes `*home` lead to `word`, and settles the slot's account. */
static void swap_table(shoal_thread *thread, uint32_t place, _Atomic uint64_t *home, uint64_t word,
                       uint64_t bytes_change)
{
    SHOAL_ASSERT((word & WORD_FLAGS) == 0);
    SHOAL_ASSERT(SHOAL_PLACE_DB(place) < thread->store->database_count);
    shoal_table__publish(home, word);
    shoal_bump_relaxed(&shoal_store__hot(thread->store, place)->bytes, bytes_change);
}

/* ---- rebuilding ---- */

/* Where the entries of a rebuilt or merged leaf go. */
typedef struct rebuild {
    shoal_thread *thread;
    leaf_builder builder;
    uint64_t prefix;    /* of a merge: the child's number, above the tag */
    uint32_t tag_shift; /* of a merge: bits that the tag loses */
} rebuild;

static void rebuild_entry(void *context, shoal_fresh_entry entry, const shoal_bucket *home)
{
    SHOAL_DEBUG_ASSERT(shoal_entry__is_item(entry.word));
    SHOAL_DEBUG_ASSERT((uintptr_t)home % sizeof *home == 0);
    rebuild *to = context;
    uint64_t tag = to->prefix | shoal_entry__tag(entry.word) >> to->tag_shift;
    builder_add(to->thread, &to->builder, tag, entry);
    builder_hint(to->thread, &to->builder, tag, home->hint);
}

/* Rebuilds a leaf with another number of buckets. False without memory. */
static bool resize(shoal_thread *thread, uint32_t place, const shoal_leaf *leaf, uint32_t buckets)
{
    SHOAL_ASSERT(buckets - 1u < LEAF_BUCKETS_MAX);
    SHOAL_ASSERT(leaf->word != 0);
    rebuild to = {.thread = thread, .builder = builder_make(thread, buckets)};
    uint64_t old_bytes = visit_leaf(thread, leaf->word, rebuild_entry, &to);
    if (to.builder.failed) {
        builder_drop(thread, &to.builder);
        return false;
    }
    SHOAL_ASSERT(to.builder.keys == *leaf->keys);
    swap_table(thread, place, leaf->home, builder_word(&to.builder), to.builder.bytes - old_bytes);
    shoal_limbo__retire(thread, CORPSE_LEAF, leaf->word, old_bytes);
    return true;
}

/* ---- splitting ---- */

/* Sixteen leaves in the making. */
typedef struct split {
    shoal_thread *thread;
    uint32_t depth; /* of the leaf that is split */
    uint32_t counts[DIRECTORY_SIZE];
    leaf_builder builders[DIRECTORY_SIZE];
} split;

static void prefetch_entry(void *context, shoal_fresh_entry entry, const shoal_bucket *home)
{
    SHOAL_DEBUG_ASSERT(shoal_entry__is_item(entry.word));
    SHOAL_DEBUG_ASSERT(context == NULL);
    (void)context;
    (void)home;
    __builtin_prefetch(shoal_entry__pointer(entry.word));
}

/* The hash of an item behind the bits that lead to the leaf. */
static uint64_t item_hash(const split *to, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(to->depth < DEPTH_MAX);
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    uint64_t hash = shoal_hash(shoal_item_name(item), to->thread->store->seed);
    return hash << (to->depth * DIRECTORY_BITS);
}

static void split_count(void *context, shoal_fresh_entry entry, const shoal_bucket *home)
{
    SHOAL_DEBUG_ASSERT(shoal_entry__is_item(entry.word));
    SHOAL_DEBUG_ASSERT((uintptr_t)home % sizeof *home == 0);
    (void)home;
    split *to = context;
    to->counts[item_hash(to, shoal_entry__pointer(entry.word)) >> (64 - DIRECTORY_BITS)]++;
}

static void split_entry(void *context, shoal_fresh_entry entry, const shoal_bucket *home)
{
    SHOAL_DEBUG_ASSERT(shoal_entry__is_item(entry.word));
    SHOAL_DEBUG_ASSERT((uintptr_t)home % sizeof *home == 0);
    (void)home;
    split *to = context;
    const shoal_item *item = shoal_entry__pointer(entry.word);
    uint64_t hash = item_hash(to, item);
    leaf_builder *builder = &to->builders[hash >> (64 - DIRECTORY_BITS)];
    uint64_t tag = hash << DIRECTORY_BITS >> (64 - TAG_BITS);
    builder_add(to->thread, builder, tag, entry);
    int64_t expires_ms = shoal_item__parts(item).expires_ms;
    int64_t fields_ms = shoal_dated__deadline(item);
    if (expires_ms < 0 || (fields_ms >= 0 && fields_ms < expires_ms)) expires_ms = fields_ms;
    if (expires_ms < 0) return;
    builder_hint(to->thread, builder, tag, shoal_expire__hint(expires_ms, to->thread->now_ms));
}

/* Makes the children's leaves for the counted entries, and fills them. False without memory. */
static bool split_fill(split *to, uint64_t word)
{
    SHOAL_DEBUG_ASSERT((word & (WORD_FLAGS | WORD_DIRECTORY)) == 0);
    SHOAL_DEBUG_ASSERT(to->depth < DEPTH_MAX);
    bool failed = false;
    for (uint32_t i = 0; i < DIRECTORY_SIZE && !failed; i++) {
        if (to->counts[i] == 0) continue;
        to->builders[i] = builder_make(to->thread, buckets_for(to->counts[i], FRESH_LOAD));
        failed = to->builders[i].failed;
    }
    if (failed) return false;
    (void)visit_leaf(to->thread, word, split_entry, to);
    for (uint32_t i = 0; i < DIRECTORY_SIZE; i++) failed |= to->builders[i].failed;
    return !failed;
}

/* Puts a directory with sixteen leaves in the place of a leaf. */
static void split_leaf(shoal_thread *thread, uint32_t place, const shoal_leaf *leaf)
{
    SHOAL_ASSERT(leaf->depth < DEPTH_MAX);
    SHOAL_ASSERT(shoal_word__buckets(leaf->word) == LEAF_BUCKETS_MAX);
    split to = {.thread = thread, .depth = leaf->depth};
    shoal_directory *directory = shoal_table__take(thread, sizeof *directory);
    if (directory == NULL) return;
    uint64_t old_bytes = visit_leaf(thread, leaf->word, prefetch_entry, NULL);
    (void)visit_leaf(thread, leaf->word, split_count, &to);
    if (!split_fill(&to, leaf->word)) {
        for (uint32_t i = 0; i < DIRECTORY_SIZE; i++) builder_drop(thread, &to.builders[i]);
        shoal_table__give(thread, directory, sizeof *directory);
        return;
    }
    uint64_t bytes = shoal_store__usable(thread->store, sizeof *directory, SHOAL_ALIGN_LINE);
    for (uint32_t i = 0; i < DIRECTORY_SIZE; i++) {
        shoal_store_relaxed(&directory->words[i], builder_word(&to.builders[i]));
        directory->keys[i] = to.builders[i].keys;
        if (to.builders[i].leaf != NULL) bytes += to.builders[i].bytes;
    }
    uint64_t word = shoal_word__make(directory, 1) | WORD_DIRECTORY;
    swap_table(thread, place, leaf->home, word, bytes - old_bytes);
    *leaf->keys = 0;
    shoal_limbo__retire(thread, CORPSE_LEAF, leaf->word, old_bytes);
}

/* ---- merging ---- */

/* Keys below a directory of leaves; UINT32_MAX when there are directories below. */
static uint32_t branch_keys(const shoal_directory *directory)
{
    SHOAL_DEBUG_ASSERT(directory != NULL);
    SHOAL_DEBUG_ASSERT((uintptr_t)directory % 64 == 0);
    uint32_t keys = 0;
    for (uint32_t i = 0; i < DIRECTORY_SIZE; i++) {
        if (shoal_load_relaxed(&directory->words[i]) & WORD_DIRECTORY) return UINT32_MAX;
        keys += directory->keys[i];
    }
    return keys;
}

/* Puts one leaf in the place of the directory above `leaf`, if it has become small enough: true.
 * A child's number and its tags, cut to size, make tags of the same order. */
static bool merge(shoal_thread *thread, uint32_t place, const shoal_leaf *leaf)
{
    SHOAL_ASSERT(leaf->depth > 0);
    SHOAL_ASSERT(leaf->above != NULL);
    uint64_t branch = shoal_load_relaxed(leaf->above) & ~WORD_FLAGS;
    shoal_directory *directory = shoal_word__pointer(branch);
    uint32_t keys = branch_keys(directory);
    if (keys > MERGE_KEYS) return false;

    rebuild to = {.thread = thread, .tag_shift = DIRECTORY_BITS};
    uint64_t old_bytes = shoal_store__usable(thread->store, sizeof *directory, SHOAL_ALIGN_LINE);
    if (keys > 0) to.builder = builder_make(thread, buckets_for(keys, FRESH_LOAD));
    for (uint32_t i = 0; i < DIRECTORY_SIZE; i++) {
        uint64_t word = shoal_load_relaxed(&directory->words[i]);
        to.prefix = (uint64_t)i << (TAG_BITS - DIRECTORY_BITS);
        if (word != 0) old_bytes += visit_leaf(thread, word, rebuild_entry, &to);
    }
    if (to.builder.failed) {
        builder_drop(thread, &to.builder);
        return false;
    }
    SHOAL_ASSERT(to.builder.keys == keys);
    swap_table(thread, place, leaf->above, builder_word(&to.builder), to.builder.bytes - old_bytes);
    *leaf->above_keys = keys;
    shoal_limbo__retire(thread, CORPSE_BRANCH, branch & ~WORD_DIRECTORY, old_bytes);
    return true;
}

/* ---- when ---- */

void shoal_leaf__grow(shoal_thread *thread, uint32_t place, const shoal_leaf *leaf)
{
    SHOAL_DEBUG_ASSERT(leaf->depth <= DEPTH_MAX);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    if (leaf->word == 0) {
        leaf_builder builder = builder_make(thread, 1);
        if (builder.failed) return;
        swap_table(thread, place, leaf->home, builder_word(&builder), builder.bytes);
        return;
    }
    uint32_t buckets = shoal_word__buckets(leaf->word);
    if (LIKELY(*leaf->keys < limit(thread->store, place, buckets))) return;
    if (buckets < LEAF_BUCKETS_MAX) {
        (void)resize(thread, place, leaf, grown(thread->store, leaf, buckets));
    } else if (leaf->depth < DEPTH_MAX) {
        split_leaf(thread, place, leaf);
    }
}

/* Makes a leaf smaller, or nothing of it when it is empty. */
static void shrink_leaf(shoal_thread *thread, uint32_t place, const shoal_leaf *leaf)
{
    SHOAL_ASSERT(leaf->word != 0);
    SHOAL_ASSERT((leaf->word & WORD_DIRECTORY) == 0);
    if (*leaf->keys == 0) {
        uint64_t bytes = visit_leaf(thread, leaf->word, prefetch_entry, NULL);
        swap_table(thread, place, leaf->home, 0, -bytes);
        shoal_limbo__retire(thread, CORPSE_LEAF, leaf->word, bytes);
        return;
    }
    uint32_t fewer = round_up(thread->store, buckets_for(*leaf->keys, FRESH_LOAD));
    if (fewer < shoal_word__buckets(leaf->word)) (void)resize(thread, place, leaf, fewer);
}

bool shoal_leaf__rebuild(shoal_thread *thread, uint32_t place, const shoal_leaf *leaf)
{
    SHOAL_DEBUG_ASSERT(leaf->word != 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    return resize(thread, place, leaf, shoal_word__buckets(leaf->word));
}

void shoal_leaf__shrink(shoal_thread *thread, const shoal_key *key, const shoal_leaf *leaf)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(leaf->word != 0);
    if (LIKELY(*leaf->keys > entries_at(shoal_word__buckets(leaf->word), SHRINK_LOAD))) return;
    shrink_leaf(thread, key->place, leaf);
    shoal_leaf now = *leaf;
    while (now.depth > 0 && merge(thread, key->place, &now)) {
        now = shoal_table__leaf(thread->store, key);
    }
}
