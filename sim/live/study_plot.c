/* SPDX-License-Identifier: MIT
 *
 * sim/live/study.h: as a picture. One strip for each measure, one line in it for each group: a dot
 * for each run, and behind the dots a box from the first to the third quarter with a stroke at the
 * median. All lengths are in whole units of the picture.
 */
#include <inttypes.h>
#include <string.h>

#include "sim/live/study.h"

enum { WIDTH = 900, LEFT = 270, RIGHT = 880, LINE = 22, HEAD = 34, GAP = 30, TOP = 44 };

/* What a strip shows: from 0 to the greatest value of all groups, rounded up. */
typedef struct strip_shape {
    uint32_t row;
    int64_t most, step; /* of the axis */
    bool time;
    int y;
} strip_shape;

static const char *colour_of(const shoal_study *study, const shoal_group *group)
{
    static const char *const live[] = {"#c0392b", "#0b62a4", "#2e8b57", "#aa6600"};
    if (group->server == NULL) return "#555555";
    return live[(size_t)(group->server - study->servers) % 4];
}

/* A round step that divides the axis into four to ten parts. */
static void scale(strip_shape *strip)
{
    static const int64_t factors[] = {1, 2, 5};
    int64_t power = 1;
    for (strip->step = 1;; power *= 10) {
        for (uint32_t i = 0; i < 3; i++) {
            strip->step = factors[i] * power;
            if (strip->most > strip->step * 8) continue;
            strip->most = (strip->most / strip->step + 1) * strip->step;
            return;
        }
    }
}

static int at_x(const strip_shape *strip, int64_t value)
{
    return LEFT + (int)((RIGHT - LEFT) * value / strip->most);
}

static void text(FILE *out, int x, int y, const char *anchor, const char *words)
{
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">", x, y, anchor);
    for (const char *c = words; *c; c++) {
        if (*c == '<')
            fputs("&lt;", out);
        else if (*c == '&')
            fputs("&amp;", out);
        else
            fputc(*c, out);
    }
    fputs("</text>\n", out);
}

static void draw_axis(const shoal_study *study, const strip_shape *strip, FILE *out)
{
    int bottom = strip->y + HEAD + LINE * (int)study->group_count;
    char words[32];
    for (int64_t value = 0; value <= strip->most; value += strip->step) {
        int x = at_x(strip, value);
        fprintf(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" stroke=\"#dddddd\"/>\n", x, x,
                strip->y + HEAD - 6, bottom);
        if (strip->time)
            snprintf(words, sizeof(words), "%" PRId64 ".%" PRId64 " s", value / 1000000,
                     value / 100000 % 10);
        else
            snprintf(words, sizeof(words), "%" PRId64, value);
        text(out, x, bottom + 13, "middle", words);
    }
}

/* One line of a strip. */
typedef struct lane_shape {
    const shoal_sample *sample;
    const char *label, *colour;
    int y;
} lane_shape;

/* A dot for each value. Neighbours lie on five levels, so that equal values show; dots that would
 * cover each other are drawn once. */
static void draw_dots(const strip_shape *strip, const lane_shape *lane, FILE *out)
{
    int last[5] = {-1, -1, -1, -1, -1};
    if (lane->sample->count == 0) return;
    fputs("<path d=\"", out);
    for (uint32_t i = 0; i < lane->sample->count; i++) {
        int x = at_x(strip, lane->sample->values[i]), level = (int)(i % 5);
        if (x == last[level]) continue;
        last[level] = x;
        fprintf(out, "M%d %dh0", x, lane->y + (level - 2) * 2);
    }
    fprintf(out,
            "\" stroke=\"%s\" stroke-width=\"3.6\" stroke-linecap=\"round\" "
            "stroke-opacity=\"0.65\"/>\n",
            lane->colour);
}

