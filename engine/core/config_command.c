/* SPDX-License-Identifier: MIT
 *
 * core/config_command.c - CONFIG GET, SET and RESETSTAT. SET is all or nothing: every value is
 * read before the first one is taken over, and what was taken over is given back when the whole
 * cannot take effect.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"

/* ---- GET ---- */

/* Does one of the patterns ask for `name`? Hidden directives are shown only by their name. */
static bool asked_for(const shoal_errand *errand, const char *name, bool hidden)
{
    SHOAL_ASSERT(errand->argc >= 2);
    SHOAL_ASSERT(name[0] != '\0');
    for (uint32_t i = 2; i < errand->argc; i++) {
        shoal_slice pattern = errand->argv[i];
        if (shoal_text_is(pattern, name)) return true;
        if (!hidden && shoal_text_glob(pattern, shoal_text(name), true)) return true;
    }
    return false;
}

void shoal_node__show_master(const shoal_node *node, shoal_buffer *out)
{
    SHOAL_ASSERT(shoal_buffer_size(out) == 0);
    SHOAL_ASSERT(node->phase >= SHOAL_PHASE_READY);
    const shoal_address *master = shoal_repl_following(node->replication.repl);
    if (master != NULL) shoal_text_appendf(out, "%s %u", master->ip, (unsigned)master->port);
}

void shoal_node__config_get(shoal_node *node, const shoal_errand *errand, shoal_reply *reply)
{
    SHOAL_ASSERT(errand->command->id == SHOAL_COMMAND_CONFIG_GET);
    SHOAL_ASSERT(errand->argc >= 3);
    shoal_buffer value = shoal_buffer_make(&node->allocator);
    shoal_reply_mark mark = shoal_reply_begin(reply);
    size_t pairs = 0;

    for (uint32_t id = 0; id < SHOAL_DIRECTIVE_COUNT; id++) {
        const shoal_directive *row = shoal_config__row(id);
        const char *names[2] = {row->name, row->alias};
        for (int k = 0; k < 2; k++) {
            bool hidden = (row->flags & SHOAL_CONFIG_HIDDEN) != 0;
            if (names[k][0] == '\0' || !asked_for(errand, names[k], hidden)) continue;
            shoal_config_value shown = node->config.values[id];
            /* Clients compare it with used_memory: a percentage would mean nothing to them. */
            if (id == SHOAL_DIRECTIVE_MAXMEMORY)
                shown.number = (int64_t)shoal_node__maxmemory(node);
            if (id == SHOAL_DIRECTIVE_REPLICAOF && node->phase >= SHOAL_PHASE_READY)
                shoal_node__show_master(node, &value);
            else
                shoal_config__show(id, &shown, &value);
            shoal_reply_text(reply, names[k]);
            shoal_reply_bulk(reply, shoal_buffer_slice(&value));
            shoal_buffer_consume(&value, shoal_buffer_size(&value));
            pairs++;
        }
    }
    shoal_reply_end_map(reply, mark, pairs);
    if (value.failed) reply->out->failed = true;
    shoal_buffer_free(&value);
}

/* ---- SET ---- */

/* One pair of CONFIG SET: a directive and the value that it gets, or after the swap had. */
typedef struct config_change {
    shoal_directive_id id;
    shoal_config_value value;
} config_change;

/* One CONFIG SET. */
typedef struct config_set {
    shoal_node *node;
    const shoal_errand *errand;
    config_change *list;
    uint32_t count; /* of list with a value that must be dropped */
    uint32_t room;
    shoal_buffer reason;
} config_set;

static bool is_loopback(const shoal_address *local)
{
    SHOAL_ASSERT(local->ip[sizeof(local->ip) - 1] == '\0');
    return local->ip[0] == '\0' || shoal_text_is(shoal_text(local->ip), "127.0.0.1") ||
           shoal_text_is(shoal_text(local->ip), "::1");
}

/* May this client change protected directives? */
static bool permitted(const config_set *set)
{
    SHOAL_ASSERT(set->node != NULL);
    SHOAL_ASSERT(set->errand != NULL);
    int64_t permit =
        shoal_config__number(&set->node->config, SHOAL_DIRECTIVE_ENABLE_PROTECTED_CONFIGS);

    return permit == SHOAL_PERMIT_YES ||
           (permit == SHOAL_PERMIT_LOCAL && is_loopback(&set->errand->local));
}

/* NULL, or why `id` cannot be set now at all. */
static const char *forbidden(const config_set *set, shoal_directive_id id)
{
    SHOAL_ASSERT(id < SHOAL_DIRECTIVE_COUNT);
    SHOAL_ASSERT(set->count < set->room);
    uint32_t flags = shoal_config__row(id)->flags;

    if ((flags & SHOAL_CONFIG_IMMUTABLE) != 0) return "can't set immutable config";
    if ((flags & SHOAL_CONFIG_PROTECTED) != 0 && !permitted(set))
        return "can't set protected config";
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->list[i].id == id) return "duplicate parameter";
    }
    return NULL;
}

