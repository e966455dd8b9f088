/* SPDX-License-Identifier: MIT
 *
 * bench/load.c - the load generator of bench/run: the same requests for servers that speak RESP
 * and for memcached's text protocol. Each connection sends a batch of `pipeline` requests in one
 * write and waits for all its replies; keys are drawn uniformly. Prints one line:
 *
 *     operations seconds ops_per_second server_cpu_us_per_op errors misses p50_us p99_us p999_us
 *
 * The percentiles are those of a batch's round trip. The server's processor time is the
 * scheduler's own count for all threads of `--pid`.
 *
 *     load --port N [--protocol resp|memcached] [--op get|set|mix|fill] [--pipeline N]
 *          [--connections N] [--keys N] [--value N] [--seconds S] [--pid N] [--seed N]
 *
 * `fill` sets every key once and ends; `mix` is nine reads to one write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEY_SIZE 16
#define EVENTS_MAX 256
#define INPUT_SIZE (1 << 20)

/* Round trips are counted in buckets of a microsecond up to here. */
#define LATENCY_MAX 1000000

typedef enum bench_protocol { RESP, MEMCACHED } bench_protocol;
typedef enum bench_operation { GET, SET, MIX, FILL } bench_operation;

typedef struct bench_options {
    uint16_t port;
    bench_protocol protocol;
    bench_operation operation;
    uint32_t pipeline;
    uint32_t connections;
    uint64_t keys;
    size_t value_size;
    double seconds;
    int pid;
    uint64_t seed;
} bench_options;

/* One connection: a batch on its way. */
typedef struct bench_connection {
    int descriptor;
    uint32_t owed;  /* replies that have not come */
    size_t skip;    /* bytes of a value that are still to come */
    char line[128]; /* the beginning of a line that came in pieces */
    size_t line_size;
    char *out;
    size_t out_size;
    size_t out_sent;
    int64_t sent_at;
} bench_connection;

typedef struct bench_run {
    bench_options options;
    int epoll;
    bench_connection *connections;
    char *value;
    uint64_t random;
    uint64_t fill_next; /* FILL: the next key */
    uint64_t operations;
    uint64_t errors;
    uint64_t misses;
    bool stopping;
    uint32_t *latencies; /* LATENCY_MAX + 1 counts */
    char input[INPUT_SIZE];
} bench_run;

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (int64_t)moment.tv_sec * 1000000000 + moment.tv_nsec;
}

/* xorshift64*: fast, and good enough to choose keys. */
static uint64_t draw(bench_run *load)
{
    load->random ^= load->random >> 12;
    load->random ^= load->random << 25;
    load->random ^= load->random >> 27;
    return load->random * 0x2545F4914F6CDD1Dull;
}

/* ---- requests ---- */

static char *put(char *out, const char *text, size_t size)
{
    memcpy(out, text, size);
    return out + size;
}

