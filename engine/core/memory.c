/* SPDX-License-Identifier: MIT
 *
 * core/memory.c - the figures of core/memory.h, and the commands that show them: MEMORY STATS in
 * Redis's names, DOCTOR in words, MALLOC-STATS as a table of the slabs. PURGE gives back what
 * nobody needs, as far as this thread and the host can.
 */
#include "core/memory.h"

#include "base/assert.h"
#include "base/text.h"

/* Below this DOCTOR finds nothing worth a word. */
#define TINY_BYTES ((uint64_t)5 << 20)
/* What DOCTOR calls much: the quotients, and the bytes that they must stand for. */
#define PEAK_RATIO 1.5
#define FRAGMENTATION_RATIO 1.4
#define RSS_RATIO 1.1
#define MUCH_BYTES ((uint64_t)10 << 20)
/* What a session may take on average, before it is worth a word. */
#define SESSION_BYTES ((uint64_t)200 << 10)

uint64_t shoal_memory__used(const shoal_node *node, const shoal_store_stats *stats)
{
    SHOAL_ASSERT(stats->bytes >= stats->bytes_limbo);
    uint64_t used = stats->bytes + stats->bytes_queues + stats->bytes_charged;
    return used + shoal_log_memory(node->log);
}

/* What the log of effects is there for. */
static void look_at_log(const shoal_node *node, shoal_memory_figures *out)
{
    shoal_repl_facts facts;
    SHOAL_ASSERT(node->log != NULL && node->replication.repl != NULL);

    shoal_repl_facts_get(node->replication.repl, &facts);
    out->log = shoal_log_memory(node->log);
    out->backlog = facts.backlog_bytes;
    out->replicas = facts.waiting_bytes;
    if (node->appending.aof == NULL) return;
    shoal_aof_stats appended = shoal_aof_stats_get(node->appending.aof, node->now);
    if (appended.state != SHOAL_AOF_OFF) out->aof = appended.buffered;
}

shoal_memory_figures shoal_memory__look(const shoal_node *node)
{
    SHOAL_ASSERT(node->store != NULL);
    const shoal_vitals *vitals = &node->vitals;
    shoal_memory_figures out = {.startup = node->memory_startup, .rss = vitals->rss_bytes};

    shoal_store_stats_get(node->store, &out.store);
    look_at_log(node, &out);
    out.used = shoal_memory__used(node, &out.store);
    out.peak = node->rates.memory_peak > out.used ? node->rates.memory_peak : out.used;
    out.overhead = out.startup + out.store.bytes_tables + out.store.bytes_limbo;
    out.overhead += out.store.bytes_queues + out.store.bytes_charged + out.log;
    if (out.overhead > out.used) out.overhead = out.used;
    out.dataset = out.used - out.overhead;
    out.clients = shoal_session_bytes(&node->env);
    uint64_t apart = out.store.bytes_arrays;
    if (vitals->allocator_allocated > apart + out.store.bytes_slabs_free) {
        out.allocated = vitals->allocator_allocated - apart - out.store.bytes_slabs_free;
        out.active = vitals->allocator_active - apart;
        bool told = vitals->allocator_resident > apart + out.active;
        out.resident = told ? vitals->allocator_resident - apart : out.active;
    }
    SHOAL_ASSERT(out.peak >= out.used);
    return out;
}

uint64_t shoal_memory__tables(const shoal_node *node, const shoal_memory_figures *figures,
                              uint32_t db)
{
    SHOAL_ASSERT(node->store != NULL);
    uint64_t keys = shoal_store_count(node->store, db);

    if (figures->store.keys == 0) return 0;
    double share = (double)keys / (double)figures->store.keys;
    return (uint64_t)((double)figures->store.bytes_tables * share);
}

/* ---- MEMORY STATS ---- */

static void number(shoal_reply *reply, const char *name, uint64_t value)
{
    SHOAL_ASSERT(name[0] != '\0');
    shoal_reply_text(reply, name);
    shoal_reply_integer(reply, (int64_t)value);
}

static void real(shoal_reply *reply, const char *name, double value)
{
    SHOAL_ASSERT(name[0] != '\0');
    shoal_reply_text(reply, name);
    shoal_reply_double(reply, value);
}

