/* SPDX-License-Identifier: MIT
 *
 * shoal-server: a cache node on real sockets. This file turns a command line into a configured
 * node, says on the log what starts, and hands over to node/server.h.
 *
 *     shoal-server [FILE] [--directive value ...] [-]
 *
 * Exit codes: 0 after a shutdown that was asked for, 1 when it could not start or go on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "clock.h"
#include "memory.h"
#include "options.h"
#include "process.h"
#include "server.h"

/* One text of the configuration, kept so that a second node can be told the same. */
typedef struct config_text {
    struct config_text *next;
    char *origin;
    char *text;
    size_t size;
} config_text;

/* All of it in order, and the node that checks it while it is read. */
typedef struct config_record {
    shoal_node *probe;
    config_text *first;
    config_text **last;
    shoal_buffer complaint;
} config_record;

/* ---- configuration ---- */

/* The operations of a node that never runs. */
static void no_nudge(void *context, shoal_actor actor)
{
    (void)context;
    (void)actor;
}

static void no_trace(void *context, const shoal_trace_record *record)
{
    (void)context;
    (void)record;
}

/* A node for reading configuration only: how many workers the real one gets stands there. */
static shoal_node *make_probe(void)
{
    shoal_node_options options = shoal_node_options_default();
    options.allocator = shoal_memory_allocator();
    options.host = (shoal_host){.nudge = no_nudge, .trace = no_trace};
    options.now = shoal_clock_now();
    shoal_node *node = NULL;
    if (shoal_node_create(&options, &node) != SHOAL_ERR_OK) {
        fputs("shoal-server: no memory for a node\n", stderr);
        exit(1);
    }
    return node;
}

/* Gives a text to the probe, and keeps it when it is right. */
static shoal_err take_text(void *context, shoal_slice text, const char *origin)
{
    config_record *record = context;
    shoal_err error = shoal_node_configure(record->probe, text, origin, &record->complaint);
    if (error != SHOAL_ERR_OK) return error;
    config_text *kept = calloc(1, sizeof *kept);
    if (kept == NULL) return SHOAL_ERR_NO_MEMORY;
    kept->origin = strdup(origin);
    kept->text = malloc(text.size + 1);
    if (kept->origin == NULL || kept->text == NULL) return SHOAL_ERR_NO_MEMORY;
    if (text.size > 0) memcpy(kept->text, text.data, text.size);
    kept->size = text.size;
    *record->last = kept;
    record->last = &kept->next;
    return SHOAL_ERR_OK;
}

/* Gives everything again, to the node that will run. */
static shoal_err replay(void *context, shoal_node *node)
{
    config_record *record = context;
    for (const config_text *kept = record->first; kept; kept = kept->next) {
        shoal_slice text = {kept->text, kept->size};
        shoal_err error = shoal_node_configure(node, text, kept->origin, &record->complaint);
        if (error != SHOAL_ERR_OK) return error;
    }
    return SHOAL_ERR_OK;
}

static void free_record(config_record *record)
{
    while (record->first) {
        config_text *kept = record->first;
        record->first = kept->next;
        free(kept->origin);
        free(kept->text);
        free(kept);
    }
    shoal_buffer_free(&record->complaint);
}

/* Says what is wrong with the configuration, in the shape that Redis says it, and ends. */
_Noreturn static void refuse(const config_record *record, shoal_err error)
{
    shoal_slice text = shoal_buffer_slice(&record->complaint);
    if (text.size == 0) {
        const char *reason = shoal_err_text(error);
        text = (shoal_slice){reason, strlen(reason)};
    }
    fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR (Shoal %s) ***\n%.*s%s", SHOAL_VERSION,
            (int)text.size, text.data, text.data[text.size - 1] == '\n' ? "" : "\n");
    exit(1);
}

