// hangwatch.hpp: every call reaches the slot, and the objects own what they say. argv[1] is a segment, argv[2] one whose slots
// are pages. Compiled with exceptions and without, linked and header-only.
#include <hangwatch.hpp>

#include "check.h"

#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

#if __cplusplus >= 201703L
#include <string_view>
#endif

using std::chrono::milliseconds;

static_assert(sizeof(hangwatch::worker) == sizeof(void *), "a worker is its pointer");
template <class T> constexpr bool owns_one()
{
    return !std::is_copy_constructible<T>::value && !std::is_copy_assignable<T>::value &&
           std::is_nothrow_move_constructible<T>::value && std::is_nothrow_destructible<T>::value;
}
static_assert(owns_one<hangwatch::worker>(), "a worker is moved, never copied, and throws nothing");
static_assert(owns_one<hangwatch::job>(), "a job is moved, never copied, and throws nothing");
static_assert(owns_one<hangwatch::section>(), "a section is moved, never copied, and throws nothing");
static_assert(std::is_nothrow_move_assignable<hangwatch::worker>::value, "a worker can be given another slot");
static_assert(std::is_nothrow_move_assignable<hangwatch::job>::value, "a job can be given another");
static_assert(std::is_nothrow_default_constructible<hangwatch::worker>::value, "a null worker is made of nothing");
static_assert(!std::is_convertible<hangwatch::worker, bool>::value, "a worker is no number");
static_assert(!std::is_convertible<hangwatch_worker_t *, hangwatch::worker>::value, "nothing is taken over by accident");
static_assert(noexcept(hangwatch::attach()) && noexcept(std::declval<hangwatch::worker &>().step(1)) &&
                  noexcept(std::declval<hangwatch::worker &>().note("")) &&
                  noexcept(std::declval<hangwatch::worker &>().extend(std::declval<milliseconds>())),
              "no call throws");

