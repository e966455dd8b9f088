/* SPDX-License-Identifier: MIT
 *
 * node/files.h: one queue in, one queue out, a mutex around both. A few threads work off the queue:
 * each takes the first job none of whose files an older job is about, so that a long sync of one
 * file holds up no other file. A named file may besides be written by whoever appends to it without
 * a tag, when nothing but syncs of it is queued: then bytes are neither copied nor handed over.
 *
 *   F1  Jobs of one file run one at a time and in order: a job is taken when no older one, queued
 *       or under way, is about one of its files (the masks `busy` and, in the search, `blocked`).
 *   F2  A direct append runs beside syncs only: its begin looks for other jobs of the file, and no
 *       other job of the file is taken while its bit stands in `writing`.
 *       So what an append finds in `torn` is what the last one has left there.
 *   F3  What opens and closes a descriptor is a job, so a direct append never sees either. It
 *       finds an open descriptor or becomes a job itself.
 */
#include "files.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "clock.h"
#include "file_ops.h"
#include "turns.h"

/* Threads that work off the queue. The disk can keep three long: with the sync of the append-only
 * file, that of a snapshot, and a large file that is removed and given back. One more is there
 * for the node file, whose epochs and votes an election waits for. */
#define THREADS 4

_Static_assert(SHOAL_FILE_LIMIT <= 64, "a set of files is a word");

/* A first-in first-out list. */
typedef struct job_queue {
    shoal_file_job *head;
    shoal_file_job **tail;
} job_queue;

/* A file and what is queued or under way for it; the descriptor changes under the lock. */
typedef struct file_entry {
    shoal_file_role role;
    uint32_t syncs;
    uint32_t others;
} file_entry;

struct shoal_files {
    pthread_t threads[THREADS];
    uint32_t started;
    pthread_mutex_t lock; /* guards all below but what F1 gives to the thread of a job */
    pthread_cond_t work;
    pthread_cond_t settled; /* of who waits for the jobs of a file to be done, */
    uint32_t settling;      /* so many */
    job_queue wanted;
    job_queue finished;
    uint64_t busy;    /* files that a job under way is about, a bit each */
    uint64_t writing; /* files that are being written directly */
    bool stop;
    bool drain;
    char *directory; /* of named files; NULL: that of the process */
    void (*done)(void *context);
    void *context;
    file_entry entries[SHOAL_FILE_LIMIT];
};

static void queue_init(job_queue *queue)
{
    queue->head = NULL;
    queue->tail = &queue->head;
}

static void queue_push(job_queue *queue, shoal_file_job *job)
{
    job->next = NULL;
    *queue->tail = job;
    queue->tail = &job->next;
}

static shoal_file_job *queue_pop(job_queue *queue)
{
    shoal_file_job *job = queue->head;
    if (job == NULL) return NULL;
    queue->head = job->next;
    if (queue->head == NULL) queue->tail = &queue->head;
    return job;
}

/* ---- doing jobs ---- */

static void close_role(shoal_file_role *role)
{
    if (role->descriptor < 0) return;
    shoal_file_op__trim(role, role->descriptor);
    shoal_file_op__close(role->descriptor);
}

/* The descriptor to append to, opened if need be, or a negative error. */
static int descriptor_of(shoal_files *files, shoal_file_role *role)
{
    int descriptor = shoal_file_op__open(role);
    if (descriptor < 0) return descriptor;
    pthread_mutex_lock(&files->lock);
    role->descriptor = descriptor;
    pthread_mutex_unlock(&files->lock);
    return descriptor;
}

static void forget(shoal_files *files, shoal_file_role *role)
{
    close_role(role);
    pthread_mutex_lock(&files->lock);
    role->descriptor = -1;
    pthread_mutex_unlock(&files->lock);
    role->fresh = role->fresh_above = false;
}

/* Writes, unless that would leave a gap in a named file. */
static shoal_err do_append(shoal_file_role *role, int descriptor, const shoal_file_job *job,
                           shoal_slice bytes)
{
    bool named = job->file >= SHOAL_FILE_NAMED;
    SHOAL_ASSERT(job->op == SHOAL_FILE_APPEND);
    if (named && job->tag == 0 && role->torn != SHOAL_ERR_OK) return role->torn;
    shoal_err error = shoal_file_op__write(descriptor, bytes);
    if (error != SHOAL_ERR_OK) role->torn = error;
    return error;
}

