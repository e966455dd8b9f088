/* SPDX-License-Identifier: MIT
 *
 * store/item.c - items: one allocation that holds header, expiry, key and value, written once and
 * never again. It knows nothing of where items are kept.
 */
#include "store/quick.h"

#include "base/text.h"
#include "value/edited.h"

/* Values up to this many bytes are "embstr" to clients, as Redis has taught them. */
#define EMBSTR_SIZE_MAX 44u

shoal_value_type shoal_item_type(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_DEBUG_ASSERT(item != NULL);
    return (shoal_value_type)(item->head & ITEM_TYPE_MASK);
}

shoal_slice shoal_item_name(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_DEBUG_ASSERT((item->head & ITEM_TYPE_MASK) != SHOAL_TYPE_NONE);
    shoal_item_parts parts = shoal_item__parts(item);
    return (shoal_slice){parts.key, parts.key_size};
}

bool shoal_item_integer(const shoal_item *item, int64_t *value)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_DEBUG_ASSERT((item->head & ITEM_TYPE_MASK) != SHOAL_TYPE_NONE);
    SHOAL_DEBUG_ASSERT(value != NULL);
    const uint8_t wanted = SHOAL_TYPE_STRING | ITEM_INTEGER;
    if ((item->head & (ITEM_TYPE_MASK | ITEM_INTEGER)) != wanted) return false;
    memcpy(value, shoal_item__parts(item).value, sizeof *value);
    return true;
}

/* The string of an item that is not just its name and value. */
static __attribute__((noinline)) shoal_slice unusual_string(const shoal_item *item,
                                                            char scratch[SHOAL_INT_TEXT_SIZE])
{
    SHOAL_DEBUG_ASSERT(scratch != NULL);
    SHOAL_ASSERT(shoal_item_type(item) == SHOAL_TYPE_STRING);
    int64_t integer;
    if (shoal_item_integer(item, &integer)) {
        size_t size = shoal_text_from_i64(scratch, integer);
        scratch[size] = '\0';
        return (shoal_slice){scratch, size};
    }
    const shoal_object *object = shoal_item__object(item);
    if (UNLIKELY(object != NULL)) return shoal_edited_bytes(object);
    shoal_item_parts parts = shoal_item__parts(item);
    return (shoal_slice){parts.value, parts.value_size};
}

shoal_slice shoal_item_string(const shoal_item *item, char scratch[SHOAL_INT_TEXT_SIZE])
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_DEBUG_ASSERT(scratch != NULL);
    const uint8_t asked = ITEM_TYPE_MASK | ITEM_KEPT_MASK | ITEM_VOLATILE | ITEM_LONG;
    if (LIKELY(((item->head ^ SHOAL_TYPE_STRING) & asked & ~ITEM_RAW) == 0))
        return (shoal_slice){item->bytes + item->key_size, item->value_size};
    return unusual_string(item, scratch);
}

size_t shoal_item_string_size(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_DEBUG_ASSERT((item->head & ITEM_TYPE_MASK) != SHOAL_TYPE_NONE);
    char scratch[SHOAL_INT_TEXT_SIZE];
    if (item->head & (ITEM_INTEGER | ITEM_OBJECT)) return shoal_item_string(item, scratch).size;
    return shoal_item__parts(item).value_size;
}

int64_t shoal_item_expires_ms(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_DEBUG_ASSERT((item->head & ITEM_TYPE_MASK) != SHOAL_TYPE_NONE);
    return shoal_item__parts(item).expires_ms;
}

const char *shoal_item_encoding(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_DEBUG_ASSERT((item->head & ITEM_TYPE_MASK) != SHOAL_TYPE_NONE);
    SHOAL_ASSERT(shoal_item_type(item) == SHOAL_TYPE_STRING);
    if (item->head & ITEM_INTEGER) return "int";
    if (item->head & (ITEM_RAW | ITEM_OBJECT)) return "raw";
    return shoal_item__parts(item).value_size <= EMBSTR_SIZE_MAX ? "embstr" : "raw";
}

bool shoal_item_is_object(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_DEBUG_ASSERT((item->head & ITEM_TYPE_MASK) != SHOAL_TYPE_NONE);
    return (item->head & ITEM_OBJECT) != 0;
}

shoal_compound shoal_item_compound(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_ASSERT(shoal_item_type(item) > SHOAL_TYPE_STRING || shoal_item_is_object(item));
    shoal_object *object = shoal_item__object(item);
    if (object != NULL) return (shoal_compound){.object = object};
    shoal_item_parts parts = shoal_item__parts(item);
    return (shoal_compound){.pack = {parts.value, parts.value_size}};
}

