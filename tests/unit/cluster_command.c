/* SPDX-License-Identifier: MIT
 *
 * CLUSTER subcommands: replies and complaints to the byte, as redis-server 7.0.15 gave them when
 * it was asked the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "store/route.h"
#include "support/cluster_world.h"

#define TIMEOUT_MS 2000

static void every_wrong_argument_has_its_complaint(void **state)
{
    (void)state;
    static const struct {
        const char *words, *reply;
    } cases[] = {
        {"MEET a b", "-ERR Invalid TCP base port specified: b\r\n"},
        {"MEET 127.0.0.1 70000", "-ERR Invalid node address specified: 127.0.0.1:70000\r\n"},
        {"MEET 127.0.0.1 7000 99999", "-ERR Invalid node address specified: 127.0.0.1:7000\r\n"},
        {"MEET 127.0.0.1 0", "-ERR Invalid node address specified: 127.0.0.1:0\r\n"},
        {"MEET 127.0.0.1 7000 x", "-ERR Invalid TCP bus port specified: x\r\n"},
        {"MEET 127.0.0.1 60000", "-ERR Invalid node address specified: 127.0.0.1:60000\r\n"},
        {"MEET foo 6000", "-ERR Invalid node address specified: foo:6000\r\n"},
        {"MEET 1.2.3 6000", "-ERR Invalid node address specified: 1.2.3:6000\r\n"},
        {"MEET 1.2.3.256 6000", "-ERR Invalid node address specified: 1.2.3.256:6000\r\n"},
        {"MEET :::1 6000", "-ERR Invalid node address specified: :::1:6000\r\n"},
        {"MEET 127.0.0.1 1 2 3", "-ERR unknown subcommand or wrong number of arguments for "
                                 "'MEET'. Try CLUSTER HELP.\r\n"},
        {"ADDSLOTS x", "-ERR Invalid or out of range slot\r\n"},
        {"ADDSLOTS 16384", "-ERR Invalid or out of range slot\r\n"},
        {"ADDSLOTS -1", "-ERR Invalid or out of range slot\r\n"},
        {"ADDSLOTS 1 1", "-ERR Slot 1 specified multiple times\r\n"},
        {"ADDSLOTS 6 5 7x", "-ERR Invalid or out of range slot\r\n"},
        {"DELSLOTS 1", "-ERR Slot 1 is already unassigned\r\n"},
        {"ADDSLOTSRANGE 5 3", "-ERR start slot number 5 is greater than end slot number 3\r\n"},
        {"ADDSLOTSRANGE 1 2 3",
         "-ERR wrong number of arguments for 'cluster|addslotsrange' command\r\n"},
        {"ADDSLOTSRANGE 1 2 2 3", "-ERR Slot 2 specified multiple times\r\n"},
        {"ADDSLOTSRANGE 1 99999", "-ERR Invalid or out of range slot\r\n"},
        {"DELSLOTSRANGE 1 2", "-ERR Slot 1 is already unassigned\r\n"},
        {"DELSLOTSRANGE 3 2", "-ERR start slot number 3 is greater than end slot number 2\r\n"},
        {"FORGET abc", "-ERR Unknown node abc\r\n"},
        {"REPLICAS abc", "-ERR Unknown node abc\r\n"},
        {"SLAVES abc", "-ERR Unknown node abc\r\n"},
        {"COUNT-FAILURE-REPORTS abc", "-ERR Unknown node abc\r\n"},
        {"SET-CONFIG-EPOCH -1", "-ERR Invalid config epoch specified: -1\r\n"},
        {"SET-CONFIG-EPOCH x", "-ERR value is not an integer or out of range\r\n"},
        {"RESET foo", "-ERR syntax error\r\n"},
        {"RESET soft hard", "-ERR unknown subcommand or wrong number of arguments for 'RESET'. "
                            "Try CLUSTER HELP.\r\n"},
    };
    world w;
    world_open(&w, 500, TIMEOUT_MS);
    world_start(&w, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(world_ask(&w, 0, "%s", cases[i].words), cases[i].reply);
    }
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_slots_assigned:0\r\n"));
    assert_int_equal(world_count_lines(&w, 0, "@"), 1);
    world_close(&w);
}

static void the_info_of_a_fresh_node_is_complete(void **state)
{
    (void)state;
    static const char text[] = "cluster_state:fail\r\n"
                               "cluster_slots_assigned:0\r\n"
                               "cluster_slots_ok:0\r\n"
                               "cluster_slots_pfail:0\r\n"
                               "cluster_slots_fail:0\r\n"
                               "cluster_known_nodes:1\r\n"
                               "cluster_size:0\r\n"
                               "cluster_current_epoch:0\r\n"
                               "cluster_my_epoch:0\r\n"
                               "cluster_stats_messages_sent:0\r\n"
                               "cluster_stats_messages_received:0\r\n"
                               "total_cluster_links_buffer_limit_exceeded:0\r\n";
    char reply[sizeof(text) + 64];
    world w;
    world_open(&w, 501, TIMEOUT_MS);
    world_start(&w, 0);
    world_run(&w, 3000); /* before that Redis counts one master whatever there is */
    snprintf(reply, sizeof(reply), "$%zu\r\n%s\r\n", sizeof(text) - 1, text);
    assert_string_equal(world_ask(&w, 0, "INFO"), reply);
    snprintf(reply, sizeof(reply), "=%zu\r\ntxt:%s\r\n", sizeof(text) + 3, text);
    assert_string_equal(world_ask3(&w, 0, "INFO"), reply);
    world_close(&w);
}

