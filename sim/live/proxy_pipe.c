/* SPDX-License-Identifier: MIT
 *
 * Connections that pass through the proxy: reading, waiting, writing, ending.
 */
#define _GNU_SOURCE /* accept4 */
#include "sim/live/proxy_room.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/memory.h"
#include "sim/random.h"

#define READ_SIZE ((size_t)64 << 10)
/* So much may wait for a leg before the other one is not read any more. Chosen: a send buffer. */
#define QUEUED_MAX ((size_t)4 << 20)

/* Linux: first retransmission after 200 ms, of a SYN after 1 s; intervals double. */
#define RETRANSMIT_US INT64_C(200000)
#define RETRANSMIT_SYN_US INT64_C(1000000)

static void leg_ready(shoal_passed *passed, uint32_t side, bool readable, bool writable);

static void opener_ready(void *context, bool readable, bool writable)
{
    leg_ready(context, 0, readable, writable);
}

static void taker_ready(void *context, bool readable, bool writable)
{
    leg_ready(context, 1, readable, writable);
}

static void pump_opener(void *context)
{
    shoal_passed__pump(context, 0);
}

static void pump_taker(void *context)
{
    shoal_passed__pump(context, 1);
}

/* ---- begin and end ---- */

static void forget_queue(shoal_passage_way *pipe)
{
    while (pipe->head) {
        shoal_bundle *bundle = pipe->head;
        pipe->head = bundle->next;
        shoal_sim__free(bundle);
    }
    pipe->tail = NULL;
    pipe->queued = 0;
}

