/* SPDX-License-Identifier: MIT
 *
 * Keeping nodes.conf. The whole text is written beside the old file, made durable, and put in its
 * place by a rename, so that a crash at any step leaves one whole file. One save is in flight at a
 * time; what changes meanwhile goes with the next one, so that a burst of changes costs two saves.
 *
 * What others would tell again after a restart (who there is, who has which slots, who failed) may
 * wait in a large cluster: a node that learns of a thousand others would write a thousand lines a
 * thousand times. What this node has promised, and what an operator waits for, never waits.
 *
 *   IDLE --start: remove, append, sync--> WRITING --all went well: rename--> RENAMING --> IDLE
 *                                            \--- one failed: try again later ----------> IDLE
 *
 * The rename is asked for only when the three before it have succeeded: renaming a torn file would
 * lose the good one.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "base/text.h"

/* Room that is made for a line at once: a name, two addresses' ports, a master's name, two moments
 * and some ranges of slots. A longer one grows the text. */
#define LINE_SIZE 192u
/* And as much again as the longest asks for, so that the last one does not grow it. */
#define LAST_SIZE 1024u

void shoal_cluster_save_text(const shoal_cluster *c, shoal_buffer *out)
{
    SHOAL_ASSERT(out);
    SHOAL_ASSERT(c->node_count <= c->node_capacity);
    (void)shoal_buffer_reserve(out, (size_t)c->node_count * LINE_SIZE + LAST_SIZE);
    for (uint32_t i = 0; i < c->node_count; i++) {
        shoal_bus__expect_live(c, i + BUS_EXPECT_AHEAD);
        if (shoal_bus__is(c->live[i], SHOAL_NODE_HANDSHAKE)) continue;
        shoal_bus__node_line(c, c->live[i], out);
        shoal_buffer_append(out, shoal_text("\n"));
    }
    shoal_text_appendf(out, "vars currentEpoch %llu lastVoteEpoch %llu\n",
                       (unsigned long long)c->current_epoch,
                       (unsigned long long)(SHOAL_MUTANT(VOTE_FORGOTTEN) ? 0 : c->last_vote_epoch));
}

bool shoal_cluster_kept(const shoal_cluster *c, uint64_t change, shoal_err *error)
{
    const bus_save *save = &c->save;
    SHOAL_ASSERT(change > 0 && change <= save->generation);
    SHOAL_ASSERT(error);
    /* A text has every change before it too. */
    *error = SHOAL_ERR_OK;
    if (save->durable >= change) return true;
    if (save->failed < change) return false;
    *error = save->failure;
    SHOAL_ASSERT(*error);
    return true;
}

static void fail(shoal_cluster *c)
{
    SHOAL_ASSERT(c->save.error);
    SHOAL_ASSERT(c->save.waiting == 0);
    bus_save *save = &c->save;
    save->phase = BUS_SAVE_IDLE;
    save->failed = save->in_flight;
    save->failure = save->error;
    save->retry_us = c->now.mono_us + BUS_SAVE_RETRY_US;
    shoal_bus__why_not(c, BUS_WHY_SAVE_FAILED, "%s", shoal_err_text(save->error));
    shoal_bus__log(c, BUS_WARNING, "The cluster config file could not be saved: %s",
                   shoal_err_text(save->error));
}

/* Nothing urgent is out of date, and the last save was not long ago. The cron looks again. */
static bool may_wait(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->save.phase == BUS_SAVE_IDLE);
    SHOAL_ASSERT(c->save.urgent <= c->save.generation);
    if (c->save.urgent > c->save.durable || c->node_count <= BUS_SAVE_AT_ONCE) return false;
    return c->now.mono_us - c->save.started_us < (int64_t)c->node_count * BUS_SAVE_PAUSE_US;
}

void shoal_bus__save_start(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(c->save.durable <= c->save.generation);
    bus_save *save = &c->save;
    if (save->phase != BUS_SAVE_IDLE || save->generation == save->durable) return;
    if (save->retry_us > c->now.mono_us || may_wait(c)) return;
    save->started_us = c->now.mono_us;
    save->in_flight = save->generation;
    shoal_buffer text = shoal_buffer_make(&c->allocator);
    shoal_cluster_save_text(c, &text);
    if (text.failed) {
        save->error = SHOAL_ERR_NO_MEMORY;
        fail(c);
    } else {
        const shoal_host *host = c->host;
        save->phase = BUS_SAVE_WRITING;
        save->waiting = SHOAL_MUTANT(FILE_UNSYNCED) ? 2 : 3;
        save->error = SHOAL_ERR_OK;
        save->tag++;
        save->vote = c->last_vote_epoch;
        save->size = shoal_buffer_size(&text);
        host->file_remove(host->context, SHOAL_FILE_NODES_NEW, save->tag);
        host->file_append(host->context, SHOAL_FILE_NODES_NEW, shoal_buffer_slice(&text),
                          save->tag);
        if (!SHOAL_MUTANT(FILE_UNSYNCED))
            host->file_sync(host->context, SHOAL_FILE_NODES_NEW, save->tag);
    }
    shoal_buffer_free(&text);
}

static void written(shoal_cluster *c)
{
    SHOAL_ASSERT(c->save.phase == BUS_SAVE_WRITING);
    SHOAL_ASSERT(c->save.waiting == 0);
    bus_save *save = &c->save;
    if (save->error) {
        fail(c);
        return;
    }
    save->phase = BUS_SAVE_RENAMING;
    save->waiting = 1;
    c->host->file_rename(c->host->context, SHOAL_FILE_NODES_NEW, SHOAL_FILE_NODES, save->tag);
}

static void renamed(shoal_cluster *c)
{
    SHOAL_ASSERT(c->save.phase == BUS_SAVE_RENAMING);
    SHOAL_ASSERT(c->save.waiting == 0);
    bus_save *save = &c->save;
    if (save->error) {
        fail(c);
        return;
    }
    SHOAL_ASSERT(save->in_flight > save->durable);
    save->phase = BUS_SAVE_IDLE;
    save->durable = save->in_flight;
    save->retry_us = 0;
    shoal_bus__note(c, SHOAL_TRACE_SAVED, (uint64_t[3]){SHOAL_FILE_NODES, save->size, save->vote},
                    (shoal_slice){0});
    shoal_bus__held_release(c);
}

void shoal_bus__save_event(shoal_cluster *c, const shoal_event *event)
{
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_FILE_DONE);
    SHOAL_ASSERT(c->myself);
    bus_save *save = &c->save;
    if (event->file != SHOAL_FILE_NODES_NEW || event->tag != save->tag) return;
    SHOAL_ASSERT(save->phase != BUS_SAVE_IDLE);
    SHOAL_ASSERT(save->waiting > 0);
    if (event->error && !save->error) save->error = event->error;
    if (--save->waiting > 0) return;
    if (save->phase == BUS_SAVE_WRITING) {
        written(c);
    } else {
        renamed(c);
    }
}
