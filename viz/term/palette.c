/* SPDX-License-Identifier: MIT
 *
 * viz/term/palette.c - the colours. Owner colours follow the order of Okabe and Ito's set, which
 * stays distinguishable for colour-blind people, then lighter and darker relatives of it.
 */
#include "viz/term/palette.h"

#include <ncurses.h>
#include <stdlib.h>

#include "viz/panels/grid.h"

#define ROLES (SHOAL_ROLE_OWNER + (int)SHOAL_OWNER_COLOURS)

static const short colours_256[ROLES] = {
    -1,  244, 231, 35,  214, 203, 227,                                 /* roles before OWNER */
    208, 74,  36,  220, 25,  166, 175, 250, 109, 150, 180, 139, 66, 95 /* owners */
};

static const short colours_8[ROLES] = {
    -1,           COLOR_WHITE, COLOR_WHITE, COLOR_GREEN,   COLOR_YELLOW, COLOR_RED, COLOR_YELLOW,
    COLOR_YELLOW, COLOR_CYAN,  COLOR_GREEN, COLOR_MAGENTA, COLOR_BLUE,   COLOR_RED, COLOR_WHITE,
    COLOR_YELLOW, COLOR_CYAN,  COLOR_GREEN, COLOR_MAGENTA, COLOR_BLUE,   COLOR_RED, COLOR_WHITE,
};

void shoal_palette_open(void)
{
    if (getenv("NO_COLOR") || !has_colors()) return;
    start_color();
    use_default_colors();
    const short *colours = COLORS >= 256 ? colours_256 : colours_8;
    for (short back = 0; back < ROLES; back++) {
        for (short front = 0; front < ROLES; front++) {
            int pair = 1 + back * ROLES + front;
            if (pair < COLOR_PAIRS) init_pair((short)pair, colours[front], colours[back]);
        }
    }
}

int shoal_palette_attributes(uint8_t front, uint8_t back)
{
    int attributes = 0;
    int pair = 1 + back * ROLES + front;
    if (has_colors() && !getenv("NO_COLOR") && pair < COLOR_PAIRS) attributes = COLOR_PAIR(pair);
    if (front == SHOAL_ROLE_TITLE || front == SHOAL_ROLE_CAPTION) attributes |= A_BOLD;
    return attributes;
}
