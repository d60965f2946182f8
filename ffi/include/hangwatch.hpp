// hangwatch.hpp: hangwatch.h for C++11 to C++20. What each call means stands there; here stands who owns what.
//
//     hangwatch::error why;
//     hangwatch::worker w = hangwatch::attach(why);           // detached, and a no-op, where nobody watches
//     if (!w)
//         std::cerr << why.message() << '\n';                 // and go on: a null worker is a no-op too
//     w.phase(hangwatch::phase::loading);
//     load_model();
//     hangwatch::job job(w, "a1b2c3d4", "stable_diffusion_xl", 50);
//     for (std::uint64_t done = 1; done <= 50; done++) {
//         denoise();                                          // if it throws, the job has failed
//         job.step(done);
//     }
//     job.end();
//
// A worker gives its slot back when it is destroyed. Worker, job and section are moved and never copied; what was moved from
// is null, and every call on a null object does nothing. Nothing here throws, allocates, or needs exceptions or RTTI. Reports
// are inlined and cost what they cost in C. Threads and forks: as in hangwatch.h.
//
// It goes with either way to use hangwatch.h: linked, or header-only, where one file of the program defines
// HANGWATCH_IMPLEMENTATION before it includes this file or that one.
#ifndef HANGWATCH_HPP
#define HANGWATCH_HPP

// The C header is C: its casts are not to be held against a program that has none of them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#include "hangwatch.h"
#pragma GCC diagnostic pop

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

// Hidden: a shared object that holds hangwatch of its own must never run these with another's worker.
#define HANGWATCH_HIDDEN_ __attribute__((__visibility__("hidden")))
// A step is worth no call; left to themselves compilers weigh what it calls and may make one.
#define HANGWATCH_INLINE_ HANGWATCH_HIDDEN_ __attribute__((__always_inline__))

