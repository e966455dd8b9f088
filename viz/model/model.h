/* SPDX-License-Identifier: MIT
 *
 * viz/model/model.h - trace entries in, the state of the picture out. The model knows what each
 * node believes (its slot map, whom it suspects), what is true from outside (who runs, who
 * claims which slot for itself), which frames are in flight and what was worth telling. It draws
 * nothing, reads no clock and no file: the same entries give the same model.
 *
 * Threads: a model belongs to one thread.
 */
#ifndef SHOAL_VIZ_MODEL_H
#define SHOAL_VIZ_MODEL_H

#include <shoal/trace.h>
#include <shoal/types.h>

/* Most nodes and messages that the picture keeps; what is beyond them is counted, not shown. */
#define SHOAL_MODEL_NODES_MAX 1024u
#define SHOAL_MODEL_FLIGHTS_MAX 4096u
/* Lines of news that are kept, newest last. */
#define SHOAL_MODEL_NEWS_MAX 256u

/* What one node thinks of another. */
typedef enum shoal_opinion {
    SHOAL_OPINION_OK = 0,
    SHOAL_OPINION_PFAIL = 1,
    SHOAL_OPINION_FAIL = 2
} shoal_opinion;

/* One node: the process as the world sees it, and its own view of the cluster. */
typedef struct shoal_model_node {
    char label[24];                     /* short name of the schedule, such as n1 */
    char name[SHOAL_NODE_NAME_LEN + 1]; /* empty until it is ready */
    char ip[46];
    uint16_t port;
    bool running; /* the process lives */
    bool ready;   /* it serves clients */
    bool up;      /* it holds the cluster for up */
    uint64_t current_epoch;
    uint64_t config_epoch;
    uint32_t starts;  /* how often the process was started */
    uint16_t *owner;  /* [SHOAL_SLOTS]: its slot map, name index + 1, 0 for nobody */
    uint8_t *opinion; /* [SHOAL_MODEL_NODES_MAX]: shoal_opinion by name index */
} shoal_model_node;

/* A bus frame on its way. `arrives_us` 0: it never will. */
typedef struct shoal_flight {
    uint32_t from, to; /* node indexes */
    uint32_t type;     /* shoal_frame_type */
    int64_t sent_us;
    int64_t arrives_us;
} shoal_flight;

/* One line worth telling. */
typedef struct shoal_news {
    int64_t time_us;
    uint32_t node; /* who said it, or SHOAL_TRACE_WORLD */
    shoal_trace_kind kind;
    char text[120];
} shoal_news;

/* A node name met in the trace. */
typedef struct shoal_model_name {
    char name[SHOAL_NODE_NAME_LEN + 1];
    int32_t node; /* index of the node that bears it, -1 when not known yet */
} shoal_model_name;

/* The picture's whole state at `now_us`. */
typedef struct shoal_model {
    int64_t now_us;
    uint64_t entries; /* applied so far */
    shoal_model_node *nodes;
    uint32_t node_count;
    shoal_model_name names[SHOAL_MODEL_NODES_MAX];
    uint32_t name_count;
    shoal_flight flights[SHOAL_MODEL_FLIGHTS_MAX];
    uint32_t flight_count;
    uint64_t flights_dropped;              /* beyond the limit */
    shoal_news news[SHOAL_MODEL_NEWS_MAX]; /* a ring */
    uint64_t news_count;                   /* ever told; the newest is at (count - 1) % MAX */
    char caption[240];                     /* the last SAY */
    char title[80];                        /* first comment of the schedule, or "" */
    uint64_t seed;
    uint64_t operations, errors, redirections; /* of clients, since the start */
    uint64_t operations_window, errors_window; /* of the last 100 ms report */
    char verdict[120];                         /* of RUN_END, else "" */
} shoal_model;

/* A new empty model, or NULL without memory. */
shoal_model *shoal_model_make(void);

/* Frees the model. */
void shoal_model_free(shoal_model *model);

/* Back to the start of the run. */
void shoal_model_reset(shoal_model *model);

/* Takes one entry in; entries come in the order of the trace. */
void shoal_model_apply(shoal_model *model, const shoal_trace_entry *entry);

/* Moves the time forward without an entry: frames that have arrived leave the picture. */
void shoal_model_advance(shoal_model *model, int64_t now_us);

/* True when an entry of this kind is worth a stop of "next interesting event". */
bool shoal_model_interesting(const shoal_trace_entry *entry);

/* How a slot looks from outside all nodes. */
typedef struct shoal_slot_view {
    uint16_t owner; /* name index + 1, 0 for nobody */
    bool failed;    /* its owner is dead or held for failed */
    bool disputed;  /* running nodes disagree about the owner */
} shoal_slot_view;

/* Fills `out[SHOAL_SLOTS]`: with `view` < node_count that node's own map, else the truth: the
 * claim of the running node with the greatest configEpoch, or the last claim of a dead one. */
void shoal_model_slots(const shoal_model *model, uint32_t view, shoal_slot_view *out);

/* How many running nodes hold node `index` for pfail and for fail. */
void shoal_model_suspicion(const shoal_model *model, uint32_t index, uint32_t *pfail,
                           uint32_t *fail);

#endif
