/* SPDX-License-Identifier: MIT
 *
 * command/effect_words.c - effects that several handlers tell, in the words in which Redis tells
 * them: deadlines as absolute milliseconds, what was removed by name.
 */
#include "base/assert.h"
#include "base/text.h"
#include "command/effect.h"

/* A word of the protocol. */
#define WORD(text) ((shoal_slice){text, sizeof(text) - 1})

shoal_slice shoal_effect_integer(shoal_effect_number *room, int64_t value)
{
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    char *end = room->text + sizeof(room->text), *at = end;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) *--at = '-';
    SHOAL_ASSERT(at >= room->text);
    return (shoal_slice){at, (size_t)(end - at)};
}

shoal_slice shoal_effect_removal(bool lazy)
{
    return lazy ? WORD("UNLINK") : WORD("DEL");
}

void shoal_effect__del(shoal_call *call, uint32_t index, bool lazy)
{
    SHOAL_ASSERT(index < call->key_count);
    shoal_effect_tell(call, (shoal_slice[]){shoal_effect_removal(lazy), call->keys[index].name}, 2);
}

void shoal_effect__set(shoal_call *call, uint32_t index, shoal_slice value, int64_t at_ms)
{
    shoal_effect_number room;
    SHOAL_ASSERT(index < call->key_count);
    shoal_slice argv[5] = {WORD("SET"), call->keys[index].name, value};
    if (at_ms >= 0) {
        argv[3] = WORD("PXAT");
        argv[4] = shoal_effect_integer(&room, at_ms);
    }
    shoal_effect_tell(call, argv, at_ms >= 0 ? 5 : 3);
}

void shoal_effect__expire(shoal_call *call, int64_t at_ms, shoal_effect_rest rest)
{
    shoal_effect_number room;
    SHOAL_ASSERT(call->key_count == 1);
    shoal_slice argv[3] = {WORD("PEXPIREAT"), call->keys[0].name,
                           shoal_effect_integer(&room, at_ms)};
    shoal_effect_tell_with(call, argv, 3, rest);
}

void shoal_effect__pop(shoal_call *call, const char *word, uint32_t index, uint64_t count)
{
    shoal_effect_number room;
    SHOAL_ASSERT(index < call->key_count && count <= INT64_MAX);
    shoal_slice argv[3] = {shoal_text(word), call->keys[index].name};
    if (count != 0) argv[2] = shoal_effect_integer(&room, (int64_t)count);
    shoal_effect_tell(call, argv, count != 0 ? 3 : 2);
}

void shoal_effect__date_field(shoal_call *call, shoal_slice field, int64_t at_ms)
{
    shoal_effect_number room;
    SHOAL_ASSERT(at_ms >= 0 && call->key_count == 1);
    shoal_slice argv[6] = {
        WORD("HPEXPIREAT"), call->keys[0].name, shoal_effect_integer(&room, at_ms),
        WORD("FIELDS"),     WORD("1"),          field};
    shoal_effect_tell(call, argv, 6);
}

void shoal_effect__remove_field(shoal_call *call, shoal_slice field)
{
    SHOAL_ASSERT(call->key_count == 1);
    shoal_effect_tell(call, (shoal_slice[]){WORD("HDEL"), call->keys[0].name, field}, 3);
}
