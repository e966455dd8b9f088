/* SPDX-License-Identifier: MIT
 *
 * repl/repl.c - the life of replication: settings, histories and their ids, who follows whom, and
 * the order of things in a step.
 */
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "repl/internal.h"

void shoal_repl__log(const shoal_repl *repl, int level, const char *format, ...)
{
    SHOAL_ASSERT(level >= REPL_DEBUG && level <= REPL_WARNING);
    SHOAL_ASSERT(format != NULL);
    shoal_buffer text = shoal_buffer_make(&repl->allocator);
    va_list arguments;
    va_start(arguments, format);
    shoal_text_vappendf(&text, format, arguments);
    va_end(arguments);
    shoal_trace_record record = {.kind = SHOAL_TRACE_LOG,
                                 .a = (uint64_t)level,
                                 .text = shoal_buffer_slice(&text)};
    repl->host->trace(repl->host->context, &record);
    shoal_buffer_free(&text);
}

/* ---- histories ---- */

bool shoal_repl__is_id(shoal_slice text)
{
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    size_t good = 0;
    while (good < text.size && text.data[good] > ' ' && text.data[good] <= '~') good++;
    SHOAL_ASSERT(good <= text.size);
    return text.size == SHOAL_REPL_ID_LEN && good == text.size;
}

