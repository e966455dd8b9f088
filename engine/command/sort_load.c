/* SPDX-License-Identifier: MIT
 *
 * command/sort_load.c - what SORT sorts, copied out of a list, a set or a sorted set, and the keys
 * that the patterns of BY and GET make of an element.
 */
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "command/sort.h"
#include "value/list.h"
#include "value/members.h"
#include "value/zset.h"

/* Bytes of a block, unless what it is for is longer. Chosen. */
#define BLOCK_SIZE ((size_t)16 << 10)

/* ---- room ---- */

/* A block, and behind it `size` bytes. */
struct shoal_sort_block {
    struct shoal_sort_block *next;
    size_t size;
};

shoal_slice shoal_sort__keep(shoal_sorting *sorting, shoal_slice bytes)
{
    shoal_sort_room *room = &sorting->room;
    if (room->blocks == NULL || room->blocks->size - room->used < bytes.size) {
        size_t size = bytes.size > BLOCK_SIZE ? bytes.size : BLOCK_SIZE;
        struct shoal_sort_block *block =
            shoal_memory_take(&sorting->call->env->allocator, sizeof(*block) + size,
                              SHOAL_ALIGN_PLAIN);
        if (block == NULL) {
            sorting->failed = true;
            return (shoal_slice){NULL, 0};
        }
        *block = (struct shoal_sort_block){room->blocks, size};
        room->blocks = block;
        room->used = 0;
    }
    char *at = (char *)(room->blocks + 1) + room->used;
    SHOAL_ASSERT(room->blocks->size - room->used >= bytes.size);
    if (bytes.size > 0) memcpy(at, bytes.data, bytes.size);
    room->used += bytes.size;
    return (shoal_slice){at, bytes.size};
}

void shoal_sort__free(shoal_sorting *sorting)
{
    SHOAL_ASSERT(sorting->call != NULL);
    const shoal_allocator *allocator = &sorting->call->env->allocator;
    while (sorting->room.blocks != NULL) {
        struct shoal_sort_block *block = sorting->room.blocks;
        sorting->room.blocks = block->next;
        shoal_memory_give(allocator, block, sizeof(*block) + block->size, SHOAL_ALIGN_PLAIN);
    }
    shoal_memory_give(allocator, sorting->entries, sorting->capacity * sizeof(shoal_sort_entry),
                      SHOAL_ALIGN_PLAIN);
    shoal_memory_give(allocator, sorting->gets, sorting->get_capacity * sizeof(shoal_sort_pattern),
                      SHOAL_ALIGN_PLAIN);
    shoal_buffer_free(&sorting->name);
    sorting->entries = NULL;
    sorting->gets = NULL;
}

/* ---- elements ---- */

static void add(shoal_sorting *sorting, shoal_slice text)
{
    if (sorting->failed) return;
    shoal_slice kept = shoal_sort__keep(sorting, text);
    if (sorting->failed) return;
    SHOAL_ASSERT(sorting->count < sorting->capacity);
    sorting->entries[sorting->count] = (shoal_sort_entry){.text = kept, .index = sorting->count};
    sorting->count++;
}

static void load_list(shoal_sorting *sorting, const shoal_compound *value)
{
    shoal_list_cursor cursor;
    shoal_element element;
    char scratch[32];
    SHOAL_DEBUG_ASSERT(shoal_list_count(value) > 0);
    uint64_t count = shoal_list_count(value);
    bool backward = sorting->unsorted && sorting->descending;
    uint64_t first = sorting->unsorted ? sorting->first : 0;
    uint64_t left = sorting->unsorted ? sorting->end - sorting->first : count;
    if (left == 0) return;
    shoal_list_seek(&cursor, value, backward ? count - 1 - first : first, backward);
    for (; left > 0 && shoal_list_next(&cursor, &element); left--)
        add(sorting, shoal_element_text(&element, scratch));
}

static void load_set(shoal_sorting *sorting, const shoal_compound *value)
{
    SHOAL_DEBUG_ASSERT(sorting->count == 0);
    int64_t now_ms = shoal_time_wall_ms(sorting->call->now);
    shoal_members members = shoal_members_of(value, SHOAL_TYPE_SET, now_ms);
    shoal_members_place place = {0};
    shoal_table_entry entry;
    char scratch[32];
    while (shoal_members_next(&members, &place, &entry))
        add(sorting, shoal_element_text(&entry.name, scratch));
}

static void load_zset(shoal_sorting *sorting, const shoal_compound *value)
{
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    uint64_t count = shoal_zset_count(value);
    bool reverse = sorting->unsorted && sorting->descending;
    shoal_zset_ranks ranks = {0, count};
    if (sorting->unsorted) {
        ranks = (shoal_zset_ranks){sorting->first, sorting->end};
        if (reverse) ranks = (shoal_zset_ranks){count - sorting->end, count - sorting->first};
    }
    SHOAL_ASSERT(ranks.from <= ranks.to && ranks.to <= count);
    shoal_zset_seek(&cursor, value, ranks, reverse);
    while (shoal_zset_next(&cursor, &entry)) add(sorting, entry.member);
}

/* Which of `count` elements are answered, as LIMIT has it. */
static void limit(shoal_sorting *sorting, uint64_t count)
{
    SHOAL_DEBUG_ASSERT(count <= INT64_MAX);
    int64_t total = (int64_t)count, first = sorting->limit_first, wanted = sorting->limit_count;
    if (first < 0) first = 0;
    if (first > total) first = total;
    if (wanted < 0 || wanted > total - first) wanted = total - first;
    sorting->first = (uint64_t)first;
    sorting->end = (uint64_t)(first + wanted);
}

