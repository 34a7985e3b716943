// SPDX-License-Identifier: Apache-2.0
#include "engine/fake/state.hpp"

#include <algorithm>

#include "engine/ending.hpp"

namespace tow::engine::fake {

using Life = Sight::Life;
using std::chrono::milliseconds;

World::World(Executor executor, std::shared_ptr<Clock> clock)
    : state_{std::make_shared<State>(std::move(executor), std::move(clock))} {}
World::~World() = default;

Task<> World::end() {
  state_->scope.cancel();
  co_await state_->scope.join();
}

void World::State::tell() {
  for (;;) {
    std::vector<std::string> ids;
    std::vector<std::function<void(const std::string&)>> all;
    std::vector<std::shared_ptr<Signal>> waiting;
    {
      const std::lock_guard lock{mutex};
      if (untold.empty()) return;
      ids.swap(untold);
      for (const auto& [owner, functions] : listeners)
        all.insert(all.end(), functions.begin(), functions.end());
      for (const auto& one : followers)
        if (auto strong = one.lock()) waiting.push_back(std::move(strong));
    }
    for (const auto& id : ids)
      for (const auto& listener : all) listener(id);
    for (const auto& one : waiting) one->notify();
  }
}

void World::State::changed(const std::string& id) {
  if (std::ranges::find(untold, id) == untold.end()) untold.push_back(id);
}

void World::State::admit(const std::string& call) {
  calls.push_back(call);
  if (refusal) throw *refusal;
}

/// What is foreseen for a copy happens unless its run is over by then.
void World::State::later(Duration delay, const InstanceId& id, int run, std::function<void(Copy&)> event) {
  scope.spawn([](std::weak_ptr<State> weak, std::shared_ptr<Clock> time, Duration wait, InstanceId copy_id,
                 int of_run, std::function<void(Copy&)> what) -> Task<> {
    co_await time->sleep(wait);
    const auto self = weak.lock();
    if (!self) co_return;
    {
      const std::lock_guard lock{self->mutex};
      const auto found = self->copies.find(copy_id);
      if (found == self->copies.end() || found->second.run != of_run) co_return;
      what(found->second);
      self->step(copy_id);
    }
    self->tell();
  }(weak_from_this(), clock, delay, id, run, std::move(event)));
}

std::string World::State::allocate(const EnvironmentId& environment) {
  environments.try_emplace(environment, static_cast<int>(environments.size()));
  int& last = last_address[environment];
  auto& taken = addresses[environment];
  for (int step = 0; step < 500; ++step) {
    last = last % 500 + 1;
    const int host = last + 1;
    std::string address = "10.90." + std::to_string(environments[environment] * 4 + host / 256) + "." +
                          std::to_string(host % 256);
    if (taken.insert(address).second) return address;
  }
  throw Error{Code::Exhausted, "the network of the environment is full: 500 instances"};
}

void World::State::add(const std::string& source, int ordinal, const Workload& workload, Wish wish,
                       bool job) {
  const InstanceId id = job ? source : source + "-" + std::to_string(ordinal);
  Copy copy;
  copy.job = job;
  copy.wish = std::move(wish);
  copy.workload = std::make_shared<const Workload>(workload);
  copy.view = {.id = id, .group = source, .ordinal = ordinal, .address = allocate(workload.environment)};
  for (const auto& mount : workload.volumes) volumes.try_emplace(mount.volume);
  copies.insert_or_assign(id, std::move(copy));
  step(id);
}

void World::State::settle(const GroupId& id) {
  auto& group = groups.at(id);
  for (auto& [name, copy] : copies) {
    if (copy.job || copy.view.group != id) continue;
    const bool wanted = !group.retiring && copy.view.ordinal < group.spec.count;
    if (wanted && !copy.wish.run) copy.sight.failures = 0;
    copy.wish.run = wanted;
    if (group.retiring) copy.wish.grace = group.grace;
  }
  std::vector<InstanceId> mine;
  for (const auto& [name, copy] : copies)
    if (!copy.job && copy.view.group == id) mine.push_back(name);
  for (const auto& one : mine) step(one);
  const auto found = groups.find(id);
  if (found == groups.end()) return;  // the last one was gone at once
  if (!found->second.retiring)
    for (int ordinal = 0; ordinal < found->second.spec.count; ++ordinal)
      if (!copies.contains(id + "-" + std::to_string(ordinal)))
        add(id, ordinal, found->second.spec.workload,
            {.run = true, .restart = true, .start_limit = found->second.spec.workload.start_limit}, false);
  const bool left = std::ranges::any_of(copies, [&](const auto& one) { return one.second.view.group == id; });
  if (found->second.retiring && !left) groups.erase(found);
  changed(id);
}

void World::State::step(const InstanceId& id) {
  for (;;) {
    const auto found = copies.find(id);
    if (found == copies.end()) return;
    Copy& copy = found->second;
    const TimePoint now = clock->now();
    const Decision decision = decide(copy.wish, copy.sight, now);
    if (copy.view.phase != decision.phase) changed(source_of(copy));
    copy.view.phase = decision.phase;
    copy.view.ready = copy.sight.ready;
    copy.view.started = copy.sight.started;
    if (decision.done) return finish(id);
    if (!decision.action) {
      if (decision.again) later(std::max(*decision.again - now, Duration{1}), id, copy.run, [](Copy&) {});
      return;
    }
    act(copy, *decision.action, decision.reason);
  }
}

void World::State::finish(const InstanceId& id) {
  const Copy copy = std::move(copies.at(id));
  copies.erase(id);
  addresses[copy.workload->environment].erase(copy.view.address);
  const std::string source = copy.view.group;
  if (!copy.job) return settle(source);
  const auto job = jobs.find(source);
  if (job == jobs.end()) return;
  job->second.exit_code = copy.view.exit_code;
  const bool good = copy.view.exit_code == 0 && copy.view.reason.empty();
  job->second.phase = good ? JobView::Phase::Succeeded : JobView::Phase::Failed;
  job->second.reason = copy.view.reason;
  changed(source);
}

void World::State::act(Copy& copy, Action action, const std::string& reason) {
  const TimePoint now = clock->now();
  const InstanceId id = copy.view.id;
  switch (action) {
    case Action::Make: {
      const auto own = behaviours.find(copy.workload->component);
      copy.behaviour = own != behaviours.end() ? own->second : behaviours[""];
      ++copy.run;
      const int failures = copy.sight.failures;
      copy.sight = {.life = Life::Making, .failures = failures};
      later(copy.behaviour.make, id, copy.run, [this](Copy& c) {
        if (!c.behaviour.refused.empty()) {
          c.sight.life = Life::Absent;
          c.sight.ended = clock->now();
          ++c.sight.failures;
          c.sight.finished = !c.wish.restart;
          c.view.restarts += c.wish.restart ? 1 : 0;
          c.view.reason = c.behaviour.refused;
          return changed(source_of(c));
        }
        c.sight.life = Life::Running;
        c.sight.started = clock->now();
        c.view.reason = c.behaviour.never_ready && !c.job ? c.behaviour.unready_reason : "";
        for (const auto& line : c.behaviour.says) say(c.view.id, line, Stream::Out);
        if (!c.behaviour.never_ready && !c.job)
          later(c.behaviour.ready, c.view.id, c.run, [this](Copy& ready) {
            if (ready.sight.life != Life::Running) return;
            if (!ready.sight.ready) ready.sight.ready = clock->now();
            ready.sight.passing = true;
          });
        auto ends = c.behaviour.ends_after;
        if (c.job && !ends) ends = milliseconds{10};
        if (ends)
          later(*ends, c.view.id, c.run, [this](Copy& over) {
            if (over.sight.life != Life::Running) return;
            const int code = over.behaviour.out_of_memory ? 137 : over.behaviour.exit_code;
            ended(over, code, over.behaviour.out_of_memory, "");
          });
      });
      break;
    }
    case Action::Terminate:
      copy.sight.terminated = now;
      copy.faulty = !reason.empty();
      if (!reason.empty())
        copy.view.reason = reason + (copy.view.reason.empty() ? "" : ": " + copy.view.reason);
      if (!copy.behaviour.ignores_term)
        later(copy.behaviour.stop, id, copy.run, [this](Copy& c) {
          if (c.sight.life == Life::Running) ended(c, 0, false, c.faulty ? c.view.reason : "");
        });
      break;
    case Action::Kill:
      copy.sight.killed = true;
      later(milliseconds{1}, id, copy.run, [this](Copy& c) {
        if (c.sight.life == Life::Running) ended(c, 137, false, c.faulty ? c.view.reason : "");
      });
      break;
    case Action::Remove:
      copy.sight.life = Life::Absent;
      break;
  }
}

void World::State::ended(Copy& copy, int exit_code, bool out_of_memory, const std::string& reason) {
  const bool on_purpose = copy.sight.terminated && !copy.faulty;
  end_run(copy.sight, copy.wish, on_purpose ? Cause::Wished : Cause::Own, clock->now());
  copy.faulty = false;
  if (copy.wish.run && copy.wish.restart) ++copy.view.restarts;
  copy.view.exit_code = exit_code;
  copy.view.out_of_memory = out_of_memory;
  if (!reason.empty())
    copy.view.reason = reason;
  else if (out_of_memory)
    copy.view.reason = killed_for_memory(copy.workload->limits.memory);
  else if (on_purpose || (copy.job && exit_code == 0))
    copy.view.reason.clear();
  else
    copy.view.reason = "exited with " + std::to_string(exit_code);
  changed(source_of(copy));
}

void World::State::say(const InstanceId& id, const std::string& line, Stream stream) {
  const auto found = copies.find(id);
  const std::string source = found == copies.end() ? id.substr(0, id.rfind('-')) : found->second.view.group;
  logs[source].push_back({.time = clock->now(), .instance = id, .stream = stream, .text = line});
  changed(source);
}

void World::behave(const std::string& component, Behaviour behaviour) {
  const std::lock_guard lock{state_->mutex};
  state_->behaviours[component] = std::move(behaviour);
}

void World::crash(const InstanceId& instance, int exit_code) {
  {
    const std::lock_guard lock{state_->mutex};
    const auto found = state_->copies.find(instance);
    if (found == state_->copies.end() || found->second.sight.life != Life::Running) return;
    state_->ended(found->second, exit_code, false, "");
    state_->step(instance);
  }
  state_->tell();
}

void World::kill_for_memory(const InstanceId& instance) {
  {
    const std::lock_guard lock{state_->mutex};
    const auto found = state_->copies.find(instance);
    if (found == state_->copies.end() || found->second.sight.life != Life::Running) return;
    state_->ended(found->second, 137, true, "");
    state_->step(instance);
  }
  state_->tell();
}

void World::set_passing(const InstanceId& instance, bool passing) {
  {
    const std::lock_guard lock{state_->mutex};
    const auto found = state_->copies.find(instance);
    if (found == state_->copies.end() || !found->second.sight.ready) return;
    found->second.sight.passing = passing;
    state_->step(instance);
  }
  state_->tell();
}

void World::say(const InstanceId& instance, const std::string& line, Stream stream) {
  {
    const std::lock_guard lock{state_->mutex};
    state_->say(instance, line, stream);
  }
  state_->tell();
}

void World::reboot() {
  {
    const std::lock_guard lock{state_->mutex};
    std::vector<InstanceId> all;
    for (auto& [id, copy] : state_->copies) {
      ++copy.run;
      copy.sight = {.finished = copy.job};
      copy.view.exit_code = {};
      copy.view.reason = copy.job ? "it was lost when the machine or its monitor went down" : "";
      all.push_back(id);
    }
    for (const auto& id : all) state_->step(id);
  }
  state_->tell();
}

void World::refuse(std::optional<Error> error) {
  const std::lock_guard lock{state_->mutex};
  state_->refusal = std::move(error);
}
void World::set_usage(const InstanceId& instance, Usage usage) {
  const std::lock_guard lock{state_->mutex};
  state_->usages[instance] = usage;
}
void World::set_exec(Exec exec) {
  const std::lock_guard lock{state_->mutex};
  state_->exec = std::move(exec);
}
void World::set_volume(const std::string& volume, Bytes size) {
  const std::lock_guard lock{state_->mutex};
  state_->volumes[volume] = size;
}

std::optional<Service> World::service(const EnvironmentId& environment, const std::string& name) const {
  const std::lock_guard lock{state_->mutex};
  const auto found = state_->services.find(environment);
  if (found == state_->services.end() || !found->second.contains(name)) return std::nullopt;
  return found->second.at(name).second;
}

std::vector<std::string> World::calls() const {
  const std::lock_guard lock{state_->mutex};
  return state_->calls;
}

}  // namespace tow::engine::fake
