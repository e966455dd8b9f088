/* SPDX-License-Identifier: MIT
 *
 * Single connections: opening, sending, delivering, closing.
 *
 * A send becomes a block with an arrival time; blocks of one direction arrive in order. Where the
 * way is cut, stalled or dark, blocks are held, as TCP holds what was not acknowledged, and go on
 * with the first retransmission after the way is free again (200 ms, then doubling). At the
 * receiver a block may be split, so that code that frames messages is exercised.
 */
#include "sim/streams.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "sim/internal.h"
#include "sim/random.h"
#include "wire/bus.h"

/* Linux: first retransmission after 200 ms, intervals double up to 120 s. */
#define RETRANSMIT_FIRST_US INT64_C(200000)
#define RETRANSMIT_MAX_US INT64_C(120000000)

/* Linux: a SYN is sent again after 1, 3, 7, 15, 31, 63 s and given up at 127 s. */
#define SYN_RETRIES 6u
#define CONNECT_US_MAX INT64_C(127000000)

/* A split delivery's second part comes within this time. Chosen: below any latency that counts. */
#define SPLIT_GAP_US 200u

/* Draws per block of a direction's stream. */
#define DRAWS 4u

#define POOL_SMALLEST 128u

/* ---- names ---- */

uint32_t shoal_stream__subject(shoal_port port)
{
    return port.connection->index * 2 + port.side;
}

uint64_t shoal_net__handle(shoal_port port)
{
    return ((uint64_t)port.connection->generation << 32) + shoal_stream__subject(port) + 1;
}

bool shoal_net__find(const shoal_net *net, uint64_t handle, shoal_port *out)
{
    uint32_t name = (uint32_t)handle;
    if (name == 0 || (name - 1) / 2 >= net->connection_count) return false;
    shoal_connection *connection = shoal_net__connection(net, (name - 1) / 2);
    uint32_t side = (name - 1) % 2;
    if (connection->generation != (uint32_t)(handle >> 32)) return false;
    *out = (shoal_port){connection, side};
    return connection->ends[out->side].kind != SHOAL_END_NONE;
}

/* The end that an occurrence speaks of; false when its connection is gone. */
static bool subject_port(const shoal_world *world, const shoal_occurrence *occurrence,
                         shoal_port *out)
{
    SHOAL_ASSERT(occurrence->subject / 2 < world->net.connection_count);
    uint32_t side = occurrence->subject % 2;
    shoal_connection *connection = shoal_net__connection(&world->net, occurrence->subject / 2);
    *out = (shoal_port){connection, side};
    return connection->generation == (uint32_t)occurrence->detail;
}

static void arrange(shoal_world *world, int64_t at_us, uint32_t kind, shoal_port port)
{
    shoal_world__arrange(world, at_us, kind, shoal_stream__subject(port),
                         port.connection->generation);
}

/* Sees that the first block of a pipe is delivered when it arrives, or now if it has waited for
 * its reader. */
static void arm(shoal_world *world, shoal_port receiver)
{
    shoal_pipe *pipe = &receiver.connection->pipes[receiver.side];
    if (pipe->armed || pipe->head == NULL || pipe->held_since_us >= 0) return;
    int64_t at = pipe->head->arrives_us;
    pipe->armed = true;
    arrange(world, at > world->now_us ? at : world->now_us, SHOAL_OCCURRENCE_DELIVER, receiver);
}

/* ---- blocks ---- */

static shoal_block *take_block(shoal_net *net, size_t size)
{
    uint32_t pool = 0;
    size_t whole = sizeof(shoal_block) + size;
    while (pool < SHOAL_NET_POOLS && ((size_t)POOL_SMALLEST << pool) < whole) pool++;
    shoal_block *block = pool < SHOAL_NET_POOLS ? net->pools[pool] : NULL;
    if (block) {
        net->pools[pool] = block->next;
    } else {
        block = shoal_sim__allocate(pool < SHOAL_NET_POOLS ? (size_t)POOL_SMALLEST << pool : whole);
    }
    block->next = NULL;
    block->size = (uint32_t)size;
    block->taken = 0;
    block->class_index = pool;
    block->fin = false;
    block->parcel = NULL;
    return block;
}

