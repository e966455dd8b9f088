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

/* A shoal: fish that swim to one side, one of them another way. Which one, the time decides. */
void shoal_command__lolwut(shoal_call *call)
{
    static const char fish[] = "><>  ", other[] = "<><  ";
    SHOAL_ASSERT(call->now.wall_us >= 0);
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    uint32_t odd = (uint32_t)(call->now.wall_us / 1000000 % 40);
    for (uint32_t i = 0; i < 40; i++) {
        if (i % 8 == 0) shoal_buffer_append(&text, shoal_text(i % 16 == 0 ? "\n  " : "\n"));
        shoal_buffer_append(&text, shoal_text(i == odd ? other : fish));
    }
    shoal_text_appendf(&text, "\n\nRedis ver. %s\n", SHOAL_REDIS_VERSION);
    shoal_reply_verbatim(&call->reply, "txt", shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
}

/* Without replication every node is a master that nobody follows, at offset 0. */
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
