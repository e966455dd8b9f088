/* SPDX-License-Identifier: MIT
 *
 * persist/aof_manifest.h: the codec. Lines are split as lines of redis.conf are; what a line says
 * beyond file, seq and type is passed over, so that manifests of later versions can be read.
 */
#include "persist/aof_manifest.h"

#include "base/assert.h"
#include "base/text.h"
#include "wire/resp.h"

/* Words of a line. */
#define WORDS_MAX 64

static shoal_aof_entry *entry_at(const shoal_manifest *manifest, uint32_t index);

/* What holds of a manifest that is whole: names lie in its names, there is one base at most,
 * increments have rising numbers, and those to come will be higher than all that were. */
static void check(const shoal_manifest *manifest)
{
    uint32_t count = shoal_manifest_count(manifest), bases = 0;
    uint64_t last = 0;
    SHOAL_ASSERT(count <= SHOAL_AOF_ENTRIES_MAX);
    SHOAL_ASSERT(!manifest->entries.failed);
    SHOAL_ASSERT(!manifest->names.failed);
    for (uint32_t i = 0; i < count; i++) {
        const shoal_aof_entry *entry = entry_at(manifest, i);
        SHOAL_ASSERT(entry->sequence > 0);
        SHOAL_ASSERT(entry->name_size > 0);
        SHOAL_ASSERT(entry->name_at <= shoal_buffer_size(&manifest->names) - entry->name_size);
        if (entry->kind == SHOAL_AOF_BASE) {
            bases++;
            SHOAL_ASSERT(entry->sequence <= manifest->base_sequence);
        } else if (entry->kind == SHOAL_AOF_INCR) {
            SHOAL_ASSERT(entry->sequence > last);
            last = entry->sequence;
        } else {
            SHOAL_ASSERT(entry->kind == SHOAL_AOF_HISTORY);
        }
    }
    SHOAL_ASSERT(bases <= 1);
    SHOAL_ASSERT(last <= manifest->incr_sequence);
}

shoal_manifest shoal_manifest_make(const shoal_allocator *allocator)
{
    SHOAL_ASSERT(allocator != NULL);
    return (shoal_manifest){.entries = shoal_buffer_make(allocator),
                            .names = shoal_buffer_make(allocator)};
}

void shoal_manifest_free(shoal_manifest *manifest)
{
    SHOAL_ASSERT(manifest->entries.allocator != NULL);
    SHOAL_ASSERT(manifest->names.allocator == manifest->entries.allocator);
    const shoal_allocator *allocator = manifest->entries.allocator;
    shoal_buffer_free(&manifest->entries);
    shoal_buffer_free(&manifest->names);
    *manifest = shoal_manifest_make(allocator);
}

bool shoal_manifest_copy(const shoal_manifest *from, shoal_manifest *to)
{
    SHOAL_ASSERT(from != to);
    check(from);
    shoal_manifest_free(to);
    shoal_buffer_append(&to->entries, shoal_buffer_slice(&from->entries));
    shoal_buffer_append(&to->names, shoal_buffer_slice(&from->names));
    to->base_sequence = from->base_sequence;
    to->incr_sequence = from->incr_sequence;
    return !to->entries.failed && !to->names.failed;
}

/* ---- entries ---- */

uint32_t shoal_manifest_count(const shoal_manifest *manifest)
{
    size_t size = shoal_buffer_size(&manifest->entries);
    SHOAL_ASSERT(size % sizeof(shoal_aof_entry) == 0);
    SHOAL_ASSERT(size / sizeof(shoal_aof_entry) <= SHOAL_AOF_ENTRIES_MAX);
    return (uint32_t)(size / sizeof(shoal_aof_entry));
}

static shoal_aof_entry *entry_at(const shoal_manifest *manifest, uint32_t index)
{
    SHOAL_ASSERT(index < shoal_manifest_count(manifest));
    SHOAL_ASSERT(manifest->entries.start == 0);
    return (shoal_aof_entry *)(void *)manifest->entries.data + index;
}

const shoal_aof_entry *shoal_manifest_at(const shoal_manifest *manifest, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < shoal_manifest_count(manifest));
    return entry_at(manifest, index);
}

shoal_slice shoal_manifest_name(const shoal_manifest *manifest, const shoal_aof_entry *entry)
{
    SHOAL_ASSERT(entry->name_size > 0);
    SHOAL_ASSERT(manifest->names.start == 0);
    SHOAL_ASSERT(entry->name_at + entry->name_size <= shoal_buffer_size(&manifest->names));
    return (shoal_slice){manifest->names.data + entry->name_at, entry->name_size};
}

