/* SPDX-License-Identifier: MIT
 *
 * Sessions: who may connect, how bytes become requests however they are cut, what is answered to
 * wrong ones, AUTH, HELLO, CLIENT, and how a connection ends. Words were read off redis-server
 * 7.0.15.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/text.h"
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c;

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 1, false);
    client_open(&c, &box, 0);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    client_close(&c);
    command_box_close(&box);
    return 0;
}

/* ---- bytes ---- */

#define PIPELINE                                        \
    "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\nGET " \
    "a\r\n\r\n*0\r\n*2\r\n$3\r\nget\r\n$1\r\nb\r\n"     \
    "*1\r\n$4\r\nPING\r\nECHO \"x y\"\r\n*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n"

#define PIPELINE_REPLIES "+OK~$5~hello~$-1~+PONG~$3~x y~*2~$5~hello~$-1~"

static void a_pipeline_may_be_cut_at_every_byte(void **state)
{
    (void)state;
    size_t size = strlen(PIPELINE);
    for (size_t cut = 0; cut <= size; cut++) {
        client_send(&c, (shoal_slice){PIPELINE, cut});
        client_send(&c, (shoal_slice){PIPELINE + cut, size - cut});
        client_got(&c, PIPELINE_REPLIES);
    }
    for (size_t i = 0; i < size; i++) client_send(&c, (shoal_slice){PIPELINE + i, 1});
    client_got(&c, PIPELINE_REPLIES);
}

static void a_pipeline_longer_than_a_batch_is_answered_in_order(void **state)
{
    (void)state;
    char *bytes = malloc(200 * 32), *wanted = malloc(200 * 8);
    size_t size = 0, wanted_size = 0;
    for (int i = 1; i <= 200; i++) {
        size += (size_t)sprintf(bytes + size, "INCR n\r\n");
        wanted_size += (size_t)sprintf(wanted + wanted_size, ":%d~", i);
    }
    client_send(&c, (shoal_slice){bytes, size});
    client_got(&c, wanted);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_COMMANDS), 200);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_NET_INPUT), size);
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_INCR).calls, 200);
    free(bytes);
    free(wanted);
}

static void a_large_value_may_come_in_small_pieces(void **state)
{
    (void)state;
    enum { SIZE = 200000, PIECE = 1000 };
    char *bytes = malloc(SIZE + 100);
    size_t size = (size_t)sprintf(bytes, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n", SIZE);
    memset(bytes + size, 'x', SIZE);
    size += SIZE;
    memcpy(bytes + size, "\r\n", 2);
    size += 2;
    for (size_t at = 0; at < size; at += PIECE)
        client_send(&c, (shoal_slice){bytes + at, size - at < PIECE ? size - at : PIECE});
    client_got(&c, "+OK~");
    client_asks(&c, "STRLEN a~", ":200000~");
    free(bytes);
}

static void many_arguments_may_come_in_small_pieces(void **state)
{
    (void)state;
    enum { PAIRS = 20000 };
    char *bytes = malloc(PAIRS * 40);
    size_t size = (size_t)sprintf(bytes, "*%d\r\n$4\r\nMSET\r\n", 1 + 2 * PAIRS);
    for (int i = 0; i < PAIRS; i++)
        size += (size_t)sprintf(bytes + size, "$6\r\nk%05d\r\n$1\r\n%d\r\n", i, i % 10);
    for (size_t at = 0; at < size; at += 777)
        client_send(&c, (shoal_slice){bytes + at, size - at < 777 ? size - at : 777});
    client_got(&c, "+OK~");
    client_asks(&c, "DBSIZE~GET k19999~GET k00000~", ":20000~$1~9~$1~0~");
    free(bytes);
}

static void a_select_counts_for_what_follows_in_the_batch(void **state)
{
    (void)state;
    client_asks(&c, "SET a 0~SELECT 1~GET a~SET a 1~SELECT 0~GET a~SELECT 1~GET a~DBSIZE~",
                "+OK~+OK~$-1~+OK~+OK~$1~0~+OK~$1~1~:1~");
    client_asks(&c, "SELECT 4~SELECT -1~SELECT x~GET a~",
                "-ERR DB index is out of range~-ERR DB index is out of range~"
                "-ERR value is not an integer or out of range~$1~1~");
}

static void bytes_against_the_protocol_end_the_connection(void **state)
{
    (void)state;
    client_asks(&c, "PING~*1~!~PING~", "+PONG~-ERR Protocol error: expected '$', got '!'~");
    assert_int_equal(c.feed, SHOAL_FEED_CLOSE);
    client_close(&c);
    client_open(&c, &box, 0);
    client_asks(&c, "GET \"a~", "-ERR Protocol error: unbalanced quotes in request~");
    client_close(&c);
    client_open(&c, &box, 0);
    client_asks(&c, "*1~$-5~", "-ERR Protocol error: invalid bulk length~");
    assert_null(c.session);
}

static void a_request_that_grows_too_large_ends_the_connection(void **state)
{
    (void)state;
    box.settings.query_size_max = 1000;
    char bytes[1200];
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "*2\r\n$4\r\nECHO\r\n$5000\r\n", 22);
    client_send(&c, (shoal_slice){bytes, sizeof(bytes)});
    client_got(&c, "");
    assert_null(c.session);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_QUERY_LIMIT), 1);
}

