/* SPDX-License-Identifier: MIT
 *
 * The flight recorder of virtual nodes: the same that a server has, with the world as its host.
 */
#include <shoal/tape.h>

#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/internal.h"
#include "sim/vnode.h"

void shoal_world_record(shoal_world *world, shoal_world_taker take, void *context)
{
    SHOAL_ASSERT(world->events == 0);
    world->taker = take;
    world->taker_context = context;
}

static void take(void *context, shoal_slice bytes)
{
    const shoal_vnode *vnode = context;
    const shoal_world *world = vnode->world;
    world->taker(world->taker_context, vnode->index, vnode->starts, bytes);
}

bool shoal_vnode__record(shoal_vnode *vnode)
{
    char build[64];
    if (vnode->world->taker == NULL) return true;
    /* It has not been counted yet. */
    vnode->starts++;
    snprintf(build, sizeof(build), "shoal-sim %s", shoal_version());
    shoal_tape_options options = {.context = vnode,
                                  .take = take,
                                  .build = shoal_text(build),
                                  .place = shoal_text(vnode->ip)};
    shoal_err error = shoal_node_record(vnode->node, &options);
    vnode->starts--;
    return error == SHOAL_ERR_OK;
}