/* How much more one is than the other: as a quotient and in bytes. */
static void excess(shoal_reply *reply, const char *ratio_name, const char *bytes_name,
                   const uint64_t pair[2])
{
    SHOAL_ASSERT(ratio_name != bytes_name);
    real(reply, ratio_name, shoal_memory__ratio(pair[0], pair[1]));
    shoal_reply_text(reply, bytes_name);
    shoal_reply_integer(reply, (int64_t)(pair[0] - pair[1]));
}

/* What a time to live adds to an item. */
#define TTL_BYTES 6u

static void database(shoal_node *node, const shoal_memory_figures *figures, uint32_t db,
                     shoal_reply *reply)
{
    char name[3 + SHOAL_INT_TEXT_SIZE];
    SHOAL_ASSERT(node->store != NULL);
    size_t size = shoal_text_from_i64(name + 3, db) + 3;

    memcpy(name, "db.", 3);
    shoal_reply_bulk(reply, (shoal_slice){name, size});
    shoal_reply_map(reply, 3);
    number(reply, "overhead.hashtable.main", shoal_memory__tables(node, figures, db));
    number(reply, "overhead.hashtable.expires",
           shoal_store_count_volatile(node->store, db) * TTL_BYTES);
    number(reply, "overhead.hashtable.slot-to-keys", 0);
}

static uint32_t used_databases(const shoal_node *node)
{
    const shoal_settings *settings = shoal_load_relaxed(&node->env.settings);
    uint32_t count = 0;

    SHOAL_ASSERT(settings != NULL);
    for (uint32_t db = 0; db < settings->databases; db++)
        count += shoal_store_count(node->store, db) > 0;
    return count;
}

/* The part behind the databases. */
static void totals(const shoal_memory_figures *figures, shoal_reply *reply)
{
    SHOAL_ASSERT(figures->used >= figures->overhead);
    uint64_t grown = figures->used > figures->startup ? figures->used - figures->startup : 0;
    uint64_t keys = figures->store.keys;

    number(reply, "overhead.total", figures->overhead);
    number(reply, "keys.count", keys);
    number(reply, "keys.bytes-per-key", keys > 0 ? grown / keys : 0);
    number(reply, "dataset.bytes", figures->dataset);
    real(reply, "dataset.percentage", 100 * shoal_memory__ratio(figures->dataset, grown));
    real(reply, "peak.percentage", 100 * shoal_memory__ratio(figures->used, figures->peak));
    number(reply, "allocator.allocated", figures->allocated);
    number(reply, "allocator.active", figures->active);
    number(reply, "allocator.resident", figures->resident);
    excess(reply, "allocator-fragmentation.ratio", "allocator-fragmentation.bytes",
           (uint64_t[2]){figures->active, figures->allocated});
    excess(reply, "allocator-rss.ratio", "allocator-rss.bytes",
           (uint64_t[2]){figures->resident, figures->active});
    excess(reply, "rss-overhead.ratio", "rss-overhead.bytes",
           (uint64_t[2]){figures->rss, figures->resident});
    excess(reply, "fragmentation", "fragmentation.bytes",
           (uint64_t[2]){figures->rss, figures->used});
}

void shoal_node__memory_stats(shoal_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    shoal_memory_figures figures = shoal_memory__look(node);
    const shoal_settings *settings = shoal_load_relaxed(&node->env.settings);

    shoal_reply_map(reply, 27 + used_databases(node));
    number(reply, "peak.allocated", figures.peak);
    number(reply, "total.allocated", figures.used);
    number(reply, "startup.allocated", figures.startup);
    number(reply, "replication.backlog", figures.backlog);
    number(reply, "clients.slaves", figures.replicas);
    number(reply, "clients.normal", figures.clients);
    number(reply, "cluster.links", 0);
    number(reply, "aof.buffer", figures.aof);
    number(reply, "lua.caches", 0);
    number(reply, "functions.caches", 0);
    for (uint32_t db = 0; db < settings->databases; db++) {
        if (shoal_store_count(node->store, db) > 0) database(node, &figures, db, reply);
    }
    totals(&figures, reply);
}

/* ---- MEMORY DOCTOR ---- */

