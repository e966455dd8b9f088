/* SPDX-License-Identifier: MIT
 *
 * Random values survive being written and read, alone and in files that arrive in random chunks;
 * random damage of a payload is found by its checksum, and where that is not looked at, what is
 * read is a whole value or nothing.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rdb/crc64.h"
#include "rdb/file.h"
#include "support/allocator.h"

#define ROUNDS 400
#define NOW_MS 1000

static const shoal_rdb_style style = {.compress = true,
                                      .list = {.bytes_max = 512, .count_max = 40},
                                      .now_ms = NOW_MS};

/* What a test uses. */
typedef struct world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_prng prng;
    shoal_rdb_loader loader;
    shoal_buffer payload; /* of a random value, made by hand as the plainest encoding has it */
} world;

static void open_loader(world *w, shoal_rdb_loader *loader)
{
    shoal_rdb_loader_open(loader, &w->allocator, &w->allocator, &w->prng);
    loader->limits = (shoal_rdb_limits){.set = {.entries = 20},
                                        .hash = {.entries = 20, .value_size = 64},
                                        .zset = {.entries = 20, .member_size = 64},
                                        .list = style.list};
}

static int open_world(void **state)
{
    world *w = calloc(1, sizeof(*w));
    w->allocator = test_allocator(&w->heap);
    w->prng = shoal_prng_make((const uint64_t[2]){20261122, 7}, 0, 0);
    w->payload = shoal_buffer_make(&w->allocator);
    open_loader(w, &w->loader);
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    world *w = *state;
    shoal_rdb_loader_close(&w->loader);
    shoal_buffer_free(&w->payload);
    assert_int_equal(w->heap.blocks, 0);
    free(w);
    return 0;
}

/* ---- random values ---- */

static uint64_t below(world *w, uint64_t n)
{
    return shoal_prng_below(&w->prng, n);
}

/* A string that no other with a different number is. */
static void write_text(world *w, uint32_t number, bool distinct)
{
    char text[700];
    size_t size;
    if (below(w, 2) == 0) {
        int64_t value = (int64_t)shoal_prng_next(&w->prng) >> below(w, 64);
        if (distinct) value = (int64_t)number * 1000 - 30000;
        size = (size_t)snprintf(text, sizeof(text), "%lld", (long long)value);
    } else {
        size = (size_t)snprintf(text, sizeof(text), "%u:", distinct ? number : 0);
        size_t more = below(w, below(w, 8) == 0 ? 600 : 50);
        memset(text + size, 'a' + (int)below(w, 3), more);
        size += more;
    }
    shoal_rdb_write_string(&w->payload, (shoal_slice){text, size}, below(w, 2) == 0);
}

static void make_payload(world *w)
{
    static const char kinds[] = {SHOAL_RDB_STRING, SHOAL_RDB_LIST, SHOAL_RDB_SET, SHOAL_RDB_HASH,
                                 SHOAL_RDB_ZSET_2};
    char kind = kinds[below(w, sizeof(kinds))], foot[10] = {10};
    uint32_t count = 1 + (uint32_t)below(w, below(w, 4) == 0 ? 300 : 30);
    w->payload.start = w->payload.end = 0;
    shoal_buffer_append(&w->payload, (shoal_slice){&kind, 1});
    if (kind == SHOAL_RDB_STRING) count = 1;
    if (kind != SHOAL_RDB_STRING) shoal_rdb_write_length(&w->payload, count);
    for (uint32_t i = 0; i < count; i++) {
        write_text(w, i, kind != SHOAL_RDB_STRING && kind != SHOAL_RDB_LIST);
        if (kind == SHOAL_RDB_HASH) write_text(w, i, false);
        if (kind != SHOAL_RDB_ZSET_2) continue;
        double score = (double)(int64_t)below(w, 40) / 4 - 5;
        shoal_buffer_append(&w->payload, (shoal_slice){(const char *)&score, sizeof(score)});
    }
    shoal_buffer_append(&w->payload, (shoal_slice){foot, sizeof(foot)});
}

