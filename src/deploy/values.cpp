// SPDX-License-Identifier: Apache-2.0
// Operations that set configuration and secrets, and the opener of secrets.
#include <algorithm>

#include "base/ids.hpp"

#include "deploy/change.hpp"
#include "deploy/core.hpp"
#include "deploy/names.hpp"

namespace tow::deploy {
namespace {

// "project", an environment that exists, or COMPONENT.ENVIRONMENT, whose component may come later.
std::string check_scope(const store::Snapshot& snapshot, const std::string& project,
                        const std::string& scope) {
  const auto owner = snapshot.get(key<Project>({}, project));
  if (!owner) throw fail(Code::NotFound, "there is no project {}", project);
  if (owner->deleted) throw fail(Code::FailedPrecondition, "the project {} is being destroyed", project);
  if (scope == kProjectScope) return owner->uid;
  const auto dot = scope.find('.');
  const auto environment = dot == std::string::npos ? scope : scope.substr(dot + 1);
  if (dot != std::string::npos && !is_name(scope.substr(0, dot)))
    throw fail(Code::Invalid, "\"{}\" is no component's name: {}", scope.substr(0, dot), kNameRule);
  const auto record = snapshot.get(key<Environment>(project, environment));
  if (!record)
    throw fail(
        Code::NotFound,
        "there is no environment {} in {}; a scope is \"project\", an environment, or COMPONENT.ENVIRONMENT",
        environment, project);
  if (record->deleted) throw fail(Code::FailedPrecondition, "{} is being destroyed", environment);
  // What is set now would go with it.
  if (const auto deployment = snapshot.get(key<Deployment>(project, scope));
      deployment && deployment->deleted)
    throw fail(Code::FailedPrecondition, "{} is being destroyed", scope);
  return record->uid;
}

Key secret_key(const std::string& project, const std::string& scope, const std::string& name) {
  return key<Secret>(project, secret_name(scope, name));
}

bool is_set_secret(const store::Snapshot& snapshot, const Key& id) {
  const auto record = snapshot.get(id);
  return record && !record->deleted && !decode<Secret>(record).spec.removed;
}

// Later than every rollback whose configuration it is to overrule.
TimePoint change_time(const store::Snapshot& snapshot, const std::string& project, TimePoint now) {
  for (const auto& record :
       snapshot.list({.kind = std::string{Deployment::kind}, .project = project, .owner = {}, .labels = {}}))
    if (const auto restored = decode<Deployment>(record).spec.restored)
      now = std::max(now, restored->since + Duration{1});
  return now;
}

// Runs again while others write the same entity.
Task<> retried(std::function<Task<>()> attempt) {
  for (int i = 1;; ++i) {
    try {
      co_await attempt();
      co_return;
    } catch (const Error& error) {
      const bool race = error.code() == Code::Conflict || error.code() == Code::AlreadyExists;
      if (!race || i == kAttempts) throw;
    }
  }
}

std::string plural(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

// Versions that a revision names stay, so that a rollback finds them; so does the newest.
std::set<int> versions_in_use(const store::Snapshot& snapshot, const std::string& project,
                              const std::string& secret) {
  std::set<int> used;
  for (const auto& record :
       snapshot.list({.kind = std::string{Revision::kind}, .project = project, .owner = {}, .labels = {}}))
    for (const auto& [name, value] : decode<Revision>(record).spec.configuration)
      if (value.secret == secret) used.insert(value.version);
  return used;
}

}  // namespace

Task<Accepted> Core::configure(api::Call call, ConfigureInput input) {
  const auto& project = call.target.project;
  const auto id = key<Configuration>(project, input.scope);
  Accepted output;
  for (const auto& name : input.unset)
    if (input.set.contains(name)) throw fail(Code::Invalid, "{} is both set and unset", name);
  co_await retried([&]() -> Task<> {
    const auto view = snapshot();
    const auto owner = check_scope(*view, project, input.scope);
    for (const auto& [name, value] : input.set)
      if (is_set_secret(*view, secret_key(project, input.scope, name)))
        throw fail(Code::FailedPrecondition, "{} is a secret of {}; remove that before", name, input.scope);
    const auto record = view->get(id);
    Configuration::Spec spec;
    if (record) spec = decode<Configuration>(record).spec;
    const auto when = change_time(*view, project, now());
    std::size_t changed = 0;
    const auto put = [&](const std::string& name, std::optional<std::string> value) {
      Setting& setting = spec.values[name];
      changed += setting.value != value;
      setting = {.value = std::move(value), .changed = when, .by = call.subject.name};
    };
    for (const auto& [name, value] : input.set) put(name, value);
    for (const auto& name : input.unset)
      if (spec.values.contains(name)) put(name, {});
    store::Transaction transaction;
    if (record) {
      transaction.put_spec(id, encode_spec<Configuration>(spec), record->revision);
    } else {
      auto made = draft<Configuration>(project, input.scope, spec);
      made.owner = owner;
      transaction.create(std::move(made));
    }
    co_await settings.store.commit(std::move(transaction));
    const auto after = snapshot()->get(id);
    output.generation = after ? after->generation : 0;
    output.message = fmt::format("{} of {} changed", plural(changed, "value"), input.scope);
  });
  co_return output;
}

Task<Accepted> Core::set_secret(api::Call call, SecretInput input) {
  const auto& project = call.target.project;
  const auto id = secret_key(project, input.scope, input.name);
  Accepted output;
  bool pruned = false;
  co_await retried([&]() -> Task<> {
    const auto view = snapshot();
    const auto owner = check_scope(*view, project, input.scope);
    if (const auto plain = view->get(key<Configuration>(project, input.scope))) {
      const auto values = decode<Configuration>(plain).spec.values;
      if (const auto found = values.find(input.name); found != values.end() && found->second.value)
        throw fail(Code::FailedPrecondition, "{} is set as plain configuration of {}; unset that before",
                   input.name, input.scope);
    }
    const auto record = view->get(id);
    Secret::Spec spec{.scope = input.scope, .name = input.name, .versions = {}, .removed = {}};
    if (record) spec = decode<Secret>(record).spec;
    const int version = spec.versions.empty() ? 1 : spec.versions.back().version + 1;
    const auto used = versions_in_use(*view, project, id.name);
    const auto before = spec.versions.size();
    std::erase_if(spec.versions,
                  [&](const auto& each) { return input.revoke || !used.contains(each.version); });
    pruned = spec.versions.size() != before;
    spec.versions.push_back(
        {.version = version,
         .sealed = settings.sealer.seal(input.value, secret_context(project, id.name, version)),
         .changed = change_time(*view, project, now()),
         .by = call.subject.name});
    spec.removed.reset();
    store::Transaction transaction;
    if (record) {
      transaction.put_spec(id, encode_spec<Secret>(spec), record->revision);
    } else {
      auto made = draft<Secret>(project, id.name, spec);
      made.owner = owner;
      made.labels = {{"scope", input.scope}};
      transaction.create(std::move(made));
    }
    co_await settings.store.commit(std::move(transaction));
    output.generation = version;
    output.message = fmt::format("{} of {} is version {}{}", input.name, input.scope, version,
                                 input.revoke && version > 1 ? "; the earlier values are destroyed" : "");
  });
  // What is no longer in the entity must not be in its history either.
  if (pruned) co_await settings.store.purge_history(id);
  co_return output;
}

Task<Accepted> Core::remove_secret(api::Call call, SecretName input) {
  const auto id = secret_key(call.target.project, input.scope, input.name);
  Accepted output;
  co_await retried([&]() -> Task<> {
    const auto view = snapshot();
    const auto record = view->get(id);
    if (!record || !is_set_secret(*view, id))
      throw fail(Code::NotFound, "{} has no secret {}", input.scope, input.name);
    auto spec = decode<Secret>(record).spec;
    spec.removed = change_time(*view, call.target.project, now());
    store::Transaction transaction;
    transaction.put_spec(id, encode_spec<Secret>(spec), record->revision);
    co_await settings.store.commit(std::move(transaction));
    output = {.generation = record->generation + 1,
              .message = fmt::format("{} of {} is removed; revisions that used it can still be restored",
                                     input.name, input.scope)};
  });
  co_return output;
}

Task<SecretList> Core::list_secrets(api::Call call) {
  SecretList list;
  for (const auto& record : snapshot()->list(
           {.kind = std::string{Secret::kind}, .project = call.target.project, .owner = {}, .labels = {}})) {
    const auto spec = decode<Secret>(record).spec;
    if (record->deleted || spec.removed || spec.versions.empty()) continue;
    const auto& newest = spec.versions.back();
    list.secrets.push_back({.scope = spec.scope,
                            .name = spec.name,
                            .version = newest.version,
                            .changed = newest.changed,
                            .by = newest.by});
  }
  std::ranges::sort(list.secrets, {}, [](const auto& each) { return std::pair{each.scope, each.name}; });
  co_return list;
}

engine::SecretOpener secret_opener(store::Store& store, const secret::Sealer& sealer) {
  return [&store, &sealer](std::string text) -> Task<std::string> {
    const auto reference = parse_secret_reference(text);
    if (!reference) throw fail(Code::NotFound, "\"{}\" refers to no secret", text);
    const auto record = store.snapshot()->get(key<Secret>(reference->project, reference->secret));
    if (!record) throw fail(Code::NotFound, "the secret {} is gone", text);
    const auto spec = decode<Secret>(record).spec;
    if (spec.versions.empty())
      throw fail(Code::NotFound, "the secret {} of {} has no value", spec.name, spec.scope);
    // A version that was destroyed is not to be used again: what ran with it gets the newest.
    const auto* chosen = &spec.versions.back();
    for (const auto& each : spec.versions)
      if (each.version == reference->version) chosen = &each;
    co_return sealer.open(chosen->sealed,
                          secret_context(reference->project, reference->secret, chosen->version));
  };
}

}  // namespace tow::deploy
