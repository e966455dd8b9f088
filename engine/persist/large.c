/* SPDX-License-Identifier: MIT
 *
 * persist/large.h: tables are walked by their own cursor, which growth and shrinking do not
 * disturb; sorted sets from the last element that was met down, wherever that place is by now;
 * lists by spans; strings from their beginning on.
 */
#include "persist/large.h"

#include "base/assert.h"
#include "base/text.h"
#include "persist/aof_reader.h"

/* Of the hash of kept names: they are those of clients, but few, and gone with the snapshot. */
#define TOLD_SEED 0x9e3779b97f4a7c15u
/* Most neighbours of an element of a list that are kept with it, at each side, and their bytes.
 * Chosen: one or two microseconds. */
#define REACH_COUNT 16u
#define REACH_BYTES 1024u
/* Bytes of a list's elements that are kept in one span, on average, of many. */
#define SPAN_BYTES ((uint64_t)16 << 10)
/* Bytes of elements that count as one more of the budget. */
#define UNIT_BYTES 1024u

static const shoal_table *table_of(const shoal_large *large)
{
    SHOAL_ASSERT(large->value.type == SHOAL_TYPE_SET || large->value.type == SHOAL_TYPE_HASH);
    SHOAL_ASSERT(large->value.compound.object != NULL);
    return (const shoal_table *)large->value.compound.object;
}

static void end_writing(shoal_large *large)
{
    SHOAL_ASSERT(!large->over);
    SHOAL_ASSERT(large->elements.left == 0 || large->bytes.failed);
    large->over = true;
    if (large->batch.word != NULL) shoal_batch_flush(&large->batch, &large->bytes);
    if (large->plain) shoal_buffer_append(&large->bytes, shoal_buffer_slice(&large->foot));
    if (large->foot.failed) large->bytes.failed = true;
    if (large->told != NULL) shoal_object_free(&large->told->object, &large->account);
    large->told = NULL;
    shoal_spans_end(&large->spans, &large->account);
    shoal_long_end(&large->text, &large->account);
}

/* ---- elements, of a file or of commands ---- */

static void put_entry(shoal_large *large, const shoal_table_entry *entry)
{
    SHOAL_ASSERT(large->elements.left > 0);
    SHOAL_DEBUG_ASSERT(!large->over);
    if (!large->plain) {
        shoal_rdb_elements_add(&large->elements, &large->bytes, entry);
        return;
    }
    large->elements.left--;
    shoal_batch_add_entry(&large->batch, &large->bytes, entry);
}

static void put_scored(shoal_large *large, const shoal_zset_entry *entry)
{
    SHOAL_ASSERT(large->elements.left > 0);
    SHOAL_DEBUG_ASSERT(!large->over);
    if (!large->plain) {
        shoal_rdb_elements_add_scored(&large->elements, &large->bytes, entry);
        return;
    }
    large->elements.left--;
    shoal_batch_add_scored(&large->batch, &large->bytes, entry);
}

/* ---- sets and hashes ---- */

static bool is_live(const shoal_large *large, const shoal_table_entry *entry)
{
    SHOAL_DEBUG_ASSERT(large->now_ms >= 0);
    SHOAL_DEBUG_ASSERT(entry->name.kind != SHOAL_ELEMENT_DOUBLE);
    return entry->deadline_ms < 0 || entry->deadline_ms > large->now_ms;
}

static bool is_told(const shoal_large *large, const shoal_element *name)
{
    SHOAL_DEBUG_ASSERT(!large->over);
    return large->told != NULL && shoal_table_find(large->told, name, NULL);
}

/* One entry that the walk meets. */
static void visit(void *context, const shoal_table_entry *entry)
{
    shoal_large *large = context;
    SHOAL_DEBUG_ASSERT(!large->over);
    if (!is_live(large, entry) || is_told(large, &entry->name)) return;
    put_entry(large, entry);
}

