/* SPDX-License-Identifier: MIT
 *
 * Reading frames. First who sent it, then what every header carries (epochs, offset), then the
 * type's own part. Frames of strangers count for little: a PING is answered, a MEET begins a
 * handshake, anything else is refused.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "base/text.h"

/* ---- addresses ---- */

/* The address under which the sender wants to be reached: announced, or where it comes from. */
static shoal_slice sender_ip(const bus_link *link, const shoal_frame *frame)
{
    SHOAL_ASSERT(link->up);
    SHOAL_ASSERT(frame);
    shoal_slice announced = shoal_bus__field(frame->ip, sizeof(frame->ip) - 1);
    if (shoal_bus__is_ip(announced)) return announced;
    return shoal_bus__field(link->peer.ip, sizeof(link->peer.ip));
}

static void set_address(const shoal_cluster *c, bus_node *node, const bus_link *link,
                        const shoal_frame *frame)
{
    SHOAL_ASSERT(link->up);
    SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_MYSELF));
    shoal_bus__copy_text(node->ip, sizeof(node->ip), sender_ip(link, frame));
    node->port = frame->port;
    node->bus_port = frame->bus_port;
    node->tls_port = frame->tls_port;
    node->where = 0;
    shoal_bus__blur(c, node);
}

static bool has_address(const bus_node *node, const bus_link *link, const shoal_frame *frame)
{
    SHOAL_ASSERT(link->up);
    SHOAL_ASSERT(node);
    return node->port == frame->port && node->bus_port == frame->bus_port &&
           node->tls_port == frame->tls_port &&
           shoal_text_equal(shoal_text(node->ip), sender_ip(link, frame));
}

/* The sender comes from another address than we knew: reconnect there. Never on word from our
 * own link to it, which shows that the old address works. */
static void update_address(shoal_cluster *c, bus_node *sender, const bus_link *link,
                           const shoal_frame *frame)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(frame->type <= SHOAL_FRAME_MEET);
    if (sender == c->myself || link == sender->link || has_address(sender, link, frame)) return;
    set_address(c, sender, link, frame);
    if (sender->link) shoal_bus__link_drop(c, sender->link);
    sender->flags &= (uint16_t)~SHOAL_NODE_NOADDR;
    shoal_bus__log(c, BUS_WARNING, "Address updated for node %s, now %s:%u", sender->name,
                   sender->ip, sender->port);
    shoal_bus__note_known(c, sender);
    c->due |= BUS_DUE_LATER | BUS_DUE_STATE | shoal_bus__due_route(c, sender);
}

/* A node of the cluster reaches us where we know ourselves to be. */
static bool is_reached(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_link *link = c->live[i]->inbound;
        if (!link) continue;
        SHOAL_ASSERT(link->up);
        if (shoal_text_equal(shoal_text(link->local.ip), shoal_text(c->myself->ip))) return true;
    }
    return false;
}

/* Our own address is what whoever meets us connected to; and what a node of the cluster (`known`)
 * connected to, when nobody comes to the former one any more. */
static void learn_own_ip(shoal_cluster *c, const bus_link *link, uint16_t type, bool known)
{
    SHOAL_ASSERT(link->up);
    SHOAL_ASSERT(type == SHOAL_FRAME_PING || type == SHOAL_FRAME_MEET);
    bus_node *me = c->myself;
    if (c->settings.announce_ip[0]) return;
    shoal_slice local = shoal_bus__field(link->local.ip, sizeof(link->local.ip));
    if (!shoal_bus__is_ip(local) || shoal_text_equal(local, shoal_text(me->ip))) return;
    bool moved = known && link->inbound && !is_reached(c);
    if (type != SHOAL_FRAME_MEET && me->ip[0] && !moved) return;
    shoal_bus__copy_text(me->ip, sizeof(me->ip), local);
    shoal_bus__log(c, BUS_WARNING, "IP address for this node updated to %s", me->ip);
    shoal_bus__note_known(c, me);
    c->due |= BUS_DUE_SAVE | BUS_DUE_ROUTE;
}

