/* SPDX-License-Identifier: MIT
 *
 * The operator of a live run: one command a node at a time, over connections that no fault
 * concerns. A node that cannot be reached is tried again for a while.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/live/live_room.h"
#include "sim/memory.h"
#include "sim/world.h"
#include "wire/resp.h"

/* As sim/operator.c: pause before another try, and how often. */
#define AGAIN_US INT64_C(5000)
#define TRIES_MAX 400u
/* How long the operator waits while it makes the cluster. Chosen: far above what that takes. */
#define PATIENCE_US INT64_C(10000000)
#define WORDS_MAX 64u
#define BYTES_MAX (64u << 20)

/* ---- words ---- */

/* `prefix(nK)`: the node, or UINT32_MAX. */
static uint32_t named_node(const shoal_live *live, shoal_slice word, const char *prefix)
{
    size_t size = strlen(prefix);
    uint64_t number = 0;
    if (word.size <= size + 1 || memcmp(word.data, prefix, size) != 0) return UINT32_MAX;
    if (word.data[word.size - 1] != ')') return UINT32_MAX;
    if (!shoal_text_to_u64((shoal_slice){word.data + size, word.size - size - 1}, &number))
        return UINT32_MAX;
    return number > 0 && number <= live->schedule->nodes ? (uint32_t)number - 1 : UINT32_MAX;
}

/* `bytes(N)` as a bulk string; false when the word is none. */
static bool append_bytes(shoal_slice word, shoal_buffer *out)
{
    uint64_t left = 0;
    if (word.size < 8 || memcmp(word.data, "bytes(", 6) != 0 || word.data[word.size - 1] != ')')
        return false;
    if (!shoal_text_to_u64((shoal_slice){word.data + 6, word.size - 7}, &left)) return false;
    if (left > BYTES_MAX) return false;
    shoal_text_appendf(out, "$%llu\r\n", (unsigned long long)left);
    char *room = shoal_buffer_reserve(out, (size_t)left + 2);
    SHOAL_ASSERT(room != NULL);
    memset(room, 'x', (size_t)left);
    memcpy(room + left, "\r\n", 2);
    shoal_buffer_commit(out, (size_t)left + 2);
    return true;
}

/* Appends one word. A port of the simulator's nodes behind an ip() is the one that is real. */
static void append_word(shoal_live *live, shoal_slice word, bool behind_ip, shoal_buffer *out)
{
    char text[SHOAL_NODE_NAME_LEN + 1];
    uint32_t id = named_node(live, word, "id(n"), ip = named_node(live, word, "ip(n");
    if (append_bytes(word, out)) return;
    if (id != UINT32_MAX) {
        word = shoal_text(live->roster.members[id].name);
    } else if (ip != UINT32_MAX) {
        shoal_spot__text(shoal_places__announced(&live->places, ip), text);
        word = shoal_text(text);
    } else if (behind_ip && shoal_text_is(word, "6379")) {
        snprintf(text, sizeof(text), "%u", live->places.port);
        word = shoal_text(text);
    } else if (behind_ip && shoal_text_is(word, "16379")) {
        snprintf(text, sizeof(text), "%u", live->places.bus_port);
        word = shoal_text(text);
    }
    shoal_text_appendf(out, "$%zu\r\n%.*s\r\n", word.size, (int)word.size, word.data);
}

static void append_request(shoal_live *live, const char *text, shoal_buffer *out)
{
    shoal_slice words[WORDS_MAX];
    uint32_t count = 0, behind = 0;
    for (size_t at = 0; text[at] != 0 && count < WORDS_MAX;) {
        size_t size = strcspn(text + at, " ");
        if (size > 0) words[count++] = (shoal_slice){text + at, size};
        at += size + (text[at + size] == ' ');
    }
    shoal_text_appendf(out, "*%u\r\n", count);
    for (uint32_t i = 0; i < count; i++) {
        append_word(live, words[i], behind > 0, out);
        bool ip = named_node(live, words[i], "ip(n") != UINT32_MAX;
        behind = ip ? 2 : behind > 0 ? behind - 1 : 0; /* a port, and a bus port behind it */
    }
}

/* ---- one node ---- */

static void order_over(shoal_counter *counter, shoal_slice reply)
{
    shoal_order *order = counter->head;
    counter->head = order->next;
    if (counter->head == NULL) counter->tail = NULL;
    counter->sent = false;
    if (order->answered) order->answered(order->context, counter->node, reply);
    shoal_sim__free(order);
}

static void work(void *context)
{
    shoal_counter *counter = context;
    shoal_live *live = counter->live;
    if (counter->head == NULL || counter->sent) return;
    if (!shoal_talk__is_open(&counter->talk)) {
        shoal_spot there = {shoal_places__node(&live->places, counter->node), live->places.port};
        if (!shoal_talk__open(&counter->talk, 0, there))
            shoal_loop__arm(&live->loop, &counter->again, shoal_loop__now(&live->loop) + AGAIN_US);
        return;
    }
    if (!counter->talk.up) return;
    counter->sent = true;
    append_request(live, counter->head->text, &counter->talk.out);
    shoal_talk__flush(&counter->talk);
}

