/* SPDX-License-Identifier: MIT
 *
 * backup/progress.h on standard error, so that standard output has the report alone.
 */
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "peer.h"

/* Between two looks at the bar, and between two lines. */
#define BAR_US 100000
#define LINE_US 5000000
#define BAR_WIDTH 30

shoal_progress shoal_progress__begin(const char *what, uint64_t total, bool quiet)
{
    int64_t now = shoal_backup__now_us();
    return (shoal_progress){.what = what,
                            .terminal = isatty(STDERR_FILENO) == 1,
                            .quiet = quiet,
                            .total = total,
                            .began_us = now,
                            .told_us = now};
}

static void tell(const shoal_progress *progress, double seconds)
{
    double megabytes = (double)progress->done / 1e6, rate = seconds > 0 ? megabytes / seconds : 0;
    if (progress->terminal) fprintf(stderr, "\r\033[K");
    fprintf(stderr, "%s ", progress->what);
    if (progress->total > 0) {
        double part = (double)progress->done / (double)progress->total;
        int filled = (int)(part * BAR_WIDTH);
        if (filled > BAR_WIDTH) filled = BAR_WIDTH;
        fprintf(stderr, "[%.*s%*s] %3.0f %% ", filled,
                "==============================", BAR_WIDTH - filled, "", part * 100);
    }
    fprintf(stderr, "%.1f MB, %.1f MB/s%s", megabytes, rate, progress->terminal ? "" : "\n");
    fflush(stderr);
}

void shoal_progress__add(shoal_progress *progress, uint64_t bytes)
{
    int64_t now = shoal_backup__now_us();
    progress->done += bytes;
    if (progress->quiet) return;
    if (now - progress->told_us < (progress->terminal ? BAR_US : LINE_US)) return;
    progress->told_us = now;
    tell(progress, (double)(now - progress->began_us) / 1e6);
}

void shoal_progress__end(shoal_progress *progress)
{
    if (progress->terminal && !progress->quiet) fprintf(stderr, "\r\033[K");
    progress->total = 0;
}

void shoal_progress__say(const shoal_progress *progress, const char *format, ...)
{
    va_list arguments;
    if (progress->quiet) return;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}
