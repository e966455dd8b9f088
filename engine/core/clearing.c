/* SPDX-License-Identifier: MIT
 *
 * core/clearing.c - empties the store step by step, where other data take its place: a master's
 * snapshot, or the files that are read anew. Nobody else writes meanwhile.
 */
#include "core/node.h"

#include "base/assert.h"
#include "command/tracking.h"

/* Places that a step clears. Chosen: some hundred microseconds where they are empty. */
#define STEP_PLACES 2048u

/* One place, under its gate. */
typedef struct clear_op {
    shoal_gate_op gate; /* first */
    uint32_t place;
} clear_op;

static void run_clear(shoal_op *op, void *runner)
{
    const clear_op *clear = (const clear_op *)op;
    SHOAL_DEBUG_ASSERT(clear->gate.held == 1);
    (void)shoal_store_clear_locked(runner, clear->place);
}

bool shoal_node__clear_some(shoal_node *node, uint32_t *next)
{
    bool cluster = shoal_config__number(&node->config, SHOAL_DIRECTIVE_CLUSTER_ENABLED) != 0;
    int64_t databases = shoal_config__number(&node->config, SHOAL_DIRECTIVE_DATABASES);
    uint64_t places = (cluster ? 1 : (uint64_t)databases) * SHOAL_SLOTS;
    SHOAL_ASSERT(*next <= places);
    for (uint32_t i = 0; i < STEP_PLACES && *next < places; i++) {
        clear_op clear = {.gate = {.op = {.run = run_clear}, .count = 1}, .place = *next};
        clear.gate.places = &clear.place;
        bool empty = shoal_store_count_slot(node->store, clear.place) == 0;
        /* A gate that background work holds is free soon; without memory the place waits too. */
        if (!empty && !shoal_gate_try(node->thread, &clear.gate)) break;
        if (shoal_store_count_slot(node->store, clear.place) != 0) break;
        ++*next;
    }
    if (*next == places) shoal_tracking_flushed(&node->env);
    return *next == places;
}
