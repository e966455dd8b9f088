/* SPDX-License-Identifier: MIT
 *
 * backup/restore.c - a backup back into servers, however many there are: each key goes to the
 * master of its slot, by RESTORE, with its time to live and its heat; then the commands that
 * stand behind the snapshot, in their order, each to the master of its key. Requests are sent
 * without waiting for answers, but every answer is looked at.
 *
 * Times to live are absolute, and it may be later than they are. A key whose time is over is left
 * out. But where a later command is about it, it was there when that was carried out: such keys are
 * restored with a time to live that is SHIFT later, commands say times that are SHIFT later too,
 * and at the end each of them gets the time that it should have.
 *
 * Nothing is written before everything in the folder has been read and found well.
 */
#include "backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shoal/cache.h>

#include "base/assert.h"
#include "base/crc16.h"
#include "base/text.h"
#include "command/keys.h"
#include "command/lookup.h"
#include "inventory.h"
#include "progress.h"
#include "shard.h"
#include "wire/resp.h"

/* Milliseconds: some 35 years. */
#define SHIFT ((int64_t)1 << 40)
/* What may be on its way to one server: bytes that are not sent, and requests without an answer. */
#define OUT_MAX ((size_t)1 << 20)
#define OWED_MAX 10000u
/* Words of a RESTORE, and of a command whose times are changed. */
#define WORDS_MAX 9u
/* Keys whose times are put right together. */
#define TOGETHER 512u

/* One server that takes keys. */
typedef struct target {
    shoal_peer peer;
    uint32_t owed; /* answers */
    uint32_t db;
} target;

/* The whole. */
typedef struct restoring {
    const shoal_backup_options *options;
    shoal_inventory inventory;
    shoal_map map;
    target *targets;
    shoal_peer **peers;
    shoal_lookup lookup;
    shoal_progress progress;
    const shoal_shard *shard;
    uint32_t index; /* of the shard */
    /* Keys that commands behind the snapshot are about: four bytes of their database, then their
     * name. */
    shoal_cache *touched;
    shoal_cache_thread *thread;
    uint64_t flushed; /* the command of the shard behind which it was empty last, 0: none */
    uint64_t command; /* that is being looked at */
    uint32_t command_db;
    int64_t began_ms;
    shoal_buffer scratch;
    uint64_t keys, keys_late, keys_volatile, strays, commands, functions;
} restoring;

/* ---- answers ---- */

static _Noreturn void complain(const target *to, shoal_slice answer)
{
    size_t size = 0;
    const char *advice = "";
    while (size < answer.size && answer.data[size] != '\r') size++;
    shoal_slice text = {answer.data, size};
    if (shoal_text_find(text, shoal_text("MOVED")) == 1 ||
        shoal_text_find(text, shoal_text("ASK")) == 1)
        advice = ": the slots of the target are being moved";
    if (shoal_text_find(text, shoal_text("payload version")) != SHOAL_TEXT_NONE)
        advice = ": it is older than the server that was saved";
    shoal_backup__die(BACKUP_FAILED,
                      "%s answers %.*s%s. What was restored before stays; --replace begins again",
                      to->peer.name, (int)size, text.data, advice);
}

/* Looks at all answers that are there. */
static void take_answers(target *to)
{
    shoal_buffer *in = &to->peer.in;
    size_t size;
    while (to->owed > 0) {
        shoal_slice bytes = shoal_buffer_slice(in);
        shoal_err error = shoal_answer_size(bytes, &size);
        if (error == SHOAL_ERR_TRUNCATED) return;
        if (error != SHOAL_ERR_OK || bytes.data[0] == '-') complain(to, bytes);
        shoal_buffer_consume(in, size);
        to->owed--;
    }
}

