/* SPDX-License-Identifier: MIT
 *
 * Replays a trace through the store, at limits of keys or of bytes, and prints miss ratios beside
 * those of exact LRU, of S3-FIFO as published, and of Belady's, simulated for the same capacity:
 *
 *     hits TRACE [--by keys|bytes] [--sizes 0.01,0.1] [--policies allkeys-lru,allkeys-s3fifo]
 *
 * A trace is a sequence of pairs of little-endian 32-bit numbers: a key, dense and in the order of
 * first use, and the object's size in bytes. It is read from standard input when TRACE is `-`.
 * Sizes are parts of what the whole trace asks for. By bytes, an object of the simulated caches
 * costs what it costs in the store, table included.
 *
 * Output: a line for each policy and size, with tabs: by, size, capacity, policy, requests, misses,
 * ratio.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "store/limits.h"
#include "store/policy.h"
#include "store/store.h"

/* Requests a second; keys become older by arrivals, not by time, so that it matters little. */
#define REQUESTS_A_SECOND 100000
#define SIZES_MAX 32
#define NAME_MAX_BYTES 24
#define REQUEST_BYTES 8

/* What is asked for. */
typedef struct hits_plan {
    bool by_bytes;
    double sizes[SIZES_MAX];
    size_t size_count;
    const char *policies;
    const char *effort;
} hits_plan;

/* What a run of the store gave. */
typedef struct outcome {
    uint64_t misses;
    double each; /* bytes of a key beyond its value, at the end */
} outcome;

static void die(const char *what)
{
    (void)fprintf(stderr, "hits: %s\n", what);
    exit(2);
}

/* ---- reading ---- */

