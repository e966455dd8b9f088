/* SPDX-License-Identifier: MIT
 *
 * log/log.c - the stream of effects: segments of memory in a ring of pointers, and one word that
 * says where the next byte goes and for which database the stream stands there.
 *
 * Claims:
 *   L1  Places do not overlap. A piece's bytes are those between the value that its
 *       compare-and-swap on `tail` found and the one that it wrote.
 *   L2  Order. Who reserves under a gate, reserves behind all pieces that were reserved under that
 *       gate before, for the gate's hand-over orders the two exchanges of `tail`.
 *   L3  Committed bytes are there. A writer says a place in `pending` that is not behind the one
 *       that it then reserves, and takes it back, with a release, when its bytes are filled in. A
 *       reader of `committed` looks at `tail` first, with an acquire: of each piece before that it
 *       sees the writer's `pending`, or that it has been taken back, and the bytes with it.
 *   L4  Committed ends between two pieces: it is a value of `tail`, or one that a writer has read
 *       from there.
 *   L5  Nobody waits. The exchange of `tail` is repeated only when another writer's succeeded. A
 *       writer that stalls while it fills in holds back what is committed, not the other writers.
 *   L6  What a reader stands at stays. Segments are freed by the control actor, which has looked at
 *       the place of every reader, and at what is committed, before. A writer may look at a pointer
 *       that is being freed, but fills in only what it has reserved, which lies behind.
 */
#include "log/log.h"

#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "base/text.h"

/* In the tail word: the database, plus one; 0 when the stream's is not known. */
#define DB_BITS 11u
#define DB_MASK (((uint64_t)1 << DB_BITS) - 1)
/* Of a piece that is about no database: the stream's stays what it is. */
#define MARK_KEPT (DB_MASK + 1)
/* Segments that are kept ready. Chosen: what persist syncs at once. */
#define SPARES 8u
/* Where a writer that is not filling in anything stands. */
#define NOWHERE UINT64_MAX
/* Room for a SELECT. */
#define SELECT_SIZE 40u

/* One writer. */
typedef struct log_writer {
    /* writer: its thread, release; reader: any, acquire. pair: log.pending */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic uint64_t pending;
} log_writer;

/* Where a segment hangs. writers: whoever needs one; control takes it away. pair: log.segment */
typedef struct log_home {
    _Atomic(char *) segment;
} log_home;

struct shoal_log {
    shoal_allocator allocator;
    uint32_t writer_count;
    uint32_t segment_bits;
    log_writer *writers;
    shoal_log_reader *readers;
    log_home *homes; /* by number % SHOAL_LOG_SEGMENTS_MAX; made when somebody wants the log first,
                        constant afterwards */
    /* Offset << DB_BITS | database. pair: log.tail */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic uint64_t tail;
    /* What follows changes rarely. */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic uint64_t first; /* writer: control. pair: log.first */
    _Atomic uint32_t wants;                              /* writer: control. pair: log.want */
    _Atomic bool torn;                                   /* any, relaxed */
    _Atomic uint64_t memory;                             /* any, relaxed: a sum */
    _Atomic(char *) spares[SPARES];                      /* any. pair: log.segment */
};

static size_t segment_size(const shoal_log *log)
{
    SHOAL_DEBUG_ASSERT(log->segment_bits >= 12 && log->segment_bits <= 24);
    return (size_t)1 << log->segment_bits;
}

static _Atomic(char *) *segment_of(const shoal_log *log, uint64_t offset)
{
    SHOAL_DEBUG_ASSERT(log->homes != NULL);
    return &log->homes[(offset >> log->segment_bits) % SHOAL_LOG_SEGMENTS_MAX].segment;
}

/* ---- making ---- */

shoal_err shoal_log_create(const shoal_log_options *options, shoal_log **out)
{
    uint32_t bits = options->segment_bits != 0 ? options->segment_bits : 20;
    SHOAL_ASSERT(options->writers >= 1 && options->writers <= SHOAL_LOG_WRITERS_MAX);
    SHOAL_ASSERT(bits >= 12 && bits <= 24 && options->start < SHOAL_LOG_OFFSET_END);
    const shoal_allocator *allocator = &options->allocator;
    shoal_log *log = shoal_memory_take_zeroed(allocator, sizeof *log, SHOAL_SHARING_SIZE);
    if (log == NULL) return SHOAL_ERR_NO_MEMORY;
    log->allocator = *allocator;
    log->writer_count = options->writers;
    log->segment_bits = bits;
    size_t size = options->writers * sizeof(log_writer);
    log->writers = shoal_memory_take_zeroed(allocator, size, SHOAL_SHARING_SIZE);
    if (log->writers == NULL) {
        shoal_memory_give(allocator, log, sizeof *log, SHOAL_SHARING_SIZE);
        return SHOAL_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < options->writers; i++)
        shoal_store_relaxed(&log->writers[i].pending, NOWHERE);
    shoal_store_relaxed(&log->tail, options->start << DB_BITS);
    shoal_store_relaxed(&log->first, options->start);
    *out = log;
    return SHOAL_ERR_OK;
}

