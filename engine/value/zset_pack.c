/* SPDX-License-Identifier: MIT
 *
 * value/zset_pack.c - walking through small sorted sets.
 */
#include "value/zset_pack.h"

#include "base/assert.h"
#include "base/text.h"

bool shoal_zset__pack_find(shoal_slice pack, shoal_slice member, shoal_zset_pair *pair,
                           uint64_t *rank)
{
    SHOAL_DEBUG_ASSERT(shoal_pack_count(pack) % 2 == 0);
    const char *end = shoal_pack_end(pack);
    shoal_element probe = shoal_element_of(member);
    const char *at = shoal_pack_find(pack, shoal_pack_first(pack), &probe, 1);
    if (at == NULL) return false;
    shoal_zset__pair(at, end, pair);
    if (rank == NULL) return true;
    *rank = 0;
    for (const char *before = shoal_pack_first(pack); before != at; ++*rank)
        before = shoal_pack_skip(shoal_pack_skip(before, end), end);
    return true;
}

/* How the member of a pair compares with other bytes. */
static int compare_member(const shoal_element *element, shoal_slice member)
{
    char scratch[32];
    SHOAL_DEBUG_ASSERT(element->kind != SHOAL_ELEMENT_DOUBLE);
    return shoal_text_compare(shoal_element_text(element, scratch), member);
}

/* Is the pair below the bound? */
static bool is_below(const shoal_zset_pair *pair, const shoal_zset_bound *bound, bool or_equal)
{
    SHOAL_DEBUG_ASSERT(pair->score.kind != SHOAL_ELEMENT_BYTES);
    switch (bound->kind) {
    case SHOAL_ZSET_LOWEST: return false;
    case SHOAL_ZSET_HIGHEST: return true;
    case SHOAL_ZSET_BY_SCORE: {
        double score = shoal_element_double(&pair->score);
        return score < bound->score || (or_equal && score == bound->score);
    }
    case SHOAL_ZSET_BY_MEMBER: {
        int compared = compare_member(&pair->member, bound->member);
        return compared < 0 || (or_equal && compared == 0);
    }
    }
    SHOAL_UNREACHABLE();
    return false;
}

uint64_t shoal_zset__pack_below(shoal_slice pack, const shoal_zset_bound *bound, bool or_equal)
{
    const char *at = shoal_pack_first(pack), *end = shoal_pack_end(pack);
    uint64_t count = 0;
    SHOAL_DEBUG_ASSERT(bound != NULL);
    while (at != end) {
        shoal_zset_pair pair;
        shoal_zset__pair(at, end, &pair);
        if (!is_below(&pair, bound, or_equal)) break;
        at = pair.next;
        count++;
    }
    return count;
}

const char *shoal_zset__pack_place(shoal_slice pack, double score, shoal_slice member)
{
    const char *at = shoal_pack_first(pack), *end = shoal_pack_end(pack);
    SHOAL_DEBUG_ASSERT(score == score);
    while (at != end) {
        shoal_zset_pair pair;
        shoal_zset__pair(at, end, &pair);
        double here = shoal_element_double(&pair.score);
        if (here > score) break;
        if (here == score && compare_member(&pair.member, member) > 0) break;
        at = pair.next;
    }
    return at;
}

const char *shoal_zset__pack_rank(shoal_slice pack, uint64_t rank)
{
    const char *at = shoal_pack_first(pack), *end = shoal_pack_end(pack);
    SHOAL_DEBUG_ASSERT(rank * 2 <= shoal_pack_count(pack));
    for (; rank > 0; rank--) at = shoal_pack_skip(shoal_pack_skip(at, end), end);
    return at;
}
