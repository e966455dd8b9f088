/* SPDX-License-Identifier: MIT
 *
 * store/pin.c - a table of items that may not be freed yet. Who frees a large item asks the table;
 * who pins pays one compare-and-swap, and nobody who merely reads pays anything.
 *
 * Claims:
 *   P1  A pin is entered in a batch that could see the item, so before the item's memory is out of
 *       reach (base/epoch.h): who frees it later has acquired that batch's leave, and finds it.
 *   P2  An item that was to be freed while pinned is owed: the mark OWED in one of its pins, and
 *       only one, is the duty to free it. It goes from pin to pin as they are given back; who is
 *       left with it in hand and finds no further pin of the item frees it. No pin of it can be
 *       added then: nobody can find the item any more.
 *   P3  Giving a pin back releases twice, with the pin's word and with the count behind it. Who
 *       frees has acquired one of them: the count where it found no pins at all, else every pin's
 *       word. What the holder of a pin has read, it has read before the memory is used again.
 */
#include "store/pin.h"

#include "store/internal.h"

/* The lowest bit of an address of an item is free. */
#define OWED ((uintptr_t)1)

uint32_t shoal_store_pin(shoal_thread *thread, const shoal_item *item)
{
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(item != NULL);
    shoal_pins *pins = &thread->store->pins;
    if (shoal_item__size(item) < SHOAL_PIN_SIZE_MIN) return 0;
    (void)shoal_add_relaxed(&pins->count, 1u);
    for (uint32_t i = 0; i < SHOAL_PINS_MAX; i++) {
        uintptr_t empty = 0;
        if (shoal_load_relaxed(&pins->items[i]) != 0) continue;
        /* pair: pin.item */
        if (shoal_cas_acq_rel(&pins->items[i], &empty, (uintptr_t)item)) return i + 1;
    }
    (void)shoal_sub_relaxed(&pins->count, 1u);
    return 0;
}

/* Puts the duty to free `item` into one of its pins. False when there is none. */
static bool pass_on(shoal_pins *pins, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    SHOAL_DEBUG_ASSERT(((uintptr_t)item & OWED) == 0);
    for (uint32_t i = 0; i < SHOAL_PINS_MAX; i++) {
        uintptr_t pinned = (uintptr_t)item;
        /* pair: pin.item */
        if (shoal_cas_acq_rel(&pins->items[i], &pinned, (uintptr_t)item | OWED)) return true;
    }
    return false;
}

bool shoal_pin__owes(shoal_thread *thread, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(shoal_item__size(item) >= SHOAL_PIN_SIZE_MIN);
    shoal_pins *pins = &thread->store->pins;
    /* pair: pin.count */
    return shoal_load_acquire(&pins->count) != 0 && pass_on(pins, item);
}

void shoal_store_unpin(shoal_thread *thread, uint32_t pin)
{
    SHOAL_ASSERT(pin > 0 && pin <= SHOAL_PINS_MAX);
    shoal_pins *pins = &thread->store->pins;
    /* pair: pin.item */
    uintptr_t was = shoal_exchange_acq_rel(&pins->items[pin - 1], (uintptr_t)0);
    SHOAL_ASSERT(was != 0);
    (void)shoal_sub_release(&pins->count, 1u); /* pair: pin.count */
    if ((was & OWED) == 0) return;
    shoal_item *item = (shoal_item *)(was & ~OWED);
    if (pass_on(pins, item)) return;
    size_t bytes = shoal_item__free(thread, item, shoal_item__size(item));
    shoal_bump_relaxed(&thread->counters.bytes_limbo, -(int64_t)bytes);
}
