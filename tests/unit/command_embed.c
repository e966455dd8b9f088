/* SPDX-License-Identifier: MIT
 *
 * Commands without a socket, as an embedder meets them: only public headers, and a test allocator
 * that sees that everything comes back.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include <shoal/command.h>

#include "support/allocator.h"

/* A cache with its commands, and the reply of the last one. */
typedef struct shop {
    test_heap heap;
    shoal_allocator allocator;
    shoal_cache *cache;
    shoal_cache_thread *me;
    shoal_commands *commands;
    shoal_buffer reply;
    int64_t ms;
} shop;

static shoal_time at(int64_t ms)
{
    return (shoal_time){.mono_us = ms * 1000, .wall_us = (1700000000000 + ms) * 1000};
}

static void open_shop(shop *s, uint32_t protocol, uint32_t threads)
{
    *s = (shop){0};
    s->allocator = test_allocator(&s->heap);
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = s->allocator;
    options.threads = threads;
    assert_int_equal(shoal_cache_open(&options, &s->cache), 0);
    shoal_commands_options more = shoal_commands_options_default();
    more.allocator = s->allocator;
    more.protocol = protocol;
    assert_int_equal(shoal_commands_open(s->cache, &more, &s->commands), 0);
    s->reply = shoal_buffer_make(&s->allocator);
    s->me = shoal_cache_thread_at(s->cache, 0);
    shoal_cache_enter(s->me, at(0));
}

static void close_shop(shop *s)
{
    shoal_cache_leave(s->me);
    shoal_buffer_free(&s->reply);
    shoal_commands_close(s->commands);
    shoal_cache_close(s->cache);
    assert_int_equal(s->heap.blocks, 0);
}

/* Runs a line; its reply is what is written. */
static void asks(shop *s, const char *line, const char *want)
{
    shoal_buffer_consume(&s->reply, shoal_buffer_size(&s->reply));
    assert_int_equal(shoal_command_line(s->commands, s->me, line, &s->reply), 0);
    test_slice_is(shoal_buffer_slice(&s->reply), want);
}

