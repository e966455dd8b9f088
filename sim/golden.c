/* SPDX-License-Identifier: MIT
 *
 * Golden hashes: a table of schedules with the trace hash that each must have, so that a change of
 * behaviour shows up in a review. `bless` writes the table, `golden` holds runs to it, as TAP.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sim/memory.h"
#include "sim/program.h"

static const char HEAD[] = "# schedule\tseed\tschedule hash\ttrace records\ttrace hash\tverdict\n";

#define ROW_SIZE 512

/* The row of the table for a schedule. False after a complaint. */
static bool make_row(const shoal_arguments *arguments, const char *path, char row[ROW_SIZE])
{
    shoal_schedule schedule;
    shoal_world_result result;
    if (!shoal_program__load(path, &schedule)) return false;
    shoal_world *world = shoal_program__world(arguments, &schedule);
    if (world == NULL) return false;
    shoal_world_run(world);
    shoal_world_result_get(world, &result);
    snprintf(row, ROW_SIZE, "%s\t%" PRIu64 "\t%016" PRIx64 "\t%" PRIu64 "\t%016" PRIx64 "\t%s\n",
             path, result.seed, result.schedule_hash, result.trace_records, result.trace_hash,
             result.violated ? "violated" : "held");
    shoal_world_destroy(world);
    shoal_schedule_free(&schedule);
    return true;
}

int shoal_program__bless(const shoal_arguments *arguments)
{
    char row[ROW_SIZE];
    FILE *table = fopen(arguments->files[0], "w");
    if (table == NULL) {
        fprintf(stderr, "%s: %s\n", arguments->files[0], strerror(errno));
        return SHOAL_EXIT_UNUSABLE;
    }
    bool good = fputs(HEAD, table) >= 0;
    for (uint32_t i = 1; good && i < arguments->file_count; i++) {
        good = make_row(arguments, arguments->files[i], row) && fputs(row, table) >= 0;
    }
    if (fclose(table) != 0) good = false;
    return good ? SHOAL_EXIT_HELD : SHOAL_EXIT_UNUSABLE;
}

/* Runs what one row names and says what came of it. */
static bool hold_row(const shoal_arguments *arguments, const char *row, size_t size,
                     uint32_t number)
{
    char found[ROW_SIZE] = "", path[ROW_SIZE];
    const char *tab = memchr(row, '\t', size);
    size_t length = tab ? (size_t)(tab - row) : size;
    if (length >= sizeof(path)) length = sizeof(path) - 1;
    memcpy(path, row, length);
    path[length] = 0;
    bool same = make_row(arguments, path, found) && strlen(found) == size + 1 &&
                memcmp(found, row, size) == 0;
    printf("%s %u - %s has its golden hash\n", same ? "ok" : "not ok", number, path);
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
