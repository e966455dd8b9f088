/* SPDX-License-Identifier: MIT
 *
 * The sums of a sweep for people and for programs. Nothing in them depends on how long it took.
 */
#include <inttypes.h>
#include <string.h>

#include "sim/program.h"
#include "sim/sweep.h"

/* Seeds that are named for one promise. */
#define SEEDS_SHOWN 8u

/* ---- text ---- */

static void seeds_text(const shoal_tally *tally, FILE *out)
{
    for (uint32_t i = 0; i < tally->range_count; i++) {
        fprintf(out, "%s%" PRIu64 "..%" PRIu64, i ? " " : "", tally->ranges[i].from,
                tally->ranges[i].until);
    }
}

static bool told_before(const shoal_tally *tally, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(tally->findings[i].breach.promise, tally->findings[index].breach.promise) == 0)
            return true;
    }
    return false;
}

/* A promise, the seeds that broke it, and what the first of them found. */
static void promise_text(const shoal_tally *tally, uint32_t index, const char *folder, FILE *out)
{
    const shoal_finding_of_seed *first = &tally->findings[index];
    uint32_t count = 0;
    fprintf(out, "BROKEN        %s\n              seeds", first->breach.promise);
    for (uint32_t i = index; i < tally->finding_count; i++) {
        if (strcmp(tally->findings[i].breach.promise, first->breach.promise) != 0) continue;
        if (count++ < SEEDS_SHOWN) fprintf(out, " %" PRIu64, tally->findings[i].seed);
    }
    if (count > SEEDS_SHOWN) fprintf(out, " and %u more", count - SEEDS_SHOWN);
    fprintf(out, "\n              %" PRIu64 ": %s\n", first->seed, first->breach.words);
    if (folder) fprintf(out, "              %s/seed-%" PRIu64 ".schedule\n", folder, first->seed);
}

static void marks_text(const shoal_tally *tally, FILE *out)
{
    uint32_t reached = 0;
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) reached += tally->marks[i].seeds > 0;
    fprintf(out, "marks         %u of %u reached\n", reached, (uint32_t)SHOAL_MARK_COUNT);
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) {
        const shoal_mark_tally *mark = &tally->marks[i];
        if (mark->seeds == 0) continue;
        fprintf(out, "  %-19s %7" PRIu64 " seeds %9" PRIu64 " times, first %-7" PRIu64 " %s\n",
                shoal_mark_id(i), mark->seeds, mark->times, mark->first, shoal_mark_doc(i));
    }
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) {
        if (tally->marks[i].seeds > 0) continue;
        fprintf(out, "NEVER         %-19s %s\n", shoal_mark_id(i), shoal_mark_doc(i));
    }
}

static void checks_text(const shoal_tally *tally, FILE *out)
{
    static const char *const ids[SHOAL_CHECK_COUNT] = {
#define SHOAL_CHECK(NAME, id, doc) id,
#include "sim/checks.def"
#undef SHOAL_CHECK
    };
    fputs("checks       ", out);
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) {
        fprintf(out, " %s:%" PRIu64, ids[i], tally->made[i]);
    }
    fputc('\n', out);
}

static void again_text(const shoal_tally *tally, const char *program, FILE *out)
{
    if (tally->range_count != 1) return;
    fprintf(out, "again         %s sweep%s%s --seeds ", program, tally->given ? " " : "",
            tally->given ? tally->given : "");
    seeds_text(tally, out);
    if (tally->profile) fprintf(out, " --profile %s", shoal_profile_name(tally->profile));
    fputs(tally->reckless ? " --reckless\n" : "\n", out);
}

void shoal_tally__text(const shoal_tally *tally, const char *program, const char *out_folder,
                       FILE *out)
{
    marks_text(tally, out);
    checks_text(tally, out);
    for (uint32_t i = 0; i < tally->finding_count; i++) {
        if (!told_before(tally, i)) promise_text(tally, i, out_folder, out);
    }
    fputs("seeds         ", out);
    seeds_text(tally, out);
    fprintf(out, "\nruns          %" PRIu64 ", of which %" PRIu64 " broke a promise\n", tally->runs,
            tally->broken);
    fprintf(out, "events        %" PRIu64 " in %" PRId64 " simulated seconds\n", tally->events,
            tally->time_us / 1000000);
    fprintf(out, "operations    %" PRIu64 " ended well, %" PRIu64 " in errors\n", tally->operations,
            tally->errors);
    fprintf(out, "traces hash   %016" PRIx64 "  (%" PRIu64 " records)\n", tally->hash,
            tally->records);
    fprintf(out, "verdict       %s\n", tally->broken > 0 ? "violated" : "held");
    again_text(tally, program, out);
}

/* ---- JSON ---- */

static void json_head(const shoal_tally *tally, FILE *out)
{
    fputs("{\n  \"sweep\": 1,\n  \"given\": ", out);
    shoal_program__json_text(out, tally->given ? tally->given : "");
    fprintf(out, ",\n  \"profile\": \"%s\",\n  \"reckless\": %s,\n  \"ranges\": [",
            tally->profile ? shoal_profile_name(tally->profile) : "",
            tally->reckless ? "true" : "false");
    for (uint32_t i = 0; i < tally->range_count; i++) {
        fprintf(out, "%s{\"from\": %" PRIu64 ", \"until\": %" PRIu64 "}", i ? ", " : "",
                tally->ranges[i].from, tally->ranges[i].until);
    }
    fprintf(out,
            "],\n  \"runs\": %" PRIu64 ",\n  \"broken\": %" PRIu64 ",\n  \"events\": %" PRIu64
            ",\n  \"records\": %" PRIu64 ",\n  \"operations\": %" PRIu64 ",\n  \"errors\": %" PRIu64
            ",\n  \"simulated_us\": %" PRId64 ",\n  \"hash\": \"%016" PRIx64 "\",\n",
            tally->runs, tally->broken, tally->events, tally->records, tally->operations,
            tally->errors, tally->time_us, tally->hash);
}

void shoal_tally__json(const shoal_tally *tally, FILE *out)
{
    json_head(tally, out);
    fputs("  \"marks\": [", out);
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) {
        const shoal_mark_tally *mark = &tally->marks[i];
        fprintf(out,
                "%s\n    {\"id\": \"%s\", \"seeds\": %" PRIu64 ", \"times\": %" PRIu64
                ", \"first\": %" PRIu64 "}",
                i ? "," : "", shoal_mark_id(i), mark->seeds, mark->times, mark->first);
    }
    fputs("\n  ],\n  \"checks\": [", out);
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) {
        fprintf(out, "%s%" PRIu64, i ? ", " : "", tally->made[i]);
    }
    fputs("],\n  \"findings\": [", out);
    for (uint32_t i = 0; i < tally->finding_count; i++) {
        const shoal_finding_of_seed *finding = &tally->findings[i];
        fprintf(out, "%s\n    {\"seed\": %" PRIu64 ", \"promise\": ", i ? "," : "", finding->seed);
        shoal_program__json_text(out, finding->breach.promise);
        fputs(", \"words\": ", out);
        shoal_program__json_text(out, finding->breach.words);
        fputc('}', out);
    }
    fprintf(out, "\n  ],\n  \"verdict\": \"%s\"\n}\n", tally->broken > 0 ? "violated" : "held");
}
