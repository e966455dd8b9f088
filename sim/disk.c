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
} costs[] = {[SHOAL_FILE_APPEND] = {15, 10}, [SHOAL_FILE_SYNC] = {400, 300},
             [SHOAL_FILE_READ] = {80, 40},   [SHOAL_FILE_RENAME] = {150, 100},
             [SHOAL_FILE_REMOVE] = {40, 20}, [SHOAL_FILE_TRUNCATE] = {40, 20}};

/* What a disk writes at once. */
#define SECTOR_BYTES 512u

/* ---- positions ---- */

static uint32_t count_files(const shoal_disk *disk)
{
    return SHOAL_FILE_COUNT + disk->named_count;
}

static shoal_disk_file *file_at(shoal_disk *disk, uint32_t position)
{
    SHOAL_ASSERT(position < count_files(disk));
    if (position < SHOAL_FILE_COUNT) return &disk->files[position];
    return &disk->named[position - SHOAL_FILE_COUNT];
}

static uint32_t position_of(const shoal_disk *disk, shoal_file file)
{
    SHOAL_ASSERT(file > 0 && file < SHOAL_FILE_LIMIT);
    if (file >= SHOAL_FILE_NAMED) return disk->bound[file - SHOAL_FILE_NAMED];
    SHOAL_ASSERT(file < SHOAL_FILE_COUNT);
    return (uint32_t)file;
}

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
    for (uint32_t i = 0; i < count_files(disk); i++) {
        shoal_disk_file *file = file_at(disk, i);
        drop_ops(file);
        shoal_sim__free(file->data);
        shoal_sim__free(file->name);
    }
    shoal_sim__free(disk->named);
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
static bool must_wait(shoal_disk *disk, uint32_t position, const shoal_disk_op *op)
{
    if (op->op == SHOAL_FILE_RENAME) {
        const shoal_disk_op *first = file_at(disk, op->to)->head;
        if (first && first->serial < op->serial) return true;
    }
    for (uint32_t i = 0; i < count_files(disk); i++) {
        const shoal_disk_op *other = file_at(disk, i)->head;
        for (; other && other->serial < op->serial; other = other->next) {
            if (other->op == SHOAL_FILE_RENAME && other->to == position && i != position) {
                return true;
            }
        }
    }
    return false;
}

/* Starts the first operation of each file that may start now. */
static void start_heads(shoal_world *world, uint32_t node)
{
    shoal_disk *disk = &world->nodes[node].disk;
    uint32_t reference = shoal_vnode__reference(world, node);
    for (uint32_t i = 0; i < count_files(disk); i++) {
        const shoal_disk_file *file = file_at(disk, i);
        shoal_disk_op *op = file->head;
        if (op == NULL || op->started || must_wait(disk, i, op)) continue;
        op->started = true;
        if (op->op == SHOAL_FILE_SYNC) op->offset = file->size;
        shoal_world__arrange(world, world->now_us + op_latency(disk, op->op), SHOAL_OCCURRENCE_DISK,
                             reference, (uint64_t)i);
    }
}

/* A point has been reached. True: here, or before, the disk has stopped. */
static bool reach(shoal_disk *disk)
{
    if (!disk->stopped) disk->stopped = ++disk->points == disk->stop_at;
    return disk->stopped;
}

/* Appends to a healthy disk; it may stop before, in the middle, or behind. */
static void append_in_halves(shoal_disk *disk, shoal_disk_file *file, shoal_slice bytes)
{
    size_t half = bytes.size / 2;
    if (half > 0) {
        append(file, (shoal_slice){bytes.data, half});
        if (reach(disk)) return;
        bytes = (shoal_slice){bytes.data + half, bytes.size - half};
    }
    append(file, bytes);
}

