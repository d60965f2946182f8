/* Events that a callback got, kept for the main thread, which waits for the one it wants. */
#ifndef TOLD_H
#define TOLD_H

#include <hangwatch_monitor.h>

#include "../../tests/check.h"

#include <dirent.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { KEPT = 256 };

/* The part of an event that tests look at. */
typedef struct said {
    hangwatch_event_t event; /* its strings are gone */
    char sentence[512], json[1024], job[72], model[104], worker[48], phase[56], clock[16], lane[32];
} said_t;

typedef struct told {
    pthread_mutex_t lock;
    pthread_cond_t more;
    said_t said[KEPT];
    int count, read;
} told_t;

static inline void copy(char *to, size_t size, const char *from)
{
    size_t length = from == NULL ? 0 : strlen(from);
    if (length >= size)
        length = size - 1;
    if (length > 0)
        memcpy(to, from, length);
    to[length] = '\0';
}

static inline void keep(const hangwatch_event_t *event, void *user_data)
{
    told_t *told = (told_t *)user_data;
    said_t *said;
    pthread_mutex_lock(&told->lock);
    CHECK(told->count < KEPT, "a test has few events");
    said = &told->said[told->count++];
    said->event = *event;
    copy(said->sentence, sizeof said->sentence, event->sentence);
    copy(said->json, sizeof said->json, event->json);
    copy(said->job, sizeof said->job, event->job);
    copy(said->model, sizeof said->model, event->model);
    copy(said->worker, sizeof said->worker, event->worker);
    copy(said->phase, sizeof said->phase, event->phase);
    copy(said->clock, sizeof said->clock, event->clock);
    copy(said->lane, sizeof said->lane, event->lane);
    pthread_cond_broadcast(&told->more);
    pthread_mutex_unlock(&told->lock);
}

/* Waits for the next event of that kind and verdict; others are passed over. It must come. */
static inline said_t await_event(told_t *told, hangwatch_event_kind_e kind, hangwatch_verdict_e verdict)
{
    said_t found;
    pthread_mutex_lock(&told->lock);
    for (;;) {
        while (told->read == told->count)
            pthread_cond_wait(&told->more, &told->lock);
        found = told->said[told->read++];
        if (found.event.kind == kind && found.event.verdict == verdict)
            break;
    }
    pthread_mutex_unlock(&told->lock);
    return found;
}

static inline void tell_init(told_t *told)
{
    memset(told, 0, sizeof *told);
    pthread_mutex_init(&told->lock, NULL);
    pthread_cond_init(&told->more, NULL);
}

static inline void breathe(void)
{
    const struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

static inline int entries(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;
    CHECK(dir != NULL, folder);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

#endif