/* A page or more. True at the end. */
static bool walk(shoal_large *large, uint32_t *budget)
{
    const shoal_table *table = table_of(large);
    SHOAL_ASSERT(*budget > 0);
    do {
        uint64_t left = large->elements.left;
        size_t before = shoal_buffer_size(&large->bytes);
        shoal_table_scan(table, &large->cursor, visit, large);
        uint64_t written = left - large->elements.left;
        SHOAL_DEBUG_ASSERT(written <= left);
        written += (shoal_buffer_size(&large->bytes) - before) / UNIT_BYTES;
        if (*budget != UINT32_MAX)
            *budget = written + 1 < *budget ? *budget - (uint32_t)written - 1 : 0;
    } while (large->cursor != 0 && *budget > 0);
    return large->cursor == 0;
}

/* Keeps a name. False without memory. */
static bool keep(shoal_large *large, const shoal_element *name)
{
    SHOAL_ASSERT(!large->over);
    SHOAL_DEBUG_ASSERT(large->account.allocator != NULL);
    if (large->told == NULL)
        large->told = shoal_table_make(&large->account, SHOAL_TYPE_SET, TOLD_SEED);
    if (large->told == NULL) return false;
    const shoal_table_entry entry = {.name = *name, .deadline_ms = -1};
    bool added = false;
    return shoal_table_put(large->told, &large->account, &entry, &added) == SHOAL_ERR_OK;
}

/* ---- sorted sets ---- */

/* How many elements there are that the walk has not passed. */
static uint64_t not_passed(const shoal_large *large)
{
    SHOAL_ASSERT(large->value.type == SHOAL_TYPE_ZSET);
    SHOAL_DEBUG_ASSERT(large->begun || shoal_buffer_size(&large->member) == 0);
    if (!large->begun) return shoal_zset_count(&large->value.compound);
    const shoal_zset_entry last = {shoal_buffer_slice(&large->member), large->score};
    return shoal_zset_before(&large->value.compound, &last);
}

/* The walk has come to this element. */
static void come_to(shoal_large *large, const shoal_zset_entry *entry)
{
    SHOAL_DEBUG_ASSERT(!large->over);
    SHOAL_ASSERT(entry->score == entry->score);
    large->begun = true;
    large->score = entry->score;
    shoal_buffer_consume(&large->member, shoal_buffer_size(&large->member));
    shoal_buffer_append(&large->member, entry->member);
    /* Without memory for it nobody knows where to go on. */
    if (large->member.failed) large->bytes.failed = true;
}

/* Some elements, from the highest down. True at the end. */
static bool walk_ranks(shoal_large *large, uint32_t *budget)
{
    shoal_zset_ranks ranks = {.from = 0, .to = not_passed(large)};
    SHOAL_ASSERT(*budget > 0);
    if (*budget != UINT32_MAX && ranks.to > *budget) ranks.from = ranks.to - *budget;
    uint64_t left = ranks.to - ranks.from;
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_zset_seek(&cursor, &large->value.compound, ranks, true);
    while (shoal_zset_next(&cursor, &entry)) {
        const shoal_element name = shoal_element_of(entry.member);
        if (!is_told(large, &name)) put_scored(large, &entry);
        if (--left == 0) come_to(large, &entry);
    }
    SHOAL_ASSERT(left == 0);
    if (*budget != UINT32_MAX) *budget -= (uint32_t)(ranks.to - ranks.from);
    return ranks.from == 0;
}

/* ---- lists ---- */

static void spend(uint32_t *budget, size_t bytes)
{
    SHOAL_DEBUG_ASSERT(*budget > 0);
    if (*budget == UINT32_MAX) return;
    size_t cost = 1 + bytes / UNIT_BYTES;
    *budget = cost < *budget ? *budget - (uint32_t)cost : 0;
}

