/* SPDX-License-Identifier: MIT
 *
 * Connections of virtual clients: requests out, replies in, one for the other in order, and the
 * slot map that CLUSTER SLOTS tells.
 */
#include "sim/client.h"

#include <string.h>

#include "base/assert.h"
#include "sim/internal.h"
#include "wire/resp.h"

static const char SLOTS_REQUEST[] = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";

static const char READONLY[] = "*1\r\n$8\r\nREADONLY\r\n";

/* ---- what waits for a reply ---- */

static void push_pending(shoal_client_link *link, shoal_pending pending)
{
    if (link->pending_count == link->pending_capacity) {
        uint32_t capacity = link->pending_capacity ? link->pending_capacity * 2 : 16;
        shoal_pending *grown = shoal_sim__allocate(capacity * sizeof(*grown));
        for (uint32_t i = 0; i < link->pending_count; i++) {
            grown[i] = link->pending[(link->pending_first + i) % link->pending_capacity];
        }
        shoal_sim__free(link->pending);
        link->pending = grown;
        link->pending_capacity = capacity;
        link->pending_first = 0;
    }
    link->pending[(link->pending_first + link->pending_count++) % link->pending_capacity] = pending;
}

static shoal_pending pop_pending(shoal_client_link *link)
{
    SHOAL_ASSERT(link->pending_count > 0);
    shoal_pending pending = link->pending[link->pending_first];
    link->pending_first = (link->pending_first + 1) % link->pending_capacity;
    link->pending_count--;
    return pending;
}

/* ---- out ---- */

void shoal_client__request(shoal_world *world, shoal_client *client, uint32_t node,
                           shoal_slice request, shoal_pending pending)
{
    shoal_client_link *link = &client->links[node];
    shoal_port port;
    if (link->handle == 0 && client->load.reads_replicas) {
        push_pending(link, (shoal_pending){SHOAL_PENDING_IGNORED, 0, 0});
        shoal_buffer_append(&link->out, (shoal_slice){READONLY, sizeof(READONLY) - 1});
    }
    push_pending(link, pending);
    if (link->handle == 0) {
        port = shoal_net__open(world, client->host, node, SHOAL_WORLD_PORT);
        port.connection->ends[0].kind = SHOAL_END_CLIENT;
        port.connection->ends[0].tag = client->index;
        link->handle = shoal_net__handle(port);
    }
    if (link->up && shoal_net__find(&world->net, link->handle, &port)) {
        shoal_net__send(world, port, request);
    } else {
        shoal_buffer_append(&link->out, request);
    }
}

/* Everything that waited on a connection that is gone. */
static void fail_pending(shoal_world *world, shoal_client *client, uint32_t node, bool was_up)
{
    shoal_client_link *link = &client->links[node];
    uint32_t count = link->pending_count;
    for (uint32_t i = 0; i < count; i++) {
        shoal_pending pending = pop_pending(link);
        if (pending.kind == SHOAL_PENDING_SLOTS) {
            client->map_asked = false;
            client->map_wanted = true;
        }
        if (pending.kind != SHOAL_PENDING_OPERATION) continue;
        const shoal_operation *operation = &client->operations[pending.operation];
        if (operation->generation != pending.generation) continue;
        /* A request that never left can be made again; one that left may have happened. */
        if (was_up && operation->write) {
            shoal_operation__finish(world, client, pending.operation, SHOAL_OUTCOME_BROKEN);
        } else {
            shoal_operation__retry(world, client, pending.operation, SHOAL_OUTCOME_UNREACHABLE);
        }
    }
}

/* Forgets a connection and what it held. */
static void drop_link(shoal_world *world, shoal_client *client, uint32_t node)
{
    shoal_client_link *link = &client->links[node];
    bool was_up = link->up;
    link->handle = 0;
    link->up = false;
    shoal_buffer_consume(&link->in, shoal_buffer_size(&link->in));
    shoal_buffer_consume(&link->out, shoal_buffer_size(&link->out));
    client->map_wanted = true;
    fail_pending(world, client, node, was_up);
}

void shoal_client__hang_up(shoal_world *world, shoal_client *client, uint32_t node)
{
    shoal_client_link *link = &client->links[node];
    shoal_port port;
    if (link->handle == 0) return;
    bool found = shoal_net__find(&world->net, link->handle, &port);
    if (found) shoal_net__close(world, port);
    drop_link(world, client, node);
}

void shoal_client__refresh(shoal_world *world, shoal_client *client)
{
    if (client->map_asked) return;
    client->map_asked = true;
    uint32_t node = (uint32_t)shoal_prng_below(&client->ways, world->node_count);
    shoal_client__request(world, client, node,
                          (shoal_slice){SLOTS_REQUEST, sizeof(SLOTS_REQUEST) - 1},
                          (shoal_pending){SHOAL_PENDING_SLOTS, 0, 0});
}

/* ---- the slot map ---- */