static shoal_err append_now(shoal_disk *disk, shoal_disk_file *file, shoal_slice bytes)
{
    bool healthy = disk->mode != SHOAL_DISK_FULL && disk->mode != SHOAL_DISK_FAILING;
    if (!healthy && file->name) {
        /* A part of it may have got there. */
        bytes.size = (size_t)shoal_prng_below(&disk->fate, bytes.size + 1);
        append(file, bytes);
    }
    if (!healthy) return disk->mode == SHOAL_DISK_FULL ? SHOAL_ERR_NO_SPACE : SHOAL_ERR_IO;
    append_in_halves(disk, file, bytes);
    return SHOAL_ERR_OK;
}

/* The same, unless it would leave a gap in a named file. */
static shoal_err append_behind(shoal_disk *disk, shoal_disk_file *file, shoal_slice bytes,
                               uint64_t tag)
{
    if (tag == 0 && file->torn != SHOAL_ERR_OK) return file->torn;
    shoal_err error = append_now(disk, file, bytes);
    if (error != SHOAL_ERR_OK && file->name) file->torn = error;
    return error;
}

/* Appends at once what nobody wants to be told of. False when it has to wait; `failed` is what must
 * be told nevertheless. */
static bool append_directly(shoal_world *world, uint32_t node, const shoal_disk_request *request,
                            shoal_err *failed)
{
    shoal_disk *disk = &world->nodes[node].disk;
    uint32_t position = position_of(disk, request->file);
    if (request->op != SHOAL_FILE_APPEND || request->tag != 0) return false;
    if (position < SHOAL_FILE_COUNT) return false;
    shoal_disk_file *file = file_at(disk, position);
    for (const shoal_disk_op *op = file->head; op; op = op->next) {
        if (op->op != SHOAL_FILE_SYNC) return false;
    }
    if (reach(disk)) return true;
    *failed = append_behind(disk, file, request->bytes, request->tag);
    if (reach(disk)) *failed = SHOAL_ERR_OK;
    shoal_world__trace(world, node, SHOAL_TRACE_DISK,
                       (shoal_numbers){(uint64_t)request->file, SHOAL_FILE_APPEND,
                                       request->bytes.size});
    return true;
}

static void enqueue(shoal_disk *disk, uint32_t position, shoal_disk_op *op)
{
    shoal_disk_file *file = file_at(disk, position);
    op->serial = disk->submitted++;
    if (file->tail)
        file->tail->next = op;
    else
        file->head = op;
    file->tail = op;
}

void shoal_disk__submit(shoal_world *world, uint32_t node, const shoal_disk_request *request)
{
    shoal_disk *disk = &world->nodes[node].disk;
    shoal_err failed = SHOAL_ERR_OK;
    if (disk->stopped) return;
    bool done = append_directly(world, node, request, &failed);
    if (done && failed == SHOAL_ERR_OK) return;
    size_t size = done ? 0 : request->bytes.size;
    shoal_disk_op *op = shoal_sim__allocate(sizeof(*op) + size);
    *op = (shoal_disk_op){.op = request->op,
                          .file = request->file,
                          .to = request->to == 0 ? 0 : position_of(disk, request->to),
                          .failed = failed,
                          .tag = request->tag,
                          .part = request->part,
                          .offset = request->offset,
                          .wanted = request->size,
                          .size = size};
    if (size > 0) memcpy(op->bytes, request->bytes.data, size);
    enqueue(disk, position_of(disk, request->file), op);
    start_heads(world, node);
}

static void rename_file(shoal_disk *disk, shoal_disk_file *from, uint32_t to)
{
    shoal_disk_file *target = file_at(disk, to);
    shoal_sim__free(target->data);
    target->data = from->data;
    target->size = from->size;
    target->capacity = from->capacity;
    target->synced = from->synced;
    target->hole_from = from->hole_from;
    target->hole_end = from->hole_end;
    target->exists = true;
    target->durable = true;
    target->torn = from->torn = SHOAL_ERR_OK;
    from->data = NULL;
    from->size = from->capacity = from->synced = from->hole_from = from->hole_end = 0;
    from->exists = from->durable = false;
}

