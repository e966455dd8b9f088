/* SPDX-License-Identifier: MIT
 *
 * sim/live/signals.h - that a person or `timeout` wants the program to end: SIGINT, SIGTERM and
 * SIGHUP are blocked and looked at between events, so that nothing has to be remembered by a
 * handler, and processes and folders are cleared away in the usual order.
 */
#ifndef SHOAL_SIM_LIVE_SIGNALS_H
#define SHOAL_SIM_LIVE_SIGNALS_H

#include <stdbool.h>

/* Blocks these signals from now on, for this process and those that it forks. */
void shoal_signals__block(void);
/* Lets them through again, for a program that is about to be started. */
void shoal_signals__unblock(void);
/* Has one of them come? It stays so. */
bool shoal_signals__pending(void);

#endif
