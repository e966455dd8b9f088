/* SPDX-License-Identifier: MIT
 *
 * store/expire.c - making expired items go. Reads treat them as absent at once; their memory comes
 * back when a write or the hand meets them. The hand goes through the buckets in memory order,
 * shared by all threads, and is told three times over what it may skip:
 *
 *   - the maps `expiring` and `dated` say which slots have items with a TTL, or hashes whose
 *     fields have deadlines, at all;
 *   - a slot's expires_min_ms says before when nothing in it expires;
 *   - a bucket's hint byte says the same for its chain, coarsely.
 *
 * A hint is a class (2 bits) and a unit number modulo 64 (6 bits); 0 is none. The classes have
 * units of 1 s, 16 s, 4 min and 70 min, of which a hint reaches 47 ahead: the further away, the
 * coarser, and never late by more than a unit of the first class (a code that would be 0 is made
 * 1). What is further away than 56 hours is looked at again then. A hint may lie 16 units back;
 * in a slot whose expires_min_ms has passed longer ago than that, hints only say that there is
 * something.
 *
 * The hand's rounds: threads take chunks of 64 slots from `sweep_next`, one after the other. Who
 * takes chunk 0 begins a round: he resets `sweep_due_ms`, and every slot looked at in the round
 * adds its earliest expiry to it, as does every put. The next round begins when that is due, but
 * not before the pause is over. The clock is an argument, work is counted, so a run is the same
 * each time.
 */
#include "store/internal.h"

#include "base/hash.h"

#define HINT_UNITS 64u
#define HINT_AHEAD 48
#define HINT_CLASSES 4u
/* How long ago a hint of the first class may lie: one unit less than its 16. */
#define HINT_BEHIND_MS 15360

/* Work units, about 15 ns each. */
#define UNITS_PER_US 64u
#define COST_CHUNK 1u
#define COST_SLOT 4u
#define COST_BUCKET 1u
#define COST_ITEM 8u
#define COST_DROP 16u
#define COST_FIELD 16u

/* From the beginning of one round to the next at least. */
#define ROUND_PAUSE_US 100000
/* When there is more to do. */
#define SOON_US 1000
/* Pieces of retired memory freed by one call, for each microsecond of its budget. */
#define PIECES_PER_US 8u
/* Expired items taken from one chain at a time. */
#define GATHER_MAX 32u
/* Fields of hashes dropped in one step at least, however little of a budget is left. */
#define FIELDS_MIN 16u

/* Bits that a class's unit has more than a millisecond: 1.024 s, 16 s, 262 s, 4194 s. */
static uint32_t class_shift(uint32_t class)
{
    SHOAL_DEBUG_ASSERT(class < HINT_CLASSES);
    return 10u + 4u * class;
}

uint8_t shoal_expire__hint(int64_t expires_ms, int64_t now_ms)
{
    SHOAL_DEBUG_ASSERT(now_ms >= 0);
    SHOAL_DEBUG_ASSERT(expires_ms >= 0);
    if (expires_ms < now_ms) expires_ms = now_ms;
    uint32_t class = 0;
    int64_t now_unit = now_ms >> class_shift(0);
    int64_t unit = expires_ms >> class_shift(0);
    while (unit - now_unit >= HINT_AHEAD && class < HINT_CLASSES - 1) {
        class ++;
        now_unit = now_ms >> class_shift(class);
        unit = expires_ms >> class_shift(class);
    }
    if (unit - now_unit >= HINT_AHEAD) unit = now_unit + HINT_AHEAD - 1;
    uint8_t hint = (uint8_t)(class * HINT_UNITS + (uint64_t)unit % HINT_UNITS);
    return hint == 0 ? 1 : hint;
}

int64_t shoal_expire__hint_time(uint8_t hint, int64_t now_ms)
{
    SHOAL_DEBUG_ASSERT(now_ms >= 0);
    SHOAL_ASSERT(hint != 0);
    uint32_t shift = class_shift(hint / HINT_UNITS);
    int64_t now_unit = now_ms >> shift;
    int64_t ahead = (int64_t)((hint - (uint64_t)now_unit) % HINT_UNITS);
    if (ahead >= HINT_AHEAD) ahead -= HINT_UNITS;
    return (now_unit + ahead) * ((int64_t)1 << shift);
}

