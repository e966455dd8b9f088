/* SPDX-License-Identifier: MIT
 *
 * value/zset.h - sorted sets: members with scores, ordered by score and then by the bytes of the
 * member, and found by either. A small one is a pack (member, score, member, score ...), a large
 * one an object: a counted B+tree of elements that stand in its leaves, with a hash index beside
 * it. Both are read through the functions below, and changed through a shoal_zset_edit.
 *
 * Ranks count from 0 at the lowest score. No score is not-a-number; -0 equals 0, and becomes 0 in
 * what clients call a listpack.
 *
 * Threads: as value/value.h says. Reading never allocates.
 */
#ifndef SHOAL_VALUE_ZSET_H
#define SHOAL_VALUE_ZSET_H

#include "base/prng.h"
#include "value/pack.h"
#include "value/value.h"

/* A large sorted set; value/zset_tree.h. */
typedef struct shoal_zset shoal_zset;

/* One element. `member` is borrowed, as stated where it comes from. */
typedef struct shoal_zset_entry {
    shoal_slice member;
    double score;
} shoal_zset_entry;

/* ---- reading: of a compound value that is neither pack nor object, everything is empty ---- */

/* Elements. */
uint64_t shoal_zset_count(const shoal_compound *set);
/* What clients call it: a listpack, or else a skiplist. */
bool shoal_zset_is_listpack(const shoal_compound *set);
/* True and `*score` when `member` is in the set. */
bool shoal_zset_score(const shoal_compound *set, shoal_slice member, double *score);
/* True and `*rank` when `member` is in the set. */
bool shoal_zset_rank(const shoal_compound *set, shoal_slice member, uint64_t *rank);

/* One end of a range of scores or, among elements of equal score, of members. */
typedef struct shoal_zset_bound {
    enum {
        SHOAL_ZSET_BY_SCORE,
        SHOAL_ZSET_BY_MEMBER,
        SHOAL_ZSET_LOWEST, /* before every element */
        SHOAL_ZSET_HIGHEST /* behind every element */
    } kind;
    double score;
    shoal_slice member;
    bool exclusive; /* the range begins behind, or ends before, what equals the bound */
} shoal_zset_bound;

/* Elements below the bound; with `or_equal`, those that equal it too. A range by member over
 * elements of different scores is some range. */
uint64_t shoal_zset_below(const shoal_compound *set, const shoal_zset_bound *bound, bool or_equal);

/* Elements of an object before the place where this one is or would be. */
uint64_t shoal_zset_before(const shoal_compound *set, const shoal_zset_entry *entry);

/* Ranks `from` .. `to` - 1. Empty when from >= to. */
typedef struct shoal_zset_ranks {
    uint64_t from, to;
} shoal_zset_ranks;

/* The ranks between two bounds. */
shoal_zset_ranks shoal_zset_between(const shoal_compound *set, const shoal_zset_bound *low,
                                    const shoal_zset_bound *high);

/* Most levels of inner nodes: with 24 children each, sets of 10^15 leaves. */
#define SHOAL_ZSET__HEIGHT_MAX 11u
/* Elements of the longest pack, whose members and scores take a byte each. */
#define SHOAL_ZSET__PACK_MAX ((SHOAL_PACK_INLINE_MAX - SHOAL_PACK_HEAD) / 2u)

/* Nodes of a large set: value/zset_leaf.h, value/zset_tree.h. */
struct shoal_zset_leaf;
struct shoal_zset_inner;

/* The way from the root to an element of a large set: value/zset_tree.h. */
typedef struct shoal_zset_path {
    struct shoal_zset_leaf *leaf;
    uint32_t at; /* in the leaf */
    uint32_t height;
    struct {
        struct shoal_zset_inner *node;
        uint32_t at;                 /* the child that was taken */
    } steps[SHOAL_ZSET__HEIGHT_MAX]; /* the last one's children are leaves */
} shoal_zset_path;

