/* SPDX-License-Identifier: MIT
 *
 * command/debug.c - DEBUG, for tests and for the curious. Nobody may call it unless
 * enable-debug-command says so. What is about one kind of reply stands in debug_protocol.c, what is
 * about data in debug_data.c and debug_populate.c.
 */
#include "command/debug.h"
#include "command/effect.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/number.h"
#include "command/job.h"
#include "command/pause.h"
#include "command/worker.h"

/* The level of what should be seen, as traces number them. */
#define LOG_WARNING 3u

/* Longest DEBUG SLEEP in seconds. Chosen: a day. */
#define SLEEP_MAX_S 86400.0

/* ---- small ones ---- */

/* The client's own words as an error; without a code they are taken as they are. */
static void reply_error(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    shoal_slice text = call->argv[2];
    shoal_reply_errorf(&call->reply, "%.*s", (int)text.size, text.data);
}

/* Writes a line to the log, where there is one. */
static void write_log(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    const shoal_host *host = call->env->host;
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    shoal_text_appendf(&text, "DEBUG LOG: %.*s", (int)call->argv[2].size, call->argv[2].data);
    const shoal_trace_record record = {.kind = SHOAL_TRACE_LOG,
                                       .a = LOG_WARNING,
                                       .text = shoal_buffer_slice(&text)};
    if (host != NULL && host->trace != NULL) host->trace(host->context, &record);
    shoal_buffer_free(&text);
    shoal_reply_ok(&call->reply);
}

/* Numbers that begin with anything but zero switch it on. */
static void set_active_expire(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    int64_t on = 0;
    (void)shoal_text_to_i64(call->argv[2], &on);
    shoal_pause__set_expiry(call->env, on != 0);
    shoal_reply_ok(&call->reply);
}

static void set_skip_checksum(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    int64_t skip = 0;
    (void)shoal_text_to_i64(call->argv[2], &skip);
    shoal_store_relaxed(&call->env->checksums_off, skip != 0);
    shoal_reply_ok(&call->reply);
}

/* A size in bytes with a unit, as in configuration files. Nothing here depends on it: how the nodes
 * of a list are cut is a matter of list-max-listpack-size alone. */
