/* SPDX-License-Identifier: MIT
 *
 * rdb/file_read.c - RDB files as their bytes arrive. Reading goes by units (a mark with what
 * belongs to it, an element of a value). A unit whose end has not arrived is read again from its
 * beginning once there are as many bytes as are known to be missing; the rest of a chunk is kept
 * for that.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/text.h"
#include "rdb/file.h"
#include "rdb/internal.h"

/* Where a decoder is. */
enum { STATE_HEADER, STATE_MARK, STATE_VALUE, STATE_KEY, STATE_END, STATE_FAILED };

/* So much goes into the checksum at once: chosen, as what a second-level cache still holds. */
#define SUMMED_MIN ((size_t)128 << 10)

/* Files before version 5 have no checksum. */
#define VERSION_CHECKSUM 5u

void shoal_rdb_decoder_open(shoal_rdb_decoder *decoder, const shoal_allocator *allocator,
                            const shoal_allocator *objects, shoal_prng *prng)
{
    SHOAL_ASSERT(allocator != NULL);
    shoal_rdb_loader_open(&decoder->loader, allocator, objects, prng);
    memset((char *)decoder + sizeof(decoder->loader), 0,
           sizeof(*decoder) - sizeof(decoder->loader));
    decoder->input = shoal_buffer_make(allocator);
    decoder->key = shoal_buffer_make(allocator);
    shoal_crc64_prepare(&decoder->tables);
    decoder->checksum = true;
    decoder->expires_ms = decoder->idle_s = decoder->frequency = -1;
}

void shoal_rdb_decoder_close(shoal_rdb_decoder *decoder)
{
    SHOAL_ASSERT(decoder->input.allocator != NULL);
    shoal_rdb_loader_close(&decoder->loader);
    shoal_buffer_free(&decoder->input);
    shoal_buffer_free(&decoder->key);
}

/* ---- bytes ---- */

void shoal_rdb_decoder_feed(shoal_rdb_decoder *decoder, shoal_slice chunk)
{
    SHOAL_ASSERT(decoder->chunk.size == 0);
    if (decoder->state == STATE_END || decoder->state == STATE_FAILED) return;
    if (shoal_buffer_size(&decoder->input) == 0) {
        decoder->chunk = chunk;
    } else {
        shoal_buffer_append(&decoder->input, chunk);
    }
}

static shoal_slice unread(const shoal_rdb_decoder *decoder)
{
    bool kept = shoal_buffer_size(&decoder->input) > 0;
    SHOAL_ASSERT(!kept || decoder->chunk.size == 0);
    return kept ? shoal_buffer_slice(&decoder->input) : decoder->chunk;
}

shoal_slice shoal_rdb_decoder_rest(const shoal_rdb_decoder *decoder)
{
    SHOAL_ASSERT(decoder->state == STATE_END);
    return unread(decoder);
}

/* Adds what has been read to the checksum: before it moves, and while it is warm. */
static void sum(shoal_rdb_decoder *decoder)
{
    SHOAL_DEBUG_ASSERT(decoder->unsummed.size <= decoder->offset);
    if (decoder->checksum)
        decoder->crc = shoal_crc64_by(&decoder->tables, decoder->crc, decoder->unsummed);
    decoder->unsummed = (shoal_slice){NULL, 0};
}

/* So many bytes have been read. They stay where they are. */
static void take(shoal_rdb_decoder *decoder, shoal_slice from, size_t size)
{
    SHOAL_ASSERT(size <= from.size);
    if (decoder->unsummed.size == 0) decoder->unsummed.data = from.data;
    SHOAL_ASSERT(decoder->unsummed.data + decoder->unsummed.size == from.data);
    decoder->unsummed.size += size;
    decoder->offset += size;
    decoder->need = 0;
    if (shoal_buffer_size(&decoder->input) > 0) {
        shoal_buffer_consume(&decoder->input, size);
    } else {
        decoder->chunk.data += size;
        decoder->chunk.size -= size;
    }
    if (decoder->unsummed.size >= SUMMED_MIN) sum(decoder);
}

/* Keeps what is left of a chunk until the next one comes. */
static void keep(shoal_rdb_decoder *decoder)
{
    if (decoder->chunk.size > 0) shoal_buffer_append(&decoder->input, decoder->chunk);
    decoder->chunk = (shoal_slice){NULL, 0};
    SHOAL_DEBUG_ASSERT(decoder->need > 0 || decoder->input.failed);
}

