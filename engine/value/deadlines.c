/* SPDX-License-Identifier: MIT
 *
 * value/deadlines.c - a sorted sequence in two levels. A chunk that is full is cut in two, but at
 * the end of all, where most come, the next one is begun; a chunk that runs empty is given back.
 * Chunks that shrank are not joined: their rooms shrink with them.
 */
#include "value/deadlines.h"

#include <string.h>

#include "base/assert.h"

/* Deadlines of a chunk, a power of two: moving half of them costs less than a cache miss or two. */
#define CHUNK_MAX 256u
#define CHUNK_MIN 4u
#define SPINE_MIN 2u

typedef struct chunk {
    uint32_t count, room;
    shoal_deadline at[];
} chunk;

struct shoal_deadlines {
    chunk **chunks; /* none is empty */
    uint32_t count, room;
};

static size_t chunk_size(uint32_t room)
{
    SHOAL_DEBUG_ASSERT(room >= CHUNK_MIN && room <= CHUNK_MAX);
    return sizeof(chunk) + room * sizeof(shoal_deadline);
}

static int compare(shoal_deadline a, shoal_deadline b)
{
    if (a.at_ms != b.at_ms) return a.at_ms < b.at_ms ? -1 : 1;
    return a.hash < b.hash ? -1 : a.hash > b.hash;
}

