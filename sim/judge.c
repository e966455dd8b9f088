/* SPDX-License-Identifier: MIT
 *
 * Opinions of nodes and the checks on them. The view of a node is fed by its trace records alone,
 * so what is judged is what a picture of the run shows.
 */
#include "sim/judge.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "sim/internal.h"

static const shoal_opinion no_opinion = {0};

/* Does some node get this line of configuration? */
static bool configured(const shoal_world *world, const char *text)
{
    for (uint32_t i = 0; i < world->schedule->count; i++) {
        const shoal_line *line = &world->schedule->lines[i];
        if (line->kind == SHOAL_LINE_CONFIG && strcmp(line->text, text) == 0) return true;
    }
    return false;
}

void shoal_judge__make(shoal_world *world)
{
    shoal_judge *judge = &world->judge;
    judge->all_vote = configured(world, "cluster-voters all");
    judge->views = shoal_sim__allocate(world->node_count * sizeof(*judge->views));
    judge->claims = shoal_sim__allocate(world->node_count * sizeof(*judge->claims));
    judge->table_size = 64;
    while (judge->table_size < world->node_count * 8) judge->table_size *= 2;
    judge->table = shoal_sim__allocate(judge->table_size * sizeof(*judge->table));
    size_t pairs = (size_t)world->node_count * world->node_count;
    judge->apart_since_us = shoal_sim__allocate(pairs * sizeof(*judge->apart_since_us));
    judge->island = shoal_sim__allocate(world->node_count * sizeof(*judge->island));
    judge->queue = shoal_sim__allocate(world->node_count * sizeof(*judge->queue));
    judge->promises = shoal_sim__allocate(world->node_count * sizeof(*judge->promises));
    judge->rules = shoal_sim__allocate(world->node_count * sizeof(*judge->rules));
    judge->collisions = shoal_sim__allocate(world->node_count * sizeof(*judge->collisions));
    for (uint32_t i = 0; i < world->node_count; i++) {
        judge->views[i].self = UINT32_MAX;
    }
}

void shoal_judge__free(shoal_world *world)
{
    shoal_judge *judge = &world->judge;
    for (uint32_t i = 0; judge->views && i < world->node_count; i++) {
        shoal_sim__free(judge->views[i].of);
    }
    shoal_sim__free(judge->views);
    shoal_sim__free(judge->claims);
    shoal_sim__free(judge->subjects);
    shoal_sim__free(judge->table);
    shoal_sim__free(judge->apart_since_us);
    shoal_sim__free(judge->island);
    shoal_sim__free(judge->queue);
    shoal_sim__free(judge->promises);
    shoal_sim__free(judge->rules);
    shoal_sim__free(judge->moved_us);
    shoal_sim__free(judge->met_us);
    shoal_sim__free(judge->found);
    for (uint32_t i = 0; i < judge->glimpse_count; i++) shoal_sim__free(judge->glimpses[i].clocks);
    shoal_sim__free(judge->glimpses);
    shoal_sim__free(judge->collisions);
    shoal_sim__free(judge->queues);
}

/* ---- counting ---- */

void shoal_judge__made(shoal_world *world, shoal_check check)
{
    world->judge.made[check]++;
}

void shoal_judge__fault(shoal_world *world, shoal_check check, shoal_slice words)
{
    shoal_judge *judge = &world->judge;
    judge->made[check]++;
    if (judge->violated[check]++ > 0) return;
    snprintf(judge->first[check], sizeof(judge->first[check]), "at %lld.%06lld s: %.*s",
             (long long)(world->now_us / 1000000), (long long)(world->now_us % 1000000),
             (int)(words.size < 200 ? words.size : 200), words.data);
}

void shoal_judge__fault_of(shoal_world *world, shoal_check check, uint32_t node, const char *words)
{
    char text[200];
    int size = snprintf(text, sizeof(text), "%s %s", world->nodes[node].label, words);
    shoal_judge__fault(world, check, (shoal_slice){text, (size_t)size});
}

/* ---- names ---- */

static uint32_t *name_cell(shoal_judge *judge, const char *name)
{
    uint64_t hash = 0;
    for (int i = 0; i < SHOAL_NODE_NAME_LEN; i += 8) {
        uint64_t word = 0;
        for (int j = 0; j < 8; j++) word = word << 8 | (unsigned char)name[i + j];
        hash = shoal_prng_mix(hash ^ word);
    }
    uint32_t at = (uint32_t)hash & (judge->table_size - 1);
    while (judge->table[at] != 0 &&
           memcmp(judge->subjects[judge->table[at] - 1].name, name, SHOAL_NODE_NAME_LEN) != 0) {
        at = (at + 1) & (judge->table_size - 1);
    }
    return &judge->table[at];
}

