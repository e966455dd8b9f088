/* SPDX-License-Identifier: MIT
 *
 * command/bit.h - what the commands on bits share. Bit 0 is the highest of the first byte.
 */
#ifndef SHOAL_COMMAND_BIT_H
#define SHOAL_COMMAND_BIT_H

#include "command/handlers.h"

/* Argument `index` as the offset of a bit that a string may have. Where `width` > 0, "#n" means n
 * times that many bits. False after writing an error. */
bool shoal_bit__offset(shoal_call *call, uint32_t index, uint32_t width, uint64_t *offset);
/* How many bits of the bytes are one. */
uint64_t shoal_bit__count(shoal_slice bytes);
/* The first bit that is `wanted`, or bytes.size * 8 when there is none. */
uint64_t shoal_bit__find(shoal_slice bytes, bool wanted);

#endif
