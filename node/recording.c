/* SPDX-License-Identifier: MIT
 *
 * node/recording.h: two blocks of memory. The control thread fills one, the writer empties the
 * other; when the writer is done with its own and there is something in the other, they change
 * places. A frame that finds no room ends the recording, because frames that follow a missing one
 * are worth nothing.
 */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <shoal/tape.h>

#include "base/assert.h"
#include "last_words.h"

/* Bytes of a block. Chosen: seconds of a busy node; untouched pages cost nothing. */
#define BLOCK_BYTES (8u << 20)
/* Room that is left for the last entry below the limit, and before that the least of a file. */
#define LAST_BYTES 4096u
/* Older files that are kept. */
#define OLDER_MAX 9
/* A process that dies waits this long for the writer. */
#define DYING_MS 2000

struct shoal_recording {
    const shoal_log *log;
    shoal_node *node;
    char path[PATH_MAX];
    uint64_t limit, given;
    int descriptor;
    const char *trouble; /* why it ends, or NULL; the control thread's */
    bool ended;
    bool running; /* there is a writer */
    pthread_t writer;
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t work;
    char *filling, *emptying;
    size_t filled; /* bytes of `filling` */
    size_t left;   /* bytes of `emptying` that are not written */
    int number;    /* errno of a write that failed */
    bool stop;
};

/* ---- the writer ---- */

