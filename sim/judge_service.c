/* SPDX-License-Identifier: MIT
 *
 * Checks on what nodes serve: by whom, how long, and whether it is durable.
 */
#include "sim/judge.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/internal.h"

void shoal_judge__read(shoal_world *world, uint32_t key, bool phantom)
{
    char text[64];
    shoal_judge__made(world, SHOAL_CHECK_NO_PHANTOM);
    if (!phantom) return;
    int size = snprintf(text, sizeof(text), "key:%u has a value that nobody wrote to it", key);
    shoal_judge__fault(world, SHOAL_CHECK_NO_PHANTOM, (shoal_slice){text, (size_t)size});
}

/* True bound of the protocol: an idle link is pinged after NT/2, and the suspicion comes NT after
 * that; steps of the 100 ms clock come on top. */
static int64_t suspicion_bound_us(const shoal_world *world)
{
    return world->schedule->node_timeout_us * 3 / 2 + 300000;
}

/* Can a node no longer believe at `now_us` in another that it has not been in contact with since
 * `since_us`? It counts by its monotonic clock, and from when others tell it. */
static bool is_lost(const shoal_world *world, uint32_t node, int64_t since_us, int64_t now_us)
{
    if (since_us < 0 || now_us - since_us <= suspicion_bound_us(world)) return false;
    int64_t excused_us = shoal_judge__misled(world, node, since_us, now_us);
    excused_us += shoal_judge__stood(world, node, since_us, now_us);
    SHOAL_ASSERT(excused_us >= 0);
    return now_us - since_us > suspicion_bound_us(world) + excused_us;
}

/* May a node still believe at `now_us` that it reaches a majority of the voters in its own map? It
 * may of each voter that it was in contact with not longer ago than the bound. Counts in `*lost`
 * those that it cannot believe in. */
static bool may_believe(const shoal_world *world, uint32_t node, int64_t now_us, uint32_t *lost)
{
    const shoal_judge *judge = &world->judge;
    const shoal_view *view = &judge->views[node];
    uint32_t voters = 0;
    *lost = 0;
    for (uint32_t i = 0; i < view->capacity && i < judge->subject_count; i++) {
        int64_t since =
            judge->apart_since_us[(size_t)node * world->node_count + judge->subjects[i].node];
        bool votes = judge->all_vote ? view->of[i].known : view->of[i].slots > 0;
        if (!votes) continue;
        voters++;
        *lost += is_lost(world, node, since, now_us);
    }
    return voters == 0 || voters - *lost >= voters / 2 + 1;
}

void shoal_judge__rethinks(shoal_world *world, uint32_t node)
{
    shoal_view *view = &world->judge.views[node];
    uint32_t lost = 0;
    SHOAL_ASSERT(node < world->node_count);
    if (view->believed_us == world->now_us) return;
    if (!world->judge.any_apart || may_believe(world, node, world->now_us, &lost))
        view->believed_us = world->now_us;
}

/* ---- what nodes keep to ---- */

/* A directive as the node has it now, up to so many bytes. */
static void directive(shoal_world *world, uint32_t node, const char *name, char *out, size_t size)
{
    shoal_buffer *text = &world->scratch;
    shoal_buffer_consume(text, shoal_buffer_size(text));
    out[0] = '\0';
    if (shoal_node_config_get(world->nodes[node].node, name, text) != SHOAL_ERR_OK) return;
    shoal_slice found = shoal_buffer_slice(text);
    snprintf(out, size, "%.*s", (int)found.size, found.data);
}