static void draw_id(shoal_repl *repl, char id[SHOAL_REPL_ID_LEN + 1])
{
    _Static_assert(SHOAL_REPL_ID_LEN % 2 == 0, "two characters are a byte");
    unsigned char bytes[SHOAL_REPL_ID_LEN / 2];
    shoal_prng_fill(&repl->ids, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        id[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        id[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    id[SHOAL_REPL_ID_LEN] = '\0';
    SHOAL_DEBUG_ASSERT(shoal_repl__is_id(shoal_text(id)));
}

void shoal_repl__new_history(shoal_repl *repl, bool remember)
{
    SHOAL_ASSERT(!remember || repl->id[0] != '\0');
    memset(repl->id2, '0', SHOAL_REPL_ID_LEN);
    repl->id2[SHOAL_REPL_ID_LEN] = '\0';
    repl->second_offset = 0;
    if (remember) {
        memcpy(repl->id2, repl->id, sizeof repl->id2);
        repl->second_offset = shoal_log_end(repl->log) + 1;
    }
    draw_id(repl, repl->id);
    SHOAL_ASSERT((repl->second_offset != 0) == remember);
    SHOAL_ASSERT(memcmp(repl->id, repl->id2, SHOAL_REPL_ID_LEN) != 0);
    if (!remember) return;
    shoal_repl__log(repl, REPL_NOTICE,
                    "Setting secondary replication ID to %s, valid up to offset: %llu. New "
                    "replication ID is %s",
                    repl->id2, (unsigned long long)repl->second_offset, repl->id);
}

void shoal_repl_restore(shoal_repl *repl, shoal_slice id, uint64_t offset, bool as_replica)
{
    SHOAL_ASSERT(repl->replicas == NULL && repl->master.state == REPL_LINK_NONE);
    SHOAL_ASSERT(repl->sync.stage == REPL_SYNC_NONE);
    if (!shoal_repl__is_id(id) || offset >= SHOAL_LOG_OFFSET_END || repl->wants_log) return;
    shoal_log_restart(repl->log, offset, false);
    shoal_repl__want_log(repl);
    if (shoal_log_torn(repl->log)) return;
    SHOAL_ASSERT(shoal_log_end(repl->log) == offset);
    memcpy(repl->id, id.data, SHOAL_REPL_ID_LEN);
    repl->synced = true;
    repl->restored = as_replica;
    if (!as_replica) shoal_repl__new_history(repl, true);
}

/* Bytes of the stream that are there for whoever comes. */
static uint64_t backlog_size(const shoal_repl *repl)
{
    uint64_t size = repl->settings.backlog_size;
    return size < REPL_BACKLOG_MIN ? REPL_BACKLOG_MIN : size;
}

uint64_t shoal_repl__backlog_first(const shoal_repl *repl)
{
    uint64_t end = shoal_log_end(repl->log), first = shoal_log_first(repl->log);
    uint64_t size = backlog_size(repl);
    SHOAL_ASSERT(first <= end);
    SHOAL_ASSERT(end <= SHOAL_LOG_OFFSET_END);
    uint64_t low = end > size ? end - size : 0;
    /* What the slowest replica has not taken is there for all. */
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        uint64_t at = each->reads ? shoal_log_at(&each->reader) : low;
        if (at < low) low = at;
    }
    return low > first ? low : first;
}

void shoal_repl__want_log(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->log != NULL);
    repl->lonely_us = 0;
    if (repl->wants_log) return;
    repl->wants_log = true;
    shoal_log_want(repl->log, 1);
    SHOAL_ASSERT(shoal_log_wanted(repl->log));
}

/* ---- making ---- */

shoal_err shoal_repl_create(const shoal_repl_options *options, shoal_repl **out)
{
    const shoal_repl_face *face = &options->face;
    SHOAL_ASSERT(options->env->log != NULL && options->host != NULL);
    SHOAL_ASSERT(face->snapshot_start != NULL && face->snapshot_stop != NULL);
    SHOAL_ASSERT(face->load != NULL && face->apply != NULL && face->apply_reset != NULL);
    SHOAL_ASSERT(face->changed != NULL && face->full != NULL);
    SHOAL_ASSERT(options->snapshot_file != options->sync_file);
    shoal_repl *repl =
        shoal_memory_take_zeroed(&options->allocator, sizeof *repl, SHOAL_ALIGN_PLAIN);
    if (repl == NULL) return SHOAL_ERR_NO_MEMORY;
    repl->allocator = options->allocator;
    repl->host = options->host;
    repl->env = options->env;
    repl->log = options->env->log;
    repl->writer = options->writer;
    repl->snapshot_file = options->snapshot_file;
    repl->sync_file = options->sync_file;
    repl->face = options->face;
    repl->now = options->now;
    repl->cron_us = options->now.mono_us + REPL_CRON_US;
    repl->announce_ip = shoal_buffer_make(&repl->allocator);
    repl->master_user = shoal_buffer_make(&repl->allocator);
    repl->master_auth = shoal_buffer_make(&repl->allocator);
    repl->master.input = shoal_buffer_make(&repl->allocator);
    repl->ids = shoal_prng_make(options->seed, 0, REPL_RANDOM_ID);
    repl->marks = shoal_prng_make(options->seed, 0, REPL_RANDOM_MARK);
    shoal_repl__new_history(repl, false);
    *out = repl;
    return SHOAL_ERR_OK;
}

void shoal_repl_destroy(shoal_repl *repl)
{
    const shoal_allocator allocator = repl->allocator;
    SHOAL_ASSERT(repl->waits == NULL);
    while (repl->replicas != NULL) {
        shoal_replica *replica = repl->replicas;
        repl->replicas = replica->next;
        if (replica->reads) shoal_log_reader_close(repl->log, &replica->reader);
        replica->reads = false;
        SHOAL_ASSERT(replica->session == NULL);
        SHOAL_ASSERT(replica->errand == NULL);
        shoal_replica_free(repl->env, replica);
    }
    shoal_buffer_free(&repl->announce_ip);
    shoal_buffer_free(&repl->master_user);
    shoal_buffer_free(&repl->master_auth);
    shoal_buffer_free(&repl->master.input);
    shoal_memory_give(&allocator, repl, sizeof *repl, SHOAL_ALIGN_PLAIN);
}

static void keep_text(shoal_buffer *kept, shoal_slice text)
{
    SHOAL_DEBUG_ASSERT(kept->allocator != NULL);
    shoal_buffer_consume(kept, shoal_buffer_size(kept));
    shoal_buffer_append(kept, text);
    SHOAL_ASSERT(kept->failed || shoal_buffer_size(kept) == text.size);
}

void shoal_repl_set(shoal_repl *repl, const shoal_repl_settings *settings)
{
    SHOAL_ASSERT(settings->ping_period_us > 0 && settings->timeout_us > 0);
    SHOAL_ASSERT(settings->backlog_size > 0 && settings->backlog_ttl_us >= 0);
    SHOAL_ASSERT(settings->full_delay_us >= 0 && settings->output_soft_us >= 0);
    SHOAL_ASSERT(settings->min_lag_us >= 0);
    repl->settings = *settings;
    keep_text(&repl->announce_ip, settings->announce_ip);
    keep_text(&repl->master_user, settings->master_user);
    keep_text(&repl->master_auth, settings->master_auth);
    repl->settings.announce_ip = shoal_buffer_slice(&repl->announce_ip);
    repl->settings.master_user = shoal_buffer_slice(&repl->master_user);
    repl->settings.master_auth = shoal_buffer_slice(&repl->master_auth);
    shoal_repl__judge_replicas(repl);
    repl->face.changed(repl->face.context);
}

/* ---- roles ---- */

bool shoal_repl__is_replica(const shoal_repl *repl)
{
    SHOAL_DEBUG_ASSERT(repl->master.state <= REPL_LINK_ONLINE);
    return repl->master.state != REPL_LINK_NONE;
}

const shoal_address *shoal_repl_following(const shoal_repl *repl)
{
    const shoal_address *master = &repl->master.address;
    SHOAL_ASSERT(repl->master.state <= REPL_LINK_ONLINE);
    SHOAL_ASSERT(master->ip[sizeof master->ip - 1] == '\0');
    return shoal_repl__is_replica(repl) ? master : NULL;
}

static bool same_address(const shoal_address *a, const shoal_address *b)
{
    SHOAL_ASSERT(a->ip[sizeof a->ip - 1] == '\0');
    SHOAL_ASSERT(b->ip[sizeof b->ip - 1] == '\0');
    return a->port == b->port && shoal_text_equal(shoal_text(a->ip), shoal_text(b->ip));
}

void shoal_repl_follow(shoal_repl *repl, const shoal_address *master)
{
    bool was_replica = shoal_repl__is_replica(repl);
    SHOAL_ASSERT(!was_replica || repl->wants_log);
    bool was_lost = repl->master.lost;
    repl->master.lost = false;
    if (master == NULL) {
        /* A master that comes back from a file may have lost the end of its history, which its
         * replicas have: what it writes now belongs to another one. */
        if (!was_replica && repl->restored) shoal_repl__new_history(repl, true);
        repl->restored = false;
        if (!was_replica) return;
        shoal_repl__unlink(repl);
        SHOAL_ASSERT(!shoal_repl__is_replica(repl));
        SHOAL_ASSERT(repl->failover.stage == REPL_FAILOVER_NONE);
        /* Its replicas, and those of its master, share the history that ends here. */
        shoal_repl__new_history(repl, repl->synced);
        shoal_log_forget_database(repl->log);
        /* They are told the new id when they come again, and go on from where they are. */
        shoal_repl__dismiss_all(repl, "the id of the history has changed");
        repl->face.changed(repl->face.context);
        return;
    }
    if (was_replica && same_address(&repl->master.address, master)) {
        /* Somebody may only not have heard yet who is there now. */
        if (was_lost && repl->master.state == REPL_LINK_RETRY)
            repl->master.since_us = repl->now.mono_us;
        return;
    }
    if (was_replica) shoal_repl__unlink(repl);
    SHOAL_ASSERT(repl->failover.stage != REPL_FAILOVER_SYNC);
    /* What a master wrote is a history that another may know, if it was kept. */
    if (!was_replica) repl->synced = repl->wants_log && !shoal_log_torn(repl->log);
    /* A master's own data are as new as can be; those of a file are of nobody knows when. */
    if (!was_replica) repl->fresh = repl->synced && !repl->restored;
    repl->restored = false;
    shoal_repl__waits_end(repl, "UNBLOCKED force unblock from blocking operation, instance state "
                                "changed (master -> replica?)");
    repl->master.address = *master;
    repl->master.down_us = repl->now.mono_us;
    shoal_repl__want_log(repl);
    shoal_repl__link_enter(repl, REPL_LINK_RETRY);
    repl->master.since_us = 0; /* at once */
    repl->cron_us = repl->now.mono_us;
    repl->face.changed(repl->face.context);
}

void shoal_repl_lose_master(shoal_repl *repl)
{
    repl_link_state state = repl->master.state;
    SHOAL_ASSERT(repl->now.mono_us >= 0);
    SHOAL_ASSERT(repl->failover.stage != REPL_FAILOVER_SYNC || !shoal_repl__is_replica(repl));
    if (!shoal_repl__is_replica(repl) || repl->master.lost) return;
    repl->master.lost = true;
    shoal_repl__log(repl, REPL_WARNING,
                    "Nobody knows where the master is: whoever is at its last address is asked for "
                    "nothing");
    if (state > REPL_LINK_RETRY && state < REPL_LINK_LOADING)
        shoal_repl__retry(repl, "it may lead to another node");
}

void shoal_repl_hurry(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->log != NULL);
    SHOAL_ASSERT(repl->cron_us <= repl->now.mono_us + REPL_CRON_US);
    repl->cron_us = repl->now.mono_us;
}

