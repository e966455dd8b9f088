/* SPDX-License-Identifier: MIT
 *
 * Commands on sorted sets as a client sees them, byte by byte. Words and numbers were read off
 * redis-server 7.0.15. What waits for an element is at the end.
 */
#include <stdio.h>

#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c, d;

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 1, false);
    client_open(&c, &box, 0);
    client_open(&d, &box, 0);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    client_close(&c);
    client_close(&d);
    command_box_close(&box);
    return 0;
}

/* Speaks RESP3 from now on. */
static void speak_three(void)
{
    client_asks(&c, "HELLO 3~",
                "%7~$6~server~$5~redis~$7~version~$6~7.0.15~$5~proto~:3~$2~id~:1~"
                "$4~mode~$10~standalone~$4~role~$6~master~$7~modules~*0~");
}

static void zadd_counts_what_it_added(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1 a 2 b~ZADD z 3 a 4 c~ZADD z CH 5 a 4 c 9 d~ZCARD z~", ":2~:1~:2~:4~");
    client_asks(&c, "ZRANGE z 0 -1 WITHSCORES~", "*8~$1~b~$1~2~$1~c~$1~4~$1~a~$1~5~$1~d~$1~9~");
    client_asks(&c, "ZSCORE z a~ZSCORE z x~ZSCORE none a~ZMSCORE z d x~ZMSCORE none x~",
                "$1~5~$-1~$-1~*2~$1~9~$-1~*1~$-1~");
}

static void zadd_obeys_its_options(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z XX 1 a~EXISTS z~ZADD z NX 1 a~ZADD z NX CH 2 a~ZADD z XX CH 2 a~",
                ":0~:0~:1~:0~:1~");
    client_asks(&c, "ZADD z GT CH 1 a 5 b~ZADD z GT CH 3 a~ZADD z LT CH 9 a~ZADD z LT CH 1 a~",
                ":1~:1~:0~:1~");
    client_asks(&c, "ZADD z INCR 2.5 a~ZADD z NX INCR 1 a~ZADD z GT INCR -1 a~ZINCRBY z 1 new~",
                "$3~3.5~$-1~$-1~$1~1~");
    client_asks(&c, "ZADD z inf a~ZINCRBY z -inf a~ZSCORE z a~",
                ":0~-ERR resulting score is not a number (NaN)~$3~inf~");
}

static void wrong_arguments_of_zadd_are_named(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1~ZADD z 1 a 2~ZADD z x a~ZADD z nan a~ZADD z 1 a x b~EXISTS z~",
                "-ERR wrong number of arguments for 'zadd' command~-ERR syntax error~"
                "-ERR value is not a valid float~-ERR value is not a valid float~"
                "-ERR value is not a valid float~:0~");
    client_asks(&c, "ZADD z NX XX 1 a~ZADD z GT LT 1 a~ZADD z INCR 1 a 2 b~",
                "-ERR XX and NX options at the same time are not compatible~"
                "-ERR GT, LT, and/or NX options at the same time are not compatible~"
                "-ERR INCR option supports a single increment-element pair~");
    client_asks(&c, "SET s x~ZADD s 1 a~ZRANGE s 0 1~ZREM s a~",
                "+OK~-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~");
}

static void ranges_by_rank_count_from_either_end(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1 a 2 b 3 c 4 d~", ":4~");
    client_asks(&c, "ZRANGE z 1 2~ZRANGE z -2 100~ZRANGE z 3 1~ZRANGE z 9 10~ZREVRANGE z 0 1~",
                "*2~$1~b~$1~c~*2~$1~c~$1~d~*0~*0~*2~$1~d~$1~c~");
    client_asks(&c, "ZRANGE z 0 0 REV WITHSCORES~ZRANK z c~ZREVRANK z c~ZRANK z x~ZRANK none x~",
                "*2~$1~d~$1~4~:2~:1~$-1~$-1~");
    client_asks(&c, "ZRANGE z 0 1 LIMIT 0 1~ZRANGE z 0 1 foo~ZRANGE z x 1~ZREVRANGE z 0 1 REV~",
                "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
                "BYLEX~-ERR syntax error~-ERR value is not an integer or out of range~"
                "-ERR syntax error~");
}

