/* SPDX-License-Identifier: MIT
 *
 * command/effect.c - how effects are gathered and become pieces of the log. Each thread of the
 * store has a desk: text in RESP, in which large arguments are left out, and the list of these,
 * which are copied once, by the log. Nothing here waits; without memory the log is torn.
 */
#include "command/effect.h"

#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/events.h"
#include "command/tracking.h"
#include "store/places.h"

/* Arguments of this size and more are not copied twice, so many of an operation. Chosen. */
#define LARGE_MIN 1024u
#define LARGE_MAX 8u
/* Text that a desk keeps room for. Chosen. */
#define KEPT_MAX (64u << 10)
/* Bytes around an argument: '$', a size and two line ends. */
#define FRAME_MAX 26u

static const char multi[] = "*1\r\n$5\r\nMULTI\r\n";
static const char exec[] = "*1\r\n$4\r\nEXEC\r\n";
#define MULTI_SIZE (sizeof(multi) - 1)

/* A large argument: it stands behind `at` bytes of the text. */
typedef struct large {
    size_t at;
    shoal_slice bytes;
} large;

/* What the effects of one thread look like at one moment. */
typedef struct mark {
    size_t end;
    uint32_t count, large_count, db;
} mark;

/* Where the effects of one thread gather. Its thread alone touches it. */
typedef struct shoal_desk {
    _Alignas(SHOAL_SHARING_SIZE) shoal_buffer text; /* begins with a MULTI while there is any */
    large large[LARGE_MAX];
    uint32_t count;        /* effects */
    uint32_t large_count;  /* of their arguments */
    uint32_t db_first, db; /* of the first, and of the last one */
    bool open;             /* an operation is under way, and told */
    bool single;           /* it is one call */
    mark call;             /* where the effects of the call begin */
    uint64_t departed;     /* changes of the thread that were keys going by themselves */
    uint64_t logged;       /* the offset behind what it told last */
} desk;

struct shoal_desks {
    uint32_t count;
    size_t memory;
    desk desks[];
};

static desk *desk_of(const shoal_env *env, const shoal_thread *thread)
{
    uint32_t index = shoal_thread_index(thread);
    SHOAL_DEBUG_ASSERT(index < env->desks->count);
    return &env->desks->desks[index];
}

/* Does anybody want to know what this node does by itself? */
static inline bool is_told(const shoal_env *env)
{
    return __builtin_expect(env->log != NULL, 1) && shoal_log_wanted(env->log) &&
           !shoal_load_relaxed(&env->mirrors);
}

/* ---- text ---- */

