/* SPDX-License-Identifier: MIT
 *
 * Recognising rare paths. The table has a row for each; rows of one kind of record are looked at
 * when such a record comes.
 */
#include "sim/marks.h"

#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "base/text.h"
#include "sim/internal.h"

/* What a row asks of a record. */
typedef enum mark_condition { ANY, A_IS, A_NOT, B_IS } mark_condition;

/* Rows that no kind of record tells of. */
#define SHOAL_TRACE_HOST 0

static const struct {
    const char *id;
    uint32_t kind;
    mark_condition condition;
    uint64_t number;
    const char *text;
    const char *doc;
} rows[SHOAL_MARK_COUNT] = {
#define SHOAL_MARK(NAME, id, KIND, condition, number, text, doc) \
    {id, SHOAL_TRACE_##KIND, condition, number, text, doc},
#include "sim/marks.def"
#undef SHOAL_MARK
};

const char *shoal_mark_id(uint32_t mark)
{
    return mark < SHOAL_MARK_COUNT ? rows[mark].id : "?";
}

const char *shoal_mark_doc(uint32_t mark)
{
    return mark < SHOAL_MARK_COUNT ? rows[mark].doc : "?";
}

void shoal_marks__make(shoal_world *world)
{
    shoal_marks *marks = &world->marks;
    _Static_assert(SHOAL_MARK_COUNT < 255, "rows are numbered in bytes");
    marks->nodes = shoal_sim__allocate(world->node_count * sizeof(*marks->nodes));
    for (uint32_t i = SHOAL_MARK_COUNT; i > 0; i--) {
        uint8_t *first = &marks->first[rows[i - 1].kind];
        marks->behind[i - 1] = *first;
        *first = (uint8_t)i;
    }
}

void shoal_marks__free(shoal_world *world)
{
    shoal_sim__free(world->marks.nodes);
    world->marks.nodes = NULL;
}

void shoal_marks__reach(shoal_world *world, shoal_mark mark)
{
    SHOAL_ASSERT(mark < SHOAL_MARK_COUNT);
    world->marks.times[mark]++;
}

/* ---- what takes more than one record ---- */

static uint64_t hash_of(shoal_slice text)
{
    uint64_t hash = 1;
    for (size_t i = 0; i < text.size; i++) {
        hash = shoal_prng_mix(hash ^ (unsigned char)text.data[i]);
    }
    return hash;
}

static void hear_vote(shoal_world *world, const shoal_trace_record *record)
{
    shoal_marks *marks = &world->marks;
    uint64_t candidate = hash_of(record->text);
    uint32_t at = (uint32_t)(record->a % SHOAL_MARKS_EPOCHS);
    if (marks->votes[at].epoch != record->a || marks->votes[at].candidate == 0) {
        marks->votes[at].epoch = record->a;
        marks->votes[at].candidate = candidate;
        marks->votes[at].split = false;
    } else if (marks->votes[at].candidate != candidate && !marks->votes[at].split) {
        marks->votes[at].split = true;
        shoal_marks__reach(world, SHOAL_MARK_VOTE_SPLIT);
    }
}

static void hear_election(shoal_world *world, uint32_t node, const shoal_trace_record *record)
{
    enum { PLANNED = 0, ASKED = 1, WON = 2 };
    shoal_marks_node *of = &world->marks.nodes[node];
    if (record->a == PLANNED && record->c > 0) shoal_marks__reach(world, SHOAL_MARK_RANK_WAITS);
    if (record->a == ASKED && of->asked) shoal_marks__reach(world, SHOAL_MARK_ELECTION_RETRY);
    if (record->a == ASKED) of->asked = true;
    if (record->a == WON) of->asked = false;
}

static void hear_connect(shoal_world *world, const shoal_trace_record *record)
{
    if (record->b == (uint64_t)-SHOAL_ERR_REFUSED)
        shoal_marks__reach(world, SHOAL_MARK_CONNECT_REFUSED);
    if (record->b == (uint64_t)-SHOAL_ERR_TIMED_OUT)
        shoal_marks__reach(world, SHOAL_MARK_CONNECT_TIMEOUT);
}

static void hear_together(shoal_world *world, uint32_t node, const shoal_trace_record *record)
{
    switch (record->kind) {
    case SHOAL_TRACE_VOTE: hear_vote(world, record); break;
    case SHOAL_TRACE_ELECTION: hear_election(world, node, record); break;
    case SHOAL_TRACE_CONNECT: hear_connect(world, record); break;
    case SHOAL_TRACE_NODE_STARTED: world->marks.nodes[node].asked = false; break;
    case SHOAL_TRACE_READY:
        if (world->marks.nodes[node].torn) shoal_marks__reach(world, SHOAL_MARK_NODE_FILE_TORN);
        world->marks.nodes[node].torn = false;
        break;
    default: break;
    }
}

void shoal_marks__dying(shoal_world *world, uint32_t node)
{
    const shoal_vnode *vnode = &world->nodes[node];
    const shoal_disk_file *file = &vnode->disk.files[SHOAL_FILE_NODES_NEW];
    bool writing = file->head != NULL || (file->exists && file->synced < file->size);
    if (vnode->ready && writing) world->marks.nodes[node].torn = true;
    if (world->judge.promises[node].waiting > 0) shoal_marks__reach(world, SHOAL_MARK_VOTE_LOST);
}

/* ---- single records ---- */

static bool fits(uint32_t row, const shoal_trace_record *record)
{
    switch (rows[row].condition) {
    case A_IS:
        if (record->a != rows[row].number) return false;
        break;
    case A_NOT:
        if (record->a == rows[row].number) return false;
        break;
    case B_IS:
        if (record->b != rows[row].number) return false;
        break;
    case ANY: break;
    }
    return rows[row].text[0] == 0 ||
           shoal_text_find(record->text, shoal_text(rows[row].text)) != SHOAL_TEXT_NONE;
}

void shoal_marks__hear(shoal_world *world, const shoal_trace_entry *entry)
{
    const shoal_trace_record *record = &entry->record;
    shoal_marks *marks = &world->marks;
    if (entry->node >= world->node_count) return;
    SHOAL_ASSERT(record->kind < SHOAL_MARKS_KINDS);
    for (uint32_t i = marks->first[record->kind]; i > 0; i = marks->behind[i - 1]) {
        if (fits(i - 1, record)) marks->times[i - 1]++;
    }
    hear_together(world, entry->node, record);
}

void shoal_marks__get(const shoal_world *world, uint64_t out[SHOAL_MARK_COUNT])
{
    const shoal_client_totals *totals = &world->judge.totals;
    memcpy(out, world->marks.times, sizeof(world->marks.times));
    out[SHOAL_MARK_LOST_FAILOVER] = totals->lost[SHOAL_CAUSE_FAILOVER].count;
    out[SHOAL_MARK_LOST_PARTITION] = totals->lost[SHOAL_CAUSE_PARTITION].count;
    out[SHOAL_MARK_LOST_CRASH] = totals->lost[SHOAL_CAUSE_CRASH].count;
    out[SHOAL_MARK_STALE_PARTITION] = totals->reads_stale[SHOAL_CAUSE_PARTITION];
    out[SHOAL_MARK_STALE_REPLICA] = totals->reads_stale[SHOAL_CAUSE_REPLICA];
}
