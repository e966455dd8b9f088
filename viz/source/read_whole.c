/* SPDX-License-Identifier: MIT
 *
 * viz/source/read_whole.c - reads a file to its end, also one that has no size, such as a pipe.
 */
#include "viz/source/read_whole.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Doubles the block when it is full. False without memory; the block is then as it was. */
static bool make_room(char **data, size_t used, size_t *room)
{
    if (used < *room) return true;
    size_t wanted = *room ? *room * 2 : 65536;
    char *grown = realloc(*data, wanted);
    if (!grown) return false;
    *data = grown;
    *room = wanted;
    return true;
}

char *shoal_read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *data = NULL;
    size_t used = 0, room = 0;
    bool complete = false;
    while (!complete && make_room(&data, used, &room)) {
        size_t got = fread(data + used, 1, room - used, file);
        used += got;
        complete = got == 0;
    }
    int error = ferror(file) ? errno : complete ? 0 : ENOMEM;
    fclose(file);
    if (error) {
        free(data);
        errno = error;
        return NULL;
    }
    *size = used;
    return data;
}
