/* SPDX-License-Identifier: MIT
 *
 * The table of nodes. A node has an index that stays for as long as it is known (slots, replicas
 * and failure reports refer to it by index) and a place in `live`, the order in which the nodes
 * became known, which every walk and every random draw uses. Names lead to nodes by a hash index.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

#define CAPACITY_MIN 8u

/* Numbers without structure that names are hashed with: digits of sqrt(5) and of sqrt(7). */
#define HASH_A UINT64_C(0x3C6EF372FE94F82B)
#define HASH_B UINT64_C(0xA54FF53A5F1D36F1)

/* ---- names ---- */

void shoal_bus__random_name(shoal_prng *random, char name[SHOAL_NODE_NAME_LEN + 1])
{
    SHOAL_ASSERT(random);
    SHOAL_ASSERT(name);
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[SHOAL_NODE_NAME_LEN / 2];
    shoal_prng_fill(random, bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        name[2 * i] = digits[bytes[i] >> 4];
        name[2 * i + 1] = digits[bytes[i] & 15];
    }
    name[SHOAL_NODE_NAME_LEN] = 0;
}

__extension__ typedef unsigned __int128 wide;

/* Both halves of a product, folded. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Keyed, because peers choose the names. */
static uint64_t name_hash(const shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(name);
    uint64_t key = c->index_key, words[SHOAL_NODE_NAME_LEN / 8];
    memcpy(words, name, sizeof(words));
    uint64_t hash =
        fold(words[0] ^ key, words[1] ^ HASH_A) ^ fold(words[2] ^ HASH_B, words[3] ^ key);
    return shoal_prng_mix(hash ^ fold(words[4] ^ key, HASH_A));
}

static inline bool has_name(const bus_node *node, const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(node);
    return memcmp(node->name, name, SHOAL_NODE_NAME_LEN) == 0;
}

/* The node of this hash and name, or NULL. */
static bus_node *find_hashed(const shoal_cluster *c, uint64_t hash, const char *name)
{
    const bus_index *index = &c->names;
    SHOAL_ASSERT(index->count == c->node_count);
    if (index->count == 0) return NULL;
    uint32_t mask = index->capacity - 1;
    for (uint32_t at = (uint32_t)hash & mask; index->cells[at].value; at = (at + 1) & mask) {
        bus_node *node = index->cells[at].value;
        if (index->cells[at].hash == hash && has_name(node, name)) return node;
    }
    return NULL;
}

bus_node *shoal_bus__node_find(const shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(name);
    return find_hashed(c, name_hash(c, name), name);
}

/* Asks for the lines of a node that gossip reads. */
static void expect_node(const bus_node *node)
{
    SHOAL_ASSERT(node);
    __builtin_prefetch(node, 1);
    __builtin_prefetch((const char *)node + BUS_NODE_ALIGNMENT);
}

void shoal_bus__nodes_find(const shoal_cluster *c, const char *const *names, uint32_t count,
                           bus_node **out)
{
    SHOAL_ASSERT(count <= BUS_FIND_MAX);
    SHOAL_ASSERT(c->names.capacity > 0);
    uint64_t hashes[BUS_FIND_MAX];
    uint32_t mask = c->names.capacity - 1;
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = name_hash(c, names[i]);
        __builtin_prefetch(&c->names.cells[hashes[i] & mask]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const bus_index_cell *cell = &c->names.cells[hashes[i] & mask];
        if (cell->value) expect_node(cell->value);
    }
    for (uint32_t i = 0; i < count; i++) out[i] = find_hashed(c, hashes[i], names[i]);
}

/* ---- numbers ---- */

