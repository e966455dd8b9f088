/* SPDX-License-Identifier: MIT
 *
 * store/cache_face.h - what the two files that make shoal/cache.h of the store share: cache.c
 * (life, reads, scan, statistics) and cache_write.c.
 */
#ifndef SHOAL_STORE_CACHE_FACE_H
#define SHOAL_STORE_CACHE_FACE_H

#include <shoal/cache.h>

#include "store/store.h"

/* Keys whose memory accesses overlap: as many as a core has misses under way. */
#define CACHE_BATCH_KEYS 16u

/* A key made ready. */
shoal_key shoal_cache__key(const shoal_thread *thread, shoal_slice name);
/* Describes an item, or none. */
void shoal_cache__describe(const shoal_item *item, shoal_cache_value *out);
/* 0, or what a caller who wants a string is told about an item, or none. */
shoal_err shoal_cache__check_string(const shoal_item *item);

#endif