/* ---- PING, PONG, MEET ---- */

/* A stranger wants to be met: shake hands with it under a random name. */
static void meet_stranger(shoal_cluster *c, const bus_link *link, const shoal_frame *frame)
{
    SHOAL_ASSERT(frame->type == SHOAL_FRAME_MEET);
    SHOAL_ASSERT(!shoal_bus__node_find(c, frame->sender));
    shoal_address address = {.port = frame->port};
    shoal_bus__copy_text(address.ip, sizeof(address.ip), sender_ip(link, frame));
    if (shoal_bus__handshake_in_progress(c, &address, frame->bus_port)) return;
    bus_node *node = shoal_bus__node_add(c, NULL, SHOAL_NODE_HANDSHAKE);
    if (!node) return;
    set_address(c, node, link, frame);
    shoal_bus__note_known(c, node);
    c->due |= BUS_DUE_LATER;
}

/* The first answer in a handshake: the node gets its name, unless it is known under it. */
static void end_handshake(shoal_cluster *c, bus_link *link, bus_node *sender,
                          const shoal_frame *frame)
{
    SHOAL_ASSERT(!link->inbound);
    SHOAL_ASSERT(shoal_bus__is(link->node, SHOAL_NODE_HANDSHAKE));
    bus_node *node = link->node;
    if (sender) {
        shoal_bus__log(c, BUS_VERBOSE, "Handshake: node %s is known already", sender->name);
        update_address(c, sender, link, frame);
        shoal_bus__node_remove(c, node, BUS_FORGOTTEN_KNOWN_ALREADY);
        return;
    }
    shoal_bus__node_rename(c, node, frame->sender);
    node->flags &= (uint16_t) ~(SHOAL_NODE_HANDSHAKE | SHOAL_NODE_MEET);
    node->flags |= frame->flags & SHOAL_NODE_REPLICA ? SHOAL_NODE_REPLICA : SHOAL_NODE_MASTER;
    shoal_bus__blur(c, node);
    c->no_orphans = false;
    shoal_bus__log(c, BUS_VERBOSE, "Handshake with node %s completed.", node->name);
    shoal_bus__note_known(c, node);
}

/* Another node answers at the address. We do not know where ours is now. */
static void lose_address(shoal_cluster *c, bus_link *link, size_t size)
{
    SHOAL_ASSERT(link->node->link == link);
    SHOAL_ASSERT(!link->inbound);
    bus_node *node = link->node;
    shoal_bus__refuse(c, BUS_REFUSED_OTHER_NODE, link, size, node->name);
    node->flags |= SHOAL_NODE_NOADDR;
    memset(node->ip, 0, sizeof(node->ip));
    node->port = node->bus_port = node->tls_port = 0;
    node->where = 0;
    shoal_bus__blur(c, node);
    shoal_bus__link_drop(c, link);
    /* Nobody there can answer for it: from here on it is silent. */
    if (!node->ping_sent_us) node->ping_sent_us = shoal_bus__stamp(c);
    shoal_bus__unsettle(c, node);
    shoal_bus__note_known(c, node);
    c->due |= BUS_DUE_LATER | shoal_bus__due_route(c, node);
}

/* A node of the cluster that we have no connection with answers where we looked for another one, or
 * for anybody: that is where it is now. */
static void found_at(shoal_cluster *c, const bus_link *link, bus_node *sender,
                     const shoal_frame *frame)
{
    SHOAL_ASSERT(!link->inbound);
    SHOAL_ASSERT(!link->dead);
    if (!sender || sender == c->myself || shoal_bus__is(sender, SHOAL_NODE_HANDSHAKE)) return;
    if (sender->link && sender->link->up) return;
    update_address(c, sender, link, frame);
}

/* Answers on our own link prove who is at the other end. False when the link is gone, or the node
 * is not ours to speak for. */
