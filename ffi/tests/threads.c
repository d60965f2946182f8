/*
 * A process with a worker a thread, each in a slot of its own, for a monitor that looks on: one thread works, one stands still in
 * the middle of its job, one has ended and left its job open. Says its line once all have reported; runs until it is killed.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* for nanosleep, not for hangwatch.h */
#endif
#include <hangwatch.h>

#include "check.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void pass(void)
{
    struct timespec time;
    time.tv_sec = 0;
    time.tv_nsec = 20 * 1000000;
    nanosleep(&time, NULL);
}

static void *work(void *name)
{
    hangwatch_error_t err;
    hangwatch_worker_t *w = hangwatch_attach(NULL, (const char *)name, &err);
    uint64_t done;
    CHECK(w != NULL && hangwatch_is_attached(w), err.message);
    hangwatch_begin_job(w, (const char *)name, "model", HANGWATCH_TOTAL_UNKNOWN);
    hangwatch_step(w, 1);
    if (strcmp((const char *)name, "gone") == 0)
        return NULL; /* without a detach */
    for (done = 2; strcmp((const char *)name, "works") == 0; done++) {
        hangwatch_step(w, done);
        pass();
    }
    for (;;)
        pause();
}

int main(void)
{
    static char names[3][6] = {"works", "hangs", "gone"};
    pthread_t threads[3];
    int i;
    for (i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, work, names[i]) == 0, "a thread starts");
    CHECK(pthread_join(threads[2], NULL) == 0, "the last one ends");
    printf("threads: pid %ld\n", (long)getpid());
    fflush(stdout);
    for (;;)
        pause();
}
