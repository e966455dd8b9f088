/* SPDX-License-Identifier: MIT
 *
 * The host of a playback: whatever the cluster asks for is compared with what was recorded, in the
 * same order, and nothing is done. Answers are those of the recorded host. It also keeps what the
 * rules of shoal/host.h need to be checked: which links are there, which files are being written.
 */
#include "tape/play.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"

/* Longest piece of a text that is shown when something differs. */
#define SHOWN 200

/* ---- links ---- */

play_link *shoal_tape__play_link(shoal_playback *playback, shoal_link id)
{
    SHOAL_DEBUG_ASSERT(playback->link_count <= playback->link_capacity);
    for (uint32_t i = 0; i < playback->link_count; i++) {
        if (playback->links[i].id == id) return &playback->links[i];
    }
    return NULL;
}

bool shoal_tape__play_link_add(shoal_playback *playback, shoal_link id, bool up)
{
    uint32_t capacity = playback->link_capacity;
    SHOAL_ASSERT(shoal_tape__play_link(playback, id) == NULL);
    if (playback->link_count == capacity) {
        uint32_t wanted = capacity > 0 ? 2 * capacity : 64;
        play_link *grown =
            shoal_memory_take(&playback->allocator, wanted * sizeof *grown, SHOAL_ALIGN_PLAIN);
        if (grown == NULL) return false;
        if (capacity > 0) memcpy(grown, playback->links, capacity * sizeof *grown);
        shoal_memory_give(&playback->allocator, playback->links, capacity * sizeof *grown,
                          SHOAL_ALIGN_PLAIN);
        playback->links = grown;
        playback->link_capacity = wanted;
    }
    playback->links[playback->link_count++] = (play_link){.id = id, .up = up};
    return true;
}

void shoal_tape__play_link_drop(shoal_playback *playback, shoal_link id)
{
    play_link *link = shoal_tape__play_link(playback, id);
    if (link == NULL) return;
    SHOAL_ASSERT(playback->link_count > 0);
    *link = playback->links[--playback->link_count];
}

/* ---- comparing ---- */

/* The input that is being played asked for something else. */
static void differ(shoal_playback *playback, const tape_op *recorded, const tape_op *now,
                   const shoal_trace_record *record)
{
    shoal_buffer text = shoal_buffer_make(&playback->allocator);
    SHOAL_ASSERT(recorded != NULL && now != NULL);
    shoal_text_appendf(&text, "recorded was ");
    shoal_tape__op_text(recorded, &text);
    shoal_text_appendf(&text, "; now it is ");
    shoal_tape__op_text(now, &text);
    if (record != NULL && record->text.size > 0) {
        int size = record->text.size < SHOWN ? (int)record->text.size : SHOWN;
        shoal_text_appendf(&text, " (%.*s)", size, record->text.data);
    }
    shoal_slice words = shoal_buffer_slice(&text);
    shoal_tape__play_stop(playback, SHOAL_PLAYBACK_DIFFERS, "%.*s", (int)words.size, words.data);
    shoal_buffer_free(&text);
}

/* The kind of the next recorded operation. False when nothing is to be compared. */
static bool next_kind(shoal_playback *playback, uint8_t *kind)
{
    if (playback->state != SHOAL_PLAYBACK_MORE || playback->blind) return false;
    SHOAL_ASSERT(!playback->coder.bad);
    if (playback->coder.in.size == 0 && shoal_tape__play_is_last(playback)) {
        playback->blind = playback->facts.inside = true;
        return false;
    }
    shoal_tape__byte(&playback->coder, kind);
    if (!playback->coder.bad && *kind < TAPE_OP_COUNT) return true;
    shoal_tape__play_stop(playback, SHOAL_PLAYBACK_DAMAGED, "an operation is expected");
    return false;
}

