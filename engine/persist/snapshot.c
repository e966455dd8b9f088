/* SPDX-License-Identifier: MIT
 *
 * persist/snapshot.h: the head, what the cut hands out, the end. Each chunk begins by saying which
 * database it is about, so that chunks stand in any order.
 */
#include "persist/snapshot.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/inbox.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/dump.h"
#include "persist/aof_reader.h"
#include "persist/large.h"
#include "rdb/crc64.h"
#include "rdb/file.h"
#include "store/pin.h"
#include "store/places.h"
#include "store/snapshot.h"

/* A chunk of so many bytes is given to the taker. Chosen: a write of it costs some microseconds,
 * and a thread's memory for it is small beside what a connection may queue. */
#define CHUNK_BYTES ((size_t)64 << 10)
/* The same in units of a budget. */
#define CHUNK_UNITS ((uint32_t)(CHUNK_BYTES / SHOAL_LONG_UNIT_BYTES))
/* No database has been named yet. */
#define NO_DATABASE UINT32_MAX

/* Keys of one thread, or a value that is larger than a chunk, or a piece of a large value. */
typedef struct chunk {
    shoal_op op; /* first: it travels by inbox */
    uint32_t database;
    shoal_buffer bytes;
    shoal_large *of; /* or NULL */
    bool last;       /* of the large value */
} chunk;

/* A thread's chunk that is not full yet, on a line of its own. */
typedef struct chunk_word {
    _Alignas(SHOAL_SHARING_SIZE) _Atomic(chunk *) chunk; /* claim S1. pair: snapshot.chunk */
} chunk_word;

struct shoal_snapshot_writer {
    shoal_allocator allocator;
    shoal_snapshot_options options;
    shoal_cut *cut;
    uint64_t crc;
    shoal_crc64_tables tables;
    bool over; /* the cut is, and all has been collected */
    uint32_t threads;
    shoal_inbox full;
    _Atomic bool failed;      /* writer: any, readers: the steps, relaxed */
    _Atomic uint64_t pending; /* relaxed: bytes in chunks */
    _Atomic uint64_t kept;    /* relaxed: bytes that large values keep, or that are held for them */
    _Atomic uint64_t keys;    /* relaxed */
    _Atomic uint64_t copied;  /* relaxed: of items that others than the steps had to hand out */
    shoal_inbox larges;       /* all large values that were begun, as long as the writer */
    shoal_inbox held;         /* strings that are pinned for the steps, which write them */
    uint32_t steps;           /* number of the thread that began */
    /* The steps': */
    bool stepping;        /* the cut's step is called */
    chunk *waiting;       /* full ones, oldest first */
    shoal_large *active;  /* the one that the steps hand out, or NULL */
    shoal_large *current; /* claim S3: only its chunks may be given; or NULL */
    shoal_op *strings;    /* those that are held, oldest first */
    shoal_thread *thread; /* the one that began */
    chunk_word words[];
};

static size_t writer_size(uint32_t threads)
{
    SHOAL_ASSERT(threads > 0);
    _Static_assert(sizeof(chunk_word) == SHOAL_SHARING_SIZE, "a thread's word has its line alone");
    return sizeof(shoal_snapshot_writer) + threads * sizeof(chunk_word);
}

/* ---- chunks ---- */

static chunk *make_chunk(shoal_snapshot_writer *writer)
{
    chunk *made = shoal_memory_take(&writer->allocator, sizeof(*made), SHOAL_ALIGN_PLAIN);
    if (made == NULL) return NULL;
    *made = (chunk){.database = NO_DATABASE, .bytes = shoal_buffer_make(&writer->allocator)};
    /* Room for a key more than makes it full, so that it seldom grows. */
    (void)shoal_buffer_reserve(&made->bytes, CHUNK_BYTES + CHUNK_BYTES / 8);
    SHOAL_DEBUG_ASSERT(shoal_buffer_size(&made->bytes) == 0);
    SHOAL_DEBUG_ASSERT(made->bytes.failed || made->bytes.capacity > CHUNK_BYTES);
    return made;
}

static void free_chunk(shoal_snapshot_writer *writer, chunk *done)
{
    SHOAL_DEBUG_ASSERT(done != NULL);
    SHOAL_DEBUG_ASSERT(done->bytes.allocator == &writer->allocator);
    shoal_buffer_free(&done->bytes);
    shoal_memory_give(&writer->allocator, done, sizeof(*done), SHOAL_ALIGN_PLAIN);
}

