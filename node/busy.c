/* SPDX-License-Identifier: MIT
 *
 * node/busy.h: everybody polls.
 */
#include "busy.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "clock.h"

shoal_err shoal_busy__open(shoal_busy *busy)
{
    shoal_store_relaxed(&busy->until_us, 0);
    busy->over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return busy->over < 0 ? SHOAL_ERR_IO : SHOAL_ERR_OK;
}

void shoal_busy__close(shoal_busy *busy)
{
    if (busy->over >= 0) close(busy->over);
    busy->over = -1;
}

void shoal_busy__begin(shoal_busy *busy, int64_t until_us)
{
    SHOAL_ASSERT(until_us >= 0);
    int64_t seen = shoal_load_relaxed(&busy->until_us);
    while (seen < until_us && !shoal_cas_relaxed(&busy->until_us, &seen, until_us)) {
    }
}

void shoal_busy__end(shoal_busy *busy)
{
    SHOAL_ASSERT(busy->over >= 0);
    uint64_t one = 1;
    ssize_t size = write(busy->over, &one, sizeof one);
    SHOAL_ASSERT(size == (ssize_t)sizeof one);
}

bool shoal_busy__wait(shoal_busy *busy, int hurry)
{
    struct pollfd watched[2] = {{.fd = busy->over, .events = POLLIN},
                                {.fd = hurry, .events = POLLIN}};
    for (;;) {
        int64_t left = shoal_load_relaxed(&busy->until_us) - shoal_clock_read(CLOCK_MONOTONIC);
        if (left <= 0) return false;
        struct timespec rest = {.tv_sec = (time_t)(left / 1000000),
                                .tv_nsec = (long)(left % 1000000) * 1000};
        int count = ppoll(watched, 2, &rest, NULL);
        SHOAL_ASSERT(count >= 0 || errno == EINTR);
        if (count > 0) return watched[1].revents != 0;
    }
}
