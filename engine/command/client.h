/* SPDX-License-Identifier: MIT
 *
 * command/client.h - names of connections, shared by HELLO and CLIENT.
 */
#ifndef SHOAL_COMMAND_CLIENT_H
#define SHOAL_COMMAND_CLIENT_H

#include "command/handlers.h"

/* Printable ASCII without blanks: what may stand in a line of CLIENT LIST. */
bool shoal_client__printable(shoal_slice text);
/* True when `name` may be a client's name; else an error has been written. */
bool shoal_client__check_name(shoal_call *call, shoal_slice name);
/* Makes `text` the whole content of `field`. */
void shoal_client__set(shoal_buffer *field, shoal_slice text);

#endif
