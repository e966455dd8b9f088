/* SPDX-License-Identifier: MIT
 *
 * How large files go to the disk, and how they go away (node/file_ops.h, node/files.h): a piece at
 * a time, which nobody who looks at a file can see; and never on the thread that binds a number
 * anew.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "node/file_ops.h"
#include "node/files.h"
#include "support/test.h"

#define LOG ((shoal_file)SHOAL_FILE_NAMED)
#define BLOCK ((size_t)300000)
#define BLOCKS 17u
#define HELD 3u

typedef struct scene {
    char folder[64], path[80], other[80];
    char *block;
    shoal_file_role role;
} scene;

static void open_scene(scene *made)
{
    *made = (scene){.role = {.name = made->path, .descriptor = -1}};
    snprintf(made->folder, sizeof made->folder, "/tmp/shoal-leaving-XXXXXX");
    assert_non_null(mkdtemp(made->folder));
    snprintf(made->path, sizeof made->path, "%s/log", made->folder);
    snprintf(made->other, sizeof made->other, "%s/other", made->folder);
    made->block = malloc(BLOCK);
    assert_non_null(made->block);
}

static void close_scene(scene *of)
{
    free(of->block);
    (void)unlink(of->path);
    (void)unlink(of->other);
    assert_int_equal(rmdir(of->folder), 0);
}

static int open_role(scene *of)
{
    of->role.descriptor = shoal_file_op__open(&of->role);
    assert_true(of->role.descriptor >= 0);
    return of->role.descriptor;
}

/* Appends so many blocks as a job does, each of a letter of its own. */
static void append(scene *of, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < from + count; i++) {
        memset(of->block, 'a' + (int)(i % 26), BLOCK);
        shoal_slice bytes = {of->block, BLOCK};
        assert_int_equal(shoal_file_op__write(of->role.descriptor, bytes), SHOAL_ERR_OK);
        shoal_file_op__push(&of->role, of->role.descriptor, BLOCK);
    }
}

/* The blocks are what was appended, and there are so many. */
static void expect_blocks(const scene *of, int descriptor, uint32_t count)
{
    struct stat status;
    assert_int_equal(fstat(descriptor, &status), 0);
    assert_int_equal(status.st_size, count * BLOCK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(pread(descriptor, of->block, BLOCK, (off_t)(i * BLOCK)), BLOCK);
        for (size_t at = 0; at < BLOCK; at++)
            if (of->block[at] != 'a' + (int)(i % 26)) fail_msg("block %u, byte %zu", i, at);
    }
}

static void make_large(scene *of)
{
    int descriptor = open_role(of);
    append(of, 0, BLOCKS);
    assert_int_equal(shoal_file_op__sync(&of->role, descriptor), SHOAL_ERR_OK);
    close(descriptor);
    of->role.descriptor = -1;
}

static void pieces_that_go_to_the_disk_leave_the_bytes_as_they_are(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    int descriptor = open_role(&of);
    append(&of, 0, BLOCKS);
    assert_true(of.role.pushed > 0);
    assert_true(of.role.pushed <= BLOCKS * BLOCK);
    assert_int_equal(shoal_file_op__sync(&of.role, descriptor), SHOAL_ERR_OK);
    assert_int_equal(shoal_file_op__truncate(&of.role, 2 * BLOCK), SHOAL_ERR_OK);
    assert_true(of.role.pushed <= 2 * BLOCK);
    append(&of, 2, BLOCKS);
    assert_int_equal(shoal_file_op__sync(&of.role, descriptor), SHOAL_ERR_OK);
    close(descriptor);
    int reader = open(of.path, O_RDONLY);
    expect_blocks(&of, reader, BLOCKS + 2);
    close(reader);
    close_scene(&of);
}

static void a_removed_file_is_gone(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    make_large(&of);
    assert_int_equal(shoal_file_op__remove(&of.role), SHOAL_ERR_OK);
    assert_int_not_equal(access(of.path, F_OK), 0);
    assert_int_equal(shoal_file_op__remove(&of.role), SHOAL_ERR_OK);
    close_scene(&of);
}

static void a_removed_file_stays_whole_for_who_has_it_open(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    make_large(&of);
    int reader = open(of.path, O_RDONLY);
    assert_int_equal(shoal_file_op__remove(&of.role), SHOAL_ERR_OK);
    expect_blocks(&of, reader, BLOCKS);
    close(reader);
    close_scene(&of);
}

static void a_removed_file_stays_whole_under_another_name(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    make_large(&of);
    assert_int_equal(link(of.path, of.other), 0);
    assert_int_equal(shoal_file_op__remove(&of.role), SHOAL_ERR_OK);
    int reader = open(of.other, O_RDONLY);
    expect_blocks(&of, reader, BLOCKS);
    close(reader);
    close_scene(&of);
}

/* ---- the queue ---- */

static void nothing(void *context)
{
    (void)context;
}

