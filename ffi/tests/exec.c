/*
 * What becomes of slots when a process becomes another program. `exec SEGMENT PROGRAM`: attaches, makes a lane, and becomes
 * PROGRAM with the segment alone. `exec SEGMENT`: attaches twice, and waits for a line, so that its slots can be looked at.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <hangwatch.h>

#include "check.h"

#include <string.h>
#include <unistd.h>

static hangwatch_worker_t *attached(const char *segment, const char *name)
{
    hangwatch_error_t err;
    hangwatch_worker_t *w = hangwatch_attach(segment, name, &err);
    CHECK(w != NULL, err.message);
    return w;
}

static void before(const char *segment, char *program)
{
    char *own, *args[3];
    hangwatch_worker_t *w = attached(segment, "before"), *lane;
    hangwatch_begin_job(w, "job", "model", 9);
    hangwatch_step(w, 8);
    lane = hangwatch_lane(w, "second", NULL);
    CHECK(lane != NULL, "there is room for a lane");
    printf("slot %ld, lane %ld\n", (long)hangwatch_slot(w), (long)hangwatch_slot(lane));
    fflush(stdout);
    own = (char *)malloc(strlen(segment) + 1);
    CHECK(own != NULL, "there is memory");
    args[0] = program;
    args[1] = strcpy(own, segment);
    args[2] = NULL;
    execv(program, args);
    CHECK(0, "exec returns");
}

int main(int argc, char **argv)
{
    hangwatch_worker_t *w, *other;

    CHECK(argc == 2 || argc == 3, "a segment is named");
    if (argc == 3)
        before(argv[1], argv[2]);
    w = attached(argv[1], "after");
    other = attached(argv[1], "other");
    printf("slot %ld, other %ld\n", (long)hangwatch_slot(w), (long)hangwatch_slot(other));
    fflush(stdout);
    CHECK(getchar() == '\n', "somebody has looked");
    hangwatch_detach(w);
    hangwatch_detach(other);
    return 0;
}
