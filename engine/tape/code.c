/* SPDX-License-Identifier: MIT
 *
 * The coder of recordings: plain values, and the structures made of them. Reading checks before it
 * reads; what is wrong makes the coder bad and the value zero, so that callers look once.
 */
#include "tape/code.h"

#include "base/assert.h"
#include "base/bytes.h"

/* Runs that are shorter are not put together. Derived: a run takes up to three bytes and ends the
 * literal before it. */
#define RUN_MIN 6u

/* ---- plain values ---- */

/* The next `size` bytes of the input, or NULL. */
static const char *take(shoal_tape_coder *coder, size_t size)
{
    SHOAL_ASSERT(coder->out == NULL);
    if (coder->bad || coder->in.size < size) {
        coder->bad = true;
        return NULL;
    }
    const char *at = coder->in.data;
    coder->in.data += size;
    coder->in.size -= size;
    return at;
}

static void put(shoal_tape_coder *coder, const void *bytes, size_t size)
{
    SHOAL_ASSERT(coder->out != NULL);
    shoal_buffer_append(coder->out, (shoal_slice){bytes, size});
}

void shoal_tape__byte(shoal_tape_coder *coder, uint8_t *value)
{
    SHOAL_DEBUG_ASSERT(value != NULL);
    if (coder->out != NULL) {
        put(coder, value, 1);
        return;
    }
    const char *at = take(coder, 1);
    *value = at != NULL ? (uint8_t)*at : 0;
}

/* Seven bits a byte, the lowest first; the top bit says that more follow. */
void shoal_tape__number(shoal_tape_coder *coder, uint64_t *value)
{
    uint8_t bytes[10];
    SHOAL_DEBUG_ASSERT(value != NULL);
    if (coder->out != NULL) {
        uint64_t left = *value;
        size_t size = 0;
        for (; left >= 0x80; left >>= 7) bytes[size++] = (uint8_t)(left | 0x80);
        bytes[size++] = (uint8_t)left;
        put(coder, bytes, size);
        return;
    }
    uint64_t read = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        const char *at = take(coder, 1);
        if (at == NULL) break;
        uint8_t byte = (uint8_t)*at;
        if (shift == 63 && byte > 1) break;
        read |= (uint64_t)(byte & 0x7F) << shift;
        if (byte >= 0x80) continue;
        *value = read;
        return;
    }
    coder->bad = true;
    *value = 0;
}

void shoal_tape__signed(shoal_tape_coder *coder, int64_t *value)
{
    uint64_t folded = ((uint64_t)*value << 1) ^ (uint64_t)(*value >> 63);
    SHOAL_DEBUG_ASSERT(value != NULL);
    shoal_tape__number(coder, &folded);
    if (coder->out == NULL) *value = (int64_t)((folded >> 1) ^ (0 - (folded & 1)));
}

void shoal_tape__word(shoal_tape_coder *coder, uint32_t *value)
{
    char bytes[4];
    SHOAL_DEBUG_ASSERT(value != NULL);
    if (coder->out != NULL) {
        shoal_bytes_put_le32(bytes, *value);
        put(coder, bytes, sizeof bytes);
        return;
    }
    const char *at = take(coder, sizeof bytes);
    *value = at != NULL ? shoal_bytes_get_le32(at) : 0;
}

void shoal_tape__long(shoal_tape_coder *coder, uint64_t *value)
{
    char bytes[8];
    SHOAL_DEBUG_ASSERT(value != NULL);
    if (coder->out != NULL) {
        shoal_bytes_put_le64(bytes, *value);
        put(coder, bytes, sizeof bytes);
        return;
    }
    const char *at = take(coder, sizeof bytes);
    *value = at != NULL ? shoal_bytes_get_le64(at) : 0;
}

void shoal_tape__flag(shoal_tape_coder *coder, bool *value)
{
    uint8_t byte = coder->out != NULL && *value;
    SHOAL_DEBUG_ASSERT(byte <= 1);
    shoal_tape__byte(coder, &byte);
    if (coder->out == NULL) *value = byte == 1;
    if (byte > 1) coder->bad = true;
}

