/* SPDX-License-Identifier: MIT
 *
 * The recorder: gathers items into frames and gives the frames away. Frames are cut between items,
 * when they are large enough or have gathered for long enough; the times are those of the steps.
 */
#include "tape/internal.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"

/* A frame is given away when it has this many bytes, or this much time lies between its first step
 * and its last. Chosen: an eighth of what its head would cost at a step each, and what a killed
 * process may lose of the end is a tick of the cluster's timer. */
#define FRAME_BYTES 2048u
#define FRAME_US 50000
/* Steps between digests of the whole state. Chosen: some seconds of an idle node, and below a
 * hundredth of what the steps cost. */
#define DIGEST_STEPS 256u

/* ---- frames ---- */

static void begin_frame(shoal_tape *tape)
{
    static const char head[TAPE_FRAME_HEAD] = {0};
    SHOAL_ASSERT(shoal_buffer_size(&tape->frame) == 0);
    shoal_buffer_append(&tape->frame, (shoal_slice){head, sizeof head});
    tape->began_us = -1;
}

/* Nothing more can be recorded. */
static void stop(shoal_tape *tape)
{
    SHOAL_DEBUG_ASSERT(tape->allocator.release != NULL);
    tape->on = false;
    shoal_buffer_free(&tape->frame);
}

static void give_frame(shoal_tape *tape)
{
    shoal_slice frame = shoal_buffer_slice(&tape->frame);
    SHOAL_ASSERT(!tape->coder.bad);
    if (tape->frame.failed) {
        stop(tape);
        return;
    }
    SHOAL_ASSERT(frame.size >= TAPE_FRAME_HEAD);
    shoal_slice body = {frame.data + TAPE_FRAME_HEAD, frame.size - TAPE_FRAME_HEAD};
    if (body.size == 0 || body.size > TAPE_FRAME_MAX) return;
    char *head = tape->frame.data + tape->frame.start;
    shoal_bytes_put_le32(head, (uint32_t)body.size);
    shoal_bytes_put_le32(head + 4, shoal_tape__check(body, tape->number));
    tape->number++;
    tape->options.take(tape->options.context, frame);
    shoal_buffer_consume(&tape->frame, frame.size);
    begin_frame(tape);
}

static void item(shoal_tape *tape, tape_item kind)
{
    uint8_t byte = (uint8_t)kind;
    SHOAL_ASSERT(kind > 0 && kind < TAPE_ITEM_COUNT);
    shoal_tape__byte(&tape->coder, &byte);
}

/* ---- life ---- */

static void write_head(shoal_tape *tape, const shoal_tape_start *start)
{
    char header[TAPE_HEADER_SIZE] = "SHOALREC";
    tape_head head = {.build = start->options->build,
                      .place = start->options->place,
                      .seed = {start->seed[0], start->seed[1]},
                      .created = start->created,
                      .workers = start->workers,
                      .port = start->port,
                      .bus_port = start->bus_port,
                      .queued = start->host->link_queued != NULL};
    shoal_bytes_put_le32(header + 8, TAPE_VERSION);
    shoal_bytes_put_le32(header + 12, 0);
    SHOAL_ASSERT(tape->on);
    tape->options.take(tape->options.context, (shoal_slice){header, sizeof header});
    begin_frame(tape);
    item(tape, TAPE_HEAD);
    shoal_tape__head(&tape->coder, &head);
    give_frame(tape);
}

shoal_err shoal_tape_open(const shoal_tape_start *start, shoal_tape **out)
{
    const shoal_tape_options *options = start->options;
    SHOAL_ASSERT(options->take != NULL && start->host != NULL);
    SHOAL_ASSERT(options->build.size <= TAPE_NAME_MAX && options->place.size <= TAPE_NAME_MAX);
    shoal_tape *tape = shoal_memory_take_zeroed(&start->allocator, sizeof *tape, SHOAL_ALIGN_PLAIN);
    if (tape == NULL) return SHOAL_ERR_NO_MEMORY;
    tape->allocator = start->allocator;
    tape->options = *options;
    tape->world = start->host;
    tape->frame = shoal_buffer_make(&tape->allocator);
    tape->coder.out = &tape->frame;
    tape->last = start->created;
    tape->on = true;
    shoal_tape__doors(tape);
    write_head(tape, start);
    *out = tape;
    return SHOAL_ERR_OK;
}

