/* SPDX-License-Identifier: MIT
 *
 * The ways between hosts: quality, cuts, stalls, resets and loss of power. What happens to one
 * connection stands in sim/streams.c; here are the faults that concern all of a pair of hosts.
 */
#include "sim/streams.h"

#include "base/assert.h"
#include "sim/internal.h"

/* Quality before any net line: a quiet local network. Chosen. */
static const shoal_quality quality_default = {.latency_us = 250,
                                              .jitter_us = 100,
                                              .shape = SHOAL_SHAPE_EXPONENTIAL,
                                              .split_ppm = 20000,
                                              .rate_bytes_per_s = 0};

void shoal_net__make(shoal_net *net, uint32_t hosts)
{
    *net = (shoal_net){.hosts = hosts, .quality_count = 1};
    net->ways = shoal_sim__allocate((size_t)hosts * hosts * sizeof(*net->ways));
    net->dark = shoal_sim__allocate(hosts);
    net->moved = shoal_sim__allocate(hosts);
    net->qualities[0] = quality_default;
}

void shoal_net__free(shoal_net *net)
{
    for (uint32_t i = 0; i < net->connection_count; i++) {
        shoal_stream__drop(net, &shoal_net__connection(net, i)->pipes[0]);
        shoal_stream__drop(net, &shoal_net__connection(net, i)->pipes[1]);
    }
    for (uint32_t i = 0; i < SHOAL_NET_POOLS; i++) {
        while (net->pools[i]) {
            shoal_block *block = net->pools[i];
            net->pools[i] = block->next;
            shoal_sim__free(block);
        }
    }
    for (uint32_t i = 0; i < net->connection_count; i += SHOAL_NET_GROUP) {
        shoal_sim__free(net->groups[i / SHOAL_NET_GROUP]);
    }
    shoal_sim__free(net->groups);
    shoal_sim__free(net->free_list);
    shoal_sim__free(net->ways);
    shoal_sim__free(net->dark);
    shoal_sim__free(net->moved);
    shoal_net__drop_nothing(net);
    shoal_sim__free(net->drops);
    *net = (shoal_net){0};
}

shoal_way *shoal_net__way(shoal_net *net, uint32_t from, uint32_t to)
{
    SHOAL_ASSERT(from < net->hosts && to < net->hosts);
    return &net->ways[(size_t)from * net->hosts + to];
}

bool shoal_net__blocked(const shoal_world *world, uint32_t from, uint32_t to)
{
    const shoal_net *net = &world->net;
    if (!net->hindered) return false;
    const shoal_way *way = &net->ways[(size_t)from * net->hosts + to];
    return way->cut || way->stalled_until_us > world->now_us || net->dark[from] || net->dark[to];
}

/* The index of an equal quality, making a new one when there is none. */
static uint8_t quality_index(shoal_net *net, const shoal_quality *wanted)
{
    for (uint32_t i = 0; i < net->quality_count; i++) {
        const shoal_quality *q = &net->qualities[i];
        if (q->latency_us == wanted->latency_us && q->jitter_us == wanted->jitter_us &&
            q->shape == wanted->shape && q->split_ppm == wanted->split_ppm &&
            q->rate_bytes_per_s == wanted->rate_bytes_per_s) {
            return (uint8_t)i;
        }
    }
    if (net->quality_count == SHOAL_NET_QUALITIES_MAX) return 0;
    net->qualities[net->quality_count] = *wanted;
    return (uint8_t)net->quality_count++;
}

void shoal_net__set_quality(shoal_world *world, uint32_t from, uint32_t to,
                            const shoal_quality *change)
{
    shoal_way *way = shoal_net__way(&world->net, from, to);
    shoal_quality wanted = world->net.qualities[way->quality];
    if (change->latency_us >= 0) wanted.latency_us = change->latency_us;
    if (change->jitter_us >= 0) wanted.jitter_us = change->jitter_us;
    if (change->shape >= 0) wanted.shape = change->shape;
    if (change->split_ppm >= 0) wanted.split_ppm = change->split_ppm;
    if (change->rate_bytes_per_s >= 0) wanted.rate_bytes_per_s = change->rate_bytes_per_s;
    way->quality = quality_index(&world->net, &wanted);
}

/* ---- faults between two hosts ---- */

/* Calls `act` for every pipe that carries bytes from `from` to `to` (UINT32_MAX: any host). */
static void each_pipe(shoal_world *world, uint32_t from, uint32_t to,
                      void (*act)(shoal_world *, shoal_port receiver))
{
    for (uint32_t i = 0; i < world->net.connection_count; i++) {
        shoal_connection *connection = shoal_net__connection(&world->net, i);
        for (uint32_t side = 0; side < 2; side++) {
            const shoal_end *receiver = &connection->ends[side];
            const shoal_end *sender = &connection->ends[1 - side];
            if (receiver->kind == SHOAL_END_NONE && sender->kind == SHOAL_END_NONE) continue;
            if (from != UINT32_MAX && sender->host != from) continue;
            if (to != UINT32_MAX && receiver->host != to) continue;
            act(world, (shoal_port){connection, side});
        }
    }
}

void shoal_net__cut(shoal_world *world, uint32_t from, uint32_t to)
{
    world->net.hindered = true;
    shoal_net__way(&world->net, from, to)->cut = 1;
}

static void retransmit(shoal_world *world, shoal_port receiver)
{
    shoal_stream__release(world, receiver, false);
}

static void flow(shoal_world *world, shoal_port receiver)
{
    shoal_stream__release(world, receiver, true);
}