/* Writes all of a block. 0 or errno. */
static int write_block(int descriptor, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(descriptor, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

static void *write_on(void *context)
{
    shoal_recording *recording = context;
    pthread_mutex_lock(&recording->lock);
    while (!recording->stop || recording->filled > 0) {
        if (recording->filled == 0) {
            pthread_cond_wait(&recording->work, &recording->lock);
            continue;
        }
        char *block = recording->filling;
        size_t size = recording->filled;
        recording->filling = recording->emptying;
        recording->emptying = block;
        recording->left = size;
        recording->filled = 0;
        pthread_mutex_unlock(&recording->lock);
        int number = write_block(recording->descriptor, block, size);
        pthread_mutex_lock(&recording->lock);
        recording->left = 0;
        if (recording->number == 0) recording->number = number;
    }
    pthread_mutex_unlock(&recording->lock);
    return NULL;
}

/* ---- the node's side ---- */

/* Under the lock: takes the bytes, or says why not. */
static const char *put(shoal_recording *recording, shoal_slice bytes)
{
    if (recording->number != 0) return strerror(recording->number);
    if (bytes.size > BLOCK_BYTES - recording->filled) return "the disk is too slow";
    memcpy(recording->filling + recording->filled, bytes.data, bytes.size);
    recording->filled += bytes.size;
    pthread_cond_signal(&recording->work);
    return NULL;
}

static void take(void *context, shoal_slice bytes)
{
    shoal_recording *recording = context;
    if (recording->trouble != NULL) return;
    if (recording->limit > 0 && recording->given + bytes.size > recording->limit) {
        recording->trouble = "the file is as large as record-limit allows";
        return;
    }
    recording->given += bytes.size;
    pthread_mutex_lock(&recording->lock);
    recording->trouble = put(recording, bytes);
    pthread_mutex_unlock(&recording->lock);
}

/* The process dies: gives the file what it has not got, as far as that goes. What died may be
 * anywhere, so nothing is waited for without an end. */
static void last_words(void *context)
{
    shoal_recording *recording = context;
    const struct timespec pause = {.tv_nsec = 1000000};
    if (recording->ended) return;
    bool locked = false;
    for (int i = 0; i < DYING_MS && !locked; i++) {
        locked = pthread_mutex_trylock(&recording->lock) == 0;
        if (!locked) nanosleep(&pause, NULL);
    }
    if (!locked) return;
    pthread_mutex_unlock(&recording->lock);
    shoal_node_record_flush(recording->node);
    for (int i = 0; i < DYING_MS; i++) {
        pthread_mutex_lock(&recording->lock);
        bool done = recording->filled == 0 && recording->left == 0;
        pthread_mutex_unlock(&recording->lock);
        if (done) return;
        nanosleep(&pause, NULL);
    }
}

/* ---- life ---- */

/* Moves older files out of the way. What cannot be moved is written over. */
static void keep_older(const char *path)
{
    char from[PATH_MAX + 8], to[PATH_MAX + 8];
    struct stat facts;
    if (stat(path, &facts) != 0 || facts.st_size == 0) return;
    for (int i = OLDER_MAX - 1; i >= 0; i--) {
        snprintf(from, sizeof from, i > 0 ? "%s.%d" : "%s", path, i);
        snprintf(to, sizeof to, "%s.%d", path, i + 1);
        (void)rename(from, to);
    }
}

static void *block(void)
{
    void *memory =
        mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static void release(shoal_recording *recording)
{
    if (recording->filling) munmap(recording->filling, BLOCK_BYTES);
    if (recording->emptying) munmap(recording->emptying, BLOCK_BYTES);
    if (recording->descriptor >= 0) close(recording->descriptor);
    pthread_cond_destroy(&recording->work);
    pthread_mutex_destroy(&recording->lock);
    free(recording);
}

/* File, memory and thread. 0 or errno. */
static int open_parts(shoal_recording *recording)
{
    keep_older(recording->path);
    recording->descriptor =
        open(recording->path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (recording->descriptor < 0) return errno;
    recording->filling = block();
    recording->emptying = block();
    if (recording->filling == NULL || recording->emptying == NULL) return ENOMEM;
    int number = pthread_create(&recording->writer, NULL, write_on, recording);
    recording->running = number == 0;
    return number;
}

/* Lets the writer finish. */
static void join(shoal_recording *recording)
{
    if (!recording->running) return;
    pthread_mutex_lock(&recording->lock);
    recording->stop = true;
    pthread_cond_signal(&recording->work);
    pthread_mutex_unlock(&recording->lock);
    pthread_join(recording->writer, NULL);
    recording->running = false;
}

/* Has the node give its bytes. 0 or errno. */
static int attach(shoal_recording *recording, const char *place)
{
    char build[64];
    snprintf(build, sizeof build, "shoal-server %s", shoal_version());
    shoal_tape_options options = {.context = recording,
                                  .take = take,
                                  .build = shoal_slice_of(build),
                                  .place = shoal_slice_of(place)};
    if (options.place.size > 255) options.place.size = 255;
    return shoal_node_record(recording->node, &options) == SHOAL_ERR_OK ? 0 : ENOMEM;
}

shoal_recording *shoal_recording__start(const shoal_recording_options *options, shoal_node *node)
{
    shoal_recording *recording = calloc(1, sizeof *recording);
    if (recording == NULL) return NULL;
    recording->log = options->log;
    recording->node = node;
    recording->limit = options->limit;
    if (recording->limit > 0 && recording->limit < 2 * LAST_BYTES)
        recording->limit = 2 * LAST_BYTES;
    recording->descriptor = -1;
    snprintf(recording->path, sizeof recording->path, "%s", options->path);
    pthread_mutex_init(&recording->lock, NULL);
    pthread_cond_init(&recording->work, NULL);
    int number = open_parts(recording);
    if (number == 0) number = attach(recording, options->place);
    if (number == 0) {
        /* Without them what a crash leaves ends some steps before it. */
        if (shoal_last_words__set(last_words, recording) != SHOAL_ERR_OK)
            shoal_log__say(recording->log, SHOAL_LOG_DEBUG, "A crash would not be recorded");
        shoal_log__say(recording->log, SHOAL_LOG_NOTICE, "Recording to %s", recording->path);
        return recording;
    }
    shoal_log__say(recording->log, SHOAL_LOG_WARNING, "Can't record to %s: %s. Going on without.",
                   recording->path, strerror(number));
    join(recording);
    release(recording);
    return NULL;
}

/* Whether the next frame may be the last that has room below the limit. */
static bool is_nearly_full(const shoal_recording *recording)
{
    return recording->limit > 0 && recording->given + LAST_BYTES > recording->limit;
}

void shoal_recording__look(shoal_recording *recording)
{
    if (recording == NULL || recording->ended) return;
    const char *why = recording->trouble;
    if (why == NULL && is_nearly_full(recording)) {
        why = "the file is as large as record-limit allows";
        shoal_node_record_end(recording->node, false, shoal_slice_of(why));
    }
    if (why == NULL) return;
    recording->ended = true;
    shoal_node_record_flush(recording->node);
    shoal_log__say(recording->log, SHOAL_LOG_WARNING, "Recording to %s has ended: %s. Going on.",
                   recording->path, why);
}

void shoal_recording__close(shoal_recording *recording, const char *why)
{
    if (recording == NULL) return;
    SHOAL_ASSERT(recording->node != NULL);
    if (!recording->ended) shoal_node_record_end(recording->node, true, shoal_slice_of(why));
    recording->ended = true;
    shoal_last_words__clear();
    join(recording);
    if (recording->number != 0 && recording->trouble == NULL)
        shoal_log__say(recording->log, SHOAL_LOG_WARNING, "Recording to %s has ended: %s",
                       recording->path, strerror(recording->number));
    release(recording);
}
