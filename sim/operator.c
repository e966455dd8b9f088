/* SPDX-License-Identifier: MIT
 *
 * The virtual operator.
 */
#include "sim/operator.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/internal.h"
#include "wire/resp.h"

/* Pause before a node that refused a connection is tried again, and how often. Chosen: a node
 * needs a few milliseconds to start. */
#define AGAIN_US INT64_C(5000)
#define TRIES_MAX 400u
/* Pause before a node that does not know its master yet is asked again. Chosen: gossip needs a
 * few seconds to reach everybody. */
#define UNKNOWN_US INT64_C(50000)

/* How long a reply is waited for from a host that has lost its power, until somebody asks whether
 * the connection is still there. Chosen: what redis-cli sets for its own. */
#define KEEPALIVE_US INT64_C(15000000)

#define WORDS_MAX 64

/* The longest word that bytes(N) stands for. Chosen: below what a node takes as one word. */
#define BYTES_MAX (64u << 20)

void shoal_operator__make(shoal_world *world)
{
    shoal_operator *who = &world->operator_;
    who->desk_count = world->node_count;
    who->desks = shoal_sim__allocate(who->desk_count * sizeof(*who->desks));
    for (uint32_t i = 0; i < who->desk_count; i++) {
        who->desks[i].in = shoal_buffer_make(&world->allocator);
    }
}

void shoal_operator__free(shoal_world *world)
{
    shoal_operator *who = &world->operator_;
    for (uint32_t i = 0; i < who->desk_count; i++) {
        while (who->desks[i].head) {
            shoal_task *task = who->desks[i].head;
            who->desks[i].head = task->next;
            shoal_sim__free(task);
        }
        shoal_buffer_free(&who->desks[i].in);
    }
    shoal_sim__free(who->desks);
}

static void arrange_try(shoal_world *world, uint32_t node, int64_t wait_us)
{
    shoal_desk *desk = &world->operator_.desks[node];
    if (desk->arranged) return;
    desk->arranged = true;
    shoal_world__arrange(world, world->now_us + wait_us, SHOAL_OCCURRENCE_OPERATOR, node, 0);
}

static shoal_task *add_task(shoal_world *world, uint32_t node, shoal_slice text)
{
    shoal_desk *desk = &world->operator_.desks[node];
    shoal_task *task = shoal_sim__allocate(sizeof(*task) + text.size + 1);
    task->node = node;
    memcpy(task->text, text.data, text.size);
    if (desk->tail)
        desk->tail->next = task;
    else
        desk->head = task;
    desk->tail = task;
    arrange_try(world, node, 0);
    return task;
}

void shoal_operator__order(shoal_world *world, uint32_t node, shoal_slice text, uint32_t line)
{
    add_task(world, node, text)->line = line;
    if (line == 0) world->operator_.forming++;
}

void shoal_operator__ask(shoal_world *world, uint32_t node, shoal_slice text, uint32_t asker)
{
    SHOAL_ASSERT(asker < world->expect.count);
    shoal_task *task = add_task(world, node, text);
    task->line = world->expect.lines[asker]->number;
    task->asker = asker + 1;
}

void shoal_operator__forget(shoal_world *world, uint32_t node)
{
    shoal_desk *desk = &world->operator_.desks[node];
    shoal_port port;
    if (desk->handle != 0 && shoal_net__find(&world->net, desk->handle, &port)) {
        shoal_net__close(world, port);
    }
    desk->handle = 0;
    desk->up = desk->waiting = desk->stale = false;
    shoal_buffer_consume(&desk->in, shoal_buffer_size(&desk->in));
    while (desk->head) {
        shoal_task *task = desk->head;
        SHOAL_ASSERT(task->line != 0);
        desk->head = task->next;
        shoal_sim__free(task);
    }
    desk->tail = NULL;
}

/* ---- making a cluster ---- */

static void order_form(shoal_world *world, uint32_t node, const char *text)
{
    shoal_operator__order(world, node, shoal_text(text), 0);
}

