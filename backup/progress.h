/* SPDX-License-Identifier: MIT
 *
 * backup/progress.h - how far it is, for a person: a bar that moves on a terminal, a line every few
 * seconds elsewhere.
 */
#ifndef SHOAL_BACKUP_PROGRESS_H
#define SHOAL_BACKUP_PROGRESS_H

#include <shoal/types.h>

/* What is being told of. */
typedef struct shoal_progress {
    const char *what; /* "saving" */
    bool terminal, quiet;
    uint64_t total; /* bytes, 0: not known */
    uint64_t done;
    int64_t began_us, told_us;
} shoal_progress;

/* Begins; `quiet`: says nothing. */
shoal_progress shoal_progress__begin(const char *what, uint64_t total, bool quiet);
/* Some bytes more. Tells it now and then. */
void shoal_progress__add(shoal_progress *progress, uint64_t bytes);
/* The end: takes the bar away. */
void shoal_progress__end(shoal_progress *progress);
/* Prints a line of the report, unless it is quiet. */
void shoal_progress__say(const shoal_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
