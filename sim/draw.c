/* SPDX-License-Identifier: MIT
 *
 * What a seed draws besides its faults and its clients: the cluster, its configuration, the
 * network, and the end of the run, where everything is healed and the cluster must find itself
 * again. A given schedule takes the place of what it speaks of.
 */
#include "sim/draw.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/memory.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

/* Purposes of streams. Never renumber: every seed would mean another schedule. Those of clients are
 * 5 and 9; those of faults begin at 100. */
enum {
    DRAW_CLUSTER = 1,
    DRAW_CONFIG = 2,
    DRAW_DATA = 3,
    DRAW_NET = 4,
    DRAW_TIMES = 6,
    DRAW_PROFILE = 7,
    DRAW_PATIENCE = 8
};

/* Most nodes that are drawn: enough for every path that a few votes take, and still fast. */
#define NODES_MAX 24u

/* A node timeout of people who would rather wait: longer than TCP tries to connect, 127 s. */
#define PATIENT_MS INT64_C(140000)

/* ---- chance ---- */

shoal_prng shoal_draw__stream(const shoal_drawing *drawing, uint32_t purpose)
{
    return shoal_prng_make(drawing->key, 0, purpose);
}

uint32_t shoal_draw__weighted(shoal_prng *stream, const uint32_t *weights)
{
    uint64_t sum = 0;
    uint32_t index = 0;
    for (uint32_t i = 0; weights[i] > 0; i++) sum += weights[i];
    SHOAL_ASSERT(sum > 0);
    uint64_t aim = shoal_prng_below(stream, sum);
    while (aim >= weights[index]) aim -= weights[index++];
    return index;
}

bool shoal_draw__percent(shoal_prng *stream, uint32_t percent)
{
    return shoal_prng_chance_ppm(stream, percent * 10000);
}

/* ---- the cluster ---- */

static void draw_cluster(shoal_drawing *drawing)
{
    static const uint32_t masters_weights[] = {3, 5, 45, 12, 15, 10, 4, 4, 2, 0};
    static const uint32_t replicas_weights[] = {20, 50, 24, 6, 0};
    static const uint32_t timeout_weights[] = {40, 30, 10, 14, 6, 0};
    static const int64_t timeouts_ms[] = {1000, 2000, 3000, 5000, 15000};
    static const uint32_t meet_weights[] = {60, 20, 20, 0};
    shoal_prng stream = shoal_draw__stream(drawing, DRAW_CLUSTER);
    shoal_line *line = shoal_draft__add(&drawing->draft, SHOAL_LINE_CLUSTER, 0);
    line->masters = shoal_draw__weighted(&stream, masters_weights) + 1;
    line->replicas = shoal_draw__weighted(&stream, replicas_weights);
    line->node_timeout_us = timeouts_ms[shoal_draw__weighted(&stream, timeout_weights)] * MS;
    line->choice = (int32_t)shoal_draw__weighted(&stream, meet_weights);
    shoal_prng patience = shoal_draw__stream(drawing, DRAW_PATIENCE);
    if (shoal_draw__percent(&patience, 1)) line->node_timeout_us = PATIENT_MS * MS;
    uint32_t spare = shoal_draw__percent(&stream, 12);
    while (line->masters * (1 + line->replicas) + spare > NODES_MAX) line->replicas--;
    line->nodes = line->masters * (1 + line->replicas) + spare;
}

/* Takes over what the cluster line says. */
static void note_cluster(shoal_drawing *drawing)
{
    const shoal_line *line = &drawing->draft.lines[drawing->draft.count - 1];
    drawing->nodes = line->nodes;
    drawing->masters = line->masters;
    drawing->replicas = line->replicas;
    drawing->timeout_us = line->node_timeout_us;
    drawing->logs = shoal_sim__allocate(line->nodes * sizeof(bool));
    drawing->syncs = shoal_sim__allocate(line->nodes * sizeof(bool));
}

