/* SPDX-License-Identifier: MIT
 *
 * Reading the lines of a schedule: one function for each row of sim/lines.def. The line's time and
 * its first word are taken already; comments are cut off.
 */
#include "sim/lines.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/memory.h"

const char *const shoal_line__shapes[SHOAL_SHAPE_COUNT] = {"uniform", "normal", "exponential",
                                                           "lognormal"};
const char *const shoal_line__meets[SHOAL_MEET_COUNT] = {"star", "chain", "all", "none"};
const char *const shoal_line__fates[SHOAL_DISK_FATES] = {"kept", "torn", "lost", "scattered",
                                                         "reordered"};
const char *const shoal_line__disk_modes[SHOAL_DISK_MODES] = {"ok",   "full",       "failing",
                                                              "slow", "unreadable", "lying"};
const char *const shoal_line__clock_changes[4] = {"step", "drift", "freeze", "run"};

char *shoal_line__copy(shoal_slice text)
{
    char *copy = shoal_sim__allocate(text.size + 1);
    if (text.size > 0) memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    return copy;
}

/* ---- selectors ---- */

static const char SELECTOR[] = "nodes or clients such as n1, n2..n5, c1, *, masters, "
                               "replicas, owner-of(slot 866) or replicas-of(slot 866)";

/* Reads `n3` or `c12` at the start of `text`; the characters used, or 0. */
static size_t read_label(shoal_slice text, char *letter, uint32_t *number)
{
    uint64_t value = 0;
    size_t i = 1;
    if (text.size < 2 || (text.data[0] != 'n' && text.data[0] != 'c')) return 0;
    while (i < text.size && i < 8 && text.data[i] >= '0' && text.data[i] <= '9') {
        value = value * 10 + (uint64_t)(text.data[i++] - '0');
    }
    if (i == 1 || text.data[1] == '0') return 0;
    *letter = text.data[0];
    *number = (uint32_t)value;
    return i;
}

/* Reads `HEAD(slot 866)`. */
static bool read_slot(shoal_slice text, const char *head, shoal_atom_kind kind, shoal_atom *atom)
{
    static const char middle[] = "(slot ";
    size_t name = strlen(head), skip = name + sizeof(middle) - 1;
    uint64_t slot = 0;
    if (text.size <= skip + 1 || memcmp(text.data, head, name) != 0) return false;
    if (memcmp(text.data + name, middle, sizeof(middle) - 1) != 0) return false;
    if (text.data[text.size - 1] != ')') return false;
    shoal_slice digits = {text.data + skip, text.size - skip - 1};
    if (!shoal_words__decimal(digits, 0, &slot) || slot >= SHOAL_SLOTS) return false;
    *atom = (shoal_atom){kind, (uint32_t)slot, (uint32_t)slot};
    return true;
}

/* Reads what selects by the part that nodes play at the moment. */
static bool read_role(shoal_slice text, shoal_atom *atom)
{
    if (shoal_text_equal(text, shoal_text("masters"))) {
        *atom = (shoal_atom){SHOAL_ATOM_MASTERS, 0, 0};
        return true;
    }
    if (shoal_text_equal(text, shoal_text("replicas"))) {
        *atom = (shoal_atom){SHOAL_ATOM_REPLICAS, 0, 0};
        return true;
    }
    return read_slot(text, "owner-of", SHOAL_ATOM_OWNER, atom) ||
           read_slot(text, "replicas-of", SHOAL_ATOM_FOLLOWERS, atom);
}

/* Reads one atom; false when the word is none. */
static bool read_atom(const shoal_word *word, shoal_atom *atom)
{
    char letter = 0, letter_last = 0;
    shoal_slice text = word->text;
    if (word->quoted) return false;
    if (shoal_text_equal(text, shoal_text("*"))) {
        *atom = (shoal_atom){SHOAL_ATOM_ALL, 0, 0};
        return true;
    }
    if (read_role(text, atom)) return true;
    size_t used = read_label(text, &letter, &atom->first);
    if (used == 0) return false;
    atom->kind = letter == 'n' ? SHOAL_ATOM_NODES : SHOAL_ATOM_CLIENTS;
    atom->last = atom->first;
    if (used == text.size) return true;
    if (text.size < used + 4 || memcmp(text.data + used, "..", 2) != 0) return false;
    shoal_slice rest = {text.data + used + 2, text.size - used - 2};
    return read_label(rest, &letter_last, &atom->last) == rest.size && letter_last == letter &&
           atom->last > atom->first;
}

