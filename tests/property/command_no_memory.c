/* SPDX-License-Identifier: MIT
 *
 * Commands without memory. Every command runs on keys of every kind while the n-th request for
 * memory of the store, and each behind it, is refused, for every n until it has all it wants. Each
 * time there must be an answer, who says that there was no memory has changed nothing (but a few
 * that are named), no collection may be left empty, and when all is removed in the
 * end not a byte may be missing from the accounts, nor be too many: what an object says it takes
 * must be what it gives back. (The linker puts the refusal before shoal_slab_take.)
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "store/internal.h"
#include "support/command_box.h"

/* States that random commands begin with. */
#define ROUNDS 150u

/* ---- refusing ---- */

/* What is asked for while it counts; the test has one thread. */
static struct {
    bool on;
    uint32_t asked, from; /* from this request on it is refused, 0: never */
    bool once;            /* only that one */
    uint32_t percent;     /* or, if not 0, so many of all requests */
    shoal_prng prng;
    bool everywhere; /* replies, copies of requests and the like as well */
    bool refused;
} refusal;

void *__real_shoal_slab_take(shoal_slab *slab, size_t size, size_t alignment);
void *__wrap_shoal_slab_take(shoal_slab *slab, size_t size, size_t alignment);

static bool refuses(void)
{
    if (!refusal.on) return false;
    refusal.asked++;
    if (refusal.percent != 0 && shoal_prng_below(&refusal.prng, 100) >= refusal.percent)
        return false;
    if (refusal.percent == 0 && refusal.asked < refusal.from) return false;
    if (refusal.once && refusal.asked != refusal.from) return false;
    refusal.refused = true;
    return true;
}

void *__wrap_shoal_slab_take(shoal_slab *slab, size_t size, size_t alignment)
{
    return refuses() ? NULL : __real_shoal_slab_take(slab, size, alignment);
}

/* Objects take through an allocator, whose functions are within the slab's own file. */
static void *take_for_object(void *context, size_t size, size_t alignment)
{
    return shoal_slab_take(context, size, alignment);
}

static void *take_zeroed_for_object(void *context, size_t size, size_t alignment)
{
    void *memory = shoal_slab_take(context, size, alignment);
    if (memory != NULL) memset(memory, 0, size);
    return memory;
}

/* ---- requests ---- */

typedef struct scene {
    command_box box;
    command_client client;
    const char *state, *command;
} scene;

/* Appends one request, whose words are parted by blanks; '@' followed by a letter and a number is
 * that many bytes, and '#' followed by a number is elements 0 to that. */
static void append(char *out, size_t *size, const char *words)
{
    static char body[1 << 20];
    size_t at = 0;
    unsigned count = 0;
    char text[64];
    for (const char *word = words; *word != '\0';) {
        size_t length = strcspn(word, " ");
        char *end;
        if (word[0] == '@') {
            unsigned long bytes = strtoul(word + 2, &end, 10);
            at += (size_t)sprintf(body + at, "$%lu\r\n", bytes);
            memset(body + at, word[1], bytes);
            at += bytes;
            memcpy(body + at, "\r\n", 2);
            at += 2, count++;
        } else if (word[0] == '#') {
            /* Numbers, or pairs of a number and a name, or of a name and one. */
            unsigned long elements = strtoul(word + 2, NULL, 10);
            for (unsigned long i = 0; i < elements; i++) {
                int n = sprintf(text, "%lu", i * 7919 % elements);
                if (word[1] == 'p') {
                    at += (size_t)sprintf(body + at, "$%d\r\n%s\r\n", n, text);
                    count++;
                }
                n = sprintf(text, word[1] == 'i' ? "%lu" : "element:%05lu", i);
                at += (size_t)sprintf(body + at, "$%d\r\n%s\r\n", n, text);
                count++;
            }
        } else {
            at += (size_t)sprintf(body + at, "$%zu\r\n%.*s\r\n", length, (int)length, word);
            count++;
        }
        word += length;
        if (*word == ' ') word++;
    }
    *size += (size_t)sprintf(out + *size, "*%u\r\n", count);
    memcpy(out + *size, body, at);
    *size += at;
}

