/* SPDX-License-Identifier: MIT
 *
 * embed/disk.c - shoal/disk.h: a kept cache (persist/keeper.h) in a world of threads and files. The
 * files are those of the server (node/files.h). It stands outside the engine's rooms because those
 * have no threads and no clock.
 *
 * One thread is the keeper's control actor: it sleeps until something happens or is due, and takes
 * steps. Everything that others want of it stands in a few words under one lock.
 */
#include <shoal/disk.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "node/files.h"
#include "persist/keeper.h"

/* What a cookie is: options that did not come from the default function stop the program. */
#define COOKIE 0x53484f44u
/* Threads that load: more than this gain little, for one thread cuts the file into records. */
#define LOADERS_MAX 4u
/* A line that is told. */
#define LINE_MAX_SIZE 1024u

/* One thread that loads. */
typedef struct loader {
    shoal_disk *disk;
    uint32_t index;
    pthread_t thread;
    bool wanted;
} loader;

struct shoal_disk {
    shoal_keeper *keeper;
    shoal_files *files;
    int directory; /* open, and locked */
    pthread_t control;
    pthread_mutex_t lock;
    pthread_cond_t wake;    /* of the control thread, and of those that load */
    pthread_cond_t changed; /* of those who wait for it */
    /* Under the lock. */
    bool woken, stopping, rewrites;
    uint32_t waiters; /* for a sync */
    bool over;        /* loading, or the whole */
    shoal_keeper_state state;
    shoal_aof_stats stats;
    loader loaders[LOADERS_MAX];
    uint32_t loader_count;
    /* Constant. */
    pthread_mutex_t say_lock;
    void (*say)(void *context, shoal_disk_level level, const char *line);
    void *say_context;
};

shoal_disk_options shoal_disk_options_default(void)
{
    return (shoal_disk_options){.cookie = COOKIE,
                                .file_name = "appendonly.aof",
                                .folder_name = "appendonlydir",
                                .load_truncated = true,
                                .compress = true,
                                .rewrite_percent = 100,
                                .rewrite_bytes = (uint64_t)64 << 20};
}

/* ---- lines ---- */

static void tell(shoal_disk *disk, shoal_disk_level level, shoal_slice text)
{
    char line[LINE_MAX_SIZE];
    if (disk->say == NULL) return;
    while (text.size > 0 && text.data[text.size - 1] == '\n') text.size--;
    size_t size = text.size < sizeof line ? text.size : sizeof line - 1;
    if (size > 0) memcpy(line, text.data, size);
    line[size] = '\0';
    pthread_mutex_lock(&disk->say_lock);
    disk->say(disk->say_context, level, line);
    pthread_mutex_unlock(&disk->say_lock);
}

/* Says what the system said. */
static void complain(shoal_disk *disk, const char *what, const char *path)
{
    char line[LINE_MAX_SIZE];
    snprintf(line, sizeof line, "%s %s: %s", what, path, strerror(errno));
    tell(disk, SHOAL_DISK_WARNING, shoal_slice_of(line));
}

/* ---- the door ---- */

static void wake(shoal_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    disk->woken = true;
    pthread_cond_broadcast(&disk->wake);
    pthread_mutex_unlock(&disk->lock);
}

static void files_done(void *context)
{
    wake(context);
}

static void op_nudge(void *context, shoal_actor actor)
{
    shoal_disk *disk = context;
    if (actor == SHOAL_ACTOR_CONTROL) {
        wake(disk);
        return;
    }
    /* Workers are there to load, and later for nothing. */
    pthread_mutex_lock(&disk->lock);
    if (actor - 1 < disk->loader_count) disk->loaders[actor - 1].wanted = true;
    pthread_cond_broadcast(&disk->wake);
    pthread_mutex_unlock(&disk->lock);
}

static void submit(shoal_disk *disk, shoal_file_job job, shoal_slice bytes)
{
    shoal_files__submit(disk->files, &job, bytes);
}

