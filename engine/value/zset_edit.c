/* SPDX-License-Identifier: MIT
 *
 * value/zset_edit.c - changing sorted sets: a pack as bytes in the edit, which becomes an object
 * when it grows too long or clients want to hear "skiplist"; an object in place.
 */
#include "value/zset.h"
#include "value/zset_pack.h"
#include "value/zset_tree.h"

/* An empty pack, in bytes. */
static void clear_pack(shoal_zset_edit *edit)
{
    SHOAL_DEBUG_ASSERT(edit->object == NULL);
    edit->size = SHOAL_PACK_HEAD;
    edit->count = 0;
    shoal_pack_write_head(edit->pack, 0);
}

void shoal_zset_edit_begin(shoal_zset_edit *edit, const shoal_compound *set)
{
    SHOAL_ASSERT(edit->account != NULL);
    edit->object = (shoal_zset *)set->object;
    edit->made = false;
    edit->scratch = edit->minus_zero = false;
    if (edit->object != NULL) {
        SHOAL_ASSERT(edit->object->object.type == SHOAL_TYPE_ZSET);
        return;
    }
    clear_pack(edit);
    if (set->pack.data == NULL) return;
    SHOAL_ASSERT(set->pack.size <= sizeof(edit->pack));
    memcpy(edit->pack, set->pack.data, set->pack.size);
    edit->size = (uint32_t)set->pack.size;
    edit->count = shoal_pack_count(set->pack) / 2;
}

void shoal_zset_edit_drop(shoal_zset_edit *edit)
{
    SHOAL_DEBUG_ASSERT(!edit->made || edit->object != NULL);
    if (edit->made) shoal_object_free(&edit->object->object, edit->account);
    edit->made = false;
    edit->object = NULL;
    clear_pack(edit);
}

static shoal_slice pack_of(const shoal_zset_edit *edit)
{
    SHOAL_DEBUG_ASSERT(edit->object == NULL);
    return (shoal_slice){edit->pack, edit->size};
}

shoal_compound shoal_zset_edit_view(const shoal_zset_edit *edit)
{
    SHOAL_DEBUG_ASSERT(edit->object != NULL || edit->size >= SHOAL_PACK_HEAD);
    if (edit->object != NULL) return (shoal_compound){.object = &edit->object->object};
    return (shoal_compound){.pack = pack_of(edit)};
}

void shoal_zset_edit_find(const shoal_zset_edit *edit, shoal_slice member, shoal_zset_spot *spot)
{
    if (edit->object != NULL) {
        shoal_zset__find(edit->object, member, spot);
        return;
    }
    shoal_zset_pair pair;
    *spot = (shoal_zset_spot){.found = false};
    if (!shoal_zset__pack_find(pack_of(edit), member, &pair, NULL)) return;
    spot->found = true;
    spot->at = (uint32_t)(pair.at - edit->pack);
    spot->score = shoal_element_double(&pair.score);
    SHOAL_ASSERT(spot->score == spot->score);
}

/* ---- packs ---- */

/* Replaces `gone` bytes at `at` by a gap of `room` bytes. It fits. */
static void open_gap(shoal_zset_edit *edit, uint32_t at, uint32_t gone, uint32_t room)
{
    SHOAL_ASSERT(at + gone <= edit->size);
    SHOAL_ASSERT(edit->size - gone + room <= sizeof(edit->pack));
    memmove(edit->pack + at + room, edit->pack + at + gone, edit->size - at - gone);
    edit->size = edit->size - gone + room;
}

static void count_pairs(shoal_zset_edit *edit, uint32_t count)
{
    SHOAL_ASSERT(count <= SHOAL_ZSET__PACK_MAX);
    edit->count = count;
    shoal_pack_write_head(edit->pack, 2 * count);
}

/* Bytes of the pair at an offset. */
static uint32_t pair_size(const shoal_zset_edit *edit, uint32_t at)
{
    const char *end = edit->pack + edit->size, *pair = edit->pack + at;
    SHOAL_DEBUG_ASSERT(pair < end);
    return (uint32_t)(shoal_pack_skip(shoal_pack_skip(pair, end), end) - pair);
}

/* Puts a pair into a pack, which has lost the pair of the same member if it had one. False when the
 * pack would be too long. */
