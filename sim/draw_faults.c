/* SPDX-License-Identifier: MIT
 *
 * The faults that a seed draws: for each kind whether it is there at all, how often, when, on whom
 * and for how long; and the budget that leaves one good copy of each slot. A copy is gone while its
 * node has lost what it had in memory and did not have on its disk, until it has had time to fetch
 * it again from its master.
 */
#include <string.h>

#include "base/assert.h"
#include "sim/draw.h"
#include "sim/memory.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

/* Purposes of the streams of kinds: this and the number of the kind. Never renumber. */
#define DRAW_FAULTS 100u

/* A side of a cut names at most so many nodes one by one. */
#define SIDE_MAX 16u

/* ---- the budget ---- */

/* A copy that is gone for a while. */
typedef struct gap {
    uint32_t column; /* a master and its replicas, by the number of the master */
    int64_t from_us, until_us;
} gap;

/* Drawing the faults of one kind. */
typedef struct faults {
    shoal_drawing *drawing;
    shoal_prng stream;
    gap *gaps;
    uint32_t gap_count, gap_capacity;
} faults;

/* The column that a node is in, or UINT32_MAX. */
static uint32_t column_of(const shoal_drawing *drawing, uint32_t node)
{
    if (drawing->masters == 0 || node >= drawing->masters * (1 + drawing->replicas))
        return UINT32_MAX;
    return node % drawing->masters;
}

/* May this node lose its copy in that time? Notes that it does. A replica may have moved away where
 * replicas do, but never the last but one. */
static bool take_copy(faults *all, uint32_t node, int64_t from_us, int64_t until_us)
{
    const shoal_drawing *drawing = all->drawing;
    uint32_t column = column_of(drawing, node);
    uint32_t spare = drawing->replicas > 1 && drawing->migrates ? 1 : drawing->replicas;
    if (drawing->options.reckless || column == UINT32_MAX) return true;
    int64_t whole_us = until_us + 12 * SECOND + 2 * drawing->timeout_us;
    uint32_t gone = 0;
    for (uint32_t i = 0; i < all->gap_count; i++) {
        const gap *other = &all->gaps[i];
        gone += other->column == column && other->from_us <= whole_us && from_us <= other->until_us;
    }
    if (gone >= spare) return false;
    all->gaps = shoal_sim__grow(all->gaps, &all->gap_capacity, all->gap_count + 1, sizeof(gap));
    all->gaps[all->gap_count++] = (gap){column, from_us, whole_us};
    return true;
}

/* ---- when and whom ---- */

/* A time between two, mostly of a few digits. */
static int64_t between(faults *all, int64_t low_us, int64_t high_us)
{
    int64_t at_us = shoal_prng_between(&all->stream, low_us, high_us > low_us ? high_us : low_us);
    int64_t grain_us = shoal_draw__percent(&all->stream, 15) ? 1 : 10 * MS;
    return at_us / grain_us * grain_us;
}

/* When a fault begins and ends. */
typedef struct span {
    int64_t from_us, until_us;
} span;

/* Faults are as long as what they can set off: parts and multiples of the node timeout. */
static span draw_span(faults *all)
{
    static const int64_t percents[] = {10, 30, 70, 100, 125, 160, 220, 350, 600};
    const shoal_drawing *drawing = all->drawing;
    span when = {.from_us = between(all, drawing->from_us, drawing->until_us)};
    int64_t length_us = drawing->timeout_us * percents[shoal_prng_below(&all->stream, 9)] / 100;
    when.until_us = between(all, when.from_us + length_us, when.from_us + length_us * 5 / 4);
    if (when.until_us > drawing->until_us) when.until_us = drawing->until_us;
    if (when.until_us < when.from_us) when.until_us = when.from_us;
    return when;
}

static uint32_t any_node(faults *all)
{
    return (uint32_t)shoal_prng_below(&all->stream, all->drawing->nodes);
}

