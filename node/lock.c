/* SPDX-License-Identifier: MIT
 *
 * node/lock.h with flock(2): the lock is bound to the open file, so it ends with the process,
 * however that ends.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

shoal_err shoal_lock__take(shoal_log *log, const char *path, int *lock)
{
    char name[PATH_MAX + 8];
    *lock = -1;
    snprintf(name, sizeof name, "%s.lock", path);
    int descriptor = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) {
        shoal_log__say(log, SHOAL_LOG_WARNING, "Can't open %s in order to acquire a lock: %s", name,
                       strerror(errno));
        return SHOAL_ERR_IO;
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            shoal_log__say(log, SHOAL_LOG_WARNING,
                           "Sorry, the cluster configuration file %s is already used by a "
                           "different Redis Cluster node. Please make sure that different nodes "
                           "use different cluster configuration files.",
                           path);
        } else {
            shoal_log__say(log, SHOAL_LOG_WARNING, "Impossible to lock %s: %s", name,
                           strerror(errno));
        }
        close(descriptor);
        return SHOAL_ERR_IO;
    }
    *lock = descriptor;
    return SHOAL_ERR_OK;
}

shoal_err shoal_lock__share_directory(shoal_log *log, int *lock)
{
    *lock = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0 || flock(*lock, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return SHOAL_ERR_OK;
    shoal_log__say(log, SHOAL_LOG_WARNING,
                   "A program keeps a cache in the directory of this server and would write to the "
                   "same files.");
    shoal_lock__give(*lock);
    *lock = -1;
    return SHOAL_ERR_IO;
}

void shoal_lock__give(int lock)
{
    if (lock >= 0) close(lock);
}
