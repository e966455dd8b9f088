/* SPDX-License-Identifier: MIT
 *
 * command/deadline.c - from the numbers of EXPIRE, SET EX and their kin to wall-clock milliseconds.
 */
#include "base/assert.h"
#include "command/deadline.h"

bool shoal_deadline__word(shoal_slice word, shoal_deadline_unit *unit)
{
    SHOAL_ASSERT(unit != NULL);
    static const struct {
        const char *word;
        shoal_deadline_unit unit;
    } words[] = {
        {"ex", {.seconds = true}},
        {"px", {.seconds = false}},
        {"exat", {.seconds = true, .absolute = true}},
        {"pxat", {.seconds = false, .absolute = true}},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!shoal_text_is(word, words[i].word)) continue;
        *unit = words[i].unit;
        return true;
    }
    return false;
}

bool shoal_deadline__at(int64_t value, shoal_deadline_unit unit, shoal_time now, int64_t *at_ms)
{
    SHOAL_ASSERT(now.wall_us >= 0);
    if (unit.seconds) {
        if (value > INT64_MAX / 1000 || value < INT64_MIN / 1000) return false;
        value *= 1000;
    }
    if (!unit.absolute) {
        int64_t now_ms = shoal_time_wall_ms(now);
        if (value > INT64_MAX - now_ms) return false;
        value += now_ms;
    }
    *at_ms = value;
    return true;
}

void shoal_deadline__invalid(shoal_call *call)
{
    char name[32];
    shoal_command__full_name(call->command, name, sizeof(name));
    shoal_reply_errorf(&call->reply, "ERR invalid expire time in '%s' command", name);
}

bool shoal_deadline__argument(shoal_call *call, uint32_t index, shoal_deadline_unit unit,
                              int64_t *at_ms)
{
    SHOAL_ASSERT(index > 0 && index < call->argc);
    int64_t value;
    if (!shoal_call__integer(call, index, &value)) return false;
    if (value > 0 && shoal_deadline__at(value, unit, call->now, at_ms)) return true;
    shoal_deadline__invalid(call);
    return false;
}