/* The chunk of a thread, which is the caller's until it is put back. NULL without memory. */
static chunk *take_chunk(shoal_snapshot_writer *writer, shoal_thread *thread)
{
    uint32_t index = shoal_thread_index(thread);
    SHOAL_ASSERT(index < writer->threads);
    /* pair: snapshot.chunk */
    chunk *mine = shoal_exchange_acq_rel(&writer->words[index].chunk, (chunk *)NULL);
    SHOAL_DEBUG_ASSERT(mine == NULL || mine->database != NO_DATABASE);
    return mine != NULL ? mine : make_chunk(writer);
}

/* Puts a chunk back, or on its way to the taker when it is full. */
static void put_chunk(shoal_snapshot_writer *writer, shoal_thread *thread, chunk *mine)
{
    SHOAL_DEBUG_ASSERT(mine->database < writer->options.databases);
    SHOAL_DEBUG_ASSERT(shoal_buffer_size(&mine->bytes) > 0 || mine->bytes.failed);
    if (mine->bytes.failed) shoal_store_relaxed(&writer->failed, true);
    if (shoal_buffer_size(&mine->bytes) >= CHUNK_BYTES) {
        (void)shoal_inbox_push(&writer->full, &mine->op);
        return;
    }
    /* pair: snapshot.chunk */
    chunk *other = shoal_exchange_acq_rel(&writer->words[shoal_thread_index(thread)].chunk, mine);
    SHOAL_ASSERT(other == NULL);
}

/* ---- keys ---- */

/* Appends what the policy knows of a key's use. */
static void write_heat(const shoal_snapshot_writer *writer, shoal_thread *thread,
                       const shoal_snapshot_part *part, shoal_buffer *out)
{
    SHOAL_DEBUG_ASSERT(part->item != NULL);
    SHOAL_DEBUG_ASSERT(!writer->options.plain);
    if (writer->options.heat == SHOAL_SNAPSHOT_HEAT_NONE) return;
    shoal_store *store = shoal_thread_store(thread);
    shoal_key key = shoal_key_make(store, SHOAL_PLACE_DB(part->place), shoal_item_name(part->item));
    int64_t idle_ms;
    uint32_t frequency;
    if (writer->options.heat == SHOAL_SNAPSHOT_HEAT_IDLE) {
        if (shoal_store_idle_ms(thread, &key, &idle_ms))
            shoal_rdb_write_idle(out, (uint64_t)idle_ms / 1000);
    } else if (shoal_store_frequency(thread, &key, &frequency)) {
        shoal_rdb_write_frequency(out, frequency);
    }
}

/* Writes a key as a command: SET, or RESTORE, which any value fits into. */
static void write_command(const shoal_snapshot_writer *writer, const shoal_rdb_key *key,
                          shoal_buffer *out)
{
    shoal_buffer scratch = shoal_buffer_make(&writer->allocator);
    shoal_slice argv[5] = {{0}, key->name};
    uint32_t argc = 0;
    bool expires = key->expires_ms >= 0;
    SHOAL_DEBUG_ASSERT(writer->options.plain);
    shoal_text_appendf(&scratch, "%lld", (long long)(expires ? key->expires_ms : 0));
    size_t digits = shoal_buffer_size(&scratch);
    SHOAL_ASSERT(digits > 0 || scratch.failed);
    if (key->value.type == SHOAL_TYPE_STRING) {
        argv[0] = shoal_text("SET");
        argv[2] = key->value.string;
        argv[3] = shoal_text("PXAT");
        argv[4] = shoal_buffer_slice(&scratch);
        argc = expires ? 5 : 3;
    } else {
        shoal_rdb_write_payload(&scratch, &key->value, &writer->options.style);
        shoal_slice both = shoal_buffer_slice(&scratch);
        argv[0] = shoal_text("RESTORE");
        argv[2] = (shoal_slice){both.data, digits};
        argv[3] = (shoal_slice){both.data + digits, both.size - digits};
        argv[4] = shoal_text("ABSTTL");
        argc = expires ? 5 : 4;
    }
    if (scratch.failed)
        out->failed = true;
    else
        shoal_aof_write_command(out, argv, argc);
    shoal_buffer_free(&scratch);
}

