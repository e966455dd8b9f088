/* SPDX-License-Identifier: MIT
 *
 * Parcels and their exchange. Names and places are kept for as long as the exchange lives: there
 * are as many as nodes have had names, and addresses, in one run. Parcels are used again, the last
 * one first, because its lines are still in the cache.
 */
#include "cluster/parcel.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

/* Sizes of parcels: room for 16 << i rumors. */
#define POOLS 12u
#define ROOM_MIN 16u
#define CELLS_MIN 64u

/* Numbers of things of `size` bytes: the things one behind the other, and a table of numbers by
 * hash. */
typedef struct numbers {
    char *things;
    size_t size;
    uint32_t count, capacity;
    uint32_t *cells; /* 0: free */
    uint32_t cell_count;
} numbers;

struct shoal_exchange {
    shoal_allocator allocator;
    numbers names, places;
    shoal_parcel *pools[POOLS];
};

/* ---- numbers ---- */

static const char *thing(const numbers *of, uint32_t number)
{
    SHOAL_ASSERT(number > 0);
    SHOAL_ASSERT(number <= of->count);
    return of->things + (size_t)(number - 1) * of->size;
}

/* The cell of the thing, or the free one that it would have. */
static uint32_t *cell_of(const numbers *of, const char *what)
{
    SHOAL_ASSERT(of->cell_count > of->count);
    SHOAL_ASSERT(what);
    uint32_t mask = of->cell_count - 1;
    uint32_t at = (uint32_t)shoal_hash((shoal_slice){what, of->size}, 0) & mask;
    while (of->cells[at] && memcmp(thing(of, of->cells[at]), what, of->size) != 0) {
        at = (at + 1) & mask;
    }
    return &of->cells[at];
}

static void free_numbers(numbers *of, const shoal_allocator *a)
{
    SHOAL_ASSERT((of->things == NULL) == (of->capacity == 0));
    SHOAL_ASSERT((of->cells == NULL) == (of->cell_count == 0));
    if (of->things) a->release(a->context, of->things, of->capacity * of->size, 8);
    if (of->cells) a->release(a->context, of->cells, of->cell_count * sizeof(uint32_t), 8);
}

/* Room for one more: twice as much as before, with a table that is at most half full. */
static bool make_room(numbers *of, const shoal_allocator *a)
{
    SHOAL_ASSERT(of->count <= of->capacity);
    SHOAL_ASSERT(of->size > 0);
    if (of->count < of->capacity) return true;
    uint32_t capacity = of->capacity ? of->capacity * 2 : CELLS_MIN / 2;
    numbers grown = {.size = of->size, .count = of->count};
    grown.things = a->allocate_zeroed(a->context, capacity * of->size, 8);
    if (!grown.things) return false;
    grown.capacity = capacity;
    grown.cells = a->allocate_zeroed(a->context, 2 * capacity * sizeof(uint32_t), 8);
    if (!grown.cells) {
        free_numbers(&grown, a);
        return false;
    }
    grown.cell_count = 2 * capacity;
    if (of->count > 0) memcpy(grown.things, of->things, of->count * of->size);
    for (uint32_t i = 1; i <= of->count; i++) *cell_of(&grown, thing(&grown, i)) = i;
    free_numbers(of, a);
    *of = grown;
    return true;
}

static uint32_t number_of(numbers *of, const shoal_allocator *a, const char *what)
{
    SHOAL_ASSERT(what);
    if (!make_room(of, a)) return 0;
    uint32_t *cell = cell_of(of, what);
    if (*cell == 0) {
        memcpy(of->things + (size_t)of->count * of->size, what, of->size);
        *cell = ++of->count;
    }
    SHOAL_ASSERT(*cell <= of->count);
    return *cell;
}

uint32_t shoal_exchange__who(shoal_exchange *exchange, const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(name[0]);
    return number_of(&exchange->names, &exchange->allocator, name);
}

uint32_t shoal_exchange__where(shoal_exchange *exchange, const bus_place *place)
{
    SHOAL_ASSERT(place->ip[sizeof(place->ip) - 1] == 0);
    _Static_assert(sizeof(bus_place) == 46 + 3 * 2, "places are compared as bytes");
    return number_of(&exchange->places, &exchange->allocator, (const char *)place);
}

const char *shoal_exchange__name(const shoal_exchange *exchange, uint32_t who)
{
    SHOAL_ASSERT(who > 0);
    return thing(&exchange->names, who);
}

const bus_place *shoal_exchange__place(const shoal_exchange *exchange, uint32_t where)
{
    SHOAL_ASSERT(where > 0);
    return (const bus_place *)(const void *)thing(&exchange->places, where);
}

/* ---- parcels ---- */

static uint32_t pool_of(uint32_t rumors)
{
    uint32_t pool = 0;
    while (pool < POOLS && ROOM_MIN << pool < rumors) pool++;
    SHOAL_ASSERT(pool < POOLS); /* BUS_NODES_MAX are fewer */
    return pool;
}

