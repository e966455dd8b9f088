/* SPDX-License-Identifier: MIT
 *
 * The last lines of a run, for people and for programs: seed, schedule hash, events, simulated
 * time, wall time, speed, trace hash, verdict, and the command to run it again.
 */
#include <inttypes.h>
#include <string.h>

#include "sim/program.h"

/* How many times faster than the world's time, in tenths. */
static int64_t speed_tenths(const shoal_report *report)
{
    int64_t wall = report->wall_us > 0 ? report->wall_us : 1;
    return report->result->time_us * 10 / wall;
}

static void seconds(FILE *out, const char *name, int64_t us)
{
    fprintf(out, "%-14s%" PRId64 ".%03" PRId64 " s\n", name, us / 1000000, us / 1000 % 1000);
}

static uint64_t stale_reads(const shoal_client_totals *t)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++) sum += t->reads_stale[i];
    return sum;
}

static uint64_t lost_writes(const shoal_client_totals *t)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++) sum += t->lost[i].count;
    return sum;
}

/* For each cause, how many and when the first and the last of them were acknowledged. */
static void losses_text(const shoal_client_totals *t, FILE *out)
{
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++) {
        const shoal_losses *lost = &t->lost[i];
        if (lost->count == 0) continue;
        fprintf(out,
                "lost          %" PRIu64 " by %s, acknowledged from %" PRId64 ".%06" PRId64
                " s to %" PRId64 ".%06" PRId64 " s\n",
                lost->count, shoal_cause_name(i), lost->from_us / 1000000, lost->from_us % 1000000,
                lost->until_us / 1000000, lost->until_us % 1000000);
    }
}

static void clients_text(const shoal_world_result *result, FILE *out)
{
    const shoal_client_totals *t = &result->totals;
    if (t->operations + t->errors == 0) return;
    fprintf(out,
            "operations    %" PRIu64 " ended well, %" PRIu64 " in errors, %" PRIu64
            " redirections\n",
            t->operations, t->errors, t->redirections);
    fprintf(out, "writes        %" PRIu64 " acknowledged; stale reads: %" PRIu64 "",
            t->writes_acknowledged, stale_reads(t));
    const char *before = " (";
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++) {
        if (t->reads_stale[i] == 0) continue;
        fprintf(out, "%s%" PRIu64 " %s", before, t->reads_stale[i], shoal_cause_name(i));
        before = ", ";
    }
    fputs(before[0] == ',' ? ")\n" : "\n", out);
    if (t->audited + t->unread == 0) return;
    fprintf(out,
            "audit         %" PRIu64 " keys read, %" PRIu64 " unreadable; lost writes: %" PRIu64
            "\n",
            t->audited, t->unread, lost_writes(t));
    losses_text(t, out);
}

/* When the first and the last were found, whatever the cause. */
static shoal_anomaly_count whole(const shoal_anomaly_count counts[SHOAL_CAUSE_COUNT])
{
    shoal_anomaly_count sum = {0};
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++) {
        if (counts[i].count == 0) continue;
        if (sum.count == 0 || counts[i].first_us < sum.first_us) sum.first_us = counts[i].first_us;
        if (counts[i].last_us > sum.last_us) sum.last_us = counts[i].last_us;
        sum.count += counts[i].count;
    }
    return sum;
}

/* What clients found that they should not, and what they could not do. */
static void anomalies_text(const shoal_client_totals *t, FILE *out)
{
    for (uint32_t i = 0; i < SHOAL_ANOMALY_COUNT; i++) {
        shoal_anomaly_count sum = whole(t->anomalies[i]);
        const char *before = " by ";
        if (sum.count == 0) continue;
        fprintf(out, "found         %" PRIu64 " %s", sum.count, shoal_anomaly_name(i));
        for (uint32_t j = 0; j < SHOAL_CAUSE_COUNT; j++) {
            if (t->anomalies[i][j].count == 0) continue;
            fprintf(out, "%s%s:%" PRIu64, before, shoal_cause_name(j), t->anomalies[i][j].count);
            before = " ";
        }
        fprintf(out, ", from %" PRId64 ".%06" PRId64 " s to %" PRId64 ".%06" PRId64 " s\n",
                sum.first_us / 1000000, sum.first_us % 1000000, sum.last_us / 1000000,
                sum.last_us % 1000000);
    }
    const char *before = "unavailable  ";
    for (uint32_t i = SHOAL_OUTCOME_CLUSTERDOWN; i < SHOAL_OUTCOME_COUNT; i++) {
        if (t->unavailable[i] == 0) continue;
        fprintf(out, "%s %s:%" PRIu64, before, shoal_outcome_name(i), t->unavailable[i]);
        before = "";
    }
    if (before[0] == 0) fputc('\n', out);
}

