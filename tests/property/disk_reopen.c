/* SPDX-License-Identifier: MIT
 *
 * A cache that is kept on disk, under random writes of every kind and by commands, closed and
 * opened again at random: it always holds what it held before, key by key, whatever was
 * rewritten meanwhile. SHOAL_SEED replays one run.
 */
#include <shoal/command.h>
#include <shoal/disk.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "support/test.h"

#define KEYS 60
#define OPERATIONS 4000

/* A run. */
typedef struct world {
    char directory[64];
    shoal_disk_options options;
    shoal_disk *disk;
    shoal_cache_thread *me;
    shoal_commands *commands;
    shoal_buffer reply;
    uint64_t random;
    int64_t far_ms;
} world;

static uint64_t draw(world *of, uint64_t below)
{
    of->random ^= of->random << 13;
    of->random ^= of->random >> 7;
    of->random ^= of->random << 17;
    return (of->random >> 11) % below;
}

static void open_world(world *of)
{
    shoal_cache_options cache = shoal_cache_options_default();
    shoal_commands_options commands = shoal_commands_options_default();
    commands.allocator = cache.allocator = shoal_allocator_default();
    commands.protocol = 2;
    assert_int_equal(shoal_disk_open(&cache, &of->options, &of->disk), 0);
    shoal_cache *opened = shoal_disk_cache(of->disk);
    of->me = shoal_cache_thread_at(opened, 0);
    assert_int_equal(shoal_commands_open(opened, &commands, &of->commands), 0);
    shoal_cache_enter(of->me, shoal_time_now());
}

static void close_world(world *of)
{
    shoal_commands_close(of->commands);
    shoal_cache_leave(of->me);
    assert_int_equal(shoal_disk_close(of->disk), 0);
}

/* Lets others go on where one of them was in the way. */
static void pause_batch(world *of)
{
    shoal_cache_leave(of->me);
    shoal_cache_enter(of->me, shoal_time_now());
}

static void run_line(world *of, const char *line)
{
    shoal_err error;
    shoal_buffer_consume(&of->reply, shoal_buffer_size(&of->reply));
    while ((error = shoal_command_line(of->commands, of->me, line, &of->reply)) == SHOAL_ERR_BUSY)
        pause_batch(of);
    assert_int_equal(error, 0);
}

/* ---- writes ---- */

static void write_plainly(world *of, shoal_slice key, uint64_t which)
{
    char value[40];
    int64_t sum, at = draw(of, 3) == 0 ? of->far_ms + (int64_t)draw(of, 1000) : -1;
    size_t size;
    shoal_cache_value taken;
    int length =
        snprintf(value, sizeof value, draw(of, 2) ? "%" PRIu64 : "v%" PRIu64, draw(of, 100000));
    shoal_slice bytes = {value, (size_t)length};
    shoal_cache_put_options options = shoal_cache_put_options_default();
    options.expires_ms = at;
    options.keep_expiry = draw(of, 2) == 0;
    options.when = (shoal_cache_when)draw(of, 3);
    shoal_cache_entry late = {.key = key, .value = bytes, .expires_ms = at};
    shoal_err error;
    do {
        switch (which) {
        case 0: error = shoal_cache_put(of->me, key, bytes, at); break;
        case 1: error = shoal_cache_put_with(of->me, key, bytes, &options); break;
        case 2: error = shoal_cache_remove(of->me, key); break;
        case 3: error = shoal_cache_take(of->me, key, &taken); break;
        case 4: error = shoal_cache_expire(of->me, key, at); break;
        case 5: error = shoal_cache_persist(of->me, key); break;
        case 6: error = shoal_cache_increment(of->me, key, (int64_t)draw(of, 9) - 4, &sum); break;
        case 7: error = shoal_cache_append(of->me, key, bytes, &size); break;
        default: error = shoal_cache_put_later(of->me, &late, NULL, NULL); break;
        }
        if (error == SHOAL_ERR_BUSY) pause_batch(of);
    } while (error == SHOAL_ERR_BUSY);
}

