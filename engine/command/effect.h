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
 * An operation is what runs under one holding of gates. Its effects gather in the memory of the
 * thread that runs it, and become one piece of the log at its end, before the gates are let go: so
 * the log has the effects on a slot in the order in which they happened. docs/decisions/effects.md
 * says why it is done so.
 *
 * Under the gates of the keys. Where nobody wants the log, nothing here costs more than a look.
 */
#ifndef SHOAL_COMMAND_EFFECT_H
#define SHOAL_COMMAND_EFFECT_H

#include "command/command.h"
#include "log/log.h"

/* ---- for handlers ---- */

/* What a call leaves: shoal_call.effect. */
typedef enum shoal_effect {
    SHOAL_EFFECT__USUAL = 0, /* the command as it came, if it changed a key */
    SHOAL_EFFECT__TOLD,      /* what it has told */
    SHOAL_EFFECT__NONE,
    SHOAL_EFFECT__AS_IS /* the command as it came */
} shoal_effect;

/* Instead of the command as it came, tells this one; more calls tell more. The arguments
 * are copied, but for large ones of the call itself. To be called when the change has been made, or
 * is certain to be. */
void shoal_effect_tell(shoal_call *call, const shoal_slice *argv, uint32_t argc);
/* The same: `argc` arguments, and behind them `count` of the call's own, from `first` on. */
typedef struct shoal_effect_rest {
    uint32_t first, count;
} shoal_effect_rest;
void shoal_effect_tell_with(shoal_call *call, const shoal_slice *argv, uint32_t argc,
                            shoal_effect_rest rest);
/* The command leaves nothing, though it changes keys, or has told something: it has failed. */
void shoal_effect_none(shoal_call *call);
/* The command is told as it came although no key has changed (PUBLISH, SCRIPT LOAD). */
void shoal_effect_as_is(shoal_call *call);
/* Tells something that has happened on the way, whatever the command leaves besides: a field whose
 * time had come is gone. */
void shoal_effect_aside(const shoal_call *call, const shoal_slice *argv, uint32_t argc);
/* So many changes of keys have been told in this way: they are none of the command's. */
void shoal_effect_discount(const shoal_call *call, uint64_t changes);
/* Does anybody want what the call leaves? For handlers whose telling costs something. */
bool shoal_effect_wanted(const shoal_call *call);

/* A number as an argument. */
typedef struct shoal_effect_number {
    char text[SHOAL_INT_TEXT_SIZE];
} shoal_effect_number;
/* Writes it; the slice is borrowed from `room`. */
shoal_slice shoal_effect_integer(shoal_effect_number *room, int64_t value);
/* DEL, or UNLINK where `lazy`. */
shoal_slice shoal_effect_removal(bool lazy);

/* Changes told in the words that Redis uses. */
/* DEL of key `index`. */
void shoal_effect__del(shoal_call *call, uint32_t index, bool lazy);
/* SET of key `index`, which lives until `at_ms` (< 0: for ever). */
void shoal_effect__set(shoal_call *call, uint32_t index, shoal_slice value, int64_t at_ms);
/* PEXPIREAT of key 0, as it stands in the call or with `rest` of its arguments. */
void shoal_effect__expire(shoal_call *call, int64_t at_ms, shoal_effect_rest rest);
/* `word` with the name of key `index`; with a count too if that is not 0. LPOP k, ZPOPMIN k 3. */
void shoal_effect__pop(shoal_call *call, const char *word, uint32_t index, uint64_t count);
/* HPEXPIREAT of one field of key 0. */
void shoal_effect__date_field(shoal_call *call, shoal_slice field, int64_t at_ms);
/* HDEL of one field of key 0. */
void shoal_effect__remove_field(shoal_call *call, shoal_slice field);

/* ---- for whoever runs operations: this room's own ---- */

/* Runs a call's handler as an operation of its own, under its gates; call->logged is then the
 * offset behind what it left in the log, 0 for nothing. */
void shoal_effect__run(shoal_call *call);
/* Who wants to know what commands change: subscribers to events of keys and clients that track, the
 * log alone, nobody? Where nobody does, a handler may be called, or done without, under the gates
 * and outside of shoal_effect__run. */
typedef enum shoal_effect__wants {
    SHOAL_EFFECT__BY_NOBODY = 0,
    SHOAL_EFFECT__BY_LOG,
    SHOAL_EFFECT__BY_OTHERS /* and perhaps by the log */
} shoal_effect__wants;
shoal_effect__wants shoal_effect__wanted_by(const shoal_env *env);
/* What of a request goes into the log: its bytes as they came (NULL: it came otherwise), and its
 * arguments. Borrowed. */
typedef struct shoal_effect__words {
    const char *text;
    const shoal_slice *argv;
    uint32_t argc, db;
} shoal_effect__words;
/* Carries out and tells a SET of a key and a value without more, as an operation of its own, where
 * the log alone wants it; for a client, never for what comes from a master. `*logged` becomes the
 * offset behind it, if it has been told. 0, or SHOAL_ERR_NO_MEMORY: nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_effect__put(const shoal_env *env, shoal_thread *thread,
                                           const shoal_key *key, const shoal_effect__words *words,
                                           uint64_t *logged);
/* The same for what `step` does with `context`: a part of a call that takes several operations. */
typedef void (*shoal_effect__step)(void *context, shoal_call *call);
void shoal_effect__run_step(shoal_call *call, shoal_effect__step step, void *context);
/* An operation of several calls begins; each is run by shoal_effect__run_part. */
void shoal_effect__begin(const shoal_call *base);
void shoal_effect__run_part(shoal_call *call, shoal_effect__step step, void *context);
/* It ends: base->logged as above. */
void shoal_effect__end(shoal_call *base);

/* ---- for the rooms above ---- */

/* Gives env->log the memory in which the effects of `threads` threads of the store gather, and
 * learns of keys that go by themselves. Before any thread uses the store. 0 or
 * SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_effects_open(shoal_env *env, uint32_t threads);
/* Gives it back; no thread uses the store any more. The log is the caller's. */
void shoal_effects_close(shoal_env *env);
/* Tells an argv for database `db` that is no command of a client, from thread `thread`; under the
 * gates of what it is about, or in a moment of the store. The offset behind it; 0 when nobody wants
 * it. */
uint64_t shoal_effects_tell(shoal_env *env, shoal_thread *thread, uint32_t db,
                            const shoal_slice *argv, uint32_t argc);

/* The offset of the log behind what thread `thread` has told last; 0: nothing. By that thread. */
uint64_t shoal_effects_logged(const shoal_env *env, const shoal_thread *thread);

#endif