static shoal_err truncate_file(shoal_disk_file *file, uint64_t size)
{
    if (!file->exists) return SHOAL_ERR_NOT_FOUND;
    if (size > file->size) return SHOAL_ERR_INVALID;
    file->size = (size_t)size;
    file->torn = SHOAL_ERR_OK;
    if (file->synced > file->size) file->synced = file->size;
    if (file->hole_end > file->size) file->hole_end = file->size;
    if (file->hole_from > file->hole_end) file->hole_from = file->hole_end;
    return SHOAL_ERR_OK;
}

static shoal_err sync_file(shoal_disk *disk, shoal_disk_file *file, const shoal_disk_op *op)
{
    if (disk->mode == SHOAL_DISK_FAILING) {
        /* The system takes these pages for clean from now on: no later sync writes them. */
        if (file->hole_from == file->hole_end) file->hole_from = file->synced;
        file->hole_end = file->size;
        return SHOAL_ERR_IO;
    }
    if (disk->mode == SHOAL_DISK_LYING) {
        disk->lied = true;
        return SHOAL_ERR_OK;
    }
    /* What was appended since it started may have got through, but nobody may build on it. */
    size_t covered = op->offset < file->size ? (size_t)op->offset : file->size;
    if (covered > file->synced) file->synced = covered;
    file->durable = file->exists;
    return SHOAL_ERR_OK;
}

/* Carries an operation out; what FILE_DONE says. */
static shoal_err apply(shoal_disk *disk, uint32_t position, const shoal_disk_op *op)
{
    shoal_disk_file *file = file_at(disk, position);
    if (position == 0) return SHOAL_ERR_INVALID;
    if (op->failed != SHOAL_ERR_OK) return op->failed;
    switch (op->op) {
    case SHOAL_FILE_APPEND:
        return append_behind(disk, file, (shoal_slice){op->bytes, op->size}, op->tag);
    case SHOAL_FILE_SYNC: return sync_file(disk, file, op);
    case SHOAL_FILE_READ:
        if (disk->mode == SHOAL_DISK_UNREADABLE) return SHOAL_ERR_IO;
        return file->exists ? SHOAL_ERR_OK : SHOAL_ERR_NOT_FOUND;
    case SHOAL_FILE_TRUNCATE: return truncate_file(file, op->offset);
    case SHOAL_FILE_RENAME:
        if (op->to == 0) return SHOAL_ERR_INVALID;
        if (!file->exists) return SHOAL_ERR_NOT_FOUND;
        rename_file(disk, file, op->to);
        return SHOAL_ERR_OK;
    case SHOAL_FILE_REMOVE:
        file->exists = file->durable = false;
        file->torn = SHOAL_ERR_OK;
        file->size = file->synced = file->hole_from = file->hole_end = 0;
        return SHOAL_ERR_OK;
    }
    return SHOAL_ERR_INVALID;
}

/* What a read found, copied: the step that is told of it may append to the file. */
static shoal_slice read_file(const shoal_disk_file *file, const shoal_disk_op *op)
{
    size_t from = op->part ? (size_t)op->offset : 0;
    if (from > file->size) from = file->size;
    size_t size = file->size - from;
    if (op->part && size > op->wanted) size = op->wanted;
    char *copy = shoal_sim__allocate(size + 1);
    if (size > 0) memcpy(copy, file->data + from, size);
    return (shoal_slice){copy, size};
}

