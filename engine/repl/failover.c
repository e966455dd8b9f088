/* SPDX-License-Identifier: MIT
 *
 * repl/failover.c - FAILOVER: a master gives its role to one of its replicas. Clients' writes wait
 * (core pauses them while shoal_repl_pause says so); when the replica has everything this node
 * becomes its replica, and the PSYNC that it sends says that the other one shall be the master.
 *
 *   NONE -> SYNC      writes wait, the replica catches up
 *   SYNC -> TURN      it has, or its time is over and FORCE was said: this node follows it
 *   TURN -> NONE      it has answered; or it refuses, and this node is the master again
 *   SYNC -> NONE      ABORT, or the time is over
 */
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "command/handlers.h"
#include "repl/internal.h"

const char *shoal_repl__failover_word(const shoal_repl *repl)
{
    SHOAL_ASSERT(repl->failover.stage <= REPL_FAILOVER_TURN);
    switch (repl->failover.stage) {
    case REPL_FAILOVER_NONE: break;
    case REPL_FAILOVER_SYNC: return "waiting-for-sync";
    case REPL_FAILOVER_TURN: return "failover-in-progress";
    }
    return "no-failover";
}

int64_t shoal_repl_pause(const shoal_repl *repl)
{
    SHOAL_ASSERT(repl->failover.stage <= REPL_FAILOVER_TURN);
    /* As long as it takes. */
    return repl->failover.stage != REPL_FAILOVER_NONE ? SHOAL_NEVER - 1 : 0;
}

void shoal_repl_paused(shoal_repl *repl, bool paused)
{
    SHOAL_ASSERT(repl->log != NULL);
    repl->paused = paused;
}

void shoal_repl__failover_over(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->failover.stage != REPL_FAILOVER_NONE);
    repl->failover = (repl_failover){.stage = REPL_FAILOVER_NONE};
    shoal_repl__listen(repl);
}

static void abort_it(shoal_repl *repl, const char *why)
{
    repl_failover *failover = &repl->failover;
    SHOAL_ASSERT(failover->stage != REPL_FAILOVER_NONE);
    SHOAL_ASSERT(why != NULL);
    if (failover->target.ip[0] != '\0') {
        shoal_repl__log(repl, REPL_NOTICE, "Aborting failover to %s:%u. %s", failover->target.ip,
                        (unsigned)failover->target.port, why);
    } else {
        shoal_repl__log(repl, REPL_NOTICE, "Aborting failover. %s", why);
    }
    bool turned = failover->stage == REPL_FAILOVER_TURN;
    shoal_repl__failover_over(repl);
    if (turned) shoal_repl_follow(repl, NULL);
    SHOAL_ASSERT(!shoal_repl__is_replica(repl));
}

void shoal_repl__failover_refused(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->failover.stage == REPL_FAILOVER_TURN);
    SHOAL_ASSERT(repl->master.state == REPL_LINK_PSYNC);
    abort_it(repl, "Failover target rejected psync request");
}

/* ---- steps ---- */

static bool is_target(const shoal_replica *replica, const shoal_address *target)
{
    SHOAL_ASSERT(target->ip[sizeof target->ip - 1] == '\0');
    SHOAL_ASSERT(replica->address.ip[sizeof replica->address.ip - 1] == '\0');
    return replica->listening_port == target->port &&
           shoal_text_equal(shoal_text(replica->address.ip), shoal_text(target->ip));
}

/* The target, or NULL. */
static const shoal_replica *find(const shoal_repl *repl, const shoal_address *target)
{
    SHOAL_ASSERT(target->ip[0] != '\0');
    const shoal_replica *each = repl->replicas;
    while (each != NULL && (each->state == SHOAL_REPLICA_GONE || !is_target(each, target)))
        each = each->next;
    return each;
}

