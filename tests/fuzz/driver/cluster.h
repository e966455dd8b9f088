/* SPDX-License-Identifier: MIT
 *
 * One cluster opinion behind a small host that keeps the rules of shoal/host.h: links come up,
 * carry bytes and go down, files are finished in order, and nothing happens unless the target
 * says so. What the opinion sends is checked: only whole frames that decode.
 */
#ifndef SHOAL_FUZZ_CLUSTER_H
#define SHOAL_FUZZ_CLUSTER_H

#include <stdio.h>

#include "cluster/cluster.h"
#include "fuzz/driver/fuzz.h"

/* Links in all, and file operations at a time; chosen far above what an input can cause. */
#define FUZZ_LINKS_MAX 4096
#define FUZZ_FILES_MAX 16

/* How far a link is. The host closes at once, but the news of it comes later. */
typedef enum fuzz_link_state {
    FUZZ_LINK_OPENING = 1,
    FUZZ_LINK_UP,
    FUZZ_LINK_CLOSED
} fuzz_link_state;

/* The world of one opinion. */
typedef struct fuzz_cluster {
    test_heap heap;
    shoal_allocator allocator;
    shoal_host host;
    shoal_cluster *cluster;
    shoal_time now;
    uint8_t links[FUZZ_LINKS_MAX];     /* fuzz_link_state by id; 0: unknown, or its end was told */
    uint32_t link_count;               /* ids 1 .. link_count were given out */
    shoal_event files[FUZZ_FILES_MAX]; /* a ring */
    uint32_t file_first, file_end;     /* those not yet told; counted without end */
} fuzz_cluster;

static inline void fuzz_nudge(void *context, shoal_actor actor)
{
    (void)context;
    (void)actor;
}

static inline shoal_link fuzz_link_add(fuzz_cluster *f, fuzz_link_state state)
{
    SHOAL_ASSERT(f->link_count + 1 < FUZZ_LINKS_MAX);
    f->links[++f->link_count] = (uint8_t)state;
    return f->link_count;
}

static inline shoal_link fuzz_link_open(void *context, const shoal_address *peer)
{
    SHOAL_ASSERT(memchr(peer->ip, '\0', sizeof(peer->ip)) != NULL);
    return fuzz_link_add(context, FUZZ_LINK_OPENING);
}

static inline void fuzz_link_send(void *context, shoal_link link, shoal_slice bytes)
{
    fuzz_cluster *f = context;
    SHOAL_ASSERT(link >= 1 && link <= f->link_count);
    while (bytes.size) {
        size_t size = 0;
        shoal_frame frame;
        shoal_frame_error error;
        SHOAL_ASSERT(shoal_frame_size(bytes, &size, &error) == SHOAL_ERR_OK);
        SHOAL_ASSERT(size <= bytes.size);
        SHOAL_ASSERT(shoal_frame_decode((shoal_slice){bytes.data, size}, &frame, &error) ==
                     SHOAL_ERR_OK);
        bytes.data += size;
        bytes.size -= size;
    }
}

static inline void fuzz_link_close(void *context, shoal_link link)
{
    fuzz_cluster *f = context;
    SHOAL_ASSERT(link >= 1 && link <= f->link_count);
    if (f->links[link]) f->links[link] = FUZZ_LINK_CLOSED;
}

static inline void fuzz_file(fuzz_cluster *f, shoal_file file, shoal_file_op op, uint64_t tag)
{
    SHOAL_ASSERT(f->file_end - f->file_first < FUZZ_FILES_MAX);
    f->files[f->file_end++ % FUZZ_FILES_MAX] =
        (shoal_event){.kind = SHOAL_EVENT_FILE_DONE, .file = file, .op = op, .tag = tag};
}

static inline void fuzz_file_append(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    (void)bytes;
    fuzz_file(context, file, SHOAL_FILE_APPEND, tag);
}

static inline void fuzz_file_sync(void *context, shoal_file file, uint64_t tag)
{
    fuzz_file(context, file, SHOAL_FILE_SYNC, tag);
}

static inline void fuzz_file_read(void *context, shoal_file file, uint64_t tag)
{
    fuzz_file(context, file, SHOAL_FILE_READ, tag);
}

