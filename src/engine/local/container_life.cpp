// SPDX-License-Identifier: Apache-2.0
#include "engine/local/container_life.hpp"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "engine/ending.hpp"
#include "engine/local/diagnosis.hpp"
#include "engine/local/disk.hpp"
#include "engine/local/log_files.hpp"
#include "engine/local/remains.hpp"
#include "engine/local/runtime_call.hpp"

namespace tow::engine::local {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Before it is ready an instance is asked often: a connection to a local port costs next to nothing.
constexpr Duration kFirstGap = milliseconds{10}, kLongestGap = milliseconds{50};
/// What has no port and no probe is ready when it has run this long.
constexpr Duration kProven = seconds{1};

Descriptor copy(const Descriptor& descriptor) {
  return Descriptor{descriptor ? ::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 3) : -1};
}

}  // namespace

Task<> wait_for_end(Descriptor process) {
  boost::asio::posix::stream_descriptor stream{co_await boost::asio::this_coro::executor, process.release()};
  co_await stream.async_wait(boost::asio::posix::stream_descriptor::wait_read, boost::asio::use_awaitable);
}

ContainerLife::ContainerLife(Surroundings& around, Identity identity,
                             std::shared_ptr<const Workload> workload, Wish wish,
                             std::function<void()> changed, std::function<void(const LastEnd&)> completed)
    : around_{around},
      identity_{std::move(identity)},
      workload_{std::move(workload)},
      wish_{std::move(wish)},
      changed_{std::move(changed)},
      completed_{std::move(completed)} {
  view_.name = identity_.container;
}

const ContainerSpec& ContainerLife::spec() const {
  return *std::ranges::find(workload_->containers, identity_.container, &ContainerSpec::name);
}

void ContainerLife::take(LastEnd complete) {
  sight_.finished = true;
  view_.complete = true;
  view_.last_end = std::move(complete);
  show(Phase::Ended);
}

void ContainerLife::take(Ended ended) {
  view_.restarts = ended.record.restarts + 1;
  view_.last_end = std::move(ended.end);
}

void ContainerLife::waits_for(const std::string& others) {
  if (sight_.life == Sight::Life::Absent && !view_.started) note("waits for " + others);
}

void ContainerLife::take(Running running) {
  running_ = std::move(running);
  sight_.life = Sight::Life::Running;
  sight_.started = running_.record.started;
  sight_.ready = running_.record.ready;
  sight_.passing = sight_.ready.has_value();  // it served; its probe will tell if it no longer can
  if (!running_.init) sight_.unwatched = true;
  view_.started = sight_.started;
  view_.ready = sight_.ready;
  view_.restarts = running_.record.restarts;
  view_.last_end = running_.record.last_end;
  show(sight_.passing ? Phase::Ready : Phase::Starting);
}

void ContainerLife::wish(Wish wish) {
  // Wanted again while it stops: that end is not one of its own failures.
  if (wish.run && !wish_.run) sight_.failures = 0;
  wish_ = std::move(wish);
  if (!wish_.run && given_up_) *given_up_ = true;
  signal_.notify();
}

Task<> ContainerLife::live(std::shared_ptr<const Sandbox> sandbox) {
  const auto self = shared_from_this();
  sandbox_ = std::move(sandbox);
  if (sight_.life == Sight::Life::Running) watch();
  for (;;) {
    const TimePoint now = around_.clock.now();
    const Decision decision = decide(wish_, sight_, now);
    show(decision.phase);
    if (decision.done) co_return;
    if (decision.action) {
      co_await act(*decision.action, decision.reason);
      continue;
    }
    if (decision.again)
      co_await signal_.wait_for(std::max(*decision.again - now, Duration{1}));
    else
      co_await signal_.wait();
  }
}

