/* SPDX-License-Identifier: MIT
 *
 * command/latency_picture.c - LATENCY GRAPH and the words of LATENCY DOCTOR.
 */
#include "command/latency_picture.h"

#include "base/assert.h"
#include "base/text.h"

/* Rows of a graph, and what stands below them: an age of at most this many characters. Chosen. */
#define GRAPH_ROWS 4
#define AGE_SIZE 4u

/* The columns between the worst and the best: three steps a row. */
static char mark_at(int64_t steps, int row)
{
    SHOAL_ASSERT(row >= 0 && row < GRAPH_ROWS);
    int64_t here = steps - (int64_t)row * 3;
    if (here < 0) return ' ';
    return here == 0 ? '_' : here == 1 ? 'o' : here == 2 ? '#' : '|';
}

/* "58s", "3m", "12h", "4d": the unit of what is not too long for it. */
static size_t age_of(int64_t seconds, char out[AGE_SIZE])
{
    static const struct {
        int64_t seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    SHOAL_DEBUG_ASSERT(out != NULL);
    if (seconds < 0) seconds = 0;
    size_t unit = 0;
    while (unit < 3 && seconds < units[unit].seconds) unit++;
    int64_t number = seconds / units[unit].seconds;
    size_t size = 0;
    if (number > 999) number = 999;
    if (number > 99) out[size++] = (char)('0' + number / 100);
    if (number > 9) out[size++] = (char)('0' + number / 10 % 10);
    out[size++] = (char)('0' + number % 10);
    out[size++] = units[unit].letter;
    return size;
}

static void range_of(const shoal_latency_picture *picture, int64_t *low, int64_t *high)
{
    SHOAL_ASSERT(picture->count > 0);
    *low = *high = picture->samples[0].ms;
    for (uint32_t i = 1; i < picture->count; i++) {
        int64_t ms = picture->samples[i].ms;
        if (ms < *low) *low = ms;
        if (ms > *high) *high = ms;
    }
}

void shoal_latency_picture__graph(const shoal_latency_picture *picture, int64_t wall_s,
                                  shoal_buffer *out)
{
    int64_t low, high;
    range_of(picture, &low, &high);
    SHOAL_ASSERT(low <= high);
    shoal_text_appendf(out, "%s - high %lld ms, low %lld ms (all time high %lld ms)\n",
                       picture->name, (long long)high, (long long)low, (long long)picture->ms_max);
    for (int i = 0; i < 80; i++) shoal_buffer_append(out, shoal_text("-"));
    shoal_buffer_append(out, shoal_text("\n"));
    int64_t steps = GRAPH_ROWS * 3 - 1, span = high > low ? high - low : 1;
    for (int row = GRAPH_ROWS - 1; row >= 0; row--) {
        for (uint32_t i = 0; i < picture->count; i++) {
            char mark = mark_at((picture->samples[i].ms - low) * steps / span, row);
            shoal_buffer_append(out, (shoal_slice){&mark, 1});
        }
        shoal_buffer_append(out, shoal_text("\n"));
    }
    shoal_buffer_append(out, shoal_text("\n"));
    for (uint32_t row = 0; row < AGE_SIZE; row++) {
        for (uint32_t i = 0; i < picture->count; i++) {
            char age[AGE_SIZE];
            size_t size = age_of(wall_s - picture->samples[i].wall_s, age);
            shoal_buffer_append(out, (shoal_slice){row < size ? &age[row] : " ", 1});
        }
        shoal_buffer_append(out, shoal_text("\n"));
    }
}

void shoal_latency_picture__describe(const shoal_latency_picture *picture, uint32_t number,
                                     shoal_buffer *out)
{
    int64_t low, high, sum = 0;
    range_of(picture, &low, &high);
    for (uint32_t i = 0; i < picture->count; i++) sum += picture->samples[i].ms;
    int64_t span = picture->samples[picture->count - 1].wall_s - picture->samples[0].wall_s;
    SHOAL_ASSERT(span >= 0);
    shoal_text_appendf(out,
                       "\n%u. %s: %u late seconds within %lld s. The average of their worst is "
                       "%lld ms, the range %lld to %lld ms, the worst ever %lld ms.\n",
                       number, picture->name, picture->count, (long long)span + 1,
                       (long long)(sum / picture->count), (long long)low, (long long)high,
                       (long long)picture->ms_max);
}

void shoal_latency_picture__advise_on_settings(int64_t late_ms, int64_t slow_us, uint32_t events,
                                               shoal_buffer *out)
{
    SHOAL_ASSERT(late_ms >= 0);
    if (late_ms == 0) {
        shoal_text_appendf(out, "Latency monitoring is off. CONFIG SET latency-monitor-threshold "
                                "MILLISECONDS turns it on.\n");
        return;
    }
    if (events == 0) {
        shoal_text_appendf(out, "Nothing took %lld ms or longer since the last LATENCY RESET.\n",
                           (long long)late_ms);
        return;
    }
    shoal_text_appendf(out, "Some commands took %lld ms or longer.\n", (long long)late_ms);
    if (slow_us < 0) {
        shoal_text_appendf(out,
                           "The slow log is off: with CONFIG SET slowlog-log-slower-than %lld "
                           "it would name them.\n",
                           (long long)late_ms * 1000);
    } else if (slow_us > late_ms * 1000) {
        shoal_text_appendf(out,
                           "The slow log names only those slower than %lld us; CONFIG SET "
                           "slowlog-log-slower-than %lld would have it name all of them.\n",
                           (long long)slow_us, (long long)late_ms * 1000);
    } else {
        shoal_text_appendf(out, "SLOWLOG GET names them.\n");
    }
}
