/* SPDX-License-Identifier: MIT
 *
 * sim/live/process.h.
 */
#define _GNU_SOURCE /* pipe2 */
#include "sim/live/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/live/signals.h"

/* ---- folders ---- */

bool shoal_folder__make(char out[200])
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == 0 || strlen(parent) > 150) parent = "/tmp";
    snprintf(out, 200, "%s/shoal-live-XXXXXX", parent);
    return mkdtemp(out) != NULL;
}

void shoal_folder__remove(const char *path)
{
    DIR *folder = opendir(path);
    char name[1024];
    if (folder == NULL) return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int size = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (size >= (int)sizeof(name)) continue;
        if (unlink(name) != 0) shoal_folder__remove(name);
    }
    closedir(folder);
    rmdir(path);
}

/* ---- one process ---- */

static bool write_whole(const char *path, shoal_slice text)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) return false;
    bool good = fwrite(text.data, 1, text.size, file) == text.size;
    return fclose(file) == 0 && good;
}

/* In the child: becomes the server. It dies with its parent. */
_Noreturn static void become(const char *program, const char *folder, pid_t parent)
{
    int in = open("/dev/null", O_RDONLY);
    char log[300];
    snprintf(log, sizeof(log), "%s/log", folder);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);
    shoal_signals__unblock();
    execlp(program, program, "server.conf", (char *)NULL);
    fprintf(stderr, "%s: %s\n", program, strerror(errno));
    _exit(127);
}

/* The child starts in its folder, so a name with a slash must begin at the root. Links stay what
 * they are: some programs look at the name that they are called by. */
static bool name_wholly(const char **program, char *whole, size_t size)
{
    char here[2048];
    if (strchr(*program, '/') == NULL || (*program)[0] == '/') return true;
    if (getcwd(here, sizeof(here)) == NULL) return false;
    if (snprintf(whole, size, "%s/%s", here, *program) >= (int)size) return false;
    *program = whole;
    return true;
}

bool shoal_process__start(shoal_process *process, const char *program, shoal_slice config)
{
    char path[300], whole[4096];
    SHOAL_ASSERT(process->pid == 0);
    if (!name_wholly(&program, whole, sizeof(whole))) return false;
    if (mkdir(process->folder, 0700) != 0 && errno != EEXIST) return false;
    snprintf(path, sizeof(path), "%s/server.conf", process->folder);
    if (!write_whole(path, config)) return false;
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) return false;
    if (pid == 0) {
        if (chdir(process->folder) != 0) _exit(126);
        become(program, process->folder, parent);
    }
    process->pid = pid;
    process->stopped = false;
    return true;
}

void shoal_process__kill(shoal_process *process)
{
    if (process->pid == 0) return;
    kill(process->pid, SIGKILL);
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR) continue;
    process->pid = 0;
    process->stopped = false;
}

void shoal_process__wipe(shoal_process *process)
{
    SHOAL_ASSERT(process->pid == 0);
    shoal_folder__remove(process->folder);
}

void shoal_process__stop(shoal_process *process)
{
    if (process->pid == 0 || process->stopped) return;
    kill(process->pid, SIGSTOP);
    process->stopped = true;
}

void shoal_process__continue(shoal_process *process)
{
    if (process->pid == 0 || !process->stopped) return;
    kill(process->pid, SIGCONT);
    process->stopped = false;
}

bool shoal_process__runs(shoal_process *process)
{
    if (process->pid == 0) return false;
    if (waitpid(process->pid, &process->status, WNOHANG) != process->pid) return true;
    process->pid = 0;
    process->stopped = false;
    return false;
}

void shoal_process__last_words(const shoal_process *process, char *out, size_t size)
{
    char path[300], line[256];
    SHOAL_ASSERT(size > 0);
    out[0] = 0;
    snprintf(path, sizeof(path), "%s/log", process->folder);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return;
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0] != 0) snprintf(out, size, "%s", line);
    }
    fclose(file);
}

bool shoal_process__first_line(const char *program, const char *option, char *out, size_t size)
{
    int ends[2];
    SHOAL_ASSERT(size > 1);
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(ends[1], 1) < 0) _exit(126);
        execlp(program, program, option, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t have = 0;
    for (ssize_t got = 1; pid > 0 && got > 0 && have + 1 < size;) {
        got = read(ends[0], out + have, size - 1 - have);
        if (got > 0) have += (size_t)got;
    }
    close(ends[0]);
    out[have] = 0;
    out[strcspn(out, "\r\n")] = 0;
    int status = 0;
    if (pid > 0) kill(pid, SIGKILL);
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return false;
    return have > 0;
}
