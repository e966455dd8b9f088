/* SPDX-License-Identifier: MIT
 *
 * value/zset_shape.c - how the tree of a large sorted set grows and shrinks. Growth goes by steps,
 * each of which takes its memory first and leaves a whole tree; the insertion that needed room then
 * goes down anew. Shrinking does without where there is no memory. The claims are in zset_tree.h.
 */
#include "value/zset_tree.h"

#define LEAF_MAX SHOAL_ZSET__LEAF_MAX
#define INNER_MAX SHOAL_ZSET__INNER_MAX
/* Nodes with fewer look for a neighbour to join, and do it when the two together have at most this:
 * far enough from full that the next insertion does not split them again. */
#define LOW(max) ((max) / 4)
#define JOINED(max) ((max)*3 / 4)
/* Children of an inner node at first. */
#define ROOM_MIN 4u
/* Leaves of fewer bytes are not worth building anew. */
#define LEAF_SIZE_SMALL 256u

/* ---- nodes ---- */

static size_t inner_size(uint32_t room)
{
    SHOAL_DEBUG_ASSERT(room >= ROOM_MIN && room <= INNER_MAX);
    return sizeof(shoal_zset_inner) + room * sizeof(shoal_zset_child);
}

/* An inner node with room for `count` children and a few more. */
static shoal_zset_inner *inner_make(shoal_account *account, uint32_t count)
{
    uint32_t room = ROOM_MIN;
    while (room < count) room *= 2;
    SHOAL_ASSERT(room <= INNER_MAX);
    shoal_zset_inner *inner = shoal_account_take(account, inner_size(room));
    if (inner == NULL) return NULL;
    inner->count = 0;
    inner->room = room;
    return inner;
}

static void inner_give(shoal_account *account, shoal_zset_inner *inner)
{
    SHOAL_DEBUG_ASSERT(inner->count <= inner->room);
    shoal_account_give(account, inner, inner_size(inner->room));
}

static void append_children(shoal_zset_inner *to, const shoal_zset_inner *from, uint32_t first,
                            uint32_t end)
{
    SHOAL_ASSERT(first <= end && end <= from->count);
    SHOAL_ASSERT(to->count + (end - first) <= to->room);
    memcpy(to->children + to->count, from->children + first,
           (end - first) * sizeof(shoal_zset_child));
    to->count += end - first;
}

static uint64_t sum_counts(const shoal_zset_inner *inner)
{
    uint64_t sum = 0;
    SHOAL_DEBUG_ASSERT(inner->count > 0);
    for (uint32_t i = 0; i < inner->count; i++) sum += inner->children[i].count;
    return sum;
}

/* Puts another node in the place of the one at `level` of a path (the leaf at its height). */
static void replace_node(shoal_zset *set, const shoal_zset_path *path, uint32_t level, void *node)
{
    SHOAL_ASSERT(level <= path->height);
    if (level == 0) {
        set->root = node;
    } else {
        path->steps[level - 1].node->children[path->steps[level - 1].at].node = node;
    }
}

static void insert_child(shoal_zset_inner *inner, uint32_t at, shoal_zset_child child)
{
    SHOAL_ASSERT(inner->count < inner->room && at <= inner->count);
    memmove(inner->children + at + 1, inner->children + at,
            (inner->count - at) * sizeof(shoal_zset_child));
    inner->children[at] = child;
    inner->count++;
}

static void remove_child(shoal_zset_inner *inner, uint32_t at)
{
    SHOAL_ASSERT(at < inner->count);
    inner->count--;
    memmove(inner->children + at, inner->children + at + 1,
            (inner->count - at) * sizeof(shoal_zset_child));
}

/* ---- the index follows ---- */

/* The elements of a leaf from `from` on have come from another leaf, which was `old`. */
static void index_moved(shoal_zset *set, const shoal_zset_leaf *leaf, uint32_t from, uint32_t old)
{
    if (set->index.directory == NULL) return;
    uint64_t hashes[LEAF_MAX];
    SHOAL_ASSERT(leaf->count <= LEAF_MAX && leaf->id != old);
    for (uint32_t i = from; i < leaf->count; i++) {
        hashes[i] = shoal_zset__hash(set, shoal_zset__member(leaf, i));
        shoal_zset__index_prefetch(&set->index, hashes[i]);
    }
    for (uint32_t i = from; i < leaf->count; i++)
        shoal_zset__index_change(&set->index, hashes[i], old, leaf->id);
}