static void unknown_commands_are_answered_in_redis_words(void **state)
{
    (void)state;
    client_asks(&c, "foo a b~FOO~get~client~client foo bar~client kill~",
                "-ERR unknown command 'foo', with args beginning with: 'a' 'b' ~"
                "-ERR unknown command 'FOO', with args beginning with: ~"
                "-ERR wrong number of arguments for 'get' command~"
                "-ERR wrong number of arguments for 'client' command~"
                "-ERR unknown subcommand 'foo'. Try CLIENT HELP.~"
                "-ERR wrong number of arguments for 'client|kill' command~");
    client_asks(&c, "\"a\\r\\nb\" \"c\\nd\"~",
                "-ERR unknown command 'a  b', with args beginning with: 'c d' ~");
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_ERROR_ERR), 7);
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_GET).rejected, 1);
}

static void long_unknown_arguments_are_cut(void **state)
{
    (void)state;
    char line[700] = "foo ",
         wanted[700] = "-ERR unknown command 'foo', with args beginning with: '";
    memset(line + 4, 'x', 200);
    strcpy(line + 204, " y\r\n");
    size_t at = strlen(wanted);
    memset(wanted + at, 'x', 128);
    strcpy(wanted + at + 128, "' ~");
    client_send(&c, shoal_text(line));
    client_got(&c, wanted);
}

/* ---- who may what ---- */

static void a_password_is_asked_for(void **state)
{
    (void)state;
    client_asks(&c, "AUTH x~AUTH default x~AUTH a b~AUTH a b c~",
                "-ERR AUTH <password> called without any password configured for the default "
                "user. Are you sure your configuration is correct?~+OK~"
                "-WRONGPASS invalid username-password pair or user is disabled.~"
                "-ERR syntax error~");
    box.settings.requirepass = shoal_text("secret");
    command_client d;
    client_open(&d, &box, 0);
    client_asks(&d, "GET a~get~PING~AUTH x~AUTH secret x~HELLO 3~",
                "-NOAUTH Authentication required.~"
                "-ERR wrong number of arguments for 'get' command~"
                "-NOAUTH Authentication required.~"
                "-WRONGPASS invalid username-password pair or user is disabled.~"
                "-WRONGPASS invalid username-password pair or user is disabled.~"
                "-NOAUTH HELLO must be called with the client already authenticated, otherwise the "
                "HELLO AUTH <user> <pass> option can be used to authenticate the client and select "
                "the RESP protocol version at the same time~");
    client_asks(&d, "AUTH secret~GET a~RESET~GET a~AUTH default secret~GET a~",
                "+OK~$-1~+RESET~-NOAUTH Authentication required.~+OK~$-1~");
    client_asks(&d, "RESET~", "+RESET~");
    client_asks(&d, "*11~", "-ERR Protocol error: unauthenticated multibulk length~");
    client_close(&d);
}

static void hello_speaks_two_versions(void **state)
{
    (void)state;
    client_asks(&c, "HELLO 4~HELLO a~HELLO 2 foo~HELLO 3 SETNAME~HELLO 3 AUTH a b~",
                "-NOPROTO unsupported protocol version~"
                "-ERR Protocol version is not an integer or out of range~"
                "-ERR Syntax error in HELLO option 'foo'~"
                "-ERR Syntax error in HELLO option 'SETNAME'~"
                "-WRONGPASS invalid username-password pair or user is disabled.~");
    client_asks(&c, "HELLO 2 AUTH default x SETNAME bob~CLIENT GETNAME~",
                "*14~$6~server~$5~redis~$7~version~$6~7.0.15~$5~proto~:2~$2~id~:1~$4~mode~"
                "$10~standalone~$4~role~$6~master~$7~modules~*0~$3~bob~");
    client_send(&c, shoal_text("HELLO 3\r\n"));
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_asks(&c, "GET a~RESET~GET a~CLIENT GETNAME~", "_~+RESET~$-1~$-1~");
}

