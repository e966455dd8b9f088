/* SPDX-License-Identifier: MIT
 *
 * What the lines of a schedule do to a world, and whom their selectors name.
 */
#include "sim/internal.h"

#include <string.h>

#include "base/assert.h"
#include "sim/random.h"

/* ---- selectors ---- */

/* Adds a host unless it is there already. `seen` has a flag per host. */
static void pick(bool *seen, uint32_t host, uint32_t *out, uint32_t *count)
{
    if (seen[host]) return;
    seen[host] = true;
    out[(*count)++] = host;
}

/* The node that claims `slot` with the highest epoch and runs, or UINT32_MAX. */
static uint32_t owner_of(const shoal_world *world, uint32_t slot)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < world->node_count; i++) {
        const shoal_view *view = &world->judge.views[i];
        if (!shoal_slotmap_has(&view->own, slot)) continue;
        if (best == UINT32_MAX || view->epoch_config > world->judge.views[best].epoch_config)
            best = i;
    }
    return best;
}

/* Does a node that runs play this part, in its own opinion? */
static bool plays(const shoal_world *world, uint32_t node, const shoal_atom *atom)
{
    const shoal_view *view = &world->judge.views[node];
    if (!world->nodes[node].running || !world->nodes[node].ready) return false;
    if (atom->kind == SHOAL_ATOM_MASTERS) return !view->replica;
    if (atom->kind == SHOAL_ATOM_REPLICAS) return view->replica;
    uint32_t owner = owner_of(world, atom->first);
    return owner != UINT32_MAX && view->replica && view->master == world->judge.views[owner].self;
}

/* What atoms of roles select. */
static void pick_roles(const shoal_world *world, const shoal_atom *atom, bool *seen, uint32_t *out,
                       uint32_t *count)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (plays(world, i, atom)) pick(seen, i, out, count);
    }
}

uint32_t shoal_fault__select(shoal_world *world, const shoal_selector *selector, bool hosts,
                             uint32_t *out)
{
    bool *seen = shoal_sim__allocate(world->net.hosts);
    uint32_t count = 0;
    for (uint32_t i = 0; i < selector->count; i++) {
        const shoal_atom *atom = &selector->atoms[i];
        uint32_t clients = world->client_count - 1;
        if (atom->kind == SHOAL_ATOM_ALL) {
            for (uint32_t j = 0; j < world->node_count; j++) pick(seen, j, out, &count);
            for (uint32_t j = 0; hosts && j < clients; j++) {
                pick(seen, shoal_world__client_host(world, j), out, &count);
            }
        } else if (atom->kind == SHOAL_ATOM_OWNER) {
            uint32_t owner = owner_of(world, atom->first);
            if (owner != UINT32_MAX) pick(seen, owner, out, &count);
        } else if (atom->kind > SHOAL_ATOM_OWNER) {
            pick_roles(world, atom, seen, out, &count);
        } else {
            for (uint32_t j = atom->first; j <= atom->last; j++) {
                bool node = atom->kind == SHOAL_ATOM_NODES;
                if (!node && (!hosts || j > clients)) continue;
                pick(seen, node ? j - 1 : shoal_world__client_host(world, j - 1), out, &count);
            }
        }
    }
    shoal_sim__free(seen);
    return count;
}

/* ---- lines about nodes ---- */

static void apply_clock(shoal_world *world, shoal_vnode *vnode, const shoal_line *line)
{
    if (line->clock != SHOAL_CLOCK_USUAL) {
        shoal_clock__change(&vnode->clock, world->now_us, line);
        if (line->clock == SHOAL_CLOCK_MONOTONIC) shoal_vnode__clock_changed(world, vnode->index);
        return;
    }
    switch ((shoal_clock_change)line->choice) {
    case SHOAL_CLOCK_STEP: shoal_clock__step(&vnode->clock, world->now_us, line->amount); break;
    case SHOAL_CLOCK_DRIFT:
        shoal_clock__drift(&vnode->clock, world->now_us, (int32_t)line->amount);
        break;
    case SHOAL_CLOCK_FREEZE: shoal_clock__freeze(&vnode->clock, world->now_us, true); break;
    case SHOAL_CLOCK_RUN: shoal_clock__freeze(&vnode->clock, world->now_us, false); break;
    }
}