static void ranges_by_score_may_leave_out_their_ends(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1 a 2 b 2 bb 3 c 4 d~", ":5~");
    client_asks(&c, "ZRANGEBYSCORE z 2 3~ZRANGEBYSCORE z (2 +inf~ZREVRANGEBYSCORE z (4 -inf~",
                "*3~$1~b~$2~bb~$1~c~*2~$1~c~$1~d~*4~$1~c~$2~bb~$1~b~$1~a~");
    client_asks(&c, "ZRANGE z 2 inf BYSCORE LIMIT 1 2~ZRANGE z inf 2 BYSCORE REV LIMIT 1 2~",
                "*2~$2~bb~$1~c~*2~$1~c~$2~bb~");
    client_asks(&c, "ZCOUNT z 2 (4~ZCOUNT z 9 1~ZCOUNT z x 1~ZRANGEBYSCORE z 1 2 LIMIT -1 5~",
                ":3~:0~-ERR min or max is not a float~*0~");
}

static void ranges_by_member_compare_bytes(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 0 a 0 aa 0 b 0 c~", ":4~");
    client_asks(&c,
                "ZRANGEBYLEX z [aa (c~ZRANGEBYLEX z - +~ZREVRANGEBYLEX z (b -~ZLEXCOUNT z (a +~",
                "*2~$2~aa~$1~b~*4~$1~a~$2~aa~$1~b~$1~c~*2~$2~aa~$1~a~:3~");
    client_asks(&c, "ZRANGE z + [b BYLEX REV LIMIT 1 1~ZRANGEBYLEX z + -~ZRANGEBYLEX z a b~",
                "*1~$1~b~*0~-ERR min or max not valid string range item~");
    client_asks(&c, "ZRANGE z [a [b BYLEX WITHSCORES~ZREMRANGEBYLEX z [aa [b~ZCARD z~",
                "-ERR syntax error, WITHSCORES not supported in combination with BYLEX~:2~:2~");
}

static void removal_of_all_removes_the_key(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1 a 2 b 3 c~ZREM z a x b~ZREM z c~EXISTS z~", ":3~:2~:1~:0~");
    client_asks(&c, "ZADD z 1 a 2 b 3 c~ZREMRANGEBYSCORE z 2 2~ZREMRANGEBYRANK z 0 -1~EXISTS z~",
                ":3~:1~:2~:0~");
    client_asks(&c, "ZADD z 1 a~ZPOPMAX z~EXISTS z~ZPOPMIN z~ZREM z a~",
                ":1~*2~$1~a~$1~1~:0~*0~:0~");
}

static void a_change_keeps_the_time_to_live(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1 a~EXPIRE z 100~ZADD z 2 b~ZINCRBY z 1 a~ZREM z b~TTL z~",
                ":1~:1~:1~$1~2~:1~:100~");
    client_asks(&c, "ZUNIONSTORE z 1 z~TTL z~", ":1~:-1~");
}

static void pops_take_from_the_ends(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1 a 2 b 3 c 4 d~ZPOPMIN z~ZPOPMAX z 2~ZPOPMIN z 0~ZPOPMIN none 3~",
                ":4~*2~$1~a~$1~1~*4~$1~d~$1~4~$1~c~$1~3~*0~*0~");
    client_asks(&c, "ZPOPMIN z -1~ZPOPMIN z 1 2~",
                "-ERR value is out of range, must be positive~-ERR syntax error~");
    client_asks(&c, "ZADD y 1 e 2 f~ZMPOP 2 x y MAX COUNT 5~ZMPOP 1 x MIN~ZMPOP 1 z MIN~",
                ":2~*2~$1~y~*2~*2~$1~f~$1~2~*2~$1~e~$1~1~*-1~*2~$1~z~*1~*2~$1~b~$1~2~");
    client_asks(&c, "ZMPOP 0 z MIN~ZMPOP 1 z FOO~ZMPOP 1 z MIN COUNT 0~ZMPOP 2 z MIN~",
                "-ERR numkeys should be greater than 0~-ERR syntax error~"
                "-ERR count should be greater than 0~-ERR syntax error~");
}

static void sets_are_combined(void **state)
{
    (void)state;
    client_asks(&c, "ZADD a 1 x 2 y~ZADD b 10 y 20 z~SADD s z q~", ":2~:2~:2~");
    client_asks(&c, "ZUNION 2 a b WITHSCORES~ZINTER 2 a b WITHSCORES~ZDIFF 2 a b WITHSCORES~",
                "*6~$1~x~$1~1~$1~y~$2~12~$1~z~$2~20~*2~$1~y~$2~12~*2~$1~x~$1~1~");
    client_asks(&c, "ZUNIONSTORE t 2 b s WEIGHTS 2 3 AGGREGATE MAX~ZRANGE t 0 -1 WITHSCORES~",
                ":3~*6~$1~q~$1~3~$1~y~$2~20~$1~z~$2~40~");
    client_asks(&c, "ZINTERSTORE t 2 a none~EXISTS t~ZDIFFSTORE t 2 b s~ZINTERCARD 2 b s LIMIT 1~",
                ":0~:0~:1~:1~");
    client_asks(&c, "ZADD i inf m~ZADD j -inf m~ZUNION 2 i j WITHSCORES~", ":1~:1~*2~$1~m~$1~0~");
    /* A product that is no number: 0 in a union, and in an intersection what makes the sum 0. */
    client_asks(&c, "ZUNION 2 i i WEIGHTS 1 0 WITHSCORES~ZINTER 2 i i WEIGHTS 1 0 WITHSCORES~",
                "*2~$1~m~$3~inf~*2~$1~m~$1~0~");
}