/* An element of a list, in its turn. */
static void put_element(shoal_large *large, const shoal_element *element)
{
    SHOAL_ASSERT(large->elements.left > 0);
    SHOAL_DEBUG_ASSERT(large->value.type == SHOAL_TYPE_LIST);
    if (!large->plain) {
        shoal_rdb_elements_add_element(&large->elements, &large->bytes, element);
        return;
    }
    large->elements.left--;
    shoal_batch_add(&large->batch, &large->bytes, element);
}

/* Writes elements of the first span, which is old and has `count`. */
static void write_old(shoal_large *large, uint64_t count, uint32_t *budget)
{
    shoal_list_cursor cursor;
    shoal_element element;
    uint64_t written = 0;
    SHOAL_ASSERT(count > 0 && *budget > 0);
    shoal_list_seek(&cursor, &large->value.compound, large->spans.passed, false);
    while (written<count && * budget> 0) {
        size_t before = shoal_buffer_size(&large->bytes);
        bool more = shoal_list_next(&cursor, &element);
        SHOAL_ASSERT(more);
        put_element(large, &element);
        spend(budget, shoal_buffer_size(&large->bytes) - before);
        written++;
    }
    shoal_spans_pass(&large->spans, &large->account, written);
}

/* Some elements, from the head on. True at the end. */
static bool walk_list(shoal_large *large, uint32_t *budget)
{
    shoal_span first;
    SHOAL_ASSERT(large->value.type == SHOAL_TYPE_LIST);
    while (*budget > 0 && shoal_spans_first(&large->spans, &first)) {
        if (first.kind == SHOAL_SPAN_OLD) {
            write_old(large, first.count, budget);
            continue;
        }
        if (first.kind == SHOAL_SPAN_KEPT) {
            /* Of commands they are whole ones, which stand behind those before them. */
            if (large->plain) shoal_batch_flush(&large->batch, &large->bytes);
            shoal_buffer_append(&large->bytes, first.kept);
        }
        spend(budget, first.kept.size);
        shoal_spans_pass(&large->spans, &large->account, first.count);
    }
    return large->spans.used == 0;
}

/* Elements of a list as they are kept, the last of which they are. */
static void write_kept(shoal_large *large, uint64_t from, uint64_t to, shoal_buffer *out)
{
    shoal_rdb_elements elements = large->elements;
    shoal_list_cursor cursor;
    shoal_element element;
    shoal_batch batch = {.word = NULL};
    SHOAL_ASSERT(from < to);
    if (large->plain) batch = shoal_batch_make(SHOAL_TYPE_LIST, large->batch.name, out->allocator);
    shoal_list_seek(&cursor, &large->value.compound, from, false);
    for (uint64_t i = from; i < to; i++) {
        bool more = shoal_list_next(&cursor, &element);
        SHOAL_ASSERT(more);
        if (large->plain)
            shoal_batch_add(&batch, out, &element);
        else
            shoal_rdb_elements_add_element(&elements, out, &element);
    }
    if (large->plain) shoal_batch_flush(&batch, out);
    shoal_batch_free(&batch);
}

/* Keeps elements of one old span. False without memory; then nothing has changed. */
static bool keep_elements(shoal_large *large, uint64_t from, uint64_t to)
{
    shoal_buffer bytes = shoal_buffer_make(large->bytes.allocator);
    SHOAL_ASSERT(from < to);
    write_kept(large, from, to, &bytes);
    bool kept = !bytes.failed && shoal_spans_keep(&large->spans, &large->account, from, to,
                                                  shoal_buffer_slice(&bytes));
    if (kept) large->elements.left -= to - from;
    shoal_buffer_free(&bytes);
    return kept;
}

/* Keeps what is old of the elements `index` to `end`, and neighbours. False without memory: then
 * some may be kept. */
