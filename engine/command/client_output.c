/* SPDX-License-Identifier: MIT
 *
 * command/client_output.c - client-output-buffer-limit for clients and for subscribers: how many
 * bytes of replies may wait for a client that does not read. What is about to be said counts as
 * much as what the host still holds, so a reply beyond the hard limit is not sent at all; the
 * command has run all the same.
 */
#include "base/assert.h"
#include "base/text.h"
#include "command/client_line.h"
#include "command/worker.h"

/* Bytes that every client may have waiting, whatever the limits say: as Redis, which does not count
 * the buffer that each connection has from the start. */
#define FREE_BYTES ((size_t)16 << 10)
/* The level of what should be seen, as traces number them. */
#define LOG_WARNING 3u

/* Says in the log which client goes. */
static void tell(const shoal_session *session)
{
    const shoal_host *host = session->worker->env->host;
    SHOAL_ASSERT(session->overflowed);
    shoal_buffer text = shoal_buffer_make(&session->worker->env->allocator);
    shoal_text_appendf(&text, "Client ");
    shoal_client__line(NULL, session, &text);
    if (!text.failed) text.end--; /* the line's end */
    shoal_text_appendf(&text,
                       " scheduled to be closed ASAP for overcoming of output buffer limits.");
    const shoal_trace_record record = {.kind = SHOAL_TRACE_LOG,
                                       .a = LOG_WARNING,
                                       .text = shoal_buffer_slice(&text)};
    if (!text.failed && host->trace != NULL) host->trace(host->context, &record);
    shoal_buffer_free(&text);
}

/* Has it subscribed to something, and so other limits? */
static bool hears(const shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(session->worker->settings != NULL);
    return session->subscribed_bytes != 0;
}

size_t shoal_session__output_room(const shoal_session *session)
{
    const shoal_settings *settings = session->worker->settings;
    SHOAL_DEBUG_ASSERT(!session->dead);
    uint64_t hard = hears(session) ? settings->pushes_hard_max : settings->output_hard_max;
    if (hard == 0 || session->replica != NULL) return SIZE_MAX;
    size_t waiting = session->backlog;
    uint64_t most = hard < SIZE_MAX - FREE_BYTES ? hard + FREE_BYTES : SIZE_MAX;
    return waiting < most ? (size_t)most - waiting : 0;
}

/* Is the soft limit passed, and has it been for too long? Notes since when it is. */
static bool too_long(shoal_session *session, size_t waiting)
{
    const shoal_settings *settings = session->worker->settings;
    int64_t now = session->worker->now.mono_us;
    uint64_t soft = hears(session) ? settings->pushes_soft_max : settings->output_soft_max;
    uint64_t seconds = hears(session) ? settings->pushes_soft_s : settings->output_soft_s;
    bool above = soft != 0 && waiting >= FREE_BYTES && waiting - FREE_BYTES >= soft;
    if (!above) {
        session->output_soft_us = 0;
        return false;
    }
    if (session->output_soft_us == 0) session->output_soft_us = now;
    SHOAL_DEBUG_ASSERT(session->output_soft_us <= now);
    return (uint64_t)(now - session->output_soft_us) / 1000000 > seconds;
}

bool shoal_session__output_fits(shoal_session *session, size_t said)
{
    if (session->overflowed) return false;
    if (session->replica != NULL) return true; /* its limits are the stream's */
    size_t waiting = session->backlog + said;
    SHOAL_DEBUG_ASSERT(waiting >= said);
    if (said < shoal_session__output_room(session) && !too_long(session, waiting)) return true;
    session->overflowed = true;
    session->closing = true;
    shoal_worker__count(session->worker, SHOAL_STAT_OUTPUT_LIMIT, 1);
    tell(session);
    return false;
}
