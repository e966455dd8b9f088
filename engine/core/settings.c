/* SPDX-License-Identifier: MIT
 *
 * core/settings.c - how the configuration takes effect: a snapshot of what the data path reads,
 * replaced as a whole, and the cluster's settings.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/events.h"
#include "core/config_special.h"

static shoal_settings read_settings(const shoal_config *config)
{
    SHOAL_ASSERT(config->allocator != NULL);
    bool cluster = shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_ENABLED) != 0;
    int64_t databases = shoal_config__number(config, SHOAL_DIRECTIVE_DATABASES);
    int64_t bulk = shoal_config__number(config, SHOAL_DIRECTIVE_PROTO_MAX_BULK_LEN);
    /* Whatever is allowed, the store takes no longer values. */
    if (bulk > (int64_t)SHOAL_VALUE_SIZE_MAX) bulk = (int64_t)SHOAL_VALUE_SIZE_MAX;
    int64_t query = shoal_config__number(config, SHOAL_DIRECTIVE_CLIENT_QUERY_BUFFER_LIMIT);
    int64_t clients = shoal_config__number(config, SHOAL_DIRECTIVE_MAXCLIENTS);
    int64_t timeout = shoal_config__number(config, SHOAL_DIRECTIVE_TIMEOUT);
    int64_t debug = shoal_config__number(config, SHOAL_DIRECTIVE_ENABLE_DEBUG_COMMAND);
    int64_t fields = shoal_config__number(config, SHOAL_DIRECTIVE_HASH_MAX_LISTPACK_ENTRIES);
    int64_t value = shoal_config__number(config, SHOAL_DIRECTIVE_HASH_MAX_LISTPACK_VALUE);
    int64_t members = shoal_config__number(config, SHOAL_DIRECTIVE_SET_MAX_INTSET_ENTRIES);
    int64_t scored = shoal_config__number(config, SHOAL_DIRECTIVE_ZSET_MAX_LISTPACK_ENTRIES);
    int64_t member = shoal_config__number(config, SHOAL_DIRECTIVE_ZSET_MAX_LISTPACK_VALUE);

    int64_t slow_us = shoal_config__number(config, SHOAL_DIRECTIVE_SLOWLOG_LOG_SLOWER_THAN);
    int64_t late_ms = shoal_config__number(config, SHOAL_DIRECTIVE_LATENCY_MONITOR_THRESHOLD);
    bool tracking = shoal_config__number(config, SHOAL_DIRECTIVE_LATENCY_TRACKING) != 0;
    return (shoal_settings){
        .requirepass = shoal_config__text(config, SHOAL_DIRECTIVE_REQUIREPASS),
        .bulk_size_max = (uint64_t)bulk,
        .query_size_max = (uint64_t)query,
        .clients_max = (uint32_t)clients,
        .databases = cluster ? 1 : (uint32_t)databases,
        .timeout_s = (uint32_t)timeout,
        .protected_mode = shoal_config__number(config, SHOAL_DIRECTIVE_PROTECTED_MODE) != 0,
        .cluster = cluster,
        .hash_entries_max = (uint64_t)fields,
        .hash_value_size_max = (uint64_t)value,
        .set_entries_max = (uint64_t)members,
        .zset_entries_max = (uint64_t)scored,
        .zset_member_size_max = (uint64_t)member,
        .list_node_max = shoal_config__number(config, SHOAL_DIRECTIVE_LIST_MAX_LISTPACK_SIZE),
        .lazy_user_del = shoal_config__number(config, SHOAL_DIRECTIVE_LAZYFREE_LAZY_USER_DEL) != 0,
        .lazy_expire = shoal_config__number(config, SHOAL_DIRECTIVE_LAZYFREE_LAZY_EXPIRE) != 0,
        .lazy_eviction = shoal_config__number(config, SHOAL_DIRECTIVE_LAZYFREE_LAZY_EVICTION) != 0,
        .lazy_user_flush =
            shoal_config__number(config, SHOAL_DIRECTIVE_LAZYFREE_LAZY_USER_FLUSH) != 0,
        .timed = slow_us >= 0 || late_ms > 0 || tracking,
        .latency_tracking = tracking,
        .slow_us = slow_us,
        .slow_max = (uint64_t)shoal_config__number(config, SHOAL_DIRECTIVE_SLOWLOG_MAX_LEN),
        .late_ms = late_ms,
        .tracked_keys_max =
            (uint64_t)shoal_config__number(config, SHOAL_DIRECTIVE_TRACKING_TABLE_MAX_KEYS),
        .debug = debug == SHOAL_PERMIT_YES,
        .debug_local = debug == SHOAL_PERMIT_LOCAL};
}

