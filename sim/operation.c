/* SPDX-License-Identifier: MIT
 *
 * Operations of virtual clients: what they say, what an answer means, when to try again.
 */
#include "sim/client.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc16.h"
#include "base/text.h"
#include "sim/internal.h"
#include "wire/resp.h"

/* Pause before another try, as careful client libraries make it. */
#define RETRY_US INT64_C(50000)

/* Longest name of a key: "key:" or "ctr:" and a number. */
#define KEY_NAME_SIZE 24

static size_t key_name(uint32_t key, char out[KEY_NAME_SIZE])
{
    const char *head = key & SHOAL_KEY_COUNTER ? "ctr" : "key";
    return (size_t)snprintf(out, KEY_NAME_SIZE, "%s:%u", head, key & ~SHOAL_KEY_COUNTER);
}

uint32_t shoal_operation__slot(uint32_t key)
{
    char name[KEY_NAME_SIZE];
    size_t size = key_name(key, name);
    return shoal_crc16_slot((shoal_slice){name, size});
}

/* ---- the list of operations ---- */

static uint32_t take_operation(shoal_client *client)
{
    uint32_t index = client->free_list;
    if (index != 0) {
        client->free_list = client->operations[index - 1].newer;
    } else {
        client->operations =
            shoal_sim__grow(client->operations, &client->operation_capacity,
                            client->operation_count + 1, sizeof(*client->operations));
        index = ++client->operation_count;
    }
    shoal_operation *operation = &client->operations[index - 1];
    uint32_t generation = operation->generation;
    *operation = (shoal_operation){.generation = generation, .older = client->newest};
    if (client->newest != 0)
        client->operations[client->newest - 1].newer = index;
    else
        client->oldest = index;
    client->newest = index;
    return index - 1;
}

static void give_operation(shoal_client *client, uint32_t index)
{
    shoal_operation *operation = &client->operations[index];
    if (operation->older)
        client->operations[operation->older - 1].newer = operation->newer;
    else
        client->oldest = operation->newer;
    if (operation->newer)
        client->operations[operation->newer - 1].older = operation->older;
    else
        client->newest = operation->older;
    operation->state = SHOAL_OPERATION_FREE;
    operation->generation++;
    operation->newer = client->free_list;
    client->free_list = index + 1;
}

/* ---- out ---- */

/* Appends a SET: the serial number, a point, and as much more as the client's values are long. */
static void append_set(const shoal_client *client, const shoal_operation *operation,
                       shoal_slice name, shoal_buffer *out)
{
    char value[24];
    bool expires = operation->action == SHOAL_ACTION_PX;
    size_t digits =
        (size_t)snprintf(value, sizeof(value), "%llu.", (unsigned long long)operation->serial);
    size_t whole = digits > client->load.value_size ? digits : client->load.value_size;
    shoal_text_appendf(out, "*%d\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n%s", expires ? 5 : 3,
                       name.size, name.data, whole, value);
    char *filler = shoal_buffer_reserve(out, whole - digits + 2);
    SHOAL_ASSERT(filler != NULL);
    memset(filler, 'x', whole - digits);
    memcpy(filler + (whole - digits), "\r\n", 2);
    shoal_buffer_commit(out, whole - digits + 2);
    if (!expires) return;
    long ttl_ms = (long)(client->load.ttl_us / 1000);
    int size = snprintf(value, sizeof(value), "%ld", ttl_ms);
    shoal_text_appendf(out, "$2\r\nPX\r\n$%d\r\n%ld\r\n", size, ttl_ms);
}

