/* SPDX-License-Identifier: MIT
 *
 * command/introspect.c - COMMAND: the table of commands as clients read it. Sets and maps are
 * arrays in RESP2; the wire room sees to that.
 */
#include "base/assert.h"
#include "command/handlers.h"
#include "command/keys.h"
#include "command/lookup.h"

/* Names of SHOAL_FLAG_ bits, from bit 0 on. */
static const char *const flag_names[] = {
    "write",    "readonly",   "denyoom",      "admin",  "pubsub",      "noscript",
    "blocking", "loading",    "stale",        "fast",   "no_auth",     "no_async_loading",
    "no_multi", "allow_busy", "skip_slowlog", "asking", "movablekeys",
};
/* Behind the bits of commands.def: some keys are not found by first, last and step. */
#define MOVABLE_KEYS (SHOAL_FLAG_ASKING << 1)

/* Names of SHOAL_CATEGORY_ bits, from bit 0 on. */
static const char *const category_names[] = {
    "@keyspace", "@read",     "@write",     "@set",        "@sortedset",   "@list",
    "@hash",     "@string",   "@bitmap",    "@pubsub",     "@admin",       "@fast",
    "@slow",     "@blocking", "@dangerous", "@connection", "@transaction",
};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(1u << (COUNT_OF(flag_names) - 1) == MOVABLE_KEYS, "a name for each flag");
_Static_assert(1u << (COUNT_OF(category_names) - 1) == SHOAL_CATEGORY_TRANSACTION,
               "a name for each category");

/* ---- pieces ---- */

static void reply_bits(shoal_reply *reply, uint32_t bits, const char *const *names, size_t count)
{
    SHOAL_ASSERT(bits >> count == 0);
    shoal_reply_set(reply, (size_t)__builtin_popcount(bits));
    for (size_t i = 0; i < count; i++) {
        if (bits >> i & 1) shoal_reply_status(reply, names[i]);
    }
}

/* The next word of `text` up to `separator`; false at the end. Blanks around it are dropped. */
static bool next_word(shoal_slice *text, char separator, shoal_slice *word)
{
    SHOAL_DEBUG_ASSERT(separator != '\0');
    while (text->size != 0 && text->data[0] == ' ') text->data++, text->size--;
    if (text->size == 0) return false;
    size_t size = 0;
    while (size < text->size && text->data[size] != separator) size++;
    *word = (shoal_slice){text->data, size};
    size_t taken = size < text->size ? size + 1 : size;
    text->data += taken;
    text->size -= taken;
    return true;
}

static size_t count_words(shoal_slice text, char separator)
{
    size_t count = 0;
    shoal_slice word;
    while (next_word(&text, separator, &word)) count++;
    return count;
}

static void reply_words(shoal_reply *reply, shoal_slice text, char separator, bool statuses)
{
    shoal_reply_set(reply, count_words(text, separator));
    shoal_slice word;
    while (next_word(&text, separator, &word)) {
        if (statuses) {
            char copy[32] = {0};
            SHOAL_ASSERT(word.size < sizeof(copy));
            for (size_t i = 0; i < word.size; i++) copy[i] = word.data[i];
            shoal_reply_status(reply, copy);
        } else {
            shoal_reply_bulk(reply, word);
        }
    }
}

/* A pair of a map. */
static void reply_number(shoal_reply *reply, const char *name, int32_t value)
{
    shoal_reply_text(reply, name);
    shoal_reply_integer(reply, value);
}

/* Begins a half of a specification: its kind, and how many numbers describe it. */
static void reply_half(shoal_reply *reply, const char *half, const char *type, size_t numbers)
{
    SHOAL_DEBUG_ASSERT(numbers <= 3);
    shoal_reply_text(reply, half);
    shoal_reply_map(reply, 2);
    shoal_reply_text(reply, "type");
    shoal_reply_text(reply, type);
    shoal_reply_text(reply, "spec");
    shoal_reply_map(reply, numbers);
}

