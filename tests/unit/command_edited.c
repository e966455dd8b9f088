/* SPDX-License-Identifier: MIT
 *
 * Long strings that are edited in place, as clients see them: against an array of bytes, and
 * whatever else may be done with a key.
 */
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "store/store.h"
#include "support/command_box.h"
#include "support/test.h"

#define MODEL_SIZE (96u << 10)
#define STEPS 400u

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

/* What the client is answered; borrowed until the next question. */
static shoal_slice ask(const shoal_slice *argv, uint32_t argc)
{
    shoal_buffer request = shoal_buffer_make(&c.allocator);
    shoal_text_appendf(&request, "*%u\r\n", argc);
    for (uint32_t i = 0; i < argc; i++) {
        shoal_text_appendf(&request, "$%zu\r\n", argv[i].size);
        shoal_buffer_append(&request, argv[i]);
        shoal_buffer_append(&request, shoal_text("\r\n"));
    }
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_send(&c, shoal_buffer_slice(&request));
    command_box_settle(&box);
    shoal_buffer_free(&request);
    return shoal_buffer_slice(&c.out);
}

/* The same for words, and what of a bulk reply are its bytes. */
static shoal_slice ask_bulk(const char *const *words, uint32_t count)
{
    shoal_slice argv[4];
    for (uint32_t i = 0; i < count; i++) argv[i] = shoal_text(words[i]);
    shoal_slice reply = ask(argv, count);
    size_t head = shoal_text_find(reply, shoal_text("\r\n")) + 2;
    assert_true(reply.size >= head + 2 && reply.data[0] == '$');
    return (shoal_slice){reply.data + head, reply.size - head - 2};
}

/* Forgets what was answered: the last reply to `ask` is still there. */
static void forget(void)
{
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
}

static char model[MODEL_SIZE];
static size_t model_size;

static void check_number(shoal_slice reply, size_t number)
{
    char text[32];
    snprintf(text, sizeof text, ":%zu\r\n", number);
    test_slice_is(reply, text);
}

static void model_write(size_t offset, shoal_slice part)
{
    if (offset > model_size) memset(model + model_size, 0, offset - model_size);
    memcpy(model + offset, part.data, part.size);
    if (offset + part.size > model_size) model_size = offset + part.size;
}

/* One edit, by a command drawn at random. */
static void edit(shoal_prng *prng)
{
    char bytes[700], digits[2][32];
    shoal_slice part = {bytes, 1 + shoal_prng_below(prng, sizeof bytes)};
    memset(bytes, 'a' + (int)shoal_prng_below(prng, 26), part.size);
    size_t offset = shoal_prng_below(prng, MODEL_SIZE - sizeof bytes);
    snprintf(digits[0], sizeof digits[0], "%zu", offset);
    switch (shoal_prng_below(prng, 4)) {
    case 0:
        if (model_size + part.size > MODEL_SIZE) return;
        model_write(model_size, part);
        check_number(ask((shoal_slice[]){shoal_text("APPEND"), shoal_text("k"), part}, 3),
                     model_size);
        return;
    case 1:
        model_write(offset, part);
        check_number(ask((shoal_slice[]){shoal_text("SETRANGE"), shoal_text("k"),
                                         shoal_text(digits[0]), part},
                         4),
                     model_size);
        return;
    case 2: {
        bool before = offset < model_size && (model[offset] & 0x80) != 0;
        snprintf(digits[0], sizeof digits[0], "%zu", offset * 8);
        char byte = (char)((offset < model_size ? model[offset] : 0) | 0x80);
        model_write(offset, (shoal_slice){&byte, 1});
        check_number(ask((shoal_slice[]){shoal_text("SETBIT"), shoal_text("k"),
                                         shoal_text(digits[0]), shoal_text("1")},
                         4),
                     before);
        return;
    }
    default:
        snprintf(digits[0], sizeof digits[0], "#%zu", offset);
        snprintf(digits[1], sizeof digits[1], "%u", (unsigned)(uint8_t)bytes[0]);
        model_write(offset, (shoal_slice){bytes, 1});
        (void)ask((shoal_slice[]){shoal_text("BITFIELD"), shoal_text("k"), shoal_text("SET"),
                                  shoal_text("u8"), shoal_text(digits[0]), shoal_text(digits[1])},
                  6);
    }
}

