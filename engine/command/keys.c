/* SPDX-License-Identifier: MIT
 *
 * command/keys.c - see keys.h. Keys stand in the order of the arguments: those of the range first,
 * then those that are counted; SORT may name one more behind STORE.
 */
#include "command/keys.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"

/* ---- specifications ---- */

/* Takes the next word before `separator` off `text`, without blanks around it. */
static bool take_word(shoal_slice *text, char separator, shoal_slice *word)
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

/* Takes the words off the front of spec->flags that say where the keys are. */
static void take_place(shoal_key_spec *spec)
{
    shoal_slice rest = spec->flags, word;
    while (take_word(&rest, ' ', &word)) {
        if (shoal_text_equal(word, shoal_text("keynum"))) {
            spec->keynum = true;
        } else if (shoal_text_equal(word, shoal_text("unknown"))) {
            spec->unknown = true;
        } else if (word.size > 8 && memcmp(word.data, "keyword=", 8) == 0) {
            spec->keyword = (shoal_slice){word.data + 8, word.size - 8};
        } else if (word.size == 4 && word.data[0] == 'a' && word.data[2] == '=') {
            spec->at = word.data[3] - '0';
            SHOAL_ASSERT(spec->at >= 1 && spec->at <= 9);
        } else {
            break;
        }
        spec->flags = rest;
    }
    while (spec->flags.size != 0 && spec->flags.data[0] == ' ')
        spec->flags.data++, spec->flags.size--;
}

shoal_key_specs shoal_keys__specs(const shoal_command *command)
{
    SHOAL_ASSERT(command != NULL);
    return (shoal_key_specs){command, shoal_text(command->access), command->key_first};
}

bool shoal_keys__next_spec(shoal_key_specs *specs, shoal_key_spec *spec)
{
    *spec = (shoal_key_spec){.at = specs->at};
    if (!take_word(&specs->rest, ';', &spec->flags)) return false;
    take_place(spec);
    if (spec->unknown || spec->keyword.size != 0) {
        spec->at = 0;
        spec->last = spec->unknown ? 0 : -1;
        return true;
    }
    specs->at = spec->at + 1;
    if (spec->keynum) return true;

    /* Only the last range has several keys. */
    shoal_key_specs behind = *specs;
    shoal_key_spec other;
    while (shoal_keys__next_spec(&behind, &other)) {
        if (!other.keynum && !other.unknown) return true;
    }
    int32_t last = specs->command->key_last;
    spec->last = last < 0 ? last : last - spec->at;
    SHOAL_ASSERT(last < 0 || spec->last >= 0);
    return true;
}

/* ---- calls ---- */

uint8_t shoal_keys__rule(const shoal_command *command)
{
    SHOAL_ASSERT(command != NULL);
    if (shoal_text_equal(shoal_text(command->name), shoal_text("sort"))) return SHOAL_KEYS__SORT;
    shoal_key_specs specs = shoal_keys__specs(command);
    shoal_key_spec spec;
    while (shoal_keys__next_spec(&specs, &spec)) {
        if (spec.keyword.size != 0) return SHOAL_KEYS__MIGRATE;
        if (spec.keynum) return (uint8_t)spec.at;
    }
    return 0;
}

/* Keys between first and last, both named by position. */
static uint32_t count_range(const shoal_command *command, uint32_t argc)
{
    if (command->key_first == 0) return 0;
    int64_t last = command->key_last < 0 ? (int64_t)argc + command->key_last : command->key_last;
    SHOAL_DEBUG_ASSERT(command->key_step > 0 && last < argc);
    if (last < command->key_first) return 0;
    return (uint32_t)((last - command->key_first) / command->key_step + 1);
}

/* The argument behind SORT's last STORE, or 0. */
static uint32_t sort_store(uint32_t argc, const shoal_slice *argv)
{
    SHOAL_DEBUG_ASSERT(argc >= 2);
    uint32_t found = 0;
    for (uint32_t i = 2; i < argc; i++) {
        uint32_t left = argc - i - 1;
        if (left >= 2 && shoal_text_is(argv[i], "limit")) {
            i += 2;
        } else if (left >= 1 && (shoal_text_is(argv[i], "get") || shoal_text_is(argv[i], "by"))) {
            i += 1;
        } else if (left >= 1 && shoal_text_is(argv[i], "store")) {
            found = ++i;
        }
    }
    return found;
}

/* The argument behind MIGRATE's KEYS, which counts only where the third is empty; or 0: the third
 * is the key. What follows AUTH and AUTH2 is no word of the command. */
static uint32_t migrate_keys(uint32_t argc, const shoal_slice *argv)
{
    SHOAL_ASSERT(argc >= 6);
    for (uint32_t i = 6; i < argc && argv[3].size == 0; i++) {
        if (shoal_text_is(argv[i], "keys")) return i + 1;
        if (shoal_text_is(argv[i], "auth")) i += 1;
        if (shoal_text_is(argv[i], "auth2")) i += 2;
    }
    return 0;
}

uint32_t shoal_keys__counted_step(const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command->key_step >= 0);
    return command->key_first == 0 && command->key_step > 1 ? (uint32_t)command->key_step : 1;
}

uint32_t shoal_keys__count(const shoal_command *command, uint8_t rule, uint32_t argc,
                           const shoal_slice *argv)
{
    uint32_t range = count_range(command, argc);
    if (rule == 0) return range;
    SHOAL_ASSERT(argc > 0 && argv != NULL);
    if (rule == SHOAL_KEYS__SORT) return range + (sort_store(argc, argv) != 0);
    if (rule == SHOAL_KEYS__MIGRATE) {
        uint32_t first = migrate_keys(argc, argv);
        return first == 0 ? range : argc - first;
    }
    int64_t count;
    if (rule >= argc || !shoal_text_to_i64(argv[rule], &count)) return 0;
    int64_t step = shoal_keys__counted_step(command);
    if (count < 1 || count > ((int64_t)argc - rule - 1) / step) return 0;
    return range + (uint32_t)count;
}

uint32_t shoal_keys__argument(const shoal_command *command, uint8_t rule, uint32_t argc,
                              const shoal_slice *argv, uint32_t index)
{
    uint32_t range = count_range(command, argc);
    if (rule == SHOAL_KEYS__MIGRATE) {
        uint32_t first = migrate_keys(argc, argv);
        SHOAL_ASSERT(first + index < argc);
        return first == 0 ? (uint32_t)command->key_first : first + index;
    }
    if (index < range) return (uint32_t)command->key_first + index * (uint32_t)command->key_step;
    SHOAL_ASSERT(rule != 0);
    uint32_t at = rule == SHOAL_KEYS__SORT
                      ? sort_store(argc, argv)
                      : rule + 1 + (index - range) * shoal_keys__counted_step(command);
    SHOAL_ASSERT(at > 0 && at < argc);
    return at;
}
