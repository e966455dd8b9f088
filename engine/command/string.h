/* SPDX-License-Identifier: MIT
 *
 * command/string.h - editing strings in part, for the commands that do (APPEND, SETRANGE, SETBIT,
 * BITFIELD). Under the gate of the call's first key. store/edit.c says what is copied.
 */
#ifndef SHOAL_COMMAND_STRING_H
#define SHOAL_COMMAND_STRING_H

#include "command/handlers.h"

/* False after writing an error: a string of `size` bytes would be longer than is allowed. */
bool shoal_string__check_size(shoal_call *call, uint64_t size);
/* Puts `part` over what `item`, the string at the first key or NULL, has from `offset` on, with
 * zeros before it where the string ends earlier. The time to live stays, the encoding becomes
 * "raw". The size has been checked. False after writing an error. */
bool shoal_string__patch(shoal_call *call, const shoal_item *item, size_t offset, shoal_slice part);

#endif