static void replied(void *context, shoal_slice reply)
{
    shoal_counter *counter = context;
    if (counter->head == NULL || !counter->sent) return;
    order_over(counter, reply);
    work(counter);
}

static void ended(void *context)
{
    shoal_counter *counter = context;
    shoal_live *live = counter->live;
    counter->sent = false;
    if (counter->head == NULL) return;
    if (++counter->head->tries > TRIES_MAX) order_over(counter, (shoal_slice){NULL, 0});
    if (counter->head)
        shoal_loop__arm(&live->loop, &counter->again, shoal_loop__now(&live->loop) + AGAIN_US);
}

/* ---- all nodes ---- */

void shoal_counter__make(shoal_live *live)
{
    uint32_t nodes = live->schedule->nodes;
    live->counters = shoal_sim__allocate(nodes * sizeof(*live->counters));
    for (uint32_t i = 0; i < nodes; i++) {
        shoal_counter *counter = &live->counters[i];
        counter->live = live;
        counter->node = i;
        counter->talk =
            (shoal_talk){.opened = work, .replied = replied, .ended = ended, .context = counter};
        shoal_talk__make(&counter->talk, &live->loop);
        counter->again = (shoal_timer){.fire = work, .context = counter};
    }
}

void shoal_counter__forget(shoal_live *live, uint32_t node)
{
    shoal_counter *counter = &live->counters[node];
    shoal_talk__close(&counter->talk);
    shoal_loop__disarm(&live->loop, &counter->again);
    while (counter->head) order_over(counter, (shoal_slice){NULL, 0});
}

void shoal_counter__free(shoal_live *live)
{
    for (uint32_t i = 0; live->counters && i < live->schedule->nodes; i++) {
        shoal_counter *counter = &live->counters[i];
        for (shoal_order *order = counter->head; order; order = order->next) order->answered = NULL;
        shoal_counter__forget(live, i);
        shoal_talk__free(&counter->talk);
    }
    shoal_sim__free(live->counters);
}

void shoal_counter__order(shoal_live *live, uint32_t node, const char *text,
                          void (*answered)(void *context, uint32_t node, shoal_slice reply),
                          void *context)
{
    shoal_counter *counter = &live->counters[node];
    size_t size = strlen(text) + 1;
    shoal_order *order = shoal_sim__allocate(sizeof(*order) + size);
    order->answered = answered;
    order->context = context;
    memcpy(order->text, text, size);
    if (counter->tail)
        counter->tail->next = order;
    else
        counter->head = order;
    counter->tail = order;
    work(counter);
}

/* ---- waiting for a reply ---- */

/* A reply that somebody waits for. */
typedef struct awaited_reply {
    bool over, good;
    char words[160];
} awaited_reply;

static void take_awaited(void *context, uint32_t node, shoal_slice reply)
{
    awaited_reply *awaited = context;
    (void)node;
    awaited->over = true;
    awaited->good = reply.size > 0 && reply.data[0] != '-';
    size_t size = reply.size < sizeof(awaited->words) ? reply.size : sizeof(awaited->words) - 1;
    if (size > 0) memcpy(awaited->words, reply.data, size);
    awaited->words[strcspn(awaited->words, "\r\n")] = 0;
}

static bool is_over(void *context)
{
    return ((const awaited_reply *)context)->over;
}

/* Gives the command once. True when a reply came in time. */
static bool ask_once(shoal_live *live, uint32_t node, const char *text, awaited_reply *awaited)
{
    *awaited = (awaited_reply){0};
    shoal_counter__order(live, node, text, take_awaited, awaited);
    int64_t until = shoal_loop__now(&live->loop) + PATIENCE_US;
    if (shoal_loop__run(&live->loop, until, is_over, awaited)) return true;
    shoal_counter__forget(live, node); /* nobody may write into what ends here */
    return false;
}

bool shoal_counter__ask(shoal_live *live, uint32_t node, const char *text)
{
    static const char loading[] = "-LOADING";
    awaited_reply awaited;
    for (uint32_t tries = 0; tries < TRIES_MAX; tries++) {
        bool over = ask_once(live, node, text, &awaited);
        if (over && awaited.good) return true;
        bool early = over && strncmp(awaited.words, loading, sizeof(loading) - 1) == 0;
        if (!early)
            return shoal_live__trouble(live, "n%u does not do %s: %s", node + 1, text,
                                       over ? awaited.words : "no answer");
        (void)shoal_loop__run(&live->loop, shoal_loop__now(&live->loop) + AGAIN_US, NULL, NULL);
    }
    return shoal_live__trouble(live, "n%u is loading for ever", node + 1);
}
