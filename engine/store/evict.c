/* SPDX-License-Identifier: MIT
 *
 * store/evict.c - the hand: which keys go when room is needed. It passes the buckets in the order
 * of memory, over and over, reads the byte of each entry as any reader would, and asks the policy
 * what to make of it (store/policy.h). What is ripe enough goes: its gate is tried, and a gate that
 * is held means another key. Nothing is sampled and no key is linked to another, so a key costs one
 * byte, and an eviction a few lines that follow each other. What is fetched for keys that will go
 * is asked for in groups and ahead of its use: their items while others are passed, and the lines
 * that remember them while others go.
 *
 * Ripe enough is what reaches the threshold, a rank that each thread steers so that of the keys it
 * passes one in LOOKS is taken: the threshold falls a little with each key passed, and rises by
 * LOOKS times as much with each one taken. So it settles at the rank that one in LOOKS reaches,
 * whatever the policy and however the ranks lie. After a few times as many keys, or all there are,
 * without a ripe one, the ripest of them goes and the threshold is set to its rank: that bounds
 * the work, makes the first evictions good ones, and is what decides where keys are few.
 *
 * Claims:
 *   V1  The hand passes entries inside its thread's epoch and without gates. It meets what a walk
 *       would meet (W1 of walk.c); an item that it meets is whole and stays readable.
 *   V2  A key is evicted under its gate, and only when it is still the same item that was passed:
 *       an address is not used again while the thread is inside its epoch.
 *   V3  Bytes are written without order, by readers and by the hand, each of them whole. A use may
 *       be lost where two threads write at once, or where a leaf is being rebuilt, and then a key
 *       may look a little older than it is. Nothing else depends on a byte.
 *   V4  The chunks of slots are given out in turn. Whoever takes the next ones, after as many as
 *       there are chunks each has been passed.
 *
 * The order is that of slots and hashes, time is an argument and work is counted: a run is the same
 * each time.
 */
#include "store/internal.h"

#include <string.h>

#include "base/hash.h"

/* Keys passed for one that is taken, for each unit of effort (maxmemory-samples), unless the policy
 * says otherwise. Measured (docs/EVICTION.md): at the usual effort of five, ten are enough for LRU,
 * and S3-FIFO wants 25 to come within 0.3 points of what was published while its small queue is a
 * tenth of the keys. */
#define LOOKS_PER_EFFORT 4u
/* Those of a policy with parts are for a part that has one of so many keys, and come down to so
 * many for each unit of effort where it has more. Measured: with two, cloudPhysicsIO at 0.4 of its
 * keys falls 0.38 points behind the published S3-FIFO, with three 0.28, with five 0.30. */
#define PART_SHARE 10u
#define LOOKS_LEAST 3u
/* Where keys are few, more are passed, so that a pass takes few evictions: a cache of so many keys
 * is passed whole for each. */
#define FEW_KEYS 256u
/* After so many times as many, the ripest goes. */
#define PATIENCE 16u
/* By which the threshold then comes down. */
#define LOWER_MAX (4 * THRESHOLD_ONE)
/* What the threshold rises by when a key is taken: a quarter of a rank. */
#define THRESHOLD_STEP (THRESHOLD_ONE / 4)
/* Most keys of one search, and how many keys there must be for each, so that the room which is made
 * ahead is nothing. */
#define KEYS_A_VICTIM 512u
/* Remembered keys for a hundred keys that fit. */
#define GHOST_PERCENT 90u
/* Hashes on their way to the remembered ones are at most such a part of them. */
#define GONE_SHARE 256u
/* After such a part of the keys has been evicted, they are counted again. */
#define SURVEYS_A_PASS 256u
/* What things cost, in units. */
#define COST_CHUNK 1
#define COST_SLOT 4
#define COST_BUCKET 1
#define COST_KEY 1
#define COST_VICTIM 30
/* What may be spent beyond a budget to end with something. */
#define UNITS_OF_GRACE 2000

/* Keys passed in searches that count towards those which clocks will ask for: more than they ask
 * for at once, and few beside all of them: so many, and such a part. */
#define PASSED_AHEAD 4096
#define PASSED_SHARE 16u

/* Keys in a line, about. */
#define KEYS_A_LINE 4u
/* Lines of keys that will go which are asked for together, and of one of them. */
#define FETCH_MAX 24u
#define FETCH_EACH 3u
/* From so many keys on, what a steady policy says of each byte is kept for some searches: as many
 * as take one in so many keys. */
#define KEYS_JUDGED 4096u
#define BYTES 256u

