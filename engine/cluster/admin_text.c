/* SPDX-License-Identifier: MIT
 *
 * The opinion as text: CLUSTER INFO, CLUSTER NODES and the lines of nodes.conf, to the letter as
 * Redis 7.0 writes them, because tools parse them.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

/* ---- lines of nodes ---- */

static const struct {
    uint16_t flag;
    const char *word;
} flag_words[] = {{SHOAL_NODE_MYSELF, "myself"}, {SHOAL_NODE_MASTER, "master"},
                  {SHOAL_NODE_REPLICA, "slave"}, {SHOAL_NODE_PFAIL, "fail?"},
                  {SHOAL_NODE_FAIL, "fail"},     {SHOAL_NODE_HANDSHAKE, "handshake"},
                  {SHOAL_NODE_NOADDR, "noaddr"}, {SHOAL_NODE_NOFAILOVER, "nofailover"}};

static void append_text(shoal_buffer *out, const char *text)
{
    SHOAL_ASSERT(text);
    shoal_buffer_append(out, shoal_text(text));
}

/* Bytes of a line before its slots, at most: two names, an address with ports and host name, the
 * flags, four numbers and what stands between. */
#define LINE_ROOM                                                                      \
    (2 * SHOAL_NODE_NAME_LEN + sizeof(((bus_node *)0)->ip) + BUS_HOSTNAME_SIZE + 128 + \
     6 * SHOAL_TEXT_INTEGER_SIZE)

/* Text and numbers at the cursor, which has room for them; returns where they end. */
static inline char *put(char *at, const char *text, size_t size)
{
    SHOAL_DEBUG_ASSERT(at && text);
    memcpy(at, text, size);
    return at + size;
}

static inline char *put_number(char *at, uint64_t number)
{
    SHOAL_DEBUG_ASSERT(at);
    return at + shoal_text_from_u64(at, number);
}

static char *put_flags(char *at, const bus_node *node)
{
    SHOAL_ASSERT(node);
    const char *start = at;
    for (size_t i = 0; i < sizeof(flag_words) / sizeof(flag_words[0]); i++) {
        if (!shoal_bus__is(node, flag_words[i].flag)) continue;
        if (at > start) *at++ = ',';
        at = put(at, flag_words[i].word, strlen(flag_words[i].word));
    }
    SHOAL_ASSERT(at - start < 96);
    return at > start ? at : put(at, "noflags", 7);
}

void shoal_bus__slot_ranges(const shoal_cluster *c, const bus_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(out);
    SHOAL_ASSERT(node->slot_count == 0 || shoal_bus__is(node, SHOAL_NODE_MASTER));
    uint32_t left = node->slot_count, last;
    for (uint32_t from = 0; left > 0; from = last + 1) {
        uint32_t first = shoal_bus__slot_run(c, node, from, &last);
        SHOAL_ASSERT(first < SHOAL_SLOTS);
        append_text(out, " ");
        shoal_text_append_u64(out, first);
        if (last > first) {
            append_text(out, "-");
            shoal_text_append_u64(out, last);
        }
        left -= last + 1 - first;
    }
}

static char *put_address(char *at, const bus_node *node)
{
    SHOAL_ASSERT(node->ip[sizeof(node->ip) - 1] == 0);
    at = put(at, node->ip, strlen(node->ip));
    *at++ = ':';
    at = put_number(at, node->port);
    *at++ = '@';
    at = put_number(at, node->bus_port);
    shoal_slice hostname = shoal_bus__hostname(node);
    SHOAL_ASSERT(hostname.size < BUS_HOSTNAME_SIZE);
    if (hostname.size == 0) return at;
    *at++ = ',';
    return put(at, hostname.data, hostname.size);
}

void shoal_bus__node_line(const shoal_cluster *c, const bus_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(out);
    SHOAL_ASSERT(node->name[SHOAL_NODE_NAME_LEN] == 0);
    const bus_node *master = node->replica_of == BUS_NONE ? NULL : c->nodes[node->replica_of];
    char *start = shoal_buffer_reserve(out, LINE_ROOM), *at = start;
    if (!start) return;
    at = put(at, node->name, SHOAL_NODE_NAME_LEN);
    *at++ = ' ';
    at = put_address(at, node);
    *at++ = ' ';
    at = put_flags(at, node);
    *at++ = ' ';
    at = put(at, master ? master->name : "-", master ? SHOAL_NODE_NAME_LEN : 1);
    *at++ = ' ';
    at = put_number(at, (uint64_t)shoal_bus__wall_ms(c, node->ping_sent_us));
    *at++ = ' ';
    int64_t pong_us = shoal_bus__glance(c, node)->pong_received_us;
    at = put_number(at, (uint64_t)shoal_bus__wall_ms(c, pong_us));
    *at++ = ' ';
    at = put_number(at, master ? master->config_epoch : node->config_epoch);
    at = node->link || node == c->myself ? put(at, " connected", 10) : put(at, " disconnected", 13);
    SHOAL_ASSERT((size_t)(at - start) <= LINE_ROOM);
    shoal_buffer_commit(out, (size_t)(at - start));
    shoal_bus__slot_ranges(c, node, out);
    if (node == c->myself) shoal_bus__moves_text(c, out);
}

