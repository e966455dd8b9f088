/* SPDX-License-Identifier: MIT
 *
 * core/info_memory.c - the sections of INFO about memory and keys: Memory, Keyspace. What the
 * store counts is shown always; what only the process knows is left out when the host does not
 * tell.
 */
#include "core/info.h"
#include "core/memory.h"

#include "base/assert.h"
#include "base/text.h"

/* Appends "name:number" and "name_human:text", as 1.50M. */
static void bytes(shoal_buffer *out, const char *name, uint64_t number)
{
    SHOAL_ASSERT(name[0] != '\0');
    static const char units[] = "BKMGTPE";
    double value = (double)number;
    int unit = 0;

    while (value >= 1024 && unit < 6) {
        value /= 1024;
        unit++;
    }
    shoal_info__number(out, name, number);
    if (unit == 0)
        shoal_text_appendf(out, "%s_human:%uB\r\n", name, (unsigned)number);
    else
        shoal_text_appendf(out, "%s_human:%.2f%c\r\n", name, value, units[unit]);
}

static void percent(shoal_buffer *out, const char *name, uint64_t part, uint64_t whole)
{
    SHOAL_ASSERT(name[0] != '\0');
    shoal_text_appendf(out, "%s:%.2f%%\r\n", name, 100 * shoal_memory__ratio(part, whole));
}

/* A ratio with the bytes that it means, as fragmentation is shown. */
static void excess(shoal_buffer *out, const char *name, uint64_t large, uint64_t small)
{
    SHOAL_ASSERT(name[0] != '\0');
    shoal_text_appendf(out, "%s_ratio:%.2f\r\n", name, shoal_memory__ratio(large, small));
    shoal_text_appendf(out, "%s_bytes:%lld\r\n", name, (long long)(large - small));
}

/* What data takes, by the store's own count. */
static void used(const shoal_memory_figures *figures, shoal_buffer *out)
{
    SHOAL_ASSERT(figures->peak >= figures->used);
    uint64_t grown = figures->used > figures->startup ? figures->used - figures->startup : 0;

    bytes(out, "used_memory", figures->used);
    if (figures->rss > 0) bytes(out, "used_memory_rss", figures->rss);
    bytes(out, "used_memory_peak", figures->peak);
    percent(out, "used_memory_peak_perc", figures->used, figures->peak);
    shoal_info__number(out, "used_memory_overhead", figures->overhead);
    shoal_info__number(out, "used_memory_startup", figures->startup);
    shoal_info__number(out, "used_memory_dataset", figures->dataset);
    percent(out, "used_memory_dataset_perc", figures->dataset, grown);
    shoal_info__number(out, "shoal_memory_tables", figures->store.bytes_tables);
    shoal_info__number(out, "shoal_memory_limbo", figures->store.bytes_limbo);
    shoal_info__number(out, "shoal_memory_slabs", figures->store.bytes_slabs);
    shoal_info__number(out, "shoal_memory_slabs_free", figures->store.bytes_slabs_free);
}

/* This version runs no scripts. */
static void scripts(shoal_buffer *out)
{
    shoal_info__number(out, "used_memory_lua", 0);
    shoal_info__number(out, "used_memory_vm_eval", 0);
    shoal_info__text(out, "used_memory_lua_human", "0B");
    shoal_info__number(out, "used_memory_scripts_eval", 0);
    shoal_info__number(out, "number_of_cached_scripts", 0);
    shoal_info__number(out, "number_of_functions", 0);
    shoal_info__number(out, "number_of_libraries", 0);
    shoal_info__number(out, "used_memory_vm_functions", 0);
    bytes(out, "used_memory_vm_total", 0);
    shoal_info__number(out, "used_memory_functions", 0);
    bytes(out, "used_memory_scripts", 0);
}

static void limits(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    const shoal_config_value *policy = &node->config.values[SHOAL_DIRECTIVE_MAXMEMORY_POLICY];

    bytes(out, "maxmemory", shoal_node__maxmemory(node));
    shoal_text_appendf(out, "maxmemory_policy:");
    shoal_config__show(SHOAL_DIRECTIVE_MAXMEMORY_POLICY, policy, out);
    shoal_text_appendf(out, "\r\n");
}

/* What the allocator and the process take beyond what is used. */
static void fragmentation(const shoal_memory_figures *figures, shoal_buffer *out)
{
    SHOAL_ASSERT(figures->peak >= figures->used);
    if (figures->allocated > 0) {
        excess(out, "allocator_frag", figures->active, figures->allocated);
        excess(out, "allocator_rss", figures->resident, figures->active);
    }
    if (figures->rss > 0 && figures->resident > 0)
        excess(out, "rss_overhead", figures->rss, figures->resident);
    if (figures->rss > 0) excess(out, "mem_fragmentation", figures->rss, figures->used);
}

static void parts(const shoal_node *node, const shoal_memory_figures *figures, shoal_buffer *out)
{
    const shoal_store_stats *stats = &figures->store;
    SHOAL_ASSERT(node->vitals.allocator_name == NULL || node->vitals.allocator_name[0] != '\0');
    shoal_info__number(out, "mem_not_counted_for_evict", shoal_memory__not_counted(figures));
    shoal_repl_facts facts;
    shoal_repl_facts_get(node->replication.repl, &facts);
    shoal_info__number(out, "mem_replication_backlog", figures->backlog);
    shoal_info__number(out, "mem_total_replication_buffers", facts.buffered_bytes);
    shoal_info__number(out, "mem_clients_slaves", figures->replicas);
    shoal_info__number(out, "mem_clients_normal", figures->clients);
    shoal_info__number(out, "mem_cluster_links", 0);
    shoal_info__number(out, "mem_aof_buffer", figures->aof);
    if (node->vitals.allocator_name != NULL)
        shoal_info__text(out, "mem_allocator", node->vitals.allocator_name);
    shoal_info__number(out, "active_defrag_running", stats->defrag_running);
    shoal_info__number(out, "lazyfree_pending_objects", stats->lazy_pending);
    shoal_info__number(out, "lazyfreed_objects", stats->lazy_freed);
}

void shoal_info__memory(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->store != NULL);
    shoal_memory_figures figures = shoal_memory__look(node);

    used(&figures, out);
    if (figures.allocated > 0) {
        shoal_info__number(out, "allocator_allocated", figures.allocated);
        shoal_info__number(out, "allocator_active", figures.active);
        shoal_info__number(out, "allocator_resident", figures.resident);
    }
    if (node->vitals.memory_total > 0) {
        bytes(out, "total_system_memory", node->vitals.memory_total);
    }
    scripts(out);
    limits(node, out);
    fragmentation(&figures, out);
    parts(node, &figures, out);
}

void shoal_info__keyspace(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->store != NULL);
    const shoal_settings *settings = shoal_load_relaxed(&node->env.settings);

    for (uint32_t db = 0; db < settings->databases; db++) {
        uint64_t keys = shoal_store_count(node->store, db);
        uint64_t expires = shoal_store_count_volatile(node->store, db);
        if (keys == 0) continue;
        shoal_text_appendf(out, "db%u:keys=%llu,expires=%llu,avg_ttl=0\r\n", db,
                           (unsigned long long)keys, (unsigned long long)expires);
    }
}
