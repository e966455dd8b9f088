/* SPDX-License-Identifier: MIT
 *
 * Doubles of any bits as text: the same as the C library's, and back to the same bits.
 */
#include "fuzz/driver/fuzz.h"

#include <math.h>
#include <stdio.h>

#include "base/number.h"

static void check(double value)
{
    char got[SHOAL_NUMBER_DOUBLE_MAX + 1], want[64];
    size_t size = shoal_number_from_double(value, got);
    SHOAL_ASSERT(size <= SHOAL_NUMBER_DOUBLE_MAX);
    got[size] = '\0';
    if (isnan(value)) {
        SHOAL_ASSERT(strcmp(got, "nan") == 0);
        return;
    }
    snprintf(want, sizeof(want), "%.17g", value);
    SHOAL_ASSERT(strcmp(got, want) == 0);
    SHOAL_ASSERT(strtod(got, NULL) == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double value;
    for (size_t at = 0; at + sizeof(value) <= size && at < 512; at += sizeof(value)) {
        memcpy(&value, data + at, sizeof(value));
        check(value);
    }
    return 0;
}
