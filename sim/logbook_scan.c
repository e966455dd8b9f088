/* SPDX-License-Identifier: MIT
 *
 * Reading effects: commands in RESP, of which those are understood that clients of the laboratory
 * cause. Remarks in files begin with `#` and are read as commands that mean nothing.
 */
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/internal.h"

bool shoal_logbook__key(shoal_slice name, uint32_t limit, uint32_t *key)
{
    uint64_t number = 0;
    if (name.size < 5 || memcmp(name.data, "key:", 4) != 0) return false;
    if (!shoal_text_to_u64((shoal_slice){name.data + 4, name.size - 4}, &number)) return false;
    *key = (uint32_t)number;
    return number < limit;
}

bool shoal_logbook__serial(shoal_slice value, uint32_t *serial)
{
    uint64_t number = 0;
    const char *point = value.size > 0 ? memchr(value.data, '.', value.size) : NULL;
    if (point == NULL) return false;
    shoal_slice digits = {value.data, (size_t)(point - value.data)};
    if (!shoal_text_to_u64(digits, &number) || number == 0 || number > UINT32_MAX) return false;
    *serial = (uint32_t)number;
    return true;
}

void shoal_scanner__free(shoal_scanner *scanner)
{
    if (scanner->made) {
        shoal_request_free(&scanner->request);
        shoal_buffer_free(&scanner->rest);
    }
    *scanner = (shoal_scanner){.odd = false};
}

static bool is_word(shoal_slice text, const char *word)
{
    size_t size = strlen(word);
    if (text.size != size) return false;
    for (size_t i = 0; i < size; i++) {
        char c = text.data[i];
        if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        if (c != word[i]) return false;
    }
    return true;
}

/* Does a command that is not understood name a key that is? */
static bool concerns(const shoal_request *request, uint32_t limit)
{
    uint32_t key = 0;
    for (uint32_t i = 1; i < request->argc; i++) {
        if (shoal_logbook__key(request->argv[i], limit, &key)) return true;
    }
    return is_word(request->argv[0], "FLUSHALL") || is_word(request->argv[0], "FLUSHDB") ||
           is_word(request->argv[0], "SWAPDB");
}

static void tell(shoal_scanner *scanner, uint32_t limit, shoal_effect_sink sink, void *context)
{
    const shoal_request *request = &scanner->request;
    shoal_effect effect = {0, 0};
    if (request->argc < 2) {
        scanner->odd |= request->argc == 1 && concerns(request, limit);
        return;
    }
    bool gone = is_word(request->argv[0], "DEL") || is_word(request->argv[0], "UNLINK");
    bool set = is_word(request->argv[0], "SET") && request->argc >= 3;
    if (!gone && !set) {
        scanner->odd |= concerns(request, limit);
        return;
    }
    for (uint32_t i = 1; i < (set ? 2 : request->argc); i++) {
        if (!shoal_logbook__key(request->argv[i], limit, &effect.key)) continue;
        if (set && !shoal_logbook__serial(request->argv[2], &effect.serial)) scanner->odd = true;
        sink(context, &effect);
    }
}

void shoal_scanner__take(shoal_scanner *scanner, shoal_world *world, shoal_slice bytes,
                         shoal_effect_sink sink, void *context)
{
    if (!scanner->made) {
        scanner->made = true;
        scanner->rest = shoal_buffer_make(&world->judge_memory);
        scanner->request.limits = shoal_request_limits_default();
        scanner->request.allocator = &world->judge_memory;
    }
    shoal_buffer_append(&scanner->rest, bytes);
    for (;;) {
        shoal_slice rest = shoal_buffer_slice(&scanner->rest);
        if (rest.size == 0) return;
        shoal_parse found = shoal_request_parse(&scanner->request, rest);
        if (found == SHOAL_PARSE_MORE) return;
        if (found == SHOAL_PARSE_ERROR) {
            /* A file that was torn and zeroed: nobody can follow it any further. */
            scanner->odd = true;
            shoal_request_reset(&scanner->request);
            shoal_buffer_consume(&scanner->rest, rest.size);
            return;
        }
        if (scanner->request.argc > 0) tell(scanner, world->history.key_count, sink, context);
        shoal_buffer_consume(&scanner->rest, scanner->request.size);
    }
}
