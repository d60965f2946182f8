/*
 * A monitor as threads of this process, over a lane of its own that really hangs at 25 % until it is let go, and over another
 * process that hangs for ever. argv[1] is the segment, argv[2] a worker of another process (examples/c_worker.c).
 */
#define _POSIX_C_SOURCE 200809L
#include "told.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t SECOND = UINT64_C(1000000000);
static told_t told;

/* The worker: steps to one quarter, and stands there until it may go on. */
typedef struct hang {
    const char *segment;
    pthread_mutex_t lock;
    pthread_cond_t go;
    int may_go;
    int32_t slot;
} hang_t;

static void *work(void *argument)
{
    hang_t *hang = (hang_t *)argument;
    hangwatch_error_t err;
    hangwatch_worker_t *own = hangwatch_attach(hang->segment, "embedded", &err), *w;
    CHECK(own != NULL, err.message);
    w = hangwatch_lane(own, "second", &err);
    CHECK(w != NULL, err.message);
    hangwatch_begin_job(w, "a1b2c3d4", "stable_diffusion_xl", 4);
    hangwatch_step(w, 1);
    pthread_mutex_lock(&hang->lock);
    hang->slot = hangwatch_slot(w);
    while (!hang->may_go)
        pthread_cond_wait(&hang->go, &hang->lock);
    pthread_mutex_unlock(&hang->lock);
    hangwatch_end_job(w, HANGWATCH_OUTCOME_FAILED);
    pthread_mutex_lock(&hang->lock);
    while (hang->may_go != 2)
        pthread_cond_wait(&hang->go, &hang->lock);
    pthread_mutex_unlock(&hang->lock);
    hangwatch_detach(w);
    hangwatch_detach(own);
    return NULL;
}

static void let_go(hang_t *hang, int how)
{
    pthread_mutex_lock(&hang->lock);
    hang->may_go = how;
    pthread_cond_broadcast(&hang->go);
    pthread_mutex_unlock(&hang->lock);
}

static hangwatch_policy_t *policy_of(const char *progress_timeout)
{
    hangwatch_error_t err;
    hangwatch_policy_t *policy = hangwatch_policy_new();
    CHECK(policy != NULL, "a policy is there");
    CHECK(hangwatch_policy_set(policy, "poll_interval", "50ms", &err) == 1, err.message);
    CHECK(hangwatch_policy_set(policy, "progress_timeout", progress_timeout, &err) == 1, err.message);
    CHECK(hangwatch_policy_set_for_worker(policy, "other*", "heartbeat_timeout", "150s", &err) == 1, err.message);
    CHECK(hangwatch_policy_set_for_model(policy, "another", "adaptive", "off", NULL) == 1, "err may be NULL");
    return policy;
}

static hangwatch_snapshot_t snapshot_of(hangwatch_monitor_t *m, int32_t slot)
{
    hangwatch_error_t err;
    hangwatch_snapshot_t s;
    s.struct_size = sizeof s;
    CHECK(hangwatch_monitor_read(m, (uint32_t)slot, &s, &err) == 1, err.message);
    CHECK(err.code == HANGWATCH_OK && s.struct_size == sizeof s, "the size is the caller's");
    return s;
}