/* The subject of the name at the start of `text`, or UINT32_MAX: handshakes use names that nobody
 * has. */
static uint32_t find_name(shoal_judge *judge, shoal_slice text)
{
    if (text.size < SHOAL_NODE_NAME_LEN) return UINT32_MAX;
    uint32_t cell = *name_cell(judge, text.data);
    return cell ? cell - 1 : UINT32_MAX;
}

static void grow_table(shoal_judge *judge)
{
    shoal_sim__free(judge->table);
    judge->table_size *= 2;
    judge->table = shoal_sim__allocate(judge->table_size * sizeof(*judge->table));
    for (uint32_t i = 0; i < judge->subject_count; i++) {
        *name_cell(judge, judge->subjects[i].name) = i + 1;
    }
}

static uint32_t add_name(shoal_judge *judge, shoal_slice text, uint32_t node)
{
    uint32_t found = find_name(judge, text);
    if (found != UINT32_MAX || text.size < SHOAL_NODE_NAME_LEN) return found;
    judge->subjects = shoal_sim__grow(judge->subjects, &judge->subject_capacity,
                                      judge->subject_count + 1, sizeof(*judge->subjects));
    shoal_subject *subject = &judge->subjects[judge->subject_count++];
    memcpy(subject->name, text.data, SHOAL_NODE_NAME_LEN);
    subject->node = node;
    if (judge->subject_count * 2 > judge->table_size) grow_table(judge);
    *name_cell(judge, subject->name) = judge->subject_count;
    return judge->subject_count - 1;
}

uint32_t shoal_judge__subject_of(const shoal_world *world, uint32_t node)
{
    return world->judge.views[node].self;
}

const shoal_opinion *shoal_judge__opinion(const shoal_world *world, uint32_t observer,
                                          uint32_t subject)
{
    const shoal_view *view = &world->judge.views[observer];
    return subject < view->capacity ? &view->of[subject] : &no_opinion;
}

/* The opinion to change, made when it is the first. */
static shoal_opinion *opinion_of(shoal_view *view, uint32_t subject)
{
    view->of = shoal_sim__grow(view->of, &view->capacity, subject + 1, sizeof(*view->of));
    return &view->of[subject];
}

/* ---- hearing ---- */

static void set_known(shoal_view *view, shoal_opinion *opinion, bool known)
{
    if (opinion->known == known) return;
    opinion->known = known;
    view->known += known ? 1u : -1u;
}

static void set_trouble(shoal_view *view, shoal_opinion *opinion, bool pfail, bool fail)
{
    view->suspected += (uint32_t)pfail - (uint32_t)opinion->pfail;
    view->failed += (uint32_t)fail - (uint32_t)opinion->fail;
    opinion->pfail = pfail;
    opinion->fail = fail;
}

/* The view is to be looked at between occurrences. */
static void note_changed(shoal_world *world, shoal_view *view)
{
    shoal_judge *judge = &world->judge;
    uint32_t at = (uint32_t)(view - judge->views);
    bool first = judge->changed_from >= judge->changed_end;
    SHOAL_ASSERT(at < world->node_count);
    view->changed = true;
    if (first || at < judge->changed_from) judge->changed_from = at;
    if (first || at >= judge->changed_end) judge->changed_end = at + 1;
}

/* What a node claims, or its epoch, is another. */
static void note_claim(shoal_world *world, const shoal_view *view)
{
    shoal_judge *judge = &world->judge;
    judge->claims[view - judge->views] = (shoal_claim){view->epoch_config, view->own_count};
}

/* Reads ranges such as ` 0-5460 7000` into a set; the hash of what they say. */
static uint64_t read_ranges(shoal_slice text, uint32_t subject, shoal_slotmap *set)
{
    uint64_t hash = shoal_prng_mix(subject + 1);
    size_t at = 0;
    memset(set, 0, sizeof(*set));
    while (at < text.size) {
        uint32_t bounds[2] = {0, 0};
        int which = 0;
        bool digits = false;
        for (; at < text.size && text.data[at] != ' ' && text.data[at] != ','; at++) {
            if (text.data[at] == '-')
                bounds[++which & 1] = 0;
            else
                bounds[which & 1] = bounds[which & 1] * 10 + (uint32_t)(text.data[at] - '0');
            digits = true;
        }
        at++;
        if (!digits) continue;
        if (which == 0) bounds[1] = bounds[0];
        hash = shoal_prng_mix(hash ^ ((uint64_t)bounds[0] << 32 | bounds[1]));
        for (uint32_t slot = bounds[0]; slot <= bounds[1] && slot < SHOAL_SLOTS; slot++) {
            shoal_slotmap_put(set, slot, true);
        }
    }
    return hash;
}

