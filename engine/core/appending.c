/* SPDX-License-Identifier: MIT
 *
 * core/appending.h: settings in, figures out, and the commands of files to the applier.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/text.h"
#include "core/info.h"

static bool is_on(const shoal_node *node, shoal_directive_id id)
{
    return shoal_config__number(&node->config, id) != 0;
}

static shoal_aof_settings settings(shoal_node *node)
{
    const shoal_config *config = &node->config;
    shoal_rdb_load_options load = shoal_node__load_options(node);
    int64_t growth = shoal_config__number(config, SHOAL_DIRECTIVE_AUTO_AOF_REWRITE_PERCENTAGE);
    int64_t size = shoal_config__number(config, SHOAL_DIRECTIVE_AUTO_AOF_REWRITE_MIN_SIZE);
    int64_t delay = shoal_config__number(config, SHOAL_DIRECTIVE_RDB_KEY_SAVE_DELAY);
    int64_t policy = shoal_config__number(config, SHOAL_DIRECTIVE_APPENDFSYNC);
    bool appendonly = is_on(node, SHOAL_DIRECTIVE_APPENDONLY);
    SHOAL_ASSERT(policy >= SHOAL_AOF_EVERYSEC && policy <= SHOAL_AOF_NO);
    return (shoal_aof_settings){
        .on = appendonly && !node->appending.held,
        .replacing = appendonly && node->appending.held,
        .policy = (shoal_aof_policy)policy,
        .rdb_base = is_on(node, SHOAL_DIRECTIVE_AOF_USE_RDB_PREAMBLE),
        .timestamps = is_on(node, SHOAL_DIRECTIVE_AOF_TIMESTAMP_ENABLED),
        .quiet_rewrite = is_on(node, SHOAL_DIRECTIVE_NO_APPENDFSYNC_ON_REWRITE),
        .load_truncated = is_on(node, SHOAL_DIRECTIVE_AOF_LOAD_TRUNCATED),
        .keeps_history = is_on(node, SHOAL_DIRECTIVE_AOF_DISABLE_AUTO_GC),
        .compress = is_on(node, SHOAL_DIRECTIVE_RDBCOMPRESSION),
        .checksum = load.checksum,
        .delay_us = delay > 0 ? delay : 0,
        .growth_percent = (uint32_t)growth,
        .size_min = (uint64_t)size,
        .backlog = (uint64_t)shoal_config__number(config, SHOAL_DIRECTIVE_REPL_BACKLOG_SIZE),
        .limits = load.limits};
}

/* ---- the commands of files ---- */

static const char *apply(void *context, const shoal_slice *argv, uint32_t argc)
{
    shoal_node *node = context;
    SHOAL_ASSERT(node->appending.applier != NULL);
    const shoal_apply_command command = {.argv = argv, .argc = argc};
    shoal_applied applied = shoal_apply(node->appending.applier, &command);
    /* A worker that sweeps may hold the gate: for some microseconds. */
    while (applied == SHOAL_APPLY_PENDING) applied = shoal_apply_poll(node->appending.applier);
    if (applied == SHOAL_APPLY_DONE) return NULL;
    /* What failed when it was written fails again; only what is not known at all is damage. */
    shoal_slice error = shoal_applier_error(node->appending.applier);
    static const char unknown[] = "ERR unknown command";
    bool is_unknown =
        error.size >= sizeof unknown - 1 && memcmp(error.data, unknown, sizeof unknown - 1) == 0;
    return is_unknown ? "unknown command" : NULL;
}

static void apply_begin(void *context)
{
    shoal_node *node = context;
    SHOAL_ASSERT(node->appending.applier != NULL);
    shoal_applier_select(node->appending.applier, 0);
}

