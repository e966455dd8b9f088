/* SPDX-License-Identifier: MIT
 *
 * rdb/file_write.c - the pieces of RDB files.
 */
#include "base/assert.h"
#include "base/bytes.h"
#include "rdb/crc64.h"
#include "rdb/file.h"
#include "rdb/internal.h"

static void write_byte(shoal_buffer *out, uint32_t byte)
{
    char text = (char)byte;
    SHOAL_DEBUG_ASSERT(byte <= UINT8_MAX);
    shoal_buffer_append(out, (shoal_slice){&text, 1});
}

void shoal_rdb_write_header(shoal_buffer *out)
{
    const char header[] = "REDIS0010";
    _Static_assert(sizeof(header) - 1 == SHOAL_RDB_HEADER_SIZE, "the header has its size");
    _Static_assert(SHOAL_RDB_VERSION == 10, "the header tells the version");
    SHOAL_DEBUG_ASSERT(out->allocator != NULL);
    shoal_buffer_append(out, (shoal_slice){header, SHOAL_RDB_HEADER_SIZE});
}

void shoal_rdb_write_aux(shoal_buffer *out, shoal_slice name, shoal_slice value)
{
    SHOAL_ASSERT(name.size > 0);
    write_byte(out, SHOAL_RDB__OP_AUX);
    shoal_rdb_write_string(out, name, false);
    shoal_rdb_write_string(out, value, false);
}

void shoal_rdb_write_database(shoal_buffer *out, uint32_t db)
{
    SHOAL_ASSERT(db <= INT32_MAX);
    write_byte(out, SHOAL_RDB__OP_DATABASE);
    shoal_rdb_write_length(out, db);
}

void shoal_rdb_write_sizes(shoal_buffer *out, uint64_t keys, uint64_t keys_volatile)
{
    SHOAL_DEBUG_ASSERT(out->allocator != NULL);
    write_byte(out, SHOAL_RDB__OP_SIZES);
    shoal_rdb_write_length(out, keys);
    shoal_rdb_write_length(out, keys_volatile < keys ? keys_volatile : keys);
}

void shoal_rdb_write_idle(shoal_buffer *out, uint64_t seconds)
{
    SHOAL_DEBUG_ASSERT(out->allocator != NULL);
    write_byte(out, SHOAL_RDB__OP_IDLE);
    shoal_rdb_write_length(out, seconds);
}

void shoal_rdb_write_frequency(shoal_buffer *out, uint32_t frequency)
{
    SHOAL_ASSERT(frequency <= UINT8_MAX);
    write_byte(out, SHOAL_RDB__OP_FREQUENCY);
    write_byte(out, frequency);
}

void shoal_rdb_write_key_head(shoal_buffer *out, const shoal_rdb_key *key, shoal_rdb_kind kind,
                              bool compress)
{
    SHOAL_ASSERT(kind < SHOAL_RDB__OP_FIRST);
    if (key->expires_ms >= 0) {
        char deadline[8];
        shoal_bytes_put_le64(deadline, (uint64_t)key->expires_ms);
        write_byte(out, SHOAL_RDB__OP_EXPIRES_MS);
        shoal_buffer_append(out, (shoal_slice){deadline, sizeof(deadline)});
    }
    write_byte(out, kind);
    shoal_rdb_write_string(out, key->name, compress);
}

void shoal_rdb_write_key(shoal_buffer *out, const shoal_rdb_key *key, const shoal_rdb_style *style)
{
    if (shoal_rdb_is_empty(&key->value, style->now_ms)) return;
    shoal_rdb_kind kind = shoal_rdb_kind_of(&key->value, style->now_ms);
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    shoal_rdb_write_key_head(out, key, kind, style->compress);
    shoal_rdb_write_value(out, &key->value, kind, style);
}

void shoal_rdb_write_end(shoal_buffer *out, const uint64_t *crc)
{
    char foot[9] = {(char)SHOAL_RDB__OP_END};
    uint64_t sum = 0;
    if (crc != NULL) sum = shoal_crc64(*crc, (shoal_slice){foot, 1});
    SHOAL_DEBUG_ASSERT(out->allocator != NULL);
    shoal_bytes_put_le64(foot + 1, sum);
    shoal_buffer_append(out, (shoal_slice){foot, sizeof(foot)});
}
