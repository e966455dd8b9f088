/* SPDX-License-Identifier: MIT
 *
 * Faults of hosts that a seed draws: processes that die, stop or are slow, clocks that lie, disks
 * that fail or forget, and nodes that are gone for good.
 */
#include "sim/draw_faults.h"

#include <string.h>

#include "base/assert.h"
#include <shoal/trace.h>

static void restart(shoal_faults *all, uint32_t node, int64_t at_us)
{
    shoal_faults__on(all, SHOAL_LINE_RESTART, at_us, node);
}

void shoal_faults__crash(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    if (!drawing->logs[node] && !shoal_faults__take_copy(all, node, when.from_us, when.until_us))
        return;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CRASH, when.from_us);
    line->left = shoal_draft__node(node);
    restart(all, node, when.until_us);
}

void shoal_faults__power(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    shoal_disk_fate fate = (shoal_disk_fate)shoal_prng_below(&all->stream, 3);
    bool kept = drawing->syncs[node] || (drawing->logs[node] && fate == SHOAL_DISK_KEPT);
    if (!kept && !shoal_faults__take_copy(all, node, when.from_us, when.until_us)) return;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CRASH, when.from_us);
    line->left = shoal_draft__node(node);
    line->power = true;
    line->fate = fate;
    restart(all, node, when.until_us);
}

/* One node after the other, as an upgrade does it. */
void shoal_faults__rolling(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t first = shoal_faults__any_node(all);
    int64_t each_us = (when.until_us - when.from_us) / drawing->nodes;
    for (uint32_t i = 0; i < drawing->nodes && i < SHOAL_SIDE_MAX; i++) {
        uint32_t node = (first + i) % drawing->nodes;
        int64_t at_us = when.from_us + each_us * i, until_us = at_us + each_us / 2;
        if (!drawing->logs[node] && !shoal_faults__take_copy(all, node, at_us, until_us)) continue;
        shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CRASH, at_us)->left =
            shoal_draft__node(node);
        restart(all, node, until_us);
    }
}

void shoal_faults__pause(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    shoal_selector who = shoal_draft__node(shoal_faults__any_node(all));
    shoal_draft__add(&all->drawing->draft, SHOAL_LINE_PAUSE, when.from_us)->left = who;
    shoal_draft__add(&all->drawing->draft, SHOAL_LINE_RESUME, when.until_us)->left = who;
}

/* ---- clocks and disks ---- */

void shoal_faults__clock(shoal_faults *all)
{
    static const int64_t steps_us[] = {100 * SHOAL_MS, SHOAL_SECOND, 60 * SHOAL_SECOND,
                                       3600 * SHOAL_SECOND, 86400 * SHOAL_SECOND};
    shoal_span when = shoal_faults__span(all);
    shoal_selector who = shoal_draft__node(shoal_faults__any_node(all));
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CLOCK, when.from_us);
    bool back = shoal_draw__percent(&all->stream, 50);
    line->left = who;
    line->choice = (int32_t)shoal_prng_below(&all->stream, 3);
    if (line->choice == SHOAL_CLOCK_STEP)
        line->amount = steps_us[shoal_prng_below(&all->stream, 5)];
    if (line->choice == SHOAL_CLOCK_DRIFT) line->amount = shoal_prng_between(&all->stream, 1, 1000);
    if (back) line->amount = -line->amount;
    if (line->choice != SHOAL_CLOCK_FREEZE) return;
    line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CLOCK, when.until_us);
    line->left = who;
    line->choice = SHOAL_CLOCK_RUN;
}

/* Will a node lose its power, and with it more than was synced? */
static bool loses_power(const shoal_draft *draft, uint32_t node)
{
    for (uint32_t i = 0; i < draft->count; i++) {
        const shoal_line *line = &draft->lines[i];
        if (line->kind == SHOAL_LINE_CRASH && line->fate != SHOAL_DISK_KEPT &&
            line->left.atoms[0].first == node + 1)
            return true;
    }
    return false;
}

void shoal_faults__disk(shoal_faults *all)
{
    static const int64_t slow_ms[] = {1, 5, 20, 100, 500};
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    int32_t mode = 1 + (int32_t)shoal_prng_below(&all->stream, 3);
    /* What a failed sync gives up is zeros behind a loss of power: no node starts from that. */
    bool holes = loses_power(&all->drawing->draft, node) && !all->drawing->options.reckless;
    if (mode == SHOAL_DISK_FAILING && holes) mode = SHOAL_DISK_FULL;
    if (mode != SHOAL_DISK_SLOW && !shoal_faults__take_copy(all, node, when.from_us, when.until_us))
        return;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_DISK, when.from_us);
    line->left = shoal_draft__node(node);
    line->choice = mode;
    if (mode == SHOAL_DISK_SLOW)
        line->amount = slow_ms[shoal_prng_below(&all->stream, 5)] * SHOAL_MS;
    line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_DISK, when.until_us);
    line->left = shoal_draft__node(node);
    line->choice = SHOAL_DISK_OK;
}

