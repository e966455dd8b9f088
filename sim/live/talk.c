/* SPDX-License-Identifier: MIT
 *
 * sim/live/talk.h with sockets that never block.
 */
#define _GNU_SOURCE /* accept4, SOCK_NONBLOCK */
#include "sim/live/talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/text.h"
#include "wire/resp.h"

/* Bytes that are read at once. */
#define READ_SIZE ((size_t)64 << 10)
#define WORDS_MAX 64u
#define BACKLOG 128

/* ---- sockets ---- */

static struct sockaddr_in address_of(shoal_spot at)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(at.port),
                                .sin_addr.s_addr = htonl(at.ip)};
}

/* Closes a descriptor and keeps the reason of a failure. */
static int give_up(int descriptor)
{
    int why = errno;
    close(descriptor);
    errno = why;
    return -1;
}

int shoal_spot__listen(shoal_spot at)
{
    struct sockaddr_in address = address_of(at);
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(descriptor, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(descriptor, BACKLOG) != 0) {
        return give_up(descriptor);
    }
    return descriptor;
}

int shoal_spot__connect(uint32_t from, shoal_spot to)
{
    struct sockaddr_in here = address_of((shoal_spot){from, 0}), there = address_of(to);
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (from != 0) {
        /* The port is chosen with the connection, so that many share one. */
        setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        if (bind(descriptor, (const struct sockaddr *)&here, sizeof(here)) != 0)
            return give_up(descriptor);
    }
    int result = connect(descriptor, (const struct sockaddr *)&there, sizeof(there));
    if (result != 0 && errno != EINPROGRESS) return give_up(descriptor);
    return descriptor;
}

void shoal_spot__text(uint32_t ip, char out[16])
{
    snprintf(out, 16, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

/* ---- one conversation ---- */

static void talk_ready(void *context, bool readable, bool writable);

void shoal_talk__make(shoal_talk *talk, shoal_loop *loop)
{
    talk->loop = loop;
    talk->in = shoal_buffer_make(&loop->memory);
    talk->out = shoal_buffer_make(&loop->memory);
    talk->watch = (shoal_watch){.ready = talk_ready, .context = talk};
}

void shoal_talk__free(shoal_talk *talk)
{
    shoal_talk__close(talk);
    shoal_buffer_free(&talk->in);
    shoal_buffer_free(&talk->out);
}

bool shoal_talk__open(shoal_talk *talk, uint32_t from, shoal_spot to)
{
    SHOAL_ASSERT(!talk->watch.open);
    int descriptor = shoal_spot__connect(from, to);
    talk->generation++;
    if (descriptor < 0) return false;
    shoal_loop__watch(talk->loop, &talk->watch, descriptor);
    shoal_loop__want(talk->loop, &talk->watch, true, true);
    return true;
}

void shoal_talk__close(shoal_talk *talk)
{
    if (talk->watch.open) shoal_loop__close(talk->loop, &talk->watch);
    talk->up = false;
    shoal_buffer_consume(&talk->in, shoal_buffer_size(&talk->in));
    shoal_buffer_consume(&talk->out, shoal_buffer_size(&talk->out));
}

static void end_talk(shoal_talk *talk)
{
    talk->was_up = talk->up;
    shoal_talk__close(talk);
    talk->ended(talk->context);
}

void shoal_talk__flush(shoal_talk *talk)
{
    if (!talk->up) return;
    while (shoal_buffer_size(&talk->out) > 0) {
        shoal_slice left = shoal_buffer_slice(&talk->out);
        ssize_t sent = send(talk->watch.descriptor, left.data, left.size, MSG_NOSIGNAL);
        if (sent <= 0) break; /* full, or broken: the read end says so */
        shoal_buffer_consume(&talk->out, (size_t)sent);
    }
    shoal_loop__want(talk->loop, &talk->watch, true, shoal_buffer_size(&talk->out) > 0);
}

void shoal_talk__words(shoal_talk *talk, const char *words)
{
    shoal_slice argv[WORDS_MAX];
    uint32_t argc = 0;
    for (const char *at = words; *at != 0 && argc < WORDS_MAX;) {
        size_t size = strcspn(at, " ");
        if (size > 0) argv[argc++] = (shoal_slice){at, size};
        at += size + (at[size] == ' ');
    }
    shoal_text_appendf(&talk->out, "*%u\r\n", argc);
    for (uint32_t i = 0; i < argc; i++) {
        shoal_text_appendf(&talk->out, "$%zu\r\n", argv[i].size);
        shoal_buffer_append(&talk->out, argv[i]);
        shoal_buffer_append(&talk->out, (shoal_slice){"\r\n", 2});
    }
}

/* Gives the owner every whole reply that is there. */
static void hand_out(shoal_talk *talk)
{
    uint32_t generation = talk->generation;
    size_t size = 0;
    while (shoal_answer_size(shoal_buffer_slice(&talk->in), &size) == SHOAL_ERR_OK) {
        talk->replied(talk->context, (shoal_slice){talk->in.data + talk->in.start, size});
        if (!talk->watch.open || talk->generation != generation) return;
        shoal_buffer_consume(&talk->in, size);
    }
}

static void talk_read(shoal_talk *talk)
{
    char *room = shoal_buffer_reserve(&talk->in, READ_SIZE);
    ssize_t got = recv(talk->watch.descriptor, room, READ_SIZE, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (got <= 0) {
        end_talk(talk);
        return;
    }
    shoal_buffer_commit(&talk->in, (size_t)got);
    hand_out(talk);
}

/* The connection is there, or could not be made. */
static void talk_connected(shoal_talk *talk)
{
    int error = 0;
    socklen_t size = sizeof(error);
    uint32_t generation = talk->generation;
    getsockopt(talk->watch.descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        end_talk(talk);
        return;
    }
    talk->up = true;
    talk->opened(talk->context);
    if (talk->watch.open && talk->generation == generation) shoal_talk__flush(talk);
}

static void talk_ready(void *context, bool readable, bool writable)
{
    shoal_talk *talk = context;
    if (!talk->up) {
        if (readable || writable) talk_connected(talk);
        return;
    }
    if (writable) shoal_talk__flush(talk);
    if (readable && talk->watch.open) talk_read(talk);
}
