/* Every function takes NULL, and says so or does nothing. Run with no HANGWATCH_ variable set; argv[1] is an empty folder. */
#define _POSIX_C_SOURCE 200809L
#include <hangwatch_monitor.h>

#include "../../tests/check.h"

#include <string.h>

static hangwatch_error_t err;

/* It failed for its NULL and said so; a NULL err is as good. */
static void refused(int returned, const char *why)
{
    CHECK(returned == 0 && err.code == HANGWATCH_ERROR_USAGE, why);
    CHECK(strstr(err.message, why) != NULL, err.message);
    memset(&err, 0xff, sizeof err);
}

static void readers(const char *segment)
{
    hangwatch_snapshot_t snapshot;
    hangwatch_segment_status_t status;
    hangwatch_reader_t *r;
    snapshot.struct_size = sizeof snapshot;
    status.struct_size = sizeof status;

    refused(hangwatch_reader_status(NULL, &status, &err), "the reader is NULL");
    refused(hangwatch_reader_read(NULL, 0, &snapshot, &err), "the reader is NULL");
    refused(hangwatch_reader_next(NULL, 0, &snapshot, &err), "the reader is NULL");
    CHECK(hangwatch_reader_status(NULL, NULL, NULL) == 0, "all may be NULL");
    CHECK(hangwatch_reader_read(NULL, 0, NULL, NULL) == 0, "all may be NULL");
    CHECK(hangwatch_reader_next(NULL, 0, NULL, NULL) == 0, "all may be NULL");
    CHECK(strcmp(hangwatch_reader_path(NULL), "") == 0, "a path is never NULL");
    hangwatch_reader_close(NULL);

    r = hangwatch_reader_open(segment, &err);
    CHECK(r != NULL && err.code == HANGWATCH_OK && err.message[0] == '\0', err.message);
    CHECK(strcmp(hangwatch_reader_path(r), segment) == 0, "its path is the one that was given");
    refused(hangwatch_reader_status(r, NULL, &err), "the status is NULL");
    refused(hangwatch_reader_read(r, 0, NULL, &err), "the snapshot is NULL");
    refused(hangwatch_reader_next(r, 0, NULL, &err), "the snapshot is NULL");
    snapshot.struct_size = sizeof snapshot - 1;
    refused(hangwatch_reader_read(r, 0, &snapshot, &err), "the snapshot has struct_size 655, expected 656 or more");
    status.struct_size = 0;
    refused(hangwatch_reader_status(r, &status, &err), "the status has struct_size 0");
    hangwatch_reader_close(r);
}

/* A newer program's struct: what stands past the part that this library knows is left as it is. */
static void a_newer_struct(const char *segment)
{
    struct {
        hangwatch_snapshot_t known;
        uint64_t newer;
    } snapshot;
    hangwatch_reader_t *r = hangwatch_reader_open(segment, NULL);
    snapshot.known.struct_size = sizeof snapshot;
    snapshot.newer = 7;
    CHECK(hangwatch_reader_read(r, 0, &snapshot.known, NULL) == 1, "a larger struct is a newer one");
    CHECK(snapshot.newer == 7 && snapshot.known.struct_size == sizeof snapshot, "it keeps its size and its own members");
    hangwatch_reader_close(r);
}

static void policies(void)
{
    hangwatch_policy_t *p = hangwatch_policy_new();
    CHECK(p != NULL, "a policy is there");
    refused(hangwatch_policy_set(NULL, "grace", "1s", &err), "the policy is NULL");
    refused(hangwatch_policy_set(p, NULL, "1s", &err), "the key is NULL");
    refused(hangwatch_policy_set(p, "grace", NULL, &err), "the value is NULL");
    refused(hangwatch_policy_set(p, "grace", "\xff", &err), "the value '\xef\xbf\xbd' is not UTF-8");
    refused(hangwatch_policy_set_for_model(NULL, "m", "grace", "1s", &err), "the policy is NULL");
    refused(hangwatch_policy_set_for_model(p, NULL, "grace", "1s", &err), "the pattern is NULL");
    refused(hangwatch_policy_set_for_worker(p, NULL, "grace", "1s", &err), "the pattern is NULL");
    refused(hangwatch_policy_set(p, "progres_timeout", "1s", &err), "there is no such key\n  did you mean 'progress_timeout'?");
    refused(hangwatch_policy_set(p, "progress_timeout", "soon", &err), "'soon' is no value of it, expected a duration");
    refused(hangwatch_policy_set(p, "profile", "low", &err), "did you mean 'low-end'?");
    refused(hangwatch_policy_set(p, "profile", "fast", &err), "the profiles are high-end, mid-range, low-end");
    refused(hangwatch_policy_set_for_model(p, "m", "profile", "low-end", &err), "models have none");
    CHECK(hangwatch_policy_set(NULL, NULL, NULL, NULL) == 0, "all may be NULL");
    CHECK(hangwatch_policy_set_for_model(NULL, NULL, NULL, NULL, NULL) == 0, "all may be NULL");
    CHECK(hangwatch_policy_set_for_worker(NULL, NULL, NULL, NULL, NULL) == 0, "all may be NULL");
    CHECK(hangwatch_policy_set(p, "profile", "low-end", NULL) == 1, "a profile is a value");
    hangwatch_policy_free(p);
    hangwatch_policy_free(NULL);
}

