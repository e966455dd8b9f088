/* SPDX-License-Identifier: MIT
 *
 * persist/aof_state.h: reading at the start. First the manifest, or a file of a version before
 * there was one, which is moved into the folder; then how large the files are, which also shows
 * whether they are there; then the files, in parts, of which one is being read while the one before
 * is being run; values and commands are run by a crew of all workers. What cannot be understood
 * ends the start with words, and nothing has been changed; a torn end of the last file is cut off
 * if the configuration says so.
 */
#include "persist/aof_state.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "store/route.h"

/* Bytes of a part. Chosen: a step takes a few milliseconds, in which nobody is served anyway. */
#define PART_SIZE ((size_t)1 << 20)
#define READ_TAG ((uint64_t)SHOAL_AOF__FOR_READ << 32)
/* What a read is for: the lower half of its tag. */
enum { READ_MANIFEST, READ_OLD, READ_OLD_INSIDE, READ_SIZE, READ_PART };

static void next_file(shoal_aof *aof);
static void look_at_sizes(shoal_aof *aof);

static void refuse(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->state == SHOAL_AOF_STARTING);
    SHOAL_ASSERT(!aof->load.failed);
    shoal_aof__load_drop(aof);
    aof->load.failed = true;
    shoal_aof__fail(aof);
}

/* The files that are read, in their order. */
static const shoal_aof_entry *entry_at(const shoal_aof *aof, uint32_t index)
{
    bool has_base = shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_BASE) > 0;
    SHOAL_ASSERT(index < aof->load.count);
    if (has_base && index == 0) return shoal_manifest_find(&aof->manifest, SHOAL_AOF_BASE, 0);
    const shoal_aof_entry *entry =
        shoal_manifest_find(&aof->manifest, SHOAL_AOF_INCR, index - has_base);
    SHOAL_ASSERT(entry != NULL);
    return entry;
}

static shoal_slice name_at(const shoal_aof *aof, uint32_t index)
{
    return shoal_manifest_name(&aof->manifest, entry_at(aof, index));
}

static double seconds_since(const shoal_aof *aof, int64_t began_us)
{
    SHOAL_DEBUG_ASSERT(began_us >= 0);
    SHOAL_DEBUG_ASSERT(aof->now.mono_us >= began_us);
    return (double)(aof->now.mono_us - began_us) / 1e6;
}

/* ---- the manifest ---- */

static void manifest_name(const shoal_aof *aof, shoal_buffer *out)
{
    SHOAL_ASSERT(shoal_buffer_size(out) == 0);
    shoal_buffer_append(out, aof->options.file_name);
    shoal_buffer_append(out, shoal_text(".manifest"));
}

void shoal_aof__load_begin(shoal_aof *aof)
{
    shoal_buffer name = shoal_buffer_make(&aof->allocator);
    SHOAL_ASSERT(aof->state == SHOAL_AOF_STARTING);
    SHOAL_ASSERT(!aof->load.begun);
    SHOAL_ASSERT(aof->load.reads == 0);
    SHOAL_ASSERT(aof->load.crew == NULL);

    aof->load =
        (shoal_aof__load){.began_us = aof->now.mono_us, .began_wall_s = aof->now.wall_us / 1000000};
    aof->load.early = shoal_buffer_make(&aof->allocator);
    const shoal_crew_options options = {.env = aof->env, .limits = aof->settings.limits};
    if (shoal_crew_open(&options, &aof->load.crew) != SHOAL_ERR_OK) {
        shoal_aof__log(aof, SHOAL_AOF__WARNING, "No memory to load the append only file");
        refuse(aof);
        return;
    }
    manifest_name(aof, &name);
    shoal_aof__bind(aof, SHOAL_AOF__MANIFEST, shoal_buffer_slice(&name));
    shoal_buffer_free(&name);
    aof->host->file_read(aof->host->context, SHOAL_AOF__MANIFEST, READ_TAG | READ_MANIFEST);
}