namespace hangwatch {

// ------------------------------------------------------------------------------------------------------------- values --

// What kind of failure. Newer libraries may return values not listed here.
enum class code : int {
    ok = HANGWATCH_OK,
    usage = HANGWATCH_ERROR_USAGE,
    not_found = HANGWATCH_ERROR_NOT_FOUND,
    bad_segment = HANGWATCH_ERROR_BAD_SEGMENT,
    denied = HANGWATCH_ERROR_DENIED,
    full = HANGWATCH_ERROR_FULL,
    held = HANGWATCH_ERROR_HELD,
    system = HANGWATCH_ERROR_SYSTEM
};

// What a worker is doing: one of these, or what register_phase() returned.
enum class phase : hangwatch_phase_t {
    starting = HANGWATCH_PHASE_STARTING,
    idle = HANGWATCH_PHASE_IDLE,
    received = HANGWATCH_PHASE_RECEIVED,
    downloading = HANGWATCH_PHASE_DOWNLOADING,
    downloading_aux = HANGWATCH_PHASE_DOWNLOADING_AUX,
    loading = HANGWATCH_PHASE_LOADING,
    compiling = HANGWATCH_PHASE_COMPILING,
    inference = HANGWATCH_PHASE_INFERENCE,
    post_processing = HANGWATCH_PHASE_POST_PROCESSING,
    safety = HANGWATCH_PHASE_SAFETY,
    ending = HANGWATCH_PHASE_ENDING,
    ended = HANGWATCH_PHASE_ENDED,
    unknown = 65535 // HANGWATCH_PHASE_UNKNOWN, which is a C cast
};
static_assert(static_cast<hangwatch_phase_t>(phase::unknown) == static_cast<hangwatch_phase_t>(UINT16_MAX),
              "a phase is 16 bits");

// What a phase of your own is to the monitor.
enum class phase_class : int { work = HANGWATCH_CLASS_WORK, idle = HANGWATCH_CLASS_IDLE, exit = HANGWATCH_CLASS_EXIT };

// How a job ended.
enum class outcome : int {
    ok = HANGWATCH_OUTCOME_OK,
    failed = HANGWATCH_OUTCOME_FAILED,
    cancelled = HANGWATCH_OUTCOME_CANCELLED
};

// Totals that are not a number of units.
constexpr std::uint64_t total_none = HANGWATCH_TOTAL_NONE;
constexpr std::uint64_t total_unknown = HANGWATCH_TOTAL_UNKNOWN;

// What went wrong in the call that it was given to last; false where all was well.
class error {
public:
    HANGWATCH_HIDDEN_ error() noexcept : c_() {}
    HANGWATCH_HIDDEN_ explicit operator bool() const noexcept { return c_.code != HANGWATCH_OK; }
    HANGWATCH_HIDDEN_ hangwatch::code code() const noexcept { return static_cast<hangwatch::code>(c_.code); }
    // "what: why", then lines that say what to do; "" where all was well. Lives as long as this object.
    HANGWATCH_HIDDEN_ const char *message() const noexcept { return c_.message; }
    // For C functions.
    HANGWATCH_HIDDEN_ hangwatch_error_t *get() noexcept { return &c_; }

private:
    hangwatch_error_t c_;
};

// What functions take as text: a C string, NULL, a std::string, or any view with data() and size(), which need not end in a
// NUL and is copied. It is meant to be made by the call alone. More than N bytes of a view are cut: no label has so many.
template <std::size_t N> class basic_text {
public:
    HANGWATCH_HIDDEN_ basic_text(const char *text = nullptr) noexcept : whole_(text), copied_(false), copy_() {}
    HANGWATCH_HIDDEN_ basic_text(const std::string &text) noexcept : whole_(text.c_str()), copied_(false), copy_() {}
    template <class View, class = typename std::enable_if<
                              std::is_convertible<decltype(std::declval<const View &>().data()), const char *>::value &&
                              std::is_convertible<decltype(std::declval<const View &>().size()), std::size_t>::value>::type>
    HANGWATCH_HIDDEN_ basic_text(const View &view) noexcept : whole_(nullptr), copied_(true), copy_()
    {
        const char *from = view.data();
        const std::size_t size = view.size() < N ? view.size() : N;
        for (std::size_t i = 0; i < size; i++)
            copy_[i] = from[i];
    }
    HANGWATCH_HIDDEN_ const char *c_str() const noexcept { return copied_ ? copy_ : whole_; }

private:
    const char *whole_;
    bool copied_;
    char copy_[N + 1];
};
using text = basic_text<127>;
// No longer path can be opened: what is cut is refused as too long.
using path = basic_text<4096>;

// Whole milliseconds: rounded up, so that no lease is shorter than was asked and none above zero is 0; below zero is 0.
template <class Rep, class Period>
HANGWATCH_HIDDEN_ std::uint64_t milliseconds_(std::chrono::duration<Rep, Period> d) noexcept
{
    const double ms = std::chrono::duration<double, std::milli>(d).count();
    if (!(ms > 0))
        return 0;
    if (ms >= 9e18)
        return UINT64_MAX;
    const std::uint64_t whole = static_cast<std::uint64_t>(ms);
    return whole + (static_cast<double>(whole) < ms ? 1 : 0);
}

// A job with all that may be said of it: job_info("a1b2").model("sdxl").total(50).deadline(std::chrono::minutes(5)).
class job_info {
public:
    HANGWATCH_HIDDEN_ explicit job_info(const text &id = nullptr) noexcept : c_(HANGWATCH_JOB_INIT), id_(), model_()
    {
        keep(id_, id);
    }
    HANGWATCH_HIDDEN_ job_info &model(const text &name) noexcept { return keep(model_, name), *this; }
    HANGWATCH_HIDDEN_ job_info &total(std::uint64_t units) noexcept { return c_.total = units, *this; }
    HANGWATCH_HIDDEN_ job_info &batch(std::uint64_t n) noexcept { return c_.batch = n, *this; }
    HANGWATCH_HIDDEN_ job_info &size(std::uint64_t n) noexcept { return c_.size = n, *this; }
    HANGWATCH_HIDDEN_ job_info &device(std::uint32_t index) noexcept { return c_.device = index, *this; }
    // How long it may take in all, which no lease extends; zero for ever.
    template <class Rep, class Period>
    HANGWATCH_HIDDEN_ job_info &deadline(std::chrono::duration<Rep, Period> d) noexcept
    {
        return c_.deadline_ms = milliseconds_(d), *this;
    }
    // For C functions, while this object lives.
    HANGWATCH_HIDDEN_ hangwatch_job_t get() const noexcept
    {
        hangwatch_job_t job = c_;
        job.id = id_;
        job.model = model_;
        return job;
    }

private:
    HANGWATCH_HIDDEN_ static void keep(char (&to)[128], const text &from) noexcept
    {
        std::size_t i = 0;
        for (const char *c = from.c_str(); c != nullptr && c[i] != '\0' && i < sizeof to - 1; i++)
            to[i] = c[i];
        to[i] = '\0';
    }

