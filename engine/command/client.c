/* SPDX-License-Identifier: MIT
 *
 * command/client.c - CLIENT subcommands about the asking connection itself.
 */
#include "base/assert.h"
#include "command/client.h"
#include "command/client_line.h"
#include "command/worker.h"

bool shoal_client__printable(shoal_slice text)
{
    SHOAL_DEBUG_ASSERT(text.size == 0 || text.data != NULL);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '!' || text.data[i] > '~') return false;
    }
    return true;
}

bool shoal_client__check_name(shoal_call *call, shoal_slice name)
{
    SHOAL_ASSERT(call->session != NULL);
    if (shoal_client__printable(name)) return true;
    shoal_reply_error(&call->reply,
                      "ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
}

void shoal_client__set(shoal_buffer *field, shoal_slice text)
{
    SHOAL_ASSERT(field->allocator != NULL);
    shoal_buffer_free(field);
    shoal_buffer_append(field, text);
}

void shoal_command__client_id(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    SHOAL_ASSERT(call->session->id > 0);
    shoal_reply_integer(&call->reply, (int64_t)call->session->id);
}

void shoal_command__client_setname(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    if (!shoal_client__check_name(call, call->argv[2])) return;
    shoal_client__set(&call->session->name, call->argv[2]);
    shoal_reply_ok(&call->reply);
}

void shoal_command__client_getname(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    shoal_slice name = shoal_buffer_slice(&call->session->name);
    if (name.size == 0) {
        shoal_reply_null(&call->reply);
    } else {
        shoal_reply_bulk(&call->reply, name);
    }
}

void shoal_command__client_setinfo(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    shoal_slice option = call->argv[2];
    bool is_name = shoal_text_is(option, "lib-name");
    if (!is_name && !shoal_text_is(option, "lib-ver")) {
        shoal_reply_errorf(&call->reply, "ERR Unrecognized option '%.*s'", (int)option.size,
                           option.data);
        return;
    }
    if (!shoal_client__printable(call->argv[3])) {
        shoal_reply_errorf(&call->reply,
                           "ERR %s cannot contain spaces, newlines or special characters.",
                           is_name ? "lib-name" : "lib-ver");
        return;
    }
    shoal_session *session = call->session;
    shoal_client__set(is_name ? &session->library_name : &session->library_version, call->argv[3]);
    shoal_reply_ok(&call->reply);
}

void shoal_command__client_reply(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    shoal_session *session = call->session;
    if (shoal_call__word(call, 2, "on")) {
        session->reply_mode = SHOAL_REPLY__ON;
        shoal_reply_ok(&call->reply);
    } else if (shoal_call__word(call, 2, "off")) {
        session->reply_mode = SHOAL_REPLY__OFF;
    } else if (shoal_call__word(call, 2, "skip")) {
        if (session->reply_mode != SHOAL_REPLY__OFF) session->reply_mode = SHOAL_REPLY__SKIP_NEXT;
    } else {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    }
}

void shoal_command__client_no_evict(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    bool on = shoal_call__word(call, 2, "on");
    if (!on && !shoal_call__word(call, 2, "off")) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    call->session->no_evict = on;
    shoal_reply_ok(&call->reply);
}

void shoal_command__client_info(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    shoal_buffer line = shoal_buffer_make(&call->env->allocator);
    shoal_client__line(call, call->session, &line);
    shoal_reply_verbatim(&call->reply, "txt", shoal_buffer_slice(&line));
    shoal_buffer_free(&line);
}
