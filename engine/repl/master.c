/* SPDX-License-Identifier: MIT
 *
 * repl/master.c - replicas of this node: who may go on where it stopped, who needs a snapshot, who
 * must go. What they are sent, their workers send (command/replica.h).
 */
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/handlers.h"
#include "repl/internal.h"

void shoal_repl__name(const shoal_replica *replica, shoal_buffer *out)
{
    SHOAL_ASSERT(replica->address.ip[sizeof replica->address.ip - 1] == '\0');
    SHOAL_ASSERT(out->allocator != NULL);
    uint16_t port = replica->listening_port != 0 ? replica->listening_port : replica->address.port;
    shoal_text_appendf(out, "%s:%u", replica->address.ip, (unsigned)port);
    shoal_buffer_append(out, (shoal_slice){"", 1});
}

/* Logs a line with the replica's name where the format has its one %s. */
static void log_about(const shoal_repl *repl, const shoal_replica *replica, const char *before,
                      const char *behind)
{
    SHOAL_ASSERT(before != NULL && behind != NULL);
    SHOAL_ASSERT(replica->owner == repl);
    shoal_buffer name = shoal_buffer_make(&repl->allocator);
    shoal_repl__name(replica, &name);
    shoal_repl__log(repl, REPL_NOTICE, "%s%s%s", before, name.failed ? "?" : name.data, behind);
    shoal_buffer_free(&name);
}

/* ---- the list ---- */

void shoal_repl__forget(shoal_repl *repl, shoal_replica *replica)
{
    SHOAL_ASSERT(replica->owner == repl);
    SHOAL_ASSERT(replica->previous != NULL ? replica->previous->next == replica
                                           : repl->replicas == replica);
    SHOAL_ASSERT(replica->next == NULL || replica->next->previous == replica);
    *(replica->previous != NULL ? &replica->previous->next : &repl->replicas) = replica->next;
    if (replica->next != NULL) replica->next->previous = replica->previous;
    replica->next = replica->previous = NULL;
    if (replica->reads) shoal_log_reader_close(repl->log, &replica->reader);
    replica->reads = false;
}

void shoal_repl__free_if_over(shoal_repl *repl, shoal_replica *replica)
{
    if (replica->state != SHOAL_REPLICA_GONE) return;
    if (replica->parts > 0 || replica->reads_under_way > 0 || replica->order_out) return;
    SHOAL_ASSERT(replica->session == NULL && replica->errand == NULL);
    SHOAL_ASSERT(!replica->reads);
    shoal_repl__forget(repl, replica);
    shoal_replica_free(repl->env, replica);
    shoal_repl__sync_release(repl);
}

static void order_back(shoal_replica *replica)
{
    SHOAL_ASSERT(replica->owner != NULL);
    SHOAL_ASSERT(replica->ordered && !replica->order_out);
    shoal_repl__free_if_over(replica->owner, replica);
}

/* Its connection has been closed. */
static void is_gone(shoal_replica *replica)
{
    shoal_repl *repl = replica->owner;
    SHOAL_ASSERT(replica->state == SHOAL_REPLICA_LOADING || replica->state == SHOAL_REPLICA_ONLINE);
    SHOAL_ASSERT(replica->session == NULL);
    log_about(repl, replica, "Connection with replica ", " lost.");
    replica->state = SHOAL_REPLICA_GONE;
    if (replica->reads) shoal_log_reader_close(repl->log, &replica->reader);
    replica->reads = false;
    shoal_repl__free_if_over(repl, replica);
}

void shoal_repl__part_back(shoal_replica *replica, shoal_replica_part *part)
{
    shoal_repl *repl = replica->owner;
    SHOAL_ASSERT(part->replica == replica);
    SHOAL_ASSERT(part->memory == sizeof *part + part->size);
    shoal_memory_give(&repl->allocator, part, part->memory, SHOAL_ALIGN_PLAIN);
    if (replica->state == SHOAL_REPLICA_LOADING) shoal_repl__send_parts(repl, replica);
    shoal_repl__free_if_over(repl, replica);
}