    hangwatch_job_t c_;
    char id_[128], model_[128];
};

// ------------------------------------------------------------------------------------------------------------- worker --

// A hold on a slot. Null, and false, where attaching failed, and where it was moved from; a detached worker is true.
class worker {
public:
    HANGWATCH_HIDDEN_ worker() noexcept : c_(nullptr) {}
    // Takes over a worker that a C function made.
    HANGWATCH_HIDDEN_ explicit worker(hangwatch_worker_t *c) noexcept : c_(c) {}
    HANGWATCH_HIDDEN_ worker(worker &&other) noexcept : c_(other.release()) {}
    HANGWATCH_HIDDEN_ worker &operator=(worker &&other) noexcept
    {
        worker taken(std::move(other));
        swap(taken);
        return *this;
    }
    worker(const worker &) = delete;
    worker &operator=(const worker &) = delete;
    HANGWATCH_HIDDEN_ ~worker()
    {
        if (c_ != nullptr) // known to be null where it was moved from: then nothing is called
            hangwatch_detach(c_);
    }

    HANGWATCH_HIDDEN_ explicit operator bool() const noexcept { return c_ != nullptr; }
    // For C functions: still this object's.
    HANGWATCH_HIDDEN_ hangwatch_worker_t *get() const noexcept { return c_; }
    // For C functions: the caller's from now on.
    HANGWATCH_HIDDEN_ hangwatch_worker_t *release() noexcept
    {
        hangwatch_worker_t *c = c_;
        c_ = nullptr;
        return c;
    }
    // Gives the slot back now.
    HANGWATCH_HIDDEN_ void detach() noexcept { hangwatch_detach(release()); }
    HANGWATCH_HIDDEN_ void swap(worker &other) noexcept { std::swap(c_, other.c_); }
    HANGWATCH_HIDDEN_ friend void swap(worker &a, worker &b) noexcept { a.swap(b); }

    HANGWATCH_HIDDEN_ bool is_attached() const noexcept { return hangwatch_is_attached(c_) != 0; }
    HANGWATCH_HIDDEN_ std::int32_t slot() const noexcept { return hangwatch_slot(c_); }
    HANGWATCH_HIDDEN_ bool should_stop() const noexcept { return hangwatch_should_stop(c_) != 0; }