/* Says which database follows. */
static void write_select(const shoal_snapshot_writer *writer, uint32_t database, shoal_buffer *out)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    SHOAL_DEBUG_ASSERT(database < writer->options.databases);
    if (!writer->options.plain) {
        shoal_rdb_write_database(out, database);
        return;
    }
    size_t size = shoal_text_from_i64(digits, database);
    shoal_slice argv[2] = {shoal_text("SELECT"), {digits, size}};
    shoal_aof_write_command(out, argv, 2);
}

/* ---- large values ---- */

/* Sends what a large value has written on its way: when it is enough for a chunk, or the last. */
static void send_large(shoal_snapshot_writer *writer, shoal_large *large)
{
    size_t size = shoal_buffer_size(&large->bytes);
    if (large->bytes.failed) shoal_store_relaxed(&writer->failed, true);
    if (size < CHUNK_BYTES && !large->over) return;
    chunk *made = shoal_memory_take(&writer->allocator, sizeof(*made), SHOAL_ALIGN_PLAIN);
    if (made == NULL) {
        shoal_store_relaxed(&writer->failed, true);
        return;
    }
    *made = (chunk){.bytes = large->bytes, .of = large, .last = large->over};
    SHOAL_DEBUG_ASSERT(made->database < writer->options.databases);
    large->bytes = shoal_buffer_make(&writer->allocator);
    (void)shoal_add_relaxed(&writer->pending, size);
    (void)shoal_inbox_push(&writer->full, &made->op);
}

/* Counts what a large value keeps. */
static void count_kept(shoal_snapshot_writer *writer, shoal_large *large)
{
    uint64_t kept = shoal_large_kept(large) + large->held;
    SHOAL_DEBUG_ASSERT(large->held == 0 || large->value.type == SHOAL_TYPE_STRING);
    SHOAL_DEBUG_ASSERT(large->kept_counted <= shoal_load_relaxed(&writer->kept));
    if (kept != large->kept_counted)
        (void)shoal_add_relaxed(&writer->kept, kept - large->kept_counted);
    large->kept_counted = kept;
}

/* What counts of a string of so many bytes that is held because it is about to go. */
static uint64_t held_of(const shoal_snapshot_writer *writer, uint64_t bytes)
{
    uint64_t most = writer->options.held_max;
    SHOAL_DEBUG_ASSERT(bytes > 0);
    if (most == 0) most = SHOAL_SNAPSHOT_HELD_MAX;
    return bytes < most ? bytes : most;
}

/* A string that was edited in place is gone, and stays until the steps have written it. */
static void string_kept(void *context, uint64_t cursor, uint64_t bytes)
{
    shoal_snapshot_writer *writer = context;
    shoal_large *large = (shoal_large *)(uintptr_t)cursor;
    if (large == NULL || large->value.type != SHOAL_TYPE_STRING) return;
    SHOAL_ASSERT(large->context == writer);
    large->held = held_of(writer, bytes);
    count_kept(writer, large);
}

/* A change has brought a piece about. */
static void large_grown(void *context, shoal_large *large, uint64_t elements)
{
    shoal_snapshot_writer *writer = context;
    SHOAL_DEBUG_ASSERT(large->context == writer);
    (void)shoal_add_relaxed(&writer->copied, elements * large->element_bytes);
    count_kept(writer, large);
    if (!shoal_load_relaxed(&writer->failed)) send_large(writer, large);
}

/* Writes on at a large value, and sends it on its way: strings by the chunk. */
static void write_some(shoal_snapshot_writer *writer, shoal_large *large, uint32_t *budget)
{
    SHOAL_ASSERT(*budget > 0);
    SHOAL_ASSERT(!large->over);
    if (large->value.type != SHOAL_TYPE_STRING) {
        shoal_large_write(large, budget);
        send_large(writer, large);
        return;
    }
    while (!large->over && *budget > 0) {
        uint32_t most = large->text.squeezing ? CHUNK_UNITS * SHOAL_LONG_SQUEEZE_COST : CHUNK_UNITS;
        uint32_t now = *budget < most ? *budget : most, left = now;
        shoal_large_write(large, &left);
        send_large(writer, large);
        if (*budget != UINT32_MAX) *budget -= now - left;
    }
}

