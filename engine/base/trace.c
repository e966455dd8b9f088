/* SPDX-License-Identifier: MIT
 *
 * The trace stream: its file format, its text form and its rolling hash. What a kind is called
 * and what its numbers mean comes from shoal/trace.def.
 */
#include <shoal/trace.h>

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"
#include "base/text.h"

static const char MAGIC[8] = {'S', 'H', 'O', 'A', 'L', 'T', 'R', 'C'};

/* Version of the file format that this build writes and reads. */
#define FORMAT_VERSION 1

/* Where the fields of a record lie. */
enum {
    AT_TIME = 0,
    AT_NODE = 8,
    AT_KIND = 12,
    AT_ZERO = 14,
    AT_A = 16,
    AT_B = 24,
    AT_C = 32,
    AT_TEXT_SIZE = 40,
    AT_ZERO_TOO = 44
};
_Static_assert(AT_ZERO_TOO + 4 == SHOAL_TRACE_RECORD_SIZE, "the fields fill the record");

/* Kinds are 16 bits wide in the file. */
#define LARGEST_KIND UINT16_MAX

/* What one kind's fields are called. */
typedef struct kind_words {
    const char *name;
    const char *numbers[3];
    const char *text;
} kind_words;

/* The words of `kind`; the name is NULL when it is no kind. */
static kind_words words_of(uint32_t kind)
{
    switch (kind) {
#define SHOAL_TRACE(name, value, a, b, c, text, doc) \
    case value:                                      \
        return (kind_words){#name, {#a, #b, #c}, #text};
#include <shoal/trace.def>
#undef SHOAL_TRACE
    default: return (kind_words){0};
    }
}

const char *shoal_trace_name(uint32_t kind)
{
    return words_of(kind).name;
}

/* ---- the file format ---- */

void shoal_trace_encode_header(shoal_buffer *out)
{
    _Static_assert(sizeof(MAGIC) + 8 == SHOAL_TRACE_HEADER_SIZE, "magic, version, zero");
    char *to = shoal_buffer_reserve(out, SHOAL_TRACE_HEADER_SIZE);
    if (to == NULL) return;
    memcpy(to, MAGIC, sizeof(MAGIC));
    shoal_bytes_put_le32(to + 8, FORMAT_VERSION);
    shoal_bytes_put_le32(to + 12, 0);
    shoal_buffer_commit(out, SHOAL_TRACE_HEADER_SIZE);
}

/* Writes all of the entry but its text. */
static void encode_fields(const shoal_trace_entry *entry, char to[SHOAL_TRACE_RECORD_SIZE])
{
    const shoal_trace_record *record = &entry->record;
    SHOAL_ASSERT((uint32_t)record->kind <= LARGEST_KIND);
    SHOAL_ASSERT(record->text.size <= SHOAL_TRACE_TEXT_MAX);
    SHOAL_ASSERT(record->text.data != NULL || record->text.size == 0);
    shoal_bytes_put_le64(to + AT_TIME, (uint64_t)entry->time_us);
    shoal_bytes_put_le32(to + AT_NODE, entry->node);
    shoal_bytes_put_le16(to + AT_KIND, (uint16_t)record->kind);
    shoal_bytes_put_le16(to + AT_ZERO, 0);
    shoal_bytes_put_le64(to + AT_A, record->a);
    shoal_bytes_put_le64(to + AT_B, record->b);
    shoal_bytes_put_le64(to + AT_C, record->c);
    shoal_bytes_put_le32(to + AT_TEXT_SIZE, (uint32_t)record->text.size);
    shoal_bytes_put_le32(to + AT_ZERO_TOO, 0);
}

void shoal_trace_encode(const shoal_trace_entry *entry, shoal_buffer *out)
{
    SHOAL_ASSERT(words_of(entry->record.kind).name != NULL);
    size_t size = SHOAL_TRACE_RECORD_SIZE + entry->record.text.size;
    char *to = shoal_buffer_reserve(out, size);
    if (to == NULL) return;
    encode_fields(entry, to);
    if (entry->record.text.size > 0) {
        memcpy(to + SHOAL_TRACE_RECORD_SIZE, entry->record.text.data, entry->record.text.size);
    }
    shoal_buffer_commit(out, size);
}

shoal_err shoal_trace_decode_header(shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    size_t known = bytes.size < sizeof(MAGIC) ? bytes.size : sizeof(MAGIC);
    if (known > 0 && memcmp(bytes.data, MAGIC, known) != 0) return SHOAL_ERR_MALFORMED;
    if (bytes.size < SHOAL_TRACE_HEADER_SIZE) return SHOAL_ERR_TRUNCATED;
    if (shoal_bytes_get_le32(bytes.data + 8) != FORMAT_VERSION) return SHOAL_ERR_UNSUPPORTED;
    if (shoal_bytes_get_le32(bytes.data + 12) != 0) return SHOAL_ERR_MALFORMED;
    return SHOAL_ERR_OK;
}

shoal_err shoal_trace_decode(shoal_slice bytes, shoal_trace_entry *entry, size_t *used)
{
    SHOAL_ASSERT(entry != NULL && used != NULL);
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    const char *from = bytes.data;
    if (bytes.size < SHOAL_TRACE_RECORD_SIZE) return SHOAL_ERR_TRUNCATED;
    uint32_t kind = shoal_bytes_get_le16(from + AT_KIND);
    uint32_t text_size = shoal_bytes_get_le32(from + AT_TEXT_SIZE);
    if (shoal_trace_name(kind) == NULL || text_size > SHOAL_TRACE_TEXT_MAX) {
        return SHOAL_ERR_MALFORMED;
    }
    if (shoal_bytes_get_le16(from + AT_ZERO) != 0) return SHOAL_ERR_MALFORMED;
    if (shoal_bytes_get_le32(from + AT_ZERO_TOO) != 0) return SHOAL_ERR_MALFORMED;
    if (bytes.size - SHOAL_TRACE_RECORD_SIZE < text_size) return SHOAL_ERR_TRUNCATED;
    *entry = (shoal_trace_entry){
        .time_us = (int64_t)shoal_bytes_get_le64(from + AT_TIME),
        .node = shoal_bytes_get_le32(from + AT_NODE),
        .record = {.kind = (shoal_trace_kind)kind,
                   .a = shoal_bytes_get_le64(from + AT_A),
                   .b = shoal_bytes_get_le64(from + AT_B),
                   .c = shoal_bytes_get_le64(from + AT_C),
                   .text = {from + SHOAL_TRACE_RECORD_SIZE, text_size}},
    };
    *used = SHOAL_TRACE_RECORD_SIZE + (size_t)text_size;
    SHOAL_ASSERT(*used <= bytes.size);
    return SHOAL_ERR_OK;
}

/* ---- the text form ---- */

/* Appends `text` with everything but printable ASCII and UTF-8 as \xNN, a backslash as \\. */
static void append_escaped(shoal_buffer *out, shoal_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte == '\\') {
            shoal_buffer_append(out, shoal_text("\\\\"));
        } else if (byte < 0x20 || byte == 0x7F) {
            shoal_text_appendf(out, "\\x%02x", byte);
        } else {
            shoal_buffer_append(out, (shoal_slice){text.data + i, 1});
        }
    }
}