/* The table of numbers reaches up to this one. */
static bool reach_number(shoal_cluster *c, uint32_t who)
{
    SHOAL_ASSERT(who > 0);
    SHOAL_ASSERT((c->by_who == NULL) == (c->by_who_capacity == 0));
    if (who < c->by_who_capacity) return true;
    const shoal_allocator *a = &c->allocator;
    uint32_t capacity = c->by_who_capacity ? c->by_who_capacity : CAPACITY_MIN;
    while (capacity <= who) capacity *= 2;
    uint16_t *grown = a->allocate_zeroed(a->context, capacity * sizeof(uint16_t), 8);
    if (!grown) return false;
    if (c->by_who) {
        memcpy(grown, c->by_who, c->by_who_capacity * sizeof(uint16_t));
        a->release(a->context, c->by_who, c->by_who_capacity * sizeof(uint16_t), 8);
    }
    c->by_who = grown;
    c->by_who_capacity = capacity;
    return true;
}

/* The node's name has this number. */
static void set_number(shoal_cluster *c, bus_node *node, uint32_t who)
{
    SHOAL_ASSERT(who < c->by_who_capacity);
    SHOAL_ASSERT(c->live[node->live_at] == node);
    node->who = who;
    c->by_who[who] = (uint16_t)(node->live_at + 1);
    shoal_bus__blur(c, node);
}

uint32_t shoal_bus__number_of(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(c->host->exchange);
    if (node->who > 0) return node->who;
    uint32_t who = shoal_exchange__who(c->host->exchange, node->name);
    if (who == 0 || !reach_number(c, who)) return 0;
    set_number(c, node, who);
    return who;
}

bool shoal_bus__number_take(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(node != c->myself);
    if (shoal_bus__number_of(c, node) == 0) return false;
    SHOAL_ASSERT(node->who > 0);
    if (node->where > 0) return true;
    bus_place place = {.port = node->port, .bus_port = node->bus_port, .tls_port = node->tls_port};
    memcpy(place.ip, node->ip, sizeof(place.ip));
    node->where = shoal_exchange__where(c->host->exchange, &place);
    shoal_bus__blur(c, node);
    return node->where > 0;
}

bus_node *shoal_bus__number_find(shoal_cluster *c, uint32_t who)
{
    SHOAL_ASSERT(who > 0);
    SHOAL_ASSERT(c->host->exchange);
    if (who < c->by_who_capacity && c->by_who[who]) return c->live[c->by_who[who] - 1];
    bus_node *node = shoal_bus__node_find(c, shoal_exchange__name(c->host->exchange, who));
    if (node && reach_number(c, who)) set_number(c, node, who);
    return node;
}

void shoal_bus__number_drop(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(node->who < c->by_who_capacity || node->who == 0);
    SHOAL_ASSERT(node->who == 0 || c->by_who[node->who] == node->live_at + 1);
    if (node->who > 0) c->by_who[node->who] = 0;
    node->who = 0;
    shoal_bus__blur(c, node);
}

bus_node *shoal_bus__node_find_text(const shoal_cluster *c, shoal_slice name)
{
    SHOAL_ASSERT(name.size == 0 || name.data);
    return name.size == SHOAL_NODE_NAME_LEN ? shoal_bus__node_find(c, name.data) : NULL;
}

/* ---- adding ---- */

/* Bytes of the block that holds all arrays of so many nodes. */
static size_t table_size(uint32_t capacity)
{
    SHOAL_ASSERT(capacity % CAPACITY_MIN == 0);
    size_t each = sizeof(bus_glance) + sizeof(int64_t) + 2 * sizeof(bus_node *);
    size_t groups = capacity / BUS_QUIET_GROUP + 1, words = capacity / 64 + 1;
    return capacity * each + groups * sizeof(int64_t) + words * sizeof(uint64_t);
}

static void free_table(shoal_cluster *c)
{
    SHOAL_ASSERT((c->node_capacity == 0) == (c->glances == NULL));
    const shoal_allocator *a = &c->allocator;
    if (!c->glances) return;
    a->release(a->context, c->glances, table_size(c->node_capacity), BUS_NODE_ALIGNMENT);
    SHOAL_ASSERT(c->nodes);
}