/* ---- commands ---- */

void shoal_bus__reply_text(shoal_cluster_call *call, shoal_buffer *text)
{
    SHOAL_ASSERT(call->reply.out);
    SHOAL_ASSERT(text != call->reply.out);
    if (text->failed) {
        shoal_reply_error(&call->reply, "ERR no memory for the reply");
    } else {
        shoal_reply_verbatim(&call->reply, "txt", shoal_buffer_slice(text));
    }
    shoal_buffer_free(text);
}

void shoal_bus__command_nodes(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(c->node_count >= 1);
    shoal_buffer text = shoal_buffer_make(&c->allocator);
    for (uint32_t i = 0; i < c->node_count; i++) {
        shoal_bus__node_line(c, c->live[i], &text);
        shoal_buffer_append(&text, shoal_text("\n"));
    }
    shoal_bus__reply_text(call, &text);
}

void shoal_bus__command_replicas(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    SHOAL_ASSERT(c->myself);
    shoal_slice name = call->argv[2];
    const bus_node *master = shoal_bus__node_find_text(c, name);
    if (!master) {
        shoal_reply_errorf(&call->reply, "ERR Unknown node %.*s", (int)name.size, name.data);
        return;
    }
    if (!shoal_bus__is(master, SHOAL_NODE_MASTER)) {
        shoal_reply_error(&call->reply, "ERR The specified node is not a master");
        return;
    }
    shoal_buffer text = shoal_buffer_make(&c->allocator);
    shoal_reply_array(&call->reply, master->replica_count);
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (c->live[i]->replica_of != master->index) continue;
        shoal_buffer_consume(&text, shoal_buffer_size(&text));
        shoal_bus__node_line(c, c->live[i], &text);
        shoal_reply_bulk(&call->reply, shoal_buffer_slice(&text));
    }
    shoal_buffer_free(&text);
}

/* "cluster_stats_messages_<type>_<way>" for each type that there was one of, and the sum. */
static void append_counts(const uint64_t counts[SHOAL_FRAME_TYPE_COUNT], const char *way,
                          shoal_buffer *out)
{
    SHOAL_ASSERT(way);
    SHOAL_ASSERT(out);
    uint64_t sum = 0;
    for (uint32_t type = 0; type < SHOAL_FRAME_TYPE_COUNT; type++) {
        if (counts[type] == 0) continue;
        sum += counts[type];
        shoal_text_appendf(out, "cluster_stats_messages_%s_%s:%llu\r\n",
                           shoal_frame_type_name(type), way, (unsigned long long)counts[type]);
    }
    shoal_text_appendf(out, "cluster_stats_messages_%s:%llu\r\n", way, (unsigned long long)sum);
}

static void append_slots(const shoal_cluster *c, shoal_buffer *out)
{
    SHOAL_ASSERT(out);
    SHOAL_ASSERT(c->slots_assigned <= SHOAL_SLOTS);
    uint32_t pfail = 0, fail = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (shoal_bus__is(node, SHOAL_NODE_FAIL)) {
            fail += node->slot_count;
        } else if (shoal_bus__is(node, SHOAL_NODE_PFAIL)) {
            pfail += node->slot_count;
        }
    }
    shoal_text_appendf(out,
                       "cluster_slots_assigned:%u\r\n"
                       "cluster_slots_ok:%u\r\n"
                       "cluster_slots_pfail:%u\r\n"
                       "cluster_slots_fail:%u\r\n",
                       c->slots_assigned, c->slots_assigned - pfail - fail, pfail, fail);
}

void shoal_bus__command_info(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(c->voters <= c->node_count);
    const bus_node *master = shoal_bus__my_master(c);
    shoal_buffer text = shoal_buffer_make(&c->allocator);
    shoal_text_appendf(&text, "cluster_state:%s\r\n", c->up ? "ok" : "fail");
    append_slots(c, &text);
    shoal_text_appendf(&text,
                       "cluster_known_nodes:%u\r\n"
                       "cluster_size:%u\r\n"
                       "cluster_current_epoch:%llu\r\n"
                       "cluster_my_epoch:%llu\r\n",
                       c->node_count, c->voters, (unsigned long long)c->current_epoch,
                       (unsigned long long)(master ? master->config_epoch
                                                   : c->myself->config_epoch));
    append_counts(c->sent, "sent", &text);
    append_counts(c->received, "received", &text);
    shoal_text_appendf(&text, "total_cluster_links_buffer_limit_exceeded:%llu\r\n",
                       (unsigned long long)c->links_overflowed);
    shoal_bus__reply_text(call, &text);
}
