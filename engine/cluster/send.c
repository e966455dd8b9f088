/* SPDX-License-Identifier: MIT
 *
 * Building and sending frames. Every frame's header states who we are, which slots we own and
 * which epochs we know; what follows differs by type.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "base/bytes.h"
#include "base/text.h"

/* Whom the header speaks for: this node, or the master whose replica it is. */
static const bus_node *subject_of(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    const bus_node *master = shoal_bus__my_master(c);
    SHOAL_ASSERT(master != c->myself);
    return master ? master : c->myself;
}

/* While a takeover is not durable, frames are those of the replica that this node was. */
static void hide_claim(const shoal_cluster *c, shoal_frame *frame)
{
    const bus_claim *claim = &c->failover.claim;
    SHOAL_ASSERT(claim->generation > c->save.durable);
    SHOAL_ASSERT(claim->master[0]);
    frame->flags &= (uint16_t)~SHOAL_NODE_MASTER;
    frame->flags |= SHOAL_NODE_REPLICA;
    frame->config_epoch = claim->epoch;
    memcpy(frame->replica_of, claim->master, SHOAL_NODE_NAME_LEN);
}

/* A frame that is being put together, with room for its slots. */
typedef struct draft {
    shoal_frame frame;
    shoal_slotmap slots;
} draft;

/* Fills the header in, but for the slots of the node that it speaks for. */
static void make_header(const shoal_cluster *c, uint16_t type, shoal_frame *frame)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(type < SHOAL_FRAME_TYPE_COUNT);
    const bus_node *me = c->myself, *subject = subject_of(c);
    *frame = (shoal_frame){.type = type,
                           .port = me->port,
                           .bus_port = me->bus_port,
                           .tls_port = me->tls_port,
                           .flags = me->flags,
                           .state = c->up ? 0 : 1,
                           .current_epoch = c->current_epoch,
                           .config_epoch = subject->config_epoch,
                           .offset = shoal_bus__own_offset(c)};
    memcpy(frame->sender, me->name, SHOAL_NODE_NAME_LEN);
    if (subject != me) memcpy(frame->replica_of, subject->name, SHOAL_NODE_NAME_LEN);
    if (c->failover.claim.generation > c->save.durable) hide_claim(c, frame);
    if (shoal_bus__manual_paused(c)) frame->mflags[0] |= SHOAL_MFLAG_PAUSED;
    shoal_bus__copy_text(frame->ip, sizeof(frame->ip), shoal_text(c->settings.announce_ip));
}

/* The same with them. */
static shoal_frame *make_frame(const shoal_cluster *c, uint16_t type, draft *out)
{
    SHOAL_ASSERT(c->myself);
    make_header(c, type, &out->frame);
    SHOAL_ASSERT(out->frame.type == type);
    shoal_bus__slots_get(c, subject_of(c), &out->slots);
    out->frame.slots = &out->slots;
    return &out->frame;
}

/* Encodes into the scratch buffer. Empty without memory. */
static shoal_slice encode(shoal_cluster *c, const shoal_frame *frame)
{
    SHOAL_ASSERT(frame->sender[0]);
    SHOAL_ASSERT(frame->slots);
    shoal_buffer_consume(&c->frame, shoal_buffer_size(&c->frame));
    c->frame.failed = false;
    shoal_frame_encode(frame, &c->frame);
    if (c->frame.failed) return (shoal_slice){0};
    return shoal_buffer_slice(&c->frame);
}

/* Who is at the other end, as far as it is known. */
static shoal_slice peer_of(const bus_link *link)
{
    SHOAL_ASSERT(!link->dead);
    if (!link->node) return (shoal_slice){NULL, 0};
    SHOAL_ASSERT(link->node->name[SHOAL_NODE_NAME_LEN] == 0);
    return (shoal_slice){link->node->name, SHOAL_NODE_NAME_LEN};
}

/* A link that is full takes no frame. */
static bool has_room(shoal_cluster *c, const bus_link *link, uint16_t type)
{
    SHOAL_ASSERT(!link->node || shoal_bus__knows(c, link->node));
    SHOAL_ASSERT(type < SHOAL_FRAME_TYPE_COUNT);
    if (!link->full) return true;
    shoal_slice peer = peer_of(link);
    c->dropped_full++;
    shoal_bus__why_not(c, BUS_WHY_LINK_FULL, "%s to %.*s", shoal_frame_type_name(type),
                       (int)peer.size, peer.data ? peer.data : "");
    return false;
}

static void note_sent(shoal_cluster *c, const bus_link *link, uint16_t type, size_t size)
{
    SHOAL_ASSERT(size >= SHOAL_FRAME_HEADER_SIZE);
    SHOAL_ASSERT(!link->full);
    shoal_bus__note(c, SHOAL_TRACE_FRAME_SENT, (uint64_t[3]){type, link->id, size}, peer_of(link));
}

