/* SPDX-License-Identifier: MIT
 *
 * Reading nodes.conf. One line for each node:
 *
 *   name ip:port@bus[,hostname[,key=value...]] flags master|- ping pong epoch link slots...
 *
 * and one of variables: "vars currentEpoch N lastVoteEpoch M". Fields of versions after Redis 7.0
 * (key=value, more variables) are passed over. Everything is read into the empty table; on the
 * first error the table is emptied again and the complaint says the line, what was expected and
 * what stands there.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

#define SHOWN_MAX 60 /* chosen: characters of the file in a complaint */

enum {
    FIELD_NAME,
    FIELD_ADDRESS,
    FIELD_FLAGS,
    FIELD_MASTER,
    FIELD_PING,
    FIELD_PONG,
    FIELD_EPOCH,
    FIELD_LINK,
    FIELD_COUNT
};

/* Where the reading is. */
typedef struct loader {
    shoal_cluster *c;
    shoal_buffer *complaint;
    uint32_t line;
    shoal_err error;
} loader;

/* Notes the first error. Returns false, for the caller to return. */
static bool complain(loader *l, const char *expected, shoal_slice found)
{
    SHOAL_ASSERT(expected);
    SHOAL_ASSERT(l->complaint);
    if (l->error) return false;
    l->error = SHOAL_ERR_MALFORMED;
    int shown = found.size > SHOWN_MAX ? SHOWN_MAX : (int)found.size;
    shoal_text_appendf(l->complaint, "line %u: expected %s, found '%.*s'", l->line, expected, shown,
                       found.size ? found.data : "");
    return false;
}

/* Cuts the text before the first `separator` off `*rest`. */
static shoal_slice cut(shoal_slice *rest, char separator)
{
    SHOAL_ASSERT(rest);
    SHOAL_ASSERT(separator);
    size_t length = 0;
    while (length < rest->size && rest->data[length] != separator) length++;
    shoal_slice head = {rest->data, length};
    size_t used = length < rest->size ? length + 1 : length;
    rest->data += used;
    rest->size -= used;
    return head;
}

/* The next word of a line, or an empty slice at its end. */
static shoal_slice next_word(shoal_slice *rest)
{
    SHOAL_ASSERT(rest);
    SHOAL_ASSERT(rest->size == 0 || rest->data);
    while (rest->size > 0 && rest->data[0] == ' ') {
        rest->data++;
        rest->size--;
    }
    return cut(rest, ' ');
}

/* ---- the fields of a node ---- */

/* The node of this name: known from an earlier line (as a master), or new. */
static bus_node *take_node(loader *l, shoal_slice name)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(l->c);
    if (name.size != SHOAL_NODE_NAME_LEN || !shoal_bus__is_name(name.data)) {
        complain(l, "a node name of 40 characters 0-9 a-z", name);
        return NULL;
    }
    bus_node *node = shoal_bus__node_find(l->c, name.data);
    if (node) return node;
    node = shoal_bus__node_add(l->c, name.data, 0);
    if (!node) l->error = SHOAL_ERR_NO_MEMORY;
    return node;
}

static bool read_port(loader *l, shoal_slice text, uint16_t *port)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(port);
    uint64_t number;
    if (!shoal_text_to_u64(text, &number) || number > UINT16_MAX) {
        return complain(l, "a port number", text);
    }
    *port = (uint16_t)number;
    return true;
}

