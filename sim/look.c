/* SPDX-License-Identifier: MIT
 *
 * Looking at a world from outside: nodes, messages in flight, results; and the mounting of
 * strange nodes for tests of the door.
 */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "sim/internal.h"

int64_t shoal_world_now(const shoal_world *world)
{
    return world->now_us;
}

bool shoal_world_ended(const shoal_world *world)
{
    return world->finished;
}

uint64_t shoal_world_hash(const shoal_world *world)
{
    return world->trace_hash;
}

uint64_t shoal_world_event_hash(const shoal_world *world, uint64_t *events)
{
    *events = world->events;
    return world->event_hash;
}

/* ---- nodes ---- */

uint32_t shoal_world_node_count(const shoal_world *world)
{
    return world->node_count;
}

void shoal_world_node_get(const shoal_world *world, uint32_t index, shoal_world_node *out)
{
    SHOAL_ASSERT(index < world->node_count);
    const shoal_vnode *vnode = &world->nodes[index];
    const shoal_view *view = &world->judge.views[index];
    *out = (shoal_world_node){.port = SHOAL_WORLD_PORT,
                              .bus_port = SHOAL_WORLD_PORT + SHOAL_BUS_OFFSET,
                              .running = vnode->running,
                              .ready = vnode->ready,
                              .paused = vnode->paused,
                              .powered = !world->net.dark[index],
                              .cluster_up = view->up,
                              .slots_own = view->own_count,
                              .slots_seen = view->slots_seen,
                              .known = view->known,
                              .suspected = view->suspected,
                              .failed = view->failed,
                              .epoch_current = view->epoch_current,
                              .epoch_config = view->epoch_config};
    memcpy(out->label, vnode->label, sizeof(out->label));
    memcpy(out->ip, vnode->ip, sizeof(out->ip));
    if (view->self == UINT32_MAX) return;
    memcpy(out->name, world->judge.subjects[view->self].name, SHOAL_NODE_NAME_LEN);
}

shoal_node *shoal_world_node_value(shoal_world *world, uint32_t index)
{
    SHOAL_ASSERT(index < world->node_count);
    return world->nodes[index].node;
}

/* ---- messages ---- */

static int32_t frame_type(const shoal_block *block)
{
    if (block->parcel) return (int32_t)shoal_parcel_type(block->parcel);
    if (block->size < 16 || memcmp(block->bytes, "RCmb", 4) != 0) return -1;
    return shoal_bytes_get_be16(block->bytes + 12);
}

static uint32_t host_label(const shoal_world *world, uint32_t host)
{
    return host < world->node_count ? host : SHOAL_TRACE_WORLD;
}

void shoal_world_messages(const shoal_world *world,
                          void (*visit)(void *context, const shoal_world_message *message),
                          void *context)
{
    for (uint32_t i = 0; i < world->net.connection_count; i++) {
        const shoal_connection *connection = shoal_net__connection(&world->net, i);
        for (uint32_t side = 0; side < 2; side++) {
            const shoal_block *block = connection->pipes[side].head;
            for (; block; block = block->next) {
                if (block->fin) continue;
                shoal_world_message message = {
                    .from = host_label(world, connection->ends[1 - side].host),
                    .to = host_label(world, connection->ends[side].host),
                    .sent_us = block->sent_us,
                    .arrives_us = block->arrives_us == INT64_MAX ? -1 : block->arrives_us,
                    .size = block->size - block->taken,
                    .type = frame_type(block)};
                visit(context, &message);
            }
        }
    }
}

/* ---- results ---- */

/* Had the run occasions for this check? */
static bool expected(const shoal_world *world, shoal_check check)
{
    bool formed = world->schedule->meet != SHOAL_MEET_NONE;
    bool wrote = world->judge.totals.writes_acknowledged > 0;
    switch (check) {
    case SHOAL_CHECK_ONE_CLAIM: return formed && world->schedule->masters > 1;
    case SHOAL_CHECK_EPOCHS:
    case SHOAL_CHECK_SLOTS_TOTAL:
    case SHOAL_CHECK_FORMED: return formed;
    case SHOAL_CHECK_OWNER_SERVES: return wrote;
    default: return false;
    }
}

static void fill_checks(const shoal_world *world, shoal_world_result *out)
{
    static const struct {
        const char *id, *doc;
    } words[SHOAL_CHECK_COUNT] = {
#define SHOAL_CHECK(NAME, id, doc) {id, doc},
#include "sim/checks.def"
#undef SHOAL_CHECK
    };
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) {
        shoal_check_count *check = &out->checks[i];
        check->id = words[i].id;
        check->doc = words[i].doc;
        check->made = world->judge.made[i];
        check->violated = world->judge.violated[i];
        check->expected = expected(world, (shoal_check)i);
        memcpy(check->first, world->judge.first[i], sizeof(check->first));
        check->stated = shoal_expect__states(world, i);
        if ((check->violated > 0 && !check->stated) || (check->expected && check->made == 0))
            out->violated = true;
    }
}

void shoal_world_result_get(const shoal_world *world, shoal_world_result *out)
{
    *out = (shoal_world_result){.seed = world->seed_given,
                                .profile = world->profile,
                                .schedule_hash = world->schedule_hash,
                                .events = world->events,
                                .time_us = world->now_us,
                                .trace_records = world->trace_records,
                                .trace_hash = world->trace_hash,
                                .event_hash = world->event_hash,
                                .nodes = world->node_count,
                                .clients = world->client_count - 1,
                                .allocations = world->memory.taken,
                                .bytes = world->memory.bytes,
                                .bytes_most = world->memory.most,
                                .totals = world->judge.totals,
                                .expect_count = world->expect.count,
                                .expects = world->expect.results};
    for (uint32_t i = 0; i + 1 < world->client_count; i++) {
        out->totals.operations += world->clients[i].done;
        out->totals.errors += world->clients[i].errors;
        out->totals.redirections += world->clients[i].redirections;
    }
    fill_checks(world, out);
    shoal_marks__get(world, out->marks);
    for (uint32_t i = 0; i < out->expect_count; i++) {
        out->expects_broken += out->expects[i].judged && !out->expects[i].held;
    }
    if (out->expects_broken > 0) out->violated = true;
}

const char *shoal_outcome_name(uint32_t outcome)
{
    static const char *const names[SHOAL_OUTCOME_COUNT] = {"ok",       "miss",       "clusterdown",
                                                           "tryagain", "redirected", "unreachable",
                                                           "broken",   "timeout",    "error"};
    return outcome < SHOAL_OUTCOME_COUNT ? names[outcome] : "unknown";
}

/* ---- strange nodes ---- */

shoal_host *shoal_world_mount(shoal_world *world, uint32_t index, shoal_world_stepper step,
                              void *context)
{
    SHOAL_ASSERT(index < world->node_count && !world->nodes[index].running);
    shoal_vnode *vnode = &world->nodes[index];
    SHOAL_ASSERT(world->vacant);
    vnode->stepper = step;
    vnode->stepper_context = context;
    shoal_vnode__start(world, index);
    return &vnode->host;
}

void shoal_world_kill(shoal_world *world, uint32_t index)
{
    SHOAL_ASSERT(index < world->node_count);
    shoal_vnode__crash(world, index, false, SHOAL_DISK_TORN);
}

shoal_address shoal_world_address(const shoal_world *world, uint32_t index)
{
    shoal_address address = {.port = SHOAL_WORLD_PORT + SHOAL_BUS_OFFSET};
    SHOAL_ASSERT(index < world->node_count);
    shoal_world__host_ip(world, index, address.ip);
    return address;
}
