/* SPDX-License-Identifier: MIT
 *
 * store/policy.c - the policies that Redis's users know, and S3-FIFO, as tables of functions on one
 * byte a key. docs/EVICTION.md says how well each does.
 *
 *   LRU      the byte is the tick at which the key was used last, modulo `codes`
 *   LFU      3 bits (2): when the counter was lowered last, in units of lfu-decay-time
 *            5 bits: a logarithmic counter of uses, on Redis's scale
 *   random   as LRU, which is not looked at
 *   ttl      a hint of expire.c: when the key expires, to some 2 % of what it was given
 *   S3-FIFO  part (small or main) and uses since it came there, seven combinations, times the
 *            tick of that part's clock, which counts arrivals in it
 */
#include "store/policy.h"

#include "base/assert.h"
#include "base/text.h"
#include "store/internal.h"

static uint32_t at_least_one(uint64_t number)
{
    return number == 0 ? 1 : number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* ---- LRU ---- */

/* Of the codes, how many ticks old a key is when it goes, in sixteenths: half of them, less one
 * for the inertia of the clock. */
#define LRU_TARGET 3u
/* And from which age on the hand keeps it from coming round. */
#define LRU_OLD 14u
#define SIXTEENTHS 16u

static uint32_t lru_age(const shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    SHOAL_DEBUG_ASSERT(byte < view->codes);
    return (view->ticks[0] - byte) & (view->codes - 1);
}

static uint8_t lru_now(const shoal_policy_view *view)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    SHOAL_DEBUG_ASSERT(view->codes == 256 || view->codes == 128);
    return (uint8_t)(view->ticks[0] & (view->codes - 1));
}

static uint8_t lru_arrive(shoal_policy_view *view, shoal_arrival arrival)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    (void)arrival;
    view->events[0]++;
    return lru_now(view);
}

static uint8_t lru_use(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    (void)byte;
    return lru_now(view);
}

/* The byte of a key that must not come round. */
static uint8_t lru_clamp(const shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    uint32_t old = view->codes * LRU_OLD / SIXTEENTHS;
    if (lru_age(view, byte) <= old) return byte;
    return (uint8_t)((view->ticks[0] - old) & (view->codes - 1));
}

static shoal_verdict lru_judge(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    uint8_t kept = lru_clamp(view, byte);
    uint32_t rank = lru_age(view, kept) * (256 / view->codes) + 1;
    SHOAL_DEBUG_ASSERT(rank <= SHOAL_RANK_MAX);
    return (shoal_verdict){.rank = (uint8_t)rank, .byte = kept};
}

/* Ticks such that keys go at the target age. How many arrivals ago a key was used that goes now,
 * the threshold says. Before the first has gone, as if none were used again: then that is as many
 * as there are keys. */
static shoal_pace lru_pace(const shoal_policy_view *view, uint32_t clock)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    SHOAL_DEBUG_ASSERT(clock < SHOAL_POLICY_CLOCKS);
    uint32_t target = view->codes * LRU_TARGET / SIXTEENTHS;
    uint32_t pass = view->codes / 8;
    if (clock != 0) return (shoal_pace){.events = UINT32_MAX};
    if (!view->full)
        return (shoal_pace){.events = at_least_one(view->capacity / target), .pass = pass};
    uint32_t age = view->thresholds[0] / (256 / view->codes);
    uint32_t lifetime = shoal_policy_events_since(view, age < view->codes ? age : view->codes - 1);
    return (shoal_pace){.events = at_least_one(lifetime / target), .pass = pass};
}

/* ---- noeviction and random: the bytes of LRU, for OBJECT IDLETIME ---- */

static shoal_verdict none_judge(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    SHOAL_DEBUG_ASSERT(byte < view->codes);
    return (shoal_verdict){.byte = lru_clamp(view, byte)};
}

static shoal_pace none_pace(const shoal_policy_view *view, uint32_t clock)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    SHOAL_DEBUG_ASSERT(clock < SHOAL_POLICY_CLOCKS);
    return (shoal_pace){.events = UINT32_MAX, .pass = clock == 0 ? view->codes / 8 : 0};
}

static shoal_verdict random_judge(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    uint64_t rank = 1 + shoal_prng_below(view->prng, SHOAL_RANK_MAX);
    return (shoal_verdict){.rank = (uint8_t)rank, .byte = lru_clamp(view, byte)};
}

/* ---- LFU ---- */

#define LFU_BITS 5u
#define LFU_LEVELS (1u << LFU_BITS)
/* Where a new key begins, as in Redis: so that it is not the first to go. */
#define LFU_INITIAL 5u
#define MS_PER_MINUTE 60000

