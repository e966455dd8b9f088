/* SPDX-License-Identifier: MIT
 *
 * cluster/failover.h - replicas and how they become masters: the part of the opinion that only
 * this concerns, and the functions for it. Included by cluster/internal.h and cluster/model.h.
 *
 * Files: role.c (who is whose replica), election.c (votes given), candidate.c (votes asked for),
 * manual.c (failover by command and at the end of a master), migrate.c (replicas that move to a
 * master without any), profile.c (the rules of timing), why.c (the last refusals, for people).
 */
#ifndef SHOAL_CLUSTER_FAILOVER_H
#define SHOAL_CLUSTER_FAILOVER_H

#include "cluster/cluster.h"

/* A node of the table: model.h. */
struct bus_node;

/* ---- limits and times; where not said otherwise, as Redis 7.0 has them ---- */

#define BUS_MANUAL_MS 5000        /* a manual failover is given up after this */
#define BUS_MANUAL_PAUSE_MULT 2   /* the master's writes are paused this many times as long */
#define BUS_MIGRATION_MS 5000     /* a master has no replica for this long before one comes */
#define BUS_WHY_AGAIN_US 10000000 /* the same hindrance is told again after this */
#define BUS_WHY_MAX 64            /* chosen: refusals that are kept for people */
#define BUS_WHY_DETAIL 160        /* chosen: bytes of a detail that are kept */
#define BUS_SPREAD_MAX 64         /* chosen: voters that are told of a suspicion at once */

/* Chosen: an epoch beyond it is forged, because nobody could have counted so far. */
#define BUS_EPOCH_MAX ((uint64_t)INT64_MAX)

/* Bit of mflags[1], which Redis leaves zero: the paused master asks this replica to take over. */
#define BUS_MFLAG1_HANDOVER 1

/* ---- the rules of timing: profile.c ---- */

/* Times follow from the node timeout and the profile; microseconds. */
typedef struct bus_timing {
    int64_t round_us;    /* from one round of a node to the next */
    int64_t ping_us;     /* a node is pinged when it was silent for this long */
    int64_t refused_us;  /* connections refused for this long make a suspect; 0: silence only */
    int64_t delay_us;    /* from FAIL to asking for votes */
    int64_t jitter_us;   /* and up to this much more, drawn */
    int64_t rank_us;     /* and this for each sibling with more data */
    int64_t election_us; /* votes are waited for this long */
    int64_t retry_us;    /* from one start to the plan of the next */
    int64_t vote_us;     /* between votes for replicas of one master */
    bool eager;          /* news are acted upon at once: suspicions are spread when they arise,
                          * and the replica that is known to have the most data does not wait */
} bus_timing;

/* ---- the part of the opinion ---- */

/* This node's candidacy. */
typedef struct bus_candidacy {
    int64_t start_us;    /* when votes are asked for; 0: nothing is planned */
    uint64_t epoch;      /* of the votes; 0 until they are asked for */
    uint64_t generation; /* of the save without which nobody is asked */
    uint32_t votes, rank, attempts;
    uint32_t why;   /* the last hindrance told; 0: none */
    int64_t why_us; /* when */
} bus_candidacy;

/* A manual failover, on either side. */
typedef struct bus_manual {
    int64_t end_us;  /* given up then; 0: none is under way */
    uint64_t offset; /* replica: what the paused master has; valid when offset_known */
    bool offset_known;
    bool can_start;    /* replica: votes may be asked for */
    bool offered;      /* master: it wants to leave, the replica did not ask */
    bool replica_told; /* master: that writes have stopped */
    uint16_t replica;  /* master: which one takes over, or BUS_NONE */
    int64_t pause_us;  /* master: writes are paused until then; 0: they are not */
    shoal_cluster_handover handover;
} bus_manual;

/* Slots taken over by this node that nobody is told of before they are durable. */
typedef struct bus_claim {
    uint64_t generation; /* of the save; 0: nothing is held back */
    uint64_t epoch;      /* the master's, which frames show until then */
    char master[SHOAL_NODE_NAME_LEN];
} bus_claim;

/* A refusal, kept for people. */
typedef struct bus_why {
    int64_t wall_ms;
    uint32_t reason, times;
    uint64_t epoch;
    bool replica;
    char detail[BUS_WHY_DETAIL]; /* terminated */
} bus_why;

/* Steps of an election, in ELECTION records. */
enum { BUS_ELECTION_PLANNED, BUS_ELECTION_ASKED, BUS_ELECTION_WON, BUS_ELECTION_LOST };

/* A replica that moves to another shard has the data of its former master, and an offset in that
 * one's stream, until it is in step with the new one. */
enum {
    BUS_FOREIGN_NO = 0,
    BUS_FOREIGN_LEAVING, /* the stream of the former master is still up */
    BUS_FOREIGN_YES
};