static void messages_are_counted_by_type(void **state)
{
    (void)state;
    world w;
    world_open(&w, 502, TIMEOUT_MS);
    world_start_many(&w, 2);
    world_ask(&w, 0, "MEET 10.0.0.2 7001");
    world_run(&w, 10000);
    const char *info = world_ask(&w, 0, "INFO");
    const char *last = info;
    static const char *const fields[] = {"messages_ping_sent:",      "messages_pong_sent:",
                                         "messages_meet_sent:1\r\n", "messages_sent:",
                                         "messages_ping_received:",  "messages_pong_received:",
                                         "stats_messages_received:"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        last = strstr(last, fields[i]);
        assert_non_null(last);
    }
    assert_null(strstr(info, "meet_received"));
    assert_null(strstr(info, "fail_sent"));
    world_close(&w);
}

/* Replaces the node's name by NAME in the reply. */
static const char *anonymous(world *w, int index, const char *reply)
{
    static char text[8192];
    const char *name = shoal_cluster_name(w->nodes[index].cluster);
    char *to = text;
    for (const char *from = reply; *from;) {
        if (strncmp(from, name, SHOAL_NODE_NAME_LEN) == 0) {
            to += sprintf(to, "NAME");
            from += SHOAL_NODE_NAME_LEN;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    return text;
}

static void set(world *w, int preferred, const char *hostname)
{
    shoal_cluster_settings settings = {.port = 7000,
                                       .bus_port = 17000,
                                       .node_timeout_ms = TIMEOUT_MS,
                                       .announce_ip = "10.0.0.1",
                                       .preferred_endpoint = preferred};
    snprintf(settings.announce_hostname, sizeof(settings.announce_hostname), "%s", hostname);
    shoal_cluster_set(w->nodes[0].cluster, &settings, (shoal_time){w->now_us, w->now_us});
}

static void slots_tells_the_preferred_endpoint_and_the_others(void **state)
{
    (void)state;
    world w;
    world_open(&w, 503, TIMEOUT_MS);
    world_start(&w, 0);
    world_ask(&w, 0, "ADDSLOTS 5");
    assert_string_equal(anonymous(&w, 0, world_ask(&w, 0, "SLOTS")),
                        "*1\r\n*3\r\n:5\r\n:5\r\n*4\r\n$0\r\n\r\n:7000\r\n$40\r\nNAME\r\n*0\r\n");
    set(&w, 0, "");
    assert_string_equal(
        anonymous(&w, 0, world_ask(&w, 0, "SLOTS")),
        "*1\r\n*3\r\n:5\r\n:5\r\n*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n$40\r\nNAME\r\n*0\r\n");
    set(&w, 0, "h.example");
    assert_string_equal(anonymous(&w, 0, world_ask3(&w, 0, "SLOTS")),
                        "*1\r\n*3\r\n:5\r\n:5\r\n*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n$40\r\nNAME\r\n"
                        "%1\r\n$8\r\nhostname\r\n$9\r\nh.example\r\n");
    set(&w, 1, "h.example");
    assert_string_equal(anonymous(&w, 0, world_ask(&w, 0, "SLOTS")),
                        "*1\r\n*3\r\n:5\r\n:5\r\n*4\r\n$9\r\nh.example\r\n:7000\r\n$40\r\nNAME\r\n"
                        "*2\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n");
    set(&w, 1, "");
    assert_non_null(strstr(world_ask(&w, 0, "SLOTS"), "*4\r\n$1\r\n?\r\n:7000\r\n"));
    set(&w, 2, "h.example");
    assert_string_equal(anonymous(&w, 0, world_ask3(&w, 0, "SLOTS")),
                        "*1\r\n*3\r\n:5\r\n:5\r\n*4\r\n_\r\n:7000\r\n$40\r\nNAME\r\n"
                        "%2\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n"
                        "$8\r\nhostname\r\n$9\r\nh.example\r\n");
    assert_non_null(strstr(world_ask(&w, 0, "SLOTS"), "*4\r\n$-1\r\n:7000\r\n"));
    world_close(&w);
}

static void slots_are_listed_in_ranges(void **state)
{
    (void)state;
    world w;
    world_open(&w, 504, TIMEOUT_MS);
    world_start(&w, 0);
    assert_string_equal(world_ask(&w, 0, "SLOTS"), "*0\r\n");
    world_ask(&w, 0, "ADDSLOTSRANGE 0 100 102 102 16000 16383");
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " connected 0-100 102 16000-16383\n"));
    assert_non_null(strstr(world_ask(&w, 0, "SLOTS"), "*3\r\n*3\r\n:0\r\n:100\r\n"));
    world_ask(&w, 0, "DELSLOTSRANGE 50 60 16383 16383");
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " 0-49 61-100 102 16000-16382\n"));
    world_close(&w);
}