static void give_block(shoal_net *net, shoal_block *block)
{
    if (block->parcel) shoal_parcel_release(block->parcel);
    block->parcel = NULL;
    if (block->class_index >= SHOAL_NET_POOLS) {
        shoal_sim__free(block);
        return;
    }
    block->next = net->pools[block->class_index];
    net->pools[block->class_index] = block;
}

void shoal_stream__drop(shoal_net *net, shoal_pipe *pipe)
{
    while (pipe->head) {
        shoal_block *block = pipe->head;
        pipe->head = block->next;
        give_block(net, block);
    }
    pipe->tail = NULL;
    pipe->queued = 0;
}

/* ---- opening ---- */

static shoal_connection *take_connection(shoal_net *net)
{
    if (net->free_count > 0) return shoal_net__connection(net, net->free_list[--net->free_count]);
    uint32_t group = net->connection_count / SHOAL_NET_GROUP;
    if (net->connection_count % SHOAL_NET_GROUP == 0) {
        net->groups =
            shoal_sim__grow(net->groups, &net->group_capacity, group + 1, sizeof(*net->groups));
        net->groups[group] = shoal_sim__allocate_lines(SHOAL_NET_GROUP * sizeof(shoal_connection));
    }
    shoal_connection *connection = shoal_net__connection(net, net->connection_count);
    connection->index = net->connection_count++;
    return connection;
}

static void free_connection(shoal_net *net, shoal_connection *connection)
{
    for (uint32_t side = 0; side < 2; side++) {
        shoal_stream__drop(net, &connection->pipes[side]);
        connection->ends[side] = (shoal_end){0};
    }
    connection->generation++;
    net->free_list = shoal_sim__grow(net->free_list, &net->free_capacity, net->free_count + 1,
                                     sizeof(*net->free_list));
    net->free_list[net->free_count++] = connection->index;
}

/* The stream of draws for bytes from one host to another on the `serial`-th connection. */
static shoal_prng way_stream(const shoal_world *world, uint32_t from, uint32_t to, uint32_t serial)
{
    uint64_t seed[2] = {world->seed[0],
                        world->seed[1] ^ shoal_prng_mix((uint64_t)to << 32 | serial)};
    return shoal_prng_make(seed, from, SHOAL_PURPOSE_WAY);
}

static void start_pipe(shoal_world *world, shoal_connection *connection, uint32_t side,
                       uint32_t serial)
{
    uint32_t from = connection->ends[1 - side].host, to = connection->ends[side].host;
    connection->pipes[side] = (shoal_pipe){.held_since_us = -1};
    connection->flows[side] = (shoal_flow){.stream = way_stream(world, from, to, serial)};
}

/* Latency of block `number` of a direction. */
static int64_t latency(shoal_world *world, const shoal_connection *connection, uint32_t side,
                       uint64_t number)
{
    const shoal_prng *stream = &connection->flows[side].stream;
    uint32_t from = connection->ends[1 - side].host, to = connection->ends[side].host;
    const shoal_quality *quality =
        &world->net.qualities[shoal_net__way(&world->net, from, to)->quality];
    int64_t us = quality->latency_us;
    if (quality->jitter_us > 0) {
        us += shoal_random__jitter((shoal_shape)quality->shape, quality->jitter_us,
                                   shoal_prng_at(stream, number * DRAWS));
    }
#if defined(SHOAL_CANARY) && SHOAL_CANARY
    /* The planted fault: an address decides. Only the canary build has it. */
    us += (int64_t)(((uintptr_t)connection >> 12) % 251);
#endif
    int64_t least = quality->latency_us / 4;
    return us > least ? us : least + 1;
}

