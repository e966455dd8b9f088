/* SPDX-License-Identifier: MIT
 *
 * node/lock.h - one process a cluster configuration file.
 */
#ifndef SHOAL_NODE_LOCK_H
#define SHOAL_NODE_LOCK_H

#include <shoal/types.h>

#include "log.h"

/* Locks a file for this process, so that no other that asks here has it; a complaint goes to the
 * log when one has it already. The lock is a file beside it (`path`.lock), because each save puts
 * another file in the place of `path`. Fills in what shoal_lock__give takes. 0 or SHOAL_ERR_IO. */
SHOAL_MUST_USE shoal_err shoal_lock__take(shoal_log *log, const char *path, int *lock);
/* Shares the directory that the process is in with other servers, but not with a program that keeps
 * a cache in it (shoal/disk.h). As shoal_lock__take; where the system cannot lock it nothing is. */
SHOAL_MUST_USE shoal_err shoal_lock__share_directory(shoal_log *log, int *lock);
/* Unlocks; the end of the process does too. -1 does nothing. */
void shoal_lock__give(int lock);

#endif
