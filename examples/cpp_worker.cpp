// A worker in C++11. Two small guards keep the pairs together: a job that leaves its scope by an exception has failed, and
// a worker that leaves its scope gives its slot back.
//
//     cargo build --release -p hangwatch-ffi
//     export LD_RUN_PATH=$PWD/target/release
//     g++ -std=c++11 -I ffi/include examples/cpp_worker.cpp -L target/release -lhangwatch -o cpp_worker
//     hangwatch run -- ./cpp_worker --jobs 3
#include <hangwatch.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

struct Detach {
    void operator()(hangwatch_worker_t *w) const { hangwatch_detach(w); }
};
using Worker = std::unique_ptr<hangwatch_worker_t, Detach>;

class Job {
public:
    Job(const Worker &worker, const std::string &id, const std::string &model, std::uint64_t total) : worker_(worker.get())
    {
        hangwatch_begin_job(worker_, id.c_str(), model.c_str(), total);
    }
    ~Job() { hangwatch_end_job(worker_, outcome_); }
    Job(const Job &) = delete;
    Job &operator=(const Job &) = delete;

    void step(std::uint64_t done) { hangwatch_step(worker_, done); }
    void end(hangwatch_outcome_e outcome) { outcome_ = outcome; }

private:
    hangwatch_worker_t *worker_;
    hangwatch_outcome_e outcome_ = HANGWATCH_OUTCOME_FAILED;
};

struct Options {
    std::uint64_t steps = 50, step_ms = 100, jobs = 1;
    std::string model = "stable_diffusion_xl";
};

const char usage[] = "usage: cpp_worker [options]\n"
                     "  --steps N       steps of a job (50)\n"
                     "  --step-ms N     milliseconds of a step (100)\n"
                     "  --jobs N        jobs to run, 0 for no end (1)\n"
                     "  --model NAME    the model's name (stable_diffusion_xl)\n"
                     "  --help          this text\n";

[[noreturn]] void refuse(const std::string &why)
{
    std::cerr << "cpp_worker: " << why << '\n' << usage;
    std::exit(2);
}

std::uint64_t number(const std::string &flag, const std::string &text)
{
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos)
        refuse("cannot use " + flag + " " + text + ": expected a whole number");
    try {
        return std::stoull(text);
    } catch (const std::out_of_range &) {
        refuse("cannot use " + flag + " " + text + ": the number is too large");
    }
}

Options parse(int argc, char **argv)
{
    Options o;
    for (int i = 1; i < argc; i += 2) {
        const std::string flag = argv[i];
        if (flag == "--help") {
            std::cout << usage;
            std::exit(0);
        }
        const std::string value = i + 1 < argc ? argv[i + 1] : "";
        if (flag == "--steps")
            o.steps = number(flag, value);
        else if (flag == "--step-ms")
            o.step_ms = number(flag, value);
        else if (flag == "--jobs")
            o.jobs = number(flag, value);
        else if (flag == "--model" && i + 1 < argc)
            o.model = value;
        else
            refuse("cannot use argument '" + flag + "'");
    }
    return o;
}

void run_job(const Worker &worker, const Options &o, std::uint64_t number)
{
    Job job(worker, "cpp-" + std::to_string(number), o.model, o.steps);
    for (std::uint64_t done = 1; done <= o.steps; done++) {
        if (hangwatch_should_stop(worker.get()))
            return job.end(HANGWATCH_OUTCOME_CANCELLED);
        std::this_thread::sleep_for(std::chrono::milliseconds(o.step_ms));
        job.step(done);
    }
    job.end(HANGWATCH_OUTCOME_OK);
}

} // namespace

int main(int argc, char **argv)
{
    const Options o = parse(argc, argv);
    hangwatch_error_t err;
    const Worker worker(hangwatch_attach(nullptr, nullptr, &err));
    if (!worker)
        std::cerr << "cpp_worker: " << err.message << "\n  going on unwatched\n";
    if (hangwatch_is_attached(worker.get()))
        std::cout << "cpp_worker: slot " << hangwatch_slot(worker.get()) << std::endl;
    else
        std::cout << "cpp_worker: detached" << std::endl;

    hangwatch_phase(worker.get(), HANGWATCH_PHASE_IDLE);
    for (std::uint64_t job = 0; (o.jobs == 0 || job < o.jobs) && !hangwatch_should_stop(worker.get()); job++)
        run_job(worker, o, job);
    hangwatch_phase(worker.get(), HANGWATCH_PHASE_ENDING);
    return 0;
}