uint8_t shoal_expire__hint_min(uint8_t a, uint8_t b, int64_t now_ms)
{
    SHOAL_DEBUG_ASSERT(now_ms >= 0);
    SHOAL_DEBUG_ASSERT(a != 0 || b != 0);
    if (a == 0) return b;
    if (b == 0) return a;
    int64_t time_a = shoal_expire__hint_time(a, now_ms);
    return time_a <= shoal_expire__hint_time(b, now_ms) ? a : b;
}

/* True when something in the place may expire. */
static bool may_expire(const shoal_store *store, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    return shoal_load_relaxed(&shoal_store__hot(store, place)->keys_volatile) > 0 ||
           shoal_dated__any(store, place);
}

/* Lets the hand know that something expires at `ms`. */
static void lower_due(shoal_store *store, int64_t ms)
{
    SHOAL_DEBUG_ASSERT(ms >= 0);
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    int64_t due = shoal_load_relaxed(&store->sweep_due_ms);
    while (ms < due) {
        if (shoal_cas_relaxed(&store->sweep_due_ms, &due, ms)) return;
    }
}

void shoal_expire__distrust(shoal_thread *thread, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&shoal_store__hot(thread->store, place)->gate) != 0);
    shoal_store_relaxed(&shoal_store__hot(thread->store, place)->expires_min_ms, 0);
    lower_due(thread->store, 0);
}

void shoal_store_reap(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    if (LIKELY(!thread->met_expired)) return;
    thread->met_expired = false;
    if (shoal_load_relaxed(&thread->store->keeps_expired)) return;
    if (!shoal_gate__take(thread, key->place)) return;
    (void)shoal_store_get_locked(thread, key);
    shoal_gate__release(thread, key->place);
}

void shoal_expire__note(shoal_thread *thread, uint32_t place, shoal_bucket *home,
                        int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT((uintptr_t)home % sizeof *home == 0);
    int64_t now_ms = thread->now_ms;
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    SHOAL_ASSERT(expires_ms >= 0);
    uint8_t hint = shoal_expire__hint(expires_ms, now_ms);
    home->hint = shoal_expire__hint_min(home->hint, hint, now_ms);
    /* A hint may be of an item long gone. Whatever it now says, the slot must not say later: how
     * long ago a slot was due is what tells whether its hints can be read. */
    int64_t due_ms = expires_ms;
    if (home->hint != hint) due_ms = shoal_expire__hint_time(home->hint, now_ms);
    bool first = !may_expire(thread->store, place);
    if (first || due_ms < shoal_load_relaxed(&hot->expires_min_ms)) {
        shoal_store_relaxed(&hot->expires_min_ms, due_ms);
    }
    lower_due(thread->store, due_ms);
}

/* ---- one bucket ---- */

/* Items of a chain whose time has come, or that of fields in them, and the earliest time of the
 * others. */
typedef struct gathering {
    const shoal_item *items[GATHER_MAX];
    const shoal_item *hashes[GATHER_MAX];
    uint32_t count, hash_count;
    uint32_t looked_at;
    int64_t earliest_ms;
} gathering;

static void gather_item(const shoal_item *item, int64_t now_ms, gathering *out)
{
    SHOAL_DEBUG_ASSERT(now_ms >= 0);
    SHOAL_DEBUG_ASSERT(out->count <= GATHER_MAX);
    int64_t expires_ms = shoal_item__parts(item).expires_ms;
    int64_t fields_ms = shoal_dated__deadline(item);
    out->looked_at++;
    if (expires_ms >= 0 && expires_ms <= now_ms && out->count < GATHER_MAX) {
        out->items[out->count++] = item;
        return;
    }
    if (expires_ms >= 0 && expires_ms < out->earliest_ms) out->earliest_ms = expires_ms;
    if (fields_ms < 0) return;
    if (fields_ms <= now_ms && out->hash_count < GATHER_MAX) {
        out->hashes[out->hash_count++] = item;
    } else if (fields_ms < out->earliest_ms) {
        out->earliest_ms = fields_ms;
    }
}