/* ---- configuration ---- */

static void config(shoal_drawing *drawing, const char *text)
{
    shoal_draft__say(&drawing->draft, SHOAL_LINE_CONFIG, 0, "%s", text)->left = shoal_draft__all();
}

/* One of these directives, or none, with so many parts in a hundred for each. */
typedef struct choice {
    const char *text;
    uint32_t percent;
} choice;

static void choose(shoal_drawing *drawing, shoal_prng *stream, const choice *choices)
{
    uint64_t aim = shoal_prng_below(stream, 100);
    for (; choices->text; choices++) {
        if (aim < choices->percent) {
            config(drawing, choices->text);
            return;
        }
        aim -= choices->percent;
    }
}

static void draw_manners(shoal_drawing *drawing)
{
    static const choice choices[][4] = {
        {{"cluster-voters all", 20}},
        {{"cluster-require-full-coverage no", 60}},
        {{"cluster-allow-reads-when-down yes", 20}},
        {{"cluster-replica-validity-factor 0", 25}, {"cluster-replica-validity-factor 2", 10}},
        {{"cluster-migration-barrier 0", 10}, {"cluster-migration-barrier 2", 10}},
        {{"repl-backlog-size 16kb", 25}},
        {{"repl-diskless-sync no", 25}, {"repl-diskless-sync-delay 0", 40}},
        {{"repl-diskless-load swapdb", 15}, {"repl-diskless-load on-empty-db", 10}},
        {{"repl-timeout 5", 15}},
        {{"repl-backlog-ttl 5", 10}},
    };
    shoal_prng stream = shoal_draw__stream(drawing, DRAW_CONFIG);
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        choose(drawing, &stream, choices[i]);
    }
    drawing->migrates = shoal_draw__percent(&stream, 60);
    if (!drawing->migrates) config(drawing, "cluster-allow-replica-migration no");
}

/* Which nodes have an append-only file, and when it is synced. */
static void draw_log(shoal_drawing *drawing, shoal_prng *stream)
{
    enum { NOBODY, EVERYSEC, ALWAYS, NEVER, SOME };
    static const uint32_t weights[] = {35, 25, 20, 8, 12, 0};
    uint32_t kind = shoal_draw__weighted(stream, weights);
    if (kind == NOBODY) return;
    if (kind == ALWAYS) config(drawing, "appendfsync always");
    if (kind == NEVER) config(drawing, "appendfsync no");
    if (kind != SOME) config(drawing, "appendonly yes");
    for (uint32_t i = 0; i < drawing->nodes; i++) {
        drawing->logs[i] = kind != SOME || shoal_draw__percent(stream, 50);
        drawing->syncs[i] = kind == ALWAYS;
        if (kind != SOME || !drawing->logs[i]) continue;
        shoal_draft__say(&drawing->draft, SHOAL_LINE_CONFIG, 0, "appendonly yes")->left =
            shoal_draft__node(i);
    }
}

static void draw_data(shoal_drawing *drawing)
{
    static const choice choices[][3] = {
        {{"save \"\"", 60}, {"save 2 100", 20}},
        {{"aof-use-rdb-preamble no", 25}},
        {{"auto-aof-rewrite-min-size 16kb", 30}},
        {{"no-appendfsync-on-rewrite yes", 15}},
    };
    shoal_prng stream = shoal_draw__stream(drawing, DRAW_DATA);
    draw_log(drawing, &stream);
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        choose(drawing, &stream, choices[i]);
    }
    /* A failed snapshot would have all writes refused until the next one, far behind the end. */
    config(drawing, "stop-writes-on-bgsave-error no");
}

