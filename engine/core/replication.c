/* SPDX-License-Identifier: MIT
 *
 * core/replication.c - see core/replication.h: settings, roles, events and commands of replication.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/pause.h"
#include "store/moment.h"

#define US_PER_S INT64_C(1000000)

/* ---- settings ---- */

static int64_t number(const shoal_node *node, shoal_directive_id id)
{
    SHOAL_DEBUG_ASSERT(id < SHOAL_DIRECTIVE_COUNT);
    return shoal_config__number(&node->config, id);
}

/* A directive's seconds in microseconds; so many that they pass for ever are for ever. */
static int64_t microseconds(const shoal_node *node, shoal_directive_id id)
{
    int64_t seconds = number(node, id), most = SHOAL_NEVER / US_PER_S;
    SHOAL_ASSERT(seconds >= 0);
    return (seconds < most ? seconds : most) * US_PER_S;
}

/* The numbers of one class in client-output-buffer-limit: "slave 268435456 67108864 60". */
static void read_limits(const shoal_node *node, shoal_repl_settings *out)
{
    shoal_slice text =
        shoal_config__text(&node->config, SHOAL_DIRECTIVE_CLIENT_OUTPUT_BUFFER_LIMIT);
    uint64_t numbers[3] = {0};
    size_t at = shoal_text_find(text, shoal_text("slave "));
    if (at == SHOAL_TEXT_NONE) return;
    at += 6;
    for (uint32_t i = 0; i < 3; i++) {
        while (at < text.size && text.data[at] == ' ') at++;
        for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9'; at++)
            numbers[i] = numbers[i] * 10 + (uint64_t)(text.data[at] - '0');
    }
    SHOAL_DEBUG_ASSERT(at <= text.size);
    /* As Redis: a replica that goes on with all of the backlog is not sent away for that. */
    out->output_hard = numbers[0];
    if (out->output_hard != 0 && out->output_hard < out->backlog_size)
        out->output_hard = out->backlog_size;
    out->output_soft = numbers[1];
    bool ever = numbers[2] >= (uint64_t)(SHOAL_NEVER / US_PER_S);
    out->output_soft_us = ever ? SHOAL_NEVER : (int64_t)numbers[2] * US_PER_S;
}

void shoal_node__replication_set(shoal_node *node)
{
    const shoal_config *config = &node->config;
    int64_t announced = number(node, SHOAL_DIRECTIVE_REPLICA_ANNOUNCE_PORT);
    if (node->replication.repl == NULL) return;
    shoal_repl_settings settings = {
        .port = (uint16_t)(announced != 0 ? announced : number(node, SHOAL_DIRECTIVE_PORT)),
        .announce_ip = shoal_config__text(config, SHOAL_DIRECTIVE_REPLICA_ANNOUNCE_IP),
        .master_user = shoal_config__text(config, SHOAL_DIRECTIVE_MASTERUSER),
        .master_auth = shoal_config__text(config, SHOAL_DIRECTIVE_MASTERAUTH),
        .ping_period_us = microseconds(node, SHOAL_DIRECTIVE_REPL_PING_REPLICA_PERIOD),
        .timeout_us = microseconds(node, SHOAL_DIRECTIVE_REPL_TIMEOUT),
        .backlog_ttl_us = microseconds(node, SHOAL_DIRECTIVE_REPL_BACKLOG_TTL),
        .backlog_size = (uint64_t)number(node, SHOAL_DIRECTIVE_REPL_BACKLOG_SIZE),
        .min_replicas = (uint32_t)number(node, SHOAL_DIRECTIVE_MIN_REPLICAS_TO_WRITE),
        .min_lag_us = microseconds(node, SHOAL_DIRECTIVE_MIN_REPLICAS_MAX_LAG),
        .priority = number(node, SHOAL_DIRECTIVE_REPLICA_PRIORITY),
        .read_only = number(node, SHOAL_DIRECTIVE_REPLICA_READ_ONLY) != 0,
    };
    if (number(node, SHOAL_DIRECTIVE_REPL_DISKLESS_SYNC) != 0) {
        settings.full_delay_us = microseconds(node, SHOAL_DIRECTIVE_REPL_DISKLESS_SYNC_DELAY);
        settings.full_replicas =
            (uint32_t)number(node, SHOAL_DIRECTIVE_REPL_DISKLESS_SYNC_MAX_REPLICAS);
    }
    SHOAL_ASSERT(settings.ping_period_us > 0 && settings.timeout_us > 0);
    read_limits(node, &settings);
    shoal_repl_set(node->replication.repl, &settings);
}