shoal_port shoal_net__open(shoal_world *world, uint32_t from, uint32_t to, uint16_t to_port)
{
    shoal_connection *connection = take_connection(&world->net);
    bool nowhere = to == UINT32_MAX;
    shoal_way *way = shoal_net__way(&world->net, from, nowhere ? from : to);
    uint32_t serial = way->opens++;
    connection->opened_us = world->now_us;
    connection->ends[0] = (shoal_end){.state = SHOAL_END_CONNECTING,
                                      .host = from,
                                      .port = (uint16_t)(40000 + serial % 20000),
                                      .reading = true};
    connection->ends[1] = (shoal_end){.host = nowhere ? from : to, .port = to_port};
    if (nowhere) connection->ends[1].port = 0;
    start_pipe(world, connection, 0, serial);
    start_pipe(world, connection, 1, serial);
    shoal_port opener = {connection, 0};
    int64_t there = latency(world, connection, 1, connection->pipes[1].blocks++);
    arrange(world, world->now_us + there, SHOAL_OCCURRENCE_SYN, opener);
    return opener;
}

/* Bus links leave records; connections of clients do not. */
static void trace_connection(shoal_world *world, shoal_port port, shoal_trace_kind kind,
                             shoal_err error)
{
    const shoal_end *end = &port.connection->ends[port.side];
    if (end->kind != SHOAL_END_LINK || !shoal_net__is_bus(port.connection)) return;
    shoal_world__trace(world, end->host, kind,
                       (shoal_numbers){port.connection->ends[1 - port.side].host,
                                       (uint64_t)(uint32_t)-error, 0});
}

/* The opener's attempt is over. */
static void fail_open(shoal_world *world, shoal_port opener, shoal_err error, int64_t wait_us)
{
    uint64_t detail = opener.connection->generation | (uint64_t)(uint32_t)-error << 32;
    shoal_world__arrange(world, world->now_us + wait_us, SHOAL_OCCURRENCE_CONNECT_FAILED,
                         shoal_stream__subject(opener), detail);
}

/* A SYN was lost on the way. */
static void syn_lost(shoal_world *world, shoal_port opener)
{
    shoal_connection *connection = opener.connection;
    shoal_end *end = &connection->ends[opener.side];
    int64_t again = connection->opened_us + ((INT64_C(2) << end->attempts) - 1) * 1000000;
    bool last = end->attempts >= SYN_RETRIES;
    if (!last) end->attempts++;
    if (again <= world->now_us) again = world->now_us + 1;
    if (last)
        fail_open(world, opener, SHOAL_ERR_TIMED_OUT, again - world->now_us);
    else
        arrange(world, again, SHOAL_OCCURRENCE_SYN, opener);
}

/* Is there a listener for what connects here, and whose end will it be? */
static shoal_end_kind listener(const shoal_world *world, const shoal_end *end)
{
    if (end->port == 0 || end->host >= world->node_count) return SHOAL_END_NONE;
    return shoal_vnode__listens(world, end->host, end->port);
}

void shoal_net__occur_syn(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_port opener;
    if (!subject_port(world, occurrence, &opener)) return;
    shoal_connection *connection = opener.connection;
    shoal_end *opening = &connection->ends[0], *accepting = &connection->ends[1];
    bool nowhere = accepting->port == 0;
    if (opening->state != SHOAL_END_CONNECTING) return;
    if (nowhere || shoal_net__blocked(world, opening->host, accepting->host) ||
        shoal_net__blocked(world, accepting->host, opening->host)) {
        syn_lost(world, opener);
        return;
    }
    shoal_refusal refusal = shoal_net__way(&world->net, opening->host, accepting->host)->refused;
    if (refusal == SHOAL_REFUSAL_TIMEOUT) {
        syn_lost(world, opener);
        return;
    }
    int64_t back = latency(world, connection, 0, connection->pipes[0].blocks++);
    if (refusal == SHOAL_REFUSAL_AT_ONCE) {
        fail_open(world, opener, SHOAL_ERR_REFUSED, back);
        return;
    }
    shoal_end_kind kind = listener(world, accepting);
    if (kind == SHOAL_END_NONE) {
        fail_open(world, opener, SHOAL_ERR_REFUSED, back);
        return;
    }
    accepting->kind = kind;
    accepting->state = SHOAL_END_OPEN;
    accepting->reading = true;
    connection->pipes[0].arrival_last_us = world->now_us + back;
    arrange(world, world->now_us, SHOAL_OCCURRENCE_UP, (shoal_port){connection, 1});
    arrange(world, world->now_us + back, SHOAL_OCCURRENCE_UP, opener);
}

