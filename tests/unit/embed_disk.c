/* SPDX-License-Identifier: MIT
 *
 * shoal/disk.h on real files in a folder of its own: what was written is there when it is opened
 * again, by whatever way it was written; damage is refused, a torn end is cut off; rewrites, locks
 * and syncs.
 */
#include <shoal/command.h>
#include <shoal/disk.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/test.h"

#define THREADS 4

/* A folder, the disk on it, and what it has said. */
typedef struct place {
    char directory[64];
    char said[4096];
    shoal_disk_options options;
    shoal_disk *disk;
    shoal_cache *cache;
    shoal_cache_thread *me;
} place;

static void say(void *context, shoal_disk_level level, const char *line)
{
    place *at = context;
    size_t used = strlen(at->said);
    (void)level;
    snprintf(at->said + used, sizeof at->said - used, "%s\n", line);
}

static void place_make(place *at)
{
    *at = (place){.options = shoal_disk_options_default()};
    snprintf(at->directory, sizeof at->directory, "/tmp/shoal-disk-XXXXXX");
    assert_non_null(mkdtemp(at->directory));
    at->options.directory = at->directory;
    at->options.say = say;
    at->options.say_context = at;
}

static shoal_err try_open(place *at)
{
    shoal_cache_options cache = shoal_cache_options_default();
    cache.allocator = shoal_allocator_default();
    cache.threads = THREADS;
    at->said[0] = '\0';
    shoal_err error = shoal_disk_open(&cache, &at->options, &at->disk);
    if (error != 0) return error;
    at->cache = shoal_disk_cache(at->disk);
    at->me = shoal_cache_thread_at(at->cache, 0);
    return 0;
}

static void place_open(place *at)
{
    shoal_err error = try_open(at);
    if (error != 0) fail_msg("%s: %s", shoal_err_text(error), at->said);
    shoal_cache_enter(at->me, shoal_time_now());
}

static void place_close(place *at)
{
    shoal_cache_leave(at->me);
    assert_int_equal(shoal_disk_close(at->disk), 0);
}

static void reopen(place *at)
{
    place_close(at);
    place_open(at);
}

static void place_remove(const place *at)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", at->directory);
    assert_int_equal(system(command), 0);
}

static shoal_slice text(const char *of)
{
    return shoal_slice_of(of);
}

static void put(place *at, const char *key, const char *value, int64_t expires_ms)
{
    shoal_err error;
    while ((error = shoal_cache_put(at->me, text(key), text(value), expires_ms)) == SHOAL_ERR_BUSY)
        continue;
    assert_int_equal(error, 0);
}

/* What a key holds, or "(none)". */
static const char *get(place *at, const char *key)
{
    static __thread char held[256];
    size_t size;
    shoal_err error = shoal_cache_copy(at->me, text(key), held, sizeof held - 1, &size);
    if (error == SHOAL_ERR_NOT_FOUND) return "(none)";
    assert_int_equal(error, 0);
    held[size] = '\0';
    return held;
}

/* Runs a command; the reply as it would be sent. */
static const char *run(place *at, const char *line)
{
    static char said[1024];
    shoal_commands *commands;
    shoal_commands_options options = shoal_commands_options_default();
    options.allocator = shoal_allocator_default();
    options.protocol = 2;
    assert_int_equal(shoal_commands_open(at->cache, &options, &commands), 0);
    shoal_buffer reply = shoal_buffer_make(&options.allocator);
    assert_int_equal(shoal_command_line(commands, at->me, line, &reply), 0);
    shoal_slice bytes = shoal_buffer_slice(&reply);
    assert_true(bytes.size < sizeof said);
    memcpy(said, bytes.data, bytes.size);
    said[bytes.size] = '\0';
    shoal_buffer_free(&reply);
    shoal_commands_close(commands);
    return said;
}

/* The only file of the folder whose name ends so. */
static void path_of(const place *at, const char *end, char path[160])
{
    char command[160];
    snprintf(command, sizeof command, "ls '%s'/appendonlydir/*%s", at->directory, end);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    assert_non_null(fgets(path, 160, list));
    path[strcspn(path, "\n")] = '\0';
    pclose(list);
}

