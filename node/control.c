/* SPDX-License-Identifier: MIT
 *
 * node/control.h. One turn of the loop: wait, then deliver in this order what sockets say, what
 * the file threads have done, a nudge, a tick that is due, and news of links. Whatever a step asks
 * for on the way is sent or queued, never answered on the spot (rule R1); events of one turn
 * see a clock read per step.
 */
#include "control.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "clock.h"
#include "files.h"
#include "turns.h"
#include "waker.h"

/* Events taken from epoll at once; more wait in the kernel for the next turn. */
#define EVENTS_MAX 64

struct shoal_control {
    shoal_control_options options;
    int epoll;
    shoal_waker waker;
    _Atomic bool nudged;   /* NUDGED is to be delivered. pair: control.nudged */
    _Atomic bool stopping; /* relaxed: the wake that follows orders it */
    bool in_step;          /* rule R5, asserted */
    int64_t deadline;      /* of the node's last step */
    int64_t chores_at;     /* of the owner */
    int64_t rested;        /* of turns.h */
    int64_t began;         /* clock of the last turn */
    shoal_busy busy;
    int hurry;       /* descriptor whose bytes end a busy time, or -1 */
    bool links_busy; /* links have more to tell */
    shoal_links *links;
    shoal_files *files;
};

/* Runs one step with fresh clocks. */
static void deliver(void *context, shoal_event *event)
{
    shoal_control *control = context;
    SHOAL_ASSERT(!control->in_step);
    control->in_step = true;
    event->now = shoal_clock_now();
    control->deadline = control->options.step(control->options.step_context, event);
    control->in_step = false;
}

/* Called on a file thread, or on one that appends. */
static void files_done(void *context)
{
    shoal_control *control = context;
    shoal_waker__nudge(&control->waker);
}

/* ---- the door ---- */

static void op_nudge(void *context, shoal_actor actor)
{
    shoal_control *control = context;
    if (actor != SHOAL_ACTOR_CONTROL) {
        if (control->options.nudge_worker) {
            control->options.nudge_worker(control->options.owner, actor - 1);
        }
        return;
    }
    /* pair: control.nudged - with the exchange in turn(). */
    shoal_store_release(&control->nudged, true);
    shoal_waker__nudge(&control->waker);
}

static shoal_link op_link_open(void *context, const shoal_address *peer)
{
    shoal_control *control = context;
    return shoal_links__open(control->links, peer);
}

static void op_link_send(void *context, shoal_link link, shoal_slice bytes)
{
    shoal_control *control = context;
    shoal_links__send(control->links, link, bytes);
}

static size_t op_link_queued(void *context, shoal_link link)
{
    const shoal_control *control = context;
    return shoal_links__queued(control->links, link);
}

static void op_link_pause(void *context, shoal_link link, bool paused)
{
    const shoal_control *control = context;
    shoal_links__pause(control->links, link, paused);
}

static void op_link_close(void *context, shoal_link link)
{
    shoal_control *control = context;
    shoal_links__close(control->links, link);
}

static void op_file_name(void *context, shoal_file file, shoal_slice path)
{
    shoal_control *control = context;
    shoal_files__name(control->files, file, path);
}

static void op_file_append(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    shoal_control *control = context;
    shoal_file_job job = {.op = SHOAL_FILE_APPEND, .file = file, .tag = tag};
    if (file >= SHOAL_FILE_NAMED)
        shoal_files__append(control->files, &job, bytes);
    else
        shoal_files__submit(control->files, &job, bytes);
}

static void op_file_sync(void *context, shoal_file file, uint64_t tag)
{
    shoal_control *control = context;
    shoal_file_job job = {.op = SHOAL_FILE_SYNC, .file = file, .tag = tag};
    shoal_files__submit(control->files, &job, (shoal_slice){0});
}

static void op_file_read(void *context, shoal_file file, uint64_t tag)
{
    shoal_control *control = context;
    shoal_file_job job = {.op = SHOAL_FILE_READ, .file = file, .tag = tag};
    shoal_files__submit(control->files, &job, (shoal_slice){0});
}

static void op_file_read_part(void *context, shoal_file file, uint64_t offset, size_t size,
                              uint64_t tag)
{
    shoal_control *control = context;
    SHOAL_ASSERT(size > 0);
    shoal_file_job job = {.op = SHOAL_FILE_READ,
                          .file = file,
                          .tag = tag,
                          .part = true,
                          .offset = offset,
                          .size = size};
    shoal_files__submit(control->files, &job, (shoal_slice){0});
}

