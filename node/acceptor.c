/* SPDX-License-Identifier: MIT
 *
 * node/acceptor.h with accept4.
 */
#include "acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

/* Connections accepted before the bus has its turn again. */
#define BATCH_MAX 64

/* How long to wait for descriptors to become free. */
#define PAUSE_US 100000

/* Errors that concern one connection only: the next one may be fine. */
static bool is_passing(int number)
{
    return number == EINTR || number == ECONNABORTED || number == EPROTO || number == EPERM ||
           number == ENETDOWN || number == ENOPROTOOPT || number == EHOSTDOWN || number == ENONET ||
           number == EHOSTUNREACH || number == ENETUNREACH;
}

static void pause_accepting(shoal_acceptor *acceptor)
{
    shoal_log__say(acceptor->log, SHOAL_LOG_WARNING, "Accepting client connection: %s",
                   strerror(errno));
    shoal_control__watch(acceptor->control, acceptor->descriptor, &acceptor->watch, false);
    acceptor->resume_at = shoal_clock_read(CLOCK_MONOTONIC) + PAUSE_US;
}

static void acceptor_ready(shoal_watch *watch, uint32_t events)
{
    (void)events;
    shoal_acceptor *acceptor = (shoal_acceptor *)watch;
    for (int i = 0; i < BATCH_MAX; i++) {
        int descriptor = accept4(acceptor->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            acceptor->take(acceptor->context, acceptor, descriptor);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (!is_passing(errno)) {
            pause_accepting(acceptor);
            return;
        }
    }
}

void shoal_acceptor__start(shoal_acceptor *acceptor)
{
    acceptor->watch.ready = acceptor_ready;
    acceptor->resume_at = 0;
    shoal_control__watch(acceptor->control, acceptor->descriptor, &acceptor->watch, true);
}

int64_t shoal_acceptor__chores(shoal_acceptor *acceptor, int64_t mono_us)
{
    if (acceptor->resume_at == 0) return INT64_MAX;
    if (acceptor->resume_at > mono_us) return acceptor->resume_at;
    shoal_acceptor__start(acceptor);
    return INT64_MAX;
}

void shoal_acceptor__stop(shoal_acceptor *acceptor)
{
    if (acceptor->descriptor < 0) return;
    close(acceptor->descriptor); /* epoll forgets it by itself */
    acceptor->descriptor = -1;
    acceptor->resume_at = 0;
}
