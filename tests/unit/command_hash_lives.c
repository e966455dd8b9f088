/* SPDX-License-Identifier: MIT
 *
 * Fields of hashes with times to live, as a client of Redis 7.4 and 8 sees them, byte by byte.
 */
#include <stdio.h>
#include <string.h>

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
    client_asks(&c, "HSET h a 1 b 2 c 3~", ":3~");
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    client_close(&c);
    command_box_close(&box);
    return 0;
}

static void hexpire_lets_fields_live_for_a_while(void **state)
{
    (void)state;
    client_asks(&c, "HEXPIRE h 10 FIELDS 2 a nofield~HTTL h FIELDS 3 a b nofield~",
                "*2~:1~:-2~*3~:10~:-1~:-2~");
    client_asks(&c, "HPEXPIRE h 2500 FIELDS 1 b~HPTTL h FIELDS 1 b~HTTL h FIELDS 1 b~",
                "*1~:1~*1~:2500~*1~:3~");
    client_asks(&c, "HEXPIREAT h 1700000100 FIELDS 1 c~HEXPIRETIME h FIELDS 1 c~",
                "*1~:1~*1~:1700000100~");
    client_asks(&c, "HPEXPIREAT h 1700000100500 FIELDS 1 c~HPEXPIRETIME h FIELDS 2 c x~",
                "*1~:1~*2~:1700000100500~:-2~");
    client_asks(&c, "HEXPIRETIME h FIELDS 1 c~OBJECT ENCODING h~", "*1~:1700000101~$8~listpack~");
    client_asks(&c,
                "HEXPIRE nokey 10 FIELDS 2 a b~HTTL nokey FIELDS 1 a~HPERSIST nokey FIELDS 1 a~",
                "*2~:-2~:-2~*1~:-2~*1~:-2~");
}

static void expired_fields_are_not_there(void **state)
{
    (void)state;
    client_asks(&c, "HPEXPIRE h 100 FIELDS 2 a b~", "*2~:1~:1~");
    command_box_sleep(&box, 99);
    client_asks(&c, "HLEN h~HGET h a~", ":3~$1~1~");
    command_box_sleep(&box, 1);
    client_asks(&c, "HLEN h~HGET h a~HEXISTS h b~HMGET h a b c~HSTRLEN h a~",
                ":1~$-1~:0~*3~$-1~$-1~$1~3~:0~");
    client_asks(&c, "HGETALL h~HKEYS h~HVALS h~HSCAN h 0~HRANDFIELD h~HRANDFIELD h 5~",
                "*2~$1~c~$1~3~*1~$1~c~*1~$1~3~*2~$1~0~*2~$1~c~$1~3~$1~c~*1~$1~c~");
    client_asks(&c, "HTTL h FIELDS 1 a~HEXPIRE h 5 FIELDS 1 a~HPERSIST h FIELDS 1 a~HDEL h a~",
                "*1~:-2~*1~:-2~*1~:-2~:0~");
    client_asks(&c, "HSET h a 7~HSETNX h b 8~HINCRBY h b 1~HLEN h~HTTL h FIELDS 2 a b~",
                ":1~:1~:9~:3~*2~:-1~:-1~");
}

static void a_hash_without_fields_that_live_is_gone(void **state)
{
    (void)state;
    client_asks(&c, "HPEXPIRE h 100 FIELDS 3 a b c~", "*3~:1~:1~:1~");
    command_box_sleep(&box, 100);
    client_asks(&c, "HLEN h~HGETALL h~HRANDFIELD h~HRANDFIELD h 2~HSCAN h 0~",
                ":0~*0~$-1~*0~*2~$1~0~*0~");
    client_asks(&c, "HDEL h a~EXISTS h~HINCRBY h a 1~HGETALL h~TTL h~",
                ":0~:0~:1~*2~$1~a~$1~1~:-1~");
}

static void a_deadline_that_has_passed_removes_the_field(void **state)
{
    (void)state;
    client_asks(&c, "HEXPIRE h 0 FIELDS 2 a nofield~HGET h a~HPEXPIREAT h 1 FIELDS 1 b~HLEN h~",
                "*2~:2~:-2~$-1~*1~:2~:1~");
    client_asks(&c, "HEXPIREAT h 1700000000 FIELDS 1 c~EXISTS h~", "*1~:2~:0~");
}

static void conditions_are_obeyed(void **state)
{
    (void)state;
    client_asks(&c, "HEXPIRE h 10 XX FIELDS 1 a~HEXPIRE h 10 GT FIELDS 1 a~HTTL h FIELDS 1 a~",
                "*1~:0~*1~:0~*1~:-1~");
    client_asks(&c, "HEXPIRE h 10 NX FIELDS 1 a~HEXPIRE h 20 NX FIELDS 2 a b~HTTL h FIELDS 2 a b~",
                "*1~:1~*2~:0~:1~*2~:10~:20~");
    client_asks(&c, "HEXPIRE h 15 GT FIELDS 2 a b~HTTL h FIELDS 2 a b~", "*2~:1~:0~*2~:15~:20~");
    client_asks(&c, "HEXPIRE h 15 lt FIELDS 3 a b c~HTTL h FIELDS 3 a b c~",
                "*3~:0~:1~:1~*3~:15~:15~:15~");
    client_asks(&c, "HEXPIRE h 0 XX FIELDS 1 a~HEXPIRE h 0 NX FIELDS 1 b~HLEN h~",
                "*1~:2~*1~:0~:2~");
}

