/* Steps argv[2] times in the segment argv[1], stamped or not by argv[3]. strace counts what it costs. */
#include <hangwatch.h>

#include "check.h"

#include <string.h>

int main(int argc, char **argv)
{
    hangwatch_error_t err;
    hangwatch_worker_t *w;
    uint64_t done, steps;

    CHECK(argc == 4, "segment, count and stamps are given");
    steps = strtoull(argv[2], NULL, 10);
    w = hangwatch_attach(argv[1], "steps", &err);
    CHECK(w != NULL, err.message);
    CHECK(w->clock != NULL, "this machine has a vDSO");
    if (strcmp(argv[3], "unstamped") == 0)
        w->clock = NULL;
    hangwatch_begin_job(w, "job", "model", steps);
    for (done = 1; done <= steps; done++)
        hangwatch_step(w, done);
    CHECK(steps == 0 || __atomic_load_n(&w->slot->progress, __ATOMIC_RELAXED) == steps, "every step was reported");
    hangwatch_detach(w);
    return 0;
}
