/* SPDX-License-Identifier: MIT
 *
 * value/draft.c - changes of sets and hashes. A pack is edited in the draft's own bytes; what does
 * not fit there, or must keep deadlines, becomes a table.
 */
#include "value/draft.h"

#include "base/assert.h"

static bool has_pairs(const shoal_draft *draft)
{
    SHOAL_DEBUG_ASSERT(draft->type == SHOAL_TYPE_SET || draft->type == SHOAL_TYPE_HASH);
    return draft->type == SHOAL_TYPE_HASH;
}

/* Where the entries of the pack begin. */
static char *entries_of(shoal_draft *draft)
{
    SHOAL_DEBUG_ASSERT(draft->table == NULL);
    return draft->bytes + SHOAL_PACK_HEAD + (draft->wide ? SHOAL_MEMBERS__MARK_SIZE : 0);
}

void shoal_draft_begin(shoal_draft *draft, const shoal_draft_options *options,
                       const shoal_compound *value)
{
    /* All but the bytes. */
    draft->options = *options;
    draft->type = options->type;
    draft->table = NULL;
    draft->made = draft->wide = draft->changed = false;
    draft->elements = 0;
    draft->size = SHOAL_PACK_HEAD;
    if (value->object != NULL) {
        SHOAL_ASSERT(value->object->type == options->type);
        draft->table = (shoal_table *)value->object;
        draft->wide = value->object->encoding == SHOAL_MEMBERS_WIDE;
    } else if (value->pack.data != NULL) {
        SHOAL_ASSERT(value->pack.size <= sizeof(draft->bytes));
        memcpy(draft->bytes, value->pack.data, value->pack.size);
        draft->size = (uint32_t)value->pack.size;
        draft->elements = shoal_pack_count(value->pack);
        draft->wide = shoal_members__is_marked(value->pack);
    }
}

shoal_err shoal_draft_fill(shoal_draft *draft, const shoal_object *object)
{
    SHOAL_ASSERT(object->type == draft->type);
    SHOAL_ASSERT(draft->table == NULL && shoal_draft_count(draft) == 0);
    shoal_object *copy = shoal_table_copy(object, draft->options.account);
    if (copy == NULL) return SHOAL_ERR_NO_MEMORY;
    copy->encoding = SHOAL_MEMBERS_WIDE;
    draft->table = (shoal_table *)copy;
    draft->made = draft->wide = draft->changed = true;
    return SHOAL_ERR_OK;
}

uint64_t shoal_draft_count(const shoal_draft *draft)
{
    if (draft->table != NULL) return draft->table->count;
    SHOAL_DEBUG_ASSERT(draft->elements >= draft->wide);
    return (draft->elements - draft->wide) >> has_pairs(draft);
}

shoal_compound shoal_draft_value(shoal_draft *draft)
{
    if (draft->table != NULL) return (shoal_compound){.object = &draft->table->object};
    SHOAL_ASSERT(draft->size <= sizeof(draft->bytes));
    if (shoal_draft_count(draft) == 0) return (shoal_compound){.object = NULL};
    shoal_pack_write_head(draft->bytes, draft->elements);
    return (shoal_compound){.pack = {draft->bytes, draft->size}};
}

void shoal_draft_drop(shoal_draft *draft)
{
    if (!draft->made) return;
    SHOAL_ASSERT(draft->table != NULL);
    shoal_object_free(&draft->table->object, draft->options.account);
    draft->table = NULL;
    draft->made = false;
}

/* ---- forms ---- */

