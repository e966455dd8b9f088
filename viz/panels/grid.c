/* SPDX-License-Identifier: MIT
 *
 * viz/panels/grid.c - cells, text into cells, cells into text.
 */
#include "viz/panels/grid.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

shoal_grid shoal_grid_make(int width, int height)
{
    shoal_grid grid = {width, height, calloc((size_t)width * (size_t)height, sizeof *grid.cells)};
    if (grid.cells) shoal_grid_clear(&grid);
    return grid;
}

void shoal_grid_free(shoal_grid *grid)
{
    free(grid->cells);
    *grid = (shoal_grid){0};
}

void shoal_grid_clear(shoal_grid *grid)
{
    for (int i = 0; i < grid->width * grid->height; i++) {
        grid->cells[i] = (shoal_cell){.code = ' '};
    }
}

void shoal_grid_put(shoal_grid *grid, int x, int y, shoal_cell cell)
{
    if (x < 0 || y < 0 || x >= grid->width || y >= grid->height) return;
    grid->cells[y * grid->width + x] = cell;
}

/* Reads one code point; bytes that are no UTF-8 come out as U+FFFD, one by one. */
static const char *utf8_next(const char *text, uint32_t *code)
{
    const unsigned char *t = (const unsigned char *)text;
    int extra = t[0] < 0x80             ? 0
                : (t[0] & 0xE0) == 0xC0 ? 1
                : (t[0] & 0xF0) == 0xE0 ? 2
                : (t[0] & 0xF8) == 0xF0 ? 3
                                        : -1;
    if (extra <= 0) {
        *code = extra == 0 ? t[0] : 0xFFFD;
        return text + 1;
    }
    uint32_t value = t[0] & (0x3Fu >> extra);
    for (int i = 1; i <= extra; i++) {
        if ((t[i] & 0xC0) != 0x80) {
            *code = 0xFFFD;
            return text + 1;
        }
        value = value << 6 | (t[i] & 0x3Fu);
    }
    *code = value;
    return text + extra + 1;
}

void shoal_pen_write(shoal_pen *pen, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (const char *at = text; *at;) {
        uint32_t code;
        at = utf8_next(at, &code);
        if (code < ' ') code = ' ';
        if (pen->x < pen->limit) {
            shoal_grid_put(pen->grid, pen->x, pen->y,
                           (shoal_cell){code, (uint8_t)pen->role, SHOAL_ROLE_PLAIN});
        }
        pen->x++;
    }
}

int shoal_utf8_encode(uint32_t code, char out[5])
{
    int size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(lead[size] | code);
    out[size] = 0;
    return size;
}

void shoal_grid_print(const shoal_grid *grid, FILE *out)
{
    for (int y = 0; y < grid->height; y++) {
        const shoal_cell *row = grid->cells + y * grid->width;
        int last = grid->width;
        while (last > 0 && row[last - 1].code == ' ') last--;
        for (int x = 0; x < last; x++) {
            char text[5];
            fwrite(text, 1, (size_t)shoal_utf8_encode(row[x].code, text), out);
        }
        fputc('\n', out);
    }
}

shoal_role shoal_owner_role(uint32_t owner)
{
    return (shoal_role)(SHOAL_ROLE_OWNER + owner % SHOAL_OWNER_COLOURS);
}
