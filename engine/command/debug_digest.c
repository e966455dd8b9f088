/* SPDX-License-Identifier: MIT
 *
 * command/debug_digest.c - DEBUG DIGEST and DEBUG DIGEST-VALUE: digests of data that are equal to
 * those of a redis-server which holds the same, so that nodes of both kinds can be compared. They
 * are made of SHA-1, of which `add` puts the sum of bytes into a digest so that order does not
 * matter, and `mix` so that it does:
 *
 *   add(d, x): d ^= SHA1(x)            mix(d, x): add(d, x), d = SHA1(d)
 *
 *   all:   0; each database that is not empty: mix its number, then add the digest of each key
 *   key:   0; mix its name, its type, then its value; with a TTL add "!!expire!!"
 *   value: mix a string, or each element of a list; add each element of a set; of a sorted set or
 *          hash add for each pair a digest of its own: 0, mix the one and the other
 */
#include <string.h>

#include "base/assert.h"
#include "base/number.h"
#include "base/sha1.h"
#include "command/debug.h"
#include "command/worker.h"
#include "value/list.h"
#include "value/members.h"
#include "value/zset.h"

/* A digest in the making. */
typedef struct digest {
    unsigned char bytes[SHOAL_SHA1_SIZE];
} digest;
_Static_assert(sizeof(digest) == SHOAL_DEBUG__DIGEST_SIZE, "what jobs keep of it");

static shoal_slice slice_of(const digest *of)
{
    return (shoal_slice){(const char *)of->bytes, sizeof(of->bytes)};
}

static void add(digest *to, shoal_slice bytes)
{
    digest sum;
    shoal_sha1(bytes, sum.bytes);
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    for (size_t i = 0; i < sizeof(sum.bytes); i++) to->bytes[i] ^= sum.bytes[i];
}

static void mix(digest *to, shoal_slice bytes)
{
    add(to, bytes);
    shoal_sha1(slice_of(to), to->bytes);
}

static void mix_number(digest *to, uint32_t number)
{
    char bytes[4];
    for (unsigned i = 0; i < sizeof(bytes); i++) bytes[i] = (char)(number >> (24 - 8 * i));
    mix(to, (shoal_slice){bytes, sizeof(bytes)});
}

static void mix_element(digest *to, const shoal_element *element)
{
    char scratch[32];
    mix(to, shoal_element_text(element, scratch));
}

/* ---- values ---- */

static void mix_list(digest *to, const shoal_compound *value)
{
    shoal_list_cursor cursor;
    shoal_element element;
    SHOAL_DEBUG_ASSERT(value->object != NULL || value->pack.data != NULL);
    shoal_list_seek(&cursor, value, 0, false);
    while (shoal_list_next(&cursor, &element)) mix_element(to, &element);
}

static void add_members(digest *to, const shoal_members *members)
{
    shoal_members_place place = {0};
    shoal_table_entry entry;
    char scratch[32];
    SHOAL_DEBUG_ASSERT(members->pairs || members->count > 0);
    while (shoal_members_next(members, &place, &entry)) {
        if (!members->pairs) {
            add(to, shoal_element_text(&entry.name, scratch));
            continue;
        }
        digest pair = {{0}};
        mix_element(&pair, &entry.name);
        mix_element(&pair, &entry.value);
        add(to, slice_of(&pair));
    }
}

static void add_scores(digest *to, const shoal_compound *value)
{
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    char score[SHOAL_NUMBER_DOUBLE_MAX];
    uint64_t count = shoal_zset_count(value);
    SHOAL_DEBUG_ASSERT(count > 0);
    shoal_zset_seek(&cursor, value, (shoal_zset_ranks){0, count}, false);
    while (shoal_zset_next(&cursor, &entry)) {
        digest pair = {{0}};
        mix(&pair, entry.member);
        mix(&pair, (shoal_slice){score, shoal_number_from_double(entry.score, score)});
        add(to, slice_of(&pair));
    }
}

/* The number of a type as Redis counts them. */
static uint32_t type_number(shoal_value_type type)
{
    SHOAL_ASSERT(type != SHOAL_TYPE_NONE && type <= SHOAL_TYPE_HASH);
    switch (type) {
    case SHOAL_TYPE_LIST: return 1;
    case SHOAL_TYPE_SET: return 2;
    case SHOAL_TYPE_ZSET: return 3;
    case SHOAL_TYPE_HASH: return 4;
    default: return 0;
    }
}

/* Puts type, value and whether there is a TTL into a digest. */
static void mix_value(digest *to, const shoal_item *item, int64_t now_ms)
{
    shoal_value_type type = shoal_item_type(item);
    char scratch[SHOAL_INT_TEXT_SIZE];
    mix_number(to, type_number(type));
    if (type == SHOAL_TYPE_STRING) {
        mix(to, shoal_item_string(item, scratch));
    } else {
        shoal_compound value = shoal_item_compound(item);
        shoal_members members;
        switch (type) {
        case SHOAL_TYPE_LIST: mix_list(to, &value); break;
        case SHOAL_TYPE_ZSET: add_scores(to, &value); break;
        default: members = shoal_members_of(&value, type, now_ms); add_members(to, &members);
        }
    }
    if (shoal_item_expires_ms(item) >= 0) add(to, shoal_text("!!expire!!"));
}

/* ---- places ---- */

/* One place that is being added. */
typedef struct part {
    shoal_debug__data *data;
    uint32_t db;
    int64_t now_ms;
} part;

static void add_item(void *context, const shoal_item *item)
{
    part *now = context;
    shoal_debug__data *data = now->data;
    digest all, one = {{0}};
    memcpy(all.bytes, data->digest, sizeof(all.bytes));
    SHOAL_DEBUG_ASSERT(data->databases <= now->db + 1);
    if (data->databases <= now->db) mix_number(&all, now->db);
    data->databases = now->db + 1;
    mix(&one, shoal_item_name(item));
    mix_value(&one, item, now->now_ms);
    add(&all, slice_of(&one));
    memcpy(data->digest, all.bytes, sizeof(all.bytes));
}

void shoal_debug__digest_add(shoal_debug__data *data, shoal_call *call, uint32_t place)
{
    part now = {data, SHOAL_PLACE_DB(place), shoal_time_wall_ms(call->now)};
    const shoal_scan scan = {.db = now.db,
                             .slot_first = SHOAL_PLACE_SLOT(place),
                             .slot_last = SHOAL_PLACE_SLOT(place),
                             .count = UINT32_MAX};
    uint64_t cursor = 0;
    SHOAL_ASSERT(call->gated);
    do {
        shoal_store_scan(call->thread, &scan, &cursor, add_item, &now);
    } while (cursor != 0);
}

/* ---- replies ---- */

static void reply_digest(shoal_call *call, const unsigned char *bytes)
{
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    SHOAL_DEBUG_ASSERT(bytes != NULL);
    shoal_text_append_hex(&text, (shoal_slice){(const char *)bytes, SHOAL_SHA1_SIZE});
    shoal_buffer_append(&text, (shoal_slice){"", 1});
    shoal_reply_status(&call->reply, text.failed ? "" : text.data);
    if (text.failed) call->reply.out->failed = true;
    shoal_buffer_free(&text);
}

void shoal_debug__digest_tell(const shoal_debug__data *data, shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    reply_digest(call, data->digest);
}

void shoal_debug__digest_tell_value(shoal_call *call, const shoal_item *item)
{
    digest value = {{0}};
    SHOAL_ASSERT(call->gated);
    if (item != NULL) mix_value(&value, item, shoal_time_wall_ms(call->now));
    reply_digest(call, value.bytes);
}
