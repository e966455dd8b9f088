/* SPDX-License-Identifier: MIT
 *
 * core/saving.c - see core/saving.h. One snapshot at a time; whoever wants another one waits for it
 * or is told to come again, as in Redis.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/text.h"
#include "command/dump.h"
#include "core/info.h"
#include "store/policy.h"
#include "store/snapshot.h"

#define US_PER_S 1000000
/* Behind a failure save points wait so long. As Redis. */
#define RETRY_US (5 * (int64_t)US_PER_S)

bool shoal_node__is_saving(const shoal_node *node)
{
    SHOAL_ASSERT(node->saving.first == NULL || node->saving.last != NULL);
    return node->saving.save.stage != SHOAL_RDB_SAVE_IDLE || node->saving.waits_moment;
}

static uint64_t changes(const shoal_node *node)
{
    SHOAL_ASSERT(node->store != NULL);
    return shoal_store_changes(node->store);
}

/* ---- beginning ---- */

static shoal_snapshot_heat heat(const shoal_node *node)
{
    shoal_slice name = shoal_text(shoal_node__policy(node)->name);
    SHOAL_ASSERT(name.size > 3);
    shoal_slice tail = {name.data + name.size - 3, 3};
    if (shoal_text_is(tail, "lru")) return SHOAL_SNAPSHOT_HEAT_IDLE;
    return shoal_text_is(tail, "lfu") ? SHOAL_SNAPSHOT_HEAT_FREQUENCY : SHOAL_SNAPSHOT_HEAT_NONE;
}

