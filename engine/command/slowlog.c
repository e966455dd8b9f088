/* SPDX-License-Identifier: MIT
 *
 * command/slowlog.c - SLOWLOG: tours, for every worker keeps its own slow commands. Entries carry
 * numbers of the whole node; the youngest slowlog-max-len of all workers are the log.
 */
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/sort.h"
#include "command/handlers.h"
#include "command/worker.h"

/* Entries that SLOWLOG GET shows unless it is told how many. */
#define SHOWN_DEFAULT 10

/* What stands before each entry that a tour has gathered. */
typedef struct gathered {
    uint64_t id;
    size_t size;
} gathered;

/* An entry that a tour has gathered. */
typedef struct line {
    uint64_t id;
    shoal_slice text;
} line;

static int compare_lines(const void *a, const void *b, void *context)
{
    (void)context;
    uint64_t x = ((const line *)a)->id, y = ((const line *)b)->id;
    return x > y ? -1 : x < y;
}

/* How many entries are wanted; false after writing an error, where that may be written. */
static bool parse_count(shoal_call *call, uint64_t *count)
{
    SHOAL_ASSERT(call->argc >= 2);
    int64_t number = SHOWN_DEFAULT;
    if (call->argc > 3) {
        if (call->tour->last) shoal_call__arity(call);
        return false;
    }
    bool valid = call->argc == 2 || shoal_text_to_i64(call->argv[2], &number);
    if (!valid || number < -1) {
        if (call->tour->last)
            shoal_reply_error(&call->reply, valid
                                                ? "ERR count should be greater than or equal to -1"
                                                : SHOAL_ERROR__INTEGER);
        return false;
    }
    *count = number < 0 ? UINT64_MAX : (uint64_t)number;
    return true;
}

static void gather(shoal_call *call)
{
    const shoal_slow_entry *entry = call->worker->timing.slow_oldest;
    SHOAL_ASSERT(!call->tour->last);
    for (; entry != NULL; entry = entry->next) {
        gathered head = {entry->id, entry->size};
        shoal_buffer_append(&call->tour->gathered,
                            (shoal_slice){(const char *)&head, sizeof(head)});
        shoal_buffer_append(&call->tour->gathered,
                            (shoal_slice){(const char *)(entry + 1), entry->size});
        call->tour->count++;
    }
}

/* Finds the entries in what was gathered. */
static void split(shoal_slice bytes, line *lines, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        gathered head;
        SHOAL_ASSERT(bytes.size >= sizeof(head));
        memcpy(&head, bytes.data, sizeof(head));
        SHOAL_ASSERT(bytes.size - sizeof(head) >= head.size);
        lines[i] = (line){head.id, {bytes.data + sizeof(head), head.size}};
        bytes.data += sizeof(head) + head.size;
        bytes.size -= sizeof(head) + head.size;
    }
}

void shoal_command__slowlog_get(shoal_call *call)
{
    shoal_tour *tour = call->tour;
    uint64_t wanted;
    SHOAL_ASSERT(call->worker != NULL);
    if (!parse_count(call, &wanted)) return;
    if (!tour->last) {
        gather(call);
        return;
    }
    uint64_t count = tour->count;
    size_t size = count * sizeof(line);
    line *lines = NULL;
    if (count != 0) lines = shoal_memory_take(&call->env->allocator, size, SHOAL_ALIGN_PLAIN);
    if (count != 0 && (lines == NULL || tour->gathered.failed)) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else {
        split(shoal_buffer_slice(&tour->gathered), lines, count);
        shoal_sort((shoal_sort_array){lines, count, sizeof(*lines)}, compare_lines, NULL);
        if (wanted > call->worker->settings->slow_max) wanted = call->worker->settings->slow_max;
        if (wanted > count) wanted = count;
        shoal_reply_array(&call->reply, wanted);
        for (uint64_t i = 0; i < wanted; i++) shoal_buffer_append(call->reply.out, lines[i].text);
    }
    shoal_memory_give(&call->env->allocator, lines, size, SHOAL_ALIGN_PLAIN);
}

void shoal_command__slowlog_len(shoal_call *call)
{
    SHOAL_ASSERT(call->worker != NULL && call->tour != NULL);
    shoal_tour *tour = call->tour;
    if (!tour->last) {
        tour->count += call->worker->timing.slow_count;
        return;
    }
    uint64_t most = call->worker->settings->slow_max;
    shoal_reply_integer(&call->reply, (int64_t)(tour->count < most ? tour->count : most));
}

void shoal_command__slowlog_reset(shoal_call *call)
{
    SHOAL_ASSERT(call->worker != NULL && call->tour != NULL);
    if (call->tour->last) {
        shoal_reply_ok(&call->reply);
        return;
    }
    while (call->worker->timing.slow_oldest != NULL) shoal_timing__forget_oldest(call->worker);
}