/* Reads file, standard input and options, in this order: later lines win. */
static void read_configuration(const shoal_arguments *arguments, config_record *record)
{
    shoal_config_reader reader = {.sink = take_text,
                                  .context = record,
                                  .complaint = &record->complaint};
    shoal_err error = SHOAL_ERR_OK;
    if (arguments->file) error = shoal_arguments__read_file(&reader, arguments->file);
    if (error == SHOAL_ERR_OK && arguments->standard_input) {
        error = shoal_arguments__read_stdin(&reader);
    }
    if (error == SHOAL_ERR_OK && shoal_buffer_size(&arguments->options) > 0) {
        error = take_text(record, shoal_buffer_slice(&arguments->options), "arguments");
    }
    if (error != SHOAL_ERR_OK) refuse(record, error);
}

/* ---- what is printed and nothing else ---- */

static int print_version(void)
{
    printf("Redis server v=7.0.15 sha=00000000:0 malloc=%s bits=%zu build=0 shoal=%s\n",
           shoal_memory_name(), sizeof(void *) * 8, SHOAL_VERSION);
    return 0;
}

static int print_help(void)
{
    fputs("Usage: shoal-server [FILE] [--directive value ...] [-]\n"
          "\n"
          "  FILE           configuration in the syntax of redis.conf\n"
          "  --directive    any directive of that file; wins over it\n"
          "  -              reads more configuration from standard input\n"
          "  --record FILE  writes what the node's cluster part gets and asks for, for shoal-sim\n"
          "                 replay; ends at --record-limit SIZE (1gb), where the node goes on\n"
          "\n"
          "  -v, --version  version, and that of Redis whose clients it serves\n"
          "  -h, --help     this text\n"
          "  --directives   every directive: default, whether it has an effect, meaning\n"
          "\n"
          "Examples:\n"
          "  shoal-server --port 7000 --cluster-enabled yes --dir /var/lib/shoal\n"
          "  shoal-server /etc/shoal.conf --loglevel verbose\n"
          "  echo 'maxclients 100' | shoal-server -\n",
          stdout);
    return 0;
}

static int print_directives(void)
{
    shoal_allocator allocator = shoal_memory_allocator();
    shoal_buffer text = shoal_buffer_make(&allocator);
    shoal_node_directives(&text);
    shoal_slice slice = shoal_buffer_slice(&text);
    fwrite(slice.data, 1, slice.size, stdout);
    shoal_buffer_free(&text);
    return 0;
}

/* ---- start ---- */

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL); /* the server reads them from a descriptor */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void draw_logo(shoal_log *log, const shoal_server_options *options)
{
    bool terminal = options->logfile[0] == '\0' && isatty(STDOUT_FILENO) && !options->daemonize;
    if (!options->always_show_logo && !terminal) return;
    char text[512];
    int size =
        snprintf(text, sizeof text,
                 "\n"
                 "      ><>     ><>                  Shoal %s, %zu bit\n"
                 "  ><>     ><>      ><>             Running in %s mode\n"
                 "     ><>      ><>     ><>          Port: %u\n"
                 "  ><>    ><>     ><>               PID: %d\n"
                 "       ><>    ><>\n"
                 "\n",
                 SHOAL_VERSION, sizeof(void *) * 8,
                 options->cluster_enabled ? "cluster" : "standalone", options->port, (int)getpid());
    ssize_t written = write(log->descriptor, text, (size_t)size);
    (void)written; /* A logo is not worth a complaint. */
}

static void say_hello(shoal_log *log, const shoal_arguments *arguments)
{
    shoal_log__say(log, SHOAL_LOG_WARNING, "Shoal is starting ><> ><> ><>");
    shoal_log__say(log, SHOAL_LOG_WARNING, "Shoal version=%s, bits=%zu, pid=%d, just started",
                   SHOAL_VERSION, sizeof(void *) * 8, (int)getpid());
    bool configured =
        arguments->file || shoal_buffer_size(&arguments->options) > 0 || arguments->standard_input;
    shoal_log__say(log, SHOAL_LOG_WARNING, "%s",
                   configured ? "Configuration loaded"
                              : "No configuration given, using the defaults");
    log->role = 'M';
}

