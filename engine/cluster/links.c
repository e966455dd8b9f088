/* SPDX-License-Identifier: MIT
 *
 * The connections of the bus. A pair of nodes has two: each sends PING on the one that it opened
 * and gets the PONG back on it. A stream is cut into frames here; a frame that lies whole in the
 * bytes of an event is read where it is, without a copy.
 *
 * While frames of a link are being read, what they say may end the link. It is then only marked
 * dead, and freed when the reading is over.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

/* ---- table ---- */

static bool has_id(const void *value, const void *key)
{
    SHOAL_ASSERT(value);
    SHOAL_ASSERT(key);
    const bus_link *link = value;
    const shoal_link *id = key;
    return link->id == *id;
}

bus_link *shoal_bus__link_find(const shoal_cluster *c, shoal_link id)
{
    SHOAL_ASSERT(id != 0);
    return shoal_bus__index_find(&c->links, shoal_prng_mix(id), has_id, &id);
}

static bus_link *add_link(shoal_cluster *c, shoal_link id, bus_node *node)
{
    SHOAL_ASSERT(id != 0);
    SHOAL_ASSERT(!shoal_bus__link_find(c, id));
    SHOAL_ASSERT(!node || shoal_bus__knows(c, node));
    const shoal_allocator *a = &c->allocator;
    bus_link *link = a->allocate_zeroed(a->context, sizeof(bus_link), 8);
    if (!link) return NULL;
    if (!shoal_bus__index_add(&c->links, a, shoal_prng_mix(id), link)) {
        a->release(a->context, link, sizeof(bus_link), 8);
        return NULL;
    }
    *link = (bus_link){.id = id,
                       .node = node,
                       .inbound = node == NULL,
                       .created_us = shoal_bus__stamp(c),
                       .input = shoal_buffer_make(a)};
    return link;
}

static void free_link(shoal_cluster *c, bus_link *link)
{
    SHOAL_ASSERT(!link->reading);
    shoal_buffer_free(&link->input);
    c->allocator.release(c->allocator.context, link, sizeof(bus_link), 8);
}

/* Takes the link out of the table and from its node. */
static void detach(shoal_cluster *c, bus_link *link, shoal_err error)
{
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(shoal_bus__link_find(c, link->id) == link);
    bus_node *node = link->node;
    if (node && node->link == link) node->link = NULL;
    if (node && node->inbound == link) node->inbound = NULL;
    if (node) shoal_bus__blur(c, node);
    if (node) shoal_bus__unsettle(c, node);
    if (c->seed.link == link) c->seed.link = NULL;
    shoal_bus__note(c, SHOAL_TRACE_LINK_DOWN, (uint64_t[3]){link->id, (uint64_t)(int64_t)error},
                    node ? shoal_text(node->name) : (shoal_slice){0});
    shoal_bus__index_remove(&c->links, shoal_prng_mix(link->id), link);
    link->node = NULL;
    if (link->reading) {
        link->dead = true;
    } else {
        free_link(c, link);
    }
}

void shoal_bus__link_drop(shoal_cluster *c, bus_link *link)
{
    SHOAL_ASSERT(shoal_bus__link_find(c, link->id) == link);
    SHOAL_ASSERT(!link->dead);
    c->host->link_close(c->host->context, link->id);
    detach(c, link, SHOAL_ERR_CLOSED);
}

size_t shoal_bus__link_queued(const shoal_cluster *c, const bus_link *link)
{
    SHOAL_ASSERT(link->id != 0);
    SHOAL_ASSERT(!link->dead);
    return c->host->link_queued ? c->host->link_queued(c->host->context, link->id) : 0;
}

/* Ends a link on which more waits than cluster-link-sendbuf-limit allows. */
static void limit_link(shoal_cluster *c, bus_link *link)
{
    SHOAL_ASSERT(c->settings.link_queue_max > 0);
    if (!link) return;
    SHOAL_ASSERT(link->node);
    size_t queued = shoal_bus__link_queued(c, link);
    if (queued <= c->settings.link_queue_max) return;
    shoal_bus__log(c, BUS_WARNING,
                   "Freeing cluster link(%s node %s, used memory: %llu) due to exceeding send "
                   "buffer memory limit.",
                   link->inbound ? "inbound from" : "outbound to", link->node->name,
                   (unsigned long long)queued);
    c->links_overflowed++;
    shoal_bus__link_drop(c, link);
}

void shoal_bus__links_limit(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(!c->myself->link);
    if (c->settings.link_queue_max == 0) return;
    for (uint32_t i = 0; i < c->node_count; i++) {
        limit_link(c, c->live[i]->link);
        limit_link(c, c->live[i]->inbound);
    }
}

