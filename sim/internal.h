/* SPDX-License-Identifier: MIT
 *
 * sim/internal.h - the world from inside: its parts in one struct, and what the parts say to each
 * other. Included by the files of sim/ only.
 *
 * One thread.
 */
#ifndef SHOAL_SIM_INTERNAL_H
#define SHOAL_SIM_INTERNAL_H

#include "sim/client.h"
#include "sim/clock.h"
#include "sim/copies.h"
#include "sim/disk.h"
#include "sim/expect.h"
#include "sim/heap.h"
#include "sim/history.h"
#include "sim/judge.h"
#include "sim/logbook.h"
#include "sim/linear.h"
#include "sim/marks.h"
#include "sim/memory.h"
#include "sim/net.h"
#include "sim/operator.h"
#include "sim/schedule.h"
#include "sim/trigger.h"
#include "sim/vnode.h"
#include "sim/world.h"

/* Kinds of occurrences: SHOAL_OCCURRENCE_LINE and so on. */
enum {
#define SHOAL_OCCURRENCE(NAME, handler) SHOAL_OCCURRENCE_##NAME,
#include "sim/occurrences.def"
#undef SHOAL_OCCURRENCE
    SHOAL_OCCURRENCE_COUNT
};

/* Their handlers. */
#define SHOAL_OCCURRENCE(NAME, handler) \
    void handler(shoal_world *world, const shoal_occurrence *occurrence);
#include "sim/occurrences.def"
#undef SHOAL_OCCURRENCE

/* The three numbers of a trace record. */
typedef struct shoal_numbers {
    uint64_t a, b, c;
} shoal_numbers;

/* One simulated world: all that a run is made of. */
struct shoal_world {
    const shoal_schedule *schedule;
    uint64_t seed_given;
    uint32_t profile; /* shoal_profile */
    uint64_t seed[2]; /* of all streams */
    uint64_t schedule_hash;
    shoal_sim_heap memory;        /* of the nodes */
    shoal_allocator allocator;    /* over it */
    shoal_allocator judge_memory; /* the C library's: judges are no part of what nodes take */

    int64_t now_us;
    shoal_heap heap;
    uint64_t events;
    uint64_t event_hash;
    uint64_t same_moment; /* occurrences handled since the time moved: guards progress */
    bool begun, ended, finished;
    bool leaving;            /* it is being destroyed: nobody needs to be told of anything */
    bool vacant;             /* somebody drives it by hand */
    bool burdened;           /* a node was made busy or slow: its occurrences may have to wait */
    shoal_trigger *triggers; /* crashes that wait for an event */
    uint32_t trigger_count, trigger_capacity;
    uint32_t lines_left;     /* timed lines that have not happened */
    const shoal_line **late; /* lines that came while the run went on; borrowed */
    uint32_t late_count, late_capacity;

    shoal_tracer tracer;
    void *tracer_context;
    shoal_world_taker taker; /* of recordings, or NULL */
    void *taker_context;
    uint64_t trace_hash;
    uint64_t trace_records;

    shoal_net net;
    shoal_exchange *exchange; /* what frames of the bus are handed over by; NULL: as bytes */
    uint32_t node_count;
    shoal_vnode *nodes;
    uint32_t paused_count;
    uint32_t client_count; /* clients c1 .. and the auditor, which is the last */
    shoal_client *clients;
    shoal_operator operator_;
    shoal_history history;
    shoal_sessions sessions;
    shoal_logbooks logbooks;
    shoal_judge judge;
    shoal_marks marks;
    shoal_copies copies;
    shoal_expect expect;
    shoal_buffer scratch; /* for texts that live for a call */
};

/* ---- time and order ---- */

/* Arranges that something happens at `at_us` (not before now). */
void shoal_world__arrange(shoal_world *world, int64_t at_us, uint32_t kind, uint32_t subject,
                          uint64_t detail);

/* ---- the trace ---- */

/* Calls the handler of an occurrence. */
void shoal_world__occur(shoal_world *world, const shoal_occurrence *occurrence);

/* Writes a record of a node or of SHOAL_TRACE_WORLD. */
void shoal_world__trace(shoal_world *world, uint32_t node, shoal_trace_kind kind,
                        shoal_numbers numbers);
void shoal_world__trace_text(shoal_world *world, uint32_t node, const shoal_trace_record *record);

/* ---- hosts ---- */

/* Hosts are numbered: nodes, then the operator, then clients (the auditor is the last). */
uint32_t shoal_world__operator_host(const shoal_world *world);
uint32_t shoal_world__client_host(const shoal_world *world, uint32_t client);
/* The present address of a host as text. */
void shoal_world__host_ip(const shoal_world *world, uint32_t host, char out[46]);
/* The host that has this address, or UINT32_MAX. */
uint32_t shoal_world__host_of(const shoal_world *world, const char *ip);

/* What the owners of ends of a kind learn. */
const shoal_end_class *shoal_world__end_class(shoal_end_kind kind);

/* ---- schedule lines ---- */

/* Carries out a line. */
void shoal_fault__apply(shoal_world *world, const shoal_line *line);
/* The nodes that a selector names at this moment, as indices; `clients` too when asked for, as
 * hosts. Returns how many; `out` has room for all hosts. */
uint32_t shoal_fault__select(shoal_world *world, const shoal_selector *selector, bool hosts,
                             uint32_t *out);

#endif
