/* The C side of the bench: each function reports n times by itself, so that what is measured is inlined as in a user's loop. */
#include <hangwatch.h>

/* Nothing about the worker is kept in registers from one report to the next: between two of them lies a user's step. */
#define BETWEEN(w) __asm__ volatile("" : "+r"(w) : : "memory")

hangwatch_worker_t *bench_attach(const char *segment, const char *name, int stamped);
void bench_step(hangwatch_worker_t *w, uint64_t from, uint64_t n);
void bench_beat(hangwatch_worker_t *w, uint64_t from, uint64_t n);
void bench_step_linked(hangwatch_worker_t *w, uint64_t from, uint64_t n);
void bench_beat_linked(hangwatch_worker_t *w, uint64_t from, uint64_t n);

/* A worker; detached where `segment` is NULL; NULL where attaching fails. */
hangwatch_worker_t *bench_attach(const char *segment, const char *name, int stamped)
{
    hangwatch_error_t err;
    hangwatch_worker_t *w = segment == NULL ? hangwatch_lane(NULL, name, &err) : hangwatch_attach(segment, name, &err);
    if (w == NULL || segment == NULL)
        return w;
    if (!stamped)
        w->clock = NULL;
    hangwatch_begin_job(w, "bench", "model", HANGWATCH_TOTAL_UNKNOWN);
    return w;
}

void bench_step(hangwatch_worker_t *w, uint64_t from, uint64_t n)
{
    uint64_t i;
    for (i = 0; i < n; i++) {
        hangwatch_step(w, from + i);
        BETWEEN(w);
    }
}

void bench_beat(hangwatch_worker_t *w, uint64_t from, uint64_t n)
{
    (void)from;
    for (; n != 0; n--) {
        hangwatch_beat(w);
        BETWEEN(w);
    }
}

void bench_step_linked(hangwatch_worker_t *w, uint64_t from, uint64_t n)
{
    uint64_t i;
    for (i = 0; i < n; i++) {
        hangwatch_step_linked(w, from + i);
        BETWEEN(w);
    }
}

void bench_beat_linked(hangwatch_worker_t *w, uint64_t from, uint64_t n)
{
    (void)from;
    for (; n != 0; n--) {
        hangwatch_beat_linked(w);
        BETWEEN(w);
    }
}
