/* SPDX-License-Identifier: MIT
 *
 * What people do to a cluster, as a seed draws it: failovers, replicas sent elsewhere, slots that
 * move, nodes that are forgotten or begin anew; and clients that change their load. What is begun
 * and never ended is mended by an operator when all faults are over.
 */
#include "sim/draw_faults.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc16.h"
#include "base/text.h"
#include "sim/client.h"
#include "sim/history.h"
#include "sim/memory.h"

void shoal_faults__failover(shoal_faults *all)
{
    int64_t at_us = shoal_faults__span(all).from_us;
    bool force = shoal_draw__percent(&all->stream, 30);
    if (all->drawing->replicas == 0) return;
    shoal_faults__operate(all, shoal_faults__any_replica(all), at_us,
                          force ? "CLUSTER FAILOVER FORCE" : "CLUSTER FAILOVER");
}

/* Takes no vote, so it is kept to replicas without a rival. */
void shoal_faults__takeover(shoal_faults *all)
{
    int64_t at_us = shoal_faults__span(all).from_us;
    if (all->drawing->replicas != 1 || all->drawing->migrates) return;
    shoal_faults__operate(all, shoal_faults__any_replica(all), at_us, "CLUSTER FAILOVER TAKEOVER");
}

/* A replica is sent to another master. */
void shoal_faults__replicate(shoal_faults *all)
{
    shoal_drawing *drawing = all->drawing;
    int64_t at_us = shoal_faults__span(all).from_us;
    uint32_t master = (uint32_t)shoal_prng_below(&all->stream, drawing->masters);
    if (drawing->replicas == 0) return;
    uint32_t replica = shoal_faults__any_replica(all);
    if (!shoal_faults__take_copy(all, replica, at_us, drawing->until_us)) return;
    shoal_draft__say(&drawing->draft, SHOAL_LINE_OPERATE, at_us, "CLUSTER REPLICATE id(n%u)",
                     master + 1)
        ->left = shoal_draft__node(replica);
}

void shoal_faults__chore(shoal_faults *all)
{
    static const char *const chores[] = {"BGREWRITEAOF",
                                         "BGSAVE",
                                         "CLUSTER SAVECONFIG",
                                         "CLIENT KILL TYPE normal",
                                         "CLIENT KILL TYPE replica",
                                         "CLIENT KILL TYPE master"};
    int64_t at_us = shoal_faults__span(all).from_us;
    const char *chore = chores[shoal_prng_below(&all->stream, 6)];
    shoal_faults__operate(all, shoal_faults__any_node(all), at_us, "%s", chore);
}

/* Introduces nodes that know each other already. */
void shoal_faults__meet(shoal_faults *all)
{
    int64_t at_us = shoal_faults__span(all).from_us;
    uint32_t a = shoal_faults__any_node(all), b = shoal_faults__any_node(all);
    if (a == b) return;
    shoal_draft__say(&all->drawing->draft, SHOAL_LINE_OPERATE, at_us, "CLUSTER MEET ip(n%u) 6379",
                     b + 1)
        ->left = shoal_draft__node(a);
}

void shoal_faults__shutdown(shoal_faults *all)
{
    static const char *const words[] = {"SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN NOW"};
    shoal_span when = shoal_faults__span(all);
    uint32_t node = shoal_faults__any_node(all),
             which = (uint32_t)shoal_prng_below(&all->stream, 3);
    if (!all->drawing->logs[node] &&
        !shoal_faults__take_copy(all, node, when.from_us, when.until_us))
        return;
    shoal_faults__operate(all, node, when.from_us, "%s", words[which]);
    shoal_faults__on(all, SHOAL_LINE_RESTART, when.until_us, node);
}