/* A random value in w->loader. */
static shoal_rdb_value make_value(world *w)
{
    make_payload(w);
    shoal_slice payload = shoal_buffer_slice(&w->payload);
    assert_int_equal(shoal_rdb_read_payload(&w->loader, payload), SHOAL_RDB_OK);
    return shoal_rdb_loader_value(&w->loader);
}

/* ---- what a value is ---- */

static void add_part(void *context, shoal_slice part)
{
    *(uint64_t *)context += shoal_crc64(part.size + 1, part);
}

/* The same for equal content; of lists, in order. */
static uint64_t digest(const shoal_rdb_value *value)
{
    uint64_t sum = value->type;
    if (value->type == SHOAL_TYPE_STRING) return shoal_crc64(sum, value->string);
    if (value->type == SHOAL_TYPE_LIST) {
        shoal_list_cursor cursor;
        shoal_element element;
        shoal_list_seek(&cursor, &value->compound, 0, false);
        while (shoal_list_next(&cursor, &element)) {
            char scratch[32];
            sum = shoal_crc64(sum + 1, shoal_element_text(&element, scratch));
        }
        return sum;
    }
    shoal_value_ops_of(value->type)->visit(&value->compound, add_part, &sum);
    return sum;
}

static const char *encoding(const shoal_rdb_value *value)
{
    if (value->type == SHOAL_TYPE_STRING) return "";
    return shoal_value_ops_of(value->type)->encoding(&value->compound);
}

/* ---- facts ---- */

static void a_value_survives_being_written_and_read(void **state)
{
    world *w = *state;
    shoal_rdb_loader other;
    open_loader(w, &other);
    for (int round = 0; round < ROUNDS; round++) {
        shoal_rdb_value value = make_value(w);
        shoal_buffer out = shoal_buffer_make(&w->allocator);
        shoal_rdb_write_payload(&out, &value, &style);
        shoal_slice payload = shoal_buffer_slice(&out);
        assert_true(shoal_rdb_check_payload(payload, true));
        assert_int_equal(shoal_rdb_read_payload(&other, payload), SHOAL_RDB_OK);
        shoal_rdb_value again = shoal_rdb_loader_value(&other);
        assert_true(digest(&again) == digest(&value));
        assert_string_equal(encoding(&again), encoding(&value));
        shoal_buffer_free(&out);
    }
    shoal_rdb_loader_close(&other);
}

static void damage_is_found_or_harmless(void **state)
{
    world *w = *state;
    shoal_rdb_loader other;
    open_loader(w, &other);
    for (int round = 0; round < 10 * ROUNDS; round++) {
        shoal_rdb_value value = make_value(w);
        shoal_buffer out = shoal_buffer_make(&w->allocator);
        shoal_rdb_write_payload(&out, &value, &style);
        size_t size = shoal_buffer_size(&out);
        for (int i = 0; i < 10; i++) {
            /* All but the version. */
            size_t at = below(w, size - 10);
            char *byte = out.data + out.start + at, was = *byte;
            *byte ^= (char)(1 + below(w, 255));
            shoal_slice payload = shoal_buffer_slice(&out);
            assert_false(shoal_rdb_check_payload(payload, true));
            if (shoal_rdb_read_payload(&other, payload) == SHOAL_RDB_OK) {
                value = shoal_rdb_loader_value(&other);
                (void)digest(&value);
            }
            *byte = was;
        }
        shoal_buffer_free(&out);
    }
    shoal_rdb_loader_close(&other);
}

#define FILE_KEYS 60

