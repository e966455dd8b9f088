/* SPDX-License-Identifier: MIT
 *
 * Virtual TCP as a node sees it: what arrives, in which pieces, when, and how connections fail. Two
 * nodes of a vacant world, whose steps are the test's own.
 */
#include "sim_run.h"

#include "sim/internal.h"

#define PIECES 400u

/* One node: what happened to its link. */
typedef struct peer {
    shoal_host *host;
    shoal_link link;
    uint32_t ups, downs, pieces;
    shoal_err error;
    int64_t up_us, down_us, first_us, last_us;
    uint64_t received; /* bytes, checked against the pattern */
    bool wrong;
    uint32_t index;
    shoal_world *world;
} peer;

static struct {
    shoal_schedule schedule;
    shoal_world *world;
    peer peers[3];
} bench;

static char pattern(uint64_t position)
{
    return (char)(position * 7 + (position >> 8));
}

static void take(peer *self, const shoal_event *event)
{
    if (self->received == 0) self->first_us = shoal_world_now(self->world);
    self->last_us = shoal_world_now(self->world);
    self->pieces++;
    for (size_t i = 0; i < event->data.size; i++) {
        if (event->data.data[i] != pattern(self->received++)) self->wrong = true;
    }
}

static int64_t step(void *context, const shoal_event *event)
{
    peer *self = context;
    switch (event->kind) {
    case SHOAL_EVENT_LINK_UP:
        self->ups++;
        self->up_us = shoal_world_now(self->world);
        self->link = event->link;
        break;
    case SHOAL_EVENT_LINK_DATA: take(self, event); break;
    case SHOAL_EVENT_LINK_DOWN:
        self->downs++;
        self->down_us = shoal_world_now(self->world);
        self->error = event->error;
        break;
    case SHOAL_EVENT_NUDGED: {
        /* A nudge asks n1 to connect to n2, or to send the next piece. */
        if (self->ups == 0) {
            shoal_address to = shoal_world_address(self->world, 1);
            self->link = self->host->link_open(self->host->context, &to);
            break;
        }
        break;
    }
    default: break;
    }
    return SHOAL_NEVER;
}

static int open_bench(void **state)
{
    (void)state;
    memset(&bench, 0, sizeof(bench));
    sim_parse("schedule v1\ncluster nodes 3 node_timeout 1s meet none\n"
              "0s net * latency 10ms jitter 2ms dist uniform split 30%\n",
              &bench.schedule);
    shoal_world_options options = shoal_world_options_default();
    options.schedule = &bench.schedule;
    options.vacant = true;
    assert_int_equal(shoal_world_create(&options, &bench.world), SHOAL_ERR_OK);
    for (uint32_t i = 0; i < 3; i++) {
        bench.peers[i].world = bench.world;
        bench.peers[i].index = i;
        bench.peers[i].host = shoal_world_mount(bench.world, i, step, &bench.peers[i]);
    }
    shoal_world_advance(bench.world, 1000000);
    return 0;
}

static int close_bench(void **state)
{
    (void)state;
    shoal_world_destroy(bench.world);
    shoal_schedule_free(&bench.schedule);
    return 0;
}

static void act(const char *line)
{
    shoal_schedule_error error;
    if (shoal_world_act(bench.world, (shoal_slice){line, strlen(line)}, &error))
        fail_msg("%s", error.message);
}

static void let(int64_t us)
{
    shoal_world_advance(bench.world, shoal_world_now(bench.world) + us);
}

/* n1 connects to n2. */
static void connect_peers(void)
{
    bench.peers[0].host->nudge(bench.peers[0].host->context, SHOAL_ACTOR_CONTROL);
    let(1);
}

/* n1 sends `count` pieces of up to 500 bytes, one each millisecond; returns the bytes. */
static uint64_t send_pieces(uint32_t count)
{
    char bytes[500];
    uint64_t sent = bench.peers[1].received;
    uint64_t queued = sent;
    shoal_port port;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = 1 + (i * 37) % sizeof(bytes);
        for (size_t j = 0; j < size; j++) bytes[j] = pattern(queued++);
        assert_true(shoal_net__find(&bench.world->net, bench.peers[0].link, &port));
        shoal_net__send(bench.world, port, (shoal_slice){bytes, size});
        let(1000);
    }
    return queued;
}

