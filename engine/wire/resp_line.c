/* SPDX-License-Identifier: MIT
 *
 * wire/resp_line.c - splits a line of text into arguments, with quotes and escapes: inline
 * requests and lines of redis.conf. The rules are those that redis-server 7.0 shows; the one
 * deviation is that a zero byte is an ordinary byte here.
 */
#include "wire/line.h"

#include "base/assert.h"
#include "wire/resp.h"

/* Blanks before an argument and behind a closing quote. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Blanks that end an argument outside quotes; vertical tab and form feed do not. */
static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Value of a hexadecimal digit, or -1. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The byte that a backslash before `c` means between double quotes. */
static char escaped(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
    }
}

/* Takes one byte between double quotes, which may be written with up to four. */
static void take_quoted_byte(shoal_line__walk *walk)
{
    SHOAL_DEBUG_ASSERT(walk->at < walk->end);
    const char *at = walk->at;
    size_t left = (size_t)(walk->end - at);
    if (at[0] != '\\' || left < 2) {
        *walk->out++ = at[0];
        walk->at += 1;
        return;
    }
    if (at[1] == 'x' && left >= 4) {
        int high = hex_value(at[2]);
        int low = hex_value(at[3]);
        if (high >= 0 && low >= 0) {
            *walk->out++ = (char)(high << 4 | low);
            walk->at += 4;
            return;
        }
    }
    *walk->out++ = escaped(at[1]);
    walk->at += 2;
}

/* Takes a quoted part up to its closing quote, which must be followed by a blank or the end. */
static bool take_quoted(shoal_line__walk *walk)
{
    SHOAL_DEBUG_ASSERT(walk->at < walk->end);
    char quote = *walk->at++;
    SHOAL_DEBUG_ASSERT(quote == '"' || quote == '\'');
    while (walk->at < walk->end && *walk->at != quote) {
        if (quote == '"') {
            take_quoted_byte(walk);
        } else {
            if (walk->at[0] == '\\' && walk->end - walk->at > 1 && walk->at[1] == '\'') walk->at++;
            *walk->out++ = *walk->at++;
        }
    }
    SHOAL_DEBUG_ASSERT(walk->at <= walk->end);
    if (walk->at == walk->end) return false;
    walk->at++;
    return walk->at == walk->end || is_space(*walk->at);
}

int shoal_line__next(shoal_line__walk *walk, shoal_slice *argument)
{
    SHOAL_ASSERT(walk->at <= walk->end);
    const char *start = walk->at;
    while (walk->at < walk->end && is_space(*walk->at)) walk->at++;
    if (walk->at == walk->end) return 0;

    char *begin = walk->out;
    while (walk->at < walk->end && !is_separator(*walk->at)) {
        if (*walk->at == '"' || *walk->at == '\'') {
            if (!take_quoted(walk)) return -1;
            break;
        }
        *walk->out++ = *walk->at++;
    }
    SHOAL_ASSERT(walk->out - begin <= walk->at - start); /* so that `out` had room for it */
    *argument = (shoal_slice){begin, (size_t)(walk->out - begin)};
    return 1;
}

int shoal_line_split(shoal_slice line, shoal_buffer *store, shoal_slice *argv, int argv_max)
{
    SHOAL_ASSERT(argv_max >= 0);
    if (line.size == 0) return 0;
    char *room = shoal_buffer_reserve(store, line.size);
    if (!room) return -2;

    shoal_line__walk walk = {line.data, line.data + line.size, room};
    shoal_slice argument;
    int argc = 0;
    int found;
    while ((found = shoal_line__next(&walk, &argument)) == 1) {
        if (argc == argv_max) return -2;
        argv[argc++] = argument;
    }
    if (found < 0) return -1;
    SHOAL_ASSERT((size_t)(walk.out - room) <= line.size);
    shoal_buffer_commit(store, (size_t)(walk.out - room));
    return argc;
}
