/* SPDX-License-Identifier: MIT
 *
 * The world: time, order, the trace, and making and ending it. Each turn takes the earliest
 * occurrence from the heap, moves the time to it, and calls its handler; between turns the judges
 * look at what has changed.
 */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/internal.h"

#define COOKIE 0x57524C44u

/* So many occurrences at one moment mean that something arranges itself for ever. */
#define SAME_MOMENT_MAX UINT64_C(10000000)

typedef void (*occurrence_handler)(shoal_world *world, const shoal_occurrence *occurrence);
static const occurrence_handler handlers[SHOAL_OCCURRENCE_COUNT] = {
#define SHOAL_OCCURRENCE(NAME, handler) [SHOAL_OCCURRENCE_##NAME] = handler,
#include "sim/occurrences.def"
#undef SHOAL_OCCURRENCE
};

/* ---- time and order ---- */

void shoal_world__arrange(shoal_world *world, int64_t at_us, uint32_t kind, uint32_t subject,
                          uint64_t detail)
{
    SHOAL_ASSERT(at_us >= world->now_us);
    shoal_heap__push(&world->heap, (shoal_occurrence){.time_us = at_us,
                                                      .kind = kind,
                                                      .subject = subject,
                                                      .detail = detail});
}

/* Is this about one node, named by a reference? */
static bool about_node(uint32_t kind)
{
    return (kind >= SHOAL_OCCURRENCE_NODE_START && kind <= SHOAL_OCCURRENCE_DISK) ||
           kind == SHOAL_OCCURRENCE_NODE_WAKE || kind == SHOAL_OCCURRENCE_NODE_BUSY;
}

/* The node whose process takes part in this, or UINT32_MAX. */
static uint32_t process_of(const shoal_world *world, const shoal_occurrence *occurrence)
{
    if (about_node(occurrence->kind)) return shoal_vnode__referred(occurrence->subject);
    if (occurrence->kind <= SHOAL_OCCURRENCE_SYN || occurrence->kind > SHOAL_OCCURRENCE_RESET) {
        return UINT32_MAX;
    }
    const shoal_connection *connection =
        shoal_net__connection(&world->net, occurrence->subject / 2);
    const shoal_end *end = &connection->ends[occurrence->subject % 2];
    if (connection->generation != (uint32_t)occurrence->detail) return UINT32_MAX;
    return end->kind != SHOAL_END_NONE && end->host < world->node_count ? end->host : UINT32_MAX;
}

static void absorb_event(shoal_world *world, const shoal_occurrence *occurrence)
{
    uint64_t hash = shoal_prng_mix(world->event_hash ^ (uint64_t)occurrence->time_us);
    hash = shoal_prng_mix(hash + ((uint64_t)occurrence->kind << 32 | occurrence->subject));
    world->event_hash = hash ^ occurrence->detail;
}

/* A paused, a busy or a slow process takes no part now. */
static bool has_to_wait(shoal_world *world, uint32_t process, const shoal_occurrence *occurrence)
{
    if (world->nodes[process].paused) {
        shoal_vnode__defer(&world->nodes[process], occurrence);
        return true;
    }
    return world->burdened && shoal_burden__takes(world, process, occurrence);
}

void shoal_world__occur(shoal_world *world, const shoal_occurrence *occurrence)
{
    handlers[occurrence->kind](world, occurrence);
}

static void handle(shoal_world *world, const shoal_occurrence *occurrence)
{
    world->same_moment = occurrence->time_us == world->now_us ? world->same_moment + 1 : 0;
    SHOAL_ASSERT(world->same_moment < SAME_MOMENT_MAX);
    world->now_us = occurrence->time_us;
    world->events++;
    absorb_event(world, occurrence);
    if (about_node(occurrence->kind)) {
        uint32_t index = shoal_vnode__referred(occurrence->subject);
        if (occurrence->subject != shoal_vnode__reference(world, index)) return;
    }
    bool asked = world->paused_count > 0 || world->burdened || world->trigger_count > 0;
    uint32_t process = asked ? process_of(world, occurrence) : UINT32_MAX;
    if (process != UINT32_MAX && has_to_wait(world, process, occurrence)) return;
    handlers[occurrence->kind](world, occurrence);
    if (world->trigger_count > 0) shoal_trigger__settle(world, process);
    shoal_judge__settle(world);
    shoal_expect__look(world);
}