/* A scene, and files in its folder. */
static shoal_files *open_files(scene *made)
{
    shoal_files *files;
    open_scene(made);
    const shoal_files_options options = {.directory = made->folder, .done = nothing};
    assert_int_equal(shoal_files__start(&options, &files), SHOAL_ERR_OK);
    return files;
}

/* How many descriptors of this process are of files in the folder. */
static uint32_t descriptors_in(const char *folder)
{
    uint32_t count = 0;
    DIR *all = opendir("/proc/self/fd");
    assert_non_null(all);
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
        char target[256];
        ssize_t size = readlinkat(dirfd(all), entry->d_name, target, sizeof target - 1);
        target[size > 0 ? size : 0] = '\0';
        count += strncmp(target, folder, strlen(folder)) == 0;
    }
    closedir(all);
    return count;
}

static void a_number_that_is_bound_to_nothing_lets_its_file_go(void **state)
{
    scene of;
    const shoal_file_job job = {.op = SHOAL_FILE_APPEND, .file = LOG};
    (void)state;
    shoal_files *files = open_files(&of);
    for (int round = 0; round < 3; round++) {
        shoal_files__name(files, LOG, shoal_slice_of("log"));
        shoal_files__append(files, &job, shoal_slice_of("bytes"));
        shoal_files__settle(files, LOG);
        assert_int_equal(descriptors_in(of.folder), 1);
        shoal_files__name(files, LOG, (shoal_slice){0});
        /* Jobs of one number are done in order; this one fails behind the closing. */
        shoal_files__append(files, &job, shoal_slice_of("bytes"));
        shoal_files__settle(files, LOG);
        assert_int_equal(descriptors_in(of.folder), 0);
    }
    shoal_files__stop(files, true);
    close_scene(&of);
}

static void files_that_were_left_are_closed_when_all_ends(void **state)
{
    scene of;
    const shoal_file_job job = {.op = SHOAL_FILE_APPEND, .file = LOG};
    (void)state;
    shoal_files *files = open_files(&of);
    shoal_files__name(files, LOG, shoal_slice_of("log"));
    shoal_files__append(files, &job, shoal_slice_of("bytes"));
    shoal_files__settle(files, LOG);
    shoal_files__name(files, LOG, shoal_slice_of("other"));
    shoal_files__stop(files, false);
    assert_int_equal(descriptors_in(of.folder), 0);
    close_scene(&of);
}

/* Opens the reading end of each pipe: who waits to write there, or comes to it later, goes on. */
static void let_go(const scene *of, int readers[HELD])
{
    for (uint32_t i = 0; i < HELD; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/pipe%u", of->folder, i);
        readers[i] = open(path, O_RDONLY | O_NONBLOCK);
        assert_true(readers[i] >= 0);
    }
}

/* Once no writer is left: one who came behind this would make a file of the pipe's name. */
static void remove_pipes(const scene *of, const int readers[HELD])
{
    for (uint32_t i = 0; i < HELD; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/pipe%u", of->folder, i);
        assert_int_equal(unlink(path), 0);
        close(readers[i]);
    }
}

/* Whoever opens a pipe to write waits until it is read, as one does for a disk that is slow. */
static void three_files_that_are_held_up_hold_up_no_other(void **state)
{
    scene of;
    int readers[HELD];
    (void)state;
    shoal_files *files = open_files(&of);
    for (uint32_t i = 0; i < HELD; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/pipe%u", of.folder, i);
        assert_int_equal(mkfifo(path, 0600), 0);
        snprintf(path, sizeof path, "pipe%u", i);
        shoal_files__name(files, LOG + 1 + i, shoal_text(path));
        const shoal_file_job job = {.op = SHOAL_FILE_APPEND, .file = LOG + 1 + i, .tag = 1};
        shoal_files__submit(files, &job, shoal_slice_of("held"));
    }
    shoal_files__name(files, LOG, shoal_slice_of("log"));
    const shoal_file_job append = {.op = SHOAL_FILE_APPEND, .file = LOG, .tag = 2};
    shoal_files__submit(files, &append, shoal_slice_of("bytes"));
    shoal_files__settle(files, LOG);
    shoal_file_job *done = shoal_files__take(files);
    assert_non_null(done);
    assert_int_equal(done->tag, 2);
    assert_null(done->next);
    shoal_files__free(done);
    let_go(&of, readers);
    shoal_files__stop(files, true);
    remove_pipes(&of, readers);
    close_scene(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_that_go_to_the_disk_leave_the_bytes_as_they_are),
        cmocka_unit_test(a_removed_file_is_gone),
        cmocka_unit_test(a_removed_file_stays_whole_for_who_has_it_open),
        cmocka_unit_test(a_removed_file_stays_whole_under_another_name),
        cmocka_unit_test(a_number_that_is_bound_to_nothing_lets_its_file_go),
        cmocka_unit_test(files_that_were_left_are_closed_when_all_ends),
        cmocka_unit_test(three_files_that_are_held_up_hold_up_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
