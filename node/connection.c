/* SPDX-License-Identifier: MIT
 *
 * node/connection.h. On the usual way a request costs one recv and one send: replies go from the
 * desk's shared buffer to the socket, and nothing is kept. Only when the socket does not take
 * them all does the connection get a buffer of its own (`pending`) and wait for EPOLLOUT.
 *
 * Sessions are fed first, those of many connections; their replies lie in the desk's buffer one
 * behind the other, and the tray says whose they are. Then what they did is committed, once for
 * all, and only then is anything sent.
 *
 * What epoll watches for is changed lazily. A connection that should not be read just now keeps
 * its EPOLLIN until an event for it really comes: a session that is parked for a microsecond
 * costs no system call.
 */
#include "connection.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "sockets.h"

/* Reads of one connection in one turn, when each fills the input buffer. Chosen: a client that
 * sends a huge value gets half a megabyte per turn, the others wait for 50 microseconds. */
#define READS_MAX 8

/* Unsent bytes from which on a connection is not read. Large, because a client that writes a
 * whole pipeline before it reads the first reply must not find both ends waiting. Chosen. */
#define PENDING_MAX ((size_t)16 << 20)

/* An unsent rest from which on it is cheaper to give the connection the desk's buffer. */
#define STEAL_MIN ((size_t)16 << 10)

/* Replies in the tray that are sent before more are gathered. Chosen: as OUTPUT_KEEP. */
#define TRAY_BYTES ((size_t)1 << 20)

/* The desk's buffer is given back when it has grown beyond this. */
#define OUTPUT_KEEP ((size_t)1 << 20)

struct shoal_connection {
    shoal_desk *desk;
    shoal_session *session; /* NULL before the first event and after the end */
    int descriptor;
    uint32_t interest; /* what epoll watches for */
    bool unix_socket;
    bool greeted; /* the session has been opened, or refused */
    bool parked;  /* do not read until the worker says so */
    bool deaf;    /* nothing more is read: the peer has sent its last byte, or we
                               are about to close */
    bool dead;
    uint32_t on_tray;     /* entries of the tray that are its */
    shoal_buffer pending; /* replies that the socket did not take */
    size_t backlog_told;  /* what the session believes is pending */
    shoal_connection *next;
    shoal_connection *previous;
};