static void every_kind_of_write_is_found_again(void **state)
{
    place at;
    int64_t sum;
    size_t size;
    shoal_cache_value taken;
    (void)state;
    place_make(&at);
    place_open(&at);
    put(&at, "a", "one", SHOAL_CACHE_FOREVER);
    put(&at, "long", "lives", 4102444800000);
    put(&at, "short", "was", SHOAL_CACHE_FOREVER);
    assert_int_equal(shoal_cache_expire(at.me, text("short"), 4102444800001), 0);
    put(&at, "kept", "old", 4102444800002);
    shoal_cache_put_options keep = shoal_cache_put_options_default();
    keep.keep_expiry = true;
    assert_int_equal(shoal_cache_put_with(at.me, text("kept"), text("new"), &keep), 0);
    put(&at, "free", "again", 4102444800003);
    assert_int_equal(shoal_cache_persist(at.me, text("free")), 0);
    put(&at, "gone", "x", SHOAL_CACHE_FOREVER);
    assert_int_equal(shoal_cache_remove(at.me, text("gone")), 0);
    put(&at, "taken", "x", SHOAL_CACHE_FOREVER);
    assert_int_equal(shoal_cache_take(at.me, text("taken"), &taken), 0);
    assert_int_equal(shoal_cache_increment(at.me, text("n"), 40, &sum), 0);
    assert_int_equal(shoal_cache_increment(at.me, text("n"), 2, &sum), 0);
    assert_int_equal(shoal_cache_append(at.me, text("log"), text("ab"), &size), 0);
    assert_int_equal(shoal_cache_append(at.me, text("log"), text("cd"), &size), 0);
    shoal_cache_entry late = {.key = text("late"), .value = text("too"), .expires_ms = -1};
    assert_int_equal(shoal_cache_put_later(at.me, &late, NULL, NULL), 0);
    put(&at, "over", "x", 1);
    reopen(&at);
    assert_string_equal(get(&at, "a"), "one");
    assert_string_equal(get(&at, "kept"), "new");
    assert_string_equal(get(&at, "gone"), "(none)");
    assert_string_equal(get(&at, "taken"), "(none)");
    assert_string_equal(get(&at, "over"), "(none)");
    assert_string_equal(get(&at, "n"), "42");
    assert_string_equal(get(&at, "log"), "abcd");
    assert_string_equal(get(&at, "late"), "too");
    assert_string_equal(run(&at, "PEXPIRETIME long"), ":4102444800000\r\n");
    assert_string_equal(run(&at, "PEXPIRETIME short"), ":4102444800001\r\n");
    assert_string_equal(run(&at, "PEXPIRETIME kept"), ":4102444800002\r\n");
    assert_string_equal(run(&at, "PEXPIRETIME free"), ":-1\r\n");
    place_close(&at);
    place_remove(&at);
}

