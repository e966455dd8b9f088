/* SPDX-License-Identifier: MIT
 *
 * store/clock.c - the clocks that eviction goes by. They count events of the policy, mostly
 * arrivals of keys, and tick when so many have come as the policy's pace says: time in which
 * nothing arrives makes no key older than another. Threads count for themselves and tell the shared
 * clocks now and then; who reaches the number at which a clock is due moves it on.
 *
 * Clock 0 of a timed policy also ticks when nothing has arrived for a while, a second at first and
 * then longer the further the ticks reach back. When each began is remembered, so that the age of
 * a byte can be told in seconds (OBJECT IDLETIME).
 */
#include "store/internal.h"

#define US_PER_DS 100000
/* Part of an interval that a thread counts before it tells the others. */
#define FLUSH_SHARE 4u
#define FLUSH_MAX 1024u
/* Units of passing keys that are worth beginning with, and that are done at once: some 10 us. */
#define PASS_AT_ONCE 64
#define PASS_MOST 2048
/* Ticks that a flush may catch up with; after more the clock begins anew from here. */
#define CATCH_UP 4u
/* The first tick of time, and into how many ticks the remembered past is divided. */
#define TICK_US 1000000
#define TICKS_OF_PAST 100
/* Ticks from before the first batch, which keys that are said to be older are put into: the last of
 * them some 2 seconds long, each further back longer by this share, up to three years in all. With
 * 224 ticks in reach that is half a year, told to three hundredths. Where a tick ends it is told
 * exactly: of the numbers that suit the rest these have such an end at 1000 seconds (and three). */
#define TICK_BEFORE_DS 17
#define TICK_BEFORE_SHARE 17
#define PAST_MAX_DS 1000000000
/* Below this part of a limit, how many keys will fit is not told from how many there are. */
#define USED_SHARE 64

static uint32_t deciseconds(int64_t mono_us)
{
    SHOAL_DEBUG_ASSERT(mono_us >= 0);
    return (uint32_t)(mono_us / US_PER_DS);
}

/* ---- how many keys ---- */

static uint64_t count_keys(const shoal_store *store, bool volatile_only)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    uint64_t keys = 0;
    for (uint32_t db = 0; db < store->database_count; db++) {
        keys +=
            volatile_only ? shoal_store_count_volatile(store, db) : shoal_store_count(store, db);
    }
    return keys;
}

static int64_t count_part(const shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    int64_t keys = 0;
    for (uint32_t i = 0; i < store->thread_count; i++)
        keys += shoal_load_relaxed(&store->threads[i].counters.keys_part);
    return keys;
}

/* Keys that fit into the limit of bytes if those to come are like those that are there. */
static uint64_t fitting(const shoal_store *store, uint64_t keys)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    const shoal_evict_shared *shared = &store->evict;
    int64_t limit = shoal_load_relaxed(&shared->limits[MEASURE_BYTES]);
    int64_t used = shoal_load_relaxed(&shared->promised[MEASURE_BYTES]);
    if (limit == INT64_MAX || used <= limit / USED_SHARE || keys == 0) return keys;
    return (uint64_t)((double)keys * (double)limit / (double)used);
}

void shoal_clock__survey(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_policy_view *view = &thread->evictor.view;
    uint64_t keys = count_keys(thread->store, thread->evictor.policy->volatile_only);
    uint64_t fits = fitting(thread->store, keys);
    int64_t limit = shoal_load_relaxed(&thread->store->evict.limits[MEASURE_KEYS]);
    if (limit != INT64_MAX) {
        bool bytes_too =
            shoal_load_relaxed(&thread->store->evict.limits[MEASURE_BYTES]) != INT64_MAX;
        if (!bytes_too || fits > (uint64_t)limit) fits = (uint64_t)limit;
    }
    view->keys = keys < UINT32_MAX ? (uint32_t)keys : UINT32_MAX;
    view->capacity = fits == 0 ? 1 : fits < UINT32_MAX ? (uint32_t)fits : UINT32_MAX;
    view->full = shoal_load_relaxed(&thread->store->evict.full);
    int64_t part = thread->evictor.policy->part == NULL ? 0 : count_part(thread->store);
    view->part_keys = part < 0 ? 0 : part < view->keys ? (uint32_t)part : view->keys;
}

/* ---- ticking ---- */