static void a_command_answers_as_a_server_would(void **state)
{
    (void)state;
    shop s;
    open_shop(&s, 2, 1);
    asks(&s, "PING", "+PONG\r\n");
    asks(&s, "set k \"two words\"", "+OK\r\n");
    asks(&s, "GET k", "$9\r\ntwo words\r\n");
    asks(&s, "MSET a 1 b 2 c 3", "+OK\r\n");
    asks(&s, "MGET a b none", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
    asks(&s, "INCRBY a 41", ":42\r\n");
    asks(&s, "DEL a b none", ":2\r\n");
    asks(&s, "RPUSH l x y z", ":3\r\n");
    asks(&s, "LRANGE l 0 -1", "*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n");
    asks(&s, "TYPE l", "+list\r\n");
    asks(&s, "INCR l", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    asks(&s, "DBSIZE", ":3\r\n");
    asks(&s, "FLUSHALL", "+OK\r\n");
    asks(&s, "DBSIZE", ":0\r\n");
    asks(&s, "KEYS *", "*0\r\n");
    close_shop(&s);
}

static void what_cannot_run_is_said_in_an_error_reply(void **state)
{
    (void)state;
    shop s;
    open_shop(&s, 2, 1);
    asks(&s, "nonsense 1 2", "-ERR unknown command 'nonsense'\r\n");
    asks(&s, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
    asks(&s, "CONFIG GET port", "-ERR 'config|get' needs a node, and there is none here\r\n");
    asks(&s, "AUTH secret", "-ERR 'auth' needs a node, and there is none here\r\n");
    asks(&s, "MOVE k 1", "-ERR 'move' needs a node, and there is none here\r\n");
    asks(&s, "COMMAND nonsense", "-ERR unknown subcommand 'nonsense'.\r\n");
    asks(&s, "FLUSHALL now", "-ERR syntax error\r\n");
    close_shop(&s);
}

static void what_would_wait_for_a_key_answers_at_once(void **state)
{
    (void)state;
    shop s;
    open_shop(&s, 2, 1);
    asks(&s, "BLPOP l 0", "*-1\r\n");
    asks(&s, "RPUSH l x", ":1\r\n");
    asks(&s, "BLPOP none l 0", "*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
    asks(&s, "EXISTS l", ":0\r\n");
    close_shop(&s);
}

static void every_executable_command_answers_something(void **state)
{
    (void)state;
    shop s;
    open_shop(&s, 3, 1);
    asks(&s, "SET COUNT 1", "+OK\r\n");
    shoal_slice argv[8];
    shoal_buffer names = shoal_buffer_make(&s.allocator);
    assert_int_equal(shoal_command_line(s.commands, s.me, "COMMAND LIST", &names), 0);
    shoal_reply_reader reader = shoal_reply_read(&names);
    shoal_reply_part name;
    assert_true(shoal_reply_next(&reader, &name));
    assert_true(name.count > 100);
    uint32_t ran = 0;
    while (shoal_reply_next(&reader, &name)) {
        for (size_t argc = 1; argc <= 8; argc++) {
            argv[0] = name.text;
            for (size_t i = 1; i < argc; i++) argv[i] = (shoal_slice){"1", 1};
            shoal_buffer_consume(&s.reply, shoal_buffer_size(&s.reply));
            assert_int_equal(shoal_command_run(s.commands, s.me, argc, argv, &s.reply), 0);
            shoal_reply_reader one = shoal_reply_read(&s.reply);
            assert_true(shoal_reply_skip(&one));
            assert_int_equal(one.rest.size, 0);
            ran++;
        }
    }
    assert_true(ran > 800);
    shoal_buffer_free(&names);
    close_shop(&s);
}

static void a_reader_walks_through_what_is_nested(void **state)
{
    (void)state;
    shop s;
    open_shop(&s, 3, 1);
    shoal_reply_part part;
    asks(&s, "HSET h f v g 2", ":2\r\n");
    asks(&s, "HGETALL h", "%2\r\n$1\r\nf\r\n$1\r\nv\r\n$1\r\ng\r\n$1\r\n2\r\n");
    shoal_reply_reader reader = shoal_reply_read(&s.reply);
    assert_true(shoal_reply_next(&reader, &part));
    assert_int_equal(part.kind, SHOAL_REPLY_MAP);
    assert_int_equal(part.count, 4);
    assert_true(shoal_reply_next(&reader, &part));
    assert_int_equal(part.kind, SHOAL_REPLY_STRING);
    test_slice_is(part.text, "f");
    assert_true(shoal_reply_skip(&reader));
    assert_true(shoal_reply_next(&reader, &part));
    test_slice_is(part.text, "g");
    assert_true(shoal_reply_next(&reader, &part));
    assert_false(shoal_reply_next(&reader, &part));
    assert_false(shoal_reply_skip(&reader));

    asks(&s, "GET none", "_\r\n");
    reader = shoal_reply_read(&s.reply);
    assert_true(shoal_reply_next(&reader, &part));
    assert_int_equal(part.kind, SHOAL_REPLY_NULL);
    asks(&s, "INCR n", ":1\r\n");
    reader = shoal_reply_read(&s.reply);
    assert_true(shoal_reply_next(&reader, &part));
    assert_int_equal(part.kind, SHOAL_REPLY_INTEGER);
    assert_int_equal(part.integer, 1);
    asks(&s, "GET h", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    reader = shoal_reply_read(&s.reply);
    assert_true(shoal_reply_next(&reader, &part));
    assert_int_equal(part.kind, SHOAL_REPLY_ERROR);
    assert_memory_equal(part.text.data, "WRONGTYPE ", 10);
    close_shop(&s);
}

static void a_reader_knows_every_kind(void **state)
{
    (void)state;
    char text[] =
        "+OK\r\n#t\r\n,1.5\r\n~1\r\n:7\r\n=5\r\ntxt:a\r\n*-1\r\n|1\r\n+k\r\n:1\r\n$1\r\nz\r\n"
        "(123\r\n:x";
    const shoal_buffer replies = {.data = text, .end = strlen(text)};
    static const shoal_reply_kind kinds[] = {SHOAL_REPLY_STATUS,  SHOAL_REPLY_BOOLEAN,
                                             SHOAL_REPLY_DOUBLE,  SHOAL_REPLY_SET,
                                             SHOAL_REPLY_INTEGER, SHOAL_REPLY_STRING,
                                             SHOAL_REPLY_NULL,    SHOAL_REPLY_STRING,
                                             SHOAL_REPLY_STRING};
    shoal_reply_reader reader = shoal_reply_read(&replies);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        shoal_reply_part part;
        assert_true(shoal_reply_next(&reader, &part));
        assert_int_equal(part.kind, kinds[i]);
        if (i == 1) assert_int_equal(part.integer, 1);
        if (i == 2) assert_true(part.number == 1.5);
        if (i == 5) test_slice_is(part.text, "a");
        if (i == 7) test_slice_is(part.text, "z");
    }
    shoal_reply_part part;
    assert_false(shoal_reply_next(&reader, &part));
}

static void both_faces_see_the_same_keys(void **state)
{
    (void)state;
    shop s;
    open_shop(&s, 2, 1);
    shoal_cache_value value;
    assert_int_equal(shoal_cache_put(s.me, shoal_slice_of("k"), shoal_slice_of("7"), -1), 0);
    asks(&s, "INCR k", ":8\r\n");
    assert_int_equal(shoal_cache_get(s.me, shoal_slice_of("k"), &value), 0);
    test_slice_is(value.bytes, "8");
    asks(&s, "SADD s a b", ":2\r\n");
    assert_int_equal(shoal_cache_get(s.me, shoal_slice_of("s"), &value), SHOAL_ERR_WRONG_TYPE);
    assert_int_equal(value.type, SHOAL_CACHE_SET);
    assert_null(value.bytes.data);
    int64_t sum;
    size_t size;
    assert_int_equal(shoal_cache_increment(s.me, shoal_slice_of("s"), 1, &sum),
                     SHOAL_ERR_WRONG_TYPE);
    assert_int_equal(shoal_cache_append(s.me, shoal_slice_of("s"), shoal_slice_of("x"), &size),
                     SHOAL_ERR_WRONG_TYPE);
    assert_int_equal(shoal_cache_take(s.me, shoal_slice_of("s"), &value), SHOAL_ERR_WRONG_TYPE);
    assert_int_equal(shoal_cache_remove(s.me, shoal_slice_of("s")), 0);
    asks(&s, "EXISTS s", ":0\r\n");
    close_shop(&s);
}

static void lines_are_split_as_redis_cli_splits_them(void **state)
{
    (void)state;
    shop s;
    open_shop(&s, 2, 1);
    asks(&s, "  set  'a b'  \"\\x41\\n\" ", "+OK\r\n");
    asks(&s, "get 'a b'", "$2\r\nA\n\r\n");
    assert_int_equal(shoal_command_line(s.commands, s.me, "get \"x", &s.reply),
                     SHOAL_ERR_MALFORMED);
    assert_int_equal(shoal_command_line(s.commands, s.me, "   ", &s.reply), SHOAL_ERR_INVALID);
    static char many[4100];
    memset(many, ' ', sizeof many - 1);
    for (int i = 0; i < 1030; i++) many[i * 2] = 'x';
    assert_int_equal(shoal_command_line(s.commands, s.me, many, &s.reply), SHOAL_ERR_TOO_LARGE);
    test_slice_is(shoal_buffer_slice(&s.reply), "$2\r\nA\n\r\n");
    close_shop(&s);
}

/* Runs commands with the second handle while the first one is in the middle of a write. */
typedef struct intruder {
    shop *shop;
    shoal_cache_thread *other;
    uint32_t called;
} intruder;

static void intrude(void *context, shoal_slice key, const shoal_cache_value *value,
                    shoal_cache_reason reason)
{
    intruder *in = context;
    shop *s = in->shop;
    (void)key;
    (void)value;
    assert_int_equal(reason, SHOAL_CACHE_EXPIRED);
    in->called++;
    shoal_buffer reply = shoal_buffer_make(&s->allocator);
    assert_int_equal(shoal_command_line(s->commands, in->other, "PING", &reply), 0);
    size_t before = shoal_buffer_size(&reply);
    assert_int_equal(shoal_command_line(s->commands, in->other, "SET {k}x 1", &reply),
                     SHOAL_ERR_BUSY);
    assert_int_equal(shoal_command_line(s->commands, in->other, "MSET other 1 {k}x 1", &reply),
                     SHOAL_ERR_BUSY);
    assert_int_equal(shoal_buffer_size(&reply), before);
    assert_int_equal(shoal_command_line(s->commands, in->other, "GET {k}x", &reply), 0);
    assert_int_equal(shoal_command_line(s->commands, in->other, "SET other 1", &reply), 0);
    shoal_buffer_free(&reply);
}

static void a_slot_that_is_being_written_to_is_busy(void **state)
{
    (void)state;
    shop s = {0};
    intruder in = {.shop = &s};
    s.allocator = test_allocator(&s.heap);
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = s.allocator;
    options.threads = 2;
    options.gone = intrude;
    options.gone_context = &in;
    assert_int_equal(shoal_cache_open(&options, &s.cache), 0);
    shoal_commands_options more = shoal_commands_options_default();
    more.allocator = s.allocator;
    more.protocol = 2;
    assert_int_equal(shoal_commands_open(s.cache, &more, &s.commands), 0);
    s.reply = shoal_buffer_make(&s.allocator);
    s.me = shoal_cache_thread_at(s.cache, 0);
    in.other = shoal_cache_thread_at(s.cache, 1);
    shoal_cache_enter(in.other, at(0));
    shoal_cache_enter(s.me, at(0));
    asks(&s, "SET k v PX 5", "+OK\r\n");
    shoal_cache_leave(s.me);
    shoal_cache_enter(s.me, at(5));
    asks(&s, "SET k w", "+OK\r\n");
    assert_int_equal(in.called, 1);
    shoal_cache_leave(in.other);
    close_shop(&s);
}

static void options_out_of_range_are_invalid(void **state)
{
    (void)state;
    shop s;
    open_shop(&s, 2, 1);
    shoal_commands *commands = NULL;
    shoal_commands_options options = shoal_commands_options_default();
    assert_int_equal(shoal_commands_open(s.cache, &options, &commands), SHOAL_ERR_INVALID);
    options.allocator = s.allocator;
    options.protocol = 4;
    assert_int_equal(shoal_commands_open(s.cache, &options, &commands), SHOAL_ERR_INVALID);
    options.protocol = 2;
    s.heap.fail_after = 1;
    assert_int_equal(shoal_commands_open(s.cache, &options, &commands), SHOAL_ERR_NO_MEMORY);
    s.heap.fail_after = 0;
    shoal_commands_close(NULL);
    close_shop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_answers_as_a_server_would),
        cmocka_unit_test(what_cannot_run_is_said_in_an_error_reply),
        cmocka_unit_test(what_would_wait_for_a_key_answers_at_once),
        cmocka_unit_test(every_executable_command_answers_something),
        cmocka_unit_test(a_reader_walks_through_what_is_nested),
        cmocka_unit_test(a_reader_knows_every_kind),
        cmocka_unit_test(both_faces_see_the_same_keys),
        cmocka_unit_test(lines_are_split_as_redis_cli_splits_them),
        cmocka_unit_test(a_slot_that_is_being_written_to_is_busy),
        cmocka_unit_test(options_out_of_range_are_invalid),
    };
    return cmocka_run_group_tests_name("command_embed", tests, NULL, NULL);
}
