/* SPDX-License-Identifier: MIT
 *
 * viz/model/model.c - applies trace entries to the picture's state: one handler a kind of
 * record, found in a table. The handlers know what the records mean and nothing of drawing; the
 * sentences that people read are made in news.c.
 */
#include "viz/model/model.h"

#include <stdlib.h>
#include <string.h>

#include "viz/model/news.h"

#define WORDS_MAX 3

/* A text cut at its blanks; the last word keeps the rest. */
typedef struct words {
    shoal_slice word[WORDS_MAX];
    uint32_t count;
} words;

static words split(shoal_slice text, uint32_t most)
{
    words out = {0};
    while (text.size > 0 && out.count < most) {
        size_t length = text.size;
        if (out.count + 1 < most) {
            const char *blank = memchr(text.data, ' ', text.size);
            if (blank) length = (size_t)(blank - text.data);
        }
        out.word[out.count++] = (shoal_slice){text.data, length};
        size_t used = length < text.size ? length + 1 : length;
        text = (shoal_slice){text.data + used, text.size - used};
    }
    return out;
}

static void copy_text(char *out, size_t room, shoal_slice text)
{
    size_t size = text.size < room - 1 ? text.size : room - 1;
    if (size) memcpy(out, text.data, size);
    out[size] = 0;
}

shoal_model *shoal_model_make(void)
{
    shoal_model *model = calloc(1, sizeof *model);
    if (!model) return NULL;
    model->nodes = calloc(SHOAL_MODEL_NODES_MAX, sizeof *model->nodes);
    if (model->nodes) return model;
    free(model);
    return NULL;
}

void shoal_model_reset(shoal_model *model)
{
    for (uint32_t i = 0; i < model->node_count; i++) {
        free(model->nodes[i].owner);
        free(model->nodes[i].opinion);
    }
    shoal_model_node *nodes = model->nodes;
    memset(nodes, 0, SHOAL_MODEL_NODES_MAX * sizeof *nodes);
    memset(model, 0, sizeof *model);
    model->nodes = nodes;
}

void shoal_model_free(shoal_model *model)
{
    if (!model) return;
    shoal_model_reset(model);
    free(model->nodes);
    free(model);
}

/* The node with this index, made when it is new; NULL beyond the limit or without memory. */
static shoal_model_node *node_at(shoal_model *model, uint32_t index)
{
    if (index >= SHOAL_MODEL_NODES_MAX) return NULL;
    shoal_model_node *node = &model->nodes[index];
    if (!node->owner) {
        node->owner = calloc(SHOAL_SLOTS, sizeof *node->owner);
        node->opinion = calloc(SHOAL_MODEL_NODES_MAX, sizeof *node->opinion);
        if (!node->owner || !node->opinion) return NULL;
    }
    while (model->node_count <= index) model->node_count++;
    return node;
}

/* Index of a name, interned; -1 when there is no room or it is no name. */
static int32_t name_index(shoal_model *model, shoal_slice name)
{
    if (name.size != SHOAL_NODE_NAME_LEN) return -1;
    for (uint32_t i = 0; i < model->name_count; i++) {
        if (memcmp(model->names[i].name, name.data, SHOAL_NODE_NAME_LEN) == 0) return (int32_t)i;
    }
    if (model->name_count == SHOAL_MODEL_NODES_MAX) return -1;
    shoal_model_name *entry = &model->names[model->name_count];
    copy_text(entry->name, sizeof entry->name, name);
    entry->node = -1;
    return (int32_t)model->name_count++;
}

static void forget_opinions(shoal_model_node *node)
{
    memset(node->opinion, SHOAL_OPINION_OK, SHOAL_MODEL_NODES_MAX);
    memset(node->owner, 0, SHOAL_SLOTS * sizeof *node->owner);
}

