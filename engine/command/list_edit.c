/* SPDX-License-Identifier: MIT
 *
 * command/list_edit.c - commands that look for an element or change the middle of a list: LSET,
 * LINSERT, LREM, LTRIM, LPOS.
 */
#include <string.h>

#include "base/assert.h"
#include "command/list.h"

/* A trim that keeps one in so many elements of a long list copies those, and leaves the rest to be
 * freed in the background. */
#define TRIM_COPY_SHARE 8u
#define TRIM_COPY_MIN 4096u

/* ---- LSET, LINSERT ---- */

void shoal_command__lset(shoal_call *call)
{
    shoal_lists__target target;
    SHOAL_ASSERT(call->argc == 4);
    if (!shoal_lists__find(call, 0, &target)) return;
    if (target.count == 0) {
        shoal_reply_error(&call->reply, "ERR no such key");
        return;
    }
    int64_t index;
    if (!shoal_call__integer(call, 2, &index)) return;
    if (index < 0) index += (int64_t)target.count;
    if (index < 0 || (uint64_t)index >= target.count) {
        shoal_reply_error(&call->reply, "ERR index out of range");
        return;
    }
    shoal_element element = shoal_element_of(call->argv[3]);
    if (shoal_lists__replace(call, &target, (uint64_t)index, 1, &element))
        shoal_reply_ok(&call->reply);
}

void shoal_command__linsert(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 5);
    bool after = shoal_call__word(call, 2, "after");
    if (!after && !shoal_call__word(call, 2, "before")) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    shoal_lists__target target;
    if (!shoal_lists__find(call, 0, &target)) return;
    if (target.count == 0) {
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    shoal_list_cursor cursor;
    shoal_list_seek(&cursor, &target.value, 0, false);
    shoal_element pivot = shoal_element_of(call->argv[3]);
    uint64_t index;
    if (!shoal_list_find(&cursor, &pivot, UINT64_MAX, &index)) {
        shoal_reply_integer(&call->reply, -1);
        return;
    }
    shoal_element element = shoal_element_of(call->argv[4]);
    if (shoal_lists__replace(call, &target, index + (after ? 1 : 0), 0, &element))
        shoal_reply_integer(&call->reply, (int64_t)target.count + 1);
}

/* ---- LREM ---- */

/* Which equal elements go. */
typedef struct removal {
    shoal_element probe;
    uint64_t limit;
    bool backward;
} removal;

/* How many elements of a pack equal the probe. */
static uint32_t count_equal(shoal_slice pack, const shoal_element *probe)
{
    uint32_t count = 0;
    const char *end = shoal_pack_end(pack);
    const char *at = shoal_pack_find(pack, shoal_pack_first(pack), probe, 0);
    for (; at != NULL; count++) at = shoal_pack_find(pack, shoal_pack_skip(at, end), probe, 0);
    SHOAL_DEBUG_ASSERT(count <= shoal_pack_count(pack));
    return count;
}

/* Removes from a pack. Returns how many, or -1 after writing an error. */
static int64_t remove_packed(shoal_call *call, const shoal_lists__target *target,
                             const removal *what)
{
    shoal_slice pack = target->value.pack;
    uint32_t equal = count_equal(pack, &what->probe);
    uint32_t removed = equal < what->limit ? equal : (uint32_t)what->limit;
    uint32_t pass = what->backward ? equal - removed : 0u;
    if (removed == 0) return 0;
    if (removed == target->count) {
        shoal_store_remove_locked(call->thread, target->key);
        return removed;
    }
    char bytes[SHOAL_PACK_INLINE_MAX];
    SHOAL_ASSERT(pack.size <= sizeof(bytes));
    char *out = bytes + SHOAL_PACK_HEAD;
    const char *kept = shoal_pack_first(pack), *from = kept, *end = shoal_pack_end(pack);
    for (uint32_t left = removed; left > 0;) {
        const char *at = shoal_pack_find(pack, from, &what->probe, 0);
        SHOAL_ASSERT(at != NULL);
        from = shoal_pack_skip(at, end);
        if (pass > 0) {
            pass--;
            continue;
        }
        memcpy(out, kept, (size_t)(at - kept));
        out += at - kept;
        kept = from;
        left--;
    }
    shoal_pack_write_head(bytes, (uint32_t)target->count - removed);
    shoal_slice parts[2] = {{bytes, (size_t)(out - bytes)}, {kept, (size_t)(end - kept)}};
    shoal_err err = shoal_store_put_pack_locked(call->thread, target->key, SHOAL_TYPE_LIST,
                                                (shoal_gather){parts, kept < end ? 2u : 1u},
                                                target->expires_ms);
    return shoal_call__stored(call, err) ? (int64_t)removed : -1;
}

