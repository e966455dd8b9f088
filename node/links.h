/* SPDX-License-Identifier: MIT
 *
 * node/links.h - bus connections: the link operations and LINK_ events of the door on TCP
 * sockets. Operations only queue (rule R1): what they lead to is delivered by the functions that
 * the control loop calls between steps.
 *
 * Control actor's thread only.
 */
#ifndef SHOAL_NODE_LINKS_H
#define SHOAL_NODE_LINKS_H

#include <shoal/host.h>

/* Something in the control actor's epoll: embedded first in what it is. `ready` runs with the
 * events that epoll reported. */
typedef struct shoal_watch {
    void (*ready)(struct shoal_watch *watch, uint32_t events);
} shoal_watch;

/* Bytes queued on a link from which on it is FULL, and up to which it has ROOM again. Chosen: a
 * full gossip round with a thousand peers is some 2 KB a link; a megabyte behind is a peer that
 * has stopped reading. */
#define SHOAL_LINK_FULL_SIZE ((size_t)1 << 20)
#define SHOAL_LINK_ROOM_SIZE ((size_t)256 << 10)

typedef struct shoal_links shoal_links;

/* How to make one. */
typedef struct shoal_links_options {
    const shoal_allocator *allocator; /* of the queues; outlives the links */
    int epoll;                        /* data.ptr of its events are watches */
    const char *source;               /* numeric address to connect from, "" for any; copied */
    /* Passes an event, whose `now` is not set yet, to the node. */
    void (*deliver)(void *context, shoal_event *event);
    void *context;
} shoal_links_options;

/* Makes an empty set. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_links__create(const shoal_links_options *options, shoal_links **out);

/* Closes every link without telling anybody. */
void shoal_links__destroy(shoal_links *links);

/* Takes over a connection that the bus listener accepted, and delivers LINK_UP. */
void shoal_links__accept(shoal_links *links, int descriptor);

/* The operations of the door. */
shoal_link shoal_links__open(shoal_links *links, const shoal_address *peer);
void shoal_links__send(shoal_links *links, shoal_link link, shoal_slice bytes);
/* Bytes that wait in a link. */
size_t shoal_links__queued(const shoal_links *links, shoal_link link);
void shoal_links__pause(shoal_links *links, shoal_link link, bool paused);
void shoal_links__close(shoal_links *links, shoal_link link);

/* Sends what steps have queued, as far as the sockets take it. */
void shoal_links__flush(shoal_links *links);

/* Delivers what operations and flushes have led to, and frees links that are down. True when
 * that led to more, to be delivered soon. */
bool shoal_links__settle(shoal_links *links);

#endif