static void on_started(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    (void)model;
    words w = split(entry->record.text, 2);
    if (w.count > 0) copy_text(node->label, sizeof node->label, w.word[0]);
    if (w.count > 1) copy_text(node->ip, sizeof node->ip, w.word[1]);
    node->port = (uint16_t)entry->record.a;
    node->running = true;
    node->ready = node->up = false;
    node->starts++;
    forget_opinions(node);
}

static void on_crashed(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    (void)model, (void)entry;
    node->running = node->ready = node->up = false;
}

static void on_ready(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    int32_t index = name_index(model, entry->record.text);
    node->ready = true;
    if (index < 0) return;
    copy_text(node->name, sizeof node->name, entry->record.text);
    model->names[index].node = (int32_t)entry->node;
}

/* "name 0-5460 7000": from now on exactly these slots are its. */
/* What it held to be of a node is nobody's. */
static void drop_slots(shoal_model_node *node, uint16_t owner)
{
    for (uint32_t s = 0; s < SHOAL_SLOTS; s++) {
        if (node->owner[s] == owner) node->owner[s] = 0;
    }
}

static void on_slots(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    words w = split(entry->record.text, 2);
    int32_t index = w.count ? name_index(model, w.word[0]) : -1;
    if (index < 0) return;
    uint16_t owner = (uint16_t)(index + 1);
    drop_slots(node, owner);
    char text[32];
    shoal_slice rest = w.count > 1 ? w.word[1] : (shoal_slice){0};
    while (rest.size > 0) {
        words range = split(rest, 2);
        copy_text(text, sizeof text, range.word[0]);
        char *dash = strchr(text, '-');
        unsigned long first = strtoul(text, NULL, 10);
        unsigned long last = dash ? strtoul(dash + 1, NULL, 10) : first;
        for (unsigned long s = first; s <= last && s < SHOAL_SLOTS; s++) node->owner[s] = owner;
        rest = range.count > 1 ? range.word[1] : (shoal_slice){0};
    }
}

static void on_forgotten(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    words w = split(entry->record.text, 2);
    int32_t index = w.count ? name_index(model, w.word[0]) : -1;
    if (index < 0) return;
    node->opinion[index] = SHOAL_OPINION_OK;
    drop_slots(node, (uint16_t)(index + 1));
}

static void set_opinion(shoal_model *model, shoal_model_node *node, shoal_slice name,
                        shoal_opinion opinion)
{
    int32_t index = name_index(model, name);
    if (index >= 0) node->opinion[index] = (uint8_t)opinion;
}

static void on_opinion(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    shoal_opinion opinion = SHOAL_OPINION_OK;
    if (entry->record.kind == SHOAL_TRACE_PFAIL) opinion = SHOAL_OPINION_PFAIL;
    if (entry->record.kind == SHOAL_TRACE_FAIL) opinion = SHOAL_OPINION_FAIL;
    set_opinion(model, node, entry->record.text, opinion);
}

static void on_renamed(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    words w = split(entry->record.text, 2);
    if (w.count == 2) set_opinion(model, node, w.word[0], SHOAL_OPINION_OK);
}

static void on_epoch(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    (void)model;
    node->current_epoch = entry->record.a;
    node->config_epoch = entry->record.b;
}

static void on_state(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    (void)model;
    node->up = entry->record.a != 0;
}

static void on_message(shoal_model *model, shoal_model_node *node, const shoal_trace_entry *entry)
{
    (void)node;
    if (model->flight_count == SHOAL_MODEL_FLIGHTS_MAX) {
        model->flights_dropped++;
        return;
    }
    model->flights[model->flight_count++] = (shoal_flight){
        .from = entry->node,
        .to = (uint32_t)entry->record.a,
        .type = (uint32_t)entry->record.b,
        .sent_us = entry->time_us,
        .arrives_us = (int64_t)entry->record.c,
    };
}

