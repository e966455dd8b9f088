/* SPDX-License-Identifier: MIT
 *
 * sim/live/study.h: for people and for programs.
 */
#include <inttypes.h>
#include <string.h>

#include "sim/live/study.h"
#include "sim/memory.h"
#include "sim/program.h"

/* The words of a line without its time, to be freed by shoal_sim__free. */
static char *words_of(const shoal_line *line)
{
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&allocator);
    shoal_line_format(line, &text);
    size_t size = shoal_buffer_size(&text);
    char *words = shoal_sim__allocate(size + 1);
    if (size > 0) memcpy(words, shoal_buffer_slice(&text).data, size);
    shoal_buffer_free(&text);
    return words;
}

/* ---- for people ---- */

static void print_left_out(const shoal_study *study, const shoal_group *group, FILE *out)
{
    for (uint32_t i = 0; i < study->schedule->count; i++) {
        const shoal_planned *planned = &group->plan[i];
        if (planned->fit == SHOAL_FIT_PLAYED) continue;
        char *words = words_of(planned->line);
        fprintf(out, "%-14s%s: %s:%u: %s (%s)\n",
                planned->fit == SHOAL_FIT_LEFT_OUT ? "LEFT OUT" : "changed", group->label,
                study->file, planned->line->number, words, planned->why);
        shoal_sim__free(words);
    }
}

static void print_number(int64_t value, bool time, FILE *out)
{
    if (time)
        fprintf(out, " %8" PRId64 ".%" PRId64, value / 1000, value / 100 % 10);
    else
        fprintf(out, " %10" PRId64, value);
}

static void print_sample(const shoal_group *group, const shoal_sample *sample, bool time, FILE *out)
{
    static const uint32_t places[] = {0, 250, 500, 750, 1000};
    fprintf(out, "  %-42s %5u %5u", group->label, sample->count, sample->missing);
    for (uint32_t i = 0; sample->count > 0 && i < 5; i++)
        print_number(shoal_sample__at(sample, places[i]), time, out);
    fputc('\n', out);
}

static void print_contrast(const shoal_study *study, uint32_t row, FILE *out)
{
    uint32_t incident;
    const char *name;
    for (uint32_t i = 0; i < study->group_count; i++) {
        const shoal_group *group = &study->groups[i];
        const shoal_group *twin = group->server ? shoal_study__twin(study, group) : NULL;
        if (twin == NULL) continue;
        shoal_contrast contrast =
            shoal_sample__contrast(shoal_study__row(study, group, row, &incident, &name),
                                   shoal_study__row(study, twin, row, &incident, &name));
        if (!contrast.possible) continue;
        fprintf(out,
                "    %s: distance %u of 1000 to the simulated runs, chance alone exceeds %u "
                "in 1 of 20: %s; ranges %s\n",
                group->label, contrast.distance, contrast.critical,
                contrast.differs ? "DIFFERENT" : "no difference seen",
                contrast.overlap ? "overlap" : "are apart");
    }
}

static void print_row(const shoal_study *study, uint32_t row, FILE *out)
{
    uint32_t incident;
    const char *name;
    (void)shoal_study__row(study, &study->groups[0], row, &incident, &name);
    bool time = incident != UINT32_MAX;
    bool first = time && row % SHOAL_LAPSE_COUNT == 0;
    if (first) {
        const shoal_line *line =
            shoal_study__line(study, study->incidents.incidents[incident].line);
        char *words = words_of(line);
        fprintf(out, "\nfault         %s:%u: %s\n", study->file, line->number, words);
        shoal_sim__free(words);
    }
    fprintf(out, "%s%-44s %5s %5s %10s %10s %10s %10s %10s\n", first ? "" : "\n", name, "came",
            "not", "least", "quarter", "median", "3 quarters", time ? "most, ms" : "most");
    for (uint32_t i = 0; i < study->group_count; i++) {
        const shoal_group *group = &study->groups[i];
        print_sample(group, shoal_study__row(study, group, row, &incident, &name), time, out);
    }
    print_contrast(study, row, out);
}

static void print_verdicts(const shoal_study *study, FILE *out)
{
    fputc('\n', out);
    for (uint32_t i = 0; i < study->group_count; i++) {
        const shoal_group *group = &study->groups[i];
        fprintf(out, "runs          %s: %u of %u held\n", group->label,
                group->runs - group->violated - group->troubled, group->runs);
        if (group->server)
            fprintf(out, "late          %s: the player itself by %" PRId64 " ms at most\n",
                    group->label, group->late_us / 1000);
        for (uint32_t j = 0; j < group->broken_count; j++) {
            const shoal_broken *broken = &group->broken[j];
            char *words = words_of(shoal_study__line(study, broken->line));
            fprintf(out, "BROKEN        %s:%u: %s: %s (%s, %u runs)\n", study->file, broken->line,
                    words, broken->words, group->label, broken->runs);
            shoal_sim__free(words);
        }
        if (group->troubled > 0)
            fprintf(out, "NOT PLAYED    %s, %u runs: %s\n", group->label, group->troubled,
                    group->trouble);
    }
    fprintf(out, "verdict       %s\nagain         %s\n",
            shoal_study__held(study) ? "held" : "violated", study->again);
}

