/* SPDX-License-Identifier: MIT
 *
 * command/debug_reload.c - DEBUG RELOAD: everything is written as an RDB file, forgotten, and read
 * again. Redis does that through a file while nobody else is served. Here each place is a file of
 * its own, in memory, and goes through it under its gate: a reader sees a key as it was before or
 * as it is behind, and never that it is missing, and what is kept twice is one place's data.
 *
 * MERGE, NOFLUSH and NOSAVE are taken and mean nothing: what is read is what is there.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/debug.h"
#include "command/dump.h"
#include "command/places.h"
#include "command/worker.h"
#include "rdb/crc64.h"
#include "rdb/file.h"

/* The job. */
typedef struct reload {
    shoal_places places; /* first */
    bool failed;
} reload;

/* A place that is written down. */
typedef struct place_file {
    shoal_buffer bytes;
    shoal_rdb_style style;
} place_file;

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(job->drop == drop);
    shoal_memory_give(allocator, job, sizeof(reload), SHOAL_ALIGN_PLAIN);
}

/* ---- one place ---- */

static void write_item(void *context, const shoal_item *item)
{
    place_file *file = context;
    char scratch[SHOAL_INT_TEXT_SIZE];
    SHOAL_DEBUG_ASSERT(shoal_buffer_size(&file->bytes) > 0 || file->bytes.failed);
    const shoal_rdb_key key = {.name = shoal_item_name(item),
                               .value = shoal_dump_value(item, scratch),
                               .expires_ms = shoal_item_expires_ms(item)};
    shoal_rdb_write_key(&file->bytes, &key, &file->style);
}

/* Writes all keys of a place. False without memory. */
static bool write_place(place_file *file, shoal_call *call, uint32_t place)
{
    uint32_t slot = SHOAL_PLACE_SLOT(place);
    const shoal_scan all = {.db = SHOAL_PLACE_DB(place),
                            .slot_first = slot,
                            .slot_last = slot,
                            .count = UINT32_MAX};
    uint64_t cursor = 0;
    SHOAL_ASSERT(call->gated);
    shoal_rdb_write_header(&file->bytes);
    do {
        shoal_store_scan(call->thread, &all, &cursor, write_item, file);
    } while (cursor != 0 && !file->bytes.failed);
    if (file->bytes.failed) return false;
    uint64_t crc = shoal_crc64(0, shoal_buffer_slice(&file->bytes));
    shoal_rdb_write_end(&file->bytes, &crc);
    return !file->bytes.failed;
}

/* Puts all keys of a file in the place of what they hold. False when it cannot be read. */
static bool read_place(shoal_rdb_decoder *decoder, shoal_call *call, uint32_t place)
{
    shoal_rdb_event event;
    SHOAL_ASSERT(call->gated);
    while ((event = shoal_rdb_decoder_next(decoder)) == SHOAL_RDB_EVENT_KEY) {
        shoal_key key = shoal_key_make(call->store, SHOAL_PLACE_DB(place), decoder->name);
        SHOAL_ASSERT(key.place == place);
        if (shoal_dump_store(call->thread, &key, &decoder->loader, decoder->expires_ms) != 0)
            return false;
    }
    return event == SHOAL_RDB_EVENT_END;
}

static void visit(shoal_places *places, shoal_call *call)
{
    reload *work = (reload *)places;
    if (work->failed) return;
    const shoal_settings *settings = shoal_call__settings(call);
    place_file file = {.bytes = shoal_buffer_make(&call->env->allocator),
                       .style = shoal_dump_style(settings, shoal_time_wall_ms(call->now))};
    shoal_rdb_decoder decoder;
    shoal_rdb_decoder_open(&decoder, &call->env->allocator, shoal_thread_allocator(call->thread),
                           shoal_thread_prng(call->thread));
    decoder.loader.limits = shoal_dump_limits(settings);
    bool done = write_place(&file, call, places->place);
    if (done) {
        shoal_rdb_decoder_feed(&decoder, shoal_buffer_slice(&file.bytes));
        done = read_place(&decoder, call, places->place);
    }
    work->failed = !done;
    shoal_rdb_decoder_close(&decoder);
    shoal_buffer_free(&file.bytes);
    SHOAL_DEBUG_ASSERT(shoal_thread_account(call->thread)->bytes == 0);
}

/* ---- the job ---- */

static shoal_job_turn finish(shoal_places *places, shoal_call *call)
{
    SHOAL_ASSERT(places->next == places->end);
    if (((reload *)places)->failed) {
        shoal_reply_error(&call->reply,
                          "ERR Error trying to load the RDB dump, check server logs.");
    } else {
        shoal_reply_ok(&call->reply);
    }
    return SHOAL_JOB_DONE;
}

void shoal_debug__reload(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        if (shoal_call__word(call, i, "merge") || shoal_call__word(call, i, "noflush") ||
            shoal_call__word(call, i, "nosave"))
            continue;
        shoal_reply_error(&call->reply,
                          "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
        return;
    }
    reload *work =
        shoal_memory_take_zeroed(&call->env->allocator, sizeof(*work), SHOAL_ALIGN_PLAIN);
    if (work == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    uint64_t databases = shoal_call__settings(call)->databases;
    work->places = (shoal_places){.job = {.step = shoal_places__step, .drop = drop},
                                  .end = databases * SHOAL_SLOTS,
                                  .visit = visit,
                                  .finish = finish};
    shoal_worker__dirty(call->worker);
    shoal_job__start(&work->places.job, call);
}
