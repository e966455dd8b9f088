/* SPDX-License-Identifier: MIT
 *
 * shoal/trace.h - the one stream of facts about a run. Nodes and worlds write records; pictures,
 * golden tests, judges and replays read them. A record is a kind, three numbers and some bytes;
 * shoal/trace.def says what they mean for each kind. This header also has the file format.
 *
 * File format, all integers little-endian:
 *   header, 16 bytes: "SHOALTRC", u32 version (1), u32 zero
 *   records, one after the other, each 48 bytes plus text:
 *     i64 time_us | u32 node | u16 kind | u16 zero | u64 a | u64 b | u64 c | u32 text size |
 *     u32 zero | text bytes
 * `node` is the index of the node, or SHOAL_TRACE_WORLD.
 *
 * Threads: functions are pure but for the values passed in.
 */
#ifndef SHOAL_TRACE_H
#define SHOAL_TRACE_H

#include <shoal/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of records: SHOAL_TRACE_LOG and so on, from shoal/trace.def. */
typedef enum shoal_trace_kind {
#define SHOAL_TRACE(name, value, a, b, c, text, doc) SHOAL_TRACE_##name = (value),
#include <shoal/trace.def>
#undef SHOAL_TRACE
} shoal_trace_kind;

/* Node index of records that the world wrote. */
#define SHOAL_TRACE_WORLD 0xFFFFFFFFu

/* Bytes of the file header and of a record without its text. */
#define SHOAL_TRACE_HEADER_SIZE 16
#define SHOAL_TRACE_RECORD_SIZE 48

/* Longest text of a record in bytes; a longer one is malformed. */
#define SHOAL_TRACE_TEXT_MAX (1u << 24)

/* One fact, as a node states it. Unused numbers are 0, unused text is empty. */
typedef struct shoal_trace_record {
    shoal_trace_kind kind;
    uint64_t a;
    uint64_t b;
    uint64_t c;
    shoal_slice text;
} shoal_trace_record;

/* One fact with its place and time, as the stream holds it. */
typedef struct shoal_trace_entry {
    int64_t time_us; /* world time of the run */
    uint32_t node;   /* index of the node, or SHOAL_TRACE_WORLD */
    shoal_trace_record record;
} shoal_trace_entry;

/* Appends the file header. */
SHOAL_API void shoal_trace_encode_header(shoal_buffer *out);

/* Appends one entry. */
SHOAL_API void shoal_trace_encode(const shoal_trace_entry *entry, shoal_buffer *out);

/* Checks the file header at the start of `bytes`. 0, SHOAL_ERR_TRUNCATED, SHOAL_ERR_MALFORMED
 * or SHOAL_ERR_UNSUPPORTED. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_trace_decode_header(shoal_slice bytes);

/* Reads the entry at the start of `bytes`; its text borrows from them. `*used` is its size.
 * 0, SHOAL_ERR_TRUNCATED (more bytes are needed) or SHOAL_ERR_MALFORMED. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_trace_decode(shoal_slice bytes, shoal_trace_entry *entry,
                                                      size_t *used);

/* Appends the entry as one line of text without a newline: time in seconds with six digits,
 * node (n1 is number 0), kind, the named numbers, the text with control bytes escaped. */
SHOAL_API void shoal_trace_text(const shoal_trace_entry *entry, shoal_buffer *out);

/* The rolling hash: `*hash` (0 at the start) absorbs one entry. Equal streams, equal hashes,
 * whatever the compiler, the machine's byte order or the build. */
SHOAL_API void shoal_trace_hash(uint64_t *hash, const shoal_trace_entry *entry);

/* Name of a kind, "FAIL" for SHOAL_TRACE_FAIL; NULL for a value that is no kind. */
SHOAL_API const char *shoal_trace_name(uint32_t kind);

#ifdef __cplusplus
}
#endif

#endif
