/* SPDX-License-Identifier: MIT
 *
 * A process may die at every step of an election, of a failover by hand and of a synchronisation.
 * Each story runs once to count what one of its nodes does meanwhile. Then it runs again for each
 * of these steps and the node dies behind it, by the end of its process or of its power; it is
 * started again, and in the end the cluster must agree, cover its slots, have equal copies, have
 * broken no promise that the judges know of, and, where one of the story's nodes always has all
 * data, have lost nothing.
 *
 * Here a part of the steps is taken, spread over all of them; SHOAL_CRASH_STEPS=all takes each.
 */
#include "sim_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/internal.h"
#include "sim/trigger.h"

/* Steps that are taken of each story. Chosen: all stories take some seconds. */
#ifdef __SANITIZE_ADDRESS__
#define STEPS_TAKEN 2
#else
#define STEPS_TAKEN 24
#endif
#define TEXT_MAX 2048
/* No node does so much. */
#define NEVER UINT64_C(1000000000)
#define S INT64_C(1000000)

/* A story: who dies between which moments, and the schedule around it. */
typedef struct story {
    const char *name;
    const char *node;       /* who dies */
    int64_t from_us, to_us; /* its steps are counted between these */
    uint64_t steps_min;     /* fewer, and the story is not the one that it says it is */
    const char *cluster;    /* the lines before, and those from then on */
    const char *lines;
    const char *proof; /* when nobody dies, this holds: it is what it says it is */
} story;

#define ELECTION                                                       \
    "cluster nodes 6 masters 3 replicas 1 node_timeout 1s meet star\n" \
    "config * appendonly yes\nconfig * appendfsync always\n"           \
    "config * repl-diskless-sync-delay 0\n"                            \
    "0s net * latency 500us jitter 200us dist lognormal\n"             \
    "4s expect copies equal on n4..n6 within 4s\n"                     \
    "8s client c1 rate 60/s keys uniform(100) mix set:50,get:50 timeout 1s\n"
#define ELECTION_END                                   \
    "24s stop *\n"                                     \
    "24s expect converge within 18s\n"                 \
    "24s expect slots covered within 18s\n"            \
    "42s expect copies equal on replicas within 10s\n" \
    "53s end\n"
#define SYNC                                                           \
    "cluster nodes 2 masters 1 replicas 1 node_timeout 2s meet star\n" \
    "config * appendonly yes\nconfig * appendfsync always\n"           \
    "config * repl-diskless-sync-delay 0\n"                            \
    "config * repl-timeout 3\n"
#define SYNC_LOAD                                                   \
    "0s net * latency 500us jitter 200us dist lognormal split 5%\n" \
    "4s expect copies equal on n2 within 4s\n"                      \
    "8s client c1 rate 200/s keys uniform(300) mix set:70,incr:30 size 600 timeout 1s\n"
#define SYNC_END                                 \
    "28s stop *\n"                               \
    "28s expect converge within 12s\n"           \
    "40s expect copies equal on n2 within 10s\n" \
    "51s expect lost_acks <= 0\n"                \
    "52s end\n"

#define WON "16s expect role master on n4\n"
#define TURNED "12s expect role master on n4\n"
#define FULL "26s expect info sync_full >= 2 on n1\n"
#define PARTIAL "26s expect info sync_partial_ok >= 1 on n1\n26s expect info sync_full <= 1 on n1\n"
#define SMALL_BACKLOG SYNC "config * repl-backlog-size 16kb\n" SYNC_LOAD

static const story stories[] = {
    {"an election, the replica that wins", "n4", 10 * S, 14 * S, 200, ELECTION,
     "10s crash n1\n17s restart n4\n18s restart n1\n" ELECTION_END, WON},
    {"an election, a voter", "n2", 10 * S, 14 * S, 200, ELECTION,
     "10s crash n1\n17s restart n2\n18s restart n1\n" ELECTION_END, WON},
    {"an election, the old master as it comes back", "n1", 16 * S, 19 * S, 100, ELECTION,
     "10s crash n1\n16s restart n1\n20s restart n1\n" ELECTION_END, WON},
    {"a failover by hand, the master", "n1", 10 * S, 12 * S, 100, ELECTION,
     "10s operate n4 CLUSTER FAILOVER\n17s restart n1\n" ELECTION_END, TURNED},
    {"a failover by hand, the replica", "n4", 10 * S, 12 * S, 100, ELECTION,
     "10s operate n4 CLUSTER FAILOVER\n17s restart n4\n" ELECTION_END, TURNED},
    {"a full synchronisation, the master", "n1", 14 * S, 17 * S, 200, SMALL_BACKLOG,
     "9s cut n1 | n2\n14s heal n1 | n2\n20s restart n1\n" SYNC_END, FULL},
    {"a full synchronisation, the replica", "n2", 14 * S, 17 * S, 100, SMALL_BACKLOG,
     "9s cut n1 | n2\n14s heal n1 | n2\n20s restart n2\n" SYNC_END, FULL},
    {"a partial synchronisation, the master", "n1", 10 * S, 12 * S, 200, SYNC SYNC_LOAD,
     "10s reset n1 | n2\n20s restart n1\n" SYNC_END, PARTIAL},
    {"a partial synchronisation, the replica", "n2", 10 * S, 12 * S, 100, SYNC SYNC_LOAD,
     "10s reset n1 | n2\n20s restart n2\n" SYNC_END, PARTIAL},
};

