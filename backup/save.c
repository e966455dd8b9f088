/* SPDX-License-Identifier: MIT
 *
 * backup/save.c - a backup, taken as a replica takes its first copy: PSYNC gives a snapshot of each
 * master at one instant, and every command that it carries out from then on. All snapshots are
 * begun together; when the last one has begun, all masters are asked at once how far their
 * histories are. That is the cut: of each master the snapshot and the commands up to there are
 * kept, and nothing behind. Nobody is paused.
 *
 *   ASKED -> HEAD -> SNAPSHOT -> COMMANDS -> DONE      each connection
 */
#include "backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/text.h"
#include "inventory.h"
#include "progress.h"
#include "shard.h"

/* Bytes of the mark that ends a snapshot whose size is not known. */
#define MARK_SIZE 40u
/* How often masters hear of us, and how long one turn waits. */
#define HELLO_US 1000000
#define TURN_MS 100

typedef enum stage { ASKED, HEAD, SNAPSHOT, COMMANDS, DONE } stage;

/* One master and what has come from it. */
typedef struct source {
    shoal_peer stream, ask;
    shoal_shard *shard;
    stage at;
    bool marked; /* the snapshot ends with `mark`, not after `left` bytes */
    char mark[MARK_SIZE];
    uint64_t left;
    int file;
    int64_t hello_us; /* when it heard of us last */
} source;

/* The whole. */
typedef struct saving {
    const shoal_backup_options *options;
    shoal_map map;
    shoal_inventory inventory;
    source *sources;
    shoal_peer **streams;
    bool cut;
    shoal_progress progress;
} saving;

/* ---- the folder ---- */

static void make_folder(const char *folder)
{
    if (mkdir(folder, 0700) == 0) return;
    if (errno != EEXIST)
        shoal_backup__die(BACKUP_FAILED, "cannot make %s: %s", folder, strerror(errno));
    DIR *list = opendir(folder);
    if (list == NULL)
        shoal_backup__die(BACKUP_FAILED, "cannot read %s: %s", folder, strerror(errno));
    for (const struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            shoal_backup__die(BACKUP_FAILED, "%s is not empty: a backup takes a folder of its own",
                              folder);
    }
    closedir(list);
}

static void open_file(const saving *work, source *from)
{
    char path[4096];
    shoal_inventory__path(work->options->folder, from->shard->file, path);
    from->file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (from->file < 0)
        shoal_backup__die(BACKUP_FAILED, "cannot make %s: %s", path, strerror(errno));
}

/* Puts bytes at the end of the file. */
static void keep(saving *work, source *from, shoal_slice bytes)
{
    shoal_shard *shard = from->shard;
    shard->bytes += bytes.size;
    shoal_progress__add(&work->progress, bytes.size);
    while (bytes.size > 0) {
        ssize_t written = write(from->file, bytes.data, bytes.size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0)
            shoal_backup__die(BACKUP_FAILED, "cannot write %s/%s: %s", work->options->folder,
                              shard->file, strerror(errno));
        bytes.data += written;
        bytes.size -= (size_t)written;
    }
}

static void close_file(const saving *work, source *from)
{
    if (fsync(from->file) != 0 || close(from->file) != 0)
        shoal_backup__die(BACKUP_FAILED, "cannot sync %s/%s: %s", work->options->folder,
                          from->shard->file, strerror(errno));
    from->file = -1;
}

/* ---- one stream ---- */

/* The next line of a stream, without its end. False while it is not whole. Keep-alives, which are
 * empty lines, are passed over. */
static bool take_line(source *from, char *line, size_t room)
{
    shoal_buffer *in = &from->stream.in;
    while (shoal_buffer_size(in) > 0) {
        shoal_slice bytes = shoal_buffer_slice(in);
        const char *end = memchr(bytes.data, '\n', bytes.size);
        if (end == NULL && bytes.size < room) return false;
        size_t size = end == NULL ? room : (size_t)(end - bytes.data);
        if (size >= room)
            shoal_backup__die(BACKUP_FAILED, "%s answers PSYNC in an unknown form",
                              from->stream.name);
        memcpy(line, bytes.data, size);
        shoal_buffer_consume(in, size + 1);
        if (size > 0 && line[size - 1] == '\r') size--;
        line[size] = '\0';
        if (size > 0) return true;
    }
    return false;
}

