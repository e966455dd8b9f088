/* SPDX-License-Identifier: MIT
 *
 * sim/schedule.h - the schedule: a plain text of events, one a line, that together with its seed
 * determines a simulation to the last bit. This header has the parsed form and its two ways, in
 * (parse) and out (format). The grammar is the table sim/lines.def and docs/SIMULATOR.md.
 *
 * A schedule is plain data: one thread at a time, no globals.
 */
#ifndef SHOAL_SIM_SCHEDULE_H
#define SHOAL_SIM_SCHEDULE_H

#include <shoal/types.h>

/* Limits, chosen: far above what a person or a sweep writes. */
#define SHOAL_SCHEDULE_LINES_MAX 100000u
#define SHOAL_SCHEDULE_NODES_MAX 2000u
#define SHOAL_SCHEDULE_CLIENTS_MAX 1000u
#define SHOAL_SELECTOR_ATOMS_MAX 32u
#define SHOAL_SCHEDULE_TIME_MAX_US (INT64_C(366) * 86400 * 1000000)

/* Kinds of lines, from sim/lines.def. */
typedef enum shoal_line_kind {
#define SHOAL_LINE(NAME, name, timed, syntax, doc) SHOAL_LINE_##NAME,
#include "sim/lines.def"
#undef SHOAL_LINE
    SHOAL_LINE_COUNT
} shoal_line_kind;

/* One part of a selector. */
typedef enum shoal_atom_kind {
    SHOAL_ATOM_ALL = 1,   /* `*`: every node; on a side of a net, cut, heal, stall or reset line
                             every client too */
    SHOAL_ATOM_NODES,     /* `n3`, `n2..n5`: first and last, from 1 */
    SHOAL_ATOM_CLIENTS,   /* `c1`, `c1..c4` */
    SHOAL_ATOM_OWNER,     /* `owner-of(slot 866)`: first is the slot */
    SHOAL_ATOM_FOLLOWERS, /* `replicas-of(slot 866)`: of the owner of the slot */
    SHOAL_ATOM_MASTERS,   /* `masters`: running nodes that hold themselves for masters */
    SHOAL_ATOM_REPLICAS   /* `replicas`: the others that run */
} shoal_atom_kind;

/* One part of a selector: a range, or what one of the functions selects. */
typedef struct shoal_atom {
    shoal_atom_kind kind;
    uint32_t first;
    uint32_t last;
} shoal_atom;

/* A set of nodes and clients as written. */
typedef struct shoal_selector {
    uint32_t count;
    shoal_atom atoms[SHOAL_SELECTOR_ATOMS_MAX];
} shoal_selector;

/* How two sides of a line are joined. */
typedef enum shoal_relation {
    SHOAL_RELATION_NONE = 0, /* one selector only */
    SHOAL_RELATION_BOTH,     /* `a | b`: both ways */
    SHOAL_RELATION_FORWARD   /* `a -> b`: bytes that go from a to b */
} shoal_relation;

/* Shapes of jitter; how a draw becomes microseconds stands in sim/random.h. */
typedef enum shoal_shape {
    SHOAL_SHAPE_UNIFORM = 0,
    SHOAL_SHAPE_NORMAL,
    SHOAL_SHAPE_EXPONENTIAL,
    SHOAL_SHAPE_LOGNORMAL,
    SHOAL_SHAPE_COUNT
} shoal_shape;

/* Quality of the way from one host to another. In a line, -1 leaves a field as it is. */
typedef struct shoal_quality {
    int64_t latency_us;
    int64_t jitter_us;
    int32_t shape;            /* shoal_shape */
    int32_t split_ppm;        /* chance per delivery that only a prefix arrives at first */
    int64_t rate_bytes_per_s; /* 0: no limit */
} shoal_quality;