static size_t size_with(uint32_t rumors)
{
    SHOAL_ASSERT(rumors >= ROOM_MIN);
    return sizeof(shoal_parcel) + rumors * sizeof(bus_rumor);
}

shoal_parcel *shoal_parcel__make(shoal_exchange *exchange, uint32_t rumors)
{
    SHOAL_ASSERT(exchange);
    uint32_t pool = pool_of(rumors);
    shoal_parcel *parcel = exchange->pools[pool];
    if (parcel) {
        SHOAL_ASSERT(parcel->references == 0);
        exchange->pools[pool] = parcel->next;
    } else {
        const shoal_allocator *a = &exchange->allocator;
        parcel = a->allocate_zeroed(a->context, size_with(ROOM_MIN << pool), 8);
        if (!parcel) return NULL;
        parcel->exchange = exchange;
        parcel->capacity = ROOM_MIN << pool;
    }
    parcel->next = NULL;
    parcel->references = 1;
    return parcel;
}

void shoal_parcel_release(shoal_parcel *parcel)
{
    SHOAL_ASSERT(parcel->references > 0);
    if (--parcel->references > 0) return;
    shoal_parcel **pool = &parcel->exchange->pools[pool_of(parcel->capacity)];
    parcel->next = *pool;
    *pool = parcel;
    SHOAL_ASSERT(parcel->next != parcel);
}

uint32_t shoal_parcel_size(const shoal_parcel *parcel)
{
    SHOAL_ASSERT(parcel->references > 0);
    SHOAL_ASSERT(parcel->frame.type <= SHOAL_FRAME_MEET);
    return SHOAL_FRAME_HEADER_SIZE + parcel->frame.count * SHOAL_GOSSIP_SIZE;
}

uint32_t shoal_parcel_type(const shoal_parcel *parcel)
{
    SHOAL_ASSERT(parcel->references > 0);
    return parcel->frame.type;
}

void shoal_parcel__gossip(const shoal_parcel *parcel, uint32_t index, shoal_gossip *out)
{
    SHOAL_ASSERT(index < parcel->frame.count);
    const bus_rumor *rumor = &parcel->rumors[index];
    const bus_place *place = shoal_exchange__place(parcel->exchange, rumor->where);
    memset(out, 0, sizeof(*out));
    memcpy(out->name, shoal_exchange__name(parcel->exchange, rumor->who), SHOAL_NODE_NAME_LEN);
    memcpy(out->ip, place->ip, sizeof(out->ip));
    out->ping_sent_s = rumor->ping_sent_s;
    out->pong_received_s = rumor->pong_received_s;
    out->port = place->port;
    out->bus_port = place->bus_port;
    out->tls_port = place->tls_port;
    out->flags = rumor->flags;
}

bool shoal_parcel_bytes(const shoal_parcel *parcel, shoal_buffer *out)
{
    SHOAL_ASSERT(parcel->references > 0);
    const shoal_allocator *a = &parcel->exchange->allocator;
    shoal_frame frame = parcel->frame;
    shoal_slotmap slots = {{0}};
    size_t size = (size_t)(frame.count + 1u) * sizeof(shoal_gossip);
    shoal_gossip *gossip = a->allocate_zeroed(a->context, size, 8);
    if (!gossip) return false;
    for (uint32_t i = 0; i < frame.count; i++) shoal_parcel__gossip(parcel, i, &gossip[i]);
    frame.gossip = gossip;
    for (uint32_t i = 0; i < parcel->slot_count; i++) {
        shoal_slotmap_put(&slots, parcel->slot_least + i, true);
    }
    if (!frame.slots) frame.slots = &slots;
    shoal_frame_encode(&frame, out);
    a->release(a->context, gossip, size, 8);
    return !out->failed;
}

/* ---- the exchange ---- */

shoal_exchange *shoal_exchange_make(const shoal_allocator *allocator)
{
    SHOAL_ASSERT(allocator->allocate_zeroed);
    shoal_exchange *made = allocator->allocate_zeroed(allocator->context, sizeof(*made), 8);
    if (!made) return NULL;
    made->allocator = *allocator;
    made->names.size = SHOAL_NODE_NAME_LEN;
    made->places.size = sizeof(bus_place);
    return made;
}

void shoal_exchange_free(shoal_exchange *exchange)
{
    if (!exchange) return;
    shoal_allocator a = exchange->allocator;
    for (uint32_t i = 0; i < POOLS; i++) {
        while (exchange->pools[i]) {
            shoal_parcel *parcel = exchange->pools[i];
            SHOAL_ASSERT(parcel->references == 0);
            exchange->pools[i] = parcel->next;
            a.release(a.context, parcel, size_with(parcel->capacity), 8);
        }
    }
    free_numbers(&exchange->names, &a);
    free_numbers(&exchange->places, &a);
    a.release(a.context, exchange, sizeof(*exchange), 8);
}
