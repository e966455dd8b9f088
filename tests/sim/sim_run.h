/* SPDX-License-Identifier: MIT
 *
 * tests/sim/sim_run.h - what the tests of the simulator share: schedules from strings, worlds that
 * run to their end.
 */
#ifndef SHOAL_TESTS_SIM_RUN_H
#define SHOAL_TESTS_SIM_RUN_H

#include "support/test.h"

#include <string.h>

#include "sim/memory.h"
#include "sim/world.h"

/* Reads a schedule that must be right. */
static inline void sim_parse(const char *text, shoal_schedule *schedule)
{
    shoal_schedule_error error;
    shoal_err result = shoal_schedule_parse((shoal_slice){text, strlen(text)}, schedule, &error);
    if (result != SHOAL_ERR_OK) {
        fail_msg("line %u column %u: %s", error.line, error.column, error.message);
    }
}

/* Fails unless a text is refused at this place with these words somewhere in the message. */
static inline void sim_refused(const char *text, uint32_t line, uint32_t column, const char *words)
{
    shoal_schedule schedule;
    shoal_schedule_error error;
    shoal_err result = shoal_schedule_parse((shoal_slice){text, strlen(text)}, &schedule, &error);
    assert_int_equal(result, SHOAL_ERR_MALFORMED);
    if (error.line != line || error.column != column || strstr(error.message, words) == NULL) {
        fail_msg("found %u:%u: %s", error.line, error.column, error.message);
    }
}

/* A world over a schedule that lives at least as long. */
static inline shoal_world *sim_world(const shoal_schedule *schedule, int poison)
{
    shoal_world *world = NULL;
    shoal_world_options options = shoal_world_options_default();
    options.schedule = schedule;
    options.poison = poison;
    assert_int_equal(shoal_world_create(&options, &world), SHOAL_ERR_OK);
    return world;
}

/* A world with the schedule that it stands on, for a test's state. */
typedef struct sim_bench {
    shoal_schedule schedule;
    shoal_world *world;
} sim_bench;

/* Makes one of a text, and lets it be until so many microseconds. */
static inline int sim_bench_open(void **state, const char *text, int64_t until_us)
{
    sim_bench *bench = shoal_sim__allocate(sizeof(*bench));
    sim_parse(text, &bench->schedule);
    bench->world = sim_world(&bench->schedule, -1);
    shoal_world_advance(bench->world, until_us);
    *state = bench;
    return 0;
}

static inline int sim_bench_close(void **state)
{
    sim_bench *bench = *state;
    shoal_world_destroy(bench->world);
    shoal_schedule_free(&bench->schedule);
    shoal_sim__free(bench);
    return 0;
}

/* The world of a test that has one. */
static inline shoal_world *sim_bench_world(void **state)
{
    return ((sim_bench *)*state)->world;
}

/* Runs a text to its end and returns what came of it (without the borrowed expectations). */
static inline shoal_world_result sim_run(const char *text, int poison)
{
    shoal_schedule schedule;
    shoal_world_result result;
    sim_parse(text, &schedule);
    shoal_world *world = sim_world(&schedule, poison);
    shoal_world_run(world);
    shoal_world_result_get(world, &result);
    for (uint32_t i = 0; i < result.expect_count; i++) {
        if (!result.expects[i].held)
            print_message("line %u: %s\n", result.expects[i].line, result.expects[i].words);
    }
    result.expects = NULL;
    shoal_world_destroy(world);
    shoal_schedule_free(&schedule);
    return result;
}

#endif
