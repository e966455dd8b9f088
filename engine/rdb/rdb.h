/* SPDX-License-Identifier: MIT
 *
 * rdb/rdb.h - values as Redis keeps them in DUMP payloads and RDB files: written as Redis 7.0 does
 * (version 10 of the format), read in every encoding that Redis has written up to 7.0, the two of
 * 7.4 for hashes whose fields have deadlines, and sets as listpacks (7.2). Streams and values of
 * modules are refused. Files stand in rdb/file.h.
 *
 * Fields with deadlines have no place in version 10. A hash that has one is written as Redis 7.4
 * does (kind 24), and its DUMP payload says version 12: Redis before 7.4 refuses it, which is
 * better than to lose the deadlines in silence. All other values can be read by Redis 7.0.
 *
 * What is read is checked to its last byte: damage is an error, never half a value.
 *
 * Threads: plain functions; a loader belongs to one thread at a time. Packs may be written by any
 * thread, objects under the gate of their key only.
 */
#ifndef SHOAL_RDB_RDB_H
#define SHOAL_RDB_RDB_H

#include "value/draft.h"
#include "value/list.h"
#include "value/zset.h"

/* The version of the format that is written, that of values it does not know, and the latest that
 * is read. */
#define SHOAL_RDB_VERSION 10u
#define SHOAL_RDB_VERSION_FIELDS 12u
#define SHOAL_RDB_VERSION_MAX 12u

/* How a value is kept: the byte before it. */
typedef enum shoal_rdb_kind {
    SHOAL_RDB_STRING = 0,
    SHOAL_RDB_LIST = 1,
    SHOAL_RDB_SET = 2,
    SHOAL_RDB_ZSET = 3, /* scores as text */
    SHOAL_RDB_HASH = 4,
    SHOAL_RDB_ZSET_2 = 5, /* scores as doubles */
    SHOAL_RDB_MODULE = 6,
    SHOAL_RDB_MODULE_2 = 7,
    SHOAL_RDB_HASH_ZIPMAP = 9,
    SHOAL_RDB_LIST_ZIPLIST = 10,
    SHOAL_RDB_SET_INTSET = 11,
    SHOAL_RDB_ZSET_ZIPLIST = 12,
    SHOAL_RDB_HASH_ZIPLIST = 13,
    SHOAL_RDB_LIST_QUICKLIST = 14, /* of ziplists */
    SHOAL_RDB_STREAM = 15,
    SHOAL_RDB_HASH_LISTPACK = 16,
    SHOAL_RDB_ZSET_LISTPACK = 17,
    SHOAL_RDB_LIST_QUICKLIST_2 = 18, /* of listpacks and plain strings */
    SHOAL_RDB_STREAM_2 = 19,
    SHOAL_RDB_SET_LISTPACK = 20,
    SHOAL_RDB_STREAM_3 = 21,
    SHOAL_RDB_HASH_FIELDS_EARLY = 22,   /* deadlines as they are, */
    SHOAL_RDB_HASH_LISTPACK_EARLY = 23, /* of versions before 7.4.0 */
    SHOAL_RDB_HASH_FIELDS = 24,         /* deadlines counted from the earliest one */
    SHOAL_RDB_HASH_LISTPACK_FIELDS = 25
} shoal_rdb_kind;

/* What a key holds. */
typedef struct shoal_rdb_value {
    shoal_value_type type;
    shoal_slice string;      /* of a STRING */
    shoal_compound compound; /* of all others */
} shoal_rdb_value;

/* ---- writing ---- */

/* How values are written. */
typedef struct shoal_rdb_style {
    bool compress;          /* strings of more than 20 bytes that get shorter (rdbcompression) */
    shoal_list_limits list; /* of the nodes of lists */
    int64_t now_ms;         /* fields of hashes whose deadline is not later are left out */
} shoal_rdb_style;

/* How the value will be kept. */
shoal_rdb_kind shoal_rdb_kind_of(const shoal_rdb_value *value, int64_t now_ms);
/* True where there is nothing to be written: all fields of a hash have expired. */
bool shoal_rdb_is_empty(const shoal_rdb_value *value, int64_t now_ms);
/* Appends what follows the kind and, in files, the key. A failed append shows in `out`. */
void shoal_rdb_write_value(shoal_buffer *out, const shoal_rdb_value *value, shoal_rdb_kind kind,
                           const shoal_rdb_style *style);

/* A large set, hash or sorted set that is written element by element. */
typedef struct shoal_rdb_elements {
    bool compress, pairs, dated;
    int64_t earliest_ms; /* of a HASH_FIELDS: what deadlines are counted from */
    uint64_t left;       /* elements still to be written */
} shoal_rdb_elements;
/* True when values of this kind can be written so: SET, HASH, HASH_FIELDS, ZSET_2,
 * LIST. */
bool shoal_rdb_is_of_elements(shoal_rdb_kind kind);
/* Appends what shoal_rdb_write_value does, up to the first element. */
void shoal_rdb_elements_begin(shoal_rdb_elements *elements, shoal_buffer *out,
                              const shoal_rdb_value *value, shoal_rdb_kind kind,
                              const shoal_rdb_style *style);
