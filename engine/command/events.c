/* SPDX-License-Identifier: MIT
 *
 * command/events.c - from changes of keys to the events that a command is known for.
 */
#include "command/events.h"

#include "base/assert.h"
#include "base/text.h"
#include "command/handlers.h"
#include "command/pubsub.h"
#include "command/tracking.h"

uint32_t shoal_event_classes(shoal_slice letters)
{
    static const char known[] = "g$lshzxetdKEmn";
    uint32_t set = 0;
    SHOAL_ASSERT(letters.data != NULL || letters.size == 0);
    for (size_t i = 0; i < letters.size; i++) {
        size_t at = shoal_text_find(shoal_text(known), (shoal_slice){letters.data + i, 1});
        if (letters.data[i] == 'A') set |= SHOAL_EVENT_ALL;
        if (at != SHOAL_TEXT_NONE) set |= 1u << at;
    }
    return set;
}

/* ---- publishing ---- */

/* Something that happened to a key. */
typedef struct event {
    shoal_event_class class;
    const char *word;
    uint32_t db;
    shoal_slice name;
} event;

static void tell(shoal_env *env, const event *what)
{
    uint32_t classes = shoal_load_relaxed(&env->events);
    SHOAL_DEBUG_ASSERT(what->word != NULL);
    if ((classes & what->class) == 0 || shoal_load_relaxed(&env->subscriptions) == 0) return;
    shoal_buffer channel = shoal_buffer_make(&env->allocator);
    shoal_slice word = shoal_text(what->word);
    if ((classes & SHOAL_EVENT_KEYSPACE) != 0) {
        shoal_text_appendf(&channel, "__keyspace@%u__:", what->db);
        shoal_buffer_append(&channel, what->name);
        shoal_message message = {false, shoal_buffer_slice(&channel), word};
        if (!channel.failed) (void)shoal_publish(env, &message);
        shoal_buffer_consume(&channel, shoal_buffer_size(&channel));
    }
    if ((classes & SHOAL_EVENT_KEYEVENT) != 0) {
        shoal_text_appendf(&channel, "__keyevent@%u__:%s", what->db, what->word);
        shoal_message message = {false, shoal_buffer_slice(&channel), what->name};
        if (!channel.failed) (void)shoal_publish(env, &message);
    }
    shoal_buffer_free(&channel);
}

void shoal_events__gone(shoal_env *env, const shoal_departure *departure)
{
    if (!shoal_events__wanted(env)) return;
    bool expired = departure->change == SHOAL_CHANGE_EXPIRED;
    SHOAL_ASSERT(expired || departure->change == SHOAL_CHANGE_EVICTED);
    event what = {expired ? SHOAL_EVENT_EXPIRED : SHOAL_EVENT_EVICTED,
                  expired ? "expired" : "evicted", SHOAL_PLACE_DB(departure->place),
                  shoal_item_name(departure->item)};
    if (departure->field != NULL) {
        what.class = SHOAL_EVENT_HASH;
        what.word = "hexpired";
    }
    tell(env, &what);
}

void shoal_events__miss(const shoal_call *call, uint32_t index)
{
    SHOAL_ASSERT(index < call->key_count);
    const shoal_key *key = &call->keys[index];
    /* With these it looks at what it is about to write. */
    for (uint32_t i = 2; call->command->id == SHOAL_COMMAND_BITFIELD && i < call->argc; i++) {
        if (shoal_text_is(call->argv[i], "set") || shoal_text_is(call->argv[i], "incrby")) return;
    }
    const event what = {SHOAL_EVENT_MISS, "keymiss", SHOAL_PLACE_DB(key->place), key->name};
    tell(call->env, &what);
}

/* ---- what a command did ---- */

/* What happened to one key. */
enum { CREATED = 1, VALUE = 2, TTL = 4, REMOVED = 8 };

/* To key `index` of the call. */
typedef struct change {
    uint32_t index, what;
} change;

