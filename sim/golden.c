/* SPDX-License-Identifier: MIT
 *
 * Golden hashes: a table of schedules with the trace hash that each must have, so that a change of
 * behaviour shows up in a review. A schedule that names profiles has a row for each of them.
 * `bless` writes the table, `golden` holds runs to it, as TAP.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "sim/memory.h"
#include "sim/program.h"

static const char HEAD[] =
    "# schedule\tprofile\tseed\tschedule hash\ttrace records\ttrace hash\tverdict\n";

#define ROW_SIZE 512

/* The row of the table for a schedule in a profile. False after a complaint. */
static bool make_row(const shoal_arguments *arguments, const char *path,
                     const shoal_schedule *schedule, char row[ROW_SIZE])
{
    shoal_world_result result;
    shoal_world *world = shoal_program__world(arguments, schedule);
    if (world == NULL) return false;
    shoal_world_run(world);
    shoal_world_result_get(world, &result);
    snprintf(row, ROW_SIZE,
             "%s\t%s\t%" PRIu64 "\t%016" PRIx64 "\t%" PRIu64 "\t%016" PRIx64 "\t%s\n", path,
             shoal_profile_name(result.profile), result.seed, result.schedule_hash,
             result.trace_records, result.trace_hash, result.violated ? "violated" : "held");
    shoal_world_destroy(world);
    return true;
}

/* Writes the rows of one schedule. */
static bool bless(const shoal_arguments *arguments, const char *path, FILE *table)
{
    char row[ROW_SIZE];
    shoal_schedule schedule;
    shoal_arguments chosen = *arguments;
    if (!shoal_program__load(path, &schedule)) return false;
    bool good = true;
    for (uint32_t i = 0; good && i < SHOAL_PROFILES_COUNT - 1; i++) {
        if (i > 0 && schedule.profiles[i] == 0) continue;
        chosen.profile = schedule.profiles[i];
        good = make_row(&chosen, path, &schedule, row) && fputs(row, table) >= 0;
    }
    shoal_schedule_free(&schedule);
    return good;
}

int shoal_program__bless(const shoal_arguments *arguments)
{
    FILE *table = fopen(arguments->files[0], "w");
    if (table == NULL) {
        fprintf(stderr, "%s: %s\n", arguments->files[0], strerror(errno));
        return SHOAL_EXIT_UNUSABLE;
    }
    bool good = fputs(HEAD, table) >= 0;
    for (uint32_t i = 1; good && i < arguments->file_count; i++) {
        good = bless(arguments, arguments->files[i], table);
    }
    if (fclose(table) != 0) good = false;
    return good ? SHOAL_EXIT_HELD : SHOAL_EXIT_UNUSABLE;
}

/* Runs what a row names, by its path and profile; the row that this makes, or "". */
static void make_again(const shoal_arguments *arguments, const char *path, shoal_slice profile,
                       char row[ROW_SIZE])
{
    shoal_schedule schedule;
    shoal_arguments chosen = *arguments;
    row[0] = 0;
    chosen.profile = shoal_profile_named(profile) % SHOAL_PROFILES_COUNT;
    if (!shoal_program__load(path, &schedule)) return;
    if (!make_row(&chosen, path, &schedule, row)) row[0] = 0;
    shoal_schedule_free(&schedule);
}

/* Runs what one row names and says what came of it. */
static bool hold_row(const shoal_arguments *arguments, const char *row, size_t size,
                     uint32_t number)
{
    char found[ROW_SIZE], path[ROW_SIZE];
    const char *tab = memchr(row, '\t', size);
    size_t length = tab ? (size_t)(tab - row) : size;
    if (length >= sizeof(path)) length = sizeof(path) - 1;
    memcpy(path, row, length);
    path[length] = 0;
    shoal_slice profile = {row + length, 0};
    if (tab) profile = (shoal_slice){tab + 1, strcspn(tab + 1, "\t\n")};
    make_again(arguments, path, profile, found);
    bool same = strlen(found) == size + 1 && memcmp(found, row, size) == 0;
    printf("%s %u - %s has its golden hash (%.*s)\n", same ? "ok" : "not ok", number, path,
           (int)profile.size, profile.data);
    if (!same)
        printf("# expected %.*s\n# found    %s", (int)size, row, found[0] ? found : "nothing\n");
    fflush(stdout);
    return same;
}

int shoal_program__golden(const shoal_arguments *arguments)
{
    size_t size = 0;
    uint32_t number = 0, broken = 0;
    char *table = shoal_program__read(arguments->files[0], &size);
    if (table == NULL) return SHOAL_EXIT_UNUSABLE;
    for (size_t at = 0; at < size;) {
        size_t length = strcspn(table + at, "\n");
        if (length > 0 && table[at] != '#') {
            broken += !hold_row(arguments, table + at, length, ++number);
        }
        at += length + 1;
    }
    printf("1..%u\n", number);
    shoal_sim__free(table);
    return broken == 0 && number > 0 ? SHOAL_EXIT_HELD : SHOAL_EXIT_VIOLATED;
}
