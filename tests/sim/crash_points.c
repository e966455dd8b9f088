/* SPDX-License-Identifier: MIT
 *
 * Every point at which a node can die while it writes, one after the other. A small workload runs
 * once to count the points: before and behind each operation of a file, in the middle of each
 * append. Then it runs again for each of them and dies there, by the end of its process or of its
 * power, with each fate that the virtual disk knows for what was not synced. Then it is started
 * again and asked for everything it has.
 *
 * Commands are sent one at a time, so what a start may find is one of the states that the commands
 * have led through, in their order: not older than what the policy promises of those that were
 * answered, not newer than what was sent.
 */
#include "sim_run.h"

#include <stdio.h>

#include "base/text.h"
#include "sim/internal.h"

/* Commands of a script at most, and bytes of everything that a state is asked for. */
#define SCRIPT_MAX 40
#define STATE_MAX 1024
/* What appendfsync everysec may lose: what was written in a second, and while the sync behind it
 * was under way. */
#define WINDOW_US 2000000

/* What is promised of an answered command. */
typedef enum promise {
    PROMISE_SYNCED,  /* it survives everything: always */
    PROMISE_WINDOW,  /* it survives the process; and the power behind a window: everysec */
    PROMISE_WRITTEN, /* it survives the process: no */
    PROMISE_SAVED    /* it survives behind a SAVE: without a log */
} promise;

/* A kind of node. */
typedef struct kind {
    const char *name;
    const char *config;
    promise promise;
    uint32_t points_min; /* a script that reaches fewer does not do what it is for */
} kind;

static const kind kinds[] = {
    {"always", "config * appendonly yes\nconfig * appendfsync always\n", PROMISE_SYNCED, 150},
    {"everysec", "config * appendonly yes\nconfig * appendfsync everysec\n", PROMISE_WINDOW, 100},
    {"no", "config * appendonly yes\nconfig * appendfsync no\n", PROMISE_WRITTEN, 100},
    {"aof base", "config * appendonly yes\nconfig * aof-use-rdb-preamble no\n", PROMISE_WINDOW,
     100},
    {"rdb", "config * save \"\"\n", PROMISE_SAVED, 40},
};

/* How a node dies. */
static const struct {
    const char *name;
    bool power;
    shoal_disk_fate fate;
} deaths[] = {{"process", false, SHOAL_DISK_KEPT},
              {"power, kept", true, SHOAL_DISK_KEPT},
              {"power, torn", true, SHOAL_DISK_TORN},
              {"power, lost", true, SHOAL_DISK_LOST}};

/* The workload. Commands with a capital at their end change what the model knows. */
static const char *const script[] = {
    "SET s:1 one",
    "RPUSH l a b c",
    "INCR n",
    "CLUSTER BUMPEPOCH",
    "SET s:2 two",
    "HSET h f 1 g 2",
    "BGREWRITEAOF",
    "SET s:1 three",
    "RPUSH l d",
    "INCR n",
    "PEXPIRE s:2 9000000",
    "DEL s:2",
    "SAVE",
    "ZADD z 1 x 2 y",
    "INCR n",
    "LPOP l",
    "CLUSTER BUMPEPOCH",
    "BGSAVE",
    "SET s:2 four",
    "INCR n",
    "BGREWRITEAOF",
    "RPUSH l e f",
    "HDEL h f",
    "SET s:3 five",
    "SAVE",
    "INCR n",
};
#define SCRIPT_COUNT (sizeof script / sizeof script[0])

static const char *const questions[] = {"GET s:1",       "GET s:2",     "GET s:3", "GET n",
                                        "LRANGE l 0 -1", "HMGET h f g", "ZCARD z", "ZRANGE z 0 -1"};
#define QUESTION_COUNT (sizeof questions / sizeof questions[0])

/* What is known of the commands of a run. */
typedef struct ledger {
    char states[SCRIPT_COUNT + 1][STATE_MAX]; /* behind so many commands; of a run to its end */
    bool states_known;
} ledger;

