/* SPDX-License-Identifier: MIT
 *
 * See cluster_world.h. Events are pointers in a binary heap ordered by time, then by number.
 * Node i has the address 10.0.0.(i + 1) and client port WORLD_PORT + i.
 */
#include "support/cluster_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

/* Wall clock at the start of the world: some day in 2026, in microseconds. */
#define WALL_START_US 1767225600000000

/* A connection; side 0 opened it. `node` -1 is a stranger (world_dial). */
typedef struct world_pipe {
    int node[2];
    bool up[2];         /* this side has heard LINK_UP and not yet LINK_DOWN */
    bool closed;        /* somebody closed or crashed */
    bool refused;       /* never came up */
    shoal_buffer heard; /* a stranger's input */
} world_pipe;

/* One thing that will happen. */
typedef struct world_event {
    int64_t at_us;
    uint64_t number;
    int node;
    uint32_t pipe;
    int side;
    shoal_cluster *cluster; /* file operations die with the process that asked */
    shoal_event event;
    shoal_file to;
    shoal_buffer bytes;
} world_event;

/* ---- the heap ---- */

static bool before(const world_event *a, const world_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void push_event(world *w, world_event *event)
{
    if (w->event_count == w->event_capacity) {
        w->event_capacity = w->event_capacity ? 2 * w->event_capacity : 1024;
        w->heap_of_events =
            realloc(w->heap_of_events, w->event_capacity * sizeof(w->heap_of_events[0]));
        assert_non_null(w->heap_of_events);
    }
    uint32_t at = w->event_count++;
    while (at > 0 && before(event, w->heap_of_events[(at - 1) / 2])) {
        w->heap_of_events[at] = w->heap_of_events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    w->heap_of_events[at] = event;
}

static world_event *pop_event(world *w)
{
    world_event *first = w->heap_of_events[0];
    world_event *last = w->heap_of_events[--w->event_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= w->event_count) break;
        if (child + 1 < w->event_count &&
            before(w->heap_of_events[child + 1], w->heap_of_events[child])) {
            child++;
        }
        if (before(last, w->heap_of_events[child])) break;
        w->heap_of_events[at] = w->heap_of_events[child];
        at = child;
    }
    w->heap_of_events[at] = last;
    return first;
}

static world_event *make_event(world *w, int node, int64_t delay_us)
{
    world_event *event = calloc(1, sizeof(*event));
    assert_non_null(event);
    event->at_us = w->now_us + delay_us;
    event->number = w->event_next++;
    event->node = node;
    event->bytes = shoal_buffer_make(&w->allocator);
    return event;
}

static void free_event(world_event *event)
{
    shoal_buffer_free(&event->bytes);
    free(event);
}

static shoal_time node_time(const world *w)
{
    return (shoal_time){w->now_us, WALL_START_US + w->wall_offset_us + w->now_us};
}

/* ---- links: link id = 2 * pipe + side + 2 ---- */

static shoal_link link_id(uint32_t pipe, int side)
{
    return 2 * (shoal_link)pipe + (shoal_link)side + 2;
}

static void address_of(int node, bool bus, shoal_address *address)
{
    memset(address, 0, sizeof(*address));
    snprintf(address->ip, sizeof(address->ip), "10.0.0.%d", node < 0 ? 250 : node + 1);
    address->port = node < 0 ? 40000 : (uint16_t)(WORLD_PORT + node + (bus ? 10000 : 0));
}

/* Tells one side of a pipe something later. */
static world_event *tell(world *w, uint32_t pipe, int side, shoal_event_kind kind, int64_t delay)
{
    int node = w->pipes[pipe].node[side];
    world_event *event = make_event(w, node, delay);
    event->pipe = pipe;
    event->side = side;
    event->event.kind = kind;
    event->event.link = link_id(pipe, side);
    event->event.accepted = side == 1;
    if (kind == SHOAL_EVENT_LINK_UP) {
        address_of(w->pipes[pipe].node[!side], side == 0, &event->event.peer);
        address_of(node, side == 1, &event->event.local);
    }
    push_event(w, event);
    return event;
}

static uint32_t make_pipe(world *w, int from, int to)
{
    if (w->pipe_count == w->pipe_capacity) {
        w->pipe_capacity = w->pipe_capacity ? 2 * w->pipe_capacity : 64;
        w->pipes = realloc(w->pipes, w->pipe_capacity * sizeof(w->pipes[0]));
        assert_non_null(w->pipes);
    }
    w->pipes[w->pipe_count] =
        (world_pipe){.node = {from, to}, .heard = shoal_buffer_make(&w->allocator)};
    return w->pipe_count++;
}

static bool is_cut(const world *w, int a, int b)
{
    return a >= 0 && b >= 0 && w->cut[a][b];
}

static shoal_link host_link_open(void *context, const shoal_address *peer)
{
    world_node *from = context;
    world *w = from->world;
    int to = peer->port - WORLD_PORT - 10000;
    bool exists = to >= 0 && to < WORLD_NODES_MAX;
    uint32_t pipe = make_pipe(w, from->index, exists ? to : 0);
    if (!exists || !w->nodes[to].cluster) {
        w->pipes[pipe].refused = w->pipes[pipe].closed = true;
        tell(w, pipe, 0, SHOAL_EVENT_LINK_DOWN, WORLD_LINK_US)->event.error = SHOAL_ERR_REFUSED;
    } else if (!is_cut(w, from->index, to)) {
        tell(w, pipe, 1, SHOAL_EVENT_LINK_UP, WORLD_LINK_US);
        tell(w, pipe, 0, SHOAL_EVENT_LINK_UP, 2 * WORLD_LINK_US);
    }
    return link_id(pipe, 0);
}

/* Carries bytes to the other side, unless they vanish. */
static void carry(world *w, uint32_t pipe, int from_side, shoal_slice bytes)
{
    world_pipe *p = &w->pipes[pipe];
    if (p->closed || !p->up[from_side]) return;
    if (is_cut(w, p->node[0], p->node[1])) return;
    world_event *event = tell(w, pipe, !from_side, SHOAL_EVENT_LINK_DATA, WORLD_LINK_US);
    shoal_buffer_append(&event->bytes, bytes);
}

static void host_link_send(void *context, shoal_link link, shoal_slice bytes)
{
    world_node *node = context;
    if (bytes.size >= 16) {
        uint16_t type = (uint16_t)((uint8_t)bytes.data[12] << 8 | (uint8_t)bytes.data[13]);
        if (type < SHOAL_FRAME_TYPE_COUNT) node->sent[type]++;
    }
    carry(node->world, (uint32_t)((link - 2) / 2), (int)(link & 1), bytes);
}

/* Ends a pipe: the side that closes hears CLOSED, the other RESET, unless it is cut off. */
static void end_pipe(world *w, uint32_t pipe, int side)
{
    world_pipe *p = &w->pipes[pipe];
    if (p->closed) return;
    p->closed = true;
    tell(w, pipe, side, SHOAL_EVENT_LINK_DOWN, 0)->event.error = SHOAL_ERR_CLOSED;
    if (is_cut(w, p->node[0], p->node[1])) return;
    tell(w, pipe, !side, SHOAL_EVENT_LINK_DOWN, WORLD_LINK_US)->event.error = SHOAL_ERR_RESET;
}

static void host_link_close(void *context, shoal_link link)
{
    world_node *node = context;
    end_pipe(node->world, (uint32_t)((link - 2) / 2), (int)(link & 1));
}

/* ---- files ---- */

static world_event *submit(world_node *node, shoal_file file, shoal_file_op op, uint64_t tag)
{
    world_event *event = make_event(node->world, node->index, WORLD_FILE_US);
    event->event = (shoal_event){.kind = SHOAL_EVENT_FILE_DONE, .file = file, .op = op, .tag = tag};
    event->cluster = node->cluster;
    node->file_ops++;
    push_event(node->world, event);
    return event;
}

static void host_file_append(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    shoal_buffer_append(&submit(context, file, SHOAL_FILE_APPEND, tag)->bytes, bytes);
}

static void host_file_sync(void *context, shoal_file file, uint64_t tag)
{
    submit(context, file, SHOAL_FILE_SYNC, tag);
}

static void host_file_read(void *context, shoal_file file, uint64_t tag)
{
    submit(context, file, SHOAL_FILE_READ, tag);
}

static void host_file_rename(void *context, shoal_file from, shoal_file to, uint64_t tag)
{
    submit(context, from, SHOAL_FILE_RENAME, tag)->to = to;
}

static void host_file_remove(void *context, shoal_file file, uint64_t tag)
{
    submit(context, file, SHOAL_FILE_REMOVE, tag);
}

static void empty(shoal_buffer *buffer)
{
    shoal_buffer_consume(buffer, shoal_buffer_size(buffer));
}

/* Carries a file operation out. An append that fails writes half. */
static void do_file(world_node *node, world_event *event)
{
    shoal_file file = event->event.file;
    shoal_err error = node->fail_file_op[event->event.op];
    event->event.error = error;
    switch (event->event.op) {
    case SHOAL_FILE_APPEND: {
        shoal_slice bytes = shoal_buffer_slice(&event->bytes);
        if (error) bytes.size /= 2;
        shoal_buffer_append(&node->files[file], bytes);
        node->exists[file] = true;
        break;
    }
    case SHOAL_FILE_REMOVE:
        if (error) break;
        empty(&node->files[file]);
        node->exists[file] = false;
        break;
    case SHOAL_FILE_RENAME:
        if (error) break;
        empty(&node->files[event->to]);
        shoal_buffer_append(&node->files[event->to], shoal_buffer_slice(&node->files[file]));
        node->exists[event->to] = true;
        empty(&node->files[file]);
        node->exists[file] = false;
        break;
    default: break;
    }
}

/* ---- trace ---- */

static void host_trace(void *context, const shoal_trace_record *record)
{
    world_node *node = context;
    node->records[record->kind]++;
    node->last[record->kind][0] = record->a;
    node->last[record->kind][1] = record->b;
    node->last[record->kind][2] = record->c;
    node->last_us[record->kind] = node->world->now_us;
    size_t size = record->text.size < 127 ? record->text.size : 127;
    if (size > 0) memcpy(node->last_text[record->kind], record->text.data, size);
    node->last_text[record->kind][size] = 0;
    if (!getenv("SHOAL_TEST_TRACE")) return;
    shoal_trace_entry entry = {node->world->now_us, (uint32_t)node->index, *record};
    shoal_buffer line = shoal_buffer_make(&node->world->allocator);
    shoal_trace_text(&entry, &line);
    fprintf(stderr, "# %.*s\n", (int)shoal_buffer_size(&line), line.data);
    shoal_buffer_free(&line);
}

static void host_nudge(void *context, shoal_actor actor)
{
    (void)context;
    (void)actor;
}

/* ---- life ---- */

void world_open(world *w, uint64_t seed, int64_t node_timeout_ms)
{
    memset(w, 0, sizeof(*w));
    w->allocator = test_allocator(&w->heap);
    w->seed = seed;
    w->node_timeout_ms = node_timeout_ms;
    w->settings = (shoal_cluster_settings){.require_full_coverage = true,
                                           .replica_validity_factor = 10,
                                           .repl_ping_period_ms = 10000,
                                           .migration_barrier = 1,
                                           .allow_replica_migration = true};
    w->reply = shoal_buffer_make(&w->allocator);
    for (int i = 0; i < WORLD_NODES_MAX; i++) {
        world_node *node = &w->nodes[i];
        node->world = w;
        node->index = i;
        node->host = (shoal_host){.context = node,
                                  .nudge = host_nudge,
                                  .link_open = host_link_open,
                                  .link_send = host_link_send,
                                  .link_close = host_link_close,
                                  .file_append = host_file_append,
                                  .file_sync = host_file_sync,
                                  .file_read = host_file_read,
                                  .file_rename = host_file_rename,
                                  .file_remove = host_file_remove,
                                  .trace = host_trace};
        for (int f = 0; f < SHOAL_FILE_COUNT; f++) {
            node->files[f] = shoal_buffer_make(&w->allocator);
        }
    }
}

void world_close(world *w)
{
    for (int i = 0; i < WORLD_NODES_MAX; i++) {
        world_node *node = &w->nodes[i];
        if (node->cluster) shoal_cluster_destroy(node->cluster);
        for (int f = 0; f < SHOAL_FILE_COUNT; f++) shoal_buffer_free(&node->files[f]);
    }
    for (uint32_t i = 0; i < w->event_count; i++) free_event(w->heap_of_events[i]);
    for (uint32_t i = 0; i < w->pipe_count; i++) shoal_buffer_free(&w->pipes[i].heard);
    shoal_buffer_free(&w->reply);
    free(w->heap_of_events);
    free(w->pipes);
    assert_int_equal(w->heap.blocks, 0);
}

void world_start(world *w, int index)
{
    world_node *node = &w->nodes[index];
    assert_null(node->cluster);
    shoal_cluster_options options = {.allocator = w->allocator,
                                     .host = &node->host,
                                     .seed = {w->seed, (uint64_t)index + 1},
                                     .settings = w->settings,
                                     .now = node_time(w)};
    options.settings.port = (uint16_t)(WORLD_PORT + index);
    options.settings.bus_port = (uint16_t)(WORLD_PORT + 10000 + index);
    options.settings.node_timeout_ms = w->node_timeout_ms;
    assert_int_equal(shoal_cluster_create(&options, &node->cluster), 0);
    if (!node->exists[SHOAL_FILE_NODES]) {
        shoal_cluster_init_new(node->cluster, node_time(w));
        return;
    }
    shoal_buffer complaint = shoal_buffer_make(&w->allocator);
    shoal_slice text = shoal_buffer_slice(&node->files[SHOAL_FILE_NODES]);
    shoal_err error = shoal_cluster_load(node->cluster, text, &complaint);
    if (error) fail_msg("nodes.conf: %.*s", (int)complaint.end, complaint.data);
    shoal_buffer_free(&complaint);
}

void world_start_many(world *w, int count)
{
    for (int i = 0; i < count; i++) world_start(w, i);
}

void world_crash(world *w, int index)
{
    world_node *node = &w->nodes[index];
    shoal_cluster_destroy(node->cluster);
    node->cluster = NULL;
    for (uint32_t i = 0; i < w->pipe_count; i++) {
        world_pipe *p = &w->pipes[i];
        if (p->node[0] == index) end_pipe(w, i, 0);
        if (p->node[1] == index) end_pipe(w, i, 1);
        for (int side = 0; side < 2; side++) {
            if (p->node[side] == index) p->up[side] = false;
        }
    }
}

void world_cut(world *w, int a, int b, bool cut)
{
    w->cut[a][b] = w->cut[b][a] = cut;
}

/* ---- running ---- */

/* What a side of a pipe hears, if it is still there to hear it. */
static bool link_applies(world *w, const world_event *event)
{
    world_pipe *p = &w->pipes[event->pipe];
    switch (event->event.kind) {
    case SHOAL_EVENT_LINK_UP:
        if (p->closed) return false;
        p->up[event->side] = true;
        return true;
    case SHOAL_EVENT_LINK_DOWN:
        if (!p->up[event->side] && event->side == 1) return false;
        p->up[event->side] = false;
        return true;
    default: return p->up[event->side] && !p->closed;
    }
}

static void deliver(world *w, world_event *event)
{
    bool of_link = event->event.kind != SHOAL_EVENT_FILE_DONE;
    if (of_link && !link_applies(w, event)) return;
    if (of_link && event->node < 0) {
        shoal_buffer_append(&w->pipes[event->pipe].heard, shoal_buffer_slice(&event->bytes));
        return;
    }
    world_node *node = &w->nodes[event->node];
    if (!node->cluster) return;
    if (!of_link) {
        if (event->cluster != node->cluster) return;
        do_file(node, event);
    }
    event->event.data = shoal_buffer_slice(&event->bytes);
    event->event.now = node_time(w);
    w->events_done++;
    shoal_cluster_event(node->cluster, &event->event);
}

/* A frozen node's events wait a little; held files too. */
static bool must_wait(const world *w, const world_event *event)
{
    if (event->node < 0) return false;
    const world_node *node = &w->nodes[event->node];
    bool of_file = event->event.kind == SHOAL_EVENT_FILE_DONE;
    return (node->frozen && node->cluster) || (of_file && node->hold_files);
}

/* The node with the earliest deadline not after the limit, or NULL. */
static world_node *next_due(world *w, int64_t limit_us, int64_t *due_us)
{
    world_node *first = NULL;
    for (int i = 0; i < WORLD_NODES_MAX; i++) {
        world_node *node = &w->nodes[i];
        if (!node->cluster || node->frozen) continue;
        int64_t deadline_us = shoal_cluster_deadline(node->cluster);
        if (deadline_us > limit_us || (first && deadline_us >= *due_us)) continue;
        first = node;
        *due_us = deadline_us;
    }
    return first;
}

void world_run_until(world *w, int64_t until_us)
{
    for (;;) {
        int64_t event_us = w->event_count ? w->heap_of_events[0]->at_us : INT64_MAX;
        int64_t limit_us = event_us < until_us ? event_us : until_us;
        int64_t due_us = 0;
        world_node *node = next_due(w, limit_us, &due_us);
        if (node) {
            if (due_us > w->now_us) w->now_us = due_us;
            w->events_done++;
            shoal_cluster_tick(node->cluster, node_time(w));
            continue;
        }
        if (event_us > until_us) break;
        world_event *event = pop_event(w);
        w->now_us = event->at_us;
        if (must_wait(w, event)) {
            event->at_us += 10000;
            push_event(w, event);
            continue;
        }
        deliver(w, event);
        free_event(event);
    }
    w->now_us = until_us;
}

void world_run(world *w, int64_t ms)
{
    world_run_until(w, w->now_us + ms * 1000);
}

/* ---- commands ---- */

static const char *ask(world *w, int index, int protocol, char *words)
{
    shoal_slice argv[64] = {shoal_text("CLUSTER")};
    uint32_t argc = 1;
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        assert_true(argc < 64);
        argv[argc++] = shoal_text(word);
    }
    empty(&w->reply);
    shoal_cluster_call call = {.argc = argc,
                               .argv = argv,
                               .now = node_time(w),
                               .reply = {.out = &w->reply, .protocol = protocol}};
    shoal_cluster_command(w->nodes[index].cluster, &call);
    shoal_buffer_append(&w->reply, (shoal_slice){"", 1});
    return w->reply.data + w->reply.start;
}

