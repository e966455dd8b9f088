/* SPDX-License-Identifier: MIT
 *
 * The replica's end of a replication link, against a master that sends any bytes: answers to the
 * handshake, announcements of snapshots, snapshots that end too early or never, streams; with links
 * that are lost and time that passes in between. The node must survive it, hold no more than it was
 * sent, and load a snapshot only when all of it has been kept.
 *
 * The input is a program: one byte says what happens, and how many bytes of what follows the master
 * sends.
 */
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "fuzz/driver/fuzz.h"
#include "repl/repl.h"
#include "support/command_box.h"

#define STEPS_MAX 400
#define JOBS_MAX 4096
#define SYNC_FILE ((shoal_file)20)
#define SEND_FILE ((shoal_file)21)

typedef struct fuzz_master {
    command_box box; /* first: the host's context */
    shoal_repl *repl;
    shoal_link link;
    bool up; /* the link is; the door says so once, and tells of bytes only then */
    shoal_event jobs[JOBS_MAX];
    uint32_t job_count;
    uint64_t kept, load_size;
    bool loads;
} fuzz_master;

/* ---- the host ---- */

static fuzz_master *of(void *context)
{
    return (fuzz_master *)context;
}

static shoal_link open_link(void *context, const shoal_address *peer)
{
    (void)peer;
    of(context)->up = false;
    return ++of(context)->link;
}

static void send_link(void *context, shoal_link link, shoal_slice bytes)
{
    (void)context;
    SHOAL_ASSERT(link != 0 && bytes.size > 0);
}

static void close_link(void *context, shoal_link link)
{
    (void)context;
    SHOAL_ASSERT(link != 0);
}

static void add_job(fuzz_master *f, shoal_file_op op, uint64_t tag)
{
    SHOAL_ASSERT(f->job_count < JOBS_MAX);
    f->jobs[f->job_count++] =
        (shoal_event){.kind = SHOAL_EVENT_FILE_DONE, .file = SYNC_FILE, .op = op, .tag = tag};
}

static void append_file(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    SHOAL_ASSERT(file == SYNC_FILE);
    of(context)->kept += bytes.size;
    add_job(of(context), SHOAL_FILE_APPEND, tag);
}

static void sync_file(void *context, shoal_file file, uint64_t tag)
{
    SHOAL_ASSERT(file == SYNC_FILE);
    add_job(of(context), SHOAL_FILE_SYNC, tag);
}

static void remove_file(void *context, shoal_file file, uint64_t tag)
{
    SHOAL_ASSERT(file == SYNC_FILE);
    of(context)->kept = 0;
    add_job(of(context), SHOAL_FILE_REMOVE, tag);
}

static void trace(void *context, const shoal_trace_record *record)
{
    (void)context;
    SHOAL_ASSERT(record != NULL);
}

static bool start_snapshot(void *context)
{
    (void)context;
    return false;
}

static void stop_snapshot(void *context)
{
    (void)context;
}

static void load(void *context, shoal_file file, uint64_t size)
{
    fuzz_master *f = of(context);
    SHOAL_ASSERT(file == SYNC_FILE && size == f->kept && !f->loads);
    f->loads = true;
    f->load_size = size;
}

static void apply(void *context, shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.size > 0 && !of(context)->loads);
}

static bool forget(void *context)
{
    (void)context;
    return true;
}

static void nothing(void *context)
{
    (void)context;
}

static void full(void *context, shoal_repl_why why, shoal_slice detail)
{
    (void)context;
    (void)why;
    SHOAL_ASSERT(detail.data != NULL || detail.size == 0);
}

/* ---- the program ---- */

static void open_all(fuzz_master *f)
{
    command_box_open(&f->box, 1, false);
    command_box_log(&f->box);
    f->box.host.link_open = open_link;
    f->box.host.link_send = send_link;
    f->box.host.link_close = close_link;
    f->box.host.file_append = append_file;
    f->box.host.file_sync = sync_file;
    f->box.host.file_remove = remove_file;
    f->box.host.trace = trace;
    shoal_repl_options options = {
        .allocator = f->box.env.allocator,
        .host = &f->box.host,
        .env = &f->box.env,
        .writer = 1,
        .seed = {1, 2},
        .snapshot_file = SEND_FILE,
        .sync_file = SYNC_FILE,
        .face = {f, start_snapshot, stop_snapshot, load, apply, forget, nothing, full},
        .now = f->box.now,
    };
    SHOAL_ASSERT(shoal_repl_create(&options, &f->repl) == SHOAL_ERR_OK);
    shoal_repl_settings settings = {.port = 7001,
                                    .ping_period_us = 10000000,
                                    .timeout_us = 60000000,
                                    .backlog_size = 1 << 20};
    shoal_repl_set(f->repl, &settings);
}