static void the_worker_of_this_process(hangwatch_monitor_t *m, hang_t *hang)
{
    said_t opened = await_event(&told, HANGWATCH_EVENT_OPENED, HANGWATCH_VERDICT_STALLED), closed;
    hangwatch_monitor_status_t status;
    hangwatch_snapshot_t s;

    CHECK(opened.event.slot == hang->slot && opened.event.pid == (uint32_t)getpid(), "it is this process's");
    CHECK(opened.event.done == 1 && opened.event.total == 4, "it hangs at 1 of 4");
    CHECK(opened.event.percent > 24.9 && opened.event.percent < 25.1, "it hangs at 25 %");
    CHECK(opened.event.budget_ns == SECOND * 2 / 5, "its budget is the policy's");
    CHECK(opened.event.spent_ns >= opened.event.budget_ns, "nobody is found before the budget is spent");
    status.struct_size = sizeof status;
    CHECK(hangwatch_monitor_status(m, &status, NULL) == 1, "it has a status");
    CHECK(status.good_polls < status.polls || opened.event.spent_ns <= opened.event.budget_ns + SECOND / 10,
          "where no poll came late it is found within two polls of its budget");
    CHECK(opened.event.progress_age_ns != HANGWATCH_NS_UNKNOWN && opened.event.episode != 0, "ages and episode are told");
    CHECK(strcmp(opened.job, "a1b2c3d4") == 0 && strcmp(opened.model, "stable_diffusion_xl") == 0, "job and model");
    CHECK(strcmp(opened.worker, "embedded") == 0 && strcmp(opened.phase, "inference") == 0, "worker and phase");
    CHECK(opened.event.slot_kind == HANGWATCH_KIND_LANE && strcmp(opened.lane, "second") == 0, "its lane");
    CHECK(strcmp(opened.clock, "progress") == 0, "the clock that expired");
    CHECK(strstr(opened.sentence, "(stable_diffusion_xl, lane second) stalled in inference: last heartbeat ") != NULL, opened.sentence);
    CHECK(strstr(opened.sentence, "at 25% (1/4), job a1b2c3d4") != NULL, opened.sentence);
    CHECK(strncmp(opened.json, "{\"schema_version\":1,\"time\":\"", 28) == 0, opened.json);
    CHECK(strstr(opened.json, "\"verdict\":\"stalled\"") != NULL, opened.json);

    s = snapshot_of(m, hang->slot);
    CHECK(s.state == HANGWATCH_STATE_LIVE && s.kind == HANGWATCH_KIND_LANE && s.is_read == 1, "its slot is live");
    CHECK(s.source == HANGWATCH_SOURCE_MONITOR && s.verdict == HANGWATCH_VERDICT_STALLED, "judged as it was told");
    CHECK(s.episode == opened.event.episode && strcmp(s.clock, "progress") == 0, "the episode is open");
    CHECK(s.progress_budget_ns == SECOND * 2 / 5 && s.heartbeat_budget_ns == 600 * SECOND, "the budgets that run");
    CHECK(s.phase_budget_ns == HANGWATCH_NS_UNKNOWN, "inference has no budget of another phase");
    CHECK(s.progress_age_ns >= s.progress_budget_ns && s.heartbeat_age_ns != HANGWATCH_NS_UNKNOWN, "ages by its clock");
    CHECK(s.job_open == 1 && s.done == 1 && s.total == 4 && strcmp(s.job, "a1b2c3d4") == 0, "the job");

    let_go(hang, 1);
    closed = await_event(&told, HANGWATCH_EVENT_CLOSED, HANGWATCH_VERDICT_STALLED);
    CHECK(closed.event.episode == opened.event.episode && closed.event.slot == hang->slot, "it is let go, and the episode ends");
    s = snapshot_of(m, hang->slot);
    CHECK(s.job_open == 0 && s.jobs_failed == 1 && s.phase == HANGWATCH_PHASE_IDLE, "the job has ended");
}

/* A worker of another process, started by the test, hangs at one half. */
static void the_worker_of_another_process(hangwatch_monitor_t *m, const char *program, const char *segment)
{
    const pid_t pid = fork();
    said_t opened, lost;
    hangwatch_snapshot_t s;
    CHECK(pid >= 0, "fork works");
    if (pid == 0) {
        setenv("HANGWATCH_SEGMENT", segment, 1);
        setenv("HANGWATCH_NAME", "other-7", 1);
        execl(program, program, "--steps", "10", "--step-ms", "1", "--hang-at", "50", (char *)NULL);
        _exit(127);
    }
    opened = await_event(&told, HANGWATCH_EVENT_OPENED, HANGWATCH_VERDICT_STALLED);
    CHECK(opened.event.pid == (uint32_t)pid && strcmp(opened.worker, "other-7") == 0, "it is the other's");
    CHECK(opened.event.lane == NULL, "its own slot is no lane");
    CHECK(opened.event.done == 5 && opened.event.total == 10, "it hangs at one half");
    s = snapshot_of(m, opened.event.slot);
    CHECK(s.heartbeat_budget_ns == 150 * SECOND, "an entry for its label goes before the base");
    CHECK(kill(pid, 0) == 0, "who observes signals nobody");
    /* A child of this test's own, not yet reaped. */
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid, "it ends");
    lost = await_event(&told, HANGWATCH_EVENT_LOST_JOB, HANGWATCH_VERDICT_DEAD);
    CHECK(lost.event.slot == opened.event.slot && lost.event.pid == (uint32_t)pid, "its job is told as lost");
}

