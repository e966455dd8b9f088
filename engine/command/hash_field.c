/* SPDX-License-Identifier: MIT
 *
 * command/hash_field.c - fields read or set together with their times to live: HGETDEL, HGETEX,
 * HSETEX.
 */
#include "base/assert.h"
#include "command/effect.h"
#include "command/hash_fields.h"

/* The options of HGETEX and HSETEX. */
typedef struct field_options {
    bool if_absent, if_present; /* FNX, FXX */
    bool keep;                  /* KEEPTTL */
    bool persist;               /* PERSIST */
    bool dated;                 /* a deadline, */
    int64_t at_ms;              /* this one */
    shoal_fields fields;        /* of HSETEX: pairs */
} field_options;

/* Ends a change whose reply has been written from `before` on; an error takes its place. */
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

/* ---- HGETDEL ---- */

void shoal_command__hgetdel(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 5);
    shoal_members hash;
    shoal_fields fields;
    if (!shoal_call__find_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    if (!shoal_fields__parse(call, 2, "ERR Number of fields must be a positive integer", &fields))
        return;
    shoal_edit edit;
    bool typed = shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit);
    SHOAL_ASSERT(typed);
    size_t before = call->reply.out->end;
    shoal_reply_array(&call->reply, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        shoal_element name = shoal_element_of(call->argv[fields.first + i]);
        shoal_table_entry entry;
        if (shoal_edit__find(call, &edit, &name, &entry)) {
            shoal_reply__element(&call->reply, &entry.value);
            (void)shoal_draft_remove(&edit.draft, &name);
            shoal_effect__remove_field(call, call->argv[fields.first + i]);
        } else {
            shoal_reply_null(&call->reply);
        }
    }
    finish(call, &edit, SHOAL_ERR_OK, before);
}

/* ---- options ---- */

/* Says that only one of several options may be given. */
static bool complain(shoal_call *call, const char *complaint)
{
    SHOAL_DEBUG_ASSERT(complaint != NULL);
    shoal_reply_error(&call->reply, complaint);
    return false;
}

/* What two ways of saying how long a field lives are answered with. */
static bool complain_ttl(shoal_call *call, bool sets)
{
    SHOAL_DEBUG_ASSERT(call->argc >= 5);
    return complain(call, sets ? "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be "
                                 "specified"
                               : "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be "
                                 "specified");
}

/* Takes FIELDS, the number and the fields, with values if the command sets them. */
static bool take_fields(shoal_call *call, uint32_t *index, bool sets, field_options *options)
{
    int64_t count;
    uint32_t at = *index + 1;
    SHOAL_ASSERT(at <= call->argc);
    if (at >= call->argc || !shoal_text_to_i64(call->argv[at], &count) || count < 1 ||
        count > INT32_MAX)
        return complain(call, "ERR invalid number of fields");
    int64_t arguments = sets ? count * 2 : count;
    if (options->fields.count != 0 || arguments > (int64_t)call->argc - at - 1) {
        shoal_call__arity(call);
        return false;
    }
    options->fields = (shoal_fields){at + 1, (uint32_t)count};
    *index = at + (uint32_t)arguments;
    return true;
}

/* Takes the option at `*index` with its arguments; leaves it at the last of them. */
static bool take_option(shoal_call *call, uint32_t *index, bool sets, field_options *options)
{
    SHOAL_ASSERT(*index < call->argc);
    bool timed = options->dated || options->keep || options->persist;
    shoal_deadline_unit unit;
    if (shoal_call__word(call, *index, "fields")) return take_fields(call, index, sets, options);
    if (shoal_deadline__word(call->argv[*index], &unit)) {
        if (timed) return complain_ttl(call, sets);
        if (*index + 1 == call->argc) return complain(call, "ERR missing expire time");
        options->dated = true;
        return shoal_fields__deadline(call, ++*index, unit, &options->at_ms);
    }
    if (shoal_call__word(call, *index, sets ? "keepttl" : "persist")) {
        if (timed) return complain_ttl(call, sets);
        options->keep = sets;
        options->persist = !sets;
        return true;
    }
    bool absent = sets && shoal_call__word(call, *index, "fnx");
    if (absent || (sets && shoal_call__word(call, *index, "fxx"))) {
        if (options->if_absent || options->if_present)
            return complain(call, "ERR Only one of FXX or FNX arguments can be specified");
        options->if_absent = absent;
        options->if_present = !absent;
        return true;
    }
    shoal_slice word = call->argv[*index];
    shoal_reply_errorf(&call->reply, "ERR unknown argument: %.*s",
                       word.size < 128 ? (int)word.size : 128, word.data);
    return false;
}

