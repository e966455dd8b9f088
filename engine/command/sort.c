/* SPDX-License-Identifier: MIT
 *
 * command/sort.c - SORT and SORT_RO. Everything that a SORT reads it reads at one moment, under the
 * gates of all keys concerned; and STORE replaces its key at the same moment.
 *
 * The keys that BY and GET name are known only when the elements are, and nobody may ask for
 * further gates while holding some. So the elements are looked at under the gate of their key, the
 * names computed and everything let go; then, as a job, the same under the gates of all these
 * names, where it is done if no name has come up that is not covered. Otherwise (the elements have
 * changed meanwhile) it is tried again, the third time with all gates of the database.
 */
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "command/job.h"
#include "command/sort.h"

/* Attempts with the gates of the names that were seen; then it takes all. */
#define ATTEMPTS 2u

/* ---- arguments ---- */

/* False after writing an error: keys with other names may lie on other nodes. */
static bool check_alone(shoal_call *call, const char *option)
{
    SHOAL_DEBUG_ASSERT(option != NULL);
    if (!shoal_call__settings(call)->cluster) return true;
    shoal_reply_errorf(&call->reply, "ERR %s option of SORT denied in Cluster mode.", option);
    return false;
}

static bool take_by(shoal_sorting *sorting, uint32_t index)
{
    shoal_slice text = sorting->call->argv[index];
    SHOAL_DEBUG_ASSERT(index < sorting->call->argc);
    sorting->by = shoal_sort__pattern(text);
    sorting->unsorted = shoal_text_find(text, shoal_text("*")) == SHOAL_TEXT_NONE;
    sorting->by_pattern = !sorting->unsorted;
    return sorting->unsorted || check_alone(sorting->call, "BY");
}

static bool take_get(shoal_sorting *sorting, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < sorting->call->argc);
    if (!check_alone(sorting->call, "GET")) return false;
    SHOAL_ASSERT(sorting->get_count < sorting->get_capacity);
    sorting->gets[sorting->get_count++] = shoal_sort__pattern(sorting->call->argv[index]);
    return true;
}

/* Takes the option at `*index` with its arguments. False after writing an error. */
static bool take_option(shoal_sorting *sorting, uint32_t *index)
{
    shoal_call *call = sorting->call;
    uint32_t i = *index, left = call->argc - i - 1;
    SHOAL_ASSERT(i < call->argc);
    if (shoal_call__word(call, i, "asc")) {
        sorting->descending = false;
        return true;
    }
    if (shoal_call__word(call, i, "desc")) {
        sorting->descending = true;
        return true;
    }
    if (shoal_call__word(call, i, "alpha")) {
        sorting->alpha = true;
        return true;
    }
    if (left >= 2 && shoal_call__word(call, i, "limit")) {
        *index += 2;
        return shoal_call__integer(call, i + 1, &sorting->limit_first) &&
               shoal_call__integer(call, i + 2, &sorting->limit_count);
    }
    *index += 1;
    if (left >= 1 && shoal_call__word(call, i, "by")) return take_by(sorting, i + 1);
    if (left >= 1 && shoal_call__word(call, i, "get")) return take_get(sorting, i + 1);
    if (left >= 1 && shoal_call__word(call, i, "store") &&
        call->command->id == SHOAL_COMMAND_SORT) {
        sorting->stores = true;
        return true;
    }
    shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    return false;
}

/* Reads the arguments. False after writing an error. */
static bool parse(shoal_sorting *sorting)
{
    shoal_call *call = sorting->call;
    SHOAL_ASSERT(call->argc >= 2);
    sorting->limit_count = -1;
    sorting->get_capacity = call->argc / 2;
    sorting->gets =
        shoal_memory_take(&call->env->allocator, sorting->get_capacity * sizeof(shoal_sort_pattern),
                          SHOAL_ALIGN_PLAIN);
    if (sorting->gets == NULL) {
        sorting->get_capacity = 0;
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return false;
    }
    for (uint32_t i = 2; i < call->argc; i++) {
        if (!take_option(sorting, &i)) return false;
    }
    return true;
}