static void wrong_arguments_of_combinations_are_named(void **state)
{
    (void)state;
    client_asks(&c, "ZUNION 0 a~ZUNIONSTORE t x a~ZINTER 2 a~ZUNION 1 a WEIGHTS x~",
                "-ERR at least 1 input key is needed for 'zunion' command~"
                "-ERR value is not an integer or out of range~-ERR syntax error~"
                "-ERR weight value is not a float~");
    client_asks(&c, "ZDIFF 1 a WEIGHTS 1~ZUNION 1 a AGGREGATE AVG~ZINTERCARD 1 a LIMIT -1~",
                "-ERR syntax error~-ERR syntax error~-ERR LIMIT can't be negative~");
    client_asks(&c, "SET s x~ZUNION 1 s FOO~ZUNIONSTORE t 1 s WITHSCORES~",
                "+OK~-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~");
}

static void zrangestore_replaces_its_target(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1 a 2 b 3 c~SET t x~ZRANGESTORE t z 1 2 REV~ZRANGE t 0 -1 WITHSCORES~",
                ":3~+OK~:2~*4~$1~a~$1~1~$1~b~$1~2~");
    client_asks(&c, "ZRANGESTORE t none 0 -1~EXISTS t~ZRANGESTORE z z (1 inf BYSCORE~ZCARD z~",
                ":0~:0~:2~:2~");
    client_asks(&c, "ZRANGESTORE t z 0 -1 WITHSCORES~", "-ERR syntax error~");
}

static void encodings_follow_the_thresholds(void **state)
{
    (void)state;
    box.settings.zset_entries_max = 3;
    client_asks(&c, "ZADD z 1 a 2 b 3 c~OBJECT ENCODING z~ZADD z 4 d~OBJECT ENCODING z~",
                ":3~$8~listpack~:1~$8~skiplist~");
    client_asks(&c, "ZREM z a b~OBJECT ENCODING z~ZUNIONSTORE t 1 z~OBJECT ENCODING t~",
                ":2~$8~skiplist~:2~$8~listpack~");
    client_asks(&c,
                "ZADD y 1 12345678901234567890123456789012345678901234567890123456789012345~"
                "OBJECT ENCODING y~TYPE y~COPY z w~ZRANGE w 0 -1~",
                ":1~$8~skiplist~+zset~:1~*2~$1~c~$1~d~");
}

static void resp3_has_doubles_and_pairs(void **state)
{
    (void)state;
    speak_three();
    client_asks(&c, "ZADD z 1.5 a inf b~ZSCORE z a~ZSCORE z x~ZINCRBY z 1 a~ZMSCORE z b x~",
                ":2~,1.5~_~,2.5~*2~,inf~_~");
    client_asks(&c, "ZRANGE z 0 -1 WITHSCORES~ZRANGE z 0 -1~",
                "*2~*2~$1~a~,2.5~*2~$1~b~,inf~*2~$1~a~$1~b~");
    client_asks(&c, "ZUNION 1 z WITHSCORES~ZRANDMEMBER z 5 WITHSCORES~",
                "*2~*2~$1~a~,2.5~*2~$1~b~,inf~*2~*2~$1~a~,2.5~*2~$1~b~,inf~");
    client_asks(&c, "ZPOPMIN z~ZPOPMIN z 1~ZMPOP 1 z MIN~ZRANK z a~",
                "*2~$1~a~,2.5~*1~*2~$1~b~,inf~_~_~");
}

static void zrandmember_chooses_as_many_as_asked(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1 a~ZRANDMEMBER z~ZRANDMEMBER z 3~ZRANDMEMBER z -3~ZRANDMEMBER z 0~",
                ":1~$1~a~*1~$1~a~*3~$1~a~$1~a~$1~a~*0~");
    client_asks(&c, "ZRANDMEMBER none~ZRANDMEMBER none 3~ZRANDMEMBER z -2 WITHSCORES~",
                "$-1~*0~*4~$1~a~$1~1~$1~a~$1~1~");
    client_asks(&c, "ZRANDMEMBER z 1 FOO~ZRANDMEMBER z x~ZRANDMEMBER z -9223372036854775808~",
                "-ERR syntax error~-ERR value is not an integer or out of range~"
                "-ERR value is out of range, value must between -9223372036854775807 and "
                "9223372036854775807~");
}

