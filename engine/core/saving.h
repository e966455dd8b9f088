/* SPDX-License-Identifier: MIT
 *
 * core/saving.h - snapshots of a node: when one is written (SAVE, BGSAVE, save points, SHUTDOWN),
 * what is told of it, and the dump that a node begins with. The writing itself is
 * persist/rdb_save.h.
 *
 * SAVE is BGSAVE whose client waits: other clients are served meanwhile.
 *
 * Threads: the control actor.
 */
#ifndef SHOAL_CORE_SAVING_H
#define SHOAL_CORE_SAVING_H

#include "command/command.h"
#include "persist/rdb_load.h"
#include "persist/rdb_save.h"

/* How loading stands. */
typedef enum shoal_dump_state {
    SHOAL_DUMP_LOADING,
    SHOAL_DUMP_LOADED, /* or there was none */
    SHOAL_DUMP_FAILED  /* the node has failed, and said why */
} shoal_dump_state;

/* What stands in the head of a snapshot; the slices are borrowed from `text`. */
#define SHOAL_SNAPSHOT_FACTS_MAX 8
typedef struct shoal_snapshot_head {
    shoal_buffer text; /* to be freed */
    uint32_t count;
    const char *names[SHOAL_SNAPSHOT_FACTS_MAX];
    size_t ends[SHOAL_SNAPSHOT_FACTS_MAX];
    shoal_snapshot_fact list[SHOAL_SNAPSHOT_FACTS_MAX];
} shoal_snapshot_head;

/* The options of a snapshot of this moment, but for who takes it. */
shoal_snapshot_options shoal_node__snapshot_open(const shoal_node *node, shoal_snapshot_head *head);

/* Snapshots and what is known of them. Zero is a start. */
typedef struct shoal_saving {
    shoal_rdb_save save;
    shoal_errand *first, *last;         /* SAVEs that wait for the present one */
    shoal_errand *farewell;             /* SHUTDOWNs that wait for the last one */
    bool leaving;                       /* the node ends behind the next one that begins */
    bool asked_to_leave;                /* by the host */
    bool last_begun;                    /* that is under way */
    bool scheduled;                     /* BGSAVE SCHEDULE: as soon as nothing else is in the way */
    bool failed;                        /* the last one */
    uint32_t flushes_seen;              /* of env->flushes */
    uint64_t done;                      /* successful ones */
    uint64_t changes_saved;             /* of the store, in the last successful one */
    uint64_t changes_begun;             /* when the present one began */
    uint64_t keys_total;                /* at its beginning */
    int64_t saved_s;                    /* wall clock: of the last success, or of the start */
    int64_t tried_us;                   /* monotonic: when the last one began */
    int64_t took_s;                     /* of the last one, -1: none yet */
    uint64_t keys_loaded, keys_expired; /* of the dump at the start */
    char history[SHOAL_NODE_NAME_LEN + 1]; /* id of the dump's, "": none has been read */
    bool waits_moment;                     /* a snapshot begins in the next moment of the store */
    bool restrains;                        /* writes wait because too much waits for the disk, */
    /* Loading. */
    shoal_rdb_load *load; /* while a dump is being loaded */
    shoal_crew *crew;     /* that loads it, or NULL */
    bool load_parsed;     /* its end has been met; the crew may still be at work */
    uint32_t load_held;   /* parts that are asked for when the crew has room */
    shoal_dump_state load_state;
    uint32_t load_reads; /* parts asked for that have not come */
    uint64_t load_at;    /* bytes asked for */
    uint64_t load_fed;   /* bytes that have come */
    uint64_t load_size;  /* of the file, as far as known */
    int64_t load_began_us;
    int64_t load_due_us; /* when the next part is asked for, SHOAL_NEVER: at once */
} shoal_saving;

/* BGSAVE, LASTSAVE: answers. */
void shoal_node__bgsave(shoal_node *node, const shoal_errand *errand, shoal_reply *reply);
void shoal_node__lastsave(const shoal_node *node, shoal_reply *reply);
/* SAVE: true when the errand waits for its answer, false when it has one. */
bool shoal_node__save(shoal_node *node, shoal_errand *errand, shoal_reply *reply);

/* Leaves behind a last snapshot; `errand` (NULL: nobody) waits for it, and is finished by this
 * room, with an error where the node stays. */
void shoal_node__save_and_leave(shoal_node *node, shoal_errand *errand);
/* The node stays after all, whoever waits is told. False when it was not about to leave so. */
bool shoal_node__stay(shoal_node *node);
/* True when there are save points. */
bool shoal_node__has_save_points(const shoal_node *node);
/* True while a snapshot is being written. */
bool shoal_node__is_saving(const shoal_node *node);

/* restraint.c: holds writes while more waits for the disk than may, and lets them go again. At each
 * step, behind those of snapshots and of the append-only file. */
void shoal_node__restrain(shoal_node *node);
/* When it wants to look again at the latest; monotonic. */
int64_t shoal_node__restraint_deadline(const shoal_node *node);
/* Goes on with what is under way, begins what is due. At each step of a node that is ready. */
void shoal_node__saving_step(shoal_node *node);
/* When it wants to go on at the latest; monotonic. */
int64_t shoal_node__saving_deadline(const shoal_node *node);
/* A FILE_DONE of SHOAL_RDB_FILE or SHOAL_RDB_FILE_NEW. */
void shoal_node__saving_file_done(shoal_node *node, const shoal_event *event);
/* Answers who waits and frees what there is, when the node ends first. */
void shoal_node__saving_abandon(shoal_node *node);
/* Tells workers whether writes are refused because of snapshots that fail. */
void shoal_node__saving_judge(shoal_node *node);

/* Lines of INFO. */
void shoal_node__saving_info(const shoal_node *node, shoal_buffer *out);
void shoal_node__saving_progress(const shoal_node *node, shoal_buffer *out);

/* ---- dump_load.c: the dump at the start ---- */

/* Makes a crew for this node. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_node__crew_open(shoal_node *node, shoal_crew **out);
/* Begins to load the dump; events of SHOAL_RDB_FILE go to shoal_node__dump_file_done until
 * shoal_node__dump_step says something else than LOADING. False without memory. */
SHOAL_MUST_USE bool shoal_node__dump_begin(shoal_node *node);
/* A FILE_DONE while it is being loaded. */
void shoal_node__dump_file_done(shoal_node *node, const shoal_event *event);
/* Goes on with loading: with what the crew has done, or when it was slowed down (key-load-delay).
 * Behind each event while it is being loaded. */
shoal_dump_state shoal_node__dump_step(shoal_node *node);
/* Frees what loading has, but for the crew. */
void shoal_node__dump_drop(shoal_node *node);
/* Frees the crew: it is idle, or no worker runs any more. */
void shoal_node__dump_close(shoal_node *node);
/* Whether the configuration says that this node follows another; in a cluster nodes.conf will. */
bool shoal_node__may_follow(const shoal_node *node);
/* What loaders need to know of the configuration. */
shoal_rdb_load_options shoal_node__load_options(shoal_node *node);

#endif
