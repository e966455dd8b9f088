/* SPDX-License-Identifier: MIT
 *
 * backup/map.h - which master of a cluster serves which slots, as one of its nodes says. A server
 * without a cluster is one master that serves all.
 */
#ifndef SHOAL_BACKUP_MAP_H
#define SHOAL_BACKUP_MAP_H

#include "peer.h"

/* Masters of a map. */
#define MAP_MASTERS_MAX 1024u
/* Length of the text of a master's slots: "0-5460,5462" */
#define MAP_SLOTS_MAX 512u

/* One master. */
typedef struct shoal_master {
    char host[256];
    uint16_t port;
    char id[SHOAL_NODE_NAME_LEN + 1]; /* "" without a cluster */
} shoal_master;

/* A map. */
typedef struct shoal_map {
    bool cluster;
    uint32_t count;
    shoal_master masters[MAP_MASTERS_MAX];
    uint16_t owner[SHOAL_SLOTS]; /* index of a master */
} shoal_map;

/* Asks `peer`, which was opened at `host`, and checks that all slots are served and none is on its
 * way from one master to another. */
void shoal_map__read(shoal_map *map, shoal_peer *peer, const char *host);
/* Ends the program when a master is moving slots; `peer` is the master's. */
void shoal_map__check_moves(const shoal_map *map, shoal_peer *peer);
/* Whether two maps say the same of every slot. */
bool shoal_map__equal(const shoal_map *a, const shoal_map *b);

#endif
