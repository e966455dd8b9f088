/* SPDX-License-Identifier: MIT
 *
 * command/redact.h - which arguments of a command are secrets, which SLOWLOG and MONITOR must not
 * show.
 */
#ifndef SHOAL_COMMAND_REDACT_H
#define SHOAL_COMMAND_REDACT_H

#include "command/command.h"

/* Argument `index` of a call as others may see it: "(redacted)" for passwords. */
shoal_slice shoal_command__redacted(const shoal_command *command, const shoal_slice *argv,
                                    uint32_t argc, uint32_t index);

#endif
