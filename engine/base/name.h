/* SPDX-License-Identifier: MIT
 *
 * base/name.h - both numbers that a store wants of a name, made in one go: most names are short,
 * and loading them and calling twice would cost as much as the numbers. Pure functions, any thread.
 */
#ifndef SHOAL_BASE_NAME_H
#define SHOAL_BASE_NAME_H

#include <stdint.h>

#include <shoal/types.h>

/* The numbers of a name. */
typedef struct shoal_name_sums {
    uint64_t hash; /* shoal_hash */
    uint64_t slot; /* shoal_crc16_slot */
} shoal_name_sums;

/* The numbers of `name`, its hash under `seed`. */
shoal_name_sums shoal_name_sum(shoal_slice name, uint64_t seed);
/* The same by multiplication without carries. Only where shoal_fold_can. */
shoal_name_sums shoal_name_sum_folded(shoal_slice name, uint64_t seed);

#endif
