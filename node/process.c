/* SPDX-License-Identifier: MIT
 *
 * node/process.h on Linux.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Descriptors that are not clients: listeners, epolls, eventfds, files, and bus links of a large
 * cluster. Chosen. */
#define DESCRIPTORS_OWN 64u

void shoal_process__daemonize(void)
{
    pid_t child = fork();
    if (child < 0) {
        perror("shoal-server: fork");
        exit(1);
    }
    if (child > 0) _exit(0);
    setsid();
    int null = open("/dev/null", O_RDWR);
    if (null < 0) return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO) close(null);
}

void shoal_process__write_pid(const shoal_log *log, const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        shoal_log__say(log, SHOAL_LOG_WARNING, "Can't write the pid file %s: %s", path,
                       strerror(errno));
        return;
    }
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
}

/* Raises the soft limit towards `wanted`, as far as the system lets us. Returns the limit. */
static rlim_t raise_limit(rlim_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    if (limit.rlim_cur >= wanted) return limit.rlim_cur;
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
    raised = (struct rlimit){limit.rlim_max, limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? limit.rlim_max : limit.rlim_cur;
}

uint32_t shoal_process__fit_clients(const shoal_log *log, uint32_t clients)
{
    rlim_t wanted = (rlim_t)clients + DESCRIPTORS_OWN;
    rlim_t limit = raise_limit(wanted);
    if (limit >= wanted) return clients;
    uint32_t fit = limit > DESCRIPTORS_OWN ? (uint32_t)(limit - DESCRIPTORS_OWN) : 1;
    shoal_log__say(log, SHOAL_LOG_WARNING,
                   "maxclients %u needs %llu open files, but the system allows %llu: "
                   "maxclients is now %u. Raise `ulimit -n` to have more.",
                   clients, (unsigned long long)wanted, (unsigned long long)limit, fit);
    return fit;
}

uint32_t shoal_process__processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

void shoal_process__check_backlog(const shoal_log *log, int backlog)
{
    FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
    if (file == NULL) return;
    int limit;
    bool known = fscanf(file, "%d", &limit) == 1;
    fclose(file);
    if (!known || limit >= backlog) return;
    shoal_log__say(log, SHOAL_LOG_WARNING,
                   "tcp-backlog %d is above net.core.somaxconn: %d connections can wait", backlog,
                   limit);
}

bool shoal_process__supervised(const char *supervised)
{
    bool asked = strcmp(supervised, "systemd") == 0 || strcmp(supervised, "auto") == 0;
    const char *path = getenv("NOTIFY_SOCKET");
    return asked && path != NULL && (path[0] == '/' || path[0] == '@');
}

void shoal_process__notify(const shoal_log *log, const char *message)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    if (length == 0 || length >= sizeof address.sun_path) return;
    memcpy(address.sun_path, path, length);
    /* An abstract name: '@' stands for the zero byte that it begins with. */
    if (path[0] == '@') address.sun_path[0] = '\0';
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (descriptor < 0 || sendto(descriptor, message, strlen(message), MSG_NOSIGNAL,
                                 (struct sockaddr *)&address, size) < 0) {
        shoal_log__say(log, SHOAL_LOG_WARNING, "Can't tell the supervisor: %s", strerror(errno));
    }
    if (descriptor >= 0) close(descriptor);
}