static bool check_identity(shoal_cluster *c, bus_link *link, bus_node *sender,
                           const shoal_frame *frame, size_t size)
{
    SHOAL_ASSERT(!link->dead);
    bus_node *node = link->node;
    SHOAL_ASSERT(!link->inbound && node);
    if (shoal_bus__is(node, SHOAL_NODE_HANDSHAKE)) {
        end_handshake(c, link, sender, frame);
        return !link->dead && !sender;
    }
    if (sender == node) return true;
    found_at(c, link, sender, frame);
    if (!link->dead) lose_address(c, link, size);
    return false;
}

static void pong_received(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node != c->myself);
    shoal_bus__glance(c, node)->pong_received_us = shoal_bus__stamp(c);
    node->ping_sent_us = 0;
    shoal_bus__unsettle(c, node);
    shoal_bus__answered(c, node);
    shoal_bus__sharpen(c, node);
}

/* Master or replica, and of whom. */
static void update_role(shoal_cluster *c, bus_node *sender, const shoal_frame *frame)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(sender != c->myself);
    if (frame->replica_of[0] == 0) {
        shoal_bus__node_make_master(c, sender);
    } else {
        const bus_node *master = c->parcel ? shoal_bus__number_find(c, c->parcel->master)
                                           : shoal_bus__node_find(c, frame->replica_of);
        bool usable = master && master != sender;
        shoal_bus__node_make_replica(c, sender, usable ? master->index : BUS_NONE);
    }
    uint16_t nofailover = frame->flags & SHOAL_NODE_NOFAILOVER;
    if (nofailover == (sender->flags & SHOAL_NODE_NOFAILOVER)) return;
    sender->flags ^= SHOAL_NODE_NOFAILOVER;
    shoal_bus__blur(c, sender);
}

/* What the header says of slots is what is known of the node. A parcel tells bounds where they say
 * it all. */
static bool slots_known(const shoal_cluster *c, const bus_node *subject, const shoal_frame *frame)
{
    SHOAL_ASSERT(frame->slots || c->parcel);
    SHOAL_ASSERT(shoal_bus__knows(c, subject));
    if (frame->slots) return shoal_bus__slots_equal(c, subject, frame->slots);
    const shoal_parcel *parcel = c->parcel;
    if (subject->slot_count != parcel->slot_count) return false;
    return subject->slot_count == 0 ||
           (subject->slot_least == parcel->slot_least && subject->slot_most == parcel->slot_most);
}

/* What the header says of slots: the sender's, or its master's. */
static void update_slots(shoal_cluster *c, bus_node *sender, const shoal_frame *frame)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(sender != c->myself);
    const bus_node *subject = shoal_bus__node_speaks_for(c, sender);
    if (!subject) return;
    if (slots_known(c, subject, frame) && !shoal_bus__slots_doubtful(c, subject)) return;
    shoal_slotmap run = {{0}};
    const shoal_slotmap *slots = frame->slots ? frame->slots : &run;
    for (uint32_t i = 0; slots == &run && i < c->parcel->slot_count; i++) {
        shoal_slotmap_put(&run, c->parcel->slot_least + i, true);
    }
    if (subject == sender) shoal_bus__slots_claim(c, sender, frame->config_epoch, slots);
    shoal_bus__slots_correct(c, sender, frame->config_epoch, slots);
}

/* An operator made the sender forget a node: so does this one, but for its own master. */
static void read_forgotten(shoal_cluster *c, const bus_node *sender, shoal_slice data)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(data.size == 0 || data.data);
    if (data.size < SHOAL_NODE_NAME_LEN + 8 || !shoal_bus__is_name(data.data)) return;
    bus_node *node = shoal_bus__node_find(c, data.data);
    bool needed = !node || node == c->myself || node == sender;
    if (needed || node == shoal_bus__my_master(c)) return;
    shoal_bus__forget(c, node->name);
    shoal_bus__node_remove(c, node, BUS_FORGOTTEN_BY_OTHERS);
}

