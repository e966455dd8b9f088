/* SPDX-License-Identifier: MIT
 *
 * The CLUSTER subcommands of this room: a table of names, and those that change membership or
 * epochs. The words of the replies are Redis 7.0's, which tools parse.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

/* What the table of commands cannot express about arity, as Redis answers it. */
static void reply_arity(shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    SHOAL_ASSERT(call->reply.out);
    shoal_slice name = call->argv[1];
    shoal_reply_errorf(&call->reply,
                       "ERR unknown subcommand or wrong number of arguments for '%.*s'. "
                       "Try CLUSTER HELP.",
                       (int)(name.size < 128 ? name.size : 128), name.data);
}

static void reply_unknown_node(shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    SHOAL_ASSERT(call->reply.out);
    shoal_slice name = call->argv[2];
    shoal_reply_errorf(&call->reply, "ERR Unknown node %.*s", (int)name.size, name.data);
}

/* ---- membership ---- */

/* Reads a port or answers with the error. */
static bool read_port(shoal_cluster_call *call, uint32_t argument, const char *what, int64_t *port)
{
    SHOAL_ASSERT(argument < call->argc);
    SHOAL_ASSERT(what);
    shoal_slice text = call->argv[argument];
    if (shoal_text_to_i64(text, port)) return true;
    shoal_reply_errorf(&call->reply, "ERR Invalid TCP %s port specified: %.*s", what,
                       (int)text.size, text.data);
    return false;
}

static bool is_port(int64_t number)
{
    return number > 0 && number <= UINT16_MAX;
}

static void command_meet(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc >= 4);
    SHOAL_ASSERT(c->myself);
    int64_t port, bus_port;
    if (!read_port(call, 3, "base", &port)) return;
    bus_port = port + BUS_PORT_OFFSET;
    if (call->argc == 5 && !read_port(call, 4, "bus", &bus_port)) return;
    shoal_slice ip = call->argv[2];
    shoal_address address = {.port = (uint16_t)port};
    shoal_bus__copy_text(address.ip, sizeof(address.ip), ip);
    bool valid = is_port(port) && is_port(bus_port) && ip.size < sizeof(address.ip);
    if (!valid || !shoal_bus__handshake_start(c, &address, (uint16_t)bus_port)) {
        shoal_reply_errorf(&call->reply, "ERR Invalid node address specified: %.*s:%.*s",
                           (int)ip.size, ip.data, (int)call->argv[3].size, call->argv[3].data);
        return;
    }
    shoal_reply_ok(&call->reply);
}

static void command_forget(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    SHOAL_ASSERT(c->myself);
    bus_node *node = shoal_bus__node_find_text(c, call->argv[2]);
    if (!node) {
        reply_unknown_node(call);
        return;
    }
    if (node == c->myself) {
        shoal_reply_error(&call->reply, "ERR I tried hard but I can't forget myself...");
        return;
    }
    if (c->myself->replica_of == node->index) {
        shoal_reply_error(&call->reply, "ERR Can't forget my master!");
        return;
    }
    /* Where one node still knows it, gossip brings it back in a minute. Redis 7.0 tells nobody. */
    if (c->failover.timing.eager) shoal_bus__send_forgotten(c, node);
    shoal_bus__forget(c, node->name);
    shoal_bus__node_remove(c, node, BUS_FORGOTTEN_COMMAND);
    shoal_reply_ok(&call->reply);
}

/* A hard reset takes the epochs and the name too. */
static void reset_identity(shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count == 1);
    SHOAL_ASSERT(c->slots_assigned == 0);
    char name[SHOAL_NODE_NAME_LEN + 1];
    c->current_epoch = 0;
    c->last_vote_epoch = 0;
    c->myself->config_epoch = 0;
    shoal_bus__log(c, BUS_WARNING, "configEpoch set to 0 via CLUSTER RESET HARD");
    do {
        shoal_bus__random_name(&c->random_name, name);
    } while (shoal_bus__node_find(c, name));
    shoal_bus__node_rename(c, c->myself, name);
    shoal_bus__log(c, BUS_NOTICE, "Node hard reset, now I'm %s", c->myself->name);
}

static void command_reset(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    SHOAL_ASSERT(c->myself);
    bool hard = call->argc == 3 && shoal_text_is(call->argv[2], "hard");
    if (call->argc == 3 && !hard && !shoal_text_is(call->argv[2], "soft")) {
        shoal_reply_error(&call->reply, "ERR syntax error");
        return;
    }
    bool replica = shoal_bus__is(c->myself, SHOAL_NODE_REPLICA);
    if (!replica && call->keys > 0) {
        shoal_reply_error(&call->reply, "ERR CLUSTER RESET can't be called with master nodes "
                                        "containing keys");
        return;
    }
    shoal_bus__moves_clear(c);
    if (replica) {
        /* Its data were the master's. */
        shoal_bus__become_master(c);
        memset(&c->lost, 0xff, sizeof(c->lost));
        c->any_lost = true;
    }
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        if (c->owners[slot] != BUS_NONE) shoal_bus__slot_set(c, slot, NULL);
    }
    for (uint32_t i = c->node_count; i-- > 0;) {
        if (c->live[i] != c->myself) shoal_bus__node_remove(c, c->live[i], BUS_FORGOTTEN_RESET);
    }
    if (hard) reset_identity(c);
    c->due |= BUS_DUE_STATE | BUS_DUE_SAVE | BUS_DUE_ROUTE;
    shoal_reply_ok(&call->reply);
}

static void command_myid(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(call->argc == 2);
    shoal_reply_text(&call->reply, c->myself->name);
}

