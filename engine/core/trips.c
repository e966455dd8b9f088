/* SPDX-License-Identifier: MIT
 *
 * core/trips.c - see trips.h. A route is one connection, with the trip that is under way on it, or
 * none: then it waits for the next one until it is closed. What comes is read by the reader of
 * replies that is fuzzed (wire/resp.h), and no further than to see where each ends.
 *
 *     CONNECTING --LINK_UP--> BUSY --all answers--> IDLE --trip--> BUSY
 *
 * From each of them a route ends: with its link, when its time is over, or for what is wrong. One
 * that was idle before, and whose link goes before anything was answered, had been closed over
 * there meanwhile: then it is opened once more.
 */
#include "core/trips.h"

#include "core/node.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"

/* As Redis: at most so many connections, which wait so long for the next trip. */
#define ROUTES_MAX 64u
#define IDLE_US INT64_C(10000000)
/* How late it may be seen that queued bytes have left. Chosen: little beside any timeout. */
#define LOOK_US 10000
/* The longest answer. All that is expected are some words. Chosen. */
#define ANSWER_MAX ((size_t)64 << 10)
/* No database is selected. */
#define NO_DATABASE INT64_MIN

typedef enum route_state { ROUTE_CONNECTING, ROUTE_BUSY, ROUTE_IDLE } route_state;

struct shoal_trip_route {
    struct shoal_trip_route *next;
    route_state state;
    shoal_link link;
    shoal_address to;
    shoal_trip *trip; /* NULL: idle */
    bool again;       /* the link is older than the trip, and nothing was answered yet */
    bool erred;       /* an answer to the trip was an error */
    int64_t db;       /* of the connection, as far as that is known */
    int64_t until_us; /* of the next progress, or of the rest */
    size_t queued;    /* bytes that had not left when that was set */
    size_t scanned;   /* bytes of the answers that are whole answers */
    uint32_t missing; /* answers */
};
typedef struct shoal_trip_route trip_route;

static const shoal_host *host_of(const shoal_node *node)
{
    SHOAL_ASSERT(node->host.link_open != NULL);
    return shoal_tape_noting(node->tape, &node->host);
}

static bool same_address(const shoal_address *a, const shoal_address *b)
{
    SHOAL_DEBUG_ASSERT(a != b);
    return a->port == b->port && shoal_text_equal(shoal_text(a->ip), shoal_text(b->ip));
}

/* ---- life of a route ---- */

/* Takes it out of the list. Its link is closed, or down. */
static void forget(shoal_node *node, trip_route *route)
{
    trip_route **at = &node->trips.first;
    while (*at != route) at = &(*at)->next;
    *at = route->next;
    SHOAL_ASSERT(node->trips.count > 0);
    node->trips.count--;
    shoal_memory_give(&node->allocator, route, sizeof(*route), _Alignof(max_align_t));
}

/* The trip is over; the route goes on without it, or will be forgotten. */
static void finish(trip_route *route, shoal_trip_end end)
{
    shoal_trip *trip = route->trip;
    SHOAL_ASSERT(trip != NULL);
    route->trip = NULL;
    trip->end = end;
    shoal_trip_over(trip);
}

static void end_route(shoal_node *node, trip_route *route, shoal_trip_end end)
{
    const shoal_host *host = host_of(node);
    SHOAL_ASSERT(route->link != 0);
    host->link_close(host->context, route->link);
    if (route->trip != NULL) finish(route, end);
    forget(node, route);
}

static void await(shoal_node *node, trip_route *route)
{
    const shoal_host *host = host_of(node);
    SHOAL_ASSERT(route->trip != NULL);
    route->until_us = node->now.mono_us + route->trip->timeout_us;
    route->queued = host->link_queued != NULL ? host->link_queued(host->context, route->link) : 0;
}

