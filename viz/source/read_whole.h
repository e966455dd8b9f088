/* SPDX-License-Identifier: MIT
 *
 * viz/source/read_whole.h - a file in memory. Used by the sources alone.
 */
#ifndef SHOAL_VIZ_READ_WHOLE_H
#define SHOAL_VIZ_READ_WHOLE_H

#include <stddef.h>

/* The bytes of the file, which the caller frees, or NULL with errno set. */
char *shoal_read_whole(const char *path, size_t *size);

#endif