static void command_count_failure_reports(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    SHOAL_ASSERT(c->myself);
    bus_node *node = shoal_bus__node_find_text(c, call->argv[2]);
    if (!node) {
        reply_unknown_node(call);
        return;
    }
    shoal_reply_integer(&call->reply, shoal_bus__report_count(c, node));
}

/* ---- epochs and the file ---- */

static void command_set_config_epoch(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    SHOAL_ASSERT(c->node_count >= 1);
    int64_t epoch;
    if (!shoal_text_to_i64(call->argv[2], &epoch)) {
        shoal_reply_error(&call->reply, "ERR value is not an integer or out of range");
        return;
    }
    if (epoch < 0) {
        shoal_reply_errorf(&call->reply, "ERR Invalid config epoch specified: %lld",
                           (long long)epoch);
    } else if (c->node_count > 1) {
        shoal_reply_error(&call->reply, "ERR The user can assign a config epoch only when the "
                                        "node does not know any other node.");
    } else if (c->myself->config_epoch != 0) {
        shoal_reply_error(&call->reply, "ERR Node config epoch is already non-zero");
    } else {
        c->myself->config_epoch = (uint64_t)epoch;
        if (c->current_epoch < (uint64_t)epoch) c->current_epoch = (uint64_t)epoch;
        c->due |= BUS_DUE_SAVE;
        shoal_bus__log(c, BUS_WARNING, "configEpoch set to %llu via CLUSTER SET-CONFIG-EPOCH",
                       (unsigned long long)epoch);
        shoal_reply_ok(&call->reply);
    }
}

static void command_bumpepoch(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(c->myself);
    char text[32] = "STILL ";
    size_t length = 6;
    if (shoal_bus__epoch_bump(c)) {
        memcpy(text, "BUMPED ", 7);
        length = 7;
    }
    length += shoal_text_from_u64(text + length, c->myself->config_epoch);
    text[length] = 0;
    shoal_reply_status(&call->reply, text);
}

static void command_saveconfig(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(c->myself);
    c->due |= BUS_DUE_SAVE;
    shoal_reply_ok(&call->reply);
}

/* ---- the table ---- */

/* What a subcommand is answered behind. That goes for each SETSLOT too, of which redis-cli sends
 * some for each slot that it moves, one after the other: a target that forgot NODE leaves a slot
 * without an owner when the source has given it up, and a source that forgot MIGRATING answers for
 * keys that are gone. Redis 7.0 answers without a sync. */
typedef enum answer_behind {
    NOTHING, /* it changes nothing that nodes.conf keeps */
    KEPT     /* the save of whatever it changes */
} answer_behind;

static const struct {
    const char *name;
    uint32_t argc_min, argc_max;
    answer_behind behind;
    void (*run)(shoal_cluster *c, shoal_cluster_call *call);
} subcommands[] = {
    {"addslots", 3, UINT32_MAX, KEPT, shoal_bus__command_addslots},
    {"addslotsrange", 4, UINT32_MAX, KEPT, shoal_bus__command_addslotsrange},
    {"bumpepoch", 2, 2, KEPT, command_bumpepoch},
    {"count-failure-reports", 3, 3, NOTHING, command_count_failure_reports},
    {"delslots", 3, UINT32_MAX, KEPT, shoal_bus__command_delslots},
    {"delslotsrange", 4, UINT32_MAX, KEPT, shoal_bus__command_delslotsrange},
    {"failover", 2, 3, KEPT, shoal_bus__command_failover},
    {"flushslots", 2, 2, KEPT, shoal_bus__command_flushslots},
    {"forget", 3, 3, KEPT, command_forget},
    {"info", 2, 2, NOTHING, shoal_bus__command_info},
    {"links", 2, 2, NOTHING, shoal_bus__command_links},
    {"links-drop", 3, 3, NOTHING, shoal_bus__command_links_drop},
    {"links-kill", 4, 4, NOTHING, shoal_bus__command_links_kill},
    {"meet", 4, 5, KEPT, command_meet},
    {"myid", 2, 2, NOTHING, command_myid},
    {"nodes", 2, 2, NOTHING, shoal_bus__command_nodes},
    {"replicas", 3, 3, NOTHING, shoal_bus__command_replicas},
    {"replicate", 3, 3, KEPT, shoal_bus__command_replicate},
    {"reset", 2, 3, KEPT, command_reset},
    {"saveconfig", 2, 2, KEPT, command_saveconfig},
    {"set-config-epoch", 3, 3, KEPT, command_set_config_epoch},
    {"setslot", 4, UINT32_MAX, KEPT, shoal_bus__command_setslot},
    {"shards", 2, 2, NOTHING, shoal_bus__command_shards},
    {"slaves", 3, 3, NOTHING, shoal_bus__command_replicas},
    {"slots", 2, 2, NOTHING, shoal_bus__command_slots},
    {"why", 2, 3, NOTHING, shoal_bus__command_why},
};

void shoal_cluster_command(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argv);
    SHOAL_ASSERT(call->reply.out);
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(call->argc >= 2);
    c->now = call->now;
    call->change = 0;
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
        if (!shoal_text_is(call->argv[1], subcommands[i].name)) continue;
        if (call->argc < subcommands[i].argc_min || call->argc > subcommands[i].argc_max) break;
        subcommands[i].run(c, call);
        if (c->due & BUS_DUE_LATER) c->due |= BUS_DUE_SAVE; /* an operator waits for it */
        shoal_bus__finish(c);
        /* What it found done already may still be on its way to the disk. */
        bool waits = subcommands[i].behind == KEPT && c->save.durable != c->save.generation;
        if (waits) call->change = c->save.generation;
        return;
    }
    reply_arity(call);
}