/* The last chunk that begins with `deadline` or before it; the first one if none does. */
static uint32_t chunk_for(const shoal_deadlines *deadlines, shoal_deadline deadline)
{
    SHOAL_DEBUG_ASSERT(deadlines->count > 0);
    uint32_t low = 0, high = deadlines->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(deadlines->chunks[middle]->at[0], deadline) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The first place of a chunk that does not stand before `deadline`. */
static uint32_t place_in(const chunk *part, shoal_deadline deadline)
{
    SHOAL_DEBUG_ASSERT(part->count <= part->room);
    uint32_t low = 0, high = part->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(part->at[middle], deadline) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- changes of the upper level ---- */

static chunk *make_chunk(shoal_account *account, uint32_t room)
{
    chunk *part = shoal_account_take(account, chunk_size(room));
    SHOAL_DEBUG_ASSERT(room % CHUNK_MIN == 0);
    if (part == NULL) return NULL;
    part->count = 0;
    part->room = room;
    return part;
}

/* Makes an empty chunk of its own room at `index`. NULL without memory. */
static chunk *insert_chunk(shoal_deadlines *deadlines, shoal_account *account, uint32_t index,
                           uint32_t room)
{
    SHOAL_ASSERT(index <= deadlines->count);
    if (deadlines->count == deadlines->room) {
        uint32_t spine = deadlines->room == 0 ? SPINE_MIN : deadlines->room * 2;
        chunk **chunks = (chunk **)shoal_account_resize(account, (void *)deadlines->chunks,
                                                        deadlines->room * sizeof(*chunks),
                                                        spine * sizeof(*chunks));
        if (chunks == NULL) return NULL;
        deadlines->chunks = chunks;
        deadlines->room = spine;
    }
    chunk *part = make_chunk(account, room);
    if (part == NULL) return NULL;
    chunk **at = deadlines->chunks + index;
    memmove((void *)(at + 1), (const void *)at, (deadlines->count - index) * sizeof(*at));
    *at = part;
    deadlines->count++;
    return part;
}

static void remove_chunk(shoal_deadlines *deadlines, shoal_account *account, uint32_t index)
{
    SHOAL_ASSERT(index < deadlines->count);
    chunk **at = deadlines->chunks + index;
    shoal_account_give(account, *at, chunk_size((*at)->room));
    deadlines->count--;
    memmove((void *)at, (const void *)(at + 1), (deadlines->count - index) * sizeof(*at));
}

/* Gives a chunk another room. False without memory. */
static bool resize_chunk(shoal_account *account, chunk **home, uint32_t room)
{
    chunk *part = *home;
    SHOAL_ASSERT(part->count <= room);
    part = shoal_account_resize(account, part, chunk_size(part->room), chunk_size(room));
    if (part == NULL) return false;
    part->room = room;
    *home = part;
    return true;
}

/* ---- one deadline ---- */

shoal_deadlines *shoal_deadlines_make(shoal_account *account)
{
    SHOAL_ASSERT(account->allocator != NULL);
    shoal_deadlines *deadlines = shoal_account_take(account, sizeof(*deadlines));
    if (deadlines != NULL) *deadlines = (shoal_deadlines){.count = 0};
    return deadlines;
}

/* Makes room in the full chunk `index` for something at `place`: returns the chunk for it, and
 * moves the place. NULL without memory. */
static chunk *cut_chunk(shoal_deadlines *deadlines, shoal_account *account, uint32_t index,
                        uint32_t *place)
{
    SHOAL_ASSERT(deadlines->chunks[index]->count == CHUNK_MAX);
    if (index + 1 == deadlines->count && *place == CHUNK_MAX) {
        *place = 0;
        return insert_chunk(deadlines, account, index + 1, CHUNK_MIN);
    }
    chunk *behind = insert_chunk(deadlines, account, index + 1, CHUNK_MAX);
    if (behind == NULL) return NULL;
    chunk *part = deadlines->chunks[index];
    behind->count = CHUNK_MAX / 2;
    part->count = CHUNK_MAX - behind->count;
    memcpy(behind->at, part->at + part->count, behind->count * sizeof(behind->at[0]));
    if (*place <= part->count) return part;
    *place -= part->count;
    return behind;
}

bool shoal_deadlines_add(shoal_deadlines *deadlines, shoal_account *account,
                         shoal_deadline deadline)
{
    SHOAL_ASSERT(deadline.at_ms >= 0);
    if (deadlines->count == 0 && insert_chunk(deadlines, account, 0, CHUNK_MIN) == NULL)
        return false;
    uint32_t index = chunk_for(deadlines, deadline);
    chunk *part = deadlines->chunks[index];
    uint32_t place = place_in(part, deadline);
    if (part->count == CHUNK_MAX) {
        part = cut_chunk(deadlines, account, index, &place);
        if (part == NULL) return false;
    } else if (part->count == part->room) {
        if (!resize_chunk(account, &deadlines->chunks[index], part->room * 2)) return false;
        part = deadlines->chunks[index];
    }
    shoal_deadline *at = part->at + place;
    memmove(at + 1, at, (part->count - place) * sizeof(*at));
    *at = deadline;
    part->count++;
    return true;
}

/* True when `deadline` is at `place` of chunk `index`; looks on to the next chunk at an end. */
static bool is_at(const shoal_deadlines *deadlines, uint32_t *index, uint32_t *place,
                  shoal_deadline deadline)
{
    SHOAL_DEBUG_ASSERT(*index < deadlines->count);
    if (*place == deadlines->chunks[*index]->count) {
        if (++*index == deadlines->count) return false;
        *place = 0;
    }
    return compare(deadlines->chunks[*index]->at[*place], deadline) == 0;
}

void shoal_deadlines_remove(shoal_deadlines *deadlines, shoal_account *account,
                            shoal_deadline deadline)
{
    SHOAL_ASSERT(deadlines->count > 0);
    uint32_t index = chunk_for(deadlines, deadline);
    uint32_t place = place_in(deadlines->chunks[index], deadline);
    bool found = is_at(deadlines, &index, &place, deadline);
    SHOAL_ASSERT(found);
    chunk *part = deadlines->chunks[index];
    shoal_deadline *at = part->at + place;
    part->count--;
    memmove(at, at + 1, (part->count - place) * sizeof(*at));
    if (part->count == 0) {
        remove_chunk(deadlines, account, index);
    } else if (part->room > CHUNK_MIN && part->count <= part->room / 4) {
        (void)resize_chunk(account, &deadlines->chunks[index], part->room / 2);
    }
}

/* ---- all ---- */

bool shoal_deadlines_first(const shoal_deadlines *deadlines, shoal_deadline *out)
{
    if (deadlines == NULL || deadlines->count == 0) return false;
    SHOAL_ASSERT(deadlines->chunks[0]->count > 0);
    *out = deadlines->chunks[0]->at[0];
    return true;
}

uint64_t shoal_deadlines_due(const shoal_deadlines *deadlines, int64_t now_ms)
{
    if (deadlines == NULL) return 0;
    SHOAL_ASSERT(deadlines->count <= deadlines->room);
    uint64_t due = 0;
    for (uint32_t i = 0; i < deadlines->count; i++) {
        const chunk *part = deadlines->chunks[i];
        if (part->at[part->count - 1].at_ms > now_ms)
            return due + place_in(part, (shoal_deadline){now_ms + 1, 0});
        due += part->count;
    }
    return due;
}

shoal_deadlines *shoal_deadlines_copy(const shoal_deadlines *deadlines, shoal_account *account)
{
    shoal_deadlines *copy = shoal_deadlines_make(account);
    SHOAL_ASSERT(deadlines->count <= deadlines->room);
    bool complete = copy != NULL;
    for (uint32_t i = 0; i < deadlines->count && complete; i++) {
        const chunk *part = deadlines->chunks[i];
        chunk *like = insert_chunk(copy, account, i, part->room);
        complete = like != NULL;
        if (!complete) break;
        like->count = part->count;
        memcpy(like->at, part->at, part->count * sizeof(part->at[0]));
    }
    if (complete || copy == NULL) return copy;
    uint32_t budget = UINT32_MAX;
    (void)shoal_deadlines_free_some(copy, account, &budget);
    return NULL;
}

bool shoal_deadlines_free_some(shoal_deadlines *deadlines, shoal_account *account, uint32_t *budget)
{
    if (deadlines == NULL) return true;
    SHOAL_ASSERT(deadlines->count <= deadlines->room);
    for (; deadlines->count > 0 && *budget > 0; --*budget)
        remove_chunk(deadlines, account, deadlines->count - 1);
    if (deadlines->count > 0) return false;
    shoal_account_give(account, (void *)deadlines->chunks,
                       deadlines->room * sizeof(*deadlines->chunks));
    shoal_account_give(account, deadlines, sizeof(*deadlines));
    return true;
}
