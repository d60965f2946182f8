/* A forked child's worker is dead until it attaches itself: it never touches its parent's slot. argv[1] is the segment. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <hangwatch.h>

#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = sizeof(hangwatch_slot_t) / sizeof(hangwatch_word_t) };

static void copy(uint64_t *to, const hangwatch_slot_t *slot)
{
    const hangwatch_word_t *from = &slot->beat;
    int i;
    for (i = 0; i < WORDS; i++)
        to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
}

static void child(const char *segment, hangwatch_worker_t *w, int32_t parents_slot)
{
    hangwatch_error_t err;
    hangwatch_worker_t *lane, *own;

    CHECK(hangwatch_is_attached(w) == 0, "an inherited worker is dead");
    CHECK(hangwatch_slot(w) == -1, "an inherited worker has no slot");
    hangwatch_step(w, 2);
    hangwatch_step(w, 0);
    hangwatch_beat(w);
    hangwatch_step_linked(w, 3);
    hangwatch_beat_linked(w);
    hangwatch_alive(w);
    hangwatch_note(w, "child");
    hangwatch_extend(w, 1000);
    hangwatch_phase(w, HANGWATCH_PHASE_SAFETY);
    hangwatch_begin_pass(w);
    hangwatch_end_job(w, HANGWATCH_OUTCOME_FAILED);
    hangwatch_begin_job(w, "child", "child", 1);
    lane = hangwatch_lane(w, "child", &err);
    CHECK(lane != NULL && hangwatch_is_attached(lane) == 0, "an inherited worker makes no lanes");
    hangwatch_detach(lane);
    hangwatch_detach(w);

    own = hangwatch_attach(segment, "child", &err);
    CHECK(own != NULL, err.message);
    CHECK(hangwatch_is_attached(own) == 1, "a child may attach itself");
    CHECK(hangwatch_slot(own) != parents_slot, "a child's slot is its own");
    hangwatch_step(own, 1);
    hangwatch_detach(own);
    exit(0);
}

int main(int argc, char **argv)
{
    hangwatch_error_t err;
    hangwatch_worker_t *w;
    uint64_t before[WORDS], after[WORDS];
    int status = -1, i;
    int32_t slot;
    pid_t pid;

    CHECK(argc == 2, "a segment is named");
    w = hangwatch_attach(argv[1], "parent", &err);
    CHECK(w != NULL, err.message);
    hangwatch_begin_job(w, "parent", "m", 50);
    hangwatch_step(w, 1);
    slot = hangwatch_slot(w);
    copy(before, w->slot);
    pid = fork();
    CHECK(pid >= 0, "fork works");
    if (pid == 0)
        child(argv[1], w, slot);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child is content");
    copy(after, w->slot);
    for (i = 0; i < WORDS; i++)
        CHECK(before[i] == after[i], "a child leaves every word of its parent's slot as it was");
    CHECK(hangwatch_is_attached(w) == 1, "the parent goes on");
    hangwatch_step(w, 2);
    CHECK(__atomic_load_n(&w->slot->progress, __ATOMIC_RELAXED) == 2, "the parent goes on");
    hangwatch_detach(w);
    return 0;
}