static void add_fact(shoal_snapshot_head *facts, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_fact(shoal_snapshot_head *facts, const char *name, const char *format, ...)
{
    va_list arguments;
    SHOAL_ASSERT(facts->count < SHOAL_SNAPSHOT_FACTS_MAX);
    va_start(arguments, format);
    shoal_text_vappendf(&facts->text, format, arguments);
    va_end(arguments);
    facts->names[facts->count] = name;
    facts->ends[facts->count++] = shoal_buffer_size(&facts->text);
}

static void collect_facts(const shoal_node *node, shoal_snapshot_head *facts)
{
    shoal_store_stats stats;
    shoal_store_stats_get(node->store, &stats);
    SHOAL_ASSERT(facts->count == 0);
    add_fact(facts, "redis-ver", "7.0.15");
    add_fact(facts, "redis-bits", "64");
    add_fact(facts, "ctime", "%lld", (long long)(node->now.wall_us / US_PER_S));
    add_fact(facts, "used-mem", "%llu", (unsigned long long)(stats.bytes + stats.bytes_queues));
    add_fact(facts, "aof-base", "0");
    shoal_repl_facts repl;
    shoal_repl_facts_get(node->replication.repl, &repl);
    if (!repl.kept) return;
    uint32_t db = repl.is_replica ? shoal_node__apply_db(node) : 0;
    add_fact(facts, "repl-stream-db", "%u", (unsigned)db);
    add_fact(facts, "repl-id", "%s", repl.id);
    add_fact(facts, "repl-offset", "%llu", (unsigned long long)repl.offset);
}

static shoal_rdb_style style(const shoal_node *node)
{
    const shoal_settings *settings = shoal_load_relaxed(&node->env.settings);
    SHOAL_ASSERT(node->now.wall_us >= 0);
    shoal_rdb_style made = shoal_dump_style(settings, shoal_time_wall_ms(node->now));
    made.compress = shoal_config__number(&node->config, SHOAL_DIRECTIVE_RDBCOMPRESSION) != 0;
    return made;
}

shoal_snapshot_options shoal_node__snapshot_open(const shoal_node *node, shoal_snapshot_head *head)
{
    const shoal_config *config = &node->config;
    int64_t databases = shoal_config__number(config, SHOAL_DIRECTIVE_DATABASES);
    bool cluster = shoal_config__number(config, SHOAL_DIRECTIVE_CLUSTER_ENABLED) != 0;
    *head = (shoal_snapshot_head){.text = shoal_buffer_make(&node->allocator)};
    collect_facts(node, head);
    shoal_slice text = shoal_buffer_slice(&head->text);
    bool whole = !head->text.failed;
    SHOAL_ASSERT(head->count > 0);
    for (uint32_t i = 0; i < head->count && whole; i++) {
        size_t from = i == 0 ? 0 : head->ends[i - 1];
        head->list[i].name = shoal_text(head->names[i]);
        head->list[i].value = (shoal_slice){text.data + from, head->ends[i] - from};
    }
    return (shoal_snapshot_options){.allocator = node->allocator,
                                    .databases = cluster ? 1 : (uint32_t)databases,
                                    .threads = node->worker_count + 1,
                                    .style = style(node),
                                    .checksum =
                                        shoal_config__number(config, SHOAL_DIRECTIVE_RDBCHECKSUM) !=
                                        0,
                                    .heat = heat(node),
                                    .keeps_expired = true,
                                    .facts = head->list,
                                    .fact_count = whole ? head->count : 0};
}

/* Begins a snapshot now. */
static void begin_now(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    const shoal_config *config = &node->config;
    shoal_snapshot_head head;
    shoal_snapshot_options snapshot = shoal_node__snapshot_open(node, &head);
    SHOAL_ASSERT(!shoal_node__is_saving(node));
    shoal_buffer path_new = shoal_buffer_make(&node->allocator);
    shoal_text_appendf(&path_new, "temp-%lld.rdb", (long long)node->env.process_id);
    shoal_rdb_save_options options = {
        .host = &node->host,
        .snapshot = snapshot,
        .path = shoal_config__text(config, SHOAL_DIRECTIVE_DBFILENAME),
        .sync_often = shoal_config__number(config, SHOAL_DIRECTIVE_RDB_SAVE_INCREMENTAL_FSYNC) != 0,
        .delay_us = shoal_config__number(config, SHOAL_DIRECTIVE_RDB_KEY_SAVE_DELAY)};
    /* Below 0 Redis sleeps for so many keys a microsecond: too little to tell. */
    if (options.delay_us < 0) options.delay_us = 0;
    options.path_new = shoal_buffer_slice(&path_new);
    shoal_store_stats stats;
    shoal_store_stats_get(node->store, &stats);
    saving->changes_begun = stats.changes;
    saving->tried_us = node->now.mono_us;
    saving->keys_total = stats.keys;
    saving->scheduled = false;
    saving->flushes_seen = shoal_load_relaxed(&node->env.flushes);
    shoal_rdb_save_begin(&saving->save, node->thread, &options);
    shoal_buffer_free(&path_new);
    shoal_buffer_free(&head.text);
}

/* Begins a snapshot. Where the log of effects is kept, the offset in its head must be that of what
 * it shows, so it begins in a moment of the store. */
static void begin(shoal_node *node)
{
    shoal_repl_facts facts;
    SHOAL_ASSERT(!shoal_node__is_saving(node));
    shoal_repl_facts_get(node->replication.repl, &facts);
    if (!facts.kept) {
        begin_now(node);
        return;
    }
    node->saving.scheduled = false;
    node->saving.waits_moment = true;
    node->host.nudge(node->host.context, SHOAL_ACTOR_CONTROL);
}

static void begin_in_moment(shoal_node *node)
{
    SHOAL_ASSERT(node->saving.waits_moment);
    if (!shoal_node__moment_is_free(node) || !shoal_node__moment_wish(node)) return;
    node->saving.waits_moment = false;
    begin_now(node);
    shoal_node__moment_end(node);
}

/* Gives up what has not begun. */
static void forget_moment(shoal_node *node)
{
    SHOAL_ASSERT(node->thread != NULL);
    if (!node->saving.waits_moment) return;
    node->saving.waits_moment = false;
    if (shoal_node__moment_is_free(node)) shoal_node__moment_end(node);
}

/* ---- the end ---- */

void shoal_node__saving_judge(shoal_node *node)
{
    const shoal_config *config = &node->config;
    bool asked = shoal_config__number(config, SHOAL_DIRECTIVE_STOP_WRITES_ON_BGSAVE_ERROR) != 0;
    bool refuse = asked && node->saving.failed && shoal_node__has_save_points(node);
    uint32_t before = shoal_load_relaxed(&node->env.misconf);
    uint32_t after = refuse ? before | SHOAL_MISCONF_RDB : before & ~SHOAL_MISCONF_RDB;
    SHOAL_ASSERT((before & ~SHOAL_MISCONF_ALL) == 0);
    if (before != after) shoal_store_relaxed(&node->env.misconf, after);
}

/* Answers the SAVEs that wait. */
static void answer_all(shoal_node *node, bool good)
{
    shoal_saving *saving = &node->saving;
    shoal_errand *errand = saving->first;
    SHOAL_ASSERT(saving->first == NULL || saving->last != NULL);
    saving->first = saving->last = NULL;
    while (errand != NULL) {
        shoal_errand *next = (shoal_errand *)errand->gate.op.next;
        shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
        if (good) {
            shoal_reply_ok(&reply);
        } else {
            shoal_reply_error(&reply, "ERR");
        }
        shoal_errand_finish(errand);
        errand = next;
    }
}

/* Finishes the SHUTDOWNs that wait: they close with the server, or are told why it stays. */
static void answer_farewells(shoal_node *node, bool good)
{
    shoal_saving *saving = &node->saving;
    shoal_errand *errand = saving->farewell;
    SHOAL_ASSERT(!saving->leaving);
    saving->farewell = NULL;
    while (errand != NULL) {
        shoal_errand *next = (shoal_errand *)errand->gate.op.next;
        shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
        errand->close_after = good;
        if (!good) shoal_reply_error(&reply, "ERR Errors trying to SHUTDOWN. Check logs.");
        shoal_errand_finish(errand);
        errand = next;
    }
}

/* The last snapshot before the end is written, or could not be: then the node stays. */
static void end_farewell(shoal_node *node, bool good)
{
    SHOAL_ASSERT(node->saving.leaving);
    node->saving.leaving = node->saving.last_begun = false;
    if (!good)
        shoal_node__log(node, SHOAL_LEVEL_WARNING, "Error trying to save the DB, can't exit.");
    answer_farewells(node, good);
    if (good) shoal_node__enter_phase(node, SHOAL_PHASE_LEAVING);
}

bool shoal_node__stay(shoal_node *node)
{
    SHOAL_ASSERT(node->saving.leaving || node->saving.farewell == NULL);
    if (!node->saving.leaving) return false;
    node->saving.leaving = node->saving.last_begun = false;
    answer_farewells(node, false);
    return true;
}

static void end(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    bool good = saving->save.error == SHOAL_ERR_OK;
    SHOAL_ASSERT(!shoal_node__is_saving(node));
    bool given_up = saving->save.error == SHOAL_ERR_CLOSED;
    /* SHUTDOWN tells of its failure by staying: no writes are refused for it. */
    bool told = given_up || saving->last_begun;
    saving->failed = !good && (saving->failed || !told);
    saving->took_s = (node->now.mono_us - saving->tried_us) / US_PER_S;
    if (good) {
        saving->done++;
        saving->changes_saved = saving->changes_begun;
        saving->saved_s = node->now.wall_us / US_PER_S;
        shoal_node__log(node, SHOAL_LEVEL_NOTICE, "DB saved on disk");
        shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Background saving terminated with success");
    } else {
        shoal_node__log(node, SHOAL_LEVEL_WARNING, "Background saving error: %s",
                        shoal_err_text(saving->save.error));
    }
    shoal_node__saving_judge(node);
    answer_all(node, good);
    if (saving->last_begun) end_farewell(node, good);
}

void shoal_node__saving_abandon(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(saving->first == NULL || saving->last != NULL);
    answer_all(node, false);
    /* Operations that wait for the moment go on when it is given up. */
    shoal_thread_enter(node->thread, node->now);
    forget_moment(node);
    shoal_thread_leave(node->thread);
    saving->leaving = false;
    answer_farewells(node, true);
    shoal_rdb_save_drop(&saving->save);
    if (saving->load != NULL) shoal_node__dump_drop(node);
}

/* ---- save points ---- */

/* Takes the next number of a list. False at its end. */
static bool next_number(shoal_slice *list, int64_t *out)
{
    size_t size = 0;
    while (list->size > 0 && list->data[0] == ' ') {
        list->data++;
        list->size--;
    }
    while (size < list->size && list->data[size] != ' ') size++;
    SHOAL_DEBUG_ASSERT(size <= list->size);
    bool good = size > 0 && shoal_text_to_i64((shoal_slice){list->data, size}, out);
    list->data += size;
    list->size -= size;
    return good;
}

bool shoal_node__has_save_points(const shoal_node *node)
{
    shoal_slice list = shoal_config__text(&node->config, SHOAL_DIRECTIVE_SAVE);
    int64_t number;
    SHOAL_ASSERT(list.data != NULL || list.size == 0);
    return next_number(&list, &number);
}

static void look_at_points(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    shoal_slice list = shoal_config__text(&node->config, SHOAL_DIRECTIVE_SAVE);
    int64_t seconds, wanted;
    int64_t since_s = node->now.wall_us / US_PER_S - saving->saved_s;
    uint64_t now = changes(node);
    SHOAL_ASSERT(!shoal_node__is_saving(node));
    if (now == saving->changes_saved) return;
    if (saving->failed && node->now.mono_us - saving->tried_us < RETRY_US) return;
    while (next_number(&list, &seconds) && next_number(&list, &wanted)) {
        if (now - saving->changes_saved < (uint64_t)wanted || since_s <= seconds) continue;
        shoal_node__log(node, SHOAL_LEVEL_NOTICE, "%lld changes in %lld seconds. Saving...",
                        (long long)wanted, (long long)seconds);
        begin(node);
        return;
    }
}

/* FLUSHALL: what the snapshot would show is not wanted any more. As Redis, which kills its child;
 * that is no failure. */
static void stop_for_flush(shoal_node *node)
{
    SHOAL_ASSERT(shoal_node__is_saving(node));
    if (node->saving.waits_moment) return;
    node->saving.flushes_seen = shoal_load_relaxed(&node->env.flushes);
    if (node->saving.last_begun || node->saving.first != NULL) return;
    shoal_rdb_save_abort(&node->saving.save);
}

int64_t shoal_node__saving_deadline(const shoal_node *node)
{
    int64_t save_us = shoal_rdb_save_deadline(&node->saving.save);
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    int64_t restraint_us = shoal_node__restraint_deadline(node);
    if (restraint_us < save_us) save_us = restraint_us;
    if (node->phase != SHOAL_PHASE_LOADING || node->saving.load == NULL) return save_us;
    return node->saving.load_due_us;
}

bool shoal_node_leave(shoal_node *node)
{
    SHOAL_ASSERT(node->saving.farewell == NULL || node->saving.leaving);
    if (node->phase != SHOAL_PHASE_READY) return false;
    node->saving.asked_to_leave = true;
    node->host.nudge(node->host.context, SHOAL_ACTOR_CONTROL);
    return true;
}

static void leave(shoal_node *node)
{
    SHOAL_ASSERT(node->saving.asked_to_leave);
    node->saving.asked_to_leave = false;
    if (node->phase != SHOAL_PHASE_READY) return;
    (void)shoal_node__farewell(node, NULL, shoal_node__has_save_points(node), false);
}

void shoal_node__saving_step(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(node->thread != NULL);
    if (saving->asked_to_leave) leave(node);
    shoal_node__load_step(node);
    if (shoal_node__is_saving(node) &&
        saving->flushes_seen != shoal_load_relaxed(&node->env.flushes))
        stop_for_flush(node);
    if (saving->waits_moment) begin_in_moment(node);
    if (shoal_rdb_save_step(&saving->save, node->thread)) end(node);
    if (saving->failed) shoal_node__saving_judge(node);
    if (node->phase != SHOAL_PHASE_READY || shoal_node__is_saving(node)) return;
    if (saving->leaving) {
        saving->last_begun = true;
        begin(node);
    } else if (saving->scheduled) {
        if (!shoal_cut_taken(node->store)) begin(node);
    } else {
        look_at_points(node);
    }
}

void shoal_node__saving_file_done(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(event->file == SHOAL_RDB_FILE || event->file == SHOAL_RDB_FILE_NEW);
    shoal_rdb_save_file_done(&node->saving.save, event);
}

/* ---- commands ---- */

void shoal_node__bgsave(shoal_node *node, const shoal_errand *errand, shoal_reply *reply)
{
    bool schedule = errand->argc == 2 && shoal_text_is(errand->argv[1], "schedule");
    SHOAL_ASSERT(errand->command->id == SHOAL_COMMAND_BGSAVE);
    if (errand->argc > 1 && !schedule) {
        shoal_reply_error(reply, "ERR syntax error");
    } else if (shoal_node__is_saving(node)) {
        shoal_reply_error(reply, "ERR Background save already in progress");
    } else if (shoal_cut_taken(node->store) && schedule) {
        node->saving.scheduled = true;
        shoal_reply_status(reply, "Background saving scheduled");
    } else if (shoal_cut_taken(node->store)) {
        shoal_reply_error(reply,
                          "ERR Another child process is active (AOF?): can't BGSAVE right now. Use "
                          "BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.");
    } else {
        begin(node);
        shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Background saving started by pid %lld",
                        (long long)node->env.process_id);
        shoal_reply_status(reply, "Background saving started");
    }
}

