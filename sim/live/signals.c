/* SPDX-License-Identifier: MIT
 *
 * sim/live/signals.h.
 */
#include "sim/live/signals.h"

#include <signal.h>
#include <stddef.h>

static sigset_t ending(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

void shoal_signals__block(void)
{
    sigset_t set = ending();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void shoal_signals__unblock(void)
{
    sigset_t set = ending();
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool shoal_signals__pending(void)
{
    sigset_t set;
    if (sigpending(&set) != 0) return false;
    return sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1 ||
           sigismember(&set, SIGHUP) == 1;
}
