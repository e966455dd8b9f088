/* SPDX-License-Identifier: MIT
 *
 * viz/panels/frame.c - puts the panels together: who gets which part of the grid.
 *
 *   title and time
 *   +--------------- map ---------------+ nodes
 *   |                                   | frames in flight
 *   +---------------------------- news ----------------------+
 *   caption
 *   clients and progress
 *   keys
 */
#include <inttypes.h>
#include <string.h>

#include "viz/panels/panels.h"

#define MAP_WIDTH_PLAIN 64
#define MAP_WIDTH_LABELS 70
#define FOOTER_ROWS 3
/* A title and four frames in flight keep their room beside the map. */
#define FLIGHT_ROWS_MIN 6

static void draw_title(shoal_grid *grid, const shoal_model *model, const shoal_panels_state *state)
{
    shoal_pen pen = {grid, 0, 0, grid->width, SHOAL_ROLE_TITLE};
    shoal_pen_write(&pen, "shoal-top");
    pen.role = SHOAL_ROLE_PLAIN;
    shoal_pen_write(&pen, "  %.40s", model->title[0] ? model->title : state->source);
    char right[96];
    const char *view = "truth";
    if (state->view < model->node_count) view = model->nodes[state->view].label;
    const char *pace = state->ended ? "end" : state->paused ? "paused" : "running";
    snprintf(right, sizeof right, "view %s  %s x%g  t=%.6f s", view, pace, state->speed,
             (double)model->now_us / 1e6);
    pen.x = grid->width - (int)strlen(right);
    pen.role = SHOAL_ROLE_CAPTION;
    shoal_pen_write(&pen, "%s", right);
}

/* A bar of the whole run with the present moment, when its end is known. */
static void draw_progress(shoal_pen *pen, const shoal_model *model, int64_t end_us)
{
    int room = pen->limit - pen->x - 1;
    if (end_us <= 0 || room < 10) return;
    int at = (int)(model->now_us * (room - 1) / end_us);
    pen->role = SHOAL_ROLE_DIM;
    for (int i = 0; i < room; i++) shoal_pen_write(pen, "%s", i == at ? "●" : "─");
}

static void draw_footer(shoal_grid *grid, const shoal_model *model, const shoal_panels_state *state)
{
    int y = grid->height - FOOTER_ROWS;
    shoal_pen caption = {grid, 0, y, grid->width, SHOAL_ROLE_CAPTION};
    if (model->verdict[0]) {
        shoal_pen_write(&caption, "%s", model->verdict);
    } else {
        shoal_pen_write(&caption, "%s", model->caption);
    }
    shoal_pen pen = {grid, 0, y + 1, grid->width, SHOAL_ROLE_PLAIN};
    shoal_pen_write(&pen, "clients: %" PRIu64 " ops  %" PRIu64 " redirected  ", model->operations,
                    model->redirections);
    pen.role = model->errors ? SHOAL_ROLE_WARN : SHOAL_ROLE_PLAIN;
    shoal_pen_write(&pen, "%" PRIu64 " errors  ", model->errors);
    draw_progress(&pen, model, state->end_us);
    shoal_pen keys = {grid, 0, y + 2, grid->width, SHOAL_ROLE_DIM};
    if (state->prompt) {
        keys.role = SHOAL_ROLE_CAPTION;
        shoal_pen_write(&keys, "go to: %s_", state->prompt);
    } else {
        shoal_pen_write(&keys, "space pause  .,event  <>100ms  {}news  +-speed  v view  g go to  "
                               "? help  q leave");
    }
}

void shoal_panels_draw(shoal_grid *grid, const shoal_model *model, const shoal_panels_state *state)
{
    shoal_grid_clear(grid);
    draw_title(grid, model, state);
    int rows = grid->height - 1 - FOOTER_ROWS;
    bool wide = grid->width >= 128 + 30 && rows >= 65 + 8;
    int map_width = wide ? 128 : grid->width >= 90 ? MAP_WIDTH_LABELS : MAP_WIDTH_PLAIN;
    int map_rows = wide ? 65 : rows >= 64 + 11 ? 65 : rows >= 32 + 11 ? 33 : 17;
    int right_x = map_width + 1;
    int right_width = grid->width - right_x;
    int node_rows = (int)model->node_count + 1;
    if (node_rows > map_rows - FLIGHT_ROWS_MIN) node_rows = map_rows - FLIGHT_ROWS_MIN;
    shoal_panel_map(grid, (shoal_box){0, 1, map_width, map_rows}, model, state->view);
    shoal_panel_nodes(grid, (shoal_box){right_x, 1, right_width, node_rows}, model, state->view);
    shoal_box flights = {right_x, 2 + node_rows, right_width, map_rows - node_rows - 1};
    shoal_panel_flights(grid, flights, model);
    int news_y = 1 + map_rows;
    shoal_panel_news(grid, (shoal_box){0, news_y, grid->width, 1 + rows - news_y}, model);
    draw_footer(grid, model, state);
    if (state->help) {
        shoal_panel_help(grid, (shoal_box){4, 4, grid->width - 8, 7});
    }
}