/* The counter that a level stands for. Dense where keys are told apart, coarse where all are
 * hot. A hundred is among them, for those who set it (RESTORE with FREQ). */
static const uint8_t lfu_counter[LFU_LEVELS] = {0,  1,  2,  3,  4,   5,   6,   7,   8,   9,  10,
                                                12, 14, 16, 18, 20,  23,  26,  30,  35,  41, 48,
                                                56, 66, 77, 88, 100, 124, 150, 180, 215, 255};

/* What the clock of LFU shows: units of lfu-decay-time. */
static uint32_t lfu_units(const shoal_policy_view *view)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    if (view->lfu_decay_minutes == 0) return 0;
    return (uint32_t)(view->now_ms / MS_PER_MINUTE / view->lfu_decay_minutes);
}

static uint8_t lfu_byte(const shoal_policy_view *view, uint32_t level)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    SHOAL_DEBUG_ASSERT(level < LFU_LEVELS);
    uint32_t ages = view->codes / LFU_LEVELS;
    return (uint8_t)((lfu_units(view) & (ages - 1)) << LFU_BITS | level);
}

/* The level of a key after what it has lost since its byte was written: one of Redis's counter for
 * each unit, of a coarse level by chance. */
static uint32_t lfu_level(const shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    uint32_t ages = view->codes / LFU_LEVELS;
    uint32_t level = byte % LFU_LEVELS;
    uint32_t units = (lfu_units(view) - (byte >> LFU_BITS)) & (ages - 1);
    while (units > 0 && level > 0) {
        uint32_t gap = (uint32_t)lfu_counter[level] - lfu_counter[level - 1];
        if (gap > units) {
            bool lower = shoal_prng_below(view->prng, gap) < units;
            return lower ? level - 1 : level;
        }
        units -= gap;
        level--;
    }
    return level;
}

static uint8_t lfu_arrive(shoal_policy_view *view, shoal_arrival arrival)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    (void)arrival;
    return lfu_byte(view, LFU_INITIAL);
}

/* Uses that take Redis's counter from one level to the next, on average. */
static uint64_t lfu_uses(const shoal_policy_view *view, uint32_t level)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    SHOAL_DEBUG_ASSERT(level + 1 < LFU_LEVELS);
    uint64_t uses = 0;
    for (uint32_t at = lfu_counter[level]; at < lfu_counter[level + 1]; at++) {
        uint64_t above = at > LFU_INITIAL ? at - LFU_INITIAL : 0;
        uses += above * view->lfu_log_factor + 1;
    }
    return uses;
}

static uint8_t lfu_use(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    uint32_t level = lfu_level(view, byte);
    if (level + 1 < LFU_LEVELS && shoal_prng_below(view->prng, lfu_uses(view, level)) == 0) level++;
    return lfu_byte(view, level);
}

static shoal_verdict lfu_judge(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    uint32_t level = lfu_level(view, byte);
    uint32_t rank = 1 + (LFU_LEVELS - 1 - level) * 8;
    SHOAL_DEBUG_ASSERT(rank <= SHOAL_RANK_MAX);
    return (shoal_verdict){.rank = (uint8_t)rank, .byte = lfu_byte(view, level)};
}

static shoal_pace lfu_pace(const shoal_policy_view *view, uint32_t clock)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    (void)view;
    (void)clock;
    return (shoal_pace){.events = UINT32_MAX};
}

static uint32_t lfu_frequency(const shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    return lfu_counter[lfu_level(view, byte)];
}

static uint8_t lfu_as_frequent(const shoal_policy_view *view, uint32_t frequency)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(frequency <= UINT8_MAX);
    uint32_t level = 0;
    while (level + 1 < LFU_LEVELS && lfu_counter[level + 1] <= frequency) level++;
    if (level + 1 < LFU_LEVELS &&
        lfu_counter[level + 1] - frequency < frequency - lfu_counter[level])
        level++;
    return lfu_byte(view, level);
}

/* ---- the nearest to expire ---- */

static uint8_t ttl_arrive(shoal_policy_view *view, shoal_arrival arrival)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    if (arrival.expires_ms < 0) return 0;
    uint32_t hint = shoal_expire__hint(arrival.expires_ms, view->now_ms);
    /* Seven bits: a class less, and units two by two. */
    return (uint8_t)(view->codes == 256 ? hint : hint / 2);
}

static uint8_t ttl_use(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    (void)view;
    return byte;
}

/* Sixteen times the logarithm to base 2 of `number` + 1, roughly. */
static uint32_t logarithm16(uint64_t number)
{
    uint64_t value = number + 1;
    uint32_t bits = 63u - (uint32_t)__builtin_clzll(value);
    uint64_t rest = bits >= 4 ? value >> (bits - 4) : value << (4 - bits);
    return bits * 16 + (uint32_t)(rest & 15);
}