/* What PSYNC answers. */
static bool take_answer(source *from)
{
    char line[512];
    shoal_shard *shard = from->shard;
    if (!take_line(from, line, sizeof line)) return false;
    if (sscanf(line, "+FULLRESYNC %40s %" SCNu64, shard->history, &shard->from) != 2)
        shoal_backup__die(BACKUP_FAILED, "%s gives no snapshot: %s", from->stream.name, line);
    shard->begun_us = shoal_backup__wall_us();
    from->at = HEAD;
    return true;
}

/* "$SIZE", or "$EOF:MARK". */
static bool take_head(source *from)
{
    char line[512];
    if (!take_line(from, line, sizeof line)) return false;
    from->marked = strncmp(line, "$EOF:", 5) == 0 && strlen(line) == 5 + MARK_SIZE;
    if (from->marked)
        memcpy(from->mark, line + 5, MARK_SIZE);
    else if (sscanf(line, "$%" SCNu64, &from->left) != 1)
        shoal_backup__die(BACKUP_FAILED, "%s gives no snapshot: %s", from->stream.name, line);
    from->at = SNAPSHOT;
    return true;
}

static void snapshot_ended(source *from)
{
    SHOAL_ASSERT(from->at == SNAPSHOT);
    from->shard->rdb_bytes = from->shard->bytes;
    from->hello_us = 0;
    from->at = COMMANDS;
}

static bool take_snapshot(saving *work, source *from)
{
    shoal_buffer *in = &from->stream.in;
    shoal_slice bytes = shoal_buffer_slice(in);
    if (!from->marked) {
        size_t size = bytes.size < from->left ? bytes.size : (size_t)from->left;
        keep(work, from, (shoal_slice){bytes.data, size});
        shoal_buffer_consume(in, size);
        from->left -= size;
        if (from->left == 0) snapshot_ended(from);
        return from->left == 0;
    }
    const char *mark = memmem(bytes.data, bytes.size, from->mark, MARK_SIZE);
    /* What has come last may be the beginning of the mark. */
    size_t size = bytes.size > MARK_SIZE ? bytes.size - MARK_SIZE : 0;
    if (mark != NULL) size = (size_t)(mark - bytes.data);
    keep(work, from, (shoal_slice){bytes.data, size});
    shoal_buffer_consume(in, mark != NULL ? size + MARK_SIZE : size);
    if (mark != NULL) snapshot_ended(from);
    return mark != NULL;
}

/* Commands up to the cut. */
static bool take_commands(saving *work, source *from)
{
    shoal_shard *shard = from->shard;
    uint64_t have = shard->from + (shard->bytes - shard->rdb_bytes);
    shoal_slice bytes = shoal_buffer_slice(&from->stream.in);
    if (!work->cut) return false;
    if (shard->to < have)
        shoal_backup__die(BACKUP_FAILED, "%s is not as far as its own snapshot", from->stream.name);
    size_t size = bytes.size < shard->to - have ? bytes.size : (size_t)(shard->to - have);
    keep(work, from, (shoal_slice){bytes.data, size});
    shoal_buffer_consume(&from->stream.in, size);
    if (have + size < shard->to) return false;
    close_file(work, from);
    shoal_peer__close(&from->stream);
    from->at = DONE;
    return true;
}

/* Takes what has come, as far as it goes. */
static void advance(saving *work, source *from)
{
    bool more = true;
    while (more && from->at != DONE) {
        switch (from->at) {
        case ASKED: more = take_answer(from); break;
        case HEAD: more = take_head(from); break;
        case SNAPSHOT: more = take_snapshot(work, from); break;
        case COMMANDS: more = take_commands(work, from); break;
        case DONE: break;
        }
    }
}

/* A master that has sent its snapshot waits for a word before it goes on, and then for more. The
 * offset is none, so that nobody's WAIT counts us. */