/* Sends and receives, until `to` may be given more; NULL: until everything is answered. */
static void pump(restoring *work, const target *to)
{
    for (;;) {
        uint32_t waiting = 0;
        for (uint32_t i = 0; i < work->map.count; i++) {
            target *each = &work->targets[i];
            (void)shoal_peer__flush(&each->peer);
            if (each->owed == 0) each->peer.heard_us = shoal_backup__now_us();
            if (each->owed > 0) shoal_peer__fill(&each->peer);
            take_answers(each);
            if (each->owed > 0) work->peers[waiting++] = &each->peer;
        }
        bool room =
            to != NULL && to->owed < OWED_MAX / 2 && shoal_buffer_size(&to->peer.out) < OUT_MAX / 2;
        if (waiting == 0 || room) return;
        shoal_peer__wait(work->peers, waiting, 1000);
    }
}

/* ---- requests ---- */

static target *target_of(restoring *work, shoal_slice key)
{
    uint32_t slot = work->map.cluster ? shoal_crc16_slot(key) : 0;
    return &work->targets[work->map.owner[slot]];
}

static void request(restoring *work, target *to, uint32_t argc, const shoal_slice *argv)
{
    if (to->owed >= OWED_MAX || shoal_buffer_size(&to->peer.out) >= OUT_MAX) pump(work, to);
    shoal_peer__request(&to->peer, argc, argv);
    to->owed++;
}

/* Lets what follows be about a database. */
static void choose(restoring *work, target *to, uint32_t db)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    if (to->db == db) return;
    SHOAL_ASSERT(!work->map.cluster);
    const shoal_slice argv[2] = {shoal_text("SELECT"), {digits, shoal_text_from_u64(digits, db)}};
    request(work, to, 2, argv);
    to->db = db;
}

/* ---- keys that commands are about ---- */

static shoal_slice mark_of(restoring *work, uint32_t db, shoal_slice key)
{
    shoal_buffer *out = &work->scratch;
    shoal_buffer_consume(out, shoal_buffer_size(out));
    shoal_buffer_append(out, (shoal_slice){(const char *)&db, sizeof db});
    shoal_buffer_append(out, key);
    return shoal_buffer_slice(out);
}

static bool is_touched(restoring *work, uint32_t db, shoal_slice key)
{
    shoal_cache_value value;
    if (work->shard->commands == 0) return false;
    return shoal_cache_get(work->thread, mark_of(work, db, key), &value) == SHOAL_ERR_OK;
}

static void touch(restoring *work, uint32_t db, shoal_slice key)
{
    shoal_err error =
        shoal_cache_put(work->thread, mark_of(work, db, key), (shoal_slice){"", 0}, -1);
    if (error != SHOAL_ERR_OK) shoal_backup__die(BACKUP_FAILED, "no memory for the names of keys");
}

static void forget_touched(restoring *work)
{
    if (shoal_cache_clear(work->thread) != SHOAL_ERR_OK)
        shoal_backup__die(BACKUP_FAILED, "no memory for the names of keys");
}

/* ---- commands ---- */

static bool is_one_of(shoal_slice name, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (shoal_text_is(name, *words)) return true;
    }
    return false;
}

/* Commands of the stream that change no key. */
static bool changes_nothing(shoal_slice name)
{
    static const char *const words[] = {"ping",    "multi",    "exec",   "replconf",
                                        "publish", "spublish", "script", NULL};
    return is_one_of(name, words);
}

/* Follows SELECT. True when it was one. */
static bool follows_select(restoring *work, const shoal_slice *argv, uint32_t argc)
{
    uint64_t db;
    if (argc != 2 || !shoal_text_is(argv[0], "select")) return false;
    if (!shoal_text_to_u64(argv[1], &db) || db > UINT32_MAX || (db != 0 && work->map.cluster))
        shoal_backup__die(BACKUP_FAILED,
                          "there are keys of database %.*s, and a cluster has only 0",
                          (int)argv[1].size, argv[1].data);
    work->command_db = (uint32_t)db;
    return true;
}