static void shards_are_maps(void **state)
{
    (void)state;
    world w;
    world_open(&w, 505, TIMEOUT_MS);
    world_start(&w, 0);
    world_ask(&w, 0, "ADDSLOTS 5");
    set(&w, 0, "h.example");
    assert_string_equal(anonymous(&w, 0, world_ask3(&w, 0, "SHARDS")),
                        "*1\r\n%2\r\n$5\r\nslots\r\n*2\r\n:5\r\n:5\r\n$5\r\nnodes\r\n*1\r\n%8\r\n"
                        "$2\r\nid\r\n$40\r\nNAME\r\n$4\r\nport\r\n:7000\r\n"
                        "$2\r\nip\r\n$8\r\n10.0.0.1\r\n$8\r\nendpoint\r\n$8\r\n10.0.0.1\r\n"
                        "$8\r\nhostname\r\n$9\r\nh.example\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
                        "$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\nonline\r\n");
    set(&w, 0, "");
    assert_non_null(strstr(world_ask(&w, 0, "SHARDS"), "*1\r\n*4\r\n$5\r\nslots\r\n"));
    assert_non_null(strstr(world_ask(&w, 0, "SHARDS"), "*1\r\n*14\r\n$2\r\nid\r\n"));
    world_close(&w);
}

static void links_are_listed_in_both_directions(void **state)
{
    (void)state;
    char expected[256];
    world w;
    world_open(&w, 506, TIMEOUT_MS);
    world_start_many(&w, 2);
    assert_string_equal(world_ask(&w, 0, "LINKS"), "*0\r\n");
    world_ask(&w, 0, "MEET 10.0.0.2 7001");
    world_run(&w, 3000);
    snprintf(expected, sizeof(expected),
             "*2\r\n%%6\r\n$9\r\ndirection\r\n$2\r\nto\r\n$4\r\nnode\r\n$40\r\n%s\r\n"
             "$11\r\ncreate-time\r\n:",
             shoal_cluster_name(w.nodes[1].cluster));
    assert_memory_equal(world_ask3(&w, 0, "LINKS"), expected, strlen(expected));
    assert_non_null(strstr(world_ask(&w, 0, "LINKS"),
                           "$6\r\nevents\r\n$1\r\nr\r\n$21\r\nsend-buffer-allocated\r\n:0\r\n"
                           "$16\r\nsend-buffer-used\r\n:0\r\n"));
    assert_non_null(strstr(world_ask(&w, 0, "LINKS"), "$9\r\ndirection\r\n$4\r\nfrom\r\n"));
    world_close(&w);
}