/* Are the numbers of `atom` those of nodes and clients that exist? */
static bool check_atom(shoal_parser *parser, const shoal_word *word, const shoal_atom *atom)
{
    char sentence[128];
    const shoal_schedule *schedule = parser->schedule;
    if (atom->kind == SHOAL_ATOM_NODES && atom->last > schedule->nodes) {
        snprintf(sentence, sizeof(sentence), "but the cluster line has nodes n1 to n%u only",
                 schedule->nodes);
        return shoal_words__complain(&parser->words, word, sentence);
    }
    if (atom->kind != SHOAL_ATOM_CLIENTS) return true;
    uint32_t limit = parser->mentions ? SHOAL_SCHEDULE_CLIENTS_MAX : schedule->clients;
    if (atom->last > limit) {
        snprintf(sentence, sizeof(sentence), "but clients go from c1 to c%u only", limit);
        return shoal_words__complain(&parser->words, word, sentence);
    }
    for (uint32_t i = atom->first; parser->mentions && i <= atom->last; i++) {
        if (parser->mentions[i].line != 0) continue;
        parser->mentions[i] = (shoal_mention){parser->words.number, word->column};
    }
    return true;
}

bool shoal_line__selector(shoal_parser *parser, shoal_selector *out)
{
    shoal_words *words = &parser->words;
    shoal_word word;
    out->count = 0;
    while (shoal_words__peek(words, &word)) {
        shoal_atom atom;
        if (!read_atom(&word, &atom)) break;
        if (!check_atom(parser, &word, &atom)) return false;
        if (out->count == SHOAL_SELECTOR_ATOMS_MAX) {
            return shoal_words__complain(words, &word, "but a selector has at most 32 parts");
        }
        out->atoms[out->count++] = atom;
        shoal_words__take(words, SELECTOR, &word);
    }
    if (out->count > 0) return !words->failed;
    return shoal_words__take(words, SELECTOR, &word) &&
           shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, SELECTOR});
}

/* Only nodes can crash, pause, keep clocks and disks. */
bool shoal_line__nodes(shoal_parser *parser, shoal_selector *out)
{
    shoal_word first;
    if (!shoal_words__peek(&parser->words, &first)) {
        return shoal_words__take(&parser->words, SELECTOR, &first);
    }
    if (!shoal_line__selector(parser, out)) return false;
    for (uint32_t i = 0; i < out->count; i++) {
        if (out->atoms[i].kind != SHOAL_ATOM_CLIENTS) continue;
        return shoal_words__complain(&parser->words, &first, "but this is for nodes, not clients");
    }
    return true;
}

/* `left | right` or `left -> right`; with `alone`, also `left` by itself. */
bool shoal_line__sides(shoal_parser *parser, bool alone, shoal_line *line)
{
    static const char *const joints[] = {"|", "->"};
    if (!shoal_line__selector(parser, &line->left)) return false;
    shoal_word word;
    bool more = shoal_words__peek(&parser->words, &word);
    bool joint = more && (shoal_text_equal(word.text, shoal_text("|")) ||
                          shoal_text_equal(word.text, shoal_text("->")));
    if (alone && !joint) {
        line->relation = SHOAL_RELATION_NONE;
        return !parser->words.failed;
    }
    int which = shoal_words__choose(&parser->words, SHOAL_FITTING(joints));
    if (which < 0) return false;
    line->relation = which == 0 ? SHOAL_RELATION_BOTH : SHOAL_RELATION_FORWARD;
    return shoal_line__selector(parser, &line->right);
}

/* ---- set-up lines ---- */

bool shoal_line__parse_schedule(shoal_parser *parser, shoal_line *line)
{
    (void)line;
    return shoal_words__demand(&parser->words, "v1") && shoal_words__done(&parser->words);
}

bool shoal_line__parse_seed(shoal_parser *parser, shoal_line *line)
{
    uint64_t seed = 0;
    if (!shoal_words__number(&parser->words, UINT64_MAX - 10, &seed)) return false;
    line->amount = (int64_t)seed;
    return shoal_words__done(&parser->words);
}