static void op_file_truncate(void *context, shoal_file file, uint64_t size, uint64_t tag)
{
    shoal_control *control = context;
    shoal_file_job job = {.op = SHOAL_FILE_TRUNCATE, .file = file, .tag = tag, .offset = size};
    shoal_files__submit(control->files, &job, (shoal_slice){0});
}

static void op_file_rename(void *context, shoal_file from, shoal_file to, uint64_t tag)
{
    shoal_control *control = context;
    shoal_file_job job = {.op = SHOAL_FILE_RENAME, .file = from, .to = to, .tag = tag};
    shoal_files__submit(control->files, &job, (shoal_slice){0});
}

static void op_file_remove(void *context, shoal_file file, uint64_t tag)
{
    shoal_control *control = context;
    shoal_file_job job = {.op = SHOAL_FILE_REMOVE, .file = file, .tag = tag};
    shoal_files__submit(control->files, &job, (shoal_slice){0});
}

static void op_trace(void *context, const shoal_trace_record *record)
{
    shoal_control *control = context;
    if (control->options.trace) control->options.trace(control->options.owner, record);
}

static int64_t op_clock_ns(void *context)
{
    (void)context;
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (int64_t)moment.tv_sec * 1000000000 + moment.tv_nsec;
}

static void op_busy(void *context, int64_t until_us)
{
    shoal_control *control = context;
    shoal_busy__begin(&control->busy, until_us);
    shoal_waker__nudge(&control->waker);
}

shoal_host shoal_control__host(shoal_control *control)
{
    return (shoal_host){.context = control,
                        .nudge = op_nudge,
                        .link_open = op_link_open,
                        .link_send = op_link_send,
                        .link_queued = op_link_queued,
                        .link_pause = op_link_pause,
                        .link_close = op_link_close,
                        .file_name = op_file_name,
                        .file_append = op_file_append,
                        .file_sync = op_file_sync,
                        .file_read = op_file_read,
                        .file_read_part = op_file_read_part,
                        .file_truncate = op_file_truncate,
                        .file_rename = op_file_rename,
                        .file_remove = op_file_remove,
                        .trace = op_trace,
                        .clock_ns = op_clock_ns,
                        .busy = op_busy};
}

/* ---- life ---- */

/* The parts that `options` describe; what exists already is taken down by destroy. */
static shoal_err create_parts(shoal_control *control)
{
    const shoal_control_options *options = &control->options;
    control->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (control->epoll < 0) return SHOAL_ERR_IO;
    shoal_err error = shoal_waker__open(&control->waker, control->epoll, NULL);
    if (error != SHOAL_ERR_OK) return error;
    shoal_links_options links = {.allocator = options->allocator,
                                 .epoll = control->epoll,
                                 .source = options->source ? options->source : "",
                                 .deliver = deliver,
                                 .context = control};
    error = shoal_busy__open(&control->busy);
    if (error != SHOAL_ERR_OK) return error;
    error = shoal_links__create(&links, &control->links);
    if (error != SHOAL_ERR_OK) return error;
    shoal_files_options files = {.directory = options->directory,
                                 .done = files_done,
                                 .context = control};
    for (int i = 0; i < SHOAL_FILE_COUNT; i++) files.names[i] = options->files[i];
    return shoal_files__start(&files, &control->files);
}

shoal_err shoal_control__create(const shoal_control_options *options, shoal_control **out)
{
    const shoal_allocator *allocator = options->allocator;
    shoal_control *control = allocator->allocate_zeroed(allocator->context, sizeof *control, 8);
    if (control == NULL) return SHOAL_ERR_NO_MEMORY;
    control->options = *options;
    control->waker.eventfd = control->busy.over = control->hurry = -1;
    control->deadline = control->chores_at = INT64_MAX;
    shoal_err error = create_parts(control);
    if (error != SHOAL_ERR_OK) {
        shoal_control__destroy(control, false);
        return error;
    }
    *out = control;
    return SHOAL_ERR_OK;
}

void shoal_control__destroy(shoal_control *control, bool drain)
{
    const shoal_allocator *allocator = control->options.allocator;
    if (control->files) shoal_files__stop(control->files, drain);
    if (control->links) shoal_links__destroy(control->links);
    shoal_waker__close(&control->waker);
    shoal_busy__close(&control->busy);
    if (control->epoll >= 0) close(control->epoll);
    allocator->release(allocator->context, control, sizeof *control, 8);
}

