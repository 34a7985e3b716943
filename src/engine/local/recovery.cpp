// SPDX-License-Identifier: Apache-2.0
// The engine's first and last hour: what runs is brought together with what the records want, or all of it
// goes.
#include <signal.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "engine/local/engine.hpp"
#include "engine/local/remains.hpp"

namespace tow::engine::local {

namespace fs = std::filesystem;

Task<> Local::start() {
  if (shop_.conmon.empty())
    throw Error{Code::NotFound, "conmon is not installed; install the package conmon"};
  co_await pool_.run([this] {
    choose_runtime(settings_.runtime, place_.runtimes(), cgroups_);
    for (const auto& conflict : networks_.conflicts()) throw Error{Code::FailedPrecondition, conflict};
    place_.prepare();
  });
  auto begin = [](Local& self) -> Task<> {
    co_await self.pool_.run([&self] { self.recover(); });
    for (const auto& [id, group] : self.groups_) {
      for (const auto& [ordinal, instance] : group->instances)
        self.scope_->spawn(self.supervise(group, instance));
      self.publish(*group);
    }
    for (const auto& [id, job] : self.jobs_) {
      if (job->instance) self.scope_->spawn(self.supervise(job));
      self.publish(*job);
    }
    for (const auto& [id, group] : self.groups_) self.scope_->spawn(self.settle_in_time(group));
    self.scope_->spawn(self.keep_logs());
    for (const auto& environment : self.networks_.environments())
      if (self.watched_dns_.insert(environment).second) self.scope_->spawn(self.watch_dns(environment));
  };
  co_await on_strand(begin(*this));
}

/// Brings together what the records want and what the machine has. Nothing else runs yet.
void Local::recover() {
  auto monitors = find_monitors(shop_);
  const auto remains = leftovers(shop_);
  std::set<InstanceId> left{remains.begin(), remains.end()};
  std::map<std::string, EnvironmentId> links;
  std::map<InstanceId, Running> running;
  const auto adopt_one = [&](const InstanceId& id, const EnvironmentId& environment) {
    auto found = adopt(shop_, id, monitors);
    if (!found) return;
    left.erase(id);
    links[found->record.link] = environment;
    running.emplace(id, std::move(*found));
  };

  for (const auto& [name, node] : group_records_.load()) {
    auto group = std::make_shared<Group>();
    group->record = from_node<GroupRecord>(node);
    group->recorded = to_json(to_node(group->record));
    group->workload = std::make_shared<const Workload>(group->record.spec.workload);
    groups_[name] = group;
    for (const auto& instance : group->record.instances) adopt_one(instance.id, group->workload->environment);
  }
  for (const auto& [name, node] : job_records_.load()) {
    auto job = std::make_shared<Job>();
    job->record = from_node<JobRecord>(node);
    jobs_[name] = job;
    if (job->record.finished) continue;
    adopt_one(name, job->record.spec.workload.environment);
    if (running.contains(name) || !job->record.begun) continue;
    // Its one run has begun, and is over.
    const auto code = exit_code(shop_, name);
    job->record.finished = true;
    job->record.exit_code = code;
    job->record.succeeded = code == 0;
    job->record.reason = !code        ? "it was lost when the machine or its monitor went down"
                         : *code == 0 ? ""
                                      : "exited with " + std::to_string(*code);
    job_records_.save(name, to_node(job->record));
  }

  const auto gone = networks_.start(links);
  for (const auto& [id, found] : running)
    if (gone.contains(found.record.link)) {
      log::warning("engine", "the network of {} is gone; it is replaced", id);
      signal(found.init, SIGKILL);
    }
  // Half made, or nobody's any more.
  remove_remains(shop_, left, monitors, settings_.runtime);
  for (const auto& id : cgroups_.children(place_.cgroups()))
    if (!running.contains(id)) {
      cgroups_.kill(place_.cgroup(id));
      cgroups_.remove(place_.cgroup(id));
    }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{place_.roots(), ignored})
    if (!running.contains(entry.path().filename())) fs::remove_all(entry.path());

  for (const auto& [id, group] : groups_) {
    const auto& environment = group->workload->environment;
    networks_.ensure(environment, group->workload->outbound);
    for (const auto& record : group->record.instances) {
      networks_.occupy(environment, record.address);
      const auto instance = add_instance(group, record);
      if (auto found = running.find(record.id); found != running.end())
        instance->take(std::move(found->second));
    }
  }
  for (const auto& [id, job] : jobs_) {
    if (job->record.finished) continue;
    networks_.ensure(job->record.spec.workload.environment, job->record.spec.workload.outbound);
    networks_.occupy(job->record.spec.workload.environment, job->record.address);
    job->instance = add_instance(job);
    if (const auto found = running.find(id); found != running.end())
      job->instance->take(std::move(found->second));
  }
}

/// Without scope or strand: nothing of an engine runs. By what there is, whatever the records say.
Task<> Local::tear_down() {
  co_await pool_.run([this] {
    // First what would be started again.
    for (const auto& path : {place_.groups(), place_.jobs()}) fs::remove_all(path);
    const auto monitors = find_monitors(shop_);
    const auto made = leftovers(shop_);
    const auto grouped = cgroups_.children(place_.cgroups());
    std::set<InstanceId> all{made.begin(), made.end()};
    all.insert(grouped.begin(), grouped.end());
    for (const auto& [id, monitor] : monitors) all.insert(id);
    remove_remains(shop_, all, monitors, settings_.runtime);
    networks_.remove_all();
    cgroups_.remove(place_.cgroups());
    place_.remove_runtime();
    for (const auto& path : {place_.environments(), place_.roots()}) fs::remove_all(path);
  });
}

}  // namespace tow::engine::local
