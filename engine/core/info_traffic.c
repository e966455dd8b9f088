/* SPDX-License-Identifier: MIT
 *
 * core/info_traffic.c - the sections of INFO about what clients do: Clients, Stats, Commandstats,
 * Errorstats.
 */
#include "core/info.h"

#include "command/pubsub.h"
#include "command/topics.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/number.h"
#include "base/text.h"
#include "command/timing.h"
#include "command/tracking.h"

void shoal_info__clients(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->env.workers != NULL);
    int64_t most = shoal_config__number(&node->config, SHOAL_DIRECTIVE_MAXCLIENTS);

    shoal_info__number(out, "connected_clients", shoal_load_relaxed(&node->env.clients));
    shoal_info__number(out, "maxclients", (uint64_t)most);
    shoal_info__number(out, "blocked_clients", shoal_load_relaxed(&node->env.blocked));
    shoal_info__number(out, "tracking_clients", shoal_tracking_facts_get(&node->env).clients);
    shoal_info__number(out, "clients_in_timeout_table", 0);
}

/* The sum of a counter over all workers. */
static void counter(const shoal_node *node, shoal_buffer *out, const char *name, shoal_stat stat)
{
    SHOAL_ASSERT(stat < SHOAL_STAT_COUNT);
    SHOAL_ASSERT(name[0] != '\0');
    shoal_info__number(out, name, shoal_stat_sum(&node->env, stat));
}

/* Bytes a second as kilobytes with two decimals. */
static void kilobytes(shoal_buffer *out, const char *name, uint64_t bytes_s)
{
    SHOAL_ASSERT(name[0] != '\0');
    shoal_text_appendf(out, "%s:%.2f\r\n", name, (double)bytes_s / 1024);
}

static void traffic(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->env.worker_count > 0);
    counter(node, out, "total_connections_received", SHOAL_STAT_CONNECTIONS_RECEIVED);
    counter(node, out, "total_commands_processed", SHOAL_STAT_COMMANDS);
    shoal_info__number(out, "instantaneous_ops_per_sec", node->rates.commands_s);
    counter(node, out, "total_net_input_bytes", SHOAL_STAT_NET_INPUT);
    counter(node, out, "total_net_output_bytes", SHOAL_STAT_NET_OUTPUT);
    shoal_info__number(out, "total_net_repl_input_bytes", 0);
    shoal_info__number(out, "total_net_repl_output_bytes", 0);
    kilobytes(out, "instantaneous_input_kbps", node->rates.input_s);
    kilobytes(out, "instantaneous_output_kbps", node->rates.output_s);
    shoal_info__text(out, "instantaneous_input_repl_kbps", "0.00");
    shoal_info__text(out, "instantaneous_output_repl_kbps", "0.00");
    counter(node, out, "rejected_connections", SHOAL_STAT_CONNECTIONS_REJECTED);
    shoal_repl_facts facts;
    shoal_repl_facts_get(node->replication.repl, &facts);
    shoal_info__number(out, "sync_full", facts.full_syncs);
    shoal_info__number(out, "sync_partial_ok", facts.partial_syncs);
    shoal_info__number(out, "sync_partial_err", facts.partial_refused);
}

static void keys(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->store != NULL);
    shoal_store_stats stats;

    shoal_store_stats_get(node->store, &stats);
    shoal_info__number(out, "expired_keys", stats.expired);
    shoal_info__number(out, "evicted_keys", stats.evicted);
    counter(node, out, "evicted_clients", SHOAL_STAT_CLIENTS_EVICTED);
    int64_t exceeded_us = 0;
    if (stats.exceeded_since_us != 0) exceeded_us = node->now.mono_us - stats.exceeded_since_us;
    if (exceeded_us < 0) exceeded_us = 0;
    shoal_info__number(out, "total_eviction_exceeded_time",
                       (uint64_t)(stats.exceeded_us + exceeded_us) / 1000);
    shoal_info__number(out, "current_eviction_exceeded_time", (uint64_t)exceeded_us / 1000);
    shoal_info__number(out, "keyspace_hits", stats.hits);
    shoal_info__number(out, "keyspace_misses", stats.misses);
    shoal_info__number(out, "shoal_handed_over", stats.handed_over);
}

static void channels(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->env.workers != NULL);
    const shoal_env *env = &node->env;
    shoal_info__number(out, "pubsub_channels", shoal_pubsub_count(env, SHOAL_TOPIC_CHANNEL));
    shoal_info__number(out, "pubsub_patterns", shoal_pubsub_count(env, SHOAL_TOPIC_PATTERN));
    shoal_info__number(out, "pubsubshard_channels", shoal_pubsub_count(env, SHOAL_TOPIC_SHARD));
    shoal_tracking_facts tracking = shoal_tracking_facts_get(env);
    shoal_info__number(out, "tracking_total_keys", tracking.keys);
    shoal_info__number(out, "tracking_total_items", tracking.items);
    shoal_info__number(out, "tracking_total_prefixes", tracking.prefixes);
}

