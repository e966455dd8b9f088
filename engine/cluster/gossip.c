/* SPDX-License-Identifier: MIT
 *
 * What nodes tell each other about others. A section names a tenth of the nodes, at least three,
 * drawn at random, and every node that the sender suspects. Reading it: voters' suspicions are
 * counted, good news saves pings, addresses of failing nodes are corrected, and nodes never heard
 * of enter the table, because a node of the cluster vouches for them.
 */
#include "cluster/internal.h"

#include "base/assert.h"

/* Flags of an entry that may be taken over for a node that enters the table. */
#define ADOPTED_FLAGS \
    (SHOAL_NODE_REPLICA | SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL | SHOAL_NODE_NOFAILOVER)

#define DRAWN_AHEAD 16u

/* ---- telling ---- */

static bool room_for(shoal_cluster *c, uint32_t count)
{
    SHOAL_ASSERT(count > 0);
    if (count <= c->gossip_capacity) return true;
    const shoal_allocator *a = &c->allocator;
    uint32_t capacity = c->node_capacity;
    SHOAL_ASSERT(count <= capacity);
    shoal_gossip *gossip = a->allocate_zeroed(a->context, capacity * sizeof(shoal_gossip), 8);
    if (!gossip) return false;
    if (c->gossip) {
        a->release(a->context, c->gossip, c->gossip_capacity * sizeof(shoal_gossip), 8);
    }
    c->gossip = gossip;
    c->gossip_capacity = capacity;
    return true;
}

/* Where a section is written to: entries for bytes, or a parcel. */
typedef struct section {
    shoal_gossip *entries; /* NULL: into the parcel */
    shoal_parcel *parcel;
} section;

/* Seconds of our wall clock. */
static uint32_t told_s(const shoal_cluster *c, int64_t moment_us)
{
    SHOAL_ASSERT(moment_us >= 0);
    return (uint32_t)(shoal_bus__wall_ms(c, moment_us) / 1000);
}

/* The last pong of a node, in seconds of our wall clock; 0 where there was none since our start.
 * One of a former run counts as of our start for ourselves, but it is no news: to whom we told
 * that, a node that is gone would look alive for longer, the later one of us had started. */
static uint32_t pong_s(const shoal_cluster *c, const bus_glance *glance)
{
    SHOAL_ASSERT(c->loaded_us <= shoal_bus__stamp(c));
    return glance->pong_received_us > c->loaded_us ? told_s(c, glance->pong_received_us) : 0;
}

/* False without memory for its numbers. */
static bool pack_rumor(shoal_cluster *c, bus_node *node, bus_rumor *rumor)
{
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_HANDSHAKE));
    if (!(node->who && node->where) && !shoal_bus__number_take(c, node)) return false;
    rumor->who = node->who;
    rumor->where = node->where;
    rumor->ping_sent_s = told_s(c, node->ping_sent_us);
    rumor->pong_received_s = pong_s(c, shoal_bus__glance(c, node));
    rumor->flags = node->flags;
    return true;
}

static void write_entry(const shoal_cluster *c, const bus_node *node, shoal_gossip *entry)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_HANDSHAKE));
    memcpy(entry->name, node->name, SHOAL_NODE_NAME_LEN);
    memcpy(entry->ip, node->ip, sizeof(entry->ip));
    entry->ping_sent_s = told_s(c, node->ping_sent_us);
    entry->pong_received_s = pong_s(c, shoal_bus__glance(c, node));
    entry->port = node->port;
    entry->bus_port = node->bus_port;
    entry->tls_port = node->tls_port;
    entry->flags = node->flags;
}

/* Writes entry `at`; returns how many there are then. */
static uint32_t tell_of(shoal_cluster *c, bus_node *node, const section *to, uint32_t at)
{
    SHOAL_ASSERT((to->entries == NULL) == (to->parcel != NULL));
    SHOAL_ASSERT(to->entries || at < to->parcel->capacity);
    if (!to->entries) return at + pack_rumor(c, node, &to->parcel->rumors[at]);
    write_entry(c, node, &to->entries[at]);
    return at + 1;
}

/* Draws the places of up to `count` nodes, so that all their misses of the cache go on at once. A
 * draw that is not used is taken back: each is one step of the stream. */