/* "key:" and twelve digits. */
static char *put_key(char *out, uint64_t number)
{
    memcpy(out, "key:", 4);
    for (int i = KEY_SIZE - 1; i >= 4; i--) {
        out[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return out + KEY_SIZE;
}

static char *put_text(char *out, const char *text)
{
    return put(out, text, strlen(text));
}

static char *put_get(const bench_run *load, char *out, uint64_t key)
{
    if (load->options.protocol == MEMCACHED) {
        out = put_key(put_text(out, "get "), key);
        return put_text(out, "\r\n");
    }
    out = put_key(put_text(out, "*2\r\n$3\r\nGET\r\n$16\r\n"), key);
    return put_text(out, "\r\n");
}

static char *put_set(const bench_run *load, char *out, uint64_t key)
{
    char size[32];
    if (load->options.protocol == MEMCACHED) {
        snprintf(size, sizeof size, " 0 0 %zu\r\n", load->options.value_size);
        out = put_key(put_text(out, "set "), key);
    } else {
        snprintf(size, sizeof size, "\r\n$%zu\r\n", load->options.value_size);
        out = put_key(put_text(out, "*3\r\n$3\r\nSET\r\n$16\r\n"), key);
    }
    out = put(put_text(out, size), load->value, load->options.value_size);
    return put_text(out, "\r\n");
}

static char *put_request(bench_run *load, char *out)
{
    const bench_options *options = &load->options;
    if (options->operation == FILL) return put_set(load, out, load->fill_next++);
    uint64_t random = draw(load);
    uint64_t key = (random >> 8) % options->keys;
    bool write = options->operation == SET || (options->operation == MIX && random % 10 == 0);
    return write ? put_set(load, out, key) : put_get(load, out, key);
}

/* ---- sending ---- */

/* Sends what is left of a batch. */
static void push(bench_run *load, bench_connection *connection)
{
    while (connection->out_sent < connection->out_size) {
        ssize_t sent = send(connection->descriptor, connection->out + connection->out_sent,
                            connection->out_size - connection->out_sent, MSG_NOSIGNAL);
        if (sent > 0) {
            connection->out_sent += (size_t)sent;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            die("send");
        }
    }
    bool rest = connection->out_sent < connection->out_size;
    struct epoll_event event = {.events = EPOLLIN | (rest ? EPOLLOUT : 0), .data.ptr = connection};
    if (rest) epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->descriptor, &event);
}

/* Starts the next batch, unless the run is over. */
static void begin_batch(bench_run *load, bench_connection *connection, int64_t now)
{
    uint64_t count = load->options.pipeline;
    if (load->options.operation == FILL) {
        uint64_t left = load->options.keys - load->fill_next;
        if (left < count) count = left;
    }
    if (load->stopping || count == 0) return;
    char *out = connection->out;
    for (uint64_t i = 0; i < count; i++) out = put_request(load, out);
    connection->out_size = (size_t)(out - connection->out);
    connection->out_sent = 0;
    connection->owed = (uint32_t)count;
    connection->sent_at = now;
    push(load, connection);
}

/* ---- replies ---- */

/* Counts a whole reply. */
static void count_reply(bench_run *load, bench_connection *connection)
{
    connection->owed--;
    load->operations++;
}

/* One line of RESP, without its end. */
static void take_resp_line(bench_run *load, bench_connection *connection, const char *line)
{
    if (line[0] == '$' && line[1] != '-') {
        connection->skip = strtoul(line + 1, NULL, 10) + 2;
    } else {
        if (line[0] == '-') load->errors++;
        if (line[0] == '$' || line[0] == '_') load->misses++;
    }
    count_reply(load, connection);
}

/* One line of memcached: a hit is VALUE, the bytes and END; a miss is END alone. */
static void take_memcached_line(bench_run *load, bench_connection *connection, const char *line)
{
    if (strncmp(line, "VALUE ", 6) == 0) {
        const char *size = strrchr(line, ' ');
        connection->skip = strtoul(size + 1, NULL, 10) + 2;
        load->misses--; /* The END behind it counts a miss. */
        return;
    }
    if (strcmp(line, "END") == 0) {
        load->misses++;
    } else if (strcmp(line, "STORED") != 0) {
        load->errors++;
    }
    count_reply(load, connection);
}

/* Adds bytes to the line that is being received; true when it is complete. */
static bool take_line(bench_connection *connection, const char **at, const char *end)
{
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    size_t size = (size_t)((newline ? newline : end) - *at);
    if (connection->line_size + size >= sizeof connection->line) die("a line is too long");
    memcpy(connection->line + connection->line_size, *at, size);
    connection->line_size += size;
    *at += size + (newline != NULL);
    if (newline == NULL) return false;
    while (connection->line_size > 0 && connection->line[connection->line_size - 1] == '\r') {
        connection->line_size--;
    }
    connection->line[connection->line_size] = '\0';
    connection->line_size = 0;
    return true;
}

static void take_bytes(bench_run *load, bench_connection *connection, const char *at, size_t size)
{
    const char *end = at + size;
    while (at < end) {
        if (connection->skip > 0) {
            size_t part = connection->skip;
            if (part > (size_t)(end - at)) part = (size_t)(end - at);
            connection->skip -= part;
            at += part;
        } else if (take_line(connection, &at, end)) {
            if (load->options.protocol == MEMCACHED) {
                take_memcached_line(load, connection, connection->line);
            } else {
                take_resp_line(load, connection, connection->line);
            }
        }
    }
}

static void receive(bench_run *load, bench_connection *connection)
{
    ssize_t got = recv(connection->descriptor, load->input, INPUT_SIZE, 0);
    if (got == 0) die("the server closed a connection");
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return;
        die("recv");
    }
    take_bytes(load, connection, load->input, (size_t)got);
    if (connection->owed > 0 || connection->skip > 0) return;
    int64_t now = now_ns();
    int64_t microseconds = (now - connection->sent_at) / 1000;
    load->latencies[microseconds < LATENCY_MAX ? microseconds : LATENCY_MAX]++;
    begin_batch(load, connection, now);
}

/* ---- the run ---- */

static void open_connection(bench_run *load, bench_connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(load->options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    connection->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection->descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        die("connect");
    }
    setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(connection->descriptor, F_SETFL, O_NONBLOCK);
    connection->out = malloc(load->options.pipeline * (load->options.value_size + 128));
    if (connection->out == NULL) die("malloc");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->descriptor, &event) != 0) {
        die("epoll_ctl");
    }
}

/* Nanoseconds that all threads of the server have run. */
static uint64_t server_cpu_ns(int pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = pid > 0 ? opendir(path) : NULL;
    if (tasks == NULL) return 0;
    uint64_t total = 0;
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        if (task->d_name[0] == '.') continue;
        char name[400];
        snprintf(name, sizeof name, "%s/%s/schedstat", path, task->d_name);
        FILE *file = fopen(name, "r");
        unsigned long long ran = 0;
        if (file && fscanf(file, "%llu", &ran) == 1) total += ran;
        if (file) fclose(file);
    }
    closedir(tasks);
    return total;
}

static bool all_idle(const bench_run *load)
{
    for (uint32_t i = 0; i < load->options.connections; i++) {
        if (load->connections[i].owed > 0) return false;
    }
    return true;
}

