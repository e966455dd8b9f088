/* SPDX-License-Identifier: MIT
 *
 * repl/invariants.c - what always holds of replication between two steps, whatever others send:
 * which states of the link follow each other and what belongs to each, what a replica in the list
 * has and has not, which snapshot is fed to whom. It only looks, and changes nothing.
 */
#include "base/assert.h"
#include "repl/internal.h"

/* ---- the link to a master ---- */

bool shoal_repl__link_may(repl_link_state from, repl_link_state to)
{
    enum { LOST = 1u << REPL_LINK_RETRY | 1u << REPL_LINK_NONE };
    static const uint16_t next[] = {
        [REPL_LINK_NONE] = 1u << REPL_LINK_RETRY,
        [REPL_LINK_RETRY] = 1u << REPL_LINK_CONNECTING | 1u << REPL_LINK_NONE,
        [REPL_LINK_CONNECTING] = 1u << REPL_LINK_PING | LOST,
        [REPL_LINK_PING] = 1u << REPL_LINK_AUTH | 1u << REPL_LINK_PORT | LOST,
        [REPL_LINK_AUTH] = 1u << REPL_LINK_PORT | LOST,
        [REPL_LINK_PORT] = 1u << REPL_LINK_IP | 1u << REPL_LINK_CAPA | LOST,
        [REPL_LINK_IP] = 1u << REPL_LINK_CAPA | LOST,
        [REPL_LINK_CAPA] = 1u << REPL_LINK_PSYNC | LOST,
        [REPL_LINK_PSYNC] = 1u << REPL_LINK_TRANSFER | 1u << REPL_LINK_ONLINE | LOST,
        [REPL_LINK_TRANSFER] = 1u << REPL_LINK_LOADING | LOST,
        [REPL_LINK_LOADING] = 1u << REPL_LINK_ONLINE | LOST,
        [REPL_LINK_ONLINE] = LOST,
    };
    SHOAL_ASSERT(from <= REPL_LINK_ONLINE);
    SHOAL_ASSERT(to <= REPL_LINK_ONLINE);
    return (next[from] & 1u << to) != 0;
}

/* What has come of a snapshot, from its announcement on. */
static void check_transfer(const repl_master *master)
{
    SHOAL_ASSERT(master->offset < SHOAL_LOG_OFFSET_END);
    SHOAL_ASSERT(master->announced || (master->received == 0 && !master->whole));
    if (master->state == REPL_LINK_TRANSFER) {
        SHOAL_ASSERT(master->marked || master->received <= master->size);
        /* Its last operation on the file is the sync. */
        SHOAL_ASSERT(!master->whole || master->writing > 0);
        return;
    }
    SHOAL_ASSERT(master->whole && master->received == master->size);
    SHOAL_ASSERT(master->writing == 0 && master->error == SHOAL_ERR_OK);
}

void shoal_repl__check_link(const shoal_repl *repl)
{
    const repl_master *master = &repl->master;
    repl_link_state state = master->state;
    SHOAL_ASSERT(state <= REPL_LINK_ONLINE);
    SHOAL_ASSERT(master->link == 0 || state >= REPL_LINK_CONNECTING);
    /* One that is lost in the meantime is missed when what came over it has been loaded. */
    SHOAL_ASSERT(master->link != 0 || state <= REPL_LINK_RETRY || state == REPL_LINK_LOADING);
    SHOAL_ASSERT(state >= REPL_LINK_CONNECTING || shoal_buffer_size(&master->input) == 0);
    SHOAL_ASSERT(!master->held || (master->link != 0 && state >= REPL_LINK_TRANSFER));
    SHOAL_ASSERT(master->waiting == 0 || state == REPL_LINK_ONLINE);
    SHOAL_ASSERT(master->heard_us <= repl->now.mono_us && master->down_us <= repl->now.mono_us);
    SHOAL_ASSERT(state == REPL_LINK_NONE || repl->wants_log);
    if (state == REPL_LINK_TRANSFER || state == REPL_LINK_LOADING) check_transfer(master);
    /* Data that are on their way out are of no history. */
    SHOAL_ASSERT(state != REPL_LINK_LOADING || !repl->synced);
    if (state != REPL_LINK_ONLINE) return;
    SHOAL_ASSERT(repl->synced);
    SHOAL_ASSERT(repl->fresh && master->down_us == 0);
    SHOAL_ASSERT(master->acked <= shoal_log_end(repl->log));
}

