/* SPDX-License-Identifier: MIT
 *
 * core/config_text.h - lines of configuration text, for the reader and the rewriter. Pure.
 */
#ifndef SHOAL_CORE_CONFIG_TEXT_H
#define SHOAL_CORE_CONFIG_TEXT_H

#include "core/config.h"

/* Most words of one line. */
#define SHOAL_CONFIG_ARGUMENTS_MAX 256

/* Takes the next line off the front of `*text`, which is not empty; without its newline. */
shoal_slice shoal_config__next_line(shoal_slice *text);

/* The line without blanks at its ends. */
shoal_slice shoal_config__trim(shoal_slice line);

#endif