static void apply_to_node(shoal_world *world, const shoal_line *line, uint32_t node)
{
    shoal_vnode *vnode = &world->nodes[node];
    switch (line->kind) {
    case SHOAL_LINE_CRASH:
        if (line->trigger != SHOAL_TRIGGER_NONE)
            shoal_trigger__arm(world, node, line);
        else
            shoal_vnode__crash(world, node, line->power, line->fate);
        break;
    case SHOAL_LINE_BUSY: shoal_burden__busy(world, node, world->now_us + line->amount); break;
    case SHOAL_LINE_SLOW: shoal_burden__slow(world, node, (uint32_t)line->amount); break;
    case SHOAL_LINE_READDRESS: shoal_vnode__moved(world, node); break;
    case SHOAL_LINE_RESTART:
        if (line->wiped && !vnode->running) {
            shoal_disk__wipe(&vnode->disk);
            shoal_judge__forgot(world, node);
            world->judge.rules[node].lied = false;
        }
        shoal_vnode__start(world, node);
        break;
    case SHOAL_LINE_PAUSE: shoal_vnode__pause(world, node); break;
    case SHOAL_LINE_RESUME: shoal_vnode__resume(world, node); break;
    case SHOAL_LINE_CLOCK: apply_clock(world, vnode, line); break;
    case SHOAL_LINE_DISK:
        vnode->disk.mode = (shoal_disk_mode)line->choice;
        if (vnode->disk.mode == SHOAL_DISK_LYING) world->judge.rules[node].lied = true;
        vnode->disk.slow_us = line->amount;
        break;
    case SHOAL_LINE_OPERATE:
        shoal_operator__order(world, node, (shoal_slice){line->text, strlen(line->text)},
                              line->number);
        break;
    default: SHOAL_UNREACHABLE();
    }
}

static void apply_to_nodes(shoal_world *world, const shoal_line *line)
{
    uint32_t *nodes = shoal_sim__allocate(world->net.hosts * sizeof(*nodes));
    uint32_t count = shoal_fault__select(world, &line->left, false, nodes);
    if (line->kind == SHOAL_LINE_CLOCK) shoal_judge__clocks(world);
    for (uint32_t i = 0; i < count; i++) apply_to_node(world, line, nodes[i]);
    if (line->kind == SHOAL_LINE_CLOCK) shoal_judge__clocks(world);
    shoal_sim__free(nodes);
}

/* ---- lines about ways ---- */

static void apply_to_way(shoal_world *world, const shoal_line *line, uint32_t from, uint32_t to)
{
    int64_t until = world->now_us + line->amount;
    switch (line->kind) {
    case SHOAL_LINE_NET: shoal_net__set_quality(world, from, to, &line->quality); break;
    case SHOAL_LINE_CUT: shoal_net__cut(world, from, to); break;
    case SHOAL_LINE_HEAL: shoal_net__heal(world, from, to); break;
    case SHOAL_LINE_RESET:
        if (line->relation == SHOAL_RELATION_FORWARD)
            shoal_net__reset_one(world, from, to);
        else if (from < to)
            shoal_net__reset(world, from, to);
        break;
    case SHOAL_LINE_REFUSE:
        shoal_net__refuse(world, from, to,
                          line->by_timeout ? SHOAL_REFUSAL_TIMEOUT : SHOAL_REFUSAL_AT_ONCE);
        break;
    case SHOAL_LINE_STRAND: shoal_net__strand(world, from, to); break;
    case SHOAL_LINE_STALL:
        shoal_net__stall(world, from, to, until);
        shoal_world__arrange(world, until, SHOAL_OCCURRENCE_UNSTALL, from, to);
        break;
    default: SHOAL_UNREACHABLE();
    }
}

void shoal_fault__occur_unstall(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_net__unstall(world, occurrence->subject, (uint32_t)occurrence->detail);
    world->judge.version++;
    shoal_judge__reachability(world);
}

