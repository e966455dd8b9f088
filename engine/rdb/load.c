/* SPDX-License-Identifier: MIT
 *
 * rdb/load.c - making values of bytes. A value is read in units: its head, then an element, a
 * pair, a node of a list, or everything that is packed into one string. Between two units nothing
 * is held but what has been made so far, so values of any size can be read as their bytes arrive.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/number.h"
#include "base/text.h"
#include "rdb/crc64.h"
#include "rdb/internal.h"

/* Where a loader is. */
enum { PHASE_NONE, PHASE_HEAD, PHASE_UNITS, PHASE_DONE };

/* How the content of a kind is laid out. */
typedef enum layout {
    LAYOUT_UNKNOWN,
    LAYOUT_STRING,
    LAYOUT_ELEMENTS, /* a count, and so many strings */
    LAYOUT_PAIRS,    /* a count, and so many pairs of strings */
    LAYOUT_DATED,    /* the same, each with a deadline in front */
    LAYOUT_SCORED,   /* a count, and so many strings with a double */
    LAYOUT_SCORED_TEXT,
    LAYOUT_NODES, /* a count, and so many nodes */
    LAYOUT_PACKED /* one string, packed in `form` */
} layout;

/* One kind. */
typedef struct kind_row {
    uint8_t layout, type, form;
    bool dated;    /* packed: each pair has a deadline */
    bool earliest; /* in front: what the deadlines are counted from */
} kind_row;

static const kind_row kinds[] = {
    [SHOAL_RDB_STRING] = {LAYOUT_STRING, SHOAL_TYPE_STRING},
    [SHOAL_RDB_LIST] = {LAYOUT_ELEMENTS, SHOAL_TYPE_LIST},
    [SHOAL_RDB_SET] = {LAYOUT_ELEMENTS, SHOAL_TYPE_SET},
    [SHOAL_RDB_ZSET] = {LAYOUT_SCORED_TEXT, SHOAL_TYPE_ZSET},
    [SHOAL_RDB_HASH] = {LAYOUT_PAIRS, SHOAL_TYPE_HASH},
    [SHOAL_RDB_ZSET_2] = {LAYOUT_SCORED, SHOAL_TYPE_ZSET},
    [SHOAL_RDB_HASH_ZIPMAP] = {LAYOUT_PACKED, SHOAL_TYPE_HASH, SHOAL_RDB__ZIPMAP},
    [SHOAL_RDB_LIST_ZIPLIST] = {LAYOUT_PACKED, SHOAL_TYPE_LIST, SHOAL_RDB__ZIPLIST},
    [SHOAL_RDB_SET_INTSET] = {LAYOUT_PACKED, SHOAL_TYPE_SET, SHOAL_RDB__INTSET},
    [SHOAL_RDB_ZSET_ZIPLIST] = {LAYOUT_PACKED, SHOAL_TYPE_ZSET, SHOAL_RDB__ZIPLIST},
    [SHOAL_RDB_HASH_ZIPLIST] = {LAYOUT_PACKED, SHOAL_TYPE_HASH, SHOAL_RDB__ZIPLIST},
    [SHOAL_RDB_LIST_QUICKLIST] = {LAYOUT_NODES, SHOAL_TYPE_LIST, SHOAL_RDB__ZIPLIST},
    [SHOAL_RDB_HASH_LISTPACK] = {LAYOUT_PACKED, SHOAL_TYPE_HASH, SHOAL_RDB__LISTPACK},
    [SHOAL_RDB_ZSET_LISTPACK] = {LAYOUT_PACKED, SHOAL_TYPE_ZSET, SHOAL_RDB__LISTPACK},
    [SHOAL_RDB_LIST_QUICKLIST_2] = {LAYOUT_NODES, SHOAL_TYPE_LIST, SHOAL_RDB__LISTPACK},
    [SHOAL_RDB_SET_LISTPACK] = {LAYOUT_PACKED, SHOAL_TYPE_SET, SHOAL_RDB__LISTPACK},
    [SHOAL_RDB_HASH_FIELDS_EARLY] = {LAYOUT_DATED, SHOAL_TYPE_HASH},
    [SHOAL_RDB_HASH_LISTPACK_EARLY] = {LAYOUT_PACKED, SHOAL_TYPE_HASH, SHOAL_RDB__LISTPACK, true},
    [SHOAL_RDB_HASH_FIELDS] = {LAYOUT_DATED, SHOAL_TYPE_HASH, 0, false, true},
    [SHOAL_RDB_HASH_LISTPACK_FIELDS] = {LAYOUT_PACKED, SHOAL_TYPE_HASH, SHOAL_RDB__LISTPACK, true,
                                        true},
};

