/* SPDX-License-Identifier: MIT
 *
 * The processes of a live run: their configuration, their births and deaths, and the making of a
 * cluster of them.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "sim/live/live_room.h"
#include "sim/memory.h"

/* Limits of waiting. Chosen: a machine that is ten times slower and loaded gets there. */
#define START_US INT64_C(60000000)
#define FORM_US INT64_C(120000000)
/* Nodes look around ten times a second. */
#define ROUND_US UINT64_C(100000)

/* ---- one process ---- */

static void append_addresses(shoal_live *live, uint32_t node, shoal_buffer *text)
{
    const shoal_places *places = &live->places;
    char own[16], announced[16];
    shoal_spot__text(shoal_places__node(places, node), own);
    shoal_spot__text(shoal_places__announced(places, node), announced);
    shoal_text_appendf(text, "bind %s\nbind-source-addr %s\nport %u\ncluster-port %u\n", own, own,
                       places->port, places->bus_port);
    shoal_text_appendf(text,
                       "cluster-announce-ip %s\ncluster-announce-port %u\n"
                       "cluster-announce-bus-port %u\n",
                       announced, places->port, places->bus_port);
}

static void append_config(shoal_live *live, uint32_t node, shoal_buffer *text)
{
    const shoal_schedule *schedule = live->schedule;
    uint32_t *chosen = shoal_sim__allocate(schedule->nodes * sizeof(*chosen));
    append_addresses(live, node, text);
    shoal_text_appendf(text, "protected-mode no\ncluster-enabled yes\ncluster-node-timeout %lu\n",
                       (unsigned long)(schedule->node_timeout_us / 1000));
    if (live->options->profile != SHOAL_PROFILE_OF_CONFIG && live->options->server->profiles)
        shoal_text_appendf(text, "cluster-timing-profile %s\n",
                           shoal_profile_name(live->options->profile));
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (line->kind != SHOAL_LINE_CONFIG || !shoal_live__plays(live, line)) continue;
        uint32_t count = shoal_roster__select(&live->roster, &line->left, false, chosen);
        for (uint32_t j = 0; j < count; j++) {
            if (chosen[j] == node) shoal_text_appendf(text, "%s\n", line->text);
        }
    }
    shoal_sim__free(chosen);
}