/* NULL, or why `id` cannot get this value now. */
static const char *too_late(const config_set *set, shoal_directive_id id,
                            const shoal_config_value *value)
{
    SHOAL_ASSERT(id < SHOAL_DIRECTIVE_COUNT);
    SHOAL_ASSERT(set->count < set->room);
    if ((shoal_config__row(id)->flags & SHOAL_CONFIG_FIXED) == 0) return NULL;
    bool same = shoal_config__is_value(&set->node->config, id, value);
    return same ? NULL : "this version can't change it while it runs";
}

/* Reads the pair that begins at argument `at`. False when it cannot be taken. */
static bool read_pair(config_set *set, uint32_t at, shoal_reply *reply)
{
    SHOAL_ASSERT(set->count < set->room);
    SHOAL_ASSERT(at + 1 < set->errand->argc);
    shoal_slice name = set->errand->argv[at];
    shoal_directive_id id = shoal_config__find(name);
    config_change *change = &set->list[set->count];
    const char *why;

    if (id == SHOAL_DIRECTIVE_COUNT) {
        shoal_reply_errorf(reply,
                           "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                           (int)name.size, name.data);
        return false;
    }
    why = forbidden(set, id);
    if (why != NULL) {
        shoal_buffer_append(&set->reason, shoal_text(why));
    } else {
        shoal_config_words words = {1, &set->errand->argv[at + 1]};
        change->id = id;
        shoal_err error =
            shoal_config__parse(&set->node->config, id, words, &change->value, &set->reason);
        why = error == SHOAL_ERR_OK ? too_late(set, id, &change->value) : NULL;
        if (error == SHOAL_ERR_OK && why == NULL) {
            set->count++;
            return true;
        }
        if (error == SHOAL_ERR_OK) shoal_config__drop(&set->node->config, &change->value);
        if (error == SHOAL_ERR_NO_MEMORY) why = "no memory";
        if (why != NULL) shoal_buffer_append(&set->reason, shoal_text(why));
    }
    shoal_slice reason = shoal_buffer_slice(&set->reason);
    shoal_reply_errorf(reply, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %.*s",
                       (int)name.size, name.data, (int)reason.size, reason.data);
    return false;
}

/* Takes every value over, or, called a second time, gives all of them back. */
static void swap_all(config_set *set)
{
    SHOAL_ASSERT(set->count == set->room);
    for (uint32_t i = 0; i < set->count; i++) {
        config_change *change = &set->list[i];
        (void)shoal_config__swap(&set->node->config, change->id, &change->value);
    }
}

static void set_all(config_set *set, shoal_reply *reply)
{
    SHOAL_ASSERT(set->count == 0);
    SHOAL_ASSERT(set->room > 0);
    for (uint32_t i = 0; i < set->room; i++) {
        if (!read_pair(set, 2 + 2 * i, reply)) return;
    }
    swap_all(set);
    if (shoal_node__apply(set->node) == SHOAL_ERR_OK) {
        shoal_reply_ok(reply);
        return;
    }
    swap_all(set);
    shoal_reply_error(reply, "ERR CONFIG SET failed - no memory");
}

void shoal_node__config_set(shoal_node *node, const shoal_errand *errand, shoal_reply *reply)
{
    SHOAL_ASSERT(errand->command->id == SHOAL_COMMAND_CONFIG_SET);
    SHOAL_ASSERT(errand->argc >= 2);
    config_set set = {.node = node, .errand = errand, .room = (errand->argc - 2) / 2};
    size_t size = set.room * sizeof(config_change);

    if (errand->argc % 2 != 0 || set.room == 0) {
        shoal_reply_error(reply, "ERR wrong number of arguments for 'config|set' command");
        return;
    }
    set.list = shoal_memory_take_zeroed(&node->allocator, size, SHOAL_ALIGN_PLAIN);
    if (set.list == NULL) {
        shoal_reply_error(reply, "ERR CONFIG SET failed - no memory");
        return;
    }
    set.reason = shoal_buffer_make(&node->allocator);
    set_all(&set, reply);
    for (uint32_t i = 0; i < set.count; i++) shoal_config__drop(&node->config, &set.list[i].value);
    shoal_buffer_free(&set.reason);
    shoal_memory_give(&node->allocator, set.list, size, SHOAL_ALIGN_PLAIN);
}

/* ---- RESETSTAT ---- */

void shoal_node__config_resetstat(shoal_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(node->store != NULL);
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    shoal_stat_reset(&node->env);
    shoal_store_stats_reset(node->store);
    shoal_repl_reset_counts(node->replication.repl);
    node->rates = (shoal_rates){.due_us = node->rates.due_us, .looked_us = node->now.mono_us};
    shoal_reply_ok(reply);
}
