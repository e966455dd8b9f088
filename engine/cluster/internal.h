/* SPDX-License-Identifier: MIT
 *
 * cluster/internal.h - the functions by which the files of this room call each other. The data
 * that they work on stand in model.h.
 *
 * How a step goes: a public function of cluster.h sets `now`, does its work, which only marks what
 * has to follow (`due`), and ends with shoal_bus__finish, which updates the cluster state, writes
 * the trace records that sum up changes, and starts a save.
 */
#ifndef SHOAL_CLUSTER_INTERNAL_H
#define SHOAL_CLUSTER_INTERNAL_H

#include <string.h>

#include "cluster/glance.h"
#include "cluster/model.h"

/* ---- small things ---- */

/* The present moment as it is stored: never 0. */
static inline int64_t shoal_bus__stamp(const shoal_cluster *c)
{
    return c->now.mono_us > 0 ? c->now.mono_us : 1;
}

/* Microseconds since a stored moment; the longest time when it never was. */
static inline int64_t shoal_bus__since(const shoal_cluster *c, int64_t moment_us)
{
    return moment_us == 0 ? INT64_MAX : c->now.mono_us - moment_us;
}

/* The node timeout in microseconds. */
static inline int64_t shoal_bus__timeout_us(const shoal_cluster *c)
{
    return c->settings.node_timeout_ms * 1000;
}

/* A stored moment on the wall clock, in milliseconds; 0 for never. */
int64_t shoal_bus__wall_ms(const shoal_cluster *c, int64_t moment_us);

/* The node is in the table: it was not removed meanwhile. */
static inline bool shoal_bus__knows(const shoal_cluster *c, const bus_node *node)
{
    return node->index < c->node_capacity && c->nodes[node->index] == node;
}

/* Something changed that the cron decides by: it looks at the node the next time. Not for what
 * only puts its decisions off. */
static inline void shoal_bus__unsettle(const shoal_cluster *c, const bus_node *node)
{
    c->quiet_us[node->live_at] = 0;
    c->quiet_least_us[node->live_at / BUS_QUIET_GROUP] = 0;
}

/* The route may tell of the node: it has slots, or is to get some. That of few nodes is made again
 * for whatever changes, which costs little. */
static inline bool shoal_bus__is_routed(const shoal_cluster *c, const bus_node *node)
{
    return node->slot_count > 0 || c->move_count > 0;
}

/* How soon nodes.conf and the route have to tell of a change of the node: what this node is must be
 * durable before anybody builds on it, what others are it would learn again from them. */
static inline uint32_t shoal_bus__due_change(const shoal_cluster *c, const bus_node *node)
{
    if (node == c->myself) return BUS_DUE_SAVE | BUS_DUE_ROUTE;
    bool few = c->node_count <= BUS_ROUTE_AT_ONCE;
    return few || shoal_bus__is_routed(c, node) ? BUS_DUE_LATER | BUS_DUE_MAP : BUS_DUE_LATER;
}

/* What is due for the route when a node's name or address is another, or it is gone. */
static inline uint32_t shoal_bus__due_route(const shoal_cluster *c, const bus_node *node)
{
    bool few = c->node_count <= BUS_ROUTE_AT_ONCE;
    return few || shoal_bus__is_routed(c, node) ? BUS_DUE_ROUTE : 0;
}

/* How far ahead a walk over all nodes asks for them, and the lines of a node that it asks for: all
 * but the last, which hold what rarely matters. Does nothing behind the end. */
#define BUS_EXPECT_AHEAD 4
static inline void shoal_bus__expect_live(const shoal_cluster *c, uint32_t at)
{
    if (at >= c->node_count) return;
    const char *node = (const char *)c->live[at];
    for (size_t line = 0; line < 4; line++) __builtin_prefetch(node + line * BUS_NODE_ALIGNMENT);
}

/* ---- address.c ---- */

/* Copies text, cut to `size` - 1 bytes, and fills the rest with zeros. */
void shoal_bus__copy_text(char *to, size_t size, shoal_slice text);
/* A slice over a field that is zero padded but may lack a terminator. */
shoal_slice shoal_bus__field(const char *field, size_t size);
/* Whether the text is an IPv4 or IPv6 address. */
bool shoal_bus__is_ip(shoal_slice text);
/* Whether these can be a node's name (small letters and digits) or host name (letters, digits, dots
 * and dashes, or nothing): nodes.conf could not hold others. */
