/* SPDX-License-Identifier: MIT
 *
 * Writing schedules in canonical form: one line an event, ordered by time, one way to write each
 * duration, defaults left out where the grammar has them.
 */
#include "sim/lines.h"

#include "base/text.h"

/* Width of the column of times. */
#define TIME_COLUMN 10

static const char *const line_words[SHOAL_LINE_COUNT] = {
#define SHOAL_LINE(NAME, name, timed, syntax, doc) [SHOAL_LINE_##NAME] = #name,
#include "sim/lines.def"
#undef SHOAL_LINE
};

static const bool line_timed[SHOAL_LINE_COUNT] = {
#define SHOAL_LINE(NAME, name, timed, syntax, doc) [SHOAL_LINE_##NAME] = timed,
#include "sim/lines.def"
#undef SHOAL_LINE
};

typedef void (*format_function)(const shoal_line *line, shoal_buffer *out);
static const format_function line_formats[SHOAL_LINE_COUNT] = {
#define SHOAL_LINE(NAME, name, timed, syntax, doc) [SHOAL_LINE_##NAME] = shoal_line__format_##name,
#include "sim/lines.def"
#undef SHOAL_LINE
};

/* ---- values ---- */

void shoal_line__format_duration(int64_t us, shoal_buffer *out)
{
    if (us % 1000000 == 0) {
        shoal_text_appendf(out, "%lds", (long)(us / 1000000));
    } else if (us % 1000 == 0) {
        shoal_text_appendf(out, "%ldms", (long)(us / 1000));
    } else {
        shoal_text_appendf(out, "%ldus", (long)us);
    }
}

/* Thousandths, ten-thousandths, ... without trailing zeros. */
static void format_decimal(uint64_t value, uint64_t scale, shoal_buffer *out)
{
    shoal_text_appendf(out, "%lu", (unsigned long)(value / scale));
    uint64_t rest = value % scale;
    if (rest == 0) return;
    shoal_text_appendf(out, ".");
    while (rest > 0) {
        scale /= 10;
        shoal_text_appendf(out, "%lu", (unsigned long)(rest / scale));
        rest %= scale;
    }
}

static void format_atom(const shoal_atom *atom, shoal_buffer *out)
{
    char letter = atom->kind == SHOAL_ATOM_NODES ? 'n' : 'c';
    if (atom->kind == SHOAL_ATOM_ALL) {
        shoal_text_appendf(out, "*");
    } else if (atom->kind == SHOAL_ATOM_MASTERS || atom->kind == SHOAL_ATOM_REPLICAS) {
        shoal_text_appendf(out, atom->kind == SHOAL_ATOM_MASTERS ? "masters" : "replicas");
    } else if (atom->kind == SHOAL_ATOM_FOLLOWERS) {
        shoal_text_appendf(out, "replicas-of(slot %u)", atom->first);
    } else if (atom->kind == SHOAL_ATOM_OWNER) {
        shoal_text_appendf(out, "owner-of(slot %u)", atom->first);
    } else if (atom->first == atom->last) {
        shoal_text_appendf(out, "%c%u", letter, atom->first);
    } else {
        shoal_text_appendf(out, "%c%u..%c%u", letter, atom->first, letter, atom->last);
    }
}

void shoal_line__format_selector(const shoal_selector *selector, shoal_buffer *out)
{
    for (uint32_t i = 0; i < selector->count; i++) {
        if (i > 0) shoal_text_appendf(out, " ");
        format_atom(&selector->atoms[i], out);
    }
}

void shoal_line__format_sides(const shoal_line *line, shoal_buffer *out)
{
    shoal_text_appendf(out, " ");
    shoal_line__format_selector(&line->left, out);
    if (line->relation == SHOAL_RELATION_NONE) return;
    shoal_text_appendf(out, "%s", line->relation == SHOAL_RELATION_BOTH ? " | " : " -> ");
    shoal_line__format_selector(&line->right, out);
}

