/*
 * A worker of the header alone, built with every sanitizer, attaches to the files 0, 1, … of a folder, whatever they are, and reports:
 *     worker FOLDER COUNT
 * A line a file: the code, the slot, the lane's code and slot, and the bytes of the two messages.
 */
#include "hangwatch.h"

#include <stdio.h>
#include <stdlib.h>

static void show(const hangwatch_error_t *err)
{
    const char *c;

    putchar(' ');
    putchar('-');
    for (c = err->message; *c != '\0'; c++)
        printf("%02x", (unsigned)(unsigned char)*c);
}

int main(int argc, char **argv)
{
    int i, count = argc > 2 ? atoi(argv[2]) : 0;

    for (i = 0; i < count; i++) {
        char path[512];
        hangwatch_error_t err, lane_err = {HANGWATCH_OK, ""};
        hangwatch_worker_t *w, *lane;
        hangwatch_phase_t phase;

        snprintf(path, sizeof path, "%s/%d", argv[1], i);
        w = hangwatch_attach(path, "hostile", &err);
        hangwatch_begin_job(w, "a job", "a model", 50);
        hangwatch_step(w, 3);
        hangwatch_step(w, 2);
        phase = hangwatch_register_phase(w, "upscale", HANGWATCH_CLASS_WORK, 30000, NULL);
        hangwatch_phase_total(w, phase, 9);
        hangwatch_extend(w, 1000);
        hangwatch_note(w, "a note");
        hangwatch_alive(w);
        lane = hangwatch_lane(w, "a lane", &lane_err);
        hangwatch_begin_job(lane, "another", "", HANGWATCH_TOTAL_UNKNOWN);
        hangwatch_step(lane, 7);
        printf("%d %d %d %d", (int)err.code, (int)hangwatch_slot(w), (int)lane_err.code, (int)hangwatch_slot(lane));
        hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
        hangwatch_detach(lane);
        hangwatch_detach(w);
        show(&err);
        show(&lane_err);
        putchar('\n');
    }
    return 0;
}