static void append_time(shoal_buffer *out, int64_t time_us)
{
    uint64_t magnitude = time_us < 0 ? 0 - (uint64_t)time_us : (uint64_t)time_us;
    shoal_text_appendf(out, "%s%lu.%06lu", time_us < 0 ? "-" : "", magnitude / 1000000,
                       magnitude % 1000000);
}

void shoal_trace_text(const shoal_trace_entry *entry, shoal_buffer *out)
{
    const shoal_trace_record *record = &entry->record;
    kind_words words = words_of(record->kind);
    SHOAL_ASSERT(words.name != NULL);
    append_time(out, entry->time_us);
    if (entry->node == SHOAL_TRACE_WORLD) {
        shoal_text_appendf(out, " world %s", words.name);
    } else {
        shoal_text_appendf(out, " n%u %s", entry->node + 1, words.name);
    }
    const uint64_t numbers[3] = {record->a, record->b, record->c};
    for (int i = 0; i < 3; i++) {
        if (shoal_text_is(shoal_text(words.numbers[i]), "none")) continue;
        shoal_text_appendf(out, " %s=%lu", words.numbers[i], numbers[i]);
    }
    if (!shoal_text_is(shoal_text(words.text), "none")) {
        shoal_text_appendf(out, " %s=", words.text);
        append_escaped(out, record->text);
    }
}

/* ---- the rolling hash ---- */

static uint64_t absorb(uint64_t hash, uint64_t word)
{
    return shoal_prng_mix(hash ^ word) + 0x9E3779B97F4A7C15ull;
}

void shoal_trace_hash(uint64_t *hash, const shoal_trace_entry *entry)
{
    SHOAL_ASSERT(hash != NULL);
    _Static_assert(SHOAL_TRACE_RECORD_SIZE % 8 == 0, "the fields are absorbed as whole words");
    /* The last word is padded with zeros; the text's size is among the fields, so no two texts
     * are absorbed alike. */
    char fields[SHOAL_TRACE_RECORD_SIZE];
    encode_fields(entry, fields);
    uint64_t state = *hash;
    for (size_t i = 0; i < sizeof(fields); i += 8) {
        state = absorb(state, shoal_bytes_get_le64(fields + i));
    }
    shoal_slice text = entry->record.text;
    for (size_t i = 0; i < text.size; i += 8) {
        char word[8] = {0};
        memcpy(word, text.data + i, text.size - i < 8 ? text.size - i : 8);
        state = absorb(state, shoal_bytes_get_le64(word));
    }
    *hash = state;
}
