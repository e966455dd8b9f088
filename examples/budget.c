/* SPDX-License-Identifier: MIT
 *
 * A custom allocator: the cache takes its memory from an account with a limit, and the program sees
 * what happens when that is used up. Shows: the allocator interface with sizes on release, that a
 * write that finds no memory changes nothing, and that everything comes back.
 */
#include <shoal/cache.h>

#include <stdio.h>
#include <stdlib.h>

/* What may be taken, and what has been. One thread uses it here; several would need atomics. */
typedef struct account {
    shoal_allocator below; /* where the memory really comes from */
    size_t limit, used;
    size_t refused;
} account;

static bool may_take(account *a, size_t size)
{
    if (size <= a->limit - a->used) return true;
    a->refused++;
    return false;
}

static void *take(void *context, size_t size, size_t alignment)
{
    account *a = context;
    if (!may_take(a, size)) return NULL;
    void *memory = a->below.allocate(a->below.context, size, alignment);
    if (memory != NULL) a->used += size;
    return memory;
}

static void *take_zeroed(void *context, size_t size, size_t alignment)
{
    account *a = context;
    if (!may_take(a, size)) return NULL;
    void *memory = a->below.allocate_zeroed(a->below.context, size, alignment);
    if (memory != NULL) a->used += size;
    return memory;
}

/* The size comes along, so that nobody needs to keep it. */
static void give(void *context, void *memory, size_t size, size_t alignment)
{
    account *a = context;
    a->used -= size;
    a->below.release(a->below.context, memory, size, alignment);
}

static size_t usable(void *context, size_t size, size_t alignment)
{
    const account *a = context;
    return a->below.usable_size(a->below.context, size, alignment);
}

/* Puts numbered values until there is no room. Returns how many. */
static int fill(shoal_cache_thread *me, shoal_slice value, shoal_err *error)
{
    char name[32];
    for (int i = 0;; i++) {
        int size = snprintf(name, sizeof name, "key %d", i);
        shoal_cache_enter(me, shoal_time_now());
        *error = shoal_cache_put(me, (shoal_slice){name, (size_t)size}, value, SHOAL_CACHE_FOREVER);
        shoal_cache_leave(me);
        if (*error != 0) return i;
    }
}

int main(void)
{
    account a = {.below = shoal_allocator_default(), .limit = (size_t)16 << 20};
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = (shoal_allocator){.context = &a,
                                          .allocate = take,
                                          .allocate_zeroed = take_zeroed,
                                          .release = give,
                                          .usable_size = usable};
    shoal_cache *cache;
    shoal_err error = shoal_cache_open(&options, &cache);
    if (error != 0) {
        fprintf(stderr, "no cache: %s\n", shoal_err_text(error));
        return EXIT_FAILURE;
    }
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    static char bytes[1000];
    int count = fill(me, (shoal_slice){bytes, sizeof bytes}, &error);
    printf("the limit holds: %s\n", a.used <= a.limit ? "yes" : "no");
    printf("more than ten thousand values fit into 16 MiB: %s\n", count > 10000 ? "yes" : "no");
    printf("the next put said: %s\n", shoal_err_text(error));

    /* What is there can still be read, and making room lets writes go on. */
    shoal_cache_value found;
    shoal_cache_enter(me, shoal_time_now());
    error = shoal_cache_get(me, shoal_slice_of("key 0"), &found);
    printf("key 0: %zu bytes\n", error == 0 ? found.bytes.size : 0);
    shoal_cache_leave(me);
    for (int i = 0; i < 100; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "key %d", i);
        /* What is removed comes back at the leave: in batches of one, at once. */
        shoal_cache_enter(me, shoal_time_now());
        error = shoal_cache_remove(me, (shoal_slice){name, (size_t)size});
        if (error != 0) printf("not removed: %s\n", shoal_err_text(error));
        shoal_cache_leave(me);
    }
    shoal_cache_enter(me, shoal_time_now());
    error = shoal_cache_put(me, shoal_slice_of("new"), shoal_slice_of("value"), -1);
    printf("after removing some: %s\n", shoal_err_text(error));
    shoal_cache_leave(me);
    shoal_cache_close(cache);
    printf("bytes left: %zu\n", a.used);
    return EXIT_SUCCESS;
}
