/* SPDX-License-Identifier: MIT
 *
 * value/list_tree.c - finding, adding and dropping chunks.
 */
#include "value/list_tree.h"

#include <string.h>

/* Children that a node of the lowest level has room for at first. */
#define CAPACITY_FIRST 1u

/* ---- finding ---- */

shoal_list__chunk *shoal_list__locate(const shoal_list *list, uint64_t index, shoal_list_path *path)
{
    SHOAL_ASSERT(index < list->count);
    shoal_list__node *node = list->root;
    path->depth = node->level + 1;
    while (true) {
        uint32_t at = 0;
        while (index >= node->refs[at].count) index -= node->refs[at++].count;
        SHOAL_DEBUG_ASSERT(at < node->used);
        path->nodes[node->level] = node;
        path->at[node->level] = (uint16_t)at;
        void *child = node->refs[at].child;
        if (node->level == 0) {
            path->within = (uint32_t)index;
            return child;
        }
        node = child;
    }
}

/* Goes down from `node` along one edge. */
static shoal_list__chunk *descend(shoal_list__node *node, shoal_list_end end, shoal_list_path *path)
{
    while (true) {
        SHOAL_DEBUG_ASSERT(node->used > 0);
        uint32_t at = end == SHOAL_LIST_HEAD ? 0 : node->used - 1u;
        path->nodes[node->level] = node;
        path->at[node->level] = (uint16_t)at;
        if (node->level == 0) return node->refs[at].child;
        node = node->refs[at].child;
    }
}

shoal_list__chunk *shoal_list__locate_end(const shoal_list *list, shoal_list_end end,
                                          shoal_list_path *path)
{
    path->depth = 0;
    path->within = 0;
    if (list->root == NULL) return NULL;
    path->depth = list->root->level + 1;
    shoal_list__chunk *chunk = descend(list->root, end, path);
    SHOAL_DEBUG_ASSERT(chunk->count > 0);
    if (end == SHOAL_LIST_TAIL) path->within = chunk->count - 1;
    return chunk;
}

shoal_list__chunk *shoal_list__step(shoal_list_path *path, bool backward)
{
    SHOAL_DEBUG_ASSERT(path->depth > 0);
    for (uint32_t level = 0; level < path->depth; level++) {
        const shoal_list__node *node = path->nodes[level];
        if (backward ? path->at[level] == 0 : path->at[level] + 1u == node->used) continue;
        path->at[level] = (uint16_t)(backward ? path->at[level] - 1 : path->at[level] + 1);
        path->within = 0;
        if (level == 0) return shoal_list__chunk_of(path);
        return descend(node->refs[path->at[level]].child,
                       backward ? SHOAL_LIST_TAIL : SHOAL_LIST_HEAD, path);
    }
    return NULL;
}

void shoal_list__recount(shoal_list *list, const shoal_list_path *path, int64_t delta)
{
    SHOAL_DEBUG_ASSERT(path->depth == list->root->level + 1);
    list->count += (uint64_t)delta;
    for (uint32_t level = 0; level < path->depth; level++)
        path->nodes[level]->refs[path->at[level]].count += (uint64_t)delta;
}

/* ---- nodes ---- */

static size_t node_size(uint32_t capacity)
{
    SHOAL_DEBUG_ASSERT(capacity > 0 && capacity <= SHOAL_LIST__FANOUT);
    return sizeof(shoal_list__node) + capacity * sizeof(shoal_list__ref);
}

static shoal_list__node *node_make(shoal_account *account, uint32_t capacity, uint32_t level)
{
    SHOAL_ASSERT(level < SHOAL_LIST_DEPTH_MAX);
    shoal_list__node *node = shoal_account_take(account, node_size(capacity));
    if (node != NULL) *node = (shoal_list__node){.capacity = (uint16_t)capacity, .level = level};
    return node;
}

void shoal_list__node_free(shoal_account *account, shoal_list__node *node)
{
    SHOAL_ASSERT(node != NULL);
    shoal_account_give(account, node, node_size(node->capacity));
}

/* Another capacity for the node of a level of the path. False without memory. */
static bool node_resize(const shoal_list_edit *edit, shoal_list_path *path, uint32_t level,
                        uint32_t capacity)
{
    shoal_list__node *node = path->nodes[level];
    SHOAL_DEBUG_ASSERT(capacity >= node->used);
    shoal_list__node *other =
        shoal_account_resize(edit->account, node, node_size(node->capacity), node_size(capacity));
    if (other == NULL) return false;
    other->capacity = (uint16_t)capacity;
    path->nodes[level] = other;
    if (level + 1 == path->depth) {
        edit->list->root = other;
    } else {
        path->nodes[level + 1]->refs[path->at[level + 1]].child = other;
    }
    return true;
}

static uint64_t node_count(const shoal_list__node *node)
{
    SHOAL_DEBUG_ASSERT(node->used <= node->capacity);
    uint64_t count = 0;
    for (uint32_t i = 0; i < node->used; i++) count += node->refs[i].count;
    return count;
}

static void node_insert(shoal_list__node *node, uint32_t at, shoal_list__ref ref)
{
    SHOAL_ASSERT(node->used < node->capacity && at <= node->used);
    memmove(&node->refs[at + 1], &node->refs[at], (node->used - at) * sizeof(ref));
    node->refs[at] = ref;
    node->used++;
}

