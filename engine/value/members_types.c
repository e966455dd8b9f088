/* SPDX-License-Identifier: MIT
 *
 * value/members_types.c - sets and hashes as the store and the generic commands see them, and the
 * deadlines of fields as the store's background work does.
 */
#include "base/assert.h"
#include "value/members.h"

/* A view in which nothing has expired: what is there counts until it is dropped. */
static shoal_members view(const shoal_compound *value, shoal_value_type type)
{
    SHOAL_DEBUG_ASSERT(value->object != NULL || value->pack.data != NULL);
    return shoal_members_of(value, type, 0);
}

static void visit_all(const shoal_members *members, shoal_value_visit visit, void *context)
{
    shoal_members_place place = {0};
    shoal_table_entry entry;
    SHOAL_ASSERT(!members->expired);
    while (shoal_members_next(members, &place, &entry)) visit(context, entry.bytes);
}

static const char *set_encoding(const shoal_compound *value)
{
    const shoal_members members = view(value, SHOAL_TYPE_SET);
    SHOAL_DEBUG_ASSERT(members.count > 0);
    return members.wide ? "hashtable" : "intset";
}

static uint64_t set_count(const shoal_compound *value)
{
    const shoal_members members = view(value, SHOAL_TYPE_SET);
    SHOAL_DEBUG_ASSERT(!members.pairs);
    return members.count;
}

static void set_visit(const shoal_compound *value, shoal_value_visit visit, void *context)
{
    const shoal_members members = view(value, SHOAL_TYPE_SET);
    SHOAL_DEBUG_ASSERT(!members.pairs);
    visit_all(&members, visit, context);
}

static const char *hash_encoding(const shoal_compound *value)
{
    const shoal_members members = view(value, SHOAL_TYPE_HASH);
    SHOAL_DEBUG_ASSERT(members.count > 0);
    return members.wide ? "hashtable" : "listpack";
}

static uint64_t hash_count(const shoal_compound *value)
{
    const shoal_members members = view(value, SHOAL_TYPE_HASH);
    SHOAL_DEBUG_ASSERT(members.pairs);
    return members.count;
}

static void hash_visit(const shoal_compound *value, shoal_value_visit visit, void *context)
{
    const shoal_members members = view(value, SHOAL_TYPE_HASH);
    SHOAL_DEBUG_ASSERT(members.pairs);
    visit_all(&members, visit, context);
}

const shoal_value_ops shoal_set__ops = {
    .name = "set",
    .free_some = shoal_table_free_some,
    .encoding = set_encoding,
    .count = set_count,
    .copy = shoal_table_copy,
    .visit = set_visit,
    .move = shoal_table_move,
};

const shoal_value_ops shoal_hash__ops = {
    .name = "hash",
    .free_some = shoal_table_free_some,
    .encoding = hash_encoding,
    .count = hash_count,
    .copy = shoal_table_copy,
    .visit = hash_visit,
    .move = shoal_table_move,
};

int64_t shoal_hash_deadline(const shoal_object *hash)
{
    SHOAL_ASSERT(hash->type == SHOAL_TYPE_HASH);
    return shoal_table_deadline((const shoal_table *)hash);
}

bool shoal_hash_due(const shoal_object *hash, int64_t now_ms, shoal_table_entry *entry)
{
    SHOAL_ASSERT(hash->type == SHOAL_TYPE_HASH);
    return shoal_table_due((const shoal_table *)hash, now_ms, entry);
}

bool shoal_hash_expire_some(shoal_object *hash, shoal_account *account, int64_t now_ms,
                            uint32_t *budget)
{
    SHOAL_ASSERT(hash->type == SHOAL_TYPE_HASH);
    shoal_table *table = (shoal_table *)hash;
    (void)shoal_table_expire_some(table, account, now_ms, budget);
    return table->count > 0;
}