void shoal_command__lrem(shoal_call *call)
{
    int64_t count;
    SHOAL_ASSERT(call->argc == 4);
    if (!shoal_call__integer(call, 2, &count)) return;
    shoal_lists__target target;
    if (!shoal_lists__find(call, 0, &target)) return;
    removal what = {.probe = shoal_element_of(call->argv[3]), .backward = count < 0};
    what.limit = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    if (count == 0) what.limit = UINT64_MAX;
    int64_t removed = 0;
    if (target.value.object != NULL) {
        shoal_list_edit edit = shoal_lists__edit(call, &target);
        removed = (int64_t)shoal_list_remove_equal(&edit, &what.probe, what.limit, what.backward);
        if (removed > 0) shoal_lists__shrunk(call, &target);
    } else if (target.count > 0) {
        removed = remove_packed(call, &target, &what);
    }
    if (removed >= 0) shoal_reply_integer(&call->reply, removed);
}

/* ---- LTRIM ---- */

/* Keeps few elements of a long object: puts a copy of those in its place. False where that is not
 * worth it, or without memory; then nothing has changed. */
static bool trim_by_copy(shoal_call *call, const shoal_lists__target *target, uint64_t start,
                         uint64_t kept)
{
    SHOAL_ASSERT(kept > 0);
    if (target->count < TRIM_COPY_MIN || kept > target->count / TRIM_COPY_SHARE) return false;
    shoal_account *account = shoal_thread_account(call->thread);
    shoal_list *copy = shoal_list_copy(shoal_list_of(target->value.object), account, start, kept);
    if (copy == NULL) return false;
    shoal_object *object = shoal_list_object(copy);
    shoal_err err =
        shoal_store_put_object_locked(call->thread, target->key, object, target->expires_ms);
    if (err == 0) {
        shoal_lists__target after = *target;
        after.value.object = object;
        shoal_lists__shrunk(call, &after);
        return true;
    }
    shoal_object_free(object, account);
    return false;
}

/* Keeps `kept` > 0 elements from `start` on, fewer than there are. False after writing an error. */
static bool trim(shoal_call *call, const shoal_lists__target *target, uint64_t start, uint64_t kept)
{
    SHOAL_ASSERT(kept < target->count);
    if (target->value.object == NULL) {
        shoal_slice pack = target->value.pack;
        const char *from = shoal_pack_at(pack, (uint32_t)start);
        const char *to = shoal_pack_at(pack, (uint32_t)(start + kept));
        char head[SHOAL_PACK_HEAD];
        shoal_pack_write_head(head, (uint32_t)kept);
        shoal_slice parts[2] = {{head, sizeof(head)}, {from, (size_t)(to - from)}};
        shoal_err err = shoal_store_put_pack_locked(call->thread, target->key, SHOAL_TYPE_LIST,
                                                    (shoal_gather){parts, 2}, target->expires_ms);
        return shoal_call__stored(call, err);
    }
    if (trim_by_copy(call, target, start, kept)) return true;
    shoal_list_edit edit = shoal_lists__edit(call, target);
    shoal_list_drop(&edit, SHOAL_LIST_TAIL, target->count - start - kept);
    shoal_list_drop(&edit, SHOAL_LIST_HEAD, start);
    shoal_lists__shrunk(call, target);
    return true;
}

