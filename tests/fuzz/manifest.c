/* SPDX-License-Identifier: MIT
 *
 * A manifest of any bytes: it is refused with a reason, or read, and what was read is written as a
 * manifest that is read again and written the same.
 */
#include "fuzz/driver/fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "persist/aof_manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shoal_allocator allocator = shoal_allocator_default();
    shoal_manifest manifest = shoal_manifest_make(&allocator);
    shoal_manifest_complaint complaint;
    shoal_slice text = {(const char *)data, size};
    if (shoal_manifest_read(&manifest, text, &complaint) != SHOAL_ERR_OK) {
        SHOAL_ASSERT(complaint.reason != NULL);
    } else if (shoal_manifest_count(&manifest) > 0) {
        shoal_manifest again = shoal_manifest_make(&allocator);
        shoal_buffer first = shoal_buffer_make(&allocator), second = shoal_buffer_make(&allocator);
        shoal_manifest_write(&manifest, &first);
        if (shoal_manifest_read(&again, shoal_buffer_slice(&first), &complaint) == SHOAL_ERR_OK) {
            shoal_manifest_write(&again, &second);
            SHOAL_ASSERT(shoal_buffer_size(&first) == shoal_buffer_size(&second));
            SHOAL_ASSERT(memcmp(first.data, second.data, shoal_buffer_size(&first)) == 0);
        }
        shoal_buffer_free(&first);
        shoal_buffer_free(&second);
        shoal_manifest_free(&again);
    }
    shoal_manifest_free(&manifest);
    return 0;
}