static uint64_t number_at(const char *text)
{
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

const shoal_rules *shoal_judge__rules(shoal_world *world, uint32_t node)
{
    shoal_rules *rules = &world->judge.rules[node];
    const shoal_vnode *vnode = &world->nodes[node];
    char text[160];
    SHOAL_ASSERT(vnode->node != NULL);
    uint64_t version = shoal_node_config_version(vnode->node);
    bool same = rules->known && rules->incarnation == vnode->incarnation;
    if (same && rules->version == version) return rules;
    directive(world, node, "appendonly", text, sizeof(text));
    bool logs = strcmp(text, "yes") == 0;
    directive(world, node, "appendfsync", text, sizeof(text));
    bool always = logs && strcmp(text, "always") == 0;
    /* What is switched on while the node runs takes effect when a file is there, later. */
    rules->logs = logs && (!same || rules->logs);
    rules->always = always && (!same || rules->always);
    directive(world, node, "no-appendfsync-on-rewrite", text, sizeof(text));
    rules->quiet = strcmp(text, "yes") == 0;
    directive(world, node, "cluster-link-sendbuf-limit", text, sizeof(text));
    rules->link_max = number_at(text);
    directive(world, node, "client-output-buffer-limit", text, sizeof(text));
    const char *replicas = strstr(text, "slave ");
    rules->replica_max = replicas ? number_at(replicas + strlen("slave ")) : 0;
    rules->known = true;
    rules->incarnation = vnode->incarnation;
    rules->version = version;
    return rules;
}

/* ---- service ---- */

void shoal_judge__served(shoal_world *world, const shoal_service *service)
{
    const shoal_judge *judge = &world->judge;
    const shoal_view *view = &judge->views[service->node];
    const shoal_vnode *vnode = &world->nodes[service->node];
    if (vnode->starts == 0 || !vnode->running || service->served_us < vnode->ready_at_us) return;
    shoal_judge__made(world, SHOAL_CHECK_OWNER_SERVES);
    bool replica = view->replica || view->copied_us >= service->served_us;
    bool copy = replica && service->readonly && !service->write;
    /* A reply that had to wait for the disk says only that it was done before; of a read, where it
     * came behind a write of the same connection that waited. */
    bool waited = (service->write || service->behind) && vnode->node != NULL &&
                  shoal_judge__rules(world, service->node)->always;
    int64_t done_us = waited ? service->began_us : service->served_us;
    if (!copy && !shoal_slotmap_has(&view->own, service->slot) && view->own_changed_us < done_us) {
        shoal_anomaly__count(world, SHOAL_ANOMALY_WRONG_SLOT, SHOAL_CAUSE_ALIVE);
        shoal_judge__fault_of(world, SHOAL_CHECK_OWNER_SERVES, service->node,
                              "served a slot that it does not claim");
    }
    if (!service->write) return;
    uint32_t lost = 0;
    bool right = may_believe(world, service->node, done_us, &lost) || view->believed_us >= done_us;
    if (lost > 0) shoal_judge__made(world, SHOAL_CHECK_MINORITY);
    if (!right) {
        shoal_judge__fault_of(world, SHOAL_CHECK_MINORITY, service->node,
                              "still acknowledged a write in the minority");
    }
}

void shoal_judge__acknowledged(shoal_world *world, uint64_t serial, int64_t served_us)
{
    const shoal_write *write = &world->history.writes[serial - 1];
    const shoal_vnode *vnode = &world->nodes[write->node];
    /* What is not written down by its number cannot be found in a file. */
    bool numbered = write->action == SHOAL_ACTION_SET || write->action == SHOAL_ACTION_PX;
    bool same = vnode->node != NULL && vnode->incarnation == write->incarnation;
    if (!numbered || !same || !shoal_judge__rules(world, write->node)->always) return;
    const shoal_logbook *logbook = &world->logbooks.of[write->node];
    if (world->judge.rules[write->node].lied) return;
    /* What came before the cut of the first file of replaced data stands in its base, where no
     * numbers are looked for. */
    bool based = logbook->filed_us > 0 && logbook->filed_us <= served_us &&
                 write->began_us <= logbook->based_us;
    if (based && write->synced_us == 0) return;
    bool rewrote = logbook->rewrites || write->began_us <= logbook->rewrote_us;
    if (world->judge.rules[write->node].quiet && rewrote) return;
    shoal_judge__made(world, SHOAL_CHECK_DURABLE_ACK);
    if (write->synced_us > 0 && write->synced_us <= served_us) return;
    shoal_judge__fault_of(world, SHOAL_CHECK_DURABLE_ACK, write->node,
                          "acknowledged a write that its disk did not have");
}