/* Counters of what this version does not do: nothing of it has happened. */
static void absent(shoal_buffer *out)
{
    static const char names[][28] = {"latest_fork_usec", "total_forks",
                                     "slave_expires_tracked_keys", "unexpected_error_replies"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        shoal_info__number(out, names[i], 0);
}

/* Of moving things together. Times in milliseconds. */
static void defrag(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->store != NULL);
    shoal_store_stats stats;
    shoal_store_stats_get(node->store, &stats);
    int64_t since = stats.defrag_since_us;
    int64_t now_us = since > 0 && node->now.mono_us > since ? node->now.mono_us - since : 0;
    shoal_info__number(out, "active_defrag_hits", stats.defrag_hits);
    shoal_info__number(out, "active_defrag_misses", stats.defrag_misses);
    shoal_info__number(out, "active_defrag_key_hits", stats.defrag_key_hits);
    shoal_info__number(out, "active_defrag_key_misses", stats.defrag_key_misses);
    shoal_info__number(out, "shoal_active_defrag_scanned", stats.defrag_scanned);
    shoal_info__number(out, "total_active_defrag_time",
                       (uint64_t)(stats.defrag_us + now_us) / 1000);
    shoal_info__number(out, "current_active_defrag_time", (uint64_t)now_us / 1000);
}

void shoal_info__stats(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->env.workers != NULL);
    traffic(node, out);
    keys(node, out);
    channels(node, out);
    absent(out);
    shoal_info__number(out, "migrate_cached_sockets", shoal_node__trips_count(node));
    defrag(node, out);
    counter(node, out, "total_error_replies", SHOAL_STAT_ERRORS);
    shoal_info__number(out, "dump_payload_sanitizations", 0);
    counter(node, out, "total_reads_processed", SHOAL_STAT_READS);
    counter(node, out, "total_writes_processed", SHOAL_STAT_WRITES);
    shoal_info__number(out, "io_threaded_reads_processed", 0);
    shoal_info__number(out, "io_threaded_writes_processed", 0);
    shoal_info__number(out, "reply_buffer_shrinks", 0);
    shoal_info__number(out, "reply_buffer_expands", 0);
    counter(node, out, "client_query_buffer_limit_disconnections", SHOAL_STAT_QUERY_LIMIT);
    counter(node, out, "client_output_buffer_limit_disconnections", SHOAL_STAT_OUTPUT_LIMIT);
    counter(node, out, "shoal_parked_commands", SHOAL_STAT_PARKED);
    counter(node, out, "shoal_request_batches", SHOAL_STAT_BATCHES);
}

/* "cmdstat_client|id": the start of a line about a command. */
static void append_name(const shoal_command *command, const char *before, shoal_buffer *out)
{
    SHOAL_ASSERT(command->id != SHOAL_COMMAND_NONE);
    shoal_buffer_append(out, shoal_text(before));
    if (command->parent != SHOAL_COMMAND_NONE)
        shoal_text_appendf(out, "%s|", shoal_command_row(command->parent)->name);
    shoal_buffer_append(out, shoal_text(command->name));
}

void shoal_info__commandstats(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->env.workers != NULL);
    for (uint32_t id = SHOAL_COMMAND_NONE + 1; id < SHOAL_COMMAND_COUNT; id++) {
        const shoal_command *command = shoal_command_row(id);
        shoal_command_count count = shoal_command_count_get(&node->env, id);
        if (count.calls == 0 && count.rejected == 0 && count.failed == 0) continue;
        append_name(command, "cmdstat_", out);
        double call_us = count.calls != 0 ? (double)count.took_ns / 1000 / (double)count.calls : 0;
        shoal_text_appendf(
            out,
            ":calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu\r\n",
            (unsigned long long)count.calls, (unsigned long long)(count.took_ns / 1000), call_us,
            (unsigned long long)count.rejected, (unsigned long long)count.failed);
    }
}

/* The percentiles of one command, as the directive lists them. */
static void append_percentiles(shoal_slice list, const uint64_t *counts, uint64_t sum,
                               shoal_buffer *out)
{
    SHOAL_ASSERT(sum > 0);
    const char *separator = ":";
    for (size_t i = 0, end; i < list.size; i = end + 1) {
        for (end = i; end < list.size && list.data[end] != ' ';) end++;
        shoal_slice word = {list.data + i, end - i};
        double percent;
        if (shoal_number_to_double(word, &percent) == SHOAL_NUMBER_NONE) continue;
        shoal_text_appendf(out, "%sp%.*s=%.3f", separator, (int)word.size, word.data,
                           (double)shoal_timing_percentile(counts, sum, percent) / 1000);
        separator = ",";
    }
    shoal_buffer_append(out, shoal_text("\r\n"));
}

void shoal_info__latencystats(const shoal_node *node, shoal_buffer *out)
{
    shoal_slice list =
        shoal_config__text(&node->config, SHOAL_DIRECTIVE_LATENCY_TRACKING_INFO_PERCENTILES);
    SHOAL_ASSERT(node->env.workers != NULL);
    if (shoal_config__number(&node->config, SHOAL_DIRECTIVE_LATENCY_TRACKING) == 0) return;
    for (uint32_t id = SHOAL_COMMAND_NONE + 1; id < SHOAL_COMMAND_COUNT; id++) {
        uint64_t counts[SHOAL_TIMING__BUCKETS];
        uint64_t sum = shoal_timing_counts(&node->env, id, counts);
        if (sum == 0 || list.size == 0) continue;
        append_name(shoal_command_row(id), "latency_percentiles_usec_", out);
        append_percentiles(list, counts, sum, out);
    }
}

void shoal_info__errorstats(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->env.workers != NULL);
#define SHOAL_STAT(id, info_name, doc) {SHOAL_STAT_##id, info_name},
    static const struct {
        shoal_stat stat;
        char name[48];
    } rows[] = {
#include "command/stat.def"
    };
#undef SHOAL_STAT

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t count = shoal_stat_sum(&node->env, rows[i].stat);
        if (count == 0 || memcmp(rows[i].name, "errorstat_", 10) != 0) continue;
        shoal_text_appendf(out, "%s:count=%llu\r\n", rows[i].name, (unsigned long long)count);
    }
}
