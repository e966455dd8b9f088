/* SPDX-License-Identifier: MIT
 *
 * command/key_expire.c - times to live: EXPIRE and its kin, TTL and its kin, PERSIST.
 */
#include "base/assert.h"
#include "command/deadline.h"
#include "command/effect.h"
#include "command/handlers.h"

/* ---- EXPIRE ---- */

/* Under which condition on the present TTL the new one is taken. */
typedef struct conditions {
    bool none, some, later, sooner; /* NX XX GT LT */
} conditions;

static bool parse_conditions(shoal_call *call, conditions *wanted)
{
    SHOAL_ASSERT(call->argc >= 3);
    for (uint32_t i = 3; i < call->argc; i++) {
        if (shoal_call__word(call, i, "nx")) {
            wanted->none = true;
        } else if (shoal_call__word(call, i, "xx")) {
            wanted->some = true;
        } else if (shoal_call__word(call, i, "gt")) {
            wanted->later = true;
        } else if (shoal_call__word(call, i, "lt")) {
            wanted->sooner = true;
        } else {
            shoal_slice word = call->argv[i];
            shoal_reply_errorf(&call->reply, "ERR Unsupported option %.*s", (int)word.size,
                               word.data);
            return false;
        }
    }
    if (wanted->none && (wanted->some || wanted->later || wanted->sooner)) {
        shoal_reply_error(&call->reply,
                          "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (wanted->later && wanted->sooner) {
        shoal_reply_error(&call->reply,
                          "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* No TTL counts as one that never ends. */
static bool permits(const conditions *wanted, int64_t present_ms, int64_t at_ms)
{
    SHOAL_ASSERT(!(wanted->none && wanted->some));
    SHOAL_ASSERT(!(wanted->later && wanted->sooner));
    bool has = present_ms >= 0;
    if (wanted->none && has) return false;
    if (wanted->some && !has) return false;
    if (wanted->later && (!has || at_ms <= present_ms)) return false;
    if (wanted->sooner && has && at_ms >= present_ms) return false;
    return true;
}

static shoal_deadline_unit unit_of(shoal_command_id id)
{
    switch (id) {
    case SHOAL_COMMAND_EXPIRE: return (shoal_deadline_unit){.seconds = true};
    case SHOAL_COMMAND_EXPIREAT: return (shoal_deadline_unit){.seconds = true, .absolute = true};
    case SHOAL_COMMAND_PEXPIREAT: return (shoal_deadline_unit){.absolute = true};
    default: return (shoal_deadline_unit){0};
    }
}

void shoal_command__expire(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    conditions wanted = {0};
    int64_t value, at_ms;
    if (!parse_conditions(call, &wanted)) return;
    if (!shoal_call__integer(call, 2, &value)) return;
    if (!shoal_deadline__at(value, unit_of(call->command->id), call->now, &at_ms)) {
        shoal_deadline__invalid(call);
        return;
    }
    const shoal_item *item = shoal_call__find(call, 0);
    if (item == NULL || !permits(&wanted, shoal_item_expires_ms(item), at_ms)) {
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    if (shoal_deadline__past(call, at_ms)) {
        shoal_store_remove_locked(call->thread, &call->keys[0]);
        shoal_effect__del(call, 0, shoal_call__settings(call)->lazy_expire);
    } else {
        shoal_err err = shoal_store_expire_locked(call->thread, &call->keys[0], at_ms);
        if (!shoal_call__stored(call, err)) return;
        if (call->command->id != SHOAL_COMMAND_PEXPIREAT)
            shoal_effect__expire(call, at_ms, (shoal_effect_rest){3, call->argc - 3});
    }
    shoal_reply_integer(&call->reply, 1);
}

void shoal_command__persist(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    const shoal_item *item = shoal_call__find(call, 0);
    bool timed = item != NULL && shoal_item_expires_ms(item) >= 0;
    if (timed) {
        shoal_err err = shoal_store_expire_locked(call->thread, &call->keys[0], -1);
        if (!shoal_call__stored(call, err)) return;
    }
    shoal_reply_integer(&call->reply, timed);
}

/* ---- TTL ---- */

void shoal_command__ttl(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count == 1);
    shoal_command_id id = call->command->id;
    const shoal_item *item = shoal_call__peek(call, 0);
    if (item == NULL) {
        shoal_reply_integer(&call->reply, -2);
        return;
    }
    int64_t time = shoal_item_expires_ms(item);
    if (time >= 0) {
        if (id == SHOAL_COMMAND_TTL || id == SHOAL_COMMAND_PTTL)
            time -= shoal_time_wall_ms(call->now);
        if (time < 0) time = 0;
        if (id == SHOAL_COMMAND_TTL || id == SHOAL_COMMAND_EXPIRETIME) time = (time + 500) / 1000;
    }
    shoal_reply_integer(&call->reply, time);
}
