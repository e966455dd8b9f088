/* SPDX-License-Identifier: MIT
 *
 * backup/map.h from CLUSTER SLOTS, which every version of Redis Cluster knows.
 */
#include "map.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "wire/resp.h"

/* A slot of nobody. */
#define NOBODY UINT16_MAX

_Static_assert(MAP_MASTERS_MAX < NOBODY, "an index of a master is not nobody");

/* Walks through an answer. */
typedef struct walk {
    const shoal_peer *peer;
    shoal_slice rest;
} walk;

static shoal_answer next(walk *at, char type)
{
    shoal_answer element;
    bool whole = shoal_answer_next(at->rest, &element) == SHOAL_ERR_OK;
    if (!whole || element.type != type)
        shoal_backup__die(BACKUP_FAILED, "%s answers CLUSTER SLOTS in an unknown form",
                          at->peer->name);
    at->rest.data += element.size;
    at->rest.size -= element.size;
    return element;
}

static void skip(walk *at)
{
    size_t size = 0;
    if (shoal_answer_size(at->rest, &size) != SHOAL_ERR_OK) (void)next(at, '?');
    at->rest.data += size;
    at->rest.size -= size;
}

/* The master at this address, added if it is new. */
static uint16_t find_master(shoal_map *map, const shoal_master *master)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const shoal_master *each = &map->masters[i];
        if (each->port == master->port && strcmp(each->host, master->host) == 0) return (uint16_t)i;
    }
    if (map->count == MAP_MASTERS_MAX)
        shoal_backup__die(BACKUP_FAILED, "more than %u masters", MAP_MASTERS_MAX);
    map->masters[map->count] = *master;
    return (uint16_t)map->count++;
}

static void copy_text(char *out, size_t room, shoal_slice text)
{
    size_t size = text.size < room ? text.size : room - 1;
    SHOAL_ASSERT(room > 0);
    if (size > 0) memcpy(out, text.data, size);
    out[size] = '\0';
}

/* One range: first, last, the master, its replicas. */
static void read_range(shoal_map *map, walk *at, const char *host)
{
    int64_t parts = next(at, '*').integer;
    int64_t first = next(at, ':').integer, last = next(at, ':').integer;
    int64_t fields = next(at, '*').integer;
    shoal_master master = {.port = 0};
    /* The address may be unknown to the node itself: then it is where it was asked. */
    shoal_answer address = next(at, '$');
    copy_text(master.host, sizeof master.host, address.text);
    if (address.integer <= 0) copy_text(master.host, sizeof master.host, shoal_text(host));
    master.port = (uint16_t)next(at, ':').integer;
    if (fields > 2) copy_text(master.id, sizeof master.id, next(at, '$').text);
    for (int64_t i = 3; i < fields; i++) skip(at);
    for (int64_t i = 3; i < parts; i++) skip(at);
    if (first < 0 || last >= SHOAL_SLOTS || first > last) (void)next(at, '?');
    uint16_t index = find_master(map, &master);
    for (int64_t slot = first; slot <= last; slot++) map->owner[slot] = index;
}

static void read_alone(shoal_map *map, const shoal_peer *peer, const char *host)
{
    const char *port = strrchr(peer->name, ':');
    uint64_t number = 0;
    SHOAL_ASSERT(port != NULL);
    (void)shoal_text_to_u64(shoal_text(port + 1), &number);
    map->count = 1;
    copy_text(map->masters[0].host, sizeof map->masters[0].host, shoal_text(host));
    map->masters[0].port = (uint16_t)number;
    memset(map->owner, 0, sizeof map->owner);
}

void shoal_map__read(shoal_map *map, shoal_peer *peer, const char *host)
{
    shoal_slice answer = shoal_peer__ask(peer, "CLUSTER SLOTS");
    shoal_slice disabled = shoal_text("-ERR This instance has cluster support disabled");
    map->count = 0;
    map->cluster =
        answer.size < disabled.size || memcmp(answer.data, disabled.data, disabled.size) != 0;
    if (!map->cluster) {
        read_alone(map, peer, host);
        return;
    }
    if (answer.data[0] == '-') (void)shoal_peer__text(peer, answer, "CLUSTER SLOTS");
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) map->owner[slot] = NOBODY;
    walk at = {peer, answer};
    int64_t ranges = next(&at, '*').integer;
    for (int64_t i = 0; i < ranges; i++) read_range(map, &at, host);
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        if (map->owner[slot] == NOBODY)
            shoal_backup__die(BACKUP_FAILED, "slot %u is served by nobody, says %s", slot,
                              peer->name);
    }
}

void shoal_map__check_moves(const shoal_map *map, shoal_peer *peer)
{
    if (!map->cluster) return;
    shoal_slice nodes =
        shoal_peer__text(peer, shoal_peer__ask(peer, "CLUSTER NODES"), "CLUSTER NODES");
    size_t mine = shoal_text_find(nodes, shoal_text("myself"));
    if (mine == SHOAL_TEXT_NONE) return;
    for (size_t i = mine; i < nodes.size && nodes.data[i] != '\n'; i++) {
        if (nodes.data[i] == '[' && nodes.data[i - 1] == ' ')
            shoal_backup__die(BACKUP_FAILED,
                              "slots are on their way to or from %s: try again when they are there",
                              peer->name);
    }
}

bool shoal_map__equal(const shoal_map *a, const shoal_map *b)
{
    if (a->cluster != b->cluster) return false;
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        const shoal_master *x = &a->masters[a->owner[slot]], *y = &b->masters[b->owner[slot]];
        if (x->port != y->port || strcmp(x->host, y->host) != 0) return false;
    }
    return true;
}