/* Keys passed in search of one that is ripe; or, with `wanted` 0, only to look after bytes. */
typedef struct search {
    uint32_t part;     /* from which */
    uint32_t wanted;   /* so many of them */
    uint32_t looks;    /* LOOKS, as the effort and the part have it */
    int32_t fall;      /* what the threshold comes down by with each key passed */
    uint32_t passed;   /* since the last ripe one of that part */
    uint32_t unripe;   /* passed, for which thresholds have not come down yet */
    uint32_t chunks;   /* begun */
    uint32_t place;    /* where it is */
    int64_t units;     /* left */
    shoal_ripe ripest; /* of the part, below its threshold; rank 0: none was seen */
    /* What is to be fetched of keys that will go soon: their items, and the hot lines of their
     * places. One behind the other, so that they wait for translations of addresses together. */
    uint32_t fetch_count;
    const void *fetch[FETCH_MAX];
} search;

/* ---- the bytes of keys ---- */

void shoal_evict__count(shoal_thread *thread, uint8_t byte, int64_t change)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(change == 1 || change == -1);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_evictor *evictor = &thread->evictor;
    if (LIKELY(evictor->policy->part == NULL) || (byte & evictor->exempt) != 0) return;
    if (evictor->policy->part(&evictor->view, byte) == 0) return;
    shoal_bump_relaxed(&thread->counters.keys_part, change);
    if (change > 0 || evictor->view.part_keys > 0) evictor->view.part_keys += (uint32_t)change;
}

void shoal_evict__foresee(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    shoal_ghost *ghost = shoal_load_acquire(&store->evict.ghost); /* pair: evict.ghost */
    if (ghost != NULL) shoal_ghost__prefetch(ghost, shoal_prng_mix(key->hash + key->place));
}

uint8_t shoal_evict__arrive(shoal_thread *thread, const shoal_key *key, int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_evictor *evictor = &thread->evictor;
    if (evictor->exempt != 0 && expires_ms < 0) return SHOAL_POLICY_EXEMPT;
    shoal_arrival arrival = {.expires_ms = expires_ms};
    if (evictor->policy->remembers) {
        shoal_ghost *ghost =
            shoal_load_acquire(&thread->store->evict.ghost); /* pair: evict.ghost */
        uint64_t hash = shoal_prng_mix(key->hash + key->place);
        arrival.remembered = ghost != NULL && shoal_ghost__take(ghost, hash);
    }
    uint8_t byte = evictor->policy->arrive(&evictor->view, arrival);
    SHOAL_ASSERT(byte < evictor->view.codes);
    shoal_evict__count(thread, byte, 1);
    return byte;
}

void shoal_evict__replace(shoal_thread *thread, const shoal_key *key, _Atomic uint8_t *age,
                          const shoal_item *before, const shoal_item *after)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_evictor *evictor = &thread->evictor;
    bool was_volatile = (before->head & ITEM_VOLATILE) != 0;
    bool is_volatile = (after->head & ITEM_VOLATILE) != 0;
    bool counted = evictor->used == key->hash;
    evictor->used = 0;
    if (evictor->policy->expiring || (evictor->exempt != 0 && was_volatile != is_volatile)) {
        shoal_evict__count(thread, shoal_load_relaxed(age), -1);
        uint8_t byte = shoal_evict__arrive(thread, key, shoal_item_expires_ms(after));
        shoal_store_relaxed(age, byte);
    } else if (!counted) {
        shoal_evict__use(evictor, age);
    }
}

/* The byte of a key that another policy has left behind: it has just arrived, as far as this one
 * can tell. */
static uint8_t adopt(shoal_evictor *evictor, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(evictor->policy != NULL);
    SHOAL_DEBUG_ASSERT(item != NULL);
    shoal_arrival arrival = {.expires_ms = shoal_item_expires_ms(item)};
    if (evictor->exempt != 0 && arrival.expires_ms < 0) return SHOAL_POLICY_EXEMPT;
    return evictor->policy->arrive(&evictor->view, arrival);
}

/* Writes the byte of a key that stays. */
static void rewrite(shoal_thread *thread, _Atomic uint8_t *age, uint8_t before, uint8_t after)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(after < thread->evictor.view.codes);
    if (after == before) return;
    shoal_store_relaxed(age, after);
    shoal_evict__count(thread, before, -1);
    shoal_evict__count(thread, after, 1);
}

/* ---- passing ---- */

static inline void set_threshold(shoal_evictor *evictor, uint32_t part, int32_t threshold)
{
    SHOAL_DEBUG_ASSERT(part < SHOAL_POLICY_PARTS);
    if (threshold < THRESHOLD_ONE) threshold = THRESHOLD_ONE;
    evictor->thresholds[part] = threshold;
    evictor->view.thresholds[part] = (uint32_t)threshold / THRESHOLD_ONE;
}

