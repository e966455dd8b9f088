/* SPDX-License-Identifier: MIT
 *
 * base/crc16.h - the checksum that maps keys to hash slots: CRC-16/XMODEM (polynomial 0x1021,
 * start 0, no reflection), and the hash-tag rule of Redis Cluster. Pure functions, any thread.
 */
#ifndef SHOAL_BASE_CRC16_H
#define SHOAL_BASE_CRC16_H

#include <stdint.h>

#include <shoal/types.h>

/* The checksum of `bytes`; of none it is 0. */
uint16_t shoal_crc16(shoal_slice bytes);

/* The slot of a key: the checksum, modulo SHOAL_SLOTS, of what stands between the first '{' and
 * the first '}' behind it, if that is not empty, and of the whole name otherwise. */
uint32_t shoal_crc16_slot(shoal_slice name);
/* The same by multiplication without carries. Only where shoal_fold_can. */
uint32_t shoal_crc16_slot_folded(shoal_slice name);

#endif
