/* SPDX-License-Identifier: MIT
 *
 * core/keeping.c - answers to CLUSTER commands that have changed what nodes.conf keeps: they wait
 * until the file that has the change is durable, so that what was answered with OK survives every
 * crash. The control actor goes on meanwhile; only the asking connection waits.
 *
 * Where the file cannot be written the command answers with an error that says so. The change is
 * in effect then, as other nodes may have heard of it, and is saved as soon as that is possible.
 */
#include "core/node.h"

#include "base/assert.h"

void shoal_node__keeping_hold(shoal_node *node, shoal_errand *errand, uint64_t change)
{
    const shoal_errand *before = (const shoal_errand *)node->keeping_last;
    SHOAL_ASSERT(node->cluster != NULL && change > 0);
    SHOAL_ASSERT(before == NULL || before->after <= change);
    errand->after = change;
    errand->gate.op.next = NULL;
    if (before != NULL) {
        node->keeping_last->next = &errand->gate.op;
    } else {
        node->keeping = &errand->gate.op;
    }
    node->keeping_last = &errand->gate.op;
}

/* Takes the first one off the list. */
static shoal_errand *take(shoal_node *node)
{
    shoal_errand *errand = (shoal_errand *)node->keeping;
    SHOAL_ASSERT(errand != NULL);
    node->keeping = errand->gate.op.next;
    if (node->keeping == NULL) node->keeping_last = NULL;
    errand->gate.op.next = NULL;
    return errand;
}

static void refuse(shoal_errand *errand, const char *why)
{
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    SHOAL_ASSERT(why != NULL);
    /* What was refused before has changed nothing. */
    shoal_slice said = shoal_buffer_slice(&errand->reply);
    if (said.size > 0 && said.data[0] == '-') return;
    shoal_buffer_consume(&errand->reply, shoal_buffer_size(&errand->reply));
    shoal_reply_errorf(&reply,
                       "ERR error saving the cluster node config: %s. The change is in effect, and "
                       "is saved as soon as possible.",
                       why);
}

void shoal_node__keeping_step(shoal_node *node)
{
    SHOAL_ASSERT(node->keeping == NULL || node->cluster != NULL);
    while (node->keeping != NULL) {
        const shoal_errand *first = (const shoal_errand *)node->keeping;
        shoal_err error;
        if (!shoal_cluster_kept(node->cluster, first->after, &error)) return;
        shoal_errand *errand = take(node);
        if (error != SHOAL_ERR_OK) refuse(errand, shoal_err_text(error));
        shoal_errand_finish(errand);
    }
}

void shoal_node__keeping_abandon(shoal_node *node)
{
    while (node->keeping != NULL) {
        shoal_errand *errand = take(node);
        refuse(errand, "the server ends");
        shoal_errand_finish(errand);
    }
    SHOAL_ASSERT(node->keeping_last == NULL);
}
