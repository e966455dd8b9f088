/* SPDX-License-Identifier: MIT
 *
 * sim/vnode.h - a virtual node: the process around one shoal_node. It implements the door for
 * it, drives its control actor and its worker, carries its client connections, and is what crashes,
 * pauses and starts again. In tests another step function can stand in for the node.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_VNODE_H
#define SHOAL_SIM_VNODE_H

#include <shoal/node.h>

#include "sim/burden.h"
#include "sim/clock.h"
#include "sim/disk.h"
#include "sim/heap.h"
#include "sim/memory.h"
#include "sim/net.h"

/* A node reference in an occurrence: index and incarnation, so that what was arranged for a dead
 * process does not meet its successor. */
#define SHOAL_VNODE_INDEX_BITS 12u

/* Bus ports are this much above client ports. */
#define SHOAL_BUS_OFFSET 10000u

/* One virtual node: its host, its disk and clocks, and its process when it runs. */
typedef struct shoal_vnode {
    uint32_t index;
    char label[12];
    char ip[46];
    shoal_world *world;
    shoal_host host;

    shoal_node *node; /* the real one; NULL while not running, or mounted */
    shoal_worker *worker;
    int64_t (*stepper)(void *context, const shoal_event *event); /* instead of it */
    void *stepper_context;

    uint32_t sessions;      /* client connections that it has accepted and that are open */
    uint32_t session_least; /* no connection before this one is one of them */
    uint32_t incarnation;
    uint32_t starts; /* of its process so far */
    bool running;
    bool ready;
    bool paused;
    bool dying;    /* inside its destruction: operations are ignored */
    bool stepping; /* inside step: R1 and R5 are checked by it */
    bool nudged;   /* a NUDGED is arranged */
    int64_t ready_at_us;
    int64_t died_us; /* when its last process died, -1: none did */

    uint64_t followed; /* its steps that had settled when its stream was looked at last */

    int64_t tick_mono_us;  /* the deadline of its last step on its own clock */
    int64_t tick_at_us;    /* the same in world time */
    int64_t tick_armed_us; /* when the present TICK occurrence is due, INT64_MAX: none */
    uint32_t tick_serial;
    int64_t round_armed_us; /* the same for its worker */
    uint32_t round_serial;

    shoal_burden burden;
    shoal_clock clock;
    shoal_disk disk;
    shoal_occurrence *deferred; /* what happened to it while paused */
    uint32_t deferred_count, deferred_capacity;
    shoal_buffer out;    /* replies of one round */
    shoal_sim_pool pool; /* what its process has of small memory */
} shoal_vnode;

/* Makes and ends virtual node `index` of the world; its process does not run yet. */
void shoal_vnode__make(shoal_world *world, uint32_t index);
void shoal_vnode__free(shoal_world *world, uint32_t index);

/* Index and incarnation of a node in one number, so that what is meant for a dead process does
 * not reach its successor. */
uint32_t shoal_vnode__reference(const shoal_world *world, uint32_t index);
static inline uint32_t shoal_vnode__referred(uint32_t reference)
{
    return reference & ((1u << SHOAL_VNODE_INDEX_BITS) - 1);
}

/* Starts its process (again); START follows as an occurrence. */
void shoal_vnode__start(shoal_world *world, uint32_t index);
/* Ends its process. With `power`, peers are not told. */
void shoal_vnode__crash(shoal_world *world, uint32_t index, bool power, shoal_disk_fate fate);
void shoal_vnode__pause(shoal_world *world, uint32_t index);
void shoal_vnode__resume(shoal_world *world, uint32_t index);
/* Its monotonic clock was changed: its deadlines come at other times of the world. */
void shoal_vnode__clock_changed(shoal_world *world, uint32_t index);
/* Its host has a new address. */
void shoal_vnode__moved(shoal_world *world, uint32_t index);
/* Puts an occurrence off until the node resumes. */
void shoal_vnode__defer(shoal_vnode *vnode, const shoal_occurrence *occurrence);

/* Runs its control actor for an event; `now` is filled in here. */
void shoal_vnode__step(shoal_world *world, uint32_t index, shoal_event *event);
/* Who takes connections to a port of it: LINK, SESSION or NONE. */
shoal_end_kind shoal_vnode__listens(const shoal_world *world, uint32_t index, uint16_t port);

/* What links and client connections of nodes do when something happens to them. */
extern const shoal_end_class shoal_vnode__link_class;
extern const shoal_end_class shoal_vnode__session_class;

/* ---- rounds of the worker; sim/session.c ---- */

/* Runs one round for whatever is ready. */
void shoal_session__round(shoal_world *world, uint32_t index);
/* Ends all sessions of a node that dies. */
void shoal_session__close_all(shoal_world *world, uint32_t index);

/* Lets a fresh, configured node be recorded where the world is asked to: sim/tape.c. False without
 * memory. */
SHOAL_MUST_USE bool shoal_vnode__record(shoal_vnode *vnode);

#endif
