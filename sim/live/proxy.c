/* SPDX-License-Identifier: MIT
 *
 * sim/live/proxy.h: addresses, listeners, and the ways between hosts.
 */
#define _GNU_SOURCE /* accept4 */
#include "sim/live/proxy.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/live/proxy_room.h"
#include "sim/memory.h"

/* The quality of sim/ways.c before any `net` line. */
static const shoal_quality quality_default = {.latency_us = 250,
                                              .jitter_us = 100,
                                              .shape = SHOAL_SHAPE_EXPONENTIAL};

/* ---- addresses ---- */

/* Ports, chosen: below those that systems take for outgoing connections (32768 and above). Every
 * run has addresses of its own, so all runs can have the same ports. */
#define CLIENT_PORT 31600u
#define BUS_PORT 31700u
#define TRIES_MAX 256u

uint32_t shoal_places__announced_by(const shoal_places *places, uint32_t ip, uint32_t nodes)
{
    uint32_t first = shoal_places__announced(places, 0);
    return ip >= first && ip - first < nodes ? ip - first : UINT32_MAX;
}

static bool is_free(uint32_t ip, uint16_t port)
{
    int descriptor = shoal_spot__listen((shoal_spot){ip, port});
    if (descriptor >= 0) close(descriptor);
    return descriptor >= 0;
}

bool shoal_places__find(shoal_places *places, uint32_t nodes)
{
    uint32_t first = (uint32_t)getpid();
    SHOAL_ASSERT(nodes <= SHOAL_LIVE_NODES_MAX);
    for (uint32_t i = 0; i < TRIES_MAX; i++) {
        uint32_t at = (first + i * 257) & 0x7FFF;
        *places = (shoal_places){127u << 24 | 0x400000u | at << 8, CLIENT_PORT, BUS_PORT};
        bool all = true;
        for (uint32_t node = 0; node < nodes && all; node++) {
            uint32_t ips[2] = {shoal_places__node(places, node),
                               shoal_places__announced(places, node)};
            for (uint32_t j = 0; j < 2 && all; j++)
                all = is_free(ips[j], CLIENT_PORT) && is_free(ips[j], BUS_PORT);
        }
        if (all) return true;
    }
    return false;
}

/* ---- listeners ---- */

/* Whose address a connection comes from: strangers (MIGRATE connects from no address of its node's)
 * count as the last host, whom no fault concerns. */
static uint32_t host_of(const shoal_proxy *proxy, uint32_t ip)
{
    uint32_t at = ip - proxy->places.base;
    uint32_t clients = proxy->hosts - proxy->nodes;
    if (at >= 1 && at - 1 < proxy->nodes) return at - 1;
    if (at >= 201 && at - 201 < clients) return proxy->nodes + at - 201;
    return proxy->hosts - 1;
}

static void door_ready(void *context, bool readable, bool writable)
{
    shoal_door_keeper *door = context;
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    int one = 1;
    (void)readable;
    (void)writable;
    int descriptor = accept4(door->watch.descriptor, (struct sockaddr *)&peer, &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return;
    uint32_t from = host_of(door->proxy, ntohl(peer.sin_addr.s_addr));
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    shoal_passed__begin(door->proxy, descriptor, from, door);
}

static void empty_fillers(shoal_door_keeper *door)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (door->fillers[i] >= 0) close(door->fillers[i]);
        door->fillers[i] = -1;
    }
}

static bool open_door(shoal_door_keeper *door)
{
    shoal_proxy *proxy = door->proxy;
    if (door->watch.open) return true;
    shoal_spot at = {shoal_places__announced(&proxy->places, door->node),
                     door->bus ? proxy->places.bus_port : proxy->places.port};
    int descriptor = shoal_spot__listen(at);
    if (descriptor < 0) return false;
    shoal_loop__watch(proxy->loop, &door->watch, descriptor);
    return true;
}

/* A listener whose queue is full answers no SYN: connects hang, as to a host that is dark. */
static void darken_door(shoal_door_keeper *door)
{
    shoal_proxy *proxy = door->proxy;
    if (!door->watch.open) return;
    shoal_spot at = {shoal_places__announced(&proxy->places, door->node),
                     door->bus ? proxy->places.bus_port : proxy->places.port};
    shoal_loop__want(proxy->loop, &door->watch, false, false);
    (void)listen(door->watch.descriptor, 0);
    for (uint32_t i = 0; i < 2; i++) door->fillers[i] = shoal_spot__connect(0, at);
}

