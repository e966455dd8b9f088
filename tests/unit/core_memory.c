/* SPDX-License-Identifier: MIT
 *
 * What a node tells of its memory: INFO, MEMORY STATS, DOCTOR, PURGE and MALLOC-STATS agree with
 * each other, with the store, and with what the host says; and the directives of active
 * defragmentation reach the store.
 */
#include "support/core_world.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "store/internal.h"

static core_world world;

static int open_world(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    core_world_open(&world, 1, "databases 3\n");
    core_world_start(&world);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    core_world_close(&world);
    return 0;
}

static const char *ask(const char *line)
{
    return core_world_ask(&world, 0, line);
}

static void contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) fail_msg("'%s' is not in: %s", part, text);
}

/* The number behind "name:" in INFO. */
static uint64_t info(const char *section, const char *name)
{
    char line[64], wanted[64];
    snprintf(line, sizeof line, "INFO %s", section);
    snprintf(wanted, sizeof wanted, "\n%s:", name);
    const char *at = strstr(ask(line), wanted);
    if (at == NULL) fail_msg("no %s in INFO %s", name, section);
    return strtoull(at + strlen(wanted), NULL, 10);
}

/* The integer behind a name in MEMORY STATS. */
static int64_t stat_of(const char *name)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "$%zu\r\n%s\r\n:", strlen(name), name);
    const char *at = strstr(ask("MEMORY STATS"), wanted);
    if (at == NULL) fail_msg("no %s in MEMORY STATS", name);
    return strtoll(at + strlen(wanted), NULL, 10);
}

static void put_keys(uint32_t count, const char *options)
{
    char line[96];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, "SET {%u}key:%u a-value-of-some-twenty-bytes%s", i % 64, i,
                 options);
        (void)ask(line);
    }
}

/* What a host with an allocator would say. */
static uint32_t purges;

static void purge(void *context)
{
    assert_ptr_equal(context, &world);
    purges++;
}

static void describe(void *context, shoal_buffer *text)
{
    assert_ptr_equal(context, &world);
    shoal_buffer_append(text, (shoal_slice){"and so on", 9});
}

/* How often it has measured; each time more has been resident, and the allocator's pages are
 * emptier. */
static uint32_t measurements;

static void measure(void *context, shoal_vitals *vitals, int64_t mono_us)
{
    assert_ptr_equal(context, &world);
    assert_int_equal(mono_us, world.node->now.mono_us);
    measurements++;
    vitals->rss_bytes = (uint64_t)measurements << 20;
    vitals->allocator_active = vitals->allocator_allocated + ((uint64_t)measurements << 10);
}

static void tell(uint64_t beyond)
{
    shoal_store_stats stats;
    shoal_store_stats_get(world.node->store, &stats);
    shoal_vitals vitals = {.allocator_name = "nobody-1.0"};
    vitals.allocator_allocated = stats.bytes_arrays + stats.bytes + stats.bytes_queues;
    vitals.allocator_allocated += stats.bytes_slabs_free + stats.bytes_charged;
    vitals.allocator_active = vitals.allocator_allocated + beyond;
    vitals.allocator_resident = vitals.allocator_active + beyond;
    vitals.rss_bytes = vitals.allocator_resident - stats.bytes_arrays + beyond;
    vitals.context = &world;
    vitals.purge = purge;
    vitals.describe = describe;
    shoal_node_set_vitals(world.node, &vitals);
}

/* ---- figures ---- */

static void info_and_stats_say_the_same(void **state)
{
    (void)state;
    put_keys(3000, "");
    assert_int_equal(info("memory", "used_memory"), stat_of("total.allocated"));
    assert_int_equal(info("memory", "used_memory_peak"), stat_of("peak.allocated"));
    assert_int_equal(info("memory", "used_memory_overhead"), stat_of("overhead.total"));
    assert_int_equal(info("memory", "used_memory_dataset"), stat_of("dataset.bytes"));
    assert_int_equal(info("memory", "used_memory_startup"), stat_of("startup.allocated"));
    assert_int_equal(stat_of("keys.count"), 3000);
    assert_in_range(stat_of("keys.bytes-per-key"), 50, 80);
    assert_true(info("memory", "mem_clients_normal") > 100);
    assert_int_equal(info("memory", "active_defrag_running"), 0);
}

