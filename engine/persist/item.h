/* SPDX-License-Identifier: MIT
 *
 * persist/item.h - between what the store holds and the RDB format.
 */
#ifndef SHOAL_PERSIST_ITEM_H
#define SHOAL_PERSIST_ITEM_H

#include "rdb/rdb.h"
#include "store/store.h"

/* What an item holds, borrowed from it and from `scratch`; an object under its gate only. */
shoal_rdb_value shoal_persist__value(const shoal_item *item, char scratch[SHOAL_INT_TEXT_SIZE]);
/* Puts what a loader has read at a key, under its gate, and empties the loader; < 0: no TTL. 0 or
 * SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_persist_put(shoal_thread *thread, const shoal_key *key,
                                           shoal_rdb_loader *loader, int64_t expires_ms);

#endif
