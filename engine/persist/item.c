/* SPDX-License-Identifier: MIT
 *
 * persist/item.h: a string by its bytes, all else as pack or object.
 */
#include "persist/item.h"

#include "base/assert.h"

shoal_rdb_value shoal_persist__value(const shoal_item *item, char scratch[SHOAL_INT_TEXT_SIZE])
{
    shoal_rdb_value value = {.type = shoal_item_type(item)};
    SHOAL_ASSERT(value.type != SHOAL_TYPE_NONE);
    if (value.type == SHOAL_TYPE_STRING) {
        value.string = shoal_item_string(item, scratch);
    } else {
        value.compound = shoal_item_compound(item);
    }
    return value;
}

/* Hands an object over, with what its making has counted. */
static shoal_err put_object(shoal_thread *thread, const shoal_key *key, shoal_rdb_loader *loader,
                            int64_t expires_ms)
{
    shoal_account *account = shoal_thread_account(thread);
    shoal_object *object = shoal_rdb_loader_value(loader).compound.object;
    SHOAL_ASSERT(account->bytes == 0);
    SHOAL_ASSERT(object->bytes == 0);
    account->bytes = loader->account.bytes;
    shoal_err err = shoal_store_put_object_locked(thread, key, object, expires_ms);
    if (err == SHOAL_ERR_OK) {
        shoal_rdb_loader_taken(loader);
    } else {
        account->bytes = 0;
    }
    return err;
}

shoal_err shoal_persist_put(shoal_thread *thread, const shoal_key *key, shoal_rdb_loader *loader,
                            int64_t expires_ms)
{
    shoal_rdb_value value = shoal_rdb_loader_value(loader);
    shoal_err err;
    SHOAL_ASSERT(value.type != SHOAL_TYPE_NONE);
    loader->account.allocator = shoal_thread_allocator(thread);
    if (value.type == SHOAL_TYPE_STRING) {
        err = shoal_store_put_locked(thread, key, value.string, expires_ms);
    } else if (value.compound.object != NULL) {
        err = put_object(thread, key, loader, expires_ms);
    } else {
        shoal_gather parts = {&value.compound.pack, 1};
        err = shoal_store_put_pack_locked(thread, key, value.type, parts, expires_ms);
    }
    shoal_rdb_loader_drop(loader);
    return err;
}