static uint32_t draw_ahead(shoal_cluster *c, uint32_t count, bool brief,
                           uint16_t ahead[DRAWN_AHEAD])
{
    SHOAL_ASSERT(count > 0);
    SHOAL_ASSERT(c->node_count > 2);
    if (count > DRAWN_AHEAD) count = DRAWN_AHEAD;
    for (uint32_t i = 0; i < count; i++) {
        ahead[i] = (uint16_t)shoal_prng_below(&c->random_gossip, c->node_count);
        __builtin_prefetch(&c->glances[ahead[i]]);
        if (brief) continue;
        const char *node = (const char *)c->live[ahead[i]];
        __builtin_prefetch(node);
        __builtin_prefetch(node + BUS_NODE_ALIGNMENT);
        __builtin_prefetch(node + 2 * BUS_NODE_ALIGNMENT);
    }
    return count;
}

/* Notes that the section tells of the node at this place; false when it does already. */
static inline bool note_told(const shoal_cluster *c, uint32_t at)
{
    uint64_t bit = UINT64_C(1) << (at & 63), *word = &c->told[at >> 6];
    if (*word & bit) return false;
    *word |= bit;
    return true;
}

/* What a draw comes to. */
enum { DRAW_TELL, DRAW_SKIP, DRAW_UNFIT /* nobody would ever tell of it */ };

/* Whether the node at this place is told of; brings what is known by place up to date. */
static int judge_draw(const shoal_cluster *c, const bus_node *receiver, uint32_t at)
{
    const bus_node *node = c->live[at];
    SHOAL_ASSERT(node->live_at == at);
    if (node == c->myself || node == receiver) return DRAW_SKIP;
    if (shoal_bus__is(node, SHOAL_NODE_PFAIL)) return DRAW_SKIP;
    if (!shoal_bus__worth_telling(node)) return DRAW_UNFIT;
    SHOAL_ASSERT(!c->glances[at].plain || node->link || node->slot_count > 0);
    return note_told(c, at) ? DRAW_TELL : DRAW_SKIP;
}

/* The same for one that is plain, which is told of in the parcel. Seconds of our wall clock are
 * `since_us` plus the moment. */
static uint32_t tell_plain(const bus_glance *glance, int64_t since_us, int64_t loaded_us,
                           bus_rumor *rumor)
{
    SHOAL_DEBUG_ASSERT(glance->plain && glance->who > 0);
    bool had_one = glance->pong_received_us > loaded_us;
    int64_t wall_us = had_one ? since_us + glance->pong_received_us : 0;
    *rumor = (bus_rumor){.who = glance->who,
                         .where = glance->where,
                         .pong_received_s = wall_us > 0 ? (uint32_t)(wall_us / 1000000) : 0,
                         .flags = glance->flags};
    return 1;
}

/* Draws up to `wanted` healthy nodes. */
static uint32_t draw_nodes(shoal_cluster *c, const bus_node *receiver, uint32_t wanted,
                           const section *to)
{
    SHOAL_ASSERT(c->node_count > 2);
    SHOAL_ASSERT(wanted > 0);
    uint32_t count = 0, drawn = 0, used = 0;
    uint32_t fresh = c->node_count - 2, skipped = receiver ? receiver->live_at : BUS_NODES_MAX;
    int64_t since_us = c->now.wall_us - c->now.mono_us;
    uint16_t ahead[DRAWN_AHEAD];
    memset(c->told, 0, (c->node_count / 64 + 1) * sizeof(uint64_t));
    for (uint32_t draws = 3 * wanted; draws > 0 && count < wanted && fresh > 0; draws--) {
        if (used == drawn) {
            drawn =
                draw_ahead(c, wanted - count < draws ? wanted - count : draws, !to->entries, ahead);
            used = 0;
        }
        uint32_t at = ahead[used++];
        const bus_glance *glance = &c->glances[at];
        if (to->parcel && glance->plain && glance->where > 0) {
            if (at == skipped || !note_told(c, at)) continue;
            count += tell_plain(glance, since_us, c->loaded_us, &to->parcel->rumors[count]);
            fresh--;
            continue;
        }
        if (glance->unfit) {
            fresh -= at != skipped;
            continue;
        }
        int draw = judge_draw(c, receiver, at);
        fresh -= draw != DRAW_SKIP;
        if (draw == DRAW_TELL) count = tell_of(c, c->live[at], to, count);
        shoal_bus__sharpen(c, c->live[at]);
    }
    c->random_gossip.counter -= drawn - used;
    return count;
}

