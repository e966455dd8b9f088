/* SPDX-License-Identifier: MIT
 *
 * The data path of a virtual node: its one worker, driven in rounds as shoal/node.h asks, and its
 * client connections, from virtual clients and from other nodes, whose replicas connect as clients
 * do. A parked session is not read: its bytes wait in the virtual socket. One that waits for a key
 * is: it would not hear of the client's end otherwise.
 */
#include "sim/vnode.h"

#include <string.h>

#include "base/assert.h"
#include "sim/internal.h"

static shoal_port port_of(const shoal_world *world, uint64_t handle, bool *found)
{
    shoal_port port = {NULL, 0};
    *found = shoal_net__find(&world->net, handle, &port);
    return port;
}

/* ---- rounds ---- */

static void begin(shoal_world *world, shoal_vnode *vnode)
{
    shoal_worker_begin(vnode->worker, shoal_clock__read(&vnode->clock, world->now_us));
}

/* Sends what a session said. */
static void flush(shoal_world *world, shoal_vnode *vnode, shoal_port port)
{
    shoal_slice out = shoal_buffer_slice(&vnode->out);
    SHOAL_ASSERT(!vnode->out.failed);
    if (out.size > 0) shoal_net__send(world, port, out);
    shoal_buffer_consume(&vnode->out, out.size);
}

/* Ends the session of an end. Inside a round. */
static void close_session(shoal_world *world, shoal_end *end)
{
    shoal_vnode *vnode = &world->nodes[end->host];
    SHOAL_ASSERT(vnode->sessions > 0);
    shoal_session_close(end->owner);
    end->owner = NULL;
    vnode->sessions--;
}

/* Ends the session of a connection and the connection. Inside a round. */
static void end_session(shoal_world *world, shoal_port port)
{
    shoal_end *end = &port.connection->ends[port.side];
    SHOAL_ASSERT(end->kind == SHOAL_END_SESSION);
    close_session(world, end);
    shoal_net__close(world, port);
}

/* Tells a session how much of what it said is on its way. False when it does not let so much pile
 * up: then it has ended. Inside a round. */
static bool tell_backlog(shoal_world *world, shoal_port port)
{
    const shoal_end *end = &port.connection->ends[port.side];
    if (shoal_session_backlog(end->owner, shoal_net__backlog(port))) return true;
    end_session(world, port);
    return false;
}

/* Gives bytes to a session and does what it asks for. Inside a round. */
static void feed(shoal_world *world, shoal_vnode *vnode, shoal_port port, shoal_slice bytes)
{
    shoal_end *end = &port.connection->ends[port.side];
    shoal_feed next = shoal_session_feed(end->owner, bytes, &vnode->out);
    shoal_worker_commit(vnode->worker);
    shoal_slice said = shoal_buffer_slice(&vnode->out);
    if (said.size > 0 && shoal_session_hold(end->owner, said)) {
        shoal_buffer_consume(&vnode->out, said.size);
        next = SHOAL_FEED_PARKED;
    }
    flush(world, vnode, port);
    if (next == SHOAL_FEED_CLOSE || next == SHOAL_FEED_DROP) {
        end_session(world, port);
        return;
    }
    if (tell_backlog(world, port)) shoal_net__reading(world, port, next != SHOAL_FEED_PARKED);
}

/* Serves the sessions that were parked, closes the round and arms the next one. */
static void finish(shoal_world *world, shoal_vnode *vnode)
{
    shoal_session *session;
    while ((session = shoal_worker_ready(vnode->worker)) != NULL) {
        shoal_end *end = shoal_session_owner(session);
        bool found = false;
        shoal_port port = port_of(world, (uint64_t)end->tag << 32 | end->port_handle, &found);
        SHOAL_ASSERT(found && end->owner == session);
        feed(world, vnode, port, (shoal_slice){NULL, 0});
    }
    int64_t deadline = shoal_worker_end(vnode->worker);
    shoal_logbook__follow(world, vnode->index);
    int64_t at = shoal_clock__when(&vnode->clock, deadline);
    if (at < world->now_us) at = world->now_us;
    if (at == INT64_MAX || at >= vnode->round_armed_us) return;
    vnode->round_armed_us = at;
    shoal_world__arrange(world, at, SHOAL_OCCURRENCE_NODE_ROUND,
                         shoal_vnode__reference(world, vnode->index), ++vnode->round_serial);
}