/* Makes a table of the pack. */
static shoal_err to_table(shoal_draft *draft)
{
    SHOAL_ASSERT(draft->table == NULL);
    shoal_account *account = draft->options.account;
    uint64_t seed = shoal_prng_next(draft->options.prng);
    shoal_table *table = shoal_table_make(account, draft->type, seed);
    if (table == NULL) return SHOAL_ERR_NO_MEMORY;
    const char *at = entries_of(draft), *end = draft->bytes + draft->size;
    while (at < end) {
        shoal_table_entry entry;
        bool added;
        at = shoal_members__read(at, end, has_pairs(draft), &entry);
        if (shoal_table_put(table, account, &entry, &added) == SHOAL_ERR_OK) continue;
        shoal_object_free(&table->object, account);
        return SHOAL_ERR_NO_MEMORY;
    }
    table->object.encoding = draft->wide ? SHOAL_MEMBERS_WIDE : SHOAL_MEMBERS_COMPACT;
    draft->table = table;
    draft->made = true;
    return SHOAL_ERR_OK;
}

/* The string is too long for a listpack. */
static bool is_long(const shoal_draft *draft, const shoal_element *element)
{
    char scratch[32];
    SHOAL_DEBUG_ASSERT(element->kind != SHOAL_ELEMENT_DOUBLE);
    return shoal_element_text(element, scratch).size > draft->options.limits.value_size;
}

/* The entry makes a hashtable of an intset or listpack. */
static bool widens(const shoal_draft *draft, const shoal_table_entry *entry, bool is_new)
{
    SHOAL_ASSERT(!draft->wide);
    if (is_new && shoal_draft_count(draft) + 1 > draft->options.limits.entries) return true;
    if (!has_pairs(draft)) return entry->name.kind != SHOAL_ELEMENT_INTEGER;
    return is_long(draft, &entry->name) || is_long(draft, &entry->value);
}

static shoal_err widen(shoal_draft *draft)
{
    SHOAL_ASSERT(!draft->wide);
    if (draft->table == NULL && draft->size + SHOAL_MEMBERS__MARK_SIZE > sizeof(draft->bytes)) {
        shoal_err err = to_table(draft);
        if (err != SHOAL_ERR_OK) return err;
    }
    if (draft->table != NULL) {
        draft->table->object.encoding = SHOAL_MEMBERS_WIDE;
    } else {
        char *first = draft->bytes + SHOAL_PACK_HEAD;
        memmove(first + SHOAL_MEMBERS__MARK_SIZE, first, draft->size - SHOAL_PACK_HEAD);
        (void)shoal_members__mark(first);
        draft->size += SHOAL_MEMBERS__MARK_SIZE;
        draft->elements++;
    }
    draft->wide = true;
    return SHOAL_ERR_OK;
}

/* ---- changes ---- */

/* The entry of the pack with that name: an empty slice at the end when there is none. */
static shoal_slice find_packed(shoal_draft *draft, const shoal_element *name)
{
    SHOAL_DEBUG_ASSERT(draft->table == NULL);
    const char *end = draft->bytes + draft->size;
    shoal_slice pack = {draft->bytes, draft->size};
    const char *at = shoal_pack_find(pack, entries_of(draft), name, has_pairs(draft));
    if (at == NULL) return (shoal_slice){end, 0};
    shoal_table_entry entry;
    (void)shoal_members__read(at, end, has_pairs(draft), &entry);
    return entry.bytes;
}

/* Gives the part `old` of the pack `size` bytes instead: returns where they are to be written. */
static char *replace(shoal_draft *draft, shoal_slice old, size_t size)
{
    char *at = draft->bytes + (old.data - draft->bytes);
    SHOAL_ASSERT(draft->size - old.size + size <= sizeof(draft->bytes));
    size_t behind = (size_t)(draft->bytes + draft->size - at) - old.size;
    memmove(at + size, at + old.size, behind);
    draft->size = (uint32_t)(draft->size - old.size + size);
    return at;
}

/* Where a new member of an intset belongs, which is read in order. Elsewhere, the end. */
static shoal_slice new_place(shoal_draft *draft, const shoal_element *name)
{
    const char *at = entries_of(draft), *end = draft->bytes + draft->size;
    SHOAL_DEBUG_ASSERT(at <= end);
    if (has_pairs(draft) || draft->wide) return (shoal_slice){end, 0};
    while (at < end) {
        shoal_element element;
        const char *next = shoal_pack_read(at, end, &element);
        if (element.integer > name->integer) break;
        at = next;
    }
    return (shoal_slice){at, 0};
}