static void complain(shoal_aof *aof, const shoal_manifest_complaint *complaint)
{
    SHOAL_ASSERT(complaint->reason != NULL);
    SHOAL_ASSERT(complaint->line > 0 || complaint->text.size == 0);
    shoal_aof__log(aof, SHOAL_AOF__WARNING, "\n*** FATAL AOF MANIFEST FILE ERROR ***\n");
    if (complaint->line > 0) {
        shoal_aof__log(aof, SHOAL_AOF__WARNING, "Reading the manifest file, at line %d\n",
                       (int)complaint->line);
        shoal_aof__log(aof, SHOAL_AOF__WARNING, ">>> '%.*s'\n", (int)complaint->text.size,
                       complaint->text.data);
    }
    shoal_aof__log(aof, SHOAL_AOF__WARNING, "%s\n", complaint->reason);
    refuse(aof);
}

static void manifest_read(shoal_aof *aof, const shoal_event *event)
{
    shoal_manifest_complaint complaint = {.reason = shoal_err_text(event->error)};
    SHOAL_ASSERT(event->file == SHOAL_AOF__MANIFEST);
    SHOAL_ASSERT(shoal_manifest_count(&aof->manifest) == 0);
    shoal_err error = event->error;

    if (error == SHOAL_ERR_OK) {
        error = shoal_manifest_read(&aof->manifest, event->data, &complaint);
        aof->load.manifest_there = true;
    } else if (error == SHOAL_ERR_NOT_FOUND) {
        error = SHOAL_ERR_OK;
    }
    if (error == SHOAL_ERR_NO_MEMORY) complaint.reason = shoal_err_text(error);
    if (error != SHOAL_ERR_OK) {
        complain(aof, &complaint);
        return;
    }
    shoal_aof__bind_above(aof, SHOAL_AOF__OLD, aof->options.file_name);
    aof->host->file_read_part(aof->host->context, SHOAL_AOF__OLD, 0, 1, READ_TAG | READ_OLD);
}

/* ---- a file of a version before the folder ---- */

static void old_moved(shoal_aof *aof, shoal_err error)
{
    SHOAL_ASSERT(aof->load.upgrades);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    shoal_slice name = aof->options.file_name, dir = aof->options.dir_name;
    if (error != SHOAL_ERR_OK) {
        shoal_aof__log(aof, SHOAL_AOF__WARNING,
                       "Error trying to move the old AOF file %.*s into dir %.*s: %s",
                       (int)name.size, name.data, (int)dir.size, dir.data, shoal_err_text(error));
        refuse(aof);
        return;
    }
    shoal_aof__log(aof, SHOAL_AOF__NOTICE,
                   "Successfully migrated an old-style AOF file (%.*s) into the AOF directory "
                   "(%.*s).",
                   (int)name.size, name.data, (int)dir.size, dir.data);
    look_at_sizes(aof);
}

static void move_old(shoal_aof *aof, shoal_err error)
{
    if (error != SHOAL_ERR_OK) {
        old_moved(aof, error);
        return;
    }
    SHOAL_ASSERT(aof->load.upgrades);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    shoal_aof__bind(aof, SHOAL_AOF__BASE, aof->options.file_name);
    shoal_aof__begin(aof, old_moved);
    shoal_aof__rename(aof, SHOAL_AOF__OLD, SHOAL_AOF__BASE);
}

/* The manifest names the file as its base, then it is moved: between the two a start goes on. */
static void upgrade(shoal_aof *aof)
{
    shoal_manifest *next = &aof->rewrite.next;
    SHOAL_ASSERT(!aof->load.upgrades);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    SHOAL_ASSERT(shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_INCR) == 0);
    aof->load.upgrades = true;
    shoal_manifest_free(next);
    bool named = shoal_manifest_count(&aof->manifest) > 0;
    if (named && shoal_manifest_find(&aof->manifest, SHOAL_AOF_BASE, 0) != NULL) {
        move_old(aof, SHOAL_ERR_OK);
    } else if (!shoal_manifest_add(next, SHOAL_AOF_BASE, aof->options.file_name, 1)) {
        old_moved(aof, SHOAL_ERR_NO_MEMORY);
    } else {
        shoal_aof__write_manifest(aof, next, move_old);
    }
}