/* ---- replicas ---- */

/* What is sent to one. */
static void check_feed(const shoal_repl *repl, const shoal_replica *replica)
{
    const repl_sync *sync = &repl->sync;
    /* What stands behind a snapshot is posted when all else has been. */
    SHOAL_ASSERT(replica->parts + replica->reads_under_way <= REPL_PARTS_MAX + 1);
    SHOAL_ASSERT(replica->headed || (replica->parts == 0 && replica->read_at == 0));
    SHOAL_ASSERT(replica->headed || !replica->tailed);
    SHOAL_ASSERT(!replica->tailed || replica->reads_under_way == 0);
    SHOAL_ASSERT(replica->sync <= sync->number);
    if (replica->state != SHOAL_REPLICA_LOADING || replica->ordered) return;
    SHOAL_ASSERT(sync->stage == REPL_SYNC_RUNNING || sync->stage == REPL_SYNC_WHOLE);
    SHOAL_ASSERT(replica->sync == sync->number && !replica->tailed);
    SHOAL_ASSERT(replica->read_at <= sync->size);
}

static void check_replica(const shoal_repl *repl, const shoal_replica *replica)
{
    shoal_replica_state state = replica->state;
    bool fed = state == SHOAL_REPLICA_LOADING || state == SHOAL_REPLICA_ONLINE;
    SHOAL_ASSERT(state > SHOAL_REPLICA_NEW && state <= SHOAL_REPLICA_GONE);
    SHOAL_ASSERT(replica->owner == repl);
    SHOAL_ASSERT(replica->serial > 0 && replica->serial <= repl->serial);
    SHOAL_ASSERT((replica->errand != NULL) == (state == SHOAL_REPLICA_ASKING));
    SHOAL_ASSERT(replica->reads == fed);
    SHOAL_ASSERT(replica->ordered || !replica->order_out);
    SHOAL_ASSERT(replica->since_us <= repl->now.mono_us);
    SHOAL_ASSERT(replica->over_us <= repl->now.mono_us);
    /* A node whose data are being replaced has none to give. */
    SHOAL_ASSERT(state != SHOAL_REPLICA_ASKING || repl->master.state != REPL_LINK_LOADING);
    check_feed(repl, replica);
}

static void check_list(const shoal_repl *repl)
{
    const shoal_replica *before = NULL;
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        SHOAL_ASSERT(each->previous == before);
        SHOAL_ASSERT(before == NULL || before->serial < each->serial);
        check_replica(repl, each);
        before = each;
    }
}

/* ---- all ---- */

static void check_sync(const shoal_repl *repl)
{
    const repl_sync *sync = &repl->sync;
    bool begun = sync->stage == REPL_SYNC_RUNNING || sync->stage == REPL_SYNC_WHOLE;
    SHOAL_ASSERT(sync->stage <= REPL_SYNC_WHOLE);
    SHOAL_ASSERT(!begun || sync->number > 0);
    SHOAL_ASSERT(!begun || sync->offset <= shoal_log_end(repl->log));
}

/* Who is a master and who is not. */
static void check_roles(const shoal_repl *repl)
{
    bool replica = shoal_repl__is_replica(repl);
    SHOAL_ASSERT(!replica || repl->waits == NULL);
    SHOAL_ASSERT(repl->failover.stage != REPL_FAILOVER_SYNC || !replica);
    SHOAL_ASSERT(repl->failover.stage != REPL_FAILOVER_TURN || replica);
    SHOAL_ASSERT(!replica || !repl->restored);
    /* The second history ends where the present one began, or earlier. */
    SHOAL_ASSERT(repl->second_offset <= shoal_log_end(repl->log) + 1);
}

void shoal_repl__check(const shoal_repl *repl)
{
    SHOAL_ASSERT(!repl->wants_log || shoal_log_wanted(repl->log));
    SHOAL_ASSERT(repl->full_syncs + repl->partial_syncs <= repl->serial);
    check_roles(repl);
    shoal_repl__check_link(repl);
    check_sync(repl);
    check_list(repl);
}
