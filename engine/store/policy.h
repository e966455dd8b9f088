/* SPDX-License-Identifier: MIT
 *
 * store/policy.h - shoal/policy.h, and what only the store itself knows of policies.
 */
#ifndef SHOAL_STORE_POLICY_H
#define SHOAL_STORE_POLICY_H

#include <shoal/policy.h>

#include "base/prng.h"

/* Keeps every key, and when each was used last: what a store begins with. */
extern const shoal_policy shoal_policy_none;

#endif
