/* SPDX-License-Identifier: MIT
 *
 * core/reloading.h - DEBUG LOADAOF: everything that the node holds goes, and the append-only file
 * is read as at a start. Other clients are answered -LOADING meanwhile.
 *
 * Threads: the control actor.
 */
#ifndef SHOAL_CORE_RELOADING_H
#define SHOAL_CORE_RELOADING_H

#include "command/command.h"

typedef struct shoal_node shoal_node;

/* How far it is. */
typedef enum shoal_reloading_stage {
    SHOAL_RELOADING_IDLE,
    SHOAL_RELOADING_MOMENT,   /* operations of clients that are under way end */
    SHOAL_RELOADING_SETTLING, /* what they have told goes to the file */
    SHOAL_RELOADING_CLEARING, /* the store is emptied */
    SHOAL_RELOADING_READING   /* the file is read */
} shoal_reloading_stage;

/* What a node has of it. Zero is a start. */
typedef struct shoal_reloading {
    shoal_reloading_stage stage;
    uint32_t place;       /* to be cleared next */
    shoal_errand *errand; /* that waits for the end */
} shoal_reloading;

/* DEBUG LOADAOF. True when the errand waits for its answer, false when it has one. */
bool shoal_node__reload(shoal_node *node, shoal_errand *errand, shoal_reply *reply);
/* Goes on with it. At each step of a node that is ready. */
void shoal_node__reload_step(shoal_node *node);
/* When it wants to at the latest; monotonic. */
int64_t shoal_node__reload_deadline(const shoal_node *node);
/* Sends who waits home, when the node ends first. */
void shoal_node__reload_abandon(shoal_node *node);
/* Empties some places from `*next` on, and moves that on. True when all are empty. Nobody else
 * writes to the store. */
bool shoal_node__clear_some(shoal_node *node, uint32_t *next);

#endif