static void read_extensions(shoal_cluster *c, bus_node *sender, const shoal_frame *frame)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(frame->extension_count <= 8);
    shoal_slice hostname = {NULL, 0};
    for (uint32_t i = 0; i < frame->extension_count; i++) {
        shoal_slice data = frame->extensions[i].data;
        switch (frame->extensions[i].type) {
        case SHOAL_EXT_HOSTNAME: hostname = data; break;
        case SHOAL_EXT_FORGOTTEN_NODE: read_forgotten(c, sender, data); break;
        default: break;
        }
    }
    if (shoal_bus__is_hostname(hostname)) shoal_bus__set_hostname(c, sender, hostname);
}

/* What a node of the cluster says in PING, PONG and MEET alike. */
static void read_opinion(shoal_cluster *c, bus_node *sender, const shoal_frame *frame)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(!shoal_bus__is(sender, SHOAL_NODE_HANDSHAKE));
    update_role(c, sender, frame);
    update_slots(c, sender, frame);
    bool same = frame->config_epoch == c->myself->config_epoch;
    if (same && shoal_bus__is(sender, SHOAL_NODE_MASTER)) shoal_bus__epoch_collision(c, sender);
    shoal_bus__follow_master(c);
    shoal_bus__gossip_read(c, sender, frame);
    read_extensions(c, sender, frame);
}

/* The frame is older than another one of its sender's that came before it, or than the epoch in
 * which the sender became a master, which others have told: a link that was held up delivers what
 * other links have overtaken. It is a sign of life, and nothing else in it is true any more. A
 * master that is dead by now would be taken for the replica that it had been, its slots for
 * nobody's, and nobody would stand for it. */
static bool is_overtaken(const bus_node *sender, const shoal_frame *frame)
{
    SHOAL_ASSERT(sender);
    SHOAL_ASSERT(!shoal_bus__is(sender, SHOAL_NODE_MYSELF));
    if (frame->current_epoch < sender->seen_epoch) return true;
    bool is_master = shoal_bus__is(sender, SHOAL_NODE_MASTER);
    uint64_t known = is_master ? sender->config_epoch : 0;
    return frame->current_epoch < known && frame->config_epoch < known;
}

static void receive_ping(shoal_cluster *c, bus_link *link, bus_node *sender,
                         const shoal_frame *frame, size_t size)
{
    SHOAL_ASSERT(frame->type <= SHOAL_FRAME_MEET);
    SHOAL_ASSERT(!link->dead);
    bool asks = frame->type != SHOAL_FRAME_PONG;
    if (asks) {
        bool known = sender && !shoal_bus__is(sender, SHOAL_NODE_HANDSHAKE | SHOAL_NODE_MYSELF);
        learn_own_ip(c, link, frame->type, known);
        if (!sender && frame->type == SHOAL_FRAME_MEET) meet_stranger(c, link, frame);
        shoal_bus__send_ping(c, link, SHOAL_FRAME_PONG);
    }
    if (link->seed) {
        found_at(c, link, sender, frame);
        shoal_bus__link_drop(c, link);
        return;
    }
    if (!link->inbound) {
        if (!check_identity(c, link, sender, frame, size)) return;
        sender = link->node;
        if (!asks) pong_received(c, sender);
    }
    if (!sender || sender == c->myself || shoal_bus__is(sender, SHOAL_NODE_HANDSHAKE)) return;
    if (is_overtaken(sender, frame)) {
        shoal_bus__refuse(c, BUS_REFUSED_STALE_EPOCH, link, size, sender->name);
        return;
    }
    if (frame->type == SHOAL_FRAME_PING) update_address(c, sender, link, frame);
    read_opinion(c, sender, frame);
}

/* ---- the other types ---- */