void shoal_tape__short(shoal_tape_coder *coder, uint16_t *value)
{
    uint64_t number = coder->out != NULL ? *value : 0;
    SHOAL_DEBUG_ASSERT(value != NULL);
    shoal_tape__number(coder, &number);
    if (number > UINT16_MAX) coder->bad = true;
    if (coder->out == NULL) *value = coder->bad ? 0 : (uint16_t)number;
}

void shoal_tape__int(shoal_tape_coder *coder, int *value)
{
    int64_t number = coder->out != NULL ? *value : 0;
    SHOAL_DEBUG_ASSERT(value != NULL);
    shoal_tape__signed(coder, &number);
    if (number > INT32_MAX || number < INT32_MIN) coder->bad = true;
    if (coder->out == NULL) *value = coder->bad ? 0 : (int)number;
}

void shoal_tape__bytes(shoal_tape_coder *coder, shoal_slice *bytes, size_t most)
{
    uint64_t size = coder->out != NULL ? bytes->size : 0;
    SHOAL_ASSERT(size <= most);
    shoal_tape__number(coder, &size);
    if (coder->out != NULL) {
        put(coder, bytes->data, bytes->size);
        return;
    }
    *bytes = (shoal_slice){"", 0};
    if (size > most) coder->bad = true;
    const char *at = coder->bad ? NULL : take(coder, (size_t)size);
    if (at != NULL) *bytes = (shoal_slice){at, (size_t)size};
}

void shoal_tape__chars(shoal_tape_coder *coder, char *text, size_t room)
{
    shoal_slice bytes = {text, 0};
    SHOAL_ASSERT(room > 1);
    while (coder->out != NULL && bytes.size < room - 1 && text[bytes.size] != '\0') bytes.size++;
    shoal_tape__bytes(coder, &bytes, room - 1);
    if (coder->out != NULL) return;
    memset(text, 0, room);
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] == '\0') coder->bad = true;
    }
    if (bytes.size > 0 && !coder->bad) memcpy(text, bytes.data, bytes.size);
}

/* ---- packed bytes ---- */

/* How often the byte at `at` stands there in a row. */
static size_t run_at(shoal_slice bytes, size_t at)
{
    size_t size = 1;
    SHOAL_DEBUG_ASSERT(at < bytes.size);
    while (at + size < bytes.size && bytes.data[at + size] == bytes.data[at]) size++;
    return size;
}

/* A token: twice the size, and one more for a run. Then the byte, or the bytes. */
static void put_token(shoal_tape_coder *coder, shoal_slice bytes, bool run)
{
    uint64_t token = (uint64_t)bytes.size << 1 | run;
    if (bytes.size == 0) return;
    SHOAL_DEBUG_ASSERT(bytes.data != NULL);
    shoal_tape__number(coder, &token);
    put(coder, bytes.data, run ? 1 : bytes.size);
}

static void pack(shoal_tape_coder *coder, shoal_slice bytes)
{
    size_t literal = 0, at = 0;
    SHOAL_DEBUG_ASSERT(coder->out != NULL);
    while (at < bytes.size) {
        size_t run = run_at(bytes, at);
        if (run >= RUN_MIN) {
            put_token(coder, (shoal_slice){bytes.data + literal, at - literal}, false);
            put_token(coder, (shoal_slice){bytes.data + at, run}, true);
            literal = at + run;
        }
        at += run;
    }
    put_token(coder, (shoal_slice){bytes.data + literal, at - literal}, false);
}

/* Reads tokens until `size` bytes are in `room`. */
static void unpack(shoal_tape_coder *coder, shoal_buffer *room, size_t size)
{
    size_t left = size;
    SHOAL_ASSERT(shoal_buffer_size(room) == 0);
    while (left > 0 && !coder->bad) {
        uint64_t token = 0;
        shoal_tape__number(coder, &token);
        uint64_t count = token >> 1;
        const char *at = NULL;
        if (!coder->bad && count > 0 && count <= left)
            at = take(coder, (token & 1) != 0 ? 1 : (size_t)count);
        char *to = at != NULL ? shoal_buffer_reserve(room, (size_t)count) : NULL;
        coder->bad = to == NULL;
        if (to == NULL) return;
        if ((token & 1) != 0)
            memset(to, *at, (size_t)count);
        else
            memcpy(to, at, (size_t)count);
        shoal_buffer_commit(room, (size_t)count);
        left -= (size_t)count;
    }
}

