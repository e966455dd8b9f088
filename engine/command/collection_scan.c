/* SPDX-License-Identifier: MIT
 *
 * command/collection_scan.c - walks over one key with a cursor: SSCAN and HSCAN, and the parts of
 * them that others of this kind need.
 */
#include "base/assert.h"
#include "command/collection.h"

/* What one call visits by default, as Redis, and at most, whatever COUNT asks for: COUNT is a hint
 * about the work of a call. Chosen: some milliseconds. */
#define COUNT_DEFAULT 10
#define COUNT_MAX (1 << 16)

bool shoal_scan__cursor(shoal_call *call, uint32_t index, uint64_t *cursor)
{
    SHOAL_ASSERT(index < call->argc);
    /* Any decimal digits, also none, after a sign or not, as Redis takes them: less than zero
     * counts from the other end. */
    shoal_slice text = call->argv[index];
    bool signed_text = text.size != 0 && (text.data[0] == '-' || text.data[0] == '+');
    bool negative = signed_text && text.data[0] == '-';
    if (signed_text) text.data++, text.size--;
    while (text.size > 1 && text.data[0] == '0') text.data++, text.size--;
    *cursor = 0;
    bool valid = text.size == 0 ? !signed_text : shoal_text_to_u64(text, cursor);
    if (negative) *cursor = 0 - *cursor;
    if (!valid) shoal_reply_error(&call->reply, "ERR invalid cursor");
    return valid;
}

bool shoal_scan__options(shoal_call *call, uint32_t first, shoal_scan_options *options)
{
    SHOAL_ASSERT(first <= call->argc);
    int64_t count = COUNT_DEFAULT;
    *options = (shoal_scan_options){.matching = false};
    for (uint32_t i = first; i < call->argc; i += 2) {
        bool valid = i + 1 < call->argc;
        if (valid && shoal_call__word(call, i, "count")) {
            if (!shoal_call__integer(call, i + 1, &count)) return false;
            valid = count >= 1;
        } else if (valid && shoal_call__word(call, i, "match")) {
            options->pattern = call->argv[i + 1];
            options->matching = options->pattern.size != 1 || options->pattern.data[0] != '*';
        } else {
            valid = false;
        }
        if (valid) continue;
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    options->count = count < COUNT_MAX ? (uint32_t)count : COUNT_MAX;
    return true;
}

void shoal_scan__reply(shoal_call *call, uint64_t cursor, shoal_buffer *elements, size_t count)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    SHOAL_ASSERT(count > 0 || shoal_buffer_size(elements) == 0);
    shoal_reply_array(&call->reply, 2);
    shoal_reply_bulk(&call->reply, (shoal_slice){digits, shoal_text_from_u64(digits, cursor)});
    shoal_reply_array(&call->reply, count);
    shoal_buffer_append(call->reply.out, shoal_buffer_slice(elements));
    if (elements->failed) call->reply.out->failed = true;
    shoal_buffer_free(elements);
}

/* ---- sets and hashes ---- */

/* A walk on its way. */
typedef struct walk {
    shoal_reply reply; /* the elements */
    shoal_scan_options options;
    size_t found; /* elements of the reply */
    bool pairs;
} walk;

static void visit(void *context, const shoal_table_entry *entry)
{
    walk *wanted = context;
    SHOAL_DEBUG_ASSERT(wanted->options.count > 0);
    if (wanted->options.matching) {
        char scratch[32];
        shoal_slice name = shoal_element_text(&entry->name, scratch);
        if (!shoal_text_glob(wanted->options.pattern, name, false)) return;
    }
    shoal_reply__element(&wanted->reply, &entry->name);
    if (wanted->pairs) shoal_reply__element(&wanted->reply, &entry->value);
    wanted->found += 1 + wanted->pairs;
}

static void scan(shoal_call *call, shoal_value_type type)
{
    SHOAL_ASSERT(call->argc >= 3);
    uint64_t cursor;
    if (!shoal_scan__cursor(call, 2, &cursor)) return;
    shoal_members members;
    if (!shoal_call__look_members(call, 0, type, &members)) return;
    shoal_buffer elements = shoal_buffer_make(&call->env->allocator);
    walk wanted = {.reply = {&elements, call->reply.protocol}, .pairs = members.pairs};
    if (members.count == 0 && members.table == NULL) {
        /* Redis looks at the options of keys only that are there. */
        shoal_scan__reply(call, 0, &elements, 0);
        return;
    }
    if (!shoal_scan__options(call, 3, &wanted.options)) return;
    shoal_members_scan(&members, wanted.options.count, &cursor, visit, &wanted);
    shoal_scan__reply(call, cursor, &elements, wanted.found);
}

void shoal_command__sscan(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    scan(call, SHOAL_TYPE_SET);
}

void shoal_command__hscan(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    scan(call, SHOAL_TYPE_HASH);
}
