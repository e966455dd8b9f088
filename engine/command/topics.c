/* SPDX-License-Identifier: MIT
 *
 * command/topics.c - the table of one worker's subscriptions, which others read while it changes.
 */
#include "command/topics.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"

/* Bits of the hash that choose a word of a node. */
#define BITS 4u
#define WORDS (1u << BITS)
/* Levels until no bit of the hash is left. */
#define LEVELS (64u / BITS)
/* Bit 0 of a word that leads to a node. */
#define NODE ((uintptr_t)1)

/* A node: sixteen words, each as those of the roots. */
typedef struct node {
    shoal_topic_piece piece; /* first */
    uint32_t used;           /* words that are not 0; the worker's own */
    _Atomic uintptr_t words[WORDS];
} node;

static node *node_of(uintptr_t word)
{
    SHOAL_DEBUG_ASSERT((word & NODE) != 0);
    return (node *)(word - NODE);
}

static shoal_topic *topic_of(uintptr_t word)
{
    SHOAL_DEBUG_ASSERT((word & NODE) == 0);
    return (shoal_topic *)word;
}

static uint32_t digit(uint64_t hash, uint32_t level)
{
    SHOAL_DEBUG_ASSERT(level < LEVELS);
    return (uint32_t)(hash >> (level * BITS)) & (WORDS - 1);
}

shoal_topic_name shoal_topic__name(const shoal_store *store, shoal_topic_kind kind,
                                   shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(kind < SHOAL_TOPIC_KINDS);
    shoal_key key = shoal_key_make(store, 0, name);
    return (shoal_topic_name){kind, name, key.hash, key.place};
}

/* ---- reading ---- */

static bool is_named(const shoal_topic *topic, const shoal_topic_name *name)
{
    return topic->hash == name->hash && shoal_text_equal(topic->name, name->name);
}

const shoal_topic *shoal_topics__find(const shoal_topics *topics, const shoal_topic_name *name)
{
    SHOAL_DEBUG_ASSERT(name->kind < SHOAL_TOPIC_KINDS);
    uintptr_t word = shoal_load_acquire(&topics->roots[name->kind]); /* pair: topic.word */
    for (uint32_t level = 0; (word & NODE) != 0; level++)            /* pair: topic.word */
        word = shoal_load_acquire(&node_of(word)->words[digit(name->hash, level)]);
    const shoal_topic *topic = topic_of(word);
    while (topic != NULL && !is_named(topic, name))
        topic = shoal_load_acquire(&topic->twin); /* pair: topic.word */
    return topic;
}

const shoal_topic *shoal_topics__patterns(const shoal_topics *topics)
{
    return shoal_load_acquire(&topics->patterns); /* pair: topic.word */
}

const shoal_topic *shoal_topic__next_pattern(const shoal_topic *topic)
{
    SHOAL_DEBUG_ASSERT(topic->kind == SHOAL_TOPIC_PATTERN);
    return shoal_load_acquire(&topic->pattern); /* pair: topic.word */
}

/* False when the visitor has had enough. */
static bool visit_topics(uintptr_t word, const shoal_topic_walk *walk)
{
    const shoal_topic *topic = topic_of(word);
    uint64_t mask = ((uint64_t)1 << walk->prefix_bits) - 1;
    SHOAL_DEBUG_ASSERT(walk->prefix_bits % BITS == 0 && walk->prefix_bits <= 16);
    for (; topic != NULL; topic = shoal_load_acquire(&topic->twin)) { /* pair: topic.word */
        if ((topic->hash & mask) != walk->prefix) continue;
        if (!walk->visit(walk->context, topic)) return false;
    }
    return true;
}