void shoal_tape__packed(shoal_tape_coder *coder, shoal_slice *bytes, shoal_buffer *room)
{
    uint64_t size = coder->out != NULL ? bytes->size : 0;
    SHOAL_ASSERT(size <= TAPE_BYTES_MAX);
    shoal_tape__number(coder, &size);
    if (coder->out != NULL) {
        pack(coder, *bytes);
        return;
    }
    shoal_buffer_consume(room, shoal_buffer_size(room));
    *bytes = (shoal_slice){"", 0};
    if (size > TAPE_BYTES_MAX) coder->bad = true;
    if (!coder->bad) unpack(coder, room, (size_t)size);
    if (!coder->bad && size > 0) *bytes = shoal_buffer_slice(room);
}

/* ---- structures ---- */

/* A moment, as the difference to one before. Clocks that are too far for arithmetic are bad. */
static void code_time(shoal_tape_coder *coder, shoal_time *time, shoal_time *last)
{
    uint64_t mono = 0;
    int64_t drift = 0;
    if (coder->out != NULL) {
        SHOAL_ASSERT(time->mono_us >= last->mono_us);
        mono = (uint64_t)(time->mono_us - last->mono_us);
        drift = (time->wall_us - last->wall_us) - (int64_t)mono;
    }
    shoal_tape__number(coder, &mono);
    shoal_tape__signed(coder, &drift);
    if (coder->out == NULL) {
        const int64_t most = INT64_MAX / 8;
        if (mono > (uint64_t)(most - last->mono_us) || drift > most || drift < -most)
            coder->bad = true;
        if (coder->bad) mono = 0, drift = 0;
        time->mono_us = last->mono_us + (int64_t)mono;
        time->wall_us = last->wall_us + (int64_t)mono + drift;
        if (time->wall_us < 0 || time->wall_us > most) coder->bad = true;
        if (coder->bad) time->wall_us = last->wall_us;
    }
    *last = *time;
}

void shoal_tape__head(shoal_tape_coder *coder, tape_head *head)
{
    shoal_time none = {0};
    SHOAL_DEBUG_ASSERT(head != NULL);
    shoal_tape__bytes(coder, &head->build, TAPE_NAME_MAX);
    shoal_tape__bytes(coder, &head->place, TAPE_NAME_MAX);
    shoal_tape__long(coder, &head->seed[0]);
    shoal_tape__long(coder, &head->seed[1]);
    shoal_tape__number(coder, &head->workers);
    shoal_tape__short(coder, &head->port);
    shoal_tape__short(coder, &head->bus_port);
    shoal_tape__flag(coder, &head->queued);
    code_time(coder, &head->created, &none);
}

static void code_address(shoal_tape_coder *coder, shoal_address *address)
{
    SHOAL_DEBUG_ASSERT(address != NULL);
    shoal_tape__chars(coder, address->ip, sizeof address->ip);
    shoal_tape__short(coder, &address->port);
}

static void code_error(shoal_tape_coder *coder, shoal_err *error)
{
    int number = coder->out != NULL ? *error : 0;
    SHOAL_DEBUG_ASSERT(number <= 0);
    shoal_tape__int(coder, &number);
    if (number > 0) coder->bad = true;
    *error = coder->bad ? 0 : number;
}

static void code_file(shoal_tape_coder *coder, tape_step *step)
{
    shoal_event *event = &step->event;
    uint8_t file = (uint8_t)event->file, op = (uint8_t)event->op;
    shoal_tape__byte(coder, &file);
    shoal_tape__byte(coder, &op);
    shoal_tape__number(coder, &event->tag);
    code_error(coder, &event->error);
    shoal_tape__number(coder, &step->data_size);
    if (file == 0 || file >= SHOAL_FILE_LIMIT || op == 0 || op > SHOAL_FILE_TRUNCATE)
        coder->bad = true;
    SHOAL_DEBUG_ASSERT(coder->out == NULL || !coder->bad);
    event->file = (shoal_file)file;
    event->op = (shoal_file_op)op;
}

