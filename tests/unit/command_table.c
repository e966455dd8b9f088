/* SPDX-License-Identifier: MIT
 *
 * The table of commands: how rows are found, that the rows agree with themselves, and what COMMAND
 * tells about them. That the facts are those of redis-server is tests/system/command_facts.t.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "command/lookup.h"
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

static shoal_slice none(void)
{
    return (shoal_slice){"", 0};
}

/* ---- finding ---- */

static void every_name_is_found_in_any_case(void **state)
{
    (void)state;
    shoal_lookup *lookup = malloc(sizeof(*lookup));
    shoal_lookup__make(lookup);
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
        const shoal_command *row = shoal_command_row(id);
        char name[40];
        size_t size = strlen(row->name);
        for (size_t i = 0; i < size; i++) {
            char letter = row->name[i];
            name[i] = i % 2 == 0 && letter >= 'a' && letter <= 'z' ? (char)(letter - 32) : letter;
        }
        shoal_slice text = {name, size};
        if (row->parent == SHOAL_COMMAND_NONE) {
            assert_ptr_equal(shoal_lookup__find(lookup, text), row);
            assert_ptr_equal(shoal_command_find(text, none()), row);
        } else {
            assert_ptr_equal(shoal_lookup__sub(row->parent, text), row);
            shoal_slice parent = shoal_text(shoal_command_row(row->parent)->name);
            assert_ptr_equal(shoal_command_find(parent, text), row);
        }
    }
    free(lookup);
}

static void what_is_almost_a_name_is_not_found(void **state)
{
    (void)state;
    shoal_lookup *lookup = malloc(sizeof(*lookup));
    shoal_lookup__make(lookup);
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
        const shoal_command *row = shoal_command_row(id);
        if (row->parent != SHOAL_COMMAND_NONE) continue;
        char name[40];
        size_t size = strlen(row->name);
        memcpy(name, row->name, size);
        /* Other bits of a letter, which must not pass for its capital. */
        for (size_t i = 0; i < size; i++) {
            for (int bit = 0; bit < 8; bit++) {
                if (bit == 5) continue;
                name[i] = (char)(row->name[i] ^ (1 << bit));
                const shoal_command *found = shoal_lookup__find(lookup, (shoal_slice){name, size});
                assert_ptr_not_equal(found, row);
            }
            name[i] = row->name[i];
        }
        name[size] = '\0';
        assert_ptr_not_equal(shoal_lookup__find(lookup, (shoal_slice){name, size + 1}), row);
        assert_ptr_not_equal(shoal_lookup__find(lookup, (shoal_slice){name, size - 1}), row);
    }
    assert_null(shoal_lookup__find(lookup, none()));
    assert_null(shoal_lookup__find(lookup, shoal_text("@et")));
    assert_null(shoal_lookup__find(lookup, shoal_text("a-name-of-many-more-letters")));
    free(lookup);
}

/* ---- rows ---- */

static void rows_agree_with_themselves(void **state)
{
    (void)state;
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
        const shoal_command *row = shoal_command_row(id);
        bool container = shoal_lookup__is_container(id) && id != SHOAL_COMMAND_COMMAND;
        assert_int_equal(row->id, id);
        assert_true(row->arity != 0);
        assert_int_equal(row->run == NULL, row->executor == SHOAL_RUN_CONTROL);
        if (container) assert_int_equal(row->executor, SHOAL_RUN_CONTROL);
        if (row->executor == SHOAL_RUN_GATED) assert_int_not_equal(row->access[0], 0);
        if (row->executor == SHOAL_RUN_GATED) assert_true(row->flags & SHOAL_FLAG_WRITE);
        if (row->executor == SHOAL_RUN_READ)
            assert_true(row->flags & (SHOAL_FLAG_READONLY | SHOAL_FLAG_PUBSUB));
        assert_true(row->key_first == 0 || row->key_step > 0);
        if (row->key_first != 0) assert_int_not_equal(row->access[0], 0);
        assert_true(strlen(row->summary) > 10);
        for (size_t i = 0; row->name[i] != '\0'; i++)
            assert_int_equal(row->name[i], shoal_text_lower(row->name[i]));
    }
}

static void subcommands_stand_behind_their_container(void **state)
{
    (void)state;
    for (uint32_t id = 2; id < SHOAL_COMMAND_COUNT; id++) {
        const shoal_command *row = shoal_command_row(id), *before = shoal_command_row(id - 1);
        if (row->parent == SHOAL_COMMAND_NONE) continue;
        assert_true(before->id == row->parent || before->parent == row->parent);
    }
}

