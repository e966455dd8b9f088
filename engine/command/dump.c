/* SPDX-License-Identifier: MIT
 *
 * command/dump.c - DUMP and RESTORE: values as bytes that Redis reads too, and back.
 */
#include "command/dump.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "command/deadline.h"
#include "command/effect.h"
#include "command/handlers.h"

/* The level of a warning in trace records of kind LOG, see shoal/trace.def. */
#define LOG_WARNING 3u

/* ---- items and values ---- */

shoal_rdb_value shoal_dump_value(const shoal_item *item, char scratch[SHOAL_INT_TEXT_SIZE])
{
    shoal_rdb_value value = {.type = shoal_item_type(item)};
    SHOAL_ASSERT(value.type != SHOAL_TYPE_NONE);
    if (value.type == SHOAL_TYPE_STRING) {
        value.string = shoal_item_string(item, scratch);
    } else {
        value.compound = shoal_item_compound(item);
    }
    return value;
}

shoal_rdb_style shoal_dump_style(const shoal_settings *settings, int64_t now_ms)
{
    SHOAL_ASSERT(now_ms >= 0);
    return (shoal_rdb_style){.compress = true,
                             .list = shoal_list_limits_of(settings->list_node_max),
                             .now_ms = now_ms};
}

shoal_rdb_limits shoal_dump_limits(const shoal_settings *settings)
{
    SHOAL_DEBUG_ASSERT(settings != NULL);
    return (shoal_rdb_limits){
        .set = {.entries = settings->set_entries_max},
        .hash = {.entries = settings->hash_entries_max,
                 .value_size = settings->hash_value_size_max},
        .zset = {.entries = settings->zset_entries_max,
                 .member_size = settings->zset_member_size_max},
        .list = shoal_list_limits_of(settings->list_node_max),
    };
}

/* Hands an object over, with what its making has counted. */
static shoal_err store_object(shoal_thread *thread, const shoal_key *key, shoal_rdb_loader *loader,
                              int64_t expires_ms)
{
    shoal_account *account = shoal_thread_account(thread);
    shoal_object *object = shoal_rdb_loader_value(loader).compound.object;
    SHOAL_ASSERT(account->bytes == 0);
    SHOAL_ASSERT(object->bytes == 0);
    account->bytes = loader->account.bytes;
    shoal_err err = shoal_store_put_object_locked(thread, key, object, expires_ms);
    if (err == SHOAL_ERR_OK) {
        shoal_rdb_loader_taken(loader);
    } else {
        account->bytes = 0;
    }
    return err;
}

shoal_err shoal_dump_store(shoal_thread *thread, const shoal_key *key, shoal_rdb_loader *loader,
                           int64_t expires_ms)
{
    shoal_rdb_value value = shoal_rdb_loader_value(loader);
    shoal_err err;
    SHOAL_ASSERT(value.type != SHOAL_TYPE_NONE);
    loader->account.allocator = shoal_thread_allocator(thread);
    if (value.type == SHOAL_TYPE_STRING) {
        err = shoal_store_put_locked(thread, key, value.string, expires_ms);
    } else if (value.compound.object != NULL) {
        err = store_object(thread, key, loader, expires_ms);
    } else {
        shoal_gather parts = {&value.compound.pack, 1};
        err = shoal_store_put_pack_locked(thread, key, value.type, parts, expires_ms);
    }
    shoal_rdb_loader_drop(loader);
    return err;
}

/* ---- DUMP ---- */

/* The item for a reader. False when it is an object and must be read under the gates. */
static bool look(shoal_call *call, const shoal_item **item)
{
    const shoal_key *key = &call->keys[0];
    *item = call->gated ? shoal_store_get_locked(call->thread, key)
                        : shoal_store_get(call->thread, key);
    if (!call->gated && *item == NULL) shoal_store_reap(call->thread, key);
    call->wants_gates = !call->gated && *item != NULL && shoal_item_is_object(*item);
    SHOAL_DEBUG_ASSERT(!call->gated || !call->wants_gates);
    if (call->wants_gates) return false;
    shoal_call__met(call, 0, *item != NULL);
    return true;
}