void shoal_operator__form(shoal_world *world)
{
    const shoal_schedule *schedule = world->schedule;
    char text[96];
    if (schedule->meet == SHOAL_MEET_NONE) return;
    for (uint32_t i = 0; i < schedule->nodes; i++) {
        snprintf(text, sizeof(text), "CLUSTER SET-CONFIG-EPOCH %u", i + 1);
        order_form(world, i, text);
        if (i >= schedule->masters) continue;
        uint32_t first = (uint32_t)((uint64_t)SHOAL_SLOTS * i / schedule->masters);
        uint32_t last = (uint32_t)((uint64_t)SHOAL_SLOTS * (i + 1) / schedule->masters) - 1;
        snprintf(text, sizeof(text), "CLUSTER ADDSLOTSRANGE %u %u", first, last);
        order_form(world, i, text);
    }
}

static void meet(shoal_world *world, uint32_t node, uint32_t other)
{
    char text[96];
    snprintf(text, sizeof(text), "CLUSTER MEET ip(n%u) %u", other + 1, SHOAL_WORLD_PORT);
    order_form(world, node, text);
}

/* Slots and epochs are given: now the nodes may learn of each other. */
static void introduce(shoal_world *world)
{
    uint32_t count = world->node_count;
    world->operator_.introduced = true;
    for (uint32_t i = 0; i < count; i++) {
        switch (world->schedule->meet) {
        case SHOAL_MEET_STAR:
            if (i > 0) meet(world, 0, i);
            break;
        case SHOAL_MEET_CHAIN:
            if (i > 0) meet(world, i - 1, i);
            break;
        default:
            for (uint32_t j = 0; j < count; j++) {
                if (j != i) meet(world, i, j);
            }
        }
    }
}

/* Everybody has met somebody: replicas can be told of their masters, once they know them. */
static void replicate(shoal_world *world)
{
    const shoal_schedule *schedule = world->schedule;
    char text[96];
    world->operator_.replicated = true;
    for (uint32_t i = 0; i < schedule->masters * schedule->replicas; i++) {
        snprintf(text, sizeof(text), "CLUSTER REPLICATE id(n%u)", i % schedule->masters + 1);
        order_form(world, schedule->masters + i, text);
    }
}

/* ---- sending ---- */

