/* SPDX-License-Identifier: MIT
 *
 * The faults that a seed draws: for each kind whether it is there at all, how often, when, on whom
 * and for how long; and the budget that leaves one good copy of each slot. A copy is gone while its
 * node has lost what it had in memory and did not have on its disk, until it has had time to fetch
 * it again from its master. The kinds themselves are in draw_net.c, draw_hosts.c and draw_people.c.
 */
#include "sim/draw_faults.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

#include "base/text.h"

#include "sim/memory.h"

/* Purposes of the streams of kinds: this and the number of the kind. Never renumber. */
#define DRAW_FAULTS 100u

/* ---- the budget ---- */

/* The column that a node is in, or UINT32_MAX. */
uint32_t shoal_faults__column(const shoal_drawing *drawing, uint32_t node)
{
    if (drawing->masters == 0 || node >= drawing->masters * (1 + drawing->replicas))
        return UINT32_MAX;
    return node % drawing->masters;
}

/* May this node lose its copy in that time? Notes that it does. A replica may have moved away where
 * replicas do, but never the last but one. */
bool shoal_faults__take_copy(shoal_faults *all, uint32_t node, int64_t from_us, int64_t until_us)
{
    const shoal_drawing *drawing = all->drawing;
    uint32_t column = shoal_faults__column(drawing, node);
    uint32_t spare = drawing->replicas > 1 && drawing->migrates ? 1 : drawing->replicas;
    if (drawing->options.reckless || column == UINT32_MAX) return true;
    int64_t whole_us = until_us + 12 * SHOAL_SECOND + 2 * drawing->timeout_us;
    uint32_t gone = 0;
    for (uint32_t i = 0; i < all->gap_count; i++) {
        const shoal_gap *other = &all->gaps[i];
        gone += other->column == column && other->from_us <= whole_us && from_us <= other->until_us;
    }
    if (gone >= spare) return false;
    all->gaps =
        shoal_sim__grow(all->gaps, &all->gap_capacity, all->gap_count + 1, sizeof(shoal_gap));
    all->gaps[all->gap_count++] = (shoal_gap){column, from_us, whole_us};
    return true;
}

/* ---- when and whom ---- */

/* A time between two, mostly of a few digits. */
int64_t shoal_faults__between(shoal_faults *all, int64_t low_us, int64_t high_us)
{
    int64_t at_us = shoal_prng_between(&all->stream, low_us, high_us > low_us ? high_us : low_us);
    int64_t grain_us = shoal_draw__percent(&all->stream, 15) ? 1 : 10 * SHOAL_MS;
    return at_us / grain_us * grain_us;
}

/* Faults are as long as what they can set off: parts and multiples of the node timeout. */
shoal_span shoal_faults__span(shoal_faults *all)
{
    static const int64_t percents[] = {10, 30, 70, 100, 125, 160, 220, 350, 600};
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = {.from_us = shoal_faults__between(all, drawing->from_us, drawing->until_us)};
    int64_t length_us = drawing->timeout_us * percents[shoal_prng_below(&all->stream, 9)] / 100;
    when.until_us =
        shoal_faults__between(all, when.from_us + length_us, when.from_us + length_us * 5 / 4);
    if (when.until_us > drawing->until_us) when.until_us = drawing->until_us;
    if (when.until_us < when.from_us) when.until_us = when.from_us;
    return when;
}

uint32_t shoal_faults__any_node(shoal_faults *all)
{
    return (uint32_t)shoal_prng_below(&all->stream, all->drawing->nodes);
}

/* A node that begins as a replica. The cluster has some. */
uint32_t shoal_faults__any_replica(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    SHOAL_ASSERT(drawing->replicas > 0);
    return drawing->masters +
           (uint32_t)shoal_prng_below(&all->stream, drawing->masters * drawing->replicas);
}

/* The nodes whose flag is `wanted`, as ranges. */
static shoal_selector flagged(const bool *flags, uint32_t nodes, bool wanted)
{
    shoal_selector selector = {.count = 0};
    for (uint32_t i = 0; i < nodes; i++) {
        if (flags[i] != wanted) continue;
        shoal_atom *last = selector.count > 0 ? &selector.atoms[selector.count - 1] : NULL;
        if (last && last->last == i) {
            last->last = i + 1;
        } else {
            SHOAL_ASSERT(selector.count < SHOAL_SELECTOR_ATOMS_MAX);
            selector.atoms[selector.count++] = (shoal_atom){SHOAL_ATOM_NODES, i + 1, i + 1};
        }
    }
    return selector;
}

/* Cuts the nodes in two; both sides have some. */
static void draw_halves(shoal_faults *all, shoal_line *line)
{
    uint32_t nodes = all->drawing->nodes;
    bool *here = shoal_sim__allocate(nodes * sizeof(*here));
    uint32_t most = nodes / 2 < SHOAL_SIDE_MAX - 1 ? nodes / 2 : SHOAL_SIDE_MAX - 1;
    uint32_t count = 1 + (uint32_t)shoal_prng_below(&all->stream, most > 0 ? most : 1);
    for (uint32_t i = 0; i < count; i++) here[shoal_faults__any_node(all)] = true;
    line->left = flagged(here, nodes, true);
    line->right = flagged(here, nodes, false);
    if (line->right.count == 0) line->right = shoal_draft__all();
    shoal_sim__free(here);
}

