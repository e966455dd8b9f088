/* SPDX-License-Identifier: MIT
 *
 * Playback: the items of a recording, one after the other, into a state machine of the cluster made
 * as the recorded one was. What comes from the file is checked before it is believed: the frames by
 * their checks, the items by their fields, and the order of events by the rules that hosts keep, on
 * which the cluster relies.
 */
#include "tape/play.h"

#include <stdarg.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/text.h"

static const char MAGIC[8] = {'S', 'H', 'O', 'A', 'L', 'R', 'E', 'C'};

/* ---- trouble ---- */

static const char *event_name(shoal_event_kind kind)
{
    static const char *const names[] = {"no event",  "START",     "TICK",      "NUDGED",
                                        "LINK_UP",   "LINK_DATA", "LINK_FULL", "LINK_ROOM",
                                        "LINK_DOWN", "FILE_DONE"};
    SHOAL_ASSERT(kind <= SHOAL_EVENT_FILE_DONE);
    return names[kind];
}

/* What is being played, or "". */
static const char *item_name(uint8_t item)
{
    static const char *const names[] = {", creation",
                                        ", first start",
                                        ", nodes.conf",
                                        ", settings",
                                        ", the event",
                                        ", a tick",
                                        ", a CLUSTER command",
                                        ", facts of replication",
                                        ", facts of replication",
                                        ", a message",
                                        ", lost slots",
                                        ", a handover",
                                        ", a refusal"};
    _Static_assert(sizeof names / sizeof names[0] == TAPE_ITEM_COUNT - TAPE_CREATE, "each has one");
    SHOAL_ASSERT(item < TAPE_ITEM_COUNT);
    return item >= TAPE_CREATE ? names[item - TAPE_CREATE] : "";
}

void shoal_tape__play_stop(shoal_playback *playback, shoal_playback_state state, const char *format,
                           ...)
{
    shoal_buffer *text = &playback->trouble;
    va_list arguments;
    SHOAL_ASSERT(state != SHOAL_PLAYBACK_MORE);
    if (playback->state != SHOAL_PLAYBACK_MORE) return;
    int64_t now_us = playback->facts.now.mono_us - playback->head.created.mono_us;
    playback->state = state;
    shoal_text_appendf(text, "step %llu (%s at %lld.%06lld s, frame at byte %llu of the file)%s: ",
                       (unsigned long long)playback->facts.steps,
                       event_name(playback->step.event.kind), (long long)(now_us / 1000000),
                       (long long)(now_us % 1000000), (unsigned long long)playback->facts.offset,
                       item_name(playback->item));
    va_start(arguments, format);
    shoal_text_vappendf(text, format, arguments);
    va_end(arguments);
}

static void damaged(shoal_playback *playback, const char *what)
{
    SHOAL_ASSERT(what != NULL);
    shoal_tape__play_stop(playback, SHOAL_PLAYBACK_DAMAGED, "%s", what);
}

/* ---- what listeners are told ---- */

void shoal_tape__play_entry(shoal_playback *playback, const shoal_trace_record *record)
{
    const shoal_playback_options *options = &playback->options;
    SHOAL_ASSERT(record != NULL);
    if (options->entry == NULL) return;
    int64_t now_us = playback->facts.now.mono_us - playback->head.created.mono_us;
    shoal_trace_entry entry = {.time_us = now_us + options->shift_us,
                               .node = options->node,
                               .record = *record};
    options->entry(options->context, &entry);
}

/* The world's records: the node is there, or gone. */
static void tell_life(shoal_playback *playback, bool begins)
{
    shoal_buffer text = shoal_buffer_make(&playback->allocator);
    shoal_slice place = playback->head.place;
    shoal_text_appendf(&text, "n%u", playback->options.node + 1);
    if (begins) shoal_text_appendf(&text, " %.*s", (int)place.size, place.data);
    SHOAL_DEBUG_ASSERT(playback->begun);
    shoal_trace_record record = {.kind =
                                     begins ? SHOAL_TRACE_NODE_STARTED : SHOAL_TRACE_NODE_CRASHED,
                                 .text = shoal_buffer_slice(&text)};
    if (begins) {
        record.a = playback->facts.port;
        record.b = playback->facts.bus_port;
    }
    if (!text.failed) shoal_tape__play_entry(playback, &record);
    shoal_buffer_free(&text);
}

/* ---- frames ---- */

