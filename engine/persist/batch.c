/* SPDX-License-Identifier: MIT
 *
 * persist/batch.c - see persist/batch.h.
 */
#include "persist/batch.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "persist/aof_reader.h"

/* Most elements of a command, as Redis has it, and bytes after which it has enough. */
#define ELEMENTS_MAX 64u
#define BYTES_MAX ((size_t)16 << 10)

static const char *const words[SHOAL_TYPE_COUNT] = {[SHOAL_TYPE_LIST] = "RPUSH",
                                                    [SHOAL_TYPE_SET] = "SADD",
                                                    [SHOAL_TYPE_ZSET] = "ZADD",
                                                    [SHOAL_TYPE_HASH] = "HSET"};

shoal_batch shoal_batch_make(shoal_value_type type, shoal_slice name,
                             const shoal_allocator *allocator)
{
    SHOAL_ASSERT(type < SHOAL_TYPE_COUNT);
    SHOAL_ASSERT(words[type] != NULL);
    return (shoal_batch){.word = words[type],
                         .name = name,
                         .arguments = shoal_buffer_make(allocator),
                         .behind = shoal_buffer_make(allocator)};
}

static void gather(shoal_batch *batch, const shoal_element *element)
{
    char scratch[32];
    SHOAL_ASSERT(batch->word != NULL);
    SHOAL_DEBUG_ASSERT(batch->elements < ELEMENTS_MAX);
    shoal_aof_write_argument(&batch->arguments, shoal_element_text(element, scratch));
    batch->count++;
}

/* An element more is complete. */
static void count(shoal_batch *batch, shoal_buffer *out)
{
    batch->elements++;
    SHOAL_ASSERT(batch->elements <= ELEMENTS_MAX);
    SHOAL_ASSERT(batch->count >= batch->elements);
    if (batch->elements == ELEMENTS_MAX || shoal_buffer_size(&batch->arguments) >= BYTES_MAX)
        shoal_batch_flush(batch, out);
}

void shoal_batch_add(shoal_batch *batch, shoal_buffer *out, const shoal_element *element)
{
    SHOAL_DEBUG_ASSERT(element->kind != SHOAL_ELEMENT_DOUBLE);
    gather(batch, element);
    count(batch, out);
}

/* The command that dates a field follows the one that makes it. */
static void date(shoal_batch *batch, const shoal_element *field, int64_t at_ms)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE], scratch[32];
    SHOAL_ASSERT(at_ms >= 0);
    shoal_slice argv[6] = {shoal_text("HPEXPIREAT"), batch->name};
    argv[2] = (shoal_slice){digits, shoal_text_from_i64(digits, at_ms)};
    argv[3] = shoal_text("FIELDS");
    argv[4] = shoal_text("1");
    argv[5] = shoal_element_text(field, scratch);
    shoal_aof_write_command(&batch->behind, argv, 6);
}

void shoal_batch_add_entry(shoal_batch *batch, shoal_buffer *out, const shoal_table_entry *entry)
{
    bool pairs = batch->word == words[SHOAL_TYPE_HASH];
    SHOAL_ASSERT(pairs || entry->deadline_ms < 0);
    gather(batch, &entry->name);
    if (pairs) gather(batch, &entry->value);
    if (entry->deadline_ms >= 0) date(batch, &entry->name, entry->deadline_ms);
    count(batch, out);
}

void shoal_batch_add_scored(shoal_batch *batch, shoal_buffer *out, const shoal_zset_entry *entry)
{
    const shoal_element score = shoal_element_of_double(entry->score);
    SHOAL_ASSERT(entry->score == entry->score);
    gather(batch, &score);
    shoal_aof_write_argument(&batch->arguments, entry->member);
    batch->count++;
    count(batch, out);
}

void shoal_batch_flush(shoal_batch *batch, shoal_buffer *out)
{
    SHOAL_ASSERT(batch->word != NULL);
    SHOAL_DEBUG_ASSERT(batch->elements > 0 || batch->count == 0);
    if (batch->count == 0) return;
    shoal_aof_write_begin(out, batch->count + 2);
    shoal_aof_write_argument(out, shoal_text(batch->word));
    shoal_aof_write_argument(out, batch->name);
    shoal_buffer_append(out, shoal_buffer_slice(&batch->arguments));
    shoal_buffer_append(out, shoal_buffer_slice(&batch->behind));
    if (batch->arguments.failed || batch->behind.failed) out->failed = true;
    shoal_buffer_consume(&batch->arguments, shoal_buffer_size(&batch->arguments));
    shoal_buffer_consume(&batch->behind, shoal_buffer_size(&batch->behind));
    batch->count = batch->elements = 0;
}

void shoal_batch_free(shoal_batch *batch)
{
    if (batch->word == NULL) return;
    shoal_buffer_free(&batch->arguments);
    shoal_buffer_free(&batch->behind);
    *batch = (shoal_batch){.word = NULL};
}
