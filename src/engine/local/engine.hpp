// SPDX-License-Identifier: Apache-2.0
#pragma once
// The engine itself: groups, jobs and environments as records, one Instance for each copy, and what is seen
// from outside as views. State is changed on one strand; what blocks runs in a pool; the work of each group
// is in turn, that of several groups at once. Its parts: groups.cpp, jobs.cpp, recovery.cpp (start and end of
// all), engine_logs.cpp (what is kept in files), engine.cpp (the rest).

#include <map>
#include <memory>
#include <set>

#include "engine/local/instance.hpp"
#include "engine/local/local.hpp"
#include "engine/local/turn.hpp"
#include "engine/local/views.hpp"

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
  Task<std::unique_ptr<Terminal>> exec(InstanceId instance, std::vector<std::string> command, bool terminal,
                                       std::string container = {}) override;

  std::vector<std::string> images_in_use() const override;
  std::vector<std::string> obstacles() override;

  /// See local.hpp. Instead of start().
  Task<> tear_down();

 private:
  struct Outcome;
  class Report;
  struct Recovery;
  struct Group {
    GroupRecord record;
    std::string recorded;  // what of it is on disk
    std::shared_ptr<const Workload> workload;
    std::map<int, std::shared_ptr<Instance>> instances;
    Turn turn;  // each change has several steps
  };
  struct Job {
    JobRecord record;
    std::shared_ptr<Instance> instance;
    bool removing = false;
  };
  using GroupPtr = std::shared_ptr<Group>;
  using JobPtr = std::shared_ptr<Job>;

  Task<> on_strand(Task<> work);
  void recover();
  Task<> watch_dns(EnvironmentId environment);
  Task<> keep_logs();
  bool keep_log(const std::string& source, const std::string& key, std::uintmax_t& before);

  // groups.cpp
  Task<> ensure_here(GroupSpec spec);
  Task<> retire_here(GroupId id, Duration grace);
  Task<> settle(GroupPtr group, GroupRecord wanted);
  Task<> settle_in_time(GroupPtr group);
  Task<> supervise(GroupPtr group, std::shared_ptr<Instance> instance);
  std::shared_ptr<Instance> add_instance(const GroupPtr& group, const InstanceRecord& record);
  Wish wish_of(const Group& group, int ordinal) const;
  bool known(const GroupPtr& group) const;
  void publish(const Group& group);

  // jobs.cpp
  Task<> run_job_here(JobSpec spec);
  Task<> remove_job_here(JobId id);
  Task<> supervise(JobPtr job);
  std::shared_ptr<Instance> add_instance(const JobPtr& job);
  void publish(const Job& job);

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
  Views views_;

  // On the strand.
  std::map<GroupId, GroupPtr> groups_;
  std::map<JobId, JobPtr> jobs_;
  std::set<EnvironmentId> watched_dns_;
};

}  // namespace tow::engine::local
