/* SPDX-License-Identifier: MIT
 *
 * base/fold.h - remainders of much by multiplication without carries, where the processor has it.
 * For checksums of 64 bits with reflected bits: what it makes of many bytes are sixteen that have
 * the same checksum. Knows no polynomial; the powers of x that belong to one are the caller's.
 *
 *   a piece of 128 bits is (first, second), of 64 each; moved forward by n bits it is
 *       first * x^(n + 64 - 1)  +  second * x^(n - 1)         modulo the polynomial
 *   which is two multiplications and has 128 bits again; four pieces side by side keep the
 *   multiplier busy, and are brought together at the end
 *
 * Threads: pure.
 */
#ifndef SHOAL_BASE_FOLD_H
#define SHOAL_BASE_FOLD_H

#include <stdbool.h>
#include <stdint.h>

#include <shoal/types.h>

/* Powers of x modulo the polynomial, reflected. */
typedef struct shoal_fold_powers {
    uint64_t far_first, far_second;   /* x^575, x^511: a piece goes over the next four */
    uint64_t near_first, near_second; /* x^191, x^127: it goes over one */
} shoal_fold_powers;

/* Bytes are folded by so many. */
#define SHOAL_FOLD_BYTES 64u
/* What is left of them. */
#define SHOAL_FOLD_REST 16u

/* Whether this processor can. Asks it, which takes microseconds on a virtual one: ask once. */
bool shoal_fold_can(void);
/* Folds `bytes`, a positive multiple of SHOAL_FOLD_BYTES, behind what has the checksum `crc`: with
 * 0 before it, `rest` has the checksum of all. Only where shoal_fold_can. */
void shoal_fold(const shoal_fold_powers *powers, uint64_t crc, shoal_slice bytes,
                char rest[SHOAL_FOLD_REST]);

#endif
