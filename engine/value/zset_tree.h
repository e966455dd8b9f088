/* SPDX-License-Identifier: MIT
 *
 * value/zset_tree.h - a large sorted set. For the files of sorted sets only.
 *
 *   root -> inner nodes: for each child a separator, the number of elements below, an address
 *        -> leaves (value/zset_leaf.h): the elements
 *   index (value/zset_index.h): hash of a member -> its leaf; only from some hundred elements on
 *
 * Claims:
 *   1 Between two neighbouring children of a node, the separator of the right one is not above its
 *     first element and not below the last element of the left one. The first child's separator
 *     means nothing. A separator is a score and the first eight bytes of a member: where that
 *     does not decide, the first element of the child itself does.
 *   2 No leaf and no inner node is empty, but for the root leaf of an empty set.
 *   3 Memory is taken before anything changes: each step of growth leaves a whole tree, and an
 *     insertion that finds no memory has only grown it. Removal needs no memory.
 *   4 Two neighbours have more than 48 children together, or else they are joined, so nodes have
 *     some 24 on average and no tree is higher than SHOAL_ZSET__HEIGHT_MAX.
 */
#ifndef SHOAL_VALUE_ZSET_TREE_H
#define SHOAL_VALUE_ZSET_TREE_H

#include "value/zset.h"
#include "value/zset_index.h"
#include "value/zset_leaf.h"

/* Most children of an inner node. */
#define SHOAL_ZSET__INNER_MAX 64u
/* Elements from which on a set has an index; fewer are in a few leaves, whose tags are looked
 * through as fast. */
#define SHOAL_ZSET__INDEX_FROM 160u

/* What clients call an object: its encoding. */
enum { SHOAL_ZSET__SKIPLIST = 0, SHOAL_ZSET__LISTPACK = 1 };

/* One child of an inner node. */
typedef struct shoal_zset_child {
    double score;    /* the separator */
    uint64_t prefix; /* the first bytes of its member, the first one highest */
    uint64_t count;  /* elements below */
    void *node;      /* an inner node or a leaf */
} shoal_zset_child;

/* An inner node. */
typedef struct shoal_zset_inner {
    uint32_t count, room;
    shoal_zset_child children[];
} shoal_zset_inner;

/* The set. */
struct shoal_zset {
    shoal_object object; /* encoding: above */
    uint64_t count;      /* elements */
    void *root;          /* a leaf when height is 0; NULL when it has none */
    uint32_t height;     /* levels of inner nodes */
    uint32_t spare;
    shoal_zset_index index;
};

/* An empty set or NULL without memory. */
shoal_zset *shoal_zset__make(shoal_account *account, uint64_t seed);
/* The hash of a member. */
uint64_t shoal_zset__hash(const shoal_zset *set, shoal_slice member);

/* Finds a member. */
void shoal_zset__find(const shoal_zset *set, shoal_slice member, shoal_zset_spot *spot);
/* The way to where (score, member) is or would be; returns how many elements are before it. */
uint64_t shoal_zset__descend(const shoal_zset *set, double score, shoal_slice member,
                             shoal_zset_path *path);
/* The number of elements below a bound. */
uint64_t shoal_zset__below(const shoal_zset *set, const shoal_zset_bound *bound, bool or_equal);
/* The way to the element of a rank (< count). */
void shoal_zset__to_rank(const shoal_zset *set, uint64_t rank, shoal_zset_path *path);
/* Moves a path to the next element, or the one before. It must exist. */
void shoal_zset__step(shoal_zset_path *path, bool reverse);

/* Adds a member that is not there. 0 or SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_zset__add(shoal_zset *set, shoal_account *account,
                                         const shoal_zset_entry *entry, uint64_t hash);
/* Gives a found member another score. 0 or SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_zset__update(shoal_zset *set, shoal_account *account,
                                            const shoal_zset_spot *spot, double score);
/* Removes a found member. */
void shoal_zset__remove(shoal_zset *set, shoal_account *account, const shoal_zset_spot *spot);
/* Removes a range of ranks, all of which are there. */
void shoal_zset__remove_ranks(shoal_zset *set, shoal_account *account, shoal_zset_ranks ranks);

/* ---- between the files of the tree ---- */

/* The separator for a child that begins with this. */
uint64_t shoal_zset__prefix(shoal_slice member);
/* Makes room for one more element of `bytes` in the leaf of a path, in one step that leaves a whole
 * tree; the path is no longer valid. False without memory. */
bool shoal_zset__make_room(shoal_zset *set, shoal_account *account, const shoal_zset_path *path,
                           uint32_t bytes);
/* The leaf of a path has lost elements, which are counted: removes it when it is empty, joins it
 * with a neighbour, or makes it smaller, and the same with the nodes above. The path is no longer
 * valid. */
void shoal_zset__mend(shoal_zset *set, shoal_account *account, shoal_zset_path *path);
/* Gives the set an index. False without memory. */
bool shoal_zset__index_all(shoal_zset *set, shoal_account *account);
/* Frees some of the tree, as free_some of shoal_value_ops. True when all is freed. */
bool shoal_zset__free_tree(shoal_zset *set, shoal_account *account, uint32_t *budget);
/* Moves what is sparse of the leaf with the element of `rank`, of its long members, and of the
 * nodes above whose first leaf it is. Returns the rank behind the leaf. */
uint64_t shoal_zset__move_leaf(shoal_zset *set, shoal_account *account, uint64_t rank,
                               const shoal_value_mover *mover);

#endif