static void gather(const shoal_bucket *bucket, int64_t now_ms, gathering *out)
{
    SHOAL_DEBUG_ASSERT(now_ms >= 0);
    SHOAL_DEBUG_ASSERT(out->count == 0);
    while (bucket != NULL) {
        uint64_t entry = 0;
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            entry = shoal_load_relaxed(&bucket->entries[i]);
            if (shoal_entry__is_item(entry)) gather_item(shoal_entry__pointer(entry), now_ms, out);
        }
        bucket = shoal_entry__is_chain(entry) ? shoal_entry__pointer(entry) : NULL;
    }
}

/* Removes one item, which the gate keeps in its slot. */
static void drop(shoal_thread *thread, uint32_t place, const shoal_item *item, shoal_change change)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_slice name = shoal_item_name(item);
    shoal_key key = {name, shoal_hash(name, thread->store->seed), place};
    shoal_found found = {.leaf = shoal_table__leaf(thread->store, &key)};
    const shoal_item *located = shoal_table__locate(&found.leaf, &key, &found.spot);
    SHOAL_ASSERT(located == item);
    shoal_store__drop(thread, &key, &found, change);
}

/* Drops fields of the hashes that were gathered, for about `units`, which it takes from them. Those
 * hashes that have none left stay in the list, to be removed. */
static void drop_fields(shoal_thread *thread, uint32_t place, gathering *found, int64_t *units)
{
    SHOAL_DEBUG_ASSERT(found->hash_count <= GATHER_MAX);
    SHOAL_DEBUG_ASSERT(thread->account.bytes == 0);
    uint32_t empty = 0;
    uint32_t budget = *units > 0 ? (uint32_t)(*units / COST_FIELD) : 0;
    if (budget < FIELDS_MIN) budget = FIELDS_MIN;
    uint32_t before = budget;
    for (uint32_t i = 0; i < found->hash_count; i++) {
        const shoal_item *item = found->hashes[i];
        if (budget > 0 && !shoal_dated__expire(thread, place, item, &budget)) {
            found->hashes[empty++] = item;
            continue;
        }
        int64_t next_ms = shoal_dated__deadline(item);
        if (next_ms >= 0 && next_ms < found->earliest_ms) found->earliest_ms = next_ms;
        if (next_ms >= 0 && next_ms <= thread->now_ms) thread->sweep.stays = true;
    }
    found->hash_count = empty;
    *units -= (int64_t)(before - budget) * COST_FIELD;
}

/* Sweeps the chain of `home` for about `units` of work; returns what is left of them. */
static int64_t sweep_bucket(shoal_thread *thread, uint32_t place, shoal_bucket *home, int64_t units)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)home % sizeof *home == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->sweep.position < POSITION_END);
    int64_t now_ms = thread->now_ms;
    shoal_sweep *sweep = &thread->sweep;
    if (home->hint == 0) return units;
    int64_t due_ms = shoal_expire__hint_time(home->hint, now_ms);
    bool trusted = now_ms - sweep->due_ms <= HINT_BEHIND_MS;
    if (due_ms > now_ms && trusted) {
        if (due_ms < sweep->earliest_ms) sweep->earliest_ms = due_ms;
        return units;
    }
    gathering found = {.earliest_ms = INT64_MAX};
    gather(home, now_ms, &found);
    uint32_t changes = found.count + found.hash_count;
    if (changes > 0 && !shoal_limbo__reserve(thread, changes)) {
        /* What cannot be retired stays for another round. */
        found.count = found.hash_count = 0;
        found.earliest_ms = now_ms;
    }
    units -= (int64_t)found.looked_at * COST_ITEM + (int64_t)found.count * COST_DROP;
    drop_fields(thread, place, &found, &units);
    /* The hint first: what follows may rebuild the table, which carries it along. */
    bool none = found.earliest_ms == INT64_MAX;
    home->hint = none ? 0 : shoal_expire__hint(found.earliest_ms, now_ms);
    if (found.earliest_ms < sweep->earliest_ms) sweep->earliest_ms = found.earliest_ms;
    for (uint32_t i = 0; i < found.count; i++)
        drop(thread, place, found.items[i], SHOAL_CHANGE_EXPIRED);
    for (uint32_t i = 0; i < found.hash_count; i++)
        drop(thread, place, found.hashes[i], SHOAL_CHANGE_REMOVED);
    return units;
}

/* ---- one slot ---- */

/* Sweeps the slot from where the sweep is, under its gate, for at most `units`; returns what is
 * left of them. At the end of the slot `position` is 0. */