static void op_file_name(void *context, shoal_file file, shoal_slice path)
{
    shoal_files__name(((shoal_disk *)context)->files, file, path);
}

static void op_file_append(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    shoal_files *files = ((shoal_disk *)context)->files;
    const shoal_file_job job = {.op = SHOAL_FILE_APPEND, .file = file, .tag = tag};
    shoal_files__append(files, &job, bytes);
    /* What the leave of a batch waits for is to be the system's when it ends. */
    if (tag == 0) shoal_files__settle(files, file);
}

static void op_file_sync(void *context, shoal_file file, uint64_t tag)
{
    submit(context, (shoal_file_job){.op = SHOAL_FILE_SYNC, .file = file, .tag = tag},
           (shoal_slice){NULL, 0});
}

static void op_file_read(void *context, shoal_file file, uint64_t tag)
{
    submit(context, (shoal_file_job){.op = SHOAL_FILE_READ, .file = file, .tag = tag},
           (shoal_slice){NULL, 0});
}

static void op_file_read_part(void *context, shoal_file file, uint64_t offset, size_t size,
                              uint64_t tag)
{
    const shoal_file_job job = {.op = SHOAL_FILE_READ,
                                .file = file,
                                .tag = tag,
                                .part = true,
                                .offset = offset,
                                .size = size};
    submit(context, job, (shoal_slice){NULL, 0});
}

static void op_file_truncate(void *context, shoal_file file, uint64_t size, uint64_t tag)
{
    const shoal_file_job job = {.op = SHOAL_FILE_TRUNCATE,
                                .file = file,
                                .tag = tag,
                                .offset = size};
    submit(context, job, (shoal_slice){NULL, 0});
}

static void op_file_rename(void *context, shoal_file from, shoal_file to, uint64_t tag)
{
    submit(context, (shoal_file_job){.op = SHOAL_FILE_RENAME, .file = from, .to = to, .tag = tag},
           (shoal_slice){NULL, 0});
}

static void op_file_remove(void *context, shoal_file file, uint64_t tag)
{
    submit(context, (shoal_file_job){.op = SHOAL_FILE_REMOVE, .file = file, .tag = tag},
           (shoal_slice){NULL, 0});
}

static void op_trace(void *context, const shoal_trace_record *record)
{
    if (record->kind != SHOAL_TRACE_LOG) return;
    uint64_t level = record->a < SHOAL_DISK_WARNING ? record->a : SHOAL_DISK_WARNING;
    tell(context, (shoal_disk_level)level, record->text);
}

/* Another thread is about to write what this one waits for. */
static void yield(void *context)
{
    (void)context;
    sched_yield();
}

static shoal_host host_of(shoal_disk *disk)
{
    return (shoal_host){.context = disk,
                        .nudge = op_nudge,
                        .file_name = op_file_name,
                        .file_append = op_file_append,
                        .file_sync = op_file_sync,
                        .file_read = op_file_read,
                        .file_read_part = op_file_read_part,
                        .file_truncate = op_file_truncate,
                        .file_rename = op_file_rename,
                        .file_remove = op_file_remove,
                        .trace = op_trace};
}

/* ---- the control thread ---- */

/* Sleeps until there is something to do, and says what is wanted. */
static void wait_for_work(shoal_disk *disk, int64_t deadline_us, bool *hurry, bool *rewrite,
                          bool *stop)
{
    pthread_mutex_lock(&disk->lock);
    while (!disk->woken) {
        if (deadline_us == INT64_MAX) {
            pthread_cond_wait(&disk->wake, &disk->lock);
            continue;
        }
        const struct timespec until = {.tv_sec = deadline_us / 1000000,
                                       .tv_nsec = deadline_us % 1000000 * 1000};
        if (pthread_cond_timedwait(&disk->wake, &disk->lock, &until) != 0) break;
    }
    disk->woken = false;
    *hurry = disk->waiters > 0;
    *rewrite = disk->rewrites;
    *stop = disk->stopping;
    disk->rewrites = false;
    pthread_mutex_unlock(&disk->lock);
}

