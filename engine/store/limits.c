/* SPDX-License-Identifier: MIT
 *
 * store/limits.c - how the limits on bytes and keys are held while many threads write. What counts
 * is resident data: what is retired and waits to be freed is no reason to evict anything. Each
 * thread knows what it has added itself, less what it has removed, and has an allowance for that;
 * the sum of the allowances never exceeds the limit by more than SPARE. So a write costs one
 * comparison; only who has used up his allowance looks at the shared sum, and takes a small piece
 * more, or, when there is none, makes room by evicting. What that frees is his own to use again: in
 * the long run nobody touches the shared sum.
 *
 * Claims:
 *   L1  A thread's allowance grows only by as much as it adds to `promised`, by a compare-and-swap
 *       that sees the sum stay within the limit (or the limit and SPARE). So the sum of the
 *       allowances is `promised`, whoever writes at the same time.
 *   L2  What a thread holds exceeds its allowance only by what a change adds that it did not
 *   foresee:
 *       tables and objects that grow, at most some 16 KiB and what the command brought. The next
 *       change of that thread begins with making up for it.
 *   L3  A limit may be lowered below what is there. Then every write of data frees more than it
 *   adds,
 *       and the background goes on by itself, until the sum is within the limit.
 *   L4  Room is made by steps of bounded work, in proportion to what is needed. Nobody waits for
 *       another thread; a gate that is held is passed over.
 */
#include "store/internal.h"

/* A thread takes such a part of what is left of a limit at once, and at most so much. */
#define PIECE_SHARE 8
static const int64_t piece_max[MEASURES] = {[MEASURE_BYTES] = 64 << 10, [MEASURE_KEYS] = 64};
/* What may be granted above the limit: a hundredth, or at least a mebibyte. Of keys, none. */
#define SPARE_SHARE 100
#define SPARE_MIN ((int64_t)1 << 20)
/* A batch ends with freeing what it can when such a part of the limit waits for that. */
#define TIGHT_SHARE 256
/* Bytes needed for which a step may cost a unit more. */
#define BYTES_A_UNIT 4
/* As nobody has set it: microseconds of a step, and looks. */
#define STEP_US 50u
#define EFFORT 5u
/* maxmemory-samples beyond this changes nothing. */
#define EFFORT_MAX 64u

int64_t shoal_limits__measure(const shoal_thread *thread, shoal_measure measure)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(measure < MEASURES);
    if (measure == MEASURE_KEYS) return thread->evictor.keys;
    return shoal_load_relaxed(&thread->counters.bytes) -
           shoal_load_relaxed(&thread->counters.bytes_limbo) +
           shoal_load_relaxed(&thread->counters.bytes_charged);
}

bool shoal_limits__is_tight(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    int64_t limit = shoal_load_relaxed(&thread->store->evict.limits[MEASURE_BYTES]);
    return shoal_load_relaxed(&thread->counters.bytes_limbo) > limit / TIGHT_SHARE;
}

/* ---- settings ---- */

shoal_limits shoal_limits_default(void)
{
    return (shoal_limits){.policy = &shoal_policy_none,
                          .effort = EFFORT,
                          .step_us = STEP_US,
                          .lfu_log_factor = 10,
                          .lfu_decay_minutes = 1};
}

static int64_t limit_of(uint64_t set)
{
    return set == 0 || set > INT64_MAX ? INT64_MAX : (int64_t)set;
}

