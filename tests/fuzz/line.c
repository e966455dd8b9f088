/* SPDX-License-Identifier: MIT
 *
 * Lines split into arguments: never more bytes than the line has, and every argument, quoted in
 * either way, is split into itself.
 */
#include "fuzz/driver/fuzz.h"

#include "wire/resp.h"

#define ARGUMENTS_MAX 64

/* Appends `argument` between double quotes, each byte as \xHH. */
static void quote_as_hex(shoal_buffer *out, shoal_slice argument)
{
    shoal_text_appendf(out, "\"");
    for (size_t i = 0; i < argument.size; i++)
        shoal_text_appendf(out, "\\x%02x", (uint8_t)argument.data[i]);
    shoal_text_appendf(out, "\" ");
}

/* Appends `argument` between single quotes. A backslash before the closing quote would escape it,
 * so such an argument is left to the other way. */
static void quote_singly(shoal_buffer *out, shoal_slice argument)
{
    if (argument.size && memchr(argument.data, '\\', argument.size)) {
        quote_as_hex(out, argument);
        return;
    }
    shoal_text_appendf(out, "'");
    for (size_t i = 0; i < argument.size; i++) {
        if (argument.data[i] == '\'') shoal_text_appendf(out, "\\");
        shoal_buffer_append(out, (shoal_slice){argument.data + i, 1});
    }
    shoal_text_appendf(out, "'\t");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer store = shoal_buffer_make(&allocator);
    shoal_slice argv[ARGUMENTS_MAX], again[ARGUMENTS_MAX];
    int argc =
        shoal_line_split((shoal_slice){(const char *)data, size}, &store, argv, ARGUMENTS_MAX);
    SHOAL_ASSERT(argc >= -2 && argc <= ARGUMENTS_MAX);
    SHOAL_ASSERT(shoal_buffer_size(&store) <= size);

    shoal_buffer quoted = shoal_buffer_make(&allocator);
    shoal_buffer store_again = shoal_buffer_make(&allocator);
    for (int i = 0; i < argc; i++) (i % 2 ? quote_as_hex : quote_singly)(&quoted, argv[i]);
    if (argc >= 0) {
        int argc_again =
            shoal_line_split(shoal_buffer_slice(&quoted), &store_again, again, ARGUMENTS_MAX);
        SHOAL_ASSERT(argc_again == argc);
    }
    for (int i = 0; i < argc; i++) SHOAL_ASSERT(shoal_text_equal(argv[i], again[i]));
    shoal_buffer_free(&quoted);
    shoal_buffer_free(&store_again);
    shoal_buffer_free(&store);
    SHOAL_ASSERT(heap.blocks == 0);
    return 0;
}