/* ---- the trace ---- */

void shoal_world__trace_text(shoal_world *world, uint32_t node, const shoal_trace_record *record)
{
    shoal_trace_entry entry = {.time_us = world->now_us, .node = node, .record = *record};
    shoal_trace_hash(&world->trace_hash, &entry);
    world->trace_records++;
    if (world->tracer) world->tracer(world->tracer_context, &entry);
    shoal_judge__hear(world, &entry);
    shoal_marks__hear(world, &entry);
    if (world->trigger_count > 0) shoal_trigger__hear(world, node, (uint32_t)record->kind);
}

void shoal_world__trace(shoal_world *world, uint32_t node, shoal_trace_kind kind,
                        shoal_numbers numbers)
{
    shoal_trace_record record = {.kind = kind, .a = numbers.a, .b = numbers.b, .c = numbers.c};
    shoal_world__trace_text(world, node, &record);
}

void shoal_world_set_tracer(shoal_world *world, shoal_tracer tracer, void *context)
{
    world->tracer = tracer;
    world->tracer_context = context;
}

/* ---- hosts ---- */

uint32_t shoal_world__operator_host(const shoal_world *world)
{
    return world->node_count;
}

uint32_t shoal_world__client_host(const shoal_world *world, uint32_t client)
{
    return world->node_count + 1 + client;
}

void shoal_world__host_ip(const shoal_world *world, uint32_t host, char out[46])
{
    uint32_t number = host + 1;
    size_t at = 0;
    memset(out, 0, 46);
    SHOAL_ASSERT(number < 1u << 16);
    const uint32_t parts[4] = {10, world->net.moved[host], number >> 8 & 255, number & 255};
    for (int i = 0; i < 4; i++) {
        if (i > 0) out[at++] = '.';
        at += shoal_text_from_u64(out + at, parts[i]);
    }
}

uint32_t shoal_world__host_of(const shoal_world *world, const char *ip)
{
    uint32_t parts[4] = {0, 0, 0, 0};
    int part = 0;
    for (const char *c = ip; *c; c++) {
        if (*c == '.' && part < 3)
            part++;
        else if (*c >= '0' && *c <= '9')
            parts[part] = parts[part] * 10 + (uint32_t)(*c - '0');
        else
            return UINT32_MAX;
        if (parts[part] > 255) return UINT32_MAX;
    }
    uint32_t number = parts[2] << 8 | parts[3];
    if (part != 3 || parts[0] != 10 || number == 0 || number > world->net.hosts) return UINT32_MAX;
    return world->net.moved[number - 1] == parts[1] ? number - 1 : UINT32_MAX;
}

const shoal_end_class *shoal_world__end_class(shoal_end_kind kind)
{
    static const shoal_end_class none = {NULL, NULL, NULL, NULL, NULL};
    switch (kind) {
    case SHOAL_END_LINK: return &shoal_vnode__link_class;
    case SHOAL_END_SESSION: return &shoal_vnode__session_class;
    case SHOAL_END_CLIENT: return &shoal_client__class;
    case SHOAL_END_OPERATOR: return &shoal_operator__class;
    default: return &none;
    }
}

/* ---- making it ---- */

shoal_world_options shoal_world_options_default(void)
{
    return (shoal_world_options){.cookie = COOKIE, .poison = -1};
}