static bool keep_range(shoal_large *large, uint64_t index, uint64_t end)
{
    uint64_t from, to, reach = REACH_BYTES / large->element_bytes;
    uint64_t most = SPAN_BYTES / large->element_bytes + 1;
    SHOAL_ASSERT(index < end);
    if (reach > REACH_COUNT) reach = REACH_COUNT;
    while (index < end && shoal_spans_find_old(&large->spans, index, end, &from, &to)) {
        uint64_t first = from > index ? from : index;
        uint64_t last = end - first > most ? first + most : end;
        /* What would be left at either side is kept too where it is little. */
        if (first - from > 2 * reach) from = first - reach;
        if (to > last && to - last > 2 * reach) to = last + reach;
        SHOAL_DEBUG_ASSERT(from <= first && to > first);
        if (!keep_elements(large, from, to)) return false;
        index = to;
    }
    return true;
}

/* Claim L4 for a change of a list: false without memory, and then the list's spans are as it is. */
static bool follow(shoal_large *large, uint64_t index, uint64_t removed, uint64_t added)
{
    uint64_t from, to;
    SHOAL_ASSERT(removed > 0 || added > 0);
    if (removed > 0) {
        if (!keep_range(large, index, index + removed)) return false;
    } else if (shoal_spans_find_old(&large->spans, index, index + 1, &from, &to) && from < index) {
        if (!keep_range(large, index - 1, index + 1)) return false;
    }
    if (removed > added) shoal_spans_remove(&large->spans, &large->account, index, removed - added);
    if (added <= removed) return true;
    return shoal_spans_add(&large->spans, &large->account, index, added - removed);
}

/* ---- changes ---- */

/* Writes the element of a sorted set, if there is one that the walk has not passed. */
static void add_scored(shoal_large *large, const shoal_element *name)
{
    char scratch[32];
    shoal_zset_entry entry = {.member = shoal_element_text(name, scratch)};
    SHOAL_ASSERT(large->value.type == SHOAL_TYPE_ZSET);
    SHOAL_DEBUG_ASSERT(name->kind != SHOAL_ELEMENT_DOUBLE);
    const shoal_compound *set = &large->value.compound;
    if (!shoal_zset_score(set, entry.member, &entry.score)) return;
    if (shoal_zset_before(set, &entry) < not_passed(large)) put_scored(large, &entry);
}

static void add_entry(shoal_large *large, const shoal_element *name)
{
    shoal_table_entry entry;
    SHOAL_ASSERT(large->value.type != SHOAL_TYPE_ZSET);
    SHOAL_DEBUG_ASSERT(!large->over);
    if (shoal_table_find(table_of(large), name, &entry) && is_live(large, &entry))
        put_entry(large, &entry);
}

/* Without memory to keep something, all of the value is written now. */
static void write_all(shoal_large *large)
{
    uint32_t all = UINT32_MAX;
    SHOAL_ASSERT(!large->over);
    shoal_large_write(large, &all);
    SHOAL_ASSERT(large->over);
}

/* Claims L1 to L3. */
static void before(shoal_watch *watch, const shoal_element *name)
{
    shoal_large *large = (shoal_large *)(void *)((char *)watch - offsetof(shoal_large, watch));
    SHOAL_ASSERT(watch->before == before);
    SHOAL_ASSERT(large->grown != NULL);
    bool sorted = large->value.type == SHOAL_TYPE_ZSET;
    if (large->over) return;
    if (!sorted && large->cursor != 0 &&
        shoal_table_is_passed(table_of(large), large->cursor, name))
        return;
    if (is_told(large, name)) return;
    uint64_t left = large->elements.left;
    if (!keep(large, name)) {
        write_all(large);
    } else if (sorted) {
        add_scored(large, name);
    } else {
        add_entry(large, name);
    }
    large->grown(large->context, large, left - large->elements.left);
}

