/* SPDX-License-Identifier: MIT
 *
 * node/memory.h on jemalloc, or on the C library's malloc where jemalloc is not linked.
 */
#include "memory.h"

#ifdef SHOAL_NODE_JEMALLOC

#include <jemalloc/jemalloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "mapping.h"

/* Blocks from this size on jemalloc returns to the system as soon as they are free (its
 * oversize_threshold), in one call that takes milliseconds: we do better by them. */
#define MAPPING_MIN ((size_t)8 << 20)

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

/* The flags of jemalloc for an alignment. Every size class is aligned to 8, and those of 16
 * bytes and more to 16: then plain malloc, whose fast path is shorter, will do. */
static int flags_of(size_t size, size_t alignment)
{
    if (alignment <= 8 || (alignment == 16 && size >= 16)) return 0;
    return MALLOCX_ALIGN(alignment);
}

/* Is it a whole block of a slab? */
static bool is_block(size_t size, size_t alignment)
{
    return size == SHOAL_PAGES_BLOCK && alignment == SHOAL_PAGES_BLOCK;
}

/* Is it a mapping of its own: a block whose size may be changed, or a very large one? */
static bool is_mapping(const void *context, size_t size, size_t alignment)
{
    size_t least = alignment == SHOAL_ALIGN_PAGE ? SHOAL_RESIZABLE_MIN : MAPPING_MIN;
    return size >= least && context != NULL;
}

static void *take(void *context, size_t size, size_t alignment)
{
    if (is_mapping(context, size, alignment)) return shoal_pages__map(context, size);
    if (context != NULL && is_block(size, alignment)) {
        void *block = shoal_pages__take(context);
        if (block != NULL) return block;
    }
    int flags = flags_of(size, alignment);
    return flags == 0 ? malloc(size) : mallocx(size, flags);
}

/* Large zeroed blocks come from fresh extents, which the system zeroes when they are touched. */
static void *take_zeroed(void *context, size_t size, size_t alignment)
{
    if (is_mapping(context, size, alignment)) return shoal_pages__map(context, size);
    return mallocx(size, flags_of(size, alignment) | MALLOCX_ZERO);
}

static void give(void *context, void *memory, size_t size, size_t alignment)
{
    if (is_mapping(context, size, alignment)) {
        shoal_pages__unmap(context, memory, size);
        return;
    }
    if (context != NULL && is_block(size, alignment) && shoal_pages__owns(context, memory)) {
        shoal_pages__give(context, memory);
        return;
    }
    sdallocx(memory, size, flags_of(size, alignment));
}

static size_t usable(void *context, size_t size, size_t alignment)
{
    if (is_mapping(context, size, alignment)) return shoal_mapping__size(size);
    return nallocx(size, flags_of(size, alignment));
}

static void *resize(void *context, void *memory, size_t size, size_t size_new)
{
    SHOAL_ASSERT(is_mapping(context, size, SHOAL_ALIGN_PAGE));
    SHOAL_ASSERT(is_mapping(context, size_new, SHOAL_ALIGN_PAGE));
    return shoal_pages__remap(context, memory, size, size_new);
}

/* What jemalloc tells of the slab of a block: of the block's size class, all slabs. */
typedef struct utilization {
    void *current; /* slab that the class is served from */
    size_t free, regions, slab_size, free_all, regions_all;
} utilization;

/* As base/slab.h has it: emptier than the class is on average, and not nearly full. */
static bool is_sparse(void *context, const void *memory, size_t size)
{
    (void)context;
    (void)size;
    utilization of;
    size_t room = sizeof of;
    if (mallctl("experimental.utilization.query", &of, &room, &memory, sizeof memory) != 0)
        return false;
    if (of.regions <= 1 || of.free * 8 <= of.regions) return false;
    uintptr_t current = (uintptr_t)of.current, at = (uintptr_t)memory;
    if (at >= current && at < current + of.slab_size) return false;
    size_t used = of.regions - of.free, used_all = of.regions_all - of.free_all;
    return used * of.regions_all <= used_all * of.regions;
}

shoal_allocator shoal_memory_allocator_with(shoal_pages *pages)
{
    return (shoal_allocator){.context = pages,
                             .allocate = take,
                             .allocate_zeroed = take_zeroed,
                             .release = give,
                             .usable_size = usable,
                             .is_sparse = is_sparse,
                             .resize = pages != NULL ? resize : NULL};
}

shoal_allocator shoal_memory_allocator(void)
{
    return shoal_memory_allocator_with(NULL);
}

const char *shoal_memory_name(void)
{
    return "jemalloc-" TEXT(JEMALLOC_VERSION_MAJOR) "." TEXT(JEMALLOC_VERSION_MINOR) "." TEXT(
        JEMALLOC_VERSION_BUGFIX);
}

bool shoal_memory_looks_for_leaks(void)
{
    return false;
}

/* One number of jemalloc's statistics tree, 0 when there is none. */
static uint64_t stat_read(const char *name)
{
    size_t value = 0;
    size_t size = sizeof value;
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

shoal_memory_stats shoal_memory_stats_read(const shoal_pages *pages)
{
    size_t taken = pages != NULL ? shoal_pages__taken(pages) : 0;
    size_t held = pages != NULL ? shoal_pages__held(pages) : 0;
    size_t mapped = pages != NULL ? shoal_pages__mapped(pages) : 0;
    uint64_t epoch = 1;
    size_t size = sizeof epoch;
    if (mallctl("epoch", &epoch, &size, &epoch, size) != 0) return (shoal_memory_stats){0};
    return (shoal_memory_stats){.allocated = stat_read("stats.allocated") + taken + mapped,
                                .active = stat_read("stats.active") + taken + mapped,
                                .resident = stat_read("stats.resident") + held + mapped,
                                .retained = stat_read("stats.retained")};
}

void shoal_memory_purge(void *context)
{
    (void)context;
    (void)mallctl("arena." TEXT(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
}

static void append_text(void *buffer, const char *text)
{
    shoal_buffer_append(buffer, (shoal_slice){text, strlen(text)});
}

void shoal_memory_describe(void *context, shoal_buffer *text)
{
    (void)context;
    malloc_stats_print(append_text, text, NULL);
}

#else

shoal_allocator shoal_memory_allocator_with(shoal_pages *pages)
{
    (void)pages;
    return shoal_allocator_default();
}

shoal_allocator shoal_memory_allocator(void)
{
    return shoal_allocator_default();
}

const char *shoal_memory_name(void)
{
    return "libc";
}

bool shoal_memory_looks_for_leaks(void)
{
    return true;
}

shoal_memory_stats shoal_memory_stats_read(const shoal_pages *pages)
{
    (void)pages;
    return (shoal_memory_stats){0};
}

void shoal_memory_purge(void *context)
{
    (void)context;
}

void shoal_memory_describe(void *context, shoal_buffer *text)
{
    (void)context;
    (void)text;
}

#endif
