/* SPDX-License-Identifier: MIT
 *
 * Expect lines that ask: the operator sends a command to each selected node, and its reply is held
 * to what the line says. A line with `within` asks again until all answers are right. The nodes'
 * state is not looked into: these lines see what a person at a shell would see.
 */
#include "sim/expect.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/internal.h"
#include "wire/resp.h"

/* Pause between two rounds. Chosen: finer than what a story tells apart. */
#define AGAIN_US INT64_C(50000)

/* What a node is asked. Fields cluster_... and total_cluster_... stand in CLUSTER INFO. */
static shoal_slice question_of(const shoal_line *line)
{
    if (line->expect.contract == SHOAL_CONTRACT_REPLY) return shoal_text(line->text);
    bool cluster =
        strncmp(line->text, "cluster_", 8) == 0 || strncmp(line->text, "total_cluster_", 14) == 0;
    return shoal_text(cluster ? "CLUSTER INFO" : "INFO everything");
}

void shoal_ask__round(shoal_world *world, uint32_t index)
{
    const shoal_line *line = world->expect.lines[index];
    shoal_question *question = &world->expect.questions[index];
    uint32_t *nodes = shoal_sim__allocate(world->net.hosts * sizeof(*nodes));
    uint32_t count = shoal_fault__select(world, &line->left, false, nodes);
    SHOAL_ASSERT(question->waiting == 0);
    *question = (shoal_question){.waiting = count};
    for (uint32_t i = 0; i < count; i++) {
        shoal_operator__ask(world, nodes[i], question_of(line), index);
    }
    shoal_sim__free(nodes);
    if (count == 0) shoal_expect__settle(world, index, false, "the selector names nobody");
}

/* ---- replies as texts ---- */

/* Appends the parts of a reply, with blanks between them, as a person would read them. */
static void append_reply(shoal_slice reply, shoal_buffer *out)
{
    shoal_answer part;
    bool first = true;
    while (reply.size > 0 && shoal_answer_next(reply, &part) == SHOAL_ERR_OK) {
        reply.data += part.size;
        reply.size -= part.size;
        if (part.type == '*' && part.integer >= 0) continue;
        if (!first) shoal_text_appendf(out, " ");
        first = false;
        if (part.type == ':')
            shoal_text_appendf(out, "%ld", (long)part.integer);
        else if (part.integer < 0 && (part.type == '$' || part.type == '*'))
            shoal_text_appendf(out, "(nil)");
        else
            shoal_buffer_append(out, part.text);
    }
}

/* Where `what` stands in `text`, or NULL. */
static const char *find(shoal_slice text, shoal_slice what)
{
    for (size_t i = 0; i + what.size <= text.size; i++) {
        if (memcmp(text.data + i, what.data, what.size) == 0) return text.data + i;
    }
    return NULL;
}

static bool right_reply(const shoal_line *line, shoal_slice text, shoal_question *question)
{
    shoal_slice answer = shoal_text(line->answer);
    bool good = line->expect.up ? shoal_text_equal(text, answer) : find(text, answer) != NULL;
    if (good) return true;
    size_t shown = text.size < 100 ? text.size : 100;
    snprintf(question->words, sizeof(question->words), "says %.*s", (int)shown, text.data);
    return false;
}

/* The number behind `FIELD:` or `FIELD=` at the start of a line. */
static bool read_field(shoal_slice text, shoal_slice field, int64_t *out)
{
    for (size_t at = 0; at + field.size + 1 < text.size;) {
        const char *line = text.data + at;
        const char *end = memchr(line, '\n', text.size - at);
        size_t size = end ? (size_t)(end - line) : text.size - at;
        at += size + 1;
        if (size < field.size + 2 || memcmp(line, field.data, field.size) != 0) continue;
        if (line[field.size] != ':' && line[field.size] != '=') continue;
        uint64_t value = 0;
        size_t digits = field.size + 1;
        while (digits < size && line[digits] >= '0' && line[digits] <= '9') digits++;
        shoal_slice number = {line + field.size + 1, digits - field.size - 1};
        if (!shoal_text_to_u64(number, &value) || value > INT64_MAX) return false;
        *out = (int64_t)value;
        return true;
    }
    return false;
}

static bool right_field(const shoal_line *line, shoal_slice text, shoal_question *question)
{
    int64_t found = 0;
    if (!read_field(text, shoal_text(line->text), &found)) {
        snprintf(question->words, sizeof(question->words), "tells no number %.100s", line->text);
        return false;
    }
    snprintf(question->words, sizeof(question->words), "says %lld", (long long)found);
    return shoal_compare__holds(&line->expect, (uint64_t)found);
}

/* ---- judging ---- */

static void round_over(shoal_world *world, uint32_t index)
{
    shoal_question *question = &world->expect.questions[index];
    if (!question->wrong) {
        shoal_expect__settle(world, index, true, "");
    } else if (world->expect.lines[index]->expect.within_us == 0) {
        shoal_expect__settle(world, index, false, question->words);
    } else {
        shoal_world__arrange(world, world->now_us + AGAIN_US, SHOAL_OCCURRENCE_EXPECT_DUE, index,
                             2);
    }
}

void shoal_ask__answered(shoal_world *world, uint32_t index, uint32_t node, shoal_slice reply)
{
    const shoal_line *line = world->expect.lines[index];
    shoal_question *question = &world->expect.questions[index];
    if (world->expect.waits[index] != SHOAL_WAIT_OPEN) return;
    SHOAL_ASSERT(question->waiting > 0);
    shoal_question heard = {0};
    shoal_buffer text = shoal_buffer_make(&world->allocator);
    append_reply(reply, &text);
    bool field = line->expect.contract == SHOAL_CONTRACT_INFO;
    bool good = (field ? right_field : right_reply)(line, shoal_buffer_slice(&text), &heard);
    shoal_buffer_free(&text);
    if (!good && !question->wrong) {
        question->wrong = true;
        snprintf(question->words, sizeof(question->words), "%s %.140s", world->nodes[node].label,
                 heard.words);
    }
    if (--question->waiting == 0) round_over(world, index);
}

void shoal_ask__due(shoal_world *world, uint32_t index)
{
    const shoal_question *question = &world->expect.questions[index];
    char words[sizeof(question->words)];
    snprintf(words, sizeof(words), "%s", question->wrong ? question->words : "no answer in time");
    shoal_expect__settle(world, index, false, words);
}
