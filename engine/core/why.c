/* SPDX-License-Identifier: MIT
 *
 * core/why.c - what rooms beside the cluster's refuse, for people: in the trace and in CLUSTER WHY
 * (cluster/reasons.def has the words). Replication says why a synchronisation is a full one; why
 * nobody may write is seen here, by what workers are told to refuse.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/text.h"

/* Errors for want of memory are counted this often. Chosen. */
#define MEMORY_US 1000000

void shoal_node__why(shoal_node *node, shoal_cluster_reason reason, shoal_slice detail)
{
    SHOAL_ASSERT(detail.data != NULL || detail.size == 0);
    if (node->cluster != NULL) {
        shoal_tape_tell(node->tape, node->cluster, reason, detail, node->now);
        return;
    }
    shoal_trace_record record = {.kind = SHOAL_TRACE_WHY_NOT,
                                 .a = (uint64_t)reason,
                                 .text = detail};
    shoal_tape_note(node->tape, &record);
    node->host.trace(node->host.context, &record);
}

/* The same, and a line of the log. */
static void say(shoal_node *node, shoal_cluster_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(shoal_node *node, shoal_cluster_reason reason, const char *format, ...)
{
    shoal_buffer detail = shoal_buffer_make(&node->allocator);
    va_list arguments;
    va_start(arguments, format);
    shoal_text_vappendf(&detail, format, arguments);
    va_end(arguments);
    shoal_slice text = shoal_buffer_slice(&detail);
    SHOAL_ASSERT(detail.failed || text.size > 0);
    shoal_node__log(node, SHOAL_LEVEL_NOTICE, "%s: %.*s", shoal_cluster_reason_words(reason),
                    (int)text.size, text.data != NULL ? text.data : "");
    shoal_node__why(node, reason, text);
    shoal_buffer_free(&detail);
}

void shoal_node__full(void *context, shoal_repl_why why, shoal_slice detail)
{
    static const shoal_cluster_reason reasons[] = {
        [SHOAL_REPL_WHY_NO_HISTORY] = SHOAL_WHY_FULL_NO_HISTORY,
        [SHOAL_REPL_WHY_OTHER_HISTORY] = SHOAL_WHY_FULL_OTHER_HISTORY,
        [SHOAL_REPL_WHY_FORKED] = SHOAL_WHY_FULL_FORKED,
        [SHOAL_REPL_WHY_NO_BACKLOG] = SHOAL_WHY_FULL_NO_BACKLOG,
        [SHOAL_REPL_WHY_BACKLOG_SHORT] = SHOAL_WHY_FULL_BACKLOG_SHORT,
        [SHOAL_REPL_WHY_AHEAD] = SHOAL_WHY_FULL_AHEAD,
        [SHOAL_REPL_WHY_LOST_EFFECTS] = SHOAL_WHY_FULL_LOST_EFFECTS,
        [SHOAL_REPL_WHY_BY_SYNC] = SHOAL_WHY_FULL_BY_SYNC,
        [SHOAL_REPL_WHY_FROM_MASTER] = SHOAL_WHY_FULL_FROM_MASTER,
    };
    SHOAL_ASSERT(why > SHOAL_REPL_WHY_NONE && why <= SHOAL_REPL_WHY_FROM_MASTER);
    shoal_node__why(context, reasons[why], detail);
}

/* ---- why nobody may write ---- */

static void say_refusals(shoal_node *node, uint32_t news)
{
    const shoal_config *config = &node->config;
    shoal_repl_facts facts;
    SHOAL_ASSERT(news != 0);
    shoal_repl_facts_get(node->replication.repl, &facts);
    if ((news & SHOAL_REFUSES_FEW_REPLICAS) != 0)
        say(node, SHOAL_WHY_WRITES_REPLICAS,
            "%lld wanted, heard of within %lld s: %u of %u that are online",
            (long long)shoal_config__number(config, SHOAL_DIRECTIVE_MIN_REPLICAS_TO_WRITE),
            (long long)shoal_config__number(config, SHOAL_DIRECTIVE_MIN_REPLICAS_MAX_LAG),
            (unsigned)facts.timely, (unsigned)facts.replicas);
    if ((news & SHOAL_REFUSES_STALE) != 0)
        say(node, SHOAL_WHY_STALE_DATA, "the data are those of offset %llu",
            (unsigned long long)facts.offset);
}

static void say_misconf(shoal_node *node, uint32_t news)
{
    SHOAL_ASSERT(news != 0);
    if ((news & SHOAL_MISCONF_RDB) != 0)
        say(node, SHOAL_WHY_WRITES_RDB, "it began %lld s ago",
            (long long)((node->now.mono_us - node->saving.tried_us) / 1000000));
    if ((news & SHOAL_MISCONF_AOF) != 0)
        say(node, SHOAL_WHY_WRITES_AOF, "%s",
            shoal_err_text(shoal_aof_trouble(node->appending.aof)));
}

/* Told once until there was a second without such an error. */
static void look_at_memory(shoal_node *node)
{
    shoal_told *told = &node->told;
    if (node->now.mono_us - told->looked_us < MEMORY_US) return;
    uint64_t errors = shoal_stat_sum(&node->env, SHOAL_STAT_ERROR_OOM);
    bool more = errors > told->errors;
    uint64_t limit = shoal_node__maxmemory(node);
    SHOAL_ASSERT(told->looked_us <= node->now.mono_us);
    if (more && !told->short_of_memory && limit != 0)
        say(node, SHOAL_WHY_WRITES_MEMORY, "%llu commands so far; maxmemory is %llu",
            (unsigned long long)errors, (unsigned long long)limit);
    told->looked_us = node->now.mono_us;
    told->errors = errors;
    told->short_of_memory = more;
}

int64_t shoal_node__why_deadline(const shoal_node *node)
{
    SHOAL_ASSERT(node->told.looked_us <= node->now.mono_us);
    return node->told.looked_us + MEMORY_US;
}

void shoal_node__why_step(shoal_node *node)
{
    shoal_told *told = &node->told;
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    if (node->phase < SHOAL_PHASE_READY) return;
    uint32_t refuses = shoal_load_relaxed(&node->env.refuses);
    uint32_t misconf = shoal_load_relaxed(&node->env.misconf);
    if ((refuses & ~told->refuses) != 0) say_refusals(node, refuses & ~told->refuses);
    if ((misconf & ~told->misconf) != 0) say_misconf(node, misconf & ~told->misconf);
    told->refuses = refuses;
    told->misconf = misconf;
    look_at_memory(node);
}
