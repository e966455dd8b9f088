/* SPDX-License-Identifier: MIT
 *
 * repl/internal.h - the inside of replication, shared by this room's files only. Control actor.
 *
 * Files: repl.c (life, history, facts), invariants.c (what always holds), master.c (who gets what),
 * snapshot.c (full synchronisations), wait.c (WAIT and acknowledgements), replica.c (the link to a
 * master), handshake.c (what is said on it first), tell.c (INFO and ROLE).
 */
#ifndef SHOAL_REPL_INTERNAL_H
#define SHOAL_REPL_INTERNAL_H

#include "base/prng.h"
#include "command/replica.h"
#include "repl/repl.h"

/* Purposes of random streams. */
enum { REPL_RANDOM_ID = 0x201, REPL_RANDOM_MARK };

/* Redis does not keep less of a backlog. */
#define REPL_BACKLOG_MIN ((uint64_t)16 << 10)
/* How often timers are looked at. */
#define REPL_CRON_US 100000
/* Bytes above the backlog from which on more than timers look at what can go. */
#define REPL_TRIM_SIZE ((uint64_t)2 << 20)
/* A replica that lost its master tries again after this. */
#define REPL_RETRY_US 1000000
/* Bytes of a snapshot that are read and posted at once, and parts under way for one replica. */
#define REPL_PART_SIZE ((size_t)128 << 10)
#define REPL_PARTS_MAX 8u
/* A replica's link to its master rests from this many bytes on that have come and cannot be used
 * yet, until fewer than half are left: while a snapshot is loaded, and while a command of the
 * stream waits. What stays in the socket holds the master up, whose output limit decides, as it
 * does where the replica is Redis, which reads nothing then. Chosen: above what a quiet master
 * says in a minute, so that it is missed at once when it goes. */
#define REPL_HELD_MAX ((size_t)1 << 20)
/* The same for appends to the file of the snapshot that the disk has not taken: of as many bytes
 * each as the host reads at once (64 KiB in node/). Chosen: some megabytes. */
#define REPL_WRITING_MAX 64u
/* Characters of the mark that ends a snapshot whose size is not known before. */
#define REPL_MARK_LEN 40u
/* To who asks a replica for a synchronisation that it cannot give. */
#define SHOAL_REPL_NO_MASTER_LINK "NOMASTERLINK Can't SYNC while not connected with my master"
/* Levels of LOG records. */
enum { REPL_DEBUG = 0, REPL_VERBOSE = 1, REPL_NOTICE = 2, REPL_WARNING = 3 };

/* ---- a snapshot for replicas ---- */

/* Where the present one is. */
typedef enum repl_sync_stage {
    REPL_SYNC_NONE,
    REPL_SYNC_DELAYED, /* replicas ask; more may come until `due_us` */
    REPL_SYNC_ASKED,   /* core has been asked: the moment has not come */
    REPL_SYNC_RUNNING, /* the file grows */
    REPL_SYNC_WHOLE
} repl_sync_stage;

/* The present snapshot. */
typedef struct repl_sync {
    repl_sync_stage stage;
    bool refused; /* DELAYED because it could not begin: no number of replicas hastens it */
    int64_t due_us;
    uint64_t offset; /* of the log, at its moment */
    uint64_t size;   /* of the file so far */
    uint64_t number; /* of syncs so far */
    char mark[REPL_MARK_LEN];
} repl_sync;

/* One who waits for acknowledgements. */
typedef struct repl_wait {
    struct repl_wait *next;
    shoal_errand *errand;
    uint64_t offset;
    uint32_t replicas;
    int64_t until_us; /* SHOAL_NEVER: for ever */
} repl_wait;

/* ---- giving the role away ---- */

/* How far a FAILOVER is; see failover.c. */
typedef enum repl_failover_stage {
    REPL_FAILOVER_NONE,
    REPL_FAILOVER_SYNC,
    REPL_FAILOVER_TURN
} repl_failover_stage;

/* The FAILOVER that is under way. */
typedef struct repl_failover {
    repl_failover_stage stage;
    shoal_address target; /* ip "": any replica */
    bool force;           /* even when it has not everything in time */
    bool asked;           /* how far the replicas are */
    int64_t until_us;     /* SHOAL_NEVER: no limit */
} repl_failover;

/* ---- the link to a master ---- */