/* ---- making values ---- */

static shoal_rdb_status of_error(shoal_err error)
{
    SHOAL_ASSERT(error == SHOAL_ERR_OK || error == SHOAL_ERR_NO_MEMORY);
    return error == SHOAL_ERR_OK ? SHOAL_RDB_OK : SHOAL_RDB_NO_MEMORY;
}

static void begin_value(shoal_rdb_loader *loader)
{
    const shoal_compound nothing = {.object = NULL};
    SHOAL_ASSERT(!loader->owns && loader->account.bytes == 0);
    if (loader->type == SHOAL_TYPE_LIST) {
        loader->list.list = NULL;
        loader->list.count = 0;
        loader->list.size = SHOAL_PACK_HEAD;
    } else if (loader->type == SHOAL_TYPE_ZSET) {
        loader->zset.account = &loader->account;
        loader->zset.prng = loader->prng;
        loader->zset.limits = loader->limits.zset;
        shoal_zset_edit_begin(&loader->zset, &nothing);
        loader->zset.scratch = true;
    } else if (loader->type != SHOAL_TYPE_STRING) {
        bool hash = loader->type == SHOAL_TYPE_HASH;
        shoal_draft_options options = {.type = loader->type,
                                       .limits = hash ? loader->limits.hash : loader->limits.set,
                                       .account = &loader->account,
                                       .prng = loader->prng};
        shoal_draft_begin(&loader->draft, &options, &nothing);
    }
}

static shoal_rdb_status push(shoal_rdb_loader *loader, const shoal_element *element)
{
    shoal_rdb__list *made = &loader->list;
    shoal_list_edit edit = {made->list, &loader->account, loader->limits.list};
    SHOAL_DEBUG_ASSERT(loader->type == SHOAL_TYPE_LIST);
    if (made->list == NULL) {
        size_t size = made->size + shoal_pack_size_of(element);
        if (shoal_list_fits_pack(edit.limits, size, made->count + 1)) {
            (void)shoal_pack_write(made->pack + made->size, element);
            made->size = (uint32_t)size;
            made->count++;
            return SHOAL_RDB_OK;
        }
        made->list = edit.list = shoal_list_make(&loader->account);
        if (made->list == NULL) return SHOAL_RDB_NO_MEMORY;
        loader->owns = true;
        shoal_pack_write_head(made->pack, made->count);
        shoal_err err = shoal_list_append_pack(&edit, (shoal_slice){made->pack, made->size});
        if (err != SHOAL_ERR_OK) return of_error(err);
    }
    return of_error(shoal_list_push(&edit, SHOAL_LIST_TAIL, element));
}

/* The same name a second time: words that who watches Redis's log looks for. */
static shoal_rdb_status bad_twice(const shoal_rdb_loader *loader, shoal_rdb__reader *reader)
{
    static const char *const words[4][3] = {
        {"a set with a member twice", "a sorted set with a member twice",
         "a hash with a field twice"},
        {"Set listpack with dup elements", "Zset listpack with dup elements",
         "Hash listpack with dup elements"},
        {"Set ziplist integrity check failed: a member twice",
         "Zset ziplist integrity check failed: a member twice",
         "Hash ziplist integrity check failed: a field twice"},
        {"Intset integrity check failed: a member twice", "a sorted set with a member twice",
         "Zipmap integrity check failed: a field twice"},
    };
    uint32_t form = 0, type = loader->type == SHOAL_TYPE_SET ? 0 : 2;
    SHOAL_DEBUG_ASSERT(loader->type != SHOAL_TYPE_LIST);
    if (loader->type == SHOAL_TYPE_ZSET) type = 1;
    if (kinds[loader->kind].layout == LAYOUT_PACKED) {
        uint8_t kept = kinds[loader->kind].form;
        form = kept == SHOAL_RDB__LISTPACK ? 1 : kept == SHOAL_RDB__ZIPLIST ? 2 : 3;
    }
    return shoal_rdb__bad(reader, words[form][type]);
}

