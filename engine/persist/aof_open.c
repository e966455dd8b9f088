/* SPDX-License-Identifier: MIT
 *
 * persist/aof_state.h: opening. Behind a start everything has been read; what is missing of a base
 * and an increment is made, the manifest says so, and the appender begins.
 */
#include "persist/aof_state.h"

#include "base/assert.h"
#include "base/text.h"
#include "rdb/crc64.h"
#include "rdb/file.h"

static void refuse(shoal_aof *aof, const char *what, shoal_err error)
{
    SHOAL_ASSERT(what != NULL);
    SHOAL_ASSERT(error != SHOAL_ERR_OK);
    shoal_aof__log(aof, SHOAL_AOF__WARNING, "%s: %s", what, shoal_err_text(error));
    shoal_aof__fail(aof);
}

/* Everything stands on disk: from now on effects are wanted. */
static void begin_appending(shoal_aof *aof, shoal_err error)
{
    if (error != SHOAL_ERR_OK) {
        refuse(aof, "Error writing the AOF manifest file", error);
        return;
    }
    SHOAL_ASSERT(aof->state == SHOAL_AOF_STARTING);
    SHOAL_ASSERT(!aof->wants);
    SHOAL_ASSERT(aof->load.total >= aof->load.last_size);
    SHOAL_ASSERT(shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_INCR) > 0);
    shoal_log_want(aof->log, 1);
    shoal_log_forget_database(aof->log);
    aof->left_seen = true;
    aof->size_before = aof->load.total - aof->load.last_size;
    aof->base_size = aof->load.base_size;
    if (!shoal_aof__go_on(aof, shoal_log_end(aof->log), aof->load.last_size)) {
        shoal_log_want(aof->log, -1);
        refuse(aof, "Error opening the AOF file", SHOAL_ERR_NO_MEMORY);
        return;
    }
    aof->state = SHOAL_AOF_ON;
    shoal_aof__collect(aof);
}

static void write_manifest(shoal_aof *aof, shoal_err error)
{
    SHOAL_ASSERT(aof->state == SHOAL_AOF_STARTING);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    if (error != SHOAL_ERR_OK)
        refuse(aof, "Error writing to the AOF file", error);
    else
        shoal_aof__write_manifest(aof, &aof->rewrite.next, begin_appending);
}

/* The bytes of a base that holds nothing. */
static void empty_base(const shoal_aof *aof, shoal_buffer *out)
{
    SHOAL_ASSERT(shoal_buffer_size(out) == 0);
    if (!aof->settings.rdb_base) return;
    shoal_rdb_write_header(out);
    shoal_rdb_write_aux(out, shoal_text("redis-ver"), shoal_text(SHOAL_REDIS_VERSION));
    shoal_rdb_write_aux(out, shoal_text("redis-bits"), shoal_text("64"));
    shoal_rdb_write_aux(out, shoal_text("aof-base"), shoal_text("1"));
    shoal_buffer end = shoal_buffer_make(&aof->allocator);
    uint64_t crc = shoal_crc64(0, shoal_buffer_slice(out));
    shoal_rdb_write_end(&end, aof->settings.checksum ? &crc : NULL);
    shoal_buffer_append(out, shoal_buffer_slice(&end));
    shoal_buffer_free(&end);
}

static void make_base(shoal_aof *aof, shoal_manifest *next)
{
    shoal_buffer bytes = shoal_buffer_make(&aof->allocator);
    shoal_slice name = shoal_manifest_name(next, shoal_manifest_find(next, SHOAL_AOF_BASE, 0));
    SHOAL_ASSERT(name.size > 0);
    SHOAL_ASSERT(shoal_aof__is_busy(aof));

    empty_base(aof, &bytes);
    shoal_aof__log(aof, SHOAL_AOF__NOTICE, "Creating AOF base file %.*s on server start",
                   (int)name.size, name.data);
    shoal_aof__bind(aof, SHOAL_AOF__BASE, name);
    shoal_aof__remove(aof, SHOAL_AOF__BASE);
    shoal_aof__append(aof, SHOAL_AOF__BASE, shoal_buffer_slice(&bytes));
    shoal_aof__sync_file(aof, SHOAL_AOF__BASE);
    aof->load.total = aof->load.base_size = shoal_buffer_size(&bytes);
    aof->load.last_size = 0;
    if (bytes.failed) aof->sequence.error = SHOAL_ERR_NO_MEMORY;
    shoal_buffer_free(&bytes);
}

/* What is appended now must not be durable before the end of the increment before it is, which a
 * process may have left to the system. */
static void sync_before(shoal_aof *aof)
{
    uint32_t count = shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_INCR);
    SHOAL_ASSERT(shoal_aof__is_busy(aof));
    SHOAL_ASSERT(!aof->wants);
    if (count < 2) return;
    const shoal_aof_entry *before = shoal_manifest_find(&aof->manifest, SHOAL_AOF_INCR, count - 2);
    shoal_aof__bind(aof, SHOAL_AOF__GONE, shoal_manifest_name(&aof->manifest, before));
    shoal_aof__sync_file(aof, SHOAL_AOF__GONE);
}

void shoal_aof__open(shoal_aof *aof)
{
    SHOAL_ASSERT(aof->state == SHOAL_AOF_STARTING);
    SHOAL_ASSERT(!shoal_aof__is_busy(aof));
    SHOAL_ASSERT(!aof->load.failed);
    SHOAL_ASSERT(aof->load.reads == 0);
    shoal_aof__load_close(aof);
    bool suspended = aof->suspended;
    aof->suspended = false;
    if (suspended && (aof->resumes != SHOAL_AOF_ON || !aof->settings.on)) {
        /* The files were only to be read. */
        aof->state = aof->settings.on ? SHOAL_AOF_REWRITING_ON : SHOAL_AOF_OFF;
        return;
    }
    shoal_manifest *next = &aof->rewrite.next;
    bool has_base = shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_BASE) > 0;
    bool has_incr = shoal_manifest_count_of(&aof->manifest, SHOAL_AOF_INCR) > 0;
    bool makes_base = !has_base && !has_incr;
    shoal_slice prefix = aof->options.file_name;
    bool made = shoal_manifest_copy(&aof->manifest, next) &&
                (!makes_base || shoal_manifest_add_base(next, prefix, aof->settings.rdb_base)) &&
                (has_incr || shoal_manifest_add_incr(next, prefix));

    if (!made) {
        refuse(aof, "Error opening the AOF file", SHOAL_ERR_NO_MEMORY);
        return;
    }
    shoal_aof__begin(aof, write_manifest);
    if (makes_base) make_base(aof, next);
    shoal_slice name = shoal_aof__incr_name(next);
    shoal_aof__log(aof, SHOAL_AOF__NOTICE, "%s AOF incr file %.*s on server start",
                   has_incr ? "Opening" : "Creating", (int)name.size, name.data);
    shoal_aof__bind(aof, aof->incr, name);
    if (!has_incr) {
        aof->load.last_size = 0;
        shoal_aof__remove(aof, aof->incr);
    }
    shoal_aof__append(aof, aof->incr, (shoal_slice){0});
    shoal_aof__sync_file(aof, aof->incr);
    sync_before(aof);
}
