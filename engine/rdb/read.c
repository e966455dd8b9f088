/* SPDX-License-Identifier: MIT
 *
 * rdb/read.c - lengths, strings and numbers from bytes that may end anywhere.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/number.h"
#include "base/text.h"
#include "rdb/internal.h"
#include "rdb/lzf.h"

/* Marks in the place of the length of a score's text. */
#define SCORE_NAN 253u
#define SCORE_HIGHEST 254u
#define SCORE_LOWEST 255u

shoal_rdb_status shoal_rdb__read_bytes(shoal_rdb__reader *reader, size_t size, const char **out)
{
    SHOAL_DEBUG_ASSERT(reader->at <= reader->end);
    size_t left = (size_t)(reader->end - reader->at);
    if (left < size) {
        reader->missing = size - left;
        return SHOAL_RDB_MORE;
    }
    *out = reader->at;
    reader->at += size;
    return SHOAL_RDB_OK;
}

/* A length whose first byte has been read. */
static shoal_rdb_status read_length_behind(shoal_rdb__reader *reader, unsigned char first,
                                           uint64_t *out)
{
    const char *bytes;
    shoal_rdb_status status = SHOAL_RDB_OK;
    if (first < 0x40) {
        *out = first;
    } else if (first < 0x80) {
        status = shoal_rdb__read_bytes(reader, 1, &bytes);
        if (status == SHOAL_RDB_OK) *out = (first & 0x3full) << 8 | (unsigned char)*bytes;
    } else if (first == SHOAL_RDB__LENGTH_32) {
        status = shoal_rdb__read_bytes(reader, 4, &bytes);
        if (status == SHOAL_RDB_OK) *out = shoal_bytes_get_be32(bytes);
    } else if (first == SHOAL_RDB__LENGTH_64) {
        status = shoal_rdb__read_bytes(reader, 8, &bytes);
        if (status == SHOAL_RDB_OK) *out = shoal_bytes_get_be64(bytes);
    } else {
        return shoal_rdb__bad(reader, "a length that begins with an unknown byte");
    }
    SHOAL_DEBUG_ASSERT(status == SHOAL_RDB_OK || status == SHOAL_RDB_MORE);
    return status;
}

shoal_rdb_status shoal_rdb__read_length(shoal_rdb__reader *reader, uint64_t *out)
{
    const char *first;
    SHOAL_DEBUG_ASSERT(out != NULL);
    shoal_rdb_status status = shoal_rdb__read_bytes(reader, 1, &first);
    if (status != SHOAL_RDB_OK) return status;
    return read_length_behind(reader, (unsigned char)*first, out);
}

shoal_rdb_status shoal_rdb__read_le64(shoal_rdb__reader *reader, uint64_t *out)
{
    const char *bytes;
    SHOAL_DEBUG_ASSERT(out != NULL);
    shoal_rdb_status status = shoal_rdb__read_bytes(reader, 8, &bytes);
    if (status == SHOAL_RDB_OK) *out = shoal_bytes_get_le64(bytes);
    return status;
}

/* ---- strings ---- */

/* An integer of `size` bytes, as text in `scratch`. */
static shoal_rdb_status read_integer(shoal_rdb__reader *reader, size_t size, shoal_buffer *scratch,
                                     shoal_slice *out)
{
    const char *bytes;
    shoal_rdb_status status = shoal_rdb__read_bytes(reader, size, &bytes);
    if (status != SHOAL_RDB_OK) return status;
    int64_t value = (int8_t)bytes[0];
    if (size == 2) value = (int16_t)shoal_bytes_get_le16(bytes);
    if (size == 4) value = (int32_t)shoal_bytes_get_le32(bytes);
    char *text = shoal_buffer_reserve(scratch, SHOAL_TEXT_INTEGER_SIZE);
    if (text == NULL) return SHOAL_RDB_NO_MEMORY;
    *out = (shoal_slice){text, shoal_text_from_i64(text, value)};
    SHOAL_DEBUG_ASSERT(out->size <= SHOAL_TEXT_INTEGER_SIZE);
    return SHOAL_RDB_OK;
}

