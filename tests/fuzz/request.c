/* SPDX-License-Identifier: MIT
 *
 * Requests from any bytes: pieces give what the whole gives, and so does the shorter way for those
 * that begin alike; nothing reaches outside the input, memory stays in proportion to it, and what
 * was found can be written again and found again.
 */
#include "fuzz/driver/fuzz.h"

#include "wire/alike.h"

/* Appends what the parser found, so that two ways can be compared. */
static void note(shoal_buffer *log, const shoal_request *request, shoal_parse found)
{
    shoal_text_appendf(log, "%d %u %zu\n", found, request->argc, request->size);
    for (uint32_t i = 0; i < request->argc; i++) {
        shoal_text_appendf(log, "%zu ", request->argv[i].size);
        shoal_buffer_append(log, request->argv[i]);
    }
    if (found == SHOAL_PARSE_ERROR)
        shoal_text_appendf(log, "%s %d\n", request->complaint, request->complaint_char);
}

/* True when `inner` lies within `outer`. */
static bool is_inside(shoal_slice inner, shoal_slice outer)
{
    uintptr_t a = (uintptr_t)inner.data, b = (uintptr_t)outer.data;
    return a >= b && inner.size <= outer.size && a - b <= outer.size - inner.size;
}

/* What must hold after each call. */
static void check(const shoal_request *request, shoal_slice bytes, shoal_parse found)
{
    SHOAL_ASSERT((found == SHOAL_PARSE_ERROR) == (request->complaint != NULL));
    if (found == SHOAL_PARSE_MORE)
        SHOAL_ASSERT(request->wanted == 0 || request->wanted > bytes.size);
    if (found != SHOAL_PARSE_REQUEST) {
        SHOAL_ASSERT(request->size == 0);
        return;
    }
    SHOAL_ASSERT(request->size > 0 && request->size <= bytes.size);
    shoal_slice unquoted = shoal_buffer_slice(&request->unquoted);
    shoal_slice taken = {bytes.data, request->size};
    for (uint32_t i = 0; i < request->argc; i++)
        SHOAL_ASSERT(is_inside(request->argv[i], bytes.data[0] == '*' ? taken : unquoted));
}

/* Writes the request as a multibulk and parses that. */
static void write_and_parse_again(const shoal_request *request, const shoal_allocator *allocator)
{
    shoal_buffer out = shoal_buffer_make(allocator);
    shoal_reply writer = {&out, 2};
    shoal_reply_array(&writer, request->argc);
    for (uint32_t i = 0; i < request->argc; i++) shoal_reply_bulk(&writer, request->argv[i]);

    shoal_request again = {.limits = shoal_request_limits_default(), .allocator = allocator};
    SHOAL_ASSERT(shoal_request_parse(&again, shoal_buffer_slice(&out)) == SHOAL_PARSE_REQUEST);
    SHOAL_ASSERT(again.size == shoal_buffer_size(&out));
    SHOAL_ASSERT(again.argc == request->argc);
    for (uint32_t i = 0; i < request->argc; i++)
        SHOAL_ASSERT(shoal_text_equal(again.argv[i], request->argv[i]));
    shoal_request_free(&again);
    shoal_buffer_free(&out);
}

/* What the request begins with that was found last. */
typedef struct memory {
    shoal_request_head head;
    bool kept;
} memory;

/* Looks for a request, by the shorter way where it begins as the last one. */
static shoal_parse parse(shoal_request *request, shoal_slice bytes, memory *last)
{
    bool alike = last->kept && shoal_request_is_alike(bytes, &last->head);
    shoal_parse found = alike ? shoal_request_parse_alike(request, bytes, &last->head)
                              : shoal_request_parse(request, bytes);
    if (found == SHOAL_PARSE_REQUEST) last->head = shoal_request_head_of(request);
    return found;
}

/* Everything at once. */
static void parse_whole(shoal_request *request, shoal_slice bytes, shoal_buffer *log, bool kept)
{
    shoal_parse found;
    memory last = {.kept = kept};
    while ((found = parse(request, bytes, &last)) == SHOAL_PARSE_REQUEST) {
        check(request, bytes, found);
        note(log, request, found);
        write_and_parse_again(request, request->allocator);
        bytes.data += request->size;
        bytes.size -= request->size;
    }
    check(request, bytes, found);
    note(log, request, found);
}

/* The same bytes as they may come from a socket: pieces of 1 to `step` bytes, each time moved to
 * another address; bytes that cannot help yet are waited for. */
static void parse_pieces(shoal_request *request, shoal_slice bytes, uint64_t step,
                         shoal_buffer *log)
{
    shoal_prng prng = shoal_prng_make((uint64_t[2]){step, bytes.size}, 0, 0);
    size_t arrived = 0;
    for (;;) {
        char *block;
        shoal_slice now = fuzz_exactly(bytes, arrived, &block);
        shoal_parse found = shoal_request_parse(request, now);
        check(request, now, found);
        bool ends = found == SHOAL_PARSE_ERROR;
        if (found == SHOAL_PARSE_MORE) {
            ends = arrived == bytes.size;
            arrived += 1 + shoal_prng_below(&prng, step);
            if (arrived < request->wanted && shoal_prng_below(&prng, 2)) arrived = request->wanted;
            if (arrived > bytes.size) arrived = bytes.size;
        }
        if (found != SHOAL_PARSE_MORE || ends) note(log, request, found);
        if (found == SHOAL_PARSE_REQUEST) {
            bytes.data += request->size;
            bytes.size -= request->size;
            arrived -= request->size;
        }
        free(block);
        if (ends) return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shoal_slice bytes = {(const char *)data, size};
    uint8_t choice = fuzz_choice(&bytes);
    test_heap heap = {0}, log_heap = {0};
    shoal_allocator allocator = test_allocator(&heap), log_allocator = test_allocator(&log_heap);
    shoal_request_limits limits = shoal_request_limits_default();
    limits.authenticated = choice & 1;
    if (choice & 2) limits.inline_size_max = 40;
    if (choice & 4) limits.arguments_max = 30;
    if (choice & 8) limits.bulk_size_max = 1000;

    shoal_buffer whole_log = shoal_buffer_make(&log_allocator);
    shoal_request whole = {.limits = limits, .allocator = &allocator};
    parse_whole(&whole, bytes, &whole_log, false);
    /* A slice for each argument of at least four bytes of input, and growth by four; twice for
     * the request written again. */
    SHOAL_ASSERT((uint64_t)heap.bytes <= 64 * bytes.size + 8192);
    shoal_request_free(&whole);

    shoal_buffer alike_log = shoal_buffer_make(&log_allocator);
    shoal_request alike = {.limits = limits, .allocator = &allocator};
    parse_whole(&alike, bytes, &alike_log, true);
    shoal_request_free(&alike);

    shoal_buffer piece_log = shoal_buffer_make(&log_allocator);
    shoal_request pieces = {.limits = limits, .allocator = &allocator};
    parse_pieces(&pieces, bytes, 1 + (choice >> 4) * 4u, &piece_log);
    shoal_request_free(&pieces);

    SHOAL_ASSERT(shoal_text_equal(shoal_buffer_slice(&whole_log), shoal_buffer_slice(&piece_log)));
    SHOAL_ASSERT(shoal_text_equal(shoal_buffer_slice(&whole_log), shoal_buffer_slice(&alike_log)));
    shoal_buffer_free(&whole_log);
    shoal_buffer_free(&alike_log);
    shoal_buffer_free(&piece_log);
    SHOAL_ASSERT(heap.blocks == 0 && log_heap.blocks == 0);
    return 0;
}
