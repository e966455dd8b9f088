/* SPDX-License-Identifier: MIT
 *
 * command/watch.h - WATCH: what a session wants to know of keys until its EXEC. Each watched key is
 * an interest of the store (store.h), so any change of it, by whomever, is noticed under the gate
 * of its slot, where it happens.
 *
 * Claims:
 *   W1  Exact. A change of a watched key behind its WATCH and before the EXEC holds the gates marks
 *       the set; nothing else does. Both happen under the gate of the key's slot, which EXEC holds
 *       too while it looks.
 *   W2  A set belongs to its session until it is given to an operation under gates (EXEC, or its
 *       release), which frees it. A change only touches `touched`, and only while the interest is
 *       registered.
 */
#ifndef SHOAL_COMMAND_WATCH_H
#define SHOAL_COMMAND_WATCH_H

#include "command/command.h"

/* The watched keys of a session. */
typedef struct shoal_watches shoal_watches;

/* Some watched key has changed already: EXEC will not run. Any thread that owns the set. */
bool shoal_watches__touched(const shoal_watches *watches);
/* Watched keys. */
uint32_t shoal_watches__count(const shoal_watches *watches);
/* Bytes that they take. */
size_t shoal_watches__memory(const shoal_watches *watches);
/* The places of the keys, in any order, `shoal_watches__count` of them, to `out`. */
void shoal_watches__places(const shoal_watches *watches, uint32_t *out);

/* Under the gates of all its places: true when no key has changed, nor expired. Frees the set. */
bool shoal_watches__end_locked(shoal_watches *watches, shoal_thread *thread);

/* The session watches nothing any longer; the set goes when its gates are to be had. Inside a round
 * of the session's worker. */
void shoal_watches__release(shoal_session *session);

#endif
