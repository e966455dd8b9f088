/* SPDX-License-Identifier: MIT
 *
 * command/multi.c - MULTI and DISCARD, and the queue between MULTI and EXEC. The keys of a command
 * are computed when it is queued, in the database that the queue has SELECTed by then.
 */
#include "command/multi.h"
#include "command/tracking.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/handlers.h"
#include "command/watch.h"

bool shoal_multi__runs_at_once(const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    switch (command->id) {
    case SHOAL_COMMAND_MULTI:
    case SHOAL_COMMAND_EXEC:
    case SHOAL_COMMAND_DISCARD:
    case SHOAL_COMMAND_WATCH:
    case SHOAL_COMMAND_QUIT:
    case SHOAL_COMMAND_RESET: return true;
    default: return false;
    }
}

/* ---- the queue ---- */

/* A copy of the request, NULL without memory. */
static shoal_queued *copy(const shoal_call *call)
{
    SHOAL_ASSERT(call->argc > 0);
    size_t argv = (sizeof(shoal_queued) + 15) & ~(size_t)15;
    size_t keys = argv + call->argc * sizeof(shoal_slice);
    size_t bytes = keys + call->key_count * sizeof(shoal_key), size = bytes;
    for (uint32_t i = 0; i < call->argc; i++) size += call->argv[i].size;
    char *memory = shoal_memory_take(&call->env->allocator, size, SHOAL_ALIGN_PLAIN);
    if (memory == NULL) return NULL;
    shoal_queued *made = (shoal_queued *)(void *)memory;
    *made = (shoal_queued){
        .command = call->command,
        .argc = call->argc,
        .key_count = call->key_count,
        .db = call->db,
        .argv = (shoal_slice *)(void *)(memory + argv),
        .keys = (shoal_key *)(void *)(memory + keys),
        .memory = size,
    };
    shoal_errand__copy_arguments(call, made->argv, made->keys, memory + bytes);
    return made;
}

/* The database behind a command of the queue. */
static uint32_t database_after(const shoal_worker *worker, const shoal_entry *entry, uint32_t db)
{
    SHOAL_DEBUG_ASSERT(worker->settings->databases > 0);
    int64_t number;
    if (entry->command->id != SHOAL_COMMAND_SELECT || worker->settings->cluster) return db;
    if (!shoal_text_to_i64(entry->request->argv[1], &number)) return db;
    return number >= 0 && number < worker->settings->databases ? (uint32_t)number : db;
}

void shoal_multi__queue(shoal_session *session, shoal_entry *entry, shoal_reply *reply)
{
    shoal_multi *multi = session->multi;
    shoal_worker *worker = session->worker;
    SHOAL_ASSERT(multi != NULL && session->exec == NULL);
    if (entry->key_count != 0) shoal_batch__rekey(session, entry, multi->db);
    shoal_call call = {
        .command = entry->command,
        .argc = entry->request->argc,
        .argv = entry->request->argv,
        .keys = entry->key_count != 0 ? worker->batch.keys + entry->key_at : NULL,
        .key_count = entry->key_count,
        .db = multi->db,
        .env = worker->env,
    };
    shoal_queued *made = multi->memory < worker->settings->query_size_max ? copy(&call) : NULL;
    if (made == NULL) {
        multi->aborted = true;
        shoal_reply_error(reply, SHOAL_ERROR__MEMORY);
        return;
    }
    *(multi->last != NULL ? &multi->last->next : &multi->first) = made;
    multi->last = made;
    multi->count++;
    multi->asking = multi->asking || session->asking;
    multi->reads_replicas = session->reads_replicas;
    multi->memory += made->memory;
    multi->flags |= made->command->flags;
    multi->lacks |= ~made->command->flags;
    multi->db = database_after(worker, entry, multi->db);
    shoal_reply_status(reply, "QUEUED");
}

void shoal_multi__refuse(shoal_session *session, shoal_reply *reply, size_t before)
{
    SHOAL_ASSERT(session->worker->inside);
    shoal_multi__discard(session);
    shoal_buffer *out = reply->out;
    size_t size = shoal_buffer_size(out) - before;
    if (out->failed || size < 3) return;
    SHOAL_ASSERT(out->data[out->start + before] == '-');
    shoal_buffer why = shoal_buffer_make(out->allocator);
    shoal_buffer_append(&why, (shoal_slice){out->data + out->start + before + 1, size - 3});
    out->end = out->start + before;
    shoal_slice text = shoal_buffer_slice(&why);
    if (text.size >= 4 && shoal_text_equal((shoal_slice){text.data, 4}, shoal_text("ERR ")))
        text.data += 4, text.size -= 4;
    shoal_reply_errorf(reply, "EXECABORT Transaction discarded because of: %.*s", (int)text.size,
                       text.data);
    shoal_buffer_free(&why);
}

void shoal_multi__free(shoal_multi *multi, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(multi->watches == NULL);
    shoal_queued *next;
    for (shoal_queued *each = multi->first; each != NULL; each = next) {
        next = each->next;
        shoal_memory_give(allocator, each, each->memory, SHOAL_ALIGN_PLAIN);
    }
    shoal_memory_give(allocator, multi->places, multi->place_capacity * sizeof(uint32_t),
                      SHOAL_ALIGN_PLAIN);
    shoal_memory_give(allocator, multi, sizeof(*multi), SHOAL_ALIGN_PLAIN);
}

void shoal_multi__discard(shoal_session *session)
{
    SHOAL_ASSERT(session->worker->inside);
    if (session->multi != NULL) shoal_multi__free(session->multi, &session->worker->env->allocator);
    session->multi = NULL;
    shoal_watches__release(session);
}

/* ---- commands ---- */

void shoal_command__multi(shoal_call *call)
{
    shoal_session *session = call->session;
    SHOAL_ASSERT(session != NULL && session->exec == NULL);
    if (session->multi != NULL) {
        shoal_reply_error(&call->reply, "ERR MULTI calls can not be nested");
        return;
    }
    session->multi =
        shoal_memory_take_zeroed(&call->env->allocator, sizeof(*session->multi), SHOAL_ALIGN_PLAIN);
    if (session->multi == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    session->multi->db = session->db;
    shoal_reply_ok(&call->reply);
}

void shoal_command__discard(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    if (call->session->multi == NULL) {
        shoal_reply_error(&call->reply, "ERR DISCARD without MULTI");
        return;
    }
    shoal_multi__discard(call->session);
    shoal_reply_ok(&call->reply);
}

bool shoal_multi__reads_last(const shoal_multi *exec, shoal_slice name)
{
    bool reads = false;
    SHOAL_ASSERT(exec != NULL);
    for (const shoal_queued *each = exec->first; each != NULL; each = each->next) {
        for (uint32_t i = 0; i < each->key_count; i++) {
            if (shoal_text_equal(each->keys[i].name, name))
                reads = (each->command->flags & SHOAL_FLAG_READONLY) != 0;
        }
    }
    return reads;
}

void shoal_multi__note_reading(shoal_session *session)
{
    SHOAL_ASSERT(session->tracker != NULL);
    if (session->multi == NULL) return;
    for (const shoal_queued *each = session->multi->first; each != NULL; each = each->next) {
        if ((each->command->flags & SHOAL_FLAG_READONLY) != 0)
            shoal_tracking__read(session, each->keys, each->key_count);
    }
}
