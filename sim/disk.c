/* SPDX-License-Identifier: MIT
 *
 * Virtual disks.
 */
#include "sim/disk.h"

#include <string.h>

#include "base/assert.h"
#include "sim/internal.h"
#include "sim/random.h"

/* What operations take at least, and the mean of what comes on top: a decent SSD. Chosen. */
static const struct {
    int64_t least_us;
    int64_t more_us;
} costs[] = {[SHOAL_FILE_APPEND] = {15, 10},
             [SHOAL_FILE_SYNC] = {400, 300},
             [SHOAL_FILE_READ] = {80, 40},
             [SHOAL_FILE_RENAME] = {150, 100},
             [SHOAL_FILE_REMOVE] = {40, 20}};

void shoal_disk__make(shoal_disk *disk, const uint64_t seed[2], uint32_t node)
{
    *disk = (shoal_disk){.latency = shoal_prng_make(seed, node, SHOAL_PURPOSE_DISK),
                         .fate = shoal_prng_make(seed, node, SHOAL_PURPOSE_TORN)};
}

static void drop_ops(shoal_disk_file *file)
{
    while (file->head) {
        shoal_disk_op *op = file->head;
        file->head = op->next;
        shoal_sim__free(op);
    }
    file->tail = NULL;
}

void shoal_disk__free(shoal_disk *disk)
{
    for (int i = 0; i < SHOAL_FILE_COUNT; i++) {
        drop_ops(&disk->files[i]);
        shoal_sim__free(disk->files[i].data);
    }
}

static void append(shoal_disk_file *file, shoal_slice bytes)
{
    if (file->size + bytes.size > file->capacity) {
        size_t capacity = file->capacity ? file->capacity : 1024;
        while (capacity < file->size + bytes.size) capacity *= 2;
        char *grown = shoal_sim__allocate(capacity);
        if (file->size > 0) memcpy(grown, file->data, file->size);
        shoal_sim__free(file->data);
        file->data = grown;
        file->capacity = capacity;
    }
    if (bytes.size > 0) memcpy(file->data + file->size, bytes.data, bytes.size);
    file->size += bytes.size;
    file->exists = true;
}

void shoal_disk__write(shoal_disk *disk, shoal_file file, shoal_slice content)
{
    disk->files[file].size = 0;
    append(&disk->files[file], content);
    disk->files[file].synced = content.size;
    disk->files[file].durable = true;
}

/* ---- operations ---- */

static int64_t op_latency(shoal_disk *disk, shoal_file_op op)
{
    int64_t more = shoal_random__jitter(SHOAL_SHAPE_EXPONENTIAL, costs[op].more_us,
                                        shoal_prng_next(&disk->latency));
    return costs[op].least_us + more + (disk->mode == SHOAL_DISK_SLOW ? disk->slow_us : 0);
}

/* Must `op`, the first of its file, wait for an operation of another file? A rename waits for what
 * was asked of its target before, and everything waits for a rename to its file. */
static bool must_wait(const shoal_disk *disk, shoal_file file, const shoal_disk_op *op)
{
    if (op->op == SHOAL_FILE_RENAME) {
        const shoal_disk_op *first = disk->files[op->to].head;
        if (first && first->serial < op->serial) return true;
    }
    for (int i = 1; i < SHOAL_FILE_COUNT; i++) {
        const shoal_disk_op *other = disk->files[i].head;
        for (; other && other->serial < op->serial; other = other->next) {
            if (other->op == SHOAL_FILE_RENAME && other->to == file && i != (int)file) return true;
        }
    }
    return false;
}

/* Starts the first operation of each file that may start now. */
static void start_heads(shoal_world *world, uint32_t node)
{
    shoal_disk *disk = &world->nodes[node].disk;
    uint32_t reference = shoal_vnode__reference(world, node);
    for (int i = 1; i < SHOAL_FILE_COUNT; i++) {
        shoal_disk_op *op = disk->files[i].head;
        if (op == NULL || op->started || must_wait(disk, (shoal_file)i, op)) continue;
        op->started = true;
        shoal_world__arrange(world, world->now_us + op_latency(disk, op->op), SHOAL_OCCURRENCE_DISK,
                             reference, (uint64_t)i);
    }
}

void shoal_disk__submit(shoal_world *world, uint32_t node, const shoal_disk_request *request)
{
    shoal_disk *disk = &world->nodes[node].disk;
    shoal_disk_file *file = &disk->files[request->file];
    SHOAL_ASSERT(request->file > 0 && request->file < SHOAL_FILE_COUNT);
    shoal_disk_op *op = shoal_sim__allocate(sizeof(*op) + request->bytes.size);
    *op = (shoal_disk_op){.op = request->op,
                          .to = request->to,
                          .tag = request->tag,
                          .size = request->bytes.size};
    if (op->size > 0) memcpy(op->bytes, request->bytes.data, op->size);
    op->serial = disk->submitted++;
    if (file->tail)
        file->tail->next = op;
    else
        file->head = op;
    file->tail = op;
    start_heads(world, node);
}