/* Moves the threshold of a part. */
static void steer(shoal_evictor *evictor, uint32_t part, int32_t by)
{
    SHOAL_DEBUG_ASSERT(evictor->policy != NULL);
    SHOAL_DEBUG_ASSERT(part < SHOAL_POLICY_PARTS);
    const int32_t most = (int32_t)SHOAL_RANK_MAX * THRESHOLD_ONE;
    int32_t threshold = evictor->thresholds[part] + by;
    set_threshold(evictor, part, threshold < most ? threshold : most);
}

/* The thresholds come down with `keys` that were passed, of parts that have not enough ripe
 * ones. */
static inline void relent(shoal_evictor *evictor, const search *at, uint32_t keys)
{
    SHOAL_DEBUG_ASSERT(evictor->policy != NULL);
    SHOAL_DEBUG_ASSERT(at->fall >= 0);
    uint32_t parts = evictor->policy->part == NULL ? 1 : SHOAL_POLICY_PARTS;
    int32_t by = at->fall * (int32_t)keys;
    for (uint32_t i = 0; i < parts; i++) {
        if (evictor->pools[i].count >= POOL_MAX / 2) continue;
        set_threshold(evictor, i, evictor->thresholds[i] - by);
    }
}

/* Takes note of a key that the policy has judged. True when its turn will come. */
static bool weigh(shoal_evictor *evictor, search *at, uint32_t part, shoal_ripe found)
{
    SHOAL_DEBUG_ASSERT(evictor->policy != NULL);
    SHOAL_DEBUG_ASSERT(at != NULL);
    SHOAL_DEBUG_ASSERT(part < SHOAL_POLICY_PARTS);
    shoal_pool *pool = &evictor->pools[part];
    at->passed++;
    relent(evictor, at, 1);
    if (found.rank < evictor->view.thresholds[part]) {
        if (part == at->part && found.rank > at->ripest.rank) at->ripest = found;
        return false;
    }
    /* It comes up again, but not above what is just as ripe. */
    int32_t up = (found.rank + 1) * THRESHOLD_ONE - 1 - evictor->thresholds[part];
    steer(evictor, part, up < THRESHOLD_STEP ? up : THRESHOLD_STEP);
    if (part == at->part) at->passed = 0;
    if (pool->count == POOL_MAX) return false;
    pool->list[(pool->first + pool->count++) % POOL_MAX] = found;
    return true;
}

/* Keeps what the policy says of each byte, for a while. */
static void judge_all(shoal_evictor *evictor)
{
    SHOAL_DEBUG_ASSERT(evictor->policy->steady);
    SHOAL_DEBUG_ASSERT(evictor->view.codes <= BYTES);
    const shoal_policy *policy = evictor->policy;
    for (uint32_t i = 0; i < BYTES; i++) {
        evictor->judged[0][i] = evictor->judged[1][i] = 0;
        if (i >= evictor->view.codes) continue;
        shoal_verdict verdict = policy->judge(&evictor->view, (uint8_t)i);
        uint32_t part = policy->part == NULL ? 0 : policy->part(&evictor->view, (uint8_t)i);
        /* What the hand has to write, it looks at. */
        evictor->judged[part][i] = verdict.byte == i ? verdict.rank : SHOAL_RANK_MAX;
    }
    evictor->judged_left = evictor->view.keys / KEYS_JUDGED;
}

/* Asks for the lines that have been put aside. */
static void fetch(search *at)
{
    SHOAL_DEBUG_ASSERT(at != NULL);
    SHOAL_DEBUG_ASSERT(at->fetch_count <= FETCH_MAX);
    for (uint32_t i = 0; i < at->fetch_count; i++) __builtin_prefetch(at->fetch[i]);
    at->fetch_count = 0;
}

/* Passes one entry. */
static void pass_entry(shoal_thread *thread, search *at, const shoal_stretch *stretch,
                       _Atomic uint8_t *age, uint64_t entry)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_evictor *evictor = &thread->evictor;
    SHOAL_DEBUG_ASSERT(shoal_entry__is_item(entry));
    uint8_t byte = shoal_load_relaxed(age);
    if (UNLIKELY(evictor->hand.foreign)) {
        byte = adopt(evictor, shoal_entry__pointer(entry));
        shoal_store_relaxed(age, byte);
        shoal_evict__count(thread, byte, 1);
    }
    if ((byte & evictor->exempt) != 0) return;
    shoal_verdict verdict = evictor->policy->judge(&evictor->view, byte);
    rewrite(thread, age, byte, verdict.byte);
    if (at->wanted == 0) return;
    uint32_t part = evictor->policy->part == NULL ? 0 : evictor->policy->part(&evictor->view, byte);
    uint64_t position = stretch->base + (shoal_entry__tag(entry) << stretch->tag_shift);
    bool ripe = weigh(evictor, at, part,
                      (shoal_ripe){.position = position,
                                   .place = at->place,
                                   .byte = verdict.byte,
                                   .rank = verdict.rank,
                                   .spare = verdict.spare,
                                   .remember = verdict.remember});
    if (!ripe || verdict.spare) return;
    /* Its turn comes soon. Its end is not read, but written by whoever gets its memory next. */
    const char *item = shoal_entry__pointer(entry);
    at->fetch[at->fetch_count++] = item;
    at->fetch[at->fetch_count++] = item + SHOAL_ALIGN_LINE;
    at->fetch[at->fetch_count++] = shoal_store__hot(thread->store, at->place);
    if (at->fetch_count + FETCH_EACH > FETCH_MAX) fetch(at);
}

