/* SPDX-License-Identifier: MIT
 *
 * rdb/lzf.h - the compression of long strings in RDB files. A compressed text is a row of pieces:
 *
 *   000nnnnn, n + 1 bytes         these bytes
 *   nnnooooo oooooooo             n + 2 bytes again that stand o + 1 bytes back, n from 1 to 6
 *   111ooooo nnnnnnnn oooooooo    the same for n + 9 bytes
 *
 * A repetition may reach into itself.
 *
 * Threads: pure.
 */
#ifndef SHOAL_RDB_LZF_H
#define SHOAL_RDB_LZF_H

#include <shoal/types.h>

/* No piece becomes more than so many times as long. */
#define SHOAL_LZF_RATIO_MAX 88u

/* Writes `bytes` compressed to at most `room` bytes at `out`. Returns how many, or 0 where they
 * do not fit. */
size_t shoal_lzf_compress(shoal_slice bytes, char *out, size_t room);
/* Writes what `bytes` says to `out`. True when that is exactly `size` bytes, and nothing is wrong.
 * */
bool shoal_lzf_expand(shoal_slice bytes, char *out, size_t size);

#endif
