/* SPDX-License-Identifier: MIT
 *
 * What writes leave in the log. The streams that are expected here are those that redis-server
 * 7.0.15 writes to its append-only file for the same commands, but for commands that it does not
 * have.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/text.h"
#include "command/effect.h"
#include "command/hold.h"
#include "command/worker.h"
#include "support/command_box.h"
#include "support/test.h"

/* The clock of the boxes, as effects spell it. */
#define NOW "1700000"

/* A command, and what it leaves; NULL: whatever. */
typedef struct row {
    const char *command, *effects;
} row;

/* Sends a command as a line, or with the length of each of its words; several are always lines. */
static void say(command_client *client, const char *command, bool in_line)
{
    char text[512], words[512];
    assert_true(strlen(command) < sizeof words);
    memcpy(words, command, strlen(command) + 1);
    if (in_line || strchr(command, '\n') != NULL) {
        client_send(client, (shoal_slice){command, strlen(command)});
        client_send(client, (shoal_slice){"\r\n", 2});
        return;
    }
    int argc = 0, size = 0;
    for (char *at = words; at != NULL; at = strchr(at + 1, ' ')) argc++;
    size = snprintf(text, sizeof text, "*%d\r\n", argc);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        size += snprintf(text + size, sizeof text - (size_t)size, "$%d\r\n%s\r\n",
                         (int)strlen(word), word);
    assert_true((size_t)size < sizeof text);
    client_send(client, (shoal_slice){text, (size_t)size});
}

/* Runs each command in a box with one client. Replies are not looked at. */
static void check_said(const row *rows, size_t count, void (*prepare)(command_box *box),
                       bool in_line)
{
    command_box box;
    command_client client;
    command_box_open(&box, 1, false);
    command_box_log(&box);
    if (prepare != NULL) prepare(&box);
    client_open(&client, &box, 0);
    client_asks(&client, "SELECT 1~", "+OK~");
    for (size_t i = 0; i < count; i++) {
        say(&client, rows[i].command, in_line);
        command_box_settle(&box);
        shoal_buffer_consume(&client.out, shoal_buffer_size(&client.out));
        if (rows[i].effects == NULL) {
            shoal_buffer any = command_box_effects(&box);
            shoal_buffer_free(&any);
            continue;
        }
        command_box_told(&box, rows[i].effects);
    }
    client_close(&client);
    command_box_close(&box);
}

static void check(const row *rows, size_t count, void (*prepare)(command_box *box))
{
    check_said(rows, count, prepare, true);
    check_said(rows, count, prepare, false);
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof(rows[0]), NULL)

static void strings_are_told_as_redis_tells_them(void **state)
{
    (void)state;
    static const row rows[] = {
        {"SET a 1", "SELECT 1 | SET a 1"},
        {"set a 2 ex 100", "SET a 2 PXAT " NOW "100000"},
        {"set a 2 px 1000", "SET a 2 PXAT " NOW "001000"},
        {"set a 3 exat 4000000000", "SET a 3 PXAT 4000000000000"},
        {"set a 3 pxat 4000000000000", "SET a 3 PXAT 4000000000000"},
        {"set a 5 get", "set a 5"},
        {"set a 6 get get xx", "set a 6 xx"},
        {"set a 7 keepttl get", "set a 7 keepttl"},
        {"set a 8 nx", ""},
        {"set n 8 nx", "set n 8 nx"},
        {"set a 8 xx ex 100 get", "SET a 8 PXAT " NOW "100000"},
        {"set a 9 ifeq 8", "set a 9"},
        {"set a 9 ifeq 8", ""},
        {"set a 9 pxat 1000", "DEL a"},
        {"set a 9 pxat 1000", ""},
        {"setex a 100 v", "SET a v PXAT " NOW "100000"},
        {"psetex a 100 v", "SET a v PXAT " NOW "000100"},
        {"setnx q v", "setnx q v"},
        {"setnx q v", ""},
        {"getset a w", "SET a w"},
        {"getdel a", "DEL a"},
        {"getdel a", ""},
        {"set a 1", "set a 1"},
        {"getex a ex 100", "PEXPIREAT a " NOW "100000"},
        {"getex a", ""},
        {"getex a persist", "PERSIST a"},
        {"getex a persist", ""},
        {"getex a pxat 1000", "DEL a"},
        {"set f 1.5", "set f 1.5"},
        {"incrbyfloat f 1.25", "SET f 2.75 KEEPTTL"},
        {"incrbyfloat f x", ""},
        {"incr c", "incr c"},
        {"incrby c 5", "incrby c 5"},
        {"mset m 1 n 2", "mset m 1 n 2"},
        {"msetnx m 1 z 2", ""},
        {"msetex 2 m 1 n 2 px 100",
         "MULTI | SET m 1 PXAT " NOW "000100 | SET n 2 PXAT " NOW "000100 | EXEC"},
        {"delifeq m 2", ""},
        {"delifeq m 1", "DEL m"},
        {"setrange sr 0 ab", "setrange sr 0 ab"},
        {"append sr x", "append sr x"},
        {"setbit sb 3 1", "setbit sb 3 1"},
        {"bitfield sb get u8 0", ""},
        {"bitfield sb set u8 0 5 get u8 0", "bitfield sb set u8 0 5 get u8 0"},
        {"bitop not d sb", "bitop not d sb"},
    };
    CHECK(rows);
}