    HANGWATCH_HIDDEN_ void phase(hangwatch::phase p) noexcept { hangwatch_phase(c_, static_cast<hangwatch_phase_t>(p)); }
    HANGWATCH_HIDDEN_ void phase_total(hangwatch::phase p, std::uint64_t total) noexcept
    {
        hangwatch_phase_total(c_, static_cast<hangwatch_phase_t>(p), total);
    }
    // Sections that end with their scope: hangwatch::section.
    HANGWATCH_HIDDEN_ void enter(hangwatch::phase p, std::uint64_t total = total_none) noexcept
    {
        hangwatch_enter(c_, static_cast<hangwatch_phase_t>(p), total);
    }
    HANGWATCH_HIDDEN_ void leave() noexcept { hangwatch_leave(c_); }
    // phase::unknown on failure, which may be entered. A budget of zero is none.
    template <class Rep, class Period>
    HANGWATCH_HIDDEN_ hangwatch::phase register_phase(const text &name, phase_class is,
                                                      std::chrono::duration<Rep, Period> budget) noexcept
    {
        return registered(name, is, milliseconds_(budget), nullptr);
    }
    template <class Rep, class Period>
    HANGWATCH_HIDDEN_ hangwatch::phase register_phase(const text &name, phase_class is,
                                                      std::chrono::duration<Rep, Period> budget, error &err) noexcept
    {
        return registered(name, is, milliseconds_(budget), err.get());
    }

    // Jobs that end with their scope: hangwatch::job.
    HANGWATCH_HIDDEN_ void begin_job(const text &id, const text &model, std::uint64_t total) noexcept
    {
        hangwatch_begin_job(c_, id.c_str(), model.c_str(), total);
    }
    HANGWATCH_HIDDEN_ void begin_job(const job_info &info) noexcept
    {
        const hangwatch_job_t job = info.get();
        hangwatch_begin_job_with(c_, &job);
    }
    HANGWATCH_HIDDEN_ void end_job(outcome how) noexcept { hangwatch_end_job(c_, static_cast<hangwatch_outcome_e>(how)); }

    HANGWATCH_INLINE_ void step(std::uint64_t done) noexcept { hangwatch_step(c_, done); }
    HANGWATCH_INLINE_ void beat() noexcept { hangwatch_beat(c_); }
    // Alone of all calls, any thread may make it beside the working one, until the worker is destroyed or moved from.
    HANGWATCH_HIDDEN_ void alive() const noexcept { hangwatch_alive(c_); }
    HANGWATCH_HIDDEN_ void begin_pass() noexcept { hangwatch_begin_pass(c_); }
    // "I may be silent this long from now." Zero ends the lease.
    template <class Rep, class Period> HANGWATCH_HIDDEN_ void extend(std::chrono::duration<Rep, Period> lease) noexcept
    {
        hangwatch_extend(c_, milliseconds_(lease));
    }
    HANGWATCH_HIDDEN_ void note(const text &what) noexcept { hangwatch_note(c_, what.c_str()); }

    // A worker of its own, in a slot of its own, for a job in flight beside this one's. Null on failure.
    HANGWATCH_HIDDEN_ worker lane(const text &name) noexcept { return worker(hangwatch_lane(c_, name.c_str(), nullptr)); }
    HANGWATCH_HIDDEN_ worker lane(const text &name, error &err) noexcept
    {
        return worker(hangwatch_lane(c_, name.c_str(), err.get()));
    }

    // A lane that kernels of a device write: hangwatch_gpu_lane() says how. Null on failure.
    HANGWATCH_HIDDEN_ worker gpu_lane(const text &name, std::uint32_t device) noexcept
    {
        return worker(hangwatch_gpu_lane(c_, name.c_str(), device, nullptr));
    }
    HANGWATCH_HIDDEN_ worker gpu_lane(const text &name, std::uint32_t device, error &err) noexcept
    {
        return worker(hangwatch_gpu_lane(c_, name.c_str(), device, err.get()));
    }

private:
    HANGWATCH_HIDDEN_ hangwatch::phase registered(const text &name, phase_class is, std::uint64_t budget_ms,
                                                  hangwatch_error_t *err) noexcept
    {
        const hangwatch_class_e c = static_cast<hangwatch_class_e>(is);
        return static_cast<hangwatch::phase>(hangwatch_register_phase(c_, name.c_str(), c, budget_ms, err));
    }

