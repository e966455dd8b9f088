/* SPDX-License-Identifier: MIT
 *
 * support/host_cases.h - the rules R1 to R5 of shoal/host.h as cases that run on any host. A
 * driver (tests/host/node.c, tests/host/sim.c) offers its host as a `shoal_case_world`: a few
 * nodes whose step is a function of the case instead of shoal_node_step. The cases know nothing
 * of threads or of virtual time; they see operations and events.
 */
#ifndef SHOAL_TESTS_HOST_CASES_H
#define SHOAL_TESTS_HOST_CASES_H

#include <shoal/host.h>

/* Nodes of a world. */
#define SHOAL_CASE_NODES 2u

/* Stands in for shoal_node_step: same contract, `context` instead of the node. */
typedef int64_t (*shoal_case_step)(void *context, const shoal_event *event);

/* How a node is started. */
typedef struct shoal_case_start {
    uint32_t node;        /* which, below SHOAL_CASE_NODES */
    shoal_case_step step; /* runs for each event, START first */
    void *step_context;   /* its first argument */
    shoal_host *host;     /* filled before START is delivered; lives as long as the node */
} shoal_case_start;

/* One host with its nodes. All functions are called by the thread that runs the test. */
typedef struct shoal_case_world {
    void *context;
    /* Starts a node that is not running. It finds the files of its earlier life. */
    void (*start)(void *context, const shoal_case_start *start);
    /* Ends a running node as a crash does: at once, and no step of it runs any more when the
     * call returns. What was not synced may be lost. */
    void (*stop)(void *context, uint32_t node);
    /* Runs the engine's own node on `node`, which is not running, until clients may connect. It has
     * no cluster slots to serve; what needs no key it answers. */
    void (*serve)(void *context, uint32_t node);
    /* Where it then takes clients. */
    shoal_address (*clients)(void *context, uint32_t node);
    /* Where the bus of `node` listens, running or not. */
    shoal_address (*address)(void *context, uint32_t node);
    /* An address where nobody listens and connecting is refused. */
    shoal_address (*nowhere)(void *context);
    /* Lets the world run until `done(done_context)` holds; false when that does not happen
     * within `limit_us` of the world's time. */
    bool (*run)(void *context, bool (*done)(void *), void *done_context, int64_t limit_us);
    /* Stops what runs and gives everything back. */
    void (*close)(void *context);
} shoal_case_world;

/* Runs every case, each on a world of its own from `open`, as one cmocka group. Returns what
 * main returns. A host must call a link FULL that has 16 MiB queued. */
int shoal_host_cases_run(const char *name, shoal_case_world (*open)(void));

#endif
