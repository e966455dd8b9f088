/* SPDX-License-Identifier: MIT
 *
 * Who owns which slot, and the epochs that decide it. A claim wins over nobody and over an owner
 * with a smaller configuration epoch; a sender that claims what a newer owner has is told so; of
 * two masters with the same epoch the one with the smaller name takes a new one.
 *
 * Kept once, as an owner per slot, with count and bounds per owner. Most masters have one run of
 * slots, and then the bounds say it all: the bitmap that frames carry is written out of them, and
 * compared with them, without touching the map. Of others it is put together from the map.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "base/bytes.h"

/* ---- sets of slots ---- */

/* The node has slots and they are all neighbours. */
static inline bool is_run(const bus_node *node)
{
    SHOAL_ASSERT(node->slot_count <= SHOAL_SLOTS);
    return node->slot_count > 0 && node->slot_most + 1u - node->slot_least == node->slot_count;
}

/* The bits of the run in the word whose first slot is `base`. */
static inline uint64_t run_word(const bus_node *node, uint32_t base)
{
    SHOAL_ASSERT(base % 64 == 0);
    if (node->slot_most < base || node->slot_least >= base + 64) return 0;
    uint64_t word = UINT64_MAX;
    if (node->slot_least > base) word &= UINT64_MAX << (node->slot_least - base);
    if (node->slot_most < base + 63) word &= UINT64_MAX >> (base + 63 - node->slot_most);
    return word;
}

void shoal_bus__slots_get(const shoal_cluster *c, const bus_node *node, shoal_slotmap *out)
{
    SHOAL_ASSERT(out);
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    memset(out, 0, sizeof(*out));
    if (is_run(node)) {
        for (uint32_t base = node->slot_least & ~63u; base <= node->slot_most; base += 64) {
            shoal_bytes_put_le64(&out->bits[base >> 3], run_word(node, base));
        }
        return;
    }
    if (node->slot_count == 0) return;
    for (uint32_t slot = node->slot_least; slot <= node->slot_most; slot++) {
        if (c->owners[slot] == node->index) shoal_slotmap_put(out, slot, true);
    }
}

/* Words from slot `from` to below `to`, whole words, are all `value`. */
static bool all_words(const shoal_slotmap *map, uint32_t from, uint32_t to, uint64_t value)
{
    SHOAL_ASSERT(from % 64 == 0 && to % 64 == 0);
    SHOAL_ASSERT(to <= SHOAL_SLOTS);
    uint64_t odd = 0;
    for (uint32_t base = from; base < to; base += 64) {
        odd |= shoal_bytes_get_le64(&map->bits[base >> 3]) ^ value;
    }
    return odd == 0;
}

/* The map is the run of the node: nothing before its first word, nothing behind its last. */
static bool equals_run(const bus_node *node, const shoal_slotmap *map)
{
    SHOAL_ASSERT(is_run(node));
    uint32_t first = node->slot_least & ~63u, last = node->slot_most & ~63u;
    SHOAL_ASSERT(first <= last);
    if (shoal_bytes_get_le64(&map->bits[first >> 3]) != run_word(node, first)) return false;
    if (shoal_bytes_get_le64(&map->bits[last >> 3]) != run_word(node, last)) return false;
    return all_words(map, 0, first, 0) && all_words(map, last + 64, SHOAL_SLOTS, 0) &&
           (first == last || all_words(map, first + 64, last, UINT64_MAX));
}

bool shoal_bus__slots_equal(const shoal_cluster *c, const bus_node *node, const shoal_slotmap *map)
{
    SHOAL_ASSERT(map);
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    if (is_run(node)) return equals_run(node, map);
    if (node->slot_count == 0) return all_words(map, 0, SHOAL_SLOTS, 0);
    shoal_slotmap own;
    shoal_bus__slots_get(c, node, &own);
    return memcmp(&own, map, sizeof(own)) == 0;
}

/* ---- ownership ---- */