void shoal_study__text(const shoal_study *study, FILE *out)
{
    fprintf(out, "schedule      %s\n", study->file);
    for (uint32_t i = 0; i < study->group_count; i++) {
        if (study->groups[i].server) print_left_out(study, &study->groups[i], out);
    }
    for (uint32_t row = 0; row < shoal_study__rows(study); row++) print_row(study, row, out);
    print_verdicts(study, out);
}

/* ---- for programs ---- */

static void json_plan(const shoal_study *study, const shoal_group *group, FILE *out)
{
    const char *before = "";
    fputs(",\n     \"not_played\": [", out);
    for (uint32_t i = 0; group->plan && i < study->schedule->count; i++) {
        const shoal_planned *planned = &group->plan[i];
        if (planned->fit == SHOAL_FIT_PLAYED) continue;
        fprintf(out, "%s{\"line\": %u, \"left_out\": %s, \"why\": ", before, planned->line->number,
                planned->fit == SHOAL_FIT_LEFT_OUT ? "true" : "false");
        shoal_program__json_text(out, planned->why);
        fputc('}', out);
        before = ", ";
    }
    fputc(']', out);
}

static void json_rows(const shoal_study *study, const shoal_group *group, FILE *out)
{
    uint32_t incident;
    const char *name;
    fputs(",\n     \"measures\": [", out);
    for (uint32_t row = 0; row < shoal_study__rows(study); row++) {
        const shoal_sample *sample = shoal_study__row(study, group, row, &incident, &name);
        bool time = incident != UINT32_MAX;
        fprintf(out, "%s\n      {\"measure\": \"%s\", \"line\": %u, \"missing\": %u, \"%s\": [",
                row ? "," : "", name, time ? study->incidents.incidents[incident].line : 0,
                sample->missing, time ? "us" : "writes");
        for (uint32_t i = 0; i < sample->count; i++)
            fprintf(out, "%s%" PRId64, i ? ", " : "", sample->values[i]);
        fputs("]}", out);
    }
    fputs("]", out);
}

static void json_contrasts(const shoal_study *study, const shoal_group *group, FILE *out)
{
    const shoal_group *twin = group->server ? shoal_study__twin(study, group) : NULL;
    uint32_t incident;
    const char *name, *before = "";
    fputs(",\n     \"contrasts\": [", out);
    for (uint32_t row = 0; twin && row < shoal_study__rows(study); row++) {
        shoal_contrast contrast =
            shoal_sample__contrast(shoal_study__row(study, group, row, &incident, &name),
                                   shoal_study__row(study, twin, row, &incident, &name));
        if (!contrast.possible) continue;
        fprintf(out,
                "%s\n      {\"measure\": \"%s\", \"line\": %u, \"distance_permille\": %u, "
                "\"critical_permille\": %u, \"differs\": %s, \"overlap\": %s}",
                before, name,
                incident == UINT32_MAX ? 0 : study->incidents.incidents[incident].line,
                contrast.distance, contrast.critical, contrast.differs ? "true" : "false",
                contrast.overlap ? "true" : "false");
        before = ",";
    }
    fputs("]", out);
}

static void json_broken(const shoal_group *group, FILE *out)
{
    fputs(",\n     \"broken\": [", out);
    for (uint32_t i = 0; i < group->broken_count; i++) {
        const shoal_broken *broken = &group->broken[i];
        fprintf(out, "%s{\"line\": %u, \"runs\": %u, \"words\": ", i ? ", " : "", broken->line,
                broken->runs);
        shoal_program__json_text(out, broken->words);
        fputc('}', out);
    }
    fputs("],\n     \"trouble\": ", out);
    shoal_program__json_text(out, group->trouble);
}

void shoal_study__json(const shoal_study *study, FILE *out)
{
    fputs("{\n  \"file\": ", out);
    shoal_program__json_text(out, study->file);
    fputs(",\n  \"groups\": [", out);
    for (uint32_t i = 0; i < study->group_count; i++) {
        const shoal_group *group = &study->groups[i];
        fprintf(out, "%s\n    {\"label\": ", i ? "," : "");
        shoal_program__json_text(out, group->label);
        fprintf(out,
                ", \"live\": %s, \"profile\": \"%s\", \"runs\": %u, \"violated\": %u, "
                "\"not_played_runs\": %u, \"late_us\": %" PRId64 ",\n     \"operations\": %" PRIu64
                ", \"errors\": %" PRIu64,
                group->server ? "true" : "false", shoal_profile_name(group->profile), group->runs,
                group->violated, group->troubled, group->late_us, group->operations, group->errors);
        json_plan(study, group, out);
        json_rows(study, group, out);
        json_contrasts(study, group, out);
        json_broken(group, out);
        fputc('}', out);
    }
    fprintf(out, "\n  ],\n  \"verdict\": \"%s\"\n}\n",
            shoal_study__held(study) ? "held" : "violated");
}