/* One run. */
typedef struct run {
    shoal_schedule schedule;
    shoal_world *world;
    shoal_vnode *vnode;
    char reply[STATE_MAX];
    bool replied;
    uint32_t sent, answered; /* commands of the script */
    uint32_t saved;          /* commands before the last SAVE that was answered */
    int64_t answered_us[SCRIPT_COUNT];
    bool formed;    /* the slots are given, and that was answered */
    char id[64];    /* of the node, once answered */
    uint64_t epoch; /* that was answered */
    char where[160];
    char warning[256];
} run;

/* ---- driving ---- */

static void hear(void *context, uint32_t node, shoal_slice reply)
{
    run *now = context;
    (void)node;
    size_t size = reply.size < sizeof(now->reply) ? reply.size : sizeof(now->reply) - 1;
    memcpy(now->reply, reply.data, size);
    now->reply[size] = '\0';
    now->replied = true;
}

/* Keeps the last line that a node has logged as a warning. */
static void listen(void *context, const shoal_trace_entry *entry)
{
    run *now = context;
    if (entry->record.kind != SHOAL_TRACE_LOG || entry->record.a < 3) return;
    snprintf(now->warning, sizeof(now->warning), "%.*s", (int)entry->record.text.size,
             entry->record.text.data);
}

static void open_run(run *now, const kind *of, uint64_t seed, uint64_t stop_at)
{
    char text[512];
    snprintf(text, sizeof(text),
             "schedule v1\nseed %llu\ncluster nodes 1 node_timeout 1s meet none\n"
             "config * cluster-allow-reads-when-down yes\nconfig * auto-aof-rewrite-percentage 0\n"
             "%s0s net * latency 1us\n",
             (unsigned long long)seed, of->config);
    *now = (run){.sent = 0};
    sim_parse(text, &now->schedule);
    shoal_world_options options = shoal_world_options_default();
    options.schedule = &now->schedule;
    options.vacant = true;
    options.tracer = listen;
    options.tracer_context = now;
    assert_int_equal(shoal_world_create(&options, &now->world), SHOAL_ERR_OK);
    now->vnode = &now->world->nodes[0];
    now->world->operator_.heard = hear;
    now->world->operator_.heard_context = now;
    now->vnode->disk.stop_at = stop_at;
    shoal_world_step(now->world);
    shoal_vnode__start(now->world, 0);
}

static void close_run(run *now)
{
    shoal_world_destroy(now->world);
    shoal_schedule_free(&now->schedule);
}

/* Sends a command and waits for its reply. False when the disk has stopped before that. */
static bool ask(run *now, const char *text)
{
    now->replied = false;
    shoal_operator__order(now->world, 0, shoal_text(text), 1);
    int64_t until = now->world->now_us + 60000000;
    while (!now->replied) {
        if (!now->vnode->running)
            fail_msg("%s: the node has ended itself: %s", now->where, now->warning);
        if (now->world->now_us > until) fail_msg("%s: no answer to %s", now->where, text);
        if (!shoal_world_step(now->world)) fail_msg("%s: nothing happens: %s", now->where, text);
        if (now->vnode->disk.stopped) return false;
    }
    return true;
}

