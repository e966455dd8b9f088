/* SPDX-License-Identifier: MIT
 *
 * What a live run can play: servers and what they understand, and what becomes of each line.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/live/live.h"
#include "sim/live/process.h"
#include "sim/live/proxy.h"
#include "sim/memory.h"

/* How long a server may take to answer at its start. Chosen: a machine ten times slower. */
#define START_US INT64_C(60000000)
#define AGAIN_US INT64_C(10000)

/* ---- servers ---- */

bool shoal_server__look(const char *path, shoal_server *out)
{
    char line[256], version[24] = "";
    const char *base = strrchr(path, '/');
    *out = (shoal_server){.path = path};
    if (!shoal_process__first_line(path, "--version", line, sizeof(line))) {
        fprintf(stderr, "%s: cannot be run: expected a server program, such as redis-server\n",
                path);
        return false;
    }
    const char *own = strstr(line, "shoal="), *theirs = strstr(line, "v=");
    const char *number = own ? own + 6 : theirs ? theirs + 2 : "";
    snprintf(version, sizeof(version), "%.*s", (int)strcspn(number, " "), number);
    if (version[0] == 0) {
        fprintf(stderr,
                "%s: says \"%.80s\" to --version: expected a Redis, Valkey or Shoal server\n", path,
                line);
        return false;
    }
    out->profiles = own != NULL;
    snprintf(out->name, sizeof(out->name), "%s", base ? base + 1 : path);
    snprintf(out->label, sizeof(out->label), "%s %s", out->name, version);
    return true;
}

/* ---- lines ---- */

/* One line without a look at the server; NULL: it is played. */
static const char *why_not(const shoal_line *line)
{
    switch (line->kind) {
    case SHOAL_LINE_REFUSE: return "one listener cannot refuse some peers and take others";
    case SHOAL_LINE_DROP: return "frames inside of real connections are not looked at";
    case SHOAL_LINE_SWIZZLE: return "its moments are draws of the simulator";
    case SHOAL_LINE_SLOW: return "real processes are as fast as they are";
    case SHOAL_LINE_READDRESS: return "announced addresses cannot move";
    case SHOAL_LINE_CLOCK: return "all processes share the machine's clocks";
    case SHOAL_LINE_DISK: return "all processes share the machine's disk";
    case SHOAL_LINE_CRASH:
        return line->trigger == SHOAL_TRIGGER_NONE ? NULL
                                                   : "nobody sees what a real process does inside";
    case SHOAL_LINE_EXPECT:
        switch (line->expect.contract) {
        case SHOAL_CONTRACT_COPIES: return "servers do not tell digests of their data";
        case SHOAL_CONTRACT_BROKEN: return "the simulator's checks need its view of everything";
        case SHOAL_CONTRACT_STALE_READS: return "the causes of stale reads are not known outside";
        case SHOAL_CONTRACT_CONNECTS: return "attempts to connect are not seen";
        default: return NULL;
        }
    default: return NULL;
    }
}

/* What is played otherwise than written, or NULL. */
static const char *what_changes(const shoal_line *line)
{
    if (line->kind == SHOAL_LINE_NET && line->quality.split_ppm > 0)
        return "bytes are not split: the kernel does that as it likes";
    if (line->kind == SHOAL_LINE_CRASH && line->fate != SHOAL_DISK_KEPT)
        return "the disk is kept: the kernel keeps what a process has written";
    return NULL;
}

static void plan_line(const shoal_line *line, shoal_planned *out)
{
    const char *why = why_not(line), *change = what_changes(line);
    *out = (shoal_planned){.line = line, .why = why ? why : change};
    if (why)
        out->fit = SHOAL_FIT_LEFT_OUT;
    else if (change)
        out->fit = SHOAL_FIT_CHANGED;
}

/* ---- asking a server for its directives ---- */

/* A conversation with a server that is asked for one directive after the other. */
typedef struct server_inquiry {
    shoal_loop loop;
    shoal_places places;
    shoal_talk talk;
    shoal_timer again;
    shoal_process process;
    shoal_planned *plan;
    uint32_t count, next;
    bool over;
} server_inquiry;

/* Directives that CONFIG GET does not tell and every server has. */
static bool is_silent(shoal_slice name)
{
    return shoal_text_is(name, "user") || shoal_text_is(name, "rename-command") ||
           shoal_text_is(name, "loadmodule") || shoal_text_is(name, "include");
}

static shoal_slice directive_of(const shoal_line *line)
{
    return (shoal_slice){line->text, strcspn(line->text, " ")};
}