/* A node that begins as a replica. The cluster has some. */
static uint32_t any_replica(faults *all)
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
static void draw_halves(faults *all, shoal_line *line)
{
    uint32_t nodes = all->drawing->nodes;
    bool *here = shoal_sim__allocate(nodes * sizeof(*here));
    uint32_t most = nodes / 2 < SIDE_MAX - 1 ? nodes / 2 : SIDE_MAX - 1;
    uint32_t count = 1 + (uint32_t)shoal_prng_below(&all->stream, most > 0 ? most : 1);
    for (uint32_t i = 0; i < count; i++) here[any_node(all)] = true;
    line->left = flagged(here, nodes, true);
    line->right = flagged(here, nodes, false);
    if (line->right.count == 0) line->right = shoal_draft__all();
    shoal_sim__free(here);
}

/* Two nodes, one against all, or halves. */
static void draw_sides(faults *all, shoal_line *line)
{
    static const uint32_t weights[] = {35, 20, 45, 0};
    uint32_t nodes = all->drawing->nodes;
    uint32_t a = any_node(all),
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

/* ---- the network ---- */

/* Adds a line, and the one that ends it, with the same sides. */
static void cut_and_heal(faults *all, bool one_way)
{
    span when = draw_span(all);
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CUT, when.from_us);
    draw_sides(all, line);
    if (one_way) line->relation = SHOAL_RELATION_FORWARD;
    if (one_way && shoal_draw__percent(&all->stream, 50)) {
        shoal_selector left = line->left;
        line->left = line->right;
        line->right = left;
    }
    shoal_line copy = *line;
    shoal_line *end = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_HEAL, when.until_us);
    end->left = copy.left;
    end->right = copy.right;
    end->relation = copy.relation;
}

static void draw_cut(faults *all)
{
    cut_and_heal(all, false);
}

static void draw_one_way(faults *all)
{
    cut_and_heal(all, true);
}

static void draw_stall(faults *all)
{
    span when = draw_span(all);
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_STALL, when.from_us);
    draw_sides(all, line);
    line->amount = when.until_us > when.from_us ? when.until_us - when.from_us : 10 * MS;
    if (shoal_draw__percent(&all->stream, 40)) line->relation = SHOAL_RELATION_FORWARD;
}

static void draw_reset(faults *all)
{
    span when = draw_span(all);
    uint32_t times = 1 + (uint32_t)shoal_prng_below(&all->stream, 4);
    for (uint32_t i = 0; i < times; i++) {
        int64_t at_us = between(all, when.from_us, when.until_us);
        draw_sides(all, shoal_draft__add(&all->drawing->draft, SHOAL_LINE_RESET, at_us));
    }
}

/* Slow ways to a node for a while, then what the first net line of the schedule says. */
static void draw_slow_net(faults *all)
{
    shoal_draft *draft = &all->drawing->draft;
    span when = draw_span(all);
    shoal_line usual = {.kind = SHOAL_LINE_NET};
    for (uint32_t i = 0; i < draft->count && usual.left.count == 0; i++) {
        if (draft->lines[i].kind == SHOAL_LINE_NET) usual = draft->lines[i];
    }
    if (usual.left.count == 0 || usual.quality.latency_us < 0) return;
    shoal_selector who = shoal_draft__node(any_node(all));
    shoal_line *slow = shoal_draft__add(draft, SHOAL_LINE_NET, when.from_us);
    slow->left = who;
    slow->quality = (shoal_quality){-1, -1, -1, -1, -1};
    slow->quality.latency_us =
        all->drawing->timeout_us * shoal_prng_between(&all->stream, 1, 10) / 10;
    shoal_line *end = shoal_draft__add(draft, SHOAL_LINE_NET, when.until_us);
    end->left = who;
    end->quality = usual.quality;
}

/* ---- processes ---- */

static void restart(faults *all, uint32_t node, int64_t at_us)
{
    shoal_draft__add(&all->drawing->draft, SHOAL_LINE_RESTART, at_us)->left =
        shoal_draft__node(node);
}

static void draw_crash(faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    span when = draw_span(all);
    uint32_t node = any_node(all);
    if (!drawing->logs[node] && !take_copy(all, node, when.from_us, when.until_us)) return;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CRASH, when.from_us);
    line->left = shoal_draft__node(node);
    restart(all, node, when.until_us);
}