static void hear(fuzz_master *f, shoal_event event)
{
    event.now = f->box.now;
    event.link = f->link;
    if (event.kind == SHOAL_EVENT_LINK_DATA && !f->up) return;
    if (event.kind == SHOAL_EVENT_LINK_UP && f->up) return;
    f->up = event.kind != SHOAL_EVENT_LINK_DOWN;
    (void)shoal_repl_event(f->repl, &event);
}

static void finish_jobs(fuzz_master *f)
{
    for (uint32_t i = 0; i < f->job_count; i++) {
        f->jobs[i].now = f->box.now;
        SHOAL_ASSERT(shoal_repl_event(f->repl, &f->jobs[i]));
    }
    f->job_count = 0;
}

static void follow(fuzz_master *f, uint8_t who)
{
    shoal_address master = {.ip = "10.0.0.1", .port = (uint16_t)(7000 + who % 2)};
    shoal_repl_follow(f->repl, who % 4 == 3 ? NULL : &master);
}

/* What a right master says, so that the later states are reached. */
static void say_right(fuzz_master *f, uint8_t what)
{
    static const char *const words[] = {
        "+PONG\r\n+OK\r\n+OK\r\n",
        "+FULLRESYNC 0123456789abcdef0123456789abcdef01234567 1000\r\n",
        "$5\r\nHELLO",
        "$EOF:MARKmarkMARKmarkMARKmarkMARKmarkMARKmark\r\n",
        "MARKmarkMARKmarkMARKmarkMARKmarkMARKmark",
        "+CONTINUE 89abcdef0123456789abcdef0123456789abcdef\r\n",
        "*1\r\n$4\r\nPING\r\n",
        "\n",
    };
    const char *text = words[what % (sizeof words / sizeof words[0])];
    hear(f, (shoal_event){.kind = SHOAL_EVENT_LINK_DATA, .data = shoal_text(text)});
}

static void step(fuzz_master *f, shoal_slice *rest)
{
    uint8_t what = fuzz_choice(rest), how = fuzz_choice(rest);
    size_t size = how < rest->size ? how : rest->size;
    switch (what % 8) {
    case 0: follow(f, how); break;
    case 1: hear(f, (shoal_event){.kind = SHOAL_EVENT_LINK_UP}); break;
    case 2: say_right(f, how); break;
    case 3:
        if (size > 0)
            hear(f, (shoal_event){.kind = SHOAL_EVENT_LINK_DATA, .data = {rest->data, size}});
        *rest = (shoal_slice){rest->data + size, rest->size - size};
        break;
    case 4: hear(f, (shoal_event){.kind = SHOAL_EVENT_LINK_DOWN}); break;
    case 5: finish_jobs(f); break;
    case 6:
        command_box_sleep(&f->box, how * 300);
        shoal_repl_tick(f->repl, f->box.now);
        break;
    default:
        if (!f->loads) break;
        f->loads = false;
        shoal_repl_loaded(f->repl, how % 4 == 3 ? SHOAL_ERR_MALFORMED : SHOAL_ERR_OK);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[] = {0, 0, 6, 1, 1, 0};
    fuzz_master f;
    memset(&f, 0, sizeof f);
    open_all(&f);
    shoal_slice begin = {(const char *)seed, sizeof seed}, rest = {(const char *)data, size};
    while (begin.size > 0) step(&f, &begin);
    for (uint32_t i = 0; i < STEPS_MAX && rest.size > 0; i++) {
        step(&f, &rest);
        if (f.job_count > JOBS_MAX / 2) finish_jobs(&f);
    }
    shoal_repl_facts facts;
    shoal_repl_facts_get(f.repl, &facts);
    SHOAL_ASSERT(!facts.link_up || facts.is_replica);
    shoal_repl_abandon(f.repl);
    shoal_repl_destroy(f.repl);
    command_box_close(&f.box);
    return 0;
}
