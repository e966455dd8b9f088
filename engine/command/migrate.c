/* SPDX-License-Identifier: MIT
 *
 * command/migrate.c - MIGRATE: keys are said to another node with RESTORE, and removed here when
 * that has them. No thread waits: the command is a job that lives in turns under the gates of some
 * keys, and away, while a trip (trip.h) is under way. docs/decisions/migrate.md says why so.
 *
 *   pack    under the gates: the values as they are now become RESTOREs, and an interest hangs at
 *           each key from then on
 *   away    the trip carries them, and brings the answers; everybody else goes on meanwhile
 *   settle  under the same gates: a key whose RESTORE was answered with OK, and that nobody has
 *           touched since, is removed. One that has changed is packed once more, now with REPLACE;
 *           one that has gone is removed there too
 *
 *   1  A key is removed here only when what is there is what it was when it was removed.
 *   2  From its first packing until it is settled a key has its interest, so a change is seen.
 *      Two MIGRATEs cannot have the same key under way.
 *   3  While a key that has gone is to be removed there, a cluster's clients are not sent there
 *      (env->strays), so that what they put there does not go with it.
 *   4  A part of the keys is under way at once: what is in memory is bounded by that, or by one
 *      value. A key that has to go once more, and finds no room, waits for the next trip.
 *   5  While writes pause nothing is removed.
 */
#include "command/migrate.h"

#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "base/sort.h"
#include "command/dump.h"
#include "command/effect.h"
#include "command/handlers.h"
#include "command/job.h"
#include "command/pause.h"
#include "command/trip.h"
#include "command/worker.h"

/* Keys under way at once. Chosen: redis-cli moves ten at a time; a hundred in one round trip cost a
 * key next to nothing of its time. */
#define PART_KEYS 100u
/* Bytes of values from which on no further key joins those that are packed. Chosen. */
#define PART_BYTES ((size_t)1 << 20)
/* Bytes of an answer that are passed on to the client. */
#define ANSWER_MAX 512u
/* How long a pause of writes is left alone before it is looked at again. Chosen. */
#define PAUSE_LOOK_US 10000

/* One key under way. */
typedef struct passenger {
    shoal_interest interest; /* first */
    shoal_env *env;
    uint32_t key;      /* of the call's */
    bool registered;   /* its interest is in the store */
    bool changed;      /* since it was packed */
    bool stray;        /* it has gone, and is counted in env->strays */
    bool again;        /* the other one may have it: it is replaced, or removed there */
    bool gone;         /* what was said last is that it has gone */
    bool packed;       /* it has a command in the present trip, */
    uint32_t commands; /* of so many words that are answered: ASKING, DEL */
} passenger;

/* One MIGRATE. */
typedef struct migration {
    shoal_job job; /* first */
    shoal_migrate_wish wish;
    shoal_trip trip;
    int64_t until_us;    /* when a key that does not come to rest is given up */
    uint32_t next, part; /* keys that are settled; passengers behind them */
    bool packs;          /* the next step under gates packs; else it settles */
    bool found;          /* a key was there */
    bool failed;         /* an error has been written */
    bool ends;           /* nothing further is begun */
    uint32_t places[PART_KEYS];
    shoal_slice removed[PART_KEYS + 1]; /* of a DEL */
    passenger passengers[PART_KEYS];
} migration;

/* ---- changes, under the gate of the key ---- */

static void changed(shoal_interest *interest, shoal_thread *thread, shoal_change change)
{
    passenger *each = (passenger *)interest;
    (void)thread;
    SHOAL_ASSERT(each->registered);
    each->changed = true;
    bool goes = change != SHOAL_CHANGE_VALUE && change != SHOAL_CHANGE_TTL;
    if (!goes || each->stray) return;
    each->stray = true;
    shoal_add_relaxed(&each->env->strays, 1u);
}

static void calm(passenger *each)
{
    SHOAL_ASSERT(each->registered || !each->stray);
    if (each->stray) shoal_sub_relaxed(&each->env->strays, 1u);
    each->stray = false;
    each->changed = false;
}