bool shoal_bus__is_name(const char name[SHOAL_NODE_NAME_LEN]);
bool shoal_bus__is_hostname(shoal_slice text);

/* ---- index.c ---- */

/* The value that matches, or NULL. */
void *shoal_bus__index_find(const bus_index *index, uint64_t hash, bus_index_match match,
                            const void *key);
/* Adds a value that is not in yet. False without memory. */
bool shoal_bus__index_add(bus_index *index, const shoal_allocator *allocator, uint64_t hash,
                          void *value);
/* Removes a value that is in. */
void shoal_bus__index_remove(bus_index *index, uint64_t hash, const void *value);
void shoal_bus__index_free(bus_index *index, const shoal_allocator *allocator);

/* ---- note.c: trace records ---- */

/* A record with its numbers and its text. */
void shoal_bus__note(shoal_cluster *c, shoal_trace_kind kind, const uint64_t numbers[3],
                     shoal_slice text);
/* A record whose text is a node's name. */
void shoal_bus__note_node(shoal_cluster *c, shoal_trace_kind kind, const bus_node *node);
void shoal_bus__log(shoal_cluster *c, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* WHY_NOT, with a detail for people. */
void shoal_bus__why_not(shoal_cluster *c, uint32_t reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* FRAME_REFUSED, counted. */
void shoal_bus__refuse(shoal_cluster *c, uint32_t reason, const bus_link *link, size_t size,
                       const char *detail);
/* NODE_KNOWN: a node entered the table, or its address or role is another. */
void shoal_bus__note_known(shoal_cluster *c, const bus_node *node);
/* ROLE: whose replica the node is now. */
void shoal_bus__note_role(shoal_cluster *c, const bus_node *node);
/* SLOTS for every node whose slots changed in this step, EPOCH if an epoch did. */
void shoal_bus__note_changes(shoal_cluster *c);

/* ---- nodes.c ---- */

/* A random name of 40 hexadecimal digits. */
void shoal_bus__random_name(shoal_prng *random, char name[SHOAL_NODE_NAME_LEN + 1]);
bus_node *shoal_bus__node_find(const shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN]);
/* Finds `count` (at most BUS_FIND_MAX) nodes at once, NULL for what is not known: so many misses of
 * the cache take little longer than one. */
#define BUS_FIND_MAX 16u
void shoal_bus__nodes_find(const shoal_cluster *c, const char *const *names, uint32_t count,
                           bus_node **out);
/* Numbers of the exchange: of a node's name, 0 without memory; of name and address of one that
 * parcels tell of, false without memory; the node of a name's number, or NULL; and what a node had
 * is forgotten with its name. */
uint32_t shoal_bus__number_of(shoal_cluster *c, bus_node *node);
bool shoal_bus__number_take(shoal_cluster *c, bus_node *node);
bus_node *shoal_bus__number_find(shoal_cluster *c, uint32_t who);
void shoal_bus__number_drop(shoal_cluster *c, bus_node *node);
/* Finds by a name of any length, as a client sends it. */
bus_node *shoal_bus__node_find_text(const shoal_cluster *c, shoal_slice name);
/* Adds a node that is not known; NULL (and a WHY_NOT) when the table is full. `name` NULL takes a
 * random one. No NODE_KNOWN yet: the caller fills in the address first. */
bus_node *shoal_bus__node_add(shoal_cluster *c, const char *name, uint16_t flags);
/* Removes a node, its links, slots, and what it reported. Not myself. */
void shoal_bus__node_remove(shoal_cluster *c, bus_node *node, uint32_t reason);
void shoal_bus__node_rename(shoal_cluster *c, bus_node *node, const char name[SHOAL_NODE_NAME_LEN]);
/* The node is a master from now on. */
void shoal_bus__node_make_master(shoal_cluster *c, bus_node *node);
/* The node is a replica of `master` (BUS_NONE: of one that is not known). Its slots go. */
void shoal_bus__node_make_replica(shoal_cluster *c, bus_node *node, uint16_t master);
/* The node whose slots `node` speaks for: itself or its master; NULL when that is not known. */
bus_node *shoal_bus__node_speaks_for(const shoal_cluster *c, const bus_node *node);
/* The node's host name, maybe empty / gives it another. */
static inline shoal_slice shoal_bus__hostname(const bus_node *node)
{
    return node->hostname ? shoal_bus__field(node->hostname, BUS_HOSTNAME_SIZE)
                          : (shoal_slice){NULL, 0};
}
void shoal_bus__set_hostname(shoal_cluster *c, bus_node *node, shoal_slice hostname);
/* Frees the whole table. */
void shoal_bus__nodes_free(shoal_cluster *c);
/* A handshake with this address is under way. */
bool shoal_bus__handshake_in_progress(const shoal_cluster *c, const shoal_address *address,
                                      uint16_t bus_port);
/* Starts a handshake from CLUSTER MEET: false when the address is no address. */
bool shoal_bus__handshake_start(shoal_cluster *c, const shoal_address *address, uint16_t bus_port);
/* Keeps a name away for a while / tells whether it is kept away. */
void shoal_bus__forget(shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN]);
bool shoal_bus__is_forgotten(const shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN]);
/* Takes this node's own address from the settings (and keeps a learned ip). */
void shoal_bus__adopt_settings(shoal_cluster *c);

