/* SPDX-License-Identifier: MIT
 *
 * Seeds: addresses that the configuration names, and that are asked, one a second, while a node of
 * the cluster cannot be reached where it was. A seed need not be anybody in particular. A node that
 * this one knows by its name answers with its name: then it is known where it is, and it knows the
 * same of us from our question. The rest is gossip's. So a cluster all of whose addresses changed
 * at once comes together again (docs/decisions/addresses.md).
 *
 * A seed's link carries one PING and its PONG, and ends.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

/* The word number `at` of the setting; the first one behind the last. Empty without any. */
static shoal_slice pick(shoal_slice text, uint32_t *at)
{
    SHOAL_ASSERT(at);
    SHOAL_ASSERT(text.size < BUS_SEEDS_SIZE);
    shoal_slice first = {NULL, 0};
    uint32_t number = 0;
    for (size_t i = 0; i < text.size;) {
        while (i < text.size && text.data[i] == ' ') i++;
        size_t start = i;
        while (i < text.size && text.data[i] != ' ') i++;
        if (i == start) break;
        shoal_slice word = {text.data + start, i - start};
        if (number == 0) first = word;
        if (number++ == *at) return word;
    }
    *at = 0;
    return first;
}

/* "host:port" with the port of clients; the bus is where it is by default, or "host:port@bus". */
static bool read_seed(shoal_slice word, shoal_address *address)
{
    SHOAL_ASSERT(address);
    SHOAL_ASSERT(word.size > 0);
    size_t colon = word.size;
    while (colon > 0 && word.data[colon - 1] != ':') colon--;
    if (colon < 2 || colon - 1 >= sizeof(address->ip)) return false;
    shoal_slice ports = {word.data + colon, word.size - colon};
    size_t sign = shoal_text_find(ports, shoal_text("@"));
    uint64_t port, bus;
    bool has_bus = sign != SHOAL_TEXT_NONE;
    if (!shoal_text_to_u64((shoal_slice){ports.data, has_bus ? sign : ports.size}, &port)) {
        return false;
    }
    bus = port + BUS_PORT_OFFSET;
    if (has_bus &&
        !shoal_text_to_u64((shoal_slice){ports.data + sign + 1, ports.size - sign - 1}, &bus)) {
        return false;
    }
    if (bus == 0 || bus > UINT16_MAX) return false;
    shoal_bus__copy_text(address->ip, sizeof(address->ip), (shoal_slice){word.data, colon - 1});
    address->port = (uint16_t)bus;
    return true;
}

/* Somebody of the cluster is not where we know it to be. */
static bool is_lost(const bus_node *node)
{
    SHOAL_ASSERT(node);
    if (shoal_bus__is(node, SHOAL_NODE_MYSELF | SHOAL_NODE_HANDSHAKE)) return false;
    if (node->inbound || (node->link && node->link->up)) return false;
    return true;
}

static bool any_lost(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count >= 1);
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (is_lost(c->live[i])) return true;
    }
    return false;
}

void shoal_bus__seeds_cron(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(!c->seed.link || c->seed.link->seed);
    shoal_slice seeds = shoal_bus__field(c->settings.seeds, sizeof(c->settings.seeds));
    if (shoal_bus__since(c, c->seed.asked_us) < BUS_SEED_US) return;
    if (c->seed.link) shoal_bus__link_drop(c, c->seed.link);
    if (seeds.size == 0 || !any_lost(c)) return;
    c->seed.asked_us = shoal_bus__stamp(c);
    shoal_slice word = pick(seeds, &c->seed.at);
    shoal_address address = {.port = 0};
    c->seed.at++;
    if (word.size == 0) return;
    if (read_seed(word, &address)) {
        shoal_bus__link_open_seed(c, &address);
    } else if (!c->seed.complained) {
        c->seed.complained = true;
        shoal_bus__log(c, BUS_WARNING, "cluster-seeds: '%.*s' is not host:port and is not asked",
                       (int)word.size, word.data);
    }
}
