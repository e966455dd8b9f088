/* SPDX-License-Identifier: MIT
 *
 * viz/term/palette.h - roles to terminal attributes: 256 colours where the terminal has them, 8
 * where not, none under NO_COLOR. Letters carry the same facts, so nothing is lost without.
 */
#ifndef SHOAL_VIZ_PALETTE_H
#define SHOAL_VIZ_PALETTE_H

#include <stdint.h>

/* Sets the terminal's colours up; after ncurses was started. */
void shoal_palette_open(void);

/* ncurses attributes for a front and a back role. */
int shoal_palette_attributes(uint8_t front, uint8_t back);

#endif
