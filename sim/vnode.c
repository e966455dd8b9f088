/* SPDX-License-Identifier: MIT
 *
 * Virtual nodes: the door, the control actor, birth and death.
 */
#include "sim/vnode.h"

#include <shoal/tape.h>

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/internal.h"
#include "sim/random.h"

/* What it takes to wake an actor. Chosen: the order of a futex call; it must not be zero, or an
 * actor that nudges itself for ever would keep the time from going on. */
#define WAKE_US 1

/* ---- the door ---- */

static shoal_world *world_of(void *context)
{
    return ((shoal_vnode *)context)->world;
}

static void nudge(void *context, shoal_actor actor)
{
    shoal_vnode *vnode = context;
    shoal_world *world = vnode->world;
    if (vnode->dying || !vnode->running) return;
    uint32_t reference = shoal_vnode__reference(world, vnode->index);
    int64_t soon = world->now_us + WAKE_US;
    if (actor == SHOAL_ACTOR_CONTROL) {
        if (vnode->nudged) return;
        vnode->nudged = true;
        shoal_world__arrange(world, soon, SHOAL_OCCURRENCE_NODE_NUDGED, reference, 0);
        return;
    }
    if (vnode->round_armed_us <= soon) return;
    vnode->round_armed_us = soon;
    shoal_world__arrange(world, soon, SHOAL_OCCURRENCE_NODE_ROUND, reference,
                         ++vnode->round_serial);
}

static shoal_link link_open(void *context, const shoal_address *peer)
{
    shoal_vnode *vnode = context;
    shoal_world *world = vnode->world;
    if (vnode->dying) return 0;
    SHOAL_ASSERT(vnode->stepping);
    uint32_t host = shoal_world__host_of(world, peer->ip);
    world->judge.connects += peer->port != SHOAL_WORLD_PORT;
    shoal_port port = shoal_net__open(world, vnode->index, host, peer->port);
    port.connection->ends[0].kind = SHOAL_END_LINK;
    return shoal_net__handle(port);
}

/* The open end of a link of this node. */
static bool find_link(shoal_vnode *vnode, shoal_link link, shoal_port *port)
{
    if (vnode->dying || !shoal_net__find(&vnode->world->net, link, port)) return false;
    const shoal_end *end = &port->connection->ends[port->side];
    return end->kind == SHOAL_END_LINK && end->host == vnode->index &&
           end->state != SHOAL_END_CLOSED;
}

static void link_send(void *context, shoal_link link, shoal_slice bytes)
{
    shoal_port port;
    SHOAL_ASSERT(((shoal_vnode *)context)->dying || ((shoal_vnode *)context)->stepping);
    if (find_link(context, link, &port)) shoal_net__send(world_of(context), port, bytes);
}

static void link_hand(void *context, shoal_link link, shoal_parcel *take)
{
    shoal_port port;
    SHOAL_ASSERT(((shoal_vnode *)context)->dying || ((shoal_vnode *)context)->stepping);
    if (find_link(context, link, &port))
        shoal_net__hand(world_of(context), port, take);
    else
        shoal_parcel_release(take);
}

static size_t link_queued(void *context, shoal_link link)
{
    shoal_port port;
    return find_link(context, link, &port) ? shoal_net__backlog(port) : 0;
}

static void link_pause(void *context, shoal_link link, bool paused)
{
    shoal_port port;
    SHOAL_ASSERT(((shoal_vnode *)context)->dying || ((shoal_vnode *)context)->stepping);
    if (!find_link(context, link, &port)) return;
    if (port.connection->ends[port.side].state != SHOAL_END_OPEN) return;
    shoal_net__reading(world_of(context), port, !paused);
}

static void link_close(void *context, shoal_link link)
{
    shoal_vnode *vnode = context;
    shoal_port port;
    if (!find_link(vnode, link, &port)) return;
    shoal_net__close(vnode->world, port);
    shoal_world__arrange(vnode->world, vnode->world->now_us, SHOAL_OCCURRENCE_NODE_CLOSED,
                         shoal_vnode__reference(vnode->world, vnode->index), link);
}

static void submit(void *context, const shoal_disk_request *request)
{
    shoal_vnode *vnode = context;
    if (vnode->dying) return;
    bool any_thread = request->op == SHOAL_FILE_APPEND || request->op == SHOAL_FILE_SYNC;
    bool direct = any_thread && request->file >= SHOAL_FILE_NAMED;
    SHOAL_ASSERT(vnode->stepping || direct);
    shoal_disk__submit(vnode->world, vnode->index, request);
}