/* How a node dies. */
static const char *const deaths[] = {"", " power disk torn", " power disk lost"};
#define DEATHS (sizeof deaths / sizeof deaths[0])

/* The schedule in which the node dies behind its step `step`. */
static void write_story(const story *of, uint64_t step, const char *death, char text[TEXT_MAX])
{
    int size =
        snprintf(text, TEXT_MAX, "schedule v1\nseed 51\n%s%lldms crash %s%s at event %llu\n%s%s",
                 of->cluster, (long long)(of->from_us / 1000), of->node, death,
                 (unsigned long long)step, of->lines, step == NEVER ? of->proof : "");
    assert_true(size > 0 && size < TEXT_MAX);
}

static void complain(const story *of, const shoal_world_result *result, const char *text)
{
    for (size_t i = 0; i < SHOAL_CHECK_COUNT; i++)
        if (result->checks[i].violated > 0) print_message("%s\n", result->checks[i].first);
    fail_msg("%s; the schedule is\n%s", of->name, text);
}

/* What the node does between the two moments, when nobody dies. */
static uint64_t count_steps(const story *of)
{
    char text[TEXT_MAX];
    shoal_schedule schedule;
    shoal_world_result result;
    write_story(of, NEVER, "", text);
    sim_parse(text, &schedule);
    shoal_world *world = sim_world(&schedule, 0);
    while (world->now_us < of->to_us && shoal_world_step(world)) continue;
    assert_int_equal(world->trigger_count, 1);
    uint64_t steps = NEVER - world->triggers[0].left;
    while (shoal_world_step(world)) continue;
    shoal_world_result_get(world, &result);
    if (result.violated) complain(of, &result, text);
    shoal_world_destroy(world);
    shoal_schedule_free(&schedule);
    return steps;
}

static void die_behind(const story *of, uint64_t step, const char *death)
{
    char text[TEXT_MAX];
    write_story(of, step, death, text);
    shoal_world_result result = sim_run(text, 0);
    if (result.violated) complain(of, &result, text);
}

static void tell_story(const story *of)
{
    const char *all = getenv("SHOAL_CRASH_STEPS");
    uint64_t steps = count_steps(of), taken = 0;
    uint64_t stride = all != NULL && strcmp(all, "all") == 0 ? 1 : steps / STEPS_TAKEN;
    assert_true(steps >= of->steps_min);
    if (stride == 0) stride = 1;
    for (uint64_t step = 1; step <= steps; step += stride) {
        /* Where each step is taken, each death is. */
        for (size_t i = 0; i < DEATHS; i++) {
            if (stride > 1 && i != taken % DEATHS) continue;
            die_behind(of, step, deaths[i]);
        }
        taken++;
    }
    assert_true(taken > 0);
    print_message("%s: %llu of %llu steps\n", of->name, (unsigned long long)taken,
                  (unsigned long long)steps);
}

static void who_dies_in_an_election_harms_nobody_for_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) tell_story(&stories[i]);
}

static void who_dies_in_a_failover_by_hand_harms_nobody_for_good(void **state)
{
    (void)state;
    for (size_t i = 3; i < 5; i++) tell_story(&stories[i]);
}

static void who_dies_in_a_full_synchronisation_loses_nothing(void **state)
{
    (void)state;
    for (size_t i = 5; i < 7; i++) tell_story(&stories[i]);
}

static void who_dies_in_a_partial_synchronisation_loses_nothing(void **state)
{
    (void)state;
    for (size_t i = 7; i < 9; i++) tell_story(&stories[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_dies_in_an_election_harms_nobody_for_good),
        cmocka_unit_test(who_dies_in_a_failover_by_hand_harms_nobody_for_good),
        cmocka_unit_test(who_dies_in_a_full_synchronisation_loses_nothing),
        cmocka_unit_test(who_dies_in_a_partial_synchronisation_loses_nothing),
    };
    return cmocka_run_group_tests_name("sim_crash_steps", tests, NULL, NULL);
}
