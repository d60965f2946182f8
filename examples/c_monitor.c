/*
 * A host program that watches its own worker: the monitor is threads of it, verdicts come by callback. The worker hangs at 25 %
 * until the host, which is told of it, lets it go.
 *
 *     gcc -std=c99 -pthread -I ffi/include examples/c_monitor.c -L target/release -lhangwatch_monitor -Wl,-rpath,$PWD/target/release
 *
 * An argument names the segment; it is removed at the end.
 */
#define _POSIX_C_SOURCE 200809L
#include <hangwatch_monitor.h>
#include <pthread.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int hung, well_again;

/* Called on a thread of the monitor's own: it may be slow, the scan does not wait for it. */
static void on_event(const hangwatch_event_t *event, void *user_data)
{
    (void)user_data;
    printf("%s: %s\n", hangwatch_event_kind_name(event->kind), event->sentence);
    pthread_mutex_lock(&lock);
    if (event->kind == HANGWATCH_EVENT_OPENED && hangwatch_verdict_is_acting(event->verdict))
        hung = 1;
    if (event->kind == HANGWATCH_EVENT_CLOSED && hung)
        well_again = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void await(const int *flag)
{
    pthread_mutex_lock(&lock);
    while (!*flag)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void *work(void *segment)
{
    hangwatch_worker_t *w = hangwatch_attach(segment, "embedded", NULL);
    hangwatch_begin_job(w, "a1b2c3d4", "stable_diffusion_xl", 4);
    hangwatch_step(w, 1);
    await(&hung); /* the hang: nothing comes until the host knows */
    for (uint64_t done = 2; done <= 4; done++)
        hangwatch_step(w, done);
    hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
    await(&well_again);
    hangwatch_detach(w);
    return NULL;
}

int main(int argc, char **argv)
{
    char *segment = argc > 1 ? argv[1] : "c_monitor";
    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    hangwatch_policy_t *policy = hangwatch_policy_new();
    hangwatch_error_t err;
    hangwatch_monitor_t *monitor;
    pthread_t thread;

    hangwatch_policy_set(policy, "poll_interval", "50ms", NULL);
    hangwatch_policy_set(policy, "progress_timeout", "500ms", NULL);
    options.segment = segment;
    options.policy = policy;
    options.on_event = on_event;
    options.unlink_at_end = 1;
    monitor = hangwatch_monitor_start(&options, &err);
    hangwatch_policy_free(policy);
    if (monitor == NULL) {
        fprintf(stderr, "c_monitor: %s\n", err.message);
        return 1;
    }
    pthread_create(&thread, NULL, work, segment);
    pthread_join(thread, NULL);
    hangwatch_monitor_stop(monitor, NULL);
    return 0;
}