static bool cluster_option(shoal_parser *parser, shoal_line *line, int option)
{
    shoal_words *words = &parser->words;
    uint64_t number = 0;
    switch (option) {
    case 0:
        if (!shoal_words__number(words, SHOAL_SCHEDULE_NODES_MAX, &number)) return false;
        line->nodes = (uint32_t)number;
        return true;
    case 1:
        if (!shoal_words__number(words, SHOAL_SCHEDULE_NODES_MAX, &number)) return false;
        line->masters = (uint32_t)number;
        return true;
    case 2:
        if (!shoal_words__number(words, SHOAL_SCHEDULE_NODES_MAX, &number)) return false;
        line->replicas = (uint32_t)number;
        return true;
    case 3: return shoal_words__duration(words, &line->node_timeout_us);
    default: line->choice = shoal_words__choose(words, SHOAL_FITTING(shoal_line__meets));
    }
    return line->choice >= 0;
}

bool shoal_line__parse_cluster(shoal_parser *parser, shoal_line *line)
{
    static const char *const options[] = {"nodes", "masters", "replicas", "node_timeout", "meet"};
    shoal_words *words = &parser->words;
    shoal_word word;
    line->node_timeout_us = 15000000;
    line->masters = UINT32_MAX;
    if (!shoal_words__peek(words, &word)) shoal_words__take(words, "nodes", &word);
    while (shoal_words__peek(words, &word)) {
        int option = shoal_words__choose(words, SHOAL_FITTING(options));
        if (option < 0 || !cluster_option(parser, line, option)) return false;
    }
    if (words->failed) return false;
    if (line->masters == UINT32_MAX) line->masters = line->nodes;
    word = (shoal_word){{"cluster", 7}, 1, false};
    if (line->nodes == 0)
        return shoal_words__complain(words, &word, "but at least 1 node is needed");
    if (line->masters > line->nodes) {
        return shoal_words__complain(words, &word, "but there are more masters than nodes");
    }
    if ((uint64_t)line->masters * (1 + (uint64_t)line->replicas) > line->nodes) {
        return shoal_words__complain(words, &word, "but there are too few nodes for the replicas");
    }
    if (line->node_timeout_us < 1000 || line->node_timeout_us % 1000 != 0) {
        return shoal_words__complain(words, &word, "but node_timeout is in whole milliseconds");
    }
    return true;
}

/* A selector of nodes and then free words. */
static bool nodes_and_text(shoal_parser *parser, shoal_line *line, const char *phrase)
{
    shoal_slice rest;
    if (!shoal_line__nodes(parser, &line->left)) return false;
    if (!shoal_words__rest(&parser->words, phrase, &rest)) return false;
    line->text = shoal_line__copy(rest);
    return true;
}

bool shoal_line__parse_config(shoal_parser *parser, shoal_line *line)
{
    shoal_word first;
    bool more = shoal_words__peek(&parser->words, &first);
    if (!nodes_and_text(parser, line, "a directive and its value")) return false;
    for (uint32_t i = 0; more && i < line->left.count; i++) {
        shoal_atom_kind kind = line->left.atoms[i].kind;
        if (kind == SHOAL_ATOM_NODES || kind == SHOAL_ATOM_ALL) continue;
        return shoal_words__complain(&parser->words, &first,
                                     "but who plays which part is not known before the run");
    }
    return true;
}

/* ---- network ---- */

static bool net_option(shoal_words *words, int option, shoal_quality *quality)
{
    switch (option) {
    case 0: return shoal_words__duration(words, &quality->latency_us);
    case 1: return shoal_words__duration(words, &quality->jitter_us);
    case 2: quality->shape = shoal_words__choose(words, SHOAL_FITTING(shoal_line__shapes)); break;
    case 3: return shoal_words__percent(words, &quality->split_ppm);
    default: return shoal_words__bandwidth(words, &quality->rate_bytes_per_s);
    }
    return quality->shape >= 0;
}

bool shoal_line__parse_net(shoal_parser *parser, shoal_line *line)
{
    static const char *const options[] = {"latency", "jitter", "dist", "split", "rate"};
    line->quality = (shoal_quality){-1, -1, -1, -1, -1};
    if (!shoal_line__sides(parser, true, line)) return false;
    shoal_word word;
    do {
        int option = shoal_words__choose(&parser->words, SHOAL_FITTING(options));
        if (option < 0 || !net_option(&parser->words, option, &line->quality)) return false;
    } while (shoal_words__peek(&parser->words, &word));
    return !parser->words.failed;
}

bool shoal_line__parse_cut(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__sides(parser, false, line) && shoal_words__done(&parser->words);
}

bool shoal_line__parse_heal(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__sides(parser, true, line) && shoal_words__done(&parser->words);
}

