/* SPDX-License-Identifier: MIT
 *
 * store/change.h - what happens to keys, told to those who want to know: who watches a key, and who
 * sees keys go. Part of the store's face.
 */
#ifndef SHOAL_STORE_CHANGE_H
#define SHOAL_STORE_CHANGE_H

#include "store/store.h"
#include "value/pack.h"

/* What happened to a key. */
typedef enum shoal_change {
    SHOAL_CHANGE_VALUE = 1, /* created, replaced, or changed in place */
    SHOAL_CHANGE_TTL,       /* another time to live, or none */
    SHOAL_CHANGE_REMOVED,   /* by a command */
    SHOAL_CHANGE_EXPIRED,
    SHOAL_CHANGE_EVICTED,
    SHOAL_CHANGE_CLEARED /* with all keys of its place */
} shoal_change;

/* Someone who wants to know when one key changes (WATCH, blocked clients). It hangs in the key's
 * place and is touched under that place's gate only. The owner keeps the memory until it has
 * been removed. */
typedef struct shoal_interest {
    struct shoal_interest *next, *previous; /* the store's own */
    shoal_key key;                          /* the name is borrowed, from the owner */
    /* Called under the gate behind each change, in the order in which interests were added. It must
     * not change keys. It may remove its own interest, and push operations to gates. */
    void (*notify)(struct shoal_interest *interest, shoal_thread *thread, shoal_change change);
} shoal_interest;

/* Adds an interest. Under the gate of interest->key.place. */
void shoal_store_interest_add_locked(shoal_thread *thread, shoal_interest *interest);
/* The oldest interest of a place, or NULL; `next` leads on. Under the gate of the place. */
shoal_interest *shoal_store_interests_locked(shoal_thread *thread, uint32_t place);
/* Takes it back. Under the same gate. */
void shoal_store_interest_remove_locked(shoal_thread *thread, shoal_interest *interest);
/* The same at the end, when no thread uses the store any more: who was interested goes too. */
void shoal_store_interest_drop(shoal_store *store, shoal_interest *interest);

/* An item that goes because its time has come, or to make room; or one field of a hash. */
typedef struct shoal_departure {
    const shoal_item
        *item; /* the key is gone, the item still whole; with a field, both are there */
    const shoal_element *field; /* of a hash that nobody touches: it alone goes. NULL: the key */
    uint32_t place;
    shoal_change change; /* EXPIRED or EVICTED */
    bool replaced; /* another item of that name has come already, and is the change that counts */
    bool alone;    /* its gate was taken for this, and is let go at once: it is none of those of an
                   operation that may be under way on the thread */
} shoal_departure;

/* Someone who wants to see every one of them. */
typedef struct shoal_departures {
    /* Called under the gate. It must not change keys. NULL: nobody. */
    void (*gone)(void *context, shoal_thread *thread, const shoal_departure *departure);
    void *context;
} shoal_departures;

/* Sets who that is, before any thread uses the store. */
void shoal_store_set_departures(shoal_store *store, const shoal_departures *departures);
/* Who that is; no function: nobody. */
shoal_departures shoal_store_departures(const shoal_store *store);

/* Someone who wants to see what one operation changes, in its order. */
typedef struct shoal_observer {
    /* Called under the gate behind each change of a key; `created`: there was none of that name. It
     * must not change keys. The key is borrowed. */
    void (*changed)(struct shoal_observer *observer, const shoal_key *key, shoal_change change,
                    bool created);
} shoal_observer;
/* Sets who sees what the thread does from now on; NULL: nobody. Returns who did before. */
shoal_observer *shoal_thread_observe(shoal_thread *thread, shoal_observer *observer);

/* Changes of keys that this thread has made so far: a command that leaves it as it was has changed
 * nothing. */
uint64_t shoal_thread_changes(const shoal_thread *thread);
/* True from the moment on in which the node keeps a copy of what another one says: keys whose time
 * has come are absent to readers, but stay until that other one says that they are gone. Any
 * thread. */
void shoal_store_keep_expired(shoal_store *store, bool keep);
/* While that is so: is what other threads than those that follow (below) put with a TTL the node's
 * own, to go when its time comes? Any thread; not while a copy is being loaded. */
void shoal_store_note_own(shoal_store *store, bool on);
/* Has such a key come that thread 0 has not heard of yet? It does with shoal_store_maintain. */
bool shoal_store_own_waits(const shoal_store *store);
/* Another copy takes the place of all that there is: nothing of it is the node's own any more. */
void shoal_store_forget_own(shoal_store *store);
/* While a thread follows, for what it does no key's time has come, and there is room whatever the
 * limits say: it does what another node, or this one at another time, has done. Between two
 * operations, or within one. */
void shoal_thread_follow(shoal_thread *thread, bool follow);

/* Changes of keys of a place since the store was made. Any thread. */
uint64_t shoal_store_changes_slot(const shoal_store *store, uint32_t place);

#endif