static void refused_connections_are_told_why(void **state)
{
    (void)state;
    shoal_session_options far = {.peer = {"10.0.0.1", 5}, .descriptor = -1};
    shoal_session *session = NULL;
    box.settings.protected_mode = true;
    shoal_worker_begin(box.workers[0], box.now);
    assert_int_equal(shoal_session_open(box.workers[0], &far, &c.out, &session), SHOAL_ERR_REFUSED);
    shoal_worker_end(box.workers[0]);
    assert_memory_equal(shoal_buffer_slice(&c.out).data, "-DENIED ", 8);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));

    box.settings.protected_bound = true;
    box.settings.clients_max = 1;
    shoal_worker_begin(box.workers[0], box.now);
    assert_int_equal(shoal_session_open(box.workers[0], &far, &c.out, &session), SHOAL_ERR_REFUSED);
    shoal_worker_end(box.workers[0]);
    client_got(&c, "-ERR max number of clients reached~");
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_CONNECTIONS_REJECTED), 2);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_CONNECTIONS_RECEIVED), 1);
}

static void a_node_that_is_not_ready_says_so(void **state)
{
    (void)state;
    shoal_store_relaxed(&box.env.loading, true);
    client_asks(&c, "GET a~ECHO x~", "-LOADING Redis is loading the dataset in memory~$1~x~");
}

/* ---- CLIENT ---- */

static void replies_can_be_switched_off(void **state)
{
    (void)state;
    client_asks(&c,
                "CLIENT REPLY SKIP~PING~ECHO 1~CLIENT REPLY OFF~PING~GET~CLIENT REPLY ON~ECHO 2~",
                "$1~1~+OK~$1~2~");
    client_asks(&c, "CLIENT REPLY foo~", "-ERR syntax error~");
}

static void clients_have_names_and_numbers(void **state)
{
    (void)state;
    client_asks(&c,
                "CLIENT ID~CLIENT GETNAME~CLIENT SETNAME x~CLIENT GETNAME~CLIENT SETNAME \"\"~"
                "CLIENT GETNAME~CLIENT SETNAME \"a b\"~",
                ":1~$-1~+OK~$1~x~+OK~$-1~"
                "-ERR Client names cannot contain spaces, newlines or special characters.~");
    client_asks(&c, "CLIENT SETINFO LIB-NAME lib~CLIENT SETINFO LIB-VER 1.2~CLIENT SETINFO x y~",
                "+OK~+OK~-ERR Unrecognized option 'x'~");
    client_asks(&c, "CLIENT NO-EVICT on~CLIENT NO-EVICT x~CLIENT NO-EVICT off~",
                "+OK~-ERR syntax error~+OK~");
}

static void client_info_is_one_line_of_fields(void **state)
{
    (void)state;
    client_asks(&c, "CLIENT SETNAME x~CLIENT SETINFO LIB-NAME lib~CLIENT SETINFO LIB-VER 1.2~",
                "+OK~+OK~+OK~");
    command_box_sleep(&box, 3500);
    client_send(&c, shoal_text("CLIENT INFO\r\n"));
    shoal_slice got = shoal_buffer_slice(&c.out);
    const char *front = "id=1 addr=127.0.0.1:50000 laddr=127.0.0.1:7000 fd=9 name=x age=3 idle=0 "
                        "flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=26 qbuf-free=0 argv-mem=0 "
                        "multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=";
    const char *back = " events=r cmd=client|info user=default redir=-1 resp=2 lib-name=lib "
                       "lib-ver=1.2\n\r\n";
    assert_true(shoal_text_find(got, shoal_text(front)) == 6);
    assert_true(shoal_text_find(got, shoal_text(back)) == got.size - strlen(back));
}

static void a_list_shows_the_askers_request_as_input(void **state)
{
    (void)state;
    command_client d;
    client_open(&d, &box, 0);
    client_send(&d, shoal_text("PING\r\nGE"));
    client_got(&d, "+PONG~");
    client_send(&c, shoal_text("CLIENT LIST ID 1 2\r\n"));
    shoal_slice got = shoal_buffer_slice(&c.out);
    assert_true(shoal_text_find(got, shoal_text("qbuf=48 ")) != SHOAL_TEXT_NONE);
    assert_true(shoal_text_find(got, shoal_text("qbuf=2 ")) != SHOAL_TEXT_NONE);
    client_close(&d);
}

/* Tells, in a round of its own, what the host still holds. */
static bool holds(command_client *client, size_t bytes)
{
    shoal_worker_begin(box.workers[0], box.now);
    bool may = shoal_session_backlog(client->session, bytes);
    (void)shoal_worker_end(box.workers[0]);
    return may;
}