/* The node's directory has a file of that name, or not. */
static void old_seen(shoal_aof *aof, const shoal_event *event)
{
    const shoal_aof_entry *base = shoal_manifest_find(&aof->manifest, SHOAL_AOF_BASE, 0);
    bool incrs = shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_INCR) > 0;
    SHOAL_ASSERT(event->file == SHOAL_AOF__OLD);
    SHOAL_ASSERT(!aof->load.upgrades);

    if (event->error != SHOAL_ERR_OK || incrs) {
        look_at_sizes(aof);
    } else if (base == NULL) {
        upgrade(aof);
    } else if (shoal_text_equal(shoal_manifest_name(&aof->manifest, base),
                                aof->options.file_name)) {
        /* An upgrade that was interrupted, unless the file is in the folder already. */
        shoal_aof__bind(aof, SHOAL_AOF__INPUT, aof->options.file_name);
        aof->host->file_read_part(aof->host->context, SHOAL_AOF__INPUT, 0, 1,
                                  READ_TAG | READ_OLD_INSIDE);
    } else {
        look_at_sizes(aof);
    }
}

/* ---- sizes ---- */

static void ask_size(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->load.index < aof->load.count);
    SHOAL_ASSERT(!aof->load.loading);
    shoal_aof__bind(aof, SHOAL_AOF__INPUT, name_at(aof, aof->load.index));
    aof->host->file_read_part(aof->host->context, SHOAL_AOF__INPUT, 0, 1, READ_TAG | READ_SIZE);
}

static void look_at_sizes(shoal_aof *aof)
{
    aof->load.count = shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_BASE) +
                      shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_INCR);
    SHOAL_ASSERT(aof->load.total == 0);
    SHOAL_ASSERT(!aof->load.loading);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    aof->load.index = 0;
    if (aof->load.count == 0)
        shoal_aof__open(aof);
    else
        ask_size(aof);
}

static void size_seen(shoal_aof *aof, const shoal_event *event)
{
    shoal_aof__load *load = &aof->load;
    shoal_slice name = name_at(aof, load->index);
    SHOAL_ASSERT(event->file == SHOAL_AOF__INPUT);
    SHOAL_ASSERT(!load->loading);
    if (event->error != SHOAL_ERR_OK) {
        const char *why = event->error == SHOAL_ERR_NOT_FOUND ? "No such file or directory"
                                                              : shoal_err_text(event->error);
        shoal_aof__log(aof, SHOAL_AOF__WARNING,
                       "Unable to obtain the AOF file %.*s length. stat: %s", (int)name.size,
                       name.data, why);
        refuse(aof);
        return;
    }
    load->total += event->file_size;
    if (entry_at(aof, load->index)->kind == SHOAL_AOF_BASE) load->base_size = event->file_size;
    load->last_size = event->file_size;
    if (++load->index < load->count) {
        ask_size(aof);
        return;
    }
    SHOAL_ASSERT(load->total >= load->last_size);
    load->index = 0;
    load->loading = true;
    if (load->total == 0)
        shoal_aof__open(aof);
    else
        next_file(aof);
}

/* ---- the content of a file ---- */

static void read_more(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    SHOAL_ASSERT(load->loading && !load->last);
    SHOAL_ASSERT(load->submitted % PART_SIZE == 0);
    SHOAL_ASSERT(load->reads == 0);
    load->reads++;
    aof->host->file_read_part(aof->host->context, SHOAL_AOF__INPUT, load->submitted, PART_SIZE,
                              READ_TAG | READ_PART);
    load->submitted += PART_SIZE;
}

static void next_file(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    SHOAL_ASSERT(load->index < load->count);
    SHOAL_ASSERT(!load->begun && load->reads == 0);
    SHOAL_ASSERT(shoal_buffer_size(&load->early) == 0);
    SHOAL_ASSERT(shoal_crew_is_idle(load->crew));
    shoal_aof__bind(aof, SHOAL_AOF__INPUT, name_at(aof, load->index));
    load->file_began_us = aof->now.mono_us;
    load->submitted = load->offset = load->file_size = 0;
    load->begun = load->rdb = load->rdb_over = load->held = load->last = false;
    load->checked = load->tail_lost = load->met = false;
    aof->options.apply_begin(aof->options.context);
    shoal_crew_begin(load->crew);
    read_more(aof);
}