static void remember(shoal_repl *repl, shoal_replica *replica)
{
    SHOAL_ASSERT(replica->state == SHOAL_REPLICA_NEW && replica->errand == NULL);
    SHOAL_ASSERT(!replica->reads && replica->parts == 0);
    replica->owner = repl;
    replica->serial = ++repl->serial;
    replica->gone = is_gone;
    replica->order_back = order_back;
    replica->part_back = shoal_repl__part_back;
    replica->next = replica->previous = NULL;
    shoal_replica *last = repl->replicas;
    while (last != NULL && last->next != NULL) last = last->next;
    SHOAL_ASSERT(last == NULL || last->serial < replica->serial);
    replica->previous = last;
    *(last != NULL ? &last->next : &repl->replicas) = replica;
}

bool shoal_repl__open_reader(shoal_repl *repl, shoal_replica *replica, uint64_t from)
{
    SHOAL_ASSERT(!replica->reads);
    SHOAL_ASSERT(from < SHOAL_LOG_OFFSET_END);
    if (shoal_log_torn(repl->log)) return false;
    replica->reads = shoal_log_reader_open(repl->log, &replica->reader, from);
    if (replica->reads) shoal_store_relaxed(&replica->sent, from);
    replica->from = from;
    return replica->reads;
}

void shoal_repl__accept(shoal_repl *repl, shoal_replica *replica, shoal_replica_state state)
{
    shoal_errand *errand = replica->errand;
    SHOAL_ASSERT(errand != NULL && errand->replica == replica && replica->reads);
    SHOAL_ASSERT(state == SHOAL_REPLICA_LOADING || state == SHOAL_REPLICA_ONLINE);
    SHOAL_ASSERT(repl->wants_log);
    replica->state = state;
    replica->since_us = repl->now.mono_us;
    /* It has just asked, though its worker has not yet heard the answer. */
    shoal_store_relaxed(&replica->heard_us, repl->now.mono_us);
    replica->errand = NULL;
    /* Its worker touches it only when the errand is home. */
    replica->streams = state == SHOAL_REPLICA_ONLINE;
    errand->attach = true;
    shoal_errand_finish(errand);
}

/* ---- PSYNC ---- */

static const char *why_text(shoal_repl_why why)
{
    SHOAL_ASSERT(why > SHOAL_REPL_WHY_NONE && why < SHOAL_REPL_WHY_FROM_MASTER);
    static const char *const texts[] = {
        [SHOAL_REPL_WHY_NO_HISTORY] = "it has no history",
        [SHOAL_REPL_WHY_OTHER_HISTORY] = "its history is another one than ours",
        [SHOAL_REPL_WHY_FORKED] = "it has gone on with a history that ended here before",
        [SHOAL_REPL_WHY_NO_BACKLOG] = "no backlog was kept",
        [SHOAL_REPL_WHY_BACKLOG_SHORT] = "the backlog does not reach back so far",
        [SHOAL_REPL_WHY_AHEAD] = "it is ahead of us",
        [SHOAL_REPL_WHY_LOST_EFFECTS] = "the backlog has lost effects",
        [SHOAL_REPL_WHY_BY_SYNC] = "it asked with SYNC",
    };
    SHOAL_ASSERT(texts[why] != NULL);
    return texts[why];
}

/* Why the log has not what the replica lacks; NONE when it has. */
static shoal_repl_why partial_refusal(const shoal_repl *repl, shoal_slice id, uint64_t number)
{
    SHOAL_ASSERT(repl->id[SHOAL_REPL_ID_LEN] == '\0' && repl->id2[SHOAL_REPL_ID_LEN] == '\0');
    SHOAL_ASSERT(number > 0);
    bool present = shoal_text_equal_nocase(id, shoal_text(repl->id));
    bool former = repl->second_offset != 0 && shoal_text_equal_nocase(id, shoal_text(repl->id2));
    if (SHOAL_MUTANT(OFFSET_ACROSS)) present = true;
    if (!present && !former) {
        return id.size == 1 && id.data[0] == '?' ? SHOAL_REPL_WHY_NO_HISTORY
                                                 : SHOAL_REPL_WHY_OTHER_HISTORY;
    }
    if (!present && number > repl->second_offset && !SHOAL_MUTANT(FORK_IGNORED))
        return SHOAL_REPL_WHY_FORKED;
    if (!repl->wants_log) return SHOAL_REPL_WHY_NO_BACKLOG;
    if (number < shoal_repl__backlog_first(repl) + 1) return SHOAL_REPL_WHY_BACKLOG_SHORT;
    if (number > shoal_log_end(repl->log) + 1) return SHOAL_REPL_WHY_AHEAD;
    return SHOAL_REPL_WHY_NONE;
}