/* The files are what a history of replication was at its offset when the node ended. */
static void history(void *context, shoal_slice id, uint64_t offset, uint32_t db)
{
    shoal_node *node = context;
    SHOAL_ASSERT(node->replication.repl != NULL);
    if (node->phase != SHOAL_PHASE_LOADING) return;
    node->replication.stream_db = db < 16 ? db : 0;
    shoal_repl_restore(node->replication.repl, id, offset, shoal_node__may_follow(node));
}

/* ---- a log that has lost something ---- */

/* What a master's stream has done and not told would be in the base and behind it. */
static bool may_begin(void *context)
{
    const shoal_node *node = context;
    SHOAL_ASSERT(node->replication.repl != NULL);
    return !shoal_node__apply_pending(node);
}

static bool may_mend(void *context)
{
    shoal_node *node = context;
    SHOAL_ASSERT(node->replication.repl != NULL);
    return shoal_repl_clear(node->replication.repl);
}

static void mend(void *context)
{
    shoal_node *node = context;
    SHOAL_ASSERT(shoal_log_torn(node->log));
    shoal_repl_begin_anew(node->replication.repl);
}

/* What clients write names its database; a master's stream has done so long before, perhaps. */
static uint32_t database(void *context)
{
    const shoal_node *node = context;
    shoal_repl_facts facts;
    SHOAL_ASSERT(node->replication.repl != NULL);
    shoal_repl_facts_get(node->replication.repl, &facts);
    return facts.is_replica ? shoal_node__apply_db(node) : SHOAL_LOG_DB_ANY;
}

/* ---- life ---- */

static void commit(void *context, shoal_time now)
{
    shoal_aof_commit(context, now);
}

shoal_err shoal_node__appending_build(shoal_node *node)
{
    const shoal_config *config = &node->config;
    bool cluster = is_on(node, SHOAL_DIRECTIVE_CLUSTER_ENABLED);
    int64_t databases = shoal_config__number(config, SHOAL_DIRECTIVE_DATABASES);
    SHOAL_ASSERT(node->log != NULL && node->appending.aof == NULL);
    shoal_aof_options options = {.env = &node->env,
                                 .thread = node->thread,
                                 .threads = node->worker_count + 1,
                                 .databases = cluster ? 1 : (uint32_t)databases,
                                 .file_name =
                                     shoal_config__text(config, SHOAL_DIRECTIVE_APPENDFILENAME),
                                 .dir_name =
                                     shoal_config__text(config, SHOAL_DIRECTIVE_APPENDDIRNAME),
                                 .apply = apply,
                                 .apply_begin = apply_begin,
                                 .history = history,
                                 .may_begin = may_begin,
                                 .may_mend = may_mend,
                                 .mend = mend,
                                 .database = database,
                                 .context = node};
    shoal_aof_settings first = settings(node);
    shoal_err error = shoal_aof_create(&options, &first, &node->appending.aof);

    if (error != SHOAL_ERR_OK) return error;
    node->appending.config_seen = node->config.version;
    node->env.commit = commit;
    node->env.commit_context = node->appending.aof;
    return SHOAL_ERR_OK;
}

static void close_applier(shoal_node *node)
{
    SHOAL_ASSERT(node->thread != NULL);
    if (node->appending.applier != NULL) shoal_applier_close(node->appending.applier);
    node->appending.applier = NULL;
}

void shoal_node__appending_drop(shoal_node *node)
{
    if (node->appending.aof == NULL) return;
    SHOAL_ASSERT(node->store != NULL);
    close_applier(node);
    node->env.commit = NULL;
    shoal_aof_destroy(node->appending.aof);
    node->appending.aof = NULL;
}

/* Makes what runs the commands of files. */
static bool open_applier(shoal_node *node)
{
    const shoal_applier_options options = {.env = &node->env, .thread = node->thread};
    SHOAL_ASSERT(node->appending.applier == NULL);
    if (shoal_applier_open(&options, &node->appending.applier) == SHOAL_ERR_OK) return true;
    shoal_node__fail(node, "No memory to load the data set", (shoal_slice){0});
    return false;
}

