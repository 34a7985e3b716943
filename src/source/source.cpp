// SPDX-License-Identifier: Apache-2.0
#include "source/source.hpp"

#include <algorithm>
#include <fstream>
#include <set>

#include "base/fault.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "model/deployment.hpp"
#include "model/project.hpp"

namespace tow::source {
namespace {

constexpr std::string_view kFinalizer = "source";
constexpr std::string_view kUnfinished = ".new";  // ends the name of a repository that is being made

// One run for one move of one branch, seen from one state of the repository: a branch that went and came back
// with the same commit has moved anew.
std::string run_name(const Entity<Repository>& repository, const std::string& branch, const Commit& after) {
  const auto move = sha256_hex(fmt::format("{}\n{}", repository.record->revision, branch));
  return fmt::format("{}-{}-{}", repository.name().substr(0, 40), after.id.substr(0, 8), move.substr(0, 8));
}

}  // namespace

std::filesystem::path Source::home(const Entity<Repository>& repository) const {
  return settings_.directory / (repository.uid() + ".git");
}

Entity<Repository> Source::find(const std::string& project, const std::string& repository) const {
  const auto record = settings_.store.snapshot()->get(key<Repository>(project, repository));
  if (!record || record->deleted)
    throw fail(Code::NotFound, "the project {} has no repository {}", project, repository);
  return decode<Repository>(record);
}

Git Source::git(const std::string& project, const std::string& repository) const {
  return Git{home(find(project, repository))};
}

std::vector<control::Controller> Source::controllers() {
  sweep();
  return {{.name = "source.projects",
           .watches = {{.kind = "Project", .keys = {}}},
           .reconcile = [this](Key key) { return reconcile_project(std::move(key)); }},
          {.name = "source.repositories",
           .watches = {{.kind = "Repository", .keys = {}}},
           .reconcile = [this](Key key) { return reconcile_repository(std::move(key)); }}};
}

// A project starts with one repository of its name.
Task<control::Outcome> Source::reconcile_project(Key key) {
  const auto snapshot = settings_.store.snapshot();
  const auto project = snapshot->get(key);
  if (!project || project->deleted) co_return control::Outcome{};
  if (!snapshot->list({.kind = "Repository", .project = key.name}).empty()) co_return control::Outcome{};
  auto record = draft<Repository>(key.name, key.name, {});
  record.owner = project->uid;
  store::Transaction transaction;
  transaction.create(std::move(record));
  co_await settings_.store.commit(std::move(transaction));
  co_return control::Outcome{};
}

Task<control::Outcome> Source::reconcile_repository(Key key) {
  const auto record = settings_.store.snapshot()->get(key);
  if (!record) co_return control::Outcome{};
  const auto repository = decode<Repository>(record);
  const bool claimed = std::ranges::find(record->finalizers, kFinalizer) != record->finalizers.end();
  if (repository.deleting()) {
    std::filesystem::remove_all(home(repository));
    if (claimed) {
      store::Transaction transaction;
      transaction.remove_finalizer(key, std::string{kFinalizer});
      co_await settings_.store.commit(std::move(transaction));
    }
    co_return control::Outcome{};
  }
  if (!claimed) {
    store::Transaction transaction;
    transaction.add_finalizer(key, std::string{kFinalizer});
    co_await settings_.store.commit(std::move(transaction));
  }
  co_await ensure_home(repository);
  co_await record_refs(repository, {});
  // A git that a killed server left behind may still move a branch, and has nobody to tell.
  const bool first = [&] {
    const std::lock_guard lock{mutex_};
    return seen_.insert(repository.uid()).second;
  }();
  co_return control::Outcome{.again =
                                 first ? std::optional<Duration>{std::chrono::minutes{1}} : std::nullopt};
}

// What a killed server had half made.
void Source::sweep() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{settings_.directory, error})
    if (entry.path().extension() == kUnfinished) std::filesystem::remove_all(entry.path(), error);
}

Task<> Source::ensure_home(const Entity<Repository>& repository) {
  const auto finished = home(repository);
  if (std::filesystem::exists(finished)) co_return;
  // Made beside its place and moved there whole: a push and the controller may both come first, and a killed
  // server leaves nothing half made where a repository belongs.
  const auto path = settings_.directory / (new_uid() + std::string{kUnfinished});
  const auto hooks = path / "hooks";
  std::filesystem::create_directories(settings_.directory);
  Command init;
  init.argv = {"git",        "init",        "--bare",
               "--quiet",    "--template=", "--initial-branch=" + repository.spec.default_branch,
               path.string()};
  init.env = {{"GIT_CONFIG_NOSYSTEM", "1"}, {"GIT_CONFIG_GLOBAL", "/dev/null"}};
  co_await run_checked(std::move(init));
  const Git git{path};
  // What a push may bring, and that it is on disk before git says so.
  const std::pair<const char*, std::string> settings[] = {{"http.receivepack", "true"},
                                                          {"receive.fsckObjects", "true"},
                                                          {"core.fsync", "committed,added"},
                                                          {"core.fsyncMethod", "batch"},
                                                          {"receive.denyDeleteCurrent", "ignore"},
                                                          {"gc.auto", "0"},
                                                          {"core.logAllRefUpdates", "false"},
                                                          {"receive.advertisePushOptions", "true"}};
  for (const auto& [name, value] : settings) {
    auto set = git.command({"config", name, value});
    co_await run_checked(std::move(set));
  }
  std::filesystem::create_directories(hooks);
  for (const std::string name : {"pre-receive", "post-receive"}) {
    // A hook must be a program; this one does nothing but become ours.
    std::string line = "#!/bin/sh\nexec";
    for (const auto& word : settings_.hook_command) line += " '" + word + "'";
    const auto hook = hooks / name;
    std::ofstream{hook} << line << " " << name << "\n";
    std::filesystem::permissions(hook, std::filesystem::perms{0755});
  }
  std::error_code error;
  std::filesystem::rename(path, finished, error);
  if (!error) co_return;
  std::filesystem::remove_all(path);
  if (!std::filesystem::exists(finished)) throw system_error("rename " + path.string(), error.value());
}

