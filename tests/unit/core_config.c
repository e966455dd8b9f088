/* SPDX-License-Identifier: MIT
 *
 * Reading configuration text, and what is shown of it.
 */
#include "support/core_world.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "core/config.h"

/* The sample configuration that Shoal promises to take as it is, in core_sample.conf. */
static char sample[4096];

/* Reads it, once for the group. */
static int load_sample(void **state)
{
    (void)state;
    FILE *file = fopen(SHOAL_SOURCE_DIR "/tests/unit/core_sample.conf", "r");
    if (file == NULL) return -1;
    size_t size = fread(sample, 1, sizeof(sample) - 1, file);
    sample[size] = '\0';
    return fclose(file);
}

/* What reading `text` says, in memory of the world. */
static shoal_err read_text(core_world *world, const char *text, shoal_buffer *complaint)
{
    shoal_slice slice = {text, strlen(text)};
    return shoal_node_configure(world->node, slice, "test.conf", complaint);
}

/* The directive shows `expected` after `text` was read. */
static void shows(const char *text, const char *directive, const char *expected)
{
    core_world world;
    core_world_open(&world, 1, text);
    shoal_buffer value = shoal_buffer_make(&world.allocator);
    assert_int_equal(shoal_node_config_get(world.node, directive, &value), SHOAL_ERR_OK);
    test_slice_is(shoal_buffer_slice(&value), expected);
    shoal_buffer_free(&value);
    core_world_close(&world);
}

/* Reading `text` is refused with a complaint that contains `expected`. */
static void refuses(const char *text, const char *expected)
{
    core_world world;
    core_world_make(&world, 1);
    shoal_buffer complaint = shoal_buffer_make(&world.allocator);
    assert_int_equal(read_text(&world, text, &complaint), SHOAL_ERR_INVALID);
    shoal_buffer_append(&complaint, (shoal_slice){"", 1});
    if (strstr(complaint.data, expected) == NULL) fail_msg("complaint is: %s", complaint.data);
    shoal_buffer_free(&complaint);
    core_world_close(&world);
}

static void every_directive_of_the_sample_is_taken(void **state)
{
    (void)state;
    shows(sample, "port", "7000");
    shows(sample, "cluster-enabled", "yes");
    shows(sample, "cluster-node-timeout", "5000");
    shows(sample, "maxmemory", "34359738368");
    shows(sample, "maxmemory-policy", "allkeys-lru");
    shows(sample, "save", "");
    shows(sample, "dir", "/var/lib/redis/cluster");
    shows(sample, "slave-priority", "100");
    shows(sample, "replica-lazy-flush", "yes");
}

static void every_default_can_be_read_back(void **state)
{
    (void)state;
    core_world world;
    core_world_make(&world, 1);
    for (uint32_t id = 0; id < SHOAL_DIRECTIVE_COUNT; id++) {
        const shoal_directive *row = shoal_config__row(id);
        shoal_buffer text = shoal_buffer_make(&world.allocator);
        shoal_buffer complaint = shoal_buffer_make(&world.allocator);
        shoal_buffer_append(&text, (shoal_slice){row->name, strlen(row->name)});
        shoal_buffer_append(&text, (shoal_slice){" \"", 2});
        assert_int_equal(shoal_node_config_get(world.node, row->name, &text), SHOAL_ERR_OK);
        shoal_buffer_append(&text, (shoal_slice){"\"\n", 3});
        assert_int_equal(read_text(&world, text.data, &complaint), SHOAL_ERR_OK);
        shoal_buffer_free(&text);
        shoal_buffer_free(&complaint);
    }
    assert_int_equal(shoal_node_config_version(world.node), 0);
    core_world_close(&world);
}

static void names_are_unique(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < SHOAL_DIRECTIVE_COUNT; id++) {
        const shoal_directive *row = shoal_config__row(id);
        shoal_slice name = {row->name, strlen(row->name)};
        shoal_slice alias = {row->alias, strlen(row->alias)};
        assert_int_equal(shoal_config__find(name), id);
        if (alias.size > 0) assert_int_equal(shoal_config__find(alias), id);
        assert_true(strlen(row->doc) > 0);
    }
}