/* A leaf takes the place and the number of another, which is given back. */
static void succeed(shoal_zset *set, shoal_account *account, shoal_zset_leaf *leaf,
                    shoal_zset_leaf *old)
{
    SHOAL_ASSERT(leaf != old);
    leaf->id = old->id;
    if (old->id != 0) shoal_zset__id_set(&set->index, leaf);
    shoal_zset__leaf_give(account, old);
}

static bool index_leaf(shoal_zset *set, shoal_account *account, shoal_zset_leaf *leaf)
{
    if (!shoal_zset__id_reserve(&set->index, account)) return false;
    shoal_zset__id_take(&set->index, leaf);
    for (uint32_t i = 0; i < leaf->count; i++) {
        uint64_t hash = shoal_zset__hash(set, shoal_zset__member(leaf, i));
        if (!shoal_zset__index_reserve(&set->index, account, hash)) return false;
        shoal_zset__index_add(&set->index, hash, leaf->id);
    }
    SHOAL_DEBUG_ASSERT(leaf->id != 0);
    return true;
}

bool shoal_zset__index_all(shoal_zset *set, shoal_account *account)
{
    SHOAL_ASSERT(set->count > 0 && set->index.directory == NULL);
    if (!shoal_zset__index_make(&set->index, account)) return false;
    shoal_zset_path path;
    bool made = true;
    for (uint64_t rank = 0; made && rank < set->count; rank += path.leaf->count) {
        shoal_zset__to_rank(set, rank, &path);
        made = index_leaf(set, account, path.leaf);
    }
    if (made) return true;
    for (uint64_t rank = 0; rank < set->count; rank += path.leaf->count) {
        shoal_zset__to_rank(set, rank, &path);
        path.leaf->id = 0;
    }
    uint32_t budget = UINT32_MAX;
    shoal_zset__index_free_some(&set->index, account, &budget);
    set->index = (shoal_zset_index){.seed = set->index.seed};
    return false;
}

/* ---- growth ---- */

/* Is the end of a path the last place of the whole tree? Then elements arrive in order, and what is
 * split stays full on the left. */
static bool at_end(const shoal_zset_path *path)
{
    SHOAL_DEBUG_ASSERT(path->leaf != NULL);
    for (uint32_t i = 0; i < path->height; i++) {
        if (path->steps[i].at + 1 != path->steps[i].node->count) return false;
    }
    return path->at == path->leaf->count;
}

static bool at_start(const shoal_zset_path *path)
{
    SHOAL_DEBUG_ASSERT(path->leaf != NULL);
    for (uint32_t i = 0; i < path->height; i++) {
        if (path->steps[i].at != 0) return false;
    }
    return path->at == 0;
}

static bool grow_leaf(shoal_zset *set, shoal_account *account, const shoal_zset_path *path,
                      uint32_t bytes)
{
    shoal_zset_range all = {path->leaf, 0, path->leaf->count};
    SHOAL_ASSERT(all.to < LEAF_MAX);
    shoal_zset_leaf *leaf = shoal_zset__leaf_build(account, &all, 1, bytes);
    if (leaf == NULL) return false;
    SHOAL_ASSERT(shoal_zset__leaf_fits(leaf, bytes));
    replace_node(set, path, path->height, leaf);
    succeed(set, account, leaf, path->leaf);
    return true;
}

