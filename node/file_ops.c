/* SPDX-License-Identifier: MIT
 *
 * node/file_ops.h: a name becomes durable with a sync of its directory, which a sync of a new file
 * and each rename bring along.
 */
#include "file_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"

/* What an errno means at the door. */
static shoal_err error_of(int number)
{
    if (number == ENOENT) return SHOAL_ERR_NOT_FOUND;
    if (number == ENOSPC || number == EDQUOT) return SHOAL_ERR_NO_SPACE;
    if (number == ENOMEM) return SHOAL_ERR_NO_MEMORY;
    return SHOAL_ERR_IO;
}

/* ---- names ---- */

bool shoal_file_op__may_name(shoal_slice path)
{
    if (path.size == 0 || path.size > SHOAL_FILE_PATH_MAX) return false;
    if (memchr(path.data, 0, path.size)) return false;
    size_t from = 0;
    for (size_t i = 0; i <= path.size; i++) {
        if (i < path.size && path.data[i] != '/') continue;
        if (i == from) return false;
        if (i - from == 2 && path.data[from] == '.' && path.data[from + 1] == '.') return false;
        from = i + 1;
    }
    return true;
}

/* The directory that `name` is in, as a string in `copy`. */
static const char *directory_of(const char *name, char copy[4096])
{
    if (snprintf(copy, 4096, "%s", name) >= 4096) return NULL;
    return dirname(copy);
}

/* Makes the names in `directory` durable. */
static shoal_err sync_directory(const char *directory)
{
    if (directory == NULL) return SHOAL_ERR_IO;
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return error_of(errno);
    shoal_err error = fsync(descriptor) == 0 ? SHOAL_ERR_OK : error_of(errno);
    close(descriptor);
    return error;
}

/* Makes the folders on the way to `name`. True when the last one is new. */
static bool make_folders(const char *name)
{
    char path[4096];
    bool made = false;
    if (snprintf(path, sizeof path, "%s", name) >= (int)sizeof path) return false;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        made = mkdir(path, 0755) == 0;
        *slash = '/';
    }
    return made;
}

/* ---- room ---- */

/* A file that goes on growing is given blocks ahead of its bytes, beyond its end. Else each write
 * has to reserve some, and waits while a sync allocates those of all bytes since the one before:
 * both are under one lock of the file. Its size says nothing of the room, so that readers and a
 * loss of power see what they saw without. */

/* Smaller files get none: there may be many. Chosen, as what follows. */
#define ROOM_FROM ((uint64_t)16 << 20)
/* The least and the most that is asked for. */
#define ROOM_LEAST ((uint64_t)16 << 20)
#define ROOM_MOST ((uint64_t)512 << 20)
/* Never more than this part of what is free. */
#define ROOM_PART 16u

/* True when the disk can spare so much. */
static bool has_spare(int descriptor, uint64_t wanted)
{
    struct statvfs disk;
    SHOAL_ASSERT(wanted <= ROOM_MOST);
    if (fstatvfs(descriptor, &disk) != 0) return false;
    return wanted <= (uint64_t)disk.f_bavail * disk.f_frsize / ROOM_PART;
}

/* After a sync: room for twice what has come since the one before. A disk that has none, or a file
 * system that knows no room, changes nothing. */
static void keep_room(shoal_file_role *role, int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) return;
    uint64_t size = (uint64_t)status.st_size;
    uint64_t wanted = size > role->synced ? 2 * (size - role->synced) : 0;
    if (wanted < ROOM_LEAST) wanted = ROOM_LEAST;
    if (wanted > ROOM_MOST) wanted = ROOM_MOST;
    role->synced = size;
    if (size < ROOM_FROM || role->room >= size + wanted / 2) return;
    uint64_t from = role->room > size ? role->room : size;
    SHOAL_ASSERT(from < size + wanted);
    if (!has_spare(descriptor, wanted)) return;
    off_t more = (off_t)(size + wanted - from);
    if (fallocate(descriptor, FALLOC_FL_KEEP_SIZE, (off_t)from, more) == 0)
        role->room = size + wanted;
}

void shoal_file_op__trim(shoal_file_role *role, int descriptor)
{
    struct stat status;
    SHOAL_ASSERT(descriptor >= 0);
    bool has = role->room > 0 && fstat(descriptor, &status) == 0;
    /* To the size that it has: only what lies beyond goes. */
    if (has && role->room > (uint64_t)status.st_size) (void)ftruncate(descriptor, status.st_size);
    role->room = role->synced = 0;
}

/* The room that a process left which did not end by itself. */
static void trim_left(int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return;
    uint64_t has = (uint64_t)status.st_blocks * 512, size = (uint64_t)status.st_size;
    if (has >= size + ROOM_LEAST / 2) (void)ftruncate(descriptor, status.st_size);
}