/* The rank in a part from which on a key is looked at: it is ripe, or the ripest so far, or its
 * byte is to be written. 0: all are, for it is not known what the policy says of a byte. */
static uint8_t line_of(const shoal_evictor *evictor, const search *at, uint32_t part)
{
    SHOAL_DEBUG_ASSERT(part < SHOAL_POLICY_PARTS);
    SHOAL_DEBUG_ASSERT(evictor->view.thresholds[part] <= SHOAL_RANK_MAX);
    if (evictor->judged_left == 0 || evictor->hand.foreign) return 0;
    if (at->wanted == 0) return SHOAL_RANK_MAX;
    uint32_t line = evictor->view.thresholds[part];
    bool ripest = part == at->part && at->ripest.rank < line;
    return (uint8_t)(ripest ? at->ripest.rank + 1u : line);
}

/* Entries of a bucket whose byte is at a line or above, a bit each. */
static inline uint32_t reaching(const shoal_bucket *bucket, const uint8_t ranks[BYTES],
                                uint8_t line)
{
    uint32_t bits = 0;
#pragma GCC unroll 7
    for (uint32_t i = BUCKET_ENTRIES; i-- > 0;)
        bits += bits + (ranks[shoal_load_relaxed(&bucket->ages[i])] >= line);
    return bits;
}

/* Entries of a bucket that are keys, a bit each. Only the last can be a chain. */
static inline uint32_t keys_of(const shoal_bucket *bucket, uint64_t last)
{
    uint32_t bits = shoal_entry__is_item(last);
#pragma GCC unroll 6
    for (uint32_t i = BUCKET_ENTRIES - 1; i-- > 0;)
        bits += bits + (shoal_load_relaxed(&bucket->entries[i]) != 0);
    return bits;
}

/* Entries of a bucket that the policy is not to take, a bit each. */
static uint32_t exempt_of(const shoal_bucket *bucket)
{
    uint32_t bits = 0;
    for (uint32_t i = BUCKET_ENTRIES; i-- > 0;)
        bits += bits + ((shoal_load_relaxed(&bucket->ages[i]) & SHOAL_POLICY_EXEMPT) != 0);
    return bits;
}

/* How many of seven bits are set. */
static inline uint32_t count_bits(uint32_t bits)
{
    bits -= bits >> 1 & 0x55;
    bits = (bits & 0x33) + (bits >> 2 & 0x33);
    return (bits + (bits >> 4)) & 15;
}

/* Passes a bucket; returns its last entry. Most keys are of no interest, and which of the entries
 * are keys at all nobody can foresee: what each of them is, is told without a branch. */
static uint64_t pass_bucket(shoal_thread *thread, search *at, const shoal_stretch *stretch,
                            shoal_bucket *bucket)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    const shoal_evictor *evictor = &thread->evictor;
    /* pair: bucket.entry */
    uint64_t last = shoal_load_acquire(&bucket->entries[BUCKET_ENTRIES - 1]);
    uint32_t keys = keys_of(bucket, last);
    uint32_t keen = reaching(bucket, evictor->judged[0], line_of(evictor, at, 0));
    if (evictor->policy->part != NULL)
        keen |= reaching(bucket, evictor->judged[1], line_of(evictor, at, 1));
    at->units -= COST_BUCKET + COST_KEY * (int64_t)count_bits(keys);
    keen &= keys;
    uint32_t dull = keys & ~keen;
    if (UNLIKELY(evictor->exempt != 0)) dull &= ~exempt_of(bucket);
    at->unripe += count_bits(dull);
    for (; keen != 0; keen &= keen - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(keen);
        uint64_t entry = shoal_load_acquire(&bucket->entries[i]); /* pair: bucket.entry */
        if (LIKELY(shoal_entry__is_item(entry)))
            pass_entry(thread, at, stretch, &bucket->ages[i], entry);
    }
    return last;
}

