/* SPDX-License-Identifier: MIT
 *
 * core/recording.c - the flight recorder of a node, as its host starts and ends it: shoal/tape.h.
 * Everything that is recorded passes through tape/tape.h on its way.
 */
#include "core/node.h"

#include "base/assert.h"

shoal_err shoal_node_record(shoal_node *node, const shoal_tape_options *options)
{
    SHOAL_ASSERT(options->take != NULL);
    /* What is built has been given hosts already. */
    if (node->phase != SHOAL_PHASE_NEW || node->workers != NULL || node->tape != NULL)
        return SHOAL_ERR_INVALID;
    const shoal_config *config = &node->config;
    shoal_tape_start start = {.allocator = node->allocator,
                              .host = &node->host,
                              .options = options,
                              .seed = {node->seed[0], node->seed[1]},
                              .workers = node->worker_count,
                              .port = (uint16_t)shoal_config__number(config, SHOAL_DIRECTIVE_PORT),
                              .bus_port =
                                  (uint16_t)shoal_config__number(config,
                                                                 SHOAL_DIRECTIVE_CLUSTER_PORT),
                              .created = node->created};
    return shoal_tape_open(&start, &node->tape);
}

void shoal_node_record_end(shoal_node *node, bool gone, shoal_slice why)
{
    SHOAL_ASSERT(why.data != NULL || why.size == 0);
    shoal_tape_end(node->tape, gone, why);
}

void shoal_node_record_flush(shoal_node *node)
{
    SHOAL_ASSERT(node != NULL);
    shoal_tape_flush(node->tape);
}