static void say(shoal_node *node, trip_route *route)
{
    const shoal_host *host = host_of(node);
    shoal_trip *trip = route->trip;
    SHOAL_ASSERT(trip != NULL && shoal_buffer_size(&trip->answers) == 0);
    shoal_buffer first = shoal_buffer_make(&node->allocator);
    route->state = ROUTE_BUSY;
    route->scanned = 0;
    route->erred = false;
    route->missing = trip->expected + (shoal_buffer_size(&trip->login) != 0);
    shoal_buffer_append(&first, shoal_buffer_slice(&trip->login));
    trip->selected = trip->db != route->db;
    if (trip->selected) {
        shoal_reply out = {.out = &first, .protocol = 2};
        shoal_reply_array(&out, 2);
        shoal_reply_text(&out, "SELECT");
        shoal_reply_bulk_integer(&out, trip->db);
        route->missing++;
    }
    bool failed = first.failed || trip->login.failed || trip->said.failed;
    if (!failed && shoal_buffer_size(&first) != 0)
        host->link_send(host->context, route->link, shoal_buffer_slice(&first));
    if (!failed) host->link_send(host->context, route->link, shoal_buffer_slice(&trip->said));
    shoal_buffer_free(&first);
    await(node, route);
    if (failed) end_route(node, route, SHOAL_TRIP_WRITING);
}

static void open_route(shoal_node *node, trip_route *route)
{
    const shoal_host *host = host_of(node);
    SHOAL_ASSERT(route->trip != NULL);
    route->state = ROUTE_CONNECTING;
    route->again = false;
    route->db = NO_DATABASE;
    route->link = host->link_open(host->context, &route->to);
    await(node, route);
}

/* ---- trips ---- */

/* An idle connection to the node; else, where there are as many as may be, the one that has been
 * idle for longest ends. */
static trip_route *find_idle(shoal_node *node, const shoal_address *to)
{
    trip_route *oldest = NULL;
    for (trip_route *at = node->trips.first; at != NULL; at = at->next) {
        if (at->state != ROUTE_IDLE) continue;
        SHOAL_ASSERT(at->trip == NULL);
        if (same_address(&at->to, to)) return at;
        if (oldest == NULL || at->until_us < oldest->until_us) oldest = at;
    }
    if (node->trips.count >= ROUTES_MAX && oldest != NULL) end_route(node, oldest, SHOAL_TRIP_HOME);
    return NULL;
}

void shoal_node__trips_carry(shoal_op *op, void *context)
{
    shoal_node *node = context;
    shoal_trip *trip = (shoal_trip *)op;
    SHOAL_ASSERT(trip->errand != NULL && trip->expected > 0);
    trip_route *route = find_idle(node, &trip->to);
    if (route != NULL) {
        route->trip = trip;
        route->again = true;
        say(node, route);
        return;
    }
    if (node->trips.count < ROUTES_MAX && !node->trips.over && node->phase == SHOAL_PHASE_READY)
        route = shoal_memory_take_zeroed(&node->allocator, sizeof(*route), _Alignof(max_align_t));
    if (route == NULL) {
        trip->end = SHOAL_TRIP_CONNECTING;
        shoal_trip_over(trip);
        return;
    }
    route->next = node->trips.first;
    node->trips.first = route;
    node->trips.count++;
    route->to = trip->to;
    route->trip = trip;
    open_route(node, route);
}

/* ---- events ---- */

/* None of the commands is answered by one; one without an end is looked through at each read. */
static bool is_aggregate(char sign)
{
    SHOAL_ASSERT(ANSWER_MAX > 0);
    return sign == '*' || sign == '~' || sign == '%' || sign == '>' || sign == '|';
}

/* Counts the answers that are whole. False when something else came. */
static bool scan(trip_route *route)
{
    shoal_buffer *answers = &route->trip->answers;
    SHOAL_ASSERT(route->scanned <= shoal_buffer_size(answers));
    while (route->missing > 0) {
        shoal_slice rest = shoal_buffer_slice(answers);
        rest.data += route->scanned;
        rest.size -= route->scanned;
        size_t size;
        if (rest.size == 0) return true;
        if (is_aggregate(rest.data[0])) return false;
        shoal_err error = shoal_answer_size(rest, &size);
        if (error == SHOAL_ERR_TRUNCATED) return rest.size < ANSWER_MAX;
        if (error != SHOAL_ERR_OK) return false;
        if (rest.data[0] == '-') route->erred = true;
        route->scanned += size;
        route->missing--;
    }
    return route->scanned == shoal_buffer_size(answers);
}

