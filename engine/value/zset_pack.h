/* SPDX-License-Identifier: MIT
 *
 * value/zset_pack.h - a small sorted set: a pack of member, score, member, score ... in order. For
 * the files of sorted sets only. Everything is found by walking: it is at most a kilobyte.
 *
 * Threads: plain functions on bytes.
 */
#ifndef SHOAL_VALUE_ZSET_PACK_H
#define SHOAL_VALUE_ZSET_PACK_H

#include "value/zset.h"

/* One pair, and where it stands. */
typedef struct shoal_zset_pair {
    shoal_element member, score;
    const char *at, *next;
} shoal_zset_pair;

/* Reads the pair at `at` (not `end`). */
static inline void shoal_zset__pair(const char *at, const char *end, shoal_zset_pair *pair)
{
    pair->at = at;
    pair->next = shoal_pack_read(shoal_pack_read(at, end, &pair->member), end, &pair->score);
}

/* Finds a member: its pair, and its rank through `rank` (may be NULL). */
bool shoal_zset__pack_find(shoal_slice pack, shoal_slice member, shoal_zset_pair *pair,
                           uint64_t *rank);
/* The number of elements below a bound. */
uint64_t shoal_zset__pack_below(shoal_slice pack, const shoal_zset_bound *bound, bool or_equal);
/* Where the pair of (score, member) belongs among those of a pack. */
const char *shoal_zset__pack_place(shoal_slice pack, double score, shoal_slice member);
/* Where the pair of a rank (<= count) begins. */
const char *shoal_zset__pack_rank(shoal_slice pack, uint64_t rank);

#endif
