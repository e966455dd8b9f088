/* SPDX-License-Identifier: MIT
 *
 * core/info_process.c - the sections of INFO about the process and its place in the world: Server,
 * Persistence, Replication, CPU, Cluster.
 */
#include "core/info.h"

#include "base/assert.h"
#include "base/text.h"

/* What tools read to learn which commands and fields to expect. */
#define REDIS_VERSION "7.0.15"
#define SHOAL_VERSION "0.1.0"

#define US_PER_S 1000000
#define S_PER_DAY 86400

static bool clustered(const shoal_node *node)
{
    return shoal_config__number(&node->config, SHOAL_DIRECTIVE_CLUSTER_ENABLED) != 0;
}

/* The text of a directive as CONFIG GET shows it. */
static void directive(const shoal_node *node, shoal_buffer *out, const char *name,
                      shoal_directive_id id)
{
    SHOAL_ASSERT(id < SHOAL_DIRECTIVE_COUNT);
    SHOAL_ASSERT(name[0] != '\0');
    shoal_text_appendf(out, "%s:", name);
    shoal_config__show(id, &node->config.values[id], out);
    shoal_text_appendf(out, "\r\n");
}

/* A text that only the host knows; left out when it does not say. */
static void host_text(shoal_buffer *out, const char *name, const char *text)
{
    SHOAL_ASSERT(name[0] != '\0');
    if (text != NULL) shoal_info__text(out, name, text);
}

static void build_facts(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    shoal_info__text(out, "redis_version", REDIS_VERSION);
    shoal_info__text(out, "shoal_version", SHOAL_VERSION);
    shoal_info__text(out, "redis_git_sha1", "00000000");
    shoal_info__number(out, "redis_git_dirty", 0);
    shoal_info__text(out, "redis_build_id", "0");
    shoal_info__text(out, "redis_mode", clustered(node) ? "cluster" : "standalone");
    host_text(out, "os", node->vitals.system);
    shoal_info__number(out, "arch_bits", 8 * sizeof(void *));
    host_text(out, "monotonic_clock", node->vitals.clock);
    host_text(out, "multiplexing_api", node->vitals.multiplexing);
    shoal_info__text(out, "atomicvar_api", "c11-builtin");
    host_text(out, "gcc_version", node->vitals.compiler);
}

void shoal_info__server(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->now.mono_us >= node->created.mono_us);
    SHOAL_ASSERT(node->now.wall_us >= 0);
    int64_t uptime_s = (node->now.mono_us - node->created.mono_us) / US_PER_S;
    int64_t hz = shoal_config__number(&node->config, SHOAL_DIRECTIVE_HZ);

    build_facts(node, out);
    shoal_info__number(out, "process_id", node->env.process_id);
    directive(node, out, "process_supervised", SHOAL_DIRECTIVE_SUPERVISED);
    shoal_info__text(out, "run_id", node->run_id);
    directive(node, out, "tcp_port", SHOAL_DIRECTIVE_PORT);
    shoal_info__number(out, "server_time_usec", (uint64_t)node->now.wall_us);
    shoal_info__number(out, "uptime_in_seconds", (uint64_t)uptime_s);
    shoal_info__number(out, "uptime_in_days", (uint64_t)(uptime_s / S_PER_DAY));
    shoal_info__number(out, "hz", (uint64_t)hz);
    shoal_info__number(out, "configured_hz", (uint64_t)hz);
    shoal_info__number(out, "lru_clock", (uint64_t)(node->now.wall_us / US_PER_S) & 0xFFFFFF);
    host_text(out, "executable", node->vitals.executable);
    shoal_info__text(out, "config_file",
                     node->vitals.config_file != NULL ? node->vitals.config_file : "");
    int64_t left_ms = shoal_node__farewell_ms(node);
    if (left_ms >= 0) shoal_info__number(out, "shutdown_in_milliseconds", (uint64_t)left_ms);
    shoal_info__number(out, "io_threads_active", node->worker_count > 1);
    shoal_info__number(out, "shoal_workers", node->worker_count);
}

/* Is a snapshot on its way while what was there is served? repl-diskless-load swapdb asks for that;
 * here it is so whatever that says, but only who asks for it expects to be told so. */
static bool loads_beside(const shoal_node *node)
{
    enum { DISABLED, ON_EMPTY_DB, SWAPDB };
    shoal_repl_facts facts;
    SHOAL_ASSERT(node->replication.repl != NULL);
    shoal_repl_facts_get(node->replication.repl, &facts);
    return facts.syncing && !shoal_load_relaxed(&node->env.loading) &&
           shoal_config__number(&node->config, SHOAL_DIRECTIVE_REPL_DISKLESS_LOAD) == SWAPDB;
}

void shoal_info__persistence(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    shoal_info__number(out, "loading", shoal_load_relaxed(&node->env.loading));
    shoal_info__number(out, "async_loading", loads_beside(node));
    shoal_node__saving_progress(node, out);
    shoal_node__saving_info(node, out);
    shoal_node__appending_info(node, out);
    shoal_node__appending_load_info(node, out);
}

void shoal_info__replication(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->replication.repl != NULL);
    shoal_repl_info(node->replication.repl, out);
}

/* Microseconds as seconds with six decimals. */
static void seconds(shoal_buffer *out, const char *name, uint64_t us)
{
    SHOAL_ASSERT(name[0] != '\0');
    shoal_text_appendf(out, "%s:%llu.%06llu\r\n", name, (unsigned long long)(us / US_PER_S),
                       (unsigned long long)(us % US_PER_S));
}

void shoal_info__cpu(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(node->vitals.cpu_user_us + node->vitals.cpu_system_us > 0);
    seconds(out, "used_cpu_sys", node->vitals.cpu_system_us);
    seconds(out, "used_cpu_user", node->vitals.cpu_user_us);
    seconds(out, "used_cpu_sys_children", 0);
    seconds(out, "used_cpu_user_children", 0);
    seconds(out, "used_cpu_sys_main_thread", node->vitals.cpu_system_main_us);
    seconds(out, "used_cpu_user_main_thread", node->vitals.cpu_user_main_us);
}

void shoal_info__cluster(const shoal_node *node, shoal_buffer *out)
{
    shoal_info__number(out, "cluster_enabled", clustered(node));
}