/* Writes '*' or '$', a number and a line end. */
static char *write_head(char *at, char sign, uint64_t number)
{
    char digits[20];
    uint32_t count = 0;
    *at++ = sign;
    /* The usual: sizes of names and numbers, and of what is small. */
    if (number < 100) {
        if (number >= 10) *at++ = (char)('0' + number / 10);
        at[0] = (char)('0' + number % 10);
        at[1] = '\r';
        at[2] = '\n';
        return at + 3;
    }
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    SHOAL_DEBUG_ASSERT(count <= sizeof(digits));
    while (count > 0) *at++ = digits[--count];
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

/* The bytes that write_head writes. */
static inline size_t head_size(uint64_t number)
{
    if (number < 100) return number < 10 ? 4 : 5;
    size_t size = 6;
    for (number /= 1000; number != 0; number /= 10) size++;
    return size;
}

static char *write_argument(char *at, shoal_slice argument)
{
    SHOAL_DEBUG_ASSERT(argument.data != NULL || argument.size == 0);
    at = write_head(at, '$', argument.size);
    if (argument.size != 0) memcpy(at, argument.data, argument.size);
    at += argument.size;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

/* Adds one argument. One that `stays` until the end of the operation may be left where it is. */
static void add_argument(desk *to, shoal_slice argument, bool stays)
{
    bool left = stays && argument.size >= LARGE_MIN && to->large_count < LARGE_MAX;
    char *at = shoal_buffer_reserve(&to->text, FRAME_MAX + (left ? 0 : argument.size));
    if (at == NULL) return;
    if (!left) {
        char *end = write_argument(at, argument);
        shoal_buffer_commit(&to->text, (size_t)(end - at));
        return;
    }
    char *end = write_head(at, '$', argument.size);
    SHOAL_DEBUG_ASSERT((size_t)(end - at) < FRAME_MAX);
    shoal_buffer_commit(&to->text, (size_t)(end - at));
    to->large[to->large_count++] = (large){to->text.end - to->text.start, argument};
    shoal_buffer_append(&to->text, (shoal_slice){"\r\n", 2});
}

static void add_head(desk *to, uint32_t argc)
{
    SHOAL_ASSERT(argc > 0);
    char *at = shoal_buffer_reserve(&to->text, FRAME_MAX);
    if (at == NULL) return;
    char *end = write_head(at, '*', argc);
    shoal_buffer_commit(&to->text, (size_t)(end - at));
}

/* Adds a SELECT. */
static void add_select(desk *to, uint32_t db)
{
    shoal_effect_number room;
    add_head(to, 2);
    add_argument(to, (shoal_slice){"SELECT", 6}, false);
    add_argument(to, shoal_effect_integer(&room, db), false);
    SHOAL_DEBUG_ASSERT(to->count > 0);
    to->db = db;
}

/* Begins an effect for database `db`, without its head. */
static void begin_effect(desk *to, uint32_t db)
{
    SHOAL_ASSERT(to->open);
    if (to->count == 0) {
        shoal_buffer_append(&to->text, (shoal_slice){multi, MULTI_SIZE});
        to->db_first = to->db = db;
    } else if (to->db != db) {
        add_select(to, db);
    }
    to->count++;
}

/* Begins an effect of `argc` arguments for database `db`. */
static void add_effect(desk *to, uint32_t db, uint32_t argc)
{
    SHOAL_DEBUG_ASSERT(argc > 0);
    begin_effect(to, db);
    add_head(to, argc);
}

/* What a request consists of, as far as it matters here. */
static inline shoal_effect__words words_of(const shoal_call *call)
{
    return (shoal_effect__words){call->text, call->argv, call->argc, call->db};
}

/* Adds an effect whose arguments are a request's own. */
static void add_own(desk *to, const shoal_effect__words *words)
{
    SHOAL_DEBUG_ASSERT(words->argc > 0);
    begin_effect(to, words->db);
    size_t size = FRAME_MAX;
    for (uint32_t i = 0; i < words->argc; i++) size += words->argv[i].size + FRAME_MAX;
    /* The usual: all of it at once. */
    char *at = size < LARGE_MIN ? shoal_buffer_reserve(&to->text, size) : NULL;
    if (at == NULL) {
        add_head(to, words->argc);
        for (uint32_t i = 0; i < words->argc; i++) add_argument(to, words->argv[i], true);
        return;
    }
    char *end = write_head(at, '*', words->argc);
    for (uint32_t i = 0; i < words->argc; i++) end = write_argument(end, words->argv[i]);
    shoal_buffer_commit(&to->text, (size_t)(end - at));
}

/* ---- into the log ---- */

/* Appends what has gathered as one piece. Returns the offset behind it, or 0. */
static uint64_t append(desk *from, const shoal_env *env, uint32_t writer)
{
    SHOAL_ASSERT(from->count > 0);
    if (from->count > 1) {
        /* The log takes a piece for one database: what follows stands behind the same one. */
        if (from->db != from->db_first) add_select(from, from->db_first);
        shoal_buffer_append(&from->text, (shoal_slice){exec, sizeof(exec) - 1});
    }
    if (from->text.failed) {
        shoal_log_tear(env->log);
        return 0;
    }
    shoal_slice slices[2 * LARGE_MAX + 1];
    uint32_t count = 0;
    size_t at = from->count > 1 ? 0 : MULTI_SIZE;
    const char *data = from->text.data + from->text.start;
    for (uint32_t i = 0; i < from->large_count; i++) {
        const large *each = &from->large[i];
        slices[count++] = (shoal_slice){data + at, each->at - at};
        slices[count++] = each->bytes;
        at = each->at;
    }
    slices[count++] = (shoal_slice){data + at, shoal_buffer_size(&from->text) - at};
    return shoal_log_append(env->log, writer, from->db_first, slices, count);
}

/* What has been left stands before `logged`; 0: it was lost. */
static inline void note_logged(desk *from, uint64_t *to, uint64_t logged)
{
    SHOAL_DEBUG_ASSERT(from->open);
    if (logged != 0) *to = from->logged = logged;
}

static inline desk *open_desk_of(const shoal_env *env, const shoal_thread *thread, bool single)
{
    desk *to = desk_of(env, thread);
    SHOAL_ASSERT(!to->open && to->count == 0);
    to->open = true;
    to->single = single;
    return to;
}

/* Begins an operation, of a single call or more. NULL where nobody wants its effects. */
static desk *open_desk(const shoal_call *call, bool single)
{
    if (call->replicated || !is_told(call->env)) return NULL;
    return open_desk_of(call->env, call->thread, single);
}

/* Ends one of `thread`; the offset behind what has gathered goes to `logged`. */
static void close_desk(desk *from, const shoal_env *env, const shoal_thread *thread,
                       uint64_t *logged)
{
    SHOAL_ASSERT(from->open);
    if (__builtin_expect(from->count > 0, 0)) {
        note_logged(from, logged, append(from, env, shoal_thread_index(thread)));
        from->text.start = from->text.end = 0;
        if (from->text.failed || from->text.capacity > KEPT_MAX) shoal_buffer_free(&from->text);
    }
    from->count = from->large_count = 0;
    from->open = false;
}

/* ---- calls ---- */

static mark mark_of(const desk *at)
{
    return (mark){shoal_buffer_size(&at->text), at->count, at->large_count, at->db};
}

/* Changes that the thread has made itself. */
static uint64_t changes_of(const desk *at, const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(shoal_thread_changes(thread) >= at->departed);
    return shoal_thread_changes(thread) - at->departed;
}

/* The text of a request, if it is what would be written for its arguments; else none. Its parser
 * has read the lengths, so each that stands where it would has no digit more than it needs; line
 * ends, which it takes as they come, are looked at here. */
static inline shoal_slice plain_text(const shoal_effect__words *words)
{
    const char *text = words->text, *at = text;
    if (text == NULL) return (shoal_slice){0};
    at += head_size(words->argc);
    const char *head_end = at;
    for (uint32_t i = 0; i < words->argc; i++) {
        shoal_slice argument = words->argv[i];
        at += head_size(argument.size);
        if (argument.data != at || at[-1] != '\n') return (shoal_slice){0};
        at += argument.size;
        if (at[0] != '\r' || at[1] != '\n') return (shoal_slice){0};
        at += 2;
    }
    SHOAL_DEBUG_ASSERT(text[0] == '*');
    return head_end[-1] == '\n' ? (shoal_slice){text, (size_t)(at - text)} : (shoal_slice){0};
}

/* Adds a request as it came. Where that is all that the operation leaves it need not be gathered,
 * and the text that came need not be written anew. */
static inline void tell_as_it_came(desk *to, const shoal_env *env, uint32_t writer,
                                   const shoal_effect__words *words, uint64_t *logged)
{
    SHOAL_DEBUG_ASSERT(to->open);
    bool alone = to->single && to->count == 0;
    shoal_slice text = alone ? plain_text(words) : (shoal_slice){0};
    if (__builtin_expect(text.size == 0, 0)) {
        add_own(to, words);
        return;
    }
    note_logged(to, logged, shoal_log_append(env->log, writer, words->db, &text, 1));
}

/* Adds what a call leaves that said nothing itself. */
static void settle(desk *to, shoal_call *call, bool changed)
{
    SHOAL_DEBUG_ASSERT(to->open);
    bool writes = (call->command->flags & SHOAL_FLAG_WRITE) != 0;
    bool usual = call->effect == SHOAL_EFFECT__USUAL && changed && writes;
    if (!usual && call->effect != SHOAL_EFFECT__AS_IS) return;
    shoal_effect__words words = words_of(call);
    tell_as_it_came(to, call->env, shoal_thread_index(call->thread), &words, &call->logged);
}

static void run_handler(void *context, shoal_call *call)
{
    (void)context;
    SHOAL_DEBUG_ASSERT(call->command->run != NULL);
    call->command->run(call);
}

/* Does anybody look at the changes that a call makes? */
static inline bool is_observed(const shoal_env *env)
{
    SHOAL_DEBUG_ASSERT(env != NULL);
    return shoal_events__wanted(env) || shoal_tracking__wanted(env);
}

shoal_effect__wants shoal_effect__wanted_by(const shoal_env *env)
{
    SHOAL_DEBUG_ASSERT(env != NULL);
    if (__builtin_expect(is_observed(env), 0)) return SHOAL_EFFECT__BY_OTHERS;
    return is_told(env) ? SHOAL_EFFECT__BY_LOG : SHOAL_EFFECT__BY_NOBODY;
}

shoal_err shoal_effect__put(const shoal_env *env, shoal_thread *thread, const shoal_key *key,
                            const shoal_effect__words *words, uint64_t *logged)
{
    SHOAL_DEBUG_ASSERT(words->argc == 3 && env->log != NULL);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) == words->db);
    desk *to = open_desk_of(env, thread, true);
    shoal_err err = shoal_store_put_locked(thread, key, words->argv[2], -1);
    if (__builtin_expect(err == SHOAL_ERR_OK, 1))
        tell_as_it_came(to, env, shoal_thread_index(thread), words, logged);
    close_desk(to, env, thread, logged);
    return err;
}

