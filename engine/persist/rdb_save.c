/* SPDX-License-Identifier: MIT
 *
 * persist/rdb_save.h: the tag of an append is how many bytes it has, so that the end of each tells
 * how much room there is.
 */
#include "persist/rdb_save.h"

#include "base/assert.h"

/* Bytes that the host may have to write. Chosen: some milliseconds of a disk. */
#define WINDOW_BYTES ((uint64_t)4 << 20)
/* A sync for so many bytes, as Redis. */
#define SYNC_BYTES ((uint64_t)4 << 20)
/* Keys of one step: some hundred microseconds with values of some hundred bytes. */
#define STEP_KEYS 256u
/* Tag of everything but appends. */
#define TAG 1u

/* What holds between two steps: the snapshot is there while it is being written, and what the host
 * has not done yet is counted. */
static void check(const shoal_rdb_save *save)
{
    shoal_rdb_save_stage stage = save->stage;
    SHOAL_ASSERT(stage <= SHOAL_RDB_SAVE_CLEANING);
    SHOAL_ASSERT((save->writer != NULL) == (stage == SHOAL_RDB_SAVE_WRITING));
    SHOAL_ASSERT(stage == SHOAL_RDB_SAVE_IDLE || save->host != NULL);
    SHOAL_ASSERT(stage != SHOAL_RDB_SAVE_IDLE || save->syncs == 0);
    SHOAL_ASSERT(stage != SHOAL_RDB_SAVE_IDLE || save->in_flight == 0);
    SHOAL_ASSERT(stage != SHOAL_RDB_SAVE_CLEANING || save->error != SHOAL_ERR_OK);
    SHOAL_ASSERT(save->in_flight <= save->bytes);
    SHOAL_ASSERT(save->unsynced <= save->bytes);
}

static void nudge(const shoal_rdb_save *save)
{
    SHOAL_ASSERT(save->host != NULL);
    save->host->nudge(save->host->context, SHOAL_ACTOR_CONTROL);
}

/* The taker of the snapshot. */
static void take_bytes(void *context, shoal_slice bytes)
{
    shoal_rdb_save *save = context;
    const shoal_host *host = save->host;
    SHOAL_ASSERT(host != NULL);
    SHOAL_ASSERT(bytes.size > 0);
    save->bytes += bytes.size;
    if (save->error != SHOAL_ERR_OK) return;
    save->in_flight += bytes.size;
    save->unsynced += bytes.size;
    host->file_append(host->context, SHOAL_RDB_FILE_NEW, bytes, bytes.size);
    if (!save->sync_often || save->unsynced < SYNC_BYTES) return;
    save->unsynced = 0;
    save->syncs++;
    host->file_sync(host->context, SHOAL_RDB_FILE_NEW, TAG);
}

void shoal_rdb_save_begin(shoal_rdb_save *save, shoal_thread *thread,
                          const shoal_rdb_save_options *options)
{
    SHOAL_ASSERT(save->stage == SHOAL_RDB_SAVE_IDLE);
    SHOAL_ASSERT(save->writer == NULL);
    const shoal_host *host = options->host;
    *save = (shoal_rdb_save){.host = host,
                             .sync_often = options->sync_often,
                             .delay_us = options->delay_us,
                             .began_us = shoal_thread_now(thread).mono_us};
    host->file_name(host->context, SHOAL_RDB_FILE, options->path);
    host->file_name(host->context, SHOAL_RDB_FILE_NEW, options->path_new);
    /* What a crash has left. */
    host->file_remove(host->context, SHOAL_RDB_FILE_NEW, TAG);
    save->syncs++;
    shoal_snapshot_options snapshot = options->snapshot;
    snapshot.taker = (shoal_snapshot_taker){.take = take_bytes, .context = save};
    save->error = shoal_snapshot_begin(thread, &snapshot, &save->writer);
    save->stage = save->error == SHOAL_ERR_OK ? SHOAL_RDB_SAVE_WRITING : SHOAL_RDB_SAVE_CLEANING;
    check(save);
    nudge(save);
}

void shoal_rdb_save_file_done(shoal_rdb_save *save, const shoal_event *event)
{
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_FILE_DONE);
    SHOAL_ASSERT(event->file == SHOAL_RDB_FILE || event->file == SHOAL_RDB_FILE_NEW);
    SHOAL_ASSERT(save->stage != SHOAL_RDB_SAVE_IDLE);
    if (event->op == SHOAL_FILE_APPEND) {
        SHOAL_ASSERT(event->tag <= save->in_flight);
        save->in_flight -= event->tag;
    } else {
        SHOAL_ASSERT(save->syncs > 0);
        save->syncs--;
    }
    if (event->error != SHOAL_ERR_OK && save->error == SHOAL_ERR_OK) save->error = event->error;
}

/* Keys that may be handed out now. */
static uint32_t allowance(const shoal_rdb_save *save, shoal_thread *thread)
{
    SHOAL_ASSERT(save->delay_us >= 0);
    if (save->in_flight >= WINDOW_BYTES) return 0;
    if (save->delay_us == 0 || save->error != SHOAL_ERR_OK) return STEP_KEYS;
    int64_t elapsed_us = shoal_thread_now(thread).mono_us - save->began_us;
    int64_t due = elapsed_us / save->delay_us - (int64_t)save->keys;
    SHOAL_DEBUG_ASSERT(elapsed_us >= 0);
    if (due <= 0) return 0;
    return due < STEP_KEYS ? (uint32_t)due : STEP_KEYS;
}