static void on_run_start(shoal_model *model, const shoal_trace_entry *entry)
{
    model->seed = entry->record.a;
    shoal_slice text = entry->record.text;
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t length = end ? (size_t)(end - text.data) : text.size;
        if (length > 2 && text.data[0] == '#' && !model->title[0]) {
            shoal_slice line = {text.data + 2, length - 2};
            copy_text(model->title, sizeof model->title, line);
        }
        size_t used = end ? length + 1 : length;
        text = (shoal_slice){text.data + used, text.size - used};
    }
}

static void on_world(shoal_model *model, const shoal_trace_entry *entry)
{
    const shoal_trace_record *record = &entry->record;
    switch (record->kind) {
    case SHOAL_TRACE_RUN_START: on_run_start(model, entry); break;
    case SHOAL_TRACE_RUN_END: copy_text(model->verdict, sizeof model->verdict, record->text); break;
    case SHOAL_TRACE_SAY: copy_text(model->caption, sizeof model->caption, record->text); break;
    case SHOAL_TRACE_CLIENT_LOAD:
        model->operations += record->a;
        model->errors += record->b;
        model->redirections += record->c;
        model->operations_window = record->a;
        model->errors_window = record->b;
        break;
    default: break;
    }
}

typedef void (*node_handler)(shoal_model *, shoal_model_node *, const shoal_trace_entry *);

/* What changes the state of one node. A constant table: a kind without a row changes nothing. */
static node_handler handler_of(shoal_trace_kind kind)
{
    static const struct {
        shoal_trace_kind kind;
        node_handler handle;
    } rows[] = {
        {SHOAL_TRACE_NODE_STARTED, on_started},
        {SHOAL_TRACE_NODE_CRASHED, on_crashed},
        {SHOAL_TRACE_READY, on_ready},
        {SHOAL_TRACE_SLOTS, on_slots},
        {SHOAL_TRACE_EPOCH, on_epoch},
        {SHOAL_TRACE_CLUSTER_STATE, on_state},
        {SHOAL_TRACE_PFAIL, on_opinion},
        {SHOAL_TRACE_PFAIL_CLEARED, on_opinion},
        {SHOAL_TRACE_FAIL, on_opinion},
        {SHOAL_TRACE_FAIL_CLEARED, on_opinion},
        {SHOAL_TRACE_NODE_FORGOTTEN, on_forgotten},
        {SHOAL_TRACE_NODE_RENAMED, on_renamed},
        {SHOAL_TRACE_MESSAGE, on_message},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].kind == kind) return rows[i].handle;
    }
    return NULL;
}

void shoal_model_advance(shoal_model *model, int64_t now_us)
{
    model->now_us = now_us;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < model->flight_count; i++) {
        const shoal_flight *flight = &model->flights[i];
        /* A frame that never arrives stays in sight for a second, so that it can be seen. */
        int64_t until = flight->arrives_us ? flight->arrives_us : flight->sent_us + 1000000;
        if (until > now_us) model->flights[kept++] = *flight;
    }
    model->flight_count = kept;
}

void shoal_model_apply(shoal_model *model, const shoal_trace_entry *entry)
{
    shoal_model_advance(model, entry->time_us);
    model->entries++;
    node_handler handle = handler_of(entry->record.kind);
    if (handle) {
        shoal_model_node *node = node_at(model, entry->node);
        if (node) handle(model, node, entry);
    } else {
        on_world(model, entry);
    }
    if (shoal_model_interesting(entry)) {
        shoal_news *news = &model->news[model->news_count++ % SHOAL_MODEL_NEWS_MAX];
        shoal_news_tell(model, entry, news);
    }
}

bool shoal_model_interesting(const shoal_trace_entry *entry)
{
    switch (entry->record.kind) {
    case SHOAL_TRACE_READY:
    case SHOAL_TRACE_PFAIL:
    case SHOAL_TRACE_PFAIL_CLEARED:
    case SHOAL_TRACE_FAIL:
    case SHOAL_TRACE_FAIL_CLEARED:
    case SHOAL_TRACE_NODE_FORGOTTEN:
    case SHOAL_TRACE_CLUSTER_STATE:
    case SHOAL_TRACE_SLOTS:
    case SHOAL_TRACE_FRAME_REFUSED:
    case SHOAL_TRACE_WHY_NOT:
    case SHOAL_TRACE_FAULT:
    case SHOAL_TRACE_NODE_STARTED:
    case SHOAL_TRACE_NODE_CRASHED:
    case SHOAL_TRACE_SAY:
    case SHOAL_TRACE_EXPECT:
    case SHOAL_TRACE_RUN_END: return true;
    default: return false;
    }
}