/* An element of a list or set. */
static shoal_rdb_status add_element(shoal_rdb_loader *loader, shoal_rdb__reader *reader,
                                    const shoal_element *element)
{
    if (loader->type == SHOAL_TYPE_LIST) return push(loader, element);
    shoal_table_entry entry = {.name = *element, .deadline_ms = -1};
    bool added;
    SHOAL_DEBUG_ASSERT(loader->type == SHOAL_TYPE_SET);
    shoal_err err = shoal_draft_put(&loader->draft, &entry, &added);
    if (err == SHOAL_ERR_OK && !added) return bad_twice(loader, reader);
    return of_error(err);
}

static shoal_rdb_status add_field(shoal_rdb_loader *loader, shoal_rdb__reader *reader,
                                  const shoal_table_entry *entry)
{
    bool added;
    SHOAL_DEBUG_ASSERT(loader->type == SHOAL_TYPE_HASH);
    shoal_err err = shoal_draft_put(&loader->draft, entry, &added);
    if (err == SHOAL_ERR_OK && !added) return bad_twice(loader, reader);
    return of_error(err);
}

static shoal_rdb_status add_scored(shoal_rdb_loader *loader, shoal_rdb__reader *reader,
                                   shoal_slice member, double score)
{
    shoal_zset_spot spot;
    SHOAL_DEBUG_ASSERT(loader->type == SHOAL_TYPE_ZSET);
    if (score != score) return shoal_rdb__bad(reader, "a score that is not a number");
    shoal_zset_edit_find(&loader->zset, member, &spot);
    if (spot.found) return bad_twice(loader, reader);
    return of_error(shoal_zset_edit_put(&loader->zset, member, &spot, score));
}

/* ---- packed values ---- */

/* A deadline as it is kept: 0 for none, else one more than what it is behind the earliest. */
static bool to_deadline(const shoal_rdb_loader *loader, int64_t kept, int64_t *out)
{
    int64_t from = kinds[loader->kind].earliest ? loader->earliest_ms - 1 : 0;
    SHOAL_DEBUG_ASSERT(loader->earliest_ms >= 0);
    if (kept < 0) return false;
    if (kept == 0) {
        *out = -1;
        return true;
    }
    if (__builtin_add_overflow(from, kept, out)) return false;
    if (*out > SHOAL_TABLE_DEADLINE_MAX) *out = SHOAL_TABLE_DEADLINE_MAX;
    return *out >= 0;
}

/* What is wrong with something packed: words that who watches Redis's log looks for. */
static const char *damage_of(const shoal_rdb_loader *loader)
{
    static const char *const words[2][3] = {
        {"Quicklist listpack integrity check failed", "Zset listpack integrity check failed",
         "Hash listpack integrity check failed"},
        {"Quicklist ziplist integrity check failed", "Zset ziplist integrity check failed",
         "Hash ziplist integrity check failed"},
    };
    uint8_t form = kinds[loader->kind].form;
    SHOAL_DEBUG_ASSERT(loader->type != SHOAL_TYPE_STRING);
    if (form == SHOAL_RDB__ZIPMAP) return "Zipmap integrity check failed";
    if (form == SHOAL_RDB__INTSET) return "Intset integrity check failed";
    if (loader->type == SHOAL_TYPE_SET) return "Set listpack integrity check failed";
    uint32_t type = loader->type == SHOAL_TYPE_LIST ? 0 : loader->type == SHOAL_TYPE_ZSET ? 1 : 2;
    return words[form == SHOAL_RDB__ZIPLIST][type];
}

/* The next element behind a name, which must be there. */
static shoal_rdb_status next_of_entry(const shoal_rdb_loader *loader, shoal_rdb__run *run,
                                      shoal_rdb__reader *reader, shoal_element *out)
{
    SHOAL_DEBUG_ASSERT(run->count > 0);
    if (shoal_rdb__run_next(run, out) == SHOAL_RDB_OK) return SHOAL_RDB_OK;
    return shoal_rdb__bad(reader, damage_of(loader));
}

