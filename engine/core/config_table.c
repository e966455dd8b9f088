/* SPDX-License-Identifier: MIT
 *
 * core/config_table.c - the rows of config.def as data, and how a directive is found by what
 * somebody typed.
 */
#include "core/config.h"

#include "base/assert.h"
#include "base/text.h"

/* What the columns of config.def are called here. */
enum {
    NONE = 0,
    IMMUTABLE = SHOAL_CONFIG_IMMUTABLE,
    PROTECTED = SHOAL_CONFIG_PROTECTED,
    SENSITIVE = SHOAL_CONFIG_SENSITIVE,
    MULTI = SHOAL_CONFIG_MULTI,
    HIDDEN = SHOAL_CONFIG_HIDDEN,
    KEPT = SHOAL_CONFIG_KEPT,
    FIXED = SHOAL_CONFIG_FIXED
};
enum { RECORDED = 0, ACTIVE = 1 };

/* Longer words are no misspelt directives. */
#define NAME_SIZE_MAX 64

static const shoal_directive TABLE[SHOAL_DIRECTIVE_COUNT] = {
#define SHOAL_DIRECTIVE(id, name, alias, type, fallback, min, max, words, flags, effect, doc) \
    [SHOAL_DIRECTIVE_##                                                                       \
        id] = {name,  alias,   SHOAL_CONFIG_##type, fallback, (min), (uint64_t)(max),         \
               words, (flags), (effect) == ACTIVE,  doc},
#include "core/config.def"
#undef SHOAL_DIRECTIVE
};

const shoal_directive *shoal_config__row(shoal_directive_id id)
{
    SHOAL_ASSERT(id < SHOAL_DIRECTIVE_COUNT);
    return &TABLE[id];
}

shoal_directive_id shoal_config__find(shoal_slice name)
{
    SHOAL_ASSERT(name.data != NULL || name.size == 0);
    if (name.size == 0) return SHOAL_DIRECTIVE_COUNT;
    for (uint32_t i = 0; i < SHOAL_DIRECTIVE_COUNT; i++) {
        if (shoal_text_is(name, TABLE[i].name) || shoal_text_is(name, TABLE[i].alias))
            return (shoal_directive_id)i;
    }
    return SHOAL_DIRECTIVE_COUNT;
}

/* The least of three numbers. */
static uint32_t least(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edits (one character in, out or changed) that turn `a` into `b`, both short. */
static uint32_t edits(shoal_slice a, shoal_slice b)
{
    SHOAL_ASSERT(a.size <= NAME_SIZE_MAX);
    uint32_t row[NAME_SIZE_MAX + 1];

    SHOAL_ASSERT(b.size <= NAME_SIZE_MAX);
    for (uint32_t j = 0; j <= b.size; j++) row[j] = j;
    for (uint32_t i = 1; i <= a.size; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b.size; j++) {
            bool same = shoal_text_lower(a.data[i - 1]) == shoal_text_lower(b.data[j - 1]);
            uint32_t next = least(row[j] + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1));
            diagonal = row[j];
            row[j] = next;
        }
    }
    return row[b.size];
}

const char *shoal_config__nearest(shoal_slice name)
{
    SHOAL_ASSERT(name.data != NULL || name.size == 0);
    const char *best = TABLE[0].name;
    uint32_t best_edits = UINT32_MAX;

    if (name.size > NAME_SIZE_MAX) name.size = NAME_SIZE_MAX;
    for (uint32_t i = 0; i < SHOAL_DIRECTIVE_COUNT; i++) {
        const char *names[2] = {TABLE[i].name, TABLE[i].alias};
        for (int k = 0; k < 2; k++) {
            uint32_t needed = edits(name, shoal_text(names[k]));
            if (names[k][0] == '\0' || needed >= best_edits) continue;
            best = names[k];
            best_edits = needed;
        }
    }
    return best;
}
