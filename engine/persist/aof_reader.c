/* SPDX-License-Identifier: MIT
 *
 * persist/aof_reader.h: a strict parser of records, and above it the order in which they are handed
 * out. Lengths from the file are checked before anything is taken for them.
 */
#include "persist/aof_reader.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"

shoal_aof_reader shoal_aof_reader_make(const shoal_allocator *allocator, uint64_t offset)
{
    SHOAL_ASSERT(allocator != NULL);
    return (shoal_aof_reader){.input = shoal_buffer_make(allocator),
                              .slots = shoal_buffer_make(allocator),
                              .offset = offset,
                              .whole_at = offset};
}

void shoal_aof_reader_free(shoal_aof_reader *reader)
{
    SHOAL_ASSERT(reader->input.allocator != NULL);
    SHOAL_ASSERT(reader->slots.allocator == reader->input.allocator);
    shoal_buffer_free(&reader->input);
    shoal_buffer_free(&reader->slots);
}

/* What holds between two calls: places in the input follow each other, and a transaction is open
 * exactly while its EXEC is known and still to come. */
static void check(const shoal_aof_reader *reader)
{
    size_t size = shoal_buffer_size(&reader->input);
    SHOAL_DEBUG_ASSERT(reader->at <= size);
    SHOAL_DEBUG_ASSERT(reader->scanned <= size);
    SHOAL_DEBUG_ASSERT(reader->scanned == 0 || reader->scanned > reader->at);
    SHOAL_DEBUG_ASSERT(reader->exec_at < size || size == 0);
    SHOAL_DEBUG_ASSERT(reader->in_transaction == (reader->exec_at != 0));
    SHOAL_DEBUG_ASSERT(!reader->in_transaction || reader->at <= reader->exec_at);
    SHOAL_DEBUG_ASSERT(!reader->in_transaction || reader->scanned == 0);
    SHOAL_DEBUG_ASSERT(reader->whole_at <= reader->offset + reader->at);
}

/* ---- one record ---- */

/* What stands at a place. */
typedef struct record_at {
    size_t end;    /* of the input, behind it */
    size_t wanted; /* of the input: without so many bytes it is not whole */
    size_t bad_at;
    const char *reason;
} record_at;

/* A line of a letter and a number, from `at` on. MORE, COMMAND or BAD; the number is left in
 * `*number`, what follows begins at `*next`. */
static shoal_aof_found read_number(shoal_slice input, size_t at, char letter, uint64_t *number,
                                   size_t *next)
{
    SHOAL_DEBUG_ASSERT(at <= input.size);
    SHOAL_DEBUG_ASSERT(letter == '*' || letter == '$');
    const char *line = input.data + at;
    size_t size = input.size - at, i = 1;
    uint64_t value = 0;

    if (size == 0) return SHOAL_AOF_MORE;
    if (line[0] != letter) return SHOAL_AOF_BAD;
    for (; i < size && line[i] >= '0' && line[i] <= '9'; i++) {
        if (i > 15) return SHOAL_AOF_BAD;
        value = value * 10 + (uint64_t)(line[i] - '0');
    }
    if (i < size && (line[i] != '\r' || i == 1)) return SHOAL_AOF_BAD;
    if (i + 1 < size && line[i + 1] != '\n') return SHOAL_AOF_BAD;
    if (i + 1 >= size) return SHOAL_AOF_MORE;
    *number = value;
    *next = at + i + 2;
    SHOAL_ASSERT(*next <= input.size);
    return SHOAL_AOF_COMMAND;
}

static shoal_aof_found bad(record_at *out, size_t at, const char *reason)
{
    SHOAL_ASSERT(reason != NULL);
    SHOAL_ASSERT(out->reason == NULL);
    out->bad_at = at;
    out->reason = reason;
    return SHOAL_AOF_BAD;
}

/* Puts a slice into the list of arguments. */
static void put(shoal_aof_reader *reader, const char *data, size_t size)
{
    shoal_slice slice = {data, size};
    SHOAL_DEBUG_ASSERT(data >= reader->input.data + reader->input.start);
    SHOAL_DEBUG_ASSERT(data + size <= reader->input.data + reader->input.end);
    shoal_buffer_append(&reader->slots, (shoal_slice){(const char *)&slice, sizeof slice});
    reader->argc++;
}

