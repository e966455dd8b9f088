/* SPDX-License-Identifier: MIT
 *
 * Virtual clients: their pace and their clocks.
 */
#include "sim/client.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/internal.h"

/* How often a client looks for operations whose time is over, and reports its load. */
#define TICK_US INT64_C(100000)

/* The auditor begins a read every so many microseconds. */
#define AUDIT_GAP_US INT64_C(50)

/* The auditor's patience with one key. */
#define AUDIT_TIMEOUT_US INT64_C(2000000)

void shoal_client__make(shoal_world *world, uint32_t index)
{
    shoal_client *client = &world->clients[index];
    uint32_t who = SHOAL_SCHEDULE_NODES_MAX + index;
    client->index = index;
    client->host = shoal_world__client_host(world, index);
    client->auditor = index + 1 == world->client_count;
    snprintf(client->label, sizeof(client->label), client->auditor ? "auditor" : "c%u", index + 1);
    client->keys = shoal_prng_make(world->seed, who, SHOAL_PURPOSE_CLIENT_KEY);
    client->mix = shoal_prng_make(world->seed, who, SHOAL_PURPOSE_CLIENT_MIX);
    client->gaps = shoal_prng_make(world->seed, who, SHOAL_PURPOSE_CLIENT_GAP);
    client->ways = shoal_prng_make(world->seed, who, SHOAL_PURPOSE_CLIENT_WAY);
    client->map = shoal_sim__allocate(SHOAL_SLOTS * sizeof(*client->map));
    client->readers = shoal_sim__allocate(SHOAL_SLOTS * sizeof(*client->readers));
    client->links = shoal_sim__allocate(world->node_count * sizeof(*client->links));
    for (uint32_t i = 0; i < world->node_count; i++) {
        client->links[i].in = shoal_buffer_make(&world->allocator);
        client->links[i].out = shoal_buffer_make(&world->allocator);
    }
    client->map_wanted = true;
}

void shoal_client__free(shoal_world *world, uint32_t index)
{
    shoal_client *client = &world->clients[index];
    for (uint32_t i = 0; i < world->node_count; i++) {
        shoal_buffer_free(&client->links[i].in);
        shoal_buffer_free(&client->links[i].out);
        shoal_sim__free(client->links[i].pending);
    }
    shoal_zipf__free(&client->zipf);
    shoal_sim__free(client->map);
    shoal_sim__free(client->readers);
    shoal_sim__free(client->links);
    shoal_sim__free(client->operations);
}

/* ---- pace ---- */

/* When the next operation begins: the period, give or take a quarter, so that clients with equal
 * rates do not march in step. */
static int64_t next_gap(shoal_client *client)
{
    if (client->auditor) return AUDIT_GAP_US;
    int64_t period = (int64_t)(UINT64_C(1000000000) / client->load.rate_milli);
    int64_t quarter = period / 4;
    int64_t gap = period + shoal_prng_between(&client->gaps, -quarter, quarter);
    return gap > 0 ? gap : 1;
}

static void arrange_issue(shoal_world *world, shoal_client *client)
{
    shoal_world__arrange(world, world->now_us + next_gap(client), SHOAL_OCCURRENCE_CLIENT_ISSUE,
                         client->index, client->serial);
}

static void arrange_tick(shoal_world *world, shoal_client *client)
{
    shoal_world__arrange(world, world->now_us + TICK_US, SHOAL_OCCURRENCE_CLIENT_TICK,
                         client->index, 0);
}

static void wake(shoal_world *world, shoal_client *client)
{
    client->active = true;
    client->serial++;
    arrange_issue(world, client);
    if (client->ticking) return;
    client->ticking = true;
    arrange_tick(world, client);
    shoal_client__refresh(world, client);
}

void shoal_client__start(shoal_world *world, uint32_t index, const shoal_load *load)
{
    shoal_client *client = &world->clients[index];
    shoal_zipf__free(&client->zipf);
    client->load = *load;
    shoal_zipf__make(&client->zipf, load->keys, load->zipf_milli);
    wake(world, client);
}

void shoal_client__stop(shoal_world *world, uint32_t index)
{
    world->clients[index].active = false;
    world->clients[index].serial++;
}