void shoal_command__dump(shoal_call *call)
{
    const shoal_item *item;
    SHOAL_ASSERT(call->key_count == 1);
    if (!look(call, &item)) return;
    int64_t now_ms = shoal_time_wall_ms(call->now);
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_rdb_value value = {.type = SHOAL_TYPE_NONE};
    if (item != NULL) value = shoal_dump_value(item, scratch);
    if (item == NULL || shoal_rdb_is_empty(&value, now_ms)) {
        shoal_reply_null(&call->reply);
        return;
    }
    shoal_rdb_style style = shoal_dump_style(shoal_call__settings(call), now_ms);
    shoal_buffer payload = shoal_buffer_make(&call->env->allocator);
    shoal_rdb_write_payload(&payload, &value, &style);
    if (payload.failed) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else {
        shoal_reply_bulk(&call->reply, shoal_buffer_slice(&payload));
    }
    shoal_buffer_free(&payload);
}

/* ---- RESTORE ---- */

/* The longest time without use that is told apart from longer ones: some 68 years. */
#define IDLE_S_MAX ((int64_t)INT32_MAX)

/* What RESTORE was asked for. How long a key has not been used, or how often it is, goes to
 * eviction as far as its policy keeps that. */
typedef struct restore_options {
    bool replace, absolute;
    int64_t idle_s, frequency; /* -1: not given */
} restore_options;

/* The number behind option `index`, at most `max`. False after writing an error. */
static bool take_number(shoal_call *call, uint32_t index, int64_t max, int64_t *value,
                        const char *error)
{
    SHOAL_ASSERT(index + 1 < call->argc);
    if (!shoal_call__integer(call, index + 1, value)) return false;
    if (*value >= 0 && *value <= max) return true;
    shoal_reply_error(&call->reply, error);
    return false;
}

static bool take_options(shoal_call *call, restore_options *options)
{
    *options = (restore_options){.idle_s = -1, .frequency = -1};
    SHOAL_ASSERT(call->argc >= 4);
    for (uint32_t i = 4; i < call->argc; i++) {
        bool more = i + 1 < call->argc;
        if (shoal_call__word(call, i, "replace")) {
            options->replace = true;
        } else if (shoal_call__word(call, i, "absttl")) {
            options->absolute = true;
        } else if (shoal_call__word(call, i, "idletime") && more && options->frequency < 0) {
            if (!take_number(call, i++, INT64_MAX, &options->idle_s,
                             "ERR Invalid IDLETIME value, must be >= 0"))
                return false;
        } else if (shoal_call__word(call, i, "freq") && more && options->idle_s < 0) {
            if (!take_number(call, i++, UINT8_MAX, &options->frequency,
                             "ERR Invalid FREQ value, must be >= 0 and <= 255"))
                return false;
        } else {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return false;
        }
    }
    return true;
}