static shoal_aof_found read_remark(shoal_aof_reader *reader, size_t at, record_at *out)
{
    shoal_slice rest = shoal_buffer_slice(&reader->input);
    SHOAL_DEBUG_ASSERT(at < rest.size);
    SHOAL_DEBUG_ASSERT(rest.data[at] == '#');
    shoal_slice line = {rest.data + at, rest.size - at};
    const size_t max = SHOAL_AOF_REMARK_MAX;

    if (line.size > max) line.size = max;
    size_t size = shoal_text_find(line, (shoal_slice){"\n", 1});
    if (size == SHOAL_TEXT_NONE) {
        if (line.size == max) return bad(out, at, "a remark is too long");
        return SHOAL_AOF_MORE;
    }
    out->end = at + size + 1;
    SHOAL_ASSERT(out->end <= rest.size);
    if (size > 1 && line.data[size - 1] == '\r') size--;
    put(reader, line.data + 1, size - 1);
    return reader->slots.failed ? SHOAL_AOF_NO_MEMORY : SHOAL_AOF_REMARK;
}

/* Reads the record at byte `at` of the input; its arguments go to `slots`. */
static shoal_aof_found read_record(shoal_aof_reader *reader, size_t at, record_at *out)
{
    shoal_slice input = shoal_buffer_slice(&reader->input);
    uint64_t count = 0, size = 0;
    size_t next = at;

    *out = (record_at){.wanted = input.size + 1};
    reader->argc = 0;
    shoal_buffer_consume(&reader->slots, shoal_buffer_size(&reader->slots));
    SHOAL_ASSERT(reader->slots.start == 0);
    SHOAL_ASSERT(at <= input.size);
    if (at == input.size) return SHOAL_AOF_MORE;
    if (input.data[at] == '#') return read_remark(reader, at, out);
    shoal_aof_found found = read_number(input, at, '*', &count, &next);
    if (found == SHOAL_AOF_BAD) return bad(out, at, "no command begins here");
    if (found == SHOAL_AOF_MORE) return found;
    if (count < 1 || count > SHOAL_AOF_ARGUMENTS_MAX)
        return bad(out, at, "a number of arguments that cannot be");
    for (uint64_t i = 0; i < count; i++) {
        size_t line = next;
        found = read_number(input, line, '$', &size, &next);
        if (found == SHOAL_AOF_BAD) return bad(out, line, "no argument begins here");
        if (found == SHOAL_AOF_MORE) return found;
        if (size > SHOAL_AOF_ARGUMENT_MAX) return bad(out, line, "an argument is too long");
        if (input.size - next < size + 2) {
            out->wanted = next + size + 2;
            return SHOAL_AOF_MORE;
        }
        if (input.data[next + size] != '\r' || input.data[next + size + 1] != '\n')
            return bad(out, next + size, "an argument does not end where it should");
        put(reader, input.data + next, size);
        next += size + 2;
    }
    SHOAL_ASSERT(next <= input.size);
    SHOAL_ASSERT(reader->argc == count);
    out->end = next;
    return reader->slots.failed ? SHOAL_AOF_NO_MEMORY : SHOAL_AOF_COMMAND;
}

static bool is_word(const shoal_aof_reader *reader, const char *word)
{
    const shoal_slice *argv = (const void *)reader->slots.data;
    SHOAL_DEBUG_ASSERT(word != NULL);
    SHOAL_DEBUG_ASSERT(shoal_buffer_size(&reader->slots) == reader->argc * sizeof *argv);
    return reader->argc == 1 && shoal_text_is(argv[0], word);
}

/* ---- in order ---- */

void shoal_aof_reader_feed(shoal_aof_reader *reader, shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    size_t done = reader->at;
    check(reader);

    /* What is before `at` is not needed any more. */
    if (done > 0) {
        SHOAL_ASSERT(reader->exec_at == 0);
        shoal_buffer_consume(&reader->input, done);
        reader->offset += done;
        reader->scanned = reader->scanned > done ? reader->scanned - done : 0;
        reader->wanted = reader->wanted > done ? reader->wanted - done : 0;
        reader->at = 0;
    }
    shoal_buffer_append(&reader->input, bytes);
    SHOAL_ASSERT(reader->at == 0);
    check(reader);
}

