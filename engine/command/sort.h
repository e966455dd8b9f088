/* SPDX-License-Identifier: MIT
 *
 * command/sort.h - the inside of SORT, shared by its files: what was asked for, what is sorted, and
 * the keys that BY and GET name.
 *
 *   sort.c          arguments, and how it gets the gates that it needs
 *   sort_load.c     the elements, and what BY and GET find
 *   sort_answer.c   the order, the reply and STORE
 */
#ifndef SHOAL_COMMAND_SORT_H
#define SHOAL_COMMAND_SORT_H

#include "command/handlers.h"

/* What an argument of BY or GET means: a name with a '*' for the element, or with "->" behind that
 * a field of the hash of that name. */
typedef struct shoal_sort_pattern {
    enum {
        SHOAL_SORT__NOTHING, /* no '*': there is no such thing */
        SHOAL_SORT__SELF,    /* "#": the element */
        SHOAL_SORT__KEY,
        SHOAL_SORT__FIELD
    } kind;
    shoal_slice before, behind; /* of the '*' */
    shoal_slice field;          /* FIELD */
} shoal_sort_pattern;

/* Room that grows in blocks, whose content does not move. */
typedef struct shoal_sort_room {
    struct shoal_sort_block *blocks; /* the newest first */
    size_t used;                     /* of the newest */
} shoal_sort_room;

/* One thing to be sorted. */
typedef struct shoal_sort_entry {
    shoal_slice text;
    uint64_t index; /* as it was loaded */
    double score;   /* not with alpha */
    shoal_slice by; /* with alpha and BY: what is compared; data NULL: there is none */
} shoal_sort_entry;

/* A set of slots of one database. */
typedef struct shoal_sort_slots {
    uint64_t words[SHOAL_SLOTS / 64];
} shoal_sort_slots;

/* A SORT that is under way. */
typedef struct shoal_sorting {
    shoal_call *call;
    /* What was asked for. */
    bool descending, alpha, stores;
    bool unsorted; /* BY without a '*' */
    bool by_pattern;
    int64_t limit_first, limit_count;
    shoal_sort_pattern by;
    shoal_sort_pattern *gets;
    uint32_t get_count, get_capacity;
    /* What there is. */
    shoal_sort_entry *entries;
    uint64_t count, capacity;
    uint64_t first, end; /* of the entries, those that are answered */
    shoal_sort_room room;
    shoal_buffer name; /* of the key that is being made */
    bool failed;       /* without memory */
} shoal_sorting;

/* ---- sort_load.c ---- */

/* Reads an argument of BY or GET. */
shoal_sort_pattern shoal_sort__pattern(shoal_slice text);
/* Loads the elements of `value`, which is of type `type` or empty; sorting->failed without
 * memory. */
void shoal_sort__load(shoal_sorting *sorting, shoal_value_type type, const shoal_compound *value);
/* Adds the slots of all keys that the patterns name to `slots`; sorting->failed without memory. */
void shoal_sort__name_slots(shoal_sorting *sorting, shoal_sort_slots *slots);
/* What the pattern finds for an element; data NULL for nothing. Borrowed until the next call, or
 * from the value itself; `scratch` may hold it. Under the gates. */
shoal_slice shoal_sort__find(shoal_sorting *sorting, const shoal_sort_pattern *pattern,
                             shoal_slice element, char scratch[32]);
/* A copy that stays; data NULL without memory. */
shoal_slice shoal_sort__keep(shoal_sorting *sorting, shoal_slice bytes);
/* Frees everything but the sorting itself. */
void shoal_sort__free(shoal_sorting *sorting);

/* ---- sort_answer.c ---- */

/* Gives every entry what it is compared by, sorts them, and replies or stores. */
void shoal_sort__answer(shoal_sorting *sorting);

#endif