static inline void fuzz_file_rename(void *context, shoal_file from, shoal_file to, uint64_t tag)
{
    (void)to;
    fuzz_file(context, from, SHOAL_FILE_RENAME, tag);
}

static inline void fuzz_file_remove(void *context, shoal_file file, uint64_t tag)
{
    fuzz_file(context, file, SHOAL_FILE_REMOVE, tag);
}

static inline void fuzz_trace(void *context, const shoal_trace_record *record)
{
    (void)context;
    SHOAL_ASSERT(shoal_trace_name(record->kind) != NULL);
    SHOAL_ASSERT(record->text.size <= SHOAL_TRACE_TEXT_MAX);
}

/* Makes an opinion that is not yet anybody. `seed` names it. */
static inline fuzz_cluster *fuzz_cluster_open(uint64_t seed)
{
    fuzz_cluster *f = calloc(1, sizeof(*f));
    SHOAL_ASSERT(f != NULL);
    f->allocator = test_allocator(&f->heap);
    f->host = (shoal_host){.context = f,
                           .nudge = fuzz_nudge,
                           .link_open = fuzz_link_open,
                           .link_send = fuzz_link_send,
                           .link_close = fuzz_link_close,
                           .file_append = fuzz_file_append,
                           .file_sync = fuzz_file_sync,
                           .file_read = fuzz_file_read,
                           .file_rename = fuzz_file_rename,
                           .file_remove = fuzz_file_remove,
                           .trace = fuzz_trace};
    f->now = (shoal_time){1000000, INT64_C(1700000000000000)};
    shoal_cluster_options options = {.allocator = f->allocator,
                                     .host = &f->host,
                                     .seed = {seed, 1},
                                     .settings = {.port = 7000,
                                                  .bus_port = 17000,
                                                  .node_timeout_ms = 2000,
                                                  .require_full_coverage = true},
                                     .now = f->now};
    SHOAL_ASSERT(shoal_cluster_create(&options, &f->cluster) == SHOAL_ERR_OK);
    return f;
}

/* Ends it and checks that it owned nothing more. */
static inline void fuzz_cluster_close(fuzz_cluster *f)
{
    shoal_cluster_destroy(f->cluster);
    SHOAL_ASSERT(f->heap.blocks == 0);
    free(f);
}

/* What the opinion would save must be what it can load, and then saves again. */
static inline void fuzz_cluster_saves_what_it_can_load(const fuzz_cluster *f)
{
    fuzz_cluster *again = fuzz_cluster_open(2);
    shoal_buffer text = shoal_buffer_make(&again->allocator);
    shoal_buffer text_again = shoal_buffer_make(&again->allocator);
    shoal_buffer complaint = shoal_buffer_make(&again->allocator);
    shoal_cluster_save_text(f->cluster, &text);
    shoal_err error = shoal_cluster_load(again->cluster, shoal_buffer_slice(&text), &complaint);
    if (error) {
        shoal_slice saved = shoal_buffer_slice(&text), said = shoal_buffer_slice(&complaint);
        fprintf(stderr, "%.*s\n%.*s\n", (int)saved.size, saved.data, (int)said.size, said.data);
    }
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    shoal_cluster_save_text(again->cluster, &text_again);
    shoal_buffer_free(&complaint);
    /* Loading forgets when peers were last heard, so lines are compared after one more round. */
    fuzz_cluster *third = fuzz_cluster_open(3);
    shoal_buffer text_third = shoal_buffer_make(&again->allocator);
    error = shoal_cluster_load(third->cluster, shoal_buffer_slice(&text_again), &complaint);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    shoal_cluster_save_text(third->cluster, &text_third);
    SHOAL_ASSERT(
        shoal_text_equal(shoal_buffer_slice(&text_again), shoal_buffer_slice(&text_third)));
    shoal_buffer_free(&text);
    shoal_buffer_free(&text_again);
    shoal_buffer_free(&text_third);
    shoal_buffer_free(&complaint);
    fuzz_cluster_close(third);
    fuzz_cluster_close(again);
}

#endif