static void draw_power(faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    span when = draw_span(all);
    uint32_t node = any_node(all);
    shoal_disk_fate fate = (shoal_disk_fate)shoal_prng_below(&all->stream, 3);
    bool kept = drawing->syncs[node] || (drawing->logs[node] && fate == SHOAL_DISK_KEPT);
    if (!kept && !take_copy(all, node, when.from_us, when.until_us)) return;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CRASH, when.from_us);
    line->left = shoal_draft__node(node);
    line->power = true;
    line->fate = fate;
    restart(all, node, when.until_us);
}

/* One node after the other, as an upgrade does it. */
static void draw_rolling(faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    span when = draw_span(all);
    uint32_t first = any_node(all);
    int64_t each_us = (when.until_us - when.from_us) / drawing->nodes;
    for (uint32_t i = 0; i < drawing->nodes && i < SIDE_MAX; i++) {
        uint32_t node = (first + i) % drawing->nodes;
        int64_t at_us = when.from_us + each_us * i, until_us = at_us + each_us / 2;
        if (!drawing->logs[node] && !take_copy(all, node, at_us, until_us)) continue;
        shoal_draft__add(&all->drawing->draft, SHOAL_LINE_CRASH, at_us)->left =
            shoal_draft__node(node);
        restart(all, node, until_us);
    }
}

static void draw_pause(faults *all)
{
    span when = draw_span(all);
    shoal_selector who = shoal_draft__node(any_node(all));
    shoal_draft__add(&all->drawing->draft, SHOAL_LINE_PAUSE, when.from_us)->left = who;
    shoal_draft__add(&all->drawing->draft, SHOAL_LINE_RESUME, when.until_us)->left = who;
}

/* ---- clocks and disks ---- */

static void draw_clock(faults *all)
{
    static const int64_t steps_us[] = {100 * MS, SECOND, 60 * SECOND, 3600 * SECOND,
                                       86400 * SECOND};
    span when = draw_span(all);
    shoal_selector who = shoal_draft__node(any_node(all));
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

static void draw_disk(faults *all)
{
    static const int64_t slow_ms[] = {1, 5, 20, 100, 500};
    span when = draw_span(all);
    uint32_t node = any_node(all);
    int32_t mode = 1 + (int32_t)shoal_prng_below(&all->stream, 3);
    /* What a failed sync gives up is zeros behind a loss of power: no node starts from that. */
    bool holes = loses_power(&all->drawing->draft, node) && !all->drawing->options.reckless;
    if (mode == SHOAL_DISK_FAILING && holes) mode = SHOAL_DISK_FULL;
    if (mode != SHOAL_DISK_SLOW && !take_copy(all, node, when.from_us, when.until_us)) return;
    shoal_line *line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_DISK, when.from_us);
    line->left = shoal_draft__node(node);
    line->choice = mode;
    if (mode == SHOAL_DISK_SLOW) line->amount = slow_ms[shoal_prng_below(&all->stream, 5)] * MS;
    line = shoal_draft__add(&all->drawing->draft, SHOAL_LINE_DISK, when.until_us);
    line->left = shoal_draft__node(node);
    line->choice = SHOAL_DISK_OK;
}

/* ---- what people do ---- */

static void operate(faults *all, uint32_t node, int64_t at_us, const char *text)
{
    shoal_draft__say(&all->drawing->draft, SHOAL_LINE_OPERATE, at_us, "%s", text)->left =
        shoal_draft__node(node);
}

static void draw_failover(faults *all)
{
    int64_t at_us = draw_span(all).from_us;
    bool force = shoal_draw__percent(&all->stream, 30);
    if (all->drawing->replicas == 0) return;
    operate(all, any_replica(all), at_us, force ? "CLUSTER FAILOVER FORCE" : "CLUSTER FAILOVER");
}

/* Takes no vote, so it is kept to replicas without a rival. */
static void draw_takeover(faults *all)
{
    int64_t at_us = draw_span(all).from_us;
    if (all->drawing->replicas != 1 || all->drawing->migrates) return;
    operate(all, any_replica(all), at_us, "CLUSTER FAILOVER TAKEOVER");
}

/* A replica is sent to another master. */
static void draw_replicate(faults *all)
{
    shoal_drawing *drawing = all->drawing;
    int64_t at_us = draw_span(all).from_us;
    uint32_t master = (uint32_t)shoal_prng_below(&all->stream, drawing->masters);
    if (drawing->replicas == 0) return;
    uint32_t replica = any_replica(all);
    if (!take_copy(all, replica, at_us, drawing->until_us)) return;
    shoal_draft__say(&drawing->draft, SHOAL_LINE_OPERATE, at_us, "CLUSTER REPLICATE id(n%u)",
                     master + 1)
        ->left = shoal_draft__node(replica);
}

