/* SPDX-License-Identifier: MIT
 *
 * persist/large.h - a large set, hash, sorted set, list or string that a snapshot writes in bounded
 * pieces, as it was at the moment of the snapshot, while clients change it. Files have the elements
 * of a value in any order, so an element can be written before its turn; but for those of lists,
 * which are kept until then.
 *
 * Claims:
 *   L1  Each element that there was is written once, as it was: by the walk, or, where it is about
 *       to change and the walk has not passed its place, before that. Its name is kept then, and
 *       the walk leaves out names that are kept.
 *   L2  No other is written: the name of one that is about to be added is kept, or the walk has
 *       passed its place.
 *   L3  The place of an entry of a set or hash in the walk is that of its hash, and stays. That of
 *       an element of a sorted set changes with its score: its name is kept at any change.
 *   L4  The elements of a list are written from its head on, by persist/spans.h: those that are
 *       about to be changed or removed and are still old are kept as they are, with some of their
 *       neighbours, so that changes all over a list do not cut it into single elements.
 *   L5  The bytes of a string are written by persist/long.h, which is told what an edit is about to
 *       change. Those of a string that is no object never change; who writes them holds the item.
 *
 * Threads: a large value belongs to the holder of the gate of its key, until it is over.
 */
#ifndef SHOAL_PERSIST_LARGE_H
#define SHOAL_PERSIST_LARGE_H

#include "base/inbox.h"
#include "persist/batch.h"
#include "persist/long.h"
#include "persist/spans.h"
#include "rdb/file.h"

/* A smaller object is written in one piece. Chosen: some tens of microseconds. */
#define SHOAL_LARGE_MIN ((int64_t)32 << 10)
/* The same for a string that is none. Chosen: compressing it takes some hundred. */
#define SHOAL_LARGE_STRING_MIN ((size_t)64 << 10)

/* One value. */
typedef struct shoal_large {
    shoal_op op; /* first: the snapshot keeps all of them in an inbox */
    shoal_watch watch;
    shoal_rdb_value value;
    shoal_rdb_elements elements;
    uint64_t element_bytes; /* that an element took, on average */
    int64_t now_ms;         /* what had expired by then is left out */
    uint64_t cursor;        /* of the walk through a set or hash */
    bool begun;             /* the walk through a sorted set, from the highest down, has come */
    double score;           /* to the element with this score */
    shoal_buffer member;    /* and this member */
    shoal_table *told;      /* names that the walk leaves out, or NULL */
    shoal_spans spans;      /* of a list */
    shoal_long text;        /* of a string */
    bool plain;             /* it is written as commands, */
    shoal_batch batch;      /* made of these elements; */
    shoal_buffer name;      /* of the key */
    shoal_buffer foot;      /* behind the last */
    uint64_t kept_counted;  /* of shoal_large_kept; the snapshot's own, as */
    uint64_t held;          /* what counts of the item, where it is about to go, */
    uint32_t pin;           /* its pin, or 0, */
    shoal_op waits;         /* and its place among those that wait to be written */
    shoal_account account;
    shoal_buffer bytes; /* what has been written and not been taken */
    bool over;          /* all is written */
    bool complete;      /* the steps have met its last chunk; theirs */
    /* Called behind each piece of so many elements that a change brought about: takes `bytes`. */
    void (*grown)(void *context, struct shoal_large *large, uint64_t elements);
    void *context;
} shoal_large;

/* True when a key's value is large, and of a kind that can be written in pieces: sets `*kind`. */
bool shoal_large_is(const shoal_rdb_key *key, int64_t now_ms, shoal_rdb_kind *kind);
/* Begins to write a key that shoal_large_is, as that kind, or as commands that make it anew where
 * it is `plain`, behind what `bytes` of the value's hold: these are set by the caller, as `grown`
 * and `context`; everything else is zero. */
void shoal_large_begin(shoal_large *large, const shoal_rdb_key *key, shoal_rdb_kind kind,
                       const shoal_rdb_style *style);
/* Writes on, at most `*budget` elements and a page, and takes what it wrote from `*budget`; all of
 * them where it is UINT32_MAX. */
void shoal_large_write(shoal_large *large, uint32_t *budget);
/* Bytes that it keeps besides the value, and that have not been written. */
uint64_t shoal_large_kept(const shoal_large *large);
/* Frees what it has. */
void shoal_large_end(shoal_large *large);

#endif