void shoal_log_destroy(shoal_log *log)
{
    SHOAL_ASSERT(log->readers == NULL);
    const shoal_allocator allocator = log->allocator;
    for (uint32_t i = 0; log->homes != NULL && i < SHOAL_LOG_SEGMENTS_MAX; i++)
        shoal_memory_give(&allocator, shoal_load_relaxed(&log->homes[i].segment), segment_size(log),
                          SHOAL_ALIGN_PLAIN);
    for (uint32_t i = 0; i < SPARES; i++)
        shoal_memory_give(&allocator, shoal_load_relaxed(&log->spares[i]), segment_size(log),
                          SHOAL_ALIGN_PLAIN);
    shoal_memory_give(&allocator, log->homes, SHOAL_LOG_SEGMENTS_MAX * sizeof(log_home),
                      SHOAL_ALIGN_LINE);
    shoal_memory_give(&allocator, log->writers, log->writer_count * sizeof(log_writer),
                      SHOAL_SHARING_SIZE);
    shoal_memory_give(&allocator, log, sizeof *log, SHOAL_SHARING_SIZE);
}

void shoal_log_want(shoal_log *log, int change)
{
    uint32_t wants = shoal_load_relaxed(&log->wants);
    SHOAL_ASSERT(change == 1 || (change == -1 && wants > 0));
    if (log->homes == NULL) {
        size_t size = SHOAL_LOG_SEGMENTS_MAX * sizeof(log_home);
        log->homes = shoal_memory_take_zeroed(&log->allocator, size, SHOAL_ALIGN_LINE);
        if (log->homes == NULL) {
            shoal_store_relaxed(&log->torn, true);
        } else {
            (void)shoal_add_relaxed(&log->memory, (uint64_t)size);
        }
    }
    shoal_store_release(&log->wants, wants + (uint32_t)change); /* pair: log.want */
}

bool shoal_log_wanted(const shoal_log *log)
{
    SHOAL_DEBUG_ASSERT(log->writer_count > 0);
    return shoal_load_acquire(&log->wants) != 0; /* pair: log.want */
}

/* ---- segments ---- */

/* A segment to be filled: a spare one, or new. NULL without memory. */
static char *take_segment(shoal_log *log)
{
    SHOAL_DEBUG_ASSERT(log->homes != NULL);
    for (uint32_t i = 0; i < SPARES; i++) {
        if (shoal_load_relaxed(&log->spares[i]) == NULL) continue;
        /* pair: log.segment */
        char *spare = shoal_exchange_acquire(&log->spares[i], NULL);
        if (spare != NULL) return spare;
    }
    char *segment = shoal_memory_take(&log->allocator, segment_size(log), SHOAL_ALIGN_PLAIN);
    if (segment != NULL) (void)shoal_add_relaxed(&log->memory, (uint64_t)segment_size(log));
    return segment;
}

static void give_segment(shoal_log *log, char *segment)
{
    SHOAL_DEBUG_ASSERT(segment != NULL);
    for (uint32_t i = 0; i < SPARES; i++) {
        char *none = NULL;
        /* pair: log.segment */
        if (shoal_cas_release(&log->spares[i], &none, segment)) return;
    }
    shoal_memory_give(&log->allocator, segment, segment_size(log), SHOAL_ALIGN_PLAIN);
    (void)shoal_sub_relaxed(&log->memory, (uint64_t)segment_size(log));
}

/* Sees to it that there is memory for [at, end). */
static bool prepare(shoal_log *log, uint64_t at, uint64_t end)
{
    SHOAL_DEBUG_ASSERT(at < end);
    for (uint64_t offset = at; offset < end;
         offset = ((offset >> log->segment_bits) + 1) << log->segment_bits) {
        _Atomic(char *) *home = segment_of(log, offset);
        if (shoal_load_relaxed(home) != NULL) continue;
        char *segment = take_segment(log), *none = NULL;
        if (segment == NULL) return false;
        /* pair: log.segment */
        if (!shoal_cas_release(home, &none, segment)) give_segment(log, segment);
    }
    return true;
}

