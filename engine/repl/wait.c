/* SPDX-License-Identifier: MIT
 *
 * repl/wait.c - WAIT: an errand stays with the control actor until enough replicas have
 * acknowledged what its client wrote, or its time is over. Replicas are asked by a REPLCONF GETACK
 * in the stream, behind what they are to acknowledge.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/handlers.h"
#include "repl/internal.h"

/* Replicas that have acknowledged everything up to `offset`. */
static uint32_t acknowledged(const shoal_repl *repl, uint64_t offset)
{
    uint32_t count = 0;
    SHOAL_ASSERT(offset <= SHOAL_LOG_OFFSET_END);
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        if (each->state == SHOAL_REPLICA_ONLINE &&
            shoal_load_relaxed(&each->acknowledged) >= offset)
            count++;
    }
    SHOAL_ASSERT(count <= repl->serial);
    return count;
}

static void answer(repl_wait *wait, const shoal_repl *repl, const char *error)
{
    shoal_errand *errand = wait->errand;
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    SHOAL_ASSERT(errand != NULL && errand->argc == 3);
    SHOAL_ASSERT(wait->until_us >= 0);
    if (error != NULL) {
        shoal_reply_error(&reply, error);
    } else {
        shoal_reply_integer(&reply, (int64_t)acknowledged(repl, wait->offset));
    }
    shoal_errand_finish(errand);
    shoal_memory_give(&repl->allocator, wait, sizeof *wait, SHOAL_ALIGN_PLAIN);
}

void shoal_repl__listen(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->env != NULL);
    bool on = repl->waits != NULL || repl->gathers || repl->failover.stage == REPL_FAILOVER_SYNC;
    shoal_store_relaxed(&repl->env->acks_wanted, on ? 1u : 0u);
}

uint32_t shoal_repl_lagging(shoal_repl *repl, bool listens, bool tell)
{
    uint64_t end = shoal_log_end(repl->log);
    uint32_t count = 0, all = 0;
    SHOAL_ASSERT(repl->now.mono_us >= 0);
    repl->gathers = listens;
    shoal_repl__listen(repl);
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        if (each->state != SHOAL_REPLICA_ONLINE || each->ordered) continue;
        uint64_t has = shoal_load_relaxed(&each->acknowledged);
        all++;
        if (has >= end) continue;
        count++;
        if (!tell) continue;
        int64_t silent_us = repl->now.mono_us - shoal_load_relaxed(&each->heard_us);
        shoal_repl__log(repl, REPL_NOTICE,
                        "Lagging replica %s:%u reported offset %llu behind master, lag=%lld, "
                        "state=online.",
                        each->address.ip, (unsigned)each->listening_port,
                        (unsigned long long)(end - has), (long long)(silent_us / 1000000));
    }
    SHOAL_ASSERT(count <= all);
    if (tell && all > 0)
        shoal_repl__log(repl, REPL_NOTICE, "%u of %u replicas are in sync when shutting down.",
                        (unsigned)(all - count), (unsigned)all);
    return count;
}

/* Asks all replicas how far they are. */
void shoal_repl_ask(shoal_repl *repl)
{
    static const shoal_slice words = {"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n", 37};
    SHOAL_ASSERT(words.data[words.size] == '\0');
    /* The log of a replica is its master's, byte for byte; who reads it acknowledges unasked. */
    if (shoal_repl__is_replica(repl) || shoal_repl__count(repl, 0) == 0) return;
    SHOAL_ASSERT(repl->wants_log);
    (void)shoal_log_append(repl->log, repl->writer, SHOAL_LOG_DB_ANY, &words, 1);
    shoal_replica_rouse(repl->env, NULL);
}

void shoal_repl_wait(shoal_repl *repl, shoal_errand *errand, uint64_t logged)
{
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    int64_t replicas, timeout_ms;
    SHOAL_ASSERT(errand->argc == 3);
    uint64_t end = shoal_log_end(repl->log);
    /* What the client wrote before this node became a replica, and then a master again, stood in a
     * history that may have been longer. */
    if (logged > end) logged = end;
    if (shoal_repl__is_replica(repl)) {
        shoal_reply_error(&reply, "ERR WAIT cannot be used with replica instances. Please also "
                                  "note that since Redis 4.0 if a replica is configured to be "
                                  "writable (which is not the default) writes to replicas are "
                                  "just local and are not propagated.");
    } else if (!shoal_text_to_i64(errand->argv[1], &replicas)) {
        shoal_reply_error(&reply, SHOAL_ERROR__INTEGER);
    } else if (!shoal_text_to_i64(errand->argv[2], &timeout_ms)) {
        shoal_reply_error(&reply, "ERR timeout is not an integer or out of range");
    } else if (timeout_ms < 0) {
        shoal_reply_error(&reply, "ERR timeout is negative");
    } else if ((int64_t)acknowledged(repl, logged) >= replicas) {
        shoal_reply_integer(&reply, (int64_t)acknowledged(repl, logged));
    } else {
        repl_wait *wait = shoal_memory_take(&repl->allocator, sizeof *wait, SHOAL_ALIGN_PLAIN);
        if (wait != NULL) {
            int64_t most_ms = (INT64_MAX - repl->now.mono_us) / 1000;
            bool ever = timeout_ms == 0 || timeout_ms >= most_ms;
            *wait =
                (repl_wait){.next = repl->waits,
                            .errand = errand,
                            .offset = logged,
                            .replicas = replicas > UINT32_MAX ? UINT32_MAX : (uint32_t)replicas,
                            .until_us = ever ? SHOAL_NEVER : repl->now.mono_us + timeout_ms * 1000};
            SHOAL_ASSERT(wait->replicas > 0 && wait->until_us > repl->now.mono_us);
            repl->waits = wait;
            shoal_repl__listen(repl);
            shoal_repl_ask(repl);
            return;
        }
        shoal_reply_error(&reply, SHOAL_ERROR__MEMORY);
    }
    shoal_errand_finish(errand);
}

void shoal_repl__waits_step(shoal_repl *repl)
{
    if (repl->waits == NULL) return;
    SHOAL_ASSERT(!shoal_repl__is_replica(repl));
    for (repl_wait **at = &repl->waits; *at != NULL;) {
        repl_wait *wait = *at;
        SHOAL_ASSERT(wait->errand != NULL);
        bool over = wait->until_us <= repl->now.mono_us ||
                    acknowledged(repl, wait->offset) >= wait->replicas;
        if (!over) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        answer(wait, repl, NULL);
    }
    shoal_repl__listen(repl);
}

void shoal_repl__waits_end(shoal_repl *repl, const char *error)
{
    SHOAL_ASSERT(error != NULL);
    while (repl->waits != NULL) {
        repl_wait *wait = repl->waits;
        repl->waits = wait->next;
        answer(wait, repl, error);
    }
    SHOAL_ASSERT(repl->waits == NULL);
    shoal_repl__listen(repl);
}

void shoal_repl_abandon(shoal_repl *repl)
{
    shoal_repl__waits_end(repl, "ERR the server ends");
    SHOAL_ASSERT(repl->waits == NULL);
    shoal_repl__turn_away(repl, "ERR the server ends");
}