/* Logs that the replica gets everything, and tells core: who asked for what, and what there is. The
 * numbers stand first, because what is kept of it may be cut. */
static void tell_full(shoal_repl *repl, const shoal_replica *replica, shoal_repl_why why)
{
    const shoal_errand *errand = replica->errand;
    bool has_id = errand->argc >= 3 && shoal_repl__is_id(errand->argv[1]);
    shoal_slice id = has_id ? errand->argv[1] : shoal_text("?");
    shoal_slice number = errand->argc >= 3 ? errand->argv[2] : shoal_text("-1");
    shoal_buffer name = shoal_buffer_make(&repl->allocator);
    shoal_buffer detail = shoal_buffer_make(&repl->allocator);
    SHOAL_ASSERT(!replica->reads && replica->owner == repl);
    shoal_repl__name(replica, &name);
    const char *who = name.failed ? "?" : name.data;
    shoal_repl__log(repl, REPL_NOTICE, "Full resync of replica %s: %s (it asked for %.*s %.*s)",
                    who, why_text(why), (int)id.size, id.data, (int)number.size, number.data);
    unsigned long long first = shoal_repl__backlog_first(repl), end = shoal_log_end(repl->log);
    shoal_text_appendf(&detail, "%s asks from %.*s, here are %llu to %llu; %.*s, here %s", who,
                       (int)number.size, number.data, repl->wants_log ? first + 1 : end + 1, end,
                       (int)id.size, id.data, repl->id);
    SHOAL_ASSERT(first <= end);
    repl->face.full(repl->face.context, why, shoal_buffer_slice(&detail));
    shoal_buffer_free(&detail);
    shoal_buffer_free(&name);
}

/* True when it goes on where it stopped. */
static bool try_partial(shoal_repl *repl, shoal_replica *replica, shoal_errand *errand)
{
    SHOAL_ASSERT(errand->argc >= 3 && !replica->plain);
    SHOAL_ASSERT(replica->state == SHOAL_REPLICA_NEW);
    shoal_slice id = errand->argv[1];
    uint64_t number = 0;
    bool numbered = shoal_text_to_u64(errand->argv[2], &number) && number > 0;
    shoal_repl_why why = numbered ? partial_refusal(repl, id, number) : SHOAL_REPL_WHY_NO_HISTORY;
    if (why == SHOAL_REPL_WHY_NONE && !shoal_repl__open_reader(repl, replica, number - 1))
        why = SHOAL_REPL_WHY_LOST_EFFECTS;
    if (why != SHOAL_REPL_WHY_NONE) {
        if (id.size != 1 || id.data[0] != '?') repl->partial_refused++;
        tell_full(repl, replica, why);
        return false;
    }
    bool two = (replica->capabilities & SHOAL_CAPA_PSYNC2) != 0;
    shoal_text_appendf(&errand->reply, two ? "+CONTINUE %s\r\n" : "+CONTINUE\r\n", repl->id);
    repl->partial_syncs++;
    repl->lonely_us = 0;
    log_about(repl, replica, "Partial resynchronization request from ", " accepted.");
    shoal_repl__accept(repl, replica, SHOAL_REPLICA_ONLINE);
    return true;
}