/* The first key of a command, and how many there are. */
static uint32_t keys_of(restoring *work, const shoal_slice *argv, uint32_t argc, uint32_t first[2])
{
    const shoal_command *row = shoal_lookup__find(&work->lookup, argv[0]);
    uint8_t rule = row != NULL ? work->lookup.key_rules[row->id] : 0;
    bool keyed = row != NULL && (row->key_first != 0 || rule != 0);
    uint32_t count = keyed ? shoal_keys__count(row, rule, argc, argv) : 0;
    if (count == 0)
        shoal_backup__die(BACKUP_FAILED, "%s has a command that cannot be restored: %.*s",
                          work->shard->file, (int)argv[0].size, argv[0].data);
    first[0] = row->id;
    first[1] = shoal_keys__argument(row, rule, argc, argv, 0);
    return count;
}

/* First look at a command: which keys is it about? */
static void look_at_command(void *context, const shoal_slice *argv, uint32_t argc)
{
    restoring *work = context;
    uint32_t found[2];
    work->command++;
    if (changes_nothing(argv[0]) || follows_select(work, argv, argc)) return;
    if (shoal_text_is(argv[0], "flushall") ||
        (shoal_text_is(argv[0], "flushdb") && work->inventory.cluster)) {
        work->flushed = work->command;
        forget_touched(work);
        return;
    }
    uint32_t count = keys_of(work, argv, argc, found);
    const shoal_command *row = shoal_command_row((shoal_command_id)found[0]);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = shoal_keys__argument(row, work->lookup.key_rules[row->id], argc, argv, i);
        touch(work, work->command_db, argv[at]);
    }
}

/* Moves a time of a command on by SHIFT. */
static void shift(shoal_slice *argument, int64_t by, char digits[SHOAL_TEXT_INTEGER_SIZE])
{
    int64_t time;
    if (!shoal_text_to_i64(*argument, &time) || time <= 0) return;
    argument->data = digits;
    argument->size = shoal_text_from_i64(digits, time + by);
}

/* Moves the times on that a command gives a key. `argv` is a copy. */
static void shift_times(shoal_slice *argv, uint32_t argc, char digits[SHOAL_TEXT_INTEGER_SIZE])
{
    if (argc >= 3 && shoal_text_is(argv[0], "pexpireat")) shift(&argv[2], SHIFT, digits);
    if (argc >= 3 && shoal_text_is(argv[0], "expireat")) shift(&argv[2], SHIFT / 1000, digits);
    if (argc >= 4 && shoal_text_is(argv[0], "restore")) {
        for (uint32_t i = 4; i < argc; i++) {
            if (shoal_text_is(argv[i], "absttl")) shift(&argv[2], SHIFT, digits);
        }
    }
    if (!shoal_text_is(argv[0], "set") && !shoal_text_is(argv[0], "getex")) return;
    for (uint32_t i = 2; i + 1 < argc; i++) {
        /* The value of SET is none of its options. */
        if (i == 2 && shoal_text_is(argv[0], "set")) continue;
        if (shoal_text_is(argv[i], "pxat")) shift(&argv[i + 1], SHIFT, digits);
        if (shoal_text_is(argv[i], "exat")) shift(&argv[i + 1], SHIFT / 1000, digits);
    }
}

/* Second look: sends it. */
static void send_command(void *context, const shoal_slice *argv, uint32_t argc)
{
    restoring *work = context;
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    shoal_slice words[WORDS_MAX];
    uint32_t found[2];
    work->command++;
    bool select = follows_select(work, argv, argc);
    if (select || changes_nothing(argv[0]) || work->command <= work->flushed) return;
    (void)keys_of(work, argv, argc, found);
    target *to = target_of(work, argv[found[1]]);
    choose(work, to, work->command_db);
    if (argc <= WORDS_MAX) {
        memcpy(words, argv, argc * sizeof *words);
        shift_times(words, argc, digits);
        argv = words;
    }
    request(work, to, argc, argv);
    work->commands++;
}

/* ---- keys ---- */

static void look_at_key(void *context, const shoal_shard_key *key)
{
    restoring *work = context;
    if (key->db != 0 && work->map.cluster)
        shoal_backup__die(BACKUP_FAILED, "there are keys of database %u, and a cluster has only 0",
                          key->db);
}

