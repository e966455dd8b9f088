/* SPDX-License-Identifier: MIT
 *
 * store/heat.c - what is known of a key's use, told from outside: by RESTORE, which brings a key
 * with its past.
 */
#include "base/hash.h"
#include "store/internal.h"

/* A key that is older is soon taken for a younger one, when the clock has come round. */
#define REACH(codes) ((codes)*7 / 8)

/* The byte of a key that has been idle for about so long. A policy says what a byte means, not
 * which byte means something; so all of them are asked. */
static uint8_t byte_of_idle(shoal_thread *thread, int64_t idle_ms, uint8_t byte)
{
    const shoal_policy_view *view = &thread->evictor.view;
    int64_t least = INT64_MAX;
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(view->codes == 128 || view->codes == 256);
    for (uint32_t i = 0; i < view->codes; i++) {
        uint32_t age = thread->evictor.policy->age(view, (uint8_t)i);
        if (age > REACH(view->codes)) continue;
        int64_t since = shoal_clock__since_ms(thread, age);
        int64_t far = since < idle_ms ? idle_ms - since : since - idle_ms;
        if (far >= least) continue;
        least = far;
        byte = (uint8_t)i;
    }
    return byte;
}

/* The byte of a live key that the policy does not pass over, or NULL. */
static _Atomic uint8_t *age_of(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_ASSERT(shoal_load_relaxed(&shoal_store__hot(thread->store, key->place)->gate) != 0);
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    shoal_spot spot;
    shoal_leaf leaf = shoal_table__leaf(thread->store, key);
    if (shoal_table__locate(&leaf, key, &spot) == NULL) return NULL;
    _Atomic uint8_t *age = &spot.bucket->ages[spot.index];
    return (shoal_load_relaxed(age) & thread->evictor.exempt) == 0 ? age : NULL;
}

static void set_byte(shoal_thread *thread, _Atomic uint8_t *age, uint8_t byte)
{
    SHOAL_ASSERT(byte < thread->evictor.view.codes);
    SHOAL_DEBUG_ASSERT(age != NULL);
    shoal_evict__count(thread, shoal_load_relaxed(age), -1);
    shoal_store_relaxed(age, byte);
    shoal_evict__count(thread, byte, 1);
}

void shoal_store_set_idle_locked(shoal_thread *thread, const shoal_key *key, int64_t idle_ms)
{
    SHOAL_ASSERT(idle_ms >= 0);
    if (thread->evictor.policy->age == NULL) return;
    _Atomic uint8_t *age = age_of(thread, key);
    if (age == NULL) return;
    set_byte(thread, age, byte_of_idle(thread, idle_ms, shoal_load_relaxed(age)));
}

void shoal_store_set_frequency_locked(shoal_thread *thread, const shoal_key *key,
                                      uint32_t frequency)
{
    const shoal_evictor *evictor = &thread->evictor;
    SHOAL_ASSERT(frequency <= UINT8_MAX);
    if (evictor->policy->as_frequent == NULL) return;
    _Atomic uint8_t *age = age_of(thread, key);
    if (age != NULL) set_byte(thread, age, evictor->policy->as_frequent(&evictor->view, frequency));
}
