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

/// What was found running, by instance; and what must go.
struct Local::Recovery {
  Workshop& shop;
  std::map<std::string, Descriptor> monitors = find_monitors(shop);
  std::set<std::string> left;  // keys of containers
  std::set<InstanceId> left_sandboxes;
  std::map<InstanceId, Adopted> found;
  std::map<std::string, EnvironmentId> links;
  std::set<std::string> closed;  // addresses
  std::set<std::string> keys;    // of what is kept

  explicit Recovery(Workshop& workshop) : shop{workshop} {
    for (const auto& key : leftovers(shop)) left.insert(key);
    for (const auto& id : find_sandboxes(shop.place)) left_sandboxes.insert(id);
  }

  void look_for(const InstanceId& id, const Workload& workload, const std::string& address) {
    Adopted all;
    if (!workload.outbound) closed.insert(address);
    if (workload.containers.size() > 1) {
      all.sandbox = adopt_sandbox(shop.place, id);
      if (!all.sandbox) return;  // its containers cannot go on: whatever runs of them is left over
      left_sandboxes.erase(id);
      links[all.sandbox->record.link] = workload.environment;
      all.complete = all.sandbox->record.complete;
    }
    for (const auto& container : workload.containers) {
      const auto key = container_key(id, workload, container);
      auto running = adopt(shop, key, monitors);
      if (!running) {
        auto end = find_end(shop, key, container);
        if (!end) continue;
        if (completes(workload, container.name) && end->end.exit_code == 0)
          all.complete.emplace(container.name, LastEnd{.time = end->end.time, .exit_code = 0});
        else
          all.ended.emplace(container.name, std::move(*end));
        continue;
      }
      left.erase(key);
      keys.insert(key);
      if (!all.sandbox) links[running->record.link] = workload.environment;
      all.running.emplace(container.name, std::move(*running));
    }
    if (all.sandbox || !all.running.empty() || !all.ended.empty()) found.emplace(id, std::move(all));
  }

  bool runs(const InstanceId& id) const {
    const auto one = found.find(id);
    return one != found.end() && !one->second.running.empty();
  }

  /// What has lost its network is ended, and made anew with another.
  void end_unconnected(const std::set<std::string>& gone) {
    for (auto one = found.begin(); one != found.end();) {
      const auto& [id, all] = *one;
      const bool lost = all.sandbox
                            ? gone.contains(all.sandbox->record.link)
                            : !all.running.empty() && gone.contains(all.running.begin()->second.record.link);
      if (!lost) {
        ++one;
        continue;
      }
      log::warning("engine", "the network of {} is gone; it is replaced", id);
      for (const auto& [name, running] : all.running) {
        signal(running.init, SIGKILL);
        // Alone, it is seen to end, and started again. With others, all go with what they shared.
        if (!all.sandbox) continue;
        signal(running.monitor, SIGKILL);
        left.insert(running.record.id);
        keys.erase(running.record.id);
      }
      if (!all.sandbox) {
        ++one;
        continue;
      }
      left_sandboxes.insert(id);
      one = found.erase(one);
    }
  }

  /// Half made, or nobody's any more.
  void remove_rest(Networks& networks, const std::string& runtime) {
    remove_remains(shop, left, monitors, runtime);
    for (const auto& id : left_sandboxes) remove_sandbox(shop.place, networks, id);
    for (const auto& key : shop.cgroups.children(shop.place.cgroups()))
      if (!keys.contains(key)) {
        shop.cgroups.kill(shop.place.cgroup(key));
        shop.cgroups.remove(shop.place.cgroup(key));
      }
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{shop.place.roots(), ignored})
      if (!keys.contains(entry.path().filename())) fs::remove_all(entry.path());
  }

  void hand_over(const InstanceId& id, Instance& instance) {
    if (const auto one = found.find(id); one != found.end()) instance.take(std::move(one->second));
  }
};

/// Brings together what the records want and what the machine has. Nothing else runs yet.
void Local::recover() {
  Recovery recovery{shop_};
  for (const auto& [name, node] : group_records_.load()) {
    auto group = std::make_shared<Group>();
    group->record = from_node<GroupRecord>(node);
    group->recorded = to_json(to_node(group->record));
    group->workload = std::make_shared<const Workload>(group->record.spec.workload);
    groups_[name] = group;
    for (const auto& instance : group->record.instances)
      recovery.look_for(instance.id, *group->workload, instance.address);
  }
  for (const auto& [name, node] : job_records_.load()) {
    auto job = std::make_shared<Job>();
    job->record = from_node<JobRecord>(node);
    jobs_[name] = job;
    if (job->record.finished) continue;
    recovery.look_for(name, job->record.spec.workload, job->record.address);
    if (recovery.runs(name) || !job->record.begun) continue;
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

  recovery.end_unconnected(networks_.start(recovery.links, recovery.closed));
  recovery.remove_rest(networks_, settings_.runtime);

  for (const auto& [id, group] : groups_) {
    const auto& environment = group->workload->environment;
    networks_.ensure(environment, group->workload->outbound);
    for (const auto& record : group->record.instances) {
      networks_.occupy(environment, record.address);
      recovery.hand_over(record.id, *add_instance(group, record));
    }
  }
  for (const auto& [id, job] : jobs_) {
    if (job->record.finished) continue;
    networks_.ensure(job->record.spec.workload.environment, job->record.spec.workload.outbound);
    networks_.occupy(job->record.spec.workload.environment, job->record.address);
    job->instance = add_instance(job);
    recovery.hand_over(id, *job->instance);
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
    std::set<std::string> all{made.begin(), made.end()};
    all.insert(grouped.begin(), grouped.end());
    for (const auto& [id, monitor] : monitors) all.insert(id);
    remove_remains(shop_, all, monitors, settings_.runtime);
    for (const auto& id : find_sandboxes(place_)) remove_sandbox(place_, networks_, id);
    networks_.remove_all();
    cgroups_.remove(place_.cgroups());
    place_.remove_runtime();
    for (const auto& path : {place_.environments(), place_.roots()}) fs::remove_all(path);
  });
}

}  // namespace tow::engine::local