/* The wall-clock millisecond until which the key lives, or -1. False after writing an error. */
static bool take_ttl(shoal_call *call, const restore_options *options, int64_t *expires_ms)
{
    int64_t ttl;
    SHOAL_ASSERT(call->argc >= 4);
    if (!shoal_call__integer(call, 2, &ttl)) return false;
    if (ttl < 0) {
        shoal_reply_error(&call->reply, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    *expires_ms = ttl == 0 ? -1 : ttl;
    if (ttl != 0 && !options->absolute &&
        __builtin_add_overflow(ttl, shoal_time_wall_ms(call->now), expires_ms))
        *expires_ms = SHOAL_EXPIRES_MS_MAX;
    return true;
}

/* Tells a RESTORE whose time to live was counted from now. */
static void tell_restore(shoal_call *call, const restore_options *options, int64_t expires_ms)
{
    shoal_effect_number room;
    SHOAL_ASSERT(expires_ms >= 0);
    shoal_slice argv[6] = {
        call->argv[0], call->argv[1],        shoal_effect_integer(&room, expires_ms),
        call->argv[3], shoal_text("ABSTTL"), shoal_text("REPLACE")};
    shoal_effect_tell(call, argv, options->replace ? 6 : 5);
}

void shoal_dump_set_heat(shoal_thread *thread, const shoal_key *key, int64_t idle_s,
                         int32_t frequency)
{
    SHOAL_ASSERT(frequency <= UINT8_MAX);
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    if (idle_s > IDLE_S_MAX) idle_s = IDLE_S_MAX;
    if (idle_s >= 0) shoal_store_set_idle_locked(thread, key, idle_s * 1000);
    if (frequency >= 0) shoal_store_set_frequency_locked(thread, key, (uint32_t)frequency);
}

/* Puts what was read, or removes what is there where its time is over already. */
static void settle(shoal_call *call, shoal_rdb_loader *loader, const restore_options *options,
                   int64_t expires_ms)
{
    SHOAL_ASSERT(call->gated);
    if (expires_ms >= 0 && shoal_deadline__past(call, expires_ms)) {
        if (shoal_store_remove_locked(call->thread, &call->keys[0]))
            shoal_effect__del(call, 0, false);
        shoal_reply_ok(&call->reply);
        return;
    }
    shoal_err err = shoal_dump_store(call->thread, &call->keys[0], loader, expires_ms);
    if (!shoal_call__stored(call, err)) return;
    SHOAL_ASSERT(options->idle_s < 0 || options->frequency < 0);
    shoal_dump_set_heat(call->thread, &call->keys[0], options->idle_s, (int32_t)options->frequency);
    if (expires_ms >= 0 && !options->absolute) tell_restore(call, options, expires_ms);
    shoal_reply_ok(&call->reply);
}

/* A line in the log, where there is one, says what is wrong with a payload: the client is told only
 * that it is bad. */
static void tell_log(const shoal_call *call, const char *reason)
{
    const shoal_host *host = call->env->host;
    if (host == NULL || host->trace == NULL) return;
    const char *what = reason != NULL ? reason : "nothing at all";
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    shoal_text_appendf(&text, "RESTORE of a payload that is refused: %s", what);
    shoal_trace_record record = {.kind = SHOAL_TRACE_LOG,
                                 .a = LOG_WARNING,
                                 .text = shoal_buffer_slice(&text)};
    host->trace(host->context, &record);
    shoal_buffer_free(&text);
}

void shoal_command__restore(shoal_call *call)
{
    restore_options options;
    int64_t expires_ms;
    SHOAL_ASSERT(call->key_count == 1 && call->argc >= 4);
    if (!take_options(call, &options)) return;
    if (!options.replace && shoal_call__find(call, 0) != NULL) {
        shoal_reply_error(&call->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!take_ttl(call, &options, &expires_ms)) return;
    bool checksum = !shoal_load_relaxed(&call->env->checksums_off);
    if (!shoal_rdb_check_payload(call->argv[3], checksum)) {
        shoal_reply_error(&call->reply, "ERR DUMP payload version or checksum are wrong");
        return;
    }
    shoal_rdb_loader loader;
    shoal_rdb_loader_open(&loader, &call->env->allocator, shoal_thread_allocator(call->thread),
                          shoal_thread_prng(call->thread));
    loader.limits = shoal_dump_limits(shoal_call__settings(call));
    shoal_rdb_status status = shoal_rdb_read_payload(&loader, call->argv[3]);
    if (status == SHOAL_RDB_OK) {
        settle(call, &loader, &options, expires_ms);
    } else if (status == SHOAL_RDB_NO_MEMORY) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else {
        tell_log(call, loader.reason);
        shoal_reply_error(&call->reply, "ERR Bad data format");
    }
    shoal_rdb_loader_close(&loader);
}