/* The request's bytes, in the world's scratch buffer. */
static shoal_slice request_bytes(shoal_world *world, const shoal_client *client,
                                 const shoal_operation *operation)
{
    char name[KEY_NAME_SIZE];
    shoal_buffer *out = &world->scratch;
    size_t size = key_name(operation->key, name);
    shoal_buffer_consume(out, shoal_buffer_size(out));
    if (operation->asking) shoal_text_appendf(out, "*1\r\n$6\r\nASKING\r\n");
    if (operation->action == SHOAL_ACTION_SET || operation->action == SHOAL_ACTION_PX) {
        append_set(client, operation, (shoal_slice){name, size}, out);
        return shoal_buffer_slice(out);
    }
    const char *command = operation->action == SHOAL_ACTION_GET   ? "$3\r\nGET"
                          : operation->action == SHOAL_ACTION_DEL ? "$3\r\nDEL"
                                                                  : "$4\r\nINCR";
    shoal_text_appendf(out, "*2\r\n%s\r\n$%zu\r\n%s\r\n", command, size, name);
    return shoal_buffer_slice(out);
}

void shoal_operation__begin(shoal_world *world, shoal_client *client, uint32_t key, uint32_t action)
{
    uint32_t index = take_operation(client);
    shoal_operation *operation = &client->operations[index];
    operation->key = key;
    operation->action = (uint8_t)action;
    operation->write = action != SHOAL_ACTION_GET;
    operation->began_us = world->now_us;
    operation->trouble = SHOAL_OUTCOME_UNREACHABLE;
    if (operation->write) {
        shoal_intent intent = {.key = key,
                               .client = client->index,
                               .action = action,
                               .size = client->load.value_size,
                               .after = shoal_sessions__found(world, client->index, key),
                               .now_us = world->now_us};
        operation->serial = shoal_history__begin(&world->history, &intent);
    }
    shoal_operation__send(world, client, index, UINT32_MAX);
}

void shoal_operation__send(shoal_world *world, shoal_client *client, uint32_t index, uint32_t node)
{
    shoal_operation *operation = &client->operations[index];
    if (node == UINT32_MAX) {
        uint32_t slot = shoal_operation__slot(operation->key);
        uint32_t owner = client->map[slot];
        bool elsewhere = client->load.reads_replicas && !operation->write;
        if (elsewhere && client->readers[slot] != 0) owner = client->readers[slot];
        node = owner ? owner - 1 : (uint32_t)shoal_prng_below(&client->ways, world->node_count);
    }
    operation->node = node;
    operation->state = SHOAL_OPERATION_SENT;
    if (operation->write) shoal_history__sent(world, operation->serial, node, client->load.ttl_us);
    shoal_slice bytes = request_bytes(world, client, operation);
    shoal_pending pending = {SHOAL_PENDING_OPERATION, index, operation->generation};
    if (operation->asking) {
        operation->asking = false;
        shoal_client__request(world, client, node, (shoal_slice){NULL, 0},
                              (shoal_pending){SHOAL_PENDING_IGNORED, 0, 0});
    }
    shoal_client__request(world, client, node, bytes, pending);
}

void shoal_operation__retry(shoal_world *world, shoal_client *client, uint32_t index,
                            uint32_t trouble)
{
    shoal_operation *operation = &client->operations[index];
    operation->state = SHOAL_OPERATION_WAITING;
    operation->trouble = (uint8_t)trouble;
    shoal_world__arrange(world, world->now_us + RETRY_US, SHOAL_OCCURRENCE_CLIENT_RETRY,
                         client->index, index | (uint64_t)operation->generation << 32);
}

/* ---- the end ---- */

static void trace_operation(shoal_world *world, const shoal_client *client,
                            const shoal_operation *operation, uint32_t outcome)
{
    char text[32];
    int size =
        snprintf(text, sizeof(text), "%s %s", client->label, shoal_action_name(operation->action));
    shoal_trace_record record = {.kind = SHOAL_TRACE_CLIENT_OP,
                                 .a = shoal_operation__slot(operation->key),
                                 .b = outcome,
                                 .c = (uint64_t)(world->now_us - operation->began_us),
                                 .text = {text, (size_t)size}};
    shoal_world__trace_text(world, operation->node, &record);
}

