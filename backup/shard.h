/* SPDX-License-Identifier: MIT
 *
 * backup/shard.h - one file of a backup, read: a snapshot in the RDB format, then the commands that
 * its master carried out until the cut. As a whole it is an append-only file of Redis with an RDB
 * preamble, which a server could be started with.
 */
#ifndef SHOAL_BACKUP_SHARD_H
#define SHOAL_BACKUP_SHARD_H

#include "inventory.h"

/* One key of the snapshot. All is borrowed for the call. */
typedef struct shoal_shard_key {
    uint32_t db;
    shoal_slice name;
    shoal_slice payload; /* as RESTORE takes it; empty unless it was asked for */
    int64_t expires_ms;  /* < 0: never */
    int64_t idle_s;      /* < 0: not known */
    int32_t frequency;   /* the same */
} shoal_shard_key;

/* Who is told what is in it. */
typedef struct shoal_shard_reader {
    void (*key)(void *context, const shoal_shard_key *key); /* NULL: not wanted */
    void (*function)(void *context, shoal_slice source);    /* a library of functions */
    void (*command)(void *context, const shoal_slice *argv, uint32_t argc);
    void (*progress)(void *context, uint64_t bytes); /* read since the last call */
    void *context;
    bool payloads; /* keys come with them */
} shoal_shard_reader;

/* Reads a file and checks size, checksums (but a sha1 that is empty) and form; ends the program
 * when something is wrong with it. What was met is put into `met`: keys, keys_volatile, commands,
 * bytes, sha1. */
void shoal_shard__read(const char *folder, const shoal_shard *shard,
                       const shoal_shard_reader *reader, shoal_shard *met);

#endif
