/* SPDX-License-Identifier: MIT
 *
 * command/events.h - key events (notify-keyspace-events): what commands did to keys, published in
 * the channels __keyspace@<db>__:<key> and __keyevent@<db>__:<event>. Handlers know nothing of it:
 * the store tells what changed (store/change.h), and events.def how each command calls that.
 *
 * Events are published under the gates, behind the change and in its order, to subscribers of this
 * node alone. Where no class is on, a command that writes costs one more load.
 */
#ifndef SHOAL_COMMAND_EVENTS_H
#define SHOAL_COMMAND_EVENTS_H

#include "base/atomic.h"
#include "command/command.h"
#include "command/effect.h"

/* Classes of events, and the two kinds of channels; in the order in which CONFIG GET shows them. */
typedef enum shoal_event_class {
    SHOAL_EVENT_GENERIC = 1 << 0,   /* g */
    SHOAL_EVENT_STRING = 1 << 1,    /* $ */
    SHOAL_EVENT_LIST = 1 << 2,      /* l */
    SHOAL_EVENT_SET = 1 << 3,       /* s */
    SHOAL_EVENT_HASH = 1 << 4,      /* h */
    SHOAL_EVENT_ZSET = 1 << 5,      /* z */
    SHOAL_EVENT_EXPIRED = 1 << 6,   /* x */
    SHOAL_EVENT_EVICTED = 1 << 7,   /* e */
    SHOAL_EVENT_STREAM = 1 << 8,    /* t */
    SHOAL_EVENT_MODULE = 1 << 9,    /* d: of modules, of which there are none */
    SHOAL_EVENT_KEYSPACE = 1 << 10, /* K */
    SHOAL_EVENT_KEYEVENT = 1 << 11, /* E */
    SHOAL_EVENT_MISS = 1 << 12,     /* m */
    SHOAL_EVENT_NEW = 1 << 13,      /* n */
    SHOAL_EVENT_ALL = (1 << 10) - 1 /* A: without misses and new keys */
} shoal_event_class;

/* The classes that letters stand for; others than those above are not looked at. */
uint32_t shoal_event_classes(shoal_slice letters);

/* Does anybody want to know? */
static inline bool shoal_events__wanted(const shoal_env *env)
{
    return __builtin_expect(shoal_load_relaxed(&env->events) != 0, 0);
}

/* Does `step` with a call, under its gates, and publishes what it did to keys. */
void shoal_events__run(shoal_call *call, shoal_effect__step step, void *context);
/* A key has gone by itself, or a field of a hash. */
void shoal_events__gone(shoal_env *env, const shoal_departure *departure);
/* A reader has not found key `index`. */
void shoal_events__miss(const shoal_call *call, uint32_t index);

#endif