/* ---- slots.c ---- */

/* The owner of a slot, or NULL. */
static inline bus_node *shoal_bus__owner(const shoal_cluster *c, uint32_t slot)
{
    uint16_t index = c->owners[slot];
    return index == BUS_NONE ? NULL : c->nodes[index];
}
/* Gives the slot to `node` (a master), or to nobody (NULL). */
void shoal_bus__slot_set(shoal_cluster *c, uint32_t slot, bus_node *node);
/* Takes all slots of a node away. */
void shoal_bus__slots_clear(shoal_cluster *c, bus_node *node);
/* A node's slots for the wire; all zero when it has none. */
void shoal_bus__slots_get(const shoal_cluster *c, const bus_node *node, shoal_slotmap *out);
/* They are one run of neighbours, or none. */
static inline bool shoal_bus__slots_simple(const bus_node *node)
{
    return node->slot_count == 0 || node->slot_most + 1u - node->slot_least == node->slot_count;
}
/* Whether these are the node's slots. */
bool shoal_bus__slots_equal(const shoal_cluster *c, const bus_node *node, const shoal_slotmap *map);
/* The owner of a slot here has stopped claiming it: whoever claims it may have it, whatever the
 * epoch, and nobody is told that it is the owner's. */
static inline bool shoal_bus__slot_unclaimed(const shoal_cluster *c, uint32_t slot)
{
    return c->unclaimed_count > 0 && shoal_slotmap_has(&c->unclaimed, slot);
}
/* The node has stopped claiming some slot that is still its own here. */
bool shoal_bus__slots_doubtful(const shoal_cluster *c, const bus_node *node);
/* The node's slots without those that it does not claim: what others may be told. */
void shoal_bus__slots_claimed(const shoal_cluster *c, const bus_node *node, shoal_slotmap *out);
/* The first slot of the map from `slot` on, or SHOAL_SLOTS. */
uint32_t shoal_bus__slot_next(const shoal_slotmap *map, uint32_t slot);
/* The first run of neighbours among the slots of a node that has some, from `from` on: its first,
 * and its last in `*last`; SHOAL_SLOTS when there is none. */
uint32_t shoal_bus__slot_run(const shoal_cluster *c, const bus_node *node, uint32_t from,
                             uint32_t *last);
/* `sender`, a master, claims `slots` with `epoch`. */
void shoal_bus__slots_claim(shoal_cluster *c, bus_node *sender, uint64_t epoch,
                            const shoal_slotmap *slots);
/* Tells `sender` of a newer owner of a slot it claims, if there is one. */
void shoal_bus__slots_correct(shoal_cluster *c, bus_node *sender, uint64_t epoch,
                              const shoal_slotmap *slots);
/* `sender`, a master, has said that it has our configuration epoch, whatever it had before: of two
 * masters the smaller name takes a new one. */
void shoal_bus__epoch_collision(shoal_cluster *c, const bus_node *sender);
/* Counts the current epoch up; false when that is not possible any more. */
bool shoal_bus__epoch_next(shoal_cluster *c);
/* Takes a new greatest epoch without asking anybody; false when it has the greatest already. */
bool shoal_bus__epoch_bump(shoal_cluster *c);

/* ---- moves.c: slots on their way, `way` is BUS_MOVE_OUT or BUS_MOVE_IN ---- */