/* How long clock 0 may stand still. */
static int64_t patience_us(const shoal_evict_shared *shared, uint32_t codes, int64_t mono_us)
{
    SHOAL_DEBUG_ASSERT(shared != NULL);
    uint32_t tick = shoal_load_relaxed(&shared->ticks[0]);
    uint32_t reach = codes * 7 / 8;
    uint32_t oldest = tick > reach ? tick - reach : 0;
    uint32_t began = shoal_load_relaxed(&shared->tick_began_ds[oldest % TICK_RING]);
    int64_t past_us = ((int64_t)deciseconds(mono_us) - began) * US_PER_DS;
    int64_t patience = past_us / TICKS_OF_PAST;
    return patience > TICK_US ? patience : TICK_US;
}

/* A tick of clock 0 began at that time. */
static void note_tick(shoal_thread *thread, uint32_t tick, int64_t began_us)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(began_us >= 0);
    shoal_evict_shared *shared = &thread->store->evict;
    uint32_t counted = (uint32_t)shoal_load_relaxed(&shared->counted[0]);
    shoal_store_relaxed(&shared->tick_began_ds[tick % TICK_RING], deciseconds(began_us));
    shoal_store_relaxed(&shared->tick_began_at[tick % TICK_RING], counted);
    if (!thread->evictor.policy->timed) return;
    int64_t patience = patience_us(shared, thread->evictor.view.codes, thread->now.mono_us);
    shoal_store_relaxed(&shared->tick_due_us, thread->now.mono_us + patience);
}

/* Fetches what the clocks show. */
static void fetch(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    const shoal_evict_shared *shared = &thread->store->evict;
    shoal_evictor *evictor = &thread->evictor;
    uint32_t threads = thread->store->thread_count;
    uint32_t beat = shoal_load_acquire(&shared->beat); /* pair: evict.beat */
    if (beat != evictor->beat) evictor->judged_left = 0;
    evictor->beat = beat;
    evictor->tick_due_us = shoal_load_relaxed(&shared->tick_due_us);
    for (uint32_t i = 0; i < SHOAL_POLICY_CLOCKS; i++) {
        uint32_t interval = shoal_load_relaxed(&shared->interval[i]);
        uint32_t share = interval / (FLUSH_SHARE * threads);
        evictor->view.ticks[i] = shoal_load_relaxed(&shared->ticks[i]);
        evictor->view.interval[i] = interval;
        evictor->flush_at[i] = share == 0 ? 1 : share < FLUSH_MAX ? share : FLUSH_MAX;
    }
    shoal_clock__mark(evictor);
}

void shoal_clock__mark(shoal_evictor *evictor)
{
    SHOAL_DEBUG_ASSERT(evictor->policy != NULL);
    const shoal_policy *policy = evictor->policy;
    evictor->marks = policy->blind && evictor->exempt == 0 && !evictor->quiet;
    if (evictor->marks) evictor->mark = policy->use(&evictor->view, 0);
}

/* The past begins with the first batch, not with the machine; what is older is made up. */
static void begin_past(shoal_evict_shared *shared, int64_t mono_us)
{
    int64_t began = deciseconds(mono_us), ticks = TICK_BEFORE_DS, past = 0;
    SHOAL_DEBUG_ASSERT(shared != NULL);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&shared->ticks[0]) == 0);
    for (uint32_t i = 0; i < TICK_RING; i++) {
        /* As far back as numbers modulo 2^32 go that are compared by their difference. */
        shoal_store_relaxed(&shared->tick_began_ds[(TICK_RING - i) % TICK_RING],
                            (uint32_t)(began - past));
        past = past + ticks < PAST_MAX_DS ? past + ticks : PAST_MAX_DS;
        ticks += ticks / TICK_BEFORE_SHARE + 1;
    }
}

/* Nothing has ticked for a while: a tick begins, at the time when the one before was last used. */
static void tick_by_time(shoal_thread *thread, shoal_time before)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_evict_shared *shared = &thread->store->evict;
    int64_t due_us = shoal_load_relaxed(&shared->tick_due_us);
    if (shoal_load_relaxed(&shared->ticks[0]) == 0 && before.mono_us == 0)
        begin_past(shared, thread->now.mono_us);
    int64_t patience = patience_us(shared, thread->evictor.view.codes, thread->now.mono_us);
    if (thread->now.mono_us < due_us) return;
    if (!shoal_cas_relaxed(&shared->tick_due_us, &due_us, thread->now.mono_us + patience)) return;
    uint32_t tick = shoal_add_relaxed(&shared->ticks[0], 1) + 1;
    uint32_t began = shoal_load_relaxed(&shared->tick_began_ds[(tick - 1) % TICK_RING]);
    int64_t began_us = (int64_t)began * US_PER_DS;
    note_tick(thread, tick, before.mono_us > began_us ? before.mono_us : began_us);
    (void)shoal_add_acq_rel(&shared->beat, 1); /* pair: evict.beat */
    shoal_pace pace = thread->evictor.policy->pace(&thread->evictor.view, 0);
    shoal_clock__survey(thread);
    if (pace.pass > 0) thread->evictor.owed += thread->evictor.view.keys / pace.pass;
}

