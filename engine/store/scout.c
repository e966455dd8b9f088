/* SPDX-License-Identifier: MIT
 *
 * store/scout.c - what goes before the hand and asks for the memory that it will read. A search
 * passes some forty lines in less than a microsecond, and memory would not keep up with it, while
 * between two searches sixteen keys go and as many commands run. So the home buckets are asked for
 * then, some for each key that goes, a few slots before the hand. What is behind them can be asked
 * for only when they have come: that is done when the hand reaches the slot before.
 */
#include "store/internal.h"

/* So many slots before the hand. */
#define SLOTS_AHEAD 8u

/* Asks for the overflow buckets of a leaf whose home buckets have come. */
static void ask_behind(const shoal_bucket *leaf, uint32_t buckets)
{
    SHOAL_DEBUG_ASSERT(leaf != NULL);
    SHOAL_DEBUG_ASSERT(buckets > 0);
    for (uint32_t i = 0; i < buckets && i < LINES_AHEAD; i++) {
        /* pair: bucket.entry */
        uint64_t last = shoal_load_acquire(&leaf[i].entries[BUCKET_ENTRIES - 1]);
        if (shoal_entry__is_chain(last)) __builtin_prefetch(shoal_entry__pointer(last));
    }
}

/* Fetches where the slot after the present one begins: its home buckets, or, where those have been
 * asked for long ago, what is behind them. */
void shoal_scout__next(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    const shoal_hand *hand = &thread->evictor.hand;
    uint64_t rest = hand->pending & (hand->pending - 1);
    if (rest == 0) return;
    uint32_t slot = hand->chunk % MAP_WORDS * 64 + (uint32_t)__builtin_ctzll(rest);
    SHOAL_DEBUG_ASSERT(slot < SHOAL_SLOTS);
    uint32_t place = SHOAL_PLACE(hand->chunk / MAP_WORDS, slot);
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(thread->store, place)) & ~WORD_FLAGS;
    if (word == 0) return;
    uint32_t lines = word & WORD_DIRECTORY ? 1 : shoal_word__buckets(word);
    const char *leaf = shoal_word__pointer(word);
    bool asked = (rest & -rest & hand->unasked) == 0;
    if (asked && !(word & WORD_DIRECTORY)) {
        ask_behind(shoal_word__pointer(word), lines);
        return;
    }
    for (uint32_t i = 0; i < lines && i < LINES_AHEAD; i++)
        __builtin_prefetch(leaf + (size_t)i * SHOAL_ALIGN_LINE);
}

/* Asks for the next few lines that the hand will come to, after each key that has gone: until they
 * are needed everything else goes on, where a search that asked for its own would wait for them. */
void shoal_scout__on(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->evictor.hand.chunk / MAP_WORDS < thread->store->database_count);
    shoal_hand *hand = &thread->evictor.hand;
    uint32_t left = thread->evictor.lines_a_victim;
    uint64_t ahead = hand->unasked & hand->pending;
    if (ahead != hand->unasked) hand->asked = 0;
    while (left > 0 && ahead != 0) {
        uint32_t bit = (uint32_t)__builtin_ctzll(ahead);
        if (bit > (uint32_t)__builtin_ctzll(hand->pending) + SLOTS_AHEAD) break;
        uint32_t place = SHOAL_PLACE(hand->chunk / MAP_WORDS, hand->chunk % MAP_WORDS * 64 + bit);
        /* pair: leaf.publish */
        uint64_t word = shoal_load_acquire(shoal_store__word(thread->store, place)) & ~WORD_FLAGS;
        uint32_t lines = word == 0 ? 0 : word & WORD_DIRECTORY ? 1 : shoal_word__buckets(word);
        const char *leaf = shoal_word__pointer(word);
        for (; left > 0 && hand->asked < lines; left--)
            __builtin_prefetch(leaf + (size_t)hand->asked++ * SHOAL_ALIGN_LINE, 0, 2);
        if (hand->asked < lines) break;
        hand->asked = 0;
        ahead &= ahead - 1;
    }
    hand->unasked = ahead;
}
