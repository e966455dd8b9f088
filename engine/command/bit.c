/* SPDX-License-Identifier: MIT
 *
 * command/bit.c - GETBIT and SETBIT: strings as rows of bits. Bits of several strings together are
 * in bit_op.c, counting and searching in bit_count.c, numbers made of bits in bit_field.c.
 */
#include "command/bit.h"

#include "base/assert.h"
#include "command/string.h"

#define OFFSET_ERROR "ERR bit offset is not an integer or out of range"

bool shoal_bit__offset(shoal_call *call, uint32_t index, uint32_t width, uint64_t *offset)
{
    SHOAL_ASSERT(index < call->argc);
    shoal_slice text = call->argv[index];
    bool multiplied = width > 0 && text.size > 0 && text.data[0] == '#';
    if (multiplied) text = (shoal_slice){text.data + 1, text.size - 1};
    int64_t value;
    bool valid = shoal_text_to_i64(text, &value) && value >= 0;
    if (valid && multiplied) valid = !__builtin_mul_overflow(value, (int64_t)width, &value);
    if (valid && (uint64_t)value >> 3 < shoal_call__settings(call)->bulk_size_max) {
        *offset = (uint64_t)value;
        return true;
    }
    shoal_reply_error(&call->reply, OFFSET_ERROR);
    return false;
}

static bool bit_at(shoal_slice bytes, uint64_t offset)
{
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    if (offset >> 3 >= bytes.size) return false;
    return (uint8_t)bytes.data[offset >> 3] >> (7 - (offset & 7)) & 1;
}

void shoal_command__getbit(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    uint64_t offset;
    if (!shoal_bit__offset(call, 2, 0, &offset)) return;
    const shoal_item *item;
    if (!shoal_call__look_string(call, 0, &item)) return;
    char scratch[SHOAL_INT_TEXT_SIZE];
    bool bit = item != NULL && bit_at(shoal_item_string(item, scratch), offset);
    shoal_reply_integer(&call->reply, bit);
}

void shoal_command__setbit(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    uint64_t offset;
    int64_t wanted;
    if (!shoal_bit__offset(call, 2, 0, &offset)) return;
    if (!shoal_text_to_i64(call->argv[3], &wanted) || (wanted & ~(int64_t)1) != 0) {
        shoal_reply_error(&call->reply, "ERR bit is not an integer or out of range");
        return;
    }
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_slice bytes = {"", 0};
    if (item != NULL) bytes = shoal_item_string(item, scratch);
    size_t at = (size_t)(offset >> 3);
    if (!shoal_string__check_size(call, at + 1)) return;
    bool before = bit_at(bytes, offset);
    /* A bit that is as wanted is left alone, once the string is as an edited one is kept. */
    bool needless = at < bytes.size && before == (wanted != 0) &&
                    shoal_text_is(shoal_text(shoal_item_encoding(item)), "raw");
    if (!needless) {
        uint8_t mask = (uint8_t)(0x80u >> (offset & 7));
        uint8_t byte = at < bytes.size ? (uint8_t)bytes.data[at] : 0;
        char edited = (char)(wanted != 0 ? byte | mask : byte & ~mask);
        if (!shoal_string__patch(call, item, at, (shoal_slice){&edited, 1})) return;
    }
    shoal_reply_integer(&call->reply, before);
}