void shoal_passed__end(shoal_passed *passed, bool reset)
{
    shoal_proxy *proxy = passed->proxy;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    for (uint32_t side = 0; side < 2; side++) {
        shoal_watch *watch = &passed->legs[side].watch;
        if (reset && watch->open)
            setsockopt(watch->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        shoal_loop__close(proxy->loop, watch);
        shoal_loop__disarm(proxy->loop, &passed->pipes[side].timer);
        forget_queue(&passed->pipes[side]);
    }
    if (passed->next) passed->next->previous = passed->previous;
    if (passed->previous)
        passed->previous->next = passed->next;
    else
        proxy->first = passed->next;
    shoal_sim__free(passed);
}

static void begin_pipe(shoal_passed *passed, uint32_t side)
{
    shoal_passage_way *pipe = &passed->pipes[side];
    shoal_proxy *proxy = passed->proxy;
    uint32_t stream = passed->hosts[side] << 16 | (proxy->opened & 0xFFFF);
    pipe->held_us = -1;
    pipe->draws = shoal_prng_make(proxy->seed, stream, SHOAL_PURPOSE_WAY);
    pipe->timer = (shoal_timer){.fire = side == 0 ? pump_opener : pump_taker, .context = passed};
    passed->legs[side].watch =
        (shoal_watch){.ready = side == 0 ? opener_ready : taker_ready, .context = passed};
}

void shoal_passed__begin(shoal_proxy *proxy, int descriptor, uint32_t from,
                         const shoal_door_keeper *door)
{
    const shoal_places *places = &proxy->places;
    bool node = from < proxy->nodes;
    uint32_t here = node ? shoal_places__announced(places, from)
                         : shoal_places__client(places, from - proxy->nodes);
    shoal_spot there = {shoal_places__node(places, door->node),
                        door->bus ? places->bus_port : places->port};
    int onward = shoal_spot__connect(here, there);
    if (onward < 0) {
        close(descriptor);
        return;
    }
    shoal_passed *passed = shoal_sim__allocate(sizeof(*passed));
    passed->proxy = proxy;
    passed->hosts[0] = from;
    passed->hosts[1] = door->node;
    proxy->opened++;
    begin_pipe(passed, 0);
    begin_pipe(passed, 1);
    passed->unheard = !shoal_proxy__passes(proxy, from, door->node) ||
                      !shoal_proxy__passes(proxy, door->node, from);
    passed->next = proxy->first;
    if (proxy->first) proxy->first->previous = passed;
    proxy->first = passed;
    shoal_loop__watch(proxy->loop, &passed->legs[0].watch, descriptor);
    shoal_loop__watch(proxy->loop, &passed->legs[1].watch, onward);
    passed->legs[1].connecting = true;
    shoal_loop__want(proxy->loop, &passed->legs[1].watch, true, true);
}

/* ---- waiting ---- */

static const shoal_live_way *way_towards(const shoal_passed *passed, uint32_t side)
{
    const shoal_proxy *proxy = passed->proxy;
    return &proxy->ways[(size_t)passed->hosts[1 - side] * proxy->hosts + passed->hosts[side]];
}

/* How long bytes that come now are on their way; each number of the stream is drawn once. */
static int64_t latency(shoal_passed *passed, uint32_t side, size_t size)
{
    const shoal_quality *quality = &way_towards(passed, side)->quality;
    uint64_t bits = shoal_prng_next(&passed->pipes[side].draws);
    int64_t us = quality->latency_us +
                 shoal_random__jitter((shoal_shape)quality->shape, quality->jitter_us, bits);
    int64_t least = quality->latency_us / 4;
    if (us < least) us = least;
    if (quality->rate_bytes_per_s > 0) us += (int64_t)size * 1000000 / quality->rate_bytes_per_s;
    return us;
}

static void add_bundle(shoal_passed *passed, uint32_t side, shoal_slice bytes, bool fin)
{
    shoal_passage_way *pipe = &passed->pipes[side];
    shoal_bundle *bundle = shoal_sim__allocate(sizeof(*bundle) + bytes.size);
    int64_t due = shoal_loop__now(passed->proxy->loop) + latency(passed, side, bytes.size);
    bundle->due_us = due > pipe->due_last_us ? due : pipe->due_last_us;
    pipe->due_last_us = bundle->due_us;
    bundle->size = bytes.size;
    bundle->fin = fin;
    if (bytes.size > 0) memcpy(bundle->bytes, bytes.data, bytes.size);
    if (pipe->tail)
        pipe->tail->next = bundle;
    else
        pipe->head = bundle;
    pipe->tail = bundle;
    pipe->queued += bytes.size;
}

void shoal_passed__release(shoal_passed *passed, uint32_t side, bool at_once)
{
    shoal_passage_way *pipe = &passed->pipes[side];
    int64_t now = shoal_loop__now(passed->proxy->loop);
    if (passed->orphan || passed->legs[side].dark) return;
    if (pipe->held_us >= 0 && !at_once) {
        int64_t gap = passed->unheard ? RETRANSMIT_SYN_US : RETRANSMIT_US;
        int64_t again = pipe->held_us + gap;
        while (again < now) {
            gap *= 2;
            again += gap;
        }
        for (shoal_bundle *bundle = pipe->head; bundle; bundle = bundle->next) {
            if (bundle->due_us < again) bundle->due_us = again;
        }
        if (pipe->due_last_us < again) pipe->due_last_us = again;
    }
    pipe->held_us = -1;
    shoal_loop__arm(passed->proxy->loop, &pipe->timer, now);
}

/* ---- writing ---- */

/* Reads the other leg again, if it was not read because too much waited. */
static void read_again(shoal_passed *passed, uint32_t side)
{
    shoal_leg *other = &passed->legs[1 - side];
    if (!other->pausing || passed->pipes[side].queued > QUEUED_MAX / 2) return;
    other->pausing = false;
    if (other->watch.open && !other->connecting)
        shoal_loop__want(passed->proxy->loop, &other->watch, true, false);
}

/* Writes the first bundle. False when the leg takes no more, or the connection has ended. */
static bool write_head(shoal_passed *passed, uint32_t side)
{
    shoal_passage_way *pipe = &passed->pipes[side];
    shoal_leg *leg = &passed->legs[side];
    shoal_bundle *bundle = pipe->head;
    if (bundle->fin) {
        shoal_passed__end(passed, false);
        return false;
    }
    size_t left = bundle->size - bundle->taken;
    ssize_t sent = send(leg->watch.descriptor, bundle->bytes + bundle->taken, left, MSG_NOSIGNAL);
    if (sent < 0 || (size_t)sent < left) {
        if (sent > 0) bundle->taken += (size_t)sent;
        if (sent > 0) pipe->queued -= (size_t)sent;
        shoal_loop__want(passed->proxy->loop, &leg->watch, !leg->pausing, true);
        return false;
    }
    pipe->queued -= left;
    passed->unheard = false;
    pipe->head = bundle->next;
    if (pipe->head == NULL) pipe->tail = NULL;
    shoal_sim__free(bundle);
    read_again(passed, side);
    return true;
}

void shoal_passed__pump(shoal_passed *passed, uint32_t side)
{
    shoal_passage_way *pipe = &passed->pipes[side];
    shoal_proxy *proxy = passed->proxy;
    for (;;) {
        if (passed->orphan) {
            shoal_passed__end(passed, true);
            return;
        }
        if (pipe->head == NULL || passed->stranded || passed->legs[side].connecting) return;
        int64_t now = shoal_loop__now(proxy->loop);
        if (passed->legs[side].dark ||
            !shoal_proxy__passes(proxy, passed->hosts[1 - side], passed->hosts[side])) {
            if (pipe->held_us < 0) pipe->held_us = now;
            return;
        }
        if (pipe->head->due_us > now) {
            shoal_loop__arm(proxy->loop, &pipe->timer, pipe->head->due_us);
            return;
        }
        if (!passed->legs[side].watch.open) return;
        if (!write_head(passed, side)) return;
    }
}

/* ---- reading ---- */

/* A leg has ended: the other one is told behind what is on its way. */
static void leg_over(shoal_passed *passed, uint32_t side)
{
    shoal_leg *other = &passed->legs[1 - side];
    shoal_loop__close(passed->proxy->loop, &passed->legs[side].watch);
    forget_queue(&passed->pipes[side]);
    shoal_loop__disarm(passed->proxy->loop, &passed->pipes[side].timer);
    if (!other->watch.open) {
        shoal_passed__end(passed, false);
        return;
    }
    add_bundle(passed, 1 - side, (shoal_slice){NULL, 0}, true);
    shoal_passed__pump(passed, 1 - side);
}

static void read_leg(shoal_passed *passed, uint32_t side)
{
    char bytes[READ_SIZE];
    shoal_leg *leg = &passed->legs[side];
    ssize_t got = recv(leg->watch.descriptor, bytes, sizeof(bytes), 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (got <= 0) {
        leg_over(passed, side);
        return;
    }
    add_bundle(passed, 1 - side, (shoal_slice){bytes, (size_t)got}, false);
    if (passed->pipes[1 - side].queued > QUEUED_MAX) {
        leg->pausing = true;
        shoal_loop__want(passed->proxy->loop, &leg->watch, false, false);
    }
    shoal_passed__pump(passed, 1 - side);
}

static void leg_ready(shoal_passed *passed, uint32_t side, bool readable, bool writable)
{
    shoal_leg *leg = &passed->legs[side];
    if (leg->connecting) {
        int error = 0;
        socklen_t size = sizeof(error);
        getsockopt(leg->watch.descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
        leg->connecting = false;
        if (error != 0) {
            shoal_passed__end(passed, true);
            return;
        }
        writable = true;
    }
    if (readable) {
        read_leg(passed, side);
        return; /* it may have ended; what can be written is asked for again */
    }
    if (!writable) return;
    shoal_loop__want(passed->proxy->loop, &leg->watch, !leg->pausing, false);
    shoal_passed__pump(passed, side);
}

/* ---- hosts that go dark ---- */

void shoal_passed__darken(shoal_passed *passed, uint32_t side)
{
    shoal_leg *leg = &passed->legs[side];
    if (leg->dark || !passed->legs[1 - side].watch.open) {
        shoal_passed__end(passed, false);
        return;
    }
    leg->dark = true;
    leg->connecting = false;
    shoal_loop__close(passed->proxy->loop, &leg->watch);
    if (passed->pipes[1 - side].held_us >= 0) {
        /* What is on its way arrives; what was held will never be sent again. */
        forget_queue(&passed->pipes[1 - side]);
        shoal_loop__disarm(passed->proxy->loop, &passed->pipes[1 - side].timer);
    }
    if (passed->pipes[side].head)
        passed->pipes[side].held_us = shoal_loop__now(passed->proxy->loop);
}

void shoal_passed__orphan(shoal_passed *passed)
{
    uint32_t side = passed->legs[0].dark ? 0 : 1;
    shoal_passage_way *pipe = &passed->pipes[side];
    SHOAL_ASSERT(passed->legs[side].dark);
    int64_t gap = RETRANSMIT_US, now = shoal_loop__now(passed->proxy->loop);
    int64_t again = pipe->held_us + gap;
    passed->orphan = true;
    if (pipe->held_us < 0) return;
    while (again < now) {
        gap *= 2;
        again += gap;
    }
    shoal_loop__arm(passed->proxy->loop, &pipe->timer, again);
}