static shoal_err do_append_job(shoal_file_role *role, int descriptor, const shoal_file_job *job)
{
    shoal_err error = do_append(role, descriptor, job, (shoal_slice){job->bytes, job->size});
    if (error == SHOAL_ERR_OK) shoal_file_op__push(role, descriptor, job->size);
    return error;
}

static shoal_err do_truncate(shoal_file_role *role, uint64_t size)
{
    shoal_err error = shoal_file_op__truncate(role, size);
    if (error == SHOAL_ERR_OK) role->torn = SHOAL_ERR_OK;
    return error;
}

static shoal_err do_read(const shoal_file_role *role, shoal_file_job *job)
{
    shoal_file_reading reading = {.whole = !job->part, .offset = job->offset, .size = job->size};
    shoal_err error = shoal_file_op__read(role, &reading);
    job->bytes = reading.bytes;
    job->size = reading.size;
    job->file_size = reading.file_size;
    return error;
}

static shoal_err do_rename(shoal_files *files, shoal_file_role *from, shoal_file_role *to)
{
    if (to->name == NULL) return SHOAL_ERR_IO;
    bool fresh_above = from->fresh_above;
    forget(files, from);
    forget(files, to);
    shoal_err error = shoal_file_op__rename(from, to);
    /* The folder may still have to be made durable in the one above it. */
    if (fresh_above) to->fresh = to->fresh_above = true;
    if (error == SHOAL_ERR_OK) from->torn = to->torn = SHOAL_ERR_OK;
    return error;
}

static shoal_err do_remove(shoal_files *files, shoal_file_role *role)
{
    forget(files, role);
    shoal_err error = shoal_file_op__remove(role);
    if (error == SHOAL_ERR_OK) role->torn = SHOAL_ERR_OK;
    return error;
}

/* A file that its number has left. To close it may take long: where its name is gone, its blocks
 * are given back then. */
static void close_former(shoal_file_job *job)
{
    shoal_file_role *former = (shoal_file_role *)job->bytes;
    SHOAL_ASSERT(job->closes);
    SHOAL_ASSERT(job->size == sizeof *former);
    close_role(former);
    free(former->name);
}

static shoal_err perform(shoal_files *files, shoal_file_job *job)
{
    shoal_file_role *role = &files->entries[job->file].role;
    int descriptor = 0;
    if (role->name == NULL && job->file >= SHOAL_FILE_NAMED) return SHOAL_ERR_INVALID;
    /* A role without a name is a file that is not there. */
    if (role->name == NULL) return job->op == SHOAL_FILE_READ ? SHOAL_ERR_NOT_FOUND : SHOAL_ERR_IO;
    if (job->op == SHOAL_FILE_APPEND || job->op == SHOAL_FILE_SYNC) {
        descriptor = descriptor_of(files, role);
        if (descriptor < 0 && job->op == SHOAL_FILE_APPEND) role->torn = (shoal_err)descriptor;
        if (descriptor < 0) return (shoal_err)descriptor;
    }
    switch (job->op) {
    case SHOAL_FILE_APPEND: return do_append_job(role, descriptor, job);
    case SHOAL_FILE_SYNC: return shoal_file_op__sync(role, descriptor);
    case SHOAL_FILE_READ: return do_read(role, job);
    case SHOAL_FILE_TRUNCATE: return do_truncate(role, job->offset);
    case SHOAL_FILE_RENAME: return do_rename(files, role, &files->entries[job->to].role);
    case SHOAL_FILE_REMOVE: return do_remove(files, role);
    }
    SHOAL_UNREACHABLE();
}

/* ---- the queue ---- */

static uint64_t bit_of(shoal_file file)
{
    return file == 0 ? 0 : (uint64_t)1 << (unsigned)file;
}

static uint64_t bits_of(const shoal_file_job *job)
{
    return bit_of(job->file) | bit_of(job->to);
}

