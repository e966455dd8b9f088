/* SPDX-License-Identifier: MIT
 *
 * command/zset.h - what the commands of sorted sets share: how a set is changed and put back, how
 * scores and ranges are read from arguments, and how elements are answered.
 */
#ifndef SHOAL_COMMAND_ZSET_H
#define SHOAL_COMMAND_ZSET_H

#include "command/handlers.h"
#include "value/zset.h"

/* Errors about scores. */
#define SHOAL_ERROR__FLOAT "ERR value is not a valid float"
#define SHOAL_ERROR__NAN "ERR resulting score is not a number (NaN)"

/* A change of the sorted set of one key under its gate. */
typedef struct shoal_zset_change {
    shoal_zset_edit edit;
    uint32_t key;          /* index into the keys of the call */
    bool existed;          /* the key held something */
    bool changed;          /* set by the handler: the edit is to be stored */
    int64_t expires_ms;    /* of the key, < 0: never */
    shoal_compound before; /* what it held: a pack stays readable, an object is what is edited */
} shoal_zset_change;

/* Begins to change key `index`. False after writing an error because it is another type. */
bool shoal_zset_change__begin(shoal_call *call, uint32_t index, shoal_zset_change *change);
/* Begins with an empty set that is to replace whatever key `index` holds, and its TTL. */
void shoal_zset_change__begin_empty(shoal_call *call, uint32_t index, shoal_zset_change *change);
/* Puts back what has changed; an empty set leaves no key. Always called behind begin, with what
 * went wrong before, if anything did. False after writing an error. */
bool shoal_zset_change__finish(shoal_call *call, shoal_zset_change *change, shoal_err err);
/* An edit of nothing that is not stored: for intermediate results. End it with
 * shoal_zset_edit_drop. */
void shoal_zset_edit__scratch(shoal_call *call, shoal_zset_edit *edit);

/* Argument `index` as a score, never not-a-number. False after writing `error`. */
bool shoal_call__score(shoal_call *call, uint32_t index, double *score, const char *error);

/* How elements are answered. */
typedef struct shoal_zset_style {
    bool scores; /* each with its score */
    bool nested; /* then in an array of its own, also in RESP2 */
    bool flat;   /* never in an array of its own, also in RESP3 */
} shoal_zset_style;

/* Writes an element; in RESP3 one with its score is an array unless the style is flat. */
void shoal_reply__scored(shoal_reply *reply, const shoal_zset_entry *entry, shoal_zset_style style);
/* Writes an array of the elements of these ranks, all of which are there. */
void shoal_reply__ranks(shoal_reply *reply, const shoal_compound *set, shoal_zset_ranks ranks,
                        shoal_zset_style style, bool reverse);

/* Argument `index` as one end of a range of scores or of members. False after writing an error. */
bool shoal_call__score_bound(shoal_call *call, uint32_t index, shoal_zset_bound *bound);
bool shoal_call__member_bound(shoal_call *call, uint32_t index, shoal_zset_bound *bound);

#endif