bool shoal_repl_clear(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->log != NULL);
    shoal_repl__dismiss_all(repl, "the log of effects has lost some for want of memory");
    return shoal_repl_is_alone(repl);
}

void shoal_repl_begin_anew(shoal_repl *repl)
{
    SHOAL_ASSERT(shoal_log_committed(repl->log) == shoal_log_end(repl->log));
    SHOAL_ASSERT(shoal_repl_is_alone(repl));
    shoal_log_restart(repl->log, shoal_log_end(repl->log), false);
    repl->synced = false;
    if (!shoal_repl__is_replica(repl)) shoal_repl__new_history(repl, false);
}

/* ---- steps ---- */

bool shoal_repl_event(shoal_repl *repl, const shoal_event *event)
{
    SHOAL_ASSERT(event->now.mono_us >= repl->now.mono_us);
    SHOAL_ASSERT(event->data.data != NULL || event->data.size == 0);
    repl->now = event->now;
    switch (event->kind) {
    case SHOAL_EVENT_LINK_UP:
    case SHOAL_EVENT_LINK_DATA:
    case SHOAL_EVENT_LINK_FULL:
    case SHOAL_EVENT_LINK_ROOM:
    case SHOAL_EVENT_LINK_DOWN:
        if (repl->master.link == 0 || event->link != repl->master.link) return false;
        shoal_repl__link_event(repl, event);
        return true;
    case SHOAL_EVENT_FILE_DONE:
        if (event->file == repl->sync_file) {
            shoal_repl__sync_file_done(repl, event);
        } else if (event->file == repl->snapshot_file && event->op == SHOAL_FILE_READ) {
            shoal_repl__part_read(repl, event);
        } else {
            return false;
        }
        return true;
    case SHOAL_EVENT_START:
    case SHOAL_EVENT_TICK:
    case SHOAL_EVENT_NUDGED: return false;
    }
    SHOAL_UNREACHABLE();
}