/* Where the link is; see replica.c. */
typedef enum repl_link_state {
    REPL_LINK_NONE, /* a master */
    REPL_LINK_RETRY,
    REPL_LINK_CONNECTING,
    REPL_LINK_PING,
    REPL_LINK_AUTH,
    REPL_LINK_PORT,
    REPL_LINK_IP,
    REPL_LINK_CAPA,
    REPL_LINK_PSYNC,
    REPL_LINK_TRANSFER, /* the snapshot comes */
    REPL_LINK_LOADING,  /* it has come, and is loaded */
    REPL_LINK_ONLINE
} repl_link_state;

/* The master, and what has come of it. */
typedef struct repl_master {
    repl_link_state state;
    shoal_address address;
    bool lost;       /* somebody else is at its address: see shoal_repl_lose_master */
    shoal_link link; /* 0: none */
    int64_t since_us, heard_us, ack_us, down_us;
    uint64_t acked;     /* the last offset that was acknowledged since it is online */
    shoal_buffer input; /* what has come and is not used yet */
    size_t waiting;     /* bytes of the stream that core has and cannot carry out yet */
    bool held;          /* the link is paused: see REPL_HELD_MAX */
    /* The transfer. */
    bool announced;    /* its first line has come */
    bool marked;       /* it ends with a mark, its size is not known */
    uint64_t size;     /* of it, where known */
    uint64_t received; /* bytes that are in the file, or on their way there */
    uint64_t offset;   /* of the log behind it */
    char id[SHOAL_REPL_ID_LEN + 1];
    char mark[REPL_MARK_LEN];
    uint32_t writing; /* operations on the file under way */
    bool whole;       /* all has come */
    shoal_err error;
    uint64_t tag; /* of the transfer's operations: its number */
} repl_master;

/* All of it. */
struct shoal_repl {
    shoal_allocator allocator;
    const shoal_host *host;
    shoal_env *env;
    shoal_log *log;
    uint32_t writer;
    shoal_file snapshot_file, sync_file;
    shoal_repl_face face;
    shoal_repl_settings settings;
    shoal_buffer announce_ip, master_user, master_auth; /* the settings' texts */
    shoal_prng ids, marks;
    shoal_time now;
    int64_t cron_us, pinged_us;

    char id[SHOAL_REPL_ID_LEN + 1], id2[SHOAL_REPL_ID_LEN + 1];
    uint64_t second_offset; /* id2 is good for byte numbers up to this; 0: there is no id2 */
    bool fresh;             /* a replica's data have been its master's, some time in this process */
    bool synced;            /* the data are of the history `id`, up to the end of the log */
    bool restored;          /* a replica's, from a file: nobody is followed yet */
    bool wants_log;         /* counted in the log */
    int64_t lonely_us;      /* without replicas since; 0: not so */

    shoal_replica *replicas; /* in the order in which they came */
    uint32_t serial;
    repl_sync sync;
    repl_wait *waits;
    repl_failover failover;
    bool paused;  /* no client changes anything at present */
    bool gathers; /* somebody outside waits for acknowledgements */
    repl_master master;
    uint64_t full_syncs, partial_syncs, partial_refused;
};

/* ---- invariants.c ---- */

/* Stops the process unless the roles, the lists and the counts of replication agree. Cheap: what
 * is under way is little. In every step. */
void shoal_repl__check(const shoal_repl *repl);
/* The same of the link to a master: what must be there, and must not, in its state. */
void shoal_repl__check_link(const shoal_repl *repl);
/* Whether the link may go from one state to the other. */
bool shoal_repl__link_may(repl_link_state from, repl_link_state to);

/* ---- repl.c ---- */

/* Whether it may be the id of a history: as long as one, of printing characters. What others send
 * is asked before it is kept. */
bool shoal_repl__is_id(shoal_slice text);

