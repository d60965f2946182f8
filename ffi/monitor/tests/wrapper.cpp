/* The C++ wrapper: a callback that throws is called again, and everything ends with its scope. argv[1] is the segment. */
#include <hangwatch_monitor.hpp>

#include "../../tests/check.h"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

int main(int argc, char **argv)
{
    hangwatch_error_t err;
    CHECK(argc == 2, "a segment is named");
    hangwatch::policy policy;
    CHECK(policy && policy.set("poll_interval", "20ms") && policy.set("inference_step_timeout", "100ms", &err), err.message);
    CHECK(policy.set_for_model("x*", "adaptive", "off") && policy.set_for_worker("y", "max_batch", "2"), "entries are taken");
    CHECK(!policy.set("nothing", "1", &err) && err.code == HANGWATCH_ERROR_USAGE, "what fails is false");

    hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
    options.segment = argv[1];
    options.policy = policy.get();
    std::atomic<int> opened(0), closed(0);
    {
        hangwatch::monitor first(options, [&](const hangwatch_event_t &event) {
            opened += event.kind == HANGWATCH_EVENT_OPENED;
            closed += event.kind == HANGWATCH_EVENT_CLOSED;
            throw std::runtime_error("the host's own");
        }, &err);
        CHECK(first, err.message);
        hangwatch::monitor second(options, nullptr, &err);
        CHECK(!second && err.code == HANGWATCH_ERROR_HELD, "one monitor a segment");
        hangwatch::monitor moved(std::move(first));
        CHECK(moved && !first, "it moves"); // NOLINT
        second = std::move(moved);

        hangwatch_worker_t *w = hangwatch_attach(argv[1], "in-cpp", &err);
        CHECK(w != nullptr, err.message);
        hangwatch_begin_job(w, "id", "m", 4);
        hangwatch_step(w, 1);
        while (opened == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        hangwatch::reader reader(argv[1], &err);
        CHECK(reader, err.message);
        const auto taken = reader.taken(&err);
        CHECK(err.code == HANGWATCH_OK && taken.size() == 1 && std::string(taken[0].worker) == "in-cpp", "slots are listed");
        CHECK(taken[0].source == HANGWATCH_SOURCE_MONITOR, "the monitor's words are read");
        CHECK(second.reload(policy, &err), err.message);
        hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
        while (closed == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        hangwatch_detach(w);
    }
    hangwatch::monitor again(options, &err);
    CHECK(again, "the first one ended with its scope");
    again.stop();
    CHECK(!again && !hangwatch::monitor() && !hangwatch::reader("/nonexistent/segment"), "nothing is false");
    return 0;
}