/* One that has everything: the target, or any. */
static const shoal_replica *find_heir(const shoal_repl *repl)
{
    const repl_failover *failover = &repl->failover;
    uint64_t end = shoal_log_end(repl->log);
    SHOAL_ASSERT(failover->stage == REPL_FAILOVER_SYNC);
    SHOAL_ASSERT(repl->paused);
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        if (each->state != SHOAL_REPLICA_ONLINE) continue;
        if (failover->target.ip[0] != '\0' && !is_target(each, &failover->target)) continue;
        if (shoal_load_relaxed(&each->acknowledged) >= end) return each;
    }
    return NULL;
}

/* From here on the other one is the master, if it agrees. */
static void turn(shoal_repl *repl, const shoal_address *heir)
{
    SHOAL_ASSERT(!shoal_repl__is_replica(repl));
    SHOAL_ASSERT(repl->failover.stage == REPL_FAILOVER_SYNC);
    const shoal_address to = *heir;
    repl->failover.stage = REPL_FAILOVER_TURN;
    repl->failover.target = to;
    shoal_repl_follow(repl, &to);
    SHOAL_ASSERT(shoal_repl__is_replica(repl));
}

void shoal_repl__failover_step(shoal_repl *repl)
{
    repl_failover *failover = &repl->failover;
    if (failover->stage != REPL_FAILOVER_SYNC) return;
    bool late = repl->now.mono_us >= failover->until_us;
    SHOAL_ASSERT(!shoal_repl__is_replica(repl));
    SHOAL_ASSERT(!failover->force || failover->target.ip[0] != '\0');
    if (repl->paused && !failover->asked) {
        failover->asked = true;
        shoal_repl_ask(repl);
    }
    const shoal_replica *heir = repl->paused ? find_heir(repl) : NULL;
    if (heir != NULL) {
        shoal_address address = heir->address;
        address.port = heir->listening_port;
        shoal_repl__log(repl, REPL_NOTICE, "Failover target is synced, failing over.");
        turn(repl, &address);
    } else if (late && failover->force) {
        shoal_repl__log(repl, REPL_NOTICE, "Failover to %s:%u time out exceeded, failing over.",
                        failover->target.ip, (unsigned)failover->target.port);
        const shoal_address target = failover->target;
        turn(repl, &target);
    } else if (late) {
        abort_it(repl, "Replica never caught up before timeout");
    }
}

/* ---- the command ---- */

typedef struct failover_words {
    shoal_slice host;
    int64_t port, timeout_ms;
    bool to, timed, force, abort;
} failover_words;

/* False after writing an error. */
static bool read_words(const shoal_errand *errand, failover_words *out, shoal_reply *reply)
{
    const char *error = NULL;
    *out = (failover_words){0};
    SHOAL_ASSERT(errand->argc >= 1);
    for (uint32_t i = 1; i < errand->argc && error == NULL; i++) {
        shoal_slice word = errand->argv[i];
        bool more = i + 1 < errand->argc;
        if (shoal_text_is(word, "timeout") && more && !out->timed) {
            out->timed = true;
            if (!shoal_text_to_i64(errand->argv[++i], &out->timeout_ms)) {
                error = SHOAL_ERROR__INTEGER;
            } else if (out->timeout_ms <= 0) {
                error = "ERR FAILOVER timeout must be greater than 0";
            }
        } else if (shoal_text_is(word, "to") && i + 2 < errand->argc && !out->to) {
            out->to = true;
            out->host = errand->argv[i + 1];
            if (!shoal_text_to_i64(errand->argv[i + 2], &out->port)) error = SHOAL_ERROR__INTEGER;
            i += 2;
        } else if (shoal_text_is(word, "force") && !out->force) {
            out->force = true;
        } else if (shoal_text_is(word, "abort") && errand->argc == 2) {
            out->abort = true;
        } else {
            error = SHOAL_ERROR__SYNTAX;
        }
    }
    if (error != NULL) shoal_reply_error(reply, error);
    SHOAL_ASSERT(error != NULL || !out->timed || out->timeout_ms > 0);
    return error == NULL;
}

