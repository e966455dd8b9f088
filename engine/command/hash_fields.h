/* SPDX-License-Identifier: MIT
 *
 * command/hash_fields.h - what the commands share that give times to live to fields of hashes:
 * lists of fields with their number in front, and deadlines.
 */
#ifndef SHOAL_COMMAND_HASH_FIELDS_H
#define SHOAL_COMMAND_HASH_FIELDS_H

#include "command/collection.h"
#include "command/deadline.h"

/* Arguments that name fields. */
typedef struct shoal_fields {
    uint32_t first, count;
} shoal_fields;

/* Takes FIELDS, a number and so many fields, which must be the rest of the arguments, from argument
 * `index` on. `complaint` is the error for a number that is none. False after writing an error. */
bool shoal_fields__parse(shoal_call *call, uint32_t index, const char *complaint,
                         shoal_fields *fields);
/* Argument `index` as the wall-clock millisecond of a deadline. False after writing an error. */
bool shoal_fields__deadline(shoal_call *call, uint32_t index, shoal_deadline_unit unit,
                            int64_t *at_ms);
/* Gives a field that is there a deadline, < 0 for none; one that has passed removes it. Tells it,
 * but for none: whoever fails behind this takes that back (shoal_effect_none). */
SHOAL_MUST_USE shoal_err shoal_fields__date(shoal_call *call, shoal_edit *edit,
                                            const shoal_element *name, int64_t at_ms);

#endif