/* What operations of clients are, in the order of the words of a mix. */
typedef enum shoal_action {
    SHOAL_ACTION_SET = 0,
    SHOAL_ACTION_GET,
    SHOAL_ACTION_DEL,
    SHOAL_ACTION_INCR, /* of counters, which are keys of their own */
    SHOAL_ACTION_PX,   /* SET with a time to live */
    SHOAL_ACTION_COUNT
} shoal_action;
/* "set", "get" and so on. */
const char *shoal_action_name(uint32_t action);

/* What a virtual client does. */
typedef struct shoal_load {
    uint64_t rate_milli; /* operations per 1000 s */
    uint32_t keys;       /* number of distinct keys, >= 1 */
    uint32_t zipf_milli; /* exponent in thousandths; 0: uniform */
    uint32_t set_weight; /* of SHOAL_ACTION_SET, and so on */
    uint32_t get_weight;
    uint32_t del_weight;
    uint32_t incr_weight;
    uint32_t px_weight;
    int64_t ttl_us;      /* what PX says; whole milliseconds */
    uint32_t value_size; /* bytes of a value; at least its serial number is written */
    int64_t timeout_us;  /* an operation without an answer is given up after it */
    bool reads_replicas; /* reads go to replicas, where the slot map has one */
} shoal_load;

/* The weight of an action in the mix of a load. */
uint32_t *shoal_load__weight(shoal_load *load, uint32_t action);

/* What a loss of power leaves of a disk. */
typedef enum shoal_disk_fate {
    SHOAL_DISK_KEPT = 0,  /* everything written survives */
    SHOAL_DISK_TORN,      /* of what was not synced, a random prefix survives */
    SHOAL_DISK_LOST,      /* nothing that was not synced survives */
    SHOAL_DISK_SCATTERED, /* each sector that was not synced survives, or reads as zeros */
    SHOAL_DISK_REORDERED, /* each file keeps all that was not synced, or nothing of it */
    SHOAL_DISK_FATES
} shoal_disk_fate;

/* How a disk behaves. */
typedef enum shoal_disk_mode {
    SHOAL_DISK_OK = 0,
    SHOAL_DISK_FULL,       /* appends fail with NO_SPACE */
    SHOAL_DISK_FAILING,    /* appends and syncs fail with IO */
    SHOAL_DISK_SLOW,       /* every operation takes `amount_us` longer */
    SHOAL_DISK_UNREADABLE, /* reads fail with IO */
    SHOAL_DISK_LYING,      /* syncs succeed and make nothing durable */
    SHOAL_DISK_MODES
} shoal_disk_mode;

/* What a clock line does to the clocks of a node. */
typedef enum shoal_clock_change {
    SHOAL_CLOCK_STEP = 0, /* the wall clock jumps by amount (microseconds) */
    SHOAL_CLOCK_DRIFT,    /* both clocks run `amount` parts per million fast */
    SHOAL_CLOCK_FREEZE,   /* the wall clock stands still */
    SHOAL_CLOCK_RUN       /* it goes on from where it stood */
} shoal_clock_change;

/* Whose rules the nodes follow: directives that come before the config lines of a schedule. */
typedef enum shoal_profile {
    SHOAL_PROFILE_OF_CONFIG = 0, /* as config lines say, and Redis's where they do not */
    SHOAL_PROFILE_OF_REDIS,      /* `redis-7` */
    SHOAL_PROFILE_OF_SHOAL,      /* `shoal` */
    SHOAL_PROFILES_COUNT
} shoal_profile;

/* "redis-7", "shoal"; "-" for SHOAL_PROFILE_OF_CONFIG. */
const char *shoal_profile_name(uint32_t profile);
/* The profile of that name, or SHOAL_PROFILES_COUNT. */
uint32_t shoal_profile_named(shoal_slice name);

/* Which clock of a node a clock line is about. */
typedef enum shoal_clock_which {
    SHOAL_CLOCK_USUAL = 0, /* drift: both; all others: the wall clock */
    SHOAL_CLOCK_WALL,
    SHOAL_CLOCK_MONOTONIC
} shoal_clock_which;