static inline void run_in(desk *to, shoal_call *call, shoal_effect__step step, void *context)
{
    uint64_t before = changes_of(to, call->thread);
    const shoal_buffer *out = call->reply.out;
    size_t start = shoal_buffer_size(out);
    SHOAL_DEBUG_ASSERT(to->open);
    to->call = mark_of(to);
    if (__builtin_expect(step == run_handler && !is_observed(call->env), 1))
        call->command->run(call);
    else
        shoal_events__run(call, step, context);
    bool changed = changes_of(to, call->thread) != before;
    bool failed = shoal_buffer_size(out) > start && out->data[out->start + start] == '-';
    if (__builtin_expect(changed && failed && call->effect == SHOAL_EFFECT__USUAL, 0)) {
        /* It stopped half way: nothing that could be told would do the same. */
        shoal_log_tear(call->env->log);
        return;
    }
    settle(to, call, changed);
}

void shoal_effect__run(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->gated);
    if (__builtin_expect(!is_told(call->env), 1) && !is_observed(call->env)) {
        call->command->run(call);
    } else {
        shoal_effect__run_step(call, run_handler, NULL);
    }
}

void shoal_effect__run_step(shoal_call *call, shoal_effect__step step, void *context)
{
    desk *to = open_desk(call, true);
    if (to == NULL) {
        shoal_events__run(call, step, context);
        return;
    }
    run_in(to, call, step, context);
    close_desk(to, call->env, call->thread, &call->logged);
}

