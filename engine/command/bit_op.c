/* SPDX-License-Identifier: MIT
 *
 * command/bit_op.c - BITOP: strings combined bit by bit. Those that are shorter than the longest
 * count as if zeros followed.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/handlers.h"

#include <string.h>

/* How bits are combined. */
typedef enum bit_op { AND, OR, XOR, NOT } bit_op;

static bool parse_op(shoal_call *call, bit_op *op)
{
    static const char *const words[] = {"and", "or", "xor", "not"};
    SHOAL_ASSERT(call->argc >= 4);
    for (unsigned i = 0; i <= NOT; i++) {
        if (!shoal_call__word(call, 1, words[i])) continue;
        *op = (bit_op)i;
        if (*op != NOT || call->argc == 4) return true;
        shoal_reply_error(&call->reply, "ERR BITOP NOT must be called with a single source key.");
        return false;
    }
    shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    return false;
}

/* The size of the longest source. False after writing an error: one is no string. */
static bool measure(shoal_call *call, size_t *size)
{
    SHOAL_ASSERT(call->key_count >= 2);
    *size = 0;
    for (uint32_t i = 1; i < call->key_count; i++) {
        const shoal_item *item;
        if (!shoal_call__find_string(call, i, &item)) return false;
        shoal_call__met(call, i, item != NULL);
        size_t own = item == NULL ? 0 : shoal_item_string_size(item);
        if (own > *size) *size = own;
    }
    return true;
}

/* Combines `bytes` into the first bytes.size of `out`, eight at a time. */
static void combine(char *out, shoal_slice bytes, bit_op op)
{
    SHOAL_ASSERT(op != NOT);
    size_t at = 0;
    for (; at + 8 <= bytes.size; at += 8) {
        uint64_t a, b;
        memcpy(&a, out + at, sizeof a);
        memcpy(&b, bytes.data + at, sizeof b);
        a = op == AND ? a & b : op == OR ? a | b : a ^ b;
        memcpy(out + at, &a, sizeof a);
    }
    for (; at < bytes.size; at++) {
        char a = out[at], b = bytes.data[at];
        out[at] = (char)(op == AND ? a & b : op == OR ? a | b : a ^ b);
    }
}

static void invert(char *out, size_t size)
{
    SHOAL_DEBUG_ASSERT(out != NULL);
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, out + at, sizeof word);
        word = ~word;
        memcpy(out + at, &word, sizeof word);
    }
    for (; at < size; at++) out[at] = (char)~out[at];
}

/* Fills `out` with the result. */
static void build(shoal_call *call, bit_op op, char *out, size_t size)
{
    SHOAL_ASSERT(size > 0);
    for (uint32_t i = 1; i < call->key_count; i++) {
        const shoal_item *item = shoal_call__find(call, i);
        char scratch[SHOAL_INT_TEXT_SIZE];
        shoal_slice bytes = {"", 0};
        if (item != NULL) bytes = shoal_item_string(item, scratch);
        if (i == 1) {
            memcpy(out, bytes.data, bytes.size);
            memset(out + bytes.size, 0, size - bytes.size);
        } else {
            combine(out, bytes, op);
            if (op == AND) memset(out + bytes.size, 0, size - bytes.size);
        }
    }
    if (op == NOT) invert(out, size);
}

void shoal_command__bitop(shoal_call *call)
{
    bit_op op;
    size_t size;
    if (!parse_op(call, &op) || !measure(call, &size)) return;
    SHOAL_ASSERT(call->key_count == call->argc - 2);
    if (size == 0) {
        shoal_store_remove_locked(call->thread, &call->keys[0]);
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    const shoal_allocator *allocator = &call->env->allocator;
    char *out = shoal_memory_take(allocator, size, SHOAL_ALIGN_PLAIN);
    shoal_err err = SHOAL_ERR_NO_MEMORY;
    if (out != NULL) {
        build(call, op, out, size);
        shoal_slice result = {out, size};
        err = shoal_store_put_raw_locked(call->thread, &call->keys[0], result, -1);
    }
    shoal_memory_give(allocator, out, size, SHOAL_ALIGN_PLAIN);
    if (shoal_call__stored(call, err)) shoal_reply_integer(&call->reply, (int64_t)size);
}
