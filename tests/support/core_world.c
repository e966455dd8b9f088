/* SPDX-License-Identifier: MIT
 *
 * support/core_world.c - files are buffers, operations are carried out at once and reported
 * later, in order.
 */
#include "support/core_world.h"

#include <string.h>

#include "support/test.h"

/* ---- the host ---- */

static void nudge(void *context, shoal_actor actor)
{
    core_world *world = context;

    assert_true(actor <= world->workers);
    world->nudged[actor] = true;
}

static shoal_link link_open(void *context, const shoal_address *peer)
{
    (void)context;
    (void)peer;
    return 1;
}

static void link_send(void *context, shoal_link link, shoal_slice bytes)
{
    (void)context;
    (void)link;
    (void)bytes;
}

static void link_close(void *context, shoal_link link)
{
    (void)context;
    (void)link;
}

/* The file of a number. A named one is found by its name, which is "" until it is bound. */
static core_file *file_of(core_world *world, shoal_file file)
{
    if (file < SHOAL_FILE_NAMED) return &world->files[file];
    assert_true(world->bound[file - SHOAL_FILE_NAMED] > 0);
    return &world->files[world->bound[file - SHOAL_FILE_NAMED]];
}

static int find_name(core_world *world, shoal_slice path)
{
    int i = SHOAL_FILE_COUNT;
    for (; world->names[i][0] != '\0'; i++) {
        assert_true(i + 1 < CORE_FILES_MAX);
        if (strlen(world->names[i]) != path.size) continue;
        if (memcmp(world->names[i], path.data, path.size) == 0) return i;
    }
    assert_true(path.size < sizeof world->names[i]);
    if (path.size > 0) memcpy(world->names[i], path.data, path.size);
    return i;
}

static void file_name(void *context, shoal_file file, shoal_slice path)
{
    core_world *world = context;

    assert_true(file >= SHOAL_FILE_NAMED);
    world->bound[file - SHOAL_FILE_NAMED] = find_name(world, path);
}

/* Notes the FILE_DONE of an operation. */
static shoal_event *note(core_world *world, shoal_file file, shoal_file_op op, uint64_t tag)
{
    assert_true(world->pending_count < CORE_PENDING_MAX);
    shoal_event *event = &world->pending[world->pending_count++].event;
    *event = (shoal_event){.kind = SHOAL_EVENT_FILE_DONE, .file = file, .op = op, .tag = tag};
    if (op == world->fail_op) event->error = SHOAL_ERR_IO;
    return event;
}

static void file_append(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    core_world *world = context;

    bool told = file < SHOAL_FILE_NAMED || tag != 0 || world->fail_op == SHOAL_FILE_APPEND;
    if (told && note(world, file, SHOAL_FILE_APPEND, tag)->error != 0) return;
    file_of(world, file)->exists = true;
    shoal_buffer_append(&file_of(world, file)->content, bytes);
}

static void file_sync(void *context, shoal_file file, uint64_t tag)
{
    (void)note(context, file, SHOAL_FILE_SYNC, tag);
}

static void file_read(void *context, shoal_file file, uint64_t tag)
{
    core_world *world = context;
    shoal_event *event = note(world, file, SHOAL_FILE_READ, tag);

    if (event->error != 0) return;
    if (!file_of(world, file)->exists)
        event->error = SHOAL_ERR_NOT_FOUND;
    else
        event->data = shoal_buffer_slice(&file_of(world, file)->content);
}

static void file_read_part(void *context, shoal_file file, uint64_t offset, size_t size,
                           uint64_t tag)
{
    core_world *world = context;
    shoal_event *event = note(world, file, SHOAL_FILE_READ, tag);
    shoal_slice all = shoal_buffer_slice(&file_of(world, file)->content);

    if (event->error == 0 && !file_of(world, file)->exists) event->error = SHOAL_ERR_NOT_FOUND;
    if (event->error != 0) return;
    event->file_size = all.size;
    if (offset >= all.size) return;
    event->data = (shoal_slice){all.data + offset, all.size - (size_t)offset};
    if (event->data.size > size) event->data.size = size;
}