static void checks_text(const shoal_world_result *result, FILE *out)
{
    fputs("checks       ", out);
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) {
        fprintf(out, " %s:%" PRIu64, result->checks[i].id, result->checks[i].made);
    }
    fputc('\n', out);
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) {
        const shoal_check_count *check = &result->checks[i];
        if (check->stated) {
            fprintf(out, "stated        %s, %s: violated %" PRIu64 " times; first %s\n", check->id,
                    check->doc, check->violated, check->violated > 0 ? check->first : "never");
        } else if (check->violated > 0) {
            fprintf(out, "VIOLATED      %s, %s: %" PRIu64 " times; first %s\n", check->id,
                    check->doc, check->violated, check->first);
        } else if (check->expected && check->made == 0) {
            fprintf(out, "NEVER JUDGED  %s, %s\n", check->id, check->doc);
        }
    }
}

/* The rare paths that the run has reached. */
static void marks_text(const shoal_world_result *result, FILE *out)
{
    const char *before = "marks        ";
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) {
        if (result->marks[i] == 0) continue;
        fprintf(out, "%s %s:%" PRIu64, before, shoal_mark_id(i), result->marks[i]);
        before = "";
    }
    if (before[0] == 0) fputc('\n', out);
}

static void expects_text(const shoal_report *report, FILE *out)
{
    const shoal_world_result *result = report->result;
    if (result->expect_count == 0) return;
    fprintf(out, "expectations  %u held, %u broken\n",
            result->expect_count - result->expects_broken, result->expects_broken);
    for (uint32_t i = 0; i < result->expect_count; i++) {
        const shoal_expect_result *expect = &result->expects[i];
        if (expect->held) continue;
        fprintf(out, "BROKEN        %s:%u: %s\n", report->file, expect->line, expect->words);
    }
}

void shoal_program__report_text(const shoal_report *report, FILE *out)
{
    const shoal_world_result *result = report->result;
    int64_t speed = speed_tenths(report);
    clients_text(result, out);
    anomalies_text(&result->totals, out);
    checks_text(result, out);
    marks_text(result, out);
    expects_text(report, out);
    fprintf(out, "seed          %" PRIu64 "\n", result->seed);
    if (result->profile) fprintf(out, "profile       %s\n", shoal_profile_name(result->profile));
    fprintf(out, "schedule      %016" PRIx64 "  %s\n", result->schedule_hash, report->file);
    fprintf(out, "events        %" PRIu64 "  (%u nodes, %u clients)\n", result->events,
            result->nodes, result->clients);
    seconds(out, "simulated", result->time_us);
    seconds(out, "wall", report->wall_us);
    fprintf(out, "speed         %" PRId64 ".%" PRId64 " times real time\n", speed / 10, speed % 10);
    fprintf(out, "trace hash    %016" PRIx64 "  (%" PRIu64 " records)\n", result->trace_hash,
            result->trace_records);
    fprintf(out, "verdict       %s\n", result->violated ? "violated" : "held");
    fprintf(out, "again         %s run %s", report->arguments->program, report->file);
    for (uint32_t i = 1; i < report->arguments->file_count; i++) {
        fprintf(out, " %s", report->arguments->files[i]);
    }
    fprintf(out, " --seed %" PRIu64 "%s%s\n", result->seed, result->profile ? " --profile " : "",
            result->profile ? shoal_profile_name(result->profile) : "");
}

/* ---- JSON ---- */

void shoal_program__json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            fprintf(out, "\\u%04x", (unsigned)*c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static void json_checks(const shoal_world_result *result, FILE *out)
{
    fputs("  \"checks\": [", out);
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) {
        const shoal_check_count *check = &result->checks[i];
        fprintf(out, "%s\n    {\"id\": \"%s\", \"made\": %" PRIu64 ", \"violated\": %" PRIu64,
                i ? "," : "", check->id, check->made, check->violated);
        fprintf(out, ", \"stated\": %s, \"first\": ", check->stated ? "true" : "false");
        shoal_program__json_text(out, check->first);
        fputs(", \"what\": ", out);
        shoal_program__json_text(out, check->doc);
        fputc('}', out);
    }
    fputs("\n  ],\n  \"expectations\": [", out);
    for (uint32_t i = 0; i < result->expect_count; i++) {
        const shoal_expect_result *expect = &result->expects[i];
        fprintf(out, "%s\n    {\"line\": %u, \"held\": %s, \"judged_us\": %" PRId64 ", \"words\": ",
                i ? "," : "", expect->line, expect->held ? "true" : "false", expect->judged_us);
        shoal_program__json_text(out, expect->words);
        fputc('}', out);
    }
    fputs("\n  ],\n", out);
}