/* How many replies may wait for a client that does not read. */
static void apply_output_limits(const shoal_config *config, shoal_settings *settings)
{
    SHOAL_ASSERT(settings->output_hard_max == 0);
    shoal_slice text = shoal_config__text(config, SHOAL_DIRECTIVE_CLIENT_OUTPUT_BUFFER_LIMIT);
    shoal_config__limits limits = shoal_config__limits_of(text, "normal");
    shoal_config__limits pushes = shoal_config__limits_of(text, "pubsub");
    settings->output_hard_max = limits.hard;
    settings->output_soft_max = limits.soft;
    settings->output_soft_s = limits.seconds < UINT32_MAX ? (uint32_t)limits.seconds : UINT32_MAX;
    settings->pushes_hard_max = pushes.hard;
    settings->pushes_soft_max = pushes.soft;
    settings->pushes_soft_s = pushes.seconds < UINT32_MAX ? (uint32_t)pushes.seconds : UINT32_MAX;
}

static bool same_settings(const shoal_settings *a, const shoal_settings *b)
{
    SHOAL_ASSERT(a != NULL);
    SHOAL_ASSERT(b != NULL);
    return shoal_text_equal(a->requirepass, b->requirepass) &&
           a->bulk_size_max == b->bulk_size_max && a->query_size_max == b->query_size_max &&
           a->clients_max == b->clients_max && a->databases == b->databases &&
           a->timeout_s == b->timeout_s && a->protected_mode == b->protected_mode &&
           a->lazy_expire == b->lazy_expire && a->lazy_eviction == b->lazy_eviction &&
           a->lazy_user_del == b->lazy_user_del && a->lazy_user_flush == b->lazy_user_flush &&
           a->pushes_soft_s == b->pushes_soft_s && a->pushes_soft_max == b->pushes_soft_max &&
           a->pushes_hard_max == b->pushes_hard_max && a->output_soft_s == b->output_soft_s &&
           a->output_soft_max == b->output_soft_max && a->output_hard_max == b->output_hard_max &&
           a->protected_bound == b->protected_bound && a->cluster == b->cluster &&
           a->hash_entries_max == b->hash_entries_max &&
           a->hash_value_size_max == b->hash_value_size_max &&
           a->set_entries_max == b->set_entries_max && a->zset_entries_max == b->zset_entries_max &&
           a->zset_member_size_max == b->zset_member_size_max &&
           a->list_node_max == b->list_node_max && a->debug == b->debug &&
           a->integers_shared == b->integers_shared &&
           a->clients_bytes_max == b->clients_bytes_max && a->debug_local == b->debug_local &&
           a->timed == b->timed && a->latency_tracking == b->latency_tracking &&
           a->slow_us == b->slow_us && a->slow_max == b->slow_max && a->late_ms == b->late_ms &&
           a->tracked_keys_max == b->tracked_keys_max;
}

