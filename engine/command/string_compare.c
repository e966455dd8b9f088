/* SPDX-License-Identifier: MIT
 *
 * command/string_compare.c - comparing before changing, in one step: the conditions of SET, DELEX
 * and DELIFEQ, and DIGEST, which spares sending a large value only to compare it. A digest is the
 * XXH3 of the bytes in 16 hexadecimal digits.
 */
#include "base/assert.h"
#include "base/hash.h"
#include "command/condition.h"
#include "command/effect.h"

shoal_condition shoal_condition__word(shoal_slice word)
{
    static const char *const words[] = {"ifeq", "ifne", "ifdeq", "ifdne"};
    _Static_assert(SHOAL_CONDITION__DIGEST_DIFFERENT == 4, "a word for each condition");
    SHOAL_DEBUG_ASSERT(word.data != NULL || word.size == 0);
    for (unsigned i = 0; i < 4; i++) {
        if (shoal_text_is(word, words[i])) return (shoal_condition)(i + 1);
    }
    return SHOAL_CONDITION__NONE;
}

static void digest_of(const shoal_item *item, char digits[SHOAL_DIGEST__SIZE])
{
    SHOAL_ASSERT(shoal_item_type(item) == SHOAL_TYPE_STRING);
    char scratch[SHOAL_INT_TEXT_SIZE], tail[SHOAL_TEXT_HEX_SIZE];
    size_t size = shoal_text_from_hex(tail, shoal_hash(shoal_item_string(item, scratch), 0));
    SHOAL_ASSERT(size <= SHOAL_DIGEST__SIZE);
    memset(digits, '0', SHOAL_DIGEST__SIZE - size);
    memcpy(digits + SHOAL_DIGEST__SIZE - size, tail, size);
}

bool shoal_condition__check(shoal_call *call, const shoal_item *item, shoal_condition condition,
                            shoal_slice operand, bool *holds)
{
    SHOAL_ASSERT(condition != SHOAL_CONDITION__NONE);
    bool negated =
        condition == SHOAL_CONDITION__DIFFERENT || condition == SHOAL_CONDITION__DIGEST_DIFFERENT;
    *holds = negated;
    if (item == NULL) return true;
    if (condition == SHOAL_CONDITION__EQUAL || condition == SHOAL_CONDITION__DIFFERENT) {
        char scratch[SHOAL_INT_TEXT_SIZE];
        *holds = shoal_text_equal(shoal_item_string(item, scratch), operand) != negated;
        return true;
    }
    if (operand.size != SHOAL_DIGEST__SIZE) {
        shoal_reply_error(&call->reply, "ERR must be exactly 16 hexadecimal characters");
        return false;
    }
    char digits[SHOAL_DIGEST__SIZE];
    digest_of(item, digits);
    shoal_slice digest = {digits, sizeof(digits)};
    *holds = shoal_text_equal_nocase(digest, operand) != negated;
    return true;
}

void shoal_command__digest(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    const shoal_item *item;
    if (!shoal_call__look_string(call, 0, &item)) return;
    if (item == NULL) {
        shoal_reply_null(&call->reply);
        return;
    }
    char digits[SHOAL_DIGEST__SIZE];
    digest_of(item, digits);
    shoal_reply_bulk(&call->reply, (shoal_slice){digits, sizeof(digits)});
}

/* Removes the key if its string meets the condition, and says whether. */
static void remove_if(shoal_call *call, const shoal_item *item, shoal_condition condition,
                      shoal_slice operand)
{
    SHOAL_ASSERT(item == NULL || shoal_item_type(item) == SHOAL_TYPE_STRING);
    bool holds = false;
    if (item != NULL && !shoal_condition__check(call, item, condition, operand, &holds)) return;
    if (holds && shoal_store_remove_locked(call->thread, &call->keys[0]))
        shoal_effect__del(call, 0, shoal_call__settings(call)->lazy_user_del);
    shoal_reply_integer(&call->reply, holds);
}

void shoal_command__delifeq(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    remove_if(call, item, SHOAL_CONDITION__EQUAL, call->argv[2]);
}

void shoal_command__delex(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    if (call->argc == 2) {
        bool removed = shoal_store_remove_locked(call->thread, &call->keys[0]);
        if (removed) shoal_effect__del(call, 0, shoal_call__settings(call)->lazy_user_del);
        shoal_reply_integer(&call->reply, removed);
        return;
    }
    if (call->argc != 4) {
        shoal_call__arity(call);
        return;
    }
    const shoal_item *item = shoal_call__find(call, 0);
    shoal_condition condition = shoal_condition__word(call->argv[2]);
    if (item != NULL && shoal_item_type(item) != SHOAL_TYPE_STRING) {
        shoal_reply_error(&call->reply,
                          "ERR Key should be of string type if conditions are specified");
    } else if (item != NULL && condition == SHOAL_CONDITION__NONE) {
        shoal_reply_error(&call->reply, "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE");
    } else {
        remove_if(call, item, condition, call->argv[3]);
    }
}