/* ---- work ---- */

void shoal_faults__busy(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    int64_t most_us = 3 * all->drawing->timeout_us, length_us = when.until_us - when.from_us;
    shoal_line *line =
        shoal_faults__on(all, SHOAL_LINE_BUSY, when.from_us, shoal_faults__any_node(all));
    line->amount = length_us > most_us ? most_us : length_us;
    if (line->amount <= 0) line->amount = 10 * SHOAL_MS;
}

/* What a node that is behind its work acknowledges, it has decided on before. */
void shoal_faults__slow(shoal_faults *all)
{
    static const int64_t factors[] = {2, 10, 50, 200};
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    shoal_faults__on(all, SHOAL_LINE_SLOW, when.from_us, node)->amount =
        factors[shoal_prng_below(&all->stream, 4)];
    shoal_faults__on(all, SHOAL_LINE_SLOW, when.until_us, node);
}

/* ---- crashes at a moment that counts ---- */

/* Has this node's disk failed syncs? What they have given up is zeros behind a loss of power. */
static bool has_holes(const shoal_drawing *drawing, uint32_t node)
{
    for (uint32_t i = 0; i < drawing->draft.count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        if (line->kind == SHOAL_LINE_DISK && line->choice == SHOAL_DISK_FAILING &&
            line->left.atoms[0].first == node + 1)
            return true;
    }
    return false;
}

/* Behind so many things that the node does, or when it tells of something: mostly of what it has
 * to make durable. Where that does not come, the last `heal *` calls it off. */
void shoal_faults__crash_at(shoal_faults *all)
{
    static const uint32_t records[] = {SHOAL_TRACE_VOTE,  SHOAL_TRACE_ELECTION, SHOAL_TRACE_SAVED,
                                       SHOAL_TRACE_EPOCH, SHOAL_TRACE_ROLE,     SHOAL_TRACE_FAIL,
                                       SHOAL_TRACE_SLOTS, SHOAL_TRACE_LINK_UP};
    static const uint32_t weights[] = {30, 20, 10, 15, 10, 5, 5, 5, 0};
    static const shoal_disk_fate fates[] = {SHOAL_DISK_KEPT, SHOAL_DISK_TORN, SHOAL_DISK_LOST,
                                            SHOAL_DISK_REORDERED};
    shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    bool power = shoal_draw__percent(&all->stream, 60) && !has_holes(drawing, node);
    if (!shoal_faults__take_copy(all, node, when.from_us, drawing->until_us)) return;
    shoal_line *line = shoal_faults__on(all, SHOAL_LINE_CRASH, when.from_us, node);
    line->trigger = SHOAL_TRIGGER_RECORD;
    line->which = 1;
    line->power = power;
    if (power) line->fate = fates[shoal_prng_below(&all->stream, 4)];
    if (shoal_draw__percent(&all->stream, 30)) {
        line->trigger = SHOAL_TRIGGER_EVENT;
        line->which = 1 + shoal_prng_below(&all->stream, 3000);
    } else {
        line->kind_wanted = records[shoal_draw__weighted(&all->stream, weights)];
        if (shoal_draw__percent(&all->stream, 30))
            line->which = 1 + shoal_prng_below(&all->stream, 4);
    }
    restart(all, node, when.until_us);
}

/* ---- clocks apart ---- */

/* One of the two clocks of a node alone. While its timers stand still, a node is promised to notice
 * nothing in time. */
void shoal_faults__clock_apart(shoal_faults *all)
{
    static const int64_t steps_us[] = {100 * SHOAL_MS, SHOAL_SECOND, 10 * SHOAL_SECOND,
                                       3600 * SHOAL_SECOND};
    static const int64_t drifts_ppm[] = {10, 200, 1000};
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    shoal_clock_which clock =
        shoal_draw__percent(&all->stream, 60) ? SHOAL_CLOCK_MONOTONIC : SHOAL_CLOCK_WALL;
    bool back = shoal_draw__percent(&all->stream, 50);
    shoal_clock_change change = (shoal_clock_change)shoal_prng_below(&all->stream, 3);
    shoal_line *line = shoal_faults__on(all, SHOAL_LINE_CLOCK, when.from_us, node);
    line->clock = clock;
    line->choice = (int32_t)change;
    if (change == SHOAL_CLOCK_STEP) line->amount = steps_us[shoal_prng_below(&all->stream, 4)];
    if (change == SHOAL_CLOCK_DRIFT) line->amount = drifts_ppm[shoal_prng_below(&all->stream, 3)];
    bool ahead = change == SHOAL_CLOCK_STEP && clock == SHOAL_CLOCK_MONOTONIC;
    if (back && !ahead) line->amount = -line->amount;
    if (change != SHOAL_CLOCK_STEP) {
        line = shoal_faults__on(all, SHOAL_LINE_CLOCK, when.until_us, node);
        line->clock = clock;
        line->choice = change == SHOAL_CLOCK_DRIFT ? SHOAL_CLOCK_DRIFT : SHOAL_CLOCK_RUN;
    }
}

