/* SPDX-License-Identifier: MIT
 *
 * command/cluster_local.c - the subcommands of CLUSTER that need nothing but the store: which slot
 * a name falls on and what a slot holds. All others are the cluster room's.
 */
#include "base/assert.h"
#include "command/handlers.h"
#include "command/worker.h"

static bool check_enabled(shoal_call *call)
{
    SHOAL_ASSERT(call->worker != NULL);
    if (call->worker->settings->cluster) return true;
    shoal_reply_error(&call->reply, SHOAL_ERROR__NO_CLUSTER);
    return false;
}

void shoal_command__cluster_keyslot(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    if (!check_enabled(call)) return;
    shoal_reply_integer(&call->reply, shoal_key_slot(call->argv[2]));
}

void shoal_command__cluster_countkeysinslot(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    int64_t slot;
    if (!check_enabled(call) || !shoal_call__integer(call, 2, &slot)) return;
    if (slot < 0 || slot >= SHOAL_SLOTS) {
        shoal_reply_error(&call->reply, "ERR Invalid slot");
        return;
    }
    uint64_t count = shoal_store_count_slot(call->store, SHOAL_PLACE(0, slot));
    shoal_reply_integer(&call->reply, (int64_t)count);
}

/* Names of a slot, up to a number. */
typedef struct names {
    shoal_reply *reply;
    int64_t room;
    size_t found;
} names;

static void visit(void *context, const shoal_item *item)
{
    names *wanted = context;
    SHOAL_DEBUG_ASSERT(wanted->room >= 0);
    if (wanted->room == 0) return;
    wanted->room--;
    wanted->found++;
    shoal_reply_bulk(wanted->reply, shoal_item_name(item));
}

void shoal_command__cluster_getkeysinslot(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    int64_t slot, count;
    if (!check_enabled(call) || !shoal_call__integer(call, 2, &slot) ||
        !shoal_call__integer(call, 3, &count))
        return;
    if (slot < 0 || slot >= SHOAL_SLOTS || count < 0) {
        shoal_reply_error(&call->reply, "ERR Invalid slot or number of keys");
        return;
    }
    names wanted = {.reply = &call->reply, .room = count};
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    shoal_scan scan = {0, (uint32_t)slot, (uint32_t)slot, 64};
    uint64_t cursor = 0;
    do {
        shoal_store_scan(call->thread, &scan, &cursor, visit, &wanted);
    } while (cursor != 0 && wanted.room != 0);
    shoal_reply_end_array(&call->reply, mark, wanted.found);
}