void shoal_tape_end(shoal_tape *tape, bool gone, shoal_slice why)
{
    if (tape == NULL || !tape->on) return;
    SHOAL_ASSERT(!tape->in_input);
    if (why.size > TAPE_NAME_MAX) why.size = TAPE_NAME_MAX;
    item(tape, TAPE_ENDED);
    shoal_tape__flag(&tape->coder, &gone);
    shoal_tape__bytes(&tape->coder, &why, TAPE_NAME_MAX);
    give_frame(tape);
    stop(tape);
}

void shoal_tape_flush(shoal_tape *tape)
{
    if (tape == NULL || !tape->on) return;
    SHOAL_ASSERT(tape->coder.out == &tape->frame);
    tape->on = false;
    if (!tape->frame.failed) give_frame(tape);
}

void shoal_tape_free(shoal_tape *tape)
{
    if (tape == NULL) return;
    shoal_allocator allocator = tape->allocator;
    SHOAL_ASSERT(!tape->in_input);
    shoal_buffer_free(&tape->frame);
    shoal_memory_give(&allocator, tape, sizeof *tape, SHOAL_ALIGN_PLAIN);
}

/* ---- steps ---- */

void shoal_tape_step(shoal_tape *tape, const shoal_event *event)
{
    if (tape == NULL || !tape->on) return;
    tape_step step = {.event = *event, .data_size = event->data.size};
    SHOAL_ASSERT(!tape->in_input);
    if (tape->began_us < 0) tape->began_us = event->now.mono_us;
    item(tape, TAPE_STEP);
    shoal_tape__step_fields(&tape->coder, &step, &tape->last);
}

void shoal_tape_step_end(shoal_tape *tape, const shoal_cluster *cluster)
{
    if (tape == NULL || !tape->on) return;
    SHOAL_ASSERT(!tape->in_input);
    if (++tape->steps >= DIGEST_STEPS && cluster != NULL) {
        uint64_t digest = shoal_cluster_digest(cluster);
        tape->steps = 0;
        item(tape, TAPE_DIGEST);
        shoal_tape__long(&tape->coder, &digest);
    }
    if (shoal_buffer_size(&tape->frame) >= FRAME_BYTES ||
        tape->last.mono_us - tape->began_us >= FRAME_US)
        give_frame(tape);
}

void shoal_tape_note(shoal_tape *tape, const shoal_trace_record *record)
{
    /* Inside an input it would stand among operations; nobody but the cluster speaks there. */
    if (tape == NULL || !tape->on || tape->in_input) return;
    shoal_trace_record copy = *record;
    SHOAL_ASSERT(record->text.size <= SHOAL_TRACE_TEXT_MAX);
    item(tape, TAPE_NOTE);
    shoal_tape__record(&tape->coder, &copy);
}

/* ---- inputs ---- */

/* Begins to write an input. False when nothing is written. */
static bool begin(shoal_tape *tape, tape_item kind)
{
    if (tape == NULL || !tape->on) return false;
    SHOAL_ASSERT(!tape->in_input);
    SHOAL_ASSERT(kind >= TAPE_CREATE);
    tape->in_input = true;
    item(tape, kind);
    return true;
}