static void say_hello(source *from)
{
    int64_t now = shoal_backup__now_us();
    if (from->at != COMMANDS || now - from->hello_us < HELLO_US) return;
    from->hello_us = now;
    shoal_peer__words(&from->stream, "REPLCONF ACK 0");
}

/* ---- the cut ---- */

/* The number behind "name:" in INFO. */
static uint64_t info_number(const source *from, shoal_slice info, const char *name)
{
    uint64_t number = 0;
    size_t at = shoal_text_find(info, shoal_text(name));
    shoal_slice digits = {NULL, 0};
    if (at != SHOAL_TEXT_NONE) {
        digits.data = info.data + at + strlen(name);
        while (digits.data + digits.size < info.data + info.size &&
               digits.data[digits.size] >= '0' && digits.data[digits.size] <= '9')
            digits.size++;
    }
    if (!shoal_text_to_u64(digits, &number))
        shoal_backup__die(BACKUP_FAILED, "%s does not say its %s", from->ask.name, name);
    return number;
}

/* Asks all masters at once how far they are. */
static void make_cut(saving *work)
{
    shoal_inventory *inventory = &work->inventory;
    for (uint32_t i = 0; i < inventory->count; i++)
        shoal_peer__words(&work->sources[i].ask, "INFO replication");
    inventory->cut_began_us = shoal_backup__wall_us();
    for (uint32_t i = 0; i < inventory->count; i++) (void)shoal_peer__flush(&work->sources[i].ask);
    for (uint32_t i = 0; i < inventory->count; i++) {
        source *from = &work->sources[i];
        shoal_slice info =
            shoal_peer__text(&from->ask, shoal_peer__answer(&from->ask), "INFO replication");
        if (shoal_text_find(info, shoal_text("role:master")) == SHOAL_TEXT_NONE)
            shoal_backup__die(BACKUP_FAILED, "%s is no master any more", from->ask.name);
        from->shard->to = info_number(from, info, "master_repl_offset:");
    }
    inventory->cut_ended_us = shoal_backup__wall_us();
    work->cut = true;
}

static bool all_begun(const saving *work)
{
    for (uint32_t i = 0; i < work->inventory.count; i++) {
        if (work->sources[i].at == ASKED) return false;
    }
    return true;
}

/* ---- the whole ---- */

static void open_source(saving *work, uint32_t index)
{
    source *from = &work->sources[index];
    const shoal_master *master = &work->map.masters[index];
    const shoal_login *login = &work->options->login;
    shoal_shard *shard = &work->inventory.shards[index];
    from->shard = shard;
    snprintf(shard->file, sizeof shard->file, "shard-%04u.aof", index + 1);
    memcpy(shard->node, master->id, sizeof shard->node);
    shoal_peer__open(&from->ask, master->host, master->port, login);
    shoal_peer__open(&from->stream, master->host, master->port, login);
    snprintf(shard->address, sizeof shard->address, "%s", from->ask.name);
    shoal_map__check_moves(&work->map, &from->ask);
    (void)shoal_peer__text(&from->stream,
                           shoal_peer__ask(&from->stream, "REPLCONF capa eof capa psync2"),
                           "REPLCONF");
    open_file(work, from);
}

static void read_streams(saving *work)
{
    uint32_t count = work->inventory.count;
    for (uint32_t waiting = count; waiting > 0;) {
        waiting = 0;
        for (uint32_t i = 0; i < count; i++) {
            source *from = &work->sources[i];
            if (from->at == DONE) continue;
            shoal_peer__fill(&from->stream);
            advance(work, from);
            say_hello(from);
            if (from->at == DONE) continue;
            (void)shoal_peer__flush(&from->stream);
            work->streams[waiting++] = &from->stream;
        }
        if (!work->cut && all_begun(work)) {
            make_cut(work);
            continue;
        }
        if (waiting > 0) shoal_peer__wait(work->streams, waiting, TURN_MS);
    }
}