/* ---- disks that lose, lie or cannot be read ---- */

static shoal_line *lose_power(shoal_faults *all, uint32_t node, int64_t at_us, shoal_disk_fate fate)
{
    shoal_line *line = shoal_faults__on(all, SHOAL_LINE_CRASH, at_us, node);
    line->power = true;
    line->fate = fate;
    return line;
}

static void set_disk(shoal_faults *all, uint32_t node, int64_t at_us, shoal_disk_mode mode)
{
    shoal_faults__on(all, SHOAL_LINE_DISK, at_us, node)->choice = (int32_t)mode;
}

/* Later writes of one file survive earlier ones of another. */
void shoal_faults__reordered(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    if (has_holes(drawing, node)) return;
    bool kept = drawing->syncs[node];
    if (!kept && !shoal_faults__take_copy(all, node, when.from_us, when.until_us)) return;
    lose_power(all, node, when.from_us, SHOAL_DISK_REORDERED);
    restart(all, node, when.until_us);
}

/* A disk that cannot be read while its node starts; then it can. */
void shoal_faults__unreadable(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    if (!shoal_faults__take_copy(all, node, when.from_us, when.until_us)) return;
    if (shoal_draw__percent(&all->stream, 80))
        shoal_faults__on(all, SHOAL_LINE_CRASH, when.from_us, node);
    set_disk(all, node, when.from_us, SHOAL_DISK_UNREADABLE);
    restart(all, node, shoal_faults__between(all, when.from_us, when.until_us));
    set_disk(all, node, when.until_us, SHOAL_DISK_OK);
    restart(all, node, when.until_us);
}

/* A sync takes seconds. */
void shoal_faults__slow_disk(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    set_disk(all, node, when.from_us, SHOAL_DISK_SLOW);
    all->drawing->draft.lines[all->drawing->draft.count - 1].amount =
        SHOAL_SECOND * shoal_prng_between(&all->stream, 1, 5);
    set_disk(all, node, when.until_us, SHOAL_DISK_OK);
}

/* A replica comes back with nothing while its master has no room for a snapshot. */
void shoal_faults__starve(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    if (drawing->replicas == 0) return;
    uint32_t replica = shoal_faults__any_replica(all);
    uint32_t master = shoal_faults__column(drawing, replica);
    int64_t at_us = shoal_faults__between(all, when.from_us, when.until_us);
    if (!shoal_faults__take_copy(all, replica, when.from_us, at_us)) return;
    shoal_faults__on(all, SHOAL_LINE_CRASH, when.from_us, replica);
    set_disk(all, master, when.from_us, SHOAL_DISK_FULL);
    restart(all, replica, at_us);
    set_disk(all, master, when.until_us, SHOAL_DISK_OK);
}

/* All replicas of a master stop for so long that others may take their place. */
void shoal_faults__orphan(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    int64_t from_us = shoal_faults__span(all).from_us;
    int64_t until_us = from_us + 2 * drawing->timeout_us + 9 * SHOAL_SECOND;
    if (drawing->replicas < 2 || drawing->masters < 2) return;
    if (until_us > drawing->until_us) until_us = drawing->until_us;
    uint32_t column = (uint32_t)shoal_prng_below(&all->stream, drawing->masters);
    for (uint32_t i = 1; i <= drawing->replicas; i++) {
        uint32_t node = column + i * drawing->masters;
        shoal_faults__on(all, SHOAL_LINE_PAUSE, from_us, node);
        shoal_faults__on(all, SHOAL_LINE_RESUME, until_us, node);
    }
}

/* ---- nodes that are gone for good ---- */

/* Does somebody take a slot off the master of a column? */
static bool drops_slot(const shoal_drawing *drawing, uint32_t column)
{
    static const char words[] = "CLUSTER DELSLOTS ";
    for (uint32_t i = 0; i < drawing->draft.count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        if (line->kind != SHOAL_LINE_OPERATE || line->left.atoms[0].first != column + 1) continue;
        if (strncmp(line->text, words, sizeof(words) - 1) == 0) return true;
    }
    return false;
}

