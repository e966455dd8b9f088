/* SPDX-License-Identifier: MIT
 *
 * viz/panels/grid.h - a rectangle of character cells: what the panels draw on and what a
 * terminal or a text frame is made from. Colours are roles, so that each backend can choose its
 * own and a frame without colours loses no fact.
 *
 * Threads: a grid belongs to one thread.
 */
#ifndef SHOAL_VIZ_GRID_H
#define SHOAL_VIZ_GRID_H

#include <stdint.h>
#include <stdio.h>

/* What a cell's colour means. From OWNER on: the colour of owner number (role - OWNER). */
typedef enum shoal_role {
    SHOAL_ROLE_PLAIN = 0,
    SHOAL_ROLE_DIM,
    SHOAL_ROLE_TITLE,
    SHOAL_ROLE_GOOD,
    SHOAL_ROLE_WARN,
    SHOAL_ROLE_BAD,
    SHOAL_ROLE_CAPTION,
    SHOAL_ROLE_OWNER
} shoal_role;

/* Owner colours repeat after this many. */
#define SHOAL_OWNER_COLOURS 14u

/* One character with its colours. */
typedef struct shoal_cell {
    uint32_t code; /* Unicode code point */
    uint8_t front; /* shoal_role */
    uint8_t back;  /* shoal_role; PLAIN is the terminal's own background */
} shoal_cell;

/* `cells[y * width + x]`. */
typedef struct shoal_grid {
    int width, height;
    shoal_cell *cells;
} shoal_grid;

/* A blank grid, or `cells` NULL without memory. Freed with shoal_grid_free. */
shoal_grid shoal_grid_make(int width, int height);

/* Gives the cells back. */
void shoal_grid_free(shoal_grid *grid);

/* Blanks every cell. */
void shoal_grid_clear(shoal_grid *grid);

/* Puts one cell; outside the grid nothing happens. */
void shoal_grid_put(shoal_grid *grid, int x, int y, shoal_cell cell);

/* A place to write text: it ends at column `limit` (exclusive). */
typedef struct shoal_pen {
    shoal_grid *grid;
    int x, y, limit;
    shoal_role role;
} shoal_pen;

/* Writes formatted UTF-8 text at the pen and moves it; cut at the limit. */
void shoal_pen_write(shoal_pen *pen, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes the grid as UTF-8 lines, blanks at line ends left out. */
void shoal_grid_print(const shoal_grid *grid, FILE *out);

/* Encodes a code point as UTF-8 with a zero behind; returns the bytes without it (1..4). */
int shoal_utf8_encode(uint32_t code, char out[5]);

/* Role of owner number `owner` (from 0). */
shoal_role shoal_owner_role(uint32_t owner);

#endif