void shoal_disk__occur(shoal_world *world, const shoal_occurrence *occurrence)
{
    uint32_t node = shoal_vnode__referred(occurrence->subject);
    uint32_t position = (uint32_t)occurrence->detail;
    shoal_disk *disk = &world->nodes[node].disk;
    shoal_disk_file *file = file_at(disk, position);
    shoal_disk_op *op = file->head;
    SHOAL_ASSERT(op != NULL);
    bool changes = op->op != SHOAL_FILE_READ;
    if (disk->stopped || (changes && reach(disk))) return;
    shoal_err error = apply(disk, position, op);
    file->head = op->next;
    if (file->head == NULL) file->tail = NULL;
    if (disk->stopped || (changes && reach(disk))) {
        shoal_sim__free(op);
        return;
    }
    start_heads(world, node);
    bool durable = op->op == SHOAL_FILE_SYNC || op->op == SHOAL_FILE_RENAME;
    if (durable && position >= SHOAL_FILE_COUNT) shoal_logbook__synced(world, node);
    shoal_event event = {.kind = SHOAL_EVENT_FILE_DONE,
                         .error = error,
                         .file = op->file,
                         .op = op->op,
                         .tag = op->tag};
    if (op->op == SHOAL_FILE_READ && error == SHOAL_ERR_OK) {
        event.data = read_file(file, op);
        event.file_size = file->size;
    }
    size_t size = op->op == SHOAL_FILE_APPEND ? op->size : event.data.size;
    shoal_world__trace(world, node, SHOAL_TRACE_DISK,
                       (shoal_numbers){(uint64_t)op->file, (uint64_t)op->op, size});
    char *content = (char *)(uintptr_t)event.data.data;
    bool told = op->op != SHOAL_FILE_APPEND || op->file < SHOAL_FILE_NAMED || op->tag != 0 ||
                error != SHOAL_ERR_OK;
    shoal_sim__free(op);
    if (told) shoal_vnode__step(world, node, &event);
    if (told && event.op == SHOAL_FILE_READ) shoal_copies__loaded(world, node);
    shoal_sim__free(content);
}

/* ---- names ---- */

/* May a number be bound to it? What shoal/host.h says of paths. */
static bool may_name(shoal_slice path)
{
    if (path.size == 0 || path.size > SHOAL_FILE_PATH_MAX) return false;
    size_t from = 0;
    for (size_t i = 0; i <= path.size; i++) {
        if (i < path.size && path.data[i] == '\0') return false;
        if (i < path.size && path.data[i] != '/') continue;
        if (i == from) return false;
        if (i - from == 2 && memcmp(path.data + from, "..", 2) == 0) return false;
        from = i + 1;
    }
    return true;
}

static uint32_t find_name(const shoal_disk *disk, shoal_slice path)
{
    for (uint32_t i = 0; i < disk->named_count; i++) {
        const char *name = disk->named[i].name;
        if (strlen(name) == path.size && memcmp(name, path.data, path.size) == 0) {
            return SHOAL_FILE_COUNT + i;
        }
    }
    return 0;
}

/* A place for a new name: one whose file is gone and that no number is bound to, or another. */
static uint32_t find_place(shoal_disk *disk)
{
    for (uint32_t i = 0; i < disk->named_count; i++) {
        bool used = disk->named[i].exists || disk->named[i].head != NULL;
        for (uint32_t j = 0; j < SHOAL_FILE_LIMIT - SHOAL_FILE_NAMED && !used; j++) {
            used = disk->bound[j] == SHOAL_FILE_COUNT + i;
        }
        if (used) continue;
        shoal_sim__free(disk->named[i].name);
        disk->named[i].name = NULL;
        return SHOAL_FILE_COUNT + i;
    }
    if (disk->named_count == disk->named_capacity) {
        disk->named_capacity = disk->named_capacity ? 2 * disk->named_capacity : 8;
        size_t size = disk->named_capacity * sizeof(*disk->named);
        shoal_disk_file *grown = shoal_sim__allocate(size);
        memset(grown, 0, size);
        if (disk->named_count > 0) {
            memcpy(grown, disk->named, disk->named_count * sizeof(*grown));
        }
        shoal_sim__free(disk->named);
        disk->named = grown;
    }
    return SHOAL_FILE_COUNT + disk->named_count++;
}