/* What is known now of a write. */
static void settle_write(shoal_world *world, const shoal_client *client,
                         const shoal_operation *operation, uint32_t outcome)
{
    int64_t served_us = client->links[operation->node].served_us;
    if (outcome == SHOAL_OUTCOME_OK) {
        shoal_history__end(world, operation->serial, SHOAL_WRITE_ACKNOWLEDGED, operation->node,
                           served_us);
        world->judge.totals.writes_acknowledged++;
        shoal_judge__acknowledged(world, operation->serial, served_us);
        shoal_sessions__wrote(world, client->index, operation->serial);
    } else if (outcome != SHOAL_OUTCOME_BROKEN && outcome != SHOAL_OUTCOME_TIMEOUT) {
        shoal_history__end(world, operation->serial, SHOAL_WRITE_REFUSED, operation->node, 0);
    } else {
        shoal_marks__reach(world, SHOAL_MARK_WRITE_UNKNOWN);
    }
}

void shoal_operation__finish(shoal_world *world, shoal_client *client, uint32_t index,
                             uint32_t outcome)
{
    const shoal_operation *operation = &client->operations[index];
    bool good = outcome <= SHOAL_OUTCOME_MISS;
    SHOAL_ASSERT(operation->state != SHOAL_OPERATION_FREE);
    if (operation->write) settle_write(world, client, operation, outcome);
    if (client->auditor) {
        if (good)
            world->judge.totals.audited++;
        else
            world->judge.totals.unread++;
    } else {
        client->done += good;
        client->errors += !good;
        if (!good) world->judge.totals.unavailable[outcome]++;
        client->tick_done += good;
        client->tick_errors += !good;
        trace_operation(world, client, operation, outcome);
    }
    give_operation(client, index);
}

/* ---- in ---- */

/* The node that a redirection `MOVED 866 10.0.0.3:6379` names, or UINT32_MAX. */
static uint32_t redirection_target(const shoal_world *world, shoal_slice text)
{
    char ip[46];
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != ' ') at--;
    shoal_slice address = {text.data + at, text.size - at};
    size_t colon = address.size;
    while (colon > 0 && address.data[colon - 1] != ':') colon--;
    if (colon < 2 || colon > sizeof(ip)) return UINT32_MAX;
    memcpy(ip, address.data, colon - 1);
    ip[colon - 1] = 0;
    uint32_t host = shoal_world__host_of(world, ip);
    return host < world->node_count ? host : UINT32_MAX;
}

static bool starts(shoal_slice text, const char *word)
{
    size_t size = strlen(word);
    return text.size >= size && memcmp(text.data, word, size) == 0;
}

/* MOVED and ASK: once more, elsewhere. */
static void redirected(shoal_world *world, shoal_client *client, uint32_t index, shoal_slice text)
{
    shoal_operation *operation = &client->operations[index];
    uint32_t node = redirection_target(world, text);
    bool ask = starts(text, "ASK ");
    client->redirections++;
    client->tick_redirections++;
    shoal_marks__reach(world, ask ? SHOAL_MARK_ASK : SHOAL_MARK_MOVED);
    if (!ask) {
        if (node != UINT32_MAX)
            client->map[shoal_operation__slot(operation->key)] = (uint16_t)(node + 1);
        client->map_wanted = true;
        shoal_client__refresh(world, client);
    }
    if (++operation->redirections > SHOAL_CLIENT_REDIRECTIONS_MAX) {
        shoal_operation__finish(world, client, index, SHOAL_OUTCOME_REDIRECTED);
    } else if (node == UINT32_MAX) {
        shoal_operation__retry(world, client, index, SHOAL_OUTCOME_REDIRECTED);
    } else {
        operation->asking = ask;
        shoal_operation__send(world, client, index, node);
    }
}

static void refused(shoal_world *world, shoal_client *client, uint32_t index, shoal_slice text)
{
    if (starts(text, "MOVED ") || starts(text, "ASK ")) {
        redirected(world, client, index, text);
    } else if (starts(text, "TRYAGAIN")) {
        shoal_marks__reach(world, SHOAL_MARK_TRYAGAIN);
        shoal_operation__retry(world, client, index, SHOAL_OUTCOME_TRYAGAIN);
    } else if (starts(text, "CLUSTERDOWN")) {
        client->map_wanted = true;
        shoal_marks__reach(world, SHOAL_MARK_CLUSTERDOWN);
        shoal_operation__retry(world, client, index, SHOAL_OUTCOME_CLUSTERDOWN);
    } else {
        shoal_operation__finish(world, client, index, SHOAL_OUTCOME_ERROR);
    }
}