static int64_t sweep_slot(shoal_thread *thread, uint32_t place, int64_t units)
{
    SHOAL_DEBUG_ASSERT(thread->sweep.position < POSITION_END);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < thread->store->database_count);
    shoal_sweep *sweep = &thread->sweep;
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    if (sweep->position == 0 && !sweep->stays) {
        sweep->due_ms = shoal_load_relaxed(&hot->expires_min_ms);
        /* From here on expires_min_ms collects what is put behind the hand's back. */
        shoal_store_relaxed(&hot->expires_min_ms, INT64_MAX);
        sweep->earliest_ms = INT64_MAX;
    }
    /* One step at least: a position of 0 behind this means the end of the slot. */
    do {
        uint64_t word = shoal_load_relaxed(shoal_store__word(thread->store, place));
        shoal_stretch stretch = shoal_walk__stretch(word, sweep->position);
        units -= COST_BUCKET;
        sweep->stays = false;
        if (stretch.bucket != NULL) units = sweep_bucket(thread, place, stretch.bucket, units);
        if (sweep->stays) return 0;
        sweep->position = stretch.end;
    } while (units > 0 && sweep->position < POSITION_END);
    if (sweep->position < POSITION_END) return units;
    sweep->position = 0;
    if (sweep->earliest_ms < shoal_load_relaxed(&hot->expires_min_ms)) {
        shoal_store_relaxed(&hot->expires_min_ms, sweep->earliest_ms);
    }
    if (shoal_load_relaxed(&hot->expires_min_ms) == INT64_MAX)
        shoal_dated__mark(thread->store, place, false);
    return units;
}

/* ---- chunks and rounds ---- */

static uint32_t chunk_place(uint32_t chunk, uint32_t bit)
{
    SHOAL_DEBUG_ASSERT(bit < 64);
    SHOAL_DEBUG_ASSERT(chunk < SHOAL_DATABASES_MAX * MAP_WORDS);
    return SHOAL_PLACE(chunk / MAP_WORDS, chunk % MAP_WORDS * 64 + bit);
}

/* Begins a round by resetting what is due: true; puts from now on count for the next one. */
static bool begin_round(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->sweep.pending == 0);
    shoal_store *store = thread->store;
    if (shoal_load_relaxed(&store->sweep_due_ms) > thread->now_ms) return false;
    if (shoal_load_relaxed(&store->sweep_pause_us) > thread->now.mono_us) return false;
    int64_t due = shoal_exchange_acq_rel(&store->sweep_due_ms, INT64_MAX);
    uint32_t none = 0;
    if (!shoal_cas_relaxed(&store->sweep_next, &none, 1u)) {
        lower_due(store, due);
        return false;
    }
    shoal_store_relaxed(&store->sweep_pause_us, thread->now.mono_us + ROUND_PAUSE_US);
    return true;
}

/* Takes the next chunk of the round. False when there is none to take. */
static bool take_chunk(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->sweep.pending == 0);
    SHOAL_DEBUG_ASSERT(thread->sweep.position == 0);
    shoal_store *store = thread->store;
    uint32_t chunks = store->database_count * MAP_WORDS;
    uint32_t next = shoal_load_relaxed(&store->sweep_next);
    if (next == 0) {
        if (!begin_round(thread)) return false;
    } else {
        uint32_t after = next + 1 == chunks ? 0 : next + 1;
        if (!shoal_cas_relaxed(&store->sweep_next, &next, after)) return true;
    }
    const shoal_db *db = store->databases[next / MAP_WORDS];
    thread->sweep.chunk = next;
    thread->sweep.position = 0;
    thread->sweep.pending = shoal_load_relaxed(&db->expiring[next % MAP_WORDS]) |
                            shoal_load_relaxed(&db->dated[next % MAP_WORDS]);
    return true;
}