static void file_name(void *context, shoal_file file, shoal_slice path)
{
    shoal_vnode *vnode = context;
    if (vnode->dying) return;
    shoal_disk__name(&vnode->disk, file, path);
}

static void file_append(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    submit(context, &(shoal_disk_request){
                        .file = file, .op = SHOAL_FILE_APPEND, .bytes = bytes, .tag = tag});
}

static void file_sync(void *context, shoal_file file, uint64_t tag)
{
    submit(context, &(shoal_disk_request){.file = file, .op = SHOAL_FILE_SYNC, .tag = tag});
}

static void file_read(void *context, shoal_file file, uint64_t tag)
{
    submit(context, &(shoal_disk_request){.file = file, .op = SHOAL_FILE_READ, .tag = tag});
}

static void file_read_part(void *context, shoal_file file, uint64_t offset, size_t size,
                           uint64_t tag)
{
    SHOAL_ASSERT(size > 0);
    submit(context, &(shoal_disk_request){.file = file,
                                          .op = SHOAL_FILE_READ,
                                          .tag = tag,
                                          .part = true,
                                          .offset = offset,
                                          .size = size});
}

static void file_truncate(void *context, shoal_file file, uint64_t size, uint64_t tag)
{
    submit(context, &(shoal_disk_request){
                        .file = file, .op = SHOAL_FILE_TRUNCATE, .tag = tag, .offset = size});
}

static void file_rename(void *context, shoal_file from, shoal_file to, uint64_t tag)
{
    submit(context,
           &(shoal_disk_request){.file = from, .op = SHOAL_FILE_RENAME, .to = to, .tag = tag});
}

static void file_remove(void *context, shoal_file file, uint64_t tag)
{
    submit(context, &(shoal_disk_request){.file = file, .op = SHOAL_FILE_REMOVE, .tag = tag});
}

static void trace(void *context, const shoal_trace_record *record)
{
    shoal_vnode *vnode = context;
    if (vnode->dying) return;
    shoal_world__trace_text(vnode->world, vnode->index, record);
}

/* The virtual clock stands still while a step runs, so that commands take no time. */
static int64_t clock_ns(void *context)
{
    const shoal_vnode *vnode = context;
    int64_t mono_us = shoal_clock__read(&vnode->clock, vnode->world->now_us).mono_us;
    return mono_us > 0 ? mono_us * 1000 : 1;
}

/* Behind a nudge of this moment. */
static void busy(void *context, int64_t until_us)
{
    shoal_vnode *vnode = context;
    shoal_world *world = vnode->world;
    if (vnode->dying || !vnode->running) return;
    shoal_world__arrange(world, world->now_us + WAKE_US, SHOAL_OCCURRENCE_NODE_BUSY,
                         shoal_vnode__reference(world, vnode->index),
                         (uint64_t)shoal_clock__when(&vnode->clock, until_us));
}

static shoal_host make_host(shoal_vnode *vnode)
{
    return (shoal_host){.context = vnode,
                        .nudge = nudge,
                        .link_open = link_open,
                        .link_send = link_send,
                        .link_hand = vnode->world->exchange ? link_hand : NULL,
                        .exchange = vnode->world->exchange,
                        .link_queued = link_queued,
                        .link_pause = link_pause,
                        .link_close = link_close,
                        .file_name = file_name,
                        .file_append = file_append,
                        .file_sync = file_sync,
                        .file_read = file_read,
                        .file_read_part = file_read_part,
                        .file_truncate = file_truncate,
                        .file_rename = file_rename,
                        .file_remove = file_remove,
                        .trace = trace,
                        .clock_ns = clock_ns,
                        .busy = busy};
}

/* ---- the control actor ---- */

uint32_t shoal_vnode__reference(const shoal_world *world, uint32_t index)
{
    return index | world->nodes[index].incarnation << SHOAL_VNODE_INDEX_BITS;
}

/* Sees that TICK comes at the stored deadline. An occurrence that is due earlier is kept and
 * arranges the next one when it comes. */
static void arm_tick(shoal_world *world, shoal_vnode *vnode, int64_t deadline_mono_us)
{
    int64_t at = shoal_clock__when(&vnode->clock, deadline_mono_us);
    if (at < world->now_us) at = world->now_us;
    vnode->tick_mono_us = deadline_mono_us;
    vnode->tick_at_us = at;
    if (at >= vnode->tick_armed_us) return;
    vnode->tick_armed_us = at;
    shoal_world__arrange(world, at, SHOAL_OCCURRENCE_NODE_TICK,
                         shoal_vnode__reference(world, vnode->index), ++vnode->tick_serial);
}

