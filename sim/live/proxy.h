/* SPDX-License-Identifier: MIT
 *
 * sim/live/proxy.h - the network of a live run. Every node announces an address of its own at which
 * this proxy listens, and connects from an address of its own, so that each connection between
 * nodes, and between clients and nodes, passes through here and is known by both its hosts. Bytes
 * wait as long as the schedule's `net` lines say, and are cut, held, stalled, stranded and reset as
 * in sim/ways.c.
 *
 *     node i      listens and connects from  127.a.b.(1+i)
 *                 announces                  127.a.b.(101+i)     the proxy listens there
 *     client c    connects from              127.a.b.(201+c)
 *
 * Hosts are numbered as in the simulator: nodes from 0, then clients; the auditor is the last.
 * One thread: the loop's.
 */
#ifndef SHOAL_SIM_LIVE_PROXY_H
#define SHOAL_SIM_LIVE_PROXY_H

#include "sim/live/talk.h"
#include "sim/schedule.h"

/* What fits into the last byte of the addresses above. */
#define SHOAL_LIVE_NODES_MAX 64u
#define SHOAL_LIVE_CLIENTS_MAX 40u

/* The addresses of one run. */
typedef struct shoal_places {
    uint32_t base; /* 127.a.b.0 */
    uint16_t port, bus_port;
} shoal_places;

/* Where a node itself is, where it is announced, and where a host's connections come from as
 * others see them. */
static inline uint32_t shoal_places__node(const shoal_places *places, uint32_t node)
{
    return places->base + 1 + node;
}
static inline uint32_t shoal_places__announced(const shoal_places *places, uint32_t node)
{
    return places->base + 101 + node;
}
static inline uint32_t shoal_places__client(const shoal_places *places, uint32_t client)
{
    return places->base + 201 + client;
}
/* The node that is announced there, or UINT32_MAX. */
uint32_t shoal_places__announced_by(const shoal_places *places, uint32_t ip, uint32_t nodes);
/* Finds addresses that nobody uses. False when there are none. */
bool shoal_places__find(shoal_places *places, uint32_t nodes);

/* The network. */
typedef struct shoal_proxy shoal_proxy;

/* A network in which nobody listens yet. `seed` makes its latencies. */
shoal_proxy *shoal_proxy__make(shoal_loop *loop, const shoal_places *places, uint32_t nodes,
                               uint32_t clients, uint64_t seed);
void shoal_proxy__free(shoal_proxy *proxy);

/* From now on connections to a node are taken (false when its addresses are in use), or refused. */
bool shoal_proxy__open(shoal_proxy *proxy, uint32_t node);
void shoal_proxy__refuse(shoal_proxy *proxy, uint32_t node);
/* The host of a node goes dark: nobody is told, connects hang; it comes back with a new process.
 * Call it before the process is killed. */
void shoal_proxy__dark(shoal_proxy *proxy, uint32_t node);
void shoal_proxy__back(shoal_proxy *proxy, uint32_t node);

/* What lines do to the ways between two hosts; `reset_one`: only the ends of `to` learn of it. */
void shoal_proxy__quality(shoal_proxy *proxy, uint32_t from, uint32_t to,
                          const shoal_quality *change);
void shoal_proxy__cut(shoal_proxy *proxy, uint32_t from, uint32_t to);
void shoal_proxy__heal(shoal_proxy *proxy, uint32_t from, uint32_t to);
void shoal_proxy__stall(shoal_proxy *proxy, uint32_t from, uint32_t to, int64_t until_us);
void shoal_proxy__strand(shoal_proxy *proxy, uint32_t from, uint32_t to);
void shoal_proxy__reset(shoal_proxy *proxy, uint32_t a, uint32_t b);
void shoal_proxy__reset_one(shoal_proxy *proxy, uint32_t from, uint32_t to);
/* Can bytes go from one host to the other? */
bool shoal_proxy__passes(const shoal_proxy *proxy, uint32_t from, uint32_t to);

#endif
