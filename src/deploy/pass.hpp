// SPDX-License-Identifier: Apache-2.0
#pragma once
// One pass over one deployment: what is there is looked at (observation.cpp), decide() says what to do, it is
// done (reconcile.cpp), and the traffic follows (direction.cpp). For src/deploy alone.

#include "deploy/core.hpp"
#include "deploy/target.hpp"
#include "deploy/traffic.hpp"

namespace tow::deploy {

/// A revision on its way through one pass.
struct Tracked {
  Entity<Revision> entity;
  std::optional<engine::GroupView> group;
  bool changed = false;

  int number() const { return entity.spec.number; }
  Revision::Status& status() {
    changed = true;
    return entity.status;
  }
};

class Pass {
 public:
  Pass(Core& core, Entity<Deployment> deployment, Entity<Environment> environment)
      : core_{core}, deployment_{std::move(deployment)}, environment_{std::move(environment)} {}

  Task<control::Outcome> run();

 private:
  // --- what is there ---
  void add(Entity<Revision> entity);
  Task<> observe();
  Task<std::optional<int>> sessions(const Entity<Revision>& revision, std::string instance);
  /// What both sides of a rollout in steps have answered, at most once in a while.
  Task<> sample();
  /// The job of a command of a revision; nothing when there is none yet.
  std::optional<Job::Status> hook_job(const Tracked& revision, std::string_view when, int number) const;
  Task<HooksSeen> hooks(Tracked& revision);
  /// The job of the command before it that waits or runs.
  std::optional<Entity<Job>> unfinished_hook(const Tracked& revision) const;
  void cancel_hook(const Tracked& revision, std::string why);
  /// The commands after a revision that serves: the next one is begun, what has ended is noted.
  Task<> run_after_hooks();
  Task<std::string> hook_failure(const Tracked& revision, std::string_view when, int number,
                                 const Job::Status& job);

  // --- what is done ---
  Wanted wanted();
  Task<> ensure_instances();
  Task<> carry_out(Ensure ensure);
  void plan_ahead(const Action& action);
  void fail(Tracked& revision, std::string reason);
  void settle_weight();
  void drain(Tracked& revision);
  void claim_hook(const Tracked& revision, std::string_view when, int number);

  // --- the traffic ---
  Tracked* front();
  Task<> direct_traffic();
  std::vector<Side> sides();
  std::vector<route::Site> preview_sites(const store::Snapshot& snapshot);
  Task<> leave_sites(std::set<route::SiteId> kept);
  std::string url(const RevisionRoute& route) const;
  void record_routes(const store::Snapshot& snapshot, store::Transaction& transaction);

  // --- what is written down ---
  Deployment::Status status();
  std::optional<RolloutStatus> rollout_status();
  Task<> record(const std::optional<Error>& problem);
  Task<> forget_old();

  Tracked* find(int number);
  Tracked* serving();
  /// The wanted revision, while it does not serve.
  Tracked* coming();
  void look_again(Duration after);
  void note_waiting();

  Core& core_;
  Entity<Deployment> deployment_;
  Entity<Environment> environment_;
  Memory memory_;
  std::vector<Tracked> all_;
  Target target_;
  Observed observed_;
  Wanted wanted_;
  Decision decision_;
  store::Transaction claims_;  // of jobs
  std::set<int> leaving_;
  std::vector<std::string> urls_;
  std::vector<std::string> previews_;
  std::string after_hook_;  // that runs
  std::optional<std::pair<Deployment::Phase, std::string>> override_;
  control::Outcome outcome_;
};

}  // namespace tow::deploy
