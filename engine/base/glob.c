/* SPDX-License-Identifier: MIT
 *
 * Glob patterns as KEYS, SCAN and CONFIG GET take them. One pass with one point of return: every
 * element but `*` takes exactly one byte of text, so when something does not match, only the
 * last `*` seen can help, by taking one byte more. That bounds the work by the product of both
 * sizes, for any pattern.
 */
#include "base/text.h"

#include "base/assert.h"

/* One element of a pattern: where it ends, and whether it takes `c`. */
typedef struct glob_element {
    size_t end;
    bool takes;
} glob_element;

static char folded(char c, bool nocase)
{
    return nocase ? shoal_text_lower(c) : c;
}

/* The range or single byte of a class that starts at `at`: does it hold `c`, where does it end? */
static glob_element class_member(shoal_slice pattern, size_t at, char c, bool nocase)
{
    const char *p = pattern.data;
    SHOAL_ASSERT(at < pattern.size);
    if (p[at] == '\\' && at + 1 < pattern.size) {
        return (glob_element){at + 2, folded(p[at + 1], nocase) == folded(c, nocase)};
    }
    if (at + 2 < pattern.size && p[at + 1] == '-') {
        unsigned char low = (unsigned char)folded(p[at], nocase);
        unsigned char high = (unsigned char)folded(p[at + 2], nocase);
        unsigned char byte = (unsigned char)folded(c, nocase);
        bool inside = low <= high ? low <= byte && byte <= high : high <= byte && byte <= low;
        return (glob_element){at + 3, inside};
    }
    return (glob_element){at + 1, folded(p[at], nocase) == folded(c, nocase)};
}

/* The class whose `[` is at `at`. */
static glob_element class_element(shoal_slice pattern, size_t at, char c, bool nocase)
{
    SHOAL_ASSERT(pattern.data[at] == '[');
    at++;
    bool negated = at < pattern.size && pattern.data[at] == '^';
    if (negated) at++;
    bool found = false;
    while (at < pattern.size && pattern.data[at] != ']') {
        glob_element member = class_member(pattern, at, c, nocase);
        found |= member.takes;
        at = member.end;
    }
    if (at < pattern.size) at++;
    return (glob_element){at, found != negated};
}

/* The element at `at`, which is not a `*`. */
static glob_element element(shoal_slice pattern, size_t at, char c, bool nocase)
{
    SHOAL_ASSERT(at < pattern.size);
    char p = pattern.data[at];
    if (p == '?') return (glob_element){at + 1, true};
    if (p == '[') return class_element(pattern, at, c, nocase);
    if (p == '\\' && at + 1 < pattern.size) p = pattern.data[++at];
    return (glob_element){at + 1, folded(p, nocase) == folded(c, nocase)};
}

bool shoal_text_glob(shoal_slice pattern, shoal_slice text, bool nocase)
{
    SHOAL_ASSERT(pattern.data != NULL || pattern.size == 0);
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    size_t at = 0, taken = 0;
    size_t star_at = SHOAL_TEXT_NONE; /* after the last star seen, if any */
    size_t star_taken = 0;            /* text taken up to the end of what that star holds */
    while (taken < text.size) {
        if (at < pattern.size && pattern.data[at] == '*') {
            star_at = ++at;
            star_taken = taken;
            continue;
        }
        glob_element next = {at, false};
        if (at < pattern.size) next = element(pattern, at, text.data[taken], nocase);
        if (next.takes) {
            at = next.end;
            taken++;
        } else if (star_at != SHOAL_TEXT_NONE) {
            at = star_at;
            taken = ++star_taken;
        } else {
            return false;
        }
    }
    while (at < pattern.size && pattern.data[at] == '*') at++;
    return at == pattern.size;
}