/* Appends an entry of a set or hash, in any order; each that has not expired at style.now_ms of the
 * beginning, once. */
void shoal_rdb_elements_add(shoal_rdb_elements *elements, shoal_buffer *out,
                            const shoal_table_entry *entry);
/* Appends an element of a list: from the head on. */
void shoal_rdb_elements_add_element(shoal_rdb_elements *elements, shoal_buffer *out,
                                    const shoal_element *element);
/* Appends an element of a sorted set: from the highest down, as Redis reads it fastest. */
void shoal_rdb_elements_add_scored(shoal_rdb_elements *elements, shoal_buffer *out,
                                   const shoal_zset_entry *entry);

/* Appends a number as lengths are written. */
void shoal_rdb_write_length(shoal_buffer *out, uint64_t length);
/* Appends a string in its shortest form. */
void shoal_rdb_write_string(shoal_buffer *out, shoal_slice bytes, bool compress);
/* Appends what stands before a string of `size` bytes that was compressed (rdb/lzf.h) to
 * `squeezed`. */
void shoal_rdb_write_squeezed_head(shoal_buffer *out, uint64_t squeezed, uint64_t size);
/* Appends the payload that DUMP answers: kind, value, version, checksum. */
void shoal_rdb_write_payload(shoal_buffer *out, const shoal_rdb_value *value,
                             const shoal_rdb_style *style);

/* ---- reading ---- */

/* Up to where the values that are made look compact to clients. */
typedef struct shoal_rdb_limits {
    shoal_members_limits set, hash;
    shoal_zset_limits zset;
    shoal_list_limits list;
} shoal_rdb_limits;

/* How reading went. */
typedef enum shoal_rdb_status {
    SHOAL_RDB_OK = 0,
    SHOAL_RDB_MORE,    /* the bytes end before what they begin */
    SHOAL_RDB_EMPTY,   /* a list, set, hash or sorted set of nothing */
    SHOAL_RDB_BAD,     /* damaged */
    SHOAL_RDB_UNKNOWN, /* nothing that can be kept here: a stream, say */
    SHOAL_RDB_NO_MEMORY
} shoal_rdb_status;

/* A list that is being made. */
typedef struct shoal_rdb__list {
    shoal_list *list; /* NULL: it still is a pack */
    uint32_t count, size;
    char pack[SHOAL_LIST_PACK_BYTES];
} shoal_rdb__list;

/* Makes a value of bytes, an element at a time. Its own, but for `account` and `limits`. */
typedef struct shoal_rdb_loader {
    /* Where objects come from: its allocator may be set anew before each call, to one that may give
     * what the one before has taken. What its bytes count belongs to the object that was made: who
     * takes that moves them to an account of his own. */
    shoal_account account;
    shoal_rdb_limits limits;
    shoal_prng *prng;   /* borrowed: gives the seeds of tables */
    const char *reason; /* of BAD and UNKNOWN */
    shoal_buffer scratch[2];
    uint8_t kind;
    uint8_t phase;
    bool owns; /* an object that was made and not taken */
    shoal_value_type type;
    uint64_t left;       /* units to come */
    int64_t earliest_ms; /* what deadlines are counted from */
    shoal_slice string;
    union {
        shoal_draft draft;
        shoal_zset_edit zset;
        shoal_rdb__list list;
    };
} shoal_rdb_loader;

/* Makes a loader ready. `allocator` (borrowed) gives room for strings, account->allocator that of
 * objects. */
void shoal_rdb_loader_open(shoal_rdb_loader *loader, const shoal_allocator *allocator,
                           const shoal_allocator *objects, shoal_prng *prng);
/* Frees what was made and not taken. The loader may be used for another value. */
void shoal_rdb_loader_drop(shoal_rdb_loader *loader);
/* Drops, and gives back all memory. */
void shoal_rdb_loader_close(shoal_rdb_loader *loader);
/* The value after it was read: a string or pack borrowed from the loader or the bytes, or an
 * object, which the caller may take. */
shoal_rdb_value shoal_rdb_loader_value(shoal_rdb_loader *loader);
/* The object has been taken, and account.bytes with it. */
void shoal_rdb_loader_taken(shoal_rdb_loader *loader);

/* Reads all of `bytes` as a value of `kind`. OK, EMPTY, BAD, UNKNOWN or NO_MEMORY. */
SHOAL_MUST_USE shoal_rdb_status shoal_rdb_read_value(shoal_rdb_loader *loader, uint32_t kind,
                                                     shoal_slice bytes);
/* True where all of `bytes` is the value of a STRING that is neither compressed nor a number: then
 * `*string` is it, borrowed from them. */
bool shoal_rdb_is_plain(shoal_slice bytes, shoal_slice *string);
/* True when version and checksum of a payload are right; without `checksum` that is not looked at.
 * */
bool shoal_rdb_check_payload(shoal_slice payload, bool checksum);
/* Reads a payload that has been checked. OK, EMPTY, BAD, UNKNOWN or NO_MEMORY. */
SHOAL_MUST_USE shoal_rdb_status shoal_rdb_read_payload(shoal_rdb_loader *loader,
                                                       shoal_slice payload);

#endif
