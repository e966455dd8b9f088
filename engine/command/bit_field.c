/* SPDX-License-Identifier: MIT
 *
 * command/bit_field.c - BITFIELD and BITFIELD_RO: numbers of any width at any bit of a string. All
 * operations are read first, so that a wrong one leaves everything as it was; what they write goes
 * into a copy of the bytes concerned, which then becomes part of the string at once.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/bit.h"
#include "command/string.h"

#include <string.h>

/* What becomes of a number that does not fit. */
typedef enum overflow { WRAP, SATURATE, FAIL } overflow;

/* One operation. */
typedef struct field_op {
    enum { GET, SET, INCREMENT } kind;
    overflow overflow;
    bool is_signed;
    uint32_t width;  /* bits, 1..64 */
    uint64_t offset; /* of the first, the most significant bit */
    int64_t operand; /* SET: the value; INCREMENT: what is added */
} field_op;

/* The bytes from `start` on that the operations touch, and the string behind them where it is not
 * touched. */
typedef struct window {
    shoal_slice old; /* the whole string as it was */
    char *bytes;     /* what is written: from byte `start` on, `size` of them; or NULL */
    uint64_t start, size;
} window;

/* ---- parsing ---- */

static bool parse_type(shoal_call *call, uint32_t index, field_op *op)
{
    SHOAL_ASSERT(index < call->argc);
    shoal_slice text = call->argv[index];
    int64_t width = 0;
    if (text.size > 1 && (text.data[0] == 'i' || text.data[0] == 'u') &&
        shoal_text_to_i64((shoal_slice){text.data + 1, text.size - 1}, &width)) {
        op->is_signed = text.data[0] == 'i';
        op->width = (uint32_t)width;
        if (width >= 1 && width <= (op->is_signed ? 64 : 63)) return true;
    }
    shoal_reply_error(&call->reply,
                      "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                      "supported but i64 is.");
    return false;
}

static bool parse_overflow(shoal_call *call, uint32_t index, overflow *how)
{
    SHOAL_ASSERT(index < call->argc);
    if (shoal_call__word(call, index, "wrap")) {
        *how = WRAP;
    } else if (shoal_call__word(call, index, "sat")) {
        *how = SATURATE;
    } else if (shoal_call__word(call, index, "fail")) {
        *how = FAIL;
    } else {
        shoal_reply_error(&call->reply, "ERR Invalid OVERFLOW type specified");
        return false;
    }
    return true;
}

/* Reads the operation at argument `*index`, and moves behind it. `*how` is kept for those that
 * follow; `*none` says that it was no operation but OVERFLOW. False after writing an error. */
static bool parse_op(shoal_call *call, uint32_t *index, overflow *how, field_op *op, bool *none)
{
    SHOAL_ASSERT(*index < call->argc);
    uint32_t left = call->argc - *index - 1;
    *none = left >= 1 && shoal_call__word(call, *index, "overflow");
    if (*none) {
        *index += 2;
        return parse_overflow(call, *index - 1, how);
    }
    *op = (field_op){.kind = GET, .overflow = *how};
    uint32_t needed = 3;
    if (left >= 2 && shoal_call__word(call, *index, "get")) {
        needed = 2;
    } else if (left >= 3 && shoal_call__word(call, *index, "set")) {
        op->kind = SET;
    } else if (left >= 3 && shoal_call__word(call, *index, "incrby")) {
        op->kind = INCREMENT;
    } else {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    if (!parse_type(call, *index + 1, op)) return false;
    if (!shoal_bit__offset(call, *index + 2, op->width, &op->offset)) return false;
    if (needed == 3 && !shoal_call__integer(call, *index + 3, &op->operand)) return false;
    *index += needed + 1;
    return true;
}

/* Reads all operations into `ops`, which has room for them. False after writing an error. */
static bool parse_all(shoal_call *call, field_op *ops, uint32_t *count)
{
    SHOAL_ASSERT(call->argc >= 2);
    overflow how = WRAP;
    bool writes = false;
    *count = 0;
    for (uint32_t i = 2; i < call->argc;) {
        bool none;
        if (!parse_op(call, &i, &how, &ops[*count], &none)) return false;
        if (none) continue;
        writes = writes || ops[*count].kind != GET;
        ++*count;
    }
    if (!writes || call->command->id != SHOAL_COMMAND_BITFIELD_RO) return true;
    shoal_reply_error(&call->reply, "ERR BITFIELD_RO only supports the GET subcommand");
    return false;
}

/* ---- numbers ---- */

static uint8_t byte_at(const window *at, uint64_t index)
{
    SHOAL_DEBUG_ASSERT(at->bytes != NULL || at->size == 0);
    if (index >= at->start && index - at->start < at->size)
        return (uint8_t)at->bytes[index - at->start];
    return index < at->old.size ? (uint8_t)at->old.data[index] : 0;
}

static uint64_t mask_of(uint32_t width)
{
    SHOAL_DEBUG_ASSERT(width >= 1 && width <= 64);
    return UINT64_MAX >> (64 - width);
}

/* The field's bits, the last one lowest. */
static uint64_t read_bits(const window *at, const field_op *op)
{
    SHOAL_DEBUG_ASSERT(op->width >= 1 && op->width <= 64);
    uint64_t value = 0;
    uint64_t end = op->offset + op->width;
    for (uint64_t i = op->offset >> 3; i << 3 < end; i++) {
        uint64_t first = i << 3 > op->offset ? i << 3 : op->offset;
        uint64_t last = (i << 3) + 8 < end ? (i << 3) + 8 : end;
        uint32_t bits = (uint32_t)(last - first);
        uint64_t part = (uint64_t)byte_at(at, i) >> ((i << 3) + 8 - last);
        value = value << (bits & 63) | (part & mask_of(bits));
    }
    return value;
}

/* Puts the lowest bits of `value` into the field, which lies within the window. */
static void write_bits(window *at, const field_op *op, uint64_t value)
{
    SHOAL_ASSERT(op->offset >> 3 >= at->start);
    SHOAL_ASSERT((op->offset + op->width - 1) >> 3 < at->start + at->size);
    uint64_t left = op->width;
    for (uint64_t bit = op->offset; left > 0;) {
        uint32_t room = 8 - (uint32_t)(bit & 7);
        uint32_t bits = left < room ? (uint32_t)left : room;
        uint32_t shift = room - bits;
        uint8_t mask = (uint8_t)(mask_of(bits) << shift);
        char *byte = &at->bytes[(bit >> 3) - at->start];
        uint8_t part = (uint8_t)(value >> (left - bits) << shift);
        *byte = (char)(((uint8_t)*byte & ~mask) | (part & mask));
        bit += bits;
        left -= bits;
    }
}

static int64_t extend_sign(uint64_t bits, uint32_t width)
{
    SHOAL_DEBUG_ASSERT((bits & ~mask_of(width)) == 0);
    uint64_t sign = (uint64_t)1 << (width - 1);
    return (int64_t)((bits ^ sign) - sign);
}

/* ---- operations ---- */

/* `base` + `added` as bits of a signed field. False where it does not fit and is to fail. */
static bool add_signed(const field_op *op, int64_t base, int64_t added, uint64_t *bits)
{
    SHOAL_ASSERT(op->is_signed);
    int64_t max = (int64_t)(mask_of(op->width) >> 1), min = -max - 1, sum;
    bool wide = __builtin_add_overflow(base, added, &sum);
    bool over = wide ? added > 0 : sum > max, under = wide ? added < 0 : sum < min;
    *bits = ((uint64_t)base + (uint64_t)added) & mask_of(op->width);
    if (!over && !under) return true;
    if (op->overflow == SATURATE) *bits = (uint64_t)(over ? max : min) & mask_of(op->width);
    return op->overflow != FAIL;
}

/* The same for an unsigned field. */
static bool add_unsigned(const field_op *op, uint64_t base, int64_t added, uint64_t *bits)
{
    SHOAL_ASSERT(!op->is_signed);
    uint64_t max = mask_of(op->width);
    bool over = added >= 0 && (base > max || (uint64_t)added > max - base);
    bool under = added < 0 && (uint64_t)0 - (uint64_t)added > base;
    *bits = (base + (uint64_t)added) & max;
    if (!over && !under) return true;
    if (op->overflow == SATURATE) *bits = over ? max : 0;
    return op->overflow != FAIL;
}

static void reply_bits(shoal_reply *reply, const field_op *op, uint64_t bits)
{
    SHOAL_DEBUG_ASSERT(op->is_signed || op->width < 64);
    shoal_reply_integer(reply, op->is_signed ? extend_sign(bits, op->width) : (int64_t)bits);
}

/* Runs one operation and replies to it. True when it has changed something, or is an increment:
 * that always counts as a change, as Redis has it. */
static bool run(shoal_reply *reply, const field_op *op, window *at)
{
    uint64_t before = read_bits(at, op), after = 0;
    if (op->kind == GET) {
        reply_bits(reply, op, before);
        return false;
    }
    SHOAL_ASSERT(at->bytes != NULL);
    bool fits;
    if (op->is_signed) {
        int64_t base = op->kind == SET ? op->operand : extend_sign(before, op->width);
        fits = add_signed(op, base, op->kind == SET ? 0 : op->operand, &after);
    } else {
        uint64_t base = op->kind == SET ? (uint64_t)op->operand : before;
        fits = add_unsigned(op, base, op->kind == SET ? 0 : op->operand, &after);
    }
    if (!fits) {
        shoal_reply_null(reply);
        return false;
    }
    write_bits(at, op, after);
    reply_bits(reply, op, op->kind == SET ? before : after);
    return op->kind == INCREMENT || after != before;
}

/* ---- BITFIELD ---- */

/* The bytes that the operations may write: from *start to before *end. */
static void span(const field_op *ops, uint32_t count, uint64_t *start, uint64_t *end)
{
    SHOAL_DEBUG_ASSERT(ops != NULL || count == 0);
    *start = UINT64_MAX;
    *end = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].kind == GET) continue;
        uint64_t first = ops[i].offset >> 3, last = (ops[i].offset + ops[i].width - 1) >> 3;
        if (first < *start) *start = first;
        if (last + 1 > *end) *end = last + 1;
    }
}

