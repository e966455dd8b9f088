/* SPDX-License-Identifier: MIT
 *
 * node/links.h on TCP. The life of a link:
 *
 *     open ----> CONNECTING ----> UP ----> ENDED ----> (LINK_DOWN delivered, freed)
 *     accept ---------------------^         ^
 *                    `----------------------'  refused, reset, closed
 *
 * A link that is ENDED has no socket any more. It stays in the table until its LINK_DOWN has been
 * delivered and until the epoll events that may still name it have been looked at, which is why
 * freeing happens in shoal_links__settle only.
 */
#include "links.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "names.h"
#include "sockets.h"

/* Bytes read from one link before the others have their turn. */
#define INPUT_SIZE ((size_t)64 << 10)

/* Bits of a link's name that are its place in the table; the rest counts links ever made. */
#define PLACE_BITS 20

typedef enum link_state { CONNECTING, UP, ENDED } link_state;

typedef struct bus_link {
    shoal_watch watch; /* first */
    shoal_links *links;
    shoal_link id;
    int descriptor;
    link_state state;
    bool watched;      /* by epoll */
    uint32_t interest; /* what it watches for beside errors */
    shoal_err reason;  /* ENDED: the error of LINK_DOWN */
    shoal_buffer queue;
    bool paused;     /* its bytes stay in the socket */
    bool full;       /* LINK_FULL holds, told or about to be */
    bool full_news;  /* LINK_FULL is to be delivered */
    bool room_news;  /* LINK_ROOM is to be delivered */
    bool newsworthy; /* in the list of news */
    bool dirty;      /* in the list of links to flush */
    struct bus_link *next_news;
    struct bus_link *next_dirty;
} bus_link;

struct shoal_links {
    const shoal_allocator *allocator;
    int epoll;
    char source[46];
    shoal_names *names;
    void (*deliver)(void *context, shoal_event *event);
    void *context;
    bus_link **table; /* by place; NULL where free */
    uint32_t size;
    uint64_t made;
    bus_link *news; /* newest first */
    bus_link *dirty;
    char input[INPUT_SIZE];
};

static void link_ready(shoal_watch *watch, uint32_t events);

shoal_err shoal_links__create(const shoal_links_options *options, shoal_links **out)
{
    const shoal_allocator *allocator = options->allocator;
    shoal_links *links = allocator->allocate(allocator->context, sizeof *links, 8);
    if (links == NULL) return SHOAL_ERR_NO_MEMORY;
    memset(links, 0, offsetof(shoal_links, input));
    links->allocator = allocator;
    links->epoll = options->epoll;
    links->deliver = options->deliver;
    links->context = options->context;
    snprintf(links->source, sizeof links->source, "%s", options->source);
    links->names = shoal_names__create();
    *out = links;
    return SHOAL_ERR_OK;
}

/* ---- the table ---- */

static bus_link *link_find(const shoal_links *links, shoal_link id)
{
    uint64_t place = id & ((1u << PLACE_BITS) - 1);
    if (place >= links->size || links->table[place] == NULL) return NULL;
    return links->table[place]->id == id ? links->table[place] : NULL;
}

/* Doubles the table. False without memory or names. */
static bool table_grow(shoal_links *links)
{
    const shoal_allocator *allocator = links->allocator;
    uint32_t size = links->size == 0 ? 16 : links->size * 2;
    if (size > 1u << PLACE_BITS) return false;
    bus_link **table = allocator->allocate_zeroed(allocator->context, size * sizeof *table, 8);
    if (table == NULL) return false;
    if (links->table) {
        memcpy(table, links->table, links->size * sizeof *table);
        allocator->release(allocator->context, links->table, links->size * sizeof *table, 8);
    }
    links->table = table;
    links->size = size;
    return true;
}

/* A link with a name and no socket. NULL without memory. */
static bus_link *link_make(shoal_links *links)
{
    uint32_t place = 0;
    while (place < links->size && links->table[place] != NULL) place++;
    if (place == links->size && !table_grow(links)) return NULL;
    const shoal_allocator *allocator = links->allocator;
    bus_link *made = allocator->allocate_zeroed(allocator->context, sizeof *made, 8);
    if (made == NULL) return NULL;
    made->watch.ready = link_ready;
    made->links = links;
    made->id = ++links->made << PLACE_BITS | place;
    made->descriptor = -1;
    made->queue = shoal_buffer_make(allocator);
    links->table[place] = made;
    return made;
}

/* Takes the name away: from now on no operation finds the link. */
static void link_unname(bus_link *gone)
{
    gone->links->table[gone->id & ((1u << PLACE_BITS) - 1)] = NULL;
}

static void link_free(bus_link *gone)
{
    shoal_links *links = gone->links;
    SHOAL_ASSERT(!gone->newsworthy && !gone->dirty);
    if (gone->descriptor >= 0) close(gone->descriptor);
    shoal_buffer_free(&gone->queue);
    links->allocator->release(links->allocator->context, gone, sizeof *gone, 8);
}

