/* SPDX-License-Identifier: MIT
 *
 * See test.h.
 */
#include "support/test.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void test_slice_is(shoal_slice slice, const char *text)
{
    bool same = slice.size == strlen(text) &&
                (slice.size == 0 || memcmp(slice.data, text, slice.size) == 0);
    if (same) return;
    fail_msg("got \"%.*s\" instead of \"%s\"", (int)slice.size, slice.data ? slice.data : "", text);
}

void test_aborts(void (*run)(void *argument), void *argument)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        close(STDERR_FILENO);
        /* cmocka catches SIGABRT in tests; here it must end the process. */
        signal(SIGABRT, SIG_DFL);
        run(argument);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) fail_msg("status %d", status);
}
