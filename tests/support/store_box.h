/* SPDX-License-Identifier: MIT
 *
 * A store in a box: one store with a counting allocator and a clock, and short words for doing
 * things to it under the right gate. For tests of the store and of what stands on it.
 *
 * Threads: functions with a shoal_thread may be called from the thread that uses it; the rest
 * before threads start and after they have ended.
 */
#ifndef SHOAL_TEST_STORE_BOX_H
#define SHOAL_TEST_STORE_BOX_H

#include "store/store.h"
#include "support/allocator.h"

/* One store. `now` is what box_turn enters with. */
typedef struct store_box {
    test_heap heap;
    shoal_store *store;
    shoal_thread *thread; /* number 0; inside a batch */
    shoal_time now;
    int64_t bytes_fixed; /* outstanding after creation */
} store_box;

/* Wall-clock milliseconds at which boxes start. */
#define BOX_START_MS 1700000000000

/* Makes a store for `threads` threads and 2 databases, and enters a batch with thread 0. */
void box_open(store_box *box, uint32_t threads);
/* Leaves, destroys, and checks that every byte came back. */
void box_close(store_box *box);
/* Ends the batch, moves the clock, begins the next. */
void box_turn(store_box *box, int64_t milliseconds);
/* Turns until background work has nothing to do now. */
void box_settle(store_box *box);
/* Checks the store's account against the allocator's. */
void box_check_bytes(store_box *box);

/* The present wall clock in milliseconds. */
int64_t box_ms(const store_box *box);

/* A slice of a string. */
shoal_slice text_slice(const char *text);

/* Puts, removes, and so on under the gate, which must be free. */
shoal_err box_put(shoal_thread *thread, const shoal_key *key, shoal_slice value,
                  int64_t expires_ms);
bool box_remove(shoal_thread *thread, const shoal_key *key);
shoal_err box_expire(shoal_thread *thread, const shoal_key *key, int64_t expires_ms);
uint64_t box_clear(shoal_thread *thread, uint32_t place);
/* shoal_store_get_locked: true when there is a live item. */
bool box_has_locked(shoal_thread *thread, const shoal_key *key);

/* Puts text under a text key of database 0, without TTL; it must succeed. */
void box_set(store_box *box, const char *name, const char *value);
/* The item under a text key of database 0. */
const shoal_item *box_get(store_box *box, const char *name);
/* True when the key holds the text. */
bool box_holds(store_box *box, const char *name, const char *value);

#endif