void shoal_client__audit(shoal_world *world)
{
    shoal_client *client = &world->clients[world->client_count - 1];
    client->load.timeout_us = AUDIT_TIMEOUT_US;
    client->audit_next = 0;
    client->audit_over = false;
    wake(world, client);
}

/* The auditor's next key that was ever written, or false. */
static bool next_audited(shoal_world *world, shoal_client *client, uint32_t *key)
{
    const shoal_history *history = &world->history;
    while (client->audit_next < shoal_history__places(history)) {
        *key = shoal_history__key_at(history, client->audit_next++);
        if (shoal_history__newest(history, *key) != 0) return true;
    }
    return false;
}

static void check_audit_over(shoal_world *world, shoal_client *client)
{
    if (!client->auditor || client->active || client->oldest != 0 || client->audit_over) return;
    client->audit_over = true;
    shoal_expect__audited(world);
}

/* What comes next, by the weights of the mix. */
static uint32_t pick_action(shoal_client *client)
{
    uint32_t sum = 0, action = 0;
    for (uint32_t i = 0; i < SHOAL_ACTION_COUNT; i++) sum += *shoal_load__weight(&client->load, i);
    uint64_t draw = shoal_prng_below(&client->mix, sum);
    while (draw >= *shoal_load__weight(&client->load, action))
        draw -= *shoal_load__weight(&client->load, action++);
    return action;
}

void shoal_client__occur_issue(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_client *client = &world->clients[occurrence->subject];
    uint32_t key = 0, action = SHOAL_ACTION_GET;
    if (!client->active || client->serial != (uint32_t)occurrence->detail) return;
    if (client->auditor) {
        client->active = next_audited(world, client, &key);
        if (!client->active) {
            check_audit_over(world, client);
            return;
        }
    } else {
        key = shoal_zipf__pick(&client->zipf, &client->keys);
        action = pick_action(client);
        if (action == SHOAL_ACTION_INCR) key |= SHOAL_KEY_COUNTER;
    }
    shoal_operation__begin(world, client, key, action);
    arrange_issue(world, client);
}

void shoal_client__occur_retry(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_client *client = &world->clients[occurrence->subject];
    uint32_t index = (uint32_t)occurrence->detail;
    const shoal_operation *operation = &client->operations[index];
    if (operation->generation != (uint32_t)(occurrence->detail >> 32)) return;
    if (operation->state != SHOAL_OPERATION_WAITING) return;
    shoal_operation__send(world, client, index, UINT32_MAX);
}

/* ---- the tick ---- */

/* Gives up what has taken too long. */
static void expire(shoal_world *world, shoal_client *client)
{
    while (client->oldest != 0) {
        uint32_t index = client->oldest - 1;
        const shoal_operation *operation = &client->operations[index];
        if (operation->began_us + client->load.timeout_us > world->now_us) return;
        if (operation->state == SHOAL_OPERATION_WAITING) {
            shoal_operation__finish(world, client, index, operation->trouble);
            continue;
        }
        uint32_t node = operation->node;
        bool was_up = client->links[node].up;
        shoal_operation__finish(world, client, index,
                                was_up ? SHOAL_OUTCOME_TIMEOUT : SHOAL_OUTCOME_UNREACHABLE);
        shoal_client__hang_up(world, client, node);
    }
}

static void report_load(shoal_world *world, shoal_client *client)
{
    if (client->tick_done + client->tick_errors + client->tick_redirections == 0) return;
    shoal_trace_record record = {.kind = SHOAL_TRACE_CLIENT_LOAD,
                                 .a = client->tick_done,
                                 .b = client->tick_errors,
                                 .c = client->tick_redirections,
                                 .text = {client->label, strlen(client->label)}};
    client->tick_done = client->tick_errors = client->tick_redirections = 0;
    shoal_world__trace_text(world, SHOAL_TRACE_WORLD, &record);
}

void shoal_client__occur_tick(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_client *client = &world->clients[occurrence->subject];
    expire(world, client);
    report_load(world, client);
    if (client->map_wanted && !client->map_asked) shoal_client__refresh(world, client);
    check_audit_over(world, client);
    client->ticking = client->active || client->oldest != 0;
    if (client->ticking) arrange_tick(world, client);
}