/* When a crash line takes effect. */
typedef enum shoal_trigger_kind {
    SHOAL_TRIGGER_NONE = 0, /* at its time */
    SHOAL_TRIGGER_EVENT,    /* behind the N-th thing that the node does from then on */
    SHOAL_TRIGGER_RECORD    /* when it has written the N-th record of a kind */
} shoal_trigger_kind;

/* What an expect line states. */
typedef enum shoal_contract {
    SHOAL_CONTRACT_CONVERGE = 0, /* all running nodes hold the same map and no suspicion */
    SHOAL_CONTRACT_SLOTS,        /* every slot has a running owner in every running node's map */
    SHOAL_CONTRACT_STATE,        /* cluster state of the selected nodes */
    SHOAL_CONTRACT_PFAIL,        /* the left nodes are suspected (or failed) by the right ones */
    SHOAL_CONTRACT_FAIL,         /* the left nodes are held for failed by the right ones */
    SHOAL_CONTRACT_CLEAR,        /* the left nodes are neither to the right ones */
    SHOAL_CONTRACT_ROLE,         /* the selected nodes are masters, or replicas */
    SHOAL_CONTRACT_COPIES,       /* replicas are in step and have the data of their masters */
    SHOAL_CONTRACT_KNOWN,        /* each selected node knows `limit` nodes, itself included */
    SHOAL_CONTRACT_REPLY,        /* what the selected nodes answer to a command */
    SHOAL_CONTRACT_INFO,         /* a number in what INFO or CLUSTER INFO says there */
    SHOAL_CONTRACT_BROKEN,      /* how often a check was violated: stated, so no fault of the run */
    SHOAL_CONTRACT_LOST_ACKS,   /* acknowledged writes that an audit does not find */
    SHOAL_CONTRACT_STALE_READS, /* reads that missed an acknowledged write */
    SHOAL_CONTRACT_ERRORS,      /* operations that ended in an error */
    SHOAL_CONTRACT_OPS,         /* operations that ended well */
    SHOAL_CONTRACT_FAILOVERS,   /* elections that were won */
    SHOAL_CONTRACT_CONNECTS,    /* connections that nodes tried to open to each other\'s buses */
    SHOAL_CONTRACT_RESURRECTED, /* reads of what was gone before */
    SHOAL_CONTRACT_SESSION_BREAKS, /* what a client's own operations have promised it */
    SHOAL_CONTRACT_ANOMALIES,      /* anything of sim/anomalies.def */
    SHOAL_CONTRACT_UNAVAILABLE,    /* operations that did not end well, by why */
    SHOAL_CONTRACT_LINEARIZABLE,   /* operations of each key have an order that explains them */
    SHOAL_CONTRACT_COUNT
} shoal_contract;

/* What histories of clients are searched for, from sim/anomalies.def. */
typedef enum shoal_anomaly {
#define SHOAL_ANOMALY_ROW(NAME, word, doc) SHOAL_ANOMALY_##NAME,
#include "sim/anomalies.def"
#undef SHOAL_ANOMALY_ROW
    SHOAL_ANOMALY_COUNT
} shoal_anomaly;
/* "resurrected" and so on. */
const char *shoal_anomaly_name(uint32_t anomaly);

/* "crash", "failover" and so on. */
const char *shoal_cause_name(uint32_t cause);

/* How a measured number is held against the one written. */
typedef enum shoal_compare {
    SHOAL_COMPARE_AT_MOST = 0,
    SHOAL_COMPARE_AT_LEAST,
    SHOAL_COMPARE_EQUAL
} shoal_compare;

