/* SPDX-License-Identifier: MIT
 *
 * backup/peer.h with sockets that never block, and poll.
 */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/text.h"
#include "wire/resp.h"

/* Bytes that are read at once. */
#define READ_SIZE ((size_t)256 << 10)
/* Connections that are waited for together. */
#define PEERS_MAX 2048u
/* Words of a question. */
#define WORDS_MAX 16

void shoal_backup__die(int status, const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fputs("shoal-backup: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\n", stderr);
    exit(status);
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

int64_t shoal_backup__now_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t shoal_backup__wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

static void *take(void *context, size_t size, size_t alignment)
{
    void *memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    (void)context;
    if (memory == NULL) shoal_backup__die(BACKUP_FAILED, "no memory for %zu bytes", size);
    return memory;
}

static void *take_zeroed(void *context, size_t size, size_t alignment)
{
    return memset(take(context, size, alignment), 0, size);
}

static void give(void *context, void *memory, size_t size, size_t alignment)
{
    (void)context;
    (void)size;
    (void)alignment;
    free(memory);
}

static size_t usable(void *context, size_t size, size_t alignment)
{
    (void)context;
    (void)alignment;
    return size;
}

const shoal_allocator *shoal_backup__allocator(void)
{
    static const shoal_allocator allocator = {.allocate = take,
                                              .allocate_zeroed = take_zeroed,
                                              .release = give,
                                              .usable_size = usable};
    return &allocator;
}

/* ---- connecting ---- */

/* Waits for a connection that has been begun. */
static bool connected(int descriptor, int timeout_ms)
{
    struct pollfd wanted = {.fd = descriptor, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    if (poll(&wanted, 1, timeout_ms) <= 0) {
        errno = ETIMEDOUT;
        return false;
    }
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return error == 0;
}

static int connect_to(const struct addrinfo *address, int timeout_ms)
{
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
        one = 1;
    if (descriptor < 0) return -1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int begun = connect(descriptor, address->ai_addr, address->ai_addrlen);
    if (begun == 0 || (errno == EINPROGRESS && connected(descriptor, timeout_ms)))
        return descriptor;
    int why = errno;
    close(descriptor);
    errno = why;
    return -1;
}

static void log_in(shoal_peer *peer, const shoal_login *login)
{
    if (login->password == NULL) return;
    shoal_slice argv[3] = {shoal_text("AUTH")};
    uint32_t argc = 1;
    if (login->user != NULL) argv[argc++] = shoal_text(login->user);
    argv[argc++] = shoal_text(login->password);
    shoal_peer__request(peer, argc, argv);
    shoal_slice answer = shoal_peer__answer(peer);
    if (answer.data[0] != '+')
        shoal_backup__die(BACKUP_FAILED, "%s does not let us in: %.*s", peer->name,
                          (int)answer.size - 3, answer.data + 1);
}

void shoal_peer__open(shoal_peer *peer, const char *host, uint16_t port, const shoal_login *login)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *found = NULL;
    char service[8];
    *peer = (shoal_peer){.descriptor = -1, .timeout_ms = login->timeout_ms};
    peer->in = shoal_buffer_make(shoal_backup__allocator());
    peer->out = shoal_buffer_make(shoal_backup__allocator());
    snprintf(peer->name, sizeof peer->name, "%s:%u", host, port);
    snprintf(service, sizeof service, "%u", port);
    int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0)
        shoal_backup__die(BACKUP_FAILED, "cannot find %s: %s", host, gai_strerror(error));
    for (const struct addrinfo *at = found; at != NULL && peer->descriptor < 0; at = at->ai_next)
        peer->descriptor = connect_to(at, login->timeout_ms);
    freeaddrinfo(found);
    if (peer->descriptor < 0)
        shoal_backup__die(BACKUP_FAILED, "cannot connect to %s: %s", peer->name, strerror(errno));
    peer->heard_us = shoal_backup__now_us();
    log_in(peer, login);
}

void shoal_peer__close(shoal_peer *peer)
{
    if (peer->descriptor >= 0) close(peer->descriptor);
    peer->descriptor = -1;
    shoal_buffer_free(&peer->in);
    shoal_buffer_free(&peer->out);
}

/* ---- sending ---- */

void shoal_peer__request(shoal_peer *peer, uint32_t argc, const shoal_slice *argv)
{
    SHOAL_ASSERT(argc > 0);
    shoal_text_appendf(&peer->out, "*%u\r\n", argc);
    for (uint32_t i = 0; i < argc; i++) {
        shoal_text_appendf(&peer->out, "$%zu\r\n", argv[i].size);
        shoal_buffer_append(&peer->out, argv[i]);
        shoal_buffer_append(&peer->out, (shoal_slice){"\r\n", 2});
    }
}