/* A node that ends by itself: SHUTDOWN, or it cannot go on. */
static bool wants_to_end(shoal_vnode *vnode)
{
    return vnode->node && shoal_node_wanted(vnode->node) != SHOAL_WISH_NONE;
}

/* A node that is started again on a healthy disk gets ready: no crash leaves files that it cannot
 * use. */
static void judge_start(shoal_world *world, const shoal_vnode *vnode, bool ended)
{
    char text[96];
    if (vnode->starts < 2 || vnode->stepper) return;
    if (!ended) {
        shoal_judge__made(world, SHOAL_CHECK_STARTS_AGAIN);
        return;
    }
    bool healthy = vnode->disk.mode == SHOAL_DISK_OK || vnode->disk.mode == SHOAL_DISK_SLOW;
    healthy = healthy && !vnode->disk.damaged;
    if (vnode->ready || !healthy || shoal_node_wanted(vnode->node) != SHOAL_WISH_FATAL) return;
    int size = snprintf(text, sizeof(text), "%s cannot start from what its disk has", vnode->label);
    shoal_judge__fault(world, SHOAL_CHECK_STARTS_AGAIN, (shoal_slice){text, (size_t)size});
}

/* Its stream of effects is looked at behind every step that may have changed it. */
static void follow(shoal_world *world, shoal_vnode *vnode)
{
    uint64_t settled = vnode->node ? shoal_node_settled(vnode->node) : 0;
    if (!vnode->ready || vnode->followed == settled) return;
    vnode->followed = settled;
    shoal_logbook__follow(world, vnode->index);
}

void shoal_vnode__step(shoal_world *world, uint32_t index, shoal_event *event)
{
    shoal_vnode *vnode = &world->nodes[index];
    SHOAL_ASSERT(vnode->running && !vnode->stepping && !vnode->paused);
    event->now = shoal_clock__read(&vnode->clock, world->now_us);
    vnode->stepping = true;
    int64_t deadline = vnode->stepper ? vnode->stepper(vnode->stepper_context, event)
                                      : shoal_node_step(vnode->node, event);
    vnode->stepping = false;
    if (wants_to_end(vnode)) {
        judge_start(world, vnode, true);
        shoal_marks__reach(world, SHOAL_MARK_GAVE_UP);
        shoal_vnode__crash(world, index, false, SHOAL_DISK_KEPT);
        return;
    }
    arm_tick(world, vnode, deadline);
    follow(world, vnode);
    if (vnode->ready) return;
    vnode->ready = vnode->stepper || shoal_node_ready(vnode->node);
    vnode->ready_at_us = world->now_us;
    if (!vnode->ready) return;
    shoal_judge__woke(world, index);
    shoal_logbook__loaded(world, index);
    judge_start(world, vnode, false);
}

void shoal_vnode__occur_start(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_event event = {.kind = SHOAL_EVENT_START};
    shoal_vnode__step(world, shoal_vnode__referred(occurrence->subject), &event);
}

void shoal_vnode__occur_tick(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_vnode *vnode = &world->nodes[shoal_vnode__referred(occurrence->subject)];
    if (vnode->tick_serial != (uint32_t)occurrence->detail) return;
    vnode->tick_armed_us = INT64_MAX;
    if (vnode->tick_at_us > world->now_us) {
        if (vnode->tick_at_us == INT64_MAX) return;
        vnode->tick_armed_us = vnode->tick_at_us;
        shoal_world__arrange(world, vnode->tick_at_us, SHOAL_OCCURRENCE_NODE_TICK,
                             occurrence->subject, ++vnode->tick_serial);
        return;
    }
    shoal_event event = {.kind = SHOAL_EVENT_TICK};
    shoal_vnode__step(world, vnode->index, &event);
}

void shoal_vnode__occur_nudged(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_vnode *vnode = &world->nodes[shoal_vnode__referred(occurrence->subject)];
    shoal_event event = {.kind = SHOAL_EVENT_NUDGED};
    vnode->nudged = false;
    shoal_vnode__step(world, vnode->index, &event);
}

void shoal_vnode__occur_closed(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_event event = {.kind = SHOAL_EVENT_LINK_DOWN,
                         .link = occurrence->detail,
                         .error = SHOAL_ERR_CLOSED};
    shoal_vnode__step(world, shoal_vnode__referred(occurrence->subject), &event);
}