/* Looks at the frame at `at`: its body, or an empty slice when none is whole there. */
static shoal_slice frame_at(const shoal_playback *playback, size_t at)
{
    shoal_slice file = playback->options.bytes;
    SHOAL_ASSERT(at <= file.size);
    if (file.size - at < TAPE_FRAME_HEAD) return (shoal_slice){0};
    uint64_t size = shoal_bytes_get_le32(file.data + at);
    uint32_t check = shoal_bytes_get_le32(file.data + at + 4);
    if (size == 0 || size > TAPE_FRAME_MAX || size > file.size - at - TAPE_FRAME_HEAD)
        return (shoal_slice){0};
    shoal_slice body = {file.data + at + TAPE_FRAME_HEAD, (size_t)size};
    return shoal_tape__check(body, playback->number) == check ? body : (shoal_slice){0};
}

/* What is at `at` and is no whole frame is what a killed process has left: it reaches the end of
 * the file, or there are only zeros. */
static bool is_torn(const shoal_playback *playback, size_t at)
{
    shoal_slice file = playback->options.bytes;
    SHOAL_ASSERT(at <= file.size);
    if (file.size - at < TAPE_FRAME_HEAD) return true;
    uint64_t size = shoal_bytes_get_le32(file.data + at);
    if (size > 0 && size <= TAPE_FRAME_MAX && size >= file.size - at - TAPE_FRAME_HEAD) return true;
    while (at < file.size && file.data[at] == '\0') at++;
    return at == file.size;
}

/* Goes to the next frame. False at the end, whatever that is. */
static bool next_frame(shoal_playback *playback)
{
    shoal_slice body = frame_at(playback, playback->at);
    size_t left = playback->options.bytes.size - playback->at;
    SHOAL_ASSERT(playback->coder.in.size == 0);
    if (playback->facts.ended && left > 0) {
        playback->facts.offset = playback->at;
        damaged(playback, "something stands behind the last entry");
        return false;
    }
    if (body.size > 0) {
        playback->facts.offset = playback->at;
        playback->coder.in = body;
        playback->at += TAPE_FRAME_HEAD + body.size;
        playback->number++;
        return true;
    }
    if (is_torn(playback, playback->at)) {
        playback->facts.torn = left;
        return false;
    }
    playback->facts.offset = playback->at;
    damaged(playback, "the frame's check does not hold");
    return false;
}

bool shoal_tape__play_is_last(shoal_playback *playback)
{
    SHOAL_ASSERT(playback->coder.in.size == 0);
    return frame_at(playback, playback->at).size == 0 && is_torn(playback, playback->at);
}

/* ---- the rules of hosts ---- */

/* Why the event cannot be, or NULL; keeps what follows from it. */
static const char *check_link(shoal_playback *playback, const shoal_event *event)
{
    play_link *link = shoal_tape__play_link(playback, event->link);
    SHOAL_ASSERT(event->link != 0);
    switch (event->kind) {
    case SHOAL_EVENT_LINK_UP:
        if (event->accepted)
            return link != NULL ? "a link is accepted that is there"
                   : shoal_tape__play_link_add(playback, event->link, true) ? NULL
                                                                            : "no memory";
        if (link != NULL && link->up) return "a link comes up that is up";
        if (link != NULL) link->up = true;
        return NULL;
    case SHOAL_EVENT_LINK_DOWN: shoal_tape__play_link_drop(playback, event->link); return NULL;
    default: return link != NULL && !link->up ? "a link that is not up says something" : NULL;
    }
}

static const char *check_file(shoal_playback *playback, const shoal_event *event)
{
    const play_file *first = &playback->files[0];
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_FILE_DONE);
    if (event->file != SHOAL_FILE_NODES && event->file != SHOAL_FILE_NODES_NEW)
        return "the end of a file that is not the cluster's";
    if (playback->file_count == 0 || first->file != event->file || first->op != event->op ||
        first->tag != event->tag)
        return "the end of an operation that did not come next";
    playback->file_count--;
    memmove(playback->files, playback->files + 1, playback->file_count * sizeof *first);
    return NULL;
}

/* ---- inputs ---- */

static void no_message(void *context, bool sharded, shoal_slice channel, shoal_slice message)
{
    (void)sharded, (void)channel, (void)message;
    SHOAL_DEBUG_ASSERT(context != NULL);
}

