/* SPDX-License-Identifier: MIT
 *
 * What a program can ask of the library itself: its version, which the build knows.
 */
#include <shoal/types.h>

#include <string.h>

const char *shoal_version(void)
{
    return SHOAL_VERSION;
}

shoal_slice shoal_slice_of(const char *text)
{
    return (shoal_slice){text, strlen(text)};
}
