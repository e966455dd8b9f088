/* SPDX-License-Identifier: MIT
 *
 * Faults of the network that a seed draws: between two nodes, around one, or between halves.
 */
#include "sim/draw_faults.h"

#include "base/assert.h"
#include "wire/bus.h"

/* Adds the line that ends another, with the same sides. */
static void end_with_heal(shoal_faults *all, const shoal_line *line, int64_t at_us)
{
    shoal_line copy = *line;
    shoal_line *end = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_HEAL, at_us);
    end->left = copy.left;
    end->right = copy.right;
    end->relation = copy.relation;
}

/* Adds a line, and the one that ends it, with the same sides. */
static void cut_and_heal(shoal_faults *all, bool one_way)
{
    shoal_span when = shoal_faults__span(all);
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CUT, when.from_us);
    shoal_faults__sides(all, line);
    if (one_way) line->relation = SHOAL_RELATION_FORWARD;
    if (one_way && shoal_draw__percent(&all->stream, 50)) {
        shoal_selector left = line->left;
        line->left = line->right;
        line->right = left;
    }
    end_with_heal(all, line, when.until_us);
}

void shoal_faults__cut(shoal_faults *all)
{
    cut_and_heal(all, false);
}

void shoal_faults__one_way(shoal_faults *all)
{
    cut_and_heal(all, true);
}

void shoal_faults__stall(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_STALL, when.from_us);
    shoal_faults__sides(all, line);
    line->amount = when.until_us > when.from_us ? when.until_us - when.from_us : 10 * SHOAL_MS;
    if (shoal_draw__percent(&all->stream, 40)) line->relation = SHOAL_RELATION_FORWARD;
}

void shoal_faults__reset(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    uint32_t times = 1 + (uint32_t)shoal_prng_below(&all->stream, 4);
    for (uint32_t i = 0; i < times; i++) {
        int64_t at_us = shoal_faults__between(all, when.from_us, when.until_us);
        shoal_faults__sides(all, shoal_draft__add(&all->drawing->draft, SHOAL_LINE_RESET, at_us));
    }
}

/* Slow ways to a node for a while, then what the first net line of the schedule says. */
void shoal_faults__slow_net(shoal_faults *all)
{
    shoal_draft *draft = &all->drawing->draft;
    shoal_span when = shoal_faults__span(all);
    shoal_line usual = {.kind = SHOAL_LINE_NET};
    for (uint32_t i = 0; i < draft->count && usual.left.count == 0; i++) {
        if (draft->lines[i].kind == SHOAL_LINE_NET) usual = draft->lines[i];
    }
    if (usual.left.count == 0 || usual.quality.latency_us < 0) return;
    shoal_selector who = shoal_draft__node(shoal_faults__any_node(all));
    shoal_line *slow = shoal_draft__add(draft, SHOAL_LINE_NET, when.from_us);
    slow->left = who;
    slow->quality = (shoal_quality){-1, -1, -1, -1, -1};
    slow->quality.latency_us =
        all->drawing->timeout_us * shoal_prng_between(&all->stream, 1, 10) / 10;
    shoal_line *end = shoal_draft__add(draft, SHOAL_LINE_NET, when.until_us);
    end->left = who;
    end->quality = usual.quality;
}

/* ---- connections ---- */

/* Only one end learns that a connection is gone. */
void shoal_faults__half_open(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    uint32_t times = 1 + (uint32_t)shoal_prng_below(&all->stream, 4);
    for (uint32_t i = 0; i < times; i++) {
        int64_t at_us = shoal_faults__between(all, when.from_us, when.until_us);
        shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_RESET, at_us);
        shoal_faults__sides(all, line);
        line->relation = SHOAL_RELATION_FORWARD;
    }
    all->drawing->dangling = true;
}

/* A firewall forgets what is open. */
void shoal_faults__strand(shoal_faults *all)
{
    int64_t at_us = shoal_faults__span(all).from_us;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_STRAND, at_us);
    shoal_faults__sides(all, line);
    if (shoal_draw__percent(&all->stream, 40)) line->relation = SHOAL_RELATION_FORWARD;
    all->drawing->dangling = true;
}