static void make_parts(shoal_world *world)
{
    const shoal_schedule *schedule = world->schedule;
    world->node_count = schedule->nodes;
    world->client_count = schedule->clients + 1;
    shoal_net__make(&world->net, world->node_count + 1 + world->client_count);
    world->nodes = shoal_sim__allocate(world->node_count * sizeof(*world->nodes));
    world->clients = shoal_sim__allocate(world->client_count * sizeof(*world->clients));
    shoal_judge__make(world);
    shoal_marks__make(world);
    shoal_copies__make(world);
    shoal_logbook__make(world);
    shoal_history__make(&world->history, schedule);
    for (uint32_t i = 0; i < world->node_count; i++) shoal_vnode__make(world, i);
    for (uint32_t i = 0; i < world->client_count; i++) shoal_client__make(world, i);
    shoal_operator__make(world);
    shoal_expect__make(world);
}

shoal_err shoal_world_create(const shoal_world_options *options, shoal_world **out)
{
    *out = NULL;
    if (options->cookie != COOKIE || options->schedule == NULL) return SHOAL_ERR_INVALID;
    if (options->schedule->nodes == 0 || options->poison > 255) return SHOAL_ERR_INVALID;
    if (options->profile >= SHOAL_PROFILES_COUNT) return SHOAL_ERR_INVALID;
    shoal_world *world = shoal_sim__allocate(sizeof(*world));
    world->schedule = options->schedule;
    world->seed_given =
        options->has_seed || options->seed ? options->seed : options->schedule->seed;
    world->seed[0] = shoal_prng_mix(world->seed_given ^ UINT64_C(0x73686F616C2D7369));
    world->seed[1] = world->seed_given;
    world->profile = options->profile ? options->profile : options->schedule->profiles[0];
    world->schedule_hash = shoal_schedule_hash(options->schedule);
    world->vacant = options->vacant;
    world->memory.poison = options->poison;
    world->allocator = shoal_sim__allocator(&world->memory);
    world->judge_memory = shoal_allocator_default();
    world->scratch = shoal_buffer_make(&world->allocator);
    if (!options->wire) world->exchange = shoal_exchange_make(&world->allocator);
    world->tracer = options->tracer;
    world->tracer_context = options->tracer_context;
    make_parts(world);
    *out = world;
    return SHOAL_ERR_OK;
}

void shoal_world_destroy(shoal_world *world)
{
    if (world == NULL) return;
    world->tracer = NULL;
    world->leaving = true;
    for (uint32_t i = 0; i < world->node_count; i++) shoal_vnode__free(world, i);
    for (uint32_t i = 0; i < world->client_count; i++) shoal_client__free(world, i);
    shoal_operator__free(world);
    shoal_net__free(&world->net);
    shoal_exchange_free(world->exchange);
    shoal_expect__free(world);
    shoal_history__free(&world->history);
    shoal_sessions__free(world);
    shoal_logbook__free(world);
    shoal_copies__free(world);
    shoal_marks__free(world);
    shoal_judge__free(world);
    shoal_heap__free(&world->heap);
    shoal_buffer_free(&world->scratch);
    shoal_sim__free(world->late);
    shoal_sim__free(world->triggers);
    shoal_sim__free(world->nodes);
    shoal_sim__free(world->clients);
    SHOAL_ASSERT(world->memory.bytes == 0 && world->memory.blocks == 0);
    shoal_sim__free(world);
}

/* ---- running it ---- */

static void trace_start(shoal_world *world)
{
    shoal_buffer text = shoal_buffer_make(&world->allocator);
    shoal_schedule_format(world->schedule, false, &text);
    shoal_trace_record record = {.kind = SHOAL_TRACE_RUN_START,
                                 .a = world->seed_given,
                                 .b = world->node_count,
                                 .c = world->schedule_hash,
                                 .text = shoal_buffer_slice(&text)};
    shoal_world__trace_text(world, SHOAL_TRACE_WORLD, &record);
    shoal_buffer_free(&text);
}