void shoal_clock__enter(shoal_thread *thread, shoal_time before)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_evict_shared *shared = &thread->store->evict;
    shoal_policy_view *view = &thread->evictor.view;
    /* pair: evict.limits */
    if (UNLIKELY(shoal_load_acquire(&shared->version) != thread->evictor.version))
        shoal_limits__adopt(thread);
    view->now_ms = thread->now_ms;
    /* pair: evict.beat */
    if (UNLIKELY(shoal_load_acquire(&shared->beat) != thread->evictor.beat)) fetch(thread);
    if (LIKELY(thread->now.mono_us < thread->evictor.tick_due_us)) return;
    tick_by_time(thread, before);
    fetch(thread);
}

/* Moves a clock on by what has been counted. */
static void advance(shoal_thread *thread, uint32_t clock, uint32_t events)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    shoal_evict_shared *shared = &thread->store->evict;
    shoal_evictor *evictor = &thread->evictor;
    uint64_t total = shoal_add_relaxed(&shared->counted[clock], events) + events;
    shoal_pace pace = evictor->policy->pace(&evictor->view, clock);
    SHOAL_ASSERT(pace.events > 0);
    uint32_t interval = evictor->view.interval[clock];
    if (pace.pass > 0)
        evictor->owed +=
            (int64_t)((uint64_t)events * evictor->view.keys / interval / pace.pass) + 1;
    uint64_t due = shoal_load_relaxed(&shared->due[clock]);
    for (uint32_t i = 0; i < CATCH_UP && total >= due; i++) {
        uint64_t next = due + pace.events;
        if (i == CATCH_UP - 1 && next <= total) next = total + pace.events;
        if (!shoal_cas_relaxed(&shared->due[clock], &due, next)) continue;
        due = next;
        shoal_store_relaxed(&shared->interval[clock], pace.events);
        uint32_t tick = shoal_add_relaxed(&shared->ticks[clock], 1) + 1;
        if (clock == 0) note_tick(thread, tick, thread->now.mono_us);
        (void)shoal_add_acq_rel(&shared->beat, 1); /* pair: evict.beat */
    }
}

void shoal_clock__flush(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_evictor *evictor = &thread->evictor;
    shoal_clock__survey(thread);
    for (uint32_t i = 0; i < SHOAL_POLICY_CLOCKS; i++) {
        uint32_t events = evictor->view.events[i];
        evictor->view.events[i] = 0;
        if (events > 0) advance(thread, i, events);
    }
    fetch(thread);
    if (evictor->owed < PASS_AT_ONCE) return;
    int64_t units = evictor->owed < PASS_MOST ? evictor->owed : PASS_MOST;
    evictor->owed -= units - shoal_evict__pass(thread, units);
}

int64_t shoal_clock__since_ms(const shoal_thread *thread, uint32_t age)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(age < TICK_RING);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    if (age == 0) return 0;
    const shoal_evict_shared *shared = &thread->store->evict;
    uint32_t next = thread->evictor.view.ticks[0] - age + 1;
    uint32_t ended = shoal_load_relaxed(&shared->tick_began_ds[next % TICK_RING]);
    int32_t since = (int32_t)(deciseconds(thread->now.mono_us) - ended);
    return since > 0 ? (int64_t)since * (US_PER_DS / 1000) : 0;
}

uint32_t shoal_policy_events_since(const shoal_policy_view *view, uint32_t age)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(age < TICK_RING);
    SHOAL_DEBUG_ASSERT(view->shared != NULL);
    uint32_t began =
        shoal_load_relaxed(&view->shared->tick_began_at[(view->ticks[0] - age) % TICK_RING]);
    return (uint32_t)shoal_load_relaxed(&view->shared->counted[0]) - began;
}
