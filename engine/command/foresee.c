/* SPDX-License-Identifier: MIT
 *
 * command/foresee.c - the first key of a session's next request, found without parsing: a pipeline
 * is looked up ahead by its own batch, but fifty clients that send one request each would wait
 * for memory fifty times in turn. Nothing here decides anything: what it reads wrongly costs time.
 */
#include <string.h>

#include "base/assert.h"
#include "command/worker.h"

/* Longest size of a key's text that is read, "65535\r\n" and what stands before it. */
#define SIZE_DIGITS_MAX 5u

/* Reads "<letter><digits>\r\n" at `*at`, and moves behind it. False where something else stands. */
static bool take_count(shoal_slice in, size_t *at, char letter, size_t *count)
{
    SHOAL_DEBUG_ASSERT(count != NULL);
    size_t i = *at;
    if (i >= in.size || in.data[i++] != letter) return false;
    size_t value = 0, digits = 0;
    for (; i < in.size && digits <= SIZE_DIGITS_MAX; i++, digits++) {
        unsigned digit = (unsigned char)in.data[i] - (unsigned)'0';
        if (digit > 9) break;
        value = value * 10 + digit;
    }
    if (digits == 0 || i + 2 > in.size) return false;
    *at = i + 2;
    *count = value;
    return true;
}

/* The second argument of a request that is there as far as that. */
static bool find_key(shoal_slice in, shoal_slice *name, bool *reads)
{
    SHOAL_DEBUG_ASSERT(in.data != NULL);
    size_t at = 0, count, size;
    if (!take_count(in, &at, '*', &count) || count < 2) return false;
    if (!take_count(in, &at, '$', &size) || in.size - at < size + 2) return false;
    *reads = size == 3 && (in.data[at] | 32) == 'g';
    at += size + 2;
    if (!take_count(in, &at, '$', &size) || in.size - at < size) return false;
    *name = (shoal_slice){in.data + at, size};
    return true;
}

bool shoal_session_foresee(const shoal_session *session, shoal_slice in, shoal_foresight *out)
{
    SHOAL_ASSERT(session->worker->inside && !session->dead);
    shoal_slice name;
    bool reads;
    if (shoal_buffer_size(&session->stash) != 0 || !find_key(in, &name, &reads)) return false;
    const shoal_store *store = session->worker->env->store;
    shoal_key key = shoal_key_make(store, session->db, name);
    if (!reads) shoal_store_prefetch_gate(store, &key);
    _Static_assert(sizeof key <= sizeof *out, "a key made ready is what is foreseen");
    memcpy(out, &key, sizeof key);
    return true;
}

void shoal_session_foresee_more(const shoal_session *session, const shoal_foresight *foresight,
                                uint32_t step)
{
    SHOAL_DEBUG_ASSERT(session->worker->inside);
    SHOAL_DEBUG_ASSERT(step < SHOAL_FORESEE_STEPS);
    const shoal_store *store = session->worker->env->store;
    shoal_key key;
    memcpy(&key, foresight, sizeof key);
    if (step == 0) {
        shoal_store_prefetch_buckets(store, &key, 1);
    } else {
        (void)shoal_store_prefetch_items(store, &key, 1);
    }
}
