/* SPDX-License-Identifier: MIT
 *
 * command/deadline.h - times to live as commands spell them: how long or until when, in seconds or
 * in milliseconds.
 */
#ifndef SHOAL_COMMAND_DEADLINE_H
#define SHOAL_COMMAND_DEADLINE_H

#include "command/handlers.h"

/* How a number is to be understood. */
typedef struct shoal_deadline_unit {
    bool seconds;  /* else milliseconds */
    bool absolute; /* a Unix time, else counted from now */
} shoal_deadline_unit;

/* True and *unit for the option words EX PX EXAT PXAT. */
bool shoal_deadline__word(shoal_slice word, shoal_deadline_unit *unit);

/* The wall-clock millisecond that `value` means. False when it cannot be represented. */
bool shoal_deadline__at(int64_t value, shoal_deadline_unit unit, shoal_time now, int64_t *at_ms);

/* Argument `index` as the deadline of a command that demands a positive number. False after
 * writing an error. */
bool shoal_deadline__argument(shoal_call *call, uint32_t index, shoal_deadline_unit unit,
                              int64_t *at_ms);

/* "invalid expire time" for this command. */
void shoal_deadline__invalid(shoal_call *call);

/* The time by which deadlines are judged: none has come for what is replicated. */
static inline int64_t shoal_deadline__now_ms(const shoal_call *call)
{
    return call->replicated ? INT64_MIN : shoal_time_wall_ms(call->now);
}

/* The deadline has come. */
static inline bool shoal_deadline__past(const shoal_call *call, int64_t at_ms)
{
    return at_ms <= shoal_deadline__now_ms(call);
}

#endif
