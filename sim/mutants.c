/* SPDX-License-Identifier: MIT
 *
 * Which of the planted faults of base/mutants.def the program shoal-sim-mutants has.
 */
#include "sim/mutants.h"

#include <stdint.h>
#include <string.h>

#ifdef SHOAL_MUTANTS

/* Chosen before the first world, by the command line. */
static shoal_mutant chosen = SHOAL_MUTANT_COUNT;

bool shoal_mutant_is(shoal_mutant mutant)
{
    return mutant == chosen;
}

static const struct {
    const char *word, *doc;
} rows[] = {
#define SHOAL_MUTANT_ROW(name, word, doc) {word, doc},
#include "base/mutants.def"
#undef SHOAL_MUTANT_ROW
};

bool shoal_mutants_choose(const char *word)
{
    for (uint32_t i = 0; i < SHOAL_MUTANT_COUNT; i++) {
        if (strcmp(rows[i].word, word) != 0) continue;
        chosen = (shoal_mutant)i;
        return true;
    }
    return false;
}

bool shoal_mutants_list(FILE *out)
{
    for (uint32_t i = 0; i < SHOAL_MUTANT_COUNT; i++)
        fprintf(out, "%-20s%s\n", rows[i].word, rows[i].doc);
    return true;
}

#else

bool shoal_mutants_choose(const char *word)
{
    (void)word;
    return false;
}

bool shoal_mutants_list(FILE *out)
{
    (void)out;
    return false;
}

#endif