/* Makes this process what the options want: working directory, background, log. */
static void become(shoal_log *log, shoal_server_options *options)
{
    if (chdir(options->dir) != 0) {
        fprintf(stderr, "shoal-server: can't chdir to '%s': %s\n", options->dir, strerror(errno));
        exit(1);
    }
    if (getcwd(options->dir, sizeof options->dir) == NULL) exit(1);
    bool supervised = shoal_process__supervised(options->supervised);
    if (options->daemonize && !supervised) shoal_process__daemonize();
    shoal_log__set_level(log, options->loglevel);
    if (shoal_log__to_file(log, options->logfile) != SHOAL_ERR_OK) {
        fprintf(stderr, "shoal-server: can't open the log file '%s': %s\n", options->logfile,
                strerror(errno));
        exit(1);
    }
}

/* Port + 10000 must be a port. */
static void check_ports(const shoal_log *log, const shoal_server_options *options)
{
    if (!options->cluster_enabled || options->cluster_port > options->port) return;
    if (options->cluster_port != (uint16_t)(options->port + 10000)) return;
    shoal_log__say(log, SHOAL_LOG_WARNING,
                   "Port %u is too high for a cluster: the bus needs port + 10000. "
                   "Use a port below 55536, or set cluster-port.",
                   options->port);
    exit(1);
}

/* Runs the server; returns the exit code. */
static int serve(const shoal_server_setup *setup)
{
    shoal_log *log = setup->log;
    const char *pidfile = setup->options->pidfile;
    if (setup->options->daemonize && pidfile[0] == '\0') pidfile = "/var/run/shoal.pid";
    shoal_server *server = NULL;
    shoal_err error = shoal_server__start(setup, &server);
    if (error != SHOAL_ERR_OK) {
        shoal_log__say(log, SHOAL_LOG_WARNING, "Can't start: %s", shoal_err_text(error));
        exit(1); /* What was opened ends with the process. */
    }
    if (pidfile[0] != '\0') shoal_process__write_pid(log, pidfile);
    shoal_log__say(log, SHOAL_LOG_WARNING, "Server initialized");
    int code = shoal_server__run(server);
    shoal_server__stop(server);
    if (pidfile[0] != '\0') unlink(pidfile);
    if (code == 0) {
        shoal_log__say(log, SHOAL_LOG_WARNING, "Shoal is now ready to exit, bye bye...");
    }
    return code;
}

int main(int argc, char **argv)
{
    shoal_allocator allocator = shoal_memory_allocator();
    shoal_arguments arguments;
    shoal_arguments__parse(argc, argv, &allocator, &arguments);
    if (arguments.mode == SHOAL_MODE_VERSION) return print_version();
    if (arguments.mode == SHOAL_MODE_HELP) return print_help();
    if (arguments.mode == SHOAL_MODE_DIRECTIVES) return print_directives();

    block_signals();
    shoal_log log;
    shoal_log__open(&log);
    config_record record = {.probe = make_probe(), .complaint = shoal_buffer_make(&allocator)};
    record.last = &record.first;
    read_configuration(&arguments, &record);
    shoal_server_options options;
    shoal_options__read(record.probe, &options);
    shoal_node_destroy(record.probe);

    char *config_file = arguments.file ? realpath(arguments.file, NULL) : NULL;
    become(&log, &options);
    check_ports(&log, &options);
    say_hello(&log, &arguments);
    shoal_server_setup setup = {.log = &log,
                                .options = &options,
                                .configure = replay,
                                .configure_context = &record,
                                .config_file = config_file,
                                .listens = draw_logo};
    int code = serve(&setup);
    free_record(&record);
    shoal_buffer_free(&arguments.options);
    free(config_file);
    return code;
}
