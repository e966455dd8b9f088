/* SPDX-License-Identifier: MIT
 *
 * value/zset_tree.c - finding, adding and removing elements of a large sorted set. How the tree
 * grows and shrinks is in zset_shape.c. The claims are in zset_tree.h.
 */
#include "value/zset_tree.h"

#include "base/hash.h"
#include "base/text.h"

uint64_t shoal_zset__hash(const shoal_zset *set, shoal_slice member)
{
    SHOAL_DEBUG_ASSERT(set->object.type == SHOAL_TYPE_ZSET);
    return shoal_hash(member, set->index.seed);
}

shoal_zset *shoal_zset__make(shoal_account *account, uint64_t seed)
{
    SHOAL_ASSERT(account != NULL);
    shoal_zset *set = shoal_account_take(account, sizeof(*set));
    if (set == NULL) return NULL;
    *set = (shoal_zset){.object = {.type = SHOAL_TYPE_ZSET}, .index = {.seed = seed}};
    return set;
}

uint64_t shoal_zset__prefix(shoal_slice member)
{
    if (__builtin_expect(member.size >= 8, 1)) return shoal_bytes_get_be64(member.data);
    uint64_t prefix = 0;
    for (size_t i = 0; i < member.size; i++)
        prefix |= (uint64_t)(uint8_t)member.data[i] << (56 - 8 * i);
    SHOAL_DEBUG_ASSERT(member.size > 0 || prefix == 0);
    return prefix;
}

/* ---- descent ---- */

/* The first element below a node `height` levels above the leaves. */
static const shoal_zset_leaf *first_leaf(const void *node, uint32_t height)
{
    for (; height > 0; height--) node = ((const shoal_zset_inner *)node)->children[0].node;
    SHOAL_ASSERT(((const shoal_zset_leaf *)node)->count > 0); /* claim 2 */
    return node;
}

/* What is looked for: elements are before it by score and member, by score alone, or by member
 * alone. */
typedef struct target {
    double score;
    uint64_t prefix;
    shoal_slice member;
    bool by_score, by_member;
    bool or_equal; /* what equals it is before it, too */
    bool exact;    /* the way leads to the element that equals it, if there is one */
} target;

/* Is an element before the target? */
static bool is_before(const target *t, double score, const shoal_zset_leaf *leaf, uint32_t at)
{
    SHOAL_DEBUG_ASSERT(t->by_score || t->by_member);
    if (t->by_score && score != t->score) return score < t->score;
    if (!t->by_member) return t->or_equal;
    int compared = shoal_text_compare(shoal_zset__member(leaf, at), t->member);
    return compared < 0 || (compared == 0 && t->or_equal);
}

/* Is the first element of a child before the target, or the one that the way leads to? Where the
 * separator decides, the answer may be yes though it is not: then nothing between the child before
 * and the target exists (claim 1). */
static bool begins_before(const target *t, const shoal_zset_child *child, uint32_t height)
{
    if (t->by_score && child->score != t->score) return child->score < t->score;
    if (t->by_member && child->prefix != t->prefix) return child->prefix < t->prefix;
    const shoal_zset_leaf *leaf = first_leaf(child->node, height);
    SHOAL_DEBUG_ASSERT(leaf->count > 0);
    if (is_before(t, shoal_zset__scores(leaf)[0], leaf, 0)) return true;
    return t->exact && shoal_text_equal(shoal_zset__member(leaf, 0), t->member) &&
           shoal_zset__scores(leaf)[0] == t->score;
}

