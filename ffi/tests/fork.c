/*
 * Children by every way that there is, and what each may do to its parent's slot: nothing. argv[1] is the segment; with argv[2]
 * the program is one of its own children after an exec.
 *
 *   fork, raw clone   the inherited worker is dead, whether glibc heard of the fork or not; an attach gives a slot of its own
 *   fork of a fork    the same in a grandchild that its parent did not wait for, as daemons do
 *   posix_spawn       another program: it has no worker, and attaches as itself
 *   vfork             shares the memory, so the worker is alive in it: it must make no call, and leave by exec or _exit
 *   exec              the process goes on as another program, whose attach takes the slot over
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for syscall and vfork, not for hangwatch.h */
#endif
#include <hangwatch.h>

#include "check.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = sizeof(hangwatch_slot_t) / sizeof(hangwatch_word_t), LIVE = 2 };

extern char **environ;
static const char *program, *segment;

static void copy(uint64_t *to, const hangwatch_slot_t *slot)
{
    const hangwatch_word_t *from = &slot->beat;
    int i;
    for (i = 0; i < WORDS; i++)
        to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
}

/* Every report through an inherited worker, and then one of its own. Ends as programs do. */
static void child(hangwatch_worker_t *w)
{
    hangwatch_error_t err;
    hangwatch_worker_t *lane, *own;

    CHECK(hangwatch_is_attached(w) == 0, "an inherited worker is dead");
    CHECK(hangwatch_slot(w) == -1, "an inherited worker has no slot");
    CHECK(hangwatch_should_stop(w) == 0, "an inherited worker is asked for nothing");
    hangwatch_step(w, 2);
    hangwatch_step(w, 0);
    hangwatch_beat(w);
    hangwatch_step_linked(w, 3);
    hangwatch_beat_linked(w);
    hangwatch_alive(w);
    hangwatch_note(w, "child");
    hangwatch_extend(w, 1000);
    hangwatch_phase(w, HANGWATCH_PHASE_SAFETY);
    hangwatch_phase_total(w, HANGWATCH_PHASE_LOADING, 5);
    hangwatch_enter(w, HANGWATCH_PHASE_LOADING, 5);
    hangwatch_leave(w);
    hangwatch_begin_pass(w);
    hangwatch_end_job(w, HANGWATCH_OUTCOME_FAILED);
    hangwatch_begin_job(w, "child", "child", 1);
    hangwatch_begin_job_with(w, NULL);
    CHECK(hangwatch_register_phase(w, "of-the-child", HANGWATCH_CLASS_WORK, 0, &err) == HANGWATCH_PHASE_UNKNOWN,
          "an inherited worker registers nothing");
    lane = hangwatch_lane(w, "child", &err);
    CHECK(lane != NULL && hangwatch_is_attached(lane) == 0, "an inherited worker makes no lanes");
    hangwatch_detach(lane);
    hangwatch_detach(w);

    own = hangwatch_attach(segment, "child", &err);
    CHECK(own != NULL, err.message);
    CHECK(hangwatch_is_attached(own) == 1, "a child may attach itself");
    CHECK(hangwatch_slot(own) != 0, "a child's slot is its own");
    hangwatch_step(own, 1);
    hangwatch_detach(own);
    exit(0);
}

static void wait_well(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) != pid)
        CHECK(errno == EINTR, "a child is waited for");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child is content");
}

static void by_fork(hangwatch_worker_t *w)
{
    pid_t pid = fork();
    if (pid == 0)
        child(w);
    wait_well(pid);
}

/* Past glibc: no handler of pthread_atfork runs. */
static void by_raw_clone(hangwatch_worker_t *w)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        child(w);
    wait_well(pid);
}

