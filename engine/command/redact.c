/* SPDX-License-Identifier: MIT
 *
 * command/redact.c - passwords among arguments: of AUTH, of HELLO ... AUTH, of MIGRATE, and the
 * values of directives that hold one.
 */
#include "command/redact.h"

#include "base/assert.h"
#include "base/text.h"

/* Is the value of this directive a secret? The same that Redis hides. */
static bool is_secret(shoal_slice directive)
{
    static const char names[][32] = {"requirepass", "masterauth", "masteruser", "tls-key-file-pass",
                                     "tls-client-key-file-pass"};
    SHOAL_DEBUG_ASSERT(directive.size == 0 || directive.data != NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (shoal_text_is(directive, names[i])) return true;
    }
    return false;
}

/* The two words behind AUTH, wherever that stands. */
static bool behind_auth(const shoal_slice *argv, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index > 0);
    return (index > 2 && shoal_text_is(argv[index - 1], "auth")) ||
           (index > 3 && shoal_text_is(argv[index - 2], "auth"));
}

/* The same of MIGRATE, where other words may be called AUTH too. */
static bool is_login(const shoal_slice *argv, uint32_t argc, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < argc);
    for (uint32_t i = 6; i < index; i++) {
        uint32_t secrets = shoal_text_is(argv[i], "auth2") ? 2 : shoal_text_is(argv[i], "auth");
        if (shoal_text_is(argv[i], "keys")) return false;
        if (index <= i + secrets) return true;
        i += secrets;
    }
    return false;
}

shoal_slice shoal_command__redacted(const shoal_command *command, const shoal_slice *argv,
                                    uint32_t argc, uint32_t index)
{
    SHOAL_ASSERT(index < argc);
    bool hidden = false;
    switch (command->id) {
    case SHOAL_COMMAND_AUTH: hidden = index > 0; break;
    case SHOAL_COMMAND_HELLO: hidden = index > 0 && behind_auth(argv, index); break;
    case SHOAL_COMMAND_MIGRATE: hidden = is_login(argv, argc, index); break;
    case SHOAL_COMMAND_CONFIG_SET:
        hidden = index > 2 && index % 2 == 1 && is_secret(argv[index - 1]);
        break;
    default: break;
    }
    return hidden ? shoal_text("(redacted)") : argv[index];
}