/* ---- writing back ---- */

/* What is written goes to the disk in pieces. When many bytes are on their way at once, the system
 * ends the writing of all of them in one go, a page after the other, in a thread of its own that it
 * does not interrupt, and a lane that was to wake up on that processor waits for as long. Chosen:
 * small enough for that to be short, and large enough for a call of the system to be nothing beside
 * it. */
#define PIECE ((uint64_t)1 << 20)

/* The end of the file, or what has been pushed where nobody knows it. */
static uint64_t end_of(const shoal_file_role *role, int descriptor)
{
    struct stat status;
    SHOAL_ASSERT(descriptor >= 0);
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return role->pushed;
    return (uint64_t)status.st_size;
}

/* Asks for one piece to be written. What fails is told by the next sync: only who waits takes the
 * error away from it. */
static void push_piece(shoal_file_role *role, int descriptor)
{
    (void)sync_file_range(descriptor, (off_t)role->pushed, (off_t)PIECE, SYNC_FILE_RANGE_WRITE);
    role->pushed += PIECE;
}

void shoal_file_op__push(shoal_file_role *role, int descriptor, size_t size)
{
    SHOAL_ASSERT(descriptor >= 0);
    role->waiting += size;
    if (role->waiting < PIECE) return;
    role->waiting = 0;
    uint64_t end = end_of(role, descriptor);
    while (role->pushed + PIECE <= end) push_piece(role, descriptor);
}

/* Waits for the piece before the last that was asked for. That takes an error away from the sync
 * that follows, so who waits has failed as if that had. A system that has no such call has no error
 * either. */
static shoal_err await_piece(const shoal_file_role *role, int descriptor)
{
    if (role->pushed < 2 * PIECE) return SHOAL_ERR_OK;
    off_t from = (off_t)(role->pushed - 2 * PIECE);
    if (sync_file_range(descriptor, from, (off_t)PIECE, SYNC_FILE_RANGE_WAIT_BEFORE) == 0)
        return SHOAL_ERR_OK;
    bool unknown = errno == ENOSYS || errno == EINVAL || errno == ESPIPE;
    return unknown ? SHOAL_ERR_OK : error_of(errno);
}

/* Before a sync: all pieces, two on their way at a time. */
static shoal_err push_all(shoal_file_role *role, int descriptor)
{
    uint64_t end = end_of(role, descriptor);
    role->waiting = 0;
    while (role->pushed + PIECE <= end) {
        push_piece(role, descriptor);
        shoal_err error = await_piece(role, descriptor);
        if (error != SHOAL_ERR_OK) return error;
    }
    SHOAL_DEBUG_ASSERT(end < role->pushed + PIECE);
    return SHOAL_ERR_OK;
}

/* ---- appending ---- */

static int open_once(const char *name)
{
    return open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

int shoal_file_op__open(shoal_file_role *role)
{
    SHOAL_ASSERT(role->name != NULL);
    if (role->descriptor >= 0) return role->descriptor;
    bool existed = access(role->name, F_OK) == 0;
    int descriptor = open_once(role->name);
    if (descriptor < 0 && errno == ENOENT) {
        role->fresh_above = make_folders(role->name) || role->fresh_above;
        descriptor = open_once(role->name);
    }
    if (descriptor < 0) return (int)error_of(errno);
    if (!existed) role->fresh = true;
    role->room = role->synced = role->pushed = role->waiting = 0;
    trim_left(descriptor);
    return descriptor;
}

shoal_err shoal_file_op__write(int descriptor, shoal_slice bytes)
{
    SHOAL_ASSERT(descriptor >= 0);
    for (size_t done = 0; done < bytes.size;) {
        ssize_t written = write(descriptor, bytes.data + done, bytes.size - done);
        if (written >= 0) {
            done += (size_t)written;
        } else if (errno != EINTR) {
            return error_of(errno);
        }
    }
    return SHOAL_ERR_OK;
}

shoal_err shoal_file_op__sync(shoal_file_role *role, int descriptor)
{
    char copy[4096];
    SHOAL_ASSERT(descriptor >= 0);
    shoal_err pushed = push_all(role, descriptor);
    if (pushed != SHOAL_ERR_OK) return pushed;
    if (fdatasync(descriptor) != 0) return error_of(errno);
    keep_room(role, descriptor);
    if (!role->fresh) return SHOAL_ERR_OK;
    const char *directory = directory_of(role->name, copy);
    shoal_err error = sync_directory(directory);
    if (error == SHOAL_ERR_OK && role->fresh_above) {
        error = sync_directory(dirname(copy));
        if (error == SHOAL_ERR_OK) role->fresh_above = false;
    }
    if (error == SHOAL_ERR_OK) role->fresh = false;
    return error;
}

/* ---- reading ---- */

/* Fills `reading` with up to `wanted` bytes. */
static shoal_err fill(int descriptor, shoal_file_reading *reading, size_t wanted)
{
    size_t had = 0;
    shoal_err error = SHOAL_ERR_OK;
    while (had < wanted) {
        uint64_t at = reading->offset + had;
        ssize_t got = pread(descriptor, reading->bytes + had, wanted - had, (off_t)at);
        if (got == 0) break;
        if (got > 0) {
            had += (size_t)got;
        } else if (errno != EINTR) {
            error = error_of(errno);
            break;
        }
    }
    reading->size = had;
    return error;
}

static shoal_err read_open(int descriptor, shoal_file_reading *reading)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) return error_of(errno);
    if (!S_ISREG(status.st_mode)) return SHOAL_ERR_IO;
    reading->file_size = (uint64_t)status.st_size;
    /* One more than there is, to see whether somebody else writes it. */
    size_t wanted = reading->whole ? (size_t)status.st_size + 1 : reading->size;
    if (reading->whole) reading->offset = 0;
    if (!reading->whole && reading->offset >= reading->file_size) wanted = 0;
    reading->bytes = malloc(wanted > 0 ? wanted : 1);
    if (reading->bytes == NULL) return SHOAL_ERR_NO_MEMORY;
    shoal_err error = fill(descriptor, reading, wanted);
    if (error != SHOAL_ERR_OK) return error;
    return reading->whole && reading->size == wanted ? SHOAL_ERR_IO : SHOAL_ERR_OK;
}