static shoal_rdb_status read_compressed(shoal_rdb__reader *reader, shoal_buffer *scratch,
                                        shoal_slice *out)
{
    uint64_t packed, size;
    const char *bytes;
    shoal_rdb_status status = shoal_rdb__read_length(reader, &packed);
    if (status == SHOAL_RDB_OK) status = shoal_rdb__read_length(reader, &size);
    if (status != SHOAL_RDB_OK) return status;
    if (packed == 0 || size == 0 || packed > SHOAL_RDB__STRING_MAX ||
        size > SHOAL_RDB__STRING_MAX || size > packed * SHOAL_LZF_RATIO_MAX)
        return shoal_rdb__bad(reader, "a compressed string of an impossible length");
    status = shoal_rdb__read_bytes(reader, packed, &bytes);
    if (status != SHOAL_RDB_OK) return status;
    char *text = shoal_buffer_reserve(scratch, size);
    if (text == NULL) return SHOAL_RDB_NO_MEMORY;
    if (!shoal_lzf_expand((shoal_slice){bytes, packed}, text, size))
        return shoal_rdb__bad(reader, "a compressed string that is damaged");
    *out = (shoal_slice){text, size};
    return SHOAL_RDB_OK;
}

shoal_rdb_status shoal_rdb__read_string(shoal_rdb__reader *reader, shoal_buffer *scratch,
                                        shoal_slice *out)
{
    const char *first;
    uint64_t size;
    shoal_rdb_status status = shoal_rdb__read_bytes(reader, 1, &first);
    if (status != SHOAL_RDB_OK) return status;
    scratch->start = scratch->end = 0;
    scratch->failed = false;
    switch ((unsigned char)*first) {
    case SHOAL_RDB__STRING_8: return read_integer(reader, 1, scratch, out);
    case SHOAL_RDB__STRING_16: return read_integer(reader, 2, scratch, out);
    case SHOAL_RDB__STRING_32: return read_integer(reader, 4, scratch, out);
    case SHOAL_RDB__STRING_LZF: return read_compressed(reader, scratch, out);
    default: break;
    }
    status = read_length_behind(reader, (unsigned char)*first, &size);
    if (status != SHOAL_RDB_OK) return status;
    if (size > SHOAL_RDB__STRING_MAX) return shoal_rdb__bad(reader, "a string that is too long");
    status = shoal_rdb__read_bytes(reader, size, &out->data);
    out->size = size;
    SHOAL_DEBUG_ASSERT(status == SHOAL_RDB_OK || status == SHOAL_RDB_MORE);
    return status;
}

bool shoal_rdb_is_plain(shoal_slice bytes, shoal_slice *string)
{
    shoal_rdb__reader reader = {.at = bytes.data, .end = bytes.data + bytes.size};
    uint64_t size;
    SHOAL_DEBUG_ASSERT(string != NULL);
    if (bytes.size == 0 || (unsigned char)*bytes.data >= SHOAL_RDB__STRING_8) return false;
    if (shoal_rdb__read_length(&reader, &size) != SHOAL_RDB_OK) return false;
    *string = (shoal_slice){reader.at, (size_t)(reader.end - reader.at)};
    return size == string->size && size <= SHOAL_RDB__STRING_MAX;
}

shoal_rdb_status shoal_rdb__read_score_text(shoal_rdb__reader *reader, double *out)
{
    const char *first, *text;
    shoal_rdb_status status = shoal_rdb__read_bytes(reader, 1, &first);
    if (status != SHOAL_RDB_OK) return status;
    unsigned char size = (unsigned char)*first;
    SHOAL_DEBUG_ASSERT(out != NULL);
    if (size == SCORE_NAN) return shoal_rdb__bad(reader, "a score that is not a number");
    if (size == SCORE_HIGHEST || size == SCORE_LOWEST) {
        *out = size == SCORE_HIGHEST ? __builtin_inf() : -__builtin_inf();
        return SHOAL_RDB_OK;
    }
    status = shoal_rdb__read_bytes(reader, size, &text);
    if (status != SHOAL_RDB_OK) return status;
    if (shoal_number_to_double((shoal_slice){text, size}, out) == SHOAL_NUMBER_NONE)
        return shoal_rdb__bad(reader, "a score that is not a number");
    return SHOAL_RDB_OK;
}
