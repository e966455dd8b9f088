/* SPDX-License-Identifier: MIT
 *
 * rdb/skip.c - where a value ends, found by its lengths alone: so that one thread may cut a file
 * into values that others read.
 */
#include "base/assert.h"
#include "rdb/internal.h"

/* Nothing but the frame of packed elements is so short: that of a ziplist has eleven bytes, and a
 * length and the kind of a node stand in front of it. */
#define FRAME_MAX 13u

/* What a unit of a value is made of, one letter a part: s a string, l a length, d eight bytes, t a
 * score as text. NULL: no value that is kept here. */
static const char *parts_of(uint32_t kind)
{
    switch (kind) {
    case SHOAL_RDB_HASH: return "ss";
    case SHOAL_RDB_ZSET: return "st";
    case SHOAL_RDB_ZSET_2: return "sd";
    case SHOAL_RDB_LIST_QUICKLIST_2: return "ls";
    case SHOAL_RDB_HASH_FIELDS_EARLY:
    case SHOAL_RDB_HASH_FIELDS: return "lss";
    case SHOAL_RDB_STRING:
    case SHOAL_RDB_LIST:
    case SHOAL_RDB_SET:
    case SHOAL_RDB_HASH_ZIPMAP:
    case SHOAL_RDB_LIST_ZIPLIST:
    case SHOAL_RDB_SET_INTSET:
    case SHOAL_RDB_ZSET_ZIPLIST:
    case SHOAL_RDB_HASH_ZIPLIST:
    case SHOAL_RDB_LIST_QUICKLIST:
    case SHOAL_RDB_HASH_LISTPACK:
    case SHOAL_RDB_ZSET_LISTPACK:
    case SHOAL_RDB_SET_LISTPACK:
    case SHOAL_RDB_HASH_LISTPACK_EARLY:
    case SHOAL_RDB_HASH_LISTPACK_FIELDS: return "s";
    default: return NULL;
    }
}

/* Does a count of units stand in front? */
static bool is_counted(uint32_t kind)
{
    switch (kind) {
    case SHOAL_RDB_LIST:
    case SHOAL_RDB_SET:
    case SHOAL_RDB_LIST_QUICKLIST: return true;
    default: return parts_of(kind)[1] != '\0';
    }
}

static shoal_rdb_status skip_bytes(shoal_rdb__reader *reader, uint64_t size)
{
    const char *bytes;
    SHOAL_DEBUG_ASSERT(reader->at <= reader->end);
    if (size > SHOAL_RDB__STRING_MAX) return SHOAL_RDB_BAD;
    return shoal_rdb__read_bytes(reader, size, &bytes);
}

static shoal_rdb_status skip_string(shoal_rdb__reader *reader)
{
    const char *first = reader->at;
    uint64_t size = 0, expanded;
    SHOAL_DEBUG_ASSERT(reader->at <= reader->end);
    shoal_rdb_status status = skip_bytes(reader, 1);
    if (status != SHOAL_RDB_OK) return status;
    switch ((unsigned char)*first) {
    case SHOAL_RDB__STRING_8: return skip_bytes(reader, 1);
    case SHOAL_RDB__STRING_16: return skip_bytes(reader, 2);
    case SHOAL_RDB__STRING_32: return skip_bytes(reader, 4);
    case SHOAL_RDB__STRING_LZF:
        status = shoal_rdb__read_length(reader, &size);
        if (status == SHOAL_RDB_OK) status = shoal_rdb__read_length(reader, &expanded);
        break;
    default: reader->at = first; status = shoal_rdb__read_length(reader, &size);
    }
    return status == SHOAL_RDB_OK ? skip_bytes(reader, size) : status;
}

/* The text behind its length, or a mark in the place of that. */
static shoal_rdb_status skip_score(shoal_rdb__reader *reader)
{
    const char *first = reader->at;
    shoal_rdb_status status = skip_bytes(reader, 1);
    SHOAL_DEBUG_ASSERT(reader->at <= reader->end);
    if (status != SHOAL_RDB_OK || (unsigned char)*first > 252) return status;
    return skip_bytes(reader, (unsigned char)*first);
}

static shoal_rdb_status skip_part(shoal_rdb__reader *reader, char part)
{
    uint64_t length;
    SHOAL_DEBUG_ASSERT(part != '\0');
    switch (part) {
    case 'l': return shoal_rdb__read_length(reader, &length);
    case 'd': return skip_bytes(reader, 8);
    case 't': return skip_score(reader);
    default: return skip_string(reader);
    }
}

/* Are elements packed into strings, one or more of them? */
static bool is_packed(uint32_t kind)
{
    SHOAL_DEBUG_ASSERT(parts_of(kind) != NULL);
    switch (kind) {
    case SHOAL_RDB_STRING:
    case SHOAL_RDB_LIST:
    case SHOAL_RDB_SET:
    case SHOAL_RDB_HASH:
    case SHOAL_RDB_ZSET:
    case SHOAL_RDB_ZSET_2:
    case SHOAL_RDB_HASH_FIELDS_EARLY:
    case SHOAL_RDB_HASH_FIELDS: return false;
    default: return true;
    }
}

shoal_rdb_status shoal_rdb__skip(shoal_rdb__reader *reader, uint32_t kind)
{
    const char *parts = parts_of(kind);
    shoal_rdb_status status = SHOAL_RDB_OK;
    uint64_t units = 1;
    SHOAL_ASSERT(reader->at <= reader->end);
    if (parts == NULL) return SHOAL_RDB_UNKNOWN;
    if (kind == SHOAL_RDB_HASH_FIELDS || kind == SHOAL_RDB_HASH_LISTPACK_FIELDS)
        status = skip_bytes(reader, 8);
    if (status == SHOAL_RDB_OK && is_counted(kind)) status = shoal_rdb__read_length(reader, &units);
    if (status == SHOAL_RDB_OK && units == 0) return SHOAL_RDB_EMPTY;
    const char *first = reader->at;
    for (uint64_t left = units; left > 0 && status == SHOAL_RDB_OK; left--) {
        for (const char *part = parts; *part != '\0' && status == SHOAL_RDB_OK; part++)
            status = skip_part(reader, *part);
        bool short_one = left == units && (size_t)(reader->at - first) <= FRAME_MAX;
        if (status == SHOAL_RDB_OK && short_one && is_packed(kind)) return SHOAL_RDB_EMPTY;
    }
    return status;
}