/* Why it cannot be, or NULL; sets the target. */
static const char *refusal(shoal_repl *repl, const failover_words *words, shoal_address *target)
{
    *target = (shoal_address){0};
    SHOAL_ASSERT(!words->abort);
    if (repl->failover.stage != REPL_FAILOVER_NONE) return "ERR FAILOVER already in progress.";
    if (shoal_repl__is_replica(repl)) return "ERR FAILOVER is not valid when server is a replica.";
    if (repl->replicas == NULL) return "ERR FAILOVER requires connected replicas.";
    if (words->force && (!words->timed || !words->to))
        return "ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
    if (!words->to) return NULL;
    if (words->host.size >= sizeof target->ip || words->port < 0 || words->port > 65535)
        return "ERR FAILOVER target HOST and PORT is not a replica.";
    memcpy(target->ip, words->host.data, words->host.size);
    target->port = (uint16_t)words->port;
    SHOAL_ASSERT(target->ip[sizeof target->ip - 1] == '\0');
    const shoal_replica *replica = target->ip[0] != '\0' ? find(repl, target) : NULL;
    if (replica == NULL) return "ERR FAILOVER target HOST and PORT is not a replica.";
    return replica->state == SHOAL_REPLICA_ONLINE ? NULL
                                                  : "ERR FAILOVER target replica is not online.";
}

void shoal_repl_failover(shoal_repl *repl, const shoal_errand *errand, shoal_reply *reply)
{
    failover_words words;
    shoal_address target;
    SHOAL_ASSERT(repl->log != NULL);
    if (!read_words(errand, &words, reply)) return;
    if (words.abort) {
        if (repl->failover.stage == REPL_FAILOVER_NONE) {
            shoal_reply_error(reply, "ERR No failover in progress.");
            return;
        }
        abort_it(repl, "Failover manually aborted");
        shoal_reply_ok(reply);
        return;
    }
    const char *error = refusal(repl, &words, &target);
    if (error != NULL) {
        shoal_reply_error(reply, error);
        return;
    }
    SHOAL_ASSERT(!shoal_repl__is_replica(repl) && repl->replicas != NULL);
    int64_t most_ms = (SHOAL_NEVER - repl->now.mono_us) / 1000;
    bool timed = words.timed && words.timeout_ms < most_ms;
    repl->failover = (repl_failover){.stage = REPL_FAILOVER_SYNC,
                                     .target = target,
                                     .force = words.force,
                                     .until_us = timed ? repl->now.mono_us + words.timeout_ms * 1000
                                                       : SHOAL_NEVER};
    shoal_repl__listen(repl);
    if (target.ip[0] != '\0') {
        shoal_repl__log(repl, REPL_NOTICE, "FAILOVER requested to %s:%u.", target.ip,
                        (unsigned)target.port);
    } else {
        shoal_repl__log(repl, REPL_NOTICE, "FAILOVER requested.");
    }
    shoal_reply_ok(reply);
}

/* ---- the other side ---- */

const char *shoal_repl__take_over(shoal_repl *repl, shoal_slice id)
{
    shoal_repl__log(repl, REPL_WARNING, "Failover request received for replid %.*s.", (int)id.size,
                    id.data);
    SHOAL_ASSERT(id.data != NULL || id.size == 0);
    if (!shoal_repl__is_replica(repl)) return "ERR PSYNC FAILOVER can't be sent to a master.";
    if (!shoal_text_equal_nocase(id, shoal_text(repl->id)))
        return "ERR PSYNC FAILOVER replid must match my replid.";
    /* The role that this node was giving away has come back. */
    if (repl->failover.stage != REPL_FAILOVER_NONE) shoal_repl__failover_over(repl);
    shoal_repl_follow(repl, NULL);
    SHOAL_ASSERT(!shoal_repl__is_replica(repl));
    shoal_repl__log(repl, REPL_NOTICE, "MASTER MODE enabled (failover request)");
    return NULL;
}