void shoal_command__ltrim(shoal_call *call)
{
    int64_t start, end;
    SHOAL_ASSERT(call->argc == 4);
    if (!shoal_call__integer(call, 2, &start) || !shoal_call__integer(call, 3, &end)) return;
    shoal_lists__target target;
    if (!shoal_lists__find(call, 0, &target)) return;
    int64_t count = (int64_t)target.count;
    if (start < 0) start += count;
    if (end < 0) end += count;
    if (start < 0) start = 0;
    if (end >= count) end = count - 1;
    if (count > 0 && start > end) {
        shoal_store_remove_locked(call->thread, target.key);
    } else if (count > 0 && end - start + 1 < count) {
        if (!trim(call, &target, (uint64_t)start, (uint64_t)(end - start) + 1)) return;
    } else if (count > 0) {
        /* Nothing goes, but as in Redis a transaction that watches the key is off. */
        shoal_store_touched_locked(call->thread, target.key);
    }
    shoal_reply_ok(&call->reply);
}

/* ---- LPOS ---- */

/* The options of LPOS. */
typedef struct search {
    int64_t rank;   /* the first match to tell, from 1 on; negative: from the tail */
    int64_t count;  /* matches to tell, 0: all */
    int64_t length; /* elements to look at, 0: all */
    bool several;   /* COUNT was given */
} search_options;

/* Reads argument `index` as a number that is not negative. False after writing `error`. */
static bool parse_natural(shoal_call *call, uint32_t index, const char *error, int64_t *value)
{
    SHOAL_DEBUG_ASSERT(error != NULL);
    if (shoal_text_to_i64(call->argv[index], value) && *value >= 0) return true;
    shoal_reply_error(&call->reply, error);
    return false;
}

static bool parse_search(shoal_call *call, search_options *out)
{
    SHOAL_ASSERT(call->argc >= 3);
    for (uint32_t i = 3; i < call->argc; i += 2) {
        bool more = i + 1 < call->argc;
        if (more && shoal_call__word(call, i, "rank")) {
            if (!shoal_call__integer(call, i + 1, &out->rank)) return false;
            if (out->rank != 0) continue;
            shoal_reply_error(&call->reply,
                              "ERR RANK can't be zero: use 1 to start from the first match, 2 from "
                              "the second ... or use negative to start from the end of the list");
            return false;
        }
        if (more && shoal_call__word(call, i, "count")) {
            out->several = true;
            if (!parse_natural(call, i + 1, "ERR COUNT can't be negative", &out->count))
                return false;
        } else if (more && shoal_call__word(call, i, "maxlen")) {
            if (!parse_natural(call, i + 1, "ERR MAXLEN can't be negative", &out->length))
                return false;
        } else {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return false;
        }
    }
    return true;
}

/* Writes the places of the matches as integers. Returns how many. */
static size_t tell_matches(shoal_call *call, const shoal_compound *value,
                           const search_options *search)
{
    uint64_t count = shoal_list_count(value);
    if (count == 0) return 0;
    bool backward = search->rank < 0;
    /* The least rank has no opposite; Redis takes it for the first from the tail. */
    uint64_t pass = (backward ? 0 - (uint64_t)search->rank : (uint64_t)search->rank) - 1;
    if (search->rank == INT64_MIN) pass = 0;
    uint64_t want = search->count > 0 ? (uint64_t)search->count : UINT64_MAX;
    uint64_t left = search->length > 0 ? (uint64_t)search->length : count;
    if (left > count) left = count;
    shoal_element probe = shoal_element_of(call->argv[2]);
    shoal_list_cursor cursor;
    shoal_list_seek(&cursor, value, backward ? count - 1 : 0, backward);
    size_t told = 0;
    uint64_t index;
    while (told < want) {
        uint64_t before = cursor.left;
        if (!shoal_list_find(&cursor, &probe, left, &index)) break;
        SHOAL_ASSERT(before - cursor.left <= left);
        left -= before - cursor.left;
        if (pass > 0) {
            pass--;
            continue;
        }
        shoal_reply_integer(&call->reply, (int64_t)index);
        told++;
    }
    return told;
}

void shoal_command__lpos(shoal_call *call)
{
    search_options search = {.rank = 1, .count = 1};
    SHOAL_ASSERT(call->argc >= 3);
    if (!parse_search(call, &search)) return;
    shoal_compound value;
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_LIST, &value)) return;
    if (!search.several) {
        if (tell_matches(call, &value, &search) == 0) shoal_reply_null(&call->reply);
        return;
    }
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    size_t told = tell_matches(call, &value, &search);
    shoal_reply_end_array(&call->reply, mark, told);
}
