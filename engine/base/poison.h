/* SPDX-License-Identifier: MIT
 *
 * base/poison.h - tells AddressSanitizer which bytes of memory that we divide ourselves belong to
 * nobody, so that it finds their use as it does with malloc's. Nothing at all in other builds.
 * The sanitizer knows memory in units of 8 bytes. A unit that two pieces share is never forbidden:
 * its byte of knowledge would be written by two threads, each of which owns but one of the pieces.
 */
#ifndef SHOAL_BASE_POISON_H
#define SHOAL_BASE_POISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define SHOAL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHOAL_ASAN 1
#endif
#endif

#ifdef SHOAL_ASAN
/* 1 where poisoning does something. */
#define SHOAL_POISONS 1u
/* The sanitizer's own; declared here because its header is not the engine's to include. */
void __asan_poison_memory_region(const void *address, size_t size);
void __asan_unpoison_memory_region(const void *address, size_t size);
int __asan_address_is_poisoned(const void *address);
/* Nobody may touch the bytes from now on: those units that lie whole in the piece. */
static inline void shoal_poison(const void *address, size_t size)
{
    uintptr_t first = ((uintptr_t)address + 7) & ~(uintptr_t)7;
    uintptr_t end = ((uintptr_t)address + size) & ~(uintptr_t)7;
    if (first < end) __asan_poison_memory_region((const void *)first, end - first);
}
#define SHOAL_POISON(address, size) shoal_poison((address), (size))
/* They have an owner again. */
#define SHOAL_UNPOISON(address, size) __asan_unpoison_memory_region((address), (size))
/* True when the byte was poisoned. */
#define SHOAL_IS_POISONED(address) (__asan_address_is_poisoned(address) != 0)
/* Marks a function that reads and writes what is forbidden to all others. */
#define SHOAL_KNOWS_POISON __attribute__((no_sanitize("address"), noinline))
#else
#define SHOAL_POISONS 0u
#define SHOAL_POISON(address, size) ((void)(address), (void)(size))
#define SHOAL_UNPOISON(address, size) ((void)(address), (void)(size))
#define SHOAL_IS_POISONED(address) ((void)(address), false)
#define SHOAL_KNOWS_POISON
#endif

#endif
