/* SPDX-License-Identifier: MIT
 *
 * base/assert.h - what must hold, said where it must hold. An assertion fails only in a wrong
 * program, and stops it, in release builds too. What can happen to a right program is a
 * shoal_err instead.
 *
 * Any thread.
 */
#ifndef SHOAL_BASE_ASSERT_H
#define SHOAL_BASE_ASSERT_H

#include <stdbool.h>

/* Says which condition failed where, and stops the process. Called by the macros only. */
_Noreturn void shoal_assert_failed(const char *condition, const char *file, unsigned line,
                                   const char *function) __attribute__((cold));

/* Stops the process unless `condition` holds. On in every build: keep it cheap. */
#define SHOAL_ASSERT(condition)                                          \
    (__builtin_expect(!(condition), 0)                                   \
         ? shoal_assert_failed(#condition, __FILE__, __LINE__, __func__) \
         : (void)0)

/* As SHOAL_ASSERT, for checks too dear for release: on where SHOAL_DEBUG_ASSERTS is defined (the
 * presets debug, asan, tsan and fuzz). Elsewhere the condition is compiled but never evaluated. */
#ifdef SHOAL_DEBUG_ASSERTS
#define SHOAL_DEBUG_ASSERT(condition) SHOAL_ASSERT(condition)
#else
#define SHOAL_DEBUG_ASSERT(condition) ((void)(0 && (condition)))
#endif

/* For a place that no path reaches. */
#define SHOAL_UNREACHABLE() shoal_assert_failed("unreachable", __FILE__, __LINE__, __func__)

#endif