/* ---- COMMAND ---- */

static void command_info_tells_the_facts(void **state)
{
    (void)state;
    client_asks(&c, "COMMAND INFO get nosuch~",
                "*2~*10~$3~get~:2~*2~+readonly~+fast~:1~:1~:1~*3~+@read~+@string~+@fast~*0~*1~*6~"
                "$5~flags~*2~+RO~+access~$12~begin_search~*4~$4~type~$5~index~$4~spec~*2~$5~index~"
                ":1~$9~find_keys~*4~$4~type~$5~range~$4~spec~*6~$7~lastkey~:0~$7~keystep~:1~"
                "$5~limit~:0~*0~*-1~");
    client_asks(&c, "COMMAND INFO rename~",
                "*1~*10~$6~rename~:3~*1~+write~:1~:2~:1~*3~+@keyspace~+@write~+@slow~*0~*2~*6~"
                "$5~flags~*3~+RW~+access~+delete~$12~begin_search~*4~$4~type~$5~index~$4~spec~*2~"
                "$5~index~:1~$9~find_keys~*4~$4~type~$5~range~$4~spec~*6~$7~lastkey~:0~$7~keystep~"
                ":1~$5~limit~:0~*6~$5~flags~*2~+OW~+update~$12~begin_search~*4~$4~type~$5~index~"
                "$4~spec~*2~$5~index~:2~$9~find_keys~*4~$4~type~$5~range~$4~spec~*6~$7~lastkey~:0~"
                "$7~keystep~:1~$5~limit~:0~*0~");
}

static void command_info_speaks_resp3(void **state)
{
    (void)state;
    client_send(&c, shoal_text("HELLO 3\r\n"));
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_asks(&c, "COMMAND INFO nosuch config|get dbsize~",
                "*3~_~*10~$10~config|get~:-3~^4~+admin~+noscript~+loading~+stale~:0~:0~:0~^3~"
                "+@admin~+@slow~+@dangerous~^0~^0~^0~*10~$6~dbsize~:1~^2~+readonly~+fast~:0~:0~:0~"
                "^3~+@keyspace~+@read~+@fast~^2~$25~request_policy:all_shards~"
                "$23~response_policy:agg_sum~^0~^0~");
}

static void command_docs_has_text_and_old_names(void **state)
{
    (void)state;
    client_asks(
        &c, "COMMAND DOCS substr nosuch~",
        "*2~$6~substr~*14~$7~summary~$24~The old name of GETRANGE~$5~since~$5~1.0.0~$5~group~"
        "$6~string~$10~complexity~$30~O(N) with N the bytes returned~$9~doc_flags~*1~"
        "+deprecated~$16~deprecated_since~$5~2.0.0~$11~replaced_by~$10~`GETRANGE`~");
    client_asks(
        &c, "COMMAND DOCS memory|usage~",
        "*2~$12~memory|usage~*8~$7~summary~$35~Bytes that a key and its value take~$5~since~"
        "$5~4.0.0~$5~group~$6~server~$10~complexity~$4~O(1)~");
}

/* The whole reply is one well-formed element. */
static void replies_one_element(const char *request)
{
    client_send(&c, shoal_text(request));
    shoal_slice got = shoal_buffer_slice(&c.out);
    size_t size = 0;
    assert_int_equal(shoal_answer_size(got, &size), 0);
    assert_int_equal(size, got.size);
    shoal_buffer_consume(&c.out, got.size);
}

static void long_replies_are_well_formed_in_both_protocols(void **state)
{
    (void)state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        replies_one_element("COMMAND\r\n");
        replies_one_element("COMMAND INFO\r\n");
        replies_one_element("COMMAND DOCS\r\n");
        replies_one_element("COMMAND LIST\r\n");
        replies_one_element("CLIENT HELP\r\n");
        replies_one_element("CLUSTER HELP\r\n");
        replies_one_element("COMMAND HELP\r\n");
        replies_one_element("HELLO 3\r\n");
    }
}

static void command_count_counts_what_command_lists(void **state)
{
    (void)state;
    client_send(&c, shoal_text("COMMAND COUNT\r\n"));
    shoal_answer count, list;
    assert_int_equal(shoal_answer_next(shoal_buffer_slice(&c.out), &count), 0);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_send(&c, shoal_text("COMMAND\r\n"));
    assert_int_equal(shoal_answer_next(shoal_buffer_slice(&c.out), &list), 0);
    assert_int_equal(count.integer, list.integer);
}