/* Passes the chain of a home bucket. */
static void pass_chain(shoal_thread *thread, search *at, const shoal_stretch *stretch)
{
    SHOAL_DEBUG_ASSERT(stretch->bucket != NULL);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(at->place) < thread->store->database_count);
    for (shoal_bucket *bucket = stretch->bucket; bucket != NULL;) {
        uint64_t last = pass_bucket(thread, at, stretch, bucket);
        bucket = shoal_entry__is_chain(last) ? shoal_entry__pointer(last) : NULL;
    }
    if (at->wanted > 0 && at->unripe > 0) relent(&thread->evictor, at, at->unripe);
    at->passed += at->unripe;
    at->unripe = 0;
}

/* True when the search is over: it has what it wanted, or may go on no longer. */
static bool is_over(const shoal_evictor *evictor, const search *at)
{
    SHOAL_DEBUG_ASSERT(evictor->policy != NULL);
    SHOAL_DEBUG_ASSERT(at != NULL);
    if (at->units <= 0) return true;
    if (at->wanted == 0) return false;
    uint32_t count = evictor->pools[at->part].count;
    if (count >= at->wanted) return true;
    uint32_t patience = at->looks * PATIENCE;
    uint32_t most = evictor->view.keys < patience ? evictor->view.keys : patience;
    return count == 0 && at->ripest.rank > 0 && at->passed >= most;
}

/* Passes home buckets of a slot, from where the hand is to the end of their leaf, or of the search.
 * What becomes of the leaf meanwhile is no matter (V1). */
static void pass_leaf(shoal_thread *thread, search *at, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_hand *hand = &thread->evictor.hand;
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(thread->store, place));
    shoal_stretch stretch = shoal_walk__stretch(word, hand->position);
    at->units -= COST_SLOT;
    hand->position = stretch.end;
    at->place = place;
    if (UNLIKELY(thread->evictor.careful) &&
        shoal_load_relaxed(&shoal_store__hot(thread->store, place)->gate) != 0) {
        hand->position = POSITION_END;
        return;
    }
    if (stretch.bucket == NULL) return;
    uint32_t index = stretch.index;
    do {
        if (UNLIKELY(index + LINES_AHEAD < stretch.buckets))
            __builtin_prefetch(stretch.bucket + LINES_AHEAD);
        pass_chain(thread, at, &stretch);
        stretch.bucket++;
    } while (++index < stretch.buckets && !is_over(&thread->evictor, at));
    uint64_t tag = shoal_tag__first(index, stretch.buckets);
    hand->position = stretch.base + (tag << stretch.tag_shift);
}

/* Takes the next chunk. False when as many have been taken as there are: nothing more will come. */
static bool take_chunk(shoal_thread *thread, search *at)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_store *store = thread->store;
    shoal_hand *hand = &thread->evictor.hand;
    uint32_t chunks = store->database_count * MAP_WORDS;
    if (at->chunks++ > chunks) return false;
    uint32_t chunk = shoal_add_relaxed(&store->evict.chunk_next, 1) % chunks;
    const shoal_db *db = store->databases[chunk / MAP_WORDS];
    hand->chunk = chunk;
    hand->position = 0;
    hand->pending = shoal_load_relaxed(&db->used[chunk % MAP_WORDS]);
    hand->unasked = hand->pending;
    hand->asked = 0;
    hand->foreign = false;
    at->units -= COST_CHUNK;
    uint32_t foreign = shoal_load_relaxed(&store->evict.chunks_foreign);
    if (foreign > 0 && shoal_cas_relaxed(&store->evict.chunks_foreign, &foreign, foreign - 1))
        hand->foreign = true;
    return true;
}

/* Passes keys until the search is over. */
static void pass(shoal_thread *thread, search *at)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_hand *hand = &thread->evictor.hand;
    shoal_evictor *evictor = &thread->evictor;
    if (evictor->judged_left > 0) evictor->judged_left--;
    if (evictor->judged_left == 0 && evictor->policy->steady && evictor->view.keys >= KEYS_JUDGED)
        judge_all(evictor);
    while (!is_over(&thread->evictor, at)) {
        if (hand->pending == 0) {
            if (!take_chunk(thread, at)) return;
            continue;
        }
        uint32_t slot = hand->chunk % MAP_WORDS * 64 + (uint32_t)__builtin_ctzll(hand->pending);
        if (hand->position == 0) shoal_scout__next(thread);
        pass_leaf(thread, at, SHOAL_PLACE(hand->chunk / MAP_WORDS, slot));
        if (hand->position < POSITION_END) continue;
        hand->position = 0;
        hand->pending &= hand->pending - 1;
    }
}