static void packed_threshold(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    static const struct {
        const char *name;
        int64_t factor;
    } units[] = {
        {"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1024},
        {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30},
    };
    shoal_slice text = call->argv[2];
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9') digits++;
    shoal_slice unit = {text.data + digits, text.size - digits};
    int64_t size = -1;
    bool valid = shoal_text_to_i64((shoal_slice){text.data, digits}, &size);
    bool known = false;
    for (size_t i = 0; valid && i < sizeof(units) / sizeof(units[0]); i++) {
        if (!shoal_text_is(unit, units[i].name)) continue;
        known = !__builtin_mul_overflow(size, units[i].factor, &size);
    }
    if (known && size <= (int64_t)UINT32_MAX) {
        shoal_reply_ok(&call->reply);
    } else {
        shoal_reply_error(&call->reply,
                          "ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    }
}

/* When the buffers of replies shrink; here no connection keeps one, so nothing depends on it. */
static void reply_buffer(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    if (shoal_text_is(call->argv[2], "peak-reset-time") ||
        shoal_text_is(call->argv[2], "resizing")) {
        shoal_reply_ok(&call->reply);
    } else {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    }
}

/* What a database holds, slot by slot: there is no single table. */
static void table_stats(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    int64_t db;
    if (!shoal_call__integer(call, 2, &db)) return;
    if (db < 0 || db >= shoal_call__settings(call)->databases) {
        shoal_reply_error(&call->reply, "ERR Out of range database");
        return;
    }
    uint64_t used = 0, most = 0;
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        uint64_t keys = shoal_store_count_slot(call->store, SHOAL_PLACE(db, slot));
        used += keys != 0;
        if (keys > most) most = keys;
    }
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    shoal_text_appendf(&text,
                       "[Tables of %u slots]\n number of elements: %llu\n with a time to live: "
                       "%llu\n different slots: %llu\n max chain length: %llu\n",
                       (unsigned)SHOAL_SLOTS,
                       (unsigned long long)shoal_store_count(call->store, (uint32_t)db),
                       (unsigned long long)shoal_store_count_volatile(call->store, (uint32_t)db),
                       (unsigned long long)used, (unsigned long long)most);
    shoal_reply_verbatim(&call->reply, "txt", shoal_buffer_slice(&text));
    if (text.failed) call->reply.out->failed = true;
    shoal_buffer_free(&text);
}

/* ---- SLEEP ---- */

static shoal_job_turn wake_up(shoal_job *job, shoal_call *call)
{
    SHOAL_ASSERT(job->at_us >= 0);
    if (call->now.mono_us < job->at_us) return SHOAL_JOB_LATER;
    shoal_reply_ok(&call->reply);
    return SHOAL_JOB_DONE;
}

static void drop_sleep(shoal_job *job, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(job->step == wake_up);
    allocator->release(allocator->context, job, sizeof(*job), _Alignof(shoal_job));
}

void shoal_debug__sleep(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    double seconds = 0;
    shoal_number_kind kind = shoal_number_to_double(call->argv[2], &seconds);
    if (kind == SHOAL_NUMBER_NONE || !(seconds > 0)) {
        shoal_reply_ok(&call->reply);
        return;
    }
    if (seconds > SLEEP_MAX_S) seconds = SLEEP_MAX_S;
    const shoal_allocator *allocator = &call->env->allocator;
    shoal_job *job = allocator->allocate(allocator->context, sizeof(*job), _Alignof(shoal_job));
    if (job == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    *job = (shoal_job){.step = wake_up,
                       .drop = drop_sleep,
                       .at_us = call->now.mono_us + (int64_t)(seconds * 1e6)};
    const shoal_host *host = call->env->host;
    if (host != NULL && host->busy != NULL) {
        host->busy(host->context, job->at_us);
    } else {
        shoal_store_relaxed(&call->env->sleep_until_us, job->at_us);
    }
    shoal_job__start(job, call);
}

/* Asks the control actor, who knows the request as words of another command that clients cannot
 * say. */
static void ask_control(shoal_call *call, shoal_command_id id, const shoal_slice *argv,
                        uint32_t argc)
{
    SHOAL_ASSERT(call->session != NULL);
    shoal_call asked = *call;
    asked.command = shoal_command_row(id);
    asked.argc = argc;
    asked.argv = argv;
    shoal_errand *errand = shoal_errand__make(call->session, &asked);
    if (errand == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else {
        shoal_errand__to_control(errand);
    }
}

/* Asks the bus. */
static void ask_bus(shoal_call *call, const shoal_slice *argv, uint32_t argc)
{
    SHOAL_ASSERT(argc > 1);
    if (!call->worker->settings->cluster) {
        shoal_reply_error(&call->reply, "ERR Debug option only available for cluster mode enabled "
                                        "setup!");
        return;
    }
    ask_control(call, SHOAL_COMMAND_CLUSTER_LINKS, argv, argc);
}

/* DEBUG LOADAOF */
static void load_aof(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    const shoal_slice argv[] = {{"bgrewriteaof", 12}, {"loadaof", 7}};
    ask_control(call, SHOAL_COMMAND_BGREWRITEAOF, argv, 2);
}

/* How long Redis sleeps before it writes to the append-only file; here no thread may sleep, and no
 * reply overtakes its write. */
static void flush_sleep(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    shoal_reply_ok(&call->reply);
}

/* DEBUG CLUSTERLINK KILL <to|from|all> <node-id> */
static void kill_link(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 5);
    const shoal_slice argv[] = {{"cluster", 7}, {"links-kill", 10}, call->argv[3], call->argv[4]};
    if (!shoal_text_is(call->argv[2], "kill")) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    ask_bus(call, argv, 4);
}

/* DEBUG DROP-CLUSTER-PACKET-FILTER <type> */
static void drop_frames(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    const shoal_slice argv[] = {{"cluster", 7}, {"links-drop", 10}, call->argv[2]};
    int64_t type;
    if (!shoal_call__integer(call, 2, &type)) return;
    ask_bus(call, argv, 3);
}

/* DEBUG REPLICATE <word> ... */
static void replicate(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3 && call->thread != NULL);
    (void)shoal_effects_tell(call->env, call->thread, call->db, call->argv + 2, call->argc - 2);
    shoal_reply_ok(&call->reply);
}

/* ---- DEBUG ---- */

static void reply_help(shoal_call *call);

/* The subcommands: how many arguments each takes, DEBUG and its own name included. */
static const struct {
    const char *name;
    uint32_t argc_min, argc_max;
    void (*run)(shoal_call *call);
    const char *arguments, *help;
} subs[] = {
    {"aof-flush-sleep", 3, 3, flush_sleep, "<microseconds>",
     "Takes a time, for tests that set one; it has no effect"},
    {"clusterlink", 5, 5, kill_link, "KILL <to|from|all> <node-id>",
     "Ends connections of the cluster bus with a node"},
    {"digest", 2, 2, shoal_debug__digest, "", "A digest of all data"},
    {"digest-value", 2, UINT32_MAX, shoal_debug__digest_value, "<key> [<key> ...]",
     "A digest of each value"},
    {"drop-cluster-packet-filter", 3, 3, drop_frames, "<type>",
     "Ignores frames of a type on the cluster bus; -1: none"},
    {"error", 3, 3, reply_error, "<text>", "Answers with the text as an error"},
    {"htstats", 3, 3, table_stats, "<db>", "How the keys of a database are spread over the slots"},
    {"htstats-key", 3, 3, shoal_debug__table_of_key, "<key>", "How many elements a table has"},
    {"loadaof", 2, 2, load_aof, "", "Forgets all data, and reads the append-only file"},
    {"log", 3, 3, write_log, "<text>", "Writes a line to the log"},
    {"mallctl", 3, 4, shoal_debug__mallctl, "<name> [<value>]",
     "A number of the allocator: arenas.page"},
    {"mallctl-str", 3, 4, shoal_debug__mallctl_text, "<name> [<value>]",
     "A text of the allocator; thread.tcache.flush gives back what the thread has at hand"},
    {"object", 3, 3, shoal_debug__object, "<key>", "How a value is kept"},
    {"populate", 3, 5, shoal_debug__populate, "<count> [<prefix>] [<size>]",
     "Creates string keys <prefix>:0 and so on, but for those that exist"},
    {"protocol", 3, 3, shoal_debug__protocol, "<type>",
     "Answers with a fixed reply of a type: string, integer, double, null, array, set, map, "
     "attrib, push, verbatim, true, false or bignum"},
    {"quicklist-packed-threshold", 3, 3, packed_threshold, "<size>",
     "Takes a size, for tests that set one; it has no effect"},
    {"reload", 2, UINT32_MAX, shoal_debug__reload, "[MERGE] [NOFLUSH] [NOSAVE]",
     "Writes all data as an RDB file, in memory, and reads it again"},
    {"replicate", 3, UINT32_MAX, replicate, "<word> [<word> ...]",
     "Sends replicas these words as a command, whatever becomes of their data"},
    {"replybuffer", 4, 4, reply_buffer, "<PEAK-RESET-TIME|RESIZING> <value>",
     "Takes a value, for tests that set one; it has no effect"},
    {"set-active-expire", 3, 3, set_active_expire, "<0|1>",
     "Whether keys are removed in the background when their time has come"},
    {"set-skip-checksum-validation", 3, 3, set_skip_checksum, "<0|1>",
     "Whether RESTORE takes payloads with a wrong checksum"},
    {"sleep", 3, 3, shoal_debug__sleep, "<seconds>",
     "Stops the whole node for so long; a signal to end it is not held up"},
    {"help", 2, 2, reply_help, "", "The subcommands of DEBUG"},
};
#define SUB_COUNT (sizeof(subs) / sizeof(subs[0]))

/* One line of the help; the name in capitals, and what belongs to it behind a blank. */
static void reply_line(shoal_call *call, const char *name, const char *behind)
{
    SHOAL_ASSERT(name != NULL && behind != NULL);
    shoal_buffer line = shoal_buffer_make(&call->env->allocator);
    for (; *name != '\0'; name++) {
        char c = *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        shoal_buffer_append(&line, (shoal_slice){&c, 1});
    }
    shoal_text_appendf(&line, "%s%s", *behind != '\0' ? " " : "", behind);
    shoal_buffer_append(&line, (shoal_slice){"", 1});
    shoal_reply_status(&call->reply, line.failed ? "" : line.data);
    shoal_buffer_free(&line);
}

static void reply_help(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    shoal_reply_array(&call->reply, 1 + 2 * SUB_COUNT);
    shoal_reply_status(&call->reply, "DEBUG <subcommand> [<argument> ...]. The subcommands are:");
    for (size_t i = 0; i < SUB_COUNT; i++) {
        reply_line(call, subs[i].name, subs[i].arguments);
        reply_line(call, "   ", subs[i].help);
    }
}

/* May this client use DEBUG? */
static bool permitted(const shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    const shoal_settings *settings = call->worker->settings;
    return settings->debug || (settings->debug_local && shoal_session__is_local(call->session));
}

void shoal_command__debug(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    SHOAL_ASSERT(call->key_count == 0);
    shoal_slice name = call->argv[1];
    if (!permitted(call)) {
        shoal_reply_error(&call->reply,
                          "ERR DEBUG command not allowed. If the enable-debug-command option is "
                          "set to \"local\", you can run it from a local connection, otherwise you "
                          "need to set this option in the configuration file, and then restart the "
                          "server.");
        return;
    }
    for (size_t i = 0; i < SUB_COUNT; i++) {
        if (!shoal_text_is(name, subs[i].name)) continue;
        if (call->argc < subs[i].argc_min || call->argc > subs[i].argc_max) break;
        subs[i].run(call);
        return;
    }
    shoal_reply_errorf(&call->reply,
                       "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try "
                       "DEBUG HELP.",
                       name.size < 128 ? (int)name.size : 128, name.data);
}
