/* SPDX-License-Identifier: MIT
 *
 * sim/live/process.h - server processes of a live run: each has a folder of its own, is started
 * from a configuration file there, stopped, continued and killed by its id, and dies with the
 * process that started it, however that ends.
 *
 * One thread.
 */
#ifndef SHOAL_SIM_LIVE_PROCESS_H
#define SHOAL_SIM_LIVE_PROCESS_H

#include <sys/types.h>

#include <shoal/types.h>

/* One server: where it lives, and its process while it has one. */
typedef struct shoal_process {
    char folder[256];
    pid_t pid; /* 0: not running */
    bool stopped;
    int status; /* how it ended by itself, as wait() says it */
} shoal_process;

/* A fresh folder below the system's folder for temporary things; false when there is none. */
bool shoal_folder__make(char out[200]);
/* Removes a folder and everything in it. */
void shoal_folder__remove(const char *path);

/* Starts `program` with `FOLDER/server.conf`, making the folder, and writes what it prints to
 * FOLDER/log. False when it could not. */
bool shoal_process__start(shoal_process *process, const char *program, shoal_slice config);
/* Kills it and waits for its end. */
void shoal_process__kill(shoal_process *process);
/* Empties its folder: another disk. */
void shoal_process__wipe(shoal_process *process);
/* Stops and continues it. */
void shoal_process__stop(shoal_process *process);
void shoal_process__continue(shoal_process *process);
/* False when it has ended by itself; it then has no process any more. */
bool shoal_process__runs(shoal_process *process);
/* The last line of its log, or "". */
void shoal_process__last_words(const shoal_process *process, char *out, size_t size);

/* Runs `program option` and reads the first line that it prints. False when it cannot be run. */
bool shoal_process__first_line(const char *program, const char *option, char *out, size_t size);

#endif