static bool among(const uint32_t *hosts, uint32_t count, uint32_t host)
{
    for (uint32_t i = 0; i < count; i++) {
        if (hosts[i] == host) return true;
    }
    return false;
}

/* Every ordered pair that the line is about, each once. Without a right side: every way from or
 * to a host of the left one. */
static void apply_to_ways(shoal_world *world, const shoal_line *line)
{
    uint32_t *left = shoal_sim__allocate(world->net.hosts * 2 * sizeof(*left));
    uint32_t *right = left + world->net.hosts;
    uint32_t left_count = shoal_fault__select(world, &line->left, true, left), right_count;
    bool both = line->relation != SHOAL_RELATION_FORWARD;
    if (line->relation == SHOAL_RELATION_NONE) {
        shoal_selector all = {.count = 1, .atoms = {{SHOAL_ATOM_ALL, 0, 0}}};
        right_count = shoal_fault__select(world, &all, true, right);
    } else {
        right_count = shoal_fault__select(world, &line->right, true, right);
    }
    for (uint32_t i = 0; i < left_count; i++) {
        for (uint32_t j = 0; j < right_count; j++) {
            uint32_t a = left[i], b = right[j];
            if (a == b) continue;
            apply_to_way(world, line, a, b);
            bool comes_again = among(left, left_count, b) && among(right, right_count, a);
            if (both && !comes_again) apply_to_way(world, line, b, a);
        }
    }
    shoal_sim__free(left);
}

/* Heals everything: drops end too, and crashes that have not come are called off. */
static void call_off(shoal_world *world, const shoal_line *line)
{
    bool all = line->kind == SHOAL_LINE_HEAL && line->relation == SHOAL_RELATION_NONE &&
               line->left.atoms[0].kind == SHOAL_ATOM_ALL;
    if (!all) return;
    shoal_net__drop_nothing(&world->net);
    shoal_trigger__disarm(world);
}

/* A flag for each host that a selector names. */
static bool *flags_of(shoal_world *world, const shoal_selector *selector)
{
    bool *flags = shoal_sim__allocate(world->net.hosts);
    uint32_t *hosts = shoal_sim__allocate(world->net.hosts * sizeof(*hosts));
    uint32_t count = shoal_fault__select(world, selector, true, hosts);
    for (uint32_t i = 0; i < count; i++) flags[hosts[i]] = true;
    shoal_sim__free(hosts);
    return flags;
}

static void apply_drop(shoal_world *world, const shoal_line *line)
{
    bool *left = flags_of(world, &line->left), *right = flags_of(world, &line->right);
    shoal_drop drop = {line->kind_wanted, left, right, line->which - 1, line->times};
    if (line->relation == SHOAL_RELATION_BOTH) {
        for (uint32_t i = 0; i < world->net.hosts; i++) left[i] = right[i] = left[i] || right[i];
    }
    shoal_net__drop(world, &drop);
}

/* ---- swizzled clogging ---- */

/* Is it a node or a client, whom faults concern, and not the operator or the auditor? */
static bool concerned(const shoal_world *world, uint32_t host)
{
    uint32_t auditor = shoal_world__client_host(world, world->client_count - 1);
    return host != shoal_world__operator_host(world) && host != auditor;
}

/* Nothing comes or goes until a moment, then all at once. */
void shoal_fault__occur_clog(shoal_world *world, const shoal_occurrence *occurrence)
{
    uint32_t host = occurrence->subject;
    int64_t until = (int64_t)occurrence->detail;
    for (uint32_t i = 0; i < world->net.hosts; i++) {
        if (i == host || !concerned(world, i)) continue;
        shoal_net__stall(world, host, i, until);
        shoal_net__stall(world, i, host, until);
        shoal_world__arrange(world, until, SHOAL_OCCURRENCE_UNSTALL, host, i);
        shoal_world__arrange(world, until, SHOAL_OCCURRENCE_UNSTALL, i, host);
    }
    world->judge.version++;
    shoal_judge__reachability(world);
}