static bool open_rdb(shoal_aof *aof)
{
    const shoal_rdb_load_options options = {.allocator = &aof->allocator,
                                            .thread = aof->options.thread,
                                            .limits = aof->settings.limits,
                                            .databases = aof->options.databases,
                                            .checksum = aof->settings.checksum,
                                            .crew = aof->load.crew,
                                            .keeps_expired = true,
                                            .now_ms = shoal_time_wall_ms(aof->now)};
    bool base = entry_at(aof, aof->load.index)->kind == SHOAL_AOF_BASE;
    SHOAL_ASSERT(aof->load.begun);
    SHOAL_ASSERT(!aof->load.rdb);
    SHOAL_ASSERT(!aof->load.rdb_over);
    shoal_slice name = name_at(aof, aof->load.index);
    bool old = shoal_text_equal(name, aof->options.file_name);
    shoal_aof__log(aof, SHOAL_AOF__NOTICE,
                   base && !old ? "Reading RDB base file on AOF loading..."
                                : "Reading RDB preamble from AOF file...");
    shoal_rdb_load_open(&aof->load.decoder, &options);
    aof->load.rdb = true;
    return true;
}

/* The kind of the file shows in its first bytes. */
static void begin_content(shoal_aof *aof, shoal_slice bytes)
{
    SHOAL_ASSERT(!aof->load.begun);
    SHOAL_ASSERT(aof->load.offset == 0);
    SHOAL_ASSERT(bytes.size > 0);
    aof->load.begun = true;
    if (bytes.size >= 5 && memcmp(bytes.data, "REDIS", 5) == 0) (void)open_rdb(aof);
    aof->load.reader = shoal_aof_reader_make(&aof->allocator, 0);
}

static void rdb_is_bad(shoal_aof *aof, const char *reason)
{
    shoal_slice name = name_at(aof, aof->load.index);
    bool old = shoal_text_equal(name, aof->options.file_name);
    SHOAL_ASSERT(aof->load.rdb);
    SHOAL_ASSERT(reason != NULL);
    shoal_aof__log(aof, SHOAL_AOF__WARNING, "%.*s, at byte %llu: %s", (int)name.size, name.data,
                   (unsigned long long)aof->load.decoder.offset, reason);
    shoal_aof__log(aof, SHOAL_AOF__WARNING,
                   old ? "Error reading the RDB preamble of the AOF file %.*s, AOF loading aborted"
                       : "Error reading the RDB base file %.*s, AOF loading aborted",
                   (int)name.size, name.data);
    refuse(aof);
}

/* Takes a part of the RDB; true when the reader may go on behind it. */
static bool take_rdb(shoal_aof *aof, shoal_slice bytes)
{
    shoal_aof__load *load = &aof->load;
    SHOAL_ASSERT(load->rdb && !load->rdb_over);
    shoal_rdb_load_state state = shoal_rdb_load_feed(&load->decoder, bytes);
    if (state == SHOAL_RDB_LOAD_MORE) return false;
    if (state != SHOAL_RDB_LOAD_DONE) {
        rdb_is_bad(aof, state == SHOAL_RDB_LOAD_BAD ? load->decoder.reason : "no memory");
        return false;
    }
    shoal_slice rest = shoal_rdb_load_rest(&load->decoder);
    SHOAL_ASSERT(rest.size <= bytes.size);
    load->rdb_over = true;
    load->keys += load->decoder.keys_loaded;
    load->expired += load->decoder.keys_expired;
    if (rest.size > 0) shoal_aof__log(aof, SHOAL_AOF__NOTICE, "Reading the remaining AOF tail...");
    shoal_aof_reader_free(&load->reader);
    load->reader = shoal_aof_reader_make(&aof->allocator, load->offset + bytes.size - rest.size);
    shoal_aof_reader_feed(&load->reader, rest);
    shoal_rdb_load_close(&load->decoder);
    return true;
}

static void content_is_bad(shoal_aof *aof, const char *what)
{
    shoal_slice name = name_at(aof, aof->load.index);
    SHOAL_ASSERT(aof->load.loading);
    SHOAL_ASSERT(what != NULL);
    shoal_aof__log(aof, SHOAL_AOF__WARNING, "%.*s, at byte %llu: %s", (int)name.size, name.data,
                   (unsigned long long)aof->load.reader.bad_at, what);
    shoal_aof__log(aof, SHOAL_AOF__WARNING,
                   "Bad file format reading the append only file %.*s: make a backup of your AOF "
                   "file, then use ./redis-check-aof --fix <filename.manifest>",
                   (int)name.size, name.data);
    refuse(aof);
}