void shoal_store_set_limits(shoal_store *store, const shoal_limits *limits)
{
    SHOAL_ASSERT(limits->policy != NULL);
    SHOAL_ASSERT(limits->policy->arrive != NULL && limits->policy->use != NULL);
    SHOAL_ASSERT(limits->policy->judge != NULL && limits->policy->pace != NULL);
    shoal_evict_shared *shared = &store->evict;
    const shoal_policy *before = shoal_load_relaxed(&shared->policy);
    uint32_t effort = limits->effort < EFFORT_MAX ? limits->effort : EFFORT_MAX;
    shoal_store_relaxed(&shared->limits[MEASURE_BYTES], limit_of(limits->bytes));
    shoal_store_relaxed(&shared->limits[MEASURE_KEYS], limit_of(limits->keys));
    shoal_store_relaxed(&shared->effort, effort > 0 ? effort : 1);
    shoal_store_relaxed(&shared->step_us, limits->step_us);
    shoal_store_relaxed(&shared->lfu_log_factor, limits->lfu_log_factor);
    shoal_store_relaxed(&shared->lfu_decay_minutes, limits->lfu_decay_minutes);
    if (limits->policy != before) {
        shoal_store_relaxed(&shared->policy, limits->policy);
        for (uint32_t i = 0; i < SHOAL_POLICY_CLOCKS; i++) {
            shoal_store_relaxed(&shared->interval[i], 1);
            shoal_store_relaxed(&shared->due[i], 0);
        }
        int64_t due_us = limits->policy->timed ? 0 : INT64_MAX;
        shoal_store_relaxed(&shared->tick_due_us, due_us);
        bool any = false;
        for (uint32_t db = 0; db < store->database_count; db++) {
            any = any || shoal_store_count(store, db) > 0;
        }
        uint32_t chunks = any ? store->database_count * MAP_WORDS : 0;
        shoal_store_relaxed(&shared->chunks_foreign, chunks);
    }
    uint32_t version = shoal_load_relaxed(&shared->version) + 1;
    shoal_store_release(&shared->version, version); /* pair: evict.limits */
}

void shoal_limits__init(shoal_store *store)
{
    SHOAL_ASSERT(store->database_count > 0);
    const shoal_limits limits = shoal_limits_default();
    shoal_store_set_limits(store, &limits);
}

void shoal_limits__adopt(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_evict_shared *shared = &thread->store->evict;
    shoal_evictor *evictor = &thread->evictor;
    evictor->version = shoal_load_acquire(&shared->version); /* pair: evict.limits */
    const shoal_policy *policy = shoal_load_relaxed(&shared->policy);
    SHOAL_ASSERT(policy != NULL);
    if (policy != evictor->policy) {
        evictor->policy = policy;
        evictor->exempt = policy->volatile_only ? SHOAL_POLICY_EXEMPT : 0;
        for (uint32_t i = 0; i < SHOAL_POLICY_PARTS; i++) {
            evictor->thresholds[i] = (int32_t)SHOAL_RANK_MAX * THRESHOLD_ONE;
            evictor->view.thresholds[i] = SHOAL_RANK_MAX;
        }
        for (uint32_t i = 0; i < SHOAL_POLICY_PARTS; i++) evictor->pools[i].count = 0;
        shoal_store_relaxed(&thread->counters.keys_part, 0);
        evictor->hand = (shoal_hand){0};
        evictor->view.events[0] = evictor->view.events[1] = 0;
    }
    evictor->pressed = true;
    evictor->judged_left = 0;
    evictor->view.codes = policy->volatile_only ? SHOAL_POLICY_EXEMPT : 256;
    evictor->view.lfu_log_factor = shoal_load_relaxed(&shared->lfu_log_factor);
    evictor->view.lfu_decay_minutes = shoal_load_relaxed(&shared->lfu_decay_minutes);
    evictor->view.prng = &thread->prng_evict;
    evictor->view.shared = shared;
    evictor->beat = shoal_load_relaxed(&shared->beat) - 1;
    shoal_clock__survey(thread);
}

/* ---- allowances ---- */

/* What of `need` the allowance does not cover. */
static int64_t lacking(const shoal_thread *thread, shoal_measure measure, int64_t need)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(need >= 0);
    return shoal_limits__measure(thread, measure) + need - thread->evictor.allowance.of[measure];
}

bool shoal_limits__fit(const shoal_thread *thread, const shoal_amounts *need)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    for (uint32_t i = 0; i < MEASURES; i++) {
        if (lacking(thread, i, need->of[i]) > 0) return false;
    }
    return true;
}

/* Takes what is lacking, and a piece more if there is, out of what is left of a limit with `spare`
 * added (claim L1). */