static void command_list_filters(void **state)
{
    (void)state;
    client_asks(&c, "COMMAND LIST FILTERBY PATTERN config|re*~COMMAND LIST FILTERBY MODULE x~",
                "*2~$16~config|resetstat~$14~config|rewrite~*0~");
    client_asks(&c, "COMMAND LIST FILTERBY ACLCAT foo~COMMAND LIST FILTERBY~COMMAND LIST a b c~",
                "*0~-ERR syntax error~-ERR syntax error~");
    client_asks(&c, "COMMAND LIST FILTERBY PATTERN get~", "*1~$3~get~");
}

static void command_getkeys_finds_keys(void **state)
{
    (void)state;
    client_asks(&c, "COMMAND GETKEYS MSET a 1 b 2~COMMAND GETKEYS MEMORY USAGE k~",
                "*2~$1~a~$1~b~*1~$1~k~");
    client_asks(&c, "COMMAND GETKEYS ping a~COMMAND GETKEYS foo a~COMMAND GETKEYS mset a~",
                "-ERR The command has no key arguments~-ERR Invalid command specified~"
                "-ERR Invalid number of arguments specified for command~");
    client_asks(&c, "COMMAND GETKEYSANDFLAGS rename a b~",
                "*2~*2~$1~a~*3~+RW~+access~+delete~*2~$1~b~*2~+OW~+update~");
    client_asks(&c, "COMMAND GETKEYSANDFLAGS set a 1~COMMAND GETKEYSANDFLAGS set a get ex 9 GET~",
                "*1~*2~$1~a~*2~+OW~+update~*1~*2~$1~a~*3~+RW~+access~+update~");
    client_asks(&c, "COMMAND GETKEYSANDFLAGS set get get ex 9~", "*1~*2~$3~get~*2~+OW~+update~");
}

static void debug_answers_only_whom_it_is_open_to(void **state)
{
    (void)state;
    static const char refused[] =
        "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        "you can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server.~";
    client_asks(&c, "DEBUG HELP~", refused);
    box.settings.debug_local = true;
    client_asks(&c, "DEBUG foo~",
                "-ERR unknown subcommand or wrong number of arguments for 'foo'. "
                "Try DEBUG HELP.~");
    box.settings.debug_local = false;
    client_asks(&c, "DEBUG PROTOCOL string~", refused);
}

static void debug_shows_every_kind_of_reply(void **state)
{
    (void)state;
    box.settings.debug = true;
    client_asks(&c, "DEBUG PROTOCOL string~DEBUG PROTOCOL integer~DEBUG PROTOCOL double~",
                "$11~Hello World~:12345~$5~3.141~");
    client_asks(&c, "DEBUG PROTOCOL null~DEBUG PROTOCOL map~DEBUG PROTOCOL bignum~",
                "$-1~*6~:0~:0~:1~:1~:2~:0~$37~1234567999999999999999999999999999999~");
    client_asks(&c, "DEBUG PROTOCOL attrib~DEBUG PROTOCOL push~",
                "$39~Some real reply following the attribute~"
                "-ERR RESP2 is not supported by this command~");
    client_send(&c, shoal_text("HELLO 3\r\n"));
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_asks(&c, "DEBUG PROTOCOL array~DEBUG PROTOCOL set~DEBUG PROTOCOL double~",
                "*3~:0~:1~:2~^3~:0~:1~:2~,3.141~");
    client_asks(&c, "DEBUG PROTOCOL attrib~DEBUG PROTOCOL bignum~DEBUG PROTOCOL false~",
                "|1~$14~key-popularity~*2~$7~key:123~:90~$39~Some real reply following the "
                "attribute~(1234567999999999999999999999999999999~#f~");
    client_asks(&c, "DEBUG PROTOCOL push~DEBUG PROTOCOL true~",
                ">2~$16~server-cpu-usage~:42~$40~Some real reply following the push reply~#t~");
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found_in_any_case),
        cmocka_unit_test(what_is_almost_a_name_is_not_found),
        cmocka_unit_test(rows_agree_with_themselves),
        cmocka_unit_test(subcommands_stand_behind_their_container),
        FACT(command_info_tells_the_facts),
        FACT(command_info_speaks_resp3),
        FACT(command_docs_has_text_and_old_names),
        FACT(long_replies_are_well_formed_in_both_protocols),
        FACT(command_count_counts_what_command_lists),
        FACT(command_list_filters),
        FACT(command_getkeys_finds_keys),
        FACT(debug_answers_only_whom_it_is_open_to),
        FACT(debug_shows_every_kind_of_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