/* Claim L4. */
static void before_range(shoal_watch *watch, uint64_t index, uint64_t removed, uint64_t added)
{
    shoal_large *large = (shoal_large *)(void *)((char *)watch - offsetof(shoal_large, watch));
    SHOAL_ASSERT(watch->before_range == before_range);
    SHOAL_ASSERT(large->value.type == SHOAL_TYPE_LIST);
    if (large->over) return;
    uint64_t left = large->elements.left;
    if (!follow(large, index, removed, added)) write_all(large);
    if (left > large->elements.left || large->over)
        large->grown(large->context, large, left - large->elements.left);
}

/* Claim L5. */
static void before_bytes(shoal_watch *watch, size_t offset, size_t size)
{
    shoal_large *large = (shoal_large *)(void *)((char *)watch - offsetof(shoal_large, watch));
    SHOAL_ASSERT(watch->before_bytes == before_bytes);
    SHOAL_ASSERT(large->value.type == SHOAL_TYPE_STRING);
    if (large->over) return;
    uint64_t kept = large->text.kept;
    if (!shoal_long_keep(&large->text, &large->account, offset, size)) write_all(large);
    if (large->text.kept > kept || large->over)
        large->grown(large->context, large, large->over ? 0 : large->text.kept - kept);
}

/* ---- life ---- */

bool shoal_large_is(const shoal_rdb_key *key, int64_t now_ms, shoal_rdb_kind *kind)
{
    const shoal_object *object = key->value.compound.object;
    SHOAL_ASSERT(key->value.type != SHOAL_TYPE_NONE);
    if (key->value.type == SHOAL_TYPE_STRING) {
        size_t least = object != NULL ? SHOAL_LARGE_MIN : SHOAL_LARGE_STRING_MIN;
        *kind = SHOAL_RDB_STRING;
        return key->value.string.size >= least;
    }
    if (object == NULL || object->bytes < SHOAL_LARGE_MIN) return false;
    /* The nodes of a list, whose number stands in front of them, cannot be told in advance. */
    *kind = key->value.type == SHOAL_TYPE_LIST ? SHOAL_RDB_LIST
                                               : shoal_rdb_kind_of(&key->value, now_ms);
    SHOAL_DEBUG_ASSERT(*kind <= SHOAL_RDB_HASH_LISTPACK_FIELDS);
    return shoal_rdb_is_of_elements(*kind);
}

static void begin_string(shoal_large *large, const shoal_rdb_key *key, const shoal_rdb_style *style)
{
    shoal_long_form form = style->compress ? SHOAL_LONG_SQUEEZED : SHOAL_LONG_PLAIN;
    SHOAL_ASSERT(key->value.type == SHOAL_TYPE_STRING);
    large->element_bytes = 1;
    shoal_long_begin(&large->text, &key->value, large->plain ? SHOAL_LONG_BARE : form);
    if (!large->plain) return;
    bool expires = key->expires_ms >= 0;
    shoal_aof_write_begin(&large->bytes, expires ? 5 : 3);
    shoal_aof_write_argument(&large->bytes, shoal_text("SET"));
    shoal_aof_write_argument(&large->bytes, key->name);
    shoal_text_appendf(&large->bytes, "$%zu\r\n", key->value.string.size);
    shoal_buffer_append(&large->foot, (shoal_slice){"\r\n", 2});
    if (!expires) return;
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    shoal_aof_write_argument(&large->foot, shoal_text("PXAT"));
    shoal_aof_write_argument(&large->foot,
                             (shoal_slice){digits, shoal_text_from_i64(digits, key->expires_ms)});
}

