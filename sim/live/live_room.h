/* SPDX-License-Identifier: MIT
 *
 * sim/live/live_room.h - what the files that play a live run share. Nobody else includes it.
 */
#ifndef SHOAL_SIM_LIVE_LIVE_ROOM_H
#define SHOAL_SIM_LIVE_LIVE_ROOM_H

#include "base/prng.h"
#include "sim/live/ledger.h"
#include "sim/live/live.h"
#include "sim/live/process.h"
#include "sim/live/proxy.h"

typedef struct shoal_live shoal_live;
typedef struct shoal_load_player shoal_load_player;

/* ---- what nodes say ---- */

/* What one node thinks of another. */
typedef struct shoal_regard {
    bool known, suspect, failed;
    uint32_t slot_count;
    uint64_t ranges; /* hash of the slots that it has in this opinion */
} shoal_regard;

/* What one node says of the cluster. */
typedef struct shoal_outlook {
    shoal_live *live;
    uint32_t node;
    shoal_talk talk;
    shoal_timer again;
    bool heard;       /* since it was started */
    bool asked_info;  /* the next answer but none is one of CLUSTER INFO */
    uint32_t waiting; /* answers that are on their way */
    uint32_t rounds;
    bool up;            /* cluster_state */
    uint32_t known;     /* nodes, itself included */
    shoal_regard *of;   /* per node */
    shoal_timer rising; /* the process is starting: looked for until it answers */
} shoal_outlook;

/* Begins and ends to ask all nodes again and again. */
void shoal_outlook__make(shoal_live *live);
void shoal_outlook__free(shoal_live *live);
/* Forgets what a process said that is gone. */
void shoal_outlook__forget(shoal_live *live, uint32_t node);

/* ---- the operator ---- */

/* One command for a node, and who hears of the reply: empty when none came. */
typedef struct shoal_order {
    struct shoal_order *next;
    void (*answered)(void *context, uint32_t node, shoal_slice reply);
    void *context;
    uint32_t tries;
    char text[];
} shoal_order;

/* What the operator does at one node. */
typedef struct shoal_counter {
    shoal_live *live;
    uint32_t node;
    shoal_talk talk;
    shoal_timer again;
    bool sent;
    shoal_order *head, *tail;
} shoal_counter;

/* Makes and ends the operator. */
void shoal_counter__make(shoal_live *live);
void shoal_counter__free(shoal_live *live);
/* Gives a command for a node to the operator; `answered` may be NULL. */
void shoal_counter__order(shoal_live *live, uint32_t node, const char *text,
                          void (*answered)(void *context, uint32_t node, shoal_slice reply),
                          void *context);
/* Drops what was ordered for a node: its process is gone. */
void shoal_counter__forget(shoal_live *live, uint32_t node);
/* Gives a command and waits for its reply, at most ten seconds, and longer while the node loads its
 * data. False when none came, or an error: it then stands in the trouble of the run. */
bool shoal_counter__ask(shoal_live *live, uint32_t node, const char *text);

/* ---- processes ---- */

/* Starts the process of a node; it takes connections by and by. False with the run's trouble. */
bool shoal_cast__start(shoal_live *live, uint32_t node);
/* Ends it; with `power` its host goes dark. */
void shoal_cast__crash(shoal_live *live, uint32_t node, bool power);
/* Starts all, and makes a cluster of them as sim/operator.c does. False with the run's trouble. */
bool shoal_cast__form(shoal_live *live);

/* ---- clients ---- */

/* Makes and ends the clients and the auditor. */
void shoal_load__make(shoal_live *live);
void shoal_load__free(shoal_live *live);
/* Begins and ends the load of a client. */
void shoal_load__start(shoal_live *live, uint32_t client, const shoal_load *load);
void shoal_load__stop(shoal_live *live, uint32_t client);
/* Lets the auditor read every key that was written. */
void shoal_load__audit(shoal_live *live);
/* Have all clients that are stopped an answer to everything? */
bool shoal_load__idle(const shoal_live *live);
/* Is the audit over? */
bool shoal_load__audited(const shoal_live *live);

/* ---- expectations ---- */

/* An expect line that is being judged. */
typedef struct shoal_hope {
    shoal_live *live;
    const shoal_line *line;
    shoal_verdict *verdict;
    int64_t since_value; /* of a count at `since` */
    int64_t due_us;      /* when it is over */
    bool begun, over;
    bool wrong;       /* of an asking line: some answer of this round was not right */
    uint32_t waiting; /* of an asking line: answers that are to come */
    shoal_timer look, since;
} shoal_hope;

/* Makes and ends them. */
void shoal_hope__make(shoal_live *live);
void shoal_hope__free(shoal_live *live);
/* An expect line's moment has come. */
void shoal_hope__begin(shoal_live *live, const shoal_line *line);
/* Are all that have begun judged? */
bool shoal_hope__settled(const shoal_live *live);

/* ---- the run ---- */

/* Everything of one run. */
struct shoal_live {
    const shoal_live_options *options;
    const shoal_schedule *schedule;
    shoal_live_result *result;
    shoal_loop loop;
    bool looping;
    char folder[200];
    shoal_places places;
    shoal_proxy *proxy;
    shoal_process *processes; /* per node */
    shoal_roster roster;
    shoal_outlook *outlooks; /* per node */
    shoal_counter *counters; /* per node */
    shoal_ledger ledger;
    shoal_load_player *players; /* clients, then the auditor */
    uint32_t *lives;            /* per node: how often its process was started */
    shoal_hope *hopes;
    uint32_t hope_count;
    uint64_t failovers;
    shoal_prng chance; /* of what no seed of the simulator draws */
    int64_t zero_us;   /* the schedule's time 0 on the loop's clock */
    bool playing;
    uint32_t line_next;
    shoal_timer lines;
    bool lines_over;
    shoal_timer *busy;  /* per node: when it goes on */
    uint16_t *owners;   /* per slot: node + 1 that was seen last with it; 0: none */
    int64_t *passed_us; /* per slot: when it was seen to pass from one node to another; -1 */
};

/* The schedule's time. */
static inline int64_t shoal_live__now(const shoal_live *live)
{
    return shoal_loop__now(&live->loop) - live->zero_us;
}
/* Says why the run cannot go on, the first time that something says so; returns false. */
bool shoal_live__trouble(shoal_live *live, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Can a line be played? */
bool shoal_live__plays(const shoal_live *live, const shoal_line *line);

#endif