void shoal_sort__load(shoal_sorting *sorting, shoal_value_type type, const shoal_compound *value)
{
    SHOAL_ASSERT(sorting->entries == NULL && sorting->count == 0);
    if (value->object == NULL && value->pack.data == NULL) return;
    uint64_t count = shoal_value_ops_of(type)->count(value);
    limit(sorting, count);
    sorting->entries = shoal_memory_take(&sorting->call->env->allocator,
                                         (count + 1) * sizeof(shoal_sort_entry), SHOAL_ALIGN_PLAIN);
    if (sorting->entries == NULL) {
        sorting->failed = true;
        return;
    }
    sorting->capacity = count + 1;
    switch (type) {
    case SHOAL_TYPE_LIST: load_list(sorting, value); break;
    case SHOAL_TYPE_SET: load_set(sorting, value); break;
    default: load_zset(sorting, value); break;
    }
    /* Of those only the range was loaded. */
    if (sorting->unsorted && type != SHOAL_TYPE_SET) {
        sorting->first = 0;
        sorting->end = sorting->count;
    }
    if (sorting->failed) return;
    SHOAL_ASSERT(sorting->end <= sorting->count);
}

/* ---- patterns ---- */

shoal_sort_pattern shoal_sort__pattern(shoal_slice text)
{
    SHOAL_DEBUG_ASSERT(text.data != NULL || text.size == 0);
    if (text.size == 1 && text.data[0] == '#') return (shoal_sort_pattern){SHOAL_SORT__SELF};
    size_t star = shoal_text_find(text, shoal_text("*"));
    if (star == SHOAL_TEXT_NONE) return (shoal_sort_pattern){SHOAL_SORT__NOTHING};
    shoal_slice behind = {text.data + star + 1, text.size - star - 1};
    shoal_sort_pattern pattern = {SHOAL_SORT__KEY, {text.data, star}, behind};
    size_t arrow = shoal_text_find(behind, shoal_text("->"));
    /* With nothing behind it, an arrow is part of the name. */
    if (arrow == SHOAL_TEXT_NONE || arrow + 2 == behind.size) return pattern;
    pattern.kind = SHOAL_SORT__FIELD;
    pattern.behind.size = arrow;
    pattern.field = (shoal_slice){behind.data + arrow + 2, behind.size - arrow - 2};
    return pattern;
}

static bool names_a_key(const shoal_sort_pattern *pattern)
{
    return pattern->kind == SHOAL_SORT__KEY || pattern->kind == SHOAL_SORT__FIELD;
}

/* The name of the key that the pattern makes of an element, borrowed until the next call. */
static shoal_slice make_name(shoal_sorting *sorting, const shoal_sort_pattern *pattern,
                             shoal_slice element)
{
    SHOAL_ASSERT(names_a_key(pattern));
    shoal_buffer *name = &sorting->name;
    shoal_buffer_consume(name, shoal_buffer_size(name));
    shoal_buffer_append(name, pattern->before);
    shoal_buffer_append(name, element);
    shoal_buffer_append(name, pattern->behind);
    if (name->failed) sorting->failed = true;
    return shoal_buffer_slice(name);
}

static void add_slots(shoal_sorting *sorting, const shoal_sort_pattern *pattern,
                      shoal_sort_slots *slots)
{
    SHOAL_DEBUG_ASSERT(pattern != NULL);
    if (!names_a_key(pattern)) return;
    for (uint64_t i = 0; i < sorting->count && !sorting->failed; i++) {
        shoal_slice name = make_name(sorting, pattern, sorting->entries[i].text);
        uint32_t slot = shoal_key_slot(name);
        slots->words[slot / 64] |= (uint64_t)1 << (slot % 64);
    }
}

void shoal_sort__name_slots(shoal_sorting *sorting, shoal_sort_slots *slots)
{
    SHOAL_ASSERT(sorting->gets != NULL || sorting->get_count == 0);
    if (sorting->by_pattern) add_slots(sorting, &sorting->by, slots);
    for (uint32_t i = 0; i < sorting->get_count; i++) add_slots(sorting, &sorting->gets[i], slots);
}

static shoal_slice find_field(shoal_sorting *sorting, const shoal_item *item, shoal_slice field,
                              char scratch[32])
{
    shoal_slice nothing = {NULL, 0};
    if (shoal_item_type(item) != SHOAL_TYPE_HASH) return nothing;
    SHOAL_ASSERT(field.size > 0);
    shoal_compound value = shoal_item_compound(item);
    int64_t now_ms = shoal_time_wall_ms(sorting->call->now);
    shoal_members members = shoal_members_of(&value, SHOAL_TYPE_HASH, now_ms);
    shoal_element probe = shoal_element_of(field);
    shoal_table_entry entry;
    if (!shoal_members_find(&members, &probe, &entry)) return nothing;
    return shoal_element_text(&entry.value, scratch);
}

shoal_slice shoal_sort__find(shoal_sorting *sorting, const shoal_sort_pattern *pattern,
                             shoal_slice element, char scratch[32])
{
    shoal_slice nothing = {NULL, 0};
    const shoal_call *call = sorting->call;
    if (pattern->kind == SHOAL_SORT__SELF) return element;
    if (pattern->kind == SHOAL_SORT__NOTHING) return nothing;
    SHOAL_ASSERT(call->gated);
    shoal_slice name = make_name(sorting, pattern, element);
    if (sorting->failed) return nothing;
    shoal_key key = shoal_key_make(call->store, call->db, name);
    const shoal_item *item = shoal_store_get_locked(call->thread, &key);
    if (item == NULL) return nothing;
    if (pattern->kind == SHOAL_SORT__FIELD)
        return find_field(sorting, item, pattern->field, scratch);
    if (shoal_item_type(item) != SHOAL_TYPE_STRING) return nothing;
    return shoal_item_string(item, scratch);
}
