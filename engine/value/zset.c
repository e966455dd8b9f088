/* SPDX-License-Identifier: MIT
 *
 * value/zset.c - reading sorted sets whatever their form, and the table by which they join the
 * types of values.
 */
#include "value/zset.h"

#include "base/hash.h"
#include "value/zset_pack.h"
#include "value/zset_tree.h"

/* Bit of a cursor of `move`: the tree has been moved, the rest counts through the index. */
#define MOVE_INDEX (UINT64_C(1) << 63)
/* Seed of the hashes of members in digests: the same in every set. */
#define DIGEST_SEED 0

static const shoal_zset *set_of(const shoal_compound *set)
{
    SHOAL_ASSERT(set->object == NULL || set->pack.data == NULL);
    SHOAL_ASSERT(set->object == NULL || set->object->type == SHOAL_TYPE_ZSET);
    return (const shoal_zset *)set->object;
}

uint64_t shoal_zset_count(const shoal_compound *set)
{
    SHOAL_DEBUG_ASSERT(set != NULL);
    if (set->object != NULL) return set_of(set)->count;
    return set->pack.data == NULL ? 0 : shoal_pack_count(set->pack) / 2;
}

bool shoal_zset_is_listpack(const shoal_compound *set)
{
    SHOAL_DEBUG_ASSERT(set != NULL);
    return set->object == NULL || set->object->encoding == SHOAL_ZSET__LISTPACK;
}

bool shoal_zset_score(const shoal_compound *set, shoal_slice member, double *score)
{
    SHOAL_DEBUG_ASSERT(score != NULL);
    if (set->object != NULL) {
        shoal_zset_spot spot;
        shoal_zset__find(set_of(set), member, &spot);
        *score = spot.score;
        return spot.found;
    }
    shoal_zset_pair pair;
    if (set->pack.data == NULL || !shoal_zset__pack_find(set->pack, member, &pair, NULL))
        return false;
    *score = shoal_element_double(&pair.score);
    return true;
}

bool shoal_zset_rank(const shoal_compound *set, shoal_slice member, uint64_t *rank)
{
    SHOAL_DEBUG_ASSERT(rank != NULL);
    if (set->object != NULL) {
        shoal_zset_spot spot;
        shoal_zset_path path;
        shoal_zset__find(set_of(set), member, &spot);
        if (spot.found) *rank = shoal_zset__descend(set_of(set), spot.score, member, &path);
        return spot.found;
    }
    shoal_zset_pair pair;
    return set->pack.data != NULL && shoal_zset__pack_find(set->pack, member, &pair, rank);
}

uint64_t shoal_zset_below(const shoal_compound *set, const shoal_zset_bound *bound, bool or_equal)
{
    SHOAL_DEBUG_ASSERT(bound->kind != SHOAL_ZSET_BY_SCORE || bound->score == bound->score);
    if (bound->kind == SHOAL_ZSET_LOWEST) return 0;
    if (bound->kind == SHOAL_ZSET_HIGHEST) return shoal_zset_count(set);
    if (set->object != NULL) return shoal_zset__below(set_of(set), bound, or_equal);
    return set->pack.data == NULL ? 0 : shoal_zset__pack_below(set->pack, bound, or_equal);
}

uint64_t shoal_zset_before(const shoal_compound *set, const shoal_zset_entry *entry)
{
    SHOAL_ASSERT(set->object != NULL);
    SHOAL_DEBUG_ASSERT(entry->score == entry->score);
    shoal_zset_path path;
    return shoal_zset__descend(set_of(set), entry->score, entry->member, &path);
}

shoal_zset_ranks shoal_zset_between(const shoal_compound *set, const shoal_zset_bound *low,
                                    const shoal_zset_bound *high)
{
    shoal_zset_ranks ranks = {shoal_zset_below(set, low, low->exclusive),
                              shoal_zset_below(set, high, !high->exclusive)};
    SHOAL_ASSERT(ranks.to <= shoal_zset_count(set));
    if (ranks.from > ranks.to) ranks.from = ranks.to;
    return ranks;
}

