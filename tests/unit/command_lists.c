/* SPDX-License-Identifier: MIT
 *
 * List commands as a client sees them, byte by byte. Words and numbers were read off redis-server
 * 7.0.15. What needs a long list is done once with packs and once with objects.
 */
#include <stdio.h>
#include <string.h>

#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c;

#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value~"
#define NO_INTEGER "-ERR value is not an integer or out of range~"
#define SYNTAX "-ERR syntax error~"

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 1, false);
    client_open(&c, &box, 0);
    client_asks(&c, "SET str x~", "+OK~");
    return 0;
}

/* The same with chunks of two elements, so that no list is a pack. */
static int open_small(void **state)
{
    open_box(state);
    box.settings.list_node_max = 2;
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    client_close(&c);
    command_box_close(&box);
    return 0;
}

static void pushes_go_to_their_end(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b~LPUSH l c d~LRANGE l 0 -1~LLEN l~LLEN none~TYPE l~",
                ":2~:4~*4~$1~d~$1~c~$1~a~$1~b~:4~:0~+list~");
    client_asks(&c, "LPUSHX none a~RPUSHX none a~EXISTS none~LPUSHX l 1 2~RPUSHX l 3~",
                ":0~:0~:0~:6~:7~");
    client_asks(&c, "LPUSH str a~LPUSHX str a~LLEN str~LRANGE str 0 1~LINDEX str 0~",
                WRONG_TYPE WRONG_TYPE WRONG_TYPE WRONG_TYPE WRONG_TYPE);
    client_asks(&c, "LPUSH l~OBJECT ENCODING l~",
                "-ERR wrong number of arguments for 'lpush' command~$9~quicklist~");
}

static void pops_take_from_their_end(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b c d e f 7~LPOP l~RPOP l~LPOP l 2~RPOP l 2~",
                ":7~$1~a~$1~7~*2~$1~b~$1~c~*2~$1~f~$1~e~");
    client_asks(&c, "LPOP l 0~LPOP l 99~EXISTS l~LPOP l~LPOP l 1~LPOP l 0~",
                "*0~*1~$1~d~:0~$-1~*-1~*-1~");
    client_asks(&c, "LPOP str~LPOP str x~LPOP none -1~LPOP l 1 2~",
                WRONG_TYPE "-ERR value is out of range, must be positive~"
                           "-ERR value is out of range, must be positive~"
                           "-ERR wrong number of arguments for 'lpop' command~");
}

static void ranges_are_clipped(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b c~LRANGE l -2 99~LRANGE l -99 0~LRANGE l 2 1~LRANGE l 3 9~",
                ":3~*2~$1~b~$1~c~*1~$1~a~*0~*0~");
    client_asks(&c, "LRANGE none 0 -1~LRANGE l x 1~LRANGE none 0 x~", "*0~" NO_INTEGER NO_INTEGER);
    client_asks(&c, "LINDEX l 0~LINDEX l -1~LINDEX l 3~LINDEX l -4~LINDEX l x~LINDEX none x~",
                "$1~a~$1~c~$-1~$-1~" NO_INTEGER "$-1~");
}

static void lset_replaces_one(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b c~LSET l 1 longer~LSET l -1 5~LRANGE l 0 -1~",
                ":3~+OK~+OK~*3~$1~a~$6~longer~$1~5~");
    client_asks(&c, "LSET none x y~LSET l x y~LSET l 3 y~LSET str 0 y~",
                "-ERR no such key~" NO_INTEGER "-ERR index out of range~" WRONG_TYPE);
}

static void linsert_goes_beside_the_first_equal(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b b~LINSERT l BEFORE b x~LINSERT l after b 9~LRANGE l 0 -1~",
                ":3~:4~:5~*5~$1~a~$1~x~$1~b~$1~9~$1~b~");
    client_asks(&c,
                "LINSERT l BEFORE z x~LINSERT none BEFORE z x~LINSERT none by z x~"
                "LINSERT str AFTER z x~",
                ":-1~:0~" SYNTAX WRONG_TYPE);
}

static void lrem_counts_from_either_end(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a 1 a 1 a 1~LREM l 1 a~LRANGE l 0 -1~",
                ":6~:1~*5~$1~1~$1~a~$1~1~$1~a~$1~1~");
    client_asks(&c, "LREM l -2 1~LRANGE l 0 -1~", ":2~*3~$1~1~$1~a~$1~a~");
    client_asks(&c, "LREM l 0 none~LREM l 0 a~LREM l 5 1~EXISTS l~LREM l 0 a~LREM none x a~",
                ":0~:2~:1~:0~:0~" NO_INTEGER);
    client_asks(&c, "LREM str 0 a~LREM l -9223372036854775808 a~", WRONG_TYPE ":0~");
}