/* Copies bytes to their place. */
static void fill(const shoal_log *log, uint64_t at, shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(bytes.size == 0 || bytes.data != NULL);
    while (bytes.size > 0) {
        size_t inside = (size_t)(at & (segment_size(log) - 1));
        size_t size = segment_size(log) - inside;
        if (size > bytes.size) size = bytes.size;
        char *segment = shoal_load_acquire(segment_of(log, at)); /* pair: log.segment */
        SHOAL_ASSERT(segment != NULL);
        memcpy(segment + inside, bytes.data, size);
        bytes = (shoal_slice){bytes.data + size, bytes.size - size};
        at += size;
    }
}

/* ---- writing ---- */

/* Bytes of what follows. */
static uint64_t select_size(uint32_t db)
{
    SHOAL_DEBUG_ASSERT(db < 1000);
    return sizeof "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n" - 1 + (db >= 10) + (db >= 100);
}

/* The text that makes `db` the stream's database. */
static shoal_slice select_text(uint32_t db, char text[SELECT_SIZE])
{
    SHOAL_ASSERT(db < 1000);
    static const char head[] = "*2\r\n$6\r\nSELECT\r\n$";
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    size_t count = shoal_text_from_u64(digits, db);
    size_t size = sizeof head - 1;
    memcpy(text, head, size);
    text[size++] = (char)('0' + count);
    memcpy(text + size, "\r\n", 2);
    memcpy(text + size + 2, digits, count);
    memcpy(text + size + 2 + count, "\r\n", 2);
    return (shoal_slice){text, size + count + 4};
}

/* What is to be reserved. */
typedef struct claim {
    uint64_t size;   /* without the SELECT */
    uint64_t mark;   /* of the database, as in the tail word, or MARK_KEPT */
    uint64_t select; /* bytes of a SELECT, if there must be one */
    uint64_t at;     /* out: where it begins */
    bool selects;    /* out: with a SELECT */
} claim;

/* Reserves a place. False when there is none. */
static bool reserve(shoal_log *log, log_writer *writer, claim *place)
{
    uint64_t word = shoal_load_relaxed(&log->tail);
    SHOAL_ASSERT(shoal_load_relaxed(&writer->pending) == NOWHERE);
    for (;;) {
        place->at = word >> DB_BITS;
        place->selects = place->select != 0 && (word & DB_MASK) != place->mark;
        uint64_t end = place->at + place->size + (place->selects ? place->select : 0);
        uint64_t room = (uint64_t)(SHOAL_LOG_SEGMENTS_MAX - 2) << log->segment_bits;
        uint64_t first = shoal_load_acquire(&log->first); /* pair: log.first */
        if (place->at < first) {
            /* Others have gone on, and what they wrote here has been let go of: who sees the new
             * beginning sees an end that is not before it. */
            word = shoal_load_relaxed(&log->tail);
            continue;
        }
        if (end >= SHOAL_LOG_OFFSET_END || end - first > room || !prepare(log, place->at, end))
            return false;
        shoal_store_relaxed(&writer->pending, place->at);
        uint64_t mark = place->mark != MARK_KEPT ? place->mark : word & DB_MASK;
        /* pair: log.tail */
        if (shoal_cas_acq_rel(&log->tail, &word, end << DB_BITS | mark)) return true;
    }
}

/* Reserves a place in the segment in which the stream stands, where nothing but the end moves: it
 * is for the same database, and there is memory (a byte before it is in the same segment, so there
 * was room too). Returns where the bytes go, or NULL: then it is for reserve. */
static char *reserve_quick(shoal_log *log, log_writer *writer, claim *place)
{
    uint64_t word = shoal_load_acquire(&log->tail); /* pair: log.tail */
    size_t inside = (size_t)((word >> DB_BITS) & (segment_size(log) - 1));
    bool same = (word & DB_MASK) == place->mark;
    if (!same || inside == 0 || place->size >= segment_size(log) - inside) return NULL;
    place->at = word >> DB_BITS;
    char *segment = shoal_load_acquire(segment_of(log, place->at)); /* pair: log.segment */
    if (segment == NULL) return NULL;
    SHOAL_ASSERT(shoal_load_relaxed(&writer->pending) == NOWHERE);
    shoal_store_relaxed(&writer->pending, place->at);
    uint64_t end = word + (place->size << DB_BITS);
    if (shoal_cas_acq_rel(&log->tail, &word, end)) return segment + inside; /* pair: log.tail */
    shoal_store_release(&writer->pending, NOWHERE);                         /* pair: log.pending */
    return NULL;
}