void shoal_faults__refuse(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_REFUSE, when.from_us);
    shoal_faults__sides(all, line);
    line->by_timeout = shoal_draw__percent(&all->stream, 50);
    if (shoal_draw__percent(&all->stream, 30)) line->relation = SHOAL_RELATION_FORWARD;
    end_with_heal(all, line, when.until_us);
}

/* Takes frames of one kind off the line; the last `heal *` ends it. */
void shoal_faults__drop(shoal_faults *all)
{
    static const uint32_t frames[] = {SHOAL_FRAME_PING,     SHOAL_FRAME_PONG,
                                      SHOAL_FRAME_FAIL,     SHOAL_FRAME_AUTH_REQUEST,
                                      SHOAL_FRAME_AUTH_ACK, SHOAL_FRAME_UPDATE,
                                      SHOAL_FRAME_MFSTART,  SHOAL_FRAME_MEET};
    static const uint32_t weights[] = {15, 20, 15, 15, 15, 10, 5, 5, 0};
    static const uint32_t times[] = {1, 1, 3, 20};
    int64_t at_us = shoal_faults__span(all).from_us;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_DROP, at_us);
    shoal_faults__sides(all, line);
    line->kind_wanted = frames[shoal_draw__weighted(&all->stream, weights)];
    line->which = 1 + shoal_prng_below(&all->stream, 3);
    line->times = times[shoal_prng_below(&all->stream, 4)];
    if (shoal_draw__percent(&all->stream, 50)) line->relation = SHOAL_RELATION_FORWARD;
    all->drawing->dangling = true;
}

void shoal_faults__swizzle(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    int64_t half_us = (when.until_us - when.from_us) / 2;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_SWIZZLE, when.from_us);
    line->left = shoal_draft__all();
    line->amount = half_us > 0 ? half_us : 10 * SHOAL_MS;
}

/* ---- addresses ---- */

/* All hosts move at once: nobody finds anybody until somebody is told. */
static void readdress_all(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    int64_t at_us = shoal_faults__span(all).from_us;
    shoal_draft__add(&all->drawing->draft, SHOAL_LINE_READDRESS, at_us)->left = shoal_draft__all();
    for (uint32_t i = 1; i < drawing->nodes; i++) {
        shoal_faults__mend(all, 0, 0, "CLUSTER MEET ip(n%u) 6379", i + 1);
    }
}

void shoal_faults__readdress(shoal_faults *all)
{
    bool whole = shoal_draw__percent(&all->stream, 20) && !all->drawing->options.given;
    all->drawing->dangling = true;
    if (whole) {
        readdress_all(all);
        return;
    }
    int64_t at_us = shoal_faults__span(all).from_us;
    shoal_faults__on(all, SHOAL_LINE_READDRESS, at_us, shoal_faults__any_node(all));
    /* The other of two may have moved before it has heard of this. */
    if (all->drawing->nodes == 2) shoal_faults__mend(all, 0, 0, "CLUSTER MEET ip(n2) 6379");
}

/* ---- bytes ---- */

/* Messages that are too much for a link which passes nothing. */
void shoal_faults__flood(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t from = shoal_faults__any_node(all), to = shoal_faults__any_node(all);
    if (from == to || when.until_us == when.from_us) return;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_STALL, when.from_us);
    line->left = shoal_draft__node(from);
    line->right = shoal_draft__node(to);
    line->relation = SHOAL_RELATION_FORWARD;
    line->amount = when.until_us - when.from_us;
    uint32_t messages = 4 + (uint32_t)shoal_prng_below(&all->stream, 20);
    for (uint32_t i = 0; i < messages && drawing->nodes > 1; i++) {
        int64_t at_us = shoal_faults__between(all, when.from_us, when.until_us);
        shoal_faults__operate(all, from, at_us, "PUBLISH news bytes(100000)");
    }
}