static void receive_fail(shoal_cluster *c, const bus_node *sender, const bus_link *link,
                         const shoal_frame *frame, size_t size)
{
    SHOAL_ASSERT(frame->type == SHOAL_FRAME_FAIL);
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    bus_node *failed = shoal_bus__node_find(c, frame->failed_name);
    if (!failed) {
        shoal_bus__refuse(c, BUS_REFUSED_UNKNOWN_NODE, link, size, "FAIL");
        return;
    }
    if (failed == c->myself || shoal_bus__is(failed, SHOAL_NODE_FAIL)) return;
    shoal_bus__log(c, BUS_NOTICE, "FAIL message received from %s about %s", sender->name,
                   failed->name);
    shoal_bus__set_failed(c, failed, shoal_bus__report_count(c, failed));
}

static void receive_update(shoal_cluster *c, const bus_link *link, const shoal_frame *frame,
                           size_t size)
{
    SHOAL_ASSERT(frame->type == SHOAL_FRAME_UPDATE);
    SHOAL_ASSERT(frame->update_slots);
    bus_node *owner = shoal_bus__node_find(c, frame->update_name);
    if (!owner) {
        shoal_bus__refuse(c, BUS_REFUSED_UNKNOWN_NODE, link, size, "UPDATE");
        return;
    }
    if (owner == c->myself || owner->config_epoch >= frame->update_epoch) {
        shoal_bus__refuse(c, BUS_REFUSED_STALE_EPOCH, link, size, owner->name);
        return;
    }
    shoal_bus__node_make_master(c, owner);
    owner->config_epoch = frame->update_epoch;
    c->due |= BUS_DUE_LATER;
    shoal_bus__slots_claim(c, owner, frame->update_epoch, frame->update_slots);
}

static void receive_message(shoal_cluster *c, const bus_link *link, const shoal_frame *frame,
                            size_t size)
{
    SHOAL_ASSERT(frame->channel.size + frame->message.size < size);
    const shoal_cluster_sink *sink = &c->failover.sink;
    bool sharded = frame->type == SHOAL_FRAME_PUBLISHSHARD;
    SHOAL_ASSERT(sharded || frame->type == SHOAL_FRAME_PUBLISH);
    if (!sink->message) {
        shoal_bus__refuse(c, BUS_REFUSED_NOT_SERVED, link, size,
                          shoal_frame_type_name(frame->type));
        return;
    }
    sink->message(sink->context, sharded, frame->channel, frame->message);
}

/* ---- any frame ---- */

/* The node that sent the frame, if it is one of the cluster. */
static bus_node *find_sender(shoal_cluster *c, const bus_link *link, const shoal_frame *frame)
{
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(link->up);
    bus_node *node = link->node;
    if (c->parcel) {
        if (node && node->who == c->parcel->sender) return node;
        return shoal_bus__number_find(c, c->parcel->sender);
    }
    if (node && memcmp(node->name, frame->sender, SHOAL_NODE_NAME_LEN) == 0) return node;
    return shoal_bus__node_find(c, frame->sender);
}

/* Epochs only grow. */
static void read_header(shoal_cluster *c, bus_node *sender, const shoal_frame *frame)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(sender != c->myself);
    sender->data_received_us = shoal_bus__stamp(c);
    if (shoal_bus__is(sender, SHOAL_NODE_HANDSHAKE) || is_overtaken(sender, frame)) return;
    sender->seen_epoch = frame->current_epoch;
    if (frame->current_epoch > c->current_epoch || SHOAL_MUTANT(EPOCH_FOLLOWS))
        c->current_epoch = frame->current_epoch;
    if (frame->config_epoch > sender->config_epoch) {
        sender->config_epoch = frame->config_epoch;
        c->due |= BUS_DUE_LATER;
    }
    sender->offset = frame->offset;
    if (sender->index == c->myself->replica_of) shoal_bus__manual_heard(c, frame);
}

