/* SPDX-License-Identifier: MIT
 *
 * sim/live/talk.h - a conversation with a server in RESP: requests out, replies in, in order. Its
 * owner is told when the connection is there, of each reply, and when it has ended.
 *
 * One thread: the loop's. Handlers may close the conversation that they are called about.
 */
#ifndef SHOAL_SIM_LIVE_TALK_H
#define SHOAL_SIM_LIVE_TALK_H

#include "sim/live/loop.h"

/* An IPv4 address and port of this machine, both in the order of the host. */
typedef struct shoal_spot {
    uint32_t ip;
    uint16_t port;
} shoal_spot;

/* A socket that listens there, or connects from `from` (0: from anywhere) to there without waiting;
 * no call waits. -1, and errno says why. */
int shoal_spot__listen(shoal_spot at);
int shoal_spot__connect(uint32_t from, shoal_spot to);
/* Writes "127.1.2.3". */
void shoal_spot__text(uint32_t ip, char out[16]);

/* One conversation. Zero with loop, the three handlers and context set is closed. */
typedef struct shoal_talk {
    shoal_loop *loop;
    shoal_watch watch;
    bool up;             /* the connection is there */
    bool was_up;         /* when `ended` is called: it was there before */
    uint32_t generation; /* of connections: counts how often it was opened */
    shoal_buffer in, out;
    void (*opened)(void *context);
    void (*replied)(void *context, shoal_slice reply);
    void (*ended)(void *context);
    void *context;
} shoal_talk;

/* Gives it a loop and memory; handlers are set by the caller, before or after. */
void shoal_talk__make(shoal_talk *talk, shoal_loop *loop);
void shoal_talk__free(shoal_talk *talk);
/* Begins to connect. False when that failed at once. */
bool shoal_talk__open(shoal_talk *talk, uint32_t from, shoal_spot to);
/* Ends the connection without telling the owner; what was not sent is forgotten. */
void shoal_talk__close(shoal_talk *talk);
static inline bool shoal_talk__is_open(const shoal_talk *talk)
{
    return talk->watch.open;
}

/* Sends what is in `out` as far as the connection takes it now, the rest by and by. */
void shoal_talk__flush(shoal_talk *talk);
/* Adds a request of words with blanks between them to `out`. */
void shoal_talk__words(shoal_talk *talk, const char *words);

#endif