/* ip:port[@bus][,hostname[,key=value...]]; the ip may have colons itself. */
static bool read_address(loader *l, shoal_slice text, bus_node *node)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(shoal_bus__knows(l->c, node));
    shoal_slice rest = text;
    shoal_slice address = cut(&rest, ',');
    shoal_slice hostname = cut(&rest, ',');
    size_t colon = address.size;
    while (colon > 0 && address.data[colon - 1] != ':') colon--;
    if (colon == 0) return complain(l, "ip:port@bus-port", text);
    shoal_slice ip = {address.data, colon - 1};
    shoal_slice ports = {address.data + colon, address.size - colon};
    bool has_bus = shoal_text_find(ports, shoal_text("@")) != SHOAL_TEXT_NONE;
    shoal_slice port = cut(&ports, '@');
    if (ip.size > 0 && !shoal_bus__is_ip(ip)) return complain(l, "an IP address", ip);
    if (!read_port(l, port, &node->port)) return false;
    node->bus_port = (uint16_t)(node->port + BUS_PORT_OFFSET);
    if (has_bus && !read_port(l, ports, &node->bus_port)) return false;
    if (!shoal_bus__is_hostname(hostname)) return complain(l, "a host name", hostname);
    shoal_bus__copy_text(node->ip, sizeof(node->ip), ip);
    shoal_bus__set_hostname(l->c, node, hostname);
    return true;
}

static const struct {
    const char *word;
    uint16_t flag;
} flag_words[] = {{"myself", SHOAL_NODE_MYSELF},
                  {"master", SHOAL_NODE_MASTER},
                  {"slave", SHOAL_NODE_REPLICA},
                  {"fail?", SHOAL_NODE_PFAIL},
                  {"fail", SHOAL_NODE_FAIL},

                  {"noaddr", SHOAL_NODE_NOADDR},
                  {"nofailover", SHOAL_NODE_NOFAILOVER},
                  {"noflags", 0}};

static bool read_flags(loader *l, shoal_slice text, bus_node *node)
{
    SHOAL_ASSERT(node->flags == 0);
    SHOAL_ASSERT(shoal_bus__knows(l->c, node));
    const size_t count = sizeof(flag_words) / sizeof(flag_words[0]);
    shoal_slice rest = text;
    do {
        shoal_slice word = cut(&rest, ',');
        size_t i = 0;
        while (i < count && !shoal_text_is(word, flag_words[i].word)) i++;
        if (i == count) {
            return complain(l,
                            "flags out of myself master slave fail? fail noaddr "
                            "nofailover noflags",
                            word);
        }
        node->flags |= flag_words[i].flag;
    } while (rest.size > 0);
    if (shoal_bus__is(node, SHOAL_NODE_FAIL)) {
        node->fail_us = shoal_bus__stamp(l->c);
        node->fail_epoch = UINT64_MAX;
    }
    bool replica = shoal_bus__is(node, SHOAL_NODE_REPLICA);
    if (replica && shoal_bus__is(node, SHOAL_NODE_MASTER)) {
        return complain(l, "master or slave", text);
    }
    if (!replica) node->flags |= SHOAL_NODE_MASTER;
    return true;
}

/* Who this node is. */
static bool read_myself(loader *l, shoal_slice flags, bus_node *node)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(node->flags != 0);
    if (!shoal_bus__is(node, SHOAL_NODE_MYSELF)) return true;
    if (l->c->myself) return complain(l, "one node with the flag myself", flags);
    l->c->myself = node;
    return true;
}

static bool read_master(loader *l, shoal_slice text, bus_node *node)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(node->replica_of == BUS_NONE);
    if (text.size == 1 && text.data[0] == '-') return true;
    if (!shoal_bus__is(node, SHOAL_NODE_REPLICA)) return complain(l, "- for a master", text);
    bus_node *master = take_node(l, text);
    if (!master) return false;
    if (master == node) return complain(l, "another node's name", text);
    node->replica_of = master->index;
    master->replica_count++;
    return true;
}

/* A moment of the former run counts as now. */
static bool read_moment(loader *l, shoal_slice text, int64_t *moment_us)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(moment_us);
    int64_t number;
    if (!shoal_text_to_i64(text, &number)) return complain(l, "milliseconds", text);
    *moment_us = number ? shoal_bus__stamp(l->c) : 0;
    return true;
}