bool shoal_node__save(shoal_node *node, shoal_errand *errand, shoal_reply *reply)
{
    shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(errand->command->id == SHOAL_COMMAND_SAVE);
    /* SAVEs of others are one with this; a BGSAVE has its moment behind it. */
    if (shoal_node__is_saving(node) || shoal_cut_taken(node->store)) {
        shoal_reply_error(reply, "ERR Background save already in progress");
        return false;
    }
    errand->gate.op.next = NULL;
    saving->first = saving->last = errand;
    begin(node);
    return true;
}

void shoal_node__lastsave(const shoal_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(node->saving.saved_s >= 0);
    shoal_reply_integer(reply, node->saving.saved_s);
}

void shoal_node__save_and_leave(shoal_node *node, shoal_errand *errand)
{
    shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_READY);
    if (errand != NULL) {
        errand->gate.op.next = saving->farewell == NULL ? NULL : &saving->farewell->gate.op;
        saving->farewell = errand;
    }
    if (saving->leaving) return;
    saving->leaving = true;
    shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Saving the final RDB snapshot before exiting.");
    /* A snapshot that is under way has an older moment: it goes, and the last one follows it. */
    forget_moment(node);
    if (shoal_node__is_saving(node)) shoal_rdb_save_abort(&saving->save);
}

