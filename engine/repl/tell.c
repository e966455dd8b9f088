/* SPDX-License-Identifier: MIT
 *
 * repl/tell.c - what is told of replication: ROLE, the lines of INFO, and REPLICAOF, which says
 * itself what it did.
 */
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "command/handlers.h"
#include "repl/internal.h"

/* ---- ROLE ---- */

static const char *link_word(const shoal_repl *repl)
{
    SHOAL_ASSERT(repl->master.state <= REPL_LINK_ONLINE);
    switch (repl->master.state) {
    case REPL_LINK_NONE: return "none";
    case REPL_LINK_RETRY: return "connect";
    case REPL_LINK_CONNECTING: return "connecting";
    case REPL_LINK_TRANSFER:
    case REPL_LINK_LOADING: return "sync";
    case REPL_LINK_ONLINE: return "connected";
    default: break;
    }
    SHOAL_ASSERT(repl->master.state >= REPL_LINK_PING && repl->master.state <= REPL_LINK_PSYNC);
    return "handshake";
}

static void role_of_master(const shoal_repl *repl, shoal_reply *reply)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    uint32_t count = shoal_repl__count(repl, 0), told = 0;
    SHOAL_ASSERT(!shoal_repl__is_replica(repl));
    shoal_reply_array(reply, 3);
    shoal_reply_text(reply, "master");
    shoal_reply_integer(reply, (int64_t)shoal_log_end(repl->log));
    shoal_reply_array(reply, count);
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        if (each->state != SHOAL_REPLICA_ONLINE) continue;
        told++;
        shoal_reply_array(reply, 3);
        shoal_reply_text(reply, each->address.ip);
        shoal_reply_bulk(reply,
                         (shoal_slice){digits, shoal_text_from_u64(digits, each->listening_port)});
        uint64_t offset = shoal_load_relaxed(&each->acknowledged);
        shoal_reply_bulk(reply, (shoal_slice){digits, shoal_text_from_u64(digits, offset)});
    }
    SHOAL_ASSERT(told == count);
}

void shoal_repl_role(const shoal_repl *repl, shoal_reply *reply)
{
    SHOAL_ASSERT(reply->out != NULL);
    if (!shoal_repl__is_replica(repl)) {
        role_of_master(repl, reply);
        return;
    }
    bool online = repl->master.state == REPL_LINK_ONLINE;
    shoal_reply_array(reply, 5);
    shoal_reply_text(reply, "slave");
    shoal_reply_text(reply, repl->master.address.ip);
    shoal_reply_integer(reply, repl->master.address.port);
    shoal_reply_text(reply, link_word(repl));
    shoal_reply_integer(reply, online ? (int64_t)shoal_log_end(repl->log) : -1);
}

/* ---- INFO ---- */

static void tell_master_link(const shoal_repl *repl, shoal_buffer *out)
{
    const repl_master *master = &repl->master;
    bool online = master->state == REPL_LINK_ONLINE;
    bool syncing = master->state == REPL_LINK_TRANSFER || master->state == REPL_LINK_LOADING;
    int64_t now = repl->now.mono_us;
    SHOAL_ASSERT(now >= master->heard_us && now >= master->down_us);
    SHOAL_ASSERT(shoal_repl__is_replica(repl));
    shoal_text_appendf(out, "master_host:%s\r\nmaster_port:%u\r\n", master->address.ip,
                       (unsigned)master->address.port);
    shoal_text_appendf(out, "master_link_status:%s\r\n", online ? "up" : "down");
    shoal_text_appendf(out, "master_last_io_seconds_ago:%lld\r\n",
                       online ? (long long)((now - master->heard_us) / 1000000) : -1ll);
    shoal_text_appendf(out, "master_sync_in_progress:%d\r\n", syncing);
    unsigned long long offset = (unsigned long long)shoal_log_end(repl->log);
    shoal_text_appendf(out, "slave_read_repl_offset:%llu\r\nslave_repl_offset:%llu\r\n", offset,
                       offset);
    if (syncing) {
        unsigned long long size = (unsigned long long)master->size;
        unsigned long long received = (unsigned long long)master->received;
        shoal_text_appendf(out, "master_sync_total_bytes:%llu\r\nmaster_sync_read_bytes:%llu\r\n",
                           size, received);
        shoal_text_appendf(out, "master_sync_left_bytes:%llu\r\n",
                           size > received ? size - received : 0ull);
        shoal_text_appendf(out, "master_sync_last_io_seconds_ago:%lld\r\n",
                           (long long)((now - master->heard_us) / 1000000));
    }
    if (!online) {
        shoal_text_appendf(out, "master_link_down_since_seconds:%lld\r\n",
                           master->down_us != 0 ? (long long)((now - master->down_us) / 1000000)
                                                : -1ll);
    }
}

static const char *state_word(const shoal_repl *repl, const shoal_replica *replica)
{
    SHOAL_ASSERT(replica->owner != NULL);
    SHOAL_ASSERT(replica->state <= SHOAL_REPLICA_GONE);
    switch (replica->state) {
    case SHOAL_REPLICA_ASKING: return "wait_bgsave";
    case SHOAL_REPLICA_LOADING:
        return repl->sync.stage == REPL_SYNC_RUNNING ? "wait_bgsave" : "send_bulk";
    case SHOAL_REPLICA_ONLINE: return "online";
    case SHOAL_REPLICA_NEW:
    case SHOAL_REPLICA_GONE: break;
    }
    return NULL;
}

