/* SPDX-License-Identifier: MIT
 *
 * core/info.c - INFO: which sections were asked for, and the rates that it shows. The sections
 * themselves are in info_process.c, info_memory.c and info_traffic.c.
 */
#include "core/info.h"

#include "base/assert.h"
#include "base/text.h"
#include "core/memory.h"

/* Between two looks at the counters. */
#define LOOK_INTERVAL_US 1000000

void shoal_info__number(shoal_buffer *out, const char *name, uint64_t number)
{
    SHOAL_ASSERT(name[0] != '\0');
    shoal_text_appendf(out, "%s:%llu\r\n", name, (unsigned long long)number);
}

void shoal_info__text(shoal_buffer *out, const char *name, const char *text)
{
    SHOAL_ASSERT(name[0] != '\0');
    SHOAL_ASSERT(text != NULL);
    shoal_text_appendf(out, "%s:%s\r\n", name, text);
}

/* ---- sections ---- */

/* When a section is shown though nobody named it. */
typedef enum habit { BY_DEFAULT, WITH_ALL } habit;

/* One section. */
typedef struct info_section {
    const char *title;
    habit habit;
    shoal_info_section write; /* NULL: the section is empty here */
} info_section;

/* The sections of INFO in their order. */
static bool section_at(uint32_t index, info_section *out)
{
    switch (index) {
    case 0: *out = (info_section){"Server", BY_DEFAULT, shoal_info__server}; return true;
    case 1: *out = (info_section){"Clients", BY_DEFAULT, shoal_info__clients}; return true;
    case 2: *out = (info_section){"Memory", BY_DEFAULT, shoal_info__memory}; return true;
    case 3: *out = (info_section){"Persistence", BY_DEFAULT, shoal_info__persistence}; return true;
    case 4: *out = (info_section){"Stats", BY_DEFAULT, shoal_info__stats}; return true;
    case 5: *out = (info_section){"Replication", BY_DEFAULT, shoal_info__replication}; return true;
    case 6: *out = (info_section){"CPU", BY_DEFAULT, shoal_info__cpu}; return true;
    case 7: *out = (info_section){"Modules", BY_DEFAULT, NULL}; return true;
    case 8: *out = (info_section){"Commandstats", WITH_ALL, shoal_info__commandstats}; return true;
    case 9: *out = (info_section){"Errorstats", BY_DEFAULT, shoal_info__errorstats}; return true;
    case 10: *out = (info_section){"Latencystats", WITH_ALL, shoal_info__latencystats}; return true;
    case 11: *out = (info_section){"Cluster", BY_DEFAULT, shoal_info__cluster}; return true;
    case 12: *out = (info_section){"Keyspace", BY_DEFAULT, shoal_info__keyspace}; return true;
    default: return false;
    }
}

/* Does one of the arguments ask for the section? */
static bool wanted(const shoal_errand *errand, const info_section *section)
{
    SHOAL_ASSERT(errand->argc >= 1);
    if (errand->argc == 1) return section->habit == BY_DEFAULT;
    for (uint32_t i = 1; i < errand->argc; i++) {
        shoal_slice word = errand->argv[i];
        if (shoal_text_is(word, "all") || shoal_text_is(word, "everything")) return true;
        if (shoal_text_is(word, "default") && section->habit == BY_DEFAULT) return true;
        if (shoal_text_is(word, section->title)) return true;
    }
    return false;
}

void shoal_node__info(shoal_node *node, const shoal_errand *errand, shoal_reply *reply)
{
    SHOAL_ASSERT(errand->command->id == SHOAL_COMMAND_INFO);
    SHOAL_ASSERT(node->store != NULL);
    shoal_buffer text = shoal_buffer_make(&node->allocator);
    info_section section;

    for (uint32_t i = 0; section_at(i, &section); i++) {
        if (!wanted(errand, &section)) continue;
        /* Processor time is not shown where the host did not tell of it. */
        bool silent = section.write == shoal_info__cpu &&
                      node->vitals.cpu_user_us + node->vitals.cpu_system_us == 0;
        if (silent) continue;
        shoal_text_appendf(&text, "%s# %s\r\n", shoal_buffer_size(&text) > 0 ? "\r\n" : "",
                           section.title);
        if (section.write != NULL) section.write(node, &text);
    }
    if (text.failed)
        shoal_reply_error(reply, "ERR no memory for the reply");
    else
        shoal_reply_verbatim(reply, "txt", shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
}

/* ---- rates ---- */

/* Units a second, from the units of `elapsed_us`. A counter that was reset counts from zero. */
static uint64_t rate(uint64_t now, uint64_t before, int64_t elapsed_us)
{
    uint64_t units = now >= before ? now - before : now;

    return elapsed_us > 0 ? units * 1000000u / (uint64_t)elapsed_us : 0;
}

void shoal_node__look(shoal_node *node)
{
    SHOAL_ASSERT(node->rates.due_us == SHOAL_NEVER || node->phase >= SHOAL_PHASE_READY);
    SHOAL_ASSERT(node->now.mono_us >= node->rates.looked_us);
    shoal_rates *rates = &node->rates;
    int64_t elapsed_us = node->now.mono_us - rates->looked_us;
    shoal_store_stats stats;

    if (node->now.mono_us < rates->due_us) return;
    uint64_t commands = shoal_stat_sum(&node->env, SHOAL_STAT_COMMANDS);
    uint64_t input = shoal_stat_sum(&node->env, SHOAL_STAT_NET_INPUT);
    uint64_t output = shoal_stat_sum(&node->env, SHOAL_STAT_NET_OUTPUT);
    rates->commands_s = rate(commands, rates->commands, elapsed_us);
    rates->input_s = rate(input, rates->input, elapsed_us);
    rates->output_s = rate(output, rates->output, elapsed_us);
    rates->commands = commands;
    rates->input = input;
    rates->output = output;
    rates->looked_us = node->now.mono_us;
    rates->due_us = node->now.mono_us + LOOK_INTERVAL_US;
    shoal_store_stats_get(node->store, &stats);
    uint64_t used = shoal_memory__used(node, &stats);
    if (used > rates->memory_peak) rates->memory_peak = used;
    /* What the allocator wastes by itself, slabs apart: their blocks are whole pages. Nobody else
     * may ask for it. */
    if (shoal_config__number(&node->config, SHOAL_DIRECTIVE_ACTIVEDEFRAG) != 0)
        shoal_node__measure(node);
    const shoal_vitals *vitals = &node->vitals;
    if (vitals->allocator_active > vitals->allocator_allocated)
        shoal_store_set_outer_waste(node->store,
                                    vitals->allocator_active - vitals->allocator_allocated);
}
