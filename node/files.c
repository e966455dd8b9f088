/* SPDX-License-Identifier: MIT
 *
 * node/files.h: one queue in, one queue out, a mutex around both. The operations of files are
 * few (configuration, cluster state) and none of them is on the way of a client's command.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

/* A first-in first-out list. */
typedef struct job_queue {
    shoal_file_job *head;
    shoal_file_job **tail;
} job_queue;

/* What the thread knows of one role. */
typedef struct file_role {
    char *name;
    int descriptor; /* open for appending, or -1 */
    bool fresh;     /* created since the directory was last synced */
} file_role;

struct shoal_files {
    pthread_t thread;
    pthread_mutex_t lock; /* guards wanted, finished, stop, drain */
    pthread_cond_t work;
    job_queue wanted;
    job_queue finished;
    bool stop;
    bool drain;
    void (*done)(void *context);
    void *context;
    file_role roles[SHOAL_FILE_COUNT]; /* the thread's own */
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

/* What an errno means at the door. */
static shoal_err error_of(int number)
{
    if (number == ENOENT) return SHOAL_ERR_NOT_FOUND;
    if (number == ENOSPC || number == EDQUOT) return SHOAL_ERR_NO_SPACE;
    if (number == ENOMEM) return SHOAL_ERR_NO_MEMORY;
    return SHOAL_ERR_IO;
}

static shoal_err open_for_append(file_role *role)
{
    if (role->descriptor >= 0) return SHOAL_ERR_OK;
    bool existed = access(role->name, F_OK) == 0;
    role->descriptor = open(role->name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (role->descriptor < 0) return error_of(errno);
    if (!existed) role->fresh = true;
    return SHOAL_ERR_OK;
}

static void forget(file_role *role)
{
    if (role->descriptor >= 0) close(role->descriptor);
    role->descriptor = -1;
    role->fresh = false;
}

/* Makes the names in the directory of `name` durable. */
static shoal_err sync_directory(const char *name)
{
    char copy[4096];
    if (snprintf(copy, sizeof copy, "%s", name) >= (int)sizeof copy) return SHOAL_ERR_IO;
    int descriptor = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return error_of(errno);
    shoal_err error = fsync(descriptor) == 0 ? SHOAL_ERR_OK : error_of(errno);
    close(descriptor);
    return error;
}

static shoal_err do_append(file_role *role, const shoal_file_job *job)
{
    shoal_err error = open_for_append(role);
    size_t done = 0;
    while (error == SHOAL_ERR_OK && done < job->size) {
        ssize_t written = write(role->descriptor, job->bytes + done, job->size - done);
        if (written >= 0) {
            done += (size_t)written;
        } else if (errno != EINTR) {
            error = error_of(errno);
        }
    }
    return error;
}

static shoal_err do_sync(file_role *role)
{
    shoal_err error = open_for_append(role);
    if (error != SHOAL_ERR_OK) return error;
    if (fdatasync(role->descriptor) != 0) return error_of(errno);
    if (!role->fresh) return SHOAL_ERR_OK;
    error = sync_directory(role->name);
    if (error == SHOAL_ERR_OK) role->fresh = false;
    return error;
}

/* Reads what `descriptor` holds, up to its end, into the job. */
static shoal_err read_all(int descriptor, shoal_file_job *job)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) return error_of(errno);
    size_t capacity = (size_t)status.st_size + 1;
    job->bytes = malloc(capacity);
    if (job->bytes == NULL) return SHOAL_ERR_NO_MEMORY;
    while (job->size < capacity) {
        ssize_t got = read(descriptor, job->bytes + job->size, capacity - job->size);
        if (got == 0) return SHOAL_ERR_OK;
        if (got > 0) {
            job->size += (size_t)got;
        } else if (errno != EINTR) {
            return error_of(errno);
        }
    }
    return SHOAL_ERR_IO; /* It grew while it was read: somebody else writes it. */
}