int64_t shoal_evict__pass(shoal_thread *thread, int64_t units)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    search at = {.units = units, .looks = 1};
    pass(thread, &at);
    return at.units;
}

/* ---- evicting ---- */

/* Puts a table for so many keys in the place of the one there is. */
static void renew_ghost(shoal_thread *thread, uint32_t keys)
{
    shoal_store *store = thread->store;
    size_t size = shoal_ghost__size(keys);
    if (!shoal_limbo__reserve(thread, 1)) return;
    shoal_ghost *fresh = shoal_table__take(thread, size);
    if (fresh == NULL) return;
    shoal_ghost__init(fresh, keys);
    shoal_ghost *before = shoal_load_acquire(&store->evict.ghost); /* pair: evict.ghost */
    /* pair: evict.ghost */
    while (!shoal_cas_acq_rel(&store->evict.ghost, &before, fresh)) continue;
    if (before == NULL) return;
    uint64_t bytes = shoal_store__usable(store, shoal_ghost__size(before->keys), SHOAL_ALIGN_LINE);
    shoal_limbo__retire(thread, CORPSE_GHOST, (uint64_t)(uintptr_t)before, bytes);
}

/* Sees to it that those that have gone lately are remembered, as many as the policy needs: when
 * that takes a table that is much larger than the one there is, room for it is claimed first, and
 * the table made when eviction has made that room. */
static void tend_ghost(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_evict_shared *shared = &thread->store->evict;
    if (LIKELY(!thread->evictor.policy->remembers)) return;
    uint64_t wanted = (uint64_t)thread->evictor.view.capacity * GHOST_PERCENT / 100;
    uint32_t keys = wanted > 0 ? (uint32_t)wanted : 1;
    const shoal_ghost *ghost = shoal_load_acquire(&shared->ghost); /* pair: evict.ghost */
    uint32_t claimed = shoal_limits__redeem(thread);
    if (claimed > 0) {
        renew_ghost(thread, claimed);
    } else if (ghost == NULL || ghost->keys + ghost->keys / 2 < keys) {
        shoal_limits__claim(thread->store, keys);
    }
}

/* Remembers a key that has gone: with those behind it, when its line has come, if that is a small
 * part of what is remembered. */
static void note_gone(shoal_evictor *evictor, shoal_ghost *ghost, uint64_t hash)
{
    SHOAL_DEBUG_ASSERT(ghost != NULL);
    SHOAL_DEBUG_ASSERT(evictor->policy->remembers);
    if (ghost->keys < GONE_SHARE * GONE_MAX) {
        shoal_ghost__add(ghost, hash);
        return;
    }
    uint64_t *place = &evictor->gone[evictor->gone_next++ % GONE_MAX];
    shoal_ghost__prefetch(ghost, hash);
    if (*place != 0) shoal_ghost__add(ghost, *place);
    *place = hash;
}

/* An entry where the hand has seen it, without its gate. */
typedef struct sighting {
    uint64_t entry;       /* 0: there is none */
    _Atomic uint8_t *age; /* its byte */
    shoal_bucket *home, *bucket;
    const shoal_bucket *leaf; /* where its home bucket was then */
    uint32_t index;
} sighting;

/* True when the item of a sighting is still there, and where. Under its gate: what stands in the
 * home bucket of a leaf that is still the slot's has not moved. */
static bool is_there(const sighting *seen, const shoal_key *key, shoal_found *found)
{
    SHOAL_DEBUG_ASSERT(shoal_entry__is_item(seen->entry));
    SHOAL_DEBUG_ASSERT(seen->index < BUCKET_ENTRIES);
    const shoal_item *item = shoal_entry__pointer(seen->entry);
    if (seen->bucket != seen->home || shoal_word__pointer(found->leaf.word) != seen->leaf)
        return shoal_table__locate(&found->leaf, key, &found->spot) == item;
    bool there = shoal_load_relaxed(&seen->bucket->entries[seen->index]) == seen->entry;
    SHOAL_DEBUG_ASSERT(there == (shoal_table__locate(&found->leaf, key, &found->spot) == item));
    found->spot = (shoal_spot){seen->home, NULL, seen->bucket, seen->index};
    return there;
}

