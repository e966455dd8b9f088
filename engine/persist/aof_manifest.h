/* SPDX-License-Identifier: MIT
 *
 * persist/aof_manifest.h - which files make up an append-only file, in the text that Redis 7 keeps
 * beside them: one base, the increments that follow it, and history that a rewrite has left to be
 * removed. A pure codec: it knows names and numbers, no files.
 *
 *   file appendonly.aof.2.base.rdb seq 2 type b
 *   file appendonly.aof.1.incr.aof seq 1 type h
 *   file appendonly.aof.2.incr.aof seq 2 type i
 *
 * Threads: a manifest belongs to one thread at a time.
 */
#ifndef SHOAL_PERSIST_AOF_MANIFEST_H
#define SHOAL_PERSIST_AOF_MANIFEST_H

#include <shoal/types.h>

/* What a file is for; the letters are those of the text. */
typedef enum shoal_aof_kind {
    SHOAL_AOF_BASE = 'b',
    SHOAL_AOF_HISTORY = 'h',
    SHOAL_AOF_INCR = 'i'
} shoal_aof_kind;

/* One file. */
typedef struct shoal_aof_entry {
    uint64_t sequence;
    shoal_aof_kind kind;
    uint32_t name_size;
    size_t name_at; /* into the manifest's names */
} shoal_aof_entry;

/* Entries that a manifest may have. Chosen: Redis makes one more for each rewrite that fails. */
#define SHOAL_AOF_ENTRIES_MAX 65536u
/* Characters of a line, as in Redis. */
#define SHOAL_AOF_LINE_MAX 1022u

/* A manifest. Zero with both allocators set, by shoal_manifest_make, is empty. */
typedef struct shoal_manifest {
    shoal_buffer entries; /* of shoal_aof_entry, in the order of the text */
    shoal_buffer names;
    uint64_t base_sequence; /* the highest that a base has had */
    uint64_t incr_sequence; /* the highest that an increment has */
} shoal_manifest;

/* What is wrong with a text. */
typedef struct shoal_manifest_complaint {
    const char *reason; /* in Redis's words; static */
    uint32_t line;      /* from 1 on; 0: of no line */
    shoal_slice text;   /* of the line, borrowed from what was read */
} shoal_manifest_complaint;

/* An empty manifest. `allocator` is borrowed and outlives it. */
shoal_manifest shoal_manifest_make(const shoal_allocator *allocator);
/* Gives its memory back. */
void shoal_manifest_free(shoal_manifest *manifest);
/* Makes `to`, which has been made, hold what `from` holds. False without memory. */
SHOAL_MUST_USE bool shoal_manifest_copy(const shoal_manifest *from, shoal_manifest *to);

/* Reads `text` into an empty manifest. 0; SHOAL_ERR_MALFORMED, and what is wrong; or
 * SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_manifest_read(shoal_manifest *manifest, shoal_slice text,
                                             shoal_manifest_complaint *complaint);
/* Appends its text: the base, history, increments. */
void shoal_manifest_write(const shoal_manifest *manifest, shoal_buffer *out);

/* Number of entries. */
uint32_t shoal_manifest_count(const shoal_manifest *manifest);
/* Entry `index`, which must exist; borrowed until the manifest changes. */
const shoal_aof_entry *shoal_manifest_at(const shoal_manifest *manifest, uint32_t index);
/* Its name, borrowed until the manifest changes. */
shoal_slice shoal_manifest_name(const shoal_manifest *manifest, const shoal_aof_entry *entry);
/* How many entries are of this kind. */
uint32_t shoal_manifest_count_of(const shoal_manifest *manifest, shoal_aof_kind kind);
/* Entry `index` of those of this kind, or NULL. */
const shoal_aof_entry *shoal_manifest_find(const shoal_manifest *manifest, shoal_aof_kind kind,
                                           uint32_t index);

/* Adds an entry. False without memory or room. */
SHOAL_MUST_USE bool shoal_manifest_add(shoal_manifest *manifest, shoal_aof_kind kind,
                                       shoal_slice name, uint64_t sequence);
/* Adds the next base, named after `prefix` (appendfilename); the one before becomes history. False
 * without memory. */
SHOAL_MUST_USE bool shoal_manifest_add_base(shoal_manifest *manifest, shoal_slice prefix, bool rdb);
/* Adds the next increment. False without memory. */
SHOAL_MUST_USE bool shoal_manifest_add_incr(shoal_manifest *manifest, shoal_slice prefix);
/* All increments but the last `keep` become history. */
void shoal_manifest_retire_incrs(shoal_manifest *manifest, uint32_t keep);
/* Drops one entry of history, if there is one. */
void shoal_manifest_forget(shoal_manifest *manifest, uint32_t index);
/* Takes the last increment out again. */
void shoal_manifest_drop_incr(shoal_manifest *manifest);

#endif
