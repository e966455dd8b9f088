/* SPDX-License-Identifier: MIT
 *
 * DUMP, RESTORE and DEBUG RELOAD as a client sees them. Words and bytes were read off redis-server
 * 7.0.15.
 */
#include "support/command_box.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/policy.h"

static command_box box;
static command_client c;

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 1, false);
    box.settings.debug = true;
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

/* "bar" as redis-server 7.0 dumps it. */
static const char bar[] = "\x00\x03"
                          "bar\n\x00\xe6\xbe"
                          "I`\xee"
                          "f\xfd\x17";
#define BAR_SIZE (sizeof(bar) - 1)

/* RESTORE key ttl payload, and at most two more words. */
static void restore(const char *key, const char *ttl, shoal_slice payload, const char *more,
                    const char *reply)
{
    char bytes[512];
    int words = 4 + (*more != '\0') + (strchr(more, ' ') != NULL);
    int size = snprintf(bytes, sizeof(bytes),
                        "*%d\r\n$7\r\nRESTORE\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n$%zu\r\n", words,
                        strlen(key), key, strlen(ttl), ttl, payload.size);
    memcpy(bytes + size, payload.data, payload.size);
    size += (int)payload.size;
    size += snprintf(bytes + size, sizeof(bytes) - (size_t)size, "\r\n");
    const char *blank = strchr(more, ' ');
    if (blank != NULL) {
        size += snprintf(bytes + size, sizeof(bytes) - (size_t)size, "$%zu\r\n%.*s\r\n",
                         (size_t)(blank - more), (int)(blank - more), more);
        more = blank + 1;
    }
    if (*more != '\0')
        size += snprintf(bytes + size, sizeof(bytes) - (size_t)size, "$%zu\r\n%s\r\n", strlen(more),
                         more);
    client_send(&c, (shoal_slice){bytes, (size_t)size});
    client_asks(&c, "", reply);
}
#define RESTORE(key, ttl, more, reply) restore(key, ttl, (shoal_slice){bar, BAR_SIZE}, more, reply)

static void a_payload_is_that_of_redis(void **state)
{
    (void)state;
    client_asks(&c, "SET foo bar~", "+OK~");
    client_send(&c, (shoal_slice){"DUMP foo\r\n", 10});
    char expected[64];
    int size = snprintf(expected, sizeof(expected), "$%zu\r\n", BAR_SIZE);
    memcpy(expected + size, bar, BAR_SIZE);
    assert_int_equal(shoal_buffer_size(&c.out), (size_t)size + BAR_SIZE + 2);
    assert_memory_equal(c.out.data + c.out.start, expected, (size_t)size + BAR_SIZE);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_asks(&c, "DUMP nothing~", "$-1~");
}

static void a_payload_is_restored_once(void **state)
{
    (void)state;
    RESTORE("k", "0", "", "+OK~");
    client_asks(&c, "GET k~TTL k~", "$3~bar~:-1~");
    RESTORE("k", "0", "", "-BUSYKEY Target key name already exists.~");
    RESTORE("k", "5000", "REPLACE", "+OK~");
    client_asks(&c, "PTTL k~", ":5000~");
    RESTORE("k", "1700000009000", "REPLACE ABSTTL", "+OK~");
    client_asks(&c, "PTTL k~", ":9000~");
    RESTORE("k", "1000", "REPLACE ABSTTL", "+OK~");
    client_asks(&c, "EXISTS k~", ":0~");
    RESTORE("k", "0", "IDLETIME 1000", "+OK~");
    RESTORE("k", "0", "FREQ 255", "-BUSYKEY Target key name already exists.~");
}

static void use_policy(const char *name)
{
    shoal_limits limits = shoal_limits_default();
    limits.policy = shoal_policy_named(shoal_text(name));
    assert_non_null(limits.policy);
    shoal_store_set_limits(box.env.store, &limits);
    client_asks(&c, "PING~", "+PONG~");
}

static void a_payload_brings_how_much_it_was_used(void **state)
{
    (void)state;
    use_policy("allkeys-lfu");
    RESTORE("k", "0", "FREQ 100", "+OK~");
    client_asks(&c, "OBJECT FREQ k~", ":100~");
}

