/* SPDX-License-Identifier: MIT
 *
 * Clients of a live run: by the rules of sim/client.c, sim/operation.c and sim/client_link.c, over
 * real connections through the proxy. Streams of chance are the same too, so that the clients of a
 * seed ask for the same keys in the same order.
 */
#include "sim/live/load.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc16.h"
#include "base/text.h"
#include "sim/memory.h"
#include "sim/world.h"

/* The numbers of the simulator's clients. */
#define TICK_US INT64_C(100000)
#define AUDIT_GAP_US INT64_C(200) /* real sockets are not free: a little slower than there */
/* The auditor's patience with one key: longer than there, because a cluster on a busy machine may
 * still be on its way back. */
#define AUDIT_TIMEOUT_US INT64_C(30000000)
#define RETRY_US INT64_C(50000)
#define REDIRECTIONS_MAX 16u

static uint32_t slot_of(uint32_t key)
{
    char name[24];
    int size = snprintf(name, sizeof(name), "key:%u", key);
    return shoal_crc16_slot((shoal_slice){name, (size_t)size});
}

static bool is_auditor(const shoal_load_player *player)
{
    return player->index == player->live->schedule->clients;
}

/* ---- operations ---- */

static uint32_t take_attempt(shoal_load_player *player)
{
    uint32_t index = 0;
    while (index < player->attempt_count && player->attempts[index].state != SHOAL_ATTEMPT_FREE)
        index++;
    if (index == player->attempt_count) {
        player->attempts = shoal_sim__grow(player->attempts, &player->attempt_capacity,
                                           player->attempt_count + 1, sizeof(*player->attempts));
        player->attempt_count++;
    }
    uint32_t generation = player->attempts[index].generation + 1;
    player->attempts[index] = (shoal_attempted){.generation = generation};
    return index;
}

