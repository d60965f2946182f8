/*
 * Where memory or descriptors run out at any moment, the header-only form says so and leaves nothing behind. argv[1] is a folder
 * of the test's own. Its allocator is one that refuses after a number of calls.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

static int left = 1 << 30; /* allocations that succeed */
static int refused = 0;    /* allocations that did not */

static int allowed(void)
{
    refused += left <= 0;
    return left-- > 0;
}

static void *scarce_malloc(size_t size)
{
    return allowed() ? malloc(size) : NULL;
}

static void *scarce_calloc(size_t count, size_t size)
{
    return allowed() ? calloc(count, size) : NULL;
}

static void *scarce_realloc(void *old, size_t size)
{
    return allowed() ? realloc(old, size) : NULL;
}

#define malloc scarce_malloc
#define calloc scarce_calloc
#define realloc scarce_realloc
#ifndef HANGWATCH_IMPLEMENTATION
#define HANGWATCH_IMPLEMENTATION
#endif
#include <hangwatch.h>
#undef malloc
#undef calloc
#undef realloc

static int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    CHECK(dir != NULL, "/proc is there");
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* One life, whatever fails in it: how many of its three calls did. */
static int life(const char *segment)
{
    hangwatch_error_t err;
    hangwatch_worker_t *w, *lane;
    int failed = 0;
    w = hangwatch_attach(segment, "scarce", &err);
    if (w == NULL) {
        failed++;
        CHECK(err.code == HANGWATCH_ERROR_SYSTEM && err.message[0] != '\0', err.message);
    }
    lane = hangwatch_lane(w, "lane", &err);
    failed += lane == NULL;
    CHECK((lane == NULL) == (err.code != HANGWATCH_OK), err.message);
    hangwatch_begin_job(w, "job", "model", 2);
    hangwatch_step(w, 1);
    hangwatch_step(lane, 1);
    hangwatch_note(w, "note");
    hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
    (void)hangwatch_register_phase(w, "tiling", HANGWATCH_CLASS_WORK, 1, &err);
    hangwatch_detach(lane);
    hangwatch_detach(w);
    return failed;
}

int main(int argc, char **argv)
{
    char segment[4096];
    struct rlimit limit, low;
    int n, open_before, failures = 0;

    CHECK(argc == 2 && strlen(argv[1]) < sizeof segment - 8, "a folder is named");
    strcpy(segment, argv[1]);
    strcat(segment, "/s");
    /* The canary and the table of locks, which are kept for ever. */
    CHECK(life(segment) == 0, "where there is enough all is well");
    open_before = descriptors();

    for (n = 0; n < 40; n++) {
        /* Absent at first, then there. */
        if (n % 2 == 0)
            unlink(segment);
        left = n / 2;
        refused = 0;
        failures += life(segment);
        left = 1 << 30;
        CHECK(descriptors() == open_before, "no descriptor is left open");
    }
    CHECK(refused == 0, "at last all of them succeeded");
    CHECK(failures > 10, "and at first they did not");

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0, "there is a limit");
    for (failures = 0, n = 3; n < 16; n++) {
        unlink(segment);
        low = limit;
        low.rlim_cur = (rlim_t)n;
        CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0, "it may be lowered");
        failures += life(segment);
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0, "and raised again");
        CHECK(descriptors() == open_before, "no descriptor is left open");
    }
    CHECK(failures > 0, "without descriptors nothing is attached");
    CHECK(life(segment) == 0, "what was refused has done no harm");
    return 0;
}