static void draw_chore(faults *all)
{
    static const char *const chores[] = {"BGREWRITEAOF",
                                         "BGSAVE",
                                         "CLUSTER SAVECONFIG",
                                         "CLIENT KILL TYPE normal",
                                         "CLIENT KILL TYPE replica",
                                         "CLIENT KILL TYPE master"};
    int64_t at_us = draw_span(all).from_us;
    operate(all, any_node(all), at_us, chores[shoal_prng_below(&all->stream, 6)]);
}

/* Introduces nodes that know each other already. */
static void draw_meet(faults *all)
{
    int64_t at_us = draw_span(all).from_us;
    uint32_t a = any_node(all), b = any_node(all);
    if (a == b) return;
    shoal_draft__say(&all->drawing->draft, SHOAL_LINE_OPERATE, at_us, "CLUSTER MEET ip(n%u) 6379",
                     b + 1)
        ->left = shoal_draft__node(a);
}

static void draw_shutdown(faults *all)
{
    static const char *const words[] = {"SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN NOW"};
    span when = draw_span(all);
    uint32_t node = any_node(all), which = (uint32_t)shoal_prng_below(&all->stream, 3);
    if (!all->drawing->logs[node] && !take_copy(all, node, when.from_us, when.until_us)) return;
    operate(all, node, when.from_us, words[which]);
    restart(all, node, when.until_us);
}

/* A client that changes its load, or pauses. */
static void draw_client(faults *all)
{
    shoal_drawing *drawing = all->drawing;
    span when = draw_span(all);
    if (drawing->clients == 0) return;
    uint32_t client = (uint32_t)shoal_prng_below(&all->stream, drawing->clients);
    shoal_draft__add(&drawing->draft, SHOAL_LINE_STOP, when.from_us)->left =
        shoal_draft__client(client);
    for (uint32_t i = 0; i < drawing->draft.count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        if (line->kind != SHOAL_LINE_CLIENT || line->left.atoms[0].first != client + 1) continue;
        shoal_load load = line->load;
        shoal_line *again = shoal_draft__add(&drawing->draft, SHOAL_LINE_CLIENT, when.until_us);
        again->left = shoal_draft__client(client);
        again->load = load;
        again->load.rate_milli *= (uint64_t)shoal_prng_between(&all->stream, 1, 3);
        return;
    }
}

/* ---- all ---- */

/* A kind: in how many of a hundred seeds it is, and how often at most. Never reorder: a kind's
 * number names its stream. */
static const struct {
    void (*draw)(faults *all);
    uint32_t percent;
    uint32_t most;
} kinds[] = {
    {draw_cut, 45, 6},      {draw_one_way, 30, 4},  {draw_stall, 30, 6}, {draw_reset, 30, 5},
    {draw_slow_net, 20, 3}, {draw_crash, 45, 6},    {draw_power, 40, 5}, {draw_rolling, 8, 1},
    {draw_pause, 35, 5},    {draw_clock, 20, 4},    {draw_disk, 25, 3},  {draw_failover, 25, 3},
    {draw_takeover, 10, 1}, {draw_replicate, 8, 2}, {draw_chore, 25, 6}, {draw_meet, 10, 3},
    {draw_shutdown, 12, 2}, {draw_client, 15, 3},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

void shoal_draw__faults(shoal_drawing *drawing)
{
    faults all = {.drawing = drawing};
    SHOAL_ASSERT(drawing->until_us >= drawing->from_us);
    for (uint32_t i = 0; i < KIND_COUNT; i++) {
        all.stream = shoal_draw__stream(drawing, DRAW_FAULTS + i);
        if (!shoal_draw__percent(&all.stream, kinds[i].percent)) continue;
        uint32_t times = 1 + (uint32_t)shoal_prng_below(&all.stream, kinds[i].most);
        for (uint32_t j = 0; j < times; j++) kinds[i].draw(&all);
    }
    shoal_sim__free(all.gaps);
}