static void keys_are_told_as_redis_tells_them(void **state)
{
    (void)state;
    static const row rows[] = {
        {"set a 1", NULL},
        {"expire a 100", "PEXPIREAT a " NOW "100000"},
        {"expire a 50 nx", ""},
        {"expire a 200 xx gt", "PEXPIREAT a " NOW "200000 xx gt"},
        {"pexpire a 500000", "PEXPIREAT a " NOW "500000"},
        {"expireat a 4000000001", "PEXPIREAT a 4000000001000"},
        {"pexpireat a 4000000001000 lt", ""},
        {"pexpireat a 4000000002000", "pexpireat a 4000000002000"},
        {"persist a", "persist a"},
        {"persist a", ""},
        {"expire a -1", "DEL a"},
        {"set u 1", NULL},
        {"copy u v", "copy u v"},
        {"copy u v", ""},
        {"copy u w db 3", "copy u w db 3"},
        {"move u 2", "move u 2"},
        {"rename v x", "rename v x"},
        {"renamenx x y", "renamenx x y"},
        {"del y nokey", "del y nokey"},
        {"del y nokey", ""},
        {"set y 1", NULL},
        {"unlink y", "unlink y"},
        {"get y", ""},
    };
    CHECK(rows);
}

static void lists_are_told_as_redis_tells_them(void **state)
{
    (void)state;
    static const row rows[] = {
        {"rpush l a b c d e f", "SELECT 1 | rpush l a b c d e f"},
        {"blpop l 0", "LPOP l"},
        {"brpop l 0", "RPOP l"},
        {"blmove l m left right 0", "LMOVE l m left right"},
        {"brpoplpush l m 0", "RPOPLPUSH l m"},
        {"lmove l m left right", "lmove l m left right"},
        {"rpoplpush l m", "rpoplpush l m"},
        {"lmpop 2 nokey m left count 10", "LPOP m 4"},
        {"rpush l a b c", "rpush l a b c"},
        {"lmpop 1 l right", "RPOP l 1"},
        {"blmpop 0 1 l left count 1", "LPOP l 1"},
        {"lpop l 5", "lpop l 5"},
        {"lpop l", ""},
        {"rpush u 3 1 2", NULL},
        {"sort u store v", "sort u store v"},
        {"sort u by w_* get # store v", "sort u by w_* get # store v"},
        {"sort nokey store v", "sort nokey store v"},
        {"lset u 0 x", "lset u 0 x"},
        {"linsert u before zz q", ""},
        {"linsert u before x q", "linsert u before x q"},
        {"lpushx nokey a", ""},
        {"lrem u 0 nothing", ""},
    };
    CHECK(rows);
}