/* Compares an operation with the recorded one; what the host answered then. */
static uint64_t compare(shoal_playback *playback, tape_op now, const shoal_trace_record *record)
{
    tape_op recorded = {0};
    uint64_t answer = ((uint64_t)1 << 63) + ++playback->made_up;
    SHOAL_ASSERT(now.kind >= TAPE_OP_NUDGE);
    if (!next_kind(playback, &recorded.kind)) return answer;
    if (recorded.kind >= TAPE_OP_NUDGE) shoal_tape__op_fields(&playback->coder, &recorded);
    if (playback->coder.bad) {
        shoal_tape__play_stop(playback, SHOAL_PLAYBACK_DAMAGED, "an operation is expected");
        return answer;
    }
    if (recorded.kind != now.kind || recorded.a != now.a || recorded.b != now.b ||
        recorded.hash != now.hash) {
        differ(playback, &recorded, &now, record);
        return answer;
    }
    playback->facts.asked++;
    return recorded.answer;
}

/* What a text that people can read says of a reply. */
static void show_state(shoal_playback *playback, uint32_t recorded, uint32_t now)
{
    shoal_slice reply = shoal_buffer_slice(&playback->reply);
    const shoal_cluster *cluster = playback->cluster;
    SHOAL_ASSERT(recorded != now);
    int size = reply.size < SHOWN ? (int)reply.size : SHOWN;
    bool command = playback->item == TAPE_COMMAND;
    long long deadline = cluster != NULL ? (long long)shoal_cluster_deadline(cluster) : 0;
    unsigned long long version =
        cluster != NULL ? (unsigned long long)shoal_cluster_version(cluster) : 0;
    shoal_tape__play_stop(playback, SHOAL_PLAYBACK_DIFFERS,
                          "what can be seen of the state behind it was %08x and is %08x now: "
                          "deadline %lld us, version of the map %llu%s%.*s",
                          recorded, now, deadline, version, command ? ", reply " : "",
                          command ? size : 0, reply.data != NULL ? reply.data : "");
}

void shoal_tape__play_finish(shoal_playback *playback, uint64_t extra)
{
    tape_op recorded = {0}, nothing = {.kind = TAPE_END_OPS};
    SHOAL_ASSERT(playback->item >= TAPE_CREATE);
    playback->facts.inputs++;
    if (!next_kind(playback, &recorded.kind)) return;
    if (recorded.kind >= TAPE_OP_NUDGE) {
        shoal_tape__op_fields(&playback->coder, &recorded);
        if (playback->coder.bad) recorded = nothing;
        differ(playback, &recorded, &nothing, NULL);
        return;
    }
    if (recorded.kind == TAPE_END_OPS) shoal_tape__word(&playback->coder, &playback->result);
    if (playback->coder.bad) {
        shoal_tape__play_stop(playback, SHOAL_PLAYBACK_DAMAGED, "a result is expected");
        return;
    }
    uint32_t now = shoal_tape__result(playback->cluster, extra);
    if (now != playback->result) show_state(playback, playback->result, now);
}

/* ---- operations ---- */

static void nudge(void *context, shoal_actor actor)
{
    SHOAL_ASSERT(context != NULL);
    (void)compare(context, (tape_op){.kind = TAPE_OP_NUDGE, .a = actor}, NULL);
}

static shoal_link link_open(void *context, const shoal_address *peer)
{
    shoal_playback *playback = context;
    shoal_link link = compare(playback, shoal_tape__op_address(peer), NULL);
    SHOAL_ASSERT(peer->ip[sizeof peer->ip - 1] == '\0');
    bool known = link == 0 || shoal_tape__play_link(playback, link) != NULL;
    if (!known && shoal_tape__play_link_add(playback, link, false)) return link;
    if (playback->state == SHOAL_PLAYBACK_MORE)
        shoal_tape__play_stop(playback, SHOAL_PLAYBACK_DAMAGED,
                              known ? "a link is opened that is there" : "no memory");
    return ((uint64_t)1 << 63) + ++playback->made_up;
}

static void link_send(void *context, shoal_link link, shoal_slice bytes)
{
    SHOAL_ASSERT(context != NULL);
    (void)compare(context, shoal_tape__op_bytes(TAPE_OP_LINK_SEND, link, bytes.size, bytes), NULL);
}

static size_t link_queued(void *context, shoal_link link)
{
    SHOAL_ASSERT(context != NULL);
    return (size_t)compare(context, (tape_op){.kind = TAPE_OP_LINK_QUEUED, .a = link}, NULL);
}