/* Writes a piece of a large value. */
static void go_on(shoal_snapshot_writer *writer, shoal_thread *thread, shoal_snapshot_part *part,
                  shoal_large *large)
{
    bool over = large->over;
    SHOAL_ASSERT(part->object == large->value.compound.object);
    SHOAL_ASSERT(large->context == writer);
    if (shoal_thread_index(thread) == writer->steps && writer->stepping && !over)
        writer->active = large;
    uint64_t left = large->elements.left;
    if (!over) write_some(writer, large, &part->budget);
    if (large->over) large->held = 0;
    count_kept(writer, large);
    if (shoal_thread_index(thread) != writer->steps)
        (void)shoal_add_relaxed(&writer->copied,
                                (left - large->elements.left) * large->element_bytes);
    part->done = large->over;
}

/* A large value whose writing has begun. NULL without memory. */
static shoal_large *make_large(shoal_snapshot_writer *writer, shoal_thread *thread,
                               const shoal_snapshot_part *part, const shoal_rdb_key *key,
                               shoal_rdb_kind kind)
{
    shoal_large *large =
        shoal_memory_take_zeroed(&writer->allocator, sizeof(*large), SHOAL_ALIGN_PLAIN);
    SHOAL_ASSERT(part->item != NULL);
    if (large == NULL) return NULL;
    large->plain = writer->options.plain;
    large->bytes = shoal_buffer_make(&writer->allocator);
    large->grown = large_grown;
    large->context = writer;
    write_select(writer, SHOAL_PLACE_DB(part->place), &large->bytes);
    if (!large->plain) write_heat(writer, thread, part, &large->bytes);
    shoal_large_begin(large, key, kind, &writer->options.style);
    (void)shoal_inbox_push(&writer->larges, &large->op);
    (void)shoal_add_relaxed(&writer->keys, 1);
    return large;
}

/* Begins to write a large value in pieces. False without memory. */
static bool begin_large(shoal_snapshot_writer *writer, shoal_thread *thread,
                        shoal_snapshot_part *part, const shoal_rdb_key *key, shoal_rdb_kind kind)
{
    shoal_large *large = make_large(writer, thread, part, key, kind);
    SHOAL_ASSERT(part->object != NULL);
    if (large == NULL) return false;
    part->cursor = (uint64_t)(uintptr_t)large;
    part->watch = &large->watch;
    go_on(writer, thread, part, large);
    return true;
}

/* Whether a key is to be written in pieces, and as what kind: where it need not be handed out to
 * its end now. */
static bool goes_in_pieces(const shoal_snapshot_writer *writer, const shoal_snapshot_part *part,
                           const shoal_rdb_key *key, shoal_rdb_kind *kind)
{
    SHOAL_DEBUG_ASSERT(part->item != NULL);
    SHOAL_DEBUG_ASSERT(part->budget > 0);
    if (part->budget == UINT32_MAX) return false;
    return shoal_large_is(key, writer->options.style.now_ms, kind);
}

/* ---- strings that are held ---- */

static shoal_large *string_of(shoal_op *op)
{
    SHOAL_DEBUG_ASSERT(op != NULL);
    shoal_large *large = (shoal_large *)(void *)((char *)op - offsetof(shoal_large, waits));
    SHOAL_ASSERT(large->value.type == SHOAL_TYPE_STRING && large->value.compound.object == NULL);
    return large;
}

/* Has a long string written by the steps. Its item never changes, so it is held until they have
 * done that. False where it cannot be. */
static bool begin_held(shoal_snapshot_writer *writer, shoal_thread *thread,
                       shoal_snapshot_part *part, const shoal_rdb_key *key)
{
    SHOAL_ASSERT(part->object == NULL && part->item != NULL);
    SHOAL_ASSERT(key->value.type == SHOAL_TYPE_STRING);
    uint32_t pin = shoal_store_pin(thread, part->item);
    if (pin == 0) return false;
    shoal_large *large = make_large(writer, thread, part, key, SHOAL_RDB_STRING);
    if (large == NULL) {
        shoal_store_unpin(thread, pin);
        return false;
    }
    large->pin = pin;
    if (shoal_thread_index(thread) != writer->steps || !writer->stepping) {
        /* Whoever comes first is about to change the key. */
        uint64_t bytes = shoal_item_memory(shoal_thread_store(thread), part->item);
        (void)shoal_add_relaxed(&writer->copied, bytes);
        large->held = held_of(writer, bytes);
        count_kept(writer, large);
    }
    (void)shoal_inbox_push(&writer->held, &large->waits);
    /* The steps have more than enough to do. */
    part->budget = 0;
    part->done = true;
    return true;
}