static shoal_rdb_status unpack_field(shoal_rdb_loader *loader, shoal_rdb__reader *reader,
                                     shoal_rdb__run *run, const shoal_element *name)
{
    shoal_table_entry entry = {.name = *name, .deadline_ms = -1};
    shoal_rdb_status status = next_of_entry(loader, run, reader, &entry.value);
    SHOAL_DEBUG_ASSERT(name->kind != SHOAL_ELEMENT_DOUBLE);
    if (status == SHOAL_RDB_OK && kinds[loader->kind].dated) {
        shoal_element kept;
        status = next_of_entry(loader, run, reader, &kept);
        if (status == SHOAL_RDB_OK && (kept.kind != SHOAL_ELEMENT_INTEGER ||
                                       !to_deadline(loader, kept.integer, &entry.deadline_ms)))
            return shoal_rdb__bad(reader, "a field with an impossible deadline");
    }
    return status == SHOAL_RDB_OK ? add_field(loader, reader, &entry) : status;
}

static shoal_rdb_status unpack_scored(shoal_rdb_loader *loader, shoal_rdb__reader *reader,
                                      shoal_rdb__run *run, const shoal_element *name)
{
    shoal_element kept;
    double score;
    shoal_rdb_status status = next_of_entry(loader, run, reader, &kept);
    if (status != SHOAL_RDB_OK) return status;
    if (kept.kind == SHOAL_ELEMENT_INTEGER) {
        score = (double)kept.integer;
    } else if (shoal_number_to_double(kept.bytes, &score) == SHOAL_NUMBER_NONE) {
        return shoal_rdb__bad(reader, "a score that is not a number");
    }
    char scratch[32];
    SHOAL_DEBUG_ASSERT(name->kind != SHOAL_ELEMENT_DOUBLE);
    return add_scored(loader, reader, shoal_element_text(name, scratch), score);
}

/* Adds everything that is packed into `bytes`. */
static shoal_rdb_status unpack(shoal_rdb_loader *loader, shoal_rdb__reader *reader,
                               shoal_slice bytes)
{
    shoal_rdb__run run;
    shoal_rdb_status status = SHOAL_RDB_BAD;
    shoal_element element;
    SHOAL_ASSERT(loader->phase == PHASE_UNITS);
    if (shoal_rdb__run_open(&run, kinds[loader->kind].form, bytes)) {
        while ((status = shoal_rdb__run_next(&run, &element)) == SHOAL_RDB_OK) {
            switch (loader->type) {
            case SHOAL_TYPE_HASH: status = unpack_field(loader, reader, &run, &element); break;
            case SHOAL_TYPE_ZSET: status = unpack_scored(loader, reader, &run, &element); break;
            default: status = add_element(loader, reader, &element);
            }
            if (status != SHOAL_RDB_OK) return status;
        }
    }
    if (status == SHOAL_RDB_EMPTY) return SHOAL_RDB_OK;
    return shoal_rdb__bad(reader, damage_of(loader));
}

/* ---- units ---- */

static shoal_rdb_status read_head(shoal_rdb_loader *loader, shoal_rdb__reader *reader)
{
    kind_row row = kinds[loader->kind];
    shoal_rdb_status status = SHOAL_RDB_OK;
    uint64_t earliest = 0;
    loader->left = 1;
    SHOAL_DEBUG_ASSERT(row.layout != LAYOUT_UNKNOWN);
    if (row.earliest) status = shoal_rdb__read_le64(reader, &earliest);
    if (status == SHOAL_RDB_OK && row.layout != LAYOUT_STRING && row.layout != LAYOUT_PACKED)
        status = shoal_rdb__read_length(reader, &loader->left);
    if (status != SHOAL_RDB_OK) return status;
    if (earliest > SHOAL_TABLE_DEADLINE_MAX)
        return shoal_rdb__bad(reader, "a field with an impossible deadline");
    loader->earliest_ms = (int64_t)earliest;
    loader->phase = PHASE_UNITS;
    return SHOAL_RDB_OK;
}

