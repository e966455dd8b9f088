/* SPDX-License-Identifier: MIT
 *
 * value/value.h - what a key can hold, and the interface by which types of values join. A value of
 * a compound type (list, set, sorted set, hash, stream) has one of two forms:
 *
 *   a pack     some hundred bytes inside the item itself: immutable, replaced as a whole at each
 *              change, so that any thread reads it without the gate
 *   an object  memory of its own, changed in place, touched only under the gate of its key
 *
 * What clients read as OBJECT ENCODING depends on the content and the settings; where the bytes
 * are is our own affair (a "listpack" may be either form).
 *
 * Threads: an object belongs to the holder of the gate of its key, or to whoever has just made it.
 */
#ifndef SHOAL_VALUE_VALUE_H
#define SHOAL_VALUE_VALUE_H

#include <shoal/types.h>

/* What a key holds. The numbers stand in items. */
typedef enum shoal_value_type {
    SHOAL_TYPE_NONE = 0,
    SHOAL_TYPE_STRING = 1,
    SHOAL_TYPE_LIST = 2,
    SHOAL_TYPE_SET = 3,
    SHOAL_TYPE_ZSET = 4,
    SHOAL_TYPE_HASH = 5,
    SHOAL_TYPE_STREAM = 6
} shoal_value_type;
#define SHOAL_TYPE_COUNT 7

/* Longest pack that a value keeps inside its item, in bytes: a copy of it costs less than what a
 * second cache miss at each read would. What is longer becomes an object. */
#define SHOAL_PACK_INLINE_MAX 1024u

/* ---- memory ---- */

/* Takes and gives the memory of objects, and keeps count. One for each thread of a store; made by
 * hand in tests. */
typedef struct shoal_account {
    const shoal_allocator *allocator; /* borrowed */
    int64_t bytes; /* taken less given since it was last settled, in usable sizes */
} shoal_account;

/* What the memory of objects is aligned to. */
#define SHOAL_OBJECT_ALIGNMENT 8

/* Takes `size` > 0 bytes aligned to 8 with unknown content, or NULL. */
void *shoal_account_take(shoal_account *account, size_t size);
/* Gives back what was taken with the same size. NULL does nothing. */
void shoal_account_give(shoal_account *account, void *memory, size_t size);
/* Takes `size` bytes that begin with what `memory` (may be NULL) of `old_size` holds, and gives
 * that back. NULL without memory; then `memory` is as before. */
void *shoal_account_resize(shoal_account *account, void *memory, size_t old_size, size_t size);

/* ---- objects ---- */

/* A string or number in a value: value/pack.h. */
struct shoal_element;

/* Who is told what is about to change in an object: he who hands it out in pieces while it is
 * written. The functions are called under the gate of the key; the object must not be changed. */
typedef struct shoal_watch {
    /* Of sets, hashes and sorted sets: the entry of that name (value/pack.h) is about to be added,
     * changed or removed. */
    void (*before)(struct shoal_watch *watch, const struct shoal_element *name);
    /* Of lists: `removed` elements from `index` on are about to go, and `added` to come in their
     * place. Where that fails for want of memory, the added ones are said to go again. */
    void (*before_range)(struct shoal_watch *watch, uint64_t index, uint64_t removed,
                         uint64_t added);
    /* Of strings: the bytes from `offset` on are about to be written over, or to come. */
    void (*before_bytes)(struct shoal_watch *watch, size_t offset, size_t size);
} shoal_watch;

/* What every object begins with. */
typedef struct shoal_object {
    uint8_t type;     /* shoal_value_type */
    uint8_t encoding; /* the type's own number */
    uint8_t spare[6]; /* the type's own */
    int64_t bytes;    /* all that it takes, itself included; 0 when made, then the store keeps it */
    shoal_watch *watch; /* borrowed, or NULL; the store sets it */
} shoal_object;

/* A compound value as found in an item: one of the two is set. */
typedef struct shoal_compound {
    shoal_slice pack;     /* data NULL: it is an object */
    shoal_object *object; /* NULL: it is a pack */
} shoal_compound;

/* Called with the bytes of one part of a value; for digests, order within a value as documented by
 * the type. */
typedef void (*shoal_value_visit)(void *context, shoal_slice part);

/* Who says which pieces of an object lie in sparse memory. */
typedef struct shoal_value_mover {
    bool (*is_sparse)(void *context, const void *memory, size_t size);
    void *context;
} shoal_value_mover;

/* What the store and the generic commands must know of a type. A new type is a table of these in
 * value/types.c and a number above. None of them allocates but `copy` and `move`. */
typedef struct shoal_value_ops {
    const char *name; /* as TYPE answers */
    /* Frees at most `*budget` pieces of an object that nobody can reach any more, a piece being one
     * give or some 64 elements looked at, and takes what it used from `*budget`. True when all is
     * freed, the object itself last. It is called again with the same object until then. */
    bool (*free_some)(shoal_object *object, shoal_account *account, uint32_t *budget);
    /* Redis's word for how the value is kept, as OBJECT ENCODING answers. */
    const char *(*encoding)(const shoal_compound *value);
    /* Elements. */
    uint64_t (*count)(const shoal_compound *value);
    /* An independent copy of an object, or NULL without memory. */
    shoal_object *(*copy)(const shoal_object *object, shoal_account *account);
    /* Visits all content in an order and form that depends on the logical content only (for sets,
     * sorted sets and hashes: an order-independent sum of each element's digest is the caller's
     * affair, so each element or field-value pair is one visit). */
    void (*visit)(const shoal_compound *value, shoal_value_visit visit, void *context);
    /* Moves pieces of an object out of sparse memory: looks at up to `*budget` pieces from
     * `*cursor` on (0 begins, 0 again at the end; any number is harmless, since the object may have
     * changed or be another since) and takes what it used from `*budget`. Each piece of `size`
     * bytes (as it was taken) that the mover names is taken anew, copied and given; where taking
     * fails it stays. The shoal_object itself stays where it is. NULL: the pieces are not moved. */
    void (*move)(shoal_object *object, shoal_account *account, uint64_t *cursor, uint32_t *budget,
                 const shoal_value_mover *mover);
} shoal_value_ops;

/* The table of a type: for STRING of those that are objects, which long ones are that are edited in
 * place (value/edited.h). NULL for NONE and types that are not built in. */
const shoal_value_ops *shoal_value_ops_of(shoal_value_type type);
/* "string", "list", "set", "zset", "hash", "stream", and "none". */
const char *shoal_value_type_name(shoal_value_type type);

/* Frees a whole object at once: for those that never reached a store. NULL does nothing. */
void shoal_object_free(shoal_object *object, shoal_account *account);

#endif