static void writes_keep_or_end_a_life_as_redis_does(void **state)
{
    (void)state;
    client_asks(&c, "HEXPIRE h 10 FIELDS 3 a b c~HSET h a x~HTTL h FIELDS 1 a~",
                "*3~:1~:1~:1~:0~*1~:-1~");
    client_asks(&c, "HINCRBY h b 1~HTTL h FIELDS 1 b~HINCRBYFLOAT h b 0.5~HTTL h FIELDS 1 b~",
                ":3~*1~:10~$3~3.5~*1~:10~");
    client_asks(&c, "HPERSIST h FIELDS 4 a b c nofield~HTTL h FIELDS 2 b c~",
                "*4~:-1~:1~:1~:-2~*2~:-1~:-1~");
    client_asks(&c, "HEXPIRE h 10 FIELDS 1 a~COPY h copy~HTTL copy FIELDS 2 a b~RENAME copy k~",
                "*1~:1~:1~*2~:10~:-1~+OK~");
    command_box_sleep(&box, 10000);
    client_asks(&c, "HGET k a~HLEN k~HLEN h~", "$-1~:2~:2~");
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    client_asks(&c, "HEXPIRE h x FIELDS 1 a~HEXPIRE h -1 FIELDS 1 a~HEXPIRE h 1 FIELD 1 a~",
                "-ERR value is not an integer or out of range~"
                "-ERR invalid expire time, must be >= 0~"
                "-ERR Mandatory argument FIELDS is missing or not at the right position~");
    client_asks(&c,
                "HEXPIRE h 99999999999999 FIELDS 1 a~HPEXPIRE h 9223372036854775807 FIELDS 1 a~",
                "-ERR invalid expire time in 'hexpire' command~"
                "-ERR invalid expire time in 'hpexpire' command~");
    client_asks(&c,
                "HEXPIRE h 1 FIELDS 0 a~HEXPIRE h 1 FIELDS x a~HEXPIRE h 1 FIELDS 2 a~"
                "HEXPIRE h 1 NX FIELDS 1~HEXPIRE h 1 FIELDS 1~",
                "-ERR Parameter `numFields` should be greater than 0~"
                "-ERR Parameter `numFields` should be greater than 0~"
                "-ERR The `numfields` parameter must match the number of arguments~"
                "-ERR The `numfields` parameter must match the number of arguments~"
                "-ERR wrong number of arguments for 'hexpire' command~");
    client_asks(&c, "HTTL h FIELDS 0 a~HTTL h FIELDS 2 a~HTTL h a 1 b~HPERSIST h FIELDS -1 a~",
                "-ERR Number of fields must be a positive integer~"
                "-ERR The `numfields` parameter must match the number of arguments~"
                "-ERR Mandatory argument FIELDS is missing or not at the right position~"
                "-ERR Number of fields must be a positive integer~");
    client_asks(&c, "SET s x~HEXPIRE s 1 FIELDS 1 a~HTTL s FIELDS 1 a~HGETDEL s FIELDS 1 a~",
                "+OK~-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~");
    client_asks(&c, "HTTL h FIELDS 3 a b c~", "*3~:-1~:-1~:-1~");
}

static void hgetdel_tells_and_removes(void **state)
{
    (void)state;
    client_asks(&c, "HGETDEL h FIELDS 3 a nofield a~HLEN h~", "*3~$1~1~$-1~$-1~:2~");
    client_asks(&c, "HGETDEL h FIELDS 2 b c~EXISTS h~HGETDEL h FIELDS 1 a~",
                "*2~$1~2~$1~3~:0~*1~$-1~");
    client_asks(&c, "HGETDEL h FIELDS 0 a~HGETDEL h FIELDS 2 a~HGETDEL h FIELD 1 a~",
                "-ERR Number of fields must be a positive integer~"
                "-ERR The `numfields` parameter must match the number of arguments~"
                "-ERR Mandatory argument FIELDS is missing or not at the right position~");
}