/* Serves events until the time is up and every batch has come back. */
static void turn_until_done(bench_run *load, int64_t end)
{
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(load->epoll, events, EVENTS_MAX, 100);
        for (int i = 0; i < count; i++) {
            bench_connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) {
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
                epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->descriptor, &event);
                push(load, connection);
            }
            if (events[i].events & ~(uint32_t)EPOLLOUT) receive(load, connection);
        }
        bool filled = load->options.operation == FILL;
        if (!filled && now_ns() >= end) load->stopping = true;
        if (filled && load->fill_next >= load->options.keys) load->stopping = true;
        if (load->stopping && all_idle(load)) return;
    }
}

static uint32_t percentile(const bench_run *load, double part)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i <= LATENCY_MAX; i++) total += load->latencies[i];
    uint64_t wanted = (uint64_t)((double)total * part);
    uint64_t seen = 0;
    for (uint32_t i = 0; i <= LATENCY_MAX; i++) {
        seen += load->latencies[i];
        if (seen > wanted) return i;
    }
    return LATENCY_MAX;
}

static void run(bench_run *load)
{
    load->epoll = epoll_create1(0);
    load->connections = calloc(load->options.connections, sizeof *load->connections);
    load->value = malloc(load->options.value_size + 1);
    load->latencies = calloc(LATENCY_MAX + 1, sizeof *load->latencies);
    if (!load->connections || !load->value || !load->latencies) die("malloc");
    memset(load->value, 'v', load->options.value_size);
    for (uint32_t i = 0; i < load->options.connections; i++) {
        open_connection(load, &load->connections[i]);
    }
    uint64_t cpu = server_cpu_ns(load->options.pid);
    int64_t start = now_ns();
    int64_t end = start + (int64_t)(load->options.seconds * 1e9);
    for (uint32_t i = 0; i < load->options.connections; i++) {
        begin_batch(load, &load->connections[i], start);
    }
    turn_until_done(load, end);
    double seconds = (double)(now_ns() - start) / 1e9;
    double cpu_us = (double)(server_cpu_ns(load->options.pid) - cpu) / 1e3;
    printf("%llu\t%.3f\t%.0f\t%.4f\t%llu\t%llu\t%u\t%u\t%u\n", (unsigned long long)load->operations,
           seconds, (double)load->operations / seconds, cpu_us / (double)load->operations,
           (unsigned long long)load->errors, (unsigned long long)load->misses,
           percentile(load, 0.5), percentile(load, 0.99), percentile(load, 0.999));
}

/* ---- options ---- */

static int choose(const char *word, const char *const *words)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(word, words[i]) == 0) return i;
    }
    fprintf(stderr, "load: `%s` is not one of:", word);
    for (int i = 0; words[i]; i++) fprintf(stderr, " %s", words[i]);
    fputc('\n', stderr);
    exit(2);
}

static void set_option(bench_options *options, int name, const char *value)
{
    static const char *const protocols[] = {"resp", "memcached", NULL};
    static const char *const operations[] = {"get", "set", "mix", "fill", NULL};
    switch (name) {
    case 'p': options->port = (uint16_t)strtoul(value, NULL, 10); return;
    case 'P': options->protocol = (bench_protocol)choose(value, protocols); return;
    case 'o': options->operation = (bench_operation)choose(value, operations); return;
    case 'n': options->pipeline = (uint32_t)strtoul(value, NULL, 10); return;
    case 'c': options->connections = (uint32_t)strtoul(value, NULL, 10); return;
    case 'k': options->keys = strtoull(value, NULL, 10); return;
    case 'v': options->value_size = strtoul(value, NULL, 10); return;
    case 's': options->seconds = strtod(value, NULL); return;
    case 'i': options->pid = (int)strtol(value, NULL, 10); return;
    case 'S': options->seed = strtoull(value, NULL, 10); return;
    default: exit(2);
    }
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"port", 1, NULL, 'p'},
                                          {"protocol", 1, NULL, 'P'},
                                          {"op", 1, NULL, 'o'},
                                          {"pipeline", 1, NULL, 'n'},
                                          {"connections", 1, NULL, 'c'},
                                          {"keys", 1, NULL, 'k'},
                                          {"value", 1, NULL, 'v'},
                                          {"seconds", 1, NULL, 's'},
                                          {"pid", 1, NULL, 'i'},
                                          {"seed", 1, NULL, 'S'},
                                          {0}};
    bench_run *load = calloc(1, sizeof *load);
    if (load == NULL) die("calloc");
    load->options = (bench_options){.pipeline = 1,
                                    .connections = 50,
                                    .keys = 1000000,
                                    .value_size = 64,
                                    .seconds = 1,
                                    .seed = 1};
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        set_option(&load->options, name, optarg);
    }
    bool valid = load->options.port > 0 && load->options.pipeline > 0 &&
                 load->options.connections > 0 && load->options.keys > 0;
    if (!valid || optind < argc) {
        fputs("usage: see the top of bench/load.c\n", stderr);
        return 2;
    }
    load->random = load->options.seed * 0x9E3779B97F4A7C15ull + 1;
    run(load);
    return 0;
}