/* Takes the first job that may run now (F1, F2) out of the queue, or NULL. Under the lock. */
static shoal_file_job *take_job(shoal_files *files)
{
    uint64_t blocked = files->busy;
    for (shoal_file_job **at = &files->wanted.head; *at; at = &(*at)->next) {
        shoal_file_job *job = *at;
        uint64_t bits = bits_of(job);
        bool beside = job->op != SHOAL_FILE_SYNC && (bits & files->writing) != 0;
        if ((bits & blocked) != 0 || beside) {
            blocked |= bits;
            continue;
        }
        *at = job->next;
        if (*at == NULL) files->wanted.tail = at;
        files->busy |= bits;
        return job;
    }
    return NULL;
}

/* Counts a job in or out, if it is about what the number is bound to. Under the lock. */
static void count_job(shoal_files *files, const shoal_file_job *job, int change)
{
    if (job->closes) return;
    file_entry *entry = &files->entries[job->file];
    uint32_t *count = job->op == SHOAL_FILE_SYNC ? &entry->syncs : &entry->others;
    SHOAL_ASSERT(change > 0 || *count > 0);
    *count += (uint32_t)change;
    if (job->to != 0) files->entries[job->to].others += (uint32_t)change;
}

/* The next job, or NULL when the thread is to end. Waits for one, and says whether it has. */
static shoal_file_job *next_job(shoal_files *files, bool *waited)
{
    shoal_file_job *job = NULL;
    *waited = false;
    pthread_mutex_lock(&files->lock);
    for (;;) {
        if (files->stop && !(files->drain && files->wanted.head != NULL)) break;
        job = take_job(files);
        if (job != NULL) break;
        *waited = true;
        pthread_cond_wait(&files->work, &files->lock);
    }
    pthread_mutex_unlock(&files->lock);
    return job;
}

/* Is nobody to be told of it? */
static bool is_silent(const shoal_file_job *job)
{
    if (job->closes) return true;
    return job->op == SHOAL_FILE_APPEND && job->file >= SHOAL_FILE_NAMED && job->tag == 0 &&
           job->error == SHOAL_ERR_OK;
}

/* A job is done: its result can be taken, and what waited for its files goes on. */
static void finish_job(shoal_files *files, shoal_file_job *job)
{
    bool silent = is_silent(job);
    pthread_mutex_lock(&files->lock);
    files->busy &= ~bits_of(job);
    count_job(files, job, -1);
    if (!silent) queue_push(&files->finished, job);
    /* This thread takes one of those that wait; others are woken when there are more. */
    bool more = files->wanted.head != NULL && files->wanted.head->next != NULL;
    if (more || files->stop) pthread_cond_broadcast(&files->work);
    if (files->settling > 0) pthread_cond_broadcast(&files->settled);
    pthread_mutex_unlock(&files->lock);
    if (silent) {
        shoal_files__free(job);
    } else {
        files->done(files->context);
    }
}

static void *run(void *argument)
{
    shoal_files *files = argument;
    int64_t rested = 0;
    bool waited;
    pthread_setname_np(pthread_self(), "shoal-file");
    for (shoal_file_job *job; (job = next_job(files, &waited)) != NULL;) {
        shoal_turns__pass(&rested, shoal_clock_read(CLOCK_MONOTONIC), !waited);
        if (job->closes)
            close_former(job);
        else
            job->error = perform(files, job);
        finish_job(files, job);
    }
    return NULL;
}

/* ---- life ---- */

static bool copy_names(shoal_files *files, const shoal_files_options *options)
{
    bool complete = true;
    if (options->directory) {
        files->directory = strdup(options->directory);
        complete = files->directory != NULL;
    }
    for (int i = 0; i < SHOAL_FILE_LIMIT; i++) files->entries[i].role.descriptor = -1;
    for (int i = 0; i < SHOAL_FILE_COUNT; i++) {
        if (options->names[i] == NULL) continue;
        files->entries[i].role.name = strdup(options->names[i]);
        complete = complete && files->entries[i].role.name != NULL;
    }
    return complete;
}

