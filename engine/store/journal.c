/* SPDX-License-Identifier: MIT
 *
 * store/journal.c - the word of the store that says who writes down what is done to it.
 */
#include "store/journal.h"

#include "store/internal.h"

void shoal_store_set_journal(shoal_store *store, const shoal_journal *journal)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(journal == NULL || (journal->refuses != NULL && journal->told != NULL));
    store->journal = journal;
}

const shoal_journal *shoal_thread_journal(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    return thread->store->journal;
}