static void command_is_bad(shoal_aof *aof, const char *what)
{
    const shoal_aof_reader *reader = &aof->load.reader;
    shoal_slice name = name_at(aof, aof->load.index);
    SHOAL_ASSERT(what != NULL);
    SHOAL_ASSERT(reader->argc > 0);
    if (shoal_text_is(shoal_text(what), "unknown command"))
        shoal_aof__log(aof, SHOAL_AOF__WARNING,
                       "Unknown command '%.*s' reading the append only file %.*s",
                       (int)reader->argv[0].size, reader->argv[0].data, (int)name.size, name.data);
    else
        shoal_aof__log(aof, SHOAL_AOF__WARNING,
                       "%.*s: the command that ends at byte %llu cannot be run: %s", (int)name.size,
                       name.data, (unsigned long long)reader->whole_at, what);
    refuse(aof);
}

/* The file before this one has fewer bytes than when this one was begun, or bytes that are not
 * whole: power was lost before they were durable. What this one has came later, and does not count
 * either. It must be the last one. True: that is so, and it is being cut. */
static bool lose_tail(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    shoal_slice name = name_at(aof, load->index);
    SHOAL_ASSERT(load->index > 0);
    SHOAL_ASSERT(!load->tail_lost);
    SHOAL_ASSERT(load->total >= load->last_size);
    if (load->index + 1 < load->count || !aof->settings.load_truncated) return false;
    shoal_aof__log(aof, SHOAL_AOF__WARNING,
                   "The end of the AOF file before %.*s was lost: what follows it is not loaded",
                   (int)name.size, name.data);
    load->total -= load->last_size;
    load->last_size = 0;
    load->tail_lost = true;
    return true;
}

static void refuse_torn(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->load.index > 0);
    SHOAL_ASSERT(aof->load.before_torn || aof->load.checked);
    shoal_aof__log(aof, SHOAL_AOF__WARNING, "Fatal error: the truncated file is not the last file");
    refuse(aof);
}

/* The first record of a file behind another one. False when reading ends here. */
static bool check_behind(shoal_aof *aof, shoal_aof_found found)
{
    shoal_aof__load *load = &aof->load;
    uint64_t size = 0;
    bool told = found == SHOAL_AOF_REMARK && shoal_aof_read_behind(load->reader.argv[0], &size);
    SHOAL_ASSERT(load->index > 0);
    SHOAL_ASSERT(!load->checked);
    SHOAL_ASSERT(found != SHOAL_AOF_MORE);
    load->checked = true;
    /* Behind a base that has taken the place of that file, all is well. */
    bool follows = entry_at(aof, load->index - 1)->kind == SHOAL_AOF_INCR;
    bool lost = told && follows && size > load->before_size;
    if (!lost && !load->before_torn) return true;
    if (!lost || !lose_tail(aof)) refuse_torn(aof);
    return false;
}

/* Says which history ends here, if it is that remark. */
static void take_remark(shoal_aof__load *load, shoal_slice remark)
{
    shoal_slice id;
    SHOAL_DEBUG_ASSERT(remark.data != NULL);
    if (!shoal_aof_read_history(remark, &id, &load->history_offset, &load->history_db)) return;
    if (id.size != sizeof load->history - 1) return;
    SHOAL_ASSERT(id.data != NULL);
    memcpy(load->history, id.data, id.size);
    load->history[id.size] = '\0';
}

/* Runs the command that the reader has met, or hands it over. False when the crew must be waited
 * for, or the start has ended. */
static bool run_command(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    shoal_aof_reader *reader = &load->reader;
    SHOAL_DEBUG_ASSERT(reader->argc > 0);
    SHOAL_ASSERT(!load->held && !load->met);
    if (shoal_crew_is_full(load->crew)) {
        load->held = load->met = true;
        return false;
    }
    switch (shoal_crew_take_command(load->crew, reader->argv, reader->argc)) {
    case SHOAL_CREW_TAKEN: return true;
    case SHOAL_CREW_NO_MEMORY: content_is_bad(aof, "no memory"); return false;
    case SHOAL_CREW_BESIDE: break;
    case SHOAL_CREW_ALONE:
        load->held = load->met = !shoal_crew_is_idle(load->crew);
        if (!load->held) break;
        shoal_crew_send(load->crew);
        return false;
    }
    const char *wrong = aof->options.apply(aof->options.context, reader->argv, reader->argc);
    if (wrong != NULL) command_is_bad(aof, wrong);
    return wrong == NULL;
}