/* What stands behind the times, by kind. */
static void code_event(shoal_tape_coder *coder, tape_step *step)
{
    shoal_event *event = &step->event;
    bool of_link = event->kind >= SHOAL_EVENT_LINK_UP && event->kind <= SHOAL_EVENT_LINK_DOWN;
    SHOAL_DEBUG_ASSERT(event->kind <= SHOAL_EVENT_FILE_DONE);
    if (of_link) shoal_tape__number(coder, &event->link);
    if (of_link && event->link == 0) coder->bad = true;
    if (event->kind == SHOAL_EVENT_LINK_UP) {
        shoal_tape__flag(coder, &event->accepted);
        code_address(coder, &event->peer);
        code_address(coder, &event->local);
    } else if (event->kind == SHOAL_EVENT_LINK_DATA) {
        shoal_tape__number(coder, &step->data_size);
    } else if (event->kind == SHOAL_EVENT_LINK_DOWN) {
        code_error(coder, &event->error);
    } else if (event->kind == SHOAL_EVENT_FILE_DONE) {
        code_file(coder, step);
    }
}

void shoal_tape__step_fields(shoal_tape_coder *coder, tape_step *step, shoal_time *last)
{
    uint8_t kind = (uint8_t)step->event.kind;
    SHOAL_DEBUG_ASSERT(last != NULL);
    shoal_tape__byte(coder, &kind);
    if (kind == 0 || kind > SHOAL_EVENT_FILE_DONE) coder->bad = true;
    if (coder->bad) return;
    step->event.kind = (shoal_event_kind)kind;
    code_time(coder, &step->event.now, last);
    code_event(coder, step);
}

static void code_failover(shoal_tape_coder *coder, shoal_cluster_settings *settings)
{
    SHOAL_DEBUG_ASSERT(settings != NULL);
    shoal_tape__signed(coder, &settings->replica_validity_factor);
    shoal_tape__signed(coder, &settings->repl_ping_period_ms);
    shoal_tape__signed(coder, &settings->migration_barrier);
    shoal_tape__flag(coder, &settings->allow_replica_migration);
    shoal_tape__flag(coder, &settings->replica_no_failover);
    shoal_tape__flag(coder, &settings->voters_all);
    shoal_tape__int(coder, &settings->profile);
    shoal_tape__int(coder, &settings->shutdown_handover);
}

/* What no configuration says. */
static bool settings_are_odd(const shoal_cluster_settings *settings)
{
    const int64_t most = INT64_MAX / 4096;
    SHOAL_DEBUG_ASSERT(settings != NULL);
    return settings->node_timeout_ms < 0 || settings->node_timeout_ms > most ||
           settings->preferred_endpoint < 0 || settings->preferred_endpoint > 2 ||
           settings->replica_validity_factor < 0 || settings->replica_validity_factor > most ||
           settings->repl_ping_period_ms < 0 || settings->repl_ping_period_ms > most ||
           settings->migration_barrier < 0 || settings->migration_barrier > INT32_MAX ||
           settings->profile < SHOAL_PROFILE_REDIS_7 || settings->profile > SHOAL_PROFILE_SHOAL ||
           settings->shutdown_handover < SHOAL_HANDOVER_BY_PROFILE ||
           settings->shutdown_handover > SHOAL_HANDOVER_YES;
}