static shoal_rdb_status read_field(shoal_rdb_loader *loader, shoal_rdb__reader *reader, bool dated)
{
    shoal_table_entry entry = {.deadline_ms = -1};
    shoal_slice name, value;
    uint64_t kept = 0;
    shoal_rdb_status status = SHOAL_RDB_OK;
    if (dated) status = shoal_rdb__read_length(reader, &kept);
    if (status == SHOAL_RDB_OK) status = shoal_rdb__read_string(reader, &loader->scratch[0], &name);
    if (status == SHOAL_RDB_OK)
        status = shoal_rdb__read_string(reader, &loader->scratch[1], &value);
    if (status != SHOAL_RDB_OK) return status;
    if (kept > INT64_MAX || !to_deadline(loader, (int64_t)kept, &entry.deadline_ms))
        return shoal_rdb__bad(reader, "a field with an impossible deadline");
    SHOAL_DEBUG_ASSERT(loader->type == SHOAL_TYPE_HASH);
    entry.name = shoal_element_of(name);
    entry.value = shoal_element_of(value);
    return add_field(loader, reader, &entry);
}

static shoal_rdb_status read_scored(shoal_rdb_loader *loader, shoal_rdb__reader *reader, bool text)
{
    shoal_slice member;
    double score = 0;
    uint64_t bits;
    shoal_rdb_status status = shoal_rdb__read_string(reader, &loader->scratch[0], &member);
    if (status != SHOAL_RDB_OK) return status;
    SHOAL_DEBUG_ASSERT(loader->type == SHOAL_TYPE_ZSET);
    if (text) {
        status = shoal_rdb__read_score_text(reader, &score);
    } else {
        status = shoal_rdb__read_le64(reader, &bits);
        if (status == SHOAL_RDB_OK) memcpy(&score, &bits, sizeof(score));
    }
    return status == SHOAL_RDB_OK ? add_scored(loader, reader, member, score) : status;
}

/* A node of a list: packed, or a single element as it is. */
static shoal_rdb_status read_node(shoal_rdb_loader *loader, shoal_rdb__reader *reader)
{
    uint64_t container = SHOAL_RDB__NODE_PACKED;
    shoal_slice bytes;
    shoal_rdb_status status = SHOAL_RDB_OK;
    if (loader->kind == SHOAL_RDB_LIST_QUICKLIST_2)
        status = shoal_rdb__read_length(reader, &container);
    if (status == SHOAL_RDB_OK && container != SHOAL_RDB__NODE_PLAIN &&
        container != SHOAL_RDB__NODE_PACKED)
        return shoal_rdb__bad(reader, "a list with an unknown kind of node");
    if (status == SHOAL_RDB_OK)
        status = shoal_rdb__read_string(reader, &loader->scratch[0], &bytes);
    if (status != SHOAL_RDB_OK) return status;
    SHOAL_DEBUG_ASSERT(loader->type == SHOAL_TYPE_LIST);
    if (container == SHOAL_RDB__NODE_PACKED) return unpack(loader, reader, bytes);
    if (bytes.size == 0) return shoal_rdb__bad(reader, "a list with an empty node");
    shoal_element element = shoal_element_of(bytes);
    return push(loader, &element);
}

/* One string, and what it is. */
static shoal_rdb_status read_one(shoal_rdb_loader *loader, shoal_rdb__reader *reader, uint32_t how)
{
    shoal_slice bytes;
    shoal_rdb_status status = shoal_rdb__read_string(reader, &loader->scratch[0], &bytes);
    if (status != SHOAL_RDB_OK) return status;
    SHOAL_DEBUG_ASSERT(bytes.data != NULL);
    if (how == LAYOUT_PACKED) return unpack(loader, reader, bytes);
    if (how == LAYOUT_STRING) {
        loader->string = bytes;
        return SHOAL_RDB_OK;
    }
    shoal_element element = shoal_element_of(bytes);
    return add_element(loader, reader, &element);
}

