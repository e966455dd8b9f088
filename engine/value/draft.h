/* SPDX-License-Identifier: MIT
 *
 * value/draft.h - a set or hash that is being changed: a copy of its pack, which becomes a table
 * when it grows too large, or its table, in place. The room above stores what a draft has become.
 *
 * Threads: a draft belongs to the holder of the gate of its key.
 */
#ifndef SHOAL_VALUE_DRAFT_H
#define SHOAL_VALUE_DRAFT_H

#include "value/members.h"

/* Most elements of a pack of a set or hash: a walk over all of them takes about as long as a cache
 * miss or two. */
#define SHOAL_DRAFT_PACK_MAX 128u

/* Up to where a value is compact. */
typedef struct shoal_members_limits {
    uint64_t entries;    /* of an intset or listpack */
    uint64_t value_size; /* of a hash: of names and values, in bytes */
} shoal_members_limits;

/* What a draft needs to know besides the value. */
typedef struct shoal_draft_options {
    shoal_value_type type;
    shoal_members_limits limits;
    shoal_account *account; /* for tables */
    shoal_prng *prng;       /* for the seed of a table that is made */
} shoal_draft_options;

/* A set or hash that is being changed: a copy of a pack, which becomes a table when it grows too
 * large, or a table in place. */
typedef struct shoal_draft {
    shoal_value_type type;
    shoal_draft_options options;
    shoal_table *table; /* NULL: it is a pack */
    bool made;          /* the table was made here, and still belongs to the draft */
    bool wide;          /* a "hashtable" */
    bool changed;
    uint32_t elements; /* of the pack, the mark included */
    uint32_t size;     /* bytes of the pack */
    char bytes[SHOAL_PACK_INLINE_MAX];
} shoal_draft;

/* Begins with `value`, which is empty where there is none. Clients see a new value as compact. */
void shoal_draft_begin(shoal_draft *draft, const shoal_draft_options *options,
                       const shoal_compound *value);
/* Puts a copy of an object of more entries than are compact, which is a hashtable then, in the
 * place of the nothing that the draft began with. 0 or SHOAL_ERR_NO_MEMORY; then nothing has
 * changed. */
SHOAL_MUST_USE shoal_err shoal_draft_fill(shoal_draft *draft, const shoal_object *object);
/* Entries, expired ones included. */
uint64_t shoal_draft_count(const shoal_draft *draft);
/* The value as it is now, borrowed until the next change. */
shoal_compound shoal_draft_value(shoal_draft *draft);
/* As shoal_table_put; an entry may be borrowed from anywhere but the draft's own pack. Without
 * memory only the way in which clients see the value may have changed. */
SHOAL_MUST_USE shoal_err shoal_draft_put(shoal_draft *draft, const shoal_table_entry *entry,
                                         bool *added);
/* As shoal_table_remove; the name may be borrowed from a table, but not from the draft's pack. */
bool shoal_draft_remove(shoal_draft *draft, const shoal_element *name);
/* Gives an entry that is there another deadline, < 0 for none. As put. */
SHOAL_MUST_USE shoal_err shoal_draft_date(shoal_draft *draft, const shoal_element *name,
                                          int64_t deadline_ms);
/* Ends it: frees a table that was made here, unless `made` says that it has been handed over. */
void shoal_draft_drop(shoal_draft *draft);

#endif