static bool grow_table(shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count == c->node_capacity);
    SHOAL_ASSERT(c->node_capacity < BUS_NODES_MAX);
    uint32_t old = c->node_capacity, capacity = old ? old * 2 : CAPACITY_MIN;
    const shoal_allocator *a = &c->allocator;
    bus_glance *glances = a->allocate_zeroed(a->context, table_size(capacity), BUS_NODE_ALIGNMENT);
    if (!glances) return false;
    int64_t *quiet = (int64_t *)(void *)(glances + capacity);
    bus_node **nodes = (bus_node **)(void *)(quiet + capacity), **live = nodes + capacity;
    if (old > 0) {
        memcpy(glances, c->glances, old * sizeof(bus_glance));
        memcpy(quiet, c->quiet_us, old * sizeof(int64_t));
        memcpy(nodes, c->nodes, old * sizeof(bus_node *));
        memcpy(live, c->live, old * sizeof(bus_node *));
        free_table(c);
    }
    c->glances = glances;
    c->quiet_us = quiet;
    c->nodes = nodes;
    c->live = live;
    /* All groups are looked at again. */
    c->quiet_least_us = (int64_t *)(void *)(live + capacity);
    c->told = (uint64_t *)(void *)(c->quiet_least_us + capacity / BUS_QUIET_GROUP + 1);
    c->node_capacity = capacity;
    return true;
}

/* The smallest free index. */
static uint16_t free_index(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count < c->node_capacity);
    /* Holes are rare (forgotten nodes, handshakes that came to nothing), so the first guess, the
     * number of nodes, is nearly always right. */
    if (!c->nodes[c->node_count]) return (uint16_t)c->node_count;
    uint32_t index = 0;
    while (c->nodes[index]) index++;
    return (uint16_t)index;
}

/* Why there is no room, or a node of zeros. */
static bus_node *make_node(shoal_cluster *c, uint32_t *why)
{
    SHOAL_ASSERT(why);
    SHOAL_ASSERT(c->node_count <= BUS_NODES_MAX);
    *why = BUS_WHY_TABLE_FULL;
    if (c->node_count >= BUS_NODES_MAX) return NULL;
    *why = BUS_WHY_NO_MEMORY;
    if (c->node_count == c->node_capacity && !grow_table(c)) return NULL;
    return c->allocator.allocate_zeroed(c->allocator.context, sizeof(bus_node), BUS_NODE_ALIGNMENT);
}

bus_node *shoal_bus__node_add(shoal_cluster *c, const char *name, uint16_t flags)
{
    SHOAL_ASSERT(!name || shoal_bus__is_name(name));
    SHOAL_ASSERT(c->node_count == c->names.count);
    uint32_t why;
    bus_node *node = make_node(c, &why);
    if (!node) {
        shoal_bus__why_not(c, why, "%u nodes are known", c->node_count);
        return NULL;
    }
    if (name) {
        SHOAL_ASSERT(!shoal_bus__node_find(c, name));
        memcpy(node->name, name, SHOAL_NODE_NAME_LEN);
    } else {
        do {
            shoal_bus__random_name(&c->random_handshake, node->name);
        } while (shoal_bus__node_find(c, node->name));
    }
    if (!shoal_bus__index_add(&c->names, &c->allocator, name_hash(c, node->name), node)) {
        c->allocator.release(c->allocator.context, node, sizeof(bus_node), BUS_NODE_ALIGNMENT);
        shoal_bus__why_not(c, BUS_WHY_NO_MEMORY, "%u nodes are known", c->node_count);
        return NULL;
    }
    node->flags = flags;
    node->replica_of = BUS_NONE;
    node->created_us = shoal_bus__stamp(c);
    if (flags & SHOAL_NODE_FAIL) {
        node->fail_us = shoal_bus__stamp(c);
        node->fail_epoch = UINT64_MAX;
    }
    node->index = free_index(c);
    node->live_at = c->node_count;
    c->nodes[node->index] = node;
    c->quiet_us[c->node_count] = c->quiet_least_us[c->node_count / BUS_QUIET_GROUP] = 0;
    c->glances[c->node_count] = (bus_glance){.pong_received_us = 0};
    c->live[c->node_count++] = node;
    c->no_orphans = false;
    return node;
}

