/* SPDX-License-Identifier: MIT
 *
 * command/dump.h - between what the store holds and the RDB format: an item as what is to be
 * written, and what was read as an item.
 */
#ifndef SHOAL_COMMAND_DUMP_H
#define SHOAL_COMMAND_DUMP_H

#include "command/handlers.h"
#include "rdb/rdb.h"

/* What an item holds, borrowed from it and from `scratch`; an object under its gate only. */
shoal_rdb_value shoal_dump__value(const shoal_item *item, char scratch[SHOAL_INT_TEXT_SIZE]);
/* How values are written, and up to where what is read is compact. */
shoal_rdb_style shoal_dump__style(const shoal_settings *settings, int64_t now_ms);
shoal_rdb_limits shoal_dump__limits(const shoal_settings *settings);
/* Puts what a loader has read at a key, under its gate, and empties the loader; < 0: no TTL. 0 or
 * SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_dump__store(shoal_thread *thread, const shoal_key *key,
                                           shoal_rdb_loader *loader, int64_t expires_ms);

#endif
