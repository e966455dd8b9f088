/* SPDX-License-Identifier: MIT
 *
 * What tests/system/disk.t kills: a program that keeps a cache on a directory.
 *
 *     disk_writer write DIRECTORY POLICY THREADS    until it is killed; prints "THREAD NUMBER" for
 *                                                   every batch once it is safe
 *     disk_writer read DIRECTORY POLICY THREADS     prints what each thread has left
 *     disk_writer run DIRECTORY COMMAND             prints the reply
 *
 * A thread numbers its batches, each of which writes in three ways: a put, an increment, and a
 * command. With `always` a batch is safe when it has been synced, else when it has been left: only
 * the process dies.
 */
#include <shoal/command.h>
#include <shoal/disk.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 16

/* What the threads share. */
typedef struct world {
    shoal_disk *disk;
    shoal_cache *cache;
    shoal_commands *commands;
    shoal_commands_options options;
    bool syncs;
} world;

typedef struct writer {
    world *of;
    uint32_t index;
    pthread_t thread;
} writer;

static void die(const char *what, shoal_err error)
{
    fprintf(stderr, "%s: %s\n", what, shoal_err_text(error));
    exit(1);
}

static void say(void *context, shoal_disk_level level, const char *line)
{
    (void)context;
    if (level == SHOAL_DISK_WARNING) fprintf(stderr, "%s\n", line);
}

static void open_world(world *made, const char *directory, const char *policy, uint32_t threads)
{
    shoal_cache_options cache = shoal_cache_options_default();
    shoal_disk_options options = shoal_disk_options_default();
    cache.allocator = shoal_allocator_default();
    cache.threads = threads;
    options.directory = directory;
    options.say = say;
    options.policy = SHOAL_DISK_EVERYSEC;
    if (strcmp(policy, "always") == 0) options.policy = SHOAL_DISK_ALWAYS;
    if (strcmp(policy, "no") == 0) options.policy = SHOAL_DISK_NO;
    shoal_err error = shoal_disk_open(&cache, &options, &made->disk);
    if (error != 0) die(directory, error);
    made->cache = shoal_disk_cache(made->disk);
    made->options = shoal_commands_options_default();
    made->options.allocator = shoal_allocator_default();
    made->options.protocol = 2;
    made->syncs = options.policy == SHOAL_DISK_ALWAYS;
    error = shoal_commands_open(made->cache, &made->options, &made->commands);
    if (error != 0) die("commands", error);
}

/* The number that a key holds, or 0. */
static long long number_of(shoal_cache_thread *me, const char *key)
{
    char held[32] = "0";
    size_t size = 0;
    if (shoal_cache_copy(me, shoal_slice_of(key), held, sizeof held - 1, &size) == 0)
        held[size] = '\0';
    return atoll(held);
}

/* The number that a command answers with. */
static long long number_from(world *of, shoal_cache_thread *me, const char *line)
{
    shoal_buffer reply = shoal_buffer_make(&of->options.allocator);
    shoal_err error;
    while ((error = shoal_command_line(of->commands, me, line, &reply)) == SHOAL_ERR_BUSY) continue;
    if (error != 0) die(line, error);
    shoal_buffer_append(&reply, (shoal_slice){"", 1});
    long long number = atoll(shoal_buffer_slice(&reply).data + 1);
    shoal_buffer_free(&reply);
    return number;
}

/* One batch; what another thread is in the way of is tried again. */
static void write_batch(world *of, shoal_cache_thread *me, uint32_t index, long long number)
{
    char key[32], value[32], line[80];
    int64_t sum;
    shoal_err error;
    snprintf(value, sizeof value, "%lld", number);
    snprintf(key, sizeof key, "client:%u", index);
    while ((error = shoal_cache_put(me, shoal_slice_of(key), shoal_slice_of(value), -1)) ==
           SHOAL_ERR_BUSY)
        continue;
    if (error != 0) die("put", error);
    snprintf(key, sizeof key, "count:%u", index);
    while ((error = shoal_cache_increment(me, shoal_slice_of(key), 1, &sum)) == SHOAL_ERR_BUSY)
        continue;
    if (error != 0) die("increment", error);
    snprintf(line, sizeof line, "RPUSH list:%u %lld", index, number);
    (void)number_from(of, me, line);
}