/* Everything of this header's that the opinion has. */
typedef struct bus_failover {
    bus_timing timing;
    bus_candidacy candidacy;
    bus_manual manual;
    bus_claim claim;
    shoal_cluster_replication facts;
    bool told;         /* facts were told at all */
    uint8_t foreign;   /* whether the data are a former master's: BUS_FOREIGN_* */
    bool spread_due;   /* a suspicion is new */
    bool barrier_told; /* why this replica does not move */
    int64_t wake_us;   /* shoal_bus__failover_step wants to run then; INT64_MAX: not by itself */
    shoal_cluster_role role;
    uint64_t role_version;
    shoal_cluster_sink sink;
    bus_why why[BUS_WHY_MAX]; /* a ring */
    uint32_t why_count;       /* ever written */
    uint32_t spread_next;     /* where the next spreading begins */
} bus_failover;

/* ---- for the commands ---- */

/* How CLUSTER FAILOVER goes about it. */
typedef enum bus_failover_way {
    BUS_FAILOVER_PLAIN,   /* the master stops writes and tells its offset first */
    BUS_FAILOVER_FORCE,   /* at once, with votes */
    BUS_FAILOVER_TAKEOVER /* at once, without anybody's consent */
} bus_failover_way;

/* This node becomes a replica of `master`, a master other than itself: CLUSTER REPLICATE, after
 * its checks (no slots unless they go with it, no keys), and the rules for lost slots. Slots that
 * this node still has are nobody's then; a manual failover ends; the role's version rises. */
void shoal_bus__set_master(shoal_cluster *c, struct bus_node *master);

/* The same for a node that leaves its shard for another one: its data are not that one's yet. */
void shoal_bus__move_to(shoal_cluster *c, struct bus_node *master);

/* Under the profile shoal: the data are not those of the present master's shard, so that they are
 * no reason to take over, nor their offset one to go first. */
bool shoal_bus__is_foreign(const shoal_cluster *c);

/* This node becomes a master without slots: CLUSTER RESET of a replica. */
void shoal_bus__become_master(shoal_cluster *c);

/* CLUSTER FAILOVER, after its checks: this node is a replica and knows its master; PLAIN: the
 * master is linked and not FAIL. */
void shoal_bus__failover_start(shoal_cluster *c, bus_failover_way way);

/* CLUSTER WHY: appends the last refusals as lines, the newest last:
 * "<wall ms> <times> <role> <epoch> <reason in words>: <detail>". `count` 0: all that are kept. */
void shoal_bus__why_append(const shoal_cluster *c, uint32_t count, shoal_buffer *out);

/* ---- between the files ---- */

/* Works out the times for the present settings. */
void shoal_bus__timing_update(shoal_cluster *c);
/* How many nodes vote. */
uint32_t shoal_bus__voter_count(const shoal_cluster *c);

/* The offset that frames of this node state. */
uint64_t shoal_bus__own_offset(const shoal_cluster *c);
/* This node's master, or NULL: it is none's replica, or does not know it. */
struct bus_node *shoal_bus__my_master(const shoal_cluster *c);
/* This replica gets its master's slots and is a master; the old one becomes nothing else yet. */
void shoal_bus__take_over(shoal_cluster *c);
/* The claim is durable now: everybody is told. */
void shoal_bus__claim_release(shoal_cluster *c);
/* The role for core, and its version if it is another. */
void shoal_bus__role_update(shoal_cluster *c);
/* The master became a replica itself: follows to the one it follows. */
void shoal_bus__follow_master(shoal_cluster *c);

/* What is due now of candidacy and manual failover; sets wake_us. At the end of every step. */
void shoal_bus__failover_step(shoal_cluster *c);
/* The next step of this node's candidacy. */
void shoal_bus__candidate_step(shoal_cluster *c);
/* A vote came. */
void shoal_bus__vote_received(shoal_cluster *c, struct bus_node *sender, const shoal_frame *frame);
/* Wakes at `moment_us` at the latest. */
void shoal_bus__wake(shoal_cluster *c, int64_t moment_us);

/* Ends a manual failover, whatever became of it. */
void shoal_bus__manual_reset(shoal_cluster *c);
/* Timeouts and offsets of a manual failover. */
void shoal_bus__manual_step(shoal_cluster *c);
/* A replica asks its master to stop writes. */
void shoal_bus__manual_requested(shoal_cluster *c, struct bus_node *sender);
/* A frame of the master's, which may say that its writes are paused, and where they stopped. */
void shoal_bus__manual_heard(shoal_cluster *c, const shoal_frame *frame);
/* Writes have stopped as far as frames may say so. */
bool shoal_bus__manual_paused(const shoal_cluster *c);
/* A master that wants a replica has none that works; counted afresh, for shoal_bus__check. */
bool shoal_bus__has_orphans(const shoal_cluster *c);

/* Looks for masters without replicas, and moves there if it is this node's turn. */
void shoal_bus__migrate(shoal_cluster *c);
/* Tells voters of new suspicions. */
void shoal_bus__spread(shoal_cluster *c);

/* Keeps a refusal for people. False when the newest that is kept is the same. */
bool shoal_bus__why_keep(shoal_cluster *c, uint32_t reason, shoal_slice detail);
/* The newest; there is one. */
const bus_why *shoal_bus__why_newest(const shoal_cluster *c);
/* The words of a reason. */
const char *shoal_bus__why_words(uint32_t reason);

#endif
