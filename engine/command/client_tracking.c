/* SPDX-License-Identifier: MIT
 *
 * command/client_tracking.c - CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO. TRACKING is a
 * tour: it looks for the client that is redirected to, and lets every worker know that there is
 * somebody who wants to hear of changes (claim K2 of tracking.h).
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/handlers.h"
#include "command/tracking.h"
#include "command/worker.h"

/* What the tour has found so far, in tour->count: it has been announced; the index of the worker of
 * the client that is redirected to, plus one. */
#define ANNOUNCED ((uint64_t)1)
#define WORKER_SHIFT 1

/* What CLIENT TRACKING was asked for. */
typedef struct request {
    shoal_tracking_options options;
    bool on;
    bool redirects;
    shoal_slice *prefixes; /* room for as many as there are arguments */
    uint32_t prefix_count;
} request;

/* ---- arguments ---- */

/* Takes REDIRECT and its client. At the end of the tour it must have been found. */
static bool take_redirect(shoal_call *call, uint32_t index, request *wanted)
{
    int64_t id;
    const shoal_tour *tour = call->tour;
    if (wanted->redirects) {
        shoal_reply_error(&call->reply, "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!shoal_call__integer(call, index, &id)) return false;
    SHOAL_ASSERT(index < call->argc);
    wanted->redirects = true;
    wanted->options.redirect = id > 0 ? (uint64_t)id : 0;
    uint64_t found = tour->count >> WORKER_SHIFT;
    if (!tour->last) return true;
    if (found == 0 || id <= 0) {
        shoal_reply_error(&call->reply, "ERR The client ID you want redirect to does not exist");
        return false;
    }
    wanted->options.redirect_worker = (uint32_t)(found - 1);
    return true;
}

static bool take_options(shoal_call *call, request *wanted)
{
    shoal_tracking_options *options = &wanted->options;
    SHOAL_ASSERT(call->argc >= 3);
    for (uint32_t i = 3; i < call->argc; i++) {
        bool more = i + 1 < call->argc;
        if (shoal_call__word(call, i, "redirect") && more) {
            if (!take_redirect(call, ++i, wanted)) return false;
        } else if (shoal_call__word(call, i, "bcast")) {
            options->bcast = true;
        } else if (shoal_call__word(call, i, "optin")) {
            options->optin = true;
        } else if (shoal_call__word(call, i, "optout")) {
            options->optout = true;
        } else if (shoal_call__word(call, i, "noloop")) {
            options->noloop = true;
        } else if (shoal_call__word(call, i, "prefix") && more) {
            wanted->prefixes[wanted->prefix_count++] = call->argv[++i];
        } else {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return false;
        }
    }
    wanted->on = shoal_call__word(call, 2, "on");
    if (wanted->on || shoal_call__word(call, 2, "off")) return true;
    shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    return false;
}

/* ---- what goes together ---- */

static const char *wrong_options(const request *wanted, const shoal_tracker *tracker)
{
    const shoal_tracking_options *options = &wanted->options;
    SHOAL_DEBUG_ASSERT(wanted->on);
    if (wanted->prefix_count > 0 && !options->bcast)
        return "ERR PREFIX option requires BCAST mode to be enabled";
    if (tracker != NULL && tracker->options.bcast != options->bcast)
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    if (options->bcast && (options->optin || options->optout))
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if (options->optin && options->optout)
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if (tracker != NULL && ((options->optin && tracker->options.optout) ||
                            (options->optout && tracker->options.optin)))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    return NULL;
}

/* Does one begin like the other? */
static bool overlap(shoal_slice a, shoal_slice b)
{
    size_t least = a.size < b.size ? a.size : b.size;
    SHOAL_DEBUG_ASSERT(a.data != NULL && b.data != NULL);
    return shoal_text_equal((shoal_slice){a.data, least}, (shoal_slice){b.data, least});
}

static bool refuse_overlap(shoal_call *call, shoal_slice one, shoal_slice other, const char *whose)
{
    shoal_reply_errorf(&call->reply,
                       "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single "
                       "client must not overlap.",
                       (int)one.size, one.data, whose, (int)other.size, other.data);
    return false;
}

/* A key is to be told once. False after writing an error. */
static bool check_prefixes(shoal_call *call, const request *wanted)
{
    const shoal_session *session = call->session;
    SHOAL_ASSERT(session != NULL);
    for (uint32_t i = 0; i < wanted->prefix_count; i++) {
        shoal_slice one = wanted->prefixes[i], other;
        for (uint32_t n = 0; session->tracker != NULL && shoal_tracking__prefix(session, n, &other);
             n++) {
            if (overlap(one, other)) return refuse_overlap(call, one, other, "an existing");
        }
        for (uint32_t n = i + 1; n < wanted->prefix_count; n++) {
            other = wanted->prefixes[n];
            if (overlap(one, other)) return refuse_overlap(call, one, other, "another provided");
        }
    }
    return true;
}

/* ---- TRACKING ---- */

/* At each worker. */
static void visit(shoal_call *call, const request *wanted)
{
    shoal_tour *tour = call->tour;
    SHOAL_ASSERT(tour->origin < call->env->worker_count);
    if (wanted->on && (tour->count & ANNOUNCED) == 0) {
        tour->count |= ANNOUNCED;
        shoal_add_relaxed(&call->env->workers[tour->origin]->tracker_count, 1);
        (void)shoal_add_acq_rel(&call->env->trackers, 1); /* pair: env.trackers */
    }
    if (wanted->options.redirect != 0 &&
        shoal_tracking__target(call->worker, wanted->options.redirect))
        tour->count = (tour->count & ANNOUNCED) | (uint64_t)(call->worker->index + 1)
                                                      << WORKER_SHIFT;
}

void shoal_tracking__unannounce(shoal_env *env, shoal_tour *tour)
{
    SHOAL_ASSERT(tour->origin < env->worker_count);
    if ((tour->count & ANNOUNCED) == 0) return;
    tour->count &= ~ANNOUNCED;
    shoal_sub_relaxed(&env->workers[tour->origin]->tracker_count, 1);
    shoal_sub_relaxed(&env->trackers, 1);
}

/* At the worker of the client, behind the last visit. */
static void settle(shoal_call *call, const request *wanted)
{
    shoal_session *session = call->session;
    /* What was to be told under the old terms comes before the reply. */
    shoal_tracking__catch_up(session->worker);
    if (!wanted->on) {
        shoal_tracking__leave(session);
        shoal_reply_ok(&call->reply);
        return;
    }
    SHOAL_ASSERT((call->tour->count & ANNOUNCED) != 0);
    const char *error = wrong_options(wanted, session->tracker);
    if (error != NULL) {
        shoal_reply_error(&call->reply, error);
    } else if (!wanted->options.bcast || check_prefixes(call, wanted)) {
        if (shoal_tracking__join(session, &wanted->options, wanted->prefixes,
                                 wanted->prefix_count)) {
            shoal_reply_ok(&call->reply);
        } else {
            shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        }
    }
}

void shoal_command__client_tracking(shoal_call *call)
{
    shoal_tour *tour = call->tour;
    const shoal_allocator *allocator = &call->env->allocator;
    SHOAL_ASSERT(call->worker != NULL && !tour->last == (call->session == NULL));
    /* What is wrong is said once, behind the last worker. */
    shoal_buffer unheard = shoal_buffer_make(allocator);
    shoal_reply real = call->reply;
    if (!tour->last) call->reply = (shoal_reply){.out = &unheard, .protocol = 2};
    size_t room = call->argc * sizeof(shoal_slice);
    request wanted = {.prefixes = shoal_memory_take(allocator, room, SHOAL_ALIGN_PLAIN)};
    if (wanted.prefixes == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else if (take_options(call, &wanted)) {
        if (tour->last) {
            settle(call, &wanted);
        } else {
            visit(call, &wanted);
        }
    }
    if (tour->last) shoal_tracking__unannounce(call->env, tour);
    call->reply = real;
    shoal_buffer_free(&unheard);
    shoal_memory_give(allocator, wanted.prefixes, room, SHOAL_ALIGN_PLAIN);
}

/* ---- about the asking connection ---- */

void shoal_command__client_caching(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3 && call->session != NULL);
    shoal_tracker *tracker = call->session->tracker;
    bool chooses = tracker != NULL && (tracker->options.optin || tracker->options.optout);
    bool yes = shoal_call__word(call, 2, "yes");
    if (!chooses) {
        shoal_reply_error(&call->reply, "ERR CLIENT CACHING can be called only when the client is "
                                        "in tracking mode with OPTIN or OPTOUT mode enabled");
    } else if (!yes && !shoal_call__word(call, 2, "no")) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    } else if (yes && !tracker->options.optin) {
        shoal_reply_error(&call->reply, "ERR CLIENT CACHING YES is only valid when tracking is "
                                        "enabled in OPTIN mode.");
    } else if (!yes && !tracker->options.optout) {
        shoal_reply_error(&call->reply, "ERR CLIENT CACHING NO is only valid when tracking is "
                                        "enabled in OPTOUT mode.");
    } else {
        tracker->caching = true;
        shoal_reply_ok(&call->reply);
    }
}

/* The client that the tracker redirects to, 0; -1 where there is no tracker. */
static int64_t redirection(const shoal_tracker *tracker)
{
    SHOAL_DEBUG_ASSERT(tracker == NULL || tracker->session != NULL);
    return tracker == NULL ? -1 : (int64_t)tracker->options.redirect;
}

void shoal_command__client_getredir(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    shoal_reply_integer(&call->reply, redirection(call->session->tracker));
}

/* The words for what a tracker was asked for. */
static uint32_t words_of(const shoal_tracker *tracker, const char *words[7])
{
    uint32_t count = 0;
    words[count++] = tracker == NULL ? "off" : "on";
    if (tracker == NULL) return count;
    SHOAL_DEBUG_ASSERT(!(tracker->options.optin && tracker->options.optout));
    if (tracker->options.bcast) words[count++] = "bcast";
    if (tracker->options.optin) words[count++] = "optin";
    if (tracker->options.optin && tracker->caching) words[count++] = "caching-yes";
    if (tracker->options.optout) words[count++] = "optout";
    if (tracker->options.optout && tracker->caching) words[count++] = "caching-no";
    if (tracker->options.noloop) words[count++] = "noloop";
    if (tracker->broken) words[count++] = "broken_redirect";
    return count;
}

void shoal_command__client_trackinginfo(shoal_call *call)
{
    const shoal_session *session = call->session;
    SHOAL_ASSERT(session != NULL);
    const char *words[7];
    uint32_t count = words_of(session->tracker, words);
    shoal_reply_map(&call->reply, 3);
    shoal_reply_text(&call->reply, "flags");
    shoal_reply_set(&call->reply, count);
    for (uint32_t i = 0; i < count; i++) shoal_reply_text(&call->reply, words[i]);
    shoal_reply_text(&call->reply, "redirect");
    shoal_reply_integer(&call->reply, redirection(session->tracker));
    shoal_reply_text(&call->reply, "prefixes");
    uint32_t prefixes = session->tracker == NULL ? 0 : session->tracker->prefix_count;
    shoal_slice prefix = {"", 0};
    shoal_reply_array(&call->reply, prefixes);
    for (uint32_t i = 0; i < prefixes; i++) {
        bool found = shoal_tracking__prefix(session, i, &prefix);
        SHOAL_ASSERT(found);
        shoal_reply_bulk(&call->reply, prefix);
    }
}
