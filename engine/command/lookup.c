/* SPDX-License-Identifier: MIT
 *
 * command/lookup.c - the table made from commands.def, and finding rows in it.
 */
#include "command/lookup.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/text.h"
#include "command/handlers.h"
#include "command/keys.h"

/* What `run` of a row is, by executor; containers of subcommands are CONTROL rows too. */
#define RUN_LOCAL(handler) shoal_command__##handler
#define RUN_READ(handler) shoal_command__##handler
#define RUN_GATED(handler) shoal_command__##handler
#define RUN_TOUR(handler) shoal_command__##handler
#define RUN_CONTROL(handler) NULL

static const shoal_command rows[SHOAL_COMMAND_COUNT] = {
#define SHOAL_COMMAND(ID, NAME, PARENT, EXECUTOR, HANDLER, ARITY, FLAGS, FIRST, LAST, STEP, \
                      ACCESS, CATEGORIES, TIPS, SINCE, GROUP, COMPLEXITY, SUMMARY)          \
    [SHOAL_COMMAND_##ID] = {.id = SHOAL_COMMAND_##ID,                                       \
                            .name = NAME,                                                   \
                            .parent = SHOAL_COMMAND_##PARENT,                               \
                            .executor = SHOAL_RUN_##EXECUTOR,                               \
                            .run = RUN_##EXECUTOR(HANDLER),                                 \
                            .arity = ARITY,                                                 \
                            .flags = FLAGS,                                                 \
                            .key_first = FIRST,                                             \
                            .key_last = LAST,                                               \
                            .key_step = STEP,                                               \
                            .access = ACCESS,                                               \
                            .categories = CATEGORIES,                                       \
                            .tips = TIPS,                                                   \
                            .since = SINCE,                                                 \
                            .group = GROUP,                                                 \
                            .complexity = COMPLEXITY,                                       \
                            .summary = SUMMARY},
#include "command/commands.def"
#undef SHOAL_COMMAND
};

/* ---- names as words ---- */

/* Turns the capital letters among eight bytes into small ones. A byte's high bit in the sums says
 * "at least 'A'" and "above 'Z'"; bytes with a high bit of their own are left alone. */
static inline uint64_t lower8(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t low7 = word & (0x7F * ones);
    uint64_t from_a = low7 + (0x80 - 'A') * ones;
    uint64_t above_z = low7 + (0x7F - 'Z') * ones;
    uint64_t capital = (from_a ^ above_z) & ~word & (0x80 * ones);
    return word | capital >> 2;
}

/* Reads 1 to 16 bytes as two words without touching any other byte. */
static inline shoal_lookup_name fold(shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(name.size >= 1 && name.size <= SHOAL_LOOKUP__NAME_MAX);
    const char *data = name.data;
    size_t size = name.size;
    uint64_t head, tail;
    if (size >= 8) {
        head = shoal_bytes_get_le64(data);
        tail = shoal_bytes_get_le64(data + size - 8);
    } else if (size >= 4) {
        head = shoal_bytes_get_le32(data);
        tail = shoal_bytes_get_le32(data + size - 4);
    } else {
        head = (uint8_t)data[0];
        tail = (uint64_t)(uint8_t)data[size >> 1] << 8 | (uint8_t)data[size - 1];
    }
    return (shoal_lookup_name){.head = lower8(head), .tail = lower8(tail), .size = (uint32_t)size};
}

static inline uint32_t bucket_of(uint64_t multiplier, const shoal_lookup_name *name)
{
    uint64_t mixed = (name->head ^ (name->tail << 7 | name->tail >> 57) ^ name->size) * multiplier;
    _Static_assert(SHOAL_LOOKUP__BUCKETS == 1u << 12, "twelve bits of the product");
    return (uint32_t)(mixed >> 52);
}

/* ---- the hash ---- */

/* Tries one multiplier: true when every name has a bucket of its own. */
static bool place_all(shoal_lookup *lookup, uint32_t count, uint64_t multiplier)
{
    SHOAL_ASSERT(multiplier % 2 == 1);
    memset(lookup->at, 0, sizeof(lookup->at));
    for (uint32_t i = 1; i < count; i++) {
        uint16_t *at = &lookup->at[bucket_of(multiplier, &lookup->names[i])];
        if (*at != 0) return false;
        *at = (uint16_t)i;
    }
    lookup->multiplier = multiplier;
    return true;
}

void shoal_lookup__make(shoal_lookup *lookup)
{
    memset(lookup, 0, sizeof(*lookup));
    uint32_t count = 1;
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
        lookup->key_rules[id] = shoal_keys__rule(&rows[id]);
        if (rows[id].parent != SHOAL_COMMAND_NONE) continue;
        shoal_slice name = shoal_text(rows[id].name);
        SHOAL_ASSERT(name.size >= 1 && name.size <= SHOAL_LOOKUP__NAME_MAX);
        lookup->names[count] = fold(name);
        lookup->names[count++].id = id;
    }
    /* A fixed sequence of odd numbers: the same table on every machine. Each try succeeds with
     * about exp(-n^2 / 8192) for n names; the bound is far beyond what three hundred names need. */
    uint64_t multiplier = 0x9E3779B97F4A7C15u;
    for (uint32_t tries = 0; tries < 1u << 20; tries++) {
        if (place_all(lookup, count, multiplier)) return;
        multiplier = (multiplier * 0xD1342543DE82EF95u + 2) | 1;
    }
    SHOAL_UNREACHABLE();
}

const shoal_command *shoal_lookup__find(const shoal_lookup *lookup, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(lookup->multiplier != 0);
    if (name.size == 0 || name.size > SHOAL_LOOKUP__NAME_MAX) return NULL;
    shoal_lookup_name folded = fold(name);
    const shoal_lookup_name *known =
        &lookup->names[lookup->at[bucket_of(lookup->multiplier, &folded)]];
    bool same =
        known->head == folded.head && known->tail == folded.tail && known->size == folded.size;
    return same ? &rows[known->id] : NULL;
}

/* ---- walks ---- */

const shoal_command *shoal_lookup__sub(shoal_command_id parent, shoal_slice name)
{
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
        if (rows[id].parent == parent && shoal_text_is(name, rows[id].name)) return &rows[id];
    }
    return NULL;
}

bool shoal_lookup__is_container(shoal_command_id id)
{
    SHOAL_DEBUG_ASSERT(id < SHOAL_COMMAND_COUNT);
    /* Subcommands stand right behind their container. */
    return id + 1 < SHOAL_COMMAND_COUNT && rows[id + 1].parent == id;
}

const shoal_command *shoal_command_find(shoal_slice name, shoal_slice sub)
{
    const shoal_command *command = shoal_lookup__sub(SHOAL_COMMAND_NONE, name);
    if (command == NULL || sub.size == 0) return command;
    return shoal_lookup__sub(command->id, sub);
}

const shoal_command *shoal_command_row(shoal_command_id id)
{
    SHOAL_ASSERT(id > SHOAL_COMMAND_NONE && id < SHOAL_COMMAND_COUNT);
    return &rows[id];
}