static void bytes_arrive_whole_in_order_and_in_other_pieces(void **state)
{
    (void)state;
    connect_peers();
    let(50000);
    assert_int_equal(bench.peers[0].ups + bench.peers[1].ups, 2);
    uint64_t sent = send_pieces(PIECES);
    let(50000);
    assert_int_equal(bench.peers[1].received, sent);
    assert_false(bench.peers[1].wrong);
    assert_true(bench.peers[1].pieces > PIECES + PIECES / 5);
    assert_true(bench.peers[1].pieces < PIECES + PIECES / 2);
}

static void a_cut_holds_bytes_and_tells_nobody(void **state)
{
    (void)state;
    connect_peers();
    let(50000);
    act("cut n1 | n2");
    int64_t cut_us = shoal_world_now(bench.world);
    uint64_t sent = send_pieces(20);
    let(4000000);
    assert_int_equal(bench.peers[1].received, 0);
    assert_int_equal(bench.peers[0].downs + bench.peers[1].downs, 0);
    act("heal *");
    let(6000000);
    assert_int_equal(bench.peers[1].received, sent);
    assert_false(bench.peers[1].wrong);
    /* Lost at the cut; repeated after 0.2, 0.6, 1.4, 3.0 and 6.2 s: only the last came through. */
    assert_in_range(bench.peers[1].first_us - cut_us, 6200000, 6230000);
}

static void a_one_way_cut_lets_the_other_way_pass(void **state)
{
    (void)state;
    connect_peers();
    let(50000);
    act("cut n2 -> n1");
    uint64_t sent = send_pieces(20);
    let(50000);
    assert_int_equal(bench.peers[1].received, sent);
}

static void a_stall_ends_with_all_bytes_at_once(void **state)
{
    (void)state;
    connect_peers();
    let(50000);
    act("stall n1 -> n2 for 800ms");
    int64_t stall_us = shoal_world_now(bench.world);
    uint64_t sent = send_pieces(20);
    let(2000000);
    assert_int_equal(bench.peers[1].received, sent);
    assert_in_range(bench.peers[1].first_us - stall_us, 800000, 813000);
    assert_in_range(bench.peers[1].last_us - bench.peers[1].first_us, 0, 10000);
}

static void a_dead_process_refuses_and_its_peers_are_told(void **state)
{
    (void)state;
    connect_peers();
    let(50000);
    act("crash n2");
    let(20000);
    assert_int_equal(bench.peers[0].downs, 1);
    assert_int_equal(bench.peers[0].error, SHOAL_ERR_RESET);
    bench.peers[0].ups = 0;
    connect_peers();
    let(30000);
    assert_int_equal(bench.peers[0].downs, 2);
    assert_int_equal(bench.peers[0].error, SHOAL_ERR_REFUSED);
}

static void a_dark_host_says_nothing_until_it_is_back(void **state)
{
    (void)state;
    connect_peers();
    let(50000);
    act("crash n2 power");
    send_pieces(5);
    let(30000000);
    assert_int_equal(bench.peers[0].downs, 0);
    bench.peers[1].received = 0;
    shoal_world_mount(bench.world, 1, step, &bench.peers[1]);
    let(130000000);
    assert_int_equal(bench.peers[0].downs, 1);
    assert_int_equal(bench.peers[0].error, SHOAL_ERR_RESET);
    assert_int_equal(bench.peers[1].received, 0);
}

static void connecting_to_a_dark_host_times_out_after_127_seconds(void **state)
{
    (void)state;
    act("crash n2 power");
    int64_t began = shoal_world_now(bench.world);
    connect_peers();
    let(126000000);
    assert_int_equal(bench.peers[0].downs, 0);
    let(2000000);
    assert_int_equal(bench.peers[0].downs, 1);
    assert_int_equal(bench.peers[0].error, SHOAL_ERR_TIMED_OUT);
    assert_in_range(bench.peers[0].down_us - began, 126900000, 127100000);
}

static void a_lost_syn_is_sent_again(void **state)
{
    (void)state;
    act("cut n1 | n2");
    int64_t began = shoal_world_now(bench.world);
    connect_peers();
    let(1500000);
    act("heal *");
    let(5000000);
    assert_int_equal(bench.peers[0].ups, 1);
    assert_in_range(bench.peers[0].up_us - began, 3000000, 3050000);
}

