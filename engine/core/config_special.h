/* SPDX-License-Identifier: MIT
 *
 * core/config_special.h - the types of directives that are kept as text: checking, and the
 * canonical form that CONFIG GET shows. Pure.
 */
#ifndef SHOAL_CORE_CONFIG_SPECIAL_H
#define SHOAL_CORE_CONFIG_SPECIAL_H

#include "core/config.h"

/* Appends the canonical form of `text` to `out`; `present` is the value that it replaces, for
 * types that merge. On an error appends what is wrong, in Redis's words, to `complaint`. */
SHOAL_MUST_USE shoal_err shoal_config__canonical(const shoal_directive *row, shoal_slice text,
                                                 shoal_slice present, shoal_buffer *out,
                                                 shoal_buffer *complaint);

/* Appends what such a directive accepts, as a phrase for people. */
void shoal_config__expect_special(const shoal_directive *row, shoal_buffer *out);

/* Reads "12", "12k", "12mb" and so on: false when it is nothing of the kind. Sizes beyond 64 bits
 * become the greatest number. */
bool shoal_config__memory(shoal_slice text, uint64_t *out);

/* Limits of one class of clients. */
typedef struct shoal_config__limits {
    uint64_t hard, soft, seconds; /* bytes that never wait, bytes that wait so long; 0: no limit */
} shoal_config__limits;

/* The limits of a class of clients in a canonical value of client-output-buffer-limit. */
shoal_config__limits shoal_config__limits_of(shoal_slice text, const char *name);

/* Takes the next word off the front of `*text`; words are separated by blanks. False at the
 * end. */
bool shoal_config__next_word(shoal_slice *text, shoal_slice *word);

#endif