void shoal_links__destroy(shoal_links *links)
{
    const shoal_allocator *allocator = links->allocator;
    for (uint32_t i = 0; i < links->size; i++) {
        if (links->table[i] == NULL) continue;
        links->table[i]->newsworthy = links->table[i]->dirty = false;
        link_free(links->table[i]);
    }
    if (links->table) {
        allocator->release(allocator->context, links->table, links->size * sizeof(bus_link *), 8);
    }
    shoal_names__destroy(links->names);
    allocator->release(allocator->context, links, sizeof *links, 8);
}

/* ---- changes of one link ---- */

static void make_news(bus_link *subject)
{
    if (subject->newsworthy) return;
    subject->newsworthy = true;
    subject->next_news = subject->links->news;
    subject->links->news = subject;
}

/* Ends a link; LINK_DOWN will say why. */
static void link_end(bus_link *ending, shoal_err reason)
{
    if (ending->descriptor >= 0) close(ending->descriptor);
    ending->descriptor = -1;
    ending->state = ENDED;
    ending->reason = reason;
    ending->full_news = ending->room_news = false;
    shoal_buffer_free(&ending->queue);
    make_news(ending);
}

/* Tells epoll what the link waits for: bytes, and room while something is queued. */
static void link_listen(bus_link *subject)
{
    uint32_t interest = subject->paused ? 0 : EPOLLIN;
    if (subject->state == CONNECTING || shoal_buffer_size(&subject->queue) > 0) {
        interest |= EPOLLOUT;
    }
    if (subject->watched && interest == subject->interest) return;
    struct epoll_event event = {.events = interest, .data.ptr = &subject->watch};
    int operation = subject->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(subject->links->epoll, operation, subject->descriptor, &event) == 0) {
        subject->watched = true;
        subject->interest = interest;
    } else {
        link_end(subject, SHOAL_ERR_IO);
    }
}

static void link_mark_room(bus_link *subject)
{
    if (!subject->full || shoal_buffer_size(&subject->queue) > SHOAL_LINK_ROOM_SIZE) return;
    subject->full = false;
    /* A FULL that was never told is taken back instead. */
    subject->room_news = !subject->full_news;
    subject->full_news = false;
    if (subject->room_news) make_news(subject);
}

static void link_mark_full(bus_link *subject)
{
    if (subject->full || shoal_buffer_size(&subject->queue) < SHOAL_LINK_FULL_SIZE) return;
    subject->full = true;
    subject->full_news = !subject->room_news;
    subject->room_news = false;
    if (subject->full_news) make_news(subject);
}

/* Sends as much of the queue as the socket takes. */
static void link_flush(bus_link *subject)
{
    while (subject->state == UP && shoal_buffer_size(&subject->queue) > 0) {
        shoal_slice rest = shoal_buffer_slice(&subject->queue);
        ssize_t sent = send(subject->descriptor, rest.data, rest.size, MSG_NOSIGNAL);
        if (sent > 0) {
            shoal_buffer_consume(&subject->queue, (size_t)sent);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            link_end(subject, shoal_socket__err(errno));
        }
    }
    if (subject->state == ENDED) return;
    link_mark_room(subject);
    link_listen(subject);
}

/* ---- operations ---- */

shoal_link shoal_links__open(shoal_links *links, const shoal_address *peer)
{
    bus_link *made = link_make(links);
    SHOAL_ASSERT(made != NULL);
    made->state = CONNECTING;
    /* Of a name that is being looked up the link ends; who wants it opens it again. */
    shoal_address where = *peer;
    bool known = shoal_names__resolve(links->names, &where);
    made->descriptor = known ? shoal_socket__connect(&where, links->source) : -1;
    if (!known) {
        link_end(made, SHOAL_ERR_NOT_FOUND);
    } else if (made->descriptor < 0) {
        link_end(made, shoal_socket__err(errno));
    } else {
        link_listen(made);
    }
    return made->id;
}

void shoal_links__send(shoal_links *links, shoal_link id, shoal_slice bytes)
{
    bus_link *subject = link_find(links, id);
    if (subject == NULL || subject->state != UP || bytes.size == 0) return;
    shoal_buffer_append(&subject->queue, bytes);
    if (subject->queue.failed) {
        link_end(subject, SHOAL_ERR_NO_MEMORY);
        return;
    }
    if (shoal_buffer_size(&subject->queue) >= SHOAL_LINK_FULL_SIZE) link_flush(subject);
    if (subject->state != UP) return;
    link_mark_full(subject);
    if (subject->dirty) return;
    subject->dirty = true;
    subject->next_dirty = links->dirty;
    links->dirty = subject;
}

size_t shoal_links__queued(const shoal_links *links, shoal_link id)
{
    const bus_link *subject = link_find(links, id);
    return subject != NULL ? shoal_buffer_size(&subject->queue) : 0;
}