static void a_stranger_may_leave_little_unread(void **state)
{
    (void)state;
    command_client d;
    assert_true(holds(&c, 100000));
    box.settings.requirepass = shoal_text("secret");
    client_open(&d, &box, 0);
    assert_true(holds(&d, 1024));
    assert_false(holds(&d, 1025));
    client_asks(&d, "AUTH secret~", "+OK~");
    assert_true(holds(&d, 1025));
    client_close(&d);
}

static void replies_beyond_the_hard_limit_are_not_sent_at_all(void **state)
{
    (void)state;
    enum { LIMIT = 100000, FREE = 16 << 10 };
    box.settings.output_hard_max = LIMIT;
    char text[LIMIT + 64];
    size_t head = (size_t)snprintf(text, sizeof text, "*2\r\n$4\r\nECHO\r\n$%d\r\n", LIMIT);
    memset(text + head, 'x', LIMIT);
    memcpy(text + head + LIMIT, "\r\n", 2);
    client_send(&c, (shoal_slice){text, head + LIMIT + 2});
    assert_int_equal(c.feed, SHOAL_FEED_MORE);
    assert_int_equal(shoal_buffer_size(&c.out), LIMIT + 11);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    /* What the host still holds counts too, but for the bytes that everyone may have waiting. */
    assert_true(holds(&c, FREE));
    client_send(&c, (shoal_slice){text, head + LIMIT + 2});
    assert_int_equal(c.feed, SHOAL_FEED_DROP);
    assert_int_equal(shoal_buffer_size(&c.out), 0);
    assert_null(c.session);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_OUTPUT_LIMIT), 1);
}

static void replies_may_be_above_the_soft_limit_for_some_seconds(void **state)
{
    (void)state;
    box.settings.output_soft_max = 100000;
    box.settings.output_soft_s = 2;
    assert_true(holds(&c, 200000));
    command_box_sleep(&box, 1500);
    assert_true(holds(&c, 1000));
    assert_true(holds(&c, 200000));
    command_box_sleep(&box, 2900);
    assert_true(holds(&c, 200000));
    command_box_sleep(&box, 200);
    assert_false(holds(&c, 200000));
}

static void a_client_that_rests_above_the_soft_limit_is_found(void **state)
{
    (void)state;
    box.settings.output_soft_max = 1;
    box.settings.output_soft_s = 1;
    assert_true(holds(&c, 200000));
    for (int i = 0; i < 40 && c.session != NULL; i++) {
        command_box_sleep(&box, 100);
        command_box_round(&box, 0);
    }
    assert_null(c.session);
    assert_int_equal(c.feed, SHOAL_FEED_DROP);
}

static void few_bytes_of_input_do_not_make_endless_output(void **state)
{
    (void)state;
    enum { VALUE = 100000, GETS = 300, REPLY = VALUE + 11 /* $100000~ and ~ */ };
    char *value = malloc(VALUE);
    memset(value, 'v', VALUE);
    client_send(&c, shoal_text("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n"));
    client_send(&c, (shoal_slice){value, VALUE});
    client_send(&c, shoal_text("\r\n"));
    client_got(&c, "+OK~");
    char gets[GETS * 7];
    for (int i = 0; i < GETS; i++) memcpy(gets + i * 7, "GET k\r\n", 7);
    shoal_worker *worker = box.workers[0];
    shoal_worker_begin(worker, box.now);
    /* One feed stops after a step of output, and wants to go on by itself in the next round. */
    shoal_feed next = shoal_session_feed(c.session, (shoal_slice){gets, sizeof gets}, &c.out);
    assert_int_equal(next, SHOAL_FEED_PARKED);
    assert_in_range(shoal_buffer_size(&c.out), 1 << 20, (1 << 20) + REPLY);
    /* While the client does not read, it does not. */
    assert_true(shoal_session_backlog(c.session, 20 << 20));
    assert_null(shoal_worker_ready(worker));
    assert_true(shoal_worker_end(worker) <= box.now.mono_us);
    shoal_worker_begin(worker, box.now);
    assert_ptr_equal(shoal_worker_ready(worker), c.session);
    next = shoal_session_feed(c.session, (shoal_slice){NULL, 0}, &c.out);
    assert_int_equal(next, SHOAL_FEED_PARKED);
    size_t kept = shoal_buffer_size(&c.out);
    assert_null(shoal_worker_ready(worker));
    assert_int_equal(shoal_buffer_size(&c.out), kept);
    /* Once it has read, the rest comes, and every reply once. */
    assert_true(shoal_session_backlog(c.session, 0));
    while (next == SHOAL_FEED_PARKED) {
        (void)shoal_worker_end(worker);
        shoal_worker_begin(worker, box.now);
        assert_ptr_equal(shoal_worker_ready(worker), c.session);
        next = shoal_session_feed(c.session, (shoal_slice){NULL, 0}, &c.out);
    }
    (void)shoal_worker_end(worker);
    assert_int_equal(next, SHOAL_FEED_MORE);
    assert_int_equal(shoal_buffer_size(&c.out), (size_t)GETS * REPLY);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    free(value);
}