/* Cuts the leaf of a path in two, whose parent has room. */
static bool split_leaf(shoal_zset *set, shoal_account *account, const shoal_zset_path *path,
                       uint32_t bytes)
{
    shoal_zset_leaf *old = path->leaf;
    SHOAL_ASSERT(old->count == LEAF_MAX && path->height > 0);
    uint32_t cut = old->count / 2;
    if (at_end(path)) cut = old->count - 1u;
    if (at_start(path)) cut = 1;
    bool to_right = path->at > cut;
    shoal_zset_range left_part = {old, 0, cut}, right_part = {old, cut, old->count};
    if (set->index.directory != NULL && !shoal_zset__id_reserve(&set->index, account)) return false;
    shoal_zset_leaf *left = shoal_zset__leaf_build(account, &left_part, 1, to_right ? 0 : bytes);
    if (left == NULL) return false;
    shoal_zset_leaf *right = shoal_zset__leaf_build(account, &right_part, 1, to_right ? bytes : 0);
    if (right == NULL) {
        shoal_zset__leaf_give(account, left);
        return false;
    }
    shoal_zset_inner *parent = path->steps[path->height - 1].node;
    uint32_t at = path->steps[path->height - 1].at, id = old->id;
    shoal_zset_child child = {shoal_zset__scores(right)[0],
                              shoal_zset__prefix(shoal_zset__member(right, 0)), right->count,
                              right};
    insert_child(parent, at + 1, child);
    parent->children[at].node = left;
    parent->children[at].count = left->count;
    /* The larger part keeps the number, so that fewer words of the index change. */
    shoal_zset_leaf *heir = cut == 1 ? right : left, *other = cut == 1 ? left : right;
    succeed(set, account, heir, old);
    if (set->index.directory != NULL) {
        shoal_zset__id_take(&set->index, other);
        index_moved(set, other, 0, id);
    }
    return true;
}

/* Cuts the inner node at `level` > 0 of a path in two, whose parent has room. */
static bool split_inner(shoal_zset *set, shoal_account *account, const shoal_zset_path *path,
                        uint32_t level)
{
    shoal_zset_inner *left = path->steps[level].node, *parent = path->steps[level - 1].node;
    SHOAL_ASSERT(level > 0 && left->count == INNER_MAX);
    uint32_t cut = at_end(path) ? left->count - 1 : left->count / 2;
    shoal_zset_inner *right = inner_make(account, left->count - cut + 1);
    if (right == NULL) return false;
    append_children(right, left, cut, left->count);
    left->count = cut;
    uint32_t at = path->steps[level - 1].at;
    parent->children[at].count = sum_counts(left);
    shoal_zset_child child = right->children[0];
    child.count = sum_counts(right);
    child.node = right;
    insert_child(parent, at + 1, child);
    SHOAL_DEBUG_ASSERT(set->count >= child.count);
    (void)set;
    return true;
}

/* A new root above the present one. */
static bool raise_root(shoal_zset *set, shoal_account *account)
{
    SHOAL_ASSERT(set->height < SHOAL_ZSET__HEIGHT_MAX);
    shoal_zset_inner *root = inner_make(account, 2);
    if (root == NULL) return false;
    root->children[0] = (shoal_zset_child){.count = set->count, .node = set->root};
    root->count = 1;
    set->root = root;
    set->height++;
    return true;
}

static bool widen(shoal_zset *set, shoal_account *account, const shoal_zset_path *path,
                  uint32_t level)
{
    shoal_zset_inner *old = path->steps[level].node;
    SHOAL_ASSERT(old->count == old->room && old->room < INNER_MAX);
    shoal_zset_inner *inner = inner_make(account, old->room * 2);
    if (inner == NULL) return false;
    append_children(inner, old, 0, old->count);
    replace_node(set, path, level, inner);
    inner_give(account, old);
    return true;
}

bool shoal_zset__make_room(shoal_zset *set, shoal_account *account, const shoal_zset_path *path,
                           uint32_t bytes)
{
    SHOAL_ASSERT(bytes > 0 && bytes <= SHOAL_ZSET__STORED_MAX);
    if (path->leaf->count < LEAF_MAX) return grow_leaf(set, account, path, bytes);
    uint32_t level = path->height;
    /* The lowest node on the way that can have another child. */
    do {
        if (level == 0) return raise_root(set, account);
        level--;
    } while (path->steps[level].node->count == INNER_MAX);
    const shoal_zset_inner *inner = path->steps[level].node;
    if (inner->count == inner->room) return widen(set, account, path, level);
    if (level + 1 < path->height) return split_inner(set, account, path, level + 1);
    return split_leaf(set, account, path, bytes);
}

/* ---- shrinking ---- */

