// SPDX-License-Identifier: Apache-2.0
#pragma once
// The engine itself: groups, jobs and environments as records, one Instance for each copy, and what is seen
// from outside as views under a mutex. State is changed on one strand; what blocks runs in a pool; the work
// of each group is in turn, that of several groups at once.

#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "engine/local/instance.hpp"
#include "engine/local/local.hpp"

namespace tow::engine::local {

class Local final : public LocalEngine {
 public:
  explicit Local(Settings settings);
  ~Local() override;

  Task<> start() override;
  Task<> stop() override;

  Task<> ensure(GroupSpec group) override;
  Task<> retire(GroupId group, Duration grace) override;
  std::vector<GroupView> groups() const override;
  std::optional<GroupView> group(const GroupId& id) const override;
  void observe(std::function<void(const std::string& id)> listener) override;

  Task<> run_job(JobSpec job) override;
  std::optional<JobView> job(const JobId& id) const override;
  Task<> remove_job(JobId id) override;

  Task<std::string> ensure_service(Service service) override;
  Task<> remove_service(EnvironmentId environment, std::string name) override;
  Task<> remove_environment(EnvironmentId environment) override;

  Task<Bytes> volume_size(std::string volume) override;
  Task<> remove_volume(std::string volume) override;

  Task<> logs(LogQuery query, LogSink sink) override;
  Task<> remove_logs(std::string source) override;
  std::optional<Usage> usage(const InstanceId& instance) override;
  Task<std::unique_ptr<Terminal>> exec(InstanceId instance, std::vector<std::string> command,
                                       bool terminal) override;

  std::vector<std::string> images_in_use() const override;
  std::vector<std::string> obstacles() override;

  /// See local.hpp. Instead of start().
  Task<> tear_down();

 private:
  /// Who changes a group or job waits for its turn: each change has several steps.
  struct Turn {
    bool taken = false;
    Signal freed;
  };
  class Hold;
  struct Outcome;
  class Report;
  struct Group {
    GroupRecord record;
    std::shared_ptr<const Workload> workload;
    std::map<int, std::shared_ptr<Instance>> instances;
    Turn turn;
  };
  struct Job {
    JobRecord record;
    std::shared_ptr<Instance> instance;
    bool removing = false;
  };
  using GroupPtr = std::shared_ptr<Group>;
  using JobPtr = std::shared_ptr<Job>;

  Task<Hold> take(Turn& turn);
  Task<> on_strand(Task<> work);
  Task<> ensure_here(GroupSpec spec);
  Task<> retire_here(GroupId id, Duration grace);
  Task<> run_job_here(JobSpec spec);
  Task<> remove_job_here(JobId id);
  Task<> settle(GroupPtr group);
  Task<> supervise(GroupPtr group, std::shared_ptr<Instance> instance);
  Task<> supervise(JobPtr job);
  Task<> watch_dns(EnvironmentId environment);
  Task<> keep_logs();
  /// Whether more may come into that log.
  bool writes(const std::string& source, const std::string& instance) const;
  std::shared_ptr<Instance> add_instance(const GroupPtr& group, const InstanceRecord& record);
  std::shared_ptr<Instance> add_instance(const JobPtr& job);
  Wish wish_of(const Group& group, int ordinal) const;
  void publish(const Group& group);
  void publish(const Job& job);
  void forget(const std::string& id);
  void tell(const std::string& id);
  void recover();

  Settings settings_;
  Place place_;
  Cgroups cgroups_;
  Layers layers_;
  Networks networks_;
  Workshop shop_;
  Executor strand_;
  BlockingPool pool_;
  std::unique_ptr<Scope> scope_;
  Surroundings around_;
  Folder group_records_, job_records_;

  // On the strand.
  std::map<GroupId, GroupPtr> groups_;
  std::map<JobId, JobPtr> jobs_;
  std::set<EnvironmentId> watched_dns_;

  // Seen from any thread.
  mutable std::mutex mutex_;
  std::map<GroupId, GroupView> group_views_;
  std::map<JobId, JobView> job_views_;
  std::map<std::string, std::string> images_;  // group or job -> image
  std::vector<std::function<void(const std::string&)>> listeners_;
  std::vector<std::weak_ptr<Signal>> followers_;  // of logs
};

}  // namespace tow::engine::local
