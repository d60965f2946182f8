/* Every function takes NULL and a detached worker, and does nothing. Run with no HANGWATCH_ variable set. */
#include <hangwatch.h>

#include "check.h"

#include <string.h>

static void everything_on(hangwatch_worker_t *w, const char *whom)
{
    hangwatch_job_t job = HANGWATCH_JOB_INIT;
    hangwatch_error_t err;
    hangwatch_worker_t *lane;

    CHECK(hangwatch_is_attached(w) == 0, whom);
    CHECK(hangwatch_slot(w) == -1, whom);
    hangwatch_phase(w, HANGWATCH_PHASE_LOADING);
    hangwatch_phase_total(w, HANGWATCH_PHASE_LOADING, HANGWATCH_TOTAL_UNKNOWN);
    hangwatch_enter(w, HANGWATCH_PHASE_LOADING, HANGWATCH_TOTAL_NONE);
    hangwatch_leave(w);
    hangwatch_leave(w);
    hangwatch_begin_job(w, "id", "model", 50);
    hangwatch_begin_job(w, NULL, NULL, HANGWATCH_TOTAL_NONE);
    hangwatch_begin_job_with(w, &job);
    hangwatch_begin_job_with(w, NULL);
    hangwatch_step(w, 1);
    hangwatch_step(w, 0);
    hangwatch_beat(w);
    hangwatch_step_linked(w, 1);
    hangwatch_beat_linked(w);
    hangwatch_alive(w);
    hangwatch_begin_pass(w);
    hangwatch_extend(w, UINT64_MAX);
    hangwatch_note(w, "note");
    hangwatch_note(w, NULL);
    hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
    CHECK(hangwatch_should_stop(w) == 0, whom);

    memset(&err, 0xff, sizeof err);
    CHECK(hangwatch_register_phase(w, "tiling", HANGWATCH_CLASS_WORK, 1000, &err) == HANGWATCH_PHASE_UNKNOWN, whom);
    CHECK(err.code == HANGWATCH_OK && err.message[0] == '\0', "an error that is not one is cleared");
    CHECK(hangwatch_register_phase(w, "loading", HANGWATCH_CLASS_WORK, 0, NULL) == HANGWATCH_PHASE_LOADING, whom);
    CHECK(hangwatch_register_phase(w, NULL, HANGWATCH_CLASS_WORK, 0, &err) == HANGWATCH_PHASE_UNKNOWN, whom);
    CHECK(err.code == HANGWATCH_ERROR_USAGE && err.message[0] != '\0', "a phase without a name is an error everywhere");

    memset(&err, 0xff, sizeof err);
    lane = hangwatch_lane(w, "lane", &err);
    CHECK(lane != NULL && hangwatch_is_attached(lane) == 0, "the lane of a worker that reports nowhere is detached");
    CHECK(err.code == HANGWATCH_OK && err.message[0] == '\0', "an error that is not one is cleared");
    hangwatch_detach(lane);
    lane = hangwatch_lane(w, NULL, NULL);
    hangwatch_detach(lane);

    memset(&err, 0xff, sizeof err);
    lane = hangwatch_gpu_lane(w, "gpu", 0, &err);
    CHECK(lane != NULL && hangwatch_is_attached(lane) == 0, "the GPU lane of a worker that reports nowhere is detached");
    CHECK(err.code == HANGWATCH_OK && err.message[0] == '\0', "an error that is not one is cleared");
    hangwatch_detach(lane);
    lane = hangwatch_gpu_lane(w, NULL, UINT32_MAX, NULL);
    hangwatch_detach(lane);
    hangwatch_detach(w);
}

int main(void)
{
    hangwatch_error_t err;
    hangwatch_worker_t *detached;

    everything_on(NULL, "NULL is allowed");

    memset(&err, 0xff, sizeof err);
    detached = hangwatch_attach(NULL, NULL, &err);
    CHECK(detached != NULL, "with nothing in the environment attach gives a detached worker");
    CHECK(err.code == HANGWATCH_OK && err.message[0] == '\0', "being detached is no error");
    everything_on(detached, "a detached worker is allowed");
    everything_on(hangwatch_attach(NULL, "name", NULL), "err may be NULL");

    CHECK(hangwatch_attach("/nonexistent/folder/segment", NULL, NULL) == NULL, "a failed attach is NULL, err or not");
    CHECK(strcmp(hangwatch_version(), HANGWATCH_VERSION) == 0, "header and library are of one version");
    return 0;
}