/* The first moment: processes start, the operator has its list, the schedule is laid out. */
static void begin(shoal_world *world)
{
    const shoal_schedule *schedule = world->schedule;
    world->begun = true;
    trace_start(world);
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (line->kind < SHOAL_LINE_NET) continue;
        world->lines_left++;
        shoal_world__arrange(world, line->at_us, SHOAL_OCCURRENCE_LINE, i, 0);
    }
    shoal_heap__reserve(&world->heap, SHOAL_SCHEDULE_LINES_MAX);
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (!world->vacant) shoal_vnode__start(world, i);
    }
    if (!world->vacant) shoal_operator__form(world);
    shoal_judge__reachability(world);
}

static void finish(shoal_world *world)
{
    world->ended = world->finished = true;
    shoal_expect__end(world);
    shoal_copies__end(world);
    shoal_judge__data(world);
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (world->nodes[i].node == NULL || !world->nodes[i].ready) continue;
        shoal_world__trace(world, i, SHOAL_TRACE_DIGEST,
                           (shoal_numbers){shoal_node_digest(world->nodes[i].node), 0, 0});
    }
    shoal_world_result result;
    shoal_world_result_get(world, &result);
    shoal_trace_record record = {.kind = SHOAL_TRACE_RUN_END,
                                 .a = world->events,
                                 .b = result.violated,
                                 .text = shoal_text(result.violated ? "violated" : "held")};
    shoal_world__trace_text(world, SHOAL_TRACE_WORLD, &record);
}

bool shoal_world_step(shoal_world *world)
{
    if (world->finished) return false;
    if (!world->begun) {
        begin(world);
        return true;
    }
    if (world->heap.count > 0 && !world->ended) {
        shoal_occurrence next = shoal_heap__pop(&world->heap);
        handle(world, &next);
    }
    if (world->vacant && !world->ended) return world->heap.count > 0;
    bool idle = world->lines_left == 0 && world->expect.unjudged == 0;
    if (world->ended || idle || world->heap.count == 0) finish(world);
    return !world->finished;
}

bool shoal_world_advance(shoal_world *world, int64_t until_us)
{
    while (!world->finished) {
        const shoal_occurrence *next = shoal_heap__first(&world->heap);
        bool later = next ? next->time_us > until_us : world->vacant;
        if (world->begun && later) {
            if (until_us > world->now_us) world->now_us = until_us;
            return true;
        }
        shoal_world_step(world);
    }
    return false;
}

void shoal_world_run(shoal_world *world)
{
    while (shoal_world_step(world)) {
    }
}

shoal_err shoal_world_act(shoal_world *world, shoal_slice text, shoal_schedule_error *error)
{
    shoal_line line;
    shoal_err result =
        shoal_schedule_parse_action(text, world->now_us, world->schedule, &line, error);
    if (result != SHOAL_ERR_OK) return result;
    if (!world->begun) begin(world);
    if (!world->ended) shoal_fault__apply(world, &line);
    shoal_line_free(&line);
    return SHOAL_ERR_OK;
}

void shoal_world_arrange_line(shoal_world *world, const shoal_line *line)
{
    SHOAL_ASSERT(world->begun && line->at_us > world->now_us);
    SHOAL_ASSERT(line->kind >= SHOAL_LINE_NET);
    if (world->finished) return;
    world->late = shoal_sim__grow(world->late, &world->late_capacity, world->late_count + 1,
                                  sizeof(*world->late));
    world->late[world->late_count] = line;
    world->lines_left++;
    if (line->kind == SHOAL_LINE_EXPECT) shoal_expect__add(world, line);
    shoal_heap__push_early(&world->heap, (shoal_occurrence){.time_us = line->at_us,
                                                            .kind = SHOAL_OCCURRENCE_LINE,
                                                            .subject = world->schedule->count +
                                                                       world->late_count});
    world->late_count++;
}
