/* SPDX-License-Identifier: MIT
 *
 * viz/panels/lists.c - the panels that are lists: frames in flight, news, keys.
 */
#include <string.h>

#include "viz/panels/panels.h"

static const char *frame_name(uint32_t type)
{
    static const char *const names[] = {
        "PING",     "PONG",   "MEET",    "FAIL",   "PUBLISH",      "AUTH_REQUEST",
        "AUTH_ACK", "UPDATE", "MFSTART", "MODULE", "PUBLISHSHARD",
    };
    return type < sizeof names / sizeof names[0] ? names[type] : "?";
}

static const char *label_of(const shoal_model *model, uint32_t node)
{
    if (node >= model->node_count) return "?";
    return model->nodes[node].label;
}

/* Eight cells that fill as the frame travels. */
static void draw_travel(shoal_pen *pen, const shoal_flight *flight, int64_t now_us)
{
    int64_t whole = flight->arrives_us - flight->sent_us;
    int64_t gone = now_us - flight->sent_us;
    int filled = flight->arrives_us && whole > 0 ? (int)(gone * 8 / whole) : 0;
    if (!flight->arrives_us) {
        pen->role = SHOAL_ROLE_BAD;
        shoal_pen_write(pen, "  x lost ");
        return;
    }
    pen->role = SHOAL_ROLE_DIM;
    for (int i = 0; i < 8; i++) shoal_pen_write(pen, "%s", i == filled ? "●" : "─");
    shoal_pen_write(pen, " ");
}

void shoal_panel_flights(shoal_grid *grid, shoal_box box, const shoal_model *model)
{
    shoal_pen title = {grid, box.x, box.y, box.x + box.width, SHOAL_ROLE_TITLE};
    shoal_pen_write(&title, "IN FLIGHT %u", model->flight_count);
    for (uint32_t i = 0; i < model->flight_count && (int)i < box.height - 1; i++) {
        const shoal_flight *flight = &model->flights[i];
        shoal_pen pen = {grid, box.x, box.y + 1 + (int)i, box.x + box.width, SHOAL_ROLE_PLAIN};
        pen.role = shoal_owner_role(flight->from);
        shoal_pen_write(&pen, "%-4.8s", label_of(model, flight->from));
        draw_travel(&pen, flight, model->now_us);
        pen.role = shoal_owner_role(flight->to);
        shoal_pen_write(&pen, "%-4.8s", label_of(model, flight->to));
        pen.role = flight->type == 3 ? SHOAL_ROLE_BAD : SHOAL_ROLE_PLAIN;
        shoal_pen_write(&pen, " %s", frame_name(flight->type));
    }
}

static shoal_role news_role(shoal_trace_kind kind)
{
    switch (kind) {
    case SHOAL_TRACE_FAIL:
    case SHOAL_TRACE_NODE_CRASHED:
    case SHOAL_TRACE_FRAME_REFUSED: return SHOAL_ROLE_BAD;
    case SHOAL_TRACE_PFAIL:
    case SHOAL_TRACE_FAULT:
    case SHOAL_TRACE_WHY_NOT: return SHOAL_ROLE_WARN;
    case SHOAL_TRACE_SAY: return SHOAL_ROLE_CAPTION;
    case SHOAL_TRACE_READY:
    case SHOAL_TRACE_FAIL_CLEARED:
    case SHOAL_TRACE_PFAIL_CLEARED: return SHOAL_ROLE_GOOD;
    default: return SHOAL_ROLE_PLAIN;
    }
}

void shoal_panel_news(shoal_grid *grid, shoal_box box, const shoal_model *model)
{
    shoal_pen title = {grid, box.x, box.y, box.x + box.width, SHOAL_ROLE_TITLE};
    shoal_pen_write(&title, "NEWS");
    uint64_t room = (uint64_t)(box.height > 1 ? box.height - 1 : 0);
    uint64_t kept =
        model->news_count < SHOAL_MODEL_NEWS_MAX ? model->news_count : SHOAL_MODEL_NEWS_MAX;
    uint64_t shown = kept < room ? kept : room;
    for (uint64_t i = 0; i < shown; i++) {
        uint64_t at = (model->news_count - shown + i) % SHOAL_MODEL_NEWS_MAX;
        const shoal_news *news = &model->news[at];
        shoal_pen pen = {grid, box.x, box.y + 1 + (int)i, box.x + box.width, SHOAL_ROLE_DIM};
        shoal_pen_write(&pen, "%10.3f ", (double)news->time_us / 1e6);
        bool world = news->node == SHOAL_TRACE_WORLD;
        pen.role = world ? SHOAL_ROLE_DIM : shoal_owner_role(news->node);
        shoal_pen_write(&pen, "%-4.8s", world ? "" : label_of(model, news->node));
        pen.role = news_role(news->kind);
        shoal_pen_write(&pen, " %s", news->text);
    }
}

void shoal_panel_help(shoal_grid *grid, shoal_box box)
{
    static const char *const lines[] = {
        " space   pause, go on              v V    whose view of the slots      ",
        " . ,     next, previous event      } {    next, previous news          ",
        " > <     100 ms on, back           + -    twice, half as fast          ",
        " g       go to a time (12.5s)      0      back to the start            ",
        " end     to the end of the run     q      leave                        ",
        "                                                                       ",
        " map: A node well  a node dead or FAIL  . nobody  + several  ! disputed",
    };
    int count = (int)(sizeof lines / sizeof lines[0]);
    for (int i = 0; i < count; i++) {
        shoal_pen pen = {grid, box.x, box.y + i, box.x + box.width, SHOAL_ROLE_CAPTION};
        shoal_pen_write(&pen, "%s", lines[i]);
    }
}
