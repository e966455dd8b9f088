/* SPDX-License-Identifier: MIT
 *
 * value/members.c - the one view of sets and hashes in their two forms. A pack is walked from its
 * first entry; for a table it is asked. Expired entries of a table are passed over.
 */
#include "value/members.h"

#include "base/assert.h"

/* Tries at an entry that has not expired, before the first one behind a random place is taken. */
#define RANDOM_TRIES 64u

/* ---- packs ---- */

char *shoal_members__mark(char *at)
{
    const shoal_element mark = shoal_element_of_double(-0.0);
    SHOAL_ASSERT(shoal_pack_size_of(&mark) == SHOAL_MEMBERS__MARK_SIZE);
    return shoal_pack_write(at, &mark);
}

bool shoal_members__is_marked(shoal_slice pack)
{
    SHOAL_ASSERT(pack.size >= SHOAL_PACK_HEAD);
    if (pack.size < SHOAL_PACK_HEAD + SHOAL_MEMBERS__MARK_SIZE) return false;
    shoal_element first;
    (void)shoal_pack_read(shoal_pack_first(pack), shoal_pack_end(pack), &first);
    return first.kind == SHOAL_ELEMENT_DOUBLE;
}

const char *shoal_members__read(const char *at, const char *end, bool pairs, shoal_table_entry *out)
{
    SHOAL_DEBUG_ASSERT(at < end);
    const char *begin = at;
    at = shoal_pack_read(at, end, &out->name);
    if (pairs) at = shoal_pack_read(at, end, &out->value);
    out->deadline_ms = -1;
    out->bytes = (shoal_slice){begin, (size_t)(at - begin)};
    return at;
}

/* ---- views ---- */

shoal_members shoal_members_of(const shoal_compound *value, shoal_value_type type, int64_t now_ms)
{
    SHOAL_ASSERT(type == SHOAL_TYPE_SET || type == SHOAL_TYPE_HASH);
    shoal_members members = {.now_ms = now_ms, .pairs = type == SHOAL_TYPE_HASH};
    if (value->object != NULL) {
        SHOAL_ASSERT(value->object->type == type);
        members.table = (const shoal_table *)value->object;
        members.wide = value->object->encoding == SHOAL_MEMBERS_WIDE;
        uint64_t expired = shoal_table_expired(members.table, now_ms);
        members.expired = expired > 0;
        members.count = members.table->count - expired;
    } else if (value->pack.data != NULL) {
        members.pack = value->pack;
        members.wide = shoal_members__is_marked(value->pack);
        members.first = shoal_pack_first(value->pack);
        members.end = shoal_pack_end(value->pack);
        if (members.wide) members.first += SHOAL_MEMBERS__MARK_SIZE;
        members.count = (shoal_pack_count(value->pack) - members.wide) >> members.pairs;
    }
    return members;
}

static bool is_live(const shoal_members *members, const shoal_table_entry *entry)
{
    SHOAL_DEBUG_ASSERT(entry->deadline_ms < 0 || members->table != NULL);
    return entry->deadline_ms < 0 || entry->deadline_ms > members->now_ms;
}

bool shoal_members_find(const shoal_members *members, const shoal_element *name,
                        shoal_table_entry *out)
{
    SHOAL_DEBUG_ASSERT(name->kind != SHOAL_ELEMENT_DOUBLE);
    if (members->table != NULL) {
        shoal_table_entry entry;
        if (out == NULL) out = &entry;
        return shoal_table_find(members->table, name, out) && is_live(members, out);
    }
    if (members->first == members->end) return false;
    const char *at = shoal_pack_find(members->pack, members->first, name, members->pairs);
    if (at == NULL) return false;
    if (out != NULL) (void)shoal_members__read(at, members->end, members->pairs, out);
    return true;
}

bool shoal_members_next(const shoal_members *members, shoal_members_place *place,
                        shoal_table_entry *out)
{
    SHOAL_DEBUG_ASSERT(members->now_ms >= 0);
    if (members->table != NULL) {
        while (shoal_table_next(members->table, &place->place, out)) {
            if (is_live(members, out)) return true;
        }
        return false;
    }
    const char *at = place->at == NULL ? members->first : place->at;
    if (at == members->end) return false;
    place->at = shoal_members__read(at, members->end, members->pairs, out);
    return true;
}

/* ---- scanning ---- */

/* Passes on what is live, and counts all. */
typedef struct filter {
    const shoal_members *members;
    shoal_table_visit visit;
    void *context;
    uint64_t seen;
} filter;

static void pass_on(void *context, const shoal_table_entry *entry)
{
    filter *through = context;
    SHOAL_DEBUG_ASSERT(through->members->table != NULL);
    through->seen++;
    if (is_live(through->members, entry)) through->visit(through->context, entry);
}

void shoal_members_scan(const shoal_members *members, uint32_t count, uint64_t *cursor,
                        shoal_table_visit visit, void *context)
{
    SHOAL_ASSERT(count > 0);
    if (members->table == NULL) {
        shoal_members_place place = {0};
        shoal_table_entry entry;
        while (shoal_members_next(members, &place, &entry)) visit(context, &entry);
        *cursor = 0;
        return;
    }
    filter through = {members, visit, context, 0};
    /* Pages may be empty, so they are bounded too. */
    for (uint32_t pages = 0; pages < count && through.seen < count; pages++) {
        shoal_table_scan(members->table, cursor, pass_on, &through);
        if (*cursor == 0) break;
    }
}

/* ---- at random ---- */

/* A live entry at or behind a random place, of a table that has one. */
static uint64_t random_behind(const shoal_members *members, shoal_prng *prng,
                              shoal_table_entry *out)
{
    SHOAL_ASSERT(members->count > 0);
    uint64_t where = shoal_table_random(members->table, prng, out);
    shoal_table_place place = {(uint32_t)(where >> 32), (uint32_t)where};
    for (;;) {
        while (shoal_table_next(members->table, &place, out)) {
            if (is_live(members, out)) return (uint64_t)place.page << 32 | (place.index - 1);
        }
        place = (shoal_table_place){0};
    }
}

uint64_t shoal_members_random(const shoal_members *members, shoal_prng *prng,
                              shoal_table_entry *out)
{
    SHOAL_ASSERT(members->count > 0);
    if (members->table != NULL) {
        for (uint32_t i = 0; i < RANDOM_TRIES; i++) {
            uint64_t where = shoal_table_random(members->table, prng, out);
            if (is_live(members, out)) return where;
        }
        return random_behind(members, prng, out);
    }
    uint64_t index = shoal_prng_below(prng, members->count);
    const char *at = members->first;
    for (uint64_t skip = index << members->pairs; skip > 0; skip--)
        at = shoal_pack_skip(at, members->end);
    (void)shoal_members__read(at, members->end, members->pairs, out);
    return index;
}