void shoal_effect__begin(const shoal_call *base)
{
    SHOAL_ASSERT(base->env != NULL);
    (void)open_desk(base, false);
}

void shoal_effect__run_part(shoal_call *call, shoal_effect__step step, void *context)
{
    desk *to = call->env->desks != NULL ? desk_of(call->env, call->thread) : NULL;
    if (step == NULL) step = run_handler;
    if (to != NULL && to->open && !call->replicated) {
        run_in(to, call, step, context);
    } else {
        shoal_events__run(call, step, context);
    }
}

void shoal_effect__end(shoal_call *base)
{
    desk *from = base->env->desks != NULL ? desk_of(base->env, base->thread) : NULL;
    SHOAL_ASSERT(base->thread != NULL);
    if (from != NULL && from->open) close_desk(from, base->env, base->thread, &base->logged);
}

/* ---- for handlers ---- */

/* The desk on which the effects of the operation gather, NULL where nobody wants them. */
static desk *present(const shoal_call *call)
{
    if (call->env->desks == NULL || call->replicated) return NULL;
    desk *at = desk_of(call->env, call->thread);
    SHOAL_DEBUG_ASSERT(at->open || at->count == 0);
    return at->open ? at : NULL;
}

bool shoal_effect_wanted(const shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->env != NULL);
    return present(call) != NULL;
}