void shoal_net__occur_up(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_port port;
    if (!subject_port(world, occurrence, &port)) return;
    shoal_end *end = &port.connection->ends[port.side];
    if (end->state == SHOAL_END_CLOSED) return;
    uint32_t peer = port.connection->ends[1 - port.side].host;
    if (port.side == 0) {
        /* The answer to the SYN is lost like anything else, and repeated after a second; who waits
         * for it gives up like anybody who connects. */
        if (port.connection->pipes[0].stranded || shoal_net__blocked(world, peer, end->host)) {
            if (world->now_us - port.connection->opened_us < CONNECT_US_MAX)
                arrange(world, world->now_us + 1000000, SHOAL_OCCURRENCE_UP, port);
            else
                fail_open(world, port, SHOAL_ERR_TIMED_OUT, 0);
            return;
        }
        end->state = SHOAL_END_OPEN;
        trace_connection(world, port, SHOAL_TRACE_CONNECT, SHOAL_ERR_OK);
    }
    const shoal_end_class *class = shoal_world__end_class(end->kind);
    if (class->up) class->up(world, port);
}

void shoal_net__occur_failed(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_port port;
    if (!subject_port(world, occurrence, &port)) return;
    shoal_end *end = &port.connection->ends[0];
    if (end->state != SHOAL_END_CONNECTING) return;
    uint64_t outcome = occurrence->detail >> 32;
    const shoal_end_class *class = shoal_world__end_class(end->kind);
    end->state = SHOAL_END_CLOSED;
    trace_connection(world, port, SHOAL_TRACE_CONNECT, -(shoal_err)outcome);
    if (class->down) class->down(world, port, -(shoal_err)outcome);
    /* Who had accepted, and whose answer never came, is told when it sends. */
    if (port.connection->ends[1].state == SHOAL_END_CLOSED)
        free_connection(&world->net, port.connection);
    else
        end->silent = true;
}

/* ---- sending ---- */

/* When a block that is sent now arrives, and the line's time that it takes. */
static int64_t arrival(shoal_world *world, shoal_port receiver, size_t size, uint64_t number)
{
    shoal_connection *connection = receiver.connection;
    shoal_pipe *pipe = &connection->pipes[receiver.side];
    uint32_t from = connection->ends[1 - receiver.side].host;
    uint32_t to = connection->ends[receiver.side].host;
    const shoal_way *way = shoal_net__way(&world->net, from, to);
    int64_t rate = world->net.qualities[way->quality].rate_bytes_per_s;
    int64_t leaves = world->now_us;
    if (rate > 0) {
        int64_t *busy_until_us = &connection->flows[receiver.side].busy_until_us;
        if (*busy_until_us > leaves) leaves = *busy_until_us;
        leaves += (int64_t)size * 1000000 / rate;
        *busy_until_us = leaves;
    }
    int64_t at = leaves + latency(world, connection, receiver.side, number);
    if (at < pipe->arrival_last_us) at = pipe->arrival_last_us;
    pipe->arrival_last_us = at;
    return at;
}

/* Adds a block to a pipe and sees that it will be delivered. */
static void enqueue(shoal_world *world, shoal_port receiver, shoal_block *block)
{
    shoal_connection *connection = receiver.connection;
    shoal_pipe *pipe = &connection->pipes[receiver.side];
    uint32_t from = connection->ends[1 - receiver.side].host;
    uint32_t to = connection->ends[receiver.side].host;
    block->number = pipe->blocks++;
    block->sent_us = world->now_us;
    bool stopped = pipe->stranded || shoal_net__blocked(world, from, to);
    if (pipe->held_since_us < 0 && stopped) {
        pipe->held_since_us = world->now_us;
    }
    block->arrives_us =
        pipe->held_since_us >= 0 ? INT64_MAX : arrival(world, receiver, block->size, block->number);
    if (pipe->tail)
        pipe->tail->next = block;
    else
        pipe->head = block;
    pipe->tail = block;
    pipe->queued += block->size;
    arm(world, receiver);
}