int64_t shoal_rdb_save_deadline(const shoal_rdb_save *save)
{
    SHOAL_DEBUG_ASSERT(save->delay_us >= 0);
    SHOAL_DEBUG_ASSERT(save->began_us >= 0);
    if (save->stage != SHOAL_RDB_SAVE_WRITING || save->delay_us == 0) return SHOAL_NEVER;
    /* What is under way ends with an event. */
    if (save->in_flight >= WINDOW_BYTES) return SHOAL_NEVER;
    return save->began_us + (int64_t)(save->keys + 1) * save->delay_us;
}

uint64_t shoal_rdb_save_waiting(const shoal_rdb_save *save)
{
    SHOAL_DEBUG_ASSERT(save->in_flight <= save->bytes);
    SHOAL_DEBUG_ASSERT(save->writer == NULL || save->stage == SHOAL_RDB_SAVE_WRITING);
    return save->in_flight + (save->writer != NULL ? shoal_snapshot_pending(save->writer) : 0);
}

/* Hands out what there is room for. True when nothing is left to be handed out. */
static bool write_on(shoal_rdb_save *save, shoal_thread *thread)
{
    SHOAL_ASSERT(save->stage == SHOAL_RDB_SAVE_WRITING);
    SHOAL_ASSERT(save->writer != NULL);
    if (save->error != SHOAL_ERR_OK) shoal_snapshot_abort(save->writer);
    uint32_t budget = allowance(save, thread);
    shoal_snapshot_state state = shoal_snapshot_step(save->writer, thread, budget);
    SHOAL_ASSERT(shoal_snapshot_keys(save->writer) >= save->keys);
    SHOAL_ASSERT(shoal_snapshot_copied(save->writer) >= save->copied);
    save->keys = shoal_snapshot_keys(save->writer);
    save->copied = shoal_snapshot_copied(save->writer);
    if (state == SHOAL_SNAPSHOT_MORE) {
        if (budget > 0) nudge(save);
        return false;
    }
    if (!shoal_snapshot_end(save->writer, thread)) {
        nudge(save);
        return false;
    }
    save->writer = NULL;
    if (state == SHOAL_SNAPSHOT_FAILED && save->error == SHOAL_ERR_OK)
        save->error = SHOAL_ERR_NO_MEMORY;
    return true;
}

/* Goes on to what comes behind a stage that is over. */
static void enter_next(shoal_rdb_save *save)
{
    const shoal_host *host = save->host;
    SHOAL_ASSERT(save->writer == NULL);
    if (save->error != SHOAL_ERR_OK) {
        save->stage = SHOAL_RDB_SAVE_CLEANING;
        save->syncs++;
        host->file_remove(host->context, SHOAL_RDB_FILE_NEW, TAG);
        return;
    }
    save->syncs++;
    if (save->stage == SHOAL_RDB_SAVE_WRITING) {
        save->stage = SHOAL_RDB_SAVE_SYNCING;
        host->file_sync(host->context, SHOAL_RDB_FILE_NEW, TAG);
    } else {
        SHOAL_ASSERT(save->stage == SHOAL_RDB_SAVE_SYNCING);
        save->stage = SHOAL_RDB_SAVE_RENAMING;
        host->file_rename(host->context, SHOAL_RDB_FILE_NEW, SHOAL_RDB_FILE, TAG);
    }
}

bool shoal_rdb_save_step(shoal_rdb_save *save, shoal_thread *thread)
{
    check(save);
    if (save->stage == SHOAL_RDB_SAVE_IDLE) return false;
    if (save->stage == SHOAL_RDB_SAVE_WRITING) {
        if (!write_on(save, thread)) return false;
        enter_next(save);
        return false;
    }
    /* The rest waits for the host. */
    if (save->in_flight > 0 || save->syncs > 0) return false;
    bool renamed = save->stage == SHOAL_RDB_SAVE_RENAMING && save->error == SHOAL_ERR_OK;
    if (renamed || save->stage == SHOAL_RDB_SAVE_CLEANING) {
        save->stage = SHOAL_RDB_SAVE_IDLE;
        return true;
    }
    enter_next(save);
    return false;
}

void shoal_rdb_save_abort(shoal_rdb_save *save)
{
    SHOAL_ASSERT(save->stage != SHOAL_RDB_SAVE_IDLE);
    SHOAL_ASSERT(save->host != NULL);
    if (save->stage == SHOAL_RDB_SAVE_RENAMING) return;
    if (save->error == SHOAL_ERR_OK) save->error = SHOAL_ERR_CLOSED;
    nudge(save);
}

void shoal_rdb_save_drop(shoal_rdb_save *save)
{
    SHOAL_ASSERT(save->writer == NULL || save->stage == SHOAL_RDB_SAVE_WRITING);
    if (save->writer != NULL) shoal_snapshot_drop(save->writer);
    *save = (shoal_rdb_save){0};
}
