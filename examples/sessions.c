/* SPDX-License-Identifier: MIT
 *
 * A session cache: each session lives for half an hour after its last use, and somebody is told
 * when one ends. Shows: opening, put with a time to live, get, expire, the callback for what goes,
 * and that time is an argument, so that an hour passes here without waiting for it.
 */
#include <shoal/cache.h>

#include <stdio.h>
#include <stdlib.h>

/* Half an hour. */
#define LIFETIME_MS (30 * 60 * 1000)

/* A moment, in seconds after noon of some day. A server would say shoal_time_now(). */
static shoal_time noon_plus(int seconds)
{
    int64_t us = (int64_t)seconds * 1000000;
    return (shoal_time){.mono_us = us, .wall_us = 1700000000000000 + us};
}

/* Called by the cache when a session's time has come, or when it must make room. */
static void session_ends(void *context, shoal_slice key, const shoal_cache_value *value,
                         shoal_cache_reason reason)
{
    int *ended = context;
    ++*ended;
    printf("  session %.*s of %.*s %s\n", (int)key.size, key.data, (int)value->bytes.size,
           value->bytes.data, reason == SHOAL_CACHE_EXPIRED ? "has expired" : "made room");
}

/* A request of a session: who is it? Its life begins anew. */
static void request(shoal_cache_thread *me, shoal_time now, const char *id)
{
    shoal_cache_value user;
    shoal_cache_enter(me, now);
    shoal_err error = shoal_cache_get(me, shoal_slice_of(id), &user);
    if (error == 0) {
        /* What was found is borrowed: it may be used until the leave, whatever is written. */
        printf("  request of %.*s\n", (int)user.bytes.size, user.bytes.data);
        error = shoal_cache_expire(me, shoal_slice_of(id), shoal_time_wall_ms(now) + LIFETIME_MS);
    }
    if (error != 0) printf("  request of %s: %s\n", id, shoal_err_text(error));
    shoal_cache_leave(me);
}

static void log_in(shoal_cache_thread *me, shoal_time now, const char *id, const char *user)
{
    shoal_cache_enter(me, now);
    int64_t until_ms = shoal_time_wall_ms(now) + LIFETIME_MS;
    shoal_err error = shoal_cache_put(me, shoal_slice_of(id), shoal_slice_of(user), until_ms);
    if (error != 0) printf("  no session for %s: %s\n", user, shoal_err_text(error));
    shoal_cache_leave(me);
}

int main(void)
{
    int ended = 0;
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = shoal_allocator_default();
    options.gone = session_ends;
    options.gone_context = &ended;
    shoal_cache *cache;
    shoal_err error = shoal_cache_open(&options, &cache);
    if (error != 0) {
        fprintf(stderr, "no cache: %s\n", shoal_err_text(error));
        return EXIT_FAILURE;
    }
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);

    puts("12:00");
    log_in(me, noon_plus(0), "s1", "alice");
    log_in(me, noon_plus(0), "s2", "bob");
    puts("12:20");
    request(me, noon_plus(20 * 60), "s1");
    puts("12:45");
    request(me, noon_plus(45 * 60), "s1");
    request(me, noon_plus(45 * 60), "s2");

    /* A program calls this now and then: it finds what nobody asks for any more. */
    puts("14:00");
    for (int second = 0; second < 10; second++) {
        shoal_cache_enter(me, noon_plus(2 * 60 * 60 + second));
        (void)shoal_cache_maintain(me, 100);
        shoal_cache_leave(me);
    }
    printf("%d sessions have ended\n", ended);
    shoal_cache_close(cache);
    return EXIT_SUCCESS;
}