    hangwatch_worker_t *c_;
};

// Attaches to the segment and under the label that the environment names; detached where it names none.
HANGWATCH_HIDDEN_ inline worker attach() noexcept { return worker(hangwatch_attach(nullptr, nullptr, nullptr)); }
HANGWATCH_HIDDEN_ inline worker attach(error &err) noexcept { return worker(hangwatch_attach(nullptr, nullptr, err.get())); }

// Attaches to `segment`, a name or a path, as `name`; either may be NULL: what the environment says. Null on failure.
HANGWATCH_HIDDEN_ inline worker attach(const path &segment, const text &name) noexcept
{
    return worker(hangwatch_attach(segment.c_str(), name.c_str(), nullptr));
}
HANGWATCH_HIDDEN_ inline worker attach(const path &segment, const text &name, error &err) noexcept
{
    return worker(hangwatch_attach(segment.c_str(), name.c_str(), err.get()));
}

// The library's version; HANGWATCH_VERSION is this header's.
HANGWATCH_HIDDEN_ inline const char *version() noexcept { return hangwatch_version(); }

// ------------------------------------------------------------------------------------------------------------- scopes --

// A job that ends with its scope. end() says how; where nothing was said it has failed, by whatever way the scope was left,
// an exception or a return: a failure that somebody forgot to report is never counted as a success. The worker must outlive
// it, and may be moved meanwhile.
class job {
public:
    HANGWATCH_HIDDEN_ job(worker &w, const text &id, const text &model, std::uint64_t total) noexcept : c_(w.get())
    {
        w.begin_job(id, model, total);
    }
    HANGWATCH_HIDDEN_ job(worker &w, const job_info &info) noexcept : c_(w.get()) { w.begin_job(info); }
    HANGWATCH_HIDDEN_ job(job &&other) noexcept : c_(other.c_) { other.c_ = nullptr; }
    HANGWATCH_HIDDEN_ job &operator=(job &&other) noexcept
    {
        // What this one was in is left first: a worker has one job at a time, and the other's may be of the same.
        if (this != &other) {
            if (c_ != other.c_)
                end(outcome::failed);
            c_ = other.c_;
            other.c_ = nullptr;
        }
        return *this;
    }
    job(const job &) = delete;
    job &operator=(const job &) = delete;
    HANGWATCH_HIDDEN_ ~job() { end(outcome::failed); }

    HANGWATCH_INLINE_ void step(std::uint64_t done) noexcept { hangwatch_step(c_, done); }
    // Ends it now; the second time it does nothing.
    HANGWATCH_HIDDEN_ void end(outcome how = outcome::ok) noexcept
    {
        if (c_ != nullptr)
            hangwatch_end_job(c_, static_cast<hangwatch_outcome_e>(how));
        c_ = nullptr;
    }
    // Lets it go on without this object: the worker's end_job() ends it.
    HANGWATCH_HIDDEN_ void release() noexcept { c_ = nullptr; }

private:
    hangwatch_worker_t *c_;
};

// A load or a compile in the middle of a job: a section that is left with its scope. The worker must outlive it.
class section {
public:
    HANGWATCH_HIDDEN_ section(worker &w, hangwatch::phase p, std::uint64_t total = total_none) noexcept : c_(w.get())
    {
        w.enter(p, total);
    }
    HANGWATCH_HIDDEN_ section(section &&other) noexcept : c_(other.c_) { other.c_ = nullptr; }
    section &operator=(section &&) = delete; // sections end in the order of their scopes
    section(const section &) = delete;
    section &operator=(const section &) = delete;
    HANGWATCH_HIDDEN_ ~section() { leave(); }

    HANGWATCH_INLINE_ void step(std::uint64_t done) noexcept { hangwatch_step(c_, done); }
    // Leaves it now; the second time it does nothing.
    HANGWATCH_HIDDEN_ void leave() noexcept
    {
        if (c_ != nullptr)
            hangwatch_leave(c_);
        c_ = nullptr;
    }

private:
    hangwatch_worker_t *c_;
};

} // namespace hangwatch

#undef HANGWATCH_INLINE_
#undef HANGWATCH_HIDDEN_

#endif // HANGWATCH_HPP