/* Adds every node that is suspected, or failed where nobody can find it. */
static uint32_t add_suspects(shoal_cluster *c, uint32_t count, const section *to)
{
    SHOAL_ASSERT(count <= c->node_count);
    SHOAL_ASSERT(c->suspects > 0);
    for (uint32_t i = 0; i < c->node_count; i++) {
        bus_node *node = c->live[i];
        if (!shoal_bus__always_told(c, node)) continue;
        count = tell_of(c, node, to, count);
    }
    return count;
}

/* How many healthy nodes a section tells of. */
static uint32_t wanted_of(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count >= 1);
    if (c->node_count <= 2) return 0;
    uint32_t wanted = c->node_count / 10;
    if (wanted < 3) wanted = 3;
    return wanted < c->node_count - 2 ? wanted : c->node_count - 2;
}

static uint16_t choose(shoal_cluster *c, const bus_node *receiver, const section *to)
{
    SHOAL_ASSERT(!receiver || shoal_bus__knows(c, receiver));
    SHOAL_ASSERT(receiver != c->myself);
    c->gossip_round++;
    uint32_t count = 0, wanted = wanted_of(c);
    if (wanted > 0) count = draw_nodes(c, receiver, wanted, to);
    if (c->suspects > 0) count = add_suspects(c, count, to);
    SHOAL_ASSERT(count <= c->node_count);
    return (uint16_t)count;
}

uint16_t shoal_bus__gossip_choose(shoal_cluster *c, const bus_node *receiver)
{
    SHOAL_ASSERT(receiver != c->myself);
    if (!room_for(c, c->node_count)) return 0;
    SHOAL_ASSERT(c->gossip_capacity >= c->node_count);
    return choose(c, receiver, &(section){.entries = c->gossip});
}

shoal_parcel *shoal_bus__gossip_pack(shoal_cluster *c, const bus_node *receiver)
{
    SHOAL_ASSERT(c->host->exchange);
    uint32_t most = c->suspects > 0 ? c->node_count : wanted_of(c);
    shoal_parcel *parcel = shoal_parcel__make(c->host->exchange, most);
    if (!parcel) return NULL;
    SHOAL_ASSERT(parcel->capacity >= most);
    parcel->frame.count = choose(c, receiver, &(section){.parcel = parcel});
    return parcel;
}

/* ---- reading ---- */

static void read_suspicion(shoal_cluster *c, bus_node *sender, bus_node *node, bool suspected)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    if (!shoal_bus__reports(c, sender) || node == c->myself || node == sender) return;
    if (!suspected) {
        if (shoal_bus__report_remove(node, sender)) {
            shoal_bus__log(c, BUS_VERBOSE, "Node %s reported node %s is back online.", sender->name,
                           node->name);
        }
        return;
    }
    bool news = shoal_bus__report_add(c, node, sender);
    if (news) {
        uint32_t valid = shoal_bus__report_count(c, node);
        char both[2 * SHOAL_NODE_NAME_LEN + 1];
        memcpy(both, sender->name, SHOAL_NODE_NAME_LEN);
        both[SHOAL_NODE_NAME_LEN] = ' ';
        memcpy(both + SHOAL_NODE_NAME_LEN + 1, node->name, SHOAL_NODE_NAME_LEN);
        shoal_bus__note(c, SHOAL_TRACE_FAIL_REPORT, (uint64_t[3]){valid, shoal_bus__quorum(c)},
                        (shoal_slice){both, sizeof(both)});
    }
    shoal_bus__fail_if_agreed(c, node);
    if (news && shoal_bus__is(node, SHOAL_NODE_PFAIL)) {
        shoal_bus__why_not(c, BUS_WHY_QUORUM, "%s: %u reports of others, %u masters needed",
                           node->name, shoal_bus__report_count(c, node), shoal_bus__quorum(c));
    }
}

/* A second that was told before says nothing new: held against a wall clock that stands or goes
 * back it would look fresh each time, and a node that is gone would be suspected late. */
