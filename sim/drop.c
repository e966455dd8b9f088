/* SPDX-License-Identifier: MIT
 *
 * Bus frames that a schedule takes off the line, by their kind: TCP itself never loses one, but a
 * process may die before it has sent, and a frame that is missing alone tells what it was good for.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "sim/internal.h"

/* A frame begins with its signature and size; its type stands at 12. */
#define FRAME_LEAST 16u

void shoal_net__drop(shoal_world *world, const shoal_drop *take)
{
    shoal_net *net = &world->net;
    net->drops =
        shoal_sim__grow(net->drops, &net->drop_capacity, net->drop_count + 1, sizeof(*net->drops));
    net->drops[net->drop_count++] = *take;
}

void shoal_net__drop_nothing(shoal_net *net)
{
    for (uint32_t i = 0; i < net->drop_count; i++) {
        shoal_sim__free(net->drops[i].from);
        shoal_sim__free(net->drops[i].to);
    }
    net->drop_count = 0;
}

/* Is a frame of this type to be dropped on its way? Counts it. */
static bool wanted(shoal_net *net, uint32_t type, uint32_t from, uint32_t to)
{
    bool found = false;
    for (uint32_t i = 0; i < net->drop_count; i++) {
        shoal_drop *drop = &net->drops[i];
        if (drop->type != type || !drop->from[from] || !drop->to[to] || drop->left == 0) continue;
        if (drop->skip > 0) {
            drop->skip--;
        } else if (!found) {
            drop->left--;
            found = true;
        }
    }
    return found;
}

shoal_slice shoal_net__sift(shoal_world *world, shoal_port from, shoal_slice bytes, char **copy)
{
    shoal_net *net = &world->net;
    const shoal_connection *connection = from.connection;
    uint32_t sender = connection->ends[from.side].host;
    uint32_t receiver = connection->ends[1 - from.side].host;
    uint64_t before = connection->pipes[1 - from.side].frame_left;
    size_t at = before < bytes.size ? (size_t)before : bytes.size, size = at;
    *copy = NULL;
    while (bytes.size - at >= FRAME_LEAST && memcmp(bytes.data + at, "RCmb", 4) == 0) {
        size_t frame = shoal_bytes_get_be32(bytes.data + at + 4);
        if (frame < FRAME_LEAST || frame > bytes.size - at) break;
        uint32_t type = shoal_bytes_get_be16(bytes.data + at + 12);
        bool drop = wanted(net, type, sender, receiver);
        if (drop && *copy == NULL) {
            *copy = shoal_sim__allocate(bytes.size);
            memcpy(*copy, bytes.data, at);
        }
        if (drop) {
            shoal_world__trace(world, sender, SHOAL_TRACE_DROPPED,
                               (shoal_numbers){receiver, type, frame});
        } else {
            if (*copy) memcpy(*copy + size, bytes.data + at, frame);
            size += frame;
        }
        at += frame;
    }
    if (*copy == NULL) return bytes;
    memcpy(*copy + size, bytes.data + at, bytes.size - at);
    return (shoal_slice){*copy, size + bytes.size - at};
}