void shoal_control__stop(shoal_control *control)
{
    shoal_store_relaxed(&control->stopping, true);
    shoal_busy__end(&control->busy);
    shoal_waker__nudge(&control->waker);
}

void shoal_control__wake(shoal_control *control)
{
    shoal_waker__nudge(&control->waker);
}

void shoal_control__watch(shoal_control *control, int descriptor, shoal_watch *watch, bool on)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    int operation = on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL;
    int result = epoll_ctl(control->epoll, operation, descriptor, &event);
    SHOAL_ASSERT(result == 0);
}

shoal_busy *shoal_control__busy(shoal_control *control)
{
    return &control->busy;
}

void shoal_control__hurry_at(shoal_control *control, int descriptor)
{
    control->hurry = descriptor;
}

void shoal_control__accept_link(shoal_control *control, int descriptor)
{
    shoal_links__accept(control->links, descriptor);
}

/* ---- the loop ---- */

/* How long the loop may sleep. */
static int timeout_now(shoal_control *control)
{
    if (control->links_busy) return 0;
    int64_t deadline = control->deadline;
    if (control->chores_at < deadline) deadline = control->chores_at;
    int64_t now_us = shoal_clock_read(CLOCK_MONOTONIC);
    int timeout = shoal_clock_timeout(deadline, now_us);
    if (timeout != 0 && !shoal_waker__sleep(&control->waker)) timeout = 0;
    shoal_turns__pass(&control->rested, now_us, timeout == 0);
    control->began = now_us;
    return timeout;
}

static void deliver_files(shoal_control *control)
{
    for (shoal_file_job *job = shoal_files__take(control->files); job != NULL;) {
        shoal_event event = {.kind = SHOAL_EVENT_FILE_DONE,
                             .file = job->file,
                             .op = job->op,
                             .tag = job->tag,
                             .error = job->error};
        if (job->op == SHOAL_FILE_READ && job->error == SHOAL_ERR_OK) {
            event.data = (shoal_slice){job->bytes, job->size};
            event.file_size = job->file_size;
        }
        deliver(control, &event);
        shoal_file_job *done = job;
        job = job->next;
        shoal_files__free(done);
    }
}

static void deliver_nudge(shoal_control *control)
{
    /* pair: control.nudged - what the nudger did before is visible to the step. */
    if (!shoal_exchange_acquire(&control->nudged, false)) return;
    deliver(control, &(shoal_event){.kind = SHOAL_EVENT_NUDGED});
}

/* Delivers what did not come from a socket. `awake` when the waker was used. */
static void deliver_rest(shoal_control *control, bool awake)
{
    if (awake) deliver_files(control);
    deliver_nudge(control);
    if (control->deadline <= shoal_clock_read(CLOCK_MONOTONIC)) {
        deliver(control, &(shoal_event){.kind = SHOAL_EVENT_TICK});
    }
    control->links_busy = shoal_links__settle(control->links);
}

static void do_chores(shoal_control *control)
{
    if (control->options.chores == NULL) return;
    control->chores_at = control->options.chores(control->options.owner, shoal_clock_now());
}

/* A busy time begins behind what was asked of the node before: a link that is to be closed is. What
 * a signal asks for does not wait for its end, nor does anything behind that. */
static void stand_still(shoal_control *control)
{
    if (!shoal_busy__is(&control->busy, control->began)) return;
    deliver_nudge(control);
    control->links_busy = shoal_links__settle(control->links);
    if (shoal_busy__wait(&control->busy, control->hurry)) shoal_busy__end(&control->busy);
}

/* One turn. False when the loop is to end. */
static bool turn(shoal_control *control)
{
    struct epoll_event events[EVENTS_MAX];
    stand_still(control);
    int count = epoll_wait(control->epoll, events, EVENTS_MAX, timeout_now(control));
    SHOAL_ASSERT(count >= 0 || errno == EINTR);
    bool awake = shoal_waker__wake(&control->waker);
    if (shoal_load_relaxed(&control->stopping)) return false;
    for (int i = 0; i < count; i++) {
        shoal_watch *watch = events[i].data.ptr;
        if (watch) watch->ready(watch, events[i].events);
    }
    deliver_rest(control, awake);
    do_chores(control);
    return true;
}

void shoal_control__run(shoal_control *control)
{
    deliver(control, &(shoal_event){.kind = SHOAL_EVENT_START});
    control->links_busy = shoal_links__settle(control->links);
    do_chores(control);
    while (turn(control)) {
    }
}