static bool promise(shoal_thread *thread, shoal_measure measure, int64_t need, int64_t spare)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_evict_shared *shared = &thread->store->evict;
    int64_t short_of = lacking(thread, measure, need);
    if (short_of <= 0) return true;
    int64_t limit = shoal_load_relaxed(&shared->limits[measure]);
    if (limit < INT64_MAX - spare) limit += spare;
    int64_t promised = shoal_load_relaxed(&shared->promised[measure]);
    int64_t piece;
    do {
        int64_t left;
        /* Threads that give back what others took promise less than nothing. */
        if (__builtin_sub_overflow(limit, promised, &left)) left = INT64_MAX;
        if (left < short_of) return false;
        piece = (left - short_of) / (PIECE_SHARE * (int64_t)thread->store->thread_count);
        if (piece > piece_max[measure]) piece = piece_max[measure];
        if (spare > 0) piece = 0;
        piece += short_of;
    } while (!shoal_cas_relaxed(&shared->promised[measure], &promised, promised + piece));
    thread->evictor.allowance.of[measure] += piece;
    return true;
}

static bool promise_all(shoal_thread *thread, const shoal_amounts *need)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    for (uint32_t i = 0; i < MEASURES; i++) {
        if (!promise(thread, i, need->of[i], 0)) return false;
    }
    return true;
}

/* Gives back what the thread has not used beyond `need`, but for `keep`. */
static void give_back(shoal_thread *thread, shoal_measure measure, int64_t need, int64_t keep)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(keep >= 0);
    int64_t unused = -lacking(thread, measure, need);
    if (unused <= keep) return;
    thread->evictor.allowance.of[measure] -= unused - keep;
    (void)shoal_sub_relaxed(&thread->store->evict.promised[measure], unused - keep);
}

static bool is_over(const shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    for (uint32_t i = 0; i < MEASURES; i++) {
        if (shoal_load_relaxed(&store->evict.promised[i]) >
            shoal_load_relaxed(&store->evict.limits[i]))
            return true;
    }
    return false;
}

/* Lets go of what is above the limit as far as the thread has it free. True when nothing is above
 * the limit any more. */
static bool settle(shoal_thread *thread, const shoal_amounts *need)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    if (LIKELY(!is_over(thread->store))) return true;
    for (uint32_t i = 0; i < MEASURES; i++) give_back(thread, i, need->of[i], 0);
    return !is_over(thread->store);
}

/* The same in truth: sums of all threads, who may have free what they do not need. */
static bool is_really_over(const shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    for (uint32_t i = 0; i < MEASURES; i++) {
        if (i == MEASURE_KEYS) continue;
        int64_t limit = shoal_load_relaxed(&store->evict.limits[i]);
        int64_t sum = 0;
        for (uint32_t t = 0; t < store->thread_count; t++)
            sum += shoal_limits__measure(&store->threads[t], i);
        if (sum > limit) return true;
    }
    return false;
}

/* ---- room for the table of those that have gone ---- */

static int64_t ghost_bytes(const shoal_store *store, uint32_t keys)
{
    SHOAL_DEBUG_ASSERT(keys > 0);
    return (int64_t)shoal_store__usable(store, shoal_ghost__size(keys), SHOAL_ALIGN_LINE);
}

void shoal_limits__claim(shoal_store *store, uint32_t keys)
{
    SHOAL_DEBUG_ASSERT(keys > 0);
    uint32_t none = 0;
    if (!shoal_cas_relaxed(&store->evict.ghost_claim, &none, keys)) return;
    (void)shoal_add_relaxed(&store->evict.promised[MEASURE_BYTES], ghost_bytes(store, keys));
}

uint32_t shoal_limits__redeem(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_evict_shared *shared = &thread->store->evict;
    uint32_t keys = shoal_load_relaxed(&shared->ghost_claim);
    if (keys == 0 || is_over(thread->store)) return 0;
    if (!shoal_cas_relaxed(&shared->ghost_claim, &keys, 0)) return 0;
    thread->evictor.allowance.of[MEASURE_BYTES] += ghost_bytes(thread->store, keys);
    return keys;
}

/* ---- making room ---- */

/* Evicts until `need` fits, or the units are spent. True when it fits and nothing is above its
 * limit; `*any` when something was evicted. */