bool shoal_cast__start(shoal_live *live, uint32_t node)
{
    shoal_outlook *outlook = &live->outlooks[node];
    shoal_buffer text = shoal_buffer_make(&live->loop.memory);
    append_config(live, node, &text);
    bool started = shoal_process__start(&live->processes[node], live->options->server->path,
                                        shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
    if (!started) return shoal_live__trouble(live, "n%u cannot be started", node + 1);
    live->lives[node]++;
    live->roster.members[node].running = true;
    shoal_loop__arm(&live->loop, &outlook->rising, shoal_loop__now(&live->loop));
    shoal_loop__arm(&live->loop, &outlook->again, shoal_loop__now(&live->loop));
    return true;
}

void shoal_cast__crash(shoal_live *live, uint32_t node, bool power)
{
    if (live->processes[node].pid == 0) return;
    if (power)
        shoal_proxy__dark(live->proxy, node);
    else
        shoal_proxy__refuse(live->proxy, node);
    shoal_process__kill(&live->processes[node]);
    shoal_loop__disarm(&live->loop, &live->busy[node]);
    shoal_counter__forget(live, node);
    shoal_outlook__forget(live, node);
}

/* ---- the cluster ---- */

/* All processes have answered. */
static bool all_answer(void *context)
{
    const shoal_live *live = context;
    if (live->result->trouble[0]) return true;
    for (uint32_t i = 0; i < live->schedule->nodes; i++) {
        if (!live->outlooks[i].heard || live->outlooks[i].rising.node.inside) return false;
    }
    return true;
}

/* All know all, nobody is suspected, all slots have an owner in every map, and all say ok. */
static bool all_agree(void *context)
{
    const shoal_live *live = context;
    uint32_t nodes = live->schedule->nodes;
    if (live->result->trouble[0]) return true;
    for (uint32_t i = 0; i < nodes; i++) {
        const shoal_outlook *outlook = &live->outlooks[i];
        uint32_t slots = 0;
        if (outlook->known != nodes || !outlook->up) return false;
        for (uint32_t j = 0; j < nodes; j++) {
            if (outlook->of[j].suspect || outlook->of[j].failed) return false;
            slots += outlook->of[j].slot_count;
        }
        if (slots != SHOAL_SLOTS) return false;
    }
    return true;
}

/* All know all: replicas can be told of their masters. */
static bool all_known(void *context)
{
    const shoal_live *live = context;
    if (live->result->trouble[0]) return true;
    for (uint32_t i = 0; i < live->schedule->nodes; i++) {
        if (live->outlooks[i].known != live->schedule->nodes) return false;
    }
    return true;
}

static bool wait_for(shoal_live *live, bool (*what)(void *context), int64_t limit_us,
                     const char *words)
{
    int64_t until = shoal_loop__now(&live->loop) + limit_us;
    bool came = shoal_loop__run(&live->loop, until, what, live);
    if (live->result->trouble[0]) return false;
    if (came) return true;
    return shoal_live__trouble(live, "%s within %d s", words, (int)(limit_us / 1000000));
}

static bool give_slots(shoal_live *live)
{
    const shoal_schedule *schedule = live->schedule;
    char text[96];
    for (uint32_t i = 0; i < schedule->nodes; i++) {
        snprintf(text, sizeof(text), "CLUSTER SET-CONFIG-EPOCH %u", i + 1);
        if (!shoal_counter__ask(live, i, text)) return false;
        if (i >= schedule->masters) continue;
        uint32_t first = (uint32_t)((uint64_t)SHOAL_SLOTS * i / schedule->masters);
        uint32_t last = (uint32_t)((uint64_t)SHOAL_SLOTS * (i + 1) / schedule->masters) - 1;
        snprintf(text, sizeof(text), "CLUSTER ADDSLOTSRANGE %u %u", first, last);
        if (!shoal_counter__ask(live, i, text)) return false;
    }
    return true;
}

static bool meet(shoal_live *live, uint32_t node, uint32_t other)
{
    char text[96], ip[16];
    shoal_spot__text(shoal_places__announced(&live->places, other), ip);
    snprintf(text, sizeof(text), "CLUSTER MEET %s %u %u", ip, live->places.port,
             live->places.bus_port);
    return shoal_counter__ask(live, node, text);
}

static bool introduce(shoal_live *live)
{
    for (uint32_t i = 0; i < live->schedule->nodes; i++) {
        uint32_t first = i + 1, last = live->schedule->nodes;
        if (live->schedule->meet == SHOAL_MEET_STAR && i > 0) break;
        if (live->schedule->meet == SHOAL_MEET_CHAIN && last > i + 2) last = i + 2;
        if (live->schedule->meet == SHOAL_MEET_ALL) first = 0;
        for (uint32_t j = first; j < last; j++) {
            if (j != i && !meet(live, i, j)) return false;
        }
    }
    return true;
}

static bool replicate(shoal_live *live)
{
    const shoal_schedule *schedule = live->schedule;
    char text[96];
    for (uint32_t i = 0; i < schedule->masters * schedule->replicas; i++) {
        snprintf(text, sizeof(text), "CLUSTER REPLICATE id(n%u)", i % schedule->masters + 1);
        if (!shoal_counter__ask(live, schedule->masters + i, text)) return false;
    }
    return true;
}

/* A replica's INFO: is its link to its master up? */
typedef struct link_question {
    shoal_live *live;
    uint32_t up, answers;
} link_question;

static void take_link(void *context, uint32_t node, shoal_slice reply)
{
    link_question *question = context;
    (void)node;
    question->answers++;
    question->up += shoal_text_find(reply, shoal_text("master_link_status:up")) != SHOAL_TEXT_NONE;
}

static bool links_answered(void *context)
{
    const link_question *question = context;
    const shoal_schedule *schedule = question->live->schedule;
    return question->answers == schedule->masters * schedule->replicas;
}

/* Waits until all replicas are in step with their masters. */
static bool all_in_step(shoal_live *live)
{
    const shoal_schedule *schedule = live->schedule;
    uint32_t replicas = schedule->masters * schedule->replicas;
    int64_t until = shoal_loop__now(&live->loop) + FORM_US;
    while (shoal_loop__now(&live->loop) < until) {
        link_question question = {.live = live};
        for (uint32_t i = 0; i < replicas; i++)
            shoal_counter__order(live, schedule->masters + i, "INFO replication", take_link,
                                 &question);
        bool heard = shoal_loop__run(&live->loop, until, links_answered, &question);
        if (!heard) {
            for (uint32_t i = 0; i < replicas; i++)
                shoal_counter__forget(live, schedule->masters + i);
            break;
        }
        if (question.up == replicas) return true;
        (void)shoal_loop__run(&live->loop, shoal_loop__now(&live->loop) + 50000, NULL, NULL);
    }
    return shoal_live__trouble(live, "the replicas were not in step within %d s",
                               (int)(FORM_US / 1000000));
}

/* Lets up to so long pass, by chance. What nodes do ten times a second would otherwise beat in step
 * with the others, and with the schedule. */
static void dither(shoal_live *live, uint64_t most_us)
{
    int64_t wait_us = (int64_t)shoal_prng_below(&live->chance, most_us);
    (void)shoal_loop__run(&live->loop, shoal_loop__now(&live->loop) + wait_us, NULL, NULL);
}

bool shoal_cast__form(shoal_live *live)
{
    live->chance = shoal_prng_make((uint64_t[2]){live->options->seed, (uint64_t)getpid()}, 0, 0);
    for (uint32_t i = 0; i < live->schedule->nodes; i++) {
        if (!shoal_cast__start(live, i)) return false;
        dither(live, ROUND_US);
    }
    if (!wait_for(live, all_answer, START_US, "the processes did not answer")) return false;
    if (live->schedule->meet == SHOAL_MEET_NONE) return true;
    if (!give_slots(live) || !introduce(live)) return false;
    if (!wait_for(live, all_known, FORM_US, "the nodes did not know each other")) return false;
    if (!replicate(live)) return false;
    if (!wait_for(live, all_agree, FORM_US, "the nodes did not agree")) return false;
    if (!all_in_step(live)) return false;
    dither(live, (uint64_t)live->schedule->node_timeout_us);
    return true;
}