/* Requests parted by ';'. */
static size_t compose(char *out, const char *script)
{
    size_t size = 0;
    char one[1024];
    while (*script != '\0') {
        size_t length = strcspn(script, ";");
        assert_true(length < sizeof one);
        memcpy(one, script, length);
        one[length] = '\0';
        append(out, &size, one);
        script += length;
        if (*script == ';') script++;
    }
    return size;
}

static shoal_slice ask(scene *s, const char *script)
{
    static char bytes[4 << 20];
    size_t size = compose(bytes, script);
    if (s->client.session == NULL) {
        client_close(&s->client);
        client_open(&s->client, &s->box, 0);
    }
    shoal_buffer_consume(&s->client.out, shoal_buffer_size(&s->client.out));
    client_send(&s->client, (shoal_slice){bytes, size});
    command_box_settle(&s->box);
    if (s->client.session != NULL && s->client.feed == SHOAL_FEED_BLOCKED) {
        command_box_sleep(&s->box, 2000);
        command_box_round(&s->box, 0);
        command_box_settle(&s->box);
    }
    return shoal_buffer_slice(&s->client.out);
}

/* ---- checks ---- */

static void fail_with(const scene *s, const char *what)
{
    print_error("%s: with \"%s\", at \"%s\", request %u refused%s\n", what, s->state, s->command,
                refusal.from, refusal.everywhere ? " everywhere" : "");
    fail();
}

static const char *const names[] = {"a", "b", "d", "x"};

/* No account is open, and no collection empty. */
static void check_items(scene *s)
{
    shoal_store *store = s->box.env.store;
    shoal_thread *thread = shoal_store_thread(store, 0);
    if (thread->account.bytes != 0) fail_with(s, "an account was left open");
    shoal_thread_enter(thread, s->box.now);
    for (uint32_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        const char *name = names[i / 2];
        shoal_key key = shoal_key_make(store, i % 2, (shoal_slice){name, strlen(name)});
        const shoal_item *item = shoal_store_get(thread, &key);
        if (item == NULL || shoal_item_type(item) == SHOAL_TYPE_STRING) continue;
        shoal_compound value = shoal_item_compound(item);
        if (shoal_value_ops_of(shoal_item_type(item))->count(&value) == 0)
            fail_with(s, "an empty collection is left");
    }
    shoal_thread_leave(thread);
}

/* Everything is removed, and must have given back what it took. */
static void check_bytes(scene *s)
{
    shoal_store *store = s->box.env.store;
    (void)ask(s, "SELECT 0;DEL a b d x;SELECT 1;DEL a b d x;SELECT 0");
    int64_t limbo = 0;
    for (uint32_t i = 0; i < store->thread_count; i++) {
        shoal_thread *thread = shoal_store_thread(store, i);
        shoal_limbo__clear(thread);
        limbo += shoal_load_relaxed(&thread->counters.bytes_limbo);
    }
    if (limbo != 0) {
        print_error("%lld bytes ", (long long)limbo);
        fail_with(s, "what was retired is not what was freed");
    }
    check_items(s);
}

/* ---- what is tried ---- */