/* Whether this node is going to be a replica, as its configuration or the cluster says, though it
 * follows nobody yet: while it loads its data, and while its master's address is not known. */
static bool is_to_follow(const shoal_node *node)
{
    shoal_cluster_role role;
    SHOAL_DEBUG_ASSERT(node->replication.repl != NULL);
    if (node->phase < SHOAL_PHASE_READY)
        return number(node, SHOAL_DIRECTIVE_CLUSTER_ENABLED) != 0 ||
               shoal_config__text(&node->config, SHOAL_DIRECTIVE_REPLICAOF).size != 0;
    if (node->cluster == NULL) return false;
    (void)shoal_cluster_role_get(node->cluster, &role);
    return role.is_replica;
}

/* The node is a master or a replica from now on. Writes that were admitted while it was a master
 * are told in the log until none of them is under way (turn_step). */
static void turn(shoal_node *node, bool is_replica)
{
    shoal_replication *replication = &node->replication;
    bool mirrors = shoal_load_relaxed(&node->env.mirrors);
    SHOAL_DEBUG_ASSERT(!mirrors || replication->turning == SHOAL_TURNING_NONE);
    if (is_replica) {
        if (mirrors || replication->turning != SHOAL_TURNING_NONE) return;
        replication->turning = SHOAL_TURNING_DUE;
        shoal_add_relaxed(&node->env.demotions, 1u);
        shoal_worker_rouse(&node->env);
        node->host.nudge(node->host.context, SHOAL_ACTOR_CONTROL);
        return;
    }
    if (replication->turning == SHOAL_TURNING_MOMENT) shoal_node__moment_end(node);
    replication->turning = SHOAL_TURNING_NONE;
    shoal_store_relaxed(&node->env.mirrors, false);
}

/* What clients may do follows from the role and the link.
 *
 * A command of the stream may still wait at a gate when this node becomes a master.
 *   1. It is in the log by then (apply_reset), so what is put into the log later must happen later:
 *      replicas and the append-only file would differ otherwise.
 *   2. It waits at one of its gates only; a write of a client, or a key that expires, whose gate is
 *      another one would pass it by. No moment between operations helps: one that has taken no
 *      gate yet waits for the moment's end like those of clients.
 *   3. So this node behaves as a replica until nothing of the stream is pending: clients write
 *      nothing, keys do not go by themselves, nothing is told (`rises`). Its id and its place among
 *      the others are those of a master.
 *   4. What is pending ends by itself, and its end nudges (apply.c's `over`): the step that sees it
 *      comes here again. */
static void changed(void *context)
{
    shoal_node *node = context;
    shoal_repl_facts facts;
    shoal_repl_facts_get(node->replication.repl, &facts);
    bool rises = !facts.is_replica && shoal_node__apply_pending(node);
    bool mirrors = facts.is_replica || rises;
    bool read_only = number(node, SHOAL_DIRECTIVE_REPLICA_READ_ONLY) != 0;
    bool stale = number(node, SHOAL_DIRECTIVE_REPLICA_SERVE_STALE_DATA) == 0 && !facts.link_up;
    SHOAL_ASSERT(!rises || shoal_load_relaxed(&node->env.mirrors));
    node->replication.rises = rises;
    shoal_env_refuse(&node->env, SHOAL_REFUSES_WRITES_HERE, mirrors && (read_only || rises));
    shoal_env_refuse(&node->env, SHOAL_REFUSES_STALE, facts.is_replica && stale);
    SHOAL_DEBUG_ASSERT(node->store != NULL);
    turn(node, mirrors);
    /* Keys of a replica go when its master says so. */
    shoal_store_keep_expired(node->store, mirrors || is_to_follow(node));
    bool loads =
        node->phase != SHOAL_PHASE_READY || node->replication.receiving != SHOAL_RECEIVING_IDLE;
    shoal_store_note_own(node->store, mirrors && !read_only && !loads);
    shoal_pause_role_expiry(&node->env, !mirrors);
    /* What a synchronisation that came to nothing has left is what this node is a master of. */
    if (!mirrors && node->phase == SHOAL_PHASE_READY &&
        node->replication.receiving == SHOAL_RECEIVING_IDLE)
        shoal_node__appending_hold(node, false);
    shoal_node__apply_limits(node);
}

