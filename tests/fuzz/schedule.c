/* SPDX-License-Identifier: MIT
 *
 * Schedules of any bytes: refused with a place and a sentence, or taken; and what was taken has one
 * canonical text, which is taken again, says the same, and hashes the same.
 */
#include "fuzz/driver/fuzz.h"

#include "sim/schedule.h"

/* The lines of `text`, counting an empty one behind the last newline. */
static uint32_t count_lines(shoal_slice text)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < text.size; i++) lines += text.data[i] == '\n';
    return lines;
}

static void check_canonical(const shoal_schedule *schedule, bool comments)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer text = shoal_buffer_make(&allocator), text_again = text;
    shoal_schedule again;
    shoal_schedule_error error;
    shoal_schedule_format(schedule, comments, &text);
    shoal_err failure = shoal_schedule_parse(shoal_buffer_slice(&text), &again, &error);
    SHOAL_ASSERT(failure == SHOAL_ERR_OK);
    SHOAL_ASSERT(again.count == schedule->count);
    SHOAL_ASSERT(again.seed == schedule->seed);
    SHOAL_ASSERT(again.nodes == schedule->nodes && again.masters == schedule->masters);
    SHOAL_ASSERT(shoal_schedule_hash(&again) == shoal_schedule_hash(schedule));
    shoal_schedule_format(&again, comments, &text_again);
    SHOAL_ASSERT(shoal_text_equal(shoal_buffer_slice(&text), shoal_buffer_slice(&text_again)));
    shoal_schedule_free(&again);
    shoal_buffer_free(&text);
    shoal_buffer_free(&text_again);
    SHOAL_ASSERT(heap.blocks == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shoal_slice text = {(const char *)data, size};
    shoal_schedule schedule;
    shoal_schedule_error error = {0};
    shoal_err failure = shoal_schedule_parse(text, &schedule, &error);
    if (failure) {
        SHOAL_ASSERT(failure == SHOAL_ERR_MALFORMED);
        SHOAL_ASSERT(schedule.count == 0 && schedule.lines == NULL);
        SHOAL_ASSERT(error.line >= 1 && error.line <= count_lines(text) + 1);
        SHOAL_ASSERT(error.column >= 1 && error.column <= size + 1);
        SHOAL_ASSERT(memchr(error.message, '\0', sizeof(error.message)) != NULL);
        SHOAL_ASSERT(error.message[0] != '\0');
        return 0;
    }
    for (uint32_t i = 1; i < schedule.count; i++) {
        if (schedule.lines[i - 1].at_us > schedule.lines[i].at_us)
            SHOAL_ASSERT(schedule.lines[i].at_us == 0);
    }
    check_canonical(&schedule, true);
    check_canonical(&schedule, false);
    shoal_schedule_free(&schedule);
    return 0;
}