const shoal_aof_entry *shoal_manifest_find(const shoal_manifest *manifest, shoal_aof_kind kind,
                                           uint32_t index)
{
    uint32_t count = shoal_manifest_count(manifest);
    for (uint32_t i = 0; i < count; i++) {
        const shoal_aof_entry *entry = entry_at(manifest, i);
        if (entry->kind == kind && index-- == 0) return entry;
    }
    return NULL;
}

uint32_t shoal_manifest_count_of(const shoal_manifest *manifest, shoal_aof_kind kind)
{
    uint32_t count = shoal_manifest_count(manifest), found = 0;
    SHOAL_DEBUG_ASSERT(kind == SHOAL_AOF_BASE || kind == SHOAL_AOF_HISTORY ||
                       kind == SHOAL_AOF_INCR);
    for (uint32_t i = 0; i < count; i++) found += entry_at(manifest, i)->kind == kind;
    return found;
}

bool shoal_manifest_add(shoal_manifest *manifest, shoal_aof_kind kind, shoal_slice name,
                        uint64_t sequence)
{
    SHOAL_ASSERT(name.size > 0);
    SHOAL_ASSERT(name.size <= UINT32_MAX);
    SHOAL_ASSERT(sequence > 0);
    SHOAL_ASSERT(kind == SHOAL_AOF_BASE || kind == SHOAL_AOF_HISTORY || kind == SHOAL_AOF_INCR);
    shoal_aof_entry entry;

    if (shoal_manifest_count(manifest) >= SHOAL_AOF_ENTRIES_MAX) return false;
    memset(&entry, 0, sizeof entry);
    entry.sequence = sequence;
    entry.kind = kind;
    entry.name_size = (uint32_t)name.size;
    entry.name_at = shoal_buffer_size(&manifest->names);
    shoal_buffer_append(&manifest->names, name);
    if (manifest->names.failed) return false;
    shoal_buffer_append(&manifest->entries, (shoal_slice){(const char *)&entry, sizeof entry});
    if (manifest->entries.failed) return false;
    if (kind == SHOAL_AOF_BASE && sequence > manifest->base_sequence)
        manifest->base_sequence = sequence;
    if (kind == SHOAL_AOF_INCR && sequence > manifest->incr_sequence)
        manifest->incr_sequence = sequence;
    return true;
}

/* Adds the file whose name is the prefix, the number and `tail`. */
static bool add_named(shoal_manifest *manifest, shoal_aof_kind kind, shoal_slice prefix,
                      const char *tail)
{
    SHOAL_ASSERT(prefix.size > 0);
    SHOAL_ASSERT(kind == SHOAL_AOF_BASE || kind == SHOAL_AOF_INCR);
    shoal_buffer name = shoal_buffer_make(manifest->names.allocator);
    uint64_t sequence =
        1 + (kind == SHOAL_AOF_BASE ? manifest->base_sequence : manifest->incr_sequence);

    shoal_text_appendf(&name, "%.*s.%llu.%s", (int)prefix.size, prefix.data,
                       (unsigned long long)sequence, tail);
    bool added =
        !name.failed && shoal_manifest_add(manifest, kind, shoal_buffer_slice(&name), sequence);
    shoal_buffer_free(&name);
    return added;
}

bool shoal_manifest_add_base(shoal_manifest *manifest, shoal_slice prefix, bool rdb)
{
    uint32_t count = shoal_manifest_count(manifest);

    for (uint32_t i = 0; i < count; i++) {
        shoal_aof_entry *entry = entry_at(manifest, i);
        if (entry->kind == SHOAL_AOF_BASE) entry->kind = SHOAL_AOF_HISTORY;
    }
    SHOAL_ASSERT(shoal_manifest_count_of(manifest, SHOAL_AOF_BASE) == 0);
    return add_named(manifest, SHOAL_AOF_BASE, prefix, rdb ? "base.rdb" : "base.aof");
}

bool shoal_manifest_add_incr(shoal_manifest *manifest, shoal_slice prefix)
{
    SHOAL_ASSERT(manifest->incr_sequence < UINT64_MAX);
    return add_named(manifest, SHOAL_AOF_INCR, prefix, "incr.aof");
}

