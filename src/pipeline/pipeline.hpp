// SPDX-License-Identifier: Apache-2.0
#pragma once
// The built-in workflow: what a push sets in motion. A PipelineRun is planned from the documents in its
// commit, builds the components that changed (each a Build), makes a Release of each, and has them deployed
// to the environment of the branch. Every step is recorded before the next, and can be repeated.
//
// What belongs to other capabilities (git, deploying, configuration) comes in as functions.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/api.hpp"
#include "control/control.hpp"
#include "image/image.hpp"
#include "model/operations.hpp"
#include "model/score_plan.hpp"
#include "store/store.hpp"

namespace tow::pipeline {

/// A repository's content at a commit.
struct Sources {
  std::function<Task<std::optional<std::string>>(std::string project, std::string repository,
                                                 std::string commit, std::string path)>
      read;
  std::function<Task<std::optional<std::string>>(std::string project, std::string repository,
                                                 std::string commit, std::string path)>
      tree_id;
  std::function<Task<>(std::string project, std::string repository, std::string commit,
                       std::filesystem::path directory)>
      checkout;
};

struct Settings {
  store::Store& store;
  image::Images& images;
  Clock& clock;
  Executor executor;
  std::filesystem::path work_directory;  // checkouts, one below it for each build; emptied at first
  std::filesystem::path log_directory;
  Sources sources;
  std::function<Task<DeployOutput>(api::Call, DeployInput)> deploy;
  /// Of the names that a component reads, those that nobody has set.
  std::function<std::vector<std::string>(const std::string& project, const std::string& environment,
                                         const std::string& component,
                                         const std::vector<score::RequiredName>&)>
      missing_configuration;
  std::size_t parallel_builds = 2;
};

class Pipeline {
 public:
  explicit Pipeline(Settings settings);
  ~Pipeline();

  std::vector<control::Controller> controllers();
  /// builds.logs, builds.cancel, builds.repeat, pipelineruns.follow
  void add_operations(api::Api& api);
  /// Ends the builds that run; they begin again at the next start.
  Task<> stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tow::pipeline