/* What the keys a, b and d are beforehand. */
static const char *const states[] = {
    "DEL a",
    "SET a text;SET b text;SET d @x300",
    "SET a 17;SET b @y70000;SET d @x70000",
    "SET a 17 EX 100;SET b 5 EX 100;RPUSH d 1",
    "SETRANGE a 30000 @x30;SETRANGE b 90000 @y10;SETRANGE d 20000 1",
    "RPUSH a 1;RPUSH b 2;SET d 1",
    "RPUSH a 1 2 3 4 5;RPUSH b 6 7 8;RPUSH d 1 2 3",
    "RPUSH a #n60;RPUSH b #n60;RPUSH d #n60",
    "RPUSH a #n500;RPUSH b @l5000 @m9000;RPUSH d #n500",
    "RPUSH a @k9000 1 @l5000;RPUSH b #i3000;RPUSH d #i3000",
    "SADD a 1;SADD b x;SADD d 5",
    "SADD a #i10;SADD b #n10;SADD d 5",
    "SADD a #i600;SADD b #n600;SADD d #i600",
    "SADD a #n64;SADD b #n65;SADD d #n1000",
    "HSET a f 1;HSET b element:00001 2;HSET d f 3",
    "HSET a f 1 g @h200 element:00003 7;HSET b #p20;HSET d #p20",
    "HSET a #p700;HSET a f 3 g @h2000;HSET b #p600;HSET d #p20",
    "HSET a #p70;HSET a f 3 g 5;HEXPIRE a 100 FIELDS 1 f;HSET b #p600;HEXPIRE b 50 FIELDS 1 0",
    "ZADD a 1 element:00001;ZADD b 2 m;ZADD d 3 n",
    "ZADD a #p30;ZADD b #p20;ZADD d #p10",
    "ZADD a #p400;ZADD b #p300;ZADD d #p1000",
    "ZADD a #p2000;EXPIRE a 100;ZADD b #p3;EXPIRE b 100;ZADD d #p100",
};

