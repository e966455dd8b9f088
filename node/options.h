/* SPDX-License-Identifier: MIT
 *
 * node/options.h - the directives that the host itself obeys, read out of a configured node.
 */
#ifndef SHOAL_NODE_OPTIONS_H
#define SHOAL_NODE_OPTIONS_H

#include <limits.h>

#include <shoal/node.h>

/* Most addresses that a server listens on. */
#define SHOAL_BIND_MAX 16

/* Values of directives, by their names with underscores. */
typedef struct shoal_server_options {
    char bind[1024];
    char bind_source_addr[46];
    uint16_t port;
    uint16_t cluster_port; /* resolved: port + 10000 when not given */
    bool cluster_enabled;
    char cluster_config_file[PATH_MAX];
    char unixsocket[PATH_MAX];
    unsigned unixsocketperm;
    int tcp_backlog;
    int tcp_keepalive;
    uint32_t maxclients;
    uint32_t worker_threads; /* 0: as many as the machine suggests */
    bool huge_pages;
    bool daemonize;
    char supervised[16];
    char pidfile[PATH_MAX];
    char logfile[PATH_MAX];
    char loglevel[16];
    char dir[PATH_MAX];
    bool always_show_logo;
    char record[PATH_MAX]; /* "": nothing is recorded */
    uint64_t record_limit;
} shoal_server_options;

/* Reads them all. Before START from the creating thread, afterwards on the control thread. */
void shoal_options__read(const shoal_node *node, shoal_server_options *options);

/* Reads one directive as text into `out`, cut to fit; "" when there is none. */
void shoal_options__text(const shoal_node *node, const char *directive, char *out, size_t size);

#endif