/* Changes that need no memory of their own. */
#define CHANGES_SMALL 8u

/* All that happened, in its order; changes of one key in a row are one. */
typedef struct record {
    shoal_observer observer; /* first */
    const shoal_call *call;
    uint32_t next; /* key that is looked at first */
    uint32_t count;
    bool lost;  /* there was no memory for some */
    bool named; /* the command has names for what it does: see events.def */
    change small[CHANGES_SMALL];
    shoal_buffer more;
} record;

/* The place of a key in the call, or key_count. */
static uint32_t index_of(const record *at, const shoal_key *key)
{
    uint32_t count = at->call->key_count;
    SHOAL_DEBUG_ASSERT(at->next <= count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = at->next + i < count ? at->next + i : at->next + i - count;
        const shoal_key *own = &at->call->keys[index];
        if (own->hash == key->hash && own->place == key->place &&
            shoal_text_equal(own->name, key->name))
            return index;
    }
    return count;
}

static change *change_at(record *at, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < at->count);
    if (index < CHANGES_SMALL) return &at->small[index];
    char *bytes = at->more.data + at->more.start;
    return (change *)(void *)bytes + (index - CHANGES_SMALL);
}

static void changed(shoal_observer *observer, const shoal_key *key, shoal_change how, bool created)
{
    record *at = (record *)observer;
    SHOAL_DEBUG_ASSERT(key != NULL);
    if (shoal_tracking__asked(at->call->env, at->call->thread))
        shoal_tracking__changed(at->call->env, key, at->call->client_id);
    if (!at->named) return;
    uint32_t what = (created ? CREATED : 0) | (how == SHOAL_CHANGE_VALUE     ? VALUE
                                               : how == SHOAL_CHANGE_TTL     ? TTL
                                               : how == SHOAL_CHANGE_REMOVED ? REMOVED
                                                                             : 0);
    uint32_t index = what != 0 ? index_of(at, key) : at->call->key_count;
    if (index == at->call->key_count) return;
    if (at->count > 0 && change_at(at, at->count - 1)->index == index) {
        change_at(at, at->count - 1)->what |= what;
        return;
    }
    /* Commands on many keys go from one to the next; a few come back to one they have changed. */
    at->next = at->call->key_count > 2 ? index : 0;
    const change made = {index, what};
    if (at->count >= CHANGES_SMALL) {
        shoal_buffer_append(&at->more, (shoal_slice){(const char *)&made, sizeof(made)});
        at->lost = at->lost || at->more.failed;
        if (at->lost) return;
    } else {
        at->small[at->count] = made;
    }
    at->count++;
}

/* All that happened to key `index`. */
static uint32_t changes_of(record *at, uint32_t index)
{
    uint32_t what = 0;
    SHOAL_DEBUG_ASSERT(index < at->call->key_count);
    for (uint32_t i = 0; i < at->count; i++) {
        if (change_at(at, i)->index == index) what |= change_at(at, i)->what;
    }
    return what;
}

/* ---- how it is called ---- */

/* A row of events.def. */
typedef struct naming {
    shoal_event_class class;
    void (*tell)(record *at, const struct naming *row);
    const char *value, *ttl;
} naming;

static void say(const record *at, uint32_t index, shoal_event_class class, const char *word)
{
    SHOAL_DEBUG_ASSERT(index < at->call->key_count);
    if (word == NULL) return;
    const shoal_key *key = &at->call->keys[index];
    const event what = {class, word, SHOAL_PLACE_DB(key->place), key->name};
    tell(at->call->env, &what);
}

/* One of the arguments from `first` on is a word of a time to live. */
static bool has_deadline(const shoal_call *call, uint32_t first)
{
    SHOAL_DEBUG_ASSERT(first > 0);
    for (uint32_t i = first; i < call->argc; i++) {
        if (shoal_text_is(call->argv[i], "ex") || shoal_text_is(call->argv[i], "px") ||
            shoal_text_is(call->argv[i], "exat") || shoal_text_is(call->argv[i], "pxat"))
            return true;
    }
    return false;
}

