/* SPDX-License-Identifier: MIT
 *
 * A counter of visits that outlives the program: a cache on a directory, opened twice. Shows: what
 * is loaded when a disk is opened, shoal_disk_sync as the moment from which on nothing is lost, and
 * a callback for what there is to say.
 */
#include <shoal/disk.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Only what somebody should look at. */
static void say(void *context, shoal_disk_level level, const char *line)
{
    (void)context;
    if (level == SHOAL_DISK_WARNING) fprintf(stderr, "%s\n", line);
}

static shoal_disk *open_disk(const char *directory)
{
    shoal_cache_options cache = shoal_cache_options_default();
    shoal_disk_options options = shoal_disk_options_default();
    shoal_disk *disk;
    cache.allocator = shoal_allocator_default();
    options.directory = directory;
    options.say = say;
    shoal_err error = shoal_disk_open(&cache, &options, &disk);
    if (error == 0) return disk;
    fprintf(stderr, "%s: %s\n", directory, shoal_err_text(error));
    exit(1);
}

/* Counts visits of a page. With one thread a write finds another one in its way only while the
 * files are rewritten; then it is tried again. */
static int64_t visit(shoal_cache_thread *me, const char *page)
{
    int64_t sum = 0;
    shoal_err error;
    do {
        shoal_cache_enter(me, shoal_time_now());
        error = shoal_cache_increment(me, shoal_slice_of(page), 1, &sum);
        shoal_cache_leave(me);
    } while (error == SHOAL_ERR_BUSY);
    if (error != 0) printf("%s is not counted: %s\n", page, shoal_err_text(error));
    return sum;
}

static void count_some(const char *directory)
{
    shoal_disk *disk = open_disk(directory);
    shoal_cache *cache = shoal_disk_cache(disk);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_stats stats;
    shoal_cache_stats_get(cache, &stats);
    printf("%" PRIu64 " pages were there\n", stats.keys);
    (void)visit(me, "/index");
    (void)visit(me, "/about");
    printf("/index has been seen %" PRId64 " times\n", visit(me, "/index"));
    /* From here on the power may fail. */
    if (shoal_disk_sync(disk) != 0) printf("not safe yet\n");
    shoal_err error = shoal_disk_close(disk);
    if (error != 0) printf("not everything is on the disk: %s\n", shoal_err_text(error));
}

int main(int argc, char **argv)
{
    char made[] = "/tmp/shoal-visits-XXXXXX", command[64];
    const char *directory = argc > 1 ? argv[1] : mkdtemp(made);
    if (directory == NULL) return 1;
    count_some(directory);
    count_some(directory);
    if (argc > 1) return 0;
    snprintf(command, sizeof command, "rm -r %s", made);
    return system(command);
}