/* Asks for the next directive; the inquiry is over behind the last. */
static void ask_next(server_inquiry *inquiry)
{
    char text[128];
    while (inquiry->next < inquiry->count) {
        const shoal_line *line = inquiry->plan[inquiry->next].line;
        if (line->kind == SHOAL_LINE_CONFIG && !is_silent(directive_of(line))) break;
        inquiry->next++;
    }
    inquiry->over = inquiry->next == inquiry->count;
    if (inquiry->over) return;
    shoal_slice name = directive_of(inquiry->plan[inquiry->next].line);
    snprintf(text, sizeof(text), "CONFIG GET %.*s", (int)name.size, name.data);
    shoal_talk__words(&inquiry->talk, text);
    shoal_talk__flush(&inquiry->talk);
}

static void inquiry_opened(void *context)
{
    ask_next(context);
}

static void inquiry_replied(void *context, shoal_slice reply)
{
    server_inquiry *inquiry = context;
    if (inquiry->over) return;
    if (shoal_text_equal(reply, shoal_text("*0\r\n"))) {
        inquiry->plan[inquiry->next].fit = SHOAL_FIT_LEFT_OUT;
        inquiry->plan[inquiry->next].why = "the server has no such directive";
    }
    inquiry->next++;
    ask_next(inquiry);
}

static void inquiry_again(void *context)
{
    server_inquiry *inquiry = context;
    shoal_spot there = {shoal_places__node(&inquiry->places, 0), inquiry->places.port};
    if (!shoal_process__runs(&inquiry->process)) {
        inquiry->over = true;
        return;
    }
    if (!shoal_talk__open(&inquiry->talk, 0, there))
        shoal_loop__arm(&inquiry->loop, &inquiry->again,
                        shoal_loop__now(&inquiry->loop) + AGAIN_US);
}

static void inquiry_ended(void *context)
{
    server_inquiry *inquiry = context;
    shoal_loop__arm(&inquiry->loop, &inquiry->again, shoal_loop__now(&inquiry->loop) + AGAIN_US);
}

static bool inquiry_over(void *context)
{
    return ((const server_inquiry *)context)->over;
}

static bool start_inquired(server_inquiry *inquiry, const shoal_server *server)
{
    char own[16], text[256];
    if (!shoal_loop__make(&inquiry->loop) || !shoal_places__find(&inquiry->places, 1)) return false;
    shoal_spot__text(shoal_places__node(&inquiry->places, 0), own);
    snprintf(text, sizeof(text), "bind %s\nport %u\nprotected-mode no\nsave \"\"\n", own,
             inquiry->places.port);
    return shoal_process__start(&inquiry->process, server->path, shoal_text(text));
}

/* Starts the server and asks it. */
static bool inquire(const shoal_server *server, shoal_planned *plan, uint32_t count)
{
    server_inquiry inquiry = {.plan = plan, .count = count};
    char folder[200], words[160] = "";
    if (!shoal_folder__make(folder)) return false;
    snprintf(inquiry.process.folder, sizeof(inquiry.process.folder), "%s/asked", folder);
    inquiry.talk = (shoal_talk){.opened = inquiry_opened,
                                .replied = inquiry_replied,
                                .ended = inquiry_ended,
                                .context = &inquiry};
    inquiry.again = (shoal_timer){.fire = inquiry_again, .context = &inquiry};
    bool started = start_inquired(&inquiry, server);
    shoal_talk__make(&inquiry.talk, &inquiry.loop);
    if (started) {
        shoal_loop__arm(&inquiry.loop, &inquiry.again, 0);
        (void)shoal_loop__run(&inquiry.loop, START_US, inquiry_over, &inquiry);
    }
    bool good = inquiry.over && inquiry.next == count;
    if (!good) shoal_process__last_words(&inquiry.process, words, sizeof(words));
    shoal_process__kill(&inquiry.process);
    shoal_talk__free(&inquiry.talk);
    shoal_loop__free(&inquiry.loop);
    shoal_folder__remove(folder);
    if (!good) fprintf(stderr, "%s: cannot be started: %s\n", server->path, words);
    return good;
}

/* ---- the whole ---- */

bool shoal_plan__make(const shoal_schedule *schedule, const shoal_server *server, uint32_t profile,
                      shoal_planned *out)
{
    if (schedule->nodes > SHOAL_LIVE_NODES_MAX || schedule->clients > SHOAL_LIVE_CLIENTS_MAX) {
        fprintf(stderr,
                "shoal-sim: %u nodes and %u clients: expected at most %u and %u for a live run\n",
                schedule->nodes, schedule->clients, SHOAL_LIVE_NODES_MAX, SHOAL_LIVE_CLIENTS_MAX);
        return false;
    }
    if (profile == SHOAL_PROFILE_OF_SHOAL && !server->profiles) {
        fprintf(stderr, "shoal-sim: %s: follows no profile but redis-7\n", server->label);
        return false;
    }
    for (uint32_t i = 0; i < schedule->count; i++) plan_line(&schedule->lines[i], &out[i]);
    return inquire(server, out, schedule->count);
}