shoal_err shoal_file_op__read(const shoal_file_role *role, shoal_file_reading *reading)
{
    SHOAL_ASSERT(reading->bytes == NULL);
    int descriptor = open(role->name, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return error_of(errno);
    shoal_err error = read_open(descriptor, reading);
    close(descriptor);
    return error;
}

/* ---- names and sizes ---- */

shoal_err shoal_file_op__rename(const shoal_file_role *from, const shoal_file_role *to)
{
    char copy[4096];
    SHOAL_ASSERT(from->descriptor < 0);
    SHOAL_ASSERT(to->descriptor < 0);
    if (rename(from->name, to->name) != 0) return error_of(errno);
    return sync_directory(directory_of(to->name, copy));
}

/* Whether nobody else has the file open: a lease for writing is given to none but the only one. It
 * is given back at once; who opens the file meanwhile (through /proc) raises a signal, which is to
 * be one that does nothing. */
static bool is_alone(int descriptor)
{
    SHOAL_ASSERT(descriptor >= 0);
    if (fcntl(descriptor, F_SETSIG, SIGURG) != 0) return false;
    if (fcntl(descriptor, F_SETLEASE, F_WRLCK) != 0) return false;
    return fcntl(descriptor, F_SETLEASE, F_UNLCK) == 0;
}

/* The bytes of a file that is about to go, or 0: it has another name, or somebody else has it open
 * and may be copying it. */
static uint64_t bytes_to_go(int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return 0;
    if (status.st_nlink > 0 || (uint64_t)status.st_size <= PIECE) return 0;
    return is_alone(descriptor) ? (uint64_t)status.st_size : 0;
}

/* To give back a piece of a large file takes some hundred microseconds, all of it some hundred
 * times that; in between others may go first. */
void shoal_file_op__close(int descriptor)
{
    SHOAL_ASSERT(descriptor >= 0);
    uint64_t left = bytes_to_go(descriptor);
    while (left > PIECE) {
        left -= PIECE;
        if (ftruncate(descriptor, (off_t)left) != 0) break;
        (void)sched_yield();
    }
    close(descriptor);
}

shoal_err shoal_file_op__remove(const shoal_file_role *role)
{
    SHOAL_ASSERT(role->descriptor < 0);
    /* The name goes first: nobody finds half a file. */
    int descriptor = open(role->name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    bool gone = unlink(role->name) == 0 || errno == ENOENT || errno == ENOTDIR;
    shoal_err error = gone ? SHOAL_ERR_OK : error_of(errno);
    if (descriptor >= 0) shoal_file_op__close(descriptor);
    return error;
}

shoal_err shoal_file_op__truncate(shoal_file_role *role, uint64_t size)
{
    struct stat status;
    SHOAL_ASSERT(role->name != NULL);
    role->room = role->synced = 0;
    role->pushed = role->pushed < size ? role->pushed : size;
    if (stat(role->name, &status) != 0) return error_of(errno);
    if ((uint64_t)status.st_size < size) return SHOAL_ERR_INVALID;
    return truncate(role->name, (off_t)size) == 0 ? SHOAL_ERR_OK : error_of(errno);
}
