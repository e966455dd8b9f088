/* SPDX-License-Identifier: MIT
 *
 * shoal-sim fmt, list and words: schedules as texts.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"
#include "sim/program.h"

static const char FOLDER[] = "sim/scenarios";
static const char ENDING[] = ".schedule";

int shoal_program__fmt(const shoal_arguments *arguments)
{
    shoal_schedule schedule;
    const char *path = arguments->files[0];
    if (!shoal_program__load(path, &schedule)) return SHOAL_EXIT_UNUSABLE;
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    shoal_schedule_format(&schedule, true, &text);
    FILE *out = arguments->write ? fopen(path, "w") : stdout;
    bool good = out != NULL && fwrite(text.data, 1, text.end, out) == text.end;
    if (out != NULL && (out == stdout ? fflush(out) : fclose(out)) != 0) good = false;
    if (!good) fprintf(stderr, "%s: %s\n", path, strerror(errno));
    shoal_buffer_free(&text);
    shoal_schedule_free(&schedule);
    return good ? SHOAL_EXIT_HELD : SHOAL_EXIT_UNUSABLE;
}

/* ---- list ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_schedule(const char *name)
{
    size_t size = strlen(name), tail = sizeof(ENDING) - 1;
    return size > tail && strcmp(name + size - tail, ENDING) == 0;
}

/* Prints a file with its first comment line. */
static void print_schedule(const char *path)
{
    size_t size = 0;
    char *text = shoal_program__read(path, &size);
    if (text == NULL) return;
    const char *comment = strstr(text, "\n# ");
    const char *words = text[0] == '#' ? text + 1 : comment ? comment + 3 : "";
    printf("%-48s %.*s\n", path, (int)strcspn(words, "\n"), words);
    shoal_sim__free(text);
}

int shoal_program__list(const shoal_arguments *arguments)
{
    const char *folder = arguments->file_count > 0 ? arguments->files[0] : FOLDER;
    char **names = NULL, path[4096];
    uint32_t count = 0, capacity = 0;
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return SHOAL_EXIT_UNUSABLE;
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (!is_schedule(entry->d_name)) continue;
        names = shoal_sim__grow(names, &capacity, count + 1, sizeof(*names));
        names[count] = shoal_sim__allocate(strlen(entry->d_name) + 1);
        memcpy(names[count], entry->d_name, strlen(entry->d_name) + 1);
        count++;
    }
    closedir(directory);
    if (count > 0) qsort(names, count, sizeof(*names), by_name);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        print_schedule(path);
        shoal_sim__free(names[i]);
    }
    shoal_sim__free(names);
    return SHOAL_EXIT_HELD;
}

/* ---- words ---- */

int shoal_program__words(const shoal_arguments *arguments)
{
    (void)arguments;
    puts("Lines of a schedule (T is a time such as 2.5s, D a duration, SEL a selector):\n");
#define SHOAL_LINE(NAME, name, timed, syntax, doc) printf("  %s\n      %s\n", syntax, doc);
#include "sim/lines.def"
#undef SHOAL_LINE
    puts("\nContracts of expect lines:\n");
#define SHOAL_CONTRACT_ROW(NAME, word, syntax, doc) printf("  %s\n      %s\n", syntax, doc);
#include "sim/contracts.def"
#undef SHOAL_CONTRACT_ROW
    puts("\nSelectors: n1  n2..n5  c1  c1..c3  *  masters  replicas  owner-of(slot 866)  "
         "replicas-of(slot 866), several with blanks between.");
    return SHOAL_EXIT_HELD;
}
