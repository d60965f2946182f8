// The C++ side of the bench: the loops of report.c, through hangwatch.hpp.
#include <hangwatch.hpp>

// As in report.c: between two reports lies a user's step.
#define BETWEEN(w) __asm__ volatile("" : "+r"(w) : : "memory")

extern "C" {
void bench_step_cpp(hangwatch_worker_t *w, std::uint64_t from, std::uint64_t n);
void bench_beat_cpp(hangwatch_worker_t *w, std::uint64_t from, std::uint64_t n);
}

// The object is made and given up in every round: what it costs beside its pointer is counted, and is nothing.
void bench_step_cpp(hangwatch_worker_t *w, std::uint64_t from, std::uint64_t n)
{
    for (std::uint64_t i = 0; i < n; i++) {
        hangwatch::worker held(w);
        held.step(from + i);
        w = held.release();
        BETWEEN(w);
    }
}

void bench_beat_cpp(hangwatch_worker_t *w, std::uint64_t, std::uint64_t n)
{
    for (; n != 0; n--) {
        hangwatch::worker held(w);
        held.beat();
        w = held.release();
        BETWEEN(w);
    }
}