/* Evicts the key that was seen, if it is still there and may go. */
static bool evict(shoal_thread *thread, uint32_t place, const sighting *seen, bool remember)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(seen->entry != 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    if (!shoal_limbo__reserve(thread, 1)) return false;
    /* pair: evict.ghost */
    shoal_ghost *ghost = remember ? shoal_load_acquire(&thread->store->evict.ghost) : NULL;
    if (!shoal_gate__take(thread, place)) {
        thread->evictor.careful = true;
        return false;
    }
    const shoal_item *item = shoal_entry__pointer(seen->entry);
    shoal_slice name = shoal_item_name(item);
    shoal_key key = {name, shoal_hash(name, thread->store->seed), place};
    shoal_found found = {.leaf = shoal_table__leaf(thread->store, &key)};
    bool there = is_there(seen, &key, &found);
    bool may_go = thread->evictor.exempt == 0 || (item->head & ITEM_VOLATILE) != 0;
    if (there && may_go) {
        bool expired = shoal_item__is_expired(item, thread->now_ms);
        shoal_change change = expired ? SHOAL_CHANGE_EXPIRED : SHOAL_CHANGE_EVICTED;
        shoal_store__drop(thread, &key, &found, change);
        if (ghost != NULL && !expired)
            note_gone(&thread->evictor, ghost, shoal_prng_mix(key.hash + key.place));
    } else if (there) {
        shoal_store_relaxed(&found.spot.bucket->ages[found.spot.index], SHOAL_POLICY_EXEMPT);
    }
    shoal_gate__release(thread, place);
    return there && may_go;
}

/* The entry that was found ripe. Another key may have come into its place: then that is looked at
 * instead. */
static sighting find_again(const shoal_thread *thread, shoal_ripe ripe)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(ripe.position < POSITION_END);
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(thread->store, ripe.place));
    shoal_stretch stretch = shoal_walk__stretch(word, ripe.position);
    uint64_t tag = (ripe.position - stretch.base) >> stretch.tag_shift;
    for (shoal_bucket *bucket = stretch.bucket; bucket != NULL;) {
        uint64_t entry = 0;
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            entry = shoal_load_acquire(&bucket->entries[i]); /* pair: bucket.entry */
            if (!shoal_entry__matches(entry, tag)) continue;
            return (sighting){
                entry, &bucket->ages[i], stretch.bucket, bucket, stretch.bucket - stretch.index, i};
        }
        bucket = shoal_entry__is_chain(entry) ? shoal_entry__pointer(entry) : NULL;
    }
    return (sighting){0};
}

/* Does to a ripe key what its turn is: true when it was evicted. What was used since it was found
 * may not be ripe any more. */
static bool take(shoal_thread *thread, shoal_ripe ripe, bool spares_none)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_evictor *evictor = &thread->evictor;
    const sighting seen = find_again(thread, ripe);
    if (seen.entry == 0) return false;
    uint8_t byte = shoal_load_relaxed(seen.age);
    if ((byte & evictor->exempt) != 0) return false;
    const shoal_policy *policy = evictor->policy;
    if (byte != ripe.byte) {
        shoal_verdict verdict = policy->judge(&evictor->view, byte);
        uint32_t part = policy->part == NULL ? 0 : policy->part(&evictor->view, byte);
        if (verdict.rank < evictor->view.thresholds[part]) return false;
        ripe.spare = verdict.spare;
        ripe.remember = verdict.remember;
    }
    if (!ripe.spare || spares_none) return evict(thread, ripe.place, &seen, ripe.remember);
    rewrite(thread, seen.age, byte, evictor->policy->spare(&evictor->view, byte));
    return false;
}

/* None has been ripe for long: the threshold comes down. All the way to the ripest where that is
 * the ripest of all, or nothing is known yet; else a bit, for the keys in this neighbourhood may be
 * young only because the hand has spared them together. The ripest is taken as ripe. */
static void lower(shoal_thread *thread, search *at)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(at->wanted > 0);
    shoal_evictor *evictor = &thread->evictor;
    int32_t by = at->ripest.rank * THRESHOLD_ONE - evictor->thresholds[at->part];
    bool first = evictor->view.thresholds[at->part] == SHOAL_RANK_MAX;
    if (!first && at->passed < evictor->view.keys && by < -LOWER_MAX) by = -LOWER_MAX;
    steer(evictor, at->part, by);
    shoal_pool *pool = &evictor->pools[at->part];
    SHOAL_ASSERT(pool->count == 0);
    pool->list[(pool->first + pool->count++) % POOL_MAX] = at->ripest;
}

/* Keys passed for one of a part that goes. Where the policy has parts it is the keys of that part
 * that count: all of them are passed while some part of them goes, which tells how far from its
 * turn a key may go. So a large part needs fewer, which is worth it where keys are many. */
