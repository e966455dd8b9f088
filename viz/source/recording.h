/* SPDX-License-Identifier: MIT
 *
 * viz/source/recording.h - what a node's flight recorder wrote (shoal/tape.h), run again to get the
 * entries of its trace. Used by file.c alone.
 */
#ifndef SHOAL_VIZ_RECORDING_H
#define SHOAL_VIZ_RECORDING_H

#include "viz/source/timeline.h"

/* Adds the entries of the recording in `bytes`. Where the node did something else than this program
 * does, they end with a caption that says so. False with a complaint when it cannot be read. */
bool shoal_recording_add(shoal_timeline *timeline, shoal_slice bytes, char *complaint, size_t room);

#endif
