/* SPDX-License-Identifier: MIT
 *
 * The life of one node's opinion: creation, the entries from outside, and the end of each step.
 * What the entries do stands in the other files of the room.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/text.h"

int64_t shoal_bus__wall_ms(const shoal_cluster *c, int64_t moment_us)
{
    SHOAL_ASSERT(moment_us >= 0);
    if (moment_us == 0) return 0;
    int64_t wall_us = c->now.wall_us - (c->now.mono_us - moment_us);
    return wall_us > 0 ? wall_us / 1000 : 0;
}

/* ---- life ---- */

/* Copies settings. What the bus could not carry counts as not given. */
static void take_settings(shoal_cluster *c, const shoal_cluster_settings *settings)
{
    SHOAL_ASSERT(settings->node_timeout_ms >= 0);
    SHOAL_ASSERT(settings->preferred_endpoint >= 0 && settings->preferred_endpoint <= 2);
    SHOAL_ASSERT(settings->replica_validity_factor >= 0 && settings->migration_barrier >= 0);
    shoal_cluster_settings *own = &c->settings;
    *own = *settings;
    if (own->node_timeout_ms > BUS_TIMEOUT_MS_MAX) own->node_timeout_ms = BUS_TIMEOUT_MS_MAX;
    shoal_slice ip = shoal_bus__field(own->announce_ip, sizeof(own->announce_ip));
    if (ip.size > 0 && !shoal_bus__is_ip(ip)) {
        shoal_bus__log(c, BUS_WARNING, "cluster-announce-ip is no IP address and is not used");
        ip.size = 0;
    }
    shoal_bus__copy_text(own->announce_ip, sizeof(own->announce_ip), ip);
    shoal_slice hostname = shoal_bus__field(own->announce_hostname, sizeof(own->announce_hostname));
    if (!shoal_bus__is_hostname(hostname)) {
        shoal_bus__log(c, BUS_WARNING, "cluster-announce-hostname is no host name and is not used");
        hostname.size = 0;
    }
    shoal_bus__copy_text(own->announce_hostname, sizeof(own->announce_hostname), hostname);
    shoal_bus__timing_update(c);
}

shoal_err shoal_cluster_create(const shoal_cluster_options *options, shoal_cluster **out)
{
    SHOAL_ASSERT(out);
    SHOAL_ASSERT(options->host->link_open && options->host->file_rename);
    SHOAL_ASSERT(options->now.mono_us >= 0);
    SHOAL_ASSERT(options->host);
    const shoal_allocator *a = &options->allocator;
    shoal_cluster *c = a->allocate_zeroed(a->context, sizeof(*c), 8);
    if (!c) return SHOAL_ERR_NO_MEMORY;
    c->allocator = *a;
    c->host = options->host;
    c->now = options->now;
    c->frame = shoal_buffer_make(&c->allocator);
    c->text = shoal_buffer_make(&c->allocator);
    take_settings(c, &options->settings);
    c->random_name = shoal_prng_make(options->seed, 0, BUS_RANDOM_NAME);
    c->random_handshake = shoal_prng_make(options->seed, 0, BUS_RANDOM_HANDSHAKE);
    c->random_gossip = shoal_prng_make(options->seed, 0, BUS_RANDOM_GOSSIP);
    c->random_sample = shoal_prng_make(options->seed, 0, BUS_RANDOM_SAMPLE);
    c->random_election = shoal_prng_make(options->seed, 0, BUS_RANDOM_ELECTION);
    c->failover.wake_us = INT64_MAX;
    c->failover.manual.replica = BUS_NONE;
    shoal_prng phase = shoal_prng_make(options->seed, 0, BUS_RANDOM_PHASE);
    c->cron_us = options->now.mono_us + 1 + (int64_t)shoal_prng_below(&phase, BUS_CRON_US);
    shoal_prng index = shoal_prng_make(options->seed, 0, BUS_RANDOM_INDEX);
    c->index_key = shoal_prng_next(&index);
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) c->owners[slot] = BUS_NONE;
    *out = c;
    return SHOAL_ERR_OK;
}

void shoal_cluster_destroy(shoal_cluster *c)
{
    SHOAL_ASSERT(c);
    SHOAL_ASSERT(c->held_count <= BUS_HELD_MAX);
    shoal_allocator a = c->allocator;
    shoal_bus__links_free(c);
    shoal_bus__nodes_free(c);
    for (uint32_t i = 0; i < c->held_count; i++) shoal_buffer_free(&c->held[i].frame);
    if (c->gossip) {
        a.release(a.context, c->gossip, c->gossip_capacity * sizeof(shoal_gossip), 8);
    }
    if (c->forgotten) {
        a.release(a.context, c->forgotten, BUS_FORGOTTEN_MAX * sizeof(bus_forgotten), 8);
    }
    if (c->by_who) a.release(a.context, c->by_who, c->by_who_capacity * sizeof(uint16_t), 8);
    shoal_buffer_free(&c->frame);
    shoal_buffer_free(&c->text);
    SHOAL_ASSERT(!c->moves);
    a.release(a.context, c, sizeof(*c), 8);
}