/* Why an acknowledged write is gone, or which of them count. */
typedef enum shoal_cause {
    SHOAL_CAUSE_ANY = 0,
    SHOAL_CAUSE_CRASH,     /* the node that acknowledged has died since, and nobody took over */
    SHOAL_CAUSE_FAILOVER,  /* it has died, and another that had not got the write took over */
    SHOAL_CAUSE_PARTITION, /* it lives, but another took over its slots meanwhile */
    SHOAL_CAUSE_REPLICA,   /* reads: a replica was asked, which may be behind */
    SHOAL_CAUSE_ALIVE,     /* nothing excuses it */
    SHOAL_CAUSE_COUNT
} shoal_cause;

/* What an expect line states. */
typedef struct shoal_expectation {
    shoal_contract contract;
    shoal_compare compare;
    int64_t limit;
    shoal_cause cause;
    int64_t window_us; /* LOST_ACKS: all were acknowledged within so long; 0: whenever */
    bool up;           /* STATE: ok or fail. ROLE: master or replica. REPLY: is, not has */
    bool has_since;    /* ERRORS, OPS, FAILOVERS: counted from since_us on */
    int64_t since_us;
    int64_t within_us; /* 0: must hold at once */
    uint32_t check;    /* BROKEN: the row of sim/checks.def */
    uint32_t class_;   /* SESSION_BREAKS, ANOMALIES: the row of sim/anomalies.def, plus 1; 0: all
                          guarantees. UNAVAILABLE: the outcome, 0: any */
    uint32_t key_first, key_last; /* LINEARIZABLE: keys by their numbers, plus 1; 0: all */
    uint32_t under;               /* shoal_profile that it is about; 0: any */
} shoal_expectation;

/* One line. Fields not named for its kind are zero. */
typedef struct shoal_line {
    shoal_line_kind kind;
    uint32_t number;            /* in the source text, from 1 */
    int64_t at_us;              /* timed lines */
    shoal_selector left, right; /* who */
    shoal_relation relation;
    int64_t amount;             /* CLOCK, DISK: microseconds or ppm. SEED: the seed as bits.
                                   STALL, BUSY, SWIZZLE: for how long. SLOW: the factor, 0: off */
    shoal_quality quality;      /* NET */
    shoal_load load;            /* CLIENT */
    shoal_disk_fate fate;       /* CRASH */
    shoal_trigger_kind trigger; /* CRASH */
    uint32_t kind_wanted;       /* CRASH: shoal_trace_kind. DROP: shoal_frame_type */
    uint64_t which;             /* CRASH, DROP: the N-th, from 1 */
    uint64_t times;             /* DROP: so many */
    shoal_clock_which clock;    /* CLOCK */
    bool power;                 /* CRASH: the whole host goes dark, nobody is told */
    bool by_timeout;            /* REFUSE */
    bool wiped;                 /* RESTART: from an empty disk */
    int32_t choice;             /* CLOCK: shoal_clock_change. DISK: shoal_disk_mode.
                                   CLUSTER: shoal_meet. PROFILES: the first */
    bool both;                  /* PROFILES: and the other one too */
    uint32_t nodes, masters;    /* CLUSTER */
    uint32_t replicas;          /* CLUSTER: of each master */
    int64_t node_timeout_us;    /* CLUSTER */
    shoal_expectation expect;   /* EXPECT */
    char *text;                 /* SAY caption, CONFIG and OPERATE words, what an EXPECT line asks
                                   or the field that it reads; owned */
    char *answer;               /* EXPECT: text that a reply is, or has in it; owned */
    char *comment_before;       /* whole comment lines above it, with newlines; owned or NULL */
    char *comment_behind;       /* comment at its end; owned or NULL */
} shoal_line;

/* How the operator introduces the nodes to each other at the start. */
typedef enum shoal_meet {
    SHOAL_MEET_STAR = 0, /* n1 meets all others */
    SHOAL_MEET_CHAIN,    /* each meets the next */
    SHOAL_MEET_ALL,      /* each meets each */
    SHOAL_MEET_NONE,     /* nobody, and nobody gets slots */
    SHOAL_MEET_COUNT
} shoal_meet;