static void reply_key_spec(shoal_reply *reply, const shoal_key_spec *spec, int32_t step)
{
    SHOAL_ASSERT((spec->unknown || spec->keyword.size != 0) == (spec->at == 0));
    shoal_reply_map(reply, 3);
    shoal_reply_text(reply, "flags");
    reply_words(reply, spec->flags, ' ', true);
    if (spec->unknown) {
        reply_half(reply, "begin_search", "unknown", 0);
        reply_half(reply, "find_keys", "unknown", 0);
        return;
    }
    if (spec->keyword.size != 0) {
        reply_half(reply, "begin_search", "keyword", 2);
        shoal_reply_text(reply, "keyword");
        shoal_reply_bulk(reply, spec->keyword);
        reply_number(reply, "startfrom", SHOAL_KEYS__FROM_END);
    } else {
        reply_half(reply, "begin_search", "index", 1);
        reply_number(reply, "index", spec->at);
    }
    if (spec->keynum) {
        reply_half(reply, "find_keys", "keynum", 3);
        reply_number(reply, "keynumidx", 0);
        reply_number(reply, "firstkey", 1);
        reply_number(reply, "keystep", step > 1 ? step : 1);
    } else {
        reply_half(reply, "find_keys", "range", 3);
        reply_number(reply, "lastkey", spec->last);
        reply_number(reply, "keystep", step);
        reply_number(reply, "limit", 0);
    }
}

static void reply_key_specs(shoal_reply *reply, const shoal_command *command)
{
    SHOAL_ASSERT(command->access[0] != '\0' || command->key_first == 0);
    shoal_reply_set(reply, count_words(shoal_text(command->access), ';'));
    shoal_key_specs specs = shoal_keys__specs(command);
    shoal_key_spec spec;
    while (shoal_keys__next_spec(&specs, &spec)) reply_key_spec(reply, &spec, command->key_step);
}

/* The flags of the row, and whether keys must be looked for. */
static uint32_t shown_flags(const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT((command->flags & MOVABLE_KEYS) == 0);
    shoal_key_specs specs = shoal_keys__specs(command);
    shoal_key_spec spec;
    while (shoal_keys__next_spec(&specs, &spec)) {
        if (spec.unknown || spec.keynum || spec.keyword.size != 0)
            return command->flags | MOVABLE_KEYS;
    }
    return command->flags;
}

static size_t count_subcommands(const shoal_command *command)
{
    SHOAL_ASSERT(command->parent == SHOAL_COMMAND_NONE);
    size_t count = 0;
    for (uint32_t id = command->id + 1; id < SHOAL_COMMAND_COUNT; id++) {
        if (shoal_command_row(id)->parent != command->id) break;
        count++;
    }
    return count;
}

static void reply_name(shoal_reply *reply, const shoal_command *command)
{
    SHOAL_ASSERT(command != NULL);
    char name[64];
    shoal_command__full_name(command, name, sizeof(name));
    shoal_reply_text(reply, name);
}

/* ---- COMMAND, COMMAND INFO ---- */

/* All but the subcommands. */
static void reply_facts(shoal_reply *reply, const shoal_command *command)
{
    SHOAL_ASSERT(command->arity != 0);
    shoal_reply_array(reply, 10);
    reply_name(reply, command);
    shoal_reply_integer(reply, command->arity);
    reply_bits(reply, shown_flags(command), flag_names, COUNT_OF(flag_names));
    shoal_reply_integer(reply, command->key_first);
    shoal_reply_integer(reply, command->key_last);
    shoal_reply_integer(reply, command->key_step);
    reply_bits(reply, command->categories, category_names, COUNT_OF(category_names));
    reply_words(reply, shoal_text(command->tips), ',', false);
    reply_key_specs(reply, command);
}

static void reply_info(shoal_reply *reply, const shoal_command *command)
{
    SHOAL_ASSERT(command != NULL);
    size_t count = command->parent == SHOAL_COMMAND_NONE ? count_subcommands(command) : 0;
    reply_facts(reply, command);
    shoal_reply_set(reply, count);
    for (size_t i = 1; i <= count; i++) {
        reply_facts(reply, shoal_command_row((shoal_command_id)(command->id + i)));
        shoal_reply_set(reply, 0);
    }
}

