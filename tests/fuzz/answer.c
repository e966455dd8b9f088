/* SPDX-License-Identifier: MIT
 *
 * Replies read from any bytes: a beginning of a reply is never taken for another reply, and what
 * was read and written again is the same bytes.
 */
#include "fuzz/driver/fuzz.h"

#include "wire/resp.h"

/* Writes the element, where there is one way to write it. */
static bool write_again(shoal_reply *reply, const shoal_answer *answer)
{
    size_t count = (size_t)answer->integer;
    switch (answer->type) {
    case '-':
        if (answer->text.size && memchr(answer->text.data, '\0', answer->text.size)) return false;
        shoal_reply_errorf(reply, "%.*s", (int)answer->text.size, answer->text.data);
        return true;
    case ':': shoal_reply_integer(reply, answer->integer); return true;
    case '_': shoal_reply_null(reply); return true;
    case '#': shoal_reply_boolean(reply, answer->integer == 1); return true;
    case '$':
        if (answer->integer < 0) return false;
        shoal_reply_bulk(reply, answer->text);
        return true;
    case '=':
        if (answer->text.size < 4 || answer->text.data[3] != ':') return false;
        shoal_reply_verbatim(reply, answer->text.data,
                             (shoal_slice){answer->text.data + 4, answer->text.size - 4});
        return true;
    case '*':
        if (answer->integer < 0) return false;
        shoal_reply_array(reply, count);
        return true;
    case '%': shoal_reply_map(reply, count / 2); return true;
    case '~': shoal_reply_set(reply, count); return true;
    case '>': shoal_reply_push(reply, count); return true;
    default: return false;
    }
}

/* Walks the elements of a whole reply. */
static void check_elements(shoal_slice bytes)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_reply reply = {&out, 3};
    while (bytes.size) {
        shoal_answer answer;
        SHOAL_ASSERT(shoal_answer_next(bytes, &answer) == SHOAL_ERR_OK);
        SHOAL_ASSERT(answer.size > 0 && answer.size <= bytes.size);
        SHOAL_ASSERT(answer.text.size <= answer.size - 3);
        if (write_again(&reply, &answer)) {
            shoal_slice own = {bytes.data, answer.size};
            SHOAL_ASSERT(shoal_text_equal(shoal_buffer_slice(&out), own));
            shoal_buffer_consume(&out, shoal_buffer_size(&out));
        }
        bytes.data += answer.size;
        bytes.size -= answer.size;
    }
    shoal_buffer_free(&out);
    SHOAL_ASSERT(heap.blocks == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shoal_slice bytes = {(const char *)data, size};
    size_t used = 0;
    shoal_err whole = shoal_answer_size(bytes, &used);
    SHOAL_ASSERT(whole == SHOAL_ERR_OK || whole == SHOAL_ERR_TRUNCATED ||
                 whole == SHOAL_ERR_MALFORMED);
    if (whole == SHOAL_ERR_OK) {
        SHOAL_ASSERT(used > 0 && used <= size);
        check_elements((shoal_slice){bytes.data, used});
    }
    /* Not every beginning of a long input, lest the work be quadratic. */
    size_t step = 1 + size / 64;
    for (size_t cut = 0; cut < size; cut += step) {
        char *block;
        size_t cut_used = 0;
        shoal_err found = shoal_answer_size(fuzz_exactly(bytes, cut, &block), &cut_used);
        free(block);
        if (whole == SHOAL_ERR_OK && cut >= used)
            SHOAL_ASSERT(found == SHOAL_ERR_OK && cut_used == used);
        else if (whole == SHOAL_ERR_MALFORMED)
            SHOAL_ASSERT(found == SHOAL_ERR_MALFORMED || found == SHOAL_ERR_TRUNCATED);
        else
            SHOAL_ASSERT(found == SHOAL_ERR_TRUNCATED);
    }
    return 0;
}
