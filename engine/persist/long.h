/* SPDX-License-Identifier: MIT
 *
 * persist/long.h - the bytes of a long string as they were at one moment, written in bounded
 * pieces. They stand in an item, which never changes and is held by whoever writes them, or in an
 * object that is edited meanwhile (value/edited.h): then who edits says so first, and the pages
 * that are about to change and have not been written are kept as they are.
 *
 *   squeezing   pieces are compressed one by one, and what comes of it is kept: pieces that are
 *               compressed by themselves make up one compressed string when they stand in a row.
 *               As soon as that gains nothing, all begins again, plain
 *   squeezed    what was kept is written: nobody needs the string any more
 *   plain       the bytes are written as they are
 *
 * Claims:
 *   G1  Each byte that there was is written once, as it was: from its page where that is kept, or
 *       from where it is, which nobody has changed since.
 *   G2  A page is kept once, when it is about to change for the first time, unless it is not needed
 *       any more: it has been written, or the string is squeezed.
 *
 * Threads: as shoal_large.
 */
#ifndef SHOAL_PERSIST_LONG_H
#define SHOAL_PERSIST_LONG_H

#include "rdb/rdb.h"

/* A longer string is not compressed: what comes of it would have to be kept until it is known how
 * long it is, which stands in front. Chosen: little beside what a snapshot may keep in memory
 * (core/restraint.c). */
#define SHOAL_LONG_SQUEEZE_MAX ((size_t)16 << 20)
/* Bytes of the string that count as one element of a budget, and how much more one costs that is
 * compressed. */
#define SHOAL_LONG_UNIT_BYTES 1024u
#define SHOAL_LONG_SQUEEZE_COST 4u

/* How it is written. */
typedef enum shoal_long_form {
    SHOAL_LONG_BARE,    /* nothing but the bytes */
    SHOAL_LONG_PLAIN,   /* as a string of an RDB file */
    SHOAL_LONG_SQUEEZED /* the same, compressed where that gains something */
} shoal_long_form;

/* One string. All zero is one of no bytes, which is over. */
typedef struct shoal_long {
    const shoal_object *edited; /* borrowed, or NULL: */
    shoal_slice fixed;          /* borrowed: these bytes */
    shoal_long_form form;
    size_t size;    /* of the string at the moment */
    size_t passed;  /* bytes of it that were written, or squeezed */
    bool squeezing; /* still */
    char *squeezed; /* room for `size` bytes, or NULL */
    size_t got;     /* bytes that stand there, */
    size_t given;   /* and how many of them were written */
    char *gathered; /* a piece of an edited string, put together; or NULL */
    char **pages;   /* those that are kept, or NULL where none is */
    size_t kept;    /* bytes of them */
} shoal_long;

/* Begins one: the moment is now. */
void shoal_long_begin(shoal_long *text, const shoal_rdb_value *value, shoal_long_form form);
/* Writes on, for about `*budget` units, and takes what it used from `*budget`; all of it where that
 * is UINT32_MAX. True at the end. A failed append shows in `out`; without memory to
 * compress it is written plain. */
bool shoal_long_write(shoal_long *text, shoal_account *account, shoal_buffer *out,
                      uint32_t *budget);
/* `size` bytes from `offset` on are about to change, or to come: keeps what is needed of them.
 * False without memory. */
SHOAL_MUST_USE bool shoal_long_keep(shoal_long *text, shoal_account *account, size_t offset,
                                    size_t size);
/* Bytes that edits made it keep besides the string: what compressing makes is not among them, which
 * is there whatever clients do, of SHOAL_LONG_SQUEEZE_MAX bytes at most. */
size_t shoal_long_kept(const shoal_long *text);
/* Frees what it has; what it had borrowed is not needed any more. */
void shoal_long_end(shoal_long *text, shoal_account *account);

#endif
