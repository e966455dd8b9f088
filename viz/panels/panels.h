/* SPDX-License-Identifier: MIT
 *
 * viz/panels/panels.h - draws a model on a grid: slot map, nodes, frames in flight, news, clients,
 * time. The panels read the model and change nothing. They choose their layout from the size of
 * the grid; the smallest is 80 by 24.
 *
 * In the slot map a letter is an owner (A is the first node), so that the picture can be read
 * without colours: upper case when it is well, lower case when it is dead or held for failed,
 * `.` nobody, `+` several owners in one cell, `!` the running nodes disagree about the owner.
 */
#ifndef SHOAL_VIZ_PANELS_H
#define SHOAL_VIZ_PANELS_H

#include "viz/model/model.h"
#include "viz/panels/grid.h"

/* The view of all nodes at once: what is true from outside. */
#define SHOAL_VIEW_TRUTH UINT32_MAX

/* Least size of a grid. */
#define SHOAL_PANELS_WIDTH_MIN 80
#define SHOAL_PANELS_HEIGHT_MIN 24

/* What the person at the keys has chosen. */
typedef struct shoal_panels_state {
    uint32_t view; /* index of the node whose opinion is shown, or SHOAL_VIEW_TRUTH */
    bool paused;
    bool ended; /* the run is over and all of it is shown */
    bool help;
    double speed;       /* simulated seconds a second; 1 is real time */
    int64_t end_us;     /* the run's last time known, 0 when not known */
    const char *prompt; /* text being typed, or NULL */
    const char *source; /* name of the trace or schedule */
} shoal_panels_state;

/* Draws everything. */
void shoal_panels_draw(shoal_grid *grid, const shoal_model *model, const shoal_panels_state *state);

/* A rectangle of the grid. */
typedef struct shoal_box {
    int x, y, width, height;
} shoal_box;

/* The single panels, each inside its box. */
void shoal_panel_map(shoal_grid *grid, shoal_box box, const shoal_model *model, uint32_t view);
/* One line a node. `view` marks the node whose eyes are used. */
void shoal_panel_nodes(shoal_grid *grid, shoal_box box, const shoal_model *model, uint32_t view);
/* Frames on their way, oldest first, with a bar that shows how far each has come. */
void shoal_panel_flights(shoal_grid *grid, shoal_box box, const shoal_model *model);
/* The last things worth telling, newest last. */
void shoal_panel_news(shoal_grid *grid, shoal_box box, const shoal_model *model);
/* The keys. */
void shoal_panel_help(shoal_grid *grid, shoal_box box);

#endif
