/* SPDX-License-Identifier: MIT
 *
 * command/connection.c - what a client says about its connection: PING, ECHO, QUIT, AUTH, HELLO,
 * SELECT, RESET, READONLY, READWRITE, ASKING.
 */
#include "base/assert.h"
#include "command/client.h"
#include "command/handlers.h"
#include "command/pubsub.h"
#include "command/worker.h"

void shoal_command__ping(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->argc >= 1);
    const shoal_session *session = call->session;
    if (call->argc > 2) {
        shoal_call__arity(call);
    } else if (session != NULL && session->protocol == 2 &&
               shoal_pubsub__subscriptions(session) != 0) {
        /* Subscribers in RESP2 read nothing but arrays. */
        shoal_reply_array(&call->reply, 2);
        shoal_reply_text(&call->reply, "pong");
        shoal_reply_bulk(&call->reply, call->argc == 2 ? call->argv[1] : (shoal_slice){"", 0});
    } else if (call->argc == 2) {
        shoal_reply_bulk(&call->reply, call->argv[1]);
    } else {
        shoal_reply_status(&call->reply, "PONG");
    }
}

void shoal_command__echo(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->argc == 2);
    shoal_reply_bulk(&call->reply, call->argv[1]);
}

void shoal_command__quit(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    shoal_reply_ok(&call->reply);
    call->session->closing = true;
}

void shoal_command__reset(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    shoal_session__reset(call->session);
    shoal_reply_status(&call->reply, "RESET");
}

void shoal_command__select(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    int64_t db;
    if (!shoal_call__integer(call, 1, &db)) return;
    const shoal_settings *settings = call->worker->settings;
    SHOAL_ASSERT(settings->databases > 0);
    if (settings->cluster && db != 0) {
        shoal_reply_error(&call->reply, "ERR SELECT is not allowed in cluster mode");
    } else if (db < 0 || db >= settings->databases) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__NO_DATABASE);
    } else {
        call->session->db = (uint32_t)db;
        shoal_reply_ok(&call->reply);
    }
}

/* READONLY and READWRITE. */
void shoal_command__readonly(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    if (!call->worker->settings->cluster) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__NO_CLUSTER);
        return;
    }
    call->session->reads_replicas = call->command->id == SHOAL_COMMAND_READONLY;
    shoal_reply_ok(&call->reply);
}

void shoal_command__asking(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    if (call->worker->settings->cluster) {
        call->session->asking = true;
        shoal_reply_ok(&call->reply);
    } else {
        shoal_reply_error(&call->reply, SHOAL_ERROR__NO_CLUSTER);
    }
}

/* ---- who is it ---- */

/* Same bytes; takes the same time wherever they differ, so that a password cannot be guessed
 * byte by byte. */
static bool equal_secret(shoal_slice given, shoal_slice secret)
{
    size_t different = given.size ^ secret.size;
    for (size_t i = 0; i < given.size; i++) {
        char own = secret.size != 0 ? secret.data[i % secret.size] : 0;
        different |= (unsigned char)(given.data[i] ^ own);
    }
    return different == 0;
}

/* Checks user and password; the one user is "default". False after writing an error. */
static bool authenticate(shoal_call *call, shoal_slice user, shoal_slice password)
{
    SHOAL_ASSERT(call->session != NULL);
    shoal_slice secret = call->worker->settings->requirepass;
    bool known = shoal_text_equal(user, shoal_text("default"));
    if (!known || (secret.size != 0 && !equal_secret(password, secret))) {
        shoal_reply_error(&call->reply,
                          "WRONGPASS invalid username-password pair or user is disabled.");
        return false;
    }
    call->session->authenticated = true;
    return true;
}

void shoal_command__auth(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    if (call->argc > 3) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    if (call->argc == 2 && call->worker->settings->requirepass.size == 0) {
        shoal_reply_error(&call->reply,
                          "ERR AUTH <password> called without any password configured for the "
                          "default user. Are you sure your configuration is correct?");
        return;
    }
    shoal_slice user = call->argc == 3 ? call->argv[1] : shoal_text("default");
    if (authenticate(call, user, call->argv[call->argc - 1])) shoal_reply_ok(&call->reply);
}

/* ---- HELLO ---- */

static void reply_hello(shoal_call *call)
{
    SHOAL_ASSERT(call->session->authenticated);
    SHOAL_ASSERT(call->session->protocol == 2 || call->session->protocol == 3);
    shoal_reply *reply = &call->reply;
    reply->protocol = call->session->protocol;
    shoal_reply_map(reply, 7);
    shoal_reply_text(reply, "server");
    shoal_reply_text(reply, "redis");
    shoal_reply_text(reply, "version");
    shoal_reply_text(reply, SHOAL_REDIS_VERSION);
    shoal_reply_text(reply, "proto");
    shoal_reply_integer(reply, reply->protocol);
    shoal_reply_text(reply, "id");
    shoal_reply_integer(reply, (int64_t)call->session->id);
    shoal_reply_text(reply, "mode");
    shoal_reply_text(reply, call->worker->settings->cluster ? "cluster" : "standalone");
    shoal_reply_text(reply, "role");
    shoal_reply_text(reply, "master");
    shoal_reply_text(reply, "modules");
    shoal_reply_array(reply, 0);
}

/* Takes the options behind the version; the name is set only when all of them are right. False
 * after writing an error. */
static bool take_hello_options(shoal_call *call, shoal_slice *name)
{
    SHOAL_ASSERT(name->data == NULL);
    for (uint32_t i = 2; i < call->argc; i++) {
        uint32_t more = call->argc - i - 1;
        if (more >= 2 && shoal_call__word(call, i, "auth")) {
            if (!authenticate(call, call->argv[i + 1], call->argv[i + 2])) return false;
            i += 2;
        } else if (more >= 1 && shoal_call__word(call, i, "setname")) {
            *name = call->argv[++i];
            if (!shoal_client__check_name(call, *name)) return false;
        } else {
            shoal_slice word = call->argv[i];
            shoal_reply_errorf(&call->reply, "ERR Syntax error in HELLO option '%.*s'",
                               (int)word.size, word.data);
            return false;
        }
    }
    return true;
}

void shoal_command__hello(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    shoal_session *session = call->session;
    int64_t version = session->protocol;
    if (call->argc >= 2) {
        if (!shoal_text_to_i64(call->argv[1], &version)) {
            shoal_reply_error(&call->reply,
                              "ERR Protocol version is not an integer or out of range");
            return;
        }
        if (version < 2 || version > 3) {
            shoal_reply_error(&call->reply, "NOPROTO unsupported protocol version");
            return;
        }
    }
    shoal_slice name = {NULL, 0};
    if (!take_hello_options(call, &name)) return;
    if (!session->authenticated) {
        shoal_reply_error(&call->reply,
                          "NOAUTH HELLO must be called with the client already authenticated, "
                          "otherwise the HELLO AUTH <user> <pass> option can be used to "
                          "authenticate the client and select the RESP protocol version at the "
                          "same time");
        return;
    }
    if (name.data != NULL) shoal_client__set(&session->name, name);
    session->protocol = (int)version;
    reply_hello(call);
}
