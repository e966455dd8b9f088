/* SPDX-License-Identifier: MIT
 *
 * command/debug.h - the subcommands of DEBUG. Each has the number of arguments that it takes, and
 * runs on the session's worker; those that look at data go on as jobs, under the gates they need.
 */
#ifndef SHOAL_COMMAND_DEBUG_H
#define SHOAL_COMMAND_DEBUG_H

#include "command/handlers.h"

/* DEBUG PROTOCOL type */
void shoal_debug__protocol(shoal_call *call);
/* DEBUG MALLCTL name [value], DEBUG MALLCTL-STR name [value]. */
void shoal_debug__mallctl(shoal_call *call);
void shoal_debug__mallctl_text(shoal_call *call);
/* DEBUG OBJECT key: how its value is kept. */
void shoal_debug__object(shoal_call *call);
/* DEBUG DIGEST: a digest of everything, the same wherever the same data is, in Redis too. */
void shoal_debug__digest(shoal_call *call);
/* DEBUG DIGEST-VALUE key ...: a digest of each value, whatever its name. */
void shoal_debug__digest_value(shoal_call *call);
/* DEBUG HTSTATS-KEY key: how a value with a table of its own fills it. */
void shoal_debug__table_of_key(shoal_call *call);
/* DEBUG POPULATE count [prefix] [size]: creates string keys. */
void shoal_debug__populate(shoal_call *call);
/* DEBUG RELOAD [MERGE] [NOFLUSH] [NOSAVE]: writes everything as an RDB file, and reads that
 * again. */
void shoal_debug__reload(shoal_call *call);
/* DEBUG SLEEP seconds: the node does nothing until then, as its world's `busy` (shoal/host.h) says.
 * In a world without that the reply comes so much later, and what a master sends waits. */
void shoal_debug__sleep(shoal_call *call);

/* ---- debug_digest.c ---- */

/* Bytes of a digest. */
#define SHOAL_DEBUG__DIGEST_SIZE 20u
/* A digest of data, place by place. Zero is a start. */
typedef struct shoal_debug__data {
    unsigned char digest[SHOAL_DEBUG__DIGEST_SIZE];
    uint32_t databases; /* so far: behind the last that is not empty */
} shoal_debug__data;
/* Adds the keys of a place, under its gate. Places come in ascending order. */
void shoal_debug__digest_add(shoal_debug__data *data, shoal_call *call, uint32_t place);
/* Answers with it. */
void shoal_debug__digest_tell(const shoal_debug__data *data, shoal_call *call);
/* Answers with the digest of a value, all zero for none; under its gate. */
void shoal_debug__digest_tell_value(shoal_call *call, const shoal_item *item);

#endif
