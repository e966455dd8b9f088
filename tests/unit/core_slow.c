/* SPDX-License-Identifier: MIT
 *
 * Snapshots that rdb-key-save-delay slows down: a node that waits, for the time of the next key or
 * for the disk, asks for no moment that is past. A host would run it again and again.
 */
#include "support/test.h"

#include "support/core_world.h"

#include <stdio.h>
#include <string.h>

#include "core/node.h"

/* Microseconds between keys, and between two looks. */
#define DELAY_US 1000
#define STEP_US 250
/* Ticks that a look may lead to. One that hands out a key's worth walks over all slots without keys
 * in as many steps; who asks for a moment that is past goes on for ever. */
#define TICKS_MAX 100000
#define KEYS 10
/* More than may wait for the disk before a snapshot waits for it, in bytes for one and in appends
 * for another. */
#define LARGE_KEYS 60
#define LARGE 280000

/* Asks for a snapshot, and says whether it is whole. */
typedef struct kind {
    const char *line;
    bool (*is_whole)(core_world *world);
    const char *more; /* of the configuration */
} kind;

static void open_slow(core_world *world, const kind *of)
{
    char text[256];
    snprintf(text, sizeof text,
             "save \"\"\ndatabases 1\nrdbcompression no\nrepl-diskless-sync no\nrdb-key-save-delay "
             "%d\n%s",
             DELAY_US, of->more);
    core_world_open(world, 1, text);
    core_world_start(world);
    for (int i = 0; i < KEYS; i++) {
        snprintf(text, sizeof text, "SET key:%d value", i);
        assert_string_equal(core_world_ask(world, 0, text), "+OK\r\n");
    }
}

static void add_large(core_world *world)
{
    char text[64], answer[32];
    snprintf(answer, sizeof answer, ":%d\r\n", LARGE);
    for (int i = 0; i < LARGE_KEYS; i++) {
        snprintf(text, sizeof text, "SETRANGE large:%d %d x", i, LARGE - 1);
        assert_string_equal(core_world_ask(world, 0, text), answer);
    }
}

/* Lets time pass, in small steps, and counts what the node does in each. */
static void pass(core_world *world, int64_t us)
{
    for (; us > 0; us -= STEP_US) {
        int ticks = 0;
        world->now.mono_us += STEP_US;
        world->now.wall_us += STEP_US;
        for (; world->deadline_us <= world->now.mono_us && ticks <= TICKS_MAX; ticks++)
            core_world_tick(world);
        if (ticks > TICKS_MAX) fail_msg("it asks for a moment that is past");
    }
}

static void ask(core_world *world, const kind *of)
{
    core_world_send(world, 0, of->line);
    core_world_settle(world);
}

static void waits_for_keys(const kind *of)
{
    core_world world;
    open_slow(&world, of);
    ask(&world, of);
    pass(&world, (KEYS - 1) * DELAY_US);
    assert_false(of->is_whole(&world));
    pass(&world, 200 * DELAY_US);
    assert_true(of->is_whole(&world));
    core_world_close(&world);
}

static void waits_for_disk(const kind *of)
{
    core_world world;
    open_slow(&world, of);
    add_large(&world);
    ask(&world, of);
    /* By now it writes: a file that is slow to be made holds up what comes before. */
    pass(&world, DELAY_US);
    world.hold_files = true;
    pass(&world, 200 * DELAY_US);
    assert_true(world.pending_count > 0);
    assert_false(of->is_whole(&world));
    world.hold_files = false;
    core_world_settle(&world);
    pass(&world, 400 * DELAY_US);
    assert_true(of->is_whole(&world));
    core_world_close(&world);
}

/* ---- the three kinds ---- */

static bool is_saved(core_world *world)
{
    return strstr(core_world_log(world), "DB saved on disk") != NULL;
}

static bool is_sent(core_world *world)
{
    return world->node->replication.sending == SHOAL_SENDING_KEPT ||
           strstr(core_world_log(world), "succeeded") != NULL;
}

static bool is_rewritten(core_world *world)
{
    return strstr(core_world_log(world), "rewrite finished successfully") != NULL;
}

static const kind save = {"BGSAVE", is_saved, ""};
static const kind sync = {"PSYNC ? -1", is_sent, ""};
static const kind rewrite = {"BGREWRITEAOF", is_rewritten, "appendonly yes\n"};

static void a_slow_save_waits_for_its_keys_in_peace(void **state)
{
    (void)state;
    waits_for_keys(&save);
}

static void a_slow_synchronisation_waits_for_its_keys_in_peace(void **state)
{
    (void)state;
    waits_for_keys(&sync);
}

static void a_slow_rewrite_waits_for_its_keys_in_peace(void **state)
{
    (void)state;
    waits_for_keys(&rewrite);
}

static void a_slow_save_waits_for_the_disk_in_peace(void **state)
{
    (void)state;
    waits_for_disk(&save);
}

static void a_slow_synchronisation_waits_for_the_disk_in_peace(void **state)
{
    (void)state;
    waits_for_disk(&sync);
}

static void a_slow_rewrite_waits_for_the_disk_in_peace(void **state)
{
    (void)state;
    waits_for_disk(&rewrite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_save_waits_for_its_keys_in_peace),
        cmocka_unit_test(a_slow_synchronisation_waits_for_its_keys_in_peace),
        cmocka_unit_test(a_slow_rewrite_waits_for_its_keys_in_peace),
        cmocka_unit_test(a_slow_save_waits_for_the_disk_in_peace),
        cmocka_unit_test(a_slow_synchronisation_waits_for_the_disk_in_peace),
        cmocka_unit_test(a_slow_rewrite_waits_for_the_disk_in_peace),
    };
    return cmocka_run_group_tests_name("core_slow", tests, NULL, NULL);
}