void shoal_bus__links_free(shoal_cluster *c)
{
    SHOAL_ASSERT(c->links.count <= c->links.capacity);
    for (uint32_t i = 0; i < c->links.capacity; i++) {
        if (c->links.cells[i].value) free_link(c, c->links.cells[i].value);
    }
    shoal_bus__index_free(&c->links, &c->allocator);
}

void shoal_bus__link_open(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(node->ip[0]);
    SHOAL_ASSERT(!node->link);
    node->opened_us = shoal_bus__stamp(c);
    shoal_address peer = {.port = node->bus_port};
    memcpy(peer.ip, node->ip, sizeof(peer.ip));
    shoal_link id = c->host->link_open(c->host->context, &peer);
    SHOAL_ASSERT(id != 0);
    node->link = add_link(c, id, node);
    shoal_bus__blur(c, node);
    if (!node->link) c->host->link_close(c->host->context, id);
}

void shoal_bus__link_open_seed(shoal_cluster *c, const shoal_address *address)
{
    SHOAL_ASSERT(!c->seed.link);
    SHOAL_ASSERT(address->ip[0]);
    shoal_link id = c->host->link_open(c->host->context, address);
    SHOAL_ASSERT(id != 0);
    c->seed.link = add_link(c, id, NULL);
    if (!c->seed.link) {
        c->host->link_close(c->host->context, id);
        return;
    }
    c->seed.link->inbound = false;
    c->seed.link->seed = true;
}

void shoal_bus__link_assign(shoal_cluster *c, bus_link *link, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(link->inbound && !link->node);
    if (node == c->myself) return;
    if (node->inbound) shoal_bus__link_drop(c, node->inbound);
    node->inbound = link;
    link->node = node;
}

/* ---- events ---- */

static void note_up(shoal_cluster *c, const bus_link *link)
{
    SHOAL_ASSERT(link->up);
    SHOAL_ASSERT(!link->dead);
    char text[sizeof(link->peer.ip) + 8];
    shoal_slice ip = shoal_bus__field(link->peer.ip, sizeof(link->peer.ip));
    memcpy(text, ip.data, ip.size);
    text[ip.size] = ':';
    size_t digits = shoal_text_from_u64(text + ip.size + 1, link->peer.port);
    shoal_bus__note(c, SHOAL_TRACE_LINK_UP, (uint64_t[3]){link->id, link->inbound},
                    (shoal_slice){text, ip.size + 1 + digits});
}

static void accepted(shoal_cluster *c, const shoal_event *event)
{
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_LINK_UP);
    SHOAL_ASSERT(event->accepted);
    bus_link *link = NULL;
    if (c->links.count < BUS_LINKS_MAX) link = add_link(c, event->link, NULL);
    if (!link) {
        shoal_bus__why_not(c, BUS_WHY_TABLE_FULL, "%u links are open", c->links.count);
        c->host->link_close(c->host->context, event->link);
        return;
    }
    link->up = true;
    link->peer = event->peer;
    link->local = event->local;
    note_up(c, link);
}

/* Our own link is up: the first frame. A ping that waited through a reconnection keeps its age. */
static void connected(shoal_cluster *c, bus_link *link, const shoal_event *event)
{
    SHOAL_ASSERT(!link->inbound);
    SHOAL_ASSERT(!link->up);
    SHOAL_ASSERT(!event->accepted);
    link->up = true;
    link->peer = event->peer;
    link->local = event->local;
    if (link->seed) {
        note_up(c, link);
        shoal_bus__send_ping(c, link, SHOAL_FRAME_PING);
        return;
    }
    bus_node *node = link->node;
    SHOAL_ASSERT(node);
    SHOAL_ASSERT(node->link == link);
    node->refused_us = 0;
    note_up(c, link);
    int64_t ping_sent_us = node->ping_sent_us;
    bool meet = shoal_bus__is(node, SHOAL_NODE_MEET);
    shoal_bus__send_ping(c, link, meet ? SHOAL_FRAME_MEET : SHOAL_FRAME_PING);
    if (ping_sent_us) node->ping_sent_us = ping_sent_us;
    node->flags &= (uint16_t)~SHOAL_NODE_MEET;
    shoal_bus__blur(c, node);
}

/* Refuses the stream and ends the link. */
static void break_off(shoal_cluster *c, bus_link *link, uint32_t reason, size_t size,
                      const char *detail)
{
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(reason != 0);
    shoal_bus__refuse(c, reason, link, size, detail);
    shoal_bus__link_drop(c, link);
}