static void restore_key(void *context, const shoal_shard_key *key)
{
    restoring *work = context;
    char ttl[SHOAL_TEXT_INTEGER_SIZE], heat[SHOAL_TEXT_INTEGER_SIZE];
    int64_t expires_ms = key->expires_ms > 0 ? key->expires_ms : 0;
    bool stray = work->inventory.cluster &&
                 work->inventory.owner[shoal_crc16_slot(key->name)] != work->index;
    work->strays += stray;
    if (stray || work->flushed > 0) return;
    bool touched = is_touched(work, key->db, key->name);
    if (touched && expires_ms > 0) expires_ms += SHIFT;
    if (expires_ms > 0 && expires_ms <= work->began_ms) {
        work->keys_late++;
        return;
    }
    shoal_slice argv[WORDS_MAX] = {shoal_text("RESTORE"), key->name};
    argv[2] = (shoal_slice){ttl, shoal_text_from_i64(ttl, expires_ms)};
    argv[3] = key->payload;
    uint32_t argc = 4;
    if (expires_ms > 0) argv[argc++] = shoal_text("ABSTTL");
    if (work->options->replace) argv[argc++] = shoal_text("REPLACE");
    if (key->idle_s >= 0 || key->frequency >= 0) {
        bool idle = key->idle_s >= 0;
        argv[argc++] = shoal_text(idle ? "IDLETIME" : "FREQ");
        argv[argc++] =
            (shoal_slice){heat, shoal_text_from_i64(heat, idle ? key->idle_s : key->frequency)};
    }
    target *to = target_of(work, key->name);
    choose(work, to, key->db);
    request(work, to, argc, argv);
    work->keys++;
    work->keys_volatile += expires_ms > 0;
}

static void restore_function(void *context, shoal_slice source)
{
    restoring *work = context;
    const shoal_slice argv[4] = {shoal_text("FUNCTION"), shoal_text("LOAD"), shoal_text("REPLACE"),
                                 source};
    for (uint32_t i = 0; i < work->map.count; i++) request(work, &work->targets[i], 4, argv);
    work->functions++;
}

/* ---- keys that were touched: before, and behind ---- */

/* Some of them, by what a scan shows. */
typedef struct touched_keys {
    restoring *work;
    void (*what)(struct touched_keys *some);
    uint32_t count;
    target *targets[TOGETHER];
    shoal_slice names[TOGETHER]; /* borrowed until the batch is left */
    uint32_t dbs[TOGETHER];
} touched_keys;

static void collect_touched(void *context, shoal_slice key, const shoal_cache_value *value)
{
    touched_keys *some = context;
    (void)value;
    SHOAL_ASSERT(key.size >= sizeof(uint32_t));
    if (some->count == TOGETHER) {
        some->what(some);
        some->count = 0;
    }
    uint32_t at = some->count++;
    memcpy(&some->dbs[at], key.data, sizeof(uint32_t));
    some->names[at] = (shoal_slice){key.data + sizeof(uint32_t), key.size - sizeof(uint32_t)};
    some->targets[at] = target_of(some->work, some->names[at]);
}

/* What an earlier attempt has left of them goes: the commands would change it once more. */
static void remove_touched(touched_keys *some)
{
    restoring *work = some->work;
    for (uint32_t i = 0; i < some->count; i++) {
        const shoal_slice argv[2] = {shoal_text("DEL"), some->names[i]};
        choose(work, some->targets[i], some->dbs[i]);
        request(work, some->targets[i], 2, argv);
    }
}

/* Takes SHIFT away from the times to live of one key. */
static void unshift(touched_keys *some, uint32_t at, int64_t expires_ms)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    if (expires_ms < SHIFT) return;
    const shoal_slice argv[3] = {shoal_text("PEXPIREAT"),
                                 some->names[at],
                                 {digits, shoal_text_from_i64(digits, expires_ms - SHIFT)}};
    choose(some->work, some->targets[at], some->dbs[at]);
    request(some->work, some->targets[at], 3, argv);
}