static void let_go(passenger *each, shoal_thread *thread)
{
    calm(each);
    if (each->registered) shoal_store_interest_remove_locked(thread, &each->interest);
    each->registered = each->again = each->packed = false;
    SHOAL_ASSERT(!each->stray);
}

/* Is the key under way already? */
static passenger *find_other(const shoal_call *call, const shoal_key *key)
{
    SHOAL_ASSERT(call->gated);
    shoal_interest *at = shoal_store_interests_locked(call->thread, key->place);
    for (; at != NULL; at = at->next) {
        if (at->notify == changed && at->key.hash == key->hash &&
            shoal_text_equal(at->key.name, key->name))
            return (passenger *)at;
    }
    return NULL;
}

static void hang(shoal_call *call, passenger *each)
{
    SHOAL_ASSERT(call->gated && !each->registered);
    each->interest = (shoal_interest){.key = call->keys[each->key], .notify = changed};
    shoal_store_interest_add_locked(call->thread, &each->interest);
    each->registered = true;
}

/* ---- packing ---- */

static void say(shoal_buffer *out, const char *word)
{
    shoal_reply reply = {.out = out, .protocol = 2};
    SHOAL_DEBUG_ASSERT(word[0] != '\0');
    shoal_reply_text(&reply, word);
}

/* RESTORE of a value. False without memory. */
static bool say_restore(migration *this, shoal_call *call, const passenger *each,
                        const shoal_item *item)
{
    SHOAL_ASSERT(call->gated);
    const shoal_settings *settings = shoal_call__settings(call);
    int64_t now_ms = shoal_time_wall_ms(call->now), expires_ms = shoal_item_expires_ms(item);
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_rdb_value value = shoal_dump_value(item, scratch);
    shoal_rdb_style style = shoal_dump_style(settings, now_ms);
    int64_t ttl = expires_ms < 0 ? 0 : expires_ms > now_ms ? expires_ms - now_ms : 1;
    shoal_buffer payload = shoal_buffer_make(&call->env->allocator);
    shoal_rdb_write_payload(&payload, &value, &style);
    bool replace = this->wish.replace || each->again;
    shoal_reply out = {.out = &this->trip.said, .protocol = 2};
    shoal_reply_array(&out, replace ? 5 : 4);
    say(out.out, settings->cluster ? "RESTORE-ASKING" : "RESTORE");
    shoal_reply_bulk(&out, call->keys[each->key].name);
    shoal_reply_bulk_integer(&out, ttl);
    shoal_reply_bulk(&out, shoal_buffer_slice(&payload));
    if (replace) say(out.out, "REPLACE");
    bool failed = payload.failed || this->trip.said.failed;
    shoal_buffer_free(&payload);
    return !failed;
}

/* DEL of what was there and is no more. */
static bool say_del(migration *this, shoal_call *call, passenger *each)
{
    shoal_reply out = {.out = &this->trip.said, .protocol = 2};
    SHOAL_ASSERT(each->again);
    if (shoal_call__settings(call)->cluster) {
        shoal_reply_array(&out, 1);
        say(out.out, "ASKING");
        each->commands++;
    }
    shoal_reply_array(&out, 2);
    say(out.out, "DEL");
    shoal_reply_bulk(&out, call->keys[each->key].name);
    return !this->trip.said.failed;
}

/* The first error is the reply. */
static void fail(migration *this, shoal_call *call, const char *error)
{
    SHOAL_ASSERT(error[0] != '\0');
    if (!this->failed) shoal_reply_error(&call->reply, error);
    this->failed = true;
}