/* Everything but the threads. */
static void release(shoal_files *files)
{
    for (shoal_file_job *job; (job = queue_pop(&files->wanted)) != NULL;) {
        if (job->closes) close_former(job);
        shoal_files__free(job);
    }
    for (shoal_file_job *job; (job = queue_pop(&files->finished)) != NULL;) shoal_files__free(job);
    for (int i = 0; i < SHOAL_FILE_LIMIT; i++) {
        shoal_file_role *role = &files->entries[i].role;
        close_role(role);
        free(role->name);
    }
    pthread_cond_destroy(&files->work);
    pthread_cond_destroy(&files->settled);
    pthread_mutex_destroy(&files->lock);
    free(files->directory);
    free(files);
}

static void stop_threads(shoal_files *files, bool drain)
{
    pthread_mutex_lock(&files->lock);
    files->stop = true;
    files->drain = drain;
    pthread_cond_broadcast(&files->work);
    pthread_mutex_unlock(&files->lock);
    for (uint32_t i = 0; i < files->started; i++) pthread_join(files->threads[i], NULL);
}

static shoal_err start_threads(shoal_files *files)
{
    for (; files->started < THREADS; files->started++) {
        if (pthread_create(&files->threads[files->started], NULL, run, files) == 0) continue;
        stop_threads(files, false);
        return SHOAL_ERR_IO;
    }
    return SHOAL_ERR_OK;
}

shoal_err shoal_files__start(const shoal_files_options *options, shoal_files **out)
{
    shoal_files *files = calloc(1, sizeof *files);
    if (files == NULL) return SHOAL_ERR_NO_MEMORY;
    pthread_mutex_init(&files->lock, NULL);
    pthread_cond_init(&files->work, NULL);
    pthread_cond_init(&files->settled, NULL);
    queue_init(&files->wanted);
    queue_init(&files->finished);
    files->done = options->done;
    files->context = options->context;
    shoal_err error = copy_names(files, options) ? SHOAL_ERR_OK : SHOAL_ERR_NO_MEMORY;
    if (error == SHOAL_ERR_OK) error = start_threads(files);
    if (error != SHOAL_ERR_OK) {
        release(files);
        return error;
    }
    *out = files;
    return SHOAL_ERR_OK;
}

/* ---- submitting ---- */

static shoal_file_job *copy_job(const shoal_file_job *job, shoal_slice bytes)
{
    shoal_file_job *copy = malloc(sizeof *copy);
    SHOAL_ASSERT(copy != NULL);
    *copy = *job;
    copy->bytes = NULL;
    if (job->op == SHOAL_FILE_APPEND || job->closes) copy->size = bytes.size;
    if (bytes.size > 0) {
        copy->bytes = malloc(bytes.size);
        SHOAL_ASSERT(copy->bytes != NULL);
        memcpy(copy->bytes, bytes.data, bytes.size);
    }
    return copy;
}

void shoal_files__submit(shoal_files *files, const shoal_file_job *job, shoal_slice bytes)
{
    SHOAL_ASSERT(job->file > 0 && job->file < SHOAL_FILE_LIMIT);
    SHOAL_ASSERT(job->to < SHOAL_FILE_LIMIT);
    shoal_file_job *copy = copy_job(job, bytes);
    pthread_mutex_lock(&files->lock);
    count_job(files, copy, 1);
    queue_push(&files->wanted, copy);
    /* What waits for a job under way is taken by the thread that ends that. */
    bool wakes = (bits_of(copy) & files->busy) == 0;
    pthread_mutex_unlock(&files->lock);
    /* Behind the lock: who wakes up would meet it. */
    if (wakes) pthread_cond_signal(&files->work);
}

/* ---- names ---- */

/* Later jobs of the number wait until it is done (F1): none of them can meet the former file. */
static void submit_close(shoal_files *files, shoal_file file, const shoal_file_role *former)
{
    shoal_file_job job = {.op = SHOAL_FILE_SYNC, .file = file, .closes = true};
    SHOAL_ASSERT(former->descriptor >= 0);
    shoal_files__submit(files, &job, (shoal_slice){(const char *)former, sizeof *former});
}

