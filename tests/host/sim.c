/* SPDX-License-Identifier: MIT
 *
 * The host rules on the virtual host: two nodes of a vacant world, whose control actors are the
 * cases' own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/world.h"
#include "support/host_cases.h"

/* A schedule that only says how many nodes there are; deliveries are split often. */
static const char SCHEDULE[] = "schedule v1\n"
                               "cluster nodes 2 node_timeout 1s meet none\n"
                               "0s net * latency 300us jitter 200us dist lognormal split 30%\n";

typedef struct virtual_world {
    shoal_schedule schedule;
    shoal_world *world;
} virtual_world;

static void start(void *context, const shoal_case_start *how)
{
    virtual_world *all = context;
    shoal_host *host = shoal_world_mount(all->world, how->node, how->step, how->step_context);
    *how->host = *host;
}

/* The schedule's words start it. */
static void serve(void *context, uint32_t node)
{
    shoal_world *world = ((virtual_world *)context)->world;
    shoal_schedule_error error;
    shoal_world_node seen = {0};
    SHOAL_ASSERT(node == 1);
    shoal_err bad = shoal_world_act(world, (shoal_slice){"restart n2", 10}, &error);
    SHOAL_ASSERT(bad == SHOAL_ERR_OK);
    while (!seen.ready) {
        bool more = shoal_world_step(world);
        SHOAL_ASSERT(more);
        shoal_world_node_get(world, node, &seen);
    }
}

static shoal_address clients(void *context, uint32_t node)
{
    shoal_address at = shoal_world_address(((virtual_world *)context)->world, node);
    at.port = SHOAL_WORLD_PORT;
    return at;
}

static void stop(void *context, uint32_t node)
{
    shoal_world_kill(((virtual_world *)context)->world, node);
}

static shoal_address address(void *context, uint32_t node)
{
    return shoal_world_address(((virtual_world *)context)->world, node);
}

/* A port of a live machine that nobody listens on. */
static shoal_address nowhere(void *context)
{
    shoal_address nobody = address(context, 0);
    nobody.port++;
    return nobody;
}

static bool run(void *context, bool (*done)(void *), void *done_context, int64_t limit_us)
{
    shoal_world *world = ((virtual_world *)context)->world;
    int64_t until = shoal_world_now(world) + limit_us;
    while (!done(done_context)) {
        if (shoal_world_now(world) >= until) return false;
        if (!shoal_world_step(world)) {
            shoal_world_advance(world, until);
            return done(done_context);
        }
    }
    return true;
}

static void close_world(void *context)
{
    virtual_world *all = context;
    shoal_world_destroy(all->world);
    shoal_schedule_free(&all->schedule);
    free(all);
}

static shoal_case_world open_world(void)
{
    virtual_world *all = calloc(1, sizeof(*all));
    shoal_schedule_error error;
    SHOAL_ASSERT(all != NULL);
    shoal_err bad =
        shoal_schedule_parse((shoal_slice){SCHEDULE, sizeof(SCHEDULE) - 1}, &all->schedule, &error);
    SHOAL_ASSERT(bad == SHOAL_ERR_OK);
    shoal_world_options options = shoal_world_options_default();
    options.schedule = &all->schedule;
    options.vacant = true;
    bad = shoal_world_create(&options, &all->world);
    SHOAL_ASSERT(bad == SHOAL_ERR_OK);
    return (shoal_case_world){.context = all,
                              .start = start,
                              .stop = stop,
                              .serve = serve,
                              .clients = clients,
                              .address = address,
                              .nowhere = nowhere,
                              .run = run,
                              .close = close_world};
}

int main(void)
{
    return shoal_host_cases_run("host rules on the virtual host", open_world);
}
