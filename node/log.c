/* SPDX-License-Identifier: MIT
 *
 * node/log.h: a line is put together on the stack and leaves in one writev.
 */
#include "log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

void shoal_log__open(shoal_log *log)
{
    log->descriptor = STDOUT_FILENO;
    log->role = 'C';
    shoal_store_relaxed(&log->level, SHOAL_LOG_NOTICE);
}

shoal_err shoal_log__to_file(shoal_log *log, const char *path)
{
    if (path[0] == '\0') return SHOAL_ERR_OK;
    int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) return SHOAL_ERR_IO;
    log->descriptor = descriptor;
    return SHOAL_ERR_OK;
}

void shoal_log__set_level(shoal_log *log, const char *name)
{
    static const char *const names[] = {"debug", "verbose", "notice", "warning"};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) shoal_store_relaxed(&log->level, i);
    }
}

/* Writes `PID:ROLE DD Mon YYYY HH:MM:SS.mmm * ` and returns its length. */
static size_t prefix(const shoal_log *log, shoal_log_level level, char *out, size_t size)
{
    int64_t now_ms = shoal_clock_read(CLOCK_REALTIME) / 1000;
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm local;
    localtime_r(&seconds, &local);
    char date[64];
    strftime(date, sizeof date, "%d %b %Y %H:%M:%S", &local);
    int length = snprintf(out, size, "%d:%c %s.%03d %c ", (int)getpid(), log->role, date,
                          (int)(now_ms % 1000), ".-*#"[level]);
    return length < 0 ? 0 : (size_t)length;
}

void shoal_log__write(const shoal_log *log, shoal_log_level level, shoal_slice message)
{
    if (level < shoal_load_relaxed(&log->level) || level > SHOAL_LOG_WARNING) return;
    char head[128];
    struct iovec parts[3];
    parts[0].iov_base = head;
    parts[0].iov_len = prefix(log, level, head, sizeof head);
    parts[1].iov_base = (void *)(uintptr_t)message.data;
    parts[1].iov_len = message.size;
    parts[2].iov_base = (void *)(uintptr_t) "\n";
    parts[2].iov_len = 1;
    ssize_t written = writev(log->descriptor, parts, 3);
    (void)written; /* There is nobody to tell that the log cannot be written. */
}

void shoal_log__say(const shoal_log *log, shoal_log_level level, const char *format, ...)
{
    char text[1000];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    size_t size = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    shoal_log__write(log, level, (shoal_slice){text, size});
}