/* Every second host, by chance; each has its own moments to stop and to go on. */
static void apply_swizzle(shoal_world *world, const shoal_line *line)
{
    uint32_t *hosts = shoal_sim__allocate(world->net.hosts * sizeof(*hosts));
    uint32_t count = shoal_fault__select(world, &line->left, true, hosts);
    uint64_t seed[2] = {world->seed[0], world->seed[1] ^ shoal_prng_mix((uint64_t)world->now_us)};
    uint64_t span = (uint64_t)line->amount + 1;
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        shoal_prng stream = shoal_prng_make(seed, hosts[i], SHOAL_PURPOSE_SWIZZLE);
        bool chosen = shoal_prng_chance_ppm(&stream, 500000) || (i + 1 == count && !any);
        int64_t from = world->now_us + (int64_t)shoal_prng_below(&stream, span);
        int64_t until = world->now_us + line->amount + 1 + (int64_t)shoal_prng_below(&stream, span);
        any = any || chosen;
        if (!chosen) continue;
        shoal_world__arrange(world, from, SHOAL_OCCURRENCE_CLOG, hosts[i], (uint64_t)until);
    }
    shoal_sim__free(hosts);
}

/* ---- all lines ---- */

static void apply_to_client(shoal_world *world, const shoal_line *line)
{
    uint32_t clients = world->client_count - 1;
    for (uint32_t i = 0; i < line->left.count; i++) {
        const shoal_atom *atom = &line->left.atoms[i];
        bool all = atom->kind == SHOAL_ATOM_ALL;
        uint32_t first = all ? 1 : atom->first, last = all ? clients : atom->last;
        for (uint32_t c = first; c <= last && c <= clients; c++) {
            if (line->kind == SHOAL_LINE_CLIENT)
                shoal_client__start(world, c - 1, &line->load);
            else
                shoal_client__stop(world, c - 1);
        }
    }
}

static void trace_line(shoal_world *world, const shoal_line *line)
{
    shoal_buffer *text = &world->scratch;
    bool say = line->kind == SHOAL_LINE_SAY;
    shoal_buffer_consume(text, shoal_buffer_size(text));
    if (!say) shoal_line_format(line, text);
    shoal_trace_record record = {.kind = say ? SHOAL_TRACE_SAY : SHOAL_TRACE_FAULT,
                                 .a = line->number,
                                 .text = say ? (shoal_slice){line->text, strlen(line->text)}
                                             : shoal_buffer_slice(text)};
    shoal_world__trace_text(world, SHOAL_TRACE_WORLD, &record);
}

void shoal_fault__apply(shoal_world *world, const shoal_line *line)
{
    if (line->kind != SHOAL_LINE_EXPECT && line->kind != SHOAL_LINE_END) trace_line(world, line);
    call_off(world, line);
    shoal_judge__disturbed(world, line);
    switch (line->kind) {
    case SHOAL_LINE_NET:
    case SHOAL_LINE_CUT:
    case SHOAL_LINE_HEAL:
    case SHOAL_LINE_STALL:
    case SHOAL_LINE_REFUSE:
    case SHOAL_LINE_STRAND:
    case SHOAL_LINE_RESET: apply_to_ways(world, line); break;
    case SHOAL_LINE_DROP: apply_drop(world, line); break;
    case SHOAL_LINE_SWIZZLE: apply_swizzle(world, line); break;
    case SHOAL_LINE_CLIENT:
    case SHOAL_LINE_STOP: apply_to_client(world, line); break;
    case SHOAL_LINE_SAY: break;
    case SHOAL_LINE_EXPECT: shoal_expect__begin(world, line); break;
    case SHOAL_LINE_END: world->ended = true; break;
    default: apply_to_nodes(world, line);
    }
    world->judge.version++;
    shoal_judge__reachability(world);
}

void shoal_fault__occur(shoal_world *world, const shoal_occurrence *occurrence)
{
    world->lines_left--;
    uint32_t count = world->schedule->count;
    bool late = occurrence->subject >= count;
    shoal_fault__apply(world, late ? world->late[occurrence->subject - count]
                                   : &world->schedule->lines[occurrence->subject]);
}
