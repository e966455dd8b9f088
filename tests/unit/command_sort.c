/* SPDX-License-Identifier: MIT
 *
 * SORT as a client sees it, also where the keys that BY and GET name lie behind gates that somebody
 * else holds. Words and orders were read off redis-server 7.0.15.
 */
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

static void numbers_are_sorted_as_numbers_and_texts_as_texts(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l 10 9 -1 2.5 1e1~SORT l~SORT l DESC~SORT_RO l ALPHA~",
                ":5~*5~$2~-1~$3~2.5~$1~9~$2~10~$3~1e1~*5~$3~1e1~$2~10~$1~9~$3~2.5~$2~-1~"
                "*5~$2~-1~$2~10~$3~1e1~$3~2.5~$1~9~");
    client_asks(&c, "SADD s c a b~SORT s ALPHA~ZADD z 3 x 1 y 2 w~SORT z ALPHA DESC~SORT none~",
                ":3~*3~$1~a~$1~b~$1~c~:3~*3~$1~y~$1~x~$1~w~*0~");
}

static void a_range_of_the_result_may_be_asked_for(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l 5 3 1 4 2~SORT l LIMIT 1 2~SORT l LIMIT 3 -1~SORT l LIMIT 9 2~",
                ":5~*2~$1~2~$1~3~*2~$1~4~$1~5~*0~");
    client_asks(&c, "SORT l BY nosort~SORT l BY nosort LIMIT 1 2~SORT l BY nosort DESC LIMIT 0 2~",
                "*5~$1~5~$1~3~$1~1~$1~4~$1~2~*2~$1~3~$1~1~*2~$1~2~$1~4~");
    client_asks(&c, "ZADD z 1 a 5 b 2 c 10 d 3 e~SORT z BY nosort~SORT z BY nosort DESC LIMIT 0 2~",
                ":5~*5~$1~a~$1~c~$1~e~$1~b~$1~d~*2~$1~d~$1~b~");
    client_asks(&c, "SORT z BY nosort LIMIT 5 10~SORT z BY nosort LIMIT -10 2~",
                "*0~*2~$1~a~$1~c~");
}

static void other_keys_give_the_order_and_the_answer(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l 1 2 3~MSET w_1 30 w_2 10 w_3 20 d_1 one d_3 three~", ":3~+OK~");
    client_asks(&c, "SORT l BY w_*~SORT l BY w_* DESC GET # GET d_*~",
                "*3~$1~2~$1~3~$1~1~*6~$1~1~$3~one~$1~3~$5~three~$1~2~$-1~");
    client_asks(&c, "HSET h1 f 9 g x~HSET h2 f 8~HSET h3 f 7~SORT l BY h*->f GET h*->g GET foo~",
                ":2~:1~:1~*6~$-1~$-1~$-1~$-1~$1~x~$-1~");
    client_asks(&c, "SET x1-> a~SORT_RO l BY nosort GET x*-> LIMIT 0 2~", "+OK~*2~$1~a~$-1~");
    client_asks(&c, "SORT l BY d_*~SORT l BY d_* ALPHA~",
                "-ERR One or more scores can't be converted into double~*3~$1~2~$1~1~$1~3~");
}

static void the_result_can_be_stored_as_a_list(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l 3 1 2~SET d old EX 9~SORT l STORE d~LRANGE d 0 -1~TTL d~",
                ":3~+OK~:3~*3~$1~1~$1~2~$1~3~:-1~");
    client_asks(&c, "MSET w_1 x w_2 y~SORT l STORE l GET w_* GET #~LRANGE l 0 -1~",
                "+OK~:6~*6~$1~x~$1~1~$1~y~$1~2~$0~~$1~3~");
    client_asks(&c, "SORT none STORE d~EXISTS d~SORT l LIMIT 9 9 ALPHA STORE d~EXISTS d~",
                ":0~:0~:0~:0~");
    client_asks(&c, "SADD s b a c~SORT s BY x STORE d~LRANGE d 0 -1~", ":3~:3~*3~$1~a~$1~b~$1~c~");
}

