/* SPDX-License-Identifier: MIT
 *
 * command/introspect.c - COMMAND: the table of commands as clients read it. Sets and maps are
 * arrays in RESP2; the wire room sees to that.
 */
#include "base/assert.h"
#include "command/handlers.h"
#include "command/lookup.h"

/* Names of SHOAL_FLAG_ bits, from bit 0 on. */
static const char *const flag_names[] = {
    "write",   "readonly", "denyoom", "admin",   "pubsub",           "noscript", "blocking",
    "loading", "stale",    "fast",    "no_auth", "no_async_loading", "no_multi", "allow_busy",
};
/* Names of SHOAL_CATEGORY_ bits, from bit 0 on. */
static const char *const category_names[] = {
    "@keyspace", "@read",      "@write",      "@set",         "@sortedset", "@list",
    "@hash",     "@string",    "@bitmap",     "@admin",       "@fast",      "@slow",
    "@blocking", "@dangerous", "@connection", "@transaction",
};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(1u << (COUNT_OF(flag_names) - 1) == SHOAL_FLAG_ALLOW_BUSY, "a name for each flag");
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

/* One way to find keys: they begin at `index` and go on to `last`, counted from it or from the
 * end, every `step`. */
static void reply_key_spec(shoal_reply *reply, shoal_slice access, int32_t index, int32_t last,
                           int32_t step)
{
    SHOAL_ASSERT(index > 0 && step > 0);
    shoal_reply_map(reply, 3);
    shoal_reply_text(reply, "flags");
    reply_words(reply, access, ' ', true);
    shoal_reply_text(reply, "begin_search");
    shoal_reply_map(reply, 2);
    shoal_reply_text(reply, "type");
    shoal_reply_text(reply, "index");
    shoal_reply_text(reply, "spec");
    shoal_reply_map(reply, 1);
    shoal_reply_text(reply, "index");
    shoal_reply_integer(reply, index);
    shoal_reply_text(reply, "find_keys");
    shoal_reply_map(reply, 2);
    shoal_reply_text(reply, "type");
    shoal_reply_text(reply, "range");
    shoal_reply_text(reply, "spec");
    shoal_reply_map(reply, 3);
    shoal_reply_text(reply, "lastkey");
    shoal_reply_integer(reply, last);
    shoal_reply_text(reply, "keystep");
    shoal_reply_integer(reply, step);
    shoal_reply_text(reply, "limit");
    shoal_reply_integer(reply, 0);
}

static void reply_key_specs(shoal_reply *reply, const shoal_command *command)
{
    SHOAL_ASSERT((command->access[0] == '\0') == (command->key_first == 0));
    shoal_slice specs = shoal_text(command->access);
    size_t count = count_words(specs, ';');
    shoal_reply_set(reply, count);
    shoal_slice access;
    for (int32_t i = 0; next_word(&specs, ';', &access); i++) {
        bool single = count > 1 || command->key_last == command->key_first;
        int32_t last = single                  ? 0
                       : command->key_last < 0 ? command->key_last
                                               : command->key_last - command->key_first;
        reply_key_spec(reply, access, command->key_first + i, last, command->key_step);
    }
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
    reply_bits(reply, command->flags, flag_names, COUNT_OF(flag_names));
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
    } else if (command->key_first == 0) {
        shoal_reply_error(&call->reply, "ERR The command has no key arguments");
        command = NULL;
    } else if (command->arity > 0 ? argc != command->arity : argc < -command->arity) {
        shoal_reply_error(&call->reply, "ERR Invalid number of arguments specified for command");
        command = NULL;
    }
    return command;
}

/* What is done to the keys, given all arguments: SET reads the old value only with GET. */
static shoal_slice access_words(const shoal_call *call, const shoal_command *command)
{
    SHOAL_ASSERT(command->key_first > 0);
    if (command->id != SHOAL_COMMAND_SET) return shoal_text(command->access);
    for (uint32_t i = 2 + 3; i < call->argc; i++) {
        if (shoal_call__word(call, i, "get")) return shoal_text("RW access update");
    }
    return shoal_text("OW update");
}

/* GETKEYS and GETKEYSANDFLAGS. */
void shoal_command__command_getkeys(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    int64_t argc = (int64_t)call->argc - 2;
    const shoal_command *command = find_called(call, argc);
    if (command == NULL) return;
    bool with_flags = call->command->id == SHOAL_COMMAND_COMMAND_GETKEYSANDFLAGS;
    shoal_slice specs = access_words(call, command), access = {"", 0};
    int64_t last = command->key_last < 0 ? argc + command->key_last : command->key_last;
    size_t found = 0;
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    for (int64_t at = command->key_first; at <= last; at += command->key_step) {
        /* The last specification holds for all keys behind it. */
        (void)next_word(&specs, ';', &access);
        if (with_flags) shoal_reply_array(&call->reply, 2);
        shoal_reply_bulk(&call->reply, call->argv[2 + at]);
        if (with_flags) reply_words(&call->reply, access, ' ', true);
        found++;
    }
    shoal_reply_end_array(&call->reply, mark, found);
}