void shoal_repl_psync(shoal_repl *repl, shoal_errand *errand)
{
    shoal_replica *replica = errand->replica;
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    SHOAL_ASSERT(repl->log != NULL && errand->argc >= 1);
    SHOAL_ASSERT(replica == NULL || replica->errand == NULL);
    if (replica == NULL || replica->state != SHOAL_REPLICA_NEW) {
        shoal_reply_error(&reply, replica == NULL ? SHOAL_ERROR__MEMORY
                                                  : "ERR this connection is a replica's already");
        shoal_errand_finish(errand);
        return;
    }
    const char *refusal = NULL;
    int64_t number;
    if (errand->argc >= 3 && !shoal_text_to_i64(errand->argv[2], &number)) {
        replica->owner = repl;
        log_about(repl, replica, "Replica ", " asks for synchronization but with a wrong offset");
        replica->owner = NULL;
        refusal = SHOAL_ERROR__INTEGER;
    } else if (errand->argc > 3 && shoal_text_is(errand->argv[3], "failover")) {
        refusal = shoal_repl__take_over(repl, errand->argv[1]);
    }
    if (refusal != NULL) {
        shoal_reply_error(&reply, refusal);
        shoal_errand_finish(errand);
        return;
    }
    if (shoal_repl__is_replica(repl) && repl->master.state != REPL_LINK_ONLINE) {
        shoal_reply_error(&reply, SHOAL_REPL_NO_MASTER_LINK);
        shoal_errand_finish(errand);
        return;
    }
    remember(repl, replica);
    replica->errand = errand;
    log_about(repl, replica, "Replica ", " asks for synchronization");
    replica->plain = errand->argc < 3;
    if (replica->plain) {
        tell_full(repl, replica, SHOAL_REPL_WHY_BY_SYNC);
    } else if (try_partial(repl, replica, errand)) {
        return;
    }
    replica->state = SHOAL_REPLICA_ASKING;
    replica->since_us = repl->now.mono_us;
    shoal_repl__ask_snapshot(repl, replica);
}

void shoal_repl__turn_away(shoal_repl *repl, const char *error)
{
    SHOAL_ASSERT(error != NULL);
    for (shoal_replica *each = repl->replicas, *next; each != NULL; each = next) {
        next = each->next;
        if (each->state != SHOAL_REPLICA_ASKING) continue;
        shoal_errand *errand = each->errand;
        shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
        SHOAL_ASSERT(!each->reads && each->parts == 0 && each->reads_under_way == 0);
        each->errand = NULL;
        /* From here on it is its worker's again. */
        each->state = SHOAL_REPLICA_NEW;
        shoal_repl__forget(repl, each);
        shoal_reply_error(&reply, error);
        shoal_errand_finish(errand);
    }
}

/* ---- timers ---- */

void shoal_repl__dismiss_all(shoal_repl *repl, const char *why)
{
    SHOAL_ASSERT(why != NULL && why[0] != '\0');
    for (shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        if (each->ordered || each->state == SHOAL_REPLICA_GONE) continue;
        if (each->state == SHOAL_REPLICA_ASKING) continue;
        log_about(repl, each, "Sending away replica ", "");
        shoal_repl__log(repl, REPL_NOTICE, "because %s", why);
        shoal_replica_dismiss(repl->env, each);
        SHOAL_ASSERT(each->ordered);
    }
}

uint32_t shoal_repl__count(const shoal_repl *repl, int64_t lag_us)
{
    uint32_t count = 0;
    SHOAL_ASSERT(lag_us >= 0);
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        if (each->state != SHOAL_REPLICA_ONLINE) continue;
        int64_t silent = repl->now.mono_us - shoal_load_relaxed(&each->heard_us);
        if (lag_us == 0 || silent <= lag_us) count++;
    }
    SHOAL_ASSERT(count <= repl->serial);
    return count;
}

bool shoal_repl_is_alone(const shoal_repl *repl)
{
    SHOAL_ASSERT(repl->log != NULL);
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next)
        if (each->reads) return false;
    return true;
}