/* A grandchild that outlives its parent, in a session of its own: its end is seen by the pipe that it leaves. */
static void by_fork_of_a_fork(hangwatch_worker_t *w)
{
    int ends[2], said = 0;
    char last = 'x';
    pid_t pid;
    CHECK(pipe(ends) == 0, "a pipe");
    pid = fork();
    if (pid == 0) {
        pid_t grandchild;
        setsid();
        grandchild = fork();
        if (grandchild != 0)
            _exit(grandchild < 0);
        grandchild = fork(); /* its own child, so that it can say how that went */
        if (grandchild == 0)
            child(w);
        wait_well(grandchild);
        CHECK(write(ends[1], "!", 1) == 1, "the daemon tells its end");
        _exit(0);
    }
    wait_well(pid);
    close(ends[1]);
    while (read(ends[0], &last, 1) == 1)
        said++;
    close(ends[0]);
    CHECK(said == 1 && last == '!', "the daemon's child is content");
}

static void by_spawn(hangwatch_worker_t *w)
{
    char name[] = "fork", spawned[] = "spawned";
    char *args[4];
    pid_t pid = -1;
    (void)w;
    args[0] = name;
    args[1] = (char *)(uintptr_t)segment;
    args[2] = spawned;
    args[3] = NULL;
    CHECK(posix_spawn(&pid, program, NULL, NULL, args, environ) == 0, "posix_spawn works");
    wait_well(pid);
}

/* What a child of vfork must not do, shown for what it is: the memory is its parent's, so the canary cannot tell them apart. */
static void by_vfork(hangwatch_worker_t *w)
{
    static volatile int was_attached;
    pid_t pid = vfork();
    if (pid == 0) {
        was_attached = hangwatch_is_attached(w);
        _exit(0);
    }
    wait_well(pid);
    CHECK(was_attached == 1, "a child of vfork cannot be told from its parent: it must make no call");
}

/* Another program than its parent: nothing is inherited. */
static int spawned(void)
{
    hangwatch_error_t err;
    hangwatch_worker_t *own = hangwatch_attach(segment, "spawned", &err);
    CHECK(own != NULL, err.message);
    CHECK(hangwatch_slot(own) != 0, "a spawned program's slot is its own");
    hangwatch_step(own, 1);
    hangwatch_detach(own);
    return 0;
}

/* The parent of before, as another program. */
static int after_exec(void)
{
    hangwatch_error_t err;
    hangwatch_worker_t *again = hangwatch_attach(segment, "again", &err);
    uint64_t owner;
    CHECK(again != NULL, err.message);
    CHECK(hangwatch_slot(again) == 0, "after exec the slot is taken over");
    owner = __atomic_load_n(&again->slot->owner, __ATOMIC_RELAXED);
    CHECK(owner >> 48 == 2 && (owner >> 40 & 0xff) == LIVE, "with the next generation");
    hangwatch_step(again, 1);
    hangwatch_detach(again);
    return 0;
}

int main(int argc, char **argv)
{
    static void (*const ways[])(hangwatch_worker_t *) = {by_fork, by_raw_clone, by_fork_of_a_fork, by_spawn, by_vfork};
    hangwatch_error_t err;
    hangwatch_worker_t *w;
    uint64_t before[WORDS], after[WORDS];
    size_t way;
    int i;

    CHECK(argc >= 2, "a segment is named");
    program = "/proc/self/exe";
    segment = argv[1];
    if (argc > 2)
        return strcmp(argv[2], "spawned") == 0 ? spawned() : after_exec();
    w = hangwatch_attach(segment, "parent", &err);
    CHECK(w != NULL, err.message);
    CHECK(hangwatch_slot(w) == 0, "the segment is new");
    hangwatch_begin_job(w, "parent", "m", 50);
    for (way = 0; way < sizeof ways / sizeof *ways; way++) {
        hangwatch_step(w, way);
        copy(before, w->slot);
        ways[way](w);
        copy(after, w->slot);
        for (i = 0; i < WORDS; i++)
            CHECK(before[i] == after[i], "a child leaves every word of its parent's slot as it was");
        CHECK(hangwatch_is_attached(w) == 1, "the parent goes on");
    }
    hangwatch_step(w, 40);
    CHECK(__atomic_load_n(&w->slot->progress, __ATOMIC_RELAXED) == 40, "the parent goes on");
    {
        char exec[] = "exec";
        char *args[4];
        args[0] = argv[0];
        args[1] = argv[1];
        args[2] = exec;
        args[3] = NULL;
        execv(program, args);
    }
    CHECK(0, "exec works");
    return 1;
}