static void what_commands_did_is_found_again(void **state)
{
    place at;
    (void)state;
    place_make(&at);
    place_open(&at);
    run(&at, "RPUSH list a b c");
    run(&at, "LPOP list");
    run(&at, "HSET hash f 1 g 2");
    run(&at, "ZADD zset 1.5 x 2 y");
    run(&at, "SADD set 1 2 3");
    run(&at, "SET s v EX 100000");
    run(&at, "RENAME s t");
    run(&at, "SINTERSTORE copy set set");
    run(&at, "MSET m1 1 m2 2");
    run(&at, "DEL m1");
    put(&at, "mixed", "1", SHOAL_CACHE_FOREVER);
    run(&at, "INCRBYFLOAT mixed 0.5");
    reopen(&at);
    assert_string_equal(run(&at, "LRANGE list 0 -1"), "*2\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_string_equal(run(&at, "HGET hash g"), "$1\r\n2\r\n");
    assert_string_equal(run(&at, "ZSCORE zset x"), "$3\r\n1.5\r\n");
    assert_string_equal(run(&at, "SCARD copy"), ":3\r\n");
    assert_string_equal(run(&at, "EXISTS s t m1 m2"), ":2\r\n");
    assert_string_equal(get(&at, "mixed"), "1.5");
    place_close(&at);
    place_remove(&at);
}

static void a_clear_clears_what_stands_before_it_only(void **state)
{
    place at;
    (void)state;
    place_make(&at);
    place_open(&at);
    put(&at, "before", "x", SHOAL_CACHE_FOREVER);
    assert_int_equal(shoal_cache_clear(at.me), 0);
    put(&at, "behind", "y", SHOAL_CACHE_FOREVER);
    reopen(&at);
    assert_string_equal(get(&at, "before"), "(none)");
    assert_string_equal(get(&at, "behind"), "y");
    assert_string_equal(run(&at, "FLUSHALL"), "+OK\r\n");
    reopen(&at);
    assert_string_equal(get(&at, "behind"), "(none)");
    place_close(&at);
    place_remove(&at);
}

static void seen_gone(void *context, shoal_slice key, const shoal_cache_value *value,
                      shoal_cache_reason reason)
{
    (void)value;
    (void)reason;
    memcpy(context, key.data, key.size);
}

static void the_embedder_still_sees_what_goes(void **state)
{
    place at;
    char gone[8] = "";
    (void)state;
    place_make(&at);
    shoal_cache_options cache = shoal_cache_options_default();
    cache.allocator = shoal_allocator_default();
    cache.gone = seen_gone;
    cache.gone_context = gone;
    assert_int_equal(shoal_disk_open(&cache, &at.options, &at.disk), 0);
    at.cache = shoal_disk_cache(at.disk);
    at.me = shoal_cache_thread_at(at.cache, 0);
    shoal_cache_enter(at.me, shoal_time_now());
    put(&at, "k", "v", 1);
    put(&at, "k", "w", SHOAL_CACHE_FOREVER);
    assert_string_equal(gone, "k");
    reopen(&at);
    assert_string_equal(get(&at, "k"), "w");
    place_close(&at);
    place_remove(&at);
}

static void a_rewrite_keeps_everything(void **state)
{
    place at;
    char key[32];
    shoal_disk_stats stats;
    (void)state;
    place_make(&at);
    place_open(&at);
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        put(&at, key, key, SHOAL_CACHE_FOREVER);
    }
    shoal_disk_rewrite(at.disk);
    int more = 0;
    do {
        shoal_cache_leave(at.me);
        usleep(500);
        shoal_cache_enter(at.me, shoal_time_now());
        snprintf(key, sizeof key, "key:%d", more++ % 2000);
        put(&at, key, "changed", SHOAL_CACHE_FOREVER);
        shoal_disk_stats_get(at.disk, &stats);
    } while (stats.rewrites == 0);
    reopen(&at);
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        assert_string_equal(get(&at, key), i < more ? "changed" : key);
    }
    shoal_disk_stats_get(at.disk, &stats);
    assert_int_equal(stats.keys_loaded, 2000);
    place_close(&at);
    place_remove(&at);
}

static void a_directory_is_open_once(void **state)
{
    place at, other;
    (void)state;
    place_make(&at);
    place_open(&at);
    other = at;
    other.options.say_context = &other;
    assert_int_equal(try_open(&other), SHOAL_ERR_BUSY);
    assert_non_null(strstr(other.said, "Somebody else uses the directory"));
    place_close(&at);
    place_remove(&at);
}

static void a_torn_end_is_cut_off_or_refused(void **state)
{
    place at;
    char path[160];
    (void)state;
    place_make(&at);
    place_open(&at);
    put(&at, "whole", "1", SHOAL_CACHE_FOREVER);
    place_close(&at);
    path_of(&at, ".incr.aof", path);
    FILE *file = fopen(path, "a");
    fputs("*3\r\n$3\r\nSET\r\n$4\r\nto", file);
    fclose(file);
    at.options.load_truncated = false;
    assert_int_equal(try_open(&at), SHOAL_ERR_CORRUPT);
    assert_non_null(strstr(at.said, "Unexpected end of file"));
    at.options.load_truncated = true;
    place_open(&at);
    assert_string_equal(get(&at, "whole"), "1");
    put(&at, "next", "2", SHOAL_CACHE_FOREVER);
    reopen(&at);
    assert_string_equal(get(&at, "next"), "2");
    place_close(&at);
    place_remove(&at);
}

static void damage_is_refused_and_left_as_it_is(void **state)
{
    place at;
    char path[160];
    struct stat before, after;
    (void)state;
    place_make(&at);
    place_open(&at);
    put(&at, "a", "1", SHOAL_CACHE_FOREVER);
    put(&at, "b", "2", SHOAL_CACHE_FOREVER);
    place_close(&at);
    path_of(&at, ".incr.aof", path);
    FILE *file = fopen(path, "r+");
    fputs("garbage", file);
    fclose(file);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(try_open(&at), SHOAL_ERR_CORRUPT);
    assert_non_null(strstr(at.said, "Bad file format"));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    place_remove(&at);
}

static void keys_of_another_database_are_refused(void **state)
{
    place at;
    char path[160];
    (void)state;
    place_make(&at);
    place_open(&at);
    place_close(&at);
    path_of(&at, ".incr.aof", path);
    FILE *file = fopen(path, "a");
    fputs("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n", file);
    fclose(file);
    assert_int_equal(try_open(&at), SHOAL_ERR_CORRUPT);
    assert_non_null(strstr(at.said, "a database other than 0"));
    place_remove(&at);
}