static bool read_slots(loader *l, shoal_slice text, bus_node *node)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(text.size > 0);
    shoal_slice rest = text;
    shoal_slice first_text = cut(&rest, '-');
    uint64_t first, last;
    if (!shoal_text_to_u64(first_text, &first)) return complain(l, "slots", text);
    last = first;
    if (first_text.size < text.size && !shoal_text_to_u64(rest, &last)) {
        return complain(l, "slots", text);
    }
    if (last >= SHOAL_SLOTS || first > last) return complain(l, "slots of 0 to 16383", text);
    /* Redis takes ADDSLOTS at a replica, tells nobody, and writes it down: who comes from there
     * starts all the same, and clients are not sent to it for those. */
    if (!shoal_bus__is(node, SHOAL_NODE_MASTER)) return true;
    for (uint32_t slot = (uint32_t)first; slot <= last; slot++) {
        const bus_node *owner = shoal_bus__owner(l->c, slot);
        if (owner == node) continue;
        if (owner) return complain(l, "slots that no other node has", text);
        shoal_bus__slot_set(l->c, slot, node);
    }
    return true;
}

/* "[slot->-name]" and "[slot-<-name]": a slot on its way, in this node's line. */
static bool read_move(loader *l, shoal_slice text, const bus_node *node)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(text.data[0] == '[');
    shoal_slice name = {text.data + 1, text.size - 1};
    shoal_slice number = cut(&name, '-');
    uint64_t slot;
    bool closed = name.size > 2 && name.data[name.size - 1] == ']' && name.data[1] == '-';
    bool way = closed && (name.data[0] == '>' || name.data[0] == '<');
    if (!way || !shoal_text_to_u64(number, &slot) || slot >= SHOAL_SLOTS) {
        return complain(l, "[slot->-node] or [slot-<-node]", text);
    }
    if (!shoal_bus__is(node, SHOAL_NODE_MYSELF)) {
        return complain(l, "moving slots of this node only", text);
    }
    uint32_t to = name.data[0] == '>' ? BUS_MOVE_OUT : BUS_MOVE_IN;
    const bus_node *other = take_node(l, (shoal_slice){name.data + 2, name.size - 3});
    if (!other) return false;
    if (shoal_bus__move_set(l->c, (uint32_t)slot, to, other)) return true;
    l->error = SHOAL_ERR_NO_MEMORY;
    return false;
}

/* ---- lines ---- */

static bool read_node(loader *l, const shoal_slice fields[FIELD_COUNT], shoal_slice slots)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(fields[FIELD_NAME].size > 0);
    SHOAL_ASSERT(fields[FIELD_LINK].size > 0);
    bus_node *node = take_node(l, fields[FIELD_NAME]);
    if (!node) return false;
    if (node->flags) return complain(l, "one line for each node", fields[FIELD_NAME]);
    if (!read_address(l, fields[FIELD_ADDRESS], node)) return false;
    if (!read_flags(l, fields[FIELD_FLAGS], node)) return false;
    if (!read_myself(l, fields[FIELD_FLAGS], node)) return false;
    if (!read_master(l, fields[FIELD_MASTER], node)) return false;
    if (!read_moment(l, fields[FIELD_PING], &node->ping_sent_us)) return false;
    bus_glance *glance = shoal_bus__glance(l->c, node);
    if (!read_moment(l, fields[FIELD_PONG], &glance->pong_received_us)) return false;
    if (!shoal_text_to_u64(fields[FIELD_EPOCH], &node->config_epoch) ||
        node->config_epoch > BUS_EPOCH_MAX) {
        return complain(l, "a configuration epoch", fields[FIELD_EPOCH]);
    }
    for (shoal_slice word = next_word(&slots); word.size > 0; word = next_word(&slots)) {
        bool read = word.data[0] == '[' ? read_move(l, word, node) : read_slots(l, word, node);
        if (!read) return false;
    }
    return true;
}