void shoal_manifest_retire_incrs(shoal_manifest *manifest, uint32_t keep)
{
    uint32_t count = shoal_manifest_count(manifest);
    uint32_t live = shoal_manifest_count_of(manifest, SHOAL_AOF_INCR);

    for (uint32_t i = 0; i < count && live > keep; i++) {
        shoal_aof_entry *entry = entry_at(manifest, i);
        if (entry->kind != SHOAL_AOF_INCR) continue;
        entry->kind = SHOAL_AOF_HISTORY;
        live--;
    }
    SHOAL_ASSERT(live <= keep);
    check(manifest);
}

void shoal_manifest_forget(shoal_manifest *manifest, uint32_t index)
{
    uint32_t count = shoal_manifest_count(manifest);
    SHOAL_ASSERT(index < count);
    shoal_aof_entry *entry = entry_at(manifest, index);
    SHOAL_ASSERT(entry->kind == SHOAL_AOF_HISTORY);

    memmove(entry, entry + 1, (count - 1 - index) * sizeof *entry);
    manifest->entries.end -= sizeof *entry;
    SHOAL_ASSERT(shoal_manifest_count(manifest) == count - 1);
}

void shoal_manifest_drop_incr(shoal_manifest *manifest)
{
    uint32_t count = shoal_manifest_count(manifest);
    SHOAL_ASSERT(shoal_manifest_count_of(manifest, SHOAL_AOF_INCR) > 0);
    SHOAL_ASSERT(manifest->incr_sequence > 0);

    for (uint32_t i = count; i-- > 0;) {
        shoal_aof_entry *entry = entry_at(manifest, i);
        if (entry->kind != SHOAL_AOF_INCR) continue;
        if (entry->sequence == manifest->incr_sequence) manifest->incr_sequence--;
        entry->kind = SHOAL_AOF_HISTORY;
        shoal_manifest_forget(manifest, i);
        return;
    }
}

/* ---- writing ---- */

/* Must this name stand in quotes? */
static bool needs_quotes(shoal_slice name)
{
    SHOAL_ASSERT(name.size > 0);
    SHOAL_ASSERT(name.data != NULL);
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c <= ' ' || c >= 127 || c == '"' || c == '\'' || c == '\\') return true;
    }
    return false;
}

static void write_quoted(shoal_slice name, shoal_buffer *out)
{
    SHOAL_ASSERT(name.data != NULL);
    SHOAL_DEBUG_ASSERT(needs_quotes(name));
    shoal_buffer_append(out, shoal_text("\""));
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        size_t letter = shoal_text_find(shoal_text("\n\r\t\a\b"), (shoal_slice){name.data + i, 1});
        if (c == '"' || c == '\\')
            shoal_text_appendf(out, "\\%c", c);
        else if (letter != SHOAL_TEXT_NONE)
            shoal_text_appendf(out, "\\%c", "nrtab"[letter]);
        else if (c < ' ' || c >= 127)
            shoal_text_appendf(out, "\\x%02x", c);
        else
            shoal_text_appendf(out, "%c", c);
    }
    shoal_buffer_append(out, shoal_text("\""));
}

void shoal_manifest_write(const shoal_manifest *manifest, shoal_buffer *out)
{
    static const char order[] = {SHOAL_AOF_BASE, SHOAL_AOF_HISTORY, SHOAL_AOF_INCR};
    uint32_t count = shoal_manifest_count(manifest), written = 0;

    check(manifest);
    for (size_t k = 0; k < sizeof order; k++) {
        for (uint32_t i = 0; i < count; i++) {
            const shoal_aof_entry *entry = entry_at(manifest, i);
            if ((char)entry->kind != order[k]) continue;
            shoal_slice name = shoal_manifest_name(manifest, entry);
            shoal_buffer_append(out, shoal_text("file "));
            if (needs_quotes(name))
                write_quoted(name, out);
            else
                shoal_buffer_append(out, name);
            shoal_text_appendf(out, " seq %llu type %c\n", (unsigned long long)entry->sequence,
                               order[k]);
            written++;
        }
    }
    SHOAL_ASSERT(written == count);
}

/* ---- reading ---- */

static const char bad_format[] = "Invalid AOF manifest file format";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static shoal_slice trim(shoal_slice line)
{
    SHOAL_ASSERT(line.data != NULL || line.size == 0);
    while (line.size > 0 && is_blank(line.data[line.size - 1])) line.size--;
    while (line.size > 0 && is_blank(line.data[0])) {
        line.data++;
        line.size--;
    }
    SHOAL_DEBUG_ASSERT(line.size == 0 || !is_blank(line.data[0]));
    return line;
}

/* What the words of a line say. */
typedef struct said {
    shoal_slice name;
    uint64_t sequence;
    char kind;
} said;

