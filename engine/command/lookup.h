/* SPDX-License-Identifier: MIT
 *
 * command/lookup.h - from the name of a command to its row, whatever the case, without a walk. A
 * perfect hash over the top-level names of commands.def, computed when a worker is made.
 *
 * Threads: immutable once made.
 */
#ifndef SHOAL_COMMAND_LOOKUP_H
#define SHOAL_COMMAND_LOOKUP_H

#include "command/command.h"

/* Buckets of the hash: enough that a multiplier without collisions is soon found for some two or
 * three hundred names (with 250, one in 2,000 serves, and most fail within a hundred names). */
#define SHOAL_LOOKUP__BUCKETS 4096u

/* Longest top-level name: the two words of shoal_lookup_name hold it whole. */
#define SHOAL_LOOKUP__NAME_MAX 16u

/* A name in lower case as two words, which overlap when it is shorter than 16 bytes. Together
 * with the size they are the name. */
typedef struct shoal_lookup_name {
    uint64_t head, tail;
    uint32_t size;
    uint32_t id; /* shoal_command_id */
} shoal_lookup_name;

/* The hash. */
typedef struct shoal_lookup {
    uint64_t multiplier;
    uint16_t at[SHOAL_LOOKUP__BUCKETS]; /* index into names; 0 is an entry that equals nothing */
    shoal_lookup_name names[SHOAL_COMMAND_COUNT];
    uint8_t key_rules[SHOAL_COMMAND_COUNT]; /* shoal_keys__rule of each row */
} shoal_lookup;

/* Finds a multiplier and fills the table. */
void shoal_lookup__make(shoal_lookup *lookup);
/* The row of a top-level command, or NULL. */
const shoal_command *shoal_lookup__find(const shoal_lookup *lookup, shoal_slice name);
/* The row of a subcommand of `parent`, or NULL. */
const shoal_command *shoal_lookup__sub(shoal_command_id parent, shoal_slice name);
/* True for rows that have subcommands. */
bool shoal_lookup__is_container(shoal_command_id id);

#endif
