/*
 * The inline step and beat are the library's own: two workers get the same random script, one through the inline functions
 * and one through the linked ones, and their slots and private words stay equal. argv[1] is the segment.
 */
#include <hangwatch.h>

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

/* `a` reported first: its stamp lies between the library's last one and the library's next. Another clock's would not. */
static void same_clock(uint64_t a, uint64_t b)
{
    static uint64_t last = 0;
    CHECK(last <= a && a <= b, "inline and linked stamps are of one clock");
    last = b;
}

/* Stamps differ by the clock; that they are written, and when, must not. They are zeroed before every report. */
static void compare(const hangwatch_worker_t *a, const hangwatch_worker_t *b)
{
    const hangwatch_slot_t *x = a->slot, *y = b->slot;
    CHECK(word(&x->beat) == word(&y->beat), "inline and linked beat alike");
    CHECK(word(&x->progress) == word(&y->progress), "inline and linked progress alike");
    CHECK(word(&x->phase) == word(&y->phase), "inline and linked phase alike");
    CHECK(word(&x->epoch) == word(&y->epoch), "inline and linked falls alike");
    CHECK(word(&x->total) == word(&y->total), "inline and linked total alike");
    CHECK((word(&x->stamp_ns) == 0) == (word(&y->stamp_ns) == 0), "inline and linked stamp a beat alike");
    CHECK((word(&x->progress_stamp_ns) == 0) == (word(&y->progress_stamp_ns) == 0), "inline and linked stamp an advance alike");
    if (word(&x->stamp_ns) != 0)
        same_clock(word(&x->stamp_ns), word(&y->stamp_ns));
    CHECK(a->local == b->local && a->last == b->last, "inline and linked keep the same private words");
    CHECK(a->next_mark == b->next_mark && a->epoch == b->epoch, "inline and linked keep the same private words");
    CHECK(word(&x->beat) == a->local && word(&x->epoch) == a->epoch, "the slot shows the private words");
}

static void zero_stamps(hangwatch_worker_t *w)
{
    __atomic_store_n(&w->slot->stamp_ns, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&w->slot->progress_stamp_ns, 0, __ATOMIC_RELAXED);
}

static void both_report(hangwatch_worker_t *a, hangwatch_worker_t *b)
{
    uint64_t done = below(4) == 0 ? below(50) : a->last + below(2);
    zero_stamps(a);
    zero_stamps(b);
    switch (below(16)) {
    case 0:
        hangwatch_begin_job(a, "x", "m", 50);
        hangwatch_begin_job(b, "x", "m", 50);
        break;
    case 1:
        hangwatch_begin_pass(a);
        hangwatch_begin_pass(b);
        break;
    case 2:
        hangwatch_phase(a, HANGWATCH_PHASE_LOADING);
        hangwatch_phase(b, HANGWATCH_PHASE_LOADING);
        break;
    case 3:
        hangwatch_phase(a, HANGWATCH_PHASE_INFERENCE);
        hangwatch_phase(b, HANGWATCH_PHASE_INFERENCE);
        break;
    case 4:
    case 5:
        hangwatch_beat(a);
        hangwatch_beat_linked(b);
        break;
    default:
        hangwatch_step(a, done);
        hangwatch_step_linked(b, done);
    }
    compare(a, b);
}

/* A wrapping fall must not touch the pass above it. */
static void falls_wrap(hangwatch_worker_t *a, hangwatch_worker_t *b)
{
    int i;
    hangwatch_begin_pass(a);
    hangwatch_begin_pass(b);
    for (i = 0; i <= 0x10000; i++) {
        hangwatch_step(a, 1);
        hangwatch_step_linked(b, 1);
        hangwatch_step(a, 0);
        hangwatch_step_linked(b, 0);
    }
    compare(a, b);
    CHECK((a->epoch & 0xffff) == 1, "65537 falls are one, modulo 2^16");
}

int main(int argc, char **argv)
{
    hangwatch_error_t err;
    hangwatch_worker_t *a, *b;
    int i;

    CHECK(argc == 2, "a segment is named");
    a = hangwatch_attach(argv[1], "inline", &err);
    CHECK(a != NULL, err.message);
    b = hangwatch_attach(argv[1], "linked", &err);
    CHECK(b != NULL, err.message);
    CHECK(a->clock != NULL, "stamps are on, so that marks are compared");
    for (i = 0; i < 20000; i++)
        both_report(a, b);
    falls_wrap(a, b);
    a->clock = NULL;
    b->clock = NULL;
    for (i = 0; i < 20000; i++)
        both_report(a, b);
    falls_wrap(a, b);
    hangwatch_detach(a);
    hangwatch_detach(b);
    return 0;
}