static inline void take_pong(const shoal_cluster *c, bus_glance *glance, uint32_t pong_s)
{
    int64_t age_us = c->now.wall_us - (int64_t)pong_s * 1000000;
    if (pong_s <= glance->told_s || age_us < -BUS_PONG_AHEAD_US) return;
    int64_t moment_us = c->now.mono_us - (age_us > 0 ? age_us : 0);
    glance->told_s = pong_s;
    if (moment_us > glance->pong_received_us) glance->pong_received_us = moment_us;
}

/* Somebody had a pong of a node that we have no quarrel with: as good as one of our own. */
static void adopt_pong(const shoal_cluster *c, bus_node *node, uint32_t pong_s)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_FAIL));
    if (node->ping_sent_us || shoal_bus__report_count(c, node) > 0) return;
    take_pong(c, shoal_bus__glance(c, node), pong_s);
}

/* The sender reaches a node that we do not: perhaps it moved. */
static void correct_address(shoal_cluster *c, bus_node *node, const shoal_gossip *entry)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(entry->ip[0]);
    bool same = memcmp(node->ip, entry->ip, sizeof(node->ip)) == 0 && node->port == entry->port &&
                node->bus_port == entry->bus_port;
    if (same) return;
    if (node->link) shoal_bus__link_drop(c, node->link);
    memcpy(node->ip, entry->ip, sizeof(node->ip));
    node->port = entry->port;
    node->bus_port = entry->bus_port;
    node->tls_port = entry->tls_port;
    node->where = 0;
    node->flags &= (uint16_t)~SHOAL_NODE_NOADDR;
    shoal_bus__blur(c, node);
    shoal_bus__note_known(c, node);
    c->due |= BUS_DUE_LATER | shoal_bus__due_route(c, node);
}

static void learn_node(shoal_cluster *c, const shoal_gossip *entry)
{
    SHOAL_ASSERT(entry->ip[0]);
    SHOAL_ASSERT(!shoal_bus__node_find(c, entry->name));
    if (shoal_bus__is_forgotten(c, entry->name)) {
        shoal_bus__why_not(c, BUS_WHY_FORGOTTEN, "%.*s", SHOAL_NODE_NAME_LEN, entry->name);
        return;
    }
    uint16_t flags = entry->flags & ADOPTED_FLAGS;
    if (!(flags & SHOAL_NODE_REPLICA)) flags |= SHOAL_NODE_MASTER;
    bus_node *node = shoal_bus__node_add(c, entry->name, flags);
    if (!node) return;
    memcpy(node->ip, entry->ip, sizeof(node->ip));
    node->port = entry->port;
    node->bus_port = entry->bus_port;
    node->tls_port = entry->tls_port;
    shoal_bus__note_known(c, node);
    c->due |= BUS_DUE_LATER;
}

/* The whole entry; what is no address is left out. */
static void get_entry(const shoal_cluster *c, const shoal_frame *frame, uint32_t index,
                      shoal_gossip *entry)
{
    SHOAL_ASSERT(index < frame->count);
    SHOAL_ASSERT(!c->parcel || &c->parcel->frame == frame);
    if (c->parcel) {
        shoal_parcel__gossip(c->parcel, index, entry);
    } else {
        shoal_frame_gossip(frame, index, entry);
    }
    shoal_slice ip = shoal_bus__field(entry->ip, sizeof(entry->ip) - 1);
    if (!shoal_bus__is_ip(ip)) ip.size = 0;
    shoal_bus__copy_text(entry->ip, sizeof(entry->ip), ip);
}

/* The entry is about a node whose address we might use. */
static void read_address(shoal_cluster *c, bus_node *node, const shoal_frame *frame, uint32_t index)
{
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(frame->type <= SHOAL_FRAME_MEET);
    shoal_gossip entry;
    get_entry(c, frame, index, &entry);
    if ((entry.flags & SHOAL_NODE_NOADDR) || !entry.ip[0]) return;
    if (node)
        correct_address(c, node, &entry);
    else
        learn_node(c, &entry);
}

/* What most entries are read for. The name of one in a parcel is only looked at when nobody is
 * known by its number. */
