/* SPDX-License-Identifier: MIT
 *
 * command/trip.h - commands that this node says to another one as a client, and the answers to
 * them. Connections are the control actor's; who wants something said hands a trip to it, and goes
 * on when the trip is home. MIGRATE is who does that; core/trips.c is who carries.
 */
#ifndef SHOAL_COMMAND_TRIP_H
#define SHOAL_COMMAND_TRIP_H

#include "command/command.h"

/* How a trip ended. */
typedef enum shoal_trip_end {
    SHOAL_TRIP_HOME,       /* all answers are there */
    SHOAL_TRIP_CONNECTING, /* nobody was reached, */
    SHOAL_TRIP_WRITING,    /* or did not take what was said, */
    SHOAL_TRIP_READING     /* or did not answer it, or something else: `answers` has what came */
} shoal_trip_end;

/* Commands to another node, and its answers. The owner keeps it where it is until it is home. */
typedef struct shoal_trip {
    shoal_op op; /* first: on its way to the control actor */
    shoal_address to;
    int64_t db;           /* in which the commands are said */
    int64_t timeout_us;   /* without any progress */
    shoal_buffer login;   /* AUTH, or empty */
    shoal_buffer said;    /* the commands, in the words of the protocol */
    uint32_t expected;    /* how many they are */
    shoal_errand *errand; /* that waits for it */
    /* The outcome. */
    shoal_trip_end end;
    bool selected;        /* a SELECT was said before them */
    shoal_buffer answers; /* as they came: to AUTH, to SELECT, to the commands */
} shoal_trip;

/* Hands a trip over. The errand's job goes on with a step of its worker when it is home. */
void shoal_trip_send(shoal_trip *trip, shoal_errand *errand);
/* It is home: whatever the outcome. Control. */
void shoal_trip_over(shoal_trip *trip);

#endif