void shoal_topics__walk(const shoal_topics *topics, shoal_topic_kind kind,
                        const shoal_topic_walk *walk)
{
    const node *path[LEVELS];
    uint32_t next[LEVELS], depth = 0;
    SHOAL_DEBUG_ASSERT(kind < SHOAL_TOPIC_KINDS);
    uintptr_t word = shoal_load_acquire(&topics->roots[kind]); /* pair: topic.word */
    for (;;) {
        if ((word & NODE) != 0) {
            SHOAL_ASSERT(depth < LEVELS);
            bool chosen = depth * BITS < walk->prefix_bits;
            path[depth] = node_of(word);
            next[depth] = chosen ? digit(walk->prefix, depth) : 0;
            depth++;
        } else if (!visit_topics(word, walk)) {
            return;
        }
        /* The next word of the deepest node that has one. */
        while (depth > 0 && next[depth - 1] == WORDS) depth--;
        if (depth == 0) return;
        uint32_t at = next[depth - 1];
        next[depth - 1] = (depth - 1) * BITS < walk->prefix_bits ? WORDS : at + 1;
        word = shoal_load_acquire(&path[depth - 1]->words[at]); /* pair: topic.word */
    }
}

/* ---- memory ---- */

/* Unlinked: it is freed when nobody can see it any more. */
static void retire(shoal_topics *topics, shoal_topic_piece *piece, uint64_t stamp)
{
    SHOAL_DEBUG_ASSERT(piece->next == NULL && piece->memory > 0);
    piece->stamp = stamp;
    *(topics->dead_last != NULL ? &topics->dead_last->next : &topics->dead) = piece;
    topics->dead_last = piece;
}

static void free_first(shoal_topics *topics)
{
    shoal_topic_piece *piece = topics->dead;
    SHOAL_DEBUG_ASSERT(piece != NULL);
    topics->dead = piece->next;
    if (topics->dead == NULL) topics->dead_last = NULL;
    shoal_memory_give(&topics->allocator, piece, piece->memory, SHOAL_ALIGN_PLAIN);
}

void shoal_topics__collect(shoal_topics *topics, shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT((topics->dead == NULL) == (topics->dead_last == NULL));
    while (topics->dead != NULL && shoal_thread_passed(thread, topics->dead->stamp))
        free_first(topics);
}

void shoal_topics__end(shoal_topics *topics)
{
    SHOAL_ASSERT(shoal_load_relaxed(&topics->subscriptions) == 0);
    while (topics->dead != NULL) free_first(topics);
}

/* ---- linking ---- */

static node *make_node(const shoal_topics *topics)
{
    node *made = shoal_memory_take_zeroed(&topics->allocator, sizeof(*made), SHOAL_ALIGN_PLAIN);
    SHOAL_DEBUG_ASSERT(topics->allocator.allocate_zeroed != NULL);
    if (made != NULL) made->piece.memory = sizeof(*made);
    return made;
}

/* The word where a topic of that hash belongs at present, and the node that it is in (NULL: a
 * root). */
typedef struct spot {
    _Atomic uintptr_t *word;
    node *in;
    uint32_t level; /* of the digit that would choose among the words of a node there */
} spot;

static spot locate(shoal_topics *topics, shoal_topic_kind kind, uint64_t hash)
{
    spot at = {&topics->roots[kind], NULL, 0};
    SHOAL_DEBUG_ASSERT(kind < SHOAL_TOPIC_KINDS);
    for (;;) {
        uintptr_t word = shoal_load_relaxed(at.word);
        if ((word & NODE) == 0) return at;
        at.in = node_of(word);
        at.word = &at.in->words[digit(hash, at.level++)];
    }
}

/* Puts nodes between the word and the topic there until its hash and another one part; the new ones
 * become visible together. False without memory. */
static bool split(shoal_topics *topics, spot *at, uint64_t hash)
{
    shoal_topic *there = topic_of(shoal_load_relaxed(at->word));
    node *top = NULL, *bottom = NULL;
    SHOAL_ASSERT(there != NULL && there->hash != hash);
    uint32_t level = at->level;
    for (;; level++) {
        node *made = make_node(topics);
        if (made == NULL) break;
        if (top == NULL) top = made;
        if (bottom != NULL) {
            uint32_t above = digit(hash, level - 1);
            shoal_store_relaxed(&bottom->words[above], (uintptr_t)made | NODE);
            bottom->used = 1;
        }
        bottom = made;
        if (digit(there->hash, level) == digit(hash, level)) continue;
        shoal_store_relaxed(&made->words[digit(there->hash, level)], (uintptr_t)there);
        made->used = 1;
        shoal_store_release(at->word, (uintptr_t)top | NODE); /* pair: topic.word */
        *at = (spot){&made->words[digit(hash, level)], made, level + 1};
        return true;
    }
    while (top != NULL) {
        uintptr_t word =
            top->used != 0 ? shoal_load_relaxed(&top->words[digit(hash, at->level)]) : 0;
        at->level++;
        shoal_memory_give(&topics->allocator, top, sizeof(*top), SHOAL_ALIGN_PLAIN);
        top = word != 0 ? node_of(word) : NULL;
    }
    return false;
}