static void take(shoal_node *node, trip_route *route, shoal_slice bytes)
{
    if (route->state != ROUTE_BUSY) {
        end_route(node, route, SHOAL_TRIP_READING);
        return;
    }
    shoal_trip *trip = route->trip;
    SHOAL_ASSERT(trip != NULL);
    route->again = false;
    shoal_buffer_append(&trip->answers, bytes);
    if (trip->answers.failed || !scan(route)) {
        end_route(node, route, SHOAL_TRIP_READING);
        return;
    }
    await(node, route);
    if (route->missing > 0) return;
    /* Behind an error the next trip says its database again. */
    route->db = route->erred ? NO_DATABASE : trip->db;
    route->state = ROUTE_IDLE;
    route->until_us = node->now.mono_us + IDLE_US;
    finish(route, SHOAL_TRIP_HOME);
}

static void lose(shoal_node *node, trip_route *route)
{
    SHOAL_ASSERT(route->link != 0);
    if (route->state == ROUTE_BUSY && route->again) {
        open_route(node, route);
        return;
    }
    bool connecting = route->state == ROUTE_CONNECTING;
    if (route->trip != NULL) finish(route, connecting ? SHOAL_TRIP_CONNECTING : SHOAL_TRIP_READING);
    forget(node, route);
}

bool shoal_node__trips_event(shoal_node *node, const shoal_event *event)
{
    trip_route *route = node->trips.first;
    SHOAL_ASSERT(event->link != 0);
    while (route != NULL && route->link != event->link) route = route->next;
    if (route == NULL) return false;
    if (event->kind == SHOAL_EVENT_LINK_UP) {
        if (route->state == ROUTE_CONNECTING) say(node, route);
    } else if (event->kind == SHOAL_EVENT_LINK_DATA) {
        take(node, route, event->data);
    } else if (event->kind == SHOAL_EVENT_LINK_DOWN) {
        lose(node, route);
    }
    return true;
}

/* ---- timers ---- */

/* Are there bytes that have to leave? */
static bool is_writing(const trip_route *route)
{
    SHOAL_DEBUG_ASSERT(route->link != 0);
    return route->state == ROUTE_BUSY && route->queued > 0;
}

/* Bytes that have left are progress: its time begins again. */
static void look(shoal_node *node, trip_route *route)
{
    const shoal_host *host = host_of(node);
    SHOAL_DEBUG_ASSERT(is_writing(route));
    if (host->link_queued(host->context, route->link) < route->queued) await(node, route);
}

/* Its time is over. */
static void give_up(shoal_node *node, trip_route *route)
{
    SHOAL_ASSERT(route->until_us <= node->now.mono_us);
    shoal_trip_end end = route->state == ROUTE_CONNECTING ? SHOAL_TRIP_CONNECTING
                         : is_writing(route)              ? SHOAL_TRIP_WRITING
                                                          : SHOAL_TRIP_READING;
    end_route(node, route, end);
}

void shoal_node__trips_step(shoal_node *node)
{
    trip_route *next;
    for (trip_route *at = node->trips.first; at != NULL; at = next) {
        next = at->next;
        SHOAL_ASSERT((at->state == ROUTE_IDLE) == (at->trip == NULL));
        if (is_writing(at)) look(node, at);
        if (at->until_us <= node->now.mono_us) give_up(node, at);
    }
}

int64_t shoal_node__trips_deadline(const shoal_node *node)
{
    int64_t first = SHOAL_NEVER;
    SHOAL_ASSERT(node->trips.count <= ROUTES_MAX);
    for (const trip_route *at = node->trips.first; at != NULL; at = at->next) {
        int64_t look_us = is_writing(at) ? node->now.mono_us + LOOK_US : SHOAL_NEVER;
        if (at->until_us < first) first = at->until_us;
        if (look_us < first) first = look_us;
    }
    return first;
}

void shoal_node__trips_abandon(shoal_node *node)
{
    node->trips.over = true;
    while (node->trips.first != NULL) {
        trip_route *route = node->trips.first;
        if (route->trip != NULL) finish(route, SHOAL_TRIP_READING);
        forget(node, route);
    }
    SHOAL_ASSERT(node->trips.count == 0);
}

uint32_t shoal_node__trips_count(const shoal_node *node)
{
    SHOAL_ASSERT(node->trips.count <= ROUTES_MAX);
    return node->trips.count;
}