/* ---- links ---- */

static shoal_address end_address(const shoal_world *world, const shoal_end *end)
{
    shoal_address address = {.port = end->port};
    shoal_world__host_ip(world, end->host, address.ip);
    return address;
}

static void link_up(shoal_world *world, shoal_port port)
{
    const shoal_connection *connection = port.connection;
    shoal_event event = {.kind = SHOAL_EVENT_LINK_UP,
                         .link = shoal_net__handle(port),
                         .accepted = port.side == 1,
                         .peer = end_address(world, &connection->ends[1 - port.side]),
                         .local = end_address(world, &connection->ends[port.side])};
    shoal_vnode__step(world, connection->ends[port.side].host, &event);
}

static void link_data(shoal_world *world, shoal_port port, shoal_slice bytes, int64_t sent_us)
{
    (void)sent_us;
    if (shoal_net__is_bus(port.connection)) {
        shoal_judge__contact(world, port.connection->ends[port.side].host,
                             port.connection->ends[1 - port.side].host);
    }
    shoal_event event = {.kind = SHOAL_EVENT_LINK_DATA,
                         .link = shoal_net__handle(port),
                         .data = bytes};
    shoal_vnode__step(world, port.connection->ends[port.side].host, &event);
}

/* What stands in for a node knows bytes only, and a recording holds nothing else. */
static void give_bytes(shoal_world *world, shoal_port port, const shoal_parcel *parcel)
{
    shoal_buffer bytes = shoal_buffer_make(&world->allocator);
    bool made = shoal_parcel_bytes(parcel, &bytes);
    SHOAL_ASSERT(made);
    link_data(world, port, shoal_buffer_slice(&bytes), world->now_us);
    shoal_buffer_free(&bytes);
}

static void link_parcel(shoal_world *world, shoal_port port, const shoal_parcel *parcel)
{
    uint32_t index = port.connection->ends[port.side].host;
    if (world->nodes[index].stepper || world->taker) {
        give_bytes(world, port, parcel);
        return;
    }
    shoal_judge__contact(world, index, port.connection->ends[1 - port.side].host);
    shoal_event event = {.kind = SHOAL_EVENT_LINK_DATA,
                         .link = shoal_net__handle(port),
                         .parcel = parcel};
    shoal_vnode__step(world, index, &event);
}

static void link_level(shoal_world *world, shoal_port port, bool full)
{
    shoal_event event = {.kind = full ? SHOAL_EVENT_LINK_FULL : SHOAL_EVENT_LINK_ROOM,
                         .link = shoal_net__handle(port)};
    shoal_vnode__step(world, port.connection->ends[port.side].host, &event);
}

static void link_down(shoal_world *world, shoal_port port, shoal_err error)
{
    shoal_event event = {.kind = SHOAL_EVENT_LINK_DOWN,
                         .link = shoal_net__handle(port),
                         .error = error};
    shoal_vnode__step(world, port.connection->ends[port.side].host, &event);
}

const shoal_end_class shoal_vnode__link_class = {link_up, link_data, link_level, link_down,
                                                 link_parcel};

shoal_end_kind shoal_vnode__listens(const shoal_world *world, uint32_t index, uint16_t port)
{
    const shoal_vnode *vnode = &world->nodes[index];
    if (!vnode->running || !vnode->ready) return SHOAL_END_NONE;
    if (port == SHOAL_WORLD_PORT + SHOAL_BUS_OFFSET) return SHOAL_END_LINK;
    return port == SHOAL_WORLD_PORT && vnode->node ? SHOAL_END_SESSION : SHOAL_END_NONE;
}

/* ---- birth ---- */

/* What its configuration file says. */
static void write_config(shoal_world *world, shoal_vnode *vnode)
{
    const shoal_schedule *schedule = world->schedule;
    shoal_buffer *text = &world->scratch;
    uint32_t *chosen = shoal_sim__allocate(world->net.hosts * sizeof(*chosen));
    shoal_buffer_consume(text, shoal_buffer_size(text));
    shoal_text_appendf(text, "port %u\ncluster-enabled yes\ncluster-node-timeout %lu\n",
                       SHOAL_WORLD_PORT, (unsigned long)(schedule->node_timeout_us / 1000));
    shoal_text_appendf(text, "protected-mode no\n");
    if (world->profile != SHOAL_PROFILE_OF_CONFIG) {
        shoal_text_appendf(text, "cluster-timing-profile %s\n", shoal_profile_name(world->profile));
    }
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (line->kind != SHOAL_LINE_CONFIG) continue;
        uint32_t count = shoal_fault__select(world, &line->left, false, chosen);
        for (uint32_t j = 0; j < count; j++) {
            if (chosen[j] == vnode->index) shoal_text_appendf(text, "%s\n", line->text);
        }
    }
    shoal_sim__free(chosen);
    shoal_disk__write(&vnode->disk, SHOAL_FILE_CONFIG, shoal_buffer_slice(text));
}

