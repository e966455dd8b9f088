/* SPDX-License-Identifier: MIT
 *
 * sim/live/live.h: one live run from the making of the cluster to the last verdict.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/assert.h"
#include "base/crc16.h"
#include "sim/live/live_room.h"
#include "sim/live/signals.h"
#include "sim/memory.h"

/* Behind its last line a run is over after so long, whatever it waits for. Chosen: longer than any
 * expectation of use. */
#define LAST_US INT64_C(600000000)
/* How often processes are looked for that have ended by themselves. */
#define CENSUS_US INT64_C(200000)

bool shoal_live__trouble(shoal_live *live, const char *format, ...)
{
    char *out = live->result->trouble;
    va_list arguments;
    if (out[0] != 0) return false;
    va_start(arguments, format);
    vsnprintf(out, sizeof(live->result->trouble), format, arguments);
    va_end(arguments);
    for (char *c = out; *c; c++) {
        if (*c == '\r' || *c == '\n') *c = ' ';
    }
    return false;
}

bool shoal_live__plays(const shoal_live *live, const shoal_line *line)
{
    size_t index = (size_t)(line - live->schedule->lines);
    SHOAL_ASSERT(index < live->schedule->count);
    return live->options->plan[index].fit != SHOAL_FIT_LEFT_OUT;
}

/* ---- lines ---- */

/* A line about ways, while it is applied. */
typedef struct way_line {
    shoal_live *live;
    const shoal_line *line;
} way_line;

static void apply_to_way(void *context, uint32_t from, uint32_t to)
{
    const way_line *way = context;
    shoal_proxy *proxy = way->live->proxy;
    int64_t until = shoal_loop__now(&way->live->loop) + way->line->amount;
    switch (way->line->kind) {
    case SHOAL_LINE_NET: shoal_proxy__quality(proxy, from, to, &way->line->quality); return;
    case SHOAL_LINE_CUT: shoal_proxy__cut(proxy, from, to); return;
    case SHOAL_LINE_HEAL: shoal_proxy__heal(proxy, from, to); return;
    case SHOAL_LINE_STALL: shoal_proxy__stall(proxy, from, to, until); return;
    case SHOAL_LINE_STRAND: shoal_proxy__strand(proxy, from, to); return;
    case SHOAL_LINE_RESET:
        if (way->line->relation == SHOAL_RELATION_FORWARD)
            shoal_proxy__reset_one(proxy, from, to);
        else if (from < to)
            shoal_proxy__reset(proxy, from, to);
        return;
    default: SHOAL_UNREACHABLE();
    }
}

static void restart(shoal_live *live, uint32_t node, bool wiped)
{
    if (live->processes[node].pid != 0) return;
    if (wiped) shoal_process__wipe(&live->processes[node]);
    shoal_proxy__back(live->proxy, node);
    shoal_cast__start(live, node);
}

static void apply_to_node(shoal_live *live, const shoal_line *line, uint32_t node)
{
    shoal_process *process = &live->processes[node];
    switch (line->kind) {
    case SHOAL_LINE_CRASH: shoal_cast__crash(live, node, line->power); return;
    case SHOAL_LINE_RESTART: restart(live, node, line->wiped); return;
    case SHOAL_LINE_RESUME:
    case SHOAL_LINE_PAUSE:
        shoal_loop__disarm(&live->loop, &live->busy[node]);
        if (line->kind == SHOAL_LINE_PAUSE)
            shoal_process__stop(process);
        else
            shoal_process__continue(process);
        return;
    case SHOAL_LINE_BUSY:
        shoal_process__stop(process);
        live->busy[node].context = process;
        shoal_loop__arm(&live->loop, &live->busy[node],
                        shoal_loop__now(&live->loop) + line->amount);
        return;
    case SHOAL_LINE_OPERATE: shoal_counter__order(live, node, line->text, NULL, NULL); return;
    default: SHOAL_UNREACHABLE();
    }
}

static void not_busy(void *context)
{
    shoal_process__continue(context);
}

static void apply_to_nodes(shoal_live *live, const shoal_line *line)
{
    uint32_t *nodes = shoal_sim__allocate(live->schedule->nodes * sizeof(*nodes));
    uint32_t count = shoal_roster__select(&live->roster, &line->left, false, nodes);
    for (uint32_t i = 0; i < count; i++) apply_to_node(live, line, nodes[i]);
    shoal_sim__free(nodes);
}

