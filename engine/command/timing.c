/* SPDX-License-Identifier: MIT
 *
 * command/timing.c - measuring commands, and what is kept of it: sums, histograms, the slow log,
 * the worst of each second. The commands that show it are in slowlog.c and latency.c.
 */
#include "command/timing.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/client_line.h"
#include "command/lap.h"
#include "command/multi.h"
#include "command/redact.h"

/* Arguments of an entry of the slow log, and bytes of each, as Redis keeps them. */
#define SLOW_ARGUMENTS_MAX 32u
#define SLOW_ARGUMENT_SIZE_MAX 128u

/* Below this a histogram is linear: eight counters of 128 ns. */
#define LINEAR_END_NS 1024

int64_t shoal_timing_clock(const shoal_env *env)
{
    SHOAL_DEBUG_ASSERT(env->host != NULL);
    const shoal_host *host = env->host;
    /* pair: env.settings */
    if (host->clock_ns == NULL || !shoal_load_acquire(&env->settings)->timed) return 0;
    return host->clock_ns(host->context);
}

int64_t shoal_timing_since(const shoal_env *env, int64_t started_ns)
{
    SHOAL_DEBUG_ASSERT(started_ns >= 0);
    if (started_ns == 0) return 0;
    int64_t now = shoal_timing_clock(env);
    return now > started_ns ? now - started_ns : 0;
}

/* ---- histograms ---- */

static uint32_t bucket_of(int64_t ns)
{
    SHOAL_DEBUG_ASSERT(ns >= 0);
    if (ns < LINEAR_END_NS) return (uint32_t)ns / (LINEAR_END_NS / 8);
    uint32_t doubling = 63u - (uint32_t)__builtin_clzll((uint64_t)ns);
    uint32_t eighth = (uint32_t)((uint64_t)ns >> (doubling - 3)) & 7u;
    uint32_t index = (doubling - 10) * 8 + 8 + eighth;
    return index < SHOAL_TIMING__BUCKETS ? index : SHOAL_TIMING__BUCKETS - 1;
}

int64_t shoal_timing_bucket_end(uint32_t index)
{
    SHOAL_ASSERT(index < SHOAL_TIMING__BUCKETS);
    if (index < 8) return (index + 1) * (LINEAR_END_NS / 8) - 1;
    uint32_t doubling = (index - 8) / 8 + 10, eighth = (index - 8) % 8;
    return ((int64_t)1 << doubling) + ((int64_t)(eighth + 1) << (doubling - 3)) - 1;
}

/* The histogram of a tally, made when it is first wanted; NULL without memory. */
static shoal_timing_histogram *histogram_of(shoal_worker *worker, shoal_tally *tally)
{
    shoal_timing_histogram *histogram = shoal_load_relaxed(&tally->histogram);
    SHOAL_DEBUG_ASSERT(worker->inside);
    if (histogram != NULL) return histogram;
    histogram =
        shoal_memory_take_zeroed(&worker->env->allocator, sizeof(*histogram), SHOAL_ALIGN_PLAIN);
    /* pair: tally.histogram */
    shoal_store_release(&tally->histogram, histogram);
    return histogram;
}

uint64_t shoal_timing_counts(const shoal_env *env, shoal_command_id id, uint64_t *counts)
{
    SHOAL_ASSERT(id > SHOAL_COMMAND_NONE && id < SHOAL_COMMAND_COUNT);
    uint64_t sum = 0;
    memset(counts, 0, SHOAL_TIMING__BUCKETS * sizeof(*counts));
    for (uint32_t i = 0; i < env->worker_count; i++) {
        const shoal_worker *worker = env->workers[i];
        /* pair: tally.histogram */
        const shoal_timing_histogram *each = shoal_load_acquire(&worker->tallies[id].histogram);
        if (each == NULL || !shoal_worker__counts(worker)) continue;
        for (uint32_t bucket = 0; bucket < SHOAL_TIMING__BUCKETS; bucket++) {
            uint64_t count = shoal_load_relaxed(&each->counts[bucket]);
            counts[bucket] += count;
            sum += count;
        }
    }
    return sum;
}

int64_t shoal_timing_percentile(const uint64_t *counts, uint64_t sum, double percent)
{
    SHOAL_ASSERT(sum > 0);
    double wanted = (double)sum * percent / 100;
    uint64_t seen = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < SHOAL_TIMING__BUCKETS; i++) {
        if (counts[i] == 0) continue;
        seen += counts[i];
        last = i;
        if ((double)seen >= wanted) break;
    }
    return shoal_timing_bucket_end(last);
}