static void sets_are_told_as_redis_tells_them(void **state)
{
    (void)state;
    static const row rows[] = {
        {"sadd s a b c d e", "SELECT 1 | sadd s a b c d e"},
        {"sadd s a", ""},
        {"spop s", "SREM s ?"},
        {"spop s 2", "MULTI | SREM s ? | SREM s ? | EXEC"},
        {"spop s 0", ""},
        {"spop s 100", "DEL s"},
        {"sadd s x", NULL},
        {"spop s", "SREM s x"},
        {"sadd s a b", NULL},
        {"smove s t a", "smove s t a"},
        {"smove s t a", ""},
        {"sunionstore d s t", "sunionstore d s t"},
        {"sinterstore d s nokey", "sinterstore d s nokey"},
        {"sinterstore d s nokey", ""},
        {"zadd z 1 a 2 b 3 c 4 d 5 e 6 f", NULL},
        {"bzpopmin z 0", "ZPOPMIN z"},
        {"bzpopmax z 0", "ZPOPMAX z"},
        {"zpopmin z", "zpopmin z"},
        {"zmpop 1 z min", "ZPOPMIN z 1"},
        {"bzmpop 0 1 z max count 5", "ZPOPMAX z 2"},
        {"zadd z 1 a", "zadd z 1 a"},
        {"zadd z nx 1 a", ""},
        {"zincrby z 2 a", "zincrby z 2 a"},
        {"zremrangebyscore z 0 0", ""},
        {"zrangestore zd z 0 -1", "zrangestore zd z 0 -1"},
        {"zunionstore ze 1 z", "zunionstore ze 1 z"},
        {"zrangestore zd nokey 0 -1", "zrangestore zd nokey 0 -1"},
    };
    CHECK(rows);
}

static void hashes_are_told_with_the_deadlines_of_their_fields(void **state)
{
    (void)state;
    static const row rows[] = {
        {"hset h f 1 g 2", "SELECT 1 | hset h f 1 g 2"},
        {"hincrbyfloat h f 1.5", "HSET h f 2.5"},
        {"hincrby h e 2", "hincrby h e 2"},
        {"hdel h nope", ""},
        {"hsetnx h e 3", ""},
        {"hexpire h 100 fields 2 f nope", "HPEXPIREAT h " NOW "100000 FIELDS 1 f"},
        {"hexpire h 200 nx fields 2 f g", "HPEXPIREAT h " NOW "200000 FIELDS 1 g"},
        {"hincrbyfloat h f 1",
         "MULTI | HSET h f 3.5 | HPEXPIREAT h " NOW "100000 FIELDS 1 f | EXEC"},
        {"hpersist h fields 1 f", "hpersist h fields 1 f"},
        {"hpexpireat h 1000 fields 1 f", "HDEL h f"},
        {"hsetex h px 100 fields 1 a b",
         "MULTI | HSET h a b | HPEXPIREAT h " NOW "000100 FIELDS 1 a | EXEC"},
        {"hgetex h persist fields 2 a e", "HPERSIST h FIELDS 1 a"},
        {"hgetex h px 100 fields 1 a", "HPEXPIREAT h " NOW "000100 FIELDS 1 a"},
        {"hgetdel h fields 2 a nope", "HDEL h a"},
    };
    CHECK(rows);
}

static void transactions_are_one_piece_and_single_effects_stand_alone(void **state)
{
    (void)state;
    static const row rows[] = {
        {"multi\r\nset a 1\r\nexec", "SELECT 1 | set a 1"},
        {"multi\r\nset a 1\r\nincr c\r\nexec", "MULTI | set a 1 | incr c | EXEC"},
        {"multi\r\nget a\r\nexec", ""},
        {"multi\r\nset a 1\r\nincr a x\r\nexec", ""},
        {"multi\r\nset a 1\r\nlpush a x\r\nexec", "set a 1"},
        {"multi\r\nset a 1 ex 100\r\nselect 3\r\nincr c\r\nselect 1\r\nexec",
         "MULTI | SET a 1 PXAT " NOW "100000 | SELECT 3 | incr c | SELECT 1 | EXEC"},
        {"sadd s x\r\nrpush l v", NULL},
        {"multi\r\nblpop l 0\r\nspop s\r\nexec", "MULTI | LPOP l | SREM s x | EXEC"},
        {"watch a\r\nset a 2\r\nmulti\r\nset a 3\r\nexec", "set a 2"},
    };
    CHECK(rows);
}

