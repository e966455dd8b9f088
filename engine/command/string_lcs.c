/* SPDX-License-Identifier: MIT
 *
 * command/string_lcs.c - LCS: the longest common subsequence of two strings, as a job whose steps
 * are bounded. Where several are equally long the choice is Redis's: back from the ends, a pair of
 * equal bytes is always taken, else the first string is shortened only where that loses less.
 *
 *   FORWARD   one row of lengths, L(i, j) for all j, goes down over i, and is kept now and then
 *   REPLAY    a band of rows is computed again from the row kept above it, and for each cell one
 *             bit is noted: whether the way back goes up
 *   TRACE     the way back through the band; then the band above it, until a string is used up
 *
 * So every cell is computed at most twice, and with N rows of M columns it takes memory for
 * M * sqrt(2 N) numbers instead of N * M; where only the length is asked for, M numbers.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/handlers.h"
#include "command/job.h"

/* Cells of a step: some 50 microseconds. */
#define STEP_CELLS (1u << 16)

/* What the client wants to know. */
typedef struct lcs_options {
    bool length, places, with_length;
    int64_t place_size_min;
} lcs_options;

/* Where the work stands. */
typedef enum lcs_phase { FORWARD, REPLAY, TRACE } lcs_phase;

/* The job. Its arrays stand in one block of memory behind it, as far as they are needed. */
typedef struct lcs_job {
    shoal_job job; /* first */
    lcs_options options;
    size_t memory; /* of the whole allocation */
    shoal_slice a, b;
    uint32_t *row;   /* b.size + 1: L(i, 0..j) and L(i - 1, j + 1..) */
    uint32_t *kept;  /* rows 0, stride, 2 * stride ... */
    uint64_t *ups;   /* of the band: bit (i - 1 - band) * (b.size + 1) + j */
    char *common;    /* min(a.size, b.size) bytes, filled from `common_size` down */
    uint32_t stride; /* rows of a band */
    lcs_phase phase;
    uint32_t band;         /* REPLAY, TRACE: the row kept above the band */
    uint32_t i, j;         /* the cell to be computed next */
    uint32_t width;        /* columns that matter: to the right of the way back none does */
    uint32_t diagonal;     /* L(i - 1, j - 1) */
    uint32_t way_i, way_j; /* the cell that the way back has come to */
    uint32_t length;       /* after FORWARD: L(a.size, b.size) */
    uint32_t left;         /* TRACE: pairs still to be found */
    uint32_t run;          /* TRACE: pairs of the match that is being followed */
    size_t match_count;
    shoal_reply_mark mark; /* of the array of matches */
} lcs_job;

/* ---- computing ---- */

/* Computes up to *budget cells of rows down to `end`, from where the job stands. True when row
 * `end` is complete. */
static bool compute(lcs_job *work, uint32_t end, uint32_t *budget)
{
    SHOAL_ASSERT(work->i >= 1 && work->j >= 1);
    size_t columns = work->b.size + 1;
    uint32_t *row = work->row;
    while (work->i <= end) {
        char byte = work->a.data[work->i - 1];
        uint32_t stop = work->width - work->j < *budget ? work->width : work->j + *budget - 1;
        uint32_t diagonal = work->diagonal;
        *budget -= stop - work->j + 1;
        uint64_t bit = (uint64_t)(work->i - 1 - work->band) * columns + work->j;
        for (uint32_t j = work->j; j <= stop; j++, bit++) {
            uint32_t above = row[j];
            bool up = above > row[j - 1];
            row[j] = byte == work->b.data[j - 1] ? diagonal + 1 : up ? above : row[j - 1];
            if (work->phase == REPLAY && up) work->ups[bit / 64] |= (uint64_t)1 << (bit % 64);
            diagonal = above;
        }
        work->diagonal = diagonal;
        work->j = stop + 1;
        if (work->j <= work->width) return false;
        work->j = 1;
        work->diagonal = 0;
        if (work->phase == FORWARD && work->kept != NULL && work->i % work->stride == 0)
            memcpy(work->kept + work->i / work->stride * columns, row, columns * sizeof(*row));
        work->i++;
        if (*budget == 0) break;
    }
    return work->i > end;
}

/* Begins with the band that the way back has come to. */
static void begin_band(lcs_job *work)
{
    SHOAL_ASSERT(work->way_i >= 1 && work->way_j >= 1);
    size_t columns = work->b.size + 1;
    work->phase = REPLAY;
    work->band = (work->way_i - 1) / work->stride * work->stride;
    work->width = work->way_j;
    work->i = work->band + 1;
    work->j = 1;
    work->diagonal = 0;
    memcpy(work->row, work->kept + work->band / work->stride * columns, columns * sizeof(uint32_t));
    uint64_t bits = work->stride * (uint64_t)columns;
    memset(work->ups, 0, (size_t)((bits + 63) / 64 * sizeof(uint64_t)));
}

