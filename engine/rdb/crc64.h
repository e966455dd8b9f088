/* SPDX-License-Identifier: MIT
 *
 * rdb/crc64.h - the checksum of RDB files and DUMP payloads: CRC-64 with the polynomial of Jones,
 * bits reflected, beginning with 0.
 *
 * Threads: pure.
 */
#ifndef SHOAL_RDB_CRC64_H
#define SHOAL_RDB_CRC64_H

#include <shoal/types.h>

/* The checksum of what gave `crc` (0 for nothing) followed by `bytes`. */
uint64_t shoal_crc64(uint64_t crc, shoal_slice bytes);

#endif