/* Top-level commands there are. */
static size_t count_commands(void)
{
    size_t count = 0;
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++)
        count += shoal_command_row(id)->parent == SHOAL_COMMAND_NONE;
    return count;
}

/* The row of a name as COMMAND INFO takes it: "get", "config|get". NULL when unknown. */
static const shoal_command *find_named(shoal_slice name)
{
    size_t bar = shoal_text_find(name, shoal_text("|"));
    if (bar == SHOAL_TEXT_NONE) return shoal_command_find(name, (shoal_slice){"", 0});
    shoal_slice sub = {name.data + bar + 1, name.size - bar - 1};
    if (sub.size == 0) return NULL;
    return shoal_command_find((shoal_slice){name.data, bar}, sub);
}

void shoal_command__command(shoal_call *call)
{
    SHOAL_ASSERT(count_commands() > 0);
    shoal_reply_array(&call->reply, count_commands());
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
        const shoal_command *row = shoal_command_row(id);
        if (row->parent == SHOAL_COMMAND_NONE) reply_info(&call->reply, row);
    }
}

void shoal_command__command_count(shoal_call *call)
{
    shoal_reply_integer(&call->reply, (int64_t)count_commands());
}

void shoal_command__command_info(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    if (call->argc == 2) {
        shoal_command__command(call);
        return;
    }
    shoal_reply_array(&call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        const shoal_command *command = find_named(call->argv[i]);
        if (command == NULL) {
            shoal_reply_null_array(&call->reply);
        } else {
            reply_info(&call->reply, command);
        }
    }
}

/* ---- COMMAND DOCS ---- */

/* Old names of other commands: since when, and what to use instead. */
static const struct {
    shoal_command_id id;
    const char *since, *instead;
} deprecated[] = {
    {SHOAL_COMMAND_GETSET, "6.2.0", "`SET` with the `!GET` argument"},
    {SHOAL_COMMAND_SUBSTR, "2.0.0", "`GETRANGE`"},
    {SHOAL_COMMAND_CLUSTER_SLAVES, "5.0.0", "`CLUSTER REPLICAS`"},
    {SHOAL_COMMAND_CLUSTER_SLOTS, "7.0.0", "`CLUSTER SHARDS`"},
};

static void reply_pair(shoal_reply *reply, const char *name, const char *text)
{
    SHOAL_ASSERT(name != NULL && text != NULL);
    shoal_reply_text(reply, name);
    shoal_reply_text(reply, text);
}

/* Writes the pairs about an old name; returns how many. */
static size_t reply_deprecation(shoal_reply *reply, shoal_command_id id)
{
    SHOAL_ASSERT(id != SHOAL_COMMAND_NONE);
    for (size_t i = 0; i < COUNT_OF(deprecated); i++) {
        if (deprecated[i].id != id) continue;
        shoal_reply_text(reply, "doc_flags");
        shoal_reply_set(reply, 1);
        shoal_reply_status(reply, "deprecated");
        reply_pair(reply, "deprecated_since", deprecated[i].since);
        reply_pair(reply, "replaced_by", deprecated[i].instead);
        return 3;
    }
    return 0;
}

/* Writes the pairs that every command has; returns how many. */
static size_t reply_texts(shoal_reply *reply, const shoal_command *command)
{
    SHOAL_ASSERT(command->summary[0] != '\0');
    reply_pair(reply, "summary", command->summary);
    reply_pair(reply, "since", command->since);
    reply_pair(reply, "group", command->group);
    reply_pair(reply, "complexity", command->complexity);
    return 4 + reply_deprecation(reply, command->id);
}

