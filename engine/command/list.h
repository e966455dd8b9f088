/* SPDX-License-Identifier: MIT
 *
 * command/list.h - what the commands on lists share: a list as a writer finds it, and the few ways
 * to change it, the same for packs and objects. All under the gate of the key.
 */
#ifndef SHOAL_COMMAND_LIST_H
#define SHOAL_COMMAND_LIST_H

#include "command/handlers.h"
#include "value/list.h"

/* A list as it was found. */
typedef struct shoal_lists__target {
    const shoal_key *key;
    shoal_compound value; /* empty: there is no such key */
    uint64_t count;
    int64_t expires_ms;
    shoal_list_limits limits;
    const char *popped; /* the one element that begin_pop took from a pack, else NULL */
} shoal_lists__target;

/* Elements to push, in the order of the arguments. */
typedef struct shoal_lists__push {
    const shoal_element *element; /* one element, or NULL: */
    const shoal_slice *texts;     /* so many texts */
    uint32_t count;
    shoal_list_end end;
} shoal_lists__push;

/* The list of key `index`. False after writing an error because it is another type. */
bool shoal_lists__find(shoal_call *call, uint32_t index, shoal_lists__target *target);
/* Adds elements. False after writing an error; then nothing has changed. */
bool shoal_lists__add(shoal_call *call, const shoal_lists__target *target,
                      const shoal_lists__push *push);
/* Replaces `removed` elements from `index` on by `added` (may be NULL); the key goes with the last.
 * False after writing an error; then nothing has changed. */
bool shoal_lists__replace(shoal_call *call, const shoal_lists__target *target, uint64_t index,
                          uint64_t removed, const shoal_element *added);
/* After elements of an object were removed: the key goes with the last, and a short list becomes a
 * pack. */
void shoal_lists__shrunk(shoal_call *call, const shoal_lists__target *target);
/* What changes of an object need. */
shoal_list_edit shoal_lists__edit(const shoal_call *call, const shoal_lists__target *target);

/* Taking `count` (1..target->count) elements from an end and telling them goes in three steps:
 * begin, which alone can fail (false after writing an error); tell, which writes them as bulks, the
 * outermost first; end. */
bool shoal_lists__begin_pop(shoal_call *call, shoal_lists__target *target, shoal_list_end end,
                            uint64_t count);
void shoal_lists__tell(shoal_call *call, const shoal_lists__target *target, shoal_list_end end,
                       uint64_t count);
void shoal_lists__end_pop(shoal_call *call, const shoal_lists__target *target, shoal_list_end end,
                          uint64_t count);

/* Writes one element as a bulk. */
void shoal_lists__reply_element(shoal_reply *reply, const shoal_element *element);
/* Reads `left` or `right` at argument `index`. False when it is neither; nothing is written. */
bool shoal_lists__end_word(const shoal_call *call, uint32_t index, shoal_list_end *end);

#endif
