/* SPDX-License-Identifier: MIT
 *
 * Asking the nodes of a live run what they think: CLUSTER NODES over and over, more often behind a
 * fault, and CLUSTER INFO now and then. The questions go to the nodes directly, not through the
 * proxy, as those of a person at a shell whom no fault concerns.
 */
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "base/text.h"
#include "sim/live/live_room.h"
#include "sim/memory.h"
#include "wire/resp.h"

/* Pause between an answer and the next question, usually and while something is measured. The
 * latter is the resolution of what is measured. Chosen: a few percent of a processor for six. */
#define PAUSE_US INT64_C(50000)
#define PAUSE_MEASURING_US INT64_C(3000)
/* Behind a fault nodes are asked often for at most so long. */
#define MEASURING_US INT64_C(60000000)
/* Pause before a node that does not answer is tried again. */
#define AGAIN_US INT64_C(10000)
/* Each so many rounds CLUSTER INFO is asked too. */
#define INFO_ROUNDS 4u

/* ---- one line of CLUSTER NODES ---- */

/* Takes the word at the front of `rest`, and the blank behind it. */
static shoal_slice take_word(shoal_slice *rest)
{
    shoal_slice word = {rest->data, 0};
    while (word.size < rest->size && rest->data[word.size] != ' ') word.size++;
    size_t used = word.size + (word.size < rest->size);
    *rest = (shoal_slice){rest->data + used, rest->size - used};
    return word;
}

/* Is the flag among those that commas separate? */
static bool has_flag(shoal_slice flags, const char *flag)
{
    size_t from = 0;
    for (size_t i = 0; i <= flags.size; i++) {
        if (i < flags.size && flags.data[i] != ',') continue;
        shoal_slice one = {flags.data + from, i - from};
        if (shoal_text_equal(one, shoal_text(flag))) return true;
        from = i + 1;
    }
    return false;
}

/* The node whose address "IP:PORT@BUSPORT" is, or UINT32_MAX. */
static uint32_t node_at(const shoal_live *live, shoal_slice address)
{
    uint32_t ip = 0, part = 0;
    for (size_t i = 0; i < address.size && address.data[i] != ':'; i++) {
        if (address.data[i] == '.') {
            ip = ip << 8 | part;
            part = 0;
        } else if (address.data[i] >= '0' && address.data[i] <= '9' && part < 1000) {
            part = part * 10 + (uint32_t)(address.data[i] - '0');
        } else {
            return UINT32_MAX;
        }
    }
    return shoal_places__announced_by(&live->places, ip << 8 | part, live->schedule->nodes);
}

/* How many slots "0-5 7 [9->-...]" names, and a hash of them. */
static void sum_ranges(shoal_slice ranges, shoal_regard *regard)
{
    while (ranges.size > 0) {
        shoal_slice word = take_word(&ranges);
        uint64_t first = 0, last = 0, *part = &first;
        if (word.size == 0 || word.data[0] == '[') continue;
        for (size_t i = 0; i < word.size; i++) {
            if (word.data[i] == '-')
                part = &last;
            else
                *part = *part * 10 + (uint64_t)(word.data[i] - '0');
        }
        if (part == &first) last = first;
        regard->slot_count += (uint32_t)(last - first + 1);
        regard->ranges ^= shoal_prng_mix(first << 32 | last);
    }
}

/* A node claims slots: those that another one had before have passed. */
static void take_claims(shoal_live *live, uint32_t node, const shoal_slotmap *before)
{
    const shoal_member *member = &live->roster.members[node];
    if (memcmp(before, &member->own, sizeof(*before)) == 0) return;
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        uint16_t *owner = &live->owners[slot];
        if (!shoal_slotmap_has(&member->own, slot) || shoal_slotmap_has(before, slot)) continue;
        if (*owner != 0 && *owner != node + 1) live->passed_us[slot] = shoal_live__now(live);
        *owner = (uint16_t)(node + 1);
    }
}