/* Links a topic that is whole. False without memory. */
static bool link_topic(shoal_topics *topics, shoal_topic *topic)
{
    spot at = locate(topics, topic->kind, topic->hash);
    shoal_topic *there = topic_of(shoal_load_relaxed(at.word));
    SHOAL_DEBUG_ASSERT(topic->piece.memory >= sizeof(*topic));
    if (there != NULL && there->hash != topic->hash) {
        if (!split(topics, &at, topic->hash)) return false;
        there = NULL;
    }
    if (there == NULL && at.in != NULL) at.in->used++;
    shoal_store_relaxed(&topic->twin, there);
    shoal_store_release(at.word, (uintptr_t)topic); /* pair: topic.word */
    if (topic->kind != SHOAL_TOPIC_PATTERN) return true;
    topic->pattern_before = topics->patterns_last;
    topics->patterns_last = topic;
    /* pair: topic.word */
    shoal_store_release(topic->pattern_before != NULL ? &topic->pattern_before->pattern
                                                      : &topics->patterns,
                        topic);
    return true;
}

/* Takes the way to a topic apart as far as nothing else needs it. */
static void unlink_way(shoal_topics *topics, shoal_topic_kind kind, uint64_t hash, uint64_t stamp)
{
    node *path[LEVELS];
    uint32_t depth = 0;
    uintptr_t word = shoal_load_relaxed(&topics->roots[kind]);
    while ((word & NODE) != 0) {
        SHOAL_ASSERT(depth < LEVELS);
        path[depth] = node_of(word);
        word = shoal_load_relaxed(&path[depth]->words[digit(hash, depth)]);
        depth++;
    }
    while (depth > 0) {
        node *last = path[--depth];
        /* pair: topic.word */
        shoal_store_release(&last->words[digit(hash, depth)], (uintptr_t)0);
        if (--last->used > 0) return;
        retire(topics, &last->piece, stamp);
    }
    shoal_store_release(&topics->roots[kind], (uintptr_t)0); /* pair: topic.word */
}

static void unlink_pattern(shoal_topics *topics, shoal_topic *topic)
{
    shoal_topic *next = shoal_load_relaxed(&topic->pattern);
    SHOAL_DEBUG_ASSERT(topic->kind == SHOAL_TOPIC_PATTERN);
    *(next != NULL ? &next->pattern_before : &topics->patterns_last) = topic->pattern_before;
    /* pair: topic.word */
    shoal_store_release(topic->pattern_before != NULL ? &topic->pattern_before->pattern
                                                      : &topics->patterns,
                        next);
}

static void unlink_topic(shoal_topics *topics, shoal_topic *topic, uint64_t stamp)
{
    spot at = locate(topics, topic->kind, topic->hash);
    shoal_topic *first = topic_of(shoal_load_relaxed(at.word)), *before = NULL;
    SHOAL_ASSERT(topic->first == NULL);
    shoal_topic *next = shoal_load_relaxed(&topic->twin);
    while (first != topic) {
        SHOAL_ASSERT(first != NULL);
        before = first;
        first = shoal_load_relaxed(&first->twin);
    }
    if (before != NULL) {
        shoal_store_release(&before->twin, next); /* pair: topic.word */
    } else if (next != NULL) {
        shoal_store_release(at.word, (uintptr_t)next); /* pair: topic.word */
    } else {
        unlink_way(topics, topic->kind, topic->hash, stamp);
    }
    if (topic->kind == SHOAL_TOPIC_PATTERN) unlink_pattern(topics, topic);
    shoal_bump_relaxed(&topics->counts[topic->kind], (uint32_t)-1);
    retire(topics, &topic->piece, stamp);
}

/* ---- subscriptions ---- */

