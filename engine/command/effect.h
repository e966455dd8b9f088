/* SPDX-License-Identifier: MIT
 *
 * command/effect.h - what a command that changed something leaves in the log (log/log.h), for
 * replicas and for the append-only file: the command as it came, unless its handler says otherwise.
 * What depends on the moment or on chance is told by its outcome: absolute times, the members that
 * SPOP took, the number that INCRBYFLOAT came to.
 *
 * A command or a transaction is one piece of the log: several effects of one stand between MULTI
 * and EXEC. Keys that go because their time has come, or to make room, leave a DEL (or UNLINK).
 *
 * Under the gates of the keys. Where nobody wants the log, nothing here costs more than a look.
 */
#ifndef SHOAL_COMMAND_EFFECT_H
#define SHOAL_COMMAND_EFFECT_H

#include "command/command.h"

/* Instead of the command as it came, tells this one; more calls tell more, in order. The arguments
 * are copied. To be called when the change has been made, or is certain to be. */
void shoal_effect_tell(shoal_call *call, const shoal_slice *argv, uint32_t argc);
/* The command leaves nothing, though it changes keys. */
void shoal_effect_none(shoal_call *call);
/* The command is told as it came although no key has changed (PUBLISH, SCRIPT LOAD). */
void shoal_effect_as_is(shoal_call *call);

#endif
