/* SPDX-License-Identifier: MIT
 *
 * store/key.h - keys made ready for a store, and the look ahead that asks for their memory before
 * they are used; part of store.h. Any thread of the store; what is said of a batch there holds.
 */
#ifndef SHOAL_STORE_KEY_H
#define SHOAL_STORE_KEY_H

#include <shoal/types.h>

typedef struct shoal_store shoal_store;

/* A key made ready: computed once, used by prefetch, admission and execution. */
typedef struct shoal_key {
    shoal_slice name; /* borrowed */
    uint64_t hash;
    uint32_t place;
    /* 1 + the entry of its first bucket under which the look ahead has seen it, a hint; 0: none. */
    uint8_t seen;
} shoal_key;

/* Makes a key ready. `name` is borrowed for as long as the key is used. */
shoal_key shoal_key_make(const shoal_store *store, uint32_t db, shoal_slice name);
/* The same where the key is to stand, which saves a copy. */
void shoal_key_init(shoal_key *key, const shoal_store *store, uint32_t db, shoal_slice name);
/* The same for some keys of one database whose names stand in them. */
void shoal_keys_ready(const shoal_store *store, uint32_t db, shoal_key *keys, uint32_t count);
/* The slot of a name: CRC16 of the hash tag, or of the whole name. */
uint32_t shoal_key_slot(shoal_slice name);

/* The most keys of one look ahead. */
#define SHOAL_KEYS_TOGETHER 32u

/* Hints for a batch, inside enter and leave: first the buckets of some keys (stage 0), then their
 * items (stage 1; at most SHOAL_KEYS_TOGETHER). That notes in each key where it was seen, and
 * returns a bit for each that may stand behind its first bucket, which is then asked for: such keys
 * have a stage of their own before the next. */
void shoal_store_prefetch_buckets(const shoal_store *store, const shoal_key *keys, uint32_t count);
uint32_t shoal_store_prefetch_items(const shoal_store *store, shoal_key *keys, uint32_t count);
void shoal_store_prefetch_behind(const shoal_store *store, const shoal_key *key);
/* Stage 2, where values are large: the rest of the item. Inside enter and leave. */
void shoal_store_prefetch_value(const shoal_store *store, const shoal_key *key);
/* The same for what a write needs besides: the slot's gate and counts. With stage 0. */
void shoal_store_prefetch_gate(const shoal_store *store, const shoal_key *key);
/* All of that at once for writes of some keys (at most SHOAL_KEYS_TOGETHER) whose names stand in
 * them: makes them ready, and asks for gates, buckets and items. Inside enter and leave. */
void shoal_store_look_ahead(const shoal_store *store, uint32_t db, shoal_key *keys, uint32_t count);

#endif
