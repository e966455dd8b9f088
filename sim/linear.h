/* SPDX-License-Identifier: MIT
 *
 * sim/linear.h - whether the operations of a key have an order that explains every answer and keeps
 * what was over before what began later. Keys are judged one by one, which is enough: a history is
 * linearizable when those of all its keys are.
 *
 * Registers whose values are all different are judged by their zones (Gibbons and Korach), in
 * n log n; keys that are deleted too by a search with a memory (Wing and Gong, Lowe), which gives
 * up behind a number of states, so that the answer is the same on every machine; counters by the
 * order of their values. Of keys that expire nothing is said.
 *
 * Pure functions over a finished or a running world; its thread.
 */
#ifndef SHOAL_SIM_LINEAR_H
#define SHOAL_SIM_LINEAR_H

#include <shoal/types.h>

typedef struct shoal_world shoal_world;

/* Keys by their numbers, both included; counters of these numbers too. */
typedef struct shoal_key_range {
    uint32_t first, last;
} shoal_key_range;

/* What an operation does to its key. */
typedef enum shoal_linear_kind {
    SHOAL_LINEAR_WRITE, /* the value is `value` then */
    SHOAL_LINEAR_READ,  /* found it */
    SHOAL_LINEAR_DEL,   /* nothing is there then: value 0 */
    SHOAL_LINEAR_ADD,   /* an INCR that was told `value`; 0 when it has no answer */
    SHOAL_LINEAR_FADE   /* a write with a time to live */
} shoal_linear_kind;

/* One operation. */
typedef struct shoal_linear_op {
    int64_t began_us;
    int64_t ended_us; /* INT64_MAX: no answer, it may have happened at any time since, or never */
    uint32_t key;
    uint32_t value; /* 0: nothing */
    uint32_t kind;  /* shoal_linear_kind */
} shoal_linear_op;

/* The answer for one key. */
typedef enum shoal_linear_verdict {
    SHOAL_LINEAR_HOLDS = 0,
    SHOAL_LINEAR_BROKEN,
    SHOAL_LINEAR_UNKNOWN /* too many states, or keys that expire */
} shoal_linear_verdict;

/* States that a search may visit. Chosen: a few tenths of a second, some megabytes. */
#define SHOAL_LINEAR_STATES_MAX 200000u

/* Judges the operations of one key, in any order, which it sorts. */
shoal_linear_verdict shoal_linear__judge(shoal_linear_op *ops, uint32_t count);
/* The search alone, for any kinds but ADD and FADE, with a budget of states. */
shoal_linear_verdict shoal_linear__search(const shoal_linear_op *ops, uint32_t count,
                                          uint32_t states_max);

/* Are the histories of all these keys linearizable so far? If not, or if that is unknown, `words`
 * say of which key. The world keeps reads where a line of its schedule asks for that. */
bool shoal_linear__holds(const shoal_world *world, shoal_key_range keys, char words[160]);

#endif
