/* SPDX-License-Identifier: MIT
 *
 * wire/line.h - the walk over the arguments of one line, shared by inline requests and by
 * shoal_line_split. Of this room only.
 */
#ifndef SHOAL_WIRE_LINE_H
#define SHOAL_WIRE_LINE_H

#include <shoal/types.h>

/* Where the walk stands. `out` must have room for as many bytes as the line has: unquoting never
 * makes an argument longer. */
typedef struct shoal_line__walk {
    const char *at;  /* next byte of the line */
    const char *end; /* behind its last byte */
    char *out;       /* where the next unquoted byte goes */
} shoal_line__walk;

/* Takes the next argument: 1 and *argument, which borrows from `out`; 0 at the end of the line;
 * -1 for unbalanced quotes. */
int shoal_line__next(shoal_line__walk *walk, shoal_slice *argument);

#endif
