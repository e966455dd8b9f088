/* SPDX-License-Identifier: MIT
 *
 * command/embed.h - what a cache that is kept on disk shares with its commands: the settings that
 * they run with, and the journal (store/journal.h) that tells the writes of both as effects.
 */
#ifndef SHOAL_COMMAND_EMBED_H
#define SHOAL_COMMAND_EMBED_H

#include <shoal/command.h>

#include "command/command.h"
#include "store/journal.h"

/* The settings of commands that no server is around. */
shoal_settings shoal_embed_settings(const shoal_commands_options *options);

/* A journal that tells the effects of writes. Zero it, but for `env`, `left` and
 * `context`, before it is opened. */
typedef struct shoal_scribe {
    shoal_journal journal; /* first */
    shoal_env *env;        /* its log and desks are open */
    /* A batch of a thread has ended: what it has told is to go to the files. */
    void (*left)(const struct shoal_scribe *scribe, const shoal_thread *thread, shoal_time now);
    void *context;
    /* 0, or why nothing may be written now. writer: who sees to files, relaxed; readers: any */
    _Atomic shoal_err trouble;
} shoal_scribe;

/* Makes the writes of `store` known to the log of scribe->env, from the next one on. Before any
 * thread uses the store, and for as long as it lives. */
void shoal_scribe_open(shoal_scribe *scribe, shoal_store *store);

#endif