/* Where the slot goes to or comes from; NULL when it does not move that way. */
bus_node *shoal_bus__move(const shoal_cluster *c, uint32_t slot, uint32_t way);
/* It goes to / comes from `node` from now on; NULL ends that. False without memory. */
bool shoal_bus__move_set(shoal_cluster *c, uint32_t slot, uint32_t way, const bus_node *node);
/* No slot moves to or from a node that is about to go / at all. */
void shoal_bus__moves_forget(shoal_cluster *c, const bus_node *node);
void shoal_bus__moves_clear(shoal_cluster *c);
void shoal_bus__moves_free(shoal_cluster *c);
/* Appends " [5->-name]" and " [6-<-name]". */
void shoal_bus__moves_text(const shoal_cluster *c, shoal_buffer *out);

/* ---- links.c ---- */

/* Opens the outgoing link of a node. */
void shoal_bus__link_open(shoal_cluster *c, bus_node *node);
/* Opens a link to a seed, whose bus is at this address. */
void shoal_bus__link_open_seed(shoal_cluster *c, const shoal_address *address);
/* Drops a link: closes it at the host and lets its node know. Frees it, or after reading. */
void shoal_bus__link_drop(shoal_cluster *c, bus_link *link);
/* Bytes that wait on the link, as far as the host tells. */
size_t shoal_bus__link_queued(const shoal_cluster *c, const bus_link *link);
/* Ends links on which more waits than cluster-link-sendbuf-limit allows. */
void shoal_bus__links_limit(shoal_cluster *c);
bus_link *shoal_bus__link_find(const shoal_cluster *c, shoal_link id);
/* An inbound link is now known to be of `node`; one it had before is dropped. */
void shoal_bus__link_assign(shoal_cluster *c, bus_link *link, bus_node *node);
void shoal_bus__link_event(shoal_cluster *c, const shoal_event *event);
void shoal_bus__links_free(shoal_cluster *c);

/* ---- seeds.c ---- */

/* Asks a seed when it is time and somebody is lost. */
void shoal_bus__seeds_cron(shoal_cluster *c);

/* ---- send.c ---- */

/* PING, PONG or MEET with a gossip section. A PING that nobody can carry still counts as sent for
 * failure detection: silence must be noticed on links that never come up. */
void shoal_bus__send_ping(shoal_cluster *c, bus_link *link, uint16_t type);
/* FAIL about `node` to every node that has a link. */
void shoal_bus__send_fail(shoal_cluster *c, const bus_node *node);
/* Tells everybody that an operator made this node forget `node`, so that they do too. */
void shoal_bus__send_forgotten(shoal_cluster *c, const bus_node *node);
/* UPDATE: how `owner` is configured, to the node of `link`. */
void shoal_bus__send_update(shoal_cluster *c, bus_link *link, const bus_node *owner);
/* Encodes a bare header (a vote, a request for votes) into `out`; it leaves by
 * shoal_bus__send_bytes. */
void shoal_bus__encode_bare(shoal_cluster *c, uint16_t type, shoal_buffer *out);
/* Sends a bare header (MFSTART). */
void shoal_bus__send_bare(shoal_cluster *c, bus_link *link, uint16_t type);
/* Sends one encoded frame. */
void shoal_bus__send_bytes(shoal_cluster *c, bus_link *link, uint16_t type, shoal_slice frame);

/* ---- gossip.c ---- */

/* Fills cluster.gossip for a frame to `receiver` (NULL: not known yet); returns the count. */
uint16_t shoal_bus__gossip_choose(shoal_cluster *c, const bus_node *receiver);
/* The same as a new parcel, with `count` set and nothing else; NULL without memory. */
shoal_parcel *shoal_bus__gossip_pack(shoal_cluster *c, const bus_node *receiver);
/* What `sender` tells of others. */
void shoal_bus__gossip_read(shoal_cluster *c, bus_node *sender, const shoal_frame *frame);

/* ---- receive.c ---- */

/* One whole frame came. The link may be dead afterwards (link->dead). */
void shoal_bus__receive(shoal_cluster *c, bus_link *link, shoal_slice bytes);
/* One came as a parcel. */
void shoal_bus__receive_parcel(shoal_cluster *c, bus_link *link, const shoal_parcel *parcel);

/* ---- failure.c ---- */