static void a_payload_brings_how_long_it_was_not_used(void **state)
{
    (void)state;
    use_policy("allkeys-lru");
    RESTORE("k", "0", "IDLETIME 1000", "+OK~");
    client_send(&c, shoal_text("OBJECT IDLETIME k\r\n"));
    /* To some hundredths: see store/store.h. */
    assert_in_range(strtol(c.out.data + c.out.start + 1, NULL, 10), 950, 1050);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    RESTORE("k", "0", "REPLACE", "+OK~");
    client_asks(&c, "OBJECT IDLETIME k~", ":0~");
    RESTORE("old", "0", "IDLETIME 9223372036854775807", "+OK~");
}

static void wrong_words_are_named(void **state)
{
    (void)state;
    RESTORE("k", "0", "NOWHERE", "-ERR syntax error~");
    RESTORE("k", "0", "IDLETIME", "-ERR syntax error~");
    RESTORE("k", "0", "FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255~");
    RESTORE("k", "0", "IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0~");
    RESTORE("k", "-1", "", "-ERR Invalid TTL value, must be >= 0~");
    RESTORE("k", "x", "", "-ERR value is not an integer or out of range~");
    client_asks(&c, "EXISTS k~", ":0~");
}

static void wrong_payloads_are_refused(void **state)
{
    (void)state;
    const char *wrong = "-ERR DUMP payload version or checksum are wrong~";
    char bytes[BAR_SIZE];
    for (size_t at = 0; at < BAR_SIZE; at++) {
        memcpy(bytes, bar, BAR_SIZE);
        bytes[at] ^= 1;
        restore("k", "0", (shoal_slice){bytes, BAR_SIZE}, "", wrong);
    }
    restore("k", "0", (shoal_slice){bar, 9}, "", wrong);
    client_asks(&c, "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1~", "+OK~");
    memcpy(bytes, bar, BAR_SIZE);
    bytes[1] = 4;
    restore("k", "0", (shoal_slice){bytes, BAR_SIZE}, "", "-ERR Bad data format~");
    bytes[0] = 15;
    restore("k", "0", (shoal_slice){bytes, BAR_SIZE}, "", "-ERR Bad data format~");
    client_asks(&c, "EXISTS k~", ":0~");
    bytes[0] = 0;
    bytes[1] = 3;
    bytes[2] = 'c';
    restore("k", "0", (shoal_slice){bytes, BAR_SIZE}, "", "+OK~");
    client_asks(&c, "GET k~DEBUG SET-SKIP-CHECKSUM-VALIDATION 0~", "$3~car~+OK~");
    restore("k", "0", (shoal_slice){bytes, BAR_SIZE}, "REPLACE", wrong);
}

static void a_reload_leaves_everything_and_its_encoding_follows_the_limits(void **state)
{
    (void)state;
    box.settings.hash_entries_max = 2;
    client_asks(&c, "SET s v PX 5000~RPUSH l a b 3~SADD n 1 2~SADD m a b~ZADD z 1 a 2.5 b~",
                "+OK~:3~:2~:2~:2~");
    client_asks(&c, "HSET h a 1 b 2 c 3~HDEL h c~OBJECT ENCODING h~", ":3~:1~$9~hashtable~");
    client_asks(&c, "DEBUG RELOAD~PTTL s~LRANGE l 0 -1~ZRANGE z 0 -1 WITHSCORES~DBSIZE~",
                "+OK~:5000~*3~$1~a~$1~b~$1~3~*4~$1~a~$1~1~$1~b~$3~2.5~:6~");
    client_asks(&c, "OBJECT ENCODING h~HGET h b~SCARD n~SISMEMBER m b~", "$8~listpack~$1~2~:2~:1~");
    client_asks(&c, "DEBUG RELOAD NOSAVE MERGE NOFLUSH~DEBUG RELOAD NOWHERE~",
                "+OK~-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.~");
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(a_payload_is_that_of_redis),
        FACT(a_payload_is_restored_once),
        FACT(a_payload_brings_how_much_it_was_used),
        FACT(a_payload_brings_how_long_it_was_not_used),
        FACT(wrong_words_are_named),
        FACT(wrong_payloads_are_refused),
        FACT(a_reload_leaves_everything_and_its_encoding_follows_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