void shoal_bus__send_bytes(shoal_cluster *c, bus_link *link, uint16_t type, shoal_slice frame)
{
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(type < SHOAL_FRAME_TYPE_COUNT);
    if (frame.size == 0 || !link->up || !has_room(c, link, type)) return;
    c->sent[type]++;
    c->host->link_send(c->host->context, link->id, frame);
    note_sent(c, link, type, frame.size);
}

/* ---- parcels ---- */

/* The host passes frames on as values, and this one can be: parcels have no extensions. */
static bool can_hand(const shoal_cluster *c)
{
    SHOAL_ASSERT((c->host->link_hand == NULL) == (c->host->exchange == NULL));
    SHOAL_ASSERT(c->myself);
    return c->host->link_hand && shoal_bus__hostname(c->myself).size == 0;
}

/* The slots of the node that the header speaks for: their bounds, or all of them. */
static void pack_slots(const shoal_cluster *c, shoal_parcel *parcel)
{
    const bus_node *subject = subject_of(c);
    SHOAL_ASSERT(!parcel->frame.slots);
    parcel->slot_count = 0;
    if (shoal_bus__slots_simple(subject)) {
        parcel->slot_count = (uint16_t)subject->slot_count;
        parcel->slot_least = subject->slot_least;
        parcel->slot_most = subject->slot_most;
        return;
    }
    shoal_bus__slots_get(c, subject, &parcel->slots);
    parcel->frame.slots = &parcel->slots;
    SHOAL_ASSERT(subject->slot_count > 0);
}

/* Who sends it, and whose replica that is. False without memory. */
static bool pack_numbers(shoal_cluster *c, shoal_parcel *parcel)
{
    SHOAL_ASSERT(parcel->frame.sender[0]);
    SHOAL_ASSERT(parcel->exchange == c->host->exchange);
    const char *master = parcel->frame.replica_of;
    parcel->sender = shoal_bus__number_of(c, c->myself);
    parcel->master = master[0] ? shoal_exchange__who(parcel->exchange, master) : 0;
    return parcel->sender > 0 && (parcel->master > 0 || !master[0]);
}

static void hand_ping(shoal_cluster *c, bus_link *link, uint16_t type, bool heir)
{
    SHOAL_ASSERT(link->up);
    SHOAL_ASSERT(type <= SHOAL_FRAME_MEET);
    shoal_parcel *parcel = shoal_bus__gossip_pack(c, link->node);
    if (!parcel) return;
    uint16_t count = parcel->frame.count;
    make_header(c, type, &parcel->frame);
    if (heir) parcel->frame.mflags[1] |= BUS_MFLAG1_HANDOVER;
    parcel->frame.count = count;
    pack_slots(c, parcel);
    if (!pack_numbers(c, parcel) || !has_room(c, link, type)) {
        shoal_parcel_release(parcel);
        return;
    }
    c->sent[type]++;
    size_t size = shoal_parcel_size(parcel);
    c->host->link_hand(c->host->context, link->id, parcel);
    note_sent(c, link, type, size);
}

/* ---- the frames ---- */

void shoal_bus__send_ping(shoal_cluster *c, bus_link *link, uint16_t type)
{
    SHOAL_ASSERT(type <= SHOAL_FRAME_MEET);
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(link->inbound || link->node || link->seed);
    if (type == SHOAL_FRAME_PING && !link->inbound && link->node) {
        link->node->ping_sent_us = shoal_bus__stamp(c);
        shoal_bus__blur(c, link->node);
        shoal_bus__unsettle(c, link->node);
    }
    if (!link->up) return;
    const bus_manual *manual = &c->failover.manual;
    bool heir = manual->offered && link->node && link->node->index == manual->replica;
    if (can_hand(c)) {
        hand_ping(c, link, type, heir);
        return;
    }
    draft room;
    shoal_frame *frame = make_frame(c, type, &room);
    if (heir) frame->mflags[1] |= BUS_MFLAG1_HANDOVER;
    frame->count = shoal_bus__gossip_choose(c, link->node);
    frame->gossip = c->gossip;
    shoal_slice hostname = shoal_bus__hostname(c->myself);
    if (hostname.size > 0) {
        frame->mflags[0] |= SHOAL_MFLAG_EXT_DATA;
        frame->extension_count = 1;
        frame->extensions[0].type = SHOAL_EXT_HOSTNAME;
        frame->extensions[0].data = hostname;
    }
    shoal_bus__send_bytes(c, link, type, encode(c, frame));
}

void shoal_bus__send_fail(shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__is(node, SHOAL_NODE_FAIL));
    SHOAL_ASSERT(node != c->myself);
    draft room;
    shoal_frame *frame = make_frame(c, SHOAL_FRAME_FAIL, &room);
    memcpy(frame->failed_name, node->name, SHOAL_NODE_NAME_LEN);
    shoal_slice bytes = encode(c, frame);
    for (uint32_t i = 0; i < c->node_count; i++) {
        bus_node *other = c->live[i];
        if (!other->link || shoal_bus__is(other, SHOAL_NODE_HANDSHAKE)) continue;
        shoal_bus__send_bytes(c, other->link, SHOAL_FRAME_FAIL, bytes);
    }
}

