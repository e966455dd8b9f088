/* SPDX-License-Identifier: MIT
 *
 * node/last_words.h - a function that is called when a thread is about to take the process with it:
 * by an assertion that failed, or an address that is none.
 */
#ifndef SHOAL_NODE_LAST_WORDS_H
#define SHOAL_NODE_LAST_WORDS_H

#include <shoal/types.h>

/* From now on, when the calling thread gets SIGABRT, SIGBUS, SIGFPE, SIGILL or SIGSEGV, `speak` is
 * called once, on a stack of its own; the process then ends by the signal. It must not take memory.
 * 0, SHOAL_ERR_NO_MEMORY, or SHOAL_ERR_UNSUPPORTED in a build with sanitizers, which want the
 * signals for themselves. */
SHOAL_MUST_USE shoal_err shoal_last_words__set(void (*speak)(void *context), void *context);

/* Nothing is called any more. By the thread that has called `set`. */
void shoal_last_words__clear(void);

#endif
