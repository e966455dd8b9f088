/* SPDX-License-Identifier: MIT
 *
 * Lines that become a schedule. They go through the text: what is drawn or made smaller is what
 * somebody who has only the file reads.
 */
#include <stdarg.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/draw.h"
#include "sim/lines.h"
#include "sim/memory.h"

shoal_line *shoal_draft__add(shoal_draft *draft, shoal_line_kind kind, int64_t at_us)
{
    SHOAL_ASSERT(kind < SHOAL_LINE_COUNT && at_us >= 0);
    draft->lines =
        shoal_sim__grow(draft->lines, &draft->capacity, draft->count + 1, sizeof(*draft->lines));
    shoal_line *line = &draft->lines[draft->count++];
    *line = (shoal_line){.kind = kind, .at_us = at_us};
    return line;
}

shoal_line *shoal_draft__say(shoal_draft *draft, shoal_line_kind kind, int64_t at_us,
                             const char *format, ...)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    va_list arguments;
    va_start(arguments, format);
    shoal_text_vappendf(&text, format, arguments);
    va_end(arguments);
    shoal_line *line = shoal_draft__add(draft, kind, at_us);
    line->text = shoal_line__copy(shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
    return line;
}

shoal_line *shoal_draft__copy(shoal_draft *draft, const shoal_line *line)
{
    shoal_line *copy = shoal_draft__add(draft, line->kind, line->at_us);
    *copy = *line;
    copy->comment_before = copy->comment_behind = NULL;
    if (line->text) copy->text = shoal_line__copy(shoal_text(line->text));
    if (line->answer) copy->answer = shoal_line__copy(shoal_text(line->answer));
    return copy;
}

/* The text of a schedule, read again. */
static shoal_err reread(const shoal_schedule *schedule, shoal_schedule *out,
                        shoal_schedule_error *error)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    shoal_schedule_format(schedule, false, &text);
    shoal_err result = shoal_schedule_parse(shoal_buffer_slice(&text), out, error);
    shoal_buffer_free(&text);
    return result;
}

shoal_err shoal_draft__finish(const shoal_draft *draft, shoal_schedule *out,
                              shoal_schedule_error *error)
{
    shoal_schedule loose = {.lines = draft->lines, .count = draft->count}, sorted;
    shoal_err result = reread(&loose, &sorted, error);
    if (result != SHOAL_ERR_OK) return result;
    /* Once more, because line numbers are those of the text that was read. */
    result = reread(&sorted, out, error);
    shoal_schedule_free(&sorted);
    return result;
}

void shoal_draft__free(shoal_draft *draft)
{
    for (uint32_t i = 0; i < draft->count; i++) shoal_line_free(&draft->lines[i]);
    shoal_sim__free(draft->lines);
    *draft = (shoal_draft){0};
}

static shoal_selector one(shoal_atom_kind kind, uint32_t number)
{
    shoal_selector selector = {.count = 1};
    selector.atoms[0] = (shoal_atom){kind, number, number};
    return selector;
}

shoal_selector shoal_draft__node(uint32_t node)
{
    return one(SHOAL_ATOM_NODES, node + 1);
}

shoal_selector shoal_draft__all(void)
{
    return one(SHOAL_ATOM_ALL, 0);
}

shoal_selector shoal_draft__client(uint32_t client)
{
    return one(SHOAL_ATOM_CLIENTS, client + 1);
}
