/* SPDX-License-Identifier: MIT
 *
 * The words for errors, made from shoal/error.def.
 */
#include <shoal/types.h>

const char *shoal_err_text(shoal_err error)
{
    switch (error) {
#define SHOAL_ERROR(name, value, text) \
    case SHOAL_ERR_##name:             \
        return text;
#include <shoal/error.def>
#undef SHOAL_ERROR
    default: return "unknown error";
    }
}
