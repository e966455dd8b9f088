/* SPDX-License-Identifier: MIT
 *
 * sim/words.h - one line of a schedule as words with columns, the values that words can be, and
 * the sentence that says what is wrong with one. Used by the parser only.
 *
 * One thread at a time; everything borrows from the line.
 */
#ifndef SHOAL_SIM_WORDS_H
#define SHOAL_SIM_WORDS_H

#include "sim/schedule.h"

/* One word. `text` of a quoted word is what stands between the quotes, escapes untouched. */
typedef struct shoal_word {
    shoal_slice text;
    uint32_t column; /* from 1 */
    bool quoted;
} shoal_word;

/* A place in a line. After the first error every function returns false and changes nothing. */
typedef struct shoal_words {
    const char *line; /* without its newline and comment */
    size_t size;
    size_t at;
    uint32_t number;
    bool failed;
    shoal_schedule_error *error;
} shoal_words;

/* What fits at a place: words, and a phrase for what is no fixed word ("a duration"), or NULL. */
typedef struct shoal_fitting {
    const char *const *words;
    uint32_t count;
    const char *phrase;
} shoal_fitting;

/* Looks at the next word without taking it; false at the end of the line. */
bool shoal_words__peek(shoal_words *words, shoal_word *word);
/* Takes the next word; at the end of the line an error that says that `phrase` is missing. */
bool shoal_words__take(shoal_words *words, const char *phrase, shoal_word *word);
/* True, and the word taken, when the next word is exactly `text`. */
bool shoal_words__skip(shoal_words *words, const char *text);
/* Takes a word that must be one of `fitting.words`; its index, or -1 after an error. */
int shoal_words__choose(shoal_words *words, shoal_fitting fitting);
/* Takes the word `text`, or says that it was expected. */
bool shoal_words__demand(shoal_words *words, const char *text);
/* The rest of the line, blanks at both ends removed; an error when it is empty. */
bool shoal_words__rest(shoal_words *words, const char *phrase, shoal_slice *rest);
/* True at the end of the line; otherwise an error at the word that is too much. */
bool shoal_words__done(shoal_words *words);

/* Says what is wrong with `word`. Always false. */
bool shoal_words__wrong(shoal_words *words, const shoal_word *word, shoal_fitting fitting);
/* The same in free words: `found X, <sentence>`. */
bool shoal_words__complain(shoal_words *words, const shoal_word *word, const char *sentence);

/* Values: take the next word and read it, or say what was expected. */
bool shoal_words__duration(shoal_words *words, int64_t *out_us);
bool shoal_words__signed_duration(shoal_words *words, int64_t *out_us);
bool shoal_words__number(shoal_words *words, uint64_t max, uint64_t *out);
bool shoal_words__percent(shoal_words *words, int32_t *out_ppm);
/* `200/s` or `0.5/s` as thousandths. */
bool shoal_words__rate(shoal_words *words, uint64_t *out_milli);
/* `10mbit`, `64kbit`, `1gbit`, `unlimited` as bytes per second. */
bool shoal_words__bandwidth(shoal_words *words, int64_t *out);

/* Reads `text` as digits with at most `places` decimals, scaled by 10^places. */
bool shoal_words__decimal(shoal_slice text, uint32_t places, uint64_t *out);

#endif