/* The piece is lost. */
static uint64_t tear(shoal_log *log, log_writer *writer)
{
    SHOAL_DEBUG_ASSERT(writer >= log->writers && writer < log->writers + log->writer_count);
    shoal_store_release(&writer->pending, NOWHERE); /* pair: log.pending */
    shoal_store_relaxed(&log->torn, true);
    return 0;
}

/* The same as shoal_log_append, wherever the stream stands. */
static uint64_t append_slow(shoal_log *log, log_writer *me, uint32_t db, const shoal_slice *slices,
                            uint32_t count)
{
    bool any = db == SHOAL_LOG_DB_ANY;
    claim place = {.mark = any ? MARK_KEPT : (uint64_t)db + 1, .select = any ? 0 : select_size(db)};
    for (uint32_t i = 0; i < count; i++) place.size += slices[i].size;
    SHOAL_ASSERT(place.size > 0);
    if (!reserve(log, me, &place)) return tear(log, me);
    uint64_t at = place.at;
    if (place.selects) {
        char text[SELECT_SIZE];
        shoal_slice select = select_text(db, text);
        SHOAL_ASSERT(select.size == place.select);
        fill(log, at, select);
        at += select.size;
    }
    for (uint32_t i = 0; i < count; i++) {
        fill(log, at, slices[i]);
        at += slices[i].size;
    }
    shoal_store_release(&me->pending, NOWHERE); /* pair: log.pending */
    return at;
}

uint64_t shoal_log_append(shoal_log *log, uint32_t writer, uint32_t db, const shoal_slice *slices,
                          uint32_t count)
{
    SHOAL_ASSERT(writer < log->writer_count && count > 0);
    log_writer *me = &log->writers[writer];
    claim place = {.mark = (uint64_t)db + 1};
    for (uint32_t i = 0; i < count; i++) place.size += slices[i].size;
    SHOAL_ASSERT(place.size > 0);
    if (shoal_load_relaxed(&log->torn)) return tear(log, me);
    char *to = reserve_quick(log, me, &place);
    if (__builtin_expect(to == NULL, 0)) return append_slow(log, me, db, slices, count);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(to, slices[i].data, slices[i].size);
        to += slices[i].size;
    }
    shoal_store_release(&me->pending, NOWHERE); /* pair: log.pending */
    return place.at + place.size;
}

uint64_t shoal_log_append_raw(shoal_log *log, uint32_t writer, shoal_slice bytes)
{
    SHOAL_ASSERT(writer < log->writer_count && bytes.size > 0);
    log_writer *me = &log->writers[writer];
    claim place = {.size = bytes.size};
    if (shoal_load_relaxed(&log->torn) || !reserve(log, me, &place)) return tear(log, me);
    fill(log, place.at, bytes);
    shoal_store_release(&me->pending, NOWHERE); /* pair: log.pending */
    return place.at + bytes.size;
}

void shoal_log_forget_database(shoal_log *log)
{
    SHOAL_DEBUG_ASSERT(log->writer_count > 0);
    (void)shoal_and_acq_rel(&log->tail, ~DB_MASK); /* pair: log.tail */
}

/* ---- how far it is ---- */

uint64_t shoal_log_end(const shoal_log *log)
{
    SHOAL_DEBUG_ASSERT(log->writer_count > 0);
    return shoal_load_relaxed(&log->tail) >> DB_BITS;
}

uint64_t shoal_log_committed(const shoal_log *log)
{
    uint64_t committed = shoal_load_acquire(&log->tail) >> DB_BITS; /* pair: log.tail */
    SHOAL_DEBUG_ASSERT(committed < SHOAL_LOG_OFFSET_END);
    for (uint32_t i = 0; i < log->writer_count; i++) {
        uint64_t pending = shoal_load_acquire(&log->writers[i].pending); /* pair: log.pending */
        if (pending < committed) committed = pending;
    }
    return committed;
}

uint64_t shoal_log_first(const shoal_log *log)
{
    SHOAL_DEBUG_ASSERT(log->writer_count > 0);
    return shoal_load_relaxed(&log->first);
}

void shoal_log_tear(shoal_log *log)
{
    SHOAL_ASSERT(log->writer_count > 0);
    shoal_store_relaxed(&log->torn, true);
}

bool shoal_log_torn(const shoal_log *log)
{
    SHOAL_DEBUG_ASSERT(log->writer_count > 0);
    return shoal_load_relaxed(&log->torn);
}

