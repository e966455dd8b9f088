/* SPDX-License-Identifier: MIT
 *
 * node/server.h. The control thread is the one that calls run: it steps the node, accepts
 * clients for the lanes and listens to signals. Lanes do the rest.
 */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "acceptor.h"
#include "base/assert.h"
#include "clock.h"
#include "control.h"
#include "lane.h"
#include "lock.h"
#include "memory.h"
#include "process.h"
#include "recording.h"
#include "sockets.h"
#include "vitals.h"

/* Listeners: an address each for clients and for the bus, and the UNIX socket. */
#define ACCEPTORS_MAX (2 * SHOAL_BIND_MAX + 1)

/* The signal socket in the control actor's epoll. */
typedef struct signal_watch {
    shoal_watch watch; /* first */
    struct shoal_server *server;
    int descriptor;
} signal_watch;

struct shoal_server {
    shoal_allocator allocator;
    shoal_pages *pages; /* under the keys, or NULL */
    shoal_log *log;
    shoal_server_options options;
    shoal_control *control;
    shoal_node *node;
    shoal_lane **lanes;
    uint32_t lane_count;
    uint32_t lane_next; /* where the search for the least busy lane begins */
    shoal_acceptor acceptors[ACCEPTORS_MAX];
    uint32_t acceptor_count;
    signal_watch signals;
    int nodes_lock;             /* of nodes.conf, or -1 */
    int directory_lock;         /* or -1 */
    shoal_recording *recording; /* or NULL */
    shoal_vital_signs vitals;
    uint64_t config_version; /* of the configuration that is obeyed */
    bool announced;          /* a supervisor has been told that the node is ready */
    bool leaving;            /* a signal has asked it to end */
    int exit_code;
};

/* ---- the node's side ---- */

static int64_t step(void *context, const shoal_event *event)
{
    shoal_server *server = context;
    return shoal_node_step(server->node, event);
}

static void nudge_worker(void *owner, uint32_t index)
{
    shoal_server *server = owner;
    if (index < server->lane_count && server->lanes[index]) {
        shoal_lane__nudge(server->lanes[index]);
    }
}

/* Log records become log lines; nobody listens to the others. */
static void trace(void *owner, const shoal_trace_record *record)
{
    const shoal_server *server = owner;
    if (record->kind != SHOAL_TRACE_LOG || record->a > SHOAL_LOG_WARNING) return;
    shoal_log__write(server->log, (shoal_log_level)record->a, record->text);
}

/* ---- chores of the control thread ---- */

/* The node has logged that it is ready; a supervisor is told in its own way. */
static void announce(shoal_server *server)
{
    server->announced = true;
    if (shoal_process__supervised(server->options.supervised)) {
        shoal_process__notify(server->log, "STATUS=Ready to accept connections\nREADY=1\n");
    }
}

/* Obeys the directives that CONFIG SET has changed. */
static void refresh(shoal_server *server)
{
    uint64_t version = shoal_node_config_version(server->node);
    if (version == server->config_version) return;
    server->config_version = version;
    char text[32];
    shoal_options__text(server->node, "loglevel", text, sizeof text);
    shoal_log__set_level(server->log, text);
    shoal_options__text(server->node, "tcp-keepalive", text, sizeof text);
    server->options.tcp_keepalive = (int)strtol(text, NULL, 10);
}

static int64_t chores(void *owner, shoal_time now)
{
    shoal_server *server = owner;
    if (!server->announced && shoal_node_ready(server->node)) announce(server);
    refresh(server);
    shoal_recording__look(server->recording);
    shoal_node_wish wish = shoal_node_wanted(server->node);
    if (wish == SHOAL_WISH_FATAL) server->exit_code = 1;
    if (wish != SHOAL_WISH_NONE) shoal_control__stop(server->control);
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < server->acceptor_count; i++) {
        int64_t at = shoal_acceptor__chores(&server->acceptors[i], now.mono_us);
        if (at < next) next = at;
    }
    return next;
}

/* ---- signals ---- */

static void signal_ready(shoal_watch *watch, uint32_t events)
{
    (void)events;
    signal_watch *self = (signal_watch *)watch;
    struct signalfd_siginfo info;
    while (read(self->descriptor, &info, sizeof info) == (ssize_t)sizeof info) {
        const char *name = info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
        shoal_log__say(self->server->log, SHOAL_LOG_WARNING, "Received %s, shutting down...", name);
        /* Who asks twice does not want to wait for what a node does before it leaves. */
        bool waits = !self->server->leaving && shoal_node_leave(self->server->node);
        self->server->leaving = true;
        if (!waits) shoal_control__stop(self->server->control);
    }
}