/* Takes the first string off its list. */
static void let_go(shoal_snapshot_writer *writer, shoal_thread *thread)
{
    shoal_large *large = string_of(writer->strings);
    SHOAL_ASSERT(large->pin > 0);
    writer->strings = large->waits.next;
    shoal_store_unpin(thread, large->pin);
    large->pin = 0;
    large->held = 0;
    count_kept(writer, large);
    SHOAL_ASSERT(!large->over || large->kept_counted == 0);
}

/* Takes what others have had held. True where there is something to be written. */
static bool has_strings(shoal_snapshot_writer *writer)
{
    shoal_op **end = &writer->strings;
    SHOAL_ASSERT(!writer->over);
    while (*end != NULL) end = &(*end)->next;
    *end = shoal_inbox_take(&writer->held);
    SHOAL_DEBUG_ASSERT(writer->strings == NULL || string_of(writer->strings)->pin > 0);
    return writer->strings != NULL;
}

/* Writes on at the strings that are held. */
static void write_strings(shoal_snapshot_writer *writer, shoal_thread *thread, uint32_t *budget)
{
    SHOAL_ASSERT(*budget > 0);
    while (writer->strings != NULL && *budget > 0) {
        shoal_large *large = string_of(writer->strings);
        SHOAL_DEBUG_ASSERT(large->pin > 0);
        writer->active = large;
        write_some(writer, large, budget);
        count_kept(writer, large);
        if (large->over) let_go(writer, thread);
    }
}

/* ---- the cut's sink ---- */

/* Writes a key as a whole into a chunk of the thread. */
static void write_whole(shoal_snapshot_writer *writer, shoal_thread *thread,
                        const shoal_snapshot_part *part, const shoal_rdb_key *key)
{
    chunk *mine = take_chunk(writer, thread);
    if (mine == NULL) {
        shoal_store_relaxed(&writer->failed, true);
        return;
    }
    size_t before = shoal_buffer_size(&mine->bytes);
    SHOAL_DEBUG_ASSERT(before < CHUNK_BYTES);
    if (mine->database != SHOAL_PLACE_DB(part->place)) {
        mine->database = SHOAL_PLACE_DB(part->place);
        write_select(writer, mine->database, &mine->bytes);
    }
    if (writer->options.plain) {
        write_command(writer, key, &mine->bytes);
    } else {
        write_heat(writer, thread, part, &mine->bytes);
        shoal_rdb_write_key(&mine->bytes, key, &writer->options.style);
    }
    SHOAL_DEBUG_ASSERT(shoal_buffer_size(&mine->bytes) >= before);
    size_t grown = shoal_buffer_size(&mine->bytes) - before;
    (void)shoal_add_relaxed(&writer->pending, grown);
    (void)shoal_add_relaxed(&writer->keys, 1);
    if (shoal_thread_index(thread) != writer->steps)
        (void)shoal_add_relaxed(&writer->copied,
                                shoal_item_memory(shoal_thread_store(thread), part->item));
    put_chunk(writer, thread, mine);
}

/* Takes off the budget what writing a value as a whole has cost beside one. */
static void spend(const shoal_snapshot_writer *writer, shoal_snapshot_part *part,
                  const shoal_rdb_value *value)
{
    SHOAL_ASSERT(part->done);
    SHOAL_DEBUG_ASSERT(value->type != SHOAL_TYPE_NONE);
    if (part->budget == UINT32_MAX) return;
    size_t bytes = part->object != NULL ? (size_t)part->object->bytes : value->string.size;
    size_t units = bytes / SHOAL_LONG_UNIT_BYTES;
    if (writer->options.style.compress) units *= SHOAL_LONG_SQUEEZE_COST;
    part->budget -= units < part->budget ? (uint32_t)units : part->budget;
}

