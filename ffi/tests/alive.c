/* Helper threads say alive beside the working one, and two threads attach, lane and detach at once. argv[1] is the segment. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <hangwatch.h>

#include "check.h"

#include <pthread.h>

enum { HELPERS = 2, TIMES = 20000, LIVES = 50 };

static const char *segment;

static void *helper(void *of)
{
    hangwatch_worker_t *w = (hangwatch_worker_t *)of;
    int i;
    for (i = 0; i < TIMES; i++)
        hangwatch_alive(w);
    return NULL;
}

/* Lives of workers on two threads: the canary, the segment and the table of locks are shared between them. */
static void *lives(void *unused)
{
    int i;
    (void)unused;
    for (i = 0; i < LIVES; i++) {
        hangwatch_error_t err;
        hangwatch_worker_t *w = hangwatch_attach(segment, "life", &err), *lane;
        CHECK(w != NULL, err.message);
        lane = hangwatch_lane(w, "lane", &err);
        CHECK(lane != NULL, err.message);
        CHECK(hangwatch_register_phase(w, "tiling", HANGWATCH_CLASS_WORK, 1000, &err) == 256, err.message);
        hangwatch_step(lane, 1);
        hangwatch_detach(w);
        hangwatch_step(lane, 2);
        hangwatch_detach(lane);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    hangwatch_error_t err;
    hangwatch_worker_t *w;
    pthread_t thread[HELPERS];
    uint64_t done;
    int i;

    CHECK(argc == 2, "a segment is named");
    segment = argv[1];
    /* Once before the threads: two that register a name at the same moment may both get an entry for it. */
    w = hangwatch_attach(segment, "first", &err);
    CHECK(hangwatch_register_phase(w, "tiling", HANGWATCH_CLASS_WORK, 1000, &err) == 256, err.message);
    hangwatch_detach(w);
    for (i = 0; i < HELPERS; i++)
        CHECK(pthread_create(&thread[i], NULL, lives, NULL) == 0, "a thread");
    for (i = 0; i < HELPERS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0, "it ends");

    w = hangwatch_attach(segment, "working", &err);
    CHECK(w != NULL, err.message);
    for (i = 0; i < HELPERS; i++)
        CHECK(pthread_create(&thread[i], NULL, helper, w) == 0, "a thread");
    hangwatch_begin_job(w, "job", "model", TIMES);
    for (done = 1; done <= TIMES; done++)
        hangwatch_step(w, done);
    hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
    for (i = 0; i < HELPERS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0, "it ends");
    CHECK((__atomic_load_n(&w->slot->alive, __ATOMIC_RELAXED) & 0xffffffff) > TIMES, "each said so");
    hangwatch_detach(w);
    return 0;
}
