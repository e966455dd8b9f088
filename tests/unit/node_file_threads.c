/* SPDX-License-Identifier: MIT
 *
 * The queue of node/files.h with an appender and a control thread at once: jobs that wait for
 * others of their files, alone and many, are all done, and told. File threads are woken only where
 * one is needed, so what is looked for here is a job that nobody takes.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "node/files.h"
#include "support/test.h"

#define LOG ((shoal_file)SHOAL_FILE_NAMED)
#define NEXT ((shoal_file)(SHOAL_FILE_NAMED + 1))
#define LAST ((shoal_file)(SHOAL_FILE_NAMED + 2))

enum { ROUNDS = 60, GROUPS = 150, BURST_MAX = 6, PATIENCE_S = 60, LARGE = 4 << 20 };

typedef struct scene {
    char folder[64];
    shoal_files *files;
    uint32_t told;
} scene;

static void nothing(void *context)
{
    (void)context;
}

static void open_scene(scene *made)
{
    *made = (scene){0};
    snprintf(made->folder, sizeof made->folder, "/tmp/shoal-queue-XXXXXX");
    assert_non_null(mkdtemp(made->folder));
    const shoal_files_options options = {.directory = made->folder, .done = nothing};
    assert_int_equal(shoal_files__start(&options, &made->files), SHOAL_ERR_OK);
    shoal_files__name(made->files, LOG, shoal_slice_of("log"));
    shoal_files__name(made->files, NEXT, shoal_slice_of("next"));
    shoal_files__name(made->files, LAST, shoal_slice_of("last"));
}

static void close_scene(scene *of)
{
    static const char *const names[] = {"log", "next", "last"};
    char path[96];
    shoal_files__stop(of->files, true);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", of->folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(of->folder), 0);
}

static void ask(const scene *of, shoal_file_job job)
{
    job.tag = 1;
    shoal_files__submit(of->files, &job,
                        job.op == SHOAL_FILE_APPEND ? shoal_slice_of("bytes") : (shoal_slice){0});
}

/* Takes results until so many have been told in all. */
static void expect_told(scene *of, uint32_t count)
{
    time_t end = time(NULL) + PATIENCE_S;
    while (of->told < count) {
        assert_true(time(NULL) < end);
        for (shoal_file_job *job = shoal_files__take(of->files); job != NULL; of->told++) {
            shoal_file_job *done = job;
            assert_int_equal(job->error, SHOAL_ERR_OK);
            job = job->next;
            shoal_files__free(done);
        }
        (void)sched_yield();
    }
    assert_int_equal(of->told, count);
}

/* As a worker does with appendfsync always. */
static void *append_and_sync(void *argument)
{
    const scene *of = argument;
    const shoal_file_job job = {.op = SHOAL_FILE_APPEND, .file = LOG};
    for (int group = 0; group < GROUPS; group++) {
        shoal_files__append(of->files, &job, shoal_slice_of("an effect"));
        ask(of, (shoal_file_job){.op = SHOAL_FILE_SYNC, .file = LOG});
        shoal_files__append(of->files, &job, shoal_slice_of("another"));
    }
    return NULL;
}

/* The `step`-th job of a sequence in which files wait for each other. */
static shoal_file_job control_job(uint32_t step)
{
    switch (step % 6) {
    case 0: return (shoal_file_job){.op = SHOAL_FILE_APPEND, .file = NEXT};
    case 1: return (shoal_file_job){.op = SHOAL_FILE_SYNC, .file = NEXT};
    case 2: return (shoal_file_job){.op = SHOAL_FILE_RENAME, .file = NEXT, .to = LAST};
    case 3: return (shoal_file_job){.op = SHOAL_FILE_SYNC, .file = LOG};
    case 4: return (shoal_file_job){.op = SHOAL_FILE_TRUNCATE, .file = LOG};
    default: return (shoal_file_job){.op = SHOAL_FILE_REMOVE, .file = LAST};
    }
}

static void every_job_that_waits_for_others_is_done(void **state)
{
    scene of;
    uint32_t asked = 0;
    (void)state;
    open_scene(&of);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i <= round % BURST_MAX; i++) ask(&of, control_job(asked++));
        expect_told(&of, asked);
    }
    close_scene(&of);
}

static void no_job_is_left_beside_one_who_appends(void **state)
{
    scene of;
    pthread_t appender;
    uint32_t asked = 0;
    (void)state;
    open_scene(&of);
    ask(&of, (shoal_file_job){.op = SHOAL_FILE_APPEND, .file = LOG});
    expect_told(&of, 1);
    assert_int_equal(pthread_create(&appender, NULL, append_and_sync, &of), 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i <= round % BURST_MAX; i++) ask(&of, control_job(asked++));
        shoal_files__settle(of.files, LOG);
    }
    pthread_join(appender, NULL);
    expect_told(&of, 1 + asked + GROUPS);
    close_scene(&of);
}

static char large[LARGE];

static void *append_once(void *argument)
{
    const scene *of = argument;
    const shoal_file_job job = {.op = SHOAL_FILE_APPEND, .file = LOG};
    shoal_files__append(of->files, &job, (shoal_slice){large, sizeof large});
    return NULL;
}

static void who_has_appended_wakes_what_waited_for_it(void **state)
{
    scene of;
    pthread_t appender;
    (void)state;
    open_scene(&of);
    ask(&of, (shoal_file_job){.op = SHOAL_FILE_APPEND, .file = LOG});
    expect_told(&of, 1);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const struct timespec moment = {.tv_nsec = 50000 * (long)(round % 8 + 1)};
        assert_int_equal(pthread_create(&appender, NULL, append_once, &of), 0);
        (void)nanosleep(&moment, NULL);
        ask(&of, (shoal_file_job){.op = SHOAL_FILE_TRUNCATE, .file = LOG});
        pthread_join(appender, NULL);
        expect_told(&of, round + 2);
    }
    close_scene(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_that_waits_for_others_is_done),
        cmocka_unit_test(no_job_is_left_beside_one_who_appends),
        cmocka_unit_test(who_has_appended_wakes_what_waited_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