shoal_connection *shoal_connection__make(shoal_desk *desk, int descriptor, bool unix_socket)
{
    const shoal_allocator *allocator = desk->allocator;
    shoal_connection *made = allocator->allocate_zeroed(allocator->context, sizeof *made, 64);
    if (made == NULL) return NULL;
    made->desk = desk;
    made->descriptor = descriptor;
    made->unix_socket = unix_socket;
    made->pending = shoal_buffer_make(allocator);
    /* A new socket has room: EPOLLOUT makes the first event come at once, so that the session
     * is opened (or refused) by its own lane before the client has said a word. */
    made->interest = EPOLLIN | EPOLLOUT;
    struct epoll_event event = {.events = made->interest, .data.ptr = made};
    shoal_add_relaxed(&desk->load, 1);
    if (epoll_ctl(desk->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0) return made;
    shoal_sub_relaxed(&desk->load, 1);
    allocator->release(allocator->context, made, sizeof *made, 64);
    return NULL;
}

/* ---- the end of a connection ---- */

static void end(shoal_connection *connection)
{
    shoal_desk *desk = connection->desk;
    SHOAL_ASSERT(!connection->dead);
    connection->dead = true;
    if (connection->session) shoal_session_close(connection->session);
    connection->session = NULL;
    close(connection->descriptor); /* epoll forgets it by itself */
    shoal_buffer_free(&connection->pending);
    if (connection->previous) connection->previous->next = connection->next;
    if (connection->next) connection->next->previous = connection->previous;
    if (desk->open == connection) desk->open = connection->next;
    connection->next = desk->dead;
    desk->dead = connection;
    shoal_sub_relaxed(&desk->load, 1);
}

void shoal_connection__close_all(shoal_desk *desk)
{
    while (desk->open) end(desk->open);
}

void shoal_connection__bury(shoal_desk *desk)
{
    const shoal_allocator *allocator = desk->allocator;
    while (desk->dead) {
        shoal_connection *gone = desk->dead;
        desk->dead = gone->next;
        allocator->release(allocator->context, gone, sizeof *gone, 64);
    }
    SHOAL_ASSERT(desk->tray_count == 0);
}

/* ---- output ---- */

/* Sends the first bytes of `bytes` until the socket is full, and takes them off. False when the
 * connection is broken. */
static bool send_bytes(int descriptor, shoal_slice *bytes)
{
    while (bytes->size > 0) {
        ssize_t sent = send(descriptor, bytes->data, bytes->size, MSG_NOSIGNAL);
        if (sent >= 0) {
            bool all = (size_t)sent == bytes->size;
            *bytes = (shoal_slice){bytes->data + sent, bytes->size - (size_t)sent};
            /* A short count means that the socket is full: asking again would only say so. */
            if (!all) return true;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return true;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Sends from the front of `buffer` until it is empty or the socket is full. False when the
 * connection is broken. */
static bool send_some(int descriptor, shoal_buffer *buffer)
{
    shoal_slice rest = shoal_buffer_slice(buffer);
    size_t before = rest.size;
    bool intact = send_bytes(descriptor, &rest);
    shoal_buffer_consume(buffer, before - rest.size);
    return intact;
}

/* False when the session does not let so much pile up. */
static bool tell_backlog(shoal_connection *connection)
{
    size_t size = shoal_buffer_size(&connection->pending);
    if (size == connection->backlog_told || connection->session == NULL) return true;
    connection->backlog_told = size;
    return shoal_session_backlog(connection->session, size);
}

/* ---- what epoll watches for ---- */

static bool may_read(const shoal_connection *connection)
{
    return !connection->deaf && !connection->parked &&
           shoal_buffer_size(&connection->pending) < PENDING_MAX;
}

static void watch(shoal_connection *connection, uint32_t interest)
{
    if (interest == connection->interest) return;
    struct epoll_event event = {.events = interest, .data.ptr = connection};
    int result = epoll_ctl(connection->desk->epoll, EPOLL_CTL_MOD, connection->descriptor, &event);
    SHOAL_ASSERT(result == 0);
    connection->interest = interest;
}

/* Watches for what the connection needs now. EPOLLIN is taken away only when `strict`. */
static void adjust_watch(shoal_connection *connection, bool strict)
{
    uint32_t interest = shoal_buffer_size(&connection->pending) > 0 ? EPOLLOUT : 0;
    if (may_read(connection)) interest |= EPOLLIN;
    if (!strict && interest == (connection->interest & ~(uint32_t)EPOLLIN)) return;
    watch(connection, interest);
}

/* After bytes may have left, come or been promised: ends the connection or waits on. Nothing is
 * decided while replies are on the tray. */
static void settle(shoal_connection *connection)
{
    if (connection->on_tray > 0) return;
    bool unsent = shoal_buffer_size(&connection->pending) > 0;
    if (connection->pending.failed || (connection->deaf && !unsent && !connection->parked)) {
        end(connection);
        return;
    }
    if (!unsent && connection->pending.data) shoal_buffer_free(&connection->pending);
    if (!tell_backlog(connection)) {
        end(connection);
        return;
    }
    adjust_watch(connection, false);
}

/* ---- serving ---- */

/* Puts what stands in the desk's buffer from byte `from` on into the tray. False when the
 * connection has ended by that. */
static bool put_on_tray(shoal_connection *connection, size_t from)
{
    shoal_desk *desk = connection->desk;
    if (desk->output.failed) {
        /* Its replies are not whole; those of others, before, are. */
        desk->output.failed = false;
        desk->output.end = desk->output.start + from;
        end(connection);
        return false;
    }
    size_t to = shoal_buffer_size(&desk->output);
    if (desk->tray_count > 0 && desk->tray[desk->tray_count - 1].connection == connection) {
        desk->tray[desk->tray_count - 1].to = to;
    } else {
        desk->tray[desk->tray_count++] = (shoal_tray_entry){connection, from, to};
        connection->on_tray++;
    }
    if (to < TRAY_BYTES && desk->tray_count < SHOAL_TRAY_MAX) return true;
    shoal_connection__flush(desk);
    return !connection->dead;
}

/* Gives bytes to the session; its replies go to the tray. False when the connection ended. */
static bool feed(shoal_connection *connection, shoal_slice bytes)
{
    shoal_buffer *output = &connection->desk->output;
    size_t before = shoal_buffer_size(output);
    shoal_feed verdict = shoal_session_feed(connection->session, bytes, output);
    connection->parked = verdict == SHOAL_FEED_PARKED;
    if (verdict == SHOAL_FEED_CLOSE) connection->deaf = true;
    if (verdict == SHOAL_FEED_DROP) {
        end(connection);
        return false;
    }
    if (bytes.size == 0 && verdict == SHOAL_FEED_CLOSE && shoal_buffer_size(output) == before) {
        /* Woken only to be closed: it was killed, perhaps because it does not read. */
        end(connection);
        return false;
    }
    return put_on_tray(connection, before);
}

/* Keeps what the socket did not take. The rest of the only entry takes the buffer with it. */
static void keep_rest(shoal_connection *connection, shoal_slice rest)
{
    shoal_desk *desk = connection->desk;
    shoal_buffer *pending = &connection->pending;
    if (rest.size >= STEAL_MIN && pending->data == NULL && desk->tray_count == 1) {
        shoal_buffer_consume(&desk->output, shoal_buffer_size(&desk->output) - rest.size);
        *pending = desk->output;
        desk->output = shoal_buffer_make(desk->allocator);
        return;
    }
    shoal_buffer_append(pending, rest);
}

/* Sends the replies of one entry behind those that are pending, unless they must wait. */
static void send_entry(shoal_connection *connection, shoal_slice said)
{
    if (said.size > 0 && connection->session != NULL &&
        shoal_session_hold(connection->session, said)) {
        connection->parked = true;
        return;
    }
    bool intact = true;
    if (shoal_buffer_size(&connection->pending) == 0) {
        intact = send_bytes(connection->descriptor, &said);
    }
    if (!intact) {
        end(connection);
        return;
    }
    if (said.size > 0) keep_rest(connection, said);
}

void shoal_connection__flush(shoal_desk *desk)
{
    if (desk->tray_count == 0) return;
    shoal_worker_commit(desk->worker);
    for (uint32_t i = 0; i < desk->tray_count; i++) {
        const shoal_tray_entry *entry = &desk->tray[i];
        shoal_connection *connection = entry->connection;
        SHOAL_ASSERT(connection->on_tray > 0);
        connection->on_tray--;
        if (connection->dead) continue;
        shoal_slice all = shoal_buffer_slice(&desk->output);
        SHOAL_ASSERT(entry->from <= entry->to && entry->to <= all.size);
        if (entry->to > entry->from) {
            shoal_slice said = {all.data + entry->from, entry->to - entry->from};
            send_entry(connection, said);
        }
        if (!connection->dead) settle(connection);
    }
    desk->tray_count = 0;
    shoal_buffer_consume(&desk->output, shoal_buffer_size(&desk->output));
    if (desk->output.capacity > OUTPUT_KEEP) shoal_buffer_free(&desk->output);
}

/* Reads while there is something to read and the connection may be read. False when it ended. */
static bool receive(shoal_connection *connection)
{
    char *input = connection->desk->input;
    for (int reads = 0; reads < READS_MAX && may_read(connection); reads++) {
        ssize_t got = recv(connection->descriptor, input, SHOAL_INPUT_SIZE, 0);
        if (got > 0) {
            if (!feed(connection, (shoal_slice){input, (size_t)got})) return false;
            if ((size_t)got < SHOAL_INPUT_SIZE) return true;
        } else if (got == 0) {
            connection->deaf = true;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return true;
        } else if (errno != EINTR) {
            end(connection);
            return false;
        }
    }
    return true;
}

/* Opens the session; a refusal is sent and the connection closes behind it. */
static bool greet(shoal_connection *connection)
{
    shoal_desk *desk = connection->desk;
    shoal_session_options options = {.descriptor = connection->descriptor,
                                     .unix_socket = connection->unix_socket,
                                     .owner = connection};
    options.peer = shoal_socket__peer(connection->descriptor);
    options.local = shoal_socket__local(connection->descriptor);
    size_t before = shoal_buffer_size(&desk->output);
    connection->greeted = true;
    connection->next = desk->open;
    if (desk->open) desk->open->previous = connection;
    desk->open = connection;
    shoal_err error =
        shoal_session_open(desk->worker, &options, &desk->output, &connection->session);
    if (error != SHOAL_ERR_OK) {
        connection->session = NULL;
        connection->deaf = true;
    }
    return put_on_tray(connection, before);
}

/* What was read of a connection before its turn. */
typedef struct ahead {
    ssize_t got; /* as recv returned it; -1 with EAGAIN: nothing was read */
    int error;
    bool tried;
    bool foreseen;
    shoal_foresight foresight;
} ahead;

/* Reads a connection that is all ears into `area`, and says what it will ask for. */
static void read_ahead(shoal_connection *connection, uint32_t events, char *area, ahead *out)
{
    *out = (ahead){.got = -1};
    if (connection->dead || !connection->greeted || events != EPOLLIN) return;
    if (!may_read(connection) || shoal_buffer_size(&connection->pending) > 0) return;
    out->tried = true;
    out->got = recv(connection->descriptor, area, SHOAL_AHEAD_SIZE, 0);
    out->error = out->got < 0 ? errno : 0;
    if (out->got <= 0) return;
    shoal_slice bytes = {area, (size_t)out->got};
    out->foreseen = shoal_session_foresee(connection->session, bytes, &out->foresight);
}

/* The turn of a connection that was read ahead. */
static void serve_ahead(shoal_connection *connection, const char *area, const ahead *what)
{
    if (connection->dead) return;
    if (what->got > 0) {
        /* Bytes that came while the session was being parked belong behind what it has kept, which
         * is where it puts them. */
        if (!feed(connection, (shoal_slice){area, (size_t)what->got})) return;
        if ((size_t)what->got == SHOAL_AHEAD_SIZE && !receive(connection)) return;
    } else if (what->got == 0) {
        connection->deaf = true;
    } else if (what->error != EAGAIN && what->error != EWOULDBLOCK && what->error != EINTR) {
        end(connection);
        return;
    }
    settle(connection);
}

static void serve(shoal_connection *connection, uint32_t events)
{
    if (connection->dead) return;
    if (!connection->greeted && !greet(connection)) return;
    if ((events & EPOLLOUT) && shoal_buffer_size(&connection->pending) > 0 &&
        !send_some(connection->descriptor, &connection->pending)) {
        end(connection);
        return;
    }
    if (may_read(connection)) {
        if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && !receive(connection)) return;
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        end(connection); /* Both directions are gone, and epoll would go on saying so. */
        return;
    } else if (events & EPOLLIN) {
        adjust_watch(connection, true);
    }
    settle(connection);
}

void shoal_connection__ready(shoal_desk *desk, const struct epoll_event *events, int count)
{
    SHOAL_ASSERT(count <= SHOAL_AHEAD_MAX);
    if (count == 1) {
        shoal_connection__stand_still(desk);
        if (events->data.ptr) serve(events->data.ptr, events->events);
        shoal_connection__flush(desk);
        return;
    }
    ahead read[SHOAL_AHEAD_MAX];
    for (int i = 0; i < count; i++) {
        shoal_connection *connection = events[i].data.ptr;
        read[i].tried = read[i].foreseen = false;
        if (connection == NULL) continue;
        read_ahead(connection, events[i].events, desk->ahead + i * SHOAL_AHEAD_STRIDE, &read[i]);
    }
    for (uint32_t step = 0; step < SHOAL_FORESEE_STEPS; step++) {
        for (int i = 0; i < count; i++) {
            if (!read[i].foreseen) continue;
            const shoal_connection *connection = events[i].data.ptr;
            shoal_session_foresee_more(connection->session, &read[i].foresight, step);
        }
    }
    for (int i = 0; i < count; i++) {
        shoal_connection *connection = events[i].data.ptr;
        if (connection == NULL) continue;
        /* Who comes behind one that made the node busy is served as of when it came. */
        shoal_connection__stand_still(desk);
        if (read[i].tried) {
            serve_ahead(connection, desk->ahead + i * SHOAL_AHEAD_STRIDE, &read[i]);
        } else {
            serve(connection, events[i].events);
        }
    }
    shoal_connection__flush(desk);
}

void shoal_connection__resume(shoal_connection *connection)
{
    SHOAL_ASSERT(!connection->dead && connection->session != NULL);
    (void)feed(connection, (shoal_slice){0});
}
