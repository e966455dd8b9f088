/* SPDX-License-Identifier: MIT
 *
 * command/collection.h - what the commands of sets and hashes share: how a value is looked at, and
 * how it is changed and put back.
 */
#ifndef SHOAL_COMMAND_COLLECTION_H
#define SHOAL_COMMAND_COLLECTION_H

#include "command/handlers.h"
#include "value/draft.h"

/* The set or hash of key `index` for a reader, counted as hit or miss; without entries when there
 * is none. False, and the handler returns at once, as shoal_call__look_compound. */
bool shoal_call__look_members(shoal_call *call, uint32_t index, shoal_value_type type,
                              shoal_members *members);
/* The same under the gate, not counted. */
bool shoal_call__find_members(shoal_call *call, uint32_t index, shoal_value_type type,
                              shoal_members *members);

/* A change of one key under its gate. */
typedef struct shoal_edit {
    shoal_draft draft;
    uint32_t key;       /* index into the keys of the call */
    bool existed;       /* there was a value, of this type */
    int64_t expires_ms; /* of the key, < 0: never */
} shoal_edit;

/* Begins to change key `index`; fields whose time has come are dropped first, up to a bound. False
 * after writing an error because it is another type. */
bool shoal_edit__begin(shoal_call *call, uint32_t index, shoal_value_type type, shoal_edit *edit);
/* Begins with nothing, to replace whatever key `index` holds, without a TTL. */
void shoal_edit__begin_empty(shoal_call *call, uint32_t index, shoal_value_type type,
                             shoal_edit *edit);
/* True and `*entry` when there is one of that name. One whose time has come is dropped. */
bool shoal_edit__find(const shoal_call *call, shoal_edit *edit, const shoal_element *name,
                      shoal_table_entry *entry);
/* Puts back what has changed; a value without entries leaves no key. Always called behind begin,
 * also where a change failed. */
SHOAL_MUST_USE shoal_err shoal_edit__end(shoal_call *call, shoal_edit *edit);
/* End, and the error when that or what came before it (`err`) failed. True when nothing did. */
bool shoal_edit__finish(shoal_call *call, shoal_edit *edit, shoal_err err);

/* Writes an element as a bulk string. */
void shoal_reply__element(shoal_reply *reply, const shoal_element *element);
/* An entry of a set. */
static inline shoal_table_entry shoal_entry_of(shoal_slice name)
{
    return (shoal_table_entry){.name = shoal_element_of(name), .deadline_ms = -1};
}
/* Argument `index` as a count for a random choice: within +-(2^63 - 1), or half of that where each
 * entry takes two elements of a reply. False after writing an error. */
bool shoal_call__choice(shoal_call *call, uint32_t index, bool doubled, int64_t *count);

/* ---- SSCAN, HSCAN and their kin ---- */

/* What a walk over one key was asked for. */
typedef struct shoal_scan_options {
    shoal_slice pattern; /* with `matching` */
    bool matching;
    uint32_t count;
} shoal_scan_options;

/* Argument `index` as a cursor. False after writing an error. */
bool shoal_scan__cursor(shoal_call *call, uint32_t index, uint64_t *cursor);
/* MATCH and COUNT from argument `first` on. False after writing an error. */
bool shoal_scan__options(shoal_call *call, uint32_t first, shoal_scan_options *options);
/* The reply: the cursor, and an array of `count` elements that `elements` holds, which is freed. */
void shoal_scan__reply(shoal_call *call, uint64_t cursor, shoal_buffer *elements, size_t count);

#endif