/* ---- life ---- */

shoal_err shoal_node__replication_open(shoal_node *node)
{
    SHOAL_ASSERT(node->log != NULL && node->replication.repl == NULL);
    shoal_repl_options options = {
        .allocator = node->allocator,
        .host = shoal_tape_noting(node->tape, &node->host),
        .env = &node->env,
        .writer = node->worker_count,
        .seed = {node->seed[0], node->seed[1]},
        .snapshot_file = SHOAL_REPL_FILE_SEND,
        .sync_file = SHOAL_REPL_FILE_SYNC,
        .face = {.context = node,
                 .snapshot_start = shoal_node__send_start,
                 .snapshot_stop = shoal_node__send_stop,
                 .load = shoal_node__receive_start,
                 .apply = shoal_node__apply_bytes,
                 .apply_reset = shoal_node__apply_reset,
                 .changed = changed,
                 .full = shoal_node__full},
        .now = node->now,
    };
    shoal_err error = shoal_repl_create(&options, &node->replication.repl);
    if (error == SHOAL_ERR_OK) shoal_node__replication_set(node);
    return error;
}

/* Follows whom `replicaof` names, if it names anybody by a numeric address. */
static void follow_configured(shoal_node *node)
{
    shoal_slice text = shoal_config__text(&node->config, SHOAL_DIRECTIVE_REPLICAOF);
    size_t space = shoal_text_find(text, shoal_text(" "));
    SHOAL_DEBUG_ASSERT(node->cluster == NULL);
    if (space == SHOAL_TEXT_NONE) return;
    shoal_address master = {0};
    shoal_slice host = {text.data, space};
    shoal_slice port = {text.data + space + 1, text.size - space - 1};
    int64_t value = 0;
    if (shoal_text_is(host, "localhost")) host = shoal_text("127.0.0.1");
    if (host.size >= sizeof master.ip || !shoal_text_to_i64(port, &value)) return;
    memcpy(master.ip, host.data, host.size);
    master.port = (uint16_t)value;
    shoal_repl_follow(node->replication.repl, &master);
}

void shoal_node__replication_start(shoal_node *node)
{
    shoal_slice path = shoal_text("temp-repl-sync.rdb");
    SHOAL_DEBUG_ASSERT(node->phase == SHOAL_PHASE_READY);
    node->host.file_name(node->host.context, SHOAL_REPL_FILE_SYNC, path);
    if (node->cluster != NULL) {
        shoal_cluster_role role;
        (void)shoal_cluster_role_get(node->cluster, &role);
        if (!role.is_replica) shoal_repl_follow(node->replication.repl, NULL);
    } else {
        follow_configured(node);
    }
    /* Who is no replica has kept keys whose time was over until now. */
    bool follows = shoal_repl_following(node->replication.repl) != NULL || is_to_follow(node);
    shoal_store_keep_expired(node->store, follows);
}

void shoal_node__replication_close(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    SHOAL_DEBUG_ASSERT(node->allocator.release != NULL);
    if (replication->repl == NULL) return;
    shoal_node__receive_drop(node);
    if (replication->writer != NULL) shoal_snapshot_drop(replication->writer);
    shoal_node__apply_close(node);
    shoal_repl_destroy(replication->repl);
    replication->repl = NULL;
}

/* ---- steps ---- */

bool shoal_node__replication_event(shoal_node *node, const shoal_event *event)
{
    shoal_repl *repl = node->replication.repl;
    SHOAL_ASSERT(repl != NULL);
    if (event->kind == SHOAL_EVENT_FILE_DONE) {
        if (event->file == SHOAL_REPL_FILE_SYNC) {
            shoal_node__receive_file_done(node, event);
        } else if (event->file != SHOAL_REPL_FILE_SEND) {
            return false;
        } else if (event->op == SHOAL_FILE_READ) {
            (void)shoal_repl_event(repl, event);
        } else {
            shoal_node__send_file_done(node, event);
        }
        return true;
    }
    return shoal_repl_event(repl, event);
}