static void quit_answers_and_closes(void **state)
{
    (void)state;
    client_asks(&c, "PING~QUIT~PING~", "+PONG~+OK~");
    assert_int_equal(c.feed, SHOAL_FEED_CLOSE);
}

static void idle_connections_are_closed(void **state)
{
    (void)state;
    box.settings.timeout_s = 10;
    command_client d;
    client_open(&d, &box, 0);
    command_box_sleep(&box, 6000);
    client_asks(&c, "PING~", "+PONG~");
    assert_int_not_equal(box.deadlines[0], SHOAL_NEVER);
    command_box_sleep(&box, 6000);
    command_box_round(&box, 0);
    command_box_round(&box, 0);
    assert_null(d.session);
    assert_non_null(c.session);
    client_close(&d);
}

static void a_round_that_killed_a_client_wants_another(void **state)
{
    (void)state;
    command_client d;
    client_open(&d, &box, 0);
    shoal_worker *worker = box.workers[0];
    shoal_worker_begin(worker, box.now);
    shoal_feed next = shoal_session_feed(c.session, shoal_text("CLIENT KILL ID 2\r\n"), &c.out);
    assert_int_equal(next, SHOAL_FEED_MORE);
    assert_true(shoal_worker_end(worker) <= box.now.mono_us);
    command_box_round(&box, 0);
    assert_null(d.session);
    client_got(&c, ":1~");
    client_close(&d);
}

static void counters_can_be_set_to_zero(void **state)
{
    (void)state;
    client_asks(&c, "PING~foo~", "+PONG~-ERR unknown command 'foo', with args beginning with: ~");
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_COMMANDS), 1);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_ERRORS), 1);
    shoal_stat_reset(&box.env);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_COMMANDS), 0);
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_PING).calls, 0);
    client_asks(&c, "PING~", "+PONG~");
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_COMMANDS), 1);
}

static void small_server_commands_answer(void **state)
{
    (void)state;
    client_asks(&c, "TIME~PING x~PING a b~ECHO x~",
                "*2~$10~1700000000~$1~0~$1~x~"
                "-ERR wrong number of arguments for 'ping' command~$1~x~");
    client_asks(&c, "READONLY~ASKING~CLUSTER KEYSLOT a~",
                "-ERR This instance has cluster support disabled~"
                "-ERR This instance has cluster support disabled~"
                "-ERR This instance has cluster support disabled~");
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(a_pipeline_may_be_cut_at_every_byte),
        FACT(a_pipeline_longer_than_a_batch_is_answered_in_order),
        FACT(a_large_value_may_come_in_small_pieces),
        FACT(many_arguments_may_come_in_small_pieces),
        FACT(a_select_counts_for_what_follows_in_the_batch),
        FACT(bytes_against_the_protocol_end_the_connection),
        FACT(a_request_that_grows_too_large_ends_the_connection),
        FACT(unknown_commands_are_answered_in_redis_words),
        FACT(long_unknown_arguments_are_cut),
        FACT(a_password_is_asked_for),
        FACT(hello_speaks_two_versions),
        FACT(refused_connections_are_told_why),
        FACT(a_node_that_is_not_ready_says_so),
        FACT(replies_can_be_switched_off),
        FACT(clients_have_names_and_numbers),
        FACT(client_info_is_one_line_of_fields),
        FACT(a_list_shows_the_askers_request_as_input),
        FACT(a_stranger_may_leave_little_unread),
        FACT(replies_beyond_the_hard_limit_are_not_sent_at_all),
        FACT(replies_may_be_above_the_soft_limit_for_some_seconds),
        FACT(a_client_that_rests_above_the_soft_limit_is_found),
        FACT(few_bytes_of_input_do_not_make_endless_output),
        FACT(quit_answers_and_closes),
        FACT(idle_connections_are_closed),
        FACT(a_round_that_killed_a_client_wants_another),
        FACT(counters_can_be_set_to_zero),
        FACT(small_server_commands_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