/* A frame of this type is on its way. */
static void trace_frame(shoal_world *world, shoal_port from, uint64_t type, int64_t arrives_us)
{
    const shoal_connection *connection = from.connection;
    uint64_t arrives = arrives_us == INT64_MAX ? 0 : (uint64_t)arrives_us;
    shoal_world__trace(world, connection->ends[from.side].host, SHOAL_TRACE_MESSAGE,
                       (shoal_numbers){connection->ends[1 - from.side].host, type, arrives});
}

/* Writes a MESSAGE record for each bus frame that begins in these bytes. */
static void trace_frames(shoal_world *world, shoal_port from, shoal_slice bytes, int64_t arrives_us)
{
    shoal_connection *connection = from.connection;
    shoal_pipe *pipe = &connection->pipes[1 - from.side];
    size_t at = 0;
    while (at < bytes.size) {
        if (pipe->frame_left > 0) {
            uint64_t step = bytes.size - at < pipe->frame_left ? bytes.size - at : pipe->frame_left;
            pipe->frame_left -= step;
            at += step;
            continue;
        }
        if (bytes.size - at < 16 || memcmp(bytes.data + at, "RCmb", 4) != 0) return;
        pipe->frame_left = shoal_bytes_get_be32(bytes.data + at + 4);
        if (pipe->frame_left < 16) return;
        trace_frame(world, from, shoal_bytes_get_be16(bytes.data + at + 12), arrives_us);
    }
}

/* Tells the sender when more is queued than it should be. */
static void check_full(shoal_world *world, shoal_port from)
{
    shoal_pipe *pipe = &from.connection->pipes[1 - from.side];
    if (pipe->full || pipe->queued <= SHOAL_NET_FULL_BYTES) return;
    pipe->full = true;
    arrange(world, world->now_us, SHOAL_OCCURRENCE_LEVEL, from);
}

void shoal_net__send(shoal_world *world, shoal_port from, shoal_slice bytes)
{
    shoal_connection *connection = from.connection;
    const shoal_end *sender = &connection->ends[from.side];
    shoal_port receiver = {connection, 1 - from.side};
    if (sender->state != SHOAL_END_OPEN || bytes.size == 0) return;
    SHOAL_ASSERT(bytes.size < UINT32_MAX / 2);
    char *copy = NULL;
    bool sifted = world->net.drop_count > 0 && shoal_net__is_bus(connection);
    if (sifted) bytes = shoal_net__sift(world, from, bytes, &copy);
    if (bytes.size == 0) {
        shoal_sim__free(copy);
        return;
    }
    shoal_block *block = take_block(&world->net, bytes.size);
    memcpy(block->bytes, bytes.data, bytes.size);
    enqueue(world, receiver, block);
    if (shoal_net__is_bus(connection)) trace_frames(world, from, bytes, block->arrives_us);
    shoal_sim__free(copy);
    check_full(world, from);
}

/* Sends the bytes of a frame after all. */
static void send_bytes_of(shoal_world *world, shoal_port from, shoal_parcel *take)
{
    shoal_buffer bytes = shoal_buffer_make(&world->allocator);
    bool made = shoal_parcel_bytes(take, &bytes);
    SHOAL_ASSERT(made);
    shoal_net__send(world, from, shoal_buffer_slice(&bytes));
    shoal_buffer_free(&bytes);
    shoal_parcel_release(take);
}

