/* SPDX-License-Identifier: MIT
 *
 * repl/snapshot.c - full synchronisations. Core writes a snapshot to a file, from a moment on; each
 * replica that asked before, and each that comes while the log still has what follows the moment,
 * reads the file behind the writer, at its own pace: so what a slow replica has not taken waits on
 * the disk, not in memory, and a second one costs no second snapshot.
 *
 *   NONE -> DELAYED -> ASKED -> RUNNING -> WHOLE -> NONE
 */
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "repl/internal.h"

static void enter(shoal_repl *repl, repl_sync_stage stage)
{
    static const uint8_t next[] = {
        [REPL_SYNC_NONE] = 1u << REPL_SYNC_DELAYED,
        [REPL_SYNC_DELAYED] = 1u << REPL_SYNC_ASKED | 1u << REPL_SYNC_NONE,
        [REPL_SYNC_ASKED] =
            1u << REPL_SYNC_RUNNING | 1u << REPL_SYNC_DELAYED | 1u << REPL_SYNC_NONE,
        [REPL_SYNC_RUNNING] = 1u << REPL_SYNC_WHOLE | 1u << REPL_SYNC_NONE,
        [REPL_SYNC_WHOLE] = 1u << REPL_SYNC_NONE,
    };
    SHOAL_ASSERT(repl->sync.stage <= REPL_SYNC_WHOLE && stage <= REPL_SYNC_WHOLE);
    SHOAL_ASSERT((next[repl->sync.stage] & 1u << stage) != 0);
    repl->sync.stage = stage;
    if (stage == REPL_SYNC_NONE) repl->sync.refused = false;
}

/* ---- parts ---- */

static shoal_replica_part *make_part(shoal_repl *repl, shoal_replica *replica, size_t size)
{
    size_t memory = sizeof(shoal_replica_part) + size;
    SHOAL_ASSERT(memory > size && replica->owner == repl);
    shoal_replica_part *part = shoal_memory_take(&repl->allocator, memory, SHOAL_ALIGN_PLAIN);
    if (part == NULL) return NULL;
    *part = (shoal_replica_part){.replica = replica, .size = size, .memory = memory};
    SHOAL_ASSERT(part->op.run == NULL && !part->last);
    return part;
}

/* Whether it takes a snapshot that ends with a mark. */
static bool takes_mark(const shoal_replica *replica)
{
    SHOAL_ASSERT(replica->owner != NULL);
    return (replica->capabilities & SHOAL_CAPA_EOF) != 0 && !replica->plain;
}

/* Posts some text. Without memory the replica must come again. */
static void post_text(shoal_repl *repl, shoal_replica *replica, shoal_slice text, bool last)
{
    shoal_replica_part *part = make_part(repl, replica, text.size);
    SHOAL_ASSERT(replica->state == SHOAL_REPLICA_LOADING && replica->headed);
    SHOAL_ASSERT(last == replica->tailed);
    if (part == NULL) {
        shoal_replica_dismiss(repl->env, replica);
        return;
    }
    if (text.size != 0) memcpy(part->bytes, text.data, text.size);
    part->last = last;
    part->asks = last && takes_mark(replica);
    shoal_replica_post(repl->env, part);
}

/* What stands before the snapshot. False while that is not known. */
static bool post_head(shoal_repl *repl, shoal_replica *replica)
{
    if (replica->headed) return true;
    shoal_buffer text = shoal_buffer_make(&repl->allocator);
    if (takes_mark(replica)) {
        shoal_text_appendf(&text, "$EOF:%.*s\r\n", (int)REPL_MARK_LEN, repl->sync.mark);
    } else if (repl->sync.stage == REPL_SYNC_WHOLE) {
        shoal_text_appendf(&text, "$%llu\r\n", (unsigned long long)repl->sync.size);
    } else {
        return false;
    }
    SHOAL_ASSERT(!replica->tailed && replica->read_at == 0);
    SHOAL_ASSERT(replica->parts == 0 && replica->reads_under_way == 0);
    replica->headed = true;
    post_text(repl, replica, shoal_buffer_slice(&text), false);
    shoal_buffer_free(&text);
    return true;
}

/* All of the file has been posted: what stands behind it, and the log follows. */
static void post_tail(shoal_repl *repl, shoal_replica *replica)
{
    if (replica->tailed || repl->sync.stage != REPL_SYNC_WHOLE) return;
    if (replica->read_at < repl->sync.size || replica->reads_under_way > 0) return;
    SHOAL_ASSERT(replica->headed && replica->read_at == repl->sync.size);
    SHOAL_ASSERT(replica->reads && replica->sync == repl->sync.number);
    replica->tailed = true;
    shoal_slice mark = {repl->sync.mark, takes_mark(replica) ? REPL_MARK_LEN : 0};
    post_text(repl, replica, mark, true);
    replica->state = SHOAL_REPLICA_ONLINE;
    replica->since_us = repl->now.mono_us;
    shoal_store_relaxed(&replica->heard_us, repl->now.mono_us);
    shoal_repl__log(repl, REPL_NOTICE, "Synchronization with replica %s:%u succeeded",
                    replica->address.ip, (unsigned)replica->listening_port);
    shoal_repl__sync_release(repl);
}

