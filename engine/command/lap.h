/* SPDX-License-Identifier: MIT
 *
 * command/lap.h - the quick way through timing.h, for what runs on its session's worker: a brief
 * command that shares its reading of the clock with others leaves a note behind, and nothing else.
 */
#ifndef SHOAL_COMMAND_LAP_H
#define SHOAL_COMMAND_LAP_H

#include "base/assert.h"
#include "command/worker.h"

/* Is anything measured? */
static inline bool shoal_timing__measures(const shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->settings != NULL);
    return worker->settings->timed && worker->env->host->clock_ns != NULL;
}

/* May brief commands of this session share readings? Not where the slow log wants to know of each,
 * and not those of a transaction, whose arguments go with it. */
static inline bool shoal_timing__shares(const shoal_session *session)
{
    int64_t slow_us = session->worker->settings->slow_us;
    SHOAL_DEBUG_ASSERT(slow_us >= -1);
    return (slow_us < 0 || slow_us >= SHOAL_TIMING__EACH_US) && session->exec == NULL;
}

/* Does such a command do little, whatever its keys hold? */
static inline bool shoal_timing__is_brief(const shoal_command *command, uint32_t argc)
{
    SHOAL_DEBUG_ASSERT(argc > 0);
    return argc <= shoal_timing__brief_arguments[command->id];
}

/* A brief command that shares its reading has run. Word by word: a copy of what has just been
 * written in smaller parts would wait for them, and for all that was written before. Measured: 2 %
 * of a pipelined SET with appendfsync everysec. */
static inline void shoal_timing__note(shoal_session *session, const shoal_command *command,
                                      uint32_t argc, const shoal_slice *argv)
{
    shoal_timing *timing = &session->worker->timing;
    SHOAL_DEBUG_ASSERT(timing->lap_ns > 0 && timing->brief_count < SHOAL_TIMING__BRIEF_MAX);
    shoal_timing_brief *to = &timing->brief[timing->brief_count++];
    to->command = command;
    to->argc = argc;
    to->argv = argv;
    if (__builtin_expect(timing->brief_count == SHOAL_TIMING__BRIEF_MAX, 0))
        shoal_timing__share(session);
}

#endif