bool shoal_line__parse_stall(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__sides(parser, false, line) && shoal_words__demand(&parser->words, "for") &&
           shoal_words__duration(&parser->words, &line->amount) &&
           shoal_words__done(&parser->words);
}

bool shoal_line__parse_reset(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__sides(parser, false, line) && shoal_words__done(&parser->words);
}

/* ---- clients ---- */

/* `uniform(1000)` or `zipf(1000,1.1)`. */
static bool key_space(shoal_words *words, shoal_load *load)
{
    static const char phrase[] = "uniform(N) or zipf(N,S) with 1 to 1000000 keys and S below 10";
    shoal_word word;
    uint64_t keys = 0, exponent = 0;
    if (!shoal_words__take(words, phrase, &word)) return false;
    const char *open = memchr(word.text.data, '(', word.text.size);
    size_t head = open ? (size_t)(open - word.text.data) : word.text.size;
    shoal_slice name = {word.text.data, head};
    bool zipf = shoal_text_equal(name, shoal_text("zipf"));
    bool right = open && (zipf || shoal_text_equal(name, shoal_text("uniform"))) &&
                 word.text.data[word.text.size - 1] == ')';
    if (right) {
        shoal_slice inside = {open + 1, word.text.size - head - 2};
        const char *comma = memchr(inside.data, ',', inside.size);
        size_t first = comma ? (size_t)(comma - inside.data) : inside.size;
        right = (comma != NULL) == zipf &&
                shoal_words__decimal((shoal_slice){inside.data, first}, 0, &keys);
        if (right && zipf) {
            shoal_slice second = {comma + 1, inside.size - first - 1};
            right = shoal_words__decimal(second, 3, &exponent) && exponent > 0 && exponent < 10000;
        }
    }
    if (!right || keys < 1 || keys > 1000000) {
        return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
    }
    load->keys = (uint32_t)keys;
    load->zipf_milli = (uint32_t)exponent;
    return true;
}

static const char *const action_words[SHOAL_ACTION_COUNT] = {"set", "get", "del", "incr", "px"};

const char *shoal_action_name(uint32_t action)
{
    SHOAL_ASSERT(action < SHOAL_ACTION_COUNT);
    return action_words[action];
}

uint32_t *shoal_load__weight(shoal_load *load, uint32_t action)
{
    switch (action) {
    case SHOAL_ACTION_SET: return &load->set_weight;
    case SHOAL_ACTION_GET: return &load->get_weight;
    case SHOAL_ACTION_DEL: return &load->del_weight;
    case SHOAL_ACTION_INCR: return &load->incr_weight;
    default: SHOAL_ASSERT(action == SHOAL_ACTION_PX); return &load->px_weight;
    }
}

/* One part of a mix: `set:50`. */
static bool mix_part(shoal_slice part, shoal_load *load)
{
    uint64_t weight = 0;
    for (uint32_t i = 0; i < SHOAL_ACTION_COUNT; i++) {
        size_t size = strlen(action_words[i]);
        if (part.size < size + 2 || part.data[size] != ':') continue;
        if (memcmp(part.data, action_words[i], size) != 0) continue;
        shoal_slice digits = {part.data + size + 1, part.size - size - 1};
        if (!shoal_words__decimal(digits, 0, &weight) || weight > 1000) return false;
        *shoal_load__weight(load, i) = (uint32_t)weight;
        return true;
    }
    return false;
}

/* `set:50,get:50` and so on, in any order, each perhaps alone. */
static bool mix(shoal_words *words, shoal_load *load)
{
    static const char phrase[] =
        "weights up to 1000 such as set:50,get:50, of set, get, del, incr and px";
    shoal_word word;
    uint32_t sum = 0;
    if (!shoal_words__take(words, phrase, &word)) return false;
    for (uint32_t i = 0; i < SHOAL_ACTION_COUNT; i++) *shoal_load__weight(load, i) = 0;
    shoal_slice rest = word.text;
    bool right = true;
    for (bool more = true; more && right;) {
        const char *comma = rest.size > 0 ? memchr(rest.data, ',', rest.size) : NULL;
        size_t size = comma ? (size_t)(comma - rest.data) : rest.size;
        right = mix_part((shoal_slice){rest.data, size}, load);
        more = comma != NULL;
        if (more) rest = (shoal_slice){comma + 1, rest.size - size - 1};
    }
    for (uint32_t i = 0; i < SHOAL_ACTION_COUNT; i++) sum += *shoal_load__weight(load, i);
    if (right && sum > 0) return true;
    return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
}