/* `path` in the directory of named files, malloc'ed. */
static char *full_name(const shoal_files *files, shoal_slice path)
{
    size_t before = files->directory ? strlen(files->directory) + 1 : 0;
    char *name = malloc(before + path.size + 1);
    SHOAL_ASSERT(name != NULL);
    if (before > 0) {
        memcpy(name, files->directory, before - 1);
        name[before - 1] = '/';
    }
    memcpy(name + before, path.data, path.size);
    name[before + path.size] = '\0';
    return name;
}

void shoal_files__name(shoal_files *files, shoal_file file, shoal_slice path)
{
    SHOAL_ASSERT(file >= SHOAL_FILE_NAMED && file < SHOAL_FILE_LIMIT);
    char *name = shoal_file_op__may_name(path) ? full_name(files, path) : NULL;
    file_entry *entry = &files->entries[file];
    pthread_mutex_lock(&files->lock);
    SHOAL_ASSERT(entry->syncs == 0 && entry->others == 0);
    SHOAL_ASSERT((files->writing & bit_of(file)) == 0);
    shoal_file_role former = entry->role;
    entry->role = (shoal_file_role){.name = name, .descriptor = -1};
    pthread_mutex_unlock(&files->lock);
    if (former.descriptor >= 0)
        submit_close(files, file, &former);
    else
        free(former.name);
}

/* ---- writing directly ---- */

/* Begins a direct append: the descriptor, or -1 when it has to become a job. */
static int begin_direct(shoal_files *files, const shoal_file_job *job)
{
    file_entry *entry = &files->entries[job->file];
    pthread_mutex_lock(&files->lock);
    int descriptor = entry->others == 0 ? entry->role.descriptor : -1;
    if (descriptor >= 0) {
        SHOAL_ASSERT((files->writing & bit_of(job->file)) == 0);
        files->writing |= bit_of(job->file);
    }
    pthread_mutex_unlock(&files->lock);
    return descriptor;
}

static void end_direct(shoal_files *files, shoal_file_job *told, shoal_file file)
{
    pthread_mutex_lock(&files->lock);
    files->writing &= ~bit_of(file);
    if (told) queue_push(&files->finished, told);
    /* Syncs have not waited for it. */
    if (files->entries[file].others > 0) pthread_cond_broadcast(&files->work);
    pthread_mutex_unlock(&files->lock);
    if (told) files->done(files->context);
}

void shoal_files__append(shoal_files *files, const shoal_file_job *job, shoal_slice bytes)
{
    SHOAL_ASSERT(job->op == SHOAL_FILE_APPEND);
    SHOAL_ASSERT(job->file >= SHOAL_FILE_NAMED && job->file < SHOAL_FILE_LIMIT);
    int descriptor = job->tag == 0 ? begin_direct(files, job) : -1;
    if (descriptor < 0) {
        shoal_files__submit(files, job, bytes);
        return;
    }
    shoal_err error = do_append(&files->entries[job->file].role, descriptor, job, bytes);
    shoal_file_job *told = NULL;
    if (error != SHOAL_ERR_OK) {
        told = copy_job(job, (shoal_slice){0});
        told->error = error;
    }
    end_direct(files, told, job->file);
}

void shoal_files__settle(shoal_files *files, shoal_file file)
{
    SHOAL_ASSERT(file >= SHOAL_FILE_NAMED && file < SHOAL_FILE_LIMIT);
    pthread_mutex_lock(&files->lock);
    files->settling++;
    while (files->entries[file].others > 0) pthread_cond_wait(&files->settled, &files->lock);
    files->settling--;
    pthread_mutex_unlock(&files->lock);
}

shoal_file_job *shoal_files__take(shoal_files *files)
{
    pthread_mutex_lock(&files->lock);
    shoal_file_job *jobs = files->finished.head;
    queue_init(&files->finished);
    pthread_mutex_unlock(&files->lock);
    return jobs;
}

void shoal_files__free(shoal_file_job *job)
{
    free(job->bytes);
    free(job);
}

void shoal_files__stop(shoal_files *files, bool drain)
{
    stop_threads(files, drain);
    release(files);
}
