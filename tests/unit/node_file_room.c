/* SPDX-License-Identifier: MIT
 *
 * Room that large files are given ahead of their bytes (node/file_ops.h): their size, and so what
 * is read, is what was written; and nothing of it is left behind. A file system that knows no room
 * gives none: then only the sizes are looked at.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/file_ops.h"
#include "support/test.h"

#define MIB ((size_t)1 << 20)

typedef struct scene {
    char folder[64], path[80];
    char *block; /* a MiB */
    shoal_file_role role;
} scene;

static void open_scene(scene *made)
{
    *made = (scene){.role = {.name = made->path, .descriptor = -1}};
    snprintf(made->folder, sizeof made->folder, "/tmp/shoal-room-XXXXXX");
    assert_non_null(mkdtemp(made->folder));
    snprintf(made->path, sizeof made->path, "%s/file", made->folder);
    made->block = malloc(MIB);
    assert_non_null(made->block);
    memset(made->block, 'x', MIB);
}

static void close_scene(scene *of)
{
    free(of->block);
    assert_int_equal(unlink(of->path), 0);
    assert_int_equal(rmdir(of->folder), 0);
}

static void append(scene *of, size_t mib)
{
    for (size_t i = 0; i < mib; i++)
        assert_int_equal(shoal_file_op__write(of->role.descriptor, (shoal_slice){of->block, MIB}),
                         0);
}

static struct stat facts(const scene *of)
{
    struct stat found;
    assert_int_equal(stat(of->path, &found), 0);
    return found;
}

static uint64_t on_disk(const scene *of)
{
    return (uint64_t)facts(of).st_blocks * 512;
}

/* Opens, writes and syncs; true where the file system has given room. */
static bool make_large(scene *of)
{
    of->role.descriptor = shoal_file_op__open(&of->role);
    assert_true(of->role.descriptor >= 0);
    append(of, 20);
    assert_int_equal(shoal_file_op__sync(&of->role, of->role.descriptor), 0);
    assert_int_equal(facts(of).st_size, 20 * MIB);
    return of->role.room > 0;
}

static void room_lies_beyond_the_end_and_is_given_back(void **state)
{
    (void)state;
    scene of;
    open_scene(&of);
    if (make_large(&of)) {
        assert_true(of.role.room > 20 * MIB);
        assert_true(on_disk(&of) >= of.role.room);
    }
    append(&of, 1);
    assert_int_equal(shoal_file_op__sync(&of.role, of.role.descriptor), 0);
    assert_int_equal(facts(&of).st_size, 21 * MIB);
    shoal_file_op__trim(&of.role, of.role.descriptor);
    assert_int_equal(of.role.room, 0);
    assert_int_equal(facts(&of).st_size, 21 * MIB);
    assert_true(on_disk(&of) < 22 * MIB);
    close(of.role.descriptor);
    close_scene(&of);
}

static void small_files_get_none(void **state)
{
    (void)state;
    scene of;
    open_scene(&of);
    of.role.descriptor = shoal_file_op__open(&of.role);
    assert_true(of.role.descriptor >= 0);
    append(&of, 2);
    assert_int_equal(shoal_file_op__sync(&of.role, of.role.descriptor), 0);
    assert_int_equal(of.role.room, 0);
    assert_true(on_disk(&of) < 3 * MIB);
    close(of.role.descriptor);
    close_scene(&of);
}

static void what_a_dead_process_left_goes_when_the_file_is_opened(void **state)
{
    (void)state;
    scene of;
    open_scene(&of);
    (void)make_large(&of);
    close(of.role.descriptor); /* as the end of the process does */
    of.role = (shoal_file_role){.name = of.path, .descriptor = -1};
    of.role.descriptor = shoal_file_op__open(&of.role);
    assert_true(of.role.descriptor >= 0);
    assert_int_equal(facts(&of).st_size, 20 * MIB);
    assert_true(on_disk(&of) < 21 * MIB);
    close(of.role.descriptor);
    close_scene(&of);
}

static void a_cut_takes_the_room_and_it_may_be_asked_for_again(void **state)
{
    (void)state;
    scene of;
    open_scene(&of);
    bool has = make_large(&of);
    assert_int_equal(shoal_file_op__truncate(&of.role, 18 * MIB), 0);
    assert_int_equal(of.role.room, 0);
    assert_true(on_disk(&of) < 19 * MIB);
    append(&of, 1);
    assert_int_equal(shoal_file_op__sync(&of.role, of.role.descriptor), 0);
    assert_int_equal(facts(&of).st_size, 19 * MIB);
    assert_int_equal(of.role.room > 19 * MIB, has);
    shoal_file_op__trim(&of.role, of.role.descriptor);
    close(of.role.descriptor);
    close_scene(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_lies_beyond_the_end_and_is_given_back),
        cmocka_unit_test(small_files_get_none),
        cmocka_unit_test(what_a_dead_process_left_goes_when_the_file_is_opened),
        cmocka_unit_test(a_cut_takes_the_room_and_it_may_be_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