/* A line of a node about itself. */
static void take_self(shoal_live *live, uint32_t node, const shoal_slice words[7],
                      shoal_slice ranges)
{
    shoal_member *member = &live->roster.members[node];
    shoal_slotmap before = member->own;
    bool was_replica = member->replica;
    uint64_t epoch = 0;
    if (words[0].size == SHOAL_NODE_NAME_LEN) memcpy(member->name, words[0].data, words[0].size);
    member->replica = has_flag(words[2], "slave");
    memset(member->master, 0, sizeof(member->master));
    if (words[3].size == SHOAL_NODE_NAME_LEN) memcpy(member->master, words[3].data, words[3].size);
    if (shoal_text_to_u64(words[6], &epoch)) member->epoch = epoch;
    shoal_member__claim(member, ranges);
    take_claims(live, node, &before);
    if (!was_replica || member->replica) return;
    live->failovers++;
    if (live->playing) shoal_measure__master(&live->result->measure, node, shoal_live__now(live));
}

static void take_line(shoal_outlook *outlook, shoal_slice line)
{
    shoal_live *live = outlook->live;
    shoal_slice words[7];
    for (int i = 0; i < 7; i++) words[i] = take_word(&line);
    (void)take_word(&line); /* the state of the link */
    if (words[6].size == 0) return;
    bool self = has_flag(words[2], "myself");
    uint32_t about = self ? outlook->node : node_at(live, words[1]);
    if (has_flag(words[2], "handshake") || about == UINT32_MAX) return;
    shoal_regard *regard = &outlook->of[about];
    regard->known = true;
    regard->suspect = has_flag(words[2], "fail?");
    regard->failed = has_flag(words[2], "fail");
    outlook->known++;
    sum_ranges(line, regard);
    if (self) take_self(live, outlook->node, words, line);
    if (regard->failed && live->playing)
        shoal_measure__failed(&live->result->measure, outlook->node, about, shoal_live__now(live));
}

static void take_nodes(shoal_outlook *outlook, shoal_slice text)
{
    outlook->known = 0;
    memset(outlook->of, 0, outlook->live->schedule->nodes * sizeof(*outlook->of));
    for (size_t from = 0, i = 0; i < text.size; i++) {
        if (text.data[i] != '\n') continue;
        size_t size = i - from - (i > from && text.data[i - 1] == '\r');
        take_line(outlook, (shoal_slice){text.data + from, size});
        from = i + 1;
    }
    outlook->heard = true;
}

/* ---- the conversation ---- */

static void ask(void *context)
{
    shoal_outlook *outlook = context;
    shoal_live *live = outlook->live;
    if (!shoal_talk__is_open(&outlook->talk)) {
        shoal_spot there = {shoal_places__node(&live->places, outlook->node), live->places.port};
        if (live->processes[outlook->node].pid == 0 || !shoal_talk__open(&outlook->talk, 0, there))
            shoal_loop__arm(&live->loop, &outlook->again, shoal_loop__now(&live->loop) + AGAIN_US);
        return;
    }
    if (!outlook->talk.up || outlook->waiting > 0) return;
    outlook->asked_info = outlook->rounds++ % INFO_ROUNDS == 0;
    outlook->waiting = 1 + outlook->asked_info;
    if (outlook->asked_info) shoal_talk__words(&outlook->talk, "CLUSTER INFO");
    shoal_talk__words(&outlook->talk, "CLUSTER NODES");
    shoal_talk__flush(&outlook->talk);
}

static void opened(void *context)
{
    shoal_outlook *outlook = context;
    outlook->waiting = 0;
    ask(outlook);
}

/* How long until the node is asked again. */
static int64_t pause_us(const shoal_live *live)
{
    const shoal_measure *measure = &live->result->measure;
    if (!live->playing || shoal_measure__quiet(measure)) return PAUSE_US;
    bool fresh = shoal_live__now(live) < measure->current->at_us + MEASURING_US;
    return fresh ? PAUSE_MEASURING_US : PAUSE_US;
}