/* A time to live: whole milliseconds, at least one. */
static bool time_to_live(shoal_words *words, shoal_load *load)
{
    shoal_word word;
    if (!shoal_words__peek(words, &word)) return shoal_words__duration(words, &load->ttl_us);
    if (!shoal_words__duration(words, &load->ttl_us)) return false;
    if (load->ttl_us >= 1000 && load->ttl_us % 1000 == 0) return true;
    return shoal_words__complain(words, &word, "but a time to live is whole milliseconds");
}

static bool client_option(shoal_words *words, int option, shoal_load *load)
{
    static const char *const places[] = {"master", "replica"};
    uint64_t number = 0;
    switch (option) {
    case 0: return shoal_words__rate(words, &load->rate_milli);
    case 1: return key_space(words, load);
    case 2: return mix(words, load);
    case 3:
        if (!shoal_words__number(words, 1u << 20, &number)) return false;
        load->value_size = (uint32_t)number;
        return true;
    case 4: return shoal_words__duration(words, &load->timeout_us);
    case 5: return time_to_live(words, load);
    default:
        option = shoal_words__choose(words, SHOAL_FITTING(places));
        load->reads_replicas = option == 1;
        return option >= 0;
    }
}

bool shoal_line__parse_client(shoal_parser *parser, shoal_line *line)
{
    static const char *const options[] = {"rate", "keys", "mix", "size", "timeout", "ttl", "reads"};
    shoal_words *words = &parser->words;
    shoal_word word;
    if (!shoal_words__peek(words, &word))
        return shoal_words__take(words, "a client such as c1", &word);
    if (!shoal_line__selector(parser, &line->left)) return false;
    const shoal_selector *who = &line->left;
    if (who->count != 1 || who->atoms[0].kind != SHOAL_ATOM_CLIENTS ||
        who->atoms[0].first != who->atoms[0].last) {
        return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, "one client such as c1"});
    }
    line->load = (shoal_load){.keys = 1000,
                              .set_weight = 50,
                              .get_weight = 50,
                              .value_size = 64,
                              .timeout_us = 1000000,
                              .ttl_us = 1000000};
    while (!words->failed && shoal_words__peek(words, &word)) {
        int option = shoal_words__choose(words, SHOAL_FITTING(options));
        if (option < 0 || !client_option(words, option, &line->load)) return false;
    }
    if (line->load.rate_milli == 0) return shoal_words__demand(words, "rate");
    return !words->failed;
}

bool shoal_line__parse_stop(shoal_parser *parser, shoal_line *line)
{
    shoal_word first;
    if (!shoal_words__peek(&parser->words, &first)) {
        return shoal_words__take(&parser->words, "clients such as c1 or *", &first);
    }
    if (!shoal_line__selector(parser, &line->left)) return false;
    for (uint32_t i = 0; i < line->left.count; i++) {
        shoal_atom_kind kind = line->left.atoms[i].kind;
        if (kind == SHOAL_ATOM_CLIENTS || kind == SHOAL_ATOM_ALL) continue;
        return shoal_words__complain(&parser->words, &first, "but only clients can stop");
    }
    return shoal_words__done(&parser->words);
}

/* ---- processes, clocks, disks ---- */

bool shoal_line__parse_crash(shoal_parser *parser, shoal_line *line)
{
    static const char *const options[] = {"power", "disk", "at"};
    shoal_words *words = &parser->words;
    shoal_word word;
    if (!shoal_line__nodes(parser, &line->left)) return false;
    while (!words->failed && shoal_words__peek(words, &word)) {
        int option = shoal_words__choose(words, SHOAL_FITTING(options));
        if (option < 0) return false;
        if (option == 0) {
            line->power = true;
            continue;
        }
        if (option == 2) {
            if (!shoal_line__parse_trigger(parser, line)) return false;
            continue;
        }
        int fate = shoal_words__choose(words, SHOAL_FITTING(shoal_line__fates));
        if (fate < 0) return false;
        line->fate = (shoal_disk_fate)fate;
    }
    return !words->failed;
}

static bool nodes_and_end(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__nodes(parser, &line->left) && shoal_words__done(&parser->words);
}

