/* SPDX-License-Identifier: MIT
 *
 * viz/term/screen.h - the terminal: keys in, grids out, and the pace at which time passes.
 */
#ifndef SHOAL_VIZ_SCREEN_H
#define SHOAL_VIZ_SCREEN_H

#include "viz/panels/panels.h"
#include "viz/source/player.h"
#include "viz/term/options.h"

/* Shows the player until the person leaves, or with --once until the run is over. Returns the
 * exit status of the program. */
int shoal_screen_run(shoal_player *player, const shoal_top_options *options);

#endif
