/* SPDX-License-Identifier: MIT
 *
 * base/mutant.h - planted faults, for the laboratory that has to find them. SHOAL_MUTANT(NAME) is
 * false, and costs nothing, except in the program shoal-sim-mutants, whose --mutant option chooses
 * one row of base/mutants.def. A sweep that does not find a mutant does not test that rule.
 */
#ifndef SHOAL_BASE_MUTANT_H
#define SHOAL_BASE_MUTANT_H

#include <stdbool.h>

#ifdef SHOAL_MUTANTS
/* The rows of base/mutants.def. */
typedef enum shoal_mutant {
#define SHOAL_MUTANT_ROW(name, word, doc) SHOAL_MUTANT_##name,
#include "base/mutants.def"
#undef SHOAL_MUTANT_ROW
    SHOAL_MUTANT_COUNT
} shoal_mutant;
/* True for the one that was chosen. The program's. */
bool shoal_mutant_is(shoal_mutant mutant);
#define SHOAL_MUTANT(name) shoal_mutant_is(SHOAL_MUTANT_##name)
#else
#define SHOAL_MUTANT(name) false
#endif

#endif
