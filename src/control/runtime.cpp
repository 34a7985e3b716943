// SPDX-License-Identifier: Apache-2.0
#include <list>
#include <mutex>

#include "base/log.hpp"
#include "control/control.hpp"
#include "control/queue.hpp"

namespace tow::control {
namespace {

struct Runner {
  Controller controller;
  Queue queue;
};

}  // namespace

// One lock for all queues: every visit is short, and none of them awaits.
struct Runtime::State {
  explicit State(Settings s) : settings{s}, scope{s.executor, "control"} {}

  Settings settings;
  Scope scope;
  Signal changed;  // for the one task that sleeps until the next key is due
  mutable std::mutex mutex;
  std::list<Runner> runners;
  bool stopping = false;
  std::optional<TimePoint> sleeper;  // the earliest time for which a task sleeps

  Task<> watch(std::shared_ptr<State> self, std::string kind);
  Task<> tick(std::shared_ptr<State> self);
  Task<> sleep_until(std::shared_ptr<State> self, Duration wait, TimePoint when);
  Task<> run(std::shared_ptr<State> self, Runner& runner, Key key);
  void ask(Runner& runner, const Controller::Watched& watched, const Record& record);
  void dispatch(const std::shared_ptr<State>& self);
};

Runtime::Runtime(Settings settings) : state_{std::make_shared<State>(settings)} {}
Runtime::~Runtime() = default;

void Runtime::add(Controller controller) {
  auto& s = *state_;
  const Queue::Backoff backoff{s.settings.first_backoff, s.settings.last_backoff};
  s.runners.push_back({std::move(controller), Queue{backoff, s.settings.seed + s.runners.size()}});
}

void Runtime::start() {
  std::set<std::string> watched;
  for (const auto& runner : state_->runners)
    for (const auto& each : runner.controller.watches) watched.insert(each.kind);
  for (const auto& kind : watched) state_->scope.spawn(state_->watch(state_, kind));
  state_->scope.spawn(state_->tick(state_));
}

void Runtime::poke(std::string_view controller, Key key) {
  {
    const std::lock_guard lock{state_->mutex};
    for (auto& runner : state_->runners)
      if (runner.controller.name == controller) runner.queue.add(key);
  }
  state_->changed.notify();
}

Task<> Runtime::stop() {
  {
    const std::lock_guard lock{state_->mutex};
    state_->stopping = true;
  }
  state_->scope.cancel();
  co_await state_->scope.join();
}

bool Runtime::idle() const {
  const std::lock_guard lock{state_->mutex};
  for (const auto& runner : state_->runners)
    if (!runner.queue.idle()) return false;
  return true;
}

void Runtime::State::ask(Runner& runner, const Controller::Watched& watched, const Record& record) {
  if (!watched.keys) return runner.queue.add(record.key);
  for (const auto& key : watched.keys(record)) runner.queue.add(key);
}

// Everything that exists, then every change; after a lost watch, again from the start.
Task<> Runtime::State::watch(std::shared_ptr<State> self, std::string kind) {
  const auto hear = [&](const Record& record) {
    const std::lock_guard lock{mutex};
    for (auto& runner : runners)
      for (const auto& watched : runner.controller.watches)
        if (watched.kind == kind) ask(runner, watched, record);
  };
  while (true) {
    const auto snapshot = settings.store.snapshot();
    for (const auto& record : snapshot->list({.kind = kind})) hear(*record);
    dispatch(self);
    const auto watch = settings.store.watch(snapshot->revision(), {.kind = kind});
    try {
      while (true) {
        const auto changes = co_await watch->next();
        for (const auto& change : changes) hear(*change.record);
        dispatch(self);
      }
    } catch (const store::WatchLost& lost) {
      log::info("control", "the watch of {} was lost ({}); listing again", kind, lost.message());
    }
  }
}

Task<> Runtime::State::tick(std::shared_ptr<State> self) {
  while (true) {
    const auto before = settings.clock.now();
    dispatch(self);
    std::optional<TimePoint> next;
    {
      const std::lock_guard lock{mutex};
      for (const auto& runner : runners)
        if (const auto due = runner.queue.next(); due && (!next || *due < *next)) next = due;
    }
    // What was due and was not taken waits for one that runs to end, not for time.
    if (!next || *next <= before) {
      co_await changed.wait();
      continue;
    }
    // Sleeps by the injected clock, in a task of its own, so that an earlier time can overtake it.
    const auto now = settings.clock.now();
    if (*next <= now) continue;
    bool overtakes = false;
    {
      const std::lock_guard lock{mutex};
      overtakes = !sleeper || *next < *sleeper;
      if (overtakes) sleeper = *next;
    }
    if (overtakes) scope.spawn(sleep_until(self, *next - now, *next));
    co_await changed.wait();
  }
}

Task<> Runtime::State::sleep_until(std::shared_ptr<State> self, Duration wait, TimePoint when) {
  co_await settings.clock.sleep(wait);
  {
    const std::lock_guard lock{mutex};
    if (sleeper == when) sleeper.reset();
  }
  changed.notify();
}

void Runtime::State::dispatch(const std::shared_ptr<State>& self) {
  std::vector<std::pair<Runner*, Key>> due;
  {
    const std::lock_guard lock{mutex};
    if (stopping) return;
    const auto now = settings.clock.now();
    for (auto& runner : runners)
      while (runner.queue.running() < runner.controller.concurrency) {
        auto key = runner.queue.take(now);
        if (!key) break;
        due.emplace_back(&runner, std::move(*key));
      }
  }
  for (auto& [runner, key] : due) scope.spawn(run(self, *runner, std::move(key)));
}

Task<> Runtime::State::run(std::shared_ptr<State> self, Runner& runner, Key key) {
  std::optional<Outcome> outcome;
  bool conflict = false;
  std::string message;
  try {
    outcome = co_await runner.controller.reconcile(key);
  } catch (const Error& error) {
    if (error.code() == Code::Cancelled) throw;
    conflict = error.code() == Code::Conflict;
    message = error.message();
  } catch (const std::exception& error) {
    message = error.what();
  }
  {
    const std::lock_guard lock{mutex};
    const auto now = settings.clock.now();
    if (outcome) {
      runner.queue.done(key);
      if (outcome->again) runner.queue.add_at(key, now + *outcome->again);
    } else {
      const auto wait = runner.queue.failed(key, now);
      if (conflict) runner.queue.add(key);
      if (!conflict)
        log::warning("control", "{}: {}: {}; again in {}", runner.controller.name, to_string(key), message,
                     to_string(wait));
    }
  }
  changed.notify();
}

}  // namespace tow::control
