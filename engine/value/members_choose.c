/* SPDX-License-Identifier: MIT
 *
 * value/members_choose.c - several distinct entries at random: of few entries, or for many of them,
 * by one walk that takes each with the probability that it needs; for few of many by drawing until
 * there are enough, remembering what has been drawn.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "value/members.h"

/* A walk over all entries costs a fifth of a draw for each of them, and needs no memory. */
#define DRAW_COST 5u
/* Fewer are walked over in any case. */
#define WALK_MAX 64u

/* Numbers drawn so far, plus one: open addressing, at most half full, 0 is free. */
typedef struct drawn {
    uint64_t *numbers;
    uint64_t room; /* a power of two */
} drawn;

/* True when the number is new. */
static bool remember(drawn *so_far, uint64_t number)
{
    SHOAL_DEBUG_ASSERT((so_far->room & (so_far->room - 1)) == 0);
    uint64_t at = shoal_prng_mix(number) & (so_far->room - 1);
    while (so_far->numbers[at] != 0) {
        if (so_far->numbers[at] == number + 1) return false;
        at = (at + 1) & (so_far->room - 1);
    }
    so_far->numbers[at] = number + 1;
    return true;
}

static bool draw(const shoal_members *members, const shoal_members_choice *choice)
{
    SHOAL_ASSERT(choice->count > 0 && choice->count <= members->count);
    drawn so_far = {.room = 2};
    while (so_far.room < choice->count * 2) so_far.room *= 2;
    size_t size = so_far.room * sizeof(uint64_t);
    so_far.numbers = shoal_memory_take_zeroed(choice->scratch, size, SHOAL_ALIGN_PLAIN);
    if (so_far.numbers == NULL) return false;
    for (uint64_t found = 0; found < choice->count;) {
        shoal_table_entry entry;
        if (!remember(&so_far, shoal_members_random(members, choice->prng, &entry))) continue;
        choice->visit(choice->context, &entry);
        found++;
    }
    shoal_memory_give(choice->scratch, so_far.numbers, size, SHOAL_ALIGN_PLAIN);
    return true;
}

static void walk(const shoal_members *members, const shoal_members_choice *choice)
{
    uint64_t left = members->count, wanted = choice->count;
    shoal_members_place place = {0};
    shoal_table_entry entry;
    while (wanted > 0 && shoal_members_next(members, &place, &entry)) {
        SHOAL_ASSERT(wanted <= left);
        if (wanted == left || shoal_prng_below(choice->prng, left) < wanted) {
            choice->visit(choice->context, &entry);
            wanted--;
        }
        left--;
    }
}

bool shoal_members_choose(const shoal_members *members, const shoal_members_choice *choice)
{
    SHOAL_ASSERT(choice->count <= members->count);
    if (choice->count == 0) return true;
    bool few = members->count > WALK_MAX && choice->count < members->count / DRAW_COST;
    if (few && !members->expired) return draw(members, choice);
    walk(members, choice);
    return true;
}
