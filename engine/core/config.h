/* SPDX-License-Identifier: MIT
 *
 * core/config.h - the configuration of one node: a value for every row of config.def, read from
 * text and turned back into text. It knows types and limits; it does not know what a directive is
 * good for. Numbers are kept as numbers, everything else as its canonical text, which is what
 * CONFIG GET shows.
 *
 * Threads: a configuration belongs to the control actor (before START, to the creating thread).
 */
#ifndef SHOAL_CORE_CONFIG_H
#define SHOAL_CORE_CONFIG_H

#include <shoal/types.h>

/* SHOAL_DIRECTIVE_PORT and so on: index of a directive in the table. */
typedef enum shoal_directive_id {
#define SHOAL_DIRECTIVE(id, ...) SHOAL_DIRECTIVE_##id,
#include "core/config.def"
#undef SHOAL_DIRECTIVE
    SHOAL_DIRECTIVE_COUNT
} shoal_directive_id;

/* How a value is read and kept. The first group is kept as a number, the second as text. */
typedef enum shoal_config_type {
    SHOAL_CONFIG_BOOL,           /* yes or no */
    SHOAL_CONFIG_INT,            /* signed decimal within min and max */
    SHOAL_CONFIG_HZ,             /* INT, brought into 1 .. 500 */
    SHOAL_CONFIG_OCTAL,          /* permission bits */
    SHOAL_CONFIG_MEMORY,         /* bytes, with k kb m mb g gb */
    SHOAL_CONFIG_MEMORY_PERCENT, /* MEMORY, or 1% .. 100%, kept as the negated number */
    SHOAL_CONFIG_ENUM,           /* one of the words; kept as its index */
    SHOAL_CONFIG_ENUM_SET,       /* some of the words; bit i - 1 for word i, word 0 is none */
    SHOAL_CONFIG_TEXT,           /* anything; from here on kept as text */
    SHOAL_CONFIG_WORDS,          /* several words */
    SHOAL_CONFIG_TITLE,          /* text with names in braces */
    SHOAL_CONFIG_FILE_NAME,      /* text without `/` */
    SHOAL_CONFIG_DIR_NAME,       /* the same, for a folder */
    SHOAL_CONFIG_ADDRESS,        /* numeric IPv4 or IPv6, at most 45 characters */
    SHOAL_CONFIG_HOSTNAME,       /* letters, digits, hyphens and dots, at most 255 */
    SHOAL_CONFIG_SAVE_POINTS,    /* pairs of seconds and changes */
    SHOAL_CONFIG_OUTPUT_LIMITS,  /* class hard soft seconds, for one or more classes */
    SHOAL_CONFIG_EVENTS,         /* letters of event classes */
    SHOAL_CONFIG_PERCENTILES,    /* decimals from 0 to 100 */
    SHOAL_CONFIG_OOM_VALUES      /* three numbers */
} shoal_config_type;

/* Bits of shoal_directive.flags; config.def says what they mean. */
enum {
    SHOAL_CONFIG_IMMUTABLE = 1,
    SHOAL_CONFIG_PROTECTED = 2,
    SHOAL_CONFIG_SENSITIVE = 4,
    SHOAL_CONFIG_MULTI = 8,
    SHOAL_CONFIG_HIDDEN = 16,
    SHOAL_CONFIG_KEPT = 32,
    SHOAL_CONFIG_FIXED = 64
};

/* Words of ENUM directives that code looks at, in the order of config.def. */
enum { SHOAL_LEVEL_DEBUG, SHOAL_LEVEL_VERBOSE, SHOAL_LEVEL_NOTICE, SHOAL_LEVEL_WARNING };
enum { SHOAL_PERMIT_NO, SHOAL_PERMIT_YES, SHOAL_PERMIT_LOCAL };