static bool make_room(shoal_thread *thread, const shoal_amounts *need, int64_t units, bool *any)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    bool evicts = thread->evictor.policy->evicts;
    for (;;) {
        if (settle(thread, need) && (shoal_limits__fit(thread, need) || promise_all(thread, need)))
            return true;
        if (!evicts || units <= 0) return false;
        if (!shoal_evict__one(thread, &units)) return false;
        *any = true;
    }
}

static int64_t step_units(const shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    return (int64_t)shoal_load_relaxed(&store->evict.step_us) * EVICT_UNITS_PER_US;
}

/* Remembers since when something is above its limit. */
static void note_excess(shoal_thread *thread, bool over)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_evict_shared *shared = &thread->store->evict;
    int64_t since_us = shoal_load_relaxed(&shared->exceeded_since_us);
    int64_t now_us = thread->now.mono_us > 0 ? thread->now.mono_us : 1;
    if (over == (since_us != 0)) return;
    if (!shoal_cas_relaxed(&shared->exceeded_since_us, &since_us, over ? now_us : 0)) return;
    if (!over) (void)shoal_add_relaxed(&shared->exceeded_us, now_us - since_us);
}

bool shoal_limits__room(shoal_thread *thread, shoal_amounts need)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(thread->account.bytes == 0);
    bool any = false;
    int64_t units = step_units(thread->store) + need.of[MEASURE_BYTES] / BYTES_A_UNIT;
    int64_t before = shoal_limits__measure(thread, MEASURE_BYTES);
    bool room = make_room(thread, &need, units, &any);
    /* What was above the limit before goes by and by: it is enough that this makes it no more. */
    int64_t freed = before - shoal_limits__measure(thread, MEASURE_BYTES);
    bool counted = shoal_load_relaxed(&thread->store->evict.limits[MEASURE_KEYS]) != INT64_MAX;
    if (!room && any && !counted && freed >= need.of[MEASURE_BYTES]) return true;
    for (uint32_t i = 0; i < MEASURES && !room; i++) {
        int64_t limit = shoal_load_relaxed(&thread->store->evict.limits[i]);
        int64_t spare = limit / SPARE_SHARE > SPARE_MIN ? limit / SPARE_SHARE : SPARE_MIN;
        if (!promise(thread, i, need.of[i], i == MEASURE_BYTES ? spare : 0)) return false;
    }
    return true;
}

bool shoal_store_admit(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_ASSERT(thread->stamp != 0);
    const shoal_amounts nothing = {{0}};
    if (LIKELY(!thread->evictor.pressed && shoal_limits__fit(thread, &nothing))) return true;
    bool any = false;
    bool room = make_room(thread, &nothing, step_units(thread->store), &any);
    note_excess(thread, !room);
    thread->evictor.pressed = !room;
    shoal_gate__resume(thread);
    return room || any || !is_really_over(thread->store);
}

bool shoal_limits__maintain(shoal_thread *thread, int64_t units)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_ASSERT(thread->stamp != 0);
    const shoal_amounts nothing = {{0}};
    shoal_evictor *evictor = &thread->evictor;
    bool any = false;
    bool room = make_room(thread, &nothing, units, &any);
    for (uint32_t i = 0; i < MEASURES; i++) give_back(thread, i, 0, 0);
    evictor->pressed = !room;
    note_excess(thread, !room && is_really_over(thread->store));
    if (shoal_load_relaxed(&thread->store->evict.chunks_foreign) > 0)
        evictor->owed = evictor->owed > units ? evictor->owed : units;
    if (evictor->owed > 0) {
        if (units > evictor->owed) units = evictor->owed;
        evictor->owed -= units - shoal_evict__pass(thread, units);
    }
    shoal_gate__resume(thread);
    return (!room && any) || evictor->owed > 0;
}

void shoal_thread_charge(shoal_thread *thread, int64_t bytes)
{
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_ASSERT(thread->store != NULL);
    shoal_bump_relaxed(&thread->counters.bytes_charged, bytes);
}

void shoal_thread_set_quiet(shoal_thread *thread, bool quiet)
{
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_ASSERT(thread->store != NULL);
    thread->evictor.quiet = quiet;
    if (thread->evictor.policy != NULL) shoal_clock__mark(&thread->evictor);
}