void shoal_repl__send_parts(shoal_repl *repl, shoal_replica *replica)
{
    SHOAL_ASSERT(replica->state == SHOAL_REPLICA_LOADING);
    if (replica->ordered || replica->sync != repl->sync.number) return;
    if (!post_head(repl, replica)) return;
    SHOAL_ASSERT(replica->read_at <= repl->sync.size);
    while (replica->read_at < repl->sync.size &&
           replica->parts + replica->reads_under_way < REPL_PARTS_MAX) {
        uint64_t left = repl->sync.size - replica->read_at;
        /* Small pieces of what still grows wait until there is more. */
        if (left < REPL_PART_SIZE && repl->sync.stage == REPL_SYNC_RUNNING) break;
        size_t size = left < REPL_PART_SIZE ? (size_t)left : REPL_PART_SIZE;
        repl->host->file_read_part(repl->host->context, repl->snapshot_file, replica->read_at, size,
                                   replica->serial);
        replica->read_at += size;
        replica->reads_under_way++;
        SHOAL_ASSERT(size > 0 && size <= REPL_PART_SIZE);
    }
    SHOAL_ASSERT(replica->parts + replica->reads_under_way <= REPL_PARTS_MAX);
    post_tail(repl, replica);
}

static shoal_replica *by_serial(const shoal_repl *repl, uint64_t serial)
{
    SHOAL_ASSERT(serial != 0 && serial <= repl->serial);
    shoal_replica *each = repl->replicas;
    while (each != NULL && each->serial != serial) each = each->next;
    return each;
}

void shoal_repl__part_read(shoal_repl *repl, const shoal_event *event)
{
    shoal_replica *replica = by_serial(repl, event->tag);
    SHOAL_ASSERT(replica != NULL && replica->reads_under_way > 0);
    SHOAL_ASSERT(event->data.size <= REPL_PART_SIZE);
    replica->reads_under_way--;
    if (replica->state != SHOAL_REPLICA_LOADING) {
        shoal_repl__free_if_over(repl, replica);
        return;
    }
    if (event->error != SHOAL_ERR_OK || event->data.size == 0) {
        shoal_repl__log(repl, REPL_WARNING, "Reading the snapshot for a replica failed: %s",
                        shoal_err_text(event->error));
        shoal_replica_dismiss(repl->env, replica);
        return;
    }
    post_text(repl, replica, event->data, false);
    if (!replica->ordered) shoal_repl__send_parts(repl, replica);
}

/* ---- the snapshot ---- */

/* The replica gets the present snapshot. False when it cannot. */
static bool join(shoal_repl *repl, shoal_replica *replica)
{
    SHOAL_ASSERT(replica->state == SHOAL_REPLICA_ASKING && replica->errand != NULL);
    if (repl->sync.stage != REPL_SYNC_RUNNING && repl->sync.stage != REPL_SYNC_WHOLE) return false;
    if (!shoal_repl__open_reader(repl, replica, repl->sync.offset)) return false;
    if (!replica->plain)
        shoal_text_appendf(&replica->errand->reply, "+FULLRESYNC %s %llu\r\n", repl->id,
                           (unsigned long long)repl->sync.offset);
    SHOAL_ASSERT(repl->sync.number > 0 && !replica->headed);
    replica->sync = repl->sync.number;
    replica->read_at = 0;
    repl->full_syncs++;
    shoal_repl__accept(repl, replica, SHOAL_REPLICA_LOADING);
    shoal_repl__send_parts(repl, replica);
    return true;
}

void shoal_repl__ask_snapshot(shoal_repl *repl, shoal_replica *replica)
{
    SHOAL_ASSERT(replica->errand != NULL && !replica->reads);
    SHOAL_ASSERT(repl->master.state != REPL_LINK_LOADING);
    if (join(repl, replica)) return;
    if (repl->sync.stage != REPL_SYNC_NONE) return;
    shoal_repl__want_log(repl);
    enter(repl, REPL_SYNC_DELAYED);
    bool may_share = (replica->capabilities & SHOAL_CAPA_EOF) != 0;
    repl->sync.due_us = repl->now.mono_us + (may_share ? repl->settings.full_delay_us : 0);
}

static bool anyone(const shoal_repl *repl, shoal_replica_state state)
{
    SHOAL_ASSERT(state > SHOAL_REPLICA_NEW && state < SHOAL_REPLICA_GONE);
    const shoal_replica *each = repl->replicas;
    while (each != NULL && (each->state != state || each->ordered)) each = each->next;
    return each != NULL;
}

