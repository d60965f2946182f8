/*
 * hangwatch_monitor.hpp: hangwatch_monitor.h for C++11 to C++20, with what C++ adds: objects that end with their scope, and a
 * callback that is any callable and may throw. The C header is the manual; everything in it may be used on get().
 *
 *     hangwatch::policy policy;
 *     policy.set("progress_timeout", "60s");
 *     hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
 *     options.policy = policy.get();
 *     hangwatch::monitor monitor(options, [](const hangwatch_event_t &event) { log(event.sentence); });
 *
 * Nothing here throws but what the standard library throws for want of memory where a list is returned. Where something failed the
 * object is false, and the hangwatch_error_t that was given says why (hangwatch.hpp's error has one: get()).
 */
#ifndef HANGWATCH_MONITOR_HPP
#define HANGWATCH_MONITOR_HPP

/* The C headers are C: their casts are not to be held against a program that has none of them. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#include "hangwatch_monitor.h"
#pragma GCC diagnostic pop

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace hangwatch {

/* What a monitor expects of workers; freed with it. */
class policy {
public:
    policy() noexcept : held_(hangwatch_policy_new()) {}
    explicit operator bool() const noexcept { return static_cast<bool>(held_); }
    hangwatch_policy_t *get() const noexcept { return held_.get(); }

    bool set(const char *key, const char *value, hangwatch_error_t *err = nullptr) noexcept
    {
        return hangwatch_policy_set(get(), key, value, err) == 1;
    }
    bool set_for_model(const char *pattern, const char *key, const char *value, hangwatch_error_t *err = nullptr) noexcept
    {
        return hangwatch_policy_set_for_model(get(), pattern, key, value, err) == 1;
    }
    bool set_for_worker(const char *pattern, const char *key, const char *value, hangwatch_error_t *err = nullptr) noexcept
    {
        return hangwatch_policy_set_for_worker(get(), pattern, key, value, err) == 1;
    }

private:
    struct free_ {
        void operator()(hangwatch_policy_t *p) const noexcept { hangwatch_policy_free(p); }
    };
    std::unique_ptr<hangwatch_policy_t, free_> held_;
};

/* Reads a segment; closed with it. */
class reader {
public:
    explicit reader(const char *segment = nullptr, hangwatch_error_t *err = nullptr) noexcept
        : held_(hangwatch_reader_open(segment, err))
    {
    }
    explicit operator bool() const noexcept { return static_cast<bool>(held_); }
    hangwatch_reader_t *get() const noexcept { return held_.get(); }

    /* Every slot that is anybody's; none where err says why. */
    std::vector<hangwatch_snapshot_t> taken(hangwatch_error_t *err = nullptr)
    {
        std::vector<hangwatch_snapshot_t> all;
        hangwatch_snapshot_t one;
        one.struct_size = sizeof one;
        for (uint32_t from = 0; hangwatch_reader_next(get(), from, &one, err) == 1; from = one.slot + 1)
            all.push_back(one);
        return all;
    }

private:
    struct close_ {
        void operator()(hangwatch_reader_t *r) const noexcept { hangwatch_reader_close(r); }
    };
    std::unique_ptr<hangwatch_reader_t, close_> held_;
};

/*
 * A monitor at work; stopped with it, which waits for the callback that runs. So it is not to be destroyed in its own callback: there
 * it is left running, for ever.
 */
class monitor {
public:
    using callback = std::function<void(const hangwatch_event_t &)>;

    monitor() noexcept = default;

    /* on_event goes in the place of options.on_event; what it throws ends there. */
    monitor(hangwatch_monitor_options_t options, callback on_event, hangwatch_error_t *err = nullptr) noexcept
    {
        try {
            on_event_.reset(new callback(std::move(on_event)));
        } catch (...) {
            if (err != nullptr)
                *err = hangwatch_error_t{HANGWATCH_ERROR_SYSTEM, "cannot start a monitor: the callback cannot be kept"};
            return;
        }
        options.on_event = call_;
        options.user_data = on_event_.get();
        held_ = hangwatch_monitor_start(&options, err);
    }
    explicit monitor(const hangwatch_monitor_options_t &options, hangwatch_error_t *err = nullptr) noexcept
        : held_(hangwatch_monitor_start(&options, err))
    {
    }
    monitor(monitor &&other) noexcept : on_event_(std::move(other.on_event_)), held_(other.held_) { other.held_ = nullptr; }
    monitor &operator=(monitor &&other) noexcept
    {
        if (this != &other) {
            stop();
            on_event_ = std::move(other.on_event_);
            held_ = other.held_;
            other.held_ = nullptr;
        }
        return *this;
    }
    monitor(const monitor &) = delete;
    monitor &operator=(const monitor &) = delete;
    ~monitor() { stop(); }

    explicit operator bool() const noexcept { return held_ != nullptr; }
    hangwatch_monitor_t *get() const noexcept { return held_; }

    bool reload(const policy &p, hangwatch_error_t *err = nullptr) noexcept
    {
        return hangwatch_monitor_reload(held_, p.get(), err) == 1;
    }

    /* Stops it now. */
    void stop() noexcept
    {
        if (held_ != nullptr && hangwatch_monitor_stop(held_, nullptr) == 0)
            (void)on_event_.release(); /* in its own callback: it goes on, and so must what it calls */
        held_ = nullptr;
        on_event_.reset();
    }

private:
    static void call_(const hangwatch_event_t *event, void *user_data) noexcept
    {
        try {
            callback &on_event = *static_cast<callback *>(user_data);
            if (on_event)
                on_event(*event);
        } catch (...) {
            /* An exception must not cross the library. The next event is told all the same. */
        }
    }

    std::unique_ptr<callback> on_event_;
    hangwatch_monitor_t *held_ = nullptr;
};

} // namespace hangwatch

#endif /* HANGWATCH_MONITOR_HPP */