/* The word for a new value, where arguments decide about it. */
static const char *value_word(const shoal_call *call, const naming *row)
{
    uint32_t at = call->key_count;
    SHOAL_DEBUG_ASSERT(call->argc > 1);
    switch (call->command->id) {
    case SHOAL_COMMAND_ZADD:
        for (uint32_t i = 2; i + 2 < call->argc; i++) {
            if (shoal_text_is(call->argv[i], "incr")) return "zincr";
        }
        return row->value;
    case SHOAL_COMMAND_BLMPOP: at++; /* fall through */
    case SHOAL_COMMAND_LMPOP: return shoal_text_is(call->argv[at + 2], "left") ? "lpop" : "rpop";
    case SHOAL_COMMAND_BZMPOP: at++; /* fall through */
    case SHOAL_COMMAND_ZMPOP:
        return shoal_text_is(call->argv[at + 2], "min") ? "zpopmin" : "zpopmax";
    case SHOAL_COMMAND_HGETEX:
        return shoal_text_is(call->argv[2], "persist") ? "hpersist" : row->value;
    default: return row->value;
    }
}

static const char *ttl_word(const shoal_call *call, const naming *row)
{
    SHOAL_DEBUG_ASSERT(call->argc > 1);
    bool persists = call->command->id == SHOAL_COMMAND_GETEX && call->argc == 3;
    return persists ? "persist" : row->ttl;
}

/* How a change is told. */
typedef enum manner { PUT, TAKEN, DATED } manner;

static void tell_each(record *at, const naming *row, manner how)
{
    SHOAL_DEBUG_ASSERT(at->call->command != NULL);
    const char *value = value_word(at->call, row);
    for (uint32_t i = 0; i < at->count; i++) {
        change each = *change_at(at, i);
        bool has_value = (each.what & VALUE) != 0, removed = (each.what & REMOVED) != 0;
        if ((each.what & CREATED) != 0) say(at, each.index, SHOAL_EVENT_NEW, "new");
        if (has_value || (removed && how == TAKEN)) say(at, each.index, row->class, value);
        if (has_value && how == DATED) say(at, each.index, SHOAL_EVENT_GENERIC, "expire");
        if ((each.what & TTL) != 0)
            say(at, each.index, SHOAL_EVENT_GENERIC, ttl_word(at->call, row));
        if (removed) say(at, each.index, SHOAL_EVENT_GENERIC, "del");
    }
}

static void tell_puts(record *at, const naming *row)
{
    tell_each(at, row, PUT);
}

static void tell_takes(record *at, const naming *row)
{
    tell_each(at, row, TAKEN);
}

static void tell_renews(record *at, const naming *row)
{
    SHOAL_DEBUG_ASSERT(row->value != NULL);
    for (uint32_t i = 0; i < at->count; i++) {
        if ((change_at(at, i)->what & VALUE) != 0) change_at(at, i)->what |= CREATED;
    }
    tell_each(at, row, PUT);
}

static void tell_trims(record *at, const naming *row)
{
    const shoal_call *call = at->call;
    SHOAL_DEBUG_ASSERT(call->key_count == 1);
    tell_each(at, row, TAKEN);
    if (at->count == 0 && shoal_store_peek(call->thread, &call->keys[0]) != NULL)
        say(at, 0, row->class, row->value);
}

static void tell_dates(record *at, const naming *row)
{
    const shoal_call *call = at->call;
    shoal_command_id id = call->command->id;
    SHOAL_DEBUG_ASSERT(call->key_count > 0);
    bool always = id == SHOAL_COMMAND_SETEX || id == SHOAL_COMMAND_PSETEX;
    uint32_t first = id == SHOAL_COMMAND_MSETEX ? 2 + 2 * call->key_count : 3;
    tell_each(at, row, always || has_deadline(call, first) ? DATED : PUT);
}