void shoal_peer__words(shoal_peer *peer, const char *words)
{
    shoal_slice argv[WORDS_MAX];
    uint32_t argc = 0;
    for (const char *at = words; *at != '\0' && argc < WORDS_MAX;) {
        size_t size = strcspn(at, " ");
        argv[argc++] = (shoal_slice){at, size};
        at += size + (at[size] == ' ');
    }
    shoal_peer__request(peer, argc, argv);
}

bool shoal_peer__flush(shoal_peer *peer)
{
    while (shoal_buffer_size(&peer->out) > 0) {
        shoal_slice left = shoal_buffer_slice(&peer->out);
        ssize_t sent = send(peer->descriptor, left.data, left.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
        if (sent < 0) shoal_backup__die(BACKUP_FAILED, "%s: %s", peer->name, strerror(errno));
        shoal_buffer_consume(&peer->out, (size_t)sent);
    }
    return true;
}

/* ---- receiving ---- */

void shoal_peer__fill(shoal_peer *peer)
{
    char *room = shoal_buffer_reserve(&peer->in, READ_SIZE);
    ssize_t got = recv(peer->descriptor, room, READ_SIZE, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (got < 0) shoal_backup__die(BACKUP_FAILED, "%s: %s", peer->name, strerror(errno));
    if (got == 0) shoal_backup__die(BACKUP_FAILED, "%s has closed the connection", peer->name);
    shoal_buffer_commit(&peer->in, (size_t)got);
    peer->heard_us = shoal_backup__now_us();
}

void shoal_peer__wait(shoal_peer *const *peers, uint32_t count, int limit_ms)
{
    struct pollfd wanted[PEERS_MAX];
    SHOAL_ASSERT(count <= PEERS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        short events = shoal_buffer_size(&peers[i]->out) > 0 ? POLLIN | POLLOUT : POLLIN;
        wanted[i] = (struct pollfd){.fd = peers[i]->descriptor, .events = events};
    }
    (void)poll(wanted, count, limit_ms);
    int64_t now = shoal_backup__now_us();
    for (uint32_t i = 0; i < count; i++) {
        if (now - peers[i]->heard_us < (int64_t)peers[i]->timeout_ms * 1000) continue;
        shoal_backup__die(BACKUP_FAILED, "%s has said nothing for %d s", peers[i]->name,
                          peers[i]->timeout_ms / 1000);
    }
}

shoal_slice shoal_peer__answer(shoal_peer *peer)
{
    size_t size = 0;
    shoal_err error;
    peer->heard_us = shoal_backup__now_us();
    while ((error = shoal_answer_size(shoal_buffer_slice(&peer->in), &size)) ==
           SHOAL_ERR_TRUNCATED) {
        (void)shoal_peer__flush(peer);
        shoal_peer__wait(&peer, 1, peer->timeout_ms);
        shoal_peer__fill(peer);
    }
    if (error != SHOAL_ERR_OK)
        shoal_backup__die(BACKUP_FAILED, "%s does not speak Redis's protocol", peer->name);
    /* The bytes stay where they are until something is read behind them. */
    shoal_slice answer = {peer->in.data + peer->in.start, size};
    shoal_buffer_consume(&peer->in, size);
    return answer;
}

shoal_slice shoal_peer__ask(shoal_peer *peer, const char *words)
{
    shoal_peer__words(peer, words);
    return shoal_peer__answer(peer);
}

static _Noreturn void refuse(const shoal_peer *peer, shoal_slice answer, const char *words)
{
    size_t size = 0;
    while (size < answer.size && answer.data[size] != '\r') size++;
    shoal_backup__die(BACKUP_FAILED, "%s answers %s with: %.*s", peer->name, words, (int)size,
                      answer.data);
}

shoal_slice shoal_peer__text(const shoal_peer *peer, shoal_slice answer, const char *words)
{
    shoal_answer element;
    shoal_err error = shoal_answer_next(answer, &element);
    bool text = error == SHOAL_ERR_OK &&
                (element.type == '+' || element.type == '$' || element.type == '=');
    if (!text || element.integer < 0) refuse(peer, answer, words);
    return element.text;
}

int64_t shoal_peer__number(const shoal_peer *peer, shoal_slice answer, const char *words)
{
    shoal_answer element;
    shoal_err error = shoal_answer_next(answer, &element);
    if (error != SHOAL_ERR_OK || element.type != ':') refuse(peer, answer, words);
    return element.integer;
}