static shoal_verdict ttl_judge(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    uint8_t hint = view->codes == 256 ? byte : (uint8_t)(byte * 2);
    int64_t left_ms = shoal_expire__hint_time(hint == 0 ? 1 : hint, view->now_ms) - view->now_ms;
    if (left_ms < 0) left_ms = 0;
    uint32_t far = logarithm16((uint64_t)left_ms / 1024);
    uint32_t rank = far < SHOAL_RANK_MAX - 1 ? SHOAL_RANK_MAX - far : 1;
    return (shoal_verdict){.rank = (uint8_t)rank, .byte = byte};
}

/* ---- S3-FIFO ---- */

/* Part and uses: 0..2 uses in the small queue (two and more are one), 0..3 in the main one. */
#define S3_SMALL 3u
#define S3_MAIN 4u
/* The small queue's share of the keys: one in so many. */
#define S3_SHARE 10u
/* The rank of a key at the end of its queue. */
#define S3_RANK_DUE 128u
/* Of all codes, in 256ths: those of one number of uses, in each queue. The small queue has more for
 * each because the hand comes late to it, as measured in its length. */
#define S3_AGES_SMALL 50u
#define S3_AGES_MAIN 26u

_Static_assert(S3_SMALL *S3_AGES_SMALL + S3_MAIN * S3_AGES_MAIN <= 256, "a byte holds them all");

/* A byte taken apart. */
typedef struct s3_state {
    uint32_t queue; /* 0 small, 1 main */
    uint32_t uses;
    uint32_t tick; /* modulo s3_ages */
} s3_state;

/* Ticks that a byte of a queue tells apart. */
static uint32_t s3_ages(const shoal_policy_view *view, uint32_t queue)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    return (queue == 0 ? S3_AGES_SMALL : S3_AGES_MAIN) * view->codes / 256;
}

/* Ticks from the beginning of a queue to its end. */
static uint32_t s3_target(const shoal_policy_view *view, uint32_t queue)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    return queue == 0 ? s3_ages(view, 0) * 9 / 16 : s3_ages(view, 1) * 6 / 8;
}

/* Ticks that may pass between two visits of the hand before a byte comes round. */
static uint32_t s3_slack(const shoal_policy_view *view, uint32_t queue)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    return queue == 0 ? s3_ages(view, 0) * 5 / 16 : s3_ages(view, 1) / 8 + 1;
}

static uint8_t s3_byte(const shoal_policy_view *view, s3_state state)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(state.uses < (state.queue == 0 ? S3_SMALL : S3_MAIN));
    SHOAL_DEBUG_ASSERT(state.tick < s3_ages(view, state.queue));
    uint32_t first = state.queue == 0 ? 0 : S3_SMALL * s3_ages(view, 0);
    return (uint8_t)(first + state.uses * s3_ages(view, state.queue) + state.tick);
}

static s3_state s3_state_of(const shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    uint32_t ages = s3_ages(view, 0);
    uint32_t code = byte;
    uint32_t queue = code >= S3_SMALL * ages;
    if (queue == 1) {
        code -= S3_SMALL * ages;
        ages = s3_ages(view, 1);
    }
    uint32_t uses = code / ages;
    return (s3_state){queue, uses < S3_MAIN ? uses : S3_MAIN - 1, code % ages};
}

/* The byte of a key that comes to a queue now. */
static uint8_t s3_enter(shoal_policy_view *view, uint32_t queue, uint32_t uses)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    view->events[queue]++;
    uint32_t tick = view->ticks[queue] % s3_ages(view, queue);
    return s3_byte(view, (s3_state){queue, uses, tick});
}

static uint32_t s3_part(const shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    return byte >= S3_SMALL * s3_ages(view, 0);
}

static uint8_t s3_arrive(shoal_policy_view *view, shoal_arrival arrival)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    return s3_enter(view, arrival.remembered, 0);
}

static uint8_t s3_use(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    s3_state state = s3_state_of(view, byte);
    if (state.uses + 1 == (state.queue == 0 ? S3_SMALL : S3_MAIN)) return byte;
    return (uint8_t)(byte + s3_ages(view, state.queue));
}

/* Keys that the main queue has before any of it goes. */
static uint32_t s3_main_size(const shoal_policy_view *view)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    return view->capacity - view->capacity / S3_SHARE;
}

/* The length of a queue when the hand looks for its end: the main one then has its share, and the
 * small one all the rest. */
static uint32_t s3_size(const shoal_policy_view *view, uint32_t queue)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    if (queue == 1) return at_least_one(s3_main_size(view));
    if (!view->full) return view->capacity;
    return view->capacity > view->part_keys ? view->capacity - view->part_keys : 1;
}

