/* SPDX-License-Identifier: MIT
 *
 * Workers and clients in a box: a store, one to four workers driven by the test's one thread, and
 * a control actor that the test plays itself. Bytes go in, replies come out. For tests of the
 * command room.
 *
 * Threads: everything runs on the test's thread, in an order that the test decides.
 */
#ifndef SHOAL_TEST_COMMAND_BOX_H
#define SHOAL_TEST_COMMAND_BOX_H

#include <shoal/node.h>

#include "command/command.h"
#include "log/log.h"
#include "support/allocator.h"

#define COMMAND_BOX_WORKERS 4

/* Wall-clock milliseconds at which boxes start. */
#define COMMAND_BOX_START_MS 1700000000000

/* The box. Change `settings` before a round to change what workers see. Store thread
 * `worker_count` is the test's own: the "other thread" that holds gates. */
typedef struct command_box {
    test_heap heap;
    shoal_env env;
    shoal_host host;
    shoal_inbox control;
    shoal_settings settings;
    shoal_worker *workers[COMMAND_BOX_WORKERS];
    uint32_t nudged; /* bit 0 control, bit 1 + i worker i */
    shoal_time now;
    shoal_log *log; /* NULL before command_box_log */
    shoal_log_reader reader;
    int64_t deadlines[COMMAND_BOX_WORKERS]; /* what each worker's last end returned */
} command_box;

/* A client of a box. `out` holds the replies since client_take. */
typedef struct command_client {
    command_box *box;
    uint32_t worker;
    shoal_session *session; /* NULL once closed */
    shoal_buffer out;
    shoal_allocator allocator;
    shoal_feed feed; /* what the last feed returned */
} command_client;

/* Makes a box with so many workers, in cluster mode or not. */
void command_box_open(command_box *box, uint32_t workers, bool cluster);
/* Gives it a log of effects, which is wanted from now on. Before anything runs. */
void command_box_log(command_box *box);
/* The effects that have come since the last time, in RESP; the caller frees it with
 * shoal_buffer_free. */
shoal_buffer command_box_effects(command_box *box);
/* Checks these effects, written as words with a blank between them and " | " between commands. '?'
 * stands for any one word. */
void command_box_told(command_box *box, const char *effects);
/* Ends it and checks that every byte came back. Clients must be closed. */
void command_box_close(command_box *box);
/* Lets time pass. */
void command_box_sleep(command_box *box, int64_t milliseconds);
/* Runs one round of a worker without input. */
void command_box_round(command_box *box, uint32_t worker);
/* Runs rounds of nudged workers, and of those that want one now, until there are none. The control
 * actor is left alone. */
void command_box_settle(command_box *box);

/* Connects a client to a worker. */
void client_open(command_client *client, command_box *box, uint32_t worker);
/* Closes it if it is still open, and frees its replies. */
void client_close(command_client *client);
/* Sends bytes in one round of the client's worker. Nothing else runs. */
void client_send(command_client *client, shoal_slice bytes);
/* Sends text, settles the box, and checks that exactly `replies` has come since the last check. In
 * both, each '~' stands for CRLF and each '^' for '~'. */
void client_asks(command_client *client, const char *text, const char *replies);
/* Checks what has come since the last check, written as for client_asks. */
void client_got(command_client *client, const char *replies);

/* Runs `during` while the gate of `key` in database 0 is held by the test's own store thread. */
void command_box_hold(command_box *box, const char *key, void (*during)(void *), void *context);

#endif