/* Does an operator have the master of a column take a slot in, and with it an epoch? By Redis's
 * rules its replica is refused for ever when it has not heard of that one (zoo 15). */
static bool takes_epoch(const shoal_drawing *drawing, uint32_t column)
{
    if (drawing->profile == SHOAL_PROFILE_OF_SHOAL) return false;
    for (uint32_t i = 0; i < drawing->draft.count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        if (line->kind != SHOAL_LINE_OPERATE || line->left.atoms[0].first != column + 1) continue;
        if (strstr(line->text, " IMPORTING ") != NULL) return true;
    }
    return false;
}

/* May a node never come back with what it had? Another must be there that has its data and that a
 * majority can elect however long that takes; and only one goes in a run. */
static bool may_go(shoal_faults *all, uint32_t node, int64_t from_us)
{
    shoal_drawing *drawing = all->drawing;
    static const char directive[] = "cluster-replica-validity-factor ";
    bool stated = false;
    if (drawing->options.given || drawing->gone) return false;
    if (shoal_faults__column(drawing, node) != UINT32_MAX &&
        (drawing->masters < 3 || drawing->replicas == 0 ||
         drops_slot(drawing, shoal_faults__column(drawing, node)) || takes_epoch(drawing, node)))
        return false;
    for (uint32_t i = 0; i < drawing->draft.count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        if (line->kind != SHOAL_LINE_CONFIG) continue;
        if (strncmp(line->text, directive, sizeof(directive) - 1) != 0) continue;
        if (line->text[sizeof(directive) - 1] != '0') return false;
        stated = true;
    }
    if (!shoal_faults__take_copy(all, node, from_us, INT64_MAX / 4)) return false;
    drawing->gone = node + 1;
    if (stated) return true;
    shoal_line *line = shoal_draft__say(&drawing->draft, SHOAL_LINE_CONFIG, 0, "%s0", directive);
    line->left = shoal_draft__all();
    return true;
}

/* The host is thrown away at the end, and another comes to its address with a new disk: when its
 * failure is known, because a master whose address answers under another name is never failed. */
static void replace_host(shoal_faults *all, uint32_t node, shoal_disk_fate fate)
{
    const shoal_drawing *drawing = all->drawing;
    int64_t at_us = drawing->until_us + 10 * SHOAL_MS;
    if (fate == SHOAL_DISK_KEPT)
        shoal_faults__on(all, SHOAL_LINE_CRASH, at_us, node);
    else
        lose_power(all, node, at_us, fate);
    at_us += 4 * drawing->timeout_us + 5 * SHOAL_SECOND;
    shoal_faults__on(all, SHOAL_LINE_RESTART, at_us, node)->wiped = true;
    shoal_faults__take_in(all, node);
}

/* Sectors of all files are gone: the node may start from what is left, or not. */
void shoal_faults__scattered(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    if (!may_go(all, node, when.from_us)) return;
    lose_power(all, node, when.from_us, SHOAL_DISK_SCATTERED);
    restart(all, node, when.until_us);
    replace_host(all, node, SHOAL_DISK_KEPT);
}

/* Syncs that were none. The process dies, which shows nothing; or at the end the power goes, and
 * with it all that was promised since: such a node does not come back. */
void shoal_faults__lying(shoal_faults *all)
{
    shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    int64_t at_us = shoal_faults__between(all, when.from_us, when.until_us);
    bool power = shoal_draw__percent(&all->stream, 50);
    if (has_holes(drawing, node) || loses_power(&drawing->draft, node)) return;
    if (power && !may_go(all, node, when.from_us)) return;
    if (!power && !shoal_faults__take_copy(all, node, when.from_us, when.until_us)) return;
    drawing->deceived = true;
    set_disk(all, node, when.from_us, SHOAL_DISK_LYING);
    if (power) {
        replace_host(all, node, SHOAL_DISK_TORN);
        drawing->syncs[node] = false;
        return;
    }
    shoal_faults__on(all, SHOAL_LINE_CRASH, at_us, node);
    restart(all, node, when.until_us);
    set_disk(all, node, when.until_us, SHOAL_DISK_OK);
}

/* Another node, with an empty disk, at the old address. */
void shoal_faults__wiped(shoal_faults *all)
{
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all);
    if (!may_go(all, node, when.from_us)) return;
    shoal_faults__on(all, SHOAL_LINE_CRASH, when.from_us, node)->power =
        shoal_draw__percent(&all->stream, 50);
    replace_host(all, node, SHOAL_DISK_KEPT);
    all->drawing->syncs[node] = false;
}
