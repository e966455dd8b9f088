/* SPDX-License-Identifier: MIT
 *
 * The clients that a seed draws, and what they are promised: that nothing which they find, miss or
 * lose is without a cause; and where there is one copy of each key, on a disk that is waited for,
 * that what they were told has an order that explains it.
 */
#include "sim/draw.h"

#include <string.h>

#include "base/assert.h"
#include "sim/random.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

/* Purposes of streams, beside those of sim/draw.c. */
enum { DRAW_CLIENTS = 5, DRAW_MIX = 9 };

/* Whoever waits so long for a node waits for an hour of operations too. */
#define PATIENT_US (INT64_C(100) * SECOND)

/* ---- what clients do ---- */

static shoal_load draw_load(shoal_prng *stream)
{
    static const uint32_t keys[] = {1, 10, 100, 1000, 5000};
    static const uint32_t rates[] = {5, 20, 50, 100, 300};
    static const uint32_t sizes[] = {8, 32, 64, 500, 4000};
    static const uint32_t sets[] = {10, 50, 90, 100};
    shoal_load load = {.rate_milli = UINT64_C(1000) * rates[shoal_prng_below(stream, 5)],
                       .keys = keys[shoal_prng_below(stream, 5)],
                       .value_size = sizes[shoal_prng_below(stream, 5)],
                       .set_weight = sets[shoal_prng_below(stream, 4)],
                       .timeout_us = 500 * MS * shoal_prng_between(stream, 1, 6)};
    load.get_weight = 100 - load.set_weight;
    if (shoal_draw__percent(stream, 50))
        load.zipf_milli = 100u * (uint32_t)shoal_prng_between(stream, 5, 15);
    load.reads_replicas = shoal_draw__percent(stream, 25);
    return load;
}

/* Half of the clients delete, count or let values expire too. */
static void draw_mix(shoal_prng *mix, shoal_load *load)
{
    static const int64_t ttls_ms[] = {20, 300, 1000, 5000, 30000};
    bool varied = shoal_draw__percent(mix, 50);
    bool deletes = shoal_draw__percent(mix, 50), counts = shoal_draw__percent(mix, 50);
    bool expires = shoal_draw__percent(mix, 50);
    int64_t ttl_us = ttls_ms[shoal_prng_below(mix, 5)] * MS;
    if (!varied) return;
    if (deletes) load->del_weight = 1 + (uint32_t)shoal_prng_below(mix, 20);
    if (counts) load->incr_weight = 5 + (uint32_t)shoal_prng_below(mix, 40);
    if (expires) load->px_weight = 5 + (uint32_t)shoal_prng_below(mix, 40);
    if (expires) load->ttl_us = ttl_us;
}

void shoal_draw__clients(shoal_drawing *drawing)
{
    static const uint32_t weights[] = {10, 40, 35, 15, 0};
    shoal_prng stream = shoal_draw__stream(drawing, DRAW_CLIENTS);
    shoal_prng mix = shoal_draw__stream(drawing, DRAW_MIX);
    drawing->clients = shoal_draw__weighted(&stream, weights);
    for (uint32_t i = 0; i < drawing->clients; i++) {
        int64_t at_us = drawing->from_us - 100 * MS * shoal_prng_between(&stream, 1, 30);
        shoal_line *line = shoal_draft__add(&drawing->draft, SHOAL_LINE_CLIENT, at_us);
        line->left = shoal_draft__client(i);
        line->load = draw_load(&stream);
        draw_mix(&mix, &line->load);
        /* An hour of operations takes too long. */
        if (drawing->timeout_us >= PATIENT_US) line->load.rate_milli = 1000;
    }
}

/* ---- what they are promised ---- */

shoal_line *shoal_draw__expect(shoal_drawing *drawing, int64_t at_us, shoal_contract contract)
{
    shoal_line *line = shoal_draft__add(&drawing->draft, SHOAL_LINE_EXPECT, at_us);
    line->expect.contract = contract;
    return line;
}

static void expect_cause(shoal_drawing *drawing, int64_t at_us, shoal_contract contract,
                         shoal_cause cause)
{
    shoal_draw__expect(drawing, at_us, contract)->expect.cause = cause;
}

static void expect_none(shoal_drawing *drawing, int64_t at_us, shoal_anomaly class_)
{
    shoal_line *line = shoal_draw__expect(drawing, at_us, SHOAL_CONTRACT_ANOMALIES);
    line->expect.class_ = (uint32_t)class_ + 1;
    line->expect.cause = SHOAL_CAUSE_ALIVE;
}