static bool parse(shoal_call *call, bool sets, field_options *options)
{
    SHOAL_ASSERT(call->argc >= 5);
    *options = (field_options){.at_ms = -1};
    for (uint32_t i = 2; i < call->argc; i++) {
        if (!take_option(call, &i, sets, options)) return false;
    }
    if (options->fields.count > 0) return true;
    return complain(call, "ERR Mandatory argument FIELDS is missing or not at the right position");
}

/* ---- HGETEX ---- */

/* Gives a field that was found the life that the options ask for. */
static shoal_err renew(shoal_call *call, shoal_edit *edit, const shoal_table_entry *entry,
                       const shoal_element *name, const field_options *options)
{
    SHOAL_ASSERT(!(options->persist && options->dated));
    if (options->dated) return shoal_fields__date(call, edit, name, options->at_ms);
    if (!options->persist || entry->deadline_ms < 0) return SHOAL_ERR_OK;
    char text[32];
    shoal_slice argv[5] = {shoal_text("HPERSIST"), call->keys[0].name, shoal_text("FIELDS"),
                           shoal_text("1"), shoal_element_text(name, text)};
    shoal_effect_tell(call, argv, 5);
    return shoal_draft_date(&edit->draft, name, -1);
}

void shoal_command__hgetex(shoal_call *call)
{
    field_options options;
    shoal_members hash;
    SHOAL_ASSERT(call->key_count == 1);
    if (!shoal_call__find_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    if (!parse(call, false, &options)) return;
    shoal_edit edit;
    bool typed = shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit);
    SHOAL_ASSERT(typed);
    size_t before = call->reply.out->end;
    shoal_reply_array(&call->reply, options.fields.count);
    shoal_err err = SHOAL_ERR_OK;
    for (uint32_t i = 0; i < options.fields.count && err == SHOAL_ERR_OK; i++) {
        shoal_element name = shoal_element_of(call->argv[options.fields.first + i]);
        shoal_table_entry entry;
        if (!shoal_edit__find(call, &edit, &name, &entry)) {
            shoal_reply_null(&call->reply);
            continue;
        }
        shoal_reply__element(&call->reply, &entry.value);
        err = renew(call, &edit, &entry, &name, &options);
    }
    finish(call, &edit, err, before);
}

/* ---- HSETEX ---- */

/* All fields are there (FXX), or none (FNX), as asked. */
static bool allowed(const shoal_call *call, shoal_edit *edit, const field_options *options)
{
    SHOAL_ASSERT(!(options->if_absent && options->if_present));
    if (!options->if_absent && !options->if_present) return true;
    for (uint32_t i = 0; i < options->fields.count; i++) {
        shoal_element name = shoal_element_of(call->argv[options->fields.first + i * 2]);
        shoal_table_entry entry;
        if (shoal_edit__find(call, edit, &name, &entry) != options->if_present) return false;
    }
    return true;
}

/* Sets one field with the life that the options ask for. */
static shoal_err set_field(shoal_call *call, shoal_edit *edit, uint32_t index,
                           const field_options *options)
{
    SHOAL_ASSERT(index + 1 < call->argc);
    shoal_table_entry entry = shoal_entry_of(call->argv[index]), old;
    entry.value = shoal_element_of(call->argv[index + 1]);
    bool found = shoal_edit__find(call, edit, &entry.name, &old), added;
    if (options->dated && shoal_deadline__past(call, options->at_ms)) {
        /* It would die at once. */
        if (found) (void)shoal_draft_remove(&edit->draft, &entry.name);
        if (found) shoal_effect__remove_field(call, call->argv[index]);
        return SHOAL_ERR_OK;
    }
    if (options->dated) entry.deadline_ms = options->at_ms;
    if (options->keep && found) entry.deadline_ms = old.deadline_ms;
    shoal_slice argv[2] = {shoal_text("HSET"), call->keys[0].name};
    shoal_effect_tell_with(call, argv, 2, (shoal_effect_rest){index, 2});
    if (entry.deadline_ms >= 0)
        shoal_effect__date_field(call, call->argv[index], entry.deadline_ms);
    return shoal_draft_put(&edit->draft, &entry, &added);
}

void shoal_command__hsetex(shoal_call *call)
{
    field_options options;
    shoal_edit edit;
    SHOAL_ASSERT(call->key_count == 1);
    if (!parse(call, true, &options)) return;
    if (!shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit)) return;
    bool allow = allowed(call, &edit, &options);
    shoal_err err = SHOAL_ERR_OK;
    for (uint32_t i = 0; i < options.fields.count && allow && err == SHOAL_ERR_OK; i++)
        err = set_field(call, &edit, options.fields.first + i * 2, &options);
    if (shoal_edit__finish(call, &edit, err)) {
        shoal_reply_integer(&call->reply, allow);
    } else {
        shoal_effect_none(call);
    }
}