/* Opens the window for bytes [start, end), filled with what is there. False without memory. */
static bool open_window(window *at, const shoal_allocator *allocator, uint64_t start, uint64_t end)
{
    SHOAL_ASSERT(start < end);
    at->bytes = shoal_memory_take_zeroed(allocator, (size_t)(end - start), SHOAL_ALIGN_PLAIN);
    if (at->bytes == NULL) return false;
    at->start = start;
    at->size = end - start;
    if (start < at->old.size) {
        uint64_t there = at->old.size - start;
        memcpy(at->bytes, at->old.data + start, (size_t)(there < at->size ? there : at->size));
    }
    return true;
}

/* Runs the operations, of which some write. Where all overflowed the string still becomes as long
 * as they need, as Redis has it. */
static void run_writing(shoal_call *call, const field_op *ops, uint32_t count,
                        const shoal_item *item)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    window at = {.old = {"", 0}};
    if (item != NULL) at.old = shoal_item_string(item, scratch);
    uint64_t start, end;
    span(ops, count, &start, &end);
    SHOAL_ASSERT(start < end);
    if (!shoal_string__check_size(call, end)) return;
    const shoal_allocator *allocator = &call->env->allocator;
    if (!open_window(&at, allocator, start, end)) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    shoal_buffer replies = shoal_buffer_make(allocator);
    shoal_reply inner = {.out = &replies, .protocol = call->reply.protocol};
    /* Also where nothing else changes, the string becomes one that was edited. */
    bool changed =
        end > at.old.size || !shoal_text_is(shoal_text(shoal_item_encoding(item)), "raw");
    for (uint32_t i = 0; i < count; i++) changed = run(&inner, &ops[i], &at) || changed;
    if (!changed ||
        shoal_string__patch(call, item, (size_t)start, (shoal_slice){at.bytes, (size_t)at.size})) {
        shoal_reply_array(&call->reply, count);
        shoal_buffer_append(call->reply.out, shoal_buffer_slice(&replies));
        if (replies.failed) call->reply.out->failed = true;
    }
    shoal_buffer_free(&replies);
    shoal_memory_give(allocator, at.bytes, (size_t)at.size, SHOAL_ALIGN_PLAIN);
}