static uint32_t little_endian(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void add_request(hits_trace *out, size_t *room, uint32_t id, uint32_t size)
{
    if (out->count == *room) {
        *room = *room ? *room * 2 : 1 << 16;
        out->ids = realloc(out->ids, *room * sizeof(uint32_t));
        out->sizes = realloc(out->sizes, *room * sizeof(uint32_t));
        if (out->ids == NULL || out->sizes == NULL) die("out of memory");
    }
    out->ids[out->count] = id;
    out->sizes[out->count++] = size;
    if (id >= out->keys) out->keys = id + 1;
}

static hits_trace read_trace(const char *path)
{
    hits_trace out = {0};
    size_t room = 0;
    unsigned char pair[REQUEST_BYTES];
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (file == NULL) die("cannot open the trace");
    while (fread(pair, sizeof pair, 1, file) == 1) {
        add_request(&out, &room, little_endian(pair), little_endian(pair + 4));
    }
    if (file != stdin) (void)fclose(file);
    if (out.count == 0) die("the trace is empty");
    return out;
}

/* ---- the store ---- */

/* One put on its way through its gate. */
typedef struct write {
    shoal_gate_op gate; /* first */
    shoal_key key;
    shoal_slice value;
} write;

static void run_put(shoal_op *op, void *runner)
{
    write *what = (write *)op;
    if (shoal_store_put_locked(runner, &what->key, what->value, -1) != SHOAL_ERR_OK)
        die("a value does not fit");
}

static void put(shoal_thread *thread, const shoal_key *key, shoal_slice value)
{
    write what = {.key = *key, .value = value};
    what.gate = (shoal_gate_op){.op = {.run = run_put}, .places = &what.key.place, .count = 1};
    if (!shoal_gate_try(thread, &what.gate)) die("a gate is held");
}

static shoal_slice name_of(uint32_t id, char *out)
{
    int size = snprintf(out, NAME_MAX_BYTES, "key:%010u", id);
    return (shoal_slice){out, (size_t)size};
}

/* Replays the requests. Returns the misses. */
static uint64_t replay_requests(shoal_store *store, const hits_trace *trace, const char *bytes)
{
    shoal_thread *thread = shoal_store_thread(store, 0);
    char name[NAME_MAX_BYTES];
    uint64_t misses = 0;
    for (size_t i = 0; i < trace->count; i++) {
        int64_t now_us = (int64_t)(i * (1000000 / REQUESTS_A_SECOND)) + 1;
        shoal_thread_enter(thread, (shoal_time){.mono_us = now_us, .wall_us = now_us});
        shoal_key key = shoal_key_make(store, 0, name_of(trace->ids[i], name));
        if (shoal_store_get(thread, &key) == NULL) {
            misses++;
            put(thread, &key, (shoal_slice){bytes, trace->sizes[i]});
        }
        shoal_thread_leave(thread);
    }
    return misses;
}

/* The sum of the values that are in the store, by a walk. */
static void add_size(void *context, const shoal_item *item)
{
    *(uint64_t *)context += shoal_item_string_size(item);
}

static double overhead(shoal_store *store)
{
    shoal_thread *thread = shoal_store_thread(store, 0);
    uint64_t values = 0;
    uint64_t cursor = 0;
    const shoal_scan scan = {.slot_last = SHOAL_SLOTS - 1, .count = 1u << 30};
    shoal_store_stats stats;
    shoal_thread_enter(thread, shoal_thread_now(thread));
    shoal_store_scan(thread, &scan, &cursor, add_size, &values);
    shoal_thread_leave(thread);
    shoal_store_stats_get(store, &stats);
    return stats.keys == 0
               ? 0
               : (double)(stats.bytes - stats.bytes_limbo - values) / (double)stats.keys;
}

static outcome replay(const hits_trace *trace, const char *policy, const hits_plan *plan,
                      uint64_t capacity, const char *bytes)
{
    shoal_store *store;
    const shoal_store_options options = {.allocator = shoal_allocator_default(),
                                         .threads = 1,
                                         .databases = 1,
                                         .owned = true};
    if (shoal_store_create(&options, &store) != SHOAL_ERR_OK) die("out of memory");
    shoal_limits limits = shoal_limits_default();
    limits.policy = shoal_policy_named((shoal_slice){policy, strlen(policy)});
    if (limits.policy == NULL) die("unknown policy");
    if (plan->effort != NULL) limits.effort = (uint32_t)atoi(plan->effort);
    if (plan->by_bytes) {
        limits.bytes = capacity;
    } else {
        limits.keys = capacity;
    }
    shoal_store_set_limits(store, &limits);
    outcome out = {.misses = replay_requests(store, trace, bytes)};
    out.each = overhead(store);
    shoal_store_destroy(store);
    return out;
}

/* ---- tables ---- */

/* Of how much a replay could hold. */
typedef struct hits_size {
    bool by_bytes;
    double part; /* of what the trace asks for */
    uint64_t total;
} hits_size;

static void print_line(const hits_size *size, const char *policy, const hits_trace *trace,
                       uint64_t misses)
{
    printf("%s\t%g\t%llu\t%s\t%zu\t%llu\t%.6f\n", size->by_bytes ? "bytes" : "keys", size->part,
           (unsigned long long)size->total, policy, trace->count, (unsigned long long)misses,
           (double)misses / (double)trace->count);
    (void)fflush(stdout);
}

/* What the whole trace asks for: keys, or bytes with what a key costs in the store. */
static uint64_t footprint(const hits_trace *trace, const hits_plan *plan, const char *bytes,
                          uint32_t largest)
{
    if (!plan->by_bytes) return trace->keys;
    outcome all = replay(trace, "noeviction", plan, 0, bytes);
    uint64_t total = 0;
    uint32_t seen = 0;
    for (size_t i = 0; i < trace->count; i++) {
        if (trace->ids[i] != seen) continue;
        seen++;
        total += trace->sizes[i];
    }
    (void)largest;
    return total + (uint64_t)(all.each * trace->keys);
}

static void compare(const hits_trace *trace, const hits_plan *plan, double size, uint64_t whole,
                    const char *bytes)
{
    uint64_t total = (uint64_t)((double)whole * size);
    if (total == 0) total = 1;
    hits_capacity exact = {.total = total, .each = 1};
    hits_size held = {.by_bytes = plan->by_bytes, .part = size, .total = total};
    char *policies = strdup(plan->policies);
    char *rest = NULL;
    for (char *name = strtok_r(policies, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        outcome out = replay(trace, name, plan, total, bytes);
        if (plan->by_bytes) exact = (hits_capacity){total, (uint64_t)out.each, 1};
        print_line(&held, name, trace, out.misses);
    }
    free(policies);
    print_line(&held, "lru-exact", trace, exact_lru(trace, exact));
    print_line(&held, "s3fifo-published", trace, exact_s3fifo(trace, exact));
    print_line(&held, "belady", trace, exact_belady(trace, exact));
}

static void read_sizes(hits_plan *plan, char *text)
{
    char *rest = NULL;
    plan->size_count = 0;
    for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        if (plan->size_count == SIZES_MAX) die("too many sizes");
        plan->sizes[plan->size_count++] = strtod(one, NULL);
    }
}

int main(int argc, char **argv)
{
    hits_plan plan = {.sizes = {0.001, 0.01, 0.05, 0.1, 0.2, 0.4},
                      .size_count = 6,
                      .policies = "allkeys-lru,allkeys-lfu,allkeys-s3fifo"};
    if (argc < 2) die("hits TRACE [--by keys|bytes] [--sizes LIST] [--policies LIST] [--effort N]");
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--by") == 0) plan.by_bytes = strcmp(argv[i + 1], "bytes") == 0;
        if (strcmp(argv[i], "--sizes") == 0) read_sizes(&plan, argv[i + 1]);
        if (strcmp(argv[i], "--policies") == 0) plan.policies = argv[i + 1];
        if (strcmp(argv[i], "--effort") == 0) plan.effort = argv[i + 1];
    }
    hits_trace trace = read_trace(argv[1]);
    uint32_t largest = 1;
    for (size_t i = 0; i < trace.count; i++) {
        if (trace.sizes[i] > largest) largest = trace.sizes[i];
    }
    char *bytes = malloc(largest);
    if (bytes == NULL) die("out of memory");
    memset(bytes, 'x', largest);
    uint64_t whole = footprint(&trace, &plan, bytes, largest);
    for (size_t i = 0; i < plan.size_count; i++) {
        compare(&trace, &plan, plan.sizes[i], whole, bytes);
    }
    free(bytes);
    free(trace.ids);
    free(trace.sizes);
    return 0;
}