static void rename_file(shoal_disk *disk, shoal_disk_file *from, shoal_file to)
{
    shoal_disk_file *target = &disk->files[to];
    shoal_sim__free(target->data);
    target->data = from->data;
    target->size = from->size;
    target->capacity = from->capacity;
    target->synced = from->synced;
    target->exists = true;
    target->durable = true;
    from->data = NULL;
    from->size = from->capacity = from->synced = 0;
    from->exists = from->durable = false;
}

/* Carries an operation out; what FILE_DONE says. */
static shoal_err apply(shoal_disk *disk, shoal_disk_file *file, const shoal_disk_op *op)
{
    switch (op->op) {
    case SHOAL_FILE_APPEND:
        if (disk->mode == SHOAL_DISK_FULL) return SHOAL_ERR_NO_SPACE;
        if (disk->mode == SHOAL_DISK_FAILING) return SHOAL_ERR_IO;
        append(file, (shoal_slice){op->bytes, op->size});
        return SHOAL_ERR_OK;
    case SHOAL_FILE_SYNC:
        if (disk->mode == SHOAL_DISK_FAILING) return SHOAL_ERR_IO;
        file->synced = file->size;
        file->durable = file->exists;
        return SHOAL_ERR_OK;
    case SHOAL_FILE_READ: return file->exists ? SHOAL_ERR_OK : SHOAL_ERR_NOT_FOUND;
    case SHOAL_FILE_RENAME:
        if (!file->exists) return SHOAL_ERR_NOT_FOUND;
        rename_file(disk, file, op->to);
        return SHOAL_ERR_OK;
    case SHOAL_FILE_REMOVE:
        file->exists = file->durable = false;
        file->size = file->synced = 0;
        return SHOAL_ERR_OK;
    }
    return SHOAL_ERR_INVALID;
}

void shoal_disk__occur(shoal_world *world, const shoal_occurrence *occurrence)
{
    uint32_t node = shoal_vnode__referred(occurrence->subject);
    shoal_file which = (shoal_file)occurrence->detail;
    shoal_disk *disk = &world->nodes[node].disk;
    shoal_disk_file *file = &disk->files[which];
    shoal_disk_op *op = file->head;
    SHOAL_ASSERT(op != NULL);
    shoal_err error = apply(disk, file, op);
    file->head = op->next;
    if (file->head == NULL) file->tail = NULL;
    start_heads(world, node);
    shoal_event event = {
        .kind = SHOAL_EVENT_FILE_DONE, .error = error, .file = which, .op = op->op, .tag = op->tag};
    if (op->op == SHOAL_FILE_READ && error == SHOAL_ERR_OK) {
        event.data = (shoal_slice){file->data, file->size};
    }
    size_t size = op->op == SHOAL_FILE_APPEND ? op->size : event.data.size;
    shoal_world__trace(world, node, SHOAL_TRACE_DISK,
                       (shoal_numbers){(uint64_t)which, (uint64_t)op->op, size});
    shoal_sim__free(op);
    shoal_vnode__step(world, node, &event);
}

/* ---- crashes ---- */

/* What was on its way when the power went: a rename may have happened, an append in part. */
static void tear_head(shoal_disk *disk, shoal_disk_file *file)
{
    shoal_disk_op *op = file->head;
    if (op == NULL) return;
    uint64_t draw = shoal_prng_next(&disk->fate);
    if (op->op == SHOAL_FILE_RENAME && file->exists && (draw & 1)) rename_file(disk, file, op->to);
    if (op->op == SHOAL_FILE_APPEND) {
        append(file, (shoal_slice){op->bytes, (size_t)(draw % (op->size + 1))});
    }
}

static void lose(shoal_disk *disk, shoal_disk_file *file, shoal_disk_fate fate)
{
    size_t unsynced = file->size - file->synced;
    size_t kept = 0;
    if (fate == SHOAL_DISK_TORN) {
        kept = (size_t)shoal_prng_below(&disk->fate, unsynced + 1);
    }
    file->size = file->synced + kept;
    if (!file->durable && file->size == 0) file->exists = false;
}

void shoal_disk__crash(shoal_disk *disk, shoal_disk_fate fate)
{
    for (int i = 1; i < SHOAL_FILE_COUNT; i++) {
        shoal_disk_file *file = &disk->files[i];
        if (fate == SHOAL_DISK_TORN) tear_head(disk, file);
        drop_ops(file);
        if (fate != SHOAL_DISK_KEPT && file->exists) lose(disk, file, fate);
    }
}