static void sizes_have_decimal_and_binary_units(void **state)
{
    (void)state;
    shows("maxmemory 100\n", "maxmemory", "100");
    shows("maxmemory 1k\n", "maxmemory", "1000");
    shows("maxmemory 1KB\n", "maxmemory", "1024");
    shows("maxmemory 5m\n", "maxmemory", "5000000");
    shows("maxmemory 5mb\n", "maxmemory", "5242880");
    shows("maxmemory 2g\n", "maxmemory", "2000000000");
    shows("maxmemory 2gb\n", "maxmemory", "2147483648");
    shows("maxmemory-clients 5%\n", "maxmemory-clients", "5%");
}

static void comments_quotes_case_and_blanks_are_understood(void **state)
{
    (void)state;
    shows("  # nothing\r\n\r\n\t PORT   7001 \r\n", "port", "7001");
    shows("requirepass \"a b\\x41\"", "requirepass", "a bA");
    shows("Cluster-Enabled YES", "cluster-enabled", "yes");
    shows("timeout 1\ntimeout 2\n", "timeout", "2");
    shows("slave-read-only no\n", "replica-read-only", "no");
}

static void save_points_of_several_lines_add_up(void **state)
{
    (void)state;
    shows("", "save", "3600 1 300 100 60 10000");
    shows("save 900 1\nsave 60 5\n", "save", "900 1 60 5");
    shows("save 900 1\nsave \"\"\n", "save", "");
    shows("save 900 1 60 5\n", "save", "900 1 60 5");
    shows("save 900 1\nsave\n", "save", "");
}

static void save_points_of_a_further_text_add_to_those_before(void **state)
{
    (void)state;
    core_world world;
    core_world_make(&world, 1);
    shoal_buffer out = shoal_buffer_make(&world.allocator);
    assert_int_equal(read_text(&world, "save 900 1\n", &out), SHOAL_ERR_OK);
    assert_int_equal(read_text(&world, "save 100 100\n", &out), SHOAL_ERR_OK);
    assert_int_equal(shoal_node_config_get(world.node, "save", &out), SHOAL_ERR_OK);
    test_slice_is(shoal_buffer_slice(&out), "900 1 100 100");
    shoal_buffer_free(&out);
    core_world_close(&world);
}

static void special_values_take_their_canonical_form(void **state)
{
    (void)state;
    shows("client-output-buffer-limit replica 5mb 1kb 3\n", "client-output-buffer-limit",
          "normal 0 0 0 slave 5242880 1024 3 pubsub 33554432 8388608 60");
    shows("notify-keyspace-events KEA\n", "notify-keyspace-events", "AKE");
    shows("notify-keyspace-events Elg\n", "notify-keyspace-events", "glE");
    shows("latency-tracking-info-percentiles 50 80.50 100.0\n", "latency-tracking-info-percentiles",
          "50 80.5 100");
    shows("bind 127.0.0.1   -::1\n", "bind", "127.0.0.1 -::1");
    shows("shutdown-on-sigterm force nosave\n", "shutdown-on-sigterm", "nosave force");
    shows("unixsocketperm 700\n", "unixsocketperm", "700");
    shows("hz 0\n", "hz", "1");
    shows("hz 9999\n", "hz", "500");
}

static void a_wrong_value_is_named_with_its_line(void **state)
{
    (void)state;
    refuses("port 1\n\ntimeout abc\n", "at line 3\n>>> 'timeout abc'\n"
                                       "argument couldn't be parsed into an integer\n"
                                       "(test.conf) 'timeout' takes a whole number from 0");
    refuses("port 70000\n", "argument must be between 0 and 65535 inclusive");
    refuses("port 1 2\n", "wrong number of arguments");
    refuses("port\n", "wrong number of arguments");
    refuses("daemonize maybe\n", "argument must be 'yes' or 'no'");
    refuses("loglevel loud\n", "argument(s) must be one of the following: debug, verbose, notice, "
                               "warning");
    refuses("maxmemory 1.5gb\n", "argument must be a memory or percent value");
    refuses("maxmemory -1\n", "argument must be a memory or percent value");
    refuses("maxmemory 101%\n", "percentage argument must be less or equal to 100");
    refuses("maxmemory-clients 101%\n", "percentage argument must be less or equal to 100");
    refuses("proto-max-bulk-len 1\n", "argument must be between 1048576 and");
    refuses("unixsocketperm 888\n", "argument couldn't be parsed as an octal number");
    refuses("save 900\n", "Invalid save parameters");
    refuses("shutdown-on-sigint\n", "argument(s) must be one of the following");
    refuses("oom-score-adj-values\n", "wrong number of arguments");
    refuses("dbfilename a/b\n", "dbfilename can't be a path, just a filename");
    refuses("cluster-announce-hostname a_b\n", "Hostnames may only contain alphanumeric");
    refuses("cluster-announce-ip localhost\n", "numeric IPv4 or IPv6 address");
    refuses("proc-title-template {nope}\n", "template format is invalid");
    refuses("client-output-buffer-limit normal 1 2\n", "Wrong number of arguments in buffer");
    refuses("client-output-buffer-limit who 1 2 3\n", "Invalid client class");
    refuses("notify-keyspace-events q\n", "Invalid event class character");
    refuses("oom-score-adj-values 1 2 x\n", "elements must be between -2000 and 2000");
    refuses("requirepass \"a\n", "Unbalanced quotes in configuration line");
}