/* Is this one of the call's own arguments, which stay where they are? */
static bool is_own(const shoal_call *call, shoal_slice argument)
{
    SHOAL_DEBUG_ASSERT(call->argc > 0);
    if (argument.size < LARGE_MIN) return false;
    for (uint32_t i = 0; i < call->argc; i++) {
        if (call->argv[i].data == argument.data && call->argv[i].size == argument.size) return true;
    }
    return false;
}

void shoal_effect_tell_with(shoal_call *call, const shoal_slice *argv, uint32_t argc,
                            shoal_effect_rest rest)
{
    desk *to = present(call);
    SHOAL_ASSERT(argc > 0 && rest.first + rest.count <= call->argc);
    call->effect = SHOAL_EFFECT__TOLD;
    if (to == NULL) return;
    add_effect(to, call->db, argc + rest.count);
    for (uint32_t i = 0; i < argc; i++) add_argument(to, argv[i], is_own(call, argv[i]));
    for (uint32_t i = 0; i < rest.count; i++) add_argument(to, call->argv[rest.first + i], true);
}

void shoal_effect_tell(shoal_call *call, const shoal_slice *argv, uint32_t argc)
{
    SHOAL_DEBUG_ASSERT(argv != NULL);
    shoal_effect_tell_with(call, argv, argc, (shoal_effect_rest){0, 0});
}

void shoal_effect_aside(const shoal_call *call, const shoal_slice *argv, uint32_t argc)
{
    desk *to = present(call);
    SHOAL_DEBUG_ASSERT(argv != NULL && argc > 0);
    if (to == NULL) return;
    add_effect(to, call->db, argc);
    for (uint32_t i = 0; i < argc; i++) add_argument(to, argv[i], false);
}

void shoal_effect_discount(const shoal_call *call, uint64_t changes)
{
    desk *at = present(call);
    SHOAL_DEBUG_ASSERT(changes <= shoal_thread_changes(call->thread));
    if (at != NULL) at->departed += changes;
}

void shoal_effect_none(shoal_call *call)
{
    desk *at = present(call);
    call->effect = SHOAL_EFFECT__NONE;
    if (at == NULL) return;
    SHOAL_ASSERT(at->count >= at->call.count && at->large_count >= at->call.large_count);
    at->text.end = at->text.start + at->call.end;
    at->count = at->call.count;
    at->large_count = at->call.large_count;
    at->db = at->call.db;
}

void shoal_effect_as_is(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->effect == SHOAL_EFFECT__USUAL);
    call->effect = SHOAL_EFFECT__AS_IS;
}

/* ---- keys that go by themselves ---- */

/* Tells at once, as a piece of its own. */
static uint64_t append_alone(const shoal_env *env, uint32_t writer, uint32_t db,
                             const shoal_slice *argv, uint32_t argc)
{
    char heads[3][2 * FRAME_MAX];
    shoal_slice slices[7];
    SHOAL_ASSERT(argc == 2 || argc == 3);
    for (uint32_t i = 0; i < argc; i++) {
        char *end = heads[i];
        if (i == 0) end = write_head(end, '*', argc);
        if (i > 0) memcpy(end, "\r\n", 2);
        end = write_head(end + (i > 0 ? 2 : 0), '$', argv[i].size);
        slices[2 * i] = (shoal_slice){heads[i], (size_t)(end - heads[i])};
        slices[2 * i + 1] = argv[i];
    }
    char *last = heads[argc - 1] + slices[2 * argc - 2].size;
    memcpy(last, "\r\n", 2);
    slices[2 * argc] = (shoal_slice){last, 2};
    return shoal_log_append(env->log, writer, db, slices, 2 * argc + 1);
}

