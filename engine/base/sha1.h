/* SPDX-License-Identifier: MIT
 *
 * base/sha1.h - SHA-1 (FIPS 180-4) of some bytes. Here it names data: the
 * digests that DEBUG DIGEST answers are made of it. It keeps nothing safe from anybody.
 *
 * Threads: plain functions.
 */
#ifndef SHOAL_BASE_SHA1_H
#define SHOAL_BASE_SHA1_H

#include <shoal/types.h>

/* Bytes of a digest. */
#define SHOAL_SHA1_SIZE 20u

/* Writes the SHA-1 of `bytes` to `out`, which may lie inside of them. */
void shoal_sha1(shoal_slice bytes, unsigned char out[SHOAL_SHA1_SIZE]);

#endif