static void append_attempt(const shoal_load_player *player, const shoal_attempted *attempt,
                           shoal_buffer *out)
{
    char name[24], value[24];
    int size = snprintf(name, sizeof(name), "key:%u", attempt->key);
    if (attempt->asking) shoal_text_appendf(out, "*1\r\n$6\r\nASKING\r\n");
    if (!attempt->write) {
        shoal_text_appendf(out, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", size, name);
        return;
    }
    size_t digits =
        (size_t)snprintf(value, sizeof(value), "%llu.", (unsigned long long)attempt->serial);
    size_t whole = digits > player->load.value_size ? digits : player->load.value_size;
    shoal_text_appendf(out, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%zu\r\n%s", size, name, whole, value);
    char *filler = shoal_buffer_reserve(out, whole - digits + 2);
    SHOAL_ASSERT(filler != NULL);
    memset(filler, 'x', whole - digits);
    memcpy(filler + (whole - digits), "\r\n", 2);
    shoal_buffer_commit(out, whole - digits + 2);
}

static void push_due(shoal_load_link *link, shoal_due due)
{
    link->due =
        shoal_sim__grow(link->due, &link->due_capacity, link->due_count + 1, sizeof(*link->due));
    link->due[link->due_count++] = due;
}

static shoal_due pop_due(shoal_load_link *link)
{
    SHOAL_ASSERT(link->due_count > 0);
    shoal_due due = link->due[0];
    link->due_count--;
    memmove(link->due, link->due + 1, link->due_count * sizeof(*link->due));
    return due;
}

/* Connects to a node if need be. Requests wait in the conversation until it is there. */
static shoal_load_link *link_to(shoal_load_player *player, uint32_t node)
{
    shoal_load_link *link = &player->links[node];
    const shoal_places *places = &player->live->places;
    if (shoal_talk__is_open(&link->talk)) return link;
    shoal_spot there = {shoal_places__announced(places, node), places->port};
    uint32_t here = shoal_places__client(places, player->index);
    bool open = shoal_talk__open(&link->talk, here, there);
    if (open && player->load.reads_replicas) {
        push_due(link, (shoal_due){SHOAL_DUE_IGNORED, 0, 0});
        shoal_talk__words(&link->talk, "READONLY");
    }
    return open ? link : NULL;
}

static void retry(shoal_load_player *player, uint32_t index, uint32_t trouble)
{
    shoal_attempted *attempt = &player->attempts[index];
    attempt->state = SHOAL_ATTEMPT_WAITING;
    attempt->trouble = (uint8_t)trouble;
    attempt->again_us = shoal_loop__now(&player->live->loop) + RETRY_US;
    if (!player->retries.node.inside || player->retries.node.key > attempt->again_us)
        shoal_loop__arm(&player->live->loop, &player->retries, attempt->again_us);
}

static void send_attempt(shoal_load_player *player, uint32_t index, uint32_t node)
{
    shoal_attempted *attempt = &player->attempts[index];
    if (node == UINT32_MAX) {
        uint32_t slot = slot_of(attempt->key), owner = player->map[slot];
        bool elsewhere = player->load.reads_replicas && !attempt->write;
        if (elsewhere && player->readers[slot] != 0) owner = player->readers[slot];
        uint32_t nodes = player->live->schedule->nodes;
        node = owner ? owner - 1 : (uint32_t)shoal_prng_below(&player->ways, nodes);
    }
    attempt->node = node;
    shoal_load_link *link = link_to(player, node);
    if (link == NULL) {
        player->map_wanted = true;
        retry(player, index, SHOAL_OUTCOME_UNREACHABLE);
        return;
    }
    attempt->state = SHOAL_ATTEMPT_SENT;
    if (attempt->asking) push_due(link, (shoal_due){SHOAL_DUE_IGNORED, 0, 0});
    push_due(link, (shoal_due){SHOAL_DUE_ATTEMPT, index, attempt->generation});
    append_attempt(player, attempt, &link->talk.out);
    attempt->asking = false;
    shoal_talk__flush(&link->talk);
}

static void finish(shoal_load_player *player, uint32_t index, uint32_t outcome)
{
    shoal_live *live = player->live;
    shoal_attempted *attempt = &player->attempts[index];
    bool good = outcome <= SHOAL_OUTCOME_MISS;
    SHOAL_ASSERT(attempt->state != SHOAL_ATTEMPT_FREE);
    if (attempt->write && good) {
        int64_t now = shoal_live__now(live);
        shoal_ledger__acknowledge(&live->ledger, attempt->serial, now, attempt->node,
                                  live->lives[attempt->node]);
        shoal_measure__write(&live->result->measure, attempt->node, slot_of(attempt->key), now);
        live->result->writes++;
    }
    if (is_auditor(player)) {
        live->result->audited += good;
        live->result->unread += !good;
    } else {
        live->result->operations += good;
        live->result->errors += !good;
    }
    attempt->state = SHOAL_ATTEMPT_FREE;
    player->open--;
}

static void begin(shoal_load_player *player, uint32_t key, bool write)
{
    shoal_live *live = player->live;
    uint32_t index = take_attempt(player);
    shoal_attempted *attempt = &player->attempts[index];
    attempt->key = key;
    attempt->write = write;
    attempt->began_us = shoal_live__now(live);
    attempt->trouble = SHOAL_OUTCOME_UNREACHABLE;
    attempt->state = SHOAL_ATTEMPT_WAITING;
    attempt->again_us = INT64_MAX;
    player->open++;
    if (write) attempt->serial = shoal_ledger__begin(&live->ledger, key, attempt->began_us);
    send_attempt(player, index, UINT32_MAX);
}

/* ---- the slot map ---- */

static void refresh(shoal_load_player *player)
{
    if (player->map_asked) return;
    uint32_t nodes = player->live->schedule->nodes;
    shoal_load_link *link = link_to(player, (uint32_t)shoal_prng_below(&player->ways, nodes));
    if (link == NULL) return; /* the tick tries again */
    player->map_asked = true;
    push_due(link, (shoal_due){SHOAL_DUE_SLOTS, 0, 0});
    shoal_talk__words(&link->talk, "CLUSTER SLOTS");
    shoal_talk__flush(&link->talk);
}

static bool element(shoal_slice *rest, shoal_answer *answer)
{
    if (shoal_answer_next(*rest, answer) != SHOAL_ERR_OK) return false;
    *rest = (shoal_slice){rest->data + answer->size, rest->size - answer->size};
    return true;
}

static bool skip(shoal_slice *rest)
{
    size_t size = 0;
    if (shoal_answer_size(*rest, &size) != SHOAL_ERR_OK) return false;
    *rest = (shoal_slice){rest->data + size, rest->size - size};
    return true;
}

/* The node announced at "127.1.2.3", or UINT32_MAX. */
static uint32_t node_at(const shoal_load_player *player, shoal_slice text)
{
    char own[16];
    for (uint32_t i = 0; i < player->live->schedule->nodes; i++) {
        shoal_spot__text(shoal_places__announced(&player->live->places, i), own);
        if (shoal_text_equal(text, shoal_text(own))) return i;
    }
    return UINT32_MAX;
}

/* A node of an entry: [ip, port, ...]. */
static bool take_node(const shoal_load_player *player, shoal_slice *rest, uint32_t *node)
{
    shoal_answer whole, ip;
    if (!element(rest, &whole) || whole.integer < 2 || !element(rest, &ip)) return false;
    for (int64_t i = 1; i < whole.integer; i++) {
        if (!skip(rest)) return false;
    }
    *node = node_at(player, ip.text);
    return true;
}

static bool take_range(shoal_load_player *player, shoal_slice *rest)
{
    shoal_answer entry, first, last;
    uint32_t master, reader = UINT32_MAX;
    if (!element(rest, &entry) || entry.integer < 3) return false;
    if (!element(rest, &first) || !element(rest, &last)) return false;
    if (!take_node(player, rest, &master)) return false;
    int64_t replicas = entry.integer - 3;
    for (int64_t i = 0; i < replicas; i++) {
        uint32_t replica;
        if (!take_node(player, rest, &replica)) return false;
        if (i == player->index % replicas) reader = replica;
    }
    if (first.integer < 0 || last.integer >= SHOAL_SLOTS) return false;
    if (master == UINT32_MAX) return true;
    for (int64_t slot = first.integer; slot <= last.integer; slot++) {
        player->map[slot] = (uint16_t)(master + 1);
        player->readers[slot] = reader == UINT32_MAX ? 0 : (uint16_t)(reader + 1);
    }
    return true;
}

static void take_map(shoal_load_player *player, shoal_slice reply)
{
    shoal_answer head;
    player->map_asked = false;
    player->map_wanted = true;
    if (!element(&reply, &head) || head.type != '*') return;
    for (int64_t i = 0; i < head.integer; i++) {
        if (!take_range(player, &reply)) return;
    }
    player->map_wanted = head.integer == 0;
}

/* ---- replies ---- */

static bool starts(shoal_slice text, const char *word)
{
    size_t size = strlen(word);
    return text.size >= size && memcmp(text.data, word, size) == 0;
}

/* The node that "MOVED 866 127.1.2.3:6379" names, or UINT32_MAX. */
static uint32_t redirection_target(const shoal_load_player *player, shoal_slice text)
{
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != ' ') at--;
    shoal_slice address = {text.data + at, text.size - at};
    size_t colon = address.size;
    while (colon > 0 && address.data[colon - 1] != ':') colon--;
    if (colon < 2) return UINT32_MAX;
    return node_at(player, (shoal_slice){address.data, colon - 1});
}

static void redirected(shoal_load_player *player, uint32_t index, shoal_slice text)
{
    shoal_attempted *attempt = &player->attempts[index];
    uint32_t node = redirection_target(player, text);
    bool ask = starts(text, "ASK ");
    player->live->result->redirections++;
    if (!ask) {
        if (node != UINT32_MAX) player->map[slot_of(attempt->key)] = (uint16_t)(node + 1);
        player->map_wanted = true;
        refresh(player);
    }
    if (++attempt->redirections > REDIRECTIONS_MAX) {
        finish(player, index, SHOAL_OUTCOME_REDIRECTED);
    } else if (node == UINT32_MAX) {
        retry(player, index, SHOAL_OUTCOME_REDIRECTED);
    } else {
        attempt->asking = ask;
        send_attempt(player, index, node);
    }
}

static void refused(shoal_load_player *player, uint32_t index, shoal_slice text)
{
    if (starts(text, "MOVED ") || starts(text, "ASK ")) {
        redirected(player, index, text);
    } else if (starts(text, "TRYAGAIN")) {
        retry(player, index, SHOAL_OUTCOME_TRYAGAIN);
    } else if (starts(text, "CLUSTERDOWN")) {
        player->map_wanted = true;
        retry(player, index, SHOAL_OUTCOME_CLUSTERDOWN);
    } else {
        finish(player, index, SHOAL_OUTCOME_ERROR);
    }
}

/* The serial number that a value begins with, or UINT64_MAX. */
static uint64_t value_serial(shoal_slice value)
{
    uint64_t serial = 0;
    size_t i = 0;
    while (i < value.size && i < 19 && value.data[i] >= '0' && value.data[i] <= '9')
        serial = serial * 10 + (uint64_t)(value.data[i++] - '0');
    return i > 0 && i < value.size && value.data[i] == '.' && serial > 0 ? serial : UINT64_MAX;
}

static void take_answer(shoal_load_player *player, uint32_t index, shoal_slice reply)
{
    const shoal_attempted *attempt = &player->attempts[index];
    shoal_answer answer;
    shoal_err error = shoal_answer_next(reply, &answer);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    if (answer.type == '-') {
        refused(player, index, answer.text);
        return;
    }
    bool missing = !attempt->write && (answer.type == '_' || answer.integer < 0);
    if (is_auditor(player))
        shoal_ledger__audit(&player->live->ledger, attempt->key,
                            missing ? 0 : value_serial(answer.text), attempt->began_us);
    finish(player, index, missing ? SHOAL_OUTCOME_MISS : SHOAL_OUTCOME_OK);
}

static void link_replied(void *context, shoal_slice reply)
{
    shoal_load_link *link = context;
    shoal_load_player *player = link->player;
    if (link->due_count == 0) return;
    shoal_due due = pop_due(link);
    if (due.kind == SHOAL_DUE_SLOTS) take_map(player, reply);
    if (due.kind != SHOAL_DUE_ATTEMPT) return;
    const shoal_attempted *attempt = &player->attempts[due.index];
    if (attempt->state != SHOAL_ATTEMPT_SENT || attempt->generation != due.generation) return;
    take_answer(player, due.index, reply);
}

/* What waited on a connection that is gone: a request that never left can be made again; one that
 * left may have happened. */
static void drop_link(shoal_load_link *link, bool was_up)
{
    shoal_load_player *player = link->player;
    uint32_t count = link->due_count;
    player->map_wanted = true;
    for (uint32_t i = 0; i < count; i++) {
        shoal_due due = pop_due(link);
        if (due.kind == SHOAL_DUE_SLOTS) player->map_asked = false;
        if (due.kind != SHOAL_DUE_ATTEMPT) continue;
        const shoal_attempted *attempt = &player->attempts[due.index];
        if (attempt->state != SHOAL_ATTEMPT_SENT || attempt->generation != due.generation) continue;
        if (was_up && attempt->write)
            finish(player, due.index, SHOAL_OUTCOME_BROKEN);
        else
            retry(player, due.index, SHOAL_OUTCOME_UNREACHABLE);
    }
}

static void link_opened(void *context)
{
    (void)context;
}

static void link_ended(void *context)
{
    shoal_load_link *link = context;
    drop_link(link, link->talk.was_up);
}

/* ---- pace ---- */

static void issue(void *context)
{
    shoal_load_player *player = context;
    shoal_live *live = player->live;
    const shoal_ledger *ledger = &live->ledger;
    if (!player->active) return;
    if (is_auditor(player)) {
        while (player->audit_next < ledger->keys && ledger->heads[player->audit_next] == 0)
            player->audit_next++;
        player->active = player->audit_next < ledger->keys;
        if (player->active) begin(player, player->audit_next++, false);
        player->issue_us += AUDIT_GAP_US;
    } else {
        /* Of a mix, live clients play what sets and gets; of one without them, reads. */
        uint32_t weights = player->load.set_weight + player->load.get_weight;
        if (weights == 0) weights = 1;
        uint32_t key = shoal_zipf__pick(&player->zipf, &player->keys);
        begin(player, key, shoal_prng_below(&player->mix, weights) < player->load.set_weight);
        int64_t period = (int64_t)(UINT64_C(1000000000) / player->load.rate_milli);
        player->issue_us += period + shoal_prng_between(&player->gaps, -period / 4, period / 4);
    }
    if (player->active) shoal_loop__arm(&live->loop, &player->issues, player->issue_us);
}

static void retry_due(void *context)
{
    shoal_load_player *player = context;
    int64_t now = shoal_loop__now(&player->live->loop), next = INT64_MAX;
    for (uint32_t i = 0; i < player->attempt_count; i++) {
        shoal_attempted *attempt = &player->attempts[i];
        if (attempt->state != SHOAL_ATTEMPT_WAITING) continue;
        if (attempt->again_us <= now)
            send_attempt(player, i, UINT32_MAX);
        else if (attempt->again_us < next)
            next = attempt->again_us;
    }
    bool sooner = !player->retries.node.inside || player->retries.node.key > next;
    if (next < INT64_MAX && sooner) shoal_loop__arm(&player->live->loop, &player->retries, next);
}

/* Gives up what has taken too long. */
static void expire(shoal_load_player *player)
{
    int64_t now = shoal_live__now(player->live);
    for (uint32_t i = 0; i < player->attempt_count; i++) {
        const shoal_attempted *attempt = &player->attempts[i];
        if (attempt->state == SHOAL_ATTEMPT_FREE) continue;
        if (attempt->began_us + player->load.timeout_us > now) continue;
        if (attempt->state == SHOAL_ATTEMPT_WAITING) {
            finish(player, i, attempt->trouble);
            continue;
        }
        shoal_load_link *link = &player->links[attempt->node];
        bool was_up = link->talk.up;
        finish(player, i, was_up ? SHOAL_OUTCOME_TIMEOUT : SHOAL_OUTCOME_UNREACHABLE);
        shoal_talk__close(&link->talk);
        drop_link(link, was_up);
    }
}

static void tick(void *context)
{
    shoal_load_player *player = context;
    expire(player);
    if (player->map_wanted) refresh(player);
    /* From tick to tick, not from now: the clock of a client does not drift with its delays. */
    player->tick_us += TICK_US;
    if (player->active || player->open > 0)
        shoal_loop__arm(&player->live->loop, &player->ticks, player->tick_us);
}

static void wake(shoal_load_player *player)
{
    shoal_loop *loop = &player->live->loop;
    player->active = true;
    player->issue_us = shoal_loop__now(loop);
    shoal_loop__arm(loop, &player->issues, player->issue_us);
    player->tick_us = player->ticks.node.inside ? player->tick_us : player->issue_us + TICK_US;
    shoal_loop__arm(loop, &player->ticks, player->tick_us);
    refresh(player);
}

void shoal_load__start(shoal_live *live, uint32_t client, const shoal_load *load)
{
    shoal_load_player *player = &live->players[client];
    shoal_zipf__free(&player->zipf);
    player->load = *load;
    shoal_zipf__make(&player->zipf, load->keys, load->zipf_milli);
    wake(player);
}

void shoal_load__stop(shoal_live *live, uint32_t client)
{
    live->players[client].active = false;
    shoal_loop__disarm(&live->loop, &live->players[client].issues);
}

void shoal_load__audit(shoal_live *live)
{
    shoal_load_player *player = &live->players[live->schedule->clients];
    player->load.timeout_us = AUDIT_TIMEOUT_US;
    player->audit_next = 0;
    wake(player);
}

bool shoal_load__idle(const shoal_live *live)
{
    for (uint32_t i = 0; i < live->schedule->clients; i++) {
        if (!live->players[i].active && live->players[i].open > 0) return false;
    }
    return true;
}

bool shoal_load__audited(const shoal_live *live)
{
    const shoal_load_player *player = &live->players[live->schedule->clients];
    return !player->active && player->open == 0;
}

/* ---- making ---- */

static void make_player(shoal_live *live, uint32_t index)
{
    shoal_load_player *player = &live->players[index];
    uint32_t who = SHOAL_SCHEDULE_NODES_MAX + index, nodes = live->schedule->nodes;
    /* As in sim/world.c. */
    uint64_t given = live->options->seed;
    uint64_t seed[2] = {shoal_prng_mix(given ^ UINT64_C(0x73686F616C2D7369)), given};
    player->live = live;
    player->index = index;
    player->keys = shoal_prng_make(seed, who, SHOAL_PURPOSE_CLIENT_KEY);
    player->mix = shoal_prng_make(seed, who, SHOAL_PURPOSE_CLIENT_MIX);
    player->gaps = shoal_prng_make(seed, who, SHOAL_PURPOSE_CLIENT_GAP);
    player->ways = shoal_prng_make(seed, who, SHOAL_PURPOSE_CLIENT_WAY);
    player->map = shoal_sim__allocate(SHOAL_SLOTS * sizeof(*player->map));
    player->readers = shoal_sim__allocate(SHOAL_SLOTS * sizeof(*player->readers));
    player->links = shoal_sim__allocate(nodes * sizeof(*player->links));
    player->map_wanted = true;
    player->issues = (shoal_timer){.fire = issue, .context = player};
    player->ticks = (shoal_timer){.fire = tick, .context = player};
    player->retries = (shoal_timer){.fire = retry_due, .context = player};
    for (uint32_t i = 0; i < nodes; i++) {
        shoal_load_link *link = &player->links[i];
        link->player = player;
        link->talk = (shoal_talk){.opened = link_opened,
                                  .replied = link_replied,
                                  .ended = link_ended,
                                  .context = link};
        shoal_talk__make(&link->talk, &live->loop);
    }
}

void shoal_load__make(shoal_live *live)
{
    uint32_t count = live->schedule->clients + 1;
    live->players = shoal_sim__allocate(count * sizeof(*live->players));
    for (uint32_t i = 0; i < count; i++) make_player(live, i);
}

static void free_player(shoal_live *live, shoal_load_player *player)
{
    shoal_loop__disarm(&live->loop, &player->issues);
    shoal_loop__disarm(&live->loop, &player->ticks);
    shoal_loop__disarm(&live->loop, &player->retries);
    for (uint32_t i = 0; i < live->schedule->nodes; i++) {
        shoal_talk__free(&player->links[i].talk);
        shoal_sim__free(player->links[i].due);
    }
    shoal_zipf__free(&player->zipf);
    shoal_sim__free(player->map);
    shoal_sim__free(player->readers);
    shoal_sim__free(player->links);
    shoal_sim__free(player->attempts);
}

void shoal_load__free(shoal_live *live)
{
    for (uint32_t i = 0; live->players && i <= live->schedule->clients; i++)
        free_player(live, &live->players[i]);
    shoal_sim__free(live->players);
}