static void small_answers(void **state)
{
    (void)state;
    world w;
    world_open(&w, 507, TIMEOUT_MS);
    world_start(&w, 0);
    const char *name = shoal_cluster_name(w.nodes[0].cluster);
    assert_string_equal(anonymous(&w, 0, world_ask(&w, 0, "MYID")), "$40\r\nNAME\r\n");
    assert_string_equal(world_ask(&w, 0, "REPLICAS %s", name), "*0\r\n");
    assert_string_equal(world_ask(&w, 0, "COUNT-FAILURE-REPORTS %s", name), ":0\r\n");
    assert_string_equal(world_ask(&w, 0, "SAVECONFIG"), "+OK\r\n");
    assert_string_equal(world_ask(&w, 0, "SET-CONFIG-EPOCH 5"), "+OK\r\n");
    assert_string_equal(world_ask(&w, 0, "SET-CONFIG-EPOCH 6"),
                        "-ERR Node config epoch is already non-zero\r\n");
    assert_string_equal(world_ask(&w, 0, "BUMPEPOCH"), "+STILL 5\r\n");
    assert_string_equal(world_ask(&w, 0, "ADDSLOTS 5"), "+OK\r\n");
    assert_string_equal(world_ask(&w, 0, "ADDSLOTS 6 5 7"), "-ERR Slot 5 is already busy\r\n");
    assert_string_equal(world_ask(&w, 0, "FLUSHSLOTS"), "+OK\r\n");
    assert_string_equal(world_ask(&w, 0, "SLOTS"), "*0\r\n");
    assert_string_equal(anonymous(&w, 0, world_ask(&w, 0, "NODES")),
                        "$85\r\nNAME :7000@17000 myself,master - 0 0 5 connected\n\r\n");
    world_close(&w);
}

static void keys_forbid_flushslots_and_reset(void **state)
{
    (void)state;
    world w;
    world_open(&w, 508, TIMEOUT_MS);
    world_start(&w, 0);
    world_ask(&w, 0, "ADDSLOTS 5");
    static const char *const words[2] = {"FLUSHSLOTS", "RESET"};
    static const char *const replies[2] = {
        "-ERR DB must be empty to perform CLUSTER FLUSHSLOTS.\r\n",
        "-ERR CLUSTER RESET can't be called with master nodes containing keys\r\n"};
    for (int i = 0; i < 2; i++) {
        shoal_slice argv[2] = {shoal_text("CLUSTER"), shoal_text(words[i])};
        shoal_buffer out = shoal_buffer_make(&w.allocator);
        shoal_cluster_call call = {.argc = 2,
                                   .argv = argv,
                                   .keys = 1,
                                   .reply = {.out = &out, .protocol = 2}};
        shoal_cluster_command(w.nodes[0].cluster, &call);
        assert_true(shoal_text_equal(shoal_buffer_slice(&out), shoal_text(replies[i])));
        shoal_buffer_free(&out);
    }
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_slots_assigned:1\r\n"));
    world_close(&w);
}

