/* SPDX-License-Identifier: MIT
 *
 * node/sockets.h on Linux.
 */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket address and how much of it counts. */
typedef struct endpoint {
    struct sockaddr_storage storage;
    socklen_t size;
} endpoint;

/* Fills `out` from numeric text; false when it is no address. */
static bool endpoint_parse(const char *ip, uint16_t port, endpoint *out)
{
    memset(out, 0, sizeof *out);
    struct sockaddr_in *four = (struct sockaddr_in *)&out->storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out->storage;
    if (inet_pton(AF_INET, ip, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        out->size = sizeof *four;
        return true;
    }
    if (inet_pton(AF_INET6, ip, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        out->size = sizeof *six;
        return true;
    }
    return false;
}

static shoal_address endpoint_text(const endpoint *end)
{
    shoal_address address = {0};
    const struct sockaddr_in *four = (const struct sockaddr_in *)&end->storage;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&end->storage;
    if (end->storage.ss_family == AF_INET) {
        inet_ntop(AF_INET, &four->sin_addr, address.ip, sizeof address.ip);
        address.port = ntohs(four->sin_port);
    } else if (end->storage.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &six->sin6_addr, address.ip, sizeof address.ip);
        address.port = ntohs(six->sin6_port);
    }
    /* inet_ntop leaves the bytes behind the terminator alone: they are still zero. */
    return address;
}

static void set_flag(int descriptor, int level, int option)
{
    int on = 1;
    (void)setsockopt(descriptor, level, option, &on, sizeof on);
}

/* Closes and keeps errno. */
static int fail(int descriptor)
{
    int number = errno;
    if (descriptor >= 0) close(descriptor);
    errno = number;
    return -1;
}

int shoal_socket__listen(const shoal_listen_options *options)
{
    const char *ip = options->ip;
    if (strcmp(ip, "*") == 0) ip = "0.0.0.0";
    if (strcmp(ip, "::*") == 0) ip = "::";
    endpoint end;
    if (!endpoint_parse(ip, options->port, &end)) {
        errno = EINVAL;
        return -1;
    }
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int descriptor = socket(end.storage.ss_family, type, 0);
    if (descriptor < 0) return -1;
    set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR);
    if (end.storage.ss_family == AF_INET6) set_flag(descriptor, IPPROTO_IPV6, IPV6_V6ONLY);
    if (bind(descriptor, (struct sockaddr *)&end.storage, end.size) != 0) return fail(descriptor);
    if (listen(descriptor, options->backlog) != 0) return fail(descriptor);
    return descriptor;
}

int shoal_socket__listen_unix(const char *path, unsigned mode, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (length < 0 || (size_t)length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    unlink(path);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0) return fail(descriptor);
    if (mode != 0 && chmod(path, mode) != 0) return fail(descriptor);
    if (listen(descriptor, backlog) != 0) return fail(descriptor);
    return descriptor;
}

int shoal_socket__connect(const shoal_address *peer, const char *source)
{
    endpoint end;
    if (!endpoint_parse(peer->ip, peer->port, &end)) {
        errno = EINVAL;
        return -1;
    }
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int descriptor = socket(end.storage.ss_family, type, 0);
    if (descriptor < 0) return -1;
    endpoint own;
    if (source[0] != '\0' && endpoint_parse(source, 0, &own)) {
        set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR);
        if (bind(descriptor, (struct sockaddr *)&own.storage, own.size) != 0) {
            return fail(descriptor);
        }
    }
    shoal_socket__no_delay(descriptor);
    if (connect(descriptor, (struct sockaddr *)&end.storage, end.size) == 0) return descriptor;
    return errno == EINPROGRESS ? descriptor : fail(descriptor);
}

int shoal_socket__error(int descriptor)
{
    int number = 0;
    socklen_t size = sizeof number;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &size) != 0) return errno;
    return number;
}

shoal_address shoal_socket__peer(int descriptor)
{
    endpoint end = {.size = sizeof end.storage};
    if (getpeername(descriptor, (struct sockaddr *)&end.storage, &end.size) != 0) {
        return (shoal_address){0};
    }
    return endpoint_text(&end);
}

shoal_address shoal_socket__local(int descriptor)
{
    endpoint end = {.size = sizeof end.storage};
    if (getsockname(descriptor, (struct sockaddr *)&end.storage, &end.size) != 0) {
        return (shoal_address){0};
    }
    return endpoint_text(&end);
}

void shoal_socket__no_delay(int descriptor)
{
    set_flag(descriptor, IPPROTO_TCP, TCP_NODELAY);
}

void shoal_socket__keep_alive(int descriptor, int seconds)
{
    if (seconds <= 0) return;
    int interval = seconds / 3 > 0 ? seconds / 3 : 1;
    int probes = 3;
    set_flag(descriptor, SOL_SOCKET, SO_KEEPALIVE);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

shoal_err shoal_socket__err(int number)
{
    if (number == 0) return SHOAL_ERR_OK;
    if (number == ECONNREFUSED) return SHOAL_ERR_REFUSED;
    if (number == ETIMEDOUT || number == EHOSTUNREACH || number == ENETUNREACH) {
        return SHOAL_ERR_TIMED_OUT;
    }
    if (number == ECONNRESET || number == EPIPE) return SHOAL_ERR_RESET;
    return SHOAL_ERR_IO;
}
