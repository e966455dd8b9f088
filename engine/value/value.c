/* SPDX-License-Identifier: MIT
 *
 * value/value.c - the memory of objects, and the table of types.
 */
#include "value/value.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

void *shoal_account_take(shoal_account *account, size_t size)
{
    SHOAL_ASSERT(size > 0);
    void *memory = shoal_memory_take(account->allocator, size, SHOAL_OBJECT_ALIGNMENT);
    if (memory == NULL) return NULL;
    account->bytes +=
        (int64_t)shoal_memory_usable(account->allocator, size, SHOAL_OBJECT_ALIGNMENT);
    return memory;
}

void shoal_account_give(shoal_account *account, void *memory, size_t size)
{
    if (memory == NULL) return;
    SHOAL_ASSERT(size > 0);
    account->bytes -=
        (int64_t)shoal_memory_usable(account->allocator, size, SHOAL_OBJECT_ALIGNMENT);
    shoal_memory_give(account->allocator, memory, size, SHOAL_OBJECT_ALIGNMENT);
}

void *shoal_account_resize(shoal_account *account, void *memory, size_t old_size, size_t size)
{
    SHOAL_ASSERT(size > 0);
    SHOAL_ASSERT((memory == NULL) == (old_size == 0));
    void *larger = shoal_account_take(account, size);
    if (larger == NULL) return NULL;
    if (old_size > 0) memcpy(larger, memory, old_size < size ? old_size : size);
    shoal_account_give(account, memory, old_size);
    return larger;
}

void shoal_object_free(shoal_object *object, shoal_account *account)
{
    if (object == NULL) return;
    const shoal_value_ops *ops = shoal_value_ops_of((shoal_value_type)object->type);
    SHOAL_ASSERT(ops != NULL);
    bool done = false;
    while (!done) {
        uint32_t budget = UINT32_MAX;
        done = ops->free_some(object, account, &budget);
    }
}