/* ---- removing ---- */

/* Nobody is its replica any more, and nothing it reported counts. */
static void forget_in_others(shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(!shoal_bus__knows(c, node));
    for (uint32_t i = 0; i < c->node_count; i++) {
        bus_node *other = c->live[i];
        if (other->replica_of == node->index) other->replica_of = BUS_NONE;
        shoal_bus__report_remove(other, node);
    }
}

static void free_node(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(node);
    const shoal_allocator *a = &c->allocator;
    shoal_bus__reports_free(c, node);
    if (node->hostname) a->release(a->context, node->hostname, BUS_HOSTNAME_SIZE, 8);
    a->release(a->context, node, sizeof(bus_node), BUS_NODE_ALIGNMENT);
}

void shoal_bus__node_remove(shoal_cluster *c, bus_node *node, uint32_t reason)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(reason != 0);
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(c->live[node->live_at] == node);
    c->due |= shoal_bus__due_route(c, node);
    shoal_bus__slots_clear(c, node);
    shoal_bus__moves_forget(c, node);
    if (node->link) shoal_bus__link_drop(c, node->link);
    if (node->inbound) shoal_bus__link_drop(c, node->inbound);
    if (node->replica_of != BUS_NONE) c->nodes[node->replica_of]->replica_count--;
    shoal_bus__note(c, SHOAL_TRACE_NODE_FORGOTTEN, (uint64_t[3]){reason}, shoal_text(node->name));
    shoal_bus__index_remove(&c->names, name_hash(c, node->name), node);
    shoal_bus__number_drop(c, node);
    c->nodes[node->index] = NULL;
    c->node_count--;
    for (uint32_t i = node->live_at; i < c->node_count; i++) {
        c->quiet_least_us[i / BUS_QUIET_GROUP] = 0;
        c->live[i] = c->live[i + 1];
        c->quiet_us[i] = c->quiet_us[i + 1];
        c->glances[i] = c->glances[i + 1];
        c->live[i]->live_at = i;
        if (c->live[i]->who > 0) c->by_who[c->live[i]->who] = (uint16_t)(i + 1);
    }
    c->live[c->node_count] = NULL;
    if (c->changed_least > 0) c->changed_least--; /* its neighbours are one place further down */
    forget_in_others(c, node);
    c->no_orphans = false;
    free_node(c, node);
    c->due |= BUS_DUE_STATE | BUS_DUE_LATER;
}

void shoal_bus__nodes_free(shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count <= c->node_capacity);
    SHOAL_ASSERT((c->nodes == NULL) == (c->live == NULL));
    const shoal_allocator *a = &c->allocator;
    for (uint32_t i = 0; i < c->node_count; i++) free_node(c, c->live[i]);
    free_table(c);
    shoal_bus__index_free(&c->names, a);
    shoal_bus__moves_free(c);
    c->glances = NULL;
    c->nodes = c->live = NULL;
    c->quiet_us = c->quiet_least_us = NULL;
    c->told = NULL;
    c->node_count = c->node_capacity = 0;
    c->myself = NULL;
}

/* ---- changing ---- */

void shoal_bus__node_rename(shoal_cluster *c, bus_node *node, const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(shoal_bus__is_name(name));
    char both[2 * SHOAL_NODE_NAME_LEN + 1];
    memcpy(both, node->name, SHOAL_NODE_NAME_LEN);
    both[SHOAL_NODE_NAME_LEN] = ' ';
    memcpy(both + SHOAL_NODE_NAME_LEN + 1, name, SHOAL_NODE_NAME_LEN);
    SHOAL_ASSERT(!shoal_bus__node_find(c, name));
    shoal_bus__index_remove(&c->names, name_hash(c, node->name), node);
    shoal_bus__number_drop(c, node);
    memcpy(node->name, name, SHOAL_NODE_NAME_LEN);
    /* Cannot fail: the removal left a free cell. */
    bool added = shoal_bus__index_add(&c->names, &c->allocator, name_hash(c, name), node);
    SHOAL_ASSERT(added);
    shoal_bus__note(c, SHOAL_TRACE_NODE_RENAMED, (uint64_t[3]){0},
                    (shoal_slice){both, sizeof(both)});
    c->due |= BUS_DUE_LATER | shoal_bus__due_route(c, node);
}

