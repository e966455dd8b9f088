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

/* Longest name of a key: "key:" and a number. */
#define KEY_NAME_SIZE 24

static size_t key_name(uint32_t key, char out[KEY_NAME_SIZE])
{
    return (size_t)snprintf(out, KEY_NAME_SIZE, "key:%u", key);
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

/* The request's bytes, in the world's scratch buffer. */
static shoal_slice request_bytes(shoal_world *world, const shoal_client *client,
                                 const shoal_operation *operation)
{
    char name[KEY_NAME_SIZE], value[24];
    shoal_buffer *out = &world->scratch;
    size_t size = key_name(operation->key, name);
    shoal_buffer_consume(out, shoal_buffer_size(out));
    if (operation->asking) shoal_text_appendf(out, "*1\r\n$6\r\nASKING\r\n");
    if (!operation->write) {
        shoal_text_appendf(out, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", size, name);
        return shoal_buffer_slice(out);
    }
    size_t digits =
        (size_t)snprintf(value, sizeof(value), "%llu.", (unsigned long long)operation->serial);
    size_t whole = digits > client->load.value_size ? digits : client->load.value_size;
    shoal_text_appendf(out, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n%s", size, name, whole,
                       value);
    char *filler = shoal_buffer_reserve(out, whole - digits + 2);
    SHOAL_ASSERT(filler != NULL);
    memset(filler, 'x', whole - digits);
    memcpy(filler + (whole - digits), "\r\n", 2);
    shoal_buffer_commit(out, whole - digits + 2);
    return shoal_buffer_slice(out);
}

void shoal_operation__begin(shoal_world *world, shoal_client *client, uint32_t key, bool write)
{
    uint32_t index = take_operation(client);
    shoal_operation *operation = &client->operations[index];
    operation->key = key;
    operation->write = write;
    operation->began_us = world->now_us;
    operation->trouble = SHOAL_OUTCOME_UNREACHABLE;
    if (write) operation->serial = shoal_history__begin(&world->history, key, world->now_us);
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
        snprintf(text, sizeof(text), "%s %s", client->label, operation->write ? "set" : "get");
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

static void judge_read(shoal_world *world, const shoal_client *client,
                       const shoal_operation *operation, uint64_t serial)
{
    shoal_cause cause = SHOAL_CAUSE_ANY;
    shoal_read_verdict verdict =
        shoal_history__read(world, operation->key, serial, operation->began_us, &cause);
    shoal_judge__read(world, operation->key, verdict == SHOAL_READ_PHANTOM);
    if (verdict == SHOAL_READ_PHANTOM) return;
    shoal_copies__found(world,
                        &(shoal_finding){.node = operation->node,
                                         .key = operation->key,
                                         .serial = serial,
                                         .began_us = operation->began_us,
                                         .served_us = client->links[operation->node].served_us});
    if (client->auditor) {
        shoal_history__audit(world, operation->key, serial, operation->began_us);
        return;
    }
    if (verdict == SHOAL_READ_FRESH) return;
    uint32_t slot = shoal_operation__slot(operation->key);
    if (shoal_copies__deposed(world, operation->node, slot)) cause = SHOAL_CAUSE_PARTITION;
    if (world->judge.views[operation->node].replica) cause = SHOAL_CAUSE_REPLICA;
    world->judge.totals.reads_stale[cause]++;
}

void shoal_operation__answered(shoal_world *world, shoal_client *client, uint32_t index,
                               shoal_slice reply)
{
    const shoal_operation *operation = &client->operations[index];
    shoal_answer answer;
    shoal_err error = shoal_answer_next(reply, &answer);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    if (answer.type == '-') {
        refused(world, client, index, answer.text);
        return;
    }
    shoal_judge__served(world,
                        &(shoal_service){.node = operation->node,
                                         .slot = shoal_operation__slot(operation->key),
                                         .write = operation->write,
                                         .readonly = client->load.reads_replicas,
                                         .began_us = operation->began_us,
                                         .served_us = client->links[operation->node].served_us});
    bool missing =
        !operation->write && (answer.type == '_' || (answer.type == '$' && answer.integer < 0));
    if (!operation->write)
        judge_read(world, client, operation, missing ? 0 : value_serial(answer.text));
    shoal_operation__finish(world, client, index, missing ? SHOAL_OUTCOME_MISS : SHOAL_OUTCOME_OK);
}
