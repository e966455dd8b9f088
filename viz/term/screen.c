/* SPDX-License-Identifier: MIT
 *
 * viz/term/screen.c - the ncurses backend. It owns the wall clock of the picture: between two
 * frames the player moves on by what has passed, times the speed.
 */
#include "viz/term/screen.h"

#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "viz/term/palette.h"

#define FRAME_MS 40 /* chosen: 25 frames a second is smooth and cheap over ssh */
#define STEP_US 100000
#define SPEED_MIN 0.001
#define SPEED_MAX 1e6
#define PROMPT_MAX 16

typedef struct screen {
    shoal_player *player;
    shoal_panels_state state;
    double debt_us;   /* part of a microsecond not yet passed */
    int64_t clock_us; /* wall clock of the last frame */
    char prompt[PROMPT_MAX];
    bool prompting;
    bool leave;
} screen;

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void paint(const shoal_grid *grid)
{
    for (int y = 0; y < grid->height; y++) {
        for (int x = 0; x < grid->width; x++) {
            const shoal_cell *cell = &grid->cells[y * grid->width + x];
            /* The last cell of a terminal scrolls it when written. */
            if (y == grid->height - 1 && x == grid->width - 1) break;
            char text[5];
            shoal_utf8_encode(cell->code, text);
            attrset(shoal_palette_attributes(cell->front, cell->back));
            mvaddstr(y, x, text);
        }
    }
    refresh();
}

static void draw(screen *s)
{
    int height, width;
    getmaxyx(stdscr, height, width);
    if (width < SHOAL_PANELS_WIDTH_MIN || height < SHOAL_PANELS_HEIGHT_MIN) {
        erase();
        mvprintw(0, 0, "shoal-top needs %dx%d, this is %dx%d", SHOAL_PANELS_WIDTH_MIN,
                 SHOAL_PANELS_HEIGHT_MIN, width, height);
        refresh();
        return;
    }
    shoal_grid grid = shoal_grid_make(width, height);
    if (!grid.cells) return;
    const shoal_timeline *timeline = s->player->timeline;
    s->state.ended = shoal_player_at_end(s->player);
    s->state.end_us = shoal_timeline_complete(timeline) ? shoal_timeline_end_us(timeline) : 0;
    s->state.prompt = s->prompting ? s->prompt : NULL;
    shoal_panels_draw(&grid, s->player->model, &s->state);
    paint(&grid);
    shoal_grid_free(&grid);
}

static void next_view(screen *s, bool forward)
{
    uint32_t count = s->player->model->node_count;
    uint32_t at = s->state.view == SHOAL_VIEW_TRUTH ? count : s->state.view;
    at = (at + (forward ? 1 : count)) % (count + 1);
    s->state.view = at == count ? SHOAL_VIEW_TRUTH : at;
}

static void change_speed(screen *s, double factor)
{
    double speed = s->state.speed * factor;
    if (speed >= SPEED_MIN && speed <= SPEED_MAX) s->state.speed = speed;
}

/* A key while a time is being typed. */
static void prompt_key(screen *s, int key)
{
    size_t length = strlen(s->prompt);
    if (key == 27) {
        s->prompting = false;
    } else if (key == '\n' || key == KEY_ENTER) {
        int64_t time_us;
        s->prompting = false;
        if (shoal_top_time_parse(s->prompt, &time_us)) shoal_player_seek(s->player, time_us);
    } else if (key == KEY_BACKSPACE || key == 127 || key == 8) {
        if (length) s->prompt[length - 1] = 0;
    } else if (key >= ' ' && key < 127 && length + 1 < PROMPT_MAX) {
        s->prompt[length] = (char)key;
        s->prompt[length + 1] = 0;
    }
}

/* Keys that move in time stop the clock first. True when `key` was one. */
static bool time_key(screen *s, int key)
{
    int64_t now_us = s->player->model->now_us;
    switch (key) {
    case '.': shoal_player_next(s->player); break;
    case ',': shoal_player_previous(s->player); break;
    case '>': shoal_player_seek(s->player, now_us + STEP_US); break;
    case '<': shoal_player_seek(s->player, now_us - STEP_US); break;
    case '}': shoal_player_next_news(s->player); break;
    case '{': shoal_player_previous_news(s->player); break;
    case '0': shoal_player_seek(s->player, 0); break;
    case KEY_END: shoal_player_seek(s->player, INT64_MAX / 2); break;
    default: return false;
    }
    s->state.paused = true;
    return true;
}

static void handle_key(screen *s, int key)
{
    if (s->prompting) {
        prompt_key(s, key);
        return;
    }
    if (time_key(s, key)) return;
    switch (key) {
    case ' ': s->state.paused = !s->state.paused; break;
    case '+': change_speed(s, 2); break;
    case '-': change_speed(s, 0.5); break;
    case 'v': next_view(s, true); break;
    case 'V': next_view(s, false); break;
    case '?': s->state.help = !s->state.help; break;
    case 'g':
        s->prompting = true;
        s->prompt[0] = 0;
        break;
    case 'q': s->leave = true; break;
    default: break;
    }
}

static void let_time_pass(screen *s)
{
    int64_t now_us = wall_us();
    double passed = (double)(now_us - s->clock_us) * s->state.speed + s->debt_us;
    s->clock_us = now_us;
    if (s->state.paused || s->prompting) return;
    int64_t whole = (int64_t)passed;
    s->debt_us = passed - (double)whole;
    shoal_player_seek(s->player, s->player->model->now_us + whole);
}

static bool open_terminal(void)
{
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (!terminal) return false;
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    timeout(FRAME_MS);
    shoal_palette_open();
    return true;
}

int shoal_screen_run(shoal_player *player, const shoal_top_options *options)
{
    if (!open_terminal()) {
        fprintf(stderr, "shoal-top: expected a terminal (TERM); use --headless without one\n");
        return 2;
    }
    screen s = {
        .player = player,
        .state = {.view = SHOAL_VIEW_TRUTH,
                  .speed = options->speed,
                  .source = options->trace ? options->trace : options->schedule},
        .clock_us = wall_us(),
    };
    while (!s.leave) {
        draw(&s);
        if (options->once && shoal_player_at_end(player)) break;
        int key = getch();
        if (key != ERR) handle_key(&s, key);
        let_time_pass(&s);
    }
    if (options->once && !s.leave) napms(2000);
    endwin();
    return 0;
}
