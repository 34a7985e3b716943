// SPDX-License-Identifier: Apache-2.0
// Projects, environments and components: what a new one gets, and how one ends. What they hold goes first.
#include <algorithm>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "deploy/core.hpp"
#include "deploy/names.hpp"
#include "deploy/teardown.hpp"

namespace tow::deploy {
namespace {

constexpr std::uint32_t kFirstUser = 1'000'000;
constexpr std::uint32_t kUsers = 65'536;
// Ends are told of by the store; this is for kinds of which nobody here is told.
constexpr Duration kPatience = std::chrono::milliseconds{200};

// The lowest range that no project has.
std::uint32_t free_range(const store::Snapshot& snapshot) {
  std::set<std::uint32_t> taken;
  for (const auto& record :
       snapshot.list({.kind = std::string{Project::kind}, .project = {}, .owner = {}, .labels = {}}))
    taken.insert(decode<Project>(record).status.user_base);
  for (std::uint64_t base = kFirstUser; base + kUsers <= UINT32_MAX; base += kUsers)
    if (!taken.contains(static_cast<std::uint32_t>(base))) return static_cast<std::uint32_t>(base);
  throw fail(Code::Exhausted, "every range of user ids belongs to a project");
}

bool has_finalizer(const Record& record) {
  return std::ranges::find(record.finalizers, kFinalizer) != record.finalizers.end();
}

// Erases what is not being erased yet.
void erase_all(const std::vector<RecordPtr>& records, store::Transaction& transaction) {
  for (const auto& record : records)
    if (!record->deleted) transaction.erase(record->key);
}

std::vector<RecordPtr> in_environment(const store::Snapshot& snapshot, std::string_view kind,
                                      const Key& environment) {
  return snapshot.list({.kind = std::string{kind},
                        .project = environment.project,
                        .owner = {},
                        .labels = {{"environment", environment.name}}});
}

Task<control::Outcome> found_project(Core& core, const Record& record) {
  const auto snapshot = core.snapshot();
  store::Transaction transaction;
  if (!has_finalizer(record)) transaction.add_finalizer(record.key, std::string{kFinalizer});
  const auto project = read_stored<Project::Status>(record.status);
  if (project.user_base == 0) {
    const auto base = free_range(*snapshot);
    transaction.put_status(record.key, encode_status<Project>({.user_base = base}), record.revision);
    const auto environment = [&](const std::string& name, const std::string& branch) {
      if (snapshot->get(key<Environment>(record.key.name, name))) return;
      auto made = draft<Environment>(record.key.name, name, {.type = name, .branch = branch});
      made.owner = record.uid;
      made.finalizers = {std::string{kFinalizer}};
      transaction.create(std::move(made));
    };
    environment("development", "main");
    environment("production", "");
  }
  if (!transaction.empty()) co_await core.settings.store.commit(std::move(transaction));
  co_return control::Outcome{};
}

// Cold kinds are asked for a page at a time. True when there is none left.
Task<bool> erase_cold(Core& core, const std::string& project) {
  bool none = true;
  for (const auto& info : kinds()) {
    if (!info.cold || !info.in_project || info.kind == Event::kind) continue;  // the audit trail stays
    store::Query query{
        .filter = {.kind = std::string{info.kind}, .project = project, .owner = {}, .labels = {}}};
    query.limit = 500;
    const auto records = co_await core.settings.store.query(std::move(query));
    none = none && records.empty();
    store::Transaction transaction;
    erase_all(records, transaction);
    if (!transaction.empty()) co_await core.settings.store.commit(std::move(transaction));
  }
  co_return none;
}

Task<control::Outcome> end_project(Core& core, const Record& record) {
  const auto snapshot = core.snapshot();
  const auto& project = record.key.name;
  const auto left = snapshot->list({.kind = {}, .project = project, .owner = {}, .labels = {}});
  // What the environments hold goes with them, in their order; the rest at once.
  store::Transaction transaction;
  const auto is_root = [](const RecordPtr& each) {
    for (const auto kind :
         {Environment::kind, Component::kind, Repository::kind, Configuration::kind, Secret::kind})
      if (each->key.kind == kind) return true;
    return false;
  };
  for (const auto& each : left)
    if (!each->deleted && is_root(each)) transaction.erase(each->key);
  if (!transaction.empty()) co_await core.settings.store.commit(std::move(transaction));
  if (!left.empty()) co_return control::Outcome{.again = kPatience};
  const bool none = co_await erase_cold(core, project);
  if (!none) co_return control::Outcome{.again = kPatience};
  store::Transaction last;
  last.remove_finalizer(record.key, std::string{kFinalizer});
  co_await core.settings.store.commit(std::move(last));
  log::info("deploy", "the project {} is gone", project);
  co_return control::Outcome{};
}

Task<control::Outcome> end_environment(Core& core, const Record& record) {
  const auto snapshot = core.snapshot();
  const auto& project = record.key.project;
  store::Transaction transaction;
  const auto deployments = in_environment(*snapshot, Deployment::kind, record.key);
  erase_all(deployments, transaction);
  const auto volumes = in_environment(*snapshot, Volume::kind, record.key);
  if (deployments.empty()) erase_all(volumes, transaction);
  if (!transaction.empty()) co_await core.settings.store.commit(std::move(transaction));
  if (!deployments.empty() || !volumes.empty()) co_return control::Outcome{.again = kPatience};

  co_await core.settings.engine.remove_environment(record.uid);
  const auto after = core.snapshot();
  store::Transaction last;
  erase_scope(*after, project, record.key.name, last);
  for (const auto& configuration :
       after->list({.kind = std::string{Configuration::kind}, .project = project, .owner = {}, .labels = {}}))
    if (configuration->key.name.ends_with("." + record.key.name) && !configuration->deleted)
      last.erase(configuration->key);
  last.remove_finalizer(record.key, std::string{kFinalizer});
  co_await core.settings.store.commit(std::move(last));
  log::info("deploy", "{} of {} is gone", record.key.name, project);
  co_return control::Outcome{};
}

}  // namespace

Task<control::Outcome> Core::reconcile_project(Key id) {
  const auto record = snapshot()->get(id);
  if (!record) co_return control::Outcome{};
  if (record->deleted && has_finalizer(*record)) co_return co_await end_project(*this, *record);
  if (record->deleted) co_return control::Outcome{};
  co_return co_await found_project(*this, *record);
}

Task<control::Outcome> Core::reconcile_environment(Key id) {
  const auto record = snapshot()->get(id);
  if (!record) co_return control::Outcome{};
  if (record->deleted) {
    if (has_finalizer(*record)) co_return co_await end_environment(*this, *record);
    co_return control::Outcome{};
  }
  if (!has_finalizer(*record)) {
    store::Transaction transaction;
    transaction.add_finalizer(id, std::string{kFinalizer});
    co_await settings.store.commit(std::move(transaction));
  }
  co_return control::Outcome{};
}

// A component ends with all of its deployments.
Task<control::Outcome> Core::reconcile_component(Key id) {
  const auto view = snapshot();
  const auto record = view->get(id);
  if (!record) co_return control::Outcome{};
  store::Transaction transaction;
  if (!record->deleted) {
    if (!has_finalizer(*record)) transaction.add_finalizer(id, std::string{kFinalizer});
  } else if (has_finalizer(*record)) {
    const auto deployments = view->list({.kind = std::string{Deployment::kind},
                                         .project = id.project,
                                         .owner = {},
                                         .labels = {{"component", id.name}}});
    erase_all(deployments, transaction);
    if (deployments.empty()) transaction.remove_finalizer(id, std::string{kFinalizer});
  }
  if (!transaction.empty()) co_await settings.store.commit(std::move(transaction));
  co_return control::Outcome{.again = record->deleted ? std::optional<Duration>{kPatience} : std::nullopt};
}

}  // namespace tow::deploy
