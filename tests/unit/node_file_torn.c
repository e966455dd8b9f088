/* SPDX-License-Identifier: MIT
 *
 * Appends behind one that failed (node/files.h, shoal/host.h): the file keeps a beginning of what
 * was appended to it. A limit on the size of files plays the full disk.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "node/files.h"
#include "support/test.h"

#define LOG ((shoal_file)SHOAL_FILE_NAMED)

typedef struct scene {
    char folder[64], path[80];
    shoal_files *files;
} scene;

static void nothing(void *context)
{
    (void)context;
}

static void open_scene(scene *made)
{
    *made = (scene){0};
    snprintf(made->folder, sizeof made->folder, "/tmp/shoal-torn-XXXXXX");
    assert_non_null(mkdtemp(made->folder));
    snprintf(made->path, sizeof made->path, "%s/log", made->folder);
    const shoal_files_options options = {.directory = made->folder, .done = nothing};
    assert_int_equal(shoal_files__start(&options, &made->files), SHOAL_ERR_OK);
    shoal_files__name(made->files, LOG, shoal_slice_of("log"));
}

static void close_scene(scene *of)
{
    shoal_files__stop(of->files, true);
    (void)unlink(of->path);
    assert_int_equal(rmdir(of->folder), 0);
}

/* Files may have so many bytes from now on. */
static void limit(rlim_t bytes)
{
    struct rlimit now;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &now), 0);
    now.rlim_cur = bytes < now.rlim_max ? bytes : now.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
}

static void append(scene *of, const char *text)
{
    const shoal_file_job job = {.op = SHOAL_FILE_APPEND, .file = LOG};
    shoal_files__append(of->files, &job, shoal_slice_of(text));
    shoal_files__settle(of->files, LOG);
}

static void operate(scene *of, shoal_file_op op, uint64_t offset)
{
    const shoal_file_job job = {.op = op, .file = LOG, .tag = 1, .offset = offset};
    shoal_files__submit(of->files, &job, (shoal_slice){0});
    shoal_files__settle(of->files, LOG);
}

/* How many results say that something failed; takes them all. */
static int failures(scene *of)
{
    int count = 0;
    shoal_file_job *job = shoal_files__take(of->files);
    while (job) {
        shoal_file_job *next = job->next;
        count += job->error != SHOAL_ERR_OK;
        shoal_files__free(job);
        job = next;
    }
    return count;
}

static void expect_content(const scene *of, const char *text)
{
    char found[64] = "";
    FILE *file = fopen(of->path, "r");
    assert_non_null(file);
    size_t size = fread(found, 1, sizeof found - 1, file);
    fclose(file);
    assert_int_equal(size, strlen(text));
    assert_string_equal(found, text);
}

/* A first append that works, and one of which the disk takes a part. */
static void tear(scene *of)
{
    append(of, "first ");
    limit(8);
    append(of, "second ");
    limit(RLIM_INFINITY);
    assert_int_equal(failures(of), 1);
    expect_content(of, "first se");
}

static void nothing_follows_a_torn_append(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    tear(&of);
    append(&of, "third ");
    append(&of, "fourth ");
    assert_int_equal(failures(&of), 2);
    expect_content(&of, "first se");
    close_scene(&of);
}

static void appends_go_on_when_the_torn_end_has_been_cut(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    tear(&of);
    operate(&of, SHOAL_FILE_TRUNCATE, 6);
    append(&of, "third");
    assert_int_equal(failures(&of), 0);
    expect_content(&of, "first third");
    close_scene(&of);
}

static void appends_go_on_when_the_torn_file_has_been_removed(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    tear(&of);
    operate(&of, SHOAL_FILE_REMOVE, 0);
    append(&of, "third");
    assert_int_equal(failures(&of), 0);
    expect_content(&of, "third");
    close_scene(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_follows_a_torn_append),
        cmocka_unit_test(appends_go_on_when_the_torn_end_has_been_cut),
        cmocka_unit_test(appends_go_on_when_the_torn_file_has_been_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
