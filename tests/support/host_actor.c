/* SPDX-License-Identifier: MIT
 *
 * support/host_actor.h: the checks run in the step, under the trial's lock.
 */
#include "host_actor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* How long a case may take, in the world's time. */
#define PATIENCE_US 120000000

/* Notes the first violation; the case's own thread fails on it. */
static void complain(shoal_case_actor *actor, const char *what, int64_t detail)
{
    if (actor->complaint[0] != '\0') return;
    snprintf(actor->complaint, sizeof actor->complaint, "%s (%lld)", what, (long long)detail);
}

/* ---- operations, with what must be known of them to check the events ---- */

static shoal_case_link *find_link(shoal_case_actor *actor, shoal_link link)
{
    for (int i = 0; i < actor->link_count; i++) {
        if (actor->links[i].link == link) return &actor->links[i];
    }
    return NULL;
}

static shoal_case_link *add_link(shoal_case_actor *actor, shoal_link link, shoal_case_life life)
{
    if (link == 0) complain(actor, "a link is called 0", 0);
    if (find_link(actor, link)) complain(actor, "a link's name is used again", 0);
    if (actor->link_count == SHOAL_CASE_LINKS) return NULL;
    shoal_case_link *made = &actor->links[actor->link_count++];
    *made = (shoal_case_link){.link = link, .life = life};
    return made;
}

shoal_link shoal_case_open_link(shoal_case_actor *actor, shoal_address peer)
{
    actor->in_operation = true;
    shoal_link link = actor->host.link_open(actor->host.context, &peer);
    actor->in_operation = false;
    /* Rule R2: what was lent is ours again, and may change. */
    memset(&peer, 'x', sizeof peer);
    add_link(actor, link, SHOAL_CASE_OPENING);
    return link;
}

void shoal_case_send(shoal_case_actor *actor, shoal_link link, shoal_slice bytes)
{
    char *lent = malloc(bytes.size + 1);
    if (lent == NULL) return;
    memcpy(lent, bytes.data, bytes.size);
    actor->in_operation = true;
    actor->host.link_send(actor->host.context, link, (shoal_slice){lent, bytes.size});
    actor->in_operation = false;
    memset(lent, 'x', bytes.size);
    free(lent);
}

void shoal_case_pause_link(shoal_case_actor *actor, shoal_link link, bool paused)
{
    shoal_case_link *known = find_link(actor, link);
    if (known) known->paused = paused;
    actor->in_operation = true;
    actor->host.link_pause(actor->host.context, link, paused);
    actor->in_operation = false;
}

void shoal_case_close_link(shoal_case_actor *actor, shoal_link link)
{
    shoal_case_link *known = find_link(actor, link);
    if (known && known->life != SHOAL_CASE_DOWN) known->life = SHOAL_CASE_CLOSING;
    actor->in_operation = true;
    actor->host.link_close(actor->host.context, link);
    actor->in_operation = false;
}

void shoal_case_nudge(shoal_case_actor *actor)
{
    actor->in_operation = true;
    actor->host.nudge(actor->host.context, SHOAL_ACTOR_CONTROL);
    actor->in_operation = false;
}

static void submitted(shoal_case_actor *actor, shoal_file file, shoal_file_op op, uint64_t tag)
{
    if (actor->job_count < SHOAL_CASE_JOBS) {
        actor->jobs[actor->job_count++] = (shoal_case_job){file, op, tag};
    }
}

void shoal_case_append(shoal_case_actor *actor, shoal_file file, const char *text, uint64_t tag)
{
    char lent[256];
    snprintf(lent, sizeof lent, "%s", text);
    submitted(actor, file, SHOAL_FILE_APPEND, tag);
    actor->in_operation = true;
    shoal_slice bytes = {lent, strlen(text)};
    actor->host.file_append(actor->host.context, file, bytes, tag);
    actor->in_operation = false;
    memset(lent, 'x', sizeof lent);
}

void shoal_case_sync(shoal_case_actor *actor, shoal_file file, uint64_t tag)
{
    submitted(actor, file, SHOAL_FILE_SYNC, tag);
    actor->in_operation = true;
    actor->host.file_sync(actor->host.context, file, tag);
    actor->in_operation = false;
}

void shoal_case_read(shoal_case_actor *actor, shoal_file file, uint64_t tag)
{
    submitted(actor, file, SHOAL_FILE_READ, tag);
    actor->in_operation = true;
    actor->host.file_read(actor->host.context, file, tag);
    actor->in_operation = false;
}