static shoal_rdb_status read_unit(shoal_rdb_loader *loader, shoal_rdb__reader *reader)
{
    uint32_t how = kinds[loader->kind].layout;
    SHOAL_DEBUG_ASSERT(loader->phase == PHASE_UNITS && loader->left > 0);
    switch (how) {
    case LAYOUT_PAIRS: return read_field(loader, reader, false);
    case LAYOUT_DATED: return read_field(loader, reader, true);
    case LAYOUT_SCORED: return read_scored(loader, reader, false);
    case LAYOUT_SCORED_TEXT: return read_scored(loader, reader, true);
    case LAYOUT_NODES: return read_node(loader, reader);
    default: return read_one(loader, reader, how);
    }
}

/* What the parts own belongs to the loader, whatever the type. */
static void note_owner(shoal_rdb_loader *loader)
{
    SHOAL_DEBUG_ASSERT(loader->type != SHOAL_TYPE_NONE);
    if (loader->type == SHOAL_TYPE_ZSET) loader->owns = loader->zset.made;
    if (loader->type == SHOAL_TYPE_SET || loader->type == SHOAL_TYPE_HASH)
        loader->owns = loader->draft.made;
}

/* All units are there. */
static shoal_rdb_status finish(shoal_rdb_loader *loader)
{
    SHOAL_ASSERT(loader->left == 0);
    loader->phase = PHASE_DONE;
    if (loader->type == SHOAL_TYPE_STRING) return SHOAL_RDB_OK;
    if (loader->type == SHOAL_TYPE_ZSET) shoal_zset_edit_settle(&loader->zset);
    shoal_compound value = shoal_rdb_loader_value(loader).compound;
    if (value.object != NULL || value.pack.data != NULL) return SHOAL_RDB_OK;
    loader->reason = "an empty value";
    return SHOAL_RDB_EMPTY;
}

/* ---- the loader ---- */

void shoal_rdb_loader_open(shoal_rdb_loader *loader, const shoal_allocator *allocator,
                           const shoal_allocator *objects, shoal_prng *prng)
{
    SHOAL_ASSERT(allocator != NULL && objects != NULL);
    memset(loader, 0, offsetof(shoal_rdb_loader, draft));
    loader->account.allocator = objects;
    loader->prng = prng;
    loader->scratch[0] = shoal_buffer_make(allocator);
    loader->scratch[1] = shoal_buffer_make(allocator);
}

void shoal_rdb_loader_drop(shoal_rdb_loader *loader)
{
    if (loader->phase != PHASE_NONE) note_owner(loader);
    if (loader->owns) {
        if (loader->type == SHOAL_TYPE_LIST) {
            shoal_object_free(shoal_list_object(loader->list.list), &loader->account);
        } else if (loader->type == SHOAL_TYPE_ZSET) {
            shoal_zset_edit_drop(&loader->zset);
        } else {
            shoal_draft_drop(&loader->draft);
        }
    }
    loader->owns = false;
    loader->phase = PHASE_NONE;
    SHOAL_ASSERT(loader->account.bytes == 0);
}

void shoal_rdb_loader_close(shoal_rdb_loader *loader)
{
    shoal_rdb_loader_drop(loader);
    SHOAL_ASSERT(!loader->owns);
    shoal_buffer_free(&loader->scratch[0]);
    shoal_buffer_free(&loader->scratch[1]);
}

shoal_rdb_value shoal_rdb_loader_value(shoal_rdb_loader *loader)
{
    SHOAL_ASSERT(loader->phase == PHASE_DONE);
    shoal_rdb_value value = {.type = loader->type};
    shoal_rdb__list *list = &loader->list;
    switch (loader->type) {
    case SHOAL_TYPE_STRING: value.string = loader->string; break;
    case SHOAL_TYPE_ZSET:
        value.compound = shoal_zset_edit_view(&loader->zset);
        if (shoal_zset_count(&value.compound) == 0) value.compound = (shoal_compound){{0}, NULL};
        break;
    case SHOAL_TYPE_LIST:
        if (list->list != NULL) {
            value.compound.object = shoal_list_object(list->list);
        } else if (list->count > 0) {
            shoal_pack_write_head(list->pack, list->count);
            value.compound.pack = (shoal_slice){list->pack, list->size};
        }
        break;
    default: value.compound = shoal_draft_value(&loader->draft);
    }
    return value;
}

