// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "observe/core.hpp"
#include "observe/names.hpp"

namespace tow::observe {
namespace {

constexpr Duration kWindow = std::chrono::minutes{1};  // of rates
constexpr Duration kShortest = std::chrono::milliseconds{500};

}  // namespace

/// Since the last sampling; right after it, and before the first one, what can be said instead.
double Core::present_cores(const engine::InstanceView& instance, const engine::Usage& usage) {
  const auto now = usage::row(settings.clock.now(), usage);
  const std::lock_guard lock{mutex};
  if (const auto found = usages.find(instance.id); found != usages.end()) {
    if (now.time - found->second.row.time < kShortest) return found->second.cores;
    return cores(found->second.row, now);
  }
  if (!instance.started || now.time - *instance.started < kShortest) return 0;
  return cores(Row{.time = *instance.started}, now);
}

Task<std::optional<GoldenSignals>> Core::present_golden_signals(const Record& deployment) {
  SignalsPtr present;
  try {
    present = co_await present_signals();
  } catch (const Error& error) {
    if (error.code() == Code::Cancelled) throw;
    log::warning("observe", "the proxy's counters cannot be read: {}", error.message());
    co_return std::nullopt;
  }
  const auto now = settings.clock.now();
  std::vector<SiteWindow> windows;
  std::vector<std::string> sites;
  for (auto site = present->lower_bound(deployment.uid);
       site != present->end() && deployment_of(site->first) == deployment.uid; ++site) {
    sites.push_back(site->first);
    windows.push_back({.before = {}, .now = traffic::row(now, site->second)});
  }
  if (windows.empty()) co_return std::nullopt;
  co_await on_disk([&] {
    for (std::size_t i = 0; i < sites.size(); ++i) {
      // The newest sample that is a minute old, or the oldest one of a shorter past; else its beginning.
      const auto rows = rings.read(traffic::series(sites[i]), now - 5 * kWindow, now - kShortest);
      auto& window = windows[i];
      window.before = Row{.time = std::max(deployment.created, now - kWindow)};
      if (deployment.created < now - kWindow && rows.empty()) window.before = window.now;
      if (!rows.empty()) window.before = rows.front();
      for (const auto& row : rows)
        if (row.time <= now - kWindow) window.before = row;
    }
  });
  co_return golden_signals(windows);
}

namespace {

ContainerStatus status_of(const engine::ContainerView& view) {
  ContainerStatus made{.name = view.name,
                       .phase = view.complete ? "complete" : std::string{engine::name(view.phase)},
                       .restarts = view.restarts,
                       .reason = view.reason,
                       .started = view.started,
                       .last_end = {}};
  if (view.last_end)
    made.last_end = EndStatus{
        .time = view.last_end->time, .exit_code = view.last_end->exit_code, .reason = view.last_end->reason};
  return made;
}

// What the engine no longer knows, after a restart of the machine for instance, is on record.
void keep_last_ends(const store::Snapshot& snapshot, const std::string& project, const std::string& instance,
                    std::vector<ContainerStatus>& containers) {
  const auto record = snapshot.get(key<Instance>(project, instance));
  if (!record) return;
  for (const auto& known : decode<Instance>(record).status.containers)
    for (auto& container : containers)
      if (container.name == known.name && !container.last_end) container.last_end = known.last_end;
}

}  // namespace

Task<DeploymentStatus> Core::status(api::Call call) {
  const auto snapshot = settings.store.snapshot();
  const auto record = need(call.target);
  const auto deployment = decode<Deployment>(record);
  DeploymentStatus made{.deployment = record->key.name,
                        .phase = deployment.status.phase,
                        .message = deployment.status.message,
                        .release = deployment.spec.release,
                        .commit = {},
                        .serving = deployment.status.serving,
                        .latest = deployment.status.latest,
                        .scale = deployment.spec.scale,
                        .scale_by = deployment.spec.scale_by,
                        .hold = deployment.spec.hold,
                        .urls = deployment.status.urls,
                        .instances = {},
                        .signals = {}};
  for (const auto& revision : revisions(*snapshot, *record)) {
    const auto name = parse_revision_name(revision->key.name);
    const int number = name ? name->number : 0;
    if (number == made.serving) made.release = decode<Revision>(revision).spec.release;
    const auto group = settings.engine.group(revision->uid);
    if (!group) continue;
    for (const auto& instance : group->instances) {
      InstanceStatus one{.name = short_name(instance.id),
                         .revision = number,
                         .phase = std::string{engine::name(instance.phase)},
                         .restarts = instance.restarts,
                         .reason = instance.reason,
                         .started = instance.started,
                         .cpu = 0,
                         .memory = {},
                         .memory_limit = {},
                         .containers = {}};
      for (const auto& container : instance.containers) one.containers.push_back(status_of(container));
      keep_last_ends(*snapshot, record->key.project, instance.id, one.containers);
      if (const auto usage = settings.engine.usage(instance.id)) {
        one.cpu = present_cores(instance, *usage);
        one.memory = usage->memory;
        one.memory_limit = usage->memory_limit;
      }
      made.instances.push_back(std::move(one));
    }
  }
  std::ranges::stable_sort(made.instances, std::greater{}, &InstanceStatus::revision);
  if (!made.release.empty()) {
    const auto release = co_await settings.store.find(key<Release>(record->key.project, made.release));
    if (release) made.commit = decode<Release>(release).spec.commit;
  }
  made.signals = co_await present_golden_signals(*record);
  co_return made;
}

}  // namespace tow::observe
