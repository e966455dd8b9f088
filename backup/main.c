/* SPDX-License-Identifier: MIT
 *
 * backup/main.c - shoal-backup: the command line, and the check of a folder.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup.h"
#include "inventory.h"
#include "progress.h"
#include "shard.h"

/* A server that says nothing for so long is gone. */
#define TIMEOUT_S 60

static const char usage[] =
    "Usage:\n"
    "  shoal-backup save HOST:PORT FOLDER       save a cluster, from any of its nodes\n"
    "  shoal-backup verify FOLDER               check a backup\n"
    "  shoal-backup restore FOLDER HOST:PORT    put a backup into a cluster of any size\n"
    "Options:\n"
    "  --user NAME       log in as NAME\n"
    "  --pass PASSWORD   with this password; better: the environment's REDISCLI_AUTH\n"
    "  --timeout SECONDS a server that says nothing for so long is gone (60)\n"
    "  --replace         restore: into a target that holds keys, over those of the same names\n"
    "  --quiet           say nothing but errors\n"
    "  --help, --version\n"
    "Exit status: 0 done, 1 failed, 2 unusable arguments, 3 the backup is damaged, 4 the target\n"
    "holds keys.\n";

static _Noreturn void misuse(const char *why)
{
    fprintf(stderr, "shoal-backup: %s\n%s", why, usage);
    exit(BACKUP_USAGE);
}

static void pass_on(void *context, uint64_t bytes)
{
    shoal_progress__add(context, bytes);
}

void shoal_backup__verify(const shoal_backup_options *options)
{
    shoal_inventory *inventory = calloc(1, sizeof *inventory);
    uint64_t bytes = 0, keys = 0;
    if (inventory == NULL) shoal_backup__die(BACKUP_FAILED, "no memory");
    shoal_inventory__read(inventory, options->folder);
    for (uint32_t i = 0; i < inventory->count; i++) bytes += inventory->shards[i].bytes;
    shoal_progress progress = shoal_progress__begin("checking", bytes, options->quiet);
    const shoal_shard_reader reader = {.progress = pass_on, .context = &progress};
    for (uint32_t i = 0; i < inventory->count; i++) {
        const shoal_shard *shard = &inventory->shards[i];
        shoal_shard met;
        shoal_shard__read(options->folder, shard, &reader, &met);
        if (met.keys != shard->keys || met.commands != shard->commands)
            shoal_backup__die(BACKUP_DAMAGED,
                              "%s holds %" PRIu64 " keys and %" PRIu64
                              " commands, not as many as were saved",
                              shard->file, met.keys, met.commands);
        keys += met.keys;
    }
    shoal_progress__end(&progress);
    shoal_progress__say(&progress, "%s is whole: %" PRIu64 " keys of %u masters, saved from %s",
                        options->folder, keys, inventory->count, inventory->source);
    free(inventory->shards);
    free(inventory);
}

/* HOST:PORT, where HOST may be an IPv6 address, in brackets or not. */
static void read_address(const char *text, shoal_backup_options *options)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
    if (size == 0 || size >= sizeof options->host || port == 0 || port > 65535 || *end != '\0')
        misuse("HOST:PORT is needed, such as 127.0.0.1:7000");
    if (text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    memcpy(options->host, text, size);
    options->host[size] = '\0';
    options->port = (uint16_t)port;
}

static void read_options(int argc, char **argv, shoal_backup_options *options)
{
    static const struct option names[] = {
        {"user", required_argument, NULL, 'u'},    {"pass", required_argument, NULL, 'a'},
        {"timeout", required_argument, NULL, 't'}, {"replace", no_argument, NULL, 'r'},
        {"quiet", no_argument, NULL, 'q'},         {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},       {NULL, 0, NULL, 0}};
    int seconds = TIMEOUT_S;
    options->login.password = getenv("REDISCLI_AUTH");
    for (int which; (which = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (which) {
        case 'u': options->login.user = optarg; break;
        case 'a': options->login.password = optarg; break;
        case 't': seconds = atoi(optarg); break;
        case 'r': options->replace = true; break;
        case 'q': options->quiet = true; break;
        case 'h': printf("%s", usage); exit(BACKUP_OK);
        case 'v': printf("shoal-backup %s\n", SHOAL_VERSION); exit(BACKUP_OK);
        default: misuse("see below");
        }
    }
    if (seconds < 1 || seconds > 86400) misuse("--timeout takes 1 to 86400 seconds");
    options->login.timeout_ms = seconds * 1000;
}

int main(int argc, char **argv)
{
    shoal_backup_options options = {.folder = NULL};
    read_options(argc, argv, &options);
    argc -= optind;
    argv += optind;
    if (argc == 3 && strcmp(argv[0], "save") == 0) {
        read_address(argv[1], &options);
        options.folder = argv[2];
        shoal_backup__save(&options);
    } else if (argc == 3 && strcmp(argv[0], "restore") == 0) {
        options.folder = argv[1];
        read_address(argv[2], &options);
        shoal_backup__restore(&options);
    } else if (argc == 2 && strcmp(argv[0], "verify") == 0) {
        options.folder = argv[1];
        shoal_backup__verify(&options);
    } else {
        misuse("a command is needed");
    }
    return BACKUP_OK;
}