static void take_part(void *context, shoal_thread *thread, shoal_snapshot_part *part)
{
    shoal_snapshot_writer *writer = context;
    char scratch[SHOAL_INT_TEXT_SIZE];
    SHOAL_DEBUG_ASSERT(!part->done);
    if (shoal_load_relaxed(&writer->failed)) {
        part->done = true;
        return;
    }
    if (part->item == NULL) {
        SHOAL_ASSERT(part->cursor != 0);
        go_on(writer, thread, part, (shoal_large *)(uintptr_t)part->cursor);
        return;
    }
    shoal_rdb_key key = {.name = shoal_item_name(part->item),
                         .value = shoal_dump_value(part->item, scratch),
                         .expires_ms = shoal_item_expires_ms(part->item)};
    /* Of a string that is edited too. */
    if (part->object != NULL) key.value.compound.object = (shoal_object *)(uintptr_t)part->object;
    bool empty = shoal_rdb_is_empty(&key.value, writer->options.style.now_ms);
    shoal_rdb_kind kind;
    if (!empty && goes_in_pieces(writer, part, &key, &kind) &&
        (part->object != NULL ? begin_large(writer, thread, part, &key, kind)
                              : begin_held(writer, thread, part, &key)))
        return;
    part->done = true;
    if (!empty) write_whole(writer, thread, part, &key);
    spend(writer, part, &key.value);
}

/* ---- bytes ---- */

static void give_bytes(shoal_snapshot_writer *writer, shoal_slice bytes)
{
    const shoal_snapshot_options *options = &writer->options;
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    SHOAL_DEBUG_ASSERT(!writer->over);
    if (options->checksum) writer->crc = shoal_crc64_by(&writer->tables, writer->crc, bytes);
    if (bytes.size > 0) options->taker.take(options->taker.context, bytes);
}

static void give_chunk(shoal_snapshot_writer *writer, chunk *full)
{
    shoal_slice bytes = shoal_buffer_slice(&full->bytes);
    SHOAL_ASSERT(!writer->over);
    SHOAL_ASSERT(bytes.size <= shoal_load_relaxed(&writer->pending));
    (void)shoal_sub_relaxed(&writer->pending, bytes.size);
    if (!shoal_load_relaxed(&writer->failed)) give_bytes(writer, bytes);
    free_chunk(writer, full);
}

/* Where the next of a chunk stands. */
static chunk **next_of(chunk *of)
{
    SHOAL_DEBUG_ASSERT(of != NULL);
    _Static_assert(offsetof(chunk, op) == 0, "a chunk begins with its operation");
    return (chunk **)(void *)&of->op.next;
}

/* Whether what a chunk belongs to may be given now, and no other until that is at its end. What
 * writers had to hand out of a large value waits until the steps come to it, or has all come. */
static bool may_begin(const shoal_snapshot_writer *writer, const chunk *first)
{
    SHOAL_DEBUG_ASSERT(first->of != NULL);
    SHOAL_DEBUG_ASSERT(writer->current == NULL);
    return first->of == writer->active || first->of->complete;
}

/* Gives what may be given. True when a large value came to its end, so that others may go on. */
static bool give_waiting(shoal_snapshot_writer *writer)
{
    for (chunk **at = &writer->waiting; *at != NULL;) {
        chunk *full = *at;
        if (writer->current == NULL && full->of != NULL && may_begin(writer, full))
            writer->current = full->of;
        if (full->of != writer->current) {
            at = next_of(full);
            continue;
        }
        bool ended = full->last;
        SHOAL_ASSERT(!ended || full->of->over);
        *at = *next_of(full);
        give_chunk(writer, full);
        if (!ended) continue;
        if (writer->active == writer->current) writer->active = NULL;
        writer->current = NULL;
        return true;
    }
    return false;
}

static void collect_full(shoal_snapshot_writer *writer)
{
    SHOAL_ASSERT(!writer->over);
    chunk **end = &writer->waiting;
    while (*end != NULL) end = next_of(*end);
    *end = (chunk *)shoal_inbox_take(&writer->full);
    for (chunk *come = *end; come != NULL; come = *next_of(come)) {
        SHOAL_DEBUG_ASSERT(shoal_buffer_size(&come->bytes) >= CHUNK_BYTES || come->last);
        if (come->last) come->of->complete = true;
    }
    while (give_waiting(writer)) {
    }
}

/* Frees what nobody will take, behind a failure. */
static void drop_waiting(shoal_snapshot_writer *writer)
{
    chunk *next = writer->waiting;
    writer->waiting = NULL;
    while (next != NULL) {
        chunk *gone = next;
        next = *next_of(gone);
        SHOAL_DEBUG_ASSERT(gone->database < writer->options.databases);
        (void)shoal_sub_relaxed(&writer->pending, shoal_buffer_size(&gone->bytes));
        free_chunk(writer, gone);
    }
}

