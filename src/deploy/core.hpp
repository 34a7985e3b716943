// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the parts of deploy share. For src/deploy alone.

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "deploy/configuration.hpp"
#include "deploy/deploy.hpp"
#include "deploy/rollout.hpp"
#include "model/project.hpp"

namespace tow::deploy {

/// What is known of a deployment beside the store; all of it can be found out again.
struct Memory {
  std::map<route::SiteId, std::string> sites;  // what the router was told last
  std::string service;                         // what the engine was told last
  std::string address;
  struct Shrinking {
    TimePoint since{};
    int to = 0;
  };
  std::map<int, Shrinking> shrinking;      // by revision
  std::map<std::string, Answers> counted;  // by instance, when last sampled
  std::optional<TimePoint> sampled;
  std::optional<TimePoint> waiting;  // for a component that it refers to
};

struct Core : std::enable_shared_from_this<Core> {
  explicit Core(Settings s) : settings{std::move(s)}, watched_since{settings.clock.now()} {}

  Settings settings;
  const TimePoint watched_since;

  // --- what happens to entities: one function a controller ---
  Task<control::Outcome> reconcile_project(Key key);
  Task<control::Outcome> reconcile_environment(Key key);
  Task<control::Outcome> reconcile_component(Key key);
  Task<control::Outcome> reconcile_deployment(Key key);
  Task<control::Outcome> reconcile_instances(Key key);
  Task<control::Outcome> reconcile_volume(Key key);
  Task<control::Outcome> reconcile_job(Key key);
  Task<control::Outcome> reconcile_orphan(Key key);
  Task<control::Outcome> settle_router(Key key);

  // --- operations ---
  Task<DeployOutput> deploy(api::Call call, DeployInput input);
  Task<RollbackOutput> roll_back(api::Call call, RollbackInput input);
  Task<Accepted> scale(api::Call call, ScaleInput input);
  Task<Accepted> restart(api::Call call);
  Task<Accepted> unhold(api::Call call);
  Task<Accepted> lock(api::Call call, LockInput input);
  Task<Accepted> unlock(api::Call call);
  Task<Accepted> pause(api::Call call);
  Task<Accepted> go_on(api::Call call);
  Task<Accepted> abort(api::Call call);
  Task<History> history(api::Call call);
  Task<ConfigurationView> configuration(api::Call call);
  Task<> follow(api::Call call, FollowInput input, std::function<Task<>(const Progress&)> sink);
  Task<Accepted> configure(api::Call call, ConfigureInput input);
  Task<Accepted> set_secret(api::Call call, SecretInput input);
  Task<Accepted> remove_secret(api::Call call, SecretName input);
  Task<SecretList> list_secrets(api::Call call);
  Task<int> exec(api::Call call, ExecInput input, api::Terminal& terminal);
  Task<int> run(api::Call call, ExecInput input, api::Terminal& terminal);

  // --- shared ---
  store::SnapshotPtr snapshot() const { return settings.store.snapshot(); }
  TimePoint now() const { return settings.clock.now(); }
  void poke(std::string_view controller, Key key);
  void engine_saw(const std::string& id);
  void forget(const std::string& uid);
  /// The router knows the sites of this deployment; when it knows all of before the start, it is settled.
  void fed(const Key& deployment);
  /// A copy, and back: the runtime never reconciles one deployment twice at once.
  Memory recall(const std::string& uid);
  void remember(const std::string& uid, Memory memory);
  /// Looks at the deployments again that wait for components of this project.
  std::vector<Key> waiting_in(const std::string& project);

  std::mutex mutex;
  std::map<std::string, Memory> memories;  // by uid of the deployment
  std::set<Key> waiting;                   // deployments that refer to components which do not exist yet
  std::set<Key> unfed;  // deployments of before the start whose sites the router has not been told yet
  std::function<void(std::string_view, Key)> poker;
};

/// The policy of an environment; the defaults when its type is gone.
EnvironmentType::Spec policy_of(const store::Snapshot& snapshot, const Environment::Spec& environment);
/// The revisions of a deployment, in order of their numbers.
std::vector<Entity<Revision>> revisions_of(const store::Snapshot& snapshot, const Record& deployment);
/// Throws Error{NotFound}.
Entity<Deployment> need_deployment(const store::Snapshot& snapshot, const Key& key);
/// Another deployment's route that came first, if there is one: its deployment, for people.
std::optional<std::string> taken_by(const store::Snapshot& snapshot, const RevisionRoute& route,
                                    const std::string& deployment_uid);

}  // namespace tow::deploy
