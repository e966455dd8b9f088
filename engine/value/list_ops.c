/* SPDX-License-Identifier: MIT
 *
 * value/list_ops.c - lists as the store and the generic commands see them: copied, counted,
 * visited, moved and freed, in bounded steps where they may be long.
 */
#include <string.h>

#include "value/list_tree.h"

/* ---- freeing ---- */

/* Frees the last chunk, or the last node that has none; the way there is found anew each time,
 * which is a few steps. True when the tree is gone. */
static bool free_last(shoal_list *list, shoal_account *account)
{
    SHOAL_DEBUG_ASSERT(list->object.type == SHOAL_TYPE_LIST);
    shoal_list__node *above = NULL, *node = list->root;
    while (node->level > 0 && node->used > 0) {
        above = node;
        node = node->refs[node->used - 1].child;
    }
    if (node->used > 0) {
        shoal_list__chunk_free(account, node->refs[--node->used].child);
    } else {
        shoal_list__node_free(account, node);
        if (above == NULL) return true;
        above->used--;
    }
    return false;
}

static bool free_some(shoal_object *object, shoal_account *account, uint32_t *budget)
{
    shoal_list *list = shoal_list_of(object);
    SHOAL_ASSERT(account != NULL);
    while (list->root != NULL && *budget > 0) {
        --*budget;
        if (free_last(list, account)) list->root = NULL;
    }
    if (list->root != NULL || *budget == 0) return false;
    --*budget;
    shoal_account_give(account, list, sizeof(*list));
    return true;
}

/* ---- looking ---- */

static const char *encoding(const shoal_compound *value)
{
    SHOAL_DEBUG_ASSERT(value->object != NULL || value->pack.data != NULL);
    (void)value;
    return "quicklist";
}

static void visit(const shoal_compound *value, shoal_value_visit function, void *context)
{
    SHOAL_ASSERT(function != NULL);
    if (shoal_list_count(value) == 0) return;
    shoal_list_cursor cursor;
    shoal_list_seek(&cursor, value, 0, false);
    shoal_element element;
    char scratch[32];
    while (shoal_list_next(&cursor, &element))
        function(context, shoal_element_text(&element, scratch));
}

/* ---- copying ---- */

shoal_list *shoal_list_copy(const shoal_list *list, shoal_account *account, uint64_t index,
                            uint64_t count)
{
    SHOAL_ASSERT(index <= list->count && count <= list->count - index);
    shoal_list *copy = shoal_list_make(account);
    if (copy == NULL) return NULL;
    shoal_list_edit edit = {.list = copy, .account = account};
    while (count > 0) {
        shoal_list_path path;
        const shoal_list__chunk *chunk = shoal_list__locate(list, index, &path);
        uint32_t here = chunk->count - path.within;
        if (here > count) here = (uint32_t)count;
        shoal_list__chunk *part = shoal_list__chunk_copy(account, chunk, path.within, here);
        if (part == NULL) break;
        shoal_list__locate_end(copy, SHOAL_LIST_TAIL, &path);
        if (shoal_list__add_chunk(&edit, &path, part, true) != 0) {
            shoal_list__chunk_free(account, part);
            break;
        }
        index += here;
        count -= here;
    }
    if (count == 0) return copy;
    shoal_object_free(&copy->object, account);
    return NULL;
}

static shoal_object *copy_all(const shoal_object *object, shoal_account *account)
{
    SHOAL_ASSERT(object->type == SHOAL_TYPE_LIST);
    const shoal_list *list = (const shoal_list *)object;
    shoal_list *copy = shoal_list_copy(list, account, 0, list->count);
    return copy != NULL ? &copy->object : NULL;
}

size_t shoal_list_write_pack(const shoal_list *list, char *pack, size_t size)
{
    SHOAL_ASSERT(list->count > 0 && list->count <= SHOAL_LIST_PACK_COUNT);
    shoal_compound value = {.object = (shoal_object *)(uintptr_t)&list->object};
    shoal_list_cursor cursor;
    shoal_list_seek(&cursor, &value, 0, false);
    shoal_element element;
    char *at = pack + SHOAL_PACK_HEAD;
    while (shoal_list_next(&cursor, &element)) {
        if (shoal_pack_size_of(&element) > size - (size_t)(at - pack)) return 0;
        at = shoal_pack_write(at, &element);
    }
    shoal_pack_write_head(pack, (uint32_t)list->count);
    return (size_t)(at - pack);
}

/* ---- moving ---- */

/* Moves the chunk at the path, if it lies in sparse memory. */
static void move_chunk(const shoal_list_path *path, shoal_account *account,
                       const shoal_value_mover *mover)
{
    shoal_list__chunk *chunk = shoal_list__chunk_of(path);
    SHOAL_DEBUG_ASSERT(chunk->count > 0);
    if (!mover->is_sparse(mover->context, chunk, chunk->size)) return;
    shoal_list__chunk *other = shoal_account_take(account, chunk->size);
    if (other == NULL) return;
    memcpy(other, chunk, chunk->size);
    shoal_list__moved(path, other);
    shoal_list__chunk_free(account, chunk);
}

/* Chunks only: nodes are one piece in fifty, and short. The cursor is the index of an element. */
static void move_some(shoal_object *object, shoal_account *account, uint64_t *cursor,
                      uint32_t *budget, const shoal_value_mover *mover)
{
    shoal_list *list = shoal_list_of(object);
    SHOAL_ASSERT(mover->is_sparse != NULL);
    if (*cursor >= list->count) *cursor = 0;
    if (list->count == 0) return;
    while (*budget > 0) {
        shoal_list_path path;
        const shoal_list__chunk *chunk = shoal_list__locate(list, *cursor, &path);
        *cursor += chunk->count - path.within;
        --*budget;
        move_chunk(&path, account, mover);
        if (*cursor < list->count) continue;
        *cursor = 0;
        return;
    }
}

/* ---- checking ---- */

/* The elements below a node, each chunk looked through. */
static uint64_t check_node(const shoal_list__node *node)
{
    SHOAL_ASSERT(node->used > 0 && node->used <= node->capacity);
    uint64_t count = 0;
    for (uint32_t i = 0; i < node->used; i++) {
        uint64_t here;
        if (node->level == 0) {
            const shoal_list__chunk *chunk = node->refs[i].child;
            shoal_list__chunk_check(chunk);
            here = chunk->count;
        } else {
            const shoal_list__node *child = node->refs[i].child;
            SHOAL_ASSERT(child->level + 1 == node->level);
            here = check_node(child);
        }
        SHOAL_ASSERT(here == node->refs[i].count && here > 0);
        count += here;
    }
    return count;
}

void shoal_list_check(const shoal_list *list)
{
    SHOAL_ASSERT(list->object.type == SHOAL_TYPE_LIST);
    SHOAL_ASSERT(list->count == (list->root != NULL ? check_node(list->root) : 0));
}

const shoal_value_ops shoal_list__ops = {
    .name = "list",
    .free_some = free_some,
    .encoding = encoding,
    .count = shoal_list_count,
    .copy = copy_all,
    .visit = visit,
    .move = move_some,
};