/* What the file threads have done goes to the keeper. */
static void deliver_files(shoal_disk *disk)
{
    for (shoal_file_job *job = shoal_files__take(disk->files); job != NULL;) {
        shoal_event event = {.kind = SHOAL_EVENT_FILE_DONE,
                             .now = shoal_time_now(),
                             .file = job->file,
                             .op = job->op,
                             .tag = job->tag,
                             .error = job->error};
        if (job->op == SHOAL_FILE_READ && job->error == SHOAL_ERR_OK) {
            event.data = (shoal_slice){job->bytes, job->size};
            event.file_size = job->file_size;
        }
        (void)shoal_keeper_step(disk->keeper, &event, event.now);
        shoal_file_job *done = job;
        job = job->next;
        shoal_files__free(done);
    }
}

/* Lets others see where it is. */
static void publish(shoal_disk *disk)
{
    shoal_aof_stats stats = shoal_keeper_stats(disk->keeper, shoal_time_now());
    pthread_mutex_lock(&disk->lock);
    disk->stats = stats;
    disk->state = shoal_keeper_state_get(disk->keeper);
    if (disk->state != SHOAL_KEEPER_LOADING) disk->over = true;
    pthread_cond_broadcast(&disk->changed);
    /* Those that load end with loading. */
    if (disk->over && disk->loader_count > 0) pthread_cond_broadcast(&disk->wake);
    pthread_mutex_unlock(&disk->lock);
}

static void *run_control(void *context)
{
    shoal_disk *disk = context;
    int64_t deadline = 0;
    shoal_keeper_start(disk->keeper, shoal_time_now());
    for (bool hurry, rewrite, stop;;) {
        wait_for_work(disk, deadline, &hurry, &rewrite, &stop);
        deliver_files(disk);
        bool open = shoal_keeper_state_get(disk->keeper) == SHOAL_KEEPER_OPEN;
        if (open) shoal_keeper_hurry(disk->keeper, hurry || stop, shoal_time_now());
        if (open && rewrite) shoal_keeper_rewrite(disk->keeper, shoal_time_now());
        deadline = shoal_keeper_step(disk->keeper, NULL, shoal_time_now());
        publish(disk);
        if (stop && shoal_keeper_finish(disk->keeper, shoal_time_now())) return NULL;
    }
}

static void *run_loader(void *context)
{
    loader *me = context;
    shoal_disk *disk = me->disk;
    pthread_mutex_lock(&disk->lock);
    while (!disk->over) {
        if (!me->wanted) {
            pthread_cond_wait(&disk->wake, &disk->lock);
            continue;
        }
        me->wanted = false;
        pthread_mutex_unlock(&disk->lock);
        shoal_keeper_work(disk->keeper, me->index, shoal_time_now());
        pthread_mutex_lock(&disk->lock);
    }
    pthread_mutex_unlock(&disk->lock);
    return NULL;
}

/* ---- opening ---- */

/* Opens the directory, makes it if it is missing, and locks it. */
static shoal_err take_directory(shoal_disk *disk, const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        complain(disk, "Cannot make the directory", path);
        return SHOAL_ERR_IO;
    }
    disk->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->directory < 0) {
        complain(disk, "Cannot open the directory", path);
        return SHOAL_ERR_IO;
    }
    if (flock(disk->directory, LOCK_EX | LOCK_NB) == 0) return SHOAL_ERR_OK;
    bool taken = errno == EWOULDBLOCK;
    complain(disk, taken ? "Somebody else uses the directory" : "Cannot lock the directory", path);
    return taken ? SHOAL_ERR_BUSY : SHOAL_ERR_IO;
}

/* How many threads load. */
static uint32_t loaders_for(uint32_t threads)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t count = cores > 1 ? (uint32_t)cores : 1;
    if (count > LOADERS_MAX) count = LOADERS_MAX;
    return count < threads ? count : threads;
}

