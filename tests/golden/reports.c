/*
 * The reports of golden_bytes.rs, in C: a program of any architecture that the header compiles for makes them into the segment that
 * HANGWATCH_SEGMENT names. It is compiled with -DHANGWATCH_IMPLEMENTATION: nothing is linked.
 */
#include "hangwatch.h"

#include <stdio.h>

static int failed(const char *what, const hangwatch_error_t *err)
{
    fprintf(stderr, "%s: %s\n", what, err->message);
    return 1;
}

int main(void)
{
    hangwatch_error_t err;
    hangwatch_job_t job = HANGWATCH_JOB_INIT;
    hangwatch_worker_t *w = hangwatch_attach(NULL, "sd-0", &err);
    hangwatch_worker_t *lane;
    hangwatch_phase_t upscale;
    int i;

    if (w == NULL || !hangwatch_is_attached(w))
        return failed("attach", &err);
    lane = hangwatch_lane(w, "hires", &err);
    if (lane == NULL)
        return failed("lane", &err);

    job.id = "a1b2c3d4-e5f6-7890";
    job.model = "stable_diffusion_xl";
    job.total = 50;
    job.batch = 2;
    job.size = 1 << 20;
    job.deadline_ms = 90000;
    job.device = 3;
    hangwatch_begin_job_with(w, &job);
    hangwatch_step(w, 12);
    hangwatch_step(w, 11);
    upscale = hangwatch_register_phase(w, "upscale", HANGWATCH_CLASS_WORK, 30000, &err);
    if (upscale == HANGWATCH_PHASE_UNKNOWN)
        return failed("register_phase", &err);
    hangwatch_phase_total(w, upscale, 9);
    hangwatch_step(w, 4);
    hangwatch_note(w, "tile 4 of 9: Gr\xc3\xb6\xc3\x9f" "e 2\xc3\x97");
    hangwatch_extend(w, 30500);
    hangwatch_alive(w);
    hangwatch_alive(w);

    for (i = 0; i < 6; i++) {
        hangwatch_begin_job(lane, "short", "llama", HANGWATCH_TOTAL_NONE);
        hangwatch_end_job(lane, i < 3 ? HANGWATCH_OUTCOME_OK : i < 5 ? HANGWATCH_OUTCOME_FAILED : HANGWATCH_OUTCOME_CANCELLED);
    }
    hangwatch_begin_job(lane, "decode", "llama", HANGWATCH_TOTAL_UNKNOWN);
    hangwatch_step(lane, 100);
    hangwatch_begin_pass(lane);
    hangwatch_step(lane, 7);
    /* Not detached: the slots stay as they are, for whoever reads the file. */
    return 0;
}
