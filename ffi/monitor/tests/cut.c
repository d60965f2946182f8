/* A segment that is cut short or overwritten is an error and never the program's end; a monitor goes over to the next one of the
 * name. argv[1] is the segment. */
#define _POSIX_C_SOURCE 200809L
#include "told.h"

#include <signal.h>
#include <unistd.h>

static told_t told;

static void handles_no_sigbus(void)
{
    struct sigaction action;
    CHECK(sigaction(SIGBUS, NULL, &action) == 0 && action.sa_handler == SIG_DFL, "without being asked no signal is handled");
}

static void lost_to(hangwatch_reader_t *r, hangwatch_presence_e presence)
{
    hangwatch_segment_status_t status;
    hangwatch_snapshot_t s;
    hangwatch_error_t err;
    s.struct_size = sizeof s;
    status.struct_size = sizeof status;
    CHECK(hangwatch_reader_status(r, &status, &err) == 1 && status.presence == presence, "its fate is told");
    CHECK(status.monitor_alive == 0, "of what cannot be read nothing more is said");
    CHECK(hangwatch_reader_read(r, 0, &s, &err) == 0 && err.code == HANGWATCH_ERROR_BAD_SEGMENT, "no slot is read");
    CHECK(hangwatch_reader_next(r, 0, &s, &err) == 0 && err.code == HANGWATCH_ERROR_BAD_SEGMENT, "nor listed");
}

static void *cut(void *segment)
{
    breathe();
    CHECK(truncate((const char *)segment, 100) == 0, "the file is cut");
    return NULL;
}

/* Cut at any moment of a reading: an error, and no SIGBUS. */
static void while_it_is_read(char *segment)
{
    hangwatch_worker_t *w = hangwatch_attach(segment, "gone", NULL);
    hangwatch_reader_t *r = hangwatch_reader_open(segment, NULL);
    hangwatch_snapshot_t s;
    hangwatch_error_t err;
    pthread_t thread;
    s.struct_size = sizeof s;
    CHECK(w != NULL && r != NULL, "both sides are there");
    CHECK(pthread_create(&thread, NULL, cut, segment) == 0, "a thread");
    while (hangwatch_reader_read(r, 0, &s, &err) == 1)
        CHECK(s.state == HANGWATCH_STATE_LIVE && strcmp(s.worker, "gone") == 0, "a slot is read whole or not at all");
    CHECK(err.code == HANGWATCH_ERROR_BAD_SEGMENT, err.message);
    pthread_join(thread, NULL);
    lost_to(r, HANGWATCH_PRESENCE_TRUNCATED);
    hangwatch_reader_close(r);
    hangwatch_detach(w);
    CHECK(unlink(segment) == 0, "it is removed");
}

static void under_a_monitor(char *segment)
{
    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    hangwatch_policy_t *policy = hangwatch_policy_new();
    hangwatch_monitor_status_t status;
    hangwatch_snapshot_t s;
    hangwatch_worker_t *w;
    hangwatch_monitor_t *m;
    hangwatch_error_t err;
    s.struct_size = sizeof s;
    status.struct_size = sizeof status;
    hangwatch_policy_set(policy, "poll_interval", "20ms", NULL);
    options.segment = segment;
    options.policy = policy;
    options.on_event = keep;
    options.user_data = &told;
    m = hangwatch_monitor_start(&options, &err);
    CHECK(m != NULL, err.message);
    hangwatch_policy_free(policy);
    CHECK(truncate(segment, 100) == 0, "the file is cut");
    await_event(&told, HANGWATCH_EVENT_SEGMENT_LOST, HANGWATCH_VERDICT_NONE);
    CHECK(hangwatch_monitor_read(m, 0, &s, &err) == 0 && err.code == HANGWATCH_ERROR_BAD_SEGMENT, "nothing is read");
    CHECK(hangwatch_monitor_status(m, &status, &err) == 1, err.message);
    CHECK(status.presence == HANGWATCH_PRESENCE_TRUNCATED && status.is_running == 1, "its fate is told, and it goes on");
    CHECK(unlink(segment) == 0, "it is removed");
    w = hangwatch_attach(segment, "next", &err);
    CHECK(w != NULL, err.message);
    await_event(&told, HANGWATCH_EVENT_SEGMENT_FOUND, HANGWATCH_VERDICT_NONE);
    CHECK(hangwatch_monitor_next(m, 0, &s, &err) == 1 && strcmp(s.worker, "next") == 0, "the next one of the name is watched");
    CHECK(hangwatch_monitor_stop(m, &err) == 1, err.message);
    hangwatch_detach(w);
    CHECK(unlink(segment) == 0, "it is removed");
}

int main(int argc, char **argv)
{
    hangwatch_reader_t *r;
    hangwatch_error_t err;
    FILE *file;
    int i;

    CHECK(argc == 2, "a segment is named");
    tell_init(&told);
    hangwatch_detach(hangwatch_attach(argv[1], "first", NULL));
    r = hangwatch_reader_open(argv[1], &err);
    CHECK(r != NULL, err.message);
    CHECK(truncate(argv[1], 0) == 0, "the file is cut");
    lost_to(r, HANGWATCH_PRESENCE_TRUNCATED);
    hangwatch_reader_close(r);
    CHECK(hangwatch_reader_open(argv[1], &err) == NULL && err.code == HANGWATCH_ERROR_BAD_SEGMENT, "nor is it opened again");
    CHECK(unlink(argv[1]) == 0, "it is removed");

    hangwatch_detach(hangwatch_attach(argv[1], "second", NULL));
    r = hangwatch_reader_open(argv[1], &err);
    file = fopen(argv[1], "r+");
    CHECK(r != NULL && file != NULL && fwrite("garbage", 7, 1, file) == 1 && fclose(file) == 0, "its header is overwritten");
    lost_to(r, HANGWATCH_PRESENCE_ERASED);
    hangwatch_reader_close(r);
    CHECK(unlink(argv[1]) == 0, "it is removed");
    handles_no_sigbus();

    CHECK(hangwatch_survive_truncation(&err) == 1, err.message);
    for (i = 0; i < 20; i++)
        while_it_is_read(argv[1]);
    under_a_monitor(argv[1]);
    return 0;
}
