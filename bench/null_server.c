/* SPDX-License-Identifier: MIT
 *
 * bench/null_server.c - what a request costs when the server does nothing: the floor that the
 * kernel and the load generator set. It parses nothing; every REQUEST_SIZE bytes that arrive on a
 * connection are answered with the same REPLY.
 *
 *     null-server PORT REQUEST_SIZE REPLY_KIND VALUE_SIZE [FILE]
 *
 * REPLY_KIND is `value` (a RESP bulk string of VALUE_SIZE bytes) or `ok`. One thread, one epoll.
 * With a FILE, what has arrived when it looks at its connections is appended to that file as it is,
 * in one write, and synced before the replies to it leave: what a group commit costs at least.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections are told apart by their descriptor, which is below this. */
#define DESCRIPTORS_MAX 4096

/* Replies written in advance; a pipeline of that many leaves in one send. */
#define BATCH 4096

#define INPUT_SIZE 65536
#define EVENTS_MAX 256

typedef struct null_server {
    int epoll;
    int listener;
    size_t request_size;
    size_t reply_size;
    char *replies;                   /* BATCH of them */
    size_t counted[DESCRIPTORS_MAX]; /* bytes of a request that is not complete */
    char input[INPUT_SIZE];
    int file; /* or -1 */
    char *group;
    size_t group_size;
    int owed_count;           /* connections that wait for the sync, */
    int owed[EVENTS_MAX];     /* these, */
    size_t owing[EVENTS_MAX]; /* for so many replies */
} null_server;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void add(const null_server *server, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) die("epoll_ctl");
}

static void listen_on(null_server *server, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    if (listen(server->listener, 511) != 0) die("listen");
    server->epoll = epoll_create1(0);
    add(server, server->listener);
}

/* Makes one reply and copies it BATCH times. */
static void make_replies(null_server *server, const char *kind, size_t value_size)
{
    char *reply = malloc(value_size + 64);
    if (reply == NULL) die("malloc");
    if (strcmp(kind, "value") == 0) {
        size_t head = (size_t)sprintf(reply, "$%zu\r\n", value_size);
        memset(reply + head, 'x', value_size);
        memcpy(reply + head + value_size, "\r\n", 2);
        server->reply_size = head + value_size + 2;
    } else {
        server->reply_size = (size_t)sprintf(reply, "+OK\r\n");
    }
    server->replies = malloc(server->reply_size * BATCH);
    if (server->replies == NULL) die("malloc");
    for (size_t i = 0; i < BATCH; i++) {
        memcpy(server->replies + i * server->reply_size, reply, server->reply_size);
    }
    free(reply);
}

static void accept_all(null_server *server)
{
    int descriptor;
    while ((descriptor = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (descriptor >= DESCRIPTORS_MAX) {
            close(descriptor);
            continue;
        }
        server->counted[descriptor] = 0;
        add(server, descriptor);
    }
}

/* The load generator reads what it is owed, so a full socket is worth a wait. */
static void send_all(int descriptor, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(descriptor, bytes, size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        } else if (errno != EAGAIN && errno != EINTR) {
            return;
        }
    }
}

static void reply(const null_server *server, int descriptor, size_t requests)
{
    while (requests > 0) {
        size_t batch = requests < BATCH ? requests : BATCH;
        send_all(descriptor, server->replies, batch * server->reply_size);
        requests -= batch;
    }
}

static void serve(null_server *server, int descriptor)
{
    char *input = server->file < 0 ? server->input : server->group + server->group_size;
    ssize_t got = recv(descriptor, input, INPUT_SIZE, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        close(descriptor);
        return;
    }
    if (got < 0) return;
    size_t bytes = server->counted[descriptor] + (size_t)got;
    size_t requests = bytes / server->request_size;
    server->counted[descriptor] = bytes % server->request_size;
    if (server->file < 0) {
        reply(server, descriptor, requests);
        return;
    }
    server->group_size += (size_t)got;
    server->owed[server->owed_count] = descriptor;
    server->owing[server->owed_count++] = requests;
}

/* Makes durable what has come in this round, then answers it. */
static void commit(null_server *server)
{
    if (server->owed_count == 0) return;
    ssize_t size = (ssize_t)server->group_size;
    if (write(server->file, server->group, server->group_size) != size) die("write");
    if (fdatasync(server->file) != 0) die("fdatasync");
    for (int i = 0; i < server->owed_count; i++) reply(server, server->owed[i], server->owing[i]);
    server->owed_count = 0;
    server->group_size = 0;
}

static void open_file(null_server *server, const char *name)
{
    server->file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    if (server->file < 0) die(name);
    server->group = malloc((size_t)EVENTS_MAX * INPUT_SIZE);
    if (server->group == NULL) die("malloc");
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6) {
        fputs("usage: null-server PORT REQUEST_SIZE value|ok VALUE_SIZE [FILE]\n", stderr);
        return 2;
    }
    null_server *server = calloc(1, sizeof *server);
    if (server == NULL) die("calloc");
    server->request_size = strtoul(argv[2], NULL, 10);
    make_replies(server, argv[3], strtoul(argv[4], NULL, 10));
    server->file = -1;
    if (argc == 6) open_file(server, argv[5]);
    listen_on(server, (uint16_t)strtoul(argv[1], NULL, 10));
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(server->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == server->listener) {
                accept_all(server);
            } else {
                serve(server, events[i].data.fd);
            }
        }
        commit(server);
    }
}