/* Whose rules the nodes follow, unless what is given leaves that to itself. */
static void draw_profile(shoal_drawing *drawing)
{
    const shoal_schedule *given = drawing->options.given;
    shoal_prng stream = shoal_draw__stream(drawing, DRAW_PROFILE);
    bool eager = shoal_draw__percent(&stream, 50);
    uint32_t profile = drawing->options.profile;
    if (profile == 0 && given) profile = given->profiles[0];
    if (profile == 0 && given) return;
    if (profile == 0) profile = eager ? SHOAL_PROFILE_OF_SHOAL : SHOAL_PROFILE_OF_REDIS;
    drawing->profile = profile;
    shoal_line *line = shoal_draft__add(&drawing->draft, SHOAL_LINE_PROFILES, 0);
    line->choice = (int32_t)profile;
    line->both = given && given->profiles[1] != 0;
}

/* ---- the network ---- */

static shoal_quality draw_quality(const shoal_drawing *drawing, shoal_prng *stream)
{
    static const uint32_t weights[] = {10, 25, 30, 15, 10, 6, 4, 0};
    static const int64_t latencies_us[] = {50, 200, 500, 1000, 3000, 10000, 30000};
    static const uint32_t rate_weights[] = {75, 10, 15, 0};
    static const int64_t rates[] = {0, 12500000, 1250000};
    shoal_quality quality;
    int64_t most = drawing->timeout_us / 40;
    quality.latency_us = latencies_us[shoal_draw__weighted(stream, weights)];
    if (quality.latency_us > most) quality.latency_us = most;
    quality.jitter_us = quality.latency_us * (int64_t)shoal_prng_below(stream, 11) / 10;
    quality.shape = (int32_t)shoal_prng_below(stream, SHOAL_SHAPE_COUNT);
    quality.split_ppm = (int32_t)shoal_prng_below(stream, 5) * 50000;
    quality.rate_bytes_per_s = rates[shoal_draw__weighted(stream, rate_weights)];
    return quality;
}

static void draw_net(shoal_drawing *drawing)
{
    shoal_prng stream = shoal_draw__stream(drawing, DRAW_NET);
    shoal_line *line = shoal_draft__add(&drawing->draft, SHOAL_LINE_NET, 0);
    line->left = shoal_draft__all();
    line->quality = draw_quality(drawing, &stream);
    uint32_t odd =
        shoal_draw__percent(&stream, 25) ? 1 + (uint32_t)shoal_prng_below(&stream, 3) : 0;
    for (uint32_t i = 0; i < odd; i++) {
        line = shoal_draft__add(&drawing->draft, SHOAL_LINE_NET, 0);
        line->left = shoal_draft__node((uint32_t)shoal_prng_below(&stream, drawing->nodes));
        line->quality = draw_quality(drawing, &stream);
    }
}

/* ---- the end ---- */

/* All faults end. */
static void heal(shoal_drawing *drawing, int64_t at_us)
{
    static const shoal_line_kind kinds[] = {SHOAL_LINE_HEAL, SHOAL_LINE_DISK, SHOAL_LINE_RESUME,
                                            SHOAL_LINE_CLOCK, SHOAL_LINE_RESTART};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        shoal_line *line = shoal_draft__add(&drawing->draft, kinds[i], at_us);
        line->left = shoal_draft__all();
        if (kinds[i] == SHOAL_LINE_CLOCK) line->choice = SHOAL_CLOCK_RUN;
    }
}

/* What an operator does from `at_us` on; when that is done. */
static int64_t operate(shoal_drawing *drawing, const shoal_draft *what, int64_t at_us)
{
    int64_t done_us = at_us;
    for (uint32_t i = 0; i < what->count; i++) {
        shoal_line *line = shoal_draft__copy(&drawing->draft, &what->lines[i]);
        line->at_us += at_us;
        if (line->at_us > done_us) done_us = line->at_us;
    }
    return done_us + SECOND;
}

/* What an operator mends, when the cluster has had time to mend the rest; when that is done. An
 * epoch that is to be newer than any must be taken by who knows the others, so slots come behind
 * introductions. Where those wait, slots do not, or the cluster would be left with two maps. */