static void the_log_of_effects_is_used_and_not_what_maxmemory_is_about(void **state)
{
    (void)state;
    uint64_t used = info("memory", "used_memory"),
             left = info("memory", "mem_not_counted_for_evict");
    uint64_t log = shoal_log_memory(world.node->log);
    shoal_log_want(world.node->log, 1);
    for (uint32_t i = 0; i < 3000; i++) (void)ask("SET k a-value-of-some-twenty-bytes");
    uint64_t grown = shoal_log_memory(world.node->log) - log;
    assert_true(grown > 100000);
    assert_in_range(info("memory", "used_memory"), used + grown, used + grown + 10000);
    assert_in_range(info("memory", "mem_not_counted_for_evict"), left + grown, left + grown + 5000);
    assert_int_equal(info("memory", "mem_replication_backlog"), stat_of("replication.backlog"));
    assert_int_equal(info("memory", "mem_clients_slaves"), stat_of("clients.slaves"));
    assert_int_equal(info("memory", "mem_aof_buffer"), stat_of("aof.buffer"));
    shoal_log_want(world.node->log, -1);
}

/* Who looks while others write may see what a thread has retired, and not yet that there was room
 * for it; here a thread that was interrupted between the two. */
static void what_others_have_half_done_does_not_stop_who_looks(void **state)
{
    (void)state;
    _Atomic int64_t *limbo = &world.node->store->threads[0].counters.bytes_limbo;
    shoal_store_stats stats;
    put_keys(10, "");
    shoal_bump_relaxed(limbo, (int64_t)1 << 40);
    shoal_store_stats_get(world.node->store, &stats);
    assert_true(stats.bytes > 0 && stats.bytes_limbo == stats.bytes);
    core_world_sleep(&world, 1100000);
    assert_true(info("memory", "used_memory") >= stats.bytes);
    assert_true(stat_of("total.allocated") > 0);
    shoal_bump_relaxed(limbo, -((int64_t)1 << 40));
    shoal_store_stats_get(world.node->store, &stats);
    assert_true(stats.bytes_limbo < stats.bytes);
}

static void databases_with_keys_are_listed_with_their_tables(void **state)
{
    (void)state;
    contains(ask("MEMORY STATS"), "*54\r\n");
    put_keys(1000, "");
    (void)ask("SELECT 2");
    put_keys(1000, " EX 100");
    contains(ask("MEMORY STATS"), "*58\r\n");
    contains(ask("MEMORY STATS"), "$4\r\ndb.0\r\n*6\r\n");
    contains(ask("MEMORY STATS"), "$4\r\ndb.2\r\n*6\r\n");
    contains(ask("MEMORY STATS"), "$26\r\noverhead.hashtable.expires\r\n:6000\r\n");
    contains(ask("HELLO 3"), "%7");
    contains(ask("MEMORY STATS"), "%29\r\n");
}

static void what_the_allocator_has_free_in_slabs_is_fragmentation(void **state)
{
    (void)state;
    put_keys(3000, "");
    core_world_sleep(&world, 100000);
    /* What the command itself takes may be the first of a block, which is there from then on. */
    (void)stat_of("total.allocated");
    tell(0);
    assert_int_equal(stat_of("allocator.allocated"), stat_of("total.allocated"));
    uint64_t waste = info("memory", "shoal_memory_slabs_free");
    assert_int_equal(stat_of("allocator-fragmentation.bytes"), waste);
    assert_int_equal(info("memory", "allocator_frag_bytes"), waste);
    tell(1000);
    assert_int_equal(stat_of("allocator-fragmentation.bytes"), waste + 1000);
    assert_int_equal(stat_of("allocator-rss.bytes"), 1000);
    assert_int_equal(info("memory", "allocator_rss_bytes"), 1000);
    assert_int_equal(stat_of("rss-overhead.bytes"), 1000);
    contains(ask("INFO memory"), "mem_allocator:nobody-1.0\r\n");
}

static void memory_comes_down_with_the_keys_and_the_peak_stays(void **state)
{
    (void)state;
    put_keys(3000, "");
    core_world_sleep(&world, 2000000);
    uint64_t peak = info("memory", "used_memory_peak");
    (void)ask("FLUSHALL");
    core_world_sleep(&world, 2000000);
    assert_true(info("memory", "used_memory") <= info("memory", "used_memory_startup") + 4096);
    assert_true(info("memory", "used_memory_peak") > peak / 2);
    assert_true(info("memory", "shoal_memory_slabs") <= 16384);
}

/* ---- words ---- */

static void the_doctor_names_what_is_wrong(void **state)
{
    (void)state;
    contains(ask("MEMORY DOCTOR"), "hardly any data");
    char line[96];
    for (uint32_t i = 0; i < 700; i++) {
        snprintf(line, sizeof line, "SETRANGE large:%u 7999 x", i);
        (void)ask(line);
    }
    contains(ask("MEMORY DOCTOR"), "Nothing is wrong");
    tell(64u << 20);
    contains(ask("MEMORY DOCTOR"), "Fragmentation");
    contains(ask("MEMORY DOCTOR"), "Process");
}

