/* SPDX-License-Identifier: MIT
 *
 * command/hash_ttl.c - times to live of fields: HEXPIRE, HTTL, HPERSIST and their kin. Each answers
 * with one number a field.
 */
#include "base/assert.h"
#include "command/effect.h"
#include "command/hash_fields.h"

/* Answers for one field. */
enum {
    NO_FIELD = -2,
    NO_DEADLINE = -1,
    UNCHANGED = 0,
    CHANGED = 1,
    REMOVED = 2 /* the deadline has passed */
};

/* ---- arguments ---- */

bool shoal_fields__parse(shoal_call *call, uint32_t index, const char *complaint,
                         shoal_fields *fields)
{
    SHOAL_ASSERT(index < call->argc);
    int64_t count;
    if (!shoal_call__word(call, index, "fields")) {
        shoal_reply_error(&call->reply,
                          "ERR Mandatory argument FIELDS is missing or not at the right position");
    } else if (index + 1 >= call->argc || !shoal_text_to_i64(call->argv[index + 1], &count) ||
               count < 1) {
        shoal_reply_error(&call->reply, complaint);
    } else if (count != (int64_t)call->argc - index - 2) {
        shoal_reply_error(&call->reply,
                          "ERR The `numfields` parameter must match the number of arguments");
    } else {
        *fields = (shoal_fields){index + 2, (uint32_t)count};
        return true;
    }
    return false;
}

bool shoal_fields__deadline(shoal_call *call, uint32_t index, shoal_deadline_unit unit,
                            int64_t *at_ms)
{
    SHOAL_ASSERT(index < call->argc);
    int64_t value;
    if (!shoal_call__integer(call, index, &value)) return false;
    if (value < 0) {
        shoal_reply_error(&call->reply, "ERR invalid expire time, must be >= 0");
        return false;
    }
    if (shoal_deadline__at(value, unit, call->now, at_ms) && *at_ms <= SHOAL_TABLE_DEADLINE_MAX)
        return true;
    shoal_deadline__invalid(call);
    return false;
}

shoal_err shoal_fields__date(shoal_call *call, shoal_edit *edit, const shoal_element *name,
                             int64_t at_ms)
{
    char text[32];
    shoal_slice field = shoal_element_text(name, text);
    SHOAL_ASSERT(at_ms <= SHOAL_TABLE_DEADLINE_MAX);
    if (at_ms < 0 || !shoal_deadline__past(call, at_ms)) {
        if (at_ms >= 0) shoal_effect__date_field(call, field, at_ms);
        return shoal_draft_date(&edit->draft, name, at_ms);
    }
    shoal_effect__remove_field(call, field);
    bool removed = shoal_draft_remove(&edit->draft, name);
    SHOAL_ASSERT(removed);
    return SHOAL_ERR_OK;
}

/* ---- HEXPIRE ---- */

/* NX, XX, GT and LT. */
typedef enum condition { ALWAYS, IF_NONE, IF_ANY, IF_LATER, IF_EARLIER } condition;

static condition condition_of(const shoal_call *call, uint32_t index)
{
    SHOAL_ASSERT(index < call->argc);
    if (shoal_call__word(call, index, "nx")) return IF_NONE;
    if (shoal_call__word(call, index, "xx")) return IF_ANY;
    if (shoal_call__word(call, index, "gt")) return IF_LATER;
    if (shoal_call__word(call, index, "lt")) return IF_EARLIER;
    return ALWAYS;
}

/* May a deadline be put in the place of `before` (< 0: none)? None is later than any. */
static bool allows(condition when, int64_t before, int64_t after)
{
    SHOAL_ASSERT(after >= 0);
    switch (when) {
    case ALWAYS: return true;
    case IF_NONE: return before < 0;
    case IF_ANY: return before >= 0;
    case IF_LATER: return before >= 0 && after > before;
    case IF_EARLIER: return before < 0 || after < before;
    }
    SHOAL_UNREACHABLE();
    return false;
}

/* A deadline, and when it may be set. */
typedef struct demand {
    int64_t at_ms;
    condition when;
} demand;

/* Sets the deadline of one field, and the answer. */
static shoal_err date_field(shoal_call *call, shoal_edit *edit, uint32_t index,
                            const demand *wanted, int64_t *answer)
{
    SHOAL_DEBUG_ASSERT(index < call->argc);
    shoal_element name = shoal_element_of(call->argv[index]);
    shoal_table_entry entry;
    *answer = NO_FIELD;
    if (!shoal_edit__find(call, edit, &name, &entry)) return SHOAL_ERR_OK;
    *answer = UNCHANGED;
    if (!allows(wanted->when, entry.deadline_ms, wanted->at_ms)) return SHOAL_ERR_OK;
    *answer = shoal_deadline__past(call, wanted->at_ms) ? REMOVED : CHANGED;
    return shoal_fields__date(call, edit, &name, wanted->at_ms);
}