/* Two nodes, one against all, or halves. */
void shoal_faults__sides(shoal_faults *all, shoal_line *line)
{
    static const uint32_t weights[] = {35, 20, 45, 0};
    uint32_t nodes = all->drawing->nodes;
    uint32_t a = shoal_faults__any_node(all),
             b = (a + 1 + (uint32_t)shoal_prng_below(&all->stream, nodes)) % nodes;
    line->relation = SHOAL_RELATION_BOTH;
    switch (shoal_draw__weighted(&all->stream, weights)) {
    case 0:
        line->left = shoal_draft__node(a);
        line->right = shoal_draft__node(b);
        break;
    case 1:
        line->left = shoal_draft__node(a);
        line->right = shoal_draft__all();
        break;
    default: draw_halves(all, line);
    }
}

/* ---- lines ---- */

shoal_line *shoal_faults__on(shoal_faults *all, shoal_line_kind kind, int64_t at_us, uint32_t node)
{
    SHOAL_ASSERT(node < all->drawing->nodes);
    shoal_line *line = shoal_draft__add(&all->drawing->draft, kind, at_us);
    line->left = shoal_draft__node(node);
    return line;
}

void shoal_faults__operate(shoal_faults *all, uint32_t node, int64_t at_us, const char *format, ...)
{
    char text[256];
    va_list arguments;
    SHOAL_ASSERT(node < all->drawing->nodes);
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    SHOAL_ASSERT(size > 0 && (size_t)size < sizeof(text));
    shoal_draft__say(&all->drawing->draft, SHOAL_LINE_OPERATE, at_us, "%s", text)->left =
        shoal_draft__node(node);
}

void shoal_faults__mend_from(shoal_faults *all, int64_t from_us)
{
    if (from_us > all->drawing->mend_us) all->drawing->mend_us = from_us;
}

void shoal_faults__mend(shoal_faults *all, uint32_t node, int64_t offset_us, const char *format,
                        ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    SHOAL_ASSERT(size > 0 && (size_t)size < sizeof(text));
    shoal_draft__say(&all->drawing->mends, SHOAL_LINE_OPERATE, offset_us, "%s", text)->left =
        shoal_draft__node(node);
}

/* ---- all ---- */

/* A kind: in how many of a hundred seeds it is, and how often at most. Never reorder: a kind's
 * number names its stream. */
static const struct {
    void (*draw)(shoal_faults *all);
    uint32_t percent;
    uint32_t most;
} kinds[] = {
    {shoal_faults__cut, 45, 6},       {shoal_faults__one_way, 30, 4},
    {shoal_faults__stall, 30, 6},     {shoal_faults__reset, 30, 5},
    {shoal_faults__slow_net, 20, 3},  {shoal_faults__crash, 45, 6},
    {shoal_faults__power, 40, 5},     {shoal_faults__rolling, 8, 1},
    {shoal_faults__pause, 35, 5},     {shoal_faults__clock, 20, 4},
    {shoal_faults__disk, 25, 3},      {shoal_faults__failover, 25, 3},
    {shoal_faults__takeover, 10, 1},  {shoal_faults__replicate, 8, 2},
    {shoal_faults__chore, 25, 6},     {shoal_faults__meet, 10, 3},
    {shoal_faults__shutdown, 12, 2},  {shoal_faults__client, 15, 3},
    {shoal_faults__half_open, 15, 3}, {shoal_faults__strand, 15, 3},
    {shoal_faults__refuse, 15, 3},    {shoal_faults__drop, 20, 4},
    {shoal_faults__swizzle, 12, 2},   {shoal_faults__readdress, 8, 2},
    {shoal_faults__busy, 20, 4},      {shoal_faults__slow, 12, 2},
    {shoal_faults__crash_at, 25, 3},  {shoal_faults__clock_apart, 12, 3},
    {shoal_faults__reordered, 10, 2}, {shoal_faults__scattered, 4, 1},
    {shoal_faults__unreadable, 8, 2}, {shoal_faults__lying, 4, 1},
    {shoal_faults__wiped, 4, 1},      {shoal_faults__slow_disk, 8, 2},
    {shoal_faults__handover, 15, 3},  {shoal_faults__takeovers, 4, 1},
    {shoal_faults__move_slot, 12, 4}, {shoal_faults__drop_slot, 6, 2},
    {shoal_faults__forget, 6, 2},     {shoal_faults__start_over, 6, 1},
    {shoal_faults__flood, 5, 1},      {shoal_faults__starve, 6, 2},
    {shoal_faults__orphan, 6, 1},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

void shoal_draw__faults(shoal_drawing *drawing)
{
    shoal_faults all = {.drawing = drawing};
    SHOAL_ASSERT(drawing->until_us >= drawing->from_us);
    for (uint32_t i = 0; i < KIND_COUNT; i++) {
        all.stream = shoal_draw__stream(drawing, DRAW_FAULTS + i);
        if (!shoal_draw__percent(&all.stream, kinds[i].percent)) continue;
        uint32_t times = 1 + (uint32_t)shoal_prng_below(&all.stream, kinds[i].most);
        for (uint32_t j = 0; j < times; j++) kinds[i].draw(&all);
    }
    shoal_sim__free(all.gaps);
    shoal_sim__free(all.taken);
}