/* Runs the commands that are there, first the one that was met before if `met`. False when the crew
 * must be waited for, or the start has ended. */
static bool run_commands(shoal_aof *aof, bool met)
{
    shoal_aof_reader *reader = &aof->load.reader;
    SHOAL_ASSERT(aof->load.begun);
    SHOAL_ASSERT(!aof->load.rdb || aof->load.rdb_over);
    SHOAL_ASSERT(!aof->load.failed);
    if (met && !run_command(aof)) return false;
    for (;;) {
        shoal_aof_found found = shoal_aof_reader_next(reader);
        bool first = found != SHOAL_AOF_MORE && !aof->load.checked && aof->load.index > 0;
        if (first && !check_behind(aof, found)) return false;
        if (found == SHOAL_AOF_REMARK) {
            take_remark(&aof->load, reader->argv[0]);
            continue;
        }
        if (found == SHOAL_AOF_MORE) break;
        aof->load.history[0] = '\0';
        if (found != SHOAL_AOF_COMMAND) {
            content_is_bad(aof, found == SHOAL_AOF_BAD ? reader->reason : "no memory");
            return false;
        }
        if (!run_command(aof)) return false;
    }
    shoal_crew_send(aof->load.crew);
    return true;
}

/* ---- the end of a file ---- */

static void file_over(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    shoal_slice name = name_at(aof, load->index);
    bool base = entry_at(aof, load->index)->kind == SHOAL_AOF_BASE;

    SHOAL_ASSERT(load->reads == 0);
    SHOAL_ASSERT(shoal_crew_is_idle(load->crew));
    shoal_aof__load_drop(aof);
    if (load->file_size > 0)
        shoal_aof__log(aof, SHOAL_AOF__NOTICE, "DB loaded from %s file %.*s: %.3f seconds",
                       base ? "base" : "incr", (int)name.size, name.data,
                       seconds_since(aof, load->file_began_us));
    load->before_size = load->file_size;
    load->before_torn = false;
    if (++load->index < load->count) {
        next_file(aof);
        return;
    }
    SHOAL_ASSERT(load->index == load->count);
    shoal_aof__log(aof, SHOAL_AOF__NOTICE, "DB loaded from append only file: %.3f seconds",
                   seconds_since(aof, load->began_us));
    if (load->history[0] != '\0' && aof->options.history != NULL)
        aof->options.history(aof->options.context, shoal_text(load->history), load->history_offset,
                             load->history_db);
    shoal_aof__open(aof);
}

static void tail_cut(shoal_aof *aof, shoal_err error)
{
    shoal_slice name = name_at(aof, aof->load.index);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    if (error != SHOAL_ERR_OK) {
        shoal_aof__log(aof, SHOAL_AOF__WARNING, "Error truncating the AOF file %.*s: %s",
                       (int)name.size, name.data, shoal_err_text(error));
        refuse(aof);
        return;
    }
    SHOAL_ASSERT(aof->load.begun);
    shoal_aof__log(aof, SHOAL_AOF__WARNING,
                   "AOF %.*s loaded anyway because aof-load-truncated is enabled", (int)name.size,
                   name.data);
    file_over(aof);
}

/* The last command of the file is not whole. */
static void cut_tail(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    shoal_slice name = name_at(aof, load->index);
    uint64_t at = load->reader.whole_at;
    SHOAL_ASSERT(load->last);
    SHOAL_ASSERT(at <= load->offset);

    if (shoal_aof_reader_lacks_exec(&load->reader))
        shoal_aof__log(aof, SHOAL_AOF__WARNING,
                       "Revert incomplete MULTI/EXEC transaction in AOF file %.*s", (int)name.size,
                       name.data);
    if (!aof->settings.load_truncated) {
        shoal_aof__log(aof, SHOAL_AOF__WARNING,
                       "Unexpected end of file reading the append only file %.*s. You can: 1) Make "
                       "a backup of your AOF file, then use ./redis-check-aof --fix "
                       "<filename.manifest>. 2) Alternatively you can set the "
                       "'aof-load-truncated' configuration option to yes and restart the server.",
                       (int)name.size, name.data);
        refuse(aof);
        return;
    }
    shoal_aof__log(aof, SHOAL_AOF__WARNING,
                   "!!! Warning: short read while loading the AOF file %.*s!!!", (int)name.size,
                   name.data);
    if (load->index + 1 < load->count) {
        /* What the next one begins with says whether this was the end when power was lost. */
        shoal_aof__load_drop(aof);
        load->before_size = at;
        load->before_torn = true;
        load->index++;
        next_file(aof);
        return;
    }
    shoal_aof__log(aof, SHOAL_AOF__WARNING, "!!! Truncating the AOF %.*s at offset %llu !!!",
                   (int)name.size, name.data, (unsigned long long)at);
    load->total -= load->last_size - at;
    if (load->base_size == load->last_size && load->count == 1) load->base_size = at;
    load->last_size = at;
    shoal_aof__begin(aof, tail_cut);
    shoal_aof__truncate(aof, SHOAL_AOF__INPUT, at);
    shoal_aof__sync_file(aof, SHOAL_AOF__INPUT);
}

