/* SPDX-License-Identifier: MIT
 *
 * rdb/crc64.h - the checksum of RDB files and DUMP payloads: CRC-64 with the polynomial of Jones,
 * bits reflected, beginning with 0.
 *
 * Threads: pure.
 */
#ifndef SHOAL_RDB_CRC64_H
#define SHOAL_RDB_CRC64_H

#include <stdbool.h>

#include <shoal/types.h>

/* The checksum of what gave `crc` (0 for nothing) followed by `bytes`. */
uint64_t shoal_crc64(uint64_t crc, shoal_slice bytes);

/* Tables for the checksum of much: 16 KiB, four times as fast; and of more than a hundred bytes at
 * a time ten times as fast again, where the processor multiplies without carries. */
typedef struct shoal_crc64_tables {
    uint64_t of[8][256]; /* what a byte adds when so many more bytes follow it */
    bool folds;          /* the processor can; false: tables alone, with the same result */
} shoal_crc64_tables;
/* Fills them in, in some microseconds. */
void shoal_crc64_prepare(shoal_crc64_tables *tables);
/* As shoal_crc64, with tables that are filled in. */
uint64_t shoal_crc64_by(const shoal_crc64_tables *tables, uint64_t crc, shoal_slice bytes);

#endif