/* Claim S2: what is still there, and the end. */
static void collect_rest(shoal_snapshot_writer *writer)
{
    SHOAL_ASSERT(!writer->over);
    collect_full(writer);
    SHOAL_ASSERT(writer->waiting == NULL || shoal_load_relaxed(&writer->failed));
    drop_waiting(writer);
    for (uint32_t i = 0; i < writer->threads; i++) {
        /* pair: snapshot.chunk */
        chunk *rest = shoal_exchange_acq_rel(&writer->words[i].chunk, (chunk *)NULL);
        if (rest != NULL) give_chunk(writer, rest);
    }
    SHOAL_ASSERT(shoal_load_relaxed(&writer->pending) == 0);
    writer->over = true;
    if (shoal_load_relaxed(&writer->failed) || writer->options.plain) return;
    shoal_buffer foot = shoal_buffer_make(&writer->allocator);
    shoal_rdb_write_end(&foot, writer->options.checksum ? &writer->crc : NULL);
    if (foot.failed) {
        shoal_store_relaxed(&writer->failed, true);
    } else {
        writer->options.taker.take(writer->options.taker.context, shoal_buffer_slice(&foot));
    }
    shoal_buffer_free(&foot);
}

/* Header, facts, and how much there is of each database. */
static bool write_head(shoal_snapshot_writer *writer, shoal_thread *thread)
{
    const shoal_snapshot_options *options = &writer->options;
    const shoal_store *store = shoal_thread_store(thread);
    shoal_buffer head = shoal_buffer_make(&writer->allocator);
    shoal_rdb_write_header(&head);
    for (uint32_t i = 0; i < options->fact_count; i++) {
        shoal_rdb_write_aux(&head, options->facts[i].name, options->facts[i].value);
    }
    for (uint32_t db = 0; db < options->databases; db++) {
        uint64_t keys = shoal_store_count(store, db);
        if (keys == 0) continue;
        shoal_rdb_write_database(&head, db);
        shoal_rdb_write_sizes(&head, keys, shoal_store_count_volatile(store, db));
    }
    bool whole = !head.failed;
    SHOAL_ASSERT(!options->plain);
    SHOAL_ASSERT(writer->crc == 0);
    if (whole) give_bytes(writer, shoal_buffer_slice(&head));
    shoal_buffer_free(&head);
    return whole;
}

/* ---- life ---- */

shoal_err shoal_snapshot_begin(shoal_thread *thread, const shoal_snapshot_options *options,
                               shoal_snapshot_writer **out)
{
    uint32_t threads = options->threads;
    SHOAL_ASSERT(options->taker.take != NULL);
    SHOAL_ASSERT(options->facts != NULL || options->fact_count == 0);
    SHOAL_ASSERT(options->style.now_ms >= 0);
    SHOAL_ASSERT(shoal_thread_index(thread) < threads);
    SHOAL_ASSERT(options->databases > 0 && options->databases <= 16);
    shoal_snapshot_writer *writer =
        shoal_memory_take_zeroed(&options->allocator, writer_size(threads), SHOAL_SHARING_SIZE);
    if (writer == NULL) return SHOAL_ERR_NO_MEMORY;
    writer->allocator = options->allocator;
    writer->options = *options;
    writer->threads = threads;
    writer->steps = shoal_thread_index(thread);
    writer->thread = thread;
    shoal_crc64_prepare(&writer->tables);
    const shoal_cut_options cut = {.sink = {.take = take_part, .context = writer},
                                   .keeps_expired = options->keeps_expired,
                                   .kept = string_kept};
    shoal_err error = shoal_cut_begin(thread, &cut, &writer->cut);
    if (error != SHOAL_ERR_OK) {
        shoal_memory_give(&options->allocator, writer, writer_size(threads), SHOAL_SHARING_SIZE);
        return error;
    }
    if (!options->plain && !write_head(writer, thread)) shoal_store_relaxed(&writer->failed, true);
    writer->options.facts = NULL;
    *out = writer;
    return SHOAL_ERR_OK;
}

