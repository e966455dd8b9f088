/* SPDX-License-Identifier: MIT
 *
 * What every fuzz target includes. A target is tests/fuzz/NAME.c with one function,
 * LLVMFuzzerTestOneInput, which states with SHOAL_ASSERT what must hold for any bytes, and
 * tests/fuzz/corpus/NAME/ with a few small inputs. With SHOAL_FUZZ it is a libFuzzer program;
 * otherwise driver/corpus.c makes a test of it that runs the corpus.
 */
#ifndef SHOAL_FUZZ_FUZZ_H
#define SHOAL_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "base/text.h"
#include "support/allocator.h"

/* The target: looks at `size` bytes and returns 0, or does not return. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Splits the first byte off, for a target's own choices; 0 when there is none. */
static inline uint8_t fuzz_choice(shoal_slice *bytes)
{
    if (bytes->size == 0) return 0;
    uint8_t choice = (uint8_t)bytes->data[0];
    bytes->data++;
    bytes->size--;
    return choice;
}

/* The first `size` bytes alone in a block of exactly that size, so that a sanitizer sees every
 * read beyond them. The caller frees *block. */
static inline shoal_slice fuzz_exactly(shoal_slice bytes, size_t size, char **block)
{
    *block = malloc(size ? size : 1);
    SHOAL_ASSERT(*block != NULL);
    if (size) memcpy(*block, bytes.data, size);
    return (shoal_slice){*block, size};
}

#endif
