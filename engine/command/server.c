/* SPDX-License-Identifier: MIT
 *
 * command/server.c - small commands about the server, and HELP of every container: made from the
 * rows of the table.
 */
#include "base/assert.h"
#include "command/handlers.h"

void shoal_command__time(shoal_call *call)
{
    SHOAL_ASSERT(call->now.wall_us >= 0);
    shoal_reply_array(&call->reply, 2);
    shoal_reply_bulk_integer(&call->reply, call->now.wall_us / 1000000);
    shoal_reply_bulk_integer(&call->reply, call->now.wall_us % 1000000);
}

/* Without replication every node is a master that nobody follows, at offset 0. */
void shoal_command__role(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 1);
    shoal_reply_array(&call->reply, 3);
    shoal_reply_text(&call->reply, "master");
    shoal_reply_integer(&call->reply, 0);
    shoal_reply_array(&call->reply, 0);
}

/* Writes `format` with the name of a row in capitals as one line. */
static void reply_line(shoal_call *call, const char *name, const char *behind)
{
    shoal_buffer line = shoal_buffer_make(&call->env->allocator);
    for (; *name != '\0'; name++) {
        char c = *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        shoal_buffer_append(&line, (shoal_slice){&c, 1});
    }
    shoal_buffer_append(&line, shoal_text(behind));
    shoal_buffer_append(&line, (shoal_slice){"", 1});
    shoal_reply_status(&call->reply, line.failed ? "" : line.data);
    shoal_buffer_free(&line);
}

void shoal_command__help(shoal_call *call)
{
    shoal_command_id parent = call->command->parent;
    SHOAL_ASSERT(parent != SHOAL_COMMAND_NONE);
    size_t lines = 1;
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    reply_line(call, shoal_command_row(parent)->name,
               " <subcommand> [<argument> ...]. The subcommands are:");
    for (uint32_t id = parent + 1; id < SHOAL_COMMAND_COUNT; id++) {
        const shoal_command *row = shoal_command_row(id);
        if (row->parent != parent) break;
        reply_line(call, row->name, "");
        reply_line(call, "    ", row->summary);
        lines += 2;
    }
    shoal_reply_end_array(&call->reply, mark, lines);
}