/* The kept snapshot that equals `settings`, or a new one; NULL without memory. */
static const shoal_snapshot *snapshot_of(shoal_node *node, const shoal_settings *settings)
{
    SHOAL_ASSERT(settings->requirepass.data != NULL || settings->requirepass.size == 0);
    SHOAL_ASSERT(settings->databases > 0);
    size_t password_size = settings->requirepass.size;
    size_t memory = sizeof(shoal_snapshot) + password_size;
    shoal_snapshot *snapshot;

    for (snapshot = node->snapshots; snapshot != NULL; snapshot = snapshot->next) {
        if (same_settings(&snapshot->settings, settings)) return snapshot;
    }
    snapshot = shoal_memory_take_zeroed(&node->allocator, memory, SHOAL_ALIGN_PLAIN);
    if (snapshot == NULL) return NULL;
    snapshot->memory = memory;
    snapshot->settings = *settings;
    if (password_size > 0) memcpy(snapshot->password, settings->requirepass.data, password_size);
    snapshot->settings.requirepass = (shoal_slice){snapshot->password, password_size};
    snapshot->next = node->snapshots;
    node->snapshots = snapshot;
    return snapshot;
}

void shoal_node__drop_snapshots(shoal_node *node)
{
    shoal_snapshot *snapshot = node->snapshots;

    while (snapshot != NULL) {
        shoal_snapshot *next = snapshot->next;
        shoal_memory_give(&node->allocator, snapshot, snapshot->memory, SHOAL_ALIGN_PLAIN);
        snapshot = next;
    }
    node->snapshots = NULL;
}

/* Copies a text directive into a zeroed array that has room for it and a zero. */
static void copy_text(const shoal_config *config, shoal_directive_id id, char *out, size_t room)
{
    SHOAL_ASSERT(room > 0);
    shoal_slice text = shoal_config__text(config, id);

    SHOAL_ASSERT(text.size < room);
    if (text.size > 0) memcpy(out, text.data, text.size);
}

/* What a failover goes by. */
static void fill_failover(const shoal_config *config, shoal_cluster_settings *settings)
{
    SHOAL_ASSERT(settings->node_timeout_ms >= 0);
    settings->replica_validity_factor =
        shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_REPLICA_VALIDITY_FACTOR);
    settings->repl_ping_period_ms =
        1000 * shoal_config__number(config, SHOAL_DIRECTIVE_REPL_PING_REPLICA_PERIOD);
    settings->migration_barrier =
        shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_MIGRATION_BARRIER);
    settings->allow_replica_migration =
        shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_ALLOW_REPLICA_MIGRATION) != 0;
    settings->replica_no_failover =
        shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_REPLICA_NO_FAILOVER) != 0;
    settings->voters_all = shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_VOTERS) != 0;
    settings->profile = (int)shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_TIMING_PROFILE);
    settings->shutdown_handover =
        (int)shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_SHUTDOWN_HANDOVER);
}

shoal_cluster_settings shoal_node__cluster_settings(const shoal_node *node)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    const shoal_config *config = &node->config;
    int64_t port = shoal_config__number(config, SHOAL_DIRECTIVE_PORT);
    int64_t bus = shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_PORT);
    int64_t coverage = shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_REQUIRE_FULL_COVERAGE);
    int64_t reads = shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_ALLOW_READS_WHEN_DOWN);
    int64_t channels =
        shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_ALLOW_PUBSUBSHARD_WHEN_DOWN);
    int64_t announced = shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_ANNOUNCE_PORT);
    int64_t announced_bus = shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_ANNOUNCE_BUS_PORT);
    int64_t endpoint =
        shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_PREFERRED_ENDPOINT_TYPE);
    shoal_cluster_settings settings = {
        .port = (uint16_t)port,
        .bus_port = (uint16_t)(bus != 0 ? bus : port + 10000),
        .node_timeout_ms = shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_NODE_TIMEOUT),
        .require_full_coverage = coverage != 0,
        .allow_reads_when_down = reads != 0,
        .allow_channels_when_down = channels != 0,
        .announce_port = (uint16_t)announced,
        .announce_bus_port = (uint16_t)announced_bus,
        .preferred_endpoint = (int)endpoint};

    fill_failover(config, &settings);
    settings.link_queue_max =
        (uint64_t)shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_LINK_SENDBUF_LIMIT);
    copy_text(config, SHOAL_DIRECTIVE_CLUSTER_ANNOUNCE_IP, settings.announce_ip,
              sizeof(settings.announce_ip));
    copy_text(config, SHOAL_DIRECTIVE_CLUSTER_ANNOUNCE_HOSTNAME, settings.announce_hostname,
              sizeof(settings.announce_hostname));
    /* A list that is too long loses its end. */
    shoal_slice seeds = shoal_config__text(config, SHOAL_DIRECTIVE_CLUSTER_SEEDS);
    size_t seeds_size =
        seeds.size < sizeof(settings.seeds) ? seeds.size : sizeof(settings.seeds) - 1;
    if (seeds_size > 0) memcpy(settings.seeds, seeds.data, seeds_size);
    return settings;
}

