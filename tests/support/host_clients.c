/* SPDX-License-Identifier: MIT
 *
 * The cases of support/host_clients.h: node 1 is the engine's own, node 0 an actor that opens links
 * to its port of clients and speaks RESP there.
 */
#include "host_clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_actor.h"

/* An argument above what a socket, or a virtual one, takes at once. */
#define LONG_SIZE ((size_t)3 << 20)

static shoal_case_actor *one(shoal_case_trial *trial)
{
    return &trial->actors[0];
}

static void say(shoal_case_actor *actor, shoal_link link, const char *text)
{
    shoal_case_send(actor, link, (shoal_slice){text, strlen(text)});
}

/* Runs a node on node 1 and the case's actor on node 0. */
static void start_beside_a_node(shoal_case_trial *trial, shoal_case_reaction react)
{
    trial->world.serve(trial->world.context, 1);
    shoal_case_start_actor(trial, 0, react);
}

static void open_to_clients(shoal_case_actor *actor)
{
    const shoal_case_world *world = &actor->trial->world;
    shoal_case_open_link(actor, world->clients(world->context, 1));
}

static bool has_received(const shoal_case_link *link, const char *text)
{
    return link->received_size == strlen(text) &&
           memcmp(link->received, text, link->received_size) == 0;
}

/* ---- talking ---- */

/* A command in two pieces, two at once, and one whose reply is long. */
static void talk(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_START) open_to_clients(actor);
    if (event->kind != SHOAL_EVENT_LINK_UP) return;
    char head[48];
    char *content = malloc(LONG_SIZE + 2);
    if (content == NULL) return;
    memset(content, 'e', LONG_SIZE);
    memcpy(content + LONG_SIZE, "\r\n", 2);
    say(actor, event->link, "*1\r\n$4\r\nPI");
    say(actor, event->link, "NG\r\nPING\r\nnonsense\r\n");
    snprintf(head, sizeof head, "*2\r\n$4\r\nECHO\r\n$%zu\r\n", LONG_SIZE);
    say(actor, event->link, head);
    shoal_case_send(actor, event->link, (shoal_slice){content, LONG_SIZE + 2});
    say(actor, event->link, "PING\r\n");
    free(content);
}

static bool ends_with(const shoal_case_link *link, const char *text)
{
    size_t size = strlen(text);
    return link->received_size >= size &&
           memcmp(link->received + link->received_size - size, text, size) == 0;
}

static bool all_is_answered(shoal_case_trial *trial)
{
    const shoal_case_link *link = &one(trial)->links[0];
    return link->received_size > LONG_SIZE && ends_with(link, "\r\n+PONG\r\n");
}

void shoal_case_a_link_to_a_client_port_talks_resp_with_that_node(void **state)
{
    shoal_case_trial *trial = *state;
    start_beside_a_node(trial, talk);
    shoal_case_await(trial, all_is_answered);
    const shoal_case_link *link = &one(trial)->links[0];
    static const char first[] = "+PONG\r\n+PONG\r\n-ERR unknown command 'nonsense'";
    assert_memory_equal(link->received, first, sizeof first - 1);
    char head[32];
    snprintf(head, sizeof head, "\r\n$%zu\r\neee", LONG_SIZE);
    size_t at = link->received_size - LONG_SIZE - strlen("\r\n+PONG\r\n") - strlen(head) + 3;
    assert_memory_equal(link->received + at, head, strlen(head));
    assert_false(link->accepted);
}

/* ---- ending ---- */

static void quit(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_START) open_to_clients(actor);
    if (event->kind == SHOAL_EVENT_LINK_UP) say(actor, event->link, "QUIT\r\n");
}

static bool one_is_down(shoal_case_trial *trial)
{
    return one(trial)->downs == 1;
}

void shoal_case_a_session_that_ends_takes_its_link_down(void **state)
{
    shoal_case_trial *trial = *state;
    start_beside_a_node(trial, quit);
    shoal_case_await(trial, one_is_down);
    assert_true(has_received(&one(trial)->links[0], "+OK\r\n"));
    assert_int_equal(one(trial)->links[0].down_error, SHOAL_ERR_RESET);
}

/* Whether the last of the replies is whole, and tells of a client that is called `first`. */
static bool last_list(const shoal_case_link *link, bool *tells)
{
    static const char name[] = " name=first ";
    size_t from = link->received_size;
    while (from > 0 && link->received[from - 1] != '$') from--;
    *tells = false;
    for (size_t i = from; i + sizeof name - 1 <= link->received_size; i++)
        *tells = *tells || memcmp(link->received + i, name, sizeof name - 1) == 0;
    return from > 0 && ends_with(link, "\n\r\n");
}

/* The first link takes a name and is closed; the second asks until nobody has that name. */
static void take_a_name_and_close(shoal_case_actor *actor, const shoal_event *event)
{
    static const char ask[] = "CLIENT LIST\r\n";
    bool tells = false;
    if (event->kind == SHOAL_EVENT_START) open_to_clients(actor);
    if (event->kind == SHOAL_EVENT_LINK_UP)
        say(actor, event->link, actor->link_count == 1 ? "CLIENT SETNAME first\r\n" : ask);
    if (event->kind != SHOAL_EVENT_LINK_DATA) return;
    if (actor->link_count == 1 && ends_with(&actor->links[0], "+OK\r\n")) {
        shoal_case_close_link(actor, event->link);
        open_to_clients(actor);
    } else if (actor->link_count == 2 && last_list(&actor->links[1], &tells) && tells) {
        say(actor, event->link, ask);
    }
}

static bool nobody_has_the_name(shoal_case_trial *trial)
{
    bool tells = true;
    return one(trial)->link_count == 2 && last_list(&one(trial)->links[1], &tells) && !tells;
}

void shoal_case_a_closed_link_ends_its_session(void **state)
{
    shoal_case_trial *trial = *state;
    start_beside_a_node(trial, take_a_name_and_close);
    shoal_case_await(trial, nobody_has_the_name);
    assert_int_equal(one(trial)->links[0].down_error, SHOAL_ERR_CLOSED);
}