static void play_create(shoal_playback *playback)
{
    const shoal_cluster_sink sink = {playback, no_message};
    shoal_cluster_options options = {.allocator = playback->allocator,
                                     .host = &playback->host,
                                     .seed = {playback->head.seed[0], playback->head.seed[1]},
                                     .now = playback->facts.now};
    shoal_tape__settings(&playback->coder, &options.settings);
    SHOAL_ASSERT(playback->cluster == NULL);
    if (playback->coder.bad) return;
    playback->host = shoal_tape__play_host(playback);
    shoal_err error = shoal_cluster_create(&options, &playback->cluster);
    playback->facts.port = options.settings.port;
    playback->facts.bus_port = options.settings.bus_port;
    shoal_tape__play_finish(playback, (uint64_t)error);
    if (playback->cluster != NULL) shoal_cluster_set_sink(playback->cluster, &sink);
}

static void play_load(shoal_playback *playback)
{
    shoal_buffer complaint = shoal_buffer_make(&playback->allocator);
    shoal_slice text;
    SHOAL_ASSERT(playback->cluster != NULL);
    shoal_tape__packed(&playback->coder, &text, &playback->rooms[0]);
    if (!playback->coder.bad) {
        shoal_err error = shoal_cluster_load(playback->cluster, text, &complaint);
        shoal_tape__play_finish(playback, (uint64_t)error);
    }
    shoal_buffer_free(&complaint);
}

static void play_set(shoal_playback *playback)
{
    shoal_cluster_settings settings = {0};
    SHOAL_ASSERT(playback->cluster != NULL);
    shoal_tape__settings(&playback->coder, &settings);
    if (playback->coder.bad) return;
    shoal_cluster_set(playback->cluster, &settings, playback->facts.now);
    shoal_tape__play_finish(playback, 0);
}

static void play_event(shoal_playback *playback)
{
    shoal_event event = playback->step.event;
    const char *wrong = NULL;
    SHOAL_ASSERT(playback->cluster != NULL);
    shoal_tape__packed(&playback->coder, &event.data, &playback->rooms[0]);
    if (playback->coder.bad) return;
    if (event.kind == SHOAL_EVENT_FILE_DONE)
        wrong = check_file(playback, &event);
    else if (event.kind >= SHOAL_EVENT_LINK_UP)
        wrong = check_link(playback, &event);
    if (wrong == NULL && event.data.size != playback->step.data_size) wrong = "other bytes";
    if (wrong != NULL) {
        damaged(playback, wrong);
        return;
    }
    shoal_cluster_event(playback->cluster, &event);
    shoal_tape__play_finish(playback, 0);
}

/* Reads the words and runs the command. */
static void play_words(shoal_playback *playback, const tape_call *head)
{
    size_t size = (size_t)head->argc * sizeof(shoal_slice);
    shoal_slice *argv = shoal_memory_take(&playback->allocator, size, SHOAL_ALIGN_PLAIN);
    SHOAL_ASSERT(head->argc >= 2);
    if (argv == NULL) {
        damaged(playback, "no memory");
        return;
    }
    for (uint64_t i = 0; i < head->argc; i++)
        shoal_tape__bytes(&playback->coder, &argv[i], TAPE_BYTES_MAX);
    if (!playback->coder.bad) {
        shoal_buffer_consume(&playback->reply, shoal_buffer_size(&playback->reply));
        shoal_cluster_call call = {.argc = (uint32_t)head->argc,
                                   .argv = argv,
                                   .local = head->local,
                                   .keys = head->keys,
                                   .keys_in_slot = head->keys_in_slot,
                                   .now = playback->facts.now,
                                   .reply = {&playback->reply, head->protocol}};
        shoal_cluster_command(playback->cluster, &call);
        shoal_slice reply = shoal_buffer_slice(&playback->reply);
        shoal_tape__play_finish(playback, shoal_tape__extra(call.change, reply));
    }
    shoal_memory_give(&playback->allocator, argv, size, SHOAL_ALIGN_PLAIN);
}

static void play_command(shoal_playback *playback)
{
    tape_call head = {0};
    SHOAL_ASSERT(playback->cluster != NULL);
    shoal_tape__call(&playback->coder, &head);
    /* Every word takes a byte at least. */
    if (head.argc > playback->coder.in.size) playback->coder.bad = true;
    if (!playback->coder.bad) play_words(playback, &head);
}