static shoal_err watch_signals(shoal_server *server)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    server->signals.descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (server->signals.descriptor < 0) return SHOAL_ERR_IO;
    server->signals.watch.ready = signal_ready;
    server->signals.server = server;
    shoal_control__watch(server->control, server->signals.descriptor, &server->signals.watch, true);
    shoal_control__hurry_at(server->control, server->signals.descriptor);
    return SHOAL_ERR_OK;
}

/* ---- connections ---- */

/* The lane with the fewest connections; among equals the next in turn. */
static shoal_lane *choose_lane(shoal_server *server)
{
    shoal_lane *best = NULL;
    uint32_t load_best = UINT32_MAX;
    for (uint32_t i = 0; i < server->lane_count; i++) {
        shoal_lane *lane = server->lanes[(server->lane_next + i) % server->lane_count];
        uint32_t load = shoal_lane__load(lane);
        if (load < load_best) {
            best = lane;
            load_best = load;
        }
    }
    server->lane_next = (server->lane_next + 1) % server->lane_count;
    return best;
}

static void take_client(void *context, shoal_acceptor *acceptor, int descriptor)
{
    shoal_server *server = context;
    if (!acceptor->unix_socket) {
        shoal_socket__no_delay(descriptor);
        shoal_socket__keep_alive(descriptor, server->options.tcp_keepalive);
    }
    if (!shoal_lane__adopt(choose_lane(server), descriptor, acceptor->unix_socket)) {
        close(descriptor);
    }
}

static void take_link(void *context, shoal_acceptor *acceptor, int descriptor)
{
    (void)context;
    shoal_control__accept_link(acceptor->control, descriptor);
}

/* ---- listeners ---- */

/* What accepts on a descriptor, and for whom. */
typedef struct listener {
    int descriptor;
    bool unix_socket;
    void (*take)(void *context, shoal_acceptor *acceptor, int descriptor);
} listener;

static void add_acceptor(shoal_server *server, const listener *what)
{
    SHOAL_ASSERT(server->acceptor_count < ACCEPTORS_MAX);
    shoal_acceptor *acceptor = &server->acceptors[server->acceptor_count++];
    *acceptor = (shoal_acceptor){.control = server->control,
                                 .log = server->log,
                                 .descriptor = what->descriptor,
                                 .take = what->take,
                                 .context = server,
                                 .unix_socket = what->unix_socket};
    shoal_acceptor__start(acceptor);
}

/* An address with `-` before it may be missing on this machine. */
static bool may_be_missing(const char *word, int number)
{
    return word[0] == '-' && (number == EADDRNOTAVAIL || number == EAFNOSUPPORT ||
                              number == EPROTONOSUPPORT || number == ENOPROTOOPT);
}

/* Listens on every `bind` address at `port`. 0, or SHOAL_ERR_IO after saying what failed. */
static shoal_err listen_all(shoal_server *server, uint16_t port, listener what)
{
    char words[sizeof server->options.bind];
    snprintf(words, sizeof words, "%s", server->options.bind);
    char *rest = NULL;
    uint32_t count = 0;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        shoal_listen_options options = {.ip = word + (word[0] == '-'),
                                        .port = port,
                                        .backlog = server->options.tcp_backlog};
        what.descriptor = shoal_socket__listen(&options);
        if (what.descriptor < 0 && may_be_missing(word, errno)) continue;
        if (what.descriptor < 0 || count == SHOAL_BIND_MAX) {
            shoal_log__say(server->log, SHOAL_LOG_WARNING,
                           "Warning: Could not create server TCP listening socket %s:%u: %s",
                           options.ip, port, strerror(errno));
            shoal_log__say(server->log, SHOAL_LOG_WARNING,
                           "Failed listening on port %u (TCP), aborting.", port);
            return SHOAL_ERR_IO;
        }
        add_acceptor(server, &what);
        count++;
    }
    return SHOAL_ERR_OK;
}

static shoal_err listen_unix(shoal_server *server)
{
    const shoal_server_options *options = &server->options;
    if (options->unixsocket[0] == '\0') return SHOAL_ERR_OK;
    listener what = {.unix_socket = true, .take = take_client};
    what.descriptor = shoal_socket__listen_unix(options->unixsocket, options->unixsocketperm,
                                                options->tcp_backlog);
    if (what.descriptor < 0) {
        shoal_log__say(server->log, SHOAL_LOG_WARNING,
                       "Failed opening Unix socket %s: %s, aborting.", options->unixsocket,
                       strerror(errno));
        return SHOAL_ERR_IO;
    }
    add_acceptor(server, &what);
    return SHOAL_ERR_OK;
}