static void json_marks(const shoal_world_result *result, FILE *out)
{
    fputs("  \"marks\": {", out);
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) {
        fprintf(out, "%s\n    \"%s\": %" PRIu64, i ? "," : "", shoal_mark_id(i), result->marks[i]);
    }
    fputs("\n  },\n", out);
}

static void json_clients(const shoal_client_totals *t, FILE *out)
{
    fprintf(out,
            "  \"operations\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"redirections\": %" PRIu64
            ",\n  \"writes_acknowledged\": %" PRIu64 ", \"audited\": %" PRIu64
            ", \"unread\": %" PRIu64 ",\n  \"stale_reads\": {",
            t->operations, t->errors, t->redirections, t->writes_acknowledged, t->audited,
            t->unread);
    for (uint32_t i = SHOAL_CAUSE_CRASH; i < SHOAL_CAUSE_COUNT; i++) {
        fprintf(out, "%s\"%s\": %" PRIu64, i > SHOAL_CAUSE_CRASH ? ", " : "", shoal_cause_name(i),
                t->reads_stale[i]);
    }
    fputs("},\n  \"lost_acks\": {", out);
    for (uint32_t i = SHOAL_CAUSE_CRASH; i < SHOAL_CAUSE_COUNT; i++) {
        const shoal_losses *lost = &t->lost[i];
        fprintf(out,
                "%s\n    \"%s\": {\"count\": %" PRIu64 ", \"from_us\": %" PRId64
                ", \"until_us\": %" PRId64 "}",
                i > SHOAL_CAUSE_CRASH ? "," : "", shoal_cause_name(i), lost->count, lost->from_us,
                lost->until_us);
    }
    fputs("\n  },\n", out);
}

/* Every class with every cause, whether it was found or not. */
static void json_anomalies(const shoal_client_totals *t, FILE *out)
{
    fputs("  \"anomalies\": {", out);
    for (uint32_t i = 0; i < SHOAL_ANOMALY_COUNT; i++) {
        shoal_anomaly_count sum = whole(t->anomalies[i]);
        fprintf(out,
                "%s\n    \"%s\": {\"count\": %" PRIu64 ", \"first_us\": %" PRId64
                ", \"last_us\": %" PRId64 ", \"causes\": {",
                i ? "," : "", shoal_anomaly_name(i), sum.count, sum.first_us, sum.last_us);
        for (uint32_t j = SHOAL_CAUSE_CRASH; j < SHOAL_CAUSE_COUNT; j++) {
            fprintf(out, "%s\"%s\": %" PRIu64, j > SHOAL_CAUSE_CRASH ? ", " : "",
                    shoal_cause_name(j), t->anomalies[i][j].count);
        }
        fputs("}}", out);
    }
    fputs("\n  },\n  \"unavailable\": {", out);
    for (uint32_t i = SHOAL_OUTCOME_CLUSTERDOWN; i < SHOAL_OUTCOME_COUNT; i++) {
        fprintf(out, "%s\"%s\": %" PRIu64, i > SHOAL_OUTCOME_CLUSTERDOWN ? ", " : "",
                shoal_outcome_name(i), t->unavailable[i]);
    }
    fputs("},\n", out);
}

void shoal_program__report_json(const shoal_report *report, FILE *out)
{
    const shoal_world_result *result = report->result;
    fputs("{\n  \"file\": ", out);
    shoal_program__json_text(out, report->file);
    fprintf(out,
            ",\n  \"seed\": %" PRIu64 ", \"profile\": \"%s\", \"schedule_hash\": \"%016" PRIx64
            "\",\n  \"events\": %" PRIu64
            ", \"nodes\": %u, \"clients\": %u,\n  \"simulated_us\": %" PRId64
            ", \"wall_us\": %" PRId64 ", \"speed_tenths\": %" PRId64 ",\n",
            result->seed, shoal_profile_name(result->profile), result->schedule_hash,
            result->events, result->nodes, result->clients, result->time_us, report->wall_us,
            speed_tenths(report));
    fprintf(out,
            "  \"cpu_us\": %" PRId64 ", \"memory_kib\": %" PRId64 ",\n  \"allocations\": %" PRIu64
            ", \"node_bytes\": %" PRIu64 ", \"node_bytes_most\": %" PRIu64 ",\n",
            report->cpu_us, report->memory_kib, result->allocations, result->bytes / result->nodes,
            result->bytes_most / result->nodes);
    fprintf(out, "  \"trace_hash\": \"%016" PRIx64 "\", \"trace_records\": %" PRIu64 ",\n",
            result->trace_hash, result->trace_records);
    json_clients(&result->totals, out);
    json_anomalies(&result->totals, out);
    json_checks(result, out);
    json_marks(result, out);
    fprintf(out, "  \"verdict\": \"%s\"\n}\n", result->violated ? "violated" : "held");
}
