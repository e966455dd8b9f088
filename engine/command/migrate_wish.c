/* SPDX-License-Identifier: MIT
 *
 * command/migrate_wish.c - see migrate.h.
 */
#include "command/migrate.h"

#include <string.h>

#include "base/assert.h"
#include "command/handlers.h"

/* Milliseconds where none are given, as in Redis. */
#define TIMEOUT_MS 1000
/* The longest: some thirty years, which is a time that can be added to others. */
#define TIMEOUT_MS_MAX INT64_C(1000000000000)

/* How the words behind the six fixed arguments went. */
typedef enum reading { GOES_ON, OVER, WRONG, FAULTY } reading;

/* Reads the word at `*at`, and goes to the last one that belongs to it. */
static reading read_word(shoal_call *call, uint32_t *at, shoal_migrate_wish *wish)
{
    SHOAL_ASSERT(*at < call->argc);
    uint32_t more = call->argc - *at - 1;
    if (shoal_call__word(call, *at, "copy")) {
        wish->copy = true;
    } else if (shoal_call__word(call, *at, "replace")) {
        wish->replace = true;
    } else if (shoal_call__word(call, *at, "auth") || shoal_call__word(call, *at, "auth2")) {
        wish->login_words = shoal_call__word(call, *at, "auth") ? 1 : 2;
        if (more < wish->login_words) return FAULTY;
        wish->login = *at + 1;
        *at += wish->login_words;
    } else if (shoal_call__word(call, *at, "keys")) {
        if (call->argv[3].size == 0) return OVER;
        shoal_reply_error(&call->reply, "ERR When using MIGRATE KEYS option, the key argument must "
                                        "be set to the empty string");
        return WRONG;
    } else {
        return FAULTY;
    }
    return GOES_ON;
}

/* The number at the start of a text, as atoi does it: Redis takes any port. */
static uint16_t read_port(shoal_slice text)
{
    uint32_t port = 0;
    for (size_t i = 0; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        port = port * 10 + (uint32_t)(text.data[i] - '0');
        if (port > UINT16_MAX) return 0;
    }
    SHOAL_ASSERT(port <= UINT16_MAX);
    return (uint16_t)port;
}

bool shoal_migrate__read(shoal_call *call, shoal_migrate_wish *wish)
{
    SHOAL_ASSERT(call->argc >= 6);
    *wish = (shoal_migrate_wish){.copy = false};
    reading end = GOES_ON;
    for (uint32_t i = 6; i < call->argc && end == GOES_ON; i++) end = read_word(call, &i, wish);
    if (end == FAULTY) shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    if (end == FAULTY || end == WRONG) return false;
    if (!shoal_call__integer(call, 5, &wish->timeout_ms) ||
        !shoal_call__integer(call, 4, &wish->db))
        return false;
    if (wish->timeout_ms <= 0) wish->timeout_ms = TIMEOUT_MS;
    if (wish->timeout_ms > TIMEOUT_MS_MAX) wish->timeout_ms = TIMEOUT_MS_MAX;
    shoal_slice host = call->argv[1];
    if (shoal_text_is(host, "localhost")) host = shoal_text("127.0.0.1");
    /* A name that is too long, or has a zero in it, is nobody's: who connects will find out. */
    if (host.size < sizeof wish->to.ip && host.size != 0) memcpy(wish->to.ip, host.data, host.size);
    wish->to.port = read_port(call->argv[2]);
    return true;
}
