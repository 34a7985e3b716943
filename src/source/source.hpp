// SPDX-License-Identifier: Apache-2.0
#pragma once
// Git repositories: their home, git over HTTP, and what a push sets in motion.
//
// Truth is what the refs say: source compares them with what Repository.status has recorded, at start and
// whenever it is told, and makes a PipelineRun for each branch that moved. The hook only tells it. A push is
// done when git has stored it, whatever happens afterwards. Thread-safe after start.

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "api/api.hpp"
#include "control/control.hpp"
#include "http/router.hpp"
#include "model/operations.hpp"
#include "source/git.hpp"
#include "store/store.hpp"

namespace tow::source {

struct Settings {
  store::Store& store;
  Clock& clock;
  api::Gate& gate;
  std::filesystem::path directory;        // of the bare repositories
  std::vector<std::string> hook_command;  // what a hook runs, before its own name: {"/usr/bin/tow", "hook"}
  std::filesystem::path socket;           // where a hook finds the server
  std::function<Bytes()> push_limit;
};

class Source {
 public:
  explicit Source(Settings settings) : settings_{std::move(settings)} {}

  /// Once, before anything else: it sweeps up what a killed server had half made.
  std::vector<control::Controller> controllers();
  /// repositories.pushed, repositories.maypush
  void add_operations(api::Api& api);
  /// /git/PROJECT/REPOSITORY.git/…
  void mount(http::Router& router);

  /// The repository's own commands, for whoever builds from it. Error{NotFound}.
  Git git(const std::string& project, const std::string& repository) const;

  /// Loose objects and small packs of every repository become few; pushes and fetches go on meanwhile. What
  /// no branch reaches any more stays, since builds may name it. Throws Error of the first that failed, after
  /// all.
  Task<> pack();

 private:
  Task<control::Outcome> reconcile_project(Key key);
  Task<control::Outcome> reconcile_repository(Key key);
  /// Makes a run for every branch that moved since it was last recorded.
  Task<PushedOutput> record_refs(const Entity<Repository>& repository, std::string by);
  void sweep();
  Task<> ensure_home(const Entity<Repository>& repository);
  Task<> serve_git(http::Request& request, http::Responder& responder);
  std::filesystem::path home(const Entity<Repository>& repository) const;
  Entity<Repository> find(const std::string& project, const std::string& repository) const;
  Task<Accepted> may_push(api::Call call, MayPushInput input);

  Settings settings_;
  std::mutex mutex_;
  std::set<std::string> seen_;  // uids of the repositories that were looked at since the start
};

/// The hooks' side: run by git in a repository, talks to the server, prints for the pusher. `name` is
/// "pre-receive" or "post-receive". Returns the hook's exit code; post-receive's is always 0.
int run_hook(const std::string& name);

}  // namespace tow::source