void shoal_net__hand(shoal_world *world, shoal_port from, shoal_parcel *take)
{
    shoal_connection *connection = from.connection;
    const shoal_end *sender = &connection->ends[from.side];
    shoal_port receiver = {connection, 1 - from.side};
    SHOAL_ASSERT(shoal_net__is_bus(connection));
    if (world->net.drop_count > 0) {
        send_bytes_of(world, from, take);
        return;
    }
    if (sender->state != SHOAL_END_OPEN) {
        shoal_parcel_release(take);
        return;
    }
    shoal_block *block = take_block(&world->net, 0);
    block->size = shoal_parcel_size(take);
    block->parcel = take;
    enqueue(world, receiver, block);
    SHOAL_ASSERT(connection->pipes[receiver.side].frame_left == 0);
    trace_frame(world, from, shoal_parcel_type(take), block->arrives_us);
    check_full(world, from);
}

size_t shoal_net__backlog(shoal_port port)
{
    return port.connection->pipes[1 - port.side].queued;
}

bool shoal_net__is_bus(const shoal_connection *connection)
{
    return connection->ends[1].port == SHOAL_WORLD_PORT + SHOAL_BUS_OFFSET;
}

/* ---- closing ---- */

static void send_fin(shoal_world *world, shoal_port receiver)
{
    shoal_block *block = take_block(&world->net, 0);
    block->fin = true;
    enqueue(world, receiver, block);
}

void shoal_net__close(shoal_world *world, shoal_port port)
{
    shoal_connection *connection = port.connection;
    shoal_end *end = &connection->ends[port.side], *peer = &connection->ends[1 - port.side];
    if (end->state == SHOAL_END_CLOSED) return;
    end->state = SHOAL_END_CLOSED;
    shoal_stream__drop(&world->net, &connection->pipes[port.side]);
    if (peer->state == SHOAL_END_CLOSED)
        free_connection(&world->net, connection);
    else
        send_fin(world, (shoal_port){connection, 1 - port.side});
}

void shoal_stream__forget(shoal_world *world, shoal_port port)
{
    shoal_connection *connection = port.connection;
    shoal_end *end = &connection->ends[port.side], *peer = &connection->ends[1 - port.side];
    shoal_pipe *outgoing = &connection->pipes[1 - port.side];
    end->state = SHOAL_END_CLOSED;
    end->silent = true;
    shoal_stream__drop(&world->net, &connection->pipes[port.side]);
    /* What the lost host still held for sending is lost with it; what flies, arrives. */
    if (outgoing->held_since_us >= 0) shoal_stream__drop(&world->net, outgoing);
    if (peer->state == SHOAL_END_CLOSED) free_connection(&world->net, connection);
}

/* An end learns that its connection is over. */
static void end_down(shoal_world *world, shoal_port port, shoal_err error)
{
    shoal_connection *connection = port.connection;
    shoal_end *end = &connection->ends[port.side];
    const shoal_end_class *class = shoal_world__end_class(end->kind);
    end->state = SHOAL_END_CLOSED;
    trace_connection(world, port, SHOAL_TRACE_DISCONNECT, error);
    if (class->down) class->down(world, port, error);
    if (connection->ends[1 - port.side].state == SHOAL_END_CLOSED) {
        free_connection(&world->net, connection);
    }
}

void shoal_net__occur_reset(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_port port;
    if (!subject_port(world, occurrence, &port)) return;
    if (port.connection->ends[port.side].state != SHOAL_END_OPEN) return;
    shoal_stream__drop(&world->net, &port.connection->pipes[port.side]);
    /* A peer that has not noticed yet that it is connected learns of it from its first bytes. */
    const shoal_end *peer = &port.connection->ends[1 - port.side];
    if (peer->state == SHOAL_END_CONNECTING) port.connection->ends[port.side].silent = true;
    end_down(world, port, SHOAL_ERR_RESET);
}

/* ---- delivering ---- */

static void hold(shoal_world *world, shoal_pipe *pipe)
{
    pipe->held_since_us = world->now_us;
    for (shoal_block *block = pipe->head; block; block = block->next) block->arrives_us = INT64_MAX;
}