void shoal_timing__reset(shoal_tally *tally)
{
    shoal_timing_histogram *histogram = shoal_load_relaxed(&tally->histogram);
    SHOAL_DEBUG_ASSERT(tally != NULL);
    shoal_store_relaxed(&tally->took_ns, 0);
    if (histogram == NULL) return;
    for (uint32_t i = 0; i < SHOAL_TIMING__BUCKETS; i++)
        shoal_store_relaxed(&histogram->counts[i], 0);
}

/* ---- the slow log ---- */

static void append_argument(const shoal_timing_brief *what, uint32_t index, shoal_reply *reply)
{
    shoal_slice text = shoal_command__redacted(what->command, what->argv, what->argc, index);
    SHOAL_DEBUG_ASSERT(index < what->argc);
    if (text.size <= SLOW_ARGUMENT_SIZE_MAX) {
        shoal_reply_bulk(reply, text);
        return;
    }
    shoal_buffer cut = shoal_buffer_make(reply->out->allocator);
    shoal_buffer_append(&cut, (shoal_slice){text.data, SLOW_ARGUMENT_SIZE_MAX});
    shoal_text_appendf(&cut, "... (%zu more bytes)", text.size - SLOW_ARGUMENT_SIZE_MAX);
    shoal_reply_bulk(reply, shoal_buffer_slice(&cut));
    shoal_buffer_free(&cut);
}