/* The size of the frame at the start of `bytes`; 0 when it is not known or the link was ended. */
static size_t frame_size(shoal_cluster *c, bus_link *link, shoal_slice bytes)
{
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(link->reading);
    size_t size = 0;
    shoal_frame_error error = {0};
    shoal_err result = shoal_frame_size(bytes, &size, &error);
    if (result == SHOAL_ERR_TRUNCATED) return 0;
    if (result != SHOAL_ERR_OK) {
        break_off(c, link, BUS_REFUSED_STREAM, bytes.size, error.what ? error.what : "");
        return 0;
    }
    bool stranger = !link->node;
    if (size > SHOAL_FRAME_SIZE_MAX || (stranger && size > BUS_STRANGER_FRAME_MAX)) {
        break_off(c, link, BUS_REFUSED_TOO_LARGE, size, "");
        return 0;
    }
    return size;
}

/* Reads every whole frame of `bytes`; returns how many bytes they took. */
static size_t read_frames(shoal_cluster *c, bus_link *link, shoal_slice bytes)
{
    SHOAL_ASSERT(link->reading);
    SHOAL_ASSERT(bytes.size == 0 || bytes.data);
    size_t used = 0;
    while (!link->dead) {
        shoal_slice rest = {bytes.data + used, bytes.size - used};
        size_t size = frame_size(c, link, rest);
        if (size == 0 || rest.size < size) break;
        shoal_bus__receive(c, link, (shoal_slice){rest.data, size});
        used += size;
    }
    return used;
}

static void read_link(shoal_cluster *c, bus_link *link, shoal_slice data)
{
    SHOAL_ASSERT(!link->reading);
    SHOAL_ASSERT(!link->dead);
    link->reading = true;
    if (shoal_buffer_size(&link->input) == 0) {
        size_t used = read_frames(c, link, data);
        data.data += used;
        data.size -= used;
        if (data.size > 0) shoal_buffer_append(&link->input, data);
    } else {
        shoal_buffer_append(&link->input, data);
        size_t used = read_frames(c, link, shoal_buffer_slice(&link->input));
        shoal_buffer_consume(&link->input, used);
    }
    if (link->input.failed && !link->dead) {
        shoal_bus__why_not(c, BUS_WHY_NO_MEMORY, "input of a link");
        shoal_bus__link_drop(c, link);
    }
    link->reading = false;
    if (link->dead) free_link(c, link);
}

/* A whole frame, behind whole frames. */
static void read_parcel(shoal_cluster *c, bus_link *link, const shoal_parcel *parcel)
{
    SHOAL_ASSERT(!link->reading && !link->dead);
    SHOAL_ASSERT(shoal_buffer_size(&link->input) == 0);
    link->reading = true;
    shoal_bus__receive_parcel(c, link, parcel);
    link->reading = false;
    if (link->dead) free_link(c, link);
}

/* A link ended by itself. Where nobody listens there is no process: eager nodes ask at once, and
 * note since when. */
static void ended(shoal_cluster *c, bus_link *link, shoal_err error)
{
    SHOAL_ASSERT(!link->dead);
    bus_node *node = link->inbound ? NULL : link->node;
    bool was_up = link->up;
    detach(c, link, error);
    if (!node || !c->failover.timing.eager) return;
    if (!was_up && error == SHOAL_ERR_REFUSED && node->refused_us == 0) {
        node->refused_us = shoal_bus__stamp(c);
        shoal_bus__unsettle(c, node);
    }
    SHOAL_ASSERT(!node->link);
    if (was_up && node->ip[0]) shoal_bus__link_open(c, node);
}

void shoal_bus__link_event(shoal_cluster *c, const shoal_event *event)
{
    SHOAL_ASSERT(event->link != 0);
    SHOAL_ASSERT(c->myself);
    bus_link *link = shoal_bus__link_find(c, event->link);
    if (!link) {
        if (event->kind == SHOAL_EVENT_LINK_UP && event->accepted) accepted(c, event);
        return; /* else: of a link that we have closed meanwhile */
    }
    switch (event->kind) {
    case SHOAL_EVENT_LINK_UP: connected(c, link, event); break;
    case SHOAL_EVENT_LINK_DATA:
        if (event->parcel)
            read_parcel(c, link, event->parcel);
        else
            read_link(c, link, event->data);
        break;
    case SHOAL_EVENT_LINK_FULL: link->full = true; break;
    case SHOAL_EVENT_LINK_ROOM: link->full = false; break;
    case SHOAL_EVENT_LINK_DOWN: ended(c, link, event->error); break;
    default: SHOAL_UNREACHABLE();
    }
}