/* ---- units ---- */

static shoal_rdb_status read_header(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader)
{
    const char *bytes;
    uint64_t version;
    shoal_rdb_status status = shoal_rdb__read_bytes(reader, SHOAL_RDB_HEADER_SIZE, &bytes);
    if (status != SHOAL_RDB_OK) return status;
    SHOAL_DEBUG_ASSERT(decoder->offset == 0);
    if (memcmp(bytes, "REDIS", 5) != 0) return shoal_rdb__bad(reader, "not an RDB file");
    size_t zeros = 5;
    while (zeros < SHOAL_RDB_HEADER_SIZE - 1 && bytes[zeros] == '0') zeros++;
    shoal_slice digits = {bytes + zeros, SHOAL_RDB_HEADER_SIZE - zeros};
    if (!shoal_text_to_u64(digits, &version) || version == 0 || version > SHOAL_RDB_VERSION_MAX)
        return shoal_rdb__bad(reader, "an RDB file of a version that is not known here");
    decoder->version = (uint32_t)version;
    decoder->state = STATE_MARK;
    return SHOAL_RDB_OK;
}

static shoal_rdb_status read_aux(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader)
{
    shoal_buffer *scratch = decoder->loader.scratch;
    shoal_rdb_status status = shoal_rdb__read_string(reader, &scratch[0], &decoder->name);
    SHOAL_DEBUG_ASSERT(decoder->state == STATE_MARK);
    if (status != SHOAL_RDB_OK) return status;
    return shoal_rdb__read_string(reader, &scratch[1], &decoder->text);
}

static shoal_rdb_status read_sizes(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader)
{
    shoal_rdb_status status = shoal_rdb__read_length(reader, &decoder->keys);
    SHOAL_DEBUG_ASSERT(decoder->state == STATE_MARK);
    if (status != SHOAL_RDB_OK) return status;
    return shoal_rdb__read_length(reader, &decoder->keys_volatile);
}

static shoal_rdb_status read_expires(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader,
                                     bool seconds)
{
    const char *bytes;
    shoal_rdb_status status = shoal_rdb__read_bytes(reader, seconds ? 4 : 8, &bytes);
    SHOAL_DEBUG_ASSERT(decoder->state == STATE_MARK);
    if (status != SHOAL_RDB_OK) return status;
    decoder->expires_ms = seconds ? (int64_t)(int32_t)shoal_bytes_get_le32(bytes) * 1000
                                  : (int64_t)shoal_bytes_get_le64(bytes);
    /* A time before 1970 has passed as well. */
    if (decoder->expires_ms < 0) decoder->expires_ms = 0;
    return SHOAL_RDB_OK;
}

/* The marks that tell a number about what follows. */
static shoal_rdb_status read_note(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader,
                                  uint32_t mark)
{
    uint64_t value = 0;
    const char *byte;
    shoal_rdb_status status;
    if (mark == SHOAL_RDB__OP_FREQUENCY) {
        status = shoal_rdb__read_bytes(reader, 1, &byte);
        if (status == SHOAL_RDB_OK) decoder->frequency = (unsigned char)*byte;
        return status;
    }
    uint32_t lengths = mark == SHOAL_RDB__OP_SLOT ? 3 : 1;
    do {
        status = shoal_rdb__read_length(reader, &value);
    } while (status == SHOAL_RDB_OK && --lengths > 0);
    if (status != SHOAL_RDB_OK) return status;
    SHOAL_DEBUG_ASSERT(decoder->state == STATE_MARK);
    if (mark == SHOAL_RDB__OP_IDLE)
        decoder->idle_s = value < INT64_MAX ? (int64_t)value : INT64_MAX;
    if (mark == SHOAL_RDB__OP_DATABASE) {
        if (value > INT32_MAX) return shoal_rdb__bad(reader, "an impossible number of a database");
        decoder->db = (uint32_t)value;
    }
    return SHOAL_RDB_OK;
}