/* The longest that a message may be under way when no fault is in force. */
static int64_t longest_us(const shoal_drawing *drawing)
{
    int64_t most_us = 0;
    for (uint32_t i = 0; i < drawing->draft.count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        const shoal_quality *quality = &line->quality;
        if (line->kind != SHOAL_LINE_NET || line->at_us > 0) continue;
        if (quality->latency_us < 0 || quality->jitter_us < 0 || quality->shape < 0) continue;
        int64_t jitter_us =
            shoal_random__jitter((shoal_shape)quality->shape, quality->jitter_us, UINT64_MAX);
        if (quality->latency_us + jitter_us > most_us) most_us = quality->latency_us + jitter_us;
    }
    SHOAL_ASSERT(most_us >= 0);
    return most_us;
}

/* A client that is served without errors, each time within `timeout_us`. */
static void serve(shoal_drawing *drawing, int64_t at_us, int64_t until_us, int64_t timeout_us)
{
    shoal_line *client = shoal_draft__add(&drawing->draft, SHOAL_LINE_CLIENT, at_us);
    client->left = shoal_draft__client(drawing->clients);
    client->load = (shoal_load){.rate_milli = 50000,
                                .keys = 100,
                                .set_weight = 50,
                                .get_weight = 50,
                                .value_size = 16,
                                .timeout_us = timeout_us};
    shoal_line *errors = shoal_draw__expect(drawing, until_us, SHOAL_CONTRACT_ERRORS);
    errors->expect.has_since = true;
    errors->expect.since_us = at_us;
    shoal_draft__add(&drawing->draft, SHOAL_LINE_STOP, until_us)->left = shoal_draft__all();
}

static bool has_config(const shoal_drawing *drawing, const char *text)
{
    for (uint32_t i = 0; i < drawing->draft.count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        if (line->kind == SHOAL_LINE_CONFIG && strcmp(line->text, text) == 0) return true;
    }
    return false;
}

/* No node answers a write before its disk has it. */
static bool all_sync(const shoal_drawing *drawing)
{
    bool safe = !has_config(drawing, "no-appendfsync-on-rewrite yes");
    for (uint32_t i = 0; i < drawing->nodes; i++) safe = safe && drawing->syncs[i];
    return safe;
}

/* Can an order of the operations be told? Of values that expire nobody says when they did, and of
 * deletions and of writes without an answer it takes too long. */
static bool is_ordered(const shoal_drawing *drawing)
{
    if (drawing->replicas > 0 || drawing->deceived || drawing->gone != 0) return false;
    for (uint32_t i = 0; i < drawing->draft.count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        if (line->kind != SHOAL_LINE_CLIENT) continue;
        if (line->load.px_weight + line->load.del_weight > 0) return false;
    }
    return all_sync(drawing);
}

int64_t shoal_draw__promises(shoal_drawing *drawing, int64_t at_us)
{
    SHOAL_ASSERT(drawing->clients > 0);
    shoal_draft__add(&drawing->draft, SHOAL_LINE_STOP, drawing->until_us)->left =
        shoal_draft__all();
    /* Two handshakes, two requests and a redirection are eight messages under way. */
    int64_t timeout_us = (8 * longest_us(drawing) + SECOND - 1) / SECOND * SECOND;
    if (timeout_us < SECOND) timeout_us = SECOND;
    serve(drawing, at_us, at_us + 2 * SECOND + timeout_us, timeout_us);
    at_us += 4 * SECOND + timeout_us;
    expect_cause(drawing, at_us, SHOAL_CONTRACT_STALE_READS, SHOAL_CAUSE_ALIVE);
    expect_cause(drawing, at_us, SHOAL_CONTRACT_RESURRECTED, SHOAL_CAUSE_ALIVE);
    expect_cause(drawing, at_us, SHOAL_CONTRACT_SESSION_BREAKS, SHOAL_CAUSE_ALIVE);
    expect_none(drawing, at_us, SHOAL_ANOMALY_DOUBLE_APPLY);
    expect_none(drawing, at_us, SHOAL_ANOMALY_EARLY_EXPIRY);
    expect_none(drawing, at_us, SHOAL_ANOMALY_CROSS_REPLY);
    expect_cause(drawing, at_us, SHOAL_CONTRACT_LOST_ACKS, SHOAL_CAUSE_ALIVE);
    if (all_sync(drawing))
        expect_cause(drawing, at_us, SHOAL_CONTRACT_LOST_ACKS, SHOAL_CAUSE_CRASH);
    if (is_ordered(drawing)) shoal_draw__expect(drawing, at_us, SHOAL_CONTRACT_LINEARIZABLE);
    return at_us;
}