static void complain(shoal_buffer *out, const char *what, double much)
{
    SHOAL_ASSERT(what[0] != '\0');
    shoal_text_appendf(out, " * %s: %.2f\n", what, much);
}

static void examine(const shoal_node *node, const shoal_memory_figures *figures, shoal_buffer *out)
{
    SHOAL_ASSERT(figures->used > 0);
    double peak = shoal_memory__ratio(figures->peak, figures->used);
    double inner = shoal_memory__ratio(figures->active, figures->allocated);
    double outer = shoal_memory__ratio(figures->resident, figures->active);
    double process = shoal_memory__ratio(figures->rss, figures->resident);
    uint32_t clients = shoal_load_relaxed(&node->env.clients);

    if (peak > PEAK_RATIO)
        complain(out,
                 "Peak: more was used once, so pages may be held that are needed no more "
                 "(MEMORY PURGE gives them back). Peak to present",
                 peak);
    if (inner > FRAGMENTATION_RATIO && figures->active - figures->allocated > MUCH_BYTES)
        complain(out,
                 "Fragmentation: free places lie between used ones ('activedefrag yes' moves "
                 "things together). Active to allocated",
                 inner);
    if (outer > RSS_RATIO && figures->resident - figures->active > MUCH_BYTES)
        complain(out,
                 "Allocator: it holds pages without anything in use (MEMORY PURGE). Resident to "
                 "active",
                 outer);
    if (process > RSS_RATIO && figures->rss - figures->resident > MUCH_BYTES)
        complain(out,
                 "Process: memory that is not the allocator's, as stacks and libraries. RSS to "
                 "resident",
                 process);
    if (clients > 0 && figures->clients / clients > SESSION_BYTES)
        complain(out, "Clients: large buffers (CLIENT LIST shows whose). KiB each",
                 (double)(figures->clients / clients) / 1024);
}

void shoal_node__memory_doctor(shoal_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    shoal_memory_figures figures = shoal_memory__look(node);
    shoal_buffer text = shoal_buffer_make(&node->allocator);

    if (figures.used < TINY_BYTES) {
        shoal_text_appendf(&text, "There is hardly any data here: nothing can be said yet.");
    } else {
        examine(node, &figures, &text);
        if (shoal_buffer_size(&text) == 0)
            shoal_text_appendf(&text, "Nothing is wrong with the memory of this node.");
    }
    if (text.failed)
        shoal_reply_error(reply, "ERR no memory for the reply");
    else
        shoal_reply_verbatim(reply, "txt", shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
}

/* ---- MEMORY PURGE, MEMORY MALLOC-STATS ---- */

void shoal_node__memory_purge(shoal_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    const shoal_vitals *vitals = &node->vitals;

    shoal_worker_rouse(&node->env);
    if (vitals->purge != NULL) vitals->purge(vitals->context);
    shoal_reply_ok(reply);
}

void shoal_node__memory_malloc_stats(shoal_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    const shoal_vitals *vitals = &node->vitals;
    shoal_buffer text = shoal_buffer_make(&node->allocator);
    shoal_memory_figures figures = shoal_memory__look(node);

    shoal_text_appendf(&text, "Slabs: %llu bytes from the allocator, %llu of them free\n",
                       (unsigned long long)figures.store.bytes_slabs,
                       (unsigned long long)figures.store.bytes_slabs_free);
    shoal_text_appendf(&text, "%8s %12s %12s %14s\n", "size", "places", "taken", "free bytes");
    for (uint32_t i = 0; i < SHOAL_SLAB_CLASSES; i++) {
        shoal_slab_class class = shoal_store_slab_class(node->store, i);
        if (class.places == 0) continue;
        uint64_t free_bytes = (class.places - class.taken) * class.size;
        shoal_text_appendf(&text, "%8u %12llu %12llu %14llu\n", (unsigned)class.size,
                           (unsigned long long)class.places, (unsigned long long)class.taken,
                           (unsigned long long)free_bytes);
    }
    if (vitals->describe != NULL) vitals->describe(vitals->context, &text);
    if (text.failed)
        shoal_reply_error(reply, "ERR no memory for the reply");
    else
        shoal_reply_verbatim(reply, "txt", shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
}