static void leave_master(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    if (node->replica_of == BUS_NONE) return;
    bus_node *master = c->nodes[node->replica_of];
    SHOAL_ASSERT(master->replica_count > 0);
    /* A master that never had a replica, or that all left, wants none from others. */
    if (--master->replica_count == 0) master->flags &= (uint16_t)~SHOAL_NODE_MIGRATE_TO;
    shoal_bus__blur(c, master);
    node->replica_of = BUS_NONE;
}

void shoal_bus__node_make_master(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node->slot_count == 0 || shoal_bus__is(node, SHOAL_NODE_MASTER));
    if (shoal_bus__is(node, SHOAL_NODE_MASTER)) return;
    leave_master(c, node);
    c->no_orphans = false;
    node->flags &= (uint16_t)~SHOAL_NODE_REPLICA;
    node->flags |= SHOAL_NODE_MASTER;
    shoal_bus__blur(c, node);
    /* Who was a replica has siblings that may follow, but for this node itself. */
    if (node != c->myself) node->flags |= SHOAL_NODE_MIGRATE_TO;
    shoal_bus__note_known(c, node);
    shoal_bus__note_role(c, node);
    c->due |= BUS_DUE_STATE | shoal_bus__due_change(c, node);
}

void shoal_bus__node_make_replica(shoal_cluster *c, bus_node *node, uint16_t master)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(master != node->index);
    SHOAL_ASSERT(master == BUS_NONE || c->nodes[master]);
    if (!shoal_bus__is(node, SHOAL_NODE_REPLICA)) {
        shoal_bus__slots_clear(c, node);
        node->flags &= (uint16_t) ~(SHOAL_NODE_MASTER | SHOAL_NODE_MIGRATE_TO);
        node->flags |= SHOAL_NODE_REPLICA;
        shoal_bus__blur(c, node);
        c->no_orphans = false;
        shoal_bus__note_known(c, node);
        c->due |= BUS_DUE_STATE | shoal_bus__due_change(c, node);
    }
    if (master == BUS_NONE || master == node->replica_of) return;
    leave_master(c, node);
    c->no_orphans = false;
    node->replica_of = master;
    c->nodes[master]->replica_count++;
    c->nodes[master]->flags |= SHOAL_NODE_MIGRATE_TO;
    shoal_bus__blur(c, c->nodes[master]);
    shoal_bus__note_role(c, node);
    c->due |= shoal_bus__due_change(c, node);
}

bus_node *shoal_bus__node_speaks_for(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    if (shoal_bus__is(node, SHOAL_NODE_MASTER)) return c->nodes[node->index];
    return node->replica_of == BUS_NONE ? NULL : c->nodes[node->replica_of];
}

void shoal_bus__adopt_settings(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(c->settings.node_timeout_ms >= 0);
    const shoal_cluster_settings *s = &c->settings;
    bus_node *me = c->myself;
    if (s->announce_ip[0]) {
        shoal_bus__copy_text(me->ip, sizeof(me->ip), shoal_text(s->announce_ip));
    }
    me->port = s->announce_port ? s->announce_port : s->port;
    me->bus_port = s->announce_bus_port ? s->announce_bus_port : s->bus_port;
    shoal_bus__set_hostname(c, me, shoal_text(s->announce_hostname));
    me->flags &= (uint16_t)~SHOAL_NODE_NOFAILOVER;
    if (s->replica_no_failover) me->flags |= SHOAL_NODE_NOFAILOVER;
    c->due |= BUS_DUE_SAVE | BUS_DUE_ROUTE;
}

