/* SPDX-License-Identifier: MIT
 *
 * Commands in a cluster: which keys may be used here, and what is answered otherwise, with a route
 * made by hand. Slots: foo 12182, bar 5061, a 15495, {a}1 15495.
 */
#include <string.h>

#include "store/route.h"
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c;

static void set_owned(uint32_t slot, bool owned)
{
    shoal_thread *control = shoal_store_thread(box.env.store, box.env.worker_count);
    shoal_thread_enter(control, box.now);
    shoal_store_set_owned(control, slot, owned);
    shoal_thread_leave(control);
}

/* Two nodes: myself with foo and a, another with bar; every other slot has nobody. */
static shoal_route *make_route(bool up, bool reads_when_down)
{
    shoal_route *route = shoal_route_make(box.env.store, 2);
    assert_non_null(route);
    route->cluster = true;
    route->up = up;
    route->reads_when_down = reads_when_down;
    route->node_count = 2;
    strcpy(route->nodes[0].endpoint, "127.0.0.1");
    route->nodes[0].port = 7000;
    route->nodes[0].myself = true;
    strcpy(route->nodes[1].endpoint, "10.0.0.2");
    route->nodes[1].port = 7001;
    route->owner[12182] = route->owner[15495] = 1;
    route->owner[5061] = 2;
    return route;
}

static void publish(bool up, bool reads_when_down)
{
    shoal_thread *control = shoal_store_thread(box.env.store, box.env.worker_count);
    shoal_route *route = make_route(up, reads_when_down);
    shoal_thread_enter(control, box.now);
    shoal_store_publish_route(control, route);
    shoal_thread_leave(control);
}

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 1, true);
    publish(true, false);
    set_owned(12182, true);
    set_owned(15495, true);
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

static void own_keys_are_served(void **state)
{
    (void)state;
    client_asks(&c, "SET foo 1~GET foo~MSET {a}1 1 {a}2 2~MGET {a}1 a {a}2~DBSIZE~",
                "+OK~$1~1~+OK~*3~$1~1~$-1~$1~2~:3~");
}

static void keys_of_others_are_redirected(void **state)
{
    (void)state;
    client_asks(&c, "GET bar~SET bar 1~PING~GET foo~",
                "-MOVED 5061 10.0.0.2:7001~-MOVED 5061 10.0.0.2:7001~+PONG~$-1~");
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_ERROR_MOVED), 2);
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_GET).rejected, 1);
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_GET).calls, 1);
}

static void slots_of_nobody_are_not_served(void **state)
{
    (void)state;
    client_asks(&c, "GET b~MGET b foo~",
                "-CLUSTERDOWN Hash slot not served~-CLUSTERDOWN Hash slot not served~");
}

static void keys_of_several_slots_cross(void **state)
{
    (void)state;
    client_asks(&c, "MGET foo a~DEL foo bar~RENAME foo a~MGET bar foo~",
                "-CROSSSLOT Keys in request don't hash to the same slot~"
                "-CROSSSLOT Keys in request don't hash to the same slot~"
                "-CROSSSLOT Keys in request don't hash to the same slot~"
                "-CROSSSLOT Keys in request don't hash to the same slot~");
}

static void a_cluster_that_is_down_serves_nothing_or_reads(void **state)
{
    (void)state;
    client_asks(&c, "SET foo 1~", "+OK~");
    publish(false, false);
    client_asks(&c, "GET foo~SET foo 2~GET bar~PING~",
                "-CLUSTERDOWN The cluster is down~-CLUSTERDOWN The cluster is down~"
                "-CLUSTERDOWN The cluster is down~+PONG~");
    publish(false, true);
    client_asks(&c, "GET foo~SET foo 2~GET bar~GET b~",
                "$1~1~-CLUSTERDOWN The cluster is down and only accepts read commands~"
                "-MOVED 5061 10.0.0.2:7001~-CLUSTERDOWN Hash slot not served~");
}

/* foo's slot goes to the other node, bar's comes from there; `master` is whose replica we are. */
static void publish_moves(uint16_t master)
{
    shoal_thread *control = shoal_store_thread(box.env.store, box.env.worker_count);
    shoal_route *plain = make_route(true, false);
    shoal_route_move *moves;
    shoal_route *route = shoal_route_make_moving(box.env.store, 2, 2, &moves);
    assert_non_null(route);
    const shoal_route_move *kept = route->moves;
    memcpy(route->nodes, plain->nodes, 2 * sizeof route->nodes[0]);
    memcpy(route->owner, plain->owner, sizeof route->owner);
    shoal_route_drop(box.env.store, plain);
    assert_ptr_equal(kept, moves);
    route->cluster = route->up = true;
    route->master = master;
    moves[0] = (shoal_route_move){.slot = 5061};
    moves[1] = (shoal_route_move){.slot = 12182, .target = 2};
    shoal_thread_enter(control, box.now);
    shoal_store_publish_route(control, route);
    shoal_thread_leave(control);
}

static void keys_that_have_gone_are_asked_for_elsewhere(void **state)
{
    (void)state;
    client_asks(&c, "SET foo 1~", "+OK~");
    publish_moves(0);
    client_asks(&c, "GET foo~GET {foo}a~SET {foo}a 1~MGET foo {foo}a~MGET {foo}a {foo}b~SET a 1~",
                "$1~1~-ASK 12182 10.0.0.2:7001~-ASK 12182 10.0.0.2:7001~"
                "-TRYAGAIN Multiple keys request during rehashing of slot~"
                "-ASK 12182 10.0.0.2:7001~+OK~");
    client_asks(&c, "MULTI~GET foo~GET {foo}a~EXEC~",
                "+OK~+QUEUED~-ASK 12182 10.0.0.2:7001~"
                "-EXECABORT Transaction discarded because "
                "of previous errors.~");
}