static bool held_for_failed(const shoal_model *model, uint16_t owner, uint32_t view)
{
    if (!owner) return false;
    if (view < model->node_count) {
        return model->nodes[view].opinion[owner - 1] == SHOAL_OPINION_FAIL;
    }
    int32_t index = model->names[owner - 1].node;
    if (index < 0) return false;
    uint32_t pfail, fail;
    shoal_model_suspicion(model, (uint32_t)index, &pfail, &fail);
    return !model->nodes[index].running || fail > 0;
}

/* The name index + 1 under which node `index` goes, 0 when it has no name yet. */
static uint16_t own_name(const shoal_model *model, uint32_t index)
{
    for (uint32_t n = 0; n < model->name_count; n++) {
        if (model->names[n].node == (int32_t)index) return (uint16_t)(n + 1);
    }
    return 0;
}

/* Strength of a node's claim to a slot: 0 none; a running claimant beats any dead one. */
static uint64_t claim_weight(const shoal_model_node *node)
{
    return (node->running ? UINT64_C(1) << 63 : 0) + node->config_epoch + 1;
}

static void true_owners(const shoal_model *model, shoal_slot_view *out)
{
    uint64_t *best = calloc(SHOAL_SLOTS, sizeof *best);
    if (!best) return;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const shoal_model_node *node = &model->nodes[i];
        uint16_t self = node->owner ? own_name(model, i) : 0;
        uint64_t weight = claim_weight(node);
        for (uint32_t s = 0; self && s < SHOAL_SLOTS; s++) {
            if (node->owner[s] != self || weight <= best[s]) continue;
            best[s] = weight;
            out[s].owner = self;
        }
    }
    free(best);
}

static void mark_disputes(const shoal_model *model, shoal_slot_view *out)
{
    for (uint32_t i = 0; i < model->node_count; i++) {
        const shoal_model_node *node = &model->nodes[i];
        if (!node->running || !node->ready) continue;
        for (uint32_t s = 0; s < SHOAL_SLOTS; s++) {
            if (node->owner[s] != out[s].owner) out[s].disputed = true;
        }
    }
}

void shoal_model_slots(const shoal_model *model, uint32_t view, shoal_slot_view *out)
{
    memset(out, 0, SHOAL_SLOTS * sizeof *out);
    if (view < model->node_count) {
        const uint16_t *owner = model->nodes[view].owner;
        for (uint32_t s = 0; owner && s < SHOAL_SLOTS; s++) out[s].owner = owner[s];
    } else {
        true_owners(model, out);
        mark_disputes(model, out);
    }
    uint16_t last = 0;
    bool failed = false;
    for (uint32_t s = 0; s < SHOAL_SLOTS; s++) {
        if (out[s].owner != last) {
            last = out[s].owner;
            failed = held_for_failed(model, last, view);
        }
        out[s].failed = failed;
    }
}

void shoal_model_suspicion(const shoal_model *model, uint32_t index, uint32_t *pfail,
                           uint32_t *fail)
{
    *pfail = *fail = 0;
    uint16_t name = own_name(model, index);
    for (uint32_t i = 0; name && i < model->node_count; i++) {
        const shoal_model_node *node = &model->nodes[i];
        if (!node->running || !node->opinion || i == index) continue;
        if (node->opinion[name - 1] == SHOAL_OPINION_PFAIL) (*pfail)++;
        if (node->opinion[name - 1] == SHOAL_OPINION_FAIL) (*fail)++;
    }
}