shoal_subscription *shoal_topics__subscribed(const shoal_topics *topics,
                                             const shoal_subscriptions *own,
                                             const shoal_topic_name *name)
{
    if (own->count == 0) return NULL;
    const shoal_topic *topic = shoal_topics__find(topics, name);
    if (topic == NULL) return NULL;
    /* The shorter of the two lists that it would be in. */
    if (own->count < shoal_load_relaxed(&topic->receivers)) {
        for (shoal_subscription *each = own->first; each != NULL; each = each->own_next) {
            if (each->topic == topic) return each;
        }
        return NULL;
    }
    SHOAL_DEBUG_ASSERT(own->first != NULL);
    const shoal_session *session = own->first->session;
    for (shoal_subscription *each = topic->first; each != NULL; each = each->next) {
        if (each->session == session) return each;
    }
    return NULL;
}

/* A topic of that name that nobody has subscribed to yet, or NULL. */
static shoal_topic *make_topic(shoal_topics *topics, const shoal_topic_name *name)
{
    size_t memory = sizeof(shoal_topic) + name->name.size;
    shoal_topic *made = shoal_memory_take(&topics->allocator, memory, SHOAL_ALIGN_PLAIN);
    SHOAL_DEBUG_ASSERT(name->kind < SHOAL_TOPIC_KINDS);
    if (made == NULL) return NULL;
    char *text = (char *)(made + 1);
    *made = (shoal_topic){.piece = {.memory = memory},
                          .hash = name->hash,
                          .name = {text, name->name.size},
                          .kind = name->kind,
                          .place = name->place};
    if (name->name.size != 0) memcpy(text, name->name.data, name->name.size);
    if (link_topic(topics, made)) {
        shoal_bump_relaxed(&topics->counts[name->kind], 1u);
        return made;
    }
    shoal_memory_give(&topics->allocator, made, memory, SHOAL_ALIGN_PLAIN);
    return NULL;
}

bool shoal_topics__add(shoal_topics *topics, const shoal_topic_name *name,
                       const shoal_subscriber *who)
{
    SHOAL_DEBUG_ASSERT(shoal_topics__subscribed(topics, who->own, name) == NULL);
    shoal_subscription *made =
        shoal_memory_take(&topics->allocator, sizeof(*made), SHOAL_ALIGN_PLAIN);
    if (made == NULL) return false;
    /* The table is this worker's own. */
    shoal_topic *topic = (shoal_topic *)(uintptr_t)shoal_topics__find(topics, name);
    if (topic == NULL) topic = make_topic(topics, name);
    if (topic == NULL) {
        shoal_memory_give(&topics->allocator, made, sizeof(*made), SHOAL_ALIGN_PLAIN);
        return false;
    }
    *made = (shoal_subscription){.topic = topic,
                                 .session = who->session,
                                 .previous = topic->last,
                                 .own_previous = who->own->last};
    *(topic->last != NULL ? &topic->last->next : &topic->first) = made;
    topic->last = made;
    *(who->own->last != NULL ? &who->own->last->own_next : &who->own->first) = made;
    who->own->last = made;
    who->own->count++;
    shoal_bump_relaxed(&topic->receivers, 1u);
    shoal_bump_relaxed(&topics->subscriptions, 1u);
    return true;
}

void shoal_topics__remove(shoal_topics *topics, shoal_subscription *subscription,
                          shoal_subscriptions *own, uint64_t stamp)
{
    shoal_topic *topic = subscription->topic;
    SHOAL_ASSERT(own->count > 0 && shoal_load_relaxed(&topic->receivers) > 0);
    shoal_subscription *next = subscription->next, *previous = subscription->previous;
    *(previous != NULL ? &previous->next : &topic->first) = next;
    *(next != NULL ? &next->previous : &topic->last) = previous;
    next = subscription->own_next;
    previous = subscription->own_previous;
    *(previous != NULL ? &previous->own_next : &own->first) = next;
    *(next != NULL ? &next->own_previous : &own->last) = previous;
    own->count--;
    shoal_bump_relaxed(&topic->receivers, (uint32_t)-1);
    shoal_bump_relaxed(&topics->subscriptions, (uint32_t)-1);
    shoal_memory_give(&topics->allocator, subscription, sizeof(*subscription), SHOAL_ALIGN_PLAIN);
    if (topic->first == NULL) unlink_topic(topics, topic, stamp);
}
