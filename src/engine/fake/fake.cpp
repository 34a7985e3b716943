// SPDX-License-Identifier: Apache-2.0
#include "engine/fake/fake.hpp"

#include <algorithm>

#include "engine/fake/state.hpp"
#include "engine/validate.hpp"

namespace tow::engine::fake {
namespace {

class Printed final : public Terminal {
 public:
  Printed(std::string text, int code) : text_{std::move(text)}, code_{code} {}
  Task<std::string> read() override { co_return std::exchange(text_, {}); }
  Task<> write(std::string_view bytes) override {
    text_ += bytes;
    co_return;
  }
  void close_input() override {}
  void resize(int, int) override {}
  Task<int> wait() override { co_return code_; }

 private:
  std::string text_;
  int code_;
};

}  // namespace

Fake::Fake(World& world) : state_{world.state_} {
  const std::lock_guard lock{state_->mutex};
  listener_owner_ = state_->next_owner++;
}

Fake::~Fake() {
  const std::lock_guard lock{state_->mutex};
  state_->listeners.erase(listener_owner_);
}

Task<> Fake::start() {
  const std::lock_guard lock{state_->mutex};
  state_->admit("start");
  co_return;
}

Task<> Fake::stop() {
  const std::lock_guard lock{state_->mutex};
  state_->listeners.erase(listener_owner_);
  co_return;
}

Task<> Fake::ensure(GroupSpec spec) {
  check(spec);
  {
    const std::lock_guard lock{state_->mutex};
    state_->admit("ensure " + spec.id + " " + std::to_string(spec.count));
    const GroupId id = spec.id;
    if (const auto known = state_->groups.find(id); known != state_->groups.end())
      check_same_containers(id, known->second.spec.workload, spec.workload);
    auto& group = state_->groups[id];
    group.spec = std::move(spec);
    group.retiring = false;
    state_->settle(id);
  }
  state_->tell();
  co_return;
}

Task<> Fake::retire(GroupId id, Duration grace) {
  {
    const std::lock_guard lock{state_->mutex};
    state_->admit("retire " + id);
    const auto found = state_->groups.find(id);
    if (found == state_->groups.end()) co_return;
    found->second.retiring = true;
    found->second.grace = grace;
    state_->settle(id);
  }
  state_->tell();
}

std::optional<GroupView> Fake::group(const GroupId& id) const {
  const std::lock_guard lock{state_->mutex};
  const auto found = state_->groups.find(id);
  if (found == state_->groups.end()) return std::nullopt;
  GroupView view{.id = id,
                 .wanted = found->second.retiring ? 0 : found->second.spec.count,
                 .retiring = found->second.retiring};
  for (const auto& name : state_->instances_of(id)) view.instances.push_back(state_->copies.at(name).view);
  std::ranges::sort(view.instances, {}, &InstanceView::ordinal);
  return view;
}

std::vector<GroupView> Fake::groups() const {
  std::vector<GroupId> ids;
  {
    const std::lock_guard lock{state_->mutex};
    for (const auto& [id, group] : state_->groups) ids.push_back(id);
  }
  std::vector<GroupView> all;
  for (const auto& id : ids)
    if (auto view = group(id)) all.push_back(std::move(*view));
  return all;
}

void Fake::observe(std::function<void(const std::string& id)> listener) {
  const std::lock_guard lock{state_->mutex};
  state_->listeners[listener_owner_].push_back(std::move(listener));
}

Task<> Fake::run_job(JobSpec spec) {
  check(spec);
  {
    const std::lock_guard lock{state_->mutex};
    state_->admit("run_job " + spec.id);
    if (state_->jobs.contains(spec.id)) co_return;
    state_->jobs[spec.id] = {};
    Wish wish{.run = true, .restart = false, .deadline = state_->clock->now() + spec.deadline};
    state_->add(spec.id, 0, spec.workload, std::move(wish), true);
    const JobId id = spec.id;
    state_->job_specs[id] = std::move(spec);
    state_->changed(id);
  }
  state_->tell();
}

std::optional<JobView> Fake::job(const JobId& id) const {
  const std::lock_guard lock{state_->mutex};
  const auto found = state_->jobs.find(id);
  return found == state_->jobs.end() ? std::nullopt : std::optional{found->second};
}

Task<> Fake::remove_job(JobId id) {
  {
    const std::lock_guard lock{state_->mutex};
    state_->admit("remove_job " + id);
    state_->jobs.erase(id);
    state_->job_specs.erase(id);
    if (const auto copy = state_->copies.find(id); copy != state_->copies.end()) {
      copy->second.wish.run = false;
      state_->step(id);
    }
    state_->changed(id);
  }
  state_->tell();
  co_return;
}

Task<std::string> Fake::ensure_service(Service service) {
  check(service);
  const std::lock_guard lock{state_->mutex};
  state_->admit("ensure_service " + service.name + " " + std::to_string(service.endpoints.size()));
  const std::string net = state_->block(service.environment, 0);
  for (const auto& endpoint : service.endpoints)
    if (!endpoint.starts_with("10."))
      throw fail(Code::Invalid, "endpoint \"{}\" of service {} is no address of its environment ({}.0/23)",
                 endpoint, service.name, net);
  auto& entry = state_->services[service.environment][service.name];
  if (entry.first.empty())
    entry.first = state_->block(service.environment, 2) + "." +
                  std::to_string(++state_->last_service[service.environment]);
  entry.second = service;
  co_return entry.first;
}

Task<> Fake::remove_service(EnvironmentId environment, std::string name) {
  const std::lock_guard lock{state_->mutex};
  state_->admit("remove_service " + name);
  if (const auto found = state_->services.find(environment); found != state_->services.end())
    found->second.erase(name);
  co_return;
}

Task<> Fake::remove_environment(EnvironmentId environment) {
  const std::lock_guard lock{state_->mutex};
  state_->admit("remove_environment " + environment);
  if (const auto used = state_->addresses[environment].size(); used > 0)
    throw fail(Code::FailedPrecondition, "environment {} still has {} instances; retire their groups first",
               environment, used);
  state_->services.erase(environment);
  co_return;
}

Task<Bytes> Fake::volume_size(std::string volume) {
  const std::lock_guard lock{state_->mutex};
  const auto found = state_->volumes.find(volume);
  co_return found == state_->volumes.end() ? Bytes{} : found->second;
}

Task<> Fake::remove_volume(std::string volume) {
  const std::lock_guard lock{state_->mutex};
  state_->admit("remove_volume " + volume);
  for (const auto& [id, copy] : state_->copies)
    if (mounts(*copy.workload, volume))
      throw fail(Code::FailedPrecondition, "volume {} is in use by {}; retire it first", volume,
                 copy.view.group);
  state_->volumes.erase(volume);
  co_return;
}

Task<> Fake::logs(LogQuery query, LogSink sink) {
  const auto changed = std::make_shared<Signal>();
  std::string source = query.source, only;
  {
    const std::lock_guard lock{state_->mutex};
    state_->followers.push_back(changed);
    if (!state_->logs.contains(source) && !state_->groups.contains(source) &&
        !state_->jobs.contains(source) && source.find('-') != std::string::npos) {
      only = source;
      source = source.substr(0, source.rfind('-'));
      if (!state_->logs.contains(source) && !state_->groups.contains(source))
        throw fail(Code::NotFound, "there are no logs of {}", query.source);
    } else if (!state_->logs.contains(source) && !state_->groups.contains(source) &&
               !state_->jobs.contains(source)) {
      throw fail(Code::NotFound, "there are no logs of {}", query.source);
    }
  }
  std::size_t seen = 0;
  bool first = true;
  for (;;) {
    std::vector<LogLine> lines;
    bool goes_on;
    {
      const std::lock_guard lock{state_->mutex};
      const auto job = state_->jobs.find(source);
      goes_on = state_->groups.contains(source) ||
                (job != state_->jobs.end() && job->second.phase == JobView::Phase::Running);
      const auto& all = state_->logs[source];
      for (seen = std::min(seen, all.size()); seen < all.size(); ++seen) {
        const auto& line = all[seen];
        if (!only.empty() && line.instance != only) continue;
        if (!query.container.empty() && line.container != query.container) continue;
        if (query.since && line.time < *query.since) continue;
        lines.push_back(line);
      }
    }
    if (first && query.tail > 0 && lines.size() > query.tail)
      lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(query.tail));
    first = false;
    for (const auto& line : lines) co_await sink(line);
    if (!query.follow || !goes_on) co_return;
    co_await changed->wait();
  }
}

