/* SPDX-License-Identifier: MIT
 *
 * command/keyspace.c - the names of a database as a whole: KEYS, SCAN, RANDOMKEY, DBSIZE. They read
 * without gates, inside the batch. KEYS walks everything in one go, as it is defined to, and its
 * worker serves nobody else meanwhile; SCAN takes bounded steps.
 */
#include "base/assert.h"
#include "command/handlers.h"

/* Keys that a bucket of a full table holds. */
#define KEYS_PER_BUCKET 5u
/* Buckets that KEYS visits between two looks at the cursor. */
#define KEYS_STEP 4096u
/* What one SCAN visits by default, as Redis, and at most, whatever COUNT asks for: COUNT is a hint
 * about the work of a call, not a promise of results. Chosen: some milliseconds. */
#define SCAN_COUNT_DEFAULT 10
#define SCAN_COUNT_MAX (1 << 16)

/* What a walk looks for and where it writes. */
typedef struct walk {
    shoal_reply *reply;
    shoal_slice pattern; /* with `matching` */
    bool matching;
    bool nothing; /* TYPE of a kind that no value has */
    size_t visited, found;
} walk;

static void visit(void *context, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    walk *wanted = context;
    shoal_slice name = shoal_item_name(item);
    wanted->visited++;
    if (wanted->nothing) return;
    if (wanted->matching && !shoal_text_glob(wanted->pattern, name, false)) return;
    shoal_reply_bulk(wanted->reply, name);
    wanted->found++;
}

static bool matches_all(shoal_slice pattern)
{
    return pattern.size == 1 && pattern.data[0] == '*';
}

void shoal_command__keys(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(call->key_count == 0);
    shoal_slice pattern = call->argv[1];
    walk wanted = {.reply = &call->reply, .pattern = pattern, .matching = !matches_all(pattern)};
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    shoal_scan scan = {call->db, 0, SHOAL_SLOTS - 1, KEYS_STEP};
    uint64_t cursor = 0;
    do {
        shoal_store_scan(call->thread, &scan, &cursor, visit, &wanted);
    } while (cursor != 0);
    shoal_reply_end_array(&call->reply, mark, wanted.found);
}

/* ---- SCAN ---- */

/* Takes option `index` with its argument. False after writing an error. */
static bool take_scan_option(shoal_call *call, uint32_t index, walk *wanted, int64_t *count)
{
    SHOAL_ASSERT(index < call->argc);
    if (index + 1 == call->argc) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    if (shoal_call__word(call, index, "count")) {
        if (!shoal_call__integer(call, index + 1, count)) return false;
        if (*count >= 1) return true;
    } else if (shoal_call__word(call, index, "match")) {
        wanted->pattern = call->argv[index + 1];
        wanted->matching = !matches_all(wanted->pattern);
        return true;
    } else if (shoal_call__word(call, index, "type")) {
        wanted->nothing = !shoal_call__word(call, index + 1, "string");
        return true;
    }
    shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    return false;
}

/* Visits about `count` keys. Buckets may hold one key or several, so it goes on until there are as
 * many keys, but never for more buckets than that. */
static void scan_some(shoal_call *call, uint32_t count, uint64_t *cursor, walk *wanted)
{
    SHOAL_ASSERT(count >= 1 && count <= SCAN_COUNT_MAX);
    uint32_t buckets = 0;
    do {
        uint32_t missing = count - (uint32_t)wanted->visited;
        shoal_scan scan = {call->db, 0, SHOAL_SLOTS - 1, 1 + missing / KEYS_PER_BUCKET};
        shoal_store_scan(call->thread, &scan, cursor, visit, wanted);
        buckets += scan.count;
    } while (*cursor != 0 && wanted->visited < count && buckets < count);
}

/* Reads a cursor: any decimal digits, also none, as Redis takes them. */
static bool parse_cursor(shoal_slice text, uint64_t *cursor)
{
    while (text.size > 1 && text.data[0] == '0') text.data++, text.size--;
    *cursor = 0;
    return text.size == 0 || shoal_text_to_u64(text, cursor);
}

void shoal_command__scan(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    uint64_t cursor;
    if (!parse_cursor(call->argv[1], &cursor)) {
        shoal_reply_error(&call->reply, "ERR invalid cursor");
        return;
    }
    shoal_buffer names = shoal_buffer_make(&call->env->allocator);
    shoal_reply inner = {.out = &names, .protocol = call->reply.protocol};
    walk wanted = {.reply = &inner};
    int64_t count = SCAN_COUNT_DEFAULT;
    for (uint32_t i = 2; i < call->argc; i += 2) {
        if (!take_scan_option(call, i, &wanted, &count)) return;
    }
    if (count > SCAN_COUNT_MAX) count = SCAN_COUNT_MAX;

    /* The cursor stands before the names but is known after them. */
    scan_some(call, (uint32_t)count, &cursor, &wanted);
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    shoal_reply_array(&call->reply, 2);
    shoal_reply_bulk(&call->reply, (shoal_slice){digits, shoal_text_from_u64(digits, cursor)});
    shoal_reply_array(&call->reply, wanted.found);
    shoal_buffer_append(call->reply.out, shoal_buffer_slice(&names));
    if (names.failed) call->reply.out->failed = true;
    shoal_buffer_free(&names);
}

/* ---- single answers ---- */

void shoal_command__randomkey(shoal_call *call)
{
    const shoal_item *item = shoal_store_random(call->thread, call->db);
    SHOAL_ASSERT(call->argc == 1);
    if (item == NULL) {
        shoal_reply_null(&call->reply);
    } else {
        shoal_reply_bulk(&call->reply, shoal_item_name(item));
    }
}

void shoal_command__dbsize(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 1);
    shoal_reply_integer(&call->reply, (int64_t)shoal_store_count(call->store, call->db));
}