/* Lets time pass. False when the disk has stopped. */
static bool rest(run *now, int64_t us)
{
    for (int64_t end = now->world->now_us + us; now->world->now_us < end;) {
        const shoal_occurrence *next = shoal_heap__first(&now->world->heap);
        if (next == NULL || next->time_us > end) {
            shoal_world_advance(now->world, end);
            break;
        }
        shoal_world_step(now->world);
        if (now->vnode->disk.stopped) return false;
    }
    return true;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* As ask, again while the cluster is down or something else is in the way. */
static bool insist(run *now, const char *text)
{
    for (int i = 0; i < 200; i++) {
        if (!ask(now, text)) return false;
        if (!begins(now->reply, "-CLUSTERDOWN") && strstr(now->reply, "in progress") == NULL)
            return true;
        if (!rest(now, 50000)) return false;
    }
    fail_msg("%s: %s: %s", now->where, text, now->reply);
    return false;
}

/* Asks for everything. */
static void read_state(run *now, char out[STATE_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < QUESTION_COUNT; i++) {
        if (!insist(now, questions[i])) fail_msg("%s: stopped", now->where);
        int size = snprintf(out + used, STATE_MAX - used, "%s", now->reply);
        used += (size_t)size;
        assert_true(used < STATE_MAX);
    }
}

/* ---- the workload ---- */

/* Gives the node its slots. */
static bool form(run *now)
{
    if (!ask(now, "CLUSTER MYID")) return false;
    snprintf(now->id, sizeof(now->id), "%.63s", now->reply);
    if (!insist(now, "CLUSTER ADDSLOTSRANGE 0 16383")) return false;
    if (!begins(now->reply, "+OK")) fail_msg("%s: %s", now->where, now->reply);
    now->formed = true;
    return rest(now, 20000);
}

/* A command of the script was answered. */
static void note(run *now, uint32_t index)
{
    const char *command = script[index];
    bool may = begins(command, "SAVE") || begins(command, "BG");
    if (now->reply[0] == '-' && !may) fail_msg("%s: %s: %s", now->where, command, now->reply);
    now->answered = index + 1;
    now->answered_us[index] = now->world->now_us;
    if (begins(command, "SAVE") && now->reply[0] == '+') now->saved = index;
    if (begins(command, "CLUSTER BUMPEPOCH")) {
        const char *number = strrchr(now->reply, ' ');
        uint64_t epoch = 0;
        size_t size = number ? strcspn(number + 1, "\r") : 0;
        if (size > 0 && shoal_text_to_u64((shoal_slice){number + 1, size}, &epoch))
            now->epoch = epoch;
    }
}

/* Runs it to its end, or to the point where the disk stops; with `book`, notes each state. */
static void work(run *now, ledger *book)
{
    if (!form(now)) return;
    if (book) read_state(now, book->states[0]);
    for (uint32_t i = 0; i < SCRIPT_COUNT; i++) {
        now->sent = i + 1;
        if (!insist(now, script[i])) return;
        note(now, i);
        if (book) read_state(now, book->states[i + 1]);
        if (!rest(now, i % 3 == 2 ? 350000 : 5000)) return;
    }
    (void)rest(now, 2500000);
}

/* ---- judging ---- */

/* The oldest state that may be found. */
static uint32_t oldest(const run *now, promise what, size_t death, int64_t died_us)
{
    bool survives = deaths[death].fate == SHOAL_DISK_KEPT;
    if (what == PROMISE_SAVED) return now->saved;
    if (what == PROMISE_SYNCED || survives) return now->answered;
    if (what == PROMISE_WRITTEN) return 0;
    uint32_t count = now->answered;
    while (count > 0 && now->answered_us[count - 1] > died_us - WINDOW_US) count--;
    return count;
}

/* Finds the state among those that may be. */
static void judge_state(run *now, const ledger *book, uint32_t from)
{
    char found[STATE_MAX];
    read_state(now, found);
    for (uint32_t i = from; i <= now->sent; i++) {
        if (strcmp(found, book->states[i]) == 0) return;
    }
    for (uint32_t i = 0; i < from; i++) {
        if (strcmp(found, book->states[i]) == 0)
            fail_msg("%s: only %u commands are left of %u", now->where, i, from);
    }
    fail_msg("%s: between %u and %u commands: no such state:\n%s", now->where, from, now->sent,
             found);
}

static void judge_cluster(run *now)
{
    uint64_t epoch = 0;
    if (!ask(now, "CLUSTER INFO")) fail_msg("%s: stopped", now->where);
    if (now->formed && strstr(now->reply, "cluster_slots_assigned:16384") == NULL)
        fail_msg("%s: the slots are lost: %s", now->where, now->reply);
    const char *at = strstr(now->reply, "cluster_my_epoch:");
    assert_non_null(at);
    at += strlen("cluster_my_epoch:");
    assert_true(shoal_text_to_u64((shoal_slice){at, strcspn(at, "\r")}, &epoch));
    if (epoch < now->epoch) fail_msg("%s: an older epoch: %s", now->where, now->reply);
    if (!ask(now, "CLUSTER MYID")) fail_msg("%s: stopped", now->where);
    if (now->id[0] && strcmp(now->reply, now->id) != 0)
        fail_msg("%s: another name: %s", now->where, now->reply);
}

/* Dies, is started again, and is asked. */
static void die_and_judge(run *now, const kind *of, size_t death, const ledger *book)
{
    int64_t died_us = now->world->now_us;
    now->vnode->disk.stop_at = 0;
    shoal_operator__forget(now->world, 0);
    shoal_vnode__crash(now->world, 0, deaths[death].power, deaths[death].fate);
    if (!rest(now, 20000)) fail_msg("%s: stopped", now->where);
    shoal_vnode__start(now->world, 0);
    judge_cluster(now);
    /* Whose slots were given without an answer may have them or not. */
    if (!now->formed && !ask(now, "CLUSTER ADDSLOTSRANGE 0 16383"))
        fail_msg("%s: stopped", now->where);
    judge_state(now, book, oldest(now, of->promise, death, died_us));
    /* It takes writes again. */
    if (!insist(now, "SET s:1 again") || !begins(now->reply, "+OK"))
        fail_msg("%s: no writes: %s", now->where, now->reply);
}

/* Learns the states and counts the points. Questions write nothing. */
static uint64_t survey(const kind *of, ledger *book)
{
    run now;
    open_run(&now, of, 1, 0);
    snprintf(now.where, sizeof(now.where), "%s", of->name);
    work(&now, book);
    uint64_t points = now.vnode->disk.points;
    close_run(&now);
    return points;
}

static void crash_everywhere(const kind *of)
{
    ledger *book = test_malloc(sizeof(*book));
    uint64_t points = survey(of, book);
    assert_true(points >= of->points_min);
    for (uint64_t point = 1; point <= points; point++) {
        for (size_t death = 0; death < sizeof deaths / sizeof deaths[0]; death++) {
            run now;
            open_run(&now, of, 1, point);
            snprintf(now.where, sizeof(now.where), "%s, point %llu, %s", of->name,
                     (unsigned long long)point, deaths[death].name);
            work(&now, NULL);
            die_and_judge(&now, of, death, book);
            close_run(&now);
        }
    }
    print_message("%s: %llu points\n", of->name, (unsigned long long)points);
    test_free(book);
}

static void always_keeps_what_it_has_answered(void **state)
{
    (void)state;
    crash_everywhere(&kinds[0]);
}

static void everysec_keeps_what_is_older_than_its_window(void **state)
{
    (void)state;
    crash_everywhere(&kinds[1]);
}

static void without_syncs_the_end_of_the_process_loses_nothing(void **state)
{
    (void)state;
    crash_everywhere(&kinds[2]);
}

static void a_base_of_commands_is_as_good(void **state)
{
    (void)state;
    crash_everywhere(&kinds[3]);
}

static void a_snapshot_is_whole_or_not_there(void **state)
{
    (void)state;
    crash_everywhere(&kinds[4]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(always_keeps_what_it_has_answered),
        cmocka_unit_test(everysec_keeps_what_is_older_than_its_window),
        cmocka_unit_test(without_syncs_the_end_of_the_process_loses_nothing),
        cmocka_unit_test(a_base_of_commands_is_as_good),
        cmocka_unit_test(a_snapshot_is_whole_or_not_there),
    };
    return cmocka_run_group_tests_name("sim_crash_points", tests, NULL, NULL);
}