static void play_facts(shoal_playback *playback)
{
    SHOAL_ASSERT(playback->cluster != NULL);
    if (playback->item == TAPE_FACTS) {
        shoal_cluster_replication before = playback->replication;
        shoal_tape__facts(&playback->coder, &playback->replication, &before);
    } else if (!playback->told) {
        playback->coder.bad = true;
    }
    if (playback->coder.bad) return;
    playback->told = true;
    playback->facts.carried++;
    shoal_cluster_set_replication(playback->cluster, &playback->replication, playback->facts.now);
    shoal_tape__play_finish(playback, 0);
}

static void play_publish(shoal_playback *playback)
{
    bool sharded = false;
    shoal_slice channel, text;
    SHOAL_ASSERT(playback->cluster != NULL);
    shoal_tape__flag(&playback->coder, &sharded);
    shoal_tape__packed(&playback->coder, &channel, &playback->rooms[0]);
    shoal_tape__packed(&playback->coder, &text, &playback->rooms[1]);
    if (channel.size >= SHOAL_FRAME_SIZE_MAX || text.size >= SHOAL_FRAME_SIZE_MAX)
        playback->coder.bad = true;
    if (playback->coder.bad) return;
    shoal_cluster_publish(playback->cluster, sharded, channel, text);
    shoal_tape__play_finish(playback, 0);
}

static void play_tell(shoal_playback *playback)
{
    uint32_t reason = 0;
    shoal_slice detail = {0};
    SHOAL_ASSERT(playback->cluster != NULL);
    shoal_tape__word(&playback->coder, &reason);
    shoal_tape__bytes(&playback->coder, &detail, TAPE_BYTES_MAX);
    if (playback->coder.bad) return;
    if (!shoal_cluster_tell(playback->cluster, reason, detail, playback->facts.now)) {
        damaged(playback, "a reason that there is not");
        return;
    }
    shoal_tape__play_finish(playback, 0);
}

static void play_lost(shoal_playback *playback)
{
    shoal_slotmap slots;
    SHOAL_ASSERT(playback->cluster != NULL);
    bool lost = shoal_cluster_take_lost(playback->cluster, &slots);
    shoal_slice bits = {(const char *)slots.bits, lost ? sizeof slots.bits : 0};
    shoal_tape__play_finish(playback, shoal_tape__extra(lost, bits));
}

/* Plays an input whose place in the order has been checked. */
static void play_input(shoal_playback *playback)
{
    shoal_time now = playback->facts.now;
    SHOAL_ASSERT(playback->item >= TAPE_CREATE && playback->item < TAPE_ITEM_COUNT);
    switch ((tape_item)playback->item) {
    case TAPE_CREATE: play_create(playback); return;
    case TAPE_INIT:
        shoal_cluster_init_new(playback->cluster, now);
        shoal_tape__play_finish(playback, 0);
        return;
    case TAPE_LOAD: play_load(playback); return;
    case TAPE_SET: play_set(playback); return;
    case TAPE_EVENT: play_event(playback); return;
    case TAPE_TICK:
        shoal_cluster_tick(playback->cluster, now);
        shoal_tape__play_finish(playback, 0);
        return;
    case TAPE_COMMAND: play_command(playback); return;
    case TAPE_FACTS:
    case TAPE_FACTS_SAME: play_facts(playback); return;
    case TAPE_PUBLISH: play_publish(playback); return;
    case TAPE_LOST: play_lost(playback); return;
    case TAPE_TELL: play_tell(playback); return;
    default:
        shoal_tape__play_finish(playback, shoal_cluster_handover_begin(playback->cluster, now));
        return;
    }
}

/* ---- items ---- */

static bool named(const shoal_playback *playback)
{
    SHOAL_DEBUG_ASSERT(playback->item > 0);
    return playback->cluster != NULL && shoal_cluster_name(playback->cluster)[0] != '\0';
}

/* Whether the item may come here. */
static bool may_come(const shoal_playback *playback)
{
    bool there = playback->cluster != NULL;
    SHOAL_ASSERT(playback->item < TAPE_ITEM_COUNT);
    if (playback->facts.ended || playback->item == TAPE_HEAD) return false;
    if (playback->item < TAPE_CREATE) return playback->item != TAPE_DIGEST || there;
    if (!playback->begun) return false;
    switch ((tape_item)playback->item) {
    case TAPE_CREATE: return !there;
    case TAPE_INIT:
    case TAPE_LOAD: return there && !named(playback);
    case TAPE_COMMAND:
    case TAPE_LOST: return named(playback);
    default: return there;
    }
}