/* `before` is what the unit begins with: its one byte belongs to the checksum. */
static shoal_rdb_status read_end(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader,
                                 const char *before)
{
    uint64_t told = 0;
    shoal_rdb_status status = SHOAL_RDB_OK;
    if (decoder->version >= VERSION_CHECKSUM) status = shoal_rdb__read_le64(reader, &told);
    if (status != SHOAL_RDB_OK) return status;
    sum(decoder);
    uint64_t crc = shoal_crc64_by(&decoder->tables, decoder->crc, (shoal_slice){before, 1});
    SHOAL_DEBUG_ASSERT((unsigned char)*before == SHOAL_RDB__OP_END);
    if (decoder->checksum && told != 0 && told != crc)
        return shoal_rdb__bad(reader, "Wrong RDB checksum: RDB CRC error");
    decoder->state = STATE_END;
    return SHOAL_RDB_OK;
}

/* Passes over a value without reading it. EMPTY where it must be read after all: it is too large,
 * may hold nothing, or there is something wrong with it. */
static shoal_rdb_status read_record(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader,
                                    uint32_t kind)
{
    shoal_rdb__reader ahead = *reader;
    shoal_rdb_status status = shoal_rdb__skip(&ahead, kind);
    size_t size = (size_t)(ahead.at - reader->at);
    SHOAL_DEBUG_ASSERT(decoder->state == STATE_MARK);
    if (status == SHOAL_RDB_MORE) size += ahead.missing;
    if ((status != SHOAL_RDB_OK && status != SHOAL_RDB_MORE) || size > SHOAL_RDB_RECORD_MAX)
        return SHOAL_RDB_EMPTY;
    decoder->text = (shoal_slice){reader->at, size};
    decoder->kind = (uint8_t)kind;
    *reader = ahead;
    return status;
}

static shoal_rdb_status read_key(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader,
                                 uint32_t kind, shoal_rdb_event *event)
{
    shoal_slice name;
    shoal_rdb_status status = shoal_rdb__read_string(reader, &decoder->loader.scratch[0], &name);
    if (status != SHOAL_RDB_OK) return status;
    if (decoder->records) {
        decoder->name = name;
        status = read_record(decoder, reader, kind);
        if (status == SHOAL_RDB_OK) {
            decoder->state = STATE_KEY;
            *event = SHOAL_RDB_EVENT_RECORD;
        }
        if (status != SHOAL_RDB_EMPTY) return status;
    }
    decoder->key.start = decoder->key.end = 0;
    shoal_buffer_append(&decoder->key, name);
    if (decoder->key.failed) return SHOAL_RDB_NO_MEMORY;
    decoder->name = shoal_buffer_slice(&decoder->key);
    SHOAL_DEBUG_ASSERT(decoder->name.size == name.size);
    status = shoal_rdb__begin(&decoder->loader, kind);
    reader->reason = decoder->loader.reason;
    if (status == SHOAL_RDB_OK) decoder->state = STATE_VALUE;
    return status;
}

static shoal_rdb_status refuse(shoal_rdb__reader *reader, const char *reason)
{
    reader->reason = reason;
    SHOAL_DEBUG_ASSERT(reason != NULL);
    return SHOAL_RDB_UNKNOWN;
}

static shoal_rdb_status read_mark(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader,
                                  shoal_rdb_event *event)
{
    const char *first;
    shoal_rdb_status status = shoal_rdb__read_bytes(reader, 1, &first);
    if (status != SHOAL_RDB_OK) return status;
    uint32_t mark = (unsigned char)*first;
    SHOAL_DEBUG_ASSERT(decoder->state == STATE_MARK);
    switch (mark) {
    case SHOAL_RDB__OP_AUX: *event = SHOAL_RDB_EVENT_AUX; return read_aux(decoder, reader);
    case SHOAL_RDB__OP_SIZES: *event = SHOAL_RDB_EVENT_SIZES; return read_sizes(decoder, reader);
    case SHOAL_RDB__OP_FUNCTION:
        *event = SHOAL_RDB_EVENT_FUNCTION;
        return shoal_rdb__read_string(reader, &decoder->loader.scratch[0], &decoder->text);
    case SHOAL_RDB__OP_END: *event = SHOAL_RDB_EVENT_END; return read_end(decoder, reader, first);
    case SHOAL_RDB__OP_EXPIRES_MS: return read_expires(decoder, reader, false);
    case SHOAL_RDB__OP_EXPIRES_S: return read_expires(decoder, reader, true);
    case SHOAL_RDB__OP_IDLE:
    case SHOAL_RDB__OP_FREQUENCY:
    case SHOAL_RDB__OP_DATABASE:
    case SHOAL_RDB__OP_SLOT: return read_note(decoder, reader, mark);
    case SHOAL_RDB__OP_MODULE_AUX:
        return refuse(reader, "data of a module, which is not kept here");
    case SHOAL_RDB__OP_FUNCTION_EARLY: return refuse(reader, "functions of a version before 7.0");
    default: return read_key(decoder, reader, mark, event);
    }
}