static void what_expires_goes_before_what_found_it_expired(void **state)
{
    (void)state;
    command_box box;
    command_client client;
    command_box_open(&box, 1, false);
    command_box_log(&box);
    client_open(&client, &box, 0);
    client_asks(&client, "SET k v PX 1~", "+OK~");
    command_box_told(&box, "SELECT 0 | SET k v PXAT " NOW "000001");
    box.now.wall_us += 5000;
    client_asks(&client, "GET k~", "$-1~");
    command_box_told(&box, "DEL k");
    client_asks(&client, "SET k v PX 1~", "+OK~");
    box.now.wall_us += 5000;
    client_asks(&client, "MULTI~SET k w~INCR c~EXEC~", "+OK~+QUEUED~+QUEUED~*2~+OK~:1~");
    command_box_told(&box, "SET k v PXAT ? | MULTI | DEL k | SET k w | INCR c | EXEC");
    client_asks(&client, "SET k v PX 1~", "+OK~");
    box.now.wall_us += 5000;
    client_asks(&client, "EXPIRE k 10~", ":0~");
    command_box_told(&box, "SET k v PXAT ? | DEL k");
    /* By the hand, without anybody asking. */
    box.settings.lazy_expire = true;
    client_asks(&client, "SET k v PX 1~", "+OK~");
    command_box_sleep(&box, 5000);
    for (int i = 0; i < 100; i++) command_box_round(&box, 0);
    command_box_told(&box, "SET k v PXAT ? | UNLINK k");
    client_close(&client);
    command_box_close(&box);
}

static void fields_that_expired_are_gone_before_the_hash_is_written(void **state)
{
    (void)state;
    command_box box;
    command_client client;
    command_box_open(&box, 1, false);
    command_box_log(&box);
    client_open(&client, &box, 0);
    client_asks(&client, "HSET h f 1 g 2~", ":2~");
    client_asks(&client, "HPEXPIRE h 10 FIELDS 1 f~", "*1~:1~");
    command_box_told(&box, "SELECT 0 | HSET h f 1 g 2 | HPEXPIREAT h ? FIELDS 1 f");
    box.now.wall_us += 20000;
    client_asks(&client, "HINCRBY h f 5~", ":5~");
    command_box_told(&box, "MULTI | HDEL h f | HINCRBY h f 5 | EXEC");
    client_asks(&client, "HPEXPIRE h 10 FIELDS 2 f g~", "*2~:1~:1~");
    command_box_told(&box, "MULTI | HPEXPIREAT h ? FIELDS 1 f | HPEXPIREAT h ? FIELDS 1 g | EXEC");
    box.now.wall_us += 20000;
    client_asks(&client, "HSETNX h f 1~", ":1~");
    command_box_told(&box, "MULTI | HDEL h ? | HDEL h ? | HSETNX h f 1 | EXEC");
    client_close(&client);
    command_box_close(&box);
}

static void who_waits_is_told_behind_who_serves(void **state)
{
    (void)state;
    command_box box;
    command_client one, two;
    command_box_open(&box, 2, false);
    command_box_log(&box);
    client_open(&one, &box, 0);
    client_open(&two, &box, 1);
    client_asks(&one, "BLPOP l 0~", "");
    command_box_told(&box, "");
    client_asks(&two, "RPUSH l a b~", ":2~");
    client_got(&one, "*2~$1~l~$1~a~");
    command_box_told(&box, "SELECT 0 | RPUSH l a b | LPOP l");
    client_asks(&one, "BLMOVE m n LEFT RIGHT 0~", "");
    client_asks(&two, "MULTI~RPUSH m a~RPUSH m b~EXEC~", "+OK~+QUEUED~+QUEUED~*2~:1~:2~");
    client_got(&one, "$1~a~");
    command_box_told(&box, "MULTI | RPUSH m a | RPUSH m b | EXEC | LMOVE m n LEFT RIGHT");
    client_close(&one);
    client_close(&two);
    command_box_close(&box);
}

static void send_set(void *context)
{
    client_send(context, (shoal_slice){"SET k 1\r\n", 9});
}

