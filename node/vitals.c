/* SPDX-License-Identifier: MIT
 *
 * node/vitals.h on Linux. A measurement takes 200,000 instructions, nearly all of them
 * jemalloc's, so it is made only when somebody is about to look, and not twice within a few
 * milliseconds.
 */
#include "vitals.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "memory.h"

/* How old a measurement may be. Chosen. */
#define AGE_MAX_US 5000

/* What compiled this file; clang gives the gcc that it stands for, as it does in Redis. */
#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)
#define COMPILER_VERSION VERSION_TEXT(__GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__)

/* The number in a file, or 0 when there is none. */
static uint64_t number_in(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    unsigned long long number = 0;
    bool read = fscanf(file, "%llu", &number) == 1;
    fclose(file);
    return read ? number : 0;
}

/* The smaller of a limit that is known and one of a control group, if that is one. */
static uint64_t tighter(uint64_t known, const char *folder, const char *name)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", folder, name);
    if (size < 0 || (size_t)size >= sizeof path) return known;
    uint64_t limit = number_in(path);
    if (limit == 0) return known;
    return known == 0 || limit < known ? limit : known;
}

/* The tightest limit of a folder of control groups and those above it. */
static uint64_t tightest(uint64_t known, char *folder, const char *name)
{
    folder[strcspn(folder, "\n")] = '\0';
    for (char *end = folder + strlen(folder); end != NULL; end = strrchr(folder, '/')) {
        *end = '\0';
        known = tighter(known, folder, name);
    }
    return known;
}

/* What the control groups of the process leave it of the machine's memory, or 0: all. Both kinds of
 * groups; a container sees its own as the top. */
static uint64_t group_limit(uint64_t machine)
{
    char line[PATH_MAX];
    uint64_t limit = 0;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *folder = strstr(line, ":memory:/");
        if (folder != NULL) {
            folder += 1; /* "memory:/folder" becomes "/memory/folder" */
            memmove(folder + 1, folder, strlen("memory"));
            folder[0] = '/';
            limit = tightest(limit, folder, "memory.limit_in_bytes");
        } else if (strncmp(line, "0::/", 4) == 0) {
            limit = tightest(limit, line + 3, "memory.max");
        }
    }
    if (file != NULL) fclose(file);
    return limit < machine ? limit : 0;
}

void shoal_vitals__init(shoal_vital_signs *signs, const char *config_file, const shoal_pages *pages)
{
    signs->pages = pages;
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(signs->system, sizeof signs->system, "%s %s %s", name.sysname, name.release,
                 name.machine);
    }
    ssize_t length = readlink("/proc/self/exe", signs->executable, sizeof signs->executable - 1);
    signs->executable[length > 0 ? length : 0] = '\0';
    struct sysinfo machine;
    if (sysinfo(&machine) == 0) {
        uint64_t total = (uint64_t)machine.totalram * machine.mem_unit;
        signs->vitals.memory_total = total;
        signs->vitals.memory_limit = group_limit(total);
    }
    signs->vitals.allocator_name = shoal_memory_name();
    signs->vitals.purge = shoal_memory_purge;
    signs->vitals.describe = shoal_memory_describe;
    signs->vitals.clock = "POSIX clock_gettime";
    signs->vitals.multiplexing = "epoll";
    signs->vitals.compiler = COMPILER_VERSION;
    signs->vitals.system = signs->system;
    signs->vitals.executable = signs->executable;
    signs->vitals.config_file = config_file ? config_file : "";
}

static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return 0;
    unsigned long pages = 0;
    bool read = fscanf(file, "%*u %lu", &pages) == 1;
    fclose(file);
    return read ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void measure(void *context, shoal_vitals *vitals, int64_t mono_us)
{
    shoal_vital_signs *signs = context;
    if (signs->measured_at != 0 && mono_us - signs->measured_at < AGE_MAX_US) return;
    signs->measured_at = mono_us;
    vitals->rss_bytes = resident_bytes();
    shoal_memory_stats memory = shoal_memory_stats_read(signs->pages);
    vitals->allocator_allocated = memory.allocated;
    vitals->allocator_active = memory.active;
    vitals->allocator_resident = memory.resident;
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        vitals->cpu_user_us = microseconds(usage.ru_utime);
        vitals->cpu_system_us = microseconds(usage.ru_stime);
    }
    if (getrusage(RUSAGE_THREAD, &usage) == 0) {
        vitals->cpu_user_main_us = microseconds(usage.ru_utime);
        vitals->cpu_system_main_us = microseconds(usage.ru_stime);
    }
}

void shoal_vitals__give(shoal_vital_signs *signs, shoal_node *node)
{
    signs->vitals.context = signs;
    signs->vitals.measure = measure;
    shoal_node_set_vitals(node, &signs->vitals);
}