static int64_t mend(shoal_drawing *drawing, int64_t at_us)
{
    bool meets = drawing->mends.count > 0, settles = drawing->slots.count > 0;
    if (!meets && !settles) return at_us;
    at_us += 6 * drawing->timeout_us + 12 * SECOND;
    if (meets && at_us < drawing->mend_us) {
        int64_t settled_us = operate(drawing, &drawing->slots, at_us);
        at_us = settled_us > drawing->mend_us ? settled_us : drawing->mend_us;
    }
    if (!meets) return operate(drawing, &drawing->slots, at_us);
    int64_t met_us = operate(drawing, &drawing->mends, at_us);
    if (!settles) return met_us;
    int64_t known_us = at_us + 2 * drawing->timeout_us + 5 * SECOND;
    return operate(drawing, &drawing->slots, known_us > met_us ? known_us : met_us);
}

/* Processes that were told to end may take their time, and end behind the line that was to start
 * them again: once more, but for the one that does not come back with what it had. */
static void start_late(shoal_drawing *drawing, int64_t at_us)
{
    uint32_t count = drawing->draft.count;
    for (uint32_t i = 0; i < count; i++) {
        const shoal_line *line = &drawing->draft.lines[i];
        if (line->kind != SHOAL_LINE_OPERATE || strncmp(line->text, "SHUTDOWN", 8) != 0) continue;
        if (drawing->gone == line->left.atoms[0].first) continue;
        shoal_selector who = line->left;
        shoal_draft__add(&drawing->draft, SHOAL_LINE_RESTART, at_us)->left = who;
    }
}

/* A ping that was lost together with the power of a host that had taken it is waited for without
 * end by the rules of Redis 7.0, which is known. Here all connections end in time, as keep-alives
 * would have it, so that sweeps can find what is not known. */
static void end_connections(shoal_drawing *drawing, int64_t at_us)
{
    bool power = drawing->dangling;
    for (uint32_t i = 0; i < drawing->draft.count; i++)
        power = power || drawing->draft.lines[i].power;
    if (!power || drawing->profile == SHOAL_PROFILE_OF_SHOAL) return;
    shoal_line *line = shoal_draft__add(&drawing->draft, SHOAL_LINE_RESET, at_us);
    line->left = line->right = shoal_draft__all();
    line->relation = SHOAL_RELATION_BOTH;
}

/* A cluster that nothing disturbs any more finds itself again, serves, and has what nothing excuses
 * the loss of. */
static void draw_end(shoal_drawing *drawing)
{
    static const shoal_contract contracts[] = {SHOAL_CONTRACT_CONVERGE, SHOAL_CONTRACT_SLOTS,
                                               SHOAL_CONTRACT_STATE};
    int64_t at_us = drawing->until_us;
    /* Chosen: a failure is seen within 1.5 timeouts and forgiven within two, an election takes two
     * and is repeated after four; and a snapshot waits for five seconds. */
    int64_t within_us = 12 * drawing->timeout_us + 25 * SECOND;
    heal(drawing, at_us);
    start_late(drawing, at_us + 15 * SECOND);
    end_connections(drawing, at_us + SECOND);
    at_us = mend(drawing, at_us);
    for (size_t i = 0; i < sizeof(contracts) / sizeof(contracts[0]); i++) {
        shoal_line *line = shoal_draw__expect(drawing, at_us, contracts[i]);
        line->expect.within_us = within_us;
        line->expect.up = true;
        if (contracts[i] == SHOAL_CONTRACT_STATE) line->left = shoal_draft__all();
    }
    at_us += within_us;
    if (drawing->clients > 0) at_us = shoal_draw__promises(drawing, at_us);
    shoal_draft__add(&drawing->draft, SHOAL_LINE_END, at_us + 20 * SECOND);
}

/* ---- all ---- */

/* What kinds of lines a given schedule has. */
typedef struct given_lines {
    bool config, net, clients, faults, expects;
    int64_t last_us;
} given_lines;

