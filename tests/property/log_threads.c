/* SPDX-License-Identifier: MIT
 *
 * Three threads write to the log, one of them for two databases in turn, while another reads what
 * is committed and trims. Every writer's pieces arrive whole, in its order, behind the right
 * SELECT.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/prng.h"
#include "log/log.h"
#include "support/allocator.h"
#include "support/test.h"

#define WRITERS 3u
#define PIECES 30000u
#define PIECE_MAX 600u

typedef struct world {
    test_heap heap;
    shoal_log *log;
    shoal_log_reader reader;
    _Atomic uint32_t running;
    char *got;
    size_t size, capacity;
} world;

typedef struct writer {
    world *world;
    uint32_t index;
} writer;

/* A piece: "<writer><database><number as 8 digits><length as 4 digits>" and so many dots. */
static void *write_pieces(void *argument)
{
    const writer *me = argument;
    shoal_prng prng = shoal_prng_make((const uint64_t[2]){1, 2}, me->index, 1);
    for (uint32_t i = 0; i < PIECES; i++) {
        char text[PIECE_MAX + 32];
        uint32_t db = me->index == 0 ? i % 2 : 1;
        uint32_t length = (uint32_t)shoal_prng_below(&prng, PIECE_MAX);
        int head = snprintf(text, 32, "%u%u%08u%04u", me->index, db, i, length);
        memset(text + head, '.', length);
        shoal_slice slices[2] = {{text, (size_t)head}, {text + head, length}};
        if (shoal_log_append(me->world->log, me->index, db, slices, 2) == 0) abort();
    }
    (void)shoal_sub_release(&me->world->running, 1u); /* pair: test.running */
    return NULL;
}

/* Takes the whole pieces off what has been read. */
static void take_pieces(world *w, uint32_t next[WRITERS], char *db)
{
    size_t at = 0;
    while (at + 23 <= w->size) {
        if (w->got[at] == '*') {
            *db = w->got[at + 20];
            at += 23;
            continue;
        }
        unsigned index, database, number, length;
        char head[15] = {0};
        memcpy(head, w->got + at, 14);
        assert_int_equal(sscanf(head, "%1u%1u%8u%4u", &index, &database, &number, &length), 4);
        if (at + 14 + length > w->size) break;
        assert_int_equal(number, next[index]);
        next[index]++;
        assert_int_equal(database, *db - '0');
        for (size_t i = 0; i < length; i++)
            if (w->got[at + 14 + i] != '.') fail_msg("a byte of piece %u is another", number);
        at += 14 + length;
    }
    if (at > 0) memmove(w->got, w->got + at, w->size - at);
    w->size -= at;
}

static void read_all(world *w)
{
    uint32_t next[WRITERS] = {0};
    char db = 0;
    bool last = false;
    while (!last) {
        last = shoal_load_acquire(&w->running) == 0; /* pair: test.running */
        uint64_t committed = shoal_log_committed(w->log);
        for (;;) {
            shoal_slice bytes = shoal_log_peek(w->log, &w->reader, committed);
            if (bytes.size == 0) break;
            if (w->size + bytes.size > w->capacity)
                w->got = realloc(w->got, w->capacity = 2 * (w->size + bytes.size));
            memcpy(w->got + w->size, bytes.data, bytes.size);
            w->size += bytes.size;
            shoal_log_skip(&w->reader, bytes.size);
        }
        take_pieces(w, next, &db);
        (void)shoal_log_trim(w->log, 0);
    }
    /* The last piece may be shorter than the room of a SELECT that is looked for first. */
    w->got = realloc(w->got, w->size + 64);
    memset(w->got + w->size, '*', 64);
    w->size += 23;
    take_pieces(w, next, &db);
    for (uint32_t i = 0; i < WRITERS; i++) assert_int_equal(next[i], PIECES);
    free(w->got);
}

static void pieces_of_many_writers_arrive_whole_and_in_order(void **state)
{
    (void)state;
    static world w;
    shoal_log_options options = {.allocator = test_allocator(&w.heap),
                                 .writers = WRITERS,
                                 .segment_bits = 14};
    assert_int_equal(shoal_log_create(&options, &w.log), SHOAL_ERR_OK);
    shoal_log_want(w.log, 1);
    assert_true(shoal_log_reader_open(w.log, &w.reader, 0));
    shoal_store_relaxed(&w.running, WRITERS);
    pthread_t threads[WRITERS];
    writer writers[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer){&w, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_pieces, &writers[i]), 0);
    }
    read_all(&w);
    for (uint32_t i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
    shoal_log_reader_close(w.log, &w.reader);
    shoal_log_destroy(w.log);
    assert_int_equal(w.heap.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_many_writers_arrive_whole_and_in_order),
    };
    return cmocka_run_group_tests_name("log_threads", tests, NULL, NULL);
}
