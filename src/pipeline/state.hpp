// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the parts of the pipeline share.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "base/log.hpp"
#include "model/project.hpp"
#include "pipeline/build_log.hpp"
#include "pipeline/plan.hpp"

namespace tow::pipeline {

constexpr std::string_view kInputsLabel = "towpath.dev/inputs";

struct Pipeline::State : std::enable_shared_from_this<Pipeline::State> {
  explicit State(Settings s)
      : settings{std::move(s)},
        logs{settings.log_directory, settings.clock},
        scope{settings.executor, "builds"} {}

  Settings settings;
  BuildLogs logs;
  Scope scope;

  std::atomic<bool> stopping = false;
  std::mutex mutex;
  std::map<std::string, CommitPlan> plans;  // of runs under way, by uid; made again after a start
  std::map<std::string, Key> open_runs;     // by uid: what Builds and Deployments may concern
  struct Waiting {
    Key key;
    StoreRevision created = 0;
  };
  struct Place {
    Key key;
    std::shared_ptr<Scope> work;
  };
  std::map<std::string, Waiting> waiting;  // builds without a place, by uid; made again after a start
  std::map<std::string, Place> places;     // builds under way, by uid: never more than parallel_builds
  std::set<std::string> asking;            // branches of which a run is asking for a deployment

  // runs.cpp
  Task<control::Outcome> reconcile_run(Key key);
  Task<control::Outcome> begin_run(Entity<PipelineRun> run);
  Task<control::Outcome> advance_run(Entity<PipelineRun> run);
  Task<void> advance_component(const Entity<PipelineRun>& run, const PlannedComponent& planned,
                               const std::vector<ComponentRun>& all, ComponentRun& component);
  Task<bool> make_release(const Entity<PipelineRun>& run, const PlannedComponent& planned,
                          ComponentRun& component);
  Task<void> ask_deployment(const Entity<PipelineRun>& run, const PlannedComponent& planned,
                            ComponentRun& component);
  Task<void> look_at_deployment(const Entity<PipelineRun>& run, ComponentRun& component);
  Task<> withdraw_build(const Entity<PipelineRun>& run, std::string name);
  Task<std::optional<Entity<PipelineRun>>> newer_run(const Entity<PipelineRun>& run);
  Task<CommitPlan> plan_of(const Entity<PipelineRun>& run);
  Task<std::optional<Entity<Build>>> built_before(const std::string& project,
                                                  const PlannedComponent& planned);
  Task<> end_run(const Entity<PipelineRun>& run, PipelineRun::Status status, WorkPhase phase,
                 std::string message);

  // builds.cpp
  Task<control::Outcome> reconcile_build(Key key);
  std::optional<std::string> take_place();
  void leave_place(const std::string& uid);
  Task<> start_waiting();
  Task<bool> start_build(std::string uid);
  Task<> carry_out(Entity<Build> build, std::shared_ptr<std::function<void(Build::Status&)>> end);
  Task<> finish_build(Key key, std::function<void(Build::Status&)> change);
  Task<Accepted> cancel_build(api::Call call, Nothing input);
  Task<RepeatOutput> repeat_build(api::Call call, Nothing input);

  // follow.cpp
  Task<> follow_run(api::Call call, FollowInput input, std::function<Task<>(const Progress&)> emit);
  Task<> build_log(api::Call call, LogInput input, std::function<Task<>(const LogEntry&)> emit);
};

/// Reads a cold or hot entity; nothing when it does not exist.
template <class K>
Task<std::optional<Entity<K>>> find(store::Store& store, std::string project, std::string name) {
  const auto record = co_await store.find(key<K>(std::move(project), std::move(name)));
  if (!record) co_return std::nullopt;
  co_return decode<K>(record);
}

}  // namespace tow::pipeline