static void link_close(void *context, shoal_link link)
{
    SHOAL_ASSERT(context != NULL);
    (void)compare(context, (tape_op){.kind = TAPE_OP_LINK_CLOSE, .a = link}, NULL);
    shoal_tape__play_link_drop(context, link);
}

static void file_name(void *context, shoal_file file, shoal_slice path)
{
    SHOAL_ASSERT(context != NULL);
    (void)compare(context, shoal_tape__op_bytes(TAPE_OP_FILE_NAME, file, 0, path), NULL);
}

/* Compares an operation whose end is told later. */
static void submit(shoal_playback *playback, tape_op op, const play_file *file)
{
    (void)compare(playback, op, NULL);
    SHOAL_ASSERT(playback->file_count <= PLAY_FILES_MAX);
    if (playback->file_count < PLAY_FILES_MAX) {
        playback->files[playback->file_count++] = *file;
    } else if (playback->state == SHOAL_PLAYBACK_MORE) {
        shoal_tape__play_stop(playback, SHOAL_PLAYBACK_DAMAGED, "too many files are written");
    }
}

static void file_append(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    SHOAL_ASSERT(context != NULL);
    submit(context, shoal_tape__op_bytes(TAPE_OP_FILE_APPEND, file, tag, bytes),
           &(play_file){file, SHOAL_FILE_APPEND, tag});
}

static void file_sync(void *context, shoal_file file, uint64_t tag)
{
    SHOAL_ASSERT(context != NULL);
    submit(context, (tape_op){.kind = TAPE_OP_FILE_SYNC, .a = file, .b = tag},
           &(play_file){file, SHOAL_FILE_SYNC, tag});
}

static void file_read(void *context, shoal_file file, uint64_t tag)
{
    SHOAL_ASSERT(context != NULL);
    submit(context, (tape_op){.kind = TAPE_OP_FILE_READ, .a = file, .b = tag},
           &(play_file){file, SHOAL_FILE_READ, tag});
}

static void file_read_part(void *context, shoal_file file, uint64_t offset, size_t size,
                           uint64_t tag)
{
    SHOAL_ASSERT(offset + size >= offset);
    submit(context, (tape_op){.kind = TAPE_OP_FILE_READ_PART, .a = file, .b = tag},
           &(play_file){file, SHOAL_FILE_READ, tag});
}

static void file_truncate(void *context, shoal_file file, uint64_t size, uint64_t tag)
{
    (void)size;
    SHOAL_ASSERT(context != NULL);
    submit(context, (tape_op){.kind = TAPE_OP_FILE_TRUNCATE, .a = file, .b = tag},
           &(play_file){file, SHOAL_FILE_TRUNCATE, tag});
}

static void file_rename(void *context, shoal_file from, shoal_file to, uint64_t tag)
{
    uint64_t both = (uint64_t)from | (uint64_t)to << 8;
    SHOAL_ASSERT(context != NULL);
    submit(context, (tape_op){.kind = TAPE_OP_FILE_RENAME, .a = both, .b = tag},
           &(play_file){from, SHOAL_FILE_RENAME, tag});
}

static void file_remove(void *context, shoal_file file, uint64_t tag)
{
    SHOAL_ASSERT(context != NULL);
    submit(context, (tape_op){.kind = TAPE_OP_FILE_REMOVE, .a = file, .b = tag},
           &(play_file){file, SHOAL_FILE_REMOVE, tag});
}

static void trace(void *context, const shoal_trace_record *record)
{
    shoal_playback *playback = context;
    SHOAL_ASSERT(record != NULL);
    (void)compare(playback, shoal_tape__op_trace(record), record);
    shoal_tape__play_entry(playback, record);
}

shoal_host shoal_tape__play_host(shoal_playback *playback)
{
    SHOAL_ASSERT(playback != NULL);
    return (shoal_host){.context = playback,
                        .nudge = nudge,
                        .link_open = link_open,
                        .link_send = link_send,
                        .link_queued = playback->head.queued ? link_queued : NULL,
                        .link_close = link_close,
                        .file_name = file_name,
                        .file_append = file_append,
                        .file_sync = file_sync,
                        .file_read = file_read,
                        .file_read_part = file_read_part,
                        .file_truncate = file_truncate,
                        .file_rename = file_rename,
                        .file_remove = file_remove,
                        .trace = trace};
}
