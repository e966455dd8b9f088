/* SPDX-License-Identifier: MIT
 *
 * The recorder's hosts: every operation is passed on to the world's, and what passes is written
 * down. The door of the cluster is watched whole; at that of other rooms only trace records are
 * noted.
 */
#include "tape/internal.h"

#include "base/assert.h"
#include "base/text.h"

/* The world behind a door. */
static const shoal_host *world_of(const tape_door *door)
{
    SHOAL_ASSERT(door->tape->world != NULL);
    return door->tape->world;
}

/* Writes an operation at the door that is watched. */
static void write_op(const tape_door *door, tape_op op)
{
    SHOAL_DEBUG_ASSERT(op.kind < TAPE_OP_COUNT);
    if (door->watched) shoal_tape__op(door->tape, &op);
}

/* An operation of numbers only. */
static void write_plain(const tape_door *door, tape_op_kind kind, uint64_t a, uint64_t b)
{
    SHOAL_DEBUG_ASSERT(kind >= TAPE_OP_NUDGE);
    write_op(door, (tape_op){.kind = (uint8_t)kind, .a = a, .b = b});
}

static void nudge(void *context, shoal_actor actor)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(world->nudge != NULL);
    write_plain(context, TAPE_OP_NUDGE, actor, 0);
    world->nudge(world->context, actor);
}

static shoal_link link_open(void *context, const shoal_address *peer)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(peer != NULL && world->link_open != NULL);
    tape_op op = shoal_tape__op_address(peer);
    shoal_link link = world->link_open(world->context, peer);
    op.answer = link;
    write_op(context, op);
    return link;
}

static void link_send(void *context, shoal_link link, shoal_slice bytes)
{
    const shoal_host *world = world_of(context);
    const tape_door *door = context;
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    if (door->watched && door->tape->on)
        write_op(door, shoal_tape__op_bytes(TAPE_OP_LINK_SEND, link, bytes.size, bytes));
    world->link_send(world->context, link, bytes);
}

static size_t link_queued(void *context, shoal_link link)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(link != 0);
    size_t size = world->link_queued(world->context, link);
    write_op(context, (tape_op){.kind = TAPE_OP_LINK_QUEUED, .a = link, .answer = size});
    return size;
}

/* The cluster pauses no link: there is nothing to record. */
static void link_pause(void *context, shoal_link link, bool paused)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(link != 0 && !((const tape_door *)context)->watched);
    world->link_pause(world->context, link, paused);
}

static void link_close(void *context, shoal_link link)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(link != 0);
    write_plain(context, TAPE_OP_LINK_CLOSE, link, 0);
    world->link_close(world->context, link);
}

static void file_name(void *context, shoal_file file, shoal_slice path)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(file > 0 && file < SHOAL_FILE_LIMIT);
    write_op(context, shoal_tape__op_bytes(TAPE_OP_FILE_NAME, file, 0, path));
    world->file_name(world->context, file, path);
}

static void file_append(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    const shoal_host *world = world_of(context);
    const tape_door *door = context;
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    if (door->watched && door->tape->on)
        write_op(door, shoal_tape__op_bytes(TAPE_OP_FILE_APPEND, file, tag, bytes));
    world->file_append(world->context, file, bytes, tag);
}

static void file_sync(void *context, shoal_file file, uint64_t tag)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(file > 0 && file < SHOAL_FILE_LIMIT);
    write_plain(context, TAPE_OP_FILE_SYNC, file, tag);
    world->file_sync(world->context, file, tag);
}

static void file_read(void *context, shoal_file file, uint64_t tag)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(file > 0 && file < SHOAL_FILE_LIMIT);
    write_plain(context, TAPE_OP_FILE_READ, file, tag);
    world->file_read(world->context, file, tag);
}

static void file_read_part(void *context, shoal_file file, uint64_t offset, size_t size,
                           uint64_t tag)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(file > 0 && size > 0);
    write_plain(context, TAPE_OP_FILE_READ_PART, file, tag);
    world->file_read_part(world->context, file, offset, size, tag);
}

static void file_truncate(void *context, shoal_file file, uint64_t size, uint64_t tag)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(file > 0 && file < SHOAL_FILE_LIMIT);
    write_plain(context, TAPE_OP_FILE_TRUNCATE, file, tag);
    world->file_truncate(world->context, file, size, tag);
}

static void file_rename(void *context, shoal_file from, shoal_file to, uint64_t tag)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(from > 0 && to > 0);
    write_plain(context, TAPE_OP_FILE_RENAME, (uint64_t)from | (uint64_t)to << 8, tag);
    world->file_rename(world->context, from, to, tag);
}

static void file_remove(void *context, shoal_file file, uint64_t tag)
{
    const shoal_host *world = world_of(context);
    SHOAL_DEBUG_ASSERT(file > 0 && file < SHOAL_FILE_LIMIT);
    write_plain(context, TAPE_OP_FILE_REMOVE, file, tag);
    world->file_remove(world->context, file, tag);
}

static void trace(void *context, const shoal_trace_record *record)
{
    const shoal_host *world = world_of(context);
    const tape_door *door = context;
    SHOAL_DEBUG_ASSERT(record != NULL);
    if (!door->watched)
        shoal_tape_note(door->tape, record);
    else if (door->tape->on)
        write_op(door, shoal_tape__op_trace(record));
    world->trace(world->context, record);
}

static int64_t clock_ns(void *context)
{
    const shoal_host *world = world_of(context);
    /* It decides nothing, and is not recorded. */
    SHOAL_DEBUG_ASSERT(world->clock_ns != NULL);
    return world->clock_ns(world->context);
}

static shoal_host make(tape_door *door)
{
    const shoal_host *world = world_of(door);
    SHOAL_ASSERT(world->nudge != NULL && world->trace != NULL);
    return (shoal_host){.context = door,
                        .nudge = nudge,
                        .link_open = link_open,
                        .link_send = link_send,
                        .link_queued = world->link_queued != NULL ? link_queued : NULL,
                        .link_pause = world->link_pause != NULL ? link_pause : NULL,
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
                        .clock_ns = world->clock_ns != NULL ? clock_ns : NULL};
}

void shoal_tape__doors(shoal_tape *tape)
{
    SHOAL_ASSERT(tape->world != NULL);
    tape->watched_door = (tape_door){.tape = tape, .watched = true};
    tape->noting_door = (tape_door){.tape = tape, .watched = false};
    tape->watched = make(&tape->watched_door);
    tape->noting = make(&tape->noting_door);
}

const shoal_host *shoal_tape_watched(const shoal_tape *tape, const shoal_host *host)
{
    SHOAL_ASSERT(tape == NULL || host == tape->world);
    return tape != NULL ? &tape->watched : host;
}

const shoal_host *shoal_tape_noting(const shoal_tape *tape, const shoal_host *host)
{
    SHOAL_ASSERT(tape == NULL || host == tape->world);
    return tape != NULL ? &tape->noting : host;
}