bool shoal_proxy__open(shoal_proxy *proxy, uint32_t node)
{
    return open_door(&proxy->doors[node * 2]) && open_door(&proxy->doors[node * 2 + 1]);
}

void shoal_proxy__refuse(shoal_proxy *proxy, uint32_t node)
{
    for (uint32_t i = 0; i < 2; i++) {
        empty_fillers(&proxy->doors[node * 2 + i]);
        shoal_loop__close(proxy->loop, &proxy->doors[node * 2 + i].watch);
    }
}

void shoal_proxy__dark(shoal_proxy *proxy, uint32_t node)
{
    darken_door(&proxy->doors[node * 2]);
    darken_door(&proxy->doors[node * 2 + 1]);
    for (shoal_passed *at = proxy->first, *next; at; at = next) {
        next = at->next;
        if (at->hosts[0] == node)
            shoal_passed__darken(at, 0);
        else if (at->hosts[1] == node)
            shoal_passed__darken(at, 1);
    }
}

void shoal_proxy__back(shoal_proxy *proxy, uint32_t node)
{
    shoal_proxy__refuse(proxy, node);
    for (shoal_passed *at = proxy->first; at; at = at->next) {
        bool dark = (at->hosts[0] == node && at->legs[0].dark) ||
                    (at->hosts[1] == node && at->legs[1].dark);
        if (dark && !at->orphan) shoal_passed__orphan(at);
    }
}

/* ---- ways ---- */

static shoal_live_way *way_of(const shoal_proxy *proxy, uint32_t from, uint32_t to)
{
    SHOAL_ASSERT(from < proxy->hosts && to < proxy->hosts);
    return &proxy->ways[(size_t)from * proxy->hosts + to];
}

bool shoal_proxy__passes(const shoal_proxy *proxy, uint32_t from, uint32_t to)
{
    const shoal_live_way *way = way_of(proxy, from, to);
    return !way->cut && way->stalled_until_us <= shoal_loop__now(proxy->loop);
}

void shoal_proxy__quality(shoal_proxy *proxy, uint32_t from, uint32_t to,
                          const shoal_quality *change)
{
    shoal_quality *quality = &way_of(proxy, from, to)->quality;
    if (change->latency_us >= 0) quality->latency_us = change->latency_us;
    if (change->jitter_us >= 0) quality->jitter_us = change->jitter_us;
    if (change->shape >= 0) quality->shape = change->shape;
    if (change->rate_bytes_per_s >= 0) quality->rate_bytes_per_s = change->rate_bytes_per_s;
}

void shoal_proxy__cut(shoal_proxy *proxy, uint32_t from, uint32_t to)
{
    way_of(proxy, from, to)->cut = true;
}

/* Lets everything that is held on a way go on. */
static void release_way(shoal_proxy *proxy, uint32_t from, uint32_t to, bool at_once)
{
    for (shoal_passed *at = proxy->first; at; at = at->next) {
        if (at->hosts[0] == from && at->hosts[1] == to) shoal_passed__release(at, 1, at_once);
        if (at->hosts[1] == from && at->hosts[0] == to) shoal_passed__release(at, 0, at_once);
    }
}

void shoal_proxy__heal(shoal_proxy *proxy, uint32_t from, uint32_t to)
{
    shoal_live_way *way = way_of(proxy, from, to);
    if (shoal_proxy__passes(proxy, from, to)) return;
    way->cut = false;
    way->stalled_until_us = 0;
    release_way(proxy, from, to, false);
}

/* Stalls that are over, and when the next one is. */
static void end_stalls(void *context)
{
    shoal_proxy *proxy = context;
    int64_t now = shoal_loop__now(proxy->loop), next = INT64_MAX;
    for (uint32_t from = 0; from < proxy->hosts; from++) {
        for (uint32_t to = 0; to < proxy->hosts; to++) {
            shoal_live_way *way = way_of(proxy, from, to);
            if (way->stalled_until_us > now) {
                if (way->stalled_until_us < next) next = way->stalled_until_us;
            } else if (way->stalled_until_us > 0) {
                way->stalled_until_us = 0;
                if (!way->cut) release_way(proxy, from, to, true);
            }
        }
    }
    if (next < INT64_MAX) shoal_loop__arm(proxy->loop, &proxy->stalls, next);
}