/* Hands out keys, and of strings that are held pieces: true when nothing is left. */
static bool hand_out(shoal_snapshot_writer *writer, shoal_thread *thread, uint32_t budget)
{
    SHOAL_ASSERT(budget > 0);
    SHOAL_ASSERT(!writer->over);
    bool failed = shoal_load_relaxed(&writer->failed);
    /* A large object that the steps have come to is written to its end first (claim S3). */
    bool within = writer->active != NULL && writer->active->value.compound.object != NULL;
    if (has_strings(writer) && (failed || !within)) {
        uint32_t units = budget > CHUNK_UNITS ? budget : CHUNK_UNITS;
        while (failed && writer->strings != NULL) let_go(writer, thread);
        write_strings(writer, thread, &units);
        if (writer->strings != NULL || units == 0) return false;
        if (units < budget) budget = units;
    }
    writer->stepping = true;
    bool over = shoal_cut_step(writer->cut, thread, budget);
    writer->stepping = false;
    return over && !has_strings(writer);
}

shoal_snapshot_state shoal_snapshot_step(shoal_snapshot_writer *writer, shoal_thread *thread,
                                         uint32_t budget)
{
    SHOAL_ASSERT(writer->cut != NULL);
    SHOAL_ASSERT(shoal_thread_index(thread) < writer->threads);
    bool over = writer->over;
    if (shoal_load_relaxed(&writer->failed)) shoal_cut_abort(writer->cut);
    if (!over && budget > 0) over = hand_out(writer, thread, budget);
    if (!over) {
        collect_full(writer);
        return SHOAL_SNAPSHOT_MORE;
    }
    if (!writer->over) collect_rest(writer);
    SHOAL_ASSERT(writer->over);
    if (shoal_load_relaxed(&writer->failed)) return SHOAL_SNAPSHOT_FAILED;
    return SHOAL_SNAPSHOT_DONE;
}

uint64_t shoal_snapshot_pending(const shoal_snapshot_writer *writer)
{
    SHOAL_DEBUG_ASSERT(writer->threads > 0);
    return shoal_load_relaxed(&writer->pending) + shoal_load_relaxed(&writer->kept);
}

uint64_t shoal_snapshot_keys(const shoal_snapshot_writer *writer)
{
    SHOAL_DEBUG_ASSERT(writer->threads > 0);
    return shoal_load_relaxed(&writer->keys);
}

uint64_t shoal_snapshot_copied(const shoal_snapshot_writer *writer)
{
    SHOAL_DEBUG_ASSERT(writer->threads > 0);
    return shoal_load_relaxed(&writer->copied);
}

void shoal_snapshot_abort(shoal_snapshot_writer *writer)
{
    SHOAL_ASSERT(writer->cut != NULL);
    SHOAL_ASSERT(writer->threads > 0);
    shoal_store_relaxed(&writer->failed, true);
    shoal_cut_abort(writer->cut);
}

bool shoal_snapshot_end(shoal_snapshot_writer *writer, shoal_thread *thread)
{
    SHOAL_ASSERT(writer->over);
    SHOAL_ASSERT(writer->cut != NULL);
    if (!shoal_cut_end(writer->cut, thread)) return false;
    writer->cut = NULL;
    shoal_snapshot_drop(writer);
    return true;
}

void shoal_snapshot_drop(shoal_snapshot_writer *writer)
{
    shoal_allocator allocator = writer->allocator;
    for (uint32_t i = 0; i < writer->threads; i++) {
        chunk *rest = shoal_load_relaxed(&writer->words[i].chunk);
        if (rest != NULL) free_chunk(writer, rest);
    }
    for (shoal_op *op = shoal_inbox_take(&writer->full); op != NULL;) {
        chunk *full = (chunk *)op;
        op = op->next;
        free_chunk(writer, full);
    }
    drop_waiting(writer);
    if (!writer->over && has_strings(writer)) {
        while (writer->strings != NULL) let_go(writer, writer->thread);
    }
    for (shoal_op *op = shoal_inbox_take(&writer->larges); op != NULL;) {
        shoal_large *large = (shoal_large *)op;
        op = op->next;
        shoal_large_end(large);
        shoal_memory_give(&allocator, large, sizeof(*large), SHOAL_ALIGN_PLAIN);
    }
    SHOAL_ASSERT(allocator.release != NULL);
    shoal_memory_give(&allocator, writer, writer_size(writer->threads), SHOAL_SHARING_SIZE);
}
