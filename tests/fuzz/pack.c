/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a pack: what the check lets pass is read without a fault, and written again it is
 * the same bytes.
 */
#include "fuzz/driver/fuzz.h"

#include "value/pack.h"

/* Reads every element and writes it to `out`. Returns how many bytes that were. */
static size_t write_again(shoal_slice pack, char *out)
{
    const char *at = shoal_pack_first(pack), *end = shoal_pack_end(pack);
    uint32_t count = 0;
    char *to = out + SHOAL_PACK_HEAD;
    for (; at < end; count++) {
        shoal_element element;
        char scratch[32];
        SHOAL_ASSERT(shoal_pack_at(pack, count) == at);
        const char *next = shoal_pack_read(at, end, &element);
        SHOAL_ASSERT(shoal_pack_skip(at, end) == next);
        SHOAL_ASSERT(shoal_pack_size_of(&element) == (size_t)(next - at));
        const char *found = shoal_pack_find(pack, at, &element, 0);
        SHOAL_ASSERT(found == at);
        if (element.kind != SHOAL_ELEMENT_DOUBLE) {
            shoal_element again = shoal_element_of(shoal_element_text(&element, scratch));
            SHOAL_ASSERT(shoal_element_equals(&element, &again));
        }
        to = shoal_pack_write(to, &element);
        at = next;
    }
    SHOAL_ASSERT(shoal_pack_count(pack) == count);
    shoal_pack_write_head(out, count);
    return (size_t)(to - out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *block;
    shoal_slice pack = fuzz_exactly((shoal_slice){(const char *)data, size}, size, &block);
    if (shoal_pack_check(pack)) {
        char *out = malloc(size);
        SHOAL_ASSERT(out != NULL);
        SHOAL_ASSERT(write_again(pack, out) == size);
        SHOAL_ASSERT(memcmp(out, pack.data, size) == 0);
        free(out);
    }
    free(block);
    return 0;
}
