/* SPDX-License-Identifier: MIT
 *
 * command/dump.h - between what the store holds and the RDB format: an item as what is to be
 * written, and what was read as an item. DUMP and RESTORE go through it, DEBUG RELOAD, snapshots,
 * and all who load a file.
 *
 * Threads: any, inside a batch; what is under a gate says so.
 */
#ifndef SHOAL_COMMAND_DUMP_H
#define SHOAL_COMMAND_DUMP_H

#include "command/command.h"
#include "rdb/rdb.h"
#include "store/store.h"

/* What an item holds, to be written: a string by its bytes, all else as pack or object. Borrowed
 * from the item and, for a string that is kept as a number, from `scratch`. An object is read under
 * the gate of its key only. */
shoal_rdb_value shoal_dump_value(const shoal_item *item, char scratch[SHOAL_INT_TEXT_SIZE]);

/* Puts what a loader has read (SHOAL_RDB_OK) at a key, in the place of what is there. Under the
 * gate of the key, which `thread` holds. `expires_ms`: milliseconds of the wall clock, < 0: never.
 * The loader is empty behind it, however it ends: what it had made is the store's, or freed. 0, or
 * SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_dump_store(shoal_thread *thread, const shoal_key *key,
                                          shoal_rdb_loader *loader, int64_t expires_ms);

/* Says of a key that has just been put how it was used before, as far as the policy keeps that:
 * seconds since it was used, and how often it is used, 0 to 255; < 0: not known. Under the gate of
 * the key, which `thread` holds. */
void shoal_dump_set_heat(shoal_thread *thread, const shoal_key *key, int64_t idle_s,
                         int32_t frequency);

/* How values are written where nothing else is said: strings are compressed. `now_ms`: wall clock,
 * what has expired by then is left out. */
shoal_rdb_style shoal_dump_style(const shoal_settings *settings, int64_t now_ms);
/* Up to where values that are read are kept compact. */
shoal_rdb_limits shoal_dump_limits(const shoal_settings *settings);

#endif