/* Walks a set that does not change meanwhile, in either direction. Its own but for its use here. */
typedef struct shoal_zset_cursor {
    uint64_t left; /* elements still to come */
    bool reverse, is_pack;
    const char *at, *end; /* of a pack, forwards */
    char scratch[32];
    union {
        shoal_zset_path path;
        uint16_t offsets[SHOAL_ZSET__PACK_MAX]; /* of a pack, backwards */
    };
} shoal_zset_cursor;

/* Begins a walk through `ranks`, from its end with `reverse`. Ranks beyond the set are left out. */
void shoal_zset_seek(shoal_zset_cursor *cursor, const shoal_compound *set, shoal_zset_ranks ranks,
                     bool reverse);
/* The next element, its member borrowed until the next call. False at the end. */
bool shoal_zset_next(shoal_zset_cursor *cursor, shoal_zset_entry *entry);

/* Called with one element, borrowed for the call. */
typedef void (*shoal_zset_visit)(void *context, const shoal_zset_entry *entry);
/* Visits some `count` elements (of a pack all) from `*cursor` on (0 begins) and moves `*cursor` on;
 * 0 at the end. Every element that is there from the first to the last call is visited at
 * least once. Any number is harmless. */
void shoal_zset_scan(const shoal_compound *set, uint64_t *cursor, uint32_t count,
                     shoal_zset_visit visit, void *context);

/* ---- changing ---- */

/* How a set looks to clients: up to so many elements, and members of so many bytes, it is called a
 * listpack. */
typedef struct shoal_zset_limits {
    uint64_t entries, member_size;
} shoal_zset_limits;

/* A set that is being changed: a copy of a pack, or an object in place. */
typedef struct shoal_zset_edit {
    shoal_account *account;
    shoal_zset_limits limits;
    shoal_prng *prng;   /* gives the seed of an object that is made */
    shoal_zset *object; /* NULL: the pack */
    bool made;          /* the object was made here; the edit owns it until it is taken */
    bool scratch;       /* set behind begin: keeps every -0, until it is settled */
    bool minus_zero;    /* one has been put */
    uint32_t count;     /* elements of the pack */
    uint32_t size;      /* bytes of the pack */
    char pack[SHOAL_PACK_INLINE_MAX];
} shoal_zset_edit;

/* Where a member is or is not in a set, until the set changes. */
typedef struct shoal_zset_spot {
    bool found;
    double score;  /* when found */
    uint64_t hash; /* of an object */
    struct shoal_zset_leaf *leaf;
    uint32_t at; /* in the leaf, or of the member in the pack */
} shoal_zset_spot;

/* Begins to change `set` (copied if it is a pack, empty allowed). account, limits and prng are set
 * by the caller. An object must be what the account's owner may change. */
void shoal_zset_edit_begin(shoal_zset_edit *edit, const shoal_compound *set);
/* Ends an edit whose result is not wanted: frees an object that was made. */
void shoal_zset_edit_drop(shoal_zset_edit *edit);
/* Makes every -0 of what is scratch and a listpack a 0. */
void shoal_zset_edit_settle(shoal_zset_edit *edit);
/* What is edited, to be read. Valid until the next change. */
shoal_compound shoal_zset_edit_view(const shoal_zset_edit *edit);
/* Finds a member. */
void shoal_zset_edit_find(const shoal_zset_edit *edit, shoal_slice member, shoal_zset_spot *spot);
/* Gives `member`, which was just looked for, this score, adding it if it was not found. 0 or
 * SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_zset_edit_put(shoal_zset_edit *edit, shoal_slice member,
                                             const shoal_zset_spot *spot, double score);
/* Find and put in one. */
SHOAL_MUST_USE shoal_err shoal_zset_edit_set(shoal_zset_edit *edit, shoal_slice member,
                                             double score);
/* Removes a member that was just found. */
void shoal_zset_edit_take(shoal_zset_edit *edit, const shoal_zset_spot *spot);
/* Removes elements by rank; all of them must be there. */
void shoal_zset_edit_take_ranks(shoal_zset_edit *edit, shoal_zset_ranks ranks);

/* ---- as a type ---- */

/* The table of sorted sets. */
extern const shoal_value_ops shoal_zset_ops;

#endif