static void replied(void *context, shoal_slice reply)
{
    shoal_outlook *outlook = context;
    shoal_live *live = outlook->live;
    shoal_answer answer;
    if (outlook->waiting == 0 || shoal_answer_next(reply, &answer) != SHOAL_ERR_OK) return;
    outlook->waiting--;
    bool text = (answer.type == '$' || answer.type == '=') && answer.integer >= 0;
    if (text && outlook->waiting == 1)
        outlook->up =
            shoal_text_find(answer.text, shoal_text("cluster_state:ok")) != SHOAL_TEXT_NONE;
    else if (text)
        take_nodes(outlook, answer.text);
    if (outlook->waiting == 0)
        shoal_loop__arm(&live->loop, &outlook->again,
                        shoal_loop__now(&live->loop) + pause_us(live));
}

static void ended(void *context)
{
    shoal_outlook *outlook = context;
    shoal_loop *loop = &outlook->live->loop;
    shoal_loop__arm(loop, &outlook->again, shoal_loop__now(loop) + AGAIN_US);
}

/* ---- all nodes ---- */

/* A process that is starting answers: from now on the proxy takes connections for it. */
static void look_up(void *context)
{
    shoal_outlook *outlook = context;
    shoal_live *live = outlook->live;
    shoal_process *process = &live->processes[outlook->node];
    char words[160];
    if (!shoal_process__runs(process)) {
        shoal_process__last_words(process, words, sizeof(words));
        shoal_live__trouble(live, "n%u has ended by itself: %s", outlook->node + 1, words);
        return;
    }
    if (!outlook->heard) {
        shoal_loop__arm(&live->loop, &outlook->rising, shoal_loop__now(&live->loop) + AGAIN_US / 5);
        return;
    }
    if (!shoal_proxy__open(live->proxy, outlook->node))
        shoal_live__trouble(live, "the addresses of n%u are in use", outlook->node + 1);
}

void shoal_outlook__make(shoal_live *live)
{
    uint32_t nodes = live->schedule->nodes;
    live->outlooks = shoal_sim__allocate(nodes * sizeof(*live->outlooks));
    for (uint32_t i = 0; i < nodes; i++) {
        shoal_outlook *outlook = &live->outlooks[i];
        outlook->live = live;
        outlook->node = i;
        outlook->of = shoal_sim__allocate(nodes * sizeof(*outlook->of));
        outlook->talk =
            (shoal_talk){.opened = opened, .replied = replied, .ended = ended, .context = outlook};
        shoal_talk__make(&outlook->talk, &live->loop);
        outlook->again = (shoal_timer){.fire = ask, .context = outlook};
        outlook->rising = (shoal_timer){.fire = look_up, .context = outlook};
    }
}

void shoal_outlook__free(shoal_live *live)
{
    for (uint32_t i = 0; live->outlooks && i < live->schedule->nodes; i++) {
        shoal_outlook *outlook = &live->outlooks[i];
        shoal_loop__disarm(&live->loop, &outlook->again);
        shoal_loop__disarm(&live->loop, &outlook->rising);
        shoal_talk__free(&outlook->talk);
        shoal_sim__free(outlook->of);
    }
    shoal_sim__free(live->outlooks);
}

void shoal_outlook__forget(shoal_live *live, uint32_t node)
{
    shoal_outlook *outlook = &live->outlooks[node];
    shoal_talk__close(&outlook->talk);
    shoal_loop__disarm(&live->loop, &outlook->rising);
    outlook->heard = outlook->up = false;
    outlook->waiting = 0;
    memset(outlook->of, 0, live->schedule->nodes * sizeof(*outlook->of));
    shoal_member__forget(&live->roster.members[node]);
    shoal_loop__arm(&live->loop, &outlook->again, shoal_loop__now(&live->loop) + AGAIN_US);
}