void shoal_rdb_loader_taken(shoal_rdb_loader *loader)
{
    SHOAL_ASSERT(loader->phase == PHASE_DONE);
    loader->owns = false;
    loader->phase = PHASE_NONE;
    loader->account.bytes = 0;
}

shoal_rdb_status shoal_rdb__begin(shoal_rdb_loader *loader, uint32_t kind)
{
    SHOAL_ASSERT(loader->phase == PHASE_NONE);
    bool known = kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[kind].layout != LAYOUT_UNKNOWN;
    if (!known) {
        bool stream =
            kind == SHOAL_RDB_STREAM || kind == SHOAL_RDB_STREAM_2 || kind == SHOAL_RDB_STREAM_3;
        bool module = kind == SHOAL_RDB_MODULE || kind == SHOAL_RDB_MODULE_2;
        loader->reason = stream   ? "a stream, which is not kept here"
                         : module ? "a value of a module, which is not kept here"
                                  : "a value of an unknown type";
        return stream || module ? SHOAL_RDB_UNKNOWN : SHOAL_RDB_BAD;
    }
    loader->kind = (uint8_t)kind;
    loader->type = kinds[kind].type;
    loader->reason = NULL;
    begin_value(loader);
    loader->phase = PHASE_HEAD;
    return SHOAL_RDB_OK;
}

shoal_rdb_status shoal_rdb__step(shoal_rdb_loader *loader, shoal_rdb__reader *reader, bool *done)
{
    SHOAL_ASSERT(loader->phase == PHASE_HEAD || loader->phase == PHASE_UNITS);
    shoal_rdb_status status;
    *done = false;
    if (loader->phase == PHASE_HEAD) {
        status = read_head(loader, reader);
    } else {
        status = read_unit(loader, reader);
        if (status == SHOAL_RDB_OK) loader->left--;
    }
    if (status == SHOAL_RDB_BAD) loader->reason = reader->reason;
    if (status != SHOAL_RDB_OK || loader->left > 0) return status;
    *done = true;
    return finish(loader);
}

/* ---- payloads ---- */

bool shoal_rdb_check_payload(shoal_slice payload, bool checksum)
{
    if (payload.size < SHOAL_RDB__FOOT_SIZE) return false;
    const char *foot = payload.data + payload.size - SHOAL_RDB__FOOT_SIZE;
    SHOAL_DEBUG_ASSERT(foot >= payload.data);
    if (shoal_bytes_get_le16(foot) > SHOAL_RDB_VERSION_MAX) return false;
    if (!checksum) return true;
    uint64_t crc = shoal_crc64(0, (shoal_slice){payload.data, payload.size - 8});
    return crc == shoal_bytes_get_le64(foot + 2);
}

shoal_rdb_status shoal_rdb_read_value(shoal_rdb_loader *loader, uint32_t kind, shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    shoal_rdb__reader reader = {.at = bytes.data, .end = bytes.data + bytes.size};
    shoal_rdb_loader_drop(loader);
    shoal_rdb_status status = shoal_rdb__begin(loader, kind);
    bool done = false;
    while (status == SHOAL_RDB_OK && !done) status = shoal_rdb__step(loader, &reader, &done);
    if (status == SHOAL_RDB_MORE) {
        loader->reason = "a value that ends too early";
        status = SHOAL_RDB_BAD;
    }
    if (status == SHOAL_RDB_OK && reader.at != reader.end) {
        loader->reason = "bytes behind a value";
        status = SHOAL_RDB_BAD;
    }
    if (status != SHOAL_RDB_OK) shoal_rdb_loader_drop(loader);
    return status;
}

shoal_rdb_status shoal_rdb_read_payload(shoal_rdb_loader *loader, shoal_slice payload)
{
    SHOAL_ASSERT(payload.size >= SHOAL_RDB__FOOT_SIZE);
    size_t size = payload.size - SHOAL_RDB__FOOT_SIZE;
    shoal_rdb_loader_drop(loader);
    if (size == 0) return SHOAL_RDB_BAD;
    return shoal_rdb_read_value(loader, (unsigned char)payload.data[0],
                                (shoal_slice){payload.data + 1, size - 1});
}
