/* SPDX-License-Identifier: MIT
 *
 * node/sockets.h - making and asking sockets: listeners, connects, options, addresses. Knows
 * nothing of who uses them. All sockets are non-blocking and closed on exec.
 */
#ifndef SHOAL_NODE_SOCKETS_H
#define SHOAL_NODE_SOCKETS_H

#include <sys/socket.h>

#include <shoal/host.h>

/* Where to listen. */
typedef struct shoal_listen_options {
    const char *ip; /* numeric; "*" for every IPv4, "::*" for every IPv6 address */
    uint16_t port;
    int backlog;
} shoal_listen_options;

/* A listening TCP socket, or -1 with errno set. */
int shoal_socket__listen(const shoal_listen_options *options);

/* A listening UNIX socket at `path`, which is replaced; `mode` 0 keeps the umask's. -1 with
 * errno set. */
int shoal_socket__listen_unix(const char *path, unsigned mode, int backlog);

/* Starts to connect to `peer`, from `source` unless that is empty. The socket, or -1 with errno
 * set when it failed at once. */
int shoal_socket__connect(const shoal_address *peer, const char *source);

/* The error that a connect ended with, 0 for none. */
int shoal_socket__error(int descriptor);

/* The addresses of both ends; an end that is no IP address has an empty `ip`. */
shoal_address shoal_socket__peer(int descriptor);
shoal_address shoal_socket__local(int descriptor);

/* Sends small pieces at once. */
void shoal_socket__no_delay(int descriptor);

/* Probes a silent peer after `seconds`, thrice, a third of that apart; 0: never. */
void shoal_socket__keep_alive(int descriptor, int seconds);

/* What an errno of a connection means at the door. */
shoal_err shoal_socket__err(int number);

#endif
