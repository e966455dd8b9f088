/* SPDX-License-Identifier: MIT
 *
 * viz/term/main.c - shoal-top: opens the source, then shows it on the terminal or prints frames.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viz/term/options.h"
#include "viz/term/screen.h"

static uint32_t find_view(const shoal_model *model, const char *label)
{
    for (uint32_t i = 0; label && i < model->node_count; i++) {
        if (strcmp(model->nodes[i].label, label) == 0) return i;
    }
    return SHOAL_VIEW_TRUTH;
}

static int print_frame(shoal_player *player, const shoal_top_options *options, int64_t at_us)
{
    shoal_player_seek(player, at_us);
    shoal_grid grid = shoal_grid_make(options->width, options->height);
    if (!grid.cells) return 2;
    shoal_panels_state state = {
        .view = find_view(player->model, options->view),
        .paused = true,
        .speed = options->speed,
        .source = options->trace ? options->trace : options->schedule,
    };
    if (options->view && state.view == SHOAL_VIEW_TRUTH) {
        fprintf(stderr, "shoal-top: --view %s: expected the label of a node that has started\n",
                options->view);
        shoal_grid_free(&grid);
        return 2;
    }
    shoal_panels_draw(&grid, player->model, &state);
    shoal_grid_print(&grid, stdout);
    shoal_grid_free(&grid);
    return 0;
}

static int print_frames(shoal_player *player, const shoal_top_options *options)
{
    if (options->at_count == 0) return print_frame(player, options, INT64_MAX / 2);
    for (int i = 0; i < options->at_count; i++) {
        if (i) putchar('\n');
        int bad = print_frame(player, options, options->at_us[i]);
        if (bad) return bad;
    }
    return 0;
}

int main(int argc, char **argv)
{
    shoal_top_options options;
    int done = shoal_top_options_parse(argc, argv, &options);
    if (done) return done == 1 ? 0 : done;
    setlocale(LC_CTYPE, "");
    char complaint[512];
    const shoal_sim_file simulated = {options.schedule, options.settings, options.setting_count};
    shoal_timeline *timeline =
        options.trace ? shoal_timeline_open_file(options.trace, complaint, sizeof complaint)
                      : shoal_timeline_open_sim(&simulated, complaint, sizeof complaint);
    shoal_model *model = timeline ? shoal_model_make() : NULL;
    if (!model) {
        fprintf(stderr, "shoal-top: %s\n", timeline ? "out of memory" : complaint);
        shoal_timeline_free(timeline);
        return 2;
    }
    shoal_player player = shoal_player_make(timeline, model);
    int status =
        options.headless ? print_frames(&player, &options) : shoal_screen_run(&player, &options);
    shoal_model_free(model);
    shoal_timeline_free(timeline);
    return status;
}