static void run_reading(shoal_call *call, const field_op *ops, uint32_t count,
                        const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(ops != NULL);
    char scratch[SHOAL_INT_TEXT_SIZE];
    window at = {.old = {"", 0}};
    if (item != NULL) at.old = shoal_item_string(item, scratch);
    shoal_reply_array(&call->reply, count);
    for (uint32_t i = 0; i < count; i++) (void)run(&call->reply, &ops[i], &at);
}

/* BITFIELD under the gate, BITFIELD_RO as a reader. */
void shoal_command__bitfield(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    const shoal_allocator *allocator = &call->env->allocator;
    /* An operation has three arguments or more; one more for an argument list that is wrong. */
    size_t room = ((size_t)call->argc / 3 + 1) * sizeof(field_op);
    field_op *ops = shoal_memory_take(allocator, room, SHOAL_ALIGN_PLAIN);
    if (ops == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    uint32_t count = 0;
    const shoal_item *item;
    if (parse_all(call, ops, &count) && shoal_call__look_string(call, 0, &item)) {
        uint64_t start, end;
        span(ops, count, &start, &end);
        if (end == 0) {
            run_reading(call, ops, count, item);
        } else {
            run_writing(call, ops, count, item);
        }
    }
    shoal_memory_give(allocator, ops, room, SHOAL_ALIGN_PLAIN);
}