/* Cuts what lose_tail has found. */
static void cut_lost(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    SHOAL_ASSERT(load->tail_lost);
    SHOAL_ASSERT(load->index + 1 == load->count);
    if (load->reads > 0) return;
    load->begun = true;
    shoal_aof__begin(aof, tail_cut);
    shoal_aof__truncate(aof, SHOAL_AOF__INPUT, 0);
    shoal_aof__sync_file(aof, SHOAL_AOF__INPUT);
    if (!load->before_torn) return;
    shoal_slice name = name_at(aof, load->index - 1);
    shoal_aof__log(aof, SHOAL_AOF__WARNING, "!!! Truncating the AOF %.*s at offset %llu !!!",
                   (int)name.size, name.data, (unsigned long long)load->before_size);
    shoal_aof__bind(aof, SHOAL_AOF__GONE, name);
    shoal_aof__truncate(aof, SHOAL_AOF__GONE, load->before_size);
    shoal_aof__sync_file(aof, SHOAL_AOF__GONE);
}

static void content_over(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    SHOAL_ASSERT(load->last);
    SHOAL_ASSERT(load->reads == 0);
    SHOAL_ASSERT(shoal_crew_is_idle(load->crew));
    SHOAL_ASSERT(shoal_buffer_size(&load->early) == 0);
    if (load->before_torn && !load->checked) {
        /* It holds nothing that is whole. */
        if (lose_tail(aof))
            cut_lost(aof);
        else
            refuse_torn(aof);
    } else if (load->begun && load->rdb && !load->rdb_over)
        rdb_is_bad(aof, "it ends too early");
    else if (load->begun && shoal_aof_reader_is_torn(&load->reader))
        cut_tail(aof);
    else
        file_over(aof);
}

/* Behind the first part of a base of commands, which has each key once: what its size says about
 * the keys to come. */
static void expect_keys(const shoal_aof *aof)
{
    const shoal_aof__load *load = &aof->load;
    shoal_store *store = shoal_thread_store(aof->options.thread);
    SHOAL_ASSERT(!load->rdb && load->offset > 0);
    if (entry_at(aof, load->index)->kind != SHOAL_AOF_BASE) return;
    SHOAL_ASSERT(load->offset <= PART_SIZE);
    shoal_store_expect(store, shoal_crew_keys(load->crew) * (load->file_size / load->offset));
}

/* Takes a part. False when the crew must be waited for, or the start has ended. */
static bool take_part(shoal_aof *aof, shoal_slice bytes)
{
    shoal_aof__load *load = &aof->load;
    load->last = bytes.size < PART_SIZE || load->submitted >= load->file_size;
    SHOAL_ASSERT(!load->held);
    SHOAL_ASSERT(!load->failed);
    SHOAL_ASSERT(bytes.size <= PART_SIZE);
    SHOAL_ASSERT(load->offset + bytes.size <= load->submitted);
    if (!load->last) read_more(aof);
    if (bytes.size > 0 && !load->begun) begin_content(aof, bytes);
    bool commands = !load->rdb || load->rdb_over;
    if (bytes.size > 0) {
        if (commands)
            shoal_aof_reader_feed(&load->reader, bytes);
        else
            commands = take_rdb(aof, bytes);
    }
    if (load->failed) return false;
    load->offset += bytes.size;
    load->done += bytes.size;
    bool all = !load->begun || !commands || run_commands(aof, false);
    if (!load->rdb && !load->last && load->offset == bytes.size) expect_keys(aof);
    if (load->tail_lost && !load->failed) cut_lost(aof);
    return all;
}