void shoal_cluster_init_new(shoal_cluster *c, shoal_time now)
{
    SHOAL_ASSERT(c->node_count == 0);
    SHOAL_ASSERT(now.mono_us >= c->now.mono_us);
    SHOAL_ASSERT(!c->myself);
    char name[SHOAL_NODE_NAME_LEN + 1];
    c->now = now;
    shoal_bus__random_name(&c->random_name, name);
    c->myself = shoal_bus__node_add(c, name, SHOAL_NODE_MYSELF | SHOAL_NODE_MASTER);
    if (!c->myself) return;
    shoal_bus__adopt_settings(c);
    shoal_bus__note_known(c, c->myself);
    shoal_bus__finish(c);
}

/* ---- entries ---- */

void shoal_cluster_set(shoal_cluster *c, const shoal_cluster_settings *settings, shoal_time now)
{
    SHOAL_ASSERT(settings);
    SHOAL_ASSERT(now.mono_us >= c->now.mono_us);
    c->now = now;
    take_settings(c, settings);
    if (!c->myself) return;
    shoal_bus__adopt_settings(c);
    c->due |= BUS_DUE_STATE;
    shoal_bus__finish(c);
}

void shoal_cluster_event(shoal_cluster *c, const shoal_event *event)
{
    SHOAL_ASSERT(event);
    SHOAL_ASSERT(event->now.mono_us >= c->now.mono_us);
    c->now = event->now;
    if (!c->myself) {
        /* A peer is faster than our disk: it will try again. */
        if (event->kind == SHOAL_EVENT_LINK_UP) c->host->link_close(c->host->context, event->link);
        return;
    }
    switch (event->kind) {
    case SHOAL_EVENT_LINK_UP:
    case SHOAL_EVENT_LINK_DATA:
    case SHOAL_EVENT_LINK_FULL:
    case SHOAL_EVENT_LINK_ROOM:
    case SHOAL_EVENT_LINK_DOWN: shoal_bus__link_event(c, event); break;
    case SHOAL_EVENT_FILE_DONE: shoal_bus__save_event(c, event); break;
    default: return;
    }
    shoal_bus__finish(c);
}

void shoal_cluster_tick(shoal_cluster *c, shoal_time now)
{
    SHOAL_ASSERT(now.mono_us >= c->now.mono_us);
    SHOAL_ASSERT(c->cron_us > 0);
    if (!c->myself || now.mono_us < shoal_cluster_deadline(c)) return;
    c->now = now;
    if (now.mono_us >= c->cron_us) {
        shoal_bus__cron(c);
        /* After a freeze the missed rounds are not made up for. */
        c->cron_us += c->failover.timing.round_us;
        if (c->cron_us <= now.mono_us) c->cron_us = now.mono_us + c->failover.timing.round_us;
    }
    shoal_bus__finish(c);
}

int64_t shoal_cluster_deadline(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->cron_us > 0);
    SHOAL_ASSERT(c->failover.wake_us > 0);
    return c->cron_us < c->failover.wake_us ? c->cron_us : c->failover.wake_us;
}

/* ---- the end of a step ---- */

/* In a large cluster that forms, every frame is the first of some owner's: routes of hundreds of
 * owners are not made for each of them, but once for those of a moment. */
static void raise_version(shoal_cluster *c)
{
    SHOAL_ASSERT(c->version_us <= c->now.mono_us);
    SHOAL_ASSERT(c->node_count > 0);
    if (c->due & BUS_DUE_MAP) c->map_due = true;
    bool few = c->node_count <= BUS_ROUTE_AT_ONCE;
    bool soon = few || c->now.mono_us - c->version_us >= BUS_ROUTE_PAUSE_US;
    if (!(c->due & BUS_DUE_ROUTE) && !(c->map_due && soon)) return;
    c->map_due = false;
    c->version_us = c->now.mono_us;
    c->version++;
}

void shoal_bus__finish(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(c->node_count <= c->node_capacity);
    SHOAL_ASSERT(c->slots_assigned <= SHOAL_SLOTS);
    SHOAL_ASSERT(c->voters <= c->node_count);
    shoal_bus__failover_step(c);
    if (c->due & BUS_DUE_STATE) shoal_bus__state_update(c);
    if (c->due) shoal_bus__role_update(c);
    shoal_bus__note_changes(c);
    raise_version(c);
    if (c->due & (BUS_DUE_SAVE | BUS_DUE_LATER)) c->save.generation++;
    if (c->due & BUS_DUE_SAVE) c->save.urgent = c->save.generation;
    c->due = 0;
    shoal_bus__save_start(c);
    SHOAL_DEBUG_ASSERT(shoal_bus__check(c));
}