/* One row of the table. */
typedef struct shoal_directive {
    const char *name;
    const char *alias; /* "" without one */
    shoal_config_type type;
    const char *fallback; /* the default, as text */
    int64_t min;
    uint64_t max;
    const char *words; /* ENUM, ENUM_SET: separated by commas */
    uint32_t flags;
    bool active; /* it has an effect */
    const char *doc;
} shoal_directive;

/* One value. `text` is owned by the configuration, NULL when empty. */
typedef struct shoal_config_value {
    int64_t number; /* MEMORY: the uint64_t, cast */
    char *text;
    size_t text_size;
} shoal_config_value;

/* All values of a node. */
typedef struct shoal_config {
    const shoal_allocator *allocator; /* borrowed */
    uint64_t version;                 /* raised by every change of a value */
    bool saves_read;                  /* a text gave save points: further ones add to them */
    shoal_config_value values[SHOAL_DIRECTIVE_COUNT];
} shoal_config;

/* Arguments of one directive, without its name. */
typedef struct shoal_config_words {
    int argc;
    const shoal_slice *argv;
} shoal_config_words;

/* Fills `config` with the defaults. 0 or SHOAL_ERR_NO_MEMORY (then nothing is kept). */
SHOAL_MUST_USE shoal_err shoal_config__init(shoal_config *config, const shoal_allocator *allocator);
/* Gives its memory back. */
void shoal_config__free(shoal_config *config);

/* The row of `id`. Never NULL. */
const shoal_directive *shoal_config__row(shoal_directive_id id);
/* The id of a directive by name or alias in any case, or SHOAL_DIRECTIVE_COUNT. */
shoal_directive_id shoal_config__find(shoal_slice name);
/* The known name that looks most like `name`. Never NULL. */
const char *shoal_config__nearest(shoal_slice name);

/* Reads a value of `id` from `words` into `*out`, whose text is then owned by the caller. Some
 * types merge with the present value. On an error appends what is wrong, in Redis's words, to
 * `complaint`. 0, SHOAL_ERR_INVALID or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_config__parse(const shoal_config *config, shoal_directive_id id,
                                             shoal_config_words words, shoal_config_value *out,
                                             shoal_buffer *complaint);
/* Gives back what a parsed value owns. */
void shoal_config__drop(const shoal_config *config, shoal_config_value *value);
/* Takes `*value` over as the present value of `id`, and gives the former one back in `*value`.
 * True when they differ. */
bool shoal_config__swap(shoal_config *config, shoal_directive_id id, shoal_config_value *value);

/* Appends a value as CONFIG GET shows it. */
void shoal_config__show(shoal_directive_id id, const shoal_config_value *value, shoal_buffer *out);
/* True when `*value` is the present value of `id`. */
bool shoal_config__is_value(const shoal_config *config, shoal_directive_id id,
                            const shoal_config_value *value);
/* True when the present value of `id` is its default. */
bool shoal_config__is_default(const shoal_config *config, shoal_directive_id id);

/* Appends what a directive accepts, as a phrase for people: "a whole number from 0 to 65535". */
void shoal_config__expect(shoal_directive_id id, shoal_buffer *out);

/* Reads configuration text: shoal_node_configure without the node. */
SHOAL_MUST_USE shoal_err shoal_config__read(shoal_config *config, shoal_slice text,
                                            const char *origin, shoal_buffer *complaint);
/* Appends the text that should replace `text`, a configuration file, so that reading it gives the
 * present values: lines are kept in their order with their comments, changed in place, and what
 * is missing is added at the end. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_config__rewrite(const shoal_config *config, shoal_slice text,
                                               shoal_buffer *out);

/* The present value of a numeric directive. */
static inline int64_t shoal_config__number(const shoal_config *config, shoal_directive_id id)
{
    return config->values[id].number;
}

/* The present value of a directive kept as text, borrowed until it changes. */
static inline shoal_slice shoal_config__text(const shoal_config *config, shoal_directive_id id)
{
    return (shoal_slice){config->values[id].text, config->values[id].text_size};
}

#endif
