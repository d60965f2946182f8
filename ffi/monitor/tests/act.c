/* A monitor that may act ends a hung worker of another process and never one of its own. argv[1] is the segment, argv[2] a worker
 * of another process (examples/c_worker.c). */
#define _POSIX_C_SOURCE 200809L
#include "told.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static told_t told;

int main(int argc, char **argv)
{
    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    hangwatch_policy_t *policy = hangwatch_policy_new();
    hangwatch_monitor_t *m;
    hangwatch_worker_t *w;
    hangwatch_error_t err;
    said_t spared, action;
    int status = 0;
    pid_t pid;

    CHECK(argc == 3, "a segment and a worker are named");
    tell_init(&told);
    CHECK(hangwatch_policy_set(policy, "poll_interval", "50ms", &err) == 1, err.message);
    CHECK(hangwatch_policy_set(policy, "progress_timeout", "300ms", &err) == 1, err.message);
    w = hangwatch_attach(argv[1], "mine", &err);
    CHECK(w != NULL, err.message);
    options.segment = argv[1];
    options.policy = policy;
    options.mode = HANGWATCH_MODE_ACT;
    options.on_event = keep;
    options.user_data = &told;
    m = hangwatch_monitor_start(&options, &err);
    CHECK(m != NULL, err.message);
    hangwatch_policy_free(policy);

    hangwatch_begin_job(w, "mine", "m", 4);
    hangwatch_step(w, 1);
    spared = await_event(&told, HANGWATCH_EVENT_WOULD_ACT, HANGWATCH_VERDICT_STALLED);
    CHECK(spared.event.slot == hangwatch_slot(w), "a hung worker of this process is told of, and lives");

    pid = fork();
    CHECK(pid >= 0, "fork works");
    if (pid == 0) {
        setenv("HANGWATCH_SEGMENT", argv[1], 1);
        execl(argv[2], argv[2], "--steps", "10", "--step-ms", "1", "--hang-at", "50", (char *)NULL);
        _exit(127);
    }
    action = await_event(&told, HANGWATCH_EVENT_ACTION, HANGWATCH_VERDICT_STALLED);
    CHECK(action.event.pid == (uint32_t)pid, "another process's is acted on");
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "and gets a SIGTERM");
    await_event(&told, HANGWATCH_EVENT_LOST_JOB, HANGWATCH_VERDICT_STALLED);
    CHECK(hangwatch_monitor_stop(m, &err) == 1, err.message);
    hangwatch_detach(w);
    return 0;
}