static void get_brief(const shoal_cluster *c, const shoal_frame *frame, uint32_t index,
                      shoal_gossip_brief *brief)
{
    SHOAL_ASSERT(index < frame->count);
    SHOAL_ASSERT(!c->parcel || &c->parcel->frame == frame);
    if (!c->parcel) {
        shoal_frame_gossip_brief(frame, index, brief);
        return;
    }
    const bus_rumor *rumor = &c->parcel->rumors[index];
    *brief = (shoal_gossip_brief){.pong_received_s = rumor->pong_received_s, .flags = rumor->flags};
}

static void read_entry(shoal_cluster *c, bus_node *sender, const shoal_frame *frame, uint32_t index)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(sender != c->myself);
    shoal_gossip_brief brief;
    get_brief(c, frame, index, &brief);
    bool suspected = brief.flags & (SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL);
    bus_node *node = c->told_of[index % BUS_FIND_MAX];
    /* An entry before this one may have been about the same new node. */
    if (!node && c->parcel) node = shoal_bus__number_find(c, c->parcel->rumors[index].who);
    if (!node && !c->parcel) node = shoal_bus__node_find(c, brief.name);
    if (!node) {
        read_address(c, NULL, frame, index);
        return;
    }
    read_suspicion(c, sender, node, suspected);
    if (node == c->myself || suspected) return;
    uint16_t missed = SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL | SHOAL_NODE_NOADDR;
    if (!shoal_bus__is(node, missed))
        adopt_pong(c, node, brief.pong_received_s);
    else
        read_address(c, node, frame, index);
}

/* Reads the rumors from `index` on. Most are good news of somebody who is plain, and then only the
 * moment matters; of others all is looked at. */
static void read_rumors(shoal_cluster *c, bus_node *sender, const shoal_parcel *parcel,
                        uint32_t index)
{
    uint16_t trouble = SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL, places[BUS_FIND_MAX];
    uint32_t count = parcel->frame.count - index;
    if (count > BUS_FIND_MAX) count = BUS_FIND_MAX;
    SHOAL_ASSERT(index < parcel->frame.count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t who = parcel->rumors[index + i].who;
        places[i] = who < c->by_who_capacity ? c->by_who[who] : 0;
        __builtin_prefetch(&c->glances[places[i] ? places[i] - 1u : 0], 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        const bus_rumor *rumor = &parcel->rumors[index + i];
        bus_glance *glance = places[i] ? &c->glances[places[i] - 1] : NULL;
        if (glance && glance->plain && !(rumor->flags & trouble)) {
            take_pong(c, glance, rumor->pong_received_s);
            continue;
        }
        c->told_of[(index + i) % BUS_FIND_MAX] = glance ? c->live[places[i] - 1] : NULL;
        read_entry(c, sender, &parcel->frame, index + i);
        if (glance) shoal_bus__sharpen(c, c->live[places[i] - 1]);
    }
}

/* Looks up whom the entries from `index` on are about; no node goes while they are read. */
static void find_told(shoal_cluster *c, const shoal_frame *frame, uint32_t index)
{
    SHOAL_ASSERT(index % BUS_FIND_MAX == 0);
    SHOAL_ASSERT(index < frame->count);
    SHOAL_ASSERT(!c->parcel);
    const char *names[BUS_FIND_MAX];
    uint32_t count = 0;
    for (; count < BUS_FIND_MAX && index + count < frame->count; count++) {
        shoal_gossip_brief brief;
        shoal_frame_gossip_brief(frame, index + count, &brief);
        names[count] = brief.name;
    }
    shoal_bus__nodes_find(c, names, count, c->told_of);
}

void shoal_bus__gossip_read(shoal_cluster *c, bus_node *sender, const shoal_frame *frame)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(!shoal_bus__is(sender, SHOAL_NODE_HANDSHAKE));
    SHOAL_ASSERT(frame->type <= SHOAL_FRAME_MEET);
    SHOAL_ASSERT(sender != c->myself);
    for (uint32_t i = 0; c->parcel && i < frame->count; i += BUS_FIND_MAX) {
        read_rumors(c, sender, c->parcel, i);
    }
    for (uint32_t i = 0; !c->parcel && i < frame->count; i++) {
        if (i % BUS_FIND_MAX == 0) find_told(c, frame, i);
        read_entry(c, sender, frame, i);
    }
}
