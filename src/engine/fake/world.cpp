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

/// What is foreseen for a container happens unless its run is over by then.
void World::State::later(Duration delay, const InstanceId& id, const Part& part,
                         std::function<void(Copy&, Part&)> event) {
  scope.spawn([](std::weak_ptr<State> weak, std::shared_ptr<Clock> time, Duration wait, InstanceId copy_id,
                 std::string container, int of_run, std::function<void(Copy&, Part&)> what) -> Task<> {
    co_await time->sleep(wait);
    const auto self = weak.lock();
    if (!self) co_return;
    {
      const std::lock_guard lock{self->mutex};
      Part* const found = self->find(copy_id, container);
      if (!found || found->run != of_run) co_return;
      what(self->copies.at(copy_id), *found);
      self->step(copy_id);
    }
    self->tell();
  }(weak_from_this(), clock, delay, id, part.view.name, part.run, std::move(event)));
}

Part* World::State::find(const InstanceId& id, const std::string& container) {
  const auto copy = copies.find(id);
  if (copy == copies.end()) return nullptr;
  for (auto& part : copy->second.parts)
    if (container.empty() || part.view.name == container) return &part;
  return nullptr;
}

std::string World::State::block(const EnvironmentId& environment, int number) {
  environments.try_emplace(environment, static_cast<int>(environments.size()));
  const int all = environments[environment] * 4 + number;
  return "10." + std::to_string(90 + all / 256) + "." + std::to_string(all % 256);
}

