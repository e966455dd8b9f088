/* SPDX-License-Identifier: MIT
 *
 * core/appending.h - the append-only file of a node (persist/aof.h) between its configuration, its
 * phases and its commands.
 *
 * Threads: the control actor, but for what workers do at the end of their rounds.
 */
#ifndef SHOAL_CORE_APPENDING_H
#define SHOAL_CORE_APPENDING_H

#include "command/apply.h"
#include "command/command.h"
#include "persist/aof.h"

typedef struct shoal_node shoal_node;

/* What a node has of it. Zero is a start. */
typedef struct shoal_appending {
    shoal_aof *aof;
    shoal_applier *applier; /* while files are being read */
    bool held;              /* it is off while a master's data take the place of this node's */
    uint64_t config_seen;   /* version of the configuration that it has been told of */
} shoal_appending;

/* Makes it, when the log of effects is there. */
SHOAL_MUST_USE shoal_err shoal_node__appending_build(shoal_node *node);
/* Frees it; no worker is inside a round. */
void shoal_node__appending_drop(shoal_node *node);
/* Begins to read the files, where appendonly is yes: true; then the node is LOADING until
 * shoal_node__appending_is_open. */
bool shoal_node__appending_start(shoal_node *node);
/* Reads the files anew, when the file has been suspended (shoal_aof_suspend) and the store is
 * empty; shoal_node__appending_is_open tells of the end. */
void shoal_node__appending_reload(shoal_node *node);
/* All is read and open: 1; not yet: 0; it cannot be, and the node must not start: -1. */
int shoal_node__appending_is_open(shoal_node *node);
/* An operation of one of its files has ended. */
void shoal_node__appending_file_done(shoal_node *node, const shoal_event *event);
/* All data are about to be replaced, and the log begins again behind them: nothing is appended
 * while `hold`, and afterwards the files begin anew with what is there then. */
void shoal_node__appending_hold(shoal_node *node, bool hold);
/* At each step. */
void shoal_node__appending_step(shoal_node *node);
/* When it wants the next one. */
int64_t shoal_node__appending_deadline(const shoal_node *node);
/* Before the node ends: true when everything is on disk, or cannot be. */
bool shoal_node__appending_finish(shoal_node *node);
/* A rewrite is under way: no snapshot may begin. */
bool shoal_node__appending_rewrites(const shoal_node *node);

/* BGREWRITEAOF. */
void shoal_node__bgrewriteaof(shoal_node *node, const shoal_errand *errand, shoal_reply *reply);
/* INFO: the lines about files that are being read, and those about the append-only file. */
void shoal_node__appending_load_info(const shoal_node *node, shoal_buffer *out);
void shoal_node__appending_info(const shoal_node *node, shoal_buffer *out);

#endif