bool shoal_node__appending_start(shoal_node *node)
{
    SHOAL_ASSERT(node->appending.aof != NULL);
    if (!is_on(node, SHOAL_DIRECTIVE_APPENDONLY)) return false;
    if (open_applier(node)) shoal_aof_start(node->appending.aof, node->now);
    return true;
}

void shoal_node__appending_reload(shoal_node *node)
{
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_READY);
    if (open_applier(node)) shoal_aof_start(node->appending.aof, node->now);
}

int shoal_node__appending_is_open(shoal_node *node)
{
    switch (shoal_aof_state_get(node->appending.aof)) {
    case SHOAL_AOF_STARTING: return 0;
    case SHOAL_AOF_FAILED: return -1;
    default: close_applier(node); return 1;
    }
}

void shoal_node__appending_file_done(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(node->appending.aof != NULL);
    shoal_aof_file_done(node->appending.aof, event);
}

/* Writes are refused while the file cannot be written. */
static void judge(shoal_node *node)
{
    uint32_t before = shoal_load_relaxed(&node->env.misconf), after = before;
    shoal_err why = shoal_aof_trouble(node->appending.aof);
    SHOAL_ASSERT((before & ~(uint32_t)SHOAL_MISCONF_ALL) == 0);
    after &= ~(uint32_t)(SHOAL_MISCONF_AOF | SHOAL_MISCONF_AOF_SPACE);
    if (why != SHOAL_ERR_OK) after |= SHOAL_MISCONF_AOF;
    if (why == SHOAL_ERR_NO_SPACE) after |= SHOAL_MISCONF_AOF_SPACE;
    if (before != after) shoal_store_relaxed(&node->env.misconf, after);
}

void shoal_node__appending_hold(shoal_node *node, bool hold)
{
    shoal_appending *appending = &node->appending;
    if (appending->aof == NULL || appending->held == hold) return;
    SHOAL_ASSERT(node->phase >= SHOAL_PHASE_READY);
    appending->held = hold;
    shoal_aof_settings now = settings(node);
    shoal_aof_set(appending->aof, &now, node->now);
}

void shoal_node__appending_step(shoal_node *node)
{
    shoal_appending *appending = &node->appending;
    if (appending->aof == NULL) return;
    if (appending->config_seen != node->config.version) {
        appending->config_seen = node->config.version;
        shoal_aof_settings now = settings(node);
        shoal_aof_set(appending->aof, &now, node->now);
    }
    shoal_aof_unblock(appending->aof, shoal_node__is_saving(node));
    shoal_aof_step(appending->aof, node->now);
    judge(node);
}

int64_t shoal_node__appending_deadline(const shoal_node *node)
{
    if (node->appending.aof == NULL) return SHOAL_NEVER;
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    return shoal_aof_deadline(node->appending.aof);
}

bool shoal_node__appending_finish(shoal_node *node)
{
    shoal_repl_facts facts;
    if (node->appending.aof == NULL) return true;
    if (!shoal_aof_finish(node->appending.aof, node->now)) return false;
    shoal_repl_facts_get(node->replication.repl, &facts);
    if (!facts.kept) return true;
    uint32_t db = facts.is_replica ? shoal_node__apply_db(node) : 0;
    return shoal_aof_sign(node->appending.aof, shoal_text(facts.id), db, node->now);
}

bool shoal_node__appending_rewrites(const shoal_node *node)
{
    return node->appending.aof != NULL && shoal_aof_is_rewriting(node->appending.aof);
}

/* ---- commands ---- */

