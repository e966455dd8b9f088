/* SPDX-License-Identifier: MIT
 *
 * CLIENT TRACKING as clients see it, on one worker and on two. Words were read off redis-server
 * 7.0.15.
 */
#include <string.h>

#include "base/atomic.h"
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c, other, third;

static int open_boxes(uint32_t workers)
{
    command_box_open(&box, workers, false);
    command_box_log(&box);
    box.settings.debug = true;
    client_open(&c, &box, 0);
    client_open(&other, &box, workers - 1);
    client_open(&third, &box, workers - 1);
    return 0;
}

static int open_one(void **state)
{
    (void)state;
    return open_boxes(1);
}

static int open_two(void **state)
{
    (void)state;
    return open_boxes(2);
}

static int close_box(void **state)
{
    (void)state;
    client_close(&third);
    client_close(&other);
    client_close(&c);
    command_box_close(&box);
    return 0;
}

/* Sends a line of which the answer does not matter. */
static void say(command_client *client, const char *line)
{
    client_send(client, (shoal_slice){line, strlen(line)});
    client_send(client, (shoal_slice){"\r\n", 2});
    command_box_settle(&box);
    shoal_buffer_consume(&client->out, shoal_buffer_size(&client->out));
}

/* Speaks RESP3 and tracks, with options. */
static void track(command_client *client, const char *request)
{
    say(client, "HELLO 3");
    client_asks(client, request, "+OK~");
}

static void a_key_that_was_read_is_told_once_when_it_changes(void **state)
{
    (void)state;
    track(&c, "CLIENT TRACKING ON~");
    client_asks(&c, "GET k~GET none~", "_~_~");
    client_asks(&other, "SET k 1~SET k 2~SET not 1~", "+OK~+OK~+OK~");
    client_got(&c, ">2~$10~invalidate~*1~$1~k~");
    client_asks(&other, "SET k 3~", "+OK~");
    client_got(&c, "");
    client_asks(&c, "MGET k not~", "*2~$1~3~$1~1~");
    client_asks(&other, "DEL not~EXPIRE k 100~", ":1~:1~");
    client_got(&c, ">2~$10~invalidate~*1~$3~not~>2~$10~invalidate~*1~$1~k~");
    client_asks(&c, "CLIENT TRACKING OFF~GET k~", "+OK~$1~3~");
    client_asks(&other, "SET k 4~", "+OK~");
    client_got(&c, "");
}

static void a_change_of_ones_own_is_told_behind_the_reply(void **state)
{
    (void)state;
    track(&c, "CLIENT TRACKING ON~");
    client_asks(&c, "GET k~INCR k~GET x~", "_~:1~_~>2~$10~invalidate~*1~$1~k~");
    client_asks(&c, "MULTI~SET x 1~GET x~GET y~SET y 2~EXEC~",
                "+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*4~+OK~$1~1~_~+OK~"
                ">2~$10~invalidate~*1~$1~y~");
    client_asks(&other, "SET x 5~", "+OK~");
    client_got(&c, ">2~$10~invalidate~*1~$1~x~");
    track(&third, "CLIENT TRACKING ON NOLOOP~");
    client_asks(&third, "GET k~INCR k~GET k~", "$1~1~:2~$1~2~");
    client_asks(&other, "INCR k~", ":3~");
    client_got(&third, ">2~$10~invalidate~*1~$1~k~");
}

static void keys_are_told_by_their_beginning_with_bcast(void **state)
{
    (void)state;
    track(&c, "CLIENT TRACKING ON BCAST PREFIX a: PREFIX b:~");
    client_asks(&other, "MSET a:2 1 a:1 1 b:1 1 c:1 1~", "+OK~");
    client_got(&c, ">2~$10~invalidate~*2~$3~a:1~$3~a:2~>2~$10~invalidate~*1~$3~b:1~");
    client_asks(&c, "GET c:1~CLIENT TRACKINGINFO~",
                "$1~1~%3~$5~flags~^2~$2~on~$5~bcast~$8~redirect~:0~$8~prefixes~*2~$2~a:~$2~b:~");
    client_asks(&other, "SET c:1 2~", "+OK~");
    client_got(&c, "");
    client_asks(&c, "CLIENT TRACKING ON BCAST PREFIX a:b~",
                "-ERR Prefix 'a:b' overlaps with an existing prefix 'a:'. Prefixes for a single "
                "client must not overlap.~");
    client_asks(&c, "CLIENT TRACKING OFF~CLIENT TRACKING ON BCAST NOLOOP~SET mine 1~",
                "+OK~+OK~+OK~");
    client_asks(&other, "SET theirs 1~", "+OK~");
    client_got(&c, ">2~$10~invalidate~*1~$6~theirs~");
}

