/* SPDX-License-Identifier: MIT
 *
 * bench/latency.c - one trial of bench/latency: how long the slowest GET of one connection takes
 * while another one does something large. Prints one line:
 *
 *     gets seconds slowest_us p9999_us over_1ms waited_us
 *
 *     latency --port N --work machine|idle|touch|del|unlink|grow|expire|replace|save|rewrite
 *             --count N [--pid N] [--rate N]
 *
 * `waited_us` of the slowest one are the asking thread's own: it could have run, and something else
 * had the processor (the kernel's run queue, /proc/thread-self/schedstat).
 *
 * The GETs go out one at a time, a tenth of a millisecond after the reply before. `del` and
 * `unlink` drop a hash of so many fields, `grow` sets so many keys of one slot, `rate` a second,
 * `expire` lets so many keys expire in one millisecond, `replace` overwrites such a hash with SET,
 * `save` and `rewrite` are BGSAVE and BGREWRITEAOF with so many keys. What the machine does by
 * itself: `idle` does nothing for so many seconds; `touch` has this program touch fresh memory
 * meanwhile, as much and as fast as so many keys of `grow` take it; `machine` asks nobody, but
 * reads the clock for so many seconds: a GET is the longest step of it in a tenth of a millisecond.
 * With --pid the server's threads of ordinary priority and the one that asks have real-time
 * priority while it is measured, so that other programs of the machine wait for them, not they for
 * other programs.
 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS 1000000u /* of a microsecond */
#define PAUSE_NS 100000
#define PRIORITY 10
#define FIELDS_A_COMMAND 100u
#define BATCH 64u
#define THREADS_MAX 64u
#define SETTLE_US 1500000
#define EXPIRY_LEAD_MS 2000
/* What a key of `grow` takes of fresh memory, roughly; and what the system hands out at once. */
#define KEY_BYTES 64u
#define PAGE_BYTES 4096u

typedef struct options {
    uint16_t port;
    const char *work;
    uint64_t count, rate;
    int pid;
} options;

/* The threads of a process. */
typedef struct threads {
    uint32_t count;
    pid_t ids[THREADS_MAX];
} threads;

