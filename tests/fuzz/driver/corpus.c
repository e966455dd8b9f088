/* SPDX-License-Identifier: MIT
 *
 * Runs a fuzz target as a plain test: every file of its corpus as it is, every proper prefix of
 * the short ones, and some damaged copies, which are the same in every run. The target crashes or
 * it passes. An empty corpus fails: a test that never tested anything is an error.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

/* Damaged copies of each file. Chosen: all targets together stay within seconds. */
#define DAMAGED_COPIES 300

/* Largest file of a corpus; what is larger is not for a plain test. */
#define FILE_SIZE_MAX (1 << 20)

/* Files up to this size are run with every prefix. */
#define PREFIXES_MAX 4096

/* The target, as libFuzzer calls it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs the target on a block of exactly `size` bytes, so that a sanitizer sees any overrun. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* Changes one to four places: a bit, a byte, or a range that moves. */
static void damage(shoal_prng *prng, uint8_t *data, size_t size)
{
    uint64_t places = 1 + shoal_prng_below(prng, 4);
    for (uint64_t i = 0; i < places; i++) {
        size_t at = shoal_prng_below(prng, size);
        size_t from = shoal_prng_below(prng, size);
        size_t room = size - (at > from ? at : from);
        switch (shoal_prng_below(prng, 3)) {
        case 0: data[at] ^= (uint8_t)(1u << shoal_prng_below(prng, 8)); break;
        case 1: data[at] = (uint8_t)shoal_prng_next(prng); break;
        default: memmove(data + at, data + from, shoal_prng_below(prng, room + 1)); break;
        }
    }
}

static void run_damaged(const uint8_t *data, size_t size)
{
    shoal_prng prng = shoal_prng_make((uint64_t[2]){size, 0}, 0, 0);
    uint8_t *copy = malloc(size);
    if (copy == NULL) abort();
    for (int i = 0; i < DAMAGED_COPIES; i++) {
        memcpy(copy, data, size);
        damage(&prng, copy, size);
        run(copy, size);
    }
    free(copy);
}

/* Reads a file whole; false when it cannot be read. */
static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return 0;
    uint8_t *data = malloc(FILE_SIZE_MAX);
    size_t size = data ? fread(data, 1, FILE_SIZE_MAX, file) : 0;
    int failed = ferror(file);
    fclose(file);
    if (data == NULL || failed) return 0;
    run(data, size);
    for (size_t prefix = 0; size <= PREFIXES_MAX && prefix < size; prefix++) run(data, prefix);
    if (size > 0) run_damaged(data, size);
    free(data);
    return 1;
}

int main(void)
{
    const char *folder = SHOAL_SOURCE_DIR "/tests/fuzz/corpus/" SHOAL_FUZZ_TARGET;
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    int tests = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        if (entries[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
            printf("# %s\n", entries[i]->d_name);
            fflush(stdout);
            int fine = run_file(path);
            printf("%s %d - %s survives %s\n", fine ? "ok" : "not ok", ++tests, SHOAL_FUZZ_TARGET,
                   entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    if (tests == 0) printf("not ok %d - there is a corpus in %s\n", ++tests, folder);
    printf("1..%d\n", tests);
    return 0;
}