static void apply_to_clients(shoal_live *live, const shoal_line *line)
{
    uint32_t hosts = live->schedule->nodes + live->schedule->clients;
    uint32_t *some = shoal_sim__allocate(hosts * sizeof(*some));
    uint32_t count = shoal_roster__select(&live->roster, &line->left, true, some);
    for (uint32_t i = 0; i < count; i++) {
        if (some[i] < live->schedule->nodes) continue;
        if (line->kind == SHOAL_LINE_CLIENT)
            shoal_load__start(live, some[i] - live->schedule->nodes, &line->load);
        else
            shoal_load__stop(live, some[i] - live->schedule->nodes);
    }
    shoal_sim__free(some);
}

static void apply(shoal_live *live, const shoal_line *line)
{
    way_line way = {live, line};
    if (!shoal_live__plays(live, line)) return;
    shoal_measure__line(&live->result->measure, &live->roster, line, shoal_live__now(live));
    switch (line->kind) {
    case SHOAL_LINE_NET:
    case SHOAL_LINE_CUT:
    case SHOAL_LINE_HEAL:
    case SHOAL_LINE_STALL:
    case SHOAL_LINE_STRAND:
    case SHOAL_LINE_RESET: shoal_roster__ways(&live->roster, line, apply_to_way, &way); return;
    case SHOAL_LINE_CLIENT:
    case SHOAL_LINE_STOP: apply_to_clients(live, line); return;
    case SHOAL_LINE_EXPECT: shoal_hope__begin(live, line); return;
    case SHOAL_LINE_SCHEDULE:
    case SHOAL_LINE_SEED:
    case SHOAL_LINE_CLUSTER:
    case SHOAL_LINE_PROFILES:
    case SHOAL_LINE_CONFIG:
    case SHOAL_LINE_SAY:
    case SHOAL_LINE_END: return;
    default: apply_to_nodes(live, line);
    }
}

/* Applies the lines whose time has come. */
static void play_lines(void *context)
{
    shoal_live *live = context;
    const shoal_schedule *schedule = live->schedule;
    while (live->line_next < schedule->count) {
        const shoal_line *line = &schedule->lines[live->line_next];
        if (line->at_us > shoal_live__now(live)) {
            shoal_loop__arm(&live->loop, &live->lines, live->zero_us + line->at_us);
            return;
        }
        live->line_next++;
        apply(live, line);
        if (line->kind == SHOAL_LINE_END) break;
    }
    live->lines_over = true;
}

static bool is_over(void *context)
{
    const shoal_live *live = context;
    if (live->result->trouble[0] != 0) return true;
    return live->lines_over && shoal_hope__settled(live) && shoal_load__idle(live);
}

/* ---- processes that end by themselves ---- */

/* A process that was told to end has; one that ended otherwise is the run's trouble. */
static void census(shoal_live *live)
{
    char words[160];
    for (uint32_t i = 0; i < live->schedule->nodes; i++) {
        shoal_process *process = &live->processes[i];
        if (process->pid == 0 || shoal_process__runs(process)) continue;
        shoal_proxy__refuse(live->proxy, i);
        shoal_counter__forget(live, i);
        shoal_outlook__forget(live, i);
        shoal_process__last_words(process, words, sizeof(words));
        if (!WIFEXITED(process->status) || WEXITSTATUS(process->status) != 0)
            shoal_live__trouble(live, "n%u has ended by itself: %s", i + 1, words);
    }
}

/* ---- the run ---- */

/* Why a write is gone, by the words of sim/copies.c. */
static shoal_cause why_lost(void *context, const shoal_entry *entry)
{
    const shoal_live *live = context;
    char name[24];
    int size = snprintf(name, sizeof(name), "key:%u", entry->key);
    uint32_t slot = shoal_crc16_slot((shoal_slice){name, (size_t)size});
    bool passed = live->passed_us[slot] >= entry->began_us ||
                  (live->owners[slot] != 0 && live->owners[slot] != entry->node + 1);
    if (live->lives[entry->node] != entry->life || live->processes[entry->node].pid == 0)
        return passed ? SHOAL_CAUSE_FAILOVER : SHOAL_CAUSE_CRASH;
    return passed ? SHOAL_CAUSE_PARTITION : SHOAL_CAUSE_ALIVE;
}

static uint32_t key_count(const shoal_schedule *schedule)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (line->kind == SHOAL_LINE_CLIENT && line->load.keys > most) most = line->load.keys;
    }
    return most;
}