/* What is appended to a file in front of the first element says how many there are. */
static void begin_elements(shoal_large *large, const shoal_rdb_key *key, shoal_rdb_kind kind,
                           const shoal_rdb_style *style)
{
    SHOAL_ASSERT(shoal_rdb_is_of_elements(kind));
    SHOAL_ASSERT(large->batch.word == NULL);
    if (!large->plain) {
        shoal_rdb_elements_begin(&large->elements, &large->bytes, &large->value, kind, style);
        return;
    }
    shoal_buffer unused = shoal_buffer_make(large->bytes.allocator);
    shoal_rdb_elements_begin(&large->elements, &unused, &large->value, kind, style);
    shoal_buffer_free(&unused);
    shoal_buffer_append(&large->name, key->name);
    large->batch = shoal_batch_make(large->value.type, shoal_buffer_slice(&large->name),
                                    large->bytes.allocator);
    if (key->expires_ms < 0) return;
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    shoal_slice argv[3] = {shoal_text("PEXPIREAT"), key->name};
    argv[2] = (shoal_slice){digits, shoal_text_from_i64(digits, key->expires_ms)};
    shoal_aof_write_command(&large->foot, argv, 3);
}

void shoal_large_begin(shoal_large *large, const shoal_rdb_key *key, shoal_rdb_kind kind,
                       const shoal_rdb_style *style)
{
    SHOAL_ASSERT(shoal_rdb_is_of_elements(kind) || kind == SHOAL_RDB_STRING);
    SHOAL_ASSERT(large->bytes.allocator != NULL && large->grown != NULL);
    large->value = key->value;
    large->now_ms = style->now_ms;
    large->account.allocator = large->bytes.allocator;
    large->watch =
        (shoal_watch){.before = before, .before_range = before_range, .before_bytes = before_bytes};
    large->member = shoal_buffer_make(large->bytes.allocator);
    large->name = shoal_buffer_make(large->bytes.allocator);
    large->foot = shoal_buffer_make(large->bytes.allocator);
    if (!large->plain) shoal_rdb_write_key_head(&large->bytes, key, kind, style->compress);
    if (kind == SHOAL_RDB_STRING) {
        begin_string(large, key, style);
        return;
    }
    begin_elements(large, key, kind, style);
    SHOAL_ASSERT(large->elements.left > 0);
    if (large->name.failed || large->foot.failed) large->bytes.failed = true;
    large->element_bytes = (uint64_t)key->value.compound.object->bytes / large->elements.left;
    if (key->value.type != SHOAL_TYPE_LIST) return;
    if (large->element_bytes == 0) large->element_bytes = 1;
    if (!shoal_spans_begin(&large->spans, &large->account, large->elements.left))
        large->bytes.failed = true;
}

void shoal_large_write(shoal_large *large, uint32_t *budget)
{
    SHOAL_ASSERT(*budget > 0);
    SHOAL_DEBUG_ASSERT(large->bytes.allocator != NULL);
    if (large->over) return;
    bool end;
    switch (large->value.type) {
    case SHOAL_TYPE_STRING:
        end = shoal_long_write(&large->text, &large->account, &large->bytes, budget);
        break;
    case SHOAL_TYPE_LIST: end = walk_list(large, budget); break;
    case SHOAL_TYPE_ZSET: end = walk_ranks(large, budget) || large->elements.left == 0; break;
    default: end = walk(large, budget) || large->elements.left == 0; break;
    }
    if (end) end_writing(large);
}

uint64_t shoal_large_kept(const shoal_large *large)
{
    SHOAL_DEBUG_ASSERT(!large->over || large->spans.kept_bytes == 0);
    SHOAL_DEBUG_ASSERT(!large->over || large->text.kept == 0);
    return large->spans.kept_bytes + shoal_long_kept(&large->text);
}

void shoal_large_end(shoal_large *large)
{
    SHOAL_DEBUG_ASSERT(large->account.allocator != NULL);
    if (large->told != NULL) shoal_object_free(&large->told->object, &large->account);
    large->told = NULL;
    shoal_spans_end(&large->spans, &large->account);
    shoal_long_end(&large->text, &large->account);
    SHOAL_ASSERT(large->account.bytes == 0);
    shoal_batch_free(&large->batch);
    shoal_buffer_free(&large->member);
    shoal_buffer_free(&large->name);
    shoal_buffer_free(&large->foot);
    shoal_buffer_free(&large->bytes);
}
