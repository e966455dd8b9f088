/* SPDX-License-Identifier: MIT
 *
 * persist/rdb_load.h: the decoder of rdb/file.h says what comes, the gate of each key is taken for
 * its moment. Nobody competes for gates while a node loads, so taking one costs two atomic writes.
 */
#include "persist/rdb_load.h"

#include "base/assert.h"
#include "base/text.h"
#include "command/dump.h"
#include "store/route.h"

/* A key on its way under its gate. */
typedef struct put_op {
    shoal_gate_op gate; /* first */
    shoal_rdb_load *load;
    shoal_key key;
    shoal_err error;
} put_op;

static void run_put(shoal_op *op, void *runner)
{
    put_op *put = (put_op *)op;
    shoal_rdb_decoder *decoder = &put->load->decoder;
    SHOAL_DEBUG_ASSERT(put->key.name.size == decoder->name.size);
    SHOAL_ASSERT(put->gate.held == 1);
    put->error = shoal_dump_store(runner, &put->key, &decoder->loader, decoder->expires_ms);
    if (put->error != SHOAL_ERR_OK) return;
    shoal_dump_set_heat(runner, &put->key, decoder->idle_s, decoder->frequency);
}

static shoal_rdb_load_state end_bad(shoal_rdb_load *load, const char *reason)
{
    SHOAL_ASSERT(reason != NULL);
    SHOAL_ASSERT(load->reason == NULL);
    load->reason = reason;
    return SHOAL_RDB_LOAD_BAD;
}

/* Hands a value that has not been read over to the crew. */
static shoal_rdb_load_state take_record(shoal_rdb_load *load)
{
    const shoal_rdb_decoder *decoder = &load->decoder;
    const shoal_crew_value value = {.name = decoder->name,
                                    .value = decoder->text,
                                    .db = decoder->db,
                                    .kind = decoder->kind,
                                    .expires_ms = decoder->expires_ms,
                                    .idle_s = decoder->idle_s,
                                    .frequency = decoder->frequency,
                                    .offset = decoder->offset};
    SHOAL_ASSERT(decoder->records);
    SHOAL_ASSERT(load->options.crew != NULL);
    SHOAL_ASSERT(decoder->text.size <= SHOAL_RDB_RECORD_MAX);
    if (!shoal_crew_take_value(load->options.crew, &value)) return SHOAL_RDB_LOAD_NO_MEMORY;
    load->keys_loaded++;
    return SHOAL_RDB_LOAD_MORE;
}

static shoal_rdb_load_state take_key(shoal_rdb_load *load, bool record)
{
    const shoal_rdb_load_options *options = &load->options;
    const shoal_rdb_decoder *decoder = &load->decoder;
    shoal_store *store = shoal_thread_store(options->thread);
    SHOAL_ASSERT(load->state == SHOAL_RDB_LOAD_MORE);
    SHOAL_ASSERT(!record || options->crew != NULL);
    if (decoder->db >= options->databases) return end_bad(load, "a database that is not there");
    bool expired = decoder->expires_ms >= 0 && decoder->expires_ms <= options->now_ms;
    if (expired && !options->keeps_expired) {
        load->keys_expired++;
        if (options->expired != NULL)
            options->expired(options->context, decoder->db, decoder->name);
        shoal_rdb_loader_drop(&load->decoder.loader);
        return SHOAL_RDB_LOAD_MORE;
    }
    if (record) return take_record(load);
    put_op put = {.gate = {.op = {.run = run_put}, .count = 1},
                  .load = load,
                  .key = shoal_key_make(store, decoder->db, decoder->name)};
    put.gate.places = &put.key.place;
    /* The store is ours while a node loads, but for background work, which lets a gate go soon. */
    while (!shoal_gate_try(options->thread, &put.gate)) continue;
    if (put.error != SHOAL_ERR_OK) return SHOAL_RDB_LOAD_NO_MEMORY;
    load->keys_loaded++;
    return SHOAL_RDB_LOAD_MORE;
}

