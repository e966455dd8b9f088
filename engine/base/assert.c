/* SPDX-License-Identifier: MIT
 *
 * The end of a wrong program. The C library's own hook prints the place and aborts, so that
 * debuggers, test runners and sanitizers treat it like any failed assert().
 */
#include "base/assert.h"

#include <assert.h>

void shoal_assert_failed(const char *condition, const char *file, unsigned line,
                         const char *function)
{
    __assert_fail(condition, file, line, function);
}
