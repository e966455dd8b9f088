/* SPDX-License-Identifier: MIT
 *
 * command/migrate.h - what MIGRATE was asked for, read from its arguments. Pure.
 */
#ifndef SHOAL_COMMAND_MIGRATE_H
#define SHOAL_COMMAND_MIGRATE_H

#include "command/command.h"

/* The arguments of a MIGRATE. Zero and empty: not said. */
typedef struct shoal_migrate_wish {
    shoal_address to;
    int64_t db;
    int64_t timeout_ms;
    bool copy, replace;
    uint32_t login;       /* the first argument behind AUTH or AUTH2, */
    uint32_t login_words; /* and how many belong to it */
} shoal_migrate_wish;

/* Reads them. False after writing an error. */
bool shoal_migrate__read(shoal_call *call, shoal_migrate_wish *wish);

#endif