static shoal_err do_read(const file_role *role, shoal_file_job *job)
{
    int descriptor = open(role->name, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return error_of(errno);
    shoal_err error = read_all(descriptor, job);
    close(descriptor);
    return error;
}

static shoal_err do_rename(file_role *from, file_role *to)
{
    if (rename(from->name, to->name) != 0) return error_of(errno);
    forget(from);
    forget(to);
    return sync_directory(to->name);
}

static shoal_err do_remove(file_role *role)
{
    forget(role);
    if (unlink(role->name) == 0 || errno == ENOENT) return SHOAL_ERR_OK;
    return error_of(errno);
}

static shoal_err perform(shoal_files *files, shoal_file_job *job)
{
    file_role *role = &files->roles[job->file];
    /* A role without a name is a file that is not there. */
    if (role->name == NULL) return job->op == SHOAL_FILE_READ ? SHOAL_ERR_NOT_FOUND : SHOAL_ERR_IO;
    switch (job->op) {
    case SHOAL_FILE_APPEND: return do_append(role, job);
    case SHOAL_FILE_SYNC: return do_sync(role);
    case SHOAL_FILE_READ: return do_read(role, job);
    case SHOAL_FILE_REMOVE: return do_remove(role);
    case SHOAL_FILE_RENAME:
        if (files->roles[job->to].name == NULL) return SHOAL_ERR_IO;
        return do_rename(role, &files->roles[job->to]);
    }
    SHOAL_UNREACHABLE();
}

/* The next job, or NULL when the thread is to end. Waits for one. */
static shoal_file_job *next_job(shoal_files *files)
{
    pthread_mutex_lock(&files->lock);
    while (files->wanted.head == NULL && !files->stop) {
        pthread_cond_wait(&files->work, &files->lock);
    }
    bool end = files->stop && !(files->drain && files->wanted.head != NULL);
    shoal_file_job *job = end ? NULL : queue_pop(&files->wanted);
    pthread_mutex_unlock(&files->lock);
    return job;
}

static void *run(void *argument)
{
    shoal_files *files = argument;
    pthread_setname_np(pthread_self(), "shoal-file");
    for (shoal_file_job *job; (job = next_job(files)) != NULL;) {
        job->error = perform(files, job);
        pthread_mutex_lock(&files->lock);
        queue_push(&files->finished, job);
        pthread_mutex_unlock(&files->lock);
        files->done(files->context);
    }
    return NULL;
}

static bool copy_names(shoal_files *files, const shoal_files_options *options)
{
    bool complete = true;
    for (int i = 0; i < SHOAL_FILE_COUNT; i++) {
        files->roles[i].descriptor = -1;
        if (options->names[i] == NULL) continue;
        files->roles[i].name = strdup(options->names[i]);
        complete = complete && files->roles[i].name != NULL;
    }
    return complete;
}

/* Everything but the thread. */
static void release(shoal_files *files)
{
    for (shoal_file_job *job; (job = queue_pop(&files->wanted)) != NULL;) shoal_files__free(job);
    for (shoal_file_job *job; (job = queue_pop(&files->finished)) != NULL;) shoal_files__free(job);
    for (int i = 0; i < SHOAL_FILE_COUNT; i++) {
        if (files->roles[i].descriptor >= 0) close(files->roles[i].descriptor);
        free(files->roles[i].name);
    }
    pthread_cond_destroy(&files->work);
    pthread_mutex_destroy(&files->lock);
    free(files);
}

shoal_err shoal_files__start(const shoal_files_options *options, shoal_files **out)
{
    shoal_files *files = calloc(1, sizeof *files);
    if (files == NULL) return SHOAL_ERR_NO_MEMORY;
    pthread_mutex_init(&files->lock, NULL);
    pthread_cond_init(&files->work, NULL);
    queue_init(&files->wanted);
    queue_init(&files->finished);
    files->done = options->done;
    files->context = options->context;
    shoal_err error = copy_names(files, options) ? SHOAL_ERR_OK : SHOAL_ERR_NO_MEMORY;
    if (error == SHOAL_ERR_OK && pthread_create(&files->thread, NULL, run, files) != 0) {
        error = SHOAL_ERR_IO;
    }
    if (error != SHOAL_ERR_OK) {
        release(files);
        return error;
    }
    *out = files;
    return SHOAL_ERR_OK;
}

void shoal_files__submit(shoal_files *files, const shoal_file_job *job, shoal_slice bytes)
{
    SHOAL_ASSERT(job->file > 0 && job->file < SHOAL_FILE_COUNT);
    SHOAL_ASSERT(job->to < SHOAL_FILE_COUNT);
    shoal_file_job *copy = malloc(sizeof *copy);
    SHOAL_ASSERT(copy != NULL);
    *copy = *job;
    copy->bytes = NULL;
    copy->size = bytes.size;
    if (bytes.size > 0) {
        copy->bytes = malloc(bytes.size);
        SHOAL_ASSERT(copy->bytes != NULL);
        memcpy(copy->bytes, bytes.data, bytes.size);
    }
    pthread_mutex_lock(&files->lock);
    queue_push(&files->wanted, copy);
    pthread_cond_signal(&files->work);
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
    pthread_mutex_lock(&files->lock);
    files->stop = true;
    files->drain = drain;
    pthread_cond_signal(&files->work);
    pthread_mutex_unlock(&files->lock);
    pthread_join(files->thread, NULL);
    release(files);
}
