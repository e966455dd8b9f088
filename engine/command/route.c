/* SPDX-License-Identifier: MIT
 *
 * command/route.c - whether a node of a cluster may run a command on its keys, and where the client
 * is sent otherwise. The way of a command that may run is one acquire load of the slot's word
 * and one look whether the cluster is up and any slot on its way.
 *
 * While a slot goes to another node, keys that are not here any more are asked for there (ASK);
 * while one comes in, clients that say ASKING are served. Whether a key is here is settled under
 * its gate: commands on such slots are admitted once more there.
 */
#include "base/assert.h"
#include "base/mutant.h"
#include "command/handlers.h"
#include "command/worker.h"

/* Sends the client to the node of this number. */
static void redirect(const shoal_route *route, uint32_t slot, uint32_t number, const char *word,
                     shoal_reply *reply)
{
    SHOAL_ASSERT(number >= 1 && number <= route->node_count);
    const struct shoal_route_node *node = &route->nodes[number - 1];
    shoal_reply_errorf(reply, "%s %u %s:%u", word, slot, node->endpoint, (unsigned)node->port);
}

bool shoal_route__moves(const shoal_store *store, uint32_t slot)
{
    const shoal_route *route = shoal_store_route(store);
    if (__builtin_expect(route->move_count == 0, 1)) return false;
    return shoal_route_find_move(route, slot, false) != NULL ||
           shoal_route_find_move(route, slot, true) != NULL;
}

/* ---- slots on their way ---- */

static bool same_name(const shoal_key *a, const shoal_key *b)
{
    SHOAL_ASSERT(a != NULL && b != NULL);
    return a->name.size == b->name.size && memcmp(a->name.data, b->name.data, a->name.size) == 0;
}

void shoal_route__count(const shoal_access *access, shoal_presence *presence)
{
    SHOAL_ASSERT(access->key_count > 0);
    for (uint32_t i = 0; i < access->key_count; i++) {
        const shoal_key *key = &access->keys[i];
        if (presence->first == NULL) presence->first = key;
        presence->multiple = presence->multiple || !same_name(presence->first, key);
        if (shoal_store_peek(access->thread, key) != NULL) {
            presence->existing = true;
        } else {
            presence->missing = true;
        }
    }
}

/* False after writing where to ask, or that it must be tried again. */
static bool all_here(const shoal_route *route, const shoal_access *access,
                     const shoal_presence *presence, shoal_reply *reply)
{
    uint32_t slot = SHOAL_PLACE_SLOT(access->keys[0].place);
    SHOAL_ASSERT(presence->first != NULL);
    const shoal_route_move *goes = shoal_route_find_move(route, slot, false);
    if (goes == NULL || !presence->missing) return true;
    /* A key that has gone on its way is about to be removed there: what is put there first would go
     * with it. */
    if (presence->existing || shoal_load_relaxed(&access->env->strays) != 0) {
        shoal_reply_error(reply, SHOAL_ERROR__TRY_AGAIN);
    } else {
        redirect(route, slot, goes->target, "ASK", reply);
    }
    return false;
}

/* What becomes of a command on a slot that is another node's but comes here. */
static bool serve_import(const shoal_presence *presence, shoal_reply *reply)
{
    SHOAL_ASSERT(presence->first != NULL);
    if (!presence->multiple || !presence->missing) return true;
    shoal_reply_error(reply, SHOAL_ERROR__TRY_AGAIN);
    return false;
}

/* ---- admission ---- */

/* Is it about shard channels instead of keys? These have a slot, and nothing else. */
static bool is_sharded(const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    return (command->flags & SHOAL_FLAG_PUBSUB) != 0;
}

/* Is the cluster in a state in which the command may run? False after writing the refusal. */
static bool admit_state(const shoal_route *route, const shoal_command *command, shoal_reply *reply)
{
    SHOAL_ASSERT(command != NULL);
    if (__builtin_expect(route->up, 1)) return true;
    if (is_sharded(command) && route->channels_when_down) return true;
    if (!route->reads_when_down) {
        shoal_reply_error(reply, "CLUSTERDOWN The cluster is down");
        return false;
    }
    if ((command->flags & SHOAL_FLAG_READONLY) != 0) return true;
    shoal_reply_error(reply, "CLUSTERDOWN The cluster is down and only accepts read commands");
    return false;
}

/* Of a slot that another node serves, or that is on its way. */
static bool admit_rare(const shoal_route *route, const shoal_access *access, bool owned,
                       shoal_reply *reply)
{
    SHOAL_ASSERT(access->key_count > 0);
    uint32_t slot = SHOAL_PLACE_SLOT(access->keys[0].place);
    uint32_t owner = route->owner[slot];
    bool replica = owner == route->master;
    /* It is about what is here, wherever the slot is going. */
    if (access->command->id == SHOAL_COMMAND_MIGRATE && shoal_route__moves(access->store, slot))
        return true;
    if (is_sharded(access->command)) {
        if (owned || replica) return true;
        redirect(route, slot, owner, "MOVED", reply);
        return false;
    }
    shoal_presence own = {NULL, false, false, false}, *presence = &own;
    if (access->presence != NULL) presence = access->presence;
    if (access->presence == NULL) shoal_route__count(access, presence);
    if (owned) return all_here(route, access, presence, reply);
    if (access->asking && shoal_route_find_move(route, slot, true) != NULL)
        return serve_import(presence, reply);
    bool writes = (access->command->flags & SHOAL_FLAG_WRITE) != 0;
    if (access->reads_replicas && !writes && replica) return true;
    if (SHOAL_MUTANT(SERVES_ALL)) return true;
    redirect(route, slot, owner, "MOVED", reply);
    return false;
}

bool shoal_route__admit(const shoal_access *access, shoal_reply *reply)
{
    SHOAL_ASSERT(access->key_count > 0);
    /* The slot's word first: a slot that was lost before it was read has another owner in the route
     * that is read then. One that was gained in between is this node's in that route already. */
    const shoal_key *keys = access->keys;
    uint32_t slot = SHOAL_PLACE_SLOT(keys[0].place);
    bool owned = shoal_store_owns(access->store, slot);
    const shoal_route *route = shoal_store_route(access->store);
    uint32_t owner = route->owner[slot];
    if (!owned && owner != 0) owned = route->nodes[owner - 1].myself;
    if (!owned && owner == 0) {
        shoal_reply_error(reply, "CLUSTERDOWN Hash slot not served");
        return false;
    }
    for (uint32_t i = 1; i < access->key_count; i++) {
        if (SHOAL_PLACE_SLOT(keys[i].place) == slot) continue;
        shoal_reply_error(reply, "CROSSSLOT Keys in request don't hash to the same slot");
        return false;
    }
    if (!admit_state(route, access->command, reply)) return false;
    if (__builtin_expect(owned && route->move_count == 0, 1)) return true;
    return admit_rare(route, access, owned, reply);
}
