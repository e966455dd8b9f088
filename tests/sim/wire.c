/* SPDX-License-Identifier: MIT
 *
 * Frames of the bus travel as values in the simulator, and as bytes where somebody asks for it or
 * a fault needs them: a run is the same either way, to the last record and the last occurrence.
 */
#include "sim_run.h"

#include "sim/internal.h"
#include "sim/vnode.h"

/* What a run is told apart by. */
typedef struct mark {
    uint64_t trace, events, records, sum;
} mark;

static mark run_as(const char *text, bool wire)
{
    shoal_schedule schedule;
    shoal_world *world = NULL;
    shoal_world_result result;
    shoal_world_options options = shoal_world_options_default();
    sim_parse(text, &schedule);
    options.schedule = &schedule;
    options.wire = wire;
    assert_int_equal(shoal_world_create(&options, &world), SHOAL_ERR_OK);
    shoal_world_run(world);
    shoal_world_result_get(world, &result);
    assert_false(result.violated);
    shoal_world_destroy(world);
    shoal_schedule_free(&schedule);
    return (mark){result.trace_hash, result.events, result.trace_records, result.event_hash};
}

/* Runs a text both ways and compares. */
static void same(const char *text)
{
    mark values = run_as(text, false), bytes = run_as(text, true);
    assert_true(values.records > 1000);
    assert_int_equal(values.records, bytes.records);
    assert_int_equal(values.events, bytes.events);
    assert_int_equal(values.trace, bytes.trace);
    assert_int_equal(values.sum, bytes.sum);
}

static void a_cluster_forms_and_loses_a_master_alike(void **state)
{
    (void)state;
    same("schedule v1\nseed 5\ncluster nodes 8 masters 4 replicas 1 node_timeout 2s meet star\n"
         "5s client c1 rate 50/s keys zipf(100,1.1) mix set:20,get:80 size 32 timeout 1s\n"
         "10s crash n1\n20s restart n1\n32s expect converge\n33s end\n");
}

static void slots_that_are_no_run_are_told_alike(void **state)
{
    (void)state;
    same("schedule v1\nseed 6\ncluster nodes 4 masters 3 node_timeout 2s meet chain\n"
         "6s operate n1 CLUSTER DELSLOTS 100 200 201 5000\n8s operate n2 CLUSTER BUMPEPOCH\n"
         "9s operate n1 CLUSTER ADDSLOTS 200\n20s end\n");
}

static void frames_that_arrive_in_parts_are_read_alike(void **state)
{
    (void)state;
    same("schedule v1\nseed 7\ncluster nodes 6 masters 3 replicas 1 node_timeout 2s meet star\n"
         "0s net * latency 1ms jitter 500us dist normal split 40% rate 100mbit\n"
         "8s cut n1 | n2\n12s heal *\n14s stall n3 -> n4 for 1s\n20s end\n");
}

static void frames_that_are_dropped_are_alike(void **state)
{
    (void)state;
    same("schedule v1\nseed 8\ncluster nodes 5 masters 3 node_timeout 2s meet star\n"
         "6s drop ping n1 -> n2 number 1 times 3\n15s end\n");
}

static void nodes_with_host_names_and_other_addresses_are_alike(void **state)
{
    (void)state;
    same("schedule v1\nseed 9\ncluster nodes 5 masters 3 node_timeout 2s meet star\n"
         "config n2 cluster-announce-hostname two.example\n"
         "6s readdress n3\n15s crash n1\n16s restart n1 disk empty\n30s end\n");
}

/* Steps of all nodes that have looked at more than a frame. */
static uint64_t settled(const shoal_world *world)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < world->node_count; i++) {
        sum += shoal_node_settled(world->nodes[i].node);
    }
    return sum;
}

/* Steps that do look at more do it for bytes, too, so that the tests above are those of it. */
static void a_quiet_cluster_looks_at_little_but_its_frames(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t steps = settled(world), events = world->events;
    shoal_world_advance(world, 40000000);
    assert_true(world->events - events > 4000);
    assert_true(settled(world) - steps > 1000);
    assert_true(settled(world) - steps < (world->events - events) / 2);
}

static int begin_quiet(void **state)
{
    return sim_bench_open(state,
                          "schedule v1\nseed 10\ncluster nodes 24 masters 12 replicas 1 "
                          "node_timeout 2s meet star\n50s end\n",
                          30000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_forms_and_loses_a_master_alike),
        cmocka_unit_test(slots_that_are_no_run_are_told_alike),
        cmocka_unit_test(frames_that_arrive_in_parts_are_read_alike),
        cmocka_unit_test(frames_that_are_dropped_are_alike),
        cmocka_unit_test(nodes_with_host_names_and_other_addresses_are_alike),
        cmocka_unit_test_setup_teardown(a_quiet_cluster_looks_at_little_but_its_frames, begin_quiet,
                                        sim_bench_close),
    };
    return cmocka_run_group_tests_name("sim_wire", tests, NULL, NULL);
}