void shoal_net__heal(shoal_world *world, uint32_t from, uint32_t to)
{
    shoal_way *way = shoal_net__way(&world->net, from, to);
    way->refused = SHOAL_REFUSAL_NONE;
    if (!way->cut && way->stalled_until_us <= world->now_us) return;
    way->cut = 0;
    way->stalled_until_us = 0;
    each_pipe(world, from, to, retransmit);
}

void shoal_net__stall(shoal_world *world, uint32_t from, uint32_t to, int64_t until_us)
{
    shoal_way *way = shoal_net__way(&world->net, from, to);
    world->net.hindered = true;
    if (until_us > way->stalled_until_us) way->stalled_until_us = until_us;
}

void shoal_net__unstall(shoal_world *world, uint32_t from, uint32_t to)
{
    shoal_way *way = shoal_net__way(&world->net, from, to);
    if (way->stalled_until_us > world->now_us) return;
    each_pipe(world, from, to, flow);
}

void shoal_net__reset(shoal_world *world, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < world->net.connection_count; i++) {
        shoal_connection *connection = shoal_net__connection(&world->net, i);
        uint32_t h0 = connection->ends[0].host, h1 = connection->ends[1].host;
        if ((h0 != a || h1 != b) && (h0 != b || h1 != a)) continue;
        if (connection->pipes[0].head || connection->pipes[1].head) {
            shoal_marks__reach(world, SHOAL_MARK_RESET_UNDER_LOAD);
        }
        for (uint32_t side = 0; side < 2; side++) {
            if (connection->ends[side].state != SHOAL_END_OPEN) continue;
            shoal_world__arrange(world, world->now_us, SHOAL_OCCURRENCE_RESET,
                                 shoal_stream__subject((shoal_port){connection, side}),
                                 connection->generation);
        }
    }
}

void shoal_net__reset_one(shoal_world *world, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < world->net.connection_count; i++) {
        shoal_connection *connection = shoal_net__connection(&world->net, i);
        for (uint32_t side = 0; side < 2; side++) {
            shoal_end *end = &connection->ends[side];
            if (end->host != b || connection->ends[1 - side].host != a) continue;
            if (end->state != SHOAL_END_OPEN) continue;
            end->silent = true;
            shoal_world__arrange(world, world->now_us, SHOAL_OCCURRENCE_RESET,
                                 shoal_stream__subject((shoal_port){connection, side}),
                                 connection->generation);
        }
    }
}

void shoal_net__process_died(shoal_world *world, uint32_t host)
{
    for (uint32_t i = 0; i < world->net.connection_count; i++) {
        shoal_connection *connection = shoal_net__connection(&world->net, i);
        for (uint32_t side = 0; side < 2; side++) {
            if (connection->ends[side].host != host) continue;
            if (connection->ends[side].state == SHOAL_END_CLOSED) continue;
            shoal_net__close(world, (shoal_port){connection, side});
        }
    }
}

void shoal_net__power_lost(shoal_world *world, uint32_t host)
{
    world->net.hindered = true;
    world->net.dark[host] = true;
    for (uint32_t i = 0; i < world->net.connection_count; i++) {
        shoal_connection *connection = shoal_net__connection(&world->net, i);
        for (uint32_t side = 0; side < 2; side++) {
            if (connection->ends[side].host != host) continue;
            if (connection->ends[side].state == SHOAL_END_CLOSED) continue;
            shoal_stream__forget(world, (shoal_port){connection, side});
        }
    }
}

/* What was on its way when its host went dark is lost: nobody sends it again. Left held, it would
 * keep the reset back with which the host answers now. */
static void lose_held(shoal_world *world, shoal_port receiver)
{
    shoal_connection *connection = receiver.connection;
    shoal_pipe *pipe = &connection->pipes[receiver.side];
    const shoal_end *sender = &connection->ends[1 - receiver.side];
    if (!sender->silent || pipe->held_since_us < 0 || pipe->stranded) return;
    if (shoal_net__blocked(world, sender->host, connection->ends[receiver.side].host)) return;
    shoal_stream__drop(&world->net, pipe);
    pipe->held_since_us = -1;
}

void shoal_net__power_back(shoal_world *world, uint32_t host)
{
    world->net.dark[host] = false;
    each_pipe(world, host, UINT32_MAX, lose_held);
    each_pipe(world, UINT32_MAX, host, retransmit);
}

void shoal_net__refuse(shoal_world *world, uint32_t from, uint32_t to, shoal_refusal refusal)
{
    shoal_net__way(&world->net, from, to)->refused = (uint8_t)refusal;
}

/* The operator is spared: no fault concerns it. */
static void strand(shoal_world *world, shoal_port receiver)
{
    uint32_t operator_host = shoal_world__operator_host(world);
    const shoal_end *ends = receiver.connection->ends;
    if (ends[0].host == operator_host || ends[1].host == operator_host) return;
    receiver.connection->pipes[receiver.side].stranded = true;
}

/* What the firewall has forgotten was open: a SYN that is sent again is news to it, and passes. */
static void strand_open(shoal_world *world, shoal_port receiver)
{
    if (receiver.connection->ends[0].state == SHOAL_END_CONNECTING) return;
    strand(world, receiver);
}

void shoal_net__strand(shoal_world *world, uint32_t from, uint32_t to)
{
    each_pipe(world, from, to, strand_open);
}

void shoal_net__move(shoal_world *world, uint32_t host)
{
    world->net.moved[host]++;
    each_pipe(world, host, UINT32_MAX, strand);
    each_pipe(world, UINT32_MAX, host, strand);
}