static void ltrim_keeps_a_range(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b c d e~LTRIM l 1 -2~LRANGE l 0 -1~LTRIM l -99 99~LLEN l~",
                ":5~+OK~*3~$1~b~$1~c~$1~d~+OK~:3~");
    client_asks(&c, "LTRIM l 5 9~EXISTS l~LTRIM none 0 1~LTRIM none x 1~LTRIM str 0 1~",
                "+OK~:0~+OK~" NO_INTEGER WRONG_TYPE);
}

static void lpos_tells_where(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b a b a~LPOS l a~LPOS l b RANK 2~LPOS l a RANK -1~LPOS l z~",
                ":5~:0~:3~:4~$-1~");
    client_asks(&c, "LPOS l a COUNT 0~LPOS l a COUNT 2 RANK -1~LPOS l a RANK 2 COUNT 0 MAXLEN 3~",
                "*3~:0~:2~:4~*2~:4~:2~*1~:2~");
    client_asks(&c, "LPOS l z COUNT 0~LPOS none a COUNT 0~LPOS none a~LPOS l a MAXLEN 1 RANK -2~",
                "*0~*0~$-1~$-1~");
    client_asks(&c, "LPOS l a RANK~LPOS l a COUNT -1~LPOS l a MAXLEN x~LPOS l a FOO 1~",
                SYNTAX "-ERR COUNT can't be negative~-ERR MAXLEN can't be negative~" SYNTAX);
    client_asks(&c, "LPOS l a RANK 0~",
                "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second "
                "... or use negative to start from the end of the list~");
}

static void lmove_takes_and_adds(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH a 1 2 3~LMOVE a b LEFT RIGHT~LMOVE a b RIGHT LEFT~RPOPLPUSH a b~",
                ":3~$1~1~$1~3~$1~2~");
    client_asks(&c, "EXISTS a~LRANGE b 0 -1~LMOVE a b LEFT LEFT~LMOVE none str LEFT LEFT~",
                ":0~*3~$1~2~$1~3~$1~1~$-1~$-1~");
    client_asks(&c, "LMOVE b str LEFT LEFT~LMOVE str b LEFT LEFT~LMOVE b b UP LEFT~LLEN b~",
                WRONG_TYPE WRONG_TYPE SYNTAX ":3~");
    client_asks(&c, "EXPIRE b 100~LMOVE b c LEFT LEFT~TTL b~TTL c~", ":1~$1~2~:100~:-1~");
}

static void lmove_turns_one_list_around(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b c~LMOVE l l LEFT RIGHT~LRANGE l 0 -1~",
                ":3~$1~a~*3~$1~b~$1~c~$1~a~");
    client_asks(&c, "RPOPLPUSH l l~LMOVE l l LEFT LEFT~LRANGE l 0 -1~",
                "$1~a~$1~a~*3~$1~a~$1~b~$1~c~");
    client_asks(&c, "RPUSH one 1~RPOPLPUSH one one~LRANGE one 0 -1~", ":1~$1~1~*1~$1~1~");
}

static void lmpop_takes_from_the_first_that_has_some(void **state)
{
    (void)state;
    client_asks(&c,
                "RPUSH l a b c d~LMPOP 2 none l LEFT~LMPOP 1 l RIGHT COUNT 2~LMPOP 1 none LEFT~",
                ":4~*2~$1~l~*1~$1~a~*2~$1~l~*2~$1~d~$1~c~*-1~");
    client_asks(&c, "LMPOP 2 none str LEFT~LMPOP 1 l LEFT COUNT 9~EXISTS l~",
                WRONG_TYPE "*2~$1~l~*1~$1~b~:0~");
    client_asks(
        &c, "LMPOP 0 l LEFT~LMPOP x l LEFT~LMPOP 2 l LEFT~LMPOP 1 l UP~",
        "-ERR numkeys should be greater than 0~-ERR numkeys should be greater than 0~" SYNTAX
            SYNTAX);
    client_asks(&c, "LMPOP 1 l LEFT COUNT 0~LMPOP 1 l LEFT COUNT~LMPOP 1 l LEFT COUNT 1 COUNT 1~",
                "-ERR count should be greater than 0~" SYNTAX SYNTAX);
}