static shoal_rdb_status read_value(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader,
                                   shoal_rdb_event *event)
{
    bool done;
    shoal_rdb_status status = shoal_rdb__step(&decoder->loader, reader, &done);
    SHOAL_DEBUG_ASSERT(decoder->state == STATE_VALUE);
    if (status == SHOAL_RDB_OK && done) {
        *event = SHOAL_RDB_EVENT_KEY;
        decoder->state = STATE_KEY;
    }
    if (status != SHOAL_RDB_EMPTY) return status;
    /* Redis passes over them too: some versions wrote them. */
    *event = SHOAL_RDB_EVENT_EMPTY;
    decoder->state = STATE_KEY;
    return SHOAL_RDB_OK;
}

/* ---- events ---- */

/* The key that was told is over. */
static void end_key(shoal_rdb_decoder *decoder)
{
    shoal_rdb_loader_drop(&decoder->loader);
    SHOAL_DEBUG_ASSERT(decoder->state == STATE_KEY);
    decoder->expires_ms = decoder->idle_s = decoder->frequency = -1;
    decoder->state = STATE_MARK;
}

static shoal_rdb_event fail(shoal_rdb_decoder *decoder, shoal_rdb_status status, const char *reason)
{
    SHOAL_ASSERT(status > SHOAL_RDB_MORE);
    decoder->state = STATE_FAILED;
    decoder->status = status;
    decoder->reason = status == SHOAL_RDB_NO_MEMORY ? "no memory" : reason;
    decoder->chunk = (shoal_slice){NULL, 0};
    return SHOAL_RDB_EVENT_FAILED;
}

/* Reads one unit. */
static shoal_rdb_status read_unit(shoal_rdb_decoder *decoder, shoal_rdb__reader *reader,
                                  shoal_rdb_event *event)
{
    SHOAL_DEBUG_ASSERT(decoder->state <= STATE_VALUE);
    switch (decoder->state) {
    case STATE_HEADER: return read_header(decoder, reader);
    case STATE_VALUE: return read_value(decoder, reader, event);
    default: return read_mark(decoder, reader, event);
    }
}

shoal_rdb_event shoal_rdb_decoder_next(shoal_rdb_decoder *decoder)
{
    shoal_rdb_event event = SHOAL_RDB_EVENT_MORE;
    if (decoder->state == STATE_FAILED) return SHOAL_RDB_EVENT_FAILED;
    if (decoder->state == STATE_END) return SHOAL_RDB_EVENT_END;
    while (event == SHOAL_RDB_EVENT_MORE) {
        if (decoder->state == STATE_KEY) end_key(decoder);
        if (decoder->input.failed) return fail(decoder, SHOAL_RDB_NO_MEMORY, NULL);
        shoal_slice bytes = unread(decoder);
        shoal_rdb__reader reader = {.at = bytes.data};
        shoal_rdb_status status = SHOAL_RDB_MORE;
        if (bytes.size > 0 && bytes.size >= decoder->need) {
            reader.end = bytes.data + bytes.size;
            status = read_unit(decoder, &reader, &event);
            if (status == SHOAL_RDB_MORE)
                decoder->need = (size_t)(reader.at - bytes.data) + reader.missing;
        }
        if (status == SHOAL_RDB_MORE) {
            sum(decoder);
            if (bytes.size > 0) keep(decoder);
            return decoder->input.failed ? fail(decoder, SHOAL_RDB_NO_MEMORY, NULL)
                                         : SHOAL_RDB_EVENT_MORE;
        }
        if (status != SHOAL_RDB_OK) return fail(decoder, status, reader.reason);
        take(decoder, bytes, (size_t)(reader.at - bytes.data));
    }
    SHOAL_ASSERT(decoder->state != STATE_FAILED);
    return event;
}