static void ping(shoal_repl *repl)
{
    static const shoal_slice words = {"*1\r\n$4\r\nPING\r\n", 14};
    SHOAL_ASSERT(!shoal_repl__is_replica(repl));
    SHOAL_ASSERT(repl->pinged_us <= repl->now.mono_us);
    if (repl->paused || repl->now.mono_us - repl->pinged_us < repl->settings.ping_period_us) return;
    repl->pinged_us = repl->now.mono_us;
    if (shoal_repl__count(repl, 0) == 0) return;
    (void)shoal_log_append(repl->log, repl->writer, SHOAL_LOG_DB_ANY, &words, 1);
    shoal_replica_rouse(repl->env, NULL);
}

uint64_t shoal_repl__unsent(const shoal_repl *repl, const shoal_replica *replica)
{
    SHOAL_ASSERT(replica->owner == repl);
    /* Its worker may have handed out what the log has grown by since its end was looked at. */
    uint64_t sent = shoal_load_relaxed(&replica->sent), end = shoal_log_end(repl->log);
    SHOAL_ASSERT(end <= SHOAL_LOG_OFFSET_END);
    /* A snapshot that the host still holds is no output that the replica failed to take: Redis does
     * not count it either, and counted, a large one would be cut off again and again. */
    uint64_t held = shoal_load_relaxed(&replica->unsent);
    uint64_t streamed = sent > replica->from ? sent - replica->from : 0;
    if (held > streamed) held = streamed;
    return (sent < end ? end - sent : 0) + held;
}

/* Sends it away when it is silent, or takes too little. */
static void check(shoal_repl *repl, shoal_replica *replica)
{
    SHOAL_ASSERT(replica->owner == repl);
    if (replica->ordered || replica->state < SHOAL_REPLICA_LOADING ||
        replica->state == SHOAL_REPLICA_GONE)
        return;
    const shoal_repl_settings *settings = &repl->settings;
    int64_t now = repl->now.mono_us;
    if (replica->state == SHOAL_REPLICA_ONLINE &&
        now - shoal_load_relaxed(&replica->heard_us) > settings->timeout_us) {
        log_about(repl, replica, "Disconnecting timedout replica (streaming sync): ", "");
        shoal_replica_dismiss(repl->env, replica);
        return;
    }
    uint64_t waits = shoal_repl__unsent(repl, replica);
    SHOAL_ASSERT(replica->over_us <= now);
    if (settings->output_soft == 0 || waits <= settings->output_soft) {
        replica->over_us = 0;
    } else if (replica->over_us == 0) {
        replica->over_us = now;
    }
    bool hard = settings->output_hard != 0 && waits > settings->output_hard;
    bool soft = replica->over_us != 0 && now - replica->over_us > settings->output_soft_us;
    if (!hard && !soft) return;
    log_about(repl, replica, "Replica ",
              " scheduled to be closed ASAP for overcoming of output buffer limits.");
    shoal_replica_dismiss(repl->env, replica);
}

void shoal_repl__judge_replicas(shoal_repl *repl)
{
    const shoal_repl_settings *settings = &repl->settings;
    SHOAL_ASSERT(repl->env != NULL);
    SHOAL_ASSERT(settings->min_lag_us >= 0);
    /* As Redis: either of the two at 0 turns it off. */
    bool enough = settings->min_replicas == 0 || settings->min_lag_us == 0 ||
                  shoal_repl__is_replica(repl) ||
                  shoal_repl__count(repl, settings->min_lag_us) >= settings->min_replicas;
    shoal_env_refuse(repl->env, SHOAL_REFUSES_FEW_REPLICAS, !enough);
}

void shoal_repl__master_cron(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->settings.backlog_size > 0);
    if (!shoal_repl__is_replica(repl)) ping(repl);
    for (shoal_replica *each = repl->replicas; each != NULL; each = each->next) check(repl, each);
    uint64_t backlog = repl->wants_log ? repl->settings.backlog_size : 0;
    (void)shoal_log_trim(repl->log, backlog);
    SHOAL_ASSERT(shoal_log_first(repl->log) <= shoal_log_end(repl->log));
    shoal_repl__judge_replicas(repl);
}
