/* SPDX-License-Identifier: MIT
 *
 * The story of a run for a reader without a picture: captions, faults, and what the nodes come to
 * think, in plain words with labels for names. Every five seconds, a line about the load.
 */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "sim/memory.h"
#include "sim/program.h"

/* How often the load is told. */
#define LOAD_EVERY_US INT64_C(5000000)

/* A name that a node has or had. */
typedef struct known_name {
    char name[SHOAL_NODE_NAME_LEN];
    uint32_t node;
} known_name;

struct shoal_narrator {
    FILE *out;
    known_name *names;
    uint32_t name_count, name_capacity;
    int64_t load_from_us;
    uint64_t operations, errors, redirections;
};

shoal_narrator *shoal_narrator__make(FILE *out)
{
    shoal_narrator *narrator = shoal_sim__allocate(sizeof(*narrator));
    narrator->out = out;
    narrator->load_from_us = -1;
    return narrator;
}

void shoal_narrator__free(shoal_narrator *narrator)
{
    shoal_sim__free(narrator->names);
    shoal_sim__free(narrator);
}

/* Who has the name at the start of `text`, as a label of at most 16 bytes. */
static const char *label(const shoal_narrator *narrator, shoal_slice text, char out[16])
{
    for (uint32_t i = 0; text.size >= SHOAL_NODE_NAME_LEN && i < narrator->name_count; i++) {
        if (memcmp(narrator->names[i].name, text.data, SHOAL_NODE_NAME_LEN) != 0) continue;
        snprintf(out, 16, "n%u", narrator->names[i].node + 1);
        return out;
    }
    snprintf(out, 16, "%.*s...", text.size < 8 ? (int)text.size : 8, text.data);
    return out;
}

static void learn(shoal_narrator *narrator, const shoal_trace_entry *entry)
{
    narrator->names = shoal_sim__grow(narrator->names, &narrator->name_capacity,
                                      narrator->name_count + 1, sizeof(*narrator->names));
    known_name *name = &narrator->names[narrator->name_count++];
    if (entry->record.text.size < SHOAL_NODE_NAME_LEN) return;
    memcpy(name->name, entry->record.text.data, SHOAL_NODE_NAME_LEN);
    name->node = entry->node;
}

/* The time at the start of each line. */
static void stamp(const shoal_narrator *narrator, int64_t us)
{
    fprintf(narrator->out, "%4" PRId64 ".%03" PRId64 " s  ", us / 1000000, us / 1000 % 1000);
}

static void tell_load(shoal_narrator *narrator, int64_t now_us)
{
    if (narrator->load_from_us < 0 || now_us < narrator->load_from_us + LOAD_EVERY_US) return;
    if (narrator->operations + narrator->errors > 0) {
        stamp(narrator, now_us);
        fprintf(narrator->out, "clients: %" PRIu64 " operations ended well, %" PRIu64 " did not",
                narrator->operations, narrator->errors);
        if (narrator->redirections > 0) {
            fprintf(narrator->out, ", %" PRIu64 " were sent on", narrator->redirections);
        }
        fputc('\n', narrator->out);
    }
    narrator->load_from_us = -1;
    narrator->operations = narrator->errors = narrator->redirections = 0;
}

static void add_load(shoal_narrator *narrator, const shoal_trace_entry *entry)
{
    if (narrator->load_from_us < 0) narrator->load_from_us = entry->time_us;
    narrator->operations += entry->record.a;
    narrator->errors += entry->record.b;
    narrator->redirections += entry->record.c;
}

/* ---- lines ---- */

static void tell_world(const shoal_narrator *narrator, const shoal_trace_entry *entry)
{
    FILE *out = narrator->out;
    shoal_slice text = entry->record.text;
    int size = (int)text.size;
    switch (entry->record.kind) {
    case SHOAL_TRACE_SAY: fprintf(out, "\n>> %.*s\n\n", size, text.data); return;
    case SHOAL_TRACE_FAULT:
        stamp(narrator, entry->time_us);
        fprintf(out, "schedule: %.*s\n", size, text.data);
        return;
    case SHOAL_TRACE_EXPECT:
        stamp(narrator, entry->time_us);
        fprintf(out, "%s: %.*s\n", entry->record.b ? "as expected" : "NOT AS EXPECTED", size,
                text.data);
        return;
    default: return;
    }
}

static void tell_state(const shoal_narrator *narrator, const shoal_trace_entry *entry)
{
    stamp(narrator, entry->time_us);
    fprintf(narrator->out, "n%u holds the cluster for %s (%" PRIu64 " slots served)\n",
            entry->node + 1, entry->record.a ? "up" : "down", entry->record.c);
}

/* A step of a candidacy. */
static void tell_election(const shoal_narrator *narrator, const shoal_trace_entry *entry)
{
    FILE *out = narrator->out;
    char who[16];
    const char *master = label(narrator, entry->record.text, who);
    /* Plans come to nothing more often than not. */
    if (entry->record.a == 0) return;
    stamp(narrator, entry->time_us);
    if (entry->record.a == 1)
        fprintf(out, "n%u asks for votes to take the place of %s (epoch %" PRIu64 ")\n",
                entry->node + 1, master, entry->record.b);
    else
        fprintf(out, "n%u has %s the election for the place of %s (%" PRIu64 " votes)\n",
                entry->node + 1, entry->record.a == 2 ? "won" : "not won", master, entry->record.c);
}

static void tell_node(const shoal_narrator *narrator, const shoal_trace_entry *entry)
{
    FILE *out = narrator->out;
    uint32_t node = entry->node + 1;
    char who[16];
    const char *verb = NULL;
    switch (entry->record.kind) {
    case SHOAL_TRACE_PFAIL: verb = "suspects %s"; break;
    case SHOAL_TRACE_PFAIL_CLEARED: verb = "does not suspect %s any more"; break;
    case SHOAL_TRACE_FAIL: verb = "holds %s for failed"; break;
    case SHOAL_TRACE_FAIL_CLEARED: verb = "reaches %s again"; break;
    case SHOAL_TRACE_CLUSTER_STATE: tell_state(narrator, entry); return;
    case SHOAL_TRACE_ELECTION: tell_election(narrator, entry); return;
    case SHOAL_TRACE_NODE_STARTED:
        stamp(narrator, entry->time_us);
        fprintf(out, "n%u starts%s\n", node, entry->record.c ? " again" : "");
        return;
    case SHOAL_TRACE_NODE_CRASHED:
        stamp(narrator, entry->time_us);
        fprintf(out, "n%u is dead\n", node);
        return;
    default: return;
    }
    stamp(narrator, entry->time_us);
    fprintf(out, "n%u ", node);
    const char *hole = strstr(verb, "%s");
    fprintf(out, "%.*s%s%s", (int)(hole - verb), verb, label(narrator, entry->record.text, who),
            hole + 2);
    if (entry->record.kind == SHOAL_TRACE_FAIL) {
        bool counted = entry->record.a >= entry->record.b;
        fputs(counted ? ": a majority has reported it" : ", as it was told", out);
    }
    fputc('\n', out);
}

void shoal_narrator__take(void *context, const shoal_trace_entry *entry)
{
    shoal_narrator *narrator = context;
    tell_load(narrator, entry->time_us);
    if (entry->record.kind == SHOAL_TRACE_READY) learn(narrator, entry);
    if (entry->record.kind == SHOAL_TRACE_CLIENT_LOAD) add_load(narrator, entry);
    if (entry->node == SHOAL_TRACE_WORLD)
        tell_world(narrator, entry);
    else
        tell_node(narrator, entry);
    fflush(narrator->out);
}