/* Nobody has read the log for long. */
static void forget_backlog(shoal_repl *repl)
{
    bool needed = repl->replicas != NULL || shoal_repl__is_replica(repl);
    SHOAL_DEBUG_ASSERT(repl->settings.backlog_ttl_us >= 0);
    if (needed || !repl->wants_log || repl->settings.backlog_ttl_us == 0) {
        repl->lonely_us = 0;
        return;
    }
    if (repl->lonely_us == 0) repl->lonely_us = repl->now.mono_us;
    SHOAL_ASSERT(repl->lonely_us <= repl->now.mono_us);
    if (repl->now.mono_us - repl->lonely_us < repl->settings.backlog_ttl_us) return;
    repl->wants_log = false;
    repl->lonely_us = 0;
    shoal_log_want(repl->log, -1);
    /* Effects are not kept from now on: what comes later is another history. */
    shoal_repl__new_history(repl, false);
    shoal_repl__log(repl, REPL_NOTICE,
                    "Replication backlog freed after %lld seconds without connected replicas.",
                    (long long)(repl->settings.backlog_ttl_us / 1000000));
}

/* Lets go of the log where a replica has taken much since the last timer: it may take a hundred
 * megabytes in the time between two of them. */
static void trim_much(shoal_repl *repl)
{
    if (repl->replicas == NULL || !repl->wants_log) return;
    uint64_t kept = shoal_log_end(repl->log) - shoal_log_first(repl->log);
    uint64_t backlog = repl->settings.backlog_size;
    SHOAL_ASSERT(backlog > 0);
    if (kept > REPL_TRIM_SIZE && kept - REPL_TRIM_SIZE > backlog)
        (void)shoal_log_trim(repl->log, backlog);
    SHOAL_ASSERT(shoal_log_first(repl->log) <= shoal_log_end(repl->log));
}

void shoal_repl_begin_step(shoal_repl *repl, shoal_time now)
{
    SHOAL_ASSERT(repl->log != NULL);
    SHOAL_ASSERT(now.mono_us >= repl->now.mono_us);
    repl->now = now;
}

void shoal_repl_tick(shoal_repl *repl, shoal_time now)
{
    SHOAL_ASSERT(repl->settings.timeout_us > 0);
    SHOAL_ASSERT(now.mono_us >= repl->now.mono_us);
    repl->now = now;
    shoal_repl__check(repl);
    if (shoal_load_relaxed(&repl->env->master_kill)) {
        shoal_store_relaxed(&repl->env->master_kill, false);
        if (repl->master.link != 0) shoal_repl__break_link(repl);
    }
    shoal_repl__waits_step(repl);
    shoal_repl__failover_step(repl);
    shoal_repl__sync_step(repl);
    trim_much(repl);
    if (now.mono_us < repl->cron_us) return;
    repl->cron_us = now.mono_us + REPL_CRON_US;
    shoal_repl__master_cron(repl);
    if (shoal_repl__is_replica(repl)) shoal_repl__link_cron(repl);
    forget_backlog(repl);
    shoal_repl__check(repl);
    SHOAL_ASSERT(repl->cron_us > now.mono_us || shoal_repl__is_replica(repl));
}

