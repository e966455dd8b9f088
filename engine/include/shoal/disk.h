/* SPDX-License-Identifier: MIT
 *
 * shoal/disk.h - a cache that is kept on disk: shoal/cache.h on a directory, in your own program,
 * without a server. What is there is loaded when it is opened; what is written to the cache, by
 * shoal/cache.h or by shoal/command.h, is appended to a file. The files are those of Redis 7 and
 * of shoal-server with `appendonly yes`: a server that is started in the directory serves the
 * data, and what a server has left there can be opened.
 *
 *     shoal_cache_options cache = shoal_cache_options_default();
 *     cache.allocator = shoal_allocator_default();
 *     shoal_disk_options options = shoal_disk_options_default();
 *     options.directory = "/var/lib/sessions";
 *     shoal_disk *disk;
 *     if (shoal_disk_open(&cache, &options, &disk) != 0) ...
 *
 *     shoal_cache_thread *me = shoal_cache_thread_at(shoal_disk_cache(disk), 0);
 *     shoal_cache_enter(me, shoal_time_now());
 *     ... put, remove, increment: as ever ...
 *     shoal_cache_leave(me);                    the process may die from here on
 *     if (shoal_disk_sync(disk) == 0) ...       and the machine from here on
 *
 * What is promised. A write is in the file, as the kernel has it, when the leave of its batch
 * returns, unless the disk is in trouble: the death of the process loses nothing of it. It is
 * on the disk when a shoal_disk_sync that was called behind the leave returns 0: then the loss
 * of power does not lose it either. Many threads that call it share the syncs of the disk. What
 * has been written and not been synced is lost from its end only: what is found again is what
 * the cache held at some moment. A put that was handed over (shoal_cache_put_later) counts as
 * written from the call of its `done` on.
 *
 * What is different from a cache without a disk: the writes of one thread may return SHOAL_ERR_BUSY
 * too, for some microseconds when the files are rewritten; and all writes return why (SHOAL_ERR_IO,
 * SHOAL_ERR_NO_SPACE, SHOAL_ERR_NO_MEMORY) while they could not be made safe. Reads go on. It is
 * tried again once a second, and a sync that failed is not taken for one that has not been: what
 * it was about is written anew.
 *
 * Threads: an open disk has some of its own, which block all signals: one that sees to syncs and
 * rewrites, two that wait for the disk, and while it loads a few more. Functions are for any
 * thread, unless they say otherwise. A child that was made by fork must not use it.
 */
#ifndef SHOAL_DISK_H
#define SHOAL_DISK_H

#include <shoal/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A cache on a directory. */
typedef struct shoal_disk shoal_disk;

/* When what was appended is synced without being asked for: appendfsync. */
typedef enum shoal_disk_policy {
    SHOAL_DISK_EVERYSEC = 0, /* once a second: loss of power costs two seconds at most */
    SHOAL_DISK_ALWAYS,       /* as soon as can be: shoal_disk_sync only waits for it */
    SHOAL_DISK_NO            /* when the system likes */
} shoal_disk_policy;

/* What a line says: see shoal_disk_options.say. */
typedef enum shoal_disk_level {
    SHOAL_DISK_DEBUG = 0,
    SHOAL_DISK_VERBOSE,
    SHOAL_DISK_NOTICE,
    SHOAL_DISK_WARNING
} shoal_disk_level;

/* How to keep a cache. Take shoal_disk_options_default() and change fields; the names are the
 * directives of redis.conf in shorter words, with Redis's defaults. Strings are borrowed for the
 * call. */
typedef struct shoal_disk_options {
    uint32_t cookie;          /* set by the default function, checked by open */
    shoal_disk_policy policy; /* default EVERYSEC */
    const char *directory;    /* must be set; made if only its last part is missing */
    const char *file_name;    /* "appendonly.aof" */
    const char *folder_name;  /* of the files, in the directory: "appendonlydir" */
    bool load_truncated;      /* a torn end is cut off, not refused: true */
    bool compress;            /* strings in what is rewritten: true */
    uint32_t rewrite_percent; /* rewrite when so much larger than after the last one; 0: never;
                                  100 */
    uint64_t rewrite_bytes;   /* and larger than this: 64 MiB */
    /* Is told what happens, in lines that a person reads: why it cannot be opened, what was cut
     * off, rewrites, trouble of the disk. On any thread, one at a time; it must not call functions
     * of this disk or its cache. NULL, the default: nobody is told. */
    void (*say)(void *context, shoal_disk_level level, const char *line);
    void *say_context;
} shoal_disk_options;

/* The defaults named above, without a directory. */
SHOAL_API shoal_disk_options shoal_disk_options_default(void);

/* Opens a directory: makes a cache, and loads what is there. It takes as long as that takes.
 * `cache` as for shoal_cache_open, with 1..129 threads. 0; SHOAL_ERR_INVALID; SHOAL_ERR_NO_MEMORY;
 * SHOAL_ERR_BUSY when another shoal_disk or a shoal-server uses it; SHOAL_ERR_IO when the directory
 * cannot be used; SHOAL_ERR_CORRUPT when what is in the files cannot be: options.say has been told
 * where and why, and nothing has been changed. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_disk_open(const shoal_cache_options *cache,
                                                   const shoal_disk_options *options,
                                                   shoal_disk **out);

/* Syncs everything, and ends the disk and its cache; as shoal_cache_close, no other thread may use
 * either any more. 0, or why not everything is on the disk: it has ended in any case. NULL does
 * nothing. */
SHOAL_API shoal_err shoal_disk_close(shoal_disk *disk);

/* The cache, which the disk owns: it is not to be closed. Its last handle is not for embedders:
 * there are as many as were asked for. */
SHOAL_API shoal_cache *shoal_disk_cache(shoal_disk *disk);

/* Waits until everything that was written before is durable, by whichever thread, if its batch has
 * been left. 0, or why it is not; then it may still become so later. Outside of a batch: it sleeps
 * as long as the disk takes. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_disk_sync(shoal_disk *disk);

/* For those who must not sleep: a place behind everything that has been written so far, */
SHOAL_API uint64_t shoal_disk_written(const shoal_disk *disk);
/* and the place before which everything is durable. With ALWAYS it comes by itself. */
SHOAL_API uint64_t shoal_disk_durable(const shoal_disk *disk);

/* 0, or why writes are refused now. */
SHOAL_API shoal_err shoal_disk_trouble(const shoal_disk *disk);

/* Lets the files be rewritten, in the background, as BGREWRITEAOF. */
SHOAL_API void shoal_disk_rewrite(shoal_disk *disk);

/* What is known of the files. */
typedef struct shoal_disk_stats {
    uint64_t bytes;           /* of the files */
    uint64_t bytes_base;      /* of them, when they were rewritten or opened last */
    uint64_t rewrites;        /* that have ended well, so far */
    uint64_t rewrites_failed; /* one after the other, now */
    uint64_t keys_loaded;     /* from a base that is a snapshot, when it was opened */
    uint64_t keys_expired;    /* of those, left out because their time was over */
    bool rewriting;           /* now */
} shoal_disk_stats;

/* Fills `*out` with what was so some milliseconds ago. */
SHOAL_API void shoal_disk_stats_get(shoal_disk *disk, shoal_disk_stats *out);

#ifdef __cplusplus
}
#endif

#endif
