/* SPDX-License-Identifier: MIT
 *
 * One client that sends any bytes: however they are cut, the replies are the same, each of them is
 * whole, and the session ends or stays all the same.
 */
#include "fuzz/driver/fuzz.h"

#include "support/command_box.h"
#include "wire/resp.h"

/* A box with one client. */
typedef struct seat {
    command_box box;
    command_client client;
} seat;

/* The choices of the first byte: cluster mode, a password, the longest piece. */
typedef struct choices {
    bool cluster, password;
    uint64_t piece_max;
} choices;

static seat *seat_open(choices chosen)
{
    seat *s = calloc(1, sizeof(*s));
    SHOAL_ASSERT(s != NULL);
    command_box_open(&s->box, 1, chosen.cluster);
    if (chosen.password) s->box.settings.requirepass = shoal_text("x");
    client_open(&s->client, &s->box, 0);
    return s;
}

static void seat_close(seat *s)
{
    client_close(&s->client);
    command_box_close(&s->box);
    free(s);
}

/* The control actor answers what waits for it, until nothing does. */
static void settle(seat *s)
{
    for (;;) {
        command_box_settle(&s->box);
        shoal_op *op = shoal_inbox_take(&s->box.control);
        if (op == NULL) return;
        while (op) {
            shoal_errand *errand = (shoal_errand *)op;
            op = op->next;
            shoal_reply reply = {&errand->reply, errand->protocol};
            shoal_reply_text(&reply, "answered");
            shoal_errand_finish(errand);
        }
    }
}

/* Sends `bytes` in pieces of at most `piece_max`. */
static void send_pieces(seat *s, shoal_slice bytes, uint64_t piece_max)
{
    shoal_prng prng = shoal_prng_make((uint64_t[2]){bytes.size, piece_max}, 0, 0);
    while (bytes.size && s->client.session) {
        size_t size = 1 + shoal_prng_below(&prng, piece_max);
        if (size > bytes.size) size = bytes.size;
        client_send(&s->client, (shoal_slice){bytes.data, size});
        settle(s);
        SHOAL_ASSERT(s->client.session == NULL || s->client.feed == SHOAL_FEED_MORE);
        bytes.data += size;
        bytes.size -= size;
    }
}

/* Lines about connections tell how many bytes a piece has left behind. */
static bool tells_of_buffers(shoal_slice text)
{
    return text.size && shoal_text_find(text, shoal_text(" qbuf=")) != SHOAL_TEXT_NONE;
}

/* Takes the next element of what a client got. */
static shoal_answer take_answer(shoal_slice *got)
{
    shoal_answer answer;
    size_t size;
    SHOAL_ASSERT(shoal_answer_next(*got, &answer) == SHOAL_ERR_OK);
    SHOAL_ASSERT(shoal_answer_size(*got, &size) == SHOAL_ERR_OK);
    got->data += answer.size;
    got->size -= answer.size;
    return answer;
}

static void compare(shoal_slice a, shoal_slice b)
{
    while (a.size && b.size) {
        shoal_answer one = take_answer(&a), other = take_answer(&b);
        SHOAL_ASSERT(one.type == other.type);
        if (tells_of_buffers(one.text) && tells_of_buffers(other.text)) continue;
        SHOAL_ASSERT(one.integer == other.integer);
        SHOAL_ASSERT(shoal_text_equal(one.text, other.text));
    }
    SHOAL_ASSERT(a.size == 0 && b.size == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shoal_slice bytes = {(const char *)data, size};
    uint8_t choice = fuzz_choice(&bytes);
    choices chosen = {choice & 1, choice & 2, 1 + (choice >> 4) * 3u};
    seat *whole = seat_open(chosen), *cut = seat_open(chosen);
    if (bytes.size) client_send(&whole->client, bytes);
    settle(whole);
    send_pieces(cut, bytes, chosen.piece_max);
    compare(shoal_buffer_slice(&whole->client.out), shoal_buffer_slice(&cut->client.out));
    SHOAL_ASSERT((whole->client.session == NULL) == (cut->client.session == NULL));
    seat_close(whole);
    seat_close(cut);
    return 0;
}