static void what_is_redirected_comes_to_the_other_connection(void **state)
{
    (void)state;
    client_asks(&other, "CLIENT ID~SUBSCRIBE __redis__:invalidate~",
                ":2~*3~$9~subscribe~$20~__redis__:invalidate~:1~");
    client_asks(&c, "CLIENT TRACKING ON REDIRECT 77~CLIENT TRACKING ON REDIRECT 2~GET k~",
                "-ERR The client ID you want redirect to does not exist~+OK~$-1~");
    client_asks(&third, "SET k 1~", "+OK~");
    client_got(&other, "*3~$7~message~$20~__redis__:invalidate~*1~$1~k~");
    client_asks(&c, "CLIENT GETREDIR~GET k~", ":2~$1~1~");
    client_asks(&third, "FLUSHALL~", "+OK~");
    client_got(&other, "*3~$7~message~$20~__redis__:invalidate~$-1~");
    say(&c, "HELLO 3");
    client_asks(&c, "GET k~", "_~");
    client_close(&other);
    client_asks(&third, "SET k 2~", "+OK~");
    client_got(&c, ">2~$21~tracking-redir-broken~:2~");
    client_asks(&c, "CLIENT TRACKINGINFO~",
                "%3~$5~flags~^2~$2~on~$15~broken_redirect~$8~redirect~:2~$8~prefixes~*0~");
}

static void clients_choose_what_is_tracked(void **state)
{
    (void)state;
    track(&c, "CLIENT TRACKING ON OPTIN~");
    client_asks(&c, "GET a~CLIENT CACHING YES~GET b~GET d~CLIENT CACHING NO~",
                "_~+OK~_~_~-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT "
                "mode.~");
    client_asks(&other, "MSET a 1 b 1 d 1~", "+OK~");
    client_got(&c, ">2~$10~invalidate~*1~$1~b~");
    client_asks(&c, "CLIENT TRACKING OFF~CLIENT TRACKING ON OPTOUT~CLIENT CACHING NO~GET a~GET b~",
                "+OK~+OK~+OK~$1~1~$1~1~");
    client_asks(&other, "MSET a 2 b 2~", "+OK~");
    client_got(&c, ">2~$10~invalidate~*1~$1~b~");
    client_asks(&c, "CLIENT TRACKING OFF~CLIENT CACHING YES~",
                "+OK~-ERR CLIENT CACHING can be called only when the client is in tracking mode "
                "with OPTIN or OPTOUT mode enabled~");
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    client_asks(&c,
                "CLIENT TRACKING ON BCAST OPTIN~CLIENT TRACKING ON OPTIN OPTOUT~"
                "CLIENT TRACKING ON PREFIX a~CLIENT TRACKING MAYBE~",
                "-ERR OPTIN and OPTOUT are not compatible with BCAST~"
                "-ERR You can't specify both OPTIN mode and OPTOUT mode~"
                "-ERR PREFIX option requires BCAST mode to be enabled~"
                "-ERR syntax error~");
    client_asks(&c,
                "CLIENT TRACKING ON~CLIENT TRACKING ON BCAST~CLIENT GETREDIR~RESET~"
                "CLIENT GETREDIR~",
                "+OK~-ERR You can't switch BCAST mode on/off before disabling tracking for this "
                "client, and then re-enabling it with a different mode.~:0~+RESET~:-1~");
    assert_int_equal(shoal_load_relaxed(&box.env.trackers), 0);
}

static void keys_that_expire_or_are_flushed_are_told(void **state)
{
    (void)state;
    track(&c, "CLIENT TRACKING ON~");
    client_asks(&other, "SET k 1 PX 50~SET l 1~", "+OK~+OK~");
    client_asks(&c, "GET k~GET l~", "$1~1~$1~1~");
    command_box_sleep(&box, 100);
    client_asks(&other, "GET k~", "$-1~");
    client_got(&c, ">2~$10~invalidate~*1~$1~k~");
    client_asks(&other, "FLUSHDB~SET l 2~", "+OK~+OK~");
    client_got(&c, ">2~$10~invalidate~_~");
    client_asks(&c, "GET l~", "$1~2~");
    client_asks(&other, "SET l 3~", "+OK~");
    client_got(&c, ">2~$10~invalidate~*1~$1~l~");
}

static void no_more_keys_are_remembered_than_may_be(void **state)
{
    (void)state;
    box.settings.tracked_keys_max = 1;
    track(&c, "CLIENT TRACKING ON~");
    client_asks(&c, "GET a~", "_~");
    client_got(&c, "");
    say(&c, "GET b");
    box.settings.tracked_keys_max = 0;
    client_asks(&other, "MSET a 1 b 1~", "+OK~");
    /* One of them had to go, and was told then. */
    say(&c, "PING");
    client_asks(&other, "MSET a 2 b 2~", "+OK~");
    client_got(&c, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define BOTH(test)                                              \
    cmocka_unit_test_setup_teardown(test, open_one, close_box), \
        cmocka_unit_test_setup_teardown(test, open_two, close_box)
        BOTH(a_key_that_was_read_is_told_once_when_it_changes),
        BOTH(a_change_of_ones_own_is_told_behind_the_reply),
        BOTH(keys_are_told_by_their_beginning_with_bcast),
        BOTH(what_is_redirected_comes_to_the_other_connection),
        BOTH(clients_choose_what_is_tracked),
        BOTH(what_does_not_go_together_is_refused),
        BOTH(keys_that_expire_or_are_flushed_are_told),
        BOTH(no_more_keys_are_remembered_than_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