void shoal_case_name(shoal_case_actor *actor, shoal_file file, const char *path)
{
    char lent[256];
    snprintf(lent, sizeof lent, "%s", path);
    actor->in_operation = true;
    shoal_slice name = {lent, strlen(path)};
    actor->host.file_name(actor->host.context, file, name);
    actor->in_operation = false;
    memset(lent, 'x', sizeof lent);
}

void shoal_case_read_part(shoal_case_actor *actor, shoal_file file, shoal_case_part part,
                          uint64_t tag)
{
    submitted(actor, file, SHOAL_FILE_READ, tag);
    actor->in_operation = true;
    actor->host.file_read_part(actor->host.context, file, part.offset, part.size, tag);
    actor->in_operation = false;
}

void shoal_case_truncate(shoal_case_actor *actor, shoal_file file, uint64_t size, uint64_t tag)
{
    submitted(actor, file, SHOAL_FILE_TRUNCATE, tag);
    actor->in_operation = true;
    actor->host.file_truncate(actor->host.context, file, size, tag);
    actor->in_operation = false;
}

void shoal_case_rename(shoal_case_actor *actor, shoal_file to, uint64_t tag)
{
    shoal_case_rename_named(actor, SHOAL_FILE_NODES_NEW, to, tag);
}

void shoal_case_rename_named(shoal_case_actor *actor, shoal_file from, shoal_file to, uint64_t tag)
{
    submitted(actor, from, SHOAL_FILE_RENAME, tag);
    actor->in_operation = true;
    actor->host.file_rename(actor->host.context, from, to, tag);
    actor->in_operation = false;
}

void shoal_case_remove(shoal_case_actor *actor, shoal_file file, uint64_t tag)
{
    submitted(actor, file, SHOAL_FILE_REMOVE, tag);
    actor->in_operation = true;
    actor->host.file_remove(actor->host.context, file, tag);
    actor->in_operation = false;
}

/* ---- what must hold of every event ---- */

static void check_up(shoal_case_actor *actor, const shoal_event *event)
{
    shoal_case_link *known = find_link(actor, event->link);
    if (event->accepted) known = known ? NULL : add_link(actor, event->link, SHOAL_CASE_OPENING);
    if (known == NULL || known->life != SHOAL_CASE_OPENING) {
        complain(actor, "LINK_UP is not the first event of its link", 0);
        return;
    }
    known->life = SHOAL_CASE_UP;
    known->accepted = event->accepted;
    known->peer = event->peer;
    known->local = event->local;
}

static void check_data(shoal_case_actor *actor, shoal_case_link *known, shoal_slice data)
{
    if (data.size == 0) complain(actor, "LINK_DATA without bytes", 0);
    if (known->paused) complain(actor, "LINK_DATA of a link that is paused", 0);
    char *grown = realloc(known->received, known->received_size + data.size);
    if (grown == NULL || data.size == 0) return;
    memcpy(grown + known->received_size, data.data, data.size);
    known->received = grown;
    known->received_size += data.size;
}

static void check_down(shoal_case_actor *actor, shoal_case_link *known, shoal_err error)
{
    if (error == SHOAL_ERR_OK) complain(actor, "LINK_DOWN without a reason", 0);
    if (known->life == SHOAL_CASE_CLOSING && error != SHOAL_ERR_CLOSED) {
        complain(actor, "a closed link went down with another error", error);
    }
    known->life = SHOAL_CASE_DOWN;
    known->down_error = error;
    actor->downs++;
}

static void check_link(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_LINK_UP) {
        check_up(actor, event);
        return;
    }
    shoal_case_link *known = find_link(actor, event->link);
    if (known == NULL || known->life == SHOAL_CASE_DOWN) {
        complain(actor, "an event of a link that is unknown or down", event->kind);
    } else if (event->kind == SHOAL_EVENT_LINK_DOWN) {
        check_down(actor, known, event->error);
    } else if (known->life != SHOAL_CASE_UP) {
        complain(actor, "an event of a link that is not up", event->kind);
    } else if (event->kind == SHOAL_EVENT_LINK_DATA) {
        check_data(actor, known, event->data);
    } else {
        bool full = event->kind == SHOAL_EVENT_LINK_FULL;
        if (known->full == full) complain(actor, "FULL and ROOM do not alternate", 0);
        known->full = full;
        *(full ? &known->full_count : &known->room_count) += 1;
    }
}