/* Looks at the lowest pending slot of the chunk. Returns what is left of `units`. */
static int64_t sweep_pending(shoal_thread *thread, int64_t units)
{
    SHOAL_DEBUG_ASSERT(thread->sweep.pending != 0);
    SHOAL_DEBUG_ASSERT(thread->sweep.position < POSITION_END);
    SHOAL_DEBUG_ASSERT(units > 0);
    shoal_sweep *sweep = &thread->sweep;
    uint32_t place = chunk_place(sweep->chunk, (uint32_t)__builtin_ctzll(sweep->pending));
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    units -= COST_SLOT;
    bool begun = sweep->position > 0 || sweep->stays;
    bool due = may_expire(thread->store, place) &&
               (begun || shoal_load_relaxed(&hot->expires_min_ms) <= thread->now_ms);
    if (due) {
        /* A gate that is held is left for later: the slot in the middle of a sweep stays pending,
         * another one is due in the next round. */
        if (!shoal_gate__take(thread, place)) {
            if (begun) return 0;
        } else {
            units = sweep_slot(thread, place, units);
            shoal_gate__release(thread, place);
        }
    }
    bool any = may_expire(thread->store, place);
    /* Where the last of them has gone, the hand need not see the rest of the slot. */
    if (!any) {
        sweep->position = 0;
        sweep->stays = false;
    }
    if (sweep->position > 0 || sweep->stays) return units;
    if (any) {
        lower_due(thread->store, shoal_load_relaxed(&hot->expires_min_ms));
    }
    sweep->pending &= sweep->pending - 1;
    return units;
}

/* Sweeps for `units` of work. */
static void sweep(shoal_thread *thread, int64_t units)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->now_ms >= 0);
    while (units > 0) {
        if (thread->sweep.pending == 0) {
            if (!take_chunk(thread)) return;
            units -= COST_CHUNK;
            continue;
        }
        units = sweep_pending(thread, units);
    }
}

/* How long until the hand has something to do. */
static int64_t sweep_wait(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->now.mono_us >= 0);
    SHOAL_DEBUG_ASSERT(thread->now.wall_us >= 0);
    const shoal_store *store = thread->store;
    if (!shoal_load_relaxed(&store->active_expire)) return INT64_MAX;
    if (shoal_load_relaxed(&store->keeps_expired)) return INT64_MAX;
    if (thread->sweep.pending != 0 || shoal_load_relaxed(&store->sweep_next) != 0) return SOON_US;
    int64_t due_ms = shoal_load_relaxed(&store->sweep_due_ms);
    if (due_ms == INT64_MAX) return INT64_MAX;
    int64_t wait_us = due_ms * 1000 - thread->now.wall_us;
    int64_t pause_us = shoal_load_relaxed(&store->sweep_pause_us) - thread->now.mono_us;
    if (wait_us < pause_us) wait_us = pause_us;
    return wait_us > SOON_US ? wait_us : SOON_US;
}

void shoal_store_reclaim(shoal_thread *thread, uint32_t budget_us)
{
    SHOAL_ASSERT(thread->stamp != 0);
    shoal_limbo__collect(thread, budget_us * PIECES_PER_US);
}

int64_t shoal_store_maintain(shoal_thread *thread, uint32_t budget_us)
{
    SHOAL_DEBUG_ASSERT(thread->now_ms >= 0);
    SHOAL_ASSERT(thread->stamp != 0);
    shoal_limbo__collect(thread, budget_us * PIECES_PER_US);
    if (shoal_load_relaxed(&thread->store->active_expire) &&
        !shoal_load_relaxed(&thread->store->keeps_expired)) {
        sweep(thread, (int64_t)budget_us * UNITS_PER_US);
    }
    bool presses = shoal_limits__maintain(thread, (int64_t)budget_us * EVICT_UNITS_PER_US);
    int64_t wait_us = sweep_wait(thread);
    int64_t own_us = shoal_own__step(thread);
    if (wait_us > own_us) wait_us = own_us;
    int64_t defrag_us = shoal_defrag__step(thread);
    if (wait_us > defrag_us) wait_us = defrag_us;
    if (presses || shoal_limbo__waits(thread)) return wait_us > SOON_US ? SOON_US : wait_us;
    /* A pause: what is at hand for the next batch goes back, and what others have given. */
    shoal_limbo__rest(thread);
    shoal_slab_tidy(&thread->slab);
    return wait_us;
}

bool shoal_thread_lends(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    return !thread->alone && thread->slab.pages > 0;
}

bool shoal_store_active_expire(const shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    return shoal_load_relaxed(&store->active_expire);
}

void shoal_store_set_active_expire(shoal_store *store, bool on)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    shoal_store_relaxed(&store->active_expire, on);
}
