/* SPDX-License-Identifier: MIT
 *
 * backup/peer.h - connections of shoal-backup to servers, in RESP2: questions that wait for their
 * answers, and streams of requests whose answers come by and by. What goes wrong with a connection
 * ends the program with words that name the server.
 *
 * Threads: one.
 */
#ifndef SHOAL_BACKUP_PEER_H
#define SHOAL_BACKUP_PEER_H

#include <shoal/types.h>

/* How the program ends. */
enum {
    BACKUP_OK = 0,
    BACKUP_FAILED = 1,   /* a server, the network or the disk */
    BACKUP_USAGE = 2,    /* the command line */
    BACKUP_DAMAGED = 3,  /* what is in the folder */
    BACKUP_NOT_EMPTY = 4 /* the target holds keys */
};

/* Says why on standard error, and ends the program. */
_Noreturn void shoal_backup__die(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Microseconds of the monotonic and of the wall clock. */
int64_t shoal_backup__now_us(void);
int64_t shoal_backup__wall_us(void);
/* The allocator of the program. Static storage. */
const shoal_allocator *shoal_backup__allocator(void);

/* Who logs in, and how long a server may say nothing. */
typedef struct shoal_login {
    const char *user, *password; /* NULL: none */
    int timeout_ms;
} shoal_login;

/* A connection. */
typedef struct shoal_peer {
    int descriptor; /* -1: none */
    char name[300]; /* "host:port", for messages */
    int timeout_ms;
    shoal_buffer in, out;
    int64_t heard_us; /* when bytes came last, or it was opened */
} shoal_peer;

/* Connects and logs in. `host` is a name or an address. */
void shoal_peer__open(shoal_peer *peer, const char *host, uint16_t port, const shoal_login *login);
/* Ends it. */
void shoal_peer__close(shoal_peer *peer);

/* Adds a request to what is to be sent. */
void shoal_peer__request(shoal_peer *peer, uint32_t argc, const shoal_slice *argv);
/* The same for words with blanks between them. */
void shoal_peer__words(shoal_peer *peer, const char *words);
/* Sends what the connection takes without waiting. True when all is sent. */
bool shoal_peer__flush(shoal_peer *peer);
/* Takes what has come without waiting, behind what is in `in`. */
void shoal_peer__fill(shoal_peer *peer);
/* Waits until something has come or, while there is something to send, can be sent, of any of
 * `count` connections, but no longer than `limit_ms`. Ends the program when one of them has said
 * nothing for too long. */
void shoal_peer__wait(shoal_peer *const *peers, uint32_t count, int limit_ms);

/* Sends all, waits for the next whole answer and returns its bytes: borrowed until the next call
 * about this connection. */
shoal_slice shoal_peer__answer(shoal_peer *peer);
/* Asks in words, and returns the answer. */
shoal_slice shoal_peer__ask(shoal_peer *peer, const char *words);
/* The text of an answer that is a string or a status; ends the program for anything else. */
shoal_slice shoal_peer__text(const shoal_peer *peer, shoal_slice answer, const char *words);
/* The number of an answer that is one; ends the program for anything else. */
int64_t shoal_peer__number(const shoal_peer *peer, shoal_slice answer, const char *words);

#endif