void shoal_node__bgrewriteaof(shoal_node *node, const shoal_errand *errand, shoal_reply *reply)
{
    SHOAL_ASSERT(errand->command->id == SHOAL_COMMAND_BGREWRITEAOF);
    bool blocked = shoal_node__is_saving(node) || errand->exec != NULL;
    switch (shoal_aof_rewrite(node->appending.aof, blocked, node->now)) {
    case SHOAL_AOF_STARTED:
        shoal_reply_status(reply, "Background append only file rewriting started");
        return;
    case SHOAL_AOF_SCHEDULED:
        shoal_reply_status(reply, blocked ? "Background append only file rewriting scheduled"
                                          : "Background append only file rewriting started");
        return;
    case SHOAL_AOF_BUSY:
        shoal_reply_error(reply, "ERR Background append only file rewriting already in progress");
        return;
    }
    SHOAL_UNREACHABLE();
}

static void signed_number(shoal_buffer *out, const char *name, int64_t number)
{
    SHOAL_ASSERT(name[0] != '\0');
    shoal_text_appendf(out, "%s:%lld\r\n", name, (long long)number);
}

void shoal_node__appending_load_info(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(out != NULL);
    if (node->appending.aof == NULL) return;
    shoal_aof_stats stats = shoal_aof_stats_get(node->appending.aof, node->now);
    if (stats.state != SHOAL_AOF_STARTING) return;
    int64_t elapsed = node->now.wall_us / 1000000 - stats.load_began_s;
    uint64_t done = stats.load_done, total = stats.load_total;
    uint64_t left = done > 0 ? (uint64_t)elapsed * (total - done) / done : 1;
    shoal_info__number(out, "loading_start_time", (uint64_t)stats.load_began_s);
    shoal_info__number(out, "loading_total_bytes", total);
    shoal_info__number(out, "loading_rdb_used_mem", 0);
    shoal_info__number(out, "loading_loaded_bytes", done);
    uint64_t hundredths = total > 0 ? done * 10000 / total : 0;
    shoal_text_appendf(out, "loading_loaded_perc:%llu.%02llu\r\n",
                       (unsigned long long)(hundredths / 100),
                       (unsigned long long)(hundredths % 100));
    shoal_info__number(out, "loading_eta_seconds", left);
}

void shoal_node__appending_info(const shoal_node *node, shoal_buffer *out)
{
    shoal_aof_stats stats = {.rewrite_ok = true,
                             .write_ok = true,
                             .rewrite_time_s = -1,
                             .rewrite_now_s = -1};
    SHOAL_ASSERT(out != NULL);
    if (node->appending.aof != NULL) stats = shoal_aof_stats_get(node->appending.aof, node->now);
    bool on = stats.state != SHOAL_AOF_OFF;
    shoal_info__number(out, "aof_enabled", on);
    shoal_info__number(out, "aof_rewrite_in_progress", stats.rewriting);
    shoal_info__number(out, "aof_rewrite_scheduled", stats.scheduled);
    signed_number(out, "aof_last_rewrite_time_sec", stats.rewrite_time_s);
    signed_number(out, "aof_current_rewrite_time_sec", stats.rewrite_now_s);
    shoal_info__text(out, "aof_last_bgrewrite_status", stats.rewrite_ok ? "ok" : "err");
    shoal_info__number(out, "aof_rewrites", stats.rewrites);
    shoal_info__number(out, "aof_rewrites_consecutive_failures", stats.failures);
    shoal_info__text(out, "aof_last_write_status", stats.write_ok ? "ok" : "err");
    shoal_info__number(out, "aof_last_cow_size", 0);
    shoal_info__number(out, "module_fork_in_progress", 0);
    shoal_info__number(out, "module_fork_last_cow_size", 0);
    if (!on) return;
    shoal_info__number(out, "aof_current_size", stats.size);
    shoal_info__number(out, "aof_base_size", stats.base_size);
    shoal_info__number(out, "aof_pending_rewrite", stats.rewrite_pending);
    shoal_info__number(out, "aof_buffer_length", stats.buffered);
    shoal_info__number(out, "aof_pending_bio_fsync", stats.sync_pending);
    shoal_info__number(out, "aof_delayed_fsync", stats.delayed_syncs);
}
