/* Prints what a segment says: its status, then a line for each slot that is taken, each member as name=value; ages that are not
 * known as '-'. argv[1] is the segment; with argv[2], that slot alone, taken or free. Tests read its output. */
#include <hangwatch_monitor.h>

#include "../../tests/check.h"

#include <inttypes.h>

static void number(const char *name, uint64_t value, uint64_t unknown)
{
    if (value == unknown)
        printf(" %s=-", name);
    else
        printf(" %s=%" PRIu64, name, value);
}

static void show(const hangwatch_snapshot_t *s)
{
    printf("slot=%u state=%d kind=%d generation=%u pid=%u tid=%u source=%d verdict=%s is_read=%d job_open=%d", s->slot,
           (int)s->state, (int)s->kind, s->generation, s->pid, s->tid, (int)s->source, hangwatch_verdict_name(s->verdict),
           s->is_read, s->job_open);
    printf(" phase=%u:'%s' job_number=%u pass=%u falls=%u", s->phase, s->phase_name, s->job_number, s->pass, s->falls);
    printf(" jobs=%" PRIu64 "/%u/%u", s->jobs_ok, s->jobs_failed, s->jobs_cancelled);
    number("device", s->device, HANGWATCH_NO_DEVICE);
    number("done", s->done, HANGWATCH_NO_PROGRESS);
    number("total", s->total, HANGWATCH_TOTAL_UNKNOWN);
    printf(" percent=%.1f has_rate=%d", s->percent, s->rate_per_s >= 0);
    printf(" batch=%" PRIu64 " size=%" PRIu64 " deadline=%" PRIu64, s->batch, s->size, s->deadline_ns);
    number("job_age", s->job_age_ns, HANGWATCH_NS_UNKNOWN);
    number("heartbeat_age", s->heartbeat_age_ns, HANGWATCH_NS_UNKNOWN);
    number("progress_age", s->progress_age_ns, HANGWATCH_NS_UNKNOWN);
    printf(" lease=%" PRIu64, s->lease_left_ns);
    number("heartbeat_budget", s->heartbeat_budget_ns, HANGWATCH_NS_UNKNOWN);
    printf(" episode=%" PRIu64 " restarts=%" PRIu64, s->episode, s->restarts);
    printf(" clock='%s' worker='%s' lane='%s' job='%s' model='%s' detail='%s'\n", s->clock, s->worker, s->lane, s->job, s->model,
           s->detail);
}

int main(int argc, char **argv)
{
    hangwatch_error_t err;
    hangwatch_segment_status_t status;
    hangwatch_snapshot_t s;
    hangwatch_reader_t *r;
    uint32_t from;

    CHECK(argc == 2 || argc == 3, "a segment is named");
    s.struct_size = sizeof s;
    status.struct_size = sizeof status;
    r = hangwatch_reader_open(argv[1][0] == '\0' ? NULL : argv[1], &err);
    if (r == NULL) {
        printf("error %d: %s\n", (int)err.code, err.message);
        return 3;
    }
    CHECK(hangwatch_reader_status(r, &status, &err) == 1, err.message);
    printf("path=%s presence=%s monitor=%d:%u slots=%u slot_size=%u", hangwatch_reader_path(r),
           hangwatch_presence_name(status.presence), status.monitor_alive, status.monitor_pid, status.slots, status.slot_size);
    number("interval", status.interval_ns, HANGWATCH_NS_UNKNOWN);
    printf("\n");
    if (argc == 3) {
        if (hangwatch_reader_read(r, (uint32_t)strtoul(argv[2], NULL, 10), &s, &err))
            show(&s);
    } else {
        for (from = 0; hangwatch_reader_next(r, from, &s, &err); from = s.slot + 1)
            show(&s);
    }
    if (err.code != HANGWATCH_OK)
        printf("error %d: %s\n", (int)err.code, err.message);
    hangwatch_reader_close(r);
    return 0;
}