static shoal_aof_found fail(shoal_aof_reader *reader, shoal_aof_found found, const record_at *got)
{
    SHOAL_ASSERT(found != SHOAL_AOF_COMMAND);
    SHOAL_ASSERT(found != SHOAL_AOF_REMARK);
    if (found == SHOAL_AOF_BAD) {
        SHOAL_ASSERT(got->reason != NULL);
        SHOAL_ASSERT(got->bad_at <= shoal_buffer_size(&reader->input));
        reader->bad_at = reader->offset + got->bad_at;
        reader->reason = got->reason;
    }
    if (found == SHOAL_AOF_MORE) {
        SHOAL_ASSERT(got->wanted > shoal_buffer_size(&reader->input));
        reader->wanted = got->wanted;
    }
    check(reader);
    return found;
}

/* Looks for the EXEC of the transaction that begins at `at`: COMMAND when it is there. */
static shoal_aof_found find_exec(shoal_aof_reader *reader)
{
    SHOAL_ASSERT(reader->scanned > reader->at);
    SHOAL_ASSERT(reader->exec_at == 0);
    record_at got;

    for (;;) {
        shoal_aof_found found = read_record(reader, reader->scanned, &got);
        if (found != SHOAL_AOF_COMMAND && found != SHOAL_AOF_REMARK)
            return fail(reader, found, &got);
        if (is_word(reader, "multi"))
            return fail(reader, bad(&got, reader->scanned, "a MULTI inside another one"), &got);
        if (found == SHOAL_AOF_COMMAND && is_word(reader, "exec")) {
            reader->exec_at = reader->scanned;
            return SHOAL_AOF_COMMAND;
        }
        SHOAL_ASSERT(got.end > reader->scanned);
        reader->scanned = got.end;
    }
}

/* A MULTI that ends at `end` has been met: everything up to its EXEC must be there. */
static shoal_aof_found open_transaction(shoal_aof_reader *reader, size_t end)
{
    SHOAL_ASSERT(!reader->in_transaction);
    SHOAL_ASSERT(end > reader->at);
    if (reader->scanned == 0) reader->scanned = end;
    shoal_aof_found found = find_exec(reader);
    if (found != SHOAL_AOF_COMMAND) return found;
    reader->scanned = 0;
    reader->at = end;
    reader->in_transaction = true;
    return SHOAL_AOF_COMMAND;
}

/* The EXEC at `at` closes it. */
static void close_transaction(shoal_aof_reader *reader, size_t end)
{
    SHOAL_ASSERT(reader->in_transaction);
    SHOAL_ASSERT(reader->at == reader->exec_at);
    SHOAL_ASSERT(end > reader->at);
    reader->exec_at = 0;
    reader->in_transaction = false;
    reader->at = end;
    reader->whole_at = reader->offset + end;
}

shoal_aof_found shoal_aof_reader_next(shoal_aof_reader *reader)
{
    record_at got;
    check(reader);

    if (reader->input.failed || reader->slots.failed) return SHOAL_AOF_NO_MEMORY;
    if (shoal_buffer_size(&reader->input) < reader->wanted) return SHOAL_AOF_MORE;
    reader->wanted = 0;
    for (;;) {
        shoal_aof_found found = read_record(reader, reader->at, &got);
        if (found != SHOAL_AOF_COMMAND && found != SHOAL_AOF_REMARK)
            return fail(reader, found, &got);
        reader->argv = (shoal_slice *)(void *)reader->slots.data;
        if (found == SHOAL_AOF_REMARK) {
            reader->at = got.end;
            return found;
        }
        if (!reader->in_transaction && is_word(reader, "multi")) {
            found = open_transaction(reader, got.end);
            if (found != SHOAL_AOF_COMMAND) return found;
            continue;
        }
        if (reader->in_transaction && reader->at == reader->exec_at) {
            close_transaction(reader, got.end);
            continue;
        }
        if (is_word(reader, "exec"))
            return fail(reader, bad(&got, reader->at, "an EXEC without MULTI"), &got);
        reader->at = got.end;
        if (!reader->in_transaction) reader->whole_at = reader->offset + got.end;
        reader->commands++;
        return SHOAL_AOF_COMMAND;
    }
}

bool shoal_aof_reader_is_torn(const shoal_aof_reader *reader)
{
    SHOAL_ASSERT(!reader->in_transaction);
    SHOAL_ASSERT(reader->at <= shoal_buffer_size(&reader->input));
    return reader->at < shoal_buffer_size(&reader->input);
}

