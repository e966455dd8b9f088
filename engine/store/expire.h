/* SPDX-License-Identifier: MIT
 *
 * store/expire.h - what expire.c and dated.c do for the other files: what expires is noted, so
 * that the hand finds it. Inside the store only; part of internal.h.
 */
#ifndef SHOAL_STORE_EXPIRE_H
#define SHOAL_STORE_EXPIRE_H

#include "store/layout.h"

/* ---- expire.c: items with a TTL ---- */

/* Notes that an item with this TTL is now in the chain of `home`. Under the gate, before the
 * item is counted. */
void shoal_expire__note(shoal_thread *thread, uint32_t place, shoal_bucket *home,
                        int64_t expires_ms);
/* The hint of a bucket that takes over what two had. */
uint8_t shoal_expire__hint_min(uint8_t a, uint8_t b, int64_t now_ms);
/* The hint for a time. */
uint8_t shoal_expire__hint(int64_t expires_ms, int64_t now_ms);
/* Items have come to a place without a word about when they expire: all of it is looked at soon. */
void shoal_expire__distrust(shoal_thread *thread, uint32_t place);
/* The earliest time that a hint other than 0 may stand for, in milliseconds. */
int64_t shoal_expire__hint_time(uint8_t hint, int64_t now_ms);

/* ---- dated.c: fields of hashes with a deadline ---- */

/* The earliest deadline of a field of what the item holds, or -1: it is no hash, or a pack, or its
 * fields have none. Under the gate of its slot. */
int64_t shoal_dated__deadline(const shoal_item *item);
/* Lets the hand know of an item that has come to the chain of `home`, or whose fields have come to
 * have other deadlines. Under the gate. */
void shoal_dated__note(shoal_thread *thread, uint32_t place, shoal_bucket *home,
                       const shoal_item *item);
/* The same for an object of the store that was changed in place. Under the gate. */
void shoal_dated__changed(shoal_thread *thread, const shoal_key *key, const shoal_object *object);
/* Drops fields of the item whose time has come, at most `*budget`, which it takes from that, and
 * tells who watches the key. True when fields are left: else the key must go. Under the gate, with
 * a change of one key reserved. */
bool shoal_dated__expire(shoal_thread *thread, uint32_t place, const shoal_item *item,
                         uint32_t *budget);
/* True when the slot may hold a hash with such fields. Any thread, as a hint. */
bool shoal_dated__any(const shoal_store *store, uint32_t place);
/* Says whether it may. Under the gate. */
void shoal_dated__mark(shoal_store *store, uint32_t place, bool any);

#endif
