/* SPDX-License-Identifier: MIT
 *
 * command/debug_protocol.c - DEBUG PROTOCOL: a fixed reply of each kind that RESP knows, for tests
 * of client libraries.
 */
#include "base/assert.h"
#include "command/debug.h"

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

void shoal_debug__protocol(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    shoal_slice name = call->argv[2];
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