static void hear_slots(shoal_world *world, uint32_t node, const shoal_trace_record *record,
                       uint32_t subject)
{
    shoal_view *view = &world->judge.views[node];
    shoal_opinion *opinion = opinion_of(view, subject);
    shoal_slotmap set;
    shoal_slice ranges = {record->text.data + SHOAL_NODE_NAME_LEN,
                          record->text.size - SHOAL_NODE_NAME_LEN};
    uint64_t hash = record->a > 0 ? read_ranges(ranges, subject, &set) : 0;
    view->slots_seen += (uint32_t)record->a - opinion->slots;
    view->map ^= opinion->ranges ^ hash;
    opinion->slots = (uint16_t)record->a;
    opinion->ranges = hash;
    note_changed(world, view);
    if (view->slots_seen > SHOAL_SLOTS) world->judge.any_beyond = true;
    if (subject != view->self) return;
    if (record->a == 0) memset(&set, 0, sizeof(set));
    view->own = set;
    view->own_count = (uint32_t)record->a;
    view->own_changed_us = world->now_us;
    view->epoch_config = record->b;
    note_claim(world, view);
    shoal_copies__claimed(world, node, &view->own, record->b);
}

/* The slots of a node that is forgotten are nobody's. */
static void forget_slots(shoal_world *world, shoal_view *view, shoal_opinion *opinion)
{
    view->slots_seen -= opinion->slots;
    view->map ^= opinion->ranges;
    opinion->slots = 0;
    opinion->ranges = 0;
    note_changed(world, view);
}

static void hear_epoch(shoal_world *world, uint32_t node, const shoal_trace_record *record)
{
    shoal_view *view = &world->judge.views[node];
    shoal_judge__made(world, SHOAL_CHECK_EPOCHS);
    if (record->a < view->epoch_current) {
        shoal_judge__fault_of(world, SHOAL_CHECK_EPOCHS, node, "let its currentEpoch fall");
    }
    if (record->b > record->a) {
        shoal_judge__fault_of(world, SHOAL_CHECK_EPOCHS, node,
                              "has a configEpoch above its currentEpoch");
    }
    /* The first of a process is what its disk has said. */
    const shoal_promise *promise = &world->judge.promises[node];
    if (view->epoch_current == 0) {
        shoal_judge__made(world, SHOAL_CHECK_ONE_VOTE);
        if (record->a < promise->durable)
            shoal_judge__fault_of(world, SHOAL_CHECK_EPOCHS, node,
                                  "came back with an epoch before its vote");
        if (record->c < promise->durable)
            shoal_judge__fault_of(world, SHOAL_CHECK_ONE_VOTE, node, "has forgotten its last vote");
    }
    bool newer = record->b > view->epoch_config;
    view->epoch_current = record->a;
    view->epoch_config = record->b;
    note_claim(world, view);
    note_changed(world, view);
    /* What it claims, it claims with the new one from now on. */
    if (newer && view->own_count > 0) shoal_copies__claimed(world, node, &view->own, record->b);
}

/* A new process knows what its disk tells it, and will say so. */
static void forget_view(shoal_world *world, shoal_view *view)
{
    shoal_opinion *of = view->of;
    uint32_t capacity = view->capacity, self = view->self;
    if (of) memset(of, 0, capacity * sizeof(*of));
    *view = (shoal_view){.of = of, .capacity = capacity, .self = self};
    note_claim(world, view);
}

/* A node takes another name, and is another node from now on: it has promised nothing, and its
 * epochs begin anew. */
static void hear_new_name(shoal_world *world, uint32_t node, shoal_slice name)
{
    shoal_view *view = &world->judge.views[node];
    uint32_t self = add_name(&world->judge, name, node);
    /* It keeps no slots under the name that it had: nobody has that any more. */
    set_known(view, opinion_of(view, view->self), false);
    forget_slots(world, view, opinion_of(view, view->self));
    view->self = self;
    set_known(view, opinion_of(view, self), true);
    view->epoch_current = view->epoch_config = 0;
    note_claim(world, view);
    shoal_judge__forgot(world, node);
    world->judge.version++;
}

/* May a record of this kind make somebody a voter to a node, or no longer one? */
static bool is_about_voters(uint32_t kind)
{
    return kind == SHOAL_TRACE_NODE_KNOWN || kind == SHOAL_TRACE_NODE_RENAMED ||
           kind == SHOAL_TRACE_NODE_FORGOTTEN || kind == SHOAL_TRACE_SLOTS;
}