/* The cluster says whose replica this node is. */
static void obey_cluster(shoal_node *node)
{
    if (node->cluster == NULL || node->phase < SHOAL_PHASE_READY) return;
    shoal_cluster_role role;
    uint64_t version = shoal_cluster_role_get(node->cluster, &role);
    if (version == node->replication.role_version) return;
    node->replication.role_version = version;
    SHOAL_DEBUG_ASSERT(role.master.ip[sizeof role.master.ip - 1] == '\0');
    if (!role.is_replica) {
        shoal_repl_follow(node->replication.repl, NULL);
    } else if (role.master.ip[0] != '\0') {
        shoal_repl_follow(node->replication.repl, &role.master);
    } else if (role.master_name[0] != '\0') {
        shoal_repl_lose_master(node->replication.repl);
    }
}

/* A failover that somebody asked for: writes wait, and the cluster learns when none is under
 * way. */
static void pause_step(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    int64_t until = node->cluster != NULL ? shoal_cluster_pause(node->cluster) : 0;
    int64_t failover = shoal_repl_pause(replication->repl);
    int64_t farewell = shoal_node__farewell_pause(node);
    if (failover > until) until = failover;
    if (farewell > until) until = farewell;
    SHOAL_DEBUG_ASSERT(until >= 0);
    shoal_repl_paused(replication->repl, replication->pause == SHOAL_PAUSE_WHOLE);
    if (until == 0) {
        if (replication->pause == SHOAL_PAUSE_NONE) return;
        if (replication->pause == SHOAL_PAUSE_MOMENT) shoal_node__moment_end(node);
        replication->pause = SHOAL_PAUSE_NONE;
        shoal_pause_failover(&node->env, 0);
        return;
    }
    shoal_pause_failover(&node->env, until);
    bool free = shoal_node__moment_is_free(node) && !node->saving.waits_moment;
    if (replication->pause == SHOAL_PAUSE_NONE && free) replication->pause = SHOAL_PAUSE_MOMENT;
    if (replication->pause != SHOAL_PAUSE_MOMENT || !shoal_node__moment_wish(node)) return;
    /* What began before the pause is over, and what waited for the moment is carried out now. */
    shoal_node__moment_end(node);
    replication->pause = SHOAL_PAUSE_WHOLE;
    shoal_repl_paused(replication->repl, true);
}

/* Who has become a replica says where its history ends once that is certain: in a moment between
 * operations, behind which no write of a client is carried out. */
static void turn_step(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    SHOAL_DEBUG_ASSERT(replication->turning <= SHOAL_TURNING_MOMENT);
    bool free = shoal_node__moment_is_free(node) && !node->saving.waits_moment;
    if (replication->turning == SHOAL_TURNING_DUE && free)
        replication->turning = SHOAL_TURNING_MOMENT;
    if (replication->turning != SHOAL_TURNING_MOMENT || !shoal_node__moment_wish(node)) return;
    shoal_store_relaxed(&node->env.mirrors, true);
    shoal_node__moment_end(node);
    replication->turning = SHOAL_TURNING_NONE;
    shoal_repl_hurry(replication->repl);
}

/* And learns how far the data are. */
static void tell_cluster(shoal_node *node)
{
    shoal_repl_facts facts;
    if (node->cluster == NULL || node->phase < SHOAL_PHASE_READY) return;
    shoal_repl_facts_get(node->replication.repl, &facts);
    shoal_cluster_replication told = {
        .offset = facts.offset,
        .link_up = facts.link_up,
        .heard_us = facts.heard_us,
        .loading = facts.syncing && node->replication.receiving != SHOAL_RECEIVING_IDLE,
        .paused = node->replication.pause == SHOAL_PAUSE_WHOLE,
    };
    /* Its data are on their way: it has none of them yet, and is shown to no client. */
    if (told.loading) told.offset = 0;
    SHOAL_DEBUG_ASSERT(told.heard_us >= 0);
    shoal_tape_set_replication(node->tape, node->cluster, &told, node->now);
}

/* The log has lost an effect for want of memory: replicas are sent away, and when they are gone it
 * begins again, as another history; the append-only file is written anew. */
