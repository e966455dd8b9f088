/* SPDX-License-Identifier: MIT
 *
 * How the room speaks: trace records. One function per kind that needs words put together; the
 * rest go through shoal_bus__note. Records that sum up what a step changed (SLOTS, EPOCH) are
 * written once, at its end.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

void shoal_bus__note(shoal_cluster *c, shoal_trace_kind kind, const uint64_t numbers[3],
                     shoal_slice text)
{
    SHOAL_ASSERT(numbers);
    SHOAL_ASSERT(text.size == 0 || text.data);
    shoal_trace_record record = {kind, numbers[0], numbers[1], numbers[2], text};
    c->host->trace(c->host->context, &record);
}

void shoal_bus__note_node(shoal_cluster *c, shoal_trace_kind kind, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    shoal_bus__note(c, kind, (uint64_t[3]){0}, shoal_text(node->name));
}

/* The scratch text, emptied. */
static shoal_buffer *fresh_text(shoal_cluster *c)
{
    SHOAL_ASSERT(c->text.allocator);
    shoal_buffer_consume(&c->text, shoal_buffer_size(&c->text));
    c->text.failed = false;
    return &c->text;
}

void shoal_bus__log(shoal_cluster *c, int level, const char *format, ...)
{
    SHOAL_ASSERT(level >= BUS_DEBUG && level <= BUS_WARNING);
    SHOAL_ASSERT(format);
    shoal_buffer *text = fresh_text(c);
    va_list arguments;
    va_start(arguments, format);
    shoal_text_vappendf(text, format, arguments);
    va_end(arguments);
    shoal_bus__note(c, SHOAL_TRACE_LOG, (uint64_t[3]){(uint64_t)level}, shoal_buffer_slice(text));
}

/* How loud the log is about a refusal; BUS_DEBUG: not at all, because it happens all the time in a
 * large cluster, or because who refuses has a line of its own. */
static int why_level(uint32_t reason)
{
    SHOAL_ASSERT(reason != 0);
    switch (reason) {
    case BUS_WHY_FORGOTTEN:
    case BUS_WHY_QUORUM:
    case BUS_WHY_OWNER_NEWER:
    case BUS_WHY_LINK_FULL:
    case BUS_WHY_SAVE_FAILED:
    case BUS_WHY_CANDIDATE_LOADING:
    case BUS_WHY_CANDIDATE_FORBIDDEN:
    case BUS_WHY_CANDIDATE_OLD_DATA:
    case BUS_WHY_CANDIDATE_WAITS:
    case BUS_WHY_CANDIDATE_EXPIRED:
    case BUS_WHY_CANDIDATE_VOTES:
    case BUS_WHY_CANDIDATE_FOREIGN:
    case BUS_WHY_MANUAL_TIMEOUT: return BUS_DEBUG;
    case BUS_WHY_VOTE_NOT_VOTER:
    case BUS_WHY_VOTE_NOT_COUNTED: return BUS_VERBOSE;
    default: return BUS_NOTICE;
    }
}

void shoal_bus__why_not(shoal_cluster *c, uint32_t reason, const char *format, ...)
{
    SHOAL_ASSERT(reason != 0);
    SHOAL_ASSERT(format);
    shoal_buffer *text = fresh_text(c);
    va_list arguments;
    va_start(arguments, format);
    shoal_text_vappendf(text, format, arguments);
    va_end(arguments);
    bool fresh = shoal_bus__why_keep(c, reason, shoal_buffer_slice(text));
    shoal_bus__note(c, SHOAL_TRACE_WHY_NOT, (uint64_t[3]){reason}, shoal_buffer_slice(text));
    int level = why_level(reason);
    if (!fresh || level == BUS_DEBUG) return;
    shoal_bus__log(c, level, "%s: %s", shoal_bus__why_words(reason),
                   shoal_bus__why_newest(c)->detail);
}

void shoal_bus__refuse(shoal_cluster *c, uint32_t reason, const bus_link *link, size_t size,
                       const char *detail)
{
    SHOAL_ASSERT(reason != 0);
    SHOAL_ASSERT(detail);
    c->refused++;
    shoal_bus__note(c, SHOAL_TRACE_FRAME_REFUSED, (uint64_t[3]){reason, link->id, size},
                    shoal_text(detail));
}

void shoal_bus__note_known(shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node->name[SHOAL_NODE_NAME_LEN] == 0);
    shoal_buffer *text = fresh_text(c);
    shoal_text_appendf(text, "%s %s", node->name, node->ip);
    shoal_bus__note(c, SHOAL_TRACE_NODE_KNOWN,
                    (uint64_t[3]){node->port, node->bus_port, node->flags},
                    shoal_buffer_slice(text));
}

void shoal_bus__note_role(shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node->replica_of == BUS_NONE || c->nodes[node->replica_of]);
    const bus_node *master = node->replica_of == BUS_NONE ? NULL : c->nodes[node->replica_of];
    shoal_buffer *text = fresh_text(c);
    shoal_text_appendf(text, "%s%s%s", node->name, master ? " " : "", master ? master->name : "");
    shoal_bus__note(c, SHOAL_TRACE_ROLE,
                    (uint64_t[3]){shoal_bus__is(node, SHOAL_NODE_REPLICA), node->config_epoch},
                    shoal_buffer_slice(text));
}

static void note_slots(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(node->slots_changed);
    SHOAL_ASSERT(node->slot_count == 0 || shoal_bus__is(node, SHOAL_NODE_MASTER));
    node->slots_changed = false;
    shoal_buffer *text = fresh_text(c);
    shoal_text_appendf(text, "%s", node->name);
    shoal_bus__slot_ranges(c, node, text);
    shoal_bus__note(c, SHOAL_TRACE_SLOTS, (uint64_t[3]){node->slot_count, node->config_epoch},
                    shoal_buffer_slice(text));
}

void shoal_bus__note_changes(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    if (c->slots_changed) {
        SHOAL_ASSERT(c->due & (BUS_DUE_ROUTE | BUS_DUE_MAP));
        c->slots_changed = false;
        for (uint32_t i = c->changed_least; i <= c->changed_most && i < c->node_count; i++) {
            if (c->live[i]->slots_changed) note_slots(c, c->live[i]);
        }
    }
    uint64_t epochs[3] = {c->current_epoch, c->myself->config_epoch, c->last_vote_epoch};
    if (epochs[0] == c->traced_epochs[0] && epochs[1] == c->traced_epochs[1]) return;
    memcpy(c->traced_epochs, epochs, sizeof(c->traced_epochs));
    shoal_bus__note(c, SHOAL_TRACE_EPOCH, epochs, (shoal_slice){0});
}
