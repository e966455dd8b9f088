/* SPDX-License-Identifier: MIT
 *
 * Small interleavings, all of them. A program that defines SHOAL_INTERLEAVE includes this first and
 * then the sources that it tests, which so get a hook before every access to a shared word. Two or
 * three scripts run as coroutines; at each hook the scheduler may go on with another script, and it
 * tries every way to do so with at most a few such preemptions. Memory is sequentially consistent
 * here.
 *
 * Threads: one.
 */
#ifndef SHOAL_TEST_EXPLORER_H
#define SHOAL_TEST_EXPLORER_H

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#ifdef SHOAL_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#include "base/atomic.h"

#define SCRIPTS_MAX 3
#define POINTS_MAX 4096
#define STACK_BYTES (256 * 1024)

/* One script, and where it is. */
typedef struct coroutine {
    ucontext_t context;
    void *stack;
    void *fiber; /* ThreadSanitizer's */
    bool done;
} coroutine;

/* What was decided at one hook: which of the scripts that were not done went on. */
typedef struct decision {
    uint8_t taken;   /* 0: the one that ran */
    uint8_t options; /* how many there were */
} decision;

typedef struct explorer {
    coroutine scripts[SCRIPTS_MAX];
    void (*body)(uint32_t script);
    uint32_t count;
    uint32_t current;
    ucontext_t home;
    void *home_fiber;
    bool active;
    uint32_t preemptions, preemptions_max;
    decision path[POINTS_MAX];
    uint32_t depth;   /* decisions made in this execution */
    uint32_t planned; /* of them prescribed by the path */
    uint64_t executions;
} explorer;

/* The one thing that the hook can reach. */
static explorer *exploring;

static void switch_to(ucontext_t *from, ucontext_t *to, void *fiber)
{
#ifdef SHOAL_TSAN
    __tsan_switch_to_fiber(fiber, 0);
#else
    (void)fiber;
#endif
    swapcontext(from, to);
}

/* The script that is `skip` places behind the current one, among those not done. */
static uint32_t other(const explorer *e, uint32_t skip)
{
    uint32_t at = e->current;
    while (skip > 0) {
        at = (at + 1) % e->count;
        if (!e->scripts[at].done) skip--;
    }
    return at;
}

void shoal_interleave_point(void)
{
    explorer *e = exploring;
    if (e == NULL || !e->active) return;
    uint32_t alive = 0;
    for (uint32_t i = 0; i < e->count; i++) alive += !e->scripts[i].done;
    if (alive < 2) return;
    bool free = e->preemptions < e->preemptions_max;
    if (e->depth == e->planned) {
        if (e->depth == POINTS_MAX) fail_msg("more than %d points", POINTS_MAX);
        e->path[e->planned++] = (decision){0, (uint8_t)(free ? alive : 1)};
    }
    uint32_t taken = e->path[e->depth++].taken;
    if (taken == 0) return;
    e->preemptions++;
    uint32_t from = e->current;
    e->current = other(e, taken);
    switch_to(&e->scripts[from].context, &e->scripts[e->current].context,
              e->scripts[e->current].fiber);
}

/* Where a script begins and ends: the next one that is not done goes on. */
static void trampoline(void)
{
    explorer *e = exploring;
    uint32_t self = e->current;
    e->body(self);
    e->scripts[self].done = true;
    for (uint32_t i = 1; i <= e->count; i++) {
        uint32_t next = (self + i) % e->count;
        if (e->scripts[next].done) continue;
        e->current = next;
        switch_to(&e->scripts[self].context, &e->scripts[next].context, e->scripts[next].fiber);
    }
    switch_to(&e->scripts[self].context, &e->home, e->home_fiber);
}

/* Makes a script ready to begin. */
static void prepare_script(coroutine *script)
{
    script->done = false;
    getcontext(&script->context);
    script->context.uc_stack.ss_sp = script->stack;
    script->context.uc_stack.ss_size = STACK_BYTES;
    script->context.uc_link = NULL;
    makecontext(&script->context, trampoline, 0);
}

/* Runs all scripts once, as the path says, and on in the simplest way behind its end. */
static void execute(explorer *e)
{
    e->depth = 0;
    e->preemptions = 0;
    e->current = 0;
    for (uint32_t i = 0; i < e->count; i++) prepare_script(&e->scripts[i]);
    e->active = true;
    switch_to(&e->home, &e->scripts[0].context, e->scripts[0].fiber);
    e->active = false;
    e->executions++;
}

/* Moves the path on to the next one not yet tried. False when all have been. */
static bool next_path(explorer *e)
{
    while (e->planned > 0) {
        decision *last = &e->path[e->planned - 1];
        if (last->taken + 1u < last->options) {
            last->taken++;
            return true;
        }
        e->planned--;
    }
    return false;
}

/* How a test is explored: scripts, preemptions, and how many interleavings there are at least
 * (so that a hook that is lost does not go unseen). */
typedef struct exploration {
    uint32_t scripts, preemptions;
    uint64_t least;
} exploration;

/* Runs `body` in every interleaving of its scripts; `before` and `after` surround each. */
static void explore(exploration plan, void (*body)(uint32_t script), void (*before)(void),
                    void (*after)(void))
{
    explorer *e = calloc(1, sizeof *e);
    assert_non_null(e);
    e->body = body;
    e->count = plan.scripts;
    e->preemptions_max = plan.preemptions;
#ifdef SHOAL_TSAN
    /* Switching fibers is slow there, and orders are not what this program is about. */
    e->preemptions_max = plan.least = 1;
    e->home_fiber = __tsan_get_current_fiber();
#endif
    for (uint32_t i = 0; i < e->count; i++) {
        e->scripts[i].stack = malloc(STACK_BYTES);
        assert_non_null(e->scripts[i].stack);
#ifdef SHOAL_TSAN
        e->scripts[i].fiber = __tsan_create_fiber(0);
#endif
    }
    exploring = e;
    do {
        before();
        execute(e);
        after();
    } while (next_path(e));
    exploring = NULL;
    print_message("# %llu interleavings\n", (unsigned long long)e->executions);
    assert_true(e->executions >= plan.least);
    for (uint32_t i = 0; i < e->count; i++) {
#ifdef SHOAL_TSAN
        __tsan_destroy_fiber(e->scripts[i].fiber);
#endif
        free(e->scripts[i].stack);
    }
    free(e);
}

#endif