/* From the end of one list to the end of another, or of the same. */
static void tell_shifts(record *at, const naming *row)
{
    const shoal_call *call = at->call;
    SHOAL_DEBUG_ASSERT(call->key_count == 2);
    bool named =
        call->command->id == SHOAL_COMMAND_LMOVE || call->command->id == SHOAL_COMMAND_BLMOVE;
    bool from_left = named && shoal_text_is(call->argv[3], "left");
    bool to_left = !named || shoal_text_is(call->argv[4], "left");
    /* Of one and the same list, an element that is alone there stays where it is. */
    if (at->count == 0 && (call->keys[0].hash != call->keys[1].hash ||
                           shoal_store_peek(call->thread, &call->keys[0]) == NULL))
        return;
    uint32_t from = changes_of(at, 0), to = changes_of(at, 1);
    if ((to & CREATED) != 0) say(at, 1, SHOAL_EVENT_NEW, "new");
    say(at, 1, row->class, to_left ? "lpush" : "rpush");
    say(at, 0, row->class, from_left ? "lpop" : "rpop");
    if ((from & REMOVED) != 0) say(at, 0, SHOAL_EVENT_GENERIC, "del");
}

/* A member of one set becomes one of another. */
static void tell_passes(record *at, const naming *row)
{
    uint32_t from = changes_of(at, 0), to = changes_of(at, 1);
    SHOAL_DEBUG_ASSERT(at->call->key_count == 2);
    if ((from & (VALUE | REMOVED)) != 0) say(at, 0, row->class, "srem");
    if ((from & REMOVED) != 0) say(at, 0, SHOAL_EVENT_GENERIC, "del");
    if ((to & CREATED) != 0) say(at, 1, SHOAL_EVENT_NEW, "new");
    if ((to & VALUE) != 0) say(at, 1, row->class, "sadd");
}

/* A value goes from key 0 to key 1. */
static void go_over(record *at, const naming *row, const char *from, const char *to)
{
    SHOAL_DEBUG_ASSERT(at->call->key_count == 2);
    if (at->count == 0) return;
    /* Nothing has been under the other name, or what was there has gone before. */
    say(at, 1, SHOAL_EVENT_NEW, "new");
    say(at, 0, row->class, from);
    say(at, 1, row->class, to);
}

static void tell_renames(record *at, const naming *row)
{
    go_over(at, row, "rename_from", "rename_to");
}

static void tell_moves(record *at, const naming *row)
{
    go_over(at, row, "move_from", "move_to");
}

static const naming rows[SHOAL_COMMAND_COUNT] = {
#define SHOAL_EVENT(COMMAND, CLASS, manner, value, ttl) \
    [SHOAL_COMMAND_##COMMAND] = {SHOAL_EVENT_##CLASS, tell_##manner, value, ttl},
#include "command/events.def"
#undef SHOAL_EVENT
};

void shoal_events__run(shoal_call *call, shoal_effect__step step, void *context)
{
    bool named = shoal_events__wanted(call->env);
    /* Who carries out what a master says looks again behind each change (K2 of tracking.h). */
    bool tracked = shoal_tracking__wanted(call->env) || call->replicated;
    if (!named && !tracked) {
        step(context, call);
        return;
    }
    const naming *row = &rows[call->command->id];
    named = named && row->tell != NULL;
    record at = {.observer = {changed}, .call = call, .named = named};
    const shoal_buffer *out = call->reply.out;
    size_t before = shoal_buffer_size(out);
    at.more = shoal_buffer_make(&call->env->allocator);
    shoal_observer *outer =
        shoal_thread_observe(call->thread, named || tracked ? &at.observer : NULL);
    step(context, call);
    (void)shoal_thread_observe(call->thread, outer);
    bool failed = shoal_buffer_size(out) > before && out->data[out->start + before] == '-';
    SHOAL_DEBUG_ASSERT(named || at.count == 0);
    if (named && (at.count > 0 || !failed)) row->tell(&at, row);
    shoal_buffer_free(&at.more);
}
