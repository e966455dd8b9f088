/* SPDX-License-Identifier: MIT
 *
 * command/condition.h - conditions on the string that a key holds: SET, DELEX and DELIFEQ do what
 * they do only if it equals one that the client names, or its digest.
 */
#ifndef SHOAL_COMMAND_CONDITION_H
#define SHOAL_COMMAND_CONDITION_H

#include "command/handlers.h"

/* Digits of a digest: those of a 64-bit number. */
#define SHOAL_DIGEST__SIZE 16u

/* What is compared, and how. */
typedef enum shoal_condition {
    SHOAL_CONDITION__NONE = 0,
    SHOAL_CONDITION__EQUAL,           /* IFEQ value */
    SHOAL_CONDITION__DIFFERENT,       /* IFNE value; true of a key that does not exist */
    SHOAL_CONDITION__DIGEST_EQUAL,    /* IFDEQ digest */
    SHOAL_CONDITION__DIGEST_DIFFERENT /* IFDNE digest; true of a key that does not exist */
} shoal_condition;

/* The condition that `word` names, or NONE. */
shoal_condition shoal_condition__word(shoal_slice word);
/* Does `item`, a string or NULL, meet the condition with `operand`? `*holds` is the answer. False
 * after writing an error: the operand cannot be a digest. */
bool shoal_condition__check(shoal_call *call, const shoal_item *item, shoal_condition condition,
                            shoal_slice operand, bool *holds);

#endif