static void play_step(shoal_playback *playback)
{
    playback->step = (tape_step){0};
    shoal_tape__step_fields(&playback->coder, &playback->step, &playback->last);
    if (playback->coder.bad) return;
    SHOAL_ASSERT(playback->last.mono_us >= playback->facts.now.mono_us);
    playback->facts.now = playback->last;
    playback->facts.steps++;
    playback->unclaimed = playback->step.event.kind >= SHOAL_EVENT_LINK_UP;
    if (playback->begun) return;
    playback->begun = true;
    tell_life(playback, true);
}

static void play_note(shoal_playback *playback)
{
    shoal_trace_record record = {0};
    SHOAL_DEBUG_ASSERT(playback->item == TAPE_NOTE);
    shoal_tape__record(&playback->coder, &record);
    if (playback->coder.bad) return;
    playback->facts.notes++;
    shoal_tape__play_entry(playback, &record);
}

static void play_digest(shoal_playback *playback)
{
    uint64_t recorded = 0;
    SHOAL_ASSERT(playback->cluster != NULL);
    shoal_tape__long(&playback->coder, &recorded);
    if (playback->coder.bad) return;
    uint64_t now = shoal_cluster_digest(playback->cluster);
    playback->facts.digests++;
    if (now == recorded) return;
    shoal_tape__play_stop(playback, SHOAL_PLAYBACK_DIFFERS,
                          "the digest of the whole state was %016llx and is %016llx now",
                          (unsigned long long)recorded, (unsigned long long)now);
}

static void play_ended(shoal_playback *playback)
{
    bool gone = false;
    shoal_slice why;
    SHOAL_ASSERT(!playback->facts.ended);
    shoal_tape__flag(&playback->coder, &gone);
    shoal_tape__bytes(&playback->coder, &why, TAPE_NAME_MAX);
    if (playback->coder.bad) return;
    if (why.size > 0) memcpy(playback->why, why.data, why.size);
    playback->facts.why = (shoal_slice){playback->why, why.size};
    playback->facts.ended = true;
    if (gone && playback->begun) tell_life(playback, false);
}

/* Plays the next item, whose first byte has been read. */
static void play_item(shoal_playback *playback)
{
    SHOAL_DEBUG_ASSERT(playback->state == SHOAL_PLAYBACK_MORE);
    switch (playback->item) {
    case TAPE_STEP: play_step(playback); break;
    case TAPE_NOTE: play_note(playback); break;
    case TAPE_DIGEST: play_digest(playback); break;
    case TAPE_ENDED: play_ended(playback); break;
    default: play_input(playback); break;
    }
    if (playback->coder.bad) damaged(playback, "its fields cannot be read");
}

static bool known_item(uint8_t item)
{
    SHOAL_DEBUG_ASSERT(TAPE_ENDED < TAPE_CREATE);
    return (item >= TAPE_HEAD && item <= TAPE_ENDED) ||
           (item >= TAPE_CREATE && item < TAPE_ITEM_COUNT);
}

/* All is played. */
static void reach_end(shoal_playback *playback)
{
    SHOAL_ASSERT(playback->state == SHOAL_PLAYBACK_MORE);
    playback->state = SHOAL_PLAYBACK_END;
    if (!playback->facts.ended && playback->begun) tell_life(playback, false);
}

/* ---- the face ---- */

bool shoal_tape_is(shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    return bytes.size >= sizeof MAGIC && memcmp(bytes.data, MAGIC, sizeof MAGIC) == 0;
}

/* Reads header and head. */
static shoal_err open_file(shoal_playback *playback, shoal_buffer *complaint)
{
    shoal_slice file = playback->options.bytes;
    uint8_t item = 0;
    SHOAL_ASSERT(complaint != NULL);
    if (!shoal_tape_is(file)) {
        shoal_text_appendf(complaint, "byte 0: expected \"SHOALREC\": this is no recording");
        return SHOAL_ERR_MALFORMED;
    }
    if (file.size < TAPE_HEADER_SIZE) {
        shoal_text_appendf(complaint, "byte %zu: the file ends inside its header", file.size);
        return SHOAL_ERR_TRUNCATED;
    }
    uint32_t version = shoal_bytes_get_le32(file.data + 8);
    if (version != TAPE_VERSION || shoal_bytes_get_le32(file.data + 12) != 0) {
        shoal_text_appendf(complaint,
                           "byte 8: a recording of version %u, and this program reads version %u",
                           version, TAPE_VERSION);
        return SHOAL_ERR_UNSUPPORTED;
    }
    playback->at = TAPE_HEADER_SIZE;
    if (!next_frame(playback)) {
        bool torn = playback->state == SHOAL_PLAYBACK_MORE;
        shoal_text_appendf(complaint, "byte %u: %s", TAPE_HEADER_SIZE,
                           torn ? "the file ends before its first frame does"
                                : "the frame's check does not hold");
        return torn ? SHOAL_ERR_TRUNCATED : SHOAL_ERR_MALFORMED;
    }
    shoal_tape__byte(&playback->coder, &item);
    if (item == TAPE_HEAD) shoal_tape__head(&playback->coder, &playback->head);
    if (item == TAPE_HEAD && !playback->coder.bad) return SHOAL_ERR_OK;
    shoal_text_appendf(complaint, "byte %u: a head is expected", TAPE_HEADER_SIZE);
    return SHOAL_ERR_MALFORMED;
}

