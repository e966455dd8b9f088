/* SPDX-License-Identifier: MIT
 *
 * value/members.h - sets and hashes as they are read, whatever form they have: packs of names, or
 * of names and values in turn, and tables. What has expired by the given time is not
 * there; what entries are read stay borrowed until the value changes.
 *
 * A pack of a set or hash that clients see as a "hashtable" begins with a mark: the element -0.0,
 * which is no string and so no name.
 *
 * Threads: a view may be used where its value may be read.
 */
#ifndef SHOAL_VALUE_MEMBERS_H
#define SHOAL_VALUE_MEMBERS_H

#include "value/table.h"

/* How clients see a value: kept in `encoding` of an object. */
enum {
    SHOAL_MEMBERS_COMPACT = 0, /* "intset", "listpack" */
    SHOAL_MEMBERS_WIDE = 1     /* "hashtable" */
};

/* A set or hash at one moment. */
typedef struct shoal_members {
    const shoal_table *table; /* or NULL */
    shoal_slice pack;         /* with data where it is one */
    const char *first, *end;  /* of the entries of the pack; equal where there is none */
    uint64_t count;           /* entries, without the expired */
    int64_t now_ms;
    bool pairs;
    bool wide;    /* a "hashtable" */
    bool expired; /* some entries of the table are, and are not in `count` */
} shoal_members;

/* A view of `value`, which is empty where there is none. `type` is SET or HASH. */
shoal_members shoal_members_of(const shoal_compound *value, shoal_value_type type, int64_t now_ms);
/* True and `*out` (may be NULL) when there is an entry of that name. */
bool shoal_members_find(const shoal_members *members, const shoal_element *name,
                        shoal_table_entry *out);

/* Where a walk stands. Zero is the beginning. */
typedef struct shoal_members_place {
    const char *at;
    shoal_table_place place;
} shoal_members_place;
/* The next entry; false at the end. */
bool shoal_members_next(const shoal_members *members, shoal_members_place *place,
                        shoal_table_entry *out);
/* Visits about `count` entries from `*cursor` on, as shoal_table_scan does; of a pack all. */
void shoal_members_scan(const shoal_members *members, uint32_t count, uint64_t *cursor,
                        shoal_table_visit visit, void *context);
/* One of the entries, of which there is one: each as likely as any other. Returns its number, as
 * shoal_table_random. */
uint64_t shoal_members_random(const shoal_members *members, shoal_prng *prng,
                              shoal_table_entry *out);

/* A choice of several entries. */
typedef struct shoal_members_choice {
    uint64_t count; /* distinct ones, at most those that there are */
    shoal_prng *prng;
    const shoal_allocator *scratch; /* for few of many */
    shoal_table_visit visit;
    void *context;
} shoal_members_choice;
/* Visits the entries of a choice, every choice as likely as any other. False without memory; then
 * nothing has been visited. */
bool shoal_members_choose(const shoal_members *members, const shoal_members_choice *choice);

/* ---- deadlines of fields ---- */

/* The earliest deadline of a field of a hash, in wall-clock milliseconds, or -1. */
int64_t shoal_hash_deadline(const shoal_object *hash);
/* True and the field whose deadline is the earliest, when that is at most `now_ms`. */
bool shoal_hash_due(const shoal_object *hash, int64_t now_ms, shoal_table_entry *entry);
/* Drops fields whose deadline is at most `now_ms`, at most `*budget`, and takes what it used from
 * `*budget`. True when something is left: else the owner removes the key. The account must be
 * settled behind it (shoal_store_changed_locked). */
bool shoal_hash_expire_some(shoal_object *hash, shoal_account *account, int64_t now_ms,
                            uint32_t *budget);

/* ---- for this room ---- */

/* What shoal_value_ops_of answers for SET and HASH. */
extern const shoal_value_ops shoal_set__ops;
extern const shoal_value_ops shoal_hash__ops;

/* Bytes of the mark. */
#define SHOAL_MEMBERS__MARK_SIZE 9u
/* Writes the mark at `at`; returns what follows. */
char *shoal_members__mark(char *at);
/* True when the pack begins with the mark. */
bool shoal_members__is_marked(shoal_slice pack);
/* Reads the entry of a pack at `at`; returns what follows. */
const char *shoal_members__read(const char *at, const char *end, bool pairs,
                                shoal_table_entry *out);

#endif