static void a_replica_claims_no_slots(void **state)
{
    (void)state;
    world w;
    world_open(&w, 512, TIMEOUT_MS);
    world_form_replicas(&w, 3, 1);
    assert_string_equal(world_ask(&w, 3, "DELSLOTS 5"), "+OK\r\n");
    assert_string_equal(world_ask(&w, 3, "ADDSLOTS 5"),
                        "-ERR Please use ADDSLOTS only with masters.\r\n");
    assert_string_equal(world_ask(&w, 3, "ADDSLOTSRANGE 5 5"),
                        "-ERR Please use ADDSLOTSRANGE only with masters.\r\n");
    assert_true(world_is_replica(&w, 3));
    world_close(&w);
}

static void the_route_has_every_owner_and_its_endpoint(void **state)
{
    (void)state;
    world w;
    world_open(&w, 509, TIMEOUT_MS);
    world_start_many(&w, 3);
    world_form(&w, 2, 10000);
    world_ask(&w, 2, "MEET 10.0.0.1 7000");
    world_run(&w, 3000);
    uint16_t size = shoal_cluster_route_size(w.nodes[0].cluster);
    assert_int_equal(size, 2); /* the third has no slots */
    shoal_route *route = calloc(1, sizeof(*route) + size * sizeof(route->nodes[0]));
    shoal_cluster_fill_route(w.nodes[0].cluster, route, NULL);
    assert_true(route->cluster && route->up && !route->reads_when_down);
    assert_int_equal(route->node_count, 2);
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        const struct shoal_route_node *owner = &route->nodes[route->owner[slot] - 1];
        assert_int_equal(owner->port, slot < 8192 ? 7000 : 7001);
        assert_int_equal(owner->myself, slot < 8192);
        assert_string_equal(owner->endpoint, slot < 8192 ? "10.0.0.1" : "10.0.0.2");
    }
    free(route);
    world_close(&w);
}

static void lack_of_memory_stops_nobody(void **state)
{
    (void)state;
    for (int64_t calls = 1; calls < 60; calls++) {
        world w;
        world_open(&w, 510, TIMEOUT_MS);
        world_start_many(&w, 3);
        world_form(&w, 3, 10000);
        w.heap.fail_after = w.heap.calls + calls * 3;
        for (int i = 0; i < 30; i++) {
            world_run(&w, 20);
            if (i == 10) w.nodes[2].frozen = true;
        }
        w.heap.fail_after = 0;
        w.nodes[2].frozen = false;
        world_run(&w, 20000);
        assert_true(world_agree(&w, 3));
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wrong_argument_has_its_complaint),
        cmocka_unit_test(the_info_of_a_fresh_node_is_complete),
        cmocka_unit_test(messages_are_counted_by_type),
        cmocka_unit_test(slots_tells_the_preferred_endpoint_and_the_others),
        cmocka_unit_test(slots_are_listed_in_ranges),
        cmocka_unit_test(shards_are_maps),
        cmocka_unit_test(links_are_listed_in_both_directions),
        cmocka_unit_test(small_answers),
        cmocka_unit_test(keys_forbid_flushslots_and_reset),
        cmocka_unit_test(a_replica_claims_no_slots),
        cmocka_unit_test(the_route_has_every_owner_and_its_endpoint),
        cmocka_unit_test(lack_of_memory_stops_nobody),
    };
    return cmocka_run_group_tests_name("cluster_command", tests, NULL, NULL);
}