/* Draws the bounds together when the slot at one of them has gone. */
static void narrow(const shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(node->slot_count > 0);
    SHOAL_ASSERT(node->slot_least <= node->slot_most);
    while (c->owners[node->slot_least] != node->index) node->slot_least++;
    while (c->owners[node->slot_most] != node->index) node->slot_most--;
}

/* A SLOTS record of the node is due at the end of the step. */
static void note_changed(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    uint32_t at = node->live_at;
    node->slots_changed = true;
    if (!c->slots_changed || at < c->changed_least) c->changed_least = at;
    if (!c->slots_changed || at > c->changed_most) c->changed_most = at;
    c->slots_changed = true;
}

/* Notes whether the owner of the slot says that it has it. */
static void set_unclaimed(shoal_cluster *c, uint32_t slot, bool unclaimed)
{
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    SHOAL_ASSERT(!unclaimed || c->owners[slot] != BUS_NONE);
    if (shoal_bus__slot_unclaimed(c, slot) == unclaimed) return;
    shoal_slotmap_put(&c->unclaimed, slot, unclaimed);
    if (unclaimed)
        c->unclaimed_count++;
    else
        c->unclaimed_count--;
    SHOAL_ASSERT(c->unclaimed_count <= SHOAL_SLOTS);
}

static void take_away(shoal_cluster *c, uint32_t slot)
{
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    SHOAL_ASSERT(c->slots_assigned <= SHOAL_SLOTS);
    bus_node *owner = shoal_bus__owner(c, slot);
    if (!owner) return;
    set_unclaimed(c, slot, false);
    SHOAL_ASSERT(owner->slot_count > 0);
    SHOAL_ASSERT(owner->slot_least <= slot && slot <= owner->slot_most);
    note_changed(c, owner);
    c->owners[slot] = BUS_NONE;
    c->slots_assigned--;
    if (--owner->slot_count > 0) {
        narrow(c, owner);
        return;
    }
    shoal_bus__blur(c, owner);
    if (--c->voters == 0) c->voters_whole = 0;
}

static void give_to(shoal_cluster *c, uint32_t slot, bus_node *node)
{
    SHOAL_ASSERT(c->owners[slot] == BUS_NONE);
    SHOAL_ASSERT(c->slots_assigned < SHOAL_SLOTS);
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    note_changed(c, node);
    if (node->slot_count == 0 || slot < node->slot_least) node->slot_least = (uint16_t)slot;
    if (node->slot_count == 0 || slot > node->slot_most) node->slot_most = (uint16_t)slot;
    if (node->slot_count++ == 0) {
        c->voters++;
        shoal_bus__blur(c, node);
    }
    c->owners[slot] = node->index;
    if (++c->slots_assigned == SHOAL_SLOTS) c->voters_whole = c->voters;
}

void shoal_bus__slot_set(shoal_cluster *c, uint32_t slot, bus_node *node)
{
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    SHOAL_ASSERT(!node || shoal_bus__is(node, SHOAL_NODE_MASTER));
    bool own = !c->myself || node == c->myself || c->owners[slot] == c->myself->index;
    c->due |= BUS_DUE_STATE;
    c->due |= own ? BUS_DUE_SAVE | BUS_DUE_ROUTE : BUS_DUE_LATER | BUS_DUE_MAP;
    take_away(c, slot);
    if (node) give_to(c, slot, node);
}

void shoal_bus__slots_clear(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    while (node->slot_count > 0) shoal_bus__slot_set(c, node->slot_least, NULL);
    SHOAL_ASSERT(node->slot_count == 0);
}

/* ---- claims ---- */

bool shoal_bus__slots_doubtful(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(c->unclaimed_count <= c->slots_assigned);
    if (c->unclaimed_count == 0 || node->slot_count == 0) return false;
    for (uint32_t slot = shoal_bus__slot_next(&c->unclaimed, node->slot_least);
         slot <= node->slot_most; slot = shoal_bus__slot_next(&c->unclaimed, slot + 1)) {
        if (c->owners[slot] == node->index) return true;
    }
    return false;
}

