/* SPDX-License-Identifier: MIT
 *
 * node/vitals.h - what only the host knows of the process, for INFO: memory of the process and
 * of the allocator, processor time, names.
 *
 * Control thread.
 */
#ifndef SHOAL_NODE_VITALS_H
#define SHOAL_NODE_VITALS_H

#include <limits.h>

#include <shoal/node.h>

#include "pages.h"

/* The vitals of this process, and the texts that they borrow. */
typedef struct shoal_vital_signs {
    shoal_vitals vitals;
    char system[256];
    char executable[PATH_MAX];
    const shoal_pages *pages; /* borrowed, NULL without */
    int64_t measured_at;      /* monotonic microseconds of the last measurement, 0 for never */
} shoal_vital_signs;

/* Fills in what does not change. `config_file` and `pages` are borrowed, NULL without one. */
void shoal_vitals__init(shoal_vital_signs *signs, const char *config_file,
                        const shoal_pages *pages);

/* Gives them to the node, which has the rest measured when somebody looks; `signs` stay. */
void shoal_vitals__give(shoal_vital_signs *signs, shoal_node *node);

#endif