static void check_model(const char *key)
{
    shoal_slice whole = ask_bulk((const char *[]){"GET", key}, 2);
    assert_int_equal(whole.size, model_size);
    assert_memory_equal(whole.data, model, model_size);
}

static void edits_leave_the_bytes_that_they_should(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){11, 12}, 0, 0);
    model_size = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        edit(&prng);
        if (step % 16 != 0) continue;
        check_model("k");
        check_number(ask((shoal_slice[]){shoal_text("STRLEN"), shoal_text("k")}, 2), model_size);
        if (step % 64 != 0) continue;
        /* Put as a whole it is like any string, and what follows are first edits again. */
        size_t ones = 0;
        for (size_t i = 0; i < model_size; i++)
            ones += (size_t)__builtin_popcount((uint8_t)model[i]);
        check_number(ask((shoal_slice[]){shoal_text("BITCOUNT"), shoal_text("k")}, 2), ones);
        (void)ask((shoal_slice[]){shoal_text("SET"), shoal_text("k"), {model, model_size}}, 3);
    }
    assert_true(model_size > 32768);
    forget();
}

/* A string of 40,000 bytes under "k" that is edited in place: zeros, and "end" behind them. */
static void make_edited(void)
{
    client_asks(&c, "SETRANGE k 39990 x~APPEND k yz~SETRANGE k 39993 endend!~",
                ":39991~:39993~:40000~");
    model_size = 0;
    model_write(39990, shoal_text("xyzendend!"));
    check_model("k");
    forget();
}

static void readers_of_an_edited_string_see_its_bytes(void **state)
{
    (void)state;
    make_edited();
    client_asks(&c, "GETRANGE k 39990 -1~STRLEN k~GETBIT k 319921~SUBSTR k -4 -2~",
                "$10~xyzendend!~:40000~:1~$3~end~");
    client_asks(&c, "BITPOS k 1~BITFIELD_RO k GET u8 #39990~OBJECT ENCODING k~TYPE k~",
                ":319921~*1~:120~$3~raw~+string~");
    client_asks(&c, "SETRANGE k 0 ab~SET s ac~LCS k s LEN~BITOP OR t k s~GETRANGE t 0 1~STRLEN t~",
                ":40000~+OK~:1~:40000~$2~ac~:40000~");
}

static void an_edited_string_is_read_among_others(void **state)
{
    (void)state;
    make_edited();
    client_asks(&c, "SET s a~RPUSH l 1 2~MSET w_1 2 w_2 1~", "+OK~:2~+OK~");
    client_asks(&c, "SETRANGE k 39999 ?~GETRANGE k 39998 40000~", ":40000~$2~d?~");
    shoal_slice one = ask_bulk((const char *[]){"GETSET", "k", "short"}, 3);
    assert_int_equal(one.size, 40000);
    assert_true(one.data[39999] == '?');
    forget();
    client_asks(&c, "MGET k s~GET k~", "*2~$5~short~$1~a~$5~short~");
}

static void an_edited_string_is_copied_renamed_and_keeps_its_deadline(void **state)
{
    (void)state;
    make_edited();
    client_asks(&c, "PEXPIRE k 50000~COPY k other~APPEND k more~STRLEN other~STRLEN k~PTTL k~",
                ":1~:1~:40004~:40000~:40004~:50000~");
    client_asks(&c, "RENAME k r~APPEND r !~PTTL r~PERSIST r~STRLEN r~GETRANGE r 39997 -1~",
                "+OK~:40005~:50000~:1~:40005~$8~nd!more!~");
    check_model("other");
    forget();
    client_asks(&c, "MOVE other 1~SELECT 1~STRLEN other~", ":1~+OK~:40000~");
    assert_int_equal(ask_bulk((const char *[]){"GETDEL", "other"}, 2).size, 40000);
    forget();
    client_asks(&c, "EXISTS other~SELECT 0~", ":0~+OK~");
}