void shoal_tape__settings(shoal_tape_coder *coder, shoal_cluster_settings *settings)
{
    SHOAL_DEBUG_ASSERT(settings != NULL);
    shoal_tape__short(coder, &settings->port);
    shoal_tape__short(coder, &settings->bus_port);
    shoal_tape__signed(coder, &settings->node_timeout_ms);
    shoal_tape__number(coder, &settings->link_queue_max);
    shoal_tape__flag(coder, &settings->require_full_coverage);
    shoal_tape__flag(coder, &settings->allow_reads_when_down);
    shoal_tape__flag(coder, &settings->allow_channels_when_down);
    shoal_tape__chars(coder, settings->announce_ip, sizeof settings->announce_ip);
    shoal_tape__short(coder, &settings->announce_port);
    shoal_tape__short(coder, &settings->announce_bus_port);
    shoal_tape__chars(coder, settings->announce_hostname, sizeof settings->announce_hostname);
    shoal_tape__int(coder, &settings->preferred_endpoint);
    shoal_tape__chars(coder, settings->seeds, sizeof settings->seeds);
    code_failover(coder, settings);
    if (settings_are_odd(settings)) coder->bad = true;
}

void shoal_tape__facts(shoal_tape_coder *coder, shoal_cluster_replication *facts,
                       const shoal_cluster_replication *before)
{
    uint8_t flags = (uint8_t)(facts->link_up | facts->loading << 1 | facts->paused << 2);
    int64_t offset = (int64_t)(facts->offset - before->offset);
    int64_t heard = (int64_t)((uint64_t)facts->heard_us - (uint64_t)before->heard_us);
    SHOAL_DEBUG_ASSERT(coder->out == NULL || facts->heard_us >= 0);
    shoal_tape__byte(coder, &flags);
    shoal_tape__signed(coder, &offset);
    shoal_tape__signed(coder, &heard);
    if (coder->out != NULL) return;
    facts->link_up = (flags & 1) != 0;
    facts->loading = (flags & 2) != 0;
    facts->paused = (flags & 4) != 0;
    facts->offset = before->offset + (uint64_t)offset;
    facts->heard_us = (int64_t)((uint64_t)before->heard_us + (uint64_t)heard);
    if (flags > 7 || facts->heard_us < 0) coder->bad = true;
}

void shoal_tape__call(shoal_tape_coder *coder, tape_call *call)
{
    SHOAL_DEBUG_ASSERT(call != NULL);
    shoal_tape__number(coder, &call->argc);
    code_address(coder, &call->local);
    shoal_tape__number(coder, &call->keys);
    shoal_tape__number(coder, &call->keys_in_slot);
    shoal_tape__byte(coder, &call->protocol);
    if (call->argc < 2 || call->argc > TAPE_WORDS_MAX) coder->bad = true;
    if (call->protocol != 2 && call->protocol != 3) coder->bad = true;
}

void shoal_tape__record(shoal_tape_coder *coder, shoal_trace_record *record)
{
    uint64_t kind = coder->out != NULL ? (uint64_t)record->kind : 0;
    SHOAL_DEBUG_ASSERT(record != NULL);
    shoal_tape__number(coder, &kind);
    shoal_tape__number(coder, &record->a);
    shoal_tape__number(coder, &record->b);
    shoal_tape__number(coder, &record->c);
    shoal_tape__bytes(coder, &record->text, SHOAL_TRACE_TEXT_MAX);
    if (kind > UINT16_MAX || shoal_trace_name((uint32_t)kind) == NULL) coder->bad = true;
    record->kind = coder->bad ? SHOAL_TRACE_LOG : (shoal_trace_kind)kind;
}

void shoal_tape__op_fields(shoal_tape_coder *coder, tape_op *op)
{
    SHOAL_DEBUG_ASSERT(coder->out == NULL || op->kind < TAPE_OP_COUNT);
    if (op->kind < TAPE_OP_NUDGE || op->kind >= TAPE_OP_COUNT) coder->bad = true;
    bool hashed = op->kind == TAPE_OP_LINK_SEND || op->kind == TAPE_OP_LINK_OPEN ||
                  op->kind == TAPE_OP_FILE_NAME || op->kind == TAPE_OP_FILE_APPEND ||
                  op->kind == TAPE_OP_TRACE;
    shoal_tape__number(coder, &op->a);
    shoal_tape__number(coder, &op->b);
    if (hashed) shoal_tape__word(coder, &op->hash);
    if (op->kind == TAPE_OP_LINK_OPEN || op->kind == TAPE_OP_LINK_QUEUED)
        shoal_tape__number(coder, &op->answer);
}
