/*
 * A program of release 0.1: what it was compiled with, written out, as it will be in programs that nobody compiles again.
 * Never changed: a library of this soname that it does not run with has broken its promise. argv[1] is a segment.
 */
#include "check.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct error {
    int code;
    char message[512];
};

struct job {
    size_t struct_size;
    const char *id, *model;
    uint64_t total, batch, size, deadline_ms;
    uint32_t device, reserved;
};

struct time_of {
    long s, ns;
};

/* What the inline step of 0.1 knows of a worker. */
struct worker {
    const uint8_t *canary;
    uint64_t *slot;
    void *segment;
    uint64_t local, last, next_mark, epoch;
    int (*clock)(int, struct time_of *);
};

enum { BEAT = 0, PROGRESS = 1, PHASE = 2, STAMP = 3, EPOCH = 5, ADVANCED = 6, JOBS_OK = 9, JOBS_BAD = 10 };

/* All functions of 0.1. */
extern void hangwatch_alive(struct worker *w);
extern struct worker *hangwatch_attach(const char *segment, const char *name, struct error *err);
extern void hangwatch_beat_linked(struct worker *w);
extern void hangwatch_begin_job(struct worker *w, const char *id, const char *model, uint64_t total);
extern void hangwatch_begin_job_with(struct worker *w, const struct job *job);
extern void hangwatch_begin_pass(struct worker *w);
extern void hangwatch_detach(struct worker *w);
extern void hangwatch_end_job(struct worker *w, int outcome);
extern void hangwatch_enter(struct worker *w, uint32_t phase, uint64_t total);
extern void hangwatch_extend(struct worker *w, uint64_t ms);
extern struct worker *hangwatch_gpu_lane(struct worker *w, const char *name, uint32_t device, struct error *err);
extern int hangwatch_is_attached(const struct worker *w);
extern struct worker *hangwatch_lane(struct worker *w, const char *name, struct error *err);
extern void hangwatch_leave(struct worker *w);
extern void hangwatch_note(struct worker *w, const char *text);
extern void hangwatch_phase(struct worker *w, uint32_t phase);
extern void hangwatch_phase_total(struct worker *w, uint32_t phase, uint64_t total);
extern uint32_t hangwatch_register_phase(struct worker *w, const char *name, int class_of, uint64_t budget_ms, struct error *err);
extern int hangwatch_should_stop(const struct worker *w);
extern int32_t hangwatch_slot(const struct worker *w);
extern void hangwatch_step_linked(struct worker *w, uint64_t done);
extern const char *hangwatch_version(void);

static uint64_t word(const struct worker *w, int at)
{
    return __atomic_load_n(w->slot + at, __ATOMIC_RELAXED);
}

static void store(struct worker *w, int at, uint64_t value)
{
    __atomic_store_n(w->slot + at, value, __ATOMIC_RELAXED);
}

/* The step that 0.1 compiled into programs. */
static void step(struct worker *w, uint64_t done)
{
    struct time_of now = {0, 0};
    if (__atomic_load_n(w->canary, __ATOMIC_RELAXED) == 0)
        return;
    if (w->clock != NULL && w->clock(6, &now) == 0) {
        if (done >= w->next_mark) {
            w->next_mark = done + 1;
            store(w, ADVANCED, (uint64_t)now.s * 1000000000 + (uint64_t)now.ns);
        }
        store(w, STAMP, (uint64_t)now.s * 1000000000 + (uint64_t)now.ns);
    }
    if (done < w->last) {
        w->epoch = (w->epoch & ~(uint64_t)0xffff) | ((w->epoch + 1) & 0xffff);
        store(w, EPOCH, w->epoch);
    }
    w->last = done;
    store(w, PROGRESS, done);
    w->local++;
    __atomic_store_n(w->slot + BEAT, w->local, __ATOMIC_RELEASE);
}

int main(int argc, char **argv)
{
    struct error err;
    struct job job = {sizeof(struct job), "old", "model", 50, 2, 3, 4000, 1, 0};
    struct worker *w, *lane;
    uint64_t beat;
    int i;

    CHECK(argc == 2, "a segment is named");
    memset(&err, 0xff, sizeof err);
    CHECK(hangwatch_attach("/nonexistent/folder/segment", "old", &err) == NULL && err.code == 2, "codes keep their meaning");
    CHECK(strlen(err.message) > 0 && strlen(err.message) < 512, "a message fits");
    w = hangwatch_attach(argv[1], "old", &err);
    CHECK(w != NULL && err.code == 0, err.message);
    CHECK(hangwatch_is_attached(w) == 1 && hangwatch_slot(w) == 0, "it is attached");
    CHECK(*hangwatch_version() != '\0', "the library says its version");

    hangwatch_phase(w, 5);
    CHECK(word(w, PHASE) >> 48 == 5, "phases keep their numbers");
    hangwatch_phase_total(w, 3, 1000);
    CHECK(hangwatch_register_phase(w, "old", 1, 90000, &err) == 256 && err.code == 0, err.message);
    hangwatch_begin_job(w, "old", "model", 50);
    beat = word(w, BEAT);
    for (i = 1; i <= 20; i++)
        step(w, (uint64_t)i);
    step(w, 7);
    hangwatch_step_linked(w, 8);
    CHECK(word(w, BEAT) == beat + 22 && word(w, PROGRESS) == 8, "the step of then and the library's go on from one another");
    CHECK((word(w, EPOCH) & 0xffff) == 1, "a fall was counted once");
    hangwatch_beat_linked(w);
    hangwatch_alive(w);
    hangwatch_enter(w, 6, 0);
    hangwatch_leave(w);
    CHECK(word(w, PHASE) >> 48 == 7 && word(w, PROGRESS) == 8, "a section is left");
    hangwatch_begin_pass(w);
    hangwatch_extend(w, 1500);
    hangwatch_note(w, "old");
    CHECK(hangwatch_should_stop(w) == 0, "nobody asked to stop");
    hangwatch_end_job(w, 0);
    hangwatch_begin_job_with(w, &job);
    hangwatch_end_job(w, 2);
    CHECK(word(w, JOBS_OK) == 1 && word(w, JOBS_BAD) == 1, "outcomes keep their numbers");
    lane = hangwatch_lane(w, "old", &err);
    CHECK(lane != NULL && hangwatch_slot(lane) == 1, err.message);
    step(lane, 1);
    hangwatch_detach(lane);
    CHECK(hangwatch_gpu_lane(w, "old", 1, &err) == NULL && err.code == 1, "slots of 1024 bytes are no device's");
    hangwatch_detach(w);
    return 0;
}
