/* SPDX-License-Identifier: MIT
 *
 * A program that stands outside of Shoal's tree and uses only what is installed.
 */
#include <shoal/trace.h>
#include <shoal/types.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&allocator);
    shoal_trace_entry entry = {.time_us = 1, .record = {.kind = SHOAL_TRACE_READY}};
    shoal_trace_text(&entry, &text);
    bool fine = !text.failed && shoal_buffer_size(&text) > 0;
    fine = fine && strcmp(shoal_err_text(SHOAL_ERR_OK), "no error") == 0;
    shoal_buffer_free(&text);
    puts(fine ? "all is well" : "something is wrong");
    return fine ? 0 : 1;
}