namespace {

// A view of C++11: not a std::string, not ended by a NUL.
struct view {
    const char *at;
    std::size_t count;
    const char *data() const { return at; }
    std::size_t size() const { return count; }
};

std::uint64_t word(const hangwatch_word_t &at) { return __atomic_load_n(&at, __ATOMIC_RELAXED); }
const hangwatch_slot_t &slot(const hangwatch::worker &w) { return *w.get()->slot; }
std::uint64_t phase(const hangwatch::worker &w) { return word(slot(w).phase) >> 48; }
std::uint64_t depth(const hangwatch::worker &w) { return word(slot(w).phase) >> 33 & 7; }
bool in_job(const hangwatch::worker &w) { return (word(slot(w).phase) >> 32 & 1) != 0; }
std::uint64_t lease_ms(const hangwatch::worker &w) { return word(slot(w).lease) & ((UINT64_C(1) << 48) - 1); }
std::uint64_t well(const hangwatch::worker &w) { return word(slot(w).jobs_ok); }
std::uint64_t failed(const hangwatch::worker &w) { return word(slot(w).jobs_bad) >> 32; }
std::uint64_t cancelled(const hangwatch::worker &w) { return word(slot(w).jobs_bad) & UINT32_MAX; }

// A text of the info record that is readable now; this process alone writes it.
std::string info(const hangwatch::worker &w, std::size_t offset, std::size_t size)
{
    char bytes[384];
    std::memcpy(bytes, slot(w).info[word(slot(w).info_seq) & 1], sizeof bytes);
    std::size_t length = 0;
    while (length < size && bytes[offset + length] != '\0')
        length++;
    return std::string(bytes + offset, length);
}
std::string job_id(const hangwatch::worker &w) { return info(w, 0x40, 64); }
std::string model(const hangwatch::worker &w) { return info(w, 0x80, 96); }
std::string name(const hangwatch::worker &w) { return info(w, 0xe0, 40); }
std::string note(const hangwatch::worker &w) { return info(w, 0x120, 96); }

hangwatch::worker attached(const char *segment, const char *as)
{
    hangwatch::error err;
    hangwatch::worker w = hangwatch::attach(segment, as, err);
    CHECK(w && !err && err.code() == hangwatch::code::ok && err.message()[0] == '\0', err.message());
    return w;
}

void the_vocabulary(const char *segment)
{
    hangwatch::error err;
    hangwatch::worker w = attached(segment, "sd-0");
    CHECK(w.is_attached() && w.slot() >= 0 && name(w) == "sd-0", "attached as named");
    CHECK(std::strcmp(hangwatch::version(), HANGWATCH_VERSION) == 0, "header and library are of one version");

    w.phase(hangwatch::phase::loading);
    CHECK(phase(w) == HANGWATCH_PHASE_LOADING, "a phase is entered");
    w.phase_total(hangwatch::phase::downloading, 1000);
    CHECK(phase(w) == HANGWATCH_PHASE_DOWNLOADING && word(slot(w).total) == 1000, "a phase counts");

    w.begin_job("a1b2", std::string("sdxl"), 50);
    CHECK(in_job(w) && job_id(w) == "a1b2" && model(w) == "sdxl" && word(slot(w).total) == 50, "a job is begun");
    const std::uint64_t beats = word(slot(w).beat);
    w.step(2);
    CHECK(word(slot(w).progress) == 2 && word(slot(w).beat) == beats + 1, "a step is progress");
    w.beat();
    CHECK(word(slot(w).progress) == 2 && word(slot(w).beat) == beats + 2, "a beat is none");
    const std::uint64_t alive = word(slot(w).alive);
    w.alive();
    CHECK(word(slot(w).alive) != alive && word(slot(w).beat) == beats + 2, "a helper's word is its own");
    w.begin_pass();
    CHECK((word(slot(w).epoch) >> 16 & 0xffff) == 1, "a pass is begun");
    w.enter(hangwatch::phase::compiling);
    CHECK(phase(w) == HANGWATCH_PHASE_COMPILING && depth(w) == 1, "a section is entered");
    w.leave();
    CHECK(phase(w) == HANGWATCH_PHASE_INFERENCE && depth(w) == 0, "a section is left");
    w.note(view{"halfway there", 7});
    CHECK(note(w) == "halfway", "a view ends where it says");
#if __cplusplus >= 201703L
    w.note(std::string_view("string views", 6));
    CHECK(note(w) == "string", "a string view ends where it says");
#endif
    w.note(nullptr);
    CHECK(note(w).empty(), "no text is an empty one");
    w.note(std::string(300, 'n'));
    CHECK(note(w) == std::string(96, 'n'), "what is too long is cut");
    w.note(view{std::string(300, 'v').c_str(), 300});
    CHECK(note(w) == std::string(96, 'v'), "what is too long is cut");
    CHECK(!w.should_stop(), "nobody asked to stop");
    __atomic_store_n(&w.get()->slot->cmd, (word(slot(w).owner) >> 48 << 48) | UINT64_C(1) << 40, __ATOMIC_RELEASE);
    CHECK(w.should_stop(), "the monitor asks to stop");
    w.end_job(hangwatch::outcome::cancelled);
    CHECK(!in_job(w) && cancelled(w) == 1, "a job is cancelled");

    const hangwatch::phase own = w.register_phase("tiling", hangwatch::phase_class::idle, std::chrono::seconds(90), err);
    CHECK(own != hangwatch::phase::unknown && !err, err.message());
    CHECK(w.register_phase(std::string("tiling"), hangwatch::phase_class::work, milliseconds(0)) == own, "found by name");
    w.phase(own);
    CHECK(phase(w) == static_cast<hangwatch_phase_t>(own), "a phase of its own is entered");
    CHECK(w.register_phase("", hangwatch::phase_class::work, milliseconds(1), err) == hangwatch::phase::unknown && err &&
              err.code() == hangwatch::code::usage && err.message()[0] != '\0',
          "what went wrong is told");

    hangwatch::worker lane = w.lane("l0", err);
    CHECK(lane.is_attached() && lane.slot() != w.slot() && !err, "a lane has a slot of its own");
    lane.step(7);
    CHECK(word(slot(lane).progress) == 7, "a lane reports");
    CHECK(w.lane("l1").is_attached(), "a lane needs nobody who hears of errors");
    // The slots of this segment are 1024 bytes apart.
    CHECK(!w.gpu_lane("g0", 3, err) && err.code() == hangwatch::code::usage, "a device needs pages of its own");
    CHECK(!w.gpu_lane("g0", 3), "a lane of a device needs nobody who hears of errors");
}

void durations(const char *segment)
{
    hangwatch::worker w = attached(segment, "durations");
    w.extend(std::chrono::seconds(2));
    CHECK(lease_ms(w) == 2000, "seconds are told in milliseconds");
    w.extend(std::chrono::microseconds(1500));
    CHECK(lease_ms(w) == 2, "no lease is shorter than was asked");
    w.extend(std::chrono::nanoseconds(1));
    CHECK(lease_ms(w) == 1, "no lease is shorter than was asked");
    w.extend(std::chrono::duration<float>(0.25F));
    CHECK(lease_ms(w) == 250, "a fraction of a second is told");
    w.extend(milliseconds(-5));
    CHECK(lease_ms(w) == 0, "no lease is of less than nothing");
    CHECK(hangwatch::milliseconds_(std::chrono::hours::max()) == UINT64_MAX, "for ever is the most there is");
    CHECK(hangwatch::milliseconds_(std::chrono::duration<double>(std::numeric_limits<double>::infinity())) == UINT64_MAX,
          "for ever is the most there is");
    CHECK(hangwatch::milliseconds_(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())) == 0,
          "what is no number is nothing");
}