/* A whole schedule. Lines are in canonical order: set-up, then by time, then as written. */
typedef struct shoal_schedule {
    shoal_line *lines;
    uint32_t count;
    uint32_t capacity;
    char *comment_end; /* comment lines behind the last line; owned or NULL */
    uint64_t seed;     /* of the seed line, else 1 */
    uint32_t nodes;    /* n1 .. n<nodes> */
    uint32_t masters;  /* the first of them that get slots */
    uint32_t replicas; /* of each master: n<masters + i> is one of master i modulo masters */
    shoal_meet meet;
    int64_t node_timeout_us;
    uint32_t clients; /* the highest c<number> that a client line names */
    uint32_t profiles[SHOAL_PROFILES_COUNT - 1]; /* of the profiles line; 0 behind the last */
} shoal_schedule;

/* What is wrong with a text: a place and a sentence for a person. */
typedef struct shoal_schedule_error {
    uint32_t line;     /* from 1 */
    uint32_t column;   /* from 1, in bytes */
    char message[512]; /* what was found, which words would have fitted, the nearest of them */
} shoal_schedule_error;

/* Reads a schedule. 0 and a schedule that shoal_schedule_free ends, or SHOAL_ERR_MALFORMED and
 * an error; then `out` is empty. */
SHOAL_MUST_USE shoal_err shoal_schedule_parse(shoal_slice text, shoal_schedule *out,
                                              shoal_schedule_error *error);

/* A schedule that is made line by line, each read and checked as it comes: what a generator and
 * shoal_schedule_parse use. */
typedef struct shoal_schedule_builder shoal_schedule_builder;

/* An empty one, which shoal_schedule_build_end or _drop ends. */
shoal_schedule_builder *shoal_schedule_build(void);
void shoal_schedule_build_drop(shoal_schedule_builder *builder);
/* Adds a line, which may be a comment or empty; without a newline and bytes that are zero. 0, or
 * SHOAL_ERR_MALFORMED and an error whose line counts calls from 1; then only _drop may follow. */
SHOAL_MUST_USE shoal_err shoal_schedule_build_line(shoal_schedule_builder *builder,
                                                   shoal_slice line, shoal_schedule_error *error);
/* What there is so far, in the order in which it came. Valid until the next call. */
const shoal_schedule *shoal_schedule_built(const shoal_schedule_builder *builder);
/* Checks the whole and gives it in canonical order. The builder has ended, also on a failure:
 * SHOAL_ERR_MALFORMED and an error, and `out` is empty. */
SHOAL_MUST_USE shoal_err shoal_schedule_build_end(shoal_schedule_builder *builder,
                                                  shoal_schedule *out, shoal_schedule_error *error);

/* Reads one timed line without its time (or with it) as something that happens at `at_us`, for
 * hands that break a running world. `whole` gives the numbers of nodes and clients. */
SHOAL_MUST_USE shoal_err shoal_schedule_parse_action(shoal_slice text, int64_t at_us,
                                                     const shoal_schedule *whole, shoal_line *out,
                                                     shoal_schedule_error *error);

/* Frees what a parse made; the schedule is empty then. */
void shoal_schedule_free(shoal_schedule *schedule);
/* Frees the texts of one line from shoal_schedule_parse_action. */
void shoal_line_free(shoal_line *line);

/* Appends the canonical text, with comments or without. format(parse(format(x))) = format(x). */
void shoal_schedule_format(const shoal_schedule *schedule, bool comments, shoal_buffer *out);

/* Appends one line in canonical form, without time, comment and newline. */
void shoal_line_format(const shoal_line *line, shoal_buffer *out);

/* Hash of the canonical text without comments and without the seed line: equal for schedules
 * that differ only in how they are written. */
uint64_t shoal_schedule_hash(const shoal_schedule *schedule);

#endif
