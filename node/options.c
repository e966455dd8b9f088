/* SPDX-License-Identifier: MIT
 *
 * node/options.h: everything goes through the text that CONFIG GET would show, so the host knows
 * no more of the configuration than a client does.
 */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

void shoal_options__text(const shoal_node *node, const char *directive, char *out, size_t size)
{
    shoal_allocator allocator = shoal_memory_allocator();
    shoal_buffer text = shoal_buffer_make(&allocator);
    size_t length = 0;
    if (shoal_node_config_get(node, directive, &text) == SHOAL_ERR_OK && !text.failed) {
        shoal_slice value = shoal_buffer_slice(&text);
        length = value.size < size ? value.size : size - 1;
        if (length > 0) memcpy(out, value.data, length);
    }
    out[length] = '\0';
    shoal_buffer_free(&text);
}

/* Numbers were checked when the configuration was read: they fit. */
static long long number(const shoal_node *node, const char *directive, int base)
{
    char text[32];
    shoal_options__text(node, directive, text, sizeof text);
    return strtoll(text, NULL, base);
}

static bool flag(const shoal_node *node, const char *directive)
{
    char text[8];
    shoal_options__text(node, directive, text, sizeof text);
    return strcmp(text, "yes") == 0;
}

void shoal_options__read(const shoal_node *node, shoal_server_options *options)
{
#define READ_TEXT(field, directive) \
    shoal_options__text(node, directive, options->field, sizeof options->field)
    READ_TEXT(bind, "bind");
    READ_TEXT(bind_source_addr, "bind-source-addr");
    READ_TEXT(cluster_config_file, "cluster-config-file");
    READ_TEXT(unixsocket, "unixsocket");
    READ_TEXT(supervised, "supervised");
    READ_TEXT(pidfile, "pidfile");
    READ_TEXT(logfile, "logfile");
    READ_TEXT(loglevel, "loglevel");
    READ_TEXT(dir, "dir");
    READ_TEXT(record, "record");
#undef READ_TEXT
    options->port = (uint16_t)number(node, "port", 10);
    options->cluster_port = (uint16_t)number(node, "cluster-port", 10);
    options->cluster_enabled = flag(node, "cluster-enabled");
    options->unixsocketperm = (unsigned)number(node, "unixsocketperm", 8);
    options->tcp_backlog = (int)number(node, "tcp-backlog", 10);
    options->tcp_keepalive = (int)number(node, "tcp-keepalive", 10);
    options->maxclients = (uint32_t)number(node, "maxclients", 10);
    options->worker_threads = (uint32_t)number(node, "worker-threads", 10);
    options->huge_pages = flag(node, "huge-pages");
    options->daemonize = flag(node, "daemonize");
    options->always_show_logo = flag(node, "always-show-logo");
    options->record_limit = (uint64_t)number(node, "record-limit", 10);
    if (options->cluster_port == 0) options->cluster_port = (uint16_t)(options->port + 10000);
}