/* Writes a LOG record. */
void shoal_repl__log(const shoal_repl *repl, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether this node follows a master. */
bool shoal_repl__is_replica(const shoal_repl *repl);
/* The first offset from which replicas may go on: that of the backlog, which is at most as large as
 * the configuration says, though the log may still have more. */
uint64_t shoal_repl__backlog_first(const shoal_repl *repl);
/* Sees to it that effects are kept from now on. */
void shoal_repl__want_log(shoal_repl *repl);
/* A new history, which goes on where the present one ends; `remember` that one as the second. */
void shoal_repl__new_history(shoal_repl *repl, bool remember);

/* ---- master.c ---- */

/* The address of a replica as people know it: ip:port. */
void shoal_repl__name(const shoal_replica *replica, shoal_buffer *out);
/* Takes a replica out of the list. */
void shoal_repl__forget(shoal_repl *repl, shoal_replica *replica);
/* Frees a replica that is gone when nothing of it is under way any more. */
void shoal_repl__free_if_over(shoal_repl *repl, shoal_replica *replica);
/* All are sent away: they must come again. */
void shoal_repl__dismiss_all(shoal_repl *repl, const char *why);
/* Bytes of the stream that one that reads has not taken yet, here and in the host. */
uint64_t shoal_repl__unsent(const shoal_repl *repl, const shoal_replica *replica);
/* Those that wait for a snapshot to begin are answered with an error. They may ask again. */
void shoal_repl__turn_away(shoal_repl *repl, const char *error);
/* How many are online, and heard of within `lag_us` (0: whenever). */
uint32_t shoal_repl__count(const shoal_repl *repl, int64_t lag_us);
/* Whether writes are refused because too few replicas are there. */
void shoal_repl__judge_replicas(shoal_repl *repl);
/* Pings, limits and time-outs of replicas. */
void shoal_repl__master_cron(shoal_repl *repl);
/* Gives a replica a place in the log. False when the log has not got it. */
SHOAL_MUST_USE bool shoal_repl__open_reader(shoal_repl *repl, shoal_replica *replica,
                                            uint64_t from);
/* Answers a PSYNC: the connection is fed from now on. */
void shoal_repl__accept(shoal_repl *repl, shoal_replica *replica, shoal_replica_state state);

/* ---- snapshot.c ---- */

/* The replica needs a snapshot. */
void shoal_repl__ask_snapshot(shoal_repl *repl, shoal_replica *replica);
/* Begins a snapshot when it is time. */
void shoal_repl__sync_step(shoal_repl *repl);
/* Reads on for a replica that is loading. */
void shoal_repl__send_parts(shoal_repl *repl, shoal_replica *replica);
/* A part of the file has been read. */
void shoal_repl__part_read(shoal_repl *repl, const shoal_event *event);
/* A replica is gone, or online: the snapshot may have become useless. */
void shoal_repl__sync_release(shoal_repl *repl);
/* The worker has sent a part. */
void shoal_repl__part_back(shoal_replica *replica, shoal_replica_part *part);

/* ---- failover.c ---- */

/* Where a FAILOVER stands, in INFO's words. */
const char *shoal_repl__failover_word(const shoal_repl *repl);
/* Goes on with it. */
void shoal_repl__failover_step(shoal_repl *repl);
/* The other one is the master, or all is as it was: clients go on. */
void shoal_repl__failover_over(shoal_repl *repl);
/* The other one does not take the role. */
void shoal_repl__failover_refused(shoal_repl *repl);
/* A master asks this replica to take its role over. NULL: done; or the error for it. */
const char *shoal_repl__take_over(shoal_repl *repl, shoal_slice id);

/* ---- wait.c ---- */

/* Workers tell of acknowledgements as long as somebody waits for some. */
void shoal_repl__listen(shoal_repl *repl);

/* Answers those who need not wait any longer. */
void shoal_repl__waits_step(shoal_repl *repl);
/* Answers all of them: this node is no master any more, or ends. */
void shoal_repl__waits_end(shoal_repl *repl, const char *error);

/* ---- replica.c ---- */

/* Leaves the master. Nobody is told: the caller says what this node is from now on. */
void shoal_repl__unlink(shoal_repl *repl);
/* A client closes the link, which is there: it is tried again, but not at once. */
void shoal_repl__break_link(shoal_repl *repl);
/* The link is of no use: closes it, and tries again. */
void shoal_repl__retry(shoal_repl *repl, const char *why);
/* Timers. */
void shoal_repl__link_cron(shoal_repl *repl);
/* Events of the link. */
void shoal_repl__link_event(shoal_repl *repl, const shoal_event *event);
/* An operation on the file of the transfer has ended. */
void shoal_repl__sync_file_done(shoal_repl *repl, const shoal_event *event);
/* Tells the master how far this node is. */
void shoal_repl__send_ack(shoal_repl *repl);
/* Says to whom the link is, for those who may want to close it. */
void shoal_repl__show_link(const shoal_repl *repl);
/* Goes to another state of the link. */
void shoal_repl__link_enter(shoal_repl *repl, repl_link_state state);

/* ---- handshake.c ---- */

/* Says the first word of the present state. */
void shoal_repl__say(shoal_repl *repl);
/* A line has come in answer. */
void shoal_repl__hear(shoal_repl *repl, shoal_slice line);

#endif
