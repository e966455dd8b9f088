/* SPDX-License-Identifier: MIT
 *
 * core/judged.c - what a host may see of a node that it judges: its keys, its memory, the stream of
 * its effects. Nothing here changes the node, so whether somebody looks makes no difference to it.
 */
#include "core/node.h"

#include "base/assert.h"
#include "store/snapshot.h"

/* Who is shown a node's keys. */
typedef struct audience {
    shoal_node_visitor visit;
    void *context;
} audience;

static void show(void *context, const shoal_item *item, uint32_t place)
{
    const audience *who = context;
    char scratch[SHOAL_INT_TEXT_SIZE];
    SHOAL_DEBUG_ASSERT(item != NULL);
    shoal_node_datum datum = {.db = SHOAL_PLACE_DB(place),
                              .slot = SHOAL_PLACE_SLOT(place),
                              .name = shoal_item_name(item),
                              .string = shoal_item_type(item) == SHOAL_TYPE_STRING,
                              .expires_ms = shoal_item_expires_ms(item)};
    if (datum.string) datum.value = shoal_item_string(item, scratch);
    who->visit(who->context, &datum);
}

void shoal_node_data_visit(const shoal_node *node, shoal_node_visitor visit, void *context)
{
    audience who = {visit, context};
    SHOAL_ASSERT(node->store != NULL);
    shoal_store_visit(node->store, show, &who);
}

void shoal_node_memory_get(const shoal_node *node, shoal_node_memory *out)
{
    shoal_store_stats stats;
    SHOAL_ASSERT(node->store != NULL);
    shoal_store_stats_get(node->store, &stats);
    SHOAL_ASSERT(stats.bytes >= stats.bytes_limbo);
    out->resident = stats.bytes - stats.bytes_limbo + stats.bytes_charged;
    out->limit = shoal_node__maxmemory(node);
}

void shoal_node_stream_get(const shoal_node *node, shoal_node_stream *out)
{
    SHOAL_ASSERT(node->log != NULL);
    out->first = shoal_log_first(node->log);
    out->end = shoal_log_committed(node->log);
    if (out->first > out->end) out->first = out->end;
}

shoal_slice shoal_node_stream_peek(const shoal_node *node, uint64_t offset)
{
    SHOAL_ASSERT(node->log != NULL);
    SHOAL_ASSERT(offset >= shoal_log_first(node->log));
    shoal_log_reader reader = {.next = NULL};
    shoal_log_skip(&reader, offset);
    return shoal_log_peek(node->log, &reader, shoal_log_committed(node->log));
}