/* The neighbours among the children of a node that are to be joined: the one at `at` and the next,
 * or the one before and it. False when it has none. */
static bool neighbours(const shoal_zset_inner *parent, uint32_t at, uint32_t *left)
{
    SHOAL_DEBUG_ASSERT(at < parent->count);
    if (parent->count < 2) return false;
    *left = at + 1 < parent->count ? at : at - 1;
    return true;
}

/* Joins a leaf that has few elements with a neighbour. True when a child of the parent has gone. */
static bool join_leaf(shoal_zset *set, shoal_account *account, shoal_zset_inner *parent,
                      uint32_t at)
{
    uint32_t first;
    SHOAL_ASSERT(parent->count > 0);
    if (!neighbours(parent, at, &first)) return false;
    shoal_zset_child *to = &parent->children[first], *from = to + 1;
    shoal_zset_leaf *left = to->node, *right = from->node;
    if (left->count + right->count > JOINED(LEAF_MAX)) return false;
    uint32_t moved = left->count, old = right->id;
    shoal_zset_range parts[2] = {{left, 0, left->count}, {right, 0, right->count}};
    shoal_zset_leaf *both = shoal_zset__leaf_build(account, parts, 2, 0);
    if (both == NULL) return false;
    to->node = both;
    to->count += from->count;
    succeed(set, account, both, left);
    index_moved(set, both, moved, old);
    if (old != 0) shoal_zset__id_give(&set->index, old);
    shoal_zset__leaf_give(account, right);
    remove_child(parent, first + 1);
    return true;
}

/* The same for an inner node. */
static bool join_inner(shoal_account *account, shoal_zset_inner *parent, uint32_t at)
{
    uint32_t first;
    SHOAL_ASSERT(parent->count > 0);
    if (!neighbours(parent, at, &first)) return false;
    shoal_zset_child *to = &parent->children[first], *from = to + 1;
    shoal_zset_inner *left = to->node, *right = from->node;
    if (left->count + right->count > JOINED(INNER_MAX)) return false;
    shoal_zset_inner *both = inner_make(account, left->count + right->count);
    if (both == NULL) return false;
    /* What is no first child any more gets a separator that means something (claim 1). */
    right->children[0].score = from->score;
    right->children[0].prefix = from->prefix;
    append_children(both, left, 0, left->count);
    append_children(both, right, 0, right->count);
    to->node = both;
    to->count += from->count;
    inner_give(account, left);
    inner_give(account, right);
    remove_child(parent, first + 1);
    return true;
}

/* A node of the path at `level` has lost a child: mends it and those above. */
static void mend_inner(shoal_zset *set, shoal_account *account, shoal_zset_path *path,
                       uint32_t level)
{
    SHOAL_ASSERT(level < path->height);
    for (;; level--) {
        shoal_zset_inner *inner = path->steps[level].node;
        if (level == 0) break;
        shoal_zset_inner *parent = path->steps[level - 1].node;
        uint32_t at = path->steps[level - 1].at;
        if (inner->count == 0) {
            inner_give(account, inner);
            remove_child(parent, at);
        } else if (inner->count > LOW(INNER_MAX) || !join_inner(account, parent, at)) {
            break;
        }
    }
    /* A root with one child is none. */
    while (set->height > 0) {
        shoal_zset_inner *root = set->root;
        if (root->count > 1) return;
        set->root = root->count == 0 ? NULL : root->children[0].node;
        set->height = root->count == 0 ? 0 : set->height - 1;
        inner_give(account, root);
    }
}

/* Builds a leaf anew that takes twice what it needs. */
static void tighten(shoal_zset *set, shoal_account *account, const shoal_zset_path *path)
{
    shoal_zset_leaf *old = path->leaf;
    uint32_t unused = (old->room - old->count) * 11u + old->dead + (old->size - old->end);
    SHOAL_ASSERT(unused < old->size);
    if (old->size <= LEAF_SIZE_SMALL || unused < old->size / 2u) return;
    shoal_zset_range all = {old, 0, old->count};
    shoal_zset_leaf *leaf = shoal_zset__leaf_build(account, &all, 1, 0);
    if (leaf == NULL) return;
    replace_node(set, path, path->height, leaf);
    succeed(set, account, leaf, old);
}

