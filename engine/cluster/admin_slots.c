/* SPDX-License-Identifier: MIT
 *
 * CLUSTER ADDSLOTS, DELSLOTS, their RANGE forms and FLUSHSLOTS. All arguments are checked before
 * the first slot changes; which complaint comes first is as in Redis: numbers that cannot be read
 * before slots that are taken.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

/* Reads a slot or answers with the error. */
static bool read_slot(shoal_cluster_call *call, uint32_t argument, uint32_t *slot)
{
    SHOAL_ASSERT(argument >= 2);
    SHOAL_ASSERT(argument < call->argc);
    int64_t number;
    if (!shoal_text_to_i64(call->argv[argument], &number) || number < 0 || number >= SHOAL_SLOTS) {
        shoal_reply_error(&call->reply, "ERR Invalid or out of range slot");
        return false;
    }
    *slot = (uint32_t)number;
    return true;
}

/* Adds slots first..last to the set that is to change, or answers with the error. */
static bool collect(const shoal_cluster *c, shoal_cluster_call *call, bool add,
                    const uint32_t range[2], shoal_slotmap *set)
{
    SHOAL_ASSERT(range[0] <= range[1]);
    SHOAL_ASSERT(range[1] < SHOAL_SLOTS);
    for (uint32_t slot = range[0]; slot <= range[1]; slot++) {
        bool assigned = c->owners[slot] != BUS_NONE;
        if (assigned == add) {
            shoal_reply_errorf(&call->reply, "ERR Slot %u is already %s", slot,
                               add ? "busy" : "unassigned");
            return false;
        }
        if (shoal_slotmap_has(set, slot)) {
            shoal_reply_errorf(&call->reply, "ERR Slot %u specified multiple times", slot);
            return false;
        }
        shoal_slotmap_put(set, slot, true);
    }
    return true;
}

static void apply(shoal_cluster *c, shoal_cluster_call *call, bool add, const shoal_slotmap *set)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(!add || shoal_bus__is(c->myself, SHOAL_NODE_MASTER));
    for (uint32_t slot = shoal_bus__slot_next(set, 0); slot < SHOAL_SLOTS;
         slot = shoal_bus__slot_next(set, slot + 1)) {
        if (add) shoal_bus__move_set(c, slot, BUS_MOVE_IN, NULL);
        shoal_bus__slot_set(c, slot, add ? c->myself : NULL);
    }
    shoal_reply_ok(&call->reply);
}

/* A replica has no slots to claim: Redis gives it some all the same, which nobody ever hears of. */
static bool may_add(const shoal_cluster *c, shoal_cluster_call *call, const char *command)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(command);
    if (shoal_bus__is(c->myself, SHOAL_NODE_MASTER)) return true;
    shoal_reply_errorf(&call->reply, "ERR Please use %s only with masters.", command);
    return false;
}

static void change_slots(shoal_cluster *c, shoal_cluster_call *call, bool add)
{
    SHOAL_ASSERT(call->argc >= 3);
    SHOAL_ASSERT(c->myself);
    shoal_slotmap set = {{0}};
    uint32_t slot;
    for (uint32_t i = 2; i < call->argc; i++) {
        if (!read_slot(call, i, &slot)) return;
    }
    for (uint32_t i = 2; i < call->argc; i++) {
        if (!read_slot(call, i, &slot)) return;
        if (!collect(c, call, add, (uint32_t[2]){slot, slot}, &set)) return;
    }
    apply(c, call, add, &set);
}

/* Reads one pair or answers with the error. */
static bool read_range(shoal_cluster_call *call, uint32_t argument, uint32_t range[2])
{
    SHOAL_ASSERT(argument % 2 == 0);
    SHOAL_ASSERT(argument + 1 < call->argc);
    if (!read_slot(call, argument, &range[0])) return false;
    if (!read_slot(call, argument + 1, &range[1])) return false;
    if (range[0] <= range[1]) return true;
    shoal_reply_errorf(&call->reply, "ERR start slot number %u is greater than end slot number %u",
                       range[0], range[1]);
    return false;
}

static void change_ranges(shoal_cluster *c, shoal_cluster_call *call, bool add)
{
    SHOAL_ASSERT(call->argc >= 4);
    SHOAL_ASSERT(c->myself);
    if (call->argc % 2 == 1) {
        shoal_reply_errorf(&call->reply,
                           "ERR wrong number of arguments for 'cluster|%sslotsrange' command",
                           add ? "add" : "del");
        return;
    }
    shoal_slotmap set = {{0}};
    uint32_t range[2];
    for (uint32_t i = 2; i < call->argc; i += 2) {
        if (!read_range(call, i, range)) return;
    }
    for (uint32_t i = 2; i < call->argc; i += 2) {
        if (!read_range(call, i, range)) return;
        if (!collect(c, call, add, range, &set)) return;
    }
    apply(c, call, add, &set);
}

void shoal_bus__command_addslots(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    SHOAL_ASSERT(c->myself);
    if (may_add(c, call, "ADDSLOTS")) change_slots(c, call, true);
}

void shoal_bus__command_delslots(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    SHOAL_ASSERT(c->myself);
    change_slots(c, call, false);
}

void shoal_bus__command_addslotsrange(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc >= 4);
    SHOAL_ASSERT(c->myself);
    if (may_add(c, call, "ADDSLOTSRANGE")) change_ranges(c, call, true);
}

void shoal_bus__command_delslotsrange(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc >= 4);
    SHOAL_ASSERT(c->myself);
    change_ranges(c, call, false);
}

void shoal_bus__command_flushslots(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(c->myself);
    if (call->keys > 0) {
        shoal_reply_error(&call->reply, "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.");
        return;
    }
    shoal_bus__slots_clear(c, c->myself);
    shoal_reply_ok(&call->reply);
}
