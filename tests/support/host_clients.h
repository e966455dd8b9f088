/* SPDX-License-Identifier: MIT
 *
 * support/host_clients.h - the cases of support/host_cases.h about links to the port of clients of
 * a node, as a replica opens one to its master. Each runs on a fresh trial; host_cases.c lists
 * them.
 */
#ifndef SHOAL_TESTS_HOST_CLIENTS_H
#define SHOAL_TESTS_HOST_CLIENTS_H

void shoal_case_a_link_to_a_client_port_talks_resp_with_that_node(void **state);
void shoal_case_a_session_that_ends_takes_its_link_down(void **state);
void shoal_case_a_closed_link_ends_its_session(void **state);

#endif