static void settle_touched(touched_keys *some)
{
    restoring *work = some->work;
    int64_t times[TOGETHER];
    pump(work, NULL);
    for (uint32_t i = 0; i < some->count; i++) {
        const shoal_slice argv[2] = {shoal_text("PEXPIRETIME"), some->names[i]};
        choose(work, some->targets[i], some->dbs[i]);
        pump(work, NULL);
        shoal_peer *peer = &some->targets[i]->peer;
        shoal_peer__request(peer, 2, argv);
        times[i] = shoal_peer__number(peer, shoal_peer__answer(peer), "PEXPIRETIME");
    }
    for (uint32_t i = 0; i < some->count; i++) unshift(some, i, times[i]);
}

/* Does something with all keys that commands are about. */
static void for_touched(restoring *work, void (*what)(touched_keys *some))
{
    uint64_t cursor = 0;
    touched_keys *some = calloc(1, sizeof *some);
    if (some == NULL) shoal_backup__die(BACKUP_FAILED, "no memory");
    some->work = work;
    some->what = what;
    do {
        shoal_cache_scan(work->thread, &cursor, TOGETHER, collect_touched, some);
    } while (cursor != 0);
    what(some);
    free(some);
}

/* ---- the whole ---- */

static void pass_on(void *context, uint64_t bytes)
{
    restoring *work = context;
    shoal_progress__add(&work->progress, bytes);
}

/* Begins with a shard: nothing is known of its commands. */
static void begin_shard(restoring *work, uint32_t index)
{
    work->index = index;
    work->shard = &work->inventory.shards[index];
    work->flushed = 0;
    shoal_cache_leave(work->thread);
    shoal_cache_enter(work->thread, shoal_time_now());
    forget_touched(work);
}

/* Reads all commands of the shard, to know which keys they are about. */
static void look_at_shard(restoring *work, bool keys)
{
    const shoal_shard_reader reader = {.key = keys ? look_at_key : NULL,
                                       .command = look_at_command,
                                       .progress = keys ? pass_on : NULL,
                                       .context = work};
    shoal_shard met;
    work->command = 0;
    work->command_db = 0;
    shoal_shard__read(work->options->folder, work->shard, &reader, &met);
    if (met.keys != work->shard->keys || met.commands != work->shard->commands)
        shoal_backup__die(BACKUP_DAMAGED,
                          "%s holds %" PRIu64 " keys and %" PRIu64
                          " commands, not as many as were saved",
                          work->shard->file, met.keys, met.commands);
}

static void restore_shard(restoring *work, uint32_t index)
{
    const shoal_shard_reader reader = {.key = restore_key,
                                       .function = restore_function,
                                       .command = send_command,
                                       .progress = pass_on,
                                       .context = work,
                                       .payloads = true};
    shoal_shard met;
    begin_shard(work, index);
    bool commands = work->shard->commands > 0;
    if (commands) look_at_shard(work, false);
    if (commands && work->options->replace) for_touched(work, remove_touched);
    work->command = 0;
    work->command_db = 0;
    shoal_shard__read(work->options->folder, work->shard, &reader, &met);
    pump(work, NULL);
    if (commands) for_touched(work, settle_touched);
    pump(work, NULL);
}

/* All keys of the targets. */
static uint64_t count_keys(restoring *work)
{
    uint64_t keys = 0;
    for (uint32_t i = 0; i < work->map.count; i++) {
        shoal_peer *peer = &work->targets[i].peer;
        if (work->map.cluster) {
            keys += (uint64_t)shoal_peer__number(peer, shoal_peer__ask(peer, "DBSIZE"), "DBSIZE");
            continue;
        }
        shoal_slice space = shoal_peer__text(peer, shoal_peer__ask(peer, "INFO keyspace"), "INFO");
        for (size_t at; (at = shoal_text_find(space, shoal_text("keys="))) != SHOAL_TEXT_NONE;) {
            keys += strtoull(space.data + at + 5, NULL, 10);
            space.size -= at + 5;
            space.data += at + 5;
        }
    }
    return keys;
}