/* Appends a bulk string of as many bytes as `bytes(N)` says; false when the word is none. */
static bool append_bytes(shoal_slice word, shoal_buffer *out)
{
    static const char filling[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    uint64_t left = 0;
    if (word.size < 8 || memcmp(word.data, "bytes(", 6) != 0) return false;
    if (word.data[word.size - 1] != ')') return false;
    if (!shoal_text_to_u64((shoal_slice){word.data + 6, word.size - 7}, &left)) return false;
    if (left > BYTES_MAX) return false;
    shoal_text_appendf(out, "$%llu\r\n", (unsigned long long)left);
    for (size_t part; left > 0; left -= part) {
        part = left < sizeof(filling) - 1 ? left : sizeof(filling) - 1;
        shoal_buffer_append(out, (shoal_slice){filling, part});
    }
    shoal_text_appendf(out, "\r\n");
    return true;
}

/* Appends one word for a node, with id(nK), id(self), ip(nK) and bytes(N) replaced, as a bulk
 * string. */
static void append_word(shoal_world *world, uint32_t self, shoal_slice word, shoal_buffer *out)
{
    char text[64];
    uint64_t number = 0;
    if (append_bytes(word, out)) return;
    bool id = word.size > 5 && memcmp(word.data, "id(n", 4) == 0;
    bool ip = word.size > 5 && memcmp(word.data, "ip(n", 4) == 0;
    bool own = shoal_text_equal(word, shoal_text("id(self)"));
    bool other = (id || ip) && word.data[word.size - 1] == ')' &&
                 shoal_text_to_u64((shoal_slice){word.data + 4, word.size - 5}, &number) &&
                 number > 0 && number <= world->node_count;
    if (own) number = self + 1;
    if (own || other) {
        shoal_world_node node;
        shoal_world_node_get(world, (uint32_t)number - 1, &node);
        snprintf(text, sizeof(text), "%s", ip ? node.ip : node.name);
        word = shoal_text(text);
    }
    shoal_text_appendf(out, "$%zu\r\n%.*s\r\n", word.size, (int)word.size, word.data);
}

static void send_head(shoal_world *world, shoal_desk *desk, shoal_port port)
{
    shoal_slice words[WORDS_MAX];
    shoal_buffer *out = &world->scratch;
    const char *text = desk->head->text;
    uint32_t count = 0;
    for (size_t at = 0; text[at] != 0 && count < WORDS_MAX;) {
        size_t size = strcspn(text + at, " ");
        if (size > 0) words[count++] = (shoal_slice){text + at, size};
        at += size + (text[at + size] == ' ');
    }
    shoal_buffer_consume(out, shoal_buffer_size(out));
    shoal_text_appendf(out, "*%u\r\n", count);
    for (uint32_t i = 0; i < count; i++) append_word(world, desk->head->node, words[i], out);
    desk->waiting = true;
    shoal_net__send(world, port, shoal_buffer_slice(out));
}

/* Works on the first task of a node: connects, or sends. */
static void work(shoal_world *world, uint32_t node)
{
    shoal_desk *desk = &world->operator_.desks[node];
    shoal_port port;
    if (desk->head == NULL || desk->waiting) return;
    if (desk->handle != 0) {
        if (desk->up && shoal_net__find(&world->net, desk->handle, &port)) {
            send_head(world, desk, port);
        }
        return;
    }
    port = shoal_net__open(world, shoal_world__operator_host(world), node, SHOAL_WORLD_PORT);
    port.connection->ends[0].kind = SHOAL_END_OPERATOR;
    desk->handle = shoal_net__handle(port);
}

/* ---- replies ---- */

/* The first task of a node is over. */
static void task_done(shoal_world *world, uint32_t node, shoal_slice trouble)
{
    shoal_operator *who = &world->operator_;
    shoal_desk *desk = &who->desks[node];
    shoal_task *task = desk->head;
    desk->head = task->next;
    if (desk->head == NULL) desk->tail = NULL;
    if (trouble.size > 0 && task->asker == 0) {
        char text[256];
        int size = snprintf(text, sizeof(text), "%s: %s: %.*s", world->nodes[node].label,
                            task->text, (int)trouble.size, trouble.data);
        if (size >= (int)sizeof(text)) size = sizeof(text) - 1;
        shoal_trace_record record = {.kind = SHOAL_TRACE_FAULT,
                                     .a = task->line,
                                     .text = {text, (size_t)size}};
        shoal_world__trace_text(world, SHOAL_TRACE_WORLD, &record);
        if (task->line == 0) shoal_judge__fault(world, SHOAL_CHECK_FORMED, record.text);
    }
    bool set_up = task->line == 0;
    shoal_sim__free(task);
    if (!set_up) return;
    shoal_judge__made(world, SHOAL_CHECK_FORMED);
    if (--who->forming > 0) return;
    if (!who->introduced)
        introduce(world);
    else if (!who->replicated)
        replicate(world);
}

static void operator_up(shoal_world *world, shoal_port port)
{
    uint32_t node = port.connection->ends[1].host;
    world->operator_.desks[node].up = true;
    work(world, node);
}

/* Setting up, a node that does not know another one yet only needs time. */
static bool ask_again(shoal_task *task, const shoal_answer *answer)
{
    static const char unknown[] = "ERR Unknown node";
    size_t size = sizeof(unknown) - 1;
    if (task->line != 0 || answer->type != '-' || answer->text.size < size) return false;
    return memcmp(answer->text.data, unknown, size) == 0 && ++task->tries <= TRIES_MAX;
}

/* The operator is a client too. */
static void reach_marks(shoal_world *world, const shoal_answer *answer)
{
    static const char ask[] = "ASK ", tryagain[] = "TRYAGAIN ";
    const shoal_slice text = answer->text;
    if (answer->type != '-') return;
    if (text.size >= sizeof(ask) - 1 && memcmp(text.data, ask, sizeof(ask) - 1) == 0)
        shoal_marks__reach(world, SHOAL_MARK_ASK);
    if (text.size >= sizeof(tryagain) - 1 && memcmp(text.data, tryagain, sizeof(tryagain) - 1) == 0)
        shoal_marks__reach(world, SHOAL_MARK_TRYAGAIN);
}

static void operator_data(shoal_world *world, shoal_port port, shoal_slice bytes, int64_t sent_us)
{
    uint32_t node = port.connection->ends[1].host;
    shoal_desk *desk = &world->operator_.desks[node];
    size_t size = 0;
    (void)sent_us;
    shoal_buffer_append(&desk->in, bytes);
    if (shoal_answer_size(shoal_buffer_slice(&desk->in), &size) != SHOAL_ERR_OK) return;
    shoal_answer answer;
    shoal_err error = shoal_answer_next(shoal_buffer_slice(&desk->in), &answer);
    SHOAL_ASSERT(error == SHOAL_ERR_OK && desk->waiting && desk->head);
    desk->waiting = false;
    const shoal_operator *who = &world->operator_;
    if (who->heard) who->heard(who->heard_context, node, (shoal_slice){desk->in.data, size});
    reach_marks(world, &answer);
    if (ask_again(desk->head, &answer)) {
        shoal_buffer_consume(&desk->in, shoal_buffer_size(&desk->in));
        arrange_try(world, node, UNKNOWN_US);
        return;
    }
    if (desk->head->asker) {
        shoal_ask__answered(world, desk->head->asker - 1, node, (shoal_slice){desk->in.data, size});
    }
    task_done(world, node, answer.type == '-' ? answer.text : (shoal_slice){NULL, 0});
    shoal_buffer_consume(&desk->in, shoal_buffer_size(&desk->in));
    work(world, node);
}

/* A node that was told to end itself ends the connection: that is the answer. */
static bool has_ended(const shoal_desk *desk)
{
    static const char word[] = "SHUTDOWN";
    SHOAL_ASSERT(desk->head != NULL);
    return desk->waiting && !desk->stale && strncmp(desk->head->text, word, sizeof(word) - 1) == 0;
}

/* The connection to a node is over. */
static void lose_connection(shoal_world *world, uint32_t node, shoal_err error)
{
    shoal_desk *desk = &world->operator_.desks[node];
    bool ended = desk->head != NULL && has_ended(desk);
    desk->handle = 0;
    desk->up = desk->waiting = desk->stale = false;
    shoal_buffer_consume(&desk->in, shoal_buffer_size(&desk->in));
    if (desk->head == NULL) return;
    if (ended)
        task_done(world, node, (shoal_slice){NULL, 0});
    else if (++desk->head->tries > TRIES_MAX)
        task_done(world, node, shoal_text(shoal_err_text(error)));
    if (desk->head) arrange_try(world, node, AGAIN_US);
}

static void operator_down(shoal_world *world, shoal_port port, shoal_err error)
{
    lose_connection(world, port.connection->ends[1].host, error);
}

void shoal_operator__power_lost(shoal_world *world, uint32_t node)
{
    shoal_desk *desk = &world->operator_.desks[node];
    SHOAL_ASSERT(node < world->operator_.desk_count);
    desk->stale = desk->handle != 0;
    if (!desk->waiting) return;
    shoal_world__arrange(world, world->now_us + KEEPALIVE_US, SHOAL_OCCURRENCE_OPERATOR, node,
                         desk->handle);
}

/* Nobody at the other end knows the connection, and no reply will come. */
static void hang_up(shoal_world *world, uint32_t node, uint64_t handle)
{
    const shoal_desk *desk = &world->operator_.desks[node];
    shoal_port port;
    if (desk->handle != handle || !shoal_net__find(&world->net, handle, &port)) return;
    SHOAL_ASSERT(port.connection->ends[1].state == SHOAL_END_CLOSED);
    shoal_net__close(world, port);
    lose_connection(world, node, SHOAL_ERR_TIMED_OUT);
}

void shoal_operator__occur(shoal_world *world, const shoal_occurrence *occurrence)
{
    if (occurrence->detail != 0) {
        hang_up(world, occurrence->subject, occurrence->detail);
        return;
    }
    world->operator_.desks[occurrence->subject].arranged = false;
    work(world, occurrence->subject);
}

const shoal_end_class shoal_operator__class = {operator_up, operator_data, NULL, operator_down,
                                               NULL};
