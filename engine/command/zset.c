/* SPDX-License-Identifier: MIT
 *
 * command/zset.c - sorted sets between the store and their commands, and their arguments and
 * replies.
 */
#include "command/zset.h"

#include "base/assert.h"
#include "base/number.h"

/* ---- changes ---- */

static void prepare(shoal_call *call, shoal_zset_edit *edit)
{
    const shoal_settings *settings = shoal_call__settings(call);
    edit->account = shoal_thread_account(call->thread);
    edit->prng = shoal_thread_prng(call->thread);
    edit->limits.entries = settings->zset_entries_max;
    edit->limits.member_size = settings->zset_member_size_max;
    SHOAL_DEBUG_ASSERT(edit->account->bytes == 0);
}

bool shoal_zset_change__begin(shoal_call *call, uint32_t index, shoal_zset_change *change)
{
    const shoal_item *item;
    shoal_compound value;
    SHOAL_ASSERT(call->gated);
    if (!shoal_call__find_compound(call, index, SHOAL_TYPE_ZSET, &item, &value)) return false;
    change->key = index;
    change->before = value;
    change->existed = item != NULL;
    change->changed = false;
    change->expires_ms = item == NULL ? -1 : shoal_item_expires_ms(item);
    prepare(call, &change->edit);
    shoal_zset_edit_begin(&change->edit, &value);
    return true;
}

void shoal_zset_change__begin_empty(shoal_call *call, uint32_t index, shoal_zset_change *change)
{
    SHOAL_ASSERT(call->gated && index < call->key_count);
    change->key = index;
    change->before = (shoal_compound){.object = NULL};
    change->existed = true;
    change->changed = true;
    change->expires_ms = -1;
    shoal_zset_edit__scratch(call, &change->edit);
}

void shoal_zset_edit__scratch(shoal_call *call, shoal_zset_edit *edit)
{
    prepare(call, edit);
    shoal_zset_edit_begin(edit, &(shoal_compound){.object = NULL});
    SHOAL_DEBUG_ASSERT(edit->count == 0);
}

/* Stores a set that has elements and is not the store's yet. */
static shoal_err store(shoal_call *call, shoal_zset_change *change, const shoal_compound *value)
{
    const shoal_key *key = &call->keys[change->key];
    if (value->object == NULL) {
        shoal_gather parts = {&value->pack, 1};
        return shoal_store_put_pack_locked(call->thread, key, SHOAL_TYPE_ZSET, parts,
                                           change->expires_ms);
    }
    SHOAL_ASSERT(change->edit.made);
    shoal_err err =
        shoal_store_put_object_locked(call->thread, key, value->object, change->expires_ms);
    if (err == SHOAL_ERR_OK) change->edit.made = false;
    return err;
}

bool shoal_zset_change__finish(shoal_call *call, shoal_zset_change *change, shoal_err err)
{
    SHOAL_ASSERT(change->key < call->key_count);
    const shoal_key *key = &call->keys[change->key];
    shoal_zset_edit *edit = &change->edit;
    shoal_compound value = shoal_zset_edit_view(edit);
    uint64_t count = shoal_zset_count(&value);
    bool in_place = value.object != NULL && !edit->made;
    /* An addition that found no memory may have left a larger tree. */
    if (in_place && (change->changed || edit->account->bytes != 0)) {
        shoal_store_changed_locked(call->thread, key, value.object);
    } else if (change->changed && count > 0 && err == SHOAL_ERR_OK) {
        err = store(call, change, &value);
    }
    if (change->changed && count == 0 && change->existed && (in_place || err == SHOAL_ERR_OK))
        (void)shoal_store_remove_locked(call->thread, key);
    shoal_zset_edit_drop(edit);
    SHOAL_DEBUG_ASSERT(edit->account->bytes == 0);
    return shoal_call__stored(call, err);
}

/* ---- arguments ---- */

bool shoal_call__score(shoal_call *call, uint32_t index, double *score, const char *error)
{
    SHOAL_ASSERT(index < call->argc);
    if (shoal_number_to_double(call->argv[index], score) == SHOAL_NUMBER_READ) return true;
    shoal_reply_error(&call->reply, error);
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool shoal_call__score_bound(shoal_call *call, uint32_t index, shoal_zset_bound *bound)
{
    SHOAL_ASSERT(index < call->argc);
    shoal_slice text = call->argv[index];
    *bound = (shoal_zset_bound){.kind = SHOAL_ZSET_BY_SCORE};
    if (text.size > 0 && text.data[0] == '(') {
        bound->exclusive = true;
        text.data++, text.size--;
    }
    /* As Redis, which lets C's strtod read it: blanks before, nothing is 0, too large infinite. */
    bool nothing = text.size == 0;
    while (text.size > 0 && is_blank(text.data[0])) text.data++, text.size--;
    if (nothing || shoal_number_to_double(text, &bound->score) != SHOAL_NUMBER_NONE) return true;
    shoal_reply_error(&call->reply, "ERR min or max is not a float");
    return false;
}

bool shoal_call__member_bound(shoal_call *call, uint32_t index, shoal_zset_bound *bound)
{
    SHOAL_ASSERT(index < call->argc);
    shoal_slice text = call->argv[index];
    *bound = (shoal_zset_bound){.kind = SHOAL_ZSET_BY_MEMBER};
    char first = text.size == 0 ? '\0' : text.data[0];
    if (first == '(' || first == '[') {
        bound->exclusive = first == '(';
        bound->member = (shoal_slice){text.data + 1, text.size - 1};
        return true;
    }
    if (text.size == 1 && (first == '-' || first == '+')) {
        bound->kind = first == '-' ? SHOAL_ZSET_LOWEST : SHOAL_ZSET_HIGHEST;
        return true;
    }
    shoal_reply_error(&call->reply, "ERR min or max not valid string range item");
    return false;
}

/* ---- replies ---- */

void shoal_reply__scored(shoal_reply *reply, const shoal_zset_entry *entry, shoal_zset_style style)
{
    SHOAL_DEBUG_ASSERT(!(style.nested && style.flat));
    if (style.scores && (style.nested || (reply->protocol > 2 && !style.flat)))
        shoal_reply_array(reply, 2);
    shoal_reply_bulk(reply, entry->member);
    if (style.scores) shoal_reply_double(reply, entry->score);
}

void shoal_reply__ranks(shoal_reply *reply, const shoal_compound *set, shoal_zset_ranks ranks,
                        shoal_zset_style style, bool reverse)
{
    SHOAL_ASSERT(ranks.from <= ranks.to && ranks.to <= shoal_zset_count(set));
    uint64_t count = ranks.to - ranks.from;
    bool arrays = style.nested || (reply->protocol > 2 && !style.flat);
    shoal_reply_array(reply, style.scores && !arrays ? 2 * count : count);
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_zset_seek(&cursor, set, ranks, reverse);
    while (shoal_zset_next(&cursor, &entry)) shoal_reply__scored(reply, &entry, style);
}
