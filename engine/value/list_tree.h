/* SPDX-License-Identifier: MIT
 *
 * value/list_tree.h - the tree above a list's chunks: nodes of up to 64 children, each with the
 * number of elements below it, so that any element is found by a few short walks over counts.
 * Nodes are split when they are full and freed when they are empty. At the ends of the list a split
 * leaves the full node full, so that what grows there has nodes as dense as they get.
 *
 * Threads: as value/list.h.
 */
#ifndef SHOAL_VALUE_LIST_TREE_H
#define SHOAL_VALUE_LIST_TREE_H

#include "value/list_chunk.h"

/* Most children of a node. */
#define SHOAL_LIST__FANOUT 64u

/* A child with the elements below it. */
typedef struct shoal_list__ref {
    void *child; /* a chunk on level 0, else a node */
    uint64_t count;
} shoal_list__ref;

/* A node of the tree. */
typedef struct shoal_list__node {
    uint16_t used;     /* children */
    uint16_t capacity; /* room for children */
    uint32_t level;
    shoal_list__ref refs[];
} shoal_list__node;

/* A list as an object: the tree. */
struct shoal_list {
    shoal_object object;
    uint64_t count;
    shoal_list__node *root; /* NULL: empty */
};

/* The way to element `index` (< count). Returns its chunk. */
shoal_list__chunk *shoal_list__locate(const shoal_list *list, uint64_t index,
                                      shoal_list_path *path);
/* The way to the first or last chunk; NULL when there is none. */
shoal_list__chunk *shoal_list__locate_end(const shoal_list *list, shoal_list_end end,
                                          shoal_list_path *path);
/* The chunk that a path leads to. */
static inline shoal_list__chunk *shoal_list__chunk_of(const shoal_list_path *path)
{
    return path->nodes[0]->refs[path->at[0]].child;
}
/* Goes on to the next chunk, or the one before. NULL, and the path is dead, at the end. */
shoal_list__chunk *shoal_list__step(shoal_list_path *path, bool backward);

/* The chunk at the path has another address. */
static inline void shoal_list__moved(const shoal_list_path *path, shoal_list__chunk *chunk)
{
    path->nodes[0]->refs[path->at[0]].child = chunk;
}
/* The chunk at the path has so many elements more, or fewer. */
void shoal_list__recount(shoal_list *list, const shoal_list_path *path, int64_t delta);
/* Puts a chunk behind the one at the path, or before it; the path is dead afterwards. The path of
 * an empty list has depth 0. 0 or SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_list__add_chunk(const shoal_list_edit *edit, shoal_list_path *path,
                                               shoal_list__chunk *chunk, bool behind);
/* Takes the chunk at the path out of the tree, and frees it; the path is dead afterwards. */
void shoal_list__drop_chunk(const shoal_list_edit *edit, shoal_list_path *path);
/* Gives back a node. */
void shoal_list__node_free(shoal_account *account, shoal_list__node *node);

#endif