/* The queue that the next key is to leave: the main one when it has more than its share. */
static uint32_t s3_next(const shoal_policy_view *view)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    return view->part_keys > s3_main_size(view) || view->part_keys >= view->keys;
}

/* The end of a queue is where the hand finds a key of that age: there it moves on to the main
 * queue, goes round in it once more, or is ripe. */
static shoal_verdict s3_judge(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    s3_state state = s3_state_of(view, byte);
    uint32_t ages = s3_ages(view, state.queue);
    uint32_t now = view->ticks[state.queue] % ages;
    uint32_t age = (now + ages - state.tick) % ages;
    uint64_t interval = view->interval[state.queue];
    uint64_t due = age * interval * S3_RANK_DUE / s3_size(view, state.queue);
    uint32_t rank = due < SHOAL_RANK_MAX ? (uint32_t)due + 1 : SHOAL_RANK_MAX;
    uint32_t old = ages - s3_slack(view, state.queue);
    if (age > old) state.tick = (now + ages - old) % ages; /* or it would come round */
    shoal_verdict verdict = {.byte = s3_byte(view, state)};
    verdict.rank = (uint8_t)rank;
    verdict.spare = state.uses >= (state.queue == 0 ? S3_SMALL - 1 : 1);
    verdict.remember = state.queue == 0;
    return verdict;
}

static uint8_t s3_spare(shoal_policy_view *view, uint8_t byte)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    s3_state state = s3_state_of(view, byte);
    return s3_enter(view, 1, state.queue == 0 ? 0 : state.uses - 1);
}

static shoal_pace s3_pace(const shoal_policy_view *view, uint32_t clock)
{
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    SHOAL_DEBUG_ASSERT(view->capacity >= 1);
    SHOAL_DEBUG_ASSERT(clock < SHOAL_POLICY_CLOCKS);
    uint32_t target = s3_target(view, clock);
    uint32_t events = at_least_one(s3_size(view, clock) / target);
    return (shoal_pace){.events = events, .pass = s3_slack(view, clock)};
}

/* ---- the tables ---- */

#define LRU .arrive = lru_arrive, .use = lru_use, .age = lru_age, .timed = true, .blind = true
#define AGED LRU, .judge = lru_judge, .pace = lru_pace, .evicts = true, .steady = true, .looks = 2
#define LFU                                                                                     \
    .arrive = lfu_arrive, .use = lfu_use, .judge = lfu_judge, .pace = lfu_pace, .evicts = true, \
    .frequency = lfu_frequency, .as_frequent = lfu_as_frequent
#define TTL                                                                                     \
    .arrive = ttl_arrive, .use = ttl_use, .judge = ttl_judge, .pace = lfu_pace, .evicts = true, \
    .expiring = true
#define S3                                                                                  \
    .arrive = s3_arrive, .use = s3_use, .judge = s3_judge, .pace = s3_pace, .evicts = true, \
    .remembers = true, .steady = true, .looks = 5, .part = s3_part, .next = s3_next,        \
    .spare = s3_spare

const shoal_policy shoal_policy_none = {.name = "noeviction",
                                        LRU,
                                        .judge = none_judge,
                                        .pace = none_pace};

/* All but noeviction. */
static const shoal_policy policies[] = {
    {.name = "allkeys-lru", AGED},
    {.name = "volatile-lru", AGED, .volatile_only = true},
    {.name = "allkeys-lfu", LFU},
    {.name = "volatile-lfu", LFU, .volatile_only = true},
    {.name = "allkeys-random", LRU, .judge = random_judge, .pace = none_pace, .evicts = true},
    {.name = "volatile-random",
     LRU,
     .judge = random_judge,
     .pace = none_pace,
     .evicts = true,
     .volatile_only = true},
    {.name = "volatile-ttl", TTL, .volatile_only = true},
    {.name = "allkeys-s3fifo", S3},
    {.name = "volatile-s3fifo", S3, .volatile_only = true},
};

uint32_t shoal_policy_random(shoal_policy_view *view, uint32_t n)
{
    SHOAL_ASSERT(n > 0);
    SHOAL_DEBUG_ASSERT(view->prng != NULL);
    return (uint32_t)shoal_prng_below(view->prng, n);
}

const shoal_policy *shoal_policy_named(shoal_slice name)
{
    SHOAL_ASSERT(name.data != NULL || name.size == 0);
    if (shoal_text_is(name, shoal_policy_none.name)) return &shoal_policy_none;
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        if (shoal_text_is(name, policies[i].name)) return &policies[i];
    }
    return NULL;
}