/* Puts a key into the trip, if there is something to say of it. */
static void pack(migration *this, shoal_call *call, passenger *each)
{
    const shoal_key *key = &call->keys[each->key];
    const shoal_item *item = shoal_store_get_locked(call->thread, key);
    int64_t now_ms = shoal_time_wall_ms(call->now);
    char scratch[SHOAL_INT_TEXT_SIZE];
    SHOAL_ASSERT(!each->packed);
    if (item != NULL) {
        shoal_rdb_value value = shoal_dump_value(item, scratch);
        if (shoal_rdb_is_empty(&value, now_ms)) item = NULL;
    }
    if (item == NULL && !each->again) return;
    this->found = true;
    if (!this->wish.copy && !each->registered) {
        const passenger *other = find_other(call, key);
        bool own = other >= this->passengers && other < this->passengers + this->part;
        if (other != NULL && !own)
            fail(this, call, "TRYAGAIN The key is on its way to another node already");
        if (other != NULL) return;
        hang(call, each);
    }
    /* What has gone stays a stray until the other one has heard of it. */
    each->changed = false;
    each->commands = 1;
    each->gone = item == NULL;
    if (item != NULL && each->stray) calm(each);
    bool said = item != NULL ? say_restore(this, call, each, item) : say_del(this, call, each);
    if (!said) {
        fail(this, call, SHOAL_ERROR__MEMORY);
        this->ends = true;
        return;
    }
    each->packed = true;
    this->trip.expected += each->commands;
}

/* ---- answers ---- */

/* What came, one answer after the other. */
static bool next_answer(shoal_slice *rest, shoal_slice *answer)
{
    size_t size;
    if (rest->size == 0 || shoal_answer_size(*rest, &size) != SHOAL_ERR_OK) return false;
    SHOAL_ASSERT(size > 0 && size <= rest->size);
    *answer = (shoal_slice){rest->data, size};
    rest->data += size;
    rest->size -= size;
    return true;
}