/* The input is over, and came to `extra`. */
static void finish(shoal_tape *tape, const shoal_cluster *cluster, uint64_t extra)
{
    if (tape == NULL || !tape->in_input) return;
    tape->in_input = false;
    if (!tape->on) return;
    uint32_t result = shoal_tape__result(cluster, extra);
    uint8_t end = result == tape->result ? TAPE_END_OPS_SAME : TAPE_END_OPS;
    SHOAL_DEBUG_ASSERT(tape->coder.out != NULL);
    shoal_tape__byte(&tape->coder, &end);
    if (end == TAPE_END_OPS) shoal_tape__word(&tape->coder, &result);
    tape->result = result;
}

void shoal_tape__op(shoal_tape *tape, const tape_op *op)
{
    if (!tape->on) return;
    tape_op copy = *op;
    SHOAL_ASSERT(tape->in_input);
    SHOAL_ASSERT(op->kind >= TAPE_OP_NUDGE && op->kind < TAPE_OP_COUNT);
    shoal_tape__byte(&tape->coder, &copy.kind);
    shoal_tape__op_fields(&tape->coder, &copy);
}

shoal_err shoal_tape_create(shoal_tape *tape, const shoal_cluster_options *options,
                            shoal_cluster **out)
{
    shoal_cluster_options own = *options;
    own.host = shoal_tape_watched(tape, options->host);
    SHOAL_ASSERT(out != NULL);
    if (begin(tape, TAPE_CREATE)) {
        shoal_cluster_settings settings = options->settings;
        shoal_tape__settings(&tape->coder, &settings);
    }
    *out = NULL;
    shoal_err error = shoal_cluster_create(&own, out);
    finish(tape, *out, (uint64_t)error);
    return error;
}

void shoal_tape_init_new(shoal_tape *tape, shoal_cluster *cluster, shoal_time now)
{
    SHOAL_ASSERT(cluster != NULL);
    (void)begin(tape, TAPE_INIT);
    shoal_cluster_init_new(cluster, now);
    finish(tape, cluster, 0);
}

shoal_err shoal_tape_load(shoal_tape *tape, shoal_cluster *cluster, shoal_slice text,
                          shoal_buffer *complaint)
{
    SHOAL_ASSERT(cluster != NULL);
    if (begin(tape, TAPE_LOAD)) shoal_tape__packed(&tape->coder, &text, NULL);
    shoal_err error = shoal_cluster_load(cluster, text, complaint);
    finish(tape, cluster, (uint64_t)error);
    return error;
}

void shoal_tape_set(shoal_tape *tape, shoal_cluster *cluster,
                    const shoal_cluster_settings *settings, shoal_time now)
{
    SHOAL_ASSERT(cluster != NULL);
    if (begin(tape, TAPE_SET)) {
        shoal_cluster_settings copy = *settings;
        shoal_tape__settings(&tape->coder, &copy);
    }
    shoal_cluster_set(cluster, settings, now);
    finish(tape, cluster, 0);
}

void shoal_tape_event(shoal_tape *tape, shoal_cluster *cluster, const shoal_event *event)
{
    SHOAL_ASSERT(cluster != NULL);
    if (begin(tape, TAPE_EVENT)) {
        shoal_slice data = event->data;
        SHOAL_ASSERT(event->now.mono_us == tape->last.mono_us);
        /* The host that the cluster was given takes no parcels, so that none come. */
        SHOAL_ASSERT(event->parcel == NULL);
        shoal_tape__packed(&tape->coder, &data, NULL);
    }
    shoal_cluster_event(cluster, event);
    finish(tape, cluster, 0);
}

void shoal_tape_tick(shoal_tape *tape, shoal_cluster *cluster, shoal_time now)
{
    SHOAL_ASSERT(cluster != NULL);
    (void)begin(tape, TAPE_TICK);
    shoal_cluster_tick(cluster, now);
    finish(tape, cluster, 0);
}