static void reply_docs(shoal_reply *reply, const shoal_command *command)
{
    reply_name(reply, command);
    shoal_reply_mark mark = shoal_reply_begin(reply);
    size_t pairs = reply_texts(reply, command);
    SHOAL_ASSERT(command != NULL);
    size_t count = command->parent == SHOAL_COMMAND_NONE ? count_subcommands(command) : 0;
    if (count != 0) {
        shoal_reply_text(reply, "subcommands");
        shoal_reply_map(reply, count);
        for (size_t i = 1; i <= count; i++) {
            const shoal_command *sub = shoal_command_row((shoal_command_id)(command->id + i));
            reply_name(reply, sub);
            shoal_reply_mark inner = shoal_reply_begin(reply);
            size_t inner_pairs = reply_texts(reply, sub);
            shoal_reply_end_map(reply, inner, inner_pairs);
        }
        pairs++;
    }
    shoal_reply_end_map(reply, mark, pairs);
}

void shoal_command__command_docs(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    size_t found = 0;
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    if (call->argc == 2) {
        for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
            if (shoal_command_row(id)->parent != SHOAL_COMMAND_NONE) continue;
            reply_docs(&call->reply, shoal_command_row(id));
            found++;
        }
    }
    for (uint32_t i = 2; i < call->argc; i++) {
        const shoal_command *command = find_named(call->argv[i]);
        if (command == NULL) continue;
        reply_docs(&call->reply, command);
        found++;
    }
    shoal_reply_end_map(&call->reply, mark, found);
}

/* ---- COMMAND LIST ---- */

/* Bit of a category without its @, or 0 when there is none of that name. */
static uint32_t category_of(shoal_slice name)
{
    for (size_t i = 0; i < COUNT_OF(category_names); i++) {
        if (shoal_text_is(name, category_names[i] + 1)) return 1u << i;
    }
    return 0;
}

void shoal_command__command_list(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    bool filtered = call->argc == 5 && shoal_call__word(call, 2, "filterby");
    bool by_module = filtered && shoal_call__word(call, 3, "module");
    bool by_category = filtered && shoal_call__word(call, 3, "aclcat");
    bool by_pattern = filtered && shoal_call__word(call, 3, "pattern");
    if (call->argc != 2 && !by_module && !by_category && !by_pattern) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    uint32_t category = by_category ? category_of(call->argv[4]) : 0;
    size_t found = 0;
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
        const shoal_command *row = shoal_command_row(id);
        char name[64];
        shoal_command__full_name(row, name, sizeof(name));
        if (by_module) continue;
        if (by_category && (row->categories & category) == 0) continue;
        if (by_pattern && !shoal_text_glob(call->argv[4], shoal_text(name), true)) continue;
        shoal_reply_text(&call->reply, name);
        found++;
    }
    shoal_reply_end_array(&call->reply, mark, found);
}

/* ---- COMMAND GETKEYS ---- */

/* The command that the arguments from the third on are, or NULL after writing an error. */
static const shoal_command *find_called(shoal_call *call, int64_t argc)
{
    SHOAL_ASSERT(argc >= 1);
    shoal_slice none = {"", 0};
    const shoal_command *command = shoal_command_find(call->argv[2], none);
    if (command != NULL && argc > 1 && shoal_lookup__is_container(command->id))
        command = shoal_lookup__sub(command->id, call->argv[3]);
    if (command == NULL) {
        shoal_reply_error(&call->reply, "ERR Invalid command specified");
    } else if (command->access[0] == '\0') {
        shoal_reply_error(&call->reply, "ERR The command has no key arguments");
        command = NULL;
    } else if (command->arity > 0 ? argc != command->arity : argc < -command->arity) {
        shoal_reply_error(&call->reply, "ERR Invalid number of arguments specified for command");
        command = NULL;
    }
    return command;
}

/* What is done to the key of a command whose row says "variable_flags", given its arguments: SET
 * reads the old value only with GET, BITFIELD writes nothing when it only gets, DELEX looks at the
 * value only to compare it. */
static shoal_slice variable_flags(const shoal_command *command, uint32_t argc,
                                  const shoal_slice *argv)
{
    SHOAL_ASSERT(command->key_first == 1);
    if (command->id == SHOAL_COMMAND_DELEX) return shoal_text(argc > 2 ? "RW delete" : "RM delete");
    bool is_set = command->id == SHOAL_COMMAND_SET;
    for (uint32_t i = is_set ? 3 : 2; i < argc; i++) {
        if (is_set && shoal_text_is(argv[i], "get")) return shoal_text("RW access update");
        if (!is_set && (shoal_text_is(argv[i], "set") || shoal_text_is(argv[i], "incrby")))
            return shoal_text("RW access update");
    }
    return shoal_text(is_set ? "OW update" : "RO access");
}