void shoal_bus__slots_claimed(const shoal_cluster *c, const bus_node *node, shoal_slotmap *out)
{
    SHOAL_ASSERT(out);
    SHOAL_ASSERT(c->unclaimed_count <= c->slots_assigned);
    shoal_bus__slots_get(c, node, out);
    if (c->unclaimed_count == 0) return;
    for (size_t i = 0; i < sizeof(out->bits); i++) {
        out->bits[i] &= (uint8_t)~c->unclaimed.bits[i];
    }
}

/* What the sender has here and does not claim stays its own until somebody else claims it: clients
 * are sent there in vain, but the cluster is not down. */
static void note_unclaimed(shoal_cluster *c, const bus_node *sender, const shoal_slotmap *slots)
{
    SHOAL_ASSERT(sender != c->myself);
    SHOAL_ASSERT(slots);
    if (sender->slot_count == 0) return;
    for (uint32_t slot = sender->slot_least; slot <= sender->slot_most; slot++) {
        if (c->owners[slot] != sender->index) continue;
        set_unclaimed(c, slot, !shoal_slotmap_has(slots, slot));
    }
}

uint32_t shoal_bus__slot_next(const shoal_slotmap *map, uint32_t slot)
{
    SHOAL_ASSERT(map);
    while (slot < SHOAL_SLOTS) {
        /* Bit i of the word is slot base + i, because the bytes are read as little-endian. */
        uint32_t base = slot & ~63u;
        uint64_t word = shoal_bytes_get_le64(&map->bits[base >> 3]) >> (slot & 63);
        if (word) return slot + (uint32_t)__builtin_ctzll(word);
        slot = base + 64;
    }
    return SHOAL_SLOTS;
}

uint32_t shoal_bus__slot_run(const shoal_cluster *c, const bus_node *node, uint32_t from,
                             uint32_t *last)
{
    SHOAL_ASSERT(node->slot_count > 0);
    SHOAL_ASSERT(from <= SHOAL_SLOTS);
    if (from < node->slot_least) from = node->slot_least;
    *last = node->slot_most;
    if (from > *last) return SHOAL_SLOTS;
    if (is_run(node)) return from;
    while (from < *last && c->owners[from] != node->index) from++;
    uint32_t end = from;
    while (end < *last && c->owners[end + 1] == node->index) end++;
    *last = end;
    return from;
}

void shoal_bus__slots_claim(shoal_cluster *c, bus_node *sender, uint64_t epoch,
                            const shoal_slotmap *slots)
{
    SHOAL_ASSERT(shoal_bus__is(sender, SHOAL_NODE_MASTER));
    SHOAL_ASSERT(slots);
    SHOAL_ASSERT(sender != c->myself);
    /* Whose slots are this node's concern: its own, or its master's. */
    const bus_node *current = shoal_bus__node_speaks_for(c, c->myself);
    uint32_t lost = 0, taken = 0, claimed = 0;
    note_unclaimed(c, sender, slots);
    for (uint32_t slot = shoal_bus__slot_next(slots, 0); slot < SHOAL_SLOTS;
         slot = shoal_bus__slot_next(slots, slot + 1)) {
        const bus_node *owner = shoal_bus__owner(c, slot);
        claimed++;
        bool free = !owner || shoal_bus__slot_unclaimed(c, slot);
        bool newer = !free && owner->config_epoch >= epoch && !SHOAL_MUTANT(CLAIM_ANY);
        if (owner == sender || newer) continue;
        if (owner && SHOAL_MUTANT(CLAIM_NONE)) continue;
        if (owner == c->myself && SHOAL_MUTANT(KEEPS_SLOTS)) continue;
        /* What is being taken in changes hands by CLUSTER SETSLOT only. */
        if (shoal_bus__move(c, slot, BUS_MOVE_IN)) continue;
        if (owner == c->myself) {
            lost++;
            shoal_slotmap_put(&c->lost, slot, true);
            c->any_lost = true;
        }
        taken += owner && owner == current;
        shoal_bus__slot_set(c, slot, sender);
    }
    /* The last slot went: what is left of the shard follows where it went. */
    bool last = taken > 0 && current->slot_count == 0;
    if (last && (c->settings.allow_replica_migration || claimed == taken)) {
        shoal_bus__log(c, BUS_WARNING,
                       "Configuration change detected. Reconfiguring myself as a replica of %s",
                       sender->name);
        shoal_bus__set_master(c, sender);
        return;
    }
    if (lost > 0) {
        shoal_bus__log(c, BUS_NOTICE, "%u slots of this node are now served by %s (epoch %llu)",
                       lost, sender->name, (unsigned long long)epoch);
    }
}