static void monitors(const char *segment)
{
    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    hangwatch_monitor_status_t status;
    hangwatch_snapshot_t snapshot;
    hangwatch_monitor_t *m;
    snapshot.struct_size = sizeof snapshot;
    status.struct_size = sizeof status;

    refused(hangwatch_monitor_start(NULL, &err) != NULL, "the options struct is NULL");
    CHECK(hangwatch_monitor_start(NULL, NULL) == NULL, "all may be NULL");
    refused(hangwatch_monitor_reload(NULL, NULL, &err), "the monitor is NULL");
    refused(hangwatch_monitor_status(NULL, &status, &err), "the monitor is NULL");
    refused(hangwatch_monitor_read(NULL, 0, &snapshot, &err), "the monitor is NULL");
    refused(hangwatch_monitor_next(NULL, 0, &snapshot, &err), "the monitor is NULL");
    CHECK(hangwatch_monitor_stop(NULL, &err) == 1 && err.code == HANGWATCH_OK, "nothing is stopped, and that is no error");

    options.struct_size--;
    refused(hangwatch_monitor_start(&options, &err) != NULL, "expected 64 or more");
    options.struct_size++;
    options.mode = (hangwatch_mode_e)2;
    refused(hangwatch_monitor_start(&options, &err) != NULL, "mode 2 is none");
    options.mode = HANGWATCH_MODE_OBSERVE;
    options.segment = "";
    refused(hangwatch_monitor_start(&options, &err) != NULL, "it is empty");
    options.segment = "\xff/";
    refused(hangwatch_monitor_start(&options, &err) != NULL, "is not UTF-8");
    options.segment = segment;
    options.slot_size = 1000;
    /* There is a segment by now, whose geometry it is. */
    m = hangwatch_monitor_start(&options, &err);
    CHECK(m != NULL && err.code == HANGWATCH_OK, "without a callback, a policy and anything else it runs");
    refused(hangwatch_monitor_status(m, NULL, &err), "the status is NULL");
    refused(hangwatch_monitor_read(m, 0, NULL, &err), "the snapshot is NULL");
    CHECK(hangwatch_monitor_next(m, 0, NULL, &err) == 0 && err.code == HANGWATCH_OK, "no slot is taken");
    CHECK(hangwatch_monitor_read(m, 64, &snapshot, &err) == 0 && err.code == HANGWATCH_ERROR_NOT_FOUND, "there are 64");
    CHECK(hangwatch_monitor_reload(m, NULL, &err) == 1, "the defaults are a policy");
    CHECK(hangwatch_monitor_stop(m, NULL) == 1, "err may be NULL");
}

static void names(void)
{
    CHECK(strcmp(hangwatch_verdict_name(HANGWATCH_VERDICT_STALLED), "stalled") == 0, "a verdict has its name");
    CHECK(strcmp(hangwatch_verdict_name(HANGWATCH_VERDICT_NONE), "none") == 0, "and none has one");
    CHECK(strcmp(hangwatch_verdict_name((hangwatch_verdict_e)99), "unknown") == 0, "any number may be asked");
    CHECK(hangwatch_verdict_is_acting(HANGWATCH_VERDICT_STALLED) == 1, "a stall acts");
    CHECK(hangwatch_verdict_is_acting(HANGWATCH_VERDICT_SLOW) == 0, "slowness does not");
    CHECK(hangwatch_verdict_is_acting((hangwatch_verdict_e)99) == 0, "nor does what is not known");
    CHECK(strcmp(hangwatch_event_kind_name(HANGWATCH_EVENT_CONFIG_REJECTED), "config_rejected") == 0, "an event's");
    CHECK(strcmp(hangwatch_event_kind_name((hangwatch_event_kind_e)0), "unknown") == 0, "any number may be asked");
    CHECK(strcmp(hangwatch_phase_name(HANGWATCH_PHASE_POST_PROCESSING), "post_processing") == 0, "a phase's");
    CHECK(strcmp(hangwatch_phase_name(256), "user") == 0 && strcmp(hangwatch_phase_name(70000), "unknown") == 0, "others");
    CHECK(strcmp(hangwatch_presence_name(HANGWATCH_PRESENCE_ERASED), "erased") == 0, "a presence's");
    CHECK(strcmp(hangwatch_presence_name((hangwatch_presence_e)0), "unknown") == 0, "any number may be asked");
}

int main(int argc, char **argv)
{
    char segment[512];
    hangwatch_worker_t *w;
    CHECK(argc == 2, "a folder is named");
    snprintf(segment, sizeof segment, "%s/segment", argv[1]);
    memset(&err, 0xff, sizeof err);

    CHECK(hangwatch_reader_open(segment, &err) == NULL && err.code == HANGWATCH_ERROR_NOT_FOUND, "nothing is made by a reader");
    CHECK(hangwatch_reader_open(segment, NULL) == NULL, "err may be NULL");
    w = hangwatch_attach(segment, "worker", NULL);
    CHECK(hangwatch_is_attached(w) == 1, "the worker's side is in the same library");
    readers(segment);
    a_newer_struct(segment);
    policies();
    hangwatch_detach(w);
    monitors(segment);
    names();
    CHECK(hangwatch_survive_truncation(&err) == 1 && err.code == HANGWATCH_OK, "a handler may be asked for");
    CHECK(hangwatch_survive_truncation(NULL) == 1, "and again");
    return 0;
}
