/* SPDX-License-Identifier: MIT
 *
 * viz/panels/nodes.c - one line a node: its letter in the map, what it is, how many slots it
 * claims, its epoch, and what the others think of it.
 */
#include <inttypes.h>
#include <string.h>

#include "viz/panels/panels.h"

static uint32_t slots_claimed(const shoal_model *model, uint32_t index)
{
    const shoal_model_node *node = &model->nodes[index];
    uint32_t count = 0;
    for (uint32_t s = 0; node->owner && s < SHOAL_SLOTS; s++) {
        uint16_t owner = node->owner[s];
        if (owner && strcmp(model->names[owner - 1].name, node->name) == 0) count++;
    }
    return count;
}

typedef struct health {
    const char *word;
    shoal_role role;
} health;

static health health_of(const shoal_model *model, uint32_t index)
{
    const shoal_model_node *node = &model->nodes[index];
    uint32_t pfail, fail;
    shoal_model_suspicion(model, index, &pfail, &fail);
    if (!node->running) return (health){fail ? "FAIL" : pfail ? "pfail" : "dead", SHOAL_ROLE_BAD};
    if (fail) return (health){"fail?", SHOAL_ROLE_BAD};
    if (pfail) return (health){"pfail", SHOAL_ROLE_WARN};
    if (!node->ready) return (health){"start", SHOAL_ROLE_WARN};
    if (!node->up) return (health){"down", SHOAL_ROLE_WARN};
    return (health){"ok", SHOAL_ROLE_GOOD};
}

static void draw_node(shoal_pen pen, const shoal_model *model, uint32_t index, bool chosen)
{
    const shoal_model_node *node = &model->nodes[index];
    health state = health_of(model, index);
    pen.role = shoal_owner_role(index);
    shoal_pen_write(&pen, "%c", 'A' + (int)(index % 26));
    pen.role = chosen ? SHOAL_ROLE_CAPTION : SHOAL_ROLE_PLAIN;
    shoal_pen_write(&pen, "%c%-4.10s", chosen ? '>' : ' ', node->label);
    pen.role = state.role;
    shoal_pen_write(&pen, "%-5s", state.word);
    pen.role = SHOAL_ROLE_PLAIN;
    if (pen.limit - pen.x < 6) return;
    shoal_pen_write(&pen, " %5u", slots_claimed(model, index));
    if (pen.limit - pen.x < 18) return;
    uint32_t pfail, fail;
    shoal_model_suspicion(model, index, &pfail, &fail);
    shoal_pen_write(&pen, " %5" PRIu64 "/%-4" PRIu64, node->current_epoch, node->config_epoch);
    pen.role = pfail ? SHOAL_ROLE_WARN : SHOAL_ROLE_DIM;
    shoal_pen_write(&pen, " %2u", pfail);
    pen.role = fail ? SHOAL_ROLE_BAD : SHOAL_ROLE_DIM;
    shoal_pen_write(&pen, " %3u", fail);
    pen.role = SHOAL_ROLE_DIM;
    if (pen.limit - pen.x >= 16) shoal_pen_write(&pen, "  %.8s", node->name);
}

void shoal_panel_nodes(shoal_grid *grid, shoal_box box, const shoal_model *model, uint32_t view)
{
    shoal_pen pen = {grid, box.x, box.y, box.x + box.width, SHOAL_ROLE_TITLE};
    if (box.width >= 36) {
        shoal_pen_write(&pen, "NODES state slots epoch/own  pf fail");
    } else {
        shoal_pen_write(&pen, "NODES     slots");
    }
    uint32_t shown = 0;
    for (uint32_t i = 0; i < model->node_count && (int)shown < box.height - 1; i++) {
        shoal_pen line = {grid, box.x, box.y + 1 + (int)shown++, box.x + box.width,
                          SHOAL_ROLE_PLAIN};
        draw_node(line, model, i, i == view);
    }
    if (shown < model->node_count) {
        shoal_pen more = {grid, box.x, box.y + box.height - 1, box.x + box.width, SHOAL_ROLE_DIM};
        shoal_pen_write(&more, "... %u more    ", model->node_count - shown + 1);
    }
}