/* Rule R4: of the operations of one file, the oldest is done first. */
static void check_file(shoal_case_actor *actor, const shoal_event *event)
{
    int oldest = 0;
    while (oldest < actor->job_count && actor->jobs[oldest].file != event->file) oldest++;
    if (oldest == actor->job_count) {
        complain(actor, "FILE_DONE of a file that nothing was asked of", 0);
        return;
    }
    shoal_case_job *expected = &actor->jobs[oldest];
    if (expected->tag != event->tag || expected->op != event->op) {
        complain(actor, "a FILE_DONE comes before an older one", (int64_t)event->tag);
    }
    memmove(expected, expected + 1, sizeof *expected * (size_t)(actor->job_count - oldest - 1));
    actor->job_count--;
    if (actor->done_count == SHOAL_CASE_JOBS) return;
    actor->done_tags[actor->done_count] = event->tag;
    actor->done_errors[actor->done_count++] = event->error;
    if (event->op == SHOAL_FILE_READ && event->error == SHOAL_ERR_OK) {
        actor->content_size =
            event->data.size < sizeof actor->content ? event->data.size : sizeof actor->content;
        if (actor->content_size > 0) {
            memcpy(actor->content, event->data.data, actor->content_size);
        }
        actor->file_size = event->file_size;
    }
}

static void check(shoal_case_actor *actor, const shoal_event *event)
{
    if (actor->in_operation) complain(actor, "rule R1: an operation called back", 0);
    if (actor->started != (event->kind != SHOAL_EVENT_START)) {
        complain(actor, "START is not the first event, or comes twice", 0);
    }
    actor->started = true;
    if (event->now.mono_us < actor->mono_last) complain(actor, "the monotonic clock went back", 0);
    actor->mono_last = event->now.mono_us;
    switch (event->kind) {
    case SHOAL_EVENT_START: actor->starts++; return;
    case SHOAL_EVENT_TICK:
        actor->ticks++;
        actor->tick_at = event->now.mono_us;
        if (event->now.mono_us < actor->deadline) complain(actor, "a TICK before its deadline", 0);
        return;
    case SHOAL_EVENT_NUDGED: actor->nudges++; return;
    case SHOAL_EVENT_FILE_DONE: check_file(actor, event); return;
    default: check_link(actor, event); return;
    }
}

static int64_t actor_step(void *context, const shoal_event *event)
{
    shoal_case_actor *self = context;
    bool overlap = shoal_exchange_acq_rel(&self->inside, true); /* pair: case.inside */
    if (!self->in_operation) pthread_mutex_lock(&self->trial->lock);
    if (overlap && !self->in_operation) complain(self, "rule R5: two steps at once", 0);
    bool called_back = self->in_operation;
    check(self, event);
    if (!called_back && self->react) self->react(self, event);
    int64_t deadline = self->deadline;
    if (!called_back) pthread_mutex_unlock(&self->trial->lock);
    (void)shoal_exchange_acq_rel(&self->inside, false); /* pair: case.inside */
    return deadline;
}

/* ---- running a case ---- */

/* ---- running a case ---- */

void shoal_case_start_actor(shoal_case_trial *trial, uint32_t index, shoal_case_reaction react)
{
    shoal_case_actor *actor = &trial->actors[index];
    for (int i = 0; i < actor->link_count; i++) free(actor->links[i].received);
    *actor = (shoal_case_actor){.trial = trial, .index = index, .react = react};
    actor->deadline = INT64_MAX;
    shoal_case_start how = {.node = index,
                            .step = actor_step,
                            .step_context = actor,
                            .host = &actor->host};
    trial->world.start(trial->world.context, &how);
}

/* A condition of a case, to be looked at under the lock. */
typedef struct condition {
    shoal_case_trial *trial;
    bool (*holds)(shoal_case_trial *trial);
} condition;

/* True when the condition holds, or will not because a rule was broken. */
static bool holds_locked(void *context)
{
    condition *what = context;
    shoal_case_trial *trial = what->trial;
    pthread_mutex_lock(&trial->lock);
    bool held = what->holds(trial);
    for (uint32_t i = 0; i < SHOAL_CASE_NODES; i++) {
        held = held || trial->actors[i].complaint[0] != '\0';
    }
    pthread_mutex_unlock(&trial->lock);
    return held;
}

void shoal_case_await(shoal_case_trial *trial, bool (*holds)(shoal_case_trial *trial))
{
    condition what = {.trial = trial, .holds = holds};
    bool held = trial->world.run(trial->world.context, holds_locked, &what, PATIENCE_US);
    for (uint32_t i = 0; i < SHOAL_CASE_NODES; i++) {
        char complaint[sizeof trial->actors[i].complaint];
        pthread_mutex_lock(&trial->lock);
        memcpy(complaint, trial->actors[i].complaint, sizeof complaint);
        pthread_mutex_unlock(&trial->lock);
        if (complaint[0] != '\0') fail_msg("node %u: %s", i, complaint);
    }
    assert_true(held);
}