/* Puts the entry into the pack, if it is for packs and fits. */
static bool put_packed(shoal_draft *draft, const shoal_table_entry *entry)
{
    SHOAL_DEBUG_ASSERT(draft->table == NULL);
    if (entry->deadline_ms >= 0) return false;
    bool pairs = has_pairs(draft);
    shoal_slice old = find_packed(draft, &entry->name);
    size_t size = shoal_pack_size_of(&entry->name);
    if (pairs) size += shoal_pack_size_of(&entry->value);
    uint32_t elements = old.size > 0 ? draft->elements : draft->elements + 1 + pairs;
    if (elements > SHOAL_DRAFT_PACK_MAX || draft->size - old.size + size > sizeof(draft->bytes))
        return false;
    draft->elements = elements;
    if (old.size == 0) old = new_place(draft, &entry->name);
    char *at = shoal_pack_write(replace(draft, old, size), &entry->name);
    if (pairs) (void)shoal_pack_write(at, &entry->value);
    return true;
}

static bool has(shoal_draft *draft, const shoal_element *name)
{
    if (draft->table != NULL) return shoal_table_find(draft->table, name, NULL);
    SHOAL_DEBUG_ASSERT(draft->size >= SHOAL_PACK_HEAD);
    return find_packed(draft, name).size > 0;
}

shoal_err shoal_draft_put(shoal_draft *draft, const shoal_table_entry *entry, bool *added)
{
    SHOAL_ASSERT(entry->deadline_ms < 0 || has_pairs(draft));
    shoal_err err = SHOAL_ERR_OK;
    if (draft->table == NULL || !draft->wide) {
        *added = !has(draft, &entry->name);
        if (!draft->wide && widens(draft, entry, *added)) err = widen(draft);
        if (err != SHOAL_ERR_OK) return err;
        if (!*added && !has_pairs(draft)) return SHOAL_ERR_OK;
        if (draft->table == NULL) {
            if (put_packed(draft, entry)) {
                draft->changed = true;
                return SHOAL_ERR_OK;
            }
            err = to_table(draft);
            if (err != SHOAL_ERR_OK) return err;
        }
    }
    err = shoal_table_put(draft->table, draft->options.account, entry, added);
    if (err == SHOAL_ERR_OK && (*added || has_pairs(draft))) draft->changed = true;
    return err;
}

bool shoal_draft_remove(shoal_draft *draft, const shoal_element *name)
{
    if (draft->table != NULL) {
        if (!shoal_table_remove(draft->table, draft->options.account, name)) return false;
    } else {
        shoal_slice old = find_packed(draft, name);
        if (old.size == 0) return false;
        (void)replace(draft, old, 0);
        SHOAL_ASSERT(draft->elements > has_pairs(draft));
        draft->elements -= 1 + has_pairs(draft);
    }
    draft->changed = true;
    return true;
}

shoal_err shoal_draft_date(shoal_draft *draft, const shoal_element *name, int64_t deadline_ms)
{
    SHOAL_ASSERT(has_pairs(draft));
    if (draft->table == NULL) {
        if (deadline_ms < 0) return SHOAL_ERR_OK;
        shoal_err err = to_table(draft);
        if (err != SHOAL_ERR_OK) return err;
    }
    shoal_table_entry entry;
    bool found = shoal_table_find(draft->table, name, &entry), added;
    SHOAL_ASSERT(found);
    entry.deadline_ms = deadline_ms;
    shoal_err err = shoal_table_put(draft->table, draft->options.account, &entry, &added);
    if (err == SHOAL_ERR_OK) draft->changed = true;
    return err;
}
