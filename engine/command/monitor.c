/* SPDX-License-Identifier: MIT
 *
 * command/monitor.c - MONITOR, and the lines that it shows.
 */
#include "command/monitor.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/client_line.h"
#include "command/handlers.h"
#include "command/pubsub.h"
#include "command/redact.h"

/* A line on its way to the monitors of one worker; its bytes follow. */
typedef struct line {
    shoal_op op;
    size_t size;
} line;

/* An argument in quotes, with escapes for what a terminal would not show as it is. */
static void append_quoted(shoal_slice text, shoal_buffer *out)
{
    static const char plain[] = "\\\"\n\r\t\a\b", letters[] = "\\\"nrtab";
    SHOAL_DEBUG_ASSERT(text.size == 0 || text.data != NULL);
    shoal_buffer_append(out, shoal_text("\""));
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        size_t escape = 0;
        while (plain[escape] != '\0' && plain[escape] != text.data[i]) escape++;
        if (c != '\0' && plain[escape] != '\0') {
            shoal_text_appendf(out, "\\%c", letters[escape]);
        } else if (c >= ' ' && c <= '~') {
            shoal_buffer_append(out, (shoal_slice){&text.data[i], 1});
        } else {
            char hex[2];
            for (int digit = 0; digit < 2; digit++)
                hex[digit] = "0123456789abcdef"[(c >> (digit == 0 ? 4 : 0)) & 15];
            shoal_buffer_append(out, shoal_text("\\x"));
            shoal_buffer_append(out, (shoal_slice){hex, sizeof(hex)});
        }
    }
    shoal_buffer_append(out, shoal_text("\""));
}

static void append_line(const shoal_monitor_origin *origin, const shoal_timing_brief *what,
                        shoal_buffer *out)
{
    int64_t wall_us = origin->wall_us;
    SHOAL_ASSERT(what->argc > 0);
    shoal_text_appendf(out, "+%lld.%06lld [%u ", (long long)(wall_us / 1000000),
                       (long long)(wall_us % 1000000), origin->db);
    if (origin->unix_socket) shoal_buffer_append(out, shoal_text("unix:"));
    shoal_client__address(origin->address, out);
    shoal_buffer_append(out, shoal_text("]"));
    for (uint32_t i = 0; i < what->argc; i++) {
        shoal_buffer_append(out, shoal_text(" "));
        append_quoted(shoal_command__redacted(what->command, what->argv, what->argc, i), out);
    }
    shoal_buffer_append(out, shoal_text("\r\n"));
}

/* On a worker with monitors: all of them get the line. */
static void arrive(shoal_op *op, void *runner)
{
    line *arrived = (line *)(void *)op;
    shoal_worker *worker = runner;
    SHOAL_ASSERT(worker->inside);
    shoal_slice bytes = {(const char *)(arrived + 1), arrived->size};
    shoal_session *session = worker->monitors;
    for (; session != NULL; session = session->monitor_next) {
        shoal_buffer_append(&session->pushed, bytes);
        if (session->pushed.failed ||
            shoal_buffer_size(&session->pushed) > SHOAL_MONITOR__BYTES_MAX)
            session->closing = true;
        shoal_worker__wake(session);
    }
    shoal_memory_give(&worker->env->allocator, arrived, sizeof(*arrived) + arrived->size,
                      SHOAL_ALIGN_PLAIN);
}

void shoal_monitor__feed(shoal_session *session, const shoal_timing_brief *what, uint32_t db)
{
    shoal_env *env = session->worker->env;
    if (__builtin_expect(shoal_load_relaxed(&env->monitors) == 0, 1)) return;
    const shoal_session_options *options = &session->options;
    const shoal_monitor_origin origin = {.address = options->unix_socket ? &options->local
                                                                         : &options->peer,
                                         .unix_socket = options->unix_socket,
                                         .wall_us = session->worker->now.wall_us,
                                         .db = db};
    shoal_monitor_tell(env, &origin, what);
}

void shoal_monitor_tell(shoal_env *env, const shoal_monitor_origin *origin,
                        const shoal_timing_brief *what)
{
    if (shoal_load_relaxed(&env->monitors) == 0) return;
    if ((what->command->flags & SHOAL_FLAG_ADMIN) != 0) return;
    shoal_buffer text = shoal_buffer_make(&env->allocator);
    append_line(origin, what, &text);
    shoal_slice bytes = shoal_buffer_slice(&text);
    SHOAL_ASSERT(bytes.size > 0 || text.failed);
    for (uint32_t i = 0; i < env->worker_count && !text.failed; i++) {
        shoal_worker *worker = env->workers[i];
        if (shoal_load_relaxed(&worker->monitor_count) == 0) continue;
        /* Without memory for it a line is not shown. */
        line *made =
            shoal_memory_take(&env->allocator, sizeof(*made) + bytes.size, SHOAL_ALIGN_PLAIN);
        if (made == NULL) break;
        *made = (line){.op = {.run = arrive}, .size = bytes.size};
        memcpy(made + 1, bytes.data, bytes.size);
        shoal_worker__post(worker, &made->op);
    }
    shoal_buffer_free(&text);
}

void shoal_monitor__deliver(shoal_session *session, shoal_buffer *out)
{
    SHOAL_DEBUG_ASSERT(!session->dead);
    if (shoal_buffer_size(&session->pushed) == 0) return;
    shoal_buffer_append(out, shoal_buffer_slice(&session->pushed));
    shoal_buffer_free(&session->pushed);
}

void shoal_monitor__leave(shoal_session *session)
{
    if (!session->monitors) return;
    shoal_worker *worker = session->worker;
    shoal_session **link = &worker->monitors;
    while (*link != session) {
        SHOAL_ASSERT(*link != NULL);
        link = &(*link)->monitor_next;
    }
    *link = session->monitor_next;
    session->monitors = false;
    session->monitor_next = NULL;
    if (shoal_pubsub__subscriptions(session) == 0) shoal_buffer_free(&session->pushed);
    shoal_bump_relaxed(&worker->monitor_count, (uint32_t)-1);
    shoal_sub_relaxed(&worker->env->monitors, 1);
}

void shoal_command__monitor(shoal_call *call)
{
    shoal_session *session = call->session;
    SHOAL_ASSERT(session != NULL);
    shoal_reply_ok(&call->reply);
    if (session->monitors) return;
    shoal_worker *worker = session->worker;
    session->monitors = true;
    session->monitor_next = worker->monitors;
    worker->monitors = session;
    shoal_bump_relaxed(&worker->monitor_count, 1u);
    shoal_add_relaxed(&call->env->monitors, 1);
}