/* ---- set-up lines ---- */

void shoal_line__format_schedule(const shoal_line *line, shoal_buffer *out)
{
    (void)line;
    shoal_text_appendf(out, " v1");
}

void shoal_line__format_seed(const shoal_line *line, shoal_buffer *out)
{
    shoal_text_appendf(out, " %lu", (unsigned long)line->amount);
}

void shoal_line__format_cluster(const shoal_line *line, shoal_buffer *out)
{
    shoal_text_appendf(out, " nodes %u", line->nodes);
    if (line->masters != line->nodes) shoal_text_appendf(out, " masters %u", line->masters);
    if (line->replicas > 0) shoal_text_appendf(out, " replicas %u", line->replicas);
    shoal_text_appendf(out, " node_timeout ");
    shoal_line__format_duration(line->node_timeout_us, out);
    shoal_text_appendf(out, " meet %s", shoal_line__meets[line->choice]);
}

void shoal_line__format_config(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    shoal_text_appendf(out, " %s", line->text);
}

/* ---- network ---- */

void shoal_line__format_net(const shoal_line *line, shoal_buffer *out)
{
    const shoal_quality *quality = &line->quality;
    shoal_line__format_sides(line, out);
    if (quality->latency_us >= 0) {
        shoal_text_appendf(out, " latency ");
        shoal_line__format_duration(quality->latency_us, out);
    }
    if (quality->jitter_us >= 0) {
        shoal_text_appendf(out, " jitter ");
        shoal_line__format_duration(quality->jitter_us, out);
    }
    if (quality->shape >= 0) {
        shoal_text_appendf(out, " dist %s", shoal_line__shapes[quality->shape]);
    }
    if (quality->split_ppm >= 0) {
        shoal_text_appendf(out, " split ");
        format_decimal((uint64_t)quality->split_ppm, 10000, out);
        shoal_text_appendf(out, "%%");
    }
    if (quality->rate_bytes_per_s == 0) shoal_text_appendf(out, " rate unlimited");
    if (quality->rate_bytes_per_s > 0) {
        int64_t kilobits = quality->rate_bytes_per_s / 125;
        if (kilobits % 1000000 == 0) {
            shoal_text_appendf(out, " rate %ldgbit", (long)(kilobits / 1000000));
        } else if (kilobits % 1000 == 0) {
            shoal_text_appendf(out, " rate %ldmbit", (long)(kilobits / 1000));
        } else {
            shoal_text_appendf(out, " rate %ldkbit", (long)kilobits);
        }
    }
}

void shoal_line__format_cut(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
}

void shoal_line__format_heal(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
}

void shoal_line__format_stall(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    shoal_text_appendf(out, " for ");
    shoal_line__format_duration(line->amount, out);
}

void shoal_line__format_reset(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
}

/* ---- clients ---- */

static void format_keys(const shoal_load *load, shoal_buffer *out)
{
    if (load->zipf_milli == 0) {
        shoal_text_appendf(out, " keys uniform(%u)", load->keys);
        return;
    }
    shoal_text_appendf(out, " keys zipf(%u,", load->keys);
    format_decimal(load->zipf_milli, 1000, out);
    shoal_text_appendf(out, ")");
}

static void format_mix(shoal_load load, shoal_buffer *out)
{
    const char *before = "";
    for (uint32_t i = 0; i < SHOAL_ACTION_COUNT; i++) {
        uint32_t weight = *shoal_load__weight(&load, i);
        if (weight == 0) continue;
        shoal_text_appendf(out, "%s%s:%u", before, shoal_action_name(i), weight);
        before = ",";
    }
}