static void waiting_pops_take_at_once_what_is_there(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b c d~BLPOP none l 0~BRPOP l none 0~BLMPOP 0 2 none l LEFT COUNT 5~",
                ":4~*2~$1~l~$1~a~*2~$1~l~$1~d~*2~$1~l~*2~$1~b~$1~c~");
    client_asks(&c, "RPUSH l a b~BLMOVE l m LEFT LEFT 0~BRPOPLPUSH l m 0~EXISTS l~LRANGE m 0 -1~",
                ":2~$1~a~$1~b~:0~*2~$1~b~$1~a~");
    client_asks(&c, "BLPOP none str 0~BLMOVE str m LEFT LEFT 0~BLMOVE m str LEFT LEFT 0~",
                WRONG_TYPE WRONG_TYPE WRONG_TYPE);
    client_asks(&c, "BLPOP m x~BLPOP m -1~BLMOVE m m UP LEFT 0~BLMPOP -1 1 m LEFT~",
                "-ERR timeout is not a float or out of range~-ERR timeout is negative~" SYNTAX
                "-ERR timeout is negative~");
}

static void a_waiting_pop_is_served_by_a_push(void **state)
{
    (void)state;
    command_client other;
    client_open(&other, &box, 0);
    client_asks(&c, "BRPOP a b 0~", "");
    client_asks(&other, "RPUSH b 1 2~LRANGE b 0 -1~", ":2~*1~$1~1~");
    client_got(&c, "*2~$1~b~$1~2~");
    client_asks(&c, "BLMOVE from to RIGHT LEFT 0~", "");
    client_asks(&other, "RPUSH from x~EXISTS from~LRANGE to 0 -1~", ":1~:0~*1~$1~x~");
    client_got(&c, "$1~x~");
    client_asks(&c, "BLMPOP 0 2 p q RIGHT COUNT 2~", "");
    client_asks(&other, "RPUSH q 1 2 3~LRANGE q 0 -1~", ":3~*1~$1~1~");
    client_got(&c, "*2~$1~q~*2~$1~3~$1~2~");
    client_asks(&c, "BLMOVE from str LEFT LEFT 0~", "");
    client_asks(&other, "RPUSH from x~EXISTS from~", ":1~:1~");
    client_got(&c, WRONG_TYPE);
    client_close(&other);
}

static void lists_keep_their_time_to_live(void **state)
{
    (void)state;
    client_asks(&c,
                "RPUSH l a b c d e f~EXPIRE l 100~LPUSH l x~LPOP l~LSET l 0 z~LREM l 1 b~TTL l~",
                ":6~:1~:7~$1~x~+OK~:1~:100~");
    client_asks(&c, "LTRIM l 0 2~LINSERT l BEFORE z y~RPOPLPUSH l l~TTL l~", "+OK~:4~$1~d~:100~");
}

static void nulls_have_the_form_of_the_protocol(void **state)
{
    (void)state;
    client_send(&c, (shoal_slice){"HELLO 3\r\n", 9});
    command_box_settle(&box);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_asks(&c, "LPOP none~LPOP none 1~LPOS none a~LMPOP 1 none LEFT~LMOVE none a LEFT LEFT~",
                "_~_~_~_~_~");
}

/* ---- long lists ---- */

static shoal_slice number_text(char out[32], uint32_t i)
{
    return (shoal_slice){out, (size_t)snprintf(out, 32, "element:%04u", i)};
}

/* RPUSHes so many elements, a hundred at a time. */
static void fill(uint32_t count)
{
    static char text[4096], reply[32];
    for (uint32_t i = 0; i < count;) {
        int size = snprintf(text, sizeof(text), "RPUSH l");
        for (uint32_t end = i + 100; i < end && i < count; i++) {
            char one[32];
            shoal_slice element = number_text(one, i);
            size += snprintf(text + size, sizeof(text) - (size_t)size, " %.*s", (int)element.size,
                             element.data);
        }
        snprintf(text + size, sizeof(text) - (size_t)size, "~");
        snprintf(reply, sizeof(reply), ":%u~", i);
        client_asks(&c, text, reply);
    }
}

static void long_lists_are_read_and_changed_anywhere(void **state)
{
    (void)state;
    fill(5000);
    client_asks(&c, "LLEN l~LINDEX l 0~LINDEX l 2499~LINDEX l -1~LPOS l element:4000~",
                ":5000~$12~element:0000~$12~element:2499~$12~element:4999~:4000~");
    client_asks(&c, "LSET l 2500 new~LINSERT l BEFORE new 77~LINDEX l 2500~LINDEX l 2501~",
                "+OK~:5001~$2~77~$3~new~");
    client_asks(&c, "LREM l -1 77~LREM l 1 new~LRANGE l 2499 2500~",
                ":1~:1~*2~$12~element:2499~$12~element:2501~");
    client_asks(&c, "LPOS l element:0000 RANK -1~LPOS l element:4990 MAXLEN 20 RANK -1~",
                ":0~:4989~");
    client_asks(&c, "RPOPLPUSH l l~LPOP l~LPOP l 2~RPOP l~OBJECT ENCODING l~",
                "$12~element:4999~$12~element:4999~*2~$12~element:0000~$12~element:0001~"
                "$12~element:4998~$9~quicklist~");
}

