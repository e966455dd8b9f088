/* SPDX-License-Identifier: MIT
 *
 * wire/resp.h - the client protocol, RESP2 and RESP3: a parser of requests that works in place
 * and keeps no state between calls but a small struct, and a writer of replies. Pure: knows
 * bytes, not commands. Source: redis.io "Redis serialization protocol specification".
 */
#ifndef SHOAL_WIRE_RESP_H
#define SHOAL_WIRE_RESP_H

#include <shoal/types.h>

/* ---- requests ---- */

/* What one call of the parser found. */
typedef enum shoal_parse {
    SHOAL_PARSE_MORE = 0,    /* the request is not complete; keep its bytes and add to them */
    SHOAL_PARSE_REQUEST = 1, /* argc, argv and size are set; argc 0 is an empty request: skip it */
    SHOAL_PARSE_ERROR = 2    /* complaint is set; the connection must be closed after sending it */
} shoal_parse;

/* Limits that the caller sets from its configuration; may change between requests. */
typedef struct shoal_request_limits {
    uint64_t bulk_size_max;   /* proto-max-bulk-len */
    uint32_t arguments_max;   /* 2^31 - 1 in Redis 7.0 */
    uint32_t inline_size_max; /* longest inline request or length line; 64 KiB in Redis 7.0 */
    bool authenticated;       /* false: at most 10 arguments of 16384 bytes, with other words in
                                 the errors; inline requests are not affected */
} shoal_request_limits;

/* The limits of a Redis 7.0 with its default configuration, for a client that may do anything. */
shoal_request_limits shoal_request_limits_default(void);

/* Parser and result. Zero with limits and allocator set is ready. `argv` borrows from the input,
 * or from `unquoted` for inline requests; it is valid until the next call. The struct must not
 * be copied or moved while argv is used: it may point into the struct. What every request needs
 * stands together, with the first arguments behind it. */
typedef struct shoal_request {
    shoal_request_limits limits;
    const shoal_allocator *allocator; /* for argv beyond the inline array, and unquoted */
    uint32_t argc;
    uint32_t argv_capacity; /* elements of argv_large */
    shoal_slice *argv;      /* argv_small or argv_large */
    size_t size;            /* after REQUEST: bytes of the input that it takes, 0 otherwise */
    const char *text;       /* those bytes, or NULL for an inline request */
    uint64_t wanted;        /* after MORE: bytes of input without which a further call cannot
                                 find anything, counted from the start of the request: up to
                                 the end of the present bulk. 0 when that is not known. */
    const char *complaint;  /* after ERROR: text after "-ERR " in Redis's words, static */
    char complaint_char;    /* replaces the %c in complaint, else 0 */
    /* Where an incomplete request stands: the parser's own. */
    struct {
        uintptr_t base; /* address of the input at the last call; 0: no request begun */
        size_t offset;  /* the next length line */
        size_t scanned; /* bytes of that line known to hold no end of it */
        uint32_t argc;  /* arguments announced, 0 before they are known */
    } partial;
    shoal_slice *argv_large;
    shoal_buffer unquoted; /* inline arguments after quotes and escapes */
    shoal_slice argv_small[16];
} shoal_request;

/* Looks for one request (multibulk or inline) at the start of `bytes`. Never reads beyond them;
 * takes memory in proportion to the arguments that have arrived, never to those announced.
 *
 * After MORE the next call must be given the same bytes and more behind them, at the same or at
 * another address; the parser then goes on where it stood, so a request that arrives in pieces
 * costs O(its bytes) altogether, plus O(arguments) whenever the address changed. After REQUEST
 * and ERROR the next call begins anew.
 *
 * As in Redis, the byte after a CR and the two bytes behind a bulk are not looked at. */
shoal_parse shoal_request_parse(shoal_request *request, shoal_slice bytes);

/* Forgets an incomplete request, so that the next call may be given other bytes. */
void shoal_request_reset(shoal_request *request);

/* Frees argv_large and unquoted. */
void shoal_request_free(shoal_request *request);

/* Splits a line into arguments by the rules of redis.conf and inline requests: blanks separate;
 * "..." with \xHH \n \r \t \b \a escapes; '...' with \'; a closing quote ends the argument.
 * Appends the unquoted bytes to `store`, where `argv[i]` points, valid until `store` changes.
 * Returns the number of arguments, -1 for unbalanced quotes, -2 when there are more than
 * `argv_max` or `store` finds no memory. */