static void the_monitor_itself(hangwatch_monitor_t *m, const char *segment)
{
    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    hangwatch_policy_t *policy = policy_of("90s");
    hangwatch_monitor_status_t status;
    hangwatch_error_t err;

    options.segment = segment;
    memset(&err, 0xff, sizeof err);
    CHECK(hangwatch_monitor_start(&options, &err) == NULL && err.code == HANGWATCH_ERROR_HELD, "one monitor a segment");
    CHECK(strstr(err.message, "another monitor is alive (this process)") != NULL, err.message);

    status.struct_size = sizeof status;
    do {
        CHECK(hangwatch_monitor_status(m, &status, &err) == 1, err.message);
        breathe();
    } while (status.good_polls < 3);
    CHECK(status.is_running == 1 && status.presence == HANGWATCH_PRESENCE_PRESENT, "it runs");
    CHECK(status.polls >= status.good_polls && status.events_lost == 0, "polls are counted");
    CHECK(status.interval_ns == SECOND / 20 && status.last_poll_age_ns != HANGWATCH_NS_UNKNOWN, "it says how it polls");
    CHECK(status.worst_late_ns >= status.late_ns, "lateness is told");

    CHECK(hangwatch_monitor_reload(m, policy, &err) == 1, err.message);
    await_event(&told, HANGWATCH_EVENT_CONFIG_RELOADED, HANGWATCH_VERDICT_NONE);
    CHECK(hangwatch_policy_set(policy, "progress_timeout", "60ms", NULL) == 1, "text is a value, bounds come later");
    CHECK(hangwatch_monitor_reload(m, policy, &err) == 0 && err.code == HANGWATCH_ERROR_USAGE, "under two polls is refused");
    CHECK(strstr(err.message, "cannot use progress_timeout = 60ms (hangwatch_policy_set)") != NULL, err.message);
    options.policy = policy;
    CHECK(hangwatch_monitor_start(&options, &err) == NULL && err.code == HANGWATCH_ERROR_USAGE, "and at a start");
    hangwatch_policy_free(policy);
}

/* SIGTERM and SIGUSR1 stay with the host's threads, a fault is each thread's own. */
static int threads_that_take_no_signal(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int found = 0;
    CHECK(tasks != NULL, "the threads can be listed");
    while ((task = readdir(tasks)) != NULL) {
        char path[300], line[256], name[64] = "";
        unsigned long long blocked = 0;
        FILE *file;
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        file = fopen(path, "r");
        if (file == NULL)
            continue;
        while (fgets(line, sizeof line, file) != NULL) {
            if (sscanf(line, "Name: %63s", name) != 1)
                (void)sscanf(line, "SigBlk: %llx", &blocked);
        }
        fclose(file);
        if (strncmp(name, "hangwatch-", 10) != 0)
            continue;
        found++;
        CHECK((blocked >> (SIGTERM - 1) & 1) == 1 && (blocked >> (SIGUSR1 - 1) & 1) == 1, name);
        CHECK((blocked >> (SIGSEGV - 1) & 1) == 0 && (blocked >> (SIGBUS - 1) & 1) == 0, name);
    }
    closedir(tasks);
    return found;
}

int main(int argc, char **argv)
{
    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    hangwatch_policy_t *policy = policy_of("400ms");
    hangwatch_monitor_t *m;
    hangwatch_error_t err;
    hang_t hang = {NULL, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, -1};
    pthread_t thread;
    sigset_t before, after;
    int threads, descriptors, i, attached = 0;

    CHECK(argc == 3, "a segment and a worker are named");
    tell_init(&told);
    hang.segment = argv[1];
    CHECK(pthread_create(&thread, NULL, work, &hang) == 0, "a thread");
    while (!attached) {
        breathe();
        pthread_mutex_lock(&hang.lock);
        attached = hang.slot >= 0;
        pthread_mutex_unlock(&hang.lock);
    }
    threads = entries("/proc/self/task");
    descriptors = entries("/proc/self/fd");
    pthread_sigmask(SIG_SETMASK, NULL, &before);

    options.segment = argv[1];
    options.policy = policy;
    options.on_event = keep;
    options.user_data = &told;
    memset(&err, 0xff, sizeof err);
    m = hangwatch_monitor_start(&options, &err);
    CHECK(m != NULL && err.code == HANGWATCH_OK && err.message[0] == '\0', err.message);
    hangwatch_policy_free(policy);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (i = 1; i < 32; i++)
        CHECK(sigismember(&before, i) == sigismember(&after, i), "the host's own mask is as it was");
    /* A thread gives itself its name, a moment after it is there. */
    while (threads_that_take_no_signal() < 3)
        breathe();
    CHECK(threads_that_take_no_signal() == 3, "three threads, as the header says");

    the_worker_of_this_process(m, &hang);
    the_worker_of_another_process(m, argv[2], argv[1]);
    the_monitor_itself(m, argv[1]);

    CHECK(hangwatch_monitor_stop(m, &err) == 1, err.message);
    CHECK(entries("/proc/self/fd") == descriptors, "no descriptor is left behind");
    /* A thread that was joined may stand in /proc a moment longer. */
    while (entries("/proc/self/task") > threads)
        breathe();
    CHECK(entries("/proc/self/task") == threads, "no thread is left behind");
    let_go(&hang, 2);
    pthread_join(thread, NULL);
    return 0;
}