void shoal_stream__release(shoal_world *world, shoal_port receiver, bool at_once)
{
    shoal_connection *connection = receiver.connection;
    shoal_pipe *pipe = &connection->pipes[receiver.side];
    if (pipe->held_since_us < 0 || pipe->stranded) return;
    uint32_t from = connection->ends[1 - receiver.side].host;
    uint32_t to = connection->ends[receiver.side].host;
    if (shoal_net__blocked(world, from, to)) return;
    int64_t next = pipe->held_since_us, wait = RETRANSMIT_FIRST_US;
    while (!at_once && next < world->now_us) {
        next += wait;
        wait = wait * 2 < RETRANSMIT_MAX_US ? wait * 2 : RETRANSMIT_MAX_US;
    }
    if (next < world->now_us) next = world->now_us;
    int64_t at = next + latency(world, connection, receiver.side, pipe->blocks++);
    pipe->held_since_us = -1;
    if (pipe->head) shoal_marks__reach(world, SHOAL_MARK_LATE_BYTES);
    if (at > pipe->arrival_last_us) pipe->arrival_last_us = at;
    for (shoal_block *block = pipe->head; block; block = block->next) {
        if (block->arrives_us == INT64_MAX) block->arrives_us = pipe->arrival_last_us;
    }
    arm(world, receiver);
}

/* Who has sent to an end that is gone is told so as soon as anything gets back to it. */
static void reset_sender(shoal_world *world, shoal_port receiver)
{
    shoal_connection *connection = receiver.connection;
    shoal_port sender = {connection, 1 - receiver.side};
    uint64_t number = connection->pipes[sender.side].blocks;
    uint32_t from = connection->ends[receiver.side].host, to = connection->ends[sender.side].host;
    if (shoal_net__blocked(world, from, to)) return;
    int64_t back_us = latency(world, connection, sender.side, number);
    arrange(world, world->now_us + back_us, SHOAL_OCCURRENCE_RESET, sender);
}

/* Bytes for an end that is no more: the host answers with a reset. */
static void bounce(shoal_world *world, shoal_port receiver)
{
    shoal_connection *connection = receiver.connection;
    shoal_end *peer = &connection->ends[1 - receiver.side];
    shoal_stream__drop(&world->net, &connection->pipes[receiver.side]);
    if (peer->state != SHOAL_END_OPEN) return;
    if (!connection->ends[receiver.side].silent) {
        /* The end of the stream waits behind bytes that the peer does not take; the answer to what
         * it has sent does not. */
        if (!peer->reading && peer->kind == SHOAL_END_LINK) reset_sender(world, receiver);
        return;
    }
    connection->ends[receiver.side].silent = false;
    send_fin(world, (shoal_port){connection, 1 - receiver.side});
}

/* How many bytes of the head block come now: all, or a random prefix. */
static uint32_t portion(shoal_world *world, shoal_port receiver, const shoal_block *block)
{
    shoal_connection *connection = receiver.connection;
    uint32_t left = block->size - block->taken;
    uint32_t from = connection->ends[1 - receiver.side].host;
    uint32_t to = connection->ends[receiver.side].host;
    const shoal_way *way = shoal_net__way(&world->net, from, to);
    uint32_t ppm = (uint32_t)world->net.qualities[way->quality].split_ppm;
    if (left < 2 || ppm == 0 || block->taken > 0) return left;
    shoal_prng draw = connection->flows[receiver.side].stream;
    draw.counter = block->number * DRAWS + 1;
    if (!shoal_prng_chance_ppm(&draw, ppm)) return left;
    return 1 + (uint32_t)shoal_prng_below(&draw, left - 1);
}

/* Puts a block of bytes in place of the head, of which only a part arrives now. */
static shoal_block *unpack_head(shoal_world *world, shoal_pipe *pipe)
{
    shoal_block *head = pipe->head;
    shoal_buffer bytes = shoal_buffer_make(&world->allocator);
    bool made = shoal_parcel_bytes(head->parcel, &bytes);
    SHOAL_ASSERT(made && shoal_buffer_size(&bytes) == head->size && head->taken == 0);
    shoal_block *block = take_block(&world->net, head->size);
    memcpy(block->bytes, shoal_buffer_slice(&bytes).data, head->size);
    shoal_buffer_free(&bytes);
    block->next = head->next;
    block->arrives_us = head->arrives_us;
    block->sent_us = head->sent_us;
    block->number = head->number;
    pipe->head = block;
    if (pipe->tail == head) pipe->tail = block;
    give_block(&world->net, head);
    return block;
}

