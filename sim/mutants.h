/* SPDX-License-Identifier: MIT
 *
 * sim/mutants.h - the planted faults of base/mutants.def, for shoal-sim-mutants. In every other
 * program there is none to be chosen.
 */
#ifndef SHOAL_SIM_MUTANTS_H
#define SHOAL_SIM_MUTANTS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/mutant.h"

/* Lets every world of this process have the fault of that word. False when there is none. */
bool shoal_mutants_choose(const char *word);
/* Prints the words and what they do. False in a program without mutants. */
bool shoal_mutants_list(FILE *out);

#endif