void shoal_links__pause(shoal_links *links, shoal_link id, bool paused)
{
    bus_link *subject = link_find(links, id);
    if (subject == NULL || subject->state != UP) return;
    subject->paused = paused;
    link_listen(subject);
}

void shoal_links__close(shoal_links *links, shoal_link id)
{
    bus_link *subject = link_find(links, id);
    if (subject == NULL) return;
    if (subject->state == UP) link_flush(subject);
    link_end(subject, SHOAL_ERR_CLOSED);
}

/* ---- what the sockets say ---- */

static void deliver_up(bus_link *subject, bool accepted)
{
    shoal_event event = {.kind = SHOAL_EVENT_LINK_UP,
                         .link = subject->id,
                         .accepted = accepted,
                         .peer = shoal_socket__peer(subject->descriptor),
                         .local = shoal_socket__local(subject->descriptor)};
    subject->links->deliver(subject->links->context, &event);
}

void shoal_links__accept(shoal_links *links, int descriptor)
{
    bus_link *made = link_make(links);
    if (made == NULL) {
        close(descriptor);
        return;
    }
    made->descriptor = descriptor;
    made->state = UP;
    shoal_socket__no_delay(descriptor);
    deliver_up(made, true);
    if (made->state == UP) link_listen(made);
}

static void finish_connect(bus_link *subject)
{
    int number = shoal_socket__error(subject->descriptor);
    if (number != 0) {
        link_end(subject, shoal_socket__err(number));
        return;
    }
    subject->state = UP;
    deliver_up(subject, false);
    if (subject->state == UP) link_listen(subject);
}

static void receive(bus_link *subject)
{
    shoal_links *links = subject->links;
    ssize_t got = recv(subject->descriptor, links->input, INPUT_SIZE, 0);
    if (got > 0) {
        shoal_event event = {.kind = SHOAL_EVENT_LINK_DATA,
                             .link = subject->id,
                             .data = {links->input, (size_t)got}};
        links->deliver(links->context, &event);
    } else if (got == 0) {
        link_end(subject, SHOAL_ERR_RESET);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        link_end(subject, shoal_socket__err(errno));
    }
}

/* The connection of a paused link is over in both directions. */
static void end_paused(bus_link *subject)
{
    int number = shoal_socket__error(subject->descriptor);
    SHOAL_ASSERT(subject->paused && subject->state == UP);
    link_end(subject, number != 0 ? shoal_socket__err(number) : SHOAL_ERR_RESET);
}

static void link_ready(shoal_watch *watch, uint32_t events)
{
    bus_link *subject = (bus_link *)watch;
    if (subject->state == ENDED) return;
    if (subject->state == CONNECTING) {
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) finish_connect(subject);
        return;
    }
    if (subject->paused) {
        /* Epoll says so again and again, and there is nobody who takes the bytes before it. */
        if (events & (EPOLLERR | EPOLLHUP)) end_paused(subject);
    } else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        /* Bytes first: a reset behind them is found by the read that meets it. */
        receive(subject);
    }
    if (subject->state == UP && (events & EPOLLOUT)) link_flush(subject);
}

/* ---- between steps ---- */

void shoal_links__flush(shoal_links *links)
{
    while (links->dirty) {
        bus_link *subject = links->dirty;
        links->dirty = subject->next_dirty;
        subject->dirty = false;
        if (subject->state == UP) link_flush(subject);
    }
}

/* Delivers what is to be said of one link; true when it was LINK_DOWN. */
static bool deliver_news(bus_link *subject)
{
    shoal_event event = {.link = subject->id};
    if (subject->state == ENDED) {
        event.kind = SHOAL_EVENT_LINK_DOWN;
        event.error = subject->reason;
    } else if (subject->full_news) {
        event.kind = SHOAL_EVENT_LINK_FULL;
    } else if (subject->room_news) {
        event.kind = SHOAL_EVENT_LINK_ROOM;
    } else {
        return false;
    }
    subject->full_news = subject->room_news = false;
    bool last = event.kind == SHOAL_EVENT_LINK_DOWN;
    if (last) link_unname(subject);
    subject->links->deliver(subject->links->context, &event);
    return last;
}

bool shoal_links__settle(shoal_links *links)
{
    bus_link *oldest_first = NULL;
    while (links->news) {
        bus_link *subject = links->news;
        links->news = subject->next_news;
        subject->next_news = oldest_first;
        oldest_first = subject;
    }
    while (oldest_first) {
        bus_link *subject = oldest_first;
        /* So that no list holds what is freed below. It may end this one, which has its turn. */
        shoal_links__flush(links);
        oldest_first = subject->next_news;
        subject->newsworthy = false;
        if (deliver_news(subject)) link_free(subject);
    }
    shoal_links__flush(links);
    return links->news != NULL;
}