/* The entry as SLOWLOG GET shows it; it looks the same in both protocols. */
static void append_entry(const shoal_session *session, const shoal_timing_brief *what, uint64_t id,
                         int64_t took_ns, shoal_reply *reply)
{
    SHOAL_ASSERT(what->argc > 0);
    shoal_reply_array(reply, 6);
    shoal_reply_integer(reply, (int64_t)id);
    shoal_reply_integer(reply, session->worker->now.wall_us / 1000000);
    shoal_reply_integer(reply, took_ns / 1000);
    uint32_t shown = what->argc <= SLOW_ARGUMENTS_MAX ? what->argc : SLOW_ARGUMENTS_MAX - 1;
    shoal_reply_array(reply, shown < what->argc ? SLOW_ARGUMENTS_MAX : shown);
    for (uint32_t i = 0; i < shown; i++) append_argument(what, i, reply);
    shoal_buffer text = shoal_buffer_make(reply->out->allocator);
    if (shown < what->argc) {
        shoal_text_appendf(&text, "... (%u more arguments)", what->argc - shown);
        shoal_reply_bulk(reply, shoal_buffer_slice(&text));
        shoal_buffer_consume(&text, shoal_buffer_size(&text));
    }
    shoal_client__address(&session->options.peer, &text);
    shoal_reply_bulk(reply, shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
    shoal_reply_bulk(reply, shoal_buffer_slice(&session->name));
}

void shoal_timing__forget_oldest(shoal_worker *worker)
{
    shoal_timing *timing = &worker->timing;
    shoal_slow_entry *entry = timing->slow_oldest;
    SHOAL_ASSERT(entry != NULL && timing->slow_count > 0);
    timing->slow_oldest = entry->next;
    if (entry->next == NULL) timing->slow_youngest = NULL;
    timing->slow_count--;
    shoal_memory_give(&worker->env->allocator, entry, sizeof(*entry) + entry->size,
                      SHOAL_ALIGN_PLAIN);
}

/* Without memory for it a slow command goes unnoticed. */
static void log_slow(shoal_session *session, const shoal_timing_brief *what, int64_t took_ns,
                     uint64_t most)
{
    shoal_worker *worker = session->worker;
    shoal_timing *timing = &worker->timing;
    SHOAL_ASSERT((timing->slow_oldest == NULL) == (timing->slow_count == 0));
    shoal_buffer text = shoal_buffer_make(&worker->env->allocator);
    shoal_reply reply = {.out = &text, .protocol = 2};
    uint64_t id = shoal_add_relaxed(&worker->env->slow_id_next, 1);
    append_entry(session, what, id, took_ns, &reply);
    size_t size = shoal_buffer_size(&text);
    shoal_slow_entry *entry = NULL;
    if (!text.failed && most != 0)
        entry =
            shoal_memory_take(&worker->env->allocator, sizeof(*entry) + size, SHOAL_ALIGN_PLAIN);
    if (entry != NULL) {
        *entry = (shoal_slow_entry){.id = id, .size = size};
        memcpy(entry + 1, shoal_buffer_slice(&text).data, size);
        *(timing->slow_youngest != NULL ? &timing->slow_youngest->next : &timing->slow_oldest) =
            entry;
        timing->slow_youngest = entry;
        timing->slow_count++;
    }
    shoal_buffer_free(&text);
    while (timing->slow_count > most) shoal_timing__forget_oldest(worker);
}

/* ---- events ---- */

static void sample(shoal_worker *worker, shoal_latency_event event, int64_t ms)
{
    SHOAL_ASSERT(event < SHOAL_LATENCY__COUNT);
    shoal_latency_series **place = &worker->timing.series[event];
    if (*place == NULL)
        *place =
            shoal_memory_take_zeroed(&worker->env->allocator, sizeof(**place), SHOAL_ALIGN_PLAIN);
    shoal_latency_series *series = *place;
    if (series == NULL) return;
    int64_t wall_s = worker->now.wall_us / 1000000;
    shoal_latency_sample *last =
        &series->samples[(series->next + SHOAL_TIMING__SAMPLES - 1) % SHOAL_TIMING__SAMPLES];
    if (ms > series->ms_max) series->ms_max = ms;
    if (last->wall_s == wall_s) {
        if (ms > last->ms) last->ms = ms;
        return;
    }
    series->samples[series->next] = (shoal_latency_sample){wall_s, ms};
    series->next = (series->next + 1) % SHOAL_TIMING__SAMPLES;
}

/* ---- counting ---- */

/* `count` calls of what `what` and the entries behind it are took `took_ns` each. */
static void record(shoal_session *session, const shoal_timing_brief *what, uint32_t count,
                   int64_t took_ns)
{
    SHOAL_ASSERT(took_ns >= 0 && count > 0);
    shoal_worker *worker = session->worker;
    const shoal_env *env = worker->env;
    /* Those of this moment, which the command itself may have set. pair: env.settings */
    const shoal_settings *settings = shoal_load_acquire(&env->settings);
    if (env->host->clock_ns == NULL || !settings->timed) return;
    shoal_tally *tally = &worker->tallies[what->command->id];
    shoal_bump_relaxed(&tally->took_ns, (uint64_t)took_ns * count);
    shoal_timing_histogram *histogram = NULL;
    if (settings->latency_tracking) histogram = histogram_of(worker, tally);
    if (histogram != NULL) shoal_bump_relaxed(&histogram->counts[bucket_of(took_ns)], count);
    if (settings->slow_us >= 0 && took_ns / 1000 >= settings->slow_us &&
        (what->command->flags & SHOAL_FLAG_SKIP_SLOWLOG) == 0) {
        for (uint32_t i = 0; i < count; i++)
            log_slow(session, &what[i], took_ns, settings->slow_max);
    }
    if (settings->late_ms > 0 && took_ns / 1000000 >= settings->late_ms) {
        bool fast = (what->command->flags & SHOAL_FLAG_FAST) != 0;
        sample(worker, fast ? SHOAL_LATENCY__FAST_COMMAND : SHOAL_LATENCY__COMMAND,
               took_ns / 1000000);
    }
}

void shoal_timing__record(shoal_session *session, const shoal_timing_brief *what, int64_t took_ns)
{
    record(session, what, 1, took_ns);
}

/* ---- the clock ---- */

const uint8_t shoal_timing__brief_arguments[SHOAL_COMMAND_COUNT] = {
    [SHOAL_COMMAND_GET] = 4,       [SHOAL_COMMAND_SET] = 4,    [SHOAL_COMMAND_SETNX] = 4,
    [SHOAL_COMMAND_INCR] = 4,      [SHOAL_COMMAND_DECR] = 4,   [SHOAL_COMMAND_INCRBY] = 4,
    [SHOAL_COMMAND_DECRBY] = 4,    [SHOAL_COMMAND_STRLEN] = 4, [SHOAL_COMMAND_GETBIT] = 4,
    [SHOAL_COMMAND_HGET] = 4,      [SHOAL_COMMAND_HSET] = 4,   [SHOAL_COMMAND_HEXISTS] = 4,
    [SHOAL_COMMAND_HLEN] = 4,      [SHOAL_COMMAND_SADD] = 4,   [SHOAL_COMMAND_SREM] = 4,
    [SHOAL_COMMAND_SISMEMBER] = 4, [SHOAL_COMMAND_SCARD] = 4,  [SHOAL_COMMAND_LPUSH] = 4,
    [SHOAL_COMMAND_RPUSH] = 4,     [SHOAL_COMMAND_LLEN] = 4,   [SHOAL_COMMAND_ZADD] = 4,
    [SHOAL_COMMAND_ZSCORE] = 4,    [SHOAL_COMMAND_ZCARD] = 4,  [SHOAL_COMMAND_EXISTS] = 4,
    [SHOAL_COMMAND_TTL] = 4,       [SHOAL_COMMAND_PTTL] = 4,   [SHOAL_COMMAND_EXPIRE] = 4,
    [SHOAL_COMMAND_PEXPIRE] = 4,   [SHOAL_COMMAND_TYPE] = 4,   [SHOAL_COMMAND_PING] = 4,
    [SHOAL_COMMAND_LPOP] = 2,      [SHOAL_COMMAND_RPOP] = 2,
};

/* A reading, never before the last one. */
static int64_t read_clock(shoal_worker *worker)
{
    const shoal_host *host = worker->env->host;
    int64_t now = host->clock_ns(host->context);
    SHOAL_DEBUG_ASSERT(now > 0);
    return now > worker->timing.lap_ns ? now : worker->timing.lap_ns;
}

/* Reads the clock and gives the brief ones their shares: all the same, in whole nanoseconds, so
 * that the last ones have one more. Those of one command that follow each other are counted
 * together. */
static void share(shoal_session *session)
{
    shoal_worker *worker = session->worker;
    shoal_timing *timing = &worker->timing;
    uint32_t count = timing->brief_count;
    SHOAL_ASSERT(count > 0 && timing->lap_ns > 0);
    int64_t now = read_clock(worker), all = now - timing->lap_ns;
    int64_t part = all / count;
    uint32_t longer_from = count - (uint32_t)(all % count);
    timing->lap_ns = now;
    timing->brief_count = 0;
    for (uint32_t from = 0, i = 1; from < count; i++) {
        const shoal_timing_brief *first = &timing->brief[from];
        if (i < count && i != longer_from && timing->brief[i].command == first->command) continue;
        record(session, first, i - from, part + (from >= longer_from));
        from = i;
    }
}

int64_t shoal_timing__begin(shoal_session *session, bool shared)
{
    shoal_worker *worker = session->worker;
    shoal_timing *timing = &worker->timing;
    if (!shoal_timing__measures(worker)) return 0;
    SHOAL_DEBUG_ASSERT(timing->brief_count == 0 || timing->lap_ns > 0);
    if (timing->brief_count != 0 && !shared) share(session);
    if (timing->lap_ns == 0) timing->lap_ns = read_clock(worker);
    return timing->lap_ns;
}

void shoal_timing__end(shoal_session *session, const shoal_call *call, int64_t started_ns)
{
    shoal_worker *worker = session->worker;
    SHOAL_DEBUG_ASSERT(started_ns > 0 && worker->timing.lap_ns >= started_ns);
    const shoal_timing_brief what = {call->command, call->argc, call->argv};
    int64_t now = read_clock(worker);
    worker->timing.lap_ns = now;
    /* Of what travels, others know how long it takes; a transaction has parts that do. */
    if (session->errand == NULL) {
        record(session, &what, 1, now - started_ns);
    } else if (call->command->id == SHOAL_COMMAND_EXEC) {
        session->exec->parked = true;
        session->exec->took_ns += now - started_ns;
    }
}

void shoal_timing__share(shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(session->worker->inside);
    if (session->worker->timing.brief_count != 0) share(session);
}

void shoal_timing__lap(shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(session->worker->inside);
    shoal_timing__share(session);
    session->worker->timing.lap_ns = 0;
}

void shoal_timing__free(shoal_worker *worker)
{
    const shoal_allocator *allocator = &worker->env->allocator;
    SHOAL_ASSERT(worker->timing.brief_count == 0);
    while (worker->timing.slow_oldest != NULL) shoal_timing__forget_oldest(worker);
    for (uint32_t i = 0; i < SHOAL_LATENCY__COUNT; i++) {
        if (worker->timing.series[i] != NULL)
            shoal_memory_give(allocator, worker->timing.series[i], sizeof(shoal_latency_series),
                              SHOAL_ALIGN_PLAIN);
    }
    for (uint32_t i = 0; i < SHOAL_COMMAND_COUNT; i++) {
        shoal_timing_histogram *each = shoal_load_relaxed(&worker->tallies[i].histogram);
        if (each != NULL) shoal_memory_give(allocator, each, sizeof(*each), SHOAL_ALIGN_PLAIN);
    }
}