/* `reporter`, a voter, holds `node` for failing. True when that is news. */
bool shoal_bus__report_add(shoal_cluster *c, bus_node *node, const bus_node *reporter);
bool shoal_bus__report_remove(bus_node *node, const bus_node *reporter);
/* Valid reports about `node`; forgets the others. */
uint32_t shoal_bus__report_count(const shoal_cluster *c, bus_node *node);
void shoal_bus__reports_free(shoal_cluster *c, bus_node *node);
/* PFAIL becomes FAIL when enough masters agree. */
void shoal_bus__fail_if_agreed(shoal_cluster *c, bus_node *node);
/* The node has answered: PFAIL ends, FAIL ends if the rules allow. */
void shoal_bus__answered(shoal_cluster *c, bus_node *node);
/* Sets a flag with its record. */
void shoal_bus__set_suspect(shoal_cluster *c, bus_node *node);
void shoal_bus__set_failed(shoal_cluster *c, bus_node *node, uint32_t reports);
/* A voter: a master that serves slots; with cluster-voters all, every node. */
static inline bool shoal_bus__votes(const shoal_cluster *c, const bus_node *node)
{
    if (c->settings.voters_all) return !shoal_bus__is(node, SHOAL_NODE_HANDSHAKE);
    return shoal_bus__is(node, SHOAL_NODE_MASTER) && node->slot_count > 0;
}
/* Its suspicions count towards FAIL. Redis 7.0 counts those of masters without slots too, against a
 * majority of the others; the profile shoal counts voters only. */
static inline bool shoal_bus__reports(const shoal_cluster *c, const bus_node *node)
{
    if (c->failover.timing.eager || c->settings.voters_all) return shoal_bus__votes(c, node);
    return shoal_bus__is(node, SHOAL_NODE_MASTER);
}
/* How many voters make a majority. */
static inline uint32_t shoal_bus__quorum(const shoal_cluster *c)
{
    return shoal_bus__voter_count(c) / 2 + 1;
}

/* ---- election.c ---- */

/* A replica asks for a vote. */
void shoal_bus__vote(shoal_cluster *c, bus_node *sender, const shoal_frame *request);
/* The request for votes to every node, kept until the epoch in it is durable. */
void shoal_bus__hold_request(shoal_cluster *c);
/* Sends the frames that waited for what is durable now. */
void shoal_bus__held_release(shoal_cluster *c);

/* ---- state.c, cron.c, save.c, load.c ---- */

/* Looks whether the cluster is up, and says so when that is news. */
void shoal_bus__state_update(shoal_cluster *c);
/* What is due ten times a second. */
void shoal_bus__cron(shoal_cluster *c);
/* Flags of nodes that are not asked whether they live, and not told of as suspects. Redis 7.0 never
 * fails a node without address; under the profile shoal silence is silence. */
uint16_t shoal_bus__not_watched(const shoal_cluster *c);
/* The moment up to which the cron finds nothing to do for the node, unless something changes
 * (shoal_bus__unsettle); 0: it looks at it each time. */
int64_t shoal_bus__quiet_until(const shoal_cluster *c, const bus_node *node);
/* Starts a save if one is due and none is in flight. */
void shoal_bus__save_start(shoal_cluster *c);
void shoal_bus__save_event(shoal_cluster *c, const shoal_event *event);
/* Ends a step: see the top of this file. */
void shoal_bus__finish(shoal_cluster *c);
/* Asserts everything that holds between two steps, and returns true. O(slots + nodes). */
bool shoal_bus__check(const shoal_cluster *c);

/* ---- admin*.c ---- */

/* Appends a node's line of CLUSTER NODES and nodes.conf, without newline. */
void shoal_bus__node_line(const shoal_cluster *c, const bus_node *node, shoal_buffer *out);
/* Appends " 0-5 7" for the slots of a node. */
void shoal_bus__slot_ranges(const shoal_cluster *c, const bus_node *node, shoal_buffer *out);
/* What clients should connect to, by the preference of the settings. */
const char *shoal_bus__endpoint(const shoal_cluster *c, const bus_node *node);
/* Replies with a verbatim text, and frees it. */
void shoal_bus__reply_text(shoal_cluster_call *call, shoal_buffer *text);
void shoal_bus__command_info(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_nodes(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_replicas(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_slots(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_shards(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_links(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_links_kill(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_links_drop(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_addslots(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_delslots(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_addslotsrange(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_delslotsrange(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_flushslots(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_setslot(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_replicate(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_failover(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_why(shoal_cluster *c, shoal_cluster_call *call);

#endif