void shoal_tape_command(shoal_tape *tape, shoal_cluster *cluster, shoal_cluster_call *call)
{
    bool writes = begin(tape, TAPE_COMMAND);
    size_t before = shoal_buffer_size(call->reply.out);
    SHOAL_ASSERT(call->argc >= 2 && call->argc <= TAPE_WORDS_MAX);
    if (writes) {
        tape_call head = {.argc = call->argc,
                          .local = call->local,
                          .keys = call->keys,
                          .keys_in_slot = call->keys_in_slot,
                          .protocol = call->reply.protocol == 3 ? 3 : 2};
        shoal_tape__call(&tape->coder, &head);
    }
    for (uint32_t i = 0; writes && i < call->argc; i++) {
        shoal_slice word = call->argv[i];
        shoal_tape__bytes(&tape->coder, &word, TAPE_BYTES_MAX);
    }
    shoal_cluster_command(cluster, call);
    if (!writes) return;
    shoal_slice reply = shoal_buffer_slice(call->reply.out);
    reply = (shoal_slice){reply.data + before, reply.size - before};
    finish(tape, cluster, shoal_tape__extra(call->change, reply));
}

void shoal_tape_set_replication(shoal_tape *tape, shoal_cluster *cluster,
                                const shoal_cluster_replication *facts, shoal_time now)
{
    SHOAL_ASSERT(cluster != NULL);
    bool same = tape != NULL && tape->told && facts->offset == tape->facts.offset &&
                facts->link_up == tape->facts.link_up && facts->heard_us == tape->facts.heard_us &&
                facts->loading == tape->facts.loading && facts->paused == tape->facts.paused;
    if (begin(tape, same ? TAPE_FACTS_SAME : TAPE_FACTS)) {
        shoal_cluster_replication copy = *facts;
        if (!same) shoal_tape__facts(&tape->coder, &copy, &tape->facts);
        tape->facts = *facts;
        tape->told = true;
    }
    shoal_cluster_set_replication(cluster, facts, now);
    finish(tape, cluster, 0);
}

void shoal_tape_publish(shoal_tape *tape, shoal_cluster *cluster, const shoal_tape_message *message)
{
    shoal_slice channel = message->channel, text = message->text;
    SHOAL_ASSERT(cluster != NULL);
    if (begin(tape, TAPE_PUBLISH)) {
        bool sharded = message->sharded;
        shoal_tape__flag(&tape->coder, &sharded);
        shoal_tape__packed(&tape->coder, &channel, NULL);
        shoal_tape__packed(&tape->coder, &text, NULL);
    }
    shoal_cluster_publish(cluster, message->sharded, channel, text);
    finish(tape, cluster, 0);
}

void shoal_tape_tell(shoal_tape *tape, shoal_cluster *cluster, shoal_cluster_reason reason,
                     shoal_slice detail, shoal_time now)
{
    SHOAL_ASSERT(cluster != NULL);
    if (begin(tape, TAPE_TELL)) {
        uint32_t number = (uint32_t)reason;
        shoal_tape__word(&tape->coder, &number);
        shoal_tape__bytes(&tape->coder, &detail, TAPE_BYTES_MAX);
    }
    bool known = shoal_cluster_tell(cluster, (uint32_t)reason, detail, now);
    SHOAL_ASSERT(known);
    finish(tape, cluster, 0);
}

bool shoal_tape_take_lost(shoal_tape *tape, shoal_cluster *cluster, shoal_slotmap *slots)
{
    SHOAL_ASSERT(cluster != NULL && slots != NULL);
    (void)begin(tape, TAPE_LOST);
    bool lost = shoal_cluster_take_lost(cluster, slots);
    shoal_slice bits = {(const char *)slots->bits, lost ? sizeof slots->bits : 0};
    if (tape != NULL) finish(tape, cluster, shoal_tape__extra(lost, bits));
    return lost;
}

bool shoal_tape_handover_begin(shoal_tape *tape, shoal_cluster *cluster, shoal_time now)
{
    SHOAL_ASSERT(cluster != NULL);
    (void)begin(tape, TAPE_HANDOVER);
    bool begun = shoal_cluster_handover_begin(cluster, now);
    finish(tape, cluster, begun);
    return begun;
}