static void purge_and_malloc_stats_ask_the_host_where_it_knows(void **state)
{
    (void)state;
    purges = 0;
    assert_string_equal(ask("MEMORY PURGE"), "+OK\r\n");
    assert_int_equal(purges, 0);
    put_keys(100, "");
    contains(ask("MEMORY MALLOC-STATS"), "\n      64 ");
    tell(0);
    assert_string_equal(ask("MEMORY PURGE"), "+OK\r\n");
    assert_int_equal(purges, 1);
    contains(ask("MEMORY MALLOC-STATS"), "and so on\r\n");
}

static void the_host_measures_for_who_asks_and_for_nobody_else(void **state)
{
    (void)state;
    shoal_vitals vitals = {.context = &world, .measure = measure};
    measurements = 0;
    shoal_node_set_vitals(world.node, &vitals);
    (void)ask("SET a b");
    core_world_sleep(&world, 3000000);
    assert_int_equal(measurements, 0);
    assert_int_equal(info("memory", "used_memory_rss"), 1 << 20);
    assert_int_equal(info("memory", "used_memory_rss"), 2 << 20);
    (void)ask("MEMORY STATS");
    assert_int_equal(measurements, 3);
}

/* What the allocator wastes is looked at each second, whether or not anybody asks for INFO. */
static void active_defragmentation_does_not_go_by_what_was_once_measured(void **state)
{
    (void)state;
    shoal_vitals vitals = {.context = &world, .measure = measure};
    const _Atomic uint64_t *waste = &world.node->store->defrag.outer_bytes;
    measurements = 0;
    shoal_node_set_vitals(world.node, &vitals);
    assert_string_equal(ask("CONFIG SET activedefrag yes"), "+OK\r\n");
    assert_int_equal(measurements, 1);
    for (uint32_t i = 2; i < 5; i++) {
        core_world_sleep(&world, 1000001);
        (void)ask("PING");
        assert_int_equal(measurements, i);
        assert_int_equal(shoal_load_relaxed(waste), i << 10);
    }
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    assert_string_equal(ask("MEMORY STATS x"),
                        "-ERR wrong number of arguments for 'memory|stats' command\r\n");
    contains(ask("MEMORY NONE"), "-ERR unknown subcommand 'NONE'. Try MEMORY HELP.");
}

/* ---- defragmentation ---- */

/* So many milliseconds, in each of which the worker has a round. */
static void pass_time(uint32_t milliseconds)
{
    for (uint32_t i = 0; i < milliseconds; i++) {
        core_world_sleep(&world, 1000);
        (void)ask("PING");
    }
}

static void the_directives_of_active_defragmentation_take_effect(void **state)
{
    (void)state;
    char line[64];
    put_keys(20000, "");
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(line, sizeof line, "DEL {%u}key:%u", i % 64, i);
        if (i % 8 != 0) (void)ask(line);
    }
    pass_time(100);
    uint64_t before = info("memory", "shoal_memory_slabs");
    assert_int_equal(info("stats", "active_defrag_hits"), 0);
    assert_string_equal(ask("CONFIG SET active-defrag-ignore-bytes 1 active-defrag-cycle-max 50"),
                        "+OK\r\n");
    assert_string_equal(ask("CONFIG SET activedefrag yes"), "+OK\r\n");
    pass_time(2000);
    uint64_t after = info("memory", "shoal_memory_slabs");
    assert_true(after < before / 2);
    assert_true(info("stats", "active_defrag_hits") > 1000);
    assert_true(info("stats", "active_defrag_key_hits") > 1000);
    assert_true(info("stats", "total_active_defrag_time") > 0);
    assert_int_equal(info("memory", "active_defrag_running"), 0);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        FACT(info_and_stats_say_the_same),
        FACT(the_log_of_effects_is_used_and_not_what_maxmemory_is_about),
        FACT(what_others_have_half_done_does_not_stop_who_looks),
        FACT(databases_with_keys_are_listed_with_their_tables),
        FACT(what_the_allocator_has_free_in_slabs_is_fragmentation),
        FACT(memory_comes_down_with_the_keys_and_the_peak_stays),
        FACT(the_doctor_names_what_is_wrong),
        FACT(purge_and_malloc_stats_ask_the_host_where_it_knows),
        FACT(the_host_measures_for_who_asks_and_for_nobody_else),
        FACT(active_defragmentation_does_not_go_by_what_was_once_measured),
        FACT(wrong_words_are_refused),
        FACT(the_directives_of_active_defragmentation_take_effect),
    };
    return cmocka_run_group_tests_name("core_memory", tests, NULL, NULL);
}
