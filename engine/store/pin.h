/* SPDX-License-Identifier: MIT
 *
 * store/pin.h - large items that stay readable beyond the batch: for a value that is sent to a slow
 * client, or kept for a while by an embedder, without a copy and without holding up the memory of
 * everybody else. Readers pay nothing for it: there is no count in an item.
 */
#ifndef SHOAL_STORE_PIN_H
#define SHOAL_STORE_PIN_H

#include "store/store.h"

/* Items of fewer bytes are not pinned: copying them costs less. */
#define SHOAL_PIN_SIZE_MIN ((size_t)16 << 10)
/* Items pinned at a time, in a store. Chosen: the search of a free place stays within a
 * microsecond. */
#define SHOAL_PINS_MAX 128u

/* Keeps `item`, which was found in this batch, readable until the unpin, whatever happens to its
 * key. Returns the pin, > 0, or 0 when the item is too small or SHOAL_PINS_MAX are taken: then copy
 * it. */
uint32_t shoal_store_pin(shoal_thread *thread, const shoal_item *item);
/* Lets go of it; inside or outside a batch, with any thread's handle that the caller uses. */
void shoal_store_unpin(shoal_thread *thread, uint32_t pin);

#endif
