// A worker in C++11, by hangwatch.hpp: a job that leaves its scope by an exception has failed, and a worker that leaves its
// scope gives its slot back.
//
//     cargo build --release -p hangwatch-ffi
//     export LD_RUN_PATH=$PWD/target/release
//     g++ -std=c++11 -I ffi/include examples/cpp_worker.cpp -L target/release -lhangwatch -o cpp_worker
//     hangwatch run -- ./cpp_worker --jobs 3
#include <hangwatch.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

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

void run_job(hangwatch::worker &worker, const Options &o, std::uint64_t number)
{
    hangwatch::job job(worker, "cpp-" + std::to_string(number), o.model, o.steps);
    for (std::uint64_t done = 1; done <= o.steps; done++) {
        if (worker.should_stop())
            return job.end(hangwatch::outcome::cancelled);
        std::this_thread::sleep_for(std::chrono::milliseconds(o.step_ms));
        job.step(done);
    }
    job.end();
}

} // namespace

int main(int argc, char **argv)
{
    const Options o = parse(argc, argv);
    hangwatch::error why;
    hangwatch::worker worker = hangwatch::attach(why);
    if (!worker)
        std::cerr << "cpp_worker: " << why.message() << "\n  going on unwatched\n";
    if (worker.is_attached())
        std::cout << "cpp_worker: slot " << worker.slot() << std::endl;
    else
        std::cout << "cpp_worker: detached" << std::endl;

    worker.phase(hangwatch::phase::idle);
    for (std::uint64_t job = 0; (o.jobs == 0 || job < o.jobs) && !worker.should_stop(); job++)
        run_job(worker, o, job);
    worker.phase(hangwatch::phase::ending);
    return 0;
}