/* ---- walking ---- */

/* Where the pairs of a pack begin, `count` of them from the pair at `at` on. */
static void note_offsets(shoal_zset_cursor *cursor, shoal_slice pack, const char *at,
                         uint64_t count)
{
    SHOAL_ASSERT(count <= SHOAL_ZSET__PACK_MAX);
    for (uint64_t i = 0; i < count; i++) {
        cursor->offsets[i] = (uint16_t)(at - pack.data);
        at = shoal_pack_skip(shoal_pack_skip(at, cursor->end), cursor->end);
    }
}

void shoal_zset_seek(shoal_zset_cursor *cursor, const shoal_compound *set, shoal_zset_ranks ranks,
                     bool reverse)
{
    uint64_t count = shoal_zset_count(set);
    if (ranks.to > count) ranks.to = count;
    cursor->left = ranks.from < ranks.to ? ranks.to - ranks.from : 0;
    cursor->reverse = reverse;
    cursor->is_pack = set->object == NULL;
    if (cursor->left == 0) return;
    if (set->object != NULL) {
        shoal_zset__to_rank(set_of(set), reverse ? ranks.to - 1 : ranks.from, &cursor->path);
        return;
    }
    cursor->at = shoal_zset__pack_rank(set->pack, ranks.from);
    cursor->end = shoal_pack_end(set->pack);
    if (!reverse) return;
    note_offsets(cursor, set->pack, cursor->at, cursor->left);
    cursor->at = set->pack.data;
    SHOAL_ASSERT(cursor->left <= SHOAL_ZSET__PACK_MAX);
}

static void next_of_pack(shoal_zset_cursor *cursor, shoal_zset_entry *entry)
{
    shoal_zset_pair pair;
    SHOAL_DEBUG_ASSERT(cursor->left > 0);
    if (cursor->reverse) {
        shoal_zset__pair(cursor->at + cursor->offsets[cursor->left - 1], cursor->end, &pair);
    } else {
        shoal_zset__pair(cursor->at, cursor->end, &pair);
        cursor->at = pair.next;
    }
    entry->member = shoal_element_text(&pair.member, cursor->scratch);
    entry->score = shoal_element_double(&pair.score);
}

bool shoal_zset_next(shoal_zset_cursor *cursor, shoal_zset_entry *entry)
{
    if (cursor->left == 0) return false;
    if (cursor->is_pack) {
        next_of_pack(cursor, entry);
        cursor->left--;
        return true;
    }
    const shoal_zset_path *path = &cursor->path;
    SHOAL_DEBUG_ASSERT(path->at < path->leaf->count);
    entry->member = shoal_zset__member(path->leaf, path->at);
    entry->score = shoal_zset__scores(path->leaf)[path->at];
    /* The member stays: a step moves the path, not the leaf. */
    if (--cursor->left > 0) shoal_zset__step(&cursor->path, cursor->reverse);
    return true;
}

/* What a scan of an object passes on. */
typedef struct scan {
    const shoal_zset *set;
    shoal_zset_visit visit;
    void *context;
    uint32_t visited;
} scan;

/* The members of a leaf with this upper half of a hash: nearly always one. */
static void scan_leaf(void *context, uint32_t high, shoal_zset_leaf *leaf)
{
    scan *s = context;
    SHOAL_DEBUG_ASSERT(leaf->count > 0);
    for (uint32_t i = 0; i < leaf->count; i++) {
        if (shoal_zset__tags(leaf)[i] != (uint8_t)high) continue;
        shoal_zset_entry entry = {shoal_zset__member(leaf, i), shoal_zset__scores(leaf)[i]};
        if (shoal_zset__hash(s->set, entry.member) >> 32 != high) continue;
        s->visit(s->context, &entry);
        s->visited++;
    }
}