static void write_by_command(world *of, const char *key)
{
    static const char *const lines[] = {
        "RPUSH %s a %d",         "LPOP %s",          "LREM %s 1 a",       "HSET %s f%d 1 g 2",
        "HINCRBYFLOAT %s g 0.5", "HDEL %s g",        "SADD %s a %d",      "SPOP %s",
        "ZADD %s %d m%d",        "ZPOPMIN %s",       "SET %s x EX 90000", "GETEX %s PERSIST",
        "COPY %s {k}copy",       "RENAME %s {k}was", "SETRANGE %s 4 abc", "INCRBYFLOAT %s 0.1",
        "PEXPIRE %s 9000000",    "UNLINK %s",
    };
    char line[160];
    int number = (int)draw(of, 12);
    snprintf(line, sizeof line, lines[draw(of, sizeof lines / sizeof lines[0])], key, number,
             number);
    run_line(of, line);
}

static void write_something(world *of)
{
    char key[32];
    uint64_t kind = draw(of, 1000);
    int size = snprintf(key, sizeof key, "{k}%" PRIu64, draw(of, KEYS));
    if (kind == 0)
        run_line(of, "FLUSHALL");
    else if (kind < 500)
        write_plainly(of, (shoal_slice){key, (size_t)size}, draw(of, 9));
    else
        write_by_command(of, key);
}

/* ---- what is there ---- */

/* The sum of the hashes of what a command answers, whose order may be another one tomorrow. */
static uint64_t sum_of(world *of, const char *format, const char *key)
{
    char line[96];
    uint64_t sum = 0;
    shoal_reply_part part;
    snprintf(line, sizeof line, format, key);
    run_line(of, line);
    shoal_reply_reader reader = shoal_reply_read(&of->reply);
    while (shoal_reply_next(&reader, &part))
        sum += shoal_hash(part.text, (uint64_t)part.integer + (uint64_t)part.kind);
    return sum;
}

/* The hash of a command's whole answer. */
static uint64_t hash_of(world *of, const char *format, const char *key)
{
    char line[96];
    snprintf(line, sizeof line, format, key);
    run_line(of, line);
    return shoal_hash(shoal_buffer_slice(&of->reply), 1);
}

static uint64_t look_at(world *of, const char *key)
{
    uint64_t type = hash_of(of, "TYPE %s", key), sum = type + hash_of(of, "PEXPIRETIME %s", key);
    sum = sum * 31 + hash_of(of, "GET %s", key);
    sum = sum * 31 + hash_of(of, "LRANGE %s 0 -1", key);
    sum = sum * 31 + hash_of(of, "ZRANGE %s 0 -1 WITHSCORES", key);
    sum = sum * 31 + sum_of(of, "HGETALL %s", key);
    return sum * 31 + sum_of(of, "SMEMBERS %s", key);
}

static void look_at_all(world *of, uint64_t found[KEYS + 2])
{
    char key[32];
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "{k}%d", i);
        found[i] = look_at(of, key);
    }
    found[KEYS] = look_at(of, "{k}copy");
    found[KEYS + 1] = look_at(of, "{k}was");
}

static void what_is_closed_is_opened_the_same(void **state)
{
    const char *given = getenv("SHOAL_SEED");
    uint64_t before[KEYS + 2], after[KEYS + 2];
    world of = {.options = shoal_disk_options_default(),
                .random =
                    given != NULL ? strtoull(given, NULL, 10) : (uint64_t)getpid() * 7919 + 1};
    (void)state;
    printf("SHOAL_SEED=%" PRIu64 "\n", of.random);
    snprintf(of.directory, sizeof of.directory, "/tmp/shoal-reopen-XXXXXX");
    assert_non_null(mkdtemp(of.directory));
    const shoal_allocator allocator = shoal_allocator_default();
    of.options.directory = of.directory;
    of.options.rewrite_bytes = 4096;
    of.reply = shoal_buffer_make(&allocator);
    of.far_ms = shoal_time_now().wall_us / 1000 + 10000000;
    open_world(&of);
    for (int i = 1; i <= OPERATIONS; i++) {
        write_something(&of);
        if (draw(&of, 20) == 0) pause_batch(&of);
        if (draw(&of, 300) == 0) shoal_disk_rewrite(of.disk);
        if (draw(&of, 400) != 0 && i != OPERATIONS) continue;
        pause_batch(&of);
        look_at_all(&of, before);
        close_world(&of);
        open_world(&of);
        look_at_all(&of, after);
        for (int k = 0; k < KEYS + 2; k++) {
            if (before[k] != after[k]) fail_msg("operation %d: key %d is another one", i, k);
        }
    }
    close_world(&of);
    shoal_buffer_free(&of.reply);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", of.directory);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_closed_is_opened_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
