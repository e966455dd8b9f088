/* SPDX-License-Identifier: MIT
 *
 * sim/operator.h - the virtual operator: somebody at a shell outside the cluster, whom no cut
 * concerns. At time 0 it makes the cluster with the commands that a person would use; later it
 * sends what operate lines say. One command a node at a time; a node that cannot be reached is
 * tried again for a while.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_OPERATOR_H
#define SHOAL_SIM_OPERATOR_H

#include "sim/net.h"
#include "sim/schedule.h"

/* One command for one node. */
typedef struct shoal_task {
    struct shoal_task *next;
    uint32_t node;
    uint32_t line; /* of the schedule; 0: part of making the cluster */
    uint32_t tries;
    uint32_t asker; /* the expectation that waits for the reply, plus 1; 0: none */
    char text[];    /* words, terminated by zero */
} shoal_task;

/* What the operator does at one node. */
typedef struct shoal_desk {
    shoal_task *head, *tail;
    uint64_t handle; /* of the connection, 0: none */
    bool up;
    bool waiting;  /* for a reply */
    bool stale;    /* the host has lost its power since it took the connection */
    bool arranged; /* a try is arranged */
    shoal_buffer in;
} shoal_desk;

/* The operator: who makes the cluster and types the commands of a schedule. */
typedef struct shoal_operator {
    shoal_desk *desks; /* per node */
    uint32_t desk_count;
    uint32_t forming; /* set-up tasks that are not done */
    bool introduced;  /* the MEETs are given out */
    bool replicated;  /* and the REPLICATEs */
    /* Who hears replies as bytes, borrowed for the call; it must not touch the world. NULL: nobody.
     * For tests that drive a world by hand. */
    void (*heard)(void *context, uint32_t node, shoal_slice reply);
    void *heard_context;
} shoal_operator;

/* Makes and ends the operator of a world. */
void shoal_operator__make(shoal_world *world);
void shoal_operator__free(shoal_world *world);
/* Gives out what makes a cluster of the nodes. */
void shoal_operator__form(shoal_world *world);
/* Adds a command for a node; `id(n2)`, `id(self)`, `ip(n2)` and `bytes(100)` are replaced when it
 * is sent. */
void shoal_operator__order(shoal_world *world, uint32_t node, shoal_slice text, uint32_t line);
/* The same for an expectation, which hears of the reply: shoal_ask__answered. */
void shoal_operator__ask(shoal_world *world, uint32_t node, shoal_slice text, uint32_t asker);
/* Drops what was ordered for a node and has no reply, and the connection to it: it may have been
 * done, and is not tried again. */
void shoal_operator__forget(shoal_world *world, uint32_t node);

/* The host of a node has no power any more: a reply that was waited for will not come, which the
 * operator finds out after a while. */
void shoal_operator__power_lost(shoal_world *world, uint32_t node);

/* What the operator does with what its connections bring. */
extern const shoal_end_class shoal_operator__class;

#endif