void shoal_line__format_client(const shoal_line *line, shoal_buffer *out)
{
    const shoal_load *load = &line->load;
    shoal_line__format_sides(line, out);
    shoal_text_appendf(out, " rate ");
    format_decimal(load->rate_milli, 1000, out);
    shoal_text_appendf(out, "/s");
    format_keys(load, out);
    shoal_text_appendf(out, " mix ");
    format_mix(*load, out);
    if (load->px_weight > 0) {
        shoal_text_appendf(out, " ttl ");
        shoal_line__format_duration(load->ttl_us, out);
    }
    shoal_text_appendf(out, " size %u timeout ", load->value_size);
    shoal_line__format_duration(load->timeout_us, out);
    if (load->reads_replicas) shoal_text_appendf(out, " reads replica");
}

void shoal_line__format_stop(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
}

/* ---- processes, clocks, disks ---- */

void shoal_line__format_crash(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    if (line->power) shoal_text_appendf(out, " power");
    if (line->fate != SHOAL_DISK_KEPT) {
        shoal_text_appendf(out, " disk %s", shoal_line__fates[line->fate]);
    }
    shoal_line__format_trigger(line, out);
}

void shoal_line__format_restart(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    if (line->wiped) shoal_text_appendf(out, " disk empty");
}

void shoal_line__format_pause(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
}

void shoal_line__format_resume(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
}

void shoal_line__format_clock(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    if (line->clock == SHOAL_CLOCK_WALL) shoal_text_appendf(out, " wall");
    if (line->clock == SHOAL_CLOCK_MONOTONIC) shoal_text_appendf(out, " monotonic");
    shoal_text_appendf(out, " %s", shoal_line__clock_changes[line->choice]);
    if (line->choice == SHOAL_CLOCK_STEP) {
        shoal_text_appendf(out, " %c", line->amount < 0 ? '-' : '+');
        shoal_line__format_duration(line->amount < 0 ? -line->amount : line->amount, out);
    }
    if (line->choice == SHOAL_CLOCK_DRIFT) {
        shoal_text_appendf(out, " %c%ldppm", line->amount < 0 ? '-' : '+',
                           (long)(line->amount < 0 ? -line->amount : line->amount));
    }
}

void shoal_line__format_disk(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    shoal_text_appendf(out, " %s", shoal_line__disk_modes[line->choice]);
    if (line->choice == SHOAL_DISK_SLOW) {
        shoal_text_appendf(out, " ");
        shoal_line__format_duration(line->amount, out);
    }
}

/* ---- stories and contracts ---- */

void shoal_line__format_operate(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    shoal_text_appendf(out, " %s", line->text);
}

void shoal_line__format_say(const shoal_line *line, shoal_buffer *out)
{
    shoal_text_appendf(out, " \"%s\"", line->text);
}

void shoal_line__format_expect(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_contract(line, out);
}

void shoal_line__format_end(const shoal_line *line, shoal_buffer *out)
{
    (void)line;
    (void)out;
}

/* ---- whole lines ---- */

void shoal_line_format(const shoal_line *line, shoal_buffer *out)
{
    shoal_text_appendf(out, "%s", line_words[line->kind]);
    line_formats[line->kind](line, out);
}

/* The time and blanks up to the column of words. */
static void format_time(int64_t at_us, shoal_buffer *out)
{
    size_t before = shoal_buffer_size(out);
    shoal_line__format_duration(at_us, out);
    do {
        shoal_text_appendf(out, " ");
    } while (shoal_buffer_size(out) - before < TIME_COLUMN);
}

void shoal_schedule_format(const shoal_schedule *schedule, bool comments, shoal_buffer *out)
{
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (comments && line->comment_before) shoal_text_appendf(out, "%s", line->comment_before);
        if (line_timed[line->kind]) format_time(line->at_us, out);
        shoal_line_format(line, out);
        if (comments && line->comment_behind) shoal_text_appendf(out, "  %s", line->comment_behind);
        shoal_text_appendf(out, "\n");
    }
    if (comments && schedule->comment_end) shoal_text_appendf(out, "%s", schedule->comment_end);
}
