/* SPDX-License-Identifier: MIT
 *
 * backup/inventory.h - what a backup consists of: the file INVENTORY in its folder, written last,
 * so that a folder without one is a backup that was not finished. Lines of text:
 *
 *     shoal-backup 1
 *     source 127.0.0.1:7000 cluster
 *     cut 1763866800000000 1763866800000412
 *     shard FILE bytes N sha1 HEX rdb N keys N volatile N commands N
 *     from ID ADDRESS history ID at N to N begun N
 *     slots 0-5460,5462
 *     end HEX
 *
 * Times are microseconds since 1970; the last HEX is the CRC-64 of Redis of all lines before.
 */
#ifndef SHOAL_BACKUP_INVENTORY_H
#define SHOAL_BACKUP_INVENTORY_H

#include "map.h"

/* What came from one master. */
typedef struct shoal_shard {
    char file[32];
    uint64_t bytes;         /* of the file */
    char sha1[41];          /* the same */
    uint64_t rdb_bytes;     /* of its first part, a snapshot; commands follow */
    uint64_t keys;          /* of the snapshot, */
    uint64_t keys_volatile; /* those with a time to live */
    uint64_t commands;      /* behind it */
    char node[SHOAL_NODE_NAME_LEN + 1];
    char address[300];
    char history[SHOAL_NODE_NAME_LEN + 1]; /* of replication */
    uint64_t from, to;                     /* its offsets: of the snapshot, and of the cut */
    int64_t begun_us;                      /* when the snapshot was begun */
} shoal_shard;

/* The whole. */
typedef struct shoal_inventory {
    char source[300];
    bool cluster;
    int64_t cut_began_us, cut_ended_us; /* in between all masters were asked how far they are */
    uint32_t count;
    shoal_shard *shards; /* malloc'ed */
    uint16_t owner[SHOAL_SLOTS];
} shoal_inventory;

/* The path of a file of a folder, in `out`. */
void shoal_inventory__path(const char *folder, const char *file, char out[4096]);
/* Writes it durably, as the last file of a folder. */
void shoal_inventory__write(const shoal_inventory *inventory, const char *folder);
/* Reads it; ends the program when it is not there, or damaged. */
void shoal_inventory__read(shoal_inventory *inventory, const char *folder);
/* Makes a folder and everything in it durable in the one above. */
void shoal_inventory__sync_folder(const char *folder);

#endif