static shoal_err make_keeper(shoal_disk *disk, const shoal_cache_options *cache,
                             const shoal_disk_options *options)
{
    static const shoal_aof_policy policies[] = {[SHOAL_DISK_EVERYSEC] = SHOAL_AOF_EVERYSEC,
                                                [SHOAL_DISK_ALWAYS] = SHOAL_AOF_ALWAYS,
                                                [SHOAL_DISK_NO] = SHOAL_AOF_NO};
    const shoal_host host = host_of(disk);
    const shoal_keeper_options wanted = {.cache = cache,
                                         .host = &host,
                                         .aof = {.policy = policies[options->policy],
                                                 .rdb_base = true,
                                                 .load_truncated = options->load_truncated,
                                                 .compress = options->compress,
                                                 .checksum = true,
                                                 .growth_percent = options->rewrite_percent,
                                                 .size_min = options->rewrite_bytes},
                                         .file_name = shoal_slice_of(options->file_name),
                                         .dir_name = shoal_slice_of(options->folder_name),
                                         .workers = loaders_for(cache->threads),
                                         .process_id = (uint64_t)getpid(),
                                         .yield = yield};
    disk->loader_count = wanted.workers;
    return shoal_keeper_create(&wanted, &disk->keeper);
}

/* Starts the threads that load and the one that controls, and waits until it is `*open` or will
 * not be. */
static shoal_err start_threads(shoal_disk *disk, bool *open)
{
    uint32_t started = 0;
    for (uint32_t i = 0; i < disk->loader_count; i++) {
        loader *each = &disk->loaders[i];
        each->disk = disk;
        each->index = i;
        if (pthread_create(&each->thread, NULL, run_loader, each) != 0) break;
        started++;
    }
    bool all = started == disk->loader_count &&
               pthread_create(&disk->control, NULL, run_control, disk) == 0;
    pthread_mutex_lock(&disk->lock);
    if (!all) disk->over = true;
    while (!disk->over) pthread_cond_wait(&disk->changed, &disk->lock);
    *open = disk->state == SHOAL_KEEPER_OPEN;
    pthread_cond_broadcast(&disk->wake);
    pthread_mutex_unlock(&disk->lock);
    for (uint32_t i = 0; i < started; i++) pthread_join(disk->loaders[i].thread, NULL);
    return all ? SHOAL_ERR_OK : SHOAL_ERR_NO_MEMORY;
}

/* Ends the control thread; what it has not written it writes. */
static void stop_control(shoal_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    disk->stopping = disk->woken = true;
    pthread_cond_broadcast(&disk->wake);
    pthread_mutex_unlock(&disk->lock);
    pthread_join(disk->control, NULL);
}

/* Frees what there is. */
static void take_down(shoal_disk *disk)
{
    if (disk->keeper != NULL) shoal_keeper_destroy(disk->keeper);
    if (disk->files != NULL) shoal_files__stop(disk->files, true);
    if (disk->directory >= 0) close(disk->directory);
    pthread_cond_destroy(&disk->wake);
    pthread_cond_destroy(&disk->changed);
    pthread_mutex_destroy(&disk->lock);
    pthread_mutex_destroy(&disk->say_lock);
    free(disk);
}

static void make_locks(shoal_disk *disk)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&disk->wake, &monotonic);
    pthread_cond_init(&disk->changed, NULL);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&disk->lock, NULL);
    pthread_mutex_init(&disk->say_lock, NULL);
}

/* Everything that takes a thread, none of which is to see a signal. */
static shoal_err open_threads(shoal_disk *disk, const shoal_cache_options *cache,
                              const shoal_disk_options *options)
{
    const shoal_files_options files = {.directory = options->directory,
                                       .done = files_done,
                                       .context = disk};
    sigset_t all, before;
    bool open = false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    shoal_err error = shoal_files__start(&files, &disk->files);
    if (error == SHOAL_ERR_OK) error = make_keeper(disk, cache, options);
    if (error == SHOAL_ERR_OK) error = start_threads(disk, &open);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != SHOAL_ERR_OK || open) return error;
    stop_control(disk);
    return SHOAL_ERR_CORRUPT;
}