static bool put_in_pack(shoal_zset_edit *edit, shoal_slice member, const shoal_zset_spot *spot,
                        double score)
{
    shoal_element elements[2] = {shoal_element_of(member), shoal_element_of_double(score)};
    size_t size = shoal_pack_size_of(&elements[0]) + shoal_pack_size_of(&elements[1]);
    uint32_t gone = spot->found ? pair_size(edit, spot->at) : 0;
    if (edit->size - gone + size > sizeof(edit->pack)) return false;
    if (spot->found) open_gap(edit, spot->at, gone, 0);
    const char *place = shoal_zset__pack_place(pack_of(edit), score, member);
    uint32_t at = (uint32_t)(place - edit->pack);
    open_gap(edit, at, 0, (uint32_t)size);
    char *end = shoal_pack_write(shoal_pack_write(edit->pack + at, &elements[0]), &elements[1]);
    SHOAL_ASSERT(end == edit->pack + at + size);
    if (!spot->found) count_pairs(edit, edit->count + 1);
    return true;
}

/* Makes an object of the pack. */
static shoal_err make_object(shoal_zset_edit *edit)
{
    SHOAL_ASSERT(edit->object == NULL && !edit->made);
    shoal_zset *set = shoal_zset__make(edit->account, shoal_prng_next(edit->prng));
    if (set == NULL) return SHOAL_ERR_NO_MEMORY;
    set->object.encoding = SHOAL_ZSET__LISTPACK;
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_compound view = shoal_zset_edit_view(edit);
    shoal_zset_seek(&cursor, &view, (shoal_zset_ranks){0, edit->count}, false);
    while (shoal_zset_next(&cursor, &entry)) {
        uint64_t hash = shoal_zset__hash(set, entry.member);
        if (shoal_zset__add(set, edit->account, &entry, hash) == 0) continue;
        shoal_object_free(&set->object, edit->account);
        return SHOAL_ERR_NO_MEMORY;
    }
    edit->object = set;
    edit->made = true;
    return 0;
}

/* ---- both ---- */

/* May a set with one more element, `member`, be called a listpack? */
static bool within_limits(const shoal_zset_edit *edit, shoal_slice member)
{
    uint64_t count = edit->object != NULL ? edit->object->count : edit->count;
    SHOAL_DEBUG_ASSERT(count < UINT64_MAX);
    return count < edit->limits.entries && member.size <= edit->limits.member_size;
}

/* Tells who watches the object that an element is about to change. */
static void tell(const shoal_zset_edit *edit, shoal_slice member)
{
    shoal_watch *watch = edit->object->object.watch;
    SHOAL_DEBUG_ASSERT(watch == NULL || watch->before != NULL);
    if (__builtin_expect(watch == NULL, 1)) return;
    const shoal_element name = shoal_element_of(member);
    watch->before(watch, &name);
}

static shoal_err put_in_object(shoal_zset_edit *edit, shoal_slice member,
                               const shoal_zset_spot *spot, double score)
{
    SHOAL_ASSERT(edit->object != NULL);
    tell(edit, member);
    if (spot->found) return shoal_zset__update(edit->object, edit->account, spot, score);
    shoal_zset_entry entry = {member, score};
    bool skiplist = !within_limits(edit, member);
    shoal_err err = shoal_zset__add(edit->object, edit->account, &entry, spot->hash);
    if (err == 0 && skiplist) edit->object->object.encoding = SHOAL_ZSET__SKIPLIST;
    return err;
}

/* Clients that see a listpack see no -0, as in Redis; adding 0 makes it one. */
static bool is_listpack(const shoal_zset_edit *edit)
{
    SHOAL_DEBUG_ASSERT(edit->account != NULL);
    return edit->object == NULL || edit->object->object.encoding == SHOAL_ZSET__LISTPACK;
}

static bool is_minus_zero(double score)
{
    SHOAL_DEBUG_ASSERT(score == score);
    return score == 0 && __builtin_signbit(score);
}

