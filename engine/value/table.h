/* SPDX-License-Identifier: MIT
 *
 * value/table.h - a compact hash table of names, alone or with values: the object of large sets and
 * hashes. It is made of pages of some twenty entries; a page is one allocation. The table grows and
 * shrinks by one page at a time (linear hashing), so that no change takes longer because the table
 * is large, and a position in it keeps its meaning: that is what cursors are.
 *
 * Names and values are elements of packs (value/pack.h). An entry of a table of pairs may have a
 * deadline; the table keeps those in order, and the owner asks it to drop what has expired. A table
 * itself knows no time: expired entries are found until they are dropped.
 *
 * Threads: a table is an object, see value/value.h.
 */
#ifndef SHOAL_VALUE_TABLE_H
#define SHOAL_VALUE_TABLE_H

#include "base/prng.h"
#include "value/pack.h"
#include "value/value.h"

typedef struct shoal_page shoal_page;
typedef struct shoal_deadlines shoal_deadlines;

/* Latest deadline of an entry in milliseconds: later ones are kept as this. */
#define SHOAL_TABLE_DEADLINE_MAX (((int64_t)1 << 46) - 1)

/* One entry. What is read from a table is borrowed until the table changes. */
typedef struct shoal_table_entry {
    shoal_element name;
    shoal_element value; /* of tables of pairs */
    int64_t deadline_ms; /* wall clock; < 0: none */
    shoal_slice bytes;   /* when read: all of it, in the one form that the content has */
} shoal_table_entry;

/* The table. Plain data to its own files only. */
typedef struct shoal_table {
    shoal_object object; /* type: SHOAL_TYPE_SET has names, SHOAL_TYPE_HASH pairs */
    uint64_t count;      /* entries, expired ones included */
    uint64_t seed;       /* of the hash */
    union {
        shoal_page **flat;   /* of few pages */
        shoal_page ***spine; /* of segments of pages */
    } directory;
    shoal_deadlines *deadlines; /* NULL: no entry ever had one */
    uint32_t pages;             /* > 0; a page without entries is NULL */
    uint16_t crowd;             /* no page has more entries */
    uint8_t directory_bits;     /* the directory has room for 2^ so many pages or segments */
} shoal_table;

/* An empty table of type SET or HASH and encoding 0, or NULL without memory. `seed` is of the hash
 * of its names: any number that clients cannot guess. */
shoal_table *shoal_table_make(shoal_account *account, shoal_value_type type, uint64_t seed);

/* True and `*out` (may be NULL) when there is an entry of that name. */
bool shoal_table_find(const shoal_table *table, const shoal_element *name, shoal_table_entry *out);
/* Puts an entry in the place of any of that name; `*added` says that there was none. The entry may
 * be borrowed from this table. 0 or SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_table_put(shoal_table *table, shoal_account *account,
                                         const shoal_table_entry *entry, bool *added);
/* Removes the entry of that name, which may be borrowed from this table; false when there is none.
 * Never fails for memory. */
bool shoal_table_remove(shoal_table *table, shoal_account *account, const shoal_element *name);

/* ---- deadlines ---- */

/* How many entries have a deadline up to `now_ms`. Takes a step for each 256 of them. */
uint64_t shoal_table_expired(const shoal_table *table, int64_t now_ms);
/* The earliest deadline, or -1 without any. */
int64_t shoal_table_deadline(const shoal_table *table);
/* True and the entry that has the earliest deadline, when that is at most `now_ms`. */
bool shoal_table_due(const shoal_table *table, int64_t now_ms, shoal_table_entry *entry);
/* Drops entries whose deadline is at most `now_ms`, in their order, at most `*budget` of them, and
 * takes what it used from `*budget`. Returns how many. */
uint64_t shoal_table_expire_some(shoal_table *table, shoal_account *account, int64_t now_ms,
                                 uint32_t *budget);

/* ---- walking ---- */

/* A place in a table that does not change meanwhile. Zero is the beginning. */
typedef struct shoal_table_place {
    uint32_t page, index;
} shoal_table_place;

/* The entry at or behind `*place`, which moves behind it. False at the end. */
bool shoal_table_next(const shoal_table *table, shoal_table_place *place, shoal_table_entry *out);
/* Called with one entry of a scan. */
typedef void (*shoal_table_visit)(void *context, const shoal_table_entry *entry);
/* Visits the entries of the page at `*cursor` (0 begins) and moves `*cursor` on; it is 0 at the
 * end. Stateless: every entry that is there from the first to the last call is visited exactly
 * once, others at most once, however the table grows and shrinks between the calls. Any number is
 * harmless. The table must not change during the call. */
void shoal_table_scan(const shoal_table *table, uint64_t *cursor, shoal_table_visit visit,
                      void *context);
/* True when a scan whose cursor this is, not 0, has passed the place where an entry of that name is
 * or would be. */
bool shoal_table_is_passed(const shoal_table *table, uint64_t cursor, const shoal_element *name);
/* An entry of a table that is not empty, each as likely as any other, and where it is: a number
 * that no other entry has until the table changes. */
uint64_t shoal_table_random(const shoal_table *table, shoal_prng *prng, shoal_table_entry *out);

/* ---- as an object ---- */

/* As free_some, copy and move of shoal_value_ops. */
bool shoal_table_free_some(shoal_object *object, shoal_account *account, uint32_t *budget);
shoal_object *shoal_table_copy(const shoal_object *object, shoal_account *account);
void shoal_table_move(shoal_object *object, shoal_account *account, uint64_t *cursor,
                      uint32_t *budget, const shoal_value_mover *mover);

#endif
