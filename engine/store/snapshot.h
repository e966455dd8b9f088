/* SPDX-License-Identifier: MIT
 *
 * store/snapshot.h - handing out what slots hold while they are written, in bounded steps, without
 * a copy of the whole and without fork. Two forms:
 *
 *   a passage  goes through the places from a cursor on, and hands out what is there when it comes
 *              by. Who asks under the gate of a key learns whether the passage has been there: a
 *              write behind the cursor also goes to the stream, one before it does not. For moving
 *              slots, and for a first synchronisation that is followed by a stream of writes.
 *   a cut      hands out what all places hold at the moment of its beginning. Who writes to a place
 *              that it has not seen yet hands out first what is about to change. For files that
 *              must show one moment.
 *
 * Neither knows formats: a sink takes what is handed out. docs/decisions/snapshot.md says why it is
 * so, and what it costs.
 *
 * Threads: the functions are called inside a batch; those of one passage or cut by one thread at a
 * time. The sink is called by any thread of the store, under the gate of the place it is told of.
 */
#ifndef SHOAL_STORE_SNAPSHOT_H
#define SHOAL_STORE_SNAPSHOT_H

#include "store/store.h"

/* What is handed out: an item with its value, or a piece of an object. */
typedef struct shoal_snapshot_part {
    uint32_t place;
    const shoal_item
        *item;       /* borrowed until the batch of the calling thread ends; NULL at the second
                               and later calls for one object */
    uint32_t budget; /* elements that the sink should take now; it takes off what it has taken. All
                        of them are meant where it is UINT32_MAX. Of an item that is no object a cut
                        alone says so: it is taken as a whole all the same */
    /* The rest is 0 unless the value is an object. */
    const shoal_object *object; /* borrowed for the call */
    uint64_t number; /* of the object: calls with the same number are about the same one */
    uint64_t cursor; /* the sink's own: where it goes on; 0 at the first call */
    shoal_watch
        *watch; /* set by a cut's sink at the first call, of an object whose changes are told
                           (value/value.h): it hands out itself what is about to change, and writers
                           go on; NULL: it cannot, and shoal_cut_options says what happens. Borrowed
                           until the object is done, or the cut aborted and its steps over */
    bool late;  /* the object has been changed since the cut: see shoal_cut_options */
    bool gone;  /* it is not handed out to its end, because nobody needs it any more; no object */
    bool done;  /* set by the sink: nothing of the object is left */
} shoal_snapshot_part;

/* Who takes it. */
typedef struct shoal_snapshot_sink {
    /* Takes a part. It must not change keys, and not run operations under gates. */
    void (*take)(void *context, shoal_thread *thread, shoal_snapshot_part *part);
    void *context;
} shoal_snapshot_sink;

/* ---- passages ---- */

/* One passage. */
typedef struct shoal_passage shoal_passage;

/* Begins one over the places `first` to `last`. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_passage_open(shoal_thread *thread, const shoal_snapshot_sink *sink,
                                            uint32_t first, uint32_t last, shoal_passage **out);
/* Hands out some `budget` items and elements: true when the passage is over. It does nothing where
 * the gate of the place is held at this moment. Live items only. */
bool shoal_passage_step(shoal_passage *passage, shoal_thread *thread, uint32_t budget);
/* Under the gate of the key: true when the passage has been there, so that a change of the key must
 * be told besides. Of an object that is being handed out, a part may then be told twice: once with
 * the change and once as it is found, so what is told must be the new content, not the difference.
 * A list must be told as a whole where shoal_passage_is_within. */
bool shoal_passage_is_behind(const shoal_passage *passage, const shoal_key *key);
/* Under the gate of the key: true when an object at it is in the middle of being handed out. */
bool shoal_passage_is_within(const shoal_passage *passage, const shoal_key *key);
/* Ends it, at any time. */
void shoal_passage_close(shoal_passage *passage, shoal_thread *thread);

/* ---- cuts ---- */

/* One cut; a store has one at a time. */
typedef struct shoal_cut shoal_cut;

/* How to take a cut. */
typedef struct shoal_cut_options {
    shoal_snapshot_sink sink;
    /* A large object that is changed before it has been handed out: false: the rest of it is handed
     * out at once, exact, however long it takes; true: the writer goes on, later parts are `late`:
     * they show what is there when they are handed out. For sinks that are followed by a stream of
     * changes by value, which makes it right again. */
    bool late;
    bool keeps_expired; /* keys whose time is over are handed out too, until they are deleted */
    /* NULL, or told under its gate of an object that is gone and of which so many bytes stay until
     * the steps have handed out the rest; `cursor` is the sink's own. */
    void (*kept)(void *context, uint64_t cursor, uint64_t bytes);
} shoal_cut_options;

/* What of an object is still to be handed out may be so large in bytes, for a writer that comes to
 * hand it out itself. Chosen: some tens of microseconds. */
#define SHOAL_CUT_OBJECT_MAX ((int64_t)64 << 10)

/* Begins one: the moment is now, between two operations. 0, SHOAL_ERR_BUSY when there is one
 * already, or SHOAL_ERR_NO_MEMORY. Not under a gate. */
SHOAL_MUST_USE shoal_err shoal_cut_begin(shoal_thread *thread, const shoal_cut_options *options,
                                         shoal_cut **out);
/* Whether the store has one. Any thread; it may begin or end at any time. */
bool shoal_cut_taken(const shoal_store *store);
/* Hands out some `budget` items and elements: true when all has been handed out. It may do nothing:
 * until all threads have begun a new batch, and where gates are held at this moment. */
bool shoal_cut_step(shoal_cut *cut, shoal_thread *thread, uint32_t budget);
/* Nothing more is handed out; the steps that are left only let memory go. */
void shoal_cut_abort(shoal_cut *cut);
/* Ends a cut whose last step was true. False without memory: to be called again in another
 * batch. */
SHOAL_MUST_USE bool shoal_cut_end(shoal_cut *cut, shoal_thread *thread);

/* ---- while nothing is written ---- */

/* Shown one item, which is borrowed for the call. */
typedef void (*shoal_store_visitor)(void *context, const shoal_item *item, uint32_t place);
/* Shows every item of every database, expired ones that nobody has met yet included, by places;
 * only while no thread is inside a batch. */
void shoal_store_visit(const shoal_store *store, shoal_store_visitor visit, void *context);

#endif