static void open_targets(restoring *work)
{
    const shoal_backup_options *options = work->options;
    shoal_peer seed;
    shoal_peer__open(&seed, options->host, options->port, &options->login);
    shoal_map__read(&work->map, &seed, options->host);
    shoal_peer__close(&seed);
    work->targets = calloc(work->map.count, sizeof *work->targets);
    work->peers = calloc(work->map.count, sizeof(shoal_peer *));
    if (work->targets == NULL || work->peers == NULL) shoal_backup__die(BACKUP_FAILED, "no memory");
    for (uint32_t i = 0; i < work->map.count; i++) {
        const shoal_master *master = &work->map.masters[i];
        shoal_peer__open(&work->targets[i].peer, master->host, master->port, &options->login);
        shoal_map__check_moves(&work->map, &work->targets[i].peer);
    }
    uint64_t keys = count_keys(work);
    if (keys > 0 && !options->replace)
        shoal_backup__die(BACKUP_NOT_EMPTY,
                          "the target holds %" PRIu64
                          " keys. With --replace keys of the same names "
                          "are overwritten, and others stay",
                          keys);
}

static void open_touched(restoring *work)
{
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = *shoal_backup__allocator();
    if (shoal_cache_open(&options, &work->touched) != SHOAL_ERR_OK)
        shoal_backup__die(BACKUP_FAILED, "no memory");
    work->thread = shoal_cache_thread_at(work->touched, 0);
    shoal_cache_enter(work->thread, shoal_time_now());
}

static uint64_t bytes_of(const restoring *work)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < work->inventory.count; i++) bytes += work->inventory.shards[i].bytes;
    return bytes;
}

static void report(restoring *work)
{
    uint64_t there = count_keys(work);
    shoal_progress__say(&work->progress,
                        "restored %" PRIu64 " keys and %" PRIu64 " later commands into %u masters, "
                        "which hold %" PRIu64 " keys now",
                        work->keys, work->commands, work->map.count, there);
    if (work->keys_late > 0)
        shoal_progress__say(&work->progress, "%" PRIu64 " keys were left out: their time is over",
                            work->keys_late);
    if (work->strays > 0)
        shoal_progress__say(&work->progress,
                            "%" PRIu64 " keys were left out: their slot was "
                            "another master's",
                            work->strays);
    bool sure = work->commands == 0 && work->flushed == 0 && !work->options->replace;
    bool fewer = there + work->keys_volatile < work->keys;
    if (sure && (fewer || there > work->keys))
        shoal_backup__die(BACKUP_FAILED,
                          "the target holds %" PRIu64 " keys, not the %" PRIu64
                          " that were restored: does somebody else write to it, or does it evict?",
                          there, work->keys);
}

void shoal_backup__restore(const shoal_backup_options *options)
{
    restoring *work = calloc(1, sizeof *work);
    if (work == NULL) shoal_backup__die(BACKUP_FAILED, "no memory");
    work->options = options;
    work->scratch = shoal_buffer_make(shoal_backup__allocator());
    work->began_ms = shoal_backup__wall_us() / 1000;
    shoal_lookup__make(&work->lookup);
    shoal_inventory__read(&work->inventory, options->folder);
    open_touched(work);
    open_targets(work);
    work->progress = shoal_progress__begin("checking", bytes_of(work), options->quiet);
    for (uint32_t i = 0; i < work->inventory.count; i++) {
        begin_shard(work, i);
        look_at_shard(work, true);
    }
    shoal_progress__end(&work->progress);
    work->progress = shoal_progress__begin("restoring", bytes_of(work), options->quiet);
    for (uint32_t i = 0; i < work->inventory.count; i++) restore_shard(work, i);
    shoal_progress__end(&work->progress);
    report(work);
    shoal_cache_leave(work->thread);
    shoal_cache_close(work->touched);
    for (uint32_t i = 0; i < work->map.count; i++) shoal_peer__close(&work->targets[i].peer);
    shoal_buffer_free(&work->scratch);
    free(work->targets);
    free(work->peers);
    free(work->inventory.shards);
    free(work);
}