void shoal_zset_scan(const shoal_compound *set, uint64_t *cursor, uint32_t count,
                     shoal_zset_visit visit, void *context)
{
    SHOAL_ASSERT(count > 0);
    const shoal_zset *object = set_of(set);
    if (object != NULL && object->index.directory != NULL) {
        scan s = {object, visit, context, 0};
        uint64_t from = *cursor & UINT32_MAX;
        do {
            from = shoal_zset__index_walk(&object->index, from, count - s.visited, scan_leaf, &s);
        } while (from >> 32 == 0 && s.visited < count);
        *cursor = from & UINT32_MAX;
        return;
    }
    shoal_zset_cursor walk;
    shoal_zset_entry entry;
    shoal_zset_seek(&walk, set, (shoal_zset_ranks){0, UINT64_MAX}, false);
    while (shoal_zset_next(&walk, &entry)) visit(context, &entry);
    *cursor = 0;
}

/* ---- as a type ---- */

static bool free_some(shoal_object *object, shoal_account *account, uint32_t *budget)
{
    shoal_zset *set = (shoal_zset *)object;
    SHOAL_ASSERT(object->type == SHOAL_TYPE_ZSET);
    if (!shoal_zset__free_tree(set, account, budget)) return false;
    if (!shoal_zset__index_free_some(&set->index, account, budget)) return false;
    if (*budget == 0) return false;
    --*budget;
    shoal_account_give(account, set, sizeof(*set));
    return true;
}

static const char *encoding(const shoal_compound *value)
{
    SHOAL_ASSERT(value->object != NULL || value->pack.data != NULL);
    return shoal_zset_is_listpack(value) ? "listpack" : "skiplist";
}

static shoal_object *copy(const shoal_object *object, shoal_account *account)
{
    const shoal_zset *from = (const shoal_zset *)object;
    SHOAL_ASSERT(object->type == SHOAL_TYPE_ZSET);
    shoal_zset *to = shoal_zset__make(account, from->index.seed);
    if (to == NULL) return NULL;
    to->object.encoding = object->encoding;
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_compound whole = {.object = (shoal_object *)(uintptr_t)object};
    shoal_zset_seek(&cursor, &whole, (shoal_zset_ranks){0, from->count}, false);
    while (shoal_zset_next(&cursor, &entry)) {
        if (shoal_zset__add(to, account, &entry, shoal_zset__hash(to, entry.member)) == 0) continue;
        shoal_object_free(&to->object, account);
        return NULL;
    }
    return &to->object;
}

/* Each element is one visit of 16 bytes: the hash of its member, and its score. */
static void visit_all(const shoal_compound *value, shoal_value_visit visit, void *context)
{
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_zset_seek(&cursor, value, (shoal_zset_ranks){0, UINT64_MAX}, false);
    while (shoal_zset_next(&cursor, &entry)) {
        char part[16];
        _Static_assert(sizeof(entry.score) == 8, "doubles are binary64");
        uint64_t bits;
        memcpy(&bits, &entry.score, sizeof(bits));
        shoal_bytes_put_le64(part, shoal_hash(entry.member, DIGEST_SEED));
        shoal_bytes_put_le64(part + 8, bits);
        visit(context, (shoal_slice){part, sizeof(part)});
    }
    SHOAL_ASSERT(cursor.left == 0);
}

static void move(shoal_object *object, shoal_account *account, uint64_t *cursor, uint32_t *budget,
                 const shoal_value_mover *mover)
{
    shoal_zset *set = (shoal_zset *)object;
    SHOAL_ASSERT(object->type == SHOAL_TYPE_ZSET);
    while (*budget > 0 && *cursor < MOVE_INDEX) {
        if (*cursor >= set->count) {
            *cursor = MOVE_INDEX;
            break;
        }
        *cursor = shoal_zset__move_leaf(set, account, *cursor, mover);
        --*budget;
    }
    if (*budget == 0) return;
    uint64_t at = *cursor & ~MOVE_INDEX;
    shoal_zset__index_move(&set->index, account, &at, budget, mover);
    *cursor = at == 0 ? 0 : at | MOVE_INDEX;
}

const shoal_value_ops shoal_zset_ops = {
    .name = "zset",
    .free_some = free_some,
    .encoding = encoding,
    .count = shoal_zset_count,
    .copy = copy,
    .visit = visit_all,
    .move = move,
};
