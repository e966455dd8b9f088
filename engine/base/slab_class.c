/* SPDX-License-Identifier: MIT
 *
 * base/slab_class.c - the classes of sizes of base/slab.h. Up to 1 KiB in even steps, each a
 * multiple of every alignment that its sizes are asked with; above, the multiples of a line that
 * fill a block of 64 KiB with n places for a falling n.
 */
#include "base/slab_run.h"

#include "base/assert.h"

/* The even steps: 8, 12 .. 256; 272, 288 .. 512; 544, 576 .. 1024. */
#define FINE_MAX SHOAL_SLAB_FINE_MAX
#define FINE_STEP 4u
#define FINE_CLASSES 63u
#define MIDDLE_MAX 512u
#define MIDDLE_STEP 16u
#define MIDDLE_CLASSES 16u
#define COARSE_MAX 1024u
#define COARSE_STEP 32u
#define COARSE_CLASSES 16u
#define UPPER_CLASSES 26u
#define UPPER_FIRST (FINE_CLASSES + MIDDLE_CLASSES + COARSE_CLASSES)
#define LINE 64u

_Static_assert(UPPER_FIRST + UPPER_CLASSES == SHOAL_SLAB_CLASSES, "every class is counted");

/* Sizes of the upper classes, in lines. */
static const uint8_t upper_lines[UPPER_CLASSES] = {18, 20, 22, 24, 26, 28,  30,  32, 35,
                                                   37, 40, 44, 48, 51, 53,  56,  60, 63,
                                                   68, 72, 78, 85, 92, 102, 113, 127};

_Static_assert(127 * LINE == SHOAL_SLAB_SIZE_MAX, "the last class is the largest piece");

/* The upper class of so many lines: a bisection of five steps. */
static uint32_t upper_class(uint32_t lines)
{
    SHOAL_DEBUG_ASSERT(lines > COARSE_MAX / LINE);
    SHOAL_DEBUG_ASSERT(lines <= SHOAL_SLAB_SIZE_MAX / LINE);
    uint32_t low = 0, high = UPPER_CLASSES - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (upper_lines[middle] < lines) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return UPPER_FIRST + low;
}

uint32_t shoal_class__of_larger(size_t size, size_t alignment)
{
    SHOAL_DEBUG_ASSERT(alignment >= SHOAL_SLAB_ALIGNMENT_MIN && (alignment & (alignment - 1)) == 0);
    if (size > SHOAL_SLAB_SIZE_MAX || alignment > SHOAL_SLAB_ALIGNMENT_MAX) return CLASS_LARGE;
    uint32_t bytes = (uint32_t)((size + alignment - 1) & ~(alignment - 1));
    SHOAL_DEBUG_ASSERT(bytes > FINE_MAX);
    if (bytes <= MIDDLE_MAX) return FINE_CLASSES + (bytes - FINE_MAX - 1) / MIDDLE_STEP;
    if (bytes <= COARSE_MAX)
        return FINE_CLASSES + MIDDLE_CLASSES + (bytes - MIDDLE_MAX - 1) / COARSE_STEP;
    return upper_class((bytes + LINE - 1) / LINE);
}

uint32_t shoal_slab_class_size(uint32_t class)
{
    SHOAL_DEBUG_ASSERT(class < SHOAL_SLAB_CLASSES);
    if (class < FINE_CLASSES) return 8 + class * FINE_STEP;
    class -= FINE_CLASSES;
    if (class < MIDDLE_CLASSES) return FINE_MAX + (class + 1) * MIDDLE_STEP;
    class -= MIDDLE_CLASSES;
    if (class < COARSE_CLASSES) return MIDDLE_MAX + (class + 1) * COARSE_STEP;
    return upper_lines[class - COARSE_CLASSES] * LINE;
}

size_t shoal_slab_usable_larger(const shoal_allocator *below, size_t size, size_t alignment)
{
    SHOAL_DEBUG_ASSERT(size > 0);
    SHOAL_DEBUG_ASSERT(below->usable_size != NULL);
    uint32_t class = shoal_class__of(size, alignment);
    if (class == CLASS_LARGE) return below->usable_size(below->context, size, alignment);
    return shoal_slab_class_size(class);
}
