/* SPDX-License-Identifier: MIT
 *
 * Configuration text of any bytes: it is refused with a complaint that names a line, or taken;
 * and what was taken can be written to a file and read again as the same values.
 */
#include "fuzz/driver/fuzz.h"

#include "core/config.h"

/* The present values, one after the other. */
static void show_all(const shoal_config *config, shoal_buffer *out)
{
    for (uint32_t id = 0; id < SHOAL_DIRECTIVE_COUNT; id++) {
        shoal_config__show(id, &config->values[id], out);
        shoal_buffer_append(out, (shoal_slice){"", 1});
    }
}

/* Rewrites `text` for `config`, reads the result, and compares. */
static void survive_rewriting(const shoal_config *config, shoal_slice text)
{
    shoal_config again;
    shoal_buffer file = shoal_buffer_make(config->allocator);
    shoal_buffer complaint = shoal_buffer_make(config->allocator);
    shoal_buffer values = shoal_buffer_make(config->allocator);
    shoal_buffer values_again = shoal_buffer_make(config->allocator);

    SHOAL_ASSERT(shoal_config__rewrite(config, text, &file) == SHOAL_ERR_OK);
    SHOAL_ASSERT(shoal_config__init(&again, config->allocator) == SHOAL_ERR_OK);
    SHOAL_ASSERT(shoal_config__read(&again, shoal_buffer_slice(&file), "rewritten", &complaint) ==
                 SHOAL_ERR_OK);
    show_all(config, &values);
    show_all(&again, &values_again);
    SHOAL_ASSERT(shoal_text_equal(shoal_buffer_slice(&values), shoal_buffer_slice(&values_again)));
    shoal_buffer_free(&file);
    shoal_buffer_free(&complaint);
    shoal_buffer_free(&values);
    shoal_buffer_free(&values_again);
    shoal_config__free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_slice text = {(const char *)data, size};
    shoal_buffer complaint = shoal_buffer_make(&allocator);
    shoal_config config;

    SHOAL_ASSERT(shoal_config__init(&config, &allocator) == SHOAL_ERR_OK);
    shoal_err error = shoal_config__read(&config, text, "fuzz", &complaint);
    if (error == SHOAL_ERR_OK) {
        SHOAL_ASSERT(shoal_buffer_size(&complaint) == 0);
        survive_rewriting(&config, text);
    } else {
        SHOAL_ASSERT(error == SHOAL_ERR_INVALID);
        SHOAL_ASSERT(shoal_text_find(shoal_buffer_slice(&complaint), shoal_text("at line ")) !=
                     SHOAL_TEXT_NONE);
    }
    shoal_buffer_free(&complaint);
    shoal_config__free(&config);
    SHOAL_ASSERT(heap.blocks == 0);
    return 0;
}