static shoal_err listen_everywhere(shoal_server *server)
{
    const shoal_server_options *options = &server->options;
    shoal_err error = SHOAL_ERR_OK;
    if (options->port != 0) {
        error = listen_all(server, options->port, (listener){.take = take_client});
    }
    if (error == SHOAL_ERR_OK) error = listen_unix(server);
    if (error == SHOAL_ERR_OK && server->acceptor_count == 0) {
        shoal_log__say(server->log, SHOAL_LOG_WARNING,
                       "Configured to not listen anywhere, exiting.");
        return SHOAL_ERR_INVALID;
    }
    if (error == SHOAL_ERR_OK && options->cluster_enabled) {
        error = listen_all(server, options->cluster_port, (listener){.take = take_link});
    }
    return error;
}

/* ---- start and stop ---- */

/* Fills the paths of the file roles; the strings are copied by the control actor. */
static shoal_err create_control(shoal_server *server, const char *config_file)
{
    char nodes_new[PATH_MAX + 8];
    char config_new[PATH_MAX + 8];
    snprintf(nodes_new, sizeof nodes_new, "%s.tmp", server->options.cluster_config_file);
    snprintf(config_new, sizeof config_new, "%s.tmp", config_file ? config_file : "");
    shoal_control_options options = {.allocator = &server->allocator,
                                     .step = step,
                                     .step_context = server,
                                     .source = server->options.bind_source_addr,
                                     .owner = server,
                                     .chores = chores,
                                     .nudge_worker = nudge_worker,
                                     .trace = trace};
    options.files[SHOAL_FILE_NODES] = server->options.cluster_config_file;
    options.files[SHOAL_FILE_NODES_NEW] = nodes_new;
    options.files[SHOAL_FILE_CONFIG] = config_file;
    options.files[SHOAL_FILE_CONFIG_NEW] = config_file ? config_new : NULL;
    return shoal_control__create(&options, &server->control);
}

/* Gives the node a directive that the host decided. */
static shoal_err decide(shoal_node *node, const char *line)
{
    shoal_allocator allocator = shoal_memory_allocator();
    shoal_buffer complaint = shoal_buffer_make(&allocator);
    shoal_err error =
        shoal_node_configure(node, (shoal_slice){line, strlen(line)}, "the host", &complaint);
    shoal_buffer_free(&complaint);
    return error;
}

/* The first address that it listens on, or the machine's name where that is any address. */
static void place_of(const shoal_server_options *options, char *out, size_t size)
{
    const char *word = options->bind + (options->bind[0] == '-');
    size_t length = strcspn(word, " ");
    bool any = length == 0 || word[0] == '*' || strncmp(word, "0.0.0.0", length) == 0 ||
               strncmp(word, "::", length) == 0;
    snprintf(out, size, "%.*s", (int)length, word);
    if (any && gethostname(out, size) != 0) out[0] = '\0';
    out[size - 1] = '\0';
}

/* The flight recorder, where the configuration asks for it. Without it the node runs too. */
static void start_recording(shoal_server *server)
{
    char place[256];
    if (server->options.record[0] == '\0') return;
    place_of(&server->options, place, sizeof place);
    shoal_recording_options options = {.log = server->log,
                                       .path = server->options.record,
                                       .limit = server->options.record_limit,
                                       .place = place};
    server->recording = shoal_recording__start(&options, server->node);
}

static shoal_err create_node(shoal_server *server, const shoal_server_setup *setup)
{
    shoal_node_options options = shoal_node_options_default();
    options.allocator = shoal_memory_allocator_with(server->pages);
    options.host = shoal_control__host(server->control);
    options.workers = server->lane_count;
    options.process_id = (uint64_t)getpid();
    options.now = shoal_clock_now();
    if (getrandom(options.seed, sizeof options.seed, 0) != (ssize_t)sizeof options.seed) {
        return SHOAL_ERR_IO;
    }
    shoal_err error = shoal_node_create(&options, &server->node);
    if (error == SHOAL_ERR_OK) {
        shoal_vitals__give(&server->vitals, server->node);
        error = setup->configure(setup->configure_context, server->node);
    }
    uint32_t clients = shoal_process__fit_clients(server->log, server->options.maxclients);
    if (error == SHOAL_ERR_OK && clients < server->options.maxclients) {
        char line[64];
        snprintf(line, sizeof line, "maxclients %u\n", clients);
        error = decide(server->node, line);
    }
    if (error == SHOAL_ERR_OK) {
        char line[PATH_MAX + 16];
        snprintf(line, sizeof line, "dir \"%s\"\n", server->options.dir);
        error = decide(server->node, line);
    }
    if (error == SHOAL_ERR_OK) start_recording(server);
    return error;
}

