/* SPDX-License-Identifier: MIT
 *
 * command/keys.h - which arguments of a command are keys: what the rows of commands.def say, and
 * what stands in the arguments themselves ("2 a b"). Pure functions, any thread.
 */
#ifndef SHOAL_COMMAND_KEYS_H
#define SHOAL_COMMAND_KEYS_H

#include "command/command.h"

/* One key specification of a row. */
typedef struct shoal_key_spec {
    shoal_slice flags;   /* words with blanks between them: what is done to the keys */
    int32_t at;          /* argument at which it begins; 0: unknown, see below */
    int32_t last;        /* of a range: the last key, from `at` on, or negative: from the end */
    bool keynum;         /* argument `at` is the number of keys, which follow it */
    bool unknown;        /* no rule can find these keys */
    shoal_slice keyword; /* the range begins behind this word, looked for from the end; or empty */
} shoal_key_spec;

/* Where the search for a keyword begins, as COMMAND INFO says it. */
#define SHOAL_KEYS__FROM_END (-2)

/* Walks the specifications of a row. */
typedef struct shoal_key_specs {
    const shoal_command *command;
    shoal_slice rest; /* of command->access */
    int32_t at;       /* where the next one begins if it does not say */
} shoal_key_specs;

/* A walk at its beginning. */
shoal_key_specs shoal_keys__specs(const shoal_command *command);
/* The next specification; false at the end. */
bool shoal_keys__next_spec(shoal_key_specs *specs, shoal_key_spec *spec);

/* How the keys of a row are found, in a byte: 0 when first, last and step say it all; the argument
 * that is a number of keys; or one of these. */
#define SHOAL_KEYS__SORT 255u
#define SHOAL_KEYS__MIGRATE 254u
uint8_t shoal_keys__rule(const shoal_command *command);

/* Arguments from one counted key to the next: MSETEX has values between them. */
uint32_t shoal_keys__counted_step(const shoal_command *command);

/* How many keys a call of the right arity has; `rule` is the row's. None when the arguments
 * contradict themselves: then the handler says so. */
uint32_t shoal_keys__count(const shoal_command *command, uint8_t rule, uint32_t argc,
                           const shoal_slice *argv);
/* The argument that is key `index` of such a call. */
uint32_t shoal_keys__argument(const shoal_command *command, uint8_t rule, uint32_t argc,
                              const shoal_slice *argv, uint32_t index);

#endif