static const char *const commands[] = {
    "GET a",
    "SET a 5",
    "SET a @z100 EX 100 GET",
    "SETNX a @z9000",
    "GETSET a new",
    "GETDEL a",
    "GETEX a EX 10",
    "GETEX a PERSIST",
    "APPEND a more",
    "APPEND a @m9000",
    "INCR a",
    "INCRBYFLOAT a 1.5",
    "SETRANGE a 10 text",
    "SETRANGE a 100000 text",
    "MSET a 1 b 2 d @x300",
    "MSETNX x 1 a 2",
    "MSETNX x 1 x 3",
    "MGET a b d",
    "LCS a b",
    "SETBIT a 77 1",
    "BITFIELD a SET u8 0 255 INCRBY u2 100 1",
    "BITOP AND d a b",
    "BITOP NOT d a",
    "BITCOUNT a",
    "LPUSH a l",
    "RPUSH a @r3000 s",
    "RPUSH a #n200",
    "LPUSHX a l",
    "LPOP a",
    "RPOP a",
    "LPOP a 3",
    "RPOP a 100",
    "LRANGE a 0 -1",
    "LINDEX a 1",
    "LSET a 0 @s600",
    "LSET a 0 5",
    "LREM a 0 3",
    "LREM a 1 element:00005",
    "LTRIM a 1 2",
    "LTRIM a 5 3",
    "LTRIM a 20 -20",
    "LINSERT a BEFORE 1 i",
    "LINSERT a AFTER element:00010 @i5000",
    "LMOVE a b LEFT RIGHT",
    "LMOVE a a LEFT RIGHT",
    "LMOVE a x RIGHT LEFT",
    "RPOPLPUSH a b",
    "LMPOP 2 x a LEFT COUNT 2",
    "BLPOP a 1",
    "BLMOVE a x LEFT LEFT 1",
    "BLMPOP 1 2 x a RIGHT COUNT 40",
    "DEL a",
    "UNLINK a b",
    "EXPIRE a 100",
    "EXPIRE a 0",
    "PERSIST a",
    "RENAME a b",
    "RENAME a x",
    "RENAMENX a x",
    "COPY a x",
    "COPY a b REPLACE",
    "COPY a x DB 1",
    "MOVE a 1",
    "SORT a ALPHA STORE d",
    "SORT a ALPHA",
    "SORT a BY nosort GET # STORE x",
    "HSET a f 2",
    "HSET a f @f3000 h i",
    "HSET a #p60",
    "HSETNX a z 1",
    "HINCRBY a f 7",
    "HINCRBYFLOAT a f 1.25",
    "HDEL a f",
    "HDEL a f g 1 2 3",
    "HDEL a #n700",
    "HGETALL a",
    "HRANDFIELD a 3 WITHVALUES",
    "HRANDFIELD a -3",
    "HEXPIRE a 100 FIELDS 2 f element:00001",
    "HPEXPIREAT a 1 FIELDS 1 f",
    "HPERSIST a FIELDS 2 f g",
    "HGETDEL a FIELDS 2 f g",
    "HGETEX a EX 10 FIELDS 2 f 5",
    "HSETEX a EX 10 FIELDS 2 f @f200 new @n90",
    "SADD a 5",
    "SADD a new",
    "SADD a #i100",
    "SADD a @s100 @t3000",
    "SADD a #n100",
    "SREM a 1",
    "SREM a #n600",
    "SREM a #i600",
    "SMOVE a b element:00001",
    "SMOVE a x 1",
    "SPOP a",
    "SPOP a 5",
    "SPOP a 100000",
    "SRANDMEMBER a 5",
    "SINTERSTORE d a b",
    "SUNIONSTORE d a b",
    "SDIFFSTORE d a b",
    "SUNIONSTORE x a",
    "SINTER a b",
    "SUNION a b",
    "SDIFF a b",
    "SMEMBERS a",
    "ZADD a 5 element:00001",
    "ZADD a GT CH 7 m 8 @z200",
    "ZADD a INCR 3 element:00002",
    "ZADD a #p150",
    "ZADD a NX #p300",
    "ZINCRBY a 2 new",
    "ZREM a element:00001",
    "ZREM a #n500",
    "ZRANGE a 0 -1 WITHSCORES",
    "ZRANGESTORE d a 0 -1",
    "ZRANGESTORE x a 1 20",
    "ZREMRANGEBYRANK a 0 -1",
    "ZREMRANGEBYRANK a 5 20",
    "ZREMRANGEBYSCORE a -inf 40",
    "ZREMRANGEBYLEX a - [element:00005",
    "ZPOPMIN a",
    "ZPOPMAX a 5",
    "ZPOPMIN a 100000",
    "ZMPOP 1 a MIN COUNT 10",
    "BZPOPMIN a 1",
    "BZMPOP 1 2 x a MAX COUNT 3",
    "ZUNION 2 a b",
    "ZUNIONSTORE d 2 a b",
    "ZINTERSTORE d 2 a b WEIGHTS 2 3 AGGREGATE MAX",
    "ZDIFFSTORE d 2 a b",
    "ZUNIONSTORE x 1 a",
    "ZRANDMEMBER a 5",
    "ZRANDMEMBER a -5 WITHSCORES",
    "SWAPDB 0 1",
    "FLUSHDB",
    "MULTI;LPOP a;HSET a f 5;ZADD a 5 m;SADD a 5 m;EXEC",
    "MULTI;COPY a x;DEL a;RENAME x a;EXEC",
    "LPOP a;RPUSH a 1;LPOP a;RPOP a;RPOP b;RPOP b;LPOP b;LPOP b;RPUSH b 1;LPOP d;LPOP d;RPOP b",
};

/* Those that may have done a part when they say that there was no memory: several elements of a
 * large object, which is changed in place, one after the other; and an element that could be put
 * into the other key, but neither taken from the first nor taken back: then it is in both. The log
 * is torn at such a place (command/effect.c), so that no copy of the data differs. */
static const char *const partial[] = {"SADD",  "ZADD",  "HSET",   "HSETEX",   "HGETEX",
                                      "SMOVE", "LMOVE", "BLMOVE", "RPOPLPUSH"};