static void who_never_hears_that_he_was_accepted_gives_up_after_127_seconds(void **state)
{
    (void)state;
    connect_peers();
    for (int i = 0; i < 1000 && bench.peers[1].ups == 0; i++) let(10);
    assert_int_equal(bench.peers[1].ups, 1);
    assert_int_equal(bench.peers[0].ups, 0);
    act("cut n2 -> n1");
    let(120000000);
    assert_int_equal(bench.peers[0].downs, 0);
    let(10000000);
    assert_int_equal(bench.peers[0].downs, 1);
    assert_int_equal(bench.peers[0].error, SHOAL_ERR_TIMED_OUT);
    assert_int_equal(bench.peers[0].ups, 0);
}

static void who_was_connecting_when_connections_were_forgotten_gets_through(void **state)
{
    (void)state;
    act("cut n1 | n2");
    int64_t began = shoal_world_now(bench.world);
    connect_peers();
    let(500000);
    act("strand n1 | n2");
    act("heal *");
    let(5000000);
    assert_int_equal(bench.peers[0].ups, 1);
    assert_in_range(bench.peers[0].up_us - began, 1000000, 1050000);
    uint64_t before = bench.peers[1].received;
    uint64_t sent = send_pieces(3);
    let(1000000);
    assert_true(sent > before);
    assert_int_equal(bench.peers[1].received, sent);
    /* What is open is forgotten, and nothing comes any more. */
    act("strand n1 | n2");
    send_pieces(3);
    let(200000000);
    assert_int_equal(bench.peers[1].received, sent);
}

static void who_connects_to_an_address_that_moves_meanwhile_gives_up(void **state)
{
    (void)state;
    act("cut n1 | n2");
    connect_peers();
    let(500000);
    act("readdress n2");
    act("heal *");
    let(120000000);
    assert_int_equal(bench.peers[0].downs, 0);
    let(10000000);
    assert_int_equal(bench.peers[0].ups, 0);
    assert_int_equal(bench.peers[0].downs, 1);
}

static void a_reset_is_learned_at_both_ends(void **state)
{
    (void)state;
    connect_peers();
    let(50000);
    send_pieces(3);
    act("reset n1 | n2");
    let(1000);
    assert_int_equal(bench.peers[0].downs, 1);
    assert_int_equal(bench.peers[1].downs, 1);
    assert_int_equal(bench.peers[0].error, SHOAL_ERR_RESET);
    assert_int_equal(bench.peers[1].error, SHOAL_ERR_RESET);
}

static void a_paused_process_finds_everything_when_it_goes_on(void **state)
{
    (void)state;
    act("pause n2");
    connect_peers();
    let(50000);
    assert_int_equal(bench.peers[0].ups, 1);
    assert_int_equal(bench.peers[1].ups, 0);
    uint64_t sent = send_pieces(10);
    let(1000000);
    assert_int_equal(bench.peers[1].received, 0);
    act("resume n2");
    let(20000);
    assert_int_equal(bench.peers[1].ups, 1);
    assert_int_equal(bench.peers[1].received, sent);
    assert_false(bench.peers[1].wrong);
}

static void a_line_of_limited_rate_takes_its_time(void **state)
{
    (void)state;
    connect_peers();
    let(50000);
    act("net n1 -> n2 rate 80kbit");
    int64_t began = shoal_world_now(bench.world);
    uint64_t sent = send_pieces(100);
    let(30000000);
    assert_int_equal(bench.peers[1].received, sent);
    /* 80 kbit/s are 10,000 bytes a second. */
    int64_t expected = (int64_t)sent * 100;
    assert_in_range(bench.peers[1].last_us - began, expected, expected + 30000);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)
    const struct CMUnitTest tests[] = {
        CASE(bytes_arrive_whole_in_order_and_in_other_pieces),
        CASE(a_cut_holds_bytes_and_tells_nobody),
        CASE(a_one_way_cut_lets_the_other_way_pass),
        CASE(a_stall_ends_with_all_bytes_at_once),
        CASE(a_dead_process_refuses_and_its_peers_are_told),
        CASE(a_dark_host_says_nothing_until_it_is_back),
        CASE(connecting_to_a_dark_host_times_out_after_127_seconds),
        CASE(a_lost_syn_is_sent_again),
        CASE(who_never_hears_that_he_was_accepted_gives_up_after_127_seconds),
        CASE(who_was_connecting_when_connections_were_forgotten_gets_through),
        CASE(who_connects_to_an_address_that_moves_meanwhile_gives_up),
        CASE(a_reset_is_learned_at_both_ends),
        CASE(a_paused_process_finds_everything_when_it_goes_on),
        CASE(a_line_of_limited_rate_takes_its_time),
    };
    return cmocka_run_group_tests_name("sim_net", tests, NULL, NULL);
}