static uint32_t looks_for(const shoal_thread *thread, uint32_t part)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(part < SHOAL_POLICY_PARTS);
    const shoal_evictor *evictor = &thread->evictor;
    const shoal_policy_view *view = &evictor->view;
    uint32_t effort = shoal_load_relaxed(&thread->store->evict.effort);
    uint32_t each = evictor->policy->looks > 0 ? evictor->policy->looks : LOOKS_PER_EFFORT;
    uint32_t looks = effort * each;
    if (evictor->policy->part != NULL && view->keys >= KEYS_JUDGED) {
        uint64_t of_one = view->part_keys < view->keys ? view->part_keys : view->keys;
        uint64_t those = part == 1 ? of_one : view->keys - of_one;
        uint64_t enough = (uint64_t)looks * view->keys / PART_SHARE / (those + 1);
        if (enough < effort * LOOKS_LEAST) enough = effort * LOOKS_LEAST;
        if (enough < looks) looks = (uint32_t)enough;
    }
    uint32_t more = FEW_KEYS * FEW_KEYS / (view->keys + 1);
    return looks > more ? looks : more;
}

/* Passes keys until some of a part are ripe. False when there is none. */
static bool look_for(shoal_thread *thread, uint32_t part, int64_t *units)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_evictor *evictor = &thread->evictor;
    uint32_t many = evictor->view.keys / KEYS_A_VICTIM;
    int64_t grace = *units > 0 ? *units : UNITS_OF_GRACE;
    search at = {.part = part, .units = grace};
    at.looks = looks_for(thread, part);
    at.fall = THRESHOLD_STEP / (int32_t)at.looks;
    evictor->lines_a_victim = at.looks / KEYS_A_LINE + 1;
    at.wanted = many == 0 ? 1 : many < POOL_MAX / 2 ? many : POOL_MAX / 2;
    pass(thread, &at);
    fetch(&at);
    int64_t spent = grace - at.units;
    int64_t ahead = evictor->view.keys / PASSED_SHARE;
    if (ahead > PASSED_AHEAD) ahead = PASSED_AHEAD;
    evictor->owed = evictor->owed - spent > -ahead ? evictor->owed - spent : -ahead;
    *units -= spent;
    if (evictor->pools[part].count == 0 && at.ripest.rank > 0) lower(thread, &at);
    return evictor->pools[part].count > 0;
}

/* The next ripe key, of the part whose turn it is if that has any. False when there is none. */
static bool next_ripe(shoal_thread *thread, int64_t *units, shoal_ripe *ripe)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_evictor *evictor = &thread->evictor;
    const shoal_policy *policy = evictor->policy;
    uint32_t part = policy->next == NULL ? 0 : policy->next(&evictor->view);
    SHOAL_ASSERT(part < SHOAL_POLICY_PARTS);
    if (evictor->pools[part].count == 0 && !look_for(thread, part, units)) {
        if (policy->next == NULL) return false;
        part = 1 - part;
        if (evictor->pools[part].count == 0 && !look_for(thread, part, units)) return false;
    }
    shoal_pool *pool = &evictor->pools[part];
    *ripe = pool->list[pool->first];
    pool->first = (pool->first + 1) % POOL_MAX;
    pool->count--;
    return true;
}

/* As shoal_evict__one, when nothing can come in between. Who was to be spared goes when there is no
 * time left to find another. */
static bool evict_one(shoal_thread *thread, int64_t *units)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(thread->draining);
    shoal_ripe ripe;
    while (next_ripe(thread, units, &ripe)) {
        *units -= COST_VICTIM;
        shoal_scout__on(thread);
        if (take(thread, ripe, *units <= 0)) return true;
        if (shoal_clock__is_due(&thread->evictor)) shoal_clock__flush(thread);
        if (*units <= -UNITS_OF_GRACE) return false;
    }
    return false;
}

bool shoal_evict__one(shoal_thread *thread, int64_t *units)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->evictor.policy->evicts);
    /* What was handed over to the gates that are let go here runs later: we may be inside another
     * operation. */
    bool draining = thread->draining;
    thread->draining = true;
    thread->evictor.careful = false;
    bool evicted = evict_one(thread, units);
    thread->draining = draining;
    if (evicted && !thread->evictor.view.full)
        shoal_store_relaxed(&thread->store->evict.full, true);
    if (++thread->evictor.unsurveyed > thread->evictor.view.keys / SURVEYS_A_PASS) {
        thread->evictor.unsurveyed = 0;
        shoal_clock__survey(thread);
        tend_ghost(thread);
    }
    if (shoal_clock__is_due(&thread->evictor)) shoal_clock__flush(thread);
    return evicted;
}

void shoal_evict__clear(shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    SHOAL_ASSERT(store->threads != NULL);
    shoal_ghost *ghost = shoal_load_acquire(&store->evict.ghost); /* pair: evict.ghost */
    if (ghost == NULL) return;
    shoal_table__give(&store->threads[0], ghost, shoal_ghost__size(ghost->keys));
    shoal_store_relaxed(&store->evict.ghost, NULL);
}
