/*
 * A device's report is a host's: a lane and a GPU lane get the same random script, the one through hangwatch_step() and
 * hangwatch_beat(), the other through kernels, which this CPU plays, and their slots stay equal. argv[1] is a segment whose
 * slots are 4096 bytes apart.
 */
#include <hangwatch_cuda.cuh>

#include "check.h"

static uint64_t seed = 20;

static uint64_t below(uint64_t bound)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % bound;
}

static uint64_t word(const hangwatch_word_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static void compare(const hangwatch_worker_t *a, const hangwatch_worker_t *g)
{
    const hangwatch_slot_t *x = a->slot, *y = g->slot;
    CHECK(word(&x->beat) == word(&y->beat), "host and device beat alike, and neither goes back");
    CHECK(word(&x->progress) == word(&y->progress), "host and device progress alike");
    CHECK(word(&x->epoch) == word(&y->epoch), "host and device fall alike, and no fall is lost between them");
    CHECK(word(&x->phase) == word(&y->phase) && word(&x->total) == word(&y->total), "between kernels the host goes on");
    CHECK(word(&x->lease) == word(&y->lease), "a lease is the host's");
    CHECK(word(&y->stamp_ns) == 0 && word(&y->progress_stamp_ns) == 0 && word(&y->alive) == word(&x->alive),
          "a device stamps nothing and never says alive");
}

/* A kernel of up to eight reports; every launch gets the struct as it was registered. */
static void kernel(hangwatch_worker_t *a, hangwatch_device_t d, uint64_t *done)
{
    uint64_t reports = below(8);
    hangwatch_device_begin(&d);
    hangwatch_beat(a);
    for (; reports > 0; reports--) {
        if (below(5) == 0) {
            hangwatch_device_beat(&d);
            hangwatch_beat(a);
        } else {
            *done = below(4) == 0 ? below(50) : *done + below(3);
            hangwatch_device_step(&d, *done);
            hangwatch_step(a, *done);
        }
    }
}

static void host(hangwatch_worker_t *w, uint64_t call, uint64_t argument)
{
    switch (call) {
    case 0:
        hangwatch_begin_job(w, "j", "m", argument % 3 == 0 ? HANGWATCH_TOTAL_UNKNOWN : 50);
        break;
    case 1:
        hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
        break;
    case 2:
        hangwatch_begin_pass(w);
        break;
    case 3:
        hangwatch_enter(w, HANGWATCH_PHASE_LOADING, argument);
        break;
    case 4:
        hangwatch_leave(w);
        break;
    case 5:
        hangwatch_phase(w, (hangwatch_phase_t)(argument % 12));
        break;
    case 6:
        hangwatch_extend(w, argument);
        break;
    default:
        hangwatch_note(w, "between kernels");
    }
}

/* A wrapping fall must not touch the pass above it. */
static void falls_wrap(hangwatch_worker_t *a, hangwatch_worker_t *g, hangwatch_device_t d)
{
    int i;
    hangwatch_begin_pass(a);
    hangwatch_begin_pass(g);
    hangwatch_device_begin(&d);
    hangwatch_beat(a);
    for (i = 0; i <= 0x10000; i++) {
        hangwatch_device_step(&d, 1);
        hangwatch_step(a, 1);
        hangwatch_device_step(&d, 0);
        hangwatch_step(a, 0);
    }
    compare(a, g);
    CHECK((word(&g->slot->epoch) & 0xffff) == 1, "65537 falls are one, modulo 2^16");
}

/* Fewer reports, and never a fall that is missed. */
static void every(hangwatch_worker_t *g, hangwatch_device_t d)
{
    uint64_t before, done;
    hangwatch_begin_job(g, "every", "m", 1000);
    hangwatch_device_begin(&d);
    before = d.local;
    for (done = 1; done <= 1000; done++)
        hangwatch_device_step_every(&d, done, 64);
    CHECK(d.local - before == 1000 / 64 && word(&g->slot->progress) == 960, "one report in 64");
    hangwatch_device_step_every(&d, 7, 64);
    CHECK(word(&g->slot->progress) == 7 && (word(&g->slot->epoch) & 0xffff) == 1, "a count that fell back is reported at once");
    hangwatch_end_job(g, HANGWATCH_OUTCOME_OK);
}

int main(int argc, char **argv)
{
    hangwatch_device_t d = HANGWATCH_DEVICE_INIT;
    hangwatch_error_t err;
    hangwatch_worker_t *w, *a, *g;
    uint64_t done = 0;
    int i;

    CHECK(argc == 2, "a segment is named");
    w = hangwatch_attach(argv[1], "host", &err);
    CHECK(w != NULL, err.message);
    a = hangwatch_lane(w, "lane", &err);
    CHECK(a != NULL, err.message);
    g = hangwatch_gpu_lane(w, "gpu", 0, &err);
    CHECK(g != NULL, err.message);
    a->clock = NULL;
    hangwatch_phase(a, HANGWATCH_PHASE_IDLE);
    /* What registering fills it with, where the device sees what the host sees. */
    d.slot = g->slot;
    d.owner = word(&g->slot->owner);

    for (i = 0; i < 20000; i++) {
        if (below(3) == 0) {
            const uint64_t call = below(8), argument = below(60);
            host(a, call, argument);
            host(g, call, argument);
            if (call == 0 || call == 2)
                done = 0;
        } else
            kernel(a, d, &done);
        /* Nothing that the host's thread does by mistake gets between. */
        hangwatch_step(g, below(99));
        hangwatch_beat(g);
        compare(a, g);
    }
    falls_wrap(a, g, d);
    every(g, d);
    hangwatch_detach(g);
    hangwatch_detach(a);
    hangwatch_detach(w);
    return 0;
}