static void hgetex_tells_and_renews(void **state)
{
    (void)state;
    client_asks(&c, "HGETEX h FIELDS 2 a nofield~HTTL h FIELDS 1 a~", "*2~$1~1~$-1~*1~:-1~");
    client_asks(&c, "HGETEX h EX 10 FIELDS 1 a~HGETEX h PX 2500 FIELDS 1 b~HPTTL h FIELDS 2 a b~",
                "*1~$1~1~*1~$1~2~*2~:10000~:2500~");
    client_asks(&c, "HGETEX h PERSIST FIELDS 2 a c~HTTL h FIELDS 2 a c~",
                "*2~$1~1~$1~3~*2~:-1~:-1~");
    client_asks(&c,
                "HGETEX h EXAT 1 FIELDS 1 a~HEXISTS h a~HGETEX h PXAT 1700000000500 FIELDS 1 b~",
                "*1~$1~1~:0~*1~$1~2~");
    client_asks(&c, "HPTTL h FIELDS 1 b~HGETEX nokey EX 1 FIELDS 2 a b~EXISTS nokey~",
                "*1~:500~*2~$-1~$-1~:0~");
    client_asks(&c, "HGETEX h EX 1 PX 1 FIELDS 1 a~HGETEX h EX x FIELDS 1 a~HGETEX h KEEPTTL a b~",
                "-ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified~"
                "-ERR value is not an integer or out of range~-ERR unknown argument: KEEPTTL~");
    client_asks(&c, "HGETEX h FIELDS 0 a~HGETEX h FIELDS 2 a~HGETEX h EX 1 PERSIST FIELDS 1 a~",
                "-ERR invalid number of fields~-ERR wrong number of arguments for 'hgetex' command~"
                "-ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified~");
}

static void hsetex_sets_with_a_life(void **state)
{
    (void)state;
    client_asks(&c, "HSETEX h EX 10 FIELDS 2 a x d y~HMGET h a d~HTTL h FIELDS 3 a b d~",
                ":1~*2~$1~x~$1~y~*3~:10~:-1~:10~");
    client_asks(&c, "HSETEX h KEEPTTL FIELDS 2 a z b z~HTTL h FIELDS 2 a b~HSETEX h FIELDS 1 a w~",
                ":1~*2~:10~:-1~:1~");
    client_asks(&c, "HTTL h FIELDS 1 a~HSETEX h FNX FIELDS 2 a 1 e 1~HEXISTS h e~",
                "*1~:-1~:0~:0~");
    client_asks(&c, "HSETEX h FXX PX 500 FIELDS 2 a 1 e 1~HSETEX h FXX PX 500 FIELDS 2 a 1 b 1~",
                ":0~:1~");
    client_asks(&c,
                "HPTTL h FIELDS 2 a b~HSETEX h FNX FIELDS 1 e 5 EXAT 1700000009~HTTL h FIELDS 1 e~",
                "*2~:500~:500~:1~*1~:9~");
    client_asks(
        &c, "HSETEX h EXAT 1 FIELDS 2 a 1 f 1~HMGET h a f~HSETEX n PXAT 1 FIELDS 1 a 1~EXISTS n~",
        ":1~*2~$-1~$-1~:1~:0~");
    client_asks(&c,
                "HSETEX h FNX FXX FIELDS 1 a 1~HSETEX h EX 1 KEEPTTL FIELDS 1 a 1~"
                "HSETEX h BOGUS FIELDS 1 a 1~HSETEX h FIELDS x a 1~HSETEX h FIELDS 2 a 1~",
                "-ERR Only one of FXX or FNX arguments can be specified~"
                "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified~"
                "-ERR unknown argument: BOGUS~-ERR invalid number of fields~"
                "-ERR wrong number of arguments for 'hsetex' command~");
    client_asks(&c, "HSETEX h FNX EX 5 FNX 1 a~HSETEX h FNX FXX 1 a 2~",
                "-ERR Only one of FXX or FNX arguments can be specified~"
                "-ERR Only one of FXX or FNX arguments can be specified~");
}

static void writers_drop_some_of_what_has_expired(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        char line[100];
        snprintf(line, sizeof(line), "HSETEX big PX %u FIELDS 1 f%u v~", 100 + i, i);
        client_asks(&c, line, ":1~");
    }
    command_box_sleep(&box, 250);
    client_asks(&c, "HLEN big~HGET big f149~HGET big f151~", ":149~$-1~$1~v~");
    client_asks(&c, "HSET big new 1~HLEN big~HSETNX big f149 x~HLEN big~HSETNX big f150 x~",
                ":1~:150~:1~:151~:1~");
    client_asks(&c, "HGET big f150~HLEN big~", "$1~x~:152~");
    command_box_sleep(&box, 1000);
    client_asks(&c, "HLEN big~HDEL big new f149 f150 f151~HLEN big~HGETALL big~", ":3~:3~:0~*0~");
}

int main(void)
{
#define BOX_TEST(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        BOX_TEST(hexpire_lets_fields_live_for_a_while),
        BOX_TEST(expired_fields_are_not_there),
        BOX_TEST(a_hash_without_fields_that_live_is_gone),
        BOX_TEST(a_deadline_that_has_passed_removes_the_field),
        BOX_TEST(conditions_are_obeyed),
        BOX_TEST(writes_keep_or_end_a_life_as_redis_does),
        BOX_TEST(wrong_arguments_are_named),
        BOX_TEST(hgetdel_tells_and_removes),
        BOX_TEST(hgetex_tells_and_renews),
        BOX_TEST(hsetex_sets_with_a_life),
        BOX_TEST(writers_drop_some_of_what_has_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