/* Takes the element at the front of `rest`; false when there is none. */
static bool element(shoal_slice *rest, shoal_answer *answer)
{
    if (shoal_answer_next(*rest, answer) != SHOAL_ERR_OK) return false;
    rest->data += answer->size;
    rest->size -= answer->size;
    return true;
}

/* Takes a whole element, nested ones included, without looking. */
static bool skip(shoal_slice *rest)
{
    size_t size = 0;
    if (shoal_answer_size(*rest, &size) != SHOAL_ERR_OK) return false;
    rest->data += size;
    rest->size -= size;
    return true;
}

/* A node of an entry, as [ip, port, ...]: its index, or UINT32_MAX where nobody has its address. */
static bool take_node(const shoal_world *world, shoal_slice *rest, uint32_t *node)
{
    shoal_answer whole, ip;
    char text[46];
    if (!element(rest, &whole) || whole.integer < 2 || !element(rest, &ip)) return false;
    for (int64_t i = 1; i < whole.integer; i++) {
        if (!skip(rest)) return false;
    }
    *node = UINT32_MAX;
    if (ip.text.size >= sizeof(text)) return false;
    if (ip.text.size == 0) return true;
    memcpy(text, ip.text.data, ip.text.size);
    text[ip.text.size] = 0;
    uint32_t host = shoal_world__host_of(world, text);
    if (host < world->node_count) *node = host;
    return true;
}

/* One entry: first slot, last slot, the master, replicas. Each client reads one of these. */
static bool take_range(const shoal_world *world, shoal_client *client, shoal_slice *rest)
{
    shoal_answer entry, first, last;
    uint32_t master, reader = UINT32_MAX;
    if (!element(rest, &entry) || entry.integer < 3) return false;
    if (!element(rest, &first) || !element(rest, &last)) return false;
    if (!take_node(world, rest, &master)) return false;
    int64_t replicas = entry.integer - 3;
    for (int64_t i = 0; i < replicas; i++) {
        uint32_t replica;
        if (!take_node(world, rest, &replica)) return false;
        if (i == client->index % replicas) reader = replica;
    }
    if (first.integer < 0 || last.integer >= SHOAL_SLOTS) return false;
    if (master == UINT32_MAX) return true;
    for (int64_t slot = first.integer; slot <= last.integer; slot++) {
        client->map[slot] = (uint16_t)(master + 1);
        client->readers[slot] = reader == UINT32_MAX ? 0 : (uint16_t)(reader + 1);
    }
    return true;
}

/* Takes over what a node says; slots that it does not name keep their owner. */
static void take_map(const shoal_world *world, shoal_client *client, shoal_slice reply)
{
    shoal_answer head;
    client->map_asked = false;
    client->map_wanted = true;
    if (!element(&reply, &head) || head.type != '*') return;
    for (int64_t i = 0; i < head.integer; i++) {
        if (!take_range(world, client, &reply)) return;
    }
    client->map_wanted = head.integer == 0;
}

/* ---- in ---- */

static void answered(shoal_world *world, shoal_client *client, uint32_t node, shoal_slice reply)
{
    shoal_pending pending = pop_pending(&client->links[node]);
    if (pending.kind == SHOAL_PENDING_SLOTS) take_map(world, client, reply);
    if (pending.kind != SHOAL_PENDING_OPERATION) return;
    const shoal_operation *operation = &client->operations[pending.operation];
    if (operation->generation != pending.generation) return;
    shoal_operation__answered(world, client, pending.operation, reply);
}

static void client_up(shoal_world *world, shoal_port port)
{
    const shoal_connection *connection = port.connection;
    shoal_client *client = &world->clients[connection->ends[0].tag];
    shoal_client_link *link = &client->links[connection->ends[1].host];
    link->up = true;
    shoal_net__send(world, port, shoal_buffer_slice(&link->out));
    shoal_buffer_consume(&link->out, shoal_buffer_size(&link->out));
}

static void client_data(shoal_world *world, shoal_port port, shoal_slice bytes, int64_t sent_us)
{
    uint32_t node = port.connection->ends[1].host;
    shoal_client *client = &world->clients[port.connection->ends[0].tag];
    shoal_client_link *link = &client->links[node];
    uint64_t handle = link->handle;
    size_t size = 0;
    shoal_buffer_append(&link->in, bytes);
    link->served_us = sent_us;
    while (shoal_answer_size(shoal_buffer_slice(&link->in), &size) == SHOAL_ERR_OK) {
        if (link->pending_count == 0) return;
        answered(world, client, node, (shoal_slice){link->in.data + link->in.start, size});
        if (link->handle != handle) return;
        shoal_buffer_consume(&link->in, size);
    }
}

static void client_down(shoal_world *world, shoal_port port, shoal_err error)
{
    shoal_client *client = &world->clients[port.connection->ends[0].tag];
    (void)error;
    drop_link(world, client, port.connection->ends[1].host);
}

const shoal_end_class shoal_client__class = {client_up, client_data, NULL, client_down, NULL};
