/* SPDX-License-Identifier: MIT
 *
 * command/debug.c - DEBUG, for tests of client libraries: DEBUG PROTOCOL answers with a fixed reply
 * of each kind that RESP knows. Nobody may call it unless enable-debug-command says so.
 */
#include "base/assert.h"
#include "command/handlers.h"
#include "command/worker.h"

/* ---- one reply of each kind ---- */

/* The numbers 0, 1 and 2, behind a header that counts them. */
static void reply_three(shoal_reply *reply, void (*header)(shoal_reply *reply, size_t count))
{
    SHOAL_ASSERT(header != NULL);
    header(reply, 3);
    for (int64_t i = 0; i < 3; i++) shoal_reply_integer(reply, i);
}

static void reply_map(shoal_reply *reply)
{
    SHOAL_ASSERT(reply->out != NULL);
    shoal_reply_map(reply, 3);
    for (int64_t i = 0; i < 3; i++) {
        shoal_reply_integer(reply, i);
        shoal_reply_boolean(reply, i == 1);
    }
}

/* RESP2 has no attributes: there the reply comes alone. */
static void reply_attribute(shoal_reply *reply)
{
    SHOAL_ASSERT(reply->protocol == 2 || reply->protocol == 3);
    if (reply->protocol == 3) {
        shoal_buffer_append(reply->out, shoal_text("|1\r\n"));
        shoal_reply_text(reply, "key-popularity");
        shoal_reply_array(reply, 2);
        shoal_reply_text(reply, "key:123");
        shoal_reply_integer(reply, 90);
    }
    shoal_reply_text(reply, "Some real reply following the attribute");
}

/* A push is no answer, so an answer comes behind it. */
static void reply_push(shoal_reply *reply)
{
    SHOAL_ASSERT(reply->protocol == 2 || reply->protocol == 3);
    if (reply->protocol == 2) {
        shoal_reply_error(reply, "ERR RESP2 is not supported by this command");
        return;
    }
    shoal_reply_push(reply, 2);
    shoal_reply_text(reply, "server-cpu-usage");
    shoal_reply_integer(reply, 42);
    shoal_reply_text(reply, "Some real reply following the push reply");
}

static void reply_big_number(shoal_reply *reply)
{
    static const char number[] = "1234567999999999999999999999999999999";
    SHOAL_ASSERT(reply->protocol == 2 || reply->protocol == 3);
    if (reply->protocol == 3) {
        shoal_text_appendf(reply->out, "(%s\r\n", number);
    } else {
        shoal_reply_text(reply, number);
    }
}

typedef enum kind {
    STRING,
    INTEGER,
    DOUBLE,
    BIGNUM,
    EMPTY,
    ARRAY,
    SET,
    MAP,
    ATTRIB,
    PUSH,
    VERBATIM,
    YES,
    NO
} kind;
static const char *const kind_names[] = {
    "string", "integer", "double", "bignum",   "null", "array", "set",
    "map",    "attrib",  "push",   "verbatim", "true", "false",
};
_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == NO + 1, "a name for each kind");

static void reply_kind(shoal_reply *reply, kind which)
{
    SHOAL_ASSERT(which <= NO);
    switch (which) {
    case STRING: shoal_reply_text(reply, "Hello World"); return;
    case INTEGER: shoal_reply_integer(reply, 12345); return;
    case DOUBLE: shoal_reply_double(reply, 3.141); return;
    case BIGNUM: reply_big_number(reply); return;
    case EMPTY: shoal_reply_null(reply); return;
    case ARRAY: reply_three(reply, shoal_reply_array); return;
    case SET: reply_three(reply, shoal_reply_set); return;
    case MAP: reply_map(reply); return;
    case ATTRIB: reply_attribute(reply); return;
    case PUSH: reply_push(reply); return;
    case VERBATIM:
        shoal_reply_verbatim(reply, "txt", shoal_text("This is a verbatim\nstring"));
        return;
    case YES: shoal_reply_boolean(reply, true); return;
    case NO: shoal_reply_boolean(reply, false); return;
    }
    SHOAL_UNREACHABLE();
}

/* ---- DEBUG ---- */

static void reply_named(shoal_call *call, shoal_slice name)
{
    SHOAL_ASSERT(call->argc == 3);
    for (kind which = STRING; which <= NO; which++) {
        if (!shoal_text_is(name, kind_names[which])) continue;
        reply_kind(&call->reply, which);
        return;
    }
    shoal_reply_error(&call->reply,
                      "ERR Wrong protocol type name. Please use one of the following: "
                      "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|"
                      "false");
}

static void reply_help(shoal_call *call)
{
    static const char *const lines[] = {
        "DEBUG <subcommand> [<argument> ...]. The subcommands are:",
        "PROTOCOL <type>",
        "    Answers with a fixed reply of a type: string, integer, double, null, array, set, map,",
        "    attrib, push, verbatim, true, false or bignum",
        "HELP",
        "    The subcommands of DEBUG",
    };
    size_t count = sizeof(lines) / sizeof(lines[0]);
    SHOAL_ASSERT(call->argc == 2);
    shoal_reply_array(&call->reply, count);
    for (size_t i = 0; i < count; i++) shoal_reply_status(&call->reply, lines[i]);
}

/* May this client use DEBUG? */
static bool permitted(const shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    const shoal_settings *settings = call->worker->settings;
    return settings->debug || (settings->debug_local && shoal_session__is_local(call->session));
}

void shoal_command__debug(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    SHOAL_ASSERT(call->key_count == 0);
    shoal_slice sub = call->argv[1];
    if (!permitted(call)) {
        shoal_reply_error(&call->reply,
                          "ERR DEBUG command not allowed. If the enable-debug-command option is "
                          "set to \"local\", you can run it from a local connection, otherwise you "
                          "need to set this option in the configuration file, and then restart the "
                          "server.");
    } else if (call->argc == 3 && shoal_text_is(sub, "protocol")) {
        reply_named(call, call->argv[2]);
    } else if (call->argc == 2 && shoal_text_is(sub, "help")) {
        reply_help(call);
    } else {
        shoal_reply_errorf(&call->reply,
                           "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try "
                           "DEBUG HELP.",
                           sub.size < 128 ? (int)sub.size : 128, sub.data);
    }
}
