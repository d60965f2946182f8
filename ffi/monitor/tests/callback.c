/* What a callback may do: wait as long as it likes, ask its monitor while that runs and while it is being stopped, and not stop it.
 * argv[1] is the segment. */
#define _POSIX_C_SOURCE 200809L
#include "told.h"

typedef struct held {
    told_t told;
    hangwatch_monitor_t *monitor;
    hangwatch_error_t err;
    int asked, stopped, listed;
} held_t;

static void hold(const hangwatch_event_t *event, void *user_data)
{
    held_t *held = (held_t *)user_data;
    hangwatch_monitor_status_t status, later;
    hangwatch_snapshot_t s;
    hangwatch_monitor_t *m = NULL;
    if (event->kind != HANGWATCH_EVENT_OPENED || held->asked)
        return;
    /* The start may not have returned yet. */
    while (m == NULL) {
        breathe();
        pthread_mutex_lock(&held->told.lock);
        m = held->monitor;
        pthread_mutex_unlock(&held->told.lock);
    }
    s.struct_size = sizeof s;
    status.struct_size = later.struct_size = sizeof status;
    CHECK(hangwatch_monitor_status(m, &status, NULL) == 1, "a callback may ask");
    held->listed = hangwatch_monitor_next(m, 0, &s, NULL) == 1 && s.slot == (uint32_t)event->slot;
    /* It comes only if the scan does not wait for this very call. */
    do {
        breathe();
        CHECK(hangwatch_monitor_status(m, &later, NULL) == 1, "a callback may ask");
    } while (later.polls < status.polls + 5);
    held->stopped = hangwatch_monitor_stop(m, &held->err);
    CHECK(held->err.code == HANGWATCH_ERROR_USAGE, "a stop from the callback is an error");
    CHECK(strstr(held->err.message, "this is its own callback") != NULL, held->err.message);
    CHECK(hangwatch_monitor_status(m, &later, NULL) == 1, "and the monitor goes on");
    pthread_mutex_lock(&held->told.lock);
    held->asked = 1;
    pthread_cond_broadcast(&held->told.more);
    pthread_mutex_unlock(&held->told.lock);
    /* From now on the main thread stops it, and waits for this very call. */
    while (hangwatch_monitor_status(m, &later, &held->err) == 1)
        breathe();
    CHECK(held->err.code == HANGWATCH_ERROR_USAGE, "while it is being stopped it says so");
    CHECK(strstr(held->err.message, "it is being stopped") != NULL, held->err.message);
    CHECK(hangwatch_monitor_next(m, 0, &s, NULL) == 0 && hangwatch_monitor_reload(m, NULL, NULL) == 0, "all of it does");
    CHECK(hangwatch_monitor_stop(m, NULL) == 0, "and a stop from here is an error still");
}

int main(int argc, char **argv)
{
    static held_t held;
    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    hangwatch_policy_t *policy = hangwatch_policy_new();
    hangwatch_worker_t *w;
    hangwatch_monitor_t *m;
    hangwatch_error_t err;

    CHECK(argc == 2, "a segment is named");
    tell_init(&held.told);
    hangwatch_policy_set(policy, "poll_interval", "20ms", NULL);
    CHECK(hangwatch_policy_set(policy, "inference_step_timeout", "100ms", &err) == 1, err.message);
    options.segment = argv[1];
    options.policy = policy;
    options.on_event = hold;
    options.user_data = &held;
    m = hangwatch_monitor_start(&options, &err);
    CHECK(m != NULL, err.message);
    pthread_mutex_lock(&held.told.lock);
    held.monitor = m;
    pthread_mutex_unlock(&held.told.lock);

    /* A worker of this very thread, which waits below and so is silent. */
    w = hangwatch_attach(argv[1], "waits", &err);
    CHECK(w != NULL, err.message);
    hangwatch_begin_job(w, "id", "m", 4);
    hangwatch_step(w, 1);
    pthread_mutex_lock(&held.told.lock);
    while (!held.asked)
        pthread_cond_wait(&held.told.more, &held.told.lock);
    pthread_mutex_unlock(&held.told.lock);
    CHECK(held.stopped == 0, "a stop from the callback is an error, never a deadlock");
    CHECK(held.listed == 1, "a callback may read what is judged");
    hangwatch_policy_free(policy);
    CHECK(hangwatch_monitor_stop(m, &err) == 1, err.message);
    hangwatch_detach(w);
    return 0;
}