bool shoal_aof_reader_lacks_exec(const shoal_aof_reader *reader)
{
    SHOAL_ASSERT(!reader->in_transaction);
    SHOAL_ASSERT(reader->exec_at == 0);
    return reader->scanned != 0;
}

/* ---- writing ---- */

void shoal_aof_write_begin(shoal_buffer *out, uint32_t argc)
{
    SHOAL_ASSERT(argc > 0);
    SHOAL_ASSERT(argc <= SHOAL_AOF_ARGUMENTS_MAX);
    shoal_text_appendf(out, "*%u\r\n", (unsigned)argc);
}

void shoal_aof_write_argument(shoal_buffer *out, shoal_slice argument)
{
    SHOAL_ASSERT(argument.data != NULL || argument.size == 0);
    SHOAL_DEBUG_ASSERT(out->allocator != NULL);
    shoal_text_appendf(out, "$%zu\r\n", argument.size);
    shoal_buffer_append(out, argument);
    shoal_buffer_append(out, (shoal_slice){"\r\n", 2});
}

void shoal_aof_write_command(shoal_buffer *out, const shoal_slice *argv, uint32_t argc)
{
    SHOAL_ASSERT(argv != NULL);
    SHOAL_DEBUG_ASSERT(argc > 0);
    shoal_aof_write_begin(out, argc);
    for (uint32_t i = 0; i < argc; i++) shoal_aof_write_argument(out, argv[i]);
}

void shoal_aof_write_timestamp(shoal_buffer *out, int64_t seconds)
{
    SHOAL_ASSERT(out->allocator != NULL);
    SHOAL_ASSERT(seconds >= 0);
    shoal_text_appendf(out, "#TS:%lld\r\n", (long long)seconds);
}

void shoal_aof_write_history(shoal_buffer *out, shoal_slice id, uint64_t offset, uint32_t db)
{
    SHOAL_ASSERT(id.size > 0);
    SHOAL_ASSERT(id.size < SHOAL_AOF_REMARK_MAX / 2);
    shoal_text_appendf(out, "#REPL:%.*s %llu %u\r\n", (int)id.size, id.data,
                       (unsigned long long)offset, (unsigned)db);
}

bool shoal_aof_read_history(shoal_slice remark, shoal_slice *id, uint64_t *offset, uint32_t *db)
{
    static const char head[] = "REPL:";
    shoal_slice words[3];
    uint64_t number;
    SHOAL_DEBUG_ASSERT(remark.data != NULL || remark.size == 0);
    if (remark.size < sizeof head - 1 || memcmp(remark.data, head, sizeof head - 1) != 0)
        return false;
    size_t at = sizeof head - 1;
    for (uint32_t i = 0; i < 3; i++) {
        size_t begin = at;
        while (at < remark.size && remark.data[at] != ' ') at++;
        words[i] = (shoal_slice){remark.data + begin, at - begin};
        if (at < remark.size) at++;
    }
    SHOAL_ASSERT(at <= remark.size);
    *id = words[0];
    if (!shoal_text_to_u64(words[1], offset) || !shoal_text_to_u64(words[2], &number)) return false;
    *db = (uint32_t)number;
    return at == remark.size && number <= UINT32_MAX;
}

static const char behind[] = "SHOAL-BEHIND:";
_Static_assert(sizeof behind + SHOAL_TEXT_INTEGER_SIZE < SHOAL_AOF_REMARK_MAX, "it is a remark");

void shoal_aof_write_behind(shoal_buffer *out, uint64_t size)
{
    SHOAL_ASSERT(out->allocator != NULL);
    SHOAL_ASSERT(size <= INT64_MAX);
    shoal_text_appendf(out, "#%s%llu\r\n", behind, (unsigned long long)size);
}

bool shoal_aof_read_behind(shoal_slice remark, uint64_t *size)
{
    const size_t head = sizeof behind - 1;
    SHOAL_DEBUG_ASSERT(size != NULL);
    SHOAL_DEBUG_ASSERT(remark.data != NULL || remark.size == 0);
    if (remark.size <= head || memcmp(remark.data, behind, head) != 0) return false;
    return shoal_text_to_u64((shoal_slice){remark.data + head, remark.size - head}, size);
}
