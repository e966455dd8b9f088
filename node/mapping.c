/* SPDX-License-Identifier: MIT
 *
 * node/mapping.c - blocks as mappings. One that must move goes to an address at a multiple of
 * 2 MiB, as it did before: then the system moves tables of pages as a whole, and not page by page
 * (64 MiB in some thirty microseconds).
 */
#include "mapping.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/assert.h"

/* What one table of pages covers. */
#define TABLE_SIZE ((size_t)2 << 20)

/* Address space of `size` bytes, of larger ones at a multiple of TABLE_SIZE. Small ones may lie
 * side by side, which the system counts as one. NULL where there is none. */
static void *reserve(size_t size)
{
    size_t whole = size < TABLE_SIZE ? size : size + TABLE_SIZE;
    SHOAL_ASSERT(size > 0 && size % SHOAL_MAPPING_PAGE == 0);
    char *base = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return NULL;
    if (whole == size) return base;
    size_t before = -(uintptr_t)base & (TABLE_SIZE - 1);
    if (before > 0) (void)munmap(base, before);
    (void)munmap(base + before + size, whole - before - size);
    return base + before;
}

void *shoal_mapping__take(size_t size)
{
    size = shoal_mapping__size(size);
    void *place = reserve(size);
    if (place == NULL) return NULL;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    void *memory = mmap(place, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory != MAP_FAILED) return memory;
    (void)munmap(place, size);
    return NULL;
}

void *shoal_mapping__resize(void *memory, size_t size, size_t size_new)
{
    size = shoal_mapping__size(size);
    size_new = shoal_mapping__size(size_new);
    SHOAL_ASSERT(memory != NULL && size > 0 && size_new > 0);
    void *moved = mremap(memory, size, size_new, 0);
    if (moved != MAP_FAILED) return moved;
    void *place = reserve(size_new);
    if (place == NULL) return NULL;
    moved = mremap(memory, size, size_new, MREMAP_MAYMOVE | MREMAP_FIXED, place);
    if (moved != MAP_FAILED) return moved;
    (void)munmap(place, size_new);
    return NULL;
}

void shoal_mapping__give(void *memory, size_t size)
{
    SHOAL_ASSERT(memory != NULL && size > 0);
    int refused = munmap(memory, shoal_mapping__size(size));
    SHOAL_ASSERT(refused == 0);
}