void shoal_vnode__make(shoal_world *world, uint32_t index)
{
    shoal_vnode *vnode = &world->nodes[index];
    shoal_prng clocks = shoal_prng_make(world->seed, index, SHOAL_PURPOSE_CLOCK);
    vnode->index = index;
    vnode->world = world;
    vnode->died_us = -1;
    vnode->host = make_host(vnode);
    vnode->tick_armed_us = vnode->round_armed_us = INT64_MAX;
    vnode->out = shoal_buffer_make(&world->allocator);
    vnode->pool.heap = &world->memory;
    snprintf(vnode->label, sizeof(vnode->label), "n%u", index + 1);
    shoal_world__host_ip(world, index, vnode->ip);
    /* Machines are up for up to an hour when the run begins. */
    shoal_clock__start(&vnode->clock, 0, shoal_prng_between(&clocks, 0, INT64_C(3600000000)));
    shoal_disk__make(&vnode->disk, world->seed, index);
    write_config(world, vnode);
}

void shoal_vnode__free(shoal_world *world, uint32_t index)
{
    shoal_vnode *vnode = &world->nodes[index];
    if (vnode->running) shoal_vnode__crash(world, index, false, SHOAL_DISK_KEPT);
    shoal_disk__free(&vnode->disk);
    shoal_burden__free(&vnode->burden);
    shoal_buffer_free(&vnode->out);
    shoal_sim__pool_free(&vnode->pool);
    shoal_sim__free(vnode->deferred);
}

/* A process that could not be configured: the schedule is at fault, and says so in the trace. */
static void refuse_config(shoal_world *world, shoal_vnode *vnode, shoal_buffer *complaint)
{
    shoal_trace_record record = {.kind = SHOAL_TRACE_LOG,
                                 .a = 3,
                                 .text = shoal_buffer_slice(complaint)};
    shoal_world__trace_text(world, vnode->index, &record);
    shoal_judge__fault(world, SHOAL_CHECK_CONFIG, shoal_buffer_slice(complaint));
}

static bool create_node(shoal_world *world, shoal_vnode *vnode)
{
    shoal_node_options options = shoal_node_options_default();
    shoal_prng seeds = shoal_prng_make(world->seed, vnode->index, SHOAL_PURPOSE_NODE_SEED);
    options.allocator = shoal_sim__pool_allocator(&vnode->pool);
    options.host = vnode->host;
    options.seed[0] = shoal_prng_at(&seeds, vnode->starts * 2u);
    options.seed[1] = shoal_prng_at(&seeds, vnode->starts * 2u + 1);
    options.process_id = 1000 + vnode->starts;
    options.now = shoal_clock__read(&vnode->clock, world->now_us);
    if (shoal_node_create(&options, &vnode->node) != SHOAL_ERR_OK) return false;
    const shoal_disk_file *config = &vnode->disk.files[SHOAL_FILE_CONFIG];
    shoal_buffer complaint = shoal_buffer_make(&world->allocator);
    shoal_err error = shoal_node_configure(vnode->node, (shoal_slice){config->data, config->size},
                                           "shoal.conf", &complaint);
    if (error == SHOAL_ERR_OK) shoal_judge__made(world, SHOAL_CHECK_CONFIG);
    if (error == SHOAL_ERR_OK && !shoal_vnode__record(vnode)) error = SHOAL_ERR_NO_MEMORY;
    if (error != SHOAL_ERR_OK) {
        refuse_config(world, vnode, &complaint);
        vnode->dying = true;
        shoal_node_destroy(vnode->node);
        vnode->dying = false;
        vnode->node = NULL;
    }
    shoal_buffer_free(&complaint);
    return error == SHOAL_ERR_OK;
}

static void trace_start(shoal_world *world, const shoal_vnode *vnode)
{
    char text[64];
    int size = snprintf(text, sizeof(text), "%s %s", vnode->label, vnode->ip);
    shoal_trace_record record = {.kind = SHOAL_TRACE_NODE_STARTED,
                                 .a = SHOAL_WORLD_PORT,
                                 .b = SHOAL_WORLD_PORT + SHOAL_BUS_OFFSET,
                                 .c = vnode->starts,
                                 .text = {text, (size_t)size}};
    shoal_world__trace_text(world, vnode->index, &record);
}