/* The last child that begins before the target, or the first of all. */
static uint32_t choose_child(const target *t, const shoal_zset_inner *node, uint32_t height)
{
    uint32_t low = 0, high = node->count - 1;
    SHOAL_DEBUG_ASSERT(node->count > 0);
    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;
        if (begins_before(t, &node->children[middle], height - 1)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

static uint32_t choose_in_leaf(const target *t, const shoal_zset_leaf *leaf)
{
    const double *scores = shoal_zset__scores(leaf);
    uint32_t low = 0, high = leaf->count;
    SHOAL_DEBUG_ASSERT(leaf->count <= leaf->room);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (is_before(t, scores[middle], leaf, middle)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint64_t descend(const shoal_zset *set, const target *t, shoal_zset_path *path)
{
    void *node = set->root;
    uint64_t before = 0;
    SHOAL_ASSERT(node != NULL && set->height <= SHOAL_ZSET__HEIGHT_MAX);
    path->height = set->height;
    for (uint32_t level = 0; level < set->height; level++) {
        shoal_zset_inner *inner = node;
        uint32_t at = choose_child(t, inner, set->height - level);
        node = inner->children[at].node;
        __builtin_prefetch(node);
        path->steps[level].node = inner;
        path->steps[level].at = at;
        for (uint32_t i = 0; i < at; i++) before += inner->children[i].count;
    }
    path->leaf = node;
    path->at = choose_in_leaf(t, path->leaf);
    return before + path->at;
}

uint64_t shoal_zset__descend(const shoal_zset *set, double score, shoal_slice member,
                             shoal_zset_path *path)
{
    SHOAL_DEBUG_ASSERT(score == score);
    target t = {.score = score,
                .prefix = shoal_zset__prefix(member),
                .member = member,
                .by_score = true,
                .by_member = true,
                .exact = true};
    return descend(set, &t, path);
}

uint64_t shoal_zset__below(const shoal_zset *set, const shoal_zset_bound *bound, bool or_equal)
{
    SHOAL_ASSERT(bound->kind == SHOAL_ZSET_BY_SCORE || bound->kind == SHOAL_ZSET_BY_MEMBER);
    if (set->count == 0) return 0;
    target t = {.score = bound->score, .or_equal = or_equal, .by_score = true};
    if (bound->kind == SHOAL_ZSET_BY_MEMBER) {
        t.by_score = false;
        t.by_member = true;
        t.member = bound->member;
        t.prefix = shoal_zset__prefix(bound->member);
    }
    shoal_zset_path path;
    return descend(set, &t, &path);
}

void shoal_zset__to_rank(const shoal_zset *set, uint64_t rank, shoal_zset_path *path)
{
    void *node = set->root;
    SHOAL_ASSERT(rank < set->count);
    path->height = set->height;
    for (uint32_t level = 0; level < set->height; level++) {
        shoal_zset_inner *inner = node;
        uint32_t at = 0;
        while (rank >= inner->children[at].count) rank -= inner->children[at++].count;
        path->steps[level].node = inner;
        path->steps[level].at = at;
        SHOAL_DEBUG_ASSERT(at < inner->count);
        node = inner->children[at].node;
    }
    path->leaf = node;
    path->at = (uint32_t)rank;
    SHOAL_ASSERT(path->at < path->leaf->count);
}

/* The way goes on to the next leaf, or the one before. */
static void step_leaf(shoal_zset_path *path, bool reverse)
{
    uint32_t level = path->height;
    do {
        SHOAL_ASSERT(level > 0);
        level--;
    } while (reverse ? path->steps[level].at == 0
                     : path->steps[level].at + 1 == path->steps[level].node->count);
    path->steps[level].at += reverse ? -1u : 1u;
    void *node = path->steps[level].node->children[path->steps[level].at].node;
    for (level++; level < path->height; level++) {
        shoal_zset_inner *inner = node;
        path->steps[level].node = inner;
        path->steps[level].at = reverse ? inner->count - 1 : 0;
        node = inner->children[path->steps[level].at].node;
    }
    path->leaf = node;
    path->at = reverse ? path->leaf->count - 1u : 0;
}

void shoal_zset__step(shoal_zset_path *path, bool reverse)
{
    SHOAL_DEBUG_ASSERT(path->at < path->leaf->count);
    if (reverse ? path->at == 0 : path->at + 1u == path->leaf->count) {
        step_leaf(path, reverse);
    } else {
        path->at += reverse ? -1u : 1u;
    }
}

/* ---- by member ---- */

static bool found_in(shoal_zset_leaf *leaf, shoal_slice member, shoal_zset_spot *spot)
{
    uint32_t at = shoal_zset__leaf_find(leaf, member, shoal_zset__tag(spot->hash));
    SHOAL_DEBUG_ASSERT(!spot->found);
    if (at == SHOAL_ZSET__NOWHERE) return false;
    spot->found = true;
    spot->leaf = leaf;
    spot->at = at;
    spot->score = shoal_zset__scores(leaf)[at];
    return true;
}

/* Without an index: leaf by leaf. */
static void find_by_tags(const shoal_zset *set, shoal_slice member, shoal_zset_spot *spot)
{
    if (set->count == 0) return;
    SHOAL_ASSERT(set->height <= 1 || set->count <= SHOAL_ZSET__INDEX_FROM);
    shoal_zset_path path;
    shoal_zset__to_rank(set, 0, &path);
    uint64_t left = set->count;
    for (;;) {
        if (found_in(path.leaf, member, spot)) return;
        left -= path.leaf->count;
        if (left == 0) return;
        step_leaf(&path, false);
    }
}

void shoal_zset__find(const shoal_zset *set, shoal_slice member, shoal_zset_spot *spot)
{
    SHOAL_DEBUG_ASSERT(set->object.type == SHOAL_TYPE_ZSET);
    *spot = (shoal_zset_spot){.hash = shoal_zset__hash(set, member)};
    if (set->index.directory == NULL) {
        find_by_tags(set, member, spot);
        return;
    }
    shoal_zset_probe probe = {.segment = NULL};
    uint32_t id;
    while ((id = shoal_zset__index_next(&set->index, spot->hash, &probe)) != 0) {
        if (found_in(shoal_zset__id_leaf(&set->index, id), member, spot)) return;
    }
}

/* ---- change ---- */

/* Adds `change` to the counts on the way. */
static void count_path(shoal_zset *set, const shoal_zset_path *path, uint64_t change)
{
    set->count += change;
    for (uint32_t level = 0; level < path->height; level++)
        path->steps[level].node->children[path->steps[level].at].count += change;
    SHOAL_DEBUG_ASSERT(set->count >= path->leaf->count);
}

/* Puts an element where it belongs; the index has room. False without memory. */
static bool place(shoal_zset *set, shoal_account *account, double score,
                  const shoal_zset_stored *stored, uint64_t hash)
{
    shoal_slice member = shoal_zset__stored_member(stored->bytes);
    shoal_zset_path path;
    if (set->root == NULL) {
        set->root = shoal_zset__leaf_build(account, NULL, 0, stored->size);
        if (set->root == NULL) return false;
    }
    for (;;) {
        shoal_zset__descend(set, score, member, &path);
        if (shoal_zset__leaf_fits(path.leaf, stored->size)) break;
        if (!shoal_zset__make_room(set, account, &path, stored->size)) return false;
    }
    shoal_zset__leaf_insert(path.leaf, path.at, score, stored);
    count_path(set, &path, 1);
    SHOAL_DEBUG_ASSERT((path.leaf->id != 0) == (set->index.directory != NULL));
    if (set->index.directory != NULL) shoal_zset__index_add(&set->index, hash, path.leaf->id);
    return true;
}

shoal_err shoal_zset__add(shoal_zset *set, shoal_account *account, const shoal_zset_entry *entry,
                          uint64_t hash)
{
    SHOAL_DEBUG_ASSERT(hash == shoal_zset__hash(set, entry->member));
    if (set->index.directory == NULL && set->count >= SHOAL_ZSET__INDEX_FROM &&
        !shoal_zset__index_all(set, account))
        return SHOAL_ERR_NO_MEMORY;
    if (set->index.directory != NULL && !shoal_zset__index_reserve(&set->index, account, hash))
        return SHOAL_ERR_NO_MEMORY;
    shoal_zset_stored stored;
    if (!shoal_zset__store(account, entry->member, hash, &stored)) return SHOAL_ERR_NO_MEMORY;
    if (place(set, account, entry->score, &stored, hash)) return 0;
    shoal_zset__unstore(account, &stored);
    /* A root leaf that was made for it may have stayed without an element. */
    if (set->count == 0 && set->root != NULL) {
        shoal_zset__leaf_give(account, set->root);
        set->root = NULL;
    }
    return SHOAL_ERR_NO_MEMORY;
}

/* Takes the element at the end of a path out of the leaf and the counts, not out of the index. */
static void detach(shoal_zset *set, shoal_account *account, shoal_zset_path *path)
{
    shoal_zset__leaf_remove(path->leaf, path->at, 1);
    count_path(set, path, -UINT64_C(1));
    shoal_zset__mend(set, account, path);
    SHOAL_DEBUG_ASSERT(set->count > 0 || set->root == NULL);
}

/* The way to an element whose leaf and place in it are known. */
static void path_to(const shoal_zset *set, const shoal_zset_spot *spot, shoal_zset_path *path)
{
    shoal_zset__descend(set, spot->score, shoal_zset__member(spot->leaf, spot->at), path);
    SHOAL_ASSERT(path->leaf == spot->leaf && path->at == spot->at);
}

shoal_err shoal_zset__update(shoal_zset *set, shoal_account *account, const shoal_zset_spot *spot,
                             double score)
{
    shoal_zset_leaf *leaf = spot->leaf;
    SHOAL_ASSERT(spot->found && spot->at < leaf->count);
    /* Where the neighbours in the leaf enclose the new score, nothing else changes. */
    const double *scores = shoal_zset__scores(leaf);
    bool inside = scores[0] < score && score < scores[leaf->count - 1];
    if (inside || set->height == 0) {
        shoal_slice member = shoal_zset__member(leaf, spot->at);
        uint32_t to = shoal_zset__leaf_below(leaf, score, member);
        /* The element itself is among those below when it moves up. */
        if (to > spot->at) to--;
        shoal_zset__leaf_shift(leaf, spot->at, to, score);
        return 0;
    }
    /* First the new one: if there is no memory for it, nothing has changed. */
    shoal_zset_stored stored;
    shoal_zset__stored(leaf, spot->at, &stored);
    if (set->index.directory != NULL &&
        !shoal_zset__index_reserve(&set->index, account, spot->hash))
        return SHOAL_ERR_NO_MEMORY;
    if (!place(set, account, score, &stored, spot->hash)) return SHOAL_ERR_NO_MEMORY;

    shoal_zset_path path;
    shoal_zset__descend(set, spot->score, shoal_zset__stored_member(stored.bytes), &path);
    SHOAL_ASSERT(shoal_zset__scores(path.leaf)[path.at] == spot->score);
    if (set->index.directory != NULL)
        shoal_zset__index_remove(&set->index, account, spot->hash, path.leaf->id);
    detach(set, account, &path);
    return 0;
}

void shoal_zset__remove(shoal_zset *set, shoal_account *account, const shoal_zset_spot *spot)
{
    SHOAL_ASSERT(spot->found);
    shoal_zset_path path;
    path_to(set, spot, &path);
    if (set->index.directory != NULL)
        shoal_zset__index_remove(&set->index, account, spot->hash, path.leaf->id);
    shoal_zset__member_give(account, path.leaf, path.at);
    detach(set, account, &path);
}

/* Removes `count` elements from where a path ends. */
static void remove_run(shoal_zset *set, shoal_account *account, shoal_zset_path *path,
                       uint32_t count)
{
    shoal_zset_leaf *leaf = path->leaf;
    SHOAL_ASSERT(path->at + count <= leaf->count);
    for (uint32_t i = path->at; i < path->at + count; i++) {
        if (set->index.directory != NULL) {
            uint64_t hash = shoal_zset__hash(set, shoal_zset__member(leaf, i));
            shoal_zset__index_remove(&set->index, account, hash, leaf->id);
        }
        shoal_zset__member_give(account, leaf, i);
    }
    shoal_zset__leaf_remove(leaf, path->at, count);
    count_path(set, path, -(uint64_t)count);
    shoal_zset__mend(set, account, path);
}

void shoal_zset__remove_ranks(shoal_zset *set, shoal_account *account, shoal_zset_ranks ranks)
{
    SHOAL_ASSERT(ranks.from <= ranks.to && ranks.to <= set->count);
    shoal_zset_path path;
    for (uint64_t left = ranks.to - ranks.from; left > 0;) {
        shoal_zset__to_rank(set, ranks.from, &path);
        uint32_t run = path.leaf->count - path.at;
        if (run > left) run = (uint32_t)left;
        remove_run(set, account, &path, run);
        left -= run;
    }
}