static bool read_variables(loader *l, shoal_slice rest)
{
    SHOAL_ASSERT(!l->error);
    for (shoal_slice name = next_word(&rest); name.size > 0; name = next_word(&rest)) {
        uint64_t number;
        shoal_slice value = next_word(&rest);
        bool current = shoal_text_is(name, "currentEpoch");
        bool last_vote = shoal_text_is(name, "lastVoteEpoch");
        if (value.size == 0) return complain(l, "a value behind a variable", name);
        if (!current && !last_vote) continue;
        if (!shoal_text_to_u64(value, &number) || number > BUS_EPOCH_MAX) {
            return complain(l, "an epoch", value);
        }
        if (current) {
            l->c->current_epoch = number;
        } else {
            l->c->last_vote_epoch = number;
        }
    }
    return true;
}

static bool read_line(loader *l, shoal_slice line)
{
    SHOAL_ASSERT(!l->error);
    SHOAL_ASSERT(line.size > 0);
    shoal_slice rest = line;
    shoal_slice fields[FIELD_COUNT];
    fields[FIELD_NAME] = next_word(&rest);
    if (shoal_text_is(fields[FIELD_NAME], "vars")) return read_variables(l, rest);
    for (int i = 1; i < FIELD_COUNT; i++) {
        fields[i] = next_word(&rest);
        if (fields[i].size == 0) return complain(l, "a node with at least eight fields", line);
    }
    return read_node(l, fields, rest);
}

static void read_lines(loader *l, shoal_slice text)
{
    SHOAL_ASSERT(l->line == 0);
    SHOAL_ASSERT(!l->error);
    while (text.size > 0 && !l->error) {
        shoal_slice line = cut(&text, '\n');
        if (line.size > 0 && line.data[line.size - 1] == '\r') line.size--;
        l->line++;
        if (line.size > 0) read_line(l, line);
    }
}

/* What no single line can tell. */
static void check_whole(loader *l)
{
    SHOAL_ASSERT(l->c);
    SHOAL_ASSERT(l->complaint);
    shoal_cluster *c = l->c;
    if (l->error) return;
    if (!c->myself) {
        complain(l, "a node with the flag myself", shoal_text("none"));
        return;
    }
    for (uint32_t i = c->node_count; i-- > 0;) {
        bus_node *node = c->live[i];
        /* Where a slot was on its way to, and nothing else is known of it. */
        if (!node->flags && node->replica_count == 0) {
            shoal_bus__node_remove(c, node, BUS_FORGOTTEN_NO_LINE);
            continue;
        }
        /* Named as a master by a replica's line only. */
        if (!node->flags) {
            complain(l, "a line for the master", shoal_text(node->name));
            return;
        }
        if (node->config_epoch > c->current_epoch) c->current_epoch = node->config_epoch;
    }
    if (c->last_vote_epoch > c->current_epoch) c->current_epoch = c->last_vote_epoch;
}

/* Takes everything back. */
static void unload(shoal_cluster *c)
{
    SHOAL_ASSERT(c->links.count == 0);
    SHOAL_ASSERT(c->save.phase == BUS_SAVE_IDLE);
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) shoal_bus__slot_set(c, slot, NULL);
    shoal_bus__nodes_free(c);
    c->current_epoch = 0;
    c->last_vote_epoch = 0;
    c->loaded_us = 0;
    c->due = 0;
}

shoal_err shoal_cluster_load(shoal_cluster *c, shoal_slice text, shoal_buffer *complaint)
{
    SHOAL_ASSERT(c->node_count == 0);
    SHOAL_ASSERT(complaint);
    SHOAL_ASSERT(!c->myself);
    if (text.size == 0) return SHOAL_ERR_NOT_FOUND;
    loader l = {.c = c, .complaint = complaint};
    c->loaded_us = shoal_bus__stamp(c);
    read_lines(&l, text);
    check_whole(&l);
    if (l.error) {
        unload(c);
        return l.error;
    }
    shoal_bus__adopt_settings(c);
    for (uint32_t i = 0; i < c->node_count; i++) {
        shoal_bus__note_known(c, c->live[i]);
        if (c->live[i]->replica_of != BUS_NONE) shoal_bus__note_role(c, c->live[i]);
    }
    shoal_bus__finish(c);
    return SHOAL_ERR_OK;
}