static shoal_rdb_load_state take_failure(shoal_rdb_load *load)
{
    const shoal_rdb_decoder *decoder = &load->decoder;
    SHOAL_ASSERT(load->state == SHOAL_RDB_LOAD_MORE);
    SHOAL_ASSERT(decoder->status != SHOAL_RDB_OK);
    if (decoder->status == SHOAL_RDB_NO_MEMORY) return SHOAL_RDB_LOAD_NO_MEMORY;
    return end_bad(load, decoder->reason != NULL ? decoder->reason : "damaged");
}

/* Deals with what the decoder has met. */
static shoal_rdb_load_state take_event(shoal_rdb_load *load, shoal_rdb_event event)
{
    const shoal_rdb_load_options *options = &load->options;
    SHOAL_DEBUG_ASSERT(event != SHOAL_RDB_EVENT_MORE);
    SHOAL_DEBUG_ASSERT(event <= SHOAL_RDB_EVENT_FAILED);
    switch (event) {
    case SHOAL_RDB_EVENT_KEY: return take_key(load, false);
    case SHOAL_RDB_EVENT_RECORD: return take_key(load, true);
    case SHOAL_RDB_EVENT_EMPTY:
        load->keys_empty++;
        if (options->empty != NULL)
            options->empty(options->context, load->decoder.db, load->decoder.name);
        return SHOAL_RDB_LOAD_MORE;
    case SHOAL_RDB_EVENT_AUX:
        if (options->fact != NULL)
            options->fact(options->context, load->decoder.name, load->decoder.text);
        return SHOAL_RDB_LOAD_MORE;
    case SHOAL_RDB_EVENT_SIZES:
        shoal_store_expect(shoal_thread_store(options->thread), load->decoder.keys);
        return SHOAL_RDB_LOAD_MORE;
    case SHOAL_RDB_EVENT_FUNCTION:
        return end_bad(load, "it holds a library of functions, which cannot be kept here");
    case SHOAL_RDB_EVENT_END: return SHOAL_RDB_LOAD_DONE;
    case SHOAL_RDB_EVENT_FAILED: return take_failure(load);
    default: return SHOAL_RDB_LOAD_MORE;
    }
}

void shoal_rdb_load_open(shoal_rdb_load *load, const shoal_rdb_load_options *options)
{
    SHOAL_ASSERT(options->allocator != NULL);
    SHOAL_ASSERT(options->thread != NULL);
    SHOAL_ASSERT(options->databases > 0);
    *load = (shoal_rdb_load){.options = *options};
    shoal_rdb_decoder_open(&load->decoder, options->allocator,
                           shoal_thread_allocator(options->thread),
                           shoal_thread_prng(options->thread));
    load->decoder.loader.limits = options->limits;
    load->decoder.checksum = options->checksum;
    load->decoder.records = options->crew != NULL;
}

shoal_rdb_load_state shoal_rdb_load_feed(shoal_rdb_load *load, shoal_slice bytes)
{
    SHOAL_ASSERT(load->state == SHOAL_RDB_LOAD_MORE);
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    shoal_rdb_decoder_feed(&load->decoder, bytes);
    while (load->state == SHOAL_RDB_LOAD_MORE) {
        shoal_rdb_event event = shoal_rdb_decoder_next(&load->decoder);
        if (event == SHOAL_RDB_EVENT_MORE) break;
        load->state = take_event(load, event);
    }
    SHOAL_ASSERT(load->decoder.offset >= load->offset);
    SHOAL_ASSERT((load->state == SHOAL_RDB_LOAD_BAD) == (load->reason != NULL));
    load->offset = load->decoder.offset;
    if (load->options.crew != NULL) shoal_crew_send(load->options.crew);
    return load->state;
}

shoal_slice shoal_rdb_load_rest(const shoal_rdb_load *load)
{
    SHOAL_ASSERT(load->options.allocator != NULL);
    SHOAL_ASSERT(load->state == SHOAL_RDB_LOAD_DONE);
    return shoal_rdb_decoder_rest(&load->decoder);
}

void shoal_rdb_load_close(shoal_rdb_load *load)
{
    SHOAL_ASSERT(load->options.allocator != NULL);
    SHOAL_ASSERT(load->state <= SHOAL_RDB_LOAD_NO_MEMORY);
    shoal_store_expect(shoal_thread_store(load->options.thread), 0);
    shoal_rdb_decoder_close(&load->decoder);
}