/* True unless it is an error, which is the reply if it is the first. */
static bool is_fine(migration *this, shoal_call *call, shoal_slice answer)
{
    SHOAL_ASSERT(answer.size > 0);
    if (answer.data[0] != '-') return true;
    shoal_slice text = {answer.data + 1, answer.size - 1};
    while (text.size != 0 && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
        text.size--;
    if (text.size > ANSWER_MAX) text.size = ANSWER_MAX;
    if (!this->failed)
        shoal_reply_errorf(&call->reply, "ERR Target instance replied with error: %.*s",
                           (int)text.size, text.data);
    this->failed = true;
    return false;
}

/* What is written when not all answers came. */
static const char *complaint(shoal_trip_end end)
{
    static const char *const texts[] = {
        [SHOAL_TRIP_HOME] = "IOERR error or timeout reading to target instance",
        [SHOAL_TRIP_CONNECTING] = "IOERR error or timeout writing to target instance",
        [SHOAL_TRIP_WRITING] = "IOERR error or timeout writing to target instance",
        [SHOAL_TRIP_READING] = "IOERR error or timeout reading to target instance"};
    SHOAL_ASSERT(end <= SHOAL_TRIP_READING);
    return texts[end];
}

/* ---- settling ---- */

/* A key that the other one has taken as it was packed. True when it was removed here. */
static bool take_leave(migration *this, shoal_call *call, passenger *each)
{
    const shoal_key *key = &call->keys[each->key];
    SHOAL_ASSERT(each->packed && call->gated);
    /* Its time may have come, which is told to us. */
    const shoal_item *item = shoal_store_get_locked(call->thread, key);
    bool cluster = shoal_call__settings(call)->cluster;
    bool ours = !cluster || shoal_store_owns(call->store, SHOAL_PLACE_SLOT(key->place));
    if (!each->changed) {
        if (item != NULL) SHOAL_ASSERT(!each->stray);
        bool removed = item != NULL && shoal_store_remove_locked(call->thread, key);
        let_go(each, call->thread);
        return removed;
    }
    if (item == NULL && (!ours || each->gone)) {
        /* It has gone with its slot, which is the other one's now; or that one knows already. */
        let_go(each, call->thread);
    } else if (item != NULL && call->now.mono_us >= this->until_us) {
        fail(this, call, "IOERR timeout: a key was written again and again on its way");
        let_go(each, call->thread);
    } else {
        each->again = true;
    }
    return false;
}

/* Every passenger as its answer says. Whether some have to go once more. */
static bool settle_all(migration *this, shoal_call *call)
{
    shoal_slice rest = shoal_buffer_slice(&this->trip.answers), answer;
    bool fine = true, more = false;
    bool role = (shoal_load_relaxed(&call->env->refuses) & SHOAL_REFUSES_WRITES_HERE) == 0;
    uint32_t removed = 1;
    SHOAL_ASSERT(call->gated);
    uint32_t before = (this->wish.login != 0) + (uint32_t)this->trip.selected;
    for (; before > 0 && next_answer(&rest, &answer); before--)
        fine = is_fine(this, call, answer) && fine;
    for (uint32_t i = 0; i < this->part; i++) {
        passenger *each = &this->passengers[i];
        bool there = each->packed && fine && before == 0;
        bool answered = each->packed && before == 0;
        for (uint32_t j = 0; answered && j < each->commands; j++) {
            answered = next_answer(&rest, &answer);
            there = answered && is_fine(this, call, answer) && there;
        }
        if (there && !this->wish.copy && role && take_leave(this, call, each))
            this->removed[removed++] = call->keys[each->key].name;
        bool waits = !each->packed && !this->ends;
        if ((there || waits) && each->again && each->registered) {
            more = true;
        } else {
            let_go(each, call->thread);
        }
        each->packed = false;
    }
    if (this->trip.end != SHOAL_TRIP_HOME) fail(this, call, complaint(this->trip.end));
    this->removed[0] = shoal_effect_removal(false);
    if (removed > 1) shoal_effect_tell(call, this->removed, removed);
    if (!role) fail(this, call, "READONLY You can't write against a read only replica.");
    this->ends = this->ends || this->trip.end != SHOAL_TRIP_HOME || !role;
    return more;
}

/* ---- turns ---- */

static int compare_places(const void *a, const void *b, void *context)
{
    (void)context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Forgets what was said and answered. */
static void clear_trip(shoal_trip *trip)
{
    SHOAL_ASSERT(trip->said.allocator != NULL);
    shoal_buffer_consume(&trip->said, shoal_buffer_size(&trip->said));
    shoal_buffer_consume(&trip->answers, shoal_buffer_size(&trip->answers));
    trip->expected = 0;
    trip->selected = false;
    trip->end = SHOAL_TRIP_HOME;
}

/* Under the gates: says what there is of the part. */
static void pack_all(migration *this, shoal_call *call)
{
    SHOAL_ASSERT(call->gated && this->part > 0);
    clear_trip(&this->trip);
    uint32_t i = 0;
    for (; i < this->part && !this->ends; i++) {
        if (shoal_buffer_size(&this->trip.said) >= PART_BYTES) break;
        if (this->passengers[i].again || this->packs) pack(this, call, &this->passengers[i]);
    }
    /* Those that have found no room are in the next part; once under way none is left behind. */
    if (this->packs) this->part = i;
}

/* The next keys, and their gates. */
static shoal_job_turn next_part(migration *this, const shoal_call *call)
{
    SHOAL_ASSERT(this->next < call->key_count && !this->ends);
    uint32_t left = call->key_count - this->next, count = 0;
    this->part = left < PART_KEYS ? left : PART_KEYS;
    for (uint32_t i = 0; i < this->part; i++) {
        this->passengers[i] = (passenger){.env = call->env, .key = this->next + i};
        this->places[i] = call->keys[this->next + i].place;
    }
    shoal_sort((shoal_sort_array){this->places, this->part, sizeof(*this->places)}, compare_places,
               NULL);
    for (uint32_t i = 0; i < this->part; i++) {
        if (i == 0 || this->places[i] != this->places[count - 1])
            this->places[count++] = this->places[i];
    }
    this->job.place_count = count;
    this->packs = true;
    return SHOAL_JOB_GATES;
}

/* The part is settled. */
static shoal_job_turn go_on(migration *this, shoal_call *call)
{
    for (uint32_t i = 0; i < this->part; i++) SHOAL_ASSERT(!this->passengers[i].registered);
    this->next += this->part;
    this->part = 0;
    SHOAL_ASSERT(this->next <= call->key_count);
    if (!this->ends && this->next < call->key_count) return next_part(this, call);
    if (this->failed) return SHOAL_JOB_DONE;
    if (this->found) {
        shoal_reply_ok(&call->reply);
    } else {
        shoal_reply_status(&call->reply, "NOKEY");
    }
    return SHOAL_JOB_DONE;
}

/* Does a pause of writes want keys to stay where they are? */
static bool is_paused(const migration *this, const shoal_call *call)
{
    SHOAL_ASSERT(call->gated);
    return !this->packs && !this->wish.copy && shoal_pause__stops(call->env, call->now.mono_us);
}

/* Under the gates of the part. */
static shoal_job_turn work(migration *this, shoal_call *call)
{
    SHOAL_ASSERT(call->gated);
    bool more = true;
    if (__builtin_expect(is_paused(this, call), 0)) {
        this->job.at_us = call->now.mono_us + PAUSE_LOOK_US;
        return SHOAL_JOB_LATER;
    }
    if (!this->packs) {
        more = settle_all(this, call);
        for (uint32_t i = 0; this->ends && i < this->part; i++)
            let_go(&this->passengers[i], call->thread);
    }
    if (more && !this->ends) pack_all(this, call);
    this->packs = false;
    if (more && this->trip.expected > 0) return SHOAL_JOB_AWAY;
    for (uint32_t i = 0; i < this->part; i++) let_go(&this->passengers[i], call->thread);
    return go_on(this, call);
}

static shoal_job_turn step(shoal_job *job, shoal_call *call)
{
    migration *this = (migration *)job;
    SHOAL_ASSERT(this->next <= call->key_count);
    if (call->gated) return work(this, call);
    /* It begins; or the trip is home. */
    return this->part == 0 ? go_on(this, call) : SHOAL_JOB_GATES;
}

static void depart(shoal_job *job, shoal_errand *errand)
{
    migration *this = (migration *)job;
    SHOAL_ASSERT(this->trip.expected > 0);
    shoal_trip_send(&this->trip, errand);
}

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    migration *this = (migration *)job;
    /* One that waits for the end of a pause when its node ends still has keys under way: they
     * stay. */
    for (uint32_t i = 0; i < this->part; i++) {
        passenger *each = &this->passengers[i];
        SHOAL_ASSERT(!each->registered || this->job.at_us != 0);
        if (each->registered) shoal_store_interest_drop(each->env->store, &each->interest);
    }
    shoal_buffer_free(&this->trip.login);
    shoal_buffer_free(&this->trip.said);
    shoal_buffer_free(&this->trip.answers);
    shoal_memory_give(allocator, this, sizeof(*this), _Alignof(max_align_t));
}

/* ---- the command ---- */

static void say_login(migration *this, const shoal_call *call)
{
    shoal_reply out = {.out = &this->trip.login, .protocol = 2};
    const shoal_migrate_wish *wish = &this->wish;
    if (wish->login == 0) return;
    SHOAL_ASSERT(wish->login + wish->login_words <= call->argc);
    shoal_reply_array(&out, 1 + wish->login_words);
    say(out.out, "AUTH");
    for (uint32_t i = 0; i < wish->login_words; i++)
        shoal_reply_bulk(&out, call->argv[wish->login + i]);
}

void shoal_command__migrate(shoal_call *call)
{
    shoal_migrate_wish wish;
    const shoal_allocator *allocator = &call->env->allocator;
    SHOAL_ASSERT(call->worker != NULL);
    if (!shoal_migrate__read(call, &wish)) return;
    migration *this = shoal_memory_take_zeroed(allocator, sizeof(*this), _Alignof(max_align_t));
    if (this == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    this->job = (shoal_job){
        .step = step, .drop = drop, .depart = depart, .places = this->places, .stays = true};
    this->wish = wish;
    this->until_us = call->now.mono_us + wish.timeout_ms * 1000;
    this->trip = (shoal_trip){.to = wish.to,
                              .db = wish.db,
                              .timeout_us = wish.timeout_ms * 1000,
                              .login = shoal_buffer_make(allocator),
                              .said = shoal_buffer_make(allocator),
                              .answers = shoal_buffer_make(allocator)};
    say_login(this, call);
    shoal_job__start(&this->job, call);
}
