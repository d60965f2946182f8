/* errno is the host's: no call changes it, whether it works, fails, or does nothing. argv[1] is the segment. */
#include <hangwatch.h>

#include "check.h"

#include <errno.h>

enum { OF_THE_HOST = 4242 };

#define KEEPS(call)                                                     \
    do {                                                                \
        errno = OF_THE_HOST;                                            \
        call;                                                           \
        CHECK(errno == OF_THE_HOST, "errno is left as it was: " #call); \
    } while (0)

static void reports(hangwatch_worker_t *w)
{
    hangwatch_error_t err;
    hangwatch_worker_t *lane = NULL;
    KEEPS((void)hangwatch_is_attached(w));
    KEEPS((void)hangwatch_slot(w));
    KEEPS(hangwatch_phase(w, HANGWATCH_PHASE_LOADING));
    KEEPS(hangwatch_enter(w, HANGWATCH_PHASE_COMPILING, 5));
    KEEPS(hangwatch_leave(w));
    KEEPS((void)hangwatch_register_phase(w, "tiling", HANGWATCH_CLASS_WORK, 5, &err));
    KEEPS((void)hangwatch_register_phase(w, "", HANGWATCH_CLASS_WORK, 5, &err));
    KEEPS(hangwatch_begin_job(w, "id", "model", 50));
    KEEPS(hangwatch_step(w, 1));
    KEEPS(hangwatch_step_linked(w, 2));
    KEEPS(hangwatch_beat(w));
    KEEPS(hangwatch_alive(w));
    KEEPS(hangwatch_begin_pass(w));
    KEEPS(hangwatch_extend(w, 1000));
    KEEPS(hangwatch_note(w, "note"));
    KEEPS((void)hangwatch_should_stop(w));
    KEEPS(hangwatch_end_job(w, HANGWATCH_OUTCOME_OK));
    KEEPS(lane = hangwatch_lane(w, "lane", &err));
    KEEPS(hangwatch_detach(lane));
    KEEPS(lane = hangwatch_gpu_lane(w, "gpu", 0, &err)); /* the slots of this segment are no pages */
    KEEPS(hangwatch_detach(lane));
    KEEPS(hangwatch_detach(w));
}

int main(int argc, char **argv)
{
    hangwatch_error_t err;
    hangwatch_worker_t *w = NULL;
    CHECK(argc == 2, "a segment is named");
    KEEPS(w = hangwatch_attach(argv[1], "maker", &err));
    CHECK(w != NULL, err.message);
    reports(w);
    KEEPS(w = hangwatch_attach(argv[1], "finder", &err));
    CHECK(w != NULL, err.message);
    reports(w);
    KEEPS(w = hangwatch_attach("/nonexistent/folder/segment", NULL, &err));
    CHECK(w == NULL, "there is no such folder");
    reports(w);
    KEEPS(w = hangwatch_attach("/dev/null", NULL, NULL));
    CHECK(w == NULL, "a device is no segment");
    KEEPS(w = hangwatch_attach(NULL, NULL, &err));
    CHECK(w != NULL, err.message);
    reports(w);
    return 0;
}
