/* SPDX-License-Identifier: MIT
 *
 * backup/backup.h - what shoal-backup does: each function does all of it, and ends the program when
 * it cannot.
 */
#ifndef SHOAL_BACKUP_BACKUP_H
#define SHOAL_BACKUP_BACKUP_H

#include "peer.h"

/* What the command line says. */
typedef struct shoal_backup_options {
    const char *folder;
    char host[256];
    uint16_t port;
    shoal_login login;
    bool quiet;
    bool replace; /* restore: into a target that holds keys */
} shoal_backup_options;

/* Saves a cluster, or one server, into a folder that is new or empty. */
void shoal_backup__save(const shoal_backup_options *options);
/* Checks everything in a folder. */
void shoal_backup__verify(const shoal_backup_options *options);
/* Checks a folder, and puts all its keys into a cluster, or one server. */
void shoal_backup__restore(const shoal_backup_options *options);

#endif
