/* SPDX-License-Identifier: MIT
 *
 * Clients that send any bytes: commands of the table with likely and unlikely arguments, torn
 * requests, garbage, while gates are held, time passes and connections end. Every reply must be
 * whole, in its protocol, and every byte must come back to the allocator.
 *
 * The input is a program: one byte says what happens, the bytes behind it say how.
 */
#include "fuzz/driver/fuzz.h"

#include <stdio.h>

#include "support/command_box.h"

/* Steps of one program, and clients in it; chosen so that an input takes milliseconds. */
#define STEPS_MAX 200
#define CLIENTS 3

/* The program, where it stands, and its world. */
typedef struct program {
    shoal_slice rest;
    command_box box;
    command_client clients[CLIENTS];
} program;

static uint8_t take(program *p)
{
    return fuzz_choice(&p->rest);
}

/* What stands for keys, values and options; those with a brace share a slot. */
static const char *const words[] = {
    "a",
    "{a}1",
    "{a}2",
    "b",
    "",
    "0",
    "1",
    "-1",
    "10",
    "3.5",
    "inf",
    "nan",
    "-0",
    "1e400",
    "*",
    "a*",
    "NX",
    "XX",
    "EX",
    "PX",
    "KEEPTTL",
    "GET",
    "MATCH",
    "COUNT",
    "TYPE",
    "string",
    "ASYNC",
    "100",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "2147483648",
    "536870911",
    "16383",
    "16384",
    "hello world",
    "\r\n",
    "0.1",
    "3",
    "2",
    "AUTH",
    "default",
    "SETNAME",
    "ID",
    "ADDR",
    "on",
    "off",
};

/* Appends a request for a command of the table as a multibulk. */
static void write_command(program *p, shoal_buffer *out)
{
    uint32_t id = 1 + (take(p) | take(p) << 8) % (SHOAL_COMMAND_COUNT - 1u);
    const shoal_command *row = shoal_command_row((shoal_command_id)id);
    shoal_reply writer = {out, 2};
    uint32_t arguments = take(p) % 8;
    bool sub = row->parent != SHOAL_COMMAND_NONE;
    shoal_reply_array(&writer, 1u + sub + arguments);
    if (sub) shoal_reply_text(&writer, shoal_command_row(row->parent)->name);
    shoal_reply_text(&writer, row->name);
    for (uint32_t i = 0; i < arguments; i++)
        shoal_reply_text(&writer, words[take(p) % (sizeof(words) / sizeof(words[0]))]);
}

/* Checks that what a client got is a number of whole replies, and forgets it. */
static void check_replies(command_client *client)
{
    size_t size = 0;
    while (shoal_buffer_size(&client->out)) {
        shoal_err error = shoal_answer_size(shoal_buffer_slice(&client->out), &size);
        if (error) {
            shoal_slice got = shoal_buffer_slice(&client->out);
            fprintf(stderr, "no reply: %.*s\n", (int)got.size, got.data);
        }
        SHOAL_ASSERT(error == SHOAL_ERR_OK);
        shoal_buffer_consume(&client->out, size);
    }
}

/* The control actor answers everything that waits for it. */
static void answer_errands(program *p)
{
    shoal_op *op = shoal_inbox_take(&p->box.control);
    while (op) {
        shoal_errand *errand = (shoal_errand *)op;
        op = op->next;
        shoal_reply reply = {&errand->reply, errand->protocol};
        shoal_reply_text(&reply, "answered");
        shoal_errand_finish(errand);
    }
}

/* Bytes for one client, in one piece or two. */
typedef struct delivery {
    program *p;
    command_client *client;
    shoal_slice bytes;
    size_t cut;
} delivery;

static void deliver(void *context)
{
    delivery *d = context;
    shoal_slice pieces[2] = {{d->bytes.data, d->cut},
                             {d->bytes.data + d->cut, d->bytes.size - d->cut}};
    for (int i = 0; i < 2; i++) {
        if (d->client->session == NULL || pieces[i].size == 0) continue;
        /* A host does not read from a parked connection. */
        if (d->client->feed == SHOAL_FEED_PARKED) {
            answer_errands(d->p);
            command_box_settle(&d->p->box);
        }
        if (d->client->session && d->client->feed != SHOAL_FEED_PARKED)
            client_send(d->client, pieces[i]);
    }
}

/* A client sends commands, or the program's own bytes. */
static void send_something(program *p, uint8_t what)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer out = shoal_buffer_make(&allocator);
    delivery d = {.p = p, .client = &p->clients[take(p) % CLIENTS]};
    if (what & 1) {
        for (uint32_t i = 0; i <= what >> 6; i++) write_command(p, &out);
    } else {
        size_t size = take(p);
        if (size > p->rest.size) size = p->rest.size;
        shoal_buffer_append(&out, (shoal_slice){p->rest.data, size});
        p->rest.data += size;
        p->rest.size -= size;
    }
    d.bytes = shoal_buffer_slice(&out);
    if (d.bytes.size) d.cut = what & 2 ? take(p) % d.bytes.size : d.bytes.size;
    if (d.bytes.size && what & 4)
        command_box_hold(&p->box, "a", deliver, &d);
    else if (d.bytes.size)
        deliver(&d);
    shoal_buffer_free(&out);
}

static void step(program *p)
{
    uint8_t what = take(p);
    command_client *client;
    switch (what % 8) {
    case 0: command_box_sleep(&p->box, take(p) * 40); break;
    case 1: command_box_settle(&p->box); break;
    case 2: answer_errands(p); break;
    case 3:
        client = &p->clients[take(p) % CLIENTS];
        client_close(client);
        client_open(client, &p->box, take(p) % p->box.env.worker_count);
        break;
    default: send_something(p, what >> 3 | (what & 3) << 6); break;
    }
    for (int i = 0; i < CLIENTS; i++) check_replies(&p->clients[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    program *p = calloc(1, sizeof(*p));
    SHOAL_ASSERT(p != NULL);
    p->rest = (shoal_slice){(const char *)data, size};
    uint8_t choice = take(p);
    command_box_open(&p->box, 1 + (choice & 1), choice & 2);
    if (choice & 4) p->box.settings.requirepass = shoal_text("0");
    for (uint32_t i = 0; i < CLIENTS; i++)
        client_open(&p->clients[i], &p->box, i % p->box.env.worker_count);
    for (int i = 0; i < STEPS_MAX && p->rest.size; i++) step(p);

    answer_errands(p);
    command_box_settle(&p->box);
    for (int i = 0; i < CLIENTS; i++) {
        check_replies(&p->clients[i]);
        client_close(&p->clients[i]);
    }
    answer_errands(p);
    command_box_close(&p->box);
    free(p);
    return 0;
}
