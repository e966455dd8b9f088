/* SPDX-License-Identifier: MIT
 *
 * core/limits.c - maxmemory and the directives around it, as the store understands them. A
 * percentage is of what the host says the process may take, or the machine has; where it does not
 * tell, there is no limit.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/text.h"
#include "store/limits.h"
#include "store/policy.h"

/* Microseconds of a step of eviction for each unit of tenacity, and up to which that goes; from
 * there on each is by 15 % more, to at most a second. */
#define STEP_US 5u
#define TENACITY_LINEAR 10
#define STEP_US_MAX 1000000u

static uint64_t percent_of(uint64_t whole, uint64_t percent)
{
    SHOAL_ASSERT(percent <= 100);
    return whole / 100 * percent + whole % 100 * percent / 100;
}

uint64_t shoal_node__maxmemory(const shoal_node *node)
{
    SHOAL_ASSERT(node != NULL);
    int64_t value = shoal_config__number(&node->config, SHOAL_DIRECTIVE_MAXMEMORY);
    if (value >= 0) return (uint64_t)value;
    SHOAL_ASSERT(value >= -100);
    uint64_t total = node->vitals.memory_limit;
    if (total == 0) total = node->vitals.memory_total;
    return percent_of(total, (uint64_t)-value);
}

uint64_t shoal_node__maxmemory_clients(const shoal_node *node)
{
    SHOAL_ASSERT(node != NULL);
    int64_t value = shoal_config__number(&node->config, SHOAL_DIRECTIVE_MAXMEMORY_CLIENTS);
    SHOAL_ASSERT(value >= -100);
    if (value >= 0) return (uint64_t)value;
    return percent_of(shoal_node__maxmemory(node), (uint64_t)-value);
}

static uint32_t step_us(int64_t tenacity)
{
    SHOAL_ASSERT(tenacity >= 0 && tenacity <= 100);
    if (tenacity <= TENACITY_LINEAR) return STEP_US * (uint32_t)(tenacity > 0 ? tenacity : 1);
    uint32_t us = STEP_US * TENACITY_LINEAR;
    for (int64_t i = TENACITY_LINEAR; i < tenacity && us < STEP_US_MAX; i++) us += us * 3 / 20;
    return us < STEP_US_MAX ? us : STEP_US_MAX;
}

/* The policy that the configuration names. */
const shoal_policy *shoal_node__policy(const shoal_node *node)
{
    const shoal_directive_id id = SHOAL_DIRECTIVE_MAXMEMORY_POLICY;
    shoal_buffer name = shoal_buffer_make(&node->allocator);
    shoal_config__show(id, &node->config.values[id], &name);
    SHOAL_ASSERT(name.failed || shoal_buffer_size(&name) > 0);
    const shoal_policy *policy = name.failed ? NULL : shoal_policy_named(shoal_buffer_slice(&name));
    SHOAL_ASSERT(name.failed || policy != NULL);
    shoal_buffer_free(&name);
    return policy != NULL ? policy : &shoal_policy_none;
}

bool shoal_node__shares_integers(const shoal_node *node)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW || node->snapshots == NULL);
    shoal_slice name = shoal_text(shoal_node__policy(node)->name);
    SHOAL_ASSERT(name.size > 3);
    shoal_slice tail = {name.data + name.size - 3, 3};
    bool aged = shoal_text_is(tail, "lru") || shoal_text_is(tail, "lfu");
    return !aged || shoal_node__maxmemory(node) == 0;
}

void shoal_node__apply_limits(shoal_node *node)
{
    SHOAL_ASSERT(node->store != NULL);
    const shoal_config *config = &node->config;
    shoal_limits limits = shoal_limits_default();
    limits.bytes = shoal_node__maxmemory(node);
    limits.policy = shoal_node__policy(node);
    limits.effort = (uint32_t)shoal_config__number(config, SHOAL_DIRECTIVE_MAXMEMORY_SAMPLES);
    limits.step_us =
        step_us(shoal_config__number(config, SHOAL_DIRECTIVE_MAXMEMORY_EVICTION_TENACITY));
    limits.lfu_log_factor = (uint32_t)shoal_config__number(config, SHOAL_DIRECTIVE_LFU_LOG_FACTOR);
    limits.lfu_decay_minutes =
        (uint32_t)shoal_config__number(config, SHOAL_DIRECTIVE_LFU_DECAY_TIME);
    shoal_store_set_limits(node->store, &limits);
    /* What is above a limit goes also when nobody writes. */
    if (limits.bytes > 0 || shoal_node__maxmemory_clients(node) > 0) shoal_worker_rouse(&node->env);
}
