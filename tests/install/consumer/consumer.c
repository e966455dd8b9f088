/* SPDX-License-Identifier: MIT
 *
 * A program that stands outside of Shoal's tree and uses only what is installed: it keeps some
 * values in a cache of its own, reads them back and counts.
 */
#include <shoal/cache.h>

#include <stdio.h>
#include <string.h>

static shoal_slice text(const char *characters)
{
    return (shoal_slice){characters, strlen(characters)};
}

/* Puts, reads, counts and removes; true when all went as it should. */
static bool use(shoal_cache_thread *me)
{
    shoal_cache_value found;
    int64_t visits = 0;
    if (shoal_cache_put(me, text("greeting"), text("hello"), SHOAL_CACHE_FOREVER) != 0)
        return false;
    if (shoal_cache_get(me, text("greeting"), &found) != 0) return false;
    if (found.bytes.size != 5 || memcmp(found.bytes.data, "hello", 5) != 0) return false;
    for (int i = 0; i < 3; i++) {
        if (shoal_cache_increment(me, text("visits"), 1, &visits) != 0) return false;
    }
    if (visits != 3) return false;
    if (shoal_cache_remove(me, text("greeting")) != 0) return false;
    return shoal_cache_get(me, text("greeting"), &found) == SHOAL_ERR_NOT_FOUND;
}

int main(void)
{
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = shoal_allocator_default();
    shoal_cache *cache;
    shoal_err error = shoal_cache_open(&options, &cache);
    if (error != 0) {
        puts(shoal_err_text(error));
        return 1;
    }
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_enter(me, (shoal_time){.mono_us = 1, .wall_us = 1});
    bool fine = use(me);
    shoal_cache_leave(me);
    shoal_cache_close(cache);
    puts(fine ? "all is well" : "something is wrong");
    return fine ? 0 : 1;
}