static void effects_of_errands_are_told_where_they_run_and_known_at_home(void **state)
{
    (void)state;
    command_box box;
    command_client client;
    command_box_open(&box, 1, false);
    command_box_log(&box);
    client_open(&client, &box, 0);
    command_box_hold(&box, "k", send_set, &client);
    command_box_settle(&box);
    client_got(&client, "+OK~");
    command_box_told(&box, "SELECT 0 | SET k 1");
    client_close(&client);
    command_box_close(&box);
}

static void databases_are_flushed_and_exchanged_in_one_piece(void **state)
{
    (void)state;
    static const row rows[] = {
        {"set a 1", NULL},        {"flushdb", "flushdb"},       {"flushdb async", "flushdb async"},
        {"set a 1", NULL},        {"swapdb 1 3", "swapdb 1 3"}, {"get a", ""},
        {"flushall", "flushall"}, {"flushall", "flushall"},     {"select 3\r\nget a", ""},
    };
    CHECK(rows);
}

static void large_arguments_come_out_whole(void **state)
{
    (void)state;
    command_box box;
    command_client client;
    command_box_open(&box, 1, false);
    command_box_log(&box);
    client_open(&client, &box, 0);
    enum { SIZE = 100000 };
    static char text[SIZE + 64];
    int head = sprintf(text, "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", SIZE);
    char *bytes = malloc((size_t)head + SIZE + 64);
    memcpy(bytes, text, (size_t)head);
    memset(bytes + head, 'x', SIZE);
    int tail = sprintf(bytes + head + SIZE, "\r\n$4\r\nPXAT\r\n$13\r\n4000000000000\r\n");
    client_send(&client, (shoal_slice){bytes, (size_t)(head + SIZE + tail)});
    client_got(&client, "+OK~");
    shoal_buffer told = command_box_effects(&box);
    shoal_slice got = shoal_buffer_slice(&told);
    static const char select[] = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
    size_t before = sizeof(select) - 1;
    assert_int_equal(got.size, before + (size_t)(head + SIZE + tail));
    assert_memory_equal(got.data, select, before);
    assert_memory_equal(got.data + before, bytes, got.size - before);
    shoal_buffer_free(&told);
    free(bytes);
    client_close(&client);
    command_box_close(&box);
}

static void commit_nothing(void *context, shoal_time now)
{
    (void)context, (void)now;
}

/* Whether the client's next reply would be held; held ones stay so. */
static bool is_held(command_client *client)
{
    shoal_worker *worker = client->box->workers[client->worker];
    shoal_worker_begin(worker, client->box->now);
    bool held = shoal_session_hold(client->session, shoal_text("+OK\r\n"));
    (void)shoal_worker_end(worker);
    return held;
}

static void replies_to_what_was_replaced_are_never_sent_and_their_connections_close(void **state)
{
    (void)state;
    command_box box;
    command_client one, two;
    command_box_open(&box, 1, false);
    command_box_log(&box);
    client_open(&one, &box, 0);
    client_open(&two, &box, 0);
    box.env.commit = commit_nothing;
    client_asks(&one, "SET k 1~", "+OK~");
    assert_true(is_held(&one));
    shoal_hold_void(&box.env);
    /* What comes in the round that sees it may be of before, too. */
    client_asks(&two, "GET k~", "$1~1~");
    shoal_hold_release(&box.env, SHOAL_RELEASED_ALL);
    command_box_settle(&box);
    assert_true(box.workers[0]->held.first == NULL);
    client_got(&one, "");
    assert_null(one.session);
    assert_non_null(two.session);
    /* What is written from then on is not void. */
    client_asks(&two, "SET k 3~", "+OK~");
    assert_false(is_held(&two));
    box.env.commit = NULL;
    client_close(&one);
    client_close(&two);
    command_box_close(&box);
}

static void replies_do_not_wait_for_a_place_that_a_log_which_began_again_has_not(void **state)
{
    (void)state;
    command_box box;
    command_client one, two;
    command_box_open(&box, 1, false);
    command_box_log(&box);
    client_open(&one, &box, 0);
    client_open(&two, &box, 0);
    box.env.commit = commit_nothing;
    client_asks(&one, "SET k 1~", "+OK~");
    client_asks(&two, "SET k 2~", "+OK~");
    assert_true(is_held(&one));
    /* The data of a master take the place of these, at an earlier offset. */
    shoal_log_restart(box.log, 5, false);
    assert_false(is_held(&two));
    shoal_hold_release(&box.env, 5);
    command_box_settle(&box);
    assert_true(box.workers[0]->held.first == NULL);
    client_got(&one, "+OK~");
    box.env.commit = NULL;
    client_close(&one);
    client_close(&two);
    command_box_close(&box);
}