void shoal_bus__slots_correct(shoal_cluster *c, bus_node *sender, uint64_t epoch,
                              const shoal_slotmap *slots)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(slots);
    SHOAL_ASSERT(sender != c->myself);
    const bus_node *subject = shoal_bus__node_speaks_for(c, sender);
    for (uint32_t slot = shoal_bus__slot_next(slots, 0); slot < SHOAL_SLOTS;
         slot = shoal_bus__slot_next(slots, slot + 1)) {
        const bus_node *owner = shoal_bus__owner(c, slot);
        if (!owner || owner == subject || owner->config_epoch <= epoch) continue;
        if (shoal_bus__slot_unclaimed(c, slot)) continue;
        shoal_bus__why_not(c, BUS_WHY_OWNER_NEWER,
                           "slot %u: %s claims it with epoch %llu, "
                           "%s has it with %llu",
                           slot, sender->name, (unsigned long long)epoch, owner->name,
                           (unsigned long long)owner->config_epoch);
        if (sender->link) shoal_bus__send_update(c, sender->link, owner);
        return;
    }
}

/* ---- epochs ---- */

bool shoal_bus__epoch_next(shoal_cluster *c)
{
    SHOAL_ASSERT(c->current_epoch <= BUS_EPOCH_MAX);
    if (c->current_epoch == BUS_EPOCH_MAX) {
        shoal_bus__why_not(c, BUS_WHY_EPOCHS_USED_UP, "%llu", (unsigned long long)BUS_EPOCH_MAX);
        return false;
    }
    c->current_epoch++;
    return true;
}

/* What is remembered of the sender may be greater: a replica that has started again has the epoch
 * of its master, and keeps it when a soft reset makes it a master. */
void shoal_bus__epoch_collision(shoal_cluster *c, const bus_node *sender)
{
    SHOAL_ASSERT(shoal_bus__is(sender, SHOAL_NODE_MASTER));
    SHOAL_ASSERT(sender != c->myself);
    bus_node *me = c->myself;
    if (!shoal_bus__is(me, SHOAL_NODE_MASTER)) return;
    if (memcmp(sender->name, me->name, SHOAL_NODE_NAME_LEN) <= 0) return;
    if (!shoal_bus__epoch_next(c)) return;
    me->config_epoch = c->current_epoch;
    c->due |= BUS_DUE_SAVE;
    shoal_bus__log(c, BUS_WARNING, "configEpoch collision with node %s: configEpoch set to %llu",
                   sender->name, (unsigned long long)me->config_epoch);
}

static uint64_t greatest_epoch(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count >= 1);
    uint64_t greatest = c->current_epoch;
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (c->live[i]->config_epoch > greatest) greatest = c->live[i]->config_epoch;
    }
    return greatest;
}

bool shoal_bus__epoch_bump(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    bus_node *me = c->myself;
    /* What a replica that has started again remembers is the epoch of its master. */
    bool own = shoal_bus__is(me, SHOAL_NODE_MASTER);
    if (own && me->config_epoch != 0 && me->config_epoch == greatest_epoch(c)) return false;
    if (!shoal_bus__epoch_next(c)) return false;
    me->config_epoch = c->current_epoch;
    c->due |= BUS_DUE_SAVE;
    shoal_bus__log(c, BUS_WARNING, "New configEpoch set to %llu",
                   (unsigned long long)me->config_epoch);
    return true;
}
