/* SPDX-License-Identifier: MIT
 *
 * command/job.h - commands that are not over when their handler returns: because the work is too
 * long for one go (LCS), because it goes through many places (FLUSHALL, DEBUG DIGEST), because it
 * learns only on its way which places it needs (SORT BY), or because it waits for something (DEBUG
 * SLEEP, memory that is being freed). No thread ever waits: the session is parked, and the job
 * takes one step after the other on the session's own worker, or under the gates that it asks for.
 *
 * A handler makes a job, sets call->job and returns. What it has written until then stays the
 * beginning of the reply. The job belongs to the call from then on.
 *
 * When call->whole is set (a transaction or a script runs the call, and holds the gates of
 * whatever it can touch) there is no worker to come back to: then the steps are taken one behind
 * the other, within the handler's call, by shoal_job__finish.
 */
#ifndef SHOAL_COMMAND_JOB_H
#define SHOAL_COMMAND_JOB_H

#include "command/command.h"

/* How a step ended. */
typedef enum shoal_job_turn {
    SHOAL_JOB_DONE,  /* the reply is complete */
    SHOAL_JOB_AGAIN, /* another step, in the worker's next round */
    SHOAL_JOB_LATER, /* another step, not before job->at_us */
    SHOAL_JOB_GATES, /* another step, under the gates of job->places, on whatever thread */
    SHOAL_JOB_AWAY   /* another step when somebody else, to whom job->depart goes, says so */
} shoal_job_turn;

/* What every job begins with. */
typedef struct shoal_job {
    /* Takes a step of some 50 microseconds at most. `call` is as the handler's was, with the thread
     * of this step; call->gated says whether it runs under the gates that were asked for. Writes to
     * call->reply. */
    shoal_job_turn (*step)(struct shoal_job *job, shoal_call *call);
    /* Frees the job, done or not. */
    void (*drop)(struct shoal_job *job, const shoal_allocator *allocator);
    /* AWAY: hands the errand over to who will call shoal_job_resume, from any thread. */
    void (*depart)(struct shoal_job *job, shoal_errand *errand);
    const uint32_t *places; /* GATES: ascending and distinct; borrowed until that step */
    uint32_t place_count;
    bool multi;          /* GATES: readers queue too while the step runs */
    bool stays;          /* GATES: its steps are taken on a replica too, and see to that */
    bool answered;       /* the reply is written: without memory for the waiting it goes at once */
    int64_t at_us;       /* LATER: monotonic */
    shoal_job_turn turn; /* of shoal_job__start: how its step ended; else 0 */
} shoal_job;

/* Takes the first step of a job that the caller has made, and drops it when that was all; else it
 * is the call's job. On the thread of the session's worker. */
void shoal_job__start(shoal_job *job, shoal_call *call);
/* Parks the session of a call that left a job, on its own worker; `before` is where the call's
 * reply begins in its buffer. */
void shoal_job__park(shoal_session *session, shoal_call *call, size_t before);
/* The same for a call that ran as an errand, on any thread. */
void shoal_job__park_errand(shoal_errand *errand, shoal_job *job);
/* Goes on with a job that is AWAY: a step of its worker's. Any thread. */
void shoal_job_resume(shoal_errand *errand);
/* Takes all steps at once, and drops the job: for call->whole, and for what is small. */
void shoal_job__finish(shoal_job *job, shoal_call *call);
/* Wakes the jobs of a worker whose time has come; when the next one's comes, or SHOAL_NEVER. */
int64_t shoal_job__wake(struct shoal_worker *worker);
/* Drops the jobs that still sleep, with their errands: the worker ends. */
void shoal_job__drop_all(struct shoal_worker *worker);

#endif