/* ---- answering ---- */

static void reply_range(shoal_reply *reply, uint32_t first, uint32_t size)
{
    SHOAL_ASSERT(size > 0);
    shoal_reply_array(reply, 2);
    shoal_reply_integer(reply, first);
    shoal_reply_integer(reply, (int64_t)first + size - 1);
}

/* The match that was followed does not go on. */
static void end_match(lcs_job *work, shoal_reply *reply)
{
    SHOAL_ASSERT(work->run > 0);
    uint32_t size = work->run;
    work->run = 0;
    if (!work->options.places || size < work->options.place_size_min) return;
    shoal_reply_array(reply, work->options.with_length ? 3 : 2);
    reply_range(reply, work->way_i, size);
    reply_range(reply, work->way_j, size);
    if (work->options.with_length) shoal_reply_integer(reply, size);
    work->match_count++;
}

/* Goes back through the band. True when it is left, or a string used up. */
static bool trace(lcs_job *work, shoal_reply *reply, uint32_t *budget)
{
    SHOAL_ASSERT(work->phase == TRACE);
    size_t columns = work->b.size + 1;
    for (; work->way_i > work->band && work->way_j > 0 && *budget > 0; --*budget) {
        char byte = work->a.data[work->way_i - 1];
        if (byte == work->b.data[work->way_j - 1]) {
            SHOAL_ASSERT(work->left > 0);
            work->common[--work->left] = byte;
            work->way_i--;
            work->way_j--;
            work->run++;
            continue;
        }
        if (work->run > 0) end_match(work, reply);
        uint64_t bit = (uint64_t)(work->way_i - 1 - work->band) * columns + work->way_j;
        if (work->ups[bit / 64] >> (bit % 64) & 1) {
            work->way_i--;
        } else {
            work->way_j--;
        }
    }
    return work->way_i == work->band || work->way_j == 0;
}

static void reply_end(lcs_job *work, shoal_reply *reply)
{
    SHOAL_ASSERT(work->left == 0);
    if (work->run > 0) end_match(work, reply);
    if (!work->options.places) {
        shoal_reply_bulk(reply, (shoal_slice){work->common, work->length});
        return;
    }
    shoal_reply_end_array(reply, work->mark, work->match_count);
    shoal_reply_text(reply, "len");
    shoal_reply_integer(reply, work->length);
}

/* The row of lengths is complete down to the last: what is asked for? */
static shoal_job_turn begin_answer(lcs_job *work, shoal_reply *reply)
{
    work->length = work->left = work->row[work->b.size];
    SHOAL_ASSERT(work->length <= work->a.size && work->length <= work->b.size);
    if (work->options.length) {
        shoal_reply_integer(reply, work->length);
        return SHOAL_JOB_DONE;
    }
    if (work->options.places) {
        shoal_reply_map(reply, 2);
        shoal_reply_text(reply, "matches");
        work->mark = shoal_reply_begin(reply);
    }
    if (work->length == 0) {
        reply_end(work, reply);
        return SHOAL_JOB_DONE;
    }
    work->way_i = (uint32_t)work->a.size;
    work->way_j = (uint32_t)work->b.size;
    begin_band(work);
    return SHOAL_JOB_AGAIN;
}

static shoal_job_turn step(shoal_job *job, shoal_call *call)
{
    lcs_job *work = (lcs_job *)job;
    uint32_t budget = STEP_CELLS;
    SHOAL_ASSERT(work->a.size > 0 && work->b.size > 0);
    if (work->phase == FORWARD) {
        if (!compute(work, (uint32_t)work->a.size, &budget)) return SHOAL_JOB_AGAIN;
        return begin_answer(work, &call->reply);
    }
    if (work->phase == REPLAY) {
        if (!compute(work, work->way_i, &budget)) return SHOAL_JOB_AGAIN;
        work->phase = TRACE;
    }
    if (!trace(work, &call->reply, &budget)) return SHOAL_JOB_AGAIN;
    if (work->way_i == 0 || work->way_j == 0) {
        reply_end(work, &call->reply);
        return SHOAL_JOB_DONE;
    }
    begin_band(work);
    return SHOAL_JOB_AGAIN;
}

/* ---- making ---- */

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(job->step == step);
    shoal_memory_give(allocator, job, ((lcs_job *)job)->memory, SHOAL_ALIGN_PLAIN);
}

/* Rows of a band so that the rows kept, of four bytes a cell, and the bits of a band are about
 * equally large: the root of 32 times the number of rows. */
static uint32_t stride_for(size_t rows)
{
    SHOAL_ASSERT(rows > 0);
    uint64_t stride = 8;
    while (stride * stride < 32 * (uint64_t)rows) stride += 1 + stride / 16;
    return (uint32_t)stride;
}