static void asking_lets_one_command_into_a_slot_that_comes(void **state)
{
    (void)state;
    publish_moves(0);
    client_asks(&c, "SET bar 1~ASKING~SET bar 1~GET bar~ASKING~PING~GET bar~",
                "-MOVED 5061 10.0.0.2:7001~+OK~+OK~-MOVED 5061 10.0.0.2:7001~"
                "+OK~+PONG~-MOVED 5061 10.0.0.2:7001~");
    client_asks(&c, "ASKING~MGET bar {bar}1~ASKING~MGET bar bar~ASKING~GET foo~",
                "+OK~-TRYAGAIN Multiple keys request during rehashing of slot~"
                "+OK~*2~$1~1~$1~1~+OK~-ASK 12182 10.0.0.2:7001~");
    client_asks(&c, "ASKING~MULTI~SET bar 2~GET bar~EXEC~GET bar~",
                "+OK~+OK~+QUEUED~+QUEUED~*2~+OK~$1~2~-MOVED 5061 10.0.0.2:7001~");
}

static void a_replica_serves_reads_to_those_who_say_so(void **state)
{
    (void)state;
    publish_moves(2);
    client_asks(&c, "GET bar~READONLY~GET bar~SET bar 1~MULTI~GET bar~EXEC~READWRITE~GET bar~",
                "-MOVED 5061 10.0.0.2:7001~+OK~$-1~-MOVED 5061 10.0.0.2:7001~"
                "+OK~+QUEUED~*1~$-1~+OK~-MOVED 5061 10.0.0.2:7001~");
}

static void let_key_go_while_held(void *context)
{
    (void)context;
    client_send(&c, (shoal_slice){"INCR foo\r\n", 10});
    client_got(&c, "");
    shoal_thread *control = shoal_store_thread(box.env.store, 1);
    shoal_key key = shoal_key_make(box.env.store, 0, (shoal_slice){"foo", 3});
    assert_true(shoal_store_remove_locked(control, &key));
}

static void a_write_that_waited_asks_elsewhere_when_its_key_has_gone(void **state)
{
    (void)state;
    client_asks(&c, "SET foo 1~", "+OK~");
    publish_moves(0);
    command_box_hold(&box, "foo", let_key_go_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, "-ASK 12182 10.0.0.2:7001~");
}

static void there_is_one_database(void **state)
{
    (void)state;
    client_asks(&c, "SELECT 0~SELECT 1~READONLY~READWRITE~ASKING~",
                "+OK~-ERR SELECT is not allowed in cluster mode~+OK~+OK~+OK~");
}

static void slots_can_be_asked_about(void **state)
{
    (void)state;
    client_asks(&c, "CLUSTER KEYSLOT foo{}{bar}~CLUSTER KEYSLOT {user:12345}:x~CLUSTER KEYSLOT~",
                ":8363~:1800~-ERR wrong number of arguments for 'cluster|keyslot' command~");
    client_asks(&c,
                "SET foo 1~CLUSTER COUNTKEYSINSLOT 12182~CLUSTER GETKEYSINSLOT 12182 10~"
                "CLUSTER GETKEYSINSLOT 12182 0~CLUSTER GETKEYSINSLOT 5 10~",
                "+OK~:1~*1~$3~foo~*0~*0~");
    client_asks(&c,
                "CLUSTER COUNTKEYSINSLOT 16384~CLUSTER COUNTKEYSINSLOT x~"
                "CLUSTER GETKEYSINSLOT 1 -1~CLUSTER GETKEYSINSLOT x 1~",
                "-ERR Invalid slot~-ERR value is not an integer or out of range~"
                "-ERR Invalid slot or number of keys~"
                "-ERR value is not an integer or out of range~");
}

static void lose_slot_while_held(void *context)
{
    (void)context;
    client_send(&c, (shoal_slice){"SET foo 1\r\n", 11});
    client_got(&c, "");
    /* The thread that holds the gate is the one that set_owned would enter with. */
    shoal_thread *control = shoal_store_thread(box.env.store, 1);
    shoal_route *route = make_route(true, false);
    route->owner[12182] = 2;
    shoal_store_publish_route(control, route);
    shoal_store_set_owned(control, 12182, false);
}

static void a_write_that_waited_is_redirected_when_its_slot_has_left(void **state)
{
    (void)state;
    command_box_hold(&box, "foo", lose_slot_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, "-MOVED 12182 10.0.0.2:7001~");
}

/* A worker that read the slot's word before the slot was gained, and the route after. */
static void nobody_is_redirected_to_this_node(void **state)
{
    (void)state;
    set_owned(12182, false);
    client_asks(&c, "SET foo 1~GET foo~", "+OK~$1~1~");
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(own_keys_are_served),
        FACT(keys_of_others_are_redirected),
        FACT(slots_of_nobody_are_not_served),
        FACT(keys_of_several_slots_cross),
        FACT(a_cluster_that_is_down_serves_nothing_or_reads),
        FACT(keys_that_have_gone_are_asked_for_elsewhere),
        FACT(asking_lets_one_command_into_a_slot_that_comes),
        FACT(a_replica_serves_reads_to_those_who_say_so),
        FACT(a_write_that_waited_asks_elsewhere_when_its_key_has_gone),
        FACT(there_is_one_database),
        FACT(slots_can_be_asked_about),
        FACT(a_write_that_waited_is_redirected_when_its_slot_has_left),
        FACT(nobody_is_redirected_to_this_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