Task<> Source::pack() {
  std::exception_ptr failed;
  for (const auto& record : settings_.store.snapshot()->list({.kind = "Repository"})) {
    const auto path = home(decode<Repository>(record));
    if (!std::filesystem::exists(path)) continue;
    try {
      co_await Git{path}.pack();
    } catch (...) {
      if (is_cancellation(std::current_exception())) throw;
      if (!failed && std::filesystem::exists(path)) failed = std::current_exception();  // not just destroyed
    }
  }
  if (failed) std::rethrow_exception(failed);
}

Task<PushedOutput> Source::record_refs(const Entity<Repository>& given, std::string by) {
  PushedOutput output;
  while (true) {
    const auto repository = find(given.project(), given.name());
    const auto branches = co_await Git{home(repository)}.branches();
    fault_point("source.refs-moved");
    const auto now = settings_.clock.now();
    auto status = repository.status;
    std::vector<std::string> runs;
    store::Transaction transaction;
    for (const auto& [name, commit] : branches) {
      auto& branch = status.branches[name];
      if (branch.commit.id == commit.id) continue;
      PipelineRun::Spec spec{.repository = repository.name(),
                             .branch = name,
                             .commit = commit,
                             .before = branch.commit.id,
                             .by = by};
      auto run = draft<PipelineRun>(repository.project(), run_name(repository, name, commit), spec);
      run.owner = repository.uid();
      runs.push_back(run.key.name);
      transaction.create(std::move(run));
      branch = {.commit = commit, .pushed_by = by, .pushed = now};
    }
    std::erase_if(status.branches, [&](const auto& entry) { return !branches.contains(entry.first); });
    transaction.put_status(repository.key(), encode_status<Repository>(status), repository.record->revision);
    try {
      co_await settings_.store.commit(std::move(transaction));
      output.runs = std::move(runs);
      fault_point("source.refs-recorded");
      co_return output;
    } catch (const Error& error) {
      // Somebody else recorded the same move: look again.
      if (error.code() != Code::Conflict && error.code() != Code::AlreadyExists) throw;
    }
    co_await yield_now();
  }
}

Task<Accepted> Source::may_push(api::Call call, MayPushInput input) {
  const auto snapshot = settings_.store.snapshot();
  const auto& project = call.target.project;
  std::set<std::string> environments;
  for (const auto& record : snapshot->list({.kind = "Environment", .project = project})) {
    const auto environment = decode<Environment>(record);
    if (std::ranges::find(input.branches, environment.spec.branch) != input.branches.end())
      environments.insert(environment.name());
  }
  for (const auto& record : snapshot->list({.kind = "Deployment", .project = project})) {
    const auto deployment = decode<Deployment>(record);
    if (!deployment.spec.hold || !environments.contains(deployment.spec.environment)) continue;
    const auto component = snapshot->get(key<Component>(project, deployment.spec.component));
    if (component && decode<Component>(component).spec.repository != call.target.name) continue;
    throw fail(Code::FailedPrecondition,
               "{} is held since a rollback by {}: `tow deploy {} -e {}` or `tow rollback --unhold` lifts it",
               deployment.name(), deployment.spec.by, deployment.spec.component, deployment.spec.environment);
  }
  co_return Accepted{};
}

void Source::add_operations(api::Api& api) {
  using api::Operation, api::Permission, api::Repeat, api::Target;
  api.add(Operation<PushedInput, PushedOutput>{
      .name = "repositories.pushed",
      .target = Target::Entity,
      .help = "Compare the branches with what was last recorded, and start what follows.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Safe,
      .run = [this](api::Call call, PushedInput input) -> Task<PushedOutput> {
        const auto repository = find(call.target.project, call.target.name);
        const auto by = call.subject.name == "root" && !input.by.empty() ? input.by : call.subject.name;
        co_return co_await record_refs(repository, by);
      }});
  api.add(Operation<MayPushInput, Accepted>{.name = "repositories.maypush",
                                            .target = Target::Entity,
                                            .help = "Whether branches may move now, or are held.",
                                            .permission = Permission::Read,
                                            .repeat = Repeat::Safe,
                                            .run = [this](api::Call call, MayPushInput input) {
                                              return may_push(std::move(call), std::move(input));
                                            }});
}

}  // namespace tow::source
