/* SPDX-License-Identifier: MIT
 *
 * sim/live/roster.h - what is known of the nodes of a run at one moment, by their own words: who
 * runs, who follows whom, who claims which slots. It says whom a selector names. A live run fills
 * it from CLUSTER NODES, a simulated one from trace records.
 *
 * Plain data.
 */
#ifndef SHOAL_SIM_LIVE_ROSTER_H
#define SHOAL_SIM_LIVE_ROSTER_H

#include "sim/schedule.h"
#include "wire/bus.h"

/* One node. */
typedef struct shoal_member {
    bool running;
    bool replica;
    char name[SHOAL_NODE_NAME_LEN + 1];   /* "": not known */
    char master[SHOAL_NODE_NAME_LEN + 1]; /* of a replica */
    uint64_t epoch;                       /* of its claims */
    shoal_slotmap own;                    /* what it claims */
    uint32_t slot_count;
} shoal_member;

/* All nodes; hosts behind them are clients. */
typedef struct shoal_roster {
    uint32_t nodes, clients;
    shoal_member *members;
} shoal_roster;

/* Makes and ends one in which nobody runs. */
void shoal_roster__make(shoal_roster *roster, const shoal_schedule *schedule);
void shoal_roster__free(shoal_roster *roster);

/* The node with that name, or UINT32_MAX. */
uint32_t shoal_roster__named(const shoal_roster *roster, shoal_slice name);
/* The node that runs and claims the slot with the highest epoch, or UINT32_MAX. */
uint32_t shoal_roster__owner(const shoal_roster *roster, uint32_t slot);
/* Its process is gone: it has its name and nothing else. */
void shoal_member__forget(shoal_member *member);
/* Claims as "0-5460 7000", blanks between them; what begins with '[' is no claim. */
void shoal_member__claim(shoal_member *member, shoal_slice ranges);

/* Hosts that a selector names, each once; with `hosts`, `*` and cN name clients too. `out` has room
 * for all nodes and clients. Returns how many. */
uint32_t shoal_roster__select(const shoal_roster *roster, const shoal_selector *selector,
                              bool hosts, uint32_t *out);
/* Calls `act` for every way that a line is about, each once, as sim/fault.c does. */
void shoal_roster__ways(const shoal_roster *roster, const shoal_line *line,
                        void (*act)(void *context, uint32_t from, uint32_t to), void *context);

#endif
