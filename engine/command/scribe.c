/* SPDX-License-Identifier: MIT
 *
 * command/scribe.c - the writes of shoal/cache.h in the words of Redis, for the append-only file
 * that a cache is kept in (command/embed.h).
 */
#include "base/assert.h"
#include "base/atomic.h"
#include "base/text.h"
#include "command/effect.h"
#include "command/embed.h"

/* The longest command. */
#define WORDS_MAX 5u

static const shoal_scribe *scribe_of(const shoal_journal *journal)
{
    SHOAL_DEBUG_ASSERT(journal != NULL);
    return (const shoal_scribe *)journal;
}

static shoal_err refuses(const shoal_journal *journal)
{
    const shoal_scribe *scribe = scribe_of(journal);
    SHOAL_DEBUG_ASSERT(scribe->env != NULL);
    shoal_err why = shoal_load_relaxed(&scribe->trouble);
    if (why != SHOAL_ERR_OK) return why;
    return shoal_log_torn(scribe->env->log) ? SHOAL_ERR_NO_MEMORY : SHOAL_ERR_OK;
}

/* SET key value, with PXAT where it does not live for ever. */
static uint32_t put_words(const shoal_told *told, shoal_slice *argv, shoal_effect_number *room)
{
    SHOAL_DEBUG_ASSERT(told->kind == SHOAL_TOLD_PUT);
    argv[0] = (shoal_slice){"SET", 3};
    argv[1] = told->key;
    argv[2] = told->value;
    if (told->expires_ms < 0) return 3;
    argv[3] = (shoal_slice){"PXAT", 4};
    /* The command takes no 0; both are long over. */
    argv[4] = shoal_effect_integer(room, told->expires_ms > 0 ? told->expires_ms : 1);
    return 5;
}

/* Another time to live, or none. */
static uint32_t expire_words(const shoal_told *told, shoal_slice *argv, shoal_effect_number *room)
{
    SHOAL_DEBUG_ASSERT(told->kind == SHOAL_TOLD_EXPIRE);
    argv[1] = told->key;
    argv[0] = (shoal_slice){"PERSIST", 7};
    if (told->expires_ms < 0) return 2;
    argv[0] = (shoal_slice){"PEXPIREAT", 9};
    argv[2] = shoal_effect_integer(room, told->expires_ms);
    return 3;
}

/* A word, the key, and an argument behind it. */
static uint32_t three_words(const char *word, shoal_slice key, shoal_slice last, shoal_slice *argv)
{
    SHOAL_DEBUG_ASSERT(word[0] != '\0');
    argv[0] = shoal_text(word);
    argv[1] = key;
    argv[2] = last;
    return 3;
}

static void told(const shoal_journal *journal, shoal_thread *thread, const shoal_told *what)
{
    shoal_env *env = scribe_of(journal)->env;
    shoal_slice argv[WORDS_MAX];
    shoal_effect_number room;
    uint32_t argc = 0;
    SHOAL_DEBUG_ASSERT(env->log != NULL && env->desks != NULL);
    switch (what->kind) {
    case SHOAL_TOLD_PUT: argc = put_words(what, argv, &room); break;
    case SHOAL_TOLD_EXPIRE: argc = expire_words(what, argv, &room); break;
    case SHOAL_TOLD_INCREMENT: {
        shoal_slice delta = shoal_effect_integer(&room, what->delta);
        argc = three_words("INCRBY", what->key, delta, argv);
        break;
    }
    case SHOAL_TOLD_APPEND: argc = three_words("APPEND", what->key, what->value, argv); break;
    case SHOAL_TOLD_REMOVE:
        argv[0] = shoal_effect_removal(false);
        argv[1] = what->key;
        argc = 2;
        break;
    case SHOAL_TOLD_CLEAR:
        argv[0] = (shoal_slice){"FLUSHALL", 8};
        argc = 1;
        break;
    case SHOAL_TOLD_LOST: shoal_log_tear(env->log); return;
    }
    SHOAL_ASSERT(argc > 0 && argc <= WORDS_MAX);
    (void)shoal_effects_tell(env, thread, 0, argv, argc);
}

/* What has been told goes to the file before the caller goes on. */
static void left(const shoal_journal *journal, const shoal_thread *thread, shoal_time now)
{
    const shoal_scribe *scribe = scribe_of(journal);
    SHOAL_DEBUG_ASSERT(now.mono_us >= 0);
    scribe->left(scribe, thread, now);
}

void shoal_scribe_open(shoal_scribe *scribe, shoal_store *store)
{
    SHOAL_ASSERT(scribe->env->log != NULL && scribe->env->desks != NULL);
    SHOAL_ASSERT(scribe->env->store == store);
    SHOAL_ASSERT(scribe->left != NULL);
    scribe->journal = (shoal_journal){.refuses = refuses, .told = told, .left = left};
    shoal_store_set_journal(store, &scribe->journal);
}