shoal_err shoal_disk_open(const shoal_cache_options *cache, const shoal_disk_options *options,
                          shoal_disk **out)
{
    SHOAL_ASSERT(out != NULL && options->cookie == COOKIE);
    if (options->directory == NULL || options->policy > SHOAL_DISK_NO) return SHOAL_ERR_INVALID;
    if (cache->threads < 1 || cache->allocator.allocate == NULL) return SHOAL_ERR_INVALID;
    shoal_disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL) return SHOAL_ERR_NO_MEMORY;
    disk->directory = -1;
    disk->say = options->say;
    disk->say_context = options->say_context;
    make_locks(disk);
    shoal_err error = take_directory(disk, options->directory);
    if (error == SHOAL_ERR_OK) error = open_threads(disk, cache, options);
    if (error != SHOAL_ERR_OK) {
        take_down(disk);
        return error;
    }
    *out = disk;
    return SHOAL_ERR_OK;
}

shoal_err shoal_disk_close(shoal_disk *disk)
{
    if (disk == NULL) return SHOAL_ERR_OK;
    stop_control(disk);
    shoal_err error = shoal_keeper_trouble(disk->keeper);
    bool all = shoal_keeper_durable(disk->keeper) >= shoal_keeper_place(disk->keeper);
    if (error == SHOAL_ERR_OK && !all) error = SHOAL_ERR_IO;
    take_down(disk);
    return error;
}

/* ---- what others ask ---- */

shoal_cache *shoal_disk_cache(shoal_disk *disk)
{
    return shoal_keeper_cache(disk->keeper);
}

uint64_t shoal_disk_written(const shoal_disk *disk)
{
    return shoal_keeper_place(disk->keeper);
}

uint64_t shoal_disk_durable(const shoal_disk *disk)
{
    return shoal_keeper_durable(disk->keeper);
}

shoal_err shoal_disk_trouble(const shoal_disk *disk)
{
    return shoal_keeper_trouble(disk->keeper);
}

shoal_err shoal_disk_sync(shoal_disk *disk)
{
    uint64_t place = shoal_keeper_place(disk->keeper);
    shoal_err error = shoal_keeper_trouble(disk->keeper);
    if (error != SHOAL_ERR_OK || shoal_keeper_durable(disk->keeper) >= place) return error;
    pthread_mutex_lock(&disk->lock);
    disk->waiters++;
    disk->woken = true;
    pthread_cond_broadcast(&disk->wake);
    while (shoal_keeper_durable(disk->keeper) < place) {
        error = shoal_keeper_trouble(disk->keeper);
        if (error != SHOAL_ERR_OK) break;
        pthread_cond_wait(&disk->changed, &disk->lock);
    }
    disk->waiters--;
    pthread_mutex_unlock(&disk->lock);
    return error;
}

void shoal_disk_rewrite(shoal_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    disk->rewrites = disk->woken = true;
    pthread_cond_broadcast(&disk->wake);
    pthread_mutex_unlock(&disk->lock);
}

void shoal_disk_stats_get(shoal_disk *disk, shoal_disk_stats *out)
{
    pthread_mutex_lock(&disk->lock);
    *out = (shoal_disk_stats){.bytes = disk->stats.size,
                              .bytes_base = disk->stats.base_size,
                              .rewrites = disk->stats.rewrites,
                              .rewrites_failed = disk->stats.failures,
                              .keys_loaded = disk->stats.load_keys,
                              .keys_expired = disk->stats.load_expired,
                              .rewriting = disk->stats.rewriting};
    pthread_mutex_unlock(&disk->lock);
}