/* The directives about moving things together take effect in the store itself. */
static void apply_defrag(shoal_node *node)
{
    SHOAL_ASSERT(node->store != NULL);
    const shoal_config *config = &node->config;
    shoal_defrag_settings settings = {
        .on = shoal_config__number(config, SHOAL_DIRECTIVE_ACTIVEDEFRAG) != 0,
        .ignore_bytes =
            (uint64_t)shoal_config__number(config, SHOAL_DIRECTIVE_ACTIVE_DEFRAG_IGNORE_BYTES),
        .lower_percent =
            (uint32_t)shoal_config__number(config, SHOAL_DIRECTIVE_ACTIVE_DEFRAG_THRESHOLD_LOWER),
        .upper_percent =
            (uint32_t)shoal_config__number(config, SHOAL_DIRECTIVE_ACTIVE_DEFRAG_THRESHOLD_UPPER),
        .cycle_min_percent =
            (uint32_t)shoal_config__number(config, SHOAL_DIRECTIVE_ACTIVE_DEFRAG_CYCLE_MIN),
        .cycle_max_percent =
            (uint32_t)shoal_config__number(config, SHOAL_DIRECTIVE_ACTIVE_DEFRAG_CYCLE_MAX),
        .scan_max =
            (uint32_t)shoal_config__number(config, SHOAL_DIRECTIVE_ACTIVE_DEFRAG_MAX_SCAN_FIELDS)};
    shoal_store_set_defrag(node->store, &settings);
    if (settings.on) shoal_worker_rouse(&node->env);
}

shoal_err shoal_node__apply(shoal_node *node)
{
    SHOAL_ASSERT(node->config_seen <= node->config.version);
    shoal_settings settings = read_settings(&node->config);
    const shoal_snapshot *snapshot;

    settings.integers_shared = shoal_node__shares_integers(node);
    settings.clients_bytes_max = shoal_node__maxmemory_clients(node);
    apply_output_limits(&node->config, &settings);
    if (node->snapshots != NULL && node->config_seen == node->config.version) return SHOAL_ERR_OK;
    snapshot = snapshot_of(node, &settings);
    if (snapshot == NULL) return SHOAL_ERR_NO_MEMORY;
    shoal_store_release(&node->env.settings, &snapshot->settings); /* pair: env.settings */
    shoal_slice events = shoal_config__text(&node->config, SHOAL_DIRECTIVE_NOTIFY_KEYSPACE_EVENTS);
    shoal_store_relaxed(&node->env.events, shoal_event_classes(events));
    apply_defrag(node);
    shoal_node__replication_set(node);
    shoal_node__apply_limits(node);
    if (node->cluster != NULL) {
        shoal_cluster_settings cluster = shoal_node__cluster_settings(node);
        shoal_tape_set(node->tape, node->cluster, &cluster, node->now);
    }
    node->config_seen = node->config.version;
    return SHOAL_ERR_OK;
}