shoal_err shoal_playback_open(const shoal_playback_options *options, shoal_buffer *complaint,
                              shoal_playback **out)
{
    shoal_playback *playback =
        shoal_memory_take_zeroed(&options->allocator, sizeof *playback, SHOAL_ALIGN_PLAIN);
    SHOAL_ASSERT(out != NULL);
    *out = NULL;
    if (playback == NULL) return SHOAL_ERR_NO_MEMORY;
    playback->allocator = options->allocator;
    playback->options = *options;
    playback->rooms[0] = playback->rooms[1] = shoal_buffer_make(&playback->allocator);
    playback->reply = playback->trouble = shoal_buffer_make(&playback->allocator);
    shoal_err error = open_file(playback, complaint);
    if (error != SHOAL_ERR_OK) {
        shoal_playback_close(playback);
        return error;
    }
    playback->last = playback->facts.now = playback->head.created;
    playback->facts.build = playback->head.build;
    playback->facts.place = playback->head.place;
    playback->facts.created = playback->head.created;
    playback->facts.port = playback->head.port;
    playback->facts.bus_port = playback->head.bus_port;
    *out = playback;
    return SHOAL_ERR_OK;
}

shoal_playback_state shoal_playback_next(shoal_playback *playback)
{
    bool stepped = false;
    SHOAL_ASSERT(playback != NULL);
    while (playback->state == SHOAL_PLAYBACK_MORE) {
        bool more = playback->coder.in.size > 0 || next_frame(playback);
        if (!more && playback->state == SHOAL_PLAYBACK_MORE) reach_end(playback);
        if (!more) break;
        uint8_t item = (uint8_t)playback->coder.in.data[0];
        if (item == TAPE_STEP && stepped) break;
        stepped = stepped || item == TAPE_STEP;
        playback->item = 0;
        if (known_item(item)) playback->item = item;
        if (playback->item == 0 || !may_come(playback)) {
            damaged(playback, "an item stands where it cannot be");
            break;
        }
        shoal_tape__byte(&playback->coder, &item);
        if (item >= TAPE_INIT && item <= TAPE_EVENT) playback->unclaimed = false;
        play_item(playback);
        playback->item = TAPE_HEAD;
    }
    if (stepped && playback->unclaimed) playback->facts.foreign++;
    return playback->state;
}

void shoal_playback_get(const shoal_playback *playback, shoal_playback_facts *facts)
{
    SHOAL_ASSERT(facts != NULL);
    *facts = playback->facts;
    facts->trouble = shoal_buffer_slice(&playback->trouble);
    if (playback->cluster == NULL) return;
    memcpy(facts->name, shoal_cluster_name(playback->cluster),
           strlen(shoal_cluster_name(playback->cluster)));
}

void shoal_playback_close(shoal_playback *playback)
{
    shoal_allocator allocator = playback->allocator;
    SHOAL_ASSERT(playback->link_count <= playback->link_capacity);
    if (playback->cluster != NULL) shoal_cluster_destroy(playback->cluster);
    for (uint32_t i = 0; i < 2; i++) shoal_buffer_free(&playback->rooms[i]);
    shoal_buffer_free(&playback->reply);
    shoal_buffer_free(&playback->trouble);
    shoal_memory_give(&allocator, playback->links, playback->link_capacity * sizeof(play_link),
                      SHOAL_ALIGN_PLAIN);
    shoal_memory_give(&allocator, playback, sizeof *playback, SHOAL_ALIGN_PLAIN);
}
