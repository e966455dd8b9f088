/* SPDX-License-Identifier: MIT
 *
 * command/topics.h - who has subscribed to what at one worker: channels, patterns and shard
 * channels. The worker alone changes its table; any thread that is inside a batch of the store may
 * look something up in it, without waiting and without writing.
 *
 * A topic is found by the 64 bits of its name's hash, four at a time, through nodes of sixteen
 * words; nothing is ever moved or doubled, so no step takes longer than the sixteen levels that
 * there can be.
 *
 * Claims:
 *   P1  A topic or node is whole before the word that leads to it is written (pair: topic.word),
 *       and what is unlinked is freed three epochs later (base/epoch.h, E4): a reader sees each
 *       topic whole or not at all.
 *   P2  Whoever learned of a subscription (from the reply to SUBSCRIBE) finds it, because the
 *       topic is linked and counted before the reply is written.
 *   P3  A stalled reader holds up memory only.
 */
#ifndef SHOAL_COMMAND_TOPICS_H
#define SHOAL_COMMAND_TOPICS_H

#include <shoal/node.h>
#include <shoal/types.h>

#include "base/atomic.h"
#include "store/store.h"

/* What can be subscribed to. */
typedef enum shoal_topic_kind {
    SHOAL_TOPIC_CHANNEL,
    SHOAL_TOPIC_PATTERN,
    SHOAL_TOPIC_SHARD,
    SHOAL_TOPIC_KINDS
} shoal_topic_kind;

/* Memory that readers may still see when it has been unlinked. */
typedef struct shoal_topic_piece {
    struct shoal_topic_piece *next; /* of those that wait */
    uint64_t stamp;                 /* of its unlinking */
    size_t memory;                  /* bytes of this allocation */
} shoal_topic_piece;

/* One session's subscription to one topic; below. */
struct shoal_subscription;

/* Something that sessions of this worker have subscribed to. */
typedef struct shoal_topic {
    shoal_topic_piece piece; /* first */
    uint64_t hash;
    shoal_slice name; /* behind the struct */
    shoal_topic_kind kind;
    uint32_t place; /* of a shard channel's name */
    /* Sessions. writer: the worker, relaxed; readers: any. */
    _Atomic uint32_t receivers;
    /* The next of the same hash, and of all patterns. writer: the worker, release. readers: any,
     * acquire. pair: topic.word */
    _Atomic(struct shoal_topic *) twin;
    _Atomic(struct shoal_topic *) pattern;
    struct shoal_topic *pattern_before;      /* the worker's own */
    struct shoal_subscription *first, *last; /* the same: in the order in which they came */
} shoal_topic;

/* One session's wish. Its worker's own. */
typedef struct shoal_subscription {
    shoal_topic *topic;
    shoal_session *session;
    struct shoal_subscription *next, *previous;         /* of the topic */
    struct shoal_subscription *own_next, *own_previous; /* of the session */
} shoal_subscription;

/* What a session has subscribed to, of one kind; zero: nothing. */
typedef struct shoal_subscriptions {
    shoal_subscription *first, *last;
    uint32_t count;
} shoal_subscriptions;

/* One worker's table. Zero with an allocator is an empty one. */
typedef struct shoal_topics {
    shoal_allocator allocator;
    /* 0, a topic, or a node with bit 0 set. writer: the worker, release. readers: any, acquire.
     * pair: topic.word */
    _Atomic uintptr_t roots[SHOAL_TOPIC_KINDS];
    _Atomic(shoal_topic *) patterns; /* the oldest; the same */
    shoal_topic *patterns_last;
    /* Topics of each kind, and subscriptions to all of them. writer: the worker; relaxed. */
    _Atomic uint32_t counts[SHOAL_TOPIC_KINDS];
    _Atomic uint32_t subscriptions;
    shoal_topic_piece *dead, *dead_last; /* unlinked, perhaps still read; oldest first */
} shoal_topics;

/* What is looked for. */
typedef struct shoal_topic_name {
    shoal_topic_kind kind;
    shoal_slice name;
    uint64_t hash;
    uint32_t place;
} shoal_topic_name;
/* Makes one of a name. Any thread. */
shoal_topic_name shoal_topic__name(const shoal_store *store, shoal_topic_kind kind,
                                   shoal_slice name);

/* ---- any thread, inside a batch of the store ---- */

/* The topic, or NULL. */
const shoal_topic *shoal_topics__find(const shoal_topics *topics, const shoal_topic_name *name);
/* The first pattern; shoal_topic__next_pattern leads on. */
const shoal_topic *shoal_topics__patterns(const shoal_topics *topics);
const shoal_topic *shoal_topic__next_pattern(const shoal_topic *topic);
/* Calls `visit` with every topic of a kind whose hash begins, from the lowest bit on, with
 * `prefix_bits` bits of `prefix`, until it returns false. A multiple of four, at most 16. */
typedef struct shoal_topic_walk {
    bool (*visit)(void *context, const shoal_topic *topic);
    void *context;
    uint64_t prefix;
    uint32_t prefix_bits;
} shoal_topic_walk;
void shoal_topics__walk(const shoal_topics *topics, shoal_topic_kind kind,
                        const shoal_topic_walk *walk);

/* ---- the worker ---- */

/* The session's subscription, or NULL. `own` is what it has of that kind. */
shoal_subscription *shoal_topics__subscribed(const shoal_topics *topics,
                                             const shoal_subscriptions *own,
                                             const shoal_topic_name *name);
/* Who asks, and what that one has of the kind. */
typedef struct shoal_subscriber {
    shoal_session *session;
    shoal_subscriptions *own;
} shoal_subscriber;
/* Subscribes a session that has not yet. False without memory. */
SHOAL_MUST_USE bool shoal_topics__add(shoal_topics *topics, const shoal_topic_name *name,
                                      const shoal_subscriber *who);
/* Takes a subscription back and frees it. `stamp`: of the worker's thread, now. */
void shoal_topics__remove(shoal_topics *topics, shoal_subscription *subscription,
                          shoal_subscriptions *own, uint64_t stamp);
/* Frees what nobody sees any more. Cheap when nothing waits. */
void shoal_topics__collect(shoal_topics *topics, shoal_thread *thread);
/* Frees everything that was unlinked; no thread reads any more and nobody has subscribed. */
void shoal_topics__end(shoal_topics *topics);

#endif
