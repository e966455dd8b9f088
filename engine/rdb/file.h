/* SPDX-License-Identifier: MIT
 *
 * rdb/file.h - RDB files as bytes: written piece by piece into a buffer, read as chunks of any size
 * arrive. Neither knows a file, a socket or the store: SAVE, a first synchronisation and DEBUG
 * RELOAD are made of the same pieces.
 *
 *   header, aux fields, then for each database its number, the sizes of its tables, and its keys,
 *   each with its deadline; the end, and a checksum of everything before it
 *
 * A file says version 10. One with a hash whose fields have deadlines can be read by Redis from 7.4
 * on only, which looks at the kind of each value and not at the version.
 *
 * Threads: writing is pure but for the buffer; a decoder belongs to one thread at a time.
 */
#ifndef SHOAL_RDB_FILE_H
#define SHOAL_RDB_FILE_H

#include "rdb/crc64.h"
#include "rdb/rdb.h"

/* ---- writing ---- */

/* Bytes of the header. */
#define SHOAL_RDB_HEADER_SIZE 9u

/* One key. */
typedef struct shoal_rdb_key {
    shoal_slice name;
    shoal_rdb_value value;
    int64_t expires_ms; /* wall clock, < 0: never */
} shoal_rdb_key;

/* Appends the header. All that is appended until the end goes through shoal_crc64, in the order in
 * which it is written to the file, beginning with 0: that is the `crc` of shoal_rdb_write_end. */
void shoal_rdb_write_header(shoal_buffer *out);
/* Appends a fact about the file. */
void shoal_rdb_write_aux(shoal_buffer *out, shoal_slice name, shoal_slice value);
/* The keys that follow are of database `db`. */
void shoal_rdb_write_database(shoal_buffer *out, uint32_t db);
/* About how many keys follow, and how many of them have a deadline. */
void shoal_rdb_write_sizes(shoal_buffer *out, uint64_t keys, uint64_t keys_volatile);
/* About the key that follows: seconds since it was used, or how often it is used, 0 to 255. */
void shoal_rdb_write_idle(shoal_buffer *out, uint64_t seconds);
void shoal_rdb_write_frequency(shoal_buffer *out, uint32_t frequency);
/* Appends what stands before the value of a key: deadline, kind, name. */
void shoal_rdb_write_key_head(shoal_buffer *out, const shoal_rdb_key *key, shoal_rdb_kind kind,
                              bool compress);
/* Appends a key with its value; a hash whose fields have all expired is left out. */
void shoal_rdb_write_key(shoal_buffer *out, const shoal_rdb_key *key, const shoal_rdb_style *style);
/* Appends the end and the checksum; `crc` is of everything before, or NULL: no checksum is kept. */
void shoal_rdb_write_end(shoal_buffer *out, const uint64_t *crc);

/* ---- reading ---- */

/* What a decoder has met. */
typedef enum shoal_rdb_event {
    SHOAL_RDB_EVENT_MORE = 0, /* it needs the next chunk */
    SHOAL_RDB_EVENT_AUX,      /* decoder->name and ->text */
    SHOAL_RDB_EVENT_SIZES,    /* of database decoder->db: ->keys and ->keys_volatile */
    SHOAL_RDB_EVENT_KEY,      /* decoder->db, ->name, ->expires_ms, and the value in ->loader */
    SHOAL_RDB_EVENT_RECORD,   /* the same as KEY, but the value has not been read: it is the bytes
                                 ->text, of ->kind. Only where ->records asks for it */
    SHOAL_RDB_EVENT_EMPTY,    /* decoder->db and ->name: a key that holds nothing, which is none */
    SHOAL_RDB_EVENT_FUNCTION, /* decoder->text: the source of a library of functions */
    SHOAL_RDB_EVENT_END,      /* all is read and the checksum right */
    SHOAL_RDB_EVENT_FAILED    /* decoder->status and ->reason, at byte ->offset */
} shoal_rdb_event;

/* Largest value that is told as a RECORD. */
#define SHOAL_RDB_RECORD_MAX ((size_t)256 << 10)

/* Reads a file. What it has met is borrowed from it until the next call. */
typedef struct shoal_rdb_decoder {
    shoal_rdb_loader loader; /* its limits and account->allocator are the caller's to set */
    bool checksum;           /* false: it is not looked at */
    bool records;            /* values of up to SHOAL_RDB_RECORD_MAX bytes are to be told unread */
    uint8_t kind;            /* of RECORD */
    uint32_t version;
    uint32_t db;
    shoal_slice name, text;
    uint64_t keys, keys_volatile;
    int64_t expires_ms; /* < 0: none */
    int64_t idle_s;     /* since the key was last used, < 0: not told */
    int32_t frequency;  /* how often it is used, < 0: not told */
    shoal_rdb_status status;
    const char *reason; /* static text: what is wrong */
    uint64_t offset;    /* bytes that have been read */
    /* Its own. */
    uint8_t state;
    uint64_t crc;         /* of what has been read, but for */
    shoal_slice unsummed; /* the last of it: summed together, which is faster */
    shoal_crc64_tables tables;
    size_t need;        /* no unit is whole with fewer bytes */
    shoal_slice chunk;  /* what was fed and not yet read, unless `input` holds something */
    shoal_buffer input; /* the beginning of a unit, and what came behind it */
    shoal_buffer key;
} shoal_rdb_decoder;

/* Makes a decoder ready; the arguments are those of shoal_rdb_loader_open. */
void shoal_rdb_decoder_open(shoal_rdb_decoder *decoder, const shoal_allocator *allocator,
                            const shoal_allocator *objects, shoal_prng *prng);
/* Gives it the next bytes, borrowed until it asks for more. Only when it has asked for more, or at
 * the start. */
void shoal_rdb_decoder_feed(shoal_rdb_decoder *decoder, shoal_slice chunk);
/* Reads on to the next event. What is fed behind END and FAILED is not read. */
shoal_rdb_event shoal_rdb_decoder_next(shoal_rdb_decoder *decoder);
/* Bytes that were fed and lie behind the end, borrowed: behind END only. */
shoal_slice shoal_rdb_decoder_rest(const shoal_rdb_decoder *decoder);
/* Ends it at any time. */
void shoal_rdb_decoder_close(shoal_rdb_decoder *decoder);

#endif