void jobs_end_with_their_scope(const char *segment)
{
    hangwatch::worker w = attached(segment, "jobs");
    {
        hangwatch::job job(w, "1", "m", 50);
        job.step(3);
        CHECK(in_job(w) && word(slot(w).progress) == 3, "a job reports");
        job.end();
        CHECK(!in_job(w) && well(w) == 1, "a job ended well");
        job.end(hangwatch::outcome::failed);
        job.step(4);
    }
    CHECK(well(w) == 1 && failed(w) == 0, "a job ends once");
    {
        hangwatch::job job(w, "2", "m", hangwatch::total_unknown);
    }
    CHECK(failed(w) == 1, "a job of which nothing was said has failed");
    {
        hangwatch::job job(w, hangwatch::job_info("3").model("m").deadline(std::chrono::minutes(5)).device(7).batch(2).size(9));
        CHECK(job_id(w) == "3" && model(w) == "m", "more is said of a job");
        job.end(hangwatch::outcome::cancelled);
    }
    CHECK(cancelled(w) == 1, "a job was cancelled");
    {
        hangwatch::job outer = hangwatch::job(w, "4", "m", 1);
        hangwatch::job taken = std::move(outer);
        outer.end();
        CHECK(in_job(w), "a job that was moved from ends nothing");
        outer = std::move(taken);
        hangwatch::worker moved = std::move(w);
        outer.step(1);
        w = std::move(moved);
        CHECK(in_job(w) && word(slot(w).progress) == 1, "a job goes on when its worker moves");
        outer.end();
    }
    CHECK(well(w) == 2 && failed(w) == 1, "a job that moved ended once");
    {
        hangwatch::job job(w, "5", "m", 1);
        job = hangwatch::job(w, "6", "m", 1);
        CHECK(in_job(w) && job_id(w) == "6", "the next job of a worker replaces the one before");
        job.end();
    }
    CHECK(well(w) == 3, "the job that replaced another ended well");
    {
        hangwatch::job job(w, "7", "m", 1);
        job.release();
    }
    CHECK(in_job(w), "a job that was released goes on");
    w.end_job(hangwatch::outcome::ok);
#if defined(__cpp_exceptions)
    const std::uint64_t before = failed(w);
    try {
        hangwatch::job job(w, "8", "m", 1);
        throw 1;
    } catch (int) {
    }
    CHECK(failed(w) == before + 1, "a job that leaves by an exception has failed");
#endif
}

