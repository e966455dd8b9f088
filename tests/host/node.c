/* SPDX-License-Identifier: MIT
 *
 * The host rules on the real host: two control actors on threads of their own, their buses on
 * loopback, their files in a fresh directory.
 */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "node/clock.h"
#include "node/control.h"
#include "node/lane.h"
#include "node/memory.h"
#include "node/sockets.h"
#include "support/host_cases.h"

typedef struct real_node {
    shoal_watch watch; /* first: the bus listener's */
    shoal_control *control;
    pthread_t thread;
    int listener;
    uint16_t port;
    bool running;
    /* Where the engine's own node runs. */
    shoal_node *node;
    shoal_lane *lane;
    shoal_watch client_watch;
    int client_listener;
} real_node;

typedef struct real_world {
    shoal_allocator allocator;
    char directory[64];
    real_node nodes[SHOAL_CASE_NODES];
} real_world;

/* Listens on loopback at `port`, 0 for any. */
static int listen_at(uint16_t port)
{
    shoal_listen_options options = {.ip = "127.0.0.1", .port = port, .backlog = 64};
    int listener = shoal_socket__listen(&options);
    SHOAL_ASSERT(listener >= 0);
    return listener;
}

static void accept_ready(shoal_watch *watch, uint32_t events)
{
    (void)events;
    real_node *node = (real_node *)watch;
    int descriptor;
    while ((descriptor = accept4(node->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        shoal_control__accept_link(node->control, descriptor);
    }
}

static void *run_control(void *argument)
{
    real_node *node = argument;
    shoal_control__run(node->control);
    return NULL;
}

static void nudge_lane(void *owner, uint32_t index)
{
    const real_node *node = owner;
    SHOAL_ASSERT(index == 0);
    if (node->lane) shoal_lane__nudge(node->lane);
}

/* Makes the control of a node, with `how->host` filled. */
static void make_control(real_world *world, const shoal_case_start *how)
{
    real_node *node = &world->nodes[how->node];
    SHOAL_ASSERT(!node->running);
    char path[128];
    char path_new[128];
    snprintf(path, sizeof path, "%s/nodes-%u.conf", world->directory, how->node);
    snprintf(path_new, sizeof path_new, "%s/nodes-%u.conf.tmp", world->directory, how->node);
    shoal_control_options options = {.allocator = &world->allocator,
                                     .step = how->step,
                                     .step_context = how->step_context,
                                     .directory = world->directory,
                                     .owner = node,
                                     .nudge_worker = nudge_lane};
    options.files[SHOAL_FILE_NODES] = path;
    options.files[SHOAL_FILE_NODES_NEW] = path_new;
    shoal_err error = shoal_control__create(&options, &node->control);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    *how->host = shoal_control__host(node->control);
    if (node->listener < 0) node->listener = listen_at(node->port);
    node->watch.ready = accept_ready;
    shoal_control__watch(node->control, node->listener, &node->watch, true);
}

static void run_node(real_node *node)
{
    int failed = pthread_create(&node->thread, NULL, run_control, node);
    SHOAL_ASSERT(!failed);
    node->running = true;
}

static void world_start(void *context, const shoal_case_start *start)
{
    real_world *world = context;
    make_control(world, start);
    run_node(&world->nodes[start->node]);
}

/* ---- the engine's own node ---- */

static int64_t step_node(void *context, const shoal_event *event)
{
    return shoal_node_step(((real_node *)context)->node, event);
}

static void accept_client(shoal_watch *watch, uint32_t events)
{
    (void)events;
    const real_node *node = (real_node *)((char *)watch - offsetof(real_node, client_watch));
    int descriptor;
    while ((descriptor =
                accept4(node->client_listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        bool taken = shoal_lane__adopt(node->lane, descriptor, false);
        SHOAL_ASSERT(taken);
    }
}

static bool node_is_ready(void *context)
{
    return shoal_node_ready(((const real_node *)context)->node);
}

static bool world_run(void *context, bool (*done)(void *), void *done_context, int64_t limit_us);

static void world_serve(void *context, uint32_t index)
{
    static const char text[] = "save \"\"\nprotected-mode no\n";
    real_world *world = context;
    real_node *node = &world->nodes[index];
    shoal_host host;
    shoal_case_start how = {.node = index, .step = step_node, .step_context = node, .host = &host};
    make_control(world, &how);
    shoal_node_options options = shoal_node_options_default();
    options.allocator = world->allocator;
    options.host = host;
    options.now.mono_us = shoal_clock_read(CLOCK_MONOTONIC);
    options.now.wall_us = shoal_clock_read(CLOCK_REALTIME);
    shoal_err error = shoal_node_create(&options, &node->node);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    shoal_buffer complaint = shoal_buffer_make(&world->allocator);
    error =
        shoal_node_configure(node->node, (shoal_slice){text, sizeof text - 1}, "test", &complaint);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    shoal_buffer_free(&complaint);
    shoal_lane_options lane = {.allocator = &world->allocator,
                               .worker = shoal_node_worker(node->node, 0),
                               .busy = shoal_control__busy(node->control)};
    error = shoal_lane__start(&lane, &node->lane);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    node->client_listener = listen_at(0);
    node->client_watch.ready = accept_client;
    shoal_control__watch(node->control, node->client_listener, &node->client_watch, true);
    run_node(node);
    bool ready = world_run(world, node_is_ready, node, INT64_C(10000000));
    SHOAL_ASSERT(ready);
}

static shoal_address world_clients(void *context, uint32_t index)
{
    return shoal_socket__local(((const real_world *)context)->nodes[index].client_listener);
}

static void world_stop(void *context, uint32_t index)
{
    real_world *world = context;
    real_node *node = &world->nodes[index];
    SHOAL_ASSERT(node->running);
    shoal_control__stop(node->control);
    pthread_join(node->thread, NULL);
    close(node->listener);
    node->listener = -1;
    if (node->node) {
        close(node->client_listener);
        shoal_lane__stop(node->lane);
        shoal_node_destroy(node->node);
        shoal_lane__free(node->lane);
        node->node = NULL;
        node->lane = NULL;
    }
    shoal_control__destroy(node->control, false);
    node->running = false;
}

static shoal_address world_address(void *context, uint32_t index)
{
    const real_world *world = context;
    shoal_address address = {.ip = "127.0.0.1", .port = world->nodes[index].port};
    return address;
}

/* A port that was free a moment ago. */
static shoal_address world_nowhere(void *context)
{
    (void)context;
    int listener = listen_at(0);
    shoal_address address = shoal_socket__local(listener);
    close(listener);
    return address;
}

static bool world_run(void *context, bool (*done)(void *), void *done_context, int64_t limit_us)
{
    (void)context;
    int64_t end = shoal_clock_read(CLOCK_MONOTONIC) + limit_us;
    while (!done(done_context)) {
        if (shoal_clock_read(CLOCK_MONOTONIC) > end) return false;
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    return true;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void world_close(void *context)
{
    real_world *world = context;
    for (uint32_t i = 0; i < SHOAL_CASE_NODES; i++) {
        if (world->nodes[i].running) world_stop(world, i);
        if (world->nodes[i].listener >= 0) close(world->nodes[i].listener);
    }
    nftw(world->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(world);
}

static shoal_case_world world_open(void)
{
    real_world *world = calloc(1, sizeof *world);
    SHOAL_ASSERT(world != NULL);
    world->allocator = shoal_memory_allocator();
    snprintf(world->directory, sizeof world->directory, "/tmp/shoal-host-XXXXXX");
    char *made = mkdtemp(world->directory);
    SHOAL_ASSERT(made != NULL);
    for (uint32_t i = 0; i < SHOAL_CASE_NODES; i++) {
        world->nodes[i].listener = listen_at(0);
        world->nodes[i].port = shoal_socket__local(world->nodes[i].listener).port;
    }
    return (shoal_case_world){.context = world,
                              .start = world_start,
                              .stop = world_stop,
                              .serve = world_serve,
                              .clients = world_clients,
                              .address = world_address,
                              .nowhere = world_nowhere,
                              .run = world_run,
                              .close = world_close};
}

int main(void)
{
    return shoal_host_cases_run("host rules: node", world_open);
}
