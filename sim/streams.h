/* SPDX-License-Identifier: MIT
 *
 * sim/streams.h - what sim/ways.c and sim/streams.c share about single connections. Inside the
 * network only.
 */
#ifndef SHOAL_SIM_STREAMS_H
#define SHOAL_SIM_STREAMS_H

#include "sim/net.h"

/* The way from one host to another. */
shoal_way *shoal_net__way(shoal_net *net, uint32_t from, uint32_t to);
/* Frees everything queued in a pipe. */
void shoal_stream__drop(shoal_net *net, shoal_pipe *pipe);
/* Subject of an occurrence that concerns an end. */
uint32_t shoal_stream__subject(shoal_port port);
/* Lets held bytes go on: at once (a stall ended) or with the next retransmission. */
void shoal_stream__release(shoal_world *world, shoal_port receiver, bool at_once);
/* An end disappears without a word. */
void shoal_stream__forget(shoal_world *world, shoal_port port);

#endif