void shoal_proxy__stall(shoal_proxy *proxy, uint32_t from, uint32_t to, int64_t until_us)
{
    shoal_live_way *way = way_of(proxy, from, to);
    if (until_us > way->stalled_until_us) way->stalled_until_us = until_us;
    shoal_loop__arm(proxy->loop, &proxy->stalls, shoal_loop__now(proxy->loop));
}

void shoal_proxy__strand(shoal_proxy *proxy, uint32_t from, uint32_t to)
{
    for (shoal_passed *at = proxy->first; at; at = at->next) {
        bool one = at->hosts[0] == from && at->hosts[1] == to;
        bool other = at->hosts[1] == from && at->hosts[0] == to;
        if (one || other) at->stranded = true;
    }
}

void shoal_proxy__reset(shoal_proxy *proxy, uint32_t a, uint32_t b)
{
    for (shoal_passed *at = proxy->first, *next; at; at = next) {
        next = at->next;
        bool one = at->hosts[0] == a && at->hosts[1] == b;
        bool other = at->hosts[1] == a && at->hosts[0] == b;
        if (one || other) shoal_passed__end(at, true);
    }
}

void shoal_proxy__reset_one(shoal_proxy *proxy, uint32_t from, uint32_t to)
{
    for (shoal_passed *at = proxy->first, *next; at; at = next) {
        next = at->next;
        bool opened = at->hosts[0] == from && at->hosts[1] == to;
        if (!opened && (at->hosts[1] != from || at->hosts[0] != to)) continue;
        uint32_t side = opened ? 1 : 0;
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        if (at->legs[side].watch.open)
            setsockopt(at->legs[side].watch.descriptor, SOL_SOCKET, SO_LINGER, &linger,
                       sizeof(linger));
        if (at->legs[side].dark || !at->legs[1 - side].watch.open) continue;
        shoal_passed__darken(at, side);
        shoal_passed__orphan(at);
    }
}

/* ---- the whole ---- */

shoal_proxy *shoal_proxy__make(shoal_loop *loop, const shoal_places *places, uint32_t nodes,
                               uint32_t clients, uint64_t seed)
{
    shoal_proxy *proxy = shoal_sim__allocate(sizeof(*proxy));
    SHOAL_ASSERT(nodes <= SHOAL_LIVE_NODES_MAX && clients <= SHOAL_LIVE_CLIENTS_MAX + 1);
    *proxy = (shoal_proxy){.loop = loop,
                           .places = *places,
                           .nodes = nodes,
                           .hosts = nodes + clients,
                           .seed = {seed, (uint64_t)getpid()}};
    proxy->stalls = (shoal_timer){.fire = end_stalls, .context = proxy};
    proxy->ways = shoal_sim__allocate((size_t)proxy->hosts * proxy->hosts * sizeof(*proxy->ways));
    for (uint32_t i = 0; i < proxy->hosts * proxy->hosts; i++)
        proxy->ways[i].quality = quality_default;
    proxy->doors = shoal_sim__allocate(nodes * 2 * sizeof(*proxy->doors));
    for (uint32_t i = 0; i < nodes * 2; i++) {
        shoal_door_keeper *door = &proxy->doors[i];
        *door = (shoal_door_keeper){.proxy = proxy,
                                    .node = i / 2,
                                    .bus = i % 2 == 1,
                                    .fillers = {-1, -1}};
        door->watch = (shoal_watch){.ready = door_ready, .context = door};
    }
    return proxy;
}

void shoal_proxy__free(shoal_proxy *proxy)
{
    if (proxy == NULL) return;
    while (proxy->first) shoal_passed__end(proxy->first, false);
    for (uint32_t i = 0; i < proxy->nodes; i++) shoal_proxy__refuse(proxy, i);
    shoal_loop__disarm(proxy->loop, &proxy->stalls);
    shoal_sim__free(proxy->doors);
    shoal_sim__free(proxy->ways);
    shoal_sim__free(proxy);
}