static void gone(void *context, shoal_thread *thread, const shoal_departure *departure)
{
    shoal_env *env = context;
    shoal_events__gone(env, departure);
    shoal_tracking__gone(env, thread, departure);
    if (!is_told(env)) return;
    desk *to = desk_of(env, thread);
    bool whole = departure->field == NULL;
    if (whole && !departure->replaced) to->departed++;
    /* pair: env.settings */
    const shoal_settings *settings = shoal_load_acquire(&env->settings);
    bool expired = departure->change == SHOAL_CHANGE_EXPIRED;
    SHOAL_ASSERT(expired || departure->change == SHOAL_CHANGE_EVICTED);
    bool lazy = expired ? settings->lazy_expire : settings->lazy_eviction;
    uint32_t db = SHOAL_PLACE_DB(departure->place), argc = whole ? 2 : 3;
    shoal_slice argv[3] = {shoal_effect_removal(lazy), shoal_item_name(departure->item)};
    char text[32];
    if (!whole) {
        argv[0] = (shoal_slice){"HDEL", 4};
        argv[2] = shoal_element_text(departure->field, text);
    }
    if (departure->alone || !to->open) {
        /* Its gate is about to be let go: what comes next there must stand behind this. */
        uint64_t logged = append_alone(env, shoal_thread_index(thread), db, argv, argc);
        if (logged != 0) to->logged = logged;
        return;
    }
    add_effect(to, db, argc);
    for (uint32_t i = 0; i < argc; i++) add_argument(to, argv[i], false);
}

/* ---- for the rooms above ---- */

shoal_err shoal_effects_open(shoal_env *env, uint32_t threads)
{
    SHOAL_ASSERT(env->log != NULL && env->desks == NULL && threads > 0);
    size_t size = sizeof(struct shoal_desks) + threads * sizeof(desk);
    struct shoal_desks *made = shoal_memory_take_zeroed(&env->allocator, size, SHOAL_SHARING_SIZE);
    if (made == NULL) return SHOAL_ERR_NO_MEMORY;
    made->count = threads;
    made->memory = size;
    for (uint32_t i = 0; i < threads; i++) made->desks[i].text = shoal_buffer_make(&env->allocator);
    env->desks = made;
    shoal_store_set_departures(env->store, &(shoal_departures){gone, env});
    return SHOAL_ERR_OK;
}

void shoal_effects_close(shoal_env *env)
{
    struct shoal_desks *desks = env->desks;
    if (desks == NULL) return;
    for (uint32_t i = 0; i < desks->count; i++) {
        SHOAL_ASSERT(!desks->desks[i].open);
        shoal_buffer_free(&desks->desks[i].text);
    }
    shoal_memory_give(&env->allocator, desks, desks->memory, SHOAL_SHARING_SIZE);
    env->desks = NULL;
}

uint64_t shoal_effects_tell(shoal_env *env, shoal_thread *thread, uint32_t db,
                            const shoal_slice *argv, uint32_t argc)
{
    SHOAL_ASSERT(argc > 0);
    if (!is_told(env)) return 0;
    desk *to = desk_of(env, thread);
    shoal_effect__words words = {.argv = argv, .argc = argc, .db = db};
    uint64_t logged = 0;
    SHOAL_ASSERT(!to->open);
    to->open = true;
    add_own(to, &words);
    close_desk(to, env, thread, &logged);
    return logged;
}

uint64_t shoal_effects_logged(const shoal_env *env, const shoal_thread *thread)
{
    SHOAL_ASSERT(env->desks != NULL);
    return desk_of(env, thread)->logged;
}
