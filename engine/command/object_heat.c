/* SPDX-License-Identifier: MIT
 *
 * command/object_heat.c - OBJECT FREQ and IDLETIME: what eviction knows of a key's use. Which of
 * the two that is depends on maxmemory-policy; the other is refused. Asking is no use.
 */
#include "base/assert.h"
#include "command/handlers.h"

/* What both refusals end with, as Redis's. */
#define ADJUST                                                                                 \
    " Please note that when switching between policies at runtime LRU and LFU data will take " \
    "some time to adjust."

#define MS_PER_S 1000

void shoal_command__object_freq(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    uint32_t frequency;
    if (shoal_store_frequency(call->thread, &call->keys[0], &frequency)) {
        shoal_reply_integer(&call->reply, frequency);
    } else if (shoal_call__peek(call, 0) == NULL) {
        shoal_reply_null(&call->reply);
    } else {
        shoal_reply_error(&call->reply, "ERR An LFU maxmemory policy is not selected, access "
                                        "frequency not tracked." ADJUST);
    }
}

void shoal_command__object_idletime(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    int64_t idle_ms;
    uint32_t frequency;
    if (shoal_store_idle_ms(call->thread, &call->keys[0], &idle_ms)) {
        shoal_reply_integer(&call->reply, idle_ms / MS_PER_S);
    } else if (shoal_call__peek(call, 0) == NULL) {
        shoal_reply_null(&call->reply);
    } else if (shoal_store_frequency(call->thread, &call->keys[0], &frequency)) {
        shoal_reply_error(&call->reply, "ERR An LFU maxmemory policy is selected, idle time not "
                                        "tracked." ADJUST);
    } else {
        shoal_reply_error(&call->reply,
                          "ERR The selected maxmemory policy keeps no idle time." ADJUST);
    }
}
