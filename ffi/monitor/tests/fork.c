/* A monitor that a forked child inherits is dead there, and lives on in the parent. argv[1] and argv[2] are segments. */
#define _POSIX_C_SOURCE 200809L
#include "told.h"

#include <sys/wait.h>
#include <unistd.h>

static void child(hangwatch_monitor_t *m, const char *segment, const char *own)
{
    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    hangwatch_monitor_status_t status;
    hangwatch_snapshot_t s;
    hangwatch_error_t err;
    char parent[64];
    s.struct_size = sizeof s;
    status.struct_size = sizeof status;

    CHECK(hangwatch_monitor_status(m, &status, &err) == 0 && err.code == HANGWATCH_ERROR_USAGE, "it is dead");
    CHECK(strstr(err.message, "it is the parent's") != NULL, err.message);
    CHECK(hangwatch_monitor_read(m, 0, &s, NULL) == 0 && hangwatch_monitor_next(m, 0, &s, NULL) == 0, "it judges nobody");
    CHECK(hangwatch_monitor_reload(m, NULL, &err) == 0 && err.code == HANGWATCH_ERROR_USAGE, "it takes no policy");
    CHECK(hangwatch_monitor_stop(m, &err) == 1 && err.code == HANGWATCH_OK, "a stop frees its memory and waits for nobody");

    options.segment = segment;
    CHECK(hangwatch_monitor_start(&options, &err) == NULL && err.code == HANGWATCH_ERROR_HELD, "the parent's is alive");
    snprintf(parent, sizeof parent, "another monitor is alive (pid %ld)", (long)getppid());
    CHECK(strstr(err.message, parent) != NULL, err.message);
    options.segment = own;
    m = hangwatch_monitor_start(&options, &err);
    CHECK(m != NULL, err.message);
    CHECK(hangwatch_monitor_stop(m, &err) == 1, "a child may have a monitor of its own");
    exit(0);
}

int main(int argc, char **argv)
{
    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    hangwatch_policy_t *policy = hangwatch_policy_new();
    hangwatch_monitor_status_t before, after;
    hangwatch_monitor_t *m;
    hangwatch_error_t err;
    int wait_status = -1;
    pid_t pid;

    CHECK(argc == 3, "two segments are named");
    CHECK(hangwatch_policy_set(policy, "poll_interval", "20ms", &err) == 1, err.message);
    options.segment = argv[1];
    options.policy = policy;
    before.struct_size = after.struct_size = sizeof before;
    m = hangwatch_monitor_start(&options, &err);
    CHECK(m != NULL, err.message);
    hangwatch_policy_free(policy);
    pid = fork();
    CHECK(pid >= 0, "fork works");
    if (pid == 0)
        child(m, argv[1], argv[2]);
    CHECK(waitpid(pid, &wait_status, 0) == pid && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0,
          "the child is content");
    CHECK(hangwatch_monitor_status(m, &before, &err) == 1, err.message);
    do {
        breathe();
        CHECK(hangwatch_monitor_status(m, &after, &err) == 1, err.message);
    } while (after.good_polls < before.good_polls + 2);
    CHECK(after.is_running == 1, "the parent's goes on");
    options.policy = NULL;
    CHECK(hangwatch_monitor_start(&options, &err) == NULL && err.code == HANGWATCH_ERROR_HELD, "and holds its lock");
    CHECK(hangwatch_monitor_stop(m, &err) == 1, err.message);
    m = hangwatch_monitor_start(&options, &err);
    CHECK(m != NULL, "after a stop the segment may be watched again");
    CHECK(hangwatch_monitor_stop(m, &err) == 1, err.message);
    return 0;
}
