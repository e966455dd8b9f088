/* SPDX-License-Identifier: MIT
 *
 * Pipelines whose requests begin alike: what a worker remembers of one request does not change what
 * another does. The same commands as inline requests, of which it remembers nothing, are the
 * measure.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "support/command_box.h"

/* Commands with their arguments. %k is a key, %v a value, %n a small number; not all of them fit
 * their command, and not all of them are commands. */
static const char *const commands[] = {
    "GET %k",
    "GET %k",
    "SET %k %v",
    "SET %k %v",
    "set %k %v",
    "SET %k %v NX",
    "SET %k",
    "GET %k %k",
    "MGET %k %k %k",
    "MSET %k %v %k %v",
    "DEL %k %k",
    "INCR %k",
    "INCRBY %k %n",
    "PING",
    "PING %v",
    "EXISTS %k",
    "EXISTS %k %k",
    "SELECT %n",
    "MOVE %k %n",
    "COPY %k %k DB %n",
    "COPY %k %k",
    "LPUSH %k %v",
    "LRANGE %k 0 %n",
    "RPOP %k",
    "SADD %k %v %v",
    "ZADD %k %n %v",
    "TYPE %k",
    "SINTERCARD 2 %k %k",
    "SUNION %k %k",
    "OBJECT ENCODING %k",
    "CONFIG",
    "NONSENSE %k",
    "FLUSHALL",
    "SORT %k ALPHA",
    "OBJECT NONSENSE %k",
    "MULTI",
    "EXEC",
    "DISCARD",
    "DBSIZE",
    "ZINTER 2 %k %k",
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* One of the words that may stand for a sign. Lengths of one, two and three digits. */
static void append_word(shoal_buffer *line, char sign, shoal_prng *prng)
{
    static const int lengths[] = {1, 3, 9, 10, 40, 150};
    if (sign == 'n') {
        shoal_text_appendf(line, "%d", (int)shoal_prng_below(prng, 4));
    } else if (sign == 'k') {
        shoal_text_appendf(line, "k%0*d", (int)shoal_prng_below(prng, 2) * 11,
                           (int)shoal_prng_below(prng, 6));
    } else {
        shoal_text_appendf(line, "%0*d", lengths[shoal_prng_below(prng, 6)],
                           (int)shoal_prng_below(prng, 10));
    }
}

/* A random call as an inline request without its end. */
static void append_call(shoal_buffer *line, shoal_prng *prng)
{
    const char *c = commands[shoal_prng_below(prng, COMMANDS)];
    for (; *c != '\0'; c++) {
        if (c[0] == '%') {
            append_word(line, *++c, prng);
        } else {
            shoal_buffer_append(line, (shoal_slice){c, 1});
        }
    }
}

/* The words of a line as a request of bulks. */
static void append_bulks(shoal_buffer *bulks, shoal_slice line)
{
    uint32_t words = 1;
    for (size_t i = 0; i < line.size; i++) words += line.data[i] == ' ';
    shoal_text_appendf(bulks, "*%u\r\n", words);
    while (words-- > 0) {
        size_t size = 0;
        while (size < line.size && line.data[size] != ' ') size++;
        shoal_text_appendf(bulks, "$%zu\r\n", size);
        shoal_buffer_append(bulks, (shoal_slice){line.data, size});
        shoal_buffer_append(bulks, shoal_text("\r\n"));
        if (size == line.size) return;
        line.data += size + 1;
        line.size -= size + 1;
    }
}

/* The same pipeline twice: as lines, and as bulks. */
typedef struct pipeline {
    shoal_buffer lines, bulks;
} pipeline;

static pipeline pipeline_make(const shoal_allocator *allocator, shoal_prng *prng)
{
    pipeline made = {shoal_buffer_make(allocator), shoal_buffer_make(allocator)};
    for (uint64_t left = 1 + shoal_prng_below(prng, 200); left > 0; left--) {
        size_t before = shoal_buffer_size(&made.lines);
        append_call(&made.lines, prng);
        shoal_slice lines = shoal_buffer_slice(&made.lines);
        append_bulks(&made.bulks, (shoal_slice){lines.data + before, lines.size - before});
        shoal_buffer_append(&made.lines, shoal_text("\r\n"));
    }
    return made;
}

/* Sends bytes in pieces of at most `longest`. */
static void send_pieces(command_client *client, shoal_slice bytes, shoal_prng *prng,
                        uint64_t longest)
{
    while (bytes.size != 0) {
        size_t size = 1 + shoal_prng_below(prng, longest);
        if (size > bytes.size) size = bytes.size;
        client_send(client, (shoal_slice){bytes.data, size});
        command_box_settle(client->box);
        bytes.data += size;
        bytes.size -= size;
    }
}

static void bulks_do_what_lines_do(void **state)
{
    (void)state;
    static command_box by_line, by_bulk;
    command_client lines, bulks;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    command_box_open(&by_line, 1, false);
    command_box_open(&by_bulk, 1, false);
    client_open(&lines, &by_line, 0);
    client_open(&bulks, &by_bulk, 0);
    for (uint64_t seed = 1; seed <= 300; seed++) {
        shoal_prng prng = shoal_prng_make((uint64_t[2]){seed, 0}, 0, 0);
        pipeline each = pipeline_make(&allocator, &prng);
        uint64_t longest = shoal_prng_below(&prng, 3) == 0 ? 60 : 60000;
        client_send(&lines, shoal_buffer_slice(&each.lines));
        command_box_settle(&by_line);
        send_pieces(&bulks, shoal_buffer_slice(&each.bulks), &prng, longest);
        if (!shoal_text_equal(shoal_buffer_slice(&lines.out), shoal_buffer_slice(&bulks.out)))
            fail_msg("seed %d: the replies are others", (int)seed);
        assert_true(shoal_buffer_size(&lines.out) != 0);
        shoal_buffer_consume(&lines.out, shoal_buffer_size(&lines.out));
        shoal_buffer_consume(&bulks.out, shoal_buffer_size(&bulks.out));
        shoal_buffer_free(&each.lines);
        shoal_buffer_free(&each.bulks);
    }
    client_close(&lines);
    client_close(&bulks);
    command_box_close(&by_line);
    command_box_close(&by_bulk);
    assert_int_equal(heap.blocks, 0);
}

/* What an authenticated client may send is not what a stranger may, though it begins alike. */
static void a_stranger_is_not_taken_for_another(void **state)
{
    (void)state;
    static command_box box;
    command_client known, stranger;
    command_box_open(&box, 1, false);
    box.settings.requirepass = shoal_text("x");
    client_open(&known, &box, 0);
    client_asks(&known, "AUTH x~*3~$3~SET~$1~a~$1~b~*2~$3~GET~$1~a~", "+OK~+OK~$1~b~");
    client_open(&stranger, &box, 0);
    client_asks(&stranger, "*2~$3~GET~$1~a~", "-NOAUTH Authentication required.~");
    client_asks(&stranger, "*3~$3~SET~$1~a~$20000~",
                "-ERR Protocol error: unauthenticated bulk length~");
    client_asks(&known, "*2~$3~GET~$1~a~*2~$3~GET~$1~b~*3~$3~GET~$1~a~$1~a~",
                "$1~b~$-1~-ERR wrong number of arguments for 'get' command~");
    client_asks(&known, "*3~$3~SET~$1~a~$20000~", "");
    client_close(&known);
    client_close(&stranger);
    command_box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bulks_do_what_lines_do),
        cmocka_unit_test(a_stranger_is_not_taken_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