static void draw_lane(const strip_shape *strip, const lane_shape *lane, FILE *out)
{
    const shoal_sample *sample = lane->sample;
    char words[64];
    text(out, LEFT - 10, lane->y + 4, "end", lane->label);
    if (sample->count > 0) {
        int low = at_x(strip, shoal_sample__at(sample, 250));
        int high = at_x(strip, shoal_sample__at(sample, 750));
        int middle = at_x(strip, shoal_sample__at(sample, 500));
        fprintf(out,
                "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"14\" fill=\"%s\" "
                "fill-opacity=\"0.18\" stroke=\"%s\" stroke-opacity=\"0.5\"/>\n",
                low, lane->y - 7, high > low ? high - low : 1, lane->colour, lane->colour);
        fprintf(out,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" stroke=\"%s\" "
                "stroke-width=\"2.5\"/>\n",
                middle, middle, lane->y - 9, lane->y + 9, lane->colour);
    }
    draw_dots(strip, lane, out);
    if (sample->missing == 0) return;
    snprintf(words, sizeof(words), "%u not", sample->missing);
    text(out, RIGHT + 2, lane->y + 4, "end", words);
}

static void draw_strip(const shoal_study *study, strip_shape *strip, FILE *out)
{
    uint32_t incident;
    const char *name;
    char title[160];
    strip->most = 1;
    for (uint32_t i = 0; i < study->group_count; i++) {
        const shoal_sample *sample =
            shoal_study__row(study, &study->groups[i], strip->row, &incident, &name);
        if (sample->count > 0 && sample->values[sample->count - 1] > strip->most)
            strip->most = sample->values[sample->count - 1];
    }
    scale(strip);
    strip->time = incident != UINT32_MAX;
    snprintf(title, sizeof(title), "%s%s", name,
             !strip->time ? ": acknowledged and not found again"
             : strip->row % SHOAL_LAPSE_COUNT == SHOAL_LAPSE_DETECTION
                 ? ": from the fault to the first node that says FAIL"
             : strip->row % SHOAL_LAPSE_COUNT == SHOAL_LAPSE_ELECTION
                 ? ": from the fault to a replica that says master"
                 : ": from the fault to the first write to its slots that is taken");
    fprintf(out, "<g font-size=\"12\" font-weight=\"bold\">");
    text(out, 12, strip->y + 16, "start", title);
    fprintf(out, "</g>\n");
    draw_axis(study, strip, out);
    for (uint32_t i = 0; i < study->group_count; i++) {
        const shoal_group *group = &study->groups[i];
        lane_shape lane = {.sample = shoal_study__row(study, group, strip->row, &incident, &name),
                           .label = group->label,
                           .colour = colour_of(study, group),
                           .y = strip->y + HEAD + LINE * (int)i + LINE / 2};
        draw_lane(strip, &lane, out);
    }
}

/* Has any group a value of this row? */
static bool is_empty(const shoal_study *study, uint32_t row)
{
    uint32_t incident;
    const char *name;
    for (uint32_t i = 0; i < study->group_count; i++) {
        if (shoal_study__row(study, &study->groups[i], row, &incident, &name)->count > 0)
            return false;
    }
    return true;
}

void shoal_study__plot(const shoal_study *study, FILE *out)
{
    int y = TOP, each = HEAD + LINE * (int)study->group_count + GAP;
    uint32_t shown = 0;
    const char *file = strrchr(study->file, '/');
    for (uint32_t row = 0; row < shoal_study__rows(study); row++) shown += !is_empty(study, row);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "font-family=\"sans-serif\" font-size=\"11\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH, TOP + each * (int)shown + 10);
    fprintf(out, "<g font-size=\"14\">");
    text(out, 12, 24, "start", file ? file + 1 : study->file);
    fprintf(out, "</g>\n");
    for (uint32_t row = 0; row < shoal_study__rows(study); row++) {
        strip_shape strip = {.row = row, .y = y};
        if (is_empty(study, row)) continue;
        draw_strip(study, &strip, out);
        y += each;
    }
    fputs("</svg>\n", out);
}