static void file_truncate(void *context, shoal_file file, uint64_t size, uint64_t tag)
{
    core_world *world = context;
    shoal_event *event = note(world, file, SHOAL_FILE_TRUNCATE, tag);
    shoal_buffer *content = &file_of(world, file)->content;

    if (event->error != 0) return;
    if (!file_of(world, file)->exists)
        event->error = SHOAL_ERR_NOT_FOUND;
    else if (size > shoal_buffer_size(content))
        event->error = SHOAL_ERR_INVALID;
    else
        content->end = content->start + (size_t)size;
}

static void file_rename(void *context, shoal_file from, shoal_file to, uint64_t tag)
{
    core_world *world = context;

    if (note(world, from, SHOAL_FILE_RENAME, tag)->error != 0) return;
    shoal_buffer_free(&file_of(world, to)->content);
    *file_of(world, to) = *file_of(world, from);
    *file_of(world, from) = (core_file){.content = shoal_buffer_make(&world->allocator)};
}

static void file_remove(void *context, shoal_file file, uint64_t tag)
{
    core_world *world = context;
    core_file *slot = file_of(world, file);

    (void)note(world, file, SHOAL_FILE_REMOVE, tag);
    shoal_buffer_consume(&slot->content, shoal_buffer_size(&slot->content));
    slot->exists = false;
}

static void trace(void *context, const shoal_trace_record *record)
{
    core_world *world = context;

    if (record->kind == SHOAL_TRACE_READY) world->ready_records++;
    if (record->kind != SHOAL_TRACE_LOG) return;
    shoal_buffer_append(&world->log, record->text);
    shoal_buffer_append(&world->log, (shoal_slice){"\n", 1});
}

/* ---- life ---- */

void core_world_make(core_world *world, uint32_t workers)
{
    shoal_node_options options = shoal_node_options_default();

    assert_true(workers <= CORE_WORKERS_MAX);
    *world = (core_world){.workers = workers, .deadline_us = SHOAL_NEVER};
    world->allocator = test_allocator(&world->heap);
    world->now = (shoal_time){.mono_us = 5000000, .wall_us = 1700000000000000};
    world->log = shoal_buffer_make(&world->allocator);
    for (int i = 0; i < CORE_FILES_MAX; i++)
        world->files[i].content = shoal_buffer_make(&world->allocator);
    for (int i = 0; i < CORE_WORKERS_MAX; i++)
        world->replies[i] = shoal_buffer_make(&world->allocator);
    options.allocator = world->allocator;
    options.workers = workers;
    options.seed[0] = 7;
    options.now = world->now;
    options.host = (shoal_host){.context = world,
                                .nudge = nudge,
                                .link_open = link_open,
                                .link_send = link_send,
                                .link_close = link_close,
                                .file_name = file_name,
                                .file_append = file_append,
                                .file_sync = file_sync,
                                .file_read = file_read,
                                .file_read_part = file_read_part,
                                .file_truncate = file_truncate,
                                .file_rename = file_rename,
                                .file_remove = file_remove,
                                .trace = trace};
    assert_int_equal(shoal_node_create(&options, &world->node), SHOAL_ERR_OK);
}

void core_world_open(core_world *world, uint32_t workers, const char *conf)
{
    core_world_make(world, workers);
    shoal_buffer complaint = shoal_buffer_make(&world->allocator);
    shoal_slice text = {conf, strlen(conf)};
    assert_int_equal(shoal_node_configure(world->node, text, "test.conf", &complaint),
                     SHOAL_ERR_OK);
    shoal_buffer_free(&complaint);
}

static void step(core_world *world, shoal_event event)
{
    event.now = world->now;
    world->deadline_us = shoal_node_step(world->node, &event);
}

void core_world_start(core_world *world)
{
    step(world, (shoal_event){.kind = SHOAL_EVENT_START});
    core_world_settle(world);
}

void core_world_close(core_world *world)
{
    for (uint32_t i = 0; i < world->workers; i++) {
        if (world->sessions[i] == NULL) continue;
        shoal_worker *worker = shoal_node_worker(world->node, i);
        shoal_worker_begin(worker, world->now);
        shoal_session_close(world->sessions[i]);
        (void)shoal_worker_end(worker);
    }
    shoal_node_destroy(world->node);
    for (int i = 0; i < CORE_FILES_MAX; i++) shoal_buffer_free(&world->files[i].content);
    for (int i = 0; i < CORE_WORKERS_MAX; i++) shoal_buffer_free(&world->replies[i]);
    shoal_buffer_free(&world->log);
    assert_int_equal(world->heap.blocks, 0);
}

