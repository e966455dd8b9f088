/* SPDX-License-Identifier: MIT
 *
 * Guarantees of a session: what a client's own operations promise it of a key, whatever others do.
 * The order of writes is that of their beginnings and ends: one that ended before another began is
 * older. Operations of a client that overlap promise each other nothing.
 */
#include "base/assert.h"
#include "base/prng.h"
#include "sim/internal.h"

/* Pairs of a client and a key that are remembered, at most; what a further pair does is not judged.
 * Chosen: 24 MiB. */
#define PAIRS_MAX (1u << 20)

static uint64_t name_of(uint32_t client, uint32_t key)
{
    return (uint64_t)(client + 1) << 32 | key;
}

/* The place of a name, or the free one where it would be. */
static shoal_memory_of *place_in(const shoal_sessions *sessions, uint64_t name)
{
    uint32_t at = (uint32_t)shoal_prng_mix(name) & (sessions->size - 1);
    while (sessions->table[at].name != 0 && sessions->table[at].name != name)
        at = (at + 1) & (sessions->size - 1);
    return &sessions->table[at];
}

static void grow(shoal_sessions *sessions)
{
    shoal_sessions more = {.size = sessions->size ? sessions->size * 2 : 256};
    more.table = shoal_sim__allocate(more.size * sizeof(*more.table));
    more.count = sessions->count;
    for (uint32_t i = 0; i < sessions->size; i++) {
        const shoal_memory_of *each = &sessions->table[i];
        if (each->name != 0) *place_in(&more, each->name) = *each;
    }
    shoal_sim__free(sessions->table);
    *sessions = more;
}

/* What a client knows of a key, made where it knows nothing yet; NULL when there are too many. */
static shoal_memory_of *memory_of(shoal_sessions *sessions, uint64_t name)
{
    if (sessions->count * 2 >= sessions->size && sessions->count < PAIRS_MAX) grow(sessions);
    shoal_memory_of *memory = place_in(sessions, name);
    if (memory->name != 0) return memory;
    if (sessions->count >= PAIRS_MAX) return NULL;
    memory->name = name;
    sessions->count++;
    return memory;
}

void shoal_sessions__free(shoal_world *world)
{
    shoal_sim__free(world->sessions.table);
    world->sessions = (shoal_sessions){0};
}

uint32_t shoal_sessions__found(const shoal_world *world, uint32_t client, uint32_t key)
{
    const shoal_sessions *sessions = &world->sessions;
    if (sessions->size == 0) return 0;
    return place_in(sessions, name_of(client, key))->found;
}

static int64_t began(const shoal_world *world, uint32_t serial)
{
    SHOAL_ASSERT(serial > 0 && serial <= world->history.write_count);
    return world->history.writes[serial - 1].began_us;
}

void shoal_sessions__wrote(shoal_world *world, uint32_t client, uint64_t serial)
{
    const shoal_write *write = &world->history.writes[serial - 1];
    shoal_memory_of *memory = memory_of(&world->sessions, name_of(client, write->key));
    if (memory == NULL) return;
    if (memory->wrote != 0 && began(world, memory->wrote) >= write->began_us) return;
    memory->wrote = (uint32_t)serial;
}

/* Why a read that missed nothing by itself is behind one before it: what that found is gone. */
static shoal_cause cause_of(const shoal_world *world, const shoal_reading *reading, uint32_t serial,
                            shoal_cause cause)
{
    if (cause != SHOAL_CAUSE_ALIVE) return cause;
    return shoal_copies__cause(world, serial, reading->served_us);
}

void shoal_sessions__read(shoal_world *world, uint32_t client, const shoal_reading *reading,
                          shoal_cause cause)
{
    shoal_memory_of *memory = memory_of(&world->sessions, name_of(client, reading->key));
    if (memory == NULL) return;
    int64_t end = shoal_history__end_of(world, reading);
    uint32_t wrote = memory->wrote, found = memory->found;
    if (wrote != 0) {
        bool over = world->history.writes[wrote - 1].ended_us < reading->began_us;
        if (over && end < began(world, wrote))
            shoal_anomaly__count(world, SHOAL_ANOMALY_READ_YOUR_WRITES,
                                 cause_of(world, reading, wrote, cause));
    }
    if (found != 0 && memory->found_us < reading->began_us && end < began(world, found))
        shoal_anomaly__count(world, SHOAL_ANOMALY_MONOTONIC_READS,
                             cause_of(world, reading, found, cause));
    if (reading->serial == 0) return;
    if (found != 0 && began(world, found) >= began(world, (uint32_t)reading->serial)) return;
    memory->found = (uint32_t)reading->serial;
    memory->found_us = world->now_us;
}