void sections_are_left_with_their_scope(const char *segment)
{
    hangwatch::worker w = attached(segment, "sections");
    hangwatch::job job(w, "1", "m", 50);
    job.step(21);
    {
        hangwatch::section outer(w, hangwatch::phase::loading, 100);
        outer.step(99);
        CHECK(phase(w) == HANGWATCH_PHASE_LOADING && word(slot(w).progress) == 99, "a section counts for itself");
        hangwatch::section inner(w, hangwatch::phase::compiling);
        CHECK(depth(w) == 2, "sections nest");
        hangwatch::section taken = std::move(inner);
        inner.leave();
        CHECK(depth(w) == 2, "a section that was moved from leaves nothing");
        taken.leave();
        CHECK(depth(w) == 1, "a section is left at once");
        taken.leave();
        CHECK(depth(w) == 1, "a section is left once");
    }
    CHECK(depth(w) == 0 && word(slot(w).progress) == 21, "the count of before goes on");
    job.end();
}

// Whether somebody has the slot of this index, seen by a worker of the same segment: tag 2 of gen16|tag8|kind8|pid32.
bool owner_is_live(const hangwatch::worker &witness, std::int32_t index)
{
    const hangwatch_slot_t *first = witness.get()->slot - witness.slot();
    return (word(first[index].owner) >> 40 & 0xff) == 2;
}

void everything_on(hangwatch::worker &w)
{
    hangwatch::error err;
    CHECK(!w.is_attached() && w.slot() == -1 && !w.should_stop(), "it reports nowhere");
    w.phase(hangwatch::phase::loading);
    w.phase_total(hangwatch::phase::loading, 1);
    w.enter(hangwatch::phase::loading);
    w.leave();
    w.begin_job("id", "model", 1);
    w.begin_job(hangwatch::job_info());
    w.step(1);
    w.beat();
    w.alive();
    w.begin_pass();
    w.extend(milliseconds(1));
    w.note("note");
    w.end_job(hangwatch::outcome::ok);
    CHECK(w.register_phase("tiling", hangwatch::phase_class::work, milliseconds(1), err) == hangwatch::phase::unknown && !err,
          "a phase of nowhere is unknown, without an error");
    CHECK(w.lane("lane", err) && !err, "a lane of nowhere is detached");
    CHECK(w.gpu_lane("lane", 0, err) && !err, "a device's lane of nowhere is detached");
    hangwatch::job job(w, "id", "model", 1);
    job.step(1);
    hangwatch::section section(w, hangwatch::phase::loading);
    section.step(1);
}