/* ---- INFO ---- */

void shoal_node__saving_progress(const shoal_node *node, shoal_buffer *out)
{
    const shoal_saving *saving = &node->saving;
    bool on = shoal_node__is_saving(node);
    SHOAL_ASSERT(out->allocator != NULL);
    uint64_t total = saving->keys_total > 0 ? saving->keys_total : 1;
    uint64_t hundredths = on ? saving->save.keys * 10000 / total : 0;
    /* What copies of pages are to Redis, copies of keys that are about to change are here. */
    shoal_info__number(out, "current_cow_peak", on ? saving->save.copied : 0);
    shoal_info__number(out, "current_cow_size", on ? saving->save.copied : 0);
    shoal_info__number(out, "current_cow_size_age", 0);
    shoal_text_appendf(out, "current_fork_perc:%llu.%02llu\r\n",
                       (unsigned long long)(hundredths / 100),
                       (unsigned long long)(hundredths % 100));
    shoal_info__number(out, "current_save_keys_processed", on ? saving->save.keys : 0);
    shoal_info__number(out, "current_save_keys_total", on ? saving->keys_total : 0);
}

void shoal_node__saving_info(const shoal_node *node, shoal_buffer *out)
{
    const shoal_saving *saving = &node->saving;
    bool on = shoal_node__is_saving(node);
    int64_t running_s = on ? (node->now.mono_us - saving->tried_us) / US_PER_S : -1;
    SHOAL_ASSERT(running_s >= -1);
    shoal_info__number(out, "rdb_changes_since_last_save", changes(node) - saving->changes_saved);
    bool sends = shoal_node__replication_sends(node);
    shoal_info__number(out, "rdb_bgsave_in_progress", on || sends);
    shoal_info__number(out, "rdb_last_save_time", (uint64_t)saving->saved_s);
    shoal_info__text(out, "rdb_last_bgsave_status", saving->failed ? "err" : "ok");
    shoal_text_appendf(out, "rdb_last_bgsave_time_sec:%lld\r\n", (long long)saving->took_s);
    shoal_text_appendf(out, "rdb_current_bgsave_time_sec:%lld\r\n", (long long)running_s);
    shoal_info__number(out, "rdb_saves", saving->done);
    shoal_info__number(out, "rdb_last_cow_size", on ? 0 : saving->save.copied);
    shoal_info__number(out, "rdb_last_load_keys_expired", saving->keys_expired);
    shoal_info__number(out, "rdb_last_load_keys_loaded", saving->keys_loaded);
}