bool shoal_line__parse_restart(shoal_parser *parser, shoal_line *line)
{
    if (!shoal_line__nodes(parser, &line->left)) return false;
    if (shoal_words__skip(&parser->words, "disk")) {
        if (!shoal_words__demand(&parser->words, "empty")) return false;
        line->wiped = true;
    }
    return shoal_words__done(&parser->words);
}

bool shoal_line__parse_pause(shoal_parser *parser, shoal_line *line)
{
    return nodes_and_end(parser, line);
}

bool shoal_line__parse_resume(shoal_parser *parser, shoal_line *line)
{
    return nodes_and_end(parser, line);
}

/* `+50ppm` or `-50ppm`, at most a thousandth. */
static bool drift(shoal_words *words, int64_t *out)
{
    static const char phrase[] = "a drift up to 1000ppm such as +50ppm or -50ppm";
    shoal_word word;
    uint64_t value = 0;
    if (!shoal_words__take(words, phrase, &word)) return false;
    shoal_slice t = word.text;
    bool right = t.size > 4 && (t.data[0] == '+' || t.data[0] == '-') &&
                 memcmp(t.data + t.size - 3, "ppm", 3) == 0 &&
                 shoal_words__decimal((shoal_slice){t.data + 1, t.size - 4}, 0, &value) &&
                 value <= 1000;
    if (!right) return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
    *out = t.data[0] == '-' ? -(int64_t)value : (int64_t)value;
    return true;
}

/* `wall`, `monotonic` or neither, and what is to change. */
static bool clock_change(shoal_words *words, shoal_line *line)
{
    static const char *const all[] = {"step", "drift", "freeze", "run", "wall", "monotonic"};
    line->choice = shoal_words__choose(words, SHOAL_FITTING(all));
    if (line->choice > SHOAL_CLOCK_RUN) {
        line->clock =
            line->choice == SHOAL_CLOCK_RUN + 1 ? SHOAL_CLOCK_WALL : SHOAL_CLOCK_MONOTONIC;
        line->choice = shoal_words__choose(words, SHOAL_FITTING(shoal_line__clock_changes));
    }
    bool usual = line->clock == SHOAL_CLOCK_WALL && line->choice != SHOAL_CLOCK_DRIFT;
    if (usual) line->clock = SHOAL_CLOCK_USUAL;
    return line->choice >= 0;
}

bool shoal_line__parse_clock(shoal_parser *parser, shoal_line *line)
{
    shoal_words *words = &parser->words;
    if (!shoal_line__nodes(parser, &line->left)) return false;
    if (!clock_change(words, line)) return false;
    shoal_word word;
    bool more = shoal_words__peek(words, &word);
    if (line->choice == SHOAL_CLOCK_STEP && !shoal_words__signed_duration(words, &line->amount)) {
        return false;
    }
    if (more && line->clock == SHOAL_CLOCK_MONOTONIC && line->amount < 0 &&
        line->choice == SHOAL_CLOCK_STEP) {
        return shoal_words__complain(words, &word, "but a monotonic clock never goes back");
    }
    if (line->choice == SHOAL_CLOCK_DRIFT && !drift(words, &line->amount)) return false;
    return shoal_words__done(words);
}

bool shoal_line__parse_disk(shoal_parser *parser, shoal_line *line)
{
    if (!shoal_line__nodes(parser, &line->left)) return false;
    line->choice = shoal_words__choose(&parser->words, SHOAL_FITTING(shoal_line__disk_modes));
    if (line->choice < 0) return false;
    if (line->choice == SHOAL_DISK_SLOW && !shoal_words__duration(&parser->words, &line->amount)) {
        return false;
    }
    return shoal_words__done(&parser->words);
}

/* ---- stories and contracts ---- */

bool shoal_line__parse_operate(shoal_parser *parser, shoal_line *line)
{
    return nodes_and_text(parser, line, "a command");
}

bool shoal_line__parse_say(shoal_parser *parser, shoal_line *line)
{
    static const char phrase[] = "a caption in quotes";
    shoal_word word;
    if (!shoal_words__take(&parser->words, phrase, &word)) return false;
    if (!word.quoted) {
        return shoal_words__wrong(&parser->words, &word, (shoal_fitting){NULL, 0, phrase});
    }
    line->text = shoal_line__copy(word.text);
    return shoal_words__done(&parser->words);
}

bool shoal_line__parse_expect(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__parse_contract(parser, line);
}

bool shoal_line__parse_end(shoal_parser *parser, shoal_line *line)
{
    (void)line;
    return shoal_words__done(&parser->words);
}
