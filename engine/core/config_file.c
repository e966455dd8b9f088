/* SPDX-License-Identifier: MIT
 *
 * core/config_file.c - CONFIG REWRITE: reads the configuration file, writes its replacement beside
 * it, makes that durable and renames it. Until the rename has happened the former file is whole;
 * a failure at any step leaves it as it was.
 *
 *   IDLE -> READING -> WRITING -> RENAMING -> IDLE      any failure -> IDLE
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/text.h"

/* Tag of all file operations here; the stage and the operation tell them apart. */
#define TAG_REWRITE 2

/* Answers the first errand that waits, and begins the next one. */
static void finish(shoal_node *node, const char *wrong)
{
    SHOAL_ASSERT(node->rewrite.stage != SHOAL_REWRITE_IDLE);
    shoal_rewrite *rewrite = &node->rewrite;
    shoal_errand *errand = rewrite->first;
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};

    SHOAL_ASSERT(errand != NULL);
    if (wrong == NULL) {
        shoal_node__log(node, SHOAL_LEVEL_NOTICE, "CONFIG REWRITE executed with success.");
        shoal_reply_ok(&reply);
    } else {
        shoal_node__log(node, SHOAL_LEVEL_WARNING, "CONFIG REWRITE failed: %s", wrong);
        shoal_reply_errorf(&reply, "ERR Rewriting config file: %s", wrong);
    }
    rewrite->first = (shoal_errand *)errand->gate.op.next;
    rewrite->stage = SHOAL_REWRITE_IDLE;
    shoal_errand_finish(errand);
}

/* Begins the rewrite of the first errand that waits, if there is one. */
static void begin(shoal_node *node)
{
    SHOAL_ASSERT(node->rewrite.first == NULL || node->rewrite.last != NULL);
    if (node->rewrite.stage != SHOAL_REWRITE_IDLE || node->rewrite.first == NULL) return;
    node->rewrite.stage = SHOAL_REWRITE_READING;
    node->rewrite.error = SHOAL_ERR_OK;
    node->host.file_read(node->host.context, SHOAL_FILE_CONFIG, TAG_REWRITE);
}

void shoal_node__config_rewrite(shoal_node *node, shoal_errand *errand)
{
    SHOAL_ASSERT(errand->command->id == SHOAL_COMMAND_CONFIG_REWRITE);
    SHOAL_ASSERT(shoal_buffer_size(&errand->reply) == 0);
    shoal_rewrite *rewrite = &node->rewrite;

    errand->gate.op.next = NULL;
    if (rewrite->first == NULL)
        rewrite->first = errand;
    else
        rewrite->last->gate.op.next = &errand->gate.op;
    rewrite->last = errand;
    begin(node);
}

/* Appends the text that the file should hold. Commands have changed whom the node follows: the file
 * says whom it follows now, so that it goes on so when it is started again. Whose replica a node of
 * a cluster is stands in the cluster's own file. */
static shoal_err write_text(shoal_node *node, shoal_slice former, shoal_buffer *out)
{
    SHOAL_ASSERT(shoal_buffer_size(out) == 0);
    shoal_config_value *value = &node->config.values[SHOAL_DIRECTIVE_REPLICAOF], kept = *value;
    shoal_buffer master = shoal_buffer_make(&node->allocator);

    if (node->phase >= SHOAL_PHASE_READY) {
        if (node->cluster == NULL) shoal_node__show_master(node, &master);
        value->text = shoal_buffer_size(&master) > 0 ? master.data + master.start : NULL;
        value->text_size = shoal_buffer_size(&master);
    }
    shoal_err error = shoal_config__rewrite(&node->config, former, out);
    if (master.failed) error = SHOAL_ERR_NO_MEMORY;
    *value = kept;
    SHOAL_ASSERT((value->text == NULL) == (value->text_size == 0));
    shoal_buffer_free(&master);
    return error;
}

/* The present file is there: writes the replacement. The former attempt's rest goes first,
 * because appending is all that a host can do to a file. */
static void write_new(shoal_node *node, shoal_slice text)
{
    SHOAL_ASSERT(node->rewrite.stage == SHOAL_REWRITE_READING);
    SHOAL_ASSERT(node->rewrite.first != NULL);
    shoal_buffer out = shoal_buffer_make(&node->allocator);

    if (write_text(node, text, &out) == SHOAL_ERR_OK) {
        node->rewrite.stage = SHOAL_REWRITE_WRITING;
        node->host.file_remove(node->host.context, SHOAL_FILE_CONFIG_NEW, TAG_REWRITE);
        node->host.file_append(node->host.context, SHOAL_FILE_CONFIG_NEW, shoal_buffer_slice(&out),
                               TAG_REWRITE);
        node->host.file_sync(node->host.context, SHOAL_FILE_CONFIG_NEW, TAG_REWRITE);
    } else {
        finish(node, shoal_err_text(SHOAL_ERR_NO_MEMORY));
    }
    shoal_buffer_free(&out);
}

/* The node was started without a file: there is nothing to rewrite. */
static void refuse(shoal_node *node)
{
    SHOAL_ASSERT(node->rewrite.stage == SHOAL_REWRITE_READING);
    SHOAL_ASSERT(node->rewrite.first != NULL);
    shoal_errand *errand = node->rewrite.first;
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};

    shoal_reply_error(&reply, "ERR The server is running without a config file");
    node->rewrite.first = (shoal_errand *)errand->gate.op.next;
    node->rewrite.stage = SHOAL_REWRITE_IDLE;
    shoal_errand_finish(errand);
}

static void read_done(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(event->op == SHOAL_FILE_READ);
    SHOAL_ASSERT(event->file == SHOAL_FILE_CONFIG);
    if (event->error == SHOAL_ERR_NOT_FOUND)
        refuse(node);
    else if (event->error != SHOAL_ERR_OK)
        finish(node, shoal_err_text(event->error));
    else
        write_new(node, event->data);
}

/* Removing, appending and syncing end in this order; the last one decides. */
static void write_done(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(event->file == SHOAL_FILE_CONFIG_NEW);
    SHOAL_ASSERT(event->op != SHOAL_FILE_READ);
    if (event->error != SHOAL_ERR_OK && node->rewrite.error == SHOAL_ERR_OK)
        node->rewrite.error = event->error;
    if (event->op != SHOAL_FILE_SYNC) return;
    if (node->rewrite.error != SHOAL_ERR_OK) {
        finish(node, shoal_err_text(node->rewrite.error));
        return;
    }
    node->rewrite.stage = SHOAL_REWRITE_RENAMING;
    node->host.file_rename(node->host.context, SHOAL_FILE_CONFIG_NEW, SHOAL_FILE_CONFIG,
                           TAG_REWRITE);
}

void shoal_node__config_file_done(shoal_node *node, const shoal_event *event)
{
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_FILE_DONE);
    SHOAL_ASSERT(event->tag == TAG_REWRITE);
    switch (node->rewrite.stage) {
    case SHOAL_REWRITE_READING: read_done(node, event); break;
    case SHOAL_REWRITE_WRITING: write_done(node, event); break;
    case SHOAL_REWRITE_RENAMING:
        finish(node, event->error == SHOAL_ERR_OK ? NULL : shoal_err_text(event->error));
        break;
    case SHOAL_REWRITE_IDLE: SHOAL_UNREACHABLE();
    }
    begin(node);
}

void shoal_node__config_abandon(shoal_node *node)
{
    while (node->rewrite.first != NULL) finish(node, shoal_err_text(SHOAL_ERR_CLOSED));
}
