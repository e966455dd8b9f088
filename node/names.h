/* SPDX-License-Identifier: MIT
 *
 * node/names.h - addresses of names, looked up by a thread of their own, because a lookup can take
 * as long as it likes. Who asks gets what is known and never waits; what is asked for is looked up
 * again when what is known has grown old.
 */
#ifndef SHOAL_NODE_NAMES_H
#define SHOAL_NODE_NAMES_H

#include <shoal/host.h>

typedef struct shoal_names shoal_names;

/* Names without any thread yet: it starts with the first question. NULL without memory. */
shoal_names *shoal_names__create(void);
/* Forgets everything; a lookup that is under way ends by itself. NULL does nothing. */
void shoal_names__destroy(shoal_names *names);

/* Replaces a name in `address` by an IP address. True when the address is one already or the name
 * is known; false when it is not known yet: ask again. One thread. */
bool shoal_names__resolve(shoal_names *names, shoal_address *address);

#endif