/* NULL, or what is wrong. */
static const char *read_words(const shoal_slice *argv, int argc, said *out)
{
    SHOAL_ASSERT(argc >= 0);
    SHOAL_ASSERT(argc <= WORDS_MAX);
    *out = (said){0};
    if (argc < 6 || argc % 2 != 0) return bad_format;
    for (int i = 0; i < argc; i += 2) {
        shoal_slice value = argv[i + 1];
        if (shoal_text_is(argv[i], "file")) {
            out->name = value;
            if (shoal_text_find(value, shoal_text("/")) != SHOAL_TEXT_NONE)
                return "File can't be a path, just a filename";
        } else if (shoal_text_is(argv[i], "seq")) {
            if (!shoal_text_to_u64(value, &out->sequence)) out->sequence = 0;
        } else if (shoal_text_is(argv[i], "type")) {
            out->kind = value.size > 0 ? value.data[0] : '\0';
        }
    }
    bool whole = out->name.size > 0 && out->sequence > 0 && out->sequence <= INT64_MAX / 2 &&
                 out->kind != '\0';
    return whole ? NULL : bad_format;
}

/* Takes what a line said. NULL, or what is wrong; "" without memory. */
static const char *take(shoal_manifest *manifest, const said *words)
{
    SHOAL_ASSERT(words->sequence > 0);
    SHOAL_ASSERT(words->name.size > 0);
    switch (words->kind) {
    case SHOAL_AOF_BASE:
        if (shoal_manifest_count_of(manifest, SHOAL_AOF_BASE) > 0)
            return "Found duplicate base file information";
        break;
    case SHOAL_AOF_INCR:
        if (words->sequence <= manifest->incr_sequence)
            return "Found a non-monotonic sequence number";
        break;
    case SHOAL_AOF_HISTORY: break;
    default: return "Unknown AOF file type";
    }
    shoal_aof_kind kind = (shoal_aof_kind)words->kind;
    return shoal_manifest_add(manifest, kind, words->name, words->sequence) ? NULL : "";
}

static const char *read_line(shoal_manifest *manifest, shoal_slice line, shoal_buffer *store)
{
    SHOAL_ASSERT(store->allocator != NULL);
    SHOAL_ASSERT(line.size <= SHOAL_AOF_LINE_MAX);
    shoal_slice argv[WORDS_MAX];
    said words;

    line = trim(line);
    if (line.size == 0) return bad_format;
    shoal_buffer_consume(store, shoal_buffer_size(store));
    int argc = shoal_line_split(line, store, argv, WORDS_MAX);
    const char *wrong = argc < 0 ? bad_format : read_words(argv, argc, &words);
    return wrong != NULL ? wrong : take(manifest, &words);
}

static shoal_err complain(shoal_manifest_complaint *complaint, const char *reason)
{
    SHOAL_ASSERT(complaint != NULL);
    SHOAL_ASSERT(reason != NULL);
    complaint->reason = reason;
    return reason[0] != '\0' ? SHOAL_ERR_MALFORMED : SHOAL_ERR_NO_MEMORY;
}

shoal_err shoal_manifest_read(shoal_manifest *manifest, shoal_slice text,
                              shoal_manifest_complaint *complaint)
{
    SHOAL_ASSERT(shoal_manifest_count(manifest) == 0);
    shoal_buffer store = shoal_buffer_make(manifest->names.allocator);
    const char *wrong = NULL;

    *complaint = (shoal_manifest_complaint){0};
    if (text.size == 0) return complain(complaint, "Found an empty AOF manifest");
    while (text.size > 0 && wrong == NULL) {
        size_t size = shoal_text_find(text, shoal_text("\n"));
        shoal_slice line = {text.data, size == SHOAL_TEXT_NONE ? text.size : size};
        size_t used = size == SHOAL_TEXT_NONE ? text.size : size + 1;
        SHOAL_ASSERT(used > 0);
        SHOAL_ASSERT(used <= text.size);
        text = (shoal_slice){text.data + used, text.size - used};
        complaint->line++;
        complaint->text = line;
        if (line.size > 0 && line.data[0] == '#') continue;
        if (line.size > SHOAL_AOF_LINE_MAX || size == SHOAL_TEXT_NONE)
            wrong = "The AOF manifest file contains too long line";
        else
            wrong = read_line(manifest, line, &store);
    }
    bool failed = store.failed;
    shoal_buffer_free(&store);
    if (failed) wrong = "";
    if (wrong != NULL) return complain(complaint, wrong);
    *complaint = (shoal_manifest_complaint){0};
    check(manifest);
    return SHOAL_ERR_OK;
}
