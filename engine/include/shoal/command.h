/* SPDX-License-Identifier: MIT
 *
 * shoal/command.h - the commands of Redis without a socket: on a cache of shoal/cache.h, in your
 * own program. A call takes the arguments as a client would send them and appends the reply as a
 * client would get it; a small reader walks through the reply.
 *
 *     shoal_commands_options options = shoal_commands_options_default();
 *     options.allocator = shoal_allocator_default();
 *     shoal_commands *commands;
 *     if (shoal_commands_open(cache, &options, &commands) != 0) ...
 *
 *     shoal_buffer reply = shoal_buffer_make(&options.allocator);
 *     shoal_cache_enter(me, now);
 *     if (shoal_command_line(commands, me, "ZADD board 120 alice 95 bob", &reply) != 0) ...
 *     shoal_cache_leave(me);
 *     shoal_reply_part part;
 *     shoal_reply_reader reader = shoal_reply_read(&reply);
 *     while (shoal_reply_next(&reader, &part)) ...
 *
 * What runs: every command on keys and values (GET to ZUNIONSTORE; the cache is database 0 and the
 * only one), SCAN and KEYS, FLUSHALL and FLUSHDB, and PING, ECHO, TIME, COMMAND. What needs a
 * connection or a node (AUTH, MULTI, SUBSCRIBE, CONFIG, CLUSTER ...) is answered with an error.
 * Commands that wait for a key (BLPOP ...) never wait here: they answer at once, with a null when
 * there is nothing. What COMMAND DOCS lists is what the whole server knows.
 *
 * Threads: calls are made with a handle of the cache, between enter and leave, by any number of
 * threads at once; a shoal_commands never changes.
 */
#ifndef SHOAL_COMMAND_H
#define SHOAL_COMMAND_H

#include <shoal/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The commands over one cache. */
typedef struct shoal_commands shoal_commands;

/* How to make them. Take shoal_commands_options_default() and change fields. The thresholds are the
 * directives of redis.conf that have these names, with Redis's defaults. */
typedef struct shoal_commands_options {
    uint32_t cookie;           /* set by the default function, checked by open */
    uint32_t protocol;         /* of replies, 2 or 3 (maps, sets, doubles, nulls); default 3 */
    shoal_allocator allocator; /* for memory of calls; must be set; of the cache, or another one */
    uint32_t hash_max_listpack_entries, hash_max_listpack_value; /* 512, 64 */
    uint32_t set_max_intset_entries;                             /* 512 */
    uint32_t zset_max_listpack_entries, zset_max_listpack_value; /* 128, 64 */
    int32_t list_max_listpack_size;                              /* -2: 8 KiB */
} shoal_commands_options;

/* The defaults named above, with an empty allocator. Any thread. */
SHOAL_API shoal_commands_options shoal_commands_options_default(void);

/* Makes the commands over a cache, which must outlive them. 0, SHOAL_ERR_INVALID or
 * SHOAL_ERR_NO_MEMORY. Any thread. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_commands_open(shoal_cache *cache,
                                                       const shoal_commands_options *options,
                                                       shoal_commands **out);

/* Ends them; the cache stays as it is. NULL does nothing. No call may be under way. */
SHOAL_API void shoal_commands_close(shoal_commands *commands);

/* Runs a command: argv[0] is its name, in any case. Appends one reply to `reply`, an error of the
 * command is one too. 0, or without a reply and with nothing done: SHOAL_ERR_BUSY when another
 * thread is in the middle of a write to one of the slots, SHOAL_ERR_NO_MEMORY or SHOAL_ERR_INVALID
 * (no arguments). */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_command_run(shoal_commands *commands,
                                                     shoal_cache_thread *thread, size_t argc,
                                                     const shoal_slice *argv, shoal_buffer *reply);

/* The same for arguments in one line, separated by blanks, with "..." and '...' as redis-cli takes
 * them. SHOAL_ERR_MALFORMED for unbalanced quotes, SHOAL_ERR_TOO_LARGE for more than 1,024
 * words. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_command_line(shoal_commands *commands,
                                                      shoal_cache_thread *thread, const char *line,
                                                      shoal_buffer *reply);

/* ---- reading replies ---- */

/* What an element of a reply is. */
typedef enum shoal_reply_kind {
    SHOAL_REPLY_NULL = 0, /* there is nothing */
    SHOAL_REPLY_STATUS,   /* "OK" and its like, in `text` */
    SHOAL_REPLY_ERROR,    /* the command failed: `text` begins with a code, "ERR", "WRONGTYPE" */
    SHOAL_REPLY_STRING,   /* bytes in `text` */
    SHOAL_REPLY_INTEGER,  /* `integer` */
    SHOAL_REPLY_DOUBLE,   /* `number`, and its digits in `text`; in protocol 2 a STRING instead */
    SHOAL_REPLY_BOOLEAN,  /* `integer`, 0 or 1 */
    SHOAL_REPLY_ARRAY,    /* `count` elements follow */
    SHOAL_REPLY_SET,      /* the same, in no order */
    SHOAL_REPLY_MAP       /* the same: keys and values in turn */
} shoal_reply_kind;

/* One element. */
typedef struct shoal_reply_part {
    shoal_reply_kind kind;
    shoal_slice text; /* borrowed from the reply */
    int64_t integer;
    double number;
    size_t count; /* of ARRAY, SET and MAP: elements directly below it */
} shoal_reply_part;

/* Where a walk through replies is. */
typedef struct shoal_reply_reader {
    shoal_slice rest; /* not yet read; borrowed */
} shoal_reply_reader;

/* Begins at the first reply in a buffer, which must not change meanwhile. Any thread. */
SHOAL_API shoal_reply_reader shoal_reply_read(const shoal_buffer *replies);

/* The next element, in the order of the text: an array, then what is in it. False at the end, and
 * where the bytes are no reply. */
SHOAL_API bool shoal_reply_next(shoal_reply_reader *reader, shoal_reply_part *part);

/* Goes over the next element with all that is in it. False as shoal_reply_next. */
SHOAL_API bool shoal_reply_skip(shoal_reply_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
