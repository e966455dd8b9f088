/* SPDX-License-Identifier: MIT
 *
 * What every test program starts with: cmocka with the headers it wants before itself, and a few
 * checks that cmocka lacks. One group a program; each test's name is the fact it states.
 */
#ifndef SHOAL_TEST_TEST_H
#define SHOAL_TEST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <shoal/types.h>

/* Fails the test unless `slice` holds exactly the characters of `text`. */
void test_slice_is(shoal_slice slice, const char *text);

/* Fails the test unless `run(argument)` ends in an abort, as a failed assertion does. It runs in
 * a process of its own, with stderr closed. */
void test_aborts(void (*run)(void *argument), void *argument);

#endif
