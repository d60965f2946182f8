/* A worker that needs nothing but hangwatch.h: gcc -std=c99 -Wall -Wextra -Wpedantic -Werror -I ffi/include examples/header_only.c */
#define HANGWATCH_IMPLEMENTATION
#include <hangwatch.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Stands for a denoising step; CPU time, so that it needs no more of the C library than C99 has. */
static void work(void)
{
    clock_t end = clock() + CLOCKS_PER_SEC / 50;
    while (clock() < end)
        ;
}

int main(int argc, char **argv)
{
    uint64_t steps = 50, done, hang_at = argc > 1 ? strtoull(argv[1], NULL, 10) : 0; /* the step that never ends; 0 none */
    hangwatch_error_t err;
    hangwatch_worker_t *w = hangwatch_attach(NULL, NULL, &err);
    if (w == NULL)
        fprintf(stderr, "header_only: %s\n", err.message); /* it works on, unwatched */
    hangwatch_phase(w, HANGWATCH_PHASE_IDLE);
    hangwatch_begin_job(w, "a1b2c3d4", "stable_diffusion_xl", steps);
    for (done = 1; done <= steps && !hangwatch_should_stop(w); done++) {
        do
            work();
        while (done == hang_at);
        hangwatch_step(w, done);
    }
    hangwatch_end_job(w, done > steps ? HANGWATCH_OUTCOME_OK : HANGWATCH_OUTCOME_CANCELLED);
    hangwatch_detach(w);
    return 0;
}