static void what_came_with_other_line_ends_is_told_with_the_right_ones(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nv%d\r\n", "*3\rx$3\r\nSET\r\n$1\r\nk\r\n$3\r\nv%d\r\n",
        "*3\r\n$3\r*SET\r\n$1\r\nk\r\n$3\r\nv%d\r\n",  "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r$v%d\r\n",
        "*3\r\n$3\r\nSETxx$1\r\nk\r\n$3\r\nv%d\r\n",   "*3\r\n$3\r\nSET\r\n$1\r\nk\rx$3\r\nv%d\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nv%d\n\n", "SET  'k' \"v%d\"\n",
    };
    command_box box;
    command_client client;
    command_box_open(&box, 1, false);
    command_box_log(&box);
    client_open(&client, &box, 0);
    client_asks(&client, "SET k v~", "+OK~");
    command_box_told(&box, "SELECT 0 | SET k v");
    for (size_t i = 0; i < 2 * sizeof requests / sizeof *requests; i++) {
        char text[128], told[32];
        size_t size = (size_t)snprintf(text, sizeof text, requests[i / 2], (int)(10 + i));
        /* In one piece, and in two. */
        size_t first = i % 2 == 0 ? size : size / 2;
        client_send(&client, (shoal_slice){text, first});
        client_send(&client, (shoal_slice){text + first, size - first});
        client_got(&client, "+OK~");
        snprintf(told, sizeof told, "SET k v%d", (int)(10 + i));
        command_box_told(&box, told);
    }
    client_close(&client);
    command_box_close(&box);
}

static void a_mirror_tells_nothing_itself(void **state)
{
    (void)state;
    command_box box;
    command_client client;
    command_box_open(&box, 1, false);
    command_box_log(&box);
    client_open(&client, &box, 0);
    client_asks(&client, "SET k v PX 1~", "+OK~");
    command_box_told(&box, "SELECT 0 | SET k v PXAT ?");
    shoal_store_relaxed(&box.env.mirrors, true);
    shoal_store_keep_expired(box.env.store, true);
    command_box_sleep(&box, 1000);
    client_asks(&client, "GET k~", "$-1~");
    for (int i = 0; i < 100; i++) command_box_round(&box, 0);
    assert_int_equal(shoal_store_count(box.env.store, 0), 1);
    client_asks(&client, "SET a 1~", "+OK~");
    command_box_told(&box, "");
    client_close(&client);
    command_box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_told_as_redis_tells_them),
        cmocka_unit_test(keys_are_told_as_redis_tells_them),
        cmocka_unit_test(lists_are_told_as_redis_tells_them),
        cmocka_unit_test(sets_are_told_as_redis_tells_them),
        cmocka_unit_test(hashes_are_told_with_the_deadlines_of_their_fields),
        cmocka_unit_test(transactions_are_one_piece_and_single_effects_stand_alone),
        cmocka_unit_test(what_expires_goes_before_what_found_it_expired),
        cmocka_unit_test(fields_that_expired_are_gone_before_the_hash_is_written),
        cmocka_unit_test(who_waits_is_told_behind_who_serves),
        cmocka_unit_test(effects_of_errands_are_told_where_they_run_and_known_at_home),
        cmocka_unit_test(databases_are_flushed_and_exchanged_in_one_piece),
        cmocka_unit_test(large_arguments_come_out_whole),
        cmocka_unit_test(replies_to_what_was_replaced_are_never_sent_and_their_connections_close),
        cmocka_unit_test(replies_do_not_wait_for_a_place_that_a_log_which_began_again_has_not),
        cmocka_unit_test(what_came_with_other_line_ends_is_told_with_the_right_ones),
        cmocka_unit_test(a_mirror_tells_nothing_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