void shoal_bus__send_forgotten(shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    char data[SHOAL_NODE_NAME_LEN + 8];
    memcpy(data, node->name, SHOAL_NODE_NAME_LEN);
    shoal_bytes_put_be64(data + SHOAL_NODE_NAME_LEN, BUS_FORGOTTEN_MS / 1000);
    draft room;
    shoal_frame *frame = make_frame(c, SHOAL_FRAME_PONG, &room);
    frame->mflags[0] |= SHOAL_MFLAG_EXT_DATA;
    frame->extension_count = 1;
    frame->extensions[0].type = SHOAL_EXT_FORGOTTEN_NODE;
    frame->extensions[0].data = (shoal_slice){data, sizeof(data)};
    /* A frame with extensions and without a host name says that there is none. */
    shoal_slice hostname = shoal_bus__hostname(c->myself);
    if (hostname.size > 0) {
        frame->extensions[1].type = SHOAL_EXT_HOSTNAME;
        frame->extensions[1].data = hostname;
        frame->extension_count++;
    }
    shoal_slice bytes = encode(c, frame);
    for (uint32_t i = 0; i < c->node_count; i++) {
        bus_node *other = c->live[i];
        if (other == node || !other->link || shoal_bus__is(other, SHOAL_NODE_HANDSHAKE)) continue;
        shoal_bus__send_bytes(c, other->link, SHOAL_FRAME_PONG, bytes);
    }
}

void shoal_bus__send_update(shoal_cluster *c, bus_link *link, const bus_node *owner)
{
    SHOAL_ASSERT(owner->slot_count > 0);
    SHOAL_ASSERT(link->node);
    SHOAL_ASSERT(shoal_bus__knows(c, owner));
    draft room;
    shoal_slotmap slots;
    shoal_frame *frame = make_frame(c, SHOAL_FRAME_UPDATE, &room);
    memcpy(frame->update_name, owner->name, SHOAL_NODE_NAME_LEN);
    frame->update_epoch = owner->config_epoch;
    frame->update_slots = &slots;
    shoal_bus__slots_claimed(c, owner, &slots);
    shoal_bus__send_bytes(c, link, SHOAL_FRAME_UPDATE, encode(c, frame));
}

void shoal_bus__encode_bare(shoal_cluster *c, uint16_t type, shoal_buffer *out)
{
    SHOAL_ASSERT(type == SHOAL_FRAME_AUTH_ACK || type == SHOAL_FRAME_AUTH_REQUEST);
    SHOAL_ASSERT(shoal_buffer_size(out) == 0);
    draft room;
    shoal_frame *frame = make_frame(c, type, &room);
    /* By hand: voters must not insist on the master's failure. */
    bool by_hand = type == SHOAL_FRAME_AUTH_REQUEST && c->failover.manual.end_us > 0;
    if (by_hand) frame->mflags[0] |= SHOAL_MFLAG_FORCEACK;
    shoal_frame_encode(frame, out);
}

void shoal_bus__send_bare(shoal_cluster *c, bus_link *link, uint16_t type)
{
    SHOAL_ASSERT(type == SHOAL_FRAME_MFSTART || SHOAL_MUTANT(VOTE_UNDURABLE));
    SHOAL_ASSERT(!link->dead);
    draft room;
    shoal_bus__send_bytes(c, link, type, encode(c, make_frame(c, type, &room)));
}

static void fill_message(shoal_frame *frame, shoal_slice channel, shoal_slice message)
{
    SHOAL_ASSERT(channel.size == 0 || channel.data);
    frame->channel = channel;
    frame->message = message;
}

void shoal_cluster_publish(shoal_cluster *c, bool sharded, shoal_slice channel, shoal_slice message)
{
    SHOAL_ASSERT(channel.size < SHOAL_FRAME_SIZE_MAX && message.size < SHOAL_FRAME_SIZE_MAX);
    if (!c->myself) return;
    if (channel.size + message.size > SHOAL_FRAME_SIZE_MAX - 2 * SHOAL_FRAME_HEADER_SIZE) return;
    uint16_t type = sharded ? SHOAL_FRAME_PUBLISHSHARD : SHOAL_FRAME_PUBLISH;
    draft room;
    shoal_frame *frame = make_frame(c, type, &room);
    fill_message(frame, channel, message);
    shoal_slice bytes = encode(c, frame);
    const bus_node *subject = subject_of(c);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        bool kin = node == subject || node->replica_of == subject->index;
        if (!node->link || shoal_bus__is(node, SHOAL_NODE_HANDSHAKE)) continue;
        if (sharded && !kin) continue;
        shoal_bus__send_bytes(c, node->link, type, bytes);
    }
}