static void note_line(given_lines *given, const shoal_line *line)
{
    switch (line->kind) {
    case SHOAL_LINE_CONFIG: given->config = true; break;
    case SHOAL_LINE_NET: given->net = true; break;
    case SHOAL_LINE_CLIENT:
    case SHOAL_LINE_STOP: given->clients = true; break;
    case SHOAL_LINE_EXPECT: given->expects = true; break;
    case SHOAL_LINE_SCHEDULE:
    case SHOAL_LINE_SEED:
    case SHOAL_LINE_CLUSTER:
    case SHOAL_LINE_PROFILES:
    case SHOAL_LINE_SAY:
    case SHOAL_LINE_END: break;
    default: given->faults = true;
    }
    if (line->at_us > given->last_us) given->last_us = line->at_us;
}

/* The first lines, and everything that is given. */
static given_lines take_given(shoal_drawing *drawing)
{
    const shoal_schedule *schedule = drawing->options.given;
    given_lines given = {false};
    shoal_draft__add(&drawing->draft, SHOAL_LINE_SCHEDULE, 0);
    shoal_draft__add(&drawing->draft, SHOAL_LINE_SEED, 0)->amount = (int64_t)drawing->options.seed;
    if (schedule == NULL) draw_cluster(drawing);
    for (uint32_t i = 0; schedule && i < schedule->count; i++) {
        if (schedule->lines[i].kind != SHOAL_LINE_CLUSTER) continue;
        shoal_draft__copy(&drawing->draft, &schedule->lines[i]);
    }
    note_cluster(drawing);
    draw_profile(drawing);
    for (uint32_t i = 0; schedule && i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        note_line(&given, line);
        if (line->kind >= SHOAL_LINE_CONFIG) shoal_draft__copy(&drawing->draft, line);
    }
    return given;
}

/* When faults begin and end: the cluster needs a few seconds to be made, and faults that last for
 * some timeouts need room. */
static void draw_times(shoal_drawing *drawing, const given_lines *given)
{
    shoal_prng stream = shoal_draw__stream(drawing, DRAW_TIMES);
    drawing->from_us = 8 * SECOND + 2 * drawing->timeout_us;
    int64_t length_us = drawing->timeout_us * shoal_prng_between(&stream, 4, 14) + 8 * SECOND;
    drawing->until_us = drawing->from_us + length_us;
    if (given->last_us > drawing->until_us) drawing->until_us = given->last_us;
}

static void draw_all(shoal_drawing *drawing)
{
    given_lines given = take_given(drawing);
    if (!given.config) draw_manners(drawing);
    if (!given.config) draw_data(drawing);
    draw_times(drawing, &given);
    if (!given.net) draw_net(drawing);
    if (given.clients)
        drawing->clients = drawing->options.given->clients;
    else
        shoal_draw__clients(drawing);
    if (!given.expects) {
        shoal_draw__expect(drawing, 3 * SECOND, SHOAL_CONTRACT_CONVERGE)->expect.within_us =
            drawing->from_us - 3 * SECOND;
    }
    if (!given.faults) shoal_draw__faults(drawing);
    if (!given.expects) draw_end(drawing);
}

shoal_err shoal_draw__schedule(const shoal_draw_options *options, shoal_schedule *out,
                               shoal_schedule_error *error)
{
    shoal_drawing drawing = {.options = *options};
    drawing.key[0] = shoal_prng_mix(options->seed ^ UINT64_C(0x73776565702D6472));
    drawing.key[1] = options->seed;
    draw_all(&drawing);
    shoal_err result = shoal_draft__finish(&drawing.draft, out, error);
    shoal_draft__free(&drawing.draft);
    shoal_draft__free(&drawing.mends);
    shoal_draft__free(&drawing.slots);
    shoal_sim__free(drawing.logs);
    shoal_sim__free(drawing.syncs);
    return result;
}