void shoal_disk__name(shoal_disk *disk, shoal_file file, shoal_slice path)
{
    SHOAL_ASSERT(file >= SHOAL_FILE_NAMED && file < SHOAL_FILE_LIMIT);
    uint16_t *bound = &disk->bound[file - SHOAL_FILE_NAMED];
    *bound = 0;
    if (!may_name(path)) return;
    uint32_t position = find_name(disk, path);
    if (position == 0) {
        position = find_place(disk);
        char *name = shoal_sim__allocate(path.size + 1);
        memcpy(name, path.data, path.size);
        name[path.size] = '\0';
        file_at(disk, position)->name = name;
    }
    file_at(disk, position)->torn = SHOAL_ERR_OK;
    *bound = (uint16_t)position;
}

const shoal_disk_file *shoal_disk__look(const shoal_disk *disk, const char *path)
{
    uint32_t position = find_name(disk, (shoal_slice){path, strlen(path)});
    return position == 0 ? NULL : &disk->named[position - SHOAL_FILE_COUNT];
}

/* ---- crashes ---- */

/* What was on its way when the power went: a rename may have happened, an append in part. */
static void tear_head(shoal_disk *disk, shoal_disk_file *file)
{
    shoal_disk_op *op = file->head;
    if (op == NULL) return;
    uint64_t draw = shoal_prng_next(&disk->fate);
    bool may_rename = op->op == SHOAL_FILE_RENAME && file->exists && op->to != 0;
    if (may_rename && (draw & 1)) rename_file(disk, file, op->to);
    if (op->op == SHOAL_FILE_APPEND) {
        append(file, (shoal_slice){op->bytes, (size_t)(draw % (op->size + 1))});
    }
}

/* Sectors behind what was synced that never reached the disk read as zeros, each by itself. */
static void scatter(shoal_disk *disk, shoal_disk_file *file)
{
    for (size_t at = file->synced; at < file->size;) {
        size_t next = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        size_t end = next < file->size ? next : file->size;
        if (shoal_prng_chance_ppm(&disk->fate, 500000)) {
            memset(file->data + at, 0, end - at);
            disk->damaged = true;
        }
        at = end;
    }
}

static void lose(shoal_disk *disk, shoal_disk_file *file, shoal_disk_fate fate)
{
    size_t unsynced = file->size - file->synced;
    size_t kept = 0;
    if (fate == SHOAL_DISK_TORN || fate == SHOAL_DISK_SCATTERED) {
        kept = (size_t)shoal_prng_below(&disk->fate, unsynced + 1);
    }
    if (fate == SHOAL_DISK_REORDERED && shoal_prng_chance_ppm(&disk->fate, 500000)) kept = unsynced;
    file->size = file->synced + kept;
    if (file->hole_from < file->hole_end) disk->damaged = true;
    for (size_t i = file->hole_from; i < file->hole_end && i < file->size; i++) file->data[i] = 0;
    file->hole_from = file->hole_end = 0;
    if (fate == SHOAL_DISK_SCATTERED) scatter(disk, file);
    if (!file->durable && file->size == 0) file->exists = false;
}

void shoal_disk__crash(shoal_disk *disk, shoal_disk_fate fate)
{
    memset(disk->bound, 0, sizeof(disk->bound));
    disk->stopped = false;
    if (disk->lied && fate != SHOAL_DISK_KEPT) disk->damaged = true;
    for (uint32_t i = 0; i < count_files(disk); i++) {
        shoal_disk_file *file = file_at(disk, i);
        if (i == 0) {
            drop_ops(file);
            continue;
        }
        if (fate == SHOAL_DISK_TORN || fate == SHOAL_DISK_SCATTERED) tear_head(disk, file);
        drop_ops(file);
        if (fate != SHOAL_DISK_KEPT && file->exists) lose(disk, file, fate);
    }
}

void shoal_disk__wipe(shoal_disk *disk)
{
    for (uint32_t i = 1; i < count_files(disk); i++) {
        shoal_disk_file *file = file_at(disk, i);
        if (i == SHOAL_FILE_CONFIG) continue;
        SHOAL_ASSERT(file->head == NULL);
        file->exists = file->durable = false;
        file->size = file->synced = file->hole_from = file->hole_end = 0;
    }
    disk->damaged = disk->lied = false;
}