static void wrong_arguments_and_values_are_named(void **state)
{
    (void)state;
    client_asks(&c, "SET k 1~SORT k~RPUSH l a~SORT l~",
                "+OK~-WRONGTYPE Operation against a key holding the wrong kind of value~:1~"
                "-ERR One or more scores can't be converted into double~");
    client_asks(&c, "SORT l LIMIT 1~SORT l LIMIT a 1~SORT l BY~SORT_RO l STORE d~SORT l foo~",
                "-ERR syntax error~-ERR value is not an integer or out of range~"
                "-ERR syntax error~-ERR syntax error~-ERR syntax error~");
}

/* ---- gates that others hold ---- */

static void ask_while_held(void *context)
{
    client_send(&c, shoal_text(context));
    command_box_settle(&box);
    client_got(&c, "");
}

static void a_weight_behind_a_held_gate_is_waited_for_without_waiting(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l 1 2~MSET w_1 2 w_2 1~", ":2~+OK~");
    static char request[] = "SORT l BY w_*\r\n";
    command_box_hold(&box, "w_2", ask_while_held, request);
    command_box_settle(&box);
    client_got(&c, "*2~$1~2~$1~1~");
}

/* The list gets an element between the first look at it and the second. */
static void change_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("SORT l BY w_* GET # GET w_*\r\n"));
    command_box_round(&box, 0);
    command_client other;
    client_open(&other, &box, 0);
    client_send(&other, shoal_text("RPUSH l 3\r\n"));
    client_got(&other, "");
    client_close(&other);
    client_got(&c, "");
}

static void elements_that_come_meanwhile_are_sorted_too(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l 1 2~MSET w_1 3 w_2 2 w_3 1~", ":2~+OK~");
    command_box_hold(&box, "l", change_while_held, NULL);
    command_box_settle(&box);
    client_asks(&c, "SORT l BY w_* GET #~", "*6~$1~3~$1~1~$1~2~$1~2~$1~1~$1~3~*3~$1~3~$1~2~$1~1~");
}

static void a_transaction_sorts_by_keys_that_it_has_set(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l 1 2~MULTI~MSET w_1 2 w_2 1~SORT l BY w_* STORE d~EXEC~LRANGE d 0 -1~",
                ":2~+OK~+QUEUED~+QUEUED~*2~+OK~:2~*2~$1~2~$1~1~");
}

static void without_memory_nothing_is_sorted_or_stored(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l 3 1 2~SET d old~", ":3~+OK~");
    for (int64_t n = 0; n < 3; n++) {
        box.heap.fail_after = box.heap.calls + n;
        client_send(&c, shoal_text("SORT l BY nosort GET # STORE d\r\n"));
        box.heap.fail_after = 0;
        command_box_settle(&box);
        shoal_slice got = shoal_buffer_slice(&c.out);
        assert_true(got.size > 4);
        bool stored = got.data[0] == ':';
        shoal_buffer_consume(&c.out, got.size);
        client_asks(&c, "TYPE d~DEL d~SET d old~", stored ? "+list~:1~+OK~" : "+string~:1~+OK~");
    }
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(numbers_are_sorted_as_numbers_and_texts_as_texts),
        FACT(a_range_of_the_result_may_be_asked_for),
        FACT(other_keys_give_the_order_and_the_answer),
        FACT(the_result_can_be_stored_as_a_list),
        FACT(wrong_arguments_and_values_are_named),
        FACT(a_weight_behind_a_held_gate_is_waited_for_without_waiting),
        FACT(elements_that_come_meanwhile_are_sorted_too),
        FACT(a_transaction_sorts_by_keys_that_it_has_set),
        FACT(without_memory_nothing_is_sorted_or_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
