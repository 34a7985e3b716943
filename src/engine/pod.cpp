// SPDX-License-Identifier: Apache-2.0
#include "engine/pod.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

namespace tow::engine {
namespace {

std::string_view words(Milestone milestone) {
  switch (milestone) {
    case Milestone::Started:
      return "run";
    case Milestone::Ready:
      return "be ready";
    case Milestone::Complete:
      return "be complete";
  }
  return "";
}

/// How much a phase weighs in that of the whole.
int weight(Phase phase) {
  switch (phase) {
    case Phase::Ended:
      return 0;
    case Phase::Ready:
      return 1;
    case Phase::Unready:
      return 2;
    case Phase::Starting:
      return 3;
    case Phase::Backoff:
      return 4;
    case Phase::Stopping:
      return 5;
  }
  return 0;
}

/// Whose reason is told first: what keeps ending explains what waits for it.
int telling(const ContainerView& container) {
  if (container.reason.empty()) return 0;
  if (container.phase == Phase::Starting && !container.started) return 1;
  return 1 + weight(container.phase);
}

}  // namespace

bool completes(const Workload& workload, const std::string& container) {
  return std::ranges::any_of(workload.containers, [&](const ContainerSpec& other) {
    const auto found = other.after.find(container);
    return found != other.after.end() && found->second == Milestone::Complete;
  });
}

bool mounts(const Workload& workload, const std::string& volume) {
  return std::ranges::any_of(workload.containers, [&](const ContainerSpec& container) {
    return std::ranges::find(container.volumes, volume, &VolumeMount::volume) != container.volumes.end();
  });
}

void note(Progress& progress, const ContainerView& container) {
  auto& reached = progress[container.name];
  if (container.started) reached.insert(Milestone::Started);
  if (container.ready) reached.insert(Milestone::Ready);
  if (container.complete) reached.insert({Milestone::Started, Milestone::Ready, Milestone::Complete});
}

std::string awaited(const ContainerSpec& container, const Progress& progress) {
  std::vector<std::string> all;
  for (const auto& [other, milestone] : container.after) {
    const auto found = progress.find(other);
    if (found == progress.end() || !found->second.contains(milestone))
      all.push_back(fmt::format("{} to {}", other, words(milestone)));
  }
  return fmt::format("{}", fmt::join(all, ", "));
}

void combine(InstanceView& view) {
  const ContainerView* worst = nullptr;
  const ContainerView* speaks = nullptr;
  const LastEnd* last = nullptr;
  bool all_ready = true;
  view.restarts = 0;
  view.started.reset();
  view.ready.reset();
  for (const auto& one : view.containers) {
    view.restarts += one.restarts;
    if (!worst || weight(one.phase) > weight(worst->phase)) worst = &one;
    if (!speaks || telling(one) > telling(*speaks)) speaks = &one;
    if (one.last_end && (!last || one.last_end->time > last->time)) last = &*one.last_end;
    view.started = std::max(view.started, one.started);
    if (one.complete) continue;
    all_ready = all_ready && one.ready;
    view.ready = std::max(view.ready, one.ready);
  }
  if (!all_ready) view.ready.reset();
  if (worst) view.phase = worst->phase;
  view.reason = !speaks || speaks->reason.empty() ? std::string{}
                : view.containers.size() == 1     ? speaks->reason
                                                  : speaks->name + ": " + speaks->reason;
  view.exit_code = last ? last->exit_code : std::nullopt;
  view.out_of_memory = last && last->out_of_memory;
}

std::string find_cycle(const std::vector<ContainerSpec>& containers) {
  std::vector<std::string> way;
  std::set<std::string> done;
  std::string found;
  std::function<void(const std::string&)> visit = [&](const std::string& name) {
    if (!found.empty() || done.contains(name)) return;
    if (const auto at = std::ranges::find(way, name); at != way.end()) {
      found = fmt::format("{} → {}", fmt::join(at, way.end(), " → "), name);
      return;
    }
    way.push_back(name);
    const auto spec = std::ranges::find(containers, name, &ContainerSpec::name);
    if (spec != containers.end())
      for (const auto& [other, milestone] : spec->after) visit(other);
    way.pop_back();
    done.insert(name);
  };
  for (const auto& one : containers) visit(one.name);
  return found;
}

}  // namespace tow::engine