static void zscan_answers_members_with_scores(void **state)
{
    (void)state;
    client_asks(&c, "ZADD z 1 a 2.5 b~ZSCAN z 0~ZSCAN z 0 MATCH b COUNT 5~ZSCAN none 0~",
                ":2~*2~$1~0~*4~$1~a~$1~1~$1~b~$3~2.5~*2~$1~0~*2~$1~b~$3~2.5~*2~$1~0~*0~");
    client_asks(&c, "ZSCAN z x~ZSCAN z 0 COUNT 0~ZSCAN z 0 FOO~",
                "-ERR invalid cursor~-ERR syntax error~-ERR syntax error~");
}

static void large_sets_behave_as_small_ones(void **state)
{
    (void)state;
    char text[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "ZADD z %d member:%d~", i * 7 % 1000, i);
        client_asks(&c, text, ":1~");
    }
    client_asks(&c, "ZCARD z~ZSCORE z member:143~ZRANK z member:143~ZREVRANK z member:143~",
                ":1000~$1~1~:1~:998~");
    client_asks(&c, "ZRANGE z 500 501~ZCOUNT z 10 (20~ZREMRANGEBYSCORE z 100 899~ZCARD z~",
                "*2~$10~member:500~$10~member:643~:10~:800~:200~");
    client_asks(&c, "ZPOPMAX z~ZADD z XX CH 5000 member:0~ZREVRANGE z 0 0 WITHSCORES~",
                "*2~$10~member:857~$3~999~:1~*2~$8~member:0~$4~5000~");
}

/* ---- waiting ---- */

static void bzpop_answers_at_once_where_there_is_something(void **state)
{
    (void)state;
    client_asks(&c, "ZADD y 1 a 2 b~BZPOPMAX x y 0~BZMPOP 0 2 x y MIN COUNT 9~EXISTS y~",
                ":2~*3~$1~y~$1~b~$1~2~*2~$1~y~*1~*2~$1~a~$1~1~:0~");
    client_asks(&c, "BZPOPMIN x foo~BZPOPMIN x -1~BZMPOP -1 1 x MIN~BZMPOP x 1 k FOO~",
                "-ERR timeout is not a float or out of range~-ERR timeout is negative~"
                "-ERR timeout is negative~-ERR syntax error~");
}

static void bzpop_waits_for_an_element(void **state)
{
    (void)state;
    client_asks(&c, "BZPOPMIN x y 0~", "");
    client_asks(&d, "ZADD y 3 c 1 a~", ":2~");
    client_got(&c, "*3~$1~y~$1~a~$1~1~");
    client_asks(&c, "BZMPOP 0 1 x MAX COUNT 2~", "");
    client_asks(&d, "ZADD x 1 p 2 q 3 r~", ":3~");
    client_got(&c, "*2~$1~x~*2~*2~$1~r~$1~3~*2~$1~q~$1~2~");
    client_asks(&d, "ZRANGE x 0 -1~ZRANGE y 0 -1~", "*1~$1~p~*1~$1~c~");
}

static void bzpop_gives_up_in_time(void **state)
{
    (void)state;
    client_asks(&c, "BZPOPMIN x 0.5~", "");
    command_box_sleep(&box, 600);
    command_box_round(&box, 0);
    command_box_settle(&box);
    client_got(&c, "*-1~");
}

#define BOXED(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOXED(zadd_counts_what_it_added),
        BOXED(zadd_obeys_its_options),
        BOXED(wrong_arguments_of_zadd_are_named),
        BOXED(ranges_by_rank_count_from_either_end),
        BOXED(ranges_by_score_may_leave_out_their_ends),
        BOXED(ranges_by_member_compare_bytes),
        BOXED(removal_of_all_removes_the_key),
        BOXED(a_change_keeps_the_time_to_live),
        BOXED(pops_take_from_the_ends),
        BOXED(sets_are_combined),
        BOXED(wrong_arguments_of_combinations_are_named),
        BOXED(zrangestore_replaces_its_target),
        BOXED(encodings_follow_the_thresholds),
        BOXED(resp3_has_doubles_and_pairs),
        BOXED(zrandmember_chooses_as_many_as_asked),
        BOXED(zscan_answers_members_with_scores),
        BOXED(large_sets_behave_as_small_ones),
        BOXED(bzpop_answers_at_once_where_there_is_something),
        BOXED(bzpop_waits_for_an_element),
        BOXED(bzpop_gives_up_in_time),
    };
    return cmocka_run_group_tests_name("command_zsets", tests, NULL, NULL);
}