static void dispatch(shoal_cluster *c, bus_link *link, bus_node *sender, const shoal_frame *frame,
                     size_t size)
{
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(frame->type < SHOAL_FRAME_TYPE_COUNT);
    switch (frame->type) {
    case SHOAL_FRAME_PING:
    case SHOAL_FRAME_PONG:
    case SHOAL_FRAME_MEET: receive_ping(c, link, sender, frame, size); return;
    default: break;
    }
    if (!sender || sender == c->myself) {
        shoal_bus__refuse(c, BUS_REFUSED_UNKNOWN_SENDER, link, size,
                          shoal_frame_type_name(frame->type));
        return;
    }
    switch (frame->type) {
    case SHOAL_FRAME_FAIL: receive_fail(c, sender, link, frame, size); break;
    case SHOAL_FRAME_UPDATE: receive_update(c, link, frame, size); break;
    case SHOAL_FRAME_AUTH_REQUEST: shoal_bus__vote(c, sender, frame); break;
    case SHOAL_FRAME_AUTH_ACK: shoal_bus__vote_received(c, sender, frame); break;
    case SHOAL_FRAME_MFSTART: shoal_bus__manual_requested(c, sender); break;
    case SHOAL_FRAME_PUBLISH:
    case SHOAL_FRAME_PUBLISHSHARD: receive_message(c, link, frame, size); break;
    default:
        /* Modules talk to modules. */
        shoal_bus__refuse(c, BUS_REFUSED_NOT_SERVED, link, size,
                          shoal_frame_type_name(frame->type));
        break;
    }
}

/* A frame that is well formed, of so many bytes. */
static void read_frame(shoal_cluster *c, bus_link *link, const shoal_frame *frame, size_t size)
{
    SHOAL_ASSERT(frame->type < SHOAL_FRAME_TYPE_COUNT);
    SHOAL_ASSERT(size >= SHOAL_FRAME_HEADER_SIZE);
    if (frame->current_epoch > BUS_EPOCH_MAX || frame->config_epoch > BUS_EPOCH_MAX ||
        frame->update_epoch > BUS_EPOCH_MAX) {
        shoal_bus__refuse(c, BUS_REFUSED_MALFORMED, link, size, "an epoch out of range");
        return;
    }
    c->received[frame->type]++;
    shoal_bus__note(c, SHOAL_TRACE_FRAME_RECEIVED, (uint64_t[3]){frame->type, link->id, size},
                    (shoal_slice){frame->sender, SHOAL_NODE_NAME_LEN});
    if (c->ignored_type == frame->type + 1u) return; /* DEBUG asked for that */
    bus_node *sender = find_sender(c, link, frame);
    if (sender && sender != c->myself) {
        if (link->inbound && !link->node) shoal_bus__link_assign(c, link, sender);
        read_header(c, sender, frame);
    }
    dispatch(c, link, sender, frame, size);
}

void shoal_bus__receive(shoal_cluster *c, bus_link *link, shoal_slice bytes)
{
    SHOAL_ASSERT(link->reading);
    SHOAL_ASSERT(bytes.size >= SHOAL_FRAME_HEADER_SIZE);
    shoal_frame frame;
    shoal_frame_error error = {0};
    shoal_err result = shoal_frame_decode(bytes, &frame, &error);
    if (result != SHOAL_ERR_OK) {
        uint32_t reason =
            result == SHOAL_ERR_UNSUPPORTED ? BUS_REFUSED_UNSUPPORTED : BUS_REFUSED_MALFORMED;
        shoal_bus__refuse(c, reason, link, bytes.size, error.what ? error.what : "");
        return;
    }
    read_frame(c, link, &frame, bytes.size);
}

void shoal_bus__receive_parcel(shoal_cluster *c, bus_link *link, const shoal_parcel *parcel)
{
    SHOAL_ASSERT(link->reading);
    SHOAL_ASSERT(parcel->frame.type <= SHOAL_FRAME_MEET);
    c->parcel = parcel;
    read_frame(c, link, &parcel->frame, shoal_parcel_size(parcel));
    c->parcel = NULL;
}