/* Takes the segments that lie wholly in [from, end) away. */
static void drop(shoal_log *log, uint64_t from, uint64_t end)
{
    SHOAL_DEBUG_ASSERT(from <= end);
    if (log->homes == NULL) return;
    for (uint64_t i = from >> log->segment_bits; i < end >> log->segment_bits; i++) {
        _Atomic(char *) *home = &log->homes[i % SHOAL_LOG_SEGMENTS_MAX].segment;
        char *segment = shoal_exchange_acquire(home, NULL); /* pair: log.segment */
        if (segment != NULL) give_segment(log, segment);
    }
}

void shoal_log_restart(shoal_log *log, uint64_t offset, bool keep)
{
    uint64_t end = shoal_log_end(log), first = shoal_load_relaxed(&log->first);
    SHOAL_ASSERT(offset < SHOAL_LOG_OFFSET_END);
    SHOAL_ASSERT(shoal_log_committed(log) == end);
    bool kept = keep && offset == end && !shoal_load_relaxed(&log->torn);
    if (!kept) {
        drop(log, first, end + segment_size(log)); /* with the segment that is being filled */
        shoal_store_release(&log->first, offset);  /* pair: log.first */
    }
    (void)shoal_exchange_acq_rel(&log->tail, offset << DB_BITS); /* pair: log.tail */
    shoal_store_relaxed(&log->torn, log->homes == NULL && shoal_load_relaxed(&log->wants) != 0);
    for (shoal_log_reader *each = log->readers; each != NULL; each = each->next)
        shoal_store_release(&each->at, offset); /* pair: log.reader */
}

/* ---- reading ---- */

bool shoal_log_reader_open(shoal_log *log, shoal_log_reader *reader, uint64_t from)
{
    SHOAL_ASSERT(reader->next == NULL && reader->previous == NULL && log->readers != reader);
    if (from < shoal_load_relaxed(&log->first) || from > shoal_log_end(log)) return false;
    shoal_store_release(&reader->at, from); /* pair: log.reader */
    reader->next = log->readers;
    if (reader->next != NULL) reader->next->previous = reader;
    log->readers = reader;
    return true;
}

void shoal_log_reader_close(shoal_log *log, shoal_log_reader *reader)
{
    SHOAL_ASSERT(reader->previous != NULL || log->readers == reader);
    if (reader->next != NULL) reader->next->previous = reader->previous;
    if (reader->previous != NULL) {
        reader->previous->next = reader->next;
    } else {
        log->readers = reader->next;
    }
    reader->next = reader->previous = NULL;
}

shoal_slice shoal_log_peek(const shoal_log *log, const shoal_log_reader *reader, uint64_t until)
{
    uint64_t at = shoal_load_relaxed(&reader->at);
    SHOAL_DEBUG_ASSERT(until <= shoal_log_end(log));
    if (until <= at) return (shoal_slice){0};
    size_t inside = (size_t)(at & (segment_size(log) - 1));
    size_t size = segment_size(log) - inside;
    if (size > until - at) size = (size_t)(until - at);
    const char *segment = shoal_load_acquire(segment_of(log, at)); /* pair: log.segment */
    SHOAL_ASSERT(segment != NULL);
    return (shoal_slice){segment + inside, size};
}

void shoal_log_skip(shoal_log_reader *reader, uint64_t size)
{
    uint64_t at = shoal_load_relaxed(&reader->at);
    SHOAL_DEBUG_ASSERT(at + size < SHOAL_LOG_OFFSET_END);
    shoal_store_release(&reader->at, at + size); /* pair: log.reader */
}

uint64_t shoal_log_at(const shoal_log_reader *reader)
{
    return shoal_load_acquire(&reader->at); /* pair: log.reader */
}

uint64_t shoal_log_trim(shoal_log *log, uint64_t backlog)
{
    uint64_t end = shoal_log_committed(log), low = end > backlog ? end - backlog : 0;
    uint64_t first = shoal_load_relaxed(&log->first);
    SHOAL_ASSERT(first <= shoal_log_end(log));
    for (const shoal_log_reader *each = log->readers; each != NULL; each = each->next) {
        uint64_t at = shoal_log_at(each);
        if (at < low) low = at;
    }
    low = low >> log->segment_bits << log->segment_bits;
    if (low > first) {
        drop(log, first, low);
        shoal_store_release(&log->first, low); /* pair: log.first */
    }
    return shoal_log_memory(log);
}

uint64_t shoal_log_memory(const shoal_log *log)
{
    SHOAL_DEBUG_ASSERT(log->writer_count > 0);
    return shoal_load_relaxed(&log->memory);
}