void shoal_vnode__start(shoal_world *world, uint32_t index)
{
    shoal_vnode *vnode = &world->nodes[index];
    if (vnode->running) return;
    if (world->net.dark[index]) shoal_net__power_back(world, index);
    vnode->running = true;
    vnode->ready = vnode->paused = vnode->nudged = false;
    vnode->tick_armed_us = vnode->round_armed_us = vnode->tick_at_us = INT64_MAX;
    trace_start(world, vnode);
    shoal_judge__starts(world, index);
    if (vnode->stepper == NULL && !create_node(world, vnode)) {
        vnode->running = false;
        return;
    }
    vnode->starts++;
    vnode->followed = UINT64_MAX;
    if (vnode->node) vnode->worker = shoal_node_worker(vnode->node, 0);
    shoal_world__arrange(world, world->now_us, SHOAL_OCCURRENCE_NODE_START,
                         shoal_vnode__reference(world, index), 0);
}

/* ---- death, sleep ---- */

/* What a process has slept through happens now; also when it died, because its connections are the
 * host's, and count on being told. */
static void happen_late(shoal_world *world, shoal_vnode *vnode)
{
    for (uint32_t i = 0; i < vnode->deferred_count; i++) {
        const shoal_occurrence *late = &vnode->deferred[i];
        shoal_world__arrange(world, world->now_us, late->kind, late->subject, late->detail);
    }
    vnode->deferred_count = 0;
}

static void lose_power(shoal_world *world, uint32_t index)
{
    shoal_net__power_lost(world, index);
    shoal_operator__power_lost(world, index);
}

void shoal_vnode__crash(shoal_world *world, uint32_t index, bool power, shoal_disk_fate fate)
{
    shoal_vnode *vnode = &world->nodes[index];
    if (!vnode->running) return;
    shoal_marks__dying(world, index);
    vnode->dying = true;
    if (vnode->node) {
        shoal_node_record_flush(vnode->node);
        shoal_session__close_all(world, index);
        shoal_node_destroy(vnode->node);
    }
    vnode->node = NULL;
    vnode->worker = NULL;
    vnode->stepper = NULL;
    if (vnode->paused) world->paused_count--;
    vnode->running = vnode->ready = vnode->paused = vnode->dying = false;
    vnode->incarnation++;
    happen_late(world, vnode);
    vnode->died_us = world->now_us;
    if (world->leaving) return;
    if (power)
        lose_power(world, index);
    else
        shoal_net__process_died(world, index);
    shoal_disk__crash(&vnode->disk, fate);
    shoal_burden__end(world, index);
    shoal_trace_record record = {.kind = SHOAL_TRACE_NODE_CRASHED,
                                 .text = shoal_text(vnode->label)};
    shoal_world__trace_text(world, index, &record);
}

void shoal_vnode__pause(shoal_world *world, uint32_t index)
{
    shoal_vnode *vnode = &world->nodes[index];
    if (!vnode->running || vnode->paused) return;
    vnode->paused = true;
    world->paused_count++;
}

void shoal_vnode__defer(shoal_vnode *vnode, const shoal_occurrence *occurrence)
{
    vnode->deferred = shoal_sim__grow(vnode->deferred, &vnode->deferred_capacity,
                                      vnode->deferred_count + 1, sizeof(*vnode->deferred));
    vnode->deferred[vnode->deferred_count++] = *occurrence;
}

void shoal_vnode__resume(shoal_world *world, uint32_t index)
{
    shoal_vnode *vnode = &world->nodes[index];
    if (!vnode->paused) return;
    vnode->paused = false;
    world->paused_count--;
    shoal_judge__woke(world, index);
    happen_late(world, vnode);
}

void shoal_vnode__clock_changed(shoal_world *world, uint32_t index)
{
    shoal_vnode *vnode = &world->nodes[index];
    if (!vnode->running) return;
    arm_tick(world, vnode, vnode->tick_mono_us);
    if (vnode->worker && !vnode->paused) shoal_session__round(world, index);
}

void shoal_vnode__moved(shoal_world *world, uint32_t index)
{
    shoal_net__move(world, index);
    shoal_world__host_ip(world, index, world->nodes[index].ip);
    shoal_judge__moved(world, index);
}
