/* SPDX-License-Identifier: MIT
 *
 * node/names.h: a small table under a mutex. The thread looks at what is wanted, asks the system's
 * resolver without the mutex, and writes down the answer. The table is shared by its owner and the
 * thread; who leaves last frees it.
 */
#include "names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/assert.h"

#define NAMES_MAX 64 /* chosen: more seeds than anybody writes; the oldest makes room */
#define FRESH_S 2    /* chosen: pods come back within seconds */

/* One name. */
typedef struct name_entry {
    char name[sizeof(((shoal_address *)0)->ip)];
    char ip[sizeof(((shoal_address *)0)->ip)]; /* "" not known */
    time_t asked;                              /* monotonic, of the last answer; 0 never */
    bool wanted;
} name_entry;

struct shoal_names {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t work;
    name_entry entries[NAMES_MAX];
    int next; /* makes room */
    bool started, stop;
    int users; /* the owner and the thread */
};

static time_t seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1;
}

static bool is_numeric(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1 ||
           strchr(text, '%') != NULL;
}

/* The first address of a name; false when there is none. */
static bool look_up(const char *name, char *ip, size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *list = NULL;
    if (getaddrinfo(name, NULL, &hints, &list) != 0) return false;
    bool found = false;
    /* IPv4 first: a node listens to it wherever it listens at all. */
    for (int pass = 0; pass < 2 && !found; pass++) {
        int family = pass == 0 ? AF_INET : AF_INET6;
        for (struct addrinfo *each = list; each != NULL && !found; each = each->ai_next) {
            if (each->ai_family != family) continue;
            found = getnameinfo(each->ai_addr, each->ai_addrlen, ip, (socklen_t)size, NULL, 0,
                                NI_NUMERICHOST) == 0;
        }
    }
    freeaddrinfo(list);
    return found;
}

/* Under the lock: leaves, and frees the table when nobody is left. */
static void leave(shoal_names *names)
{
    SHOAL_ASSERT(names->users > 0);
    bool last = --names->users == 0;
    pthread_mutex_unlock(&names->lock);
    if (!last) return;
    pthread_cond_destroy(&names->work);
    pthread_mutex_destroy(&names->lock);
    free(names);
}

static name_entry *find_wanted(shoal_names *names)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        if (names->entries[i].wanted) return &names->entries[i];
    }
    return NULL;
}

static void *run(void *argument)
{
    shoal_names *names = argument;
    pthread_mutex_lock(&names->lock);
    while (!names->stop) {
        name_entry *entry = find_wanted(names);
        if (entry == NULL) {
            pthread_cond_wait(&names->work, &names->lock);
            continue;
        }
        name_entry answer = *entry;
        pthread_mutex_unlock(&names->lock);
        bool found = look_up(answer.name, answer.ip, sizeof answer.ip);
        pthread_mutex_lock(&names->lock);
        /* It may have made room for another name meanwhile. */
        if (strcmp(entry->name, answer.name) != 0) continue;
        if (found) memcpy(entry->ip, answer.ip, sizeof entry->ip);
        entry->asked = seconds();
        entry->wanted = false;
    }
    leave(names);
    return NULL;
}

shoal_names *shoal_names__create(void)
{
    shoal_names *names = calloc(1, sizeof *names);
    if (names == NULL) return NULL;
    pthread_mutex_init(&names->lock, NULL);
    pthread_cond_init(&names->work, NULL);
    names->users = 1;
    return names;
}

void shoal_names__destroy(shoal_names *names)
{
    if (names == NULL) return;
    pthread_mutex_lock(&names->lock);
    names->stop = true;
    pthread_cond_signal(&names->work);
    leave(names);
}

/* Under the lock. */
static name_entry *entry_of(shoal_names *names, const char *name)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        if (strcmp(names->entries[i].name, name) == 0) return &names->entries[i];
    }
    name_entry *entry = &names->entries[names->next];
    names->next = (names->next + 1) % NAMES_MAX;
    memset(entry, 0, sizeof *entry);
    memcpy(entry->name, name, strlen(name));
    return entry;
}

/* Under the lock: wakes the thread, which there may not be yet. */
static void wake(shoal_names *names)
{
    pthread_t thread;
    pthread_cond_signal(&names->work);
    if (names->started) return;
    names->users++;
    names->started = pthread_create(&thread, NULL, run, names) == 0;
    if (!names->started) {
        names->users--;
        return;
    }
    pthread_setname_np(thread, "shoal-names");
    pthread_detach(thread);
}

bool shoal_names__resolve(shoal_names *names, shoal_address *address)
{
    SHOAL_ASSERT(address->ip[sizeof address->ip - 1] == 0);
    if (names == NULL || is_numeric(address->ip)) return true;
    pthread_mutex_lock(&names->lock);
    name_entry *entry = entry_of(names, address->ip);
    if (entry->asked == 0 || seconds() - entry->asked >= FRESH_S) {
        entry->wanted = true;
        wake(names);
    }
    bool known = entry->ip[0] != 0;
    if (known) memcpy(address->ip, entry->ip, sizeof address->ip);
    pthread_mutex_unlock(&names->lock);
    return known;
}
