/* SPDX-License-Identifier: MIT
 *
 * What a recording says of the other direction: operations and results, as numbers and hashes. The
 * recorder makes them from what the cluster asks for, the playback from what it asks for now; both
 * by these functions.
 */
#include "tape/code.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/prng.h"
#include "base/text.h"

tape_op shoal_tape__op_bytes(tape_op_kind kind, uint64_t a, uint64_t b, shoal_slice bytes)
{
    SHOAL_ASSERT(kind >= TAPE_OP_NUDGE && kind < TAPE_OP_COUNT);
    uint32_t hash = bytes.size > 0 ? (uint32_t)shoal_hash(bytes, kind) : 0;
    return (tape_op){.kind = (uint8_t)kind, .a = a, .b = b, .hash = hash};
}

tape_op shoal_tape__op_address(const shoal_address *peer)
{
    SHOAL_ASSERT(peer->ip[sizeof peer->ip - 1] == '\0');
    return shoal_tape__op_bytes(TAPE_OP_LINK_OPEN, peer->port, 0, shoal_text(peer->ip));
}

tape_op shoal_tape__op_trace(const shoal_trace_record *record)
{
    uint64_t seed = shoal_prng_mix(record->a);
    SHOAL_ASSERT(record->text.data != NULL || record->text.size == 0);
    seed = shoal_prng_mix(seed ^ record->b) + 1;
    seed = shoal_prng_mix(seed ^ record->c);
    return (tape_op){.kind = TAPE_OP_TRACE,
                     .a = record->kind,
                     .b = record->text.size,
                     .hash = (uint32_t)shoal_hash(record->text, seed)};
}

void shoal_tape__op_text(const tape_op *op, shoal_buffer *out)
{
    static const char *const names[TAPE_OP_COUNT] = {
        "nothing more",  "nothing more", "a nudge",     "link_open",
        "link_send",     "link_queued",  "link_close",  "file_name",
        "file_append",   "file_sync",    "file_read",   "file_read_part",
        "file_truncate", "file_rename",  "file_remove", "a trace record"};
    unsigned long long a = (unsigned long long)op->a, b = (unsigned long long)op->b;
    SHOAL_ASSERT(op->kind < TAPE_OP_COUNT);
    shoal_text_appendf(out, "%s", names[op->kind]);
    if (op->kind < TAPE_OP_NUDGE) return;
    const char *kind = op->kind == TAPE_OP_TRACE ? shoal_trace_name((uint32_t)op->a) : NULL;
    if (op->kind == TAPE_OP_LINK_OPEN)
        shoal_text_appendf(out, " to port %llu", a);
    else if (op->kind == TAPE_OP_LINK_SEND)
        shoal_text_appendf(out, " of %llu bytes on link %llu", b, a);
    else if (op->kind == TAPE_OP_LINK_CLOSE || op->kind == TAPE_OP_LINK_QUEUED)
        shoal_text_appendf(out, " of link %llu", a);
    else if (op->kind == TAPE_OP_TRACE)
        shoal_text_appendf(out, " %s with %llu bytes of text", kind != NULL ? kind : "?", b);
    else
        shoal_text_appendf(out, " of file %llu, tag %llu", a, b);
    if (op->hash != 0) shoal_text_appendf(out, ", hash %08x", op->hash);
}

uint64_t shoal_tape__extra(uint64_t number, shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    return shoal_prng_mix(shoal_hash(bytes, number)) + number;
}

uint32_t shoal_tape__result(const shoal_cluster *cluster, uint64_t extra)
{
    shoal_cluster_role role;
    if (cluster == NULL) return (uint32_t)extra;
    uint64_t words[] = {(uint64_t)shoal_cluster_deadline(cluster),
                        shoal_cluster_version(cluster),
                        shoal_cluster_saving(cluster),
                        shoal_cluster_up(cluster),
                        (uint64_t)shoal_cluster_pause(cluster),
                        shoal_cluster_handover_state(cluster),
                        shoal_cluster_role_get(cluster, &role)};
    uint64_t digest = extra;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        digest = shoal_prng_mix(digest ^ words[i]) + i;
    SHOAL_DEBUG_ASSERT(role.master.ip[sizeof role.master.ip - 1] == '\0');
    return (uint32_t)digest;
}

uint32_t shoal_tape__check(shoal_slice body, uint32_t number)
{
    SHOAL_ASSERT(body.size > 0);
    return (uint32_t)shoal_hash(body, number);
}
