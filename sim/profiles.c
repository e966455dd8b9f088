/* SPDX-License-Identifier: MIT
 *
 * Profiles: whose rules the nodes of a run follow. A schedule names those for which it states what
 * happens; a run has one of them.
 */
#include "sim/lines.h"

#include "base/text.h"

static const char *const names[SHOAL_PROFILES_COUNT] = {"-", "redis-7", "shoal"};

/* Those that a schedule can name. */
#define NAMED ((shoal_fitting){names + 1, SHOAL_PROFILES_COUNT - 1, NULL})

const char *shoal_profile_name(uint32_t profile)
{
    return profile < SHOAL_PROFILES_COUNT ? names[profile] : "?";
}

uint32_t shoal_profile_named(shoal_slice name)
{
    uint32_t profile = SHOAL_PROFILE_OF_REDIS;
    while (profile < SHOAL_PROFILES_COUNT && !shoal_text_equal(name, shoal_text(names[profile]))) {
        profile++;
    }
    return profile;
}

bool shoal_line__parse_profiles(shoal_parser *parser, shoal_line *line)
{
    shoal_words *words = &parser->words;
    shoal_word word;
    int first = shoal_words__choose(words, NAMED);
    if (first < 0) return false;
    line->choice = first + 1;
    if (!shoal_words__peek(words, &word)) return !words->failed;
    int second = shoal_words__choose(words, NAMED);
    if (second < 0) return false;
    line->both = true;
    if (second == first) return shoal_words__complain(words, &word, "but it is named already");
    return shoal_words__done(words);
}

void shoal_line__format_profiles(const shoal_line *line, shoal_buffer *out)
{
    shoal_text_appendf(out, " %s", shoal_profile_name((uint32_t)line->choice));
    uint32_t other = SHOAL_PROFILE_OF_REDIS + SHOAL_PROFILE_OF_SHOAL - (uint32_t)line->choice;
    if (line->both) shoal_text_appendf(out, " %s", shoal_profile_name(other));
}

bool shoal_profile__parse_under(shoal_parser *parser, shoal_line *line)
{
    shoal_words *words = &parser->words;
    shoal_word word;
    if (!shoal_words__skip(words, "under")) return !words->failed;
    bool some = shoal_words__peek(words, &word);
    int which = shoal_words__choose(words, NAMED);
    if (!some || which < 0) return false;
    line->expect.under = (uint32_t)which + 1;
    for (uint32_t i = 0; i < SHOAL_PROFILES_COUNT - 1; i++) {
        if (parser->schedule->profiles[i] == line->expect.under) return true;
    }
    return shoal_words__complain(words, &word, "but no profiles line above names it");
}