/* As many wait for a snapshot as it shall wait for. */
static bool enough_ask(const shoal_repl *repl)
{
    uint32_t wanted = repl->settings.full_replicas, count = 0;
    SHOAL_ASSERT(repl->sync.stage == REPL_SYNC_DELAYED);
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next)
        count += each->state == SHOAL_REPLICA_ASKING && !each->ordered;
    SHOAL_ASSERT(count <= repl->serial);
    return wanted != 0 && count >= wanted;
}

void shoal_repl__sync_step(shoal_repl *repl)
{
    repl_sync *sync = &repl->sync;
    bool asked = anyone(repl, SHOAL_REPLICA_ASKING);
    if (sync->stage == REPL_SYNC_NONE && asked) {
        enter(repl, REPL_SYNC_DELAYED);
        sync->due_us = repl->now.mono_us;
    }
    if (sync->stage == REPL_SYNC_DELAYED && !asked) enter(repl, REPL_SYNC_NONE);
    SHOAL_ASSERT(sync->stage != REPL_SYNC_DELAYED || repl->wants_log);
    if (sync->stage != REPL_SYNC_DELAYED) return;
    if (!sync->refused && enough_ask(repl)) sync->due_us = repl->now.mono_us;
    if (repl->now.mono_us < sync->due_us) return;
    sync->refused = false;
    enter(repl, REPL_SYNC_ASKED);
    if (repl->face.snapshot_start(repl->face.context)) return;
    SHOAL_ASSERT(sync->stage == REPL_SYNC_ASKED);
    enter(repl, REPL_SYNC_DELAYED);
    sync->refused = true;
    sync->due_us = repl->now.mono_us + REPL_CRON_US;
}

void shoal_repl_snapshot_begun(shoal_repl *repl, uint64_t offset)
{
    repl_sync *sync = &repl->sync;
    SHOAL_ASSERT(offset == shoal_log_end(repl->log));
    SHOAL_ASSERT(offset == shoal_log_committed(repl->log));
    enter(repl, REPL_SYNC_RUNNING);
    sync->number++;
    sync->offset = offset;
    sync->size = 0;
    unsigned char bytes[REPL_MARK_LEN / 2];
    shoal_prng_fill(&repl->marks, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        sync->mark[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        sync->mark[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    /* Who reads from here on must be told the database. */
    shoal_log_forget_database(repl->log);
    for (shoal_replica *each = repl->replicas, *next; each != NULL; each = next) {
        next = each->next;
        if (each->state == SHOAL_REPLICA_ASKING) (void)join(repl, each);
    }
    /* Who asked for it may have been turned away. */
    shoal_repl__sync_release(repl);
}

/* Sends on to all who are loading the present snapshot. */
static void send_on(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->sync.stage == REPL_SYNC_RUNNING || repl->sync.stage == REPL_SYNC_WHOLE);
    SHOAL_ASSERT(repl->sync.number > 0);
    for (shoal_replica *each = repl->replicas, *next; each != NULL; each = next) {
        next = each->next;
        if (each->state == SHOAL_REPLICA_LOADING) shoal_repl__send_parts(repl, each);
    }
}

void shoal_repl_snapshot_grown(shoal_repl *repl, uint64_t size)
{
    if (repl->sync.stage != REPL_SYNC_RUNNING) return;
    SHOAL_ASSERT(size >= repl->sync.size);
    repl->sync.size = size;
    send_on(repl);
}

void shoal_repl_snapshot_ended(shoal_repl *repl, shoal_err error)
{
    repl_sync *sync = &repl->sync;
    SHOAL_ASSERT(sync->stage == REPL_SYNC_ASKED || sync->stage == REPL_SYNC_RUNNING);
    SHOAL_ASSERT(error != SHOAL_ERR_OK || sync->stage == REPL_SYNC_RUNNING);
    if (error == SHOAL_ERR_OK) {
        enter(repl, REPL_SYNC_WHOLE);
        send_on(repl);
        if (sync->stage == REPL_SYNC_WHOLE) shoal_repl__sync_release(repl);
        return;
    }
    shoal_repl__log(repl, REPL_WARNING, "The snapshot for replicas failed: %s",
                    shoal_err_text(error));
    enter(repl, REPL_SYNC_NONE);
    for (shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        if (each->state == SHOAL_REPLICA_LOADING && each->sync == sync->number)
            shoal_replica_dismiss(repl->env, each);
    }
}

void shoal_repl__sync_release(shoal_repl *repl)
{
    repl_sync *sync = &repl->sync;
    if (sync->stage != REPL_SYNC_RUNNING && sync->stage != REPL_SYNC_WHOLE) return;
    const shoal_replica *each = repl->replicas;
    for (; each != NULL; each = each->next) {
        if (each->reads_under_way > 0) return;
        if (each->state == SHOAL_REPLICA_LOADING && each->sync == sync->number && !each->ordered)
            return;
    }
    SHOAL_ASSERT(sync->number > 0);
    SHOAL_ASSERT(sync->offset <= shoal_log_end(repl->log));
    enter(repl, REPL_SYNC_NONE);
    repl->face.snapshot_stop(repl->face.context);
}