/* Takes the memory for a job that compares `a` and `b`, which are copied. NULL without. */
static lcs_job *make_job(const shoal_allocator *allocator, const lcs_options *options,
                         shoal_slice a, shoal_slice b)
{
    SHOAL_ASSERT(a.size > 0 && b.size > 0);
    uint32_t stride = stride_for(a.size);
    size_t columns = b.size + 1, shorter = a.size < b.size ? a.size : b.size;
    size_t row_size = columns * sizeof(uint32_t);
    size_t kept_size = options->length ? 0 : (a.size / stride + 1) * row_size;
    size_t bits = options->length ? 0 : (size_t)stride * columns;
    size_t bits_size = (bits + 63) / 64 * sizeof(uint64_t);
    size_t head = (sizeof(lcs_job) + 15) & ~(size_t)15;
    size_t memory =
        head + bits_size + row_size + kept_size + a.size + b.size + (options->length ? 0 : shorter);
    char *at = shoal_memory_take(allocator, memory, SHOAL_ALIGN_PLAIN);
    if (at == NULL) return NULL;
    lcs_job *work = (lcs_job *)(void *)at;
    *work = (lcs_job){.job = {.step = step, .drop = drop},
                      .options = *options,
                      .memory = memory,
                      .stride = stride,
                      .width = (uint32_t)b.size,
                      .i = 1,
                      .j = 1};
    at += head;
    work->ups = (uint64_t *)(void *)at;
    at += bits_size;
    work->row = (uint32_t *)(void *)at;
    memset(work->row, 0, row_size);
    at += row_size;
    if (kept_size > 0) {
        work->kept = (uint32_t *)(void *)at;
        memset(work->kept, 0, row_size);
    }
    at += kept_size;
    memcpy(at, a.data, a.size);
    work->a = (shoal_slice){at, a.size};
    at += a.size;
    memcpy(at, b.data, b.size);
    work->b = (shoal_slice){at, b.size};
    work->common = at + b.size;
    return work;
}

/* ---- LCS ---- */

static bool parse(shoal_call *call, lcs_options *options)
{
    SHOAL_ASSERT(call->argc >= 3);
    for (uint32_t i = 3; i < call->argc; i++) {
        if (shoal_call__word(call, i, "idx")) {
            options->places = true;
        } else if (shoal_call__word(call, i, "len")) {
            options->length = true;
        } else if (shoal_call__word(call, i, "withmatchlen")) {
            options->with_length = true;
        } else if (shoal_call__word(call, i, "minmatchlen") && i + 1 < call->argc) {
            if (!shoal_call__integer(call, ++i, &options->place_size_min)) return false;
        } else {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return false;
        }
    }
    if (!options->places || !options->length) return true;
    shoal_reply_error(&call->reply,
                      "ERR If you want both the length and indexes, please just use IDX.");
    return false;
}

/* Nothing is common to an empty string and another. */
static void reply_nothing(shoal_call *call, const lcs_options *options)
{
    SHOAL_ASSERT(!options->places || !options->length);
    if (options->length) {
        shoal_reply_integer(&call->reply, 0);
    } else if (options->places) {
        shoal_reply_map(&call->reply, 2);
        shoal_reply_text(&call->reply, "matches");
        shoal_reply_array(&call->reply, 0);
        shoal_reply_text(&call->reply, "len");
        shoal_reply_integer(&call->reply, 0);
    } else {
        shoal_reply_bulk(&call->reply, (shoal_slice){"", 0});
    }
}

void shoal_command__lcs(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 2);
    char scratch[2][SHOAL_INT_TEXT_SIZE];
    shoal_slice texts[2] = {{"", 0}, {"", 0}};
    for (uint32_t i = 0; i < 2; i++) {
        const shoal_item *item = shoal_call__look(call, i);
        if (item == NULL) continue;
        if (shoal_item_type(item) != SHOAL_TYPE_STRING) {
            shoal_reply_error(&call->reply, "ERR The specified keys must contain string values");
            return;
        }
        texts[i] = shoal_item_string(item, scratch[i]);
    }
    lcs_options options = {0};
    if (!parse(call, &options)) return;
    if (texts[0].size == 0 || texts[1].size == 0) {
        reply_nothing(call, &options);
        return;
    }
    /* The table that Redis would need is refused where it does not fit in a string, and bounds the
     * work here too. Neither length reaches 2^31, so that the product is right. */
    uint64_t cells = (uint64_t)(texts[0].size + 1) * (texts[1].size + 1);
    if (cells > shoal_call__settings(call)->bulk_size_max / sizeof(uint32_t)) {
        shoal_reply_error(&call->reply, "ERR Insufficient memory, transient memory for LCS exceeds "
                                        "proto-max-bulk-len");
        return;
    }
    lcs_job *work = make_job(&call->env->allocator, &options, texts[0], texts[1]);
    if (work == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    bool small = texts[0].size * texts[1].size <= STEP_CELLS;
    if (small || call->whole) {
        shoal_job__finish(&work->job, call);
    } else {
        call->job = &work->job;
    }
}