/* The map must be the one that the backup was begun with. */
static void check_map(const saving *work, shoal_peer *peer)
{
    shoal_map *now = calloc(1, sizeof *now);
    if (now == NULL) shoal_backup__die(BACKUP_FAILED, "no memory");
    shoal_map__read(now, peer, work->options->host);
    if (!shoal_map__equal(&work->map, now))
        shoal_backup__die(BACKUP_FAILED, "slots went to other masters meanwhile: try again");
    for (uint32_t i = 0; i < work->inventory.count; i++)
        shoal_map__check_moves(&work->map, &work->sources[i].ask);
    free(now);
}

static void pass_on(void *context, uint64_t bytes)
{
    shoal_progress__add(context, bytes);
}

/* Reads again what has been written, and counts it. */
static void check_files(saving *work)
{
    shoal_progress checking =
        shoal_progress__begin("checking", work->progress.done, work->options->quiet);
    const shoal_shard_reader reader = {.progress = pass_on, .context = &checking};
    for (uint32_t i = 0; i < work->inventory.count; i++) {
        shoal_shard *shard = &work->inventory.shards[i], met;
        shoal_shard__read(work->options->folder, shard, &reader, &met);
        memcpy(shard->sha1, met.sha1, sizeof shard->sha1);
        shard->keys = met.keys;
        shard->keys_volatile = met.keys_volatile;
        shard->commands = met.commands;
    }
    shoal_progress__end(&checking);
}

static void report(const saving *work)
{
    const shoal_inventory *inventory = &work->inventory;
    uint64_t keys = 0, bytes = 0, commands = 0;
    for (uint32_t i = 0; i < inventory->count; i++) {
        const shoal_shard *shard = &inventory->shards[i];
        keys += shard->keys;
        bytes += shard->bytes;
        commands += shard->commands;
    }
    shoal_progress__say(&work->progress,
                        "saved %" PRIu64 " keys and %" PRIu64 " later commands of %u masters, "
                        "%" PRIu64 " bytes, into %s",
                        keys, commands, inventory->count, bytes, work->options->folder);
    shoal_progress__say(&work->progress, "all masters at one moment, give or take %" PRId64 " us",
                        inventory->cut_ended_us - inventory->cut_began_us);
}

void shoal_backup__save(const shoal_backup_options *options)
{
    shoal_peer peer;
    saving *work = calloc(1, sizeof *work);
    if (work == NULL) shoal_backup__die(BACKUP_FAILED, "no memory");
    work->options = options;
    shoal_peer__open(&peer, options->host, options->port, &options->login);
    shoal_map__read(&work->map, &peer, options->host);
    shoal_inventory *inventory = &work->inventory;
    inventory->cluster = work->map.cluster;
    inventory->count = work->map.count;
    snprintf(inventory->source, sizeof inventory->source, "%s", peer.name);
    memcpy(inventory->owner, work->map.owner, sizeof inventory->owner);
    inventory->shards = calloc(inventory->count, sizeof *inventory->shards);
    work->sources = calloc(inventory->count, sizeof *work->sources);
    work->streams = calloc(inventory->count, sizeof(shoal_peer *));
    if (inventory->shards == NULL || work->sources == NULL || work->streams == NULL)
        shoal_backup__die(BACKUP_FAILED, "no memory");
    make_folder(options->folder);
    for (uint32_t i = 0; i < inventory->count; i++) open_source(work, i);
    work->progress = shoal_progress__begin("saving", 0, options->quiet);
    for (uint32_t i = 0; i < inventory->count; i++)
        shoal_peer__words(&work->sources[i].stream, "PSYNC ? -1");
    for (uint32_t i = 0; i < inventory->count; i++)
        (void)shoal_peer__flush(&work->sources[i].stream);
    read_streams(work);
    check_map(work, &peer);
    shoal_progress__end(&work->progress);
    check_files(work);
    shoal_inventory__write(inventory, options->folder);
    report(work);
    for (uint32_t i = 0; i < inventory->count; i++) shoal_peer__close(&work->sources[i].ask);
    shoal_peer__close(&peer);
    free(work->streams);
    free(work->sources);
    free(inventory->shards);
    free(work);
}