static void an_unknown_directive_is_answered_with_the_nearest_name(void **state)
{
    (void)state;
    refuses("maxmemry 1gb\n", "Bad directive or wrong number of arguments\n"
                              "(test.conf) expected a known directive; the nearest is 'maxmemory'");
    refuses("slave-prority 1\n", "the nearest is 'slave-priority'");
    refuses("include other.conf\n", "'include' is resolved before the text is read");
}

static void what_cannot_be_kept_is_not_promised(void **state)
{
    (void)state;
    refuses("tls-port 6380\n", "this version supports nothing but '0' here");
    refuses("aclfile users.acl\n", "this version supports nothing but '' here");
    shows("tls-port 0\ntls-cluster no\n", "tls-port", "0");
}

static void a_password_is_not_repeated_in_a_complaint(void **state)
{
    (void)state;
    core_world world;
    core_world_make(&world, 1);
    shoal_buffer complaint = shoal_buffer_make(&world.allocator);
    assert_int_equal(read_text(&world, "requirepass secret word\n", &complaint), SHOAL_ERR_INVALID);
    shoal_buffer_append(&complaint, (shoal_slice){"", 1});
    assert_null(strstr(complaint.data, "secret"));
    assert_non_null(strstr(complaint.data, ">>> 'requirepass ...'"));
    shoal_buffer_free(&complaint);
    core_world_close(&world);
}

static void the_list_of_directives_tells_their_effect(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer list = shoal_buffer_make(&allocator);
    shoal_node_directives(&list);
    shoal_buffer_append(&list, (shoal_slice){"", 1});
    assert_non_null(strstr(list.data, "port\t-\tactive\t\"6379\"\tTCP port for clients"));
    assert_non_null(strstr(list.data, "rdb-del-sync-files\t-\trecorded\t\"no\"\t"));
    shoal_buffer_free(&list);
    assert_int_equal(heap.blocks, 0);
}

static void running_out_of_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    for (int64_t after = 1; after < 400; after += 3) {
        core_world world;
        core_world_make(&world, 1);
        shoal_buffer complaint = shoal_buffer_make(&world.allocator);
        world.heap.fail_after = world.heap.calls + after;
        shoal_err error = read_text(&world, sample, &complaint);
        assert_true(error == SHOAL_ERR_OK || error == SHOAL_ERR_NO_MEMORY);
        world.heap.fail_after = 0;
        shoal_buffer_free(&complaint);
        core_world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_directive_of_the_sample_is_taken),
        cmocka_unit_test(every_default_can_be_read_back),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(sizes_have_decimal_and_binary_units),
        cmocka_unit_test(comments_quotes_case_and_blanks_are_understood),
        cmocka_unit_test(save_points_of_several_lines_add_up),
        cmocka_unit_test(save_points_of_a_further_text_add_to_those_before),
        cmocka_unit_test(special_values_take_their_canonical_form),
        cmocka_unit_test(a_wrong_value_is_named_with_its_line),
        cmocka_unit_test(an_unknown_directive_is_answered_with_the_nearest_name),
        cmocka_unit_test(what_cannot_be_kept_is_not_promised),
        cmocka_unit_test(a_password_is_not_repeated_in_a_complaint),
        cmocka_unit_test(the_list_of_directives_tells_their_effect),
        cmocka_unit_test(running_out_of_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests_name("core_config", tests, load_sample, NULL);
}
