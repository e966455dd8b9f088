/* SPDX-License-Identifier: MIT
 *
 * A leaderboard with the commands of Redis, in this process: no server and no socket. Shows:
 * running commands from a line and from arguments, walking through replies, and errors in them.
 */
#include <shoal/command.h>

#include <stdio.h>
#include <stdlib.h>

/* What every call needs. */
typedef struct board {
    shoal_allocator allocator;
    shoal_cache *cache;
    shoal_cache_thread *me;
    shoal_commands *commands;
    shoal_buffer reply;
} board;

static shoal_err open_board(board *b)
{
    *b = (board){.allocator = shoal_allocator_default()};
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = b->allocator;
    shoal_err error = shoal_cache_open(&options, &b->cache);
    if (error != 0) return error;
    shoal_commands_options more = shoal_commands_options_default();
    more.allocator = b->allocator;
    error = shoal_commands_open(b->cache, &more, &b->commands);
    if (error != 0) {
        shoal_cache_close(b->cache);
        return error;
    }
    b->me = shoal_cache_thread_at(b->cache, 0);
    b->reply = shoal_buffer_make(&b->allocator);
    return 0;
}

static void close_board(board *b)
{
    shoal_buffer_free(&b->reply);
    shoal_commands_close(b->commands);
    shoal_cache_close(b->cache);
}

/* Runs a line; its reply is then in b->reply. */
static void run(board *b, const char *line)
{
    shoal_buffer_consume(&b->reply, shoal_buffer_size(&b->reply));
    shoal_cache_enter(b->me, shoal_time_now());
    shoal_err error = shoal_command_line(b->commands, b->me, line, &b->reply);
    shoal_cache_leave(b->me);
    /* With several threads, SHOAL_ERR_BUSY would be one of these: try again. */
    if (error != 0) fprintf(stderr, "%s: %s\n", line, shoal_err_text(error));
}

/* The same with arguments: names may hold blanks and quotes. */
static void add_score(board *b, const char *name, const char *points)
{
    const shoal_slice argv[] = {shoal_slice_of("ZINCRBY"), shoal_slice_of("board"),
                                shoal_slice_of(points), shoal_slice_of(name)};
    shoal_buffer_consume(&b->reply, shoal_buffer_size(&b->reply));
    shoal_cache_enter(b->me, shoal_time_now());
    shoal_err error = shoal_command_run(b->commands, b->me, 4, argv, &b->reply);
    shoal_cache_leave(b->me);
    shoal_reply_reader reader = shoal_reply_read(&b->reply);
    shoal_reply_part part;
    if (error == 0 && shoal_reply_next(&reader, &part) && part.kind == SHOAL_REPLY_DOUBLE)
        printf("%s has %g now\n", name, part.number);
}

/* Prints a reply as a list: what is nested is indented. */
static void print_part(shoal_reply_reader *reader, int depth)
{
    shoal_reply_part part;
    if (!shoal_reply_next(reader, &part)) return;
    printf("%*s", 2 * depth, "");
    switch (part.kind) {
    case SHOAL_REPLY_NULL: puts("(nothing)"); break;
    case SHOAL_REPLY_INTEGER:
    case SHOAL_REPLY_BOOLEAN: printf("%lld\n", (long long)part.integer); break;
    case SHOAL_REPLY_STATUS:
    case SHOAL_REPLY_STRING:
    case SHOAL_REPLY_DOUBLE: printf("%.*s\n", (int)part.text.size, part.text.data); break;
    case SHOAL_REPLY_ERROR: printf("error: %.*s\n", (int)part.text.size, part.text.data); break;
    case SHOAL_REPLY_ARRAY:
    case SHOAL_REPLY_SET:
    case SHOAL_REPLY_MAP:
        printf("%zu:\n", part.count);
        for (size_t i = 0; i < part.count; i++) print_part(reader, depth + 1);
        break;
    }
}

static void show(board *b, const char *line)
{
    printf("> %s\n", line);
    run(b, line);
    shoal_reply_reader reader = shoal_reply_read(&b->reply);
    print_part(&reader, 0);
}

int main(void)
{
    board b;
    shoal_err error = open_board(&b);
    if (error != 0) {
        fprintf(stderr, "no board: %s\n", shoal_err_text(error));
        return EXIT_FAILURE;
    }
    show(&b, "ZADD board 120 alice 95 bob 101.5 \"carol the third\"");
    add_score(&b, "bob", "7");
    add_score(&b, "dave \"d\"", "99");
    show(&b, "ZRANGE board 0 2 REV WITHSCORES");
    show(&b, "ZRANK board nobody");
    show(&b, "HSET alice country is games 3");
    show(&b, "HGETALL alice");
    show(&b, "GET board");
    close_board(&b);
    return EXIT_SUCCESS;
}