/* Hands the head block, or a prefix of it, to the owner. False when the connection has changed
 * under it. */
static bool hand_over(shoal_world *world, shoal_port receiver)
{
    shoal_connection *connection = receiver.connection;
    shoal_pipe *pipe = &connection->pipes[receiver.side];
    shoal_end *end = &connection->ends[receiver.side];
    shoal_block *block = pipe->head;
    uint32_t generation = connection->generation;
    uint32_t size = portion(world, receiver, block);
    const shoal_end_class *class = shoal_world__end_class(end->kind);
    if (block->parcel && size < block->size) block = unpack_head(world, pipe);
    pipe->head = block->next;
    if (pipe->head == NULL) pipe->tail = NULL;
    pipe->queued -= size;
    shoal_slice bytes = {block->bytes + block->taken, size};
    if (block->parcel)
        class->parcel(world, receiver, block->parcel);
    else
        class->data(world, receiver, bytes, block->sent_us);
    block->taken += size;
    bool alive = connection->generation == generation && end->state == SHOAL_END_OPEN;
    if (!alive || block->taken == block->size) {
        give_block(&world->net, block);
        return alive;
    }
    block->next = pipe->head;
    pipe->head = block;
    if (pipe->tail == NULL) pipe->tail = block;
    block->arrives_us = world->now_us + 1 + block->taken % SPLIT_GAP_US;
    return true;
}

/* Tells the sender that there is room again. */
static void check_room(shoal_world *world, shoal_port receiver)
{
    shoal_pipe *pipe = &receiver.connection->pipes[receiver.side];
    if (!pipe->full || pipe->queued > SHOAL_NET_FULL_BYTES / 4) return;
    pipe->full = false;
    arrange(world, world->now_us, SHOAL_OCCURRENCE_LEVEL,
            (shoal_port){receiver.connection, 1 - receiver.side});
}

void shoal_net__occur_level(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_port port;
    if (!subject_port(world, occurrence, &port)) return;
    const shoal_end *end = &port.connection->ends[port.side];
    const shoal_end_class *class = shoal_world__end_class(end->kind);
    if (end->state != SHOAL_END_OPEN || class->level == NULL) return;
    class->level(world, port, port.connection->pipes[1 - port.side].full);
}

void shoal_net__occur_deliver(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_port port;
    if (!subject_port(world, occurrence, &port)) return;
    shoal_connection *connection = port.connection;
    shoal_pipe *pipe = &connection->pipes[port.side];
    shoal_end *end = &connection->ends[port.side];
    pipe->armed = false;
    if (pipe->head == NULL) return;
    if (pipe->stranded ||
        shoal_net__blocked(world, connection->ends[1 - port.side].host, end->host)) {
        hold(world, pipe);
        return;
    }
    while (pipe->head && pipe->head->arrives_us <= world->now_us) {
        if (end->state == SHOAL_END_CONNECTING) {
            pipe->armed = true;
            arrange(world, world->now_us + 1000000, SHOAL_OCCURRENCE_DELIVER, port);
            return;
        }
        if (end->state == SHOAL_END_CLOSED) {
            bounce(world, port);
            return;
        }
        if (!end->reading) return;
        if (pipe->head->fin) {
            shoal_stream__drop(&world->net, pipe);
            end_down(world, port, SHOAL_ERR_RESET);
            return;
        }
        if (!hand_over(world, port)) return;
    }
    arm(world, port);
    check_room(world, port);
}

void shoal_net__reading(shoal_world *world, shoal_port port, bool reading)
{
    shoal_end *end = &port.connection->ends[port.side];
    if (end->reading == reading) return;
    end->reading = reading;
    if (reading) arm(world, port);
}