/* ---- the source ---- */

/* Loads what the first key holds. False after writing an error, or when the gates are wanted. */
static bool load(shoal_sorting *sorting)
{
    shoal_call *call = sorting->call;
    SHOAL_ASSERT(call->key_count >= 1);
    const shoal_item *item = call->gated ? shoal_store_get_locked(call->thread, &call->keys[0])
                                         : shoal_store_get(call->thread, &call->keys[0]);
    shoal_value_type type = item == NULL ? SHOAL_TYPE_LIST : shoal_item_type(item);
    if (type != SHOAL_TYPE_LIST && type != SHOAL_TYPE_SET && type != SHOAL_TYPE_ZSET) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__TYPE);
        return false;
    }
    if (item != NULL && !call->gated && shoal_item_is_object(item)) {
        call->wants_gates = true;
        return false;
    }
    /* A set has no order of its own: what is stored has one all the same. */
    if (sorting->unsorted && type == SHOAL_TYPE_SET && sorting->stores) {
        sorting->unsorted = false;
        sorting->alpha = true;
    }
    shoal_compound value = {.object = NULL};
    if (item != NULL) value = shoal_item_compound(item);
    shoal_call__met(call, 0, item != NULL);
    shoal_sort__load(sorting, type, &value);
    return true;
}

/* Does it look at keys that its arguments do not name? */
static bool roams(const shoal_sorting *sorting)
{
    SHOAL_DEBUG_ASSERT(sorting->gets != NULL);
    if (sorting->by_pattern) return true;
    for (uint32_t i = 0; i < sorting->get_count; i++) {
        if (sorting->gets[i].kind == SHOAL_SORT__KEY || sorting->gets[i].kind == SHOAL_SORT__FIELD)
            return true;
    }
    return false;
}

/* ---- the job ---- */

/* Tries a SORT under gates that it has found out. */
typedef struct sort_job {
    shoal_job job; /* first */
    uint32_t attempts;
    shoal_sort_slots held; /* in which database is the call's business */
    uint32_t *places;      /* of `held` */
    uint32_t capacity;
} sort_job;

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    sort_job *work = (sort_job *)job;
    SHOAL_ASSERT(job->drop == drop);
    shoal_memory_give(allocator, work->places, work->capacity * sizeof(uint32_t),
                      SHOAL_ALIGN_PLAIN);
    shoal_memory_give(allocator, work, sizeof(*work), SHOAL_ALIGN_PLAIN);
}

/* Writes the places down of which the gates are to be taken. False without memory. */
static bool list_places(sort_job *work, const shoal_call *call)
{
    const shoal_allocator *allocator = &call->env->allocator;
    uint32_t count = 0;
    for (uint32_t i = 0; i < SHOAL_SLOTS / 64; i++)
        count += (uint32_t)__builtin_popcountll(work->held.words[i]);
    SHOAL_ASSERT(count > 0);
    if (count > work->capacity) {
        shoal_memory_give(allocator, work->places, work->capacity * sizeof(uint32_t),
                          SHOAL_ALIGN_PLAIN);
        work->places = shoal_memory_take(allocator, count * sizeof(uint32_t), SHOAL_ALIGN_PLAIN);
        work->capacity = work->places == NULL ? 0 : count;
        if (work->places == NULL) return false;
    }
    uint32_t at = 0;
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        if (work->held.words[slot / 64] >> (slot % 64) & 1)
            work->places[at++] = SHOAL_PLACE(call->db, slot);
    }
    SHOAL_ASSERT(at == count);
    work->job.places = work->places;
    work->job.place_count = count;
    return true;
}