/* Splits a full node while adding a child: `right` takes what comes behind. */
static void node_split(shoal_list__node *node, shoal_list__node *right, uint32_t at,
                       shoal_list__ref ref)
{
    SHOAL_ASSERT(node->used == SHOAL_LIST__FANOUT && right->used == 0);
    /* At the ends, all stay together and the new one is alone. */
    uint32_t keep = SHOAL_LIST__FANOUT / 2;
    if (at == 0) keep = 0;
    if (at == SHOAL_LIST__FANOUT) keep = SHOAL_LIST__FANOUT;
    right->used = (uint16_t)(SHOAL_LIST__FANOUT - keep);
    memcpy(right->refs, &node->refs[keep], right->used * sizeof(ref));
    node->used = (uint16_t)keep;
    if (at < keep || keep == 0) {
        node_insert(node, at, ref);
    } else {
        node_insert(right, at - keep, ref);
    }
}

/* ---- adding ---- */

/* What adding a chunk needs, taken before anything changes. */
typedef struct growth {
    uint32_t splits; /* full nodes on the way up */
    shoal_list__node *right[SHOAL_LIST_DEPTH_MAX];
    shoal_list__node *root; /* a new one above, or NULL */
} growth;

/* Takes all nodes that are needed. False without memory; then none is. */
static bool prepare(const shoal_list_edit *edit, shoal_list_path *path, growth *out)
{
    *out = (growth){.splits = 0};
    uint32_t level = 0;
    while (level < path->depth && path->nodes[level]->used == SHOAL_LIST__FANOUT) level++;
    if (level == path->depth) {
        uint32_t capacity = level == 0 ? CAPACITY_FIRST : 2;
        out->root = node_make(edit->account, capacity, level);
        if (out->root == NULL) return false;
    } else {
        const shoal_list__node *node = path->nodes[level];
        if (node->used == node->capacity && !node_resize(edit, path, level, node->capacity * 2u))
            return false;
    }
    for (; out->splits < level; out->splits++) {
        shoal_list__node *right = node_make(edit->account, SHOAL_LIST__FANOUT, out->splits);
        if (right == NULL) break;
        out->right[out->splits] = right;
    }
    if (out->splits == level) return true;
    while (out->splits > 0) shoal_list__node_free(edit->account, out->right[--out->splits]);
    if (out->root != NULL) shoal_list__node_free(edit->account, out->root);
    return false;
}

shoal_err shoal_list__add_chunk(const shoal_list_edit *edit, shoal_list_path *path,
                                shoal_list__chunk *chunk, bool behind)
{
    SHOAL_ASSERT(chunk->count > 0);
    growth grown;
    if (!prepare(edit, path, &grown)) return SHOAL_ERR_NO_MEMORY;
    shoal_list *list = edit->list;
    list->count += chunk->count;
    shoal_list__ref ref = {chunk, chunk->count};
    uint32_t at = path->depth > 0 ? path->at[0] + (behind ? 1u : 0u) : 0;
    uint32_t level = 0;
    for (; level < grown.splits; level++) {
        shoal_list__node *left = path->nodes[level];
        node_split(left, grown.right[level], at, ref);
        ref = (shoal_list__ref){grown.right[level], node_count(grown.right[level])};
        if (level + 1 == path->depth) {
            node_insert(grown.root, 0, (shoal_list__ref){left, node_count(left)});
            at = 1;
        } else {
            path->nodes[level + 1]->refs[path->at[level + 1]].count = node_count(left);
            at = path->at[level + 1] + 1u;
        }
    }
    if (level == path->depth) {
        node_insert(grown.root, at, ref);
        list->root = grown.root;
        return 0;
    }
    node_insert(path->nodes[level], at, ref);
    for (level++; level < path->depth; level++)
        path->nodes[level]->refs[path->at[level]].count += chunk->count;
    return 0;
}

/* ---- dropping ---- */

/* Takes the child at the path out of its node. */
static void node_remove(shoal_list__node *node, uint32_t at)
{
    SHOAL_ASSERT(at < node->used);
    node->used--;
    memmove(&node->refs[at], &node->refs[at + 1], (node->used - at) * sizeof(node->refs[0]));
}

void shoal_list__drop_chunk(const shoal_list_edit *edit, shoal_list_path *path)
{
    SHOAL_ASSERT(path->depth > 0);
    shoal_list *list = edit->list;
    uint64_t count = path->nodes[0]->refs[path->at[0]].count;
    shoal_list__chunk_free(edit->account, shoal_list__chunk_of(path));
    list->count -= count;

    uint32_t level = 0;
    for (; level < path->depth; level++) {
        shoal_list__node *node = path->nodes[level];
        node_remove(node, path->at[level]);
        if (node->used > 0) break;
        shoal_list__node_free(edit->account, node);
    }
    if (level == path->depth) {
        list->root = NULL;
        SHOAL_ASSERT(list->count == 0);
        return;
    }
    const shoal_list__node *node = path->nodes[level];
    /* Where that fails, the node keeps its room. */
    if (node->capacity >= 8 && node->used * 4u <= node->capacity)
        (void)node_resize(edit, path, level, node->capacity / 2u);
    for (level++; level < path->depth; level++)
        path->nodes[level]->refs[path->at[level]].count -= count;
    while (list->root->level > 0 && list->root->used == 1) {
        shoal_list__node *root = list->root;
        list->root = root->refs[0].child;
        shoal_list__node_free(edit->account, root);
    }
}
