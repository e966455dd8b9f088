/* SPDX-License-Identifier: MIT
 *
 * rdb/internal.h - what the files of this room share: the marks of the format, a reader of bytes
 * that may end anywhere, and the elements of what Redis packs into one string.
 */
#ifndef SHOAL_RDB_INTERNAL_H
#define SHOAL_RDB_INTERNAL_H

#include "rdb/rdb.h"

/* First bytes of lengths that do not begin with their own bits. */
#define SHOAL_RDB__LENGTH_32 0x80u
#define SHOAL_RDB__LENGTH_64 0x81u
/* First bytes of strings that are integers or compressed. */
#define SHOAL_RDB__STRING_8 0xc0u
#define SHOAL_RDB__STRING_16 0xc1u
#define SHOAL_RDB__STRING_32 0xc2u
#define SHOAL_RDB__STRING_LZF 0xc3u
/* Marks in files, in the place of the kind of a value. */
#define SHOAL_RDB__OP_FIRST 0xf4u
#define SHOAL_RDB__OP_SLOT 0xf4u /* hints about a slot, of later versions */
#define SHOAL_RDB__OP_FUNCTION 0xf5u
#define SHOAL_RDB__OP_FUNCTION_EARLY 0xf6u
#define SHOAL_RDB__OP_MODULE_AUX 0xf7u
#define SHOAL_RDB__OP_IDLE 0xf8u
#define SHOAL_RDB__OP_FREQUENCY 0xf9u
#define SHOAL_RDB__OP_AUX 0xfau
#define SHOAL_RDB__OP_SIZES 0xfbu
#define SHOAL_RDB__OP_EXPIRES_MS 0xfcu
#define SHOAL_RDB__OP_EXPIRES_S 0xfdu
#define SHOAL_RDB__OP_DATABASE 0xfeu
#define SHOAL_RDB__OP_END 0xffu
/* Longest string: as Redis's proto-max-bulk-len allows by default. */
#define SHOAL_RDB__STRING_MAX (512ull << 20)
/* Nodes of lists. */
#define SHOAL_RDB__NODE_PLAIN 1u
#define SHOAL_RDB__NODE_PACKED 2u
/* Bytes of a payload behind the value: version and checksum. */
#define SHOAL_RDB__FOOT_SIZE 10u

/* ---- listpacks ---- */

/* Bytes in front of the elements: size of all, and count. */
#define SHOAL_RDB__LISTPACK_HEAD 6u
/* The byte behind them. */
#define SHOAL_RDB__LISTPACK_END 0xffu
/* Most bytes of the length behind an element. */
#define SHOAL_RDB__BACK_MAX 5u

/* Writes the length `size` of an element as it stands behind it; returns how many bytes. */
size_t shoal_rdb__write_back(unsigned char out[SHOAL_RDB__BACK_MAX], size_t size);
/* Appends a set of integers as Redis keeps it: in order, each as wide as the widest. */
void shoal_rdb__make_intset(shoal_buffer *out, const shoal_members *set);

/* ---- reading ---- */

/* Bytes that are read from the front. Zero but for the ends is a start. */
typedef struct shoal_rdb__reader {
    const char *at, *end;
    size_t missing;     /* with MORE: at least so many bytes */
    const char *reason; /* with BAD or UNKNOWN */
} shoal_rdb__reader;

/* Says what is wrong. */
static inline shoal_rdb_status shoal_rdb__bad(shoal_rdb__reader *reader, const char *reason)
{
    reader->reason = reason;
    return SHOAL_RDB_BAD;
}
/* The next `size` bytes, borrowed. OK or MORE. */
shoal_rdb_status shoal_rdb__read_bytes(shoal_rdb__reader *reader, size_t size, const char **out);
/* A length. OK, MORE or BAD. */
shoal_rdb_status shoal_rdb__read_length(shoal_rdb__reader *reader, uint64_t *out);
/* A string, borrowed from the bytes or from `scratch`, whose content it replaces. */
shoal_rdb_status shoal_rdb__read_string(shoal_rdb__reader *reader, shoal_buffer *scratch,
                                        shoal_slice *out);
/* Eight bytes, little end first. */
shoal_rdb_status shoal_rdb__read_le64(shoal_rdb__reader *reader, uint64_t *out);
/* A score as text with its length, or one of three marks. */
shoal_rdb_status shoal_rdb__read_score_text(shoal_rdb__reader *reader, double *out);

/* What many elements are packed into. */
typedef enum shoal_rdb__form {
    SHOAL_RDB__LISTPACK,
    SHOAL_RDB__ZIPLIST,
    SHOAL_RDB__ZIPMAP,
    SHOAL_RDB__INTSET
} shoal_rdb__form;

/* A walk over them. */
typedef struct shoal_rdb__run {
    shoal_rdb__form form;
    const char *first, *at, *end; /* `end`: behind the last element */
    uint32_t count;               /* elements so far */
    uint32_t told;                /* as many as there should be, or SHOAL_RDB__UNTOLD */
    uint32_t before;              /* ZIPLIST: bytes of the element before; INTSET: of a number */
    const char *tail;             /* ZIPLIST: where the last element should be */
    int64_t last;                 /* INTSET */
} shoal_rdb__run;
#define SHOAL_RDB__UNTOLD UINT32_MAX

/* Begins a walk. False when the frame is wrong. */
bool shoal_rdb__run_open(shoal_rdb__run *run, shoal_rdb__form form, shoal_slice bytes);
/* The next element, borrowed from the bytes; of a zipmap, names and values in turn. EMPTY at the
 * end, when everything about it was right; BAD. */
shoal_rdb_status shoal_rdb__run_next(shoal_rdb__run *run, shoal_element *out);

/* ---- values ---- */

/* Passes over a value of `kind` without looking into its strings. OK, MORE, EMPTY where it may hold
 * nothing, or BAD or UNKNOWN: reading it says more. */
shoal_rdb_status shoal_rdb__skip(shoal_rdb__reader *reader, uint32_t kind);
/* Begins to read a value of `kind`. OK or UNKNOWN. */
shoal_rdb_status shoal_rdb__begin(shoal_rdb_loader *loader, uint32_t kind);
/* Reads one unit of it. OK: `*done` says whether it was the last. MORE: reader->at is anywhere,
 * and the same unit is to be read again from its beginning when there are more bytes. */
shoal_rdb_status shoal_rdb__step(shoal_rdb_loader *loader, shoal_rdb__reader *reader, bool *done);

#endif