/* Ends a change whose replies have been written from `before` on; an error takes their place. */
static void finish(shoal_call *call, shoal_edit *edit, shoal_err err, size_t before)
{
    SHOAL_ASSERT(before <= call->reply.out->end || call->reply.out->failed);
    shoal_err end = shoal_edit__end(call, edit);
    if (err == SHOAL_ERR_OK) err = end;
    if (err == SHOAL_ERR_OK) return;
    shoal_effect_none(call);
    call->reply.out->end = before;
    (void)shoal_call__stored(call, err);
}

/* HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT. */
void shoal_command__hexpire(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 6);
    shoal_command_id id = call->command->id;
    shoal_deadline_unit unit = {.seconds =
                                    id == SHOAL_COMMAND_HEXPIRE || id == SHOAL_COMMAND_HEXPIREAT,
                                .absolute = id == SHOAL_COMMAND_HEXPIREAT ||
                                            id == SHOAL_COMMAND_HPEXPIREAT};
    shoal_edit edit;
    shoal_members hash;
    demand wanted;
    shoal_fields fields;
    if (!shoal_call__find_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    if (!shoal_fields__deadline(call, 2, unit, &wanted.at_ms)) return;
    wanted.when = condition_of(call, 3);
    if (!shoal_fields__parse(call, wanted.when == ALWAYS ? 3 : 4,
                             "ERR Parameter `numFields` should be greater than 0", &fields))
        return;
    bool typed = shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit);
    SHOAL_ASSERT(typed);
    size_t before = call->reply.out->end;
    shoal_reply_array(&call->reply, fields.count);
    shoal_err err = SHOAL_ERR_OK;
    for (uint32_t i = 0; i < fields.count && err == SHOAL_ERR_OK; i++) {
        int64_t answer;
        err = date_field(call, &edit, fields.first + i, &wanted, &answer);
        shoal_reply_integer(&call->reply, answer);
    }
    finish(call, &edit, err, before);
}

void shoal_command__hpersist(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 5);
    shoal_edit edit;
    shoal_members hash;
    shoal_fields fields;
    if (!shoal_call__find_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    if (!shoal_fields__parse(call, 2, "ERR Number of fields must be a positive integer", &fields))
        return;
    bool typed = shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit);
    SHOAL_ASSERT(typed);
    size_t before = call->reply.out->end;
    shoal_reply_array(&call->reply, fields.count);
    shoal_err err = SHOAL_ERR_OK;
    for (uint32_t i = 0; i < fields.count && err == SHOAL_ERR_OK; i++) {
        shoal_element name = shoal_element_of(call->argv[fields.first + i]);
        shoal_table_entry entry;
        int64_t answer = NO_FIELD;
        if (shoal_edit__find(call, &edit, &name, &entry)) {
            answer = entry.deadline_ms < 0 ? NO_DEADLINE : CHANGED;
            if (entry.deadline_ms >= 0) err = shoal_draft_date(&edit.draft, &name, -1);
        }
        shoal_reply_integer(&call->reply, answer);
    }
    finish(call, &edit, err, before);
}

/* ---- HTTL ---- */

/* HTTL, HPTTL, HEXPIRETIME, HPEXPIRETIME. */
void shoal_command__httl(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 5);
    shoal_command_id id = call->command->id;
    bool seconds = id == SHOAL_COMMAND_HTTL || id == SHOAL_COMMAND_HEXPIRETIME;
    bool absolute = id == SHOAL_COMMAND_HEXPIRETIME || id == SHOAL_COMMAND_HPEXPIRETIME;
    int64_t base = absolute ? 0 : shoal_time_wall_ms(call->now);
    shoal_members hash;
    shoal_fields fields;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    if (!shoal_fields__parse(call, 2, "ERR Number of fields must be a positive integer", &fields))
        return;
    shoal_reply_array(&call->reply, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        shoal_element name = shoal_element_of(call->argv[fields.first + i]);
        shoal_table_entry entry;
        int64_t answer = NO_FIELD;
        if (shoal_members_find(&hash, &name, &entry)) {
            answer = entry.deadline_ms < 0 ? NO_DEADLINE : entry.deadline_ms - base;
            /* A second that has begun counts. */
            if (entry.deadline_ms >= 0 && seconds) answer = (answer + 999) / 1000;
        }
        shoal_reply_integer(&call->reply, answer);
    }
}