static void a_directory_that_cannot_be_is_refused(void **state)
{
    place at;
    (void)state;
    place_make(&at);
    at.options.directory = "/proc/nothing/here";
    assert_int_equal(try_open(&at), SHOAL_ERR_IO);
    assert_non_null(strstr(at.said, "/proc/nothing/here"));
    place_remove(&at);
}

/* A thread that writes and syncs. */
typedef struct writer {
    place *at;
    uint32_t index;
    pthread_t thread;
} writer;

static void *write_and_sync(void *context)
{
    writer *me = context;
    place at = *me->at;
    char key[32];
    at.me = shoal_cache_thread_at(at.cache, me->index);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "%u:%d", me->index, i);
        shoal_cache_enter(at.me, shoal_time_now());
        put(&at, key, "v", SHOAL_CACHE_FOREVER);
        shoal_cache_leave(at.me);
        uint64_t behind = shoal_disk_written(at.disk);
        assert_int_equal(shoal_disk_sync(at.disk), 0);
        assert_true(shoal_disk_durable(at.disk) >= behind);
    }
    return NULL;
}

static void threads_sync_together(void **state)
{
    (void)state;
    for (int policy = SHOAL_DISK_EVERYSEC; policy <= SHOAL_DISK_NO; policy++) {
        place at;
        writer writers[THREADS];
        char key[32];
        place_make(&at);
        at.options.policy = (shoal_disk_policy)policy;
        place_open(&at);
        shoal_cache_leave(at.me);
        for (uint32_t i = 0; i < THREADS; i++) {
            writers[i] = (writer){.at = &at, .index = i};
            assert_int_equal(pthread_create(&writers[i].thread, NULL, write_and_sync, &writers[i]),
                             0);
        }
        for (uint32_t i = 0; i < THREADS; i++) pthread_join(writers[i].thread, NULL);
        assert_true(shoal_disk_durable(at.disk) >= shoal_disk_written(at.disk));
        assert_int_equal(shoal_disk_trouble(at.disk), 0);
        shoal_cache_enter(at.me, shoal_time_now());
        reopen(&at);
        for (int i = 0; i < THREADS * 50; i++) {
            snprintf(key, sizeof key, "%d:%d", i / 50, i % 50);
            assert_string_equal(get(&at, key), "v");
        }
        place_close(&at);
        place_remove(&at);
    }
}

/* ---- trouble ---- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Tries to put until what it says is `wanted`, or not for ever. The batch is left between. */
static void put_until(place *at, const char *key, bool wanted)
{
    for (int i = 0; i < 20000; i++) {
        shoal_err error = shoal_cache_put(at->me, text(key), text("v"), SHOAL_CACHE_FOREVER);
        shoal_cache_leave(at->me);
        shoal_cache_enter(at->me, shoal_time_now());
        if (error != SHOAL_ERR_BUSY && (error == 0) == wanted) return;
        usleep(1000);
    }
    fail_msg("%s: puts do not %s", key, wanted ? "succeed" : "fail");
}

static void a_disk_that_takes_nothing_refuses_writes_until_it_does(void **state)
{
    place at;
    (void)state;
    place_make(&at);
    place_open(&at);
    put(&at, "before", "1", SHOAL_CACHE_FOREVER);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(1);
    put(&at, "during", "2", SHOAL_CACHE_FOREVER);
    shoal_cache_leave(at.me);
    assert_int_not_equal(shoal_disk_sync(at.disk), 0);
    assert_int_not_equal(shoal_disk_trouble(at.disk), 0);
    shoal_cache_enter(at.me, shoal_time_now());
    put_until(&at, "refused", false);
    assert_string_equal(get(&at, "before"), "1");
    assert_non_null(strstr(run(&at, "SET a b"), "-MISCONF Errors writing to the AOF file"));
    limit_files(RLIM_INFINITY);
    put_until(&at, "behind", true);
    shoal_cache_leave(at.me);
    assert_int_equal(shoal_disk_sync(at.disk), 0);
    shoal_cache_enter(at.me, shoal_time_now());
    reopen(&at);
    assert_string_equal(get(&at, "before"), "1");
    assert_string_equal(get(&at, "during"), "2");
    assert_string_equal(get(&at, "behind"), "v");
    place_close(&at);
    place_remove(&at);
}