/* Records about one other node. */
static void hear_about(shoal_world *world, uint32_t node, const shoal_trace_record *record)
{
    shoal_judge *judge = &world->judge;
    shoal_view *view = &judge->views[node];
    shoal_slice text = record->text;
    if (record->kind == SHOAL_TRACE_NODE_RENAMED && text.size > SHOAL_NODE_NAME_LEN) {
        bool own = view->self != UINT32_MAX && find_name(judge, text) == view->self;
        text =
            (shoal_slice){text.data + SHOAL_NODE_NAME_LEN + 1, text.size - SHOAL_NODE_NAME_LEN - 1};
        if (own) hear_new_name(world, node, text);
        if (own) return;
    }
    uint32_t subject = find_name(judge, text);
    if (subject == UINT32_MAX) return;
    shoal_opinion *opinion = opinion_of(view, subject);
    if (is_about_voters(record->kind)) shoal_judge__rethinks(world, node);
    switch (record->kind) {
    case SHOAL_TRACE_NODE_KNOWN:
        set_known(view, opinion, true);
        set_trouble(view, opinion, (record->c & SHOAL_NODE_PFAIL) != 0,
                    (record->c & SHOAL_NODE_FAIL) != 0);
        break;
    case SHOAL_TRACE_NODE_RENAMED: set_known(view, opinion, true); break;
    case SHOAL_TRACE_NODE_FORGOTTEN:
        set_known(view, opinion, false);
        set_trouble(view, opinion, false, false);
        forget_slots(world, view, opinion);
        break;
    case SHOAL_TRACE_PFAIL: set_trouble(view, opinion, true, opinion->fail); break;
    case SHOAL_TRACE_PFAIL_CLEARED: set_trouble(view, opinion, false, opinion->fail); break;
    case SHOAL_TRACE_FAIL: set_trouble(view, opinion, false, true); break;
    case SHOAL_TRACE_FAIL_CLEARED: set_trouble(view, opinion, opinion->pfail, false); break;
    case SHOAL_TRACE_SLOTS: hear_slots(world, node, record, subject); break;
    default: return;
    }
    judge->version++;
}

static void hear_ready(shoal_world *world, uint32_t node, const shoal_trace_record *record)
{
    shoal_view *view = &world->judge.views[node];
    view->self = add_name(&world->judge, record->text, node);
    SHOAL_ASSERT(view->self != UINT32_MAX);
    set_known(view, opinion_of(view, view->self), true);
    world->judge.version++;
}

/* Whose replica a node is, if it speaks of itself. */
static void hear_role(shoal_world *world, uint32_t node, const shoal_trace_record *record)
{
    shoal_view *view = &world->judge.views[node];
    if (find_name(&world->judge, record->text) != view->self) return;
    if (view->replica) view->copied_us = world->now_us;
    view->replica = record->a != 0;
    view->master = UINT32_MAX;
    if (view->replica && record->text.size > SHOAL_NODE_NAME_LEN) {
        size_t from = SHOAL_NODE_NAME_LEN + 1;
        view->master = find_name(&world->judge,
                                 (shoal_slice){record->text.data + from, record->text.size - from});
    }
    world->judge.version++;
}

void shoal_judge__hear(shoal_world *world, const shoal_trace_entry *entry)
{
    const shoal_trace_record *record = &entry->record;
    uint32_t node = entry->node;
    if (node >= world->node_count) return;
    switch (record->kind) {
    case SHOAL_TRACE_READY: hear_ready(world, node, record); break;
    case SHOAL_TRACE_EPOCH: hear_epoch(world, node, record); break;
    case SHOAL_TRACE_ROLE: hear_role(world, node, record); break;
    case SHOAL_TRACE_VOTE: shoal_promise__vote(world, node, record->a); break;
    case SHOAL_TRACE_ELECTION: shoal_promise__election(world, node, record); break;
    case SHOAL_TRACE_SAVED: shoal_promise__saved(world, node, record); break;
    case SHOAL_TRACE_FRAME_SENT: shoal_promise__sent(world, node, record->a); break;
    case SHOAL_TRACE_LOG:
        shoal_logbook__says(world, node, record->text);
        shoal_promise__says(world, node, record->text);
        break;
    case SHOAL_TRACE_CLUSTER_STATE:
        world->judge.views[node].up = record->a != 0;
        world->judge.version++;
        break;
    case SHOAL_TRACE_NODE_STARTED:
    case SHOAL_TRACE_NODE_CRASHED:
        forget_view(world, &world->judge.views[node]);
        shoal_promise__break(world, node);
        world->judge.version++;
        world->judge.disturbed_us = world->now_us;
        break;
    case SHOAL_TRACE_NODE_KNOWN:
    case SHOAL_TRACE_NODE_RENAMED:
    case SHOAL_TRACE_NODE_FORGOTTEN:
    case SHOAL_TRACE_PFAIL:
    case SHOAL_TRACE_PFAIL_CLEARED:
    case SHOAL_TRACE_FAIL:
    case SHOAL_TRACE_FAIL_CLEARED:
    case SHOAL_TRACE_SLOTS: hear_about(world, node, record); break;
    default: break;
    }
}