/* The serial number that a value begins with; UINT64_MAX when it has none. */
static uint64_t value_serial(shoal_slice value)
{
    uint64_t serial = 0;
    size_t i = 0;
    while (i < value.size && i < 19 && value.data[i] >= '0' && value.data[i] <= '9') {
        serial = serial * 10 + (uint64_t)(value.data[i++] - '0');
    }
    return i > 0 && i < value.size && value.data[i] == '.' && serial > 0 ? serial : UINT64_MAX;
}

static void judge_service(shoal_world *world, shoal_client *client,
                          const shoal_operation *operation)
{
    shoal_client_link *link = &client->links[operation->node];
    bool behind = link->wrote_us == link->served_us;
    if (operation->write) link->wrote_us = link->served_us;
    shoal_judge__served(world, &(shoal_service){.node = operation->node,
                                                .slot = shoal_operation__slot(operation->key),
                                                .write = operation->write,
                                                .readonly = client->load.reads_replicas,
                                                .behind = behind,
                                                .began_us = operation->began_us,
                                                .served_us = link->served_us});
}

static bool is_nothing(const shoal_answer *answer)
{
    return answer->type == '_' || (answer->type == '$' && answer->integer < 0);
}

/* Is this an answer to what was asked, by its kind? */
static bool fits(const shoal_operation *operation, const shoal_answer *answer)
{
    switch (operation->action) {
    case SHOAL_ACTION_GET: return answer->type == '$' || is_nothing(answer);
    case SHOAL_ACTION_DEL:
        return answer->type == ':' && (answer->integer == 0 || answer->integer == 1);
    case SHOAL_ACTION_INCR: return answer->type == ':' && answer->integer > 0;
    default: return answer->type == '+' && shoal_text_is(answer->text, "OK");
    }
}

static uint64_t value_counted(shoal_slice value)
{
    uint64_t number = 0;
    return shoal_text_to_u64(value, &number) ? number : UINT64_MAX;
}

static void judge_reading(shoal_world *world, const shoal_client *client,
                          const shoal_operation *operation, const shoal_answer *answer)
{
    shoal_reading reading = {.node = operation->node,
                             .key = operation->key,
                             .began_us = operation->began_us,
                             .served_us = client->links[operation->node].served_us};
    if (!is_nothing(answer)) {
        bool counter = (operation->key & SHOAL_KEY_COUNTER) != 0;
        reading.serial = counter ? value_counted(answer->text) : value_serial(answer->text);
    }
    shoal_reading__judge(world, client, &reading);
}

void shoal_operation__answered(shoal_world *world, shoal_client *client, uint32_t index,
                               shoal_slice reply)
{
    const shoal_operation *operation = &client->operations[index];
    shoal_answer answer;
    uint32_t outcome = SHOAL_OUTCOME_OK;
    shoal_err error = shoal_answer_next(reply, &answer);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    if (answer.type == '-') {
        refused(world, client, index, answer.text);
        return;
    }
    judge_service(world, client, operation);
    if (!fits(operation, &answer)) {
        shoal_anomaly__count(world, SHOAL_ANOMALY_CROSS_REPLY, SHOAL_CAUSE_ALIVE);
        shoal_operation__finish(world, client, index, SHOAL_OUTCOME_BROKEN);
        return;
    }
    if (operation->action == SHOAL_ACTION_GET) {
        judge_reading(world, client, operation, &answer);
        if (is_nothing(&answer)) outcome = SHOAL_OUTCOME_MISS;
    }
    if (operation->action == SHOAL_ACTION_INCR)
        shoal_history__counted(world, operation->serial, (uint64_t)answer.integer,
                               client->links[operation->node].served_us);
    shoal_operation__finish(world, client, index, outcome);
}