/* ---- looking at it ---- */

bool shoal_cluster_take_lost(shoal_cluster *c, shoal_slotmap *slots)
{
    SHOAL_ASSERT(slots);
    if (!c->any_lost) return false;
    /* A replica's data are its master's, who has these slots now. */
    bool master = shoal_bus__is(c->myself, SHOAL_NODE_MASTER);
    *slots = c->lost;
    c->lost = (shoal_slotmap){{0}};
    c->any_lost = false;
    return master;
}

uint64_t shoal_cluster_version(const shoal_cluster *c)
{
    SHOAL_ASSERT(c);
    return c->version;
}

uint64_t shoal_cluster_news(const shoal_cluster *c)
{
    SHOAL_ASSERT(c);
    return c->version + c->failover.role_version;
}

bool shoal_cluster_is_calm(const shoal_cluster *c)
{
    const bus_failover *f = &c->failover;
    SHOAL_ASSERT(c->due == 0);
    SHOAL_ASSERT(f->manual.pause_us == 0 || f->manual.end_us > 0);
    bool saved = c->save.phase == BUS_SAVE_IDLE && c->save.generation == c->save.durable;
    bool works = c->myself && c->up && c->suspects == 0 && !f->spread_due && !c->map_due;
    bool fails_over = f->wake_us != INT64_MAX || f->candidacy.start_us > 0 ||
                      f->manual.end_us > 0 || f->manual.handover == SHOAL_HANDOVER_RUNNING ||
                      f->claim.generation > 0 || f->foreign != BUS_FOREIGN_NO;
    return saved && works && !fails_over && c->held_count == 0;
}

const char *shoal_cluster_name(const shoal_cluster *c)
{
    SHOAL_ASSERT(c);
    return c->myself ? c->myself->name : "";
}

bool shoal_cluster_up(const shoal_cluster *c)
{
    SHOAL_ASSERT(!c->up || c->myself);
    return c->up;
}

bool shoal_cluster_saving(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->save.durable <= c->save.generation);
    return c->save.generation != c->save.durable;
}

static uint64_t mix_bytes(uint64_t digest, const void *bytes, size_t size)
{
    SHOAL_ASSERT(bytes);
    SHOAL_ASSERT(size > 0);
    const uint8_t *from = bytes;
    size_t whole = size & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        digest = shoal_prng_mix(digest ^ shoal_bytes_get_le64(from + i)) + size;
    }
    if (whole == size) return digest;
    uint64_t word = 0;
    for (size_t i = whole; i < size; i++) word |= (uint64_t)from[i] << (8 * (i - whole));
    return shoal_prng_mix(digest ^ word) + size;
}

static uint64_t digest_node(const shoal_cluster *c, uint64_t digest, const bus_node *node)
{
    SHOAL_ASSERT(node->name[0]);
    uint64_t words[] = {node->index,
                        node->flags,
                        node->replica_of,
                        node->slot_count,
                        (uint64_t)node->ping_sent_us,
                        (uint64_t)shoal_bus__glance(c, node)->pong_received_us,
                        (uint64_t)node->data_received_us,
                        (uint64_t)node->fail_us,
                        node->config_epoch,
                        node->offset,
                        node->port,
                        node->bus_port,
                        node->report_count,
                        node->link ? node->link->id : 0,
                        node->inbound ? node->inbound->id : 0};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        digest = shoal_prng_mix(digest ^ words[i]) + i;
    }
    digest = mix_bytes(digest, node->name, SHOAL_NODE_NAME_LEN);
    digest = mix_bytes(digest, node->ip, sizeof(node->ip));
    shoal_slotmap slots;
    shoal_bus__slots_get(c, node, &slots);
    return mix_bytes(digest, &slots, sizeof(slots));
}

uint64_t shoal_cluster_digest(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count <= c->node_capacity);
    uint64_t words[] = {c->current_epoch,
                        c->last_vote_epoch,
                        c->up,
                        c->slots_assigned,
                        c->node_count,
                        c->save.generation,
                        c->save.durable,
                        c->save.phase,
                        c->gossip_round,
                        c->cron_count,
                        c->held_count,
                        c->forgotten_count,
                        (uint64_t)c->failover.candidacy.start_us,
                        c->failover.candidacy.epoch,
                        c->failover.candidacy.votes,
                        (uint64_t)c->failover.manual.end_us,
                        c->failover.role_version,
                        c->failover.why_count};
    uint64_t digest = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        digest = shoal_prng_mix(digest ^ words[i]) + i;
    }
    if (c->voters_whole != c->voters) digest = shoal_prng_mix(digest ^ c->voters_whole);
    for (uint32_t i = 0; i < c->node_count; i++) digest = digest_node(c, digest, c->live[i]);
    return digest;
}