static bool make(shoal_live *live)
{
    const shoal_schedule *schedule = live->schedule;
    uint32_t nodes = schedule->nodes;
    if (!shoal_folder__make(live->folder))
        return shoal_live__trouble(live, "no folder for temporary files can be made");
    live->looping = shoal_loop__make(&live->loop);
    if (!live->looping) return shoal_live__trouble(live, "no more files can be opened");
    if (!shoal_places__find(&live->places, nodes))
        return shoal_live__trouble(live, "no free addresses on 127.0.0.0/8");
    live->proxy = shoal_proxy__make(&live->loop, &live->places, nodes, schedule->clients + 1,
                                    live->options->seed);
    live->processes = shoal_sim__allocate(nodes * sizeof(*live->processes));
    live->lives = shoal_sim__allocate(nodes * sizeof(*live->lives));
    live->busy = shoal_sim__allocate(nodes * sizeof(*live->busy));
    live->owners = shoal_sim__allocate(SHOAL_SLOTS * sizeof(*live->owners));
    live->passed_us = shoal_sim__allocate(SHOAL_SLOTS * sizeof(*live->passed_us));
    for (uint32_t i = 0; i < SHOAL_SLOTS; i++) live->passed_us[i] = -1;
    for (uint32_t i = 0; i < nodes; i++) {
        snprintf(live->processes[i].folder, sizeof(live->processes[i].folder), "%s/n%u",
                 live->folder, i + 1);
        live->busy[i].fire = not_busy;
    }
    shoal_roster__make(&live->roster, schedule);
    shoal_ledger__make(&live->ledger, key_count(schedule));
    live->ledger.why = why_lost;
    live->ledger.context = live;
    shoal_outlook__make(live);
    shoal_counter__make(live);
    shoal_load__make(live);
    return true;
}

static void unmake(shoal_live *live)
{
    shoal_hope__free(live);
    for (uint32_t i = 0; live->processes && i < live->schedule->nodes; i++)
        shoal_process__kill(&live->processes[i]);
    shoal_load__free(live);
    shoal_counter__free(live);
    shoal_outlook__free(live);
    shoal_proxy__free(live->proxy);
    shoal_ledger__free(&live->ledger);
    shoal_roster__free(&live->roster);
    if (live->looping) shoal_loop__free(&live->loop);
    shoal_sim__free(live->hopes);
    shoal_sim__free(live->processes);
    shoal_sim__free(live->lives);
    shoal_sim__free(live->busy);
    shoal_sim__free(live->owners);
    shoal_sim__free(live->passed_us);
    if (live->folder[0]) shoal_folder__remove(live->folder);
}

/* The cluster is there: the schedule's time begins. */
static void run(shoal_live *live)
{
    const shoal_schedule *schedule = live->schedule;
    int64_t last_us = schedule->count ? schedule->lines[schedule->count - 1].at_us : 0;
    live->zero_us = shoal_loop__now(&live->loop);
    live->playing = true;
    live->loop.late_us = 0;
    live->failovers = 0;
    shoal_hope__make(live);
    live->lines = (shoal_timer){.fire = play_lines, .context = live};
    shoal_loop__arm(&live->loop, &live->lines, live->zero_us);
    int64_t until = live->zero_us + last_us + LAST_US;
    for (bool over = false; !over && shoal_loop__now(&live->loop) < until;) {
        over =
            shoal_loop__run(&live->loop, shoal_loop__now(&live->loop) + CENSUS_US, is_over, live);
        if (shoal_signals__pending()) shoal_live__trouble(live, "a signal has ended it");
        census(live);
        over = over || live->result->trouble[0] != 0;
    }
    live->result->done = live->result->trouble[0] == 0;
    live->result->took_us = shoal_live__now(live);
    live->result->late_us = live->loop.late_us;
}

void shoal_live__play(const shoal_live_options *options, shoal_live_result *result)
{
    shoal_live live = {.options = options, .schedule = options->schedule, .result = result};
    *result = (shoal_live_result){0};
    shoal_measure__make(&result->measure, options->schedule);
    shoal_signals__block();
    signal(SIGPIPE, SIG_IGN);
    bool formed = make(&live) && shoal_cast__form(&live);
    if (shoal_signals__pending()) shoal_live__trouble(&live, "a signal has ended it");
    if (formed && result->trouble[0] == 0) run(&live);
    unmake(&live);
}