static void tell_replicas(const shoal_repl *repl, shoal_buffer *out)
{
    uint32_t count = 0;
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next)
        count += state_word(repl, each) != NULL;
    shoal_text_appendf(out, "connected_slaves:%u\r\n", (unsigned)count);
    if (repl->settings.min_replicas > 0 && !shoal_repl__is_replica(repl))
        shoal_text_appendf(out, "min_slaves_good_slaves:%u\r\n",
                           (unsigned)shoal_repl__count(repl, repl->settings.min_lag_us));
    uint32_t number = 0;
    SHOAL_ASSERT(repl->now.mono_us >= 0);
    for (const shoal_replica *each = repl->replicas; each != NULL; each = each->next) {
        if (state_word(repl, each) == NULL) continue;
        int64_t silent_us = repl->now.mono_us - shoal_load_relaxed(&each->heard_us);
        bool online = each->state == SHOAL_REPLICA_ONLINE;
        shoal_text_appendf(out, "slave%u:ip=%s,port=%u,state=%s,offset=%llu,lag=%lld\r\n",
                           (unsigned)number++, each->address.ip, (unsigned)each->listening_port,
                           state_word(repl, each),
                           (unsigned long long)shoal_load_relaxed(&each->acknowledged),
                           online && silent_us > 0 ? (long long)(silent_us / 1000000) : 0ll);
    }
    SHOAL_ASSERT(number == count);
}

void shoal_repl_info(const shoal_repl *repl, shoal_buffer *out)
{
    bool replica = shoal_repl__is_replica(repl);
    shoal_text_appendf(out, "role:%s\r\n", replica ? "slave" : "master");
    if (replica) {
        tell_master_link(repl, out);
        shoal_text_appendf(out,
                           "slave_priority:%lld\r\nslave_read_only:%d\r\nreplica_announced:1\r\n",
                           (long long)repl->settings.priority, repl->settings.read_only);
    }
    tell_replicas(repl, out);
    SHOAL_ASSERT(repl->id[SHOAL_REPL_ID_LEN] == '\0' && repl->id2[SHOAL_REPL_ID_LEN] == '\0');
    shoal_text_appendf(out, "master_failover_state:%s\r\nmaster_replid:%s\r\n",
                       shoal_repl__failover_word(repl), repl->id);
    shoal_text_appendf(out, "master_replid2:%s\r\n", repl->id2);
    /* In this order: writers go on meanwhile. */
    uint64_t first = shoal_repl__backlog_first(repl), end = shoal_log_end(repl->log);
    SHOAL_ASSERT(first <= end);
    shoal_text_appendf(out, "master_repl_offset:%llu\r\n", (unsigned long long)end);
    shoal_text_appendf(out, "second_repl_offset:%lld\r\n",
                       repl->second_offset != 0 ? (long long)repl->second_offset : -1ll);
    shoal_text_appendf(out, "repl_backlog_active:%d\r\nrepl_backlog_size:%llu\r\n", repl->wants_log,
                       (unsigned long long)repl->settings.backlog_size);
    shoal_text_appendf(out, "repl_backlog_first_byte_offset:%llu\r\nrepl_backlog_histlen:%llu\r\n",
                       repl->wants_log ? (unsigned long long)first + 1 : 0ull,
                       repl->wants_log ? (unsigned long long)(end - first) : 0ull);
}

/* ---- REPLICAOF ---- */

/* A numeric address. */
static bool read_address(const shoal_errand *errand, shoal_address *out)
{
    shoal_slice host = errand->argv[1];
    int64_t port;
    *out = (shoal_address){0};
    SHOAL_ASSERT(errand->argc == 3);
    if (shoal_text_is(host, "localhost")) host = shoal_text("127.0.0.1");
    if (!shoal_text_to_i64(errand->argv[2], &port) || port < 0 || port > 65535) return false;
    if (host.size == 0 || host.size >= sizeof out->ip) return false;
    memcpy(out->ip, host.data, host.size);
    out->port = (uint16_t)port;
    SHOAL_ASSERT(out->ip[sizeof out->ip - 1] == '\0');
    return true;
}

void shoal_repl_replicaof(shoal_repl *repl, shoal_errand *errand)
{
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    shoal_address address;
    SHOAL_ASSERT(errand->argc == 3);
    if (repl->failover.stage != REPL_FAILOVER_NONE) {
        shoal_reply_error(&reply, "ERR REPLICAOF not allowed while failing over.");
    } else if (shoal_text_is(errand->argv[1], "no") && shoal_text_is(errand->argv[2], "one")) {
        bool was_replica = shoal_repl__is_replica(repl);
        shoal_repl_follow(repl, NULL);
        if (was_replica) shoal_repl__log(repl, REPL_NOTICE, "MASTER MODE enabled (user request)");
        shoal_reply_ok(&reply);
    } else if (!read_address(errand, &address)) {
        shoal_reply_error(&reply, "ERR Invalid master port");
    } else if (shoal_repl__is_replica(repl) && address.port == repl->master.address.port &&
               shoal_text_equal(shoal_text(address.ip), shoal_text(repl->master.address.ip))) {
        shoal_reply_status(&reply, "OK Already connected to specified master");
    } else {
        shoal_repl_follow(repl, &address);
        shoal_repl__log(repl, REPL_NOTICE, "REPLICAOF %s:%u enabled (user request)", address.ip,
                        (unsigned)address.port);
        shoal_reply_ok(&reply);
    }
    shoal_errand_finish(errand);
}
