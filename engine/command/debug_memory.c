/* SPDX-License-Identifier: MIT
 *
 * command/debug_memory.c - DEBUG MALLCTL: the few words about the allocator that tests of Redis ask
 * for. What it cannot tell is answered as the allocator answers for names that it does not know.
 */
#include "base/assert.h"
#include "command/debug.h"

/* The unit in which the system gives memory, on every platform that this is built for. */
#define PAGE_BYTES 4096

static void reply_unknown(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    shoal_reply_error(&call->reply, "ERR No such file or directory");
}

void shoal_debug__mallctl(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    if (shoal_text_is(call->argv[2], "arenas.page")) {
        shoal_reply_integer(&call->reply, PAGE_BYTES);
    } else {
        reply_unknown(call);
    }
}

void shoal_debug__mallctl_text(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    if (shoal_text_is(call->argv[2], "thread.tcache.flush")) {
        shoal_thread_tidy(call->thread);
        shoal_reply_ok(&call->reply);
    } else {
        reply_unknown(call);
    }
}