/* What the connection that asks has seen. */
typedef struct probe {
    const options *of;
    atomic_bool over;
    uint64_t gets, slowest_us, over_1ms;
    uint64_t waited_us; /* by the thread itself, of slowest_us */
    double seconds;
    uint32_t *histogram;
} probe;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_us(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

static void pause_us(int64_t us)
{
    const struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

/* ---- connections ---- */

static int dial(uint16_t port)
{
    int to = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (to < 0) die("socket");
    if (connect(to, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    (void)setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return to;
}

static void send_all(int to, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = write(to, bytes, size);
        if (sent <= 0) die("write");
        bytes += sent;
        size -= (size_t)sent;
    }
}

/* Reads replies of one line each, so many of them. */
static void await(int from, uint64_t lines)
{
    char bytes[65536];
    while (lines > 0) {
        ssize_t got = read(from, bytes, sizeof bytes);
        if (got <= 0) die("read");
        if (bytes[0] == '-') {
            fprintf(stderr, "%.*s", (int)got, bytes);
            exit(1);
        }
        for (ssize_t i = 0; i < got; i++) lines -= bytes[i] == '\n';
    }
}

/* The number that a command answers, or -1. */
static int64_t ask(int to, const char *command)
{
    char reply[256];
    send_all(to, command, strlen(command));
    ssize_t got = read(to, reply, sizeof reply - 1);
    if (got <= 0) die("read");
    reply[got] = '\0';
    return reply[0] == ':' ? strtoll(reply + 1, NULL, 10) : -1;
}

/* ---- what is measured ---- */

/* Gives a thread real-time priority, or takes it away. */
static void hurry(pid_t thread, bool on)
{
    const struct sched_param parameters = {.sched_priority = on ? PRIORITY : 0};
    if (sched_setscheduler(thread, on ? SCHED_FIFO : SCHED_OTHER, &parameters) != 0)
        die("sched_setscheduler");
}

/* Those that have ordinary priority: who has chosen another one stands back by intent. */
static void find_threads(int pid, threads *out)
{
    char path[64];
    if (pid == 0) return;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *listed = opendir(path);
    if (listed == NULL) die(path);
    for (struct dirent *entry; (entry = readdir(listed)) != NULL && out->count < THREADS_MAX;)
        if (entry->d_name[0] != '.' &&
            sched_getscheduler((pid_t)strtol(entry->d_name, NULL, 10)) == SCHED_OTHER)
            out->ids[out->count++] = (pid_t)strtol(entry->d_name, NULL, 10);
    closedir(listed);
}

static void hurry_all(const threads *of, bool on)
{
    for (uint32_t i = 0; i < of->count; i++) hurry(of->ids[i], on);
}

/* How long a thread has waited for a processor while it could run; `stats` is its schedstat. */
static uint64_t waited_us(int stats)
{
    char text[128] = "";
    unsigned long long ran_ns, waited_ns = 0;
    if (pread(stats, text, sizeof text - 1, 0) <= 0) return 0;
    return sscanf(text, "%llu %llu", &ran_ns, &waited_ns) == 2 ? waited_ns / 1000 : 0;
}

static void count_one(probe *me, uint64_t took, uint64_t waited)
{
    me->histogram[took < BUCKETS ? took : BUCKETS - 1]++;
    me->gets++;
    me->over_1ms += took >= 1000;
    if (took <= me->slowest_us) return;
    me->slowest_us = took;
    me->waited_us = waited;
}

/* Asks nobody: the steps of the clock, which nothing but the machine makes long. */
static void *read_clock_on(void *argument)
{
    probe *me = argument;
    if (me->of->pid != 0) hurry(0, true);
    int64_t began = now_us(CLOCK_MONOTONIC), last = began;
    while (!atomic_load_explicit(&me->over, memory_order_relaxed)) {
        int64_t period = last, longest = 0;
        while (last - period < PAUSE_NS / 1000) {
            int64_t now = now_us(CLOCK_MONOTONIC);
            if (now - last > longest) longest = now - last;
            last = now;
        }
        count_one(me, (uint64_t)longest, 0);
    }
    me->seconds = (double)(last - began) / 1e6;
    return NULL;
}

static void *ask_on(void *argument)
{
    static const char request[] = "*2\r\n$3\r\nGET\r\n$5\r\nprobe\r\n";
    probe *me = argument;
    char reply[256];
    int to = dial(me->of->port);
    int stats = open("/proc/thread-self/schedstat", O_RDONLY);
    if (me->of->pid != 0) hurry(0, true);
    int64_t began = now_us(CLOCK_MONOTONIC);
    while (!atomic_load_explicit(&me->over, memory_order_relaxed)) {
        uint64_t waited = waited_us(stats);
        int64_t sent = now_us(CLOCK_MONOTONIC);
        send_all(to, request, sizeof request - 1);
        if (read(to, reply, sizeof reply) <= 0) die("read");
        uint64_t took = (uint64_t)(now_us(CLOCK_MONOTONIC) - sent);
        count_one(me, took, waited_us(stats) - waited);
        pause_us(PAUSE_NS / 1000);
    }
    me->seconds = (double)(now_us(CLOCK_MONOTONIC) - began) / 1e6;
    close(stats);
    close(to);
    return NULL;
}

/* ---- what goes on meanwhile ---- */

static void fill_hash(int to, uint64_t count)
{
    char *text = malloc(FIELDS_A_COMMAND * 64 + 64);
    if (text == NULL) die("malloc");
    for (uint64_t i = 0; i < count; i += FIELDS_A_COMMAND) {
        int size = sprintf(text, "HSET large");
        for (uint64_t n = i; n < i + FIELDS_A_COMMAND; n++)
            size += sprintf(text + size, " field:%08llu value:%llu", (unsigned long long)n,
                            (unsigned long long)n);
        size += sprintf(text + size, "\r\n");
        send_all(to, text, (size_t)size);
        await(to, 1);
    }
    free(text);
}

/* Sets keys, `rate` a second (0: as fast as may be), with `more` behind each SET. */
static void set_keys(int to, const options *of, const char *prefix, const char *more)
{
    char text[BATCH * 96];
    int64_t began = now_us(CLOCK_MONOTONIC);
    for (uint64_t i = 0; i < of->count; i += BATCH) {
        int size = 0;
        for (uint64_t n = i; n < i + BATCH; n++) {
            size += sprintf(text + size, "SET %s%llu value:%llu%s\r\n", prefix,
                            (unsigned long long)n, (unsigned long long)n, more);
        }
        send_all(to, text, (size_t)size);
        await(to, BATCH);
        if (of->rate == 0) continue;
        int64_t due = began + (int64_t)(i * 1000000 / of->rate);
        int64_t early = due - now_us(CLOCK_MONOTONIC);
        if (early > 0) pause_us(early);
    }
}

/* Touches as much fresh memory as so many keys take, a page at a time, `rate` keys a second. */
static void touch(const options *of)
{
    size_t size = (size_t)of->count * KEY_BYTES;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) die("mmap");
    int64_t began = now_us(CLOCK_MONOTONIC);
    for (size_t at = 0; at < size; at += PAGE_BYTES) {
        memory[at] = 1;
        int64_t due = began + (int64_t)(at / KEY_BYTES * 1000000 / of->rate);
        int64_t early = due - now_us(CLOCK_MONOTONIC);
        if (early > 0) pause_us(early);
    }
    if (munmap(memory, size) != 0) die("munmap");
}

/* Waits until the keys that expire have gone, for half a minute at most. */
static void await_expiry(int to)
{
    for (int i = 0; i < 300 && ask(to, "DBSIZE\r\n") > 1; i++) pause_us(100000);
}

/* Waits until INFO says that nothing is being written, for five minutes at most. */
static void await_file(int to)
{
    for (int i = 0; i < 3000; i++) {
        char reply[8192];
        pause_us(100000);
        send_all(to, "INFO persistence\r\n", 18);
        ssize_t got = read(to, reply, sizeof reply - 1);
        if (got <= 0) die("read");
        reply[got] = '\0';
        if (strstr(reply, "rdb_bgsave_in_progress:0") != NULL &&
            strstr(reply, "aof_rewrite_in_progress:0") != NULL)
            return;
    }
}

/* What is there before the measurement begins. Returns when, on the wall clock, keys expire. */
static int64_t prepare(int to, const options *of)
{
    await(to, (send_all(to, "FLUSHALL SYNC\r\n", 15), 1));
    await(to, (send_all(to, "SET probe 0123456789abcdef\r\n", 28), 1));
    bool hash = strcmp(of->work, "del") == 0 || strcmp(of->work, "unlink") == 0 ||
                strcmp(of->work, "replace") == 0;
    if (hash) fill_hash(to, of->count);
    bool file = strcmp(of->work, "save") == 0 || strcmp(of->work, "rewrite") == 0;
    if (file) set_keys(to, of, "key:", "");
    int64_t expires_ms = 0;
    if (strcmp(of->work, "expire") == 0) {
        char more[32];
        /* Twelve microseconds a key are time enough to set them, on a busy machine too. */
        expires_ms =
            now_us(CLOCK_REALTIME) / 1000 + EXPIRY_LEAD_MS + (int64_t)of->count * 12 / 1000;
        snprintf(more, sizeof more, " PXAT %lld", (long long)expires_ms);
        set_keys(to, of, "key:", more);
        int64_t early = expires_ms * 1000 - now_us(CLOCK_REALTIME) - SETTLE_US;
        if (early > 0) pause_us(early);
        return expires_ms;
    }
    pause_us(SETTLE_US);
    return expires_ms;
}

static void act(int to, const options *of, int64_t expires_ms)
{
    pause_us(200000);
    if (strcmp(of->work, "del") == 0) (void)ask(to, "DEL large\r\n");
    if (strcmp(of->work, "unlink") == 0) (void)ask(to, "UNLINK large\r\n");
    if (strcmp(of->work, "replace") == 0) (void)ask(to, "SET large small\r\n");
    if (strcmp(of->work, "save") == 0)
        await_file((await(to, (send_all(to, "BGSAVE\r\n", 8), 1)), to));
    if (strcmp(of->work, "rewrite") == 0)
        await_file((await(to, (send_all(to, "BGREWRITEAOF\r\n", 14), 1)), to));
    if (strcmp(of->work, "grow") == 0) set_keys(to, of, "{tag}", "");
    if (strcmp(of->work, "touch") == 0) touch(of);
    if (strcmp(of->work, "idle") == 0 || strcmp(of->work, "machine") == 0)
        pause_us((int64_t)of->count * 1000000);
    if (expires_ms != 0) {
        int64_t early = expires_ms * 1000 - now_us(CLOCK_REALTIME);
        if (early > 0) pause_us(early);
        await_expiry(to);
    }
    pause_us(SETTLE_US);
}

/* ---- the trial ---- */

static options read_options(int count, char **arguments)
{
    static const struct option names[] = {{"port", 1, NULL, 'p'},  {"work", 1, NULL, 'w'},
                                          {"count", 1, NULL, 'c'}, {"pid", 1, NULL, 'i'},
                                          {"rate", 1, NULL, 'r'},  {NULL, 0, NULL, 0}};
    options of = {.work = "idle"};
    for (int c; (c = getopt_long(count, arguments, "", names, NULL)) != -1;) {
        switch (c) {
        case 'p': of.port = (uint16_t)strtoul(optarg, NULL, 10); break;
        case 'w': of.work = optarg; break;
        case 'c': of.count = strtoull(optarg, NULL, 10); break;
        case 'i': of.pid = (int)strtol(optarg, NULL, 10); break;
        case 'r': of.rate = strtoull(optarg, NULL, 10); break;
        default: exit(2);
        }
    }
    return of;
}

int main(int count, char **arguments)
{
    options of = read_options(count, arguments);
    threads server = {0};
    probe asked = {.of = &of, .histogram = calloc(BUCKETS, sizeof(uint32_t))};
    pthread_t thread;
    if (asked.histogram == NULL) die("calloc");
    int to = dial(of.port);
    int64_t expires_ms = prepare(to, &of);
    find_threads(of.pid, &server);
    hurry_all(&server, true);
    bool alone = strcmp(of.work, "machine") == 0;
    if (pthread_create(&thread, NULL, alone ? read_clock_on : ask_on, &asked) != 0)
        die("pthread_create");
    act(to, &of, expires_ms);
    atomic_store_explicit(&asked.over, true, memory_order_relaxed);
    pthread_join(thread, NULL);
    hurry_all(&server, false);
    uint64_t seen = 0;
    uint32_t at = BUCKETS - 1;
    while (at > 0 && (seen += asked.histogram[at]) * 10000 < asked.gets) at--;
    printf("%llu\t%.1f\t%llu\t%u\t%llu\t%llu\n", (unsigned long long)asked.gets, asked.seconds,
           (unsigned long long)asked.slowest_us, at, (unsigned long long)asked.over_1ms,
           (unsigned long long)asked.waited_us);
    free(asked.histogram);
    return 0;
}