/* An allocator that gives nothing large while it is told so: no room for the log. */
static _Atomic bool nothing_large;

static void *take_small(void *context, size_t size, size_t alignment)
{
    const shoal_allocator *from = context;
    if (size >= 1u << 20 && nothing_large) return NULL;
    return from->allocate(from->context, size, alignment);
}

static void *take_small_zeroed(void *context, size_t size, size_t alignment)
{
    const shoal_allocator *from = context;
    if (size >= 1u << 20 && nothing_large) return NULL;
    return from->allocate_zeroed(from->context, size, alignment);
}

static void what_there_was_no_memory_to_tell_is_rewritten(void **state)
{
    place at;
    char key[32], large[8192];
    shoal_allocator plain = shoal_allocator_default();
    (void)state;
    place_make(&at);
    shoal_cache_options cache = shoal_cache_options_default();
    cache.allocator = plain;
    cache.allocator.context = &plain;
    cache.allocator.allocate = take_small;
    cache.allocator.allocate_zeroed = take_small_zeroed;
    assert_int_equal(shoal_disk_open(&cache, &at.options, &at.disk), 0);
    at.cache = shoal_disk_cache(at.disk);
    at.me = shoal_cache_thread_at(at.cache, 0);
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    shoal_cache_enter(at.me, shoal_time_now());
    nothing_large = true;
    int count = 0;
    shoal_err error = 0;
    for (; count < 2000 && error == 0; count++) {
        snprintf(key, sizeof key, "key:%d", count);
        error = shoal_cache_put(at.me, text(key), text(large), SHOAL_CACHE_FOREVER);
        if (error == 0) error = shoal_disk_trouble(at.disk);
    }
    assert_int_equal(error, SHOAL_ERR_NO_MEMORY);
    shoal_cache_leave(at.me);
    assert_int_equal(shoal_disk_sync(at.disk), SHOAL_ERR_NO_MEMORY);
    nothing_large = false;
    shoal_cache_enter(at.me, shoal_time_now());
    put_until(&at, "behind", true);
    shoal_cache_leave(at.me);
    assert_int_equal(shoal_disk_sync(at.disk), 0);
    shoal_cache_enter(at.me, shoal_time_now());
    reopen(&at);
    assert_string_equal(get(&at, "behind"), "v");
    for (int i = 0; i < count; i++) {
        shoal_cache_value value;
        snprintf(key, sizeof key, "key:%d", i);
        assert_int_equal(shoal_cache_get(at.me, text(key), &value), 0);
    }
    place_close(&at);
    place_remove(&at);
}

static void a_limit_holds_from_the_opening_on(void **state)
{
    place at;
    char key[32];
    shoal_cache_stats stats;
    (void)state;
    place_make(&at);
    place_open(&at);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        put(&at, key, "v", SHOAL_CACHE_FOREVER);
    }
    place_close(&at);
    shoal_cache_options cache = shoal_cache_options_default();
    cache.allocator = shoal_allocator_default();
    cache.limits.keys = 100;
    assert_int_equal(shoal_disk_open(&cache, &at.options, &at.disk), 0);
    at.cache = shoal_disk_cache(at.disk);
    at.me = shoal_cache_thread_at(at.cache, 0);
    shoal_cache_stats_get(at.cache, &stats);
    assert_int_equal(stats.keys, 500);
    shoal_cache_enter(at.me, shoal_time_now());
    assert_int_equal(shoal_cache_put(at.me, text("new"), text("v"), -1), SHOAL_ERR_NO_MEMORY);
    place_close(&at);
    place_remove(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_write_is_found_again),
        cmocka_unit_test(what_commands_did_is_found_again),
        cmocka_unit_test(a_clear_clears_what_stands_before_it_only),
        cmocka_unit_test(the_embedder_still_sees_what_goes),
        cmocka_unit_test(a_rewrite_keeps_everything),
        cmocka_unit_test(a_directory_is_open_once),
        cmocka_unit_test(a_torn_end_is_cut_off_or_refused),
        cmocka_unit_test(damage_is_refused_and_left_as_it_is),
        cmocka_unit_test(keys_of_another_database_are_refused),
        cmocka_unit_test(a_directory_that_cannot_be_is_refused),
        cmocka_unit_test(threads_sync_together),
        cmocka_unit_test(a_disk_that_takes_nothing_refuses_writes_until_it_does),
        cmocka_unit_test(what_there_was_no_memory_to_tell_is_rewritten),
        cmocka_unit_test(a_limit_holds_from_the_opening_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