Task<> ContainerLife::act(Action action, const std::string& reason) {
  switch (action) {
    case Action::Make:
      co_await make_it();
      break;
    case Action::Remove:
      co_await remove_it();
      break;
    case Action::Terminate:
      if (!reason.empty()) stopped_because_ = reason + (view_.reason.empty() ? "" : ": " + view_.reason);
      sight_.terminated = around_.clock.now();
      signal(running_.init, SIGTERM);
      break;
    case Action::Kill:
      sight_.killed = true;
      signal(running_.init, SIGKILL);
      if (sight_.unwatched) {  // nobody will tell of its end
        co_await around_.pool.run([this] {
          if (running_.init) wait_for_end(running_.init, 10'000);
        });
        ended(std::nullopt, false);
      }
      break;
  }
}

/// The text of parts, with its secrets open.
Task<std::string> ContainerLife::opened(const std::vector<Value::Part>& parts, const std::string& what) {
  std::string text;
  for (const auto& part : parts) {
    if (part.secret.empty())
      text += part.text;
    else if (around_.open)
      text += co_await around_.open(part.secret);
    else
      throw fail(Code::Internal, "nobody opens secrets for {}", what);
  }
  co_return text;
}

/// Opens the secrets: the values exist from here to the end of the start.
Task<Order> ContainerLife::order() {
  const auto workload = workload_;  // another may be given to us while a secret is opened
  Order order{.id = identity_.key,
              .source = identity_.source,
              .hostname = identity_.hostname,
              .workload = *workload,
              .container = spec(),
              .sandbox = sandbox_.get(),
              .command = identity_.command,
              .terminal = identity_.terminal,
              .address = identity_.address};
  const auto variables = order.container.variables;
  for (const auto& [name, value] : variables)
    order.variables[name] = co_await opened(value.parts, "variable " + name);
  for (auto& file : order.container.files)
    if (!file.parts.empty()) file.content = co_await opened(file.parts, "file " + file.target);
  co_return order;
}

Task<> ContainerLife::make_it() {
  const auto self = shared_from_this();
  ++run_;
  sight_.life = Sight::Life::Making;
  sight_.started = sight_.ready = sight_.terminated = {};
  sight_.passing = sight_.unhealthy = sight_.unwatched = sight_.killed = false;
  stopped_because_.clear();
  std::optional<Error> failure;
  given_up_ = std::make_shared<std::atomic<bool>>(false);
  const auto given_up = given_up_;
  try {
    Order made = co_await order();
    made.given_up = given_up;
    made.before = {.restarts = view_.restarts, .last_end = view_.last_end};
    made.about_to_start = identity_.about_to_start;
    const std::string runtime = workload_->runtime.empty() ? around_.default_runtime : workload_->runtime;
    const TimePoint now = around_.clock.now();
    running_ = co_await around_.pool.run([&] {
      made.runtime = choose_runtime(runtime, around_.shop.place.runtimes(), around_.shop.cgroups);
      return make(around_.shop, made, now);
    });
  } catch (...) {
    if (is_cancellation(std::current_exception()) && !*given_up) throw;
    failure = explained(std::current_exception());
  }
  given_up_.reset();
  if (failure && *given_up) {  // the start was taken back; so much the better
    sight_.life = Sight::Life::Absent;
    co_return;
  }
  if (failure) {
    sight_.life = Sight::Life::Absent;
    sight_.ended = around_.clock.now();
    ++sight_.failures;
    if (!wish_.restart) sight_.finished = true;
    view_.restarts += wish_.restart ? 1 : 0;
    view_.last_end = LastEnd{.time = *sight_.ended, .reason = failure->message()};
    note(failure->message());
    co_return;
  }
  sight_.life = Sight::Life::Running;
  sight_.started = running_.record.started;
  view_.started = sight_.started;
  view_.ready = {};
  if (!running_.init) sight_.unwatched = false;  // it has ended already; conmon tells how
  note({});
  watch();
}

void ContainerLife::watch() {
  around_.scope.spawn(watch_end(run_));
  if (!wish_.completes) around_.scope.spawn(watch_readiness(run_));
  if (spec().liveness && wish_.restart) around_.scope.spawn(watch_liveness(run_, *spec().liveness));
}

Task<> ContainerLife::watch_end(int run) {
  const auto self = shared_from_this();
  // Of its own: the instance may be removed, and its monitor with it, while the pool still works for us.
  const auto monitor = std::make_shared<const Descriptor>(copy(running_.monitor));
  co_await wait_for_end(copy(*monitor));
  if (!current(run)) co_return;
  struct Ending {
    std::optional<int> code;
    bool out_of_memory;
  };
  const bool may_complete = wish_.completes && !sight_.terminated;
  const auto ending = co_await around_.pool.run([this, monitor, may_complete] {
    reap(*monitor);
    end_last_line(around_.shop.place.logs(identity_.source), identity_.key);
    Ending found{exit_code(around_.shop, identity_.key),
                 around_.shop.cgroups.out_of_memory_kills(around_.shop.place.cgroup(identity_.key)) > 0};
    if (found.code == 0 && may_complete) completed_({.time = around_.clock.now(), .exit_code = 0});
    return found;
  });
  if (!current(run)) co_return;
  if (ending.code)
    ended(ending.code, ending.out_of_memory && *ending.code != 0);
  else
    sight_.unwatched = true;
  signal_.notify();
}

void ContainerLife::ended(std::optional<int> code, bool out_of_memory) {
  const TimePoint now = around_.clock.now();
  const Duration after = sight_.started ? now - *sight_.started : Duration{0};
  const bool on_purpose = sight_.terminated && stopped_because_.empty();
  const bool complete = wish_.completes && code == 0 && !sight_.terminated;
  end_run(sight_, wish_,
          complete     ? Cause::Completed
          : on_purpose ? Cause::Wished
          : code       ? Cause::Own
                       : Cause::MonitorLost,
          now);
  if (wish_.run && wish_.restart && !complete) ++view_.restarts;
  view_.complete = complete;
  std::string reason = on_purpose || complete ? std::string{}
                                              : diagnose_end({.exit_code = code,
                                                              .out_of_memory = out_of_memory,
                                                              .memory_limit = spec().limits.memory,
                                                              .after = after,
                                                              .stopped_because = stopped_because_});
  view_.last_end = LastEnd{.time = now, .exit_code = code, .out_of_memory = out_of_memory, .reason = reason};
  note(std::move(reason));
  signal_.notify();
}

Task<> ContainerLife::remove_it() {
  const auto self = shared_from_this();
  const std::string runtime =
      running_.record.runtime.empty() ? around_.default_runtime : running_.record.runtime;
  const auto failure = co_await around_.pool.run([&]() -> std::string {
    try {
      unmake(around_.shop, identity_.key, maker(runtime, around_.shop.place.runtimes(), around_.shop.cgroups),
             running_.record.link, running_.monitor);
      return {};
    } catch (...) {
      return explained(std::current_exception()).message();
    }
  });
  if (!failure.empty()) {
    log::warning("engine", "what is left of {} cannot be removed yet: {}", identity_.key, failure);
    co_await around_.clock.sleep(kOnceMore);
    co_return;  // decided again
  }
  running_ = {};
  sight_.life = Sight::Life::Absent;
}

ExecProbe ContainerLife::exec_probe() {
  return [this](std::vector<std::string> command, Duration limit) -> Task<std::optional<int>> {
    co_return co_await around_.pool.run([this, command, limit, record = running_.record] {
      return run_probe(around_.shop, record, around_.default_runtime, command, limit);
    });
  };
}

/// Not being able to is no reason to end what serves: a restart of the engine will ask its probe again.
void ContainerLife::remember() {
  try {
    around_.shop.remember(running_.record);
  } catch (...) {
    log::warning("engine", "that {} is ready cannot be recorded: {}", identity_.key,
                 explained(std::current_exception()).message());
  }
}

Task<> ContainerLife::watch_readiness(int run) {
  const auto self = shared_from_this();
  const auto probe = readiness_of(*workload_, spec());
  if (!probe) {
    const TimePoint proven = *sight_.started + kProven;
    if (!sight_.ready) co_await around_.clock.sleep(std::max(proven - around_.clock.now(), Duration{1}));
    if (!current(run)) co_return;
    if (!sight_.ready) {
      sight_.ready = running_.record.ready = around_.clock.now();
      remember();
    }
    sight_.passing = true;
    co_return signal_.notify();
  }
  const ExecProbe exec = exec_probe();
  Duration gap = kFirstGap;
  int failures = 0;
  while (current(run)) {
    const auto fault = co_await ask(*probe, identity_.address, around_.pool, exec);
    if (!current(run)) co_return;
    const bool before = sight_.passing;
    if (!fault) {
      failures = 0;
      sight_.passing = true;
      if (!sight_.ready) {
        sight_.ready = running_.record.ready = view_.ready = around_.clock.now();
        remember();
      }
      if (!before) note({});
    } else if (sight_.ready) {
      if (++failures >= probe->failures) {
        sight_.passing = false;
        note(*fault);
      }
    } else if (around_.clock.now() - *sight_.started >= seconds{2}) {
      const std::string port =
          probe->kind == Probe::Kind::Exec ? "" : diagnose_port(probe->port, listeners(running_.pid));
      note(port.empty() ? *fault : port);
    }
    if (sight_.passing != before) signal_.notify();
    const bool slow = sight_.ready || probe->kind == Probe::Kind::Exec;
    co_await around_.clock.sleep(sight_.ready ? probe->period : slow ? Duration{250} : gap);
    gap = std::min(gap * 3 / 2, kLongestGap);
  }
}

Task<> ContainerLife::watch_liveness(int run, Probe probe) {
  const auto self = shared_from_this();
  const ExecProbe exec = exec_probe();
  int failures = 0;
  while (current(run)) {
    co_await around_.clock.sleep(probe.period);
    if (!current(run) || !sight_.ready) continue;  // until it is ready, the start limit watches over it
    const auto fault = co_await ask(probe, identity_.address, around_.pool, exec);
    if (!current(run)) co_return;
    failures = fault ? failures + 1 : 0;
    if (failures < probe.failures) continue;
    view_.reason = *fault;
    sight_.unhealthy = true;
    co_return signal_.notify();
  }
}

void ContainerLife::note(std::string reason) {
  if (view_.reason == reason) return;
  view_.reason = std::move(reason);
  changed_();
}

void ContainerLife::show(Phase phase) {
  if (view_.phase == phase && view_.ready == sight_.ready) return;
  view_.phase = phase;
  view_.ready = sight_.ready;
  changed_();
}

}  // namespace tow::engine::local