static shoal_err start_lanes(shoal_server *server)
{
    for (uint32_t i = 0; i < server->lane_count; i++) {
        shoal_lane_options options = {.allocator = &server->allocator,
                                      .worker = shoal_node_worker(server->node, i),
                                      .busy = shoal_control__busy(server->control),
                                      .index = i};
        shoal_err error = shoal_lane__start(&options, &server->lanes[i]);
        if (error != SHOAL_ERR_OK) {
            server->lane_count = i;
            return error;
        }
    }
    return SHOAL_ERR_OK;
}

/* Threads that serve clients when the configuration leaves it to us: one for two processors,
 * because the kernel's half of a request wants to run too. Measured on two processors with the
 * clients on the same machine, pipeline 1: one thread takes 6.3 us of CPU a GET, two take 8.3,
 * since each wakes up for fewer connections. At most four: chosen. */
static uint32_t lane_count(const shoal_server_options *options)
{
    if (options->worker_threads > 0) return options->worker_threads;
    uint32_t half = shoal_process__processors() / 2;
    return half < 1 ? 1 : half < 4 ? half : 4;
}

static shoal_err start_parts(shoal_server *server, const shoal_server_setup *setup)
{
    shoal_err error = shoal_lock__share_directory(server->log, &server->directory_lock);
    if (error == SHOAL_ERR_OK && server->options.cluster_enabled) {
        error =
            shoal_lock__take(server->log, server->options.cluster_config_file, &server->nodes_lock);
    }
    if (error == SHOAL_ERR_OK) error = create_control(server, setup->config_file);
    if (error == SHOAL_ERR_OK) error = create_node(server, setup);
    if (error == SHOAL_ERR_OK) error = watch_signals(server);
    if (error == SHOAL_ERR_OK) error = listen_everywhere(server);
    if (error == SHOAL_ERR_OK) setup->listens(server->log, &server->options);
    if (error == SHOAL_ERR_OK) error = start_lanes(server);
    return error;
}

shoal_err shoal_server__start(const shoal_server_setup *setup, shoal_server **out)
{
    shoal_allocator allocator = shoal_memory_allocator();
    shoal_server *server = allocator.allocate_zeroed(NULL, sizeof *server, 64);
    if (server == NULL) return SHOAL_ERR_NO_MEMORY;
    server->allocator = allocator;
    server->log = setup->log;
    server->options = *setup->options;
    server->signals.descriptor = -1;
    server->nodes_lock = server->directory_lock = -1;
    if (server->options.huge_pages) server->pages = shoal_pages__open();
    shoal_vitals__init(&server->vitals, setup->config_file, server->pages);
    uint32_t lanes = lane_count(setup->options);
    server->lanes = allocator.allocate_zeroed(NULL, lanes * sizeof *server->lanes, 8);
    if (server->lanes == NULL) return SHOAL_ERR_NO_MEMORY;
    server->lane_count = lanes;
    shoal_process__check_backlog(server->log, server->options.tcp_backlog);
    *out = server;
    return start_parts(server, setup);
}

int shoal_server__run(shoal_server *server)
{
    shoal_control__run(server->control);
    return server->exit_code;
}

void shoal_server__stop(shoal_server *server)
{
    for (uint32_t i = 0; i < server->acceptor_count; i++) {
        shoal_acceptor__stop(&server->acceptors[i]);
    }
    if (server->options.unixsocket[0] != '\0') unlink(server->options.unixsocket);
    for (uint32_t i = 0; i < server->lane_count; i++) shoal_lane__stop(server->lanes[i]);
    shoal_recording__close(server->recording, "the server has ended");
    if (shoal_memory_looks_for_leaks()) shoal_node_destroy(server->node);
    for (uint32_t i = 0; i < server->lane_count; i++) shoal_lane__free(server->lanes[i]);
    if (server->signals.descriptor >= 0) close(server->signals.descriptor);
    shoal_control__destroy(server->control, true);
    shoal_lock__give(server->nodes_lock);
    shoal_lock__give(server->directory_lock);
    if (shoal_memory_looks_for_leaks()) shoal_pages__close(server->pages);
    shoal_allocator allocator = server->allocator;
    allocator.release(NULL, server->lanes, lane_count(&server->options) * sizeof *server->lanes, 8);
    allocator.release(NULL, server, sizeof *server, 64);
}
