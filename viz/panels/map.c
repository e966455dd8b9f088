/* SPDX-License-Identifier: MIT
 *
 * viz/panels/map.c - the slot map: all 16,384 slots in rows of 64 cells. A cell stands for 16, 8
 * or 4 neighbouring slots, as many rows as fit; on a large grid for one slot each in half
 * blocks, two slots a cell.
 */
#include <stdlib.h>

#include "viz/panels/panels.h"

#define MAP_COLUMNS 64
#define WIDE_COLUMNS 128
#define WIDE_ROWS 64

static uint32_t letter_of(const shoal_model *model, uint16_t owner)
{
    int32_t node = model->names[owner - 1].node;
    return node >= 0 ? (uint32_t)node : owner - 1u;
}

/* The one character for `count` slots that begin at `first`. */
static shoal_cell cell_of(const shoal_model *model, const shoal_slot_view *slots, uint32_t count)
{
    bool mixed = false, disputed = false, failed = false;
    for (uint32_t i = 0; i < count; i++) {
        mixed |= slots[i].owner != slots[0].owner;
        disputed |= slots[i].disputed;
        failed |= slots[i].failed;
    }
    if (disputed) return (shoal_cell){'!', SHOAL_ROLE_BAD, SHOAL_ROLE_PLAIN};
    if (mixed) return (shoal_cell){'+', SHOAL_ROLE_WARN, SHOAL_ROLE_PLAIN};
    if (!slots[0].owner) return (shoal_cell){'.', SHOAL_ROLE_DIM, SHOAL_ROLE_PLAIN};
    uint32_t owner = letter_of(model, slots[0].owner);
    uint32_t letter = (failed ? 'a' : 'A') + owner % 26;
    return (shoal_cell){letter, (uint8_t)shoal_owner_role(owner), SHOAL_ROLE_PLAIN};
}

static uint8_t half_colour(const shoal_model *model, const shoal_slot_view *slot)
{
    if (slot->disputed) return SHOAL_ROLE_BAD;
    if (!slot->owner) return SHOAL_ROLE_PLAIN;
    if (slot->failed) return SHOAL_ROLE_DIM;
    return (uint8_t)shoal_owner_role(letter_of(model, slot->owner));
}

/* Two rows of 128 slots in one row of cells: the upper half block has the even row's colour. */
static void draw_wide(shoal_grid *grid, shoal_box box, const shoal_model *model,
                      const shoal_slot_view *slots)
{
    for (int row = 0; row < WIDE_ROWS; row++) {
        for (int column = 0; column < WIDE_COLUMNS; column++) {
            const shoal_slot_view *upper = &slots[row * 2 * WIDE_COLUMNS + column];
            const shoal_slot_view *lower = upper + WIDE_COLUMNS;
            shoal_cell cell = {0x2580, half_colour(model, upper), half_colour(model, lower)};
            if (!upper->owner && !lower->owner) cell.code = 0x00B7;
            shoal_grid_put(grid, box.x + column, box.y + row, cell);
        }
    }
}

static int rows_that_fit(shoal_box box)
{
    int rows = 64;
    while (rows > 16 && rows > box.height - 1) rows /= 2;
    return rows;
}

static void draw_letters(shoal_grid *grid, shoal_box box, const shoal_model *model,
                         const shoal_slot_view *slots)
{
    int rows = rows_that_fit(box);
    int labels = box.width >= MAP_COLUMNS + 6 ? 6 : 0;
    uint32_t per_cell = SHOAL_SLOTS / (uint32_t)(rows * MAP_COLUMNS);
    for (int row = 0; row < rows; row++) {
        uint32_t first = (uint32_t)row * MAP_COLUMNS * per_cell;
        shoal_pen pen = {grid, box.x, box.y + row, box.x + labels, SHOAL_ROLE_DIM};
        if (labels) shoal_pen_write(&pen, "%5u", first);
        for (int column = 0; column < MAP_COLUMNS; column++) {
            const shoal_slot_view *at = &slots[first + (uint32_t)column * per_cell];
            shoal_grid_put(grid, box.x + labels + column, box.y + row,
                           cell_of(model, at, per_cell));
        }
    }
}

void shoal_panel_map(shoal_grid *grid, shoal_box box, const shoal_model *model, uint32_t view)
{
    shoal_slot_view *slots = calloc(SHOAL_SLOTS, sizeof *slots);
    if (!slots) return;
    shoal_model_slots(model, view, slots);
    uint32_t served = 0, unowned = 0, disputed = 0;
    for (uint32_t s = 0; s < SHOAL_SLOTS; s++) {
        unowned += !slots[s].owner;
        served += slots[s].owner && !slots[s].failed;
        disputed += slots[s].disputed;
    }
    shoal_pen pen = {grid, box.x, box.y, box.x + box.width, SHOAL_ROLE_TITLE};
    shoal_pen_write(&pen, "SLOTS");
    pen.role = SHOAL_ROLE_DIM;
    shoal_pen_write(&pen, "  served %u  unassigned %u", served, unowned);
    pen.role = disputed ? SHOAL_ROLE_BAD : SHOAL_ROLE_DIM;
    shoal_pen_write(&pen, "  disputed %u", disputed);
    shoal_box inside = {box.x, box.y + 1, box.width, box.height - 1};
    if (inside.width >= WIDE_COLUMNS && inside.height >= WIDE_ROWS) {
        draw_wide(grid, inside, model, slots);
    } else {
        draw_letters(grid, inside, model, slots);
    }
    free(slots);
}
