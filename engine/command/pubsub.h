/* SPDX-License-Identifier: MIT
 *
 * command/pubsub.h - channels: who publishes, who hears it. A message is copied once for each
 * worker that has a subscriber for it and posted there; the worker hands it to its sessions. The
 * number of receivers is read from the workers' tables (command/topics.h), so nobody waits for
 * anybody.
 *
 * Claims, beyond those of topics.h:
 *   S1  What one session publishes reaches each subscriber in that order: its commands run one
 *       after the other, on whatever threads, and a worker's inbox of messages keeps the order
 *       in which it was pushed to.
 *   S2  A subscriber that is told it has unsubscribed has been given every message that was
 *       counted for it before: the worker looks into its inbox first.
 *   S3  Where nobody has subscribed to anything, publishing is one load.
 */
#ifndef SHOAL_COMMAND_PUBSUB_H
#define SHOAL_COMMAND_PUBSUB_H

#include "command/command.h"

/* See worker.h. */
struct shoal_worker;

/* What is published. The slices are borrowed. */
typedef struct shoal_message {
    bool sharded; /* SPUBLISH: for subscribers of shard channels, else for all others */
    shoal_slice channel, text;
} shoal_message;

/* Hands a message to the subscribers of this node, and returns how many there are. Any thread of
 * the store, inside a batch. */
uint64_t shoal_publish(shoal_env *env, const shoal_message *message);

/* ---- for the room above: the bus ---- */

/* Takes what clients have published for other nodes since the last call, oldest first. Control. */
typedef struct shoal_published_taker {
    void (*take)(void *context, const shoal_message *message);
    void *context;
} shoal_published_taker;
void shoal_published_take(shoal_env *env, const shoal_published_taker *taker);
/* The present route is another one: subscribers of shard channels that this node does not serve any
 * more are told, and have unsubscribed. Control. */
void shoal_pubsub_route_changed(shoal_env *env);

/* Distinct channels, patterns or shard channels (SHOAL_TOPIC_*, topics.h) of the node. Exact up to
 * some ten thousand, beyond that an estimate from a part of them. Any thread, inside a batch. */
uint64_t shoal_pubsub_count(const shoal_env *env, int kind);

/* ---- for sessions and workers ---- */

/* Puts bytes that a session has not asked for where its host will come for them; none: there was no
 * memory for them, and the session ends. */
void shoal_pubsub__push(shoal_session *session, shoal_slice bytes);
/* Gives what has been posted to the worker to its sessions. Inside a round. */
void shoal_pubsub__catch_up(struct shoal_worker *worker);
/* The session hears nothing any more, and is not told so: RESET, the end. Inside a round. */
void shoal_pubsub__leave(shoal_session *session);
/* Has the session subscribed to anything? To how much? */
uint32_t shoal_pubsub__subscriptions(const shoal_session *session);
/* In RESP2 a subscriber may only say a few words: false after writing that this is none of them. */
bool shoal_pubsub__admit(const shoal_session *session, const shoal_command *command,
                         shoal_reply *reply);
/* Frees what still lies in the worker's inbox. */
void shoal_pubsub__drop(struct shoal_worker *worker);

#endif