std::string World::State::allocate(const EnvironmentId& environment) {
  int& last = last_address[environment];
  auto& taken = addresses[environment];
  for (int step = 0; step < 500; ++step) {
    last = last % 500 + 1;
    const int host = last + 1;
    std::string address = block(environment, host / 256) + "." + std::to_string(host % 256);
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
  for (const auto& container : workload.containers) {
    for (const auto& mount : container.volumes) volumes.try_emplace(mount.volume);
    Part part;
    part.view.name = container.name;
    copy.parts.push_back(std::move(part));
  }
  copies.insert_or_assign(id, std::move(copy));
  step(id);
}

// Their ids begin with the group's.
std::vector<InstanceId> World::State::instances_of(const GroupId& id) const {
  const std::string prefix = id + "-";
  std::vector<InstanceId> found;
  for (auto at = copies.lower_bound(prefix); at != copies.end() && at->first.starts_with(prefix); ++at)
    if (!at->second.job && at->second.view.group == id) found.push_back(at->first);
  return found;
}

void World::State::settle(const GroupId& id) {
  auto& group = groups.at(id);
  const std::vector<InstanceId> mine = instances_of(id);
  for (const auto& name : mine) {
    auto& copy = copies.at(name);
    const bool wanted = !group.retiring && copy.view.ordinal < group.spec.count;
    if (wanted && !copy.wish.run)
      for (auto& part : copy.parts) part.sight.failures = 0;
    copy.wish.run = wanted && !copy.going;
    if (group.retiring) copy.wish.grace = group.grace;
  }
  for (const auto& one : mine) step(one);
  const auto found = groups.find(id);
  if (found == groups.end()) return;  // the last one was gone at once
  if (!found->second.retiring)
    for (int ordinal = 0; ordinal < found->second.spec.count; ++ordinal)
      if (!copies.contains(id + "-" + std::to_string(ordinal)))
        add(id, ordinal, found->second.spec.workload,
            {.run = true, .restart = true, .start_limit = found->second.spec.workload.start_limit}, false);
  if (found->second.retiring && instances_of(id).empty()) groups.erase(found);
  changed(id);
}

/// Decides for each part and acts; true when something has become possible for another.
bool World::State::step_parts(Copy& copy) {
  bool again = false;
  for (std::size_t i = 0; i < copy.parts.size(); ++i) {
    Part& part = copy.parts[i];
    const auto& spec = copy.workload->containers[i];
    part.wish = copy.wish;
    part.wish.completes = completes(*copy.workload, spec.name);
    if (part.wish.completes) part.wish.start_limit.reset();
    const auto waits_for = awaited(spec, copy.progress);
    part.wish.waits = !waits_for.empty();
    if (part.wish.waits && part.sight.life == Life::Absent) part.view.reason = "waits for " + waits_for;
    for (;;) {
      const TimePoint now = clock->now();
      const Decision decision = decide(part.wish, part.sight, now);
      if (part.view.phase != decision.phase) changed(source_of(copy));
      part.view.phase = decision.phase;
      part.view.ready = part.sight.ready;
      part.view.started = part.sight.started;
      if (decision.done && !copy.wish.run && !copy.job) copy.going = true;
      if (!decision.action) {
        if (decision.again)
          later(std::max(*decision.again - now, Duration{1}), copy.view.id, part, [](Copy&, Part&) {});
        break;
      }
      act(copy, part, *decision.action, decision.reason);
    }
    const Progress before = copy.progress;
    note(copy.progress, part.view);
    again |= before != copy.progress;
  }
  return again;
}

void World::State::step(const InstanceId& id) {
  const auto found = copies.find(id);
  if (found == copies.end()) return;
  Copy& copy = found->second;
  while (step_parts(copy)) {
  }
  const Phase before = copy.view.phase;
  copy.view.containers.clear();
  for (const auto& part : copy.parts) copy.view.containers.push_back(part.view);
  combine(copy.view);
  if (copy.view.phase != before) changed(source_of(copy));
  if (std::ranges::all_of(copy.parts, [](const Part& part) { return part.view.phase == Phase::Ended; }))
    finish(id);
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

void World::State::make(Copy& copy, Part& part) {
  const auto& component = copy.workload->component;
  const auto own = behaviours.find(component + "/" + part.view.name), its = behaviours.find(component);
  part.behaviour = own != behaviours.end()   ? own->second
                   : its != behaviours.end() ? its->second
                                             : behaviours[""];
  ++part.run;
  const int failures = part.sight.failures;
  part.sight = {.life = Life::Making, .failures = failures};
  later(part.behaviour.make, copy.view.id, part, [this](Copy& c, Part& p) {
    if (!p.behaviour.refused.empty()) {
      p.sight.life = Life::Absent;
      p.sight.ended = clock->now();
      ++p.sight.failures;
      p.sight.finished = !p.wish.restart;
      p.view.restarts += p.wish.restart ? 1 : 0;
      p.view.reason = p.behaviour.refused;
      return changed(source_of(c));
    }
    p.sight.life = Life::Running;
    p.sight.started = clock->now();
    const bool serves = !c.job && !p.wish.completes;
    p.view.reason = p.behaviour.never_ready && serves ? p.behaviour.unready_reason : "";
    for (const auto& line : p.behaviour.says) say(c.view.id, p.view.name, line, Stream::Out);
    if (!p.behaviour.never_ready && serves)
      later(p.behaviour.ready, c.view.id, p, [this](Copy&, Part& ready) {
        if (ready.sight.life != Life::Running) return;
        if (!ready.sight.ready) ready.sight.ready = clock->now();
        ready.sight.passing = true;
      });
    auto ends = p.behaviour.ends_after;
    if (!serves && !ends) ends = milliseconds{10};
    if (ends)
      later(*ends, c.view.id, p, [this](Copy& owner, Part& over) {
        if (over.sight.life != Life::Running) return;
        const int code = over.behaviour.out_of_memory ? 137 : over.behaviour.exit_code;
        ended(owner, over, code, over.behaviour.out_of_memory, "");
      });
  });
}

void World::State::act(Copy& copy, Part& part, Action action, const std::string& reason) {
  const InstanceId id = copy.view.id;
  switch (action) {
    case Action::Make:
      make(copy, part);
      break;
    case Action::Terminate:
      part.sight.terminated = clock->now();
      part.faulty = !reason.empty();
      if (!reason.empty())
        part.view.reason = reason + (part.view.reason.empty() ? "" : ": " + part.view.reason);
      if (!part.behaviour.ignores_term)
        later(part.behaviour.stop, id, part, [this](Copy& c, Part& p) {
          if (p.sight.life == Life::Running) ended(c, p, 0, false, p.faulty ? p.view.reason : "");
        });
      break;
    case Action::Kill:
      part.sight.killed = true;
      later(milliseconds{1}, id, part, [this](Copy& c, Part& p) {
        if (p.sight.life == Life::Running) ended(c, p, 137, false, p.faulty ? p.view.reason : "");
      });
      break;
    case Action::Remove:
      part.sight.life = Life::Absent;
      break;
  }
}

void World::State::ended(Copy& copy, Part& part, int exit_code, bool out_of_memory,
                         const std::string& reason) {
  const bool on_purpose = part.sight.terminated && !part.faulty;
  const bool complete = part.wish.completes && exit_code == 0 && !part.sight.terminated;
  const TimePoint now = clock->now();
  end_run(part.sight, part.wish, on_purpose ? Cause::Wished : complete ? Cause::Completed : Cause::Own, now);
  part.faulty = false;
  if (part.wish.run && part.wish.restart && !complete) ++part.view.restarts;
  const auto& containers = copy.workload->containers;
  const auto spec = std::ranges::find(containers, part.view.name, &ContainerSpec::name);
  if (!reason.empty())
    part.view.reason = reason;
  else if (out_of_memory)
    part.view.reason = killed_for_memory(spec->limits.memory);
  else if (on_purpose || complete || (copy.job && exit_code == 0))
    part.view.reason.clear();
  else
    part.view.reason = "exited with " + std::to_string(exit_code);
  part.view.complete = complete;
  part.view.last_end = LastEnd{
      .time = now, .exit_code = exit_code, .out_of_memory = out_of_memory, .reason = part.view.reason};
  changed(source_of(copy));
}

void World::State::say(const InstanceId& id, const std::string& container, const std::string& line,
                       Stream stream) {
  const auto found = copies.find(id);
  const std::string source = found == copies.end() ? id.substr(0, id.rfind('-')) : found->second.view.group;
  const bool several = found != copies.end() && found->second.parts.size() > 1;
  logs[source].push_back({.time = clock->now(),
                          .instance = id,
                          .container = several ? container : std::string{},
                          .stream = stream,
                          .text = line});
  changed(source);
}

void World::behave(const std::string& component, Behaviour behaviour) {
  const std::lock_guard lock{state_->mutex};
  state_->behaviours[component] = std::move(behaviour);
}

void World::crash(const InstanceId& instance, int exit_code, const std::string& container) {
  {
    const std::lock_guard lock{state_->mutex};
    Part* const part = state_->find(instance, container);
    if (!part || part->sight.life != Life::Running) return;
    state_->ended(state_->copies.at(instance), *part, exit_code, false, "");
    state_->step(instance);
  }
  state_->tell();
}

void World::kill_for_memory(const InstanceId& instance, const std::string& container) {
  {
    const std::lock_guard lock{state_->mutex};
    Part* const part = state_->find(instance, container);
    if (!part || part->sight.life != Life::Running) return;
    state_->ended(state_->copies.at(instance), *part, 137, true, "");
    state_->step(instance);
  }
  state_->tell();
}

void World::set_passing(const InstanceId& instance, bool passing, const std::string& container) {
  {
    const std::lock_guard lock{state_->mutex};
    Part* const part = state_->find(instance, container);
    if (!part || !part->sight.ready) return;
    part->sight.passing = passing;
    state_->step(instance);
  }
  state_->tell();
}

void World::say(const InstanceId& instance, const std::string& line, Stream stream) {
  {
    const std::lock_guard lock{state_->mutex};
    const auto found = state_->copies.find(instance);
    const bool known = found != state_->copies.end();
    state_->say(instance, known ? found->second.workload->main().name : "", line, stream);
  }
  state_->tell();
}

void World::reboot() {
  {
    const std::lock_guard lock{state_->mutex};
    std::vector<InstanceId> all;
    for (auto& [id, copy] : state_->copies) {
      copy.progress.clear();
      for (auto& part : copy.parts) {
        ++part.run;
        part.sight = {.finished = copy.job};
        const std::string name = part.view.name;
        part.view = {};
        part.view.name = name;
        if (copy.job) part.view.reason = "it was lost when the machine or its monitor went down";
      }
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