/* The store has changed: then the command has not said that nothing was done. */
static void check_change(const scene *s, shoal_slice reply)
{
    static const char error[] = "-OOM no memory left for this command";
    size_t word = strcspn(s->command, " ");
    if (reply.size < sizeof error || memcmp(reply.data, error, sizeof error - 1) != 0) return;
    /* Of several commands each has its own reply. */
    if (strchr(s->command, ';') != NULL) return;
    for (uint32_t i = 0; i < sizeof partial / sizeof *partial; i++) {
        if (strlen(partial[i]) == word && memcmp(partial[i], s->command, word) == 0) return;
    }
    fail_with(s, "something was done in spite of the error");
}

/* Tries one command with the n-th request and all behind it refused, n from 1 to where it has what
 * it wants, or to the end of patience. */
static void try(scene *s, const char *state, const char *command)
{
    s->state = state;
    s->command = command;
    for (uint32_t from = 1; from < 12; from++) {
        refusal.on = false;
        (void)ask(s, "SELECT 0;DEL a b d x;SELECT 1;DEL a b d x;SELECT 0");
        (void)ask(s, state);
        uint64_t before = shoal_store_digest(s->box.env.store);
        refusal.asked = 0;
        refusal.from = from;
        refusal.refused = false;
        refusal.on = true;
        s->box.heap.fail_after = refusal.everywhere ? s->box.heap.calls + from : 0;
        shoal_slice reply = ask(s, command);
        bool refused =
            refusal.everywhere ? s->box.heap.calls >= s->box.heap.fail_after : refusal.refused;
        refusal.on = false;
        s->box.heap.fail_after = 0;
        if (!refusal.everywhere && reply.size == 0) fail_with(s, "no answer");
        check_items(s);
        if (shoal_store_digest(s->box.env.store) != before) check_change(s, reply);
        if (!refused) break;
    }
    check_bytes(s);
}

static void open_scene(scene *s)
{
    command_box_open(&s->box, 1, false);
    shoal_thread *thread = shoal_store_thread(s->box.env.store, 0);
    thread->heap.allocate = take_for_object;
    thread->heap.allocate_zeroed = take_zeroed_for_object;
    client_open(&s->client, &s->box, 0);
}

static void close_scene(scene *s)
{
    refusal.on = false;
    client_close(&s->client);
    command_box_close(&s->box);
}

static void try_all(bool once, bool everywhere)
{
    static scene s;
    refusal.once = once;
    refusal.percent = 0;
    refusal.everywhere = everywhere;
    open_scene(&s);
    for (uint32_t i = 0; i < sizeof states / sizeof *states; i++)
        for (uint32_t j = 0; j < sizeof commands / sizeof *commands; j++)
            try(&s, states[i], commands[j]);
    close_scene(&s);
}

static void every_command_leaves_the_store_whole_when_its_memory_runs_out(void **state)
{
    (void)state;
    try_all(false, false);
}

static void every_command_leaves_the_store_whole_when_one_request_is_refused(void **state)
{
    (void)state;
    try_all(true, false);
}

static void every_command_leaves_the_store_whole_when_all_memory_runs_out(void **state)
{
    (void)state;
    try_all(false, true);
}

/* Random commands one after the other on what the ones before have left. */
static void wander(uint32_t percent, uint64_t seed)
{
    static scene s;
    refusal.once = refusal.everywhere = false;
    refusal.percent = percent;
    refusal.from = 1;
    refusal.prng = shoal_prng_make((uint64_t[2]){seed, 0}, percent, 0);
    shoal_prng prng = shoal_prng_make((uint64_t[2]){seed, 1}, percent, 0);
    open_scene(&s);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        refusal.on = false;
        s.state = states[shoal_prng_below(&prng, sizeof states / sizeof *states)];
        (void)ask(&s, s.state);
        for (uint32_t step = 0; step < 30; step++) {
            refusal.on = percent != 0;
            s.command = commands[shoal_prng_below(&prng, sizeof commands / sizeof *commands)];
            (void)ask(&s, s.command);
            refusal.on = false;
            check_items(&s);
        }
        check_bytes(&s);
    }
    close_scene(&s);
}

