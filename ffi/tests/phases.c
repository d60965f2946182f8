/*
 * Threads with a worker each that register the same phases at the same moments, in the segment argv[1]: all of them are given the same
 * numbers, and no name has two.
 */
#include <hangwatch.h>

#include "check.h"

#include <pthread.h>

enum { THREADS = 4, NAMES = 40 }; /* of 48: a thread that is not let on for long costs an entry */

static const char *path;
static hangwatch_phase_t given[THREADS][NAMES];
static unsigned arrived; /* at names, in all */

static void *work(void *argument)
{
    hangwatch_phase_t *mine = (hangwatch_phase_t *)argument;
    hangwatch_error_t err;
    hangwatch_worker_t *w = hangwatch_attach(path, "phases", &err);
    unsigned i;
    CHECK(w != NULL && hangwatch_is_attached(w), err.message);
    for (i = 0; i < NAMES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "phase %u", i);
        /* Spinning: what wakes from sleep comes one after another. */
        __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < THREADS * (i + 1))
            ;
        mine[i] = hangwatch_register_phase(w, name, HANGWATCH_CLASS_WORK, 1000, &err);
        CHECK(err.code == HANGWATCH_OK, err.message);
    }
    hangwatch_detach(w);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    int i, j;
    CHECK(argc == 2, "a segment is named");
    path = argv[1];
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, given[i]) == 0, "a thread starts");
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0, "it ends");
    for (i = 0; i < THREADS; i++)
        for (j = 0; j < NAMES; j++)
            CHECK(given[i][j] == given[0][j], "one name is one phase, whoever asks");
    return 0;
}