/* Behind a part: the next one if it is there, or the end once the crew has done all. */
static void go_on(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    uint64_t at;
    const char *wrong = shoal_crew_trouble(load->crew, &at);
    SHOAL_ASSERT(!load->failed);
    SHOAL_ASSERT(!load->met);
    load->held = false;
    if (wrong != NULL) {
        load->decoder.offset = at;
        rdb_is_bad(aof, wrong);
        return;
    }
    while (!load->last && shoal_buffer_size(&load->early) > 0) {
        shoal_buffer part = load->early;
        load->early = shoal_buffer_make(&aof->allocator);
        bool all = take_part(aof, shoal_buffer_slice(&part));
        shoal_buffer_free(&part);
        if (!all) return;
    }
    load->held = load->last ? !shoal_crew_is_idle(load->crew) : shoal_crew_is_full(load->crew);
    if (load->last && !load->held) content_over(aof);
}

void shoal_aof__load_step(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    if (load->failed || !load->held) return;
    SHOAL_ASSERT(aof->state == SHOAL_AOF_STARTING);
    SHOAL_ASSERT(!load->met || load->begun);
    bool commands = load->begun && (!load->rdb || load->rdb_over);
    if (!commands || !load->met) {
        go_on(aof);
        return;
    }
    load->held = load->met = false;
    if (run_commands(aof, true)) go_on(aof);
}

static void part_read(shoal_aof *aof, const shoal_event *event)
{
    shoal_aof__load *load = &aof->load;
    SHOAL_ASSERT(event->file == SHOAL_AOF__INPUT);
    SHOAL_ASSERT(load->reads == 1);
    load->reads--;
    if (load->tail_lost) {
        cut_lost(aof);
        return;
    }
    if (event->error != SHOAL_ERR_OK) {
        shoal_slice name = name_at(aof, load->index);
        shoal_aof__log(aof, SHOAL_AOF__WARNING,
                       "Unrecoverable error reading the append only file %.*s: %s", (int)name.size,
                       name.data, shoal_err_text(event->error));
        refuse(aof);
        return;
    }
    load->file_size = event->file_size;
    if (!load->held) {
        if (take_part(aof, event->data)) go_on(aof);
        return;
    }
    SHOAL_ASSERT(!load->last && shoal_buffer_size(&load->early) == 0);
    shoal_buffer_append(&load->early, event->data);
    if (load->early.failed) content_is_bad(aof, "no memory");
}

void shoal_aof__load_read(shoal_aof *aof, const shoal_event *event)
{
    if (aof->load.failed) return;
    SHOAL_ASSERT(aof->state == SHOAL_AOF_STARTING);
    SHOAL_ASSERT(event->op == SHOAL_FILE_READ);
    switch ((uint32_t)event->tag) {
    case READ_MANIFEST: manifest_read(aof, event); return;
    case READ_OLD: old_seen(aof, event); return;
    case READ_OLD_INSIDE:
        if (event->error == SHOAL_ERR_NOT_FOUND)
            upgrade(aof);
        else
            look_at_sizes(aof);
        return;
    case READ_SIZE: size_seen(aof, event); return;
    case READ_PART: part_read(aof, event); return;
    default: SHOAL_UNREACHABLE();
    }
}

void shoal_aof__load_drop(shoal_aof *aof)
{
    shoal_aof__load *load = &aof->load;
    if (load->begun) {
        if (load->rdb && !load->rdb_over) shoal_rdb_load_close(&load->decoder);
        shoal_aof_reader_free(&load->reader);
        shoal_store_expect(shoal_thread_store(aof->options.thread), 0);
    }
    load->begun = load->rdb = load->rdb_over = false;
    SHOAL_ASSERT(!load->begun);
}

void shoal_aof__load_close(shoal_aof *aof)
{
    SHOAL_ASSERT(!aof->load.begun);
    SHOAL_ASSERT(!aof->load.rdb);
    shoal_crew_close(aof->load.crew);
    aof->load.crew = NULL;
    shoal_buffer_free(&aof->load.early);
}