const char *world_ask(world *w, int index, const char *format, ...)
{
    char words[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    return ask(w, index, 2, words);
}

const char *world_ask3(world *w, int index, const char *format, ...)
{
    char words[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    return ask(w, index, 3, words);
}

int world_count_lines(world *w, int index, const char *text)
{
    int count = 0;
    char *lines = strdup(world_ask(w, index, "NODES"));
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        if (strstr(line, text)) count++;
    }
    free(lines);
    return count;
}

/* ---- strangers ---- */

uint32_t world_dial(world *w, int index)
{
    uint32_t pipe = make_pipe(w, -1, index);
    tell(w, pipe, 1, SHOAL_EVENT_LINK_UP, WORLD_LINK_US);
    w->pipes[pipe].up[0] = true;
    return pipe;
}

void world_push(world *w, uint32_t pipe, shoal_slice bytes)
{
    carry(w, pipe, 0, bytes);
}

shoal_buffer *world_heard(world *w, uint32_t pipe)
{
    return &w->pipes[pipe].heard;
}

bool world_hung_up(world *w, uint32_t pipe)
{
    return w->pipes[pipe].closed;
}

/* ---- whole clusters ---- */

bool world_agree(world *w, int count)
{
    bool agree = true;
    char *first = strdup(world_ask(w, 0, "SLOTS"));
    for (int i = 0; i < count; i++) {
        agree = agree && shoal_cluster_up(w->nodes[i].cluster);
        agree = agree && strcmp(first, world_ask(w, i, "SLOTS")) == 0;
    }
    free(first);
    return agree;
}

void world_form(world *w, int count, int64_t ms)
{
    for (int i = 0; i < count; i++) {
        int first = SHOAL_SLOTS * i / count, last = SHOAL_SLOTS * (i + 1) / count - 1;
        assert_string_equal(world_ask(w, i, "ADDSLOTSRANGE %d %d", first, last), "+OK\r\n");
        assert_string_equal(world_ask(w, i, "SET-CONFIG-EPOCH %d", i + 1), "+OK\r\n");
    }
    for (int i = 1; i < count; i++) {
        const char *reply = world_ask(w, i, "MEET 10.0.0.1 %d", WORLD_PORT);
        assert_string_equal(reply, "+OK\r\n");
    }
    int64_t end_us = w->now_us + ms * 1000;
    while (w->now_us < end_us && !world_agree(w, count)) world_run(w, 50);
    assert_true(world_agree(w, count));
}

/* ---- replicas ---- */

static const char *name_of(const world *w, int index)
{
    return shoal_cluster_name(w->nodes[index].cluster);
}

/* Everybody lists so many replicas. */
static bool roles_are_known(world *w, int count, int replicas)
{
    for (int i = 0; i < count; i++) {
        if (world_count_lines(w, i, "slave") != replicas) return false;
    }
    return true;
}

void world_form_replicas(world *w, int masters, int each)
{
    int count = masters * (1 + each);
    world_start_many(w, masters);
    world_form(w, masters, 30000);
    for (int i = masters; i < count; i++) {
        world_start(w, i);
        world_ask(w, i, "MEET 10.0.0.1 %d", WORLD_PORT);
    }
    for (int i = 0; i < 600 && world_count_lines(w, count - 1, "master") < count; i++) {
        world_run(w, 50);
    }
    for (int i = masters; i < count; i++) {
        const char *reply;
        for (int tries = 0; tries < 600; tries++) {
            reply = world_ask(w, i, "REPLICATE %s", name_of(w, i % masters));
            if (strcmp(reply, "+OK\r\n") == 0) break;
            world_run(w, 50);
        }
        assert_string_equal(reply, "+OK\r\n");
    }
    for (int i = 0; i < 600 && !roles_are_known(w, count, count - masters); i++) world_run(w, 50);
    assert_true(roles_are_known(w, count, count - masters));
    world_run(w, 3000);
}

void world_set_offset(world *w, int index, uint64_t offset)
{
    shoal_cluster_replication facts = {.offset = offset,
                                       .link_up = true,
                                       .heard_us = w->now_us + 1,
                                       .paused = true};
    shoal_cluster_set_replication(w->nodes[index].cluster, &facts, node_time(w));
}

bool world_is_replica(world *w, int index)
{
    shoal_cluster_role role;
    shoal_cluster_role_get(w->nodes[index].cluster, &role);
    return role.is_replica;
}

const char *world_master_of(world *w, int index)
{
    shoal_cluster_role_get(w->nodes[index].cluster, &w->role);
    return w->role.master_name;
}

bool world_wait_master(world *w, int index, int64_t ms)
{
    int64_t end_us = w->now_us + ms * 1000;
    while (w->now_us < end_us && world_is_replica(w, index)) world_run(w, 10);
    return !world_is_replica(w, index);
}