void shoal_session__round(shoal_world *world, uint32_t index)
{
    shoal_vnode *vnode = &world->nodes[index];
    begin(world, vnode);
    finish(world, vnode);
}

void shoal_vnode__occur_round(shoal_world *world, const shoal_occurrence *occurrence)
{
    uint32_t index = shoal_vnode__referred(occurrence->subject);
    shoal_vnode *vnode = &world->nodes[index];
    if (vnode->round_serial != (uint32_t)occurrence->detail) return;
    vnode->round_armed_us = INT64_MAX;
    if (vnode->worker) shoal_session__round(world, index);
}

/* ---- connections ---- */

static shoal_address end_address(const shoal_world *world, const shoal_end *end)
{
    shoal_address address = {.port = end->port};
    shoal_world__host_ip(world, end->host, address.ip);
    return address;
}

static void session_up(shoal_world *world, shoal_port port)
{
    shoal_end *end = &port.connection->ends[port.side];
    shoal_vnode *vnode = &world->nodes[end->host];
    uint64_t handle = shoal_net__handle(port);
    shoal_session *session = NULL;
    end->tag = (uint32_t)(handle >> 32);
    end->port_handle = (uint32_t)handle;
    shoal_session_options options = {.peer =
                                         end_address(world, &port.connection->ends[1 - port.side]),
                                     .local = end_address(world, end),
                                     .descriptor = -1,
                                     .owner = end};
    begin(world, vnode);
    shoal_err error = shoal_session_open(vnode->worker, &options, &vnode->out, &session);
    flush(world, vnode, port);
    end->owner = session;
    if (error == SHOAL_ERR_OK) {
        uint32_t at = port.connection->index;
        if (vnode->sessions == 0 || at < vnode->session_least) vnode->session_least = at;
        vnode->sessions++;
    }
    if (error != SHOAL_ERR_OK) {
        end->owner = NULL;
        shoal_net__close(world, port);
    }
    finish(world, vnode);
}

static void session_data(shoal_world *world, shoal_port port, shoal_slice bytes, int64_t sent_us)
{
    shoal_vnode *vnode = &world->nodes[port.connection->ends[port.side].host];
    (void)sent_us;
    begin(world, vnode);
    feed(world, vnode, port, bytes);
    finish(world, vnode);
}

/* A session that stopped for its output hears when there is room again. */
static void session_level(shoal_world *world, shoal_port port, bool full)
{
    const shoal_end *end = &port.connection->ends[port.side];
    shoal_vnode *vnode = &world->nodes[end->host];
    if (full || end->owner == NULL) return;
    begin(world, vnode);
    (void)tell_backlog(world, port);
    finish(world, vnode);
}

static void session_down(shoal_world *world, shoal_port port, shoal_err error)
{
    shoal_end *end = &port.connection->ends[port.side];
    shoal_vnode *vnode = &world->nodes[end->host];
    (void)error;
    if (end->owner == NULL) return;
    begin(world, vnode);
    close_session(world, end);
    finish(world, vnode);
}

const shoal_end_class shoal_vnode__session_class = {session_up, session_data, session_level,
                                                    session_down, NULL};

void shoal_session__close_all(shoal_world *world, uint32_t index)
{
    shoal_vnode *vnode = &world->nodes[index];
    begin(world, vnode);
    for (uint32_t i = vnode->session_least; vnode->sessions > 0; i++) {
        SHOAL_ASSERT(i < world->net.connection_count);
        shoal_end *end = &shoal_net__connection(&world->net, i)->ends[1];
        if (end->kind != SHOAL_END_SESSION || end->host != index || end->owner == NULL) continue;
        close_session(world, end);
    }
    SHOAL_ASSERT(vnode->sessions == 0);
    shoal_worker_end(vnode->worker);
}