/* ---- running ---- */

static void feed(core_world *world, uint32_t index, const char *bytes)
{
    shoal_slice in = {bytes, strlen(bytes)};
    shoal_feed feed = shoal_session_feed(world->sessions[index], in, &world->replies[index]);

    if (feed == SHOAL_FEED_CLOSE || feed == SHOAL_FEED_DROP) world->closed[index] = true;
}

static void run_worker(core_world *world, uint32_t index)
{
    shoal_worker *worker = shoal_node_worker(world->node, index);

    world->nudged[1 + index] = false;
    shoal_worker_begin(worker, world->now);
    while (shoal_worker_ready(worker) != NULL) feed(world, index, "");
    (void)shoal_worker_end(worker);
}

/* Delivers the oldest FILE_DONE. */
static void deliver(core_world *world)
{
    shoal_event event = world->pending[0].event;

    world->pending_count--;
    memmove(world->pending, world->pending + 1, world->pending_count * sizeof(core_pending));
    step(world, event);
}

/* Does one thing that waits; false when there is none. */
static bool run_once(core_world *world)
{
    if (world->pending_count > 0 && !world->hold_files) {
        deliver(world);
        return true;
    }
    if (world->nudged[0]) {
        world->nudged[0] = false;
        step(world, (shoal_event){.kind = SHOAL_EVENT_NUDGED});
        return true;
    }
    for (uint32_t i = 0; i < world->workers; i++) {
        if (!world->nudged[1 + i]) continue;
        run_worker(world, i);
        return true;
    }
    return false;
}

void core_world_settle(core_world *world)
{
    for (int rounds = 0; run_once(world); rounds++) assert_true(rounds < 100000);
}

void core_world_tick(core_world *world)
{
    step(world, (shoal_event){.kind = SHOAL_EVENT_TICK});
    core_world_settle(world);
}

void core_world_sleep(core_world *world, int64_t us)
{
    int64_t until = world->now.mono_us + us;

    while (world->deadline_us <= until) {
        int64_t ahead = world->deadline_us - world->now.mono_us;
        if (ahead > 0) {
            world->now.mono_us += ahead;
            world->now.wall_us += ahead;
        }
        core_world_tick(world);
    }
    world->now.wall_us += until - world->now.mono_us;
    world->now.mono_us = until;
}

/* ---- files and log ---- */

/* The content of a buffer with a zero behind it. */
static const char *terminated(shoal_buffer *buffer)
{
    char *end = shoal_buffer_reserve(buffer, 1);

    assert_non_null(end);
    *end = '\0';
    return buffer->data + buffer->start;
}

void core_world_put_file(core_world *world, shoal_file file, const char *text)
{
    world->files[file].exists = true;
    shoal_buffer_append(&world->files[file].content, (shoal_slice){text, strlen(text)});
}

const char *core_world_file(core_world *world, shoal_file file)
{
    return world->files[file].exists ? terminated(&world->files[file].content) : "";
}

const char *core_world_log(core_world *world)
{
    return terminated(&world->log);
}

/* ---- clients ---- */

void core_world_send(core_world *world, uint32_t index, const char *line)
{
    shoal_worker *worker = shoal_node_worker(world->node, index);
    shoal_session_options options = {.peer = {"127.0.0.1", 50000},
                                     .local = {"127.0.0.1", 6379},
                                     .descriptor = -1};

    shoal_worker_begin(worker, world->now);
    if (world->sessions[index] == NULL) {
        shoal_err error =
            shoal_session_open(worker, &options, &world->replies[index], &world->sessions[index]);
        assert_int_equal(error, SHOAL_ERR_OK);
    }
    feed(world, index, line);
    feed(world, index, "\r\n");
    (void)shoal_worker_end(worker);
}

const char *core_world_reply(core_world *world, uint32_t index)
{
    shoal_buffer *reply = &world->replies[index];
    const char *text = terminated(reply);

    shoal_buffer_consume(reply, shoal_buffer_size(reply));
    return text;
}

const char *core_world_ask(core_world *world, uint32_t index, const char *line)
{
    core_world_send(world, index, line);
    core_world_settle(world);
    return core_world_reply(world, index);
}
