/* SPDX-License-Identifier: MIT
 *
 * command/handlers.h - the functions that commands.def names, and the few things that many of
 * them need: arguments as numbers, words, values, and errors in the words that clients know.
 */
#ifndef SHOAL_COMMAND_HANDLERS_H
#define SHOAL_COMMAND_HANDLERS_H

#include "base/text.h"
#include "command/command.h"

/* shoal_command__<handler> of every row that has one. */
#define SHOAL_HANDLER__LOCAL(handler) void shoal_command__##handler(shoal_call *call);
#define SHOAL_HANDLER__READ(handler) void shoal_command__##handler(shoal_call *call);
#define SHOAL_HANDLER__GATED(handler) void shoal_command__##handler(shoal_call *call);
#define SHOAL_HANDLER__TOUR(handler) void shoal_command__##handler(shoal_call *call);
#define SHOAL_HANDLER__CONTROL(handler)
#define SHOAL_COMMAND(ID, NAME, PARENT, EXECUTOR, HANDLER, ...) SHOAL_HANDLER__##EXECUTOR(HANDLER)
#include "command/commands.def"
#undef SHOAL_COMMAND

/* Errors that several commands answer. */
#define SHOAL_ERROR__SYNTAX "ERR syntax error"
#define SHOAL_ERROR__INTEGER "ERR value is not an integer or out of range"
#define SHOAL_ERROR__TYPE "WRONGTYPE Operation against a key holding the wrong kind of value"
#define SHOAL_ERROR__MEMORY "OOM no memory left for this command"
#define SHOAL_ERROR__NO_CLUSTER "ERR This instance has cluster support disabled"
#define SHOAL_ERROR__TRY_AGAIN "TRYAGAIN Multiple keys request during rehashing of slot"
#define SHOAL_ERROR__NO_DATABASE "ERR DB index is out of range"

/* Argument `index` as an integer. False after writing an error. */
bool shoal_call__integer(shoal_call *call, uint32_t index, int64_t *value);
/* Argument `index` is `word`, whatever the case. */
static inline bool shoal_call__word(const shoal_call *call, uint32_t index, const char *word)
{
    return shoal_text_is(call->argv[index], word);
}
/* "wrong number of arguments" for this command. */
void shoal_call__arity(shoal_call *call);
/* The same for any command and reply. */
void shoal_reply__arity(shoal_reply *reply, const shoal_command *command);
/* The full name, with a bar before a subcommand: at most `size` bytes with the zero. */
void shoal_command__full_name(const shoal_command *command, char *out, size_t size);

/* The settings of this moment. */
const shoal_settings *shoal_call__settings(const shoal_call *call);

/* Counts that a reader has looked for key `index`, and tells those who want to know of a miss. */
void shoal_call__met(const shoal_call *call, uint32_t index, bool found);
/* The item of key `index` for a reader, counted as hit or miss; NULL when there is none. */
const shoal_item *shoal_call__look(shoal_call *call, uint32_t index);
/* The same, but no use of the key as far as eviction is concerned. */
const shoal_item *shoal_call__peek(shoal_call *call, uint32_t index);
/* As look, where the bytes of a string may be read: false, and the handler returns at once, when it
 * is a string that is an object, and the gates are not held (call->wants_gates is set then). */
bool shoal_call__look_text(shoal_call *call, uint32_t index, const shoal_item **item);
/* As look, for a string. False, and the handler returns at once, after writing an error because it
 * is another type, or when it is an object and the gates are not held (call->wants_gates). */
bool shoal_call__look_string(shoal_call *call, uint32_t index, const shoal_item **item);
/* The compound value of key `index` for a reader, counted as hit or miss. `value` is empty (neither
 * pack nor object) when there is none. False, and the handler returns at once, after writing an
 * error because it is another type, or when it is an object and the gates are not held
 * (call->wants_gates is set then). */
bool shoal_call__look_compound(shoal_call *call, uint32_t index, shoal_value_type type,
                               shoal_compound *value);
/* The compound value of key `index` under its gate, not counted; the same. `*item` is its item or
 * NULL (for its TTL, say). */
bool shoal_call__find_compound(shoal_call *call, uint32_t index, shoal_value_type type,
                               const shoal_item **item, shoal_compound *value);
/* The item of key `index` under its gate, not counted. */
const shoal_item *shoal_call__find(shoal_call *call, uint32_t index);
/* As find, for a string. */
bool shoal_call__find_string(shoal_call *call, uint32_t index, const shoal_item **item);
/* Writes the string of `item`, or a null. */
void shoal_call__reply_string(shoal_call *call, const shoal_item *item);
/* Before a call runs under its gates: can what it may have to remove be removed? False after
 * writing an error. */
bool shoal_call__ready(shoal_call *call);
/* Writes the error for a failed store operation. True when `err` is 0 (nothing written). */
bool shoal_call__stored(shoal_call *call, shoal_err err);

#endif