static void mend_step(shoal_node *node)
{
    shoal_replication *replication = &node->replication;
    SHOAL_DEBUG_ASSERT(node->log != NULL);
    if (node->phase != SHOAL_PHASE_READY || replication->receiving != SHOAL_RECEIVING_IDLE) return;
    if (!replication->mends && !shoal_log_torn(node->log)) return;
    /* Behind a file that is appended to the log begins again in the moment of its next base, so
     * that nothing is acknowledged that no file has. */
    if (shoal_aof_state_get(node->appending.aof) == SHOAL_AOF_ON) {
        (void)shoal_repl_clear(replication->repl);
        return;
    }
    replication->mends = true;
    if (!shoal_repl_clear(replication->repl)) return;
    if (!shoal_node__moment_is_free(node) || node->saving.waits_moment) return;
    shoal_node__appending_hold(node, true);
    if (!shoal_node__moment_wish(node)) return;
    shoal_repl_begin_anew(replication->repl);
    shoal_node__moment_end(node);
    shoal_node__appending_hold(node, false);
    replication->mends = false;
}

void shoal_node__replication_step(shoal_node *node)
{
    const shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(replication->repl != NULL);
    obey_cluster(node);
    shoal_node__farewell_step(node);
    pause_step(node);
    turn_step(node);
    shoal_repl_tick(node->replication.repl, node->now);
    shoal_node__send_step(node);
    shoal_node__receive_step(node);
    shoal_node__apply_step(node);
    if (replication->rises && !shoal_node__apply_pending(node)) changed(node);
    mend_step(node);
    tell_cluster(node);
}

int64_t shoal_node__replication_deadline(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->replication.repl != NULL);
    int64_t farewell = shoal_node__farewell_deadline(node);
    int64_t first = shoal_repl_deadline(node->replication.repl);
    int64_t send = shoal_node__send_deadline(node), receive = shoal_node__receive_deadline(node);
    if (farewell < first) first = farewell;
    if (receive < first) first = receive;
    return send < first ? send : first;
}

bool shoal_node__replication_busy(const shoal_node *node)
{
    const shoal_replication *replication = &node->replication;
    SHOAL_DEBUG_ASSERT(replication->sending <= SHOAL_SENDING_CLEARING);
    return replication->sending == SHOAL_SENDING_MOMENT || replication->writer != NULL ||
           replication->receiving != SHOAL_RECEIVING_IDLE;
}

bool shoal_node__replication_sends(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->replication.sending <= SHOAL_SENDING_CLEARING);
    return node->replication.sending == SHOAL_SENDING_MOMENT ||
           node->replication.sending == SHOAL_SENDING_WRITING;
}

/* ---- commands ---- */

static void follow_by_command(shoal_node *node, shoal_errand *errand)
{
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    SHOAL_DEBUG_ASSERT(errand->argc == 3);
    if (node->cluster == NULL) {
        shoal_repl_replicaof(node->replication.repl, errand);
        return;
    }
    shoal_reply_error(&reply, "ERR REPLICAOF not allowed in cluster mode.");
    shoal_errand_finish(errand);
}

static void fail_over(shoal_node *node, shoal_errand *errand)
{
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    SHOAL_DEBUG_ASSERT(errand->argc >= 1);
    if (node->cluster != NULL) {
        shoal_reply_error(&reply, "ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER "
                                  "command instead.");
    } else {
        shoal_repl_failover(node->replication.repl, errand, &reply);
    }
    shoal_errand_finish(errand);
}

bool shoal_node__replication_command(shoal_node *node, shoal_errand *errand)
{
    SHOAL_DEBUG_ASSERT(errand->command != NULL);
    shoal_repl *repl = node != NULL ? node->replication.repl : NULL;
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    switch (errand->command->id) {
    case SHOAL_COMMAND_PSYNC:
    case SHOAL_COMMAND_SYNC:
        if (node != NULL) shoal_repl_psync(repl, errand);
        return true;
    case SHOAL_COMMAND_WAIT:
        if (node != NULL) shoal_repl_wait(repl, errand, errand->after);
        return true;
    case SHOAL_COMMAND_REPLICAOF:
    case SHOAL_COMMAND_SLAVEOF:
        if (node != NULL) follow_by_command(node, errand);
        return true;
    case SHOAL_COMMAND_FAILOVER:
        if (node != NULL) fail_over(node, errand);
        return true;
    case SHOAL_COMMAND_ROLE:
        if (node == NULL) return true;
        shoal_repl_role(repl, &reply);
        shoal_errand_finish(errand);
        return true;
    default: return false;
    }
}