static void write_file(world *w, shoal_buffer *file, uint64_t digests[FILE_KEYS])
{
    uint64_t crc;
    shoal_rdb_write_header(file);
    shoal_rdb_write_aux(file, (shoal_slice){"redis-ver", 9}, (shoal_slice){"7.0.15", 6});
    for (uint32_t i = 0; i < FILE_KEYS; i++) {
        char name[16];
        size_t size = (size_t)snprintf(name, sizeof(name), "key:%u", i);
        if (i % 20 == 0) {
            shoal_rdb_write_database(file, i / 20);
            shoal_rdb_write_sizes(file, 20, 10);
        }
        shoal_rdb_key key = {.name = {name, size},
                             .value = make_value(w),
                             .expires_ms = i % 2 == 0 ? 5000 + (int64_t)i : -1};
        digests[i] = digest(&key.value);
        shoal_rdb_write_key(file, &key, &style);
    }
    crc = shoal_crc64(0, shoal_buffer_slice(file));
    shoal_rdb_write_end(file, &crc);
    assert_false(file->failed);
}

/* What is met when the file arrives in chunks of at most `most` bytes is what was written. */
static void read_file(world *w, shoal_slice file, size_t most, const uint64_t digests[FILE_KEYS])
{
    shoal_rdb_decoder decoder;
    shoal_rdb_decoder_open(&decoder, &w->allocator, &w->allocator, &w->prng);
    decoder.loader.limits = w->loader.limits;
    uint32_t keys = 0, facts = 0;
    shoal_rdb_event event;
    while ((event = shoal_rdb_decoder_next(&decoder)) != SHOAL_RDB_EVENT_END) {
        assert_int_not_equal(event, SHOAL_RDB_EVENT_FAILED);
        if (event == SHOAL_RDB_EVENT_KEY) {
            shoal_rdb_value value = shoal_rdb_loader_value(&decoder.loader);
            assert_true(digest(&value) == digests[keys]);
            assert_int_equal(decoder.db, keys / 20);
            assert_int_equal(decoder.expires_ms, keys % 2 == 0 ? 5000 + (int64_t)keys : -1);
            keys++;
        }
        facts += event == SHOAL_RDB_EVENT_AUX || event == SHOAL_RDB_EVENT_SIZES;
        if (event != SHOAL_RDB_EVENT_MORE) continue;
        assert_true(file.size > 0);
        size_t size = 1 + below(w, most);
        if (size > file.size) size = file.size;
        shoal_rdb_decoder_feed(&decoder, (shoal_slice){file.data, size});
        file.data += size;
        file.size -= size;
    }
    assert_int_equal(keys, FILE_KEYS);
    assert_int_equal(facts, 4);
    assert_int_equal(file.size + shoal_rdb_decoder_rest(&decoder).size, 0);
    shoal_rdb_decoder_close(&decoder);
}

static void a_file_is_read_whatever_the_chunks(void **state)
{
    world *w = *state;
    uint64_t digests[FILE_KEYS];
    for (int round = 0; round < 20; round++) {
        shoal_buffer file = shoal_buffer_make(&w->allocator);
        write_file(w, &file, digests);
        read_file(w, shoal_buffer_slice(&file), 1, digests);
        read_file(w, shoal_buffer_slice(&file), 40, digests);
        read_file(w, shoal_buffer_slice(&file), 1 << 20, digests);
        shoal_buffer_free(&file);
    }
}

static void without_memory_nothing_is_half_read(void **state)
{
    world *w = *state;
    for (int round = 0; round < ROUNDS; round++) {
        make_payload(w);
        w->heap.fail_after = w->heap.calls + 1 + (int64_t)below(w, 30);
        shoal_rdb_status status =
            shoal_rdb_read_payload(&w->loader, shoal_buffer_slice(&w->payload));
        assert_true(status == SHOAL_RDB_OK || status == SHOAL_RDB_NO_MEMORY);
        w->heap.fail_after = 0;
        shoal_rdb_loader_drop(&w->loader);
    }
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        FACT(a_value_survives_being_written_and_read),
        FACT(damage_is_found_or_harmless),
        FACT(a_file_is_read_whatever_the_chunks),
        FACT(without_memory_nothing_is_half_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