size_t shoal_item_memory(const shoal_store *store, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    SHOAL_DEBUG_ASSERT((item->head & ITEM_TYPE_MASK) != SHOAL_TYPE_NONE);
    return shoal_store__usable(store, shoal_item__size(item), ITEM_ALIGNMENT);
}

/* Writes the header in the form that `plan` needs; returns what follows it. */
static char *write_header(shoal_item *item, const shoal_item_plan *plan, size_t value_size,
                          uint8_t head)
{
    SHOAL_DEBUG_ASSERT((head & ITEM_TYPE_MASK) != 0);
    SHOAL_DEBUG_ASSERT(value_size <= SHOAL_VALUE_SIZE_MAX);
    if (!(head & ITEM_LONG)) {
        item->head = head;
        item->key_size = (uint8_t)plan->name.size;
        item->value_size = (uint16_t)value_size;
        return item->bytes;
    }
    shoal_item_long *lengthy = (shoal_item_long *)(void *)item;
    *lengthy = (shoal_item_long){
        .head = head,
        .key_size = (uint32_t)plan->name.size,
        .value_size = (uint32_t)value_size,
    };
    return lengthy->bytes;
}

static char *write_expiry(char *at, int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(expires_ms >= 0);
    SHOAL_DEBUG_ASSERT(expires_ms <= SHOAL_EXPIRES_MS_MAX);
    uint32_t low = (uint32_t)expires_ms;
    uint16_t high = (uint16_t)((uint64_t)expires_ms >> 32);
    memcpy(at, &low, sizeof low);
    memcpy(at + sizeof low, &high, sizeof high);
    return at + ITEM_EXPIRY_SIZE;
}

static size_t gathered_size(shoal_gather value)
{
    SHOAL_DEBUG_ASSERT(value.count > 0);
    SHOAL_DEBUG_ASSERT(value.parts != NULL);
    size_t size = value.parts[0].size;
    for (uint32_t i = 1; UNLIKELY(i < value.count); i++) size += value.parts[i].size;
    return size;
}

/* The head for a plan, whose value has `value_size` bytes. */
static uint8_t head_of(const shoal_item_plan *plan, size_t value_size)
{
    SHOAL_ASSERT(plan->type > SHOAL_TYPE_NONE && plan->type < SHOAL_TYPE_COUNT);
    SHOAL_ASSERT((plan->kept & ~ITEM_KEPT_MASK) == 0);
    uint8_t head = (uint8_t)((unsigned)plan->type | plan->kept);
    if (plan->name.size > UINT8_MAX || value_size > UINT16_MAX) head |= ITEM_LONG;
    if (plan->expires_ms >= 0) head |= ITEM_VOLATILE;
    return head;
}

shoal_item *shoal_item__make(shoal_thread *thread, shoal_item_plan *plan)
{
    size_t value_size = gathered_size(plan->value);
    SHOAL_ASSERT(plan->name.size <= SHOAL_KEY_SIZE_MAX);
    SHOAL_ASSERT(value_size <= SHOAL_VALUE_SIZE_MAX);
    int64_t expires_ms = plan->expires_ms;
    if (expires_ms > SHOAL_EXPIRES_MS_MAX) expires_ms = SHOAL_EXPIRES_MS_MAX;

    uint8_t head = head_of(plan, value_size);
    size_t size = plan->name.size + value_size;
    size += head & ITEM_LONG ? sizeof(shoal_item_long) : sizeof(shoal_item);
    if (expires_ms >= 0) size += ITEM_EXPIRY_SIZE;
    shoal_item *item = shoal_slab_take(&thread->slab, size, ITEM_ALIGNMENT);
    if (item == NULL) return NULL;
    plan->bytes = shoal_store__usable(thread->store, size, ITEM_ALIGNMENT);
    shoal_bump_relaxed(&thread->counters.bytes, (int64_t)plan->bytes);

    char *at = write_header(item, plan, value_size, head);
    if (expires_ms >= 0) at = write_expiry(at, expires_ms);
    at = shoal_quick__name(at, plan->name);
    for (uint32_t i = 0; i < plan->value.count; i++) {
        shoal_slice part = plan->value.parts[i];
        if (part.size > 0) memcpy(at, part.data, part.size);
        at += part.size;
    }
    SHOAL_DEBUG_ASSERT(shoal_item__size(item) == size);
    return item;
}

size_t shoal_item__free(shoal_thread *thread, shoal_item *item, size_t size)
{
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    SHOAL_DEBUG_ASSERT((uintptr_t)item % ITEM_ALIGNMENT == 0);
    size_t bytes = shoal_store__usable(thread->store, size, ITEM_ALIGNMENT);
    shoal_bump_relaxed(&thread->counters.bytes, -(int64_t)bytes);
    shoal_slab_give(&thread->slab, item, size, ITEM_ALIGNMENT);
    return bytes;
}