static void *write_for_ever(void *context)
{
    writer *me = context;
    shoal_cache_thread *thread = shoal_cache_thread_at(me->of->cache, me->index);
    char line[64];
    shoal_cache_enter(thread, shoal_time_now());
    snprintf(line, sizeof line, "client:%u", me->index);
    long long number = number_of(thread, line);
    shoal_cache_leave(thread);
    for (;;) {
        shoal_cache_enter(thread, shoal_time_now());
        write_batch(me->of, thread, me->index, ++number);
        (void)shoal_cache_maintain(thread, 50);
        shoal_cache_leave(thread);
        if (me->of->syncs) {
            shoal_err error = shoal_disk_sync(me->of->disk);
            if (error != 0) die("sync", error);
        }
        int size = snprintf(line, sizeof line, "%u %lld\n", me->index, number);
        if (write(1, line, (size_t)size) != size) exit(1);
        if (me->index == 0 && number % 97 == 0) shoal_disk_rewrite(me->of->disk);
    }
    return NULL;
}

/* Says what thread `index` has left, then completes a batch that was lost half way. */
static void print_found(world *of, shoal_cache_thread *me, uint32_t index)
{
    char client[32], count[32], length[64], line[80];
    snprintf(client, sizeof client, "client:%u", index);
    snprintf(count, sizeof count, "count:%u", index);
    snprintf(length, sizeof length, "LLEN list:%u", index);
    long long number = number_of(me, client), entries = number_from(of, me, length);
    printf("%u %lld %lld %lld\n", index, number, number_of(me, count), entries);
    snprintf(line, sizeof line, "SET count:%u %lld", index, number);
    (void)number_from(of, me, line);
    snprintf(line, sizeof line, "RPUSH list:%u %lld", index, number);
    if (entries < number) (void)number_from(of, me, line);
}

static void print_all_found(world *of, uint32_t threads)
{
    shoal_cache_thread *me = shoal_cache_thread_at(of->cache, 0);
    shoal_cache_enter(me, shoal_time_now());
    for (uint32_t i = 0; i < threads; i++) print_found(of, me, i);
    shoal_cache_leave(me);
}

static void print_reply(world *of, const char *line)
{
    shoal_cache_thread *me = shoal_cache_thread_at(of->cache, 0);
    shoal_buffer reply = shoal_buffer_make(&of->options.allocator);
    shoal_cache_enter(me, shoal_time_now());
    shoal_err error = shoal_command_line(of->commands, me, line, &reply);
    if (error != 0) die("command", error);
    shoal_cache_leave(me);
    fwrite(shoal_buffer_slice(&reply).data, 1, shoal_buffer_size(&reply), stdout);
    shoal_buffer_free(&reply);
}

static int close_world(world *of)
{
    shoal_commands_close(of->commands);
    shoal_err error = shoal_disk_close(of->disk);
    if (error != 0) die("close", error);
    return 0;
}

int main(int argc, char **argv)
{
    world made;
    writer writers[THREADS_MAX];
    if (argc == 4 && strcmp(argv[1], "run") == 0) {
        open_world(&made, argv[2], "no", 1);
        print_reply(&made, argv[3]);
        return close_world(&made);
    }
    int threads = argc == 5 ? atoi(argv[4]) : 0;
    if (threads < 1 || threads > THREADS_MAX) return 2;
    open_world(&made, argv[2], argv[3], (uint32_t)threads);
    if (strcmp(argv[1], "read") == 0) {
        print_all_found(&made, (uint32_t)threads);
        return close_world(&made);
    }
    for (int i = 0; i < threads; i++) {
        writers[i] = (writer){.of = &made, .index = (uint32_t)i};
        if (pthread_create(&writers[i].thread, NULL, write_for_ever, &writers[i]) != 0) return 1;
    }
    for (int i = 0; i < threads; i++) pthread_join(writers[i].thread, NULL);
    return 0;
}