/* Are the gates of all slots of `needed` held? Else they are asked for the next time. */
static bool covered(sort_job *work, const shoal_sort_slots *needed)
{
    bool all = true;
    SHOAL_DEBUG_ASSERT(work->attempts <= ATTEMPTS + 1);
    for (uint32_t i = 0; i < SHOAL_SLOTS / 64; i++) {
        if ((needed->words[i] & ~work->held.words[i]) != 0) all = false;
        work->held.words[i] |= needed->words[i];
    }
    return all;
}

static void add_slot(shoal_sort_slots *slots, uint32_t place)
{
    uint32_t slot = SHOAL_PLACE_SLOT(place);
    SHOAL_DEBUG_ASSERT(slot < SHOAL_SLOTS);
    slots->words[slot / 64] |= (uint64_t)1 << (slot % 64);
}

/* The slots of the keys that the arguments name. */
static shoal_sort_slots own_slots(const shoal_call *call)
{
    shoal_sort_slots slots = {{0}};
    SHOAL_ASSERT(call->key_count >= 1);
    for (uint32_t i = 0; i < call->key_count; i++) add_slot(&slots, call->keys[i].place);
    return slots;
}

static shoal_job_turn ask_for_gates(sort_job *work, shoal_call *call)
{
    SHOAL_ASSERT(work->attempts <= ATTEMPTS);
    if (work->attempts++ == ATTEMPTS) memset(&work->held, 0xff, sizeof(work->held));
    if (list_places(work, call)) return SHOAL_JOB_GATES;
    shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    return SHOAL_JOB_DONE;
}

static shoal_job_turn step(shoal_job *job, shoal_call *call)
{
    sort_job *work = (sort_job *)job;
    if (!call->gated) return ask_for_gates(work, call);
    shoal_sorting sorting = {.call = call, .name = shoal_buffer_make(&call->env->allocator)};
    shoal_job_turn turn = SHOAL_JOB_DONE;
    if (parse(&sorting) && load(&sorting)) {
        shoal_sort_slots needed = own_slots(call);
        shoal_sort__name_slots(&sorting, &needed);
        if (sorting.failed || covered(work, &needed)) {
            shoal_sort__answer(&sorting);
        } else {
            /* Not from here: these gates are to be let go first. */
            turn = SHOAL_JOB_AGAIN;
        }
    }
    SHOAL_ASSERT(!call->wants_gates);
    shoal_sort__free(&sorting);
    return turn;
}

/* Leaves the rest to a job, unless the gates that are held happen to be enough. */
static void go_on(shoal_sorting *sorting)
{
    shoal_call *call = sorting->call;
    const shoal_allocator *allocator = &call->env->allocator;
    sort_job *work = shoal_memory_take_zeroed(allocator, sizeof(*work), SHOAL_ALIGN_PLAIN);
    if (work == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    SHOAL_ASSERT(call->gated && !call->whole);
    shoal_sort_slots needed = {{0}};
    work->job = (shoal_job){.step = step, .drop = drop, .multi = sorting->stores};
    work->held = own_slots(call);
    shoal_sort__name_slots(sorting, &needed);
    if (sorting->failed || covered(work, &needed)) {
        drop(&work->job, allocator);
        shoal_sort__answer(sorting);
    } else {
        call->job = &work->job;
    }
}

/* ---- SORT, SORT_RO ---- */

void shoal_command__sort(shoal_call *call)
{
    shoal_sorting sorting = {.call = call, .name = shoal_buffer_make(&call->env->allocator)};
    SHOAL_ASSERT(call->key_count >= 1);
    if (parse(&sorting)) {
        bool wide = roams(&sorting);
        if (wide && !call->gated) {
            call->wants_gates = true;
        } else if (load(&sorting)) {
            if (wide && !call->whole && !sorting.failed) {
                go_on(&sorting);
            } else {
                shoal_sort__answer(&sorting);
            }
        }
    }
    shoal_sort__free(&sorting);
}
