/* SPDX-License-Identifier: MIT
 *
 * node/last_words.h: the handler finds what to call at the bottom of the stack that it runs on,
 * which is the thread's own; so threads without last words just die, and there is nothing global.
 */
#include "last_words.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#ifndef SHOAL_SANITIZED

/* Chosen: writing a file takes little. */
#define STACK_BYTES (64u << 10)
#define MARK UINT64_C(0x6C61737420776F72)

/* At the bottom of the stack, which grows down to it. */
typedef struct last_words {
    uint64_t mark;
    void (*speak)(void *context);
    void *context;
} last_words;

static void die(int signal)
{
    stack_t stack;
    if (sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_DISABLE) == 0 &&
        stack.ss_size == STACK_BYTES) {
        last_words words;
        memcpy(&words, stack.ss_sp, sizeof words);
        if (words.mark == MARK) words.speak(words.context);
    }
    /* The handler is gone: this ends the process as soon as it returns. */
    raise(signal);
}

shoal_err shoal_last_words__set(void (*speak)(void *context), void *context)
{
    static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    const last_words words = {MARK, speak, context};
    void *memory =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return SHOAL_ERR_NO_MEMORY;
    memcpy(memory, &words, sizeof words);
    stack_t stack = {.ss_sp = memory, .ss_size = STACK_BYTES};
    if (sigaltstack(&stack, NULL) != 0) {
        munmap(memory, STACK_BYTES);
        return SHOAL_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_handler = die, .sa_flags = SA_ONSTACK | SA_RESETHAND};
        sigemptyset(&action.sa_mask);
        (void)sigaction(signals[i], &action, NULL);
    }
    return SHOAL_ERR_OK;
}

void shoal_last_words__clear(void)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    stack_t stack;
    bool ours = sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_DISABLE) == 0 &&
                stack.ss_size == STACK_BYTES;
    if (ours && sigaltstack(&none, NULL) == 0) munmap(stack.ss_sp, STACK_BYTES);
}

#else

shoal_err shoal_last_words__set(void (*speak)(void *context), void *context)
{
    (void)speak, (void)context;
    return SHOAL_ERR_UNSUPPORTED;
}

void shoal_last_words__clear(void)
{
}

#endif
