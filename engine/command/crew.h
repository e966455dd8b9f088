/* SPDX-License-Identifier: MIT
 *
 * command/crew.h - all workers of a node at work on its files while it loads. The control actor
 * cuts files into records, each about one key: a value of an RDB file that has not been read, or a
 * command of an append-only file. Each goes, in batches, to the worker that its slot belongs to, so
 * that the order of what concerns a key is that of the file. What is not about one key is left to
 * the control actor, which waits until all batches have come home.
 *
 *   take -> batch of a worker -> its inbox -> decoded and put, or applied -> inbox of control
 *
 * Threads: the control actor's; batches run on the workers.
 */
#ifndef SHOAL_COMMAND_CREW_H
#define SHOAL_COMMAND_CREW_H

#include "command/command.h"
#include "rdb/rdb.h"

/* Bytes of records that are on their way, from which on no more should be read. */
#define SHOAL_CREW_BYTES_MAX ((uint64_t)8 << 20)

/* Most arguments of a command that a crew takes. */
#define SHOAL_CREW__ARGUMENTS 64u

/* The crew of a node that loads. */
typedef struct shoal_crew shoal_crew;

/* How to make one. */
typedef struct shoal_crew_options {
    shoal_env *env;
    shoal_rdb_limits limits; /* of values that are read */
} shoal_crew_options;

/* Makes one. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_crew_open(const shoal_crew_options *options, shoal_crew **out);
/* Frees it; it is idle, or no worker runs any more. NULL does nothing. */
void shoal_crew_close(shoal_crew *crew);

/* A value that has not been read. */
typedef struct shoal_crew_value {
    shoal_slice name, value; /* borrowed for the call */
    uint32_t db, kind;
    int64_t expires_ms; /* < 0: never */
    int64_t idle_s;     /* since it was used, < 0: not known */
    int32_t frequency;  /* of its use, 0 to 255; < 0: not known */
    uint64_t offset;    /* of the file, for what is said when it is damaged */
} shoal_crew_value;

/* Takes a value. False without memory. */
SHOAL_MUST_USE bool shoal_crew_take_value(shoal_crew *crew, const shoal_crew_value *value);

/* What becomes of a command. */
typedef enum shoal_crew_taken {
    SHOAL_CREW_TAKEN,
    SHOAL_CREW_BESIDE, /* to be run by the caller, now */
    SHOAL_CREW_ALONE,  /* to be run by the caller, once the crew is idle */
    SHOAL_CREW_NO_MEMORY
} shoal_crew_taken;

/* Takes a command, or leaves it to the caller. It follows SELECT. */
shoal_crew_taken shoal_crew_take_command(shoal_crew *crew, const shoal_slice *argv, uint32_t argc);
/* Commands are about database 0 again. */
void shoal_crew_begin(shoal_crew *crew);
/* Keys of the commands taken since then; one that several commands in a row are about counts once.
 */
uint64_t shoal_crew_keys(const shoal_crew *crew);

/* Sends what has been taken. */
void shoal_crew_send(shoal_crew *crew);
/* Everything that was taken is done. */
bool shoal_crew_is_idle(const shoal_crew *crew);
/* As much as should be is on its way. */
bool shoal_crew_is_full(const shoal_crew *crew);
/* What was wrong with a value, static text, and the offset that it was taken with; NULL: nothing.
 */
const char *shoal_crew_trouble(const shoal_crew *crew, uint64_t *offset);

#endif