/* A client that changes its load, or pauses. */
void shoal_faults__client(shoal_faults *all)
{
    shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
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

/* ---- failovers of all kinds ---- */

/* The first slot of a master. */
static uint32_t first_slot(const shoal_drawing *drawing, uint32_t master)
{
    SHOAL_ASSERT(master < drawing->masters);
    return (uint32_t)((uint64_t)SHOAL_SLOTS * master / drawing->masters);
}

/* Whoever is a replica of a slot's owner then is to take over, more than once if need be. */
void shoal_faults__handover(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t times = 1 + (uint32_t)shoal_prng_below(&all->stream, 3);
    if (drawing->replicas == 0) return;
    uint32_t column = (uint32_t)shoal_prng_below(&all->stream, drawing->masters);
    for (uint32_t i = 0; i < times; i++) {
        int64_t at_us = shoal_faults__between(all, when.from_us, when.until_us);
        bool force = shoal_draw__percent(&all->stream, 30);
        shoal_line *line = shoal_draft__say(&all->drawing->draft, SHOAL_LINE_OPERATE, at_us,
                                            force ? "CLUSTER FAILOVER FORCE" : "CLUSTER FAILOVER");
        line->left.count = 1;
        line->left.atoms[0] = (shoal_atom){SHOAL_ATOM_FOLLOWERS, first_slot(drawing, column), 0};
    }
}

/* Several masters are replaced at one moment, and nobody is asked: their replicas take the same
 * epoch. */
void shoal_faults__takeovers(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    int64_t at_us = shoal_faults__span(all).from_us;
    if (drawing->replicas != 1 || drawing->migrates || drawing->masters < 2) return;
    uint32_t count = 2 + (uint32_t)shoal_prng_below(&all->stream, 2);
    uint32_t first = (uint32_t)shoal_prng_below(&all->stream, drawing->masters);
    for (uint32_t i = 0; i < count && i < drawing->masters; i++) {
        shoal_faults__operate(all, drawing->masters + (first + i) % drawing->masters, at_us,
                              "CLUSTER FAILOVER TAKEOVER");
    }
}

/* ---- slots ---- */

/* Marks what must not move: the first slot of each master, by which its column is named at the end,
 * and those of the clients' keys. */
static void keep_slots(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    uint32_t keys = 1000; /* of the client that looks at the end, and more */
    bool counts = false;
    if (all->taken) return;
    all->taken = shoal_sim__allocate(SHOAL_SLOTS * sizeof(*all->taken));
    for (uint32_t i = 0; i < drawing->masters; i++) all->taken[first_slot(drawing, i)] = true;
    for (uint32_t i = 0; i < drawing->draft.count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        if (line->kind != SHOAL_LINE_CLIENT) continue;
        if (line->load.keys > keys) keys = line->load.keys;
        counts = counts || line->load.incr_weight > 0;
    }
    for (uint32_t i = 0; i < keys; i++) {
        all->taken[shoal_operation__slot(i)] = true;
        if (counts) all->taken[shoal_operation__slot(i | SHOAL_KEY_COUNTER)] = true;
    }
}

/* A slot that no client has a key in and that nobody else has moved. */
static bool take_slot(shoal_faults *all, uint32_t *slot)
{
    keep_slots(all);
    for (int tries = 0; tries < 50; tries++) {
        *slot = (uint32_t)shoal_prng_below(&all->stream, SHOAL_SLOTS);
        if (all->taken[*slot]) continue;
        all->taken[*slot] = true;
        return true;
    }
    return false;
}

/* The master that a slot begins with. */
static uint32_t owner_at_first(const shoal_drawing *drawing, uint32_t slot)
{
    uint32_t owner = 0;
    while (owner + 1 < drawing->masters && first_slot(drawing, owner + 1) <= slot) owner++;
    return owner;
}

/* What stands in the braces of keys of a slot. */
static uint32_t tag_of(uint32_t slot)
{
    char text[16];
    for (uint32_t tag = 0;; tag++) {
        int size = snprintf(text, sizeof(text), "%u", tag);
        if (shoal_crc16_slot((shoal_slice){text, (size_t)size}) == slot) return tag;
    }
}

/* Lets whoever leads a column say something at the end, so long behind the first. */
static void leader_says(shoal_faults *all, int64_t at_us, uint32_t column, const char *text)
{
    shoal_drawing *drawing = all->drawing;
    shoal_line *line = shoal_draft__say(&drawing->slots, SHOAL_LINE_OPERATE, at_us, "%s", text);
    line->left.count = 1;
    line->left.atoms[0] = (shoal_atom){SHOAL_ATOM_OWNER, first_slot(drawing, column), 0};
}

/* At the end whoever leads the column of a master has the slot, by an epoch that is newer than any;
 * one after the other, so that no two epochs are equal. */
static void settle_slot(shoal_faults *all, uint32_t slot, uint32_t column)
{
    shoal_drawing *drawing = all->drawing;
    int64_t at_us = drawing->slots_moved++ * (drawing->timeout_us + SHOAL_SECOND);
    char text[64];
    snprintf(text, sizeof(text), "CLUSTER SETSLOT %u NODE id(self)", slot);
    leader_says(all, at_us, column, text);
    leader_says(all, at_us, column, "CLUSTER BUMPEPOCH");
    shoal_line *line = shoal_draft__say(&drawing->slots, SHOAL_LINE_OPERATE, at_us,
                                        "CLUSTER SETSLOT %u STABLE", slot);
    line->left.count = 1;
    line->left.atoms[0] = (shoal_atom){SHOAL_ATOM_MASTERS, 0, 0};
}

/* A slot on its way. */
typedef struct way {
    uint32_t slot, from, to;
    int64_t at_us, step_us;
} way;

/* Looks at the keys of a slot on its way: one is there, the other not; then takes them away. */
static void look_at_keys(shoal_faults *all, const way *of)
{
    uint32_t tag = tag_of(of->slot);
    int64_t at_us = of->at_us + 2 * of->step_us;
    shoal_faults__operate(all, of->from, of->at_us, "SET {%u}a 1", tag);
    shoal_faults__operate(all, of->from, at_us, "MGET {%u}a {%u}b", tag, tag);
    shoal_faults__operate(all, of->from, at_us, "GET {%u}b", tag);
    shoal_faults__operate(all, of->to, at_us, "ASKING");
    shoal_faults__operate(all, of->to, at_us, "SET {%u}b 1", tag);
    shoal_faults__operate(all, of->from, at_us + of->step_us, "DEL {%u}a", tag);
}

/* A slot goes from one master to another, as a tool does it that may die before any of the steps
 * that end the move. */
void shoal_faults__move_slot(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    way of = {.at_us = when.from_us};
    if (drawing->options.given || drawing->masters < 2 || !take_slot(all, &of.slot)) return;
    int64_t room_us = (when.until_us - when.from_us) / 6;
    of.step_us =
        shoal_faults__between(all, SHOAL_MS, room_us < SHOAL_SECOND ? room_us : SHOAL_SECOND);
    of.from = owner_at_first(drawing, of.slot);
    uint32_t further = 1 + (uint32_t)shoal_prng_below(&all->stream, drawing->masters - 1);
    of.to = (of.from + further) % drawing->masters;
    /* See takes_epoch of draw_hosts.c. */
    if (drawing->gone == of.to + 1 && drawing->profile != SHOAL_PROFILE_OF_SHOAL) return;
    settle_slot(all, of.slot, of.to);
    shoal_faults__operate(all, of.to, of.at_us, "CLUSTER SETSLOT %u IMPORTING id(n%u)", of.slot,
                          of.from + 1);
    bool looks = shoal_draw__percent(&all->stream, 50);
    if (looks) look_at_keys(all, &of);
    shoal_faults__operate(all, of.from, of.at_us + of.step_us,
                          "CLUSTER SETSLOT %u MIGRATING id(n%u)", of.slot, of.to + 1);
    if (shoal_draw__percent(&all->stream, 15)) return;
    shoal_faults__operate(all, of.to, of.at_us + 4 * of.step_us, "CLUSTER SETSLOT %u NODE id(n%u)",
                          of.slot, of.to + 1);
    if (shoal_draw__percent(&all->stream, 15)) return;
    shoal_faults__operate(all, of.from, of.at_us + 5 * of.step_us,
                          "CLUSTER SETSLOT %u NODE id(n%u)", of.slot, of.to + 1);
}

/* A master gives a slot up and takes it again. */
void shoal_faults__drop_slot(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t slot;
    if (drawing->options.given || drawing->masters == 0 || !take_slot(all, &slot)) return;
    uint32_t owner = owner_at_first(drawing, slot);
    /* A former master that claims the slot meanwhile stays one for its sake, and no longer keeps
     * the data of a node that is gone for good. */
    uint32_t gone = drawing->gone;
    if (gone != 0 && shoal_faults__column(drawing, gone - 1) == owner) return;
    settle_slot(all, slot, owner);
    shoal_faults__operate(all, owner, when.from_us, "CLUSTER DELSLOTS %u", slot);
    shoal_faults__operate(all, owner, when.until_us, "CLUSTER ADDSLOTS %u", slot);
}

/* ---- membership ---- */

void shoal_faults__take_in(shoal_faults *all, uint32_t node)
{
    const shoal_drawing *drawing = all->drawing;
    uint32_t column = shoal_faults__column(drawing, node);
    SHOAL_ASSERT(drawing->nodes > 1);
    shoal_faults__mend(all, (node + 1) % drawing->nodes, 0, "CLUSTER MEET ip(n%u) 6379", node + 1);
    if (column == UINT32_MAX) return;
    uint32_t master = column == node ? node + drawing->masters : column;
    shoal_faults__mend(all, node, 2 * drawing->timeout_us + 5 * SHOAL_SECOND,
                       "CLUSTER REPLICATE id(n%u)", master + 1);
}

/* Would it keep a node that is gone for good from being replaced? Those who elect its successor
 * must know it; and by Redis's rules each other too: who has not heard of the failure when another
 * node answers at the address suspects the old one for ever. */
static bool hides_failure(const shoal_drawing *drawing, uint32_t node)
{
    if (drawing->gone == 0) return false;
    return drawing->profile != SHOAL_PROFILE_OF_SHOAL || drawing->gone == node + 1;
}

/* For a minute a node that was forgotten stays away; then it is introduced again. Sometimes it dies
 * while one of those who elect its successor does not know it. */
void shoal_faults__forget(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    uint32_t a = shoal_faults__any_node(all), b = shoal_faults__any_node(all);
    bool dies = shoal_draw__percent(&all->stream, 40);
    if (drawing->options.given || a == b || hides_failure(drawing, b)) return;
    shoal_faults__operate(all, a, when.from_us, "CLUSTER FORGET id(n%u)", b + 1);
    shoal_faults__mend(all, a, 0, "CLUSTER MEET ip(n%u) 6379", b + 1);
    shoal_faults__mend_from(all, when.from_us + 62 * SHOAL_SECOND);
    if (!dies || !shoal_faults__take_copy(all, b, when.from_us, when.until_us)) return;
    shoal_faults__on(all, SHOAL_LINE_CRASH, when.from_us + SHOAL_MS, b);
    shoal_faults__on(all, SHOAL_LINE_RESTART, when.until_us, b);
}

/* A replica, or a node without slots, begins anew. One that has taken over meanwhile has a key, and
 * refuses. */
void shoal_faults__start_over(shoal_faults *all)
{
    const shoal_drawing *drawing = all->drawing;
    shoal_span when = shoal_faults__span(all);
    bool hard = shoal_draw__percent(&all->stream, 40), soon = shoal_draw__percent(&all->stream, 50);
    uint32_t rest = drawing->nodes - drawing->masters;
    if (drawing->options.given || rest == 0 || drawing->gone) return;
    uint32_t node = drawing->masters + (uint32_t)shoal_prng_below(&all->stream, rest);
    uint32_t column = shoal_faults__column(drawing, node);
    if (!shoal_faults__take_copy(all, node, when.from_us, INT64_MAX / 4)) return;
    if (column != UINT32_MAX) {
        shoal_faults__operate(all, node, when.from_us, "SET {%u}pin 1",
                              tag_of(first_slot(drawing, column)));
    }
    shoal_faults__operate(all, node, when.from_us, "CLUSTER RESET %s", hard ? "HARD" : "SOFT");
    shoal_faults__take_in(all, node);
    if (!soon) return;
    shoal_faults__operate(all, (node + 1) % drawing->nodes, when.until_us,
                          "CLUSTER MEET ip(n%u) 6379", node + 1);
}