int shoal_line_split(shoal_slice line, shoal_buffer *store, shoal_slice *argv, int argv_max);

/* ---- replies ---- */

/* Where replies go, and in which protocol version: 2 or 3. Types that RESP2 lacks are written
 * as Redis does there: map -> flat array, set -> array, null -> $-1, boolean -> :1, double ->
 * bulk string, verbatim -> bulk string, push -> array. */
typedef struct shoal_reply {
    shoal_buffer *out;
    int protocol;
} shoal_reply;

void shoal_reply_status(shoal_reply *reply, const char *text); /* +text */
void shoal_reply_ok(shoal_reply *reply);                       /* +OK */
/* -text, made one line: CR and LF at its end are dropped, others become blanks. The text begins
 * with its code, such as "ERR ". */
void shoal_reply_error(shoal_reply *reply, const char *text);
void shoal_reply_errorf(shoal_reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* -ERR and the complaint of a refused request, for SHOAL_PARSE_ERROR. */
void shoal_reply_complaint(shoal_reply *reply, const shoal_request *request);
void shoal_reply_integer(shoal_reply *reply, int64_t value);      /* :value */
void shoal_reply_bulk(shoal_reply *reply, shoal_slice bytes);     /* $n bytes */
void shoal_reply_text(shoal_reply *reply, const char *text);      /* bulk from C string */
void shoal_reply_bulk_integer(shoal_reply *reply, int64_t value); /* digits as a bulk */
void shoal_reply_verbatim(shoal_reply *reply, const char kind[3], shoal_slice bytes);
void shoal_reply_null(shoal_reply *reply);       /* $-1 or _ */
void shoal_reply_null_array(shoal_reply *reply); /* *-1 or _ */
void shoal_reply_boolean(shoal_reply *reply, bool value);
void shoal_reply_double(shoal_reply *reply, double value); /* %.17g as Redis 7.0 */
void shoal_reply_array(shoal_reply *reply, size_t count);  /* header only */
void shoal_reply_map(shoal_reply *reply, size_t pairs);    /* header only */
void shoal_reply_set(shoal_reply *reply, size_t count);    /* header only */
void shoal_reply_push(shoal_reply *reply, size_t count);   /* header only */

/* A length known only at the end: begin returns a mark, end puts the count there. Room for a
 * count of one digit is left; a longer one moves what was written since by that many bytes more,
 * once. That is a tenth of what writing it did cost, or less; still, give the length at once
 * where it is known. May be nested. */
typedef size_t shoal_reply_mark;
shoal_reply_mark shoal_reply_begin(shoal_reply *reply);
void shoal_reply_end_array(shoal_reply *reply, shoal_reply_mark mark, size_t count);
void shoal_reply_end_map(shoal_reply *reply, shoal_reply_mark mark, size_t pairs);
void shoal_reply_end_set(shoal_reply *reply, shoal_reply_mark mark, size_t count);

/* ---- reading replies: for virtual clients, tests and visualisers ---- */

/* One element of a reply, as a cursor over bytes meets it. */
typedef struct shoal_answer {
    char type;        /* the RESP type byte: + - : $ * % ~ _ # , > = ( ! | */
    int64_t integer;  /* ':' value; '#' 0 or 1; $ = !: bytes; * ~ > % |: elements that follow,
                           two for each pair; -1 for every kind of null */
    shoal_slice text; /* + - $ = ! , ( : the bytes, borrowed; with '=' also the "txt:" */
    size_t size;      /* bytes of this element's own header and content */
} shoal_answer;

/* Reads the element at the start of `bytes`: 0, SHOAL_ERR_TRUNCATED or SHOAL_ERR_MALFORMED. */
SHOAL_MUST_USE shoal_err shoal_answer_next(shoal_slice bytes, shoal_answer *answer);
/* Size in bytes of the whole reply at the start of `bytes`, nested elements included, and an
 * attribute together with what it describes. */
SHOAL_MUST_USE shoal_err shoal_answer_size(shoal_slice bytes, size_t *size);

#endif
