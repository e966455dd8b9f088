/* SPDX-License-Identifier: MIT
 *
 * shoal/types.h - the words that every other header of Shoal is written in: errors, borrowed
 * bytes, time, the allocator and the growable buffer. Nothing here knows of slots or nodes.
 *
 * Threads: the values are plain data; a `shoal_buffer` belongs to one thread at a time.
 */
#ifndef SHOAL_TYPES_H
#define SHOAL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller must look at the result; the compiler says so when it is dropped. */
#define SHOAL_MUST_USE __attribute__((warn_unused_result))

/* Visible to users of the shared library; everything else is hidden. */
#define SHOAL_API __attribute__((visibility("default")))

/* Number of hash slots of a cluster: the key space is cut into this many parts. */
#define SHOAL_SLOTS 16384

/* Length in characters of a node's name (160 bits as lower-case hexadecimal digits). */
#define SHOAL_NODE_NAME_LEN 40

/* 0 or one of the negative SHOAL_ERR_ constants below. */
typedef int32_t shoal_err;

/* SHOAL_ERR_OK is 0; the rest, with their meaning, stand in shoal/error.def. */
enum {
#define SHOAL_ERROR(name, value, text) SHOAL_ERR_##name = (value),
#include <shoal/error.def>
#undef SHOAL_ERROR
};

/* The English text of `error`, or "unknown error". Never NULL; static storage. Any thread. */
SHOAL_API const char *shoal_err_text(shoal_err error);

/* Borrowed bytes: valid as long as the one who handed them over says. `data` may be NULL only
 * when `size` is 0. Not terminated by a zero. */
typedef struct shoal_slice {
    const char *data; /* first byte */
    size_t size;      /* bytes */
} shoal_slice;

/* One moment on the two clocks of a node. The monotonic clock drives timers and never goes
 * back; the wall clock decides expiry and may be stepped. Both in microseconds, >= 0;
 * `wall_us` counts from 1970-01-01 UTC. */
typedef struct shoal_time {
    int64_t mono_us;
    int64_t wall_us;
} shoal_time;

/* Wall-clock milliseconds of `now`: the unit of every TTL. */
static inline int64_t shoal_time_wall_ms(shoal_time now)
{
    return now.wall_us / 1000;
}

/* Where memory comes from. Handed in at creation, copied, and used for every byte that the
 * object owns. All functions may be called from any thread that the object is used from. */
typedef struct shoal_allocator {
    /* Passed back as the first argument of each function. */
    void *context;
    /* `size` > 0 bytes aligned to `alignment` (a power of two, at least 8), or NULL. */
    void *(*allocate)(void *context, size_t size, size_t alignment);
    /* As allocate, all bytes zero; large blocks should cost no memory until touched. */
    void *(*allocate_zeroed)(void *context, size_t size, size_t alignment);
    /* Gives back what allocate returned for the same `size` and `alignment`. Never NULL. Should not
     * take longer because the block is large. */
    void (*release)(void *context, void *memory, size_t size, size_t alignment);
    /* The bytes that a request of `size` really takes (its size class); >= `size`. Pure. */
    size_t (*usable_size)(void *context, size_t size, size_t alignment);
    /* True when moving the block elsewhere would let the allocator give memory back, because its
     * neighbours are mostly free. A hint; may be NULL: nothing is ever sparse. */
    bool (*is_sparse)(void *context, const void *memory, size_t size);
    /* Gives a large block another size without copying what it holds: it may lie elsewhere
     * afterwards. Asked for blocks only that were taken with an alignment of 4096, of at least
     * 256 KiB before and after; what comes to such a block, and what a new one holds, is zero.
     * NULL: it cannot be done, and nothing has changed. May be NULL: it never can, and no such
     * block is taken. */
    void *(*resize)(void *context, void *memory, size_t size, size_t size_new);
} shoal_allocator;

/* The allocator made of the C library's malloc family, for embedders that have no other; part
 * of the library but outside the engine's rooms. Any thread. */
SHOAL_API shoal_allocator shoal_allocator_default(void);

/* This moment on the clocks of the machine, for embedders that have no other; part of the library
 * but outside the engine's rooms. Any thread. */
SHOAL_API shoal_time shoal_time_now(void);

/* A slice of the characters of `text` before its zero, borrowed from it. */
SHOAL_API shoal_slice shoal_slice_of(const char *text);

/* The version of the library that is running, "0.1.0". Static storage. Any thread. */
SHOAL_API const char *shoal_version(void);

/* Bytes that grow at the end and are consumed at the front. `data[start .. end)` is the
 * content. Zero is a valid empty buffer once `allocator` is set; the owner calls
 * shoal_buffer_free. Growing failure is remembered in `failed`, so writers need not check each
 * append: the content is then incomplete and the owner must drop it. */
typedef struct shoal_buffer {
    char *data;
    size_t start;                     /* index of the first byte not yet consumed */
    size_t end;                       /* index after the last byte */
    size_t capacity;                  /* bytes allocated at `data` */
    const shoal_allocator *allocator; /* borrowed; outlives the buffer */
    bool failed;                      /* an append found no memory */
} shoal_buffer;

/* An empty buffer that will take its memory from `allocator`. Allocates nothing. */
SHOAL_API shoal_buffer shoal_buffer_make(const shoal_allocator *allocator);

/* Gives the memory back; the buffer is then empty and may be used again. */
SHOAL_API void shoal_buffer_free(shoal_buffer *buffer);

/* Room for at least `size` more bytes: returns where to write them, or NULL without memory
 * (and sets `failed`). The bytes count only after shoal_buffer_commit. Valid until the next
 * call that grows the buffer. */
SHOAL_API char *shoal_buffer_reserve(shoal_buffer *buffer, size_t size);

/* Adds `bytes` at the end. */
SHOAL_API void shoal_buffer_append(shoal_buffer *buffer, shoal_slice bytes);

/* Makes `size` bytes after the end, written into reserved room, part of the content. */
static inline void shoal_buffer_commit(shoal_buffer *buffer, size_t size)
{
    buffer->end += size;
}

/* Bytes of content. */
static inline size_t shoal_buffer_size(const shoal_buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* The content, borrowed until the buffer changes. */
static inline shoal_slice shoal_buffer_slice(const shoal_buffer *buffer)
{
    return (shoal_slice){buffer->data ? buffer->data + buffer->start : NULL,
                         buffer->end - buffer->start};
}

/* Drops `size` bytes (at most the content) from the front; an emptied buffer rewinds. */
static inline void shoal_buffer_consume(shoal_buffer *buffer, size_t size)
{
    buffer->start += size;
    if (buffer->start == buffer->end) buffer->start = buffer->end = 0;
}

#ifdef __cplusplus
}
#endif

#endif