int64_t shoal_repl_calm_until(const shoal_repl *repl)
{
    SHOAL_ASSERT(repl->cron_us >= 0);
    bool waits = repl->waits != NULL || repl->sync.stage != REPL_SYNC_NONE ||
                 repl->failover.stage != REPL_FAILOVER_NONE;
    if (waits || shoal_load_relaxed(&repl->env->master_kill)) return 0;
    SHOAL_ASSERT(repl->cron_us <= repl->now.mono_us + REPL_CRON_US);
    return repl->cron_us;
}

int64_t shoal_repl_deadline(const shoal_repl *repl)
{
    int64_t deadline = SHOAL_NEVER;
    bool busy = repl->replicas != NULL || shoal_repl__is_replica(repl) || repl->wants_log;
    if (busy) deadline = repl->cron_us;
    for (const repl_wait *wait = repl->waits; wait != NULL; wait = wait->next)
        if (wait->until_us < deadline) deadline = wait->until_us;
    if (repl->sync.stage == REPL_SYNC_DELAYED && repl->sync.due_us < deadline)
        deadline = repl->sync.due_us;
    if (repl->failover.stage == REPL_FAILOVER_SYNC && repl->failover.until_us < deadline)
        deadline = repl->failover.until_us;
    SHOAL_ASSERT(deadline >= 0);
    SHOAL_ASSERT(repl->cron_us <= repl->now.mono_us + REPL_CRON_US);
    return deadline;
}

/* Bytes of the stream that are kept: all replicas share them. */
static uint64_t buffered(const shoal_repl *repl)
{
    uint64_t first = shoal_repl__backlog_first(repl), end = shoal_log_end(repl->log);
    uint64_t most = repl->wants_log ? end - first : 0;
    SHOAL_ASSERT(first <= end);
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        if (!each->reads) continue;
        uint64_t waits = shoal_repl__unsent(repl, each);
        if (waits > most) most = waits;
    }
    SHOAL_ASSERT(end < SHOAL_LOG_OFFSET_END);
    SHOAL_ASSERT(repl->wants_log || repl->replicas != NULL || most == 0);
    return most;
}

void shoal_repl_reset_counts(shoal_repl *repl)
{
    SHOAL_ASSERT(repl->log != NULL);
    SHOAL_ASSERT(repl->full_syncs + repl->partial_syncs <= repl->serial);
    repl->full_syncs = repl->partial_syncs = repl->partial_refused = 0;
}

void shoal_repl_facts_get(const shoal_repl *repl, shoal_repl_facts *facts)
{
    SHOAL_ASSERT(facts != NULL);
    SHOAL_ASSERT(repl->id[SHOAL_REPL_ID_LEN] == '\0' && repl->id2[SHOAL_REPL_ID_LEN] == '\0');
    /* In this order: writers go on meanwhile. */
    uint64_t first = shoal_repl__backlog_first(repl), end = shoal_log_end(repl->log);
    uint64_t kept = buffered(repl), size = backlog_size(repl);
    *facts = (shoal_repl_facts){
        .is_replica = shoal_repl__is_replica(repl),
        .link_up = repl->master.state == REPL_LINK_ONLINE,
        .syncing =
            repl->master.state == REPL_LINK_TRANSFER || repl->master.state == REPL_LINK_LOADING,
        .offset = end,
        .heard_us = repl->master.state == REPL_LINK_ONLINE ? repl->master.heard_us
                    : repl->fresh                          ? repl->master.down_us
                                                           : 0,
        .replicas = shoal_repl__count(repl, 0),
        .timely = shoal_repl__count(repl, repl->settings.min_lag_us),
        .second_offset = repl->second_offset,
        .has_second = repl->second_offset != 0,
        .backlog_bytes = repl->wants_log ? end - first : 0,
        .buffered_bytes = kept,
        .waiting_bytes = kept > size ? kept - size : 0,
        .full_syncs = repl->full_syncs,
        .partial_syncs = repl->partial_syncs,
        .partial_refused = repl->partial_refused,
        .kept = repl->wants_log && !shoal_log_torn(repl->log) &&
                (!shoal_repl__is_replica(repl) || repl->synced),
    };
    memcpy(facts->id, repl->id, sizeof facts->id);
    memcpy(facts->id2, repl->id2, sizeof facts->id2);
}