void null_and_moved_from(const char *segment)
{
    hangwatch::error err;
    hangwatch::worker null;
    CHECK(!null && null.get() == nullptr && null.release() == nullptr, "a worker made of nothing is null");
    everything_on(null);
    null.detach();

    hangwatch::worker detached = hangwatch::attach(err);
    CHECK(detached && !err, "a detached worker is no error");
    CHECK(hangwatch::attach(), "it needs nobody who hears of errors");
    everything_on(detached);

    hangwatch::worker refused = hangwatch::attach("/nonexistent/folder/segment", nullptr, err);
    CHECK(!refused && err && err.code() == hangwatch::code::not_found, "a failed attach is a null worker, and says why");
    everything_on(refused);
    const std::string endless(5000, 'x');
    refused = hangwatch::attach(view{endless.c_str(), endless.size()}, "x", err);
    CHECK(!refused && err, "no path is opened that is not the one that was named");

    hangwatch::worker w = attached(segment, "moved");
    const std::int32_t index = w.slot();
    hangwatch::worker taken(std::move(w));
    CHECK(taken.slot() == index && !w, "a worker takes its slot along");
    everything_on(w);
    w = std::move(taken);
    swap(w, taken);
    CHECK(taken.slot() == index && !w, "workers are swapped");
    hangwatch_worker_t *c = taken.release();
    CHECK(hangwatch_slot(c) == index && !taken, "a C function may have it");
    hangwatch::worker back(c);
    const hangwatch::worker witness = attached(segment, "witness");
    CHECK(owner_is_live(witness, index), "its slot is its own");
    back = attached(segment, "next");
    const std::int32_t next = back.slot();
    CHECK(back.is_attached() && next != index, "what replaces a worker was there before");
    CHECK(!owner_is_live(witness, index), "a worker that was replaced has given its slot back");
    back.detach();
    CHECK(!back && !owner_is_live(witness, next), "a worker that was detached has given its slot back");
    std::int32_t scope;
    {
        const hangwatch::worker w_of_scope = attached(segment, "scope");
        scope = w_of_scope.slot();
        CHECK(owner_is_live(witness, scope), "its slot is its own");
    }
    CHECK(!owner_is_live(witness, scope), "a worker gives its slot back with its scope");
}

void a_device(const char *pages)
{
    hangwatch::error err;
    hangwatch::worker w = attached(pages, "host");
    hangwatch::worker lane = w.gpu_lane("g0", 3, err);
    CHECK(lane.is_attached() && lane.slot() != w.slot() && !err, err.message());
    CHECK((word(slot(lane).owner) >> 32 & 0xff) == 2 && (word(slot(lane).tid) & UINT32_MAX) == 3, "a device's lane is of its kind");
    hangwatch::job job(lane, "kernel", "m", 10);
    const std::uint64_t beats = word(slot(lane).beat);
    job.step(5);
    lane.beat();
    CHECK(word(slot(lane).beat) == beats, "a device's steps and beats are its own");
    job.end();
    CHECK(well(lane) == 1, "the host begins and ends its jobs");
}

enum { WORDS = sizeof(hangwatch_slot_t) / sizeof(hangwatch_word_t) };

void copy(std::uint64_t (&to)[WORDS], const hangwatch::worker &w)
{
    const hangwatch_word_t *from = &slot(w).beat;
    for (int i = 0; i < WORDS; i++)
        to[i] = word(from[i]);
}

void a_fork(const char *segment)
{
    hangwatch::worker w = attached(segment, "parent");
    std::uint64_t before[WORDS], after[WORDS];
    {
        hangwatch::job job(w, "parent", "m", 50);
        job.step(1);
        hangwatch::section section(w, hangwatch::phase::loading);
        copy(before, w);
        const pid_t pid = fork();
        CHECK(pid >= 0, "fork works");
        if (pid == 0) {
            job.step(2);
            section.leave();
            job.end();
            everything_on(w);
            w.detach();
            CHECK(attached(segment, "child").is_attached(), "a child may attach itself");
            std::exit(0);
        }
        int status = -1;
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child is content");
        copy(after, w);
        for (int i = 0; i < WORDS; i++)
            CHECK(before[i] == after[i], "a child leaves every word of its parent's slot as it was");
        section.leave();
        job.end();
    }
    CHECK(w.is_attached() && well(w) == 1, "the parent goes on");
}

} // namespace

int main(int argc, char **argv)
{
    CHECK(argc == 3, "two segments are named");
    the_vocabulary(argv[1]);
    durations(argv[1]);
    jobs_end_with_their_scope(argv[1]);
    sections_are_left_with_their_scope(argv[1]);
    null_and_moved_from(argv[1]);
    a_device(argv[2]);
    a_fork(argv[1]);
    return 0;
}
