/* SPDX-License-Identifier: MIT
 *
 * node/log.h - log lines as Redis's tooling expects them:
 *     PID:ROLE DD Mon YYYY HH:MM:SS.mmm * message
 * One write per line, so that lines of several threads never mix. Any thread.
 */
#ifndef SHOAL_NODE_LOG_H
#define SHOAL_NODE_LOG_H

#include <shoal/types.h>

#include "base/atomic.h"

/* Levels, as in trace records of kind LOG. */
typedef enum shoal_log_level {
    SHOAL_LOG_DEBUG = 0,
    SHOAL_LOG_VERBOSE = 1,
    SHOAL_LOG_NOTICE = 2,
    SHOAL_LOG_WARNING = 3
} shoal_log_level;

/* Where lines go. Zero writes debug lines to standard input: call shoal_log__open. */
typedef struct shoal_log {
    int descriptor;
    char role;              /* C starting, M master, S replica */
    _Atomic uint32_t level; /* lines below are dropped; relaxed */
} shoal_log;

/* Lines to standard output, from notice on. */
void shoal_log__open(shoal_log *log);

/* Lines to the end of `path` from now on; an empty path means standard output. 0 or
 * SHOAL_ERR_IO with errno set. Before other threads log. */
SHOAL_MUST_USE shoal_err shoal_log__to_file(shoal_log *log, const char *path);

/* Sets the level by its name in redis.conf; an unknown name changes nothing. */
void shoal_log__set_level(shoal_log *log, const char *name);

/* Writes one line. */
void shoal_log__write(const shoal_log *log, shoal_log_level level, shoal_slice message);

/* Writes one line, formatted as printf does; cut after 1000 bytes. */
void shoal_log__say(const shoal_log *log, shoal_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
