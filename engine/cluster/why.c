/* SPDX-License-Identifier: MIT
 *
 * The last refusals, kept for people: CLUSTER WHY. The trace has all of them; this ring has the
 * newest, with equal ones that follow each other counted as one.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

const char *shoal_bus__why_words(uint32_t reason)
{
    SHOAL_ASSERT(reason != 0);
    static const struct {
        uint32_t reason;
        const char *words;
    } table[] = {
#define SHOAL_WHY_NOT(name, value, text) {(value), text},
#include "cluster/reasons.def"
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].reason == reason) return table[i].words;
    }
    SHOAL_UNREACHABLE();
}

static bus_why *newest(shoal_cluster *c)
{
    SHOAL_ASSERT(c->failover.why_count > 0);
    return &c->failover.why[(c->failover.why_count - 1) % BUS_WHY_MAX];
}

const bus_why *shoal_bus__why_newest(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->failover.why_count > 0);
    SHOAL_ASSERT(c->failover.why_count < 2 * BUS_WHY_MAX);
    return &c->failover.why[(c->failover.why_count - 1) % BUS_WHY_MAX];
}

bool shoal_bus__why_keep(shoal_cluster *c, uint32_t reason, shoal_slice detail)
{
    SHOAL_ASSERT(reason != 0);
    SHOAL_ASSERT(detail.size == 0 || detail.data);
    bus_why entry = {.wall_ms = c->now.wall_us / 1000,
                     .reason = reason,
                     .times = 1,
                     .epoch = c->current_epoch,
                     .replica = c->myself && shoal_bus__is(c->myself, SHOAL_NODE_REPLICA)};
    shoal_bus__copy_text(entry.detail, sizeof(entry.detail), detail);
    bus_failover *f = &c->failover;
    if (f->why_count > 0) {
        bus_why *last = newest(c);
        bool same = last->reason == reason && last->epoch == entry.epoch &&
                    last->replica == entry.replica &&
                    memcmp(last->detail, entry.detail, sizeof(entry.detail)) == 0;
        if (same) {
            last->wall_ms = entry.wall_ms;
            if (last->times < UINT32_MAX) last->times++;
            return false;
        }
    }
    f->why_count++;
    if (f->why_count == 2 * BUS_WHY_MAX) f->why_count -= BUS_WHY_MAX;
    *newest(c) = entry;
    return true;
}

static bool is_told(uint32_t reason)
{
    SHOAL_ASSERT(SHOAL_WHY_FULL_NO_HISTORY > 0);
    static const uint32_t told[] = {
#define SHOAL_WHY_TOLD(name, value, text) (value),
#include "cluster/reasons.def"
    };
    size_t i = 0;
    while (i < sizeof(told) / sizeof(told[0]) && told[i] != reason) i++;
    return i < sizeof(told) / sizeof(told[0]);
}

bool shoal_cluster_tell(shoal_cluster *c, uint32_t reason, shoal_slice detail, shoal_time now)
{
    SHOAL_ASSERT(detail.size == 0 || detail.data);
    SHOAL_ASSERT(now.mono_us >= c->now.mono_us);
    c->now = now;
    if (!is_told(reason)) return false;
    (void)shoal_bus__why_keep(c, reason, detail);
    shoal_bus__note(c, SHOAL_TRACE_WHY_NOT, (uint64_t[3]){reason}, detail);
    return true;
}

const char *shoal_cluster_reason_words(shoal_cluster_reason reason)
{
    SHOAL_ASSERT(is_told((uint32_t)reason));
    return shoal_bus__why_words((uint32_t)reason);
}

void shoal_bus__why_append(const shoal_cluster *c, uint32_t count, shoal_buffer *out)
{
    SHOAL_ASSERT(out);
    SHOAL_ASSERT(c->failover.why_count < 2 * BUS_WHY_MAX);
    uint32_t written = c->failover.why_count;
    uint32_t kept = written < BUS_WHY_MAX ? written : BUS_WHY_MAX;
    if (count == 0 || count > kept) count = kept;
    for (uint32_t i = written - count; i < written; i++) {
        const bus_why *entry = &c->failover.why[i % BUS_WHY_MAX];
        shoal_text_appendf(out, "%lld %u %s %llu %s: %s\n", (long long)entry->wall_ms, entry->times,
                           entry->replica ? "replica" : "master", (unsigned long long)entry->epoch,
                           shoal_bus__why_words(entry->reason), entry->detail);
    }
}