void shoal_zset__mend(shoal_zset *set, shoal_account *account, shoal_zset_path *path)
{
    shoal_zset_leaf *leaf = path->leaf;
    SHOAL_DEBUG_ASSERT(path->height == set->height);
    shoal_zset_inner *parent = path->height > 0 ? path->steps[path->height - 1].node : NULL;
    uint32_t at = path->height > 0 ? path->steps[path->height - 1].at : 0;
    if (leaf->count == 0) {
        if (leaf->id != 0) shoal_zset__id_give(&set->index, leaf->id);
        shoal_zset__leaf_give(account, leaf);
        if (parent == NULL) {
            set->root = NULL;
            return;
        }
        remove_child(parent, at);
        mend_inner(set, account, path, path->height - 1);
    } else if (parent != NULL && leaf->count <= LOW(LEAF_MAX) &&
               join_leaf(set, account, parent, at)) {
        mend_inner(set, account, path, path->height - 1);
    } else {
        tighten(set, account, path);
    }
}

/* ---- the end ---- */

/* Gives back the last leaf and the nodes above that have no other child. */
static void free_last_leaf(shoal_zset *set, shoal_account *account, shoal_zset_inner **way,
                           uint32_t *budget)
{
    uint32_t level = set->height;
    SHOAL_ASSERT(*budget > 0);
    for (; level > 0 && --way[level - 1]->count == 0; level--) {
        inner_give(account, way[level - 1]);
        if (*budget > 1) --*budget;
    }
    --*budget;
    if (level == 0) set->root = NULL;
}

bool shoal_zset__free_tree(shoal_zset *set, shoal_account *account, uint32_t *budget)
{
    while (set->root != NULL && *budget > 0) {
        shoal_zset_inner *way[SHOAL_ZSET__HEIGHT_MAX];
        void *node = set->root;
        for (uint32_t level = 0; level < set->height; level++) {
            way[level] = node;
            node = way[level]->children[way[level]->count - 1].node;
        }
        shoal_zset_leaf *leaf = node;
        SHOAL_ASSERT(leaf->count <= LEAF_MAX);
        while (leaf->count > 0) {
            if (shoal_zset__member_give(account, leaf, leaf->count - 1u)) --*budget;
            leaf->count--;
            if (*budget == 0) break;
        }
        if (*budget == 0) break;
        shoal_zset__leaf_give(account, leaf);
        free_last_leaf(set, account, way, budget);
    }
    return set->root == NULL;
}

/* ---- moving ---- */

/* The nodes on the way to a leaf whose first leaf it is. */
static void move_nodes(shoal_zset *set, shoal_account *account, shoal_zset_path *path,
                       const shoal_value_mover *mover)
{
    for (uint32_t level = path->height; level-- > 0;) {
        shoal_zset_inner *old = path->steps[level].node;
        SHOAL_ASSERT(path->steps[level].at < old->count);
        if (path->steps[level].at != 0) return;
        if (!mover->is_sparse(mover->context, old, inner_size(old->room))) continue;
        shoal_zset_inner *inner = inner_make(account, old->room);
        if (inner == NULL) continue;
        append_children(inner, old, 0, old->count);
        replace_node(set, path, level, inner);
        path->steps[level].node = inner;
        inner_give(account, old);
    }
}

uint64_t shoal_zset__move_leaf(shoal_zset *set, shoal_account *account, uint64_t rank,
                               const shoal_value_mover *mover)
{
    shoal_zset_path path;
    SHOAL_ASSERT(rank < set->count);
    shoal_zset__to_rank(set, rank, &path);
    rank += path.leaf->count - path.at;
    move_nodes(set, account, &path, mover);
    shoal_zset_leaf *leaf = path.leaf;
    shoal_zset__members_move(account, leaf, mover);
    if (!mover->is_sparse(mover->context, leaf, leaf->size)) return rank;
    shoal_zset_leaf *copy = shoal_account_take(account, leaf->size);
    if (copy == NULL) return rank;
    memcpy(copy, leaf, leaf->size);
    replace_node(set, &path, path.height, copy);
    succeed(set, account, copy, leaf);
    return rank;
}