static void settle_pack(shoal_zset_edit *edit)
{
    uint32_t at = SHOAL_PACK_HEAD;
    const shoal_element zero = shoal_element_of_integer(0);
    while (at < edit->size) {
        const char *end = edit->pack + edit->size;
        shoal_zset_pair pair;
        shoal_zset__pair(edit->pack + at, end, &pair);
        uint32_t score = (uint32_t)(shoal_pack_skip(pair.at, end) - edit->pack);
        uint32_t size = (uint32_t)(pair.next - edit->pack) - score;
        if (is_minus_zero(shoal_element_double(&pair.score))) {
            open_gap(edit, score, size, (uint32_t)shoal_pack_size_of(&zero));
            shoal_pack_write(edit->pack + score, &zero);
            size = (uint32_t)shoal_pack_size_of(&zero);
        }
        at = score + size;
    }
    SHOAL_ASSERT(at == edit->size);
}

void shoal_zset_edit_settle(shoal_zset_edit *edit)
{
    if (!edit->minus_zero || !is_listpack(edit)) return;
    edit->minus_zero = edit->scratch = false;
    if (edit->object == NULL) {
        settle_pack(edit);
        return;
    }
    SHOAL_ASSERT(edit->object->count > 0);
    shoal_zset_path path;
    shoal_zset__to_rank(edit->object, 0, &path);
    for (uint64_t left = edit->object->count; left > 0; left--) {
        shoal_zset__scores(path.leaf)[path.at] += 0.0;
        if (left > 1) shoal_zset__step(&path, false);
    }
}

shoal_err shoal_zset_edit_put(shoal_zset_edit *edit, shoal_slice member,
                              const shoal_zset_spot *spot, double score)
{
    SHOAL_ASSERT(score == score);
    bool compact = is_listpack(edit) && (spot->found || within_limits(edit, member));
    if (compact && !edit->scratch) score += 0.0;
    edit->minus_zero |= is_minus_zero(score);
    if (edit->object == NULL) {
        if (compact && put_in_pack(edit, member, spot, score)) return 0;
        /* `member` may be borrowed from anything but the pack itself, which is not used again. */
        shoal_err err = make_object(edit);
        if (err != 0) return err;
        shoal_zset_spot found;
        shoal_zset__find(edit->object, member, &found);
        SHOAL_ASSERT(found.found == spot->found);
        return put_in_object(edit, member, &found, score);
    }
    return put_in_object(edit, member, spot, score);
}

shoal_err shoal_zset_edit_set(shoal_zset_edit *edit, shoal_slice member, double score)
{
    shoal_zset_spot spot;
    SHOAL_DEBUG_ASSERT(score == score);
    shoal_zset_edit_find(edit, member, &spot);
    return shoal_zset_edit_put(edit, member, &spot, score);
}

void shoal_zset_edit_take(shoal_zset_edit *edit, const shoal_zset_spot *spot)
{
    SHOAL_ASSERT(spot->found);
    if (edit->object != NULL) {
        tell(edit, shoal_zset__member(spot->leaf, spot->at));
        shoal_zset__remove(edit->object, edit->account, spot);
        return;
    }
    open_gap(edit, spot->at, pair_size(edit, spot->at), 0);
    count_pairs(edit, edit->count - 1);
}

static void tell_ranks(const shoal_zset_edit *edit, shoal_zset_ranks ranks)
{
    const shoal_compound set = shoal_zset_edit_view(edit);
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    SHOAL_ASSERT(set.object != NULL);
    shoal_zset_seek(&cursor, &set, ranks, false);
    while (shoal_zset_next(&cursor, &entry)) tell(edit, entry.member);
}

void shoal_zset_edit_take_ranks(shoal_zset_edit *edit, shoal_zset_ranks ranks)
{
    SHOAL_ASSERT(ranks.from <= ranks.to);
    if (edit->object != NULL) {
        if (edit->object->object.watch != NULL) tell_ranks(edit, ranks);
        shoal_zset__remove_ranks(edit->object, edit->account, ranks);
        return;
    }
    SHOAL_ASSERT(ranks.to <= edit->count);
    const char *from = shoal_zset__pack_rank(pack_of(edit), ranks.from);
    const char *to = shoal_zset__pack_rank(pack_of(edit), ranks.to);
    open_gap(edit, (uint32_t)(from - edit->pack), (uint32_t)(to - from), 0);
    count_pairs(edit, edit->count - (uint32_t)(ranks.to - ranks.from));
}