void shoal_bus__set_hostname(shoal_cluster *c, bus_node *node, shoal_slice hostname)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(shoal_bus__is_hostname(hostname));
    if (shoal_text_equal(hostname, shoal_bus__hostname(node))) return;
    const shoal_allocator *a = &c->allocator;
    if (!node->hostname) {
        node->hostname = a->allocate_zeroed(a->context, BUS_HOSTNAME_SIZE, 8);
        if (!node->hostname) return;
    }
    shoal_bus__copy_text(node->hostname, BUS_HOSTNAME_SIZE, hostname);
    c->due |= shoal_bus__due_change(c, node) | BUS_DUE_ROUTE;
}

/* ---- handshakes ---- */

bool shoal_bus__handshake_in_progress(const shoal_cluster *c, const shoal_address *address,
                                      uint16_t bus_port)
{
    SHOAL_ASSERT(address);
    SHOAL_ASSERT(c->myself);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (shoal_bus__is(node, SHOAL_NODE_HANDSHAKE) && node->port == address->port &&
            node->bus_port == bus_port &&
            shoal_text_equal(shoal_text(node->ip), shoal_text(address->ip))) {
            return true;
        }
    }
    return false;
}

bool shoal_bus__handshake_start(shoal_cluster *c, const shoal_address *address, uint16_t bus_port)
{
    SHOAL_ASSERT(address->port > 0);
    SHOAL_ASSERT(bus_port > 0);
    if (!shoal_bus__is_ip(shoal_text(address->ip))) return false;
    if (shoal_bus__handshake_in_progress(c, address, bus_port)) return true;
    bus_node *node = shoal_bus__node_add(c, NULL, SHOAL_NODE_HANDSHAKE | SHOAL_NODE_MEET);
    if (!node) return true;
    shoal_bus__copy_text(node->ip, sizeof(node->ip), shoal_text(address->ip));
    node->port = address->port;
    node->bus_port = bus_port;
    shoal_bus__note_known(c, node);
    return true;
}

/* ---- names that stay away ---- */

static bool same_name(const bus_forgotten *entry, const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(entry);
    SHOAL_ASSERT(name);
    return memcmp(entry->name, name, SHOAL_NODE_NAME_LEN) == 0;
}

/* Drops the entries whose time is over, and any of this name. */
static void drop_entries(shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(c->forgotten);
    SHOAL_ASSERT(c->forgotten_count <= BUS_FORGOTTEN_MAX);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->forgotten_count; i++) {
        const bus_forgotten *entry = &c->forgotten[i];
        if (entry->until_us <= c->now.mono_us || same_name(entry, name)) continue;
        c->forgotten[kept++] = *entry;
    }
    c->forgotten_count = kept;
}

void shoal_bus__forget(shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(shoal_bus__is_name(name));
    SHOAL_ASSERT(c->forgotten_count == 0 || c->forgotten);
    if (!c->forgotten) {
        c->forgotten = c->allocator.allocate_zeroed(c->allocator.context,
                                                    BUS_FORGOTTEN_MAX * sizeof(bus_forgotten), 8);
        if (!c->forgotten) return;
    }
    drop_entries(c, name);
    if (c->forgotten_count == BUS_FORGOTTEN_MAX) {
        c->forgotten_count--;
        memmove(c->forgotten, c->forgotten + 1, c->forgotten_count * sizeof(bus_forgotten));
    }
    bus_forgotten *entry = &c->forgotten[c->forgotten_count++];
    memcpy(entry->name, name, SHOAL_NODE_NAME_LEN);
    entry->until_us = c->now.mono_us + BUS_FORGOTTEN_MS * 1000;
}

bool shoal_bus__is_forgotten(const shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN])
{
    SHOAL_ASSERT(c->forgotten_count <= BUS_FORGOTTEN_MAX);
    SHOAL_ASSERT(c->forgotten_count == 0 || c->forgotten);
    for (uint32_t i = 0; i < c->forgotten_count; i++) {
        const bus_forgotten *entry = &c->forgotten[i];
        if (entry->until_us > c->now.mono_us && same_name(entry, name)) return true;
    }
    return false;
}