static void what_objects_say_they_take_is_what_they_give_back(void **state)
{
    (void)state;
    wander(0, 1);
}

static void what_objects_say_they_take_holds_when_requests_are_refused(void **state)
{
    (void)state;
    wander(5, 2);
    wander(30, 3);
}

/* Other threads of the store keep what is retired from being freed at once. */
static void a_flush_without_memory_leaves_no_key(void **state)
{
    (void)state;
    static scene s;
    refusal.once = refusal.everywhere = false;
    refusal.percent = 0;
    refusal.from = 1;
    open_scene(&s);
    char set[32];
    for (uint32_t i = 0; i < 500; i++) {
        (void)snprintf(set, sizeof set, "SET key:%u 1", i);
        (void)ask(&s, set);
    }
    shoal_thread *other = shoal_store_thread(s.box.env.store, 1);
    shoal_thread_enter(other, s.box.now);
    refusal.on = true;
    client_send(&s.client, (shoal_slice){"*1\r\n$8\r\nFLUSHALL\r\n", 18});
    for (uint32_t i = 0; i < 50; i++) command_box_round(&s.box, 0);
    shoal_thread_leave(other);
    for (uint32_t i = 0; i < 500; i++) {
        command_box_sleep(&s.box, 10);
        command_box_round(&s.box, 0);
    }
    assert_int_equal(shoal_store_count(s.box.env.store, 0), 0);
    close_scene(&s);
}

/* The last element of a collection goes with its key, or stays where that cannot go. */
static void no_pop_without_memory_leaves_an_empty_collection(void **state)
{
    (void)state;
    static scene s;
    refusal.once = refusal.everywhere = false;
    refusal.percent = 0;
    refusal.from = 1;
    open_scene(&s);
    char text[64];
    static const char *const makes[] = {"RPUSH q:%u @l2000", "SADD q:%u @s2000",
                                        "ZADD q:%u 1 @z2000", "HSET q:%u f @h2000"};
    static const char *const pops[] = {"LPOP q:%u", "SPOP q:%u", "ZPOPMIN q:%u", "HDEL q:%u f"};
    for (uint32_t i = 0; i < 400; i++) {
        (void)snprintf(text, sizeof text, makes[i % 4], i);
        (void)ask(&s, text);
    }
    shoal_store *store = s.box.env.store;
    shoal_thread *other = shoal_store_thread(store, 1);
    shoal_thread_enter(other, s.box.now);
    refusal.on = true;
    for (uint32_t i = 0; i < 400; i++) {
        (void)snprintf(text, sizeof text, pops[i % 4], i);
        bool refused = ask(&s, text).data[0] == '-';
        (void)snprintf(text, sizeof text, "q:%u", i);
        shoal_key key = shoal_key_make(store, 0, (shoal_slice){text, strlen(text)});
        const shoal_item *item = shoal_store_get(other, &key);
        assert_int_equal(item != NULL, refused);
        if (item == NULL) continue;
        shoal_compound value = shoal_item_compound(item);
        assert_int_equal(shoal_value_ops_of(shoal_item_type(item))->count(&value), 1);
    }
    refusal.on = false;
    shoal_thread_leave(other);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_leaves_the_store_whole_when_its_memory_runs_out),
        cmocka_unit_test(every_command_leaves_the_store_whole_when_one_request_is_refused),
        cmocka_unit_test(every_command_leaves_the_store_whole_when_all_memory_runs_out),
        cmocka_unit_test(what_objects_say_they_take_is_what_they_give_back),
        cmocka_unit_test(what_objects_say_they_take_holds_when_requests_are_refused),
        cmocka_unit_test(a_flush_without_memory_leaves_no_key),
        cmocka_unit_test(no_pop_without_memory_leaves_an_empty_collection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