/* Keys of a call that stand at regular distances. */
typedef struct key_list {
    uint32_t first, step, count; /* arguments of the command */
    shoal_slice flags;
} key_list;

static void reply_keys(shoal_call *call, const key_list *keys, bool with_flags)
{
    SHOAL_ASSERT(keys->step > 0);
    for (uint32_t i = 0; i < keys->count; i++) {
        if (with_flags) shoal_reply_array(&call->reply, 2);
        SHOAL_ASSERT(2 + keys->first + i * keys->step < call->argc);
        shoal_reply_bulk(&call->reply, call->argv[2 + keys->first + i * keys->step]);
        if (with_flags) reply_words(&call->reply, keys->flags, ' ', true);
    }
}

/* The keys that a specification names in the `count` keys of a call, of which `done` are out. */
static key_list keys_of(const shoal_call *call, const shoal_command *command,
                        const shoal_key_spec *spec, uint32_t count, uint32_t done)
{
    uint32_t argc = call->argc - 2;
    const shoal_slice *argv = call->argv + 2;
    key_list keys = {.step = 1, .flags = spec->flags};
    SHOAL_ASSERT(done <= count);
    if (spec->unknown) {
        /* What SORT stores into is the last of the unknown ones. */
        if (shoal_text_find(spec->flags, shoal_text("OW")) != SHOAL_TEXT_NONE && done < count) {
            keys.first = shoal_keys__argument(command, SHOAL_KEYS__SORT, argc, argv, done);
            keys.count = 1;
        }
        return keys;
    }
    if (command->id == SHOAL_COMMAND_MIGRATE) {
        /* All of them stand where the one specification says, or where the other does. */
        if (done == count) return keys;
        keys.first = shoal_keys__argument(command, SHOAL_KEYS__MIGRATE, argc, argv, done);
        bool named = keys.first != (uint32_t)command->key_first;
        keys.count = named == (spec->keyword.size != 0) ? count : 0;
        return keys;
    }
    keys.first = (uint32_t)spec->at + (spec->keynum ? 1 : 0);
    keys.count = count - done;
    keys.step = spec->keynum ? shoal_keys__counted_step(command) : (uint32_t)command->key_step;
    if (spec->keynum) return keys;
    int32_t last = spec->last < 0 ? (int32_t)argc + spec->last : spec->at + spec->last;
    uint32_t range = last < spec->at ? 0 : (uint32_t)(last - spec->at) / keys.step + 1;
    if (range < keys.count) keys.count = range;
    if (shoal_text_find(spec->flags, shoal_text("variable_flags")) != SHOAL_TEXT_NONE)
        keys.flags = variable_flags(command, argc, argv);
    return keys;
}

/* GETKEYS and GETKEYSANDFLAGS. */
void shoal_command__command_getkeys(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    uint32_t argc = call->argc - 2;
    const shoal_command *command = find_called(call, argc);
    if (command == NULL) return;
    bool with_flags = call->command->id == SHOAL_COMMAND_COMMAND_GETKEYSANDFLAGS;
    uint32_t count = shoal_keys__count(command, shoal_keys__rule(command), argc, call->argv + 2);
    if (count == 0) {
        shoal_reply_error(&call->reply, "ERR Invalid arguments specified for command");
        return;
    }
    shoal_reply_array(&call->reply, count);
    uint32_t done = 0;
    shoal_key_specs specs = shoal_keys__specs(command);
    shoal_key_spec spec;
    while (shoal_keys__next_spec(&specs, &spec)) {
        key_list keys = keys_of(call, command, &spec, count, done);
        reply_keys(call, &keys, with_flags);
        done += keys.count;
    }
    SHOAL_ASSERT(done == count);
}
