/* SPDX-License-Identifier: MIT
 *
 * command/apply.h - commands that were effects before: those of an append-only file, and those that
 * a master sends. They are run as they are, whatever slots, roles and limits say; nobody's time to
 * live is over while they do, for whoever told them has told that too (DEL); and they leave no
 * effects of their own.
 *
 * A transaction happens as a whole, at its EXEC, or not at all. SELECT, MULTI, EXEC and DISCARD
 * mean what they mean in a connection; PING and REPLCONF do nothing. What is published is heard by
 * subscribers of this node.
 *
 * Where the gate of a key is held by another thread, the command (or transaction) is handed over to
 * that and is PENDING; no other may be given to the same applier before it is over.
 *
 * Threads: an applier belongs to one thread at a time, which is inside a batch of its thread of the
 * store. Several appliers may be at work at once; the order of their commands is then their
 * callers' business.
 */
#ifndef SHOAL_COMMAND_APPLY_H
#define SHOAL_COMMAND_APPLY_H

#include "command/command.h"

/* One stream of commands that is being applied. */
typedef struct shoal_applier shoal_applier;

/* How to make one. */
typedef struct shoal_applier_options {
    shoal_env *env;
    shoal_thread *thread;        /* that applies */
    bool counts;                 /* its commands are in INFO's statistics of commands */
    void (*over)(void *context); /* what was PENDING is over. On any thread; NULL: nobody asks */
    void *context;
} shoal_applier_options;

/* Makes one, with database 0 selected. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_applier_open(const shoal_applier_options *options,
                                            shoal_applier **out);
/* Ends it; nothing is PENDING. A transaction that is not complete is dropped. */
void shoal_applier_close(shoal_applier *applier);

/* How it went. */
typedef enum shoal_applied {
    SHOAL_APPLY_DONE = 0, /* run, or queued for EXEC */
    SHOAL_APPLY_PENDING,
    SHOAL_APPLY_FAILED /* an error was answered, see shoal_applier_error; a command of a transaction
                          that fails does not keep the others from running */
} shoal_applied;

/* One command. */
typedef struct shoal_apply_command {
    const shoal_slice *argv; /* borrowed for the call */
    uint32_t argc;           /* at least 1 */
} shoal_apply_command;

/* Applies one command. */
SHOAL_MUST_USE shoal_applied shoal_apply(shoal_applier *applier,
                                         const shoal_apply_command *command);
/* The same for a command whose row has been found and whose one key has been made, of the database
 * that is selected; `key` is borrowed for the call. */
SHOAL_MUST_USE shoal_applied shoal_apply_keyed(shoal_applier *applier,
                                               const shoal_apply_command *command,
                                               const shoal_command *row, const shoal_key *key);
/* Applies commands in their order, and asks for their memory ahead: the faster way where there are
 * many. Stops behind the first that is not DONE; `*used` is how many have been given. */
SHOAL_MUST_USE shoal_applied shoal_apply_batch(shoal_applier *applier,
                                               const shoal_apply_command *commands, uint32_t count,
                                               uint32_t *used);
/* How the command is that was PENDING. */
SHOAL_MUST_USE shoal_applied shoal_apply_poll(shoal_applier *applier);

/* The text of the last failure, without '-': until the next command. */
shoal_slice shoal_applier_error(const shoal_applier *applier);
/* The database that is selected. */
uint32_t shoal_applier_db(const shoal_applier *applier);
/* Selects one: where a stream goes on that was begun elsewhere. */
void shoal_applier_select(shoal_applier *applier, uint32_t db);
/* Whose commands these are, for MONITOR; before that nobody is told of them. Nothing is PENDING. */
void shoal_applier_set_origin(shoal_applier *applier, const shoal_address *origin);
/* True between MULTI and EXEC: the stream must not end here. */
bool shoal_applier_in_transaction(const shoal_applier *applier);

#endif
