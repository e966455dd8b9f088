/* SPDX-License-Identifier: MIT
 *
 * base/poison.h - tells AddressSanitizer which bytes of memory that we divide ourselves belong to
 * nobody, so that it finds their use as it does with malloc's. Nothing at all in other builds.
 * The sanitizer knows memory in units of 8 bytes: of a unit that two pieces share, the later
 * half cannot be forbidden alone.
 */
#ifndef SHOAL_BASE_POISON_H
#define SHOAL_BASE_POISON_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define SHOAL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHOAL_ASAN 1
#endif
#endif

#ifdef SHOAL_ASAN
/* The sanitizer's own; declared here because its header is not the engine's to include. */
void __asan_poison_memory_region(const void *address, size_t size);
void __asan_unpoison_memory_region(const void *address, size_t size);
int __asan_address_is_poisoned(const void *address);
/* Nobody may touch the bytes from now on. */
#define SHOAL_POISON(address, size) __asan_poison_memory_region((address), (size))
/* They have an owner again. */
#define SHOAL_UNPOISON(address, size) __asan_unpoison_memory_region((address), (size))
/* True when the byte was poisoned. */
#define SHOAL_IS_POISONED(address) (__asan_address_is_poisoned(address) != 0)
#else
#define SHOAL_POISON(address, size) ((void)(address), (void)(size))
#define SHOAL_UNPOISON(address, size) ((void)(address), (void)(size))
#define SHOAL_IS_POISONED(address) ((void)(address), false)
#endif

#endif