static void long_lists_are_trimmed_to_short_ones(void **state)
{
    (void)state;
    fill(6000);
    client_asks(&c, "COPY l m~LTRIM l 10 11~LRANGE l 0 -1~",
                ":1~+OK~*2~$12~element:0010~$12~element:0011~");
    client_asks(&c, "LTRIM m 100 5900~LINDEX m 0~LINDEX m -1~LLEN m~",
                "+OK~$12~element:0100~$12~element:5900~:5801~");
    client_asks(&c, "LTRIM m -2 -1~LRANGE m 0 -1~DEL m~",
                "+OK~*2~$12~element:5899~$12~element:5900~:1~");
}

static void moves_between_packs_and_objects_keep_every_element(void **state)
{
    (void)state;
    fill(300);
    for (uint32_t i = 0; i < 300; i++) {
        char one[32], reply[64];
        shoal_slice element = number_text(one, i);
        snprintf(reply, sizeof(reply), "$12~%.*s~:%u~:%u~", (int)element.size, element.data,
                 299 - i, i + 1);
        client_asks(&c, "LMOVE l m LEFT RIGHT~LLEN l~LLEN m~", reply);
    }
    client_asks(&c, "EXISTS l~LINDEX m 299~", ":0~$12~element:0299~");
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    client_asks(&c, "RPUSH l a b c~", ":3~");
    /* Too large for what slabs have left. */
    static char text[7000] = "RPUSH big ";
    memset(text + 10, 'x', 6000);
    text[6010] = '~';
    client_asks(&c, text, ":1~");
    client_asks(&c, "LRANGE l 0 -1~", "*3~$1~a~$1~b~$1~c~");
    box.heap.fail_after = box.heap.calls;
    client_asks(&c, "LMOVE big l LEFT LEFT~", "-OOM no memory left for this command~");
    box.heap.fail_after = 0;
    client_asks(&c, "LRANGE l 0 -1~LLEN big~", "*3~$1~a~$1~b~$1~c~:1~");
}

#define FACT(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)
/* The same fact once more with objects. */
#define SMALL(test)                                                  \
    {                                                                \
#test " in chunks of two", test, open_small, close_box, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACT(pushes_go_to_their_end),
        SMALL(pushes_go_to_their_end),
        FACT(pops_take_from_their_end),
        SMALL(pops_take_from_their_end),
        FACT(ranges_are_clipped),
        SMALL(ranges_are_clipped),
        FACT(lset_replaces_one),
        SMALL(lset_replaces_one),
        FACT(linsert_goes_beside_the_first_equal),
        SMALL(linsert_goes_beside_the_first_equal),
        FACT(lrem_counts_from_either_end),
        SMALL(lrem_counts_from_either_end),
        FACT(ltrim_keeps_a_range),
        SMALL(ltrim_keeps_a_range),
        FACT(lpos_tells_where),
        SMALL(lpos_tells_where),
        FACT(lmove_takes_and_adds),
        SMALL(lmove_takes_and_adds),
        FACT(lmove_turns_one_list_around),
        SMALL(lmove_turns_one_list_around),
        FACT(lmpop_takes_from_the_first_that_has_some),
        SMALL(lmpop_takes_from_the_first_that_has_some),
        FACT(waiting_pops_take_at_once_what_is_there),
        SMALL(waiting_pops_take_at_once_what_is_there),
        FACT(a_waiting_pop_is_served_by_a_push),
        SMALL(a_waiting_pop_is_served_by_a_push),
        FACT(lists_keep_their_time_to_live),
        SMALL(lists_keep_their_time_to_live),
        FACT(nulls_have_the_form_of_the_protocol),
        FACT(long_lists_are_read_and_changed_anywhere),
        SMALL(long_lists_are_read_and_changed_anywhere),
        FACT(long_lists_are_trimmed_to_short_ones),
        SMALL(long_lists_are_trimmed_to_short_ones),
        FACT(moves_between_packs_and_objects_keep_every_element),
        SMALL(moves_between_packs_and_objects_keep_every_element),
        FACT(without_memory_nothing_changes),
        SMALL(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests_name("command_lists", tests, NULL, NULL);
}