Task<> Fake::remove_logs(std::string source) {
  const std::lock_guard lock{state_->mutex};
  state_->logs.erase(source);
  co_return;
}

std::optional<Usage> Fake::usage(const InstanceId& instance) {
  const std::lock_guard lock{state_->mutex};
  const auto copy = state_->copies.find(instance);
  if (copy == state_->copies.end()) return std::nullopt;
  Usage all;
  for (std::size_t i = 0; i < copy->second.parts.size(); ++i) {
    if (copy->second.parts[i].sight.life != Sight::Life::Running) continue;
    all.cpu_seconds += 0.01;
    all.memory.count += 10u << 20;
    all.memory_limit.count += copy->second.workload->containers[i].limits.memory.value_or(Bytes{}).count;
    ++all.processes;
  }
  if (all.processes == 0) return std::nullopt;
  if (const auto found = state_->usages.find(instance); found != state_->usages.end()) return found->second;
  return all;
}

Task<std::unique_ptr<Terminal>> Fake::exec(InstanceId instance, std::vector<std::string> command, bool,
                                           std::string container) {
  std::pair<std::string, int> result;
  {
    const std::lock_guard lock{state_->mutex};
    state_->admit("exec " + instance + (container.empty() ? "" : " " + container));
    const Part* const part = state_->find(instance, container);
    if (!part && state_->copies.contains(instance)) throw no_such_container(instance, container);
    if (!part || part->sight.life != Sight::Life::Running)
      throw fail(Code::FailedPrecondition, "instance {} does not run", instance);
    if (state_->exec) {
      result = state_->exec(instance, command);
    } else {
      for (const auto& word : command) result.first += (result.first.empty() ? "" : " ") + word;
      result.first += "\n";
    }
  }
  co_return std::make_unique<Printed>(std::move(result.first), result.second);
}

}  // namespace tow::engine::fake
