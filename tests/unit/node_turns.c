/* SPDX-License-Identifier: MIT
 *
 * How a thread stands back (node/turns.h).
 */
#include <sched.h>
#include <sys/resource.h>

#include "node/turns.h"
#include "support/test.h"

/* Where the system knows nothing of slices, the thread keeps what it had. */
static void who_stands_back_keeps_the_niceness_of_a_server_that_is_nice(void **state)
{
    (void)state;
    assert_int_equal(setpriority(PRIO_PROCESS, 0, 7), 0);
    shoal_turns__stand_back();
    assert_int_equal(getpriority(PRIO_PROCESS, 0), 7);
    int policy = sched_getscheduler(0);
    assert_true(policy == SCHED_BATCH || policy == SCHED_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_stands_back_keeps_the_niceness_of_a_server_that_is_nice),
    };
    return cmocka_run_group_tests_name("node_turns", tests, NULL, NULL);
}
