// SPDX-License-Identifier: Apache-2.0
#pragma once
// Releases into environments: projects and environments, deployments, revisions, rollouts and their traffic,
// configuration and secrets, jobs.
//
// It owns Deployment, Revision, Instance, Route, Volume, Job, Configuration and Secret entities, the status
// of Project, and the EnvironmentTypes and Environments that exist by default. Everything is level-triggered:
// after a crash at any point, the controllers go on from what the store and the engine say.
//
// Lifecycle: construct; start(); give controllers() to a runtime and connect() it; start the runtime; the
// router is settled when every deployment that existed has been fed to it. Stop the runtime before destroying
// this; what is given in Settings and the runtime outlive it. Thread-safe.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/api.hpp"
#include "base/clock.hpp"
#include "control/control.hpp"
#include "engine/engine.hpp"
#include "image/image.hpp"
#include "model/operations.hpp"
#include "model/score_plan.hpp"
#include "route/route.hpp"
#include "secret/secret.hpp"
#include "store/store.hpp"

namespace tow::deploy {

struct Limits {
  Duration drain = std::chrono::seconds{30};          // until what a retired revision still serves is cut off
  Duration recreate_drain = std::chrono::seconds{5};  // the same where nothing serves meanwhile
  Duration grace = std::chrono::seconds{10};          // between SIGTERM and SIGKILL
  Duration ready = std::chrono::seconds{60};          // for a new revision to become ready
  Duration neighbour = std::chrono::minutes{5};       // for a component that another refers to to appear
  int jobs = 20;                                      // ended ones that are kept, of each deployment
};

struct Settings {
  store::Store& store;
  engine::Engine& engine;
  route::Router& router;
  image::Images& images;
  const secret::Sealer& sealer;
  Clock& clock;
  std::function<std::string()> domain;  // below which applications are served; asked each time
  Limits limits = {};
};

/// What the engine opens secrets with.
engine::SecretOpener secret_opener(store::Store& store, const secret::Sealer& sealer);

struct Core;

class Deployments {
 public:
  explicit Deployments(Settings settings);
  ~Deployments();

  /// Makes the EnvironmentTypes `development` and `production` when there are none. Once, before all else.
  Task<> start();
  std::vector<control::Controller> controllers();
  /// From now on the runtime hears what the engine sees.
  void connect(control::Runtime& runtime);
  void add_operations(api::Api& api);

  /// deployments.deploy, for other capabilities. Durable when it returns; the rollout goes on by itself.
  Task<DeployOutput> deploy(api::Call call, DeployInput input);
  /// Of the names that a component reads, those that have no value there.
  std::vector<std::string> missing_configuration(const std::string& project, const std::string& environment,
                                                 const std::string& component,
                                                 const std::vector<score::RequiredName>& names) const;

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace tow::deploy