static void an_edited_string_is_dumped_and_restored(void **state)
{
    (void)state;
    make_edited();
    shoal_slice payload = ask_bulk((const char *[]){"DUMP", "k"}, 2);
    char kept[4096];
    assert_true(payload.size < sizeof kept);
    memcpy(kept, payload.data, payload.size);
    shoal_slice argv[] = {shoal_text("RESTORE"),
                          shoal_text("again"),
                          shoal_text("0"),
                          {kept, payload.size}};
    test_slice_is(ask(argv, 4), "+OK\r\n");
    check_model("again");
    forget();
    client_asks(&c, "APPEND again x~DEL again k~EXISTS again k~", ":40001~:2~:0~");
}

static void edits_of_a_transaction_follow_each_other(void **state)
{
    (void)state;
    make_edited();
    client_asks(&c,
                "MULTI~APPEND k a~GETRANGE k 39999 -1~SETRANGE k 40000 b~GETRANGE k -2 -1~EXEC~",
                "+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*4~:40001~$2~!a~:40001~$2~!b~");
    client_asks(&c, "APPEND k 1~INCR k~INCRBYFLOAT k 1~SET k 5~INCR k~",
                ":40002~-ERR value is not an integer or out of range~"
                "-ERR value is not a valid float~+OK~:6~");
}

static void a_string_that_grows_is_copied_seldom(void **state)
{
    (void)state;
    char piece[1024];
    memset(piece, 'p', sizeof piece);
    const shoal_slice argv[] = {shoal_text("APPEND"), shoal_text("k"), {piece, sizeof piece}};
    for (uint32_t i = 0; i < 64; i++) (void)ask(argv, 3);
    /* Between 64 KiB and 1 MiB lie some 15 steps by a fifth. */
    uint32_t moves = 0;
    int64_t held = 0;
    for (uint32_t i = 64; i < 1024; i++) {
        int64_t bytes;
        check_number(ask(argv, 3), (i + 1) * sizeof piece);
        shoal_slice usage =
            ask((shoal_slice[]){shoal_text("MEMORY"), shoal_text("USAGE"), shoal_text("k")}, 3);
        assert_true(shoal_text_to_i64((shoal_slice){usage.data + 1, usage.size - 3}, &bytes));
        moves += bytes != held;
        held = bytes;
    }
    assert_in_range(moves, 2, 16);
    assert_in_range(held, 1048576, 1048576 * 5 / 4 + 4096);
    forget();
    client_asks(&c, "STRLEN k~", ":1048576~");
}

static void without_memory_an_edit_changes_nothing(void **state)
{
    (void)state;
    make_edited();
    box.heap.fail_after = 1;
    client_asks(&c, "SETRANGE k 9000000 x~", "-OOM no memory left for this command~");
    box.heap.fail_after = 0;
    check_model("k");
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(edits_leave_the_bytes_that_they_should, open_box,
                                        close_box),
        cmocka_unit_test_setup_teardown(readers_of_an_edited_string_see_its_bytes, open_box,
                                        close_box),
        cmocka_unit_test_setup_teardown(an_edited_string_is_read_among_others, open_box, close_box),
        cmocka_unit_test_setup_teardown(an_edited_string_is_copied_renamed_and_keeps_its_deadline,
                                        open_box, close_box),
        cmocka_unit_test_setup_teardown(an_edited_string_is_dumped_and_restored, open_box,
                                        close_box),
        cmocka_unit_test_setup_teardown(edits_of_a_transaction_follow_each_other, open_box,
                                        close_box),
        cmocka_unit_test_setup_teardown(a_string_that_grows_is_copied_seldom, open_box, close_box),
        cmocka_unit_test_setup_teardown(without_memory_an_edit_changes_nothing, open_box,
                                        close_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
