/* SPDX-License-Identifier: MIT
 *
 * command/client_line.h - a connection as the line that CLIENT LIST shows of it.
 */
#ifndef SHOAL_COMMAND_CLIENT_LINE_H
#define SHOAL_COMMAND_CLIENT_LINE_H

#include "command/command.h"

/* Appends the line of `session`, with its newline. The client that asks by `call` is shown with its
 * request as input; NULL when nobody asks. Its own worker only. */
void shoal_client__line(const shoal_call *call, const shoal_session *session, shoal_buffer *out);

/* What a connection takes, with its buffers: tot-mem. Its own worker only. */
size_t shoal_client__memory(const shoal_session *session);
/* Appends an address as clients write it: ip:port, an IPv6 address in brackets. */
void shoal_client__address(const shoal_address *address, shoal_buffer *out);

#endif
